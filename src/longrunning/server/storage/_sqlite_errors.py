# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What the errors of SQLite mean for a store: which of them concern one statement, and what is said of the others.

The messages travel to callers of the service, so they hold neither paths nor SQL; the original is the cause.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from ...errors import StoreUnavailableError

__all__ = ["is_busy", "is_store_error", "unavailable"]

_PRIMARY: Final = 0xFF  # the low byte of an extended code is the primary one
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})

_MEANINGS: Final = {
    sqlite3.SQLITE_BUSY: "the database is locked by another process; it may hold a transaction open",
    sqlite3.SQLITE_LOCKED: "the database is locked by another process; it may hold a transaction open",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "the database is read-only",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write",
    sqlite3.SQLITE_CANTOPEN: "the database file cannot be opened: does its directory exist, and may this process write there?",
    sqlite3.SQLITE_PERM: "this process may not open the database file",
    sqlite3.SQLITE_CORRUPT: "the database is corrupt: restore it from a backup",
    sqlite3.SQLITE_NOTADB: "the file is no SQLite database, or it is encrypted",
    sqlite3.SQLITE_INTERRUPT: "the store is being closed",
}


def is_store_error(error: BaseException) -> bool:
    """Whether the database failed, rather than one statement with its values."""
    if type(error) is sqlite3.DatabaseError:  # a corrupt file; what derives from it may be about values
        return True
    return isinstance(error, sqlite3.OperationalError | sqlite3.InternalError | sqlite3.NotSupportedError)


def is_busy(error: sqlite3.Error) -> bool:
    """Whether somebody else holds a lock: trying again may help."""
    return _code(error) in _BUSY


def unavailable(error: sqlite3.Error) -> StoreUnavailableError:
    """The error to raise in its place; always a new one, with the original as its cause."""
    raised = StoreUnavailableError(f"the store is unavailable: {_MEANINGS.get(_code(error), 'the database failed')}")
    raised.__cause__ = error
    return raised


def _code(error: sqlite3.Error) -> int:
    code: int = getattr(error, "sqlite_errorcode", 0)  # absent where the module itself raised
    return code & _PRIMARY
