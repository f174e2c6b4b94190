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

from google.protobuf.message import Message

from ._any import (
    TypeReference,
    UnknownPayload,
    resolve_reference,
    type_name,
    type_reference,
)
from ._document import Document, JsonObject, canonical, dump, parse_document
from ._pb import operations_pb2
from ._source import Field, JsonSource, ProtoSource, Source
from ._types import FieldTypes, OperationTypes, types_for
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
from .status import Code, Status

if TYPE_CHECKING:
    from .method import LroMethod

__all__ = ["Operation", "OperationState"]

R_co = TypeVar("R_co", covariant=True)
M_co = TypeVar("M_co", covariant=True)
R = TypeVar("R")
M = TypeVar("M")

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


# -- the snapshot -----------------------------------------------------------------------------------------------


@final
class Operation(Generic[R_co, M_co]):
    """An immutable, typed snapshot of a long-running operation.

    Made by a client, or from a message, bytes or JSON by `from_proto`, `from_bytes` and `from_json`. Equal by value;
    hashable by name and ``done``; picklable. `R` is the type of the response, `M` that of the metadata.
    """

    __slots__ = ("_json", "_proto", "_types")

    # The source of truth is the message or, where that is None, the document: `_json` is set for a document only.
    _proto: operations_pb2.Operation | None
    _types: OperationTypes
    _json: JsonSource

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
        types = method.bound if method is not None else None
        operation._types = types if types is not None and types.registry is registry else types_for(method, registry)
        operation._json = JsonSource(parse_document(source), operation._types)
        operation._proto = None
        return operation

    # -- reading --------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The server-assigned name: opaque, unique within the service. Empty for validate-only calls."""
        proto = self._proto
        return proto.name if proto is not None else self._json.name

    @property
    def done(self) -> bool:
        """Whether the operation is completed."""
        proto = self._proto
        return proto.done if proto is not None else self._json.done

    @property
    def state(self) -> OperationState:
        """Where it stands. Done with neither response nor error counts as SUCCEEDED; see `has_result`."""
        if not self.done:
            return OperationState.RUNNING
        code = self._source.error_code()
        if code is None:
            return OperationState.SUCCEEDED
        return OperationState.CANCELLED if code == Code.CANCELLED else OperationState.FAILED

    @property
    def has_result(self) -> bool:
        """Whether there is an error, or a response that names its type."""
        source = self._source
        return source.error_code() is not None or bool(source.type_url("response"))

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
        return self._source.error()

    @property
    def metadata_payload(self) -> Message | UnknownPayload | None:
        """The metadata whatever its type: never raises, unlike `metadata`."""
        return self._source.read("metadata")

    @property
    def response_payload(self) -> Message | UnknownPayload | None:
        """The response whatever its type, and whatever the state: never raises, unlike `result`."""
        return self._source.read("response")

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
        return dump(self._source.to_object(), indent)

    # -- value ----------------------------------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Operation):
            return NotImplemented
        # What two documents say is the same or not, whatever types their readers know.
        documents = self._proto is None and other._proto is None
        if documents and canonical(self._json.document) == canonical(other._json.document):
            return True
        try:
            # Not ==: the pure Python runtime compares an Any by unpacking it, and fails on what it cannot unpack.
            mine, theirs = self._message(), other._message()
            if mine.SerializeToString(deterministic=True) == theirs.SerializeToString(deterministic=True):
                return True
            # The order of map entries inside a payload says nothing, and differs from one writer to the next.
            return self._source.canonical(other._types) == other._source.canonical(self._types)
        except PayloadError:
            return False

    def __hash__(self) -> int:
        return hash((self.name, self.done))

    def __repr__(self) -> str:
        """Name, state, code and types; never a payload."""
        parts = [repr(self.name), self.state.value]
        source = self._source
        code = source.error_code()
        if code is not None:
            parts.append(f"code={Code(code).name if code in Code._value2member_map_ else code}")
        urls = {"response": source.type_url("response"), "metadata": source.type_url("metadata")}
        parts += [f"{field}={type_name(url)}" for field, url in urls.items() if url]
        return f"<Operation {' '.join(parts)}>"

    def __copy__(self) -> Operation[R_co, M_co]:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Operation[R_co, M_co]:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        source, types = self._source, self._types
        data: bytes | JsonObject
        data = self._json.to_object() if self._proto is None else self._proto.SerializeToString()
        found = {
            kind.full_name: kind for kind in (types.find_url(url) for url in source.type_urls()) if kind is not None
        }
        return _restore, (
            data,
            *(
                ([type_reference(kind) for kind in field.kinds.values()], field.any_type)
                for field in (types.response, types.metadata)
            ),
            [type_reference(kind) for kind in found.values()],
            types.registry.allowed_prefixes,
        )

    # -- inside ---------------------------------------------------------------------------------------------------

    @property
    def malformed(self) -> MalformedOperationError | None:
        """What is wrong with the operation as such, for those who wait for it; ``None`` if nothing.

        "If done == false, neither error nor response is set" (operations.proto). The snapshot stays readable.
        """
        source = self._source
        if source.done:
            return None
        if not source.name:
            return MalformedOperationError("it is not done and has no name to ask for", operation=self)
        field = "error" if source.error_code() is not None else "response"
        if field == "response" and not source.has("response"):
            return None
        return MalformedOperationError(f"{field} is set, but the operation is not done", operation=self, field=field)

    @property
    def _source(self) -> Source:
        return self._json if self._proto is None else ProtoSource(self._proto, self._types)

    def _typed(self, field: Field, types: FieldTypes) -> Any:
        """Typed access to a payload, told in full where it fails. The fast path stands in `result` and `metadata`."""
        source = self._source
        url = source.type_url(field)
        if not url:
            return None
        if types.any_type and not types.kinds:
            return source.read(field)
        expected = tuple(types.kinds)
        try:
            actual = self._types.registry.type_name(url)
        except InvalidTypeUrlError as error:
            if types.any_type:
                return source.read(field)
            raise self._told(error, field, expected, url) from None
        kind = types.kinds.get(actual)
        if kind is None:
            if types.any_type:
                return source.read(field)
            raise self._told(TypeMismatchError(f"expected {' or '.join(expected)}, got {actual}"), field, expected, url)
        try:
            return source.decode(field, kind)
        except (PayloadDecodeError, UnknownTypeError) as error:
            raise self._told(PayloadDecodeError(error.problem), field, expected, url) from error.__cause__

    def _told(self, error: PayloadError, field: Field, expected: tuple[str, ...], url: str) -> PayloadError:
        """The same error, knowing what it is about: whoever raised it saw bytes or JSON only."""
        return type(error)(error.problem, operation=self, field=field, expected=expected, actual=url)

    def _message(self) -> operations_pb2.Operation:
        """The binary truth, not copied."""
        if self._proto is not None:
            return self._proto
        try:
            return self._json.message()
        except PayloadError as error:
            raise type(error)(
                error.problem, operation=self, field=error.field, expected=error.expected, actual=error.actual
            ) from error.__cause__


