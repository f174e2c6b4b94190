# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Descriptors: which are fixed by what is installed, how a descriptor set becomes a pool, when two mean the same."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from ._any import MessageType, message_type
from .errors import DescriptorError, RegistryConflictError

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, FileDescriptor

__all__ = ["demand_equal", "is_repeated", "is_static", "load_files", "static_type"]

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
    "google.rpc.": (
        "google.rpc.code_pb2", "google.rpc.error_details_pb2", "google.rpc.http_pb2", "google.rpc.status_pb2",
        "google.rpc.context.attribute_context_pb2", "google.rpc.context.audit_context_pb2",
    ),
    "google.longrunning.": ("google.longrunning.operations_proto_pb2",),
}  # fmt: skip


def is_static(full_name: str) -> bool:
    """Whether the class of that name is fixed by what is installed."""
    return static_type(full_name) is not None


def static_type(full_name: str) -> MessageType[Any] | None:
    """The installed class of such a name; ``None`` for any other."""
    for package in _STATIC:
        if full_name.startswith(package):
            return _static_types(package).get(full_name)
    return None


@functools.cache
def _static_types(package: str) -> dict[str, MessageType[Any]]:
    """All messages of the modules of a package: of those, and of nothing that was added to the default pool since."""
    found: dict[str, MessageType[Any]] = {}
    for module in _STATIC[package]:
        try:
            file: FileDescriptor = importlib.import_module(module).DESCRIPTOR
        except ImportError:  # older googleapis-common-protos have fewer of them
            continue
        pending = list(file.message_types_by_name.values())
        while pending:
            descriptor = pending.pop()
            found[descriptor.full_name] = message_type(message_factory.GetMessageClass(descriptor))
            pending.extend(descriptor.nested_types)
    return found


def load_files(data: bytes) -> tuple[descriptor_pool.DescriptorPool, frozenset[str]]:
    """Makes a pool of its own from a serialized ``google.protobuf.FileDescriptorSet``.

    Returns:
        The pool, and the full names of the messages the set declares.

    Raises:
        DescriptorError: It is not one, or a file it needs is missing from it.
    """
    files = descriptor_pb2.FileDescriptorSet()
    try:
        files.ParseFromString(data)
    except Exception as error:  # DecodeError, and more from the pure Python runtime
        raise DescriptorError(f"{len(data)} bytes are not a google.protobuf.FileDescriptorSet: {error}") from error
    for file in files.file:
        for name in (file.name, *file.dependency):
            if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance] # bytes, where it is not UTF-8
                raise DescriptorError(f"the descriptor set names a file {name!r}, which is not UTF-8")
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
    static_type("google.protobuf.Any")  # loads them all
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


# -- equality of definitions ------------------------------------------------------------------------------------


def demand_equal(left: Descriptor, right: Descriptor) -> None:
    """Refuses two definitions under one name.

    Raises:
        RegistryConflictError: They differ.
    """
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
        if is_static(mine.full_name) and is_static(theirs.full_name):
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
