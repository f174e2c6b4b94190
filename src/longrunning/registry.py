# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""`TypeRegistry`: which message types this program knows, by full name.

Laws of this file:

1. A registry is a value: made once, passed around, never changed, never global.
2. Types are found by full name only; leaf names mean nothing (TYPE-8).
3. ``google.protobuf``, ``google.rpc`` and ``google.longrunning`` are always the installed static classes, whatever a
   pool or descriptor set says about them: one class per message.
4. One name has one meaning: equal definitions merge, the left one wins; different ones are a conflict.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, final, overload

from google.protobuf import any_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

from ._any import (
    DEFAULT_PREFIX,
    AnyClass,
    MessageType,
    UnknownPayload,
    UntypedClass,
    decode,
    message_type,
    pack,
    split_type_url,
)
from ._descriptors import demand_equal, is_static, load_files, static_type
from .errors import InvalidTypeUrlError, PayloadDecodeError, RegistryConflictError, TypeMismatchError

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, FileDescriptor

__all__ = ["TypeRegistry"]

T = TypeVar("T")


class _Source(Protocol):
    """Something types can be looked up in without listing it first."""

    def find(self, full_name: str) -> Descriptor | None: ...

    def names(self) -> Iterable[str]: ...


class _PoolSource:
    """A descriptor pool, asked lazily. A pool cannot be listed."""

    def __init__(self, pool: descriptor_pool.DescriptorPool, names: frozenset[str] = frozenset()) -> None:
        self._pool = pool
        self._names = names

    def find(self, full_name: str) -> Descriptor | None:
        if full_name.startswith("."):  # the pure Python pool finds such names as well
            return None
        try:
            return self._pool.FindMessageTypeByName(full_name)
        except (KeyError, TypeError, UnicodeError):  # the latter two for text that is not UTF-8
            return None

    def names(self) -> Iterable[str]:
        return self._names


