# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Stores in races: whoever acts at the same moment, there is one end, and everybody was told what happened."""

from __future__ import annotations

import asyncio
from pathlib import Path

from longrunning._lifecycle import Event, Phase, Standing, step
from tests.contract.racing import Call, Scene, explained, rounds
from tests.contract.stores import OUTCOMES, Kind

ROUNDS = 300


def test_races_have_one_end_and_one_history(kind: Kind, tmp_path: Path) -> None:
    """Complete, fail, stop, cancel, delete, release, takeover and giving up at once: one end, explained by one order of all answers (RUN-1, SRV-4, SRV-5)."""
    tally = asyncio.run(rounds(ROUNDS, kind=kind, folder=tmp_path))
    assert tally.errors == []
    assert tally.rounds == ROUNDS
    assert set(tally.ends) == {Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED}
    assert tally.lost > ROUNDS  # otherwise nobody met anybody


def a_call(event: Event | None, answer: int | None, *, fence: int = 1, began: int = 0, ended: int = 99) -> Call:
    """A call that overlaps with all others, unless it says when it was."""
    return Call(event=event, fence=fence, answer=answer, began=began, ended=ended)


def has_history(*calls: Call, end: Phase) -> bool:
    """Whether the calls can have been answered so on an operation whose first lease has expired."""
    standing = step(Standing(max_attempts=5), Event.CLAIM, lease_expires=0)
    assert isinstance(standing, Standing)
    return explained(Scene(standing), frozenset(calls), lambda scene: scene.outcome == OUTCOMES[end], 1)


def test_the_judge_knows_what_cannot_have_happened() -> None:
    """Two finishers, a writer without its lease, and an answer from the past have no history; what can be has one (RUN-1)."""
    success, failure = a_call(Event.SUCCEED, 1), a_call(Event.FAIL, 1)
    late = a_call(Event.FAIL, 0)
    takeover = a_call(Event.CLAIM, 2)
    assert has_history(success, late, end=Phase.SUCCEEDED)
    assert not has_history(success, late, end=Phase.FAILED)
    assert not has_history(success, failure, end=Phase.SUCCEEDED)
    assert not has_history(late, end=Phase.FAILED)
    assert has_history(takeover, late, a_call(Event.SUCCEED, 1, fence=2), end=Phase.SUCCEEDED)
    assert not has_history(takeover, success, a_call(Event.SUCCEED, 1, fence=2), end=Phase.SUCCEEDED)
    assert has_history(success, a_call(Event.REQUEST_CANCEL, 0), end=Phase.SUCCEEDED)
    assert not has_history(
        a_call(Event.SUCCEED, 1, ended=1), a_call(Event.REQUEST_CANCEL, 0, began=2), end=Phase.SUCCEEDED
    )
    assert has_history(success, a_call(None, 1), a_call(None, 0), end=Phase.SUCCEEDED)
    assert not has_history(success, a_call(None, 1), a_call(None, 1, ended=98), end=Phase.SUCCEEDED)
