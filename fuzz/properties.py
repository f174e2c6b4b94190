# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What must hold for every input, and the check of one input. Needs no fuzzer.

1. Nothing is raised but a `LongRunningError`; reading without a type, printing and writing JSON raise nothing at all.
2. What comes out is what the oracle says, which does without the code under test.
3. Everything says the same at every call, and nothing that is handed out changes the snapshot.
4. Bytes, pickle, and JSON of payloads that JSON can hold, read back to an equal snapshot.

An input is two characters and a body. The first says how the body is read: ``B`` as bytes of an Operation, ``J`` as
its JSON, ``A`` as bytes of an Any; the second which of `TYPINGS` it is read with. ``D`` is a descriptor set for the
generator, of which fuzz/descriptors.py says what must hold.
"""

from __future__ import annotations

import copy
import functools
import json
import pickle
from collections.abc import Callable, Iterator
from typing import Any

from google.longrunning import operations_proto_pb2
from google.protobuf import any_pb2, empty_pb2
from google.protobuf.message import Message

from fuzz import descriptors, oracle
from fuzz.oracle import Outcome, describe, raised
from fuzz.typings import TYPINGS, Typing
from longrunning._any import UnknownPayload
from longrunning.errors import (
    DocumentError,
    InvalidTypeUrlError,
    LongRunningError,
    PayloadDecodeError,
    UnknownTypeError,
)
from longrunning.operation import Operation
from longrunning.status import Status

KINDS = b"BJAD"
OPERATION = operations_proto_pb2.Operation


class ViolationError(AssertionError):
    """A property does not hold."""


def demand(holds: object, what: str, *found: object) -> None:
    """Checks one property."""
    if not holds:
        raise ViolationError(f"{what}: {' / '.join(repr(item)[:1000] for item in found)}")


def differences(seen: list[Outcome], other: list[Outcome]) -> Iterator[tuple[Outcome, Outcome]]:
    """What differs in two observations."""
    return ((mine, theirs) for mine, theirs in zip(seen, other, strict=True) if mine != theirs)


def agree(what: str, got: Outcome, expected: Outcome) -> None:
    """Compares an outcome with what the oracle says, as far as that says anything."""
    demand(got[: len(expected)] == expected, what, got, expected)


def outcome(read: Callable[[], Any]) -> Outcome:
    """What a read came to: a value, or one of our errors. Any other error passes through."""
    try:
        return describe(read())
    except LongRunningError as error:
        return "error", type(error), str(error)


def check_error(read: Callable[[], Any]) -> None:
    """An error that is raised goes through pickle, its cause apart."""
    try:
        read()
    except LongRunningError as error:
        restored = pickle.loads(pickle.dumps(error))
        same = type(restored) is type(error) and str(restored) == str(error) and restored.name == error.name
        demand(same, "an error does not pickle", error, restored)


def check(data: bytes) -> None:
    """Checks all properties on one input; what is no input at all is passed over."""
    if len(data) < 2 or data[0] not in KINDS:
        return
    if data[0] == descriptors.KIND:
        descriptors.check(data[2:], data[1])
        return
    typing, body = TYPINGS[(data[1] - ord("0")) % len(TYPINGS)], data[2:]
    {ord("B"): check_bytes, ord("J"): check_json, ord("A"): check_any}[data[0]](body, typing)


def from_bytes(data: bytes, typing: Typing) -> Operation[Any, Any]:
    """Reads an operation."""
    read: Any = Operation.from_bytes  # a method or None, which no overload takes: that is for callers to decide
    operation: Operation[Any, Any] = read(data, typing.method, registry=typing.registry)
    return operation


def from_json(source: str | bytes | dict[str, Any], typing: Typing) -> Operation[Any, Any]:
    """Reads an operation."""
    read: Any = Operation.from_json
    operation: Operation[Any, Any] = read(source, typing.method, registry=typing.registry)
    return operation


def from_proto(proto: Message, typing: Typing) -> Operation[Any, Any]:
    """Reads an operation."""
    read: Any = Operation.from_proto
    operation: Operation[Any, Any] = read(proto, typing.method, registry=typing.registry)
    return operation


# -- operations -------------------------------------------------------------------------------------------------


def observe(operation: Operation[Any, Any]) -> list[Outcome]:
    """Everything there is to read, in a fixed order; only the first two of them may raise."""
    error = operation.error
    return [
        outcome(operation.result),
        outcome(lambda: operation.metadata),
        describe(operation.response_payload),
        describe(operation.metadata_payload),
        (operation.name, operation.done, operation.state, operation.has_result, repr(operation), hash(operation)),
        oracle.NOTHING if error is None else (error.code, error.message, *map(describe, error.details)),
        (repr(operation.malformed), str(error)),
    ]


def check_snapshot(operation: Operation[Any, Any]) -> list[Outcome]:
    """What holds for every snapshot, wherever it came from; returns what it says."""
    seen, again = observe(operation), observe(operation)
    demand(again == seen, "the second call says something else", *differences(again, seen))
    demand(copy.deepcopy(operation) == operation, "a copy differs", operation)
    restored = pickle.loads(pickle.dumps(operation))
    demand(restored == operation, "pickle loses something", operation)
    again = observe(restored)
    demand(again == seen, "pickle changes what is read", *differences(again, seen))
    if (error := operation.error) is not None:
        check_status(error)
    check_error(operation.result)
    return seen


def check_status(status: Status) -> None:
    """A status goes through its message and through pickle; unknown details byte for byte."""
    restored = pickle.loads(pickle.dumps(status))
    demand(
        str(restored) == str(status) and hash(restored) == hash(status), "a status does not pickle", status, restored
    )
    unknown = [detail for detail in status.details if isinstance(detail, UnknownPayload)]
    try:
        proto = status.to_proto()
    except UnknownTypeError as error:
        demand(any(detail.document is not None for detail in unknown), "there are bytes for all details", error)
        return
    packed = [(detail.type_url, detail.value) for detail in proto.details]
    demand(all((detail.type_url, detail.value) in packed for detail in unknown), "a detail changed", unknown, packed)


def check_against(seen: list[Outcome], proto: operations_proto_pb2.Operation, typing: Typing) -> None:
    """Compares what a snapshot says with the oracle's reading of the message."""
    result, metadata, response_payload, metadata_payload, properties, error, _ = seen
    agree("result()", result, oracle.result(proto, typing))
    agree("metadata", metadata, oracle.typed(proto.metadata, typing.metadata, typing))
    agree("response_payload", response_payload, oracle.typed(proto.response, None, typing))
    agree("metadata_payload", metadata_payload, oracle.typed(proto.metadata, None, typing))
    has_result = proto.HasField("error") or bool(proto.response.type_url)
    agree("properties", properties, (proto.name, proto.done, oracle.state(proto), has_result))
    if proto.HasField("error"):
        details = [oracle.untyped(detail, typing) for detail in proto.error.details]
        demand(error == (proto.error.code, proto.error.message, *details), "error", error, details)


