# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Request paths, matched with templates: what the client expands, the server takes apart, and nothing else fits by accident."""

from __future__ import annotations

import time
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from longrunning._http import PathTemplate
from longrunning.rest._asgi_paths import PathPattern, PathTable, below, normalized


def found(template: str, path: str) -> dict[str, str] | None:
    """What a template makes of a path as it was sent."""
    table = PathTable[str]()
    table.add(PathPattern(template), template)
    result = table.find(normalized(path.encode()))
    return None if result is None else result[1]


@pytest.mark.parametrize(
    ("template", "path", "variables"),
    [
        ("/v1/shelves", "/v1/shelves", {}),
        ("/v1/shelves", "/v1/shelves/", None),
        ("/v1/shelves", "/v1/Shelves", None),
        ("/v1/{name}", "/v1/a", {"name": "a"}),
        ("/v1/{name}", "/v1/a/b", None),
        ("/v1/{name}", "/v1/", None),
        ("/v1/{name=shelves/*}", "/v1/shelves/1", {"name": "shelves/1"}),
        ("/v1/{name=shelves/*}", "/v1/shelves/", None),
        ("/v1/{name=shelves/*}", "/v1/shelves/1/books", None),
        ("/v1/{name=**}", "/v1/a/b/c", {"name": "a/b/c"}),
        ("/v1/{name=**}/operations", "/v1/shelves/1/operations", {"name": "shelves/1"}),
        ("/v1/{name=**/operations/*}", "/v1/a/b/operations/op", {"name": "a/b/operations/op"}),
        ("/v1/{name=**/operations/*}", "/v1/operations/op", None),
        ("/v1/{name=operations/**}", "/v1/operations/op", {"name": "operations/op"}),
        ("/v1/{name=operations/**}:cancel", "/v1/operations/op:cancel", {"name": "operations/op"}),
        ("/v1/{name=operations/**}:cancel", "/v1/operations/a:cancel:cancel", {"name": "operations/a:cancel"}),
        ("/v1/{name=operations/**}:cancel", "/v1/operations/op%3Acancel", None),
        ("/v1/{shelf.name=shelves/*}", "/v1/shelves/1", {"shelf.name": "shelves/1"}),
        ("/v1/*/{a}/x/{b=y/*}:go", "/v1/any/1/x/y/2:go", {"a": "1", "b": "y/2"}),
        ("/v1/{a}", "/v1/x+y", {"a": "x+y"}),
        ("/v1/{a}", "/v1/x.y", {"a": "x.y"}),
        ("/v1.2/{a}", "/v1x2/1", None),
    ],
)
def test_matching(template: str, path: str, variables: dict[str, str] | None) -> None:
    """A path is for the template it fits, and binds what http.proto says (REST-1)."""
    assert found(template, path) == variables


@pytest.mark.parametrize(
    ("template", "path", "value"),
    [
        ("/v1/{name}", "/v1/a%2Fb", "a/b"),
        ("/v1/{name=**}", "/v1/a%2Fb/c", "a%2Fb/c"),
        ("/v1/{name=**}", "/v1/a%2fb", "a%2Fb"),
        ("/v1/{name=operations/*}", "/v1/operations/a%2Fb", "operations/a%2Fb"),
        ("/v1/{name}", "/v1/a%252Fb", "a%2Fb"),
        ("/v1/{name}", "/v1/%C3%BC", "ü"),
        ("/v1/{name}", "/v1/a%20b%3Ac", "a b:c"),
        ("/v1/{name=**}", "/v1/%6fperations/%31", "operations/1"),
        ("/v1/{name}", "/v1/a%00%0D%0Ab", "a\0\r\nb"),
    ],
)
def test_escapes(template: str, path: str, value: str) -> None:
    """Escapes are decoded, but a slash that was escaped parts no segments (REST-1, http.proto)."""
    assert found(template, path) == {"name": value}


@pytest.mark.parametrize(
    "path",
    ["/v1/..", "/v1/../x", "/v1/./x", "/v1/x/..", "/v1/%2e%2e/x", "/v1/%2E./x", "/v1/x%", "/v1/%zz", "/v1/%2", "/v1/%", "/v1/\x7f"],
)  # fmt: skip
def test_paths_that_mean_different_things(path: str) -> None:
    """Dot segments, broken escapes and control characters are refused before anything is matched (REST-2)."""
    with pytest.raises(ValueError, match="the path"):
        normalized(path.encode())


@pytest.mark.parametrize("raw", [b"/v1/\xc3\xbc", b"/v1/\xff"])
def test_bytes_beyond_ascii(raw: bytes) -> None:
    """What has to be percent-encoded is refused where it is not (REST-2, RFC 3986)."""
    with pytest.raises(ValueError, match="percent-encoded"):
        normalized(raw)


