# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What an input must come to, said in a few lines without the code under test."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, cast

from google.longrunning import operations_proto_pb2
from google.protobuf import any_pb2, empty_pb2, json_format
from google.protobuf.message import Message

from fuzz.typings import Typing
from longrunning._any import UnknownPayload
from longrunning.errors import (
    InvalidTypeUrlError,
    LongRunningError,
    NoResultError,
    OperationCancelledError,
    OperationError,
    OperationNotDoneError,
    PayloadDecodeError,
    TypeMismatchError,
)
from longrunning.operation import OperationState

MAX_DEPTH = 100  # levels of a document
ANY = any_pb2.Any.DESCRIPTOR.full_name
SURROGATE = re.compile("[\ud800-\udfff]")
EMPTY = empty_pb2.Empty.DESCRIPTOR.full_name

Outcome = tuple[Any, ...]
NOTHING: Outcome = ("none",)


def describe(value: Any) -> Outcome:
    """What was read, in a form that can be compared (a message that holds NaN does not even equal itself)."""
    if value is None:
        return NOTHING
    if isinstance(value, UnknownPayload):
        return "unknown", value.type_url, value.value, value.document
    pb = underlying(value)
    return "message", pb.DESCRIPTOR.full_name, pb.SerializePartialToString(deterministic=True)


def underlying(message: Any) -> Message:
    """The protobuf message; that underneath a proto-plus one."""
    cls = cast("Any", type(message))
    pb: Message = cls.pb(message) if hasattr(cls, "pb") else message
    return pb


def raised(error: type[LongRunningError]) -> Outcome:
    """What is said where an error is due; its text is not compared."""
    return "error", error


# -- payloads ---------------------------------------------------------------------------------------------------


def decoded(cls: type[Message], value: bytes) -> Outcome | None:
    """What protobuf itself makes of value bytes; ``None`` if nothing."""
    try:
        return describe(cls.FromString(value))
    except Exception:  # noqa: BLE001 (each protobuf runtime has its own)
        return None


def untyped(payload: any_pb2.Any, typing: Typing) -> Outcome:
    """What a payload reads as where any type will do."""
    cls = typing.find(payload.type_url)
    found = None if cls is None else decoded(cls, payload.value)
    return found or ("unknown", payload.type_url, payload.value, None)


def typed(payload: any_pb2.Any, accepted: dict[str, type[Message]] | None, typing: Typing) -> Outcome:
    """What typed access comes to."""
    if not payload.type_url:
        return NOTHING
    if accepted is None:
        return untyped(payload, typing)
    name = typing.name(payload.type_url)
    if name is None:
        return raised(InvalidTypeUrlError)
    if name not in accepted:
        return raised(TypeMismatchError)
    return decoded(accepted[name], payload.value) or raised(PayloadDecodeError)


def result(proto: operations_proto_pb2.Operation, typing: Typing) -> Outcome:
    """What ``result()`` comes to."""
    if not proto.done:
        return raised(OperationNotDoneError)
    if proto.HasField("error"):
        return raised(OperationCancelledError if proto.error.code == 1 else OperationError)
    found = typed(proto.response, typing.response, typing)
    if found != NOTHING:
        return found
    return ("message", EMPTY, b"") if EMPTY in (typing.response or ()) else raised(NoResultError)


def state(proto: operations_proto_pb2.Operation) -> OperationState:
    """What ``state`` is."""
    if not proto.done:
        return OperationState.RUNNING
    if not proto.HasField("error"):
        return OperationState.SUCCEEDED
    return OperationState.CANCELLED if proto.error.code == 1 else OperationState.FAILED


# -- what JSON can hold -----------------------------------------------------------------------------------------


def anys(message: Message) -> Iterator[any_pb2.Any]:
    """Every Any in a message, not looking into them."""
    stack: list[Any] = [message]
    while stack:
        current = stack.pop()
        if current.DESCRIPTOR.full_name == ANY:
            yield current
            continue
        for field, value in current.ListFields():
            if field.message_type is None:
                continue
            if field.message_type.GetOptions().map_entry:
                stack.extend(item for item in value.values() if isinstance(item, Message))
            else:
                stack.extend([value] if isinstance(value, Message) else value)


