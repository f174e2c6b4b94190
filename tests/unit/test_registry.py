# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The registry: which types it finds, which it refuses to mix, what it makes of payloads."""

from __future__ import annotations

import contextlib
import types
from collections.abc import Callable
from typing import Any

import pytest
from google.cloud.redis_v1 import types as redis
from google.longrunning import operations_proto_pb2
from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    struct_pb2,
    timestamp_pb2,
    type_pb2,
    wrappers_pb2,
)
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from example.library.v1 import library_pb2
from longrunning._any import UnknownPayload
from longrunning.errors import (
    DescriptorError,
    InvalidTypeUrlError,
    PayloadDecodeError,
    RegistryConflictError,
    TypeMismatchError,
)
from longrunning.operation import Operation
from longrunning.registry import TypeRegistry
from tests.unit.builders import (
    DYNAMIC,
    Instance,
    InstancePb,
    Metadata,
    MetadataPb,
    U,
    add_message,
    any_of,
    class_in,
    file_set,
    library,
    message_class,
    nested_any,
    proto,
    proto_file,
    raw,
    same,
    snapshot,
    status,
    zoo,
)

INSTANCE = "google.cloud.redis.v1.Instance"


def registry_of(file: descriptor_pb2.FileDescriptorProto, *more: descriptor_pb2.FileDescriptorProto) -> TypeRegistry:
    """The registry of files made here."""
    return TypeRegistry.from_file_descriptor_set(file_set(file, *more))


def pool_of(*files: descriptor_pb2.FileDescriptorProto) -> descriptor_pool.DescriptorPool:
    """A pool of files made here."""
    pool = descriptor_pool.DescriptorPool()
    for file in files:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


def cat(**fields: str) -> descriptor_pb2.FileDescriptorProto:
    """A file with one message, zoo.Cat."""
    file = proto_file("cat.proto", "zoo")
    add_message(file, "Cat", **fields)
    return file


CAT = registry_of(cat(name="string"))
TWIN = registry_of(cat(name="string"))
OTHER_CAT = registry_of(cat(name="int64"))


# -- what is found ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cls",
    [any_pb2.Any, duration_pb2.Duration, empty_pb2.Empty, field_mask_pb2.FieldMask, struct_pb2.Struct, struct_pb2.Value,
     timestamp_pb2.Timestamp, wrappers_pb2.BytesValue, type_pb2.Type, status_pb2.Status, operations_proto_pb2.Operation,
     *(getattr(error_details_pb2, name) for name in error_details_pb2.DESCRIPTOR.message_types_by_name)],
    ids=lambda cls: cls.__name__,
)  # fmt: skip
@pytest.mark.parametrize(
    "registry",
    [TypeRegistry(), TypeRegistry(Instance), DYNAMIC, CAT | DYNAMIC, TypeRegistry.from_pool(descriptor_pool.DescriptorPool()),
     TypeRegistry.from_file_descriptor_set(library()[0])],
    ids=["empty", "classes", "descriptor set", "union", "pool", "own copies"],
)  # fmt: skip
def test_always_known(registry: TypeRegistry, cls: Any) -> None:
    """Every registry knows the well-known types and the error details, as the installed classes (TYPE-8, law 1)."""
    assert message_class(registry, cls.DESCRIPTOR.full_name) is cls
    assert type(registry.unpack(any_of(cls()))) is cls


@pytest.mark.parametrize("cls", [Instance, InstancePb], ids=["proto-plus", "protobuf"])
def test_class_as_given(cls: Any) -> None:
    """A proto-plus class and the one under it are one type; the one that was given is returned (TYPE-8)."""
    registry = TypeRegistry(cls)
    assert INSTANCE in registry
    assert type(registry.unpack(any_of(InstancePb(name="i")))) is cls
    for expected in (Instance, InstancePb):
        assert type(registry.unpack(any_of(InstancePb(name="i")), expected)) is expected


