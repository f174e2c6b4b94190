# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What clients and transports say to each other, whatever the transport and whether sync or async."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, final

from .._polling import PollFailure
from ..errors import OperationNotFoundError, PollingError, RpcError, StartError
from ..operation import Operation
from ..status import Code

__all__ = ["CallOptions", "ListQuery", "Page", "RpcFailure", "polling_error", "rpc_error", "start_error"]

T_co = TypeVar("T_co", covariant=True)


@final
@dataclass(frozen=True, slots=True)
class CallOptions:
    """How one RPC is sent.

    Attributes:
        timeout: Longest time it may take, seconds; ``None`` for no deadline.
        metadata: The headers, complete.
    """

    timeout: float | None
    metadata: tuple[tuple[str, str | bytes], ...] = ()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """What to list: the fields of ``ListOperationsRequest``."""

    name: str
    filter: str = ""
    page_size: int = 0
    page_token: str = ""
    return_partial_success: bool = False


@final
@dataclass(frozen=True, slots=True)
class Page(Generic[T_co]):
    """One page of a list.

    Attributes:
        items: The items in the server's order.
        next_page_token: Where the next page starts; empty on the last one.
        unreachable: Locations that could not be asked (AIP-217), where the server says so.
    """

    items: tuple[T_co, ...]
    next_page_token: str = ""
    unreachable: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[T_co]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


class RpcFailure(Exception):  # noqa: N818 (never leaves the package: clients turn it into one of the public errors)
    """An RPC failed, in terms every transport shares."""

    def __init__(self, failure: PollFailure, method: str) -> None:
        super().__init__(str(failure.status))
        self.failure = failure
        self.method = method


def start_error(error: RpcFailure) -> StartError:
    """The error of a start that failed."""
    status = error.failure.status
    return StartError(status.code, status, method=error.method)


def rpc_error(error: RpcFailure, name: str, operation: Operation[Any, Any] | None = None) -> RpcError:
    """The error of any other RPC that failed."""
    status = error.failure.status
    return RpcError(status.code, status, method=error.method, name=name, operation=operation)


def polling_error(
    failure: PollFailure, method: str, name: str, operation: Operation[Any, Any] | None = None
) -> PollingError:
    """The error of a poll that failed for good."""
    status = failure.status
    kind = OperationNotFoundError if status.code == Code.NOT_FOUND else PollingError
    return kind(status.code, status, method=method, name=name, operation=operation)
