# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The server: what becomes of handlers, and of what is under way, when it ends."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any, Final

import grpc
import pytest
from google.rpc import code_pb2

from longrunning import Code, OperationError, Status
from longrunning.errors import LeaseLostError, StoreUnavailableError
from longrunning.server import LocalExecutor
from longrunning.server.storage import NewOperation
from tests.pair.colours import IMPORT_BOOKS, metadata
from tests.pair.meddling import Meddled, failing
from tests.pair.serving import (
    IMPORT,
    IMPORTED,
    PARENT,
    Edge,
    Gate,
    Place,
    both_handlers,
    bounds,
    eventually,
    everywhere,
    importing,
    imports,
    once,
    over,
    refusal,
)

AT_ONCE: Final = bounds(shutdown_grace=0, reconcile_interval=0.05)
LONG: Final = 6.0  # seconds: longer than any of these ends may take


# --- handlers at the end


@both_handlers
@over(edges=tuple(Edge))
async def test_handlers_get_time_to_end(place: Place, colour: str) -> None:
    """Handlers that end within the grace period end as ever: their response is stored; callers are refused meanwhile (RUN-4)."""
    gate = Gate()
    async with place.serving(importing(gate.handler(colour)), limits=bounds(shutdown_grace=20)) as running:
        name = await running.start()
        await gate.entered()
        ending = asyncio.ensure_future(running.shut_down())
        await eventually(lambda: not _runs(running))
        assert (await refusal(running.raw.get(name))).code() is grpc.StatusCode.UNAVAILABLE
        assert (await refusal(running.raw.start(IMPORT_BOOKS, IMPORT))).code() is grpc.StatusCode.UNAVAILABLE
        assert not ending.done()
        gate.open()
        await ending
    if place.kind == "sqlite" or place.edge is not Edge.THREAD:
        async with place.serving() as running:
            assert (await running.on_loop(running.store.get(name, None))) is not None
            assert (await running.raw.get(name)).HasField("response")


def _runs(running: Any) -> bool:
    return running.server._running is not None


@both_handlers
@everywhere
async def test_what_does_not_end_is_given_back(place: Place, colour: str) -> None:
    """After the grace an operation is given back, not cancelled; the next server ends it at attempt 2, at once (RUN-4, RUN-2)."""
    first, second = Gate(), Gate()
    second.open()

    async def on_loop(request: Any, context: Any) -> Any:
        await context.update(metadata(2), b"two books")
        return await first.aio(request, context)

    def in_thread(request: Any, context: Any) -> Any:
        context.update(metadata(2), b"two books")
        return first.sync(request, context)

    handler = on_loop if colour == "async" else in_thread
    async with place.serving(importing(handler, max_attempts=1), limits=AT_ONCE) as running:
        name = await running.start()
        context = await first.entered()
        began = time.monotonic()
        await running.shut_down()
        assert time.monotonic() - began < LONG
    async with place.serving(importing(second.aio, max_attempts=1), limits=AT_ONCE) as running:
        began = time.monotonic()
        done = await running.done(name)
        assert time.monotonic() - began < 5, "its lease need not expire"
        assert done.HasField("response"), done
        (again,) = second.contexts
        assert (again.attempt, again.checkpoint, again.metadata) == (2, b"two books", metadata(2))
        assert again.fencing_token > context.fencing_token
        first.open()


@everywhere
async def test_shutting_down_again_and_again_uses_no_attempts_up(place: Place) -> None:
    """Attempts that a shutdown ended do not count against max_attempts, however many they are (RUN-4, RUN-3)."""
    attempts: list[int] = []
    for _ in range(4):
        gate = Gate()
        async with place.serving(importing(gate.aio, max_attempts=2), limits=AT_ONCE) as running:
            if not attempts:
                await running.start()
            attempts.append((await gate.entered()).attempt)
    gate = Gate()
    gate.open()
    async with place.serving(importing(gate.aio, max_attempts=2), limits=AT_ONCE) as running:
        (operation,) = (await running.raw.list(PARENT)).operations
        assert (await running.done(operation.name)).HasField("response")
        assert attempts == [1, 2, 3, 4]
        assert gate.contexts[0].attempt == 5


