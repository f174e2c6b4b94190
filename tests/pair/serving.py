# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""One scenario on every kind of server: `grpc.aio` and `grpc.server`, operations in memory and in SQLite.

A scenario is an async function of a `Place`. The server of operations runs on the event loop of the scenario, so that a test
may also ask its store; only on `Edge.THREAD` it runs as ``with server:`` does, on a thread and a loop of its own.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import inspect
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from enum import Enum
from pathlib import Path
from typing import Any, Concatenate, Final, Literal, ParamSpec, TypeVar

import grpc
import grpc.aio
import pytest
from google.protobuf import duration_pb2, empty_pb2

from example.library.v1 import library_pb2
from longrunning import AsyncOperationsClient, LroMethod, OperationsClient, TypeRegistry
from longrunning._pb import operations_pb2
from longrunning.server import (
    SERVER_OPTIONS,
    AllowAll,
    Limits,
    MemoryStore,
    NamePattern,
    OperationsServer,
    OperationStore,
    SqliteStore,
)
from tests.pair.colours import CREATE_SHELF, IMPORT_BOOKS, run
from tests.pair.meddling import Jumping

P = ParamSpec("P")
T = TypeVar("T")

SERVICE: Final = "/google.longrunning.Operations/"
DELETE_SHELF: Final = LroMethod(
    path="/example.library.v1.Library/DeleteShelf",
    request_type=library_pb2.DeleteShelfRequest,
    response_type=empty_pb2.Empty,
    metadata_type=library_pb2.OperationMetadata,
)
NAMES: Final = NamePattern("shelves/{shelf}/operations/{operation}")
PARENT: Final = "shelves/1"
ABSENT: Final = f"{PARENT}/operations/op-none"
IMPORT: Final = library_pb2.ImportBooksRequest(parent=PARENT, uri="file:books", count=4)
IMPORTED: Final = library_pb2.ImportBooksResponse(imported=4)
CREATE: Final = library_pb2.CreateShelfRequest(shelf=library_pb2.Shelf(name=PARENT, theme="music"))
DELETE: Final = library_pb2.DeleteShelfRequest(name=PARENT)
PATIENCE: Final = 10.0  # seconds after which what was to happen does not happen
STORES: Final = ("memory", "sqlite")

StoreKind = Literal["memory", "sqlite"]
Register = Callable[[OperationsServer], object]


class Edge(Enum):
    """What carries the calls."""

    AIO = "grpc.aio"
    SYNC = "grpc.server"  # the server of operations on the loop of the scenario
    THREAD = "grpc.server-thread"  # on a thread of its own: its store is asked by `Running.on_loop`


EDGES: Final = (Edge.AIO, Edge.SYNC)


def bounds(**changes: Any) -> Limits:
    """Limits of a test: it does not wait half a minute for a handler that hangs."""
    return Limits(**(dict[str, Any](shutdown_grace=2.0) | changes))


def handled(method: LroMethod[Any, Any, Any], handler: Callable[..., Any], **options: Any) -> Register:
    """Registers one handler; options as of `OperationsServer.method`."""

    def register(server: OperationsServer) -> object:
        registrar: Any = server.method(method, **options)
        return registrar(handler)

    return register


def importing(handler: Callable[..., Any], **options: Any) -> Register:
    """Registers a handler of `IMPORT_BOOKS`."""
    return handled(IMPORT_BOOKS, handler, **options)


async def imports(request: library_pb2.ImportBooksRequest, context: Any) -> library_pb2.ImportBooksResponse:
    """A handler that is done at once."""
    return library_pb2.ImportBooksResponse(imported=request.count)


