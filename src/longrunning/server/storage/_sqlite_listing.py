# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: S608 - only constants of ours are put into SQL; values are bound
"""Pages of a list, as walks along an index from newer to older operations.

A walk follows the index that narrows it most, and looks at no more rows than it may. Where something has to hold that the
index does not decide, it goes in stages that grow, and the end of each is looked up before. The end is a sequence number, so
rows that come and go meanwhile neither shift it nor make the walk longer.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

from ._records import ListPage, ListQuery, OperationRecord
from ._sqlite_rows import RECORD, record_of

if TYPE_CHECKING:
    from ..filtering import Condition

__all__ = ["Walk", "page"]

_FIRST_STAGE: Final = 256  # rows: two pages of the usual size
_STAGE_GROWTH: Final = 4
_SMALLEST: Final = -(1 << 63)
_LARGEST: Final = (1 << 63) - 1


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """Which rows are walked along, and which of them count.

    Attributes:
        source: The table and its index.
        fixed: What the index decides: SQL, and its parameters.
        rest: What has to be looked at row by row.
        unique: Whether there is one row at most.
    """

    source: str
    fixed: tuple[tuple[str, tuple[Any, ...]], ...]
    rest: tuple[tuple[str, tuple[Any, ...]], ...]
    unique: bool = False

    @classmethod
    def of(cls, query: ListQuery) -> Walk:
        """The walk that answers a query."""
        named = next((each for each in query.conditions if _is(each, "NAME", "EQ")), None)
        unfinished = next((each for each in query.conditions if _demands_unfinished(each)), None)
        rest = [_sql(condition) for condition in query.conditions if condition not in (named, unfinished)]
        visible = ("deleted = 0", ())
        parent = [] if query.parent is None else [("parent = ?", (query.parent,))]
        scope = [] if query.scope is None else [("scope = ?", (query.scope,))]
        if named is not None:
            rest += [visible, *parent, *scope] + ([] if unfinished is None else [("done = 0", ())])
            return cls(source="operations indexed by by_name", fixed=(_sql(named),), rest=tuple(rest), unique=True)
        if unfinished is not None:
            fixed = (("done = 0", ()), visible)
            return cls(source="operations indexed by unfinished", fixed=fixed, rest=(*parent, *scope, *rest))
        if parent and scope:
            return cls(source="operations indexed by by_scope", fixed=(visible, *scope, *parent), rest=tuple(rest))
        if parent:
            return cls(source="operations indexed by by_parent", fixed=(visible, *parent), rest=tuple(rest))
        return cls(source="operations not indexed", fixed=(), rest=(visible, *scope, *rest))

    def end(self, after: int | None, looked_at: int) -> tuple[str, tuple[Any, ...]]:
        """Selects the sequence of the last row that may be looked at, and of the one after it."""
        where, parameters = _joined((*self.fixed, *_newer(after)))
        statement = f"select sequence from {self.source}{where} order by sequence desc limit 2 offset ?"
        return statement, (*parameters, looked_at - 1)

    def rows(self, after: int | None, end: int | None, limit: int) -> tuple[str, tuple[Any, ...]]:
        """Selects records between two sequence numbers, the second of them included; a limit of -1 is none."""
        until = () if end is None else (("sequence >= ?", (end,)),)
        where, parameters = _joined((*self.fixed, *_newer(after), *until, *self.rest))
        statement = f"select {RECORD} from {self.source}{where} order by sequence desc limit ?"
        return statement, (*parameters, limit)


def page(connection: sqlite3.Connection, query: ListQuery) -> ListPage:
    """See `OperationStore.list`."""
    walk = Walk.of(query)
    if query.matches is None and not walk.rest:
        return _unfiltered(connection, walk, query)
    records: list[OperationRecord] = []
    after, left, stage = query.after, query.scan_limit, _FIRST_STAGE
    while True:
        end, older = _stage_end(connection, walk, after, min(stage, left))
        for record, matches in _looked_at(connection, walk, query, after, end):
            if matches and len(records) == query.limit:  # one more is there: so there is a next page
                return ListPage(records=tuple(records), next_after=records[-1].sequence)
            if matches:
                records.append(record)
            if query.expired is not None and query.expired():
                return ListPage(records=tuple(records), next_after=record.sequence)
        after, left, stage = end, left - stage, stage * _STAGE_GROWTH
        if not older or left <= 0:
            return ListPage(records=tuple(records), next_after=end if older else None)


def _stage_end(connection: sqlite3.Connection, walk: Walk, after: int | None, rows: int) -> tuple[int | None, bool]:
    """The sequence of the last of so many rows, and whether there is another; ``None`` where there are fewer rows."""
    if walk.unique:
        return None, False
    found = connection.execute(*walk.end(after, rows)).fetchall()
    return (found[0][0] if found else None), len(found) > 1


def _unfiltered(connection: sqlite3.Connection, walk: Walk, query: ListQuery) -> ListPage:
    limit = min(query.limit, query.scan_limit)
    rows = connection.execute(*walk.rows(query.after, None, limit + 1)).fetchall()
    records = tuple(record_of(row) for row in rows[:limit])
    return ListPage(records=records, next_after=records[-1].sequence if len(rows) > limit else None)


def _looked_at(
    connection: sqlite3.Connection, walk: Walk, query: ListQuery, after: int | None, end: int | None
) -> Iterator[tuple[OperationRecord, bool]]:
    """The records of one stage, as they are asked for, and whether each matches."""
    limit = query.limit + 1 if query.matches is None else -1
    cursor = connection.execute(*walk.rows(after, end, limit))
    try:
        for row in cursor:
            record = record_of(row)
            yield record, query.matches is None or query.matches(record)
    finally:
        cursor.close()  # ends the transaction of this read


def _newer(after: int | None) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    return () if after is None else (("sequence < ?", (after,)),)


def _joined(parts: tuple[tuple[str, tuple[Any, ...]], ...]) -> tuple[str, tuple[Any, ...]]:
    where = " where " + " and ".join(sql for sql, _ in parts) if parts else ""
    return where, tuple(value for _, values in parts for value in values)


def _is(condition: Condition, field: str, operator: str) -> bool:
    return condition.field.name == field and condition.operator.name == operator


def _demands_unfinished(condition: Condition) -> bool:
    return (_is(condition, "DONE", "EQ") and not condition.value) or (
        _is(condition, "DONE", "NE") and bool(condition.value)
    )


def _sql(condition: Condition) -> tuple[str, tuple[Any, ...]]:
    """A condition on one column; of what is absent (NULL), none holds."""
    value = condition.value
    if isinstance(value, int):  # no column holds the limits themselves, so a cut value compares like the whole one
        value = max(_SMALLEST, min(int(value), _LARGEST))
    return f"{condition.field.value} {condition.operator.value} ?", (value,)
