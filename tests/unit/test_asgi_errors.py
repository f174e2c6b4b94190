# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Refusals as HTTP answers, and what our client makes of them."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from google.api_core import exceptions
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2

from longrunning import Code, Status, TypeRegistry, UnknownPayload
from longrunning._http import code_of_http
from longrunning._types import types_for
from longrunning.errors import StoreUnavailableError
from longrunning.rest._asgi_errors import HTTP_STATUSES, Answer, problem, refuse_with
from longrunning.rest._replies import Reply, failure_of
from longrunning.server._refusal import Refusal, bad_field
from tests.unit.builders import DYNAMIC, message_class

TYPES = types_for(None, TypeRegistry())
ANIMAL: Any = message_class(DYNAMIC, "dynamic_zoo.Animal")
# The codes that stand for several causes, and share the HTTP status of another.
SHARED = {Code.FAILED_PRECONDITION, Code.OUT_OF_RANGE, Code.ALREADY_EXISTS, Code.UNKNOWN, Code.DATA_LOSS}


def error_of(answer: Answer) -> Any:
    """The error in a body."""
    [(key, error)] = json.loads(answer.body).items()
    assert key == "error"
    assert error["code"] == answer.status
    return error


def read(answer: Answer) -> Any:
    """The failure that our client reads."""
    headers = {name.decode(): value.decode() for name, value in answer.headers}
    return failure_of(Reply(answer.status, headers, answer.body), TYPES, 0.0)


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.OK])
def test_codes(code: Code) -> None:
    """Every code has its HTTP status and its name in the body, and comes back as it was (REST-2, ERR-3)."""
    answer = problem(Refusal(Status(code, "why")), "x")
    assert error_of(answer) == {"code": HTTP_STATUSES[code], "message": "why", "status": code.name}
    assert read(answer).status.code is code
    if code not in SHARED:
        assert code_of_http(answer.status) is code


@pytest.mark.parametrize(
    "code", [code for code in Code if code is not Code.OK and code not in SHARED - {Code.OUT_OF_RANGE}]
)
def test_api_core_agrees(code: Code) -> None:
    """google-api-core makes of our status the exception of the code, or of one that shares it (REST-2)."""
    error: Any = vars(exceptions)["from_http_status"](HTTP_STATUSES[code], "m")
    theirs = {
        Code.DEADLINE_EXCEEDED: "GatewayTimeout",
        Code.CANCELLED: "Cancelled",
        Code.UNIMPLEMENTED: "MethodNotImplemented",
    }
    expected: Any = vars(exceptions)[theirs[code]] if code in theirs else None
    if expected is not None:
        assert isinstance(error, expected)
    elif error.grpc_status_code is not None and code is not Code.OUT_OF_RANGE:
        assert HTTP_STATUSES[Code(error.grpc_status_code.value[0])] == HTTP_STATUSES[code]


@pytest.mark.parametrize("code", [0, 17, -1, 2**31 - 1])
def test_codes_that_are_none(code: int) -> None:
    """A status that is no failure, or of an unknown code, is answered as UNKNOWN (REST-2)."""
    assert error_of(problem(Refusal(Status(code, "m")), "x"))["status"] == "UNKNOWN"


def test_details() -> None:
    """Details are in the body, by type, whatever service they are of (ERR-3, REST-2)."""
    unknown = UnknownPayload("type.googleapis.com/no.Such", b"\x08\x01")
    documented = UnknownPayload("type.googleapis.com/no.Such", document='{"@type":"type.googleapis.com/no.Such","x":1}')
    info = error_details_pb2.ErrorInfo(reason="R", metadata={"k": "v"})
    animal = ANIMAL(name="cat", kind=1)
    answer = problem(Refusal(Status(Code.ABORTED, "m", (info, animal, unknown, documented))), "x")
    details = error_of(answer)["details"]
    assert details[0] == {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "R", "metadata": {"k": "v"}}
    assert details[1] == {"@type": "type.googleapis.com/dynamic_zoo.Animal", "name": "cat", "kind": "CAT"}
    assert details[2] == {"@type": "type.googleapis.com/no.Such", "@bytes": "CAE="}
    assert details[3] == {"@type": "type.googleapis.com/no.Such", "x": 1}
    assert read(answer).status.details[0] == info
    assert read(answer).status.details[2] == unknown


