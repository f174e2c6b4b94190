# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What breaks between two versions of an API that other tools do not see: types that annotations name.

``operation_info`` holds them as text. ``buf breaking`` compares what the compiler knows, and there another text in an
annotation is no change; but to every client it is another type (operations.proto: "altering this value constitutes a
breaking change").
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from .model import Method, Model, Position, TypeName

__all__ = ["Change", "ChangeKind", "breaking"]


class ChangeKind(enum.Enum):
    """What changed. The value is its name."""

    RESPONSE_TYPE = "response-type"
    METADATA_TYPE = "metadata-type"
    OPERATION_INFO = "operation-info"
    """The annotation is gone."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A breaking change.

    Attributes:
        kind: What changed.
        method: Path of the method, ``/package.Service/Method``.
        old: The type it was, by its full name; as it was written, if that does not resolve; empty for none.
        new: The type it is, likewise.
        position: Where, in the new version.
    """

    kind: ChangeKind
    method: str
    old: str
    new: str
    position: Position

    @property
    def message(self) -> str:
        """What changed, in one line."""
        name = ".".join(self.method.strip("/").rpartition(".")[2].split("/"))
        if self.kind is ChangeKind.OPERATION_INFO:
            return f"{name} had an operation_info (response {self.old}) and has none any more"
        what = "response" if self.kind is ChangeKind.RESPONSE_TYPE else "metadata"
        return f"the {what} of {name} was {self.old or 'undeclared'} and is {self.new or 'undeclared'}"

    def __str__(self) -> str:
        """``file:line:column: message [kind]``."""
        return f"{self.position}: {self.message} [{self.kind.value}]"


def breaking(old: Model, new: Model) -> tuple[Change, ...]:
    """Compares the long-running methods that both versions have.

    What other tools notice (``buf breaking``: a method is gone, or returns something else, or a message changed) is theirs.
    A type that was not declared, and now is, breaks nobody.

    Args:
        old: The version that clients know.
        new: The version that is to take its place.

    Returns:
        The changes, in the order of the new files.
    """
    before = {method.path: method for _, _, method in old.long_running()}
    pairs = ((before[method.path], method) for _, _, method in new.long_running() if method.path in before)
    return tuple(change for was, now in pairs for change in _changes(was, now))


def _changes(was: Method, now: Method) -> Iterator[Change]:
    if was.operation is None:
        return
    if now.operation is None:
        response = _name(was.operation.response)
        yield Change(
            kind=ChangeKind.OPERATION_INFO, method=now.path, old=response, new="", position=now.position
        )  # fmt: skip
        return
    for kind, mine, theirs in (
        (ChangeKind.RESPONSE_TYPE, was.operation.response, now.operation.response),
        (ChangeKind.METADATA_TYPE, was.operation.metadata, now.operation.metadata),
    ):
        old, new = _name(mine), _name(theirs)
        if old != new and old not in {"", "google.protobuf.Any"}:
            yield Change(kind=kind, method=now.path, old=old, new=new, position=now.operation.position)


def _name(type_name: TypeName) -> str:
    return type_name.written.removeprefix(".") if type_name.message is None else type_name.message.full_name
