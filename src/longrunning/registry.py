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

import importlib
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, final, overload

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

from ._any import DEFAULT_PREFIX, MessageType, UnknownPayload, decode, message_type, pack, split_type_url
from .errors import (
    DescriptorError,
    InvalidTypeUrlError,
    PayloadDecodeError,
    RegistryConflictError,
    TypeMismatchError,
)

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, FileDescriptor

__all__ = ["TypeRegistry"]

T = TypeVar("T")

# Packages whose classes are fixed by what is installed, and the modules that hold them. Loaded at the first look-up,
# because most programs decode a handful of types and `import longrunning` must stay cheap.
_STATIC: Final[dict[str, tuple[str, ...]]] = {
    "google.protobuf.": tuple(
        f"google.protobuf.{module}_pb2"
        for module in (
            "any", "api", "descriptor", "duration", "empty", "field_mask", "source_context", "struct", "timestamp",
            "type", "wrappers",
        )
    ),
    "google.rpc.": ("google.rpc.code_pb2", "google.rpc.error_details_pb2", "google.rpc.status_pb2"),
    "google.longrunning.": ("google.longrunning.operations_proto_pb2",),
}  # fmt: skip


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
        try:
            return self._pool.FindMessageTypeByName(full_name)
        except KeyError:
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
        pool, names = _load(data)
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
                _demand_equal(mine.descriptor, kind.descriptor)
            both._types.setdefault(kind.full_name, mine or kind)
        for source in other._sources:
            for name in (*self._types, *source.names(), *(n for s in self._sources for n in s.names())):
                if (mine := self._find(name)) is not None and not _is_static(name):
                    theirs = source.find(name)
                    if theirs is not None:
                        _demand_equal(mine.descriptor, theirs)
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
    def unpack(self, payload: any_pb2.Any, expected: type[T]) -> T: ...
    def unpack(self, payload: any_pb2.Any, expected: type[Any] | None = None) -> Any:
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
        except (InvalidTypeUrlError, PayloadDecodeError):
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

    def __contains__(self, full_name: str) -> bool:
        return self.find(full_name) is not None

    def __repr__(self) -> str:
        lazy = f", {len(self._sources)} lazy source(s)" if self._sources else ""
        return f"<TypeRegistry {len(self._types)} type(s){lazy}>"

    # -- inside -------------------------------------------------------------------------------------------------

    def _add(self, kind: MessageType[Any]) -> None:
        mine = self._types.get(kind.full_name)
        if mine is not None:
            _demand_equal(mine.descriptor, kind.descriptor)
            return
        static = _static_type(kind.full_name)
        if static is not None and static.pb_class is not kind.pb_class:
            kind = static
        self._types[kind.full_name] = kind

    def _find(self, full_name: str) -> MessageType[Any] | None:
        kind = self._types.get(full_name) or _static_type(full_name)
        if kind is not None:
            return kind
        found: Descriptor | None = None
        for source in self._sources:
            descriptor = source.find(full_name)
            if descriptor is not None:
                if found is None:
                    found = descriptor
                else:
                    _demand_equal(found, descriptor)
        return None if found is None else message_type(message_factory.GetMessageClass(found))


def _is_static(full_name: str) -> bool:
    return full_name.startswith(tuple(_STATIC))


def _static_type(full_name: str) -> MessageType[Any] | None:
    for package, modules in _STATIC.items():
        if full_name.startswith(package):
            for module in modules:
                importlib.import_module(module)
            try:
                descriptor = descriptor_pool.Default().FindMessageTypeByName(full_name)
            except KeyError:
                return None
            return message_type(message_factory.GetMessageClass(descriptor))
    return None


