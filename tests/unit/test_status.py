# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The status: codes, decoded details, and what it is as a value."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from google.protobuf import any_pb2, duration_pb2, empty_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

from longrunning._any import UnknownPayload
from longrunning.errors import UnknownTypeError
from longrunning.registry import TypeRegistry
from longrunning.status import Code, Status
from tests.unit.builders import (
    DYNAMIC,
    Instance,
    InstancePb,
    U,
    any_of,
    class_in,
    file_set,
    library,
    message_class,
    nested_any,
    nested_struct,
    raw,
    same,
    status,
    zoo,
)

DETAILS: dict[str, Any] = {
    "error_info": error_details_pb2.ErrorInfo(reason="R", domain="d", metadata={"a": "b"}),
    "retry_info": error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=3)),
    "debug_info": error_details_pb2.DebugInfo(stack_entries=["a"], detail="x"),
    "quota_failure": error_details_pb2.QuotaFailure(violations=[error_details_pb2.QuotaFailure.Violation(subject="s")]),
    "precondition_failure": error_details_pb2.PreconditionFailure(
        violations=[error_details_pb2.PreconditionFailure.Violation(type="t")]
    ),
    "bad_request": error_details_pb2.BadRequest(
        field_violations=[error_details_pb2.BadRequest.FieldViolation(field="f")]
    ),
    "request_info": error_details_pb2.RequestInfo(request_id="r"),
    "resource_info": error_details_pb2.ResourceInfo(resource_type="t", resource_name="n"),
    "help": error_details_pb2.Help(links=[error_details_pb2.Help.Link(url="u")]),
    "localized_message": error_details_pb2.LocalizedMessage(locale="en", message="m"),
}
UNKNOWN = (
    raw(U + "no.Such", b"\xff\x00"),
    raw("a/b/c", b"x"),
    raw("", b"x"),
    any_pb2.Any(),
    raw(U + "google.rpc.Help", b"\xff"),
)


def test_codes() -> None:
    """The codes are those of google.rpc.Code (SNAP-4, ERR-2)."""
    assert {code.name: code.value for code in Code} == dict(code_pb2.Code.items())


@pytest.mark.parametrize("code", [*range(17), 17, 99, -1, 2**31 - 1])
def test_code(code: int) -> None:
    """A known code is a Code, an unknown one stays a number, and both are written as they were (SNAP-4)."""
    found = Status.from_proto(status(code))
    assert found.code == code
    assert type(found.code) is (Code if code < 17 and code >= 0 else int)
    assert found.to_proto().code == code
    assert Status(code) == Status.from_proto(status_pb2.Status(code=code))
    assert str(code) in str(found)


@pytest.mark.parametrize("code", [2**31, -(2**31) - 1, 3.7, None, [], 10**400], ids=lambda code: repr(code)[:20])
def test_no_code(code: Any) -> None:
    """What is no 32-bit number is no code, and refused where the status is made (SNAP-4)."""
    with pytest.raises((TypeError, ValueError)):
        Status(code)


def test_every_detail_has_an_accessor() -> None:
    """Each message of error_details.proto has its accessor (ERR-2)."""
    assert {detail.DESCRIPTOR.name for detail in DETAILS.values()} == set(
        error_details_pb2.DESCRIPTOR.message_types_by_name
    )


@pytest.mark.parametrize("name", DETAILS)
def test_accessor(name: str) -> None:
    """An accessor gives the first detail of its type, decoded, or None (ERR-2)."""
    cls: Any = DETAILS[name].__class__
    later = cls()
    found = Status.from_proto(status(3, "bad", *UNKNOWN, any_of(DETAILS[name]), any_of(later)))
    assert getattr(found, name) == DETAILS[name] == found.find(cls)
    others = [other for other in DETAILS if other != name]
    assert [getattr(found, other) for other in others] == [None] * len(others)


def test_all_details() -> None:
    """All details at once, in their order (ERR-2)."""
    found = Status.from_proto(status(3, "bad", *map(any_of, DETAILS.values())))
    assert list(found.details) == list(DETAILS.values())
    assert [getattr(found, name) for name in DETAILS] == list(DETAILS.values())
    assert found.to_proto() == status(3, "bad", *map(any_of, DETAILS.values()))


