# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What both gRPC transports share: reading a failed RPC, and the requests whose proto may be older than us."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from google.rpc import status_pb2

from .._pb import operations_pb2
from .._polling import PollFailure
from .._types import OperationTypes
from ..errors import MissingExtraError, PayloadDecodeError
from ..operation import Operation, wrap
from ..page import Page, page_of_bytes
from ..policy import seconds
from ..registry import TypeRegistry
from ..status import Code, Status
from ._transport import SERVICE, ListQuery

__all__ = [
    "SERVICE",
    "cancelled",
    "closed",
    "decode_operation",
    "decode_page",
    "encode_list",
    "encode_wait",
    "failure_of",
    "read_failure",
    "require_grpc",
]

_LONGEST_WAIT: Final = 10 * 365 * 86400.0  # seconds; a Duration holds 10,000 years, 64 bits of nanoseconds 292
_DETAILS_KEY: Final = "grpc-status-details-bin"

# What a cut connection looks like where it does not come as UNAVAILABLE: the texts of gRPC's own transport.
_RESETS: Final = ("Received RST_STREAM", "Stream removed", "Connection reset", "Socket closed")

# And what only looks like a cut one: gRPC reports as UNAVAILABLE, for ever, that it will not talk to a server.
_DISTRUST: Final = (
    "CERTIFICATE_VERIFY_FAILED",
    "Hostname Verification Check failed",
    "is not in peer certificate",
    "WRONG_VERSION_NUMBER",  # the server does not speak TLS
)


def require_grpc() -> None:
    """Says which extra to install where grpc is missing.

    Raises:
        MissingExtraError: It is.
    """
    try:
        import grpc  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError as error:
        raise MissingExtraError("grpc", "the gRPC client") from error


def read_failure(
    code: int, message: str, trailing: Iterable[tuple[str, Any]] | None, registry: TypeRegistry, cause: BaseException
) -> PollFailure:
    """A failed RPC with its rich status, if the server sent one (``google.rpc.Status`` in the trailers).

    Args:
        code: The gRPC code.
        message: The gRPC message.
        trailing: The trailing metadata.
        registry: Where the types of the details are found.
        cause: The exception of gRPC.
    """
    status = Status(code, message)
    for key, value in trailing or ():
        if key == _DETAILS_KEY:
            try:
                rich = status_pb2.Status.FromString(value)
            except Exception:  # noqa: BLE001, S112 (trailers are the server's; without them there is still code and message)
                continue
            if rich.code == code:  # a proxy may have replaced the status; then the details are of another error
                status = Status.from_proto(rich, registry=registry)
    transient = status.code in (Code.INTERNAL, Code.UNKNOWN) and any(text in message for text in _RESETS)
    lasting = status.code == Code.UNAVAILABLE and any(text in message for text in _DISTRUST)
    return PollFailure(status=status, transient=transient, lasting=lasting, retry_after=status.retry_delay, cause=cause)


def failure_of(error: Any, registry: TypeRegistry) -> PollFailure:
    """What a ``grpc.RpcError`` says, sync or async."""
    if not callable(getattr(error, "code", None)):  # a bare RpcError, as interceptors may raise it
        return PollFailure(status=Status(Code.UNKNOWN, str(error)), cause=error)
    code: int = error.code().value[0]
    message: str = error.details() or ""
    # A channel closed under a call reports CANCELLED, as a cut connection may; its own words tell them apart.
    if code == Code.CANCELLED and message == "Channel closed!":
        return closed(error)
    return read_failure(code, message, error.trailing_metadata(), registry, error)


def closed(cause: BaseException) -> PollFailure:
    """The channel was closed on this side: no retry will help."""
    return PollFailure(status=Status(Code.CANCELLED, f"the channel is closed: {cause}"), closed=True, cause=cause)


def decode_operation(data: bytes, types: OperationTypes) -> Operation[Any, Any]:
    """Reads the reply of an RPC that returns an operation.

    Raises:
        PayloadDecodeError: It is not one.
    """
    try:
        return wrap(operations_pb2.Operation.FromString(data), types)
    except Exception as error:  # the pure Python runtime raises more than DecodeError
        raise PayloadDecodeError(f"the server's reply is not a google.longrunning.Operation: {error}") from error


# Fields of AIP-217 that the installed googleapis-common-protos (before 1.75.5) may not know. Unknown fields go over the
# wire as well as known ones, so both are written and read by number there.
_RETURN_PARTIAL_SUCCESS: Final = b"\x28\x01"  # field 5, varint, true


def cancelled(cause: BaseException) -> PollFailure:
    """The call was cancelled, and not by the task that waited for it: by an interceptor, or by gRPC itself."""
    return PollFailure(status=Status(Code.CANCELLED, "the call was cancelled"), cause=cause)


def encode_wait(name: str, timeout: float | None) -> bytes:
    """The bytes of a ``WaitOperationRequest``; `timeout` in seconds."""
    request = operations_pb2.WaitOperationRequest(name=name)
    if timeout is not None:
        request.timeout.FromNanoseconds(round(min(seconds(timeout, "timeout"), _LONGEST_WAIT) * 1e9))
    return request.SerializeToString()


def encode_list(query: ListQuery) -> bytes:
    """The bytes of a ``ListOperationsRequest``."""
    request = operations_pb2.ListOperationsRequest(
        name=query.name, filter=query.filter, page_size=query.page_size, page_token=query.page_token
    )
    return request.SerializeToString() + (_RETURN_PARTIAL_SUCCESS if query.return_partial_success else b"")


def decode_page(data: bytes, types: OperationTypes) -> Page[Operation[Any, Any]]:
    """Reads a ``ListOperationsResponse``.

    Raises:
        PayloadDecodeError: It is not one.
    """
    try:
        return page_of_bytes(data, types)
    except PayloadDecodeError as error:
        raise PayloadDecodeError(f"the server's reply cannot be read: {error.problem}") from error.__cause__
