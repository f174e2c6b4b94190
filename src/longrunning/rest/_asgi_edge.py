# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The HTTP edge: a request to a call, what the service says to an answer.

Laws of this file:

1. What a caller sends is bounded before it is read, and read before it is believed: whatever it is, there is an answer, and
   a caller's fault is a 4xx.
2. The service decides: the same calls, authorizer and refusals as over gRPC.
3. Nothing that a caller sent gets into a header of the answer.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, MutableMapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar, assert_never, final
from urllib.parse import quote
from weakref import WeakKeyDictionary

from starlette.datastructures import URLPath
from starlette.requests import Request
from starlette.routing import BaseRoute, Match, NoMatchFound

from ..server import Call, Rpc
from ..server._refusal import Refusal, refuse
from ..status import Code
from ._asgi_bodies import Bodies, Gone, Receive, Scope, demand_none, parsed
from ._asgi_errors import Answer, Headers, problem, refuse_with
from ._asgi_limits import HttpLimits
from ._asgi_paths import below, normalized
from ._asgi_queries import Options, Parameters, read_query
from ._asgi_replies import EMPTY, Replies
from ._asgi_routes import Route, Routes

if TYPE_CHECKING:
    from ..server import OperationsServer
    from ._openapi import Document

__all__ = ["Edge"]

T = TypeVar("T")
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_log: Final = logging.getLogger("longrunning.rest")

_GONE: Final = Answer(499, b"")
_LARGE: Final = 128 << 10  # bytes of a body that takes long enough to be parsed elsewhere
_SHOWN: Final = 200


