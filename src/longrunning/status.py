# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""`Status`: a frozen ``google.rpc.Status`` whose details are messages, not ``Any`` (AIP-193)."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, final

from google.protobuf.message import Message
from google.rpc import status_pb2

from ._any import MessageType, UnknownPayload, message_type, pack, resolve_reference, type_reference, underlying
from .registry import TypeRegistry

if TYPE_CHECKING:
    from google.rpc import error_details_pb2

__all__ = ["LONGEST_DELAY", "Code", "Status"]

T = TypeVar("T")


class Code(IntEnum):
    """The canonical codes of ``google.rpc.Code`` (code.proto)."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


_CODES: Final[dict[int, Code]] = {code.value: code for code in Code}
LONGEST_DELAY: Final = 365 * 86400.0  # seconds; longer is for ever to a wait, but not to a timer
_DEFAULT: Final = TypeRegistry()
_SHOWN: Final = 300  # characters of one detail in an error's text: enough for an ErrorInfo, short enough for a log line


def to_code(number: int) -> Code | int:
    """The canonical code of a number; a number unknown to ``google.rpc.Code`` is returned as it is.

    Raises:
        TypeError: It is no integer.
        ValueError: It does not fit the 32 bits it has on the wire.
    """
    number = operator.index(number)
    if not -(2**31) <= number < 2**31:
        raise ValueError(f"a status code is a 32-bit number; got {number}")
    return _CODES.get(number, number)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Status:
    """A ``google.rpc.Status`` with decoded details.

    Attributes:
        code: The canonical code; an unknown number stays a number.
        message: The developer-facing message, in English (AIP-193).
        details: The details in order; those of unknown type, or that do not decode, are `UnknownPayload`.
    """

    code: Code | int
    message: str = ""
    details: tuple[Message | UnknownPayload, ...] = ()

    def __post_init__(self) -> None:
        """Takes plain numbers and any sequence of details, and keeps own copies of those."""
        object.__setattr__(self, "code", to_code(self.code))
        object.__setattr__(self, "details", tuple(_own_copy(detail) for detail in self.details))

    @classmethod
    def from_proto(cls, proto: Message, *, registry: TypeRegistry = _DEFAULT) -> Status:
        """Reads a ``google.rpc.Status``; never fails on what its details hold.

        Args:
            proto: The message.
            registry: Where the types of the details are found.

        Raises:
            TypeError: It is another message.
        """
        if isinstance(proto, status_pb2.Status):
            return _read(proto, registry.read)
        pb = underlying(proto)
        if pb.DESCRIPTOR.full_name == status_pb2.Status.DESCRIPTOR.full_name:  # a dynamic class
            return _read(status_pb2.Status.FromString(pb.SerializeToString()), registry.read)
        raise TypeError(f"expected a google.rpc.Status, got a {pb.DESCRIPTOR.full_name}")

    def to_proto(self) -> status_pb2.Status:
        """Packs it into a new ``google.rpc.Status``; details of unknown type byte for byte.

        Raises:
            UnknownTypeError: A detail of unknown type came from JSON, so there are no bytes.
        """
        return status_pb2.Status(
            code=int(self.code), message=self.message, details=[pack(detail) for detail in self.details]
        )

    def find(self, expected: type[T]) -> T | None:
        """The first detail of a message type, or ``None``."""
        kind = message_type(expected)
        for detail in self.details:
            if isinstance(detail, expected):
                return detail
            if not isinstance(detail, UnknownPayload):
                pb = underlying(detail)
                if pb.DESCRIPTOR.full_name == kind.full_name:
                    return kind.from_bytes(pb.SerializePartialToString())
        return None

    # The standard payloads of AIP-193, error_details.proto. Each: the first one in `details`, or None.

    @property
    def error_info(self) -> error_details_pb2.ErrorInfo | None:
        """Cause of the error: reason, domain, metadata."""
        return cast("error_details_pb2.ErrorInfo | None", self._standard("ErrorInfo"))

    @property
    def retry_info(self) -> error_details_pb2.RetryInfo | None:
        """When to retry."""
        return cast("error_details_pb2.RetryInfo | None", self._standard("RetryInfo"))

    @property
    def retry_delay(self) -> float:
        """Seconds to leave the server alone for, as ``google.rpc.RetryInfo`` asks; 0 if it does not, and a year at most."""
        info = self.retry_info
        if info is None:
            return 0.0
        # Not ToTimedelta(): a Duration may say 2^62 s, and a server may say anything.
        return min(max(0.0, info.retry_delay.seconds + info.retry_delay.nanos / 1e9), LONGEST_DELAY)

    @property
    def debug_info(self) -> error_details_pb2.DebugInfo | None:
        """Stack entries and detail, for debugging."""
        return cast("error_details_pb2.DebugInfo | None", self._standard("DebugInfo"))

    @property
    def quota_failure(self) -> error_details_pb2.QuotaFailure | None:
        """Which quota checks failed."""
        return cast("error_details_pb2.QuotaFailure | None", self._standard("QuotaFailure"))

    @property
    def precondition_failure(self) -> error_details_pb2.PreconditionFailure | None:
        """Which preconditions failed."""
        return cast("error_details_pb2.PreconditionFailure | None", self._standard("PreconditionFailure"))

    @property
    def bad_request(self) -> error_details_pb2.BadRequest | None:
        """Which fields of the request were wrong."""
        return cast("error_details_pb2.BadRequest | None", self._standard("BadRequest"))

    @property
    def request_info(self) -> error_details_pb2.RequestInfo | None:
        """What identifies the request to the service's owner."""
        return cast("error_details_pb2.RequestInfo | None", self._standard("RequestInfo"))

    @property
    def resource_info(self) -> error_details_pb2.ResourceInfo | None:
        """Which resource was concerned."""
        return cast("error_details_pb2.ResourceInfo | None", self._standard("ResourceInfo"))

    @property
    def help(self) -> error_details_pb2.Help | None:
        """Links to documentation."""
        return cast("error_details_pb2.Help | None", self._standard("Help"))

    @property
    def localized_message(self) -> error_details_pb2.LocalizedMessage | None:
        """A message for end users, with its locale."""
        return cast("error_details_pb2.LocalizedMessage | None", self._standard("LocalizedMessage"))

    def _standard(self, name: str) -> Any:
        full_name = f"google.rpc.{name}"
        for detail in self.details:
            if isinstance(detail, Message) and detail.DESCRIPTOR.full_name == full_name:
                return detail
        return None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Status):
            return NotImplemented
        return self is other or self._key() == other._key()

    def _key(self) -> tuple[Any, ...]:
        # Not the messages themselves: the pure Python runtime compares an Any by unpacking it, and may fail.
        details = [
            detail
            if isinstance(detail, UnknownPayload)
            else (detail.DESCRIPTOR.full_name, detail.SerializePartialToString(deterministic=True))
            for detail in (d if isinstance(d, UnknownPayload) else underlying(d) for d in self.details)
        ]
        return self.code, self.message, details

    def __hash__(self) -> int:
        return hash((self.code, self.message))  # messages are not hashable; equality still looks at the details

    def __str__(self) -> str:
        """One line: code, message and decoded details."""
        code = f"{self.code.name} ({self.code.value})" if isinstance(self.code, Code) else f"code {self.code}"
        text = f"{code}: {self.message}" if self.message else code
        return f"{text} [{'; '.join(_show(detail) for detail in self.details)}]" if self.details else text

    def __reduce__(self) -> tuple[Any, ...]:
        details = [
            detail
            if isinstance(detail, UnknownPayload)
            else (pack(detail).type_url, pack(detail).value, type_reference(MessageType(type(detail))))
            for detail in self.details
        ]
        return _restore, (int(self.code), self.message, details)


