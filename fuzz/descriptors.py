# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Descriptor sets, and what must hold of what the generator makes of them.

1. Whatever the bytes, a model is made or InputError is raised, in one line. Linting and comparing raise nothing.
2. Whatever the model, modules are written or CodegenError is raised. A module compiles, and holds no statement and no call
   but those that the generator writes: nothing of a .proto becomes code.
3. Everything is the same at the second call.
4. Where the runtime can read the annotation of a method, it reads the types that were written.

An input is ``D``, a character that chooses the options, and the bytes of a FileDescriptorSet.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Callable, Iterator
from typing import Final

from google.longrunning import operations_proto_pb2
from google.protobuf import descriptor_pb2

from longrunning import LroMethod
from longrunning._descriptors import load_files
from longrunning.codegen import CodegenError, InputError, Model, Options, breaking, lint, modules
from longrunning.errors import LongRunningError

__all__ = ["KIND", "OPTIONS", "SEEDS", "check", "mutate"]

KIND: Final = ord("D")
OPTIONS: Final = (
    "",
    "generate=clients,api=sync",
    "generate=servicers,incomplete=untyped,streaming=skip",
    "messages=proto-plus,unannotated=skip",
    "pb2=acme:gen.acme,unannotated=error",
    "pb2=:gen,proto_plus=google:g.types,incomplete=untyped",
)
STATEMENTS: Final = (ast.Expr, ast.Import, ast.ImportFrom, ast.If, ast.Assign, ast.AnnAssign, ast.ClassDef)
CALLS: Final = {"HttpBinding", "LroMethod", "TypeRegistry", "attach", "getattr", "import_module", "items", "method", "start", "start_blocking"}  # fmt: skip
SET: Final = descriptor_pb2.FileDescriptorSet
Havoc = Callable[[bytes, int], bytes]


class ViolationError(AssertionError):
    """A property does not hold."""


def demand(holds: object, what: str, *found: object) -> None:
    """Checks one property."""
    if not holds:
        raise ViolationError(f"{what}: {' / '.join(repr(item)[:1000] for item in found)}")


# -- the check ----------------------------------------------------------------------------------------------------------


def check(body: bytes, choice: int) -> None:
    """Checks all properties on one descriptor set."""
    try:
        model = Model.from_descriptor_set(body)
    except InputError as error:
        demand("\n" not in str(error), "an error of several lines", error)
        return
    demand(model == Model.from_descriptor_set(body), "the second model differs", body)
    demand(lint(model) == lint(model), "lint says something else", model)
    demand(breaking(model, model) == (), "a model breaks itself", breaking(model, model))
    options = Options.parse(OPTIONS[choice % len(OPTIONS)])
    try:
        written = modules(model, options)
    except CodegenError as error:
        demand(str(error), "an error that says nothing", error)
        return
    demand(modules(model, options) == written, "the second modules differ", written)
    for path, text in written.items():
        check_module(path, text)
    check_runtime(model, body)


