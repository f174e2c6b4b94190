# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Real clients against the server of the demo: every cell of the table is filled, or says why it cannot be."""

from __future__ import annotations

from collections.abc import Generator
from typing import cast

import pytest

from tests.interop import page
from tests.interop.cells import Cell, NotOfferedError, check
from tests.interop.page import Outcome
from tests.interop.playing import BlankCellError, Player, playing
from tests.interop.rows import ROWS, Row

Outcomes = dict[tuple[str, Cell], Outcome]
CELLS = {f"test_{cell.method}": cell for cell in Cell}

FAILED = Outcome("fails")

each_client = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)


class Table:
    """The table of this run, as it fills."""

    def __init__(self, player: Player) -> None:
        self.player = player
        self.outcomes: Outcomes = {}

    def fill(self, row: Row, cell: Cell) -> None:
        """Plays a cell, or learns that it cannot be."""
        self.outcomes[row.key, cell] = FAILED
        try:
            seen, stage = self.player.outcome(row, cell)
        except NotOfferedError as gap:
            self.outcomes[row.key, cell] = Outcome("n/a", str(gap))
            pytest.skip(f"{row.client}: {gap}")
        except BlankCellError as error:
            pytest.fail(str(error))
        check(cell, seen, stage)
        self.outcomes[row.key, cell] = Outcome("✓", row.notes.get(cell, ""))


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest) -> Generator[Table, None, None]:
    """An empty table. All cells that this run is about begin at once."""
    with playing() as player:
        chosen = [item for item in request.session.items if isinstance(item, pytest.Function)]
        player.start(
            (cast("Row", item.callspec.params["row"]), CELLS[item.originalname])
            for item in chosen
            if item.parent is request.node and item.originalname in CELLS
        )
        yield Table(player)


@each_client
def test_create(row: Row, table: Table) -> None:
    """A client starts an operation, and reads its typed metadata (TYPE-9, REST-1)."""
    table.fill(row, Cell.CREATE)


@each_client
def test_progress(row: Row, table: Table) -> None:
    """A client sees the stages of an operation in its metadata, in order, the last one after its end (PROG-2, PROG-3)."""
    table.fill(row, Cell.PROGRESS)


@each_client
def test_result(row: Row, table: Table) -> None:
    """A client waits for an operation, and gets what it was to make (TYPE-1, TYPE-9)."""
    table.fill(row, Cell.RESULT)


@each_client
def test_failure(row: Row, table: Table) -> None:
    """A client learns code, message and details of an operation that failed (ERR-2, REST-1)."""
    table.fill(row, Cell.FAILURE)


@each_client
def test_cancel(row: Row, table: Table) -> None:
    """A client cancels an operation that runs, and learns that it was cancelled (CTRL-2, SNAP-1)."""
    table.fill(row, Cell.CANCEL)


@each_client
def test_list(row: Row, table: Table) -> None:
    """A client lists, by a filter and in pages, all operations that fit and no other (CTRL-4, REST-1)."""
    table.fill(row, Cell.LIST)


@each_client
def test_delete(row: Row, table: Table) -> None:
    """After a client deleted an operation, the server does not know it (CTRL-3)."""
    table.fill(row, Cell.DELETE)


@each_client
def test_resume(row: Row, table: Table) -> None:
    """A client takes hold of an operation on another connection, and gets what it was to make (CTRL-1)."""
    table.fill(row, Cell.RESUME)


@each_client
def test_not_found(row: Row, table: Table) -> None:
    """A client that asks for an operation that never was learns so (WAIT-7, REST-2)."""
    table.fill(row, Cell.NOT_FOUND)


def test_the_page_shows_this_run(table: Table, request: pytest.FixtureRequest) -> None:
    """The table in the documentation is the one that this run came to (interop)."""
    if len(table.outcomes) < len(ROWS) * len(Cell):
        pytest.skip("only a part of the table was played")
    assert FAILED not in table.outcomes.values(), "a table with cells that went wrong is not for the documentation"
    found = page.table(table.outcomes)
    if request.config.getoption("--interop-write"):
        page.write("clients", found)
    assert page.same(page.read("clients"), found), "docs/interop.md is out of date: run `make interop`"
