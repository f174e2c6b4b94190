# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What goes on beside the calls: bringing up what nobody works on, ending what nobody will, and removing what is old."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, final

from ..errors import StoreUnavailableError
from ._executor import Executor
from ._limits import Limits
from .storage import OperationStore

__all__ = ["Reconciler"]

_log: Final = logging.getLogger("longrunning.server")

_BATCH: Final = 100  # operations in one step
_PAUSE: Final = 0.01  # seconds between two batches of a purge: others want to write, too
_JITTER: Final = 0.2  # replicas that were started together must not ask together


@final
class Reconciler:
    """Looks after what the calls leave behind."""

    def __init__(
        self,
        store: OperationStore,
        executor: Executor,
        methods: Mapping[str, Any],
        *,
        limits: Limits,
        wake: Callable[[Iterable[str]], None],
    ) -> None:
        self._store = store
        self._executor = executor
        self._methods = methods
        self._limits = limits
        self._wake = wake

    async def reconcile(self) -> None:
        """Once: ends what nobody will go on with, and dispatches what nobody works on.

        Raises:
            StoreUnavailableError: It could not be done now.
        """
        while ended := await self._store.abandon(limit=_BATCH):
            self._wake(ended)
            for name in ended:
                _log.warning("%s was ended, nobody works on it any more", name, extra={"operation": name})
        room = min(self._executor.room, _BATCH)
        if not room or not self._methods:
            return
        hold = self._limits.seconds("lease_ttl")
        for name, method in await self._store.due(list(self._methods), limit=room, hold=hold):
            _log.info("%s is brought up again", name, extra={"operation": name, "method": method})
            await self._executor.submit(name, method)

    async def purge(self) -> int:
        """Once: removes all that is past its time, in batches; returns how many.

        Raises:
            StoreUnavailableError: It could not be done now.
        """
        removed, batch = 0, self._limits.purge_batch
        while True:
            count = await self._store.purge(older_than=self._limits.seconds("retention"), limit=batch)
            removed += count
            if count < batch:
                return removed
            await asyncio.sleep(_PAUSE)

    async def keep_reconciling(self) -> None:
        """Again and again, until cancelled."""
        await _repeat(self.reconcile, self._limits.seconds("reconcile_interval"), "looking for work that was left")

    async def keep_purging(self) -> None:
        """Again and again, until cancelled."""
        await _repeat(self.purge, self._limits.seconds("purge_interval"), "purging")


async def _repeat(action: Callable[[], Awaitable[object]], interval: float, what: str) -> None:
    while True:
        try:
            await action()
        except StoreUnavailableError as error:
            _log.warning("%s failed: %s", what, error)
        except Exception:  # noqa: BLE001 (logged in full; it must go on)
            _log.exception("%s failed", what)
        await asyncio.sleep(interval * random.uniform(1 - _JITTER, 1))  # noqa: S311 (spreading, no secret)
