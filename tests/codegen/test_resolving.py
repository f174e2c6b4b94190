# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What the names in annotations mean."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Final

import pytest
from google.longrunning import operations_proto_pb2
from google.protobuf import descriptor_pb2, descriptor_pool
from hypothesis import given, settings
from hypothesis import strategies as st

from longrunning import LroMethod
from longrunning._descriptors import load_files
from longrunning.codegen import Finding, Model, Rule
from longrunning.errors import DescriptorError, UnknownTypeError
from tests.codegen.compiling import HEADER, Sources, service, starts

OTHERS: Final = {
    "acme/shared.proto": 'syntax = "proto3"; package acme; message Outer { message Inner { message Deep {} } } message Only {}',
    "acme/v1/more.proto": 'syntax = "proto3"; package acme.v1; message Near { message Nested {} }',
    "acme/v1/sub/sub.proto": 'syntax = "proto3"; package acme.v1.sub; message Below {}',
    "other.proto": 'syntax = "proto3"; package other.v1; message Far {} enum Colour { RED = 0; } service Paint {}',
    "root.proto": 'syntax = "proto3"; message Rootless {}',
}


def resolved(written: str, *, others: bool = True, more: str = "") -> tuple[str | None, tuple[Finding, ...]]:
    """The full name of what a response type means, and what was found."""
    sources = service(starts(response=written), more="message Request {}\nmessage Thing {}\nmessage Meta {}\n" + more)
    texts = {**sources.texts, **(OTHERS if others else {})}
    model = Model.from_request(Sources(texts).request())
    (_, _, method), *_ = model.long_running()
    assert method.operation is not None
    assert method.operation.response.written == written
    message = method.operation.response.message
    return None if message is None else message.full_name, model.findings


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Thing", "acme.v1.Thing"),
        ("acme.v1.Thing", "acme.v1.Thing"),
        (".acme.v1.Thing", "acme.v1.Thing"),
        ("v1.Thing", "acme.v1.Thing"),
        ("Near", "acme.v1.Near"),
        ("Near.Nested", "acme.v1.Near.Nested"),
        ("sub.Below", "acme.v1.sub.Below"),
        ("v1.sub.Below", "acme.v1.sub.Below"),
        ("Only", "acme.Only"),
        ("Outer.Inner.Deep", "acme.Outer.Inner.Deep"),
        ("acme.Outer.Inner", "acme.Outer.Inner"),
        (".acme.Outer", "acme.Outer"),
        ("other.v1.Far", "other.v1.Far"),
        ("Rootless", "Rootless"),
        (".Rootless", "Rootless"),
        ("google.protobuf.Empty", "google.protobuf.Empty"),
        ("google.protobuf.Any", "google.protobuf.Any"),
        ("google.protobuf.Struct", "google.protobuf.Struct"),
        ("google.longrunning.Operation", "google.longrunning.Operation"),
    ],
)
def test_names(written: str, meant: str) -> None:
    """A name is absolute after a dot; otherwise full, or relative to the package or one around it; nested ones too (GEN-1)."""
    assert resolved(written) == (meant, ())


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (".Thing", "response_type '.Thing' of Things.Make is no message of the files at hand; hand over the files of package 'acme.v1' as well (with buf: strategy: all)"),
        ("Thang", "is no message of the files at hand; hand over the files of package 'acme.v1' as well (with buf: strategy: all) (or is it 'acme.v1.Thing'?)"),
        ("Empty", "is no message of the files at hand; hand over the files of package 'acme.v1' as well"),
        ("far.v2.Away.Nested", "hand over the files of package 'far.v2' as well"),
        ("other.v1.Colour", "response_type 'other.v1.Colour' of Things.Make is an enum, not a message"),
        ("other.v1.Paint", "is a service, not a message"),
        ("Things", "is a service, not a message"),
        ("acme.v1", "is no message"),
        (" Thing", "is no message"),
        ("Thing.", "is no message"),
        ("..Thing", "is no message"),
        (".", "is no message"),
        ("Thing ", "is no message"),
    ],
)  # fmt: skip
def test_names_that_mean_nothing(written: str, says: str) -> None:
    """A name that means no message is told with place, name and what to hand over or write (GEN-1)."""
    meant, (finding,) = resolved(written)
    assert meant is None
    assert finding.rule is Rule.UNRESOLVED_TYPE
    assert says in finding.message
    assert (finding.position.path, finding.position.line, finding.position.column) == ("acme/v1/a.proto", 7, 5)


def test_guesses_are_bounded() -> None:
    """What may have been meant is said for the first names that mean nothing; for thousands it would take minutes (GEN-1)."""
    methods = [starts(f"Make{number}", response=f"Thang{number}") for number in range(30)]
    found = service(*methods, more="message Request {} message Meta {} message Thing1 {}").model().findings
    assert [finding.rule for finding in found] == [Rule.UNRESOLVED_TYPE] * 30
    assert sum("or is it 'acme.v1.Thing1'?" in finding.message for finding in found) == 20


def test_a_package_that_is_not_there() -> None:
    """What another file defines is found when that file is handed over, and otherwise its package is named (GEN-1)."""
    assert resolved("other.v1.Far")[0] == "other.v1.Far"
    meant, (finding,) = resolved("other.v1.Far", others=False)
    assert meant is None
    assert "hand over the files of package 'other.v1' as well" in finding.message


