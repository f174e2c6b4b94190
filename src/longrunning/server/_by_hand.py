# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Starting from code of the service: from a servicer written by hand, or from within the process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from .._any import underlying
from .._pb import operations_pb2
from ..errors import StartError
from ..method import LroMethod
from ._authorization import Call, Rpc
from ._handlers import Registered
from ._refusal import Refusal

if TYPE_CHECKING:
    from ._server import OperationsServer

__all__ = ["start", "start_blocking"]


async def start(
    server: OperationsServer,
    method: LroMethod[Any, Any, Any],
    request: Any,
    grpc_context: Any,
    *,
    parent: str,
    request_id: str,
) -> operations_pb2.Operation:
    """See `OperationsServer.start`."""
    registered = _handler_of(server, method, request)

    async def starting() -> operations_pb2.Operation:
        call = _call_of(grpc_context, method.path, parent, request)
        made = server.service.start(registered, request, call, request_id=request_id)
        if asyncio.get_running_loop() is server.loop:
            return await made
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(made, server.loop))

    if grpc_context is not None:
        from ._grpc_aio import answering

        return await answering(grpc_context, method.path, starting())
    _ = server.loop  # raises where it is not running
    try:
        return await starting()
    except Refusal as refusal:
        raise StartError(refusal.status.code, refusal.status, method=method.path) from None


def start_blocking(
    server: OperationsServer,
    method: LroMethod[Any, Any, Any],
    request: Any,
    grpc_context: Any,
    *,
    parent: str,
    request_id: str,
) -> operations_pb2.Operation:
    """See `OperationsServer.start_blocking`."""
    registered = _handler_of(server, method, request)

    def starting() -> operations_pb2.Operation:
        call = _call_of(grpc_context, method.path, parent, request)
        made = server.service.start(registered, request, call, request_id=request_id)
        return asyncio.run_coroutine_threadsafe(made, server.loop).result()

    if grpc_context is not None:
        from ._grpc_sync import answering

        return answering(grpc_context, method.path, starting)
    if _running_loop() is server.loop:  # raises where it is not running
        raise RuntimeError("start_blocking() would block the event loop the server runs on: await start() there")
    try:
        return starting()
    except Refusal as refusal:
        raise StartError(refusal.status.code, refusal.status, method=method.path) from None


def _handler_of(server: OperationsServer, method: LroMethod[Any, Any, Any], request: Any) -> Registered:
    registered = server.handler_of(method.path)
    if registered is None:
        raise ValueError(f"{method.path} has no handler: register one with server.method(…)")
    kind = registered.method.request_kind
    if underlying(request).DESCRIPTOR.full_name != kind.full_name:
        raise TypeError(f"{method.path} takes a {kind.full_name}; got a {type(request).__name__}")
    return registered


def _call_of(grpc_context: Any, path: str, parent: str, request: Any) -> Call:
    if grpc_context is None:
        return Call(Rpc.START, parent, method=path, request=request)
    from ._grpc_edge import call_of

    return call_of(grpc_context, Rpc.START, parent, method=path, request=request)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
