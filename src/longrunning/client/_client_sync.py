# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
# Generated from _client_async.py by tools/unasync.py (make unasync). Do not edit.
"""`OperationsClient`: starts, finds, lists, cancels and deletes operations.

It is written once: the other colour is generated from it. What colours cannot hide stands in the ``_io`` modules.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar, cast, final, overload

from .._any import underlying
from .._fanin import Limits
from .._resume import read_token
from ..errors import LongRunningError, ResumeTokenError
from ..names import check_metadata, check_name
from ..operation import Operation, retyped, types_of
from ..page import Page
from ..policy import DEFAULT, PollPolicy, Timeout, optional_seconds
from ..registry import TypeRegistry
from ._adopted_sync import adopted
from ._fanin_sync import FanInDriver
from ._handle_sync import OperationHandle
from ._io_sync import SystemClock, grpc_transport, is_transport
from ._session_sync import Session
from ._tracing import TracerProvider, tracing
from ._transport import CallOptions, ForeignOperation, ListQuery

if TYPE_CHECKING:
    from datetime import timedelta
    from types import TracebackType

    import grpc
    import httpx
    from google.protobuf.message import Message

    from ..method import LroMethod
    from ..names import Metadata
    from ..rest import OperationsBindings
    from ._io_sync import Clock, Transport

__all__ = ["OperationsClient", "Pager"]

Req = TypeVar("Req")
R = TypeVar("R")
M = TypeVar("M")
R_co = TypeVar("R_co", covariant=True)

_DEFAULT_REGISTRY: Final = TypeRegistry()


@final
class OperationsClient:
    """Starts, resumes, lists, cancels and deletes the operations of one server.

    A context manager. Nothing is global: two clients know nothing of each other.

    Example:
        with grpc.secure_channel(target, credentials) as channel:
            client = OperationsClient(channel)
            operation = client.start(CREATE_INSTANCE, request)
            instance = await operation
    """

    def __init__(
        self,
        channel_or_transport: grpc.Channel | Transport,
        *,
        registry: TypeRegistry = _DEFAULT_REGISTRY,
        policy: PollPolicy | None = None,
        metadata: Metadata = (),
        clock: Clock | None = None,
        tracer_provider: TracerProvider | None = None,
    ) -> None:
        """Makes a client.

        Args:
            channel_or_transport: A ``grpc.Channel``, insecure, secured or with interceptors, or a transport. It stays
                its maker's: closing the client does not close it.
            registry: Where types are found that no method declares: of error details, of listed operations.
            policy: How to wait, unless a wait says otherwise.
            metadata: Headers for every RPC.
            clock: Time and chance; for tests.
            tracer_provider: Of OpenTelemetry (extra ``otel``): each start and each wait becomes a span, the wait linked to the
                start. Without one nothing is traced.

        Raises:
            MissingExtraError: A channel was given, and grpc is not installed.
            TypeError: It is no such channel; a ``grpc.Channel`` belongs to the sync client.
        """
        transport: Transport = (
            cast("Transport", channel_or_transport)
            if is_transport(channel_or_transport)
            else grpc_transport(channel_or_transport)
        )
        self._session = Session(
            transport,
            registry,
            PollPolicy() if policy is None else policy,
            metadata,
            SystemClock() if clock is None else clock,
            tracing(tracer_provider),
        )

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        http_client: httpx.Client | None = None,
        bindings: OperationsBindings | None = None,
        registry: TypeRegistry = _DEFAULT_REGISTRY,
        policy: PollPolicy | None = None,
        metadata: Metadata = (),
        clock: Clock | None = None,
        tracer_provider: TracerProvider | None = None,
    ) -> OperationsClient:
        """Makes a client that speaks HTTP/JSON (extra ``rest``): its transport is an own `RestTransport`.

        Example:
            with OperationsClient.from_url("https://redis.googleapis.com", http_client=http_client) as client:
                operation = client.start(CREATE_INSTANCE, request)  # its LroMethod has an HttpBinding

        Args:
            url: Where the server is.
            http_client: What sends the requests, and brings authentication; it stays its maker's. Without one the client makes
                its own, and closes it.
            bindings: Where the methods of the Operations service are; by default those for ``/v1``, see `OperationsBindings`.
            registry: As of `OperationsClient`.
            policy: Likewise.
            metadata: Likewise; over HTTP they are headers.
            clock: Likewise.
            tracer_provider: Likewise.

        Raises:
            MissingExtraError: httpx is not installed.
            ValueError: The URL is none of a server.
            TypeError: The HTTP client is not of this colour.
        """
        # A layer above this one, so it is not imported, but loaded when it is asked for.
        rest = importlib.import_module("longrunning.rest")
        chosen = {} if bindings is None else {"bindings": bindings}
        transport: Transport = rest.RestTransport(url, http_client=http_client, **chosen)
        return cls(
            transport, registry=registry, policy=policy, metadata=metadata, clock=clock, tracer_provider=tracer_provider
        )

    # -- life -----------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes what the client opened itself; a channel that was given stays open."""
        self._session.transport.close()

    # -- handles --------------------------------------------------------------------------------------------------

    def start(
        self,
        method: LroMethod[Req, R, M],
        request: Req,
        *,
        rpc_timeout: float | timedelta | None = None,
        metadata: Metadata = (),
    ) -> OperationHandle[R, M]:
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
        types, metadata = self._session.types(method), tuple(metadata)
        asked = self._session.clock.now()
        options = CallOptions(timeout, check_metadata((*self._session.metadata, *metadata)))
        with self._session.tracing.starting(method.path) as started:
            snapshot = self._session.start(method, request, types, options)
        handle: OperationHandle[Any, Any] = OperationHandle(self._session, snapshot.name, types, method.path, metadata)
        handle.started = started
        handle.offer(snapshot, asked)
        return handle

    @overload
    def attach(self, name: str, method: LroMethod[Any, R, M], *, metadata: Metadata = ()) -> OperationHandle[R, M]: ...
    @overload
    def attach(self, name: str, method: None = None, *, metadata: Metadata = ()) -> OperationHandle[Any, Any]: ...
    def attach(
        self, name: str, method: LroMethod[Any, Any, Any] | None = None, *, metadata: Metadata = ()
    ) -> OperationHandle[Any, Any]:
        """Takes hold of an operation by name. No RPC is sent: whether it exists shows at the first one.

        Args:
            name: Its name, as the server gave it; opaque.
            method: The method that started it, which declares its types. Without it they are found in the registry.
            metadata: Headers for every RPC about it.

        Raises:
            ValueError: The name is empty or not valid text.
        """
        path = "" if method is None else method.path
        return OperationHandle(self._session, check_name(name), self._session.types(method), path, tuple(metadata))

    @overload
    def adopt(
        self,
        operation: Message | Operation[Any, Any] | ForeignOperation,
        method: LroMethod[Any, R, M],
        *,
        metadata: Metadata = (),
    ) -> OperationHandle[R, M]: ...
    @overload
    def adopt(
        self, operation: Operation[R, M], method: None = None, *, metadata: Metadata = ()
    ) -> OperationHandle[R, M]: ...
    @overload
    def adopt(
        self, operation: Message | ForeignOperation, method: None = None, *, metadata: Metadata = ()
    ) -> OperationHandle[Any, Any]: ...
    def adopt(
        self,
        operation: Message | Operation[Any, Any] | ForeignOperation,
        method: LroMethod[Any, Any, Any] | None = None,
        *,
        metadata: Metadata = (),
    ) -> OperationHandle[Any, Any]:
        """Takes hold of an operation that somebody else started. No RPC is sent.

        Args:
            operation: A ``google.longrunning.Operation`` message, such as a plain stub returns; a snapshot; or the operation of
                a google-cloud client (``google.api_core``), whose own connection is used from then on, without this client's headers.
            method: As in `attach`; without it, a snapshot keeps the types it has.
            metadata: As in `attach`.

        Raises:
            TypeError: It is none of these, or of a google-cloud client of the other colour.
            ValueError: It is not done and has no name to ask for.
        """
        session, proto = self._session, operation
        if (foreign := adopted(operation)) is not None:
            proto, metadata = foreign.proto, (*foreign.metadata, *metadata)
            session = self._session.over(foreign.transport)
        if isinstance(proto, Operation):
            snapshot = retyped(proto, None if method is None else session.types(method))
        elif method is None:
            snapshot = Operation.from_proto(cast("Message", proto), registry=session.registry)
            if foreign is not None:
                snapshot = retyped(snapshot, foreign.types(session.registry))
        else:
            snapshot = Operation.from_proto(cast("Message", proto), method, registry=session.registry)
        name = snapshot.name if snapshot.done else check_name(snapshot.name)
        path = "" if method is None else method.path
        handle: OperationHandle[Any, Any] = OperationHandle(session, name, types_of(snapshot), path, tuple(metadata))
        handle.offer(snapshot, session.clock.now())
        return handle

    @overload
    def resume(
        self, resume_token: str, method: LroMethod[Any, R, M], *, metadata: Metadata = ()
    ) -> OperationHandle[R, M]: ...
    @overload
    def resume(
        self, resume_token: str, method: None = None, *, metadata: Metadata = ()
    ) -> OperationHandle[Any, Any]: ...
    def resume(
        self, resume_token: str, method: LroMethod[Any, Any, Any] | None = None, *, metadata: Metadata = ()
    ) -> OperationHandle[Any, Any]:
        """Takes hold of an operation from its resume token, in this or another process. No RPC is sent.

        Args:
            resume_token: What `OperationHandle.resume_token` gave.
            method: The method that started it, whose path is checked. Without it types are found in the registry.
            metadata: As in `attach`; a token carries no headers.

        Raises:
            ResumeTokenError: It is no token, one of a later version, or one of another method.
        """
        token = read_token(resume_token)
        if method is not None and token.path and token.path != method.path:
            raise ResumeTokenError(f"the resume token is of {token.path}, not of {method.path}", name=token.name)
        path = token.path if method is None else method.path
        return OperationHandle(self._session, token.name, self._session.types(method), path, tuple(metadata))

    # -- many at once ---------------------------------------------------------------------------------------------

    def wait_all(
        self,
        handles: Iterable[OperationHandle[R, M]],
        *,
        timeout: Timeout = DEFAULT,
        policy: PollPolicy | None = None,
        max_concurrency: int | None = None,
        list_parent: str | None = None,
    ) -> list[Operation[R, M] | LongRunningError]:
        """Waits until all of them are done, or their waits over. One failure does not stop the rest.

        Args:
            handles: Handles of this client; thousands are fine: there is no thread or task for each.
            timeout: Overall time for all of them, as in `OperationHandle.wait`.
            policy: How to wait; the client's unless given.
            max_concurrency: Polls under way at once; by default 64. Long polls (WaitOperation) are bounded apart, by 1,024, and
                used only while there is room for one per operation.
            list_parent: Poll through ListOperations under this parent, such as ``projects/p/locations/l``: for servers that list
                cheaply. The cost then grows with pages, not with operations; those that no list shows are asked for singly.

        Returns:
            In the order of `handles`: the final snapshot, also of a failed operation; or the error that ended its wait.

        Raises:
            ValueError: A handle is of another client.
        """
        handles = list(handles)
        results: list[Operation[R, M] | LongRunningError | None] = [None] * len(handles)
        outcomes = self._fan_in(handles, timeout, policy, max_concurrency, list_parent).outcomes()
        try:
            for index, result in outcomes:
                results[index] = result
        finally:
            outcomes.close()
        return [result for result in results if result is not None]

    def as_completed(
        self,
        handles: Iterable[OperationHandle[R, M]],
        *,
        timeout: Timeout = DEFAULT,
        policy: PollPolicy | None = None,
        max_concurrency: int | None = None,
        list_parent: str | None = None,
    ) -> Generator[OperationHandle[R, M], None, None]:
        """Iterates over the handles as their operations are done. Arguments as in `wait_all`.

        Leaving the loop stops the waiting and nothing else.

        Yields:
            Each handle once its operation is done, failed or not; `OperationHandle.operation` is the final snapshot.

        Raises:
            LongRunningError: The wait for one of them ended otherwise; those that came before were yielded.
            ValueError: A handle is of another client.
        """
        handles = list(handles)
        error: LongRunningError | None = None
        outcomes = self._fan_in(handles, timeout, policy, max_concurrency, list_parent).outcomes()
        try:
            for index, result in outcomes:
                if isinstance(result, Operation):
                    yield handles[index]
                elif error is None:  # told last: one failure does not stop the rest (WAIT-11)
                    error = result
        finally:
            outcomes.close()
        if error is not None:
            raise error

    def _fan_in(
        self,
        handles: Sequence[OperationHandle[Any, Any]],
        timeout: Timeout,
        policy: PollPolicy | None,
        max_concurrency: int | None,
        list_parent: str | None,
    ) -> FanInDriver:
        policy = self._session.policy if policy is None else policy
        limit = policy.timeout if timeout is DEFAULT else optional_seconds(timeout, "timeout")
        limits = Limits() if max_concurrency is None else Limits(polls=max_concurrency)
        return FanInDriver(self._session, handles, policy, limit, limits, list_parent)

    # -- single RPCs ----------------------------------------------------------------------------------------------

    @overload
    def get(self, name: str, method: LroMethod[Any, R, M], *, metadata: Metadata = ()) -> Operation[R, M]: ...
    @overload
    def get(self, name: str, method: None = None, *, metadata: Metadata = ()) -> Operation[Any, Any]: ...
    def get(
        self, name: str, method: LroMethod[Any, Any, Any] | None = None, *, metadata: Metadata = ()
    ) -> Operation[Any, Any]:
        """Asks for an operation once: GetOperation.

        Raises:
            OperationNotFoundError: The server does not know it.
            PollingError: The RPC failed otherwise.
        """
        return self.attach(name, method, metadata=metadata).refresh()

    def list(
        self,
        name: str,
        *,
        filter: str = "",  # noqa: A002 (the name of the field, AIP-160)
        page_size: int = 0,
        page_token: str = "",
        return_partial_success: bool = False,
        metadata: Metadata = (),
    ) -> Pager[Operation[Any, Any]]:
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
        return Pager(self._session, query, self._session.options(name, metadata))

    def cancel(self, name: str, *, metadata: Metadata = ()) -> None:
        """Asks the server to cancel an operation: CancelOperation. It may still succeed (operations.proto).

        Raises:
            RpcError: The RPC failed; with code UNIMPLEMENTED the server cannot cancel.
        """
        self._session.cancel(name, self._session.any_types, self._session.options(name, metadata))

    def delete(self, name: str, *, metadata: Metadata = ()) -> None:
        """Tells the server that nobody is interested in an operation any more: DeleteOperation. Does not cancel it.

        Raises:
            RpcError: The RPC failed.
        """
        self._session.delete(name, self._session.any_types, self._session.options(name, metadata))

    @overload
    def wait_operation(
        self,
        name: str,
        timeout: float | timedelta | None,
        method: LroMethod[Any, R, M],
        *,
        metadata: Metadata = (),
    ) -> Operation[R, M]: ...
    @overload
    def wait_operation(
        self, name: str, timeout: float | timedelta | None, method: None = None, *, metadata: Metadata = ()
    ) -> Operation[Any, Any]: ...
    def wait_operation(
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
        deadline = math.inf if wait is None else wait + self._session.policy.retry.rpc_timeout
        options = self._session.options(name, metadata, deadline)
        return self._session.wait_operation(name, wait, self._session.types(method), options)


@final
class Pager(Generic[R_co]):
    """What a list answers with: iterate over its items, or over its `pages`. Each iteration asks the server anew."""

    def __init__(self, session: Session, query: ListQuery, options: CallOptions) -> None:
        self._session = session
        self._query = query
        self._options = options

    def __iter__(self) -> Iterator[R_co]:
        for page in self.pages():
            for item in page:
                yield item

    def pages(self) -> Iterator[Page[R_co]]:
        """The pages, each fetched when it is asked for.

        Raises:
            RpcError: The RPC failed.
        """
        query = self._query
        while True:
            page = self._session.page(query, self._options)
            yield cast("Page[R_co]", page)
            if not page.next_page_token:
                return
            query = ListQuery(
                name=query.name, filter=query.filter, page_size=query.page_size, page_token=page.next_page_token,
                return_partial_success=query.return_partial_success,
            )  # fmt: skip
