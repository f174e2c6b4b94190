# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What the demo shows: rich in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from google.cloud.redis_v1.types import cloud_redis
from rich.console import Console, RenderableType
from rich.json import JSON
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from longrunning import Operation, OperationState

__all__ = ["Board", "NotSoError", "Screen", "metadata_of"]

_MARKS: Final = {
    OperationState.SUCCEEDED: ("✓", "green"),
    OperationState.FAILED: ("✗", "red"),
    OperationState.CANCELLED: ("■", "yellow"),
}


class NotSoError(Exception):
    """Something the demo says is not so."""


def metadata_of(operation: Operation[object, cloud_redis.OperationMetadata]) -> cloud_redis.OperationMetadata:
    """The metadata of an operation, which Memorystore always sends.

    Raises:
        NotSoError: There is none.
    """
    if (metadata := operation.metadata) is None:
        raise NotSoError(f"{operation.name} has no metadata")
    return metadata


class Screen:
    """Where the demo says what it does, and what holds.

    Attributes:
        console: Where it is written.
        facts: How many facts held.
    """

    def __init__(self) -> None:
        """Takes standard output."""
        self.console = Console(highlight=False)
        self.facts = 0
        self._steps = 0

    def say(self, text: str) -> None:
        """A line, with rich's markup, and never broken: it may be read by a program."""
        self.console.print(text, soft_wrap=True)

    def step(self, title: str) -> None:
        """The heading of what comes next."""
        self._steps += 1
        self.say(f"\n[bold cyan]{self._steps}  {title}[/]")

    def check(self, held: object, fact: str) -> None:
        """A fact: shown if it holds, otherwise the end of the demo.

        Raises:
            NotSoError: It does not hold.
        """
        if not held:
            raise NotSoError(f"step {self._steps}: not so: {fact}")
        self.facts += 1
        self.say(f"   [green]✓[/] {escape(fact)}")

    def command(self, *lines: str) -> None:
        """A command for a shell, in one line or several."""
        for number, line in enumerate(lines):
            start, end = ("     " if number else "   $ "), (" \\" if number < len(lines) - 1 else "")
            self.console.print(Text(f"{start}{line}{end}", "bold"), soft_wrap=True)

    def table(self, *columns: str, rows: Iterable[tuple[object, ...]]) -> None:
        """A table."""
        cells = [columns, *([str(cell) for cell in row] for row in rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for number, row in enumerate(cells):
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            self.console.print(Text(f"   {line}", "" if number else "dim"), soft_wrap=True)

    def json(self, text: str) -> None:
        """A document."""
        for line in JSON(text).text.split("\n"):
            self.console.print(Text("   ") + line, soft_wrap=True)

    @contextmanager
    def board(self, *labels: str) -> Generator[Board, None, None]:
        """Shows the progress of creations: rows that change, or a line for each change."""
        board = Board(self, labels)
        if not self.console.is_terminal:
            yield board
            return
        with Live(board, console=self.console, refresh_per_second=15):
            yield board


@dataclass(slots=True)
class _Row:
    """The progress of one operation; how it ended, once it has."""

    status_detail: str = ""
    state: OperationState = OperationState.RUNNING
    seconds: float = 0.0
    spinner: Spinner = field(default_factory=lambda: Spinner("dots", style="cyan"))


class Board:
    """The progress of several operations."""

    def __init__(self, screen: Screen, labels: Iterable[str]) -> None:
        """Made by `Screen.board`."""
        self._screen = screen
        self._rows = {label: _Row() for label in labels}
        self._since = time.monotonic()

    def show(self, label: str, operation: Operation[cloud_redis.Instance, cloud_redis.OperationMetadata]) -> None:
        """Shows a snapshot of an operation."""
        row, status_detail = self._rows[label], metadata_of(operation).status_detail
        if (row.status_detail, row.state) == (status_detail, operation.state):
            return
        row.status_detail, row.state = status_detail, operation.state
        row.seconds = time.monotonic() - self._since
        if not self._screen.console.is_terminal:
            width = max(map(len, self._rows))
            self._screen.say(f"   {row.seconds:4.1f} s  {label:{width}}  {row.state.value:9}  {status_detail}")

    def __rich__(self) -> Table:
        table = Table.grid(padding=(0, 2, 0, 0))
        for label, row in self._rows.items():
            mark: RenderableType
            if row.state is OperationState.RUNNING:
                mark, seconds = row.spinner, time.monotonic() - self._since
                bar = ProgressBar(width=16, pulse=True)
            else:
                (character, style), seconds = _MARKS[row.state], row.seconds
                mark = Text(character, style)
                bar = ProgressBar(width=16, total=1, completed=1, finished_style=style)
            table.add_row(" ", mark, label, bar, f"{seconds:4.1f} s", Text(row.status_detail))
        return table
