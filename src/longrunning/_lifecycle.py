# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The life of an operation on the server: which event is legal when, and what it leads to.

Laws of this file:

1. `TRANSITIONS` is the whole truth: what is not in it does not happen. The picture in the documentation is drawn from it.
2. A finished operation stays as it is: no event leads out of a terminal phase.
3. Who works on an operation holds a lease, and shows the fencing number the lease came with. Claiming raises the number, so
   whoever held an earlier lease is refused from then on, however late its write arrives.
4. Time is an argument, in microseconds of the store's clock. What has expired is decided by the store, never by a worker.
5. Deleting is not in the table: it hides an operation and changes nothing else about it (AIP-151: a delete does not cancel).

Every store does what this file says: one in memory calls it, one with a database says the same in single statements, and
one suite of tests holds both against it.

Source: operations.proto (CancelOperation, DeleteOperation), AIP-151.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, assert_never, final

__all__ = ["TRANSITIONS", "Event", "Guard", "Phase", "Refusal", "Standing", "Transition", "diagram", "step"]


class Phase(Enum):
    """Where an operation stands."""

    QUEUED = "queued"  # stored; nobody holds a lease on it
    RUNNING = "running"  # somebody holds, or held, a lease
    CANCELLING = "cancelling"  # the same, and a cancel was requested
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def done(self) -> bool:
        """Whether it is terminal."""
        return self in _TERMINAL


_TERMINAL: Final = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED})


class Event(Enum):
    """What can happen to an operation."""

    CLAIM = "claim"  # a worker takes it
    RENEW = "renew"  # its worker is alive
    UPDATE = "update"  # its worker writes metadata or a checkpoint
    RELEASE = "release"  # its worker gives it back, unfinished
    SUCCEED = "succeed"  # the handler returned
    FAIL = "fail"  # the handler raised
    STOP = "stop"  # the handler followed the request to cancel
    REQUEST_CANCEL = "request cancel"  # a caller wants it cancelled
    ABANDON = "abandon"  # the reconciler finds that nobody will go on with it


class Guard(Enum):
    """What has to hold besides the phase."""

    FENCE = "fence held"  # the event comes from the holder of the last lease
    EXPIRED = "lease expired"
    ATTEMPTS_LEFT = "attempts left"
    EXHAUSTED = "attempts exhausted"


class Refusal(Enum):
    """Why an event did not happen."""

    DONE = "the operation is done"
    HELD = "somebody holds a live lease"
    LEASE_LOST = "the lease went to somebody else"
    EXHAUSTED = "no attempts are left"
    NOT_EXHAUSTED = "attempts are left"
    NOT_RUNNING = "nobody has claimed the operation"
    CANCEL_REQUESTED = "a cancel was requested"


@final
@dataclass(frozen=True, slots=True)
class Transition:
    """One line of the table: in `source`, `event` leads to `target`, if all of `guards` hold."""

    source: Phase
    event: Event
    target: Phase
    guards: tuple[Guard, ...] = ()


_HELD: Final = (Guard.FENCE,)

TRANSITIONS: Final[tuple[Transition, ...]] = (
    Transition(Phase.QUEUED, Event.CLAIM, Phase.RUNNING, (Guard.ATTEMPTS_LEFT,)),
    Transition(Phase.QUEUED, Event.REQUEST_CANCEL, Phase.CANCELLED),
    Transition(Phase.RUNNING, Event.CLAIM, Phase.RUNNING, (Guard.EXPIRED, Guard.ATTEMPTS_LEFT)),
    Transition(Phase.RUNNING, Event.RENEW, Phase.RUNNING, _HELD),
    Transition(Phase.RUNNING, Event.UPDATE, Phase.RUNNING, _HELD),
    Transition(Phase.RUNNING, Event.RELEASE, Phase.QUEUED, _HELD),
    Transition(Phase.RUNNING, Event.SUCCEED, Phase.SUCCEEDED, _HELD),
    Transition(Phase.RUNNING, Event.FAIL, Phase.FAILED, _HELD),
    Transition(Phase.RUNNING, Event.STOP, Phase.CANCELLED, _HELD),
    Transition(Phase.RUNNING, Event.REQUEST_CANCEL, Phase.CANCELLING),
    Transition(Phase.RUNNING, Event.ABANDON, Phase.FAILED, (Guard.EXPIRED, Guard.EXHAUSTED)),
    Transition(Phase.CANCELLING, Event.RENEW, Phase.CANCELLING, _HELD),
    Transition(Phase.CANCELLING, Event.UPDATE, Phase.CANCELLING, _HELD),
    Transition(Phase.CANCELLING, Event.RELEASE, Phase.CANCELLED, _HELD),
    Transition(Phase.CANCELLING, Event.SUCCEED, Phase.SUCCEEDED, _HELD),
    Transition(Phase.CANCELLING, Event.FAIL, Phase.FAILED, _HELD),
    Transition(Phase.CANCELLING, Event.STOP, Phase.CANCELLED, _HELD),
    Transition(Phase.CANCELLING, Event.REQUEST_CANCEL, Phase.CANCELLING),
    Transition(Phase.CANCELLING, Event.ABANDON, Phase.CANCELLED, (Guard.EXPIRED,)),
)

