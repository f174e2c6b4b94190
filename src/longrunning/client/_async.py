# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The client: `AsyncOperationsClient` starts and finds operations, `AsyncOperationHandle` is one of them, live.

Laws of this file:

1. It is written once. The other colour is generated from it; what colours cannot hide stands in the ``_io`` modules.
2. Verbs talk to the network, properties never do. On a done operation refresh, wait, watch and result cost no RPC.
3. When to poll is decided in `_polling`; here its steps are executed, nothing else.
4. Waiting never cancels anything on the server unless it was told to.
"""

# The classes of this file work on each other's insides; outside of it nobody does.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar, cast, final, overload

from .._any import underlying
from .._polling import (
    Finish,
    GiveUp,
    GiveUpReason,
    Poll,
    PollFailure,
    Sleep,
    begin,
    newer,
    on_error,
    on_snapshot,
    on_wake,
)
from .._resume import ResumeToken, read_token, write_token
from ..errors import LongRunningError, PayloadDecodeError, ResumeTokenError, WaitTimeoutError
from ..names import check_name, with_routing
from ..operation import Operation, OperationTypes, retyped, types_for, types_of
from ..policy import DEFAULT, PollPolicy, Timeout, optional_seconds
from ..registry import TypeRegistry
from ..status import Code, Status
from ._io_async import (
    INTERRUPTS,
    AsyncFlight,
    AsyncGuard,
    AsyncProgressCallback,
    AsyncSystemClock,
    call_back,
    grpc_transport,
    send_shielded,
)
from ._transport import CallOptions, ListQuery, Page, RpcFailure, polling_error, rpc_error, start_error

if TYPE_CHECKING:
    from datetime import timedelta
    from types import TracebackType

    from google.protobuf.message import Message

    from ..method import LroMethod
    from ..names import Metadata
    from ._io_async import AsyncClock, AsyncTransport

__all__ = ["AsyncOperationHandle", "AsyncOperationsClient", "AsyncPager"]

Req = TypeVar("Req")
R = TypeVar("R")
M = TypeVar("M")
R_co = TypeVar("R_co", covariant=True)
M_co = TypeVar("M_co", covariant=True)

_DEFAULT_REGISTRY: Final = TypeRegistry()
_EXIT_CANCEL_TIMEOUT: Final = 5.0  # seconds for the cancel that cancel_on_exit sends on the way out
_GET: Final = "GetOperation"


@final
class AsyncOperationsClient:
    """Starts, resumes, lists, cancels and deletes the operations of one server.

    An async context manager. Nothing is global: two clients know nothing of each other.

    Example:
        async with grpc.aio.secure_channel(target, credentials) as channel:
            client = AsyncOperationsClient(channel)
            operation = await client.start(CREATE_INSTANCE, request)
            instance = await operation
    """

    def __init__(
        self,
        channel_or_transport: object,
        *,
        registry: TypeRegistry = _DEFAULT_REGISTRY,
        policy: PollPolicy | None = None,
        metadata: Metadata = (),
        clock: AsyncClock | None = None,
    ) -> None:
        """Makes a client.

        Args:
            channel_or_transport: A ``grpc.aio.Channel``, insecure, secured or with interceptors, or a transport. It stays
                its maker's: closing the client does not close it.
            registry: Where types are found that no method declares: of error details, of listed operations.
            policy: How to wait, unless a wait says otherwise.
            metadata: Headers for every RPC.
            clock: Time and chance; for tests.

        Raises:
            MissingExtraError: A channel was given, and grpc is not installed.
            TypeError: It is no such channel; a ``grpc.Channel`` belongs to the sync client.
        """
        self._transport: AsyncTransport = (
            cast("AsyncTransport", channel_or_transport)
            if hasattr(channel_or_transport, "get_operation")
            else grpc_transport(channel_or_transport)
        )
        self._registry = registry
        self._policy = PollPolicy() if policy is None else policy
        self._metadata = tuple(metadata)
        self._clock: AsyncClock = AsyncSystemClock() if clock is None else clock
        self._guard = AsyncGuard()
        self._any_types = types_for(None, registry)

    # -- life -----------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes what the client opened itself; a channel that was given stays open."""
        await self._transport.close()

    # -- handles --------------------------------------------------------------------------------------------------

    async def start(
        self,
        method: LroMethod[Req, R, M],
        request: Req,
        *,
        rpc_timeout: float | timedelta | None = None,
        metadata: Metadata = (),
    ) -> AsyncOperationHandle[R, M]:
        """Calls a method that starts an operation.

        Args:
            method: The method.
            request: Its request.
            rpc_timeout: Longest time of this RPC, seconds; ``None`` for no deadline.
            metadata: Headers for this RPC and for every later one about the operation it starts.

        Returns:
            The operation, live. It may be done already.

        Raises:
            StartError: The RPC failed; no operation is known to exist.
            TypeError: The request has another type than the method's.
        """
        actual = underlying(request).DESCRIPTOR.full_name
        if actual != method.request_kind.full_name:
            raise TypeError(f"{method.path} takes a {method.request_kind.full_name}, got a {actual}")
        timeout = optional_seconds(rpc_timeout, "rpc_timeout")
        types, metadata = types_for(method, self._registry), tuple(metadata)
        self._guard.check()
        asked = self._clock.now()
        try:
            snapshot = await self._transport.start(
                method, request, types, CallOptions(timeout, (*self._metadata, *metadata))
            )
        except RpcFailure as error:
            raise start_error(error) from error.__cause__
        handle: AsyncOperationHandle[Any, Any] = AsyncOperationHandle(self, snapshot.name, types, method.path, metadata)
        handle._offer(snapshot, asked)
        return handle

    @overload
    def attach(
        self, name: str, method: LroMethod[Any, R, M], *, metadata: Metadata = ()
    ) -> AsyncOperationHandle[R, M]: ...
    @overload
    def attach(self, name: str, method: None = None, *, metadata: Metadata = ()) -> AsyncOperationHandle[Any, Any]: ...
    def attach(
        self, name: str, method: LroMethod[Any, Any, Any] | None = None, *, metadata: Metadata = ()
    ) -> AsyncOperationHandle[Any, Any]:
        """Takes hold of an operation by name. No RPC is sent: whether it exists shows at the first one.

        Args:
            name: Its name, as the server gave it; opaque.
            method: The method that started it, which declares its types. Without it they are found in the registry.
            metadata: Headers for every RPC about it.

        Raises:
            ValueError: The name is empty or not valid text.
        """
        path = "" if method is None else method.path
        return AsyncOperationHandle(self, check_name(name), self._types(method), path, tuple(metadata))

    @overload
    def adopt(
        self, operation: Message | Operation[Any, Any], method: LroMethod[Any, R, M], *, metadata: Metadata = ()
    ) -> AsyncOperationHandle[R, M]: ...
    @overload
    def adopt(
        self, operation: Operation[R, M], method: None = None, *, metadata: Metadata = ()
    ) -> AsyncOperationHandle[R, M]: ...
    @overload
    def adopt(
        self, operation: Message, method: None = None, *, metadata: Metadata = ()
    ) -> AsyncOperationHandle[Any, Any]: ...
    def adopt(
        self,
        operation: Message | Operation[Any, Any],
        method: LroMethod[Any, Any, Any] | None = None,
        *,
        metadata: Metadata = (),
    ) -> AsyncOperationHandle[Any, Any]:
        """Takes hold of an operation that somebody else started, as this message or snapshot shows it. No RPC is sent.

        Args:
            operation: A ``google.longrunning.Operation`` message, such as a plain stub returns, or a snapshot.
            method: As in `attach`; without it, a snapshot keeps the types it has.
            metadata: As in `attach`.

        Raises:
            TypeError: It is neither.
            ValueError: It is not done and has no name to ask for.
        """
        if isinstance(operation, Operation):
            snapshot = retyped(operation, None if method is None else self._types(method))
        elif method is None:
            snapshot = Operation.from_proto(operation, registry=self._registry)
        else:
            snapshot = Operation.from_proto(operation, method, registry=self._registry)
        name = snapshot.name if snapshot.done else check_name(snapshot.name)
        path = "" if method is None else method.path
        handle: AsyncOperationHandle[Any, Any] = AsyncOperationHandle(
            self, name, types_of(snapshot), path, tuple(metadata)
        )
        handle._offer(snapshot, self._clock.now())
        return handle

    @overload
    def resume(
        self, resume_token: str, method: LroMethod[Any, R, M], *, metadata: Metadata = ()
    ) -> AsyncOperationHandle[R, M]: ...
    @overload
    def resume(
        self, resume_token: str, method: None = None, *, metadata: Metadata = ()
    ) -> AsyncOperationHandle[Any, Any]: ...
    def resume(
        self, resume_token: str, method: LroMethod[Any, Any, Any] | None = None, *, metadata: Metadata = ()
    ) -> AsyncOperationHandle[Any, Any]:
        """Takes hold of an operation from its resume token, in this or another process. No RPC is sent.

        Args:
            resume_token: What `AsyncOperationHandle.resume_token` gave.
            method: The method that started it, whose path is checked. Without it types are found in the registry.
            metadata: As in `attach`; a token carries no headers.

        Raises:
            ResumeTokenError: It is no token, one of a later version, or one of another method.
        """
        token = read_token(resume_token)
        if method is not None and token.path and token.path != method.path:
            raise ResumeTokenError(f"the resume token is of {token.path}, not of {method.path}", name=token.name)
        path = token.path if method is None else method.path
        return AsyncOperationHandle(self, token.name, self._types(method), path, tuple(metadata))

    # -- single RPCs ----------------------------------------------------------------------------------------------

    @overload
    async def get(self, name: str, method: LroMethod[Any, R, M], *, metadata: Metadata = ()) -> Operation[R, M]: ...
    @overload
    async def get(self, name: str, method: None = None, *, metadata: Metadata = ()) -> Operation[Any, Any]: ...
    async def get(
        self, name: str, method: LroMethod[Any, Any, Any] | None = None, *, metadata: Metadata = ()
    ) -> Operation[Any, Any]:
        """Asks for an operation once: GetOperation.

        Raises:
            OperationNotFoundError: The server does not know it.
            PollingError: The RPC failed otherwise.
        """
        return await self.attach(name, method, metadata=metadata).refresh()

    def list(
        self,
        name: str,
        *,
        filter: str = "",  # noqa: A002 (the name of the field, AIP-160)
        page_size: int = 0,
        page_token: str = "",
        return_partial_success: bool = False,
        metadata: Metadata = (),
    ) -> AsyncPager[Operation[Any, Any]]:
        """Lists operations under a parent: ListOperations, page by page as they are read.

        Args:
            name: The parent, such as ``projects/p/locations/l``; may be empty.
            filter: A filter in the server's dialect of AIP-160.
            page_size: At most that many a page; 0 for the server's choice.
            page_token: Where to start, from an earlier page.
            return_partial_success: Ask for what can be reached where not everything can (AIP-217).
            metadata: Headers for every page.

        Returns:
            The operations, lazily: nothing is sent before the first one is asked for. Types come from the registry.
        """
        query = ListQuery(
            name=name, filter=filter, page_size=page_size, page_token=page_token,
            return_partial_success=return_partial_success,
        )  # fmt: skip
        return AsyncPager(self, query, self._options(name, metadata))

    async def cancel(self, name: str, *, metadata: Metadata = ()) -> None:
        """Asks the server to cancel an operation: CancelOperation. It may still succeed (operations.proto).

        Raises:
            RpcError: The RPC failed; with code UNIMPLEMENTED the server cannot cancel.
        """
        await self._cancel(check_name(name), self._any_types, self._options(name, metadata), None)

    async def delete(self, name: str, *, metadata: Metadata = ()) -> None:
        """Tells the server that nobody is interested in an operation any more: DeleteOperation. Does not cancel it.

        Raises:
            RpcError: The RPC failed.
        """
        await self._delete(check_name(name), self._any_types, self._options(name, metadata), None)

    @overload
    async def wait_operation(
        self,
        name: str,
        timeout: float | timedelta | None,
        method: LroMethod[Any, R, M],
        *,
        metadata: Metadata = (),
    ) -> Operation[R, M]: ...
    @overload
    async def wait_operation(
        self, name: str, timeout: float | timedelta | None, method: None = None, *, metadata: Metadata = ()
    ) -> Operation[Any, Any]: ...
    async def wait_operation(
        self,
        name: str,
        timeout: float | timedelta | None,
        method: LroMethod[Any, Any, Any] | None = None,
        *,
        metadata: Metadata = (),
    ) -> Operation[Any, Any]:
        """Lets the server wait: WaitOperation, the raw RPC. Not every server has it.

        Args:
            name: The operation.
            timeout: How long the server waits at most, seconds; ``None`` for its own limit. The reply may come earlier and
                not be done.
            method: Declares the types.
            metadata: Headers.

        Raises:
            RpcError: The RPC failed; with code UNIMPLEMENTED the server does not have it.
        """
        wait = optional_seconds(timeout, "timeout")
        deadline = None if wait is None else wait + self._policy.retry.rpc_timeout
        options = self._options(name, metadata, deadline)
        self._guard.check()
        try:
            return await self._transport.wait_operation(check_name(name), wait, self._types(method), options)
        except RpcFailure as error:
            raise rpc_error(error, name) from error.__cause__

    # -- inside ---------------------------------------------------------------------------------------------------

    def _types(self, method: LroMethod[Any, Any, Any] | None) -> OperationTypes:
        return self._any_types if method is None else types_for(method, self._registry)

    def _options(self, name: str, metadata: Metadata, timeout: float | None = None) -> CallOptions:
        rpc_timeout = self._policy.retry.rpc_timeout if timeout is None else timeout
        return CallOptions(rpc_timeout, with_routing(name, (*self._metadata, *metadata)))

    async def _cancel(
        self, name: str, types: OperationTypes, options: CallOptions, operation: Operation[Any, Any] | None
    ) -> None:
        self._guard.check()
        try:
            await self._transport.cancel_operation(name, types, options)
        except RpcFailure as error:
            raise rpc_error(error, name, operation) from error.__cause__

    async def _delete(
        self, name: str, types: OperationTypes, options: CallOptions, operation: Operation[Any, Any] | None
    ) -> None:
        self._guard.check()
        try:
            await self._transport.delete_operation(name, types, options)
        except RpcFailure as error:
            raise rpc_error(error, name, operation) from error.__cause__

    async def _page(self, query: ListQuery, options: CallOptions) -> Page[Operation[Any, Any]]:
        self._guard.check()
        try:
            return await self._transport.list_operations(query, self._any_types, options)
        except RpcFailure as error:
            raise rpc_error(error, query.name) from error.__cause__


