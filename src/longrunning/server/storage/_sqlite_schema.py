# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The tables of `SqliteStore`, how they came about version by version, and opening a file that holds them.

Laws of this file:

1. What a migration did is never changed: a new version is a new migration, appended to `MIGRATIONS`.
2. A file that another program made, or a later version of this one, is refused before a byte of it is written.
3. Columns are in the order in which rows are read: what can be huge and is rarely read comes last, because SQLite walks
   over whatever lies before the columns it wants.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Final, Literal

from ...errors import StoreUnavailableError
from ._sqlite_errors import is_busy

__all__ = ["APPLICATION_ID", "MIGRATIONS", "Synchronous", "connect", "prepare"]

Synchronous = Literal["FULL", "NORMAL"]

APPLICATION_ID: Final = 0x6C726F70  # "lrop": what `file` and we know our databases by
_OLDEST: Final = (3, 35, 0)  # the first with RETURNING
_WAL_KEPT: Final = 64 * 1024 * 1024  # bytes the log is cut down to after it grew over them
_CACHE: Final = 16 * 1024  # kilobytes of pages: what a transaction of many jobs touches in a large database
_PAUSE: Final = 0.005  # seconds between attempts to lock a file that another process is setting up

_VERSION_1: Final = (
    """
    create table operations (
      sequence integer primary key autoincrement,
      name text not null,
      parent text not null,
      method text not null,
      scope text not null,
      done integer not null default 0,
      code integer,
      create_time integer not null,
      start_time integer,
      update_time integer not null,
      end_time integer,
      deleted integer not null default 0,
      cancel_requested integer not null default 0,
      fence integer not null default 0,
      lease_expires integer,
      dispatch_after integer not null default 0,
      attempts integer not null default 0,
      releases integer not null default 0,
      max_attempts integer not null,
      changed integer not null default 0,
      worker text not null default '',
      principal text not null,
      request_id text not null,
      request_hash blob not null,
      resource text not null,
      trace text not null,
      metadata blob,
      result blob,
      checkpoint blob,
      request blob not null
    )
    """,
    "create unique index by_name on operations (name)",
    "create unique index by_request on operations (principal, scope, method, request_id) where request_id <> ''",
    "create unique index by_resource on operations (resource) where done = 0 and resource <> ''",
    # Each index ends with the sequence by itself, as sequence is the row's own number.
    "create index by_parent on operations (parent) where deleted = 0",
    "create index by_scope on operations (scope, parent) where deleted = 0",
    "create index unfinished on operations (sequence, parent, scope) where done = 0 and deleted = 0",
    "create index ready on operations (method, max(dispatch_after, ifnull(lease_expires, 0))) where done = 0",
    "create index leased on operations (lease_expires) where lease_expires is not null",
    "create index ended on operations (end_time) where end_time is not null",
    "create index changes on operations (changed) where changed > 0",
    "create table settings (key text primary key, value not null) without rowid",
    "insert into settings (key, value) values ('changes', 0)",
)

MIGRATIONS: Final = (_VERSION_1,)
"""What leads from each version of the schema to the next, from none to the first on."""


def connect(path: Path, *, busy_timeout: float, create: bool = False, query_only: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode that any thread may use, one at a time.

    Args:
        path: The file.
        busy_timeout: Seconds to wait for a lock.
        create: Whether to make the file where there is none.
        query_only: Whether to refuse writes.
    """
    uri = f"{path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}"
    connection = sqlite3.connect(
        uri, uri=True, timeout=busy_timeout, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    try:
        if query_only:
            connection.execute("pragma query_only = on")
    except BaseException:
        connection.close()
        raise
    return connection


def prepare(connection: sqlite3.Connection, *, synchronous: Synchronous, patience: float) -> None:
    """Checks that a database is ours, or empty, and brings its schema up to date.

    Args:
        connection: The one that is going to write.
        synchronous: ``"FULL"``: what is committed survives the loss of power.
        patience: Seconds to wait for another process that does the same.

    Raises:
        StoreUnavailableError: The file, or this version of SQLite, cannot be used.
        sqlite3.Error: The file cannot be read or written.
    """
    if sqlite3.sqlite_version_info < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        raise StoreUnavailableError(f"SQLite {oldest} or newer is needed; this Python has {sqlite3.sqlite_version}")
    deadline = time.monotonic() + patience
    connection.execute("begin")  # what is read is of one moment: another process may be setting the file up
    try:
        version = _version(connection)
    finally:
        if connection.in_transaction:
            connection.execute("rollback")
    _write_ahead(connection, deadline)
    connection.execute(f"pragma synchronous = {synchronous}")
    connection.execute(f"pragma journal_size_limit = {_WAL_KEPT}")
    connection.execute(f"pragma cache_size = -{_CACHE}")
    if version < len(MIGRATIONS):
        _migrate(connection, deadline)


def _version(connection: sqlite3.Connection) -> int:
    """The version of the schema; 0 for an empty database. Within a transaction."""
    application = _number(connection, "pragma application_id")
    version = _number(connection, "pragma user_version")
    empty = not _number(connection, "select count(*) from sqlite_master")
    if empty and application in {0, APPLICATION_ID}:
        return 0
    if application != APPLICATION_ID:
        raise StoreUnavailableError(
            "the database belongs to another program, and was left as it is: give the store a file of its own"
        )
    if version > len(MIGRATIONS):
        raise StoreUnavailableError(
            f"the database has schema version {version}, and this release knows {len(MIGRATIONS)} at most: "
            "a later release made it, so use that one; nothing was changed"
        )
    return version


def _write_ahead(connection: sqlite3.Connection, deadline: float) -> None:
    """Switches to write-ahead logging; the busy timeout does not cover that, so it is tried again until the deadline."""
    while True:
        try:
            (mode,) = connection.execute("pragma journal_mode = wal").fetchone()
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() >= deadline:
                raise
        else:
            break
        time.sleep(_PAUSE)
    if mode != "wal":
        raise StoreUnavailableError("the file system does not support SQLite's write-ahead log (shared memory)")


def _migrate(connection: sqlite3.Connection, deadline: float) -> None:
    """Applies what is missing, all or nothing, while every other process waits."""
    while True:
        try:
            connection.execute("begin exclusive")
            break
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() >= deadline:
                raise
        time.sleep(_PAUSE)
    try:
        for statements in MIGRATIONS[_version(connection) :]:  # read again: somebody may have been faster
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"pragma user_version = {len(MIGRATIONS)}")
        connection.execute(f"pragma application_id = {APPLICATION_ID}")
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:
            connection.execute("rollback")
        raise


def _number(connection: sqlite3.Connection, statement: str) -> int:
    (value,) = connection.execute(statement).fetchone()
    return int(value)