@everywhere
async def test_a_handler_may_clean_up(place: Place) -> None:
    """An interrupted handler may clean up, and leave a checkpoint as it does (RUN-4)."""
    began = asyncio.Event()

    async def handler(request: Any, context: Any) -> Any:
        if context.attempt == 2:
            assert context.checkpoint == b"cleaned"
            return IMPORTED
        began.set()
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.05)
            await context.update(checkpoint=b"cleaned")

    async with place.serving(importing(handler), limits=AT_ONCE) as running:
        name = await running.start()
        await began.wait()
    async with place.serving(importing(handler), limits=AT_ONCE) as running:
        assert (await running.done(name)).HasField("response")


@once
async def test_a_handler_that_returns_when_interrupted_has_ended(place: Place) -> None:
    """A handler that answers the interruption with a response has succeeded (RUN-4)."""
    began = asyncio.Event()

    async def handler(request: Any, context: Any) -> Any:
        began.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            return IMPORTED

    async with place.serving(importing(handler), limits=AT_ONCE) as running:
        name = await running.start()
        await began.wait()
        await running.shut_down()
        await running.enter()
        assert (await running.raw.get(name)).HasField("response")


@pytest.mark.parametrize("error", [RuntimeError("the pool is closed"), BaseExceptionGroup("both", [GeneratorExit()])])
@once
async def test_a_handler_that_fails_when_interrupted_has_not_failed(place: Place, error: BaseException) -> None:
    """What breaks in a handler because it is interrupted at shutdown does not fail the operation: it runs again (RUN-4)."""
    began = asyncio.Event()

    async def handler(request: Any, context: Any) -> Any:
        if context.attempt == 2:
            return IMPORTED
        began.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            raise error from None

    async with place.serving(importing(handler), limits=AT_ONCE) as running:
        name = await running.start()
        await began.wait()
        await running.shut_down()
        await running.enter()
        assert (await running.done(name)).HasField("response")


@once
async def test_a_handler_that_fails_on_purpose_when_interrupted_has_failed(place: Place) -> None:
    """An OperationError that a handler answers the interruption with is its outcome (RUN-4, SRV-2)."""
    began = asyncio.Event()

    async def handler(request: Any, context: Any) -> Any:
        began.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            raise OperationError(Status(Code.DATA_LOSS, "the source is gone")) from None

    async with place.serving(importing(handler), limits=AT_ONCE) as running:
        name = await running.start()
        await began.wait()
        await running.shut_down()
        await running.enter()
        assert (await running.raw.get(name)).error.code == code_pb2.DATA_LOSS


