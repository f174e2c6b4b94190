# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""How large a filter may be: AIP-160 lets a service limit them, if it says so and answers INVALID_ARGUMENT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

__all__ = ["FilterLimits"]

_DEEPEST: Final = 50  # evaluation recurses: three frames of a thousand for each level


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FilterLimits:
    """The bounds of a filter.

    Attributes:
        length: Characters of its text.
        depth: Levels of parentheses, and names in a path; 50 at most.
        terms: Comparisons in it.

    Raises:
        ValueError: A limit is below 1, or `depth` above 50.
    """

    length: int = 2_000
    depth: int = 20
    terms: int = 100

    def __post_init__(self) -> None:
        """Refuses limits that allow nothing, or a depth the stack has no room for."""
        for name in ("length", "depth", "terms"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is 1 or more; got {getattr(self, name)!r}")
        if self.depth > _DEEPEST:
            raise ValueError(f"depth is {_DEEPEST} or less; got {self.depth!r}")
