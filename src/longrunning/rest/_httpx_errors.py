# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What both REST transports share of httpx: the address, the headers, and what its exceptions mean."""

from __future__ import annotations

import base64
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import httpx

from .._polling import PollFailure
from ..status import Code, Status
from ._replies import shortened

__all__ = ["base_url", "closed", "failure_of_httpx", "headers_of", "is_of_http2", "no_cookies", "read_by_hooks"]

_FRAMING: Final = frozenset({"content-length", "transfer-encoding"})  # where a request ends is nobody else's to say
# What looks like a server that is not there, and lasts: it is not to be trusted, or does not speak TLS, or no HTTP/1.1.
_DISTRUST: Final = ("CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER", "illegal status line")


def base_url(url: str) -> str:
    """The address of a server, without a slash at its end.

    Raises:
        ValueError: It is not an absolute ``https://`` (or ``http://``) URL, or says more than where the server is.
    """
    # What stands before an "@" may be a password, and a query a key: neither is repeated.
    secret = not {"@", "?", "#"}.isdisjoint(url)
    got = "" if secret else f"; got {url!r}"
    try:
        parsed = httpx.URL(url)
        host, port = parsed.host, parsed.port
        host.encode("idna")  # as sockets do, whose error would not be one of httpx
    except (httpx.InvalidURL, UnicodeError) as error:
        raise ValueError("not a URL" if secret else f"not a URL: {error}{got}") from None
    if parsed.scheme not in {"https", "http"} or not host:
        raise ValueError(f"the URL of a server begins with https:// (or http://) and its host{got}")
    if parsed.userinfo:
        raise ValueError(
            "the URL of a server holds no user or password: authentication is httpx's, as in Client(auth=…)"
        )
    if "?" in url or "#" in url:  # even with nothing behind it: a path would come after it
        raise ValueError(
            "the URL of a server has no query and no fragment: parameters are httpx's, as in Client(params=…)"
        )
    if port is not None and not 0 < port < 65536:
        raise ValueError(f"the URL of a server has a port from 1 to 65535{got}")
    return str(parsed).rstrip("/")


def headers_of(
    metadata: tuple[tuple[str, str | bytes], ...], accept_encoding: str, *, has_body: bool
) -> list[tuple[str, str]]:
    """The headers of a request: the caller's, then those that belong to the protocol.

    Binary ones (``…-bin``) are base64, as gRPC writes them.
    """
    ours = [("accept", "application/json"), ("accept-encoding", accept_encoding)]
    if has_body:
        ours.append(("content-type", "application/json"))
    taken = {key for key, _ in ours} | _FRAMING
    theirs = [
        (key, value if isinstance(value, str) else base64.b64encode(value).rstrip(b"=").decode("ascii"))
        for key, value in metadata
        if key not in taken
    ]
    return [*theirs, *ours]


def no_cookies() -> CookieJar:
    """A jar that takes none: what one answer says is no part of the next request."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))


def read_by_hooks(response: httpx.Response) -> bytes:
    """The body of an answer as far as a hook has read it: empty where none has."""
    try:
        return response.content
    except httpx.ResponseNotRead:
        return b""


def is_of_http2(error: KeyError) -> bool:
    """Whether httpcore stumbled over a stream of HTTP/2 that another thread has given up, with the connection, already."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback is not None and str(traceback.tb_frame.f_globals.get("__name__")).startswith("httpcore.")


def closed(cause: BaseException | None = None) -> PollFailure:
    """The HTTP client was closed on this side: no retry will help."""
    return PollFailure(status=Status(Code.CANCELLED, "the HTTP client is closed"), closed=True, cause=cause)


def failure_of_httpx(error: Exception, timeout: float | None, where: str) -> PollFailure:
    """A request that brought no answer.

    Args:
        error: An exception of httpx, a ``TimeoutError``, or a ``KeyError`` that `is_of_http2`.
        timeout: How long the request could take, seconds.
        where: What was asked, and where; without the query, which may hold a key.
    """
    text = str(error) or type(error).__name__
    told = f"{text} ({shortened(where)})"
    match error:
        case TimeoutError() | httpx.TimeoutException():
            limit = "" if timeout is None else f" within {timeout:g} s"
            status = Status(Code.DEADLINE_EXCEEDED, f"no answer{limit} ({text}; {shortened(where)})")
            return PollFailure(status=status, cause=error)
        case httpx.UnsupportedProtocol():  # a mount of the client's
            return PollFailure(status=Status(Code.INTERNAL, told), cause=error)
        # Without a word of headers it is a connection over HTTP/2 that the server is closing: "Max outbound streams is 0".
        case httpx.LocalProtocolError() if "header" in text.lower():
            return PollFailure(status=Status(Code.INTERNAL, told), cause=error)
        case httpx.ProxyError():  # by its answer, such as "407 Proxy Authentication Required"
            return PollFailure(status=Status(Code.UNAVAILABLE, told), lasting=text.startswith("4"), cause=error)
        case _:
            lasting = any(mark in text for mark in _DISTRUST)
            return PollFailure(status=Status(Code.UNAVAILABLE, told), lasting=lasting, cause=error)
