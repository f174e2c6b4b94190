# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Literals as values, and tests of one value: what a comparator means for each kind of field.

A literal is text until the field says what it is (AIP-160); whether it stood in quotes makes no difference, but for the ``*`` of
a presence test.
"""

from __future__ import annotations

import datetime as dt
import enum
import math
import operator
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

from ._error import FilterError, meant, shown
from ._syntax import Comparator, Literal

if TYPE_CHECKING:
    from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

__all__ = [
    "COMPARE",
    "Kind",
    "KindError",
    "Question",
    "Test",
    "boolean",
    "instant",
    "kind_of",
    "misused",
    "number",
    "pattern",
    "span",
    "unsuited",
    "value_test",
]

Test: TypeAlias = Callable[[Any], bool]
"""Whether a value that is there fulfils a comparison."""


@final
class Kind(enum.Enum):
    """What a field can hold, in words for messages."""

    BOOLEAN = "a boolean"
    INTEGER = "an integer"
    NUMBER = "a number"
    STRING = "a string"
    BYTES = "bytes"
    ENUM = "an enum"
    TIME = "a time"
    DURATION = "a duration"
    MESSAGE = "a message"
    MAP = "a map"
    REPEATED = "a repeated field"


class KindError(FilterError):
    """A comparison that no value of a field can answer.

    Attributes:
        kind: What the field holds.
    """

    def __init__(self, message: str, position: int, kind: Kind = Kind.MESSAGE) -> None:
        super().__init__(message, position)
        self.kind = kind


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of the place a path leads to.

    Attributes:
        comparator: Any but ``!=``: that is the negation of ``=``, whatever the field.
        literal: What the field is compared with.
        position: Where the comparator stands, from 1.
    """

    comparator: Comparator
    literal: Literal
    position: int

    @property
    def presence(self) -> bool:
        """Whether it is only asked if something is there, ``field:*``."""
        return self.comparator is Comparator.HAS and self.literal.is_star


COMPARE: Final[dict[Comparator, Callable[[Any, Any], bool]]] = {
    Comparator.EQ: operator.eq,
    Comparator.NE: operator.ne,
    Comparator.LT: operator.lt,
    Comparator.LE: operator.le,
    Comparator.GT: operator.gt,
    Comparator.GE: operator.ge,
    Comparator.HAS: operator.eq,  # m.foo:42 is true if m.foo is 42 (AIP-160)
}

# -- literals ---------------------------------------------------------------------------------------------------

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,100}")
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]{1,100}(?:\.[0-9]{0,100})?|\.[0-9]{1,100})(?:[eE][+-]?[0-9]{1,4})?")
_DURATION: Final = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,9}))?s")
_INSTANT: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_EPOCH: Final = dt.date(1970, 1, 1).toordinal()


def boolean(text: str) -> bool | None:
    """``true`` or ``false``."""
    return {"true": True, "false": False}.get(text)


def number(text: str) -> float | None:
    """An integer of up to 100 digits, exactly, or a finite float."""
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text) and math.isfinite(value := float(text)):
        return value
    return None


def span(text: str) -> int | None:
    """A duration such as ``1.5s`` in nanoseconds."""
    found = _DURATION.fullmatch(text)
    if found is None:
        return None
    sign, seconds, fraction = found.groups()
    length = int(seconds) * 10**9 + int((fraction or "").ljust(9, "0"))
    return -length if sign else length


def instant(text: str) -> int | None:
    """An RFC 3339 time in nanoseconds since 1970; a leap second has none."""
    found = _INSTANT.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    fraction, sign, east_hours, east_minutes = found.groups()[6:]
    try:
        days = dt.date(year, month, day).toordinal() - _EPOCH
        dt.time(hour, minute, second)
        offset = dt.time(int(east_hours or 0), int(east_minutes or 0))
    except ValueError:
        return None
    east = (offset.hour * 60 + offset.minute) * (-60 if sign == "-" else 60)
    seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - east
    return seconds * 10**9 + int((fraction or "").ljust(9, "0"))


