# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""From text to syntax tree: the part of AIP-160's grammar we have, and good words for the rest.

Laws of this file:

1. Whatever the text is, the answer is a tree or a `FilterError`.
2. Nothing here recurses: the parser keeps its own stack, and trees are built from below. Limits hold while reading, so that
   a hostile filter is given up where it becomes too much.
3. It is imported when the first filter is read: parser and tables take longer to load than all else in this package.
"""

from __future__ import annotations

import functools
import re
from typing import Any, Final, NoReturn, cast

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from ._error import FilterError, shown
from ._limits import FilterLimits
from ._syntax import And, Comparator, Expression, Literal, Not, Or, Restriction, Segment

__all__ = ["read"]

# The rules follow ebnf-filtering.txt of AIP-160, where OR binds tighter than AND. What AIP-160 calls TEXT is NAME on the left
# of a comparator and VALUE on its right, where a time may hold colons and a type URL slashes and dots: the lexer knows what may
# follow, and tries nothing else. A name or literal alone parses (`bare`), to be refused in words of its own.
_GRAMMAR: Final = r"""
?start: expression
?expression: sequence (_AND sequence)*
?sequence: factor+
?factor: term (_OR term)*
?term: simple | (_NOT | _MINUS) simple -> negation
?simple: restriction | bare | _LPAR expression _RPAR
restriction: path COMPARATOR (VALUE | STRING)
bare: path
path: (NAME | STRING) (_DOT (NAME | STRING))*

