# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Standard output and standard error: colours for a terminal, plain text for everything else, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TextIO, final

from ._exits import CliError, ClosedPipeError, Exit, complain, printable

if TYPE_CHECKING:
    from rich.console import Console

    from ..operation import Operation
    from ..page import Page
    from ..registry import TypeRegistry
    from ._show import Line, Style

__all__ = ["Output", "console", "is_terminal"]

_STYLES: Final[dict[Style, str]] = {
    "": "",
    "name": "bold",
    "key": "cyan",
    "type": "blue",
    "dim": "bright_black",
    "running": "bold yellow",
    "good": "bold green",
    "bad": "bold red",
    "cancelled": "bold magenta",
}
# To a terminal these are commands. In JSON they can only stand in a string, where escapes say the same.
_UNSAFE: Final = {
    code: f"\\u{code:04x}" for code in (0x7F, *range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}
_HINTED: Final = 3  # names of types in a hint


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal; one that was closed before the program started is none."""
    return stream is not None and stream.isatty()


def console(stream: TextIO) -> Console:
    """A terminal, without asking the environment for its size, its colours, or whether it is one."""
    from rich.console import Console

    return Console(
        file=stream, color_system="standard", force_terminal=True, force_jupyter=False, highlight=False, markup=False,
        emoji=False, _environ={},
    )  # fmt: skip


@contextmanager
def _writing() -> Generator[None]:
    try:
        yield
    except BrokenPipeError:
        raise ClosedPipeError from None
    except OSError as error:  # the disk is full, the terminal is gone
        raise CliError(Exit.FAILED, f"cannot write to standard output: {error.strerror}") from error


@final
class Output:
    """Standard output.

    Attributes:
        as_json: Whether to write JSON: a document a line, or indented on a terminal.
        terminal: The terminal; ``None`` where it is none.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.terminal = console(sys.stdout) if is_terminal(sys.stdout) else None
        self._indent = 2 if self.terminal is not None else None
        self._unknown: set[str] = set()
        self._wrote = False

    def operation(self, operation: Operation[Any, Any], registry: TypeRegistry) -> None:
        """Writes an operation in full."""
        from ._show import block

        self.note_types(operation, registry)
        if self.as_json:
            self._json(operation.to_json(indent=self._indent))
            return
        if self._wrote:
            self.lines([[]])
        self.lines(block(operation, registry))

    def document(self, document: dict[str, Any]) -> None:
        """Writes JSON."""
        separators = (",", ":") if self._indent is None else None
        self._json(json.dumps(document, ensure_ascii=False, indent=self._indent, separators=separators))

    def lines(self, lines: Iterable[Line]) -> None:
        """Writes styled lines, and hands them over to whoever reads them while the program goes on."""
        with _writing():
            for line in lines:
                self._line(line)
                self._wrote = True
            if sys.stdout is not None:  # pyright: ignore[reportUnnecessaryComparison] (closed before the program started)
                sys.stdout.flush()

    def page(self, page: Page[Operation[Any, Any]], registry: TypeRegistry, *, full: bool = False) -> None:
        """Writes a page of a list: a line for each operation, or each in full."""
        from ._show import cells, row

        if self.as_json:
            self.document(json.loads(page.to_json()))
        elif full:
            for operation in page:
                self.operation(operation, registry)
            rest = [("next page token", page.next_page_token)] if page.next_page_token else []
            rest += [("unreachable", place) for place in page.unreachable]
            if rest and self._wrote:
                self.lines([[]])
            self.lines([(f"{key}: ", "key"), (printable(value), "")] for key, value in rest)
        else:
            width = max((cells(printable(operation.name)) for operation in page), default=0)
            self.lines(row(operation, width) for operation in page)
        for operation in page:
            self.note_types(operation, registry)

    def note_types(self, operation: Operation[Any, Any], registry: TypeRegistry) -> None:
        """Remembers the unknown types in an operation for `hint`."""
        from ._show import unknown_types

        self._unknown |= unknown_types(operation, registry)

    def hint(self, remedy: str) -> None:
        """Says which types were unknown, if any were, and what would help."""
        if self._unknown:
            names = sorted(self._unknown)
            more = f" and {len(names) - _HINTED} more" if len(names) > _HINTED else ""
            complain(f"unknown types: {', '.join(names[:_HINTED])}{more}; {remedy}")

    def _json(self, text: str) -> None:
        self.lines([[(line, "")] for line in text.translate(_UNSAFE).split("\n")])

    def _line(self, line: Line) -> None:
        if self.terminal is None:
            from ._show import plain

            print(plain(line))
        else:
            from rich.text import Text

            text = Text.assemble(*((part, _STYLES[style]) for part, style in line))
            self.terminal.print(text, soft_wrap=True)
