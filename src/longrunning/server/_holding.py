# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""`Holding`: one operation that this process is working on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from enum import Enum
from typing import Any, final

from ..errors import StoreUnavailableError
from .storage import Lease

__all__ = ["Holding", "Interrupt"]


class Interrupt(Enum):
    """Why a handler's task was cancelled."""

    CANCEL = "the request to cancel was not followed in time"
    LOST = "the lease is lost"
    SHUTDOWN = "the server is shutting down"


@final
class Holding:
    """A lease, and what this process knows about it. Changed on the event loop only; read by handlers in threads, too.

    Attributes:
        lease: As it was given.
        cancel_requested: Whether somebody wants the operation cancelled.
        lost: Whether the lease is known to be lost, or given back.
        metadata: The metadata as last written.
        last_metadata: What is to be published along with the outcome; ``None`` for leaving what was written.
        interrupt: Why the handler's task was cancelled; ``None`` while it was not.
        unwritten: What the store last failed to write with; ``None`` while it did not.
        task: What runs the handler, where that can be cancelled.
    """

    __slots__ = (
        "_grace",
        "_listeners",
        "cancel_requested",
        "interrupt",
        "last_metadata",
        "lease",
        "lost",
        "metadata",
        "task",
        "unwritten",
    )

    lease: Lease
    cancel_requested: bool
    lost: bool
    metadata: bytes | None
    last_metadata: bytes | None
    task: asyncio.Future[Any] | None
    interrupt: Interrupt | None
    unwritten: StoreUnavailableError | None

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.cancel_requested = False
        self.lost = False
        self.metadata = lease.metadata
        self.last_metadata = None
        self._listeners: list[Callable[[], object]] = []
        self.interrupt = None
        self.task = None
        self.unwritten = None
        self._grace: asyncio.TimerHandle | None = None

    def request_cancel(self, grace: float) -> None:
        """Somebody wants it cancelled: the handler can see it at once, and is interrupted after the grace period."""
        if self.cancel_requested:
            return
        self.cancel_requested = True
        self._tell()
        if self.task is not None and not self.task.done():
            self._grace = asyncio.get_running_loop().call_later(grace, self.stop, Interrupt.CANCEL)

    def lose(self) -> None:
        """The lease is somebody else's."""
        self.lost = True
        self._tell()
        self.stop(Interrupt.LOST)

    @contextmanager
    def listening(self, listener: Callable[[], object]) -> Generator[None, None, None]:
        """Inside, the listener is called, on the event loop, when a cancel is requested or the lease is lost.

        It is not called for what happened before: whoever listens looks first.
        """
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            listener()

    def stop(self, why: Interrupt) -> None:
        """Interrupts the handler, where it can be interrupted: a thread cannot."""
        if self.task is not None and not self.task.done() and self.interrupt is None:
            self.interrupt = why
            self.task.cancel()

    def ended(self) -> None:
        """The handler is over."""
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None
        self.task = None
