# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What holds for every payload, document and registry that hypothesis comes up with."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest
from google.protobuf import any_pb2, descriptor_pool, empty_pb2, json_format, struct_pb2
from google.protobuf.message import Message
from google.rpc import status_pb2
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from longrunning._any import UnknownPayload, split_type_url, type_name
from longrunning.errors import (
    DescriptorError,
    DocumentError,
    InvalidTypeUrlError,
    LongRunningError,
    RegistryConflictError,
)
from longrunning.method import LroMethod
from longrunning.names import ROUTING_HEADER, with_routing
from longrunning.operation import Operation
from longrunning.registry import TypeRegistry
from longrunning.status import Status
from tests.unit.builders import (
    CREATE,
    DYNAMIC,
    GENERATED,
    REGISTRY,
    InstancePb,
    MetadataPb,
    ProtoOperation,
    U,
    add_message,
    any_of,
    file_set,
    library,
    message_class,
    method,
    proto_file,
    read,
    same,
    snapshot,
)
from tests.unit.strategies import (
    ANIMALS,
    CODES,
    DESCRIPTOR_SETS,
    DOCUMENTS,
    JSON_TEXTS,
    KNOWN,
    KNOWN_PAYLOADS,
    OBJECTS,
    PAYLOADS,
    STRANGE_PAYLOADS,
    TEXT,
    URLS,
    operations,
)

Types = LroMethod[Any, Any, Any] | None

STATIC = TypeRegistry(InstancePb, MetadataPb) | GENERATED
ALL = STATIC | DYNAMIC
TYPES: st.SearchStrategy[Types] = st.sampled_from(
    [
        None, CREATE, method(), method(any_pb2.Any, any_pb2.Any), method(struct_pb2.Struct, ANIMALS[0]), method(ANIMALS[1], status_pb2.Status),
    ]
)  # fmt: skip
REGISTRIES = st.sampled_from([REGISTRY, ALL])


def ours(call: Callable[[], Any]) -> Any:
    """What it returns, or the error of ours it raises; any other error fails the test."""
    try:
        return call()
    except LongRunningError as error:
        return error


def use(found: Operation[Any, Any]) -> None:
    """Everything one can do with a snapshot: typed access and conversion may raise what is ours, the rest nothing."""
    twin = found
    assert found == twin
    assert str(found) == repr(found)
    assert hash(found) == hash((found.name, found.done))
    assert found.state.name
    assert found.has_result in (True, False)
    _ = (found.malformed, found.response_payload, found.metadata_payload)
    assert found.error is None or str(found.error)
    json.loads(found.to_json(), parse_constant=pytest.fail)
    assert pickle.loads(pickle.dumps(found)).name == found.name
    for access in (found.result, lambda: found.metadata, found.to_proto, found.to_bytes):
        error = ours(access)
        if isinstance(error, LongRunningError):
            assert str(pickle.loads(pickle.dumps(error))) == str(error)
            assert error.operation == found


# -- payloads ---------------------------------------------------------------------------------------------------


@given(operations(STRANGE_PAYLOADS), TYPES)
def test_unknown_payloads_keep_their_bytes(message: Any, types: Types) -> None:
    """Payloads of unknown type round-trip byte for byte through bytes, JSON and pickle (TYPE-3, TYPE-6, JSON-2, SNAP-5)."""
    found = snapshot(message, types)
    data = found.to_bytes()
    assert data == message.SerializeToString() == found.to_proto().SerializeToString()
    assert Operation.from_bytes(data, registry=REGISTRY).to_bytes() == data
    again = read(found.to_json(), types)
    assert again.to_bytes() == data
    assert again == found
    assert read(again.to_json()).to_json() == found.to_json()
    for twin in (found, again):
        assert pickle.loads(pickle.dumps(twin)).to_bytes() == data


