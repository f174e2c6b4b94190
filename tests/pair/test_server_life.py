# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The server: entering and leaving it, on a loop and on a thread of its own, again and again, and in vain."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any, Final

import grpc
import pytest

from example.library.v1 import library_pb2
from longrunning.errors import StoreUnavailableError
from longrunning.server import AllowAll, LocalExecutor, MemoryStore, OperationsServer, SqliteStore
from longrunning.server.storage import ClaimTerms, NewOperation
from tests.pair.colours import IMPORT_BOOKS
from tests.pair.meddling import Meddled, failing
from tests.pair.serving import (
    IMPORT,
    PARENT,
    Edge,
    Place,
    bounds,
    everywhere,
    importing,
    imports,
    library,
    once,
    over,
    refusal,
)

AT_ONCE: Final = bounds(shutdown_grace=0, reconcile_interval=0.05)


@over(edges=tuple(Edge), stores=("memory",))
async def test_a_server_may_run_again(place: Place) -> None:
    """A server whose store can be opened again may be left and entered again; entering it twice is an error (RUN-4)."""
    async with place.serving() as running:
        for _ in range(3):
            assert (await running.outcome()).HasField("response")
            with pytest.raises(RuntimeError, match="already"):
                await running.enter()
            await running.shut_down()
            await running.shut_down()
            await running.enter()
        assert len((await running.raw.list(PARENT)).operations) == 3


@over(stores=("sqlite",))
async def test_a_closed_store_says_what_to_do(place: Place) -> None:
    """A server whose store cannot be opened again says so when it is entered again, and stays as it is (RUN-4)."""
    async with place.serving() as running:
        await running.shut_down()
        for _ in range(2):
            with pytest.raises(RuntimeError, match="make a new one"):
                await running.enter()
        assert (await refusal(running.raw.get(f"{PARENT}/operations/op-1"))).code() is grpc.StatusCode.UNAVAILABLE


def thread_server(store: Any, **arguments: Any) -> OperationsServer:
    """A server to be entered with `with`."""
    server = OperationsServer(store=store, authorizer=AllowAll(), limits=bounds(), **arguments)
    library(server)
    return server


def test_with_runs_on_a_thread() -> None:
    """`with server:` runs it on a thread of its own, and the end of the block ends the thread (RUN-4, RUN-5)."""
    before = set(threading.enumerate())
    server = thread_server(MemoryStore())
    for _ in range(2):
        with server as entered:
            assert entered is server
            assert server.start_blocking(IMPORT_BOOKS, IMPORT).name
            with pytest.raises(RuntimeError, match="already"), server:
                pass
            assert "running" in repr(server)
        with pytest.raises(RuntimeError, match="not running"):
            _ = server.loop
        assert set(threading.enumerate()) <= before


def test_with_ends_after_an_exception() -> None:
    """An exception in the block of `with server:` passes, and the thread ends (RUN-4)."""
    before = set(threading.enumerate())
    with pytest.raises(KeyError), thread_server(MemoryStore()):
        raise KeyError
    assert set(threading.enumerate()) <= before


def test_with_and_async_with_exclude_each_other() -> None:
    """A server that runs on a thread cannot be entered by a loop as well (RUN-4)."""
    server = thread_server(MemoryStore())

    async def enter() -> None:
        async with server:
            pass

    with server, pytest.raises(RuntimeError, match="already"):
        asyncio.run(enter())
    asyncio.run(enter())


def test_errors_at_the_start_surface(tmp_path: Any) -> None:
    """What keeps a server from starting is raised by `with` and by `async with`, and it may be tried again (RUN-4)."""
    folder = tmp_path / "absent"
    for _ in range(2):
        with pytest.raises(StoreUnavailableError), thread_server(SqliteStore(folder / "operations.db")):
            pass
    server = thread_server(SqliteStore(folder / "operations.db"))

    async def enter() -> None:
        async with server:
            pass

    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            asyncio.run(enter())
    folder.mkdir()
    asyncio.run(enter())


@pytest.mark.parametrize("method", ["open", "secret"])
def test_a_store_that_fails_at_the_start_is_closed(method: str) -> None:
    """Where a server fails as it starts, its store is closed if it was opened, and no task or thread is left (RUN-4)."""
    store = Meddled(MemoryStore())
    store.before[method] = failing(StoreUnavailableError("the disk is gone"), times=1)
    server = thread_server(store)
    with pytest.raises(StoreUnavailableError), server:
        pass
    assert store.calls == (["open"] if method == "open" else ["open", "secret", "close"])
    with server:
        assert server.start_blocking(IMPORT_BOOKS, IMPORT).name


def test_errors_at_the_end_surface() -> None:
    """What goes wrong as a server ends is raised by `with` too, and no thread is left (RUN-4)."""
    store = Meddled(MemoryStore())
    store.before["close"] = failing(RuntimeError("the disk is gone"), times=1)
    before = set(threading.enumerate())
    with pytest.raises(RuntimeError, match="the disk is gone"), thread_server(store):
        pass
    assert set(threading.enumerate()) <= before


@once
async def test_an_error_inside_passes(place: Place) -> None:
    """An exception inside `async with server` passes as it is; the server has ended (RUN-4)."""
    server = OperationsServer(store=place.store(), authorizer=AllowAll())
    with pytest.raises(KeyError):
        async with server:
            raise KeyError
    with pytest.raises(RuntimeError, match="not running"):
        _ = server.loop


@everywhere
async def test_nothing_is_logged_of_a_quiet_life(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """Starting, working, waiting and ending without trouble logs neither a warning nor an error (RUN-4)."""
    with caplog.at_level(logging.DEBUG, logger="longrunning"):
        async with place.serving() as running:
            for _ in range(3):
                await running.raw.delete((await running.outcome()).name)
        assert not [record for record in caplog.records if record.levelno > logging.INFO]


@once
async def test_what_was_left_long_ago_is_brought_up(place: Place) -> None:
    """Operations of dead workers and of full queues are picked up in the order of their creation (RUN-2)."""
    store, order = place.store(), list[str]()
    terms = ClaimTerms(worker="dead", methods=frozenset({IMPORT_BOOKS.path}), ttl=10)
    for number in range(20):
        new = NewOperation(name=f"{PARENT}/operations/op-{number:02}", parent=PARENT, method=IMPORT_BOOKS.path)
        await store.create(new, terms if number % 2 else None)
    place.clock.jump(20)

    async def handler(request: library_pb2.ImportBooksRequest, context: Any) -> Any:
        order.append(f"{context.name[-2:]} {context.attempt}")
        return await imports(request, context)

    executor = LocalExecutor(concurrency=2)
    async with place.serving(importing(handler), executor=executor, limits=AT_ONCE) as running:
        for number in range(20):
            await running.done(f"{PARENT}/operations/op-{number:02}")
    assert order == [f"{number:02} {1 + number % 2}" for number in range(20)]
