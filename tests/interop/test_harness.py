# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The table itself: it fails where it should."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.interop import curl, page
from tests.interop.cells import Cell, Seen, Stage, check
from tests.interop.curl import CurlCells
from tests.interop.nodejs import SOURCES
from tests.interop.page import Outcome
from tests.interop.playing import BlankCellError, Listing, Player, Server
from tests.interop.rows import ROWS, Row

LISTING = Listing("listed", frozenset({"a", "b"}))
NOWHERE = Server("127.0.0.1:1", "127.0.0.1:1", LISTING, LISTING)
STAGE = Stage(
    address=NOWHERE.address,
    http_address=NOWHERE.http_address,
    location="l",
    listed_in=LISTING.location,
    listed=LISTING.names,
)


class Incomplete:
    """A client whose class lacks cells."""

    def create(self, stage: Stage) -> Seen:
        """Sees where it is."""
        return Seen(name=stage.location)


@pytest.fixture
def player() -> Generator[Player, None, None]:
    """A player without a server."""
    with asyncio.Runner() as runner, ThreadPoolExecutor(1) as pool:
        yield Player(NOWHERE, pool, runner.get_loop())


def test_a_blank_cell_is_an_error(player: Player) -> None:
    """A client without a method for a cell leaves it blank, and that is an error (interop)."""
    row = Row(key="new", client="new", version=lambda: "1", cells=Incomplete())
    seen, stage = player.outcome(row, Cell.CREATE)
    assert (seen.name, stage.location) == ("projects/interop/locations/new-create",) * 2
    with pytest.raises(BlankCellError, match="new: Incomplete has no method 'resume'"):
        player.outcome(row, Cell.RESUME)


@pytest.mark.parametrize("cell", Cell, ids=lambda cell: cell.method)
def test_nothing_seen_is_not_enough(cell: Cell) -> None:
    """A client that saw nothing fills no cell (interop)."""
    with pytest.raises((AssertionError, IndexError)):
        check(cell, Seen(), STAGE)


def test_a_list_has_to_be_complete() -> None:
    """A list that lacks an operation, has one too many or twice, or came on one page is none (interop)."""
    check(Cell.LIST, Seen(pages=(("a",), ("b",))), STAGE)
    for pages in [(("a",), ()), (("a", "b"), ("c",)), (("a", "b"), ("a",)), (("a", "b"),)]:
        with pytest.raises(AssertionError):
            check(Cell.LIST, Seen(pages=pages), STAGE)


def test_a_page_is_compared_but_for_time_and_versions() -> None:
    """Another version, or another day, leaves a table as it is; another mark or note does not (interop)."""
    outcomes = {(row.key, cell): Outcome("✓") for row in ROWS for cell in Cell}
    one = page.table(outcomes, lambda _: "1")
    assert page.same(f"\n{page.stamp()}\n\n{one}\n", page.table(outcomes, lambda _: "2.0"))
    for outcome in (Outcome("n/a"), Outcome("✓", "by hand")):
        assert not page.same(one, page.table({**outcomes, ("ours", Cell.LIST): outcome}, lambda _: "1"))


def test_a_machine_without_curl_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where curl is missing, its row fails with what to install (interop)."""
    monkeypatch.setitem(curl.ENVIRONMENT, "PATH", "")
    with pytest.raises(curl.NoCurlError, match="apt-get install curl"):
        CurlCells().get(STAGE, STAGE.absent)


def test_a_client_that_reads_no_failures_lists_none() -> None:
    """Only a row that says so gets a list without operations that failed (interop)."""
    server = replace(NOWHERE, successes=Listing("successes", frozenset({"c"})))
    listed = {row.key: server.stage(row, Cell.LIST).listed_in for row in ROWS}
    assert {key for key, location in listed.items() if location == "successes"} == {"node-rest"}
    assert all(row.notes.get(Cell.LIST) for row in ROWS if row.lists_successes)


def test_what_npm_installs_is_pinned() -> None:
    """The client of another language is the same in every run: package.json names exact versions (interop)."""
    for folder in (SOURCES, SOURCES.with_name("real_protos")):
        named = json.loads((folder / "package.json").read_text(encoding="utf-8"))["dependencies"]
        assert named
        assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in named.values()), named
