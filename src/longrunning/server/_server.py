# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""`OperationsServer`: ordinary typed functions in, durable operations out."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, cast, final

from .._pb import operations_pb2
from ..method import LroMethod
from ..policy import DEFAULT, Default
from ..registry import TypeRegistry
from ..status import Code
from . import _by_hand
from ._authorization import Authorizer
from ._executor import Executor, LocalExecutor
from ._handlers import Registered, Registrar, Validate, is_async, is_generator, parent_reader
from ._limits import Limits
from ._names import NamePattern
from ._pagetokens import PageTokens
from ._refusal import refuse
from ._running import Parts, Running
from ._service import OperationsService
from ._telemetry import telemetry
from ._thread import LoopThread
from .filtering import Schema
from .storage import OperationStore

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = ["OperationsServer"]

Req = TypeVar("Req")
R = TypeVar("R")
M = TypeVar("M")

_DEFAULT_NAMES: Final = NamePattern("operations/{operation}")
_DEFAULT_REGISTRY: Final = TypeRegistry()
_TWO_LOOPS: Final = "a grpc.aio.Server needs the server of operations on its own event loop: enter it with `async with`"
_PROTOCOLS: Final[tuple[type[Any], ...]] = (OperationStore, Authorizer, Executor)


@final
class OperationsServer:
    """Serves ``google.longrunning.Operations`` for the methods of a service.

    ::

        server = OperationsServer(store=SqliteStore("operations.db"), authorizer=AllowAll())


        @server.method(CREATE_SHELF)
        async def create_shelf(request: CreateShelfRequest, context: AsyncOperationContext[OperationMetadata]) -> Shelf: ...


        grpc_server = grpc.aio.server(options=SERVER_OPTIONS)
        server.add_to(grpc_server)
        async with server:
            await grpc_server.start()
            await grpc_server.wait_for_termination()

    It runs inside ``async with`` (or ``with``, for a ``grpc.server``: then on a thread of its own). What it promises is
    written in its documentation page "Guarantees": handlers run at least once, and exactly one outcome is published.
    """

    def __init__(
        self,
        *,
        store: OperationStore,
        authorizer: Authorizer,
        executor: Executor | None = None,
        names: NamePattern = _DEFAULT_NAMES,
        registry: TypeRegistry = _DEFAULT_REGISTRY,
        limits: Limits | None = None,
        page_token_keys: Sequence[bytes] | None = None,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        """Makes a server; nothing happens before it is entered.

        Args:
            store: Where operations are kept.
            authorizer: Who may do what. `AllowAll` has to be written out.
            executor: What brings operations to handlers; by default they run in this process (`LocalExecutor`).
            names: How operations are named.
            registry: Types of payloads beyond those the methods declare, for filters.
            limits: Its bounds.
            page_token_keys: Random keys of 16 bytes or more that sign page tokens; the first signs, all are accepted. By
                default a key that is kept in the store, so that all servers on one store share it.
            tracer_provider: Where spans go; without, there are none.
            meter_provider: Where metrics go; without, there are none.

        Raises:
            MissingExtraError: A provider was given, but OpenTelemetry is not installed.
            TypeError: `store`, `authorizer` or `executor`, or another argument, is not one.
            ValueError: A key is too short.
        """
        _demand("store", store, OperationStore)
        _demand("authorizer", authorizer, Authorizer)
        _demand("executor", LocalExecutor() if executor is None else executor, Executor)
        _demand("names", names, NamePattern)
        _demand("registry", registry, TypeRegistry)
        _demand("limits", Limits() if limits is None else limits, Limits)
        self._parts = Parts(
            store=store,
            authorizer=authorizer,
            executor=LocalExecutor() if executor is None else executor,
            names=names,
            registry=registry,
            limits=Limits() if limits is None else limits,
            tokens=None if page_token_keys is None else PageTokens(page_token_keys),
            telemetry=telemetry(tracer_provider, meter_provider),
        )
        self._methods: dict[str, Registered] = {}
        self._schema: Schema | None = None
        self._running: Running | None = None
        self._starting = False
        self._thread: LoopThread | None = None
        self._on_async_servers = False
        self._observers: list[Callable[[bool], object]] = []

    # -- registration --------------------------------------------------------------------------------------------

    def method(
        self,
        method: LroMethod[Req, R, M],
        *,
        parent: str | Callable[[Req], str] | Default = DEFAULT,
        resource: Callable[[Req], str] | None = None,
        validate: Validate[Req, R] | None = None,
        metadata: Callable[[Req], M] | None = None,
        serve: bool = True,
        max_attempts: int | None = None,
    ) -> Registrar[Req, R, M]:
        """Registers the handler of a method; used as a decorator.

        The handler is ``async def (request, context: AsyncOperationContext[M]) -> R``, which runs on the event loop, or
        ``def (request, context: OperationContext[M]) -> R``, which runs in a thread. What it returns is the response. It
        fails the operation by raising `OperationError` with any status; what else it raises is logged, and told as UNKNOWN.
        It may run more than once: after a crash it runs again, with its checkpoint.

        Args:
            method: What the RPC takes and returns.
            parent: The parent of its operations: a text, a function of the request, or, by default, the longest beginning
                of the request's ``parent``, ``name`` or ``<resource>.name`` that is a parent by the name pattern.
            resource: What no two operations may work on at once, such as ``lambda request: request.name``: a second start
                is ABORTED (AIP-151). By default there is no such rule.
            validate: ``(request, grpc_context)``, async or not: runs before anything is stored, and what it raises as
                `OperationError` is the RPC's error. May return `answer_now` for a request that only asks to be validated.
            metadata: Makes the metadata that the operation begins with.
            serve: Whether the RPC itself is served on the servers this one is added to. Servicers written by hand call
                `start` instead.
            max_attempts: How many workers may die over one operation (by default `Limits.max_attempts`).

        Raises:
            ValueError: The method is registered already, or the parent cannot be read from its request.
        """
        if method.path in self._methods:
            raise ValueError(f"{method.path} has a handler already")
        attempts = self._parts.limits.max_attempts if max_attempts is None else max_attempts
        if attempts < 1:
            raise ValueError(f"an operation needs at least one attempt; got {attempts}")
        reader = parent_reader(method, self._parts.names, None if isinstance(parent, Default) else parent)

        def register(handler: Any) -> Any:
            if not callable(handler):
                raise TypeError(f"a handler is a function; got {handler!r}")
            if is_generator(handler):
                raise TypeError(f"a handler returns its response; {handler!r} is a generator: remove the yield")
            if method.path in self._methods:
                raise ValueError(f"{method.path} has a handler already")
            self._methods[method.path] = Registered(
                method=method,
                handler=handler,
                runs_on_loop=is_async(handler),
                parent=reader,
                resource=resource,
                validate=validate,
                metadata=metadata,
                served=serve,
                max_attempts=attempts,
            )
            self._schema = None
            return handler

        return cast("Registrar[Req, R, M]", register)

    @property
    def methods(self) -> Mapping[str, LroMethod[Any, Any, Any]]:
        """The methods that have a handler, by path."""
        return MappingProxyType({path: registered.method for path, registered in self._methods.items()})

    @property
    def names(self) -> NamePattern:
        """How operations are named."""
        return self._parts.names

    @property
    def registry(self) -> TypeRegistry:
        """Types of payloads beyond those the methods declare."""
        return self._parts.registry

    @property
    def limits(self) -> Limits:
        """Its bounds."""
        return self._parts.limits

    # -- starting by hand ----------------------------------------------------------------------------------------

    async def start(
        self,
        method: LroMethod[Req, Any, Any],
        request: Req,
        grpc_context: Any = None,
        *,
        parent: str = "",
        request_id: str = "",
    ) -> operations_pb2.Operation:
        """Starts an operation from a servicer written by hand; when it returns, the operation is stored.

        Args:
            method: A method that has a handler.
            request: The request message.
            grpc_context: The context of the RPC: it is aborted where the operation is not started, and the authorizer gets
                to see it. ``None`` for starts from within the process.
            parent: The operation's parent; empty for what the method's registration says.
            request_id: The caller's id of the request (AIP-155); empty for the ``request_id`` in the request, if it has one.

        Returns:
            What the RPC returns.

        Raises:
            StartError: The operation is not started, and there is no context to abort.
            TypeError: The request is not of the method's type.
            ValueError: The method has no handler.
            RuntimeError: The server is not running, and there is no context to abort.
        """
        return await _by_hand.start(self, method, request, grpc_context, parent=parent, request_id=request_id)

    def start_blocking(
        self,
        method: LroMethod[Req, Any, Any],
        request: Req,
        grpc_context: Any = None,
        *,
        parent: str = "",
        request_id: str = "",
    ) -> operations_pb2.Operation:
        """The same for servicers of a ``grpc.server``, and any other thread but that of the event loop.

        Raises:
            StartError: The operation is not started, and there is no context to abort.
            TypeError: The request is not of the method's type.
            ValueError: The method has no handler.
            RuntimeError: The server is not running, or this is its own thread, and there is no context to abort.
        """
        return _by_hand.start_blocking(self, method, request, grpc_context, parent=parent, request_id=request_id)

    # -- serving -------------------------------------------------------------------------------------------------

    def add_to(self, grpc_server: Any, *, reflection: bool = False, health: bool = False) -> None:
        """Serves the five methods, and those that have handlers, on a gRPC server.

        Last, after handlers were registered, and after servicers that generated code adds for the same service: of two that
        answer one method, gRPC takes the one that was added last (``grpc.aio`` of grpcio 1.66 the first). Servicers that answer
        by calling `start` may come in any order.

        Args:
            grpc_server: A ``grpc.aio.Server`` made with `SERVER_OPTIONS`, or a ``grpc.Server``.
            reflection: Whether to answer ``grpc.reflection.v1alpha`` about these services, for tools that ask: about those
                whose descriptors were imported, and whose methods have handlers by now.
            health: Whether to answer ``grpc.health.v1``: SERVING while this server runs.

        Raises:
            MissingExtraError: What it needs is not installed.
            RuntimeError: This server runs on a thread of its own, and cannot serve on the event loop of a ``grpc.aio.Server``.
            TypeError: It is no gRPC server.
        """
        importlib.import_module("._grpc_edge", __package__)  # it says which extra is missing
        from ._grpc import add_to

        if self._thread is not None and _is_async(grpc_server):
            raise RuntimeError(_TWO_LOOPS)
        add_to(self, grpc_server, reflection=reflection, health=health)
        self._on_async_servers = self._on_async_servers or _is_async(grpc_server)

    @property
    def service(self) -> OperationsService:
        """What transports call; on the event loop of the server.

        Raises:
            Refusal: UNAVAILABLE: the server is not running.
        """
        if self._running is None:
            raise refuse(Code.UNAVAILABLE, "the server of operations is not running (yet, or any more)")
        return self._running.service

    def handler_of(self, path: str) -> Registered | None:
        """What is registered for the method of a path; ``None`` for nothing."""
        return self._methods.get(path)

    def registered(self, path: str) -> Registered | None:
        """The same for transports; ``None`` where its RPC is not served here."""
        found = self._methods.get(path)
        return found if found is not None and found.served else None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop it runs on.

        Raises:
            RuntimeError: It is not running.
        """
        if self._running is None:
            raise RuntimeError("the server of operations is not running: enter it with `async with` (or `with`) first")
        return self._running.loop

    def observe(self, observer: Callable[[bool], object]) -> None:
        """Calls back with whether it runs, now and whenever that changes."""
        self._observers.append(observer)
        observer(self._running is not None)

    # -- running -------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._running is not None or self._starting:
            raise RuntimeError("the server of operations is running already")
        self._starting = True
        try:
            self._running = await Running.begin(self._parts, self._methods, self._filter_schema)
        finally:
            self._starting = False
        self._tell()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        running = self._running
        if running is None:
            return
        self._running = None  # from here on every call is UNAVAILABLE
        self._tell()
        await running.end()

    def _filter_schema(self) -> Schema:
        if self._schema is None:
            self._schema = Schema.of_methods(self.methods.values(), self._parts.registry)
        return self._schema

    def _tell(self) -> None:
        for observer in self._observers:
            observer(self._running is not None)

    # -- running on a thread, for grpc.server --------------------------------------------------------------------

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise RuntimeError("the server of operations is running already")
        if self._on_async_servers:
            raise RuntimeError(_TWO_LOOPS)
        self._thread = LoopThread(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        thread, self._thread = self._thread, None
        failure = None if thread is None else thread.end()
        if failure is not None and error is None:  # otherwise what the block raised matters more
            raise failure

    def __repr__(self) -> str:
        state = "running" if self._running is not None else "not running"
        return f"<OperationsServer {len(self._methods)} method(s), {self._parts.names.template}, {state}>"


def _demand(what: str, value: object, kind: type[Any]) -> None:
    # Protocols by their methods: isinstance() does not see those that a decorator passes on, from Python 3.12 on.
    methods = [name for name in vars(kind) if not name.startswith("_")] if kind in _PROTOCOLS else []
    fits = all(hasattr(value, name) for name in methods) if methods else isinstance(value, kind)
    if not fits or isinstance(value, type):
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise TypeError(f"{what} is {article} {kind.__name__}; got {value!r}")


def _is_async(grpc_server: Any) -> bool:
    import grpc.aio

    return isinstance(grpc_server, grpc.aio.Server)
