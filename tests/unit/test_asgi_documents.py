# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Documents that json_format would read, and read as something else: whatever is ambiguous or damaged is refused."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

import pytest
from google.protobuf import struct_pb2
from google.rpc import status_pb2
from hypothesis import example, given
from hypothesis import strategies as st

from longrunning import HttpBinding, TypeRegistry
from longrunning._any import message_type
from longrunning._types import types_for
from longrunning.rest._asgi_transcoding import Transcoder
from tests.unit.builders import U, add_message, file_set, proto_file, same
from tests.unit.test_asgi_transcoding import received, refused, transcoder

_GOOGLE = ("any", "struct", "timestamp", "wrappers")
_FILE = proto_file("documents.proto", "docs", needs=tuple(f"google/protobuf/{name}.proto" for name in _GOOGLE))
add_message(_FILE, "Inner", book_count="int32", data="bytes", child=".docs.Inner")
_REQUEST = add_message(
    _FILE, "Request", name="string", count="int64", data="bytes", inner=".docs.Inner", inners="repeated .docs.Inner",
    struct=".google.protobuf.Struct", value=".google.protobuf.Value", any=".google.protobuf.Any", wrapped=".google.protobuf.BytesValue",
    number=".google.protobuf.Int64Value", time=".google.protobuf.Timestamp", by_number="repeated .docs.Request.ByNumberEntry",
    sizes="repeated double",
)  # fmt: skip
_ENTRY = _REQUEST.nested_type.add(name="ByNumberEntry")
_ENTRY.field.add(name="key", number=1, label=1, type=5)
_ENTRY.field.add(name="value", number=2, label=1, type=12)
_ENTRY.options.map_entry = True


def _google() -> list[Any]:
    from google.protobuf import any_pb2, descriptor_pb2, timestamp_pb2, wrappers_pb2

    files: list[Any] = []
    for module in (any_pb2, struct_pb2, timestamp_pb2, wrappers_pb2):
        file = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        files.append(file)
    return files


REGISTRY: Final = TypeRegistry.from_file_descriptor_set(file_set(*_google(), _FILE))
TYPES: Final = types_for(None, REGISTRY)


def _class() -> Any:
    kind = REGISTRY.find("docs.Request")
    assert kind is not None
    return kind.cls


REQUEST: Final[Any] = _class()
WHOLE: Final = transcoder(REQUEST, "POST", "/v1/x", "*", TYPES)
PART: Final = transcoder(REQUEST, "POST", "/v1/x", "inner", TYPES)
QUERY: Final = transcoder(REQUEST, "PUT", "/v1/x", "", TYPES)
OPAQUE: Final = {
    "@type": U + "docs.Request",
    "@bytes": base64.b64encode(REQUEST(name="n").SerializeToString()).decode(),
}
BOTH: Final = {"bookCount": 1, "book_count": 1}
TWICE: Final = "by both of its names"


def sent(document: Any) -> bytes:
    """A document as it is sent."""
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "document", [OPAQUE, {"@type": "x", "@bytes": "/w=="}, {"@type": "x", "@bytes": 1}, {"@bytes": "", "@type": ""}]
)
def test_a_payload_in_the_place_of_a_message(document: Any) -> None:
    """The opaque form of a payload is one in fields of payloads only: no request comes as bytes, and none loses a part (REST-2)."""
    for body in (
        document,
        {"inner": document},
        {"inners": [document]},
        {"any": {"@type": U + "docs.Inner", "child": document}},
    ):
        assert "@" in refused(WHOLE, "/v1/x", body=sent(body))
    assert "@" in refused(PART, "/v1/x", body=sent(document))


@pytest.mark.parametrize(
    "body",
    [BOTH, {"inner": BOTH}, {"inners": [{}, BOTH]}, {"inner": {"child": BOTH}}, {"any": {"@type": U + "docs.Inner", **BOTH}},
     {"any": {"@type": U + "google.protobuf.Any", "value": {"@type": U + "docs.Inner", **BOTH}}}, {"byNumber": {}, "by_number": {}}],
)  # fmt: skip
def test_a_field_by_both_of_its_names(body: Any) -> None:
    """A field that is there by both of its names is refused on every level, in payloads, too (REST-2)."""
    made = PART if body is BOTH else WHOLE
    assert TWICE in refused(made, "/v1/x", body=sent(body))


BASE64 = ["!!!!", "a b+", "YQ==YQ==", "YWJj\n", "Y", "YQ===", "Yü=="]


@pytest.mark.parametrize("text", BASE64)
def test_bytes_that_are_none(text: str) -> None:
    """Bytes that are no base64 are refused, wherever they stand: what is damaged starts nothing (REST-2)."""
    for body in ({"data": text}, {"inner": {"data": text}}, {"wrapped": text}, {"byNumber": {"1": text}},
                 {"any": {"@type": U + "google.protobuf.BytesValue", "value": text}}):  # fmt: skip
        assert refused(WHOLE, "/v1/x", body=sent(body))


def test_bytes_in_a_url() -> None:
    """Bytes in a URL are base64 of either alphabet; a plus that nobody escaped is a space, and no base64 (REST-1, REST-2)."""
    assert received(QUERY, "/v1/x", "data=-_8&wrapped=%2B/8%3D").data == b"\xfb\xff"
    assert received(QUERY, "/v1/x", "wrapped=%2B/8%3D").wrapped.value == b"\xfb\xff"
    for query in ("data=a+b/", "wrapped=a+b/", "data=!!", "inner.data=!!"):
        assert "base64" in refused(QUERY, "/v1/x", query)
    in_path = transcoder(REQUEST, "PUT", "/v1/{data}", "", TYPES)
    assert received(in_path, "/v1/-_8").data == b"\xfb\xff"
    assert "base64" in refused(in_path, "/v1/!!")


