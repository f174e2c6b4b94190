# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The edge to ``grpc.server``: each RPC hands its work to the event loop of the server of operations, and blocks its thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import grpc

from ..status import Code, Status
from ._grpc_edge import answer, answer_of
from ._refusal import refuse, status_of

if TYPE_CHECKING:
    from ._server import OperationsServer

__all__ = ["abort", "answering", "handler_for"]

T = TypeVar("T")


def handler_for(server: OperationsServer, path: str, threads: int) -> grpc.RpcMethodHandler[Any, Any]:
    """The handler of one RPC, on a pool of so many threads. Bytes in, bytes out: no serializers."""

    def handle(data: bytes, context: grpc.ServicerContext) -> bytes:
        return answering(context, path, lambda: _answer(server, path, data, context, threads))

    return grpc.unary_unary_rpc_method_handler(handle)


def answering(context: grpc.ServicerContext, path: str, reply: Callable[[], T]) -> T:
    """The reply; where it is an exception, the RPC is aborted with the status that is ours to tell."""
    try:
        return reply()
    except concurrent.futures.CancelledError:  # the caller went away, or the server did
        abort(context, Status(Code.UNAVAILABLE, "the server of operations is shutting down"))
    except Exception as error:
        aborted: Any = context  # types-grpcio does not know its code()
        if type(error) is Exception and not error.args and aborted.code() is not None:
            raise  # how grpc.server says that `validate` aborted the RPC
        abort(context, status_of(error, path))


def _answer(server: OperationsServer, path: str, data: bytes, context: grpc.ServicerContext, threads: int) -> bytes:
    try:
        loop = server.loop
    except RuntimeError:
        raise refuse(Code.UNAVAILABLE, "the server of operations is not running (yet, or any more)") from None
    answering = answer(server, path, data, context, threads=threads)
    try:
        answered = asyncio.run_coroutine_threadsafe(answering, loop)
    except RuntimeError:  # it ended just now
        answering.close()
        raise refuse(Code.UNAVAILABLE, "the server of operations is not running any more") from None
    if not context.add_callback(lambda: (answered.cancel(), None)[1]):  # called at the end of the RPC, whoever ends it
        answered.cancel()
    return answered.result()


def abort(context: grpc.ServicerContext, status: Status) -> NoReturn:
    """Answers an RPC with a status."""
    code, message, trailers = answer_of(status)
    context.set_trailing_metadata(trailers)
    context.abort(code, message)
