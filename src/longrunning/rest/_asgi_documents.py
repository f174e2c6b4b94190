# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The JSON of a request, looked at before ``json_format`` reads it: what that would take for something else is refused.

Laws of this file:

1. A field is there once, by one of its names, on every level.
2. Bytes are base64 to the last character, and a number in a string is one of JSON.
3. An opaque payload, ``{"@type": …, "@bytes": …}``, is one where a field holds payloads, and nowhere else.

Source: the proto3 JSON mapping.
"""

# JSON is of any type all the way down, and isinstance() on it tells pyright only half of what it wants to know.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, final

from google.protobuf.descriptor import FieldDescriptor

from .._any import MessageType
from .._descriptors import is_repeated
from .._document import Json, JsonObject
from ..server._refusal import bad_field
from ._openapi_schemas import SPECIAL

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor

__all__ = ["NUMBER", "WRAPPERS", "Documents", "FindUrl", "shown"]

FindUrl = Callable[[str], "MessageType[Any] | None"]

NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,4})?|NaN|-?Infinity", re.ASCII)
WRAPPERS: Final = frozenset(
    f"google.protobuf.{name}Value" for name in ("Bool", "Bytes", "Double", "Float", "Int32", "Int64", "String", "UInt32", "UInt64")
)  # fmt: skip
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]*={0,2}", re.ASCII)
_ANY: Final = "google.protobuf.Any"
_OPAQUE: Final = frozenset({"@type", "@bytes"})
_AS_THEY_ARE: Final = frozenset(
    {FieldDescriptor.CPPTYPE_BOOL, FieldDescriptor.CPPTYPE_ENUM}
)  # json_format is strict enough


@final
class Documents:
    """Looks at the documents of one kind of request."""

    def __init__(self, find: FindUrl) -> None:
        """Takes what finds the types of payloads."""
        self._find = find
        self._fields: dict[Descriptor, dict[str, FieldDescriptor]] = {}

    def checked(self, value: Json, descriptor: Descriptor, path: str = "") -> Json:
        """A copy of a message's JSON in which every opaque payload is an empty one: ``json_format`` knows none.

        Recursion is bounded: documents have a depth limit.

        Args:
            value: The JSON.
            descriptor: The message it is for.
            path: Where it is, for those who are told what is wrong.

        Raises:
            Refusal: INVALID_ARGUMENT: it breaks one of the laws above.
        """
        if not isinstance(value, dict):
            if descriptor.full_name in WRAPPERS:
                _check_scalar(value, descriptor.fields_by_name["value"], path)
            return value
        if descriptor.full_name == _ANY:
            return self._payload(value, path)
        if descriptor.full_name in SPECIAL:
            return value
        fields = self._fields_of(descriptor)
        seen: set[int] = set()
        copy: JsonObject = {}
        for key, given in value.items():
            field = fields.get(key)
            if field is None or given is None:
                copy[key] = given  # json_format says what is wrong, if anything is
                continue
            here = f"{path}.{field.name}" if path else field.name
            if field.number in seen:
                raise bad_field(shown(here), "it is given twice, by both of its names")
            seen.add(field.number)
            copy[key] = self._values(given, field, here)
        return copy

    def _fields_of(self, descriptor: Descriptor) -> dict[str, FieldDescriptor]:
        """The fields of a message, by both of their names."""
        fields = self._fields.get(descriptor)
        if fields is None:
            fields = {name: field for field in descriptor.fields for name in (field.json_name, field.name)}
            self._fields[descriptor] = fields
        return fields

    def _payload(self, value: JsonObject, path: str) -> JsonObject:
        if value.keys() == _OPAQUE:
            return {}
        url = value.get("@type")
        kind = self._find(url) if isinstance(url, str) else None
        if kind is None:  # json_format says so
            return value
        body = {key: given for key, given in value.items() if key != "@type"}
        if kind.full_name != _ANY and kind.full_name not in SPECIAL:
            return {"@type": url, **self.checked(body, kind.descriptor, path)}
        if "value" in body:
            body["value"] = self.checked(body["value"], kind.descriptor, path)
        return {"@type": url, **body}

    def _values(self, value: Json, field: FieldDescriptor, here: str) -> Json:
        kind = field.message_type
        if kind is not None and kind.GetOptions().map_entry and isinstance(value, dict):
            key, inner = kind.fields_by_name["key"], kind.fields_by_name["value"]
            for text in value:
                _check_scalar(text, key, here)
            return {text: self._value(given, inner, here) for text, given in value.items()}
        if is_repeated(field) and isinstance(value, list):
            return [self._value(item, field, here) for item in value]
        return self._value(value, field, here)

    def _value(self, value: Json, field: FieldDescriptor, here: str) -> Json:
        if field.message_type is not None:
            return self.checked(value, field.message_type, here)
        _check_scalar(value, field, here)
        return value


def _check_scalar(value: Json, field: FieldDescriptor, here: str) -> None:
    if not isinstance(value, str) or field.cpp_type in _AS_THEY_ARE:
        return
    if field.cpp_type != field.CPPTYPE_STRING:
        if NUMBER.fullmatch(value) is None:
            raise bad_field(shown(here), f"{shown(value)!r} is no number")
    elif field.type == field.TYPE_BYTES and _BASE64.fullmatch(value) is None:
        raise bad_field(shown(here), "it is no base64")


def shown(text: str) -> str:
    """What a caller wrote, as it may stand in an answer."""
    return text if text.isascii() and text.isprintable() and len(text) <= 100 else ascii(text[:100])
