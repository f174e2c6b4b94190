# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What a client and its handles share: a transport, a clock, headers, and the errors of single RPCs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, final

from .._types import OperationTypes, types_for
from ..errors import PayloadDecodeError
from ..names import Metadata, check_metadata, check_name, with_routing
from ..operation import Operation
from ..page import Page
from ..policy import PollPolicy
from ..registry import TypeRegistry
from ..status import Code
from ._io_async import AsyncGuard
from ._tracing import NO_TRACING, Tracing
from ._transport import CallOptions, ListQuery, RpcFailure, rpc_error, start_error

if TYPE_CHECKING:
    from ..method import LroMethod
    from ._io_async import AsyncClock, AsyncTransport

__all__ = ["LOGGER", "AsyncSession"]

LOGGER: Final = logging.getLogger("longrunning")
"""Quiet unless it is asked to speak: everything here is DEBUG, and what matters is raised."""


@final
class AsyncSession:
    """One server as one client sees it.

    Attributes:
        transport: The way there.
        registry: Where types are found that no method declares.
        policy: How to wait, unless a wait says otherwise.
        metadata: Headers for every RPC.
        clock: Time and chance.
        any_types: The types of an operation nobody declared.
        tracing: Where spans come from.
        owner: What is the same for all sessions of one client.
    """

    def __init__(
        self,
        transport: AsyncTransport,
        registry: TypeRegistry,
        policy: PollPolicy,
        metadata: Metadata,
        clock: AsyncClock,
        tracing: Tracing = NO_TRACING,
        owner: object | None = None,
    ) -> None:
        self.transport = transport
        self.registry = registry
        self.policy = policy
        self.metadata: tuple[tuple[str, str | bytes], ...] = tuple(metadata)
        self.clock = clock
        self.any_types: OperationTypes = types_for(None, registry)
        self.tracing = tracing
        self.owner: object = self if owner is None else owner
        self._has_wait: bool | None = None
        self._guard = AsyncGuard()

    def over(self, transport: AsyncTransport) -> AsyncSession:
        """A session of the same client over another transport, which has no WaitOperation."""
        # Without this client's headers, which may be credentials: the transport leads to another server.
        session = AsyncSession(transport, self.registry, self.policy, (), self.clock, self.tracing, self.owner)
        session._has_wait = False
        return session

    def types(self, method: LroMethod[Any, Any, Any] | None) -> OperationTypes:
        """The types of a method's operations."""
        return self.any_types if method is None else types_for(method, self.registry)

    def options(self, name: str, metadata: Metadata, timeout: float | None = None) -> CallOptions:
        """How an RPC about the operation or parent `name` is sent; within the policy's time for one RPC, unless given."""
        rpc_timeout = self.policy.retry.rpc_timeout if timeout is None else timeout
        return CallOptions(rpc_timeout, check_metadata(with_routing(name, (*self.metadata, *metadata))))

    async def start(
        self, method: LroMethod[Any, Any, Any], request: Any, types: OperationTypes, options: CallOptions
    ) -> Operation[Any, Any]:
        """Calls the method that starts an operation.

        Raises:
            StartError: It failed.
        """
        self._guard.check()
        try:
            return await self.transport.start(method, request, types, options)
        except RpcFailure as error:
            raise start_error(error) from error.__cause__

    async def get(
        self, name: str, types: OperationTypes, options: CallOptions, last: Operation[Any, Any] | None
    ) -> Operation[Any, Any]:
        """GetOperation.

        Raises:
            RpcFailure: It failed; what that means is for the caller to say.
            PayloadDecodeError: The reply is no operation at all.
        """
        self._guard.check()
        try:
            return await self.transport.get_operation(check_name(name), types, options)
        except PayloadDecodeError as error:
            raise PayloadDecodeError(error.problem, name=name, operation=last) from error.__cause__

    def check(self) -> None:
        """Refuses to work where connections cannot follow (PKG-3).

        Raises:
            RuntimeError: See `AsyncGuard`.
        """
        self._guard.check()

    def wait_support(self, policy: PollPolicy) -> bool | None:
        """Whether to use WaitOperation; ``None``: nobody knows yet whether the server has it."""
        return self._has_wait if policy.use_wait_operation is None else policy.use_wait_operation

    async def wait(
        self, name: str, timeout: float, types: OperationTypes, options: CallOptions, last: Operation[Any, Any] | None
    ) -> Operation[Any, Any]:
        """WaitOperation in the place of a poll; learns whether the server has it (WAIT-5).

        Raises:
            RpcFailure: It failed.
            PayloadDecodeError: The reply is no operation at all.
        """
        self._guard.check()
        try:
            snapshot = await self.transport.wait_operation(check_name(name), timeout, types, options)
        except RpcFailure as error:
            self.learn_wait(error)
            raise
        except PayloadDecodeError as error:
            raise PayloadDecodeError(error.problem, name=name, operation=last) from error.__cause__
        self.learn_wait(None)
        return snapshot

    def learn_wait(self, error: RpcFailure | None) -> None:
        """Takes note of how a WaitOperation went."""
        if error is None:
            self._has_wait = True
        elif error.failure.status.code == Code.UNIMPLEMENTED:
            self._has_wait = False
            LOGGER.debug("the server has no WaitOperation: polling with GetOperation instead")

    async def cancel(
        self, name: str, types: OperationTypes, options: CallOptions, last: Operation[Any, Any] | None = None
    ) -> None:
        """CancelOperation.

        Raises:
            RpcError: It failed.
        """
        self._guard.check()
        try:
            await self.transport.cancel_operation(check_name(name), types, options)
        except RpcFailure as error:
            raise rpc_error(error, name, last) from error.__cause__

    async def delete(
        self, name: str, types: OperationTypes, options: CallOptions, last: Operation[Any, Any] | None = None
    ) -> None:
        """DeleteOperation.

        Raises:
            RpcError: It failed.
        """
        self._guard.check()
        try:
            await self.transport.delete_operation(check_name(name), types, options)
        except RpcFailure as error:
            raise rpc_error(error, name, last) from error.__cause__

    async def wait_operation(
        self, name: str, timeout: float | None, types: OperationTypes, options: CallOptions
    ) -> Operation[Any, Any]:
        """WaitOperation.

        Raises:
            RpcError: It failed.
        """
        self._guard.check()
        try:
            return await self.transport.wait_operation(check_name(name), timeout, types, options)
        except RpcFailure as error:
            raise rpc_error(error, name) from error.__cause__

    async def page(self, query: ListQuery, options: CallOptions) -> Page[Operation[Any, Any]]:
        """ListOperations, one page.

        Raises:
            RpcError: It failed.
        """
        self._guard.check()
        try:
            return await self.transport.list_operations(query, self.any_types, options)
        except RpcFailure as error:
            raise rpc_error(error, query.name) from error.__cause__
