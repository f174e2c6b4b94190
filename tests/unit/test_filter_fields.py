# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The fields every operation has: what comparing them means, and what of it a store may decide."""

from __future__ import annotations

from typing import Any

import pytest
from google.rpc import error_details_pb2

from longrunning.server.filtering import Condition, ConditionField, ConditionOperator, Filter, parse
from tests.unit.builders import Instance
from tests.unit.filter_builders import ALL, Record, failed, matches, micros, running, succeeded

NOON = micros("2024-01-31T12:00:00+00:00")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("name = operations/1", ["operations/1"]),
        ("name != operations/1", ["", "operations/10", "operations/2", "x*y"]),
        ("name : operations/1", ["operations/1"]),
        ("name = operations/1*", ["operations/1", "operations/10"]),
        ('name = "*1"', ["operations/1"]),
        ("name = op*/1*0", ["operations/10"]),
        ("name = *ion*", ["operations/1", "operations/10", "operations/2"]),
        ("name = *", ["", "operations/1", "operations/10", "operations/2", "x*y"]),
        ("name != *1*", ["", "operations/2", "x*y"]),
        (r'name = "x\*y"', ["x*y"]),
        (r'name = "*\**"', ["x*y"]),
        ("name = operations/1*1", []),
        ("name > operations/1", ["operations/10", "operations/2", "x*y"]),
        ("name >= operations/10", ["operations/10", "operations/2", "x*y"]),
        ("name < operations/10", ["", "operations/1"]),
        ("name <= operations/10", ["", "operations/1", "operations/10"]),
        ('name > "x*"', ["x*y"]),  # no wildcards in an order
        ("name:*", ["operations/1", "operations/10", "operations/2", "x*y"]),
        ('name = ""', [""]),
        ('name:"*"', ["", "operations/1", "operations/10", "operations/2", "x*y"]),
        ("name = *1*1", []),
        ("name = *1*1*", []),
        ("name = *o*i*", ["operations/1", "operations/10", "operations/2"]),
        ("NOT name:*", [""]),
        ("name = OPERATIONS/1", []),
    ],
)
def test_name(text: str, names: list[str]) -> None:
    """Names are compared as text, by code point, and for equality with wildcards (FILT-2)."""
    every = ["", "operations/1", "operations/10", "operations/2", "x*y"]
    assert [name for name in every if matches(text, Record(name=name))] == names


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("error.code = 5", [5]),
        ("error.code = NOT_FOUND", [5]),
        ('error.code:"NOT_FOUND"', [5]),
        ("error.code != NOT_FOUND", [None, 0, 3, 99]),
        ("NOT error.code = 5", [None, 0, 3, 99]),
        ("error.code > 3", [5, 99]),
        ("error.code >= INVALID_ARGUMENT", [3, 5, 99]),
        ("error.code < 5", [0, 3]),
        ("NOT error.code < 5", [None, 5, 99]),
        ("error.code <= +3", [0, 3]),
        ("error.code = 99", [99]),
        ("error.code = -1", []),
        ("error.code = 0", [0]),
        ("error.code:*", [3, 5, 99]),
        ("-error.code:*", [None, 0]),
        ("error:code", [3, 5, 99]),
        ("error:*", [0, 3, 5, 99]),
        ("NOT error:*", [None]),
        ("error.code = 3 OR error.code = 5", [3, 5]),
        ("error.code > 3 error.code < 99", [5]),
    ],
)
def test_code(text: str, codes: list[int | None]) -> None:
    """Codes are compared by number or name; without an error there is none, which is unequal to all (FILT-2)."""
    records: dict[int | None, Record] = {None: succeeded(), **{code: failed(code) for code in (0, 3, 5, 99)}}
    assert [code for code, record in records.items() if matches(text, record)] == codes


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        ("error.message = gone", True),
        ('error.message = "*on*"', True),
        ("error.message != gone", False),
        ("error.message > gond", True),
        ("error:message", True),
        ("error.details:*", True),
        ("error.details.reason:QUOTA", True),
        ("error.details.reason:OTHER", False),
        ("error.details.metadata.zone:a", True),
        ("error.details.@type:google.rpc.ErrorInfo", True),
        ("error.details.@type:type.googleapis.com/google.rpc.ErrorInfo", True),
        ("error.details.@type:google.rpc.Help", False),
        ("error.details.retry_delay:5s", True),
        ("error.details.retryDelay:6s", False),
        ("error.details.no_such:x", False),
        ("metadata:*", False),
        ("response:*", False),
        ("response.shelf.name != x", True),
    ],
)
def test_error(text: str, yes: bool) -> None:
    """An error's message and the details of known types can be asked about (FILT-2)."""
    info = error_details_pb2.ErrorInfo(reason="QUOTA", metadata={"zone": "a"})
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.seconds = 5
    assert matches(text, failed(8, "gone", info, retry)) is yes


