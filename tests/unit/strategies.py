# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What hypothesis draws from: payloads, operations, documents, legal or not."""

from __future__ import annotations

import json
from typing import Any

from google.protobuf import (
    any_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    json_format,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.rpc import error_details_pb2, status_pb2
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from tests.unit.builders import (
    DYNAMIC,
    GENERATED,
    InstancePb,
    MetadataPb,
    ProtoOperation,
    U,
    any_of,
    file_set,
    message_class,
    zoo,
)

Strategy = SearchStrategy[Any]

ANIMALS = (message_class(DYNAMIC, "dynamic_zoo.Animal"), message_class(GENERATED, "longrunning_unit_zoo.Animal"))
KNOWN: tuple[Any, ...] = (
    InstancePb, MetadataPb, *ANIMALS, error_details_pb2.ErrorInfo, error_details_pb2.Help, status_pb2.Status, struct_pb2.Struct,
    struct_pb2.Value, duration_pb2.Duration, timestamp_pb2.Timestamp, field_mask_pb2.FieldMask, empty_pb2.Empty, any_pb2.Any,
    wrappers_pb2.StringValue, wrappers_pb2.BytesValue, wrappers_pb2.DoubleValue, ProtoOperation,
)  # fmt: skip

# -- payloads ---------------------------------------------------------------------------------------------------

TEXT: SearchStrategy[str] = st.text(st.characters(codec="utf-8"), max_size=12)
KNOWN_URLS = [U + cls.DESCRIPTOR.full_name for cls in KNOWN]
ODD_URLS = [
    "types.example.com/standard/id",
    "evil.example.com/google.protobuf.Empty",
    "a/b/c",
    "",
    "/",
    U,
    U + "..",
    U + "\x00",
]
URLS: SearchStrategy[str] = st.sampled_from([*KNOWN_URLS, *ODD_URLS, U + "no.Such"]) | TEXT
STRANGE_URLS: SearchStrategy[str] = st.one_of(
    TEXT.map("no.such/".__add__), TEXT.map((U + "no.such.").__add__), st.sampled_from(["a/b/c", "x", U, U + "\x00"])
)
CODES = st.integers(0, 16) | st.integers(-(2**31), 2**31 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
INT32 = st.integers(-(2**31), 2**31 - 1)


# Maps have one entry at most: the order of several in bytes is not defined.


def _nested(inner: Strategy) -> Strategy:
    return st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=1)


def _struct(value: dict[str, Any]) -> struct_pb2.Struct:
    return json_format.ParseDict(value, struct_pb2.Struct())


def _value(value: Any) -> struct_pb2.Value:
    return json_format.ParseDict(value, struct_pb2.Value())


STRUCT_JSON: Strategy = st.recursive(st.none() | st.booleans() | INT32 | FLOATS | TEXT, _nested, max_leaves=8)
TIMES = st.builds(timestamp_pb2.Timestamp, seconds=st.integers(0, 2**31), nanos=st.integers(0, 10**9 - 1))
LEAVES: Strategy = st.one_of(
    st.builds(
        InstancePb, name=TEXT, port=INT32, labels=st.dictionaries(TEXT, TEXT, max_size=1), tier=st.integers(0, 9)
    ),
    st.builds(MetadataPb, verb=TEXT, cancel_requested=st.booleans(), create_time=TIMES),
    st.builds(error_details_pb2.ErrorInfo, reason=TEXT, metadata=st.dictionaries(TEXT, TEXT, max_size=1)),
    st.dictionaries(TEXT, STRUCT_JSON, max_size=1).map(_struct),
    STRUCT_JSON.map(_value),
    st.builds(duration_pb2.Duration, seconds=st.integers(0, 10**9), nanos=st.integers(0, 10**9 - 1)),
    st.builds(field_mask_pb2.FieldMask, paths=st.lists(st.sampled_from(["foo", "bar_baz", "a.b_c"]), max_size=2)),
    st.builds(wrappers_pb2.StringValue, value=TEXT),
    st.builds(wrappers_pb2.BytesValue, value=st.binary(max_size=9)),
    st.builds(wrappers_pb2.DoubleValue, value=st.floats()),
    st.builds(wrappers_pb2.FloatValue, value=st.floats(width=32)),
    st.builds(wrappers_pb2.UInt64Value, value=st.integers(0, 2**64 - 1)),
    st.builds(empty_pb2.Empty),
)


def _animal(name: str, weight: int, kind: int, tags: list[any_pb2.Any], by_name: dict[str, any_pb2.Any]) -> Any:
    made = ANIMALS[1](name=name, weight=weight, kind=kind)
    made.tags.extend(tags)
    for key, tag in by_name.items():
        made.child.by_name[key].CopyFrom(tag)
    return made


def _holders(inner: Strategy) -> Strategy:
    packed = inner.map(any_of)
    several = st.lists(packed, max_size=2)
    weights = st.integers(-(2**63), 2**63 - 1)
    return st.one_of(
        packed,
        st.builds(status_pb2.Status, code=CODES, message=TEXT, details=several),
        st.builds(ProtoOperation, name=TEXT, done=st.booleans(), metadata=packed),
        st.builds(ProtoOperation, response=packed),
        st.builds(_animal, TEXT, weights, st.integers(0, 2), several, st.dictionaries(TEXT, packed, max_size=1)),
    )


MESSAGES: Strategy = st.recursive(LEAVES, _holders, max_leaves=5)
KNOWN_PAYLOADS: SearchStrategy[any_pb2.Any] = MESSAGES.map(any_of)
PAYLOADS = st.builds(any_pb2.Any, type_url=URLS, value=st.binary(max_size=20)) | KNOWN_PAYLOADS
STRANGE_PAYLOADS = st.builds(any_pb2.Any, type_url=STRANGE_URLS, value=st.binary(max_size=20))


@st.composite
def operations(draw: DrawFn, payload: SearchStrategy[any_pb2.Any] = PAYLOADS) -> Any:
    """Operations of every shape, well-formed or not."""
    made = ProtoOperation(name=draw(TEXT), done=draw(st.booleans()))
    if draw(st.booleans()):
        made.metadata.CopyFrom(draw(payload))
    result = draw(st.sampled_from(["response", "error", "none"]))
    if result == "response":
        made.response.CopyFrom(draw(payload))
    elif result == "error":
        made.error.code, made.error.message = draw(CODES), draw(TEXT)
        made.error.details.extend(draw(st.lists(payload, max_size=2)))
    return made


# -- documents --------------------------------------------------------------------------------------------------

KEYS = [
    "@type", "@bytes", "value", "name", "done", "metadata", "response", "error", "code", "message", "details", "port", "tags",
    "byName", "tag", "child", "fields",
]  # fmt: skip
SOME_KEYS = st.sampled_from(KEYS)
JSON_URLS = st.sampled_from([*KNOWN_URLS, U + "no.Such", "x", "", "a/b/c"])
ODD_SCALARS: Strategy = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**64), 2**64), FLOATS, TEXT, JSON_URLS,
    st.sampled_from(["AA==", "\x01any0", "\x01any0:0", "1s", "5"]),
)  # fmt: skip


