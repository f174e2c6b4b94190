# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Payloads to JSON and back: an ``Any`` in the proto3 JSON mapping, and what that mapping cannot say.

Laws of this file:

1. Messages are converted by protobuf's own ``json_format``. What that cannot do, keeping an ``Any`` it cannot render, is
   done around it: every nested ``Any`` is taken out before and put back after (`_Stencil`).
2. An ``Any`` that cannot be rendered is written ``{"@type": url, "@bytes": base64}``, which reads back to the same bytes.
3. Nothing here recurses over payloads: work lists, so that hostile nesting meets a limit and not the stack (TYPE-7).
"""

# JSON is of any type all the way down, and isinstance() on it tells pyright only half of what it wants to know.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from google.protobuf import any_pb2
from google.protobuf.message import Message

from ._any import MAX_NESTING, MessageType, UnknownPayload, type_name
from ._descriptors import is_repeated
from ._document import Json, JsonObject, depth_of, dump
from .errors import NestingError, PayloadDecodeError, UnknownTypeError

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor

__all__ = ["any_from_json", "any_to_json", "is_plain", "message_from_json"]

FindUrl = Callable[[str], "MessageType[Any] | None"]
"""Finds the message type a type URL names; None for unknown, malformed or untrusted ones."""

_Holes = list[tuple[any_pb2.Any, JsonObject]]

_ANY: Final = any_pb2.Any.DESCRIPTOR.full_name
_BYTES_KEY: Final = "@bytes"

# Messages whose JSON is not an object of their fields; inside an Any it stands under "value" (proto3 JSON mapping).
_SPECIAL: Final = frozenset(
    f"google.protobuf.{name}"
    for name in (
        "Any", "BoolValue", "BytesValue", "DoubleValue", "Duration", "FieldMask", "FloatValue", "Int32Value", "Int64Value",
        "ListValue", "StringValue", "Struct", "Timestamp", "UInt32Value", "UInt64Value", "Value",
    )
)  # fmt: skip


# -- payloads to JSON -------------------------------------------------------------------------------------------


def opaque(type_url: str, value: bytes) -> JsonObject:
    """The form of an ``Any`` that cannot be rendered; an empty one is ``{}``."""
    if not type_url and not value:
        return {}
    return {"@type": type_url, _BYTES_KEY: base64.b64encode(value).decode("ascii")}


def any_to_json(type_url: str, value: bytes, find: FindUrl) -> JsonObject:
    """Renders the two fields of an ``Any``; never fails (law 2).

    A payload that is nested, itself or through others, beyond `MAX_NESTING` levels is opaque as a whole.
    """
    kind = find(type_url)
    if kind is None or _is_shallow(kind.descriptor):  # which most are: nothing is in it that what follows looks for
        return _render_one(type_url, value, kind)[0]
    try:
        return _render(type_url, value, find)
    except NestingError:
        return opaque(type_url, value)


def _render(type_url: str, value: bytes, find: FindUrl) -> JsonObject:
    root: JsonObject = {}
    work = [(type_url, value, root, 1)]
    while work:
        url, data, target, depth = work.pop()
        if depth > MAX_NESTING:
            raise NestingError(f"payloads nested more than {MAX_NESTING} levels deep", actual=type_url)
        rendered, nested = _render_one(url, data, find(url))
        target.clear()
        target.update(rendered)
        work.extend((any_.type_url, any_.value, place, depth + 1) for any_, place in nested)
    # Three levels stand above a payload in the largest document there is, a page of operations with their errors.
    if depth_of(root) > MAX_NESTING - 5:
        raise NestingError(f"a payload nested more than {MAX_NESTING - 5} levels deep", actual=type_url)
    return root


def _render_one(url: str, data: bytes, kind: MessageType[Any] | None) -> tuple[JsonObject, _Holes]:
    if kind is None:
        return opaque(url, data), []
    from google.protobuf import json_format

    try:
        message = kind.pb_class.FromString(data)
        if kind.full_name == _ANY:
            inner: JsonObject = {}
            return {"@type": url, "value": inner}, [(cast("any_pb2.Any", message), inner)]
        if _may_hold_bytes_as_text(kind.descriptor) and not _is_text(message):
            return opaque(url, data), []
        stencil = _Stencil(message) if _reaches_any(kind.descriptor) else None
        body: Json = json_format.MessageToDict(message, descriptor_pool=_NO_TYPES)
    except Exception:  # noqa: BLE001
        # Values JSON has no form for (a Duration of 2^62 s, NaN in a Struct, invalid UTF-8 in proto2): ValueError,
        # TypeError, OverflowError, by runtime and version. Printing never fails (law 4 of the architecture).
        return opaque(url, data), []
    result = {"@type": url, "value": body} if kind.full_name in _SPECIAL else {"@type": url, **body}
    return result, stencil.holes(result) if stencil else []


class _NoTypes:
    """A descriptor pool that knows the type of the stencil's marks only: everything else was taken out before."""

    def FindMessageTypeByName(self, full_name: str) -> Descriptor:  # noqa: N802 (the pool's own method name)
        from google.protobuf import wrappers_pb2

        if full_name == wrappers_pb2.StringValue.DESCRIPTOR.full_name:
            return wrappers_pb2.StringValue.DESCRIPTOR
        raise KeyError(full_name)


