# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The server: WaitOperation, its timeouts, what wakes it, and how many may wait."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import grpc
import pytest
from google.rpc import code_pb2

from longrunning.errors import StoreUnavailableError
from longrunning.server import LocalExecutor
from longrunning.server.storage import ClaimTerms, NewOperation, Outcome
from tests.pair.colours import IMPORT_BOOKS, metadata
from tests.pair.meddling import Meddled, failing
from tests.pair.serving import (
    ABSENT,
    PARENT,
    Edge,
    Gate,
    Place,
    Running,
    bounds,
    eventually,
    everywhere,
    importing,
    once,
    over,
    refusal,
)

T = TypeVar("T")

HELD: Final = f"{PARENT}/operations/op-held"  # an operation that somebody else works on
TERMS: Final = ClaimTerms(worker="somebody else", methods=frozenset({IMPORT_BOOKS.path}), ttl=3600)
SUCCESS: Final = Outcome(code=None, payload=b"")
SOON: Final = 4.0  # seconds: less than until the store is asked again without a hint, or until a wait ends by itself


async def timed(call: Awaitable[Any]) -> tuple[Any, float]:
    """What a call returned, and how long it took, seconds."""
    began = time.monotonic()
    return await call, time.monotonic() - began


async def held(running: Running) -> int:
    """Stores `HELD`, and returns the fencing number of whoever works on it."""
    created = await running.store.create(NewOperation(name=HELD, parent=PARENT, method=IMPORT_BOOKS.path), TERMS)
    assert created.lease is not None
    return created.lease.fence


# --- how long


@over(edges=tuple(Edge), stores=("memory",))
async def test_a_wait_lasts_for_its_timeout(place: Place) -> None:
    """A wait ends after its timeout with OK and the state of then, its metadata included (SRV-6)."""
    gate = Gate()

    async def handler(request: Any, context: Any) -> Any:
        await context.update(metadata(1))
        return await gate.aio(request, context)

    async with place.serving(importing(handler)) as running:
        name = await running.start()
        await gate.entered()
        operation, seconds = await timed(running.raw.wait(name, 0, 300_000_000, timeout=30))
        assert not operation.done
        assert operation == await running.raw.get(name)
        assert operation.HasField("metadata")
        assert 0.29 <= seconds < 5
        gate.open()


async def in_time(call: Callable[[], Awaitable[T]]) -> T:
    """What a call returns; one that is late because this machine has other things to do is tried again."""
    for _ in range(5):
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                raise
    return await call()


@over(edges=tuple(Edge), stores=("memory",))
async def test_a_wait_ends_before_its_deadline(place: Place) -> None:
    """Where the deadline of the RPC is nearer than the timeout, or there is no timeout, it is OK as well (SRV-6)."""
    gate = Gate()
    async with place.serving(importing(gate.aio)) as running:
        name = await running.start()
        await gate.entered()
        for seconds in (2**62, None):
            wait = functools.partial(running.raw.wait, name, seconds, timeout=0.4)
            operation, took = await timed(in_time(wait))
            assert not operation.done
            assert took > 0.1, "it did wait"
        gate.open()


@over(stores=("memory",))
async def test_deadlines_of_every_length_are_met(place: Place) -> None:
    """Fifty waits with deadlines from 300 ms to 800 ms all end with OK, not with DEADLINE_EXCEEDED (SRV-6)."""
    gate = Gate()
    async with place.serving(importing(gate.aio), threads=128, limits=bounds(max_thread_waits=60)) as running:
        name = await running.start()

        async def fifty() -> list[Any]:
            waits = (running.raw.wait(name, 30, timeout=0.3 + number / 100) for number in range(50))
            return await asyncio.gather(*waits)

        assert not any(operation.done for operation in await in_time(fifty))
        gate.open()


@everywhere
async def test_timeouts_that_answer_at_once(place: Place) -> None:
    """A timeout of 0 answers at once, as does any where the operation is done (SRV-6)."""
    gate = Gate()
    async with place.serving(importing(gate.aio)) as running:
        name = await running.start()
        operation, seconds = await timed(running.raw.wait(name, 0))
        assert not operation.done
        assert seconds < SOON
        gate.open()
        done = await running.done(name)
        for timeout in ((0, 0), (0, 1), (30, 0), (2**62, 0), (None, 0)):
            operation, seconds = await timed(running.raw.wait(name, *timeout))
            assert operation == done
            assert seconds < SOON
        assert running.waiters == 0


