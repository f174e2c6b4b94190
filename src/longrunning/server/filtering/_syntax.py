# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The syntax tree of a filter: frozen values, which say what was written and where, and nothing of what it means."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TypeAlias, final

__all__ = ["And", "Comparator", "Expression", "Literal", "Not", "Or", "Restriction", "Segment"]


@final
class Comparator(enum.Enum):
    """The comparators of AIP-160."""

    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    HAS = ":"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One name of a dotted path.

    Attributes:
        name: The name, without quotes and escapes.
        position: Where it stands, from 1.
    """

    name: str
    position: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Literal:
    """What a field is compared with. What type it has depends on the field (AIP-160).

    Attributes:
        parts: The text between the wildcards: one part if there is none, and ``("a", "b")`` for ``a*b``.
        quoted: Whether it stood in quotes.
        position: Where it stands, from 1.
    """

    parts: tuple[str, ...]
    quoted: bool
    position: int

    @property
    def text(self) -> str:
        """The text, with wildcards as they were written."""
        return "*".join(self.parts)

    @property
    def is_star(self) -> bool:
        """Whether it is the ``*`` of a presence test, ``field:*``."""
        return self.parts == ("", "") and not self.quoted


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Restriction:
    """A comparison of one field with one literal.

    Attributes:
        path: The names of the path, at least one.
        comparator: How they are compared.
        position: Where the comparator stands, from 1.
        literal: With what.
    """

    path: tuple[Segment, ...]
    comparator: Comparator
    position: int
    literal: Literal


@final
@dataclass(frozen=True, slots=True)
class Not:
    """What its operand is not."""

    operand: Expression


@final
@dataclass(frozen=True, slots=True)
class And:
    """All of its operands, at least two."""

    operands: tuple[Expression, ...]


@final
@dataclass(frozen=True, slots=True)
class Or:
    """Any of its operands, at least two."""

    operands: tuple[Expression, ...]


Expression: TypeAlias = Restriction | Not | And | Or
