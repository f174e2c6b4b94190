# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""`MemoryStore`: operations in the memory of one process, for tests, demos, and what may be lost.

What is legal it asks `longrunning._lifecycle.step`, and nobody else. Rows are frozen and replaced as a whole, and no method
awaits anything before it is through: on one event loop each is atomic without a lock.
"""

from __future__ import annotations

import heapq
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from dataclasses import replace
from typing import Final, final

from ..._lifecycle import Event, Phase, Refusal, Standing, step
from ...errors import LeaseLostError, OperationConflictError
from ._memory_rows import Order, Row, Watcher, answering
from ._records import (
    CANCELLED,
    ClaimTerms,
    Created,
    Lease,
    ListPage,
    ListQuery,
    NewOperation,
    OperationRecord,
    Outcome,
    exhausted,
)

__all__ = ["MemoryStore"]

_SECOND: Final = 1_000_000  # microseconds
_EVENTS: Final = {Phase.SUCCEEDED: Event.SUCCEED, Phase.FAILED: Event.FAIL, Phase.CANCELLED: Event.STOP}


@final
class MemoryStore:
    """An `OperationStore` in the memory of one process: gone when the process ends.

    It belongs to one event loop: all of its methods are to be called there. `close` ends what watches, and keeps the
    operations, so that it can be opened again.

    Getting an operation, writing to it and starting a page cost the same however many there are; purging depends on how
    many are purged; `due` and `abandon` depend on how many are not done.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        """Makes an empty one.

        Args:
            clock: Seconds since 1970.
        """
        self._clock = clock
        self._last = 0  # the greatest sequence number given away
        self._rows: dict[int, Row] = {}
        self._sequences: dict[str, int] = {}  # by name
        self._requests: dict[tuple[str, ...], int] = {}  # by principal, scope, method, and id
        self._resources: dict[str, int] = {}  # held by operations that are not done
        self._active: dict[int, None] = {}  # what is not done, oldest first
        self._ended: list[tuple[int, int]] = []  # a heap of end time and sequence
        self._orders: dict[str | None, Order] = {None: Order()}  # by parent; None for all
        self._secrets: dict[str, bytes] = {}
        self._watchers: set[Watcher] = set()

    async def open(self) -> None:
        """Does nothing: it is ready."""

    async def close(self) -> None:
        """Ends what watches. The operations stay."""
        for watcher in self._watchers:
            watcher.end()

    async def secret(self, purpose: str) -> bytes:
        """32 random bytes, the same for the same purpose as long as this store lives."""
        return self._secrets.setdefault(purpose, secrets.token_bytes(32))

    async def create(self, new: NewOperation, claim: ClaimTerms | None = None) -> Created:
        """Stores an operation: see `OperationStore.create`.

        Raises:
            OperationConflictError: An operation that is not done holds the same resource.
            ValueError: The name is taken; names are to be unguessable, hence unique.
        """
        known = self._replayed(new.principal, new.scope, new.method, new.request_id)
        if known is not None:
            return known
        if new.resource and new.resource in self._resources:
            raise OperationConflictError(new.resource)
        if new.name in self._sequences:
            raise ValueError(f"there is an operation {new.name!r}")
        now = self._now()
        self._last += 1
        row = Row.new(new, self._last, now)
        self._add(row)
        lease = None if claim is None else self._claim(row, claim, now)
        return Created(
            record=self._rows[row.record.sequence].record, request_hash=new.request_hash, lease=lease, existed=False
        )

    async def replayed(self, principal: str, scope: str, method: str, request_id: str) -> Created | None:
        """What an earlier request with this id made: see `OperationStore.replayed`."""
        return self._replayed(principal, scope, method, request_id)

    async def get(self, name: str, scope: str | None) -> OperationRecord | None:
        """The operation, or ``None``."""
        row = self._visible(name, scope)
        return None if row is None else row.record

    async def list(self, query: ListQuery) -> ListPage:
        """One page of operations: see `OperationStore.list`."""
        order = self._orders.get(query.parent)
        if order is None:
            return ListPage(records=(), next_after=None)
        answers = answering(query)
        found: list[OperationRecord] = []
        last = self._last + 1 if query.after is None else query.after
        for looked_at, sequence in enumerate(order.before(last)):
            if looked_at == query.scan_limit or (looked_at and query.expired is not None and query.expired()):
                return ListPage(records=tuple(found), next_after=last)
            if answers(self._rows[sequence]):
                if len(found) == query.limit:  # one more is there: so there is a next page
                    return ListPage(records=tuple(found), next_after=last)
                found.append(self._rows[sequence].record)
            last = sequence
        return ListPage(records=tuple(found), next_after=None)

    async def claim(self, name: str, terms: ClaimTerms) -> Lease | None:
        """Takes an operation: see `OperationStore.claim`."""
        row = self._row(name)
        return None if row is None else self._claim(row, terms, self._now())

    async def renew(self, fences: Mapping[str, int], ttl: float) -> Mapping[str, bool]:
        """Prolongs leases: see `OperationStore.renew`."""
        now, held = self._now(), dict[str, bool]()
        for name, fence in fences.items():
            row = self._row(name)
            if row is None:
                continue
            after = step(row.standing, Event.RENEW, fence=fence, now=now, lease_expires=now + _micros(ttl))
            if isinstance(after, Standing):
                self._put(replace(row, standing=after))
                held[name] = after.phase is Phase.CANCELLING
        return held

    async def update(
        self, name: str, fence: int, *, metadata: bytes | None = None, checkpoint: bytes | None = None
    ) -> bool:
        """Writes metadata, a checkpoint, or both: see `OperationStore.update`.

        Raises:
            LeaseLostError: The lease is not held any more; nothing was written.
        """
        now = self._now()
        row = self._stepped(name, Event.UPDATE, fence, now)
        if metadata is not None:
            row = replace(row, record=replace(row.record, metadata=metadata, update_time=now))
        if checkpoint is not None:
            row = replace(row, checkpoint=checkpoint)
        self._put(row)
        return row.standing.phase is Phase.CANCELLING

    async def finish(self, name: str, fence: int, outcome: Outcome, *, metadata: bytes | None = None) -> None:
        """Publishes the one outcome: see `OperationStore.finish`.

        Raises:
            LeaseLostError: The lease is not held any more; nothing was written.
        """
        now = self._now()
        row = self._stepped(name, _EVENTS[outcome.phase], fence, now)
        if metadata is not None:
            row = replace(row, record=replace(row.record, metadata=metadata))
        self._end(row, outcome, now)

    async def release(self, fences: Mapping[str, int]) -> None:
        """Gives leases back, unfinished: see `OperationStore.release`."""
        now = self._now()
        for name, fence in fences.items():
            row = self._row(name)
            after = Refusal.LEASE_LOST if row is None else step(row.standing, Event.RELEASE, fence=fence, now=now)
            if row is None or isinstance(after, Refusal):
                continue
            row = replace(row, standing=after, held_until=0)
            if after.phase.done:
                self._end(row, CANCELLED, now)
            else:
                self._put(row)

    async def request_cancel(self, name: str, scope: str | None) -> OperationRecord | None:
        """Requests a cancel: see `OperationStore.request_cancel`."""
        row = self._visible(name, scope)
        if row is None:
            return None
        now = self._now()
        after = step(row.standing, Event.REQUEST_CANCEL, now=now)
        if isinstance(after, Refusal):
            return row.record
        row = replace(row, standing=after)
        if after.phase.done:
            return self._end(row, CANCELLED, now)
        self._put(row)
        self._tell(name)
        return row.record

    async def delete(self, name: str, scope: str | None) -> bool:
        """Hides an operation for good: see `OperationStore.delete`."""
        row = self._visible(name, scope)
        if row is None:
            return False
        self._put(replace(row, deleted=True))
        self._unlist(row.record)
        self._tell(name)
        return True

    async def due(self, methods: Collection[str], *, limit: int, hold: float) -> tuple[tuple[str, str], ...]:
        """Operations that are to be worked on, oldest first: see `OperationStore.due`."""
        now = self._now()
        found: list[tuple[str, str]] = []
        for sequence in self._active:
            if len(found) >= limit:
                break
            row = self._rows[sequence]
            record = row.record
            if record.method in methods and row.held_until <= now and row.claimable(now):
                self._put(replace(row, held_until=now + _micros(hold)))
                found.append((record.name, record.method))
        return tuple(found)

    async def abandon(self, *, limit: int) -> tuple[str, ...]:
        """Ends operations nobody will go on with: see `OperationStore.abandon`."""
        now, names = self._now(), list[str]()
        for sequence in tuple(self._active):
            if len(names) >= limit:
                break
            row = self._rows[sequence]
            after = step(row.standing, Event.ABANDON, now=now)
            if isinstance(after, Standing):
                outcome = CANCELLED if after.phase is Phase.CANCELLED else exhausted(after.attempts - after.releases)
                names.append(self._end(replace(row, standing=after), outcome, now).name)
        return tuple(names)

    async def purge(self, *, older_than: float, limit: int) -> int:
        """Removes operations that ended long ago: see `OperationStore.purge`."""
        before, purged = self._now() - _micros(older_than), 0
        while self._ended and self._ended[0][0] < before and purged < limit:
            _, sequence = heapq.heappop(self._ended)
            row = self._rows.pop(sequence)
            del self._sequences[row.record.name]
            if row.request_id:
                del self._requests[row.key]
            if not row.deleted:
                self._unlist(row.record)
            purged += 1
        return purged

    async def settled(self, names: Collection[str]) -> frozenset[str]:
        """Which of these are done, deleted or absent."""
        rows = ((name, self._visible(name, None)) for name in names)
        return frozenset(name for name, row in rows if row is None or row.record.done)

    async def watch(self) -> AsyncGenerator[frozenset[str], None]:
        """Names of operations that ended, were deleted, or got a cancel request, until this store is closed.

        Each iteration yields all that happened since the one before.
        """
        watcher = Watcher()
        self._watchers.add(watcher)
        try:
            while names := await watcher.next():
                yield names
        finally:
            self._watchers.discard(watcher)

    def _now(self) -> int:
        return _micros(self._clock())

    def _row(self, name: str) -> Row | None:
        sequence = self._sequences.get(name)
        return None if sequence is None else self._rows[sequence]

    def _replayed(self, *key: str) -> Created | None:
        known = self._requests.get(key)
        if known is None:
            return None
        row = self._rows[known]
        return Created(record=row.record, request_hash=row.request_hash, lease=None, existed=True)

    def _visible(self, name: str, scope: str | None) -> Row | None:
        row = self._row(name)
        return row if row is not None and row.visible(scope) else None

    def _add(self, row: Row) -> None:
        sequence, parent = row.record.sequence, row.record.parent
        self._sequences[row.record.name] = sequence
        if row.request_id:
            self._requests[row.key] = sequence
        if row.resource:
            self._resources[row.resource] = sequence
        self._active[sequence] = None
        self._orders[None].add(sequence)
        self._orders.setdefault(parent, Order()).add(sequence)
        self._put(row)

    def _put(self, row: Row) -> None:
        self._rows[row.record.sequence] = row

    def _claim(self, row: Row, terms: ClaimTerms, now: int) -> Lease | None:
        if row.record.method not in terms.methods:
            return None
        after = step(row.standing, Event.CLAIM, now=now, lease_expires=now + _micros(terms.ttl))
        if isinstance(after, Refusal):
            return None
        record = row.record if row.record.start_time is not None else replace(row.record, start_time=now)
        row = replace(row, record=record, standing=after)
        self._put(row)
        return row.lease(now)

    def _stepped(self, name: str, event: Event, fence: int, now: int) -> Row:
        """The row after an event of its worker; not stored yet."""
        row = self._row(name)
        after = Refusal.LEASE_LOST if row is None else step(row.standing, event, fence=fence, now=now)
        if row is None or isinstance(after, Refusal):
            raise LeaseLostError(name)
        return replace(row, standing=after)

    def _end(self, row: Row, outcome: Outcome, now: int) -> OperationRecord:
        """Stores a row whose phase has become terminal, with its outcome."""
        record = replace(
            row.record, done=True, code=outcome.code, result=outcome.payload, update_time=now, end_time=now
        )
        self._put(replace(row, record=record, request=b"", checkpoint=None, trace=""))
        del self._active[record.sequence]
        if row.resource:
            del self._resources[row.resource]
        heapq.heappush(self._ended, (now, record.sequence))
        self._tell(record.name)
        return record

    def _unlist(self, record: OperationRecord) -> None:
        self._orders[None].remove(record.sequence)
        self._orders[record.parent].remove(record.sequence)
        if not self._orders[record.parent]:
            del self._orders[record.parent]

    def _tell(self, name: str) -> None:
        for watcher in self._watchers:
            watcher.tell(name)


def _micros(seconds: float) -> int:
    return round(seconds * _SECOND)
