# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The few things that differ between async and sync, async side. `_io_sync` is its twin, also by hand.

Everything else of the client is written once, async, and translated.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeVar

from .._types import OperationTypes
from ..method import LroMethod
from ..operation import Operation
from ..page import Page
from ._transport import CallOptions, ListQuery, RpcFailure

__all__ = [
    "INTERRUPTS", "AsyncClock", "AsyncFlight", "AsyncGuard", "AsyncProgressCallback", "AsyncSystemClock", "AsyncTransport",
    "call_back", "is_transport", "send_shielded",
]  # fmt: skip

T = TypeVar("T")

INTERRUPTS: Final = (asyncio.CancelledError, KeyboardInterrupt)
"""What interrupts a wait from outside."""

AsyncProgressCallback = Callable[[T], Awaitable[object] | object]
"""Called with each snapshot; it may be a coroutine function, and is awaited then."""


class AsyncClock(Protocol):
    """Time and chance, as an argument: replaced by a fake clock in tests."""

    def now(self) -> float:
        """Monotonic seconds."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Returns after that many seconds."""
        ...

    def random(self) -> float:
        """A number from 0 up to, not including, 1."""
        ...


class AsyncSystemClock:
    """The real ones."""

    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Returns after that many seconds."""
        await asyncio.sleep(seconds)

    def random(self) -> float:
        """A number from 0 up to, not including, 1."""
        return random.random()  # noqa: S311 (jitter, not cryptography)


class AsyncTransport(Protocol):
    """The way to a server: one method per RPC. Each raises `RpcFailure`, and nothing else, when its RPC fails."""

    async def start(
        self, method: LroMethod[Any, Any, Any], request: Any, types: OperationTypes, options: CallOptions
    ) -> Operation[Any, Any]:
        """Calls the method that starts an operation."""
        ...

    async def get_operation(self, name: str, types: OperationTypes, options: CallOptions) -> Operation[Any, Any]:
        """GetOperation."""
        ...

    async def list_operations(
        self, query: ListQuery, types: OperationTypes, options: CallOptions
    ) -> Page[Operation[Any, Any]]:
        """ListOperations, one page."""
        ...

    async def cancel_operation(self, name: str, types: OperationTypes, options: CallOptions) -> None:
        """CancelOperation."""
        ...

    async def delete_operation(self, name: str, types: OperationTypes, options: CallOptions) -> None:
        """DeleteOperation."""
        ...

    async def wait_operation(
        self, name: str, timeout: float | None, types: OperationTypes, options: CallOptions
    ) -> Operation[Any, Any]:
        """WaitOperation; `timeout` is the server's, seconds."""
        ...

    async def close(self) -> None:
        """Closes what this transport opened itself."""
        ...


class AsyncFlight:
    """A poll under way that several waiters share."""

    def __init__(self, rpc_timeout: float) -> None:
        self.rpc_timeout = rpc_timeout
        self.failure: RpcFailure | None = None
        self.abandoned = False
        self._landed = asyncio.Event()

    def land(self) -> None:
        """Wakes all that share it. It is over: `failure` or `abandoned` say how, if badly."""
        self._landed.set()

    async def wait(self, seconds: float) -> bool:
        """Waits for the end of the poll, at most that long; whether it came."""
        try:
            async with asyncio.timeout(seconds):
                await self._landed.wait()
        except TimeoutError:
            return False
        return True


class AsyncGuard:
    """Notices a client that was carried where its connections cannot follow: over a fork or to another loop (PKG-3)."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None

    def check(self) -> None:
        """Called before every RPC.

        Raises:
            RuntimeError: The process was forked, or another event loop runs, since the client was made.
        """
        if os.getpid() != self._pid:
            raise RuntimeError(
                "this client was made before the process forked, and its connections belong to the parent: "
                "make channel and client after the fork"
            )
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise RuntimeError(
                "this client was used in another event loop, and its connections belong to that one: "
                "make channel and client inside each asyncio.run()"
            )


async def call_back(callback: AsyncProgressCallback[T], argument: T) -> None:
    """Calls a callback, and awaits it where it is a coroutine function."""
    result = callback(argument)
    if inspect.isawaitable(result):
        await result


async def send_shielded(send: Callable[[], Awaitable[None]]) -> None:
    """Sends something even though this task is being cancelled; its failure is nobody's business any more."""

    async def quietly() -> None:
        try:  # noqa: SIM105
            await send()
        except Exception:  # noqa: BLE001, S110 (a request sent on the way out; the caller's own exception goes on)
            pass

    await asyncio.shield(asyncio.ensure_future(quietly()))


def is_transport(candidate: object) -> bool:
    """Whether it has all the methods of a `AsyncTransport`, in this colour."""
    methods = [getattr(candidate, name, None) for name in vars(AsyncTransport) if not name.startswith("_")]
    return all(inspect.iscoroutinefunction(method) for method in methods)


def grpc_transport(channel: object) -> AsyncTransport:
    """The transport of a ``grpc.aio.Channel``.

    Raises:
        MissingExtraError: grpc is not installed.
        TypeError: It is no such channel.
    """
    if isinstance(channel, str):
        raise TypeError(
            "AsyncOperationsClient needs a grpc.aio.Channel, not an address; AsyncOperationsClient.from_url(…) takes a URL"
        )
    from ._grpc_errors import require_grpc

    require_grpc()
    import grpc
    import grpc.aio

    from ._grpc_async import AsyncGrpcTransport

    if isinstance(channel, grpc.Channel):
        raise TypeError("AsyncOperationsClient needs a grpc.aio.Channel; for a grpc.Channel use OperationsClient")
    if not isinstance(channel, grpc.aio.Channel):
        raise TypeError(f"AsyncOperationsClient needs a grpc.aio.Channel or a transport, got {type(channel).__name__}")
    return AsyncGrpcTransport(channel)
