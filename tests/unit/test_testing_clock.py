# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The fake clocks of the testing kit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import pytest

from longrunning.client import AsyncClock, Clock
from longrunning.testing import AsyncFakeClock, FakeClock

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine, and fails rather than hangs."""

    async def bounded() -> T:
        async with asyncio.timeout(10):
            return await coroutine

    return asyncio.run(bounded())


def spawn(target: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    return thread


def test_fake_clocks_are_what_the_clients_take() -> None:
    """The fake clocks fit the protocols of the clients (law 2)."""
    sync: Clock = FakeClock()
    aio: AsyncClock = AsyncFakeClock()
    assert (sync.now(), aio.now()) == (0, 0)


@pytest.mark.parametrize("kind", [FakeClock, AsyncFakeClock])
def test_a_sleep_moves_the_clock_at_once(kind: type[FakeClock | AsyncFakeClock]) -> None:
    """By default a sleep takes no time, moves the clock and is recorded (law 2)."""
    clock = kind(start=100)

    async def sleep(seconds: float) -> None:
        slept = clock.sleep(seconds)
        if slept is not None:
            await slept

    run(sleep(1.5))
    run(sleep(0))
    run(sleep(20))
    assert clock.sleeps == [1.5, 0, 20]
    assert clock.now() == 121.5
    assert repr(clock) == f"<{kind.__name__} at 121.5 s, 3 sleeps>"


@pytest.mark.parametrize("kind", [FakeClock, AsyncFakeClock])
def test_random_is_what_the_test_says(kind: type[FakeClock | AsyncFakeClock]) -> None:
    """Random numbers are a constant or a sequence whose last one repeats (law 2)."""
    clock = kind()
    assert [clock.random(), clock.random()] == [0, 0]
    clock.set_random(0.5)
    assert [clock.random(), clock.random()] == [0.5, 0.5]
    clock.set_random([0.25, 0.75])
    assert [clock.random() for _ in range(3)] == [0.25, 0.75, 0.75]
    assert kind(random=0.125).random() == 0.125


@pytest.mark.parametrize("random", [1, -0.1, [0.5, 1.0], []])
def test_random_is_from_0_up_to_1(random: float | list[float]) -> None:
    """A random number that random.random() never returns is refused (law 2)."""
    with pytest.raises(ValueError, match="random numbers are from 0"):
        FakeClock(random=random)


def test_a_negative_sleep_is_refused() -> None:
    """Neither clock sleeps backwards, as the real ones do not (law 2)."""
    with pytest.raises(ValueError, match="0 or more"):
        FakeClock().sleep(-1)
    with pytest.raises(ValueError, match="0 or more"):
        run(AsyncFakeClock().sleep(-1))


def test_an_async_sleep_lets_others_run() -> None:
    """An async sleep that takes no time still yields to the loop (law 2)."""

    async def main() -> list[str]:
        seen: list[str] = []
        clock = AsyncFakeClock()

        async def other() -> None:
            seen.append("other")

        task = asyncio.ensure_future(other())
        await clock.sleep(1)
        seen.append("sleeper")
        await task
        return seen

    assert run(main()) == ["other", "sleeper"]


def test_threads_sleep_until_the_clock_is_advanced_past_them() -> None:
    """With auto=False sleepers in threads wake in the order of their ends, as the test advances the clock (law 2)."""
    clock = FakeClock(auto=False)
    woken: list[float] = []

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        woken.append(seconds)

    threads = {seconds: spawn(partial(sleep, seconds)) for seconds in (3.0, 1.0, 2.0)}
    clock.wait_for_sleepers(3)
    assert sorted(clock.sleeps) == [1, 2, 3]
    clock.advance(0.5)
    assert clock.sleepers == 3
    clock.advance(timedelta(seconds=0.5))
    threads[1.0].join(5)
    assert (woken, clock.sleepers, clock.now()) == ([1], 2, 1)
    assert clock.advance_to_next() == 1
    threads[2.0].join(5)
    assert (woken, clock.sleepers, clock.now()) == ([1, 2], 1, 2)
    clock.release()
    threads[3.0].join(5)
    assert (woken, clock.sleepers, clock.now()) == ([1, 2, 3], 0, 3)
    clock.sleep(7)
    assert clock.now() == 10


def test_tasks_sleep_until_the_clock_is_advanced_past_them() -> None:
    """With auto=False sleeping tasks wake in the order of their ends, as the test advances the clock (law 2)."""

    async def main() -> None:
        clock = AsyncFakeClock(auto=False)
        woken: list[float] = []

        async def sleep(seconds: float) -> None:
            await clock.sleep(seconds)
            woken.append(seconds)

        tasks = {seconds: asyncio.ensure_future(sleep(seconds)) for seconds in (3.0, 1.0, 2.0)}
        await clock.wait_for_sleepers(3)
        assert clock.sleeps == [3, 1, 2]
        clock.advance(0.5)
        assert clock.sleepers == 3
        clock.advance(timedelta(seconds=0.5))
        await tasks[1.0]
        assert (woken, clock.sleepers, clock.now()) == ([1], 2, 1)
        assert clock.advance_to_next() == 1
        await tasks[2.0]
        assert (woken, clock.sleepers, clock.now()) == ([1, 2], 1, 2)
        clock.release()
        await tasks[3.0]
        assert (woken, clock.sleepers, clock.now()) == ([1, 2, 3], 0, 3)
        await clock.sleep(7)
        assert clock.now() == 10

    run(main())


def test_a_cancelled_task_sleeps_no_more() -> None:
    """A sleeping task that is cancelled is no sleeper any more, and its sleep stays recorded (WAIT-9)."""

    async def main() -> None:
        clock = AsyncFakeClock(auto=False)
        task = asyncio.ensure_future(clock.sleep(5))
        await clock.wait_for_sleepers(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (clock.sleepers, clock.sleeps, clock.now()) == (0, [5], 0)

    run(main())


def test_an_interrupted_thread_sleeps_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sleep that Ctrl-C ends is no sleeper any more, and stays recorded (WAIT-9)."""
    clock = FakeClock(auto=False)

    def interrupt(*_: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Condition, "wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        clock.sleep(5)
    assert (clock.sleepers, clock.sleeps, clock.now()) == (0, [5], 0)


def test_no_sleep_is_no_sleep() -> None:
    """A sleep of 0 s returns without anybody advancing the clock (law 2)."""
    clock = FakeClock(auto=False)
    clock.sleep(0)
    assert clock.sleeps == [0]

    async def main() -> None:
        clock = AsyncFakeClock(auto=False)
        await clock.sleep(0)
        assert clock.sleeps == [0]

    run(main())


def test_missing_sleepers_are_a_timeout() -> None:
    """wait_for_sleepers gives up with a TimeoutError that counts, and never hangs (law 2)."""
    with pytest.raises(TimeoutError, match=r"0 of 1 sleepers after 0\.01 s"):
        FakeClock(auto=False).wait_for_sleepers(1, 0.01)
    with pytest.raises(TimeoutError, match=r"0 of 1 sleepers after 0\.01 s"):
        run(AsyncFakeClock(auto=False).wait_for_sleepers(1, 0.01))


def test_nobody_to_advance_to_is_an_error() -> None:
    """advance_to_next() without a sleeper says so (law 2)."""
    with pytest.raises(RuntimeError, match="nobody sleeps"):
        FakeClock(auto=False).advance_to_next()
    with pytest.raises(RuntimeError, match="nobody sleeps"):
        AsyncFakeClock(auto=False).advance_to_next()


def test_the_next_sleep_ends_also_where_sums_of_floats_do_not_meet() -> None:
    """advance_to_next() wakes its sleeper whatever floating point makes of the sum (law 2)."""

    async def main() -> None:
        clock = AsyncFakeClock(auto=False, start=0.1)
        for _ in range(50):
            task = asyncio.ensure_future(clock.sleep(0.7))
            await clock.wait_for_sleepers(1)
            clock.advance_to_next()
            await task

    run(main())
