# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""`Operation`: an immutable, typed snapshot of a ``google.longrunning.Operation``.

Laws of this file:

1. A snapshot never changes and never touches the network. What it hands out is made anew each time.
2. Reading never fails and never loses bytes; only typed access (`Operation.result`, `Operation.metadata`) raises, the same
   every time.
3. ``done`` decides the state, whatever else is set (SNAP-3).

Source: operations.proto, AIP-151.
"""

# The classes of this file work on each other's insides; outside of it nobody does.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast, final, overload

from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import status_pb2

from ._any import (
    DEFAULT_PREFIX,
    MessageType,
    TypeReference,
    UnknownPayload,
    decode,
    resolve_reference,
    type_name,
    type_reference,
)
from ._json import (
    Document,
    JsonObject,
    any_from_json,
    any_to_json,
    dump,
    error_code,
    is_plain,
    message_from_json,
    parse_document,
)
from ._pb import operations_pb2
from .errors import (
    InvalidTypeUrlError,
    MalformedOperationError,
    NoResultError,
    OperationCancelledError,
    OperationError,
    OperationNotDoneError,
    PayloadDecodeError,
    PayloadError,
    RegistryConflictError,
    TypeMismatchError,
    UnknownTypeError,
)
from .registry import TypeRegistry
from .status import Code, Status, make_status

if TYPE_CHECKING:
    from .method import LroMethod

__all__ = ["Operation", "OperationState"]

R_co = TypeVar("R_co", covariant=True)
M_co = TypeVar("M_co", covariant=True)
R = TypeVar("R")
M = TypeVar("M")

_ANY: Final = any_pb2.Any.DESCRIPTOR.full_name
_EMPTY: Final = "google.protobuf.Empty"
_DEFAULT_REGISTRY: Final = TypeRegistry()
_FULL_NAME: Final = operations_pb2.Operation.DESCRIPTOR.full_name
_new: Final[Any] = object.__new__


class OperationState(enum.Enum):
    """Where an operation stands, as ``done`` and ``error`` tell it."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


# -- which types a snapshot may hold ----------------------------------------------------------------------------


@final
class FieldTypes:
    """The types one ``Any`` field may hold.

    Attributes:
        kinds: The accepted types by full name.
        decoders: For the usual type URL of each, what decodes its bytes: the fast path of every typed access.
        any_type: Whether any type will do, looked up in the registry (a declared ``Any``, or no method at all).
    """

    __slots__ = ("any_type", "decoders", "kinds")

    def __init__(self, kinds: tuple[MessageType[Any], ...], *, any_type: bool = False) -> None:
        self.any_type = any_type or any(kind.full_name == _ANY for kind in kinds)
        self.kinds = {kind.full_name: kind for kind in reversed(kinds) if kind.full_name != _ANY}
        self.decoders = {DEFAULT_PREFIX + name: kind.from_bytes for name, kind in self.kinds.items()}


@final
class OperationTypes:
    """All the types a snapshot needs to know: those its method declares, and a registry for the rest."""

    __slots__ = ("metadata", "registry", "response")

    def __init__(self, response: FieldTypes, metadata: FieldTypes, registry: TypeRegistry) -> None:
        self.response = response
        self.metadata = metadata
        self.registry = registry

    def find_url(self, type_url: str) -> MessageType[Any] | None:
        """The type a URL names: declared by the method, or registered; ``None`` for unknown, malformed or untrusted."""
        try:
            name = self.registry.type_name(type_url)
        except InvalidTypeUrlError:
            return None
        return self.response.kinds.get(name) or self.metadata.kinds.get(name) or self.registry.find(name)

    def read(self, type_url: str, value: bytes) -> Any:
        """Unpacks one level without ever raising: the message, or an `UnknownPayload`."""
        kind = self.find_url(type_url)
        if kind is not None:
            try:
                return decode(kind, type_url, value)
            except PayloadDecodeError:
                pass
        return UnknownPayload(type_url, value)


