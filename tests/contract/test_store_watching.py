# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Stores: telling what happened to whoever watches."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import pytest

from longrunning._lifecycle import Phase
from longrunning.server.storage import OperationStore
from tests.contract.stores import NAME, OUTCOMES, PATIENCE, SUCCESS, TTL, Play, Stage


class Watching:
    """Somebody who watches a store, in a task."""

    def __init__(self, store: OperationStore) -> None:
        self.store = store
        self.seen: set[str] = set()
        self.free = asyncio.Event()  # while it is not, it does not look for more
        self.free.set()
        self._changed = asyncio.Event()
        self.task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        async for names in self.store.watch():
            assert names
            self.seen |= names
            self._changed.set()
            await self.free.wait()

    async def sees(self, name: str) -> None:
        """Waits until a name was told."""
        async with asyncio.timeout(PATIENCE):
            while name not in self.seen:
                self._changed.clear()
                await self._changed.wait()

    async def starts(self, stage: Stage) -> None:
        """Waits until it is told what happens: what happened before, nobody owes it."""
        async with asyncio.timeout(PATIENCE):
            number = 0
            while not self.seen:
                await stage.ended(f"operations/start-{id(self)}-{number}")
                await asyncio.sleep(0.005)
                number += 1

    async def stop(self) -> None:
        """Stops watching."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def by_success(stage: Stage) -> None:
    await stage.store.finish(NAME, 1, SUCCESS)


async def by_failure(stage: Stage) -> None:
    await stage.store.finish(NAME, 1, OUTCOMES[Phase.FAILED])


async def by_a_cancel_request(stage: Stage) -> None:
    await stage.store.request_cancel(NAME, None)


async def by_cancelling_at_once(stage: Stage) -> None:
    await stage.store.release({NAME: 1})
    await stage.store.request_cancel(NAME, None)


async def by_a_delete(stage: Stage) -> None:
    await stage.store.delete(NAME, None)


async def by_abandoning(stage: Stage) -> None:
    stage.clock.advance(TTL)
    assert await stage.store.abandon(limit=10) == (NAME,)


EVENTS = (by_success, by_failure, by_a_cancel_request, by_cancelling_at_once, by_a_delete, by_abandoning)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_who_watches_is_told(play: Play, event: Callable[[Stage], Awaitable[None]]) -> None:
    """An end, a delete and a request to cancel are told to everybody who watches, on this store and on others (SRV-6, SRV-4)."""

    async def scenario(stage: Stage) -> None:
        watching = [Watching(stage.store), Watching(stage.store), Watching(await stage.another())]
        for one in watching:
            await one.starts(stage)
        await stage.claimed(max_attempts=1)
        await event(stage)
        for one in watching:
            await one.sees(NAME)
            await one.stop()

    play(scenario)


@pytest.mark.parametrize("end", [by_abandoning, "release"], ids=["abandoned", "released"])
def test_an_end_after_a_cancel_is_told_too(play: Play, end: Callable[[Stage], Awaitable[None]] | str) -> None:
    """Who was told of the request to cancel is told again when the operation ends by it (SRV-4, SRV-6)."""

    async def scenario(stage: Stage) -> None:
        watching = Watching(stage.store)
        await watching.starts(stage)
        await stage.claimed()
        await stage.store.request_cancel(NAME, None)
        await watching.sees(NAME)
        await asyncio.sleep(0.05)  # names may come twice: let those that were due come first
        watching.seen.clear()
        if callable(end):
            await end(stage)
        else:
            await stage.store.release({NAME: 1})
        await watching.sees(NAME)
        await watching.stop()

    play(scenario)


def test_a_slow_watcher_misses_nothing(play: Play) -> None:
    """What happened while somebody was busy is told when it looks again, together (SRV-6)."""

    async def scenario(stage: Stage) -> None:
        watching = Watching(stage.store)
        await watching.starts(stage)
        watching.free.clear()
        names = {f"operations/{number}" for number in range(100)}
        for name in sorted(names):
            await stage.ended(name)
        watching.free.set()
        for name in names:
            await watching.sees(name)
        await watching.stop()

    play(scenario)


def test_who_stops_watching_disturbs_nobody(play: Play) -> None:
    """A watcher that is cancelled, or leaves its loop, takes nothing away from the others (SRV-6)."""

    async def scenario(stage: Stage) -> None:
        staying, leaving = Watching(stage.store), Watching(stage.store)
        await staying.starts(stage)
        await leaving.starts(stage)
        await leaving.stop()
        once = stage.store.watch()
        first = asyncio.ensure_future(anext(once))
        async with asyncio.timeout(PATIENCE):
            for number in itertools.count():
                await stage.ended(f"operations/{number}")
                if await asyncio.wait([first], timeout=0.005) == ({first}, set()):
                    break
        await once.aclose()
        await stage.ended("operations/second")
        await staying.sees("operations/second")
        await staying.stop()

    play(scenario)


def test_closing_the_store_ends_what_watches(play: Play) -> None:
    """Nobody is left waiting for what a closed store will never tell (SRV-6)."""

    async def scenario(stage: Stage) -> None:
        watching = Watching(stage.store)
        await watching.starts(stage)
        await stage.reopen()
        async with asyncio.timeout(PATIENCE):
            await watching.task
        await stage.create("operations/after")

    play(scenario)
