# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The steps of a script: what a scripted server answers, one RPC after the other.

Laws of this file:

1. A step is a frozen value: it can be shared by scripts and repeated. Messages are copied into it as bytes.
2. A step knows neither its place in a script nor the operation it is played for; the name is filled in when it is played.
3. Nothing is out of bounds: whatever a server can put on the wire, a step can say.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, cast, final

from google.protobuf import any_pb2
from google.protobuf.message import Message

from .._any import UnknownPayload, pack
from .._pb import operations_pb2
from ..names import Metadata
from ..policy import Seconds, seconds
from ..status import Code, Status

__all__ = [
    "DETAILS_KEY", "Failure", "Gate", "Pause", "Snapshot", "Step", "cancelled", "delayed", "failed", "late", "malformed",
    "no_result", "pending", "raw", "rpc_error", "succeeded", "unavailable",
]  # fmt: skip

DETAILS_KEY: Final = "grpc-status-details-bin"
"""The trailer that carries a whole ``google.rpc.Status`` beside gRPC's own code and message."""

_OPERATION: Final = operations_pb2.Operation.DESCRIPTOR.full_name


# -- the values -------------------------------------------------------------------------------------------------


@final
@dataclass(frozen=True, slots=True)
class Snapshot:
    """A reply that is an operation.

    Attributes:
        data: A serialized ``google.longrunning.Operation``, or bytes that are none.
        verbatim: Whether it goes out as it is; otherwise an empty name is filled in.
    """

    data: bytes
    verbatim: bool = False

    def named(self, name: str) -> bytes:
        """The bytes that go out for an operation of that name."""
        if self.verbatim:
            return self.data
        operation = operations_pb2.Operation.FromString(self.data)
        if not operation.name:
            operation.name = name
        return operation.SerializeToString()

    @property
    def done(self) -> bool:
        """Whether the operation in it is done; bytes that are no operation are not."""
        try:
            return operations_pb2.Operation.FromString(self.data).done
        except Exception:  # noqa: BLE001 (the pure Python runtime raises more than DecodeError)
            return False


@final
@dataclass(frozen=True, slots=True)
class Failure:
    """A reply that is none: the RPC fails.

    Attributes:
        status: Its status; details go into ``grpc-status-details-bin``.
        trailers: Trailing metadata sent along.
    """

    status: Status
    trailers: tuple[tuple[str, str | bytes], ...] = ()


@final
class Gate:
    """Something replies can wait for, instead of a time: opened by the test, from any thread, once and for all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = False
        self._listeners: set[Callable[[], None]] = set()

    @property
    def is_open(self) -> bool:
        """Whether it was opened."""
        return self._open

    def open(self) -> None:
        """Lets through what waits, and all that comes."""
        with self._lock:
            self._open = True
            listeners = list(self._listeners)
            self._listeners.clear()
        for listener in listeners:
            listener()

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Has something called once the gate is opened; never, if it is open already."""
        with self._lock:
            if not self._open:
                self._listeners.add(listener)

    def __repr__(self) -> str:
        return f"<Gate {'open' if self._open else 'closed'}>"