def _load(data: bytes) -> tuple[descriptor_pool.DescriptorPool, frozenset[str]]:
    files = descriptor_pb2.FileDescriptorSet()
    try:
        files.ParseFromString(data)
    except Exception as error:  # DecodeError, and more from the pure Python runtime
        raise DescriptorError(f"{len(data)} bytes are not a google.protobuf.FileDescriptorSet: {error}") from error
    by_name = {file.name: file for file in files.file}
    if not by_name:
        raise DescriptorError("the descriptor set holds no files")
    pool = descriptor_pool.DescriptorPool()
    names: set[str] = set()
    done: set[str] = set()

    def add(name: str, wanted_by: str) -> None:
        # An explicit stack: a chain of imports may be longer than Python's own stack allows.
        stack: list[tuple[str, str, bool]] = [(name, wanted_by, False)]
        while stack:
            current, importer, ready = stack.pop()
            if current in done:
                continue
            file = by_name.get(current) or _installed_file(current)
            if file is None:
                raise DescriptorError(
                    f"{importer!r} imports {current!r}, which is not in the descriptor set; "
                    "build it with its imports (protoc --include_imports, or buf build)"
                )
            if not ready:
                stack.append((current, importer, True))
                stack.extend((needed, current, False) for needed in file.dependency if needed not in done)
                if len(stack) > 100_000:
                    raise DescriptorError(f"the imports of {name!r} run in a circle")
                continue
            done.add(current)
            try:
                pool.AddSerializedFile(file.SerializeToString())
            except Exception as error:  # TypeError, ValueError, KeyError: each runtime has its own
                raise DescriptorError(f"file {current!r} of the descriptor set does not load: {error}") from error

    for name, file in by_name.items():
        add(name, name)
        names.update(_declared(file))
    return pool, frozenset(names)


def _installed_file(name: str) -> descriptor_pb2.FileDescriptorProto | None:
    """A file the descriptor set may leave out, because every runtime brings it."""
    if not name.startswith("google/protobuf/"):
        return None
    _static_type("google.protobuf.Any")  # loads them all
    try:
        file = descriptor_pool.Default().FindFileByName(name)
    except KeyError:
        return None
    proto = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(proto)
    return proto


def _declared(file: descriptor_pb2.FileDescriptorProto) -> Iterator[str]:
    prefix = f"{file.package}." if file.package else ""
    stack = [(prefix, message) for message in file.message_type]
    while stack:
        scope, message = stack.pop()
        yield scope + message.name
        stack.extend((f"{scope}{message.name}.", nested) for nested in message.nested_type)


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


# -- equality of definitions ------------------------------------------------------------------------------------


def _demand_equal(left: Descriptor, right: Descriptor) -> None:
    if not _equal(left, right):
        raise RegistryConflictError(left.full_name)


def _equal(left: Descriptor, right: Descriptor) -> bool:
    """Whether two descriptors define the same message, all the messages and enums it reaches included."""
    seen: set[str] = set()
    pending = [(left, right)]
    while pending:
        mine, theirs = pending.pop()
        if mine is theirs or mine.full_name in seen:
            continue
        seen.add(mine.full_name)
        if _is_static(mine.full_name) and _is_static(theirs.full_name):
            continue  # fixed by what is installed (law 3)
        if mine.full_name != theirs.full_name or _shape(mine) != _shape(theirs):
            return False
        for field in mine.fields:
            left_type, right_type = field.message_type, theirs.fields_by_name[field.name].message_type
            if left_type is not None and right_type is not None:
                pending.append((left_type, right_type))
    return True


def _shape(descriptor: Descriptor) -> list[tuple[Any, ...]]:
    """What decides how bytes and JSON are read; options, comments and order do not."""
    return sorted(
        (
            field.number,
            field.name,
            field.json_name,
            field.type,
            is_repeated(field),
            field.has_presence,
            field.message_type.full_name if field.message_type is not None else "",  # pyright: ignore[reportUnnecessaryComparison]
            sorted((v.number, v.name) for v in field.enum_type.values) if field.enum_type is not None else [],  # pyright: ignore[reportUnnecessaryComparison]
            field.containing_oneof.name if field.containing_oneof is not None else "",  # pyright: ignore[reportUnnecessaryComparison]
        )
        for field in descriptor.fields
    )


def is_repeated(field: Any) -> bool:
    """Whether a field holds a list or a map."""
    # `label` is deprecated from protobuf 6.31 on, `is_repeated` unknown before it: ask for the newer one first.
    repeated = getattr(field, "is_repeated", None)
    if repeated is None:
        return bool(field.label == field.LABEL_REPEATED)
    return bool(repeated() if callable(repeated) else repeated)
