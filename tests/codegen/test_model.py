# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The model: what is read from descriptors, and what is refused."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest
from google.protobuf.internal import api_implementation
from hypothesis import given, settings
from hypothesis import strategies as st

from longrunning.codegen import (
    File,
    HttpRule,
    InputError,
    Kind,
    Message,
    Method,
    Model,
    Position,
    Rule,
    Service,
)
from longrunning.codegen._wire import read_operation_info
from tests.codegen.compiling import PROTOS, ROOT, Sources, protoc, service, starts

LIBRARY = ROOT / "protos"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The model of our example."""
    image = tmp_path_factory.mktemp("library") / "library.binpb"
    arguments = [f"--descriptor_set_out={image}", "--include_imports", "--include_source_info"]
    protoc(arguments, roots=[LIBRARY], files=["example/library/v1/library.proto"]).demand()
    return Model.from_descriptor_set(image.read_bytes())


def only(model: Model) -> tuple[File, Service, Method]:
    """The one long-running method of a model."""
    (found,) = model.long_running()
    return found


def test_library(library: Model) -> None:
    """A method tells its path, types, binding, comment and places (GEN-1)."""
    found = {method.name: method for _, _, method in library.long_running()}
    assert list(found) == ["ImportBooks", "CreateShelf", "DeleteShelf"]
    method = found["ImportBooks"]
    path = "example/library/v1/library.proto"
    assert method.path == "/example.library.v1.Library/ImportBooks"
    assert method.request == Message(
        full_name="example.library.v1.ImportBooksRequest", package="example.library.v1", path=path
    )
    assert method.operation is not None
    assert method.operation.response.written == "ImportBooksResponse"
    assert method.operation.response.message is not None
    assert method.operation.response.message.full_name == "example.library.v1.ImportBooksResponse"
    assert method.http == HttpRule(verb="POST", path="/v1/{parent=shelves/*}/books:import", body="*")
    assert method.comment.text == (
        "Imports books from a file into a shelf.\n\n"
        "The operation's metadata counts the books, and is updated after every one of them."
    )
    assert method.comment.summary == "Imports books from a file into a shelf."
    lines = (LIBRARY / path).read_text(encoding="utf-8").splitlines()
    assert "rpc ImportBooks" in lines[method.position.line - 1]
    assert "operation_info" in lines[method.operation.position.line - 1]
    assert str(method.position) == f"{path}:{method.position.line}:3"
    assert library.findings == ()


def test_mixin(library: Model) -> None:
    """The HTTP bindings of the Operations interface are read from its own file (GEN-1)."""
    assert dict(library.mixin)["CancelOperation"] == HttpRule(
        verb="POST", path="/v1/{name=operations/**}:cancel", body="*"
    )
    assert [name for name, _ in library.mixin] == [
        "ListOperations",
        "GetOperation",
        "DeleteOperation",
        "CancelOperation",
    ]


def test_kinds() -> None:
    """Starting an operation, asking about one, streaming them and everything else are told apart (GEN-2)."""
    model = service(
        starts(),
        "  rpc GetOperation(google.longrunning.GetOperationRequest) returns (google.longrunning.Operation);",
        "  rpc Watch(Request) returns (stream google.longrunning.Operation);",
        "  rpc Feed(stream Request) returns (google.longrunning.Operation);",
        "  rpc Get(Request) returns (Thing);",
        "  rpc Unannotated(Request) returns (google.longrunning.Operation);",
    ).model()
    kinds = {method.name: method.kind for file, _, method in model.methods() if file.package == "acme.v1"}
    assert kinds == {
        "Make": Kind.STARTS,
        "GetOperation": Kind.ABOUT,
        "Watch": Kind.STREAMS,
        "Feed": Kind.STREAMS,
        "Get": Kind.ORDINARY,
        "Unannotated": Kind.STARTS,
    }
    assert [method.name for _, _, method in model.long_running()] == ["Make", "Unannotated"]


def test_http_bindings() -> None:
    """Every verb, a custom one, a body, a response body and further bindings are read (GEN-1)."""
    rule = """option (google.api.http) = {
        patch: "/v1/{thing.name=things/*}" body: "thing" response_body: "name"
        additional_bindings { custom { kind: "PURGE" path: "/v1/things" } }
        additional_bindings { delete: "/v1/x" }
      };"""
    _, _, method = only(service(starts(more=rule)).model())
    assert method.http == HttpRule(
        verb="PATCH",
        path="/v1/{thing.name=things/*}",
        body="thing",
        response_body="name",
        additional=(HttpRule(verb="PURGE", path="/v1/things"), HttpRule(verb="DELETE", path="/v1/x")),
    )


@pytest.mark.parametrize("rule", ['body: "*"', 'get: "v1/things"', 'get: ""'])
def test_http_bindings_that_bind_nothing(rule: str) -> None:
    """A binding without a path, or with one that starts nowhere, is a finding and not a crash of the output (GEN-4)."""
    model = service(starts(more=f"option (google.api.http) = {{ {rule} }};")).model()
    _, _, method = only(model)
    assert method.http is None
    assert [finding.rule for finding in model.findings] == [Rule.MALFORMED_ANNOTATION]
    assert "google.api.http of Things.Make cannot be used: the path of google.api.http starts with '/'" in (
        model.findings[0].message
    )


def test_annotations_in_parts() -> None:
    """An annotation may be written field by field (GEN-1)."""
    text = """  rpc Make(Request) returns (google.longrunning.Operation) {
    option (google.longrunning.operation_info).response_type = "Thing";
    option (google.longrunning.operation_info).metadata_type = "Meta";
    option (google.api.http).get = "/v1/things";
  }"""
    _, _, method = only(service(text).model())
    assert method.operation is not None
    assert (method.operation.response.written, method.operation.metadata.written) == ("Thing", "Meta")
    assert method.http == HttpRule(verb="GET", path="/v1/things")


@pytest.mark.parametrize(
    "value",
    [
        b"\x0a\xff", b"\x0a\x02\xff\xfe", b"\x0b", b"\x0c", b"\x0d\x01", b"\x09", b"\x0a", b"\x80",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    ],
)  # fmt: skip
def test_annotations_that_are_none(value: bytes) -> None:
    """An annotation whose bytes are no OperationInfo is an error, wherever they break (GEN-4)."""
    with pytest.raises(ValueError, match=r"no message|middle of a|not UTF-8"):
        read_operation_info(b"\xca\x41" + bytes([len(value)]) + value)


def test_annotations_that_come_in_parts() -> None:
    """Parts of an annotation that are serialized apart are one annotation, later ones first (GEN-1)."""
    first, second = b"\xca\x41\x03\x0a\x01A", b"\xca\x41\x06\x12\x01M\x0a\x01B"
    assert read_operation_info(first) == ("A", "")
    assert read_operation_info(first + second) == ("B", "M")
    assert read_operation_info(b"") is None


def test_a_spoiled_annotation_is_a_finding() -> None:
    """A method whose annotation cannot be read is told with its place; nothing else is lost (GEN-4)."""
    data = SAMPLE.SerializeToString()
    assert data.count(b"\x0a\x05Thing\x12") == 1
    program = """
