# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Races on a store: many act on one operation at the same moment, and what they were told must add up.

In each round a worker, the one that takes over from it, callers and the reconciler act on one operation, whose lease has just
expired, through several stores on the same operations. Each call is put on record with its answer. Then a *history* is looked
for: an order of the calls, in which no call comes before one that ended before it began, and in which `step` gives exactly
those answers and that end. Where there is none, somebody was told something that did not happen.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from longrunning._lifecycle import Event, Phase, Standing, step
from longrunning.errors import LeaseLostError
from longrunning.server.storage import OperationStore, Outcome
from longrunning.server.storage._records import CANCELLED, exhausted
from tests.contract.stores import OUTCOMES, SECOND, TTL, Kind, Stage, new, staged, terms

T = TypeVar("T")
BATCH: Final = 20  # rounds under way at the same time
STORES: Final = 3
LONG: Final = 1_000_000.0  # seconds: a lease that does not expire any more
ENDINGS: Final = {Event.SUCCEED: Phase.SUCCEEDED, Event.FAIL: Phase.FAILED, Event.STOP: Phase.CANCELLED}
BY_WORKER: Final = {Event.RENEW, Event.UPDATE, Event.RELEASE, *ENDINGS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call, and what came of it.

    Attributes:
        event: What was tried; ``None`` for a delete.
        fence: The fence that was shown.
        answer: What the store said: whether it happened; for a claim, the fence, 0 for none; for a request to cancel, whether
            the operation was done then. ``None`` for what has no answer.
        began: When, in the order of all that began and ended.
        ended: When, the same.
    """

    event: Event | None
    fence: int
    answer: int | None
    began: int
    ended: int


@dataclass(frozen=True, slots=True)
class Scene:
    """Where an operation stands in a history."""

    standing: Standing
    outcome: Outcome | None = None
    deleted: bool = False


@dataclass
class Tally:
    """What was seen.

    Attributes:
        rounds: Rounds.
        calls: Calls on their operations.
        ends: How often they ended in each phase.
        lost: Writes that were refused because somebody else was faster.
        errors: Rounds that no history explains, or that have not exactly one end.
    """

    rounds: int = 0
    calls: int = 0
    ends: dict[Phase, int] = field(default_factory=dict[Phase, int])
    lost: int = 0
    errors: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        ends = ", ".join(
            f"{count:,} {phase.value}" for phase, count in sorted(self.ends.items(), key=lambda one: one[0].value)
        )
        text = f"{self.rounds:,} rounds, {self.calls:,} calls, {self.lost:,} late writes refused; {ends}"
        return f"{text}; {len(self.errors)} errors"


def after(scene: Scene, call: Call, now: int) -> Scene | None:
    """Where a call leads, or ``None`` where the answer would have been another one."""
    before = scene.standing
    if call.event is None:
        return replace(scene, deleted=True) if call.answer == int(not scene.deleted) else None
    if call.event is Event.REQUEST_CANCEL and scene.deleted:
        return scene if call.answer == -1 else None
    reached = step(before, call.event, now=now, fence=call.fence, lease_expires=now + int(LONG * SECOND))
    standing = reached if isinstance(reached, Standing) else before
    happened = isinstance(reached, Standing)
    expected: int | None = int(happened)
    if call.event is Event.CLAIM:
        expected = standing.fence if happened else 0
    elif call.event is Event.REQUEST_CANCEL:
        expected = int(standing.phase.done)
    elif call.event is Event.RELEASE:
        expected = None
    if expected != call.answer:
        return None
    outcome = scene.outcome
    if standing.phase.done and not before.phase.done:
        outcome = OUTCOMES[ENDINGS[call.event]] if call.event in ENDINGS else CANCELLED
        if call.event is Event.ABANDON and before.phase is Phase.RUNNING:
            outcome = exhausted(before.max_attempts)
    return replace(scene, standing=standing, outcome=outcome)


def explained(scene: Scene, calls: frozenset[Call], end: Callable[[Scene], bool], now: int) -> bool:
    """Whether some order of the calls leads, answer by answer, to this end."""
    tried = set[tuple[Scene, frozenset[Call]]]()

    def leads(scene: Scene, left: frozenset[Call]) -> bool:
        if (scene, left) in tried:
            return False
        tried.add((scene, left))
        if not left:
            return end(scene)
        first_end = min(call.ended for call in left)
        nexts = ((call, after(scene, call, now)) for call in left if call.began <= first_end)
        return any(leads(reached, left - {call}) for call, reached in nexts if reached is not None)

    return leads(scene, calls)


class Race:
    """One round."""

    def __init__(self, name: str, stores: list[OperationStore], chance: random.Random, ticks: Iterator[int]) -> None:
        self.name = name
        self.calls: list[Call] = []
        self._stores = stores
        self._chance = chance
        self._ticks = ticks
        self.begins = Scene(Standing())

    async def starts(self, stage: Stage) -> None:
        """Stores the operation, claimed by a worker whose lease will have expired when the race begins."""
        used_up = self._chance.random() < 0.2
        attempts = 1 if used_up else 100
        await stage.store.create(new(self.name, max_attempts=attempts, request_id=self.name), terms(ttl=TTL))
        standing = step(Standing(max_attempts=attempts), Event.CLAIM, lease_expires=stage.now + int(TTL * SECOND))
        assert isinstance(standing, Standing)
        self.begins = Scene(standing)

    def contenders(self) -> list[Awaitable[None]]:
        """Some of those who could act now, in any order."""
        every: list[Callable[[], Awaitable[None]]] = [
            lambda: self.worker(1, Event.SUCCEED),
            lambda: self.worker(1, Event.FAIL),
            lambda: self.worker(1, Event.STOP),
            lambda: self.worker(1, Event.UPDATE, Event.SUCCEED),
            lambda: self.worker(1, Event.RENEW, Event.UPDATE),
            lambda: self.worker(1, Event.RELEASE),
            lambda: self.takes_over(Event.SUCCEED),
            lambda: self.takes_over(Event.RELEASE),
            lambda: self.takes_over(Event.FAIL),
            self.cancels,
            self.cancels,
            self.deletes,
            self.deletes,
        ]
        chosen = self._chance.sample(every, self._chance.randint(3, 7))
        return [contender() for contender in chosen]

    async def worker(self, fence: int, *events: Event) -> None:
        """Does these, one after the other, whether it still has its lease or not."""
        for event in events:
            await self.call(event, fence, partial(self._write, event, fence))

    async def takes_over(self, event: Event) -> None:
        """Claims it; then, where that worked, does this."""
        fence = await self.call(Event.CLAIM, 0, self._claim)
        if fence:
            await self.worker(fence, event)

    async def cancels(self) -> None:
        """Requests a cancel."""

        async def cancel(store: OperationStore) -> int:
            record = await store.request_cancel(self.name, None)
            return -1 if record is None else int(record.done)

        await self.call(Event.REQUEST_CANCEL, 0, cancel)

    async def deletes(self) -> None:
        """Deletes it."""

        async def delete(store: OperationStore) -> int:
            return int(await store.delete(self.name, None))

        await self.call(None, 0, delete)

    async def call(
        self, event: Event | None, fence: int, act: Callable[[OperationStore], Awaitable[int | None]]
    ) -> int | None:
        """Puts a call on record, made through any of the stores."""
        for _ in range(self._chance.randint(0, 2)):  # so that all orders occur
            await asyncio.sleep(0)
        began = next(self._ticks)
        answer = await act(self._chance.choice(self._stores))
        self.calls.append(Call(event=event, fence=fence, answer=answer, began=began, ended=next(self._ticks)))
        return answer

    async def _claim(self, store: OperationStore) -> int:
        lease = await store.claim(self.name, terms("another", ttl=LONG))
        return 0 if lease is None else lease.fence

    async def _write(self, event: Event, fence: int, store: OperationStore) -> int | None:
        if event is Event.RENEW:
            return int(self.name in await store.renew({self.name: fence}, LONG))
        if event is Event.RELEASE:
            await store.release({self.name: fence})
            return None
        try:
            if event is Event.UPDATE:
                await store.update(self.name, fence, metadata=b"m")
            else:
                await store.finish(self.name, fence, OUTCOMES[ENDINGS[event]])
        except LeaseLostError:
            return 0
        return 1

    async def finds_its_end(self) -> None:
        """Ends it, if nobody has, as it would end in the long run: by another attempt; the reconciler does the rest."""
        last = max((call.answer or 0 for call in self.calls if call.event is Event.CLAIM), default=0) or 1
        await self.worker(last, Event.SUCCEED)
        await self.takes_over(Event.SUCCEED)

    async def judge(self, stage: Stage, abandoned: Iterable[tuple[Call, tuple[str, ...]]], tally: Tally) -> None:
        """Counts, and says where nothing explains what was seen."""
        calls = [replace(call, answer=int(self.name in names)) for call, names in abandoned]
        calls += self.calls
        record = (
            await stage.store.create(new("operations/none", request_id=self.name))
        ).record  # seen when deleted too

        def ends_so(scene: Scene) -> bool:
            outcome = scene.outcome
            return outcome is not None and (record.code, record.result) == (outcome.code, outcome.payload)

        tally.rounds += 1
        tally.calls += len(calls)
        tally.lost += sum(call.answer == 0 for call in calls if call.event in BY_WORKER)
        finished = sum(call.answer == 1 for call in calls if call.event in ENDINGS)
        phase = Outcome(code=record.code, payload=b"").phase
        tally.ends[phase] = tally.ends.get(phase, 0) + 1
        history = "; ".join(str(call) for call in sorted(calls, key=lambda call: call.began))
        if not record.done or record.end_time is None:
            tally.errors.append(f"{self.name} has no end: {history}")
        elif finished > 1:
            tally.errors.append(f"{self.name} was finished {finished} times: {history}")
        elif not explained(self.begins, frozenset(calls), ends_so, stage.now):
            tally.errors.append(f"{self.name} ended as {record} by no history: {history}")


async def batch(
    stage: Stage, stores: list[OperationStore], races: list[Race], ticks: Iterator[int], tally: Tally
) -> None:
    """Plays some rounds at the same time, with one reconciler among them."""
    abandoned = list[tuple[Call, tuple[str, ...]]]()

    async def reconciler() -> None:
        for store in stores:  # each ends what it finds, of all rounds
            began = next(ticks)
            names = await store.abandon(limit=1_000_000)
            call = Call(event=Event.ABANDON, fence=0, answer=None, began=began, ended=next(ticks))
            abandoned.append((call, names))

    await asyncio.gather(*(race.starts(stage) for race in races))
    stage.clock.advance(TTL)
    crowd = [contender for race in races for contender in race.contenders()]
    await asyncio.gather(*crowd, reconciler())
    for race in races:
        await race.finds_its_end()
    await reconciler()
    for race in races:
        await race.judge(stage, abandoned, tally)
    stage.clock.advance(1)
    await stage.store.purge(older_than=0, limit=1_000_000)


@asynccontextmanager
async def racetrack(kind: Kind, folder: Path) -> AsyncGenerator[tuple[Stage, list[OperationStore]], None]:
    """Several stores on the same operations, as several processes have them."""
    async with staged(kind, folder) as stage:
        yield stage, [stage.store, *[await stage.another() for _ in range(STORES - 1)]]


async def rounds(
    number: int, *, kind: Kind, folder: Path, seed: int = 0, tell: Callable[[str], object] | None = None
) -> Tally:
    """Plays so many rounds.

    Args:
        number: How many.
        kind: On which kind of store.
        folder: An empty folder for it.
        seed: Of who takes part, and when.
        tell: Gets a line every thousand rounds.
    """
    tally, chance, ticks = Tally(), random.Random(seed), iter(range(10**12))
    async with racetrack(kind, folder) as (stage, stores):
        while tally.rounds < number:
            count = min(BATCH, number - tally.rounds)
            races = [Race(f"operations/{tally.rounds + index}", stores, chance, ticks) for index in range(count)]
            await batch(stage, stores, races, ticks, tally)
            if tell is not None and tally.rounds % 1_000 == 0:
                tell(f"  {tally}")
    return tally
