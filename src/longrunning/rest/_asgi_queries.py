# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Query strings: what a caller says about the reply (``$alt``, ``fields``, ``prettyPrint``), and what is part of the request.

Source: the system parameters of Google's APIs (https://cloud.google.com/apis/docs/system-parameters).
"""

# JSON is of any type all the way down, and isinstance() on it tells pyright only half of what it wants to know.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final
from urllib.parse import parse_qsl

from .._document import Json
from ..server._refusal import bad_field, refuse
from ..status import Code

__all__ = ["PLAIN", "Mask", "Options", "Parameters", "camel", "masked", "read_query"]

Mask = dict[str, "Mask | None"]
"""Which fields of an object are wanted, and what of each; ``None`` for all of it."""

Parameters = Sequence[tuple[str, str]]

_PATH: Final = re.compile(r"[A-Za-z_@][\w@-]*(?:[./][A-Za-z_@][\w@-]*)*", re.ASCII)
_SNAKE: Final = re.compile(r"_([a-z0-9])")
_MAX_MASK: Final = 2_000  # characters
_TYPE_KEY: Final = "@type"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How the reply is to be written.

    Attributes:
        enum_numbers: Enums as numbers, not by name (``$alt=json;enum-encoding=int``).
        mask: The fields that are wanted (``fields=name,metadata.percent``); ``None`` for all.
        indent: Spaces per level (``prettyPrint=true``); ``None`` for one compact line.
    """

    enum_numbers: bool = False
    mask: Mask | None = None
    indent: int | None = None


PLAIN: Final = Options()


def read_query(query: bytes, *, own: frozenset[str], reply: frozenset[str], most: int) -> tuple[Options, Parameters]:
    """Takes a query string apart.

    Args:
        query: As it was sent.
        own: Names of the fields of the request message: where one is called ``fields`` or ``alt``, it is meant, and the
            other can still be written with a ``$``.
        reply: Names of the fields of the reply: what a mask may begin with.
        most: How many parameters there may be.

    Returns:
        What is said about the reply, and the parameters that belong to the request, in order.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    if not query:
        return PLAIN, ()
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=most)
    except ValueError as error:  # of UTF-8, too
        reason = "it is no UTF-8" if isinstance(error, UnicodeError) else f"it has more than {most} parameters"
        raise refuse(Code.INVALID_ARGUMENT, f"the query string cannot be read: {reason}") from None
    given: dict[str, str] = {}
    rest: list[tuple[str, str]] = []
    for name, value in pairs:
        system = name.removeprefix("$")
        if system not in {"alt", "fields", "prettyPrint"} or name in own:
            rest.append((name, value))
        elif system in given:
            raise bad_field(name, "it is given twice")
        else:
            given[system] = value
    if not given:
        return PLAIN, rest
    options = Options(
        enum_numbers=_alt(given.get("alt", "json")),
        mask=_mask(given["fields"], reply) if "fields" in given else None,
        indent=2 if _boolean("prettyPrint", given.get("prettyPrint", "false")) else None,
    )
    return options, rest


def _alt(value: str) -> bool:
    kind, *parameters = value.split(";")
    if kind != "json" or any(parameter != "enum-encoding=int" for parameter in parameters):
        raise bad_field("$alt", "replies are 'json' or 'json;enum-encoding=int'")
    return bool(parameters)


def _boolean(name: str, value: str) -> bool:
    if value not in {"true", "false"}:
        raise bad_field(name, "it is 'true' or 'false'")
    return value == "true"


# -- field masks ------------------------------------------------------------------------------------------------


def camel(name: str) -> str:
    """A field's name as JSON has it."""
    return _SNAKE.sub(lambda found: found[1].upper(), name)


def _mask(text: str, known: frozenset[str]) -> Mask | None:
    if text in {"", "*"}:
        return None
    if len(text) > _MAX_MASK:
        raise bad_field("fields", f"it is longer than {_MAX_MASK} characters")
    mask: Mask = {}
    for path in text.split(","):
        if _PATH.fullmatch(path) is None:
            wanted = "it lists paths such as name,metadata.percent; parentheses and wildcards are not served"
            raise bad_field("fields", wanted)
        _add(mask, [camel(part) for part in re.split("[./]", path)])
    for name in mask:
        if name not in known:
            others = f", but {', '.join(sorted(known))}" if known else ""
            raise bad_field("fields", f"the reply has no field {name[:40]!a}{others}")
    return mask


def _add(mask: Mask, path: Sequence[str]) -> None:
    *above, last = path
    for part in above:
        below = mask.setdefault(part, {})
        if below is None:  # all of it is wanted already
            return
        mask = below
    mask[last] = None


def masked(value: Json, mask: Mask | None) -> Json:
    """The wanted fields of a reply. A payload keeps its ``@type``: without it, it would be none."""
    if mask is None:
        return value
    if isinstance(value, list):
        return [masked(item, mask) for item in value]
    if not isinstance(value, dict):
        return value
    found: dict[str, Json] = {}
    for key, item in value.items():
        name = key if key in mask else camel(key)  # the keys of a map are what they are
        if name in mask or key == _TYPE_KEY:
            found[key] = masked(item, mask.get(name))
    return found
