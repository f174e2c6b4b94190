# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Serve long-running operations: an ordinary typed function becomes a durable operation (extra ``server``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._authorization import Access, AllowAll, Authorizer, Call, Rpc
from ._contexts import AsyncOperationContext, OperationContext
from ._executor import Executor, LocalExecutor, Place, Runner
from ._handlers import Answer, answer_now
from ._limits import Limits
from ._names import NamePattern
from ._server import OperationsServer
from ._worker import RunResult
from .storage import MemoryStore, OperationStore, SqliteStore

if TYPE_CHECKING:
    from ._grpc_edge import SERVER_OPTIONS

__all__ = [
    "SERVER_OPTIONS",
    "Access",
    "AllowAll",
    "Answer",
    "AsyncOperationContext",
    "Authorizer",
    "Call",
    "Executor",
    "Limits",
    "LocalExecutor",
    "MemoryStore",
    "NamePattern",
    "OperationContext",
    "OperationStore",
    "OperationsServer",
    "Place",
    "Rpc",
    "RunResult",
    "Runner",
    "SqliteStore",
    "answer_now",
]


if not TYPE_CHECKING:  # otherwise type checkers would take every misspelt name for one that exists

    def __getattr__(name: str) -> Any:
        if name == "SERVER_OPTIONS":  # gRPC is needed by its servers only, not by stores and workers
            from ._grpc_edge import SERVER_OPTIONS

            return SERVER_OPTIONS
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
