# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The names that files declare, and what a name in an annotation means.

A leading dot makes a name absolute. Any other is looked up as it is, and in the package of the method and those around
it; first among what the file imports and what its package holds, then among all else at hand. Two messages found are an
ambiguity: the reader of the .proto could not tell either. `LroMethod.from_descriptor` of the runtime looks in the same places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from .findings import Rule
from .model import Message

__all__ = ["Symbols", "Unresolved"]

# Types that every protobuf runtime, or googleapis-common-protos, brings. Annotations name them without importing their
# files: compilers call an import that only an annotation uses unused.
_INSTALLED: Final = {
    "google/protobuf/any.proto": ("Any",),
    "google/protobuf/duration.proto": ("Duration",),
    "google/protobuf/empty.proto": ("Empty",),
    "google/protobuf/field_mask.proto": ("FieldMask",),
    "google/protobuf/source_context.proto": ("SourceContext",),
    "google/protobuf/struct.proto": ("ListValue", "Struct", "Value"),
    "google/protobuf/timestamp.proto": ("Timestamp",),
    "google/protobuf/wrappers.proto": (
        "BoolValue", "BytesValue", "DoubleValue", "FloatValue", "Int32Value", "Int64Value", "StringValue",
        "UInt32Value", "UInt64Value",
    ),
    "google/longrunning/operations.proto": ("Operation",),
    "google/rpc/status.proto": ("Status",),
}  # fmt: skip
# Bounds of the search for what may have been meant: comparing takes time with the square of the length.
_GUESSES: Final = 20  # names that may have been meant, for all files: who has more to mend has another fault
_COMPARED: Final = 1_000  # names
_LONGEST: Final = 200  # characters of a name


@final
@dataclass(frozen=True, slots=True)
class Unresolved:
    """Why a name means no message: the rule, and the end of a sentence that starts with the name."""

    rule: Rule
    problem: str


@final
class Symbols:
    """All names that the files at hand declare."""

    def __init__(self) -> None:
        self._messages: dict[str, Message] = {}
        self._others: dict[str, str] = {}  # full name -> what it is
        self._guesses = _GUESSES
        for path, names in _INSTALLED.items():
            package = path.rpartition("/")[0].replace("/", ".")
            for name in names:
                self._messages[f"{package}.{name}"] = Message(full_name=f"{package}.{name}", package=package, path=path)

    def add(self, message: Message) -> None:
        """Takes in a message."""
        self._messages[message.full_name] = message

    def add_other(self, full_name: str, what: str) -> None:
        """Takes in what is no message: ``what`` is ``"an enum"`` or the like."""
        self._others[full_name] = what

    def find(self, full_name: str) -> Message | None:
        """The message of that name, without a leading dot."""
        return self._messages.get(full_name)

    def resolve(self, name: str, package: str, imported: frozenset[str]) -> Message | Unresolved:
        """What a name means that an annotation writes.

        Args:
            name: The name.
            package: The package of the file with the annotation.
            imported: That file, and all that it imports, directly or not.
        """
        candidates = _candidates(name, package)
        found = [message for message in map(self._messages.get, candidates) if message is not None]
        # A file that happens to be compiled as well must not make a name ambiguous.
        found = [one for one in found if one.path in imported or one.package == package] or found
        if len(found) == 1:
            return found[0]
        if found:
            names = " or ".join(f".{message.full_name}" for message in found)
            return Unresolved(Rule.AMBIGUOUS_TYPE, f"is ambiguous: write {names}")
        for candidate in candidates:
            if candidate in self._others:
                return Unresolved(Rule.UNRESOLVED_TYPE, f"is {self._others[candidate]}, not a message")
        return Unresolved(Rule.UNRESOLVED_TYPE, f"is no message of the files at hand{self._remedy(name, package)}")

    def _remedy(self, name: str, package: str) -> str:
        owner = _package_of(name.lstrip("."))
        near = self._nearest(name.lstrip(".") if owner else f"{package}.{name}", owner or package)
        meant = f" (or is it {near!r}?)" if near else ""
        what = f"the files of package {owner or package!r}" if owner or package else "the file that defines it"
        return f"; hand over {what} as well (with buf: strategy: all){meant}"

    def _nearest(self, name: str, package: str) -> str:
        import difflib

        if len(name) > _LONGEST or not self._guesses:
            return ""
        self._guesses -= 1
        prefix = f"{package}."
        names = [full for full in self._messages if full.startswith(prefix) and len(full) <= _LONGEST][:_COMPARED]
        return next(iter(difflib.get_close_matches(name, names, n=1, cutoff=0.8)), "")


def _candidates(name: str, package: str) -> list[str]:
    """Where to look: distinct names, the one that is written first."""
    if name.startswith("."):
        return [name[1:]]
    scopes = package.split(".") if package else []
    return [name, *(".".join([*scopes[:depth], name]) for depth in range(len(scopes), 0, -1))]


def _package_of(name: str) -> str:
    """The package of a full name, by the custom that packages are written small and messages are not."""
    parts = name.split(".")
    for count, part in enumerate(parts):
        if part[:1].isupper():
            return ".".join(parts[:count])
    return ".".join(parts[:-1])
