# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Death at a point: the reaper, and a store that comes by it."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, NoReturn

from longrunning.errors import LeaseLostError
from longrunning.server import OperationStore
from longrunning.server.storage import ClaimTerms, Created, Lease, NewOperation, OperationRecord, Outcome

from .passing import PassingStore
from .points import Plan, Point

__all__ = ["KillingStore", "Reaper", "tell"]

_WRITE: Final = 0.004  # seconds: about as long as a write takes, from when it is asked for to when it is on the disk


def tell(line: str) -> None:
    """Says something to the parent, at once."""
    os.write(1, f"{line}\n".encode())


class Reaper:
    """Ends this process with SIGKILL when it comes by the point of the plan often enough."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.chance = random.Random(plan.seed)
        self._passes = plan.passes

    def reach(self, point: Point) -> None:
        """The process is at this point; from any thread."""
        if self._due(point):
            self.die()

    def reach_soon(self, point: Point) -> None:
        """The process is going to be somewhere in what the point names."""
        if self._due(point):
            delay = self.chance.uniform(0, _WRITE)
            threading.Thread(target=self._die_after, args=(delay,), daemon=True).start()

    def _due(self, point: Point) -> bool:
        if self.plan.point is not point:
            return False
        self._passes -= 1
        return self._passes == -1

    def _die_after(self, seconds: float) -> None:
        time.sleep(seconds)
        self.die()

    def die(self) -> NoReturn:
        """Here and now."""
        assert self.plan.point is not None
        tell(f"at {self.plan.point.name}")
        os.kill(os.getpid(), signal.SIGKILL)
        while True:  # the signal is on its way
            time.sleep(1)


class KillingStore(PassingStore):
    """An `OperationStore` that comes by the points before and after the writes of the one inside it.

    In a life that ends after late writes, one update is held up for so long that its operation is claimed again: the store
    says that the lease is renewed, and does not renew it. Then it arrives, and so does an outcome.
    """

    def __init__(self, inner: OperationStore, reaper: Reaper, late: Callable[[str, int, str], None]) -> None:
        """Takes the store, and who is told what became of late writes: name, fencing number, what."""
        super().__init__(inner)
        self._reaper = reaper
        self._late = late
        self._held_up: tuple[str, int] | None = None
        self._overtaken = asyncio.Event()

    async def create(self, new: NewOperation, claim: ClaimTerms | None = None) -> Created:
        self._reaper.reach(Point.START_UNWRITTEN)
        self._reaper.reach_soon(Point.MID_WRITE)
        created = await self.inner.create(new, claim)
        self._reaper.reach(Point.START_WRITTEN)
        return created

    async def claim(self, name: str, terms: ClaimTerms) -> Lease | None:
        lease = await self.inner.claim(name, terms)
        if lease is not None:
            self._reaper.reach(Point.TAKEN_OVER)
        return lease

    async def renew(self, fences: Mapping[str, int], ttl: float) -> Mapping[str, bool]:
        before = self._reaper.chance.random() < 0.5
        if before:
            self._reaper.reach(Point.RENEWED)
        kept = {name: fence for name, fence in fences.items() if (name, fence) != self._held_up}
        held = dict(await self.inner.renew(kept, ttl)) | {name: False for name in fences if name not in kept}
        if not before:
            self._reaper.reach(Point.RENEWED)
        return held

    async def update(self, name: str, fence: int, **written: bytes | None) -> bool:
        if self._held_up is None and self._reaper.plan.point is Point.LATE_WRITTEN:
            self._held_up = (name, fence)
            await asyncio.shield(asyncio.create_task(self._write_late(name, fence, written)))
        self._reaper.reach_soon(Point.MID_WRITE)
        cancel = await self.inner.update(name, fence, **written)
        if self._held_up is not None and name == self._held_up[0]:
            self._overtaken.set()
        return cancel

    async def _write_late(self, name: str, fence: int, written: Mapping[str, bytes | None]) -> NoReturn:
        await self._overtaken.wait()
        writes = (
            self.inner.update(name, fence, **written),
            self.inner.finish(name, fence, Outcome(code=None, payload=b"")),
        )
        for write in writes:
            try:
                await write
            except LeaseLostError:
                self._late(name, fence, "late refused")
            else:
                self._late(name, fence, "late accepted")
        self._reaper.die()

    async def finish(self, name: str, fence: int, outcome: Outcome, **written: bytes | None) -> None:
        self._reaper.reach(Point.FINISH_UNWRITTEN)
        self._reaper.reach_soon(Point.MID_WRITE)
        await self.inner.finish(name, fence, outcome, **written)
        self._reaper.reach(Point.FINISH_WRITTEN)

    async def request_cancel(self, name: str, scope: str | None) -> OperationRecord | None:
        record = await self.inner.request_cancel(name, scope)
        self._reaper.reach(Point.CANCEL_WRITTEN)
        return record