def faithful(proto: operations_proto_pb2.Operation, typing: Typing) -> bool:
    """Whether nothing of an operation need get lost in JSON, asking only protobuf.

    Unknown fields are lost. Opaque payloads are kept whole. What is rendered must be as protobuf writes it (a field set
    to its default, or a long varint, is gone after any decoding), and survive protobuf's own json_format.
    """
    known = operations_proto_pb2.Operation()
    known.CopyFrom(proto)
    known.DiscardUnknownFields()
    if known != proto:
        return False
    pending = [(payload, 0) for payload in (known.metadata, known.response, *known.error.details)]
    while pending:
        current, depth = pending.pop()
        cls = typing.find(current.type_url)
        if cls is None:
            continue
        try:
            message = cls.FromString(current.value)
        except Exception:  # noqa: BLE001 (it is opaque)
            continue
        message.DiscardUnknownFields()
        if depth > MAX_DEPTH // 2 or message.SerializePartialToString(deterministic=True) != current.value:
            return False
        for inner in list(anys(message)):
            kept = any_pb2.Any()
            kept.CopyFrom(inner)
            pending.append((kept, depth + 1))
            inner.Clear()
        try:
            again = json_format.ParseDict(json_format.MessageToDict(message), cls(), ignore_unknown_fields=True)
        except Exception:  # noqa: BLE001 (ValueError, TypeError, OverflowError ...)
            return False
        if describe(again) != describe(message):
            return False
    return True


def refusal(text: str) -> str | None:
    """Why a text is no operation in JSON, after a reading of its own; ``None`` if it is one."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in items}) != len(items):
            raise ValueError("a key twice")
        return dict(items)

    def constant(token: str) -> Any:
        raise ValueError(token)

    try:
        value = as_object(json.loads(text, object_pairs_hook=pairs, parse_constant=constant))
    except (ValueError, RecursionError) as error:
        return str(error)
    if value is None:
        return "no object"
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        if not all(map(well_formed, level)):
            return "a value no field can hold"
        level = [inner for item in level for inner in members(item)]
    if any(isinstance(item, (dict, list)) for item in level):
        return "too deep"
    if not all(map(well_formed, level)):
        return "a value no field can hold"
    return misfit(value)


def members(item: object) -> list[Any]:
    """What stands one level below, keys included; nothing, but for objects and arrays."""
    if (value := as_object(item)) is not None:
        return [*value.keys(), *value.values()]
    return as_array(item) or []


def well_formed(item: Any) -> bool:
    """Whether a string is whole characters, and a number one that fields can hold."""
    if isinstance(item, str):
        return SURROGATE.search(item) is None
    if isinstance(item, float):
        return item - item == 0  # neither infinite nor NaN
    return not isinstance(item, int) or abs(item) < 10**310


def misfit(value: dict[str, Any]) -> str | None:
    """Which field of an object has no place in an operation."""
    error = value.get("error")
    if not (fits(value.get("name"), str) and fits(value.get("done"), bool) and fits(error, dict)):
        return "name, done or error"
    if not all(value.get(key) is None or is_payload(value[key]) for key in ("metadata", "response")):
        return "a payload"
    if error is None:
        return None
    if value.get("response") is not None:
        return "two results"
    details = error.get("details")
    if not (fits(error.get("message"), str) and fits(details, list) and is_code(error.get("code"))):
        return "a field of the error"
    return None if all(map(is_payload, details or ())) else "a detail"


def as_object(item: object) -> dict[str, Any] | None:
    """A JSON object; ``None`` for anything else."""
    return cast("dict[str, Any]", item) if isinstance(item, dict) else None


def as_array(item: object) -> list[Any] | None:
    """A JSON array; ``None`` for anything else."""
    found: Any = item
    return found if isinstance(item, list) else None


def fits(item: object, kind: type[Any]) -> bool:
    """Whether it is absent or of that kind."""
    return item is None or isinstance(item, kind)


def is_payload(item: object) -> bool:
    """Whether it is an Any in JSON: empty, or with a type."""
    value = as_object(item)
    if not value:
        return value is not None
    return isinstance(value.get("@type"), str) and (value["@type"] != "" or value.keys() == {"@type", "@bytes"})


def is_code(item: Any) -> bool:
    """Whether it is an int32 in JSON: a number, or one in a string."""
    if item is None:
        return True
    if isinstance(item, bool):
        return False
    try:
        number = int(item)
    except (TypeError, ValueError):
        return False
    return -(2**31) <= number < 2**31 and not (isinstance(item, float) and item % 1)
