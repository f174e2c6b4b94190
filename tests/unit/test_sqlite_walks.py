# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Which index a list walks along, what SQL comes of its conditions, and what SQLite's errors are called."""

from __future__ import annotations

import sqlite3

import pytest

from longrunning.errors import StoreUnavailableError
from longrunning.server.filtering import Condition, ConditionField, ConditionOperator
from longrunning.server.storage import ListQuery
from longrunning.server.storage._sqlite_errors import is_busy, is_store_error, unavailable
from longrunning.server.storage._sqlite_listing import Walk
from longrunning.server.storage._sqlite_rows import micros

UNFINISHED = Condition(ConditionField.DONE, ConditionOperator.EQ, value=False)
FINISHED = Condition(ConditionField.DONE, ConditionOperator.EQ, value=True)
NOT_DONE = Condition(ConditionField.DONE, ConditionOperator.NE, value=True)
NAMED = Condition(ConditionField.NAME, ConditionOperator.EQ, "x")


@pytest.mark.parametrize(
    ("parent", "scope", "conditions", "source", "fixed", "rest"),
    [
        ("p", "s", (), "by_scope", ["deleted = 0", "scope = ?", "parent = ?"], []),
        ("p", None, (), "by_parent", ["deleted = 0", "parent = ?"], []),
        ("", "", (), "by_scope", ["deleted = 0", "scope = ?", "parent = ?"], []),
        (None, "s", (), "not indexed", [], ["deleted = 0", "scope = ?"]),
        (None, None, (), "not indexed", [], ["deleted = 0"]),
        ("p", "s", (UNFINISHED,), "unfinished", ["done = 0", "deleted = 0"], ["parent = ?", "scope = ?"]),
        (None, None, (NOT_DONE,), "unfinished", ["done = 0", "deleted = 0"], []),
        ("p", None, (FINISHED,), "by_parent", ["deleted = 0", "parent = ?"], ["done = ?"]),
        ("p", None, (UNFINISHED, FINISHED), "unfinished", ["done = 0", "deleted = 0"], ["parent = ?", "done = ?"]),
        ("p", None, (NAMED,), "by_name", ["name = ?"], ["deleted = 0", "parent = ?"]),
        (None, None, (UNFINISHED, NAMED), "by_name", ["name = ?"], ["deleted = 0", "done = 0"]),
    ],
)
def test_the_narrowest_index_is_walked(
    parent: str | None,
    scope: str | None,
    conditions: tuple[Condition, ...],
    source: str,
    fixed: list[str],
    rest: list[str],
) -> None:
    """Parent, scope, what is unfinished and a name choose the index; whatever it does not decide is asked row by row (PAGE-1)."""
    walk = Walk.of(ListQuery(parent=parent, scope=scope, conditions=conditions))
    assert walk.source.endswith(source)
    assert [sql for sql, _ in walk.fixed] == fixed
    assert [sql for sql, _ in walk.rest] == rest
    assert walk.unique == (source == "by_name")


@pytest.mark.parametrize("operator", ConditionOperator)
@pytest.mark.parametrize("field", ConditionField)
def test_values_never_become_sql(field: ConditionField, operator: ConditionOperator) -> None:
    """Whatever is compared with whatever: the statement has a placeholder, and the value stays apart (FILT-2)."""
    hostile = "1; drop table operations"
    walk = Walk.of(ListQuery(parent=hostile, scope=hostile, conditions=(Condition(field, operator, hostile),)))
    for statement, parameters in (walk.rows(7, 3, 10), walk.end(7, 10)):
        assert "drop" not in statement
        assert statement.count("?") == len(parameters)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, 0), (1.5, 1_500_000), (0.0000004, 0), (-2, -2_000_000), (1e300, 1 << 60), (float("-inf"), -(1 << 60))],
)
def test_durations_are_microseconds(seconds: float, expected: int) -> None:
    """Durations are rounded to the microsecond, and cut where a database could not add them to a time (RUN-1)."""
    assert micros(seconds) == expected


def test_no_number_is_no_duration() -> None:
    """A lease or an age of NaN seconds is an error, and not for ever (RUN-1)."""
    with pytest.raises(ValueError, match="NaN"):
        micros(float("nan"))


@pytest.mark.parametrize(
    ("code", "problem", "busy"),
    [
        (sqlite3.SQLITE_BUSY, "locked", True),
        (sqlite3.SQLITE_BUSY_RECOVERY, "locked", True),
        (sqlite3.SQLITE_FULL, "full", False),
        (sqlite3.SQLITE_READONLY_DIRECTORY, "read-only", False),
        (sqlite3.SQLITE_IOERR_FSYNC, "failed to read or write", False),
        (sqlite3.SQLITE_NOTADB, "no SQLite database", False),
        (sqlite3.SQLITE_ERROR, "the database failed", False),
        (None, "the database failed", False),
    ],
)
def test_errors_of_sqlite_get_names(code: int | None, problem: str, busy: bool) -> None:
    """Each code, extended ones by their family, has a message of ours; SQLite's own, with its paths, is the cause (SRV-2)."""
    error = sqlite3.OperationalError("unable to open /var/lib/secret.db")
    if code is not None:
        error.sqlite_errorcode = code
    raised = unavailable(error)
    assert isinstance(raised, StoreUnavailableError)
    assert problem in str(raised)
    assert "secret" not in str(raised)
    assert raised.__cause__ is error
    assert is_busy(error) == busy
    assert unavailable(error) is not raised


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (sqlite3.OperationalError(), True),
        (sqlite3.DatabaseError(), True),
        (sqlite3.InternalError(), True),
        (sqlite3.IntegrityError(), False),
        (sqlite3.DataError(), False),
        (sqlite3.ProgrammingError(), False),
        (ValueError(), False),
    ],
    ids=repr,
)
def test_faults_of_the_database_are_told_from_those_of_values(error: Exception, expected: bool) -> None:
    """A full disk concerns everybody in a transaction, a value that is too large only who gave it (RUN-2)."""
    assert is_store_error(error) == expected
