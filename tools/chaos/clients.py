# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The clients of a server that dies, and what they remember of what it acknowledged."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import grpc
import grpc.aio
from google.protobuf import duration_pb2

from longrunning._pb import operations_pb2

from .points import NEED_OPERATIONS, Plan, Point
from .wire import METHODS, WorkRequest

__all__ = ["Clients", "Entry", "Ledger"]

T = TypeVar("T")

_REPLAYS: Final = 2  # operations of earlier lives looked at in each
_CANCELLED: Final = 0.15  # share of operations that are cancelled
_FAILING: Final = 0.15  # share of operations that fail
_IN_THREADS: Final = 0.3  # share of operations whose handler runs in a thread
_HASTY: Final = 0.2  # share of starts that are sent again at once, without waiting for the answer
_STEPS: Final = 4  # of a handler, at most
_WAIT: Final = 20.0  # seconds of a WaitOperation
_RPC: Final = 30.0  # seconds after which an RPC hangs
_PAGE: Final = 200
_SERVICE: Final = "/google.longrunning.Operations"


@dataclass(slots=True, kw_only=True)
class Entry:
    """A request, and what its caller was told.

    Attributes:
        request_id: Its id.
        steps: How many steps it asks for.
        fails: Whether it asks for a failure.
        in_thread: Which of the methods.
        cancels: Whether its caller is going to cancel the operation.
        sent: How often the start was sent.
        name: The operation, once a start was acknowledged.
        cancel_sent: Whether a cancel was sent; it need not have been acknowledged.
        outcome: The operation as it was when first seen done, serialized.
    """

    request_id: str
    steps: int
    fails: bool
    in_thread: bool
    cancels: bool
    sent: int = 0
    name: str = ""
    cancel_sent: bool = False
    outcome: bytes | None = None

    @property
    def operation(self) -> Any:
        """The operation as it was when first seen done."""
        assert self.outcome is not None
        return operations_pb2.Operation.FromString(self.outcome)


@dataclass(slots=True)
class Ledger:
    """What all clients remember.

    Attributes:
        entries: By request id.
        replays: How many starts were sent again after they had been acknowledged.
        unanswered: How many RPCs ended with the server.
        faults: What should not have been answered.
    """

    entries: dict[str, Entry] = field(default_factory=dict[str, Entry])
    replays: int = 0
    unanswered: int = 0
    faults: list[str] = field(default_factory=list[str])

    def fault(self, text: str) -> None:
        """Something is wrong."""
        self.faults.append(text)


class _GoneError(Exception):
    """The server died; the RPC may or may not have been carried out."""


class Clients:
    """The clients of one life of the server."""

    def __init__(self, channel: grpc.aio.Channel, ledger: Ledger, plan: Plan) -> None:
        self._ledger = ledger
        self._plan = plan
        self._chance = random.Random(plan.seed)
        self._start = {
            in_thread: channel.unary_unary(
                method.path,
                request_serializer=WorkRequest.SerializeToString,
                response_deserializer=operations_pb2.Operation.FromString,
            )
            for in_thread, method in METHODS.items()
        }

        def stub(name: str, request: Any, response: Any) -> Any:
            return channel.unary_unary(
                f"{_SERVICE}/{name}",
                request_serializer=request.SerializeToString,
                response_deserializer=response.FromString,
            )

        pb = operations_pb2
        self._get = stub("GetOperation", pb.GetOperationRequest, pb.Operation)
        self._wait = stub("WaitOperation", pb.WaitOperationRequest, pb.Operation)
        self._list = stub("ListOperations", pb.ListOperationsRequest, pb.ListOperationsResponse)
        self._cancel = stub("CancelOperation", pb.CancelOperationRequest, pb.GetOperationRequest)

    async def play(self) -> None:
        """New operations, those whose start was never acknowledged, and a few old ones; returns when the server is gone."""
        entries = self._ledger.entries.values()
        known = [entry for entry in entries if entry.name]
        left = [entry for entry in entries if not entry.name]
        again = self._chance.sample(known, min(_REPLAYS, len(known)))
        new = [self._new_entry() for _ in range(NEED_OPERATIONS)]
        await asyncio.gather(*(self._guarded(self._follow(entry)) for entry in [*left, *new, *again]))

    async def finish(self) -> list[Any]:
        """Starts everything once more, waits for every operation, and returns the list of all of them."""
        gate = asyncio.Semaphore(100)

        async def follow(entry: Entry) -> None:
            async with gate:
                await self._follow(entry, cancel=False)
                await self._observe(entry, self._get(operations_pb2.GetOperationRequest(name=entry.name), timeout=_RPC))

        await asyncio.gather(*(self._guarded(follow(entry)) for entry in self._ledger.entries.values()))
        found: list[Any] = []
        request = operations_pb2.ListOperationsRequest(page_size=_PAGE)
        while True:
            page = await self._list(request, timeout=_RPC)
            found += page.operations
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    def _new_entry(self) -> Entry:
        chance = self._chance
        cancels = self._plan.point is Point.CANCEL_WRITTEN or chance.random() < _CANCELLED
        entry = Entry(
            request_id=f"{self._plan.number}-{len(self._ledger.entries)}-{chance.getrandbits(32):08x}",
            steps=chance.randint(1, _STEPS),
            fails=chance.random() < _FAILING,
            in_thread=chance.random() < _IN_THREADS,
            cancels=cancels,
        )
        self._ledger.entries[entry.request_id] = entry
        return entry

    async def _guarded(self, doing: Awaitable[None]) -> None:
        try:
            await doing
        except _GoneError:
            self._ledger.unanswered += 1

    async def _follow(self, entry: Entry, *, cancel: bool = True) -> None:
        """Starts an operation, again where it has been started, and waits for its end."""
        hasty = self._chance.random() < _HASTY
        starts = [self._begin(entry) for _ in range(1 + hasty)]
        started, *_ = sorted(await asyncio.gather(*starts), key=lambda operation: operation.done)
        if cancel and entry.cancels and self._plan.cancels and not started.done:
            entry.cancel_sent = True
            await self._call(self._cancel(operations_pb2.CancelOperationRequest(name=entry.name), timeout=_RPC))
        waiting = operations_pb2.WaitOperationRequest(
            name=entry.name, timeout=duration_pb2.Duration(seconds=int(_WAIT))
        )
        await self._observe(entry, self._wait(waiting, timeout=_RPC))

    async def _begin(self, entry: Entry) -> Any:
        """Starts an operation, and remembers its name."""
        request = WorkRequest(request_id=entry.request_id, steps=entry.steps, fails=entry.fails)
        entry.sent += 1
        started = await self._call(self._start[entry.in_thread](request, timeout=_RPC))
        if entry.name:
            self._ledger.replays += 1
            if started.name != entry.name:
                self._ledger.fault(f"request {entry.request_id} made {entry.name}, and later {started.name}")
        else:
            entry.name = started.name
        return started

    async def _observe(self, entry: Entry, call: Awaitable[Any]) -> None:
        operation = await self._call(call)
        if not operation.done:
            self._ledger.fault(f"{entry.name} was not done after {_WAIT:g} s")
            return
        seen = operation.SerializeToString(deterministic=True)
        if entry.outcome is None:
            entry.outcome = seen
        elif entry.outcome != seen:
            self._ledger.fault(f"{entry.name} ended as {entry.operation}, and later as {operation}")

    async def _call(self, call: Awaitable[T]) -> T:
        try:
            return await call
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                self._ledger.fault(f"life {self._plan.number}: an RPC ended with {error.code()}: {error.details()}")
            raise _GoneError from error
