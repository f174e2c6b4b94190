# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The stores that the contract holds for, and what scenarios on them are written with.

A scenario is an async function of a `Stage`: a store that is open, the clock it reads, and operations made in one line. A
further store needs one more `Kind`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from longrunning import Code, Status
from longrunning._lifecycle import Phase
from longrunning.server.storage import (
    ClaimTerms,
    Lease,
    ListPage,
    ListQuery,
    MemoryStore,
    NewOperation,
    OperationRecord,
    OperationStore,
    Outcome,
    SqliteStore,
)

METHOD: Final = "/example.library.v1.Library/ImportBooks"
OTHER: Final = "/example.library.v1.Library/CreateShelf"
NAME: Final = "operations/1"
TTL: Final = 30.0  # seconds
TICK: Final = 1 / 64  # seconds: 15,625 microseconds, and exact as a float too
SECOND: Final = 1_000_000  # microseconds
PATIENCE: Final = 20.0  # real seconds after which what was to come does not come
LIVE: Final = frozenset({Phase.RUNNING, Phase.CANCELLING})
OUTCOMES: Final[Mapping[Phase, Outcome]] = {
    Phase.SUCCEEDED: Outcome(code=None, payload=b"a response"),
    Phase.FAILED: Outcome.failure(Status(Code.RESOURCE_EXHAUSTED, "no shelf is free")),
    Phase.CANCELLED: Outcome.failure(Status(Code.CANCELLED, "stopped after 3 books")),
}
SUCCESS: Final = OUTCOMES[Phase.SUCCEEDED]


class Clock:
    """The time that stores of a test read: it passes when the test says so."""

    def __init__(self) -> None:
        self.micros = 1_000_000 * SECOND

    def __call__(self) -> float:
        return self.micros / SECOND

    def advance(self, seconds: float) -> None:
        """Lets time pass; a multiple of `TICK`."""
        self.micros += int(seconds * SECOND)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One implementation of `OperationStore`.

    Attributes:
        name: What its tests are called.
        make: Makes one, not open yet. Those made in the same folder share their operations, if they are shared at all.
        shared: Whether several stores share operations, and operations outlive their store.
    """

    name: str
    make: Callable[[Path, Clock], OperationStore]
    shared: bool


MEMORY: Final = Kind(name="memory", make=lambda _, clock: MemoryStore(clock=clock), shared=False)
SQLITE: Final = Kind(
    name="sqlite", make=lambda folder, clock: SqliteStore(folder / "operations.db", clock=clock), shared=True
)
KINDS: Final = (MEMORY, SQLITE)


def new(name: str = NAME, **fields: Any) -> NewOperation:
    """An operation to store, with little in it."""
    given: dict[str, Any] = {"parent": "", "method": METHOD} | fields
    return NewOperation(name=name, **given)


def replay_key(operation: NewOperation) -> tuple[str, str, str, str]:
    """What `OperationStore.replayed` is asked, to find what a request made."""
    return operation.principal, operation.scope, operation.method, operation.request_id


def terms(worker: str = "worker 1", *, ttl: float = TTL, methods: frozenset[str] = frozenset({METHOD})) -> ClaimTerms:
    """How a worker of the tests takes operations."""
    return ClaimTerms(worker=worker, methods=methods, ttl=ttl)


class Stage:
    """A store that is open, and its clock.

    Attributes:
        kind: What it is.
        clock: The time it reads.
        store: The store.
    """

    def __init__(self, kind: Kind, folder: Path, stack: AsyncExitStack) -> None:
        self.kind = kind
        self.clock = Clock()
        self.store = kind.make(folder, self.clock)
        self._folder = folder
        self._stack = stack

    @property
    def now(self) -> int:
        """Microseconds."""
        return self.clock.micros

    async def another(self) -> OperationStore:
        """A store with the same operations, as another process would have it; the same store where none can have."""
        if not self.kind.shared:
            return self.store
        store = self.kind.make(self._folder, self.clock)
        await store.open()
        self._stack.push_async_callback(store.close)
        return store

    async def reopen(self) -> None:
        """Closes the store, and opens it again."""
        await self.store.close()
        if self.kind.shared:
            self.store = self.kind.make(self._folder, self.clock)
        await self.store.open()

    async def crash(self) -> None:
        """Goes on with another store; this one gets no chance to do anything at its end, until the scenario is over."""
        if self.kind.shared:
            self._stack.push_async_callback(self.store.close)
            self.store = self.kind.make(self._folder, self.clock)
            await self.store.open()

    async def create(self, name: str = NAME, **fields: Any) -> OperationRecord:
        """Stores an operation that is new."""
        created = await self.store.create(new(name, **fields))
        assert not created.existed
        assert created.lease is None
        return created.record

    async def claimed(self, name: str = NAME, *, ttl: float = TTL, **fields: Any) -> Lease:
        """Stores an operation and claims it."""
        await self.create(name, **fields)
        return await self.claim(name, ttl=ttl)

    async def claim(self, name: str = NAME, *, ttl: float = TTL, worker: str = "worker 1") -> Lease:
        """Claims an operation that can be had."""
        lease = await self.store.claim(name, terms(worker, ttl=ttl, methods=frozenset({METHOD, OTHER})))
        assert lease is not None
        return lease

    async def bring(self, phase: Phase, **fields: Any) -> None:
        """Stores an operation and brings it to a phase."""
        await self.create(**fields)
        if phase is Phase.QUEUED:
            return
        lease = await self.claim()
        if phase is Phase.CANCELLING:
            await self.store.request_cancel(NAME, None)
        elif phase.done:
            await self.store.finish(NAME, lease.fence, OUTCOMES[phase])

    async def ended(self, name: str = NAME, outcome: Outcome = SUCCESS, **fields: Any) -> OperationRecord:
        """Stores an operation and ends it."""
        lease = await self.claimed(name, **fields)
        await self.store.finish(name, lease.fence, outcome)
        return await self.record(name)

    async def record(self, name: str = NAME) -> OperationRecord:
        """An operation that is there."""
        record = await self.store.get(name, None)
        assert record is not None
        return record

    async def names(self, **query: Any) -> list[str]:
        """The names on all pages of a list."""
        return [record.name for page in await self.pages(**query) for record in page.records]

    async def pages(self, **query: Any) -> list[ListPage]:
        """All pages of a list."""
        given: dict[str, Any] = {"parent": None, "scope": None} | query
        asked = ListQuery(**given)
        pages = [await self.store.list(asked)]
        while (after := pages[-1].next_after) is not None:
            assert asked.after is None or after < asked.after
            asked = replace(asked, after=after)
            pages.append(await self.store.list(asked))
        return pages


@asynccontextmanager
async def staged(kind: Kind, folder: Path) -> AsyncGenerator[Stage, None]:
    """A stage with an open store of this kind."""
    async with AsyncExitStack() as stack:
        stage = Stage(kind, folder, stack)
        await stage.store.open()
        try:
            yield stage
        finally:
            await stage.store.close()


Scenario = Callable[[Stage], Awaitable[None]]
Play = Callable[[Scenario], None]


def play_on(kind: Kind, folder: Path) -> Play:
    """Runs scenarios, each on an event loop of its own."""

    async def played(scenario: Scenario) -> None:
        async with staged(kind, folder) as stage:
            await scenario(stage)

    def run(scenario: Scenario) -> None:
        asyncio.run(played(scenario))

    return run
