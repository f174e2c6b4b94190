# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The snapshot: its states, its payloads, its value."""

from __future__ import annotations

import copy
import pickle
import sys
import types
from typing import Any

import pytest
from google.protobuf import any_pb2, duration_pb2, empty_pb2, struct_pb2, wrappers_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

from longrunning._any import UnknownPayload
from longrunning.errors import (
    InvalidTypeUrlError,
    LongRunningError,
    MalformedOperationError,
    NoResultError,
    OperationCancelledError,
    OperationError,
    OperationNotDoneError,
    PayloadDecodeError,
    TypeMismatchError,
)
from longrunning.method import LroMethod
from longrunning.operation import Operation, OperationState
from longrunning.registry import TypeRegistry
from longrunning.status import Code
from tests.unit.builders import (
    CREATE,
    DYNAMIC,
    GENERATED,
    NAME,
    PATH,
    REGISTRY,
    SOURCES,
    Instance,
    InstancePb,
    Metadata,
    MetadataPb,
    ProtoOperation,
    U,
    any_of,
    class_in,
    library,
    message_class,
    method,
    operation,
    proto,
    raw,
    read,
    same,
    snapshot,
    status,
)

INSTANCE = any_of(InstancePb(name="i", port=6379))
METADATA = any_of(MetadataPb(verb="create"))
INFO = any_of(error_details_pb2.ErrorInfo(reason="R", domain="d"))
EVIL_URLS = (
    "types.example.com/standard/id",
    "evil.example.com/google.cloud.redis.v1.Instance",
    "a/b/google.cloud.redis.v1.Instance",
    "https://type.googleapis.com/google.cloud.redis.v1.Instance",
    "TYPE.googleapis.com/google.cloud.redis.v1.Instance",
    "type.googleapis.com//google.cloud.redis.v1.Instance",
    "/google.cloud.redis.v1.Instance",
    "google.cloud.redis.v1.Instance",
    U,
    U + "google.cloud.redis.v1.Instance/",
    U + "google.cloud.redis.v1.Instance\x00",
    U + "google.cloud.redis.v1.Instance\n",
    U + " google.cloud.redis.v1.Instance",
    U + ".google.cloud.redis.v1.Instance",
    U + "google..cloud",
    U + "..",
    U + "../google.cloud.redis.v1.Instance",
    U + "google.cloud.redis.v1.Instánce",
    U + "1google",
)

STATES: dict[str, tuple[Any, OperationState, bool]] = {
    "pending": (proto(done=False), OperationState.RUNNING, False),
    "pending with metadata": (proto(done=False, metadata=METADATA), OperationState.RUNNING, False),
    "response": (proto(response=INSTANCE), OperationState.SUCCEEDED, True),
    "error": (proto(error=status(5)), OperationState.FAILED, True),
    "cancelled": (proto(error=status(1)), OperationState.CANCELLED, True),
    "neither": (proto(), OperationState.SUCCEEDED, False),
    "empty response": (proto(response=any_pb2.Any()), OperationState.SUCCEEDED, False),
    "error without code": (proto(error=status_pb2.Status()), OperationState.FAILED, True),
    "unknown code": (proto(error=status(99)), OperationState.FAILED, True),
    "validate-only": (proto(name="", response=INSTANCE), OperationState.SUCCEEDED, True),
}


# -- states -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("case", STATES)
def test_state(case: str, source: str) -> None:
    """Each outcome on the wire reads as its own state, whatever it was read from (SNAP-1, SNAP-2, SNAP-4)."""
    message, state, has_result = STATES[case]
    found = snapshot(message, CREATE, source=source)
    assert (found.name, found.done, found.state, found.has_result) == (message.name, message.done, state, has_result)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    ("message", "error", "says"),
    [
        pytest.param(proto(done=False), OperationNotDoneError, "not done", id="pending"),
        pytest.param(proto(), NoResultError, "no result", id="neither"),
        pytest.param(proto(response=any_pb2.Any()), NoResultError, "no result", id="empty response"),
        pytest.param(proto(error=status(5, "gone")), OperationError, "NOT_FOUND", id="error"),
        pytest.param(proto(error=status(1, "stop")), OperationCancelledError, "CANCELLED", id="cancelled"),
        pytest.param(proto(error=status(0, "odd")), OperationError, "OK", id="code 0"),
        pytest.param(proto(error=status(99, "new")), OperationError, "99", id="unknown code"),
    ],
)
def test_result_raises(message: Any, error: type[LongRunningError], says: str, source: str) -> None:
    """No response: the error says why, names the operation and carries the snapshot (SNAP-1, SNAP-2, SNAP-4, ERR-2)."""
    found = snapshot(message, CREATE, source=source)
    with pytest.raises(error, match=says) as caught:
        found.result()
    assert type(caught.value) is error
    assert (caught.value.name, caught.value.operation) == (NAME, found)
    assert NAME in str(caught.value)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("response", [None, any_pb2.Any(), any_of(empty_pb2.Empty())], ids=["absent", "empty", "Empty"])