import sys
from longrunning.codegen import Model
(finding,) = Model.from_descriptor_set(sys.stdin.buffer.read()).findings
print(finding)
"""
    # A process that knows the annotation would refuse the descriptor set as a whole.
    spoiled = data.replace(b"\x0a\x05Thing\x12", b"\x0a\x7fThing\x12")
    done = subprocess.run([sys.executable, "-c", program], input=spoiled, capture_output=True, check=True)
    assert done.stdout.decode().startswith(
        "acme/v1/a.proto:8:5: error: google.longrunning.operation_info of Things.Make cannot be read: the bytes end in"
    )


def test_unknown_options_are_passed_over() -> None:
    """Options that nobody knows, of whatever wire type, do not stand in the way (GEN-4)."""
    descriptors = service(starts()).descriptors()
    options = descriptors.file[-1].service[0].method[0].options
    # Fields 50000 to 50004: a number, 64 bits, bytes, a group with a field in it, 32 bits.
    options.MergeFromString(
        b"\x80\xb5\x18\x05" + b"\x89\xb5\x18" + b"\0" * 8 + b"\x92\xb5\x18\x01x" + b"\x9b\xb5\x18\x08\x01\x9c\xb5\x18" + b"\xa5\xb5\x18" + b"\0" * 4
    )  # fmt: skip
    model = Model.from_descriptor_set(descriptors.SerializeToString())
    assert model.findings == ()
    assert only(model)[2].operation is not None


def test_comments() -> None:
    """The comment before a declaration counts, then the one behind it; detached ones stand apart (GEN-3)."""
    text = """  rpc First(Request) returns (google.longrunning.Operation);

  // Detached.

  // Before.
  //   Indented.
  // (-- internal --)
  rpc Make(Request) returns (google.longrunning.Operation) { // Behind.
    option (google.longrunning.operation_info) = { response_type: "Thing" metadata_type: "Meta" };
  }
  rpc Behind(Request) returns (google.longrunning.Operation); // Behind it.
