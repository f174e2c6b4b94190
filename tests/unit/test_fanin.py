# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Many waits on one schedule, with simulated servers on a simulated clock. No sockets, no sleep."""

from __future__ import annotations

import heapq
import itertools
import math
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from longrunning._fanin import FanIn, Limits, Outcome, Send
from longrunning._polling import Finish, GiveUp, GiveUpReason, LongPoll, Poll, PollFailure
from longrunning.errors import LongRunningError, PayloadDecodeError
from longrunning.operation import Operation
from longrunning.policy import PollPolicy, RetryPolicy
from longrunning.status import Code, Status
from tests.unit.builders import InstancePb, any_of, operation

Reply: TypeAlias = Operation[Any, Any] | PollFailure | LongRunningError
Server: TypeAlias = Callable[[Send, float], tuple[float, Reply]]
Known: TypeAlias = Sequence[tuple[Operation[Any, Any] | None, float]]

RUNNING = operation(done=False)
DONE = operation()
MALFORMED = operation(done=False, response=any_of(InstancePb(name="i")))
ANY_TIME = PollPolicy()
PLAIN = PollPolicy(jitter=0)
POLLS = PollPolicy(jitter=0, use_wait_operation=False)
EVERY_SECOND = PollPolicy(initial=1, maximum=1, jitter=0, use_wait_operation=False)
EPS = 1e-6
HAIR = 0.001  # a timer may fire that early
ALMOST_1 = math.nextafter(1, 0)


def failure(code: Code | int, **options: Any) -> PollFailure:
    return PollFailure(status=Status(code, "it failed"), **options)


UNIMPLEMENTED = failure(Code.UNIMPLEMENTED)


@dataclass
class World:
    """A schedule and a server, on a clock that only moves as both say. It holds the schedule to its bounds."""

    fan_in: FanIn
    limits: Limits
    server: Server
    now: float = 0.0
    sent: list[tuple[float, Send]] = field(default_factory=list[tuple[float, Send]])
    ended: dict[int, tuple[float, Outcome]] = field(default_factory=dict[int, tuple[float, Outcome]])
    under_way: dict[int, Send] = field(default_factory=dict[int, Send])
    landings: list[tuple[float, int, Send, Reply]] = field(default_factory=list[tuple[float, int, Send, Reply]])
    _order: itertools.count[int] = field(default_factory=itertools.count)

    def send(self) -> None:
        """One turn of a driver: sends what is to be sent, and takes note of what is over."""
        for send in self.fan_in.sends(self.now):
            assert send.index not in self.under_way
            assert send.index not in self.ended
            self.under_way[send.index] = send
            self.sent.append((self.now, send))
            took, reply = self.server(send, self.now)
            if took > send.step.rpc_timeout:
                took, reply = send.step.rpc_timeout, failure(Code.DEADLINE_EXCEEDED)
            heapq.heappush(self.landings, (self.now + took, next(self._order), send, reply))
        kinds = Counter(type(send.step) for send in self.under_way.values())
        assert kinds[Poll] <= self.limits.polls
        assert kinds[LongPoll] <= self.limits.long_polls
        for outcome in self.fan_in.outcomes():
            assert outcome.index not in self.ended
            assert outcome.index not in self.under_way
            self.ended[outcome.index] = (self.now, outcome)

    def land(self) -> None:
        """The next reply comes in."""
        at, _, send, reply = heapq.heappop(self.landings)
        self.now = max(self.now, at)
        del self.under_way[send.index]
        self.report(send.index, reply)

    def report(self, index: int, reply: Reply) -> None:
        if isinstance(reply, PollFailure):
            self.fan_in.on_error(index, reply, self.now)
        elif isinstance(reply, LongRunningError):
            self.fan_in.fail(index, reply)
        else:
            self.fan_in.on_snapshot(index, reply, self.now)

    def run(self, until: float = math.inf, turns: int = 200_000) -> World:
        """Goes on until every wait is over, or that time has come."""
        for _ in range(turns):
            self.send()
            if not self.fan_in.pending:
                assert not self.under_way
                return self
            landing = self.landings[0][0] if self.landings else math.inf
            due = min(landing, self.fan_in.next_due())
            assert due < math.inf, "nothing is under way, nothing is due, and yet waits are pending"
            if due > until:
                self.now = until
                return self
            if landing <= due:
                self.land()
                while self.landings and self.landings[0][0] <= self.now:
                    self.land()
            else:
                self.now = max(self.now, due)
        raise AssertionError(f"{self.fan_in.pending} waits are pending after {turns} turns, at {self.now:g} s")

    # -- what can be asked of it ----------------------------------------------------------------------------------

    def asked(self, index: int) -> list[float]:
        """When RPCs of one wait were sent."""
        return [at for at, send in self.sent if send.index == index]

    def kinds(self, index: int | None = None) -> list[type]:
        return [type(send.step) for _, send in self.sent if index is None or send.index == index]

    def step(self, index: int) -> Finish | GiveUp | LongRunningError:
        return self.ended[index][1].step

    @property
    def long_polls(self) -> list[tuple[float, int]]:
        return [(at, send.index) for at, send in self.sent if isinstance(send.step, LongPoll)]