@final
@dataclass(frozen=True, slots=True)
class Pause:
    """What a reply waits for.

    Attributes:
        until: Seconds of real time since the RPC came in, or a gate.
        late: Whether the reply is decided before the pause (so that a newer one can overtake it), not after.
    """

    until: float | Gate
    late: bool = False


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a script. Made by `pending`, `succeeded`, `failed`, …; changed by `delayed` and `late`.

    Attributes:
        reply: An operation, or the failure of the RPC.
        times: How many RPCs it answers before the next step's turn; ``None`` for all. As the last of a script it answers
            all anyway.
        pause: What the reply waits for, if anything.
    """

    reply: Snapshot | Failure
    times: int | None = 1
    pause: Pause | None = None

    def __post_init__(self) -> None:
        """Refuses a step that would never be played."""
        if self.times is not None and self.times < 1:
            raise ValueError(f"a step is played once or more, or None for always; got times={self.times!r}")


# -- operations -------------------------------------------------------------------------------------------------


def pending(metadata: object = None, *, times: int | None = 1) -> Step:
    """Not done yet.

    Args:
        metadata: The metadata, if any. Here and below a payload is a protobuf or proto-plus message, an
            `UnknownPayload`, or an ``Any`` that is taken as it is.
        times: How many RPCs are answered so; ``None`` for all.
    """
    return _snapshot(operations_pb2.Operation(metadata=_payload(metadata)), times=times)


def succeeded(response: object, *, metadata: object = None) -> Step:
    """Done, with a response."""
    return _snapshot(operations_pb2.Operation(done=True, response=_payload(response), metadata=_payload(metadata)))


def failed(
    status: Status | Code | int, message: str = "", *, details: Iterable[object] = (), metadata: object = None
) -> Step:
    """Done, with an error.

    Args:
        status: The whole status; or its code, and then the rest of it.
        message: The message.
        details: The details, such as ``error_details_pb2.ErrorInfo(…)``.
        metadata: The metadata, if any.
    """
    error = _status(status, message, details).to_proto()
    return _snapshot(operations_pb2.Operation(done=True, error=error, metadata=_payload(metadata)))


def cancelled(message: str = "", *, metadata: object = None) -> Step:
    """Done, cancelled: an error with code 1 (operations.proto)."""
    return failed(Code.CANCELLED, message, metadata=metadata)


def no_result(*, metadata: object = None) -> Step:
    """Done, with neither response nor error, as "some services might not provide the result" (operations.proto)."""
    return _snapshot(operations_pb2.Operation(done=True, metadata=_payload(metadata)))


def malformed(response: object = None, *, error: Status | Code | int | None = None, metadata: object = None) -> Step:
    """Not done, and yet with a result, which operations.proto forbids.

    Args:
        response: The response that should not be there.
        error: Or the error.
        metadata: The metadata, if any.

    Raises:
        ValueError: There is neither response nor error, or both.
    """
    if (response is None) is (error is None):
        raise ValueError("what is malformed holds a response or an error: one of them")
    operation = operations_pb2.Operation(response=_payload(response), metadata=_payload(metadata))
    if error is not None:
        operation.error.CopyFrom(_status(error, "", ()).to_proto())
    return _snapshot(operation)


def raw(operation: Message | bytes) -> Step:
    """Anything at all.

    Args:
        operation: A ``google.longrunning.Operation`` (only its name is filled in, if empty); or bytes, sent as they are.

    Raises:
        TypeError: It is another message. Its bytes can be sent.
    """
    if isinstance(operation, bytes):
        return Step(reply=Snapshot(operation, verbatim=True))
    if operation.DESCRIPTOR.full_name != _OPERATION:
        raise TypeError(f"expected a {_OPERATION} or bytes, got {operation.DESCRIPTOR.full_name}")
    return _snapshot(operation)


# -- failing RPCs -----------------------------------------------------------------------------------------------


def rpc_error(
    status: Status | Code | int,
    message: str = "",
    *,
    details: Iterable[object] = (),
    trailers: Metadata = (),
    times: int | None = 1,
) -> Step:
    """The RPC itself fails.

    Args:
        status: The whole status; or its code, and then the rest of it.
        message: The message.
        details: The details. If there are any, the whole status goes into ``grpc-status-details-bin`` as well.
        trailers: Trailing metadata sent along; a ``grpc-status-details-bin`` in it replaces ours.
        times: How many RPCs fail so; ``None`` for all.

    Raises:
        ValueError: gRPC cannot send the code: OK, or a number outside ``google.rpc.Code``.
    """
    status = _status(status, message, details)
    if not isinstance(status.code, Code) or status.code is Code.OK:
        raise ValueError(f"an RPC fails with one of the canonical codes other than OK; got {status.code!r}")
    return Step(reply=Failure(status, tuple(trailers)), times=times)


def unavailable(message: str = "the scripted server is unavailable", *, times: int | None = 1) -> Step:
    """The RPC fails with UNAVAILABLE, the code that says: try again (AIP-194)."""
    return rpc_error(Code.UNAVAILABLE, message, times=times)


# -- modifiers --------------------------------------------------------------------------------------------------


def delayed(step: Step, until: Seconds | Gate) -> Step:
    """The same, from a slow server: what is answered is the state at the time of answering.

    So where another RPC moved the script on meanwhile, the reply tells the newer state.

    Args:
        step: The step.
        until: Seconds (or a timedelta) after the RPC came in, in real time; or a gate that the test opens.
    """
    return replace(step, pause=Pause(_until(until)))


def late(step: Step, until: Seconds | Gate) -> Step:
    """The same, decided when the RPC comes in but sent later: the reply of a newer RPC can overtake it.

    Args:
        step: The step.
        until: Seconds (or a timedelta) after the RPC came in, in real time; or a gate that the test opens.
    """
    return replace(step, pause=Pause(_until(until), late=True))


# -- inside -----------------------------------------------------------------------------------------------------


def _snapshot(operation: Message, *, times: int | None = 1) -> Step:
    return Step(reply=Snapshot(operation.SerializeToString()), times=times)


def _payload(message: object) -> any_pb2.Any | None:
    if message is None or isinstance(message, any_pb2.Any):
        return message
    return pack(message)


def _status(status: Status | Code | int, message: str, details: Iterable[object]) -> Status:
    if not isinstance(status, Status):
        return Status(status, message, tuple(_detail(detail) for detail in details))
    if message or tuple(details):
        raise ValueError("message and details go with a code; a whole status has its own")
    return status


def _detail(detail: object) -> Message | UnknownPayload:
    # What Status does not take as a detail it refuses itself; an Any it would pack once more.
    return UnknownPayload(detail.type_url, detail.value) if isinstance(detail, any_pb2.Any) else cast("Message", detail)


def _until(until: Seconds | Gate) -> float | Gate:
    return until if isinstance(until, Gate) else seconds(until, "the delay of a reply")
