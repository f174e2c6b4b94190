# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What goes into a store and what comes out of it: frozen values, in terms of operations.

Times are integers, microseconds since 1970 of the store's own clock; durations are seconds. Payloads are bytes: a store keeps
them and never looks into them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from google.rpc import status_pb2

from ..._lifecycle import Phase
from ..._pb import operations_pb2
from ...status import Code, Status

if TYPE_CHECKING:
    from ..filtering import Condition

__all__ = [
    "CANCELLED",
    "ClaimTerms",
    "Created",
    "Lease",
    "ListPage",
    "ListQuery",
    "NewOperation",
    "OperationRecord",
    "Outcome",
    "exhausted",
]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an operation ended.

    Attributes:
        code: The code of its error; ``None`` where it succeeded. 1, CANCELLED, is what cancelled operations end with.
        payload: The result, serialized: a ``google.protobuf.Any`` of the response, or a ``google.rpc.Status``.
    """

    code: int | None
    payload: bytes

    @property
    def phase(self) -> Phase:
        """The terminal phase it leads to."""
        if self.code is None:
            return Phase.SUCCEEDED
        return Phase.CANCELLED if self.code == Code.CANCELLED else Phase.FAILED

    @classmethod
    def failure(cls, status: Status) -> Outcome:
        """The outcome of an operation that failed with a status."""
        return cls(code=int(status.code), payload=status.to_proto().SerializeToString())


CANCELLED: Final = Outcome.failure(Status(Code.CANCELLED, "the operation was cancelled"))
"""What an operation ends with that was cancelled while nobody worked on it."""


def exhausted(attempts: int) -> Outcome:
    """What an operation ends with whose workers died again and again (RUN-3)."""
    text = f"the operation was given up: {attempts} attempt(s) ended without an outcome"
    return Outcome.failure(Status(Code.INTERNAL, text))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NewOperation:
    """An operation about to be stored.

    Attributes:
        name: Its name, new and unguessable.
        parent: What it is listed under; empty where names have no parent.
        method: Path of the RPC that started it.
        principal: Who started it: request ids are theirs.
        scope: Who may see it, by the word of the authorizer.
        request: The request, serialized.
        request_id: The caller's id of the request (AIP-155); empty for none.
        request_hash: Tells requests under one id apart.
        resource: What no other operation may work on before this one is done; empty for no such rule.
        metadata: The first metadata, a serialized ``google.protobuf.Any``; ``None`` for none.
        max_attempts: How many workers may die over it.
        trace: Trace context of the start (W3C ``traceparent``); empty for none.
    """

    name: str
    parent: str
    method: str
    principal: str = ""
    scope: str = ""
    request: bytes = b""
    request_id: str = ""
    request_hash: bytes = b""
    resource: str = ""
    metadata: bytes | None = None
    max_attempts: int = 5
    trace: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class OperationRecord:
    """An operation as it stands in the store: what reading one returns.

    Attributes:
        sequence: Its place in the order of creation; grows, and is never used twice.
        name: Its name.
        parent: What it is listed under.
        method: Path of the RPC that started it.
        scope: Who may see it.
        done: Whether it has ended.
        code: The code of its error; ``None`` where it has none.
        metadata: A serialized ``google.protobuf.Any``, or ``None``.
        result: Serialized: the response's ``google.protobuf.Any``, or the error's ``google.rpc.Status``; ``None`` until done.
        create_time: Microseconds.
        start_time: When it was first claimed; ``None`` before.
        update_time: When anything a caller sees last changed.
        end_time: When it ended; ``None`` before.
    """

    sequence: int
    name: str
    parent: str
    method: str
    scope: str
    done: bool
    code: int | None
    metadata: bytes | None
    result: bytes | None
    create_time: int
    start_time: int | None
    update_time: int
    end_time: int | None

    def to_proto(self) -> operations_pb2.Operation:
        """The operation as the wire has it."""
        operation = operations_pb2.Operation(name=self.name, done=self.done)
        if self.metadata is not None:
            operation.metadata.MergeFromString(self.metadata)
        if self.done and self.result is not None:
            if self.code is None:
                operation.response.SetInParent()
                operation.response.MergeFromString(self.result)
            else:
                operation.error.SetInParent()
                operation.error.MergeFromString(self.result)
        return operation

    @property
    def error(self) -> status_pb2.Status | None:
        """The error, where it ended with one."""
        return None if self.code is None or self.result is None else status_pb2.Status.FromString(self.result)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimTerms:
    """How a worker takes operations.

    Attributes:
        worker: Who takes them: unique among all processes.
        methods: The methods it knows: no others are given to it, so that an old worker never takes new work.
        ttl: How long the lease lasts without renewal, seconds.
    """

    worker: str
    methods: frozenset[str]
    ttl: float


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to work on an operation, until it expires or somebody else has it.

    Attributes:
        name: The operation.
        method: Path of the RPC that started it.
        principal: Who started it.
        request: The request, serialized.
        metadata: The metadata as last written, a serialized ``google.protobuf.Any``, or ``None``.
        checkpoint: What an earlier attempt left, or ``None``.
        attempt: Which attempt this is, from 1.
        fence: The fencing number to show with every write.
        create_time: Microseconds.
        claim_time: When this lease was given, microseconds.
        trace: Trace context of the start.
    """

    name: str
    method: str
    principal: str
    request: bytes
    metadata: bytes | None
    checkpoint: bytes | None
    attempt: int
    fence: int
    create_time: int
    claim_time: int
    trace: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """What became of storing an operation.

    Attributes:
        record: The operation: the new one, or the one that the same request id made before. That may have been deleted.
        request_hash: The hash its request was stored with.
        lease: The lease that was asked for along with it; ``None`` where none was, and where it existed before.
        existed: Whether an earlier request with the same id made it.
    """

    record: OperationRecord
    request_hash: bytes
    lease: Lease | None
    existed: bool


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """What to list. The order is that of creation, newest first.

    Attributes:
        parent: Exactly this parent; ``None`` for any.
        scope: Only what this scope may see; ``None`` for all.
        conditions: What the records must fulfil, all of it, and what a store may decide by an index.
        matches: What else they must fulfil; ``None`` for nothing.
        expired: Asked between two records: once it says so, the page ends with what was found; ``None`` for taking any time.
        after: Only what was created before this sequence number; ``None`` for the first page.
        limit: How many records to return at most.
        scan_limit: How many records to look at, at most, to find them.
    """

    parent: str | None
    scope: str | None
    conditions: tuple[Condition, ...] = ()
    matches: Callable[[OperationRecord], bool] | None = None
    after: int | None = None
    expired: Callable[[], bool] | None = None
    limit: int = 100
    scan_limit: int = 10_000

    def __post_init__(self) -> None:
        """Refuses bounds that leave nothing."""
        if self.limit < 1 or self.scan_limit < 1:
            raise ValueError(f"limit and scan_limit are 1 or more; got {self.limit} and {self.scan_limit}")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ListPage:
    """One page.

    Attributes:
        records: Newest first; fewer than the limit where the scan limit was met.
        next_after: Where the next page begins; ``None`` where there is none.
    """

    records: tuple[OperationRecord, ...]
    next_after: int | None
