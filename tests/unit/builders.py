# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What the unit tests build from: real types, types made at run time, operations, documents, hostile depths.

Much is `Any` here: what the type checkers make of it all is the matter of tests/typing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.cloud.redis_v1 import types as redis
from google.longrunning import operations_proto_pb2
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from longrunning.method import LroMethod
from longrunning.operation import Operation
from longrunning.registry import TypeRegistry

U = "type.googleapis.com/"
NAME = "projects/p/locations/l/operations/1"
PATH = "/google.cloud.redis.v1.CloudRedis/CreateInstance"
REGISTRY = TypeRegistry()
SOURCES = ("proto", "bytes", "json")
LEVELS = (100, 101, 500, 100_000)

Instance: Any = redis.Instance
InstancePb: Any = Instance.pb()
Metadata: Any = redis.OperationMetadata
MetadataPb: Any = Metadata.pb()
ProtoOperation: Any = operations_proto_pb2.Operation

CREATE: LroMethod[Any, Any, Any] = LroMethod(
    path=PATH, request_type=redis.CreateInstanceRequest, response_type=Instance, metadata_type=Metadata
)


def method(response: type[Any] = InstancePb, metadata: type[Any] = MetadataPb) -> LroMethod[Any, Any, Any]:
    """A method that returns these types."""
    return LroMethod(
        path=PATH, request_type=redis.CreateInstanceRequest, response_type=response, metadata_type=metadata
    )


def any_of(message: Any, prefix: str = U) -> any_pb2.Any:
    """Packs a protobuf or proto-plus message."""
    pb: Any = message if isinstance(message, Message) else message.__class__.pb(message)
    return any_pb2.Any(type_url=prefix + pb.DESCRIPTOR.full_name, value=pb.SerializePartialToString())


def raw(type_url: str, value: bytes = b"") -> any_pb2.Any:
    """An Any as it may come from anywhere."""
    return any_pb2.Any(type_url=type_url, value=value)


def status(code: int = 3, message: str = "bad", *details: any_pb2.Any) -> status_pb2.Status:
    """A google.rpc.Status."""
    return status_pb2.Status(code=code, message=message, details=details)


def proto(**fields: Any) -> Any:
    """A google.longrunning.Operation: done and named unless told otherwise."""
    return ProtoOperation(**{"name": NAME, "done": True, **fields})


def snapshot(
    message: Any,
    types: LroMethod[Any, Any, Any] | None = None,
    *,
    source: str = "proto",
    registry: TypeRegistry = REGISTRY,
) -> Any:
    """A snapshot of a message, made in one of three ways."""
    made: Any = Operation
    if source == "proto":
        return made.from_proto(message, types, registry=registry)
    if source == "bytes":
        return made.from_bytes(message.SerializeToString(), types, registry=registry)
    return made.from_json(made.from_proto(message, types, registry=registry).to_json(), types, registry=registry)


def same(one: Any, other: Any) -> bool:
    """Whether two messages are the same, byte for byte: pure Python compares an Any by decoding it, and fails where it cannot."""
    return type(one) is type(other) and one.SerializeToString(deterministic=True) == other.SerializeToString(
        deterministic=True
    )


def operation(types: LroMethod[Any, Any, Any] | None = None, **fields: Any) -> Any:
    """A snapshot of `proto(**fields)`."""
    return snapshot(proto(**fields), types)


def read(document: Any, types: LroMethod[Any, Any, Any] | None = None, registry: TypeRegistry = REGISTRY) -> Any:
    """A snapshot read from JSON."""
    made: Any = Operation
    return made.from_json(document, types, registry=registry)


def with_response(payload: Any) -> dict[str, Any]:
    """The document of a done operation."""
    return {"name": NAME, "done": True, "response": payload}


def written(snapshot_: Operation[Any, Any]) -> Any:
    """What a snapshot writes, parsed again."""
    return json.loads(snapshot_.to_json())


# -- types made at run time -------------------------------------------------------------------------------------

_TYPES = {"double": 1, "int64": 3, "uint64": 4, "int32": 5, "bool": 8, "string": 9, "bytes": 12, "float": 2}


def proto_file(
    name: str, package: str, *, syntax: str = "proto3", needs: tuple[str, ...] = ()
) -> descriptor_pb2.FileDescriptorProto:
    """A .proto file without anything in it."""
    return descriptor_pb2.FileDescriptorProto(name=name, package=package, syntax=syntax, dependency=needs)


def add_message(
    file: descriptor_pb2.FileDescriptorProto, message_name: str, /, **fields: str
) -> descriptor_pb2.DescriptorProto:
    """Adds a message; fields read ``name="int64"``, ``name="repeated .zoo.Animal"`` or ``name="required string"``."""
    message = file.message_type.add(name=message_name)
    for number, (field, spec) in enumerate(fields.items(), 1):
        label, _, kind = spec.rpartition(" ")
        added = message.field.add(name=field, number=number, label={"": 1, "required": 2, "repeated": 3}[label])
        if kind in _TYPES:
            added.type = _TYPES[kind]  # type: ignore[assignment] # pyright: ignore[reportAttributeAccessIssue]
        else:
            added.type, added.type_name = (14 if kind.endswith("Kind") else 11), kind  # type: ignore[assignment] # pyright: ignore[reportAttributeAccessIssue]
    return message


def file_set(*files: descriptor_pb2.FileDescriptorProto) -> bytes:
    """A serialized FileDescriptorSet."""
    return descriptor_pb2.FileDescriptorSet(file=files).SerializeToString()


