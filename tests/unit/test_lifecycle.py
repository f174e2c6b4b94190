# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The machine of the server: its table read line by line, its guards, and what holds after any sequence of events."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longrunning._lifecycle import TRANSITIONS, Event, Guard, Phase, Refusal, Standing, Transition, diagram, step

EXPIRES = 1_000  # microseconds; when the lease of a standing made by `standing_in` ends
FENCE = 3
NEW_EXPIRES = 5_000

# The table once more, as a picture: what each event leads to where all guards hold, or why it is refused.
GRID = """
                CLAIM             RENEW        UPDATE       RELEASE      SUCCEED      FAIL         STOP         REQUEST_CANCEL  ABANDON
    QUEUED      running           NOT_RUNNING  NOT_RUNNING  NOT_RUNNING  NOT_RUNNING  NOT_RUNNING  NOT_RUNNING  cancelled       NOT_RUNNING
    RUNNING     running           running      running      queued       succeeded    failed       cancelled    cancelling      failed
    CANCELLING  CANCEL_REQUESTED  cancelling   cancelling   cancelled    succeeded    failed       cancelled    cancelling      cancelled
    SUCCEEDED   DONE              DONE         DONE         DONE         DONE         DONE         DONE         DONE            DONE
    FAILED      DONE              DONE         DONE         DONE         DONE         DONE         DONE         DONE            DONE
    CANCELLED   DONE              DONE         DONE         DONE         DONE         DONE         DONE         DONE            DONE
"""
HEAD, *BODY = (line.split() for line in GRID.strip().splitlines())
CELLS = [(Phase[row[0]], Event[event], cell) for row in BODY for event, cell in zip(HEAD, row[1:], strict=True)]
IDS = [f"{phase.value}-{event.value}" for phase, event, _ in CELLS]
HELD = [line for line in TRANSITIONS if Guard.FENCE in line.guards]
BY_OTHERS = [
    line for line in TRANSITIONS if line.event in {Event.CLAIM, Event.ABANDON} and line.source is not Phase.QUEUED
]
LIVE = {Phase.RUNNING, Phase.CANCELLING}


def named(line: Transition) -> str:
    """The name of a test's parameter."""
    return f"{line.source.value}-{line.event.value}"


def standing_in(phase: Phase, *, exhausted: bool = False) -> Standing:
    """One that events can lead to; its last lease has the number `FENCE` and ends at `EXPIRES`."""
    return Standing(
        phase=phase,
        fence=FENCE,
        attempts=FENCE,
        releases=1,
        max_attempts=2 if exhausted else 3,
        lease_expires=EXPIRES if phase in LIVE else None,
    )


def suited(line: Transition) -> Standing:
    """A standing in which all guards of a line hold, if the fence is shown and the lease has expired."""
    return standing_in(line.source, exhausted=Guard.EXHAUSTED in line.guards)


def happens(standing: Standing, event: Event, *, now: int = EXPIRES, fence: int | None = FENCE) -> Standing | Refusal:
    """One step with all that an event could need."""
    return step(standing, event, now=now, fence=fence, lease_expires=NEW_EXPIRES)


def test_the_grid_has_every_phase_and_event() -> None:
    """No phase and no event is left out of what follows (law 7)."""
    assert {(phase, event) for phase, event, _ in CELLS} == {(phase, event) for phase in Phase for event in Event}
    assert len(CELLS) == len(Phase) * len(Event)


@pytest.mark.parametrize(("phase", "event", "cell"), CELLS, ids=IDS)
def test_every_event_in_every_phase(phase: Phase, event: Event, cell: str) -> None:
    """An event leads where the table says, and is refused with its reason where the table says nothing (RUN-1, SRV-4)."""
    exhausted = event is Event.ABANDON and phase is Phase.RUNNING
    after = happens(standing_in(phase, exhausted=exhausted), event)
    expected = Refusal[cell] if cell.isupper() else Phase(cell)
    assert (after if isinstance(after, Refusal) else after.phase) is expected


