# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Operations that a google-cloud client returned: their own client becomes our transport.

``google.api_core`` is not imported here: whoever has such an operation has imported it. Of its operation futures three private
attributes are read (the callable that refreshes them, and the two types), because there is no public way to what they hold.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, NamedTuple, cast, final

from .._polling import PollFailure
from ..names import ROUTING_HEADER
from ..operation import Operation, wrap
from ..status import Code, Status
from ._grpc_errors import failure_of
from ._transport import CallOptions, ListQuery, Page, RpcFailure

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from .._types import OperationTypes
    from ..method import LroMethod
    from ..registry import TypeRegistry

__all__ = ["AsyncAdopted", "AsyncAdoptedTransport", "adopted"]


class AsyncAdopted(NamedTuple):
    """What there is to know of an operation of ``google.api_core``.

    Attributes:
        proto: The operation as it stands there.
        transport: The way to its server.
        metadata: The headers its polls carry there.
    """

    proto: Message
    transport: AsyncAdoptedTransport
    metadata: tuple[tuple[str, str | bytes], ...]


def adopted(operation: object) -> AsyncAdopted | None:
    """Looks into an operation of ``google.api_core``; ``None`` for anything else.

    Raises:
        TypeError: It is one of the other colour, or one that was not made by a client.
    """
    cls = type(operation)
    if not cls.__module__.startswith("google.api_core."):
        return None
    given = cast("Any", operation)
    # async-only: begin
    if cls.__module__ != "google.api_core.operation_async":
        raise TypeError("an operation of a sync google-cloud client is not for the async client")
    # async-only: end
    # sync-only: | if cls.__module__ != "google.api_core.operation":
    # sync-only: |     raise TypeError("an operation of an async google-cloud client is not for the sync client")
    refresh = getattr(given, "_refresh", None)
    client = getattr(getattr(refresh, "func", None), "__self__", None)
    if client is None or not hasattr(client, "get_operation"):
        raise TypeError(
            "this operation was not made by a client of google-cloud-*: take hold of it by name, with attach()"
        )
    metadata: Any = refresh.keywords.get("metadata") if refresh is not None else None
    # Each poll there appends its routing header to this very list; ours sends exactly one.
    own = tuple((key, value) for key, value in metadata or () if key.lower() != ROUTING_HEADER)
    return AsyncAdopted(given.operation, AsyncAdoptedTransport(client), own)


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
        try:
            reply = await self._client.get_operation(name, **self._options(options))
        except Exception as error:
            raise _failure(error, "GetOperation", types.registry) from error
        return wrap(reply, types)

    async def list_operations(
        self, query: ListQuery, types: OperationTypes, options: CallOptions
    ) -> Page[Operation[Any, Any]]:
        """Not to be had: their pages hide what ours tell.

        Raises:
            RpcFailure: Always.
        """
        raise _unimplemented("ListOperations")

    async def cancel_operation(self, name: str, types: OperationTypes, options: CallOptions) -> None:
        """CancelOperation."""
        try:
            await self._client.cancel_operation(name, **self._options(options))
        except Exception as error:
            raise _failure(error, "CancelOperation", types.registry) from error

    async def delete_operation(self, name: str, types: OperationTypes, options: CallOptions) -> None:
        """DeleteOperation."""
        try:
            await self._client.delete_operation(name, **self._options(options))
        except Exception as error:
            raise _failure(error, "DeleteOperation", types.registry) from error

    async def wait_operation(
        self, name: str, timeout: float | None, types: OperationTypes, options: CallOptions
    ) -> Operation[Any, Any]:
        """Not to be had there.

        Raises:
            RpcFailure: Always, with UNIMPLEMENTED.
        """
        raise _unimplemented("WaitOperation")

    async def close(self) -> None:
        """Closes nothing: the client belongs to whoever made it."""

    def _options(self, options: CallOptions) -> dict[str, Any]:
        # They add the routing header themselves, to this very list.
        metadata = [(key, value) for key, value in options.metadata if key != ROUTING_HEADER]
        return {**self._arguments, "timeout": options.timeout, "metadata": metadata}


def _failure(error: Exception, method: str, registry: TypeRegistry) -> RpcFailure:
    """An exception of theirs; the one of gRPC is inside, with everything it said."""
    import grpc

    inner = next((cause for cause in getattr(error, "errors", ()) if isinstance(cause, grpc.RpcError)), None)
    if isinstance(error, grpc.RpcError) or inner is not None:
        return RpcFailure(failure_of(inner or error, registry), method)
    code: Any = getattr(error, "grpc_status_code", None)
    details = tuple(detail for detail in getattr(error, "details", None) or () if hasattr(detail, "DESCRIPTOR"))
    message: str = getattr(error, "message", None) or str(error)
    if code is None:  # a connection of requests that broke, a closed channel: no status at all
        transient = isinstance(error, ConnectionError) or "Connection" in type(error).__name__
        return RpcFailure(PollFailure(status=Status(Code.UNKNOWN, message), transient=transient, cause=error), method)
    return RpcFailure(PollFailure(status=Status(code.value[0], message, details), cause=error), method)


def _unimplemented(method: str) -> RpcFailure:
    status = Status(Code.UNIMPLEMENTED, "the client this operation came from does not offer it")
    return RpcFailure(PollFailure(status=status), method)
