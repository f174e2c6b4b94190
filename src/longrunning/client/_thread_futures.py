# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Polls under way at once over a sync transport that can only block: each takes a thread, of a bounded number."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING, final

from .._polling import LongPoll, Poll

if TYPE_CHECKING:
    from .._types import OperationTypes
    from ._grpc_futures import Landed
    from ._io_sync import Transport
    from ._transport import CallOptions

__all__ = ["ThreadFutures"]


@final
class ThreadFutures:
    """`PollFutures` of a transport that has none of its own.

    Not a ``ThreadPoolExecutor``: the interpreter joins its threads when it ends, so that whoever pressed Ctrl-C would wait for
    polls that nobody wants any more. These are daemons. A thread is started where none is idle; one `send` at a time.
    """

    def __init__(self, transport: Transport, most: int) -> None:
        """Starts nothing.

        Args:
            transport: What polls.
            most: Threads, and polls under way at once.
        """
        self._transport = transport
        self._most = most
        self._started = 0
        self._idle = threading.Semaphore(0)
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._closed = False

    def send(
        self, step: Poll | LongPoll, name: str, types: OperationTypes, options: CallOptions, landed: Landed
    ) -> Callable[[], object]:
        """Sends one; returns what cancels it, if it is not yet under way."""
        cancelled = threading.Event()

        def work() -> None:
            if cancelled.is_set() or self._closed:
                return
            try:
                if isinstance(step, LongPoll):
                    reply = self._transport.wait_operation(name, step.server_timeout, types, options)
                else:
                    reply = self._transport.get_operation(name, types, options)
            except BaseException as error:  # noqa: BLE001 (raised where it can be seen)
                landed(error)
            else:
                landed(reply)

        self._work.put(work)
        if not self._idle.acquire(blocking=False) and self._started < self._most:
            threading.Thread(target=self._run, name=f"longrunning-poll_{self._started}", daemon=True).start()
            self._started += 1
        return cancelled.set

    def close(self) -> None:
        """Lets what is under way end by itself, and its thread with it."""
        self._closed = True
        for _ in range(self._started):
            self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()
            del work  # and what it landed
            self._idle.release()
