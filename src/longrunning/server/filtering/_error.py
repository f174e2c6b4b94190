# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a filter, and where."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["FilterError", "meant", "shown"]


class FilterError(ValueError):
    """A filter that cannot be used: INVALID_ARGUMENT (AIP-160).

    It is not frozen, although nothing changes it: ``contextlib`` sets ``__traceback__`` on exceptions that pass through.

    Attributes:
        message: What is wrong, and what was expected. It quotes little of the filter, and only escaped.
        position: Where: characters from the beginning, the first is 1.
    """

    message: str
    position: int

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message, position)
        self.message = message
        self.position = position

    def __str__(self) -> str:
        return f"position {self.position}: {self.message}"


def shown(text: str, limit: int = 40) -> str:
    """A piece of somebody's filter, quoted, escaped, and short enough for an error message."""
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")


def meant(name: str, known: Iterable[str]) -> str:
    """What to say about a name that is not known: the one that was probably meant, or all there are."""
    names = sorted(set(known))
    from difflib import get_close_matches

    close = get_close_matches(name[:100], names, n=1)
    if close:
        return f"did you mean {shown(close[0])}?"
    listed = ", ".join(names[:12])
    return f"known: {listed}{', …' if len(names) > 12 else ''}" if names else "it has none"
