# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Type URLs, message types, packing, and payloads of unknown type."""

from __future__ import annotations

import pickle
from typing import Any

import proto as proto_plus  # type: ignore[import-untyped]
import pytest
from google.protobuf import any_pb2, empty_pb2, struct_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2

from longrunning._any import UnknownPayload, decode, message_type, pack, split_type_url, type_name
from longrunning.errors import InvalidTypeUrlError, PayloadDecodeError, UnknownTypeError
from tests.unit.builders import (
    DYNAMIC,
    GENERATED,
    Instance,
    InstancePb,
    ProtoOperation,
    U,
    any_of,
    message_class,
    nested_any,
    raw,
    same,
)

ANIMALS = {
    "dynamic": message_class(DYNAMIC, "dynamic_zoo.Animal"),
    "generated": message_class(GENERATED, "longrunning_unit_zoo.Animal"),
}


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (U + "google.protobuf.Empty", "google.protobuf.Empty"),
        (U + "Shelf", "Shelf"),
        (U + "_a._1.__", "_a._1.__"),
        (U + "A.B.C.d9", "A.B.C.d9"),
        ("types.example.com/x.Y", "x.Y"),
        ("a/b/x.Y", "x.Y"),
    ],
)
def test_good_url(url: str, name: str) -> None:
    """What follows the last slash names the type, and what precedes it is allowed (TYPE-6)."""
    assert split_type_url(url, (U, "types.example.com/", "a/b/")) == name
    assert type_name(url) == name


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "empty"),
        ("x", "no '/'"),
        ("google.protobuf.Empty", "no '/'"),
        ("/", "prefix"),
        ("/google.protobuf.Empty", "prefix"),
        ("types.example.com/standard/id", "prefix"),
        ("evil.example.com/google.protobuf.Empty", "prefix"),
        ("https://type.googleapis.com/google.protobuf.Empty", "prefix"),
        ("type.googleapis.com.evil.com/google.protobuf.Empty", "prefix"),
        ("evil.com/type.googleapis.com/google.protobuf.Empty", "prefix"),
        (" type.googleapis.com/google.protobuf.Empty", "prefix"),
        ("Type.googleapis.com/google.protobuf.Empty", "prefix"),
        ("type.googleapis.com\x00/google.protobuf.Empty", "prefix"),
        (U, "full name"),
        (U + "google.protobuf.Empty/", "prefix"),
        (U + "google.protobuf.Empty ", "full name"),
        (U + "google.protobuf.Empty\n", "full name"),
        (U + "google.protobuf.Empty\x00", "full name"),
        (U + ".google.protobuf.Empty", "full name"),
        (U + "google.protobuf.", "full name"),
        (U + "google..Empty", "full name"),
        (U + "..", "full name"),
        (U + "1a", "full name"),
        (U + "a-b", "full name"),
        (U + "a.1", "full name"),
        (U + "é", "full name"),
        (U + "\uff41", "full name"),
        (U + "a%2eb", "full name"),
        (U + "a?b", "full name"),
        (U + "\ud800", "full name"),
    ],
    ids=ascii,
)
def test_bad_url(url: str, says: str) -> None:
    """Any other URL is an InvalidTypeUrlError that quotes it and says what is wrong (TYPE-6)."""
    with pytest.raises(InvalidTypeUrlError, match=says) as caught:
        split_type_url(url)
    assert caught.value.actual == url
    assert repr(url) in str(caught.value)


@pytest.mark.parametrize("url", ["", "x\ny", U + "a b", U + "\x00", "a/\u202e", U])
def test_name_to_show(url: str) -> None:
    """A name made for showing has nothing in it that a terminal would obey (TYPE-6, SNAP-5)."""
    assert type_name(url).isprintable()


# -- message types ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cls", "pb_class", "full_name"),
    [
        pytest.param(Instance, InstancePb, "google.cloud.redis.v1.Instance", id="proto-plus"),
        pytest.param(InstancePb, InstancePb, "google.cloud.redis.v1.Instance", id="under proto-plus"),
        pytest.param(empty_pb2.Empty, empty_pb2.Empty, "google.protobuf.Empty", id="generated"),
        pytest.param(struct_pb2.Struct, struct_pb2.Struct, "google.protobuf.Struct", id="well-known"),
        pytest.param(error_details_pb2.Help.Link, error_details_pb2.Help.Link, "google.rpc.Help.Link", id="nested"),
        *(pytest.param(cls, cls, cls.DESCRIPTOR.full_name, id=kind) for kind, cls in ANIMALS.items()),
    ],
)
def test_message_type(cls: Any, pb_class: Any, full_name: str) -> None:
    """Protobuf classes, dynamic ones and proto-plus ones are message types (TYPE-9)."""
    kind = message_type(cls)
    assert (kind.cls, kind.pb_class, kind.full_name) == (cls, pb_class, full_name)
    assert type(kind.from_bytes(b"")) is cls


class Impostor:
    """Looks like proto-plus, and is not."""

    @staticmethod
    def pb() -> type[int]:
        """No message class."""
        return int

    wrap = deserialize = pb


class Bomb(Impostor):
    """Explodes when looked at."""

    @staticmethod
    def pb() -> type[int]:
        """Raises."""
        raise RuntimeError("boom")


