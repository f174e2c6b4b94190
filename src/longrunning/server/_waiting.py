# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Who waits for which operation, and waking just them.

A wake is a hint. Whoever waits subscribes, reads, sleeps until woken, and reads again; and because a hint may be lost, the
store is asked every few seconds which of all the awaited operations are settled, in one question for all of them.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Iterable
from types import TracebackType
from typing import Final, Self, final

from ..errors import StoreUnavailableError
from .storage import OperationStore

__all__ = ["Subscription", "Waiting"]

_log: Final = logging.getLogger("longrunning.server")

_REREAD: Final = 5.0  # seconds: how late a completion is noticed at most when its hint was lost
_LINGER: Final = 1.0  # seconds for which the store is still watched after the last waiter left: the next is often near
_RETRY: Final = 0.5  # seconds between attempts to watch a store that is not available
_CHUNK: Final = 1000  # operations asked about in one question


@final
class Subscription:
    """One waiter of one operation. A context manager: what is woken from its beginning on is not missed."""

    __slots__ = ("_future", "_name", "_waiting")

    def __init__(self, waiting: Waiting, name: str) -> None:
        self._waiting = waiting
        self._name = name
        self._future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def __enter__(self) -> Self:
        self._waiting.add(self._name, self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._waiting.remove(self._name, self)

    def wake(self) -> None:
        """Ends `sleep`, or the next one."""
        if not self._future.done():
            self._future.set_result(None)

    async def sleep(self, seconds: float) -> None:
        """Returns when woken, or after so many seconds."""
        loop = asyncio.get_running_loop()
        timer = loop.call_later(seconds, self.wake)
        try:
            await self._future
        finally:
            timer.cancel()
            self._future = loop.create_future()  # from here on the next wake counts


@final
class Waiting:
    """All the waiters of a server."""

    def __init__(self, store: OperationStore) -> None:
        self._store = store
        self._waiters: dict[str, set[Subscription]] = {}
        self._count = 0
        self._watching: asyncio.Task[None] | None = None
        self._lingering: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def count(self) -> int:
        """How many wait."""
        return self._count

    @property
    def closed(self) -> bool:
        """Whether nobody is woken any more."""
        return self._closed

    def subscribe(self, name: str) -> Subscription:
        """A new waiter; it counts from when it is entered."""
        return Subscription(self, name)

    def wake(self, names: Iterable[str]) -> None:
        """Wakes the waiters of these operations, and no others."""
        for name in names:
            for subscription in self._waiters.get(name, ()):
                subscription.wake()

    def add(self, name: str, subscription: Subscription) -> None:
        """Counts a waiter, and begins to watch the store if it is the first."""
        self._waiters.setdefault(name, set()).add(subscription)
        self._count += 1
        if self._watching is None and not self._closed:
            self._watching = asyncio.create_task(self._watch(), name="longrunning-watch", context=contextvars.Context())

    def remove(self, name: str, subscription: Subscription) -> None:
        """Forgets a waiter; after the last one the store is watched for a little longer."""
        found = self._waiters.get(name)
        if found is not None:
            found.discard(subscription)
            if not found:
                del self._waiters[name]
        self._count -= 1
        if not self._count and self._lingering is None and not self._closed:
            self._lingering = asyncio.get_running_loop().call_later(_LINGER, self._rest)

    async def close(self) -> None:
        """Wakes everybody, and stops watching."""
        self._closed = True
        self.wake(list(self._waiters))
        if self._lingering is not None:
            self._lingering.cancel()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
            self._watching = None

    def _rest(self) -> None:
        self._lingering = None
        if self._count:
            return
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None

    async def _watch(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hear(), name="longrunning-hear")
            group.create_task(self._reread(), name="longrunning-reread")

    async def _hear(self) -> None:
        while True:
            changes = self._store.watch()
            first = asyncio.ensure_future(anext(changes))
            try:
                await asyncio.sleep(0)
                if not first.done():  # what changed before the store was watched, nobody else tells them
                    self.wake(list(self._waiters))
                self.wake(await first)
                async for names in changes:
                    self.wake(names)
            except StopAsyncIteration:
                pass
            except StoreUnavailableError as error:
                _log.debug("cannot watch the store: %s", error)
            except Exception:  # noqa: BLE001 (logged in full; it must go on)
                _log.exception("watching the store failed")
            finally:
                first.cancel()
                await asyncio.gather(first, return_exceptions=True)
                await changes.aclose()
            await asyncio.sleep(_RETRY)

    async def _reread(self) -> None:
        while True:
            await asyncio.sleep(_REREAD)
            names = list(self._waiters)
            try:
                for start in range(0, len(names), _CHUNK):
                    self.wake(await self._store.settled(names[start : start + _CHUNK]))
            except StoreUnavailableError as error:
                _log.debug("cannot ask the store who is done: %s", error)
            except Exception:  # noqa: BLE001 (logged in full; it must go on)
                _log.exception("asking the store who is done failed")