def test_error_that_does_not_decode() -> None:
    """An error whose bytes are corrupt has its code, and no message (FILT-2)."""
    record = Record(done=True, code=5, result=b"\xff")
    assert matches("error.code = 5", record)
    assert not matches("error.message:*", record)
    assert matches("error.message != x", record)
    assert not matches("error.message:*", Record(done=True, code=5))


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("{} = 2024-01-31T12:00:00Z", [0]),
        ('{} = "2024-01-31T12:00:00Z"', [0]),
        ("{} = 2024-01-31t12:00:00z", [0]),
        ("{} = '2024-01-31 12:00:00Z'", [0]),
        ("{} = 2024-01-31T14:30:00+02:30", [0]),
        ("{} = 2024-01-30T12:00:00.000000-24:00", None),
        ("{} = 2024-01-31T01:00:00-11:00", [0]),
        ("{} = 2024-01-31T12:00:00.000001Z", [1]),
        ("{} != 2024-01-31T12:00:00.000001Z", [-1, 0]),
        ("{} > 2024-01-31T12:00:00Z", [1]),
        ("{} >= 2024-01-31T12:00:00Z", [0, 1]),
        ("{} < 2024-01-31T12:00:00Z", [-1]),
        ("{} <= 2024-01-31T12:00:00Z", [-1, 0]),
        # nanoseconds, which records do not have
        ("{} = 2024-01-31T12:00:00.000000001Z", []),
        ("{} != 2024-01-31T12:00:00.000000001Z", [-1, 0, 1]),
        ("{} < 2024-01-31T12:00:00.000000001Z", [-1, 0]),
        ("{} <= 2024-01-31T12:00:00.000000999Z", [-1, 0]),
        ("{} > 2024-01-31T12:00:00.000000001Z", [1]),
        ("{} >= 2024-01-31T12:00:00.000000999Z", [1]),
        ("{}:*", [-1, 0, 1]),
        ("NOT {}:*", []),
        ("{} > 0001-01-01T00:00:00+23:59", [-1, 0, 1]),
        ("{} < 9999-12-31T23:59:59.999999999-23:59", [-1, 0, 1]),
        ("{} = 2024-02-30T12:00:00Z", None),
        ("{} = 2024-01-31T24:00:00Z", None),
        ("{} = 2024-01-31T12:00:60Z", None),
        ("{} = 2024-01-31T12:00:00", None),
        ("{} = 2024-01-31T12:00:00.Z", None),
        ("{} = 2024-01-31T12:00:00.0000000001Z", None),
        ("{} = 0000-01-01T00:00:00Z", None),
        ("{} = ٢٠٢٤-01-31T12:00:00Z", None),
        ("{} = 1706702400", None),
    ],
)
def test_times(text: str, times: list[int] | None) -> None:
    """Times are RFC 3339, compared exactly; what is no such time is refused (FILT-2)."""
    for field, attribute in (
        ("create_time", "create_time"),
        ("createTime", "create_time"),
        ("update_time", "update_time"),
        ("updateTime", "update_time"),
        ("start_time", "start_time"),
        ("startTime", "start_time"),
        ("end_time", "end_time"),
        ("endTime", "end_time"),
    ):
        if times is None:
            with pytest.raises(ValueError, match="RFC 3339"):
                parse(text.format(field), ALL)
            continue
        found = [off for off in (-1, 0, 1) if matches(text.format(field), _at(attribute, NOON + off))]
        assert found == times


def _at(attribute: str, micros: int) -> Record:
    fields: dict[str, Any] = {attribute: micros}
    return Record(**fields)


@pytest.mark.parametrize("field", ["end_time", "start_time"])
def test_absent_time(field: str) -> None:
    """An operation that runs has no end: it is not before, after or at any time, and so unequal to each (FILT-2)."""
    record, noon = Record(), "2024-01-31T12:00:00Z"
    for comparator in ("=", "<", "<=", ">", ">=", ":"):
        assert not matches(f"{field} {comparator} {noon}", record)
        assert matches(f"NOT {field} {comparator} {noon}", record)
    assert matches(f"{field} != {noon}", record)
    assert matches(f"{field} != 2024-01-31T12:00:00.000000001Z", record)
    assert not matches(f"{field}:*", record)
    assert matches(f"NOT {field}:*", record)


# -- what is pushed down ----------------------------------------------------------------------------------------

F, Op = ConditionField, ConditionOperator
CODE_GIVEN = Condition(F.CODE, Op.GE, -(2**31))
END_GIVEN = Condition(F.END_TIME, Op.GE, -(2**63))


