# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Stores: finding work, giving up, purging, and what is settled."""

from __future__ import annotations

import asyncio

from longrunning.server.storage import OperationStore
from longrunning.server.storage._records import CANCELLED, exhausted
from tests.contract.stores import METHOD, NAME, OTHER, OUTCOMES, SUCCESS, TICK, TTL, Play, Stage, terms

BOTH = frozenset({METHOD, OTHER})

# --- due


async def due(store: OperationStore, *, limit: int = 100, hold: float = 0, methods: frozenset[str] = BOTH) -> list[str]:
    """Names of what is due."""
    return [name for name, _ in await store.due(methods, limit=limit, hold=hold)]


def test_what_is_due(play: Play) -> None:
    """New ones, ones given back, and ones whose lease expired are due; those held, cancelled, used up or done are not (RUN-2, RUN-3)."""

    async def scenario(stage: Stage) -> None:
        await stage.create("operations/new")
        await stage.claimed("operations/back")
        await stage.store.release({"operations/back": 1})
        await stage.claimed("operations/expired")
        await stage.claimed("operations/used-up", max_attempts=1)
        await stage.claimed("operations/cancelling")
        await stage.store.request_cancel("operations/cancelling", None)
        await stage.create("operations/cancelled")
        await stage.store.request_cancel("operations/cancelled", None)
        await stage.ended("operations/done")
        await stage.claimed("operations/held", ttl=2 * TTL)
        await stage.create("operations/deleted")
        await stage.store.delete("operations/deleted", None)
        stage.clock.advance(TTL - TICK)
        assert await due(stage.store) == ["operations/new", "operations/back", "operations/deleted"]
        stage.clock.advance(TICK)
        assert await due(stage.store) == [
            "operations/new",
            "operations/back",
            "operations/expired",
            "operations/deleted",
        ]

    play(scenario)


def test_due_ones_come_with_their_method_oldest_first(play: Play) -> None:
    """Of the methods that are named the oldest come first, no more than asked for (RUN-5)."""

    async def scenario(stage: Stage) -> None:
        methods = [METHOD, OTHER, METHOD, "/another.v1.Service/Method", OTHER, METHOD]
        for number, method in enumerate(methods):
            await stage.create(f"operations/{9 - number}", method=method)
            stage.clock.advance(-1)
        every = [(f"operations/{9 - number}", method) for number, method in enumerate(methods)]
        known = tuple(pair for pair in every if pair[1] in BOTH)
        assert await stage.store.due(BOTH, limit=100, hold=0) == known
        assert await stage.store.due([METHOD, OTHER], limit=3, hold=0) == known[:3]
        assert await stage.store.due({OTHER}, limit=1, hold=0) == (every[1],)
        for methods_asked, limit in (({METHOD}, 0), (set[str](), 10), ({METHOD.lower()}, 10)):
            assert await stage.store.due(methods_asked, limit=limit, hold=0) == ()

    play(scenario)


def test_what_was_returned_is_held_back(play: Play) -> None:
    """For so many seconds nobody else is sent after the same work, from any store; then it is due again (RUN-1, RUN-2)."""

    async def scenario(stage: Stage) -> None:
        for number in range(4):
            await stage.create(f"operations/{number}")
        other = await stage.another()
        assert await due(stage.store, limit=2, hold=10) == ["operations/0", "operations/1"]
        stage.clock.advance(5)
        assert await due(other, limit=1, hold=10) == ["operations/2"]
        assert await due(other, hold=0) == ["operations/3"]
        stage.clock.advance(5 - TICK)
        assert await due(stage.store) == ["operations/3"]
        stage.clock.advance(TICK)
        assert await due(other) == ["operations/0", "operations/1", "operations/3"]
        stage.clock.advance(5)
        assert await due(stage.store) == [f"operations/{number}" for number in range(4)]

    play(scenario)


def test_holding_back_keeps_nobody_from_claiming(play: Play) -> None:
    """What is held back can be claimed by name, and cancelled; holding back changes nothing that callers see (RUN-1, SRV-4)."""

    async def scenario(stage: Stage) -> None:
        before = [await stage.create("operations/1"), await stage.create("operations/2")]
        assert len(await due(stage.store, hold=1_000)) == 2
        assert [await stage.record("operations/1"), await stage.record("operations/2")] == before
        assert (await stage.claim("operations/1")).attempt == 1
        cancelled = await stage.store.request_cancel("operations/2", None)
        assert cancelled is not None
        assert cancelled.done

    play(scenario)


