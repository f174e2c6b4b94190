# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Where services and methods are declared, and what is written about them (``google.protobuf.SourceCodeInfo``)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, final

from .model import Comment, Position

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import FileDescriptorProto, SourceCodeInfo

__all__ = ["OPTIONS", "Sources"]

# Numbers of fields in descriptor.proto, of which paths are made.
SERVICE: Final = 6  # of FileDescriptorProto
METHOD: Final = 2  # of ServiceDescriptorProto
OPTIONS: Final = 4  # of MethodDescriptorProto

_BLANK_LINES: Final = re.compile(r"\n{3,}")


@final
class Sources:
    """What one file says about places and comments. Paths are as in descriptor.proto."""

    def __init__(self, path: str, file: FileDescriptorProto) -> None:
        self._path = path
        # The index of a whole file costs; most of it is about messages, which nobody asks for here.
        self._locations: dict[tuple[int, ...], SourceCodeInfo.Location] = {}
        if file.service:
            for location in file.source_code_info.location:
                where = location.path
                if len(where) > 1 and where[0] == SERVICE:
                    self._locations.setdefault(tuple(where), location)

    def service(self, index: int) -> tuple[int, ...]:
        """The path of a service."""
        return SERVICE, index

    def method(self, service: int, index: int) -> tuple[int, ...]:
        """The path of a method."""
        return SERVICE, service, METHOD, index

    def position(self, *paths: tuple[int, ...]) -> Position:
        """Where the first of these stands that the file has a place for."""
        for path in paths:
            location = self._locations.get(path)
            if location is not None and len(location.span) > 1:
                line, column = location.span[0], location.span[1]
                if line >= 0 and column >= 0:
                    return Position(self._path, line + 1, column + 1)
        return Position(self._path)

    def comment(self, path: tuple[int, ...]) -> Comment:
        """What is written about it."""
        location = self._locations.get(path)
        if location is None:
            return Comment()
        raw = _text(location.leading_comments or location.trailing_comments)
        detached = [_tidy(_text(text)) for text in location.leading_detached_comments]
        return Comment(text=_tidy(_public(raw)), raw=raw, detached=tuple(filter(None, detached)))


def _text(value: Any) -> str:
    """A comment in whatever encoding: compilers do not look at it, and protobuf has bytes for what is not UTF-8."""
    text: str = value.decode(errors="replace") if isinstance(value, bytes) else value
    return text


def _public(text: str) -> str:
    """Without internal comments, ``(-- … --)``: these are not for the readers of the documentation (AIP-192)."""
    kept: list[str] = []
    while (start := text.find("(--")) >= 0 and (end := text.find("--)", start + 3)) >= 0:
        kept.append(text[:start])
        text = text[end + 3 :]
    return "".join((*kept, text))


def _tidy(text: str) -> str:
    """Without common indentation, trailing blanks, and blank lines around it or in a row."""
    lines = [line.rstrip() for line in text.expandtabs(4).split("\n")]
    margin = min((len(line) - len(line.lstrip(" ")) for line in lines if line), default=0)
    return _BLANK_LINES.sub("\n\n", "\n".join(line[margin:] for line in lines)).strip("\n")