def pattern(literal: Literal) -> Test:
    """Whether a string is the literal, whose wildcards stand for any text; what is not a string is not."""
    if len(literal.parts) == 1:
        text = literal.parts[0]
        return lambda value: bool(value == text)
    first, *middle, last = literal.parts
    least = len(first) + len(last)

    def fits(value: object) -> bool:
        if not isinstance(value, str) or len(value) < least:  # proto2 hands out bytes where a string is not UTF-8
            return False
        if not (value.startswith(first) and value.endswith(last)):
            return False
        at, end = len(first), len(value) - len(last)
        for part in middle:
            found = value.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True

    return fits


# -- tests of values --------------------------------------------------------------------------------------------

_ORDERED: Final = frozenset({Comparator.LT, Comparator.LE, Comparator.GT, Comparator.GE})
_EXPECTED: Final = {
    Kind.BOOLEAN: "true or false",
    Kind.INTEGER: "a number",
    Kind.NUMBER: "a number",
    Kind.TIME: "an RFC 3339 time such as 2024-01-31T12:00:00Z",
    Kind.DURATION: "seconds such as 20s or 1.5s",
}


def kind_of(field: FieldDescriptor) -> Kind:
    """What one element of a field holds, by its declared type."""
    match field.cpp_type:
        case field.CPPTYPE_BOOL:
            return Kind.BOOLEAN
        case field.CPPTYPE_DOUBLE | field.CPPTYPE_FLOAT:
            return Kind.NUMBER
        case field.CPPTYPE_ENUM:
            return Kind.ENUM
        case field.CPPTYPE_STRING:
            return Kind.BYTES if field.type == field.TYPE_BYTES else Kind.STRING
        case field.CPPTYPE_MESSAGE:
            return Kind.MESSAGE
        case _:
            return Kind.INTEGER


def misused(name: str, kind: Kind, ask: Question) -> KindError:
    """The error of a comparator that does not apply to a kind of field."""
    match kind:
        case Kind.BOOLEAN | Kind.ENUM:
            apply = "= != and :"
        case Kind.BYTES:
            apply = ":*"
        case _:
            apply = ":"
    message = f"{shown(name)} is {kind.value}: {shown(ask.comparator.value)} does not apply, {apply} does"
    return KindError(message, ask.position, kind)


def value_test(
    name: str, kind: Kind, ask: Question, *, enum_type: EnumDescriptor | None = None, single: bool = False
) -> Test:
    """The test of one value.

    Args:
        name: The field, for messages.
        kind: What it holds.
        ask: The comparison.
        enum_type: The descriptor of an enum.
        single: Whether numbers are of 32 bits: then ``0.1`` is the nearest one of those.

    Raises:
        KindError: The comparator does not apply, or the literal is no value of this kind.
    """
    literal, ordering = ask.literal, ask.comparator in _ORDERED
    wanted: float | str | None
    match kind:
        case Kind.STRING if ordering:
            wanted = literal.text
        case Kind.STRING:
            return pattern(literal)
        case Kind.BOOLEAN if not ordering:
            wanted = boolean(literal.text)
        case Kind.INTEGER | Kind.NUMBER:
            wanted = _single(number(literal.text)) if single else number(literal.text)
        case Kind.TIME:
            wanted = instant(literal.text)
        case Kind.DURATION:
            wanted = span(literal.text)
        case Kind.ENUM if not ordering and enum_type is not None:
            wanted = _enum(name, enum_type, literal)
        case _:
            raise misused(name, kind, ask)
    if wanted is None:
        raise unsuited(name, kind, literal)
    compare = COMPARE[ask.comparator]
    return lambda value: compare(value, wanted)


def unsuited(name: str, kind: Kind, literal: Literal) -> KindError:
    """The error of a literal that is no value of a kind of field."""
    hint = "; whether it is set is asked with :*" if literal.is_star else ""
    message = f"{shown(name)} is {kind.value}: expected {_EXPECTED[kind]}, got {shown(literal.text)}{hint}"
    return KindError(message, literal.position, kind)


def _single(value: float | None) -> float | None:
    if not isinstance(value, float):
        return value
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return value


def _enum(name: str, enum_type: EnumDescriptor, literal: Literal) -> int:
    found = enum_type.values_by_name.get(literal.text)
    if found is not None:
        return int(found.number)
    if _INTEGER.fullmatch(literal.text):
        return int(literal.text)
    raise KindError(
        f"{shown(name)} is an enum, and has no value {shown(literal.text)}; {meant(literal.text, enum_type.values_by_name)}",
        literal.position,
        Kind.ENUM,
    )
