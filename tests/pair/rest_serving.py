# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""`ScriptedOperations` over HTTP/JSON, as REST-1 and REST-2 have it, and clients of both colours for it.

The edge is written without any of the package's own HTTP and JSON: paths are read by regular expressions, messages by
``json_format``. What a step puts into trailers becomes response headers.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import re
import socket
import ssl
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, cast
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
from google.longrunning import operations_pb2
from google.protobuf import json_format
from google.protobuf.unknown_fields import UnknownFieldSet
from google.rpc import status_pb2

from example.library.v1 import library_pb2
from longrunning import (
    AsyncOperationsClient,
    Code,
    HttpBinding,
    LroMethod,
    Operation,
    OperationsClient,
    PollPolicy,
    TypeRegistry,
)
from longrunning.testing import ScriptedOperations
from longrunning.testing._operations import Answer
from tests.pair.colours import CREATE_SHELF, IMPORT_BOOKS, LIBRARY, Both, Scripts, polls

__all__ = [
    "BINDINGS",
    "CREATE",
    "DELETE",
    "IMPORT",
    "Canned",
    "HttpEdge",
    "Seen",
    "answering",
    "rest_client",
    "rest_pair",
    "serving",
]

# Newer than the oldest supported googleapis-common-protos.
RETURN_PARTIAL_SUCCESS: Final = b"\x28\x01"
UNREACHABLE: Final = 3
SERVICE: Final = "/google.longrunning.Operations/"
HTTP: Final = {
    1: 499, 2: 500, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400, 12: 501, 13: 500, 14: 503,
    15: 500, 16: 401,
}  # fmt: skip
BINDINGS: Final = {
    "ImportBooks": HttpBinding(verb="POST", path="/v1/{parent=shelves/*}/books:import", body="*"),
    "CreateShelf": HttpBinding(verb="POST", path="/v1/shelves", body="shelf"),
    "DeleteShelf": HttpBinding(verb="DELETE", path="/v1/{name=shelves/*}"),
}
ROUTES: Final = (
    ("POST", re.compile(r"/v1/(.+):cancel"), "CancelOperation"),
    ("POST", re.compile(r"/v1/(.+):wait"), "WaitOperation"),
    ("GET", re.compile(r"/v1/(.+)/operations"), "ListOperations"),
    ("GET", re.compile(r"/v1/()operations"), "ListOperations"),
    ("GET", re.compile(r"/v1/(.+)"), "GetOperation"),
    ("DELETE", re.compile(r"/v1/(.+)"), "DeleteOperation"),
)


def _method(method: LroMethod[Any, Any, Any], binding: HttpBinding) -> LroMethod[Any, Any, Any]:
    return LroMethod(
        path=method.path,
        request_type=method.request_type,
        response_type=method.response_types[0],
        metadata_type=method.metadata_types[0],
        http=binding,
    )


IMPORT: Final = _method(IMPORT_BOOKS, BINDINGS["ImportBooks"])
CREATE: Final = _method(CREATE_SHELF, BINDINGS["CreateShelf"])
DELETE: Final = LroMethod(
    path="/example.library.v1.Library/DeleteShelf",
    request_type=library_pb2.DeleteShelfRequest,
    response_type=library_pb2.Shelf,
    metadata_type=library_pb2.OperationMetadata,
    http=BINDINGS["DeleteShelf"],
)


