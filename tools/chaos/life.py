# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""One life of the server: handlers, and serving until it is killed, or asked to end."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import grpc.aio

from longrunning import Code, OperationError, Status, TypeRegistry
from longrunning.server import (
    SERVER_OPTIONS,
    AllowAll,
    AsyncOperationContext,
    Limits,
    OperationContext,
    OperationsServer,
    SqliteStore,
)
from longrunning.server.filtering import Schema, parse

from .killing import KillingStore, Reaper, tell
from .points import Plan, Point
from .wire import METHODS, SideLog, Trace, WorkMetadata, WorkResponse

__all__ = ["DATABASE", "LONGEST", "TRACES", "live", "warm"]

DATABASE: Final = "operations.db"
TRACES: Final = "handlers.jsonl"
LONGEST: Final = 30.0  # seconds: a life that does not come to its point ends nevertheless

_LIMITS: Final = Limits(lease_ttl=0.5, reconcile_interval=0.05, max_attempts=1_000_000)
_PAUSE: Final = 0.003  # seconds between two steps of a handler, at most
_PARKED: Final = 60.0  # the same in lives that are about leases


class Attempt:
    """One run of a handler: so many steps, each of which ends with a checkpoint."""

    def __init__(self, reaper: Reaper, log: SideLog, request: Any, context: Any) -> None:
        self._reaper = reaper
        self._log = log
        self._request = request
        self._context = context

    def trace(self, what: str, step: int = 0) -> None:
        """Writes a line into the log beside the store."""
        context = self._context
        self._log.write(
            Trace(
                what=what,
                life=self._reaper.plan.number,
                operation=context.name,
                request_id=self._request.request_id,
                attempt=context.attempt,
                fence=context.fencing_token,
                step=step,
            )
        )

    def begin(self) -> Iterator[tuple[int, Any]]:
        """The steps to take, from where the attempt before this one came to, and the metadata of each."""
        first = int(self._context.checkpoint or b"0")
        self.trace("begun", first)
        self._reaper.reach(Point.HANDLER_BEGUN)
        for step in range(first + 1, self._request.steps + 1):
            self.trace("writing", step)
            yield step, WorkMetadata(request_id=self._request.request_id, steps=step)

    def saved(self, step: int) -> float:
        """The checkpoint of a step is written; the seconds until the next step.

        Raises:
            OperationCancelledError: A cancel was requested.
        """
        self.trace("written", step)
        self._reaper.reach(Point.HANDLER_SAVED)
        if self._context.cancel_requested:
            self.trace("stopping")
        self._context.raise_if_cancelled()
        parked = self._reaper.plan.point in {Point.RENEWED, Point.LATE_WRITTEN}
        return _PARKED if parked else self._reaper.chance.uniform(0, _PAUSE)

    def end(self) -> Any:
        """The response, or the failure that the request asked for."""
        fence, request = self._context.fencing_token, self._request
        self._context.end_with(WorkMetadata(request_id=request.request_id, steps=request.steps, ended_by=fence))
        if request.fails:
            self.trace("failing")
            raise OperationError(Status(Code.FAILED_PRECONDITION, str(fence)))
        self.trace("returning")
        return WorkResponse(request_id=request.request_id, fence=fence, steps=request.steps)


def server_of(plan: Plan, folder: Path) -> OperationsServer:
    """The server of a life."""
    reaper, log = Reaper(plan), SideLog(folder / TRACES)

    def late(name: str, fence: int, what: str) -> None:
        log.write(Trace(what=what, life=plan.number, operation=name, request_id="", attempt=0, fence=fence))

    store: Any = KillingStore(SqliteStore(folder / DATABASE), reaper, late)
    server = OperationsServer(store=store, authorizer=AllowAll(), limits=_LIMITS)

    def validate(_: Any, grpc_context: Any) -> None:
        def replied(_: Any) -> None:
            reaper.reach(Point.START_REPLIED)

        grpc_context.add_done_callback(replied)

    def metadata(request: Any) -> Any:
        return WorkMetadata(request_id=request.request_id)

    @server.method(METHODS[False], validate=validate, metadata=metadata)
    async def work(request: Any, context: AsyncOperationContext[Any]) -> Any:
        attempt = Attempt(reaper, log, request, context)
        for step, progress in attempt.begin():
            await context.update(progress, str(step).encode())
            await asyncio.sleep(attempt.saved(step))
        return attempt.end()

    @server.method(METHODS[True], validate=validate, metadata=metadata)
    def work_in_thread(request: Any, context: OperationContext[Any]) -> Any:
        attempt = Attempt(reaper, log, request, context)
        for step, progress in attempt.begin():
            context.update(progress, str(step).encode())
            time.sleep(attempt.saved(step))
        return attempt.end()

    assert {work, work_in_thread}
    return server


async def serve(plan: Plan, folder: Path, port: int) -> None:
    """Serves until SIGTERM, or until it is killed."""
    server = server_of(plan, folder)
    grpc_server = grpc.aio.server(options=SERVER_OPTIONS)
    server.add_to(grpc_server)
    bound = grpc_server.add_insecure_port(f"127.0.0.1:{port}")
    end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    async with server:
        await grpc_server.start()
        tell(f"ready {os.getpid()} {bound}")
        await end.wait()
        await grpc_server.stop(1)


def warm() -> None:
    """Loads what a server loads when it begins to serve, for all children at once."""
    importlib.import_module("longrunning.server._grpc")
    parse("done = true", Schema.of_methods(METHODS.values(), TypeRegistry()))


def live(plan: Plan, folder: Path, port: int) -> None:
    """Lives it, in a process of its own."""
    signal.setitimer(signal.ITIMER_REAL, LONGEST)
    asyncio.run(serve(plan, folder, port))