def world(
    count: int,
    server: Server,
    policy: PollPolicy = PLAIN,
    timeout: float | None = None,
    *,
    limits: Limits | None = None,
    long_poll: bool | None = None,
    known: Known | None = None,
    chance: Callable[[], float] = lambda: 0.0,
    start: float = 0.0,
) -> World:
    """`count` waits that begin now."""
    limits = Limits() if limits is None else limits
    known = [(None, 0.0)] * count if known is None else known
    fan_in = FanIn(policy, timeout, known, start, chance, limits=limits, long_poll=long_poll)
    return World(fan_in, limits, server, start)


def ends(
    at: Callable[[int], float], *, took: float = 0.05, holds: bool = True, refusal: PollFailure | None = None
) -> Server:
    """A server whose operations are done at given times; it holds WaitOperation, returns at once, or refuses it."""

    def server(send: Send, now: float) -> tuple[float, Reply]:
        step, done_at = send.step, at(send.index)
        if isinstance(step, LongPoll) and refusal is not None:
            return took, refusal
        if now + took >= done_at:
            return took, DONE
        if isinstance(step, Poll) or not holds:
            return took, RUNNING
        if done_at - now <= step.server_timeout:
            return done_at - now + took, DONE
        return step.server_timeout, RUNNING

    return server


def never(took: float = 0.05) -> Server:
    """A server without WaitOperation, on which nothing ever ends."""
    return ends(lambda _: math.inf, took=took, refusal=UNIMPLEMENTED)


def scripts(*replies: Reply, took: float = 0.05) -> Server:
    """Each wait gets these replies, the last one again and again."""
    turns: Counter[int] = Counter()

    def server(send: Send, _now: float) -> tuple[float, Reply]:
        turn = turns[send.index]
        turns[send.index] += 1
        return took, replies[min(turn, len(replies) - 1)]

    return server


# -- bounds, and that everything ends once ------------------------------------------------------------------------

FAULTS: dict[str, Reply] = {
    "running": RUNNING,
    "done": DONE,
    "failed": operation(error={"code": 3}),
    "malformed": MALFORMED,
    "not found": failure(Code.NOT_FOUND),
    "denied": failure(Code.PERMISSION_DENIED),
    "unimplemented": UNIMPLEMENTED,
    "unavailable": failure(Code.UNAVAILABLE),
    "hangs": failure(Code.DEADLINE_EXCEEDED),
    "busy": failure(Code.RESOURCE_EXHAUSTED, retry_after=3.0),
    "closed": failure(Code.CANCELLED, closed=True),
    "garbage": PayloadDecodeError("no operation"),
}


@settings(max_examples=150)
@given(
    count=st.integers(0, 40),
    polls=st.integers(1, 8),
    long_polls=st.integers(1, 45),
    timeout=st.none() | st.floats(0, 60),
    support=st.sampled_from([None, True, False]),
    seed=st.integers(0, 2**32),
    weights=st.lists(st.integers(0, 10), min_size=len(FAULTS) - 1, max_size=len(FAULTS) - 1),
    slowest=st.floats(0, 10),
)
def test_everything_ends_once_and_nothing_exceeds_its_bound(
    count: int,
    polls: int,
    long_polls: int,
    timeout: float | None,
    support: bool | None,
    seed: int,
    weights: list[int],
    slowest: float,
) -> None:
    """Whatever servers do, RPCs under way keep within both bounds, and each wait ends, exactly once (WAIT-11)."""
    dice = random.Random(seed)
    outcomes = ["done", *(name for name in FAULTS if name != "done")]

    def server(send: Send, _now: float) -> tuple[float, Reply]:
        name = dice.choices(outcomes, [2, *weights])[0]
        took = 1e9 if name == "hangs" else dice.random() * slowest
        return took, FAULTS[name]

    found = world(
        count, server, timeout=timeout, limits=Limits(polls, long_polls), long_poll=support, chance=dice.random
    ).run()
    assert sorted(found.ended) == list(range(count))
    assert found.fan_in.sends(found.now + 1e6) == []
    assert found.fan_in.outcomes() == []


