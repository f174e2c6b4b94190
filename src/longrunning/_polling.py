# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The poll machine: what to do next, decided by pure functions over frozen values.

Laws of this file:

1. It does no I/O and reads no clock: `now` (monotonic seconds) and `random` (a number from 0 up to 1) are arguments.
2. First poll, then sleep (WAIT-1). A snapshot younger than the interval counts as a poll (WAIT-10).
3. A wait never gives up early: sleeps are clipped to the deadline, and a last poll starts there with a time of its
   own, so a wait takes at most ``timeout + final_poll_timeout`` (WAIT-3).
4. A failed poll is transient or final, never swallowed: what passes is retried for as long as the wait lasts, what does
   not ends it with the real error (WAIT-6, WAIT-7).
5. WaitOperation only ever makes things better: what it fails with for good is confirmed by a GetOperation, which goes on
   alone then; one that returns at once is spaced like a poll (WAIT-5).

What executes the steps are two short drivers, sync and async; nothing in here depends on which.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias, final

from .operation import Operation
from .policy import PollPolicy
from .status import Code, Status

__all__ = [
    "Finish",
    "GiveUp",
    "GiveUpReason",
    "LongPoll",
    "Poll",
    "PollFailure",
    "PollState",
    "Sleep",
    "Step",
    "begin",
    "newer",
    "on_error",
    "on_snapshot",
    "on_wake",
]

# With these a server may say when to come back (AIP-194, error_details.proto); then it is worth coming back.
_RETRIABLE: Final = frozenset({Code.RESOURCE_EXHAUSTED, Code.ABORTED, Code.INTERNAL, Code.UNKNOWN})
# What says of a WaitOperation that another one would fare no better, whatever a policy retries.
_REFUSALS: Final = frozenset({Code.UNIMPLEMENTED, Code.NOT_FOUND})
_LONGEST: Final = 30.0  # seconds one WaitOperation is asked for: below the idle limits of proxies (WAIT-5)
_MARGIN: Final = 5.0  # seconds its reply may take beyond that
_HAIR: Final = 0.001  # seconds by which a timer may fire early; a deadline this close has come


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PollFailure:
    """A poll that failed, in terms every transport shares.

    Attributes:
        status: Code, message and decoded details.
        transient: The transport knows that it passes, whatever the code says (a reset connection).
        retry_after: Seconds the server asked to be left alone for (``RetryInfo``, HTTP ``Retry-After``); 0 for none.
        lasting: The transport knows that it does not pass, whatever the code says (an untrusted certificate).
        closed: The channel was closed on this side: it never passes, whatever the code says.
        cause: The transport's own exception.
    """

    status: Status
    transient: bool = False
    retry_after: float = 0.0
    lasting: bool = False
    closed: bool = False
    cause: BaseException | None = None


# -- steps: what the driver is to do next -------------------------------------------------------------------------


@final
@dataclass(frozen=True, slots=True)
class Sleep:
    """Sleep, then call `on_wake`."""

    seconds: float


@final
@dataclass(frozen=True, slots=True)
class Poll:
    """Send GetOperation with this RPC timeout (seconds), then call `on_snapshot` or `on_error`.

    Attributes:
        rpc_timeout: Longest time the RPC may take, seconds.
        max_age: A snapshot that another waiter took less than this many seconds ago counts as this poll.
        shared: Whether another waiter's poll under way will do; not for the last one, which starts at the deadline.
    """

    rpc_timeout: float
    max_age: float = 0.0
    shared: bool = True


@final
@dataclass(frozen=True, slots=True)
class LongPoll:
    """Send WaitOperation, then call `on_snapshot` or `on_error` as after a `Poll`.

    Attributes:
        server_timeout: How long the server is to wait, seconds.
        rpc_timeout: Longest time the RPC may take, seconds: the server's, and the way there and back.
        max_age: As of `Poll`.
    """

    server_timeout: float
    rpc_timeout: float
    max_age: float = 0.0


