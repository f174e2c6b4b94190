# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""`Limits`: every bound of a server, in one value."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Final, final

from ..policy import seconds

__all__ = ["Limits", "check_bounds"]

_DAY: Final = 86_400.0
_LONGEST: Final = 36_525 * _DAY  # a hundred years: for ever, to most
_MAY_BE_ZERO: Final = frozenset({"cancel_grace", "shutdown_grace", "max_waits", "max_thread_waits", "retention"})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of a server. Durations are seconds, or ``timedelta``.

    Attributes:
        default_page_size: Operations on a page where the caller names no number.
        max_page_size: Operations on a page; a larger number is coerced to it (AIP-158).
        max_page_bytes: Size of a page: it ends early, with a token, rather than being larger; one operation is always on it.
        max_scan: Records looked at for one page of a filtered list; what was found by then is returned, with a token.
        max_scan_time: Time taken for one page of a filtered list, in the same way.
        max_filter_length: Characters of a filter.
        max_wait: Longest WaitOperation; longer ones are answered with the state of then.
        max_waits: Waits at once; beyond it a WaitOperation is answered at once, as one with a timeout of 0.
        max_thread_waits: The same on a ``grpc.server``, where each takes a thread of its pool; half of the pool at most.
        max_attempts: How many workers may die over an operation before it is given up (RUN-3).
        lease_ttl: How long a worker that does not renew keeps an operation: the longest gap after a crash.
        cancel_grace: Time a handler gets to follow a request to cancel, before its task is cancelled.
        shutdown_grace: Time running handlers get at the end.
        reconcile_interval: How often operations nobody works on are looked for.
        retention: How long done operations are kept (SRV-9); a hundred years at most.
        purge_interval: How often those past it are looked for.
        purge_batch: How many are removed in one step.
        max_request_bytes: Size of a stored request.
        max_metadata_bytes: Size of metadata.
        max_response_bytes: Size of a response, and of an error. Together with the metadata it has to stay below the 4 MiB
            beyond which gRPC clients refuse a message unless told otherwise.
        max_checkpoint_bytes: Size of a checkpoint.
    """

    default_page_size: int = 50
    max_page_size: int = 1000
    max_page_bytes: int = 3 << 20
    max_scan: int = 10_000
    max_scan_time: float | timedelta = 0.25
    max_filter_length: int = 2_000
    max_wait: float | timedelta = 3_600.0
    max_waits: int = 50_000
    max_thread_waits: int = 8
    max_attempts: int = 5
    lease_ttl: float | timedelta = 15.0
    cancel_grace: float | timedelta = 10.0
    shutdown_grace: float | timedelta = 30.0
    reconcile_interval: float | timedelta = 1.0
    retention: float | timedelta = 30 * _DAY
    purge_interval: float | timedelta = 60.0
    purge_batch: int = 500
    max_request_bytes: int = 4 << 20
    max_metadata_bytes: int = 1 << 20
    max_response_bytes: int = 2 << 20
    max_checkpoint_bytes: int = 16 << 20

    def __post_init__(self) -> None:
        """Turns durations into seconds and refuses what makes no sense."""
        check_bounds(self, may_be_zero=_MAY_BE_ZERO)
        if self.default_page_size > self.max_page_size:
            raise ValueError(f"default_page_size {self.default_page_size} exceeds max_page_size {self.max_page_size}")

    def seconds(self, name: str) -> float:
        """A duration among them, in seconds."""
        return float(getattr(self, name))


def check_bounds(bounds: Any, may_be_zero: Container[str] = ()) -> None:
    """Holds the fields of a frozen dataclass to what bounds can be: whole numbers, or durations, which become seconds.

    Args:
        bounds: The dataclass.
        may_be_zero: The fields that may; none may be negative.

    Raises:
        TypeError: A value is of another kind.
        ValueError: It makes no sense.
    """
    for field in fields(bounds):
        value = getattr(bounds, field.name)
        if field.type == "int":
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{field.name} is a whole number; got {value!r}")
        else:
            value = _duration(value, field.name)
            object.__setattr__(bounds, field.name, value)
        if value < 0 or (value == 0 and field.name not in may_be_zero):
            raise ValueError(f"{field.name} cannot be {value!r}")


def _duration(value: float | timedelta, name: str) -> float:
    if _exceeds(value.total_seconds() if isinstance(value, timedelta) else value):
        raise ValueError(f"{name} is at most a hundred years, timedelta(days=36525)")
    return seconds(value, name)


def _exceeds(value: object) -> bool:
    return isinstance(value, (int, float)) and value > _LONGEST