@once
async def test_a_deaf_handler_does_not_keep_the_server(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler that swallows every interruption does not keep the server from ending; its operation is given back (RUN-4)."""
    for module in ("_worker", "_executor"):
        monkeypatch.setattr(f"longrunning.server.{module}._STOP_SECONDS", 0.2)
    let_go = asyncio.Event()
    began = asyncio.Event()

    async def handler(request: Any, context: Any) -> Any:
        if context.attempt == 2:
            return IMPORTED
        began.set()
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue
        return None

    async with place.serving(importing(handler), limits=AT_ONCE) as running:
        name = await running.start()
        await began.wait()
        asyncio.get_running_loop().call_later(LONG, let_go.set)
        before = time.monotonic()
        await running.shut_down()
        assert time.monotonic() - before < LONG - 0.5
        await running.enter()
        assert (await running.done(name)).HasField("response")
        let_go.set()


@once
async def test_a_function_that_goes_on_cannot_write(place: Place) -> None:
    """A function in a thread that outlives its server is told so by its context, and keeps nobody waiting (RUN-4, RUN-1)."""
    gate, told = Gate(), list[type[BaseException]]()

    def handler(request: Any, context: Any) -> Any:
        gate.sync(request, context)
        for act in (lambda: context.update(metadata(3)), context.raise_if_cancelled, lambda: context.sleep(3600)):
            try:
                act()
            except LeaseLostError as error:
                told.append(type(error))
        return IMPORTED

    async with place.serving(importing(handler), limits=AT_ONCE) as running:
        name = await running.start()
        await gate.entered()
        before = time.monotonic()
        await running.shut_down()
        assert time.monotonic() - before < LONG
        gate.open()
        await eventually(lambda: len(told) == 3)
        record = await running.store.get(name, None)
        assert record is not None
        assert not record.done
        assert record.metadata is None


@over(edges=(Edge.SYNC, Edge.THREAD), stores=("memory",))
async def test_a_function_that_writes_at_the_end_is_told(place: Place) -> None:
    """A function whose update() is overtaken by the end of the server gets LeaseLostError, and is not left waiting (RUN-4)."""
    told: list[str] = []
    store = Meddled(place.store())
    let_go = threading.Event()

    async def until_let_go(*arguments: Any, **named: Any) -> None:
        while not let_go.is_set():  # noqa: ASYNC110 (an event of threads)
            await asyncio.sleep(0.01)

    def handler(request: Any, context: Any) -> Any:
        try:
            context.update(metadata(1))
        except BaseException as error:
            told.append(type(error).__name__)
            raise

    async with place.serving(importing(handler), store=store, limits=AT_ONCE) as running:
        store.before["update"] = until_let_go
        await running.start()
        await eventually(lambda: "update" in store.calls)
        await running.shut_down()
        try:
            await eventually(lambda: told == ["LeaseLostError"], what=f"the function to be told; it was: {told}")
        finally:
            let_go.set()


@both_handlers
@everywhere
async def test_a_sleeping_handler_is_told_of_the_end(place: Place, colour: str) -> None:
    """context.sleep() does not outlast the server (RUN-4)."""
    began, ended = threading.Event(), threading.Event()

    async def on_loop(request: Any, context: Any) -> Any:
        began.set()
        try:
            await context.sleep(20)
        finally:
            ended.set()

    def in_thread(request: Any, context: Any) -> Any:
        began.set()
        try:
            context.sleep(20)
        finally:
            ended.set()

    handler = on_loop if colour == "async" else in_thread
    async with place.serving(importing(handler), limits=AT_ONCE) as running:
        await running.start()
        await eventually(began.is_set)
        await running.shut_down()
        await eventually(ended.is_set)


@everywhere
async def test_a_cancel_before_the_end_counts(place: Place) -> None:
    """An operation whose cancel was requested is CANCELLED when a shutdown gives it back (RUN-4, SRV-4)."""
    gate = Gate()
    async with place.serving(importing(gate.aio), limits=AT_ONCE) as running:
        name = await running.start()
        await gate.entered()
        await running.raw.cancel(name)
    async with place.serving(lambda server: None) as running:
        assert (await running.raw.get(name)).error.code == code_pb2.CANCELLED


# --- what is under way at the end


@everywhere
async def test_what_is_queued_waits_for_the_next_server(place: Place) -> None:
    """Operations that waited for their turn are not lost with the server: the next one runs them, at attempt 1 (RUN-4, RUN-2)."""
    gate = Gate()
    executor = LocalExecutor(concurrency=1)
    async with place.serving(importing(gate.aio), executor=executor, limits=AT_ONCE) as running:
        names = [await running.start() for _ in range(5)]
        await gate.entered()
    again = Gate()
    again.open()
    async with place.serving(importing(again.aio), limits=AT_ONCE) as running:
        for name in names:
            assert (await running.done(name)).HasField("response")
        attempts = {context.name: context.attempt for context in again.contexts}
        assert attempts == {name: 2 if name == gate.contexts[0].name else 1 for name in names}


@everywhere
async def test_a_claim_under_way_at_the_end_is_given_back(place: Place) -> None:
    """An operation that is being claimed when the server ends is free again at once, and no attempt is used up (RUN-4)."""
    store, gate = Meddled(place.store()), Gate()
    gate.open()

    async def slowly(*arguments: Any) -> None:
        await asyncio.sleep(0.3)

    limits = bounds(shutdown_grace=1, reconcile_interval=0.05)
    async with place.serving(importing(gate.aio, max_attempts=1), store=store, limits=limits) as running:
        store.after["claim"] = slowly
        name = f"{PARENT}/operations/op-1"
        await running.store.create(NewOperation(name=name, parent=PARENT, method=IMPORT_BOOKS.path, max_attempts=1))
        await eventually(lambda: "claim" in store.calls)
    async with place.serving(importing(gate.aio, max_attempts=1), limits=limits) as running:
        began = time.monotonic()
        done = await running.done(name)
        assert done.HasField("response"), done
        assert time.monotonic() - began < 5


@everywhere
async def test_a_start_under_way_at_the_end_is_not_lost(place: Place) -> None:
    """A start that is being stored when the server ends is either refused, or acknowledged and run by the next one (RUN-4)."""
    store, gate = Meddled(place.store()), Gate()
    gate.open()

    async def slowly(*arguments: Any) -> None:
        await asyncio.sleep(0.3)

    async with place.serving(importing(gate.aio, max_attempts=1), store=store, limits=AT_ONCE) as running:
        store.after["create"] = slowly
        starting = asyncio.ensure_future(running.raw.start(IMPORT_BOOKS, IMPORT, timeout=10))
        await eventually(lambda: "create" in store.calls)
        await running.shut_down()
        await asyncio.wait([starting])
        result: Any = starting.exception() or starting.result()
    async with place.serving(importing(gate.aio, max_attempts=1), limits=AT_ONCE) as running:
        if isinstance(result, grpc.aio.AioRpcError):
            assert result.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}, result
        else:
            began = time.monotonic()
            assert (await running.done(result.name)).HasField("response")
            assert time.monotonic() - began < 5


@everywhere
async def test_a_request_that_is_still_examined_at_the_end(place: Place) -> None:
    """A start whose validate takes longer than the server lives is UNAVAILABLE, and stores nothing (RUN-4, SRV-10)."""
    examined, decided = asyncio.Event(), asyncio.Event()

    async def validate(request: Any, context: Any) -> None:
        examined.set()
        await decided.wait()

    async with place.serving(importing(imports, validate=validate), limits=AT_ONCE) as running:
        starting = asyncio.ensure_future(running.raw.start(IMPORT_BOOKS, IMPORT, timeout=10))
        await examined.wait()
        await running.shut_down()
        decided.set()
        assert (await refusal(starting)).code() is grpc.StatusCode.UNAVAILABLE
    async with place.serving(limits=AT_ONCE) as running:
        assert not (await running.raw.list(PARENT)).operations


@everywhere
async def test_an_operation_started_a_moment_before_the_end(place: Place) -> None:
    """Operations acknowledged right before the end are all run by the next server, soon, and none counts twice (RUN-4)."""
    gate = Gate()
    async with place.serving(importing(gate.aio, max_attempts=1), limits=AT_ONCE) as running:
        names = await asyncio.gather(*(running.start() for _ in range(10)))
        await running.shut_down()
    again = Gate()
    again.open()
    async with place.serving(importing(again.aio, max_attempts=1), limits=AT_ONCE) as running:
        began = time.monotonic()
        for name in names:
            assert (await running.done(name)).HasField("response")
        assert time.monotonic() - began < 8


@once
async def test_a_store_that_is_away_at_the_end(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """A store that cannot take the leases back does not keep the server from ending (RUN-4)."""
    store, gate = Meddled(place.store()), Gate()
    for method in ("release", "finish", "renew", "abandon", "due"):
        store.before[method] = failing(StoreUnavailableError("the disk is gone"))
    async with place.serving(importing(gate.aio), store=store, limits=AT_ONCE) as running:
        await running.start()
        await gate.entered()
        before = time.monotonic()
        await running.shut_down()
        assert time.monotonic() - before < LONG
        assert "they will expire" in caplog.text
