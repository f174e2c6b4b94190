# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What a snapshot was made from: a message, or a JSON document. One small interface over both.

Laws of this file:

1. `read` and `to_object` never fail; `decode` and `message` may, with a `PayloadError` that does not know the operation:
   who asked adds it.
2. A document is converted payload by payload, when it is asked for, and once.
3. A payload of unknown type in a document stays JSON: it has no binary form.
"""

from __future__ import annotations

from typing import Any, Final, Literal, Protocol, TypeAlias, cast, final

from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import status_pb2

from ._any import MAX_NESTING, MessageType, UnknownPayload, decode
from ._document import Document, JsonObject, dump, error_code, type_urls
from ._json import any_from_json, any_to_json, is_plain, message_from_json, nested_anys
from ._pb import operations_pb2
from ._types import OperationTypes
from .errors import PayloadError
from .status import Status, make_status

__all__ = ["Field", "JsonSource", "ProtoSource", "Source"]

_ANY: Final = any_pb2.Any.DESCRIPTOR.full_name

Field: TypeAlias = Literal["response", "metadata"]
Payload: TypeAlias = Message | UnknownPayload


class Source(Protocol):
    """An operation, undecoded."""

    @property
    def types(self) -> OperationTypes:
        """The types it goes by."""
        ...

    @property
    def name(self) -> str:
        """The operation's name."""
        ...

    @property
    def done(self) -> bool:
        """Whether it is done."""
        ...

    def has(self, field: Field) -> bool:
        """Whether a payload is set, be it empty."""
        ...

    def type_url(self, field: Field) -> str:
        """The type URL of a payload; empty where there is none (TYPE-2)."""
        ...

    def type_urls(self) -> set[str]:
        """The type URLs of all payloads, those inside payloads included."""
        ...

    def error_code(self) -> int | None:
        """The code of the error; ``None`` where there is no error."""
        ...

    def error(self) -> Status | None:
        """The error, decoded."""
        ...

    def read(self, field: Field) -> Payload | None:
        """A payload whatever its type; ``None`` where there is none. Never fails."""
        ...

    def decode(self, field: Field, kind: MessageType[Any]) -> Any:
        """A payload that is there, as the type its URL names.

        Raises:
            PayloadDecodeError: It does not decode.
            UnknownTypeError: It came from JSON and holds a payload of unknown type.
        """
        ...

    def message(self) -> operations_pb2.Operation:
        """The binary form, not copied.

        Raises:
            UnknownTypeError: It came from JSON and holds a payload of unknown type.
            PayloadDecodeError: It came from JSON and holds a payload that does not decode.
        """
        ...

    def canonical(self, others: OperationTypes) -> bytes:
        """Bytes that are equal for equal values, as far as the types of either side are known.

        Raises:
            PayloadError: As `message`.
        """
        ...

    def to_object(self) -> JsonObject:
        """The JSON form. Never fails."""
        ...


@final
class ProtoSource:
    """Made from a message. It is made for one question at a time, so it keeps nothing."""

    __slots__ = ("proto", "types")

    def __init__(self, proto: operations_pb2.Operation, types: OperationTypes) -> None:
        self.proto = proto
        self.types = types

    @property
    def name(self) -> str:
        return self.proto.name

    @property
    def done(self) -> bool:
        return self.proto.done

    def has(self, field: Field) -> bool:
        return self.proto.HasField(field)

    def type_url(self, field: Field) -> str:
        return self._payload(field).type_url

    def type_urls(self) -> set[str]:
        return {url for payload in _payloads(self.proto) for url, _ in _opened(payload, self.types)}

    def error_code(self) -> int | None:
        return self.proto.error.code if self.proto.HasField("error") else None

    def error(self) -> Status | None:
        if not self.proto.HasField("error"):
            return None
        error = self.proto.error
        return make_status(
            error.code, error.message, [self.types.read(detail.type_url, detail.value) for detail in error.details]
        )

    def read(self, field: Field) -> Payload | None:
        payload = self._payload(field)
        return cast("Payload", self.types.read(payload.type_url, payload.value)) if payload.type_url else None

    def decode(self, field: Field, kind: MessageType[Any]) -> Any:
        payload = self._payload(field)
        return decode(kind, payload.type_url, payload.value)

    def message(self) -> operations_pb2.Operation:
        return self.proto

    def canonical(self, others: OperationTypes) -> bytes:
        return _canonical(self.proto, self.types, others)

    def to_object(self) -> JsonObject:
        # The order of the fields is that of their numbers, and defaults are left out: as json_format writes it.
        proto, find = self.proto, self.types.find_url
        result: JsonObject = {}
        if proto.name:
            result["name"] = proto.name
        if proto.HasField("metadata"):
            result["metadata"] = any_to_json(proto.metadata.type_url, proto.metadata.value, find)
        if proto.done:
            result["done"] = True
        if proto.HasField("error"):
            error: JsonObject = {}
            if proto.error.code:
                error["code"] = proto.error.code
            if proto.error.message:
                error["message"] = proto.error.message
            if proto.error.details:
                error["details"] = [any_to_json(detail.type_url, detail.value, find) for detail in proto.error.details]
            result["error"] = error
        if proto.HasField("response"):
            result["response"] = any_to_json(proto.response.type_url, proto.response.value, find)
        return result

    def _payload(self, field: Field) -> any_pb2.Any:
        return self.proto.response if field == "response" else self.proto.metadata


