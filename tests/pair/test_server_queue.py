# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The server: how many operations run and wait, which exclude each other, and that none is lost on the way there."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any, Final

import grpc
import pytest

from example.library.v1 import library_pb2
from longrunning import Code, OperationError, Status
from longrunning.errors import StoreUnavailableError
from longrunning.server import LocalExecutor, RunResult
from longrunning.server.storage import ClaimTerms, NewOperation
from tests.pair.colours import IMPORT_BOOKS
from tests.pair.meddling import Meddled, failing
from tests.pair.serving import (
    IMPORT,
    IMPORTED,
    PARENT,
    Edge,
    Gate,
    Place,
    Running,
    both_handlers,
    bounds,
    eventually,
    everywhere,
    importing,
    once,
    over,
    refusal,
)

SECRET: Final = "/srv/secrets/keys.db: no such column: select * from accounts"


def parent_of(request: Any) -> str:
    """What excludes others."""
    return str(request.parent)


def uri_of(request: Any) -> str:
    """The same, finer."""
    return str(request.uri)


async def stored(running: Running) -> list[str]:
    """The names of all operations."""
    return [operation.name for operation in (await running.raw.list("shelves/-")).operations]


# --- bounds


@both_handlers
@everywhere
async def test_a_full_queue(place: Place, colour: str) -> None:
    """Beyond concurrency and queue a start is RESOURCE_EXHAUSTED and stores nothing; with room again it is fine (RUN-5)."""
    gate = Gate()
    executor = LocalExecutor(concurrency=2, queue=3)
    async with place.serving(importing(gate.handler(colour)), executor=executor) as running:
        results = await asyncio.gather(
            *(running.raw.start(IMPORT_BOOKS, IMPORT) for _ in range(9)), return_exceptions=True
        )
        errors = [error for error in results if isinstance(error, grpc.aio.AioRpcError)]
        assert {error.code() for error in errors} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert len(errors) == 4
        names = await stored(running)
        assert len(names) == 5
        await gate.entered(2)
        assert len(gate.contexts) == 2
        gate.open()
        for name in names:
            assert (await running.done(name)).HasField("response")
        assert (await running.outcome()).done


@pytest.mark.parametrize("concurrency", [1, 3])
@both_handlers
@once
async def test_no_more_handlers_run_than_are_allowed(place: Place, colour: str, concurrency: int) -> None:
    """However many are started, no more run at once than the concurrency allows, and they run in their order (RUN-5)."""
    now, most, order = 0, 0, list[str]()
    lock, may_leave = threading.Lock(), threading.Event()

    def enter(context: Any) -> None:
        nonlocal now, most
        with lock:
            order.append(context.name)
            now += 1
            most = max(most, now)

    def leave() -> None:
        nonlocal now
        with lock:
            now -= 1

    async def on_loop(request: Any, context: Any) -> Any:
        enter(context)
        await eventually(may_leave.is_set)
        await asyncio.sleep(0.003)
        leave()
        return IMPORTED

    def in_thread(request: Any, context: Any) -> Any:
        enter(context)
        assert may_leave.wait(20)
        time.sleep(0.003)
        leave()
        return IMPORTED

    handler = on_loop if colour == "async" else in_thread
    async with place.serving(importing(handler), executor=LocalExecutor(concurrency=concurrency)) as running:
        names = [await running.start() for _ in range(40)]
        await eventually(lambda: now == concurrency)
        may_leave.set()
        for name in names:
            await running.done(name)
        assert most == concurrency
        assert sorted(order) == sorted(names), "each ran once"
        if concurrency == 1:
            assert order == names
        elif (
            colour == "async"
        ):  # of three threads one may begin with its operation much later than the others with theirs
            position = {name: index for index, name in enumerate(order)}
            assert all(abs(position[name] - index) < 3 for index, name in enumerate(names))