@final
@dataclass(frozen=True, slots=True)
class Finish:
    """The operation is done."""

    operation: Operation[Any, Any]


class GiveUpReason(enum.Enum):
    """Why a wait ends without the operation being done."""

    TIMEOUT = "the time ran out"
    ATTEMPTS = "the polls ran out"
    NOT_FOUND = "the server does not know the operation"
    FAILED = "a poll failed for good"
    MALFORMED = "the operation is malformed"


@final
@dataclass(frozen=True, slots=True)
class GiveUp:
    """The wait is over, the operation is not done.

    Attributes:
        reason: Why.
        failure: The failed poll that ended it, or the last one.
        operation: The snapshot that is malformed, if that is the reason.
    """

    reason: GiveUpReason
    failure: PollFailure | None = None
    operation: Operation[Any, Any] | None = field(default=None, compare=False)


Step: TypeAlias = Sleep | Poll | LongPoll | Finish | GiveUp


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PollState:
    """Where one wait stands.

    Attributes:
        policy: The policy of this wait.
        deadline: When its time is over, on the clock of `now`; ``None`` for never.
        attempts: Polls so far, failed ones included.
        long_poll: Whether WaitOperation is used, while the server does not refuse it.
        asked: When the poll under way was sent.
        interval: The delay after the next successful poll, before jitter, seconds.
        paused: The delay before the poll under way, after jitter and before clipping, seconds.
        failures: Failed polls in a row.
        final: Whether the poll under way is the last one.
        last_failure: The last failed poll, while polls are failing.
    """

    policy: PollPolicy
    deadline: float | None
    long_poll: bool = False
    asked: float = 0.0
    attempts: int = 0
    interval: float
    paused: float = 0.0
    failures: int = 0
    final: bool = False
    last_failure: PollFailure | None = None


# -- the reducer --------------------------------------------------------------------------------------------------


def begin(
    policy: PollPolicy,
    timeout: float | None,
    snapshot: Operation[Any, Any] | None,
    age: float,
    now: float,
    random: float,
    *,
    long_poll: bool = False,
) -> tuple[PollState, Step]:
    """Starts a wait.

    Args:
        policy: How to wait.
        timeout: Overall time, seconds; ``None`` for ever; 0 for one poll.
        snapshot: What is known of the operation, if anything.
        age: How old that is, seconds.
        now: The time, monotonic seconds.
        random: A number from 0 up to 1.
        long_poll: Whether to use WaitOperation.
    """
    deadline = None if timeout is None else now + timeout
    state = PollState(policy=policy, deadline=deadline, interval=policy.initial, long_poll=long_poll)
    if snapshot is not None:
        if snapshot.done:
            return state, Finish(snapshot)
        if snapshot.malformed is not None:
            return state, GiveUp(GiveUpReason.MALFORMED, operation=snapshot)
        if not long_poll and age < policy.initial and not _is_over(state, now):
            return on_snapshot(state, snapshot, now, random, age=age)
    return _poll(state, now, max_age=0.0 if long_poll else policy.initial)


def on_snapshot(
    state: PollState, snapshot: Operation[Any, Any], now: float, random: float, *, age: float = 0.0
) -> tuple[PollState, Step]:
    """A poll brought a snapshot, or somebody else's snapshot, `age` seconds old, counts as one."""
    if snapshot.done:
        return state, Finish(snapshot)
    if snapshot.malformed is not None:
        return state, GiveUp(GiveUpReason.MALFORMED, operation=snapshot)
    policy = state.policy
    delay = jittered(state.interval, policy.jitter, random)
    interval = min(state.interval * policy.multiplier, policy.maximum)
    if state.long_poll:
        age = max(age, now - state.asked)  # the time the server waited is part of the pause
        if age >= delay:  # it did wait: a server that stops doing so is given the short intervals first
            interval = policy.initial
    state = replace(state, attempts=state.attempts + 1, interval=interval, failures=0, last_failure=None)
    return _pause(state, delay - age if age < delay else 0.0, now)