@final
class JsonSource:
    """Made from a JSON document, whose payloads stay JSON until somebody asks for them."""

    __slots__ = ("_converted", "_message", "document", "types")

    def __init__(self, document: Document, types: OperationTypes) -> None:
        self.document = document
        self.types = types
        self._converted: dict[Field, any_pb2.Any] = {}
        self._message: operations_pb2.Operation | None = None

    @property
    def name(self) -> str:
        return self.document.name

    @property
    def done(self) -> bool:
        return self.document.done

    def has(self, field: Field) -> bool:
        return self._payload(field) is not None

    def type_url(self, field: Field) -> str:
        source = self._payload(field)
        return cast("str", source["@type"]) if source else ""

    def type_urls(self) -> set[str]:
        return type_urls(self.document.source)

    def error_code(self) -> int | None:
        return None if self.document.error is None else error_code(self.document.error)

    def error(self) -> Status | None:
        source = self.document.error
        if source is None:
            return None
        details = [self._read(detail) for detail in self._details()]
        return make_status(error_code(source), source.get("message") or "", details)

    def read(self, field: Field) -> Payload | None:
        source = self._payload(field)
        return self._read(source) if source and source["@type"] else None

    def decode(self, field: Field, kind: MessageType[Any]) -> Any:
        payload = self._converted.get(field)
        if payload is None:
            source = self._payload(field)
            assert source
            if is_plain(source, kind):  # straight to the message; its bytes are kept for the next time
                message = message_from_json(source, kind)
                value = message.SerializePartialToString(deterministic=True)
                self._converted[field] = any_pb2.Any(type_url=source["@type"], value=value)
                return kind.wrap(message)
            payload = self._converted[field] = self._binary(source, field)
        return decode(kind, payload.type_url, payload.value)

    def message(self) -> operations_pb2.Operation:
        if self._message is not None:
            return self._message
        document = self.document
        proto = operations_pb2.Operation(name=document.name, done=document.done)
        if document.metadata is not None:
            proto.metadata.CopyFrom(self._binary(document.metadata, "metadata"))
        if document.response is not None:
            proto.response.CopyFrom(self._binary(document.response, "response"))
        if document.error is not None:
            details = [self._binary(detail, f"error.details[{index}]") for index, detail in enumerate(self._details())]
            message: str = document.error.get("message") or ""
            proto.error.CopyFrom(status_pb2.Status(code=self.error_code() or 0, message=message, details=details))
        self._message = proto
        return proto

    def canonical(self, others: OperationTypes) -> bytes:
        return _canonical(self.message(), self.types, others)

    def to_object(self) -> JsonObject:
        return self.document.source

    def _payload(self, field: Field) -> JsonObject | None:
        return self.document.response if field == "response" else self.document.metadata

    def _details(self) -> list[JsonObject]:
        return cast("list[JsonObject]", (self.document.error or {}).get("details") or [])

    def _binary(self, source: JsonObject, field: str) -> any_pb2.Any:
        try:
            converted = any_from_json(source, self.types.find_url)
            return converted.to_any() if isinstance(converted, UnknownPayload) else converted
        except PayloadError as error:
            raise type(error)(
                error.problem, field=field, expected=error.expected, actual=error.actual
            ) from error.__cause__

    def _read(self, source: JsonObject) -> Payload:
        try:
            converted = any_from_json(source, self.types.find_url)
        except PayloadError:
            return UnknownPayload(source["@type"], document=dump(source, None))
        if isinstance(converted, UnknownPayload):
            return converted
        return cast("Payload", self.types.read(converted.type_url, converted.value))


def _payloads(proto: operations_pb2.Operation) -> list[any_pb2.Any]:
    payloads = list(proto.error.details) if proto.HasField("error") else []
    payloads += [proto.metadata] if proto.HasField("metadata") else []
    payloads += [proto.response] if proto.HasField("response") else []
    return payloads


def _opened(payload: any_pb2.Any, *types: OperationTypes) -> list[tuple[str, tuple[any_pb2.Any, Message] | None]]:
    """A payload and all those inside it, from the outside in: the type URL, and the decoded message where it is known."""
    found: list[tuple[str, tuple[any_pb2.Any, Message] | None]] = []
    pending = [(payload, 1)]
    while pending:
        current, depth = pending.pop()
        kind = next(filter(None, (side.find_url(current.type_url) for side in types)), None)
        message: Message | None = None
        if kind is not None and depth <= MAX_NESTING:
            try:
                message = kind.pb_class.FromString(current.value)
            except Exception:  # noqa: BLE001 (bytes that do not decode stay as they are)
                message = None
        found.append((current.type_url, None if message is None else (current, message)))
        if message is not None:
            inner = [cast("any_pb2.Any", message)] if kind and kind.full_name == _ANY else list(nested_anys(message))
            pending.extend((nested, depth + 1) for nested in inner)
    return found


def _canonical(proto: operations_pb2.Operation, *types: OperationTypes) -> bytes:
    copy = operations_pb2.Operation()
    copy.CopyFrom(proto)
    for payload in _payloads(copy):
        for _, opened in reversed(_opened(payload, *types)):  # from the inside out
            if opened is not None:
                opened[0].value = opened[1].SerializePartialToString(deterministic=True)
    return copy.SerializeToString(deterministic=True)