@final
class AsyncPager(Generic[R_co]):
    """What a list answers with: iterate over its items, or over its `pages`. Each iteration asks the server anew."""

    def __init__(self, client: AsyncOperationsClient, query: ListQuery, options: CallOptions) -> None:
        self._client = client
        self._query = query
        self._options = options

    async def __aiter__(self) -> AsyncIterator[R_co]:
        async for page in self.pages():
            for item in page:
                yield item

    async def pages(self) -> AsyncIterator[Page[R_co]]:
        """The pages, each fetched when it is asked for.

        Raises:
            RpcError: The RPC failed.
        """
        query = self._query
        while True:
            page = await self._client._page(query, self._options)
            yield cast("Page[R_co]", page)
            if not page.next_page_token:
                return
            query = ListQuery(
                name=query.name, filter=query.filter, page_size=query.page_size, page_token=page.next_page_token,
                return_partial_success=query.return_partial_success,
            )  # fmt: skip


@final
class AsyncOperationHandle(Generic[R_co, M_co]):
    """One operation, live: wait for it, watch it, cancel it.

    `R` is the type of its response, `M` that of its metadata. Made by a client. Any number of waits may run on one
    handle; polls under way are shared between them.
    """

    def __init__(
        self,
        client: AsyncOperationsClient,
        name: str,
        types: OperationTypes,
        path: str,
        metadata: tuple[tuple[str, str | bytes], ...],
    ) -> None:
        """Not for use: a client makes handles."""
        self._client = client
        self._name = name
        self._types = types
        self._path = path
        self._metadata = metadata
        self._lock = threading.Lock()  # held for a few assignments, never across an RPC
        self._snapshot: Operation[Any, Any] | None = None
        self._asked = 0.0  # when the request of the snapshot was sent, and
        self._taken = 0.0  # when its reply came, on the client's clock
        self._flight: AsyncFlight | None = None

    # -- properties: no I/O ---------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The operation's name; empty for a validate-only call, which is done at once."""
        return self._name

    @property
    def operation(self) -> Operation[R_co, M_co] | None:
        """The last snapshot; ``None`` before the first RPC of an attached handle. No I/O."""
        return self._snapshot

    @property
    def resume_token(self) -> str:
        """Text with which this or another process can take hold of the operation again. No endpoint, no credential.

        Raises:
            ValueError: The operation has no name.
        """
        return write_token(ResumeToken(check_name(self._name), self._path))

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self._name!r} {self._snapshot.state.value if self._snapshot else 'not yet seen'}>"
        )

    # -- verbs ----------------------------------------------------------------------------------------------------

    async def refresh(self) -> Operation[R_co, M_co]:
        """Asks the server once. On a done operation: the snapshot at hand, no RPC.

        Raises:
            OperationNotFoundError: The server does not know the operation.
            PollingError: The RPC failed otherwise.
        """
        current = self._snapshot
        if current is not None and current.done:
            return current
        try:
            return await self._get(self._client._policy.retry.rpc_timeout)
        except RpcFailure as error:
            raise polling_error(error.failure, error.method, self._name, current) from error.__cause__

    async def wait(
        self,
        *,
        timeout: Timeout = DEFAULT,
        policy: PollPolicy | None = None,
        on_progress: AsyncProgressCallback[Operation[R_co, M_co]] | None = None,
        cancel_on_exit: bool = False,
    ) -> Operation[R_co, M_co]:
        """Waits until the operation is done, also when it failed. On a done operation: no RPC.

        Args:
            timeout: Overall time, seconds; ``DEFAULT`` the policy's (900 s), ``None`` for ever, 0 for one poll.
            policy: How to wait; the client's unless given.
            on_progress: Called with the snapshot of every poll, the final one last; never concurrently. What it raises
                ends the wait.
            cancel_on_exit: If the wait is interrupted (Ctrl-C, or the task is cancelled), also cancel the operation:
                one request, at most 5 s. Not on timeout.

        Returns:
            The final snapshot.

        Raises:
            WaitTimeoutError: The time ran out; the operation goes on.
            OperationNotFoundError: The server does not know the operation (any more).
            PollingError: A poll failed for good.
            MalformedOperationError: The server's answer breaks the rules of the resource.
        """
        waiter = _AsyncWaiter(self, *self._limits(timeout, policy))
        try:
            while True:
                snapshot = await waiter.next()
                if on_progress is not None:
                    await call_back(on_progress, snapshot)
                if snapshot.done:
                    return snapshot
        except INTERRUPTS:
            if cancel_on_exit:
                await send_shielded(self._cancel_on_exit)
            raise

    async def result(
        self,
        *,
        timeout: Timeout = DEFAULT,
        policy: PollPolicy | None = None,
        on_progress: AsyncProgressCallback[Operation[R_co, M_co]] | None = None,
        cancel_on_exit: bool = False,
    ) -> R_co:
        """Waits, then returns the response. Arguments as in `wait`.

        Raises:
            OperationCancelledError: The operation was cancelled.
            OperationError: It failed.
            NoResultError: It is done, but its service provides no result.
            PayloadError: The response is not what was declared.
            WaitTimeoutError: As in `wait`, like the rest.
        """
        operation = await self.wait(
            timeout=timeout, policy=policy, on_progress=on_progress, cancel_on_exit=cancel_on_exit
        )
        return operation.result()

    # async-only: begin
    def __await__(self) -> Generator[Any, None, R_co]:
        """``await handle`` is ``await handle.result()``."""
        return self.result().__await__()

    # async-only: end

    def watch(
        self, *, timeout: Timeout = DEFAULT, policy: PollPolicy | None = None
    ) -> AsyncGenerator[Operation[R_co, M_co], None]:
        """Iterates over snapshots: the first, then each that differs from the one before, then the final one.

        Leaving the loop stops the watching and nothing else. Arguments and errors as in `wait`.
        """
        return self._watch(*self._limits(timeout, policy))

    async def cancel(self) -> None:
        """Asks the server to cancel. The operation may still succeed; go on waiting to see. No-op when done.

        Raises:
            RpcError: The RPC failed; with code UNIMPLEMENTED the server cannot cancel.
        """
        current = self._snapshot
        if current is None or not current.done:
            options = self._options(self._client._policy.retry.rpc_timeout)
            await self._client._cancel(check_name(self._name), self._types, options, current)

    async def delete(self) -> None:
        """Tells the server that nobody is interested any more; it forgets the operation but does not cancel it.

        Raises:
            RpcError: The RPC failed.
            ValueError: The operation has no name.
        """
        options = self._options(self._client._policy.retry.rpc_timeout)
        await self._client._delete(check_name(self._name), self._types, options, self._snapshot)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _options(self, timeout: float) -> CallOptions:
        return CallOptions(timeout, with_routing(self._name, (*self._client._metadata, *self._metadata)))

    def _limits(self, timeout: Timeout, policy: PollPolicy | None) -> tuple[PollPolicy, float | None]:
        policy = self._client._policy if policy is None else policy
        return policy, policy.timeout if timeout is DEFAULT else optional_seconds(timeout, "timeout")

    async def _watch(self, policy: PollPolicy, timeout: float | None) -> AsyncGenerator[Operation[R_co, M_co], None]:
        waiter = _AsyncWaiter(self, policy, timeout)  # here, not in watch(): time counts from the first step on
        last: Operation[Any, Any] | None = None
        while True:
            snapshot = await waiter.next()
            if last is None or snapshot != last:
                last = snapshot
                yield snapshot
            if snapshot.done:
                return

    async def _cancel_on_exit(self) -> None:
        if self._snapshot is None or not self._snapshot.done:
            await self._client._transport.cancel_operation(self._name, self._types, self._options(_EXIT_CANCEL_TIMEOUT))

    def _offer(self, snapshot: Operation[Any, Any], asked: float) -> Operation[Any, Any]:
        """Takes a reply in, unless what is known is newer (SNAP-6); returns what is known then."""
        with self._lock:
            if newer(self._snapshot, self._asked, snapshot, asked):
                self._snapshot, self._asked, self._taken = snapshot, asked, self._client._clock.now()
            assert self._snapshot is not None
            return self._snapshot

    async def _get(self, rpc_timeout: float) -> Operation[Any, Any]:
        """One GetOperation.

        Raises:
            RpcFailure: It failed.
        """
        client = self._client
        client._guard.check()
        asked = client._clock.now()
        name, options = check_name(self._name), self._options(rpc_timeout)
        try:
            snapshot = await client._transport.get_operation(name, self._types, options)
        except PayloadDecodeError as error:  # the reply is no operation at all
            raise PayloadDecodeError(error.args[0], name=name, operation=self._snapshot) from error.__cause__
        return self._offer(snapshot, asked)

    async def _poll(self, step: Poll, seen: Operation[Any, Any] | None) -> tuple[Operation[Any, Any], float]:
        """A poll for one waiter: its own, one under way, or a snapshot fresh enough (WAIT-10).

        Args:
            step: What the waiter wants.
            seen: The last snapshot this waiter saw, which does not count again.

        Returns:
            The snapshot, and its age in seconds.

        Raises:
            RpcFailure: The poll failed.
        """
        clock = self._client._clock
        until = clock.now() + step.rpc_timeout
        while True:
            remaining = until - clock.now()
            with self._lock:
                current, age = self._snapshot, clock.now() - self._taken
                if current is not None and current is not seen and (current.done or age < step.max_age):
                    return current, age
                flight = self._flight if step.shared else None
                mine = AsyncFlight(remaining) if flight is None else None
                if mine is not None and step.shared:
                    self._flight = mine
            if mine is not None:
                return await self._lead(mine), 0.0
            assert flight is not None
            if remaining <= 0 or not await flight.wait(remaining):
                raise RpcFailure(_too_slow(step.rpc_timeout), _GET)
            failure = flight.failure
            if flight.abandoned or (flight.rpc_timeout < remaining and _timed_out(failure)):
                continue  # whoever led it was interrupted, or was in more of a hurry: somebody else polls
            if failure is not None:
                raise RpcFailure(failure.failure, failure.method) from failure.__cause__
            assert self._snapshot is not None
            return self._snapshot, 0.0

    async def _lead(self, flight: AsyncFlight) -> Operation[Any, Any]:
        try:
            return await self._get(flight.rpc_timeout)
        except RpcFailure as error:
            flight.failure = error
            raise
        except BaseException:  # interrupted, or a fault of ours or of the reply: each waiter finds out for itself
            flight.abandoned = True
            raise
        finally:
            with self._lock:
                if self._flight is flight:
                    self._flight = None
            flight.land()


