# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The short form of ``make chaos``."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tools.chaos.points import Point
from tools.chaos.run import Report, run


def killed(kills: int, folder: Path, *, seed: int) -> Report:
    """The report on so many kills."""
    return asyncio.run(run(kills, seed=seed, folder=folder))


def test_a_kill_at_each_point_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """One kill at each point: all that was acknowledged is there, once, and late writes are refused (RUN-1, RUN-2)."""
    report = killed(len(Point), tmp_path, seed=1)
    assert report.faults == []
    assert report.hits == dict.fromkeys(Point, 1)
    assert report.count("late refused") == 2


def test_sixty_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    """Sixty kills at twelve points: one operation per request id, one outcome each, checkpoints kept (RUN-1, RUN-2, SRV-7)."""
    report = killed(60, tmp_path, seed=2)
    assert report.faults == []
    assert min(report.hits[point] for point in Point) >= 5
    assert len(report.ledger.entries) == 240
    assert report.ledger.replays > 100
    assert sum(trace.what == "begun" and trace.step > 0 for trace in report.traces) > 50
    assert "240 operations" in str(report)
