# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Telling watchers what changed: at once what this store wrote, and soon what other processes did.

Every transaction that ends, deletes or cancels something takes the next number of a counter in the database, and leaves it
with the operations concerned. As transactions come one after the other, whoever remembers the last number it saw finds all
that came since by an index, and no clock is asked. That there is something new is told by ``pragma data_version``, which
reads a few bytes of shared memory.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import suppress
from typing import Final, final

__all__ = ["POSITION", "Watching"]

_EVERY: Final = 0.02  # seconds between looks, while somebody watches
_CHUNK: Final = 1000  # rows read at once

POSITION: Final = "select value from settings where key = 'changes'"
"""Selects the number of the last transaction that changed something."""

_SINCE: Final = """
select changed, name from operations indexed by changes where changed > 0 and changed > ? order by changed
"""


@final
class _Watcher:
    """What one iterator has not seen yet."""

    __slots__ = ("_changed", "ended", "loop", "names")

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.names: set[str] = set()
        self.ended = False
        self._changed = asyncio.Event()

    def tell(self, names: Collection[str]) -> None:
        self.names.update(names)
        self._changed.set()

    def end(self) -> None:
        self.ended = True
        self._changed.set()

    async def next(self) -> frozenset[str]:
        """At least one name; none where the store was closed."""
        while not self.names and not self.ended:
            self._changed.clear()
            await self._changed.wait()
        names, self.names = frozenset(self.names), set()
        return names


@final
class Watching:
    """All watchers of one store, and the thread that looks out for other processes while there are any."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        """Starts nothing.

        Args:
            connect: Opens the database for reading; called in the thread.
        """
        self._connect = connect
        self._watchers: set[_Watcher] = set()
        self._own: set[int] = set()  # numbers this store took itself: watchers were told already
        self._since: int | None = None  # the last number seen; None where it is not known yet
        self._wanted = threading.Condition()  # somebody watches, or it is over; guards all of these
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    async def watch(self, position: Callable[[], int | None]) -> AsyncGenerator[frozenset[str], None]:
        """Yields names until the store is closed.

        Args:
            position: Reads the counter, at once; ``None`` where that is not possible now.
        """
        watcher = _Watcher()
        self._enter(watcher, position)
        try:
            while names := await watcher.next():
                yield names
        finally:
            self._leave(watcher)

    def took(self, number: int) -> None:
        """This store took a number, and tells its own watchers itself."""
        with self._wanted:
            if self._watchers:
                self._own.add(number)

    def gave_back(self, number: int) -> None:
        """Its transaction failed: the number will be somebody else's."""
        with self._wanted:
            self._own.discard(number)

    def tell(self, names: Collection[str]) -> None:
        """This happened: from any thread."""
        for watcher in tuple(self._watchers):
            with suppress(RuntimeError):  # its loop is closed: nobody watches there any more
                watcher.loop.call_soon_threadsafe(watcher.tell, names)

    def close(self) -> None:
        """Ends all iterators, and the thread."""
        self._closing.set()
        with self._wanted:
            self._wanted.notify_all()
        for watcher in tuple(self._watchers):
            with suppress(RuntimeError):
                watcher.loop.call_soon_threadsafe(watcher.end)
        if self._thread is not None:
            self._thread.join()

    def _enter(self, watcher: _Watcher, position: Callable[[], int | None]) -> None:
        with self._wanted:
            if self._closing.is_set():
                watcher.ended = True
                return
            if not self._watchers:
                self._since = position()
            self._watchers = self._watchers | {watcher}
            if self._thread is None:
                self._thread = threading.Thread(target=self._main, name="longrunning-sqlite-watcher", daemon=True)
                self._thread.start()
            self._wanted.notify_all()

    def _leave(self, watcher: _Watcher) -> None:
        with self._wanted:
            self._watchers = self._watchers - {watcher}
            if not self._watchers:
                self._own.clear()

    # -- what runs in the thread ------------------------------------------------------------------------------------

    def _main(self) -> None:
        connection: sqlite3.Connection | None = None
        version = -1
        try:
            while True:
                with self._wanted:
                    while not self._watchers and not self._closing.is_set():
                        self._wanted.wait()
                        version = -1
                if self._closing.wait(_EVERY):
                    return
                try:
                    if connection is None:
                        connection = self._connect()
                    (seen,) = connection.execute("pragma data_version").fetchone()
                    if seen != version:
                        self._look(connection)
                        version = seen
                except sqlite3.Error:
                    continue  # what happened will be seen at the next look; waiters read again anyway
        finally:
            if connection is not None:
                connection.close()

    def _look(self, connection: sqlite3.Connection) -> None:
        """Tells what changed since the last look."""
        with self._wanted:
            since = self._since
        if since is None:
            (since,) = connection.execute(POSITION).fetchone()
        last = since
        cursor = connection.execute(_SINCE, (since,))
        while rows := cursor.fetchmany(_CHUNK):
            last = rows[-1][0]
            with self._wanted:
                others = [name for number, name in rows if number not in self._own]
            if others:
                self.tell(others)
        with self._wanted:
            self._since = last = max(last, self._since or 0)
            self._own = {number for number in self._own if number > last}
