# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Adds a server of operations to a gRPC server of either kind, with reflection and health checks on request."""

from __future__ import annotations

import asyncio
import functools
import importlib
import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, final

import grpc
import grpc.aio
from google.protobuf import descriptor_pool

from ..errors import MissingExtraError
from . import _grpc_aio, _grpc_sync
from ._grpc_edge import MESSAGES, SERVICE

if TYPE_CHECKING:
    from ._server import OperationsServer

__all__ = ["Methods", "add_to"]

_log: Final = logging.getLogger("longrunning.server")

_HEALTH: Final = "grpc.health.v1.Health"


@final
class Methods(grpc.GenericRpcHandler):
    """Finds the handler of a path; methods may be registered at any time."""

    def __init__(self, server: OperationsServer, make: Callable[[str], grpc.RpcMethodHandler[Any, Any]]) -> None:
        self._server = server
        self._make = make
        self._known: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The handler of a path, or ``None``."""
        path = handler_call_details.method
        found = self._known.get(path)
        if found is None and (path in MESSAGES or self._server.registered(path) is not None):
            found = self._known[path] = self._make(path)
        return found


def add_to(server: OperationsServer, grpc_server: Any, *, reflection: bool, health: bool) -> None:
    """Serves on a gRPC server of either kind.

    Raises:
        MissingExtraError: What it needs is not installed.
        TypeError: It is no gRPC server.
    """
    if isinstance(grpc_server, grpc.aio.Server):
        handler_for = _grpc_aio.handler_for
    elif isinstance(grpc_server, grpc.Server):
        handler_for = functools.partial(_grpc_sync.handler_for, threads=_threads_of(grpc_server))
    else:
        raise TypeError(f"a grpc.aio.Server or a grpc.Server is needed; got {grpc_server!r}")
    grpc_server.add_generic_rpc_handlers((Methods(server, lambda path: handler_for(server, path)),))
    # Servicers of generated code register their methods, and what is registered goes before what is generic. The last to
    # register a method has it: that is why this server is added last.
    services: dict[str, dict[str, grpc.RpcMethodHandler[Any, Any]]] = {}
    for path in server.methods:
        if server.registered(path) is not None:
            _, service, method = path.split("/")
            services.setdefault(service, {})[method] = handler_for(server, path)
    register: Any = getattr(grpc_server, "add_registered_method_handlers", None)  # types-grpcio does not know it
    for service, handlers in services.items():
        if register is not None:
            register(service, handlers)
    if health:
        _tell_health(server, grpc_server)
    if reflection:
        _reflect(server, grpc_server, health=health)


def _threads_of(grpc_server: Any) -> int:
    """How many threads answer calls; gRPC has no public way to ask. Where it cannot be known, `Limits` alone decides."""
    pool = getattr(getattr(grpc_server, "_state", None), "thread_pool", None)
    threads = getattr(pool, "_max_workers", None)
    return threads if isinstance(threads, int) else sys.maxsize


def _reflect(server: OperationsServer, grpc_server: Any, *, health: bool) -> None:
    try:
        reflection: Any = importlib.import_module("grpc_reflection.v1alpha.reflection")  # it ships no types
    except ImportError as error:
        raise MissingExtraError("server", "gRPC reflection") from error
    names = {SERVICE, reflection.SERVICE_NAME, *(path.split("/")[1] for path in server.methods)}
    if health:
        names.add(_HEALTH)
    pool = descriptor_pool.Default()
    unknown = {name for name in names if not _describes(pool, name)}
    for name in sorted(unknown):  # one that cannot be described makes tools fail for all of them
        _log.warning("%s is left out of reflection: no descriptor of it was imported", name)
    reflection.enable_server_reflection(sorted(names - unknown), grpc_server)


def _describes(pool: descriptor_pool.DescriptorPool, service: str) -> bool:
    try:
        pool.FindServiceByName(service)
    except KeyError:
        return False
    return True


def _tell_health(server: OperationsServer, grpc_server: Any) -> None:
    try:
        health: Any = importlib.import_module("grpc_health.v1.health")  # they ship no types
        serving: Any = importlib.import_module("grpc_health.v1.health_pb2").HealthCheckResponse
        add: Any = importlib.import_module("grpc_health.v1.health_pb2_grpc").add_HealthServicer_to_server
    except ImportError as error:
        raise MissingExtraError("server", "gRPC health checks") from error
    # The one for threads would keep a thread of the event loop for everybody who watches.
    is_async = isinstance(grpc_server, grpc.aio.Server)
    servicer: Any = (health.aio if is_async else health).HealthServicer()
    telling: set[asyncio.Task[None]] = set()

    async def set_all(status: Any) -> None:
        for service in ("", SERVICE):
            await servicer.set(service, status)

    def tell(running: bool) -> None:  # noqa: FBT001
        status = serving.SERVING if running else serving.NOT_SERVING
        if not is_async:
            for service in ("", SERVICE):
                servicer.set(service, status)
        elif _has_loop():
            task = asyncio.get_running_loop().create_task(set_all(status), name="longrunning-health")
            telling.add(task)
            task.add_done_callback(telling.discard)
        else:  # nobody watches a server that has no loop yet: this ends without waiting for anything
            with suppress(StopIteration):
                set_all(status).send(None)

    server.observe(tell)
    add(servicer, grpc_server)


def _has_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
