# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The JSON form: what is accepted, what is refused, what comes back."""

from __future__ import annotations

import contextlib
import gc
import json
import math
import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    json_format,
    struct_pb2,
    timestamp_pb2,
    type_pb2,
    wrappers_pb2,
)
from google.rpc import error_details_pb2

from longrunning._any import UnknownPayload
from longrunning.errors import (
    DocumentError,
    InvalidTypeUrlError,
    LongRunningError,
    OperationError,
    PayloadDecodeError,
    UnknownTypeError,
)
from longrunning.operation import OperationState
from longrunning.registry import TypeRegistry
from longrunning.status import Code, Status
from tests.unit.builders import (
    CREATE,
    DYNAMIC,
    LEVELS,
    NAME,
    REGISTRY,
    ZOOS,
    Instance,
    InstancePb,
    ProtoOperation,
    U,
    any_document,
    any_of,
    dismantle,
    message_class,
    method,
    nested_any,
    nested_dict,
    nested_struct,
    object_document,
    operation,
    proto,
    raw,
    read,
    same,
    snapshot,
    status,
    with_response,
    written,
)

PLAIN = TypeRegistry(InstancePb)
INT32 = {"@type": U + "google.protobuf.Int32Value", "value": 12345}
UNKNOWN = {"@type": "types.example.com/standard/id", "id": 1234}

# As in the reference of Memorystore for Redis.
MEMORYSTORE: dict[str, Any] = {
    "name": NAME,
    "metadata": {
        "@type": U + "google.cloud.redis.v1.OperationMetadata",
        "createTime": "2026-01-02T03:04:05.678Z",
        "target": "projects/p/locations/l/instances/i",
        "verb": "create",
        "cancelRequested": True,
        "apiVersion": "v1",
    },
    "done": True,
    "response": {
        "@type": U + "google.cloud.redis.v1.Instance",
        "name": "projects/p/locations/l/instances/i",
        "labels": {"a b": "é😀", "": "x"},
        "memorySizeGb": 5,
        "tier": "STANDARD_HA",
        "createTime": "1970-01-01T00:00:00Z",
        "authEnabled": True,
        "suspensionReasons": ["CUSTOMER_MANAGED_KEY_ISSUE"],
    },
}


# -- the Any cases of the protobuf conformance suite ------------------------------------------------------------

CONFORMANCE: dict[str, tuple[dict[str, Any], Any]] = {
    "1 message": ({"@type": U + "google.cloud.redis.v1.Instance", "port": 12345}, InstancePb(port=12345)),
    "2 Any in Any": (
        {"@type": U + "google.protobuf.Any", "value": {"@type": U + "google.cloud.redis.v1.Instance", "port": 12345}},
        any_of(InstancePb(port=12345)),
    ),
    "3 type last": ({"port": 12345, "@type": U + "google.cloud.redis.v1.Instance"}, InstancePb(port=12345)),
    "4 Int32Value": (INT32, wrappers_pb2.Int32Value(value=12345)),
    "5 Duration": (
        {"@type": U + "google.protobuf.Duration", "value": "1.500s"},
        duration_pb2.Duration(seconds=1, nanos=500_000_000),
    ),
    "6 Timestamp": (
        {"@type": U + "google.protobuf.Timestamp", "value": "1970-01-01T00:00:00Z"},
        timestamp_pb2.Timestamp(),
    ),
    "7 FieldMask": (
        {"@type": U + "google.protobuf.FieldMask", "value": "foo,barBaz"},
        field_mask_pb2.FieldMask(paths=["foo", "bar_baz"]),
    ),
    "8 Struct": (
        {"@type": U + "google.protobuf.Struct", "value": {"foo": 1}},
        struct_pb2.Struct(fields={"foo": struct_pb2.Value(number_value=1)}),
    ),
    "9 Value that is an object": (
        {"@type": U + "google.protobuf.Value", "value": {"foo": 1}},
        struct_pb2.Value(struct_value=struct_pb2.Struct(fields={"foo": struct_pb2.Value(number_value=1)})),
    ),
    "10 Value that is a number": (
        {"@type": U + "google.protobuf.Value", "value": 1},
        struct_pb2.Value(number_value=1),
    ),
    "15 Empty": ({"@type": U + "google.protobuf.Empty"}, empty_pb2.Empty()),
}
FIELDS = ("response", "metadata", "details")


def in_field(field: str, payload: Any) -> dict[str, Any]:
    """A document with a payload in one of the places that hold one."""
    place: dict[str, Any] = {"error": {"code": 3, "details": [payload]}} if field == "details" else {field: payload}
    return {"name": NAME, "done": True, **place}


def out_of_field(field: str, message: Any) -> Any:
    """The Any in the same place of a message."""
    return message.error.details[0] if field == "details" else getattr(message, field)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("case", CONFORMANCE)
def test_conformance(case: str, field: str) -> None:
    """The Any cases of the conformance suite hold, in both directions, as in json_format (JSON-3, JSON-1, JSON-2)."""
    payload, value = CONFORMANCE[case]
    document = in_field(field, payload)
    found = read(json.dumps(document), registry=PLAIN)
    message = json_format.ParseDict(document, ProtoOperation())
    assert same(out_of_field(field, found.to_proto()), any_of(value))
    assert same(found.to_proto(), message)
    assert written(found) == document
    assert written(snapshot(message, registry=PLAIN)) == document == json_format.MessageToDict(message)
    if field == "response":
        assert found.result() == found.response_payload == value
    elif field == "metadata":
        assert found.metadata == found.metadata_payload == value
    else:
        assert found.error is not None
        assert found.error.details == (value,)


