# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Path templates, statuses and ``Retry-After``, beside google-api-core's `path_template`."""

from __future__ import annotations

import inspect
import time
from typing import Any
from urllib.parse import unquote

import pytest
from google.api_core import exceptions, path_template
from hypothesis import given
from hypothesis import strategies as st

from longrunning import Code
from longrunning._http import PathTemplate, code_of_http, retry_after

A_YEAR = 365 * 86400.0
ENCODES = "encode" in inspect.signature(vars(path_template)["get_field"]).parameters
transcode: Any = vars(path_template)["transcode"]
from_http_status: Any = vars(exceptions)["from_http_status"]


@pytest.mark.parametrize(
    ("template", "values", "path"),
    [
        ("/v1/shelves", {}, "/v1/shelves"),
        ("/v1/{name}", {"name": "parent"}, "/v1/parent"),
        ("/v1/{name=**}", {"name": "operations/1"}, "/v1/operations/1"),
        ("/v1/{name=**}/operations", {"name": "projects/p"}, "/v1/projects/p/operations"),
        ("/v1/{name=a/**/b/*}/v2/{id}", {"name": "a/x/y/b/c", "id": "7"}, "/v1/a/x/y/b/c/v2/7"),
        ("/v1/{name=operations/**}:cancel", {"name": "operations/1"}, "/v1/operations/1:cancel"),
        ("/v1/shelves:import", {}, "/v1/shelves:import"),
        ("/v1/{shelf.name=shelves/*}", {"shelf.name": "shelves/1"}, "/v1/shelves/1"),
        ("/v1/{name=**}", {"name": "/uuid"}, "/v1//uuid"),
        ("/v1/{name=**}", {"name": "a b?c#d%2F:e/ü"}, "/v1/a%20b%3Fc%23d%252F%3Ae/%C3%BC"),
        ("/v1/{name=**}", {"name": "a\r\nhost: x"}, "/v1/a%0D%0Ahost%3A%20x"),
    ],
)
def test_expand(template: str, values: dict[str, str], path: str) -> None:
    """A template takes values in, percent-encoded but for their slashes (REST-1, http.proto)."""
    assert PathTemplate(template).expand(values) == path


@pytest.mark.parametrize(
    ("template", "values"),
    [
        ("/v1/{name}", {}),
        ("/v1/{name}", {"name": ""}),
        ("/v1/{name}", {"name": "a/b"}),
        ("/v1/{name=shelves/*}", {"name": "books/1"}),
        ("/v1/{name=shelves/*}", {"name": "shelves/"}),
        ("/v1/{name=shelves/*}", {"name": "shelves/1/books"}),
        ("/v1/*", {}),
    ],
)
def test_unfit_values(template: str, values: dict[str, str]) -> None:
    """A value that is missing, or not of the form the template wants, is refused (REST-1)."""
    with pytest.raises(ValueError, match=r"name|wildcard"):
        PathTemplate(template).expand(values)


@pytest.mark.parametrize("name", ["..", ".", "operations/..", "../v2/secrets", "a/./b", "operations/../../admin"])
def test_dot_segments(name: str) -> None:
    """No value leads out of its place in the path (REST-1)."""
    with pytest.raises(ValueError, match="no path can carry"):
        PathTemplate("/v1/{name=**}").expand({"name": name})


@pytest.mark.parametrize("name", ["..a", "a..b", "...", "v1.2/x.", ".hidden"])
def test_dots(name: str) -> None:
    """Dots that are no segment of their own pass (REST-1)."""
    assert PathTemplate("/v1/{name=**}").expand({"name": name}) == f"/v1/{name}"


@pytest.mark.parametrize(
    "text",
    [
        "", "/", "v1/a", "/v1/", "/v1//a", "/v1/{", "/v1/{a", "/v1/{a}b", "/v1/{a}{b}", "/v1/{a=}", "/v1/{a=b{c}}", "/v1/{a-b}",
        "/v1/{a}/{a}", "/v1/a*", "/v1/{a=*b}", "/v1:", "/v1/{a}:b/c", "/v1/a b", "/v1?a=b", "/v1/a:b:c",
    ],
)  # fmt: skip
def test_no_templates(text: str) -> None:
    """What http.proto does not call a template is none (REST-1)."""
    with pytest.raises(ValueError, match="path template"):
        PathTemplate(text)


def test_repr() -> None:
    """A template shows its text (REST-1)."""
    assert repr(PathTemplate("/v1/{name}")) == "<PathTemplate '/v1/{name}'>"