def check_bytes(data: bytes, typing: Typing) -> None:
    """An operation from bytes."""
    try:
        proto = OPERATION.FromString(data)
    except Exception:  # noqa: BLE001 (each protobuf runtime has its own)
        agree("no operation", outcome(lambda: from_bytes(data, typing)), raised(PayloadDecodeError))
        return
    operation = from_bytes(data, typing)
    check_against(check_snapshot(operation), proto, typing)
    before = operation.to_bytes()
    demand(OPERATION.FromString(before) == proto, "to_bytes() loses something", before)
    for read in (operation.to_proto, operation.result, lambda: operation.metadata):
        try:
            handed_out: Any = read()
        except LongRunningError:
            continue
        if isinstance(handed_out, Message):
            handed_out.Clear()
    demand(operation.to_bytes() == before, "the snapshot was changed from outside", operation)
    for again in (from_bytes(before, typing), from_proto(proto, typing)):
        demand(again == operation and hash(again) == hash(operation), "the binary form reads differently", again)
    check_written(operation, proto, typing)


def check_written(operation: Operation[Any, Any], proto: operations_proto_pb2.Operation, typing: Typing) -> None:
    """The JSON of a snapshot from bytes can always be read, and is equal where JSON can hold the payloads."""
    text = operation.to_json()
    demand(operation.to_json() == text, "the second to_json() differs", text)
    demand(oracle.refusal(text) is None, "to_json() writes what a reader refuses", oracle.refusal(text), text)
    again = from_json(text, typing)
    demand(again.to_json() == text, "JSON read back is written differently", text, again.to_json())
    demand((again.name, again.state) == (operation.name, operation.state), "JSON read back differs", text)
    if oracle.faithful(proto, typing):
        demand(again == operation, "JSON read back is not equal", text, again.to_json(), operation)


# -- documents --------------------------------------------------------------------------------------------------


def check_json(data: bytes, typing: Typing) -> None:
    """An operation from JSON."""
    try:
        text = data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        agree("no text", outcome(lambda: from_json(data, typing).name), raised(DocumentError))
        return
    reason = oracle.refusal(text)
    try:
        operation = from_json(text, typing)
    except DocumentError as error:
        demand(reason is not None, "a document is refused for no reason", error, text)
        agree("the second refusal", outcome(lambda: from_json(text, typing).name), ("error", DocumentError, str(error)))
        return
    demand(reason is None, "a document is accepted all the same", reason, text)
    seen = check_snapshot(operation)
    written = operation.to_json()
    demand(json.loads(written) == json.loads(text), "written differently", written, text)
    for other in (from_json(data, typing), from_json(written, typing), parsed := from_json(json.loads(text), typing)):
        demand(other == operation, "another form of the document is not equal", other)
    again = observe(parsed)
    demand(again == seen, "another form of the document reads differently", *differences(again, seen))
    try:
        proto: Any = operation.to_proto()
    except (UnknownTypeError, PayloadDecodeError):
        return
    check_against(seen, proto, typing)
    reread = from_bytes(operation.to_bytes(), typing)
    demand(reread == operation and hash(reread) == hash(operation), "its bytes read differently", reread)


# -- payloads ---------------------------------------------------------------------------------------------------


def check_any(data: bytes, typing: Typing) -> None:
    """A payload on its own, read with the registry alone."""
    try:
        payload = any_pb2.Any.FromString(data)
    except Exception:  # noqa: BLE001 (each protobuf runtime has its own)
        return
    registry = typing.registry
    bare = Typing(registry, None, None, None, typing.known, typing.prefixes)
    for _ in range(2):
        agree("unpack(any)", describe(registry.unpack(payload)), oracle.untyped(payload, bare))
    found = registry.unpack(payload)
    packed = registry.pack(found)
    if isinstance(found, UnknownPayload):
        kept = (packed.type_url, packed.value) == (payload.type_url, payload.value)
        demand(kept, "an unknown payload changed", payload, packed)
    else:
        demand(describe(registry.unpack(packed)) == describe(found), "a packed message reads differently", found)
    expected_types: tuple[type[Message], ...] = (empty_pb2.Empty, OPERATION, *bare.known.values())
    for cls in expected_types:
        accepted = {cls.DESCRIPTOR.full_name: cls}
        want = oracle.typed(payload, accepted, bare) if payload.type_url else raised(InvalidTypeUrlError)
        for _ in range(2):
            agree(f"unpack(any, {cls.__name__})", outcome(functools.partial(registry.unpack, payload, cls)), want)
