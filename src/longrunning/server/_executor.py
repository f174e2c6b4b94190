# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""`Executor`: what brings names of operations to where they are run; `LocalExecutor` runs them in this process.

An executor dispatches names and nothing else. It may lose one, or bring it twice, or to two processes at once: the store
decides who works on what, and the reconciler brings up again what nobody works on.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol, final, runtime_checkable

from ..errors import StoreUnavailableError
from ..status import Code
from ._refusal import refuse
from ._worker import RunResult
from .storage import Lease

__all__ = ["Executor", "LocalExecutor", "Place", "Runner"]

_log: Final = logging.getLogger("longrunning.server")

_STOP_SECONDS: Final = 2.0  # what a handler that was cancelled gets to end


class Runner(Protocol):
    """What an executor calls: the worker of its server."""

    async def run(self, name: str) -> RunResult:
        """Claims an operation, if it is to be had, and works on it to the end of the attempt.

        Raises:
            StoreUnavailableError: It could not be claimed now.
        """
        ...

    async def work(self, lease: Lease) -> RunResult:
        """Works on an operation that was claimed when it was stored."""
        ...


class Place(Protocol):
    """A place in the executor's queue for an operation about to be stored."""

    @property
    def here(self) -> bool:
        """Whether it will be run here and at once, so that it is claimed in the same step that stores it."""
        ...

    def give_up(self) -> None:
        """Nothing was stored."""
        ...

    async def submit(self, name: str, method: str, lease: Lease | None) -> None:
        """It was stored: dispatch it.

        Args:
            name: The operation.
            method: Path of the RPC that started it.
            lease: The lease it was stored with, where `here` asked for one.
        """
        ...


@runtime_checkable
class Executor(Protocol):
    """Brings operations to workers."""

    async def open(self, runner: Runner) -> None:
        """Begins; called on the event loop that everything runs on."""
        ...

    async def close(self) -> None:
        """Ends; handlers have ended, or were interrupted, before."""
        ...

    def reserve(self) -> Place:
        """A place for an operation about to be stored; called before, so that nothing is stored that cannot be queued.

        Raises:
            OperationError: There is none; RESOURCE_EXHAUSTED is what callers are to be told.
        """
        ...

    @property
    def room(self) -> int:
        """How many operations the reconciler may bring up again now."""
        ...

    async def submit(self, name: str, method: str) -> None:
        """Dispatches an operation that the reconciler found."""
        ...


@final
class LocalExecutor:
    """Runs operations in this process.

    Up to `concurrency` at once, in the order in which they came. Beyond `queue` more, starting is RESOURCE_EXHAUSTED (RUN-5).
    """

    def __init__(self, *, concurrency: int = 100, queue: int = 10_000) -> None:
        """Takes the bounds.

        Args:
            concurrency: How many handlers run at once: those of ordinary functions take a thread each.
            queue: How many operations wait for their turn.

        Raises:
            ValueError: A bound makes no sense.
        """
        if concurrency < 1 or queue < 0:
            raise ValueError(
                f"an executor needs a concurrency of 1 or more, got {concurrency}, and a queue, got {queue}"
            )
        self._concurrency = concurrency
        self._queue = queue
        self._runner: Runner | None = None
        self._pending: deque[str] = deque()
        self._queued: set[str] = set()
        self._running: set[asyncio.Task[None]] = set()
        self._reserved = 0
        self._promised = 0  # of the reserved, those to begin at once

    async def open(self, runner: Runner) -> None:
        """Begins."""
        self._runner = runner

    async def close(self) -> None:
        """Forgets what waits: the store knows it."""
        self._runner = None
        self._pending.clear()
        self._queued.clear()
        for task in self._running:
            task.cancel()
        if self._running:
            _, deaf = await asyncio.wait(self._running, timeout=_STOP_SECONDS)
            for task in deaf:
                _log.error("%s goes on although it was cancelled, and is left behind", task.get_name())

    def reserve(self) -> Place:
        """A place for an operation about to be stored.

        Raises:
            Refusal: RESOURCE_EXHAUSTED: the queue is full. UNAVAILABLE: it is closed.
        """
        if self._runner is None:
            raise refuse(Code.UNAVAILABLE, "the server of operations is shutting down")
        taken = len(self._running) + len(self._pending) + self._reserved
        if taken >= self._concurrency + self._queue:
            raise refuse(Code.RESOURCE_EXHAUSTED, f"{taken} operations are running or queued; try again later")
        here = taken < self._concurrency
        self._reserved += 1
        self._promised += here
        return _LocalPlace(self, here=here)

    @property
    def room(self) -> int:
        """How many it can begin now, and a few that wait for their turn: the rest is better off with other processes."""
        free = self._concurrency - len(self._running) - len(self._pending) - self._reserved
        return max(0, free)

    async def submit(self, name: str, method: str) -> None:  # noqa: ARG002
        """Queues an operation, unless it waits here already."""
        self.enqueue(name)

    def leave(self, *, here: bool) -> None:
        """Takes a reservation back."""
        self._reserved -= 1
        self._promised -= here
        self._fill()

    def enqueue(self, name: str) -> None:
        """Queues an operation, unless it waits here already."""
        if name not in self._queued:
            self._queued.add(name)
            self._pending.append(name)
            self._fill()

    def begin(self, lease: Lease) -> None:
        """Begins with what was stored for a place here: nobody else may have it, so it must not wait."""
        self._reserved -= 1
        self._promised -= 1
        self._start(lease.name, lease)

    def _fill(self) -> None:
        while self._pending and len(self._running) + self._promised < self._concurrency and self._runner is not None:
            name = self._pending.popleft()
            self._queued.discard(name)
            self._start(name, None)

    def _start(self, name: str, lease: Lease | None) -> None:
        if self._runner is not None:
            # In a context of its own: that of whoever happened to call is none of the handler's business.
            task = asyncio.get_running_loop().create_task(
                _run(self._runner, name, lease), name=f"longrunning-run {name}", context=contextvars.Context()
            )
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._fill()

    def __repr__(self) -> str:
        return f"<LocalExecutor {len(self._running)} running, {len(self._pending)} queued>"


@final
class _LocalPlace:
    __slots__ = ("_executor", "_here", "_open")

    def __init__(self, executor: LocalExecutor, *, here: bool) -> None:
        self._executor = executor
        self._here = here
        self._open = True

    @property
    def here(self) -> bool:
        return self._here

    def give_up(self) -> None:
        if self._open:
            self._open = False
            self._executor.leave(here=self._here)

    async def submit(self, name: str, method: str, lease: Lease | None) -> None:  # noqa: ARG002
        if lease is not None and self._open:
            self._open = False
            self._executor.begin(lease)
        else:
            self.give_up()
            self._executor.enqueue(name)


async def _run(runner: Runner, name: str, lease: Lease | None) -> None:
    running: Callable[[], Coroutine[Any, Any, RunResult]]
    running = (lambda: runner.run(name)) if lease is None else (lambda: runner.work(lease))
    try:
        await running()
    except StoreUnavailableError as error:
        _log.warning("cannot claim %s, it will be brought up again: %s", name, error, extra={"operation": name})
    except Exception:  # noqa: BLE001 (logged in full; nobody awaits this task)
        _log.exception("running %s failed, it will be brought up again", name, extra={"operation": name})
