# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The five methods of ``google.longrunning.Operations``, and starting, in terms that every transport shares.

Laws of this file:

1. It knows no transport: what it refuses, it refuses with a `Refusal`.
2. Every method asks the authorizer first, and the store is asked with the scope that came back. What lies outside of it is
   absent, in the same words as what does not exist (AUTH-3).
3. Nothing is acknowledged that the store has not.

Source: operations.proto, AIP-151, AIP-155, AIP-158, AIP-160, AIP-163, AIP-193.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, final

from .._any import underlying
from .._pb import operations_pb2
from ..errors import OperationConflictError
from ..status import Code
from . import filtering
from ._authorization import Access, Authorizer, Call
from ._contexts import check_type
from ._executor import Executor, Place
from ._handlers import Answer, Registered, check_request_id, request_id_of
from ._limits import Limits
from ._names import NamePattern, absent
from ._pagetokens import PageTokens
from ._refusal import Refusal, bad_field, refuse, refusing
from ._telemetry import Telemetry
from ._waiting import Waiting
from ._worker import Worker
from .storage import Created, ListPage, ListQuery, NewOperation, OperationRecord, OperationStore

_log: Final = logging.getLogger("longrunning.server")

__all__ = ["ListResult", "OperationsService"]

_MARGIN: Final = (0.1, 1.0)  # seconds by which a wait ends before the deadline of its RPC: at least, at most
_MARGIN_SHARE: Final = 0.05
_ENVELOPE: Final = 64  # bytes around the payloads of an operation, at most


@final
@dataclass(frozen=True, slots=True)
class ListResult:
    """One page of a list.

    Attributes:
        records: The operations.
        next_page_token: Where the next page begins; empty on the last.
    """

    records: tuple[OperationRecord, ...]
    next_page_token: str


