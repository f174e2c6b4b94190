# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The method: what one RPC returns, declared by hand or read from its descriptor."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from google.api import annotations_pb2, http_pb2
from google.cloud.redis_v1 import types as redis
from google.longrunning import operations_proto_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, empty_pb2, struct_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from longrunning.errors import DescriptorError, LongRunningError, UnknownTypeError
from longrunning.method import HttpBinding, LroMethod
from tests.unit.builders import (
    CREATE,
    DYNAMIC,
    PATH,
    Instance,
    InstancePb,
    Metadata,
    add_message,
    any_of,
    library,
    message_class,
    method,
    operation,
    proto_file,
)

OPERATION = "google.longrunning.Operation"


# -- by hand ----------------------------------------------------------------------------------------------------


def test_declared() -> None:
    """A method is its path and the classes as they were given (TYPE-8, TYPE-9)."""
    assert CREATE.path == PATH
    assert CREATE.request_type is redis.CreateInstanceRequest
    assert (CREATE.response_types, CREATE.metadata_types, CREATE.http) == ((Instance,), (Metadata,), None)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "x",
        "a.B/C",
        "/a.B/",
        "/a.B",
        "//C",
        "/a.B/C/D",
        "/a.B/C ",
        "/a.B/C\n",
        "/a b/C",
        "/1a/C",
        "/a.B/é",
        "http://a.B/C",
        "/a.B/C?x",
    ],
    ids=repr,
)
def test_no_path(path: str) -> None:
    """What is no path of an RPC is refused where the method is made (TYPE-9)."""
    with pytest.raises(ValueError, match=r"/package\.Service/Method"):
        LroMethod(path=path, request_type=InstancePb, response_type=InstancePb, metadata_type=InstancePb)


@pytest.mark.parametrize("path", ["/a.B/C", "/B/C", "/a.b.c.D_e/F_1", PATH])
def test_path(path: str) -> None:
    """Any path of an RPC is accepted, with or without a package (TYPE-9)."""
    assert (
        LroMethod(path=path, request_type=InstancePb, response_type=InstancePb, metadata_type=InstancePb).path == path
    )


@pytest.mark.parametrize("which", ["request_type", "response_type", "metadata_type"])
@pytest.mark.parametrize(
    "cls",
    [int, None, "google.protobuf.Empty", Message, empty_pb2.Empty(), object],
    ids=["int", "None", "name", "Message", "message", "object"],
)
def test_no_message_type(cls: Any, which: str) -> None:
    """What is no message class is refused where the method is made, not where it is used (TYPE-9)."""
    types: dict[str, Any] = {
        "request_type": InstancePb,
        "response_type": InstancePb,
        "metadata_type": InstancePb,
        which: cls,
    }
    with pytest.raises(TypeError, match="message type"):
        LroMethod(path=PATH, **types)


def test_or_types() -> None:
    """or_types makes another method that accepts more, in the order given, each once (TYPE-4)."""
    more = CREATE.or_types(response=error_details_pb2.Help, metadata=Metadata)
    assert (more.response_types, more.metadata_types) == ((Instance, error_details_pb2.Help), (Metadata,))
    assert more.or_types(response=Instance, metadata=error_details_pb2.Help).response_types == more.response_types
    assert CREATE.response_types == (Instance,)
    assert (more.path, more.request_type, more.http) == (CREATE.path, CREATE.request_type, CREATE.http)
    assert more != CREATE


@pytest.mark.parametrize("cls", [int, None, Message], ids=repr)
def test_or_no_type(cls: Any) -> None:
    """What is no message class cannot be accepted in addition (TYPE-4, TYPE-9)."""
    with pytest.raises(TypeError):
        CREATE.or_types(response=cls, metadata=Metadata)
    with pytest.raises(TypeError):
        CREATE.or_types(response=Instance, metadata=cls)


@pytest.mark.parametrize(
    "attribute", ["path", "request_type", "response_types", "metadata_types", "http", "_path", "new"]
)
def test_frozen(attribute: str) -> None:
    """A method is frozen (law 8)."""
    with pytest.raises(AttributeError):
        setattr(CREATE, attribute, None)
    with pytest.raises(AttributeError):
        delattr(CREATE, attribute)