def zoo(package: str) -> descriptor_pb2.FileDescriptorProto:
    """Recursive messages with every shape of Any field, a map, an enum and 64-bit integers; one with an extension."""
    file = proto_file(f"{package}.proto", package, syntax="proto2", needs=("google/protobuf/any.proto",))
    kind = file.enum_type.add(name="Kind")
    for number, value in enumerate(("UNKNOWN", "CAT", "DOG")):
        kind.value.add(name=value, number=number)
    animal = add_message(
        file, "Animal", name="string", weight="int64", kind=f".{package}.Kind", tag="." + _ANY, tags="repeated ." + _ANY,
        child=f".{package}.Animal", by_name=f"repeated .{package}.Animal.ByNameEntry", chip_number="uint64",
    )  # fmt: skip
    entry = animal.nested_type.add(name="ByNameEntry")
    entry.field.add(name="key", number=1, label=1, type=9)
    entry.field.add(name="value", number=2, label=1, type=11, type_name="." + _ANY)
    entry.options.map_entry = True
    animal.extension_range.add(start=100, end=200)
    file.extension.add(name="note", number=100, label=1, type=11, type_name="." + _ANY, extendee=f".{package}.Animal")
    add_message(file, "Strict", must="required string")
    return file


_ANY = any_pb2.Any.DESCRIPTOR.full_name

DYNAMIC = TypeRegistry.from_file_descriptor_set(file_set(zoo("dynamic_zoo")))
"""Its classes, and the Any inside them, are dynamic."""


def _generated() -> TypeRegistry:
    # What a generated module does when it is imported.
    any_pb2.Any()
    descriptor_pool.Default().AddSerializedFile(zoo("longrunning_unit_zoo").SerializeToString())
    return TypeRegistry.from_pool(descriptor_pool.Default())


GENERATED = _generated()
"""Its classes are in the default pool, like those of generated modules, and the Any inside them is the static class."""

ZOOS = {"dynamic": (DYNAMIC, "dynamic_zoo"), "generated": (GENERATED, "longrunning_unit_zoo")}


def message_class(registry: TypeRegistry, full_name: str) -> Any:
    """The class a registry has for a name."""
    kind = registry.find(full_name)
    assert kind is not None
    return kind.cls


def library() -> tuple[bytes, descriptor_pool.DescriptorPool]:
    """The compiled example protos, as buf writes them, and a pool of them."""
    data = (Path(__file__).parents[2] / "generated" / "descriptors" / "longrunning.binpb").read_bytes()
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(data).file:
        pool.AddSerializedFile(file.SerializeToString())
    return data, pool


def class_in(pool: descriptor_pool.DescriptorPool, full_name: str) -> Any:
    """The dynamic class of a message in a pool."""
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(full_name))


# -- hostile depths ---------------------------------------------------------------------------------------------


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _wrapped(levels: int, heads: tuple[bytes, ...], inner: bytes) -> bytes:
    """`inner` in so many levels; each level is `heads`, the last of which is the tag of what holds the next level."""
    parts, size = [inner], len(inner)
    for level in range(levels):
        head = heads[level % len(heads)] + _varint(size)
        parts.append(head)
        size += len(head)
    return b"".join(reversed(parts))


def nested_any(levels: int, innermost: any_pb2.Any | None = None) -> any_pb2.Any:
    """An Any in an Any in an Any: `levels` of them, and one that is no Any in the middle."""
    url = (U + _ANY).encode()
    inner = (innermost or any_of(error_details_pb2.ErrorInfo(reason="R"))).SerializeToString()
    # Level by level: field 1, the URL, then field 2, the Any within.
    return any_pb2.Any.FromString(_wrapped(levels, (b"\x0a" + _varint(len(url)) + url + b"\x12",), inner))


def nested_struct(levels: int) -> any_pb2.Any:
    """A Struct in a Struct in a Struct."""
    # Struct.fields is an entry of key 1 and value 2; Value.struct_value is 5.
    value = _wrapped(3 * levels, (b"\x2a", b"\x0a\x01a\x12", b"\x0a"), b"")
    return raw(U + "google.protobuf.Struct", value)


def any_document(levels: int) -> str:
    """The JSON of a response nested so deeply that the whole document has `levels` levels."""
    head = f'{{"@type":"{U}google.protobuf.Any","value":'
    depth = levels - 2
    return (
        f'{{"name":"{NAME}","done":true,"response":{head * depth}{{"@type":"{U}google.protobuf.Empty"}}{"}" * depth}}}'
    )


def object_document(levels: int, opening: str = '{"a":', closing: str = "}") -> str:
    """The JSON of metadata of unknown type, nested so deeply that the whole document has `levels` levels."""
    depth = levels - 2
    return f'{{"name":"{NAME}","metadata":{{"@type":"{U}no.Such","x":{opening * depth}1{closing * depth}}}}}'


def nested_dict(levels: int) -> dict[str, Any]:
    """The same as an object somebody parsed. Take it apart with `dismantle`: freeing it at once may end the process."""
    inner: Any = 1
    for _ in range(levels - 2):
        inner = {"a": inner}
    return {"name": NAME, "metadata": {"@type": U + "no.Such", "x": inner}}


def dismantle(document: dict[str, Any]) -> None:
    """Frees nested dictionaries level by level."""
    level: dict[str, Any] | None = document
    while level is not None:
        within = [key for key, value in level.items() if isinstance(value, dict)]
        level = level.pop(within[0]) if within else None


def subclasses(cls: type[Any]) -> Iterator[type[Any]]:
    """A class and everything below it."""
    yield cls
    for below in cls.__subclasses__():
        yield from subclasses(below)
