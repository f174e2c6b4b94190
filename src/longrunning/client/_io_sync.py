# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The few things that differ between async and sync, sync side. `_io_async` is its twin, also by hand."""

from __future__ import annotations

import inspect
import os
import random
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar

from .._types import OperationTypes
from ..method import LroMethod
from ..operation import Operation
from ._transport import CallOptions, ListQuery, Page, RpcFailure

__all__ = [
    "INTERRUPTS", "Clock", "Flight", "Guard", "ProgressCallback", "SystemClock", "Transport", "call_back", "is_transport", "send_shielded",
]  # fmt: skip

T = TypeVar("T")

INTERRUPTS: Final = (KeyboardInterrupt,)
"""What interrupts a wait from outside."""

ProgressCallback = Callable[[T], object]
"""Called with each snapshot."""


class Clock(Protocol):
    """Time and chance, as an argument: replaced by a fake clock in tests."""

    def now(self) -> float:
        """Monotonic seconds."""
        ...

    def sleep(self, seconds: float) -> None:
        """Returns after that many seconds."""
        ...

    def random(self) -> float:
        """A number from 0 up to, not including, 1."""
        ...


class SystemClock:
    """The real ones."""

    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Returns after that many seconds."""
        time.sleep(seconds)

    def random(self) -> float:
        """A number from 0 up to, not including, 1."""
        return random.random()  # noqa: S311 (jitter, not cryptography)


class Transport(Protocol):
    """The way to a server: one method per RPC. Each raises `RpcFailure`, and nothing else, when its RPC fails."""

    def start(
        self, method: LroMethod[Any, Any, Any], request: Any, types: OperationTypes, options: CallOptions
    ) -> Operation[Any, Any]:
        """Calls the method that starts an operation."""
        ...

    def get_operation(self, name: str, types: OperationTypes, options: CallOptions) -> Operation[Any, Any]:
        """GetOperation."""
        ...

    def list_operations(
        self, query: ListQuery, types: OperationTypes, options: CallOptions
    ) -> Page[Operation[Any, Any]]:
        """ListOperations, one page."""
        ...

    def cancel_operation(self, name: str, types: OperationTypes, options: CallOptions) -> None:
        """CancelOperation."""
        ...

    def delete_operation(self, name: str, types: OperationTypes, options: CallOptions) -> None:
        """DeleteOperation."""
        ...

    def wait_operation(
        self, name: str, timeout: float | None, types: OperationTypes, options: CallOptions
    ) -> Operation[Any, Any]:
        """WaitOperation; `timeout` is the server's, seconds."""
        ...

    def close(self) -> None:
        """Closes what this transport opened itself."""
        ...


class Flight:
    """A poll under way that several waiters share."""

    def __init__(self, rpc_timeout: float) -> None:
        self.rpc_timeout = rpc_timeout
        self.failure: RpcFailure | None = None
        self.abandoned = False
        self._landed = threading.Event()

    def land(self) -> None:
        """Wakes all that share it. It is over: `failure` or `abandoned` say how, if badly."""
        self._landed.set()

    def wait(self, seconds: float) -> bool:
        """Waits for the end of the poll, at most that long; whether it came."""
        return self._landed.wait(seconds)


class Guard:
    """Notices a client that was carried where its connections cannot follow: over a fork (PKG-3)."""

    def __init__(self) -> None:
        self._pid = os.getpid()

    def check(self) -> None:
        """Called before every RPC.

        Raises:
            RuntimeError: The process was forked since the client was made.
        """
        if os.getpid() != self._pid:
            raise RuntimeError(
                "this client was made before the process forked, and its connections belong to the parent: "
                "make channel and client after the fork"
            )


def call_back(callback: ProgressCallback[T], argument: T) -> None:
    """Calls a callback.

    Raises:
        TypeError: It is a coroutine function, which nobody here can await.
    """
    result = callback(argument)
    if inspect.iscoroutine(result):
        result.close()
        raise TypeError("on_progress is a coroutine function: the sync client calls plain ones")


def send_shielded(send: Callable[[], None]) -> None:
    """Sends something on the way out; its failure is nobody's business any more."""
    try:  # noqa: SIM105
        send()
    except Exception:  # noqa: BLE001, S110 (the caller's own exception goes on)
        pass


def is_transport(candidate: object) -> bool:
    """Whether it has all the methods of a `Transport`, in this colour."""
    methods = [getattr(candidate, name, None) for name in vars(Transport) if not name.startswith("_")]
    return all(callable(method) and not inspect.iscoroutinefunction(method) for method in methods)


def grpc_transport(channel: object) -> Transport:
    """The transport of a ``grpc.Channel``.

    Raises:
        MissingExtraError: grpc is not installed.
        TypeError: It is no such channel.
    """
    if isinstance(channel, str):
        raise TypeError(
            "OperationsClient needs a grpc.Channel, not an address; OperationsClient.from_url(…) takes a URL"
        )
    from ._grpc_errors import require_grpc

    require_grpc()
    import grpc
    import grpc.aio

    from ._grpc_sync import GrpcTransport

    if isinstance(channel, grpc.aio.Channel):
        raise TypeError("OperationsClient needs a grpc.Channel; for a grpc.aio.Channel use AsyncOperationsClient")
    if not isinstance(channel, grpc.Channel):
        raise TypeError(f"OperationsClient needs a grpc.Channel or a transport, got {type(channel).__name__}")
    return GrpcTransport(channel)