class Schedule(RuleBasedStateMachine):
    """Drives a schedule in ways no driver would, and compares it with what must hold."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.count = 0
        self.limits = Limits()
        self.timeout: float | None = None
        self.under_way: dict[int, Send] = {}
        self.ended: dict[int, Outcome] = {}
        self.held: dict[int, float] = {}  # until when a wait must not send anything
        self.fan_in = FanIn(PLAIN, None, [], self.now, lambda: 0.0, limits=self.limits)

    @initialize(
        count=st.integers(1, 12),
        polls=st.integers(1, 4),
        long_polls=st.integers(1, 14),
        timeout=st.none() | st.floats(0, 50),
        support=st.sampled_from([None, True, False]),
        done=st.integers(0, 3),
    )
    def begin(
        self, count: int, polls: int, long_polls: int, timeout: float | None, support: bool | None, done: int
    ) -> None:
        self.limits, self.timeout = Limits(polls, long_polls), timeout
        known: Known = [(DONE if index < done else None, 0.0) for index in range(count)]
        self.count = count
        self.fan_in = FanIn(PLAIN, timeout, known, self.now, lambda: 0.0, limits=self.limits, long_poll=support)
        self.start = self.now
        self.collect()
        assert sorted(self.ended) == list(range(min(done, count)))

    def collect(self) -> None:
        for outcome in self.fan_in.outcomes():
            assert outcome.index not in self.ended
            assert outcome.index not in self.under_way
            if isinstance(outcome.step, GiveUp) and outcome.step.reason is GiveUpReason.TIMEOUT:
                assert self.timeout is not None
                assert self.now >= self.start + self.timeout - HAIR
            self.ended[outcome.index] = outcome

    @rule()
    def sends(self) -> None:
        for send in self.fan_in.sends(self.now):
            assert send.index not in self.under_way
            assert send.index not in self.ended
            assert self.now >= self.held.get(send.index, 0.0) - EPS
            self.under_way[send.index] = send
        self.collect()

    @rule(by=st.floats(0, 20))
    def time_goes_on(self, by: float) -> None:
        self.now += by

    @precondition(lambda self: bool(self.under_way))
    @rule(data=st.data(), name=st.sampled_from(sorted(FAULTS)))
    def lands(self, data: st.DataObject, name: str) -> None:
        index = data.draw(st.sampled_from(sorted(self.under_way)))
        del self.under_way[index]
        reply = FAULTS[name]
        if isinstance(reply, PollFailure):
            self.fan_in.on_error(index, reply, self.now)
            if reply.retry_after and (self.timeout is None or self.start + self.timeout > self.now + 3):
                self.held[index] = self.now + reply.retry_after
        elif isinstance(reply, LongRunningError):
            self.fan_in.fail(index, reply)
        else:
            self.fan_in.on_snapshot(index, reply, self.now)
        self.collect()
        ends_it = name in ("done", "failed", "malformed", "closed", "garbage")
        assert not ends_it or index in self.ended

    @rule(index=st.integers(0, 14), done=st.booleans())
    def somebody_else_saw_it(self, index: int, done: bool) -> None:
        if index in self.under_way or index >= self.count:
            return
        self.fan_in.on_snapshot(index, DONE if done else RUNNING, self.now)
        self.collect()
        assert not done or index in self.ended

    @invariant()
    def bounds_hold(self) -> None:
        kinds = Counter(type(send.step) for send in self.under_way.values())
        assert kinds[Poll] <= self.limits.polls
        assert kinds[LongPoll] <= self.limits.long_polls
        assert self.fan_in.pending == self.count - len(self.ended)

    def teardown(self) -> None:
        """Whatever happened: when the server tells of the end, every wait ends, and soon."""
        for _ in range(10 * self.count + 20):
            for index in list(self.under_way):
                del self.under_way[index]
                self.fan_in.on_snapshot(index, DONE, self.now)
            self.sends()
            if not self.fan_in.pending:
                break
            if not self.under_way:
                due = self.fan_in.next_due()
                assert due < math.inf
                self.now = max(self.now, due)
        assert sorted(self.ended) == list(range(self.count))


def test_however_it_is_driven() -> None:
    """Replies, snapshots from elsewhere and time in any order: bounds hold, every wait ends once, none hangs (WAIT-11)."""
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(Schedule, settings=settings(max_examples=60, stateful_step_count=40))


@pytest.mark.parametrize(("polls", "long_polls"), [(0, 1), (1, 0), (-1, 5)])
def test_limits_allow_something(polls: int, long_polls: int) -> None:
    """Limits under which nothing could be sent are refused where they are made (WAIT-11)."""
    with pytest.raises(ValueError, match="at least one"):
        Limits(polls, long_polls)


def test_the_limits_are_64_and_1024() -> None:
    """By default 64 polls and 1,024 long polls may be under way (WAIT-11)."""
    assert Limits() == Limits(64, 1024)


def test_nothing_to_wait_for() -> None:
    """No wait at all: nothing is pending, due or sent (WAIT-11)."""
    found = world(0, never()).run()
    assert (found.sent, found.ended) == ([], {})
    assert found.fan_in.next_due() == math.inf


def test_what_is_done_costs_nothing() -> None:
    """Operations that are done already end at once, in order, as the same objects, without an RPC (WAIT-2, WAIT-11)."""
    done = [operation(name=f"operations/{number}") for number in range(50)]
    found = world(0, never(), known=[(one, 1e9) for one in done]).run()
    assert found.sent == []
    assert list(found.ended) == list(range(50))
    for index, one in enumerate(done):
        step = found.step(index)
        assert isinstance(step, Finish)
        assert step.operation is one


def test_results_come_as_they_come() -> None:
    """Each wait is over when its own operation is, whatever the others do (WAIT-11)."""
    found = world(100, ends(lambda index: 100.0 - index, took=0.01)).run()
    times = [found.ended[index][0] for index in range(100)]
    assert all(at == pytest.approx(100 - index, abs=0.2) for index, at in enumerate(times[:60]))
    assert list(found.ended)[:30] == sorted(list(found.ended)[:30], reverse=True)


# -- one failure does not stop the rest ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(FAULTS) - {"running", "hangs"}))
@pytest.mark.parametrize("support", [None, True, False])
def test_one_failure_does_not_stop_the_rest(name: str, support: bool | None) -> None:
    """Whatever becomes of some waits, the others end well, and in time (WAIT-11)."""
    well = ends(lambda _: 10.0, refusal=None if support else UNIMPLEMENTED)

    def server(send: Send, now: float) -> tuple[float, Reply]:
        return (0.05, FAULTS[name]) if send.index % 3 == 0 else well(send, now)

    found = world(90, server, timeout=60, long_poll=support).run()
    assert sorted(found.ended) == list(range(90))
    for index in range(90):
        at, outcome = found.ended[index]
        if index % 3:
            assert isinstance(outcome.step, Finish)
            assert at <= 10.05 + 5.1  # the delay a poll may come late


def test_each_failure_is_its_own() -> None:
    """The outcome of a wait tells its own end: done, not found, denied, malformed, unreadable, timeout (WAIT-11, WAIT-7)."""
    names = ["done", "not found", "denied", "malformed", "garbage", "running"]
    replies = [FAULTS[name] for name in names]
    found = world(60, lambda send, _: (0.05, replies[send.index % 6]), POLLS, 5.0).run()
    for index in range(60):
        step, name = found.step(index), names[index % 6]
        match name:
            case "done":
                assert step == Finish(DONE)
            case "garbage":
                assert step is FAULTS["garbage"]
            case _:
                assert isinstance(step, GiveUp)
                assert (
                    step.reason
                    is {
                        "not found": GiveUpReason.NOT_FOUND,
                        "denied": GiveUpReason.FAILED,
                        "malformed": GiveUpReason.MALFORMED,
                        "running": GiveUpReason.TIMEOUT,
                    }[name]
                )


# -- nobody starves -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("took", [0.02, 0.5])
@pytest.mark.parametrize("jitter", [0.0, 0.5])
def test_everybody_is_asked_as_often(took: float, jitter: float) -> None:
    """500 waits through 8 polls at once: none is polled noticeably more often than another (WAIT-11)."""
    dice = random.Random(7)
    policy = PollPolicy(initial=1, maximum=1, jitter=jitter, use_wait_operation=False)
    found = world(500, never(took), policy, limits=Limits(8), chance=dice.random).run(until=90)
    counts = Counter(send.index for _, send in found.sent)
    assert len(counts) == 500
    assert max(counts.values()) <= 1.15 * min(counts.values()) + 1


def test_what_is_due_first_is_sent_first() -> None:
    """Polls that had to queue go out in the order in which they were due (WAIT-11)."""
    dice = random.Random(3)

    def slow(_send: Send, _now: float) -> tuple[float, Reply]:
        return 0.1 + dice.random(), RUNNING

    found = world(60, slow, PollPolicy(initial=2, maximum=2, jitter=0.9, use_wait_operation=False), limits=Limits(4),
                  chance=dice.random)  # fmt: skip
    found.run(until=120)
    orders = [[send.index for _, send in found.sent[turn : turn + 60]] for turn in range(0, len(found.sent) - 60, 60)]
    assert len(orders) > 2
    assert orders[0] == list(range(60))
    assert all(len(set(order)) >= 57 for order in orders)


def test_the_slow_do_not_hold_up_the_rest() -> None:
    """Waits whose RPCs hang keep the others waiting no longer than those slots cost (WAIT-11)."""
    well = ends(lambda _: 0.0, took=0.01)

    def server(send: Send, now: float) -> tuple[float, Reply]:
        return (1e9, RUNNING) if send.index < 3 else well(send, now)

    found = world(400, server, POLLS, 100.0, limits=Limits(4)).run()
    assert all(found.ended[index][0] < 5 for index in range(3, 400))
    for index in range(3):
        step = found.step(index)
        assert isinstance(step, GiveUp)
        assert step.reason is GiveUpReason.TIMEOUT


def test_new_polls_do_not_overtake_queued_ones() -> None:
    """With one poll at a time everybody takes turns (WAIT-11)."""
    found = world(10, never(0.25), EVERY_SECOND, limits=Limits(1)).run(until=60)
    order = [send.index for _, send in found.sent]
    assert order == [index % 10 for index in range(len(order))]


def test_the_work_grows_with_the_waits_and_not_with_their_square() -> None:
    """Replies to four times as many waits cost about four times the work: 20,000 are fine (WAIT-11)."""

    def work(count: int) -> int:
        found = world(count, scripts(RUNNING, DONE), EVERY_SECOND, limits=Limits(16))
        calls = 0

        def note(_frame: Any, _event: str, _argument: Any) -> None:
            nonlocal calls
            calls += 1

        fan_in = found.fan_in
        sys.setprofile(note)
        try:
            pending = [(0.0, send) for send in fan_in.sends(0.0)]
            for now, send in pending:  # one reply after the other, as a driver sees them
                fan_in.on_snapshot(send.index, DONE, now)
                pending.extend((now, further) for further in fan_in.sends(now))
        finally:
            sys.setprofile(None)
        assert not fan_in.pending
        return calls

    assert work(2_000) < 6 * work(500)


# -- timeouts -----------------------------------------------------------------------------------------------------

SLOW: dict[str, Server] = {
    "quick": never(0.01),
    "slow": never(1.0),
    "slower than the last poll may be": never(6.0),
    "silent": lambda _send, _now: (1e9, RUNNING),
    "down": lambda _send, _now: (0.01, failure(Code.UNAVAILABLE)),
    "down, slowly": lambda _send, _now: (2.0, failure(Code.UNAVAILABLE)),
    "busy": lambda _send, _now: (0.01, failure(Code.RESOURCE_EXHAUSTED, retry_after=1e6)),
    "holding": ends(lambda _: math.inf),
}


@pytest.mark.parametrize("server", SLOW.values(), ids=SLOW)
@pytest.mark.parametrize("support", [None, True, False])
@pytest.mark.parametrize("timeout", [0.0, 3.0, 40.0])
def test_everything_ends_in_time(server: Server, support: bool | None, timeout: float) -> None:
    """However slow the server, and however many wait for a turn: all end by timeout + final_poll_timeout (WAIT-3, WAIT-11)."""
    found = world(200, server, timeout=timeout, limits=Limits(4, 300), long_poll=support, start=1e5).run()
    for at, outcome in found.ended.values():
        assert isinstance(outcome.step, GiveUp)
        assert outcome.step.reason is GiveUpReason.TIMEOUT
        assert 1e5 + timeout - HAIR <= at <= 1e5 + timeout + 5 + EPS


@settings(max_examples=60)
@given(
    count=st.integers(1, 60),
    timeout=st.floats(0, 60),
    final=st.floats(0.1, 10),
    polls=st.integers(1, 8),
    took=st.floats(0.001, 40),
    support=st.sampled_from([None, True, False]),
    refusal=st.sampled_from([None, UNIMPLEMENTED, failure(Code.NOT_FOUND)]),
    seed=st.integers(0, 1000),
)
def test_no_wait_ends_early_or_late(
    count: int, timeout: float, final: float, polls: int, took: float, support: bool | None,
    refusal: PollFailure | None, seed: int,
) -> None:  # fmt: skip
    """A wait for what is never done ends between timeout and timeout + final_poll_timeout (WAIT-3, WAIT-11)."""
    dice = random.Random(seed)
    policy = PollPolicy(final_poll_timeout=final)
    server = ends(lambda _: math.inf, took=took, refusal=refusal)
    found = world(count, server, policy, timeout, limits=Limits(polls), long_poll=support, chance=dice.random).run()
    for at, outcome in found.ended.values():
        assert isinstance(outcome.step, GiveUp)
        assert outcome.step.reason is GiveUpReason.TIMEOUT
        assert timeout - HAIR <= at <= timeout + final + EPS


@pytest.mark.parametrize("support", [None, True, False])
def test_done_by_the_deadline_is_done(support: bool | None) -> None:
    """What is done just before the deadline is found by the last polls, which start there (WAIT-3, WAIT-11)."""
    server = ends(lambda _: 9.9, took=0.01, refusal=None if support else UNIMPLEMENTED)
    found = world(300, server, timeout=10.0, long_poll=support).run()
    assert {type(found.step(index)) for index in range(300)} == {Finish}


@pytest.mark.parametrize("support", [None, True, False])
@pytest.mark.parametrize("name", ["running", "not found", "denied", "unavailable", "done"])
def test_no_time_is_one_get_each(name: str, support: bool | None) -> None:
    """A timeout of 0 is exactly one GetOperation for each wait, however it fails (WAIT-3, WAIT-11)."""
    found = world(100, lambda _send, _now: (0.01, FAULTS[name]), timeout=0, long_poll=support).run()
    assert found.kinds() == [Poll] * 100
    assert {send.index for _, send in found.sent} == set(range(100))


def test_the_last_failure_is_told() -> None:
    """A wait that times out while polls fail tells which failure it was (WAIT-4, WAIT-11)."""
    down = failure(Code.UNAVAILABLE)
    found = world(5, lambda _send, _now: (0.01, down), POLLS, 3.0).run()
    assert {found.step(index) for index in range(5)} == {GiveUp(GiveUpReason.TIMEOUT, down)}


def test_max_attempts_counts_for_each() -> None:
    """Every wait has its own number of polls (WAIT-1, WAIT-11)."""
    policy = PollPolicy(jitter=0, max_attempts=3, use_wait_operation=False)
    found = world(20, never(), policy, limits=Limits(2)).run()
    assert Counter(send.index for _, send in found.sent) == dict.fromkeys(range(20), 3)


# -- long polls ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("support", [None, True])
@pytest.mark.parametrize("extra", [-1, 0, 1, 40])
def test_long_polls_only_while_there_is_room_for_one_each(extra: int, support: bool | None) -> None:
    """With more waits than long polls allowed nobody gets one, for those without would see nothing (WAIT-11)."""
    limits = Limits(8, 20)
    found = world(20 + extra, ends(lambda _: math.inf), limits=limits, long_poll=support).run(until=20)
    assert len({index for _, index in found.long_polls}) == (0 if extra > 0 else 20 + extra)


def test_those_that_are_done_need_no_room() -> None:
    """Room for long polls is needed by the waits that are pending, not by those that are over (WAIT-11)."""
    known: Known = [(DONE, 0.0)] * 500 + [(None, 0.0)] * 20
    found = world(0, ends(lambda _: 25.0), limits=Limits(8, 20), long_poll=True, known=known).run()
    assert found.kinds() == [LongPoll] * 20


def test_when_the_crowd_is_gone_long_polls_begin() -> None:
    """As soon as enough waits are over the rest goes over to long polls, and their end is noticed at once (WAIT-11, WAIT-5)."""
    server = ends(lambda index: 5.0 if index < 30 else 200.0 + index / 10, took=0.01)
    found = world(50, server, limits=Limits(8, 20), long_poll=True).run()
    first = min(at for at, _ in found.long_polls)
    assert first >= 5
    assert {index for _, index in found.long_polls} == set(range(30, 50))
    for index in range(30, 50):
        assert found.ended[index][0] == pytest.approx(200 + index / 10, abs=0.1)


def test_nobody_is_overlooked_in_a_crowd() -> None:
    """2,000 waits with default limits: one that is done soon is noticed soon, whichever it is (WAIT-11)."""
    server = ends(lambda index: math.inf if index < 1900 else 1.0, took=0.01)
    found = world(2_000, server, long_poll=True).run(until=15)
    assert sorted(found.ended) == list(range(1_900, 2_000))


@pytest.mark.parametrize("support", [None, True])
def test_a_thousand_cost_two_rpcs_each_and_are_noticed_at_once(support: bool | None) -> None:
    """1,000 operations that end after 10 s: at most 2 RPCs each, the last noticed within 10.5 s (WAIT-5, WAIT-11)."""
    dice = random.Random(1)
    found = world(
        1_000, ends(lambda _: 10.0), ANY_TIME, 900, long_poll=support, chance=dice.random
    ).run()  # fmt: skip
    assert max(at for at, _ in found.ended.values()) <= 10.5
    assert len(found.sent) <= (2_000 if support is None else 1_000)
    assert found.fan_in.long_poll is True


def test_a_known_server_is_not_probed() -> None:
    """Where WaitOperation is known to be served everybody uses it from the start; where it is known not to be, nobody (WAIT-5)."""
    assert world(200, ends(lambda _: 5.0), long_poll=True).run().kinds() == [LongPoll] * 200
    assert LongPoll not in world(200, ends(lambda _: 5.0), long_poll=False).run().kinds()


def test_the_policy_may_forbid_it() -> None:
    """With use_wait_operation=False no WaitOperation is sent, whatever the server can (WAIT-5)."""
    for support in (None, True):
        assert LongPoll not in world(50, ends(lambda _: 5.0), POLLS, long_poll=support).run().kinds()


REFUSALS = [Code.UNIMPLEMENTED, Code.PERMISSION_DENIED, Code.NOT_FOUND, Code.INVALID_ARGUMENT, Code.INTERNAL]


@pytest.mark.parametrize("took", [0.01, 0.3, 0.8])
@pytest.mark.parametrize("jitter", [0.0, 0.5])
def test_a_server_without_it_is_asked_a_few_times(took: float, jitter: float) -> None:
    """Thousands of waits ask a server without WaitOperation at most a few times in all (WAIT-5, WAIT-11)."""
    dice = random.Random(5)
    server = ends(lambda _: 40.0, took=took, refusal=UNIMPLEMENTED)
    found = world(1_000, server, PollPolicy(jitter=jitter), chance=dice.random, limits=Limits(512)).run()
    assert 1 <= len(found.long_polls) <= 3
    assert found.fan_in.long_poll is False


@pytest.mark.parametrize("slow", [1.5, 5.0])
def test_a_slow_refusal_costs_each_wait_one_at_most(slow: float) -> None:
    """A server that takes seconds to refuse WaitOperation is asked by no wait twice (WAIT-5, WAIT-11)."""
    well = ends(lambda _: 40.0)

    def server(send: Send, now: float) -> tuple[float, Reply]:
        return (slow, UNIMPLEMENTED) if isinstance(send.step, LongPoll) else well(send, now)

    found = world(1_000, server).run()
    assert max(Counter(index for _, index in found.long_polls).values()) == 1
    assert found.fan_in.long_poll is False
    assert {type(found.step(index)) for index in range(1_000)} == {Finish}


def test_a_cut_at_the_start_is_not_taken_for_support() -> None:
    """When nothing answers at first, a server without WaitOperation is still asked a few times only (WAIT-5, WAIT-11, WAIT-12)."""
    well = ends(lambda _: 200.0, refusal=UNIMPLEMENTED)

    def server(send: Send, now: float) -> tuple[float, Reply]:
        return (1e9, RUNNING) if now < 33 else well(send, now)

    found = world(1_000, server).run()
    assert 1 <= sum(at > 33 for at, _ in found.long_polls) <= 10
    assert {type(found.step(index)) for index in range(1_000)} == {Finish}


@pytest.mark.parametrize("support", [None, True])
@pytest.mark.parametrize("code", REFUSALS, ids=str)
def test_a_refusal_lasts_as_long_as_the_wait(code: Code, support: bool | None) -> None:
    """After WaitOperation failed for good, a wait goes on with GetOperation alone (WAIT-5, WAIT-11)."""
    server = ends(lambda _: 100.0, refusal=failure(code))
    found = world(30, server, ANY_TIME, long_poll=support, chance=random.Random(2).random).run()
    assert {type(found.step(index)) for index in range(30)} == {Finish}
    asked = Counter(index for _, index in found.long_polls)
    assert max(asked.values()) == 1


@pytest.mark.parametrize("code", REFUSALS, ids=str)
def test_what_it_fails_with_is_confirmed_by_a_get(code: Code) -> None:
    """NOT_FOUND and the like from WaitOperation count only if GetOperation agrees, at once (WAIT-5, WAIT-11)."""
    gone = failure(Code.NOT_FOUND)
    found = world(
        20,
        lambda send, _: (0.01, failure(code) if isinstance(send.step, LongPoll) else gone if send.index % 2 else DONE),
        long_poll=True,
    ).run()
    for index in range(20):
        assert found.kinds(index) == [LongPoll, Poll]
        assert found.step(index) == (GiveUp(GiveUpReason.NOT_FOUND, gone) if index % 2 else Finish(DONE))


def test_the_probe_may_end() -> None:
    """When the wait that asks for all ends otherwise, another one asks (WAIT-5, WAIT-11)."""
    well = ends(lambda _: 30.0)

    def server(send: Send, now: float) -> tuple[float, Reply]:
        return (0.01, PayloadDecodeError("no operation")) if send.index == 0 else well(send, now)

    found = world(50, server).run()
    assert {index for _, index in found.long_polls} == set(range(50))
    assert max(found.ended[index][0] for index in range(1, 50)) <= 30.1


def test_a_probe_that_is_answered_at_once_tells_all() -> None:
    """A WaitOperation that was served, if only because the operation is done, shows that the server has it (WAIT-5)."""
    found = world(50, ends(lambda index: 0.0 if index == 0 else 10.0)).run()
    assert max(at for at, _ in found.ended.values()) <= 10.1
    assert len(found.sent) <= 100


@pytest.mark.parametrize("support", [None, True])
def test_a_server_that_returns_at_once_is_spaced_like_a_poll(support: bool | None) -> None:
    """A server that does not hold WaitOperation gets no more RPCs than one that is polled (WAIT-5, WAIT-11)."""
    waits = world(100, ends(lambda _: 100.0, holds=False), long_poll=support).run()
    polls = world(100, ends(lambda _: 100.0), POLLS).run()
    assert len(waits.sent) <= len(polls.sent) * 1.05
    for index in range(100):
        asked = waits.asked(index)
        apart = [later - earlier for earlier, later in itertools.pairwise(asked)]
        assert all(gap >= min(1.5**number, 20) - 0.1 for number, gap in enumerate(apart))


def test_mixed_ways_share_no_bound() -> None:
    """Polls and long polls are bounded apart: long polls under way take no poll's place (WAIT-11)."""

    def server(send: Send, now: float) -> tuple[float, Reply]:
        if isinstance(send.step, LongPoll):
            return (0.01, failure(Code.PERMISSION_DENIED)) if send.index % 2 else (send.step.server_timeout, RUNNING)
        return 0.01, DONE

    found = world(20, server, limits=Limits(1, 20), long_poll=True).run(until=25)
    assert sorted(found.ended) == list(range(1, 20, 2))
    assert max(at for at, _ in found.ended.values()) < 1


