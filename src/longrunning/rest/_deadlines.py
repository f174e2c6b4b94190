# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""One deadline for a blocking HTTP request, where httpx has a timeout for each of its phases."""

from __future__ import annotations

import time
from typing import Any, Final, final

import httpx

__all__ = ["Remaining"]

_LEAST: Final = 0.001  # seconds: no time at all would make a socket non-blocking


@final
class Remaining(dict[str, Any]):
    """The timeouts of one request, as httpx passes them on: each is what is left of the whole when it is asked for.

    httpx asks once for all of a head, and for each part of a body, and lets every byte of it take that long. Between parts
    `check` ends a request; a head that trickles in ends when its server stops.
    """

    def __init__(self, timeout: float | None) -> None:
        super().__init__(dict.fromkeys(("connect", "read", "write", "pool"), timeout))
        self._until = None if timeout is None else time.monotonic() + timeout

    def get(self, key: str, default: Any = None) -> Any:
        """Seconds that are left; ``None`` for no end."""
        return self[key] if key in self else default  # noqa: SIM401 (which would be this method)

    def __getitem__(self, key: str) -> Any:
        if super().__getitem__(key) is None or self._until is None:
            return None
        return max(_LEAST, self._until - time.monotonic())

    def check(self) -> None:
        """Ends a request that has taken too long.

        Raises:
            httpx.ReadTimeout: It has.
        """
        if self._until is not None and time.monotonic() >= self._until:
            raise httpx.ReadTimeout("the answer trickles in")