@final
class TypeRegistry:
    """The message types a program knows: immutable, explicit, passed around.

    Every registry knows the well-known types (``google.protobuf``), ``google.rpc`` (status and error details) and
    ``google.longrunning``. Combine registries with ``|``.
    """

    __slots__ = ("_found", "_prefixes", "_sources", "_types")

    _types: dict[str, MessageType[Any]]
    _sources: tuple[_Source, ...]
    _prefixes: frozenset[str]
    _found: dict[str, MessageType[Any] | None]

    def __init__(self, *message_types: type[Any], allowed_prefixes: Iterable[str] = ()) -> None:
        """Makes a registry of the given protobuf or proto-plus classes.

        Args:
            message_types: The classes; each is found by its full name and returned as it was given.
            allowed_prefixes: Type URL prefixes trusted beside ``type.googleapis.com/``, each ending in ``/``.

        Raises:
            TypeError: One of them is not a message class.
            ValueError: A prefix does not end in ``/``.
            RegistryConflictError: Two of them claim one name with different definitions.
        """
        prefixes = [allowed_prefixes] if isinstance(allowed_prefixes, str) else list(allowed_prefixes)
        for prefix in prefixes:
            if not prefix.endswith("/") or prefix == "/":
                raise ValueError(
                    f"a type URL prefix is a host and ends in '/', as in 'types.example.com/'; got {prefix!r}"
                )
        self._types = {}
        self._sources = ()
        self._prefixes = frozenset((DEFAULT_PREFIX, *prefixes))
        self._found = {}
        for cls in message_types:
            self._add(message_type(cls))

    # -- other ways to make one ---------------------------------------------------------------------------------

    @classmethod
    def from_pool(cls, pool: descriptor_pool.DescriptorPool) -> TypeRegistry:
        """Makes a registry that looks types up in a descriptor pool when they are needed.

        Args:
            pool: Such as ``google.protobuf.descriptor_pool.Default()``: every generated module imported by then.
        """
        registry = cls()
        registry._sources = (_PoolSource(pool),)
        return registry

    @classmethod
    def from_file_descriptor_set(cls, data: bytes) -> TypeRegistry:
        """Makes a registry of dynamic classes from a serialized ``google.protobuf.FileDescriptorSet``.

        Args:
            data: What ``buf build -o x.binpb`` or ``protoc --include_imports --descriptor_set_out=x.binpb`` writes. Files of
                the well-known types may be missing from it.

        Raises:
            DescriptorError: It is not a descriptor set, or a file it needs is missing from it.
        """
        pool, names = load_files(data)
        registry = cls()
        registry._sources = (_PoolSource(pool, names),)
        return registry

    @classmethod
    def from_modules(cls, *modules: ModuleType) -> TypeRegistry:
        """Makes a registry of every message in generated modules or in modules of proto-plus classes.

        Args:
            modules: Such as ``library_pb2`` or ``google.cloud.redis_v1.types``.

        Raises:
            ValueError: A module holds no messages.
            RegistryConflictError: Two modules claim one name with different definitions.
        """
        classes: list[type[Any]] = []
        for module in modules:
            found = list(_module_classes(module))
            if not found:
                raise ValueError(f"module {module.__name__!r} holds no message types")
            classes += found
        return cls(*classes)

    def __or__(self, other: TypeRegistry) -> TypeRegistry:
        """Both: where one name has equal definitions, the left class wins.

        Raises:
            RegistryConflictError: One name has different definitions. Two lazy pools can only notice at the look-up.
        """
        if not isinstance(other, TypeRegistry):  # pyright: ignore[reportUnnecessaryIsInstance]
            return NotImplemented
        both = TypeRegistry()
        both._prefixes = self._prefixes | other._prefixes
        both._types = dict(self._types)
        both._sources = self._sources + tuple(source for source in other._sources if source not in self._sources)
        for kind in other._types.values():
            if (mine := self._find(kind.full_name)) is not None:
                demand_equal(mine.descriptor, kind.descriptor)
            both._types.setdefault(kind.full_name, mine or kind)
        for source in other._sources:
            for name in (*self._types, *source.names(), *(n for s in self._sources for n in s.names())):
                if (mine := self._find(name)) is not None and not is_static(name):
                    theirs = source.find(name)
                    if theirs is not None:
                        demand_equal(mine.descriptor, theirs)
        return both

    # -- use ----------------------------------------------------------------------------------------------------

    def pack(self, message: object) -> any_pb2.Any:
        """Packs a message, or an `UnknownPayload` byte for byte, into a new ``Any``.

        Raises:
            TypeError: It is no message.
            UnknownTypeError: It is an `UnknownPayload` that came from JSON.
        """
        return pack(message)

    @overload
    def unpack(self, payload: any_pb2.Any) -> Message | UnknownPayload: ...
    @overload
    def unpack(self, payload: any_pb2.Any, expected: UntypedClass) -> Any: ...
    @overload
    def unpack(self, payload: any_pb2.Any, expected: AnyClass) -> Message | UnknownPayload: ...
    @overload
    def unpack(self, payload: any_pb2.Any, expected: type[T]) -> T: ...
    def unpack(self, payload: any_pb2.Any, expected: Any = None) -> Any:
        """Unpacks one level of an ``Any``.

        Args:
            payload: The ``Any``.
            expected: The type it must have. Without it the type is looked up here, and nothing is raised: a payload of
                unknown type, with an untrusted type URL or with corrupt bytes is returned as `UnknownPayload`.

        Returns:
            A new message.

        Raises:
            TypeError: `expected` is not a message class.
            InvalidTypeUrlError: The type URL names no type this registry may trust.
            TypeMismatchError: It names another type.
            PayloadDecodeError: The bytes do not decode.
        """
        if expected is None:
            return self.read(payload.type_url, payload.value)
        kind = message_type(expected)
        if kind.full_name == any_pb2.Any.DESCRIPTOR.full_name:  # "type unknown", never Any in Any (TYPE-5)
            return self.read(payload.type_url, payload.value)
        actual = self.type_name(payload.type_url)
        if actual != kind.full_name:
            raise TypeMismatchError(
                f"expected {kind.full_name}, got {actual}", expected=(kind.full_name,), actual=payload.type_url
            )
        return decode(kind, payload.type_url, payload.value)

    def read(self, type_url: str, value: bytes) -> Any:
        """Like `unpack` without an expected type, from the two fields of an ``Any``; never raises a `PayloadError`."""
        try:
            kind = self.find(self.type_name(type_url))
            if kind is not None:
                return decode(kind, type_url, value)
        except (InvalidTypeUrlError, PayloadDecodeError, RegistryConflictError):
            pass  # reading never fails (law 4 of the architecture): what does not decode is kept as it is
        return UnknownPayload(type_url, value)

    def type_name(self, type_url: str) -> str:
        """The full name a type URL names, known here or not.

        Raises:
            InvalidTypeUrlError: It is malformed, or its prefix is not allowed here.
        """
        if type_url.startswith(DEFAULT_PREFIX) and type_url[len(DEFAULT_PREFIX) :] in self._found:
            return type_url[len(DEFAULT_PREFIX) :]
        return split_type_url(type_url, self._prefixes)

    def find(self, full_name: str) -> MessageType[Any] | None:
        """The message type of that full name, or ``None``.

        Raises:
            RegistryConflictError: Two lazy pools disagree about it.
        """
        try:
            return self._found[full_name]
        except KeyError:
            kind = self._find(full_name)
            if kind is not None:  # remember hits only: names from the wire must not grow memory without bound
                self._found[full_name] = kind
            return kind

    @property
    def allowed_prefixes(self) -> frozenset[str]:
        """The type URL prefixes it trusts, ``type.googleapis.com/`` among them."""
        return self._prefixes

    def __contains__(self, full_name: str) -> bool:
        return self.find(full_name) is not None

    def __repr__(self) -> str:
        lazy = f", {len(self._sources)} lazy source(s)" if self._sources else ""
        return f"<TypeRegistry {len(self._types)} type(s){lazy}>"

    # -- inside -------------------------------------------------------------------------------------------------

    def _add(self, kind: MessageType[Any]) -> None:
        mine = self._types.get(kind.full_name)
        if mine is not None:
            demand_equal(mine.descriptor, kind.descriptor)
            return
        static = static_type(kind.full_name)
        if static is not None and static.pb_class is not kind.pb_class:
            kind = static
        self._types[kind.full_name] = kind

    def _find(self, full_name: str) -> MessageType[Any] | None:
        kind = self._types.get(full_name) or static_type(full_name)
        if kind is not None:
            return kind
        found: Descriptor | None = None
        for source in self._sources:
            descriptor = source.find(full_name)
            if descriptor is not None:
                if found is None:
                    found = descriptor
                else:
                    demand_equal(found, descriptor)
        return None if found is None else message_type(message_factory.GetMessageClass(found))


def _module_classes(module: ModuleType) -> Iterator[type[Any]]:
    file: FileDescriptor | None = getattr(module, "DESCRIPTOR", None)
    if file is not None and hasattr(file, "message_types_by_name"):
        stack: list[Descriptor] = list(file.message_types_by_name.values())
        while stack:
            descriptor = stack.pop(0)
            if not descriptor.GetOptions().map_entry:
                yield message_factory.GetMessageClass(descriptor)
                stack.extend(descriptor.nested_types)
        return
    pending: list[object] = list(vars(module).values())
    seen: set[int] = set()
    while pending:
        candidate = pending.pop(0)
        if not isinstance(candidate, type) or id(candidate) in seen:
            continue
        seen.add(id(candidate))
        try:
            message_type(candidate)
        except TypeError:
            continue
        yield candidate
        pending.extend(vars(candidate).values())  # messages nested in proto-plus classes