@dataclass(frozen=True)
class Seen:
    """A request as it came in.

    Attributes:
        verb: Its method.
        target: Path and query, undecoded.
        headers: Its headers, names in lower case; the values of one that is there twice are joined.
        body: Its body.
    """

    verb: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """The path, undecoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, list[str]]:
        """The query, decoded."""
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Canned:
    """An answer.

    Attributes:
        status: HTTP status.
        body: Its body; anything but bytes is written as JSON.
        headers: Its headers, beside those about its length.
        after: Called before it is sent.
    """

    status: int = 200
    body: Any = b""
    headers: tuple[tuple[str, str], ...] = ()
    after: Callable[[], object] | None = None

    @property
    def data(self) -> bytes:
        """The body as it is sent."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    edge: HttpEdge

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client went away: what tests make clients do."""


class HttpEdge:
    """An HTTP server with threads, which answers as it is told.

    Attributes:
        seen: Every request.
        accepted: How many connections there were.
    """

    def __init__(self, answer: Callable[[Seen], Canned], *, tls: ssl.SSLContext | None = None) -> None:
        self._answer = answer
        self._tls = tls
        self.accepted = 0
        self._address = ("127.0.0.1", 0)
        self._server: _Server | None = None
        self._connections: set[socket.socket] = set()
        self.seen: list[Seen] = []

    @property
    def url(self) -> str:
        """Known from the first start on, and kept."""
        return f"http{'s' if self._tls else ''}://{self._address[0]}:{self._address[1]}"

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self._address[0]}:{self._address[1]}"

    def start(self) -> None:
        """Listens; after `stop`, on the same port."""
        self._server = server = _Server(self._address, _Handler)
        server.edge = self
        if self._tls is not None:
            server.socket = self._tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        self._address = server.server_address[0], server.server_address[1]  # type: ignore[assignment]
        threading.Thread(target=server.serve_forever, args=(0.02,), name="http-edge", daemon=True).start()

    def stop(self) -> None:
        """Stops, and cuts all connections."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def answer(self, request: Seen) -> Canned:
        """The answer to a request."""
        self.seen.append(request)
        return self._answer(request)

    def opened(self, connection: socket.socket) -> None:
        """There is a connection."""
        self._connections.add(connection)
        self.accepted += 1

    def ended(self, connection: socket.socket) -> None:
        """There is one less."""
        self._connections.discard(connection)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self._edge = cast("_Server", self.server).edge
        self._edge.opened(self.connection)

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()
        self._edge.ended(self.connection)

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            super().handle()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {key.lower(): ", ".join(self.headers.get_all(key) or ()) for key in self.headers}
        answer = self._edge.answer(Seen(self.command, self.path, headers, body))
        if answer.after is not None:
            answer.after()
        self.send_response(answer.status)
        for key, value in answer.headers:
            self.send_header(key, value)
        if all(key.lower() != "content-type" for key, _ in answer.headers):
            self.send_header("content-type", "application/json; charset=utf-8")
        data = answer.data
        if answer.status != 204:
            self.send_header("content-length", str(len(data)))
        self.end_headers()
        if answer.status != 204:
            self.wfile.write(data)

    do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = _handle  # noqa: N815 (names of the library)


# -- scripted operations ------------------------------------------------------------------------------------------


class _Scripted:
    """Answers HTTP requests from a script."""

    def __init__(self, scripted: ScriptedOperations, registry: TypeRegistry, *, waits: bool) -> None:
        self._scripted = scripted
        self._registry = registry
        self._waits = waits

    def __call__(self, seen: Seen) -> Canned:
        path, message = self._route(seen)
        if message is None:
            return Canned(404, b"<html><title>404 Not Found</title></html>", (("content-type", "text/html"),))
        wake = threading.Event()
        exchange = self._scripted.begin(
            path,
            message.SerializeToString(),
            metadata=list(seen.headers.items()),
            deadline=None,
            wake=wake.set,
        )
        while True:
            wake.clear()
            action = self._scripted.advance(exchange)
            if isinstance(action, Answer):
                break
            wake.wait(action.seconds)
        if action.code:
            return _error(action)
        if path.endswith("ListOperations"):
            return Canned(200, self._page(action.data))
        return Canned(200, b"{}" if not action.data else self._operation(action.data))

    def _route(self, seen: Seen) -> tuple[str, Any]:
        for rpc, binding in BINDINGS.items():
            path = f"/example.library.v1.Library/{rpc}"
            if self._scripted.serves(path) and (message := _start(seen, rpc, binding)) is not None:
                return path, message
        for verb, pattern, rpc in ROUTES:
            found = pattern.fullmatch(seen.path)
            if seen.verb == verb and found is not None and (self._waits or rpc != "WaitOperation"):
                message = getattr(operations_pb2, f"{rpc}Request")()
                if seen.body:
                    json_format.Parse(seen.body, message)
                for key, values in seen.query.items():
                    if key == "returnPartialSuccess":
                        message.MergeFromString(RETURN_PARTIAL_SUCCESS)
                    else:
                        json_format.ParseDict({key: values[0]}, message)
                message.name = unquote(found[1])
                return SERVICE + rpc, message
        return "", None

    def _operation(self, data: bytes) -> bytes:
        try:
            return json_format.MessageToJson(operations_pb2.Operation.FromString(data)).encode()
        except TypeError:  # of a type that is not in the pool
            return Operation.from_bytes(data, registry=self._registry).to_json().encode()
        except Exception:  # noqa: BLE001 (a script may show anything)
            return b"this is no operation"

    def _page(self, data: bytes) -> Any:
        page = operations_pb2.ListOperationsResponse.FromString(data)
        document: dict[str, Any] = {
            "operations": [json.loads(self._operation(item.SerializeToString())) for item in page.operations]
        }
        if page.next_page_token:
            document["nextPageToken"] = page.next_page_token
        unreachable = list(getattr(page, "unreachable", ()))
        unknown: Any = UnknownFieldSet(page)
        unreachable += [field.data.decode() for field in unknown if field.field_number == UNREACHABLE]
        if unreachable:
            document["unreachable"] = unreachable
        return document


