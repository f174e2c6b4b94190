# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""`Running`: what exists between the start of a server and its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self, final

from ..registry import TypeRegistry
from ._authorization import Authorizer
from ._executor import Executor
from ._handlers import Registered
from ._limits import Limits
from ._names import NamePattern
from ._pagetokens import PageTokens
from ._reconciler import Reconciler
from ._service import OperationsService
from ._telemetry import Telemetry
from ._waiting import Waiting
from ._worker import Worker
from .filtering import Schema, parse
from .storage import OperationStore

__all__ = ["Parts", "Running"]

_PAGE_TOKENS: Final = "page-tokens"
_DRAIN_SECONDS: Final = 5.0  # far longer than storing takes, for a store that answers


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a server was made of. `tokens` are ``None`` where their key is kept in the store."""

    store: OperationStore
    authorizer: Authorizer
    executor: Executor
    names: NamePattern
    registry: TypeRegistry
    limits: Limits
    tokens: PageTokens | None
    telemetry: Telemetry


@final
class Running:
    """A server that runs: made by `begin`, over after `end`."""

    def __init__(
        self,
        parts: Parts,
        service: OperationsService,
        worker: Worker,
        waiting: Waiting,
        tasks: Sequence[asyncio.Task[None]],
    ) -> None:
        self.service = service
        self.waiting = waiting
        self.loop = asyncio.get_running_loop()
        self._parts = parts
        self._worker = worker
        self._tasks = tasks

    @classmethod
    async def begin(cls, parts: Parts, methods: Mapping[str, Registered], schema: Callable[[], Schema]) -> Self:
        """Opens the store and starts everything.

        Raises:
            MissingExtraError: What filters need is not installed.
            StoreUnavailableError: The store cannot be opened.
        """
        await parts.store.open()
        try:
            return await cls._begin(parts, methods, schema)
        except BaseException:
            await parts.store.close()
            raise

    @classmethod
    async def _begin(cls, parts: Parts, methods: Mapping[str, Registered], schema: Callable[[], Schema]) -> Self:
        store, limits, telemetry = parts.store, parts.limits, parts.telemetry
        tokens = parts.tokens or PageTokens([await store.secret(_PAGE_TOKENS)])
        waiting = Waiting(store)
        worker = Worker(store, methods, limits=limits, registry=parts.registry, telemetry=telemetry, wake=waiting.wake)
        service = OperationsService(
            store,
            authorizer=parts.authorizer,
            executor=parts.executor,
            worker=worker,
            waiting=waiting,
            names=parts.names,
            methods=methods,
            schema=schema,
            limits=limits,
            tokens=tokens,
            telemetry=telemetry,
        )
        # What reads filters takes a while to load, and may be missing: better here than at the first filter.
        await asyncio.to_thread(parse, "done = true", schema())
        await parts.executor.open(worker)
        reconciler = Reconciler(store, parts.executor, methods, limits=limits, wake=waiting.wake)
        tasks = [
            asyncio.create_task(reconciler.keep_reconciling(), name="longrunning-reconcile"),
            asyncio.create_task(reconciler.keep_purging(), name="longrunning-purge"),
            asyncio.create_task(worker.keep_leases(), name="longrunning-leases"),
        ]
        return cls(parts, service, worker, waiting, tasks)

    async def end(self) -> None:
        """Ends everything in order: what is being stored, who waits, what runs, the leases, the store."""
        parts = self._parts
        reconciling, *others = self._tasks
        await _cancel([reconciling])
        await self.service.drain(_DRAIN_SECONDS)
        await self.waiting.close()  # whoever waits is told how things stand
        try:
            await self._worker.stop(parts.limits.seconds("shutdown_grace"))  # the leases are kept meanwhile
        finally:
            await _cancel(others)
            await parts.executor.close()
            await parts.store.close()


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