@pytest.mark.parametrize("payload", UNKNOWN, ids=lambda payload: ascii(payload.type_url))
def test_unknown_detail(payload: any_pb2.Any) -> None:
    """A detail that is not understood is kept, and packed again byte for byte (TYPE-3)."""
    found = Status.from_proto(status(3, "bad", payload))
    assert found.details == (UnknownPayload(payload.type_url, payload.value),)
    assert same(found.to_proto(), status(3, "bad", payload))
    assert pickle.loads(pickle.dumps(found)) == found
    assert Status(3, "bad", found.details) == found


def test_detail_under_allowed_prefix() -> None:
    """A detail under a prefix the registry allows is decoded, and its registry understands it again (TYPE-6, TYPE-3)."""
    registry = TypeRegistry(allowed_prefixes=["types.example.com/"])
    found = Status.from_proto(status(3, "", any_of(DETAILS["error_info"], "types.example.com/")), registry=registry)
    assert found.error_info == DETAILS["error_info"]
    assert Status.from_proto(found.to_proto(), registry=registry) == found


def test_detail_from_json() -> None:
    """A detail of unknown type that came from JSON has no bytes (JSON-2)."""
    with pytest.raises(UnknownTypeError):
        Status(3, "", (UnknownPayload("x/y", document="{}"),)).to_proto()


@pytest.mark.parametrize("given", [Instance, InstancePb], ids=["proto-plus", "protobuf"])
@pytest.mark.parametrize("wanted", [Instance, InstancePb], ids=["proto-plus", "protobuf"])
def test_find(given: Any, wanted: Any) -> None:
    """A proto-plus class and the one under it are one type in details too; the one asked for is returned (TYPE-8, ERR-2)."""
    made: list[Any] = [
        Status(3, "", (given(name="i"),)),
        Status.from_proto(status(3, "", any_of(InstancePb(name="i"))), registry=TypeRegistry(given)),
    ]
    for found in made:
        assert type(found.find(wanted)) is wanted
        assert found.find(wanted) == wanted(name="i")
        assert found.find(error_details_pb2.ErrorInfo) is None


def test_find_incomplete() -> None:
    """A detail without its required fields is found under another class of the same name (TYPE-9, law 4)."""
    one = message_class(DYNAMIC, "dynamic_zoo.Strict")
    other = message_class(TypeRegistry.from_file_descriptor_set(file_set(zoo("dynamic_zoo"))), "dynamic_zoo.Strict")
    assert one is not other
    assert type(Status(3, "", (one(),)).find(other)) is other


@pytest.mark.parametrize("cls", [int, None, "google.rpc.Help"], ids=repr)
def test_find_no_class(cls: Any) -> None:
    """What is no message class cannot be looked for (TYPE-9)."""
    with pytest.raises(TypeError):
        Status(3).find(cls)


def test_find_across_pools() -> None:
    """A detail is found under a class of the same name from another pool (TYPE-8, TYPE-9)."""
    _, pool = library()
    dynamic = class_in(pool, "google.rpc.ErrorInfo")
    found = Status(3, "", (dynamic(reason="R"),))
    assert found.error_info is not None
    assert found.error_info.reason == "R"
    assert type(found.find(error_details_pb2.ErrorInfo)) is error_details_pb2.ErrorInfo


def test_own_copies() -> None:
    """A status keeps copies of its details, and takes any sequence (SNAP-5)."""
    detail = error_details_pb2.ErrorInfo(reason="R")
    given: Any = [detail]
    found = Status(Code.ABORTED, "m", given)
    detail.reason = "S"
    given.append(detail)
    assert found.details == (error_details_pb2.ErrorInfo(reason="R"),)


@pytest.mark.parametrize("field", ["code", "message", "details", "new"])
def test_frozen(field: str) -> None:
    """A status is frozen (SNAP-5)."""
    with pytest.raises((AttributeError, TypeError)):
        setattr(Status(3), field, 5)


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(Status(0), id="nothing"),
        pytest.param(Status(99, "é"), id="unknown code"),
        pytest.param(Status(3, "bad", tuple(DETAILS.values())), id="details"),
        pytest.param(Status(3, "bad", (Instance(name="i"), UnknownPayload("x/y", b"1"))), id="proto-plus"),
        pytest.param(Status(3, "bad", (UnknownPayload("x/y", document="{}"),)), id="JSON"),
    ],
)
def test_value(found: Status) -> None:
    """A status is a value: compared, hashed, copied, pickled (ERR-2, SNAP-5)."""
    for twin in (pickle.loads(pickle.dumps(found)), copy.copy(found), copy.deepcopy(found)):
        assert twin == found
        assert hash(twin) == hash(found)
        assert [type(detail) for detail in twin.details] == [type(detail) for detail in found.details]
    assert found != Status(found.code, found.message + "x", found.details)
    assert found != Status(found.code, found.message, (*found.details, empty_pb2.Empty()))