@over(edges=tuple(Edge))
async def test_handlers_in_threads_block_nobody(place: Place) -> None:
    """While functions block their threads, Get, List, Wait and further starts are answered at once (RUN-5)."""
    blocked = threading.Event()

    def handler(request: Any, context: Any) -> Any:
        assert blocked.wait(20)
        return IMPORTED

    async with place.serving(importing(handler)) as running:
        names = [await running.start() for _ in range(20)]
        began = time.monotonic()
        for name in names:
            assert not (await running.raw.get(name)).done
            assert not (await running.raw.wait(name, 0, 1_000_000)).done
        assert len(await stored(running)) == 20
        assert time.monotonic() - began < 10
        blocked.set()
        for name in names:
            assert (await running.done(name)).done


# --- conflicts


@everywhere
async def test_operations_that_exclude_each_other(place: Place) -> None:
    """A second operation on a resource is ABORTED, stores nothing, and is fine when the first is done (SRV-8)."""
    gate = Gate()
    register = importing(gate.aio, resource=parent_of)
    async with place.serving(register) as running:
        first = await running.start()
        await gate.entered()
        error = await refusal(running.raw.start(IMPORT_BOOKS, IMPORT))
        assert error.code() is grpc.StatusCode.ABORTED
        assert PARENT in (error.details() or "")
        other = await running.start(request=library_pb2.ImportBooksRequest(parent="shelves/2"))
        assert sorted(await stored(running)) == sorted([first, other])
        await running.raw.delete(first)
        again = await refusal(running.raw.start(IMPORT_BOOKS, IMPORT))
        assert again.code() is grpc.StatusCode.ABORTED, "it is hidden, and works on"
        gate.open()
        await running.done(other)
        await eventually(lambda: gate.left == 2)
        assert (await running.outcome()).HasField("response")


@everywhere
async def test_one_of_many_that_exclude_each_other(place: Place) -> None:
    """Of many starts at once on one resource exactly one succeeds; a cancelled one frees the resource (SRV-8)."""
    gate = Gate()
    executor = LocalExecutor(concurrency=1)
    register = importing(gate.aio, resource=uri_of)
    async with place.serving(register, executor=executor) as running:
        await running.start(request=library_pb2.ImportBooksRequest(parent=PARENT, uri="another"))
        starts = (running.raw.start(IMPORT_BOOKS, IMPORT) for _ in range(10))
        results = await asyncio.gather(*starts, return_exceptions=True)
        started = [result for result in results if not isinstance(result, BaseException)]
        assert len(started) == 1
        codes = {result.code() for result in results if isinstance(result, grpc.aio.AioRpcError)}
        assert codes == {grpc.StatusCode.ABORTED}
        await running.raw.cancel(started[0].name)
        gate.open()
        assert (await running.outcome()).HasField("response")


@once
async def test_conflicts_take_no_place_in_the_queue(place: Place) -> None:
    """Starts that are ABORTED, refused or answered at once do not use up the queue (RUN-5, SRV-8)."""
    gate = Gate()
    register = importing(gate.aio, resource=uri_of)
    async with place.serving(register, executor=LocalExecutor(concurrency=1, queue=1)) as running:
        await running.start()
        for _ in range(5):
            assert (await refusal(running.raw.start(IMPORT_BOOKS, IMPORT))).code() is grpc.StatusCode.ABORTED
        await running.start(request=library_pb2.ImportBooksRequest(parent=PARENT, uri="another"))
        gate.open()


# --- going away, and breaking


@everywhere
async def test_a_caller_that_gives_up_has_started_it_nevertheless(place: Place) -> None:
    """Where the client cancels its start while it is being stored, the operation is stored and run (SRV-2, RUN-2)."""
    gate = Gate()
    gate.open()
    store, let_go = Meddled(place.store()), asyncio.Event()
    store.before["create"] = lambda *arguments: let_go.wait()
    async with place.serving(importing(gate.aio), store=store) as running:
        start = running.raw.start(IMPORT_BOOKS, IMPORT)
        task = asyncio.ensure_future(start)
        await eventually(lambda: "create" in store.calls)
        start.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0.05)
        let_go.set()
        await gate.entered()
        await eventually(lambda: gate.left == 1)
        (name,) = await stored(running)
        assert (await running.done(name)).HasField("response")


