# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What a store should do, said as plainly as it can be: a list of operations, and `step`. Slow, and kept by nobody."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from longrunning._lifecycle import Event, Phase, Refusal, Standing, step
from longrunning.server.storage import ClaimTerms, Created, Lease, NewOperation, OperationRecord, Outcome
from longrunning.server.storage._records import CANCELLED, exhausted
from tests.contract.stores import SECOND, Clock

ENDINGS = {Phase.SUCCEEDED: Event.SUCCEED, Phase.FAILED: Event.FAIL, Phase.CANCELLED: Event.STOP}


class LostError(Exception):
    """`LeaseLostError`, as the model has it."""


class ConflictError(Exception):
    """`OperationConflictError`, as the model has it."""


@dataclass
class Kept:
    """An operation as the model keeps it; the attributes are those of records, and what workers see."""

    new: NewOperation
    sequence: int
    standing: Standing
    created: int
    updated: int
    metadata: bytes | None
    started: int | None = None
    ended: int | None = None
    outcome: Outcome | None = None
    checkpoint: bytes | None = None
    held_until: int = 0
    deleted: bool = False

    @property
    def record(self) -> OperationRecord:
        """What reading it returns."""
        return OperationRecord(
            sequence=self.sequence,
            name=self.new.name,
            parent=self.new.parent,
            method=self.new.method,
            scope=self.new.scope,
            done=self.standing.phase.done,
            code=None if self.outcome is None else self.outcome.code,
            metadata=self.metadata,
            result=None if self.outcome is None else self.outcome.payload,
            create_time=self.created,
            start_time=self.started,
            update_time=self.updated,
            end_time=self.ended,
        )

    def end(self, outcome: Outcome, now: int) -> None:
        """Its phase has become terminal."""
        self.outcome, self.ended, self.updated, self.checkpoint = outcome, now, now, None