def test_conformance_short_duration() -> None:
    """Case 5 as the suite writes it, with one digit: the text is kept, the value is a second and a half (JSON-3)."""
    found = read(with_response({"@type": U + "google.protobuf.Duration", "value": "1.5s"}))
    assert found.result() == duration_pb2.Duration(seconds=1, nanos=500_000_000)
    assert '"1.5s"' in found.to_json()


@pytest.mark.parametrize("field", FIELDS)
def test_conformance_empty_type(field: str) -> None:
    """Case 11: an empty @type is refused (JSON-3)."""
    with pytest.raises(DocumentError, match="@type"):
        read(in_field(field, {"@type": "", "value": ""}))


@pytest.mark.parametrize("field", FIELDS)
def test_conformance_no_url(field: str) -> None:
    """Case 12: an @type that is no URL is kept as unknown, and refused by typed access (JSON-3, JSON-2, TYPE-6)."""
    document = in_field(field, {"@type": "not_a_url", "value": ""})
    found = read(document, CREATE)
    assert written(found) == document
    if field == "details":
        assert found.error is not None
        assert isinstance(found.error.details[0], UnknownPayload)
        return
    with pytest.raises(InvalidTypeUrlError, match="not_a_url"):
        _ = found.result() if field == "response" else found.metadata


@pytest.mark.parametrize("field", FIELDS)
def test_conformance_empty_any(field: str) -> None:
    """Case 13: an empty object is an empty Any (JSON-3, TYPE-2)."""
    document = in_field(field, {})
    found = read(document, CREATE)
    assert found.to_proto() == json_format.ParseDict(document, ProtoOperation())
    assert written(snapshot(found.to_proto())) == written(found) == document
    assert found.metadata is None


@pytest.mark.parametrize("field", ["response", "metadata", "error", "name", "done"])
def test_conformance_null(field: str) -> None:
    """Case 14: null is an unset field (JSON-3)."""
    found = read({"name": NAME, "done": True, field: None})
    assert found.to_proto() == json_format.ParseDict({"name": NAME, "done": True, field: None}, ProtoOperation())


def test_null_beside_a_result() -> None:
    """A result that is null is not a second result (JSON-3, SNAP-3)."""
    assert read({"done": True, "response": INT32, "error": None}).state is OperationState.SUCCEEDED
    assert read({"done": True, "response": None, "error": {}}).state is OperationState.FAILED


# -- round trips ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["text", "bytes", "object"])
def test_memorystore(form: str) -> None:
    """The documented example reads typed and is written back the same (JSON-1)."""
    text = json.dumps(MEMORYSTORE, ensure_ascii=False)
    source: Any = {"text": text, "bytes": text.encode(), "object": MEMORYSTORE}[form]
    found = read(source, CREATE)
    instance: Any = found.result()
    assert (type(instance), instance.memory_size_gb, instance.tier.name) == (Instance, 5, "STANDARD_HA")
    assert dict(instance.labels) == {"a b": "é😀", "": "x"}
    assert (found.metadata.verb, found.metadata.cancel_requested) == ("create", True)
    assert (found.name, found.done, found.state) == (NAME, True, OperationState.SUCCEEDED)
    assert found.to_json() == json.dumps(MEMORYSTORE, ensure_ascii=False, separators=(",", ":"))
    again = snapshot(found.to_proto(), CREATE)
    assert written(again) == MEMORYSTORE
    assert again == found


@pytest.mark.parametrize("registry", ZOOS)
@pytest.mark.parametrize(
    ("written_", "attribute", "value"),
    [
        pytest.param({"weight": "9007199254740993"}, "weight", 2**53 + 1, id="int64 as text"),
        pytest.param({"weight": 5}, "weight", 5, id="int64 as number"),
        pytest.param({"weight": "-9223372036854775808"}, "weight", -(2**63), id="least int64"),
        pytest.param({"chipNumber": "18446744073709551615"}, "chip_number", 2**64 - 1, id="camelCase, uint64"),
        pytest.param({"chip_number": "7"}, "chip_number", 7, id="name of the proto"),
        pytest.param({"kind": "DOG"}, "kind", 2, id="enum by name"),
        pytest.param({"kind": 2}, "kind", 2, id="enum by number"),
        pytest.param({"name": None}, "name", "", id="null"),
        pytest.param({"name": "x", "newField": {"a": [1, None]}}, "name", "x", id="unknown field"),
        pytest.param({"name": "x", "kind": "LION"}, "name", "x", id="unknown enum name"),
    ],
)
def test_json_forms(written_: dict[str, Any], attribute: str, value: Any, registry: str) -> None:
    """Each form protobuf's JSON allows is read, and written back as it was; unknown fields are no fault (JSON-1, JSON-2)."""
    types, package = ZOOS[registry]
    document = with_response({"@type": f"{U}{package}.Animal", **written_})
    found = read(document, registry=types)
    assert getattr(found.result(), attribute) == value
    assert written(found) == document


@pytest.mark.parametrize("registry", ZOOS)
def test_json_names(registry: str) -> None:
    """From bytes: camelCase names, enums by name, 64-bit integers as text (JSON-1)."""
    types, package = ZOOS[registry]
    animal = message_class(types, f"{package}.Animal")(weight=2**60, kind=1, chip_number=2**63)
    assert written(snapshot(proto(response=any_of(animal)), registry=types))["response"] == {
        "@type": f"{U}{package}.Animal", "weight": str(2**60), "kind": "CAT", "chipNumber": str(2**63),
    }  # fmt: skip


