# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What both kinds of gRPC server share: bytes to calls, replies to bytes, refusals to statuses."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from google.protobuf.message import DecodeError

from .._pb import operations_pb2
from ..errors import MissingExtraError
from ..status import Code, Status
from ._authorization import Call, Rpc
from ._refusal import Refusal, bad_field

try:
    import grpc
except ImportError as error:
    raise MissingExtraError("server", "serving operations over gRPC") from error

if TYPE_CHECKING:
    from ._server import OperationsServer

__all__ = [
    "MESSAGES",
    "SERVER_OPTIONS",
    "SERVICE",
    "STATUS_CODES",
    "answer",
    "answer_of",
    "call_of",
]

_log: Final = logging.getLogger("longrunning.server")

SERVICE: Final = "google.longrunning.Operations"
_DETAILS_KEY: Final = "grpc-status-details-bin"
_YEARS: Final = 1e8  # seconds; a server is told of "no deadline" as one in the far future
_MAX_PENDING: Final = 100_000
_MAX_DETAILS: Final = 4096  # bytes; clients accept 16 KiB of headers (8 KiB some), and both have to fit, encoded
_MAX_MESSAGE: Final = 1024  # bytes

SERVER_OPTIONS: Final[tuple[tuple[str, Any], ...]] = (
    # With gRPC's own defaults a server turns away some of a few thousand calls that come in at once, as CANCELLED: every
    # WaitOperation is one.
    ("grpc.server.max_pending_requests", _MAX_PENDING),
    ("grpc.server.max_pending_requests_hard_limit", _MAX_PENDING),
    # Two servers on one port would split the calls between them, without a word.
    ("grpc.so_reuseport", 0),
)
"""Options for ``grpc.aio.server(options=…)`` and ``grpc.server(…, options=…)``: thousands of waits at once are let in."""

STATUS_CODES: Final[Mapping[int, grpc.StatusCode]] = {code.value[0]: code for code in grpc.StatusCode}

MESSAGES: Final[dict[str, tuple[Rpc, type[Any]]]] = {
    f"/{SERVICE}/GetOperation": (Rpc.GET, operations_pb2.GetOperationRequest),
    f"/{SERVICE}/ListOperations": (Rpc.LIST, operations_pb2.ListOperationsRequest),
    f"/{SERVICE}/CancelOperation": (Rpc.CANCEL, operations_pb2.CancelOperationRequest),
    f"/{SERVICE}/DeleteOperation": (Rpc.DELETE, operations_pb2.DeleteOperationRequest),
    f"/{SERVICE}/WaitOperation": (Rpc.WAIT, operations_pb2.WaitOperationRequest),
}


def call_of(context: Any, rpc: Rpc, name: str, *, method: str = "", request: Any = None) -> Call:
    """A call as both kinds of servicer context tell of it; nothing is read before it is asked for."""
    return Call(
        rpc,
        name,
        method=method,
        request=request,
        headers=lambda: [(key, value) for key, value in context.invocation_metadata() or ()],
        peer=lambda: str(context.peer()),
        identities=lambda: cast("Mapping[str, Any]", context.auth_context()),
        transport=context,
    )


def answer_of(status: Status) -> tuple[grpc.StatusCode, str, tuple[tuple[str, bytes], ...]]:
    """Code, message and trailers. What does not fit into the headers that clients accept is cut: the code has to arrive."""
    code = STATUS_CODES.get(int(status.code), grpc.StatusCode.UNKNOWN)
    if code is grpc.StatusCode.OK:
        code = grpc.StatusCode.UNKNOWN
    details = status.to_proto().SerializeToString() if status.details else b""
    message = status.message
    if len(details) > _MAX_DETAILS or len(message.encode("utf-8", "replace")) > _MAX_MESSAGE:
        _log.warning("a status is too long for headers and cut: code %s, message %a", status.code, message[:200])
        details, message = b"", message[: _MAX_MESSAGE // 4]
    return code, message, ((_DETAILS_KEY, details),) if details else ()


async def answer(server: OperationsServer, path: str, data: bytes, context: Any, *, threads: int | None) -> bytes:
    """Answers one RPC, on the event loop of the server.

    Raises:
        Refusal: What to answer instead.
        StoreUnavailableError: The store cannot be asked.
    """
    known = MESSAGES.get(path)
    if known is None:
        registered = server.registered(path)
        if registered is None:
            raise Refusal(Status(Code.UNIMPLEMENTED, f"{path} is not served here"))
        request = _parse(registered.method.request_kind.from_bytes, data)
        call = call_of(context, Rpc.START, "", method=path, request=request)
        return (await server.service.start(registered, request, call)).SerializeToString()
    rpc, kind = known
    request = _parse(kind.FromString, data)
    call = call_of(context, rpc, request.name)
    service = server.service
    match rpc:
        case Rpc.GET:
            return (await service.get(call)).to_proto().SerializeToString()
        case Rpc.WAIT:
            timeout, deadline = _timeout(request), _deadline(context)
            return (await service.wait(call, timeout, deadline, threads=threads)).to_proto().SerializeToString()
        case Rpc.LIST:
            page = await service.list(
                call, filter=request.filter, page_size=request.page_size, page_token=request.page_token
            )
            reply = operations_pb2.ListOperationsResponse(next_page_token=page.next_page_token)
            reply.operations.extend(record.to_proto() for record in page.records)
            return reply.SerializeToString()
        case Rpc.CANCEL:
            await service.cancel(call)
            return b""
        case Rpc.DELETE:
            await service.delete(call)
            return b""
        case _:
            raise AssertionError(rpc)


def _parse(read: Callable[[bytes], Any], data: bytes) -> Any:
    try:
        return read(data)
    except (DecodeError, ValueError, RuntimeError) as error:  # gRPC itself would say INTERNAL
        raise Refusal(Status(Code.INVALID_ARGUMENT, f"the request does not decode: {type(error).__name__}")) from None


def _timeout(request: Any) -> float | None:
    if not request.HasField("timeout"):
        return None
    seconds, nanos = request.timeout.seconds, request.timeout.nanos
    if abs(nanos) >= 1_000_000_000 or (seconds and nanos and (seconds < 0) != (nanos < 0)):
        raise bad_field("timeout", f"{seconds} s and {nanos} ns are no duration")
    return float(seconds + nanos / 1e9)


def _deadline(context: Any) -> float | None:
    remaining = cast("float | None", context.time_remaining())
    return remaining if remaining is not None and remaining < _YEARS else None