SEGMENT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="/"), min_size=1, max_size=8)
TEMPLATES = (
    "/v1/{name}",
    "/v1/{name=*}",
    "/v1/{name=**}",
    "/v1/{name=a/*}:verb",
    "/v1/{name=a/**/b/*}/c",
    "/v1/{name=**}/a",
)


@pytest.mark.skipif(not ENCODES, reason="this google-api-core is older than its own encoding of paths")
@given(st.sampled_from(TEMPLATES), st.lists(st.one_of(SEGMENT, st.sampled_from(["a", "b", ".", "..", ""])), max_size=5))
def test_like_api_core(template: str, segments: list[str]) -> None:
    """A value is sent where google-api-core sends it, the same, and refused where it refuses it (REST-1)."""
    value = "/".join(segments)
    try:
        theirs = transcode([{"method": "get", "uri": template}], name=value)["uri"]
    except ValueError:
        theirs = None
    try:
        ours = PathTemplate(template).expand({"name": value})
    except ValueError:
        ours = None
    if {".", ".."} & set(segments):
        assert ours is None  # they look at wildcards in full only
    else:
        assert ours == theirs


@given(st.lists(SEGMENT.filter(lambda segment: segment not in {".", ".."}), min_size=1, max_size=4))
def test_nothing_escapes(segments: list[str]) -> None:
    """Whatever a name holds, the path is ASCII without query, fragment or space, and decodes to it (REST-1)."""
    name = "/".join(segments)
    path = PathTemplate("/v1/{name=**}").expand({"name": name})
    assert path.isascii()
    assert path.isprintable()
    assert not set(path) & set("?# :\\")
    assert unquote(path) == f"/v1/{name}"


# -- statuses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", range(100, 600))
def test_codes(status: int) -> None:
    """Every HTTP status has a code: success is OK, nothing else is (REST-2)."""
    assert (code_of_http(status) is Code.OK) == (200 <= status < 300)


@pytest.mark.parametrize("status", [502, 503, 504])
def test_passing_statuses(status: int) -> None:
    """What proxies say of a server that is away is worth another try (WAIT-6)."""
    assert code_of_http(status) in {Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED}


def test_codes_like_api_core() -> None:
    """A status means the code that google-api-core takes it for, wherever that takes it for one (REST-2)."""
    theirs = {status: from_http_status(status, "") for status in range(300, 600)}
    codes = {status: error.grpc_status_code.value[0] for status, error in theirs.items() if error.grpc_status_code}
    assert codes == {status: code_of_http(status) for status in codes}
    assert len(codes) == 5


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("999999999999", A_YEAR),
        ("9" * 13, A_YEAR),
        ("9" * 400, A_YEAR),
        ("-5", 0.0),
        ("1.5", 0.0),
        ("soon", 0.0),
        ("", 0.0),
        ("\u0665", 0.0),
    ],
)
def test_seconds(value: str, seconds: float) -> None:
    """A Retry-After in seconds is taken as it is, for a year at most; an unreadable one is none (WAIT-8)."""
    assert retry_after(value, "", 0.0) == seconds


@pytest.mark.parametrize(
    ("value", "date", "now", "seconds"),
    [
        ("Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:27:00 GMT", 0.0, 60.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", "", 1792567650.0, 30.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", "yesterday", 1792567650.0, 30.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", "", 1892567650.0, 0.0),
        ("Wed, 21 Oct 9999 07:28:00 GMT", "Wed, 21 Oct 2026 07:27:00 GMT", 0.0, A_YEAR),
        ("Wed, 99 Oct 2026 07:28:00 GMT", "", 0.0, 0.0),
    ],
)
def test_dates(value: str, date: str, now: float, seconds: float) -> None:
    """A Retry-After that names a time counts from the answer's own Date, so that clocks need not agree (WAIT-8)."""
    assert retry_after(value, date, now) == seconds


@pytest.mark.parametrize("value", ["Wed Oct 21 07:28:00 2026", "Wed, 21 Oct 2026 07:28:00 -0000"])
def test_dates_without_a_zone(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A date without a zone, as asctime() writes it, is in GMT, wherever this machine stands (WAIT-8, law 8)."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "America/Los_Angeles")
        time.tzset()
        try:
            assert retry_after(value, "Wed, 21 Oct 2026 07:27:00 GMT", 0.0) == 60.0
        finally:
            patch.undo()
            time.tzset()


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_retry_after(value: str, date: str) -> None:
    """Whatever the header says, it is a time a timer can take (WAIT-8)."""
    assert 0.0 <= retry_after(value, date, 1e9) <= A_YEAR