_TABLE: Final = {(line.source, line.event): line for line in TRANSITIONS}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """All that the machine knows of an operation.

    Attributes:
        phase: Where it stands.
        fence: The fencing number of the last lease; 0 before the first.
        lease_expires: When the last lease ends, microseconds; ``None`` where nobody holds one.
        attempts: How often a worker took it.
        releases: How often a worker gave it back in good order: those attempts do not count against it.
        max_attempts: How many workers may fail to end it.
    """

    phase: Phase = Phase.QUEUED
    fence: int = 0
    lease_expires: int | None = None
    attempts: int = 0
    releases: int = 0
    max_attempts: int = 1

    def __post_init__(self) -> None:
        """Refuses what no sequence of events leads to."""
        if self.max_attempts < 1:
            raise ValueError(f"an operation needs at least one attempt; got {self.max_attempts}")
        if (self.lease_expires is not None) != (self.phase in {Phase.RUNNING, Phase.CANCELLING}):
            raise ValueError(f"{self.phase.value} does not go with a lease that ends at {self.lease_expires}")

    @property
    def exhausted(self) -> bool:
        """Whether all attempts were used up."""
        return self.attempts - self.releases >= self.max_attempts


def step(
    standing: Standing, event: Event, *, now: int = 0, fence: int | None = None, lease_expires: int | None = None
) -> Standing | Refusal:
    """What an event leads to.

    Args:
        standing: Where the operation stands.
        event: What happens.
        now: The store's time, microseconds.
        fence: The fencing number shown, for events of a worker.
        lease_expires: When the lease is to end, for `Event.CLAIM` and `Event.RENEW`; microseconds.

    Returns:
        Where the operation stands then, or why nothing happened.
    """
    line = _TABLE.get((standing.phase, event))
    if line is None:
        return _no_line(standing.phase)
    for guard in line.guards:
        refusal = _check(guard, standing, now, fence)
        if refusal is not None:
            return refusal
    if line.target not in {Phase.RUNNING, Phase.CANCELLING}:
        lease_expires = None
    elif event not in {Event.CLAIM, Event.RENEW}:
        lease_expires = standing.lease_expires
    claimed = int(event is Event.CLAIM)
    return replace(
        standing,
        phase=line.target,
        fence=standing.fence + claimed,
        attempts=standing.attempts + claimed,
        releases=standing.releases + int(event is Event.RELEASE),
        lease_expires=lease_expires,
    )


def _no_line(phase: Phase) -> Refusal:
    if phase.done:
        return Refusal.DONE
    if phase is Phase.CANCELLING:  # claiming is all that the table leaves out there
        return Refusal.CANCEL_REQUESTED
    return Refusal.NOT_RUNNING


def _check(guard: Guard, standing: Standing, now: int, fence: int | None) -> Refusal | None:
    match guard:
        case Guard.FENCE:
            return None if fence == standing.fence else Refusal.LEASE_LOST
        case Guard.EXPIRED:
            expired = standing.lease_expires is not None and standing.lease_expires <= now
            return None if expired else Refusal.HELD
        case Guard.ATTEMPTS_LEFT:
            return Refusal.EXHAUSTED if standing.exhausted else None
        case Guard.EXHAUSTED:
            return None if standing.exhausted else Refusal.NOT_EXHAUSTED
        case _:
            assert_never(guard)


def diagram() -> str:
    """The table as a state diagram in Mermaid's notation; lines between the same two phases are drawn as one."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for line in TRANSITIONS:
        guards = f" [{', '.join(guard.value for guard in line.guards)}]" if line.guards else ""
        arrows.setdefault((line.source.value, line.target.value), []).append(f"{line.event.value}{guards}")
    lines = ["stateDiagram-v2", f"    [*] --> {Phase.QUEUED.value}"]
    lines += [f"    {source} --> {target}: {', '.join(events)}" for (source, target), events in arrows.items()]
    lines += [f"    {phase.value} --> [*]" for phase in Phase if phase.done]
    return "\n".join(lines) + "\n"