@pytest.mark.parametrize("within", [*UNKNOWN, nested_any(500)], ids=lambda payload: ascii(payload.type_url))
def test_equal_whatever_is_within(within: any_pb2.Any) -> None:
    """Statuses compare, whatever their details hold that nobody here knows (ERR-2, TYPE-7, TYPE-9)."""
    proto = status(3, "", any_of(status(4, "", within)), any_of(within))
    assert Status.from_proto(proto) == Status.from_proto(proto)
    assert Status.from_proto(proto) != Status.from_proto(
        status(3, "", any_of(status(4, "", within, within)), any_of(within))
    )


def test_pickled_dynamic_detail() -> None:
    """A detail whose type cannot be imported reads as UnknownPayload after pickle, byte for byte (SNAP-5)."""
    animal = message_class(DYNAMIC, "dynamic_zoo.Animal")(name="Tom")
    again = pickle.loads(pickle.dumps(Status(3, "", (animal,))))
    assert again.details == (UnknownPayload(any_of(animal).type_url, any_of(animal).value),)


@pytest.mark.parametrize(
    ("found", "parts"),
    [
        (Status(5, "gone"), ("NOT_FOUND (5)", "gone")),
        (Status(99, "new"), ("99", "new")),
        (Status(0), ("OK (0)",)),
        (Status(3, "bad", (DETAILS["error_info"],)), ("INVALID_ARGUMENT", "bad", "ErrorInfo", "R", "d")),
        (Status(3, "bad", (DETAILS["bad_request"],)), ("BadRequest", "field_violations")),
        (Status(3, "bad", (Instance(name="i"),)), ("google.cloud.redis.v1.Instance", "i")),
        (Status(3, "bad", (UnknownPayload("a/b\n", b"secret"),)), (repr("a/b\n"), "6 bytes")),
    ],
    ids=["code", "unknown code", "OK", "ErrorInfo", "BadRequest", "proto-plus", "unknown"],
)
def test_text(found: Status, parts: tuple[str, ...]) -> None:
    """The text of a status is one line with code, message and decoded details (ERR-2)."""
    assert all(part in str(found) for part in parts)
    assert "secret" not in str(found)
    assert "\n" not in str(found)


@pytest.mark.parametrize("levels", [90, 100, 101, 500, 100_000])
@pytest.mark.parametrize("make", [nested_any, nested_struct], ids=["Any", "Struct"])
def test_deep_text(make: Any, levels: int) -> None:
    """Details of any depth can be read, printed, pickled and packed again (TYPE-7, ERR-2)."""
    found = Status.from_proto(status(3, "bad", make(levels)))
    assert len(str(found)) < 1_000
    assert found.to_proto().SerializeToString() == status(3, "bad", make(levels)).SerializeToString()
    assert pickle.loads(pickle.dumps(found)).to_proto().SerializeToString() == found.to_proto().SerializeToString()


def test_dynamic_status() -> None:
    """A status of a dynamic class is read like any other (TYPE-9)."""
    _, pool = library()
    dynamic = class_in(pool, "google.rpc.Status").FromString(
        status(3, "bad", any_of(DETAILS["help"])).SerializeToString()
    )
    assert Status.from_proto(dynamic) == Status(3, "bad", (DETAILS["help"],))


@pytest.mark.parametrize(
    "other", [None, 5, b"", empty_pb2.Empty(), status_pb2.Status, Status(3)], ids=lambda o: type(o).__name__
)
def test_another_message(other: Any) -> None:
    """What is no google.rpc.Status is a TypeError (TYPE-1)."""
    with pytest.raises(TypeError):
        Status.from_proto(other)


@pytest.mark.parametrize("detail", [None, 5, "x", {}, object()], ids=repr)
def test_no_detail(detail: Any) -> None:
    """What is no message is refused as a detail where the status is made (ERR-2)."""
    with pytest.raises(TypeError):
        Status(3, "", (detail,))
