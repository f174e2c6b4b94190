# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Clocks for tests: time passes when the test says so, and chance is what the test says.

Laws of this file:

1. Real time plays no part, except as the bound of `wait_for_sleepers`.
2. Every sleep is recorded when it begins, also one that is interrupted.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Iterator
from typing import final

from ..policy import Seconds, seconds

__all__ = ["AsyncFakeClock", "FakeClock"]


class _Fake:
    """What both clocks share: the time, the chance, and the record."""

    sleeps: list[float]

    def __init__(self, *, auto: bool, start: Seconds, random: float | Iterable[float]) -> None:
        self.sleeps = []
        self._auto = auto
        self._now = seconds(start, "the start of a clock")
        self._lock = threading.Condition()
        self._chance: Iterator[float] = iter(())
        self._random = 0.0
        self.set_random(random)

    def now(self) -> float:
        """Monotonic seconds."""
        return self._now

    def random(self) -> float:
        """The next of the given numbers; the last one repeats."""
        with self._lock:
            self._random = next(self._chance, self._random)
            return self._random

    def set_random(self, random: float | Iterable[float]) -> None:
        """Sets what `random` returns.

        Args:
            random: One number for always, or several in a row, the last of which repeats; each from 0 up to, not
                including, 1, as from ``random.random()``.

        Raises:
            ValueError: A number is out of range, or there is none.
        """
        numbers = [random] if isinstance(random, (int, float)) else list(random)
        if not numbers or not all(0 <= number < 1 for number in numbers):
            raise ValueError(f"random numbers are from 0 up to, not including, 1; got {random!r}")
        with self._lock:
            self._chance = iter(numbers)

    def _begin(self, amount: float) -> float:
        """Records a sleep; its length."""
        length = seconds(amount, "a sleep")
        self.sleeps.append(length)
        return length

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self._now:g} s, {len(self.sleeps)} sleeps>"


@final
class FakeClock(_Fake):
    """A clock for sync code: for ``OperationsClient(…, clock=…)``.

    By default a sleep takes no time: it moves the clock and returns. With ``auto=False`` it blocks its thread until
    `advance` has moved the clock past it.

    Attributes:
        sleeps: The length of every sleep so far, seconds, in order.
    """

    def __init__(self, *, auto: bool = True, start: Seconds = 0.0, random: float | Iterable[float] = 0.0) -> None:
        """Makes a clock.

        Args:
            auto: Whether sleeps take no time. Several sleepers at once are better advanced by hand: with ``auto`` each of
                them moves the clock.
            start: The time it shows first, seconds.
            random: What `random` returns; see `set_random`.
        """
        super().__init__(auto=auto, start=start, random=random)
        self._due: list[float] = []  # when each parked sleep ends

    @property
    def sleepers(self) -> int:
        """How many sleeps are waiting for `advance`."""
        return len(self._due)

    def sleep(self, seconds: float) -> None:
        """Records the sleep, and returns at once or, with ``auto=False``, when the clock was advanced past it."""
        with self._lock:
            length = self._begin(seconds)
            if self._auto:
                self._now += length
                return
            due = self._now + length
            if due <= self._now:
                return
            self._due.append(due)
            self._lock.notify_all()
            try:
                # Whoever advances the clock takes the sleep off the list, so that `sleepers` is right at once.
                self._lock.wait_for(lambda: self._now >= due)
            finally:
                if self._now < due:  # interrupted
                    self._due.remove(due)

    def advance(self, seconds: Seconds) -> None:
        """Moves the clock, and ends the sleeps it has moved past."""
        with self._lock:
            self._move(self._now + _step(seconds))

    def advance_to_next(self) -> float:
        """Moves the clock to the end of the next sleep; by how many seconds.

        Raises:
            RuntimeError: Nobody sleeps.
        """
        with self._lock:
            before, after = self._now, _next(self._due)
            self._move(after)
            return after - before

    def release(self) -> None:
        """Lets everybody go who sleeps: from now on sleeps take no time, as with ``auto=True``."""
        with self._lock:
            self._auto = True
            self._move(max(self._due, default=self._now))

    def wait_for_sleepers(self, count: int, timeout: Seconds = 5.0) -> None:
        """Blocks until that many sleeps, or more, wait for `advance`.

        Args:
            count: How many.
            timeout: How long to wait for them, in real time.

        Raises:
            TimeoutError: There were fewer.
        """
        with self._lock:
            if not self._lock.wait_for(lambda: len(self._due) >= count, _step(timeout)):
                raise _too_few(len(self._due), count, timeout)

    def _move(self, now: float) -> None:
        self._now = now
        self._due[:] = [due for due in self._due if due > now]
        self._lock.notify_all()


