# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Stores and clocks that a test has its hands in: calls that are delayed or fail, and time that jumps."""

from __future__ import annotations

import inspect
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from longrunning.server import OperationStore

Before = Callable[..., Awaitable[object]]


class Jumping:
    """The time of day, and more when a test says so."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self._ahead

    def jump(self, seconds: float) -> None:
        """Lets time pass at once, for the store alone."""
        self._ahead += seconds


class Meddled:
    """A store with something before and after its methods: by their names, async functions of their arguments that may raise.

    Attributes:
        store: What it passes calls on to.
        before: What comes before them.
        after: What comes after them: they are done by then, and nobody knows it yet.
        calls: The names of the methods called, in their order.
    """

    def __init__(self, store: OperationStore) -> None:
        self.store = store
        self.before: dict[str, Before] = {}
        self.after: dict[str, Before] = {}
        self.calls: list[str] = []

    async def watch(self) -> AsyncGenerator[frozenset[str], None]:
        """Told apart, because it is a generator."""
        await self.prepare("watch")
        changes = self.store.watch()
        try:
            async for names in changes:
                yield names
        finally:
            await changes.aclose()

    async def prepare(self, name: str, *arguments: Any, **named: Any) -> None:
        """What comes before a call."""
        self.calls.append(name)
        if (before := self.before.get(name)) is not None:
            await before(*arguments, **named)


def _passed_on(name: str) -> Callable[..., Awaitable[Any]]:
    async def call(self: Meddled, *arguments: Any, **named: Any) -> Any:
        await self.prepare(name, *arguments, **named)
        result = await getattr(self.store, name)(*arguments, **named)
        if (after := self.after.get(name)) is not None:
            await after(*arguments, **named)
        return result

    return call


for _name, _member in vars(OperationStore).items():
    if inspect.iscoroutinefunction(_member):
        setattr(Meddled, _name, _passed_on(_name))


def failing(error: BaseException, times: int = 10**9) -> Before:
    """Raises an error, so many times."""
    left = times

    async def fail(*arguments: Any, **named: Any) -> None:
        nonlocal left
        if left > 0:
            left -= 1
            raise error

    return fail
