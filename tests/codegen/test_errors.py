# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a .proto, as its author gets to see it: through the real compilers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from longrunning.codegen import generate
from tests.codegen.compiling import GRPC_TOOLS, HEADER, PROTOC, Sources, buf, plugin_arguments, protoc, service, starts

HTTP: Final = 'option (google.api.http) = { get: "v1/things" };'

# A source, and what is said about it.
WRONG: Final = {
    "unresolved": (
        service(starts(response="Thang")),
        (
            "acme/v1/a.proto:7:5: response_type 'Thang' of Things.Make is no message of the files at hand; "
            "hand over the files of package 'acme.v1' as well (with buf: strategy: all) (or is it 'acme.v1.Thing'?)"
        ),
    ),
    "ambiguous": (
        service(
            starts(metadata="v1.Meta"),
            more="message Request {} message Thing {} message v1 { message Meta {} } message Meta {}",
        ),
        "acme/v1/a.proto:7:5: metadata_type 'v1.Meta' of Things.Make is ambiguous: write .acme.v1.v1.Meta or .acme.v1.Meta",
    ),
    "missing": (
        service(starts(response="")),
        (
            "acme/v1/a.proto:7:5: operation_info of Things.Make has no response_type: name a message, google.protobuf.Any if it "
            "can be any (AIP-151), or pass the option incomplete=untyped"
        ),
    ),
    "enum": (
        service(starts(metadata="Colour"), more="message Request {} message Thing {} enum Colour { RED = 0; }"),
        "acme/v1/a.proto:7:5: metadata_type 'Colour' of Things.Make is an enum, not a message",
    ),
    "streaming": (
        service("  rpc Watch(Request) returns (stream google.longrunning.Operation);"),
        (
            "acme/v1/a.proto:6:3: Things.Watch returns operations and streams: make it unary (AIP-151), "
            "or pass the option streaming=skip to leave such methods out"
        ),
    ),
    "binding": (
        service(starts(more=HTTP)),
        (
            "acme/v1/a.proto:8:1: google.api.http of Things.Make cannot be used: "
            "the path of google.api.http starts with '/', and 'v1/things' does not"
        ),
    ),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("compiler", [PROTOC, GRPC_TOOLS], ids=["protoc", "grpc_tools"])
def test_with_protoc(case: str, compiler: tuple[str, ...], tmp_path: Path) -> None:
    """What cannot be generated is told with file, line and column, and nothing is written (GEN-4)."""
    sources, says = WRONG[case]
    root, out = place(sources, tmp_path)
    done = protoc(plugin_arguments(tmp_path, out), roots=[root], files=sources.texts, compiler=compiler)
    assert done.code == 1
    assert f"--longrunning_out: {says}\n" in done.err
    assert "Traceback" not in done.err
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("case", ["unresolved", "streaming"])
def test_with_buf(case: str, tmp_path: Path) -> None:
    """What buf tells is the same (GEN-4)."""
    sources, says = WRONG[case]
    root, out = place(sources, tmp_path)
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    done = buf(workspace, out, root)
    assert done.code != 0
    # It counts columns of options from their names on, which protoc does not.
    place_said, _, message = says.partition(": ")
    assert re.search(re.escape(place_said.rpartition(":")[0]) + r":\d+: " + re.escape(message), done.err)
    assert "Traceback" not in done.err
    assert list(out.iterdir()) == []


def place(sources: Sources, folder: Path) -> tuple[Path, Path]:
    """Writes the sources; returns their root, and a folder for what is written."""
    root, out = folder / "root", folder / "out"
    out.mkdir()
    for path, text in sources.texts.items():
        (root / path).parent.mkdir(parents=True)
        (root / path).write_text(text, encoding="utf-8")
    return root, out


def test_everything_at_once() -> None:
    """All that is wrong in all files is told at once, in their order (GEN-4)."""
    sources = Sources({
        "b.proto": HEADER.replace("acme.v1", "b") + "service B {\n" + starts(response="No") + starts("Other", metadata="") + "}\nmessage Request {} message Thing {} message Meta {}",
        "a.proto": HEADER + "service A {\n" + starts(metadata="No") + "}\nmessage Request {} message Thing {}",
    })  # fmt: skip
    lines = sources.generated().error.splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["b.proto:7:5", "b.proto:10:5", "a.proto:7:5"]


def test_files_that_are_not_generated() -> None:
    """What is wrong in an imported file is nobody's business as long as nothing is generated for it (GEN-4)."""
    texts = service(starts(response="Thang")).texts
    importing = HEADER.replace("acme.v1", "b").replace("import", 'import "acme/v1/a.proto";\nimport', 1)
    texts = {
        **texts,
        "b.proto": importing + "service B {\n" + starts() + "}\nmessage Request {} message Thing {} message Meta {}",
    }
    answer = generate(Sources(texts).request(only=["b.proto"]))
    assert answer.error == ""
    assert [file.name for file in answer.file] == ["b_lro.py"]


def test_two_files_for_one_module(tmp_path: Path) -> None:
    """Two files whose modules would be one are refused, with both names (GEN-4)."""
    texts = {f"a{dash}b.proto": HEADER.replace("acme.v1", f"p{number}") + "service B {\n" + starts() + "}\nmessage Request {} message Thing {} message Meta {}" for number, dash in enumerate("-_")}  # fmt: skip
    out = tmp_path / "out"
    out.mkdir()
    for path, text in texts.items():
        (tmp_path / path).write_text(text, encoding="utf-8")
    done = protoc(plugin_arguments(tmp_path, out), roots=[tmp_path], files=texts)
    assert done.code == 1
    # Said as what is wrong with a .proto, not with the plugin.
    assert "--longrunning_out: a_b.proto: a_b_lro.py is written for a-b.proto already: rename one of them\n" in done.err
    assert "Traceback" not in done.err
