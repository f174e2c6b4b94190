# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The server of the demo, over gRPC, with reflection for tools that ask a server what it serves, and over HTTP: one process.

    python -m tests.interop.serving --lifetime=600

It prints both addresses, in this order, and ends with its standard input or its lifetime.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc.aio
from examples.memorystore.instances import Instances
from examples.memorystore.server import end_of_input, operations_server, ordinary_methods
from google.cloud.redis_v1.types import cloud_redis
from google.longrunning import operations_pb2
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import FileDescriptor

from longrunning.rest import asgi_app
from longrunning.server import SERVER_OPTIONS
from tests.pair.asgi_serving import listening

__all__: list[str] = []


def describe(paths: Iterable[str]) -> None:
    """Adds a descriptor of the service to the pool, where reflection looks for it.

    What protoc generates brings one; google-cloud-redis, whose messages are proto-plus, brings those of messages only.
    """
    request: Any = cloud_redis.CreateInstanceRequest  # what proto-plus adds to it is not typed
    messages: FileDescriptor = request.pb(request()).DESCRIPTOR.file
    file = descriptor_pb2.FileDescriptorProto(
        name="interop/cloud_redis_service.proto",
        package=messages.package,
        syntax="proto3",
        dependency=[messages.name, operations_pb2.DESCRIPTOR.name],
    )
    service = file.service.add(name="CloudRedis")
    for path in paths:
        name = path.rpartition("/")[2]
        service.method.add(
            name=name,
            input_type=f".{messages.package}.{name}Request",
            output_type=f".{operations_pb2.Operation.DESCRIPTOR.full_name}",
        )
    descriptor_pool.Default().AddSerializedFile(file.SerializeToString())


async def serve(folder: Path, lifetime: float) -> None:
    """Serves until standard input ends, or the lifetime does."""
    instances = Instances(folder / "instances.db")
    server = operations_server(folder, instances)
    describe(path for path in server.methods if path.startswith("/google.cloud."))
    grpc_server = grpc.aio.server(options=SERVER_OPTIONS)
    grpc_server.add_generic_rpc_handlers((ordinary_methods(instances),))
    server.add_to(grpc_server, reflection=True)
    port = grpc_server.add_insecure_port("127.0.0.1:0")
    try:
        # The server of operations ends first, and with it whatever callers wait for.
        async with listening(asgi_app(server)) as http_port, server:
            await grpc_server.start()
            print(f"127.0.0.1:{port} 127.0.0.1:{http_port}", flush=True)  # noqa: T201 (whoever started it reads that)
            with suppress(TimeoutError):
                async with asyncio.timeout(lifetime):
                    await end_of_input()
    finally:
        await grpc_server.stop(grace=1.0)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.interop.serving", description=__doc__)
    parser.add_argument("--lifetime", type=float, required=True, help="seconds")
    with tempfile.TemporaryDirectory(prefix="interop-") as folder:
        asyncio.run(serve(Path(folder), parser.parse_args().lifetime))


if __name__ == "__main__":
    main()