@pytest.mark.parametrize(
    ("first", "second"), [(Instance, InstancePb), (InstancePb, Instance)], ids=["plus first", "pb first"]
)
def test_both_classes(first: Any, second: Any) -> None:
    """Of a proto-plus class and the one under it, the left one wins and there is no conflict (TYPE-8)."""
    for registry in (TypeRegistry(first, second), TypeRegistry(first) | TypeRegistry(second)):
        assert message_class(registry, INSTANCE) is first


@pytest.mark.parametrize(
    "name",
    [
        "Instance",
        "redis.v1.Instance",
        ".google.cloud.redis.v1.Instance",
        "v1.Instance",
        "instance",
        "google.cloud.redis.v1",
        "",
    ],
)
def test_full_name_only(name: str) -> None:
    """Types are found by their full name and no other way (TYPE-8)."""
    pool = TypeRegistry.from_pool(descriptor_pool.Default())
    for registry in (TypeRegistry(Instance), pool, TypeRegistry(Instance) | pool):
        assert name not in registry
        assert registry.find(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "google.longrunning.Operations",
        "google.rpc.Code",
        "google.rpc.Status.code",
        "google.rpc",
        "google.protobuf",
        "\x00",
        "é",
        "\ud800",
        "a b",
    ],
    ids=ascii,
)
def test_name_of_something_else(name: str) -> None:
    """The name of a service, an enum, a field, a package, or of nothing at all, is no type, and no error (TYPE-8, law 6)."""
    pool = TypeRegistry.from_pool(descriptor_pool.Default())
    for registry in (TypeRegistry(), pool, DYNAMIC, pool | DYNAMIC):
        assert name not in registry
        if name != "\ud800":
            assert registry.unpack(raw(U + name, b"\x01")) == UnknownPayload(U + name, b"\x01")


def test_same_leaf_name() -> None:
    """Messages of one leaf name in several packages are several types (TYPE-8)."""
    one, two = proto_file("one.proto", "one.v1"), proto_file("two.proto", "two.v1")
    add_message(one, "OperationMetadata", a="string")
    add_message(two, "OperationMetadata", a="int64")
    registry = registry_of(one, two) | TypeRegistry(Metadata)
    names = ["one.v1.OperationMetadata", "two.v1.OperationMetadata", "google.cloud.redis.v1.OperationMetadata"]
    assert [message_class(registry, name).__name__ for name in names] == ["OperationMetadata"] * 3
    assert len({message_class(registry, name) for name in names}) == 3


def test_not_global() -> None:
    """What is imported, or added to the default pool, changes no registry (law 8, TYPE-8)."""
    names = [
        f"{package}.longrunning_unit.Late"
        for package in ("google.rpc", "google.protobuf", "google.longrunning", "some")
    ]
    registry = TypeRegistry()
    for name in names:
        file = proto_file(f"{name}.proto", name.rpartition(".")[0])
        add_message(file, "Late", a="string")
        descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
    assert [name for name in names if name in registry or name in TypeRegistry()] == []


def test_pool_is_lazy() -> None:
    """A pool is asked when a type is needed: what was added later is found (TYPE-8)."""
    pool = descriptor_pool.DescriptorPool()
    registry = TypeRegistry.from_pool(pool)
    assert registry.unpack(raw(U + "zoo.Cat")) == UnknownPayload(U + "zoo.Cat")
    pool.AddSerializedFile(cat(name="string").SerializeToString())
    assert message_class(registry, "zoo.Cat") is class_in(pool, "zoo.Cat")


def test_same_class_each_time() -> None:
    """A type is one class, however often it is looked up (TYPE-8, TYPE-9)."""
    for registry in (DYNAMIC, DYNAMIC | CAT, CAT | DYNAMIC):
        found = {message_class(registry, "dynamic_zoo.Animal") for _ in range(3)}
        assert len(found) == 1
        assert type(registry.unpack(raw(U + "dynamic_zoo.Animal"))) in found


# -- unpacking --------------------------------------------------------------------------------------------------

ODD = {
    "unknown": raw(U + "no.Such", b"\xff"),
    "corrupt": raw(U + INSTANCE, b"\xff"),
    "empty": any_pb2.Any(),
    "no URL": raw("", b"x"),
    "other prefix": raw("evil.example.com/" + INSTANCE, b""),
    "documented": raw("types.example.com/standard/id", b"{}"),
    "NUL": raw(U + "\x00", b""),
    "deep": raw(U + "no.Such", nested_any(500).SerializeToString()),
}


