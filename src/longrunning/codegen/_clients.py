# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The client classes: a method that starts and one that resumes for each long-running method, one line each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from ._imports import Imports
from ._layout import docstring, safe, wrapped
from ._plan import PlannedMethod, PlannedService

__all__ = ["ASYNC", "SYNC", "Colour", "client_class"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Colour:
    """What differs between sync and async clients."""

    client: str
    handle: str
    define: str
    call: str


SYNC: Final = Colour(client="OperationsClient", handle="OperationHandle", define="def", call="")
ASYNC: Final = Colour(client="AsyncOperationsClient", handle="AsyncOperationHandle", define="async def", call="await ")


def client_class(planned: PlannedService, colour: Colour, imports: Imports) -> list[str]:
    """The class of one service.

    Args:
        planned: The service.
        colour: Sync or async.
        imports: What annotations need is added to them.
    """
    imports.name("longrunning", colour.client)
    imports.name("longrunning", colour.handle)
    imports.name("longrunning.names", "Metadata")
    imports.name("datetime", "timedelta")
    name = planned.client if colour is SYNC else planned.async_client
    lines = [f"class {name}:", *_class_docstring(planned), "", *_constructor(colour)]
    for method in planned.methods:
        lines += ["", *_start(method, colour), "", *_resume(method, colour)]
    return lines


def _class_docstring(planned: PlannedService) -> list[str]:
    service = planned.service
    parts = [f"The long-running methods of ``{service.full_name}``."]
    if service.comment.text:
        parts.append(safe(service.comment.text))
    if service.deprecated:
        parts.append("Deprecated.")
    if len(planned.methods) < len(service.methods):
        parts.append("Its other methods are those of the stub.")
    return docstring("\n\n".join(parts), 4)


def _constructor(colour: Colour) -> list[str]:
    text = """\
Calls the service through a client of operations.

Args:
    operations: Starts operations, and waits for them; it stays yours to close.
        With `TYPES` as its registry it knows the types of listed ones, too.
"""
    return [
        f"    def __init__(self, operations: {colour.client}) -> None:",
        *docstring(text, 8),
        "        self.operations: Final = operations",
    ]


def _start(method: PlannedMethod, colour: Colour) -> list[str]:
    text = f"""\
{method.about}

Args:
    request: What is asked.
    timeout: Longest time of this call, not of the operation: seconds, or a
        timedelta. ``None`` is no limit.
    metadata: Headers of this call, and of all later ones about the operation.

Returns:
    The operation, live; it may be done already.
    {method.contents}

Raises:
    StartError: The call failed.
"""
    parameters = [
        "self",
        f"request: {method.request.annotation}",
        "*",
        "timeout: float | timedelta | None = None",
        "metadata: Metadata = ()",
    ]
    arguments = [method.constant, "request", "rpc_timeout=timeout", "metadata=metadata"]
    return [
        *_signature(f"{colour.define} {method.name}(", parameters, method, colour),
        *docstring(text, 8),
        *wrapped(f"return {colour.call}self.operations.start(", arguments, ")", 8),
    ]


def _resume(method: PlannedMethod, colour: Colour) -> list[str]:
    text = f"""\
Takes hold of an operation that `{method.name}` started, here or elsewhere.

Nothing is sent: whether it exists shows at the first request.

Args:
    name: Its name, as the server gave it.
    metadata: Headers of all calls about it.

Raises:
    ValueError: The name is empty.
"""
    parameters = ["self", "name: str", "*", "metadata: Metadata = ()"]
    return [
        *_signature(f"def {method.resume}(", parameters, method, colour),
        *docstring(text, 8),
        *wrapped("return self.operations.attach(", ["name", method.constant, "metadata=metadata"], ")", 8),
    ]


def _signature(head: str, parameters: list[str], method: PlannedMethod, colour: Colour) -> list[str]:
    types = [method.response.annotation, method.metadata.annotation]
    start, _ = wrapped(head, parameters, ")", 4, explode=True)
    return [start, *wrapped(f") -> {colour.handle}[", types, "]:", 4)]
