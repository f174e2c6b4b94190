# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""inspect, lint and breaking: what descriptor sets say about long-running methods."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from longrunning.cli._exits import Exit
from tests.cli.driving import Ended, call, run, terminal
from tests.codegen.compiling import ROOT, Sources, service, starts

LIBRARY = "example/library/v1/library.proto"
HTTP = 'option (google.api.http) = { post: "/v1/things" body: "*" additional_bindings { get: "/v1/x" } };'

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes the descriptors of sources into a file."""

    def write(sources: Sources, name: str = "api.binpb", *, source_info: bool = True) -> str:
        path = tmp_path / name
        path.write_bytes(sources.descriptors(source_info=source_info).SerializeToString())
        return str(path)

    return write


@pytest.fixture
def library(write: Write) -> str:
    """The descriptors of our example."""
    return write(Sources({LIBRARY: (ROOT / "protos" / LIBRARY).read_text(encoding="utf-8")}))


# -- inspect ------------------------------------------------------------------------------------------------------------


def test_a_table(library: str) -> None:
    """Inspect shows methods, response, metadata and HTTP binding, service by service (GEN-1)."""
    ended = call("inspect", library)
    assert ended.out.splitlines() == [
        "example.library.v1.Library  example/library/v1/library.proto:17:1",
        "  METHOD       RESPONSE               METADATA             HTTP",
        "  ImportBooks  ImportBooksResponse    ImportBooksMetadata  POST /v1/{parent=shelves/*}/books:import",
        "  CreateShelf  Shelf                  OperationMetadata    POST /v1/shelves",
        "  DeleteShelf  google.protobuf.Empty  OperationMetadata    DELETE /v1/{name=shelves/*}",
        "",
        "google.longrunning.Operations  over HTTP",
        "  ListOperations   GET /v1/{name=operations}",
        "  GetOperation     GET /v1/{name=operations/**}",
        "  DeleteOperation  DELETE /v1/{name=operations/**}",
        "  CancelOperation  POST /v1/{name=operations/**}:cancel",
    ]
    assert (ended.code, ended.err) == (Exit.OK, "")


def test_what_does_not_resolve(write: Write) -> None:
    """Inspect shows what does not resolve or is not declared as such, and says why on standard error (GEN-1)."""
    bare = "  rpc Bare(Request) returns (google.longrunning.Operation);"
    ended = call("inspect", write(service(starts(response="Thang", metadata=""), bare)))
    lines = ended.out.splitlines()
    assert lines[2].split("  ") == ["", "Make", "", "Thang (not found)", "(not declared)"]
    assert lines[3].split() == ["Bare", "(not", "declared)", "(not", "declared)"]
    assert ended.code == Exit.OK
    assert ended.complaint.startswith("acme/v1/a.proto:7:5: error: response_type 'Thang' of Things.Make is no message")


def test_nothing_long_running(write: Write) -> None:
    """Inspect says so if there is nothing to show (GEN-1)."""
    path = write(service("  rpc Get(Request) returns (Thing);"))
    ended = call("inspect", path)
    assert (ended.code, ended.out) == (Exit.OK, "")
    assert ended.complaint == f"{path}: no method returns a long-running operation"


def test_the_model_as_json(write: Write) -> None:
    """Inspect --json shows the whole model: every method, resolved types, bindings, comments and positions (GEN-1)."""
    text = service(
        "  // Makes things.",
        starts(more=HTTP + " option deprecated = true;"),
        "  rpc Watch(stream Request) returns (stream Thing);",
    )
    document = json.loads(call("inspect", "--json", write(text)).out)
    file = next(one for one in document["files"] if one["path"] == "acme/v1/a.proto")
    assert (file["package"], file["edition"]) == ("acme.v1", "proto3")
    (things,) = file["services"]
    assert things["name"] == "acme.v1.Things"
    assert things["methods"] == [
        {
            "name": "Make",
            "path": "/acme.v1.Things/Make",
            "kind": "starts",
            "request": "acme.v1.Request",
            "response": "google.longrunning.Operation",
            "position": {"path": "acme/v1/a.proto", "line": 7, "column": 3},
            "comment": "Makes things.",
            "deprecated": True,
            "operation": {
                "response": {"written": "Thing", "name": "acme.v1.Thing", "path": "acme/v1/a.proto"},
                "metadata": {"written": "Meta", "name": "acme.v1.Meta", "path": "acme/v1/a.proto"},
                "position": {"path": "acme/v1/a.proto", "line": 8, "column": 5},
            },
            "http": {
                "verb": "POST",
                "path": "/v1/things",
                "body": "*",
                "additional": [{"verb": "GET", "path": "/v1/x"}],
            },
        },
        {
            "name": "Watch",
            "path": "/acme.v1.Things/Watch",
            "kind": "ordinary",
            "request": "acme.v1.Request",
            "response": "acme.v1.Thing",
            "position": {"path": "acme/v1/a.proto", "line": 11, "column": 3},
            "streaming": {"client": True, "server": True},
        },
    ]
    assert document["findings"] == []
    assert document["operations"][1] == {
        "method": "GetOperation",
        "http": {"verb": "GET", "path": "/v1/{name=operations/**}"},
    }


def test_findings_in_json(write: Write) -> None:
    """Inspect --json has what does not resolve, with its place (GEN-1)."""
    document = json.loads(call("inspect", "--json", write(service(starts(response="Thang")))).out)
    (finding,) = document["findings"]
    assert (finding["level"], finding["rule"], finding["method"]) == (
        "error",
        "unresolved-type",
        "/acme.v1.Things/Make",
    )
    assert finding["position"] == {"path": "acme/v1/a.proto", "line": 7, "column": 5}


def test_standard_input(library: str) -> None:
    """Descriptors come from standard input where the file is '-' (GEN-1)."""
    ended = run("inspect", "-", input=Path(library).read_bytes())
    assert ended.out == call("inspect", library).out
    assert ended.code == Exit.OK


def test_images_of_buf(library: str, tmp_path: Path) -> None:
    """An image that buf builds is a descriptor set (GEN-1)."""
    image = tmp_path / "image.binpb"
    buf = Path(sys.executable).parent / "buf"
    subprocess.run([buf, "build", "-o", image, "--path", "protos/example"], cwd=ROOT, check=True)
    assert call("inspect", str(image)).out == call("inspect", library).out


def test_in_colour(library: str) -> None:
    """On a terminal the table has colours, and the same text (GEN-1)."""
    with terminal("inspect", library) as opened:
        assert opened.end() == Exit.OK
        assert "\x1b[" in opened.raw
        assert opened.text == call("inspect", library).out


@pytest.mark.parametrize("command", ["inspect", "lint"])
@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "the descriptor set holds no files"),
        (b"no", "2 bytes are not a google.protobuf.FileDescriptorSet"),
        (b"\x0a\x04\x0a\x02\x1b[", "a file called '\\x1b['"),
    ],
)
def test_no_descriptors(command: str, data: bytes, says: str, tmp_path: Path) -> None:
    """What is no descriptor set is told in a line, with its file, and never as controls of a terminal (GEN-4)."""
    path = tmp_path / "api.binpb"
    path.write_bytes(data)
    ended = call(command, str(path))
    assert (ended.code, ended.out) == (Exit.USAGE, "")
    assert ended.complaint.startswith(f"{path}: ")
    assert says in ended.complaint
    assert "\x1b" not in ended.err


def test_no_file(tmp_path: Path) -> None:
    """A file that is not there is told in a line (GEN-4)."""
    ended = call("breaking", str(tmp_path / "old"), str(tmp_path / "new"))
    assert ended.code == Exit.USAGE
    assert "No such file" in ended.complaint


# -- lint -----------------------------------------------------------------------------------------------------------------


def lint_sources() -> Sources:
    """Two files, each with something to be said about."""
    empty = starts(response="google.protobuf.Empty")
    other = service(empty).texts["acme/v1/a.proto"].replace("acme.v1", "acme.v2")
    return Sources({"acme/v1/a.proto": service(empty, starts("Other", response="No")).texts["acme/v1/a.proto"], "acme/v2/b.proto": other})  # fmt: skip


def test_lint(write: Write) -> None:
    """Lint writes a line for each finding, as compilers do, and exits with 1 (GEN-5)."""
    ended = call("lint", write(lint_sources()))
    places = [line.split(" ")[:2] for line in ended.out.splitlines()]
    assert places == [
        ["acme/v1/a.proto:7:5:", "warning:"],
        ["acme/v1/a.proto:11:5:", "error:"],
        ["acme/v2/b.proto:7:5:", "warning:"],
    ]
    assert (ended.code, ended.err) == (Exit.FAILED, "")


def test_lint_some_files(write: Write) -> None:
    """Lint --path leaves everything else out (GEN-5)."""
    path = write(lint_sources())
    assert len(call("lint", path, "--path", "acme/v2/").out.splitlines()) == 1
    assert len(call("lint", path, "--path", "acme/v1/a.proto").out.splitlines()) == 2
    assert len(call("lint", path, "--path", "acme").out.splitlines()) == 3
    ended = call("lint", path, "--path", "acme/v")
    assert (ended.code, ended.out) == (Exit.OK, "")


def test_lint_as_json(write: Write) -> None:
    """Lint --json writes a document on each line (GEN-5)."""
    lines = call("lint", "--json", write(lint_sources())).out.splitlines()
    assert [json.loads(line)["rule"] for line in lines] == ["lro-response-type", "unresolved-type", "lro-response-type"]


def test_lint_finds_nothing(library: str) -> None:
    """Lint is silent about our example, and exits with 0 (GEN-5)."""
    ended = call("lint", library)
    assert (ended.code, ended.out, ended.err) == (Exit.OK, "", "")


def test_lint_without_lines(write: Write) -> None:
    """Descriptors without source info have findings without lines (GEN-5)."""
    ended = call("lint", write(lint_sources(), source_info=False))
    assert ended.out.startswith("acme/v1/a.proto: warning: ")


# -- breaking -------------------------------------------------------------------------------------------------------------


BEFORE = service(starts(), starts("Other"))
AFTER = service(starts(response="Meta"), starts("Other"))


def changed(write: Write, *options: str) -> Ended:
    """Compares two versions."""
    return call("breaking", write(BEFORE, "old.binpb"), write(AFTER, "new.binpb"), *options)


def test_breaking(write: Write) -> None:
    """Breaking writes a line for each change, and exits with 1 (GEN-5)."""
    ended = changed(write)
    assert ended.out == (
        "acme/v1/a.proto:7:5: the response of Things.Make was acme.v1.Thing and is acme.v1.Meta [response-type]\n"
    )
    assert (ended.code, ended.err) == (Exit.FAILED, "")


def test_breaking_as_json(write: Write) -> None:
    """Breaking --json writes a document on each line (GEN-5)."""
    document = json.loads(changed(write, "--json").out)
    assert (document["kind"], document["old"], document["new"]) == ("response-type", "acme.v1.Thing", "acme.v1.Meta")


def test_nothing_breaks(library: str) -> None:
    """Breaking is silent about what did not change, and exits with 0 (GEN-5)."""
    ended = call("breaking", library, library)
    assert (ended.code, ended.out, ended.err) == (Exit.OK, "", "")


def test_buf_does_not_notice(write: Write) -> None:
    """What breaking reports is what buf breaking lets pass (GEN-5)."""
    old, new = write(BEFORE, "old.binpb"), write(AFTER, "new.binpb")
    assert call("breaking", old, new).code == Exit.FAILED
    buf = Path(sys.executable).parent / "buf"
    subprocess.run([buf, "breaking", f"{new}#format=binpb", "--against", f"{old}#format=binpb"], check=True)