def zoo_document(package: str, inner: Any) -> dict[str, Any]:
    """A payload with an Any in a field, a list, a map, and in a message within."""
    animal: dict[str, Any] = {
        "name": "Tom",
        "tag": inner,
        "tags": [inner, {}, inner],
        "byName": {"a": inner, "": inner},
    }
    return {
        "@type": f"{U}{package}.Animal",
        **animal,
        "child": {"name": "Kit", "tags": [inner], "child": {"tag": inner}},
    }


INNER: dict[str, dict[str, Any]] = {
    "Empty": {"@type": U + "google.protobuf.Empty"},
    "Int32Value": INT32,
    "StringValue": {"@type": U + "google.protobuf.StringValue", "value": "\x01any0:0\x01any1"},
    "Any in Any": {"@type": U + "google.protobuf.Any", "value": {"@type": U + "google.protobuf.Any", "value": INT32}},
    "Struct": {"@type": U + "google.protobuf.Struct", "value": {"@type": "x", "value": "\x01any0", "a": None}},
    "details": {
        "@type": U + "google.rpc.Status",
        "code": 5,
        "details": [INT32, {"@type": U + "google.protobuf.Empty"}],
    },
    "operation": {"@type": U + "google.longrunning.Operation", "name": "x", "done": True, "response": INT32},
    "opaque": {"@type": U + "no.Such", "@bytes": "/wAB"},
    "opaque, odd URL": {"@type": "a/b/c", "@bytes": ""},
    "opaque, no URL": {"@type": "", "@bytes": "/wAB"},
    "empty": {},
}


@pytest.mark.parametrize("registry", ZOOS)
@pytest.mark.parametrize("case", INNER)
def test_nested_payloads(case: str, registry: str) -> None:
    """Payloads within payloads are read and written wherever a message may hold them (JSON-1, JSON-2, TYPE-9)."""
    types, package = ZOOS[registry]
    document = with_response(zoo_document(package, INNER[case]))
    found = read(document, registry=types)
    animal = found.result()
    inner = out_of_field("response", read(with_response(INNER[case]), registry=types).to_proto())
    assert [(tag.type_url, tag.value) for tag in animal.tags] == [
        (inner.type_url, inner.value),
        ("", b""),
        (inner.type_url, inner.value),
    ]
    assert animal.by_name["a"].value == animal.child.child.tag.value == inner.value
    assert written(found) == document
    assert written(snapshot(found.to_proto(), registry=types)) == document


@pytest.mark.parametrize("registry", ZOOS)
def test_extension_payload(registry: str) -> None:
    """An Any in an extension field survives JSON too (JSON-1, JSON-2)."""
    types, package = ZOOS[registry]
    cls = message_class(types, f"{package}.Animal")
    data = (
        cls(name="Tom").SerializeToString()
        + b"\xa2\x06"
        + bytes([any_of(empty_pb2.Empty()).ByteSize()])
        + any_of(empty_pb2.Empty()).SerializeToString()
    )
    found = snapshot(proto(response=raw(f"{U}{package}.Animal", data)), registry=types)
    assert read(found.to_json(), registry=types).to_bytes() == found.to_bytes()


@pytest.mark.parametrize("registry", ZOOS)
@pytest.mark.parametrize(
    "text", ["\x01any0", "\x01any7", "\x01anyZ", "\x01any", "\x01any-1", "\x01any0:0", "\x01any1:"], ids=ascii
)
def test_text_like_our_marks(text: str, registry: str) -> None:
    """A text that looks like something we might put into messages ourselves is an ordinary text (JSON-1, law 6)."""
    types, package = ZOOS[registry]
    mark = {"@type": U + "google.protobuf.StringValue", "value": text}
    for body in ({"name": text, "tag": mark}, {"tag": INT32, "byName": {text: mark}}, {"tags": [mark, INT32, mark]}):
        document = with_response({"@type": f"{U}{package}.Animal", **body})
        found = read(document, registry=types)
        assert written(snapshot(found.to_proto(), registry=types)) == document
    # The second name of the extension is one json_format takes as well.
    for note in (f"[{package}.note]", f"[{package}.note.more]"):
        found = read(with_response({"@type": f"{U}{package}.Animal", "tag": INT32, note: mark}), registry=types)
        assert written(found)["response"][note] == mark
        assert found.response_payload is not None
        for access in (found.result, found.to_proto, found.to_bytes):
            within_the_tree(access)


@pytest.mark.parametrize("registry", ZOOS)
def test_required_field_missing(registry: str) -> None:
    """A required field that is missing is no reason to fail (JSON-2, law 4)."""
    types, package = ZOOS[registry]
    found = snapshot(proto(response=raw(f"{U}{package}.Strict")), registry=types)
    assert found.result() is not None
    assert read(found.to_json(), registry=types).to_bytes() == found.to_bytes()


