# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The fields a filter knows, from the first name of a path on: what they mean, and what of it a store can decide.

Laws of this file:

1. ``a != b`` is exactly ``NOT a = b``, for every field: what is absent is unequal to everything (AIP-160: "true unless").
2. `Term.when` follows from the comparison, `Term.unless` from its negation. Where a field may be absent, the negation of a
   comparison holds without it, and no condition says that.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias, final

from google.rpc import status_pb2

from ...status import Code
from ._conditions import ANYTHING, UNKNOWN, Condition, ConditionField, ConditionOperator, Pushdown, comparison
from ._error import meant, shown
from ._paths import UnknownFieldError, message_test, no_fields, set_at_all
from ._payloads import entering, payload_test
from ._schema import Schema, View, declared
from ._syntax import Comparator, Literal, Restriction, Segment
from ._values import Kind, KindError, Question, boolean, instant, misused, number, pattern, unsuited

__all__ = ["Term", "ViewTest", "invert", "term"]

ViewTest: TypeAlias = Callable[[View], bool]


@final
@dataclass(frozen=True, slots=True)
class Term:
    """A part of a filter, ready for use.

    Attributes:
        test: Whether a record fulfils it.
        when: What follows if it does.
        unless: What follows if it does not.
    """

    test: ViewTest
    when: Pushdown
    unless: Pushdown


_Operator: TypeAlias = ConditionOperator
_OPERATORS: Final = {
    Comparator.EQ: _Operator.EQ,
    Comparator.HAS: _Operator.EQ,
    Comparator.LT: _Operator.LT,
    Comparator.LE: _Operator.LE,
    Comparator.GT: _Operator.GT,
    Comparator.GE: _Operator.GE,
}
_INVERSE: Final = {
    _Operator.EQ: _Operator.NE,
    _Operator.LT: _Operator.GE,
    _Operator.LE: _Operator.GT,
    _Operator.GT: _Operator.LE,
    _Operator.GE: _Operator.LT,
}
_LEAST_CODE: Final = -(2**31)  # codes are of 32 bits (status.proto): at least this means "there is one"
_LEAST_TIME: Final = -(2**63)

_TIMES: Final = {
    "create_time": ConditionField.CREATE_TIME,
    "update_time": ConditionField.UPDATE_TIME,
    "end_time": ConditionField.END_TIME,
    "start_time": None,
}
_ABSENT_AT_FIRST: Final = frozenset({"end_time", "start_time"})
_FIELDS: Final = ("done", "name", "error", "metadata", "response", *_TIMES)
_JSON_NAMES: Final = {
    "createTime": "create_time",
    "updateTime": "update_time",
    "endTime": "end_time",
    "startTime": "start_time",
}


def term(restriction: Restriction, schema: Schema) -> Term:
    """Makes a comparison ready for use.

    Raises:
        FilterError: Its field is not known, or cannot be compared in this way or with this.
    """
    negated = restriction.comparator is Comparator.NE
    ask = Question(
        comparator=Comparator.EQ if negated else restriction.comparator,
        literal=restriction.literal,
        position=restriction.position,
    )
    made = _term(restriction.path, ask, schema)
    return invert(made) if negated else made


def invert(part: Term) -> Term:
    """The negation of a part."""
    test = part.test
    return Term(lambda view: not test(view), when=part.unless, unless=part.when)


def _term(path: tuple[Segment, ...], ask: Question, schema: Schema) -> Term:
    head, rest = path[0], path[1:]
    match _JSON_NAMES.get(head.name, head.name):
        case "done":
            return _done(_alone(head, Kind.BOOLEAN, rest), ask)
        case "name":
            _alone(head, Kind.STRING, rest)
            return _name(ask)
        case "error":
            return _error(head, rest, ask, schema)
        case "metadata":
            test = payload_test(head, rest, ask, schema, declared(schema.metadata))
            return Term(lambda view: test(view.metadata()), UNKNOWN, UNKNOWN)
        case "response":
            test = payload_test(head, rest, ask, schema, declared(schema.responses))
            return Term(lambda view: test(view.response()), UNKNOWN, UNKNOWN)
        case name if name in _TIMES:
            return _time(_alone(head, Kind.TIME, rest), ask)
        case _:
            raise UnknownFieldError(f"there is no field {shown(head.name)}; {meant(head.name, _FIELDS)}", head.position)


def _alone(head: Segment, kind: Kind, rest: tuple[Segment, ...]) -> str:
    if rest:
        raise no_fields(head.name, kind, rest[0])
    return head.name


# -- the fields of every operation ------------------------------------------------------------------------------


def _one(field: ConditionField, operator: ConditionOperator, value: bool | int | str, /) -> Pushdown:  # noqa: FBT001 (a value)
    return Pushdown((Condition(field, operator, value),), exact=True)


def _from(when: Pushdown, unless: Pushdown) -> Term:
    """A term that is one condition."""
    holds = when.conditions[0].test()
    return Term(lambda view: holds(view.record), when, unless)


