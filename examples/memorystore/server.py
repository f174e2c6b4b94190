# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""A server of Memorystore for Redis: as much of it as the demo needs, in a process of its own.

    python -m examples.memorystore.server

It prints its address, and ends with its standard input, or when its lifetime is over. Given a folder that an earlier one
used, it goes on with what that one left: operations are in one file, instances in another.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio
from google.cloud.redis_v1.types import cloud_redis

from longrunning.server import SERVER_OPTIONS, AllowAll, Limits, NamePattern, OperationsServer, SqliteStore

from .api import SERVICE, TYPES
from .handlers import register
from .instances import Instances

LIFETIME: Final = 60.0
"""Seconds after which the server ends by itself, whatever happens to whoever started it."""

LIMITS: Final = Limits(
    lease_ttl=2.0,  # a demo cannot wait long until the work of a killed process is taken up again
    reconcile_interval=0.25,
    shutdown_grace=0.5,
    # Few, so that lists have several pages even for clients that cannot ask for less.
    default_page_size=5,
    max_page_size=5,
)

Context = grpc.aio.ServicerContext[Any, Any]


def operations_server(folder: Path, instances: Instances) -> OperationsServer:
    """The server of operations, which also serves the methods that have handlers."""
    server = OperationsServer(
        store=SqliteStore(folder / "operations.db"),
        authorizer=AllowAll(),  # it listens on the loopback interface only
        names=NamePattern("projects/{project}/locations/{location}/operations/{operation}"),
        registry=TYPES,
        limits=LIMITS,
    )
    register(server, instances)
    return server


def ordinary_methods(instances: Instances) -> grpc.GenericRpcHandler:
    """The methods that are not long-running: they have nothing to do with this package."""

    async def get_instance(request: cloud_redis.GetInstanceRequest, context: Context) -> cloud_redis.Instance:
        instance = await asyncio.to_thread(instances.get, request.name)
        if instance is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"instance {request.name!r} not found")
            raise AssertionError  # abort() raises; its types do not say so
        return instance

    handlers = {"GetInstance": unary(get_instance, cloud_redis.GetInstanceRequest, cloud_redis.Instance)}
    return grpc.method_handlers_generic_handler(SERVICE, handlers)


def unary(
    method: Callable[[Any, Context], Awaitable[Any]], request: Any, response: Any
) -> grpc.RpcMethodHandler[Any, Any]:
    """Says how the messages of a method are read and written: google-cloud-redis has stubs for clients only."""
    return grpc.unary_unary_rpc_method_handler(method, request.deserialize, response.serialize)


async def serve(folder: Path, port: int, lifetime: float) -> None:
    """Serves until standard input ends, or the lifetime does."""
    instances = Instances(folder / "instances.db")
    server = operations_server(folder, instances)
    grpc_server = grpc.aio.server(options=SERVER_OPTIONS)
    server.add_to(grpc_server)
    grpc_server.add_generic_rpc_handlers((ordinary_methods(instances),))
    port = grpc_server.add_insecure_port(f"127.0.0.1:{port}")
    try:
        async with server:
            await grpc_server.start()
            print(f"127.0.0.1:{port}", flush=True)
            with suppress(TimeoutError):
                async with asyncio.timeout(lifetime):
                    await end_of_input()
    finally:
        await grpc_server.stop(grace=1.0)  # without, connections are cut, which gRPC tells the clients' stderr


async def end_of_input() -> None:
    """Waits for whoever holds the other end of standard input to close it, or to die."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m examples.memorystore.server", description=__doc__)
    parser.add_argument("--folder", type=Path, help="where its files are (default: a temporary folder)")
    parser.add_argument("--port", type=int, default=0, help="(default: a free one)")
    parser.add_argument("--lifetime", type=float, default=LIFETIME, help="seconds (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="memorystore-") as temporary:
        asyncio.run(serve(arguments.folder or Path(temporary), arguments.port, arguments.lifetime))


if __name__ == "__main__":
    main()
