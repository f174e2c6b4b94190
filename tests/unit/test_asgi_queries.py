# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What callers say about replies: enums by number, field masks, indentation."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longrunning.rest._asgi_queries import PLAIN, Options, masked, read_query
from longrunning.server._refusal import Refusal
from longrunning.status import Code

REPLY = frozenset({"name", "metadata", "done", "error", "response", "nextPageToken", "operations"})


def read(query: str, own: frozenset[str] = frozenset()) -> Any:
    """Options and parameters of a query string."""
    return read_query(query.encode(), own=own, reply=REPLY, most=10)


def refused(query: str) -> str:
    """The message of its refusal."""
    with pytest.raises(Refusal) as caught:
        read(query)
    assert caught.value.status.code is Code.INVALID_ARGUMENT
    return caught.value.status.message


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("", PLAIN),
        ("$alt=json", Options()),
        ("alt=json", Options()),
        ("$alt=json;enum-encoding=int", Options(enum_numbers=True)),
        ("%24alt=json%3Benum-encoding%3Dint", Options(enum_numbers=True)),
        ("$prettyPrint=true&alt=json", Options(indent=2)),
        ("prettyPrint=false", Options()),
        ("fields=*", Options()),
        ("fields=", Options()),
        ("fields=name,metadata.percent", Options(mask={"name": None, "metadata": {"percent": None}})),
        (
            "$fields=metadata/create_time,metadata.target",
            Options(mask={"metadata": {"createTime": None, "target": None}}),
        ),
        ("fields=metadata.a,metadata,metadata.b.c", Options(mask={"metadata": None})),
        ("fields=next_page_token,operations.name", Options(mask={"nextPageToken": None, "operations": {"name": None}})),
        ("fields=response.@type", Options(mask={"response": {"@type": None}})),
    ],
)
def test_options(query: str, options: Options) -> None:
    """The system parameters of Google's APIs are honoured, with and without their `$` (REST-2)."""
    found, parameters = read(query)
    assert found == options
    assert not parameters


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("$alt=proto", "$alt"),
        ("alt=media", "alt"),
        ("$alt=json;enum-encoding=text", "$alt"),
        ("alt=", "alt"),
        ("prettyPrint=1", "prettyPrint"),
        ("prettyPrint=", "prettyPrint"),
        ("alt=json&$alt=json", "twice"),
        ("fields=name,", "fields"),
        ("fields=operations(name)", "parentheses"),
        ("fields=metadata.*", "wildcards"),
        ("fields=..", "fields"),
        ("fields=nosuch", "the reply has no field 'nosuch'"),
        ("fields=name.x,nosuch.y", "'nosuch'"),
        ("fields=" + "a," * 2000, "longer than"),
        ("fields=name%0D%0Ax", "fields"),
    ],
)
def test_wrong_options(query: str, said: str) -> None:
    """What cannot be honoured is refused, and not ignored (REST-2)."""
    assert said in refused(query)


def test_fields_of_the_request_come_first() -> None:
    """A request with a field called `fields` gets it; the mask still goes by its other name (REST-1)."""
    own = frozenset({"fields", "alt"})
    options, parameters = read("fields=a&alt=b&$fields=name", own)
    assert options.mask == {"name": None}
    assert parameters == [("fields", "a"), ("alt", "b")]


def test_the_rest_is_the_request() -> None:
    """All other parameters are left to the request, in order and decoded once (REST-1)."""
    assert read("b=%2541&a=1&b=&a=+%2B")[1] == [("b", "%41"), ("a", "1"), ("b", ""), ("a", " +")]


DOCUMENT = {
    "name": "n",
    "metadata": {"@type": "t", "percent": 5, "steps": [{"a": 1, "b": 2}, {"b": 3}], "at": {"x": {"y": 1}}},
    "done": True,
    "response": {"@type": "t", "byKey": {"a_key": {"x": 1}, "aKey": 2, "Ü": 3}},
}


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ("name", {"name": "n"}),
        ("error", {}),
        ("metadata.percent", {"metadata": {"@type": "t", "percent": 5}}),
        ("metadata.steps.a,done", {"metadata": {"@type": "t", "steps": [{"a": 1}, {}]}, "done": True}),
        ("metadata.at.x.y.z.deeper", {"metadata": {"@type": "t", "at": {"x": {"y": 1}}}}),
        ("metadata.nosuch", {"metadata": {"@type": "t"}}),
        ("name.x", {"name": "n"}),
        ("response.byKey.a_key", {"response": {"@type": "t", "byKey": {"a_key": {"x": 1}, "aKey": 2}}}),
        ("response.by_key.a_key.y", {"response": {"@type": "t", "byKey": {"a_key": {}, "aKey": 2}}}),
    ],
)
def test_masks(fields: str, left: Any) -> None:
    """A mask leaves what it names, in the order of the document, and payloads their type (REST-2)."""
    assert masked(DOCUMENT, read(f"fields={fields}")[0].mask) == left


@given(st.text(max_size=30))
def test_any_query(text: str) -> None:
    """Whatever stands in a query string is read or refused: nothing else happens (REST-2)."""
    with suppress(Refusal):
        read(quote(text, safe="=&;+,.$%", errors="surrogatepass"))
