# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""One test, two colours: the body is async, the client in it is the sync or the async one.

A body gets a `Both`. Calling it settles whatever a client's verb returned: ``await both(handle.wait())`` awaits a coroutine
and passes everything else on. In the sync colour a verb blocks the event loop; the server has threads of its own.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import inspect
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import grpc
import grpc.aio
import pytest

from example.library.v1 import library_pb2
from longrunning import AsyncOperationsClient, LroMethod, OperationsClient, PollPolicy, TypeRegistry
from longrunning.testing import (
    AsyncFakeClock,
    AsyncOperationsPair,
    FakeClock,
    RecordedCall,
    ScriptedOperations,
    Step,
    async_operations_pair,
    operations_pair,
    pending,
    succeeded,
)

P = ParamSpec("P")
T = TypeVar("T")
Scripts = ScriptedOperations | Mapping[str, Iterable[Step]] | None

NAME = "operations/1"
GET, CANCEL, DELETE = "GetOperation", "CancelOperation", "DeleteOperation"
REQUEST = library_pb2.ImportBooksRequest(parent="shelves/1", uri="file:books", count=4)
RESPONSE = library_pb2.ImportBooksResponse(imported=4)
IMPORT_BOOKS = LroMethod(
    path="/example.library.v1.Library/ImportBooks",
    request_type=library_pb2.ImportBooksRequest,
    response_type=library_pb2.ImportBooksResponse,
    metadata_type=library_pb2.ImportBooksMetadata,
)
CREATE_SHELF = LroMethod(
    path="/example.library.v1.Library/CreateShelf",
    request_type=library_pb2.CreateShelfRequest,
    response_type=library_pb2.Shelf,
    metadata_type=library_pb2.OperationMetadata,
)
LIBRARY = TypeRegistry.from_modules(library_pb2)


def metadata(done: int) -> library_pb2.ImportBooksMetadata:
    """How far the import is."""
    return library_pb2.ImportBooksMetadata(total=4, done=done, percent=25 * done)


def progress(done: int, *, times: int | None = 1) -> Step:
    """Not done yet, but so far."""
    return pending(metadata(done), times=times)


def imported() -> Step:
    """Done."""
    return succeeded(RESPONSE, metadata=metadata(4))


def run(coroutine: Coroutine[Any, Any, T], seconds: float = 20) -> T:
    """Runs a coroutine, and fails rather than hangs."""

    async def bounded() -> T:
        async with asyncio.timeout(seconds):
            return await coroutine

    return asyncio.run(bounded())


def polls(**options: Any) -> PollPolicy:
    """A policy that asks with GetOperation alone, which is what these tests count."""
    if any(field.name == "use_wait_operation" for field in dataclasses.fields(PollPolicy)):
        options.setdefault("use_wait_operation", False)
    return PollPolicy(**options)


def async_pair(operations: Scripts = None, **options: Any) -> AbstractAsyncContextManager[AsyncOperationsPair]:
    """`async_operations_pair`, with such a policy."""
    options.setdefault("policy", polls())
    return async_operations_pair(operations, **options)


