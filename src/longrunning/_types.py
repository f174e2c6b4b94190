# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Which types a snapshot may hold: those its method declares, and a registry for the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, final

from google.protobuf import any_pb2

from ._any import DEFAULT_PREFIX, MessageType, UnknownPayload, decode
from .errors import InvalidTypeUrlError, PayloadDecodeError, RegistryConflictError

if TYPE_CHECKING:
    from .method import LroMethod
    from .registry import TypeRegistry

__all__ = ["FieldTypes", "OperationTypes", "types_for"]

_ANY: Final = any_pb2.Any.DESCRIPTOR.full_name


@final
class FieldTypes:
    """The types one ``Any`` field may hold.

    Attributes:
        kinds: The accepted types by full name.
        decoders: For the usual type URL of each, what decodes its bytes: the fast path of every typed access.
        any_type: Whether any type will do, looked up in the registry (a declared ``Any``, or no method at all).
    """

    __slots__ = ("any_type", "decoders", "kinds")

    kinds: dict[str, MessageType[Any]]
    decoders: dict[str, Callable[[bytes], Any]]
    any_type: bool

    def __init__(self, kinds: tuple[MessageType[Any], ...], *, any_type: bool = False) -> None:
        self.any_type = any_type or any(kind.full_name == _ANY for kind in kinds)
        self.kinds: dict[str, MessageType[Any]] = {}
        for kind in kinds:
            if kind.full_name != _ANY:
                self.kinds.setdefault(kind.full_name, kind)  # of two classes of one message the first one given
        self.decoders = {DEFAULT_PREFIX + name: kind.from_bytes for name, kind in self.kinds.items()}


@final
class OperationTypes:
    """All the types a snapshot needs to know: those its method declares, and a registry for the rest."""

    __slots__ = ("metadata", "registry", "response")

    response: FieldTypes
    metadata: FieldTypes
    registry: TypeRegistry

    def __init__(self, response: FieldTypes, metadata: FieldTypes, registry: TypeRegistry) -> None:
        self.response = response
        self.metadata = metadata
        self.registry = registry

    def find_url(self, type_url: str) -> MessageType[Any] | None:
        """The type a URL names: declared by the method, or registered; ``None`` for unknown, malformed or untrusted."""
        try:
            name = self.registry.type_name(type_url)
            return self.response.kinds.get(name) or self.metadata.kinds.get(name) or self.registry.find(name)
        except (InvalidTypeUrlError, RegistryConflictError):
            return None

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
