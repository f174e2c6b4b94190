# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The sync edge: scripts on a ``grpc.Server``. It delivers; what it delivers is decided in `_operations`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Final, Self, final

from ..errors import MissingExtraError
from ._operations import OPERATION_RPCS, SERVICE, Answer, ScriptedOperations

try:
    import grpc
except ImportError as error:
    raise MissingExtraError("grpc", "a scripted gRPC server") from error

__all__ = [
    "CHANNEL_OPTIONS",
    "STATUS_CODES",
    "STOP_SECONDS",
    "Methods",
    "ScriptedServer",
    "finite",
    "resolve",
    "server_options",
]

STATUS_CODES: Final[dict[int, grpc.StatusCode]] = {code.value[0]: code for code in grpc.StatusCode}
CHANNEL_OPTIONS: Final[tuple[tuple[str, Any], ...]] = (
    ("grpc.use_local_subchannel_pool", 1),  # no connection in common with another test
    ("grpc.enable_http_proxy", 0),  # a proxy of the environment does not know our loopback
    ("grpc.initial_reconnect_backoff_ms", 50),  # a server that is started again is found soon
    ("grpc.min_reconnect_backoff_ms", 5_000),  # which is how long a connection may take
    ("grpc.max_reconnect_backoff_ms", 200),
)
_SERVER_OPTIONS: Final[tuple[tuple[str, Any], ...]] = (
    ("grpc.so_reuseport", 0),  # two servers never share a port
    # Without these, gRPC turns away some of a few thousand RPCs that come in at once, as CANCELLED.
    ("grpc.server.max_pending_requests", 100_000),
    ("grpc.server.max_pending_requests_hard_limit", 100_000),
)
STOP_SECONDS: Final = 5.0  # far longer than stopping takes, far shorter than anybody's patience
_YEARS: Final = 1e8  # a server is told of "no deadline" as one in the far future


def finite(deadline: float | None) -> float | None:
    """The seconds an RPC has; ``None`` where it has no deadline."""
    return None if deadline is None or deadline > _YEARS else deadline


def server_options(options: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """The caller's options, after ours."""
    return [*_SERVER_OPTIONS, *options]


def resolve(address: str, port: int) -> str:
    """The address, with the port that was bound.

    Raises:
        RuntimeError: None was.
    """
    if not port:
        raise RuntimeError(f"cannot listen on {address}")
    return f"{address.rpartition(':')[0]}:{port}"


@final
class Methods(grpc.GenericRpcHandler):
    """Finds the methods that start operations; there may be new ones at any time."""

    def __init__(self, scripted: ScriptedOperations, handler: Callable[[str], grpc.RpcMethodHandler[Any, Any]]) -> None:
        self._scripted = scripted
        self._handler = handler

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The handler of a path, or none."""
        path = handler_call_details.method
        return self._handler(path) if self._scripted.serves(path) else None


@final
class ScriptedServer:
    """A `ScriptedOperations` on a gRPC server with threads. A context manager; made by `ScriptedOperations.serve`.

    It can be stopped and started again: it keeps its port. Stopping cuts the RPCs under way, as a crash does.
    """

    def __init__(
        self,
        scripted: ScriptedOperations,
        *,
        address: str,
        credentials: grpc.ServerCredentials | None,
        register: Callable[[grpc.Server], object] | None,
        options: Sequence[tuple[str, Any]],
        workers: int,
    ) -> None:
        self._scripted = scripted
        self._address = address
        self._credentials = credentials
        self._register = register
        self._options = server_options(options)
        self._workers = workers
        self._running: tuple[grpc.Server, ThreadPoolExecutor] | None = None

    @property
    def address(self) -> str:
        """Where it listens, such as ``127.0.0.1:40001``; known after the first start, and kept."""
        return self._address

    def start(self) -> None:
        """Listens; after `stop`, on the same port again.

        Raises:
            RuntimeError: It is running, or the port is taken.
        """
        if self._running is not None:
            raise RuntimeError("the server is running")
        executor = ThreadPoolExecutor(self._workers, thread_name_prefix="longrunning-scripted")
        server = grpc.server(executor, options=self._options)
        server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(
                    SERVICE, {rpc: self._handler(f"/{SERVICE}/{rpc}") for rpc in OPERATION_RPCS}
                ),
                Methods(self._scripted, self._handler),
            )
        )
        if self._register is not None:
            self._register(server)
        if self._credentials is None:
            port = server.add_insecure_port(self._address)
        else:
            port = server.add_secure_port(self._address, self._credentials)
        self._address = resolve(self._address, port)
        server.start()
        self._running = server, executor

    def stop(self, grace: float | None = None) -> None:
        """Stops; harmless when it is stopped.

        Args:
            grace: Seconds that RPCs under way get to end; without, they are cut at once.

        Raises:
            TimeoutError: A handler goes on and on.
        """
        if self._running is None:
            return
        (server, executor), self._running = self._running, None
        stopped = server.stop(grace).wait((grace or 0.0) + STOP_SECONDS)
        # The handlers of cut RPCs are on their way out; an executor cannot be waited for with a timeout, a thread can.
        ending = threading.Thread(target=executor.shutdown, name="longrunning-scripted-stop", daemon=True)
        ending.start()
        ending.join(STOP_SECONDS)
        if ending.is_alive() or not stopped:
            raise TimeoutError(f"the server at {self._address} did not stop within {STOP_SECONDS} s")

    def channel(
        self, *, credentials: grpc.ChannelCredentials | None = None, options: Sequence[tuple[str, Any]] = ()
    ) -> grpc.Channel:
        """A new channel to it, for the caller to close: independent of others, quick to connect again.

        Args:
            credentials: Such as ``grpc.ssl_channel_credentials(…)``; without, it is plain text.
            options: gRPC channel options.
        """
        options = [*CHANNEL_OPTIONS, *options]
        if credentials is None:
            return grpc.insecure_channel(self._address, options)
        return grpc.secure_channel(self._address, credentials, options)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<ScriptedServer {self._address}, {'running' if self._running else 'stopped'}>"

    def _handler(self, path: str) -> grpc.RpcMethodHandler[Any, Any]:
        # Bytes in, bytes out: no serializers.
        def handle(data: bytes, context: grpc.ServicerContext) -> bytes:
            return self._handle(path, data, context)

        return grpc.unary_unary_rpc_method_handler(handle)

    def _handle(self, path: str, data: bytes, context: grpc.ServicerContext) -> bytes:
        wake = threading.Event()
        exchange = self._scripted.begin(
            path,
            data,
            metadata=[(key, value) for key, value in context.invocation_metadata()],
            deadline=finite(context.time_remaining()),
            wake=wake.set,
        )

        def abandon() -> None:
            self._scripted.abandon(exchange)

        if not context.add_callback(abandon):  # called at the end of the RPC, whoever ends it
            abandon()
        while True:
            wake.clear()
            action = self._scripted.advance(exchange)
            if isinstance(action, Answer):
                break
            wake.wait(action.seconds)
        if action.code:
            context.set_trailing_metadata(action.trailers)
            context.abort(STATUS_CODES[action.code], action.message)
        return action.data
