# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""`Holding`: one operation that this process is working on."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import Any, final

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
        interrupt: Why the handler's task was cancelled; ``None`` while it was not.
        task: What runs the handler, where that can be cancelled.
    """

    __slots__ = ("_grace", "cancel_requested", "interrupt", "lease", "lost", "metadata", "task")

    lease: Lease
    metadata: bytes | None
    task: asyncio.Future[Any] | None
    interrupt: Interrupt | None

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.cancel_requested = False
        self.lost = False
        self.metadata = lease.metadata
        self.interrupt = None
        self.task = None
        self._grace: asyncio.TimerHandle | None = None

    def request_cancel(self, grace: float) -> None:
        """Somebody wants it cancelled: the handler can see it at once, and is interrupted after the grace period."""
        if self.cancel_requested:
            return
        self.cancel_requested = True
        if self.task is not None and not self.task.done():
            self._grace = asyncio.get_running_loop().call_later(grace, self.stop, Interrupt.CANCEL)

    def lose(self) -> None:
        """The lease is somebody else's."""
        self.lost = True
        self.stop(Interrupt.LOST)

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
