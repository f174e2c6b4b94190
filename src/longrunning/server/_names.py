# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""`NamePattern`: how a service names its operations (AIP-122, AIP-151)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Final, final

from ..status import Code, Status
from ._refusal import Refusal, bad_field

__all__ = ["NamePattern", "absent"]

_MAX_NAME: Final = 1024  # characters; AIP-122 allows ids of 63, and no parent is nested by the dozen
_SEGMENT: Final = re.compile(r"[^/{}\x00-\x20\x7f]+")
_VARIABLE: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}", re.ASCII)
_ID_BYTES: Final = 16  # 128 bits: nobody guesses the name of somebody else's operation
_ID_PREFIX: Final = "op-"  # a letter first, as AIP-122 wants ids
_WILDCARD: Final = "-"  # AIP-159: any value of a variable, in a parent that is listed


@final
class NamePattern:
    """The names of a service's operations, such as ``projects/{project}/locations/{location}/operations/{operation}``.

    The last segment is the id of the operation, the one before it the collection, and what stands before them the parent.
    ``operations/{operation}`` has no parent.
    """

    __slots__ = ("_collection", "_depth", "_name", "_parent", "_template")

    def __init__(self, template: str) -> None:
        """Reads a pattern.

        Args:
            template: Segments parted by slashes: literal text, or a variable in braces. The last is a variable, the one
                before it is not.

        Raises:
            ValueError: It is no such pattern.
        """
        segments = template.split("/")
        variables = [found[1] if (found := _VARIABLE.fullmatch(segment)) else None for segment in segments]
        for segment, variable in zip(segments, variables, strict=True):
            if variable is None and (not _SEGMENT.fullmatch(segment) or segment in {".", ".."}):
                raise ValueError(
                    f"{template!r}: {segment!r} is neither text nor a variable such as {{project}}: a pattern looks like "
                    "projects/{project}/operations/{operation}"
                )
        if len(segments) < 2 or variables[-1] is None or variables[-2] is not None:
            raise ValueError(f"{template!r} does not end in a collection and an id, as in operations/{{operation}}")
        names = [variable for variable in variables if variable is not None]
        if len(set(names)) != len(names):
            raise ValueError(f"{template!r} uses a variable twice")
        self._template = template
        self._collection = segments[-2]
        self._depth = len(segments) - 2
        self._name = re.compile(
            "/".join(
                re.escape(segment) if variable is None else f"(?P<{variable}>{_SEGMENT.pattern})"
                for segment, variable in zip(segments, variables, strict=True)
            )
        )
        self._parent = re.compile(
            "/".join(
                re.escape(segment) if variable is None else f"({_SEGMENT.pattern})"
                for segment, variable in zip(segments[: self._depth], variables[: self._depth], strict=True)
            )
        )

    @property
    def template(self) -> str:
        """The text it was made from."""
        return self._template

    @property
    def has_parent(self) -> bool:
        """Whether operations have a parent."""
        return self._depth > 0

    @property
    def parent_template(self) -> str:
        """The pattern of parents; empty where there are none."""
        return "/".join(self._template.split("/")[: self._depth])

    def new_name(self, parent: str) -> str:
        """A name nobody had before and nobody can guess: its id holds 128 random bits.

        Args:
            parent: One that `check_parent` has passed.
        """
        operation_id = f"{_ID_PREFIX}{secrets.token_hex(_ID_BYTES)}"
        return "/".join(part for part in (parent, self._collection, operation_id) if part)

    def match(self, name: str) -> Mapping[str, str] | None:
        """The variables of a name, or ``None`` where it does not fit."""
        if len(name) > _MAX_NAME or not _is_text(name):
            return None
        found = self._name.fullmatch(name)
        if found is None or not {".", "..", _WILDCARD}.isdisjoint(found.groupdict().values()):
            return None
        return found.groupdict()

    def check_name(self, name: str) -> str:
        """The name, if it fits.

        Raises:
            Refusal: INVALID_ARGUMENT: it is malformed.
        """
        if self.match(name) is None:
            raise bad_field("name", f"{_shown(name)} is no name of an operation: those look like {self._template}")
        return name

    def parent_of(self, text: str) -> str | None:
        """The parent that a name lies under: the longest beginning of it that is one; ``None`` where there is none.

        ``projects/p/locations/l/instances/i`` lies under ``projects/p/locations/l``.
        """
        beginning = "/".join(text.split("/", self._depth)[: self._depth])
        return beginning if self._may_have_operations(beginning) else None

    def check_parent(self, parent: str) -> str:
        """The parent, if it fits.

        Raises:
            Refusal: INVALID_ARGUMENT: it is malformed.
        """
        if not self._may_have_operations(parent):
            wanted = f"those look like {self.parent_template}" if self.has_parent else "operations have none here"
            raise bad_field("parent", f"{_shown(parent)} is no parent of operations: {wanted}")
        return parent

    def listed(self, name: str) -> tuple[str | None, re.Pattern[str] | None]:
        """What a list is asked of: one parent, or, with ``-`` for a variable (AIP-159), all that fit an expression.

        Raises:
            Refusal: INVALID_ARGUMENT: it is neither.
        """
        if not self.has_parent:
            if name in {"", self._collection}:
                return "", None
            raise bad_field(
                "name", f"operations are listed by {self._collection!r} or an empty name; got {_shown(name)}"
            )
        if not self._fits_parent(name):
            name = name.removesuffix(f"/{self._collection}")
        if not self._fits_parent(name):
            raise bad_field("name", f"{_shown(name)} has no operations: give a parent such as {self.parent_template}")
        if _WILDCARD not in name.split("/"):
            return name, None
        parts = (_SEGMENT.pattern if part == _WILDCARD else re.escape(part) for part in name.split("/"))
        return None, re.compile("/".join(parts))

    def _may_have_operations(self, parent: str) -> bool:
        """Whether the name of an operation below it would be one that `match` accepts."""
        room = _MAX_NAME - len(f"/{self._collection}/{_ID_PREFIX}") - 2 * _ID_BYTES
        return len(parent) <= room and _WILDCARD not in parent.split("/") and self._fits_parent(parent)

    def _fits_parent(self, parent: str) -> bool:
        if not self.has_parent:
            return not parent
        if len(parent) > _MAX_NAME or not _is_text(parent):
            return False
        found = self._parent.fullmatch(parent)
        return found is not None and {".", ".."}.isdisjoint(found.groups())

    def __repr__(self) -> str:
        return f"NamePattern({self._template!r})"


def _is_text(name: str) -> bool:
    return name.isprintable()  # neither half of a surrogate pair, nor a control character in disguise


def _shown(name: str) -> str:
    text = ascii(name)
    return text if len(text) <= 200 else f"{text[:200]}…"


def absent(name: str) -> Refusal:
    """What is said of an operation that is not there, or that the caller may not see: the same words for both."""
    return Refusal(Status(Code.NOT_FOUND, f"operation {_shown(name)} was not found"))