def wrap(proto: operations_pb2.Operation, types: OperationTypes) -> Operation[Any, Any]:
    """A snapshot around a message that nobody else holds: no copy."""
    operation: Operation[Any, Any] = _new(Operation)
    operation._proto = proto
    operation._types = types
    return operation


def wrap_document(document: Document, types: OperationTypes) -> Operation[Any, Any]:
    """A snapshot around a document that nobody else holds: no copy."""
    operation: Operation[Any, Any] = _new(Operation)
    operation._types = types
    operation._json = JsonSource(document, types)
    operation._proto = None
    return operation


def object_of(operation: Operation[Any, Any]) -> JsonObject:
    """The JSON form as an object, which is not to be changed."""
    return operation._source.to_object()


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
        other._json = JsonSource(operation._json.document, types)
    return other


def _restore(
    source: bytes | JsonObject,
    response: tuple[list[TypeReference], bool],
    metadata: tuple[list[TypeReference], bool],
    found: list[TypeReference],
    prefixes: frozenset[str],
) -> Operation[Any, Any]:
    """Unpickles: types come back by import where they can, otherwise their payloads read as `UnknownPayload`."""

    def field(references: list[TypeReference], any_type: bool) -> FieldTypes:  # noqa: FBT001
        kinds = [kind for kind in map(resolve_reference, references) if kind is not None]
        return FieldTypes(tuple(kinds), any_type=any_type or len(kinds) < len(references))

    classes = [kind.cls for kind in map(resolve_reference, found) if kind is not None]
    try:
        registry = TypeRegistry(*classes, allowed_prefixes=prefixes)
    except RegistryConflictError:  # an import brought another version of a type than the pickle knew
        registry = TypeRegistry(allowed_prefixes=prefixes)
    types = OperationTypes(field(*response), field(*metadata), registry)
    if isinstance(source, bytes):
        return wrap(operations_pb2.Operation.FromString(source), types)
    return retyped(Operation.from_json(source, registry=registry), types)


def _size(data: object) -> str:
    return f"{len(data)} bytes" if isinstance(data, (bytes, bytearray)) else f"a {type(data).__name__}"
