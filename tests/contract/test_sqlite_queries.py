# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What `SqliteStore` asks of SQLite: by index, within bounds, and with every value bound."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from longrunning.server.filtering import Condition, ConditionField, ConditionOperator
from longrunning.server.storage import ListQuery, Outcome, SqliteStore
from tests.contract.sqlite_seams import METHOD, TERMS, Tap, integrity, new, opened, play
from tests.contract.sqlite_seams import tap as tap  # noqa: PLC0414 - a fixture

DONE: Final = Outcome(code=None, payload=b"")
UNFINISHED: Final = Condition(ConditionField.DONE, ConditionOperator.EQ, value=False)
FINISHED: Final = Condition(ConditionField.DONE, ConditionOperator.EQ, value=True)
CODE: Final = Condition(ConditionField.CODE, ConditionOperator.EQ, 5)
NAMED: Final = Condition(ConditionField.NAME, ConditionOperator.EQ, "operations/1")

HOSTILE: Final = (
    "'; drop table operations; --",
    '"',
    "' or '1'='1",
    "%",
    "_",
    "?",
    ":name",
    "a\x00b",
    "*/ --",
    "\\",
    "null",
    "[x]",
    "ä\u202e\U0001f600",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a database may be made."""
    return tmp_path / "operations.db"


async def everything(store: SqliteStore) -> None:
    """Each statement there is, once or more."""
    for number in range(30):
        await store.create(
            new(f"operations/{number}", request_id=f"{number}", resource=f"{number}", scope="tenant"), TERMS
        )
    await store.create(new("operations/again", request_id="1", resource="1", scope="tenant"))
    await store.create(new("operations/queued"))
    await store.get("operations/1", None)
    await store.get("operations/1", "tenant")
    await store.renew({"operations/1": 1}, 30)
    await store.update("operations/1", 1, metadata=b"m")
    await store.release({"operations/1": 1})
    await store.claim("operations/1", TERMS)
    for number in range(2, 5):
        await store.finish(f"operations/{number}", 1, DONE)
    for name in ("operations/queued", "operations/5"):
        await store.request_cancel(name, "tenant")
        await store.request_cancel(name, None)
    await store.release({"operations/5": 1})
    await store.delete("operations/2", "tenant")
    await store.due([METHOD], limit=10, hold=1)
    await store.abandon(limit=10)
    await store.settled(["operations/1", "operations/2"])
    await store.purge(older_than=0, limit=1)
    await store.secret("tokens")


def plans(path: Path, statements: list[str]) -> dict[str, str]:
    """How SQLite would run each statement on the table, by its text."""
    found: dict[str, str] = {}
    with closing(sqlite3.connect(path)) as connection:
        for statement in dict.fromkeys(statements):
            if "operations" in statement and not statement.startswith(("create", "--")):
                rows = connection.execute(f"explain query plan {statement}").fetchall()
                found[statement] = "; ".join(row[3] for row in rows)
    return found


def test_every_statement_finds_its_rows_by_an_index(path: Path, tap: Tap) -> None:
    """No read or write walks over the table, sorts, or takes an index made for something else (law 7)."""

    async def scenario() -> None:
        async with opened(path) as store:
            tap.statements.clear()
            await everything(store)

    play(scenario)
    found = plans(path, tap.statements)
    assert len(found) > 40
    for statement, plan in found.items():
        assert "SCAN" not in plan, statement
        assert "TEMP B-TREE" not in plan, statement
        if "name = '" in statement:
            assert "USING INDEX by_name (name=?)" in plan, statement


@pytest.mark.parametrize(
    ("query", "plan"),
    [
        (ListQuery(parent="shelves/1", scope=None), "SEARCH operations USING INDEX by_parent (parent=?{})"),
        (ListQuery(parent="shelves/1", scope="a"), "SEARCH operations USING INDEX by_scope (scope=? AND parent=?{})"),
        (ListQuery(parent=None, scope=None), "{}"),
        (ListQuery(parent=None, scope="a"), "{}"),
        (ListQuery(parent="shelves/1", scope="a", conditions=(UNFINISHED,)), "unfinished{}"),
        (ListQuery(parent=None, scope=None, conditions=(UNFINISHED, CODE)), "unfinished{}"),
        (ListQuery(parent="shelves/1", scope=None, conditions=(FINISHED,)), "by_parent (parent=?{})"),
        (ListQuery(parent="shelves/1", scope="a", conditions=(CODE, UNFINISHED, NAMED)), "by_name (name=?"),
    ],
    ids=lambda value: None if isinstance(value, str) else "-".join(str(each) for each in (value.parent, value.scope)),
)
def test_a_page_begins_where_it_begins(path: Path, tap: Tap, query: ListQuery, plan: str) -> None:
    """Each page starts at its place in an index and reads on from there: nothing is sorted or skipped (PAGE-1)."""

    async def scenario() -> None:
        async with opened(path) as store:
            await everything(store)
            tap.statements.clear()
            await store.list(query)
            await store.list(replace(query, after=20))

    play(scenario)
    for statement, found in plans(path, tap.statements).items():
        below = "sequence < 20" in statement or "sequence >= " in statement
        if "{}" not in plan:
            assert plan in found
        elif plan == "{}":
            assert ("rowid" in found) == below  # the table itself is in the order of sequence numbers
        elif "unfinished" in plan:
            assert "INDEX unfinished" in found
            assert ("sequence" in found) == below
        else:
            assert plan.format(" AND rowid>? AND rowid<?") in found or plan.format(" AND rowid<?") in found or not below
        assert "TEMP B-TREE" not in found


@pytest.mark.parametrize(
    "query",
    [
        ListQuery(parent="", scope=None, conditions=(CODE,)),
        ListQuery(parent=None, scope=None, conditions=(CODE,)),
        ListQuery(parent="", scope=None, conditions=(UNFINISHED, CODE)),
        ListQuery(parent="", scope="tenant", conditions=(FINISHED, CODE)),
        ListQuery(parent=None, scope="nobody"),
        ListQuery(parent="", scope=None, matches=lambda _: False),
    ],
    ids=["code", "any parent", "unfinished", "scope", "any parent of a scope", "matches"],
)
def test_what_few_fulfil_costs_no_more_than_allowed(path: Path, tap: Tap, query: ListQuery) -> None:
    """A page that looks for a needle reads so many rows, in a haystack of any size, and goes on where it stopped (PAGE-1, FILT-2)."""
    query = replace(query, scan_limit=300)
    costs: list[int] = []

    async def scenario() -> None:
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        async with opened(path) as store:
            for size in (1000, 3000):
                names = [f"operations/{size}-{number}" for number in range(size)]
                await asyncio.gather(*(store.create(new(name, scope="tenant"), TERMS) for name in names))
                if UNFINISHED not in query.conditions:
                    await asyncio.gather(*(store.finish(name, 1, DONE) for name in names))
                await store.list(query)  # prepares the statements
                for reader in tap.readers:
                    reader.set_progress_handler(count, 10)
                steps = 0
                page = await store.list(query)
                assert page.records == ()
                assert page.next_after == (1000 if size == 1000 else 4000) - 299
                costs.append(steps)
                for reader in tap.readers:
                    reader.set_progress_handler(None, 0)

    play(scenario)
    small, large = costs
    assert small > 0
    assert large < small * 1.5


@pytest.mark.parametrize("text", HOSTILE)
def test_every_text_is_only_a_value(path: Path, text: str) -> None:
    """Names, parents, scopes, methods, request ids, resources, workers and secrets are data, whatever they look like (FILT-2, SRV-1)."""

    async def scenario() -> None:
        async with opened(path) as store:
            await store.create(new("operations/other"))
            fields = dict.fromkeys(("parent", "method", "principal", "scope", "request_id", "resource", "trace"), text)
            terms = replace(TERMS, worker=text, methods=frozenset({text, METHOD}))
            created = await store.create(new(text, **fields), terms)
            again = await store.create(new(f"{text}2", **fields))
            assert (again.existed, again.record) == (True, created.record)
            assert await store.get(text, text) == created.record
            assert await store.get(text, f"{text} ") is None
            equal = Condition(ConditionField.NAME, ConditionOperator.EQ, text)
            for conditions in ((), (equal,), (UNFINISHED,), (equal, UNFINISHED)):
                page = await store.list(ListQuery(parent=text, scope=text, conditions=conditions))
                assert page.records == (created.record,)
            assert await store.renew({text: 1}, 30) == {text: False}
            assert not await store.update(text, 1, metadata=b"m")
            await store.release({text: 1})
            assert await store.due([text], limit=10, hold=0) == ((text, text),)
            lease = await store.claim(text, terms)
            assert lease is not None
            await store.finish(text, lease.fence, DONE)
            assert await store.settled([text, "operations/other"]) == {text}
            assert len(await store.secret(text)) == 32
            assert await store.delete(text, text)
            assert await store.purge(older_than=-1, limit=10) == 1
            assert await store.get("operations/other", None) is not None

    play(scenario)
    assert integrity(path) == "ok"


@pytest.mark.parametrize("value", [1 << 63, 1 << 200, -(1 << 63) - 1, (1 << 63) - 1, -(1 << 63)])
def test_numbers_no_database_holds_compare_as_they_are(path: Path, value: int) -> None:
    """A condition on a number of any size means what it says, and is no error (FILT-2)."""

    async def scenario() -> None:
        async with opened(path) as store:
            await store.create(new("operations/1"))
            expected = {"EQ": 0, "NE": 1, "LT": value > 0, "LE": value > 0, "GT": value < 0, "GE": value < 0}
            for operator in ConditionOperator:
                conditions = (Condition(ConditionField.CREATE_TIME, operator, value),)
                page = await store.list(ListQuery(parent=None, scope=None, conditions=conditions))
                assert len(page.records) == expected[operator.name], operator

    play(scenario)


def test_durations_of_any_size_are_taken(path: Path) -> None:
    """A lease or a retention without end is one of many thousand years, and no overflow (SRV-9, RUN-1)."""

    async def scenario() -> None:
        async with opened(path) as store:
            for number, ttl in enumerate((1e300, float("inf"))):
                await store.create(new(f"operations/{number}"), replace(TERMS, ttl=ttl))
                assert await store.renew({f"operations/{number}": 1}, ttl) == {f"operations/{number}": False}
            assert await store.due([METHOD], limit=10, hold=float("inf")) == ()
            assert await store.purge(older_than=float("inf"), limit=10) == 0

    play(scenario)


def test_a_long_queue_is_handed_out_a_window_at_a_time(path: Path) -> None:
    """Of thousands that are due those that have waited longest come first, in order of creation, and none is forgotten (RUN-5)."""

    async def scenario() -> None:
        now = [1000.0]
        async with opened(path, clock=lambda: now[0]) as store:
            names = [f"operations/{number}" for number in range(2500)]
            for start in range(0, 2500, 500):
                now[0] += 1
                await asyncio.gather(*(store.create(new(name)) for name in names[start : start + 500]))
            handed: list[str] = []
            while found := await store.due([METHOD, METHOD], limit=300, hold=60):
                handed += [name for name, _ in found]
            assert handed == names

    play(scenario)