def test_ambiguous_names() -> None:
    """A name that means two messages that the file sees is an error, and both are told (GEN-1)."""
    sources = {
        "acme/v1/a.proto": HEADER.replace("import", 'import "acme/shared.proto";\nimport', 1)
        + "service Things {\n" + starts(response="Only") + "}\nmessage Request {}\nmessage Meta {}\nmessage Only {}",
        "acme/shared.proto": OTHERS["acme/shared.proto"],
    }  # fmt: skip
    (finding,) = Sources(sources).model().findings
    assert finding.rule is Rule.AMBIGUOUS_TYPE
    assert finding.message == "response_type 'Only' of Things.Make is ambiguous: write .acme.v1.Only or .acme.Only"
    assert (
        Sources(sources | {"acme/v1/a.proto": sources["acme/v1/a.proto"].replace('"Only"', '".acme.Only"')})
        .model()
        .findings
        == ()
    )


def test_what_is_imported_comes_first() -> None:
    """A file that happens to be compiled as well makes no name ambiguous (GEN-1)."""
    meant, found = resolved("Only", others=True, more="message Only {}")
    assert (meant, found) == ("acme.v1.Only", ())


def test_what_is_of_the_same_package_comes_first() -> None:
    """Neither imported, a message of the file's own package comes before one of a package around it (GEN-1)."""
    texts = dict(service(starts(response="Only"), more="message Request {}\nmessage Meta {}").texts)
    texts |= {"acme/v1/own.proto": 'syntax = "proto3"; package acme.v1; message Only {}'}
    texts |= {"root.proto": 'syntax = "proto3"; message Only {}'}
    (_, _, method), *_ = (model := Sources(texts).model()).long_running()
    assert model.findings == ()
    assert method.operation is not None
    assert method.operation.response.message is not None
    assert method.operation.response.message.path == "acme/v1/own.proto"
    del texts["acme/v1/own.proto"]
    texts["acme/shared.proto"] = OTHERS["acme/shared.proto"]
    (finding,) = Sources(texts).model().findings
    assert finding.message == "response_type 'Only' of Things.Make is ambiguous: write .Only or .acme.Only"


def test_map_entries_are_no_types() -> None:
    """The message that a map field brings along cannot be named (GEN-1)."""
    meant, (finding,) = resolved("Thing2.MoreEntry", more="message Thing2 { map<string, string> more = 1; }")
    assert meant is None
    assert finding.rule is Rule.UNRESOLVED_TYPE


PART: Final = st.sampled_from(["a", "b", "M", "N", "x"])
NAME: Final = st.lists(PART, min_size=1, max_size=4).map(".".join)
TREE: Final = st.lists(st.lists(PART, min_size=1, max_size=3).map(tuple), max_size=4)


def messages(paths: Sequence[tuple[str, ...]]) -> list[descriptor_pb2.DescriptorProto]:
    """Nested messages, from the paths to the innermost ones."""
    names = dict.fromkeys(path[0] for path in paths if path)
    return [
        descriptor_pb2.DescriptorProto(
            name=name, nested_type=messages([path[1:] for path in paths if path[:1] == (name,)])
        )
        for name in names
    ]


@settings(max_examples=150, deadline=None)
@given(
    package=st.sampled_from(["a", "a.b", "a.b.a"]),
    mine=TREE,
    others=TREE,
    imported=st.booleans(),
    written=NAME,
    absolute=st.booleans(),
)
def test_as_the_runtime_does(
    package: str,
    mine: list[tuple[str, ...]],
    others: list[tuple[str, ...]],
    imported: bool,
    written: str,
    absolute: bool,
) -> None:
    """A name means what `LroMethod.from_descriptor` says it means, or neither knows it (GEN-1)."""
    written = f".{written}" if absolute else written
    *imports, file = template().file
    file.package = package
    for method in file.service[0].method:
        method.input_type = ".google.protobuf.Any"
        info = operations_proto_pb2.OperationInfo(response_type=written, metadata_type="google.protobuf.Empty")
        method.options.Clear()
        method.options.Extensions[operations_proto_pb2.operation_info].CopyFrom(info)
    del file.message_type[:]
    first = package.partition(".")[0]
    other = descriptor_pb2.FileDescriptorProto(name="other.proto", package=first, syntax="proto3")
    reserved = {"Things", *package.split(".")}
    file.message_type.extend(one for one in messages(mine) if one.name not in reserved)
    other.message_type.extend(one for one in messages(others) if one.name not in reserved)
    if package == first:  # one package cannot have two of a name
        del other.message_type[:]
    file.dependency.extend(["google/protobuf/any.proto", "google/protobuf/empty.proto"])
    if imported:
        file.dependency.append("other.proto")
    kept = [one for one in imports if not one.name.startswith("google/protobuf/")]
    data = descriptor_pb2.FileDescriptorSet(file=[*kept, other, file]).SerializeToString()
    meant = runtime_says(data, f"{package}.Things")
    model = Model.from_descriptor_set(data)
    method_found = next(found for _, service_found, found in model.long_running() if service_found.name == "Things")
    assert method_found.operation is not None
    message = method_found.operation.response.message
    if isinstance(meant, Rule):
        assert message is None
        assert model.findings[0].rule is meant
    else:
        assert message is not None
        assert message.full_name == meant


@functools.cache
def compiled() -> bytes:
    """A file with a long-running method, and what it imports."""
    return service(starts()).descriptors().SerializeToString()


def template() -> descriptor_pb2.FileDescriptorSet:
    """The same, to be changed."""
    return descriptor_pb2.FileDescriptorSet.FromString(compiled())


def runtime_says(data: bytes, service_name: str) -> str | Rule:
    """What the runtime takes the response type for."""
    pool: descriptor_pool.DescriptorPool = load_files(data)[0]
    descriptor = pool.FindServiceByName(service_name).methods_by_name["Make"]
    try:
        return LroMethod.from_descriptor(descriptor).kinds[0][0].full_name
    except UnknownTypeError:
        return Rule.UNRESOLVED_TYPE
    except DescriptorError:
        return Rule.AMBIGUOUS_TYPE
