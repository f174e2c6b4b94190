# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""A server of operations over HTTP: in this process, or behind uvicorn on a socket; alone, or with gRPC beside it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable, Generator, MutableMapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

import grpc.aio
import httpx
import uvicorn

from example.library.v1 import library_pb2
from longrunning import LroMethod
from longrunning.rest import asgi_app
from longrunning.server import SERVER_OPTIONS, AllowAll, MemoryStore, OperationsServer
from tests.pair.serving import NAMES, PARENT, Register, Running, bounds

__all__ = [
    "ABSENT",
    "CREATE",
    "DELETE",
    "IMPORT",
    "Reply",
    "Site",
    "bound",
    "called",
    "library",
    "listening",
    "site",
    "spoken",
]

_METHODS: Final = library_pb2.DESCRIPTOR.services_by_name["Library"].methods_by_name
IMPORT: Final = LroMethod.from_descriptor(_METHODS["ImportBooks"])  # POST /v1/{parent=shelves/*}/books:import, body *
CREATE: Final = LroMethod.from_descriptor(_METHODS["CreateShelf"])  # POST /v1/shelves, body shelf
DELETE: Final = LroMethod.from_descriptor(_METHODS["DeleteShelf"])  # DELETE /v1/{name=shelves/*}
ABSENT: Final = f"{PARENT}/operations/op-{'0' * 32}"


def library(server: OperationsServer) -> None:
    """The three methods with their HTTP bindings, all done at once."""

    @server.method(IMPORT)
    async def import_books(request: Any, context: Any) -> Any:
        await context.update(library_pb2.ImportBooksMetadata(total=request.count, done=request.count, percent=100))
        return library_pb2.ImportBooksResponse(imported=request.count)

    @server.method(CREATE, parent=PARENT)
    async def create_shelf(request: Any, context: Any) -> Any:
        return library_pb2.Shelf(name=f"shelves/{request.shelf_id or 'new'}", theme=request.shelf.theme)

    @server.method(DELETE)
    async def delete_shelf(request: Any, context: Any) -> None:
        await context.update(library_pb2.OperationMetadata(target=request.name, verb="delete"))


class Reply(NamedTuple):
    """What was answered.

    Attributes:
        status: The HTTP status.
        body: The body, parsed; ``None`` where there is none.
        headers: The headers; names are not sensitive to case.
    """

    status: int
    body: Any
    headers: httpx.Headers

    @property
    def problem(self) -> tuple[int, str]:
        """HTTP status and name of the code; the body has the shape of every error (REST-2)."""
        assert set(self.body) == {"error"}, self
        error = self.body["error"]
        assert set(error) in ({"code", "message", "status"}, {"code", "message", "status", "details"}), self
        assert error["code"] == self.status >= 400, self
        assert self.headers["content-type"] == "application/json"
        return self.status, error["status"]

    @property
    def ok(self) -> Any:
        """The body of a success."""
        assert self.status == 200, self
        return self.body


class Site:
    """A server under test, and somebody who calls it.

    Attributes:
        server: The server of operations.
        app: Its application.
        client: Calls it.
        grpc: The same server over gRPC, where that was asked for.
    """

    def __init__(self, server: OperationsServer, app: Any, client: httpx.AsyncClient) -> None:
        self.server = server
        self.app = app
        self.client = client
        self.grpc: Running | None = None

    async def ask(self, verb: str, path: str, body: Any = None, **options: Any) -> Reply:
        """One request; a body that is no bytes is sent as JSON. Options as of httpx."""
        if body is not None:
            options.setdefault("content", body if isinstance(body, bytes) else json.dumps(body).encode())
            options["headers"] = {"content-type": "application/json", **options.get("headers", {})}
        answer = await self.client.request(verb, path, **options)
        return Reply(answer.status_code, answer.json() if answer.content else None, answer.headers)

    async def get(self, path: str, **options: Any) -> Reply:
        """One GET."""
        return await self.ask("GET", path, **options)

    async def start(self, body: Any = None) -> str:
        """Starts an import and returns the operation's name."""
        reply = await self.ask("POST", f"/v1/{PARENT}/books:import", {"uri": "file:books", "count": 4} | (body or {}))
        return str(reply.ok["name"])

    async def done(self, name: str) -> Any:
        """The operation when it is done."""
        while not (reply := await self.ask("POST", f"/v1/{name}:wait", {"timeout": "10s"})).ok.get("done"):
            pass
        return reply.body

    async def outcome(self, body: Any = None) -> Any:
        """Starts an import and returns the operation when it is done."""
        return await self.done(await self.start(body))


