# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The one error tree, the same for sync and async, gRPC and REST.

A failed operation, a failed RPC, a timed-out wait and an undecodable payload are four different things,
so they are four different branches::

    LongRunningError
    ├── RpcError                      one of the RPCs failed (``code``, ``details``); UNIMPLEMENTED is its code
    │   ├── StartError                … the one that was to start the operation
    │   └── PollingError              … a poll, for good: not a hiccup a retry would have bridged
    │       └── OperationNotFoundError    … the server no longer (or never) knew the operation
    ├── OperationError                the operation itself failed (``status``)
    │   └── OperationCancelledError   … with code 1, CANCELLED
    ├── OperationNotDoneError         a result was asked of an operation that has none yet
    ├── NoResultError                 done, but the service provides no result
    ├── WaitTimeoutError              the wait ended, the operation goes on (also a ``TimeoutError``)
    ├── PayloadError                  an ``Any`` is not what it was declared to be (also a ``ValueError``)
    │   ├── TypeMismatchError         … another type than declared
    │   ├── UnknownTypeError          … a class was required and none is known
    │   ├── PayloadDecodeError        … the bytes or the JSON do not decode
    │   ├── InvalidTypeUrlError       … the type URL names no type we may trust
    │   ├── NestingError              … ``Any`` in ``Any`` beyond the limit
    │   └── MalformedOperationError   … the operation breaks the rules of its own resource
    ├── DocumentError                 a JSON text is not an operation (also a ``ValueError``)
    ├── DescriptorError               a descriptor set or a method descriptor cannot be used (also a ``ValueError``)
    ├── ResumeTokenError              a resume token is not one, or of another method (also a ``ValueError``)
    ├── RegistryConflictError         one name, two different types (also a ``ValueError``)
    ├── MissingExtraError             a feature whose extra is not installed (also an ``ImportError``)
    ├── LeaseLostError                server: a worker's lease went to somebody else
    ├── OperationConflictError        server: one operation at a time on this resource (``resource``)
    └── StoreUnavailableError         server: the store cannot be read or written right now

Laws of this file:

1. It knows nothing above it: statuses and snapshots are carried, never inspected.
2. Every error carries ``name`` and ``operation`` (the last snapshot), ``None`` where there is none.
3. Every error survives ``pickle`` with all its attributes; only ``__cause__`` stays behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from ._any import UnknownPayload
    from .operation import Operation
    from .status import Code, Status

__all__ = [
    "DescriptorError",
    "DocumentError",
    "InvalidTypeUrlError",
    "LeaseLostError",
    "LongRunningError",
    "MalformedOperationError",
    "MissingExtraError",
    "NestingError",
    "NoResultError",
    "OperationCancelledError",
    "OperationConflictError",
    "OperationError",
    "OperationNotDoneError",
    "OperationNotFoundError",
    "PayloadDecodeError",
    "PayloadError",
    "PollingError",
    "RegistryConflictError",
    "ResumeTokenError",
    "RpcError",
    "StartError",
    "StoreUnavailableError",
    "TypeMismatchError",
    "UnknownTypeError",
    "WaitTimeoutError",
]

_E = TypeVar("_E", bound="LongRunningError")


