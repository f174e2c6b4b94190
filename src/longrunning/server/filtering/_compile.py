# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""From syntax tree to `Filter`: what is to be asked of a record, and how much of it a store can answer."""

from __future__ import annotations

from typing import Final, assert_never, final

from ...errors import MissingExtraError
from ._conditions import ANYTHING, UNKNOWN, Condition, Filterable, Pushdown
from ._error import FilterError
from ._fields import Term, ViewTest, invert, term
from ._limits import FilterLimits
from ._schema import Schema, View
from ._syntax import And, Expression, Not, Or, Restriction

__all__ = ["Filter", "parse"]

_DEFAULT: Final = FilterLimits()
_WHITESPACE: Final = " \t\r\n\f"  # what the grammar passes over


@final
class Filter:
    """A filter, ready for use.

    Attributes:
        pushdown: What every record that matches fulfils, all of it. A store may use it to look at fewer records.
        residual: Whether `matches` has to be asked about records that fulfil it. If not, they match.
    """

    __slots__ = ("_schema", "_test", "pushdown", "residual")

    pushdown: tuple[Condition, ...]
    residual: bool

    def __init__(self, part: Term, schema: Schema) -> None:
        self._test, self._schema = part.test, schema
        self.pushdown = tuple(dict.fromkeys(part.when.conditions))
        self.residual = not part.when.exact

    def matches(self, record: Filterable) -> bool:
        """Whether a record fulfils the whole filter, `pushdown` included; never raises, whatever its payloads are."""
        return self._test(View(record, self._schema))


def parse(text: str, schema: Schema, *, limits: FilterLimits = _DEFAULT) -> Filter:
    """Reads a filter (AIP-160). One that is empty, or white space, matches everything.

    Args:
        text: The filter.
        schema: What it may be about.
        limits: How large it may be.

    Raises:
        FilterError: It is no filter, names a field that is not there, or compares one with what it cannot be.
        MissingExtraError: The parser library is not installed.
    """
    if len(text) > limits.length:
        raise FilterError(
            f"a filter has at most {limits.length} characters; this one has {len(text)}", limits.length + 1
        )
    if not text.strip(_WHITESPACE):
        return Filter(Term(lambda _: True, ANYTHING, UNKNOWN), schema)
    try:
        from ._grammar import read
    except ImportError as error:
        raise MissingExtraError("server", "filtering a list of operations") from error
    return Filter(_compile(read(text, limits), schema, limits), schema)


def _compile(node: Expression, schema: Schema, limits: FilterLimits) -> Term:
    # Recursion is as deep as parentheses nest, and those are limited.
    match node:
        case Restriction():
            if len(node.path) > limits.depth:
                raise FilterError(f"a path has at most {limits.depth} names", node.path[limits.depth].position)
            return term(node, schema)
        case Not():
            return invert(_compile(node.operand, schema, limits))
        case And():
            parts = [_compile(operand, schema, limits) for operand in node.operands]
            return Term(_all([part.test for part in parts]), _joined([part.when for part in parts]), UNKNOWN)
        case Or():
            parts = [_compile(operand, schema, limits) for operand in node.operands]
            # Not one of several: none of them.
            return Term(_any([part.test for part in parts]), UNKNOWN, _joined([part.unless for part in parts]))
        case _:
            assert_never(node)


def _joined(parts: list[Pushdown]) -> Pushdown:
    conditions = tuple(condition for part in parts for condition in part.conditions)
    return Pushdown(conditions, exact=all(part.exact for part in parts))


def _all(tests: list[ViewTest]) -> ViewTest:
    def holds(view: View) -> bool:
        for test in tests:  # noqa: SIM110 (a generator would be two more frames a level, and half as fast)
            if not test(view):
                return False
        return True

    return holds


def _any(tests: list[ViewTest]) -> ViewTest:
    def holds(view: View) -> bool:
        for test in tests:  # noqa: SIM110 (as above)
            if test(view):
                return True
        return False

    return holds