def test_work_is_handed_out_once(play: Play) -> None:
    """Of many that ask at the same moment, each gets other operations, and together they get all (RUN-1)."""

    async def scenario(stage: Stage) -> None:
        stores = [stage.store, await stage.another(), await stage.another()]
        for number in range(60):
            await stage.create(f"operations/{number}")
        found = await asyncio.gather(*(due(stores[number % 3], limit=7, hold=10) for number in range(12)))
        names = [name for batch in found for name in batch]
        assert len(names) == 60
        assert set(names) == {f"operations/{number}" for number in range(60)}

    play(scenario)


# --- abandon


def test_nobody_goes_on_with_these(play: Play) -> None:
    """With its lease expired, what was cancelled ends CANCELLED, what has no attempts left ends INTERNAL; all else stays (RUN-3, SRV-4)."""

    async def scenario(stage: Stage) -> None:
        await stage.create("operations/queued")
        await stage.claimed("operations/attempts-left", max_attempts=2)
        await stage.claimed("operations/used-up", max_attempts=1, metadata=b"m")
        await stage.claimed("operations/cancelling", metadata=b"m")
        await stage.store.request_cancel("operations/cancelling", None)
        await stage.claimed("operations/held", max_attempts=1, ttl=2 * TTL)
        await stage.claimed("operations/held-cancelling", ttl=2 * TTL)
        await stage.store.request_cancel("operations/held-cancelling", None)
        await stage.ended("operations/done", max_attempts=1)
        stage.clock.advance(TTL - TICK)
        assert await stage.store.abandon(limit=100) == ()
        stage.clock.advance(TICK)
        untouched = ["operations/queued", "operations/attempts-left", "operations/held", "operations/done"]
        before = [await stage.record(name) for name in untouched]
        ended = await stage.store.abandon(limit=100)
        assert sorted(ended) == ["operations/cancelling", "operations/used-up"]
        assert await stage.store.abandon(limit=100) == ()
        assert [await stage.record(name) for name in untouched] == before
        for name, outcome in (("operations/cancelling", CANCELLED), ("operations/used-up", exhausted(1))):
            record = await stage.record(name)
            assert (record.done, record.code, record.result) == (True, outcome.code, outcome.payload)
            assert (record.end_time, record.update_time, record.metadata) == (stage.now, stage.now, b"m")

    play(scenario)


def test_the_error_tells_how_many_attempts_failed(play: Play) -> None:
    """Attempts that were given back in good order are not among those that ended without an outcome (RUN-3)."""

    async def scenario(stage: Stage) -> None:
        await stage.create(max_attempts=2)
        for _ in range(3):
            await stage.store.release({NAME: (await stage.claim()).fence})
        for _ in range(2):
            await stage.claim(ttl=0)
        assert await stage.store.abandon(limit=100) == (NAME,)
        assert (await stage.record()).result == exhausted(2).payload

    play(scenario)


def test_a_batch_is_abandoned_at_a_time(play: Play) -> None:
    """No more end than asked for, each once, deleted ones too, also when several ask at once (RUN-3)."""

    async def scenario(stage: Stage) -> None:
        stores = [stage.store, await stage.another()]
        names = {f"operations/{number}" for number in range(10)}
        for name in sorted(names):
            await stage.claimed(name, ttl=0, max_attempts=1)
        await stage.store.delete("operations/3", None)
        assert await stage.store.abandon(limit=0) == ()
        found = await asyncio.gather(*(store.abandon(limit=3) for store in stores * 2))
        ended = [name for batch in found for name in batch]
        assert [len(batch) for batch in found if len(batch) > 3] == []
        assert len(ended) == len(set(ended)) == 10
        assert set(ended) == names

    play(scenario)


# --- purge


