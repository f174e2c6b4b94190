# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""`OperationStore`: where operations are kept. The store is the truth; engines and workers only act on what it says."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping
from typing import Protocol, runtime_checkable

from ._records import ClaimTerms, Created, Lease, ListPage, ListQuery, NewOperation, OperationRecord, Outcome

__all__ = ["OperationStore"]


@runtime_checkable
class OperationStore(Protocol):
    """Keeps operations, durably, for any number of servers and workers at once.

    What it owes:

    1. Each method is atomic, and durable when it returns. One that fails with `StoreUnavailableError` did nothing, or
       (where the connection broke at the wrong moment) may have done it: nothing is acknowledged.
    2. What is legal is what `longrunning._lifecycle` says. Writes of a worker show name and fencing number; one whose lease
       went to somebody else, was released, or whose operation is done, is refused with `LeaseLostError` and changes nothing.
    3. Time is the store's own. No time of a worker is ever compared with it.
    4. Deleted operations are absent for `get`, `list`, `request_cancel` and `delete`; workers go on with them.
    5. A scope is compared for equality; ``None`` sees all. What may not be seen is absent.

    Every method may raise `StoreUnavailableError`.
    """

    async def open(self) -> None:
        """Makes it ready, on the running event loop; the schema is brought up to date."""
        ...

    async def close(self) -> None:
        """Lets go of everything it holds open; a second time is harmless. Whoever watches is told no more."""
        ...

    async def secret(self, purpose: str) -> bytes:
        """32 random bytes that everybody who shares this store shares; made when first asked for."""
        ...

    async def create(self, new: NewOperation, claim: ClaimTerms | None = None) -> Created:
        """Stores an operation, and claims it in the same step if asked to.

        If the same principal, in the same scope, made one by the same method with the same request id (AIP-155), nothing is
        stored, and that one is returned, whatever became of it since.

        Raises:
            OperationConflictError: An operation that is not done holds the same resource (AIP-151, parallel operations).
            ValueError: There is an operation of that name.
        """
        ...

    async def replayed(self, principal: str, scope: str, method: str, request_id: str) -> Created | None:
        """The operation that an earlier request with this id made, as `create` would return it; ``None`` without one."""
        ...

    async def get(self, name: str, scope: str | None) -> OperationRecord | None:
        """The operation, or ``None``."""
        ...

    async def list(self, query: ListQuery) -> ListPage:
        """One page of operations; stable under inserts, deletes and purge."""
        ...

    async def claim(self, name: str, terms: ClaimTerms) -> Lease | None:
        """Takes an operation that nobody holds a live lease on; ``None`` where that is not to be had.

        Not to be had: done, absent, held, of a method the terms do not name, cancel requested, attempts exhausted.
        """
        ...

    async def renew(self, fences: Mapping[str, int], ttl: float) -> Mapping[str, bool]:
        """Prolongs leases, all in one step.

        Args:
            fences: The fencing number by operation.
            ttl: Seconds from now.

        Returns:
            The operations whose lease is still held, and for each whether a cancel was requested. Others are lost.
        """
        ...

    async def update(
        self, name: str, fence: int, *, metadata: bytes | None = None, checkpoint: bytes | None = None
    ) -> bool:
        """Writes metadata (a serialized ``Any``), a checkpoint, or both; ``None`` leaves what is there.

        Returns:
            Whether a cancel was requested.

        Raises:
            LeaseLostError: The lease is not held any more; nothing was written.
        """
        ...

    async def finish(self, name: str, fence: int, outcome: Outcome, *, metadata: bytes | None = None) -> None:
        """Publishes the one outcome, and with it the last metadata (``None`` leaves what is there); forgets checkpoint and lease.

        Raises:
            LeaseLostError: The lease is not held any more; nothing was written.
        """
        ...

    async def release(self, fences: Mapping[str, int]) -> None:
        """Gives leases back, unfinished, and at once to be had again; those not held any more are passed over.

        Such an attempt does not count. An operation whose cancel was requested ends CANCELLED.
        """
        ...

    async def request_cancel(self, name: str, scope: str | None) -> OperationRecord | None:
        """Requests a cancel. What is queued is CANCELLED in the same step; what is done stays as it is.

        One whose lease has expired is not queued: its worker may be alive, and `abandon` ends it later.

        Returns:
            The operation as it stands then; ``None`` where it is absent.
        """
        ...

    async def delete(self, name: str, scope: str | None) -> bool:
        """Hides an operation for good; returns whether there was one. Does not cancel it."""
        ...

    async def due(self, methods: Collection[str], *, limit: int, hold: float) -> tuple[tuple[str, str], ...]:
        """Operations of these methods that are to be worked on and that nobody holds a live lease on, oldest first.

        Of very many a store may look at those only that have waited longest.

        Args:
            methods: Paths of RPCs.
            limit: How many at most.
            hold: Seconds for which those returned are not returned again, to anybody.

        Returns:
            Name and method of each. Those with a cancel requested, or without attempts left, are left to `abandon`.
        """
        ...

    async def abandon(self, *, limit: int) -> tuple[str, ...]:
        """Ends operations nobody will go on with, and returns their names.

        Those whose lease expired after a cancel was requested end CANCELLED; those whose lease expired with no attempts
        left end as `exhausted` says.
        """
        ...

    async def purge(self, *, older_than: float, limit: int) -> int:
        """Removes operations that ended more than `older_than` seconds ago, deleted ones too; returns how many.

        A request id is forgotten along with its operation.
        """
        ...

    async def settled(self, names: Collection[str]) -> frozenset[str]:
        """Which of these are done, deleted or absent."""
        ...

    def watch(self) -> AsyncGenerator[frozenset[str], None]:
        """Names of operations that ended, were deleted, or got a cancel request, soon after it happened.

        Whoever did it, here or in another process. A hint: it may come twice, late, with too many names, or not at all.
        """
        ...
