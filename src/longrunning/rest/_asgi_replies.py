# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Operations as JSON, the way the caller wants it: the representation of the REST reference (JSON-1)."""

# JSON is of any type all the way down, and isinstance() on it tells pyright only half of what it wants to know.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, final

from .._any import MessageType
from .._descriptors import is_repeated
from .._document import JsonObject
from .._pb import operations_pb2
from .._source import ProtoSource
from .._types import OperationTypes, types_for
from ..method import LroMethod
from ..registry import TypeRegistry
from ._asgi_errors import Answer, to_bytes
from ._asgi_queries import PLAIN, Options, masked
from ._openapi_schemas import SPECIAL

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, FieldDescriptor

    from ..server.storage import OperationRecord

__all__ = ["EMPTY", "Replies"]

FindUrl = Callable[[str], "MessageType[Any] | None"]
_Content = tuple[bool, int | None, str, bytes | None, bytes | None]

EMPTY: Final = Answer(200, b"{}")
_REMEMBERED_BYTES: Final = 16 << 20
_ENTRY_BYTES: Final = 1024  # of the objects around the texts
_LARGE: Final = 128 << 10  # bytes of payloads that take long enough to be written elsewhere, and are not remembered
_BREATH: Final = 25  # operations rendered at a stretch: others wait a millisecond or two
_ANY: Final = "google.protobuf.Any"
_OPAQUE: Final = frozenset({"@type", "@bytes"})


@final
class Replies:
    """Writes operations of a server."""

    def __init__(self, registry: TypeRegistry, method_of: Callable[[str], LroMethod[Any, Any, Any] | None]) -> None:
        """Takes what knows the types of payloads.

        Args:
            registry: Types beyond those that methods declare.
            method_of: The method of a path; ``None`` for one that this process does not know.
        """
        self._registry = registry
        self._method_of = method_of
        self._types: dict[str, OperationTypes] = {}
        self._unknown = types_for(None, registry)
        self._remembered = _Remembered()

    def remembered(self, record: OperationRecord, options: Options) -> Answer | None:
        """One operation, if it was written before and still is the same."""
        return self._remembered.get(record) if options is PLAIN else None

    async def operation(self, record: OperationRecord, options: Options) -> Answer:
        """One operation."""
        if (answer := self.remembered(record, options)) is not None:
            return answer
        if len(record.metadata or b"") + len(record.result or b"") > _LARGE:
            return Answer(200, await asyncio.to_thread(self._written, record, options))
        answer = Answer(200, self._written(record, options))
        # Of a method that is registered later, the types are not known yet.
        if options is PLAIN and self._types_of(record.method) is not self._unknown:
            self._remembered.put(record, answer)
        return answer

    async def page(self, records: Iterable[OperationRecord], next_page_token: str, options: Options) -> Answer:
        """A page of operations."""
        operations: list[JsonObject] = []
        for count, record in enumerate(records, 1):
            operations.append(self._object(record.to_proto(), record.method, options))
            if not count % _BREATH:
                await asyncio.sleep(0)
        page: JsonObject = {}
        if operations:
            page["operations"] = operations
        if next_page_token:
            page["nextPageToken"] = next_page_token
        return Answer(200, to_bytes(masked(page, options.mask), options.indent))

    def started(self, operation: operations_pb2.Operation, method: str, options: Options) -> Answer:
        """What starting returned."""
        rendered = self._object(operation, method, options)
        return Answer(200, to_bytes(masked(rendered, options.mask), options.indent))

    def find_of(self, method: str) -> FindUrl:
        """What finds the types that a method's messages may hold."""
        return self._types_of(method).find_url

    def _types_of(self, path: str) -> OperationTypes:
        types = self._types.get(path)
        if types is None:
            method = self._method_of(path)
            if method is None:
                return self._unknown
            types = self._types[path] = types_for(method, self._registry)
        return types

    def _object(self, operation: operations_pb2.Operation, method: str, options: Options) -> JsonObject:
        types = self._types_of(method)
        rendered = ProtoSource(operation, types).to_object()
        if options.enum_numbers:
            _number_enums(rendered, types.find_url)
        return rendered

    def _written(self, record: OperationRecord, options: Options) -> bytes:
        rendered = self._object(record.to_proto(), record.method, options)
        return to_bytes(masked(rendered, options.mask), options.indent)


@final
class _Remembered:
    """What was written of operations: most polls see what the poll before saw.

    An entry holds all that went into it, and is used for a record that has the same: nothing has to be kept in step.
    """

    def __init__(self) -> None:
        self._entries: dict[str, tuple[_Content, Answer, int]] = {}
        self._size = 0

    def get(self, record: OperationRecord) -> Answer | None:
        """The answer about an operation that is still the same; ``None`` for none."""
        entry = self._entries.get(record.name)
        return entry[1] if entry is not None and entry[0] == _content(record) else None

    def put(self, record: OperationRecord, answer: Answer) -> None:
        """Remembers an answer, and forgets those written first where there is no room: they are soon written again."""
        size = len(answer.body) + len(record.metadata or b"") + len(record.result or b"") + _ENTRY_BYTES
        _, _, before = self._entries.pop(record.name, (None, None, 0))
        self._entries[record.name] = _content(record), answer, size
        self._size += size - before
        while self._size > _REMEMBERED_BYTES:
            _, _, oldest = self._entries.pop(next(iter(self._entries)))
            self._size -= oldest


def _content(record: OperationRecord) -> _Content:
    """All of a record that is written, but for its name."""
    return record.done, record.code, record.method, record.metadata, record.result


# -- enums as numbers -------------------------------------------------------------------------------------------


def _number_enums(operation: JsonObject, find: FindUrl) -> None:
    """Turns the names of enum values into numbers, in all payloads of an operation."""
    error: JsonObject = operation.get("error") or {}
    payloads: list[JsonObject] = [*error.get("details", ())]
    payloads += [operation[field] for field in ("metadata", "response") if operation.get(field)]
    while payloads:
        payload = payloads.pop()
        kind = find(payload.get("@type", ""))
        if kind is None or payload.keys() == _OPAQUE:
            continue
        if kind.full_name == _ANY:
            payloads.append(payload["value"])
        elif kind.full_name not in SPECIAL:
            _number_fields(payload, kind.descriptor, payloads)


def _number_fields(message: JsonObject, descriptor: Descriptor, payloads: list[JsonObject]) -> None:
    """The same in one message; the payloads in it are added to a list. Recursion is bounded by the depth of a rendering."""
    for field in descriptor.fields:
        given = message.get(field.json_name)
        if given is None:
            continue
        values = field
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            values = field.message_type.fields_by_name["value"]
            items: Any = [(given, key) for key in given]
        elif is_repeated(field):
            items = [(given, index) for index in range(len(given))]
        else:
            items = [(message, field.json_name)]
        for place, key in items:
            place[key] = _number(place[key], values, payloads)


def _number(value: Any, field: FieldDescriptor, payloads: list[JsonObject]) -> Any:
    if field.enum_type is not None:
        known = field.enum_type.values_by_name.get(value) if isinstance(value, str) else None
        return value if known is None else known.number
    if field.message_type is not None and isinstance(value, dict):
        if field.message_type.full_name == _ANY:
            payloads.append(value)
        elif field.message_type.full_name not in SPECIAL:
            _number_fields(value, field.message_type, payloads)
    return value
