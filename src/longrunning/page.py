# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""`Page`: one page of a list of operations, from messages, bytes and JSON.

Source: operations.proto (``ListOperationsResponse``), AIP-158, AIP-217.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast, final

from google.protobuf.message import Message

from ._document import Json, JsonObject, dump, parse_object, read_operation
from ._pb import operations_pb2
from ._types import OperationTypes, types_for
from .errors import DocumentError, PayloadDecodeError
from .operation import Operation, object_of, wrap, wrap_document

if TYPE_CHECKING:
    from .registry import TypeRegistry

__all__ = ["Page", "page_of_bytes", "page_of_object", "page_of_proto"]

T_co = TypeVar("T_co", covariant=True)

_FULL_NAME: Final = "google.longrunning.ListOperationsResponse"
# A field of AIP-217 that the installed googleapis-common-protos (before 1.75.5) may not know: then it is read by number.
_UNREACHABLE: Final = 3


@final
@dataclass(frozen=True, slots=True)
class Page(Generic[T_co]):
    """One page of a list.

    Example:
        page = Page.from_json(text, registry=registry)
        for operation in page:
            print(operation.name, operation.state)

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

    @staticmethod
    def from_proto(proto: Message, *, registry: TypeRegistry) -> Page[Operation[Any, Any]]:
        """Takes a snapshot of a ``google.longrunning.ListOperationsResponse`` message; the message is copied.

        Args:
            proto: The message.
            registry: Where the types of the operations are found.

        Raises:
            TypeError: It is another message.
        """
        given = cast("object", proto)  # callers are not all type-checked
        if not isinstance(given, Message) or given.DESCRIPTOR.full_name != _FULL_NAME:
            got = given.DESCRIPTOR.full_name if isinstance(given, Message) else type(given).__name__
            raise TypeError(f"expected a {_FULL_NAME} message, got {got}")
        if not isinstance(given, operations_pb2.ListOperationsResponse):  # a dynamic class of the same message
            return Page.from_bytes(given.SerializeToString(), registry=registry)
        return page_of_proto(given, types_for(None, registry))

    @staticmethod
    def from_bytes(data: bytes, *, registry: TypeRegistry) -> Page[Operation[Any, Any]]:
        """Takes a snapshot from the binary form.

        Args:
            data: A serialized ``google.longrunning.ListOperationsResponse``.
            registry: As in `from_proto`.

        Raises:
            PayloadDecodeError: The bytes are none.
        """
        return page_of_bytes(data, types_for(None, registry))

    @staticmethod
    def from_json(source: str | bytes | dict[str, Any], *, registry: TypeRegistry) -> Page[Operation[Any, Any]]:
        """Takes a snapshot from the JSON form, as in the REST reference. Payloads are decoded when they are asked for.

        Args:
            source: JSON text, or an object that is already parsed (copied).
            registry: As in `from_proto`.

        Raises:
            DocumentError: It is not the JSON of a list of operations; the path says where.
        """
        return page_of_object(parse_object(source), types_for(None, registry))

    def to_json(self: Page[Operation[Any, Any]], *, indent: int | None = None) -> str:
        """The JSON form of the REST reference; never fails. See `Operation.to_json` for payloads of unknown types.

        Args:
            indent: Spaces per level; without it, one compact line.
        """
        document: JsonObject = {"operations": [object_of(operation) for operation in self.items]}
        if self.next_page_token:
            document["nextPageToken"] = self.next_page_token
        if self.unreachable:
            document["unreachable"] = list(self.unreachable)
        return dump(document, indent)


def page_of_bytes(data: bytes, types: OperationTypes) -> Page[Operation[Any, Any]]:
    """Reads the binary form.

    Raises:
        PayloadDecodeError: It is none.
    """
    try:
        response = operations_pb2.ListOperationsResponse.FromString(data)
    except Exception as error:  # the pure Python runtime raises more than DecodeError
        raise PayloadDecodeError(
            f"{len(data)} bytes are not a {_FULL_NAME}: {error}", expected=(_FULL_NAME,)
        ) from error
    return page_of_proto(response, types)


def page_of_proto(response: operations_pb2.ListOperationsResponse, types: OperationTypes) -> Page[Operation[Any, Any]]:
    """Reads a message. Each operation is copied, so that one snapshot kept does not keep the whole page."""
    return Page(
        tuple(wrap(_own(operation), types) for operation in response.operations),
        response.next_page_token,
        _unreachable(response),
    )


def page_of_object(document: JsonObject, types: OperationTypes) -> Page[Operation[Any, Any]]:
    """Reads an object that nobody else holds.

    Raises:
        DocumentError: It is none.
    """
    operations = [
        wrap_document(read_operation(cast("JsonObject", item), f"operations[{index}]"), types)
        for index, item in enumerate(_list(document, "operations"))
    ]
    token = document.get("nextPageToken") or document.get("next_page_token") or ""
    if not isinstance(token, str):
        raise DocumentError("expected a string", path="nextPageToken")
    return Page(tuple(operations), token, tuple(_strings(document, "unreachable")))


def _list(document: JsonObject, key: str) -> list[Json]:
    found: Json = document.get(key)
    if found is None:
        return []
    if not isinstance(found, list):
        raise DocumentError("expected a list", path=key)
    return found  # pyright: ignore[reportUnknownVariableType] (isinstance() tells it half of that)


def _strings(document: JsonObject, key: str) -> Iterator[str]:
    for index, item in enumerate(_list(document, key)):
        if not isinstance(item, str):
            raise DocumentError("expected a string", path=f"{key}[{index}]")
        yield item


def _own(operation: operations_pb2.Operation) -> operations_pb2.Operation:
    copy = operations_pb2.Operation()
    copy.CopyFrom(operation)
    return copy


def _unreachable(response: operations_pb2.ListOperationsResponse) -> tuple[str, ...]:
    if "unreachable" in operations_pb2.ListOperationsResponse.DESCRIPTOR.fields_by_name:
        return tuple(response.unreachable)
    from google.protobuf.unknown_fields import UnknownFieldSet

    return tuple(
        field.data.decode("utf-8", "replace")
        for field in cast("Iterable[Any]", UnknownFieldSet(response))
        if field.field_number == _UNREACHABLE
    )
