# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Progress on a terminal: a row for each operation, which changes while its operation does."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Final, Self, final

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from ..operation import Operation, OperationState
from ._exits import one_line, printable
from ._progress import Progress, progress_of
from ._show import elapsed

__all__ = ["Board", "shorten"]

_ENDS: Final = {
    OperationState.SUCCEEDED: Text("✓", "bold green"),
    OperationState.FAILED: Text("✗", "bold red"),
    OperationState.CANCELLED: Text("■", "bold magenta"),
}
_GIVEN_UP: Final = Text("?", "bold yellow")
_NAME_SHARE: Final = 0.45  # of the columns, at most: names of operations can be long
_BAR_SHARE: Final = 0.25
_BAR_WIDTH: Final = 30  # at most
_MARGIN: Final = 3  # the terminal's echo of Ctrl-C must not begin a new line: that would stay behind


@dataclass(slots=True)
class _Row:
    """What is known of one operation. `mark` and `ended` are set once nothing will change any more."""

    name: str
    progress: Progress = field(default_factory=Progress)
    mark: Text | None = None
    ended: float | None = None


@final
class Board:
    """The operations that are being waited for. A context manager: at its end there is nothing left to see of it."""

    def __init__(self, console: Console, names: list[str], endpoint: str) -> None:
        self._console = console
        self._endpoint = endpoint
        self._rows = {name: _Row(printable(name)) for name in names}
        self._since = time.monotonic()
        self._spinner = Spinner("dots", style="cyan")
        self._failure = ""
        self._live = Live(
            self, console=console, refresh_per_second=10, transient=True, redirect_stdout=False, redirect_stderr=False
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, name: str, operation: Operation[Any, Any]) -> None:
        """Shows a snapshot."""
        self._rows[name].progress = progress_of(operation)
        mark = _ENDS.get(operation.state)
        if mark is not None:
            self._end(name, mark)

    def give_up(self, name: str) -> None:
        """Shows that nobody waits for an operation any more."""
        self._end(name, _GIVEN_UP)

    def fail(self, reason: str) -> None:
        """Shows that the server does not answer; an empty reason: that it does again."""
        self._failure = reason

    def _end(self, name: str, mark: Text) -> None:
        row = self._rows[name]
        row.mark, row.ended = mark, time.monotonic()

    def __rich__(self) -> RenderableType:
        """What to show now. Called by rich, from a thread of its own."""
        now, width = time.monotonic(), self._console.width - _MARGIN
        rows = list(self._rows.values())
        names = [shorten(row.name, int(width * _NAME_SHARE)) for row in rows]
        name_width = max(map(cell_len, names))
        bar_width = min(_BAR_WIDTH, int(width * _BAR_SHARE))
        if all(row.progress.fraction is None for row in rows):
            bar_width = 0
        spinner = self._spinner.render(now)
        lines: list[Text] = []
        for row, name in zip(rows, names, strict=True):
            line = Text(no_wrap=True, overflow="ellipsis")
            line.append_text(row.mark or (spinner if isinstance(spinner, Text) else Text(" ")))
            line.append(" ").append(name, "bold").append(" " * (name_width - cell_len(name)))
            if bar_width:
                line.append("  ").append_text(_bar(row.progress.fraction, bar_width))
            line.append(f"  {elapsed((row.ended or now) - self._since):>4}", "bright_black")
            line.append("".join(f"  {word}" for word in _words(row.progress)))
            line.truncate(width, overflow="ellipsis")
            lines.append(line)
        if self._failure:
            text = f"{self._endpoint} does not answer, trying again: {self._failure}"
            line = Text(one_line(text), "yellow", no_wrap=True, overflow="ellipsis")
            line.truncate(width, overflow="ellipsis")
            lines.append(line)
        return Group(*lines)


def _bar(fraction: float | None, width: int) -> Text:
    if fraction is None:
        return Text(" " * (width + 6))
    done = int(fraction * width)
    bar = Text("━" * done, "green" if done == width else "cyan").append("━" * (width - done), "bright_black")
    return bar.append(f" {int(fraction * 100):3} %")


def _words(progress: Progress) -> list[str]:
    words = [one_line(progress.detail)] if progress.detail else []
    return [*words, "cancel requested"] if progress.cancel_requested else words


def shorten(name: str, width: int) -> str:
    """A name that fits, by its end, for that is where names differ; whole segments of it where they fit."""
    if cell_len(name) <= width:
        return name
    segments = name.split("/")
    for start in range(1, len(segments)):
        short = "/".join(["…", *segments[start:]])
        if cell_len(short) <= width:
            return short
    last = segments[-1]
    while len(last) > 1 and cell_len(last) >= width:
        last = last[1:]
    return f"…{last}"
