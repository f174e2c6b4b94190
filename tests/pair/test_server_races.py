# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The server: many callers who start, wait, cancel and delete at once, and a server that ends in the middle of it."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from typing import Any, Final

import grpc
import pytest
from google.rpc import code_pb2

from example.library.v1 import library_pb2
from longrunning import Code, OperationError, Status
from longrunning.server import LocalExecutor
from tests.pair.colours import IMPORT_BOOKS, metadata
from tests.pair.serving import (
    IMPORT,
    IMPORTED,
    PARENT,
    Place,
    Running,
    both_handlers,
    bounds,
    eventually,
    everywhere,
    importing,
)

ENDS: Final = {"response", "failed", "cancelled"}


def end_of(operation: Any) -> str:
    """How an operation ended."""
    if operation.HasField("response"):
        return "response"
    return "cancelled" if operation.error.code == code_pb2.CANCELLED else "failed"


def work(colour: str, runs: Counter[str]) -> Any:
    """A handler of either kind that works a little, writes a little, and fails for some requests."""

    def steps(request: library_pb2.ImportBooksRequest) -> list[float]:
        return [0.001] * request.count

    def finish(request: library_pb2.ImportBooksRequest, context: Any) -> Any:
        if request.fail_at:
            raise OperationError(Status(Code.DATA_LOSS, "a book is missing"))
        return IMPORTED

    async def on_loop(request: library_pb2.ImportBooksRequest, context: Any) -> Any:
        runs[context.name] += 1
        for step in steps(request):
            await context.update(metadata(1))
            await asyncio.sleep(step)
            context.raise_if_cancelled()
        return finish(request, context)

    def in_thread(request: library_pb2.ImportBooksRequest, context: Any) -> Any:
        runs[context.name] += 1
        for step in steps(request):
            context.update(metadata(1))
            time.sleep(step)
            context.raise_if_cancelled()
        return finish(request, context)

    return on_loop if colour == "async" else in_thread


@both_handlers
@everywhere
async def test_everything_at_once(place: Place, colour: str) -> None:
    """Among many callers each operation runs at most once and has one end, which everybody sees alike (RUN-1, SRV-4..6)."""
    runs: Counter[str] = Counter()
    chance = random.Random(1)

    async def life(running: Running) -> tuple[str, str] | None:
        request = library_pb2.ImportBooksRequest(parent=PARENT, count=chance.randrange(3), fail_at=chance.randrange(2))
        name = await running.start(request=request)
        seen: list[Any] = []

        async def wait() -> None:
            seen.append(await running.done(name))

        async def disturb() -> None:
            await asyncio.sleep(chance.random() * 0.01)
            if chance.random() < 0.5:
                await running.raw.cancel(name)

        await asyncio.gather(wait(), wait(), disturb())
        assert seen[0] == seen[1] == await running.raw.get(name)
        assert seen[0].done
        return name, end_of(seen[0])

    executor = LocalExecutor(concurrency=8)
    async with place.serving(importing(work(colour, runs)), executor=executor) as running:
        ended = dict(filter(None, await asyncio.gather(*(life(running) for _ in range(40)))))
        assert set(ended.values()) <= ENDS
        assert max(runs.values()) == 1
        for name, end in ended.items():
            assert end == "cancelled" or runs[name] == 1
        listed = {
            operation.name: end_of(operation)
            for operation in (await running.raw.list(PARENT, page_size=1000)).operations
        }
        assert listed == ended


@both_handlers
@everywhere
async def test_a_server_that_ends_in_the_middle_of_it(place: Place, colour: str) -> None:
    """Every operation that was acknowledged before a server ended is done at the next one, and none is new (RUN-2, RUN-4)."""
    runs: Counter[str] = Counter()
    limits = bounds(shutdown_grace=0.02, reconcile_interval=0.02)
    acknowledged: list[str] = []

    async def hammer(running: Running) -> None:
        while True:
            request = library_pb2.ImportBooksRequest(parent=PARENT, count=4)
            try:
                acknowledged.append((await running.raw.start(IMPORT_BOOKS, request, timeout=10)).name)
            except grpc.aio.AioRpcError as error:
                assert error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}  # noqa: PT017
                return

    async with place.serving(importing(work(colour, runs), max_attempts=1), limits=limits) as running:
        callers = [asyncio.ensure_future(hammer(running)) for _ in range(4)]
        await eventually(lambda: len(acknowledged) >= 20)
        await running.shut_down()
        await asyncio.gather(*callers)
    async with place.serving(importing(work(colour, runs), max_attempts=1), limits=limits) as running:
        began = time.monotonic()
        for name in acknowledged:
            operation = await running.done(name)
            assert operation.HasField("response"), operation
        assert time.monotonic() - began < 10
        listed = (await running.raw.list(PARENT, page_size=1000)).operations
        assert {operation.name for operation in listed} >= set(acknowledged)


@pytest.mark.parametrize("order", ["cancel, delete", "delete, cancel"])
@everywhere
async def test_a_cancel_beside_a_delete(place: Place, order: str) -> None:
    """A cancel and a delete of one operation at once: whichever comes first, it is hidden, and its handler ends (SRV-4, SRV-5)."""
    runs: Counter[str] = Counter()
    async with place.serving(importing(work("async", runs))) as running:
        for _ in range(10):
            name = await running.start(request=library_pb2.ImportBooksRequest(parent=PARENT, count=30))
            calls = {"cancel": running.raw.cancel(name), "delete": running.raw.delete(name)}
            results = await asyncio.gather(*(calls[call] for call in order.split(", ")), return_exceptions=True)
            errors = [result for result in results if isinstance(result, BaseException)]
            assert len(errors) <= 1
            assert all(isinstance(error, grpc.aio.AioRpcError) for error in errors)
            with pytest.raises(grpc.aio.AioRpcError):
                await running.raw.get(name)
        assert (await running.outcome(request=IMPORT)).HasField("response")
