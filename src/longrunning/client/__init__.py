# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Clients of long-running operations, sync and async.

grpc is imported when a client is given a gRPC channel, not before.
"""

from __future__ import annotations

from ._async import AsyncOperationHandle, AsyncOperationsClient, AsyncPager
from ._io_async import AsyncClock, AsyncTransport
from ._io_sync import Clock, Transport
from ._sync import OperationHandle, OperationsClient, Pager
from ._transport import CallOptions, ListQuery, Page, RpcFailure

__all__ = [
    "AsyncClock",
    "AsyncOperationHandle",
    "AsyncOperationsClient",
    "AsyncPager",
    "AsyncTransport",
    "CallOptions",
    "Clock",
    "ListQuery",
    "OperationHandle",
    "OperationsClient",
    "Page",
    "Pager",
    "RpcFailure",
    "Transport",
]
