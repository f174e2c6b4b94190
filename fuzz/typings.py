# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The declarations under which an input is read, and what each of them accepts, said without the code under test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from google.cloud.redis_v1.types import cloud_redis
from google.longrunning import operations_proto_pb2
from google.protobuf import (
    any_pb2,
    api_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    message_factory,
    source_context_pb2,
    struct_pb2,
    timestamp_pb2,
    type_pb2,
    wrappers_pb2,
)
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from example.library.v1 import library_pb2
from longrunning.method import LroMethod
from longrunning.registry import TypeRegistry

GOOGLE = "type.googleapis.com/"
STATIC_PACKAGES = ("google.protobuf.", "google.rpc.", "google.longrunning.")
# Imported so that the default pool knows the same messages as every registry.
STATIC_MODULES = (
    any_pb2, api_pb2, code_pb2, descriptor_pb2, duration_pb2, empty_pb2, error_details_pb2, field_mask_pb2,
    operations_proto_pb2, source_context_pb2, status_pb2, struct_pb2, timestamp_pb2, type_pb2, wrappers_pb2,
)  # fmt: skip

INSTANCE: Any = cloud_redis.Instance
INSTANCE_METADATA: Any = cloud_redis.OperationMetadata


@dataclass(frozen=True, slots=True)
class Typing:
    """One way to read an operation.

    Attributes:
        registry: The registry.
        method: What it is read with; ``None`` for the registry alone.
        response: Protobuf classes the response may have, by full name; ``None`` if anything will do.
        metadata: The same of the metadata.
        known: The classes the registry was given.
        prefixes: Of the type URLs to be trusted.
    """

    registry: TypeRegistry
    method: LroMethod[Any, Any, Any] | None
    response: dict[str, type[Message]] | None
    metadata: dict[str, type[Message]] | None
    known: dict[str, type[Message]]
    prefixes: tuple[str, ...]

    def name(self, type_url: str) -> str | None:
        """The full name a type URL names; ``None`` if the URL is not to be trusted or names none."""
        for prefix in self.prefixes:
            name = type_url.removeprefix(prefix)
            if name != type_url and all(part.isascii() and part.isidentifier() for part in name.split(".")):
                return name
        return None

    def find(self, type_url: str) -> type[Message] | None:
        """The class of a payload; ``None`` if it is not known here."""
        name = self.name(type_url)
        if name is None:
            return None
        declared = (self.response or {}).get(name) or (self.metadata or {}).get(name) or self.known.get(name)
        if declared is not None or not name.startswith(STATIC_PACKAGES):
            return declared
        try:
            return message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))
        except KeyError:
            return None


def pb_class(cls: Any) -> type[Message]:
    """The protobuf class; of a proto-plus class, the one underneath."""
    found: type[Message] = cls if issubclass(cls, Message) else cls.pb()
    return found


def typing(
    response: tuple[Any, ...] = (),
    metadata: tuple[Any, ...] = (),
    known: tuple[Any, ...] = (),
    prefix: str | None = None,
) -> Typing:
    """Makes both sides: what is declared to the code under test, and what the properties go by."""
    registry = TypeRegistry(*known, allowed_prefixes=(prefix,) if prefix else ())
    method: LroMethod[Any, Any, Any] | None = None
    if response:
        method = LroMethod(
            path="/example.library.v1.Library/CreateShelf",
            request_type=library_pb2.CreateShelfRequest,
            response_type=response[0],
            metadata_type=metadata[0],
        )
        for more in response[1:]:
            method = method.or_types(response=more, metadata=metadata[0])

    def accepted(classes: tuple[Any, ...]) -> dict[str, type[Message]] | None:
        names = {cls.DESCRIPTOR.full_name: cls for cls in map(pb_class, classes)}
        return None if not names or any_pb2.Any.DESCRIPTOR.full_name in names else names

    return Typing(
        registry,
        method,
        accepted(response),
        accepted(metadata),
        {cls.DESCRIPTOR.full_name: cls for cls in map(pb_class, known)},
        (GOOGLE, prefix) if prefix else (GOOGLE,),
    )


LIBRARY = tuple(
    message_factory.GetMessageClass(descriptor) for descriptor in library_pb2.DESCRIPTOR.message_types_by_name.values()
)

TYPINGS: tuple[Typing, ...] = (
    typing(),
    typing(known=(*LIBRARY, INSTANCE), prefix="types.example.com/"),
    typing((library_pb2.Shelf,), (library_pb2.OperationMetadata,)),
    typing((library_pb2.ImportBooksResponse, library_pb2.Shelf), (library_pb2.ImportBooksMetadata,)),
    typing((empty_pb2.Empty,), (library_pb2.OperationMetadata,), prefix="types.example.com/"),
    typing((any_pb2.Any,), (any_pb2.Any,), known=LIBRARY),
    typing((struct_pb2.Struct,), (struct_pb2.Value,)),
    typing((INSTANCE,), (INSTANCE_METADATA,)),
    typing((operations_proto_pb2.ListOperationsResponse,), (status_pb2.Status,)),
)

# What payloads are made of: every kind of field, maps, oneofs, groups of the well-known types, Any in messages.
GALLERY: tuple[type[Message], ...] = (
    *LIBRARY,
    pb_class(INSTANCE),
    pb_class(INSTANCE_METADATA),
    any_pb2.Any,
    api_pb2.Api,
    descriptor_pb2.FieldOptions,
    duration_pb2.Duration,
    empty_pb2.Empty,
    error_details_pb2.BadRequest,
    error_details_pb2.ErrorInfo,
    error_details_pb2.RetryInfo,
    field_mask_pb2.FieldMask,
    operations_proto_pb2.ListOperationsResponse,
    operations_proto_pb2.Operation,
    status_pb2.Status,
    struct_pb2.ListValue,
    struct_pb2.Struct,
    struct_pb2.Value,
    timestamp_pb2.Timestamp,
    type_pb2.Type,
    wrappers_pb2.BoolValue,
    wrappers_pb2.BytesValue,
    wrappers_pb2.DoubleValue,
    wrappers_pb2.FloatValue,
    wrappers_pb2.Int64Value,
    wrappers_pb2.StringValue,
    wrappers_pb2.UInt32Value,
)