@pytest.mark.parametrize("case", ODD)
def test_unpack_unknown(case: str) -> None:
    """Without an expected type nothing is raised: what is not understood is kept, byte for byte (TYPE-3, TYPE-6)."""
    payload = ODD[case]
    registry = TypeRegistry(Instance)
    found = registry.unpack(payload)
    assert found == UnknownPayload(payload.type_url, payload.value)
    assert same(registry.pack(found), payload)


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        pytest.param(ODD["unknown"], TypeMismatchError, id="unknown"),
        pytest.param(any_of(empty_pb2.Empty()), TypeMismatchError, id="another"),
        pytest.param(ODD["corrupt"], PayloadDecodeError, id="corrupt"),
        pytest.param(ODD["empty"], InvalidTypeUrlError, id="empty"),
        pytest.param(ODD["other prefix"], InvalidTypeUrlError, id="other prefix"),
        pytest.param(ODD["NUL"], InvalidTypeUrlError, id="NUL"),
    ],
)
@pytest.mark.parametrize("registry", [TypeRegistry(), TypeRegistry(Instance)], ids=["unregistered", "registered"])
def test_unpack_expected(payload: any_pb2.Any, error: type[Exception], registry: TypeRegistry) -> None:
    """With an expected type every other payload is an error, and never an UnknownTypeError (TYPE-1, TYPE-3, TYPE-6)."""
    for cls in (Instance, InstancePb):
        with pytest.raises(error) as caught:
            registry.unpack(payload, cls)
        assert type(caught.value) is error


def test_unpack_unregistered_class() -> None:
    """An expected class need not be registered (TYPE-3)."""
    assert TypeRegistry().unpack(any_of(InstancePb(port=1)), Instance).port == 1
    animal = message_class(DYNAMIC, "dynamic_zoo.Animal")
    assert TypeRegistry().unpack(any_of(animal(name="Tom")), animal).name == "Tom"


@pytest.mark.parametrize("expected", [int, "x", Message], ids=repr)
def test_unpack_no_class(expected: Any) -> None:
    """What is no message class cannot be expected (TYPE-9)."""
    with pytest.raises(TypeError):
        TypeRegistry().unpack(any_of(empty_pb2.Empty()), expected)


def test_unpack_any() -> None:
    """An expected Any means that the type is not known beforehand (TYPE-5)."""
    payload = any_of(any_of(empty_pb2.Empty()))
    assert TypeRegistry().unpack(any_of(empty_pb2.Empty()), any_pb2.Any) == empty_pb2.Empty()
    assert TypeRegistry().unpack(payload, any_pb2.Any) == any_of(empty_pb2.Empty())
    assert TypeRegistry().unpack(payload) == any_of(empty_pb2.Empty())


@pytest.mark.parametrize("levels", [100, 101, 500, 100_000])
def test_unpack_deep(levels: int) -> None:
    """One level is unpacked at a time, however many are within (TYPE-7)."""
    found = TypeRegistry().unpack(nested_any(levels))
    assert isinstance(found, any_pb2.Any)
    assert found == nested_any(levels - 1) if levels < 200 else found.type_url


@pytest.mark.parametrize(
    "message",
    [Instance(name="i"), InstancePb(name="i"), empty_pb2.Empty(), raw("x/y", b"1")],
    ids=lambda m: type(m).__name__,
)
def test_pack_and_unpack(message: Any) -> None:
    """What was packed unpacks to an equal message (TYPE-1, TYPE-8)."""
    cls: Any = message.__class__
    registry = TypeRegistry(cls)
    found = registry.unpack(registry.pack(message))
    assert same(found, message) if isinstance(message, Message) else found == message
    assert isinstance(message, any_pb2.Any) or registry.unpack(registry.pack(message), cls) == message


