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
    loop = None if grpc_context is not None else server.loop  # raises where it is not running
    try:
        call = _call_of(grpc_context, method.path, parent, request)
        starting = server.service.start(registered, request, call, request_id=request_id)
        loop = server.loop
        if asyncio.get_running_loop() is loop:
            return await starting
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(starting, loop))
    except Exception as error:
        if grpc_context is None:
            if isinstance(error, Refusal):
                raise StartError(error.status.code, error.status, method=method.path) from None
            raise
        from ._grpc_aio import abort
        from ._grpc_edge import status_of

        await abort(grpc_context, status_of(error, method.path))


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
    if grpc_context is None and _running_loop() is server.loop:  # raises where it is not running
        raise RuntimeError("start_blocking() would block the event loop the server runs on: await start() there")
    try:
        call = _call_of(grpc_context, method.path, parent, request)
        starting = server.service.start(registered, request, call, request_id=request_id)
        return asyncio.run_coroutine_threadsafe(starting, server.loop).result()
    except Exception as error:
        if grpc_context is None:
            if isinstance(error, Refusal):
                raise StartError(error.status.code, error.status, method=method.path) from None
            raise
        from ._grpc_edge import status_of
        from ._grpc_sync import abort

        abort(grpc_context, status_of(error, method.path))


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
