# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Paths through messages: from a descriptor and the names of a path to a test of messages of that type.

Laws of this file:

1. Paths are followed by descriptor, before any message is seen; what a type does not have is said then.
2. What is not set is absent, and absent fulfils no comparison (AIP-160). A field without presence, as most of proto3, is never
   absent: it has its default, but ``:*`` asks for more than that.
3. ``.`` does not pass a repeated field, except with ``:``, which asks for any element.
4. What is in an ``Any`` is known when it is there. One that is nested is entered, one in that is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias, cast

from google.protobuf import any_pb2

from ..._descriptors import is_repeated
from ._error import FilterError, meant, shown
from ._structs import STRUCTS, struct_test
from ._syntax import Comparator, Literal, Segment
from ._values import Kind, KindError, Question, Test, kind_of, misused, pattern, value_test

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, FieldDescriptor

__all__ = ["ANY", "TYPE", "Enter", "UnknownFieldError", "message_test", "no_fields", "set_at_all", "type_test"]

ANY: Final = any_pb2.Any.DESCRIPTOR.full_name
TYPE: Final = "@type"
"""The name under which JSON, and a filter, has the type URL of an ``Any``."""

Path: TypeAlias = tuple[Segment, ...]
Enter: TypeAlias = Callable[[Path, Question], Test]
"""Makes the test of a nested ``Any``."""

_TIMES: Final = {"google.protobuf.Timestamp": Kind.TIME, "google.protobuf.Duration": Kind.DURATION}
_WRAPPERS: Final = frozenset(
    f"google.protobuf.{name}Value"
    for name in ("Bool", "Bytes", "Double", "Float", "Int32", "Int64", "String", "UInt32", "UInt64")
)


class UnknownFieldError(FilterError):
    """A name that is no field of the type it is looked up in.

    Attributes:
        name: The name.
        known: The fields it has.
    """

    def __init__(self, message: str, position: int, name: str = "", known: Iterable[str] = ()) -> None:
        super().__init__(message, position)
        self.name, self.known = name, tuple(known)


def message_test(descriptor: Descriptor, path: Path, ask: Question, enter: Enter) -> Test:
    """The test of messages of one type.

    Args:
        descriptor: The type.
        path: At least one name: of a field, in snake case or as JSON has it, or of a key of a map.
        ask: What to ask of the place it leads to.
        enter: Makes the tests of what is in an ``Any`` on the way.

    Raises:
        UnknownFieldError: The path leads nowhere in this type.
        KindError: It does, but the comparison cannot be made there.
    """
    if descriptor.full_name == ANY:
        return enter(path, ask)
    if descriptor.full_name in STRUCTS:
        return struct_test(path, ask)
    head, rest = path[0], path[1:]
    field = _field(descriptor, head.name)
    if field is None:
        raise UnknownFieldError(
            f"{shown(descriptor.full_name)} has no field {shown(head.name)}; "
            f"{meant(head.name, descriptor.fields_by_name)}",
            head.position,
            head.name,
            descriptor.fields_by_name,
        )
    if field.message_type is not None and field.message_type.GetOptions().map_entry:  # pyright: ignore[reportUnnecessaryComparison]
        return _map_test(field, head, rest, ask, enter)
    if is_repeated(field):
        return _repeated_test(field, head, rest, ask, enter)
    return _single_test(field, head, rest, ask, enter)


def type_test(ask: Question, name_of: Callable[[str], str | None]) -> Test:
    """The test of a type URL: as a whole, or by the full name of the type.

    Args:
        ask: What to ask of it.
        name_of: The full name in a URL; ``None`` for one that is malformed or not trusted.

    Raises:
        KindError: The comparator is one of order, which URLs do not have.
    """
    if ask.presence:
        return bool
    if ask.comparator not in {Comparator.EQ, Comparator.HAS}:
        message = f"{shown(TYPE)} is a type URL: {shown(ask.comparator.value)} does not apply, = != and : do"
        raise KindError(message, ask.position, Kind.STRING)
    fits = pattern(ask.literal)
    return lambda url: fits(url) or fits(name_of(url))


def no_fields(name: str, kind: Kind, further: Segment) -> UnknownFieldError:
    """The error of a path that goes on where there are no fields."""
    return UnknownFieldError(f"{shown(name)} is {kind.value} and has no field {shown(further.name)}", further.position)


def _field(descriptor: Descriptor, name: str) -> FieldDescriptor | None:
    found = descriptor.fields_by_name.get(name)
    if found is None:
        found = next((field for field in descriptor.fields if field.json_name == name), None)
    return found


# -- the three shapes of fields ---------------------------------------------------------------------------------