def test_prefixes() -> None:
    """Prefixes are those the registry was told to allow, those of both in a union (TYPE-6)."""
    one, two = TypeRegistry(Instance, allowed_prefixes=["a.example.com/"]), TypeRegistry(allowed_prefixes=("b/c/",))
    payloads = {prefix: raw(prefix + INSTANCE) for prefix in (U, "a.example.com/", "b/c/", "c/")}
    allowed = {
        registry: [prefix for prefix, payload in payloads.items() if registry.unpack(payload) == Instance()]
        for registry in (one, one | two, two | one, TypeRegistry(Instance))
    }
    assert list(allowed.values()) == [
        [U, "a.example.com/"],
        [U, "a.example.com/", "b/c/"],
        [U, "a.example.com/", "b/c/"],
        [U],
    ]


@pytest.mark.parametrize("prefix", ["types.example.com", "/", "", "a/b"])
def test_no_prefix(prefix: str) -> None:
    """A prefix that would let any type through, or none, is refused (TYPE-6)."""
    with pytest.raises(ValueError, match="prefix"):
        TypeRegistry(allowed_prefixes=[prefix])


def test_one_prefix() -> None:
    """A prefix that was not put into a list is not taken apart (TYPE-6)."""
    registry = TypeRegistry(Instance, allowed_prefixes="types.example.com/")
    assert registry.unpack(raw("types.example.com/" + INSTANCE)) == Instance()
    assert isinstance(registry.unpack(raw("t/" + INSTANCE)), UnknownPayload)


def test_mixed_list() -> None:
    """One registry types a list of operations of several services, unknown ones among them (CTRL-4, TYPE-3)."""
    listed = operations_proto_pb2.ListOperationsResponse(
        operations=[
            proto(name="1", response=any_of(InstancePb(name="i")), metadata=any_of(MetadataPb(verb="create"))),
            proto(
                name="2",
                response=any_of(empty_pb2.Empty()),
                metadata=raw(U + "google.cloud.run.v2.Service", b"\x0a\x01s"),
            ),
            proto(
                name="3", error=status(5, "gone", any_of(error_details_pb2.ErrorInfo(reason="R")), raw("x/y/z", b"1"))
            ),
            proto(name="4", done=False, metadata=any_of(message_class(CAT, "zoo.Cat")(name="Tom"))),
            proto(name="5", done=False),
        ]
    )
    registry = TypeRegistry(Instance, Metadata) | CAT
    again = operations_proto_pb2.ListOperationsResponse.FromString(listed.SerializeToString())
    found: list[Any] = [Operation.from_proto(item, registry=registry) for item in again.operations]
    assert (found[0].result(), found[0].metadata) == (Instance(name="i"), Metadata(verb="create"))
    assert found[1].result() == empty_pb2.Empty()
    assert found[1].metadata == UnknownPayload(U + "google.cloud.run.v2.Service", b"\x0a\x01s")
    assert found[2].error is not None
    assert [type(detail) for detail in found[2].error.details] == [error_details_pb2.ErrorInfo, UnknownPayload]
    assert (found[3].metadata.name, found[4].metadata) == ("Tom", None)
    assert all(same(item.to_proto(), given) for item, given in zip(found, listed.operations, strict=True))


# -- conflicts --------------------------------------------------------------------------------------------------

SHAPES: dict[str, descriptor_pb2.FileDescriptorProto] = {
    "type": cat(name="bytes"),
    "name": cat(title="string"),
    "more": cat(name="string", age="int32"),
    "fewer": cat(),
    "repeated": cat(name="repeated string"),
    "number": cat(age="int32", name="string"),
}


def inner(spec: str) -> descriptor_pb2.FileDescriptorProto:
    """A message that differs in what it holds only."""
    file = proto_file("cat.proto", "zoo")
    add_message(file, "Paw", size=spec)
    add_message(file, "Cat", paw=".zoo.Paw")
    return file


def kinds(*values: str) -> descriptor_pb2.FileDescriptorProto:
    """A message that differs in the values of its enum only."""
    file = proto_file("cat.proto", "zoo")
    kind = file.enum_type.add(name="Kind")
    for number, value in enumerate(values):
        kind.value.add(name=value, number=number)
    add_message(file, "Cat", kind=".zoo.Kind")
    return file


