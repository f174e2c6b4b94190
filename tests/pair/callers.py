# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Callers who show tokens, an authorizer that knows them, and answers compared byte for byte."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import AsyncGenerator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from longrunning import Code, OperationError, Status
from longrunning._pb import operations_pb2
from longrunning.server import SERVER_OPTIONS, Access, Call, Rpc
from tests.pair.colours import IMPORT_BOOKS
from tests.pair.serving import IMPORT, PATIENCE, SERVICE, Edge, Running

ON_ONE: Final = ("GetOperation", "WaitOperation", "CancelOperation", "DeleteOperation")  # about one operation
FIVE: Final = (*ON_ONE, "ListOperations")
START: Final = IMPORT_BOOKS.path
REASON: Final = error_details_pb2.ErrorInfo(reason="NO_TOKEN", domain="library.example.com")
ACCESS: Final[Mapping[str, Access]] = {
    "alice": Access(principal="alice", scope="tenant 1"),
    "adam": Access(principal="adam", scope="tenant 1"),
    "bob": Access(principal="bob", scope="tenant 2"),
    "root": Access(principal="root", scope=None),
}
"""Whoever shows one of these names as a token has this access."""


class Tenants:
    """Reads the token of a call. Mallory's is refused everything; a call without a token is UNAUTHENTICATED.

    Attributes:
        awaited: Whether its answers have to be awaited.
    """

    def __init__(self, *, awaited: bool = False) -> None:
        self.awaited = awaited

    def authorize(self, call: Call, /) -> Access | Awaitable[Access]:
        """Grants what the token is worth."""
        return self._later(call) if self.awaited else self._granted(call)

    async def _later(self, call: Call) -> Access:
        await asyncio.sleep(0)
        return self._granted(call)

    def _granted(self, call: Call) -> Access:
        token = call.header("token")
        if token is None:
            raise OperationError(Status(Code.UNAUTHENTICATED, "show a token", (REASON,)))
        if token not in ACCESS:
            name = f"{call.rpc.value} of {call.name}" if call.rpc is not Rpc.START else "starting"
            raise OperationError(Status(Code.PERMISSION_DENIED, f"{token} has no right to {name}", (REASON,)))
        return ACCESS[token]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What an RPC was answered.

    Attributes:
        code: Its code.
        message: Its message.
        trailers: Its trailing metadata.
        data: The reply; empty where there is none.
    """

    code: grpc.StatusCode
    message: str = ""
    trailers: tuple[tuple[str, str | bytes], ...] = ()
    data: bytes = b""

    @property
    def operation(self) -> operations_pb2.Operation:
        """The reply of everything that returns an operation."""
        assert self.code is grpc.StatusCode.OK, self
        return operations_pb2.Operation.FromString(self.data)

    @property
    def page(self) -> operations_pb2.ListOperationsResponse:
        """The reply of ListOperations."""
        assert self.code is grpc.StatusCode.OK, self
        return operations_pb2.ListOperationsResponse.FromString(self.data)

    @property
    def names(self) -> list[str]:
        """The operations on that page."""
        return [operation.name for operation in self.page.operations]

    @property
    def details(self) -> list[any_pb2.Any]:
        """The details of a rich status; it repeats code and message."""
        for key, value in self.trailers:
            if key == "grpc-status-details-bin":
                assert isinstance(value, bytes)
                status = status_pb2.Status.FromString(value)
                assert (status.code, status.message) == (self.code.value[0], self.message)
                return list(status.details)
        return []

    @property
    def field(self) -> str:
        """The one field that INVALID_ARGUMENT is about; its description is in the message."""
        assert self.code is grpc.StatusCode.INVALID_ARGUMENT, self
        [detail] = self.details
        bad = error_details_pb2.BadRequest()
        assert detail.Unpack(bad)
        [violation] = bad.field_violations
        assert self.message == f"{violation.field}: {violation.description}"
        return violation.field


def asking(rpc: str, name: str, **fields: Any) -> Any:
    """The request of one of the five methods; a wait returns at once."""
    match rpc:
        case "GetOperation":
            return operations_pb2.GetOperationRequest(name=name)
        case "WaitOperation":
            return operations_pb2.WaitOperationRequest(name=name, timeout=duration_pb2.Duration())
        case "CancelOperation":
            return operations_pb2.CancelOperationRequest(name=name)
        case "DeleteOperation":
            return operations_pb2.DeleteOperationRequest(name=name)
        case _:
            return operations_pb2.ListOperationsRequest(name=name, **fields)


class Caller:
    """Somebody who calls, and always sends the same headers."""

    def __init__(self, channel: grpc.aio.Channel, *headers: tuple[str, str | bytes]) -> None:
        self._channel = channel
        self._headers = headers

    @classmethod
    def named(cls, channel: grpc.aio.Channel, token: str) -> Caller:
        """Somebody who shows a token."""
        return cls(channel, ("token", token))

    async def ask(
        self, rpc: str, request: Any, *, timeout: float = PATIENCE, headers: Sequence[tuple[str, str | bytes]] = ()
    ) -> Said:
        """Makes one call: a method of the service, or any path; a request, or any bytes."""
        path = rpc if rpc.startswith("/") else f"{SERVICE}{rpc}"
        data = request if isinstance(request, bytes) else request.SerializeToString()
        channel: Any = self._channel
        call = channel.unary_unary(path)(data, metadata=(*self._headers, *headers), timeout=timeout)
        try:
            reply = await call
        except grpc.aio.AioRpcError as error:
            trailers = tuple((str(key), value) for key, value in error.trailing_metadata() or ())
            return Said(code=error.code(), message=error.details() or "", trailers=trailers)
        return Said(code=grpc.StatusCode.OK, data=reply)

    async def about(self, rpc: str, name: str, **fields: Any) -> Said:
        """Calls one of the five methods."""
        return await self.ask(rpc, asking(rpc, name, **fields))

    async def list(self, name: str, **fields: Any) -> Said:
        """One page."""
        return await self.ask("ListOperations", asking("ListOperations", name, **fields))

    async def listed(self, name: str, **fields: Any) -> Sequence[str]:
        """The names on all pages."""
        return [name for said in await self.pages(name, **fields) for name in said.names]

    async def pages(self, name: str, **fields: Any) -> Sequence[Said]:
        """All pages."""
        pages = [await self.list(name, **fields)]
        while token := pages[-1].page.next_page_token:
            pages.append(await self.list(name, **(fields | {"page_token": token})))
            assert len(pages) < 200, "the pages do not end"
        return pages

    async def start(self, request: Any = IMPORT, path: str = START) -> str:
        """Starts an operation and returns its name."""
        return (await self.ask(path, request)).operation.name

    async def done(self, name: str) -> operations_pb2.Operation:
        """The operation when it is done."""
        while True:
            request = operations_pb2.WaitOperationRequest(name=name, timeout=duration_pb2.Duration(seconds=5))
            operation = (await self.ask("WaitOperation", request)).operation
            if operation.done:
                return operation


@asynccontextmanager
async def fronted(
    running: Running,
    *,
    interceptors: Sequence[Any] = (),
    credentials: tuple[grpc.ServerCredentials, grpc.ChannelCredentials] | None = None,
    **add_to: Any,
) -> AsyncGenerator[grpc.aio.Channel, None]:
    """One more gRPC server of the same kind in front of a server, and a channel to it.

    Args:
        running: The server.
        interceptors: What stands in front of the handlers.
        credentials: Of the server and of the channel; without, neither is secured.
        add_to: Further arguments of `OperationsServer.add_to`.
    """
    pool = None
    before: Any = list(interceptors)  # of one kind or of the other
    if running.edge is Edge.AIO:
        grpc_server: Any = grpc.aio.server(options=SERVER_OPTIONS, interceptors=before)
    else:
        pool = concurrent.futures.ThreadPoolExecutor(8, thread_name_prefix="rpc")
        grpc_server = grpc.server(pool, options=SERVER_OPTIONS, interceptors=before)
    running.server.add_to(grpc_server, **add_to)
    address = "127.0.0.1:0"
    if credentials is None:
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{grpc_server.add_insecure_port(address)}")
    else:
        port = grpc_server.add_secure_port(address, credentials[0])
        channel = grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials[1])
    started = grpc_server.start()
    if pool is None:
        await started
    try:
        async with channel:
            yield channel
    finally:
        stopped = grpc_server.stop(None)
        if pool is None:
            await stopped
        else:
            await asyncio.to_thread(stopped.wait)
            await asyncio.to_thread(pool.shutdown)
