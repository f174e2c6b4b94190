# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Polls that are sent without waiting for them, for the sync client: thousands under way and no thread of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, cast, final

import grpc

from .._pb import operations_pb2
from .._polling import LongPoll, Poll
from ..operation import Operation
from ._grpc_errors import SERVICE, closed, decode_operation, encode_wait, failure_of
from ._transport import CallOptions, RpcFailure

if TYPE_CHECKING:
    from .._types import OperationTypes

__all__ = ["GrpcFutures", "Landed", "PollFutures"]

Landed = Callable[[Operation[Any, Any] | BaseException], None]
"""Called once with what came of a poll, in any thread."""


class PollFutures(Protocol):
    """Sends polls without waiting for them."""

    def send(
        self, step: Poll | LongPoll, name: str, types: OperationTypes, options: CallOptions, landed: Landed
    ) -> Callable[[], object]:
        """Sends one; returns what cancels it."""
        ...

    def close(self) -> None:
        """Nothing will be sent any more."""
        ...


@final
class GrpcFutures:
    """`PollFutures` of a ``grpc.Channel``, whose own thread calls back."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._get: Any = cast("Any", channel).unary_unary(SERVICE + "GetOperation")
        self._wait: Any = cast("Any", channel).unary_unary(SERVICE + "WaitOperation")

    def send(
        self, step: Poll | LongPoll, name: str, types: OperationTypes, options: CallOptions, landed: Landed
    ) -> Callable[[], object]:
        """Sends one; returns what cancels it."""
        if isinstance(step, LongPoll):
            rpc, method, data = "WaitOperation", self._wait, encode_wait(name, step.server_timeout)
        else:
            data = operations_pb2.GetOperationRequest(name=name).SerializeToString()
            rpc, method = "GetOperation", self._get

        def done(future: Any) -> None:
            try:
                landed(decode_operation(future.result(), types))
            except grpc.RpcError as error:
                landed(_failure(failure_of(error, types.registry), SERVICE + rpc, error))
            except grpc.FutureCancelledError as error:
                landed(_failure(closed(error), SERVICE + rpc, error))
            except BaseException as error:  # noqa: BLE001 (an unreadable reply, or a fault: raised where it can be seen)
                landed(error)

        try:
            future: Any = method.future(data, timeout=options.timeout, metadata=options.metadata)
        except ValueError as error:  # "Cannot invoke RPC …", the channel is closed; or one of an interceptor
            if not str(error).startswith("Cannot invoke RPC"):
                raise
            landed(_failure(closed(error), SERVICE + rpc, error))
            return _nothing
        future.add_done_callback(done)
        return cast("Callable[[], object]", future.cancel)

    def close(self) -> None:
        """Nothing to do: the channel belongs to whoever made it."""


def _failure(failure: Any, method: str, cause: BaseException) -> RpcFailure:
    error = RpcFailure(failure, method)
    error.__cause__ = cause
    return error


def _nothing() -> None:
    pass