def oneof(*, grouped: bool) -> descriptor_pb2.FileDescriptorProto:
    """A message that differs in a oneof only."""
    file = cat(a="string", b="string")
    if grouped:
        file.message_type[0].oneof_decl.add(name="which")
        for field in file.message_type[0].field:
            field.oneof_index = 0
    return file


CONFLICTS = {
    **{case: (cat(name="string"), file) for case, file in SHAPES.items()},
    "message within": (inner("int32"), inner("string")),
    "enum": (kinds("NONE", "BLACK"), kinds("NONE", "WHITE")),
    "oneof": (oneof(grouped=True), oneof(grouped=False)),
}


@pytest.mark.parametrize("case", CONFLICTS)
def test_conflict(case: str) -> None:
    """One name with two definitions is a RegistryConflictError when the registry is made, from either side (TYPE-8)."""
    one, two = (registry_of(file) for file in CONFLICTS[case])
    classes = [message_class(registry, "zoo.Cat") for registry in (one, two)]
    lazy = [TypeRegistry.from_pool(pool_of(file)) for file in CONFLICTS[case]]
    given = [TypeRegistry(cls) for cls in classes]
    unions: list[Callable[[], TypeRegistry]] = [
        lambda: one | two, lambda: two | one, lambda: TypeRegistry(*classes), lambda: TypeRegistry(*reversed(classes)),
        lambda: given[0] | given[1], lambda: given[0] | two, lambda: one | given[1], lambda: lazy[0] | given[1],
        lambda: given[0] | lazy[1], lambda: one | lazy[1], lambda: lazy[0] | two, lambda: CAT | DYNAMIC | one | two,
        lambda: DYNAMIC | (one | TypeRegistry(Instance)) | two,
    ]  # fmt: skip
    for union in unions:
        with pytest.raises(RegistryConflictError, match=r"zoo\.") as caught:
            union()
        assert caught.value.full_name.startswith("zoo.")


@pytest.mark.parametrize(
    "left",
    [CAT, TypeRegistry(message_class(CAT, "zoo.Cat")), TypeRegistry.from_pool(pool_of(cat(name="string")))],
    ids=["set", "class", "pool"],
)
@pytest.mark.parametrize(
    "right",
    [TWIN, TypeRegistry(message_class(TWIN, "zoo.Cat")), TypeRegistry.from_pool(pool_of(cat(name="string")))],
    ids=["set", "class", "pool"],
)
def test_left_wins(left: TypeRegistry, right: TypeRegistry) -> None:
    """Of equal definitions of one name the left one wins (TYPE-8)."""
    assert message_class(left | right, "zoo.Cat") is message_class(left, "zoo.Cat")
    assert message_class(right | left, "zoo.Cat") is message_class(right, "zoo.Cat")


def test_irrelevant_differences() -> None:
    """Order, comments and options of a definition are no difference (TYPE-8)."""
    one, two = cat(name="string", age="int32"), cat(name="string", age="int32")
    two.message_type[0].field.sort(key=lambda field: -field.number)
    two.message_type[0].field[0].options.deprecated = True
    two.options.java_package = "zoo"
    assert "zoo.Cat" in registry_of(one) | registry_of(two)


def test_recursive_types_compare() -> None:
    """Definitions that hold themselves can be compared (TYPE-8, TYPE-7)."""
    one, two = (TypeRegistry.from_file_descriptor_set(file_set(zoo("dynamic_zoo"))) for _ in range(2))
    assert message_class(one | two, "dynamic_zoo.Animal") is message_class(one, "dynamic_zoo.Animal")


def test_two_pools() -> None:
    """Two pools that disagree: building or typed look-up tells; reading and writing never fail (TYPE-8, law 4)."""
    try:
        registry = TypeRegistry.from_pool(pool_of(cat(name="string"))) | TypeRegistry.from_pool(
            pool_of(cat(name="int64"))
        )
    except RegistryConflictError:
        return
    payload = raw(U + "zoo.Cat", b"\x0a\x01a")
    found = snapshot(proto(metadata=payload, error=status(3, "", payload)), registry=registry)
    assert repr(found)
    assert found.metadata_payload == UnknownPayload(payload.type_url, payload.value)
    assert found.error is not None
    assert found.error.details == (UnknownPayload(payload.type_url, payload.value),)
    assert (
        snapshot(proto(metadata=payload), registry=registry, source="json").to_bytes()
        == proto(metadata=payload).SerializeToString()
    )