def test_empty_response(response: any_pb2.Any | None, source: str) -> None:
    """A declared Empty is returned also where the service provides no result (SNAP-2)."""
    message = proto() if response is None else proto(response=response)
    assert snapshot(message, method(response=empty_pb2.Empty), source=source).result() == empty_pb2.Empty()


@pytest.mark.parametrize("source", SOURCES)
def test_no_result_without_method(source: str) -> None:
    """Without a declared type, no result is a NoResultError (SNAP-2)."""
    with pytest.raises(NoResultError):
        snapshot(proto(), source=source).result()


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("field", ["response", "error"])
def test_malformed(field: str, source: str) -> None:
    """A result on an operation that is not done: done decides the state, everything stays readable (SNAP-3)."""
    value: Any = INSTANCE if field == "response" else status(5, "gone", INFO)
    found = snapshot(proto(done=False, metadata=METADATA, **{field: value}), CREATE, source=source)
    assert (found.done, found.state) == (False, OperationState.RUNNING)
    problem = found.malformed
    assert isinstance(problem, MalformedOperationError)
    assert (problem.name, problem.operation, problem.field) == (NAME, found, field)
    with pytest.raises(OperationNotDoneError):
        found.result()
    assert found.metadata.verb == "create"
    if field == "response":
        assert found.response_payload == Instance(name="i", port=6379)
    else:
        assert found.error is not None
        assert found.error.code == Code.NOT_FOUND
    assert same(getattr(found.to_proto(), field), value)


@pytest.mark.parametrize("case", STATES)
def test_well_formed(case: str) -> None:
    """What the rules of the resource allow is not malformed (SNAP-3)."""
    assert snapshot(STATES[case][0], CREATE).malformed is None


def test_two_results_on_the_wire() -> None:
    """The later of two results on the wire counts, as protobuf says of a oneof (SNAP-3)."""
    data = proto(error=status(5)).SerializeToString() + ProtoOperation(response=INSTANCE).SerializeToString()
    found = Operation.from_bytes(data, CREATE)
    assert found.state is OperationState.SUCCEEDED
    assert found.error is None


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("code", [17, 99, -1, 2**31 - 1, -(2**31)])
def test_unknown_code(code: int, source: str) -> None:
    """An unknown status code is kept as a number (SNAP-4)."""
    found = snapshot(proto(error=status(code)), source=source)
    assert found.error is not None
    assert (found.error.code, type(found.error.code)) == (code, int)
    assert found.to_proto().error.code == code
    assert str(code) in repr(found)


@pytest.mark.parametrize("source", SOURCES)
def test_code_zero(source: str) -> None:
    """An error with code 0 is a failure that shows its code (SNAP-4)."""
    found = snapshot(proto(error=status(0, "odd")), source=source)
    assert found.error is not None
    assert found.error.code is Code.OK
    assert "code=OK" in repr(found)
    assert found.to_proto().HasField("error")


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    "name", ["operations/1", NAME, "batches/7", "/uuid", "x", "a//b", "é/😀", "operations/1?x=y#z", " ", "a\nb", "\x00"]
)
def test_name_is_opaque(name: str, source: str) -> None:
    """A snapshot takes any name as it is (SNAP-7)."""
    found = snapshot(proto(name=name), source=source)
    assert found.name == name
    assert repr(name) in repr(found)


# -- value ------------------------------------------------------------------------------------------------------


def test_source_is_copied() -> None:
    """Changing the message a snapshot was made from does not change it (SNAP-5)."""
    message = proto(response=INSTANCE)
    found = Operation.from_proto(message, CREATE)
    message.name, message.response.value = "other", b""
    message.done = False
    assert found == operation(CREATE, response=INSTANCE)


def test_document_is_copied() -> None:
    """Changing the object a snapshot was read from, however deep inside, does not change it (SNAP-5)."""
    document: dict[str, Any] = {"name": NAME, "metadata": {"@type": "no/Such", "list": [{"a": 1}]}}
    found = read(document)
    before = found.to_json()
    document["name"] = "other"
    document["metadata"]["list"][0]["a"] = 2
    document["metadata"]["list"].append(3)
    assert (found.name, found.to_json()) == (NAME, before)