# -- what is not known ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    "payload",
    [
        UNKNOWN,
        {"@type": U + "no.Such", "z": [1, 2.5, True, None, "é"], "a": {"@type": 5, "b": {}}},
        {"zebra": 1, "@type": "x/y", "ant": {"@type": U + "google.rpc.ErrorInfo", "reason": 5}},
        {"@type": U + "no.Such", "@bytes": "AA==", "more": 1},
        {"@type": U + "no.Such", "big": 2**200, "float": 1e300, "text": "\u0000\u2028\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")},
    ],
    ids=["documented", "values", "order", "bytes and more", "extremes"],
)  # fmt: skip
def test_unknown_type_from_json(payload: dict[str, Any], field: str) -> None:
    """A payload of unknown type is kept as its JSON, and written back the same; a message of it cannot be made (JSON-2)."""
    document = in_field(field, payload)
    found = read(json.dumps(document), registry=REGISTRY)
    assert found.to_json() == json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    kept = {"response": found.response_payload, "metadata": found.metadata_payload}.get(field)
    if field == "details":
        assert found.error is not None
        kept = found.error.details[0]
    assert isinstance(kept, UnknownPayload)
    assert kept.document is not None
    assert json.loads(kept.document) == payload
    for convert in (found.to_proto, found.to_bytes):
        with pytest.raises(UnknownTypeError) as caught:
            convert()
        assert (caught.value.name, caught.value.operation, caught.value.actual) == (NAME, found, payload["@type"])
        assert field in (caught.value.field or "")
    assert pickle.loads(pickle.dumps(found)).to_json() == found.to_json()


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    "payload",
    [
        raw(U + "no.Such", b"\xff\x00"),
        raw("types.example.com/standard/id", b"{}"),
        raw("a/b/", b""),
        raw(U + "google.cloud.redis.v1.Instance", b"\xff"),
        raw("", b"\x00\x01"),
        raw("evil\x00", b""),
    ],
    ids=["unknown", "documented", "no name", "corrupt", "no URL", "NUL"],
)
def test_unknown_type_from_bytes(payload: any_pb2.Any, field: str) -> None:
    """What came as bytes and cannot be rendered is written with @bytes, which reads back to the same bytes (JSON-2)."""
    found = snapshot(json_format_free(field, payload), registry=PLAIN)
    place = written(found)
    place = place["error"]["details"][0] if field == "details" else place[field]
    assert place.keys() == {"@type", "@bytes"}
    assert place["@type"] == payload.type_url
    assert read(found.to_json(), registry=PLAIN).to_bytes() == found.to_bytes()


def json_format_free(field: str, payload: any_pb2.Any) -> Any:
    """An operation with a payload in one of the places that hold one."""
    return proto(error=status(3, "bad", payload)) if field == "details" else proto(**{field: payload})


def test_unknown_fields_of_the_document() -> None:
    """Fields an operation does not have are no fault, and written back (JSON-2)."""
    document = {"name": NAME, "newField": [1], "error": {"code": 5, "newer": {"a": 1}}, "done": True}
    found = read(document)
    assert written(found) == document
    assert found.to_proto() == proto(error=status(5, ""))


@pytest.mark.parametrize("encoded", ["*", "AA", "AA==\n", "é", 5, None, [], {}], ids=repr)
def test_bad_base64(encoded: Any) -> None:
    """@bytes that are not base64 fail typed access, and not the document (JSON-2, TYPE-2)."""
    document = with_response({"@type": U + "google.cloud.redis.v1.Instance", "@bytes": encoded})
    found = read(document, CREATE)
    assert written(found) == document
    assert isinstance(found.response_payload, UnknownPayload)
    with pytest.raises(PayloadDecodeError, match="base64") as caught:
        found.result()
    assert (caught.value.name, caught.value.field) == (NAME, "response")


BROKEN: dict[str, Any] = {
    "wrong kind": {"@type": U + "google.cloud.redis.v1.Instance", "port": "x"},
    "too large": {"@type": U + "google.cloud.redis.v1.Instance", "port": 2**40},
    "fraction": {"@type": U + "google.cloud.redis.v1.Instance", "port": 1.5},
    "object for text": {"@type": U + "google.cloud.redis.v1.Instance", "name": {}},
    "list for map": {"@type": U + "google.cloud.redis.v1.Instance", "labels": []},
    "null in a list": {"@type": U + "google.cloud.redis.v1.Instance", "suspensionReasons": [None]},
    "no value": {"@type": U + "google.protobuf.Duration"},
    "bad duration": {"@type": U + "google.protobuf.Duration", "value": "soon"},
    "endless duration": {"@type": U + "google.protobuf.Duration", "value": "9223372036854775807s"},
    "bad time": {"@type": U + "google.protobuf.Timestamp", "value": "2026-13-01T00:00:00Z"},
    "nothing in Any": {"@type": U + "google.protobuf.Any", "value": None},
    "text in Any": {"@type": U + "google.protobuf.Any", "value": "x"},
    "no type in Any": {"@type": U + "google.protobuf.Any", "value": {"a": 1}},
    "number as type in Any": {"@type": U + "google.protobuf.Any", "value": {"@type": 5}},
    "bad base64 in Any": {"@type": U + "google.protobuf.Any", "value": {"@type": "x/y", "@bytes": "*"}},
    "unknown in Any": {"@type": U + "google.protobuf.Any", "value": UNKNOWN},
    "list for details": {"@type": U + "google.rpc.Status", "details": [[]]},
    "text for details": {"@type": U + "google.rpc.Status", "details": "x"},
    "object for details": {"@type": U + "google.rpc.Status", "details": {"@type": U + "google.protobuf.Empty"}},
    "null in details": {"@type": U + "google.rpc.Status", "details": [None]},
    "unknown in details": {"@type": U + "google.rpc.Status", "details": [UNKNOWN]},
    "odd enum": {"@type": U + "google.cloud.redis.v1.Instance", "tier": {}},
    "two results": {"@type": U + "google.longrunning.Operation", "error": {}, "response": {}},
}


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("case", BROKEN)
def test_payload_that_does_not_decode(case: str, field: str) -> None:
    """JSON that does not fit the type it names fails typed access and conversion, and nothing else (JSON-2, TYPE-2)."""
    payload = BROKEN[case]
    document = in_field(field, payload)
    kind = PLAIN.find(payload["@type"].removeprefix(U))
    assert kind is not None
    types = method(kind.cls, kind.cls)
    found = read(json.dumps(document), types, PLAIN)
    assert written(found) == document
    assert repr(found)
    assert found == read(document, types, PLAIN)
    assert pickle.loads(pickle.dumps(found)) == found
    kept = {"response": found.response_payload, "metadata": found.metadata_payload}.get(field)
    if field == "details":
        assert found.error is not None
        kept = found.error.details[0]
    assert isinstance(kept, UnknownPayload)
    if field != "details" and kind.full_name != any_pb2.Any.DESCRIPTOR.full_name:
        for _ in range(2):
            with pytest.raises(PayloadDecodeError) as caught:
                _ = found.result() if field == "response" else found.metadata
            assert (caught.value.name, caught.value.operation, caught.value.field) == (NAME, found, field)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("case", [case for case in BROKEN if "unknown" not in case])