# -- when to come back --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("support", [True, False])
@given(asked_for=st.floats(0.1, 200), jitter=st.floats(0, 0.9), seed=st.integers(0, 99))
@settings(max_examples=25)
def test_what_the_server_asked_for_is_the_least(support: bool, asked_for: float, jitter: float, seed: int) -> None:
    """After RetryInfo a wait sends nothing earlier than it says; the others are not held up (WAIT-8, WAIT-11)."""
    dice = random.Random(seed)
    told = failure(Code.RESOURCE_EXHAUSTED, retry_after=asked_for)
    replies = defaultdict[int, list[Reply]](list)
    replies.update({index: [told, DONE] for index in range(0, 30, 2)})

    def server(send: Send, now: float) -> tuple[float, Reply]:
        return 0.05, replies[send.index].pop(0) if replies[send.index] else DONE

    policy = PollPolicy(jitter=jitter)
    found = world(30, server, policy, limits=Limits(4), long_poll=support, chance=dice.random).run()
    for index in range(30):
        asked = found.asked(index)
        if index % 2:
            assert found.ended[index][0] < 1
        else:
            first, second = asked
            assert second - first >= asked_for + 0.05 - EPS
            assert second - first <= max(asked_for, 0.5) + 2


# -- snapshots from elsewhere -------------------------------------------------------------------------------------


