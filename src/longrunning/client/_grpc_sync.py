# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
# Generated from _grpc_async.py by tools/unasync.py (make unasync). Do not edit.
"""The gRPC transport. Requests and replies cross it as bytes, so that decoding is ours and its errors are typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import grpc

from .._any import underlying
from .._pb import operations_pb2
from ._grpc_errors import (
    SERVICE,
    closed,
    decode_operation,
    decode_page,
    encode_list,
    encode_wait,
    failure_of,
)
from ._grpc_futures import GrpcFutures, PollFutures
from ._transport import CallOptions, ListQuery, RpcFailure

if TYPE_CHECKING:
    from .._types import OperationTypes
    from ..method import LroMethod
    from ..operation import Operation
    from ..page import Page
    from ..registry import TypeRegistry

__all__ = ["GrpcTransport"]


class GrpcTransport:
    """An `Transport` over a ``grpc.Channel``: insecure, secured, with interceptors, as it was given."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel
        self._methods: dict[str, Any] = {}

    def start(
        self, method: LroMethod[Any, Any, Any], request: Any, types: OperationTypes, options: CallOptions
    ) -> Operation[Any, Any]:
        """Calls the method that starts an operation."""
        data = underlying(request).SerializeToString()
        return decode_operation(self._call(method.path, data, types.registry, options), types)

    def get_operation(self, name: str, types: OperationTypes, options: CallOptions) -> Operation[Any, Any]:
        """GetOperation."""
        data = operations_pb2.GetOperationRequest(name=name).SerializeToString()
        return decode_operation(self._call(SERVICE + "GetOperation", data, types.registry, options), types)

    def list_operations(
        self, query: ListQuery, types: OperationTypes, options: CallOptions
    ) -> Page[Operation[Any, Any]]:
        """ListOperations, one page."""
        data = encode_list(query)
        return decode_page(self._call(SERVICE + "ListOperations", data, types.registry, options), types)

    def cancel_operation(self, name: str, types: OperationTypes, options: CallOptions) -> None:
        """CancelOperation."""
        data = operations_pb2.CancelOperationRequest(name=name).SerializeToString()
        self._call(SERVICE + "CancelOperation", data, types.registry, options)

    def delete_operation(self, name: str, types: OperationTypes, options: CallOptions) -> None:
        """DeleteOperation."""
        data = operations_pb2.DeleteOperationRequest(name=name).SerializeToString()
        self._call(SERVICE + "DeleteOperation", data, types.registry, options)

    def wait_operation(
        self, name: str, timeout: float | None, types: OperationTypes, options: CallOptions
    ) -> Operation[Any, Any]:
        """WaitOperation; `timeout` is the server's, seconds."""
        data = encode_wait(name, timeout)
        return decode_operation(self._call(SERVICE + "WaitOperation", data, types.registry, options), types)

    def futures(self) -> PollFutures:
        """Sends polls without waiting for them."""
        return GrpcFutures(self._channel)

    def close(self) -> None:
        """Closes nothing: the channel belongs to whoever made it."""

    def _call(self, path: str, data: bytes, registry: TypeRegistry, options: CallOptions) -> bytes:
        """One unary RPC, bytes to bytes.

        Raises:
            RpcFailure: It failed.
        """
        try:
            method: Any = self._methods.get(path)
            if method is None:
                method = self._methods[path] = cast("Any", self._channel).unary_unary(path)
            reply = method(data, timeout=options.timeout, metadata=options.metadata)
        except grpc.RpcError as error:
            raise RpcFailure(failure_of(error, registry), path) from error
        except ValueError as error:  # "Cannot invoke RPC …", the channel is closed; or one of an interceptor
            if not str(error).startswith("Cannot invoke RPC"):
                raise
            raise RpcFailure(closed(error), path) from error
        return cast("bytes", reply)