def check_module(path: str, text: str) -> None:
    """One module: it compiles, and nothing in it is anybody else's."""
    demand(path.endswith("_lro.py") and not path.startswith("/") and ".." not in path.split("/"), "a bad path", path)
    tree = ast.parse(text, path)
    for statement in tree.body:
        demand(isinstance(statement, STATEMENTS), "a statement of somebody else", ast.dump(statement))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")[2].partition("(")[0]
            demand(name in CALLS, "a call of somebody else", ast.unparse(node))
    demand(not any(ord(character) < 32 and character != "\n" for character in text.replace("\t", "")), "controls", path)


def check_runtime(model: Model, body: bytes) -> None:
    """The types of the model are those that the runtime reads."""
    try:
        pool = load_files(body)[0]
    except LongRunningError:
        return
    for _, service, method in model.long_running():
        info = method.operation
        if info is None or info.response.message is None or info.metadata.message is None:
            continue
        try:
            descriptor = pool.FindServiceByName(service.full_name).methods_by_name[method.name]
            read = LroMethod.from_descriptor(descriptor)
        except (KeyError, LongRunningError):  # a type that is installed, but not in this pool; an ambiguity of the pool
            continue
        found = [kinds[0].full_name for kinds in read.kinds]
        named = [info.response.message.full_name, info.metadata.message.full_name]
        demand(found == named, "the runtime reads other types", found, named)


# -- mutation -----------------------------------------------------------------------------------------------------------

NAMES: Final = (
    "Thing", "Request", "None", "class", "import", "Things", "AsyncThings", "_", "__init__", "T", "Make", "make", "Types",
    "Any", "Float", "a b", "É", "", "x\ny", "a.b", "TYPES", "Operations", "DESCRIPTOR", "SyncThings", "ThingsLro", "_Hidden",
    "__Mangled", "resume_make", "OperationsServer", "dict", "V" * 200,
)  # fmt: skip
TYPES: Final = (
    "Thing", ".Thing", "acme.v1.Thing", ".acme.v1.Thing", "v1.Thing", "Thing.None", "google.protobuf.Any", "Outer", "",
    "google.protobuf.Empty", "google.protobuf.Struct", "nowhere.Thing", "..", " ", "Colour", "Things", "Thing\n", '"""',
)  # fmt: skip
PACKAGES: Final = (
    "acme.v1",
    "acme",
    "",
    "a.class.v1",
    "google.longrunning",
    "google.protobuf",
    "v1",
    "a..b",
    "acme.v1.Things",
)
PATHS: Final = (
    "acme/v1/a.proto", "a.proto", "import.proto", "k8s.min.proto", "with-dash.proto", "from/class.proto", "../a.proto", "",
    "google/protobuf/any.proto", "a\nb.proto", 'a"b.proto', "a'b.proto", "a b.proto", "2020/a.proto", "/a.proto",
    "\N{LATIN SMALL LIGATURE FI}le.proto", "\u202ea.proto", '"""/a.proto', "_a/a.proto", "a_.proto", "a-.proto",
)  # fmt: skip
COMMENTS: Final = (
    " Text.\n", '"', '"""', "\\", "\\\n", ' """"" ', "\x00", "\r\n", "\u2028", "\ufeff", " a\n\n\n  b\n", "(-- x --)", '\'\'\'"""\\"""',
    " \\N{BULLET} \\x", "\t a\n\tb", "# noqa\nimport os\n", '"""\nimport os\n"""',
)  # fmt: skip
REQUESTS: Final = (
    ".acme.v1.Thing",
    "acme.v1.Thing",
    ".nowhere.X",
    ".google.longrunning.GetOperationRequest",
    "",
    ".google.protobuf.Any",
)


def mutate(body: bytes, source: random.Random, havoc: Havoc, limit: int) -> bytes:
    """Changes something that a descriptor set says."""
    files = SET()
    try:
        files.ParseFromString(body)
    except Exception:  # noqa: BLE001 (each protobuf runtime has its own)
        files.ParseFromString(SEEDS["service"])
    if not files.file or source.random() < 0.05:
        return havoc(body, limit)
    for _ in range(source.choice((1, 1, 2, 4))):
        change(source.choice(list(files.file)), files, source)
    return files.SerializeToString(deterministic=True)


def change(
    file: descriptor_pb2.FileDescriptorProto, files: descriptor_pb2.FileDescriptorSet, source: random.Random
) -> None:
    """Changes one thing of a file."""
    services, messages = list(file.service), list(file.message_type)
    methods = [method for service in services for method in service.method]
    match source.randrange(14):
        case 0:
            file.package = source.choice(PACKAGES)
        case 1:
            file.name = source.choice(PATHS)
        case 2 if messages:
            source.choice(messages).name = source.choice(NAMES)
        case 3:
            source.choice([file.message_type, *(message.nested_type for message in messages)]).add(
                name=source.choice(NAMES)
            )
        case 4 if services:
            source.choice(services).name = source.choice(NAMES)
        case 5 if services:
            source.choice(services).method.append(
                starts(source.choice(NAMES), source.choice(TYPES), source.choice(TYPES))
            )
        case 6 if methods:
            source.choice(methods).name = source.choice(NAMES)
        case 7 | 8 if methods:
            info = source.choice(methods).options.Extensions[operations_proto_pb2.operation_info]
            setattr(info, source.choice(("response_type", "metadata_type")), source.choice(TYPES))
        case 9 if methods:
            method = source.choice(methods)
            method.input_type = source.choice(REQUESTS)
            method.server_streaming = source.random() < 0.2
        case 10 if methods:
            # Field 72295728 with a rule: a verb, and a path that may be none.
            path = source.choice((b"/v1/{name=*}", b"v1", b"", b"/\"'\\"))
            rule = bytes((source.choice((0x12, 0x1A, 0x22, 0x2A, 0x32)), len(path))) + path
            source.choice(methods).options.MergeFromString(b"\x82\xd3\xe4\x93\x02" + bytes((len(rule),)) + rule)
        case 11:
            comment(file, source)
        case 12:
            copied = files.file.add()
            copied.CopyFrom(file)
            copied.name = source.choice(PATHS)
            copied.package = source.choice(PACKAGES)
        case _:
            file.dependency.append(source.choice(PATHS))
            file.syntax = source.choice(("proto2", "proto3", "editions", "x"))
            file.enum_type.add(name=source.choice(("Colour", *NAMES)))


def comment(file: descriptor_pb2.FileDescriptorProto, source: random.Random) -> None:
    """Writes something about a service or a method."""
    location = file.source_code_info.location.add()
    location.path.extend(source.choice(([6, 0], [6, 0, 2, 0], [6, 0, 2, 1], [6, 0, 2, 0, 4, 1049], [6])))
    location.span.extend(source.choice(([1, 2, 3], [1], [], [-1, -1, 0], [2**31 - 1, 0, 1, 2])))
    location.leading_comments = "".join(source.choice(COMMENTS) for _ in range(source.choice((1, 1, 2, 5))))


# -- seeds --------------------------------------------------------------------------------------------------------------


def starts(name: str, response: str, metadata: str) -> descriptor_pb2.MethodDescriptorProto:
    """A long-running method."""
    method = descriptor_pb2.MethodDescriptorProto(
        name=name, input_type=".acme.v1.Thing", output_type=".google.longrunning.Operation"
    )
    method.options.Extensions[operations_proto_pb2.operation_info].response_type = response
    method.options.Extensions[operations_proto_pb2.operation_info].metadata_type = metadata
    return method


def _file(
    *methods: descriptor_pb2.MethodDescriptorProto, name: str = "acme/v1/a.proto", needs: tuple[str, ...] = ()
) -> descriptor_pb2.FileDescriptorProto:
    thing = descriptor_pb2.DescriptorProto(name="Thing", nested_type=[descriptor_pb2.DescriptorProto(name="None")])
    file = descriptor_pb2.FileDescriptorProto(
        name=name, package="acme.v1", syntax="proto3", dependency=needs, message_type=[thing]
    )
    file.service.add(name="Things", method=methods)
    return file


def _seeds() -> Iterator[tuple[str, list[descriptor_pb2.FileDescriptorProto]]]:
    yield (
        "service",
        [_file(starts("Make", "Thing", "google.protobuf.Struct"), starts("Drop", "google.protobuf.Empty", "Thing"))],
    )
    yield "annotation", [_file(starts("Make", "", ""), starts("import", "v1.Thing", ".acme.v1.Thing.None"))]
    bare = descriptor_pb2.MethodDescriptorProto(
        name="Bare", input_type="acme.v1.Thing", output_type=".google.longrunning.Operation"
    )
    yield "bare", [_file(bare)]
    commented = _file(starts("Make", "Thing", "Thing"))
    for path, text in (([6, 0], ' "Quoted" text.\n'), ([6, 0, 2, 0], " Makes.\n (-- internal --)\n")):
        commented.source_code_info.location.add(path=path, span=[3, 0, 9], leading_comments=text)
    yield "comments", [commented]
    outer = descriptor_pb2.FileDescriptorProto(name="acme/outer.proto", package="acme", syntax="proto3")
    outer.message_type.add(name="Outer")
    yield "imports", [outer, _file(starts("Make", "Outer", "acme.Outer"), needs=("acme/outer.proto",))]
    yield "odd-path", [_file(starts("Make", "Thing", "google.protobuf.Any"), name="from/class/k8s.min.proto")]


SEEDS: Final[dict[str, bytes]] = {
    name: SET(file=files).SerializeToString(deterministic=True) for name, files in _seeds()
}