@pytest.mark.parametrize("path", ["/v1/%ff", "/v1/%C3", "/v1/%ED%A0%80"])
def test_escapes_that_are_no_text(path: str) -> None:
    """Escapes that are no UTF-8, halves of surrogate pairs among them, are refused where something would be found (REST-2)."""
    with pytest.raises(ValueError, match="UTF-8"):
        found("/v1/{name=**}", path)


@pytest.mark.parametrize("path", ["/v1/..a", "/v1/a..", "/v1/...", "/v1/.well-known/x", "/v1/a.b/c"])
def test_harmless_dots(path: str) -> None:
    """Dots that are no segment of their own are text (REST-1)."""
    assert found("/v1/{name=**}", path) == {"name": path.removeprefix("/v1/")}


@pytest.mark.parametrize("template", ["/v1/{a=**}/{b=**}", "/v1/{a}{b}", "/v1/{a", "v1", "/", "/v1//x", "/v1/a*"])
def test_templates_that_are_none(template: str) -> None:
    """A template nobody could match with certainty is refused when it is made (REST-1)."""
    with pytest.raises(ValueError, match="path template"):
        PathPattern(template)


def test_the_first_that_fits() -> None:
    """Of several templates the first one has a path, whatever variables the others have (REST-1)."""
    table = PathTable[int]()
    templates = ("/v1/{name=**}/operations", "/v1/x/y", "/v1/{a}/{b}", "/v1/{name=**}")
    assert table.find("/v1/x") is None
    for number, template in enumerate(templates):
        table.add(PathPattern(template), number)
    assert table.find("/v1/a/operations") == (0, {"name": "a"})
    assert table.find("/v1/x/y") == (1, {})
    assert table.find("/v1/x/z") == (2, {"a": "x", "b": "z"})
    assert table.find("/v1/x/y/z") == (3, {"name": "x/y/z"})
    assert table.find("/v2/x") is None


SEGMENT = st.text(min_size=1, max_size=8).filter(lambda text: text not in {".", ".."})
ENCODABLE = SEGMENT.filter(lambda text: not any("\ud800" <= character <= "\udfff" for character in text))


@given(st.lists(ENCODABLE.filter(lambda text: "/" not in text and "%2f" not in text.lower()), min_size=1, max_size=4))
@example(["a:cancel", "%41", "ü", "a b", "..."])
def test_what_the_client_sends(segments: list[str]) -> None:
    """What the client's templates expand, the server's take apart again, to the same value (REST-1)."""
    value = "/".join(segments)
    for template in ("/v1/{name=**}", "/v1/{name=**}:cancel", "/v1/{name=**}/operations"):
        assert found(template, PathTemplate(template).expand({"name": value})) == {"name": value}


@given(ENCODABLE)
def test_one_segment(value: str) -> None:
    """A variable of one segment takes any text, slashes included, once they are escaped (REST-1, http.proto)."""
    assert found("/v1/{id}/x", f"/v1/{quote(value, safe='')}/x") == {"id": value}


@given(st.binary(max_size=60))
@example(b"/v1/%2e%2e%2fetc")
def test_any_bytes(raw: bytes) -> None:
    """Whatever is sent as a path is either refused or matched: nothing else happens (REST-2)."""
    table = PathTable[str]()
    table.add(PathPattern("/{name=**}"), "")
    try:
        path = normalized(b"/" + raw)
        variables = table.find(path)
    except ValueError:
        return
    assert {".", ".."}.isdisjoint(path.split("/"))
    assert normalized(path.encode()) == path
    if variables is not None:
        variables[1]["name"].encode()


def test_no_template_is_slow() -> None:
    """The longest path takes no time to speak of, however much of it looks like a match (REST-2)."""
    table = PathTable[str]()
    for template in ("/v1/{name=**/operations/*}", "/v1/{name=a/**/b}:x", "/v1/{name=**}/operations"):
        table.add(PathPattern(template), template)
    path = "/v1" + "/operations" * 700 + "/"
    begun = time.perf_counter()
    assert table.find(path) is None
    assert time.perf_counter() - begun < 1.0


@pytest.mark.parametrize(
    ("root", "raw", "path"),
    [
        ("", b"/v1/x", b"/v1/x"),
        ("/api", b"/api/v1/x", b"/v1/x"),
        ("/api", b"/api", b"/"),
        ("/api", b"/api/", b"/"),
        ("/api", b"/v1/x", b"/v1/x"),
        ("/api", b"/apis/v1", b"/apis/v1"),
        ("/a b/c", b"/a%20b/c/v1/%2F", b"/v1/%2F"),
        ("/t/ü", b"/t/%C3%BC/v1", b"/v1"),
    ],
)
def test_below_a_mount(root: str, raw: bytes, path: bytes) -> None:
    """Where the application is mounted its paths begin below, whatever the ASGI server leaves in front (REST-1)."""
    assert below(root, raw) == path