def types_for(method: LroMethod[Any, Any, Any] | None, registry: TypeRegistry) -> OperationTypes:
    """The types of a method's operations; without a method, whatever the registry knows."""
    if method is None:
        return OperationTypes(FieldTypes((), any_type=True), FieldTypes((), any_type=True), registry)
    bound: OperationTypes | None = method.bound
    if bound is not None and bound.registry is registry:
        return bound
    responses, metadatas = method.kinds
    bound = OperationTypes(FieldTypes(responses), FieldTypes(metadatas), registry)
    method.bound = bound
    return bound


# -- the snapshot -----------------------------------------------------------------------------------------------


@final
class Operation(Generic[R_co, M_co]):
    """An immutable, typed snapshot of a long-running operation.

    Made by a client, or from a message, bytes or JSON by `from_proto`, `from_bytes` and `from_json`. Equal by value;
    hashable by name and ``done``; picklable. `R` is the type of the response, `M` that of the metadata.
    """

    __slots__ = ("_anys", "_document", "_proto", "_types")

    # The source of truth is the message or, where that is None, the document: it may have no binary form. The slots
    # `_document` and `_anys` are set for a document only.
    _proto: operations_pb2.Operation | None
    _document: Document
    _types: OperationTypes
    _anys: dict[str, Any]  # what the payloads of a document came to, so that each is converted once

    def __init__(self) -> None:
        """Not for use: a snapshot is made from something.

        Raises:
            TypeError: Always.
        """
        raise TypeError("use Operation.from_proto(), from_bytes() or from_json()")

    # -- making one -----------------------------------------------------------------------------------------------

    @overload
    @classmethod
    def from_proto(
        cls, proto: Message, method: LroMethod[Any, R, M], *, registry: TypeRegistry = ...
    ) -> Operation[R, M]: ...
    @overload
    @classmethod
    def from_proto(cls, proto: Message, *, registry: TypeRegistry) -> Operation[Any, Any]: ...
    @classmethod
    def from_proto(
        cls,
        proto: Message,
        method: LroMethod[Any, Any, Any] | None = None,
        *,
        registry: TypeRegistry = _DEFAULT_REGISTRY,
    ) -> Operation[Any, Any]:
        """Takes a snapshot of a ``google.longrunning.Operation`` message; the message is copied.

        Args:
            proto: The message.
            method: Declares the types of response and metadata. Without it, types come from `registry`.
            registry: Where types are found that the method does not declare, such as those of error details.

        Raises:
            TypeError: It is another message.
        """
        given = cast("object", proto)  # callers are not all type-checked
        if not isinstance(given, Message) or given.DESCRIPTOR.full_name != _FULL_NAME:
            got = given.DESCRIPTOR.full_name if isinstance(given, Message) else type(given).__name__
            raise TypeError(f"expected a {_FULL_NAME} message, got {got}")
        copy = operations_pb2.Operation()
        if isinstance(proto, operations_pb2.Operation):
            copy.CopyFrom(proto)
        else:  # a dynamic class of the same message
            copy.ParseFromString(proto.SerializeToString())
        return wrap(copy, types_for(method, registry))

    @overload
    @classmethod
    def from_bytes(
        cls, data: bytes, method: LroMethod[Any, R, M], *, registry: TypeRegistry = ...
    ) -> Operation[R, M]: ...
    @overload
    @classmethod
    def from_bytes(cls, data: bytes, *, registry: TypeRegistry) -> Operation[Any, Any]: ...
    @classmethod
    def from_bytes(
        cls,
        data: bytes,
        method: LroMethod[Any, Any, Any] | None = None,
        *,
        registry: TypeRegistry = _DEFAULT_REGISTRY,
    ) -> Operation[Any, Any]:
        """Takes a snapshot from the binary form.

        Args:
            data: A serialized ``google.longrunning.Operation``.
            method: As in `from_proto`.
            registry: As in `from_proto`.

        Raises:
            PayloadDecodeError: The bytes are not an operation.
        """
        try:
            proto = operations_pb2.Operation.FromString(data)
        except Exception as error:  # the pure Python runtime raises more than DecodeError
            raise PayloadDecodeError(
                f"{_size(data)} are not a {_FULL_NAME}: {error}", expected=(_FULL_NAME,)
            ) from error
        # wrap() and types_for() written out: this path is the one that runs for every poll.
        types = method.bound if method is not None else None
        operation: Operation[Any, Any] = _new(cls)
        operation._proto = proto
        operation._types = types if types is not None and types.registry is registry else types_for(method, registry)
        return operation

    @overload
    @classmethod
    def from_json(
        cls, source: str | bytes | dict[str, Any], method: LroMethod[Any, R, M], *, registry: TypeRegistry = ...
    ) -> Operation[R, M]: ...
    @overload
    @classmethod
    def from_json(cls, source: str | bytes | dict[str, Any], *, registry: TypeRegistry) -> Operation[Any, Any]: ...
    @classmethod
    def from_json(
        cls,
        source: str | bytes | dict[str, Any],
        method: LroMethod[Any, Any, Any] | None = None,
        *,
        registry: TypeRegistry = _DEFAULT_REGISTRY,
    ) -> Operation[Any, Any]:
        """Takes a snapshot from the JSON form, as in the REST reference. Payloads are decoded when they are asked for.

        Args:
            source: JSON text, or an object that is already parsed (copied).
            method: As in `from_proto`.
            registry: As in `from_proto`.

        Raises:
            DocumentError: It is not the JSON of an operation.
        """
        operation: Operation[Any, Any] = _new(cls)
        operation._document = parse_document(source)
        operation._proto = None
        types = method.bound if method is not None else None
        operation._types = types if types is not None and types.registry is registry else types_for(method, registry)
        operation._anys = {}
        return operation

    # -- reading --------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The server-assigned name: opaque, unique within the service. Empty for validate-only calls."""
        proto = self._proto
        return proto.name if proto is not None else self._document.name

    @property
    def done(self) -> bool:
        """Whether the operation is completed."""
        proto = self._proto
        return proto.done if proto is not None else self._document.done

    @property
    def state(self) -> OperationState:
        """Where it stands. Done with neither response nor error counts as SUCCEEDED; see `has_result`."""
        if not self.done:
            return OperationState.RUNNING
        code = self._error_code
        if code is None:
            return OperationState.SUCCEEDED
        return OperationState.CANCELLED if code == Code.CANCELLED else OperationState.FAILED

    @property
    def has_result(self) -> bool:
        """Whether there is an error, or a response that names its type."""
        if self._error_code is not None:
            return True
        return bool(self._type_url("response"))

    @property
    def metadata(self) -> M_co | None:
        """The metadata, a new message each time; ``None`` where the service sent none.

        Raises:
            TypeMismatchError: It has another type than declared.
            InvalidTypeUrlError: Its type URL names no type to be trusted.
            PayloadDecodeError: Its bytes do not decode.
        """
        proto = self._proto
        if proto is not None:
            payload = proto.metadata  # of an unset field: an empty one, whose type URL no decoder has
            decoder = self._types.metadata.decoders.get(payload.type_url)
            if decoder is not None:
                try:
                    metadata: M_co = decoder(payload.value)
                    return metadata
                except Exception:  # noqa: BLE001, S110 (told below, with all the error needs to know)
                    pass
        return cast("M_co | None", self._typed("metadata", self._types.metadata))

    def result(self) -> R_co:
        """The response, a new message each time.

        Returns:
            The response. ``Empty()`` where the declared response is ``Empty`` and the service sent none.

        Raises:
            OperationNotDoneError: It is not done.
            OperationCancelledError: It was cancelled (code 1).
            OperationError: It failed.
            NoResultError: It is done, and its service provides no result.
            TypeMismatchError: The response has another type than declared.
            InvalidTypeUrlError: Its type URL names no type to be trusted.
            PayloadDecodeError: Its bytes do not decode.
        """
        proto = self._proto
        if proto is not None and proto.done:
            payload = proto.response
            decoder = self._types.response.decoders.get(payload.type_url)
            if decoder is not None:
                try:
                    response: R_co = decoder(payload.value)
                    return response
                except Exception:  # noqa: BLE001, S110 (told below, with all the error needs to know)
                    pass
        return cast("R_co", self._result())

    def _result(self) -> Any:
        if not self.done:
            raise OperationNotDoneError(self)
        error = self.error
        if error is not None:
            raise (OperationCancelledError if error.code == Code.CANCELLED else OperationError)(error, self)
        response = self._typed("response", self._types.response)
        if response is not None:
            return response
        empty = self._types.response.kinds.get(_EMPTY)
        if empty is not None:
            return empty.from_bytes(b"")
        raise NoResultError(self)

    @property
    def error(self) -> Status | None:
        """The error of a failed or cancelled operation, its details decoded; otherwise ``None``."""
        if self._proto is not None:
            if not self._proto.HasField("error"):
                return None
            error = self._proto.error
            details: list[Any] = [self._types.read(detail.type_url, detail.value) for detail in error.details]
            return make_status(error.code, error.message, details)
        source = self._document.error
        if source is None:
            return None
        return make_status(
            error_code(source), source.get("message") or "", [self._read_json(d) for d in source.get("details") or ()]
        )

    @property
    def metadata_payload(self) -> Message | UnknownPayload | None:
        """The metadata whatever its type: never raises, unlike `metadata`."""
        return self._untyped("metadata")

    @property
    def response_payload(self) -> Message | UnknownPayload | None:
        """The response whatever its type, and whatever the state: never raises, unlike `result`."""
        return self._untyped("response")

    # -- writing --------------------------------------------------------------------------------------------------

    def to_proto(self) -> operations_pb2.Operation:
        """The message itself, a copy, unknown fields included.

        Raises:
            UnknownTypeError: It was read from JSON and holds a payload of unknown type: there are no bytes.
            PayloadDecodeError: It was read from JSON and holds a payload that does not decode.
        """
        copy = operations_pb2.Operation()
        copy.CopyFrom(self._message())
        return copy

    def to_bytes(self) -> bytes:
        """The binary form.

        Raises:
            UnknownTypeError: As `to_proto`.
            PayloadDecodeError: As `to_proto`.
        """
        return self._message().SerializeToString()

    def to_json(self, *, indent: int | None = None) -> str:
        """The JSON form of the REST reference; never fails. What was read from JSON is written back the same.

        A payload of a type not known here is written as ``{"@type": url, "@bytes": base64}``. Fields that a known type
        does not have in this program's version have no JSON form and are left out; `to_bytes` keeps them.

        Args:
            indent: Spaces per level; without it, one compact line.
        """
        return dump(self._to_object(), indent)

    def _to_object(self) -> JsonObject:
        if self._proto is None:
            return self._document.source
        proto, find = self._message(), self._types.find_url
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
                error["details"] = [any_to_json(d.type_url, d.value, find) for d in proto.error.details]
            result["error"] = error
        if proto.HasField("response"):
            result["response"] = any_to_json(proto.response.type_url, proto.response.value, find)
        return result

    # -- value ----------------------------------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Operation):
            return NotImplemented
        mine, theirs = self._value(), other._value()
        return mine is theirs or (type(mine) is type(theirs) and bool(mine == theirs))

    def __hash__(self) -> int:
        return hash((self.name, self.done))

    def _value(self) -> Any:
        try:
            return self._message()
        except PayloadError:
            return self._to_object()

    def __repr__(self) -> str:
        """Name, state, code and types; never a payload."""
        parts = [repr(self.name), self.state.value]
        code = self._error_code
        if code is not None:
            parts.append(f"code={Code(code).name if code in Code._value2member_map_ else code}")
        for field in ("response", "metadata"):
            url = self._type_url(field)
            if url:
                parts.append(f"{field}={type_name(url)}")
        return f"<Operation {' '.join(parts)}>"

    def __copy__(self) -> Operation[R_co, M_co]:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Operation[R_co, M_co]:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        source: bytes | JsonObject
        source = self._document.source if self._proto is None else self._proto.SerializeToString()
        types = self._types
        urls = [self._type_url("response"), self._type_url("metadata"), *self._detail_urls()]
        found = {kind.full_name: kind for kind in (types.find_url(url) for url in urls if url) if kind is not None}
        return _restore, (
            source,
            *(
                ([type_reference(kind) for kind in field.kinds.values()], field.any_type)
                for field in (types.response, types.metadata)
            ),
            [type_reference(kind) for kind in found.values()],
        )

    # -- inside ---------------------------------------------------------------------------------------------------

    @property
    def malformed(self) -> MalformedOperationError | None:
        """What is wrong with the operation as such, for those who wait for it; ``None`` if nothing.

        "If done == false, neither error nor response is set" (operations.proto). The snapshot stays readable.
        """
        if self.done:
            return None
        if not self.name:
            return MalformedOperationError("it is not done and has no name to ask for", operation=self)
        if self._error_code is None and not self._has("response"):
            return None
        field = "error" if self._error_code is not None else "response"
        return MalformedOperationError(f"{field} is set, but the operation is not done", operation=self, field=field)

    @property
    def _error_code(self) -> int | None:
        if self._proto is not None:
            return self._proto.error.code if self._proto.HasField("error") else None
        if self._document.error is None:
            return None
        return error_code(self._document.error)

    def _has(self, field: str) -> bool:
        if self._proto is not None:
            return self._proto.HasField(field)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        return getattr(self._document, field) is not None

    def _type_url(self, field: str) -> str:
        """The type URL of a payload; empty where there is none. Decodes nothing."""
        if self._proto is not None:
            return cast("str", getattr(self._proto, field).type_url) if self._has(field) else ""
        source: JsonObject | None = getattr(self._document, field)
        return cast("str", source["@type"]) if source else ""

    def _detail_urls(self) -> list[str]:
        if self._proto is not None:
            return [detail.type_url for detail in self._proto.error.details]
        return [detail.get("@type", "") for detail in (self._document.error or {}).get("details") or ()]

    def _any(self, field: str) -> any_pb2.Any | UnknownPayload | None:
        """A payload, not yet decoded; ``None`` where it is absent or names no type at all (TYPE-2)."""
        if not self._type_url(field):
            return None
        if self._proto is not None:
            return cast("any_pb2.Any", getattr(self._proto, field))
        found = self._anys.get(field)
        if found is None:
            found = self._anys[field] = self._convert(getattr(self._document, field))
        if isinstance(found, PayloadDecodeError):
            raise PayloadDecodeError(
                found.args[0], operation=self, field=field, expected=found.expected, actual=found.actual
            ) from found.__cause__
        return cast("any_pb2.Any | UnknownPayload", found)

    def _convert(self, source: JsonObject) -> any_pb2.Any | UnknownPayload | PayloadDecodeError:
        try:
            return any_from_json(source, self._types.find_url)
        except PayloadDecodeError as error:
            return error

    def _read_json(self, source: JsonObject) -> Any:
        found = self._convert(source)
        if isinstance(found, PayloadDecodeError):
            return UnknownPayload(source["@type"], document=dump(source, None))
        return found if isinstance(found, UnknownPayload) else self._types.read(found.type_url, found.value)

    def _untyped(self, field: str) -> Message | UnknownPayload | None:
        if not self._type_url(field):
            return None
        if self._proto is not None:
            payload = getattr(self._proto, field)
            return cast("Message | UnknownPayload", self._types.read(payload.type_url, payload.value))
        return cast("Message | UnknownPayload", self._read_json(getattr(self._document, field)))

    def _typed(self, field: str, types: FieldTypes) -> Any:
        """Typed access to a payload, told in full where it fails. The fast path stands in `result` and `metadata`."""
        if types.any_type and not types.kinds:
            return self._untyped(field)
        url = self._type_url(field)
        if not url:
            return None
        expected = tuple(types.kinds)
        try:
            actual = self._types.registry.type_name(url)
        except InvalidTypeUrlError as error:
            raise InvalidTypeUrlError(
                error.args[0], operation=self, field=field, expected=expected, actual=url
            ) from None
        kind = types.kinds.get(actual)
        if kind is None:
            if types.any_type:
                return self._untyped(field)
            raise TypeMismatchError(
                f"expected {' or '.join(expected)}, got {actual}",
                operation=self, field=field, expected=expected, actual=url,
            )  # fmt: skip
        if self._proto is None and field not in self._anys:
            source = getattr(self._document, field)
            if is_plain(source, kind):
                return self._decode_json(field, source, kind)
        payload = self._any(field)
        assert isinstance(payload, any_pb2.Any)  # an unknown type is a mismatch, told above
        try:
            return decode(kind, url, payload.value)
        except PayloadDecodeError as error:
            raise PayloadDecodeError(
                error.args[0], operation=self, field=field, expected=expected, actual=url
            ) from error.__cause__

    def _decode_json(self, field: str, source: JsonObject, kind: MessageType[Any]) -> Any:
        """Straight from JSON to the message; the bytes are kept, so that the next access decodes those."""
        try:
            message = message_from_json(source, kind)
        except PayloadDecodeError as error:
            raise PayloadDecodeError(
                error.args[0], operation=self, field=field, expected=error.expected, actual=error.actual
            ) from error.__cause__
        self._anys[field] = any_pb2.Any(type_url=source["@type"], value=message.SerializePartialToString())
        return kind.wrap(message)

    def _message(self) -> operations_pb2.Operation:
        """The binary truth, not copied; for a snapshot from JSON, made once."""
        if self._proto is not None:
            return self._proto
        made: operations_pb2.Operation | None = self._anys.get("")
        if made is None:
            made = self._anys[""] = self._from_document()
        return made

    def _from_document(self) -> operations_pb2.Operation:
        source = self._document
        proto = operations_pb2.Operation(name=source.name, done=source.done)
        for field in ("metadata", "response"):
            if getattr(source, field) is not None:
                payload = self._any(field)
                target: any_pb2.Any = getattr(proto, field)
                target.SetInParent()
                if payload is not None:
                    target.CopyFrom(self._binary(payload, field))
        if source.error is not None:
            proto.error.CopyFrom(
                status_pb2.Status(code=error_code(source.error), message=source.error.get("message") or "")
            )
            for index, detail in enumerate(source.error.get("details") or ()):
                converted = self._convert(detail)
                if isinstance(converted, PayloadDecodeError):
                    raise converted
                proto.error.details.append(self._binary(converted, f"error.details[{index}]"))
        return proto

    def _binary(self, payload: any_pb2.Any | UnknownPayload, field: str) -> any_pb2.Any:
        if isinstance(payload, UnknownPayload):
            try:
                return payload.to_any()
            except UnknownTypeError as error:
                raise UnknownTypeError(error.args[0], operation=self, field=field, actual=payload.type_url) from None
        return payload


