# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Stores: lists. Their order, their pages while rows come and go, who sees what, and what fulfils a condition."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any, Final

import pytest

from longrunning.server.filtering import Condition, ConditionField, ConditionOperator
from longrunning.server.storage import ListQuery, OperationRecord, Outcome
from tests.contract.stores import SUCCESS, Play, Stage

PARENTS: Final = ("", "shelves/1", "shelves/1/", "shelves/10", "SHELVES/1", "shelves/%")
COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "EQ": operator.eq,
    "NE": operator.ne,
    "LT": operator.lt,
    "LE": operator.le,
    "GT": operator.gt,
    "GE": operator.ge,
}


async def numbered(stage: Stage, count: int, **fields: Any) -> list[str]:
    """Stores so many operations; returns their names, newest first."""
    names = [f"operations/{number:04}" for number in range(count)]
    for name in names:
        await stage.create(name, **fields)
    return names[::-1]


def test_lists_are_newest_first(play: Play) -> None:
    """The order is that of creation, whatever the names and the clock say, and whatever happens to operations (PAGE-1)."""

    async def scenario(stage: Stage) -> None:
        names = ["operations/b", "operations/a", "operations/c"]
        for name in names:
            await stage.create(name)
            stage.clock.advance(-1)
        await stage.claim("operations/b")
        await stage.store.finish("operations/b", 1, SUCCESS)
        await stage.store.request_cancel("operations/a", None)
        assert await stage.names() == names[::-1]

    play(scenario)


def test_a_list_returns_operations_as_get_does(play: Play) -> None:
    """What a list shows of an operation is what reading it shows (PAGE-1)."""

    async def scenario(stage: Stage) -> None:
        await stage.create("operations/1", parent="shelves/1", scope="a", metadata=b"m")
        await stage.ended("operations/2", metadata=b"")
        await stage.ended("operations/3", Outcome(code=5, payload=b"status"))
        await stage.claimed("operations/4")
        page = await stage.store.list(ListQuery(parent=None, scope=None))
        assert page.records == tuple([await stage.record(f"operations/{number}") for number in (4, 3, 2, 1)])
        assert page.next_after is None

    play(scenario)


