# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The servicer classes: handlers to be written by the author, registered, and the RPCs that start their operations.

One is for ``grpc.aio``, one for ``grpc.server``. The RPCs are there for whoever mixes the class with the servicer that grpc
generated: that one has a method for each RPC, and its own refuses to answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from ._imports import Imports
from ._layout import WIDTH, docstring, wrapped
from ._plan import PlannedMethod, PlannedService

__all__ = ["ASYNC_SERVICER", "SYNC_SERVICER", "Servicer", "servicer_class"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Servicer:
    """What differs between servicers for the two kinds of gRPC server."""

    context: str
    define: str
    start: str
    grpc_server: str
    runs: str


ASYNC_SERVICER: Final = Servicer(
    context="AsyncOperationContext",
    define="async def",
    start="await self.operations_server.start",
    grpc_server="grpc.aio.server",
    runs="Handlers run on the event loop.",
)
SYNC_SERVICER: Final = Servicer(
    context="OperationContext",
    define="def",
    start="self.operations_server.start_blocking",
    grpc_server="grpc.server",
    runs="Handlers run in threads.",
)


def servicer_class(planned: PlannedService, kind: Servicer, annotations: Imports, imports: Imports) -> list[str]:
    """The class of one service.

    Args:
        planned: The service.
        kind: For which kind of gRPC server.
        annotations: What annotations need is added to them.
        imports: What the class needs at run time is added to them.
    """
    imports.name("abc", "ABC")
    imports.name("abc", "abstractmethod")
    annotations.name("longrunning.server", "OperationsServer")
    annotations.name("longrunning.server", kind.context)
    head = wrapped(f"class {_class_name(planned, kind)}(", ["ABC"], "):")
    lines = [*head, *_class_docstring(planned, kind), "", *_constructor(planned)]
    for method in planned.methods:
        lines += ["", *_handler(method, kind)]
        if method.rpc:
            lines += ["", *_rpc(method, kind)]
    return lines


def _class_name(planned: PlannedService, kind: Servicer) -> str:
    return planned.servicer if kind is ASYNC_SERVICER else planned.sync_servicer


def _class_docstring(planned: PlannedService, kind: Servicer) -> list[str]:
    service = planned.service
    text = f"""\
Serves the long-running methods of ``{service.full_name}``, on a ``{kind.grpc_server}``.

What a handler returns is the response of its operation. {kind.runs}
For methods that are not long-running, mix it with the servicer that grpc
generated, this one first; otherwise `OperationsServer.add_to` is enough::

    class {service.name}({_class_name(planned, kind)}, {service.name}Servicer): ...

    add_{service.name}Servicer_to_server({service.name}(operations_server), grpc_server)
    operations_server.add_to(grpc_server)
"""
    return docstring(text, 4)


def _constructor(planned: PlannedService) -> list[str]:
    text = """\
Registers the handlers.

Args:
    operations_server: Keeps and runs the operations. Methods that it has
        handlers for keep these: to say more than the defaults about a
        method, register it before.
"""
    handlers = [f"{method.constant}: self.{method.handler}" for method in planned.methods]
    return [
        "    def __init__(self, operations_server: OperationsServer) -> None:",
        *docstring(text, 8),
        "        self.operations_server: Final = operations_server",
        *wrapped("handlers: dict[LroMethod[Any, Any, Any], Any] = {", handlers, "}", 8, explode=True),
        "        for method, handler in handlers.items():",
        "            if method.path not in operations_server.methods:",
        "                operations_server.method(method)(handler)",
    ]


def _handler(method: PlannedMethod, kind: Servicer) -> list[str]:
    text = f"""\
{method.about}

Args:
    request: What is asked.
    context: The operation: its name, its metadata, whether it is to be cancelled.

Returns:
    The response of the operation.

Raises:
    OperationError: The operation fails with a status of your choice.
"""
    context = f"{kind.context}[{method.metadata.annotation}]"
    if len(context) + len("        context: ,") > WIDTH:
        context = f'"{context}"'  # formatters break what is in brackets, each at its own line length, but no strings
    parameters = ["self", f"request: {method.request.annotation}", f"context: {context}"]
    return [
        "    @abstractmethod",
        *wrapped(
            f"{kind.define} {method.handler}(", parameters, f") -> {method.response.annotation}:", 4, explode=True
        ),
        *docstring(text, 8),
    ]


def _rpc(method: PlannedMethod, kind: Servicer) -> list[str]:
    name = method.method.name
    parameters = ["self", f"request: {method.request.annotation}", "context: Any"]
    return [
        *wrapped(f"{kind.define} {name}(", parameters, ") -> Any:", 4, explode=True),
        *docstring(f"Starts an operation of `{method.handler}`. grpc calls this.", 8),
        *wrapped(f"return {kind.start}(", [method.constant, "request", "context"], ")", 8),
    ]