def test_done_elsewhere_ends_a_sleeping_wait() -> None:
    """A done snapshot from elsewhere ends a wait that sleeps, without another RPC (WAIT-10, WAIT-11)."""
    found = world(3, never(), POLLS)
    found.run(until=0.5)
    found.fan_in.on_snapshot(1, DONE, 0.5)
    found.run(until=30)
    assert found.step(1) == Finish(DONE)
    assert found.ended[1][0] == 0.5
    assert found.asked(1) == [0.0]
    assert len(found.asked(0)) > 3


def test_done_elsewhere_ends_a_queued_wait() -> None:
    """A done snapshot from elsewhere ends a wait that has not got its turn, and no RPC is sent for it (WAIT-10, WAIT-11)."""
    found = world(3, never(1.0), POLLS, limits=Limits(1))
    found.send()
    for index in (2, 1):
        found.fan_in.on_snapshot(index, DONE, 0.1)
    found.run(until=30)
    assert list(found.ended) == [2, 1]
    assert {send.index for _, send in found.sent} == {0}


def test_a_snapshot_from_elsewhere_counts_as_a_poll() -> None:
    """A snapshot from elsewhere while a wait sleeps is its poll: the next one is an interval after it (WAIT-10, WAIT-11)."""
    found = world(1, never(0.0), POLLS)
    found.run(until=0.9)
    found.fan_in.on_snapshot(0, RUNNING, 0.9)
    found.run(until=5)
    assert found.asked(0) == pytest.approx([0.0, 2.4, 4.65])


