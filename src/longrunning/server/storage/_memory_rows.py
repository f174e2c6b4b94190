# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What `MemoryStore` is made of: frozen rows, their order, and what watchers have not seen yet."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, final

from ..._lifecycle import Event, Standing, step
from ._records import Lease, ListQuery, NewOperation, OperationRecord

__all__ = ["Order", "Row", "Watcher", "answering"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """All that is kept of an operation. What only workers need is dropped when it ends."""

    record: OperationRecord
    standing: Standing
    principal: str
    request: bytes
    request_id: str
    request_hash: bytes
    resource: str
    trace: str
    checkpoint: bytes | None = None
    held_until: int = 0  # microseconds; until then `due` passes it over
    deleted: bool = False

    @classmethod
    def new(cls, new: NewOperation, sequence: int, now: int) -> Row:
        """The row of an operation that has just been made."""
        record = OperationRecord(
            sequence=sequence,
            name=new.name,
            parent=new.parent,
            method=new.method,
            scope=new.scope,
            done=False,
            code=None,
            metadata=new.metadata,
            result=None,
            create_time=now,
            start_time=None,
            update_time=now,
            end_time=None,
        )
        return cls(
            record=record,
            standing=Standing(max_attempts=new.max_attempts),
            principal=new.principal,
            request=new.request,
            request_id=new.request_id,
            request_hash=new.request_hash,
            resource=new.resource,
            trace=new.trace,
        )

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What a replayed request is known by."""
        return self.principal, self.record.scope, self.record.method, self.request_id

    def claimable(self, now: int) -> bool:
        """Whether it is to be worked on, and nobody holds a live lease on it."""
        return isinstance(step(self.standing, Event.CLAIM, now=now, lease_expires=now), Standing)

    def visible(self, scope: str | None) -> bool:
        """Whether a scope may see it; ``None`` sees all that was not deleted."""
        return not self.deleted and scope in {None, self.record.scope}

    def lease(self, now: int) -> Lease:
        """The lease that was given at this time, microseconds."""
        return Lease(
            name=self.record.name,
            method=self.record.method,
            principal=self.principal,
            request=self.request,
            metadata=self.record.metadata,
            checkpoint=self.checkpoint,
            attempt=self.standing.attempts,
            fence=self.standing.fence,
            create_time=self.record.create_time,
            claim_time=now,
            trace=self.trace,
        )


@final
class Order:
    """Sequence numbers in order, in blocks: adding, removing and starting anywhere do not depend on how many there are."""

    __slots__ = ("_blocks", "_numbers")

    _BITS: Final = 9  # a block spans 512 numbers: small enough to be copied while somebody iterates

    def __init__(self) -> None:
        self._blocks: dict[int, list[int]] = {}
        self._numbers: list[int] = []  # of the blocks, ascending

    def __bool__(self) -> bool:
        return bool(self._numbers)

    def add(self, sequence: int) -> None:
        """Puts one in; it is not there yet."""
        number = sequence >> self._BITS
        if number not in self._blocks:
            self._blocks[number] = []
            insort(self._numbers, number)
        insort(self._blocks[number], sequence)

    def remove(self, sequence: int) -> None:
        """Takes one out; it is there."""
        number = sequence >> self._BITS
        block = self._blocks[number]
        del block[bisect_left(block, sequence)]
        if not block:
            del self._blocks[number]
            del self._numbers[bisect_left(self._numbers, number)]

    def before(self, sequence: int) -> Iterator[int]:
        """Those smaller than this, largest first."""
        index = bisect_left(self._numbers, (sequence >> self._BITS) + 1)
        while index > 0:
            index -= 1
            block = self._blocks[self._numbers[index]]
            yield from reversed(block[: bisect_left(block, sequence)])


@final
class Watcher:
    """What one iterator of `MemoryStore.watch` has not seen yet: a set, so that it never holds a name twice."""

    __slots__ = ("_changed", "_ended", "_names")

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._ended = False
        self._changed = asyncio.Event()

    def tell(self, name: str) -> None:
        """Something happened to this operation."""
        self._names.add(name)
        self._changed.set()

    def end(self) -> None:
        """Nothing will happen any more."""
        self._ended = True
        self._changed.set()

    async def next(self) -> frozenset[str]:
        """At least one name; none where the store was closed."""
        while not self._names and not self._ended:
            self._changed.clear()
            await self._changed.wait()
        names, self._names = frozenset(self._names), set()
        return names


def answering(query: ListQuery) -> Callable[[Row], bool]:
    """Whether a row, whose parent is that of the query, is what it asks for."""
    tests: list[Callable[[OperationRecord], bool]] = [condition.test() for condition in query.conditions]
    if query.matches is not None:
        tests.append(query.matches)

    def answers(row: Row) -> bool:
        return row.visible(query.scope) and all(test(row.record) for test in tests)

    return answers
