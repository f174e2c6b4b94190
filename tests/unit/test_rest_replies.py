# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Answers of HTTP servers: operations, pages, errors in all their shapes, and bodies that are too much."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest
from google.protobuf import any_pb2, json_format
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st

from longrunning import Code, OperationState, Status, TypeRegistry, UnknownPayload
from longrunning._polling import PollFailure
from longrunning._types import types_for
from longrunning.errors import DocumentError, PayloadDecodeError
from longrunning.rest._replies import Body, BodyError, Reply, failure_of, read_operation_reply, read_page_reply

TYPES = types_for(None, TypeRegistry())
HTTP = {
    Code.CANCELLED: 499, Code.UNKNOWN: 500, Code.INVALID_ARGUMENT: 400, Code.DEADLINE_EXCEEDED: 504, Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409, Code.PERMISSION_DENIED: 403, Code.RESOURCE_EXHAUSTED: 429, Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409, Code.OUT_OF_RANGE: 400, Code.UNIMPLEMENTED: 501, Code.INTERNAL: 500, Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500, Code.UNAUTHENTICATED: 401,
}  # fmt: skip


def reply(status: int, body: Any = b"", **headers: str) -> Reply:
    """An answer; anything but bytes is written as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, {key.replace("_", "-"): value for key, value in headers.items()}, data)


def failure(status: int, body: Any = b"", *, optional: bool = False, **headers: str) -> PollFailure:
    """What it says."""
    return failure_of(reply(status, body, **headers), TYPES, 0.0, optional=optional)


def status_of(status: int, body: Any = b"", **headers: str) -> Status:
    """The status in it."""
    return failure_of(reply(status, body, **headers), TYPES, 0.0).status


# -- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", list(HTTP))
def test_codes_by_name(code: Code) -> None:
    """The code of an error body is the one it names, whatever HTTP calls it (REST-2)."""
    body = {"error": {"code": HTTP[code], "message": "m", "status": code.name}}
    assert status_of(HTTP[code], body) == Status(code, "m")
    assert status_of(500, body).code is code


@pytest.mark.parametrize("code", list(HTTP))
def test_codes_without_name(code: Code) -> None:
    """Without a name the code is that of the HTTP status (REST-2)."""
    found = status_of(HTTP[code], {"error": {"code": HTTP[code], "message": "m"}})
    assert HTTP[found.code] == HTTP[code]  # type: ignore[index]
    assert found.message == "m"


@pytest.mark.parametrize(
    "body",
    [
        {"code": 5, "message": "gone", "details": []},
        {"error": "gone", "code": 5, "message": "gone"},
        {"error": {"code": 5, "message": "gone"}},
        {"error": {"code": 5, "message": "gone", "status": "A_NEW_CODE"}},
        {"error": {"code": 404, "message": "gone", "status": 7}},
        {"error": {"message": "gone", "errors": [{"reason": "notFound"}]}},
    ],
)
def test_other_shapes(body: Any) -> None:
    """A bare google.rpc.Status, or one with canonical numbers, is read as well: other gateways write it (REST-2)."""
    assert status_of(404, body) == Status(Code.NOT_FOUND, "gone")


def details() -> tuple[Any, ...]:
    """Three details that are known, in the order of a server."""
    return (
        error_details_pb2.ErrorInfo(reason="QUOTA", domain="redis.googleapis.com", metadata={"a": "b"}),
        error_details_pb2.RetryInfo(retry_delay={"seconds": 7, "nanos": 500_000_000}),  # type: ignore[arg-type]
        error_details_pb2.BadRequest(field_violations=[error_details_pb2.BadRequest.FieldViolation(field="f")]),
    )


def test_details() -> None:
    """The details of an error body are those that gRPC carries in its trailers, decoded the same (ERR-3)."""
    rich = Status(Code.RESOURCE_EXHAUSTED, "quota", details()).to_proto()
    body = {
        "error": {
            "code": 429,
            "message": rich.message,
            "status": "RESOURCE_EXHAUSTED",
            "details": [json_format.MessageToDict(detail) for detail in rich.details],
        }
    }
    found = failure(429, body)
    assert found.status == Status.from_proto(rich)
    assert found.status.error_info == details()[0]
    assert found.retry_after == 7.5


def test_odd_details() -> None:
    """A detail of unknown type is kept as its JSON, what is no detail is left out, and none of it hides the error (ERR-3)."""
    unknown = {"@type": "type.googleapis.com/example.Unknown", "field": [1]}
    wrong = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "soon"}
    body = {"error": {"code": 400, "message": "m", "details": [unknown, 7, None, {"no": "type"}, {"@type": 1}, wrong]}}
    found = status_of(400, body)
    assert found.code is Code.INVALID_ARGUMENT
    assert [type(detail) for detail in found.details] == [UnknownPayload, UnknownPayload]
    assert json.loads(found.details[0].document or "") == unknown  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("status", "body", "kind", "code", "message"),
    [
        (502, b"<html><head><title>502 Bad Gateway</title></head><body>...", "text/html", Code.UNAVAILABLE, "HTTP 502: 502 Bad Gateway"),
        (503, b"", "", Code.UNAVAILABLE, "HTTP 503"),
        (504, b"upstream request timeout", "text/plain", Code.DEADLINE_EXCEEDED, "HTTP 504: upstream request timeout"),
        (404, b'{"detail":"Not Found"}', "application/json", Code.NOT_FOUND, 'HTTP 404: {"detail":"Not Found"}'),
        (403, b"<p>no", "text/html", Code.PERMISSION_DENIED, "HTTP 403"),
        (400, b"[]", "application/json", Code.INVALID_ARGUMENT, "HTTP 400: []"),
        (400, b'{"error": null}', "application/json", Code.INVALID_ARGUMENT, 'HTTP 400: {"error": null}'),
        (418, b"\xff\x00tea\r\n\x1b[31mpot", "text/plain", Code.INVALID_ARGUMENT, "HTTP 418: \ufffd tea [31mpot"),
        (401, b'{"error": "invalid_token"}', "application/json", Code.UNAUTHENTICATED, 'HTTP 401: {"error": "invalid_token"}'),
        (500, b'{"error": {"code": 500, "code": 5}}', "", Code.INTERNAL, 'HTTP 500: {"error": {"code": 500, "code": 5}}'),
    ],
)  # fmt: skip
def test_answers_of_proxies(status: int, body: bytes, kind: str, code: Code, message: str) -> None:
    """An answer without an error in it has the code of its HTTP status, and says what it can (REST-2, WAIT-6)."""
    assert status_of(status, body, content_type=kind) == Status(code, message)


def test_long_answers() -> None:
    """Of a long answer the beginning is shown (REST-2)."""
    assert len(status_of(500, b"x" * 100_000).message) < 250


def test_redirects() -> None:
    """A redirect is an error that names where it leads (REST-1)."""
    found = failure(307, b"", location="https://elsewhere.example/v1/operations/1")
    assert found.status.code is Code.FAILED_PRECONDITION
    assert "https://elsewhere.example/v1/operations/1" in found.status.message
    assert "leads nowhere" in failure(301).status.message


@pytest.mark.parametrize("tail", ["?key=hunter2", "#key=hunter2", "?a#hunter2"])
def test_redirects_with_secrets(tail: str) -> None:
    """Parameters that a redirect echoes, which may be keys, are not repeated (REST-1)."""
    assert failure(308, b"", location=f"https://h/v1/x{tail}").status.message == (
        "HTTP 308: a redirect to 'https://h/v1/x', which is not followed"
    )


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (404, b"<html>", Code.UNIMPLEMENTED),
        (404, b"", Code.UNIMPLEMENTED),
        (404, {"detail": "Not Found"}, Code.UNIMPLEMENTED),
        (404, {"code": 5, "message": "Not Found", "details": []}, Code.UNIMPLEMENTED),
        (404, {"error": {"code": 404, "message": "Method not found.", "status": "NOT_FOUND"}}, Code.UNIMPLEMENTED),
        (405, b"", Code.UNIMPLEMENTED),
        (501, b"", Code.UNIMPLEMENTED),
        (404, {"error": {"code": 404, "message": "operation 'operations/1' not found"}}, Code.NOT_FOUND),
        (403, b"", Code.PERMISSION_DENIED),
    ],
)
def test_methods_that_are_not_there(status: int, body: Any, code: Code) -> None:
    """A 404 by whoever found no way to WaitOperation means that the server does not have it (WAIT-5)."""
    assert failure(status, body, optional=True).status.code is code


def test_methods_that_are_there() -> None:
    """Of any other method a 404 is one of the operation, whoever says it (WAIT-7)."""
    assert failure(404, b"<html>").status.code is Code.NOT_FOUND


@pytest.mark.parametrize(
    ("header", "info", "seconds"),
    [("3", None, 3.0), ("3", "7s", 7.0), ("9", "7s", 9.0), ("", "0.5s", 0.5), ("", "315576000000s", 365 * 86400.0), ("", "-5s", 0.0)],
)  # fmt: skip
def test_retry_after(header: str, info: str | None, seconds: float) -> None:
    """The longer one of Retry-After and RetryInfo is the time to stay away (WAIT-8)."""
    retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": info}
    body = {"error": {"code": 503, "message": "", "details": [retry] if info else []}}
    assert failure(503, body, retry_after=header).retry_after == seconds


def test_retry_after_without_error() -> None:
    """Also a proxy may say when to come back (WAIT-8)."""
    date = "Wed, 21 Oct 2026 07:28:00 GMT"
    assert failure(503, b"<html>", retry_after=date, date="Wed, 21 Oct 2026 07:27:50 GMT").retry_after == 10.0


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["error", "code", "status", "message", "details", "@type", "x"]), inner, max_size=4
        ),
    ),
    max_leaves=12,
)


@given(st.integers(300, 599), st.one_of(st.binary(max_size=60), JSON.map(lambda value: json.dumps(value).encode())))
def test_any_error(status: int, body: bytes) -> None:
    """Whatever a server answers, it is a failure with a code that is not OK (REST-2)."""
    found = failure(status, body)
    assert found.status.code in set(Code) - {Code.OK}
    assert not found.closed


# -- successes ------------------------------------------------------------------------------------------------------


def test_operation() -> None:
    """An operation is read from its JSON, with whatever types its reader knows (REST-1, JSON-1)."""
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "R"}
    found = read_operation_reply(reply(200, {"name": "operations/1", "done": True, "response": info, "new": 1}), TYPES)
    assert found.state is OperationState.SUCCEEDED
    assert found.result() == error_details_pb2.ErrorInfo(reason="R")


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"<html>", b'{"name": 1}', b'{"name": "a", "name": "b"}', b"[" * 1000, b'{"a":' * 200 + b"1" + b"}" * 200, b"\xff{}"],
)  # fmt: skip
def test_no_operation(body: bytes) -> None:
    """What is no operation is a PayloadDecodeError that says what came instead (JSON-3)."""
    with pytest.raises(PayloadDecodeError, match="text/html") as caught:
        read_operation_reply(reply(200, body, content_type="text/html"), TYPES)
    assert isinstance(caught.value.__cause__, DocumentError)


def test_page() -> None:
    """A page has its operations, of mixed and unknown types, the next token, and what cannot be reached (CTRL-4)."""
    items = [
        {"name": "operations/1", "done": True, "error": {"code": 1}},
        {"name": "operations/2", "metadata": {"@type": "type.googleapis.com/example.Unknown", "x": 1}, "newField": {}},
    ]
    body = {"operations": items, "nextPageToken": "t", "unreachable": ["locations/l"], "newField": 1}
    page = read_page_reply(reply(200, body), TYPES)
    assert [item.name for item in page] == ["operations/1", "operations/2"]
    assert isinstance(page.items[1].metadata, UnknownPayload)
    assert (page.next_page_token, page.unreachable) == ("t", ("locations/l",))


@pytest.mark.parametrize("body", [{}, {"operations": None, "nextPageToken": None}, {"operations": []}])
def test_empty_page(body: Any) -> None:
    """An empty page is the last one (CTRL-4)."""
    page = read_page_reply(reply(200, body), TYPES)
    assert (page.items, page.next_page_token, page.unreachable) == ((), "", ())


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"operations": {}}, "operations"),
        ({"operations": [1]}, "operations"),
        ({"operations": [{"name": "a"}, {"name": 1}]}, r"operations\[1\]"),
        (json.loads('{"operations": [{"response": {}, "error": {}}]}'), r"operations\[0\]"),
        ({"unreachable": [1]}, "unreachable"),
        ({"nextPageToken": 7}, "nextPageToken"),
        ([], "object"),
    ],
)
def test_no_page(body: Any, where: str) -> None:
    """What is no page is a PayloadDecodeError that says where it is not (JSON-3, CTRL-4)."""
    with pytest.raises(PayloadDecodeError, match=where):
        read_page_reply(reply(200, body), TYPES)


# -- bodies ---------------------------------------------------------------------------------------------------------


def collected(chunks: list[bytes], limit: int = 100, status: int = 200, **headers: str) -> bytes:
    """A body that came in so."""
    body = Body(status, {key.replace("_", "-"): value for key, value in headers.items()}, limit)
    for chunk in chunks:
        body.add(chunk)
    return body.whole()


@pytest.mark.parametrize("encoding", ["", "identity", " GZIP ", "gzip"])
@given(data=st.binary(max_size=100), cut=st.integers(0, 60))
def test_bodies(encoding: str, data: bytes, cut: int) -> None:
    """A body is read however it is cut, compressed or not (REST-1)."""
    sent = gzip.compress(data) if "gzip" in encoding.lower() else data
    assert collected([sent[:cut], sent[cut:]], content_encoding=encoding) == data


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_bodies_that_are_too_large(encoding: str) -> None:
    """Reading stops where a body is too large (REST-2)."""
    sent = gzip.compress(b"x" * 101) if encoding else b"x" * 101
    with pytest.raises(BodyError, match="larger than 100 bytes") as caught:
        collected([sent], content_encoding=encoding)
    assert caught.value.code is Code.RESOURCE_EXHAUSTED


def test_bombs() -> None:
    """A small body that is large when it is decompressed is not decompressed (REST-2)."""
    bomb = gzip.compress(b"\x00" * (64 << 20), compresslevel=1)
    import tracemalloc

    tracemalloc.start()
    try:
        with pytest.raises(BodyError, match="larger"):
            collected([bomb], limit=1 << 20, content_encoding="gzip")
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_what_follows_the_end() -> None:
    """A body that goes on after the end of its gzip is not collected: reading stops with the first byte too many (REST-2)."""
    body = Body(200, {"content-encoding": "gzip"}, 1 << 20)
    body.add(gzip.compress(b"{}"))
    with pytest.raises(BodyError, match="after the end"):
        body.add(b"\x00")


def test_bodies_of_errors() -> None:
    """The body of an error may be a megabyte long, whatever others may be (REST-2)."""
    with pytest.raises(BodyError, match="larger than 1048576 bytes"):
        collected([b"x" * (1 << 20), b"x"], limit=1 << 30, status=500)


@pytest.mark.parametrize(
    ("sent", "encoding", "problem"),
    [
        (b"x", "br", "not asked for"),
        (b"x", "gzip, gzip", "not asked for"),
        (b"no gzip at all", "gzip", "no gzip"),
        (zlib.compress(b"x"), "gzip", "no gzip"),
        (gzip.compress(b"x" * 50)[:-9], "gzip", "too early"),
        (gzip.compress(b"x") + b"\x00", "gzip", "after the end"),
    ],
)
def test_broken_bodies(sent: bytes, encoding: str, problem: str) -> None:
    """A body that does not decode is an error of its own (REST-2)."""
    with pytest.raises(BodyError, match=problem) as caught:
        collected([sent], content_encoding=encoding)
    assert caught.value.code is Code.INTERNAL


def test_same_as_grpc() -> None:
    """The status of an error body is the one gRPC has in its trailers, byte for byte (ERR-3, REST-2)."""
    unknown = any_pb2.Any()
    unknown.Pack(status_pb2.Status(code=3, message="inner"))
    rich = status_pb2.Status(code=9, message="m", details=[unknown])
    error = {
        "code": 400,
        "message": "m",
        "status": "FAILED_PRECONDITION",
        "details": [json_format.MessageToDict(unknown)],
    }
    assert status_of(400, {"error": error}).to_proto() == rich
