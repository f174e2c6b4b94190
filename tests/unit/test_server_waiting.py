# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""`Waiting`: who is woken, and what is left when nobody waits any more."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from longrunning.server import MemoryStore
from longrunning.server._waiting import Waiting

Scenario = Callable[[MemoryStore, Waiting], Awaitable[None]]


def play(scenario: Scenario) -> None:
    """Plays a scenario; fails where a task or an exception is left of it."""
    lost: list[dict[str, Any]] = []

    async def played() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(context))
        store = MemoryStore()
        waiting = Waiting(store)
        await scenario(store, waiting)
        await waiting.close()
        await store.close()
        await turns(5)
        assert len(asyncio.all_tasks()) == 1
        gc.collect()
        await turns(1)

    asyncio.run(played())
    assert not lost


async def turns(count: int) -> None:
    """Lets everybody else run, so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_only_those_who_wait_for_it_are_woken() -> None:
    """A wake reaches all waiters of that operation, and no others (SRV-6)."""

    async def scenario(store: MemoryStore, waiting: Waiting) -> None:
        names = ["operations/1", "operations/1", "operations/2"]
        woken: list[str] = []

        async def wait(name: str) -> None:
            with waiting.subscribe(name) as subscription:
                await turns(8)  # by then the store is watched, and all were told to look again
                await subscription.sleep(0)
                await subscription.sleep(3600)
                woken.append(name)

        tasks = [asyncio.ensure_future(wait(name)) for name in names]
        while waiting.count < 3:  # noqa: ASYNC110
            await asyncio.sleep(0)
        await turns(20)
        waiting.wake(["operations/1", "operations/3"])
        await turns(5)
        assert woken == ["operations/1"] * 2
        assert waiting.count == 1
        waiting.wake(["operations/2"])
        await asyncio.gather(*tasks)
        assert waiting.count == 0

    play(scenario)


def test_a_wake_before_the_sleep_is_not_lost() -> None:
    """Whoever is woken between looking and sleeping does not sleep (SRV-6)."""

    async def scenario(store: MemoryStore, waiting: Waiting) -> None:
        with waiting.subscribe("operations/1") as subscription:
            for _ in range(3):
                waiting.wake(["operations/1"])
                waiting.wake(["operations/1"])
                async with asyncio.timeout(5):
                    await subscription.sleep(3600)

    play(scenario)


def test_a_sleep_ends_by_itself() -> None:
    """A sleep without a wake ends when its time is over, and its timer goes with it (SRV-6)."""

    async def scenario(store: MemoryStore, waiting: Waiting) -> None:
        with waiting.subscribe("operations/1") as subscription:
            await subscription.sleep(0)
            await subscription.sleep(-1)

    play(scenario)


@pytest.mark.parametrize("moment", range(10))
def test_closing_at_every_moment(moment: int) -> None:
    """However far watching the store has come when it is closed, nothing is left of it, and nothing fails (SRV-6, RUN-4)."""

    async def scenario(store: MemoryStore, waiting: Waiting) -> None:
        with waiting.subscribe("operations/1") as subscription:
            await turns(moment)
            await waiting.close()
            assert waiting.closed
            await subscription.sleep(3600)

    play(scenario)


@pytest.mark.parametrize("moment", range(10))
def test_a_waiter_cancelled_at_every_moment(moment: int) -> None:
    """A waiter that is cancelled is not counted any more, and leaves nothing (SRV-6)."""

    async def scenario(store: MemoryStore, waiting: Waiting) -> None:
        async def wait() -> None:
            with waiting.subscribe("operations/1") as subscription:
                await subscription.sleep(3600)

        task = asyncio.ensure_future(wait())
        await turns(moment)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert waiting.count == 0

    play(scenario)


def test_waiters_after_the_end_leave_nothing() -> None:
    """A waiter that comes after the end is counted, and starts nothing (SRV-6)."""

    async def scenario(store: MemoryStore, waiting: Waiting) -> None:
        await waiting.close()
        with waiting.subscribe("operations/1"):
            assert waiting.count == 1
        assert waiting.count == 0

    play(scenario)
