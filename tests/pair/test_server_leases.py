# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The server: leases that are lost, operations that are taken over, and what late writers may do: nothing."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any, Final

import pytest
from google.rpc import code_pb2

from example.library.v1 import library_pb2
from longrunning.errors import LeaseLostError, StoreUnavailableError
from longrunning.server import LocalExecutor
from longrunning.server.storage import ClaimTerms, Outcome
from tests.pair.colours import IMPORT_BOOKS, metadata
from tests.pair.meddling import Meddled, failing
from tests.pair.serving import (
    IMPORTED,
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

TTL: Final = 1_000_000.0  # seconds: no lease ends by itself while a test looks
THIEF: Final = ClaimTerms(worker="thief", methods=frozenset({IMPORT_BOOKS.path}), ttl=TTL)
BLIND: Final = StoreUnavailableError("the disk is gone")


async def steal(place: Place, running: Running, name: str) -> Any:
    """Lets a lease end, and takes the next one, as another process would."""
    place.clock.jump(2 * TTL)
    lease = await running.store.claim(name, THIEF)
    assert lease is not None
    return lease


@both_handlers
@everywhere
async def test_a_worker_that_lost_its_lease_cannot_write(place: Place, colour: str) -> None:
    """After somebody else took over, update() and raise_if_cancelled() say so, and the response is dropped (RUN-1)."""
    gate, told = Gate(), threading.Event()

    async def on_loop(request: Any, context: Any) -> Any:
        await gate.aio(request, context)
        with pytest.raises(LeaseLostError):
            await context.update(metadata(3), b"3")
        with pytest.raises(LeaseLostError):
            context.raise_if_cancelled()
        told.set()
        return IMPORTED

    def in_thread(request: Any, context: Any) -> Any:
        gate.sync(request, context)
        with pytest.raises(LeaseLostError):
            context.update(metadata(3), b"3")
        with pytest.raises(LeaseLostError):
            context.raise_if_cancelled()
        told.set()
        return IMPORTED

    handler = on_loop if colour == "async" else in_thread
    async with place.serving(importing(handler), limits=bounds(lease_ttl=TTL)) as running:
        name = await running.start()
        context = await gate.entered()
        lease = await steal(place, running, name)
        assert (lease.attempt, lease.fence > context.fencing_token) == (2, True)
        gate.open()
        await eventually(told.is_set)
        operation = await running.raw.get(name)
        assert not operation.done
        assert not operation.HasField("metadata")
        await running.store.finish(name, lease.fence, Outcome(code=None, payload=b""))
        assert (await running.done(name)).HasField("response")


@both_handlers
@everywhere
async def test_an_outcome_without_a_lease_is_dropped(
    place: Place, colour: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A handler that never looks ends in vain after a takeover: nothing is published, and the log says so (RUN-1)."""
    gate = Gate()
    async with place.serving(importing(gate.handler(colour)), limits=bounds(lease_ttl=TTL)) as running:
        name = await running.start()
        await gate.entered()
        await steal(place, running, name)
        gate.open()
        await eventually(lambda: "is dropped" in caplog.text)
        assert not (await running.raw.get(name)).done
        (record,) = [record for record in caplog.records if "is dropped" in record.message]
        assert vars(record)["operation"] == name
        assert vars(record)["method"] == IMPORT_BOOKS.path


@once
async def test_a_failure_without_a_lease_is_dropped(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """A handler that fails after a takeover fails nothing, and is no error in the log (RUN-1)."""
    gate = Gate()

    async def handler(request: Any, context: Any) -> Any:
        await gate.aio(request, context)
        await context.update(metadata(1))

    async with place.serving(importing(handler), limits=bounds(lease_ttl=TTL)) as running:
        name = await running.start()
        await gate.entered()
        await steal(place, running, name)
        gate.open()
        await eventually(lambda: not [task for task in asyncio.all_tasks() if "longrunning-run" in task.get_name()])
        assert not (await running.raw.get(name)).done
        assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@everywhere
async def test_a_handler_is_interrupted_when_its_lease_is_lost(place: Place) -> None:
    """An async handler that never writes is interrupted when renewing finds the lease lost; nothing is published (RUN-1)."""
    ended: list[BaseException | None] = []
    began = asyncio.Event()

    async def handler(request: Any, context: Any) -> Any:
        began.set()
        try:
            await asyncio.sleep(3600)
        except BaseException as error:
            ended.append(error)
            raise

    async with place.serving(importing(handler), limits=bounds(lease_ttl=0.3), executor=LocalExecutor()) as running:
        name = await running.start()
        await began.wait()
        place.clock.jump(TTL)
        lease = await running.store.claim(name, THIEF)
        if lease is not None:  # otherwise it was renewed just then
            await eventually(lambda: ended)
            assert isinstance(ended[0], asyncio.CancelledError)
            assert not (await running.raw.get(name)).done


@both_handlers
@once
async def test_a_lost_lease_wakes_a_sleeping_handler(place: Place, colour: str) -> None:
    """context.sleep() ends with LeaseLostError when the lease is found lost (RUN-1)."""
    ended: list[BaseException] = []
    began = threading.Event()

    async def on_loop(request: Any, context: Any) -> Any:
        began.set()
        try:
            await context.sleep(3600)
        except BaseException as error:
            ended.append(error)
            raise

    def in_thread(request: Any, context: Any) -> Any:
        began.set()
        try:
            context.sleep(3600)
        except BaseException as error:
            ended.append(error)
            raise

    store = Meddled(place.store())
    handler = on_loop if colour == "async" else in_thread
    async with place.serving(importing(handler), store=store, limits=bounds(lease_ttl=0.3)) as running:
        name = await running.start()
        await eventually(began.is_set)
        store.before["renew"] = failing(BLIND)
        place.clock.jump(TTL)
        assert await running.store.claim(name, THIEF) is not None
        del store.before["renew"]
        await eventually(lambda: ended)
        assert isinstance(ended[0], (LeaseLostError, asyncio.CancelledError))
        assert not (await running.raw.get(name)).done


@both_handlers
@everywhere
async def test_another_replica_takes_over(place: Place, colour: str) -> None:
    """What a worker without a heartbeat left is run elsewhere, with its checkpoint, metadata and attempt 2; once (RUN-2)."""
    gate, limits = Gate(), bounds(lease_ttl=1.0, reconcile_interval=0.05)
    second: list[Any] = []

    async def stuck(request: Any, context: Any) -> Any:
        await context.update(metadata(2), b"two books")
        return await gate.aio(request, context)

    def stuck_in_thread(request: Any, context: Any) -> Any:
        context.update(metadata(2), b"two books")
        return gate.sync(request, context)

    async def taken_over(request: Any, context: Any) -> Any:
        second.append((context.attempt, context.checkpoint, context.metadata, request, context.fencing_token))
        return library_pb2.ImportBooksResponse(imported=2)

    blind = Meddled(place.store())
    handler = stuck if colour == "async" else stuck_in_thread
    async with place.serving(importing(handler), store=blind, limits=limits) as running:
        name = await running.start()
        context = await gate.entered()
        for method in ("renew", "due", "abandon"):
            blind.before[method] = failing(BLIND)
        async with place.serving(importing(taken_over), limits=limits) as other:
            done = await other.done(name)
            response = library_pb2.ImportBooksResponse()
            assert done.response.Unpack(response)
            assert response.imported == 2
            ((attempt, checkpoint, seen, request, fence),) = second
            assert (attempt, checkpoint, seen, request.count) == (2, b"two books", metadata(2), 4)
            assert fence > context.fencing_token
            gate.open()
            await eventually(lambda: gate.left == 1)
            assert await running.raw.get(name) == done, "the first one ended in vain"


@everywhere
async def test_waiters_at_both_replicas_learn_of_the_end(place: Place) -> None:
    """Whoever waits at a replica that does not run the operation is answered soon after it ended (SRV-6, RUN-2)."""
    gate = Gate()
    async with place.serving(importing(gate.aio)) as running, place.serving(lambda server: None) as other:
        name = await running.start()
        await gate.entered()
        waits = [asyncio.ensure_future(each.raw.wait(name, 30)) for each in (running, other)]
        await eventually(lambda: running.waiters + other.waiters == 2)
        gate.open()
        async with asyncio.timeout(4):  # less than until the store is asked again without a hint
            assert [(await wait).done for wait in waits] == [True, True]


@everywhere
async def test_an_operation_whose_workers_die_is_given_up(place: Place) -> None:
    """After max_attempts attempts without an outcome an operation ends in an error, and is run no more (RUN-3)."""
    limits = bounds(lease_ttl=0.2, reconcile_interval=0.02, shutdown_grace=0)
    attempts: list[int] = []
    dead = asyncio.Event()

    async def dying(request: Any, context: Any) -> Any:
        attempts.append(context.attempt)
        await dead.wait()  # from here on as good as dead: the lease is not renewed

    store = Meddled(place.store())
    store.before["renew"] = failing(BLIND)
    async with place.serving(importing(dying, max_attempts=3), store=store, limits=limits) as running:
        name = await running.start()
        done = await running.done(name)
        assert attempts == [1, 2, 3]
        assert done.error.code == code_pb2.INTERNAL
        assert "3 attempt" in done.error.message
        dead.set()
        await asyncio.sleep(0.1)
        assert attempts == [1, 2, 3]
        assert await running.raw.get(name) == done


@once
async def test_the_limit_of_attempts_is_the_servers_unless_a_method_has_its_own(place: Place) -> None:
    """max_attempts of a method goes before that of Limits; less than one is refused (RUN-3)."""
    limits = bounds(lease_ttl=0.2, reconcile_interval=0.02, shutdown_grace=0, max_attempts=1)
    store = Meddled(place.store())
    store.before["renew"] = failing(BLIND)
    dead, attempts = asyncio.Event(), list[int]()

    async def dying(request: Any, context: Any) -> Any:
        attempts.append(context.attempt)
        await dead.wait()

    async with place.serving(importing(dying), store=store, limits=limits) as running:
        done = await running.outcome()
        assert (done.error.code, attempts) == (code_pb2.INTERNAL, [1])
        dead.set()
    with pytest.raises(ValueError, match="at least one attempt"):
        async with place.serving(importing(dying, max_attempts=0)):
            pass


@everywhere
async def test_an_attempt_that_was_overtaken_here_is_interrupted(place: Place) -> None:
    """Where a lease ended unnoticed and this very server runs the operation again, the first attempt is interrupted (RUN-1)."""
    limits = bounds(lease_ttl=1.0, reconcile_interval=0.02)
    store = Meddled(place.store())
    interrupted: list[int] = []
    second = asyncio.Event()

    async def handler(request: Any, context: Any) -> Any:
        if context.attempt == 2:
            second.set()
            while not interrupted:  # noqa: ASYNC110
                await asyncio.sleep(0.002)
            return IMPORTED
        store.before["renew"] = failing(BLIND)
        try:
            await second.wait()
            store.before.pop("renew")
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            interrupted.append(context.attempt)
            raise

    async with place.serving(importing(handler), store=store, limits=limits) as running:
        async with asyncio.timeout(20):
            done = await running.outcome()
        assert done.HasField("response")
        assert interrupted == [1]


@over(edges=(Edge.AIO,))
async def test_leases_are_kept_for_as_long_as_it_takes(place: Place) -> None:
    """A handler that works for many times the length of a lease keeps it, and runs once (RUN-1)."""
    gate, limits = Gate(), bounds(lease_ttl=1.0, reconcile_interval=0.02)
    async with place.serving(importing(gate.aio), limits=limits) as running:
        names = [await running.start() for _ in range(3)]
        await asyncio.sleep(3.5)
        gate.open()
        for name in names:
            assert (await running.done(name)).HasField("response")
        assert [context.attempt for context in gate.contexts] == [1, 1, 1]


@once
async def test_a_fault_of_the_store_does_not_end_the_renewing(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a store raises when leases are renewed, they are renewed again: no worker loses its work for it (RUN-1)."""
    gate, store = Gate(), Meddled(place.store())
    store.before["renew"] = failing(RuntimeError("a fault of a store"), times=1)
    limits = bounds(lease_ttl=0.6, reconcile_interval=0.02)
    async with place.serving(importing(gate.aio), store=store, limits=limits) as running:
        name = await running.start()
        await eventually(lambda: store.calls.count("renew") >= 3, what="renewing to go on")
        gate.open()
        assert (await running.done(name)).HasField("response")
        assert "a fault of a store" in caplog.text


@both_handlers
@once
async def test_an_outcome_is_written_as_soon_as_the_store_is_back(place: Place, colour: str) -> None:
    """A handler's outcome waits for a store that is away, and is not made again (RUN-1)."""
    gate, store = Gate(), Meddled(place.store())
    gate.open()
    store.before["finish"] = failing(BLIND, times=3)
    async with place.serving(importing(gate.handler(colour)), store=store) as running:
        assert (await running.outcome()).HasField("response")
        assert len(gate.contexts) == 1
        assert store.calls.count("finish") == 4


@once
async def test_an_outcome_no_store_takes(place: Place) -> None:
    """Where a store refuses an outcome for a fault of its own, the operation is run again, and ends at last (RUN-1, RUN-3)."""
    gate, store = Gate(), Meddled(place.store())
    gate.open()
    store.before["finish"] = failing(RuntimeError("a fault of a store"), times=1)
    limits = bounds(lease_ttl=1.0, reconcile_interval=0.02)
    async with place.serving(importing(gate.aio), store=store, limits=limits) as running:
        assert (await running.outcome()).HasField("response")
        assert [context.attempt for context in gate.contexts] == [1, 2]


@everywhere
async def test_methods_without_a_handler_here_are_left_alone(place: Place) -> None:
    """A server never takes an operation of a method it has no handler for, as an old one beside a new one (RUN-2)."""
    limits = bounds(reconcile_interval=0.02)
    gate = Gate()
    gate.open()
    async with place.serving(importing(gate.aio), executor=LocalExecutor(concurrency=1), limits=limits) as running:
        pass
    created = place.store()
    await created.open()
    from longrunning.server.storage import NewOperation

    name = "shelves/1/operations/op-1"
    await created.create(NewOperation(name=name, parent="shelves/1", method=IMPORT_BOOKS.path))
    await created.close()
    async with place.serving(lambda server: None, limits=limits) as running:
        await asyncio.sleep(0.1)
        assert not (await running.raw.get(name)).done
    async with place.serving(importing(gate.aio), limits=limits) as running:
        assert (await running.done(name)).HasField("response")
        assert gate.contexts[0].attempt == 1
        assert (await refusal(running.raw.get(f"{name}2"))).code().name == "NOT_FOUND"


@both_handlers
@everywhere
async def test_an_update_that_cannot_be_written_ends_the_attempt(place: Place, colour: str) -> None:
    """A handler that lets StoreUnavailableError pass has not failed: it runs again with its last checkpoint (RUN-1, RUN-2)."""
    store = Meddled(place.store())
    limits = bounds(lease_ttl=1.0, reconcile_interval=0.02)
    attempts: list[tuple[int, bytes | None]] = []

    async def on_loop(request: Any, context: Any) -> Any:
        attempts.append((context.attempt, context.checkpoint))
        if context.attempt == 1:
            await context.update(metadata(1), b"1")
            store.before["update"] = failing(BLIND, times=1)
            await context.update(metadata(2), b"2")
        return IMPORTED

    def in_thread(request: Any, context: Any) -> Any:
        attempts.append((context.attempt, context.checkpoint))
        if context.attempt == 1:
            context.update(metadata(1), b"1")
            store.before["update"] = failing(BLIND, times=1)
            context.update(metadata(2), b"2")
        return IMPORTED

    handler = on_loop if colour == "async" else in_thread
    async with place.serving(importing(handler), store=store, limits=limits) as running:
        assert (await running.outcome()).HasField("response")
        assert attempts == [(1, None), (2, b"1")]
