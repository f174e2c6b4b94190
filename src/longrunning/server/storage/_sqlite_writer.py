# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""One thread that writes: what many callers ask for meanwhile goes to the disk in one transaction (group commit).

Laws of this file:

1. Nothing is acknowledged before its transaction is committed. Where that fails, every job of the transaction fails.
2. A job that loses (a conflict, a lost lease, a value the database refuses) loses alone: it changed nothing, and the others
   are committed.
3. A transaction is short, because other processes wait for it: so many jobs, so many milliseconds, and no more.
4. Whoever asked may have gone away meanwhile. The job runs all the same.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Final, Protocol, TypeVar, final

from ...errors import StoreUnavailableError
from ._sqlite_errors import is_busy, is_store_error, unavailable
from ._sqlite_rows import MICROSECONDS

__all__ = ["Job", "Listener", "Transaction", "Writer"]

_T = TypeVar("_T")

_MOST_JOBS: Final = 500  # of one transaction
_LONGEST: Final = 0.005  # seconds for which a transaction takes in jobs

_PAUSE: Final = 0.001
"""Seconds between attempts to lock the database.

SQLite's own pauses grow to 100 ms: next to a process that commits without a break, some writes then waited for more than a
second. One that asks often finds the gaps, and waits for a tenth of that.
"""


class Listener(Protocol):
    """Who is told about transactions that change what watchers hear of."""

    def took(self, number: int) -> None:
        """A transaction took its number, and is not committed yet."""
        ...

    def gave_back(self, number: int) -> None:
        """It came to nothing: the next one, of whatever process, takes the same number."""
        ...

    def tell(self, names: Collection[str]) -> None:
        """These operations changed: it is committed."""
        ...


@final
class Transaction:
    """What a job may use: the open transaction, its time, and a way to say what watchers should hear of.

    Attributes:
        execute: Runs one statement with its parameters.
        now: The time at which the job runs, microseconds.
        changed: Names of operations that ended, were deleted, or got a cancel request.
    """

    __slots__ = ("_listener", "_number", "changed", "execute", "now")

    def __init__(self, connection: sqlite3.Connection, listener: Listener) -> None:
        self.execute = connection.execute
        self.now = 0
        self.changed: list[str] = []
        self._number = 0
        self._listener = listener

    def number(self) -> int:
        """The number of this transaction among those of all processes that changed something watchers hear of."""
        if not self._number:
            rows = self.execute(
                "update settings set value = value + 1 where key = 'changes' returning value"
            ).fetchall()
            self._number = int(rows[0][0])
            self._listener.took(self._number)
        return self._number

    @property
    def numbered(self) -> int:
        """That number, where it was asked for; otherwise 0."""
        return self._number

    def all_or_nothing(self, job: Job[_T]) -> _T:
        """Runs a job of several statements so that, where it raises, nothing of it remains."""
        number, known = self._number, len(self.changed)
        self.execute("savepoint job")
        try:
            value = job(self)
        except Exception as error:
            if not is_store_error(error):  # then all of the transaction is undone
                self.execute("rollback to job")
                self.execute("release job")
                del self.changed[known:]
                if self._number != number:
                    self._listener.gave_back(self._number)
                    self._number = number
            raise
        self.execute("release job")
        return value


Job = Callable[[Transaction], _T]


@final
class _Asked:
    """A job, and who waits for it."""

    __slots__ = ("future", "job", "loop", "outcome", "several")

    def __init__(
        self, job: Job[Any], future: asyncio.Future[Any], loop: asyncio.AbstractEventLoop, *, several: bool
    ) -> None:
        self.job = job
        self.future = future
        self.loop = loop
        self.several = several
        self.outcome: tuple[bool, Any] = (False, None)  # whether it was done, and its value or error