def test_snapshots_from_elsewhere_can_do_all_the_polling() -> None:
    """Where somebody lists the operations again and again, none of them is polled any more (WAIT-10, WAIT-11)."""
    policy = PollPolicy(initial=2, maximum=2, jitter=0, use_wait_operation=False)
    found = world(100, never(), policy)
    found.run(until=1.0)
    for second in range(1, 50):
        for index in range(100):
            found.fan_in.on_snapshot(index, RUNNING, float(second))
        found.run(until=second + 1.0)
    assert len(found.sent) == 100


def test_how_old_a_snapshot_from_elsewhere_is_counts() -> None:
    """A snapshot from elsewhere that is some seconds old shortens the next pause by as much (WAIT-10, WAIT-11)."""
    found = world(1, never(0.0), EVERY_SECOND)
    found.run(until=0.5)
    found.fan_in.on_snapshot(0, RUNNING, 0.5, age=0.3)
    found.run(until=2)
    assert found.asked(0) == pytest.approx([0.0, 1.2])


def test_a_snapshot_for_a_queued_wait_is_its_poll() -> None:
    """A wait that has not got its turn need not ask what a list has just told (WAIT-10, WAIT-11)."""
    found = world(3, never(0.2), POLLS, limits=Limits(1))
    found.send()
    found.fan_in.on_snapshot(2, RUNNING, 0.0)
    found.run(until=1.1)
    assert [(at, send.index) for at, send in found.sent] == [(0.0, 0), (0.2, 1), (1.0, 2)]


