# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""So many lives of a server, each to its death, and what is left in the end."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL
from typing import Final

import grpc.aio

from longrunning import Code

from .clients import Clients, Entry, Ledger
from .life import DATABASE, TRACES
from .points import Plan, Point, plans
from .verdict import judge
from .wire import Trace, read_traces
from .zygote import ERRORS, Zygote

__all__ = ["Report", "run"]

_OPTIONS: Final = (
    ("grpc.use_local_subchannel_pool", 1),
)  # a channel of its own connection, and nothing left of the last


@dataclass(slots=True)
class Report:
    """What came of it.

    Attributes:
        ledger: What clients remember.
        traces: What handlers wrote.
        hits: How often the server was killed at each point.
        faults: All that is wrong.
        seconds: How long the lives lasted, all together.
    """

    ledger: Ledger = field(default_factory=Ledger)
    traces: list[Trace] = field(default_factory=list[Trace])
    hits: Counter[Point] = field(default_factory=Counter[Point])
    faults: list[str] = field(default_factory=list[str])
    seconds: float = 0.0

    def count(self, what: str) -> int:
        """How many lines of a kind the handlers wrote."""
        return sum(trace.what == what for trace in self.traces)

    def __str__(self) -> str:
        ledger, kills = self.ledger, sum(self.hits.values())
        width = max(len(point.value) for point in Point)
        points = [f"  {point.value:<{width}}  {self.hits[point]:>5}" for point in Point]
        ends = Counter(_end(entry) for entry in ledger.entries.values())
        begun = [trace for trace in self.traces if trace.what == "begun"]
        again, resumed = sum(trace.attempt > 1 for trace in begun), sum(trace.step > 0 for trace in begun)
        most, late = max((trace.attempt for trace in begun), default=0), self.count("late refused")
        return "\n".join(points) + (
            f"\n  {len(ledger.entries):,} operations: {', '.join(f'{ends[end]:,} {end}' for end in sorted(ends))}"
            f"\n  {len(begun):,} attempts, up to {most} of one operation: {again:,} not the first, {resumed:,} from a checkpoint"
            f"\n  {ledger.unanswered:,} RPCs ended with the server; {ledger.replays:,} starts were repeated"
            f"\n  {late:,} late writes were refused"
            f"\n  {kills:,} kills in {self.seconds:.1f} s, {self.seconds / max(kills, 1):.3f} s each"
        )


def _end(entry: Entry) -> str:
    if entry.outcome is None:
        return "not ended"
    match entry.operation:
        case operation if operation.HasField("response"):
            return "succeeded"
        case operation if operation.error.code == Code.CANCELLED:
            return "cancelled"
        case _:
            return "failed"


async def run(kills: int, *, seed: int, folder: Path, tell: Callable[[str], object] | None = None) -> Report:
    """Kills a server so many times, and looks at what is left.

    Args:
        kills: How often.
        seed: Of all that is left to chance, but for when things happen.
        folder: An empty one, for the database and the logs.
        tell: Gets a line every fifty kills.
    """
    report, begin, port = Report(), time.monotonic(), 0
    async with Zygote(folder) as zygote:
        for plan in plans(kills, random.Random(seed)):
            port = await _live(zygote, plan, port, report)
            if tell is not None and plan.number % 50 == 0:
                tell(
                    f"  {plan.number} kills, {len(report.ledger.entries)} operations, {time.monotonic() - begin:.0f} s"
                )
        report.seconds = time.monotonic() - begin
        last = Plan(number=kills + 1, point=None, seed=seed)
        port = await zygote.bear(last, port)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", _OPTIONS) as channel:
            listed = await Clients(channel, report.ledger, last).finish()
        zygote.terminate()
        death = await zygote.death()
        if death.status:
            report.faults.append(f"the server ended with status {death.status} when it was asked to end")
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        integrity = ", ".join(row[0] for row in connection.execute("pragma integrity_check"))
    report.traces = list(read_traces(folder / TRACES))
    report.faults += judge(report.ledger, report.traces, listed, integrity)
    return report


async def _live(zygote: Zygote, plan: Plan, port: int, report: Report) -> int:
    port = await zygote.bear(plan, port)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", _OPTIONS) as channel:
        playing = asyncio.create_task(Clients(channel, report.ledger, plan).play())
        death = await zygote.death()
        await playing
    if death.point is not None and (death.point, death.status) == (plan.point, -SIGKILL):
        report.hits[death.point] += 1
    else:
        report.faults.append(f"life {plan.number} was to end {plan.point}, and ended with {death}; see {ERRORS}")
    return port