class _Quiet(uvicorn.Server):
    """A uvicorn that leaves the signals of the test run alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@asynccontextmanager
async def listening(app: Any, **options: Any) -> AsyncGenerator[int, None]:
    """An application behind uvicorn, on a port of its own: that port."""
    # By address, not by socket: asyncio switches Nagle's algorithm off only where it made the socket itself.
    given: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": 0,
        "log_level": "critical",
        "access_log": False,
        "ws": "none",
        "timeout_graceful_shutdown": 1,
    }
    given |= options
    runner = _Quiet(uvicorn.Config(app, **given))
    serving = asyncio.create_task(runner.serve(), name="uvicorn")
    try:
        while not runner.started:
            assert not serving.done(), "uvicorn ended"
            await asyncio.sleep(0.005)
        yield runner.servers[0].sockets[0].getsockname()[1]
    finally:
        runner.should_exit = True
        await serving


def bound(register: Register = library, *, store: Any = None, **arguments: Any) -> OperationsServer:
    """A server of operations, not entered."""
    given = dict[str, Any](authorizer=AllowAll(), names=NAMES, limits=bounds()) | arguments
    server = OperationsServer(store=MemoryStore() if store is None else store, **given)
    register(server)
    return server


async def called(
    app: Any,
    verb: str,
    raw: bytes,
    body: bytes = b"",
    headers: Sequence[tuple[bytes, bytes]] = (),
    *,
    announce: bool = True,
) -> Reply:
    """One request, without anybody in between who would mend its target: a path and a query as they were sent.

    A body has the headers of one, unless they are not to be announced.
    """
    path, _, query = raw.partition(b"?")
    sent: list[MutableMapping[str, Any]] = []
    announced = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    given = announced if body and announce else []
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": verb, "scheme": "http", "root_path": "",
        "path": unquote(path.decode("latin-1")), "raw_path": path, "query_string": query, "headers": [*given, *headers],
        "client": ("127.0.0.1", 40000), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    parts = [{"type": "http.request", "body": body, "more_body": False}]
    answered = asyncio.Event()

    async def receive() -> MutableMapping[str, Any]:
        if not parts:
            await answered.wait()
            return {"type": "http.disconnect"}
        return parts.pop()

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    answered.set()
    start, content = sent
    data = content["body"]
    return Reply(start["status"], json.loads(data) if data else None, httpx.Headers(start["headers"]))


@asynccontextmanager
async def site(
    register: Register = library,
    *,
    sockets: bool = False,
    with_grpc: bool = False,
    app: dict[str, Any] | None = None,
    around: Callable[[Any], Any] = lambda made: made,
    root: str = "",
    **arguments: Any,
) -> AsyncGenerator[Site, None]:
    """A server that runs, and a client of it.

    Args:
        register: Registers handlers.
        sockets: Whether uvicorn serves it; otherwise it is called in this process.
        with_grpc: Whether it is served over gRPC, too.
        app: Arguments of `asgi_app`.
        around: Puts the application into another one.
        root: Where it then is.
        arguments: Of `OperationsServer`.
    """
    server = bound(register, **arguments)
    made = asgi_app(server, **(app or {}))
    outer = around(made)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(server)
        if sockets:
            port = await stack.enter_async_context(listening(outer))
            client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}{root}", timeout=30)
        else:
            transport = httpx.ASGITransport(outer)
            client = httpx.AsyncClient(transport=transport, base_url=f"http://127.0.0.1{root}", timeout=30)
        await stack.enter_async_context(client)
        here = Site(server, made, client)
        if with_grpc:
            here.grpc = await _with_grpc(stack, server)
        yield here


async def _with_grpc(stack: contextlib.AsyncExitStack, server: OperationsServer) -> Running:
    from tests.pair.serving import Edge

    grpc_server = grpc.aio.server(options=SERVER_OPTIONS)
    port = grpc_server.add_insecure_port("127.0.0.1:0")
    server.add_to(grpc_server)
    await grpc_server.start()
    stack.push_async_callback(grpc_server.stop, None)
    running = Running(Edge.AIO, server, MemoryStore(), f"127.0.0.1:{port}")
    stack.push_async_callback(running.channel.close)
    return running


async def spoken(port: int, *parts: bytes, patience: float = 10.0, pause: float = 0.0) -> bytes:
    """Says something on a connection, byte for byte, and returns all that was answered until the other side closed it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        return await asyncio.wait_for(reader.read(), patience)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