def test_conversion_error(case: str, field: str) -> None:
    """What keeps a document from becoming a message is told with operation and field (JSON-2, ERR-2)."""
    found = read(in_field(field, BROKEN[case]), registry=PLAIN)
    for convert in (found.to_proto, found.to_bytes):
        with pytest.raises(PayloadDecodeError) as caught:
            convert()
        assert (caught.value.name, caught.value.operation) == (NAME, found)
        assert field in (caught.value.field or "")


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("case", [case for case in BROKEN if "unknown" in case])
def test_conversion_of_nested_unknown(case: str, field: str) -> None:
    """An unknown type inside a known one keeps the document from becoming a message: UnknownTypeError (JSON-2)."""
    found = read(in_field(field, BROKEN[case]), registry=PLAIN)
    with pytest.raises(UnknownTypeError):
        found.to_proto()


# -- what cannot be rendered ------------------------------------------------------------------------------------

ODD: dict[str, Any] = {
    "endless duration": duration_pb2.Duration(seconds=2**62),
    "mixed signs": duration_pb2.Duration(seconds=1, nanos=-1),
    "time out of range": timestamp_pb2.Timestamp(seconds=2**62),
    "too many nanoseconds": timestamp_pb2.Timestamp(nanos=2_000_000_000),
    "NaN in a Value": struct_pb2.Value(number_value=math.nan),
    "infinity in a Struct": struct_pb2.Struct(fields={"a": struct_pb2.Value(number_value=math.inf)}),
    "odd mask": field_mask_pb2.FieldMask(paths=["fooBar", "a__b", "a_1"]),
    "duration in a message": error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=2**62)),
    "NaN": wrappers_pb2.DoubleValue(value=math.nan),
    "infinity": wrappers_pb2.FloatValue(value=-math.inf),
    "bytes": wrappers_pb2.BytesValue(value=bytes(range(256))),
    "int64": wrappers_pb2.Int64Value(value=-(2**63)),
    "enum number": type_pb2.Field(kind=99),  # type: ignore[arg-type]
    "empty Any within": type_pb2.Option(name="x", value=any_pb2.Any()),
    "control characters": wrappers_pb2.StringValue(value="\x00\x1f\x7f\u2028\ufeff\U0010ffff"),
    "Value of null": struct_pb2.Value(null_value=struct_pb2.NULL_VALUE),
    "list": struct_pb2.ListValue(
        values=[struct_pb2.Value(null_value=struct_pb2.NULL_VALUE), struct_pb2.Value(bool_value=False)]
    ),
}


@pytest.mark.parametrize("within", ["payload", "Any", "details"])
@pytest.mark.parametrize("case", ODD)
def test_odd_values(case: str, within: str) -> None:
    """Values JSON has no form for are written so that they read back to the same bytes (JSON-2, law 4)."""
    packed = any_of(ODD[case])
    if within != "payload":
        packed = any_of(packed) if within == "Any" else any_of(status(3, "", packed))
    found = snapshot(proto(response=packed, metadata=packed))
    assert json.loads(found.to_json(), parse_constant=pytest.fail)
    again = read(found.to_json())
    if case.startswith("NaN"):
        assert again.to_bytes() == found.to_bytes()
    else:
        assert again == found
        assert again.result() == found.result()


@pytest.mark.parametrize(
    "value", [b"\x0a\x02\xff\xfe", b"\x1a\x01\xff", b"\x22\x03\x0a\x01\xff"], ids=["field", "list", "message within"]
)
def test_text_that_is_not_utf8(value: bytes) -> None:
    """proto2 text that is not UTF-8 reads back to the same bytes (JSON-2, law 4)."""
    payload = raw(U + descriptor_pb2.FileDescriptorProto.DESCRIPTOR.full_name, value)
    for packed in (payload, any_of(payload), any_of(status(3, "", payload))):
        found = snapshot(proto(response=packed))
        assert read(found.to_json()).to_bytes() == found.to_bytes()
    assert str(Status.from_proto(status(3, "", payload)))


# -- documents that are refused ---------------------------------------------------------------------------------

