# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Operations that a google-cloud client returned: their own client becomes our transport.

``google.api_core`` is not imported here: whoever has such an operation has imported it. Of its operation futures three private
attributes are read (the callable that refreshes them, and the two types), because there is no public way to what they hold.
"""

from __future__ import annotations

# async-only: begin
import asyncio

# async-only: end
import inspect
import time
from typing import TYPE_CHECKING, Any, NamedTuple, cast, final

from .._any import UnknownPayload, message_type
from .._document import check_payload
from .._http import code_of_http, retry_after
from .._json import any_from_json
from .._polling import PollFailure
from .._types import FieldTypes, OperationTypes, types_for
from ..errors import DocumentError, PayloadError
from ..names import ROUTING_HEADER
from ..operation import Operation, wrap
from ..page import Page
from ..status import Code, Status
from ._grpc_errors import closed, failure_of
from ._transport import FUTURES_OF_API_CORE, SERVICE, CallOptions, ListQuery, RpcFailure

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from ..method import LroMethod
    from ..registry import TypeRegistry

__all__ = ["AsyncAdopted", "AsyncAdoptedTransport", "adopted"]


class AsyncAdopted(NamedTuple):
    """What there is to know of an operation of ``google.api_core``.

    Attributes:
        proto: The operation as it stands there.
        transport: The way to its server.
        metadata: The headers its polls carry there.
        response_type: The type it was made with for the response; ``None`` if that is no message class.
        metadata_type: And the one for the metadata.
    """

    proto: Message
    transport: AsyncAdoptedTransport
    metadata: tuple[tuple[str, str | bytes], ...]
    response_type: type[Any] | None
    metadata_type: type[Any] | None

    def types(self, registry: TypeRegistry) -> OperationTypes:
        """The types its own future goes by; what is not known there is found in the registry."""
        return OperationTypes(_field(self.response_type), _field(self.metadata_type), registry)


def _field(cls: type[Any] | None) -> FieldTypes:
    return FieldTypes((), any_type=True) if cls is None else FieldTypes((message_type(cls),))


def _message_class(cls: object) -> type[Any] | None:
    try:
        message_type(cast("type[Any]", cls))
    except TypeError:
        return None
    return cast("type[Any]", cls)


def adopted(operation: object) -> AsyncAdopted | None:
    """Looks into an operation of ``google.api_core``; ``None`` for anything else.

    Raises:
        TypeError: It is one of the other colour, or one that was not made by a client.
    """
    origins = {(cls.__module__, cls.__qualname__) for cls in type(operation).__mro__}
    mine, other = FUTURES_OF_API_CORE
    # sync-only: | mine, other = other, mine
    if other in origins:
        raise TypeError(
            f"a sync client and an async operation, or the reverse: a {other[0]}.{other[1]} cannot be adopted here"
        )
    if mine not in origins:
        return None
    given = cast("Any", operation)
    refresh = getattr(given, "_refresh", None)
    client = getattr(getattr(refresh, "func", None), "__self__", None)
    if client is None or not hasattr(client, "get_operation"):
        raise TypeError(
            "this operation was not made by a client of google-cloud-*: take hold of it by name, with attach()"
        )
    metadata: Any = refresh.keywords.get("metadata") if refresh is not None else None
    # Each poll there appends its routing header to this very list; ours sends exactly one.
    own = tuple((key, value) for key, value in metadata or () if key.lower() != ROUTING_HEADER)
    types = [_message_class(getattr(given, name, None)) for name in ("_result_type", "_metadata_type")]
    return AsyncAdopted(given.operation, AsyncAdoptedTransport(client), own, *types)


@final
class AsyncAdoptedTransport:
    """An `AsyncTransport` over an operations client of ``google.api_core``, gRPC or REST."""

    def __init__(self, client: Any) -> None:
        self._client = client
        parameters = inspect.signature(client.get_operation).parameters
        # Their retries would multiply with ours (WAIT-6); their async REST client has none to switch off.
        self._arguments: dict[str, Any] = {"retry": None} if "retry" in parameters else {}

    async def start(
        self, method: LroMethod[Any, Any, Any], request: Any, types: OperationTypes, options: CallOptions
    ) -> Operation[Any, Any]:
        """Not to be had: such a client only knows operations.

        Raises:
            RpcFailure: Always.
        """
        raise _unimplemented(method.path)

    async def get_operation(self, name: str, types: OperationTypes, options: CallOptions) -> Operation[Any, Any]:
        """GetOperation."""
        return wrap(await self._call("get_operation", "GetOperation", name, types, options), types)

    async def list_operations(
        self, query: ListQuery, types: OperationTypes, options: CallOptions
    ) -> Page[Operation[Any, Any]]:
        """Not to be had: their pages hide what ours tell.

        Raises:
            RpcFailure: Always.
        """
        raise _unimplemented(SERVICE + "ListOperations")

    async def cancel_operation(self, name: str, types: OperationTypes, options: CallOptions) -> None:
        """CancelOperation."""
        await self._call("cancel_operation", "CancelOperation", name, types, options)

    async def delete_operation(self, name: str, types: OperationTypes, options: CallOptions) -> None:
        """DeleteOperation."""
        await self._call("delete_operation", "DeleteOperation", name, types, options)

    async def wait_operation(
        self, name: str, timeout: float | None, types: OperationTypes, options: CallOptions
    ) -> Operation[Any, Any]:
        """Not to be had there.

        Raises:
            RpcFailure: Always, with UNIMPLEMENTED.
        """
        raise _unimplemented(SERVICE + "WaitOperation")

    async def close(self) -> None:
        """Closes nothing: the client belongs to whoever made it."""

    async def _call(self, verb: str, rpc: str, name: str, types: OperationTypes, options: CallOptions) -> Any:
        # They add the routing header themselves, to this very list.
        metadata = [(key, value) for key, value in options.metadata if key != ROUTING_HEADER]
        method = getattr(self._client, verb)
        # async-only: begin
        task = asyncio.current_task()
        cancelled_before = task.cancelling() if task is not None else 0
        if cancelled_before:
            await asyncio.sleep(0)  # as in the gRPC transport
        # async-only: end
        try:
            return await method(name, timeout=options.timeout, metadata=metadata, **self._arguments)
        except Exception as error:
            raise RpcFailure(_failure(error, types.registry), SERVICE + rpc) from error
        # async-only: begin
        except asyncio.CancelledError as error:  # the channel was closed under the call, or the task was cancelled
            if task is None or task.cancelling() > cancelled_before:
                raise
            raise RpcFailure(closed(error), SERVICE + rpc) from error
        # async-only: end


def _failure(error: Exception, registry: TypeRegistry) -> PollFailure:
    """An exception of theirs; the one of gRPC is inside, with everything it said."""
    import grpc

    inner = next((cause for cause in getattr(error, "errors", ()) if isinstance(cause, grpc.RpcError)), None)
    if isinstance(error, grpc.RpcError) or inner is not None:
        return failure_of(inner or error, registry)
    if "closed" in str(error).lower() and type(error).__name__ in ("ValueError", "UsageError"):
        return closed(error)
    named: Any = getattr(error, "grpc_status_code", None)
    http: Any = getattr(error, "code", None)
    code = named.value[0] if named is not None else code_of_http(http) if isinstance(http, int) and http > 299 else None
    message: str = getattr(error, "message", None) or str(error)
    if code is None:  # a connection of requests that broke: no status at all
        transient = isinstance(error, ConnectionError) or "Connection" in type(error).__name__
        return PollFailure(status=Status(Code.UNKNOWN, message), transient=transient, cause=error)
    details = [_detail(detail, registry) for detail in getattr(error, "details", None) or ()]
    status = Status(code, message, tuple(filter(None, details)))
    headers: Any = getattr(getattr(error, "response", None), "headers", None) or {}
    asked = retry_after(headers.get("retry-after", ""), headers.get("date", ""), time.time())
    return PollFailure(status=status, retry_after=max(status.retry_delay, asked), cause=error)


def _detail(detail: Any, registry: TypeRegistry) -> Any:
    """A detail of theirs: a message, or over REST its JSON; ``None`` for what cannot be read."""
    if hasattr(detail, "DESCRIPTOR"):
        return detail
    try:
        found = any_from_json(check_payload(detail), types_for(None, registry).find_url)
    except (DocumentError, PayloadError):
        return None
    return found if isinstance(found, UnknownPayload) else registry.read(found.type_url, found.value)


def _unimplemented(method: str) -> RpcFailure:
    status = Status(Code.UNIMPLEMENTED, "the client this operation came from does not offer it")
    return RpcFailure(PollFailure(status=status), method)