def test_static_classes_win() -> None:
    """A descriptor set's own google types never take the place of the installed classes (TYPE-8, law 1)."""
    data, pool = library()
    for registry in (
        TypeRegistry.from_file_descriptor_set(data),
        TypeRegistry.from_pool(pool),
        TypeRegistry(class_in(pool, "google.rpc.Status")),
    ):
        for union in (registry, registry | TypeRegistry(), TypeRegistry() | registry):
            assert message_class(union, "google.rpc.Status") is status_pb2.Status
            assert message_class(union, "google.longrunning.Operation") is operations_proto_pb2.Operation


@pytest.mark.parametrize("other", [None, 5, "x", [Instance], Instance], ids=repr)
def test_or_nothing_else(other: Any) -> None:
    """A registry is combined with registries only (TYPE-8)."""
    with pytest.raises(TypeError):
        _ = TypeRegistry() | other


def test_immutable() -> None:
    """Combining registries, and looking types up, changes none of them (TYPE-8, law 8)."""
    one, two = TypeRegistry(Instance), TypeRegistry(Metadata)
    both = one | two | CAT
    assert message_class(both, "zoo.Cat") is message_class(CAT, "zoo.Cat")
    names = [INSTANCE, "google.cloud.redis.v1.OperationMetadata", "zoo.Cat"]
    assert [[name in registry for name in names] for registry in (one, two, CAT, both)] == [
        [True, False, False], [False, True, False], [False, False, True], [True, True, True],
    ]  # fmt: skip


# -- other ways to make one -------------------------------------------------------------------------------------


def test_image() -> None:
    """What buf and protoc write is read, with all the types in it (TYPE-9)."""
    registry = TypeRegistry.from_file_descriptor_set(library()[0])
    shelf = message_class(registry, "example.library.v1.Shelf")
    assert registry.unpack(any_of(shelf(name="s", book_count=3))) == shelf(name="s", book_count=3)


def test_nested_message() -> None:
    """Messages within messages have full names too (TYPE-8, TYPE-9)."""
    file = cat(name="string")
    file.message_type[0].nested_type.add(name="Paw").nested_type.add(name="Claw")
    registry = registry_of(file)
    assert all(name in registry for name in ("zoo.Cat", "zoo.Cat.Paw", "zoo.Cat.Paw.Claw"))
    file.message_type[0].nested_type[0].field.add(name="n", number=1, label=1, type=5)
    with pytest.raises(RegistryConflictError):
        _ = registry | registry_of(file)


def test_order_of_files() -> None:
    """Files of a set may stand in any order (TYPE-9)."""
    last = proto_file("last.proto", "last", needs=("cat.proto", "middle.proto"))
    add_message(last, "Last", cat=".zoo.Cat")
    middle = proto_file("middle.proto", "middle", needs=("cat.proto",))
    assert "last.Last" in registry_of(last, middle, cat(name="string"))


def test_long_chain_of_imports() -> None:
    """A chain of imports may be longer than the stack (TYPE-9, law 6)."""
    files = [proto_file(f"{n}.proto", f"p{n}", needs=(f"{n + 1}.proto",)) for n in range(1_500)]
    files.append(proto_file("1500.proto", "p1500"))
    add_message(files[-1], "Cat", name="string")
    assert "p1500.Cat" in registry_of(files[0], *files[1:])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param(b"\xff\xff", "FileDescriptorSet", id="garbage"),
        pytest.param(b"", "no files", id="nothing"),
        pytest.param(file_set(), "no files", id="no files"),
        pytest.param("text", "FileDescriptorSet", id="text"),
        pytest.param(file_set(proto_file("x.proto", "x", needs=("nope.proto",))), r"x\.proto.*nope\.proto.*include_imports", id="import missing"),
        pytest.param(file_set(proto_file("x.proto", "x", needs=("x.proto",))), "circle|load", id="imports itself"),
        pytest.param(
            file_set(proto_file("x.proto", "x", needs=("y.proto",)), proto_file("y.proto", "y", needs=("x.proto",))),
            "circle", id="circle",
        ),
        pytest.param(file_set(cat(paw=".zoo.Paw")), r"cat\.proto", id="type missing"),
    ],
)  # fmt: skip
def test_no_descriptor_set(data: Any, says: str) -> None:
    """A descriptor set that cannot be used is a DescriptorError that says why, when the registry is made (TYPE-9, law 6)."""
    with pytest.raises(DescriptorError, match=says):
        TypeRegistry.from_file_descriptor_set(data)


