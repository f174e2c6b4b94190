# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What ``make chaos`` takes for a fault, and in which order it kills."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from longrunning._pb import operations_pb2
from tools.chaos.__main__ import bounded
from tools.chaos.clients import Entry, Ledger
from tools.chaos.points import LEAVE_WORK, Plan, Point, plans
from tools.chaos.verdict import judge
from tools.chaos.wire import Trace, WorkMetadata, WorkResponse
from tools.chaos.zygote import Zygote

NAME = "operations/1"


def trace(what: str, step: int = 0, *, attempt: int = 1, request_id: str = "a", operation: str = NAME) -> Trace:
    """A line of a handler's; the fencing number is ten times the attempt."""
    return Trace(
        what=what, life=1, operation=operation, request_id=request_id, attempt=attempt, fence=10 * attempt, step=step
    )


def ended(name: str = NAME, *, request_id: str = "a", fence: int = 20, steps: int = 2, **fields: Any) -> Any:
    """An operation that succeeded, or failed by its fields."""
    operation = operations_pb2.Operation(name=name, done=True, **fields)
    operation.metadata.Pack(WorkMetadata(request_id=request_id, steps=steps, ended_by=fence))
    if "error" not in fields:
        operation.response.Pack(WorkResponse(request_id=request_id, fence=fence, steps=steps))
    return operation


def data(operation: Any) -> bytes:
    """An operation, as clients remember it."""
    found: bytes = operation.SerializeToString(deterministic=True)
    return found


@dataclass
class Case:
    """All that there is to judge; as it comes, nothing is wrong with it: the second attempt went on from a checkpoint."""

    entry: Entry = field(
        default_factory=lambda: Entry(
            request_id="a", steps=2, fails=False, in_thread=False, cancels=False, name=NAME, outcome=data(ended())
        )
    )
    traces: list[Trace] = field(
        default_factory=lambda: [
            trace("begun"),
            trace("writing", 1),
            trace("written", 1),
            trace("writing", 2),
            trace("begun", 1, attempt=2),
            trace("writing", 2, attempt=2),
            trace("written", 2, attempt=2),
            trace("returning", attempt=2),
            trace("late refused"),
        ]
    )
    listed: list[Any] = field(default_factory=lambda: [ended()])
    integrity: str = "ok"

    def end_as(self, operation: Any) -> None:
        """Clients and lists say that it ended so."""
        self.entry.outcome, self.listed = data(operation), [operation]

    def faults(self) -> list[str]:
        """What is wrong."""
        ledger = Ledger(entries={self.entry.request_id: self.entry})
        return judge(ledger, self.traces, self.listed, self.integrity)


def test_what_is_right_has_no_fault() -> None:
    """An operation whose second attempt went on from the checkpoint and ended it is in order (RUN-2)."""
    assert Case().faults() == []


def lost(case: Case) -> None:
    case.listed, case.traces = [], []


def never_acknowledged(case: Case) -> None:
    case.entry.name, case.entry.sent, case.listed, case.traces = "", 9, [], []


def never_ended(case: Case) -> None:
    case.entry.outcome = None


def doubled(case: Case) -> None:
    case.listed.append(ended("operations/2"))


def doubled_and_run(case: Case) -> None:
    case.traces.append(trace("begun", operation="operations/2"))


def listed_twice(case: Case) -> None:
    case.listed.append(ended())


def two_outcomes(case: Case) -> None:
    case.listed = [ended(steps=3)]


def outcome_of_a_lost_lease(case: Case) -> None:
    case.traces.append(trace("returning"))
    case.end_as(ended(fence=10))


def metadata_of_a_lost_lease(case: Case) -> None:
    operation = ended()
    operation.metadata.Pack(WorkMetadata(request_id="a", steps=2, ended_by=10))
    case.end_as(operation)


def response_nobody_returned(case: Case) -> None:
    case.traces.remove(trace("returning", attempt=2))


def cancelled_by_nobody(case: Case) -> None:
    case.end_as(ended(fence=0, error={"code": 1}))


def failed_for_nothing(case: Case) -> None:
    case.end_as(ended(error={"code": 2}))


def given_another_request(case: Case) -> None:
    case.traces[4] = replace(case.traces[4], request_id="b")


def late_write_accepted(case: Case) -> None:
    case.traces[-1] = trace("late accepted")