def library(server: OperationsServer) -> None:
    """The three methods, all done at once: a coroutine, a function with metadata, and one that returns nothing."""

    async def import_books(request: library_pb2.ImportBooksRequest, context: Any) -> library_pb2.ImportBooksResponse:
        await context.update(library_pb2.ImportBooksMetadata(total=request.count, done=request.count))
        return library_pb2.ImportBooksResponse(imported=request.count)

    def create_shelf(request: library_pb2.CreateShelfRequest, context: Any) -> library_pb2.Shelf:
        context.update(library_pb2.OperationMetadata(verb="create"))
        return request.shelf

    def delete_shelf(request: library_pb2.DeleteShelfRequest, context: Any) -> None:
        return None

    handled(IMPORT_BOOKS, import_books)(server)
    handled(CREATE_SHELF, create_shelf)(server)
    handled(DELETE_SHELF, delete_shelf)(server)


def _data(message: Any) -> bytes:
    data: bytes = message if isinstance(message, bytes) else message.SerializeToString()
    return data


class Raw:
    """The calls as plain stubs make them: messages in, messages out, `grpc.aio.AioRpcError`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    def call(self, path: str, request: Any, reply: type[Any], *, timeout: float | None = None) -> Any:
        """A call under way: awaitable, and to be cancelled."""
        channel: Any = self._channel
        method = channel.unary_unary(path, request_serializer=_data, response_deserializer=reply.FromString)
        return method(request, timeout=timeout)

    def start(self, method: LroMethod[Any, Any, Any], request: Any, *, timeout: float | None = None) -> Any:
        """The method that starts an operation."""
        return self.call(method.path, request, operations_pb2.Operation, timeout=timeout)

    def get(self, name: str) -> Any:
        """GetOperation."""
        return self.call(
            f"{SERVICE}GetOperation", operations_pb2.GetOperationRequest(name=name), operations_pb2.Operation
        )

    def list(self, name: str, **fields: Any) -> Any:
        """ListOperations, one page."""
        request = operations_pb2.ListOperationsRequest(name=name, **fields)
        return self.call(f"{SERVICE}ListOperations", request, operations_pb2.ListOperationsResponse)

    def cancel(self, name: str) -> Any:
        """CancelOperation."""
        request = operations_pb2.CancelOperationRequest(name=name)
        return self.call(f"{SERVICE}CancelOperation", request, empty_pb2.Empty)

    def delete(self, name: str) -> Any:
        """DeleteOperation."""
        request = operations_pb2.DeleteOperationRequest(name=name)
        return self.call(f"{SERVICE}DeleteOperation", request, empty_pb2.Empty)

    def wait(self, name: str, seconds: int | None = None, nanos: int = 0, *, timeout: float | None = None) -> Any:
        """WaitOperation: its own timeout in seconds and nanoseconds, and the deadline of the RPC in seconds."""
        request = operations_pb2.WaitOperationRequest(name=name)
        if seconds is not None:
            request.timeout.CopyFrom(duration_pb2.Duration(seconds=seconds, nanos=nanos))
        return self.call(f"{SERVICE}WaitOperation", request, operations_pb2.Operation, timeout=timeout)


class Running:
    """A server under test, and ways to talk to it.

    Attributes:
        server: The server of operations.
        store: Its store. On `Edge.THREAD` it belongs to another event loop: see `on_loop`.
        address: Where it listens.
        channel: A channel to it.
        client: Our client.
        raw: Plain stubs.
    """

    def __init__(self, edge: Edge, server: OperationsServer, store: OperationStore, address: str) -> None:
        self.edge = edge
        self.server = server
        self.store = store
        self.address = address
        self.channel = grpc.aio.insecure_channel(address)
        self.client = AsyncOperationsClient(self.channel, registry=TypeRegistry.from_modules(library_pb2))
        self.raw = Raw(self.channel)

    @property
    def waiters(self) -> int:
        """How many calls wait at the server."""
        inside: Any = self.server
        return int(inside._running.waiting.count)

    async def start(self, method: LroMethod[Any, Any, Any] = IMPORT_BOOKS, request: Any = IMPORT) -> str:
        """Starts an operation and returns its name."""
        return str((await self.raw.start(method, request)).name)

    async def done(self, name: str) -> Any:
        """The operation when it is done."""
        while not (operation := await self.raw.wait(name, 30)).done:  # noqa: ASYNC110 (there is no event in between)
            await asyncio.sleep(0.01)  # where too many wait it is answered at once
        return operation

    async def outcome(self, method: LroMethod[Any, Any, Any] = IMPORT_BOOKS, request: Any = IMPORT) -> Any:
        """Starts an operation and returns it when it is done."""
        return await self.done(await self.start(method, request))

    async def on_loop(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Awaits something on the loop of the server: for what asks its store."""
        if self.edge is not Edge.THREAD:
            return await coroutine
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self.server.loop))

    async def enter(self) -> None:
        """Enters the server of operations."""
        if self.edge is Edge.THREAD:
            await asyncio.to_thread(self.server.__enter__)
        else:
            await self.server.__aenter__()

    async def shut_down(self) -> None:
        """Ends the server of operations; the gRPC server goes on."""
        if self.edge is Edge.THREAD:
            await asyncio.to_thread(self.server.__exit__, None, None, None)
        else:
            await self.server.__aexit__(None, None, None)

    @contextmanager
    def sync_client(self) -> Generator[OperationsClient, None, None]:
        """Our sync client on a channel of its own: for use in a thread."""
        with grpc.insecure_channel(self.address) as channel, OperationsClient(channel) as client:
            yield client