@pytest.mark.parametrize(
    ("text", "conditions", "residual"),
    [
        ("", [], False),
        ("done = true", [(F.DONE, Op.EQ, True)], False),
        ("done != true", [(F.DONE, Op.EQ, False)], False),
        ("-done:*", [(F.DONE, Op.EQ, False)], False),
        ("done = true AND error.code = 5", [(F.DONE, Op.EQ, True), (F.CODE, Op.EQ, 5)], False),
        ("(done = true error.code > 5)", [(F.DONE, Op.EQ, True), (F.CODE, Op.GT, 5)], False),
        ("done = true AND (done = true)", [(F.DONE, Op.EQ, True)], False),
        ("error:*", [CODE_GIVEN], False),
        ("error.code:*", [(F.CODE, Op.NE, 0)], False),
        ("name = x", [(F.NAME, Op.EQ, "x")], False),
        ("name != x", [(F.NAME, Op.NE, "x")], False),
        ("NOT name < x", [(F.NAME, Op.GE, "x")], False),
        ("name:*", [(F.NAME, Op.NE, "")], False),
        ("name = x*", [(F.NAME, Op.GE, "x"), (F.NAME, Op.LT, "y")], False),
        ('name = "\ud7ff*"', [(F.NAME, Op.GE, "\ud7ff"), (F.NAME, Op.LT, "\ue000")], False),
        ('name = "a\U0010ffff*"', [(F.NAME, Op.GE, "a\U0010ffff"), (F.NAME, Op.LT, "b")], False),
        ('name = "\U0010ffff*"', [(F.NAME, Op.GE, "\U0010ffff")], False),
        ("name = *", [], False),
        ("name = x*y", [(F.NAME, Op.GE, "x"), (F.NAME, Op.LT, "y")], True),
        ("name = *x", [], True),
        ("name != x*", [], True),
        ("create_time > 1970-01-01T00:00:01Z", [(F.CREATE_TIME, Op.GT, 10**6)], False),
        ("NOT update_time > 1970-01-01T00:00:01Z", [(F.UPDATE_TIME, Op.LE, 10**6)], False),
        ("update_time != 1970-01-01T00:00:01Z", [(F.UPDATE_TIME, Op.NE, 10**6)], False),
        ("create_time:*", [], False),
        ("end_time < 1969-12-31T23:59:59.9999995Z", [(F.END_TIME, Op.LT, 0)], False),
        ("end_time:*", [END_GIVEN], False),
        ("NOT (done = true OR name = x)", [(F.DONE, Op.EQ, False), (F.NAME, Op.NE, "x")], False),
        ("NOT (done = true OR NOT (name = x))", [(F.DONE, Op.EQ, False), (F.NAME, Op.EQ, "x")], False),
        # absent fulfils the negation, and no condition says so
        ("error.code != 5", [], True),
        ("NOT error.code < 5", [], True),
        ("NOT error:*", [], True),
        ("end_time != 1970-01-01T00:00:01Z", [], True),
        ("NOT end_time < 1970-01-01T00:00:01Z", [], True),
        ("done = true AND NOT error:*", [(F.DONE, Op.EQ, True)], True),
        # alternatives
        ("done = true OR name = x", [], True),
        ("NOT (done = true AND name = x)", [], True),
        ("done = true OR name = x AND error.code = 5", [(F.CODE, Op.EQ, 5)], True),
        # what only the payloads tell
        ("done = true AND metadata.percent > 50", [(F.DONE, Op.EQ, True)], True),
        ("error.message = gone", [CODE_GIVEN], True),
        ("error.details:*", [CODE_GIVEN], True),
        ("start_time:*", [], True),
    ],
)
def test_pushdown(text: str, conditions: list[Any], residual: bool) -> None:
    """A conjunction over an operation's own fields is left to the store as a whole, and of others what follows (FILT-2)."""
    made = parse(text, ALL)
    expected = [given if isinstance(given, Condition) else Condition(*given) for given in conditions]
    assert (list(made.pushdown), made.residual) == (expected, residual)


def test_conditions_and_absence() -> None:
    """What is absent fulfils no condition, unequal included: as NULL does in SQL (FILT-2)."""
    for operator in ConditionOperator:
        for field in (F.CODE, F.END_TIME):
            assert not Condition(field, operator, 0).holds(Record())
    assert Condition(F.CODE, Op.NE, 0).holds(Record(code=1))
    assert not Condition(F.CODE, Op.NE, 1).holds(Record(code=1))


def test_asked_of_any_record() -> None:
    """What is asked of records that the store did not pick is answered in full (FILT-2)."""
    made: Filter = parse("done = true AND error.code = 5", ALL)
    assert made.matches(failed(5))
    assert not made.matches(failed(4))
    assert not made.matches(succeeded(Instance(name="x")))
    assert not made.matches(running())