@final
class Edge(BaseRoute):
    """Answers every HTTP request below the place where the application is mounted."""

    def __init__(
        self,
        server: OperationsServer,
        routes: Routes,
        replies: Replies,
        *,
        limits: HttpLimits,
        document: tuple[str, Document] | None,
    ) -> None:
        """Takes its parts.

        Args:
            server: The server of operations.
            routes: What is served.
            replies: Writes operations.
            limits: The bounds of requests.
            document: Path of the OpenAPI document, and the document; ``None`` for none.
        """
        self._server = server
        self._routes = routes
        self._replies = replies
        self._limits = limits
        self._document = document
        self._bodies = Bodies(limits)
        self._warned = False
        # Of each event loop: JSON takes many times its size while it is parsed, so what is large is parsed one by one.
        self._parsing: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    # -- as a route of Starlette ---------------------------------------------------------------------------------

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """All HTTP requests: which of them mean something is decided on the path as it was sent."""
        return (Match.FULL, {}) if scope["type"] == "http" else (Match.NONE, {})

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """Nothing here has a name of that kind."""
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        try:
            answer = await self._answer(scope, receive)
        except Gone:
            with suppress(OSError):  # somebody in between may still count on an answer
                await _send(_GONE, scope, send)
            return
        except Exception as error:  # noqa: BLE001 (told apart, logged and answered there)
            answer = problem(error, f"{scope['method']} {scope['path'][:_SHOWN]!a}")
        await _send(answer, scope, send)

    # -- answering -----------------------------------------------------------------------------------------------

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        verb, path = scope["method"], self._path(scope)
        if self._document is not None and path == self._document[0]:
            return self._described(verb, scope)
        try:
            found = self._routes.find(verb, path)
            if found is None:
                return self._unrouted(verb, path)
        except ValueError as error:
            raise refuse(Code.INVALID_ARGUMENT, str(error)) from None
        route, variables = found
        options, parameters = read_query(
            scope["query_string"],
            own=route.transcoder.names,
            reply=route.reply,
            most=self._limits.max_query_parameters,
        )
        if route.transcoder.takes_body:
            return await self._with_body(route, variables, parameters, options, scope, receive)
        demand_none(scope)
        # Polls are this, by the thousand: no message is made to hold the name.
        if route.rpc is Rpc.GET and not parameters and (name := variables.get("name")):
            return await self._serve(route, _call_of(route, name, None, scope), None, options)
        request = route.transcoder.message(variables, parameters, None)
        serving = self._serve(route, _call_of(route, *_asked_of(route, request), scope), request, options)
        if route.rpc is Rpc.WAIT or route.rpc is Rpc.START:
            return await _while_connected(receive, serving)
        return await serving  # which takes no longer than noticing that the caller went away

    def _path(self, scope: Scope) -> str:
        raw: bytes | None = scope.get("raw_path")
        if raw is None:  # the specification allows it; then what was escaped is not known
            raw = quote(scope["path"]).encode()
        if len(raw) > self._limits.max_path_bytes:
            text = f"the path has more than {self._limits.max_path_bytes} bytes"
            raise refuse_with(414, Code.INVALID_ARGUMENT, text)
        try:
            return normalized(below(scope.get("root_path", ""), raw))
        except ValueError as error:
            raise refuse(Code.INVALID_ARGUMENT, str(error)) from None

    async def _with_body(
        self,
        route: Route,
        variables: dict[str, str],
        parameters: Parameters,
        options: Options,
        scope: Scope,
        receive: Receive,
    ) -> Answer:
        starts = route.rpc is Rpc.START
        limit = self._limits.max_body_bytes if starts else self._limits.max_control_bytes
        with self._bodies.room() as room:
            body = await self._bodies.read(scope, receive, limit, room)

            def made() -> Any:
                return route.transcoder.message(variables, parameters, parsed(body) if body else None)

            if len(body) > _LARGE:
                async with self._parsing.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
                    request = await asyncio.to_thread(made)
            else:
                request = made()
            if not starts:  # otherwise the request is in memory for as long as it takes to store it
                room.leave()
            serving = self._serve(route, _call_of(route, *_asked_of(route, request), scope), request, options)
            return await serving if route.rpc is Rpc.CANCEL else await _while_connected(receive, serving)

    async def _serve(self, route: Route, call: Call, request: Any, options: Options) -> Answer:
        try:
            service, replies = self._server.service, self._replies
        except Refusal:
            self._warn()
            raise
        match route.rpc:
            case Rpc.GET:
                record = await self._asked(service.get(call))
                return replies.remembered(record, options) or await replies.operation(record, options)
            case Rpc.WAIT:
                seconds = self._limits.seconds("max_wait")
                if request.HasField("timeout"):
                    seconds = min(seconds, request.timeout.seconds + request.timeout.nanos / 1e9)
                record = await self._asked(service.wait(call, seconds, None, threads=None))
                return await replies.operation(record, options)
            case Rpc.LIST:
                listing = service.list(
                    call, filter=request.filter, page_size=request.page_size, page_token=request.page_token
                )
                page = await self._asked(listing)
                return await replies.page(page.records, page.next_page_token, options)
            case Rpc.CANCEL:
                await self._asked(service.cancel(call))
                return EMPTY
            case Rpc.DELETE:
                await self._asked(service.delete(call))
                return EMPTY
            case Rpc.START:
                registered = route.registered
                assert registered is not None
                operation = await self._asked(service.start(registered, request, call))
                return replies.started(operation, registered.method.path, options)
            case _:
                assert_never(route.rpc)

    def _asked(self, asking: Coroutine[Any, Any, T]) -> Awaitable[T]:
        """What asks the service, on the event loop of the server: usually this one."""
        try:
            loop = self._server.loop
        except RuntimeError:  # on a thread of its own it may end at any moment
            asking.close()
            _ended()
        return asking if loop is asyncio.get_running_loop() else _on_other_loop(loop, asking)

    def _warn(self) -> None:
        """Says once what a mounted application easily lacks: whoever is answered with 503 cannot mend it."""
        if not self._warned:
            self._warned = True
            _log.warning(
                "requests come in, but the server of operations is not entered, or not any more: `async with server` in the"
                " lifespan of the outer application, or asgi_app(…, manage_server=True) where this one is the outermost"
            )

    # -- what is not for the service -----------------------------------------------------------------------------

    def _described(self, verb: str, scope: Scope) -> Answer:
        assert self._document is not None
        if verb == "OPTIONS":
            return _allow(["GET", "HEAD", "OPTIONS"])
        if verb not in {"GET", "HEAD"}:
            raise _not_allowed(verb, ["GET", "HEAD", "OPTIONS"])
        return Answer(200, self._document[1].rendered(self._routes, scope.get("root_path", "")))

    def _unrouted(self, verb: str, path: str) -> Answer:
        verbs = self._routes.verbs(path)
        if not verbs:
            raise refuse_with(404, Code.NOT_FOUND, "Method not found.")  # as clients know it from Google's services
        if verb == "OPTIONS":
            return _allow(verbs)
        raise _not_allowed(verb, verbs)


