# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The page with the table, ``docs/interop.md``: what is between its markers is written by `make interop`."""

from __future__ import annotations

import datetime as dt
import platform
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Final

from .cells import Cell
from .rows import ROWS, Row

__all__ = ["PAGE", "Outcome", "read", "same", "stamp", "table", "write"]

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "interop.md"
_STAMP: Final = re.compile(r"^Written by `make interop` on .*$", re.MULTILINE)
_VERSIONS: Final = re.compile(r"(?<=google-api-core )\d[\d.]*\d|(?<=^\| )([^|]+) \| [^|]+(?= \| )", re.MULTILINE)


@dataclass(frozen=True)
class Outcome:
    """How a cell came out: its mark, and what is to be said about it."""

    mark: str
    note: str = ""


@dataclass
class _Notes:
    numbers: dict[str, int] = field(default_factory=dict[str, int])

    def mark(self, outcome: Outcome) -> str:
        """A mark, with the number of its note."""
        if not outcome.note:
            return outcome.mark
        return f"{outcome.mark} ({self.numbers.setdefault(outcome.note, len(self.numbers) + 1)})"


def stamp() -> str:
    """When, and where: the line that changes from run to run."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("grpcio", "protobuf"))
    python = f"{platform.python_implementation()} {platform.python_version()}, {platform.system()}"
    return f"Written by `make interop` on {dt.datetime.now(dt.UTC):%Y-%m-%d}: {python}, {versions}."


def table(
    outcomes: Mapping[tuple[str, Cell], Outcome], version: Callable[[Row], str] = lambda row: row.version()
) -> str:
    """The table, the notes on it, and what its columns mean."""
    notes = _Notes()
    headings = ("client", "version", *(cell.heading for cell in Cell))
    lines = [f"| {' | '.join(headings)} |", "|---" * len(headings) + "|"]
    for row in ROWS:
        marks = (notes.mark(outcomes[row.key, cell]) for cell in Cell)
        lines.append(f"| {' | '.join((row.client, version(row), *marks))} |")
    lines += ["", *(f"{number}. {note}" for note, number in notes.numbers.items())]
    lines += ["", "What a mark stands for:", "", *(f"- **{cell.heading}**: {cell.task}" for cell in Cell)]
    return "\n".join(lines)


def read(part: str) -> str:
    """What is between two markers of the page."""
    return _between(PAGE.read_text(encoding="utf-8"), part)[1]


def write(part: str, text: str) -> None:
    """Writes something, and when, between two markers; unless that is there already, but for when."""
    if _STAMP.sub("", read(part)).strip() == text.strip():
        return
    before, _, after = _between(PAGE.read_text(encoding="utf-8"), part)
    PAGE.write_text(f"{before}\n{stamp()}\n\n{text.strip()}\n\n{after}", encoding="utf-8")


def same(one: str, other: str) -> bool:
    """Whether two tables are the same but for the time and the versions."""
    plain = [_VERSIONS.sub(r"\1", _STAMP.sub("", text)).strip() for text in (one, other)]
    return plain[0] == plain[1]


def _between(text: str, part: str) -> tuple[str, str, str]:
    begin, end = f"<!-- {part}: begin -->\n", f"<!-- {part}: end -->\n"
    before, found, rest = text.partition(begin)
    middle, ended, after = rest.partition(end)
    if not found or not ended:
        raise ValueError(f"{PAGE.name} has no markers {begin.strip()} and {end.strip()}")
    return before + begin, middle, end + after