def test_value() -> None:
    """A method is a value: compared, hashed, copied, pickled, also after it was used (TYPE-9, law 8)."""
    operation(CREATE, response=any_of(InstancePb())).result()
    binding = HttpBinding(verb="POST", path="/v1/{parent=*}/x", body="*")
    full = LroMethod(
        path=PATH,
        request_type=redis.CreateInstanceRequest,
        response_type=Instance,
        metadata_type=Metadata,
        http=binding,
    )
    for found in (CREATE, full, CREATE.or_types(response=empty_pb2.Empty, metadata=struct_pb2.Struct)):
        for twin in (pickle.loads(pickle.dumps(found)), copy.copy(found), copy.deepcopy(found)):
            assert twin == found
            assert hash(twin) == hash(found)
    assert len({CREATE, full, method(), method(InstancePb), method(InstancePb, Metadata)}) == 4
    assert CREATE != PATH


def test_repr() -> None:
    """The repr of a method has its path and its types (TYPE-4)."""
    text = repr(CREATE.or_types(response=empty_pb2.Empty, metadata=Metadata))
    assert all(
        part in text
        for part in (
            PATH,
            "google.cloud.redis.v1.Instance",
            "google.protobuf.Empty",
            "google.cloud.redis.v1.OperationMetadata",
        )
    )


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"verb": "post"}, "verb"),
        ({"verb": ""}, "verb"),
        ({"verb": "HEAD"}, "verb"),
        ({"path": "v1/x"}, "path"),
        ({"path": ""}, "path"),
    ],
    ids=repr,
)
def test_no_binding(fields: dict[str, str], says: str) -> None:
    """A binding no server can route is refused where it is made (TYPE-9)."""
    with pytest.raises(ValueError, match=says):
        HttpBinding(**{"verb": "POST", "path": "/v1/x", **fields})


# -- from a descriptor ------------------------------------------------------------------------------------------


def library_method(name: str) -> LroMethod[Any, Any, Any]:
    """A method of the example service."""
    _, pool = library()
    return LroMethod.from_descriptor(pool.FindServiceByName("example.library.v1.Library").methods_by_name[name])


@pytest.mark.parametrize(
    ("name", "response", "metadata", "http"),
    [
        ("ImportBooks", "example.library.v1.ImportBooksResponse", "example.library.v1.ImportBooksMetadata", ("POST", "/v1/{parent=shelves/*}/books:import", "*")),
        ("CreateShelf", "example.library.v1.Shelf", "example.library.v1.OperationMetadata", ("POST", "/v1/shelves", "shelf")),
        ("DeleteShelf", "google.protobuf.Empty", "example.library.v1.OperationMetadata", ("DELETE", "/v1/{name=shelves/*}", "")),
    ],
)  # fmt: skip
def test_from_descriptor(name: str, response: str, metadata: str, http: tuple[str, str, str]) -> None:
    """The annotation of a compiled method gives its types and its HTTP binding (TYPE-9, GEN-1)."""
    found = library_method(name)
    assert found.path == f"/example.library.v1.Library/{name}"
    assert [cls.DESCRIPTOR.full_name for cls in (*found.response_types, *found.metadata_types)] == [response, metadata]
    assert found.request_type.DESCRIPTOR.full_name == f"example.library.v1.{name}Request"
    verb, path, body = http
    assert found.http == HttpBinding(verb=verb, path=path, body=body)


def test_not_long_running() -> None:
    """A method that returns no operation has no types to read (GEN-1)."""
    with pytest.raises(DescriptorError, match=r"Shelf, not google\.longrunning\.Operation"):
        library_method("GetShelf")


