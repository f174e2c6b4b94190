# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Stores held against the machine: whatever happens to an operation, a store does exactly what `step` says.

A store shows no `Standing`. So one is looked at by what it lets happen next: who may write, who may claim and from when.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from longrunning._lifecycle import TRANSITIONS, Event, Guard, Phase, Refusal, Standing, step
from longrunning.errors import LeaseLostError
from longrunning.server.storage._records import CANCELLED, Outcome, exhausted
from tests.contract.stores import LIVE, METHOD, NAME, OUTCOMES, SECOND, TICK, TTL, Play, Stage, terms

ENDINGS: Final = {Event.SUCCEED: Phase.SUCCEEDED, Event.FAIL: Phase.FAILED, Event.STOP: Phase.CANCELLED}
OF_WORKER: Final = {Event.RENEW, Event.UPDATE, Event.RELEASE, *ENDINGS}
NEW_TTL: Final = 50.0  # seconds; of leases claimed or renewed by the event that is tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An event, where it happens, and how the guards stand.

    Attributes:
        phase: Where the operation stands.
        event: What happens.
        past: Seconds after the end of the lease at which it happens; less than 0 is before.
        exhausted: Whether all attempts are used up.
        fence: By how much the fence that is shown differs from the last one.
        deleted: Whether the operation was deleted before.
    """

    phase: Phase
    event: Event
    past: float = -1.0
    exhausted: bool = False
    fence: int = 0
    deleted: bool = False

    def __str__(self) -> str:
        words = [self.phase.value, self.event.value, f"{self.past:+g}s"]
        words += ["exhausted"] * self.exhausted + [f"fence{self.fence:+d}"] * (self.fence != 0)
        return "-".join(words + ["deleted"] * self.deleted)


def cases(phase: Phase, event: Event) -> Iterator[Case]:
    """Each way the guards can stand where an event happens."""
    for past in (-TICK, 0.0, TICK) if phase in LIVE else (-1.0,):
        for used_up in (False, True) if phase in LIVE else (False,):
            for fence in (0, -1, 1) if event in OF_WORKER else (0,):
                yield Case(phase=phase, event=event, past=past, exhausted=used_up, fence=fence)
    if event is not Event.REQUEST_CANCEL:
        yield Case(phase=phase, event=event, past=0.0, deleted=True)


async def bring(stage: Stage, case: Case) -> Standing:
    """Brings an operation, whose second lease is the last, to where a case begins."""
    await stage.create(max_attempts=1 if case.exhausted else 3)
    standing = Standing(max_attempts=1 if case.exhausted else 3)
    expires = stage.now + int(TTL * SECOND)
    history = [(Event.CLAIM, 0), (Event.RELEASE, 1), (Event.CLAIM, 1)]
    history += {
        Phase.QUEUED: [(Event.RELEASE, 2)],
        Phase.RUNNING: [],
        Phase.CANCELLING: [(Event.REQUEST_CANCEL, 2)],
        Phase.SUCCEEDED: [(Event.SUCCEED, 2)],
        Phase.FAILED: [(Event.FAIL, 2)],
        Phase.CANCELLED: [(Event.STOP, 2)],
    }[case.phase]
    for event, fence in history:
        assert await happens(stage, event, fence, ttl=TTL)
        after = step(standing, event, now=stage.now, fence=fence, lease_expires=expires)
        assert isinstance(after, Standing)
        standing = after
    assert standing.phase is case.phase
    if case.deleted:
        assert await stage.store.delete(NAME, None)
    stage.clock.advance(TTL + case.past)
    return standing


async def happens(stage: Stage, event: Event, fence: int, *, ttl: float = NEW_TTL) -> bool:
    """Tries an event; returns whether the store says that it happened. Of a release it says nothing: then true."""
    store = stage.store
    match event:
        case Event.CLAIM:
            return await store.claim(NAME, terms(ttl=ttl)) is not None
        case Event.RENEW:
            return NAME in await store.renew({NAME: fence}, ttl)
        case Event.RELEASE:
            await store.release({NAME: fence})
            return True
        case Event.REQUEST_CANCEL:
            return await store.request_cancel(NAME, None) is not None
        case Event.ABANDON:
            return await store.abandon(limit=10) == (NAME,)
        case Event.UPDATE:
            try:
                await store.update(NAME, fence)
            except LeaseLostError:
                return False
            return True
        case Event.SUCCEED | Event.FAIL | Event.STOP:
            try:
                await store.finish(NAME, fence, OUTCOMES[ENDINGS[event]])
            except LeaseLostError:
                return False
            return True


def outcome(case: Case, before: Standing, after: Standing) -> Outcome | None:
    """What the operation ended with, as the documentation of the methods has it."""
    if not after.phase.done:
        return None
    if before.phase.done:
        return OUTCOMES[before.phase]
    if case.event in ENDINGS:
        return OUTCOMES[ENDINGS[case.event]]
    return CANCELLED if after.phase is Phase.CANCELLED else exhausted(before.max_attempts)


async def stands(stage: Stage, standing: Standing, ended: Outcome | None, *, deleted: bool) -> None:
    """Demands that the operation stands so, by all that can be seen of it and done with it. Uses it up."""
    record = await stage.store.get(NAME, None)
    if deleted:
        assert record is None
    else:
        assert record is not None
        assert (record.done, record.code, record.result) == (
            ended is not None,
            None if ended is None else ended.code,
            None if ended is None else ended.payload,
        )
    for stale in {0, standing.fence - 1, standing.fence + 1} - {standing.fence}:
        assert not await happens(stage, Event.UPDATE, stale)
    if standing.phase in LIVE:
        assert await stage.store.update(NAME, standing.fence) is (standing.phase is Phase.CANCELLING)
    else:
        assert not await happens(stage, Event.UPDATE, standing.fence)
    if standing.phase.done:
        assert await stage.store.claim(NAME, terms()) is None
        assert await stage.store.abandon(limit=10) == ()
        return
    if standing.lease_expires is not None and standing.lease_expires > stage.now:
        stage.clock.advance((standing.lease_expires - stage.now) / SECOND - TICK)
        assert await stage.store.due({METHOD}, limit=10, hold=0) == ()
        assert await stage.store.claim(NAME, terms()) is None
        assert await stage.store.abandon(limit=10) == ()
        stage.clock.advance(TICK)
    await goes_on(stage, standing)


async def goes_on(stage: Stage, standing: Standing) -> None:
    """Demands that what nobody works on is claimed, or abandoned, as its attempts and its phase say."""
    claimed = step(standing, Event.CLAIM, now=stage.now, lease_expires=stage.now)
    due = await stage.store.due({METHOD}, limit=10, hold=0)
    lease = await stage.store.claim(NAME, terms(ttl=0))
    if isinstance(claimed, Refusal):
        assert (due, lease) == ((), None)
        assert await stage.store.abandon(limit=10) == (NAME,)
        return
    assert due == ((NAME, METHOD),)
    assert lease is not None
    assert (lease.fence, lease.attempt) == (claimed.fence, claimed.attempts)
    while not claimed.exhausted:  # what is left of the attempts
        lease = await stage.store.claim(NAME, terms(ttl=0))
        after = step(claimed, Event.CLAIM, now=stage.now, lease_expires=stage.now)
        assert lease is not None
        assert isinstance(after, Standing)
        claimed = after
    assert await stage.store.claim(NAME, terms(ttl=0)) is None
    assert await stage.store.abandon(limit=10) == (NAME,)


async def plays(stage: Stage, case: Case) -> None:
    """Plays a case, and removes its operation."""
    before = await bring(stage, case)
    fence = before.fence + case.fence
    expires = stage.now + int(NEW_TTL * SECOND)
    after = step(before, case.event, now=stage.now, fence=fence, lease_expires=expires)
    happened = await happens(stage, case.event, fence)
    if case.event not in {Event.RELEASE, Event.REQUEST_CANCEL}:
        assert happened == isinstance(after, Standing)
    after = before if isinstance(after, Refusal) else after
    await stands(stage, after, outcome(case, before, after), deleted=case.deleted)
    stage.clock.advance(1)
    assert await stage.store.purge(older_than=0, limit=10) == 1


@pytest.mark.parametrize("event", Event, ids=lambda event: event.value)
@pytest.mark.parametrize("phase", Phase, ids=lambda phase: phase.value)
def test_a_store_does_what_the_machine_says(play: Play, phase: Phase, event: Event) -> None:
    """Each event in each phase, however the guards stand, leads where `step` leads, or changes nothing (RUN-1, RUN-3, SRV-4)."""

    async def scenario(stage: Stage) -> None:
        for case in cases(phase, event):
            try:
                await plays(stage, case)
            except AssertionError as error:
                error.add_note(str(case))
                raise

    play(scenario)


def test_no_line_of_the_table_is_left_out() -> None:
    """Among the cases each line of the table happens, and each of its guards refuses it once (law 7)."""
    for line in TRANSITIONS:
        tried = [(case.past >= 0, case.exhausted, case.fence == 0) for case in cases(line.source, line.event)]
        for guard in line.guards if line.source in LIVE else ():  # what is queued never used up its attempts
            place = {Guard.EXPIRED: 0, Guard.EXHAUSTED: 1, Guard.ATTEMPTS_LEFT: 1, Guard.FENCE: 2}[guard]
            assert {case[place] for case in tried} == {False, True}