"""
    _, *methods = [method for _, _, method in service(text).model().long_running()]
    assert methods[0].comment.text == "Before.\n  Indented."
    assert "internal" in methods[0].comment.raw
    assert methods[0].comment.detached == ("Detached.",)
    assert methods[1].comment.text == "Behind it."


@pytest.mark.skipif(api_implementation.Type() == "python", reason="pure Python refuses the whole descriptor set")
def test_comments_in_other_encodings() -> None:
    """A comment that is not UTF-8 is read as far as it is (GEN-3)."""
    data = service("  // Gr\u00fcn.", starts()).descriptors().SerializeToString()
    assert "Gr\u00fcn.".encode() in data
    _, _, method = only(Model.from_descriptor_set(data.replace("Gr\u00fcn.".encode(), b"Gr\xfcn.!")))
    assert method.comment.text == "Gr\ufffdn.!"


def test_editions(library: Model) -> None:
    """Every file tells the edition it is written in (GEN-4)."""
    files = sorted(path.relative_to(PROTOS).as_posix() for path in (PROTOS / "acme" / "dialects").glob("*.proto"))
    texts = {file: (PROTOS / file).read_text(encoding="utf-8") for file in files}
    editions = {file.path: file.edition for file in Sources(texts).model().files if file.path in texts}
    assert list(editions.values()) == ["2023", "2024", "proto2", "proto3"]


def test_deprecated() -> None:
    """Deprecated methods and services say so (GEN-3)."""
    model = service("  option deprecated = true;", starts(more="option deprecated = true;"), starts("Other")).model()
    found = [(held.deprecated, method.deprecated) for _, held, method in model.long_running()]
    assert found == [(True, True), (True, False)]


def test_without_source_info() -> None:
    """Descriptors without source info have neither comments nor lines, and everything else (GEN-4)."""
    descriptors = service("  // Text.", starts()).descriptors(source_info=False)
    _, held, method = only(Model.from_descriptor_set(descriptors.SerializeToString()))
    assert method.comment.text == ""
    assert method.position == Position("acme/v1/a.proto")
    assert str(method.position) == "acme/v1/a.proto"
    assert held.full_name == "acme.v1.Things"
    assert method.operation is not None


def test_without_imports() -> None:
    """A descriptor set without its imports still resolves what is its own, and what every runtime has (GEN-1)."""
    sources = service(starts(metadata="google.protobuf.Empty"))
    model = Model.from_descriptor_set(sources.descriptors(imports=False).SerializeToString())
    assert len(model.files) == 1
    assert model.findings == ()


def test_a_request_type_that_is_missing() -> None:
    """A request whose file is not among the descriptors is a finding that says what to do (GEN-1)."""
    text = "  rpc Make(other.v1.Far) returns (google.longrunning.Operation);"
    sources = service(text).texts["acme/v1/a.proto"].replace("import", 'import "other.proto";\nimport', 1)
    both = Sources({"acme/v1/a.proto": sources, "other.proto": 'syntax = "proto3"; package other.v1; message Far {}'})
    descriptors = both.descriptors()
    kept = [file for file in descriptors.file if file.name != "other.proto"]
    model = Model.from_descriptor_set(descriptor_pb2.FileDescriptorSet(file=kept).SerializeToString())
    assert [finding.message for finding in model.findings] == [
        "the request of Things.Make, other.v1.Far, is not among the descriptors: write them with their imports"
    ]


# -- what is no input ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"x", b"\xff" * 10, b"{}", b"\x0a\x05ab"])
def test_no_descriptor_set(data: bytes) -> None:
    """Bytes that are no descriptor set are refused in one line (GEN-4)."""
    with pytest.raises(
        InputError,
        match=r"^(the descriptor set holds no files|\d+ bytes are not a google\.protobuf\.FileDescriptorSet)",
    ):
        Model.from_descriptor_set(data)


def test_no_request() -> None:
    """Bytes that are no request are refused in one line (GEN-4)."""
    with pytest.raises(InputError, match=r"^3 bytes are not a google\.protobuf\.compiler\.CodeGeneratorRequest"):
        Model.from_request(b"\xff\xff\xff")
    with pytest.raises(InputError, match=r"code is requested for 'b\.proto', which is not among the descriptors"):
        Model.from_request(CodeGeneratorRequest(file_to_generate=["b.proto"]))


def _method(file: Any) -> Any:
    return file.service[0].method[0]


SPOILED: Final[list[tuple[Callable[[Any], object], str]]] = [
    (lambda file: setattr(file, "name", "../up.proto"), "a file called '../up.proto'"),
    (lambda file: setattr(file, "name", "/root.proto"), "a file called '/root.proto'"),
    (lambda file: setattr(file, "name", "a\nb.proto"), r"a file called 'a\\nb.proto'"),
    (lambda file: setattr(file, "name", ""), "a file called ''"),
    (lambda file: setattr(file, "package", "a..b"), "a package called 'a..b'"),
    (lambda file: setattr(file.service[0], "name", "X: pass #"), "a service called 'X: pass #'"),
    (lambda file: setattr(file.message_type[0], "name", "É"), "a message called 'É'"),
    (lambda file: setattr(_method(file), "name", "a-b"), "a method called 'a-b'"),
    (lambda file: setattr(_method(file), "name", ""), "a method called ''"),
    (lambda file: file.enum_type.add(name="1"), "an enum called '1'"),
    (lambda file: file.service[0].method.add(name="Make"), "two methods of one name in 'acme.v1.Things'"),
    (lambda file: file.message_type.add(name="Thing"), "define 'acme.v1.Thing' twice"),
    (lambda file: file.service.add(name="Thing"), "define 'acme.v1.Thing' twice"),
]


@pytest.mark.parametrize(("spoil", "says"), SPOILED)
def test_what_no_compiler_writes(spoil: Callable[[Any], object], says: str) -> None:
    """Names that would become code are names, whoever wrote the descriptors (GEN-4)."""
    descriptors = service(starts()).descriptors()
    spoil(descriptors.file[-1])
    with pytest.raises(InputError, match=says):
        Model.from_descriptor_set(descriptors.SerializeToString())


def test_two_files_of_one_name() -> None:
    """A file that is there twice is refused (GEN-4)."""
    descriptors = service(starts()).descriptors()
    descriptors.file.append(descriptors.file[-1])
    with pytest.raises(InputError, match=r"two files called 'acme/v1/a\.proto'"):
        Model.from_descriptor_set(descriptors.SerializeToString())


@pytest.mark.parametrize("old", [b"acme/v1/a.proto", b"acme.v1", b"Things", b"Make", b".acme.v1.Request"])
def test_text_that_is_not_utf8(old: bytes) -> None:
    """Names that are not UTF-8 are refused, whatever protobuf makes of them (GEN-4)."""
    descriptors = service(starts()).descriptors(source_info=False)
    data = descriptors.SerializeToString()
    assert old in data
    with pytest.raises(InputError, match=r"which no compiler accepts|not UTF-8|not a google"):
        Model.from_descriptor_set(data.replace(old, old[:-1] + b"\xff"))


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_spoiled_descriptors(data: st.DataObject) -> None:
    """Whatever bytes it is given, the model is made or InputError is raised (GEN-4)."""
    good = SAMPLE.SerializeToString()
    at = data.draw(st.integers(0, len(good) - 1))
    change = data.draw(st.binary(min_size=0, max_size=4))
    length = data.draw(st.integers(0, 6))
    spoiled = good[:at] + change + good[at + length :]
    with contextlib.suppress(InputError):
        assert Model.from_descriptor_set(spoiled) == Model.from_descriptor_set(spoiled)


SAMPLE = service("  // Text.", starts(more='option (google.api.http) = { get: "/v1" };')).descriptors()


def test_equal_input_makes_an_equal_model() -> None:
    """Models compare by value, and their parts can be keys (GEN-3)."""
    data = SAMPLE.SerializeToString()
    one, other = Model.from_descriptor_set(data), Model.from_descriptor_set(data)
    assert one == other
    assert len({method for model in (one, other) for _, _, method in model.methods()}) == len(list(one.methods()))


def test_needs_no_generated_modules(tmp_path: Path) -> None:
    """The model is read without grpc, and without any generated module but those of protobuf itself (GEN-1)."""
    image = tmp_path / "image.binpb"
    image.write_bytes(SAMPLE.SerializeToString())
    program = f"""
import sys
from pathlib import Path
from longrunning.codegen import Model
model = Model.from_descriptor_set(Path({str(image)!r}).read_bytes())
(_, _, method), = model.long_running()
assert method.operation.response.message.full_name == "acme.v1.Thing" and method.http.verb == "GET"
loaded = {{name for name in sys.modules if name.endswith("_pb2") or name.partition(".")[0] in ("grpc", "asyncio", "typer")}}
print(sorted(loaded))
print(sorted(name for name in sys.modules if name.startswith("longrunning.") and not name.startswith("longrunning.codegen")))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert done.stdout.splitlines() == [
        "['google.protobuf.descriptor_pb2']",
        "[]",
    ]