_NO_TYPES: Final[Any] = _NoTypes()
_MARK_URL: Final = "type.googleapis.com/google.protobuf.StringValue"


class _Stencil:
    """Takes every ``Any`` out of a message and leaves a mark that survives json_format in both directions."""

    def __init__(self, message: Message) -> None:
        token = self._token = _token(message.SerializePartialToString())
        self._taken: list[any_pb2.Any] = []
        for found in list(nested_anys(message)):
            if found.type_url or found.value:
                self._taken.append(any_pb2.Any(type_url=found.type_url, value=found.value))
                _fill(found, _mark(f"{token}{len(self._taken) - 1}"))

    def holes(self, rendered: JsonObject) -> _Holes:
        """Each ``Any`` taken out, with the object in the rendered JSON it belongs into."""
        if not self._taken:
            return []
        found: _Holes = []
        stack: list[Json] = [rendered]
        while stack:
            item = stack.pop()
            if isinstance(item, dict):
                here = item
                mark = here.get("value")
                if isinstance(mark, str) and mark.startswith(self._token) and here.get("@type") == _MARK_URL:
                    found.append((self._taken[int(mark[len(self._token) :])], here))
                else:
                    stack.extend(here.values())
            elif isinstance(item, list):
                stack.extend(item)
        return found


def _token(content: bytes) -> str:
    """What marks begin with: nothing the content could have been made to contain."""
    return f"any {hashlib.sha256(content).hexdigest()} "


def _fill(target: any_pb2.Any, source: any_pb2.Any) -> None:
    # Not CopyFrom(): the target may be of a dynamic class, whose pool has a google.protobuf.Any of its own.
    target.type_url, target.value = source.type_url, source.value


def _mark(text: str) -> any_pb2.Any:
    from google.protobuf import wrappers_pb2

    return any_pb2.Any(type_url=_MARK_URL, value=wrappers_pb2.StringValue(value=text).SerializeToString())


def nested_anys(message: Message) -> Iterator[any_pb2.Any]:
    """Every ``Any`` inside a message, at any depth but not inside another ``Any``."""
    stack: list[Message] = [message]
    while stack:
        current = stack.pop()
        for field, value in current.ListFields():
            kind = field.message_type
            if kind is None or not _reaches_any(kind):  # pyright: ignore[reportUnnecessaryComparison]
                continue
            if kind.GetOptions().map_entry:
                values: list[Any] = list(value.values())
            else:
                values = list(value) if is_repeated(field) else [value]
            for item in values:
                if item.DESCRIPTOR.full_name == _ANY:
                    yield item
                else:
                    stack.append(item)


@functools.lru_cache(maxsize=1024)
def _reaches_any(descriptor: Descriptor) -> bool:
    """Whether a message of this type, or one it holds, may hold an ``Any``. Most cannot, and are spared the walk."""
    return any(kind.full_name == _ANY or kind.is_extendable for kind in _types_within(descriptor))


@functools.lru_cache(maxsize=1024)
def _may_hold_bytes_as_text(descriptor: Descriptor) -> bool:
    """Whether a string in this message, or in one it holds, may be no UTF-8: proto3 forbids it, its elders do not."""
    return any(not kind.file.serialized_pb.endswith(_PROTO3) for kind in _types_within(descriptor))


def _types_within(descriptor: Descriptor) -> Iterator[Descriptor]:
    """A type, and all those that messages of it may hold, each once."""
    seen: set[str] = set()
    stack = [descriptor]
    while stack:
        current = stack.pop()
        if current.full_name not in seen:
            seen.add(current.full_name)
            yield current
            stack.extend(field.message_type for field in current.fields if field.message_type is not None)  # pyright: ignore[reportUnnecessaryComparison]


