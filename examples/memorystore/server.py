# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""A server of Memorystore for Redis: as much of it as the demo needs, in a process of its own.

    python -m examples.memorystore.server

It serves the same operations over gRPC and over HTTP, prints both addresses, and ends with its standard input, or when its
lifetime is over. Given a folder that an earlier one used, it goes on with what that one left: operations are in one file,
instances in another.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio
import uvicorn
from google.cloud.redis_v1.types import cloud_redis

from longrunning.rest import asgi_app
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


class PortError(Exception):
    """Somebody else has the port."""


async def serve(folder: Path, port: int, http_port: int, lifetime: float) -> None:
    """Serves until standard input ends, or the lifetime does.

    Raises:
        PortError: It cannot listen.
    """
    instances = Instances(folder / "instances.db")
    server = operations_server(folder, instances)
    grpc_server = grpc.aio.server(options=SERVER_OPTIONS)
    server.add_to(grpc_server)
    grpc_server.add_generic_rpc_handlers((ordinary_methods(instances),))
    try:
        port = grpc_server.add_insecure_port(f"127.0.0.1:{port}")
    except RuntimeError as error:  # what grpc says instead is where it was compiled
        raise PortError(f"cannot listen on 127.0.0.1:{port}: the port is taken") from error
    try:
        # The server of operations ends first, and with it whatever callers wait for: then nothing holds up the other two.
        entered = asyncio.Event()
        async with over_http(server, http_port, entered) as url, server:
            entered.set()
            await grpc_server.start()
            print(f"127.0.0.1:{port} {url}", flush=True)
            with suppress(TimeoutError):
                async with asyncio.timeout(lifetime):
                    await end_of_input()
    finally:
        await grpc_server.stop(grace=1.0)  # without, connections are cut, which gRPC tells the clients' stderr


@asynccontextmanager
async def over_http(server: OperationsServer, port: int, entered: asyncio.Event) -> AsyncGenerator[str, None]:
    """Serves the operations over HTTP as well, in this event loop, once the server of operations is entered; gives the URL.

    Raises:
        PortError: It cannot listen.
    """
    app = asgi_app(server, title="Memorystore for Redis")
    # asyncio switches Nagle's algorithm off only if a socket says that it is TCP.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a killed server leaves connections behind
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen()  # from now on nobody is refused: who comes before uvicorn does waits for it
        except OSError as error:
            raise PortError(f"cannot listen on 127.0.0.1:{port}: {error.strerror}") from error
        http_server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))

        async def serve_entered() -> None:
            await entered.wait()
            await http_server.serve(sockets=[listener])

        serving = asyncio.create_task(serve_entered())
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            http_server.should_exit = True
            if entered.is_set():
                await serving
            else:
                serving.cancel()


async def end_of_input() -> None:
    """Waits for whoever holds the other end of standard input to close it, or to die."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m examples.memorystore.server", description=__doc__)
    parser.add_argument("--folder", type=Path, help="where its files are (default: a temporary folder)")
    parser.add_argument("--port", type=int, default=0, help="of gRPC (default: a free one)")
    parser.add_argument("--http-port", type=int, default=0, help="of HTTP (default: a free one)")
    parser.add_argument("--lifetime", type=float, default=LIFETIME, help="seconds (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="memorystore-") as temporary:
        folder = arguments.folder or Path(temporary)
        try:
            asyncio.run(serve(folder, arguments.port, arguments.http_port, arguments.lifetime))
        except PortError as error:
            sys.exit(str(error))
        except KeyboardInterrupt:
            sys.exit(130)


if __name__ == "__main__":
    main()
