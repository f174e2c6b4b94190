# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""JSON documents: strict about what makes one ambiguous or dangerous, before anybody looks at a payload.

Laws of this file:

1. A document is refused for duplicate keys, depth, NaN, lone surrogates, over-long numbers and two results; never for a
   type or field nobody here knows (JSON-2, JSON-3).
2. Text and objects that somebody else parsed are held to the same rules; the latter are copied.
3. Nothing here recurses: hostile nesting meets a limit and not the stack.
"""

# JSON is of any type all the way down, and isinstance() on it tells pyright only half of what it wants to know.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, NoReturn, cast

from ._any import MAX_NESTING
from .errors import DocumentError

__all__ = [
    "Document",
    "Json",
    "JsonObject",
    "canonical",
    "check_depth",
    "check_payload",
    "depth_of",
    "dump",
    "error_code",
    "parse_document",
    "parse_object",
    "read_operation",
    "type_urls",
]

Json = Any  # what json.loads returns
JsonObject = dict[str, Json]

_INTEGER: Final = re.compile(r"-?[0-9]{1,12}", re.ASCII)
_OPAQUE: Final = "@bytes"
_MAX_INTEGER_DIGITS: Final = 310  # no double is longer; no field of a message either


class Document(NamedTuple):
    """The fields of one Operation, read from JSON, payloads not yet looked into.

    Attributes:
        source: The whole object, fields nobody knows included. Never changed.
    """

    source: JsonObject
    name: str
    done: bool
    metadata: JsonObject | None
    response: JsonObject | None
    error: JsonObject | None


def parse_document(source: str | bytes | bytearray | dict[str, Any]) -> Document:
    """Reads one Operation from JSON text or from an object somebody else parsed.

    Raises:
        DocumentError: It is not one; see law 1.
    """
    return read_operation(_parse_text(source) if isinstance(source, str) else parse_object(source))


def parse_object(source: str | bytes | bytearray | dict[str, Any]) -> JsonObject:
    """Reads one JSON object, strictly.

    Raises:
        DocumentError: It is not one.
    """
    value = _own_copy(source) if isinstance(source, dict) else _parse_text(source)
    if not isinstance(value, dict):
        raise DocumentError(f"expected a JSON object, got {_kind(value)}")
    return value


def _parse_text(source: str | bytes | bytearray) -> Json:
    text = source if isinstance(source, str) else _decode_text(source)
    try:
        # The scanner itself first: decode() looks for white space around the document, which costs a fifth more.
        value, end = _SCAN(text, 0) if text.startswith("{") else (None, -1)
        if end != len(text):
            value = _DECODER.decode(text)
    except RecursionError:
        raise DocumentError(f"nested more than {MAX_NESTING} levels deep") from None
    except DocumentError:
        raise
    except StopIteration:  # the scanner knows only that it cannot go on; the decoder says where and why
        raise _why_not(text) from None
    except ValueError as error:
        raise DocumentError(f"not JSON: {error}") from error
    # Both checks walk the whole document; these two tests in C tell when there is nothing to find.
    if text.count("{") + text.count("[") > MAX_NESTING:
        check_depth(value, MAX_NESTING)
    if "\\u" in text or not text.isascii():
        for string in _strings(value):
            _check_text(string)
    return value


def _why_not(text: str) -> DocumentError:
    try:
        _DECODER.decode(text)
    except ValueError as error:
        return DocumentError(f"not JSON: {error}")
    return DocumentError("not JSON")


def _decode_text(source: object) -> str:
    if not isinstance(source, (bytes, bytearray)):
        raise DocumentError(f"expected JSON as text, bytes or an object, got a {type(source).__name__}")
    try:
        return source.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DocumentError(f"a JSON document is UTF-8 text: {error}") from error


def _refuse_duplicates(pairs: list[tuple[str, Json]]) -> JsonObject:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise DocumentError(f"the key {key!r} appears twice in one object")
            seen.add(key)
    return result


def _refuse_constant(token: str) -> NoReturn:
    raise DocumentError(f"{token} is not JSON; a message writes it as the string {token!r}")


def _integer(token: str) -> int:
    if len(token) > _MAX_INTEGER_DIGITS:
        raise DocumentError(f"an integer of {len(token)} digits fits no field")
    return int(token)


def _number(token: str) -> float:
    value = float(token)
    if math.isinf(value):
        raise DocumentError(f"the number {token[:40]} is out of range")
    return value


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_refuse_duplicates, parse_constant=_refuse_constant, parse_int=_integer, parse_float=_number
)
_SCAN: Final[Callable[[str, int], tuple[Json, int]]] = cast("Any", _DECODER).scan_once


def _strings(value: Json) -> Iterator[str]:
    stack: list[Json] = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            stack.extend(item)
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def type_urls(value: Json) -> set[str]:
    """Every text under ``@type``, at any depth."""
    found: set[str] = set()
    stack: list[Json] = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            url = item.get("@type")
            if isinstance(url, str):
                found.add(url)
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    return found


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DocumentError(f"a lone surrogate in {text[:40]!r}: half of a character") from None


def depth_of(value: Json) -> int:
    """Levels of objects and arrays; a lone value has none."""
    deepest = 0
    level: list[Json] = [value]
    while level := [item for item in level if isinstance(item, (dict, list))]:
        deepest += 1
        if deepest > 10 * MAX_NESTING:
            break  # deep enough for any caller; also ends on a structure that holds itself
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
    return deepest


def check_depth(value: Json, limit: int) -> None:
    """Refuses a document nested deeper than `limit`.

    Raises:
        DocumentError: It is.
    """
    if depth_of(value) > limit:
        raise DocumentError(f"nested more than {limit} levels deep")


def _own_copy(source: dict[str, Any]) -> JsonObject:
    """Copies what somebody else parsed, holding it to the same rules as text."""
    root: JsonObject = {}
    work: list[tuple[Any, Json, int]] = [(source, root, 1)]
    while work:
        given, mine, depth = work.pop()
        if depth > MAX_NESTING:
            raise DocumentError(f"nested more than {MAX_NESTING} levels deep")
        items: list[tuple[Any, Any]] = list(given.items()) if isinstance(given, dict) else list(enumerate(given))
        for key, value in items:
            if isinstance(given, dict):
                if not isinstance(key, str):
                    raise DocumentError(f"the keys of a JSON object are strings, got {key!r}")
                _check_text(key)
            copy: Json = value
            if isinstance(value, dict):
                work.append((value, copy := {}, depth + 1))
            elif isinstance(value, (list, tuple)):
                work.append((value, copy := [], depth + 1))
            elif isinstance(value, str):
                _check_text(value)
            elif isinstance(value, float) and not math.isfinite(value):
                raise DocumentError(f"{value} is not JSON")
            elif isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**_MAX_INTEGER_DIGITS:
                raise DocumentError("an integer too long for any field")
            elif not (value is None or isinstance(value, (bool, int, float))):
                raise DocumentError(f"a {type(value).__name__} is not a JSON value")
            if isinstance(mine, dict):
                mine[key] = copy
            else:
                mine.append(copy)
    return root


def _kind(value: Json) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def read_operation(source: JsonObject, path: str = "") -> Document:
    """Takes the fields of an Operation out of a parsed object; its payloads are only checked to be objects.

    Raises:
        DocumentError: A field has the wrong form, or there are two results.
    """
    if not isinstance(source, dict):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DocumentError(f"expected a JSON object, got {_kind(source)}", path=path)
    get = source.get
    name, done, metadata, response, error = get("name"), get("done"), get("metadata"), get("response"), get("error")
    # This runs for every poll over REST: the usual case is asked for in C, what is wrong is found out afterwards.
    if not (name is None or isinstance(name, str)) or not (done is None or isinstance(done, bool)):
        _field(source, "name", str, path)
        _field(source, "done", bool, path)
    if metadata is not None:
        _check_payload(metadata, path, "metadata")
    if response is not None:
        _check_payload(response, path, "response")
        if error is not None:
            raise DocumentError("an operation has one result, not both an error and a response", path=path, name=name)
    if error is not None:
        _check_error(error, _at(path, "error"))
    return Document(source, name or "", done or False, metadata, response, error)


def _field(source: JsonObject, key: str, kind: type[Any], path: str) -> Any:
    value = source.get(key)
    if value is not None and not isinstance(value, kind):
        wanted = {str: "a string", bool: "a boolean", dict: "an object", list: "an array"}[kind]
        raise DocumentError(f"expected {wanted}, got {_kind(value)}", path=_at(path, key))
    return value


def _at(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def check_payload(value: Json) -> JsonObject:
    """A payload of its own, in JSON.

    Raises:
        DocumentError: It is none.
    """
    _check_payload(value, "", "payload")
    return cast("JsonObject", value)


def _check_payload(value: Json, path: str, key: str) -> None:
    """A payload object is empty (an empty Any) or names its type; conformance cases 11 to 14 of the Any suite."""
    if isinstance(value, dict):
        url = value.get("@type")
        if (url and isinstance(url, str)) or not value:
            return
        if url == "" and len(value) == 2 and _OPAQUE in value:
            return  # what any_to_json() writes of bytes without a type: kept, as everything is
        if url is None:
            problem = "a payload names its type in '@type'"
        else:
            problem = "'@type' is empty" if url == "" else f"'@type' is a string, got {_kind(url)}"
    else:
        problem = f"expected an object, got {_kind(value)}"
    raise DocumentError(problem, path=_at(path, key))


def _check_error(error: Json, path: str) -> None:
    if not isinstance(error, dict):
        raise DocumentError(f"expected an object, got {_kind(error)}", path=path)
    code = error.get("code")
    if code is not None:
        error_code(error, path)
    _field(error, "message", str, path)
    details: list[Json] = _field(error, "details", list, path) or []
    for index, detail in enumerate(details):
        _check_payload(detail, path, f"details[{index}]")


def error_code(error: JsonObject, path: str = "error") -> int:
    """The ``code`` of a Status in JSON: a number, or one in a string (proto3 JSON mapping of int32).

    Raises:
        DocumentError: It is neither, or does not fit 32 bits.
    """
    code: Json = error.get("code")
    if code is None:
        return 0
    number: int | None = None
    if isinstance(code, str):
        number = int(code) if _INTEGER.fullmatch(code) else None
    elif isinstance(code, int) and not isinstance(code, bool):
        number = code
    elif isinstance(code, float) and code.is_integer():
        number = int(code)
    if number is None or not -(2**31) <= number < 2**31:
        raise DocumentError(f"expected a 32-bit number, got {str(code)[:40]!r}", path=_at(path, "code"))
    return number


def canonical(document: Document) -> str:
    """Text that is equal for documents that say the same: defaults left out, keys in order."""
    fields = {field: value for field, value in document._asdict().items() if field != "source"}
    return json.dumps({field: value for field, value in fields.items() if value or value == {}}, sort_keys=True)


def dump(value: JsonObject, indent: int | None) -> str:
    """Writes JSON text: compact without `indent`."""
    separators = (",", ":") if indent is None else None
    return json.dumps(value, ensure_ascii=False, indent=indent, separators=separators, allow_nan=False)