def test_same_file_twice() -> None:
    """A set that holds a file twice, as concatenated ones do, is as good as one that holds it once (TYPE-9)."""
    data = file_set(cat(name="string"), proto_file("y.proto", "y")) + file_set(cat(name="string"))
    assert "zoo.Cat" in TypeRegistry.from_file_descriptor_set(data)


def broken(**changes: Any) -> descriptor_pb2.FileDescriptorProto:
    """A file with one fault."""
    file = cat(name="string", age="int32")
    message = file.message_type[0]
    for name, value in changes.items():
        setattr(message if name == "name" else message.field[1], name.removeprefix("field_"), value)
    return file


@pytest.mark.parametrize(
    "file",
    [
        broken(name="a b"),
        broken(field_number=0),
        broken(field_number=1),
        broken(field_name="name"),
        proto_file("x.proto", "x", syntax="proto9"),
    ],
    ids=["name", "number", "number twice", "name twice", "syntax"],
)
def test_broken_file(file: descriptor_pb2.FileDescriptorProto) -> None:
    """A file protobuf would not accept is a DescriptorError, or serves as far as it goes; never another error (law 6, TYPE-9)."""
    with contextlib.suppress(DescriptorError):
        registry_of(file).unpack(raw(U + "zoo.Cat", b"\x0a\x01a"))


def test_modules() -> None:
    """Modules of protobuf and of proto-plus classes are taken whole (TYPE-9)."""
    registry = TypeRegistry.from_modules(redis, error_details_pb2)
    assert message_class(registry, INSTANCE) is Instance
    assert message_class(registry, "google.rpc.Help.Link") is error_details_pb2.Help.Link
    assert message_class(registry, "google.cloud.redis.v1.OperationMetadata") is Metadata


def test_module_with_more() -> None:
    """What else a module holds is no matter: base classes, functions, messages of others (TYPE-9)."""
    module = types.ModuleType("somebodys")
    vars(module).update(
        Message=Message,
        Instance=Instance,
        InstancePb=InstancePb,
        Empty=empty_pb2.Empty,
        number=5,
        function=len,
        int=int,
    )
    assert message_class(TypeRegistry.from_modules(module), INSTANCE) is Instance


@pytest.mark.parametrize("module", [types.ModuleType("nothing"), types], ids=["empty", "other"])
def test_module_without_messages(module: types.ModuleType) -> None:
    """A module without messages is a mistake (TYPE-9)."""
    with pytest.raises(ValueError, match=module.__name__):
        TypeRegistry.from_modules(module)


@pytest.mark.parametrize(
    "cls",
    [int, None, "google.protobuf.Empty", empty_pb2.Empty(), Message, empty_pb2],
    ids=["int", "None", "name", "message", "Message", "module"],
)
def test_no_class(cls: Any) -> None:
    """What is no message class cannot be registered (TYPE-9)."""
    with pytest.raises(TypeError):
        TypeRegistry(cls)


def test_leaf_names_mean_nothing() -> None:
    """A payload of another package's OperationMetadata is not the expected one, though its last name is (TYPE-8, TYPE-1)."""
    payload = any_of(library_pb2.OperationMetadata())
    with pytest.raises(TypeMismatchError) as caught:
        TypeRegistry().unpack(payload, redis.OperationMetadata)
    assert caught.value.expected == ("google.cloud.redis.v1.OperationMetadata",)
    assert "example.library.v1.OperationMetadata" in str(caught.value)