@asynccontextmanager
async def serving(
    edge: Edge,
    store: Any,
    register: Register = library,
    *,
    threads: int = 16,
    add_first: bool = True,
    enter: bool = True,
    also: Callable[[Any, OperationsServer], object] | None = None,
    **arguments: Any,
) -> AsyncGenerator[Running, None]:
    """A server on a port of its own.

    Args:
        edge: What carries the calls.
        store: Where it keeps operations.
        register: Registers handlers.
        threads: Threads of a `grpc.server`.
        add_first: Whether it is added to the gRPC server before it is entered, or after.
        enter: Whether it is entered at all; otherwise that is left to the test.
        also: What else the gRPC server serves: called with both servers before the one is added to the other.
        arguments: Further arguments of `OperationsServer`; names are `NAMES` and limits `bounds()` unless given.
    """
    given = dict[str, Any](authorizer=AllowAll(), names=NAMES, limits=bounds()) | arguments
    server = OperationsServer(store=store, **given)
    register(server)
    pool = None if edge is Edge.AIO else concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="rpc")
    grpc_server: Any = (
        grpc.aio.server(options=SERVER_OPTIONS) if pool is None else grpc.server(pool, options=SERVER_OPTIONS)
    )
    port = grpc_server.add_insecure_port("127.0.0.1:0")
    running = Running(edge, server, store, f"127.0.0.1:{port}")
    if also is not None:
        also(grpc_server, server)
    if add_first:
        server.add_to(grpc_server)
    try:
        if enter:
            await running.enter()
        if not add_first:
            server.add_to(grpc_server)
        await _settle(grpc_server.start())
        try:
            yield running
        finally:
            await running.channel.close()
    finally:
        await running.shut_down()
        await _settle(grpc_server.stop(None))
        if pool is not None:
            await asyncio.to_thread(pool.shutdown)


async def _settle(returned: Any) -> None:
    """What a gRPC server of either kind returned: a coroutine, an event, or nothing."""
    if inspect.isawaitable(returned):
        await returned
    elif isinstance(returned, threading.Event):
        await asyncio.to_thread(returned.wait)


def _tasks_of_ours() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("longrunning")]


class Place:
    """Where a scenario plays.

    Attributes:
        edge: What carries the calls.
        kind: The kind of store.
        folder: An empty folder.
        clock: What its stores take the time from.
    """

    def __init__(self, edge: Edge, kind: StoreKind, folder: Path) -> None:
        self.edge = edge
        self.kind = kind
        self.folder = folder
        self.clock = Jumping()
        self._memory = MemoryStore(clock=self.clock)

    def store(self) -> OperationStore:
        """A store; all stores of a place share their operations, as those of several processes on a host do."""
        if self.kind == "memory":
            return self._memory
        return SqliteStore(self.folder / "operations.db", clock=self.clock)

    def serving(
        self, register: Register = library, *, store: Any = None, **options: Any
    ) -> AbstractAsyncContextManager[Running]:
        """A server here; options as of `serving`. A second one at the same time is another replica."""
        return serving(self.edge, self.store() if store is None else store, register, **options)