@everywhere
async def test_timeouts_that_are_none(place: Place) -> None:
    """Negative timeouts, and durations that are none, are INVALID_ARGUMENT, also for what is done (SRV-6)."""
    async with place.serving() as running:
        done = await running.outcome()
        for seconds, nanos in (
            (-1, 0),
            (0, -1),
            (-(2**62), 0),
            (1, -1),
            (-1, 1),
            (0, 1_000_000_000),
            (1, -1_000_000_000),
            (0, 2**31 - 1),
            (0, -(2**31)),
        ):
            error = await refusal(running.raw.wait(done.name, seconds, nanos))
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, (seconds, nanos)
            assert "timeout" in (error.details() or "")


@over(stores=("memory",))
async def test_long_timeouts_are_clamped(place: Place) -> None:
    """A timeout of 2^62 s, and none at all, last for max_wait at most (SRV-6)."""
    gate = Gate()
    async with place.serving(importing(gate.aio), limits=bounds(max_wait=0.2)) as running:
        name = await running.start()
        for timeout in ((2**62, 0), (2**63 - 1, 999_999_999), (None, 0)):
            operation, seconds = await timed(running.raw.wait(name, *timeout))
            assert not operation.done
            assert 0.19 <= seconds < 5
        gate.open()


# --- what wakes


@over(edges=tuple(Edge))
async def test_the_end_wakes_at_once(place: Place) -> None:
    """A wait is answered within moments of the end of its operation, with the final state (SRV-6)."""
    gate = Gate()
    async with place.serving(importing(gate.aio)) as running:
        name, other = await running.start(), await running.start()
        waiting = asyncio.ensure_future(running.raw.wait(name, 30))
        await eventually(lambda: running.waiters == 1)
        gate.open()
        operation, seconds = await timed(waiting)
        assert operation.HasField("response")
        assert seconds < SOON
        await running.done(other)


@everywhere
async def test_a_cancel_or_delete_wakes_at_once(place: Place) -> None:
    """The cancel of a queued operation, and a delete, answer who waits: with CANCELLED, and with NOT_FOUND (SRV-6)."""
    gate = Gate()
    async with place.serving(importing(gate.aio), executor=LocalExecutor(concurrency=1)) as running:
        ran, queued = await running.start(), await running.start()
        waits = [asyncio.ensure_future(running.raw.wait(name, 30)) for name in (ran, queued)]
        await eventually(lambda: running.waiters == 2)
        await running.raw.cancel(queued)
        await running.raw.delete(ran)
        async with asyncio.timeout(SOON):
            assert (await waits[1]).error.code == code_pb2.CANCELLED
            assert (await refusal(waits[0])).code() is grpc.StatusCode.NOT_FOUND
        assert running.waiters == 0
        gate.open()


@everywhere
async def test_what_others_do_wakes_soon(place: Place) -> None:
    """An operation that another process finishes, deletes or ends wakes who waits here (SRV-6)."""
    async with place.serving() as running:
        fence = await held(running)
        waiting = asyncio.ensure_future(running.raw.wait(HELD, 30))
        await eventually(lambda: running.waiters == 1)
        await asyncio.sleep(0.1)
        store = place.store()
        if store is not running.store:
            await store.open()
        await store.finish(HELD, fence, SUCCESS)
        async with asyncio.timeout(SOON):
            assert (await waiting).HasField("response")
        if store is not running.store:
            await store.close()


@once
async def test_an_end_between_reading_and_watching(place: Place) -> None:
    """An operation that another process ends the moment somebody begins to wait for it is not missed (SRV-6)."""
    async with place.serving() as running:
        fence = await held(running)
        waiting = asyncio.ensure_future(running.raw.wait(HELD, 30))
        while not running.waiters:  # noqa: ASYNC110 (the very moment)
            await asyncio.sleep(0)
        await running.store.finish(HELD, fence, SUCCESS)
        async with asyncio.timeout(SOON):
            assert (await waiting).HasField("response")


