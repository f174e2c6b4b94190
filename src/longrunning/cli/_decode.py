# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Operations from files: JSON or binary, one or a list response; of JSON also several documents, one after the other.

JSON is taken as curl and gcloud print it: behind the heads of HTTP responses (``curl -i``), and as a bare list of operations
(``gcloud … list --format=json``).

Neither form says what it is. JSON starts with a brace or a bracket, and nothing binary here does. A list response may read as an
operation, and the other way round: what has fields that nobody knows, or a name with control characters, is the other one.
"""

# JSON is of any type all the way down, and isinstance() on it tells pyright only half of what it wants to know.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

from google.protobuf.unknown_fields import UnknownFieldSet

from .._document import parse_object
from .._json import any_to_json
from .._pb import operations_pb2
from .._types import types_for
from ..errors import DocumentError
from ..operation import Operation
from ..page import Page, page_of_object
from ..registry import TypeRegistry
from ._exits import CliError, Exit, printable
from ._options import Sources
from ._output import Output
from ._types import read_file, registry_of

__all__ = ["decode", "read"]

# The head of an HTTP response, and of those before it (redirects, "100 Continue").
_HEADS: Final = re.compile(rb"\A(?:HTTP/[0-9.]+ [0-9]{3}[^\n]*\n(?:[^\r\n][^\n]*\n)*\r?\n)+")
_HEADS_BETWEEN: Final = re.compile(_HEADS.pattern.decode())
_YAML: Final = re.compile(rb"\s*(?:---\s|(?:done|error|metadata|name|response):\s)")
_DECODER: Final = json.JSONDecoder()
_REMEDY: Final = "--descriptor-set or --import brings types"
Content: TypeAlias = Operation[Any, Any] | Page[Operation[Any, Any]]


def decode(file: Path | None, sources: Sources, output: Output) -> Exit:
    """Shows what is in a file, or comes from standard input."""
    registry = registry_of(sources)
    data = read_file(file) if file is not None else _read_input()
    try:
        contents = list(read(data, registry))
    except ValueError as error:
        raise CliError(Exit.USAGE, f"{'standard input' if file is None else file}: {error}") from error
    for content in contents:
        if isinstance(content, Operation):
            output.operation(content, registry)
        else:
            output.page(content, registry, full=True)
    output.hint(_REMEDY)
    return Exit.OK


def _read_input() -> bytes:
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison] (closed before the program started)
        return b""
    return sys.stdin.buffer.read()


def read(data: bytes, registry: TypeRegistry) -> Iterator[Content]:
    """Reads operations, and lists of them, in whatever form they are.

    Raises:
        ValueError: It is neither.
    """
    data = _HEADS.sub(b"", data.removeprefix(b"\xef\xbb\xbf"))
    if not data.strip():
        raise ValueError("it is empty")
    is_json = data.lstrip().startswith((b"{", b"["))
    # A line feed is white space to JSON, and in binary the tag of a name; a brace can be the length of that name.
    content = None if is_json and not data.startswith(b"\n") else _read_binary(data, registry, strict=is_json)
    if content is not None:
        yield content
    elif is_json:
        yield from _read_json(data, registry)
    else:
        hint = "; gcloud writes JSON with --format=json" if _YAML.match(data) else ""
        raise ValueError(f"neither JSON nor a binary google.longrunning.Operation, nor a list of them{hint}")


def _read_json(data: bytes, registry: TypeRegistry) -> Iterator[Content]:
    try:
        yield _from_text(data, registry)
    except DocumentError:
        documents = _split(data)
        if len(documents) < 2:
            raise
        for number, document in enumerate(documents, 1):
            try:
                yield _from_text(document, registry)
            except DocumentError as error:
                raise DocumentError(f"document {number}: {error}") from error


def _split(data: bytes) -> list[bytes]:
    """The JSON documents that follow each other; what is none ends up as the last one."""
    try:
        rest = data.decode().strip()
    except UnicodeDecodeError:
        return []
    documents: list[bytes] = []
    while rest:
        try:
            _, end = _DECODER.raw_decode(rest)
        except (ValueError, RecursionError):
            end = len(rest)
        documents.append(rest[:end].encode())
        rest = _HEADS_BETWEEN.sub("", rest[end:].lstrip())
    return documents


def _from_text(data: bytes, registry: TypeRegistry) -> Content:
    if data.lstrip().startswith(b"["):
        data = b'{"operations": %s}' % data
    return _from_object(parse_object(data), registry)


def _from_object(source: dict[str, Any], registry: TypeRegistry) -> Content:
    _render_bytes(source, registry)
    if not source.keys() & {"operations", "nextPageToken", "next_page_token", "unreachable"}:
        return _operation(source, registry)
    items = source.get("operations")
    for item in items if isinstance(items, list) else ():
        _refuse_error(item)
    return page_of_object(source, types_for(None, registry))


def _operation(source: dict[str, Any], registry: TypeRegistry) -> Operation[Any, Any]:
    _refuse_error(source)
    return Operation.from_json(source, registry=registry)


def _refuse_error(source: object) -> None:
    match source:  # AIP-193, and a bare google.rpc.Status as other gateways write it; no operation has so little
        case {"error": {"message": str()} as error, **rest} if not rest:
            raise _no_operation(error)
        case {"code": int() as code, "message": str() as message, **rest} if rest.keys() <= {"details"}:
            raise _no_operation({"code": code, "message": message})
        case _:
            pass


def _no_operation(error: dict[str, Any]) -> DocumentError:
    what = error.get("status") or error.get("code")
    return DocumentError(f"an error of the server, and no operation: {what}: {error['message']}")


def _render_bytes(source: dict[str, Any], registry: TypeRegistry) -> None:
    """Puts the JSON of payloads in the place of their bytes, where whoever wrote the document did not know the type."""
    find = types_for(None, registry).find_url
    stack: list[Any] = [source]
    while stack:
        match stack.pop():
            case {"@type": str() as url, "@bytes": str() as encoded, **rest} as place if not rest:
                with suppress(ValueError):  # it is no base64: then it stays
                    rendered = any_to_json(url, base64.b64decode(encoded, validate=True), find)
                    place.clear()
                    place.update(rendered)
            case dict() as item:
                stack.extend(item.values())
            case list() as items:
                stack.extend(items)
            case _:
                pass


def _read_binary(data: bytes, registry: TypeRegistry, *, strict: bool) -> Content | None:
    """Reads the binary form; ``None`` if it is neither. Strictly, it must leave no doubt which of them it is."""
    operation, page = _parse(operations_pb2.Operation, data), _parse(operations_pb2.ListOperationsResponse, data)
    if operation is not None and _is_clean(operation):
        return Operation.from_proto(operation, registry=registry)
    if page is not None and page.ListFields() and all(map(_is_clean, page.operations)):
        return Page.from_proto(page, registry=registry)
    if operation is None or strict or not operation.ListFields():
        return None
    return Operation.from_proto(operation, registry=registry)


def _parse(kind: Any, data: bytes) -> Any:
    try:
        return kind.FromString(data)
    except Exception:  # noqa: BLE001 (the pure Python runtime raises more than DecodeError)
        return None


def _is_clean(operation: operations_pb2.Operation) -> bool:
    return not len(UnknownFieldSet(operation)) and printable(operation.name) == operation.name