def _start(seen: Seen, rpc: str, binding: HttpBinding) -> Any:
    template = re.escape(binding.path).replace(r"\*", "[^/]+")
    pattern = re.sub(r"\\\{(\w+)=(.*?)\\\}", r"(?P<\1>\2)", template)
    found = re.fullmatch(pattern, seen.path)
    if seen.verb != binding.verb or found is None:
        return None
    message = getattr(library_pb2, f"{rpc}Request")()
    target = message if binding.body in {"", "*"} else getattr(message, binding.body)
    if seen.body:
        json_format.Parse(seen.body, target)
    json_format.ParseDict({key: values[0] for key, values in seen.query.items()}, message)
    for field, value in found.groupdict().items():
        setattr(message, field, unquote(value))
    return message


def _error(answer: Answer) -> Canned:
    error: dict[str, Any] = {
        "code": HTTP[answer.code],
        "message": answer.message,
        "status": Code(answer.code).name,
    }
    headers: list[tuple[str, str]] = []
    for key, value in answer.trailers:
        if isinstance(value, bytes):
            rich = status_pb2.Status.FromString(value)
            error["details"] = [json_format.MessageToDict(detail) for detail in rich.details]
        else:
            headers.append((key, value))
    return Canned(HTTP[answer.code], {"error": error}, tuple(headers))


# -- for tests ----------------------------------------------------------------------------------------------------


@contextmanager
def serving(
    scripts: Scripts = None, *, waits: bool = False, registry: TypeRegistry = LIBRARY
) -> Generator[tuple[ScriptedOperations, HttpEdge], None, None]:
    """A scripted server over HTTP."""
    scripted = scripts if isinstance(scripts, ScriptedOperations) else ScriptedOperations(scripts)
    edge = HttpEdge(_Scripted(scripted, registry, waits=waits))
    edge.start()
    try:
        yield scripted, edge
    finally:
        edge.stop()


@contextmanager
def answering(*answers: Canned | Callable[[Seen], Canned]) -> Generator[HttpEdge, None, None]:
    """A server with these answers, one after the other; the last one for ever."""
    ahead = list(answers)
    lock = threading.Lock()

    def answer(seen: Seen) -> Canned:
        with lock:
            current = ahead.pop(0) if len(ahead) > 1 else ahead[0]
        return current(seen) if callable(current) else replace(current)

    edge = HttpEdge(answer)
    edge.start()
    try:
        yield edge
    finally:
        edge.stop()


def rest_client(both: Both, url: str, **options: Any) -> Any:
    """A client of the colour, which polls, on a fake clock unless told otherwise."""
    options.setdefault("clock", both.clock())
    options.setdefault("policy", polls())
    options.setdefault("registry", LIBRARY)
    return (OperationsClient if both.sync else AsyncOperationsClient).from_url(url, **options)


def http_client(both: Both, **options: Any) -> Any:
    """An HTTP client of the colour."""
    options.setdefault("trust_env", False)
    return httpx.Client(**options) if both.sync else httpx.AsyncClient(**options)


@dataclass(frozen=True)
class RestPair:
    """A client and its server.

    Attributes:
        client: The client.
        clock: Its clock.
        scripted: The script.
        edge: The server.
    """

    client: Any
    clock: Any
    scripted: ScriptedOperations
    edge: HttpEdge


@asynccontextmanager
async def rest_pair(
    both: Both, scripts: Scripts = None, *, waits: bool = False, policy: PollPolicy | None = None, **options: Any
) -> AsyncGenerator[RestPair, None]:
    """A client of the colour on a fake clock, and a scripted server over HTTP."""
    with serving(scripts, waits=waits) as (scripted, edge):
        clock = options.pop("clock", None) or both.clock()
        client = rest_client(both, edge.url, clock=clock, policy=policy or polls(), **options)
        try:
            yield RestPair(client, clock, scripted, edge)
        finally:
            await both(client.close())