def described(
    response: str = "", metadata: str = "Meta", *, package: str = "zoo.v1", output: str = OPERATION, annotated: bool = True,
    streaming: bool = False, rule: http_pb2.HttpRule | None = None, imports: tuple[str, ...] = (),
) -> Any:  # fmt: skip
    """The descriptor of a method with this annotation, in a pool of its own."""
    pool = descriptor_pool.DescriptorPool()
    needs = ("google/longrunning/operations.proto", "google/protobuf/struct.proto", "google/api/annotations.proto")
    struct_pb2.DESCRIPTOR.CopyToProto(struct := descriptor_pb2.FileDescriptorProto())
    for needed in (*descriptor_pb2.FileDescriptorSet.FromString(library()[0]).file, struct):
        pool.AddSerializedFile(needed.SerializeToString())
    outer = proto_file("outer.proto", "zoo")
    add_message(outer, "Outer", a="string")
    add_message(outer, "Both", a="string")
    add_message(outer, "Away", a="string")
    pool.AddSerializedFile(outer.SerializeToString())
    top = proto_file("top.proto", "")
    for message in ("Top", "Away", "Sibling"):
        add_message(top, message, a="string")
    pool.AddSerializedFile(top.SerializeToString())
    through = proto_file("through.proto", "elsewhere", needs=("outer.proto",))
    pool.AddSerializedFile(through.SerializeToString())
    sibling = proto_file("sibling.proto", "zoo.v1")
    add_message(sibling, "Sibling", a="string")
    pool.AddSerializedFile(sibling.SerializeToString())
    file = proto_file("zoo.proto", package, needs=(*needs, *imports))
    for message in ("Meta", "Cat", "Both"):
        add_message(file, message, a="string")
    file.message_type[1].nested_type.add(name="Paw")
    rpc = file.service.add(name="Zoo").method.add(
        name="Do", input_type="Cat", output_type=f".{output}", server_streaming=streaming
    )
    if annotated:
        info = operations_proto_pb2.OperationInfo(response_type=response, metadata_type=metadata)
        rpc.options.Extensions[operations_proto_pb2.operation_info].CopyFrom(info)
    if rule is not None:
        rpc.options.Extensions[annotations_pb2.http].CopyFrom(rule)
    pool.AddSerializedFile(file.SerializeToString())
    return pool.FindServiceByName(f"{package}.Zoo" if package else "Zoo").methods[0]


@pytest.mark.parametrize(
    ("name", "full_name"),
    [
        ("Cat", "zoo.v1.Cat"),
        (".zoo.v1.Cat", "zoo.v1.Cat"),
        ("zoo.v1.Cat", "zoo.v1.Cat"),
        ("v1.Cat", "zoo.v1.Cat"),
        ("Cat.Paw", "zoo.v1.Cat.Paw"),
        ("zoo.v1.Cat.Paw", "zoo.v1.Cat.Paw"),
        ("Outer", "zoo.Outer"),
        (".zoo.Outer", "zoo.Outer"),
        ("Top", "Top"),
        (".zoo.Both", "zoo.Both"),
        (".zoo.v1.Both", "zoo.v1.Both"),
        ("google.protobuf.Empty", "google.protobuf.Empty"),
        ("google.protobuf.Struct", "google.protobuf.Struct"),
        ("google.protobuf.Any", "google.protobuf.Any"),
        (OPERATION, OPERATION),
    ],
)
def test_names_in_annotation(name: str, full_name: str) -> None:
    """A name is absolute, full, or relative to the package and outward; nested types are found (GEN-1, TYPE-9)."""
    found = LroMethod.from_descriptor(described(name))
    assert [cls.DESCRIPTOR.full_name for cls in found.response_types] == [full_name]
    assert [cls.DESCRIPTOR.full_name for cls in found.metadata_types] == ["zoo.v1.Meta"]


@pytest.mark.parametrize(
    ("name", "imports", "full_name"),
    [
        ("Both", (), "zoo.v1.Both"),
        ("Both", ("top.proto",), "zoo.v1.Both"),
        ("Sibling", (), "zoo.v1.Sibling"),
        ("Away", ("outer.proto",), "zoo.Away"),
        ("Away", ("through.proto",), "zoo.Away"),
        ("Away", ("top.proto",), "Away"),
    ],
)
def test_names_that_others_have_too(name: str, imports: tuple[str, ...], full_name: str) -> None:
    """A file that the process happens to have loaded makes no name ambiguous: own package and imports count (GEN-1)."""
    found = LroMethod.from_descriptor(described(name, imports=imports))
    assert found.response_types[0].DESCRIPTOR.full_name == full_name


def test_method_without_package() -> None:
    """A service without a package has relative names too (GEN-1)."""
    found = LroMethod.from_descriptor(described("Cat", package=""))
    assert (found.path, found.response_types[0].DESCRIPTOR.full_name) == ("/Zoo/Do", "Cat")


@pytest.mark.parametrize(
    "name",
    ["Dog", ".Cat", "zoo.v2.Cat", "google.cloud.redis.v1.Instance", ".", "..", "a b", "Cat.", "zoo.v1", "\x00", "Zoo"],
    ids=ascii,
)
@pytest.mark.parametrize("field", ["response", "metadata"])
def test_unknown_type(name: str, field: str) -> None:
    """A class is required here: a type that is not in the pool is an UnknownTypeError that names it (TYPE-3, GEN-1)."""
    names: dict[str, Any] = {"response": "Cat", "metadata": "Meta", field: name}
    with pytest.raises(UnknownTypeError, match=f"{field}_type") as caught:
        LroMethod.from_descriptor(described(**names))
    assert caught.value.actual == name


