# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What docs/cli.md shows of the commands that need no server is what they print."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from longrunning.cli._exits import Exit
from tests.docs.test_documentation import ROOT

PAGE: Final = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
SECTION: Final = PAGE.partition("## Annotations\n")[2].partition("\n## ")[0]
BIN: Final = Path(sys.executable).parent
PROTO: Final = Path("protos", "example", "library", "v1", "library.proto")
CODES: Final = {"breaking": Exit.FAILED}  # 0 for the others


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Our protos, and the descriptors of what was released before: another metadata type."""
    shutil.copytree(ROOT / "protos", tmp_path / "protos")
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    now = (tmp_path / PROTO).read_text(encoding="utf-8")
    before = now.replace('metadata_type: "ImportBooksMetadata"', 'metadata_type: "OperationMetadata"')
    assert before != now
    (tmp_path / PROTO).write_text(before, encoding="utf-8")
    assert run("buf build -o released.binpb", tmp_path) == (0, "")
    (tmp_path / PROTO).write_text(now, encoding="utf-8")
    return tmp_path


def run(command: str, folder: Path) -> tuple[int, str]:
    """Exit code of a command, and what it prints."""
    variables = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False
    )  # fmt: skip
    return done.returncode, done.stdout.decode()


def test_commands_about_annotations(folder: Path) -> None:
    """inspect, lint and breaking print what the page says, and end as it says (GEN-5)."""
    ran: list[str] = []
    for block in re.findall(r"^```console\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            words = command.split()
            assert run(command, folder) == (CODES.get(words[1], Exit.OK), expected), command
            ran.append(words[1])
    assert ran == ["build", "inspect", "lint", "breaking"]


def test_every_command_is_on_the_page() -> None:
    """The table has a row for each command (documentation)."""
    code, printed = run("longrunning --help", ROOT)
    assert code == 0
    offered = set(re.findall(r"^  (\w+) {2,}\S", printed.partition("Commands:\n")[2], re.MULTILINE))
    assert offered >= {"get", "inspect"}
    assert set(re.findall(r"^\| `(\w+) ", PAGE, re.MULTILINE)) == offered


def test_what_buf_does_not_see(folder: Path) -> None:
    """A metadata type that changed is no change to `buf breaking`, as the pages say (GEN-5)."""
    assert run("buf breaking --against released.binpb", folder) == (0, "")
