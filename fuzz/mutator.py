# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Changes inputs by what they mean: fields, type URLs, nesting, JSON values; and now and then plain bytes.

A mutator that only flips bits spends its life in inputs that are no operation at all. What it makes is decided by a
seed alone, so that a run can be repeated.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from google.longrunning import operations_proto_pb2
from google.protobuf import any_pb2, json_format, struct_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.rpc import status_pb2

from fuzz import descriptors
from fuzz.oracle import as_array, as_object
from fuzz.properties import KINDS
from fuzz.typings import GALLERY, GOOGLE, TYPINGS

OPERATION = operations_proto_pb2.Operation
ANY = any_pb2.Any
Havoc = Callable[[bytes, int], bytes]  # the fuzzer's own mutation of bytes, at most so many of them

NAMES = ("", "operations/1", "projects/p/locations/l/operations/1", "/uuid", "batches/7", "ä/☃", "a\0b", " ", "." * 300)
CODES = (0, 1, 2, 3, 5, 13, 14, 16, 17, 99, -1, 2**31 - 1, -(2**31))
HOSTS = (
    GOOGLE, "types.example.com/", "type.googleprod.com/", "evil.example.com/", "https://type.googleapis.com/", "/", "",
    "type.googleapis.com", "type.googleapis.com//", "a/type.googleapis.com/", "TYPE.googleapis.com/", "types.example.com/standard/",
)  # fmt: skip
TYPE_NAMES = (
    "standard/id", "id", "", ".", "..", "google.protobuf.", ".google.protobuf.Empty", "google..Empty", "google.protobuf.Empty\n",
    "google.protobuf.Empty\0", "google.protobuf.empty", "google.rpc.NoSuchType", "google.protobuf.Struct.FieldsEntry", "ä.B",
    "foo.Bar", "1a", "google.longrunning.Operations", "google.protobuf.NullValue", "../etc/passwd", "a" * 200,
)  # fmt: skip
INTEGERS = (
    0,
    1,
    -1,
    2,
    7,
    127,
    128,
    2**31 - 1,
    -(2**31),
    2**32 - 1,
    2**62,
    2**63 - 1,
    -(2**63),
    2**64 - 1,
    315576000000,
    253402300800,
)
INTEGER_RANGES = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
FLOATS = (0.0, -0.0, 1.5, 1e-320, 3.4e38, 1e308, float("inf"), float("-inf"), float("nan"), 0.1)
TEXTS = (
    "",
    "a",
    "1.5s",
    "foo,bar_baz",
    "fooBar",
    "a_1",
    "@type",
    "\x01any0:0",
    "\x01any",
    "☃",
    "𝄞",
    "\x00",
    "ключ",
    "value",
)
DEPTHS = (*[1] * 12, 2, 2, 3, 3, 10, 30, 49, 50, 95, 99, 100, 101, 130, 600)
JSON_VALUES = (
    "null", "true", "false", "0", "-1", "1.0", "1e400", "1e308", "NaN", "-Infinity", "9" * 311, "12345678901234567890", '""', '"1"', '"a"',
    '"\\ud800"', '"\\udc00\\ud800"', '"\\ud834\\udd1e"', '"\\u0000"', "[]", "{}", "[null]", '{"@type":""}', '{"@type":1}', '{"@type":"a"}',
    '{"@type":"not_a_url","value":""}', '{"@type":"type.googleapis.com/google.protobuf.Empty"}',
    '{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1.5s"}',
    '{"@type":"type.googleapis.com/google.protobuf.Any","value":{"@type":"type.googleapis.com/google.protobuf.Value","value":1}}',
    '{"@type":"type.googleapis.com/example.library.v1.Shelf","@bytes":"CgE="}', '{"@type":"foo/bar.Baz","@bytes":"!"}',
    '{"@type":"foo/bar.Baz","a":[1,{"b":2}]}', '{"@bytes":""}',
)  # fmt: skip
JSON_KEYS = (
    "name", "done", "metadata", "response", "error", "code", "message", "details", "@type", "value", "@bytes", "fields", "shelf", "theme",
    "bookCount", "book_count", "createTime", "seconds", "", "☃", "typeUrl", "operations", "unreachable", "redisConfigs", "state", "tier",
)  # fmt: skip


