# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What must not be committed is seen."""

from __future__ import annotations

import pytest

from tools.check_repository import SPDX, faults

HOST = "pypi" + ".org"  # in pieces, or this file would be at fault
PLACE = "/ho" + "me/somebody"


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("src/a.py", "import os\n", "the SPDX lines are missing"),
        ("src/a.py", SPDX.format("# ") + f"# see {PLACE}/x\n", f"src/a.py:3: a path of one machine: '{PLACE[:7]}'"),
        ("docs/a.md", f"https://{HOST}/simple\n", f"docs/a.md:1: the host of a package registry: '{HOST}'"),
        ("docs/a.md", "fixed in issue" + " 7\n", "docs/a.md:1: the number of an issue"),
        ("uv.lock", "", "a lock file"),
    ],
)
def test_faults_are_found(name: str, text: str, fault: str) -> None:
    """A missing licence line, a path, a registry's host, an issue's number and a lock file are faults."""
    assert any(fault in found for found in faults(name, text.encode()))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("src/a.py", SPDX.format("# ").encode() + b"x = '/usr/bin/python3'\n"),
        ("src/py.typed", b""),
        ("protos/example/a.proto", SPDX.format("// ").encode()),
        ("docs/a.md", b"`GET https://library.example.com/v1/shelves/work/opt`\n"),
        ("generated/a.binpb", b"\xff\xfe"),
    ],
)
def test_what_is_fine_is_left_alone(name: str, data: bytes) -> None:
    """Ordinary files, empty ones and binary ones pass."""
    assert list(faults(name, data)) == []