def _own_copy(detail: object) -> Message | UnknownPayload:
    if isinstance(detail, UnknownPayload):
        return detail
    pb = underlying(detail)
    if pb is not detail:  # a proto-plus message: keep its class
        kind = message_type(type(detail))
        return cast("Message", kind.from_bytes(pb.SerializePartialToString()))
    copy = type(pb)()
    copy.CopyFrom(pb)
    return copy


def _read(proto: status_pb2.Status, read: Callable[[str, bytes], Any]) -> Status:
    return make_status(proto.code, proto.message, (read(detail.type_url, detail.value) for detail in proto.details))


def make_status(code: int, message: str, details: Iterable[Message | UnknownPayload]) -> Status:
    """A `Status` from details that nobody else holds: no second copy of them."""
    status = object.__new__(Status)
    object.__setattr__(status, "code", to_code(code))
    object.__setattr__(status, "message", message)
    object.__setattr__(status, "details", tuple(details))
    return status


def _restore(code: int, message: str, details: list[Any]) -> Status:
    restored: list[Message | UnknownPayload] = []
    for detail in details:
        if isinstance(detail, UnknownPayload):
            restored.append(detail)
            continue
        type_url, value, reference = detail
        kind = _DEFAULT.find(reference[2]) or resolve_reference(reference)
        restored.append(UnknownPayload(type_url, value) if kind is None else kind.from_bytes(value))
    return make_status(code, message, restored)


def _show(detail: Message | UnknownPayload) -> str:
    if isinstance(detail, UnknownPayload):
        return repr(detail)
    pb = underlying(detail)
    try:
        text = " ".join(str(pb).split())
    except Exception:  # noqa: BLE001 (text_format gives up on payloads nested too deeply, with a bare RecursionError)
        text = "…"
    name = pb.DESCRIPTOR.full_name
    name = name.removeprefix("google.rpc.")
    return f"{name}({text[:_SHOWN]}{'…' if len(text) > _SHOWN else ''})"
