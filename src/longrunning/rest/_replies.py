# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What an HTTP server answered: a body of bounded size, an operation, a page of them, or an error.

Errors come in several shapes. ``{"error": {…}}`` is that of AIP-193; a bare ``google.rpc.Status`` is what other gateways write;
and from proxies comes HTML, or nothing at all.
"""

# JSON is of any type all the way down, and isinstance() on it tells pyright only half of what it wants to know.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

from .._document import Json, JsonObject, check_payload, parse_document, parse_object, read_operation
from .._http import code_of_http, retry_after
from .._polling import PollFailure
from .._source import JsonSource
from ..errors import DocumentError, PayloadDecodeError
from ..operation import Operation, wrap_document
from ..page import Page, page_of_object
from ..status import Code, Status

if TYPE_CHECKING:
    from .._types import OperationTypes

__all__ = [
    "ACCEPT_ENCODING",
    "Body",
    "BodyError",
    "Reply",
    "failure_of",
    "read_operation_reply",
    "read_page_reply",
    "shortened",
]

ACCEPT_ENCODING: Final = "gzip"
_MAX_ERROR: Final = 1 << 20  # bytes of an error: no server has more to say
_SHOWN: Final = 200  # characters of an answer that is no JSON
_TAIL: Final = re.compile(r"[?#].*", re.DOTALL)
_TITLE: Final = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_SHOWN_URL: Final = 300
# What routers say of a path that leads nowhere, as opposed to services of an operation that is not there.
_NO_ROUTE: Final = frozenset({"", "not found", "method not found", "method does not exist"})


class BodyError(Exception):
    """A body that cannot be read.

    Attributes:
        code: What that is called.
    """

    def __init__(self, code: Code, problem: str) -> None:
        super().__init__(problem)
        self.code = code


class Reply(NamedTuple):
    """An answer.

    Attributes:
        status: HTTP status.
        headers: Its headers; names are not sensitive to case.
        body: The body, decompressed.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


@final
class Body:
    """Collects a body as it comes in, decompresses it, and stops where it is too large: compressed or not."""

    def __init__(self, status: int, headers: Mapping[str, str], limit: int) -> None:
        """Begins.

        Args:
            status: HTTP status of the answer.
            headers: Its headers.
            limit: Most bytes that are kept, of the decompressed body.

        Raises:
            BodyError: It is encoded in a way that nobody asked for.
        """
        self._limit = limit if status < 400 else min(limit, _MAX_ERROR)
        self._size = 0
        self._chunks: list[bytes] = []
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding not in {"identity", "gzip", ""}:
            raise BodyError(Code.INTERNAL, f"the answer is encoded as {encoding[:40]!r}, which was not asked for")
        self._gzip = zlib.decompressobj(wbits=31) if encoding == "gzip" else None

    def add(self, chunk: bytes) -> None:
        """Takes in what came.

        Raises:
            BodyError: It is too much, or no gzip.
        """
        if self._gzip is not None:
            try:
                chunk = self._gzip.decompress(chunk, self._limit - self._size + 1)
            except zlib.error as error:
                raise BodyError(Code.INTERNAL, f"the answer is no gzip: {error}") from error
            if self._gzip.unused_data:  # nobody looks at it, and zlib would collect it without end
                raise BodyError(Code.INTERNAL, "the answer goes on after the end of its gzip")
        self._size += len(chunk)
        if self._size > self._limit:
            raise BodyError(Code.RESOURCE_EXHAUSTED, f"the answer is larger than {self._limit} bytes")
        self._chunks.append(chunk)

    def whole(self) -> bytes:
        """All of it.

        Raises:
            BodyError: Compressed data ended too early.
        """
        if self._gzip is not None and self._chunks and not self._gzip.eof:
            raise BodyError(Code.INTERNAL, "the answer is gzip that ends too early")
        return self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)


# -- successes ----------------------------------------------------------------------------------------------------


def read_operation_reply(reply: Reply, types: OperationTypes) -> Operation[Any, Any]:
    """The operation that was answered with.

    Raises:
        PayloadDecodeError: It is none.
    """
    try:
        return wrap_document(parse_document(reply.body), types)
    except DocumentError as error:
        raise _unreadable("google.longrunning.Operation", reply, error) from error