def _payload(url: str, rest: dict[str, Any]) -> dict[str, Any]:
    return {"@type": url, **rest}


def _odd(inner: Strategy) -> Strategy:
    return st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(SOME_KEYS | TEXT, inner, max_size=4),
        st.builds(_payload, JSON_URLS, st.dictionaries(SOME_KEYS, inner, max_size=3)),
    )


ODD_JSON: Strategy = st.recursive(ODD_SCALARS, _odd, max_leaves=12)
ODD_PAYLOADS: Strategy = st.builds(_payload, JSON_URLS, st.dictionaries(SOME_KEYS, ODD_JSON, max_size=3)) | ODD_JSON
_ERROR: Strategy = st.fixed_dictionaries(
    {}, optional={"code": CODES, "message": TEXT, "details": st.lists(ODD_PAYLOADS, max_size=2)}
)
_NOTHING: dict[str, Strategy] = {}
_COMMON: dict[str, Strategy] = {"name": TEXT, "done": st.booleans(), "metadata": ODD_PAYLOADS}
DOCUMENTS: SearchStrategy[dict[str, Any]] = st.one_of(
    st.fixed_dictionaries(_NOTHING, optional={**_COMMON, "response": ODD_PAYLOADS, "x": ODD_JSON}),
    st.fixed_dictionaries({"error": _ERROR | ODD_JSON}, optional=_COMMON),
    st.dictionaries(SOME_KEYS, ODD_JSON, max_size=5),
)


def _broken(document: dict[str, Any], at: int, more: str) -> str:
    text = json.dumps(document)
    return text[:at] + more + text[at:]


JSON_TEXTS: SearchStrategy[str] = st.one_of(
    st.text(max_size=30),
    st.text(st.sampled_from('{}[]",:\\u0d8+-.eE1 nulltrueNaIfy@typername\ud800'), max_size=30),
    ODD_JSON.map(json.dumps),
    st.builds(_broken, DOCUMENTS, st.integers(0, 40), st.text(max_size=3)),
)


def _python(inner: Strategy) -> Strategy:
    keys = st.text(max_size=3) | st.integers() | st.none()
    return st.lists(inner, max_size=3) | st.tuples(inner) | st.dictionaries(keys, inner, max_size=3)


OBJECTS: Strategy = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=3) | st.binary(max_size=2) | st.complex_numbers(),
    _python,
    max_leaves=6,
)


def _overwritten(at: int, more: bytes) -> bytes:
    data = file_set(zoo("zoo"))
    return data[:at] + more + data[at + len(more) :]


DESCRIPTOR_SETS: SearchStrategy[bytes] = st.binary(max_size=40) | st.builds(
    _overwritten, st.integers(0, 700), st.binary(min_size=1, max_size=2)
)