def wrap(proto: operations_pb2.Operation, types: OperationTypes) -> Operation[Any, Any]:
    """A snapshot around a message that nobody else holds: no copy."""
    operation: Operation[Any, Any] = _new(Operation)
    operation._proto = proto
    operation._types = types
    return operation


def types_of(operation: Operation[Any, Any]) -> OperationTypes:
    """The types a snapshot goes by."""
    return operation._types


def retyped(operation: Operation[Any, Any], types: OperationTypes | None) -> Operation[Any, Any]:
    """The same snapshot, going by other types; ``None`` for its own."""
    if types is None:
        return operation
    other: Operation[Any, Any] = _new(Operation)
    other._proto, other._types = operation._proto, types
    if other._proto is None:
        other._document, other._anys = operation._document, {}
    return other


def _restore(
    source: bytes | JsonObject,
    response: tuple[list[TypeReference], bool],
    metadata: tuple[list[TypeReference], bool],
    found: list[TypeReference],
) -> Operation[Any, Any]:
    """Unpickles: types come back by import where they can, otherwise their payloads read as `UnknownPayload`."""

    def field(references: list[TypeReference], any_type: bool) -> FieldTypes:  # noqa: FBT001
        kinds = [kind for kind in map(resolve_reference, references) if kind is not None]
        return FieldTypes(tuple(kinds), any_type=any_type or len(kinds) < len(references))

    classes = [kind.cls for kind in map(resolve_reference, found) if kind is not None]
    try:
        registry = TypeRegistry(*classes)
    except RegistryConflictError:  # an import brought another version of a type than the pickle knew
        registry = _DEFAULT_REGISTRY
    types = OperationTypes(field(*response), field(*metadata), registry)
    if isinstance(source, bytes):
        return wrap(operations_pb2.Operation.FromString(source), types)
    operation = Operation.from_json(source, registry=registry)
    operation._types = types
    return operation


def _size(data: object) -> str:
    return f"{len(data)} bytes" if isinstance(data, (bytes, bytearray)) else f"a {type(data).__name__}"