def over(
    *, edges: Sequence[Edge] = EDGES, stores: Sequence[str] = STORES
) -> Callable[[Callable[Concatenate[Place, P], Awaitable[None]]], Callable[..., None]]:
    """Makes tests of a scenario: one for each of these edges with each of these stores."""

    def made(body: Callable[Concatenate[Place, P], Awaitable[None]]) -> Callable[..., None]:
        def test(edge: Edge, kind: StoreKind, tmp_path: Path, *args: P.args, **kwargs: P.kwargs) -> None:
            run(_attentive(body(Place(edge, kind, tmp_path), *args, **kwargs)), 40)

        # pytest asks the signature which parameters there are to fill in.
        _, *parameters = inspect.signature(body).parameters.values()
        own = [
            inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("edge", "kind", "tmp_path")
        ]
        named: Any = test
        named.__signature__ = inspect.Signature([*own, *parameters])
        named.__doc__, named.__name__, named.__qualname__ = body.__doc__, body.__name__, body.__qualname__
        named.__module__ = body.__module__
        each = [pytest.param(edge, kind, id=f"{edge.value}-{kind}") for edge in edges for kind in stores]
        return pytest.mark.parametrize(("edge", "kind"), each)(test)

    return made


everywhere: Final = over()
everywhere.__doc__ = """Makes four tests of a scenario: both edges, both stores."""
once: Final = over(edges=(Edge.AIO,), stores=("memory",))
once.__doc__ = """Makes one test of a scenario, where edge and store make no difference."""


async def _attentive(playing: Awaitable[None]) -> None:
    """Plays a scenario, and fails where an exception was lost on the way."""
    lost: list[dict[str, Any]] = []

    def keep(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if "PollerCompletionQueue" not in str(context.get("message")):  # grpc.aio of a process with two loops
            lost.append(context)

    asyncio.get_running_loop().set_exception_handler(keep)
    await playing
    await eventually(lambda: not _tasks_of_ours(), seconds=1, what="the tasks of the servers to end")
    gc.collect(1)
    await asyncio.sleep(0)
    assert not lost


async def refusal(call: Awaitable[Any]) -> grpc.aio.AioRpcError:
    """The error of an RPC that is to fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def eventually(condition: Callable[[], Any], *, seconds: float = PATIENCE, what: str = "it to hold") -> None:
    """Returns when a condition holds; fails when that takes too long."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds:g} s for {what}"
        await asyncio.sleep(0.002)


class Gate:
    """Handlers that wait until a test lets them go on; for both kinds, and from any thread.

    Attributes:
        contexts: Of the handlers that came here, in their order.
        left: How many went on.
    """

    def __init__(self, response: Any = IMPORTED) -> None:
        self.contexts: list[Any] = []
        self.left = 0
        self._response = response
        self._open = threading.Event()

    def open(self) -> None:
        """Lets all go on, those to come too."""
        self._open.set()

    async def entered(self, count: int = 1) -> Any:
        """Returns when so many handlers came here; the context of the last of them."""
        await eventually(lambda: len(self.contexts) >= count, what=f"{count} handler(s) to begin")
        return self.contexts[count - 1]

    async def aio(self, request: Any, context: Any) -> Any:
        """An async handler."""
        self.contexts.append(context)
        while not self._open.is_set():  # noqa: ASYNC110 (an event of threads)
            await asyncio.sleep(0.002)
        self.left += 1
        return self._response

    def sync(self, request: Any, context: Any) -> Any:
        """An ordinary one; after a test it does not wait any more."""
        self.contexts.append(context)
        assert self._open.wait(PATIENCE)
        self.left += 1
        return self._response

    def handler(self, colour: str) -> Callable[..., Any]:
        """One of them: ``"async"`` or ``"sync"``."""
        return self.aio if colour == "async" else self.sync


both_handlers: Final = pytest.mark.parametrize("colour", ["async", "sync"])