@pytest.mark.parametrize(
    "cls",
    [int, object, type, Message, proto_plus.Message, None, "google.protobuf.Empty", empty_pb2, empty_pb2.Empty(), Instance(),
     empty_pb2.Empty.DESCRIPTOR, code_pb2.Code, Instance.Tier, Impostor, Bomb, UnknownPayload, len],
    ids=["int", "object", "type", "Message", "proto.Message", "None", "name", "module", "message", "proto-plus message", "descriptor",
         "enum", "proto-plus enum", "impostor", "bomb", "UnknownPayload", "function"],
)  # fmt: skip
def test_no_message_type(cls: Any) -> None:
    """Anything else is a TypeError that says what is needed (TYPE-9)."""
    with pytest.raises(TypeError, match="message type"):
        message_type(cls)


@pytest.mark.parametrize(
    "cls",
    [Instance, InstancePb, ANIMALS["dynamic"], error_details_pb2.ErrorInfo],
    ids=["plus", "pb", "dynamic", "static"],
)
@pytest.mark.parametrize(
    "value", [b"\xff", b"\x0a\x05a", b"\x0b", b"\x0a\x02"], ids=["tag", "string", "group", "length"]
)
def test_decode_corrupt(cls: Any, value: bytes) -> None:
    """Corrupt bytes are a PayloadDecodeError with the type and the size, in every runtime (TYPE-2, TYPE-9)."""
    kind = message_type(cls)
    with pytest.raises(PayloadDecodeError, match=f"{len(value)} bytes.*{kind.full_name}") as caught:
        decode(kind, U + kind.full_name, value)
    assert (caught.value.expected, caught.value.actual) == ((kind.full_name,), U + kind.full_name)


# -- packing ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [Instance(name="i"), InstancePb(name="i"), error_details_pb2.ErrorInfo(reason="R"), ANIMALS["dynamic"](name="Tom"),
     struct_pb2.Struct(), any_of(empty_pb2.Empty()), ProtoOperation()],
    ids=lambda message: type(message).__name__,
)  # fmt: skip
def test_pack(message: Any) -> None:
    """A packed message has the usual URL and its bytes, and the Any is a new one (TYPE-1, TYPE-9)."""
    packed = pack(message)
    assert same(packed, any_of(message))
    assert type(packed) is any_pb2.Any
    assert pack(message) is not packed


@pytest.mark.parametrize(
    "cls",
    [message_class(DYNAMIC, "dynamic_zoo.Strict"), message_class(GENERATED, "longrunning_unit_zoo.Strict")],
    ids=ANIMALS,
)
def test_pack_incomplete(cls: Any) -> None:
    """A message without its required fields is packed as it is (TYPE-9, law 4)."""
    assert same(pack(cls()), any_of(cls()))


@pytest.mark.parametrize("thing", [None, 5, "x", b"", {}, object(), empty_pb2.Empty, Instance], ids=repr)
def test_pack_no_message(thing: Any) -> None:
    """What is no message cannot be packed (TYPE-9)."""
    with pytest.raises(TypeError):
        pack(thing)


@pytest.mark.parametrize(
    "payload",
    [
        raw(U + "no.Such", b"\xff\x00"),
        raw("", b""),
        raw("", b"x"),
        raw("a/b/c", b""),
        raw("\x00", b"\x00"),
        raw(U + "google.protobuf.Empty", b"\xff"),
    ],
    ids=lambda payload: ascii(payload.type_url),
)
def test_unknown_payload(payload: any_pb2.Any) -> None:
    """An UnknownPayload is packed again byte for byte, compares by value, is hashable and picklable (TYPE-3)."""
    unknown = UnknownPayload(payload.type_url, payload.value)
    assert same(pack(unknown), payload)
    assert same(unknown.to_any(), payload)
    assert unknown.to_any() is not unknown.to_any()
    twin = pickle.loads(pickle.dumps(unknown))
    assert twin == unknown
    assert hash(twin) == hash(unknown)
    assert unknown != UnknownPayload(payload.type_url, payload.value + b"x")
    with pytest.raises(AttributeError):
        unknown.value = b""  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]


def test_unknown_payload_from_json() -> None:
    """A payload of unknown type that came from JSON has no bytes to pack (JSON-2, TYPE-3)."""
    unknown = UnknownPayload("x/y", document='{"@type":"x/y"}')
    for convert in (unknown.to_any, lambda: pack(unknown)):
        with pytest.raises(UnknownTypeError) as caught:
            convert()
        assert caught.value.actual == "x/y"


@pytest.mark.parametrize(
    "payload", [UnknownPayload("x/y", b"secret"), UnknownPayload("x/y", document='{"@type":"x/y","a":"secret"}')]
)
def test_unknown_payload_repr(payload: UnknownPayload) -> None:
    """The repr of an UnknownPayload names type and size, and shows nothing of its content (TYPE-3, SNAP-5)."""
    assert "x/y" in repr(payload)
    assert "secret" not in repr(payload)
    assert str(len(payload.value or payload.document or "")) in repr(payload)


@pytest.mark.parametrize("levels", [100, 101, 500, 100_000])
def test_pack_deep(levels: int) -> None:
    """Packing is not limited by what is within (TYPE-7)."""
    payload = nested_any(levels)
    assert pack(payload).value == payload.SerializeToString()
    assert decode(message_type(any_pb2.Any), U, pack(payload).value).type_url == payload.type_url