class Both:
    """The sync or the async side of everything that has two."""

    def __init__(self, colour: str) -> None:
        self.sync = colour == "sync"

    async def __call__(self, returned: Any) -> Any:
        """The result of a verb: awaited where it is a coroutine."""
        return await returned if inspect.iscoroutine(returned) else returned

    async def each(self, iterable: Any) -> AsyncGenerator[Any, None]:
        """Iterates over what a client hands out, a generator or an async one."""
        if self.sync:
            for item in iterable:
                yield item
        else:
            async for item in iterable:
                yield item

    async def collect(self, iterable: Any) -> list[Any]:
        """Everything that comes out of an iterator."""
        return [item async for item in self.each(iterable)]

    async def next(self, iterator: Any) -> Any:
        """The next item of an iterator; ``None`` after the last one."""
        return next(iterator, None) if self.sync else await anext(iterator, None)

    async def close(self, iterator: Any) -> None:
        """Closes an iterator."""
        if self.sync:
            iterator.close()
        else:
            await iterator.aclose()

    def spawn(self, call: Callable[[], Any]) -> asyncio.Future[Any]:
        """Runs a verb beside the test: in a task, or in a thread of its own."""
        if not self.sync:
            task: asyncio.Future[Any] = asyncio.ensure_future(call())
            return task
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()

        def work() -> None:
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 (it is raised where the future is awaited)
                future.set_exception(error)

        threading.Thread(target=work, name="waiter", daemon=True).start()
        return asyncio.wrap_future(future)

    def clock(self, **options: Any) -> Any:
        """A fake clock."""
        return FakeClock(**options) if self.sync else AsyncFakeClock(**options)

    @asynccontextmanager
    async def pair(self, operations: Scripts = None, **options: Any) -> AsyncGenerator[Any, None]:
        """A client that polls and a scripted server; options as of `operations_pair`."""
        options.setdefault("policy", polls())
        if self.sync:
            with operations_pair(operations, **options) as pair:
                yield pair
        else:
            async with async_pair(operations, **options) as pair:
                yield pair

    @asynccontextmanager
    async def serve(self, scripted: ScriptedOperations, **options: Any) -> AsyncGenerator[Any, None]:
        """A scripted server alone."""
        if self.sync:
            with scripted.serve(**options) as server:
                yield server
        else:
            async with scripted.serve_aio(**options) as server:
                yield server

    def client(self, channel: Any, **options: Any) -> Any:
        """A client on a channel; it polls, and on a fake clock, unless told otherwise."""
        options.setdefault("clock", self.clock())
        options.setdefault("policy", polls())
        return OperationsClient(channel, **options) if self.sync else AsyncOperationsClient(channel, **options)

    def channel(self, target: str, *, interceptors: Iterable[Any] = ()) -> AbstractAsyncContextManager[Any]:
        """A channel, closed in the end."""

        @asynccontextmanager
        async def opened() -> AsyncGenerator[Any, None]:
            if self.sync:
                with grpc.insecure_channel(target) as channel:
                    yield grpc.intercept_channel(channel, *interceptors)
            else:
                async with grpc.aio.insecure_channel(target, interceptors=list(interceptors)) as channel:
                    yield channel

        return opened()


def both_colours(body: Callable[Concatenate[Both, P], Awaitable[None]]) -> Callable[..., None]:
    """Makes two tests of an async body: with the sync client, and with the async one."""

    def test(colour: str, *args: P.args, **kwargs: P.kwargs) -> None:
        async def bounded() -> None:
            await body(Both(colour), *args, **kwargs)

        run(bounded())

    # pytest asks the signature which parameters there are to fill in.
    _, *parameters = inspect.signature(body).parameters.values()
    own = inspect.Parameter("colour", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    named: Any = test
    named.__signature__ = inspect.Signature([own, *parameters])
    named.__doc__, named.__name__, named.__qualname__ = body.__doc__, body.__name__, body.__qualname__
    named.__module__ = body.__module__
    return pytest.mark.parametrize("colour", ["sync", "async"])(test)


def about(seconds: float) -> Any:
    """A deadline as a server sees it: gRPC rounds, and the way there takes time."""
    return Around(seconds)


@dataclasses.dataclass(frozen=True, eq=False)
class Around:
    """Equal to a little more than some seconds, and to what a busy machine leaves of them: see `about`."""

    seconds: float

    def __eq__(self, other: object) -> bool:
        # A sixth of it, at most: what was meant to be another deadline is not taken for this one.
        late = max(0.25, min(1.0, self.seconds / 6))
        return isinstance(other, float | int) and self.seconds - late <= other <= self.seconds + 0.25

    def __hash__(self) -> int:
        return hash(self.seconds)


def busy() -> bool:
    """Whether another thread of this process is ready to run, or running; where that cannot be known, not."""
    me = str(threading.get_native_id())
    for task in Path("/proc/self/task").glob("*/stat"):
        # A thread that has ended meanwhile is not busy.
        with suppress(OSError):
            if task.parent.name != me and task.read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "R":
                return True
    return False


async def settle(seconds: float = 0.05) -> None:
    """Lets everybody get as far as they can, in real time, where there is nothing to wait for.

    On a busy machine a thread may have to wait for a processor much longer than that: it gets until it sleeps again.
    """
    await asyncio.sleep(seconds)
    quiet, end = 0, time.monotonic() + 5
    while quiet < 3 and time.monotonic() < end:
        quiet = 0 if busy() else quiet + 1
        await asyncio.sleep(0.006)  # longer than a thread that wants to run Python waits at a time


def came_in(count: int) -> Callable[[tuple[RecordedCall, ...]], bool]:
    """A condition for `ScriptedOperations.wait_until`: so many RPCs came in."""
    return lambda calls: len(calls) >= count


def answered(count: int) -> Callable[[tuple[RecordedCall, ...]], bool]:
    """A condition for `ScriptedOperations.wait_until`: so many RPCs were answered."""
    return lambda calls: sum(call.finished is not None for call in calls) >= count
