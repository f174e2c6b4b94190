# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""`HttpLimits`: what a server takes from HTTP callers before it knows what they want."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import final

from ..server._limits import check_bounds

__all__ = ["HttpLimits"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """The bounds of an HTTP edge. Durations are seconds, or ``timedelta``.

    What is stored has the bounds of `longrunning.server.Limits`, whatever the transport. Slow or endless request *headers*
    are the business of the ASGI server, and of the proxy in front of it.

    Attributes:
        max_body_bytes: Size of a request body that starts an operation; a larger one is answered with 413, unread.
        max_control_bytes: The same for cancelling and waiting, whose bodies hold next to nothing.
        max_buffered_bytes: Size of all bodies under way at once, those of starts until they are stored; a body beyond it is
            answered with 429.
        body_timeout: How long a request body may take to arrive; then the answer is 408.
        max_path_bytes: Length of a path; a longer one is answered with 414.
        max_query_parameters: How many query parameters a request may have.
        max_wait: Longest ``:wait``; a longer one is answered with the state of then. Proxies tend to give up after 60 s.
    """

    max_body_bytes: int = 4 << 20
    max_control_bytes: int = 16 << 10
    max_buffered_bytes: int = 64 << 20
    body_timeout: float | timedelta = 30.0
    max_path_bytes: int = 8 << 10
    max_query_parameters: int = 100
    max_wait: float | timedelta = 55.0

    def __post_init__(self) -> None:
        """Turns durations into seconds and refuses what makes no sense."""
        check_bounds(self)
        if self.max_buffered_bytes < self.max_body_bytes:
            raise ValueError(
                f"max_buffered_bytes {self.max_buffered_bytes} has to hold one body of {self.max_body_bytes} bytes"
            )

    def seconds(self, name: str) -> float:
        """A duration among them, in seconds."""
        return float(getattr(self, name))
