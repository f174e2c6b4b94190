# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Python text as formatters leave it.

Law of this file: a construct stands on one line only if it fits into `WIDTH`; otherwise every part of it has a line and a
comma of its own. Both forms are left alone by ruff and black at that line length and at every longer one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

__all__ = ["WIDTH", "docstring", "safe", "string", "wrapped"]

WIDTH: Final = 88  # the default of ruff and of black

# What must not stand in source as it is: controls, line separators, what turns the direction of text around, the byte order mark.
_UNSAFE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb]"
)

_BLANK_LINES: Final = re.compile(r"\n{3,}")
_SPECIAL: Final = re.compile(rf'{_UNSAFE.pattern}|\\|"""|[^\S\n]\n|\n\n\n')


def string(text: str) -> str:
    """A string literal."""
    # With the quotes that need fewer escapes; formatters would see to it.
    quote = "'" if text.count('"') > text.count("'") else '"'
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace(quote, f"\\{quote}")
    return f"{quote}{_escape(escaped)}{quote}"


def safe(text: str) -> str:
    """A text of somebody else as it can stand in a docstring: without the quotes, nothing is lost but blanks at ends of lines."""
    text = text.strip()
    if _SPECIAL.search(text) is None:
        return text
    text = "\n".join(line.rstrip() for line in text.split("\n"))
    text = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return _escape(_BLANK_LINES.sub("\n\n", text))


def docstring(text: str, indent: int = 0) -> list[str]:
    """A docstring of a text that is `safe`, or ours."""
    margin = " " * indent
    text = text.strip()
    if text.startswith('"'):
        text = f" {text}"  # as formatters would have it
    if "\n" not in text:
        room = " " if text.endswith('"') else ""
        return [f'{margin}"""{text}{room}"""']
    # Of blank lines there are never two in a row: the second replacement finds all of them.
    indented = text.replace("\n", f"\n{margin}").replace(f"\n{margin}\n", "\n\n")
    return [f'{margin}"""{indented}', f'{margin}"""']


def _escape(text: str) -> str:
    return _UNSAFE.sub(lambda found: _escaped(ord(found[0])), text)


def _escaped(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def wrapped(head: str, parts: Sequence[str], tail: str, indent: int = 0, *, explode: bool = False) -> list[str]:
    """``head``, parts between commas, and ``tail``: on one line, or each part on its own.

    Args:
        head: Ends in an opening bracket.
        parts: The parts; one of several lines makes all of them stand alone.
        tail: Starts with the closing bracket.
        indent: Of the first line.
        explode: Not on one line, even if it fits.
    """
    margin = " " * indent
    if not explode or not parts:
        line = f"{margin}{head}{', '.join(parts)}{tail}"
        if not parts or (len(line) <= WIDTH and "\n" not in line):
            return [line]
    inner = f"\n{margin}    "
    body = f",{inner}".join([part.replace("\n", inner) for part in parts])
    return [f"{margin}{head}{inner}{body},", f"{margin}{tail}"]