@pytest.mark.parametrize("text", ["1_0", "\u0663", "+4", "\t4", " 4", "", "0x1", "1e99999", "nan", "4 "])
def test_numbers_in_strings(text: str) -> None:
    """A number in a string is one of JSON: nothing else that Python takes for one (REST-2)."""
    for body in (
        {"count": text},
        {"inner": {"bookCount": text}},
        {"number": text},
        {"sizes": [text]},
        {"byNumber": {text: ""}},
    ):
        assert refused(WHOLE, "/v1/x", body=sent(body))


def test_what_json_allows() -> None:
    """All that the JSON mapping allows is taken: numbers in strings, both alphabets, null, payloads of any type (REST-1)."""
    body = {
        "count": "9007199254740993", "data": "-_8", "wrapped": "+/8=", "number": None, "sizes": ["NaN", "-Infinity", "1.5e-3", 2],
        "byNumber": {"-1": "YQ"}, "inner": {"book_count": 1.0}, "inners": [{"data": ""}], "value": {"@type": "x", "@bytes": "!"},
        "struct": {"bookCount": 1, "book_count": 2, "@type": "x", "@bytes": "!"}, "any": {"@type": U + "no.Such", "@bytes": "CAE="},
    }  # fmt: skip
    come = received(WHOLE, "/v1/x", body=sent(body))
    assert (come.count, come.data, come.wrapped.value) == (2**53 + 1, b"\xfb\xff", b"\xfb\xff")
    assert dict(come.by_number) == {-1: b"a"}
    assert come.struct.fields["@bytes"].string_value == come.value.struct_value.fields["@bytes"].string_value == "!"
    assert (come.any.type_url, come.any.value) == (U + "no.Such", b"\x08\x01")
    assert not come.HasField("number")


@pytest.mark.parametrize(
    "query",
    ["value.stringValue=x", "value.numberValue=1", "value=x", "struct=x", "struct.fields=x", "any=x", "any.typeUrl=x", "time.seconds=1",
     "number.value=1", "byNumber.1=YQ", "byNumber=x", "inners=x", "inners.data=YQ", "inner.child." * 60 + "x=1", "inner." + "child." * 2000 + "data="],
)  # fmt: skip
def test_messages_in_a_url(query: str) -> None:
    """A message whose JSON is not that of its fields has no fields in a URL, nor have maps and lists (REST-2, http.proto)."""
    assert refused(QUERY, "/v1/x", query)


def test_parameters_of_newer_callers() -> None:
    """A parameter that is known to mean nothing here is passed over where the message is older than it (REST-1, CTRL-4)."""
    binding = HttpBinding(verb="PUT", path="/v1/x")
    made = Transcoder(message_type(REQUEST), binding, TYPES.find_url, ignored=frozenset({"count", "later"}))
    assert received(made, "/v1/x", "later=true&count=2").count == 2
    assert "no such query parameter" in refused(made, "/v1/x", "later.x=true")


def test_depth() -> None:
    """What is nested too deep for protobuf to read again is refused, and not acknowledged (REST-2)."""

    def struct(levels: int) -> Any:
        return {"struct": {"a": struct(levels - 1)["struct"]} if levels else {}}

    def child(levels: int) -> Any:
        return {"child": child(levels - 1)} if levels else {}

    assert received(WHOLE, "/v1/x", body=sent(struct(30))) is not None
    assert received(WHOLE, "/v1/x", body=sent({"inner": child(90)})) is not None
    deep = [struct(levels) for levels in (34, 40, 97)]
    deep += [body | {"any": {"@type": U + "docs.Inner"}} for body in deep]
    for body in deep:
        assert "deep" in refused(WHOLE, "/v1/x", body=sent(body))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([*BASE64, "1", "x", U + "docs.Inner"]),
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(st.sampled_from(["@type", "@bytes", "value", "inner", "inners", "bookCount", "book_count", "data", "any", "child", "byNumber", "1"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(JSON.filter(lambda value: isinstance(value, dict)))
@example({"any": {"@type": U + "google.protobuf.Any", "value": {"@type": U + "docs.Inner", "@bytes": "/w=="}}})
def test_any_document(document: Any) -> None:
    """Whatever a body holds, there is a message that can be stored and read again, or a refusal (REST-2)."""
    from longrunning.server._refusal import Refusal

    try:
        come = received(WHOLE, "/v1/x", body=sent(document))
    except Refusal:
        return
    assert same(REQUEST.FromString(come.SerializeToString()), come)


def test_a_required_field_beside_the_name() -> None:
    """A request that needs more than the name in its path is refused without it, and not stored (REST-2)."""
    file = proto_file("strict_docs.proto", "strict_docs", syntax="proto2")
    add_message(file, "Strict", name="string", must="required string")
    kind = TypeRegistry.from_file_descriptor_set(file_set(file)).find("strict_docs.Strict")
    assert kind is not None
    made = transcoder(kind.cls, "DELETE", "/v1/{name}")
    assert "required" in refused(made, "/v1/x")
    assert received(made, "/v1/x", "must=y").must == "y"


def test_payloads_of_messages_that_are_known() -> None:
    """A payload in its opaque form is taken as it is, be its type known or not (JSON-2, REST-1)."""
    made = transcoder(status_pb2.Status, "POST", "/v1/s", "*", types_for(None, TypeRegistry()))
    payload = {"@type": U + "google.rpc.ErrorInfo", "@bytes": "CgFS"}
    come = received(made, "/v1/s", body=sent({"details": [payload]}))
    assert come.details[0].value == b"\n\x01R"
