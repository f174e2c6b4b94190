# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The edge to ``grpc.aio``: the server of operations runs on the event loop that the gRPC server runs on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import grpc
import grpc.aio

from ..status import Status
from ._grpc_edge import answer, answer_of
from ._refusal import status_of

if TYPE_CHECKING:
    from ._server import OperationsServer

__all__ = ["abort", "answering", "handler_for"]

T = TypeVar("T")


def handler_for(server: OperationsServer, path: str) -> grpc.RpcMethodHandler[Any, Any]:
    """The handler of one RPC. Bytes in, bytes out: no serializers."""

    async def handle(data: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        return await answering(context, path, answer(server, path, data, context, threads=None))

    return grpc.unary_unary_rpc_method_handler(handle)


async def answering(context: grpc.aio.ServicerContext[Any, Any], path: str, reply: Awaitable[T]) -> T:
    """The reply; where it is an exception, the RPC is aborted with the status that is ours to tell."""
    try:
        return await reply
    except grpc.aio.AbortError:  # `validate` aborted the RPC itself
        raise
    except Exception as error:  # noqa: BLE001 (told apart, logged and answered there)
        await abort(context, status_of(error, path))


async def abort(context: grpc.aio.ServicerContext[Any, Any], status: Status) -> NoReturn:
    """Answers an RPC with a status."""
    await context.abort(*answer_of(status))
    raise asyncio.CancelledError  # not reached: abort raises