def test_only_what_ended_long_ago_is_purged(play: Play) -> None:
    """Older than so many seconds since the end, to the tick; what is not done never goes, however old (SRV-9)."""

    async def scenario(stage: Stage) -> None:
        await stage.create("operations/queued")
        await stage.claimed("operations/running")
        await stage.claimed("operations/cancelling")
        await stage.store.request_cancel("operations/cancelling", None)
        await stage.create("operations/deleted")
        await stage.store.delete("operations/deleted", None)
        for phase, outcome in OUTCOMES.items():
            await stage.ended(f"operations/{phase.value}", outcome)
        stage.clock.advance(100)
        assert await stage.store.purge(older_than=100, limit=100) == 0
        await stage.ended("operations/young")
        stage.clock.advance(TICK)
        assert await stage.store.purge(older_than=100, limit=100) == 3
        kept = ["operations/young", "operations/cancelling", "operations/running", "operations/queued"]
        assert await stage.names() == await stage.names(parent="") == kept
        stage.clock.advance(10**7)
        assert await stage.store.purge(older_than=0, limit=100) == 1
        assert await stage.names() == kept[1:]
        assert (await stage.claim("operations/deleted")).attempt == 1

    play(scenario)


def test_age_counts_from_the_end(play: Play) -> None:
    """An operation that was started long ago and has just ended is young (SRV-9)."""

    async def scenario(stage: Stage) -> None:
        lease = await stage.claimed()
        stage.clock.advance(1_000)
        await stage.store.finish(NAME, lease.fence, SUCCESS)
        stage.clock.advance(10)
        assert await stage.store.purge(older_than=10, limit=100) == 0
        stage.clock.advance(1)
        assert await stage.store.purge(older_than=10, limit=100) == 1

    play(scenario)


def test_what_was_purged_is_gone(play: Play) -> None:
    """A purged operation is absent for everything, deleted or not, and its name is free (SRV-9)."""

    async def scenario(stage: Stage) -> None:
        for name in ("operations/1", "operations/2"):
            await stage.ended(name, parent="shelves/1")
        await stage.store.delete("operations/2", None)
        stage.clock.advance(1)
        assert await stage.store.purge(older_than=0.5, limit=100) == 2
        for name in ("operations/1", "operations/2"):
            assert await stage.store.get(name, None) is None
            assert await stage.store.request_cancel(name, None) is None
            assert await stage.store.delete(name, None) is False
            assert await stage.store.claim(name, terms()) is None
            assert await stage.names() == await stage.names(parent="shelves/1") == []
            await stage.create(name)
            assert await stage.store.delete(name, None) is True

    play(scenario)


def test_a_batch_is_purged_at_a_time(play: Play) -> None:
    """No more go than asked for, and the count is right; who asks until nothing is left purges everything (SRV-9)."""

    async def scenario(stage: Stage) -> None:
        for number in range(25):
            await stage.ended(f"operations/{number}")
            stage.clock.advance(-1 if number % 2 else 2)  # a clock that was set back
        for number in range(0, 25, 3):
            await stage.store.delete(f"operations/{number}", None)
        stage.clock.advance(100)
        assert await stage.store.purge(older_than=1, limit=0) == 0
        assert [await stage.store.purge(older_than=1, limit=10) for _ in range(4)] == [10, 10, 5, 0]
        assert await stage.names() == []

    play(scenario)


# --- settled


def test_what_is_settled(play: Play) -> None:
    """Done, deleted and absent operations are settled; those a waiter has to wait for are not (SRV-6)."""

    async def scenario(stage: Stage) -> None:
        await stage.create("operations/queued")
        await stage.claimed("operations/running", ttl=0)
        await stage.claimed("operations/cancelling")
        await stage.store.request_cancel("operations/cancelling", None)
        settled = {"operations/absent", "operations/deleted", "operations/purged"}
        await stage.ended("operations/purged")
        stage.clock.advance(1)
        assert await stage.store.purge(older_than=0, limit=1) == 1
        for phase, outcome in OUTCOMES.items():
            await stage.ended(f"operations/{phase.value}", outcome)
            settled.add(f"operations/{phase.value}")
        await stage.create("operations/deleted")
        await stage.store.delete("operations/deleted", None)
        names = [*settled, "operations/queued", "operations/running", "operations/cancelling"]
        assert await stage.store.settled(names) == settled
        assert await stage.store.settled(set(names)) == settled
        assert await stage.store.settled([]) == frozenset()
        crowd = [f"operations/absent-{number}" for number in range(2_500)]
        assert await stage.store.settled([*crowd, "operations/queued"]) == frozenset(crowd)

    play(scenario)