def read_page_reply(reply: Reply, types: OperationTypes) -> Page[Operation[Any, Any]]:
    """The page that was answered with.

    Raises:
        PayloadDecodeError: It is none.
    """
    try:
        return page_of_object(parse_object(reply.body), types)
    except DocumentError as error:
        raise _unreadable("google.longrunning.ListOperationsResponse", reply, error) from error


def _unreadable(what: str, reply: Reply, error: DocumentError) -> PayloadDecodeError:
    kind = reply.headers.get("content-type", "")
    note = "" if "json" in kind else f" (its content type is {kind[:80]!r})"
    return PayloadDecodeError(f"the server's reply is not the JSON of a {what}: {error}{note}")


# -- errors -------------------------------------------------------------------------------------------------------


def failure_of(
    reply: Reply, types: OperationTypes, now: float, *, where: str = "", optional: bool = False
) -> PollFailure:
    """What an answer that is no success says.

    Args:
        reply: The answer.
        types: Where the types of details are found.
        now: Seconds since 1970, for a ``Retry-After`` that names a date.
        where: What was asked, and where: told of an answer that no service gave.
        optional: Whether the method is one that not every server has: then a 404 by whoever found no way to it is
            ``UNIMPLEMENTED``. Otherwise it counts as one of the service.
    """
    error = _error_of(reply)
    status = Status(code_of_http(reply.status), _in_words(reply)) if error is None else _status(error, reply, types)
    if error is None or (not status.details and _is_no_route(status)):
        code = Code.UNIMPLEMENTED if optional and reply.status == 404 else status.code
        status = Status(code, f"{status.message} ({shortened(where)})" if where else status.message)
    return PollFailure(
        status=status,
        retry_after=max(
            status.retry_delay,
            retry_after(reply.headers.get("retry-after", ""), reply.headers.get("date", ""), now),
        ),
    )


def shortened(where: str) -> str:
    """As much of a URL as a message can take."""
    return where if len(where) <= _SHOWN_URL else f"{where[:_SHOWN_URL]}…"


def _is_no_route(status: Status) -> bool:
    return status.message.strip().rstrip(".").lower() in _NO_ROUTE


def _error_of(reply: Reply) -> JsonObject | None:
    """The object that holds code and message, whatever is around it; ``None`` where there is none."""
    try:
        document = parse_object(reply.body)
    except DocumentError:
        return None
    error = document.get("error")
    if isinstance(error, dict):
        return error
    return document if isinstance(document.get("code"), int) and "message" in document else None


def _status(error: JsonObject, reply: Reply, types: OperationTypes) -> Status:
    message = error.get("message")
    details = error.get("details")
    fields: JsonObject = {
        "code": int(_code(error, reply.status)),
        "message": message if isinstance(message, str) else "",
        "details": [item for item in details if _is_payload(item)] if isinstance(details, list) else [],
    }
    # Read as the error of an operation is: the two are one message (ERR-3).
    status = JsonSource(read_operation({"error": fields}), types).error()
    assert status is not None
    return status


def _code(error: JsonObject, http_status: int) -> Code:
    """By name where there is one; the number is that of HTTP (AIP-193), or the canonical one."""
    name, number = error.get("status"), error.get("code")
    code = Code.__members__.get(name, Code.OK) if isinstance(name, str) else Code.OK
    if code is Code.OK and isinstance(number, int) and number in Code.__members__.values():
        code = Code(number)
    return code_of_http(http_status) if code is Code.OK else code


def _is_payload(item: Json) -> bool:
    try:
        check_payload(item)
    except DocumentError:
        return False
    return True


def _in_words(reply: Reply) -> str:
    """What there is to say about an answer that has no error in it."""
    text = reply.body[: 16 * _SHOWN].decode("utf-8", "replace")
    title = _TITLE.search(text)
    if title is not None:
        text = title[1]
    elif text.lstrip().startswith("<"):
        text = ""
    text = " ".join("".join(character if character.isprintable() else " " for character in text).split())[:_SHOWN]
    where = _TAIL.sub("", reply.headers.get("location", ""))  # it may echo a key
    if reply.status // 100 == 3:
        text = f"a redirect to {where[:_SHOWN]!r}, which is not followed" if where else "a redirect that leads nowhere"
    return f"HTTP {reply.status}: {text}" if text else f"HTTP {reply.status}"