class LongRunningError(Exception):
    """The root: catch this to catch everything this package raises on its own account.

    Attributes:
        name: Name of the operation concerned; ``None`` where there is none.
        operation: The last snapshot seen of it; ``None`` where there is none.
    """

    name: str | None
    operation: Operation[Any, Any] | None

    def __init__(
        self, message: str = "", *, name: str | None = None, operation: Operation[Any, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.operation = operation
        self.name = operation.name if name is None and operation is not None else name

    def __reduce__(self) -> tuple[Any, ...]:
        # The default would call __init__ with `args` alone, which drops every keyword.
        return _rebuild, (type(self), self.args, self.__dict__.copy())


def _rebuild(cls: type[_E], args: tuple[Any, ...], state: dict[str, Any]) -> _E:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


def _subject(name: str | None) -> str:
    return f"operation {name!r}" if name else "operation"


def _last_seen(operation: Operation[Any, Any] | None) -> str:
    return f" (last snapshot: {operation!r})" if operation is not None else ""


class RpcError(LongRunningError):
    """An RPC failed: the server, or the way to it, answered with a status instead of a reply.

    Attributes:
        code: The canonical code; a number unknown to ``google.rpc.Code`` stays a number.
        details: The whole ``google.rpc.Status``, its details decoded as far as their types are known.
        method: Full path of the RPC, such as ``/google.longrunning.Operations/GetOperation``.
    """

    code: Code | int
    details: Status
    method: str | None

    def __init__(
        self,
        code: Code | int,
        details: Status,
        *,
        method: str | None = None,
        name: str | None = None,
        operation: Operation[Any, Any] | None = None,
    ) -> None:
        self.code = code
        self.details = details
        self.method = method
        name = operation.name if name is None and operation is not None else name
        of = f" of {_subject(name)}" if name else ""
        super().__init__(
            f"{self._what(method)}{of} failed: {details}{_last_seen(operation)}", name=name, operation=operation
        )

    def _what(self, method: str | None) -> str:
        return method or "the RPC"


class StartError(RpcError):
    """The RPC that was to start an operation failed; no operation is known to exist."""

    def _what(self, method: str | None) -> str:
        return f"starting an operation with {method}" if method else "starting an operation"


class PollingError(RpcError):
    """Polling failed for good. The operation itself may well go on: resume it by name."""

    def _what(self, method: str | None) -> str:
        return f"polling with {method}" if method else "polling"


class OperationNotFoundError(PollingError):
    """The server does not know the operation (any more): deleted, expired, or never there."""


class OperationError(LongRunningError):
    """The operation ran and failed. Clients catch it; handlers on the server side raise it.

    Attributes:
        status: The operation's ``error``, details decoded as far as their types are known.
    """

    status: Status

    def __init__(self, status: Status, operation: Operation[Any, Any] | None = None) -> None:
        self.status = status
        name = operation.name if operation is not None else None
        super().__init__(
            f"{_subject(name)} {self._outcome}: {status}{_last_seen(operation)}", name=name, operation=operation
        )

    _outcome = "failed"

    @property
    def code(self) -> Code | int:
        """The canonical code of the failure."""
        return self.status.code

    @property
    def details(self) -> tuple[Message | UnknownPayload, ...]:
        """The decoded details of the failure."""
        return self.status.details


class OperationCancelledError(OperationError):
    """The operation was cancelled: its error has code 1, ``CANCELLED`` (operations.proto, AIP-151)."""

    _outcome = "was cancelled"


class OperationNotDoneError(LongRunningError):
    """The result of an operation was read before it was done. Wait for it first."""

    def __init__(self, operation: Operation[Any, Any]) -> None:
        super().__init__(
            f"{_subject(operation.name)} is not done: wait for it before reading its result{_last_seen(operation)}",
            operation=operation,
        )


class NoResultError(LongRunningError):
    """The operation is done, but carries neither response nor error.

    Legal on the wire: "some services might not provide the result" (operations.proto).
    """

    def __init__(self, operation: Operation[Any, Any]) -> None:
        super().__init__(
            f"{_subject(operation.name)} is done but its service provided no result{_last_seen(operation)}",
            operation=operation,
        )


class WaitTimeoutError(LongRunningError, TimeoutError):
    """The wait's own time ran out. Nothing was cancelled: the operation goes on, and can be resumed.

    Attributes:
        timeout: The overall timeout of the wait, in seconds; ``None`` when polls, not time, ran out.
        last_error: The last failed poll, when the polls up to the end were failing; otherwise ``None``.
        resume_token: Text with which this or another process can go on waiting.
    """

    timeout: float | None
    last_error: RpcError | None
    resume_token: str | None

    def __init__(
        self,
        message: str = "",
        *,
        name: str | None = None,
        operation: Operation[Any, Any] | None = None,
        timeout: float | None = None,
        last_error: RpcError | None = None,
        resume_token: str | None = None,
    ) -> None:
        self.timeout = timeout
        self.last_error = last_error
        self.resume_token = resume_token
        super().__init__(message, name=name, operation=operation)


class PayloadError(LongRunningError, ValueError):
    """A payload is not what it was declared to be. The snapshot itself stays readable.

    Attributes:
        field: The field that holds the payload, such as ``"response"`` or ``"metadata"``.
        expected: Full names of the accepted message types.
        actual: The type URL found.
        problem: What is wrong, without saying where.
    """

    problem: str
    field: str | None
    expected: tuple[str, ...]
    actual: str | None

    def __init__(
        self,
        message: str = "",
        *,
        name: str | None = None,
        operation: Operation[Any, Any] | None = None,
        field: str | None = None,
        expected: tuple[str, ...] = (),
        actual: str | None = None,
    ) -> None:
        self.problem = message
        self.field = field
        self.expected = expected
        self.actual = actual
        name = operation.name if name is None and operation is not None else name
        where = " of ".join(part for part in (field, _subject(name) if name or operation is not None else "") if part)
        super().__init__(f"{where}: {message}" if where else message, name=name, operation=operation)


class TypeMismatchError(PayloadError):
    """A payload has another type than the declared one."""


class UnknownTypeError(PayloadError):
    """A class was required for a type nobody registered."""


class PayloadDecodeError(PayloadError):
    """A payload's bytes, or its JSON, do not decode as the type they claim to be."""


class InvalidTypeUrlError(PayloadError):
    """A type URL that names no type we may trust: nothing is ever fetched, nothing guessed."""


class NestingError(PayloadError):
    """Payloads nested in payloads deeper than the limit."""


class MalformedOperationError(PayloadError):
    """The operation breaks the rules of its own resource, such as a result on one that is not done."""


class DocumentError(LongRunningError, ValueError):
    """A JSON text is not a readable operation.

    Attributes:
        path: Where in the document, such as ``error.details[0]``; empty for the whole.
    """

    path: str

    def __init__(self, message: str = "", *, path: str = "", name: str | None = None) -> None:
        self.path = path
        super().__init__(f"{path}: {message}" if path else message, name=name)


class DescriptorError(LongRunningError, ValueError):
    """A descriptor set does not load, or a method descriptor does not describe a long-running method."""


class ResumeTokenError(LongRunningError, ValueError):
    """A resume token is garbage, of a version from the future, or of another method."""


class RegistryConflictError(LongRunningError, ValueError):
    """Two different types under one name: one registry cannot hold both.

    Attributes:
        full_name: The message name both claim.
    """

    full_name: str

    def __init__(self, full_name: str) -> None:
        self.full_name = full_name
        super().__init__(
            f"two different definitions of message {full_name!r}: keep them in separate registries, "
            "or make both come from one version of the protos"
        )


class MissingExtraError(LongRunningError, ImportError):
    """A feature was used whose optional dependency is not installed.

    Attributes:
        extra: The extra to install, as in ``pip install 'longrunning[grpc]'``.
        feature: What needs it.
    """

    extra: str
    feature: str

    def __init__(self, extra: str, feature: str) -> None:
        self.extra = extra
        self.feature = feature
        super().__init__(f"{feature} needs an optional dependency: pip install 'longrunning[{extra}]'")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (
            self.extra,
            self.feature,
        )  # ImportError keeps its text where only its own __init__ can put it


class LeaseLostError(LongRunningError):
    """A worker wrote to an operation whose lease it no longer holds: somebody else has it, or it is done (server side)."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(f"the lease on {_subject(name)} is lost: nothing was written", name=name)


class OperationConflictError(LongRunningError):
    """Another operation works on the same resource, and the service allows one at a time (server side, AIP-151).

    Attributes:
        resource: The resource.
    """

    resource: str

    def __init__(self, resource: str) -> None:
        self.resource = resource
        super().__init__(f"another operation on {resource!r} is not done: wait for it, then try again")


class StoreUnavailableError(LongRunningError):
    """The store of operations cannot be read or written right now; nothing was acknowledged (server side)."""
