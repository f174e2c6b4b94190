# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What both REST transports share of httpx: the address, the headers, and what its exceptions mean."""

from __future__ import annotations

import base64
from typing import Final

import httpx

from .._polling import PollFailure
from ..status import Code, Status

__all__ = ["base_url", "closed", "failure_of_httpx", "headers_of"]

# What looks like a server that is not there, and lasts: it is not to be trusted, or does not speak TLS, or no HTTP/1.1.
_DISTRUST: Final = ("CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER", "illegal status line")


def base_url(url: str) -> str:
    """The address of a server, without a slash at its end.

    Raises:
        ValueError: It is not an absolute ``https://`` (or ``http://``) URL, or says more than where the server is.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"not a URL: {error}") from error
    if parsed.scheme not in {"https", "http"} or not parsed.host:
        raise ValueError(f"the URL of a server begins with https:// and its host; got {url!r}")
    if parsed.userinfo:  # not repeated: it may be a password
        raise ValueError(
            "the URL of a server holds no user or password: authentication is httpx's, as in Client(auth=…)"
        )
    if parsed.query or parsed.fragment:
        raise ValueError(f"the URL of a server has no query and no fragment; got {url!r}")
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
    taken = {key for key, _ in ours}
    theirs = [
        (key, value if isinstance(value, str) else base64.b64encode(value).rstrip(b"=").decode("ascii"))
        for key, value in metadata
        if key not in taken
    ]
    return [*theirs, *ours]


def closed(cause: BaseException | None = None) -> PollFailure:
    """The HTTP client was closed on this side: no retry will help."""
    return PollFailure(status=Status(Code.CANCELLED, "the HTTP client is closed"), closed=True, cause=cause)


def failure_of_httpx(error: Exception, timeout: float | None) -> PollFailure:
    """A request that brought no answer.

    Args:
        error: An exception of httpx, or a ``TimeoutError``.
        timeout: How long the request could take, seconds.
    """
    text = str(error) or type(error).__name__
    match error:
        case TimeoutError() | httpx.TimeoutException():
            limit = "" if timeout is None else f" within {timeout:g} s"
            status = Status(Code.DEADLINE_EXCEEDED, f"no answer{limit} ({text})")
            return PollFailure(status=status, cause=error)
        case (
            httpx.LocalProtocolError() | httpx.UnsupportedProtocol()
        ):  # a header of the caller's, or a mount of the client's
            return PollFailure(status=Status(Code.INTERNAL, text), cause=error)
        case httpx.ProxyError():  # by its answer, such as "407 Proxy Authentication Required"
            return PollFailure(status=Status(Code.UNAVAILABLE, text), lasting=text.startswith("4"), cause=error)
        case _:
            lasting = any(mark in text for mark in _DISTRUST)
            return PollFailure(status=Status(Code.UNAVAILABLE, text), lasting=lasting, cause=error)
