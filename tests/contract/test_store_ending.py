# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Stores: finishing, giving back, cancelling."""

from __future__ import annotations

import pytest

from longrunning._lifecycle import Phase
from longrunning.errors import LeaseLostError
from longrunning.server.storage import Outcome
from longrunning.server.storage._records import CANCELLED
from tests.contract.stores import METHOD, NAME, OUTCOMES, SUCCESS, TTL, Play, Stage, terms

# --- finishing


@pytest.mark.parametrize("phase", OUTCOMES, ids=lambda phase: phase.value)
@pytest.mark.parametrize("cancelled", [False, True], ids=["", "cancel requested"])
def test_the_outcome_is_published_as_given(play: Play, phase: Phase, cancelled: bool) -> None:
    """What the handler ended with is what callers see, with its time; after a request to cancel too (RUN-1, SRV-4)."""

    async def scenario(stage: Stage) -> None:
        lease = await stage.claimed(metadata=b"m")
        started = stage.now
        if cancelled:
            await stage.store.request_cancel(NAME, None)
        stage.clock.advance(2)
        await stage.store.finish(NAME, lease.fence, OUTCOMES[phase])
        stage.clock.advance(2)
        record = await stage.record()
        ended = started + 2_000_000
        assert (record.done, record.code, record.result) == (True, OUTCOMES[phase].code, OUTCOMES[phase].payload)
        assert (record.update_time, record.end_time, record.start_time) == (ended, ended, started)
        assert record.metadata == b"m"

    play(scenario)


@pytest.mark.parametrize("metadata", [None, b"", b"last"], ids=str)
def test_last_metadata_comes_with_the_outcome(play: Play, metadata: bytes | None) -> None:
    """Metadata given along with an outcome is published in the same step; without it, what is there stays (PROG-3, RUN-1)."""

    async def scenario(stage: Stage) -> None:
        lease = await stage.claimed(metadata=b"before")
        with pytest.raises(LeaseLostError):
            await stage.store.finish(NAME, lease.fence + 1, SUCCESS, metadata=b"not mine")
        assert (await stage.record()).metadata == b"before"
        stage.clock.advance(1)
        await stage.store.finish(NAME, lease.fence, SUCCESS, metadata=metadata)
        record = await stage.record()
        assert (record.metadata, record.result) == (b"before" if metadata is None else metadata, SUCCESS.payload)
        assert record.update_time == record.end_time == stage.now

    play(scenario)


def test_an_outcome_with_any_code_is_a_failure(play: Play) -> None:
    """Codes nobody knows, and OK among errors, are kept as they are: only CANCELLED means cancelled (SRV-2)."""

    async def scenario(stage: Stage) -> None:
        for code in (0, 2, 16, 17, 4_711, -1, 2**31 - 1):
            record = await stage.ended(f"operations/{code}", Outcome(code=code, payload=b"status"))
            assert (record.done, record.code, record.result) == (True, code, b"status")

    play(scenario)


# --- giving back


def test_a_released_attempt_does_not_count(play: Play) -> None:
    """However often workers give it back, an operation keeps the attempts it has; each gets the next number and fence (RUN-4, RUN-3)."""

    async def scenario(stage: Stage) -> None:
        await stage.create(max_attempts=2)
        fences = list[int]()
        for attempt in range(1, 6):
            lease = await stage.claim()
            assert lease.attempt == attempt
            fences.append(lease.fence)
            await stage.store.release({NAME: lease.fence})
            assert not (await stage.record()).done
        for _ in range(2):
            fences.append((await stage.claim(ttl=0)).fence)
        assert await stage.store.claim(NAME, terms()) is None
        assert fences == sorted(set(fences))

    play(scenario)


def test_what_was_given_back_can_be_had_at_once(play: Play) -> None:
    """A lease that was given back is gone: the next worker need not wait for it to expire, and finds the checkpoint (RUN-4)."""

    async def scenario(stage: Stage) -> None:
        lease = await stage.claimed()
        await stage.store.update(NAME, lease.fence, metadata=b"half", checkpoint=b"1")
        before = await stage.record()
        stage.clock.advance(1)
        await stage.store.release({NAME: lease.fence})
        assert await stage.record() == before
        assert await stage.store.due({METHOD}, limit=1, hold=0) == ((NAME, METHOD),)
        assert (await stage.claim(worker="worker 2")).checkpoint == b"1"

    play(scenario)


def test_releasing_what_was_cancelled_ends_it(play: Play) -> None:
    """Nobody takes up an operation whose cancel was requested: given back, it is CANCELLED (RUN-4, SRV-4)."""

    async def scenario(stage: Stage) -> None:
        lease = await stage.claimed(metadata=b"m")
        await stage.store.request_cancel(NAME, None)
        stage.clock.advance(1)
        await stage.store.release({NAME: lease.fence})
        record = await stage.record()
        assert (record.done, record.code, record.result) == (True, 1, CANCELLED.payload)
        assert (record.end_time, record.update_time, record.metadata) == (stage.now, stage.now, b"m")

    play(scenario)


def test_a_release_of_many_passes_over_the_lost(play: Play) -> None:
    """What is not held any more is passed over, and the rest is given back all the same (RUN-4)."""

    async def scenario(stage: Stage) -> None:
        for name in ("operations/1", "operations/2", "operations/3"):
            await stage.claimed(name)
        await stage.store.finish("operations/1", 1, SUCCESS)
        await stage.store.release({"operations/absent": 1, "operations/1": 1, "operations/2": 7, "operations/3": 1})
        assert await stage.store.due({METHOD}, limit=10, hold=0) == (("operations/3", METHOD),)
        await stage.store.release({})

    play(scenario)


# --- cancelling


def test_cancelling_what_nobody_works_on_ends_it(play: Play) -> None:
    """An operation nobody has claimed, or that was given back, is CANCELLED in the same step, with code 1 (SRV-4)."""

    async def scenario(stage: Stage) -> None:
        await stage.create("operations/new", metadata=b"m")
        lease = await stage.claimed("operations/back", metadata=b"m")
        await stage.store.release({"operations/back": lease.fence})
        for name in ("operations/new", "operations/back"):
            stage.clock.advance(1)
            record = await stage.store.request_cancel(name, None)
            assert record is not None
            assert (record.done, record.code, record.result, record.metadata) == (True, 1, CANCELLED.payload, b"m")
            assert (record.end_time, record.update_time) == (stage.now, stage.now)
            assert await stage.record(name) == record

    play(scenario)


def test_cancelling_what_runs_is_a_request(play: Play) -> None:
    """While somebody works on it nothing that callers see changes, however often a cancel is requested (SRV-4)."""

    async def scenario(stage: Stage) -> None:
        await stage.claimed(metadata=b"m")
        before = await stage.record()
        for _ in range(3):
            stage.clock.advance(1)
            assert await stage.store.request_cancel(NAME, None) == before
        stage.clock.advance(TTL)  # also when its worker may be dead: then `abandon` ends it
        assert await stage.store.request_cancel(NAME, None) == before
        assert await stage.record() == before

    play(scenario)


@pytest.mark.parametrize("phase", OUTCOMES, ids=lambda phase: phase.value)
def test_cancelling_what_is_done_does_nothing(play: Play, phase: Phase) -> None:
    """What is done stays as it is, and is returned so (SRV-4)."""

    async def scenario(stage: Stage) -> None:
        before = await stage.ended(outcome=OUTCOMES[phase])
        stage.clock.advance(1)
        assert await stage.store.request_cancel(NAME, None) == before
        assert await stage.record() == before

    play(scenario)
