# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Stores: claiming, renewing, writing; and what late writers are told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from longrunning._lifecycle import Phase
from longrunning.errors import LeaseLostError
from tests.contract.stores import METHOD, NAME, OTHER, OUTCOMES, SUCCESS, TICK, TTL, Play, Stage, terms

# --- claiming


def test_a_lease_has_what_a_worker_needs(play: Play) -> None:
    """A second attempt gets request, checkpoint and metadata as last written, its number, and the next fence (RUN-2)."""

    async def scenario(stage: Stage) -> None:
        created = stage.now
        first = await stage.claimed(request=b"request", principal="ann", metadata=b"m", trace="00-1-2-01")
        await stage.store.update(NAME, first.fence, metadata=b"half", checkpoint=b"1")
        stage.clock.advance(TTL)
        second = await stage.claim(worker="worker 2")
        assert (second.name, second.method, second.principal) == (NAME, METHOD, "ann")
        assert (second.request, second.metadata, second.checkpoint) == (b"request", b"half", b"1")
        assert (second.attempt, second.trace) == (2, "00-1-2-01")
        assert second.fence > first.fence
        assert (second.create_time, second.claim_time) == (created, stage.now)

    play(scenario)


@pytest.mark.parametrize("methods", [frozenset[str](), frozenset({OTHER}), frozenset({METHOD.lower()})], ids=str)
def test_a_worker_gets_no_method_it_does_not_name(play: Play, methods: frozenset[str]) -> None:
    """An old worker never takes what only newer ones can run (RUN-2)."""

    async def scenario(stage: Stage) -> None:
        await stage.create()
        assert await stage.store.claim(NAME, terms(methods=methods)) is None
        assert await stage.store.claim(NAME, terms(methods=methods | {METHOD})) is not None

    play(scenario)


def test_one_of_many_claims_succeeds(play: Play) -> None:
    """Of many workers that claim at the same moment one gets the operation (RUN-1)."""

    async def scenario(stage: Stage) -> None:
        stores = [stage.store, await stage.another(), await stage.another()]
        await stage.create()
        leases = await asyncio.gather(
            *(stores[number % 3].claim(NAME, terms(f"worker {number}")) for number in range(30))
        )
        assert [lease is None for lease in leases].count(False) == 1

    play(scenario)


def test_the_holder_gets_no_second_lease(play: Play) -> None:
    """Who holds a lease is refused like everybody else: a worker is known by its fence and not by its name (RUN-1)."""

    async def scenario(stage: Stage) -> None:
        await stage.claimed()
        assert await stage.store.claim(NAME, terms("worker 1")) is None

    play(scenario)


def test_start_time_is_that_of_the_first_claim(play: Play) -> None:
    """When it was first taken stays, whoever takes it later; a claim alone changes nothing that callers see (RUN-2)."""

    async def scenario(stage: Stage) -> None:
        record = await stage.create()
        stage.clock.advance(1)
        started = stage.now
        first = await stage.claim()
        stage.clock.advance(1)
        await stage.store.release({NAME: first.fence})
        stage.clock.advance(1)
        await stage.claim()
        after = await stage.record()
        assert (after.start_time, after.update_time) == (started, record.update_time)
        assert (after.create_time, after.end_time) == (record.create_time, None)

    play(scenario)


# --- renewing


def test_renewing_prolongs_from_now(play: Play) -> None:
    """A renewed lease ends so many seconds after the renewal, be that later or earlier than before (RUN-1)."""

    async def scenario(stage: Stage) -> None:
        lease = await stage.claimed(ttl=TTL)
        for ttl in (2 * TTL, 1.0):
            stage.clock.advance(1)
            assert dict(await stage.store.renew({NAME: lease.fence}, ttl)) == {NAME: False}
            if ttl > TTL:
                stage.clock.advance(ttl - TICK)
                assert await stage.store.claim(NAME, terms("worker 2")) is None
        stage.clock.advance(1)
        assert await stage.store.claim(NAME, terms("worker 2")) is not None

    play(scenario)


