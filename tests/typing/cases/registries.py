# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""`TypeRegistry`: what it is made of, packs and unpacks."""

from __future__ import annotations

from typing import assert_type

from google.protobuf import any_pb2, descriptor_pool, struct_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from example.library.v1 import library_pb2
from example.library.v1.library_pb2 import ImportBooksMetadata, Shelf
from longrunning import TypeRegistry, UnknownPayload


def made(image: bytes) -> None:
    assert_type(TypeRegistry(), TypeRegistry)
    assert_type(TypeRegistry(Shelf, ImportBooksMetadata, allowed_prefixes=["types.example.com/"]), TypeRegistry)
    assert_type(TypeRegistry.from_modules(library_pb2), TypeRegistry)
    assert_type(TypeRegistry.from_pool(descriptor_pool.Default()), TypeRegistry)
    assert_type(TypeRegistry.from_file_descriptor_set(image), TypeRegistry)
    assert_type(TypeRegistry(Shelf) | TypeRegistry.from_file_descriptor_set(image), TypeRegistry)
    assert_type("example.library.v1.Shelf" in TypeRegistry(Shelf), bool)


def unpacked(registry: TypeRegistry, payload: any_pb2.Any) -> None:
    assert_type(registry.unpack(payload), Message | UnknownPayload)
    assert_type(registry.unpack(payload, Shelf), Shelf)
    assert_type(registry.unpack(payload, expected=struct_pb2.Struct), struct_pb2.Struct)
    assert_type(registry.unpack(payload, error_details_pb2.ErrorInfo).reason, str)
    assert_type(registry.unpack(payload, any_pb2.Any), Message | UnknownPayload)
    found = registry.unpack(payload)
    if isinstance(found, UnknownPayload):
        assert_type(found, UnknownPayload)
        assert_type(found.type_url, str)
        assert_type(found.value, bytes)
        assert_type(found.document, str | None)
        assert_type(found.to_any(), any_pb2.Any)
    elif isinstance(found, ImportBooksMetadata):
        assert_type(found.percent, int)


def packed(registry: TypeRegistry, unknown: UnknownPayload) -> None:
    assert_type(registry.pack(Shelf(name="shelves/1")), any_pb2.Any)
    assert_type(registry.pack(unknown), any_pb2.Any)