@everywhere
async def test_a_store_that_is_away(place: Place) -> None:
    """Where the store is not available every call is UNAVAILABLE, nothing is acknowledged, and no place is lost (SRV-2)."""
    store = Meddled(place.store())
    error = StoreUnavailableError(SECRET)
    async with place.serving(store=store, executor=LocalExecutor(concurrency=1, queue=1)) as running:
        done = await running.outcome()
        for method in ("create", "get", "list", "request_cancel", "delete"):
            store.before[method] = failing(error)
        for _ in range(5):
            for call in (
                running.raw.start(IMPORT_BOOKS, IMPORT),
                running.raw.get(done.name),
                running.raw.list(PARENT),
                running.raw.cancel(done.name),
                running.raw.delete(done.name),
                running.raw.wait(done.name, 5),
            ):
                refused = await refusal(call)
                assert refused.code() is grpc.StatusCode.UNAVAILABLE
                assert "srv" not in (refused.details() or "")
        store.before.clear()
        assert await stored(running) == [done.name]
        assert (await running.outcome()).done


@over(stores=("memory",))
async def test_faults_of_a_store_are_not_told(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """What else a store raises is INTERNAL in all six methods, told no further, and logged in full (SRV-2)."""
    store = Meddled(place.store())
    async with place.serving(store=store) as running:
        done = await running.outcome()
        for method in ("create", "get", "list", "request_cancel", "delete"):
            store.before[method] = failing(RuntimeError(SECRET))
        for call in (
            running.raw.start(IMPORT_BOOKS, IMPORT),
            running.raw.get(done.name),
            running.raw.list(PARENT),
            running.raw.cancel(done.name),
            running.raw.delete(done.name),
            running.raw.wait(done.name, 5),
        ):
            refused = await refusal(call)
            assert refused.code() is grpc.StatusCode.INTERNAL
            assert "srv" not in (refused.details() or "")
        assert [record.name for record in caplog.records] == ["longrunning.server"] * 6
        assert caplog.text.count(f"RuntimeError: {SECRET}") == 6


class Odd:
    """An executor as somebody may write it: it has no place, or loses what it is given."""

    def __init__(self, *, refuses: bool) -> None:
        self.refuses = refuses
        self.inner = LocalExecutor()

    async def open(self, runner: Any) -> None:
        await self.inner.open(runner)

    async def close(self) -> None:
        await self.inner.close()

    def reserve(self) -> Any:
        if self.refuses:
            raise OperationError(Status(Code.RESOURCE_EXHAUSTED, "the queue of tonight is full"))
        return Losing()

    @property
    def room(self) -> int:
        return self.inner.room

    async def submit(self, name: str, method: str) -> None:
        await self.inner.submit(name, method)


class Losing:
    """A place whose broker is away."""

    here = False

    def give_up(self) -> None:
        """There is nothing to give up."""

    async def submit(self, name: str, method: str, lease: Any) -> None:
        raise ConnectionError(SECRET)


@everywhere
async def test_an_executor_that_has_no_place(place: Place) -> None:
    """The OperationError with which an executor refuses a place is the error of the RPC, as its protocol says (RUN-5)."""
    async with place.serving(executor=Odd(refuses=True)) as running:
        error = await refusal(running.raw.start(IMPORT_BOOKS, IMPORT))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert error.details() == "the queue of tonight is full"
        assert not await stored(running)


@everywhere
async def test_an_executor_that_loses_what_was_stored(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """What was stored is acknowledged though the executor failed to take it, and the reconciler brings it up (RUN-2)."""
    limits = bounds(reconcile_interval=0.05)
    async with place.serving(executor=Odd(refuses=False), limits=limits) as running:
        assert (await running.outcome()).HasField("response")
        assert SECRET in caplog.text


class Doubling(Odd):
    """An executor that brings every name several times at once, and some that nobody knows."""

    def __init__(self) -> None:
        super().__init__(refuses=False)
        self.runner: Any = None
        self.results: list[RunResult] = []

    async def open(self, runner: Any) -> None:
        self.runner = runner
        await super().open(runner)

    def reserve(self) -> Any:
        return self

    here = False

    def give_up(self) -> None:
        """There is nothing to give up."""

    async def submit(self, name: str, method: str, lease: Any = None) -> None:
        runs = (self.runner.run(each) for each in (name, name, f"{name}0", name))
        self.results += await asyncio.gather(*runs)


@everywhere
async def test_an_executor_that_brings_names_twice(place: Place) -> None:
    """Brought several times at once, an operation is run once; unknown names are settled (RUN-1)."""
    gate, executor = Gate(), Doubling()
    gate.open()
    async with place.serving(
        importing(gate.aio), executor=executor, limits=bounds(reconcile_interval=0.002)
    ) as running:
        assert (await running.outcome()).HasField("response")
        assert len(gate.contexts) == 1
        # Four for each time it was given to the executor: the reconciler may have found it in the store, too.
        await eventually(lambda: len(executor.results) >= 4)
        assert executor.results.count(RunResult.SETTLED) >= 2
        assert executor.results[2] is RunResult.SETTLED
        assert await executor.runner.run(gate.contexts[0].name) is RunResult.SETTLED
        assert len(gate.contexts) == 1


@everywhere
async def test_an_operation_that_has_to_wait_holds_no_lease(place: Place) -> None:
    """An operation that is stored while the reconciler fills the last place may be taken by other replicas (RUN-2, RUN-5)."""
    store, gate = Meddled(place.store()), Gate()

    async def until_created(*arguments: Any, **named: Any) -> None:
        await eventually(lambda: "create" in store.calls[before:])

    limits, executor = bounds(reconcile_interval=0.02), LocalExecutor(concurrency=1)
    async with place.serving(importing(gate.aio), store=store, executor=executor, limits=limits) as running:
        before = len(store.calls)
        store.before["due"] = until_created
        await eventually(lambda: "due" in store.calls[before:])
        left = NewOperation(name=f"{PARENT}/operations/op-left", parent=PARENT, method=IMPORT_BOOKS.path)
        await store.store.create(left)
        name = await running.start()
        first = await gate.entered()
        assert first.name == name  # it was stored with its lease, and did not have to wait
        thief = ClaimTerms(worker="thief", methods=frozenset({IMPORT_BOOKS.path}), ttl=60)
        assert await running.store.claim(left.name, thief) is not None
        gate.open()


class Tardy(Odd):
    """An executor that begins with what it was given only when it is closed."""

    here = True

    def __init__(self) -> None:
        super().__init__(refuses=False)
        self.runner: Any = None
        self.given: list[Any] = []
        self.results: list[RunResult] = []

    async def open(self, runner: Any) -> None:
        self.runner = runner

    async def close(self) -> None:
        for name, lease in self.given:
            self.results += [await self.runner.work(lease), await self.runner.run(name)]

    def reserve(self) -> Any:
        return self

    def give_up(self) -> None:
        """There is nothing to give up."""

    async def submit(self, name: str, method: str, lease: Any = None) -> None:
        if lease is not None:
            self.given.append((name, lease))


@everywhere
async def test_an_executor_that_comes_too_late(place: Place) -> None:
    """An operation brought when the server has stopped is given back, and the next one runs it at once (RUN-4)."""
    gate, executor = Gate(), Tardy()
    gate.open()
    async with place.serving(importing(gate.aio, max_attempts=1), executor=executor) as running:
        name = await running.start()
    assert executor.results == [RunResult.GIVEN_UP, RunResult.GIVEN_UP]
    assert not gate.contexts
    async with place.serving(importing(gate.aio, max_attempts=1), limits=bounds(reconcile_interval=0.05)) as running:
        async with asyncio.timeout(5):
            assert (await running.done(name)).HasField("response")
