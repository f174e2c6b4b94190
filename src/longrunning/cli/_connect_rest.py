# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The way to a server at a URL: an HTTP client, made of options alone."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Final

from .. import __version__
from ..errors import MissingExtraError

try:
    import httpx
except ImportError as error:
    raise MissingExtraError("rest", "an https:// endpoint") from error

__all__ = ["http_client"]

_AWAY: Final = frozenset({502, 503, 504})  # what a proxy says of a server that it does not reach


def http_client(certificates: bytes | None, on_failure: Callable[[str], None] | None) -> httpx.AsyncClient:
    """An HTTP client that takes nothing from the environment.

    Args:
        certificates: Whom to trust, in PEM form; ``None`` for the usual ones.
        on_failure: Called as by `connect`.
    """
    verify: ssl.SSLContext | bool = True
    if certificates is not None:
        verify = ssl.create_default_context(cadata=certificates.decode("ascii", "ignore"))
    return httpx.AsyncClient(
        transport=_Watch(verify, on_failure),
        headers={"user-agent": f"longrunning-cli/{__version__}"},
        trust_env=False,
    )


class _Watch(httpx.AsyncHTTPTransport):
    """Sees every request fail or succeed: a wait bridges failures, and tells nobody."""

    def __init__(self, verify: ssl.SSLContext | bool, on_failure: Callable[[str], None] | None) -> None:  # noqa: FBT001
        super().__init__(verify=verify, trust_env=False)
        self._on_failure = on_failure

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends a request."""
        try:
            response = await super().handle_async_request(request)
        except httpx.TransportError as error:
            self._tell(str(error) or type(error).__name__)
            raise
        self._tell(f"HTTP {response.status_code}" if response.status_code in _AWAY else "")
        return response

    def _tell(self, reason: str) -> None:
        if self._on_failure is not None:
            self._on_failure(reason)