def on_error(state: PollState, failure: PollFailure, now: float, random: float) -> tuple[PollState, Step]:
    """A poll failed."""
    refused = failure.status.code in _REFUSALS or not is_transient(state.policy, failure)
    if refused and state.long_poll and not state.final and not failure.closed:
        # Not implemented, not allowed, or not found by this method only: GetOperation has the last word.
        return _poll(replace(state, long_poll=False), now, max_age=0.0)
    if failure.status.code == Code.NOT_FOUND:
        return state, GiveUp(GiveUpReason.NOT_FOUND, failure)
    if not is_transient(state.policy, failure):
        return state, GiveUp(GiveUpReason.FAILED, failure)
    retry = state.policy.retry
    base = retry.initial
    for _ in range(state.failures):  # not a power: that overflows after a night of outage
        base = min(base * retry.multiplier, retry.maximum)
        if base == retry.maximum:
            break
    delay = max(jittered(base, state.policy.jitter, random), failure.retry_after)
    state = replace(state, attempts=state.attempts + 1, failures=state.failures + 1, last_failure=failure)
    return _pause(state, delay, now)


def on_wake(state: PollState, now: float) -> tuple[PollState, Step]:
    """The sleep is over."""
    return _poll(state, now, max_age=state.paused)


def is_transient(policy: PollPolicy, failure: PollFailure) -> bool:
    """Whether a failed poll is worth another."""
    if failure.closed or failure.lasting:
        return False
    code = failure.status.code
    return failure.transient or code in policy.retry.codes or (failure.retry_after > 0 and code in _RETRIABLE)


def jittered(delay: float, jitter: float, random: float) -> float:
    """A delay shortened by a random part, of up to `jitter` of it: never longer than it was."""
    return delay * (1.0 - jitter * random)


def newer(
    mine: Operation[Any, Any] | None, mine_asked: float, theirs: Operation[Any, Any], theirs_asked: float
) -> bool:
    """Whether a reply replaces the snapshot at hand (SNAP-6).

    Done never becomes not done, and of two done snapshots the first stays. Replies that are not done are ordered by
    the time their requests were sent, because a reply may overtake an older one.
    """
    if mine is None:
        return True
    if mine.done:
        return False
    return theirs.done or theirs_asked >= mine_asked


def _is_over(state: PollState, now: float) -> bool:
    return state.deadline is not None and now >= state.deadline - _HAIR


def _poll(state: PollState, now: float, *, max_age: float) -> tuple[PollState, Step]:
    policy = state.policy
    if _is_over(state, now):
        return replace(state, final=True), Poll(policy.final_poll_timeout, shared=False)
    remaining = math.inf if state.deadline is None else state.deadline - now
    if state.long_poll:
        server_timeout = min(_LONGEST, remaining)
        step = LongPoll(server_timeout, min(server_timeout + _MARGIN, remaining), max_age)
        return replace(state, asked=now), step
    return state, Poll(min(policy.retry.rpc_timeout, remaining), max_age)


def _pause(state: PollState, delay: float, now: float) -> tuple[PollState, Step]:
    """After a poll that did not end the wait: sleep, start the last poll, or give up."""
    maximum = state.policy.max_attempts
    if maximum is not None and state.attempts >= maximum:
        return state, GiveUp(GiveUpReason.ATTEMPTS, state.last_failure)
    if state.final:
        return state, GiveUp(GiveUpReason.TIMEOUT, state.last_failure)
    if _is_over(state, now):  # the poll was under way when the time ran out: one more, as promised
        return _poll(state, now, max_age=0.0)
    state = replace(state, paused=delay)
    if delay <= 0 and state.long_poll:
        return _poll(state, now, max_age=0.0)
    return state, Sleep(delay if state.deadline is None else min(delay, state.deadline - now))
