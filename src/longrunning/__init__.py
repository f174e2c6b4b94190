# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Typed long-running operations for gRPC and REST: client, server, code generator.

Names are loaded when they are first used: importing this package costs no grpc, no asyncio and no protobuf.
"""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers take it for true; importing typing would cost more than all the rest of this file

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ._any import UnknownPayload
    from .client import AsyncOperationHandle, AsyncOperationsClient, OperationHandle, OperationsClient
    from .errors import (
        LongRunningError,
        OperationCancelledError,
        OperationError,
        PayloadError,
        PollingError,
        RpcError,
        StartError,
        WaitTimeoutError,
    )
    from .method import HttpBinding, LroMethod
    from .operation import Operation, OperationState
    from .policy import DEFAULT, PollPolicy, RetryPolicy
    from .registry import TypeRegistry
    from .status import Code, Status

__all__ = [
    "DEFAULT",
    "AsyncOperationHandle",
    "AsyncOperationsClient",
    "Code",
    "HttpBinding",
    "LongRunningError",
    "LroMethod",
    "Operation",
    "OperationCancelledError",
    "OperationError",
    "OperationHandle",
    "OperationState",
    "OperationsClient",
    "PayloadError",
    "PollPolicy",
    "PollingError",
    "RetryPolicy",
    "RpcError",
    "StartError",
    "Status",
    "TypeRegistry",
    "UnknownPayload",
    "WaitTimeoutError",
    "__version__",
]

_HOME = {
    "DEFAULT": "policy",
    "AsyncOperationHandle": "client",
    "AsyncOperationsClient": "client",
    "Code": "status",
    "HttpBinding": "method",
    "LongRunningError": "errors",
    "LroMethod": "method",
    "Operation": "operation",
    "OperationCancelledError": "errors",
    "OperationError": "errors",
    "OperationHandle": "client",
    "OperationState": "operation",
    "OperationsClient": "client",
    "PayloadError": "errors",
    "PollPolicy": "policy",
    "PollingError": "errors",
    "RetryPolicy": "policy",
    "RpcError": "errors",
    "StartError": "errors",
    "Status": "status",
    "TypeRegistry": "registry",
    "UnknownPayload": "_any",
    "WaitTimeoutError": "errors",
}


if not TYPE_CHECKING:  # otherwise type checkers would take every misspelt name for one that exists

    def __getattr__(name):
        home = _HOME.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        value = getattr(importlib.import_module(f".{home}", __name__), name)
        globals()[name] = value  # the next access does not come here
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
