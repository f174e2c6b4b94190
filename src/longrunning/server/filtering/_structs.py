# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Comparisons inside ``google.protobuf.Struct``, ``Value`` and ``ListValue``: no types are declared there, values have them."""

from __future__ import annotations

from typing import Any, Final

from ._syntax import Comparator, Segment
from ._values import COMPARE, Question, Test, boolean, number, pattern

__all__ = ["STRUCTS", "struct_test"]

STRUCTS: Final = frozenset(f"google.protobuf.{name}" for name in ("Struct", "Value", "ListValue"))
"""Full names of the messages whose fields are keys of JSON."""


def struct_test(path: tuple[Segment, ...], ask: Question) -> Test:
    """The test of such a message. Any path is legal; what is not there does not match.

    Args:
        path: Keys. A list is passed only by ``:``, which asks for any element (AIP-160).
        ask: The comparison. It fits a value of the literal's own type: ``42`` a number 42 and a string "42".
    """
    keys, walk = tuple(segment.name for segment in path), _Walk(ask)
    return lambda message: walk.fits(message, keys)


class _Walk:
    """One question, asked of values as they come."""

    def __init__(self, ask: Question) -> None:
        self._has = ask.comparator is Comparator.HAS
        self._presence = ask.presence
        self._equal = pattern(ask.literal) if ask.comparator in {Comparator.EQ, Comparator.HAS} else None
        self._compare = COMPARE[ask.comparator]
        self._text = ask.literal.text
        self._number = number(self._text)
        self._boolean = boolean(self._text)

    def fits(self, message: Any, keys: tuple[str, ...]) -> bool:
        # How deep this goes is bounded: by the names of the path, and by protobuf's own limit on nested messages.
        match message.DESCRIPTOR.name:
            case "Struct":
                return self._struct(message, keys)
            case "ListValue":
                return self._list(message, keys)
            case _:
                return self._value(message, keys)

    def _value(self, message: Any, keys: tuple[str, ...]) -> bool:
        kind = message.WhichOneof("kind")
        if kind == "struct_value":
            return self._struct(message.struct_value, keys)
        if kind == "list_value":
            return self._list(message.list_value, keys)
        if keys:
            return False
        return self._presence or self._scalar(kind, message)

    def _struct(self, message: Any, keys: tuple[str, ...]) -> bool:
        if keys:
            return keys[0] in message.fields and self._value(message.fields[keys[0]], keys[1:])
        if not self._has or self._equal is None:
            return False
        return self._presence or any(self._equal(key) for key in message.fields)

    def _list(self, message: Any, keys: tuple[str, ...]) -> bool:
        if not self._has:
            return False
        if self._presence and not keys:
            return True
        return any(self._value(value, keys) for value in message.values)

    def _scalar(self, kind: str | None, message: Any) -> bool:
        match kind:
            case "string_value" if self._equal is not None:
                return self._equal(message.string_value)
            case "string_value":
                return self._compare(message.string_value, self._text)
            case "number_value":
                return self._number is not None and self._compare(message.number_value, self._number)
            case "bool_value":
                return self._equal is not None and self._boolean is message.bool_value
            case _:
                return self._equal is not None and self._text == "null"
