# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""How to wait: values, validated where they are made. No AIP prescribes intervals."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeAlias, final

from .status import Code, to_code

__all__ = ["DEFAULT", "PollPolicy", "RetryPolicy", "Timeout"]


class Default(enum.Enum):
    """The type of `DEFAULT`."""

    DEFAULT = "DEFAULT"

    def __repr__(self) -> str:
        return "DEFAULT"


DEFAULT: Final = Default.DEFAULT
"""As a timeout: the policy's. Not ``None``, which means for ever and has to be said."""

Seconds: TypeAlias = float | timedelta
Timeout: TypeAlias = float | timedelta | Default | None
"""Seconds or a timedelta; ``None`` for ever; ``DEFAULT`` the policy's; 0 one poll."""


def seconds(value: Seconds, what: str) -> float:
    """Seconds as a finite number that is not negative.

    Raises:
        TypeError: It is neither a number nor a timedelta.
        ValueError: It is negative, infinite or not a number.
    """
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"{what} is in seconds (a number) or a timedelta; got {value!r}")
    try:
        value = float(value)
    except OverflowError:  # an int no float can hold
        value = math.inf if value > 0 else -math.inf
    if not math.isfinite(value) or value < 0:
        hint = "; for ever is None" if value == math.inf else ""
        raise ValueError(f"{what} is a finite number of seconds, 0 or more; got {value!r}{hint}")
    return value


def optional_seconds(value: Seconds | None, what: str) -> float | None:
    """Like `seconds`; ``None`` stays ``None``."""
    return None if value is None else seconds(value, what)


@final
@dataclass(frozen=True, slots=True, init=False)
class RetryPolicy:
    """What to do when a poll fails.

    A failed poll is retried within the wait's own timeout, however often; there is no separate budget, so a wait never
    gives up early. The delays are those of one poll loop: nothing stacks on top of the channel's own retries.

    Attributes:
        codes: Codes that pass: UNAVAILABLE (AIP-194), DEADLINE_EXCEEDED of one poll, and CANCELLED, which a transport
            reports when a connection is cut. A channel that was closed here is never retried.
        initial: Seconds before the first retry.
        multiplier: Growth from one delay to the next while polls go on failing.
        maximum: Longest delay, seconds.
        rpc_timeout: Longest time one poll may take, seconds: a silent server must not stall the wait.
    """

    codes: frozenset[Code | int]
    initial: float
    multiplier: float
    maximum: float
    rpc_timeout: float

    def __init__(
        self,
        *,
        codes: Iterable[Code | int] = (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.CANCELLED),
        initial: Seconds = 0.5,
        multiplier: float = 2.0,
        maximum: Seconds = 5.0,
        rpc_timeout: Seconds = 30.0,
    ) -> None:
        """Makes a policy.

        Raises:
            TypeError: A duration is neither a number nor a timedelta.
            ValueError: A value is out of range.
        """
        _set(self, "codes", frozenset(to_code(code) for code in codes))
        _set(self, "initial", seconds(initial, "initial"))
        _set(self, "multiplier", _factor(multiplier))
        _set(self, "maximum", seconds(maximum, "maximum"))
        _set(self, "rpc_timeout", seconds(rpc_timeout, "rpc_timeout"))
        if not self.initial:
            raise ValueError("initial is longer than 0 s: retrying without a pause burns RPCs")
        if self.initial > self.maximum:
            raise ValueError(f"initial ({self.initial} s) is longer than maximum ({self.maximum} s)")
        if not self.rpc_timeout:
            raise ValueError("rpc_timeout is longer than 0 s: no RPC takes no time")


@final
@dataclass(frozen=True, slots=True, init=False)
class PollPolicy:
    """When to poll, and for how long.

    The delay after poll number n (from 0) is ``min(initial * multiplier**n, maximum)``, shortened by a random part of up
    to `jitter` of it: with a jitter of 0.2 between 80 % and 100 %. So `maximum` is never exceeded.

    Attributes:
        initial: Seconds from the first poll to the second.
        multiplier: Growth from one delay to the next, 1 or more.
        maximum: Longest delay, seconds.
        jitter: Share of a delay that is random, 0 to 1.
        timeout: Overall time of a wait, seconds; ``None`` for ever.
        max_attempts: Polls after which a wait ends, done or not; ``None`` for no such limit.
        final_poll_timeout: Time of the last poll, seconds, which starts when the timeout is over: a wait takes at most
            ``timeout + final_poll_timeout``.
        retry: What to do when a poll fails.
        use_wait_operation: Whether the server is asked to wait itself (WaitOperation), which notices completion at once but
            shows no progress. ``None``: where it can, for waits without `on_progress`; that it cannot is learned once per
            client. ``True``: always, also for `watch`, and asked anew at each wait. ``False``: never.
    """

    initial: float
    multiplier: float
    maximum: float
    jitter: float
    timeout: float | None
    max_attempts: int | None
    final_poll_timeout: float
    retry: RetryPolicy
    use_wait_operation: bool | None

    def __init__(
        self,
        *,
        initial: Seconds = 1.0,
        multiplier: float = 1.5,
        maximum: Seconds = 20.0,
        jitter: float = 0.1,
        timeout: Seconds | None = 900.0,
        max_attempts: int | None = None,
        final_poll_timeout: Seconds = 5.0,
        retry: RetryPolicy | None = None,
        use_wait_operation: bool | None = None,
    ) -> None:
        """Makes a policy.

        Raises:
            TypeError: A duration is neither a number nor a timedelta.
            ValueError: A value is out of range.
        """
        _set(self, "initial", seconds(initial, "initial"))
        _set(self, "multiplier", _factor(multiplier))
        _set(self, "maximum", seconds(maximum, "maximum"))
        _set(self, "jitter", seconds(jitter, "jitter"))
        _set(self, "timeout", optional_seconds(timeout, "timeout"))
        _set(self, "max_attempts", max_attempts)
        _set(self, "final_poll_timeout", seconds(final_poll_timeout, "final_poll_timeout"))
        _set(self, "retry", RetryPolicy() if retry is None else retry)
        _set(self, "use_wait_operation", use_wait_operation)
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter is a share from 0 to 1; got {jitter!r}")
        if not self.initial:
            raise ValueError("initial is longer than 0 s: polling without a pause burns RPCs")
        if self.initial > self.maximum:
            raise ValueError(f"initial ({self.initial} s) is longer than maximum ({self.maximum} s)")
        _demand(retry, RetryPolicy, "retry is a RetryPolicy, or None for the default one")
        _demand(max_attempts, int, "max_attempts is a whole number, or None for no limit")
        if max_attempts is not None and max_attempts < 1:
            raise ValueError(f"max_attempts is 1 or more, or None for no limit; got {max_attempts!r}")
        if not self.final_poll_timeout:
            raise ValueError("final_poll_timeout is longer than 0 s: no RPC takes no time")


def _set(policy: object, name: str, value: object) -> None:
    object.__setattr__(policy, name, value)


def _demand(value: object, kind: type, what: str) -> None:
    if value is not None and type(value) is not kind:  # so that a bool is no number
        raise TypeError(f"{what}; got {value!r}")


def _factor(multiplier: float) -> float:
    if type(multiplier) not in (int, float):
        raise TypeError(f"multiplier is a number; got {multiplier!r}")
    factor = seconds(multiplier, "multiplier")
    if factor < 1:
        raise ValueError(f"multiplier is a finite number, 1 or more; got {multiplier!r}")
    return factor