@once
async def test_a_fault_of_the_store_does_not_end_the_watching(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a store raises when it is watched, it is watched again: what others end is noticed (SRV-6)."""
    store = Meddled(place.store())
    store.before["watch"] = failing(RuntimeError("a fault of a store"), times=1)
    async with place.serving(store=store) as running:
        fence = await held(running)
        waiting = asyncio.ensure_future(running.raw.wait(HELD, 30))
        await eventually(lambda: store.calls.count("watch") >= 2, what="the store to be watched again")
        await asyncio.sleep(0.05)
        await running.store.finish(HELD, fence, SUCCESS)
        async with asyncio.timeout(SOON):
            assert (await waiting).HasField("response")


@once
async def test_a_lost_hint_costs_seconds(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a store that cannot be watched never gives a hint, the end is noticed when it is asked again (SRV-6)."""
    monkeypatch.setattr("longrunning.server._waiting._REREAD", 0.5)
    store = Meddled(place.store())
    store.before["watch"] = failing(StoreUnavailableError("no notifications"))
    async with place.serving(store=store) as running:
        fence = await held(running)
        waiting = asyncio.ensure_future(running.raw.wait(HELD, 30))
        await eventually(lambda: running.waiters == 1)
        await running.store.finish(HELD, fence, SUCCESS)
        async with asyncio.timeout(5):
            assert (await waiting).HasField("response")


@pytest.mark.parametrize("how", ["finished", "cancelled", "deleted", "given up"])
@once
async def test_what_happens_here_needs_no_hint(place: Place, how: str) -> None:
    """Whatever this server itself does to an operation wakes who waits here at once, also where the store tells nothing (SRV-6)."""
    gate, store = Gate(), Meddled(place.store())
    store.before["watch"] = lambda: asyncio.Event().wait()  # a store that never tells anything
    limits, executor = bounds(reconcile_interval=0.02), LocalExecutor(concurrency=1)
    async with place.serving(importing(gate.aio), store=store, limits=limits, executor=executor) as running:
        names = [await running.start(), await running.start()]
        await gate.entered()
        spent = NewOperation(name=HELD, parent=PARENT, method=IMPORT_BOOKS.path, max_attempts=1)
        await store.store.create(spent, TERMS)
        name = {"cancelled": names[1], "given up": HELD}.get(how, names[0])
        waiting = asyncio.ensure_future(running.raw.wait(name, 30))
        await eventually(lambda: running.waiters == 1)
        await asyncio.sleep(0.05)
        match how:
            case "finished":
                gate.open()
            case "cancelled":
                await running.raw.cancel(name)
            case "deleted":
                await running.raw.delete(name)
            case _:
                place.clock.jump(7200)
        done, _ = await asyncio.wait([waiting], timeout=SOON)
        assert done
        if how == "deleted":
            assert (await refusal(waiting)).code() is grpc.StatusCode.NOT_FOUND
        else:
            assert waiting.result().done
        gate.open()


# --- how many


@once
async def test_many_waiters_are_all_answered(place: Place) -> None:
    """Two thousand waiters on one channel are all answered, those of one operation and those of others (SRV-6)."""
    gate = Gate()
    async with place.serving(importing(gate.aio)) as running:
        names = [await running.start() for _ in range(20)]
        waits = [asyncio.ensure_future(running.raw.wait(names[number % 20], 60)) for number in range(2_000)]
        await eventually(lambda: running.waiters == 2_000, seconds=30)
        assert (await running.raw.get(names[0])).done is False
        gate.open()
        assert all(operation.done for operation in await asyncio.gather(*waits))
        assert running.waiters == 0


@over(edges=(Edge.AIO,))
async def test_too_many_waiters(place: Place) -> None:
    """Beyond max_waits a wait is answered at once with the state of then, and the others wait on (SRV-6)."""
    gate = Gate()
    async with place.serving(importing(gate.aio), limits=bounds(max_waits=3)) as running:
        name = await running.start()
        waits = [asyncio.ensure_future(running.raw.wait(name, 30)) for _ in range(3)]
        await eventually(lambda: running.waiters == 3)
        operation, seconds = await timed(running.raw.wait(name, 30))
        assert not operation.done
        assert seconds < SOON
        assert (await refusal(running.raw.wait(ABSENT, 30))).code() is grpc.StatusCode.NOT_FOUND
        gate.open()
        assert all(operation.done for operation in await asyncio.gather(*waits))


@over(edges=(Edge.SYNC, Edge.THREAD))
async def test_waits_leave_threads_for_others(place: Place) -> None:
    """On a grpc.server no more than max_thread_waits calls wait; the rest, and all other calls, are answered (SRV-6, RUN-5)."""
    gate = Gate()
    async with place.serving(importing(gate.aio), threads=8, limits=bounds(max_thread_waits=4)) as running:
        name = await running.start()
        waits = [asyncio.ensure_future(running.raw.wait(name, 30)) for _ in range(4)]
        await eventually(lambda: running.waiters == 4)
        for _ in range(10):
            operation, seconds = await timed(running.raw.wait(name, 30))
            assert not operation.done
            assert seconds < SOON
            assert not (await running.raw.get(name)).done
        assert running.waiters == 4
        gate.open()
        assert all(operation.done for operation in await asyncio.gather(*waits))


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
@over(edges=(Edge.SYNC, Edge.THREAD), stores=("memory",))
async def test_a_small_pool_is_not_filled_with_waits(place: Place, threads: int) -> None:
    """However few threads a grpc.server has, waits take no more than half of them, and other calls are answered (RUN-5)."""
    gate = Gate()
    async with place.serving(importing(gate.aio), threads=threads) as running:
        name = await running.start()
        waits = [asyncio.ensure_future(running.raw.wait(name, 30)) for _ in range(12)]
        await eventually(lambda: running.waiters == threads // 2)
        await eventually(lambda: sum(wait.done() for wait in waits) == 12 - threads // 2)
        for _ in range(10):
            _, seconds = await timed(running.raw.get(name))
            assert seconds < SOON
        assert running.waiters == threads // 2
        gate.open()
        await asyncio.gather(*waits)


# --- who goes away


@over(edges=tuple(Edge))
async def test_a_waiter_that_goes_away_is_forgotten(place: Place) -> None:
    """A client that cancels its waits leaves none behind at the server, and nothing else is affected (SRV-6)."""
    gate = Gate()
    async with place.serving(importing(gate.aio)) as running:
        name = await running.start()
        await gate.entered()
        waits = [running.raw.wait(name, 30) for _ in range(5)]
        tasks = [asyncio.ensure_future(wait) for wait in waits]
        await eventually(lambda: running.waiters == 5)
        for wait in waits[:4]:
            wait.cancel()
        await eventually(lambda: running.waiters == 1)
        gate.open()
        assert (await tasks[4]).done
        await asyncio.gather(*tasks, return_exceptions=True)
        for _ in range(20):  # the threads of a grpc.server are free again
            assert (await running.raw.wait(name, 30)).done


@over(edges=tuple(Edge))
async def test_a_deadline_that_is_over_leaves_no_waiter(place: Place) -> None:
    """Calls whose deadline is over before they are looked at leave no waiter behind (SRV-6)."""
    gate = Gate()
    async with place.serving(importing(gate.aio)) as running:
        name = await running.start()
        waits = [running.raw.wait(name, 30, timeout=0.001 * number) for number in range(1, 40)]
        await asyncio.gather(*waits, return_exceptions=True)
        await eventually(lambda: running.waiters == 0)
        gate.open()


@over(edges=tuple(Edge))
async def test_a_shut_down_answers_who_waits(place: Place) -> None:
    """When the server ends, whoever waits is told how things stand: OK, and not done (SRV-6, RUN-4)."""
    gate = Gate()
    async with place.serving(importing(gate.aio), limits=bounds(shutdown_grace=0)) as running:
        name = await running.start()
        await gate.entered()
        waits = [asyncio.ensure_future(running.raw.wait(name, 30)) for _ in range(8)]
        await eventually(lambda: running.waiters == 8)
        await running.shut_down()
        for wait in waits:
            async with asyncio.timeout(5):
                assert (await wait).name == name
            assert not wait.result().done
        gate.open()


@over(edges=tuple(Edge))
async def test_a_shut_down_answers_who_waits_for_others(place: Place) -> None:
    """The same where this server runs nothing itself, and so ends without any delay (SRV-6, RUN-4)."""
    async with place.serving() as running:
        await running.on_loop(held(running))
        waits = [asyncio.ensure_future(running.raw.wait(HELD, 30)) for _ in range(8)]
        await eventually(lambda: running.waiters == 8)
        await running.shut_down()
        for wait in waits:
            async with asyncio.timeout(5):
                operation = await wait
            assert (operation.name, operation.done) == (HELD, False)


@once
async def test_a_shut_down_at_every_moment_of_a_wait(place: Place) -> None:
    """However far a wait has come when the server ends, it is answered, and nothing is left of it (SRV-6, RUN-4)."""
    for moment in range(12):
        async with place.serving() as running:
            if not moment:
                await held(running)
            waiting = asyncio.ensure_future(running.raw.wait(HELD, 30))
            while not running.waiters:  # noqa: ASYNC110 (the very moment)
                await asyncio.sleep(0)
            for _ in range(moment):
                await asyncio.sleep(0)
            await running.shut_down()
            async with asyncio.timeout(5):
                assert not (await waiting).done