@pytest.mark.parametrize("source", SOURCES)
def test_handed_out_is_a_copy(source: str) -> None:
    """Nothing a snapshot hands out can change it (SNAP-5)."""
    made = snapshot(proto(metadata=METADATA, response=INSTANCE), method(), source=source, registry=REGISTRY)
    failed = snapshot(proto(error=status(3, "bad", INFO)), source=source)
    before = made.to_bytes(), failed.to_bytes()
    made.to_proto().Clear()
    made.result().Clear()
    made.metadata.Clear()
    payloads: list[Any] = [made.response_payload, made.metadata_payload]
    for payload in payloads:
        payload.Clear()
    assert failed.error is not None
    detail: Any = failed.error.details[0]
    detail.Clear()
    assert (made.to_bytes(), failed.to_bytes()) == before
    assert made.result() == InstancePb(name="i", port=6379)
    assert failed.error.error_info == error_details_pb2.ErrorInfo(reason="R", domain="d")


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("attribute", ["name", "done", "state", "has_result", "metadata", "error", "new"])
def test_frozen(attribute: str, source: str) -> None:
    """No attribute of a snapshot can be set or deleted (SNAP-5)."""
    found = snapshot(proto(), source=source)
    with pytest.raises(AttributeError):
        setattr(found, attribute, None)
    with pytest.raises(AttributeError):
        delattr(found, attribute)


def test_no_constructor() -> None:
    """A snapshot is made from something (SNAP-5)."""
    with pytest.raises(TypeError, match="from_proto"):
        Operation()


@pytest.mark.parametrize("source", SOURCES)
def test_raw_message(source: str) -> None:
    """The raw message can always be had, in the one class there is of it (SNAP-5, law 1)."""
    message = proto(metadata=METADATA, error=status(3, "bad", INFO, raw("x.example.com/y", b"\x00\xff")))
    found = snapshot(message, source=source, registry=TypeRegistry(InstancePb, MetadataPb))
    assert same(found.to_proto(), message)
    assert type(found.to_proto()) is ProtoOperation
    assert found.to_proto() is not found.to_proto()


@pytest.mark.parametrize(
    "unknown",
    [b"\xa0\x06\x07", b"\xa2\x06\x03abc", b"\xa3\x06\x08\x01\xa4\x06", b"\xa5\x06abcd"],
    ids=["varint", "bytes", "group", "fixed"],
)
def test_unknown_fields(unknown: bytes) -> None:
    """Fields of a later version of the proto survive, of the operation and of its payloads (SNAP-5)."""
    payload = raw(INSTANCE.type_url, INSTANCE.value + unknown)
    data = proto(metadata=payload, response=payload).SerializeToString() + unknown
    found = Operation.from_bytes(data, CREATE)
    assert found.to_bytes() == data
    assert found.to_proto().SerializeToString() == data
    assert pickle.loads(pickle.dumps(found)).to_bytes() == data
    assert Instance.pb(found.result()).SerializeToString() == payload.value


@pytest.mark.parametrize("other", ["proto", "bytes", "json", "pickle", "copy"])
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("case", STATES)
def test_equal(case: str, source: str, other: str) -> None:
    """Snapshots of one value are equal and hash alike, whatever they were made from (SNAP-5)."""
    found = snapshot(STATES[case][0], CREATE, source=source)
    ways: dict[str, Any] = {"pickle": lambda: pickle.loads(pickle.dumps(found)), "copy": lambda: copy.deepcopy(found)}
    twin = ways[other]() if other in ways else snapshot(STATES[case][0], CREATE, source=other)
    assert found == twin
    assert hash(found) == hash(twin) == hash((found.name, found.done))


@pytest.mark.parametrize("source", SOURCES)
def test_not_equal(source: str) -> None:
    """Snapshots that differ in anything are not equal, nor equal to anything else (SNAP-5)."""
    payloads = (INSTANCE, any_of(InstancePb(name="j")), raw("x/y", b"1"), raw("x/y", b"2"), raw("x/z", b"1"))
    messages = [state[0] for state in STATES.values()] + [proto(metadata=payload) for payload in payloads]
    found = [snapshot(message, source=source) for message in messages]
    equal = {(i, j) for i, left in enumerate(found) for j, right in enumerate(found) if left == right}
    assert equal == {(i, i) for i in range(len(found))}
    others: list[Any] = [None, NAME, messages[0], found[0].to_bytes(), found[0].to_json()]
    assert all(found[0] != other for other in others)


