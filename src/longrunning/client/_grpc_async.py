# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The gRPC transport. Requests and replies cross it as bytes, so that decoding is ours and its errors are typed."""

from __future__ import annotations

# async-only: begin
import asyncio

# async-only: end
from typing import TYPE_CHECKING, Any, cast

import grpc
import grpc.aio

from .._any import underlying
from .._pb import operations_pb2
from ._grpc_errors import (
    SERVICE,
    cancelled,
    closed,
    decode_operation,
    decode_page,
    encode_list,
    encode_wait,
    failure_of,
)

# sync-only: | from ._grpc_futures import GrpcFutures, PollFutures
from ._transport import CallOptions, ListQuery, RpcFailure

if TYPE_CHECKING:
    from .._types import OperationTypes
    from ..method import LroMethod
    from ..operation import Operation
    from ..page import Page
    from ..registry import TypeRegistry

__all__ = ["AsyncGrpcTransport"]


class AsyncGrpcTransport:
    """An `AsyncTransport` over a ``grpc.aio.Channel``: insecure, secured, with interceptors, as it was given."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._methods: dict[str, Any] = {}

    async def start(
        self, method: LroMethod[Any, Any, Any], request: Any, types: OperationTypes, options: CallOptions
    ) -> Operation[Any, Any]:
        """Calls the method that starts an operation."""
        data = underlying(request).SerializeToString()
        return decode_operation(await self._call(method.path, data, types.registry, options), types)

    async def get_operation(self, name: str, types: OperationTypes, options: CallOptions) -> Operation[Any, Any]:
        """GetOperation."""
        data = operations_pb2.GetOperationRequest(name=name).SerializeToString()
        return decode_operation(await self._call(SERVICE + "GetOperation", data, types.registry, options), types)

    async def list_operations(
        self, query: ListQuery, types: OperationTypes, options: CallOptions
    ) -> Page[Operation[Any, Any]]:
        """ListOperations, one page."""
        data = encode_list(query)
        return decode_page(await self._call(SERVICE + "ListOperations", data, types.registry, options), types)

    async def cancel_operation(self, name: str, types: OperationTypes, options: CallOptions) -> None:
        """CancelOperation."""
        data = operations_pb2.CancelOperationRequest(name=name).SerializeToString()
        await self._call(SERVICE + "CancelOperation", data, types.registry, options)

    async def delete_operation(self, name: str, types: OperationTypes, options: CallOptions) -> None:
        """DeleteOperation."""
        data = operations_pb2.DeleteOperationRequest(name=name).SerializeToString()
        await self._call(SERVICE + "DeleteOperation", data, types.registry, options)

    async def wait_operation(
        self, name: str, timeout: float | None, types: OperationTypes, options: CallOptions
    ) -> Operation[Any, Any]:
        """WaitOperation; `timeout` is the server's, seconds."""
        data = encode_wait(name, timeout)
        return decode_operation(await self._call(SERVICE + "WaitOperation", data, types.registry, options), types)

    # sync-only: | def futures(self) -> PollFutures:
    # sync-only: |     """Sends polls without waiting for them."""
    # sync-only: |     return GrpcFutures(self._channel)

    async def close(self) -> None:
        """Closes nothing: the channel belongs to whoever made it."""

    async def _call(self, path: str, data: bytes, registry: TypeRegistry, options: CallOptions) -> bytes:
        """One unary RPC, bytes to bytes.

        Raises:
            RpcFailure: It failed.
        """
        # async-only: begin
        loop = getattr(self._channel, "_loop", None)
        if loop is not None and loop is not asyncio.get_running_loop():
            raise RuntimeError(
                "this channel belongs to another event loop: make channel and client inside each asyncio.run()"
            )
        task = asyncio.current_task()
        cancelled_before = task.cancelling() if task is not None else 0
        if cancelled_before:
            await asyncio.sleep(0)  # a cancellation that is still to be delivered is delivered here, not mistaken below
        # async-only: end
        try:
            method: Any = self._methods.get(path)
            if method is None:
                method = self._methods[path] = cast("Any", self._channel).unary_unary(path)
            reply = await method(data, timeout=options.timeout, metadata=options.metadata)
        except grpc.RpcError as error:
            raise RpcFailure(failure_of(error, registry), path) from error
        # async-only: begin
        except asyncio.CancelledError as error:
            # grpc.aio also raises this when the channel is closed under the call: a failure of the transport must not
            # look like the cancellation of a task (WAIT-4, WAIT-6).
            if task is None or task.cancelling() > cancelled_before:
                raise
            raise RpcFailure(closed(error) if self._is_closed() else cancelled(error), path) from error
        except grpc.aio.UsageError as error:
            raise RpcFailure(closed(error), path) from error
        # async-only: end
        # sync-only: | except ValueError as error:  # "Cannot invoke RPC …", the channel is closed; or one of an interceptor
        # sync-only: |     if not str(error).startswith("Cannot invoke RPC"):
        # sync-only: |         raise
        # sync-only: |     raise RpcFailure(closed(error), path) from error
        return cast("bytes", reply)

    # async-only: begin
    def _is_closed(self) -> bool:
        try:
            return self._channel.get_state() is grpc.ChannelConnectivity.SHUTDOWN
        except grpc.aio.UsageError:
            return True

    # async-only: end
