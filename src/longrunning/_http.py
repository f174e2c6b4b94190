# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""HTTP as clients of ``google.api.http`` see it: path templates to fill in, and statuses to understand.

Laws of this file:

1. It knows text only: no messages, no HTTP library.
2. A value never leaves its place in a path: dot segments are refused, and all that has a meaning in a URL is encoded.

Sources: google/api/http.proto, google/rpc/code.proto, RFC 9110.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Mapping
from typing import Final, NamedTuple, final
from urllib.parse import quote

from .status import LONGEST_DELAY, Code

__all__ = ["PathTemplate", "code_of_http", "path_template", "retry_after"]


# -- statuses and codes -------------------------------------------------------------------------------------------

# For answers that name no code: those of proxies, load balancers and web frameworks.
_CODES: Final[Mapping[int, Code]] = {
    400: Code.INVALID_ARGUMENT, 401: Code.UNAUTHENTICATED, 403: Code.PERMISSION_DENIED, 404: Code.NOT_FOUND,
    405: Code.UNIMPLEMENTED, 408: Code.DEADLINE_EXCEEDED, 409: Code.ABORTED, 410: Code.NOT_FOUND,
    412: Code.FAILED_PRECONDITION, 416: Code.OUT_OF_RANGE, 425: Code.UNAVAILABLE, 429: Code.RESOURCE_EXHAUSTED,
    499: Code.CANCELLED, 500: Code.INTERNAL, 501: Code.UNIMPLEMENTED, 502: Code.UNAVAILABLE, 503: Code.UNAVAILABLE,
    504: Code.DEADLINE_EXCEEDED,
}  # fmt: skip


def code_of_http(status: int) -> Code:
    """The code that an HTTP status stands for where nothing better is said; one of a success is ``OK``."""
    known = _CODES.get(status)
    if known is not None:
        return known
    match status // 100:
        case 2:
            return Code.OK
        case 3:  # not followed, so that credentials stay with the server they were meant for
            return Code.FAILED_PRECONDITION
        case 4:
            return Code.INVALID_ARGUMENT
        case 5:
            return Code.INTERNAL
        case _:
            return Code.UNKNOWN


_SECONDS: Final = re.compile(r"[0-9]+", re.ASCII)


def retry_after(value: str, date: str, now: float) -> float:
    """Seconds that a ``Retry-After`` header asks for (RFC 9110, 10.2.3); 0 for one that nobody can read.

    Args:
        value: The header: seconds, or a date.
        date: The ``Date`` header of the same answer, empty if it has none: a date is counted from there, so that clocks
            need not agree.
        now: The time here, seconds since 1970, where the answer does not say.
    """
    value = value.strip()
    if _SECONDS.fullmatch(value):
        return min(float(value), LONGEST_DELAY)  # infinite, if need be
    until = _timestamp(value)
    if until is None:
        return 0.0
    since = _timestamp(date)
    return min(max(0.0, until - (now if since is None else since)), LONGEST_DELAY)