@pytest.mark.parametrize(
    ("left", "right"),
    [(1, True), (0, False), ({"a": [1]}, {"a": [True]}), ("1", 1), (None, 0)],
    ids=["1 and true", "0 and false", "deep", "text", "null"],
)
def test_documents_not_equal(left: Any, right: Any) -> None:
    """Payloads kept as JSON are equal only where the JSON is (SNAP-5, JSON-2)."""
    first, second = (read({"metadata": {"@type": "no/Such", "x": value}}) for value in (left, right))
    assert first != second
    assert first == read(first.to_json())


def test_equal_whatever_is_known() -> None:
    """Whether two snapshots are equal does not depend on the types their readers knew (SNAP-5)."""
    document = {"name": NAME, "metadata": {"@type": U + "google.cloud.redis.v1.Instance", "port": 1}}
    assert read(document) == read(document, registry=TypeRegistry(Instance)) == read(document, CREATE)
    assert snapshot(proto(metadata=INSTANCE)) == snapshot(proto(metadata=INSTANCE), registry=TypeRegistry(Instance))


@pytest.mark.parametrize("field", ["done", "response", "error", "name"])
def test_defaults_written_out(field: str) -> None:
    """A default written out in JSON is no difference, also beside a payload of unknown type (SNAP-5)."""
    document: dict[str, Any] = {"metadata": {"@type": "no/Such", "x": 1}}
    default = {"done": False, "name": ""}.get(field)
    assert read({**document, field: default}) == read(document)


REPRS = {
    "pending": (proto(done=False, metadata=METADATA), (NAME, "RUNNING", "google.cloud.redis.v1.OperationMetadata")),
    "response": (proto(response=INSTANCE), (NAME, "SUCCEEDED", "google.cloud.redis.v1.Instance")),
    "error": (proto(error=status(5, "secret")), (NAME, "FAILED", "NOT_FOUND")),
    "cancelled": (proto(error=status(1, "secret")), (NAME, "CANCELLED")),
    "odd URL": (proto(response=raw("a/b\n\x00/", b"secret")), (NAME, repr("a/b\n\x00/"))),
    "no URL": (proto(response=raw("", b"secret")), (NAME, "SUCCEEDED")),
}


@pytest.mark.parametrize("source", ["proto", "bytes"])
@pytest.mark.parametrize("case", REPRS)
def test_repr(case: str, source: str) -> None:
    """The repr has name, state, types and code, on one line, and no payload (SNAP-5)."""
    message, parts = REPRS[case]
    text = repr(snapshot(message, source=source))
    assert all(part in text for part in parts)
    assert not any(payload in text for payload in ("secret", "6379", "verb", "create"))
    assert "\n" not in text


@pytest.mark.parametrize("source", SOURCES)
def test_copies_are_the_same(source: str) -> None:
    """What cannot change need not be copied (SNAP-5)."""
    found = snapshot(proto(response=INSTANCE), CREATE, source=source)
    assert copy.copy(found) == copy.deepcopy(found) == found


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("case", STATES)
def test_pickle(case: str, source: str, protocol: int) -> None:
    """A snapshot survives pickle with its types (SNAP-5)."""
    found = snapshot(STATES[case][0], CREATE, source=source)
    again = pickle.loads(pickle.dumps(found, protocol))
    assert again == found
    assert (again.name, again.state, again.to_bytes()) == (found.name, found.state, found.to_bytes())
    if case == "response":
        assert type(again.result()) is Instance
        assert again.result() == found.result()


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    ("types_", "registry"),
    [
        (method(response=error_details_pb2.ErrorInfo), REGISTRY),
        (None, REGISTRY),
        (method(response=any_pb2.Any), REGISTRY),
    ],
    ids=["method", "registry", "Any"],
)
def test_pickled_static_types(types_: LroMethod[Any, Any, Any] | None, registry: TypeRegistry, source: str) -> None:
    """Types of generated modules are found again by import (SNAP-5)."""
    found = snapshot(proto(response=INFO), types_, source=source, registry=registry)
    again = pickle.loads(pickle.dumps(found))
    assert type(again.result()) is error_details_pb2.ErrorInfo


@pytest.mark.parametrize("source", SOURCES)
def test_pickled_details(source: str) -> None:
    """The details of an error are found again too, by a registry that knew them (SNAP-5, TYPE-3)."""
    registry = TypeRegistry(Instance)
    found = snapshot(proto(error=status(3, "bad", INSTANCE, raw("x/y", b"\x01"))), source=source, registry=registry)
    again = pickle.loads(pickle.dumps(found))
    assert again.error == found.error
    assert type(again.error.details[0]) is Instance