def test_a_renewal_of_many_tells_of_each(play: Play) -> None:
    """One call prolongs what is held and says where a cancel was requested; the others, and only they, are lost (RUN-1, SRV-4)."""

    async def scenario(stage: Stage) -> None:
        fences = {f"operations/{what}": 1 for what in ("held", "cancelling", "taken", "released", "done", "stale")}
        for name in fences:
            await stage.claimed(name, ttl=1 if name == "operations/taken" else TTL)
        await stage.store.request_cancel("operations/cancelling", None)
        await stage.store.release({"operations/released": 1})
        await stage.store.finish("operations/done", 1, SUCCESS)
        stage.clock.advance(1)
        assert (await stage.claim("operations/taken", worker="worker 2")).fence == 2
        fences |= {"operations/absent": 1, "operations/stale": 2}
        renewed = await stage.store.renew(fences, TTL)
        assert dict(renewed) == {"operations/held": False, "operations/cancelling": True}
        assert dict(await stage.store.renew({}, TTL)) == {}

    play(scenario)


def test_thousands_are_renewed_and_released_at_once(play: Play) -> None:
    """A worker with a few thousand leases renews them in one call, and gives them back in one (RUN-4, RUN-5)."""

    async def scenario(stage: Stage) -> None:
        fences = {f"operations/{number}": 1 for number in range(2_500)}
        await asyncio.gather(*(stage.claimed(name) for name in fences))
        assert dict(await stage.store.renew(fences, TTL)) == dict.fromkeys(fences, False)
        await stage.store.release(fences)
        due = await stage.store.due({METHOD}, limit=10_000, hold=1)
        assert {name for name, _ in due} == set(fences)

    play(scenario)


def test_an_expired_lease_nobody_took_is_still_held(play: Play) -> None:
    """A worker that was slow but not replaced goes on: it may write, renew, and finish (RUN-1)."""

    async def scenario(stage: Stage) -> None:
        lease = await stage.claimed()
        stage.clock.advance(10 * TTL)
        assert await stage.store.due({METHOD}, limit=10, hold=0) == ((NAME, METHOD),)  # somebody might take it
        assert await stage.store.update(NAME, lease.fence, metadata=b"late") is False
        assert dict(await stage.store.renew({NAME: lease.fence}, TTL)) == {NAME: False}
        assert await stage.store.claim(NAME, terms("worker 2")) is None
        stage.clock.advance(10 * TTL)
        await stage.store.finish(NAME, lease.fence, SUCCESS)

    play(scenario)


# --- writing


def test_an_update_writes_what_it_is_given(play: Play) -> None:
    """Metadata, a checkpoint or both are written, and what is not given stays; only metadata counts as a change (SRV-4, PROG-1)."""

    async def scenario(stage: Stage) -> None:
        lease = await stage.claimed(metadata=b"m0")
        created = stage.now
        stage.clock.advance(1)
        await stage.store.update(NAME, lease.fence, checkpoint=b"c1")
        record = await stage.record()
        assert (record.metadata, record.update_time) == (b"m0", created)
        stage.clock.advance(1)
        await stage.store.update(NAME, lease.fence, metadata=b"m1")
        record = await stage.record()
        assert (record.metadata, record.update_time) == (b"m1", stage.now)
        await stage.store.update(NAME, lease.fence, metadata=b"m2", checkpoint=b"c2")
        stage.clock.advance(1)
        await stage.store.update(NAME, lease.fence)
        assert (await stage.record()).update_time == stage.now - 1_000_000
        await stage.store.update(NAME, lease.fence, metadata=b"")
        await stage.store.release({NAME: lease.fence})
        lease = await stage.claim()
        assert (lease.metadata, lease.checkpoint) == (b"", b"c2")

    play(scenario)


def test_an_update_tells_of_a_cancel(play: Play) -> None:
    """A worker that writes learns whether a cancel was requested, whatever it writes (SRV-4)."""

    async def scenario(stage: Stage) -> None:
        lease = await stage.claimed()
        assert await stage.store.update(NAME, lease.fence, metadata=b"1") is False
        await stage.store.request_cancel(NAME, None)
        assert await stage.store.update(NAME, lease.fence) is True
        assert await stage.store.update(NAME, lease.fence, metadata=b"2") is True
        assert await stage.store.update(NAME, lease.fence, checkpoint=b"3") is True
        assert (await stage.record()).metadata == b"2"

    play(scenario)


# --- late writers


