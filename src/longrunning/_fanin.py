# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Many waits on one schedule: which of them may send what, and when. Pure, like `_polling`, whose states it keeps.

Laws of this file:

1. It does no I/O and reads no clock. A driver asks `sends`, executes, and reports with `on_snapshot` and `on_error`.
2. RPCs under way are bounded, long polls and polls apart; what is due first is sent first, so nobody starves (WAIT-11).
3. Long polls are used only while there is room for one per wait: otherwise those without would see nothing for as long as
   a server holds the others.
4. One wait's failure ends that wait and nothing else.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, final

from ._polling import (
    Finish,
    GiveUp,
    GiveUpReason,
    LongPoll,
    Poll,
    PollFailure,
    PollState,
    Sleep,
    Step,
    begin,
    is_transient,
    on_error,
    on_snapshot,
    on_wake,
)
from .errors import LongRunningError
from .operation import Operation
from .policy import PollPolicy
from .status import Code

__all__ = ["FanIn", "Limits", "Outcome", "Send"]

_PROBED: Final = 0.25  # seconds after which a WaitOperation that was not refused counts as implemented


@final
@dataclass(frozen=True, slots=True)
class Limits:
    """How many RPCs may be under way.

    Attributes:
        polls: GetOperation.
        long_polls: WaitOperation.
    """

    polls: int = 64
    long_polls: int = 1024

    def __post_init__(self) -> None:
        """Refuses limits under which nothing could ever be sent."""
        if self.polls < 1 or self.long_polls < 1:
            raise ValueError(f"at least one RPC must be allowed under way; got {self.polls} and {self.long_polls}")


@final
@dataclass(frozen=True, slots=True)
class Send:
    """Send this step's RPC for that wait."""

    index: int
    step: Poll | LongPoll


@final
@dataclass(frozen=True, slots=True)
class Outcome:
    """A wait that is over; with an error where a reply could not even be read."""

    index: int
    step: Finish | GiveUp | LongRunningError


@final
@dataclass(slots=True)
class _Wait:
    """One of the waits.

    Attributes:
        due: When it is to wake, while it sleeps.
        sent: When its RPC under way was sent; ``None`` if there is none.
        refused: Whether the server refused it a WaitOperation: for as long as this wait lasts.
    """

    state: PollState
    step: Step
    due: float = 0.0
    refused: bool = False
    sent: float | None = None