@pytest.mark.parametrize("source", SOURCES)
def test_pickled_prefix(source: str) -> None:
    """A prefix the registry was told to allow is still allowed after pickle (SNAP-5, TYPE-6)."""
    registry = TypeRegistry(allowed_prefixes=["types.example.com/"])
    payload = any_of(error_details_pb2.ErrorInfo(reason="R"), "types.example.com/")
    found = snapshot(
        proto(response=payload), method(response=error_details_pb2.ErrorInfo), source=source, registry=registry
    )
    assert found.result().reason == "R"
    assert pickle.loads(pickle.dumps(found)).result().reason == "R"


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "registered"])
@pytest.mark.parametrize("source", SOURCES)
def test_pickled_dynamic_types(source: str, declared: bool) -> None:
    """A type that cannot be imported reads as UnknownPayload after pickle, byte for byte (SNAP-5)."""
    animal = message_class(DYNAMIC, "dynamic_zoo.Animal")
    payload = any_of(animal(name="Tom", weight=4))
    types_ = method(response=animal, metadata=animal) if declared else None
    found = snapshot(proto(response=payload, metadata=payload), types_, source=source, registry=DYNAMIC)
    assert found.result() == animal(name="Tom", weight=4)
    again = pickle.loads(pickle.dumps(found))
    for value in (again.result(), again.metadata, again.response_payload, again.metadata_payload):
        assert isinstance(value, UnknownPayload)
    if source != "json":
        assert again.to_bytes() == found.to_bytes()
        assert same(again.response_payload.to_any(), payload)
    assert again.to_json() == found.to_json() or source != "json"