@pytest.mark.parametrize("index", [0, 7, -1, 10_000])
def test_what_comes_late_is_ignored(index: int) -> None:
    """Replies for waits that are over, or that never were, change nothing (WAIT-11)."""
    found = world(1, scripts(DONE), POLLS).run()
    found.fan_in.on_snapshot(index, RUNNING, 1.0)
    found.fan_in.on_error(index, UNIMPLEMENTED, 1.0)
    found.fan_in.fail(index, PayloadDecodeError("no operation"))
    assert found.fan_in.pending == 0
    assert found.fan_in.outcomes() == []
    assert found.fan_in.sends(1e6) == []


def test_a_fresh_snapshot_counts_as_the_first_poll() -> None:
    """Of waits that will be polled, those whose snapshot is fresh sleep first (WAIT-10, WAIT-11)."""
    known: Known = [(RUNNING, 0.0), (RUNNING, 0.4), (RUNNING, 100.0), (None, 0.0)]
    found = world(0, never(0.0), EVERY_SECOND, known=known).run(until=0.5)
    assert [send.index for _, send in found.sent] == [2, 3]
    found.run(until=1.01)
    assert found.asked(1) == pytest.approx([0.6])
    assert found.asked(0) == [1.0]


# -- outages ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("support", [None, True, False])
def test_an_outage_is_survived_by_all(support: bool | None) -> None:
    """Several seconds without a server are not noticed by hundreds of waits (WAIT-6, WAIT-11, WAIT-12)."""
    well = ends(lambda _: 20.0, refusal=None if support else UNIMPLEMENTED)

    def server(send: Send, now: float) -> tuple[float, Reply]:
        if 3 <= now < 8:
            return 0.01, failure(Code.UNAVAILABLE)
        took, reply = well(send, now)
        return (8 - now, failure(Code.UNAVAILABLE)) if now < 3 < now + took else (took, reply)

    found = world(300, server, ANY_TIME, 900, long_poll=support, chance=random.Random(4).random).run()
    assert {type(found.step(index)) for index in range(300)} == {Finish}
    assert max(at for at, _ in found.ended.values()) <= 20 + 20


