# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The server that `benchmarks.serving` measures, in a process of its own: ``python -m benchmarks.serving_process FILE``.

It prints its port, and ends with its standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import sys
import time
from typing import Any

import grpc
import grpc.aio
from google.longrunning import operations_proto_pb2 as operations_pb2
from google.protobuf import wrappers_pb2

from longrunning import LroMethod
from longrunning.server import (
    SERVER_OPTIONS,
    Access,
    AsyncOperationContext,
    Call,
    Limits,
    LocalExecutor,
    OperationsServer,
    SqliteStore,
)

NO_OP = LroMethod(
    path="/bench.Bench/NoOp",
    request_type=wrappers_pb2.DoubleValue,
    response_type=wrappers_pb2.DoubleValue,
    metadata_type=wrappers_pb2.DoubleValue,
)
"""Its request says when it is to end, seconds since 1970 (0: at once); its response says when it did."""

BARE = "/bench.Bench/Bare"
PURGE = "/bench.Bench/Purge"
TENANT = "tenant"


class Tenants:
    """Reads a header, as authorization does."""

    def authorize(self, call: Call) -> Access:
        tenant = call.header("x-tenant") or ""
        return Access(principal=tenant, scope=tenant)


def make(path: str) -> tuple[OperationsServer, SqliteStore]:
    """The server under test."""
    store = SqliteStore(path)
    limits = Limits(retention=3_600.0, purge_interval=1e6)
    server = OperationsServer(
        store=store, authorizer=Tenants(), executor=LocalExecutor(concurrency=50_000), limits=limits
    )

    @server.method(NO_OP)
    async def no_op(
        request: wrappers_pb2.DoubleValue, _context: AsyncOperationContext[wrappers_pb2.DoubleValue]
    ) -> wrappers_pb2.DoubleValue:
        if request.value:
            await asyncio.sleep(request.value - time.time())
        return wrappers_pb2.DoubleValue(value=time.time())

    return server, store


async def serve(path: str, *, profile: bool) -> None:
    """Serves until standard input ends."""
    server, store = make(path)
    constant = operations_pb2.Operation(name="operations/constant", done=True).SerializeToString()

    async def bare(_data: bytes, _context: object) -> bytes:
        return constant

    async def purge(data: bytes, _context: object) -> bytes:
        count = int(data)
        while count > 0:
            count -= await store.purge(older_than=0.0, limit=server.limits.purge_batch)
            await asyncio.sleep(0.01)
        return b""

    grpc_server = grpc.aio.server(options=SERVER_OPTIONS)
    handlers: dict[str, Any] = {
        "Bare": grpc.unary_unary_rpc_method_handler(bare),
        "Purge": grpc.unary_unary_rpc_method_handler(purge),
    }
    server.add_to(grpc_server)
    grpc_server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Bench", handlers),))
    port = grpc_server.add_insecure_port("127.0.0.1:0")
    async with server:
        await grpc_server.start()
        print(port, flush=True)
        loop = asyncio.get_running_loop()
        if profile:
            with cProfile.Profile() as profiler:
                await loop.run_in_executor(None, sys.stdin.read)
            pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(40)
        else:
            await loop.run_in_executor(None, sys.stdin.read)
        await grpc_server.stop(0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving_process", description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--profile", action="store_true", help="print where the time went, at the end")
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.file, profile=arguments.profile))
