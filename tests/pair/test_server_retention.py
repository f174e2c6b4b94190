# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Done operations go when their time is over, and no others do; the time is that of the store."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.protobuf import duration_pb2

from example.library.v1 import library_pb2
from longrunning import Code, OperationError, Status
from longrunning._pb import operations_pb2
from longrunning.errors import StoreUnavailableError
from longrunning.server import Limits, MemoryStore, OperationStore, SqliteStore
from tests.pair.callers import Caller
from tests.pair.serving import (
    PARENT,
    PATIENCE,
    Edge,
    Gate,
    Place,
    Register,
    Running,
    bounds,
    eventually,
    everywhere,
    importing,
    imports,
    once,
    over,
)

on_aio = over(edges=(Edge.AIO,))  # what the edge has no part in
DAY = 86_400.0
DONE_AT_ONCE = importing(imports)
OFTEN = 0.01  # seconds between two looks for what is old
NOT_FOUND, OK = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.OK


class Clock:
    """The time of a store, which goes on by itself, and further when told."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Lets time pass."""
        self._ahead += seconds


class Aged:
    """A place whose stores read one clock."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.clock = Clock()
        self._memory = MemoryStore(clock=self.clock)

    def store(self) -> OperationStore:
        """A store; all have the same operations."""
        if self._place.kind == "memory":
            return self._memory
        return SqliteStore(self._place.folder / "operations.db", clock=self.clock)

    @asynccontextmanager
    async def serving(
        self, register: Register = DONE_AT_ONCE, *, store: OperationStore | None = None, **changes: Any
    ) -> AsyncGenerator[tuple[Running, Caller], None]:
        """A server that often looks for what is old, and for nothing else; and a caller."""
        limits = bounds(**({"purge_interval": OFTEN, "reconcile_interval": 1000.0} | changes))
        used = self.store() if store is None else store
        async with self._place.serving(register, store=used, limits=limits) as running:
            yield running, Caller(running.channel)


async def started(caller: Caller, count: int) -> list[str]:
    """So many operations that are done."""
    names = [await caller.start() for _ in range(count)]
    for name in names:
        await caller.done(name)
    return names


async def becomes(found: Callable[[], Awaitable[Any]], wanted: object) -> None:
    """Returns when an answer is what is wanted; fails when that takes too long."""
    end = time.monotonic() + PATIENCE
    while (now := await found()) != wanted:
        assert time.monotonic() < end, f"it is still {now!r}"
        await asyncio.sleep(0.005)


async def looked(running: Running, times: int = 2) -> None:
    """Returns when the server has looked for what is old so many times more."""
    store: Any = running.store
    purge, seen = store.purge, 0

    async def counted(**arguments: Any) -> int:
        nonlocal seen
        removed = int(await purge(**arguments))
        seen += 1
        return removed

    store.purge = counted
    try:
        await eventually(lambda: seen >= times)
    finally:
        store.purge = purge


def test_operations_are_kept_for_thirty_days() -> None:
    """Unless told otherwise, what is done is kept for 30 days, and looked for every minute, in batches (SRV-9)."""
    limits = Limits()
    assert (limits.retention, limits.purge_interval) == (30 * DAY, 60.0)
    assert 1 < limits.purge_batch <= 1000
    assert Limits(retention=timedelta(hours=1)).retention == 3600.0


@everywhere
async def test_what_is_done_goes_when_its_time_is_over(place: Place) -> None:
    """A done operation is there for 30 days, and then absent for all five methods, as if it had never been (SRV-9)."""
    aged = Aged(place)
    async with aged.serving() as (running, caller):
        names = await started(caller, 3)
        aged.clock.advance(30 * DAY - 60)
        await looked(running)
        assert set(await caller.listed(PARENT)) == set(names)
        aged.clock.advance(61)
        await becomes(lambda: caller.listed(PARENT), [])
        for name in names:
            for rpc in ("GetOperation", "WaitOperation", "CancelOperation", "DeleteOperation"):
                said = await caller.about(rpc, name)
                never = await caller.about(rpc, f"{name[:-4]}0000")
                assert said.code is NOT_FOUND
                assert said.message.replace(name, "") == never.message.replace(f"{name[:-4]}0000", "")


@everywhere
async def test_what_is_not_done_is_never_purged(place: Place) -> None:
    """An operation that runs or is queued stays, however old; its time begins when it ends (SRV-9)."""
    aged, gate = Aged(place), Gate()
    async with aged.serving(importing(gate.aio), lease_ttl=400 * DAY) as (running, caller):
        name = await caller.start()
        await gate.entered()
        aged.clock.advance(200 * DAY)
        await looked(running)
        assert not (await caller.about("GetOperation", name)).operation.done
        gate.open()
        await caller.done(name)
        await looked(running)
        assert (await caller.about("GetOperation", name)).operation.done
        aged.clock.advance(29 * DAY)
        await looked(running)
        assert (await caller.about("GetOperation", name)).code is OK
        aged.clock.advance(2 * DAY)
        await becomes(lambda: caller.listed(PARENT), [])


@everywhere
async def test_failed_cancelled_and_deleted_ones_go_too(place: Place) -> None:
    """However an operation ended, and also if it was deleted, nothing of it stays (SRV-9, SRV-5)."""
    aged = Aged(place)

    async def handler(request: library_pb2.ImportBooksRequest, context: Any) -> library_pb2.ImportBooksResponse:
        if request.count == 1:
            raise OperationError(Status(Code.NOT_FOUND, "no such book"))
        while request.count == 2:
            context.raise_if_cancelled()
            await asyncio.sleep(0.002)
        return library_pb2.ImportBooksResponse()

    async with aged.serving(importing(handler)) as (running, caller):
        names = [await caller.start(library_pb2.ImportBooksRequest(parent=PARENT, count=count)) for count in range(4)]
        await caller.about("CancelOperation", names[2])
        codes = [(await caller.done(name)).error.code for name in names]
        assert codes == [0, Code.NOT_FOUND, Code.CANCELLED, 0]
        await caller.about("DeleteOperation", names[3])
        aged.clock.advance(31 * DAY)
        await becomes(lambda: caller.listed(PARENT), [])
        assert await rows(running.store) == 0


async def rows(store: OperationStore) -> int:
    """How many operations a store holds, deleted ones too."""
    inside: Any = store
    if isinstance(store, MemoryStore):
        return len(inside._rows)
    with contextlib.closing(sqlite3.connect(inside._path)) as connection:
        return int(connection.execute("select count(*) from operations").fetchone()[0])


@on_aio
async def test_they_go_in_batches(place: Place) -> None:
    """However many are past their time, no step removes more than a batch, and all of them go (SRV-9)."""
    aged, steps = Aged(place), list[tuple[int, int]]()
    async with aged.serving(purge_batch=3, purge_interval=0.05) as (running, caller):
        store: Any = running.store
        purge = store.purge

        async def noted(*, older_than: float, limit: int) -> int:
            removed = int(await purge(older_than=older_than, limit=limit))
            steps.append((limit, removed))
            return removed

        await started(caller, 10)
        store.purge = noted
        aged.clock.advance(31 * DAY)
        await becomes(lambda: caller.listed(PARENT), [])
        await eventually(lambda: sum(removed for _, removed in steps) >= 10)  # the last step is told after it was made
        assert {limit for limit, _ in steps} == {3}
        assert [removed for _, removed in steps if removed] == [3, 3, 3, 1]


@everywhere
async def test_what_became_old_meanwhile_goes_at_the_start(place: Place) -> None:
    """A server looks for what is old when it starts, and not only after an interval (SRV-9)."""
    aged = Aged(place)
    async with aged.serving(purge_interval=1000.0) as (_, caller):
        await started(caller, 3)
    aged.clock.advance(31 * DAY)
    async with aged.serving(purge_interval=1000.0) as (_, caller):
        await becomes(lambda: caller.listed(PARENT), [])


@on_aio
async def test_a_store_that_fails_is_asked_again(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """A purge that fails, for a reason known or not, is logged, and tried again at the next interval (SRV-9)."""
    aged = Aged(place)
    store: Any = aged.store()
    errors: list[Exception] = [StoreUnavailableError("the disk is full"), RuntimeError("a fault")]
    purge = store.purge

    async def failing(**arguments: Any) -> int:
        if errors:
            raise errors.pop(0)
        return int(await purge(**arguments))

    store.purge = failing
    with caplog.at_level(logging.WARNING, logger="longrunning.server"):
        async with aged.serving(store=store) as (_, caller):
            await started(caller, 2)
            aged.clock.advance(31 * DAY)
            await becomes(lambda: caller.listed(PARENT), [])
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]
    assert "the disk is full" in caplog.text


@on_aio
async def test_nothing_may_be_kept(place: Place) -> None:
    """With a retention of 0 what is done goes with the next look; who waits still learns of it, or finds it absent (SRV-9)."""
    aged, gate = Aged(place), Gate()
    async with aged.serving(importing(gate.aio), retention=0, purge_interval=0.2) as (running, caller):
        name = await caller.start()
        await gate.entered()
        waiting = asyncio.create_task(caller.ask("WaitOperation", _wait(name)))
        await eventually(lambda: running.waiters == 1)
        gate.open()
        said = await waiting
        assert said.code in {OK, NOT_FOUND}
        await becomes(lambda: caller.listed(PARENT), [])
        assert await rows(running.store) == 0


def _wait(name: str) -> Any:
    return operations_pb2.WaitOperationRequest(name=name, timeout=duration_pb2.Duration(seconds=30))


@on_aio
async def test_they_may_be_kept_for_a_hundred_years(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """With the longest retention nothing is purged within a hundred years, and no look for what is old fails (SRV-9)."""
    aged = Aged(place)
    with caplog.at_level(logging.WARNING, logger="longrunning.server"):
        async with aged.serving(retention=timedelta(days=36_525)) as (running, caller):
            [name] = await started(caller, 1)
            aged.clock.advance(36_524 * DAY)
            await looked(running)
            assert (await caller.about("GetOperation", name)).code is OK
            aged.clock.advance(2 * DAY)
            await becomes(lambda: rows(running.store), 0)
    assert caplog.records == []


@once
async def test_a_running_handler_outlives_a_purge(place: Place) -> None:
    """A deleted operation whose handler still runs is not purged under it: its writes find their row (SRV-9, SRV-5)."""
    aged, gate = Aged(place), Gate()
    async with aged.serving(importing(gate.aio), lease_ttl=400 * DAY) as (running, caller):
        name = await caller.start()
        context = await gate.entered()
        await caller.about("DeleteOperation", name)
        aged.clock.advance(100 * DAY)
        await looked(running)
        await context.update(library_pb2.ImportBooksMetadata(done=1))
        assert await rows(running.store) == 1
        gate.open()
        await looked(running)
        aged.clock.advance(31 * DAY)
        await becomes(lambda: rows(running.store), 0)