def _done(name: str, ask: Question) -> Term:
    if ask.comparator not in {Comparator.EQ, Comparator.HAS}:
        raise misused(name, Kind.BOOLEAN, ask)
    wanted = True if ask.presence else boolean(ask.literal.text)  # present is what has no default value (AIP-160)
    if wanted is None:
        raise unsuited(name, Kind.BOOLEAN, ask.literal)
    field, equal = ConditionField.DONE, _Operator.EQ
    return _from(_one(field, equal, wanted), _one(field, equal, not wanted))


def _name(ask: Question) -> Term:
    field, literal = ConditionField.NAME, ask.literal
    if ask.presence:
        return _from(_one(field, _Operator.NE, ""), _one(field, _Operator.EQ, ""))
    operator = _OPERATORS[ask.comparator]
    if operator is not _Operator.EQ or len(literal.parts) == 1:
        return _from(_one(field, operator, literal.text), _one(field, _INVERSE[operator], literal.text))
    fits = pattern(literal)
    return Term(lambda view: fits(view.record.name), _prefixed(literal), UNKNOWN)


def _prefixed(literal: Literal) -> Pushdown:
    """What follows from the text before the first wildcard: a range of names."""
    prefix = literal.parts[0]
    conditions: list[Condition] = []
    if prefix:
        conditions.append(Condition(ConditionField.NAME, _Operator.GE, prefix))
        after = _after(prefix)
        if after is not None:
            conditions.append(Condition(ConditionField.NAME, _Operator.LT, after))
    return Pushdown(tuple(conditions), exact=literal.parts[1:] == ("",))


def _after(prefix: str) -> str | None:
    """The first text after all those that begin so; ``None`` where there is none."""
    while prefix:
        code = ord(prefix[-1]) + 1
        prefix = prefix[:-1]
        if code <= sys.maxunicode:
            return prefix + chr(0xE000 if code == 0xD800 else code)  # surrogates are no characters
    return None


def _error(head: Segment, rest: tuple[Segment, ...], ask: Question, schema: Schema) -> Term:
    there = _one(ConditionField.CODE, _Operator.GE, _LEAST_CODE)
    if not rest:
        if ask.comparator is not Comparator.HAS:
            raise misused(head.name, Kind.MESSAGE, ask)
        if ask.presence:
            return _from(there, UNKNOWN)
        rest, ask = (Segment(name=ask.literal.text, position=ask.literal.position),), set_at_all(ask)
    if rest[0].name == "code":
        if len(rest) > 1:
            raise no_fields("code", Kind.INTEGER, rest[1])
        return _code(ask)
    fits = message_test(status_pb2.Status.DESCRIPTOR, rest, ask, entering(schema))

    def test(view: View) -> bool:
        try:
            status = view.status()
            return status is not None and fits(status)
        except Exception:  # noqa: BLE001 (DecodeError, and more from the pure Python runtime; what does not decode is absent)
            return False

    return Term(test, Pushdown(there.conditions, exact=False), UNKNOWN)


def _code(ask: Question) -> Term:
    if ask.presence:
        return _from(_one(ConditionField.CODE, _Operator.NE, 0), UNKNOWN)
    text = ask.literal.text
    wanted = Code[text].value if text in Code.__members__ else number(text)
    if not isinstance(wanted, int):
        expected = f"expected a number or the name of a code, got {shown(text)}; {meant(text, Code.__members__)}"
        raise KindError(f"'code' is a google.rpc.Code: {expected}", ask.literal.position, Kind.INTEGER)
    if not _LEAST_CODE <= wanted < -_LEAST_CODE:
        raise KindError(f"a code is a 32-bit number; got {shown(text)}", ask.literal.position, Kind.INTEGER)
    return _from(_one(ConditionField.CODE, _OPERATORS[ask.comparator], wanted), UNKNOWN)


def _time(name: str, ask: Question) -> Term:
    attribute = _JSON_NAMES.get(name, name)
    field, always = _TIMES[attribute], attribute not in _ABSENT_AT_FIRST
    if ask.presence:
        return _time_present(attribute, field, always=always)
    literal = instant(ask.literal.text)
    if literal is None:
        raise unsuited(name, Kind.TIME, ask.literal)
    low, high = literal // 1000, -(-literal // 1000)  # a literal has nanoseconds, a record microseconds
    operator = _OPERATORS[ask.comparator]
    if operator is _Operator.EQ and low != high:
        return Term(lambda _: False, UNKNOWN, ANYTHING)
    bound = low if operator in {_Operator.LE, _Operator.GT} else high
    holds = comparison(attribute, operator, bound)
    if field is None:
        return Term(lambda view: holds(view.record), UNKNOWN, UNKNOWN)
    unless = _one(field, _INVERSE[operator], bound) if always else UNKNOWN
    return Term(lambda view: holds(view.record), _one(field, operator, bound), unless)


def _time_present(attribute: str, field: ConditionField | None, *, always: bool) -> Term:
    if always:
        return Term(lambda _: True, ANYTHING, UNKNOWN)
    holds = comparison(attribute, _Operator.GE, _LEAST_TIME)
    when = UNKNOWN if field is None else _one(field, _Operator.GE, _LEAST_TIME)
    return Term(lambda view: holds(view.record), when, UNKNOWN)
