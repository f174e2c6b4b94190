# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Message types as JSON schemas: the proto3 JSON mapping, in the words of OpenAPI 3.1.

Source: the proto3 JSON mapping; OpenAPI 3.1 (JSON Schema 2020-12).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from google.protobuf.descriptor import FieldDescriptor

from .._any import DEFAULT_PREFIX
from .._descriptors import is_repeated
from .._document import JsonObject

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor

__all__ = ["DURATION", "PAYLOAD", "SPECIAL", "Schemas", "reference"]

DURATION: Final[JsonObject] = {"type": "string", "pattern": r"^-?[0-9]{1,11}(\.[0-9]{1,9})?s$", "examples": ["1.5s"]}
PAYLOAD: Final = "google.protobuf.Any"

_INT32: Final[JsonObject] = {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1}
_UINT32: Final[JsonObject] = {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}
_INT64: Final[JsonObject] = {"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,19}$"}
_UINT64: Final[JsonObject] = {"type": "string", "format": "uint64", "pattern": "^[0-9]{1,20}$"}
_FLOAT: Final[JsonObject] = {"anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]}
_STRING: Final[JsonObject] = {"type": "string"}
_BYTES: Final[JsonObject] = {"type": "string", "contentEncoding": "base64"}
_BOOLEAN: Final[JsonObject] = {"type": "boolean"}

SPECIAL: Final[dict[str, JsonObject]] = {
    "google.protobuf.BoolValue": _BOOLEAN,
    "google.protobuf.BytesValue": _BYTES,
    "google.protobuf.DoubleValue": _FLOAT,
    "google.protobuf.Duration": DURATION,
    "google.protobuf.FieldMask": {"type": "string", "examples": ["name,displayName"]},
    "google.protobuf.FloatValue": _FLOAT,
    "google.protobuf.Int32Value": _INT32,
    "google.protobuf.Int64Value": _INT64,
    "google.protobuf.ListValue": {"type": "array"},
    "google.protobuf.StringValue": _STRING,
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.UInt32Value": _UINT32,
    "google.protobuf.UInt64Value": _UINT64,
    "google.protobuf.Value": {},
}
"""Messages whose JSON is not an object of their fields, but for ``Any``."""

_PLAIN: Final[dict[int, JsonObject]] = {
    FieldDescriptor.CPPTYPE_BOOL: _BOOLEAN,
    FieldDescriptor.CPPTYPE_DOUBLE: _FLOAT,
    FieldDescriptor.CPPTYPE_FLOAT: _FLOAT,
    FieldDescriptor.CPPTYPE_INT32: _INT32,
    FieldDescriptor.CPPTYPE_INT64: _INT64,
    FieldDescriptor.CPPTYPE_STRING: _STRING,
    FieldDescriptor.CPPTYPE_UINT32: _UINT32,
    FieldDescriptor.CPPTYPE_UINT64: _UINT64,
}


def reference(name: str) -> JsonObject:
    """A reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


@final
class Schemas:
    """The schemas of a document, each added when it is first referred to.

    Attributes:
        found: The schemas by name: full names of messages.
    """

    def __init__(self) -> None:
        self.found: JsonObject = {}

    def of_message(self, descriptor: Descriptor) -> JsonObject:
        """The schema of a message, or a reference to it."""
        special = SPECIAL.get(descriptor.full_name)
        if special is not None:
            return special
        waiting = [descriptor]
        while waiting:  # a work list: messages may hold each other
            current = waiting.pop()
            if current.full_name in self.found or current.full_name in SPECIAL:
                continue
            self.found[current.full_name] = self._of_fields(current)
            waiting.extend(inner for inner in map(_message_of, current.fields) if inner is not None)
        return reference(descriptor.full_name)

    def of_payload(self, descriptor: Descriptor) -> JsonObject:
        """The schema of a message as the payload of an ``Any``."""
        kind: JsonObject = {
            "type": "object",
            "required": ["@type"],
            "properties": {"@type": {"const": DEFAULT_PREFIX + descriptor.full_name}},
        }
        if descriptor.full_name == PAYLOAD:
            return reference(PAYLOAD)
        if descriptor.full_name in SPECIAL:
            kind["properties"]["value"] = SPECIAL[descriptor.full_name]
            return kind
        return {"allOf": [self.of_message(descriptor), kind]}

    def of_field(self, field: FieldDescriptor) -> JsonObject:
        """The schema of one value of a field."""
        if field.message_type is not None:
            return self.of_message(field.message_type)
        if field.enum_type is not None:
            if field.enum_type.full_name == "google.protobuf.NullValue":
                return {"type": "null"}
            names = [value.name for value in field.enum_type.values]
            return {"anyOf": [{"type": "string", "enum": names}, _INT32]}
        if field.type == field.TYPE_BYTES:
            return _BYTES
        return _PLAIN[field.cpp_type]

    def _of_fields(self, descriptor: Descriptor) -> JsonObject:
        if descriptor.full_name == PAYLOAD:
            return {
                "type": "object",
                "description": "A message of the type that @type names; of a type unknown here its bytes, as @bytes.",
                "properties": {"@type": _STRING, "@bytes": _BYTES},
            }
        return {"type": "object", "properties": {field.json_name: self._of(field) for field in descriptor.fields}}

    def _of(self, field: FieldDescriptor) -> JsonObject:
        schema: JsonObject
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            schema = {
                "type": "object",
                "additionalProperties": self._inline(field.message_type.fields_by_name["value"]),
            }
        elif is_repeated(field):
            schema = {"type": "array", "items": self._inline(field)}
        else:
            schema = self._inline(field)
        return {**schema, "deprecated": True} if field.GetOptions().deprecated else schema

    def _inline(self, field: FieldDescriptor) -> JsonObject:
        """As `of_field`, without looking into messages: whoever refers to them adds them."""
        if field.message_type is not None and field.message_type.full_name not in SPECIAL:
            return reference(field.message_type.full_name)
        return self.of_field(field)


def _message_of(field: FieldDescriptor) -> Descriptor | None:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        return kind.fields_by_name["value"].message_type
    return kind