def _single_test(field: FieldDescriptor, head: Segment, rest: Path, ask: Question, enter: Enter) -> Test:
    name = field.name
    if ask.presence and not rest:
        if field.has_presence:
            return lambda message: message.HasField(name)
        return lambda message: bool(getattr(message, name))
    fits = _element_test(field, head, rest, ask, enter)
    if field.has_presence:
        return lambda message: message.HasField(name) and fits(getattr(message, name))
    return lambda message: fits(getattr(message, name))


def _repeated_test(field: FieldDescriptor, head: Segment, rest: Path, ask: Question, enter: Enter) -> Test:
    name = field.name
    if ask.comparator is not Comparator.HAS:
        raise misused(head.name, Kind.REPEATED, ask)
    if ask.presence and not rest:
        return lambda message: len(getattr(message, name)) > 0
    fits = _element_test(field, head, rest, ask, enter)
    return lambda message: any(fits(element) for element in getattr(message, name))


def _map_test(field: FieldDescriptor, head: Segment, rest: Path, ask: Question, enter: Enter) -> Test:
    name, entry = field.name, cast("Descriptor", field.message_type)
    key_field, value_field = entry.fields_by_name["key"], entry.fields_by_name["value"]
    if not rest:
        if ask.comparator is not Comparator.HAS:
            raise misused(head.name, Kind.MAP, ask)
        if ask.presence:
            return lambda message: len(getattr(message, name)) > 0
        is_key = value_test(head.name, kind_of(key_field), ask)
        return lambda message: any(is_key(key) for key in getattr(message, name))
    key = _key(head, key_field, rest[0])
    if ask.presence and len(rest) == 1:
        return lambda message: key in getattr(message, name)
    fits = _element_test(value_field, rest[0], rest[1:], ask, enter)

    def holds(message: Any) -> bool:
        entries = getattr(message, name)
        return key in entries and fits(entries[key])

    return holds


def _key(head: Segment, field: FieldDescriptor, segment: Segment) -> object:
    kind = kind_of(field)
    if kind is Kind.STRING:
        return segment.name
    key = {"true": True, "false": False}.get(segment.name) if kind is Kind.BOOLEAN else _integer(segment.name)
    if key is None:
        message = f"the keys of {shown(head.name)} are {'booleans' if kind is Kind.BOOLEAN else 'integers'}"
        raise KindError(f"{message}; got {shown(segment.name)}", segment.position, Kind.MAP)
    return key


def _integer(text: str) -> int | None:
    return int(text) if text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 20 else None


# -- what a field, an element or a value of a map holds ---------------------------------------------------------


def _element_test(field: FieldDescriptor, head: Segment, rest: Path, ask: Question, enter: Enter) -> Test:
    kind = kind_of(field)
    if kind is Kind.MESSAGE:
        return _within(cast("Descriptor", field.message_type), head, rest, ask, enter)
    if rest:
        raise no_fields(head.name, kind, rest[0])
    return value_test(head.name, kind, ask, enum_type=field.enum_type, single=field.cpp_type == field.CPPTYPE_FLOAT)


def _within(descriptor: Descriptor, head: Segment, rest: Path, ask: Question, enter: Enter) -> Test:
    full_name = descriptor.full_name
    if full_name in _TIMES or full_name in _WRAPPERS:
        return _like_scalar(descriptor, head, rest, ask)
    if full_name in STRUCTS:
        return struct_test(rest, ask)
    if not rest:  # `message:field` is `message.field:*`
        if ask.comparator is not Comparator.HAS:
            raise misused(head.name, Kind.MESSAGE, ask)
        rest, ask = (Segment(name=ask.literal.text, position=ask.literal.position),), set_at_all(ask)
    return message_test(descriptor, rest, ask, enter)


def set_at_all(ask: Question) -> Question:
    """The question whether something is there, in the place of another one."""
    star = Literal(parts=("", ""), quoted=False, position=ask.literal.position)
    return Question(comparator=Comparator.HAS, literal=star, position=ask.position)


def _like_scalar(descriptor: Descriptor, head: Segment, rest: Path, ask: Question) -> Test:
    """Times, durations and wrapped scalars are messages to protobuf, and single values to everybody else."""
    kind = _TIMES.get(descriptor.full_name)
    if kind is not None:
        if rest:
            raise no_fields(head.name, kind, rest[0])
        fits = value_test(head.name, kind, ask)
        return lambda message: fits(message.seconds * 10**9 + message.nanos)
    fits = _element_test(descriptor.fields_by_name["value"], head, rest, ask, _no_any)
    return lambda message: fits(message.value)


def _no_any(_path: Path, _ask: Question) -> NoReturn:
    raise AssertionError("a wrapper holds a scalar")
