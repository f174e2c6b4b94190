# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Request bodies: read within bounds of size and time, and only when they are what they have to be."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final, final

from .._document import JsonObject, parse_object
from ..errors import DocumentError
from ..server._refusal import refuse
from ..status import Code
from ._asgi_errors import HttpRefusal, refuse_with
from ._asgi_limits import HttpLimits

__all__ = ["Bodies", "Gone", "Receive", "Room", "Scope", "demand_none", "parsed"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_CLOSE: Final = (b"connection", b"close")  # what follows on the connection is the rest of a body nobody will read
_SHOWN: Final = 300


class Gone(Exception):  # noqa: N818 (never leaves the package)
    """The caller went away: there is nobody to answer."""


@final
class Bodies:
    """Reads bodies, and knows how much of them is in memory at once."""

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits
        self._buffered = 0
        self._lock = threading.Lock()  # an application may be served on several event loops

    def room(self) -> Room:
        """Room for one body: it counts from its first byte until it is left."""
        return Room(self)

    async def read(self, scope: Scope, receive: Receive, limit: int, room: Room) -> bytes:
        """Reads a body of JSON; empty where there is none.

        Args:
            scope: The request.
            receive: What gives its parts.
            limit: Bytes it may have.
            room: Where it counts.

        Raises:
            HttpRefusal: 408, 413 or 415.
            Refusal: RESOURCE_EXHAUSTED: too many bodies are under way.
            Gone: The caller went away before it was complete.
        """
        headers = _headers(scope)
        announced = _announced(headers, limit)
        if announced == 0:
            return b""
        if announced is not None:
            _demand_json(headers, _CLOSE)
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.seconds("body_timeout")):
                more = True
                while more:
                    message = await receive()
                    if message["type"] != "http.request":
                        raise Gone
                    part: bytes = message.get("body", b"")
                    if len(body) + len(part) > limit:
                        raise _too_large(limit)
                    room.take(len(part))
                    body += part
                    more = bool(message.get("more_body", False))
        except TimeoutError:
            text = f"the body was not complete after {self._limits.seconds('body_timeout'):g} s"
            raise refuse_with(408, Code.DEADLINE_EXCEEDED, text, _CLOSE) from None
        if body and announced is None:
            _demand_json(headers)
        return bytes(body)

    def count(self, size: int) -> None:
        """Counts bytes that come, or with a minus go.

        Raises:
            Refusal: RESOURCE_EXHAUSTED: there is no room for them.
        """
        with self._lock:
            if size > 0 and self._buffered + size > self._limits.max_buffered_bytes:
                raise refuse(Code.RESOURCE_EXHAUSTED, "too many large requests are under way; try again")
            self._buffered += size


@final
class Room:
    """What one body takes of the bytes that there may be at once; left at the end of a ``with``, or before."""

    __slots__ = ("_bodies", "_taken")

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._taken = 0

    def take(self, size: int) -> None:
        """Counts bytes that have come.

        Raises:
            Refusal: RESOURCE_EXHAUSTED: there is no room for them.
        """
        self._bodies.count(size)
        self._taken += size

    def leave(self) -> None:
        """Gives back what was taken: the body is not needed any more."""
        self._bodies.count(-self._taken)
        self._taken = 0

    def __enter__(self) -> Room:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()


def _headers(scope: Scope) -> Mapping[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in headers and name in {b"content-type", b"content-encoding"}:
            raise refuse_with(400, Code.INVALID_ARGUMENT, f"the header {name.decode()} is there twice", _CLOSE)
        headers[name] = value
    return headers


def _announced(headers: Mapping[bytes, bytes], limit: int) -> int | None:
    """The length that the headers announce; ``None`` for a body that ends when it ends."""
    # Where a server lets both through, a body that is sent in parts ends when it ends (RFC 9112, 6.3).
    length = None if b"transfer-encoding" in headers else headers.get(b"content-length")
    if length is not None and length.isdigit():  # otherwise the ASGI server has refused it, or will
        if len(length) > 18 or int(length) > limit:
            raise _too_large(limit)
        return int(length)
    # Over HTTP/2 neither has to be there. Over HTTP/1.1 one of them is, where there is a body at all.
    return None


def _too_large(limit: int) -> HttpRefusal:
    return refuse_with(413, Code.RESOURCE_EXHAUSTED, f"the body has more than {limit} bytes", _CLOSE)


def _demand_json(headers: Mapping[bytes, bytes], *answered: tuple[bytes, bytes]) -> None:
    """Refuses what is no JSON by its own account.

    Raises:
        HttpRefusal: 415.
    """
    if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        text = "the body has to be sent as it is, without content-encoding"
        raise refuse_with(415, Code.INVALID_ARGUMENT, text, *answered)
    kind, *parameters = headers.get(b"content-type", b"").lower().split(b";")
    charsets = {
        value.strip(b' "')
        for name, _, value in (part.partition(b"=") for part in parameters)
        if name.strip() == b"charset"
    }
    if kind.strip() != b"application/json" or not charsets <= {b"utf-8", b"utf8", b"us-ascii"}:
        text = "a body is JSON in UTF-8, and says so: send 'Content-Type: application/json'"
        raise refuse_with(415, Code.INVALID_ARGUMENT, text, *answered)


def demand_none(scope: Scope) -> None:
    """Refuses a request that brings a body where there is nothing to say.

    Raises:
        HttpRefusal: 400.
    """
    for name, value in scope["headers"]:
        if (name == b"content-length" and value.strip(b"0")) or name == b"transfer-encoding":
            raise refuse_with(400, Code.INVALID_ARGUMENT, f"{scope['method']} takes no body here", _CLOSE)


def parsed(body: bytes) -> JsonObject:
    """A body as an object; an empty one is ``{}``.

    Raises:
        Refusal: INVALID_ARGUMENT: it is no JSON object, or an ambiguous or dangerous one (JSON-3).
    """
    if not body:
        return {}
    try:
        return parse_object(body)
    except DocumentError as error:
        raise refuse(Code.INVALID_ARGUMENT, f"the body: {str(error)[:_SHOWN]}") from None
