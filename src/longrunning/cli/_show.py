# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What an operation looks like to people: lines of styled text, made from the JSON form, which any payload has.

Laws of this file:

1. It writes nothing: lines are values, and where they go decides about colours.
2. Text of a server goes through `printable`: no control characters reach a terminal.
"""

# JSON is of any type all the way down, and isinstance() on it tells pyright only half of what it wants to know.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any, Final, Literal
from unicodedata import combining, east_asian_width

from .._any import type_name
from ..errors import InvalidTypeUrlError, RegistryConflictError
from ..operation import Operation, OperationState
from ..registry import TypeRegistry
from ..status import Code
from ._exits import one_line, printable
from ._progress import progress_of

__all__ = ["Line", "Style", "block", "cells", "elapsed", "event", "plain", "row", "unknown_types"]

Style = Literal["", "name", "key", "type", "dim", "running", "good", "bad", "cancelled"]
Line = list[tuple[str, Style]]

_STATES: Final[dict[OperationState, Style]] = {
    OperationState.RUNNING: "running",
    OperationState.SUCCEEDED: "good",
    OperationState.FAILED: "bad",
    OperationState.CANCELLED: "cancelled",
}
_STATE_WIDTH: Final = max(len(state.value) for state in OperationState)
_NAMELESS: Final = "(no name)"


# -- one operation in full ----------------------------------------------------------------------------------------


def block(operation: Operation[Any, Any], registry: TypeRegistry) -> Iterator[Line]:
    """An operation in full, each field of its payloads in a line.

    Args:
        operation: The operation.
        registry: The types it was read with; says why a payload is opaque.
    """
    document = json.loads(operation.to_json())
    yield [(printable(operation.name) or _NAMELESS, "name")]
    words = "".join(f", {word}" for word in _progress_words(operation, with_detail=False))
    yield [("  state: ", "key"), (operation.state.value, _STATES[operation.state]), (words, "")]
    malformed = operation.malformed
    if malformed is not None:
        yield [("  malformed: ", "key"), (malformed.problem, "bad")]
    for field in ("metadata", "response"):
        if document.get(field):
            yield from _payload(field, document[field], registry, "  ")
    error = operation.error
    if error is not None:
        code = f"{error.code.name} ({error.code})" if isinstance(error.code, Code) else f"code {error.code}"
        yield [("  error: ", "key"), (code, "bad"), (f": {one_line(error.message)}" if error.message else "", "")]
        for detail in document["error"].get("details") or ():
            yield from _payload("", detail, registry, "    ")
    if operation.done and not operation.has_result:
        yield [("  response: ", "key"), ("none: the service provides no result", "dim")]


def _payload(key: str, source: dict[str, Any], registry: TypeRegistry, indent: str) -> Iterator[Line]:
    """An ``Any``: its type, then the fields of the message in it."""
    url = str(source.get("@type", ""))
    line: Line = [(indent, ""), (f"{key}: ", "key"), (printable(type_name(url)), "type")]
    if not key:
        del line[1]
    opaque = _opaque(source)
    if opaque is not None:
        yield [*line, (f", {opaque} {'byte' if opaque == 1 else 'bytes'} {_why(url, registry)}", "dim")]
        return
    yield line
    yield from _fields({key: value for key, value in source.items() if key != "@type"}, registry, indent + "  ")


def _fields(source: dict[str, Any], registry: TypeRegistry, indent: str) -> Iterator[Line]:
    # The depth of a document is limited when it is made: this recursion is as well.
    for key, value in source.items():
        yield from _field(printable(key), value, registry, indent)


def _field(key: str, value: Any, registry: TypeRegistry, indent: str) -> Iterator[Line]:
    match value:
        case {"@type": str()}:
            yield from _payload(key, value, registry, indent)
        case dict() if value:
            yield [(indent, ""), (f"{key}:", "key")]
            yield from _fields(value, registry, indent + "  ")
        case list() if value:
            yield [(indent, ""), (f"{key}:", "key")]
            for item in value:
                yield from _item(item, registry, indent)
        case str() if "\n" in value:
            yield [(indent, ""), (f"{key}:", "key")]
            for line in value.splitlines():
                yield [(f"{indent}  {printable(line)}", "")]
        case _:
            yield [(indent, ""), (f"{key}: ", "key"), (_scalar(value), "")]


def _item(value: Any, registry: TypeRegistry, indent: str) -> Iterator[Line]:
    """An item of a list: what would stand under a key stands after a dash."""
    lines: Iterator[Line]
    match value:
        case {"@type": str()}:
            lines = _payload("", value, registry, indent + "  ")
        case dict() if value:
            lines = _fields(value, registry, indent + "  ")
        case list() if value:
            lines = (line for item in value for line in _item(item, registry, indent + "  "))
        case _:
            only: Line = [(f"{indent}  {_scalar(value)}", "")]
            lines = iter((only,))
    dash = f"{indent}- "
    for number, line in enumerate(lines):
        text, style = line[0]
        yield line if number else [(dash + text[len(dash) :], style), *line[1:]]


def _scalar(value: Any) -> str:
    return printable(value) if isinstance(value, str) and value else json.dumps(value)


# -- payloads that cannot be shown ----------------------------------------------------------------------------------


def _opaque(source: dict[str, Any]) -> int | None:
    """How many bytes a payload has that has no JSON form; ``None`` for any other."""
    encoded = source.get("@bytes")
    if len(source) != 2 or not isinstance(encoded, str):
        return None
    try:
        return len(base64.b64decode(encoded))
    except ValueError:
        return None


def _why(url: str, registry: TypeRegistry) -> str:
    try:
        known = registry.find(registry.type_name(url)) is not None
    except InvalidTypeUrlError:
        return "with a type URL that is not to be trusted"
    except RegistryConflictError:
        return "of a type that has two definitions"
    return "that cannot be decoded" if known else "of unknown type"


def unknown_types(operation: Operation[Any, Any], registry: TypeRegistry) -> set[str]:
    """The full names of the types in an operation, at any depth, that the registry does not know."""
    found: set[str] = set()
    stack: list[Any] = [json.loads(operation.to_json())]
    while stack:
        match stack.pop():
            case dict() as item:
                url = item.get("@type")
                if isinstance(url, str) and _why(url, registry) == "of unknown type":
                    found.add(type_name(url))
                stack.extend(item.values())
            case list() as items:
                stack.extend(items)
            case _:
                pass
    return found


# -- one operation in a line ----------------------------------------------------------------------------------------


def row(operation: Operation[Any, Any], width: int = 0) -> Line:
    """An operation as a line of a list.

    Args:
        operation: The operation.
        width: Columns for the name.
    """
    state = operation.state
    name = printable(operation.name) or _NAMELESS
    summary = "  ".join(_progress_words(operation)) if state is OperationState.RUNNING else _ending(operation)
    line: Line = [(f"{state.value:{_STATE_WIDTH}}", _STATES[state]), ("  ", "")]
    if not summary:
        return [*line, (name, "name")]
    return [*line, (name, "name"), (" " * (width - cells(name)), ""), (f"  {summary}", "")]


def event(operation: Operation[Any, Any], since: float, width: int = 0) -> Line:
    """A change of an operation as a line of a log.

    Args:
        operation: The operation.
        since: Seconds since the watching began.
        width: Columns for the name.
    """
    return [(f"{elapsed(since):>7}  ", "dim"), *row(operation, width)]


def cells(text: str) -> int:
    """How many columns a text takes on a terminal: East Asian characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def plain(line: Line) -> str:
    """The text of a line."""
    return "".join(text for text, _ in line)


def elapsed(seconds: float) -> str:
    """Such as ``0:07`` or ``1:00:00``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _progress_words(operation: Operation[Any, Any], *, with_detail: bool = True) -> Iterator[str]:
    if operation.done:
        return
    progress = progress_of(operation)
    if progress.fraction is not None:
        yield f"{int(progress.fraction * 100):3} %" if with_detail else f"{int(progress.fraction * 100)} %"
    if with_detail and progress.detail:
        yield one_line(progress.detail)
    if progress.cancel_requested:
        yield "cancel requested"


def _ending(operation: Operation[Any, Any]) -> str:
    error = operation.error
    if error is not None:
        text = error.code.name if isinstance(error.code, Code) else f"code {error.code}"
        return f"{text}: {one_line(error.message)}" if error.message else text
    response = json.loads(operation.to_json()).get("response") or {}
    return printable(type_name(response["@type"])) if response.get("@type") else ""
