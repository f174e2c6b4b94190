# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The server: requests to cancel, and what handlers make of them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from google.rpc import code_pb2

from example.library.v1 import library_pb2
from longrunning import Code, OperationCancelledError, OperationError, OperationState, Status
from longrunning.server import LocalExecutor
from tests.pair.colours import IMPORT_BOOKS
from tests.pair.serving import (
    IMPORT,
    IMPORTED,
    PARENT,
    Gate,
    Place,
    both_handlers,
    bounds,
    eventually,
    everywhere,
    importing,
    once,
)


def until_cancelled(colour: str, seen: list[Any]) -> Callable[..., Any]:
    """A handler that goes on until it sees the request to cancel, and follows it."""

    async def on_loop(request: Any, context: Any) -> Any:
        seen.append(context)
        while True:
            context.raise_if_cancelled()
            await asyncio.sleep(0.002)

    def in_thread(request: Any, context: Any) -> Any:
        seen.append(context)
        while True:
            context.raise_if_cancelled()
            time.sleep(0.002)

    return on_loop if colour == "async" else in_thread


@both_handlers
@everywhere
async def test_a_handler_follows_a_cancel(place: Place, colour: str) -> None:
    """A running handler sees the request to cancel; with raise_if_cancelled it ends CANCELLED, and it stays (SRV-4)."""
    seen: list[Any] = []
    async with place.serving(importing(until_cancelled(colour, seen))) as running:
        handle = await running.client.start(IMPORT_BOOKS, IMPORT)
        await eventually(lambda: seen)
        assert not seen[0].cancel_requested
        await handle.cancel()
        assert seen[0].cancel_requested, "as soon as the call returns"
        with pytest.raises(OperationCancelledError):
            await handle.result(timeout=10)
        done = await running.raw.get(handle.name)
        assert (done.done, done.error.code) == (True, code_pb2.CANCELLED)
        await running.raw.cancel(handle.name)
        assert await running.raw.get(handle.name) == done
        assert [operation.name for operation in (await running.raw.list(PARENT)).operations] == [handle.name]


@everywhere
async def test_what_nobody_has_claimed_is_cancelled_at_once(place: Place) -> None:
    """A queued operation is CANCELLED when the call returns, wakes its waiters, and its handler never runs (SRV-4)."""
    gate = Gate()
    async with place.serving(importing(gate.aio), executor=LocalExecutor(concurrency=1)) as running:
        first, queued = await running.start(), await running.start()
        await gate.entered()
        waiting = asyncio.ensure_future(running.raw.wait(queued, 30))
        await eventually(lambda: running.waiters == 1)
        await running.raw.cancel(queued)
        cancelled = await running.raw.get(queued)
        assert (cancelled.done, cancelled.error.code) == (True, code_pb2.CANCELLED)
        assert await waiting == cancelled
        gate.open()
        await running.done(first)
        third = await running.start()
        await running.done(third)
        assert {context.name for context in gate.contexts} == {first, third}
        assert await running.raw.get(queued) == cancelled


@both_handlers
@everywhere
async def test_a_response_wins_over_a_cancel(place: Place, colour: str) -> None:
    """A handler that pays no heed to the request and returns has succeeded (SRV-4)."""
    gate = Gate()
    async with place.serving(importing(gate.handler(colour))) as running:
        name = await running.start()
        context = await gate.entered()
        await running.raw.cancel(name)
        assert context.cancel_requested
        assert not (await running.raw.get(name)).done
        gate.open()
        done = await running.done(name)
        assert done.HasField("response")
        await running.raw.cancel(name)
        assert await running.raw.get(name) == done


@both_handlers
@once
async def test_an_error_wins_over_a_cancel(place: Place, colour: str) -> None:
    """A handler that fails with another status after the request has failed with that status (SRV-4, SRV-2)."""
    begun = threading.Event()

    def end(context: Any) -> Any:
        begun.set()
        if context.cancel_requested:
            raise OperationError(Status(Code.DATA_LOSS, "half a book is imported"))

    async def on_loop(request: Any, context: Any) -> Any:
        while True:
            end(context)
            await asyncio.sleep(0.002)

    def in_thread(request: Any, context: Any) -> Any:
        while True:
            end(context)
            time.sleep(0.002)

    async with place.serving(importing(on_loop if colour == "async" else in_thread)) as running:
        name = await running.start()
        await eventually(begun.is_set)
        await running.raw.cancel(name)
        done = await running.done(name)
        assert (done.error.code, done.error.message) == (code_pb2.DATA_LOSS, "half a book is imported")


@everywhere
async def test_a_cancel_of_what_is_done_is_nothing(place: Place) -> None:
    """A cancel of a done operation is OK and changes nothing, whatever it ended with (SRV-4)."""
    async with place.serving() as running:
        done = await running.outcome()
        await running.raw.cancel(done.name)
        assert await running.raw.get(done.name) == done
        snapshot = await running.client.get(done.name, IMPORT_BOOKS)
        assert snapshot.state is OperationState.SUCCEEDED


@everywhere
async def test_a_handler_is_interrupted_after_the_grace(place: Place) -> None:
    """An async handler that pays no heed is interrupted after the grace period, and not before; it is CANCELLED (SRV-4)."""
    times: list[float] = []

    async def handler(request: Any, context: Any) -> Any:
        times.append(time.monotonic())
        try:
            await asyncio.sleep(3600)
        finally:
            times.append(time.monotonic())

    async with place.serving(importing(handler), limits=bounds(cancel_grace=0.2)) as running:
        name = await running.start()
        await eventually(lambda: times)
        began = time.monotonic()
        await running.raw.cancel(name)
        await running.raw.cancel(name)
        done = await running.done(name)
        assert done.error.code == code_pb2.CANCELLED
        assert times[1] - began >= 0.19