@given(operations(), TYPES, REGISTRIES)
def test_bytes_round_trip(message: Any, types: Types, registry: TypeRegistry) -> None:
    """Any operation round-trips byte for byte through bytes and pickle, and its JSON can be read (SNAP-5, TYPE-3, law 4)."""
    data = message.SerializeToString()
    found = snapshot(message, types, source="bytes", registry=registry)
    assert found.to_bytes() == data
    assert pickle.loads(pickle.dumps(found)).to_bytes() == data
    again = read(found.to_json(), types, registry)
    assert (again.name, again.done, again.state) == (found.name, found.done, found.state)
    assert json.loads(again.to_json()) == json.loads(found.to_json())
    use(found)
    use(again)


@given(operations(KNOWN_PAYLOADS))
def test_known_payloads_keep_their_value(message: Any) -> None:
    """Payloads of known type have the same value after JSON (JSON-1)."""
    found = snapshot(message, registry=ALL)
    again = read(found.to_json(), registry=ALL)
    assert json.loads(snapshot(again.to_proto(), registry=ALL).to_json()) == json.loads(found.to_json())
    for one, other in (
        (found.metadata_payload, again.metadata_payload),
        (found.response_payload, again.response_payload),
    ):
        assert same(one, other) if isinstance(one, Message) else one == other


@given(
    st.binary(max_size=40)
    | st.builds(bytes.__add__, operations().map(ProtoOperation.SerializeToString), st.binary(max_size=9)),
    TYPES,
)
@example(b"\x12\x02\x0a\x00", None)
@example(b"\x1a\x00\x18\x01\x22\x00", CREATE)
def test_any_bytes(data: bytes, types: Types) -> None:
    """Whatever the bytes: a snapshot, or an error of ours (law 6, TYPE-2)."""
    make: Any = Operation.from_bytes
    found = ours(lambda: make(data, types, registry=ALL))
    if not isinstance(found, LongRunningError):
        use(found)


@given(PAYLOADS, REGISTRIES, st.sampled_from(KNOWN))
def test_unpack(payload: any_pb2.Any, registry: TypeRegistry, expected: Any) -> None:
    """Unpacking gives the message, or the payload itself; with an expected type, that or an error of ours (TYPE-1, TYPE-3)."""
    found = registry.unpack(payload)
    if isinstance(found, UnknownPayload):
        assert same(registry.pack(found), payload)
    else:
        assert payload.type_url == U + found.DESCRIPTOR.full_name
    typed = ours(lambda: registry.unpack(payload, expected))
    assert isinstance(typed, (expected, LongRunningError)) or expected is any_pb2.Any


@given(CODES, TEXT, st.lists(PAYLOADS, max_size=3), REGISTRIES)
def test_status(code: int, message: str, details: list[any_pb2.Any], registry: TypeRegistry) -> None:
    """A status is read, printed, compared, pickled and written again, whatever its details (TYPE-3, ERR-2, SNAP-4)."""
    proto = status_pb2.Status(code=code, message=message, details=details)
    found = Status.from_proto(proto, registry=registry)
    assert found.to_proto().code == code
    assert [detail.type_url for detail in found.to_proto().details] == [detail.type_url for detail in details]
    again = Status.from_proto(found.to_proto(), registry=registry)
    assert again == found or "nan" in str(found)
    assert "\n" not in str(found).replace(message, "")
    assert same(pickle.loads(pickle.dumps(found)).to_proto(), found.to_proto())


# -- JSON -------------------------------------------------------------------------------------------------------


@given(operations(KNOWN_PAYLOADS))
def test_oracle_of_writing(message: Any) -> None:
    """What json_format can write, we write the same (JSON-1, JSON-3)."""
    try:
        expected = json_format.MessageToDict(message)
    except Exception:  # noqa: BLE001 (it raises all kinds of things, which is why we do not)
        assume(False)
        return
    assert json.loads(snapshot(message, registry=STATIC).to_json()) == expected


@given(operations(KNOWN_PAYLOADS))
def test_oracle_of_reading(message: Any) -> None:
    """What json_format wrote, we read as it does (JSON-1, JSON-3)."""
    try:
        document = json_format.MessageToJson(message)
        expected = json_format.Parse(document, ProtoOperation())
    except Exception:  # noqa: BLE001 (as above)
        assume(False)
        return
    assert same(read(document, registry=STATIC).to_proto(), expected)