@final
class OperationsService:
    """What a server answers."""

    def __init__(
        self,
        store: OperationStore,
        *,
        authorizer: Authorizer,
        executor: Executor,
        worker: Worker,
        waiting: Waiting,
        names: NamePattern,
        methods: Mapping[str, Registered],
        schema: Callable[[], filtering.Schema],
        limits: Limits,
        tokens: PageTokens,
        telemetry: Telemetry,
    ) -> None:
        self._store = store
        self._authorizer = authorizer
        self._executor = executor
        self._worker = worker
        self._waiting = waiting
        self._names = names
        self._methods = methods
        self._schema = schema
        self._limits = limits
        self._tokens = tokens
        self._telemetry = telemetry
        self._thread_waits = 0
        self._starting: set[asyncio.Task[operations_pb2.Operation]] = set()

    # -- reading -------------------------------------------------------------------------------------------------

    async def get(self, call: Call) -> OperationRecord:
        """GetOperation.

        Raises:
            Refusal: INVALID_ARGUMENT, NOT_FOUND, or what the authorizer says.
        """
        scope = await self._scope(call)
        record = await self._store.get(call.name, scope)
        if record is None:
            raise absent(call.name)
        return record

    async def list(self, call: Call, *, filter: str, page_size: int, page_token: str) -> ListResult:  # noqa: A002
        """ListOperations: newest first.

        Raises:
            Refusal: INVALID_ARGUMENT, or what the authorizer says.
        """
        limits = self._limits
        parent, expression = self._names.listed(call.name)
        if page_size < 0:
            raise bad_field("page_size", f"it cannot be negative; got {page_size}")
        access = await self._access(call)
        parsed = self._filter(filter)
        now = asyncio.get_running_loop().time
        until = now() + limits.seconds("max_scan_time")
        who = ("denied",) if access is None else (access.principal, "*" if access.scope is None else f"={access.scope}")
        # Not the name as it was written: each transport has its own way to say "no parent".
        bound_to = ((parent or "") if expression is None else f"~{expression.pattern}", filter, *who)
        after = self._tokens.read(page_token, *bound_to) if page_token else None
        if access is None:  # what a list of nothing looks like, down to what it says of a wrong filter or token
            return ListResult((), "")

        def matches(record: OperationRecord) -> bool:
            if expression is not None and expression.fullmatch(record.parent) is None:
                return False
            return parsed.matches(record)

        page = await self._store.list(
            ListQuery(
                parent=parent,
                scope=access.scope,
                conditions=parsed.pushdown,
                matches=matches if parsed.residual or expression is not None else None,
                expired=lambda: now() > until,
                after=after,
                limit=min(page_size or limits.default_page_size, limits.max_page_size),
                scan_limit=limits.max_scan,
            )
        )
        records, next_after = self._fitting(page)
        token = "" if next_after is None else self._tokens.write(next_after, *bound_to)
        return ListResult(records, token)

    def _fitting(self, page: ListPage) -> tuple[tuple[OperationRecord, ...], int | None]:
        """What of a page is small enough to be sent, and where the next one begins."""
        room = self._limits.max_page_bytes
        for index, record in enumerate(page.records):
            room -= len(record.metadata or b"") + len(record.result or b"") + len(record.name.encode()) + _ENVELOPE
            if room < 0 and index:
                return page.records[:index], page.records[index - 1].sequence
        return page.records, page.next_after

    async def wait(
        self, call: Call, timeout: float | None, deadline: float | None, *, threads: int | None
    ) -> OperationRecord:
        """WaitOperation: returns when the operation is done, and otherwise when the time is over, as it stands then.

        Args:
            call: The call.
            timeout: The caller's timeout, seconds; ``None`` where there is none.
            deadline: Seconds until the deadline of the RPC; ``None`` where there is none.
            threads: Where a thread blocks for it, how many there are; ``None`` where none does.

        Raises:
            Refusal: INVALID_ARGUMENT, NOT_FOUND, or what the authorizer says.
        """
        if timeout is not None and timeout < 0:
            raise bad_field("timeout", f"it cannot be negative; got {timeout:g} s")
        now = asyncio.get_running_loop().time
        arrived = now()
        scope = await self._scope(call)
        seconds = (
            self._limits.seconds("max_wait") if timeout is None else min(timeout, self._limits.seconds("max_wait"))
        )
        if deadline is not None:
            margin = min(max(deadline * _MARGIN_SHARE, _MARGIN[0]), _MARGIN[1], deadline / 2)
            seconds = min(seconds, deadline - margin - (now() - arrived))
        threaded = threads is not None
        crowded = self._waiting.count >= self._limits.max_waits
        if threads is not None:  # half of the threads answer everything else
            crowded = crowded or self._thread_waits >= min(self._limits.max_thread_waits, threads // 2)
        if crowded or seconds <= 0:
            return await self._reading(call, scope)
        self._thread_waits += threaded
        self._telemetry.waiting(1)
        try:
            return await self._wait(call, scope, seconds)
        finally:
            self._telemetry.waiting(-1)
            self._thread_waits -= threaded

    async def _wait(self, call: Call, scope: str | None, seconds: float) -> OperationRecord:
        now = asyncio.get_running_loop().time
        until = now() + seconds
        with self._waiting.subscribe(call.name) as subscription:
            while True:
                record = await self._reading(call, scope)
                left = until - now()
                if record.done or left <= 0 or self._waiting.closed:
                    return record
                await subscription.sleep(left)

    async def _reading(self, call: Call, scope: str | None) -> OperationRecord:
        record = await self._store.get(call.name, scope)
        if record is None:
            raise absent(call.name)
        return record

    # -- changing ------------------------------------------------------------------------------------------------

    async def cancel(self, call: Call) -> None:
        """CancelOperation: a request; on a done operation nothing happens.

        Raises:
            Refusal: INVALID_ARGUMENT, NOT_FOUND, or what the authorizer says.
        """
        scope = await self._scope(call)
        record = await self._store.request_cancel(call.name, scope)
        if record is None:
            raise absent(call.name)
        if record.done:
            self._waiting.wake((call.name,))
        else:
            self._worker.notice_cancel(call.name)

    async def delete(self, call: Call) -> None:
        """DeleteOperation: the operation is absent from now on; what works on it goes on.

        Raises:
            Refusal: INVALID_ARGUMENT, NOT_FOUND, or what the authorizer says.
        """
        scope = await self._scope(call)
        if not await self._store.delete(call.name, scope):
            raise absent(call.name)
        self._waiting.wake((call.name,))

    async def start(
        self, registered: Registered, request: Any, call: Call, *, request_id: str = ""
    ) -> operations_pb2.Operation:
        """Starts an operation: when this returns, it is stored.

        Args:
            registered: The method.
            request: The request message.
            call: The call, without the parent: that is read from the request unless `call` names one.
            request_id: The caller's id of the request; by default that in the request.

        Raises:
            Refusal: Why it is not started.
        """
        if call.name:
            self._names.check_parent(call.name)
        else:
            with refusing():
                call.name = registered.parent(request)
        access = await self._granted(call)
        request_id = check_request_id(request_id) if request_id else request_id_of(request)
        data = self._stored(request)
        fingerprint = hashlib.sha256(call.name.encode() + b"\0" + data).digest()
        if request_id:  # what the first request changed, or holds, is no reason to refuse it when it is sent again
            known = await self._store.replayed(access.principal, access.scope or "", registered.method.path, request_id)
            if known is not None:
                return _replay(known, fingerprint)
        if registered.validate is not None:
            answer = await _ask(registered.validate, request, call.transport)
            if answer is not None:
                return _answer(registered, answer)
        with refusing():
            new = replace(
                self._new(registered, request, call.name, access),
                request=data,
                request_id=request_id,
                request_hash=fingerprint,
            )
            place = self._executor.reserve()
        # The caller may go away at any moment: what was stored is dispatched nevertheless.
        starting = asyncio.create_task(self._store_and_dispatch(new, place), name="longrunning-start")
        self._starting.add(starting)
        starting.add_done_callback(self._starting.discard)
        return await asyncio.shield(starting)

    async def drain(self, seconds: float) -> None:
        """Waits until what is being stored is stored and dispatched, but not for longer than that."""
        if self._starting:
            await asyncio.wait(self._starting, timeout=seconds)

    def _stored(self, request: Any) -> bytes:
        data = underlying(request).SerializeToString(deterministic=True)
        limit = self._limits.max_request_bytes
        if len(data) > limit:
            raise refuse(
                Code.RESOURCE_EXHAUSTED, f"the request has {len(data)} bytes, more than the {limit} that are stored"
            )
        return data

    def _new(self, registered: Registered, request: Any, parent: str, access: Access) -> NewOperation:
        metadata = None
        if registered.metadata is not None:
            metadata = check_type(registered.method, "metadata", registered.metadata(request)).SerializeToString()
            limit = self._limits.max_metadata_bytes
            if len(metadata) > limit:
                text = f"the metadata would have {len(metadata)} bytes, more than the {limit} that are stored"
                raise refuse(Code.RESOURCE_EXHAUSTED, text)
        return NewOperation(
            name=self._names.new_name(parent),
            parent=parent,
            method=registered.method.path,
            principal=access.principal,
            scope=access.scope or "",
            resource=registered.resource(request) if registered.resource is not None else "",
            metadata=metadata,
            max_attempts=registered.max_attempts,
        )

    async def _store_and_dispatch(self, new: NewOperation, place: Place) -> operations_pb2.Operation:
        try:
            with self._telemetry.starting(new.method) as trace:
                new = replace(new, trace=trace) if trace else new
                created = await self._store.create(new, self._worker.terms if place.here else None)
                if not created.existed:
                    self._telemetry.started(new.method, created.record.name)
        except OperationConflictError as error:
            place.give_up()
            raise refuse(Code.ABORTED, str(error)) from None
        except BaseException:
            place.give_up()
            raise
        if not created.existed:
            await self._dispatch(place, created)
            return created.record.to_proto()
        place.give_up()
        return _replay(created, new.request_hash)

    async def _dispatch(self, place: Place, created: Created) -> None:
        name, method = created.record.name, created.record.method
        try:
            await place.submit(name, method, created.lease)
        except Exception:  # noqa: BLE001 (it is stored, and must be acknowledged: the reconciler brings it up again)
            _log.exception("%s could not be dispatched", name, extra={"operation": name, "method": method})
            if created.lease is not None:
                await self._store.release({name: created.lease.fence})

    # -- asking the authorizer -----------------------------------------------------------------------------------

    async def _granted(self, call: Call) -> Access:
        """What the authorizer grants.

        Raises:
            Refusal: What it refuses.
        """
        try:
            access: Any = self._authorizer.authorize(call)
            if not isinstance(access, Access) and inspect.isawaitable(access):
                access = await access
        except BaseException:  # told apart once there is something to tell: this is on the way of every poll
            with refusing():
                raise
        if not isinstance(access, Access):
            raise TypeError(f"{self._authorizer!r} answered {access!r} where an Access was asked for")
        return access

    async def _scope(self, call: Call) -> str | None:
        """The scope for one operation: what is denied looks like what is absent."""
        self._names.check_name(call.name)
        try:
            return (await self._granted(call)).scope
        except Refusal as refusal:
            if refusal.status.code == Code.PERMISSION_DENIED:
                raise absent(call.name) from None
            raise

    async def _access(self, call: Call) -> Access | None:
        try:
            return await self._granted(call)
        except Refusal as refusal:
            if refusal.status.code == Code.PERMISSION_DENIED:
                return None
            raise

    def _filter(self, text: str) -> filtering.Filter:
        try:
            limits = filtering.FilterLimits(length=self._limits.max_filter_length)
            return filtering.parse(text, self._schema(), limits=limits)
        except filtering.FilterError as error:
            raise bad_field("filter", str(error)) from None


async def _ask(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls what the service gave us, async or not."""
    with refusing():
        result = function(*arguments)
        return await result if inspect.isawaitable(result) else result


def _replay(created: Created, fingerprint: bytes) -> operations_pb2.Operation:
    if created.request_hash != fingerprint:
        raise bad_field("request_id", "another request was sent under this id: use a new one for every request")
    return created.record.to_proto()


def _answer(registered: Registered, answer: Any) -> operations_pb2.Operation:
    if not isinstance(answer, Answer):
        raise TypeError(f"validate= of {registered.method.path} returned {answer!r}: None, or answer_now(…)")
    given: Answer[Any] = answer  # pyright: ignore[reportUnknownVariableType]
    operation = operations_pb2.Operation(done=True, response=check_type(registered.method, "response", given.response))
    if given.metadata is not None:
        operation.metadata.CopyFrom(check_type(registered.method, "metadata", given.metadata))
    return operation
