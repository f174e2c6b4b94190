# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The comparison with google-api-core: every line of it is proved by a test that exists, or measured by a bench."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from benchmarks.__main__ import BENCHES

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "compared.md").read_text(encoding="utf-8")
TRAPS = ("unit/test_api_core_traps.py", "pair/test_api_core_wait_traps.py", "interop/test_api_core_lacks.py")


def lines() -> Iterator[list[str]]:
    """The cells of each line of a table that names tests; headings and rulers are none."""
    for line in TEXT.splitlines():
        cells = line.strip("| ").split(" | ")
        if line.startswith("| ") and len(cells) == 4:
            yield cells


def named(cell: str) -> Iterator[tuple[str, str]]:
    """The tests a cell names, each with its file: a file goes for all that follow it."""
    file = ""
    for found in re.findall(r"`([^`]+)`", cell):
        if found.endswith(".py"):
            file = found
        else:
            yield file, found


def names_in(file: str) -> set[str]:
    """The tests that a file holds."""
    path = ROOT / "tests" / file
    assert path.is_file(), f"docs/compared.md names {file}, which is not there"
    body = ast.parse(path.read_text(encoding="utf-8")).body
    functions = [node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {name for name in functions if name.startswith("test_")}


def test_every_line_names_a_test() -> None:
    """No line of the comparison is without a test, and every test it names is there (documentation)."""
    found = list(lines())
    assert len(found) > 25
    for cells in found:
        tests = list(named(cells[-1]))
        assert tests, cells
        for file, test in tests:
            assert test in names_in(file), f"docs/compared.md names {test} of {file}, which is not there"


def test_every_trap_is_on_the_page() -> None:
    """Each fault of google-api-core that a test reproduces is in the comparison (documentation)."""
    shown = {(file, test) for cells in lines() for file, test in named(cells[-1])}
    assert {(file, test) for file in TRAPS for test in names_in(file)} <= shown


def test_what_is_measured_is_a_bench() -> None:
    """What the comparison calls measured is a bench of that name (documentation)."""
    measured = re.findall(r"`bench: (\w+)`", TEXT)
    assert measured
    assert set(measured) <= set(BENCHES)


def test_the_version_is_the_one_tested() -> None:
    """The version of google-api-core on the page is the one that the tests run on (documentation)."""
    version = ".".join(metadata.version("google-api-core").split(".")[:2])
    assert re.findall(r"google-api-core (\d[\d.]*\d)", TEXT) == [version]
