# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The rows of the table: the clients.

To add one: write a class with a method for each `Cell` (see `cells`), and name it here. What a client cannot do raises
`NotOfferedError` with the reason; a method that is missing is a blank cell, which fails. `make interop` writes the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from typing import Final

from .buf_curl import BufCells, ReflectionCells
from .cells import Cell
from .curl import CurlCells, curl_version
from .google_async import AsyncOperationsCells, AsyncRedisCells
from .google_rest import AsyncOperationsRestCells, OperationsRestCells, RedisRestCells
from .google_sync import OperationsCells, RedisCells
from .nodejs import NodeCells, NodeRestCells, node_version
from .ours import AsyncCells, AsyncRestCells, Cells, RestCells

__all__ = ["ROWS", "Row"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One client.

    Attributes:
        key: Short, for test ids and locations.
        client: What it is called.
        version: Finds out its version; called only when a table is written.
        cells: What plays it: has a method for each cell.
        notes: What has to be said about cells that it does fill.
        lists_successes: Whether what it has to list are operations that succeeded, and none that failed; then a note says why.
    """

    key: str
    client: str
    version: Callable[[], str]
    cells: object
    notes: Mapping[Cell, str] = field(default_factory=dict[Cell, str])
    lists_successes: bool = False


def _pip(distribution: str) -> Callable[[], str]:
    return partial(metadata.version, distribution)


_BY_NAME: Final = "by name, and the future is made by hand: there is no call that gives one"
_DETAILS: Final = "the details are unpacked by hand, from `operation.error`"
_NO_CODE_AND_DETAILS: Final = "code and details are taken by hand from `operation.error`: the exception has neither"
_NO_CODE: Final = "the code is taken by hand from `operation.error`: the exception has none"
_SERVER_WAITS: Final = "by WaitOperation: the server does the waiting"
_ALWAYS_ANOTHER: Final = "by name, and always so: every call is a process and a connection of its own"
_NO_PAGE_SIZE: Final = "it cannot ask for a page size: the pages are as the server makes them"
_SUCCESSES: Final = (
    "where nothing failed: a page with details of an error is taken for UNAVAILABLE, and asked for again and again"
)
_BY_CLIENT: Final = "by the client's `cancel_operation()`: `cancel()` of its futures raises a KeyError over HTTP"
_NODE: Final = {
    Cell.FAILURE: "the details are decoded by hand, from `operation.latestResponse`: the error has none",
    Cell.CANCEL: "the last metadata is decoded by hand, from `operation.latestResponse`: that of an error is not",
}

ROWS: Final = (
    Row(
        key="redis",
        client="google-cloud-redis, `CloudRedisClient`, gRPC",
        version=_pip("google-cloud-redis"),
        cells=RedisCells(),
        notes={Cell.FAILURE: _DETAILS, Cell.RESUME: _BY_NAME},
    ),
    Row(
        key="redis-async",
        client="google-cloud-redis, `CloudRedisAsyncClient`, gRPC",
        version=_pip("google-cloud-redis"),
        cells=AsyncRedisCells(),
        notes={
            Cell.FAILURE: _NO_CODE_AND_DETAILS,
            Cell.CANCEL: _NO_CODE,
            Cell.RESUME: _BY_NAME,
        },
    ),
    Row(
        key="operations",
        client="google-api-core, `operations_v1.OperationsClient`, gRPC",
        version=_pip("google-api-core"),
        cells=OperationsCells(),
        notes={Cell.FAILURE: _DETAILS, Cell.LIST: _NO_PAGE_SIZE, Cell.RESUME: _BY_NAME},
    ),
    Row(
        key="operations-async",
        client="google-api-core, `operations_v1.OperationsAsyncClient`, gRPC",
        version=_pip("google-api-core"),
        cells=AsyncOperationsCells(),
        notes={
            Cell.FAILURE: _NO_CODE_AND_DETAILS,
            Cell.CANCEL: _NO_CODE,
            Cell.LIST: _NO_PAGE_SIZE,
            Cell.RESUME: _BY_NAME,
        },
    ),
    Row(
        key="node",
        client="@google-cloud/redis, `CloudRedisClient`, gRPC",
        version=node_version,
        cells=NodeCells(),
        notes=_NODE,
    ),
    Row(
        key="buf",
        client="`buf curl --schema`, gRPC",
        version=_pip("buf-bin"),
        cells=BufCells(),
        notes={Cell.RESULT: _SERVER_WAITS, Cell.RESUME: _ALWAYS_ANOTHER},
    ),
    Row(
        key="buf-reflect",
        client="`buf curl --reflect`, gRPC",
        version=_pip("buf-bin"),
        cells=ReflectionCells(),
        notes={Cell.RESULT: _SERVER_WAITS, Cell.RESUME: _ALWAYS_ANOTHER},
    ),
    Row(
        key="ours",
        client="longrunning, `OperationsClient`, gRPC",
        version=_pip("longrunning"),
        cells=Cells(),
    ),
    Row(
        key="ours-async",
        client="longrunning, `AsyncOperationsClient`, gRPC",
        version=_pip("longrunning"),
        cells=AsyncCells(),
    ),
    Row(
        key="redis-rest",
        client="google-cloud-redis, `CloudRedisClient`, HTTP",
        version=_pip("google-cloud-redis"),
        cells=RedisRestCells(),
        notes={Cell.FAILURE: _DETAILS, Cell.CANCEL: _BY_CLIENT, Cell.RESUME: _BY_NAME},
    ),
    Row(
        key="operations-rest",
        client="google-api-core, `operations_v1.AbstractOperationsClient`, HTTP",
        version=_pip("google-api-core"),
        cells=OperationsRestCells(),
        notes={Cell.FAILURE: _DETAILS, Cell.RESUME: _BY_NAME},
    ),
    Row(
        key="operations-rest-async",
        client="google-api-core, `operations_v1.AsyncOperationsRestClient`, HTTP",
        version=_pip("google-api-core"),
        cells=AsyncOperationsRestCells(),
        notes={Cell.FAILURE: _NO_CODE_AND_DETAILS, Cell.CANCEL: _NO_CODE, Cell.RESUME: _BY_NAME},
    ),
    Row(
        key="node-rest",
        client="@google-cloud/redis, `CloudRedisClient`, HTTP",
        version=node_version,
        cells=NodeRestCells(),
        notes=_NODE | {Cell.LIST: _SUCCESSES},
        lists_successes=True,
    ),
    Row(
        key="curl",
        client="`curl`, HTTP",
        version=curl_version,
        cells=CurlCells(),
        notes={Cell.RESULT: _SERVER_WAITS, Cell.RESUME: _ALWAYS_ANOTHER},
    ),
    Row(
        key="ours-rest",
        client="longrunning, `OperationsClient`, HTTP",
        version=_pip("longrunning"),
        cells=RestCells(),
    ),
    Row(
        key="ours-rest-async",
        client="longrunning, `AsyncOperationsClient`, HTTP",
        version=_pip("longrunning"),
        cells=AsyncRestCells(),
    ),
)
