# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""From an RPC to an HTTP request, by the rules of ``google.api.http`` (http.proto): path, query, body."""

# JSON is of any type all the way down, and isinstance() on it tells pyright only half of what it wants to know.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast
from urllib.parse import quote, urlencode

from .._any import DEFAULT_PREFIX, underlying
from .._descriptors import is_repeated
from .._document import Json, JsonObject, dump
from .._http import path_template
from .._json import any_to_json

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, FieldDescriptor
    from google.protobuf.message import Message

    from .._types import OperationTypes
    from ..client import ListQuery
    from ..method import HttpBinding, LroMethod

__all__ = ["HttpRequest", "UnsendableError", "list_request", "operation_request", "start_request", "wait_request"]

_LONGEST_WAIT: Final = 10 * 365 * 86400.0  # seconds; as over gRPC
# Messages whose JSON may be anything: there is no way to write them into a query.
_SHAPELESS: Final = frozenset(
    {"google.protobuf.Any", "google.protobuf.ListValue", "google.protobuf.Struct", "google.protobuf.Value"}
)


class UnsendableError(ValueError):
    """A request that no URL can carry: nothing was sent."""


class HttpRequest(NamedTuple):
    """What goes over the wire, short of headers.

    Attributes:
        verb: HTTP method.
        path: Path, encoded, from the first slash on.
        query: Names and values, not encoded.
        body: JSON; ``None`` for none.
    """

    verb: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None

    @property
    def query_string(self) -> bytes:
        """The query, encoded; a space is ``%20``, because not every server takes a plus for one."""
        return urlencode(self.query, quote_via=quote, safe="").encode("ascii")


class _Bound(NamedTuple):
    """A field that a path binds: its text, and where it stands in the JSON of the request."""

    text: str
    place: tuple[str, ...]


# -- the five methods ---------------------------------------------------------------------------------------------


def operation_request(bindings: Iterable[HttpBinding], name: str, fields: JsonObject | None = None) -> HttpRequest:
    """The request of an RPC about one operation, or one parent.

    Args:
        bindings: Of the RPC; the first one that fits is used.
        name: The operation, or the parent of a list.
        fields: The other fields of the request, those that are set.

    Raises:
        UnsendableError: None of them can carry the name.
    """
    problem = "there is no binding"
    for binding in bindings:
        template = path_template(binding.path)
        if name and not template.fields:
            continue  # a list of everything; the name is not to get lost in its query
        try:
            path = template.expand({"name": name})
        except ValueError as error:
            problem = str(error)
        else:
            return _divide(binding, path, fields or {}, None)
    raise UnsendableError(problem)


def list_request(bindings: Iterable[HttpBinding], query: ListQuery) -> HttpRequest:
    """The request of ListOperations.

    Raises:
        UnsendableError: No binding can carry the parent.
    """
    fields: JsonObject = {
        "filter": query.filter, "pageSize": query.page_size, "pageToken": query.page_token,
        "returnPartialSuccess": query.return_partial_success,
    }  # fmt: skip
    return operation_request(bindings, query.name, {key: value for key, value in fields.items() if value})


def wait_request(bindings: Iterable[HttpBinding], name: str, timeout: float | None) -> HttpRequest:
    """The request of WaitOperation; `timeout` in seconds.

    Raises:
        UnsendableError: No binding can carry the name.
    """
    if timeout is None:
        return operation_request(bindings, name)
    seconds = f"{max(0.0, min(timeout, _LONGEST_WAIT)):.9f}".rstrip("0").rstrip(".")
    return operation_request(bindings, name, {"timeout": f"{seconds}s"})


# -- methods that start operations --------------------------------------------------------------------------------


def start_request(method: LroMethod[Any, Any, Any], request: object, types: OperationTypes) -> HttpRequest:
    """The request of a method that starts an operation.

    Args:
        method: The method; it has an HTTP binding.
        request: Its request, protobuf or proto-plus.
        types: Where types are found of what the request may hold.

    Raises:
        UnsendableError: A field that the path binds is missing or of another form, or the request has no JSON.
        ValueError: The binding itself is wrong.
    """
    binding, message = method.http, underlying(request)
    assert binding is not None
    template = path_template(binding.path)
    bound = {field: _bound(message, field) for field in template.fields}
    try:
        path = template.expand({field: found.text for field, found in bound.items()})
    except ValueError as error:
        raise UnsendableError(str(error)) from error
    document = _to_json(method, message, types)
    for found in bound.values():
        document = _without(document, found.place)
    return _divide(binding, path, document, cast("Descriptor", message.DESCRIPTOR))