def test_the_table_has_one_line_for_each_pair() -> None:
    """Of two lines for one phase and event, one would be dead (law 7)."""
    pairs = [(line.source, line.event) for line in TRANSITIONS]
    assert len(set(pairs)) == len(pairs)
    assert set(pairs) == {(phase, event) for phase, event, cell in CELLS if not cell.isupper()}


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase.done])
def test_nothing_leads_out_of_a_terminal_phase(phase: Phase) -> None:
    """What is done stays done: the table has no line that starts there (RUN-1)."""
    assert not [line for line in TRANSITIONS if line.source is phase]


def test_three_phases_are_terminal() -> None:
    """Succeeded, failed and cancelled are done, and nothing else is (SRV-4)."""
    assert {phase for phase in Phase if phase.done} == {Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED}


@pytest.mark.parametrize("line", TRANSITIONS, ids=named)
def test_every_event_of_a_worker_is_fenced(line: Transition) -> None:
    """What a worker does needs the fence, and what others do does not (RUN-1)."""
    of_worker = {Event.RENEW, Event.UPDATE, Event.RELEASE, Event.SUCCEED, Event.FAIL, Event.STOP}
    assert (Guard.FENCE in line.guards) == (line.event in of_worker)


@pytest.mark.parametrize("fence", [None, 0, FENCE - 1, FENCE + 1])
@pytest.mark.parametrize("line", HELD, ids=named)
def test_another_fence_is_refused(line: Transition, fence: int | None) -> None:
    """An older number, one nobody was given, and none at all are refused, whether the lease has expired or not (RUN-1)."""
    for now in (0, EXPIRES, EXPIRES + 1):
        assert happens(suited(line), line.event, now=now, fence=fence) is Refusal.LEASE_LOST


@pytest.mark.parametrize("line", HELD, ids=named)
def test_an_expired_lease_holds_until_somebody_takes_over(line: Transition) -> None:
    """The holder of the last lease may write after it expired: only a takeover ends its right (RUN-1)."""
    for now in (0, EXPIRES, EXPIRES + 1_000_000):
        assert isinstance(happens(suited(line), line.event, now=now), Standing)


@pytest.mark.parametrize("line", BY_OTHERS, ids=named)
def test_a_live_lease_keeps_others_away(line: Transition) -> None:
    """Up to the microsecond at which it ends, a lease keeps everybody else away; from then on it does not (RUN-1)."""
    assert happens(suited(line), line.event, now=EXPIRES - 1) is Refusal.HELD
    assert isinstance(happens(suited(line), line.event, now=EXPIRES), Standing)


@pytest.mark.parametrize("phase", [Phase.QUEUED, Phase.RUNNING])
def test_no_claim_beyond_the_last_attempt(phase: Phase) -> None:
    """Who has used up the attempts is not claimed again (RUN-3)."""
    assert isinstance(happens(standing_in(phase), Event.CLAIM), Standing)
    assert happens(standing_in(phase, exhausted=True), Event.CLAIM) is Refusal.EXHAUSTED


def test_what_has_attempts_left_is_not_given_up() -> None:
    """A running operation is abandoned only when its attempts are used up (RUN-3)."""
    assert happens(standing_in(Phase.RUNNING), Event.ABANDON) is Refusal.NOT_EXHAUSTED


@pytest.mark.parametrize("exhausted", [False, True])
def test_a_cancelled_one_is_given_up_with_attempts_left(exhausted: bool) -> None:
    """Whoever dies after a cancel was requested is not replaced, whatever attempts are left (SRV-4)."""
    after = happens(standing_in(Phase.CANCELLING, exhausted=exhausted), Event.ABANDON)
    assert isinstance(after, Standing)
    assert after.phase is Phase.CANCELLED


@pytest.mark.parametrize("line", TRANSITIONS, ids=named)
def test_what_a_step_changes_besides_the_phase(line: Transition) -> None:
    """A claim counts an attempt and raises the fence, a release is counted as one, and only claim and renew move the lease (RUN-1, RUN-4)."""
    before = suited(line)
    after = happens(before, line.event)
    assert isinstance(after, Standing)
    claims, releases = int(line.event is Event.CLAIM), int(line.event is Event.RELEASE)
    expires = NEW_EXPIRES if line.event in {Event.CLAIM, Event.RENEW} else EXPIRES
    assert after == replace(
        before,
        phase=line.target,
        fence=before.fence + claims,
        attempts=before.attempts + claims,
        releases=before.releases + releases,
        lease_expires=expires if line.target in LIVE else None,
    )


