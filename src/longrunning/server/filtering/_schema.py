# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""`Schema`: which types payloads may have. Views of a record, in which a payload is decoded once and only if asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, final

from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import status_pb2

from ..._any import MessageType
from ...errors import InvalidTypeUrlError, RegistryConflictError
from ...registry import TypeRegistry

if TYPE_CHECKING:
    from ...method import LroMethod
    from ._conditions import Filterable

__all__ = ["Payload", "Schema", "View", "declared"]


@final
class Schema:
    """What a filter can be about, beside the fields every operation has: made once, from the methods of a server.

    Attributes:
        responses: The types declared for responses.
        metadata: The types declared for metadata.
    """

    __slots__ = ("_known", "_registry", "metadata", "responses")

    responses: tuple[MessageType[Any], ...]
    metadata: tuple[MessageType[Any], ...]

    def __init__(
        self, *, responses: Iterable[MessageType[Any]], metadata: Iterable[MessageType[Any]], registry: TypeRegistry
    ) -> None:
        """Makes a schema.

        Args:
            responses: Types of responses. With ``google.protobuf.Any`` among them, or none at all, any type may come,
                and any path below ``response`` is legal.
            metadata: The same for metadata.
            registry: Where other types are found, and which type URLs are trusted.
        """
        self.responses, self.metadata = tuple(responses), tuple(metadata)
        self._registry = registry
        self._known: dict[str, MessageType[Any]] = {}
        for kind in (*self.responses, *self.metadata):
            self._known.setdefault(kind.full_name, kind)

    @classmethod
    def of_methods(cls, methods: Iterable[LroMethod[Any, Any, Any]], registry: TypeRegistry) -> Schema:
        """The schema of a server with these methods."""
        kinds = [method.kinds for method in methods]
        return cls(
            responses=[kind for responses, _ in kinds for kind in responses],
            metadata=[kind for _, metadata in kinds for kind in metadata],
            registry=registry,
        )

    def type_name(self, type_url: str) -> str | None:
        """The full name in a type URL; ``None`` where it is malformed or not trusted (TYPE-6)."""
        try:
            return self._registry.type_name(type_url)
        except InvalidTypeUrlError:
            return None

    def find(self, type_url: str) -> MessageType[Any] | None:
        """The type a URL names; ``None`` where it is not known."""
        name = self.type_name(type_url)
        if name is None:
            return None
        try:
            return self._known.get(name) or self._registry.find(name)
        except RegistryConflictError:
            return None


def declared(kinds: tuple[MessageType[Any], ...]) -> tuple[MessageType[Any], ...] | None:
    """The declared types, each once; ``None`` where nothing is declared, so that any type may come."""
    return tuple({kind.full_name: kind for kind in kinds}.values()) or None


@final
class Payload:
    """An ``Any`` that is there, decoded when it is first asked for.

    Attributes:
        type_url: Its type URL.
        kind: Its type, where that is known.
    """

    __slots__ = ("_data", "_message", "kind", "type_url")

    def __init__(self, type_url: str, data: bytes, schema: Schema) -> None:
        self.type_url, self.kind = type_url, schema.find(type_url)
        self._data = data
        self._message: Message | None = None

    @property
    def message(self) -> Message | None:
        """The message; ``None`` where its type is not known.

        Raises:
            Exception: The bytes do not decode: DecodeError, and more from the pure Python runtime.
        """
        if self._message is None and self.kind is not None:
            self._message = self.kind.pb_class.FromString(self._data)
        return self._message


@final
class View:
    """One record while a filter looks at it.

    Attributes:
        record: The record.
    """

    __slots__ = ("_payloads", "_schema", "_status", "record")

    def __init__(self, record: Filterable, schema: Schema) -> None:
        self.record = record
        self._schema = schema
        self._payloads: dict[str, Payload | None] = {}
        self._status: status_pb2.Status | None = None

    def metadata(self) -> Payload | None:
        """The metadata; ``None`` where there is none, which an ``Any`` without a type URL is as well (TYPE-2)."""
        return self._payload("metadata", self.record.metadata)

    def response(self) -> Payload | None:
        """The response; ``None`` where there is none."""
        return self._payload("response", self.record.result if self.record.code is None else None)

    def status(self) -> status_pb2.Status | None:
        """The error; ``None`` where there is none.

        Raises:
            Exception: The bytes do not decode.
        """
        if self._status is None and self.record.code is not None and self.record.result is not None:
            self._status = status_pb2.Status.FromString(self.record.result)
        return self._status

    def _payload(self, which: str, data: bytes | None) -> Payload | None:
        try:
            return self._payloads[which]
        except KeyError:
            payload = self._payloads[which] = self._read(data)
            return payload

    def _read(self, data: bytes | None) -> Payload | None:
        try:
            packed = any_pb2.Any.FromString(data or b"")
        except Exception:  # noqa: BLE001 (DecodeError, and more from the pure Python runtime; what does not decode is absent)
            return None
        return Payload(packed.type_url, packed.value, self._schema) if packed.type_url else None