_AND: "AND"
_OR: "OR"
_NOT: "NOT"
_MINUS: "-"
_LPAR: "("
_RPAR: ")"
_DOT: "."
COMPARATOR: /<=|>=|!=|[=<>:]/
NAME: /@?\w[\w-]*/
STRING: /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/s
VALUE: /(?!(?:AND|OR|NOT)(?![\w.:\/@*+%~-]))[\w.:\/@*+%~-]+/
%ignore /[ \t\r\n\f]+/
"""

_KEYWORDS: Final = frozenset({"AND", "OR", "NOT"})
_PIECE: Final = re.compile(r"\\(.)|(\*)|[^\\*]+", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "'": "'", "\\": "\\", "*": "*"}


def read(text: str, limits: FilterLimits) -> Expression:
    """Reads a filter that is not empty.

    Raises:
        FilterError: It is no filter of this language, or exceeds a limit.
    """
    _demand_text(text)
    parser = cast("Any", _parser()).parse_interactive(text)
    depth = terms = 0
    last: Token | None = None
    try:
        for token in cast("list[Token]", parser.iter_parse()):
            match token.type:
                case "_LPAR":
                    depth += 1
                    _check_opening(token, last, depth, limits)
                case "_RPAR":
                    depth -= 1
                case "COMPARATOR":
                    terms += 1
                    if terms > limits.terms:
                        raise FilterError(f"a filter has at most {limits.terms} comparisons", _position(token))
                case _:
                    pass
            last = token
        return cast("Expression", parser.feed_eof())
    except UnexpectedInput as error:
        _refuse(text, error, last, depth)


@functools.cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", lexer="contextual", transformer=_Builder(), maybe_placeholders=False)


def _demand_text(text: str) -> None:
    """Refuses what no string of a message holds, and what a database may choke on."""
    nul = text.find("\x00")
    if nul >= 0:
        raise FilterError("a filter holds no NUL character", nul + 1)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise FilterError("a lone surrogate is no character", error.start + 1) from None


def _check_opening(token: Token, last: Token | None, depth: int, limits: FilterLimits) -> None:
    if depth > limits.depth:
        raise FilterError(f"parentheses nest at most {limits.depth} levels deep", _position(token))
    if last is not None and last.type == "NAME" and last not in _KEYWORDS and last.end_pos == token.start_pos:
        raise FilterError(f"functions are not supported: {shown(str(last))} is called here", _position(last))


def _position(token: Token) -> int:
    return (token.start_pos or 0) + 1


# -- building the tree ------------------------------------------------------------------------------------------


class _Builder(Transformer[Token, Expression]):
    """Makes a node of each rule when it is complete; called by the parser, from below."""

    def expression(self, operands: list[Expression]) -> Expression:
        return And(_flat(operands))

    def sequence(self, operands: list[Expression]) -> Expression:
        return And(_flat(operands))

    def factor(self, operands: list[Expression]) -> Expression:
        return Or(tuple(operands))

    def negation(self, operands: list[Expression]) -> Expression:
        return Not(operands[0])

    def path(self, tokens: list[Token]) -> tuple[Segment, ...]:
        first = tokens[0]
        if first in _KEYWORDS:  # where an operator cannot stand, the lexer takes it for a name
            raise FilterError(f"expected a field, a '-' or a '(', got the operator {first}", _position(first))
        return tuple(_segment(token) for token in tokens)

    def restriction(self, parts: list[Any]) -> Expression:
        path, comparator, literal = parts
        return Restriction(
            path=path,
            comparator=Comparator(str(comparator)),
            position=_position(comparator),
            literal=_literal(literal),
        )

    def bare(self, parts: list[Any]) -> NoReturn:
        path = cast("tuple[Segment, ...]", parts[0])
        name = path[0].name
        if len(path) == 1 and name.upper() in _KEYWORDS:
            raise FilterError(f"expected a comparison; the operator is written {name.upper()}", path[0].position)
        raise FilterError(
            f"{shown('.'.join(segment.name for segment in path))} is compared with nothing: global text search is not "
            "supported; name a field and a value, as in done = true",
            path[0].position,
        )


def _flat(operands: list[Expression]) -> tuple[Expression, ...]:
    flat: list[Expression] = []
    for operand in operands:
        flat.extend(operand.operands if isinstance(operand, And) else (operand,))
    return tuple(flat)


def _segment(token: Token) -> Segment:
    if token.type == "NAME":
        return Segment(name=str(token), position=_position(token))
    return Segment(name="*".join(_parts(token)), position=_position(token))


def _literal(token: Token) -> Literal:
    if token.type == "STRING":
        return Literal(parts=_parts(token), quoted=True, position=_position(token))
    return Literal(parts=tuple(token.split("*")), quoted=False, position=_position(token))


def _parts(token: Token) -> tuple[str, ...]:
    """What a quoted string says, cut at its wildcards."""
    parts: list[list[str]] = [[]]
    for piece in _PIECE.finditer(token[1:-1]):
        escaped, star = piece.groups()
        if star:
            parts.append([])
        elif escaped is None:
            parts[-1].append(piece[0])
        elif escaped in _ESCAPED:
            parts[-1].append(_ESCAPED[escaped])
        else:
            raise FilterError(
                f"unknown escape {shown(piece[0])}; there are \\\\ \\\" \\' \\* \\n \\r \\t",
                _position(token) + 1 + piece.start(),
            )
    return tuple("".join(part) for part in parts)


# -- what to say when it does not parse -------------------------------------------------------------------------


def _refuse(text: str, error: UnexpectedInput, last: Token | None, depth: int) -> NoReturn:
    at = len(text)
    found: Any = error  # its attributes are not typed
    if isinstance(error, UnexpectedToken):
        allowed = found.expected
        if found.token.type != "$END":
            at = found.token.start_pos
    else:
        allowed = found.allowed if isinstance(error, UnexpectedCharacters) else ()
        at = found.pos_in_stream
    raise FilterError(f"expected {_expected(set(allowed), depth)}, got {_got(text, at, last, depth)}", at + 1) from None


def _expected(allowed: set[str], depth: int) -> str:
    if "VALUE" in allowed:
        return "a value (in quotes, if it holds other characters than letters, digits and _ . : / @ * + % ~ -)"
    if "COMPARATOR" in allowed:
        return "a comparison: = != < <= > >= : or a '.' and a field"
    if allowed <= {"NAME", "STRING"}:
        return "the name of a field"
    if "_AND" in allowed or "_RPAR" in allowed or "$END" in allowed:
        return f"AND, OR, another comparison or {'a closing parenthesis' if depth > 0 else 'the end'}"
    return "a field, NOT, a '-' or a '('"


def _got(text: str, at: int, last: Token | None, depth: int) -> str:
    if at >= len(text):
        return "the end of the filter"
    character = text[at]
    if character in "\"'":
        return f"a {character} that is never closed"
    if character == ")":
        return "a ')' that closes nothing" if depth <= 0 else "')'"
    if character == "=" and last is not None and last.end_pos == at and last.type == "COMPARATOR":
        return "a second '='; equality is a single one"
    if character == "(" and last is not None and last.type == "COMPARATOR":
        return "a '('; several values are several comparisons, joined by OR"
    if character in "&|":
        return f"{shown(character)}; operators are AND and OR"
    word = re.match(r"\w+", text[at : at + 40])
    return shown(word[0] if word else character)