@once
async def test_without_grace_a_handler_is_interrupted_at_once(place: Place) -> None:
    """A grace of 0 interrupts a handler as soon as the request comes (SRV-4)."""
    gate = Gate()
    async with place.serving(importing(gate.aio), limits=bounds(cancel_grace=0)) as running:
        name = await running.start()
        await gate.entered()
        began = time.monotonic()
        await running.raw.cancel(name)
        assert (await running.done(name)).error.code == code_pb2.CANCELLED
        assert time.monotonic() - began < 5


@once
async def test_a_handler_that_catches_the_interruption_and_returns(place: Place) -> None:
    """The response of a handler that was interrupted for a cancel, and returned nevertheless, wins (SRV-4)."""
    begun = asyncio.Event()

    async def handler(request: Any, context: Any) -> Any:
        begun.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            return IMPORTED

    async with place.serving(importing(handler), limits=bounds(cancel_grace=0)) as running:
        name = await running.start()
        await begun.wait()
        await running.raw.cancel(name)
        assert (await running.done(name)).HasField("response")


@once
async def test_a_handler_that_fails_as_it_cleans_up(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """What a handler raises while it is interrupted for a cancel is its error, and told no further than any (SRV-2, SRV-4)."""
    begun = asyncio.Event()

    async def handler(request: Any, context: Any) -> Any:
        begun.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            raise RuntimeError("cannot remove /srv/half") from None

    async with place.serving(importing(handler), limits=bounds(cancel_grace=0)) as running:
        name = await running.start()
        await begun.wait()
        await running.raw.cancel(name)
        done = await running.done(name)
        assert done.error.code == code_pb2.UNKNOWN
        assert "/srv" not in done.error.message
        assert "/srv/half" in caplog.text


@once
async def test_a_handler_deaf_to_interruptions(place: Place) -> None:
    """A handler that swallows its interruption goes on, is asked no second time, and its response wins (SRV-4)."""
    interruptions: list[None] = []
    gate = Gate()

    async def handler(request: Any, context: Any) -> Any:
        while True:
            try:
                return await gate.aio(request, context)
            except asyncio.CancelledError:
                interruptions.append(None)

    async with place.serving(importing(handler), limits=bounds(cancel_grace=0)) as running:
        name = await running.start()
        await gate.entered()
        for _ in range(3):
            await running.raw.cancel(name)
            await asyncio.sleep(0.02)
        assert not (await running.raw.get(name)).done
        gate.open()
        assert (await running.done(name)).HasField("response")
        assert len(interruptions) == 1


@once
async def test_a_handler_that_ends_within_the_grace_is_not_interrupted(place: Place) -> None:
    """A handler that cleans up within the grace period is not disturbed, and no timer is left of it (SRV-4)."""
    cleaned: list[bool] = []
    begun = asyncio.Event()

    async def handler(request: Any, context: Any) -> Any:
        begun.set()
        while not context.cancel_requested:  # noqa: ASYNC110 (what a handler does)
            await asyncio.sleep(0.002)
        await asyncio.sleep(0.05)
        cleaned.append(True)
        context.raise_if_cancelled()

    async with place.serving(importing(handler), limits=bounds(cancel_grace=3600)) as running:
        name = await running.start()
        await begun.wait()
        await running.raw.cancel(name)
        assert (await running.done(name)).error.code == code_pb2.CANCELLED
        assert cleaned == [True]


@both_handlers
@once
async def test_a_cancel_by_another_replica_is_seen_at_the_next_update(place: Place, colour: str) -> None:
    """A handler learns of a cancel that another process took in when it writes, at the latest (SRV-4)."""
    gate = Gate()
    async with place.serving(importing(gate.handler(colour))) as running:
        name = await running.start()
        context = await gate.entered()
        await running.store.request_cancel(name, None)
        assert not context.cancel_requested
        writing = context.update if colour == "sync" else None
        metadata = library_pb2.ImportBooksMetadata(done=1)
        await (asyncio.to_thread(writing, metadata) if writing else context.update(metadata))
        assert context.cancel_requested
        gate.open()
        assert (await running.done(name)).HasField("response")


@both_handlers
@everywhere
async def test_a_cancel_by_another_replica_arrives_with_the_lease(place: Place, colour: str) -> None:
    """A handler that never writes learns of another process's cancel when its lease is renewed (SRV-4, RUN-1)."""
    seen: list[Any] = []
    limits = bounds(lease_ttl=0.3)
    async with place.serving(importing(until_cancelled(colour, seen)), limits=limits) as running:
        name = await running.start()
        await eventually(lambda: seen)
        async with place.serving(lambda server: None, limits=limits) as other:
            await other.raw.cancel(name)
            assert (await other.done(name)).error.code == code_pb2.CANCELLED


@both_handlers
@once
async def test_a_cancel_at_every_moment(place: Place, colour: str) -> None:
    """Whenever a cancel comes, an operation ends either CANCELLED or with its response, and once (SRV-4, RUN-1)."""
    gate = Gate()
    gate.open()
    async with place.serving(importing(gate.handler(colour))) as running:

        async def one(delay: float) -> Any:
            name = await running.start()
            await asyncio.sleep(delay)
            await running.raw.cancel(name)
            done = await running.done(name)
            assert done.HasField("response") or done.error.code == code_pb2.CANCELLED
            return done

        first = await asyncio.gather(*(one(moment / 5000) for moment in range(50)))
        for done in first:
            assert await running.raw.get(done.name) == done