REFUSED_TEXT = {
    "list": "[]",
    "number": "5",
    "text": '""',
    "null": "null",
    "boolean": "true",
    "nothing": "",
    "blank": " \n",
    "cut": '{"name":"a"',
    "two documents": "{}{}",
    "rest": "{} x",
    "trailing comma": '{"done":true,}',
    "single quotes": "{'name':'a'}",
    "no quotes": "{name:1}",
    "comment": "{/**/}",
    "leading zero": '{"x":01}',
    "plus": '{"x":+1}',
    "hexadecimal": '{"x":0x10}',
    "bare dot": '{"x":.5}',
    "no fraction": '{"x":1.}',
    "control character": '{"name":"a\nb"}',
    "bad escape": '{"name":"\\x41"}',
    "short escape": '{"name":"\\u12"}',
    "byte order mark": "\ufeff{}",
    "odd space": "\u00a0{}",
    "duplicate": '{"name":"a","name":"a"}',
    "duplicate, escaped": '{"name":"a","n\\u0061me":"b"}',
    "duplicate in a payload": '{"metadata":{"@type":"x/y","a":{"b":1,"c":2,"b":1}}}',
    "duplicate type": '{"metadata":{"@type":"x/y","@type":"x/y"}}',
    "duplicate in unknown field": '{"x":[{"a":1,"a":2}]}',
    "NaN": '{"x":NaN}',
    "infinity": '{"x":[Infinity]}',
    "minus infinity": '{"metadata":{"@type":"x/y","v":-Infinity}}',
    "too large": '{"x":1e999}',
    "too large below": '{"x":-1e999}',
    "integer of 400 digits": f'{{"x":{"1" * 400}}}',
    "integer of 5000 digits": f'{{"x":{"1" * 5000}}}',
    "negative integer of 5000 digits": f'{{"x":-{"1" * 5000}}}',
    "high surrogate": '{"name":"\\ud800"}',
    "low surrogate": '{"name":"\\udfff"}',
    "surrogates reversed": '{"name":"\\ude00\\ud83d"}',
    "surrogate in a key": '{"\\ud800":1}',
    "surrogate in a payload": '{"metadata":{"@type":"x/y","a":["\\ud800"]}}',
    "surrogate in a type": '{"metadata":{"@type":"\\ud800"}}',
    "surrogate unescaped": '{"name":"\ud800"}',
}
SURROGATES = tuple(case for case in REFUSED_TEXT if "unescaped" in case)


@pytest.mark.parametrize("form", ["text", "bytes", "bytearray"])
@pytest.mark.parametrize("case", REFUSED_TEXT)
def test_refused_text(case: str, form: str) -> None:
    """Text that is no JSON, or that two readers might read differently, is a DocumentError (JSON-3)."""
    text = REFUSED_TEXT[case]
    encoded = text.encode("utf-8", "surrogatepass")
    source: Any = {"text": text, "bytes": encoded, "bytearray": bytearray(encoded)}[form]
    for types in (CREATE, None):
        with pytest.raises(DocumentError):
            read(source, types)


@pytest.mark.parametrize(
    "source", [b"\xff", b'{"name":"\xe9"}', "{}".encode("utf-16"), "{}".encode("utf-32-be"), b"{}\x00", b""], ids=repr
)
def test_refused_bytes(source: bytes) -> None:
    """Bytes that are not UTF-8 are a DocumentError (JSON-3)."""
    with pytest.raises(DocumentError):
        read(source)


@pytest.mark.parametrize(
    "source", [None, 5, -1, 2**70, 1.5, True, (), [], [{}], [300], {1}, object(), print], ids=lambda v: type(v).__name__
)
def test_refused_objects(source: Any) -> None:
    """Anything that is neither text nor an object is refused, and never taken for a number of bytes (JSON-3)."""
    with pytest.raises((DocumentError, TypeError)):
        read(source)


REFUSED: dict[str, dict[str, Any]] = {
    "name": {"name": 5},
    "name, object": {"name": {}},
    "name, falsy": {"name": 0},
    "done, text": {"done": "true"},
    "done, number": {"done": 1},
    "done, falsy": {"done": 0},
    "done, object": {"done": {}},
    "response, list": {"response": []},
    "response, text": {"response": ""},
    "response, boolean": {"response": False},
    "metadata, number": {"metadata": 0},
    "error, list": {"error": []},
    "error, text": {"error": ""},
    "two results": {"response": {"@type": "x/y"}, "error": {"code": 5}},
    "two empty results": {"done": True, "response": {}, "error": {}},
    "no type": {"response": {"a": 1}},
    "type null": {"metadata": {"@type": None}},
    "type number": {"response": {"@type": 5}},
    "type list": {"metadata": {"@type": ["x/y"]}},
    "type object": {"metadata": {"@type": {}}},
    "type boolean": {"metadata": {"@type": False}},
    "type empty": {"metadata": {"@type": ""}},
    "details, object": {"error": {"details": {}}},
    "details, text": {"error": {"details": ""}},
    "details, numbers": {"error": {"details": [5]}},
    "details, null": {"error": {"details": [None]}},
    "details, list": {"error": {"details": [[]]}},
    "details without type": {"error": {"details": [{}, {"a": 1}]}},
    "details with type number": {"error": {"details": [{"@type": 5}]}},
    "message": {"error": {"message": 5}},
    "message, falsy": {"error": {"message": False}},
    **{f"code {code!r}": {"error": {"code": code}} for code in (
        True, False, "", "x", "1_0", " 3 ", "+3", "\uff13", "\u0663", [], {}, [3], {"a": 1}, 1.5, "1.5", 2**31, -(2**31) - 1, "2147483648", 1e10, "9" * 5000,
    )},
}  # fmt: skip