class Mutator:
    """One mutation of one input."""

    def __init__(self, seed: int, havoc: Havoc) -> None:
        """Starts from the seed of the mutation."""
        self.random = random.Random(seed)
        self.havoc = havoc

    def mutate(self, data: bytes, limit: int) -> bytes:
        """Returns another input, at most `limit` bytes long."""
        if len(data) < 2 or data[0] not in KINDS:
            data = b"B0" + data
        kind, typing, body = data[0], data[1], data[2:]
        if kind == descriptors.KIND:
            typing = self.random.randrange(len(descriptors.OPTIONS)) if self.chance(0.1) else typing
            mutated = bytes((kind, typing)) + descriptors.mutate(body, self.random, self.havoc, limit - 2)
            return mutated if len(mutated) <= limit else data[:limit]
        if self.chance(0.1):
            typing = ord("0") + self.random.randrange(len(TYPINGS))
        if self.chance(0.03):
            kind, body = self.convert(kind, body)
        if len(body) > 4000 and self.chance(0.5):
            body = b""  # large inputs cost time, and small ones find as much
        for _ in range(self.random.choice((1, 1, 1, 2, 4))):
            if self.chance(0.1):
                body = self.havoc(body, limit - 2)
            else:
                change = {ord("B"): self.operation_bytes, ord("J"): self.document, ord("A"): self.payload_bytes}[kind]
                body = change(body)
        mutated = bytes((kind, typing)) + body
        return mutated if len(mutated) <= limit else data[:limit]

    def cross(self, data: bytes, other: bytes, limit: int) -> bytes:
        """Returns an input with parts of both."""
        if data[:1] == other[:1] == b"B":
            try:
                mine, theirs = OPERATION.FromString(data[2:]), OPERATION.FromString(other[2:])
            except Exception:  # noqa: BLE001 (each protobuf runtime has its own)
                return self.mutate(data, limit)
            for field in ("metadata", "response", "error"):
                if theirs.HasField(field) and self.chance(0.5):
                    getattr(mine, field).CopyFrom(getattr(theirs, field))
            crossed = data[:2] + mine.SerializeToString()
            return crossed if len(crossed) <= limit else data[:limit]
        return self.mutate(other if self.chance(0.5) else data, limit)

    def chance(self, probability: float) -> bool:
        """Whether this time it is so."""
        return self.random.random() < probability

    def convert(self, kind: int, body: bytes) -> tuple[int, bytes]:
        """The same operation in another form, as far as protobuf can do it."""
        try:
            if kind == ord("B"):
                return ord("J"), json_format.MessageToJson(OPERATION.FromString(body), indent=None).encode()
            if kind == ord("J"):
                return ord("B"), json_format.Parse(body, OPERATION()).SerializeToString(deterministic=True)
            return ord("B"), OPERATION(done=True, response=ANY.FromString(body)).SerializeToString()
        except Exception:  # noqa: BLE001 (ValueError, TypeError, RecursionError, DecodeError ...)
            return kind, body

    # -- messages ---------------------------------------------------------------------------------------------------

    def operation_bytes(self, body: bytes) -> bytes:
        """Changes an operation."""
        try:
            operation = OPERATION.FromString(body)
        except Exception:  # noqa: BLE001 (each protobuf runtime has its own)
            operation = OPERATION()
        self.operation(operation)
        data = operation.SerializeToString(deterministic=True)
        return data + self.unknown_field() if self.chance(0.02) else data

    def operation(self, operation: operations_proto_pb2.Operation) -> None:
        """Changes one thing of an operation."""
        match self.random.randrange(9):
            case 0:
                operation.name = self.random.choice(NAMES)
            case 1:
                operation.done = not operation.done
            case 2 | 3:
                self.payload(operation.metadata)
            case 4 | 5 | 6:
                operation.done = operation.done or self.chance(0.5)
                self.payload(operation.response)
            case 7:
                operation.done = operation.done or self.chance(0.5)
                self.status(operation.error)
            case _:
                operation.ClearField(self.random.choice(("name", "done", "metadata", "response", "error")))

    def status(self, status: status_pb2.Status) -> None:
        """Changes one thing of a status."""
        match self.random.randrange(5):
            case 0:
                status.code = self.random.choice(CODES)
            case 1:
                status.message = self.random.choice(TEXTS)
            case 2 if status.details:
                del status.details[self.random.randrange(len(status.details))]
            case 3 if status.details:
                self.payload(self.random.choice(status.details))
            case _:
                self.payload(status.details.add())

    def payload_bytes(self, body: bytes) -> bytes:
        """Changes an Any."""
        try:
            payload = ANY.FromString(body)
        except Exception:  # noqa: BLE001 (each protobuf runtime has its own)
            payload = ANY()
        self.payload(payload)
        return payload.SerializeToString()

    def payload(self, payload: any_pb2.Any) -> None:
        """Changes one thing of an Any."""
        match self.random.randrange(12):
            case 0 | 1 | 2:
                self.pack(payload, self.message(self.random.choice(GALLERY)))
            case 3:
                payload.type_url = self.random.choice(HOSTS) + payload.type_url.rpartition("/")[2]
            case 4:
                payload.type_url = self.random.choice(HOSTS) + self.random.choice(TYPE_NAMES)
            case 5:
                payload.type_url = GOOGLE + self.random.choice(GALLERY).DESCRIPTOR.full_name
            case 6:
                payload.value = self.havoc(payload.value, len(payload.value) + 16)
            case 7:
                payload.value = b"" if self.chance(0.3) else payload.value + self.unknown_field()
            case 8:
                self.nest(payload)
            case _:
                self.change_within(payload)

    def pack(self, payload: any_pb2.Any, message: Message) -> None:
        """Packs a message."""
        payload.type_url = GOOGLE + message.DESCRIPTOR.full_name
        payload.value = message.SerializePartialToString(deterministic=True)

    def nest(self, payload: any_pb2.Any) -> None:
        """Packs it into something that can hold it, once or many times."""
        depth = self.random.choice(DEPTHS)
        around = self.random.randrange(4)
        for _ in range(depth):
            if around == 0:
                outer: Message = status_pb2.Status(code=3, details=[payload])
            elif around == 1:
                outer = operations_proto_pb2.ListOperationsResponse(operations=[OPERATION(done=True, response=payload)])
            else:
                outer = payload
            self.pack(payload, outer)
            if len(payload.value) > 30_000:
                return

    def change_within(self, payload: any_pb2.Any) -> None:
        """Changes a field of the message inside."""
        cls = TYPINGS[1].find(payload.type_url)
        if cls is None:
            return
        try:
            message = cls.FromString(payload.value)
        except Exception:  # noqa: BLE001 (each protobuf runtime has its own)
            return
        if isinstance(message, ANY):
            self.payload(message)
        else:
            self.set_field(message, 2)
        payload.value = message.SerializePartialToString(deterministic=self.chance(0.9))

    def message(self, cls: type[Message], depth: int = 2) -> Message:
        """Makes a message with some of its fields set."""
        message = cls()
        if isinstance(message, struct_pb2.Struct | struct_pb2.ListValue) and self.chance(0.2):
            self.deep(message)
        for _ in range(self.random.choice((0, 1, 2, 5))):
            self.set_field(message, depth)
        return message

    def deep(self, message: struct_pb2.Struct | struct_pb2.ListValue) -> None:
        """Nests lists in a Struct; protobuf itself reads about a hundred levels."""
        values: Any = message.fields["a"].list_value if isinstance(message, struct_pb2.Struct) else message
        for _ in range(self.random.choice((5, 20, 30, 33, 45, 48, 49, 60))):
            values = values.values.add().list_value
        values.values.add().string_value = "deep"

    def set_field(self, message: Message, depth: int) -> None:
        """Sets, adds to, or clears a random field."""
        fields = message.DESCRIPTOR.fields
        if not fields:
            return
        field: Any = self.random.choice(list(fields))
        value: Any = getattr(message, field.name)
        if self.chance(0.1):
            message.ClearField(field.name)
        elif field.message_type is not None and field.message_type.GetOptions().map_entry:
            key = self.scalar(field.message_type.fields_by_name["key"])
            of = field.message_type.fields_by_name["value"]
            if of.message_type is not None:
                self.fill(value[key], depth - 1)
            else:
                value[key] = self.scalar(of)
        elif isinstance(value, Message):
            value.SetInParent()
            self.fill(value, depth - 1)
        elif field.message_type is not None:
            self.fill(value.add(), depth - 1)
        elif hasattr(value, "append"):
            value.append(self.scalar(field))
        else:
            setattr(message, field.name, self.scalar(field))

    def fill(self, message: Message, depth: int) -> None:
        """Sets some fields of a message that is inside another."""
        if depth < 0:
            return
        if isinstance(message, ANY):
            self.payload(message)
            return
        for _ in range(self.random.choice((0, 1, 2))):
            self.set_field(message, depth)

    def scalar(self, field: Any) -> Any:
        """A value for a field."""
        if field.cpp_type in INTEGER_RANGES:
            return self.integer(*INTEGER_RANGES[field.cpp_type])
        match field.cpp_type:
            case FieldDescriptor.CPPTYPE_BOOL:
                return self.chance(0.5)
            case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
                return self.random.randbytes(self.random.choice((0, 1, 7)))
            case FieldDescriptor.CPPTYPE_STRING:
                return self.random.choice(TEXTS)
            case FieldDescriptor.CPPTYPE_ENUM:
                numbers = [value.number for value in field.enum_type.values]
                return self.random.choice(numbers if field.enum_type.is_closed else [*numbers, 99, -1])
            case _:
                return self.random.choice(FLOATS)

    def integer(self, lowest: int, highest: int) -> int:
        """An interesting integer of a range."""
        return self.random.choice([number for number in INTEGERS if lowest <= number <= highest])

    def unknown_field(self) -> bytes:
        """A field no message here has, or one that is written oddly."""
        return self.random.choice(
            (b"\xf8\x7f\x01", b"\xfa\x7f\x03abc", b"\x80\x80\x00", b"\xfb\x7f\xfc\x7f", b"\x0a\x00", b"\xff")
        )

    # -- documents --------------------------------------------------------------------------------------------------

    def document(self, body: bytes) -> bytes:
        """Changes a document: as a tree where that is possible, otherwise as text."""
        try:
            tree = as_object(json.loads(body))
        except (ValueError, RecursionError):
            tree = None
        if tree is None or self.chance(0.05):
            return self.text(body)
        try:
            if self.chance(0.3):
                self.put_payload(tree)
            else:
                self.change_tree(tree)
            text = json.dumps(tree, ensure_ascii=self.chance(0.3), indent=self.random.choice((None, None, 1)))
        except RecursionError:
            return body
        # What a tree cannot say: values that are no JSON, keys that appear twice
        while "\ue000" in text:
            text = text.replace('"\ue000"', self.random.choice(JSON_VALUES), 1).replace("\ue000", "", 1)
        return text.replace("\\ue000", "").encode("utf-8", "surrogatepass")

    def put_payload(self, tree: dict[str, Any]) -> None:
        """Puts a payload into a document, in the JSON that protobuf gives it."""
        payload = ANY()
        self.payload(payload)
        try:
            rendered = json_format.MessageToDict(payload)
        except Exception:  # noqa: BLE001 (ValueError, TypeError, RecursionError, OverflowError ...)
            return
        if self.chance(0.2):
            tree.pop("response", None)
            error = as_object(tree.get("error")) or {"code": 3}
            tree["error"] = {**error, "details": [rendered]}
        else:
            tree[self.random.choice(("metadata", "response"))] = rendered

    def change_tree(self, tree: dict[str, Any]) -> None:
        """Changes one thing somewhere in a document."""
        place, array = tree, None
        while self.chance(0.6):
            inner = [item for item in array or place.values() if as_object(item) or as_array(item)]
            if not inner:
                break
            chosen = self.random.choice(inner)
            place, array = as_object(chosen) or place, as_array(chosen)
        if array:
            array[self.random.randrange(len(array))] = self.json_value()
            return
        key = self.random.choice(list(place) or ["name"])
        match self.random.randrange(5):
            case 0:
                place.pop(key, None)
            case 1:
                place[key] = self.json_value()
            case 2:
                for _ in range(self.random.choice((1, 2, 50, 96, 97, 98, 99, 100, 101))):
                    value = place.get(key)
                    place[key] = [value] if self.chance(0.5) else {"a": value}
            case 3:
                names = (*TYPE_NAMES, *(cls.DESCRIPTOR.full_name for cls in GALLERY))
                place["@type"] = self.random.choice(HOSTS) + self.random.choice(names)
            case _:
                place[self.random.choice(JSON_KEYS)] = self.json_value()

    def json_value(self) -> Any:
        """A value: an interesting one, or a mark where `document` puts what is hardly JSON."""
        if self.chance(0.5):
            return "\ue000"
        values: tuple[Any, ...] = (None, True, 0, 1, -1, 3.5, 2**31, 2**70, *TEXTS)
        return self.random.choice(values)

    def text(self, body: bytes) -> bytes:
        """Changes the text of a document."""
        match self.random.randrange(4):
            case 0:
                return b"{" + self.random.choice(JSON_VALUES).encode() + b":1}"
            case 1 if body.startswith(b"{") and len(body) > 2:
                key = json.dumps(self.random.choice(JSON_KEYS)).encode()
                return b"{" + key + b":" + self.random.choice(JSON_VALUES).encode() + b"," + body[1:]
            case 2:
                return self.random.choice(JSON_VALUES).encode()
            case _:
                return self.havoc(body, len(body) + 16)