@final
class AsyncFakeClock(_Fake):
    """A clock for async code: for ``AsyncOperationsClient(…, clock=…)``.

    By default a sleep takes no time: it moves the clock, lets other tasks run, and returns. With ``auto=False`` it
    blocks its task until `advance` has moved the clock past it. To be used from one event loop.

    Attributes:
        sleeps: The length of every sleep so far, seconds, in order.
    """

    def __init__(self, *, auto: bool = True, start: Seconds = 0.0, random: float | Iterable[float] = 0.0) -> None:
        """Makes a clock.

        Args:
            auto: Whether sleeps take no time. Several sleepers at once are better advanced by hand: with ``auto`` each of
                them moves the clock.
            start: The time it shows first, seconds.
            random: What `random` returns; see `set_random`.
        """
        super().__init__(auto=auto, start=start, random=random)
        self._parked: list[tuple[float, asyncio.Future[None]]] = []
        self._arrived = asyncio.Event()

    @property
    def sleepers(self) -> int:
        """How many sleeps are waiting for `advance`."""
        return len(self._parked)

    async def sleep(self, seconds: float) -> None:
        """Records the sleep, and returns at once or, with ``auto=False``, when the clock was advanced past it."""
        length = self._begin(seconds)
        if self._auto:
            self._now += length
        if self._auto or not length:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (self._now + length, woken)
        self._parked.append(entry)
        self._arrived.set()
        try:
            await woken
        finally:
            if entry in self._parked:  # interrupted
                self._parked.remove(entry)

    def advance(self, seconds: Seconds) -> None:
        """Moves the clock, and ends the sleeps it has moved past; their tasks run when this one next waits."""
        self._move(self._now + _step(seconds))

    def advance_to_next(self) -> float:
        """Moves the clock to the end of the next sleep; by how many seconds.

        Raises:
            RuntimeError: Nobody sleeps.
        """
        before, after = self._now, _next([due for due, _ in self._parked])
        self._move(after)
        return after - before

    def release(self) -> None:
        """Lets everybody go who sleeps: from now on sleeps take no time, as with ``auto=True``."""
        self._auto = True
        self._move(max((due for due, _ in self._parked), default=self._now))

    async def wait_for_sleepers(self, count: int, timeout: Seconds = 5.0) -> None:
        """Waits until that many sleeps, or more, wait for `advance`.

        Args:
            count: How many.
            timeout: How long to wait for them, in real time.

        Raises:
            TimeoutError: There were fewer.
        """
        try:
            async with asyncio.timeout(_step(timeout)):
                while len(self._parked) < count:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            raise _too_few(len(self._parked), count, timeout) from None

    def _move(self, now: float) -> None:
        self._now = now
        parked, self._parked = self._parked, []
        for due, woken in parked:
            if due > now:
                self._parked.append((due, woken))
            elif not woken.done():
                woken.set_result(None)


def _step(amount: Seconds) -> float:
    return seconds(amount, "how far to advance")


def _next(due: list[float]) -> float:
    if not due:
        raise RuntimeError("nobody sleeps: wait_for_sleepers() first")
    return min(due)


def _too_few(found: int, wanted: int, timeout: Seconds) -> TimeoutError:
    return TimeoutError(f"{found} of {wanted} sleepers after {timeout} s")
