# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""`asgi_app`: a server of operations over HTTP and JSON, as a Starlette application."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, final

from starlette.applications import Starlette

from ..method import LroMethod
from ._asgi_edge import Edge
from ._asgi_limits import HttpLimits
from ._asgi_replies import Replies
from ._asgi_routes import Routes, default_bindings
from ._bindings import OperationsBindings
from ._openapi import Document

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from ..server import OperationsServer

__all__ = ["asgi_app"]

_DEFAULT_LIMITS: Final = HttpLimits()
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+)*", re.ASCII)


@final
class _Application(Starlette):
    """Starlette, with a short way to its one route, which raises nothing: polls come by the thousand."""

    def build_middleware_stack(self) -> ASGIApp:
        """All of Starlette's own, as soon as somebody adds something."""
        if self.debug or self.user_middleware or self.exception_handlers:
            return super().build_middleware_stack()
        router, routes = self.router, self.router.routes

        def stack(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
            alone = scope["type"] == "http" and len(routes) == 1
            return routes[0].handle(scope, receive, send) if alone else router(scope, receive, send)

        return stack


def asgi_app(
    server: OperationsServer,
    *,
    prefix: str = "/v1",
    bindings: OperationsBindings | None = None,
    limits: HttpLimits = _DEFAULT_LIMITS,
    openapi_path: str | None = "/openapi.json",
    title: str = "Long-running operations",
    version: str = "v1",
    manage_server: bool = False,
) -> Starlette:
    """Serves operations over HTTP and JSON, as Google's REST APIs do.

    ::

        app = asgi_app(server, manage_server=True)  # then: uvicorn module:app

    The five methods have these bindings, and a method with a handler has that of its `LroMethod.http`:

    - ``GET`` and ``DELETE {prefix}/{name}``
    - ``POST {prefix}/{name}:cancel`` and ``:wait``
    - ``GET {prefix}/{parent}/operations``, ``GET {prefix}/operations``

    The application may be run as it is, or mounted into another one, at any path. The server has to be entered, by whoever
    made it (``async with server``, or ``with server``) or by this application; until then every call is answered with 503.
    gRPC may serve the same server at the same time.

    Args:
        server: The server of operations. Methods may be registered until it is used, and later.
        prefix: What the paths of the five begin with; those of methods are complete already. Empty for nothing.
        bindings: Other bindings of the five; then `prefix` means nothing. By default names are ``**/operations/*`` and
            ``operations/**``, with the collection of the server's names. Where paths overlap, the first of `list`, `get`,
            `cancel`, `delete`, `wait` has them, and then the methods in the order of their registration.
        limits: The bounds of requests.
        openapi_path: Where the OpenAPI document is; ``None`` for nowhere. It is not asked of the authorizer.
        title: Title of that document.
        version: Version in that document.
        manage_server: Whether the application enters the server when it is started, and ends it when it is stopped (ASGI
            lifespan). A mounted application is not told of either: then the outer one has to do it.

    Returns:
        The application.

    Raises:
        TypeError: `server` is no `OperationsServer`.
        ValueError: The prefix is none, or an HTTP binding does not fit its request, or is there twice.
    """
    from ..server import OperationsServer

    if not isinstance(server, OperationsServer):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"an OperationsServer is needed; got {server!r}")
    for what, path in (("prefix", prefix), ("openapi_path", openapi_path or "")):
        if _PATH.fullmatch(path) is None:
            raise ValueError(f"{what} is a path such as '/v1', without a slash at its end; got {path!r}")
    if bindings is None:
        bindings = default_bindings(prefix, server.names.template.split("/")[-2])

    def method_of(path: str) -> LroMethod[Any, Any, Any] | None:
        found = server.handler_of(path)
        return None if found is None else found.method

    replies = Replies(server.registry, method_of)
    routes = Routes(server, bindings, replies.find_of)
    document = Document(server.names, title=title, version=version)
    edge = Edge(
        server,
        routes,
        replies,
        limits=limits,
        document=(openapi_path, document) if openapi_path else None,
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None, None]:
        async with server:
            yield

    app = _Application(routes=[edge], lifespan=lifespan if manage_server else None)
    app.router.redirect_slashes = False  # a redirect would say what a caller sent, in a header
    return app