@given(DOCUMENTS)
def test_oracle_of_odd_documents(document: dict[str, Any]) -> None:
    """What both we and json_format accept and convert, has one meaning (JSON-1, JSON-3)."""
    assume("@bytes" not in json.dumps(document))  # which json_format does not know
    found = ours(lambda: read(document, registry=STATIC).to_proto())
    try:
        expected = json_format.ParseDict(document, ProtoOperation(), ignore_unknown_fields=True)
    except Exception:  # noqa: BLE001 (as above)
        assume(False)
        return
    assert isinstance(found, LongRunningError) or same(found, expected)


@settings(max_examples=300)
@given(DOCUMENTS, TYPES, REGISTRIES)
def test_any_document(document: dict[str, Any], types: Types, registry: TypeRegistry) -> None:
    """Whatever the document: a snapshot that is written back the same, or a DocumentError, for text as for objects (JSON-2, JSON-3)."""
    as_text = ours(lambda: read(json.dumps(document), types, registry))
    as_object = ours(lambda: read(document, types, registry))
    assert type(as_text) is type(as_object)
    if isinstance(as_text, LongRunningError):
        assert isinstance(as_text, DocumentError)
        assert str(as_text) == str(as_object)
        return
    assert as_text == as_object
    for found in (as_text, as_object):
        for written in (found.to_json(), found.to_json(indent=2), pickle.loads(pickle.dumps(found)).to_json()):
            assert json.loads(written) == document
        use(found)


@given(JSON_TEXTS)
@example('{"name":"\ud800"}')
@example("{" * 2_000)
@example('{"a":1e400,"b":' + "9" * 5_000)
def test_any_text(source: str) -> None:
    """Whatever the text: a snapshot, or a DocumentError, the same for text and for its bytes (JSON-3, law 6)."""
    found = ours(lambda: read(source))
    again = ours(lambda: read(source.encode("utf-8", "surrogatepass")))
    assert type(found) is type(again)
    assert isinstance(found, (Operation, DocumentError))
    if type(again) is not DocumentError:
        use(read(source))


@given(st.binary(max_size=30))
def test_any_bytes_as_json(source: bytes) -> None:
    """Whatever the bytes: a snapshot, or a DocumentError (JSON-3, law 6)."""
    assert isinstance(ours(lambda: read(source)), (Operation, DocumentError))


@given(OBJECTS)
def test_any_object(source: Any) -> None:
    """Whatever the object: a snapshot, or an error that says so (JSON-3, law 6)."""
    try:
        found = ours(lambda: read(source))
    except TypeError:
        found = DocumentError() if not isinstance(source, (dict, str, bytes)) else None
    assert isinstance(found, (Operation, DocumentError))


# -- names and URLs ---------------------------------------------------------------------------------------------


@given(URLS | st.from_regex(r"type\.googleapis\.com/[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", fullmatch=True))
def test_type_urls(url: str) -> None:
    """A URL names a type, or is an InvalidTypeUrlError; what is shown of it can be shown (TYPE-6)."""
    found = ours(lambda: split_type_url(url))
    assert isinstance(found, (str, InvalidTypeUrlError))
    if isinstance(found, str):
        assert url == U + found
        assert found.isascii()
        assert all(part.isidentifier() for part in found.split("."))
    assert type_name(url).isprintable()


@given(
    TEXT,
    st.lists(
        st.tuples(st.sampled_from(["a", "b-bin", ROUTING_HEADER, ROUTING_HEADER.upper()]), st.text(max_size=3)),
        max_size=4,
    ),
)
def test_routing(name: str, metadata: list[tuple[str, str | bytes]]) -> None:
    """Exactly one routing header for a name, none without, and the caller's other metadata in order (WAIT-10, SNAP-7)."""
    sent = with_routing(name, metadata)
    routing = [value for key, value in sent if key.lower() == ROUTING_HEADER]
    assert len(routing) == bool(name)
    assert all(isinstance(value, str) and unquote(value) == f"name={name}" for value in routing)
    assert [pair for pair in sent if pair[0] != ROUTING_HEADER] == [
        pair for pair in metadata if pair[0].lower() != ROUTING_HEADER
    ]


