# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What clients and transports say to each other, whatever the transport and whether sync or async."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol, final

from .._polling import GiveUp, GiveUpReason, PollFailure
from ..errors import LongRunningError, OperationNotFoundError, PollingError, RpcError, StartError, WaitTimeoutError
from ..operation import Operation
from ..page import Page
from ..status import Code

__all__ = [
    "CallOptions",
    "ForeignOperation",
    "ListQuery",
    "Page",
    "RpcFailure",
    "polling_error",
    "rpc_error",
    "start_error",
    "wait_error",
]

_FOR_EVER: Final = 10 * 365 * 86400.0  # seconds; gRPC turns deadlines of some centuries into ones that are over
SERVICE: Final = "/google.longrunning.Operations/"
GET_OPERATION: Final = SERVICE + "GetOperation"


# Module and name of the operation futures of google.api_core: async, sync.
FUTURES_OF_API_CORE: Final = (
    ("google.api_core.operation_async", "AsyncOperation"),
    ("google.api_core.operation", "Operation"),
)


class ForeignOperation(Protocol):
    """An operation future of ``google.api_core``, as far as it matters here."""

    @property
    def operation(self) -> Any:
        """The message."""
        ...

    def cancelled(self) -> Any:
        """Whether it was cancelled; what also tells it from a handle of ours."""
        ...


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

    def __post_init__(self) -> None:
        """Takes a time that no clock of gRPC can hold for what it means: no deadline."""
        if self.timeout is not None and self.timeout > _FOR_EVER:
            object.__setattr__(self, "timeout", None)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """What to list: the fields of ``ListOperationsRequest``."""

    name: str
    filter: str = ""
    page_size: int = 0
    page_token: str = ""
    return_partial_success: bool = False


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


def wait_error(
    step: GiveUp,
    name: str,
    operation: Operation[Any, Any] | None,
    *,
    timeout: float | None,
    max_attempts: int | None,
    resume_token: str,
) -> LongRunningError:
    """The error of a wait that ended without the operation being done; its cause is set."""
    if step.reason is GiveUpReason.MALFORMED:
        malformed = step.operation.malformed if step.operation is not None else None
        assert malformed is not None
        return malformed
    failure = step.failure
    error = None if failure is None else polling_error(failure, GET_OPERATION, name, operation)
    if error is not None and failure is not None:
        error.__cause__ = failure.cause
    if step.reason in (GiveUpReason.NOT_FOUND, GiveUpReason.FAILED):
        assert error is not None
        return error
    limit = f"{max_attempts} polls" if step.reason is GiveUpReason.ATTEMPTS else f"{timeout:g} s"
    last = f"; the last poll failed: {error.details}" if error is not None else ""
    if operation is None:  # then nobody knows whether it goes on
        text = f"nothing was heard of operation {name!r} in {limit}; the resume token of this error takes hold of it again{last}"
    else:
        text = (
            f"operation {name!r} is not done after {limit}; it goes on, and the resume token of this error "
            f"takes hold of it again{last} (last snapshot: {operation!r})"
        )
    late = WaitTimeoutError(
        text,
        name=name,
        operation=operation,
        timeout=None if step.reason is GiveUpReason.ATTEMPTS else timeout,
        last_error=error,
        resume_token=resume_token,
    )
    late.__cause__ = failure.cause if failure is not None else None
    return late