def test_a_bad_field() -> None:
    """The field that INVALID_ARGUMENT is about is in the details (REST-2, ERR-2)."""
    status = read(problem(bad_field("page_size", "it cannot be negative"), "x")).status
    assert [(v.field, v.description) for v in status.bad_request.field_violations] == [
        ("page_size", "it cannot be negative")
    ]


@pytest.mark.parametrize(
    ("delay", "header"),
    [
        ((5, 0), b"5"),
        ((0, 1), b"1"),
        ((1, 500_000_000), b"2"),
        ((0, 0), b"0"),
        ((-3, 0), b"0"),
        ((2**62, 0), b"31536000"),
    ],
)
def test_retry_after(delay: tuple[int, int], header: bytes) -> None:
    """RetryInfo is a Retry-After in whole seconds, rounded up, and a number whatever it holds (WAIT-8, REST-2)."""
    seconds, nanos = delay
    info = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=seconds, nanos=nanos))
    answer = problem(Refusal(Status(Code.UNAVAILABLE, "m", (info,))), "x")
    assert dict(answer.headers)[b"retry-after"] == header
    assert b"retry-after" not in dict(problem(Refusal(Status(Code.UNAVAILABLE, "m")), "x").headers)


def test_what_is_not_ours_to_tell(caplog: pytest.LogCaptureFixture) -> None:
    """What fails for no reason of the caller's is INTERNAL without a word of it, and in the log in full (SRV-2, REST-2)."""
    with caplog.at_level(logging.ERROR, "longrunning.rest"):
        error = error_of(problem(KeyError("select password from /etc/users"), "GET /v1/x"))
    assert (error["status"], error["code"]) == ("INTERNAL", 500)
    assert "password" not in error["message"]
    assert "password" in caplog.text
    assert "GET /v1/x" in caplog.text


def test_a_store_that_is_away() -> None:
    """A store that cannot be asked is UNAVAILABLE, and its path is nobody's business (REST-2)."""
    error = error_of(problem(StoreUnavailableError("cannot open /var/lib/x.db"), "x"))
    assert (error["status"], error["code"]) == ("UNAVAILABLE", 503)
    assert "/var" not in error["message"]


def test_unauthenticated() -> None:
    """401 says how to authenticate, as HTTP demands (REST-2, RFC 9110)."""
    assert (b"www-authenticate", b"Bearer") in problem(Refusal(Status(Code.UNAUTHENTICATED, "m")), "x").headers


@pytest.mark.parametrize("message", ["\ud800", "\x00\r\nset-cookie: a=b", "\u202e", "x" * 1_000_000])
def test_messages(message: str) -> None:
    """Whatever a message holds, it stays within the body, and within bounds (REST-2)."""
    answer = problem(Refusal(Status(Code.ABORTED, message)), "x")
    assert len(answer.body) < 100_000
    assert len(answer.headers) == 3
    assert error_of(answer)["message"][:5] == message[:5].replace("\ud800", "?")


def test_http_has_a_status_of_its_own() -> None:
    """Where HTTP has a better status than the code, it is the one (REST-2)."""
    answer = problem(refuse_with(413, Code.RESOURCE_EXHAUSTED, "too large", (b"connection", b"close")), "x")
    assert error_of(answer) == {"code": 413, "message": "too large", "status": "RESOURCE_EXHAUSTED"}
    assert (b"connection", b"close") in answer.headers
    assert read(answer).status.code is Code.RESOURCE_EXHAUSTED
