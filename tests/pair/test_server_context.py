# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The server: what a handler learns from its context, and what it writes through it."""

from __future__ import annotations

import asyncio
import functools
import operator
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from google.rpc import code_pb2

from example.library.v1 import library_pb2
from longrunning import OperationError
from longrunning.errors import StoreUnavailableError
from longrunning.server import Access, Call
from tests.pair.colours import IMPORT_BOOKS, metadata
from tests.pair.meddling import Meddled, failing
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

Update = Callable[..., Awaitable[None]]


def scripted(colour: str, script: Callable[[Any, Update], Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
    """A handler of either kind with the same script, which is given the context and its `update`."""

    async def on_loop(request: Any, context: Any) -> Any:
        return await script(context, context.update)

    def in_thread(request: Any, context: Any) -> Any:
        async def update(*arguments: Any, **named: Any) -> None:
            context.update(*arguments, **named)

        return asyncio.run(script(context, update))

    return on_loop if colour == "async" else in_thread


@both_handlers
@everywhere
async def test_what_a_context_knows(place: Place, colour: str) -> None:
    """A handler can see name, principal, attempt, fencing token; no checkpoint, no metadata, no cancel at first (RUN-2)."""
    seen: list[Any] = []

    async def script(context: Any, update: Update) -> Any:
        context.raise_if_cancelled()
        seen.append((context.name, context.principal, context.attempt, context.checkpoint, context.cancel_requested))
        seen.append(context.metadata)
        seen.append(context.fencing_token)
        assert context.name in repr(context)
        return IMPORTED

    class Ann:
        def authorize(self, call: Call, /) -> Access:
            return Access(principal="ann", scope=None)

    async with place.serving(importing(scripted(colour, script)), authorizer=Ann()) as running:
        done = await running.outcome()
        assert seen[:2] == [(done.name, "ann", 1, None, False), None]
        assert seen[2] >= 1


@both_handlers
@everywhere
async def test_progress_is_visible_at_once(place: Place, colour: str) -> None:
    """What update() wrote is in the next reply of any method, and in the context; it stays when the operation ends (SRV-1)."""
    steps: list[int] = []
    may_go_on = threading.Semaphore(0)

    async def script(context: Any, update: Update) -> Any:
        for done in range(1, 4):
            await update(metadata(done))
            assert context.metadata == metadata(done)
            steps.append(done)
            while not may_go_on.acquire(blocking=False):  # noqa: ASYNC110 (of threads)
                await asyncio.sleep(0.002)
        return IMPORTED

    async with place.serving(importing(scripted(colour, script))) as running:
        name = await running.start()
        for done in range(1, 4):
            await eventually(functools.partial(operator.contains, steps, done))
            snapshot = await running.client.get(name, IMPORT_BOOKS)
            assert snapshot.metadata == metadata(done)
            waited = await running.raw.wait(name, 0)
            listed = (await running.raw.list(PARENT)).operations
            assert waited == listed[0] == snapshot.to_proto()
            may_go_on.release()
        final = await running.done(name)
        seen = library_pb2.ImportBooksMetadata()
        assert final.metadata.Unpack(seen)
        assert seen == metadata(3)
        assert final.HasField("response")


@both_handlers
@once
async def test_nobody_changes_metadata_behind_its_back(place: Place, colour: str) -> None:
    """The metadata of a context is a new message each time, and a message given to update() may be used again (SNAP-5)."""

    async def script(context: Any, update: Update) -> Any:
        mine = metadata(1)
        await update(mine)
        mine.done = 4
        context.metadata.done = 3
        assert context.metadata == metadata(1)
        assert context.metadata is not context.metadata
        await update(checkpoint=b"1")
        assert context.metadata == metadata(1)
        return IMPORTED

    async with place.serving(importing(scripted(colour, script))) as running:
        done = await running.outcome()
        assert done.HasField("response"), done


@both_handlers
@once
async def test_wrong_updates(place: Place, colour: str) -> None:
    """An update with nothing, or with metadata of another type, is a TypeError, and nothing is written (SRV-2)."""

    async def script(context: Any, update: Update) -> Any:
        with pytest.raises(TypeError, match="metadata, a checkpoint, or both"):
            await update()
        for wrong in (library_pb2.OperationMetadata(), "half", {"done": 1}, 1):
            with pytest.raises(TypeError, match="ImportBooksMetadata"):
                await update(wrong, b"a checkpoint")
        with pytest.raises(TypeError):
            await update(checkpoint="text")
        await update(checkpoint=b"")
        assert context.metadata is None
        return IMPORTED

    async with place.serving(importing(scripted(colour, script))) as running:
        done = await running.outcome()
        assert done.HasField("response"), done
        assert not done.HasField("metadata")


@both_handlers
@everywhere
async def test_updates_that_are_too_large(place: Place, colour: str) -> None:
    """Metadata or a checkpoint beyond its limit is RESOURCE_EXHAUSTED; what was written before stays (SRV-2)."""
    limits = bounds(max_metadata_bytes=200, max_checkpoint_bytes=200)

    async def script(context: Any, update: Update) -> Any:
        await update(metadata(1), b"x" * 200)
        with pytest.raises(OperationError, match="checkpoint"):
            await update(metadata(2), b"x" * 201)
        assert context.metadata == metadata(1)
        await update(library_pb2.ImportBooksMetadata(total=1, done=1), b"x" * 200)
        large = library_pb2.ImportBooksMetadata()
        large.MergeFromString(bytes([0xBA, 0x3E, 200, 1]) + b"x" * 200)  # an unknown field
        await update(large)
        raise AssertionError

    async with place.serving(importing(scripted(colour, script)), limits=limits) as running:
        done = await running.outcome()
        assert done.error.code == code_pb2.RESOURCE_EXHAUSTED
        assert "metadata" in done.error.message
        seen = library_pb2.ImportBooksMetadata()
        assert done.metadata.Unpack(seen)
        assert (seen.total, seen.done) == (1, 1)


@everywhere
async def test_the_metadata_an_operation_begins_with(place: Place) -> None:
    """metadata= fills the reply to the start, and what the handler sees first (SRV-1)."""
    gate = Gate()

    def begin(request: library_pb2.ImportBooksRequest) -> library_pb2.ImportBooksMetadata:
        return library_pb2.ImportBooksMetadata(total=request.count)

    async with place.serving(importing(gate.aio, metadata=begin)) as running:
        handle = await running.client.start(IMPORT_BOOKS, IMPORT)
        assert handle.operation is not None
        assert handle.operation.metadata == metadata(0)
        context = await gate.entered()
        assert context.metadata == metadata(0)
        gate.open()
        assert (await handle.wait(timeout=10)).metadata == metadata(0)


@both_handlers
@everywhere
async def test_metadata_published_with_the_outcome(place: Place, colour: str) -> None:
    """What end_with() was given is seen with the outcome and not before, whether that is a response or an error (RUN-1)."""
    gate = Gate()
    gates = {"success": gate, "failure": gate}

    async def script(context: Any, update: Update) -> Any:
        await update(metadata(1))
        context.end_with(metadata(3))
        context.end_with(metadata(4))
        assert context.metadata == metadata(1)
        with pytest.raises(TypeError):
            context.end_with(library_pb2.OperationMetadata())
        await asyncio.get_running_loop().run_in_executor(None, gates["success"].sync, None, context)
        if context.name == failing_name[0]:
            raise RuntimeError
        return IMPORTED

    failing_name = [""]
    async with place.serving(importing(scripted(colour, script))) as running:
        names = [await running.start(), await running.start()]
        failing_name[0] = names[1]
        await gate.entered(2)
        for name in names:
            assert (await running.client.get(name, IMPORT_BOOKS)).metadata == metadata(1)
        gate.open()
        for name in names:
            done = await running.done(name)
            snapshot = await running.client.get(name, IMPORT_BOOKS)
            assert snapshot.metadata == metadata(4)
            assert done.HasField("error") == (name == names[1])


@both_handlers
@once
async def test_a_sleep_ends_with_a_cancel(place: Place, colour: str) -> None:
    """context.sleep() sleeps as long as it is told, and no longer than until a cancel is requested (SRV-4)."""
    asleep = threading.Event()
    slept: list[float] = []

    async def on_loop(request: Any, context: Any) -> Any:
        began = time.monotonic()
        await context.sleep(0.05)
        slept.append(time.monotonic() - began)
        asleep.set()
        await context.sleep(3600)

    def in_thread(request: Any, context: Any) -> Any:
        began = time.monotonic()
        context.sleep(0.05)
        slept.append(time.monotonic() - began)
        asleep.set()
        context.sleep(3600)

    async with place.serving(importing(on_loop if colour == "async" else in_thread)) as running:
        name = await running.start()
        await eventually(asleep.is_set)
        await running.raw.cancel(name)
        done = await running.done(name)
        assert done.error.code == code_pb2.CANCELLED
        assert slept[0] >= 0.049


@both_handlers
@once
async def test_a_store_that_fails_an_update(place: Place, colour: str) -> None:
    """Where the store is not available update() says so; the handler may try again, and nothing was written (RUN-1)."""
    store = Meddled(place.store())
    store.before["update"] = failing(StoreUnavailableError("the disk is full"), times=1)

    async def script(context: Any, update: Update) -> Any:
        with pytest.raises(StoreUnavailableError):
            await update(metadata(1), b"1")
        assert context.metadata is None
        await update(metadata(2), b"2")
        assert context.metadata == metadata(2)
        return IMPORTED

    async with place.serving(importing(scripted(colour, script)), store=store) as running:
        done = await running.outcome()
        assert done.HasField("response"), done