def _to_json(method: LroMethod[Any, Any, Any], message: Message, types: OperationTypes) -> JsonObject:
    """The JSON of a request. What an ``Any`` in it holds is found among `types`, or sent as bytes."""
    kind = method.request_kind
    url = DEFAULT_PREFIX + kind.full_name
    document = any_to_json(
        url, message.SerializePartialToString(), lambda other: kind if other == url else types.find_url(other)
    )
    if "@bytes" in document:
        raise UnsendableError(f"the {kind.full_name} has no JSON form: a value is out of range, or nested too deeply")
    del document["@type"]
    if (
        kind.full_name.startswith("google.protobuf.") and "value" in document
    ):  # an Any's way to write wrappers and the like
        raise UnsendableError(f"the JSON of a {kind.full_name} is no object with fields")
    return document


def _bound(message: Message, path: str) -> _Bound:
    """The value of a field path."""
    place: list[str] = []
    value: Any = message
    for name in path.split("."):
        fields = value.DESCRIPTOR.fields_by_name if hasattr(value, "DESCRIPTOR") else {}
        field = fields.get(name)
        if field is None or is_repeated(field):
            raise UnsendableError(f"the path binds {path!r}, which is no field of {message.DESCRIPTOR.full_name}")
        place.append(field.json_name)
        value = getattr(value, name)
    return _Bound(_text(value, path), tuple(place))


def _text(value: Any, path: str) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case int() | float():  # an enum goes by its number: one side may know more names than the other
            return str(value)
        case _:
            raise UnsendableError(f"the path binds {path!r}, which is a message")


def _without(document: JsonObject, place: tuple[str, ...]) -> JsonObject:
    """A copy without one value; the objects around it stay, as they were set."""
    key, *rest = place
    if key not in document:
        return document
    copy = document.copy()
    if rest:
        copy[key] = _without(copy[key], tuple(rest))
    else:
        del copy[key]
    return copy


# -- query and body -----------------------------------------------------------------------------------------------


def _divide(binding: HttpBinding, path: str, document: JsonObject, descriptor: Descriptor | None) -> HttpRequest:
    """Puts what the path did not take into body and query."""
    match binding.body:
        case "":
            return HttpRequest(binding.verb, path, _query(document, descriptor))
        case "*":
            return HttpRequest(binding.verb, path, (), dump(document, None).encode())
        case name:
            field = None if descriptor is None else descriptor.fields_by_name.get(name)
            if field is None:
                raise UnsendableError(f"the body of the binding is {name!r}, and there is no such field")
            rest = document.copy()
            body = rest.pop(field.json_name, _unset(field))
            return HttpRequest(binding.verb, path, _query(rest, descriptor), dump(body, None).encode())


def _unset(field: FieldDescriptor) -> Json:
    """The JSON of a field that is not set."""
    kind: Any = field.message_type
    if is_repeated(field) and not (kind is not None and kind.GetOptions().map_entry):
        return []
    return None if kind is None else {}


def _query(document: JsonObject, descriptor: Descriptor | None) -> tuple[tuple[str, str], ...]:
    pairs: list[tuple[str, str]] = []
    _collect(document, descriptor, "", pairs.append)
    return tuple(pairs)


def _collect(
    document: JsonObject, descriptor: Descriptor | None, prefix: str, add: Callable[[tuple[str, str]], object]
) -> None:
    """Fields one by one, those of messages as ``outer.inner``, repeated ones repeatedly (http.proto).

    Recursion here is over one document, whose depth is limited when it is made.
    """
    kinds: dict[str, Any] = {}
    if descriptor is not None:
        kinds = {field.json_name: field.message_type for field in descriptor.fields}
    for key, value in document.items():
        path = prefix + key
        if isinstance(value, dict):
            kind = kinds.get(key)
            if kind is None or kind.GetOptions().map_entry or kind.full_name in _SHAPELESS:
                raise UnsendableError(f"{path!r} would have to be sent in the query, and that cannot hold it")
            _collect(value, kind, f"{path}.", add)
            continue
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, (dict, list)):
                raise UnsendableError(
                    f"{path!r} would have to be sent in the query, and that holds no list of messages"
                )
            add((path, _scalar(item)))


def _scalar(value: Json) -> str:
    return value if isinstance(value, str) else dump(value, None)
