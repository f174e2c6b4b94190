# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Which request is for which method: the bindings of the five, and of the methods that start operations (REST-1).

Source: operations.proto (its HTTP bindings), google/api/http.proto.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

from .._any import MessageType, message_type
from .._pb import operations_pb2
from ..method import HttpBinding
from ..server import Rpc
from ._asgi_paths import PathTable
from ._asgi_transcoding import FindUrl, Transcoder
from ._bindings import OperationsBindings

if TYPE_CHECKING:
    from ..server import OperationsServer
    from ..server._handlers import Registered

__all__ = ["Route", "Routes", "default_bindings"]

_log: Final = logging.getLogger("longrunning.rest")

# Lists first: by some bindings GET of a parent's operations would be that of an operation, too.
_REQUESTS: Final[dict[Rpc, MessageType[Any]]] = {
    Rpc.LIST: message_type(operations_pb2.ListOperationsRequest),
    Rpc.GET: message_type(operations_pb2.GetOperationRequest),
    Rpc.CANCEL: message_type(operations_pb2.CancelOperationRequest),
    Rpc.DELETE: message_type(operations_pb2.DeleteOperationRequest),
    Rpc.WAIT: message_type(operations_pb2.WaitOperationRequest),
}
# What older protos lack; our lists are never partial ones.
_NEWER: Final = {Rpc.LIST: frozenset({"returnPartialSuccess", "return_partial_success"})}
_OPERATION_FIELDS: Final = frozenset({"name", "metadata", "done", "error", "response"})
_REPLY_FIELDS: Final[dict[Rpc, frozenset[str]]] = {
    Rpc.START: _OPERATION_FIELDS,
    Rpc.GET: _OPERATION_FIELDS,
    Rpc.WAIT: _OPERATION_FIELDS,
    Rpc.LIST: frozenset({"operations", "nextPageToken", "unreachable"}),
    Rpc.CANCEL: frozenset(),
    Rpc.DELETE: frozenset(),
}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One binding, ready to be matched.

    Attributes:
        rpc: What it is for.
        transcoder: Makes the request message.
        reply: The names of the fields that the reply may have.
        what: The method: for `Rpc.START` its path.
        registered: For `Rpc.START` what is registered; otherwise ``None``.
    """

    rpc: Rpc
    transcoder: Transcoder
    reply: frozenset[str]
    what: str
    registered: Registered | None = None


def default_bindings(prefix: str, collection: str) -> OperationsBindings:
    """The bindings of operations.proto, and those of names that have a parent (REST-1).

    Args:
        prefix: What all paths begin with, such as ``/v1``.
        collection: The collection of operations, such as ``operations``.
    """
    names = (f"{prefix}/{{name=**/{collection}/*}}", f"{prefix}/{{name={collection}/**}}")
    parents = (f"{prefix}/{{name=**}}/{collection}", f"{prefix}/{{name={collection}}}")

    def all_of(verb: str, paths: Sequence[str], custom: str = "") -> tuple[HttpBinding, ...]:
        return tuple(HttpBinding(verb=verb, path=path + custom, body="*" if custom else "") for path in paths)

    return OperationsBindings(
        get=all_of("GET", names),
        list=all_of("GET", parents),
        cancel=all_of("POST", names, ":cancel"),
        delete=all_of("DELETE", names),
        wait=all_of("POST", names, ":wait"),
    )


@final
class Routes:
    """The routes of a server. Methods may be registered at any time."""

    def __init__(
        self,
        server: OperationsServer,
        bindings: OperationsBindings,
        find_of: Callable[[str], FindUrl],
    ) -> None:
        """Makes the routes of the methods registered so far.

        Raises:
            ValueError: The HTTP binding of a method does not fit its request, or two methods have the same.
        """
        self._server = server
        self._find_of = find_of
        self._by_verb: dict[str, PathTable[Route]] = {}
        self._known: set[str] = set()
        for rpc, request in _REQUESTS.items():
            given: tuple[HttpBinding, ...] = getattr(bindings, rpc.value)
            for binding in given:
                transcoder = Transcoder(request, binding, find_of(""), ignored=_NEWER.get(rpc, frozenset()))
                self._add(Route(rpc=rpc, transcoder=transcoder, reply=_REPLY_FIELDS[rpc], what=rpc.value))
        for path in server.methods:
            self._learn(path)

    def find(self, verb: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """What a request is for, and the variables in its path; ``None`` where there is nothing.

        Args:
            verb: The HTTP method; what answers GET answers HEAD.
            path: The path, normalized.

        Raises:
            ValueError: The path fits, and is no UTF-8.
        """
        table = self._by_verb.get("GET" if verb == "HEAD" else verb)
        found = None if table is None else table.find(path)
        return self.find(verb, path) if found is None and self._learn_more() else found

    def verbs(self, path: str) -> list[str]:
        """The HTTP methods that something at a path answers; empty where there is nothing."""
        found = [verb for verb, table in self._by_verb.items() if table.find(path) is not None]
        return sorted([*found, *(["HEAD"] if "GET" in found else []), *(["OPTIONS"] if found else [])])

    def __iter__(self) -> Iterator[Route]:
        self._learn_more()
        return (route for table in self._by_verb.values() for _, route in table)

    def _add(self, route: Route) -> None:
        table = self._by_verb.setdefault(route.transcoder.verb, PathTable())
        pattern = route.transcoder.pattern
        for known, other in table:
            if known.template == pattern.template:
                verb = route.transcoder.verb
                raise ValueError(f"{route.what} and {other.what} have one HTTP binding: {verb} {pattern.template}")
        table.add(pattern, route)

    def _learn(self, path: str) -> None:
        self._known.add(path)
        registered = self._server.registered(path)
        if registered is None:
            return
        if registered.method.http is None:
            _log.info("%s has no HTTP binding: it cannot be started over HTTP", path, extra={"method": path})
            return
        binding = registered.method.http
        transcoder = Transcoder(registered.method.request_kind, binding, self._find_of(path))
        reply = _REPLY_FIELDS[Rpc.START]
        self._add(Route(rpc=Rpc.START, transcoder=transcoder, reply=reply, what=path, registered=registered))

    def _learn_more(self) -> bool:
        """Looks for methods that were registered since; one whose binding cannot be served must not stop the others."""
        added = [path for path in self._server.methods if path not in self._known]
        for path in added:
            try:
                self._learn(path)
            except ValueError:
                _log.exception("%s is not served over HTTP", path, extra={"method": path})
        return bool(added)