class Model:
    """Operations, in the order of creation, and what each method of a store would answer."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.kept: list[Kept] = []

    def find(self, name: str) -> Kept | None:
        """The operation, deleted or not."""
        return next((kept for kept in self.kept if kept.new.name == name), None)

    def seen(self, name: str, scope: str | None) -> Kept | None:
        """The operation, if the scope sees it."""
        kept = self.find(name)
        return None if kept is None or kept.deleted or scope not in {None, kept.new.scope} else kept

    def replayed(self, new: NewOperation) -> Created | None:
        """As `OperationStore.replayed`."""
        for kept in self.kept:
            before = kept.new
            same = (before.principal, before.scope, before.method) == (new.principal, new.scope, new.method)
            if same and new.request_id and before.request_id == new.request_id:
                return Created(record=kept.record, request_hash=before.request_hash, lease=None, existed=True)
        return None

    def create(self, new: NewOperation, terms: ClaimTerms | None, sequence: int) -> Created:
        """The sequence number is the store's choice."""
        key = (new.principal, new.scope, new.method, new.request_id)
        for kept in self.kept:
            mine = (kept.new.principal, kept.new.scope, kept.new.method, kept.new.request_id)
            if new.request_id and key == mine:
                return Created(record=kept.record, request_hash=kept.new.request_hash, lease=None, existed=True)
        for kept in self.kept:
            if new.resource and not kept.standing.phase.done and kept.new.resource == new.resource:
                raise ConflictError
        now = self.clock.micros
        standing = Standing(max_attempts=new.max_attempts)
        kept = Kept(new=new, sequence=sequence, standing=standing, created=now, updated=now, metadata=new.metadata)
        self.kept.append(kept)
        lease = None if terms is None else self.claim(new.name, terms)
        return Created(record=kept.record, request_hash=new.request_hash, lease=lease, existed=False)

    def claim(self, name: str, terms: ClaimTerms) -> Lease | None:
        """As `OperationStore.claim`."""
        kept = self.find(name)
        if kept is None or kept.new.method not in terms.methods:
            return None
        now = self.clock.micros
        after = step(kept.standing, Event.CLAIM, now=now, lease_expires=now + int(terms.ttl * SECOND))
        if isinstance(after, Refusal):
            return None
        kept.standing = after
        kept.started = now if kept.started is None else kept.started
        return Lease(
            name=name,
            method=kept.new.method,
            principal=kept.new.principal,
            request=kept.new.request,
            metadata=kept.metadata,
            checkpoint=kept.checkpoint,
            attempt=after.attempts,
            fence=after.fence,
            create_time=kept.created,
            claim_time=now,
            trace=kept.new.trace,
        )

    def of_worker(self, name: str, event: Event, fence: int, expires: int | None = None) -> Kept | None:
        """An event of a worker, which may have lost its lease."""
        kept = self.find(name)
        if kept is None:
            return None
        after = step(kept.standing, event, now=self.clock.micros, fence=fence, lease_expires=expires)
        if isinstance(after, Refusal):
            return None
        kept.standing = after
        return kept

    def renew(self, fences: Mapping[str, int], ttl: float) -> dict[str, bool]:
        """As `OperationStore.renew`."""
        expires = self.clock.micros + int(ttl * SECOND)
        kept = {name: self.of_worker(name, Event.RENEW, fence, expires) for name, fence in fences.items()}
        return {name: one.standing.phase is Phase.CANCELLING for name, one in kept.items() if one is not None}

    def update(self, name: str, fence: int, metadata: bytes | None, checkpoint: bytes | None) -> bool:
        """As `OperationStore.update`."""
        kept = self.of_worker(name, Event.UPDATE, fence)
        if kept is None:
            raise LostError
        if metadata is not None:
            kept.metadata, kept.updated = metadata, self.clock.micros
        if checkpoint is not None:
            kept.checkpoint = checkpoint
        return kept.standing.phase is Phase.CANCELLING

    def finish(self, name: str, fence: int, outcome: Outcome, metadata: bytes | None) -> None:
        """As `OperationStore.finish`."""
        kept = self.of_worker(name, ENDINGS[outcome.phase], fence)
        if kept is None:
            raise LostError
        kept.metadata = kept.metadata if metadata is None else metadata
        kept.end(outcome, self.clock.micros)

    def release(self, fences: Mapping[str, int]) -> None:
        """As `OperationStore.release`."""
        for name, fence in fences.items():
            kept = self.of_worker(name, Event.RELEASE, fence)
            if kept is not None:
                kept.held_until = 0
            if kept is not None and kept.standing.phase.done:
                kept.end(CANCELLED, self.clock.micros)

    def request_cancel(self, name: str, scope: str | None) -> OperationRecord | None:
        """As `OperationStore.request_cancel`."""
        kept = self.seen(name, scope)
        if kept is None:
            return None
        after = step(kept.standing, Event.REQUEST_CANCEL, now=self.clock.micros)
        if isinstance(after, Standing):
            kept.standing = after
            if after.phase.done:
                kept.end(CANCELLED, self.clock.micros)
        return kept.record

    def delete(self, name: str, scope: str | None) -> bool:
        """As `OperationStore.delete`."""
        kept = self.seen(name, scope)
        if kept is not None:
            kept.deleted = True
        return kept is not None

    def due(self, methods: Collection[str], limit: int, hold: float) -> tuple[tuple[str, str], ...]:
        """As `OperationStore.due`."""
        now, found = self.clock.micros, list[tuple[str, str]]()
        for kept in self.kept:
            claimable = step(kept.standing, Event.CLAIM, now=now, lease_expires=now)
            known = kept.new.method in methods and kept.held_until <= now
            if len(found) < limit and known and isinstance(claimable, Standing):
                kept.held_until = now + int(hold * SECOND)
                found.append((kept.new.name, kept.new.method))
        return tuple(found)

    def hopeless(self) -> dict[str, Standing]:
        """What `OperationStore.abandon` may end, and where each stands then."""
        now = self.clock.micros
        steps = ((kept.new.name, step(kept.standing, Event.ABANDON, now=now)) for kept in self.kept)
        return {name: after for name, after in steps if isinstance(after, Standing)}

    def abandon(self, names: Collection[str]) -> None:
        """Ends these of the hopeless: which, where not all of them, is the store's choice."""
        for name, after in self.hopeless().items():
            kept = self.find(name)
            if kept is not None and name in names:
                kept.standing = after
                kept.end(
                    CANCELLED if after.phase is Phase.CANCELLED else exhausted(after.max_attempts), self.clock.micros
                )

    def purge(self, older_than: float) -> int:
        """As `OperationStore.purge`, without a limit."""
        before, count = self.clock.micros - int(older_than * SECOND), len(self.kept)
        self.kept = [kept for kept in self.kept if kept.ended is None or kept.ended >= before]
        return count - len(self.kept)
