# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The page about interoperability has a row for each client and no blank cell, without a run of the clients."""

from __future__ import annotations

import re

from tests.interop import page
from tests.interop.api_core_suite import GAPS
from tests.interop.cells import Cell
from tests.interop.rows import ROWS

MARK = re.compile(r"(✓|n/a)(?: \((\d+)\))?")


def rows(part: str) -> list[list[str]]:
    """The table of a part that is written by a run, its heading first."""
    lines = [line.strip("| ").split(" | ") for line in page.read(part).splitlines() if line.startswith("| ")]
    assert lines, f"docs/interop.md has no table {part!r}: run `make interop`"
    return lines


def test_every_client_and_every_cell_is_on_the_page() -> None:
    """The table has the rows and columns that the tests have, and in the same order (interop)."""
    head, *found = rows("clients")
    assert head == ["client", "version", *(cell.heading for cell in Cell)]
    assert [row[0] for row in found] == [row.client for row in ROWS]
    assert {len(row) for row in found} == {len(head)}


def test_every_mark_is_explained() -> None:
    """No cell is blank; what a client does not offer has a reason, and each note is about a cell (interop)."""
    notes = set(re.findall(r"^(\d+)\. ", page.read("clients"), re.MULTILINE))
    used: set[str] = set()
    for _, _, *marks in rows("clients")[1:]:
        for mark in marks:
            match = MARK.fullmatch(mark)
            assert match is not None, mark
            assert match[2] or match[1] == "✓"
            used |= {match[2]} - {None}
    assert used == notes


def test_every_gap_is_on_the_page() -> None:
    """Each test of google-api-core that does not apply is named, with the reason (interop)."""
    _, *found = rows("api-core")
    for (tests, reason), gap in zip(found, GAPS, strict=True):
        assert reason == gap.reason
        assert re.findall(r"::(\w+)`", tests) == [test.partition("::")[2] for test in gap.tests]