def _timestamp(date: str) -> float | None:
    from email.utils import parsedate_to_datetime  # which brings sockets along; dates are rare

    try:
        read = parsedate_to_datetime(date)
        # One that names no zone is in GMT, not in that of this machine (RFC 9110, 5.6.7).
        return (read if read.tzinfo is not None else read.replace(tzinfo=dt.UTC)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


# -- path templates -----------------------------------------------------------------------------------------------

_FIELD_PATH: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_LITERAL: Final = re.compile(r"[^/{}*:?#\s]+")
_VERB: Final = re.compile(r":([^/{}*:?#\s]+)$")
_WILDCARDS: Final = {"*": "[^/]+", "**": ".+"}


class _Variable(NamedTuple):
    """``{field=segments}``, or a wildcard that binds no field.

    Attributes:
        field: Field path; empty for a bare wildcard.
        segments: What a value looks like, such as ``projects/*``.
        pattern: The same as a regular expression.
    """

    field: str
    segments: str
    pattern: str


@final
class PathTemplate:
    """A path template of ``google.api.http``: ``/v1/{name=projects/*/operations/*}:cancel``.

    ``*`` matches one segment, ``**`` one or more, wherever it stands.

    Attributes:
        text: The template as it was given.
        fields: The field paths it binds, in order.
    """

    __slots__ = ("_parts", "fields", "text")

    text: str
    fields: tuple[str, ...]

    def __init__(self, text: str) -> None:
        """Reads a template.

        Raises:
            ValueError: It is none.
        """
        self.text = text
        self._parts = tuple(_parse(text))
        variables = [part for part in self._parts if isinstance(part, _Variable)]
        self.fields = tuple(variable.field for variable in variables if variable.field)
        if len(set(self.fields)) != len(self.fields):
            raise ValueError(f"the path template {text!r} binds a field twice")

    def __repr__(self) -> str:
        return f"<PathTemplate {self.text!r}>"

    def expand(self, values: Mapping[str, str]) -> str:
        """The path for these values, percent-encoded; slashes within a value stay.

        Args:
            values: A text for each of `fields`.

        Raises:
            ValueError: A value is missing or empty, does not look as the template wants it, or has a segment ``.`` or
                ``..``, which would lead elsewhere. Or the template has a wildcard that binds no field.
        """
        path: list[str] = []
        for part in self._parts:
            if isinstance(part, str):
                path.append(part)
                continue
            if not part.field:
                raise ValueError(f"a wildcard in {self.text!r} binds no field: there is no value for it")
            value = values.get(part.field, "")
            _check_value(part, value)
            path.append(quote(value, safe="/"))
        return "".join(path)


@functools.lru_cache(maxsize=1024)
def path_template(text: str) -> PathTemplate:
    """The template of a text, read once.

    Raises:
        ValueError: It is none.
    """
    return PathTemplate(text)


def _check_value(variable: _Variable, value: str) -> None:
    if not value:
        raise ValueError(f"{variable.field} is empty")
    if re.fullmatch(variable.pattern, value, re.DOTALL) is None:
        raise ValueError(f"{variable.field} is {value!r}, which is not of the form {variable.segments!r}")
    if "." in value and not {".", ".."}.isdisjoint(value.split("/")):
        raise ValueError(f"{variable.field} is {value!r}: no path can carry a segment '.' or '..'")


def _parse(text: str) -> list[str | _Variable]:
    """``Template = "/" Segments [ Verb ]`` (http.proto): text, variables and wildcards, in order."""
    # A colon inside of braces would be one of a literal, which may have none.
    verb = _VERB.search(text)
    rest = text[: verb.start()] if verb else text
    parts: list[str | _Variable] = []
    while rest or not parts:
        if not rest.startswith("/"):
            raise ValueError(f"the path template {text!r} needs a '/' before {rest!r}")
        parts.append("/")
        rest = rest[1:]
        if rest.startswith("{"):
            inside, closed, rest = rest[1:].partition("}")
            field, equals, segments = inside.partition("=")
            if not closed or _FIELD_PATH.fullmatch(field) is None:
                raise ValueError(f"the path template {text!r} has a variable unlike {{field}} or {{field=segments}}")
            segments = segments if equals else "*"
            parts.append(_Variable(field, segments, _pattern(segments, text)))
        else:
            segment, _, _ = rest.partition("/")
            rest = rest[len(segment) :]
            pattern = _pattern(segment, text)
            parts.append(_Variable("", segment, pattern) if segment in _WILDCARDS else segment)
    return [*parts, verb[0]] if verb else parts


def _pattern(segments: str, text: str) -> str:
    """``Segments`` without variables, as a regular expression."""
    patterns: list[str] = []
    for segment in segments.split("/"):
        if segment not in _WILDCARDS and _LITERAL.fullmatch(segment) is None:
            raise ValueError(
                f"the path template {text!r} has a segment {segment!r}, which is neither text nor a wildcard"
            )
        patterns.append(_WILDCARDS.get(segment) or re.escape(segment))
    return "/".join(patterns)
