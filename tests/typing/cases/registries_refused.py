# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What a `TypeRegistry` cannot be made of, pack or unpack."""

from __future__ import annotations

from google.protobuf import any_pb2

from example.library.v1.library_pb2 import ImportBooksMetadata, Shelf
from longrunning import TypeRegistry, UnknownPayload


def made(registry: TypeRegistry, path: str) -> None:
    TypeRegistry(Shelf())  # E: arg-type | ArgumentType
    TypeRegistry("example.library.v1.Shelf")  # E: arg-type | ArgumentType
    TypeRegistry([Shelf, ImportBooksMetadata])  # E: arg-type | ArgumentType
    TypeRegistry.from_file_descriptor_set(path)  # E: arg-type | ArgumentType
    TypeRegistry.from_modules("example.library.v1.library_pb2")  # E: arg-type | ArgumentType
    print(registry | "example.library.v1.Shelf")  # E: operator | OperatorIssue
    registry.types = {}  # E: attr-defined | AttributeAccessIssue


def unpacked(registry: TypeRegistry, payload: any_pb2.Any, unknown: UnknownPayload) -> None:
    shelf: Shelf = registry.unpack(payload)  # E: assignment | AssignmentType
    metadata: ImportBooksMetadata = registry.unpack(payload, Shelf)  # E: assignment | AssignmentType
    registry.unpack(b"bytes", Shelf)  # E: call-overload | ArgumentType
    registry.unpack(payload, "example.library.v1.Shelf")  # E: call-overload | ArgumentType
    registry.unpack(payload, Shelf())  # E: call-overload | ArgumentType
    registry.unpack(payload, Shelf, ImportBooksMetadata)  # E: call-overload | CallIssue
    registry.unpack(payload).name  # E: union-attr | AttributeAccessIssue
    unknown.value = b""  # E: misc | AttributeAccessIssue
    print(shelf, metadata)