def _allow(verbs: list[str]) -> Answer:
    return Answer(204, b"", ((b"allow", ", ".join(verbs).encode()),))


def _not_allowed(verb: str, verbs: list[str]) -> Exception:
    text = f"{ascii(verb)[1:-1][:20]} is not served here, but {', '.join(verbs)}"
    return refuse_with(405, Code.UNIMPLEMENTED, text, (b"allow", ", ".join(verbs).encode()))


def _ended() -> NoReturn:
    raise refuse(Code.UNAVAILABLE, "the server of operations is not running any more") from None


async def _send(answer: Answer, scope: Scope, send: Send) -> None:
    headers: Headers = answer.headers
    if answer.status != 204:
        headers = (*headers, (b"content-length", b"%d" % len(answer.body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})


async def _on_other_loop(loop: asyncio.AbstractEventLoop, asking: Coroutine[Any, Any, T]) -> T:
    try:
        asked = asyncio.run_coroutine_threadsafe(asking, loop)
    except RuntimeError:
        asking.close()
        _ended()
    try:
        return await asyncio.wrap_future(asked)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        _ended()


async def _while_connected(receive: Receive, serving: Coroutine[Any, Any, Answer]) -> Answer:
    """Serves for as long as the caller is there: nobody waits for who went away.

    Raises:
        Gone: The caller went away.
    """
    served = asyncio.ensure_future(serving)
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({served, gone}, return_when=asyncio.FIRST_COMPLETED)
        if served.done():
            return served.result()
        raise Gone
    finally:
        served.cancel()
        gone.cancel()
        await asyncio.gather(served, gone, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


# -- the call -----------------------------------------------------------------------------------------------------


def _asked_of(route: Route, request: Any) -> tuple[str, Any]:
    """The operation that is asked for; for a start, the request."""
    return ("", request) if route.registered is not None else (request.name, None)


def _call_of(route: Route, name: str, request: Any, scope: Scope) -> Call:
    """The call; what it takes to know more of the caller is read when it is asked for."""
    return Call(
        route.rpc,
        name,
        method=route.what if route.registered is not None else "",
        request=request,
        headers=lambda: _headers(scope["headers"]),
        header=lambda key: _header(scope["headers"], key),
        peer=lambda: _peer(scope.get("client")),
        transport_of=lambda: Request(scope),
    )


def _header(raw: Iterable[tuple[bytes, bytes]], key: str) -> str | None:
    wanted = key.encode("latin-1", "replace")
    for name, value in raw:
        if name == wanted or name.lower() == wanted:
            return (_binary(value) if wanted.endswith(b"-bin") else value).decode("latin-1")
    return None


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str | bytes]]:
    headers: list[tuple[str, str | bytes]] = []
    for name, value in raw:
        key = name.lower()
        headers.append((key.decode("latin-1"), _binary(value) if key.endswith(b"-bin") else value.decode("latin-1")))
    return headers


def _binary(value: bytes) -> bytes:
    """The value of a binary header, as gRPC writes it over HTTP: base64, padded or not."""
    try:
        return base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)
    except (binascii.Error, ValueError):
        return value


def _peer(client: tuple[str, int] | None) -> str:
    """Where the call came from, in the words of gRPC."""
    if client is None:
        return ""
    host, port = client
    return f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"