# -- registries -------------------------------------------------------------------------------------------------


def _cat(**fields: str) -> TypeRegistry:
    file = proto_file("cat.proto", "zoo")
    add_message(file, "Cat", **fields)
    return TypeRegistry.from_file_descriptor_set(file_set(file))


CATS = [_cat(name="string"), _cat(name="string"), _cat(name="int64")]
PARTS = st.sampled_from(
    [
        *CATS, *(TypeRegistry(message_class(registry, "zoo.Cat")) for registry in CATS), TypeRegistry(), TypeRegistry(InstancePb),
        TypeRegistry(*CREATE.response_types), TypeRegistry(*CREATE.metadata_types), DYNAMIC, TypeRegistry(allowed_prefixes=["a.example.com/"]),
        TypeRegistry.from_file_descriptor_set(library()[0]), TypeRegistry.from_pool(descriptor_pool.Default()),
    ]
)  # fmt: skip
NAMES = [
    "zoo.Cat", "google.cloud.redis.v1.Instance", "google.cloud.redis.v1.OperationMetadata", "dynamic_zoo.Animal", "google.rpc.Status",
    "example.library.v1.Shelf", "no.Such",
]  # fmt: skip


def content(registry: TypeRegistry) -> tuple[list[Any], bool]:
    """What a registry has for each name, and whether it allows the other prefix."""
    kinds = [registry.find(name) for name in NAMES]
    allows = not isinstance(registry.unpack(any_of(empty_pb2.Empty(), "a.example.com/")), UnknownPayload)
    return [kind and kind.cls for kind in kinds], allows


def union(*parts: TypeRegistry) -> TypeRegistry | None:
    """All of them, from left to right; None if they conflict."""
    found = parts[0]
    try:
        for part in parts[1:]:
            found |= part
    except RegistryConflictError:
        return None
    return found


@given(PARTS)
def test_union_with_itself(one: TypeRegistry) -> None:
    """A registry and itself, or one that adds nothing, is what it was (TYPE-8)."""
    for both in (one | one, one | TypeRegistry(), TypeRegistry() | one):
        assert content(both) == content(one)


@given(PARTS, PARTS)
def test_union_prefers_left(one: TypeRegistry, two: TypeRegistry) -> None:
    """A union has what is in either, from the left where it is in both; a conflict is one from both sides (TYPE-8)."""
    both, reverse = union(one, two), union(two, one)
    assert (both is None) is (reverse is None)
    if both is None or reverse is None:
        return
    (mine, allows), (theirs, other_allows) = content(one), content(two)
    pairs = list(zip(mine, theirs, strict=True))
    assert content(both) == ([left or right for left, right in pairs], allows or other_allows)
    assert content(reverse) == ([right or left for left, right in pairs], allows or other_allows)


@given(PARTS, PARTS, PARTS)
def test_union_is_associative(one: TypeRegistry, two: TypeRegistry, three: TypeRegistry) -> None:
    """It does not matter which two are combined first, nor whether they conflict (TYPE-8)."""
    right = union(two, three)
    left_first, right_first = union(one, two, three), right and union(one, right)
    assert (left_first is None) is (right_first is None)
    if left_first is not None and right_first is not None:
        assert content(left_first) == content(right_first)


@given(DESCRIPTOR_SETS)
def test_any_descriptor_set(data: bytes) -> None:
    """Whatever the bytes: a registry that can be asked, or a DescriptorError (law 6, TYPE-9)."""
    found = ours(lambda: TypeRegistry.from_file_descriptor_set(data))
    if isinstance(found, TypeRegistry):
        for name in ("zoo.Animal", "zoo.Strict", "zoo.Animal.ByNameEntry"):
            payload = any_pb2.Any(type_url=U + name, value=b"\x0a\x01a")
            assert same(found.pack(found.unpack(payload)), payload) or name in found
    else:
        assert isinstance(found, DescriptorError)