def test_retries_have_their_own_delays() -> None:
    """Waits whose polls fail are spaced by the retry policy, each by its own failures (WAIT-6, WAIT-11)."""
    policy = PollPolicy(
        jitter=0, retry=RetryPolicy(initial=3, multiplier=2, maximum=6), use_wait_operation=False
    )  # fmt: skip
    found = world(2, lambda send, _: (0.0, failure(Code.UNAVAILABLE) if send.index else RUNNING), policy)
    found.run(until=16)
    assert found.asked(1) == [0, 3, 9, 15]
    assert found.asked(0) == [0, 1, 2.5, 4.75, 8.125, 13.1875]


def indices(outcomes: Iterable[Outcome]) -> list[int]:
    return [outcome.index for outcome in outcomes]


def test_outcomes_are_told_once_and_in_order() -> None:
    """Asked for outcomes, a schedule tells what is over since the last time, in the order it came (WAIT-11)."""
    fan_in = FanIn(POLLS, None, [(None, 0.0)] * 4, 0.0, lambda: 0.0, limits=Limits())
    assert indices(fan_in.outcomes()) == []
    assert [send.index for send in fan_in.sends(0.0)] == [0, 1, 2, 3]
    for index in (2, 0):
        fan_in.on_snapshot(index, DONE, 0.1)
    assert fan_in.pending == 2
    assert indices(fan_in.outcomes()) == [2, 0]
    fan_in.on_error(3, failure(Code.NOT_FOUND), 0.2)
    assert indices(fan_in.outcomes()) == [3]
    assert fan_in.pending == 1
