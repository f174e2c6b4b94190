# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Path, query and body to the one request message they stand for (``google.api.http``).

Laws of this file:

1. All three parts become one JSON object, and that becomes the message: there is one reading of a value.
2. What the message does not have is refused, by name: a misspelt field must not start the wrong work.
3. A value given twice has to be the same, wherever it stands.

Source: http.proto (rules for HTTP mapping), the proto3 JSON mapping.
"""

# JSON is of any type all the way down, and isinstance() on it tells pyright only half of what it wants to know.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, final

from google.protobuf import json_format
from google.protobuf.message import DecodeError

from .._any import DEFAULT_PREFIX, MAX_NESTING, MessageType, UnknownPayload
from .._descriptors import is_repeated
from .._document import Json, JsonObject, depth_of, type_urls
from .._json import any_from_json
from ..errors import PayloadError
from ..method import HttpBinding
from ..server._refusal import Refusal, bad_field, refuse
from ..status import Code
from ._asgi_documents import NUMBER, WRAPPERS, Documents, FindUrl, shown
from ._asgi_paths import PathPattern
from ._asgi_queries import Parameters
from ._openapi_schemas import SPECIAL

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, FieldDescriptor

__all__ = ["IN_URLS", "FindUrl", "Transcoder"]

_INTEGER: Final = re.compile(r"-?[0-9]{1,20}", re.ASCII)
_SHOWN: Final = 300  # characters of what json_format says
_EMPTY: Final = "google.protobuf.Empty"
_WHOLE: Final = SPECIAL.keys() | {"google.protobuf.Any"}  # whose JSON is not that of their fields
IN_URLS: Final = WRAPPERS | {"google.protobuf.Duration", "google.protobuf.FieldMask", "google.protobuf.Timestamp"}
"""The messages that may stand in a URL as a whole."""
# No message needs more than three levels for one of JSON: a Value, its Struct, the entry of that.
_SHALLOW: Final = MAX_NESTING // 3 - 3


@final
class Transcoder:
    """Makes the request messages of one binding.

    Attributes:
        verb: The HTTP method.
        pattern: What paths it is for.
        names: The names of the fields of the request, as they may be written.
        takes_body: Whether there may be a body.
    """

    def __init__(
        self, kind: MessageType[Any], binding: HttpBinding, find: FindUrl, *, ignored: frozenset[str] = frozenset()
    ) -> None:
        """Checks that the binding fits the message.

        Args:
            kind: The request message.
            binding: Path, and what of the message the body is.
            find: Finds the types of payloads within the request.
            ignored: Query parameters that mean nothing where the message has no such field: it may be older than its callers.

        Raises:
            ValueError: It does not fit.
        """
        self.pattern = PathPattern(binding.path)
        self.verb = binding.verb
        self.takes_body = bool(binding.body)
        self._kind = kind
        self._find = find
        self._ignored = ignored
        self._documents = Documents(find)
        self._all = binding.body == "*"
        # Whether a request without body and query is a name, and no more.
        self._only_name = list(self.pattern.variables) == ["name"] and _is_all(kind, "name")
        self._body: FieldDescriptor | None = None
        descriptor = kind.descriptor
        self.names = frozenset(name for field in descriptor.fields for name in (field.name, field.json_name))
        if descriptor.full_name.startswith("google.protobuf.") and descriptor.full_name != _EMPTY:
            raise ValueError(
                f"the JSON of {descriptor.full_name} is no object with fields: it cannot be the request of an HTTP binding"
            )
        for path in self.pattern.variables:
            if (field := _field(descriptor, path)) is None or is_repeated(field) or field.message_type is not None:
                raise ValueError(f"{binding.path!r} binds {path!r}, which is no plain field of {descriptor.full_name}")
        if binding.body and not self._all:
            self._body = _field(descriptor, binding.body)
            if self._body is None or self._body.message_type is None or is_repeated(self._body):
                raise ValueError(f"the body {binding.body!r} is no message within {descriptor.full_name}")

    @property
    def body(self) -> Descriptor:
        """The message that the body is, where there may be one."""
        inner = None if self._body is None else self._body.message_type
        return self._kind.descriptor if inner is None else inner

    @property
    def free(self) -> Sequence[FieldDescriptor]:
        """The fields that may stand in the query string."""
        bound = {path.partition(".")[0] for path in self.pattern.variables}
        fields: Sequence[FieldDescriptor] = () if self._all else self._kind.descriptor.fields
        return [field for field in fields if field is not self._body and field.name not in bound]

    def message(self, variables: Mapping[str, str], parameters: Parameters, body: JsonObject | None) -> Any:
        """The request message, of the class its method declares.

        Args:
            variables: What the path bound.
            parameters: What of the query string belongs to the request.
            body: The body; ``None`` where there was none.

        Raises:
            Refusal: INVALID_ARGUMENT: the parts do not make one.
        """
        if not parameters and body is None and self._only_name:
            return self._kind.wrap(self._kind.pb_class(name=variables["name"]))  # polls are this, by the thousand
        fields = self._from_body(body)
        for name, text in parameters:
            self._put_parameter(fields, name, text)
        for path, text in variables.items():
            _put(fields, self._kind.descriptor, path, text, repeat=False)
        return self._kind.wrap(self._parsed(fields))

    def _from_body(self, body: JsonObject | None) -> JsonObject:
        if body is None:
            return {}
        if self._body is not None:
            return {self._body.json_name: body}
        for field in self._kind.descriptor.fields:
            _key(body, field)
        return dict(body)

    def _put_parameter(self, fields: JsonObject, name: str, text: str) -> None:
        if name in self._ignored and name not in self.names:
            return
        top = name.partition(".")[0]
        known = top in self.names and not self._all
        if not known or (self._body is not None and top in {self._body.name, self._body.json_name}):
            raise bad_field(shown(name), "there is no such query parameter")
        _put(fields, self._kind.descriptor, name, text, repeat=True)

    def _parsed(self, fields: JsonObject) -> Any:
        message = self._kind.pb_class()
        urls = type_urls(fields)
        # json_format knows no payloads of unknown type. It decides whether everything is known here; then the converter of
        # payloads, which keeps what is opaque, makes the message.
        pool: Any = _Types(self._find)
        given = self._documents.checked(fields, self._kind.descriptor)
        try:
            json_format.ParseDict(given, message, ignore_unknown_fields=False, descriptor_pool=pool)
        except Exception as error:  # noqa: BLE001 (besides ParseError, bare KeyError or AttributeError on odd input)
            raise _refused(error) from None
        if not message.IsInitialized():
            raise refuse(Code.INVALID_ARGUMENT, "the request lacks a field that is required")
        if not urls:
            return message if depth_of(fields) < _SHALLOW else self._read(message.SerializeToString())
        packed = {**fields, "@type": DEFAULT_PREFIX + self._kind.full_name}
        try:
            converted = any_from_json(packed, self._find_all)
        except PayloadError as error:
            raise _refused(error) from None
        assert not isinstance(converted, UnknownPayload)
        return self._read(converted.value)

    def _read(self, data: bytes) -> Any:
        """The message, as a worker will read it: of what is nested too deep JSON makes messages that nobody can read again."""
        try:
            return self._kind.pb_class.FromString(data)
        except DecodeError:
            raise refuse(Code.INVALID_ARGUMENT, "the request is nested too deep") from None

    def _find_all(self, type_url: str) -> MessageType[Any] | None:
        return self._kind if type_url == DEFAULT_PREFIX + self._kind.full_name else self._find(type_url)


@final
class _Types:
    """A descriptor pool to json_format: what `find` knows."""

    def __init__(self, find: FindUrl) -> None:
        self._find = find

    def FindMessageTypeByName(self, full_name: str) -> Descriptor:  # noqa: N802 (the pool's own method name)
        kind = self._find(DEFAULT_PREFIX + full_name)
        if kind is None:
            raise KeyError(full_name)
        return kind.descriptor


def _refused(error: Exception) -> Refusal:
    text = str(error) if isinstance(error, (json_format.Error, PayloadError)) else "it is no JSON of the request"
    return refuse(Code.INVALID_ARGUMENT, f"the request cannot be read: {text[:_SHOWN]}")


# -- fields by path ---------------------------------------------------------------------------------------------


def _field(descriptor: Descriptor, path: str) -> FieldDescriptor | None:
    """The field at the end of a path such as ``shelf.name``; ``None`` where there is none."""
    field: FieldDescriptor | None = None
    current: Descriptor | None = descriptor
    if path.count(".") >= MAX_NESTING:
        return None
    for part in path.split("."):
        if current is None or (field is not None and (is_repeated(field) or current.full_name in _WHOLE)):
            return None
        field = _named(current, part)
        if field is None:
            return None
        current = field.message_type
    return field


def _is_all(kind: MessageType[Any], name: str) -> bool:
    """Whether a message with this text, and nothing else, is a whole one."""
    field = _named(kind.descriptor, name)
    if field is None or field.type != field.TYPE_STRING:
        return False
    return bool(kind.pb_class(**{field.name: "x"}).IsInitialized())


def _named(descriptor: Descriptor, name: str) -> FieldDescriptor | None:
    found: FieldDescriptor | None = descriptor.fields_by_name.get(name)
    return found or next((field for field in descriptor.fields if field.json_name == name), None)


def _put(fields: JsonObject, descriptor: Descriptor, path: str, text: str, *, repeat: bool) -> None:
    """Puts a value into the JSON of a message, at the place a path names."""
    field = _field(descriptor, path)
    if field is None:
        raise bad_field(shown(path), "there is no such field")
    value = _value(field, path, text)
    target = fields
    current = descriptor
    *above, _ = path.split(".")
    for part in above:
        step = _named(current, part)
        assert step is not None
        assert step.message_type is not None
        inner = target.setdefault(_key(target, step), {})
        if not isinstance(inner, dict):
            raise bad_field(shown(path), "it lies within something that is no object")
        target, current = inner, step.message_type
    key = _key(target, field)
    if repeat and is_repeated(field):
        target.setdefault(key, []).append(value)
    elif key not in target:
        target[key] = value
    elif target[key] != value:
        raise bad_field(shown(path), "it is given twice, and differently")


def _key(target: JsonObject, field: FieldDescriptor) -> str:
    """The key a field has in an object, whichever of its two names that is; json_format would take both."""
    if field.name not in target:
        return field.json_name
    if field.json_name in target and field.json_name != field.name:
        raise bad_field(field.name, "it is given twice, by both of its names")
    return field.name


def _value(field: FieldDescriptor, path: str, text: str) -> Json:
    """The JSON value that the text in a URL stands for."""
    if (kind := field.message_type) is not None:
        if kind.full_name in WRAPPERS:
            return _value(kind.fields_by_name["value"], path, text)
        if kind.full_name in IN_URLS:
            return text
        inside = is_repeated(field) or kind.full_name in _WHOLE
        text = f"a {kind.name} cannot be written into a URL"
        raise bad_field(shown(path), text if inside else f"{text}: name its fields, as in {path[:40]}.name")
    match field.cpp_type:
        case field.CPPTYPE_STRING:
            return text  # of bytes, too: base64
        case field.CPPTYPE_ENUM:
            return int(text) if _INTEGER.fullmatch(text) else text
        case field.CPPTYPE_BOOL:
            if text in {"true", "false"}:
                return text == "true"
        case field.CPPTYPE_DOUBLE | field.CPPTYPE_FLOAT:
            if NUMBER.fullmatch(text):
                return text
        case _:
            if _INTEGER.fullmatch(text):
                return int(text)
    raise bad_field(shown(path), f"{shown(text)!r} is no value of it")