class _AsyncWaiter(Generic[R_co, M_co]):
    """One wait on one handle: executes the steps of the poll machine."""

    def __init__(self, handle: AsyncOperationHandle[R_co, M_co], policy: PollPolicy, timeout: float | None) -> None:
        self._handle = handle
        self._clock = handle._client._clock
        self._timeout = timeout
        self._seen = handle._snapshot
        now = self._clock.now()
        self._state, self._step = begin(policy, timeout, self._seen, now - handle._taken, now, self._clock.random())
        # A snapshot that is fresh enough to count as the first poll is also the first one shown.
        self._counted = isinstance(self._step, (Sleep, GiveUp))

    async def next(self) -> Operation[R_co, M_co]:
        """The next snapshot of this wait, after as much sleeping and polling as it takes.

        Raises:
            LongRunningError: The wait is over, the operation is not done; see `AsyncOperationHandle.wait`.
        """
        if self._counted and self._seen is not None:
            self._counted = False
            return self._seen
        while True:
            step = self._step
            if isinstance(step, Finish):
                return step.operation
            if isinstance(step, GiveUp):
                raise self._error(step) from (step.failure.cause if step.failure is not None else None)
            if isinstance(step, Sleep):
                await self._clock.sleep(step.seconds)
                self._state, self._step = on_wake(self._state, self._clock.now())
                continue
            try:
                snapshot, age = await self._handle._poll(step, self._seen)
            except RpcFailure as error:
                self._state, self._step = on_error(self._state, error.failure, self._clock.now(), self._clock.random())
                continue
            self._seen = snapshot
            self._state, self._step = on_snapshot(
                self._state, snapshot, self._clock.now(), self._clock.random(), age=age
            )
            return snapshot

    def _error(self, step: GiveUp) -> LongRunningError:
        handle, failure = self._handle, step.failure
        name, operation = handle._name, handle._snapshot
        if step.reason is GiveUpReason.MALFORMED:
            malformed = operation.malformed if operation is not None else None
            assert malformed is not None
            return malformed
        error = None if failure is None else polling_error(failure, _GET, name, operation)
        if step.reason in (GiveUpReason.NOT_FOUND, GiveUpReason.FAILED):
            assert error is not None
            return error
        if error is not None:
            assert failure is not None
            error.__cause__ = failure.cause
        limit = f"{self._state.attempts} polls" if step.reason is GiveUpReason.ATTEMPTS else f"{self._timeout:g} s"
        last = f"; the last poll failed: {error.details}" if error is not None else ""
        return WaitTimeoutError(
            f"operation {name!r} is not done after {limit}; it goes on, and the resume token of this error "
            f"takes hold of it again{last} (last snapshot: {operation!r})",
            name=name,
            operation=operation,
            timeout=self._timeout,
            last_error=error,
            resume_token=handle.resume_token,
        )


def _timed_out(failure: RpcFailure | None) -> bool:
    return failure is not None and failure.failure.status.code == Code.DEADLINE_EXCEEDED


def _too_slow(rpc_timeout: float) -> PollFailure:
    return PollFailure(status=Status(Code.DEADLINE_EXCEEDED, f"a shared poll took longer than {rpc_timeout:g} s"))