async def finished(stage: Stage) -> None:
    await stage.store.finish(NAME, 1, SUCCESS)


async def failed(stage: Stage) -> None:
    await stage.store.finish(NAME, 1, OUTCOMES[Phase.FAILED])


async def released(stage: Stage) -> None:
    await stage.store.release({NAME: 1})


async def released_and_cancelled(stage: Stage) -> None:
    await stage.store.release({NAME: 1})
    await stage.store.request_cancel(NAME, None)


async def cancelled_and_released(stage: Stage) -> None:
    await stage.store.request_cancel(NAME, None)
    await stage.store.release({NAME: 1})


async def cancelled_and_abandoned(stage: Stage) -> None:
    await stage.store.request_cancel(NAME, None)
    stage.clock.advance(TTL)
    assert await stage.store.abandon(limit=1) == (NAME,)


async def taken_over(stage: Stage) -> None:
    stage.clock.advance(TTL)
    await stage.claim(worker="worker 2")


async def released_and_claimed_again(stage: Stage) -> None:
    await released(stage)
    await stage.claim(worker="worker 1")


async def taken_over_and_cancelled(stage: Stage) -> None:
    await taken_over(stage)
    await stage.store.request_cancel(NAME, None)


async def taken_over_and_finished(stage: Stage) -> None:
    await taken_over(stage)
    await stage.store.finish(NAME, 2, OUTCOMES[Phase.FAILED])


async def taken_over_and_deleted(stage: Stage) -> None:
    await taken_over(stage)
    await stage.store.delete(NAME, None)


async def finished_and_purged(stage: Stage) -> None:
    await finished(stage)
    stage.clock.advance(1)
    assert await stage.store.purge(older_than=0, limit=10) == 1


LOSSES = (
    finished,
    failed,
    released,
    released_and_cancelled,
    cancelled_and_released,
    cancelled_and_abandoned,
    taken_over,
    released_and_claimed_again,
    taken_over_and_cancelled,
    taken_over_and_finished,
    taken_over_and_deleted,
    finished_and_purged,
)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
def test_a_late_writer_is_refused(play: Play, loss: Callable[[Stage], Awaitable[None]]) -> None:
    """Whoever lost its lease, however that came, writes nothing: not metadata, not an outcome, not a release (RUN-1)."""

    async def scenario(stage: Stage) -> None:
        lease = await stage.claimed(metadata=b"m", request_id="1")
        assert lease.fence == 1
        await loss(stage)
        stage.clock.advance(1)
        before = await stage.store.get(NAME, None)
        for outcome in OUTCOMES.values():
            for metadata in (None, b"late"):
                with pytest.raises(LeaseLostError) as caught:
                    await stage.store.finish(NAME, 1, outcome, metadata=metadata)
                assert caught.value.name == NAME
        for what in ({}, {"metadata": b"late"}, {"checkpoint": b"late"}, {"metadata": b"late", "checkpoint": b"late"}):
            with pytest.raises(LeaseLostError) as caught:
                await stage.store.update(NAME, 1, **what)
            assert caught.value.name == NAME
        assert dict(await stage.store.renew({NAME: 1}, 1_000)) == {}
        await stage.store.release({NAME: 1})
        assert await stage.store.get(NAME, None) == before
        if loss in {taken_over, released_and_claimed_again}:
            assert await stage.store.update(NAME, 2) is False
            stage.clock.advance(TTL)
            assert (await stage.claim()).checkpoint is None

    play(scenario)


@pytest.mark.parametrize("fence", [0, -1, 2, 2**62])
def test_a_fence_nobody_was_given_is_refused(play: Play, fence: int) -> None:
    """Before the first claim no number opens anything, and later only the one that was given does (RUN-1)."""

    async def scenario(stage: Stage) -> None:
        await stage.create()
        for claimed in (False, True):
            if claimed:
                await stage.claim()
            with pytest.raises(LeaseLostError):
                await stage.store.finish(NAME, fence, SUCCESS)
            with pytest.raises(LeaseLostError):
                await stage.store.update(NAME, fence, metadata=b"x")
            assert dict(await stage.store.renew({NAME: fence}, TTL)) == {}
            await stage.store.release({NAME: fence})
        assert await stage.store.update(NAME, 1) is False

    play(scenario)