@pytest.mark.parametrize("form", ["text", "bytes", "object"])
@pytest.mark.parametrize("case", REFUSED, ids=ascii)
def test_refused_documents(case: str, form: str) -> None:
    """A field of the wrong form is a DocumentError that says which, and so are two results (JSON-3, SNAP-3)."""
    text = json.dumps(REFUSED[case])
    source: Any = {"text": text, "bytes": text.encode(), "object": REFUSED[case]}[form]
    with pytest.raises(DocumentError) as caught:
        read(source, CREATE)
    if "result" not in case:
        assert caught.value.path.split(".")[0].split("[")[0] in REFUSED[case]


@pytest.mark.parametrize(
    ("code", "value"), [(3, 3), ("3", 3), (3.0, 3), ("-7", -7), (0, 0), ("0", 0), (-(2**31), -(2**31)), (None, 0)]
)
def test_accepted_codes(code: Any, value: int) -> None:
    """A code is a number, or a number in text, as protobuf's JSON says of int32 (JSON-1, SNAP-4)."""
    found = read({"done": True, "error": {"code": code}})
    assert found.error is not None
    assert found.error.code == value
    assert written(found)["error"]["code"] == code
    assert found.to_proto() == json_format.ParseDict({"done": True, "error": {"code": code}}, ProtoOperation())


REFUSED_VALUES: dict[str, Any] = {
    "key": {5: 1},
    "key None": {None: 1},
    "bytes": {"a": b"x"},
    "object": {"a": object()},
    "set": {"a": {1}},
    "NaN": {"a": math.nan},
    "infinity": {"a": [math.inf]},
    "long integer": {"a": -(10**400)},
    "surrogate": {"a": "\ud800"},
    "halves of a character": {"a": "\ud83d\ude00"},
    "surrogate in key": {"\udfff": 1},
    "complex": {"a": 1j},
}


@pytest.mark.parametrize("place", ["document", "payload", "list", "details"])
@pytest.mark.parametrize("case", REFUSED_VALUES)
def test_refused_values(case: str, place: str) -> None:
    """An object somebody parsed is held to the same rules as text (JSON-3)."""
    bad = REFUSED_VALUES[case]
    documents: dict[str, Any] = {
        "document": bad,
        "payload": {"metadata": {"@type": "x/y", **bad}},
        "list": {"x": [[bad]]},
        "details": {"error": {"details": [{"@type": "x/y", "v": bad}]}},
    }
    with pytest.raises(DocumentError):
        read(documents[place])


def test_accepted_objects() -> None:
    """Any mapping and sequence that json would write is accepted (JSON-1)."""
    payload: OrderedDict[str, Any] = OrderedDict({"@type": "x/y", "a": (1, (2, {"b": ()}))})
    document: OrderedDict[str, Any] = OrderedDict(name=NAME, metadata=payload)
    assert written(read(document)) == json.loads(json.dumps(document))


def test_broken_text_says_where() -> None:
    """A DocumentError about broken JSON says at which line and column it breaks (JSON-3)."""
    for text in ('{"a":\n}', '{"a":\n x}', '{\n"a":1,}', '{\n"a"}', '{\n"a":"b'):
        with pytest.raises(DocumentError, match="line 2 column"):
            read(text)


def test_error_says_where() -> None:
    """A DocumentError has the path of what is wrong (JSON-3)."""
    with pytest.raises(DocumentError, match=r"^error\.details\[1\]: ") as caught:
        read({"error": {"details": [{}, {"@type": 5}]}})
    assert caught.value.path == "error.details[1]"


# -- depth ------------------------------------------------------------------------------------------------------

DEEP: dict[str, Callable[[int], str]] = {
    "payloads": any_document,
    "objects": object_document,
    "lists": lambda levels: object_document(levels, "[", "]"),
}


@pytest.mark.parametrize("form", ["text", "bytes"])
@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("shape", ["payloads", "objects", "lists"])
def test_deep_documents(shape: str, levels: int, form: str) -> None:
    """A document of 100 levels is read, and a deeper one is a DocumentError, however deep (JSON-3, TYPE-7)."""
    text = DEEP[shape](levels)
    source: Any = text if form == "text" else text.encode()
    if levels > 100:
        with pytest.raises(DocumentError, match="100 levels"):
            read(source)
        return
    found = read(source)
    assert found.to_json() == text
    assert pickle.loads(pickle.dumps(found)).to_json() == text
    assert found == read(source)
    if shape == "payloads":
        assert isinstance(found.result(), any_pb2.Any)
        assert read(snapshot(found.to_proto()).to_json()).to_bytes() == found.to_bytes()


@pytest.mark.parametrize("levels", LEVELS)
def test_deep_objects(levels: int) -> None:
    """An object somebody parsed is held to the same depth (JSON-3, TYPE-7)."""
    document = nested_dict(levels)
    try:
        if levels > 100:
            with pytest.raises(DocumentError, match="100 levels"):
                read(document)
        else:
            assert json.loads(read(document).to_json()) == document
    finally:
        dismantle(document)


@pytest.mark.parametrize("opening", ["[", '{"a":', '{"a":[', '[{"a":'])
def test_unclosed(opening: str) -> None:
    """A hundred thousand brackets that nobody closes are a DocumentError (JSON-3, TYPE-7)."""
    with pytest.raises(DocumentError):
        read('{"name":' + opening * 100_000)