@final
class Writer:
    """The thread, its queue, and the one connection that writes."""

    def __init__(
        self,
        *,
        connection: Callable[[], sqlite3.Connection],
        clock: Callable[[], float],
        patience: float,
        listener: Listener,
        closing: Callable[[], None],
    ) -> None:
        """Does not start it.

        Args:
            connection: Opens the database; called in the thread.
            clock: Seconds since 1970.
            patience: Seconds to wait for the lock on the database.
            listener: Told what watchers should hear of; called in the thread.
            closing: Called in the thread when all jobs are done, before the connection is closed.
        """
        self._connect = connection
        self._clock = clock
        self._patience = patience
        self._listener = listener
        self._closing = closing
        self._queue: SimpleQueue[_Asked | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._accepting = False
        self._thread = threading.Thread(target=self._main, name="longrunning-sqlite-writer", daemon=True)
        self._started: asyncio.Future[None] | None = None
        self._ended: asyncio.Future[None] | None = None

    async def start(self) -> None:
        """Starts the thread; returns when the database is open, and raises what opening it raised."""
        self._started = asyncio.get_running_loop().create_future()
        self._thread.start()
        try:
            await self._started
        except asyncio.CancelledError:
            self._queue.put(None)  # the thread ends when it has opened the database
            raise
        except BaseException:
            self._thread.join()  # it does nothing more
            raise

    async def stop(self) -> None:
        """Lets it do what was asked for, and ends the thread. From now on jobs are refused."""
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._ended is None:
                self._ended = loop.create_future()
                self._accepting = False
                self._queue.put(None)
        if not self._ended.done():
            await asyncio.shield(self._ended)
        self._thread.join()  # it does nothing more

    async def run(self, job: Job[_T], *, several: bool = False) -> _T:
        """Runs a job in some transaction, and returns when that is committed.

        Args:
            job: May be run long after it was asked for; what it raises is raised here.
            several: Whether it has several statements that change something: they count as one.

        Raises:
            StoreUnavailableError: The transaction failed; normally, nothing was written.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_T] = loop.create_future()
        with self._lock:
            if not self._accepting:
                raise StoreUnavailableError("the store is closed")
            self._queue.put(_Asked(job, future, loop, several=several))
        return await future

    # -- what runs in the thread ------------------------------------------------------------------------------------

    def _main(self) -> None:
        started = self._started
        assert started is not None
        try:
            connection = self._connect()
        except BaseException as error:  # noqa: BLE001 - whoever opens the store is told
            raised = unavailable(error) if isinstance(error, sqlite3.Error) else error
            _call(started.get_loop(), _settle, started, (False, raised))
            return
        try:
            with self._lock:
                self._accepting = True
            _call(started.get_loop(), _settle, started, (True, None))
            while (asked := self._queue.get()) is not None:
                self._transact(connection, asked)
        finally:
            try:
                self._closing()
            finally:
                connection.close()
                ended = self._ended
                if ended is not None:
                    _call(ended.get_loop(), _settle, ended, (True, None))

    def _transact(self, connection: sqlite3.Connection, first: _Asked) -> None:
        """Runs a job and those that come until it is through, in one transaction."""
        batch = [first]
        transaction: Transaction | None = None
        try:
            self._begin(connection)
            transaction = Transaction(connection, self._listener)
            self._run_all(connection, transaction, batch)
            connection.execute("commit")
        except BaseException as error:  # noqa: BLE001 - everybody who waits is told, and the thread lives on
            if transaction is None:
                batch += self._waiting()  # they would wait for the same lock, one after the other
            elif transaction.numbered:
                self._listener.gave_back(transaction.numbered)
            _roll_back(connection)
            for asked in batch:
                asked.outcome = (False, _failure(error))
        else:
            if transaction.changed:
                self._listener.tell(transaction.changed)
        _answer(batch)

    def _begin(self, connection: sqlite3.Connection) -> None:
        deadline = time.monotonic() + self._patience
        if connection.in_transaction:  # undoing the last one failed
            connection.execute("rollback")
        while True:
            try:
                connection.execute("begin immediate")
            except sqlite3.OperationalError as error:
                if not is_busy(error) or time.monotonic() >= deadline:
                    raise
            else:
                return
            time.sleep(_PAUSE)

    def _run_all(self, connection: sqlite3.Connection, transaction: Transaction, batch: list[_Asked]) -> None:
        until = time.perf_counter() + _LONGEST
        asked = batch[0]
        while True:
            try:
                job, transaction.now = asked.job, round(self._clock() * MICROSECONDS)
                asked.outcome = (True, transaction.all_or_nothing(job) if asked.several else job(transaction))
            except Exception as error:  # the job's own, to be raised where it was asked for
                if is_store_error(error) or not connection.in_transaction:
                    raise
                asked.outcome = (False, error)
            if len(batch) >= _MOST_JOBS or time.perf_counter() >= until:
                return
            try:
                following = self._queue.get_nowait()
            except Empty:
                return
            if following is None:
                self._queue.put(None)  # to be found when this transaction is through
                return
            asked = following
            batch.append(asked)

    def _waiting(self) -> list[_Asked]:
        waiting: list[_Asked] = []
        while True:
            try:
                asked = self._queue.get_nowait()
            except Empty:
                return waiting
            if asked is None:
                self._queue.put(None)
                return waiting
            waiting.append(asked)


def _roll_back(connection: sqlite3.Connection) -> None:
    with suppress(sqlite3.Error):  # tried again before the next transaction
        if connection.in_transaction:  # a full disk has rolled it back by itself
            connection.execute("rollback")


def _failure(error: BaseException) -> BaseException:
    if isinstance(error, sqlite3.Error):
        return unavailable(error)
    raised = StoreUnavailableError("the store is unavailable: writing failed")
    raised.__cause__ = error
    return raised


def _answer(batch: Iterable[_Asked]) -> None:
    """Tells everybody who asked, each event loop once."""
    loops: dict[asyncio.AbstractEventLoop, list[_Asked]] = {}
    for asked in batch:
        loops.setdefault(asked.loop, []).append(asked)
    for loop, answered in loops.items():
        _call(loop, _settle_all, answered)


def _settle_all(answered: list[_Asked]) -> None:
    for asked in answered:
        _settle(asked.future, asked.outcome)


def _settle(future: asyncio.Future[Any], outcome: tuple[bool, Any]) -> None:
    if future.done():  # whoever waited was cancelled
        return
    succeeded, value = outcome
    if succeeded:
        future.set_result(value)
    else:
        future.set_exception(value)


def _call(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *arguments: Any) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits there any more
        loop.call_soon_threadsafe(function, *arguments)
