# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The async edge: scripts on a ``grpc.aio.Server``. It delivers; what it delivers is decided in `_operations`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, final

from ._operations import OPERATION_RPCS, SERVICE, Answer, ScriptedOperations
from ._server import CHANNEL_OPTIONS, STATUS_CODES, STOP_SECONDS, Methods, finite, resolve, server_options

import grpc  # isort: skip (the module above says what to install where it is missing)
import grpc.aio  # isort: skip

__all__ = ["AsyncScriptedServer"]


@final
class AsyncScriptedServer:
    """A `ScriptedOperations` on a ``grpc.aio`` server. An async context manager; made by `ScriptedOperations.serve_aio`.

    It can be stopped and started again: it keeps its port. Stopping cuts the RPCs under way, as a crash does.
    """

    def __init__(
        self,
        scripted: ScriptedOperations,
        *,
        address: str,
        credentials: grpc.ServerCredentials | None,
        register: Callable[[grpc.aio.Server], object] | None,
        options: Sequence[tuple[str, Any]],
    ) -> None:
        self._scripted = scripted
        self._address = address
        self._credentials = credentials
        self._register = register
        self._options = server_options(options)
        self._running: grpc.aio.Server | None = None
        self._handling: set[asyncio.Task[Any]] = set()

    @property
    def address(self) -> str:
        """Where it listens, such as ``127.0.0.1:40001``; known after the first start, and kept."""
        return self._address

    async def start(self) -> None:
        """Listens; after `stop`, on the same port again.

        Raises:
            RuntimeError: It is running, or the port is taken.
        """
        if self._running is not None:
            raise RuntimeError("the server is running")
        server = grpc.aio.server(options=self._options)
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
        await server.start()
        self._running = server

    async def stop(self, grace: float | None = None) -> None:
        """Stops; harmless when it is stopped.

        Args:
            grace: Seconds that RPCs under way get to end; without, they are cut at once.

        Raises:
            TimeoutError: A handler goes on and on.
        """
        server, self._running = self._running, None
        if server is None:
            return
        await server.stop(grace)
        # It does not wait for the handlers of the RPCs it cut. They are on their way out; were they left to the end of
        # the loop, grpc would log them as errors.
        if self._handling:
            _, stuck = await asyncio.wait(self._handling, timeout=STOP_SECONDS)
            await asyncio.sleep(0)  # for grpc's own tasks around them
            if stuck:
                raise TimeoutError(f"the server at {self._address} did not stop within {STOP_SECONDS} s")

    def channel(
        self,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        options: Sequence[tuple[str, Any]] = (),
        interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
    ) -> grpc.aio.Channel:
        """A new channel to it, for the caller to close: independent of others, quick to connect again.

        Args:
            credentials: Such as ``grpc.ssl_channel_credentials(…)``; without, it is plain text.
            options: gRPC channel options.
            interceptors: Client interceptors; to a ``grpc.Channel`` they are added by ``grpc.intercept_channel``.
        """
        options, found = [*CHANNEL_OPTIONS, *options], list(interceptors)
        if credentials is None:
            return grpc.aio.insecure_channel(self._address, options, interceptors=found)
        return grpc.aio.secure_channel(self._address, credentials, options, interceptors=found)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    def __repr__(self) -> str:
        return f"<AsyncScriptedServer {self._address}, {'running' if self._running else 'stopped'}>"

    def _handler(self, path: str) -> grpc.RpcMethodHandler[Any, Any]:
        # Bytes in, bytes out: no serializers.
        async def handle(data: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            return await self._handle(path, data, context)

        return grpc.unary_unary_rpc_method_handler(handle)

    async def _handle(self, path: str, data: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        task = asyncio.current_task()
        if task is not None:
            self._handling.add(task)
            task.add_done_callback(self._handling.discard)
        woken = asyncio.Event()
        loop = asyncio.get_running_loop()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop was closed under a server that was never stopped
                loop.call_soon_threadsafe(woken.set)

        exchange = self._scripted.begin(
            path,
            data,
            metadata=[(key, value) for key, value in context.invocation_metadata() or ()],
            deadline=finite(context.time_remaining()),
            wake=wake,
        )
        try:
            while True:
                woken.clear()
                action = self._scripted.advance(exchange)
                if isinstance(action, Answer):
                    break
                with suppress(TimeoutError):
                    async with asyncio.timeout(action.seconds):
                        await woken.wait()
        finally:
            self._scripted.abandon(exchange)
        if action.code:
            await context.abort(STATUS_CODES[action.code], action.message, action.trailers)
        return action.data