@pytest.mark.parametrize("indent", [0, 2], ids=["lines", "indented"])
def test_deep_and_indented(indent: int) -> None:
    """Indented writing is not troubled by the greatest depth there is (TYPE-7)."""
    text = object_document(100)
    assert json.loads(read(text).to_json(indent=indent)) == json.loads(text)


def test_circle() -> None:
    """An object that holds itself is a DocumentError (JSON-3, TYPE-7)."""
    circle: dict[str, Any] = {"name": NAME}
    circle["a"] = circle["b"] = [circle]
    with pytest.raises(DocumentError):
        read(circle)
    circle.clear()
    gc.collect()


@pytest.mark.parametrize("place", ["payload", "details", "within"])
@pytest.mark.parametrize("make", [nested_any, nested_struct], ids=["Any", "Struct"])
@pytest.mark.parametrize("levels", [20, 90, 95, 98, 99, *LEVELS])
def test_deep_payloads(levels: int, make: Callable[[int], any_pb2.Any], place: str) -> None:
    """Payloads of any depth are read, printed and written; what is too deep is opaque, with its bytes (TYPE-7, JSON-2)."""
    payload = make(levels)
    if place == "within":
        payload = any_of(status(3, "", payload, payload))
    message = (
        proto(error=status(3, "bad", payload)) if place == "details" else proto(response=payload, metadata=payload)
    )
    found = snapshot(message)
    assert len(repr(found)) < 500
    text = found.to_json()
    again = read(text)
    assert again.to_bytes() == found.to_bytes()
    if place == "details":
        with pytest.raises(OperationError) as caught:
            found.result()
        assert len(str(caught.value)) < 2_000
        assert again.error is not None
        assert same(again.error.to_proto(), found.to_proto().error) or levels > 100
    else:
        assert type(found.response_payload) is type(again.response_payload)


@pytest.mark.parametrize("levels", LEVELS)
def test_deep_equality(levels: int) -> None:
    """Snapshots with deeply nested payloads can be compared (TYPE-7, SNAP-5)."""
    payload = nested_any(levels)
    one, two, other = (
        snapshot(proto(response=payload)),
        snapshot(proto(response=payload)),
        snapshot(proto(response=nested_any(levels - 1))),
    )
    assert one == two
    assert one != other
    failed = snapshot(proto(error=status(3, "", payload)))
    assert failed.error == snapshot(proto(error=status(3, "", payload))).error


@pytest.mark.parametrize("levels", LEVELS)
def test_deep_typed_access(levels: int) -> None:
    """Typed access to one level is not limited by what is within (TYPE-7)."""
    payload = nested_any(levels)
    found = snapshot(proto(response=any_of(status(3, "m", payload))), method(type(status())))
    result: Any = found.result()
    assert (result.message, result.details[0].type_url) == ("m", payload.type_url)
    assert result.details[0].value == payload.value


@pytest.mark.parametrize("levels", [10, 30, 32, 33, 34, 40, 48, 49, 50, 60, 95, 97])
def test_deep_struct_document(levels: int) -> None:
    """A Struct too deep for protobuf is an error of ours on typed access; its document stays as it is (TYPE-7, law 6)."""
    value: Any = {"a": 1}
    for _ in range(levels):
        value = {"a": value}
    document = with_response({"@type": U + "google.protobuf.Struct", "value": value})
    found = read(document, method(struct_pb2.Struct))
    assert written(found) == document
    for access in (found.result, found.to_proto, found.to_bytes, lambda: found.response_payload):
        within_the_tree(access)


def within_the_tree(access: Callable[[], Any]) -> None:
    """Calls it; an error of ours is as good as a value."""
    with contextlib.suppress(LongRunningError):
        access()


# -- laziness, writing ------------------------------------------------------------------------------------------


def test_name_and_done_alone() -> None:
    """Name and done are read without a look at the payloads (JSON-2, law 4)."""
    found = read(in_field("response", BROKEN["wrong kind"]), CREATE)
    assert (found.name, found.done, found.state, found.has_result) == (NAME, True, OperationState.SUCCEEDED, True)


@pytest.mark.parametrize("indent", [None, 0, 1, 4])
def test_indent(indent: int | None) -> None:
    """Written compactly or indented, the document is the same (JSON-1)."""
    found = operation(CREATE, response=any_of(InstancePb(name="é", port=1)), metadata=raw("x/y", b"\xff"))
    text = found.to_json(indent=indent)
    assert json.loads(text) == written(found)
    assert (indent is None) is ("\n" not in text)
    assert "é" in text


def test_error_body() -> None:
    """An error in JSON has the code, the message and the decoded details of the one in bytes (ERR-3, JSON-1)."""
    info = error_details_pb2.ErrorInfo(reason="R", metadata={"a": "b"})
    body = {
        "code": 5,
        "message": "gone",
        "details": [{"@type": U + "google.rpc.ErrorInfo", "reason": "R", "metadata": {"a": "b"}}],
    }
    found = read({"name": NAME, "done": True, "error": body})
    assert (
        found.error == Status(Code.NOT_FOUND, "gone", (info,)) == operation(error=status(5, "gone", any_of(info))).error
    )


def test_dynamic_types_in_json() -> None:
    """Types of a descriptor set are found for JSON as for bytes (TYPE-9, JSON-1)."""
    found = read(with_response({"@type": U + "dynamic_zoo.Animal", "name": "Tom"}), registry=DYNAMIC)
    assert found.result() == message_class(DYNAMIC, "dynamic_zoo.Animal")(name="Tom")