def wrote_under_a_lost_lease(case: Case) -> None:
    case.traces.insert(6, trace("written", 2))


def checkpoint_forgotten(case: Case) -> None:
    case.traces[4] = trace("begun", 0, attempt=2)


def checkpoint_from_nowhere(case: Case) -> None:
    case.traces[4] = trace("begun", 3, attempt=2)


def attempt_twice(case: Case) -> None:
    case.traces.insert(4, trace("begun", 1, attempt=2))


def broken_file(case: Case) -> None:
    case.integrity = "row 3 missing from index by_name"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lost, "is lost"),
        (never_acknowledged, "never acknowledged"),
        (never_ended, "never ended"),
        (doubled, "made 2 operations"),
        (doubled_and_run, "does not exist"),
        (listed_twice, "listed twice"),
        (two_outcomes, "is listed as"),
        (outcome_of_a_lost_lease, "the last lease was 20"),
        (metadata_of_a_lost_lease, "the last lease was 20"),
        (response_nobody_returned, "ended by its death"),
        (cancelled_by_nobody, "it ended as"),
        (failed_for_nothing, "it ended as"),
        (given_another_request, "were given the requests"),
        (late_write_accepted, "late accepted"),
        (wrote_under_a_lost_lease, "the lease 10 wrote"),
        (checkpoint_forgotten, "the checkpoint of step 0; 1 was written"),
        (checkpoint_from_nowhere, "the checkpoint of step 3; 1 was written"),
        (attempt_twice, "attempt 2 began after attempt 2"),
        (broken_file, "integrity_check"),
    ],
)
def test_every_fault_is_found(change: Callable[[Case], None], said: str) -> None:
    """Each way to lose, double or change what was acknowledged is found and said (RUN-1, RUN-2)."""
    case = Case()
    change(case)
    assert any(said in fault for fault in case.faults())


def test_a_cancel_may_end_an_operation_without_its_handler() -> None:
    """CANCELLED is in order where a cancel was sent, answered or not, and the handler's last metadata are not there (SRV-4)."""
    case = Case()
    case.entry.cancel_sent = True
    case.end_as(ended(fence=0, error={"code": 1}))
    assert case.faults() == []
    case.end_as(ended(fence=20, error={"code": 1}))
    assert len(case.faults()) == 1


def test_a_failure_that_was_asked_for() -> None:
    """A failure is in order where the last attempt raised it."""
    case = Case()
    case.end_as(ended(error={"code": 9, "message": "20"}))
    assert len(case.faults()) == 1
    case.traces[7] = trace("failing", attempt=2)
    assert case.faults() == []


@pytest.mark.parametrize("seed", range(20))
def test_each_point_comes_up_equally_often(seed: int) -> None:
    """Of so many kills each point gets its share, in the same order for the same seed."""
    made = plans(60, random.Random(seed))
    assert set(Counter(plan.point for plan in made).values()) == {5}
    assert made == plans(60, random.Random(seed))
    assert made != plans(60, random.Random(seed + 100))
    assert [plan.number for plan in made] == list(range(1, 61))
    for before, plan in itertools.pairwise(made):
        if plan.point is Point.TAKEN_OVER:  # there has to be something to take over
            assert before.point in LEAVE_WORK
            assert not before.cancels


def test_a_plan_reaches_another_process() -> None:
    """A plan is the same after it went through JSON."""
    for point in (None, *Point):
        plan = Plan(number=7, point=point, passes=2, cancels=False, seed=9)
        assert Plan.from_json(plan.to_json()) == plan


def test_a_run_that_takes_too_long_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that is not through in time is a failure, and leaves what it found behind."""
    assert asyncio.run(bounded(1000, seed=0, limit=0.5, folder=tmp_path)) == 1
    assert "not through" in capsys.readouterr().err
    assert tmp_path.exists()


def test_no_server_outlives_the_run(tmp_path: Path) -> None:
    """The end of the process that forks servers is the end of the server that lives just then."""

    async def body() -> int:
        async with Zygote(tmp_path) as zygote:
            await zygote.bear(Plan(number=1, point=None), 0)
            os.kill(zygote.pid, 0)
            return zygote.pid

    with pytest.raises(ProcessLookupError):
        os.kill(asyncio.run(body()), 0)