@final
class FanIn:
    """The schedule of a `wait_all` or an `as_completed`."""

    def __init__(
        self,
        policy: PollPolicy,
        timeout: float | None,
        known: Sequence[tuple[Operation[Any, Any] | None, float]],
        now: float,
        random: Callable[[], float],
        *,
        limits: Limits,
        long_poll: bool | None = None,
    ) -> None:
        """Starts the waits.

        Args:
            policy: How each of them polls.
            timeout: Overall time, seconds; ``None`` for ever.
            known: For each, its last snapshot and how old that is, seconds.
            now: The time, monotonic seconds.
            random: Random numbers from 0 up to 1.
            limits: How many RPCs may be under way.
            long_poll: Whether the server has WaitOperation; ``None`` if that is not known yet.
        """
        self._random = random
        self._limits = limits
        self._long_poll = long_poll
        self._policy = policy
        self._give_up_at = math.inf if timeout is None else now + timeout + policy.final_poll_timeout
        self._under_way = {Poll: 0, LongPoll: 0}
        self._probe: int | None = None
        self._outcomes: deque[Outcome] = deque()
        self._asleep: list[tuple[float, int]] = []  # a heap of (when to wake, index)
        # What is due, in order; by kind, so that one that may not be sent yet is not looked at again and again.
        self._ready: dict[type[Poll | LongPoll], deque[int]] = {Poll: deque(), LongPoll: deque()}
        self._waits: dict[int, _Wait] = {}
        pending = sum(1 for snapshot, _ in known if snapshot is None or not snapshot.done)
        self._crowded = pending > limits.long_polls
        for index, (snapshot, age) in enumerate(known):
            self._waits[index] = _Wait(*begin(policy, timeout, snapshot, age, now, random()))
        for index, (snapshot, age) in enumerate(known):
            wait = self._waits[index]
            if not isinstance(wait.step, (Finish, GiveUp)) and self._may_long_poll(index, now):
                wait.state, wait.step = begin(policy, timeout, snapshot, age, now, random(), long_poll=True)
            self._place(index, now)

    @property
    def pending(self) -> int:
        """Waits that are not over."""
        return len(self._waits)

    def is_passing(self, failure: PollFailure) -> bool:
        """Whether a failure is worth another try."""
        return is_transient(self._policy, failure)

    @property
    def long_poll(self) -> bool | None:
        """Whether the server has WaitOperation, as far as is known by now."""
        return self._long_poll

    def is_asking(self, index: int) -> bool:
        """Whether a wait has an RPC under way."""
        wait = self._waits.get(index)
        return wait is not None and wait.sent is not None

    def excuse(self, seconds: float) -> None:
        """Somebody else took that long: it does not count against the last polls, which every wait is to have."""
        self._give_up_at += seconds

    def outcomes(self) -> list[Outcome]:
        """What is over since this was last asked, in the order it came."""
        found = list(self._outcomes)
        self._outcomes.clear()
        return found

    def next_due(self) -> float:
        """When to ask `sends` again if nothing comes in before; infinity if only replies can change anything."""
        due = self._asleep[0][0] if self._asleep else math.inf
        return min(due, self._give_up_at) if any(self._ready.values()) else due

    def sends(self, now: float) -> list[Send]:
        """What to send now."""
        while self._asleep and self._asleep[0][0] <= now:
            due, index = heapq.heappop(self._asleep)
            wait = self._waits.get(index)
            if wait is None or not isinstance(wait.step, Sleep) or wait.due != due:
                continue  # a snapshot from elsewhere ended it, or put it off
            wait.state, wait.step = on_wake(replace(wait.state, long_poll=self._may_long_poll(index, now)), now)
            self._place(index, now)
        found: list[Send] = []
        for kind, limit in ((Poll, self._limits.polls), (LongPoll, self._limits.long_polls)):
            ready = self._ready[kind]
            while ready and (self._under_way[kind] < limit or now >= self._give_up_at):
                index = ready.popleft()
                wait = self._waits.get(index)
                # What ended or was put off meanwhile, by a snapshot from a list, is still in the queue.
                if wait is None or wait.sent is not None or not isinstance(wait.step, kind):
                    continue
                if now >= self._give_up_at:
                    self._end(index, GiveUp(GiveUpReason.TIMEOUT, wait.state.last_failure))
                    continue
                self._under_way[kind] += 1
                wait.sent = now
                wait.state = replace(wait.state, asked=now)
                # What had to queue has less time left: all of it ends when the last polls must have.
                wait.step = replace(wait.step, rpc_timeout=min(wait.step.rpc_timeout, self._give_up_at - now))
                found.append(Send(index, wait.step))
        return found

    def on_snapshot(self, index: int, snapshot: Operation[Any, Any], now: float, *, age: float = 0.0) -> None:
        """A reply came in; or, for a wait with nothing under way, a snapshot from a list, which counts as one."""
        wait = self._waits.get(index)
        if wait is None:
            return
        if self._landed(index, wait) is LongPoll:
            self._long_poll = True
        wait.state, wait.step = on_snapshot(wait.state, snapshot, now, self._random(), age=age)
        self._place(index, now)

    def on_error(self, index: int, failure: PollFailure, now: float) -> None:
        """A poll failed."""
        wait = self._waits.get(index)
        if wait is None:
            return
        long = self._landed(index, wait) is LongPoll
        if long and failure.status.code == Code.UNIMPLEMENTED:
            self._long_poll = False
        wait.state, wait.step = on_error(wait.state, failure, now, self._random())
        wait.refused = wait.refused or (long and not wait.state.long_poll)
        self._place(index, now)

    def fail(self, index: int, error: LongRunningError) -> None:
        """A reply came in that cannot be read."""
        wait = self._waits.get(index)
        if wait is not None:
            self._landed(index, wait)
            self._end(index, error)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _place(self, index: int, now: float) -> None:
        wait = self._waits[index]
        step = wait.step
        if isinstance(step, (Finish, GiveUp)):
            self._end(index, step)
        elif isinstance(step, Sleep):
            wait.due = now + step.seconds
            heapq.heappush(self._asleep, (wait.due, index))
        else:
            self._ready[type(step)].append(index)

    def _end(self, index: int, step: Finish | GiveUp | LongRunningError) -> None:
        del self._waits[index]
        self._outcomes.append(Outcome(index, step))

    def _landed(self, index: int, wait: _Wait) -> type[Poll | LongPoll] | None:
        """Takes note that the RPC of a wait is over; returns which one it was."""
        if wait.sent is None or not isinstance(wait.step, (Poll, LongPoll)):
            return None
        wait.sent = None
        kind = type(wait.step)
        self._under_way[kind] -= 1
        if self._probe == index:
            self._probe = None
        return kind

    def _may_long_poll(self, index: int, now: float) -> bool:
        """Law 3; and while nobody knows whether the server has WaitOperation, one wait asks for all (WAIT-5)."""
        self._crowded = self._crowded and len(self._waits) > self._limits.long_polls
        if self._policy.use_wait_operation is False or self._crowded or self._waits[index].refused:
            return False
        if self._long_poll is not None:
            return self._long_poll
        probe = None if self._probe is None else self._waits.get(self._probe)
        if probe is None:
            self._probe = index
            return True
        return probe.sent is not None and now - probe.sent >= _PROBED