@pytest.mark.parametrize(
    ("rpc", "says"),
    [
        pytest.param(described("Cat", annotated=False), "annotation", id="not annotated"),
        pytest.param(described(""), "response_type", id="no response"),
        pytest.param(described("Cat", ""), "metadata_type", id="no metadata"),
        pytest.param(described("Cat", streaming=True), "stream", id="streaming"),
        pytest.param(
            described("Both", imports=("outer.proto",)), r"ambiguous: zoo\.v1\.Both, zoo\.Both", id="imported"
        ),
        pytest.param(described("Both", imports=("through.proto",)), "ambiguous", id="imported by an import"),
        pytest.param(described("Sibling", imports=("top.proto",)), "ambiguous", id="imported, and of its package"),
        pytest.param(described("Away"), r"ambiguous: Away, zoo\.Away", id="none of them imported"),
        pytest.param(described("Cat", output="zoo.v1.Cat"), "not google", id="no operation"),
    ],
)
def test_no_method(rpc: Any, says: str) -> None:
    """What the annotation does not say, or says in two ways, is a DescriptorError with the path (GEN-1, law 6)."""
    with pytest.raises(DescriptorError, match=says) as caught:
        LroMethod.from_descriptor(rpc)
    assert "/zoo.v1.Zoo/Do" in str(caught.value)


def test_same_response_as_request_and_metadata() -> None:
    """Response, metadata and request may be one type (TYPE-9)."""
    found = LroMethod.from_descriptor(described("Cat", "Cat"))
    assert found.response_types == found.metadata_types == (found.request_type,)


def test_described_any() -> None:
    """An Any in the annotation says that the type is not known beforehand (TYPE-5)."""
    found = LroMethod.from_descriptor(described("google.protobuf.Any", "google.protobuf.Any"))
    assert operation(found, response=any_of(empty_pb2.Empty())).result() == empty_pb2.Empty()


def test_described_empty() -> None:
    """An Empty of the annotation is the Empty there is, also where no result comes (SNAP-2, TYPE-8)."""
    found = LroMethod.from_descriptor(described("google.protobuf.Empty"))
    assert isinstance(operation(found).result(), Message)
    assert operation(found, response=any_of(empty_pb2.Empty())).result() == operation(found).result()


@pytest.mark.parametrize(
    ("rule", "binding"),
    [
        (None, None),
        (http_pb2.HttpRule(get="/v1/x"), HttpBinding(verb="GET", path="/v1/x")),
        (
            http_pb2.HttpRule(patch="/v1/{cat.name=cats/*}", body="cat"),
            HttpBinding(verb="PATCH", path="/v1/{cat.name=cats/*}", body="cat"),
        ),
        (http_pb2.HttpRule(put="/v1/x", body="*"), HttpBinding(verb="PUT", path="/v1/x", body="*")),
        (http_pb2.HttpRule(custom=http_pb2.CustomHttpPattern(kind="HEAD", path="/v1/x")), None),
        (http_pb2.HttpRule(), None),
    ],
    ids=["none", "get", "patch", "put", "custom", "empty"],
)
def test_binding(rule: http_pb2.HttpRule | None, binding: HttpBinding | None) -> None:
    """The HTTP binding is read where there is one we can serve (TYPE-9)."""
    assert LroMethod.from_descriptor(described("Cat", rule=rule)).http == binding


def test_binding_without_slash() -> None:
    """An HTTP rule no server can route is an error of ours (law 6)."""
    with pytest.raises(LongRunningError):
        LroMethod.from_descriptor(described("Cat", rule=http_pb2.HttpRule(post="v1/x")))


def test_types_of_descriptor_decode() -> None:
    """The classes of a descriptor decode what other classes of the same message wrote (TYPE-8, TYPE-9)."""
    found = library_method("CreateShelf")
    shelf: Any = found.response_types[0]
    assert operation(found, response=any_of(shelf(name="s"))).result() == shelf(name="s")
    assert operation(method(message_class(DYNAMIC, "dynamic_zoo.Animal")), response=any_of(InstancePb())).has_result
