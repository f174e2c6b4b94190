# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI 3.1 document of a server: what it serves over HTTP, from its bindings and descriptors.

A path template of several segments becomes a path of OpenAPI, whose parameters are segments:
``/v1/{parent=shelves/*}/books:import`` is ``/v1/shelves/{shelves_id}/books:import``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain, count
from typing import TYPE_CHECKING, Any, Final, final
from urllib.parse import quote

from google.protobuf import any_pb2

from .._descriptors import is_repeated
from .._document import JsonObject
from .._pb import operations_pb2
from ..method import LroMethod
from ..server import NamePattern, Rpc
from ..status import Code
from ._asgi_errors import to_bytes
from ._asgi_paths import PathPattern
from ._asgi_transcoding import IN_URLS
from ._openapi_schemas import DURATION, PAYLOAD, SPECIAL, Schemas, reference

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor

    from ._asgi_routes import Route

__all__ = ["Document"]

_PARAMETER: Final = re.compile(r"\{([^{}]+)\}")
_VARIABLE: Final = re.compile(r"\{([^{}=]+)(?:=([^{}]+))?\}")
_NESTING: Final = 3  # levels of messages whose fields are listed as query parameters
_STATUS: Final = "google.rpc.Status"
# What is certainly taken. Servers take more: most of Unicode, and `-` for the parent of a list (AIP-159).
_SEGMENT: Final[JsonObject] = {"type": "string", "pattern": "^[A-Za-z0-9_~][A-Za-z0-9._~-]{0,62}$"}
_TIMEOUT: Final[JsonObject] = {**DURATION, "pattern": r"^[0-9]{1,11}(\.[0-9]{1,9})?s$"}
_LIST_PARAMETERS: Final[JsonObject] = {
    "filter": {
        "type": "string",
        "description": "An expression (AIP-160), such as done = true.",
        "examples": ["done = true"],
    },
    "pageSize": {"type": "integer", "format": "int32", "minimum": 0, "maximum": 2**31 - 1},
    "pageToken": {"type": "string", "description": "The nextPageToken of the page before."},
}
_OPERATION: Final = operations_pb2.Operation.DESCRIPTOR.full_name
_SUMMARIES: Final[dict[Rpc, tuple[str, str]]] = {
    Rpc.GET: ("GetOperation", "Gets the latest state of a long-running operation."),
    Rpc.LIST: ("ListOperations", "Lists operations, newest first."),
    Rpc.CANCEL: ("CancelOperation", "Starts asynchronous cancellation of a long-running operation."),
    Rpc.DELETE: ("DeleteOperation", "Deletes a long-running operation; what works on it goes on."),
    Rpc.WAIT: ("WaitOperation", "Waits until an operation is done, or the time is over, and returns its latest state."),
}


@final
class Document:
    """Describes a server; made anew when it serves more than before."""

    def __init__(self, names: NamePattern, *, title: str, version: str) -> None:
        """Takes what stands at the top, and how operations are named."""
        self._names = names
        self._info: JsonObject = {"title": title, "version": version}
        self._last: tuple[tuple[int, str], bytes] | None = None

    def rendered(self, routes: Iterable[Route], root: str) -> bytes:
        """The document.

        Args:
            routes: What is served.
            root: Where the application is mounted; empty at the top.
        """
        served = list(routes)
        key = (len(served), root)
        if self._last is None or self._last[0] != key:
            self._last = key, to_bytes(self._made(served, root))
        return self._last[1]

    def _made(self, routes: list[Route], root: str) -> JsonObject:
        schemas = Schemas()
        paths: JsonObject = {}
        alike: dict[str, str] = {}
        identifiers: set[str] = set()
        for route in routes:
            path = self._path_of(route)
            if path is None:
                continue
            path = alike.setdefault(_PARAMETER.sub("{}", path), path)  # OpenAPI forbids a path by two names
            served = paths.setdefault(path, {})
            if (verb := route.transcoder.verb.lower()) not in served:
                served[verb] = _operation(route, path, schemas, identifiers)
        document: JsonObject = {"openapi": "3.1.0", "info": self._info}
        if root:
            document["servers"] = [{"url": quote(root)}]
        document["paths"] = paths
        document["components"] = {"schemas": {**_standard(schemas), **schemas.found}, "responses": {"Error": _ERROR}}
        return document

    def _path_of(self, route: Route) -> str | None:
        """The path of a route; ``None`` where no operation of this server has a name that would fit."""
        template = route.transcoder.pattern.template
        if route.rpc is Rpc.START:
            return _flat(template)
        # Names are those of the server's pattern, whatever else the route would let through.
        pattern = route.transcoder.pattern.variables.get("name", "")
        name = self._names.template
        if route.rpc is Rpc.LIST:
            collection = name.split("/")[-2]
            of_all = pattern in {"", collection}
            if of_all is self._names.has_parent:
                return None
            if of_all:
                return _VARIABLE.sub(collection, template)
            name = self._names.parent_template
        if re.fullmatch(PathPattern(f"/{{name={pattern}}}").expression, "/" + _PARAMETER.sub("x", name)) is None:
            return None
        return _VARIABLE.sub(lambda _: name, template)


def _flat(template: str) -> str:
    """A path whose parameters are segments."""
    taken: list[str] = []

    def expanded(found: re.Match[str]) -> str:
        parts: list[str] = []
        for segment in (found[2] or "*").split("/"):
            if segment.startswith("*"):
                name = f"{parts[-1]}_id" if parts and not parts[-1].startswith("{") else found[1].rpartition(".")[2]
                while name in taken:
                    name += "_"
                taken.append(name)
                segment = f"{{{name}}}"  # noqa: PLW2901
            parts.append(segment)
        return "/".join(parts)

    return _VARIABLE.sub(expanded, template)


# -- one operation of the document ------------------------------------------------------------------------------


def _operation(route: Route, path: str, schemas: Schemas, identifiers: set[str]) -> JsonObject:
    parameters: list[JsonObject] = [
        {"name": name, "in": "path", "required": True, "schema": _SEGMENT} for name in _PARAMETER.findall(path)
    ]
    parameters += _query_parameters(route, schemas)
    if route.registered is None:
        identifier, summary = _SUMMARIES[route.rpc]
        described: JsonObject = {"operationId": identifier, "summary": summary, "tags": ["Operations"]}
    else:
        service, name = route.what[1:].split("/")
        leaf = service.rpartition(".")[2]
        text = f"Starts {name}, and returns its long-running operation."
        described = {"operationId": f"{leaf}_{name}", "summary": text, "tags": [leaf]}
    described["operationId"] = _unique(described["operationId"], route.what, identifiers)
    described["parameters"] = parameters
    if route.transcoder.takes_body:
        described["requestBody"] = {"content": {"application/json": {"schema": _body(route, schemas)}}}
    reply = {"application/json": {"schema": _reply(route, schemas)}}
    described["responses"] = {
        "200": {"description": "Done as asked.", "content": reply},
        "default": {"$ref": "#/components/responses/Error"},
    }
    return described


def _unique(identifier: str, what: str, taken: set[str]) -> str:
    """An identifier that nothing else in the document has: that, or one with the package, or one with a number."""
    whole = what[1:].replace(".", "_").replace("/", "_") if what.startswith("/") else identifier
    candidates = chain((identifier, whole), (f"{whole}_{number}" for number in count(2)))
    found = next(candidate for candidate in candidates if candidate not in taken)
    taken.add(found)
    return found


def _query_parameters(route: Route, schemas: Schemas) -> list[JsonObject]:
    found: list[JsonObject] = []

    def system(name: str) -> str:  # where the request has a field of that name, the sign tells them apart
        return f"${name}" if name in route.transcoder.names else name

    if route.reply:
        text = "The fields of the reply that are wanted, such as name,metadata.percent."
        names = sorted(route.reply)
        path = f"({'|'.join(names)})([./][A-Za-z_@][A-Za-z0-9_@-]*)*"
        mask = {"type": "string", "pattern": rf"^(\*|{path}(,{path})*)$", "examples": [",".join(names[:2])]}
        found += [
            _parameter(
                "$alt", {"type": "string", "enum": ["json", "json;enum-encoding=int"]}, "Enums by name, or as numbers."
            ),
            _parameter(system("fields"), mask, text),
        ]
    found.append(_parameter(system("prettyPrint"), {"type": "boolean"}, "Whether the reply is indented."))
    known = _LIST_PARAMETERS if route.rpc is Rpc.LIST else {}
    found += [
        _parameter(name, known.get(name, schema), None)
        for name, schema in _free_fields(route.transcoder.free, "", schemas, _NESTING)
    ]
    return found


def _parameter(name: str, schema: JsonObject, text: str | None) -> JsonObject:
    parameter: JsonObject = {"name": name, "in": "query", "schema": schema}
    return parameter if text is None else {**parameter, "description": text}


def _free_fields(fields: Iterable[Any], above: str, schemas: Schemas, levels: int) -> list[tuple[str, JsonObject]]:
    """What may stand in the query string, by path."""
    found: list[tuple[str, JsonObject]] = []
    for field in fields:
        name = f"{above}{field.json_name}"
        kind: Descriptor | None = field.message_type
        if kind is None or kind.full_name in IN_URLS:
            schema = schemas.of_field(field)
            found.append((name, {"type": "array", "items": schema} if is_repeated(field) else schema))
        elif not is_repeated(field) and levels > 1 and kind.full_name not in SPECIAL and kind.full_name != PAYLOAD:
            found += _free_fields(kind.fields, f"{name}.", schemas, levels - 1)
    return found


def _body(route: Route, schemas: Schemas) -> JsonObject:
    match route.rpc:
        case Rpc.CANCEL:
            return {"type": "object", "maxProperties": 0}
        case Rpc.WAIT:
            return {"type": "object", "properties": {"timeout": _TIMEOUT}, "additionalProperties": False}
        case _:
            return {**schemas.of_message(route.transcoder.body), "unevaluatedProperties": False}


def _reply(route: Route, schemas: Schemas) -> JsonObject:
    if route.registered is not None:
        return _typed(route.registered.method, schemas)
    match route.rpc:
        case Rpc.LIST:
            return reference("google.longrunning.ListOperationsResponse")
        case Rpc.CANCEL | Rpc.DELETE:
            return {"type": "object", "maxProperties": 0}
        case _:
            return reference(_OPERATION)


def _typed(method: LroMethod[Any, Any, Any], schemas: Schemas) -> JsonObject:
    """An operation whose payloads are known."""
    payloads: JsonObject = {}
    for field, kinds in zip(("response", "metadata"), method.kinds, strict=True):
        known = [schemas.of_payload(kind.descriptor) for kind in kinds]
        payloads[field] = known[0] if len(known) == 1 else {"anyOf": known}
    return {"allOf": [reference(_OPERATION), {"type": "object", "properties": payloads}]}


def _standard(schemas: Schemas) -> JsonObject:
    """The schemas that every document has."""
    payload = reference(PAYLOAD)
    status: JsonObject = {
        "code": {"type": "integer", "format": "int32", "description": "A code of google.rpc.Code."},
        "message": {"type": "string"},
        "details": {"type": "array", "items": payload},
    }
    operation: JsonObject = {
        "name": {"type": "string", "description": "The name, assigned by the server."},
        "metadata": {**payload, "description": "Progress, and what else the service tells."},
        "done": {"type": "boolean", "description": "Whether it is completed; then there is an error or a response."},
        "error": reference(_STATUS),
        "response": payload,
    }
    page: JsonObject = {
        "operations": {"type": "array", "items": reference(_OPERATION)},
        "nextPageToken": {"type": "string", "description": "Where the next page begins; absent on the last."},
    }
    problem: JsonObject = {
        "code": {"type": "integer", "description": "The HTTP status."},
        "message": {"type": "string"},
        "status": {"type": "string", "enum": [code.name for code in Code if code is not Code.OK]},
        "details": {"type": "array", "items": payload},
    }
    schemas.of_message(any_pb2.Any.DESCRIPTOR)
    return {
        _OPERATION: {"type": "object", "properties": operation},
        _STATUS: {"type": "object", "properties": status},
        "google.longrunning.ListOperationsResponse": {"type": "object", "properties": page},
        "Error": {
            "type": "object",
            "required": ["error"],
            "properties": {
                "error": {"type": "object", "required": ["code", "message", "status"], "properties": problem}
            },
        },
    }


_ERROR: Final[JsonObject] = {
    "description": "It failed; the body says why.",
    "content": {"application/json": {"schema": reference("Error")}},
}
