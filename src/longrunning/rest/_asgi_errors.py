# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Refusals as HTTP answers: the status line, the headers, and the body that clients of Google's APIs read (REST-2).

Source: AIP-193, google/rpc/code.proto (its HTTP mapping).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast, final

from .._any import MessageType, UnknownPayload, pack
from .._document import JsonObject
from .._json import any_to_json
from ..registry import TypeRegistry
from ..server._refusal import status_of as any_status_of
from ..status import Code, Status

__all__ = ["HTTP_STATUSES", "Answer", "HttpRefusal", "problem", "refuse_with", "status_of", "to_bytes"]

HTTP_STATUSES: Final[dict[Code, int]] = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.UNAUTHENTICATED: 401,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
}
"""The HTTP status of each canonical code (code.proto)."""

_MAX_RETRY_AFTER: Final = 86_400 * 365  # seconds; longer than that, nobody waits
_MAX_MESSAGE: Final = 16_384  # characters
_STANDARD: Final = TypeRegistry()

Headers = tuple[tuple[bytes, bytes], ...]
JSON_TYPE: Final = (b"content-type", b"application/json")
# Snapshots are out of date at once; and what a payload holds is for nobody to guess a type from.
ALWAYS: Final[Headers] = (JSON_TYPE, (b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


@final
@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent.

    Attributes:
        status: The HTTP status.
        body: The body.
        headers: The headers, but for ``content-length``. Nothing a caller sent gets into them.
    """

    status: int
    body: bytes
    headers: Headers = ALWAYS


@final
class HttpRefusal(Exception):  # noqa: N818 (never leaves the package)
    """A refusal that HTTP has a status of its own for."""

    def __init__(self, http_status: int, status: Status, headers: Headers = ()) -> None:
        super().__init__(str(status))
        self.http_status = http_status
        self.status = status
        self.headers = headers


def refuse_with(http_status: int, code: Code, message: str, *headers: tuple[bytes, bytes]) -> HttpRefusal:
    """A refusal without details."""
    return HttpRefusal(http_status, Status(code, message), headers)


def status_of(error: Exception, what: str) -> Status:
    """The status an exception is answered with: what is ours to say, or no more than that it failed."""
    return error.status if isinstance(error, HttpRefusal) else any_status_of(error, what)


def problem(error: Exception, what: str) -> Answer:
    """The answer to a request that failed."""
    status = status_of(error, what)
    code = status.code if isinstance(status.code, Code) and status.code is not Code.OK else Code.UNKNOWN
    http_status = error.http_status if isinstance(error, HttpRefusal) else HTTP_STATUSES[code]
    # By AIP-193 the code in the body is that of HTTP, and the status the name of the canonical one.
    body: JsonObject = {"code": http_status, "message": status.message[:_MAX_MESSAGE], "status": code.name}
    if details := _details(status):
        body["details"] = details
    headers = (*ALWAYS, *(error.headers if isinstance(error, HttpRefusal) else ()), *_headers(status, code))
    return Answer(http_status, to_bytes({"error": body}), headers)


def _details(status: Status) -> list[JsonObject]:
    details: list[JsonObject] = []
    for detail in status.details:
        if isinstance(detail, UnknownPayload) and detail.document is not None:
            details.append(json.loads(detail.document))
            continue
        packed = pack(detail)
        details.append(any_to_json(packed.type_url, packed.value, _finder(detail)))
    return details


def _finder(detail: Any) -> Callable[[str], MessageType[Any] | None]:
    """Finds the type of a detail: of whatever service it is, its message is at hand."""
    kind: Any = cast("Any", type(detail))
    own = _STANDARD if kind is UnknownPayload else TypeRegistry(kind)

    def find(type_url: str) -> MessageType[Any] | None:
        try:
            return own.find(own.type_name(type_url))
        except ValueError:
            return None

    return find


def _headers(status: Status, code: Code) -> Headers:
    if code is Code.UNAUTHENTICATED:
        return ((b"www-authenticate", b"Bearer"),)  # RFC 9110 demands a scheme: the one that everybody uses
    retry = status.retry_info
    if retry is None:
        return ()
    delay = retry.retry_delay
    seconds = delay.seconds + (delay.nanos > 0)
    return ((b"retry-after", b"%d" % min(max(seconds, 0), _MAX_RETRY_AFTER)),)


def to_bytes(value: JsonObject, indent: int | None = None) -> bytes:
    """JSON as it is sent."""
    text = _ENCODER.encode(value) if indent is None else json.dumps(value, ensure_ascii=False, indent=indent)
    return text.encode("utf-8", "replace")  # half a surrogate pair may stand in the text of an error


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