@pytest.mark.parametrize(
    "replacement", [None, struct_pb2.Struct, int, "text"], ids=["gone", "another type", "no type", "text"]
)
def test_pickled_type_moved(replacement: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is gone, or holds something else by now, makes an UnknownPayload and no error (SNAP-5)."""
    module = types.ModuleType("longrunning_unit_module")
    animal = message_class(GENERATED, "longrunning_unit_zoo.Animal")
    monkeypatch.setattr(animal, "__module__", module.__name__, raising=False)
    module.Animal = animal  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    found = operation(method(response=animal), response=any_of(animal(name="Tom")))
    data = pickle.dumps(found)
    assert type(pickle.loads(data).result()) is animal
    if replacement is None:
        monkeypatch.delitem(sys.modules, module.__name__)
    else:
        module.Animal = replacement  # type: ignore[attr-defined]
    assert isinstance(pickle.loads(data).result(), UnknownPayload)


def test_pickle_holds_names() -> None:
    """Pickle holds bytes and full names, not classes (SNAP-5)."""
    data = pickle.dumps(operation(CREATE, response=INSTANCE))
    assert b"google.cloud.redis.v1.Instance" in data
    assert INSTANCE.value in data
    assert b"proto.message" not in data


# -- making one -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"\xff",
        b"\x0a\x05ab",
        b"\x0a\x02\xff\xfe",
        b"\x12\x03\x0a\x01\xff",
        b"\x22\x7f",
        b"\x0b",
        b"\x00\x00",
        None,
        "text",
        5,
    ],
    ids=[
        "truncated",
        "short string",
        "name not UTF-8",
        "URL not UTF-8",
        "short message",
        "open group",
        "tag 0",
        "None",
        "str",
        "int",
    ],
)
def test_not_an_operation(data: Any) -> None:
    """Bytes that are no operation are a PayloadDecodeError (TYPE-2, law 6)."""
    with pytest.raises(PayloadDecodeError, match=r"google\.longrunning\.Operation"):
        Operation.from_bytes(data, CREATE)


def test_no_bytes() -> None:
    """No bytes at all are an operation with nothing set (SNAP-1, SNAP-4)."""
    found = Operation.from_bytes(b"", CREATE)
    assert (found.name, found.done, found.metadata, found.error) == ("", False, None, None)


@pytest.mark.parametrize("other", [empty_pb2.Empty(), INSTANCE, None, b"", "x", ProtoOperation], ids=repr)
def test_another_message(other: Any) -> None:
    """Another message than an operation is refused at once (TYPE-1)."""
    with pytest.raises(TypeError, match=r"google\.longrunning\.Operation"):
        Operation.from_proto(other, CREATE)


def test_dynamic_operation() -> None:
    """An operation of a dynamic class is taken, unknown fields included (TYPE-9, law 1)."""
    _, pool = library()
    dynamic = class_in(pool, "google.longrunning.Operation")
    data = proto(response=INSTANCE).SerializeToString() + b"\xa0\x06\x07"
    found = Operation.from_proto(dynamic.FromString(data), CREATE)
    assert type(found.to_proto()) is ProtoOperation
    assert found.to_bytes() == data


# -- payloads ---------------------------------------------------------------------------------------------------

ANIMAL = message_class(DYNAMIC, "dynamic_zoo.Animal")
VALUES: dict[str, tuple[Any, Any]] = {
    "protobuf": (InstancePb, InstancePb(name="i", port=6379)),
    "proto-plus": (Instance, Instance(name="i", port=6379)),
    "static": (error_details_pb2.ErrorInfo, error_details_pb2.ErrorInfo(reason="R")),
    "dynamic": (ANIMAL, ANIMAL(name="Tom", weight=2**40, kind=1, child=ANIMAL(name="Kit"))),
    "Struct": (struct_pb2.Struct, struct_pb2.Struct(fields={"a": struct_pb2.Value(number_value=1)})),
    "Value": (struct_pb2.Value, struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)),
    "Empty": (empty_pb2.Empty, empty_pb2.Empty()),
    "Duration": (duration_pb2.Duration, duration_pb2.Duration(seconds=1, nanos=5)),
    "wrapper": (wrappers_pb2.Int64Value, wrappers_pb2.Int64Value(value=2**60)),
    "operation": (ProtoOperation, proto(error=status(5))),
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("kind", VALUES)
def test_declared_type(kind: str, source: str) -> None:
    """A payload of the declared type is its value, in the declared class, anew at each call (TYPE-1, TYPE-5, TYPE-9)."""
    cls, value = VALUES[kind]
    found = snapshot(proto(response=any_of(value), metadata=any_of(value)), method(cls, cls), source=source)
    for one, other in ((found.result(), found.result()), (found.metadata, found.metadata)):
        assert one == value
        assert type(one) is cls
        assert one is not other


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("field", ["response", "metadata"])
def test_mismatch(field: str, source: str) -> None:
    """A payload of another type is a TypeMismatchError with operation, field and both types, at every call (TYPE-1)."""
    payloads = {"response": INSTANCE, "metadata": METADATA, field: INFO}
    found = snapshot(proto(**payloads), CREATE, source=source)
    expected = {"response": "google.cloud.redis.v1.Instance", "metadata": "google.cloud.redis.v1.OperationMetadata"}[
        field
    ]
    caught: list[TypeMismatchError] = []
    for _ in range(3):
        with pytest.raises(TypeMismatchError) as error:
            _ = found.result() if field == "response" else found.metadata
        caught.append(error.value)
    assert len({id(error) for error in caught}) == 3
    assert len({str(error) for error in caught}) == 1
    error_ = caught[0]
    assert (error_.name, error_.operation, error_.field) == (NAME, found, field)
    assert (error_.expected, error_.actual) == ((expected,), INFO.type_url)
    assert all(part in str(error_) for part in (NAME, field, expected, "google.rpc.ErrorInfo"))
    # The other field is not in the way, and the payload stays readable.
    assert found.metadata.verb == "create" if field == "response" else found.result().port == 6379
    payload = found.response_payload if field == "response" else found.metadata_payload
    assert payload == error_details_pb2.ErrorInfo(reason="R", domain="d")


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    "types_", [CREATE, None, method(any_pb2.Any, any_pb2.Any)], ids=["declared", "registry", "Any"]
)
@pytest.mark.parametrize(
    "payload", [None, any_pb2.Any(), raw("", b"\x08\x01")], ids=["absent", "empty", "bytes without a type"]
)
def test_no_payload(payload: any_pb2.Any | None, types_: LroMethod[Any, Any, Any] | None, source: str) -> None:
    """Absent metadata, and an Any without a type URL, is None; as a response it is no result (TYPE-2)."""
    fields = {} if payload is None else {"response": payload, "metadata": payload}
    found = snapshot(proto(**fields), types_, source=source)
    assert (found.metadata, found.metadata_payload, found.response_payload, found.has_result) == (
        None,
        None,
        None,
        False,
    )
    with pytest.raises(NoResultError):
        found.result()
    assert same(found.to_proto(), proto(**fields))


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("kind", [kind for kind in VALUES if kind != "Value"])
def test_type_without_bytes(kind: str, source: str) -> None:
    """A type URL without bytes is an empty message (TYPE-2)."""
    cls, _ = VALUES[kind]
    payload = raw(any_of(cls()).type_url)
    found = snapshot(proto(response=payload, metadata=payload), method(cls, cls), source=source)
    assert found.result() == found.metadata == cls()
    assert found.has_result


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("field", ["response", "metadata"])
@pytest.mark.parametrize(
    "cls", [Instance, InstancePb, error_details_pb2.ErrorInfo, ANIMAL], ids=["plus", "pb", "static", "dynamic"]
)
@pytest.mark.parametrize(
    "value", [b"\xff", b"\x0a\x05a", b"\x0b", b"\x0a\x02"], ids=["tag", "string", "group", "length"]
)
def test_corrupt_bytes(value: bytes, cls: Any, field: str, source: str) -> None:
    """Corrupt bytes are a PayloadDecodeError on typed access only, at every call the same (TYPE-2)."""
    payload = raw(any_of(cls()).type_url, value)
    found = snapshot(proto(**{field: payload}), method(cls, cls), source=source)
    texts: set[str] = set()
    for _ in range(2):
        with pytest.raises(PayloadDecodeError) as caught:
            _ = found.result() if field == "response" else found.metadata
        error = caught.value
        assert (error.name, error.field, error.operation) == (NAME, field, found)
        assert (error.expected, error.actual) == ((payload.type_url.removeprefix(U),), payload.type_url)
        texts.add(str(error))
    assert len(texts) == 1
    read_ = found.response_payload if field == "response" else found.metadata_payload
    assert read_ == UnknownPayload(payload.type_url, value)
    assert same(found.to_proto(), proto(**{field: payload}))


@pytest.mark.parametrize("source", SOURCES)
def test_unregistered(source: str) -> None:
    """A type the registry does not know is an UnknownPayload, packed again byte for byte (TYPE-3)."""
    payload = raw(U + "no.Such", b"\xff\x00\x01")
    found = snapshot(proto(response=payload, metadata=payload), source=source)
    for value in (found.result(), found.metadata):
        assert value == UnknownPayload(payload.type_url, payload.value)
        assert same(value.to_any(), payload)


@pytest.mark.parametrize("source", SOURCES)
def test_details(source: str) -> None:
    """Details are decoded where their types are known, and kept byte for byte where they are not (TYPE-3, ERR-2)."""
    unknown = [raw(U + "no.Such", b"\xff"), raw("x/y/z", b"\x00"), raw(INFO.type_url, b"\xff"), any_pb2.Any()]
    found = snapshot(proto(error=status(3, "bad", INFO, *unknown)), source=source)
    assert found.error is not None
    assert found.error.error_info == error_details_pb2.ErrorInfo(reason="R", domain="d")
    assert list(found.error.details[1:]) == [UnknownPayload(any_.type_url, any_.value) for any_ in unknown]
    assert same(found.error.to_proto(), status(3, "bad", INFO, *unknown))
    assert same(found.to_proto().error, status(3, "bad", INFO, *unknown))


@pytest.mark.parametrize("source", SOURCES)
def test_declared_types_in_details(source: str) -> None:
    """Types the method declares are known in details too (TYPE-3)."""
    found = snapshot(proto(error=status(3, "bad", INSTANCE)), CREATE, source=source)
    assert found.error is not None
    assert found.error.details == (Instance(name="i", port=6379),)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    "value",
    [Instance(name="i"), error_details_pb2.ErrorInfo(reason="R"), empty_pb2.Empty()],
    ids=["v1", "v1beta1", "Empty"],
)
def test_or_types(value: Any, source: str) -> None:
    """Each of several declared types is accepted (TYPE-4)."""
    types_ = CREATE.or_types(response=error_details_pb2.ErrorInfo, metadata=error_details_pb2.ErrorInfo)
    types_ = types_.or_types(response=empty_pb2.Empty, metadata=empty_pb2.Empty)
    assert snapshot(proto(response=any_of(value)), types_, source=source).result() == value
    if not isinstance(value, Instance):
        assert snapshot(proto(metadata=any_of(value)), types_, source=source).metadata == value


@pytest.mark.parametrize("source", SOURCES)
def test_or_types_mismatch(source: str) -> None:
    """A type that is none of the declared ones is a TypeMismatchError with all of them (TYPE-1, TYPE-4)."""
    types_ = CREATE.or_types(response=error_details_pb2.ErrorInfo, metadata=error_details_pb2.Help)
    with pytest.raises(TypeMismatchError) as caught:
        snapshot(proto(response=METADATA), types_, source=source).result()
    assert set(caught.value.expected) == {"google.cloud.redis.v1.Instance", "google.rpc.ErrorInfo"}
    assert all(
        name in str(caught.value) for name in (*caught.value.expected, "google.cloud.redis.v1.OperationMetadata")
    )


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    ("payload", "value"),
    [
        pytest.param(INFO, error_details_pb2.ErrorInfo(reason="R", domain="d"), id="known"),
        pytest.param(raw(U + "no.Such", b"\xff"), UnknownPayload(U + "no.Such", b"\xff"), id="unknown"),
        pytest.param(raw("evil/x", b"\xff"), UnknownPayload("evil/x", b"\xff"), id="odd URL"),
        pytest.param(any_of(INFO), INFO, id="Any that holds an Any"),
    ],
)
def test_declared_any(payload: any_pb2.Any, value: Any, source: str) -> None:
    """A declared Any says that the type is not known beforehand, and never that there is an Any in an Any (TYPE-5)."""
    found = snapshot(proto(response=payload, metadata=payload), method(any_pb2.Any, any_pb2.Any), source=source)
    assert found.result() == value
    assert found.metadata == value


@pytest.mark.parametrize("source", SOURCES)
def test_declared_any_or_type(source: str) -> None:
    """Any beside another declared type: the declared class where it fits, the registry for the rest (TYPE-4, TYPE-5)."""
    types_ = method(any_pb2.Any, any_pb2.Any).or_types(response=Instance, metadata=Instance)
    assert snapshot(proto(response=INSTANCE), types_, source=source).result() == Instance(name="i", port=6379)
    assert snapshot(proto(response=INFO), types_, source=source).result() == error_details_pb2.ErrorInfo(
        reason="R", domain="d"
    )
    assert snapshot(proto(response=raw("evil/x", b"1")), types_, source=source).result() == UnknownPayload(
        "evil/x", b"1"
    )


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("url", EVIL_URLS, ids=ascii)
def test_type_url(url: str, source: str) -> None:
    """A URL that is not to be trusted reads, prints and round-trips; typed access is InvalidTypeUrlError (TYPE-6)."""
    payload = raw(url, INSTANCE.value)
    found = snapshot(proto(response=payload, metadata=payload), method(InstancePb, InstancePb), source=source)
    assert found.response_payload == found.metadata_payload == UnknownPayload(url, payload.value)
    assert "6379" not in repr(found) + str(found)
    assert same(found.to_proto(), proto(response=payload, metadata=payload))
    assert read(found.to_json()).to_bytes() == found.to_bytes()
    assert pickle.loads(pickle.dumps(found)) == found
    assert found.has_result
    for field in ("response", "metadata"):
        with pytest.raises(InvalidTypeUrlError) as caught:
            _ = found.result() if field == "response" else found.metadata
        assert (caught.value.field, caught.value.actual, caught.value.name) == (field, url, NAME)
        assert repr(url) in str(caught.value)


@pytest.mark.parametrize("source", SOURCES)
def test_allowed_prefix(source: str) -> None:
    """A prefix the registry was told to allow is allowed, and no other (TYPE-6)."""
    registry = TypeRegistry(Instance, allowed_prefixes=["types.example.com/", "a/b/"])
    for prefix in ("types.example.com/", "a/b/", U):
        message = proto(response=raw(prefix + "google.cloud.redis.v1.Instance", INSTANCE.value))
        assert snapshot(message, CREATE, source=source, registry=registry).result().port == 6379
        assert snapshot(message, source=source, registry=registry).result().port == 6379
        assert (
            snapshot(message, source=source, registry=registry).to_proto().SerializeToString()
            == message.SerializeToString()
        )
    message = proto(response=raw("b/google.cloud.redis.v1.Instance", INSTANCE.value))
    with pytest.raises(InvalidTypeUrlError):
        snapshot(message, CREATE, source=source, registry=registry).result()


@pytest.mark.parametrize("source", SOURCES)
def test_cancelled_by_code_alone(source: str) -> None:
    """Cancelled is an error whose code is 1, and nothing else (SNAP-1)."""
    states = {code: snapshot(proto(error=status(code)), source=source).state for code in code_pb2.Code.values()}
    assert [code for code, state in states.items() if state is OperationState.CANCELLED] == [code_pb2.CANCELLED]
    assert {state for code, state in states.items() if code != 1} == {OperationState.FAILED}


def test_fresh_errors() -> None:
    """Each raise is a fresh exception, without the traceback of an earlier one (ERR-2)."""
    found = operation(CREATE, error=status(5, "gone"))
    caught: list[OperationError] = []
    for _ in range(2):
        with pytest.raises(OperationError) as error:
            found.result()
        caught.append(error.value)
    assert caught[0] is not caught[1]
    assert caught[0].status == caught[1].status


def test_path_is_of_no_concern() -> None:
    """Two methods with the same types make equal snapshots (SNAP-5)."""
    other = LroMethod(path="/a.B/C", request_type=InstancePb, response_type=Instance, metadata_type=Metadata)
    assert CREATE.path == PATH != other.path
    assert operation(other, response=INSTANCE) == operation(CREATE, response=INSTANCE)
