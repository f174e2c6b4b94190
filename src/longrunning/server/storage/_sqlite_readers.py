# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Reading while somebody writes: one connection for what takes microseconds, and a few threads for the rest.

With a write-ahead log readers wait for nobody. Each read is a transaction of its own, so it sees whatever was committed
before it began: all that this store, or any other process, has acknowledged.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar, final

from ...errors import StoreUnavailableError
from ._sqlite_errors import is_busy, unavailable

__all__ = ["Readers"]

_T = TypeVar("_T")

_THREADS: Final = 4


@final
class Readers:
    """Connections that read. To be closed, which waits for what is being read."""

    def __init__(self, connect: Callable[[float], sqlite3.Connection], *, patience: float) -> None:
        """Opens the connection for short reads.

        Args:
            connect: Opens the database for reading, with this many seconds to wait for a lock.
            patience: Seconds which reads in threads wait for a lock.
        """
        self._connect = connect
        self._patience = patience
        self._inline = connect(0)
        self._busy = threading.Lock()  # event loops of several threads may share the store
        self._idle: deque[sqlite3.Connection] = deque()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="longrunning-sqlite-reader")
        self._closed = False

    async def row(self, statement: str, parameters: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """The first row of a statement that finds at most one, by an index.

        It is read right here, on the thread of the event loop: that takes less time than asking a thread.

        Raises:
            StoreUnavailableError: The database cannot be read.
        """
        found = self.now(statement, parameters)
        if found is not None:
            return found[0] if found else None
        rows = await self.run(lambda connection: connection.execute(statement, parameters).fetchall())
        return rows[0] if rows else None

    def now(self, statement: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]] | None:
        """The rows of a short statement; ``None`` where it would have to wait for a lock.

        Raises:
            StoreUnavailableError: The database cannot be read.
        """
        if not self._busy.acquire(blocking=False):
            return None
        try:
            if self._closed:
                raise StoreUnavailableError("the store is closed")
            return self._inline.execute(statement, parameters).fetchall()
        except sqlite3.Error as error:
            if is_busy(error):
                return None
            raise unavailable(error) from error
        finally:
            self._busy.release()

    async def run(self, read: Callable[[sqlite3.Connection], _T]) -> _T:
        """Reads in a thread.

        Raises:
            StoreUnavailableError: The database cannot be read.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, read)
        except sqlite3.Error as error:
            raise unavailable(error) from error
        except RuntimeError as error:
            if self._closed:
                raise StoreUnavailableError("the store is closed") from error
            raise

    def close(self) -> None:
        """Waits for what is being read, and closes the connections. Not on the thread of an event loop that reads."""
        with self._busy:
            self._closed = True
            self._inline.close()
        self._threads.shutdown(wait=True)
        while self._idle:
            self._idle.pop().close()

    def _read(self, read: Callable[[sqlite3.Connection], _T]) -> _T:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect(self._patience)
        try:
            return read(connection)
        finally:
            self._idle.append(connection)
