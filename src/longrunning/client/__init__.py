# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Clients of long-running operations, sync and async.

grpc is imported when a client is given a gRPC channel, not before.
"""

from __future__ import annotations

from .._polling import PollFailure
from ..page import Page
from ._client_async import AsyncOperationsClient, AsyncPager
from ._client_sync import OperationsClient, Pager
from ._handle_async import AsyncOperationHandle
from ._handle_sync import OperationHandle
from ._io_async import AsyncClock, AsyncTransport
from ._io_sync import Clock, Transport
from ._transport import CallOptions, ListQuery, RpcFailure

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
    "PollFailure",
    "RpcFailure",
    "Transport",
]
