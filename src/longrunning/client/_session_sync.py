# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
# Generated from _session_async.py by tools/unasync.py (make unasync). Do not edit.
"""What a client and its handles share: a transport, a clock, headers, and the errors of single RPCs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from .._types import OperationTypes, types_for
from ..errors import PayloadDecodeError
from ..names import Metadata, check_name, with_routing
from ..operation import Operation
from ..policy import PollPolicy
from ..registry import TypeRegistry
from ._io_sync import Guard
from ._transport import CallOptions, ListQuery, Page, RpcFailure, rpc_error, start_error

if TYPE_CHECKING:
    from ..method import LroMethod
    from ._io_sync import Clock, Transport

__all__ = ["Session"]


@final
class Session:
    """One server as one client sees it.

    Attributes:
        transport: The way there.
        registry: Where types are found that no method declares.
        policy: How to wait, unless a wait says otherwise.
        metadata: Headers for every RPC.
        clock: Time and chance.
        any_types: The types of an operation nobody declared.
    """

    def __init__(
        self,
        transport: Transport,
        registry: TypeRegistry,
        policy: PollPolicy,
        metadata: Metadata,
        clock: Clock,
    ) -> None:
        self.transport = transport
        self.registry = registry
        self.policy = policy
        self.metadata = tuple(metadata)
        self.clock = clock
        self.any_types = types_for(None, registry)
        self._guard = Guard()

    def types(self, method: LroMethod[Any, Any, Any] | None) -> OperationTypes:
        """The types of a method's operations."""
        return self.any_types if method is None else types_for(method, self.registry)

    def options(self, name: str, metadata: Metadata, timeout: float | None = None) -> CallOptions:
        """How an RPC about the operation or parent `name` is sent; within the policy's time for one RPC, unless given."""
        rpc_timeout = self.policy.retry.rpc_timeout if timeout is None else timeout
        return CallOptions(rpc_timeout, with_routing(name, (*self.metadata, *metadata)))

    def start(
        self, method: LroMethod[Any, Any, Any], request: Any, types: OperationTypes, options: CallOptions
    ) -> Operation[Any, Any]:
        """Calls the method that starts an operation.

        Raises:
            StartError: It failed.
        """
        self._guard.check()
        try:
            return self.transport.start(method, request, types, options)
        except RpcFailure as error:
            raise start_error(error) from error.__cause__

    def get(
        self, name: str, types: OperationTypes, options: CallOptions, last: Operation[Any, Any] | None
    ) -> Operation[Any, Any]:
        """GetOperation.

        Raises:
            RpcFailure: It failed; what that means is for the caller to say.
            PayloadDecodeError: The reply is no operation at all.
        """
        self._guard.check()
        try:
            return self.transport.get_operation(check_name(name), types, options)
        except PayloadDecodeError as error:
            raise PayloadDecodeError(error.problem, name=name, operation=last) from error.__cause__

    def cancel(
        self, name: str, types: OperationTypes, options: CallOptions, last: Operation[Any, Any] | None = None
    ) -> None:
        """CancelOperation.

        Raises:
            RpcError: It failed.
        """
        self._guard.check()
        try:
            self.transport.cancel_operation(check_name(name), types, options)
        except RpcFailure as error:
            raise rpc_error(error, name, last) from error.__cause__

    def delete(
        self, name: str, types: OperationTypes, options: CallOptions, last: Operation[Any, Any] | None = None
    ) -> None:
        """DeleteOperation.

        Raises:
            RpcError: It failed.
        """
        self._guard.check()
        try:
            self.transport.delete_operation(check_name(name), types, options)
        except RpcFailure as error:
            raise rpc_error(error, name, last) from error.__cause__

    def wait_operation(
        self, name: str, timeout: float | None, types: OperationTypes, options: CallOptions
    ) -> Operation[Any, Any]:
        """WaitOperation.

        Raises:
            RpcError: It failed.
        """
        self._guard.check()
        try:
            return self.transport.wait_operation(check_name(name), timeout, types, options)
        except RpcFailure as error:
            raise rpc_error(error, name) from error.__cause__

    def page(self, query: ListQuery, options: CallOptions) -> Page[Operation[Any, Any]]:
        """ListOperations, one page.

        Raises:
            RpcError: It failed.
        """
        self._guard.check()
        try:
            return self.transport.list_operations(query, self.any_types, options)
        except RpcFailure as error:
            raise rpc_error(error, query.name) from error.__cause__