@pytest.mark.parametrize("event", [Event.CLAIM, Event.RENEW])
def test_a_lease_has_an_end(event: Event) -> None:
    """A claim or renewal that says no end is a mistake of the store, and raises (RUN-1)."""
    with pytest.raises(ValueError, match="does not go with a lease"):
        step(standing_in(Phase.RUNNING), event, now=EXPIRES, fence=FENCE)


@pytest.mark.parametrize("phase", Phase)
def test_a_standing_has_a_lease_where_somebody_works(phase: Phase) -> None:
    """Running and cancelling go with a lease, all else goes without; other standings cannot be made (RUN-1)."""
    with pytest.raises(ValueError, match="does not go with a lease"):
        Standing(phase=phase, lease_expires=None if phase in LIVE else EXPIRES)


@pytest.mark.parametrize("attempts", [0, -1])
def test_an_operation_has_an_attempt(attempts: int) -> None:
    """Without one attempt nothing would ever run (RUN-3)."""
    with pytest.raises(ValueError, match="at least one attempt"):
        Standing(max_attempts=attempts)


def test_the_diagram_is_drawn_from_the_table() -> None:
    """Every line is in the picture with its guards, and every phase that begins or ends one (law 7)."""
    first, *lines = diagram().splitlines()
    assert first == "stateDiagram-v2"
    drawn = dict(line.strip().split(": ", 1) for line in lines if ": " in line)
    assert set(drawn) == {f"{line.source.value} --> {line.target.value}" for line in TRANSITIONS}
    for line in TRANSITIONS:
        guards = f" [{', '.join(guard.value for guard in line.guards)}]" if line.guards else ""
        label = drawn[f"{line.source.value} --> {line.target.value}"]
        assert f", {line.event.value}{guards}," in f", {label},"
    assert [line.strip() for line in lines if "[*]" in line] == [
        "[*] --> queued",
        *(f"{phase.value} --> [*]" for phase in Phase if phase.done),
    ]


EVENTS = st.lists(
    st.tuples(st.sampled_from(Event), st.integers(0, 30), st.integers(-2, 2), st.integers(0, 40)), max_size=40
)


@settings(max_examples=300)
@given(events=EVENTS, max_attempts=st.integers(1, 3))
def test_what_holds_after_any_events(events: list[tuple[Event, int, int, int]], max_attempts: int) -> None:
    """Fences never fall, done is never undone, a cancel is never forgotten, attempts keep to their bounds (RUN-1, RUN-3, SRV-4)."""
    before, now = Standing(max_attempts=max_attempts), 0
    for event, passed, off, ttl in events:
        now += passed
        after = step(before, event, now=now, fence=before.fence + off, lease_expires=now + ttl)
        if isinstance(after, Refusal):
            assert (after is Refusal.DONE) == before.phase.done
            continue
        assert not before.phase.done
        assert before.phase is not Phase.CANCELLING or after.phase is Phase.CANCELLING or after.phase.done
        assert after.fence == after.attempts >= before.fence
        assert (after.fence > before.fence) == (event is Event.CLAIM)
        assert before.releases <= after.releases <= after.attempts
        assert after.attempts - after.releases <= after.max_attempts == max_attempts
        assert (after.lease_expires is not None) == (after.phase in LIVE)
        assert not (after.phase is Phase.QUEUED and after.exhausted)
        before = after


@settings(max_examples=200)
@given(events=EVENTS)
def test_who_lost_a_lease_never_writes_again(events: list[tuple[Event, int, int, int]]) -> None:
    """From the next claim on, an earlier fence is refused for every event of a worker, whatever else happens (RUN-1)."""
    standing, now = Standing(max_attempts=100), 0
    for event, passed, _, ttl in events:
        now += passed
        for stale in range(standing.fence):
            for line in HELD:
                refusal = step(standing, line.event, now=now, fence=stale, lease_expires=now)
                assert isinstance(refusal, Refusal)
        after = step(standing, event, now=now, fence=standing.fence, lease_expires=now + ttl)
        standing = standing if isinstance(after, Refusal) else after