@functools.lru_cache(maxsize=1024)
def _is_shallow(descriptor: Descriptor) -> bool:
    """Whether messages of this type hold no payloads, and no message that may hold another one of its own type."""
    levels = 0
    level = {descriptor.full_name: descriptor}
    while level and levels < _SHALLOW:
        levels += 1
        fields = [field for current in level.values() for field in current.fields]
        level = {field.message_type.full_name: field.message_type for field in fields if field.message_type is not None}  # pyright: ignore[reportUnnecessaryComparison]
    return not level and not _reaches_any(descriptor)


_SHALLOW: Final = MAX_NESTING // 4  # levels of messages: in JSON each is an object, and may be within an array
_PROTO3: Final = b"b\x06proto3"  # the last field of a FileDescriptorProto: syntax, "proto3"


def _is_text(message: Message) -> bool:
    """Whether every string in a message is text; what is not, the runtime hands out as bytes, and json_format as nonsense."""
    stack: list[Message] = [message]
    while stack:
        for field, value in stack.pop().ListFields():
            items: list[Any] = [value]
            if is_repeated(field):
                entries: Any = value
                items = [*entries, *entries.values()] if hasattr(entries, "values") else list(entries)
            for item in items:
                if isinstance(item, Message):
                    stack.append(item)
                elif isinstance(item, bytes) and field.type == field.TYPE_STRING:
                    return False
    return True


# -- payloads from JSON -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Part:
    """One ``Any`` of a document on its way to bytes; `children` are those inside it."""

    url: str
    kind: MessageType[Any] | None
    body: Json
    children: list[int]
    packed: any_pb2.Any | None = None


def any_from_json(source: JsonObject, find: FindUrl) -> any_pb2.Any | UnknownPayload:
    """Reads an ``Any`` from its JSON form.

    Returns:
        The ``Any``; or, for a type that `find` does not know, the JSON as `UnknownPayload`.

    Raises:
        PayloadDecodeError: The JSON does not fit the type it names.
        UnknownTypeError: A payload inside it is of unknown type, so that the whole has no binary form.
    """
    if not source:
        return any_pb2.Any()
    url: str = source["@type"]
    if _BYTES_KEY in source and len(source) == 2:
        return any_pb2.Any(type_url=url, value=_opaque_bytes(source))
    kind = find(url)
    if kind is None:
        return UnknownPayload(url, document=dump(source, None))
    if not _reaches_any(kind.descriptor):
        return any_pb2.Any(
            type_url=url, value=message_from_json(source, kind).SerializePartialToString(deterministic=True)
        )
    token = _token(dump(source, None).encode())
    parts: list[_Part] = []
    work: list[tuple[JsonObject, int | None]] = [(source, None)]
    while work:  # from the outside in: find every Any, leave a mark in its place
        given, parent = work.pop()
        index = len(parts)
        if parent is not None:
            parts[parent].children.append(index)
        part, nested = _open(given, find, token)
        parts.append(part)
        # The marks inside a body count from 0 in the order of `nested`; the stack must hand them out in that order.
        work.extend((child, index) for child in reversed(nested))
    for part in reversed(parts):  # from the inside out: decode, put the Anys back
        part.packed = _close(part, parts, token)
    packed = parts[0].packed
    assert packed is not None
    return packed


