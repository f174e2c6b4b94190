# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: S608 - only constants of ours are put into SQL; values are bound
"""`SqliteStore`: operations in one file on a local disk, shared by the processes of one host."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Final, TypeVar, final

from ...errors import StoreUnavailableError
from . import _sqlite_jobs as jobs
from ._records import ClaimTerms, Created, Lease, ListPage, ListQuery, NewOperation, OperationRecord, Outcome
from ._sqlite_listing import page
from ._sqlite_mounts import network_file_system
from ._sqlite_readers import Readers
from ._sqlite_rows import RECORD, record_of
from ._sqlite_schema import Synchronous, connect, prepare
from ._sqlite_watching import POSITION, Watching
from ._sqlite_writer import Job, Writer

__all__ = ["SqliteStore"]

_T = TypeVar("_T")

_GET: Final = f"select {RECORD} from operations where name = ? and deleted = 0"
_GET_IN_SCOPE: Final = f"{_GET} and scope = ?"
_LIVE: Final = "select name from operations where done = 0 and deleted = 0 and name in (%s)"
_ASKED: Final = 100  # names of one statement
_PURGED: Final = 200  # rows removed in one transaction: others write in between


class _State(Enum):
    """What becomes of a store."""

    NEW = "is not open: call `await store.open()` first"
    OPENING = "is being opened"
    OPEN = "is open already"
    CLOSED = "is closed"


@final
class SqliteStore:
    """An `OperationStore` in an SQLite database, for any number of processes on one host.

    What was acknowledged survives the death of the process, and with ``synchronous="FULL"`` the loss of power. Writes of many
    callers are committed together, by one thread; reads wait for nobody. Getting an operation, and a page of a list, cost
    about the same however many there are.

    To back it up while it is in use, use SQLite's own means (``VACUUM INTO``, or ``.backup`` of its shell): a mere copy of
    the file lacks what is still in the log beside it.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        synchronous: Synchronous = "FULL",
        busy_timeout: float = 5.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Opens nothing yet.

        Args:
            path: The file, made when it is not there; on a local disk, in a directory where this process may write.
            synchronous: ``"FULL"`` waits for the disk at each commit. ``"NORMAL"`` does not: the last writes before the power
                fails may be gone, those before the process dies are not.
            busy_timeout: Seconds to wait while other processes lock the database, before `StoreUnavailableError`.
            clock: Seconds since 1970. Other processes on the same file should have the same one: leases are compared by it.

        Raises:
            ValueError: An argument makes no sense, or the database would be in memory.
        """
        text = os.fspath(path)
        if text in {"", ":memory:"}:
            raise ValueError("SqliteStore keeps operations in a file: name one, or use MemoryStore")
        if synchronous not in {"FULL", "NORMAL"}:
            raise ValueError(f"synchronous is 'FULL' or 'NORMAL'; got {synchronous!r}")
        if not 0 <= busy_timeout <= 3600:
            raise ValueError(f"busy_timeout is 0 to 3600 seconds; got {busy_timeout}")
        self._path = Path(text).absolute()  # the working directory may change
        self._synchronous: Synchronous = synchronous
        self._busy_timeout = busy_timeout
        self._clock = clock
        self._state = _State.NEW
        self._process = 0
        self._writer: Writer | None = None
        self._readers: Readers | None = None
        self._watching: Watching | None = None

    async def open(self) -> None:
        """Opens the file, makes it where it is not there, and brings its schema up to date.

        Raises:
            StoreUnavailableError: The file cannot be used; after that, opening may be tried again.
            RuntimeError: The store was opened before.
        """
        if self._state is not _State.NEW:
            raise RuntimeError(f"the store {self._state.value}; to use the file again, make a new one")
        self._state = _State.OPENING
        self._process = os.getpid()
        watching = Watching(lambda: connect(self._path, busy_timeout=0, query_only=True))
        writer = Writer(
            connection=self._connect,
            clock=self._clock,
            patience=self._busy_timeout,
            listener=watching,
            closing=self._let_go,
        )
        self._watching = watching
        try:
            await writer.start()
        except Exception:
            self._state = _State.NEW
            raise
        except BaseException:  # cancelled: the thread is still opening the file, and closes it again
            self._state = _State.CLOSED
            raise
        self._writer, self._state = writer, _State.OPEN

    async def close(self) -> None:
        """Writes what was asked for, ends what watches, and closes the file. A second time it does nothing.

        Raises:
            RuntimeError: It is still being opened, or the process was forked from the one that opened it.
        """
        if self._state is _State.OPENING:
            raise RuntimeError(f"the store {self._state.value}")
        self._state = _State.CLOSED
        if self._writer is not None:
            self._check_process()
            await self._writer.stop()

    async def secret(self, purpose: str) -> bytes:
        """32 random bytes that all processes on this file share."""
        return await self._write(lambda t: jobs.secret(t, purpose), several=True)

    async def create(self, new: NewOperation, claim: ClaimTerms | None = None) -> Created:
        """Stores an operation: see `OperationStore.create`.

        Raises:
            OperationConflictError: An operation that is not done holds the same resource.
            ValueError: The name is taken; names are to be unguessable, hence unique.
        """
        return await self._write(lambda t: jobs.create(t, new, claim))

    async def replayed(self, principal: str, scope: str, method: str, request_id: str) -> Created | None:
        """What an earlier request with this id made: see `OperationStore.replayed`."""
        row = await self._open_readers().row(jobs.REPLAYED, (principal, scope, method, request_id))
        return None if row is None else jobs.replayed_of(row)

    async def get(self, name: str, scope: str | None) -> OperationRecord | None:
        """The operation, or ``None``; read from the file each time."""
        readers = self._open_readers()
        if scope is None:
            row = await readers.row(_GET, (name,))
        else:
            row = await readers.row(_GET_IN_SCOPE, (name, scope))
        return None if row is None else record_of(row)

    async def list(self, query: ListQuery) -> ListPage:
        """One page of operations: see `OperationStore.list`.

        Where the conditions are not decided by an index, no more than `scan_limit` rows are looked at, those included that the
        database passes over by itself.
        """
        return await self._open_readers().run(lambda connection: page(connection, query))

    async def claim(self, name: str, terms: ClaimTerms) -> Lease | None:
        """Takes an operation: see `OperationStore.claim`."""
        return await self._write(lambda t: jobs.claim(t, name, terms))

    async def renew(self, fences: Mapping[str, int], ttl: float) -> Mapping[str, bool]:
        """Prolongs leases: see `OperationStore.renew`."""
        return await self._write(lambda t: jobs.renew(t, fences, ttl), several=True)

    async def update(
        self, name: str, fence: int, *, metadata: bytes | None = None, checkpoint: bytes | None = None
    ) -> bool:
        """Writes metadata, a checkpoint, or both: see `OperationStore.update`.

        Raises:
            LeaseLostError: The lease is not held any more; nothing was written.
        """
        return await self._write(lambda t: jobs.update(t, name, fence, metadata, checkpoint))

    async def finish(self, name: str, fence: int, outcome: Outcome, *, metadata: bytes | None = None) -> None:
        """Publishes the one outcome: see `OperationStore.finish`.

        Raises:
            LeaseLostError: The lease is not held any more; nothing was written.
        """
        await self._write(lambda t: jobs.finish(t, name, fence, outcome, metadata))

    async def release(self, fences: Mapping[str, int]) -> None:
        """Gives leases back, unfinished: see `OperationStore.release`."""
        await self._write(lambda t: jobs.release(t, fences), several=True)

    async def request_cancel(self, name: str, scope: str | None) -> OperationRecord | None:
        """Requests a cancel: see `OperationStore.request_cancel`."""
        return await self._write(lambda t: jobs.request_cancel(t, name, scope), several=True)

    async def delete(self, name: str, scope: str | None) -> bool:
        """Hides an operation for good: see `OperationStore.delete`."""
        return await self._write(lambda t: jobs.delete(t, name, scope), several=True)

    async def due(self, methods: Collection[str], *, limit: int, hold: float) -> tuple[tuple[str, str], ...]:
        """Operations that are to be worked on: see `OperationStore.due`.

        Where more than 1,000 of a method are to be worked on, the oldest are picked from the 1,000 that have waited longest.
        """
        return await self._write(lambda t: jobs.due(t, methods, limit, hold), several=True)

    async def abandon(self, *, limit: int) -> tuple[str, ...]:
        """Ends operations nobody will go on with: see `OperationStore.abandon`."""
        return await self._write(lambda t: jobs.abandon(t, limit), several=True)

    async def purge(self, *, older_than: float, limit: int) -> int:
        """Removes operations that ended long ago: see `OperationStore.purge`.

        They are removed few at a time, so that nobody waits for long; where it fails halfway, some are gone.
        """
        purged = 0
        while purged < limit:
            most = min(limit - purged, _PURGED)
            removed = await self._write(partial(jobs.purge, older_than=older_than, limit=most))
            purged += removed
            if removed < most:
                break
        return purged

    async def settled(self, names: Collection[str]) -> frozenset[str]:
        """Which of these are done, deleted or absent."""
        wanted = tuple(names)
        return await self._open_readers().run(lambda connection: _settled(connection, wanted))

    async def watch(self) -> AsyncGenerator[frozenset[str], None]:
        """Names of operations that ended, were deleted, or got a cancel request, until this store is closed.

        What this store writes is told at once, what other processes write within a few hundredths of a second. Each iteration
        yields all that happened since the one before.
        """
        readers, watching = self._open_readers(), self._watching
        assert watching is not None
        changes = watching.watch(lambda: _position(readers))
        try:
            async for names in changes:
                yield names
        finally:
            await changes.aclose()

    async def _write(self, job: Job[_T], *, several: bool = False) -> _T:
        self._check()
        assert self._writer is not None
        return await self._writer.run(job, several=several)

    def _open_readers(self) -> Readers:
        self._check()
        assert self._readers is not None
        return self._readers

    def _check(self) -> None:
        if self._state is not _State.OPEN:
            raise StoreUnavailableError(f"the store {self._state.value}")
        self._check_process()

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise RuntimeError("the store was opened by the parent of this process: after a fork, open a new one")

    # -- in the thread that writes ----------------------------------------------------------------------------------

    def _connect(self) -> sqlite3.Connection:
        kind = network_file_system(self._path)
        if kind is not None:
            raise StoreUnavailableError(
                f"the database would be on a network file system ({kind}), where SQLite cannot lock: use a local disk"
            )
        connection = connect(self._path, busy_timeout=self._busy_timeout, create=True)
        try:
            prepare(connection, synchronous=self._synchronous, patience=self._busy_timeout)
            connection.execute("pragma busy_timeout = 0")  # the writer waits in its own way
            self._readers = Readers(
                lambda patience: connect(self._path, busy_timeout=patience, query_only=True),
                patience=self._busy_timeout,
            )
        except BaseException:
            connection.close()
            raise
        return connection

    def _let_go(self) -> None:
        if self._watching is not None:
            self._watching.close()
        if self._readers is not None:
            self._readers.close()


def _settled(connection: sqlite3.Connection, names: tuple[str, ...]) -> frozenset[str]:
    live: set[str] = set()
    for start in range(0, len(names), _ASKED):
        asked = names[start : start + _ASKED]
        statement = _LIVE % ", ".join("?" * len(asked))
        live.update(name for (name,) in connection.execute(statement, asked))
    return frozenset(names) - live


def _position(readers: Readers) -> int | None:
    rows = readers.now(POSITION, ())
    return int(rows[0][0]) if rows else None