@pytest.mark.parametrize(("count", "limit"), [(0, 3), (1, 3), (2, 3), (3, 3), (4, 3), (6, 3), (7, 3), (7, 1), (7, 100)])
def test_pages_add_up(play: Play, count: int, limit: int) -> None:
    """Each page but the last is full, together they have everything once, and none is promised where none is left (PAGE-1)."""

    async def scenario(stage: Stage) -> None:
        names = await numbered(stage, count)
        pages = await stage.pages(limit=limit)
        assert [record.name for page in pages for record in page.records] == names
        assert [len(page.records) for page in pages[:-1]] == [limit] * (len(pages) - 1)
        assert len(pages) == max(1, -(-count // limit))

    play(scenario)


def test_a_parent_is_compared_exactly(play: Play) -> None:
    """A list under a parent has its operations and no other's; without a parent it has all (PAGE-1)."""

    async def scenario(stage: Stage) -> None:
        for number in range(12):
            await stage.create(f"operations/{number}", parent=PARENTS[number % 6])
        for index, parent in enumerate(PARENTS):
            expected = [f"operations/{index + 6}", f"operations/{index}"]
            assert await stage.names(parent=parent) == expected
            assert await stage.names(parent=parent, limit=1) == expected
        assert await stage.names(parent="shelves/2") == []
        assert len(await stage.names()) == 12

    play(scenario)


def test_a_scope_lists_its_own(play: Play) -> None:
    """A list for a scope has the operations of that scope, on every page, under every parent (AUTH-3)."""

    async def scenario(stage: Stage) -> None:
        for number in range(20):
            await stage.create(f"operations/{number}", parent=PARENTS[number % 2], scope="ab"[number // 2 % 2])
        for index, scope in enumerate("ab"):
            own = [number for number in range(19, -1, -1) if number // 2 % 2 == index]
            assert await stage.names(scope=scope, limit=3) == [f"operations/{number}" for number in own]
            under = [f"operations/{number}" for number in own if number % 2]
            assert await stage.names(scope=scope, parent=PARENTS[1], limit=2) == under

    play(scenario)


def test_pages_hold_still_while_rows_come_and_go(play: Play) -> None:
    """New, deleted, purged and ended operations between pages make no other one appear twice or go missing (PAGE-1)."""

    async def scenario(stage: Stage) -> None:
        names = await numbered(stage, 30)
        for name in names[5::5]:
            await stage.claim(name)
            await stage.store.finish(name, 1, SUCCESS)
        stage.clock.advance(1)
        seen, gone, after = list[str](), set[str](), None
        for turn in range(100):
            page = await stage.store.list(ListQuery(parent=None, scope=None, limit=4, after=after))
            seen += [record.name for record in page.records]
            if page.next_after is None:
                break
            after = page.next_after
            await stage.create(f"operations/new-{turn}")
            for victim in (seen[-1], names[min(len(seen) + 1, 29)]):  # what the cursor stands on, and what is to come
                await stage.store.delete(victim, None)
                gone.add(victim)
            assert await stage.store.purge(older_than=0, limit=1) == (turn < 5)
        purged = set(names[5::5])
        kept = [name for name in names if name not in gone | purged]
        assert [name for name in seen if name in kept] == kept
        assert seen == sorted(set(seen), reverse=True)

    play(scenario)


def test_a_cursor_may_be_any_number(play: Play) -> None:
    """A page begins below the number it is given, whether an operation ever had that number or not (PAGE-1)."""

    async def scenario(stage: Stage) -> None:
        names = await numbered(stage, 5)
        newest = (await stage.record(names[0])).sequence
        oldest = (await stage.record(names[-1])).sequence
        for after, expected in (
            (2**63 - 1, names),
            (newest + 1, names),
            (newest, names[1:]),
            (oldest + 1, names[-1:]),
            (oldest, []),
            (0, []),
            (-1, []),
            (-(2**63), []),
        ):
            assert await stage.names(after=after) == expected

    play(scenario)


# --- what is asked for


async def varied(stage: Stage) -> list[OperationRecord]:
    """Operations that differ in all that conditions are about; newest first."""
    await stage.create("operations/queued")
    stage.clock.advance(1)
    await stage.ended("operations/succeeded")
    stage.clock.advance(1)
    await stage.ended("operations/Z", Outcome(code=1, payload=b""))
    stage.clock.advance(1)
    await stage.ended("operations/\u00e9", Outcome(code=5, payload=b""))
    await stage.ended("operations/\uffff", Outcome(code=5, payload=b""))
    await stage.ended("operations/\U0001f4da", Outcome(code=0, payload=b""))
    stage.clock.advance(1)
    lease = await stage.claimed("operations/running")
    stage.clock.advance(1)
    await stage.store.update("operations/running", lease.fence, metadata=b"m")
    names = await stage.names()
    return [await stage.record(name) for name in names]


def conditions(records: list[OperationRecord]) -> list[Condition]:
    """Each field with each operator it has, and values that occur, are beside those that do, and are out of reach."""
    found = [
        Condition(ConditionField.DONE, ConditionOperator.EQ, True),
        Condition(ConditionField.DONE, ConditionOperator.EQ, False),
    ]
    for each in ConditionOperator:
        for field in ConditionField:
            held = {getattr(record, field.value) for record in records} - {None}
            values: set[Any] = set()
            if field is ConditionField.CODE:
                values = held | {-1, 3, 2**31 - 1}
            elif field is ConditionField.NAME:
                values = held | {"", "operations/", "operations/queue", "operations/queuee", "operations/%"}
            elif field is not ConditionField.DONE:
                values = held | {number + 1 for number in held} | {0, -(2**63), 2**63 - 1}
            found += [Condition(field, each, value) for value in sorted(values)]
    return found


def expected(records: list[OperationRecord], condition: Condition) -> list[str]:
    """What fulfils a condition: what is absent fulfils none."""
    compare = COMPARE[condition.operator.name]
    pairs = [(record.name, getattr(record, condition.field.value)) for record in records]
    return [name for name, value in pairs if value is not None and compare(value, condition.value)]


def test_conditions_mean_what_they_say(play: Play) -> None:
    """Every field, operator and value: absent values fulfil nothing, names are ordered by code point (FILT-2)."""

    async def scenario(stage: Stage) -> None:
        records = await varied(stage)
        for condition in conditions(records):
            assert await stage.names(conditions=(condition,)) == expected(records, condition), condition

    play(scenario)


def test_all_conditions_have_to_hold(play: Play) -> None:
    """Several conditions narrow a list together, with parent and scope, and on every page (FILT-2)."""

    async def scenario(stage: Stage) -> None:
        records = await varied(stage)
        failed = Condition(ConditionField.CODE, ConditionOperator.GT, 0)
        early = Condition(ConditionField.END_TIME, ConditionOperator.LT, records[1].end_time or 0)
        named = Condition(ConditionField.NAME, ConditionOperator.NE, "operations/queued")
        both = [name for name in expected(records, failed) if name in expected(records, early)]
        assert both == ["operations/Z"]
        assert await stage.names(conditions=(failed, early, named)) == both
        assert await stage.names(conditions=(failed, named), limit=1) == expected(records, failed)
        assert await stage.names(conditions=(failed,), parent="shelves/1") == []
        assert await stage.names(conditions=(failed,), scope="another") == []

    play(scenario)


def test_values_are_bound_and_not_spliced(play: Play) -> None:
    """A value with quotes, wildcards or SQL in it is compared like any other (FILT-2)."""

    async def scenario(stage: Stage) -> None:
        names = ["' OR '1'='1", "x'; DROP TABLE operations; --", '" OR 1=1 --', "%", "_", "\\"]
        for name in names:
            await stage.create(name)
        for name in names:
            same = Condition(ConditionField.NAME, ConditionOperator.EQ, name)
            assert await stage.names(conditions=(same,)) == [name]

    play(scenario)


def test_matches_decides_last(play: Play) -> None:
    """What the store cannot decide is asked of the caller, about what parent, scope and conditions left over (FILT-2)."""

    async def scenario(stage: Stage) -> None:
        for number in range(20):
            await stage.create(
                f"operations/{number:02}",
                parent=PARENTS[number % 2],
                scope="ab"[number // 2 % 2],
                metadata=bytes([number]),
            )
        asked = list[OperationRecord]()

        def even_tens(record: OperationRecord) -> bool:
            asked.append(record)
            return record.metadata is not None and record.metadata[0] % 4 == 0

        above = Condition(ConditionField.NAME, ConditionOperator.GE, "operations/08")
        found = await stage.names(parent="", scope="a", conditions=(above,), matches=even_tens, limit=2)
        assert found == ["operations/16", "operations/12", "operations/08"]
        assert {record.parent for record in asked} == {""}
        assert {record.scope for record in asked} == {"a"}
        assert min(record.name for record in asked) == "operations/08"

    play(scenario)


def test_the_scan_limit_cuts_pages_and_not_lists(play: Play) -> None:
    """Where few match, a page ends early, even empty, after so many looks, and the next one goes on from there (PAGE-1)."""

    async def scenario(stage: Stage) -> None:
        names = await numbered(stage, 40)
        numbers = {name: number for number, name in enumerate(reversed(names))}
        looks = 0
        for scan_limit, limit, rare in product((1, 2, 7, 39, 40, 41), (1, 2, 5, 100), (2, 10, 100)):

            def matches(record: OperationRecord, rare: int = rare) -> bool:
                nonlocal looks
                looks += 1
                return numbers[record.name] % rare == 0

            asked = ListQuery(parent=None, scope=None, matches=matches, limit=limit, scan_limit=scan_limit)
            found, pages, more = list[str](), 0, True
            while more:
                looks = 0
                page = await stage.store.list(asked)
                assert looks <= scan_limit
                assert len(page.records) <= limit
                found += [record.name for record in page.records]
                pages += 1
                if more := page.next_after is not None:
                    assert asked.after is None or page.next_after < asked.after
                    asked = replace(asked, after=page.next_after)
            assert found == [name for name in names if numbers[name] % rare == 0]
            assert pages >= -(-40 // scan_limit)

    play(scenario)


def test_an_error_in_matches_is_the_callers(play: Play) -> None:
    """What `matches` raises comes out as it is, and the store goes on (FILT-2)."""

    async def scenario(stage: Stage) -> None:
        await numbered(stage, 3)

        def matches(_: OperationRecord) -> bool:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await stage.names(matches=matches)
        assert len(await stage.names()) == 3

    play(scenario)


def test_long_lists_are_complete(play: Play) -> None:
    """Thousands of operations, created and taken away in all orders, are listed once each (PAGE-1)."""

    async def scenario(stage: Stage) -> None:
        names = await numbered(stage, 2_000, parent="shelves/1")
        for name in names[3::7] + names[:600:2]:
            await stage.store.delete(name, None)
        await stage.create("operations/last", parent="shelves/2")
        left = [name for index, name in enumerate(names) if index % 7 != 3 and (index >= 600 or index % 2)]
        for parent in ("shelves/1", None):
            assert await stage.names(parent=parent, limit=99) == ["operations/last"] * (parent is None) + left

    play(scenario)