def _opaque_bytes(source: JsonObject) -> bytes:
    encoded = source[_BYTES_KEY]
    try:
        return base64.b64decode(encoded, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise PayloadDecodeError(f"'@bytes' is not base64: {error}", actual=source["@type"]) from error


def _open(given: JsonObject, find: FindUrl, token: str) -> tuple[_Part, list[JsonObject]]:
    url = given.get("@type")
    if not given:
        return _Part("", None, None, [], any_pb2.Any()), []
    if isinstance(url, str) and _BYTES_KEY in given and len(given) == 2:
        return _Part(url, None, None, [], any_pb2.Any(type_url=url, value=_opaque_bytes(given))), []
    if not isinstance(url, str) or not url:
        raise PayloadDecodeError("a nested payload names its type in '@type', a string")
    kind = find(url)
    if kind is None:
        raise UnknownTypeError(
            f"a nested payload of unknown type {type_name(url)} has no binary form; register its type", actual=url
        )
    nested: list[JsonObject] = []
    body = _body(given, kind)
    if _reaches_any(kind.descriptor):
        body = _take_out(body, kind.descriptor, nested, token)
    return _Part(url, kind, body, []), nested


def _body(given: JsonObject, kind: MessageType[Any]) -> Json:
    """The JSON of a payload's message, without what the ``Any`` around it adds (proto3 JSON mapping)."""
    if kind.full_name not in _SPECIAL:
        body = given.copy()
        del body["@type"]
        return body
    if "value" not in given:
        raise PayloadDecodeError(f"the JSON of {kind.full_name} stands under 'value'", actual=given["@type"])
    return given["value"]


def message_from_json(given: JsonObject, kind: MessageType[Any]) -> Message:
    """Decodes the JSON of a payload as a message of a type that holds no ``Any``: the usual case, without detours.

    Raises:
        PayloadDecodeError: The JSON does not fit the type.
    """
    return _parse(_body(given, kind), kind, given["@type"])


def is_plain(given: JsonObject, kind: MessageType[Any]) -> bool:
    """Whether `message_from_json` will do: neither the opaque form nor a type that may hold an ``Any``."""
    return not (_BYTES_KEY in given and len(given) == 2) and not _reaches_any(kind.descriptor)


def _parse(body: Json, kind: MessageType[Any], url: str) -> Message:
    from google.protobuf import json_format

    message = kind.pb_class()
    try:
        json_format.ParseDict(body, message, ignore_unknown_fields=True, descriptor_pool=_NO_TYPES)
    except Exception as error:  # ParseError, and bare KeyError, AttributeError or RecursionError on odd input
        raise PayloadDecodeError(
            f"the JSON does not decode as {kind.full_name}: {error}", expected=(kind.full_name,), actual=url
        ) from error
    return message


def _take_out(value: Json, descriptor: Descriptor, nested: list[JsonObject], token: str) -> Json:
    """A copy of a message's JSON in which every object of an ``Any`` field is replaced by a mark.

    Recursion here is over one document, whose depth is limited when it is read.
    """
    if descriptor.full_name == _ANY:
        if not isinstance(value, dict):
            return value  # json_format says what is wrong with it
        nested.append(value)
        return {"@type": _MARK_URL, "value": f"{token}{len(nested) - 1}"}
    if not isinstance(value, dict) or descriptor.full_name in _SPECIAL:
        return value
    by_json_name = {field.json_name: field for field in descriptor.fields}
    copy: JsonObject = {}
    for key, inner in value.items():
        field = by_json_name.get(key) or descriptor.fields_by_name.get(key) or _extension(descriptor, key)
        kind = field.message_type if field is not None else None
        if field is None or kind is None or inner is None or not _reaches_any(kind):
            copy[key] = inner
        elif kind.GetOptions().map_entry and isinstance(inner, dict):
            element = cast("Descriptor", kind.fields_by_name["value"].message_type)
            copy[key] = {k: _take_out(v, element, nested, token) for k, v in inner.items()}
        elif is_repeated(field) and isinstance(inner, list):
            copy[key] = [_take_out(item, kind, nested, token) for item in inner]
        else:
            copy[key] = _take_out(inner, kind, nested, token)
    return copy


def _extension(descriptor: Descriptor, key: str) -> Any:
    """The extension that ``[full.name]`` names (proto3 JSON mapping); ``None`` where there is none."""
    if not (key.startswith("[") and key.endswith("]")):
        return None
    # Like json_format, which also takes the name of a field of the extension's type for the extension.
    for name in (key[1:-1], key[1:-1].rpartition(".")[0]):
        try:
            return descriptor.file.pool.FindExtensionByName(name)
        except (KeyError, TypeError, UnicodeError):
            continue
    return None


def _close(part: _Part, parts: list[_Part], token: str) -> any_pb2.Any:
    if part.packed is not None:
        return part.packed
    kind = part.kind
    assert kind is not None
    message = _parse(part.body, kind, part.url)
    if part.children:
        anys = [message] if kind.full_name == _ANY else list(nested_anys(message))
        for found in anys:
            mark = cast("any_pb2.Any", found)
            if mark.type_url == _MARK_URL and (number := _mark_number(mark, token)) is not None:
                child = parts[part.children[number]].packed
                assert child is not None
                _fill(mark, child)
    return any_pb2.Any(type_url=part.url, value=message.SerializePartialToString(deterministic=True))


def _mark_number(mark: any_pb2.Any, token: str) -> int | None:
    from google.protobuf import wrappers_pb2

    text = wrappers_pb2.StringValue.FromString(mark.value).value
    return int(text[len(token) :]) if text.startswith(token) else None
