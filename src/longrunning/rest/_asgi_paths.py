# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Request paths: made comparable once, and matched against the path templates of ``google.api.http``.

Laws of this file:

1. It works on the path as it was sent. An ASGI server's decoded path cannot tell ``a%2Fb`` from ``a/b``.
2. What proxies and servers might read differently (dot segments, broken escapes) is refused, whatever it would match.
3. No template can be made slow by a path: at most one ``**`` each.

Source: http.proto (``google.api.HttpRule``), RFC 3986 section 6.2.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, Generic, TypeVar, final
from urllib.parse import quote, unquote

from .._http import path_template

__all__ = ["PathPattern", "PathTable", "below", "normalized"]

T = TypeVar("T")

_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})?")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_VARIABLE: Final = re.compile(r"\{([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?:=([^{}]+))?\}", re.ASCII)
_WILDCARD: Final = re.compile(r"\*+")
_SLASH: Final = "%2F"
_LITERAL: Final = "!$&'()*+,;=:@/%"  # of the reserved characters those that a path may hold unescaped, and escapes


def normalized(raw: bytes) -> str:
    """A path as it was sent, in the one form that templates are matched with.

    What need not be escaped is not (``%6F`` is ``o``), and what is escaped is so in upper case.

    Raises:
        ValueError: No two servers agree on what it means: a text for the caller.
    """
    try:
        path = raw.decode("ascii")
    except UnicodeDecodeError:
        raise ValueError("the path holds characters that have to be percent-encoded") from None
    if "%" in path:
        path = _ESCAPE.sub(_escape, path)
    if not path.isprintable():
        raise ValueError("the path holds control characters")
    if "/." in path and not {".", ".."}.isdisjoint(path.split("/")):
        raise ValueError("the path holds dot segments")
    return path


def _escape(found: re.Match[str]) -> str:
    if found[1] is None:
        raise ValueError("the path holds a '%' that begins no escape sequence")
    character = chr(int(found[1], 16))
    return character if character in _UNRESERVED else found[0].upper()


def below(root: str, raw: bytes) -> bytes:
    """What of a path as it was sent lies below the place where an application is mounted.

    Args:
        root: ``root_path`` of the ASGI scope, decoded; empty at the top.
        raw: ``raw_path``: by the ASGI specification with the root in front; older servers leave that out.
    """
    if not root:
        return raw
    depth = root.count("/") + 1
    segments = raw.split(b"/", depth)
    if unquote(b"/".join(segments[:depth]).decode("latin-1"), errors="replace") != root:
        return raw
    return b"/" + segments[depth] if len(segments) > depth else b"/"


@final
class PathPattern:
    """A path template, ready to be matched.

    Attributes:
        template: The text it was made from, such as ``/v1/{name=shelves/*}:move``.
        variables: The fields it binds, and the pattern of each: ``name`` and ``shelves/*``.
        expression: A regular expression with one group for each of them.
    """

    __slots__ = ("expression", "template", "variables")

    template: str
    variables: dict[str, str]
    expression: str

    def __init__(self, template: str) -> None:
        """Reads a template.

        Raises:
            ValueError: It is none.
        """
        path_template(template)
        if template.count("**") > 1:
            raise ValueError(f"the path template {template!r} holds ** more than once: which part is whose?")
        self.template = template
        self.variables = {}
        self.expression, end = "", 0
        for found in _VARIABLE.finditer(template):
            field, pattern = found[1], found[2] or "*"
            self.variables[field] = pattern
            self.expression += f"{_literal(template[end : found.start()])}({_literal(pattern)})"
            end = found.end()
        self.expression += _literal(template[end:])

    def __repr__(self) -> str:
        return f"PathPattern({self.template!r})"


@final
class PathTable(Generic[T]):
    """What is found by path: of several templates that fit, the first one that was added has it."""

    def __init__(self) -> None:
        self._entries: list[tuple[PathPattern, T]] = []
        self._regex: re.Pattern[str] | None = None
        self._by_mark: dict[int, tuple[T, PathPattern, Sequence[tuple[str, int]]]] = {}

    def add(self, pattern: PathPattern, value: T) -> None:
        """Adds one, behind the others."""
        self._entries.append((pattern, value))
        self._regex = None

    def __iter__(self) -> Iterator[tuple[PathPattern, T]]:
        return iter(self._entries)

    def find(self, path: str) -> tuple[T, dict[str, str]] | None:
        """What is at a path, and the fields that the path binds; ``None`` for nothing.

        In a variable of several segments an escaped slash stays escaped: ``a%2Fb`` is not ``a/b`` (http.proto).

        Args:
            path: As `normalized` returns it.

        Raises:
            ValueError: Something is there, but what the path binds is no UTF-8: a text for the caller.
        """
        found = (self._regex or self._compiled()).fullmatch(path)
        if found is None:
            return None
        assert found.lastindex is not None
        value, pattern, groups = self._by_mark[found.lastindex]
        variables = {field: found[group] for field, group in groups}
        if "%" in path:
            for field, kind in pattern.variables.items():
                variables[field] = _decoded(variables[field], several=kind != "*")
        return value, variables

    def _compiled(self) -> re.Pattern[str]:
        """One expression for all: each alternative ends in an empty group, which tells that it was the one."""
        self._by_mark, groups = {}, 0
        for pattern, value in self._entries:
            fields = [(field, groups + at) for at, field in enumerate(pattern.variables, 1)]
            groups += len(fields) + 1
            self._by_mark[groups] = value, pattern, fields
        # Without entries nothing matches.
        self._regex = re.compile("|".join(f"{pattern.expression}()" for pattern, _ in self._entries) or "(?!)")
        return self._regex


def _literal(text: str) -> str:
    """The expression for a part of a template: text and wildcards."""
    parts: list[str] = []
    end = 0
    for found in _WILDCARD.finditer(text):
        parts.append(re.escape(quote(text[end : found.start()], safe=_LITERAL)))
        parts.append("[^/]+" if found[0] == "*" else ".+")
        end = found.end()
    return "".join(parts) + re.escape(quote(text[end:], safe=_LITERAL))


def _decoded(text: str, *, several: bool) -> str:
    try:
        if several:
            return _SLASH.join(unquote(part, errors="strict") for part in text.split(_SLASH))
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ValueError("the path is no UTF-8 once it is decoded") from None
