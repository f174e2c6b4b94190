# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The poll machine: its steps, one by one, and whole waits on a simulated clock. No sockets, no sleep."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longrunning._polling import (
    Finish,
    GiveUp,
    GiveUpReason,
    Poll,
    PollFailure,
    PollState,
    Sleep,
    Step,
    begin,
    is_transient,
    jittered,
    newer,
    on_error,
    on_snapshot,
    on_wake,
)
from longrunning.operation import Operation
from longrunning.policy import PollPolicy, RetryPolicy
from longrunning.status import Code, Status
from tests.unit.builders import InstancePb, any_of, operation, status

Reply = Operation[Any, Any] | PollFailure
Answer = Callable[[int, Poll, float], tuple[float, Reply]]

RUNNING = operation(done=False)
DONE = operation()
FAILED = operation(error=status())
MALFORMED = {
    "response": operation(done=False, response=any_of(InstancePb(name="i"))),
    "error": operation(done=False, error=status()),
    "no name": operation(done=False, name=""),
}
PLAIN = PollPolicy(jitter=0)
HAIR = 0.001  # a timer may fire that early
ALMOST_1 = math.nextafter(1, 0)


def failure(code: Code | int = Code.UNAVAILABLE, *, transient: bool = False, closed: bool = False) -> PollFailure:
    return PollFailure(status=Status(code, "it failed"), transient=transient, closed=closed)


UNAVAILABLE = failure()


@dataclass
class Run:
    """A wait, executed on a clock that only moves as the steps say."""

    steps: list[Sleep | Poll] = field(default_factory=list[Sleep | Poll])
    times: list[float] = field(default_factory=list[float])  # when each of the steps began
    end: Finish | GiveUp | None = None
    now: float = 0.0

    @property
    def polls(self) -> list[tuple[float, Poll]]:
        return [(at, step) for at, step in zip(self.times, self.steps, strict=True) if isinstance(step, Poll)]

    @property
    def sleeps(self) -> list[float]:
        return [step.seconds for step in self.steps if isinstance(step, Sleep)]


def simulate(
    policy: PollPolicy,
    timeout: float | None,
    reply: Answer,
    *,
    snapshot: Operation[Any, Any] | None = None,
    age: float = 0.0,
    random: Callable[[], float] = lambda: 0.0,
    start: float = 0.0,
    limit: int = 2_000,
) -> Run:
    """Runs a wait: `reply` says of each poll, by its number and time, how long it takes and what it brings."""
    run, polled = Run(now=start), 0
    state, step = begin(policy, timeout, snapshot, age, run.now, random())
    for _ in range(limit):
        match step:
            case Finish() | GiveUp():
                run.end = step
                return run
            case Sleep(seconds):
                run.steps.append(step)
                run.times.append(run.now)
                run.now += seconds
                state, step = on_wake(state, run.now)
            case Poll():
                run.steps.append(step)
                run.times.append(run.now)
                took, brought = reply(polled, step, run.now)
                polled += 1
                run.now += took
                decide: Any = on_error if isinstance(brought, PollFailure) else on_snapshot
                state, step = decide(state, brought, run.now, random())
            case _:
                raise AssertionError(step)
    return run


def replies(*script: Reply) -> Answer:
    """Each poll takes no time and brings the next of these; the last one again and again."""
    return lambda number, _poll, _now: (0.0, script[min(number, len(script) - 1)])


def started(policy: PollPolicy = PLAIN, timeout: float | None = None, now: float = 0.0) -> PollState:
    return begin(policy, timeout, None, 0.0, now, 0.0)[0]


# -- the sequence -------------------------------------------------------------------------------------------------


def test_first_poll_then_sleep() -> None:
    """A wait polls first and sleeps after each poll that was not the last (WAIT-1)."""
    run = simulate(PLAIN, None, replies(RUNNING, RUNNING, RUNNING, DONE))
    first, *rest = run.steps
    assert isinstance(first, Poll)
    assert first.rpc_timeout == 30
    assert rest == [
        Sleep(1.0),
        Poll(30.0, max_age=1.0),
        Sleep(1.5),
        Poll(30.0, max_age=1.5),
        Sleep(2.25),
        Poll(30.0, max_age=2.25),
    ]
    assert run.end == Finish(DONE)


def test_delays_grow_up_to_the_maximum() -> None:
    """The delay after poll n is initial * multiplier**n, up to the maximum and never above (WAIT-1)."""
    policy = PollPolicy(initial=2, multiplier=3, maximum=30, jitter=0)
    assert simulate(policy, None, replies(*[RUNNING] * 6, DONE)).sleeps == [2, 6, 18, 30, 30, 30]


def test_a_multiplier_of_one_keeps_the_delay() -> None:
    """With a multiplier of 1 every delay is the same (WAIT-1)."""
    policy = PollPolicy(initial=7, multiplier=1, maximum=7, jitter=0)
    assert simulate(policy, None, replies(*[RUNNING] * 5, DONE)).sleeps == [7] * 5


def test_delays_start_over_with_every_wait() -> None:
    """A second wait with the same policy begins with the initial delay: the policy holds no state (WAIT-1)."""
    first = simulate(PLAIN, None, replies(RUNNING, RUNNING, DONE))
    assert simulate(PLAIN, None, replies(RUNNING, RUNNING, DONE)).steps == first.steps


def test_growth_never_overflows() -> None:
    """A wait of many thousand polls with a steep multiplier stays at the maximum (WAIT-1)."""
    policy = PollPolicy(initial=1, multiplier=1e308, maximum=20, jitter=0)
    run = simulate(policy, None, replies(RUNNING), limit=20_001)
    assert run.end is None
    assert set(run.sleeps[1:]) == {20.0}


@given(delay=st.floats(0, 1e6), jitter=st.floats(0, 1), random=st.floats(0, ALMOST_1))
def test_jitter_only_shortens(delay: float, jitter: float, random: float) -> None:
    """Jitter takes away at most its share of a delay and never adds to it (WAIT-1)."""
    assert delay * (1 - jitter) - 1e-6 <= jittered(delay, jitter, random) <= delay


@given(
    initial=st.floats(0.001, 100),
    growth=st.floats(1, 10),
    span=st.floats(1, 100),
    jitter=st.floats(0, 1),
    randoms=st.lists(st.floats(0, ALMOST_1), min_size=13, max_size=13),
)
def test_every_delay_keeps_within_its_bounds(
    initial: float, growth: float, span: float, jitter: float, randoms: list[float]
) -> None:
    """Every sleep of a wait is between (1 - jitter) and all of its delay, and at most the maximum (WAIT-1)."""
    policy = PollPolicy(initial=initial, multiplier=growth, maximum=initial * span, jitter=jitter)
    numbers = iter(randoms)
    run = simulate(policy, None, replies(*[RUNNING] * 11, DONE), random=lambda: next(numbers))
    assert len(run.sleeps) == 11
    nominal = policy.initial
    for slept in run.sleeps:
        assert nominal * (1 - jitter) - 1e-9 <= slept <= nominal <= policy.maximum
        nominal = min(nominal * growth, policy.maximum)


# -- done already -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [None, 0.0, 5.0])
@pytest.mark.parametrize("age", [0.0, 1e9])
@pytest.mark.parametrize("done", [DONE, FAILED])
def test_done_already_is_the_end(done: Operation[Any, Any], age: float, timeout: float | None) -> None:
    """Waiting for what is done ends at once with the same snapshot object, however old it is (WAIT-2)."""
    _, step = begin(PollPolicy(), timeout, done, age, 1_000.0, 0.5)
    assert isinstance(step, Finish)
    assert step.operation is done


def test_done_ends_the_wait_whatever_the_time() -> None:
    """A done snapshot finishes the wait even if it comes with the last poll, or as the last attempt (WAIT-3)."""
    policy = PollPolicy(jitter=0, max_attempts=1)
    assert simulate(policy, 0, lambda _number, poll, _now: (poll.rpc_timeout, DONE)).end == Finish(DONE)


# -- the timeout --------------------------------------------------------------------------------------------------


def test_a_timeout_of_zero_is_one_poll() -> None:
    """A timeout of 0 is exactly one poll, with the time of the last one (WAIT-3)."""
    for brought, end in ((RUNNING, GiveUp(GiveUpReason.TIMEOUT)), (DONE, Finish(DONE))):
        run = simulate(PollPolicy(final_poll_timeout=3), 0, replies(brought))
        assert run.steps == [Poll(3.0, 0.0, shared=False)]
        assert run.end == end


def test_a_timeout_of_zero_polls_though_a_fresh_snapshot_is_there() -> None:
    """With a timeout of 0 no snapshot is fresh enough to spare the one poll (WAIT-3)."""
    run = simulate(PLAIN, 0, replies(DONE), snapshot=RUNNING, age=0.0)
    assert run.steps == [Poll(5.0, shared=False)]
    assert run.end == Finish(DONE)


def test_a_timeout_of_zero_is_a_poll_even_if_it_is_the_only_attempt() -> None:
    """With a timeout of 0 a fresh snapshot does not use up the one attempt there is (WAIT-3)."""
    run = simulate(PollPolicy(max_attempts=1), 0, replies(DONE), snapshot=RUNNING)
    assert run.end == Finish(DONE)


def test_no_timeout_never_ends() -> None:
    """Without a timeout a wait outlasts days of polls and failures (WAIT-3)."""
    run = simulate(
        PLAIN, None, lambda number, _poll, _now: (0.0, UNAVAILABLE if number % 3 else RUNNING), limit=100_000
    )
    assert run.end is None
    assert run.now > 3 * 24 * 3600
    assert {poll.rpc_timeout for _, poll in run.polls} == {30.0}


def test_sleeps_and_polls_are_clipped_to_the_deadline() -> None:
    """Sleeps end at the deadline, and a last poll with a time of its own starts right there (WAIT-3)."""
    run = simulate(PLAIN, 3.0, replies(RUNNING))
    first, *rest = run.steps
    assert isinstance(first, Poll)
    assert first.rpc_timeout == 3
    assert rest == [
        Sleep(1.0),
        Poll(2.0, max_age=1.0),
        Sleep(1.5),
        Poll(0.5, max_age=1.5),
        Sleep(0.5),
        Poll(5.0, shared=False),
    ]
    assert run.polls[-1][0] == 3.0
    assert run.end == GiveUp(GiveUpReason.TIMEOUT)


def test_the_last_poll_may_still_find_it_done() -> None:
    """An operation that is done by the deadline is found done by the poll that starts there (WAIT-3)."""
    run = simulate(PLAIN, 3.0, replies(RUNNING, RUNNING, RUNNING, DONE))
    assert run.end == Finish(DONE)


def test_the_timeout_counts_from_the_begin() -> None:
    """The deadline is relative to the begin, wherever the clock stands then (WAIT-3)."""
    run = simulate(PLAIN, 3.0, replies(RUNNING), start=1e6)
    assert run.polls[-1][0] == 1e6 + 3


def test_a_poll_under_way_at_the_deadline_is_followed_by_the_last_one() -> None:
    """A poll that is under way when the time runs out does not count as the last one (WAIT-3)."""
    run = simulate(PLAIN, 3.0, lambda _number, poll, _now: (poll.rpc_timeout, RUNNING))
    assert [(poll.rpc_timeout, poll.shared) for _, poll in run.polls] == [(3.0, True), (5.0, False)]
    assert run.now == 8.0


def test_a_timer_that_fires_a_hair_early_is_at_the_deadline() -> None:
    """A wake-up half a millisecond before the deadline starts the last poll, not one with no time (WAIT-3)."""
    state = started(timeout=3.0)
    state, step = on_snapshot(state, RUNNING, 2.5, 0.0)
    assert step == Sleep(0.5)
    assert on_wake(state, 2.9995)[1] == Poll(5.0, shared=False)
    assert on_wake(state, 2.9)[1] == Poll(pytest.approx(0.1), max_age=1.0)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def test_a_wake_up_after_the_deadline_is_the_last_poll() -> None:
    """A timer that fires late, past the deadline, is followed by one last poll (WAIT-3)."""
    state, _ = on_snapshot(started(timeout=3.0), RUNNING, 2.5, 0.0)
    state, step = on_wake(state, 500.0)
    assert step == Poll(5.0, shared=False)
    assert on_snapshot(state, RUNNING, 501.0, 0.0)[1] == GiveUp(GiveUpReason.TIMEOUT)


def make_policy(
    initial: float,
    growth: float,
    span: float,
    jitter: float,
    final: float,
    retry_initial: float,
    retry_span: float,
    rpc: float,
) -> PollPolicy:
    """A policy from numbers that always make one."""
    return PollPolicy(
        initial=initial,
        multiplier=growth,
        maximum=initial * span,
        jitter=jitter,
        final_poll_timeout=final,
        retry=RetryPolicy(initial=retry_initial, maximum=retry_initial * retry_span, rpc_timeout=rpc),
    )


policies = st.builds(
    make_policy,
    st.floats(0.5, 30),
    st.floats(1, 5),
    st.floats(1, 20),
    st.floats(0, 0.9),
    st.floats(0.01, 10),
    st.floats(0.5, 10),
    st.floats(1, 20),
    st.floats(0.01, 60),
)


@given(
    policy=policies,
    timeout=st.floats(0, 120),
    start=st.floats(0, 1e6),
    schedule=st.lists(
        st.tuples(st.floats(0, 1), st.sampled_from(["running", "down", "slow"])), min_size=1, max_size=30
    ),
    random=st.floats(0, ALMOST_1),
    fresh=st.booleans(),
)
def test_a_wait_ends_neither_early_nor_late(
    policy: PollPolicy,
    timeout: float,
    start: float,
    schedule: list[tuple[float, str]],
    random: float,
    fresh: bool,
) -> None:
    """Whatever the RPCs do, a wait ends between timeout and timeout + final_poll_timeout (WAIT-3)."""

    def reply(number: int, poll: Poll, _: float) -> tuple[float, Reply]:
        share, outcome = schedule[number % len(schedule)]
        if outcome == "slow":
            return poll.rpc_timeout, failure(Code.DEADLINE_EXCEEDED)
        return share * poll.rpc_timeout, RUNNING if outcome == "running" else UNAVAILABLE

    run = simulate(policy, timeout, reply, start=start, random=lambda: random, snapshot=RUNNING if fresh else None)
    deadline, eps = start + timeout, 1e-6
    assert isinstance(run.end, GiveUp)
    assert run.end.reason is GiveUpReason.TIMEOUT
    assert deadline - HAIR <= run.now <= deadline + policy.final_poll_timeout + eps
    *regular, (last_start, last) = run.polls
    assert deadline - HAIR - eps <= last_start <= deadline + eps
    assert last == Poll(policy.final_poll_timeout, shared=False)
    for at, poll in regular:
        assert poll.shared
        assert poll.rpc_timeout <= policy.retry.rpc_timeout
        assert at + poll.rpc_timeout <= deadline + eps
    for at, step in zip(run.times, run.steps, strict=True):
        if isinstance(step, Sleep):
            assert 0 <= step.seconds <= max(policy.maximum, policy.retry.maximum)
            assert at + step.seconds <= deadline + eps


@given(policy=policies, timeout=st.floats(0, 120), when=st.floats(0, 1), random=st.floats(0, ALMOST_1))
def test_what_is_done_by_the_deadline_is_never_given_up(
    policy: PollPolicy, timeout: float, when: float, random: float
) -> None:
    """An operation that is done before the deadline always ends the wait well, however it is polled (WAIT-3)."""
    done_at = when * max(0.0, timeout - HAIR)
    run = simulate(
        policy, timeout, lambda _, poll, now: (0.0, DONE if now >= done_at else RUNNING), random=lambda: random
    )
    assert run.end == Finish(DONE)


@given(policy=policies, timeout=st.floats(0, 120), up_at=st.floats(0, 1), random=st.floats(0, ALMOST_1))
def test_an_outage_that_ends_by_the_deadline_is_survived(
    policy: PollPolicy, timeout: float, up_at: float, random: float
) -> None:
    """A server that is back by the deadline always tells the wait that the operation is done (WAIT-3, WAIT-6)."""
    back = up_at * max(0.0, timeout - HAIR)
    run = simulate(
        policy, timeout, lambda _, poll, now: (0.0, DONE if now >= back else UNAVAILABLE), random=lambda: random
    )
    assert run.end == Finish(DONE)


# -- failed polls -------------------------------------------------------------------------------------------------

PASSING = {Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.CANCELLED}
CODES = [*Code, 17, 99, -1]


@pytest.mark.parametrize("code", CODES, ids=str)
def test_every_code_is_classified(code: Code | int) -> None:
    """Three codes pass, NOT_FOUND is its own end, every other code ends the wait with the failure (WAIT-6, WAIT-7)."""
    brought = failure(code)
    run = simulate(PLAIN, None, replies(brought, DONE))
    if code in PASSING:
        assert run.end == Finish(DONE)
        assert len(run.polls) == 2
    else:
        reason = GiveUpReason.NOT_FOUND if code == Code.NOT_FOUND else GiveUpReason.FAILED
        assert isinstance(run.end, GiveUp)
        assert run.end.reason is reason
        assert run.end.failure is brought
        assert len(run.polls) == 1
    assert is_transient(PLAIN, brought) == (code in PASSING)


@pytest.mark.parametrize("code", [code for code in CODES if code != Code.NOT_FOUND], ids=str)
def test_what_the_transport_knows_to_pass_is_retried(code: Code | int) -> None:
    """A failure the transport calls transient, such as a reset connection, is retried whatever its code (WAIT-6)."""
    assert simulate(PLAIN, None, replies(failure(code, transient=True), DONE)).end == Finish(DONE)


@pytest.mark.parametrize("code", [code for code in CODES if code != Code.NOT_FOUND], ids=str)
def test_a_closed_channel_is_never_retried(code: Code | int) -> None:
    """A channel closed on this side ends the wait, whatever the code and the policy say (WAIT-6)."""
    brought = failure(code, closed=True, transient=True)
    policy = PollPolicy(retry=RetryPolicy(codes=[code]))
    run = simulate(policy, None, replies(brought, DONE))
    assert run.end == GiveUp(GiveUpReason.FAILED, brought)


def test_the_codes_that_pass_are_the_policys() -> None:
    """Which codes pass is up to the retry policy, also for numbers no code has (WAIT-6)."""
    policy = PollPolicy(retry=RetryPolicy(codes=[10, Code.INTERNAL, 99]))
    for code in (Code.ABORTED, Code.INTERNAL, 99):
        assert simulate(policy, None, replies(failure(code), DONE)).end == Finish(DONE)
    assert isinstance(simulate(policy, None, replies(UNAVAILABLE, DONE)).end, GiveUp)


def test_not_found_is_never_retried() -> None:
    """NOT_FOUND ends a wait at its first poll, even where a policy or a transport would retry it (WAIT-7)."""
    policy = PollPolicy(retry=RetryPolicy(codes=[Code.NOT_FOUND]))
    run = simulate(policy, None, replies(failure(Code.NOT_FOUND, transient=True), DONE))
    assert isinstance(run.end, GiveUp)
    assert run.end.reason is GiveUpReason.NOT_FOUND


def test_failed_polls_are_retried_with_growing_delays() -> None:
    """Polls that keep failing are retried after 0.5 s, then twice as long each time, up to 5 s (WAIT-6)."""
    run = simulate(PLAIN, None, replies(*[UNAVAILABLE] * 7, DONE))
    assert run.sleeps == [0.5, 1, 2, 4, 5, 5, 5]
    assert run.end == Finish(DONE)


def test_a_success_resets_the_retry_delay() -> None:
    """After a poll that worked the next failure starts with the first retry delay again (WAIT-6)."""
    run = simulate(PLAIN, None, replies(UNAVAILABLE, UNAVAILABLE, RUNNING, UNAVAILABLE, RUNNING, DONE))
    assert run.sleeps == [0.5, 1, 1, 0.5, 1.5]


def test_failures_do_not_lengthen_the_poll_interval() -> None:
    """The interval grows with answers, not with failures (WAIT-1, WAIT-6)."""
    run = simulate(PLAIN, None, replies(RUNNING, *[UNAVAILABLE] * 4, RUNNING, RUNNING, DONE))
    assert run.sleeps == [1, 0.5, 1, 2, 4, 1.5, 2.25]


def test_retry_delays_never_overflow() -> None:
    """A night of outage overflows no delay, however steeply it grows (WAIT-6)."""
    policy = PollPolicy(jitter=0, retry=RetryPolicy(multiplier=1e308, maximum=9))
    run = simulate(policy, None, replies(UNAVAILABLE), limit=20_001)
    assert run.end is None
    assert set(run.sleeps[1:]) == {9.0}


@given(random=st.floats(0, ALMOST_1), jitter=st.floats(0, 1))
def test_retry_delays_are_jittered(random: float, jitter: float) -> None:
    """A retry delay is shortened by the same share of jitter as a poll interval (WAIT-1, WAIT-6)."""
    run = simulate(PollPolicy(jitter=jitter), None, replies(*[UNAVAILABLE] * 3, DONE), random=lambda: random)
    assert run.sleeps == pytest.approx([delay * (1 - jitter * random) for delay in (0.5, 1, 2)])


def test_retries_have_no_budget_of_their_own() -> None:
    """Failing polls are retried until the very deadline of the wait, and end it as a timeout (WAIT-3, WAIT-6)."""
    run = simulate(PLAIN, 900, replies(UNAVAILABLE))
    assert run.now == 900
    assert run.end == GiveUp(GiveUpReason.TIMEOUT, UNAVAILABLE)


def test_a_timeout_tells_the_last_failure() -> None:
    """When the last poll failed, the timeout carries that failure; when it worked, none (WAIT-4)."""
    other = failure(Code.DEADLINE_EXCEEDED)
    assert simulate(PLAIN, 1, replies(UNAVAILABLE, UNAVAILABLE, other)).end == GiveUp(GiveUpReason.TIMEOUT, other)
    assert simulate(PLAIN, 1, replies(UNAVAILABLE, UNAVAILABLE, RUNNING)).end == GiveUp(GiveUpReason.TIMEOUT)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (Code.UNAVAILABLE, GiveUpReason.TIMEOUT),
        (Code.DEADLINE_EXCEEDED, GiveUpReason.TIMEOUT),
        (Code.PERMISSION_DENIED, GiveUpReason.FAILED),
        (Code.NOT_FOUND, GiveUpReason.NOT_FOUND),
    ],
)
def test_the_last_poll_fails_like_any_other(code: Code, reason: GiveUpReason) -> None:
    """A passing fault of the last poll is a timeout, a lasting one is itself (WAIT-4, WAIT-6, WAIT-7)."""
    brought = failure(code)
    assert simulate(PLAIN, 0, replies(brought)).end == GiveUp(reason, brought)


# -- max_attempts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("maximum", [1, 2, 5])
@pytest.mark.parametrize("timeout", [None, 900.0])
def test_max_attempts_bounds_the_polls(maximum: int, timeout: float | None) -> None:
    """After max_attempts polls a wait ends at once, without another sleep (WAIT-1)."""
    run = simulate(PollPolicy(max_attempts=maximum), timeout, replies(RUNNING))
    assert len(run.polls) == maximum
    assert len(run.sleeps) == maximum - 1
    assert run.end == GiveUp(GiveUpReason.ATTEMPTS)


def test_failed_polls_count_as_attempts() -> None:
    """A failed poll is an attempt too, and the last failure is told (WAIT-1, WAIT-4)."""
    run = simulate(PollPolicy(max_attempts=3), None, replies(RUNNING, UNAVAILABLE))
    assert len(run.polls) == 3
    assert run.end == GiveUp(GiveUpReason.ATTEMPTS, UNAVAILABLE)


def test_done_with_the_last_attempt_is_done() -> None:
    """An operation that is done at the last of max_attempts polls is done (WAIT-1)."""
    assert simulate(PollPolicy(max_attempts=2), None, replies(RUNNING, DONE)).end == Finish(DONE)


# -- malformed ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("malformed", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_reply_ends_the_wait(malformed: Operation[Any, Any]) -> None:
    """A reply that is not done but holds a result, or has no name to ask for, ends the wait as malformed (SNAP-3)."""
    run = simulate(PLAIN, None, replies(RUNNING, malformed, DONE))
    assert run.end == GiveUp(GiveUpReason.MALFORMED)
    assert len(run.polls) == 2


@pytest.mark.parametrize("malformed", MALFORMED.values(), ids=MALFORMED)
def test_a_wait_for_what_is_malformed_already_polls_nothing(malformed: Operation[Any, Any]) -> None:
    """A wait that begins with a malformed snapshot ends at once (SNAP-3)."""
    run = simulate(PLAIN, None, replies(DONE), snapshot=malformed, age=1e9)
    assert run.steps == []
    assert run.end == GiveUp(GiveUpReason.MALFORMED)


# -- snapshots of others ------------------------------------------------------------------------------------------


@given(age=st.floats(0, 3), initial=st.floats(0.5, 2), random=st.floats(0, ALMOST_1))
def test_a_snapshot_younger_than_the_interval_counts_as_the_first_poll(
    age: float, initial: float, random: float
) -> None:
    """A wait begins with a sleep for the rest of its interval if there is a fresh snapshot, else with a poll (WAIT-10)."""
    policy = PollPolicy(initial=initial, jitter=0.5)
    state, step = begin(policy, None, RUNNING, age, 10.0, random)
    if age < initial:
        assert isinstance(step, Sleep)
        assert step.seconds == pytest.approx(max(0.0, initial * (1 - 0.5 * random) - age))
        assert state.attempts == 1
    else:
        assert isinstance(step, Poll)
        assert state.attempts == 0


def test_a_fresh_snapshot_counts_as_an_attempt() -> None:
    """A snapshot that counts as the first poll counts as the first of max_attempts too (WAIT-10)."""
    run = simulate(PollPolicy(max_attempts=2), None, replies(RUNNING), snapshot=RUNNING)
    assert len(run.polls) == 1
    assert run.end == GiveUp(GiveUpReason.ATTEMPTS)


@given(age=st.floats(0, 2))
def test_a_snapshot_of_another_waiter_counts_from_when_it_was_taken(age: float) -> None:
    """After a snapshot that another waiter took, the sleep lasts for the rest of the interval (WAIT-10)."""
    state, _ = on_snapshot(started(), RUNNING, 0.0, 0.0)
    _, step = on_snapshot(state, RUNNING, 1.0, 0.0, age=age)
    assert step == Sleep(pytest.approx(max(0.0, 1.5 - age)))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


@given(random=st.floats(0, ALMOST_1), jitter=st.floats(0, 1), polls=st.integers(1, 8))
def test_after_a_sleep_what_was_taken_meanwhile_counts(random: float, jitter: float, polls: int) -> None:
    """A poll says how young a snapshot must be to stand in for it: younger than the sleep before it (WAIT-10)."""
    run = simulate(PollPolicy(jitter=jitter), None, replies(*[RUNNING] * polls, DONE), random=lambda: random)
    assert [poll.max_age for _, poll in run.polls[1:]] == run.sleeps


def test_the_last_poll_is_its_own() -> None:
    """The last poll of a wait takes neither what was brought before it nor what is under way (WAIT-3, WAIT-10)."""
    run = simulate(PLAIN, 3.0, replies(RUNNING))
    assert [(poll.max_age, poll.shared) for _, poll in run.polls[1:]] == [(1, True), (1.5, True), (0, False)]


# -- which snapshot is newer --------------------------------------------------------------------------------------


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=8, unique_by=lambda pair: pair[1]
    ).flatmap(lambda asked: st.permutations([(float(when), operation(done=done)) for done, when in asked]))
)
def test_replies_in_any_order_leave_the_newest(arrivals: list[tuple[float, Operation[Any, Any]]]) -> None:
    """Whatever the order of replies: the first done one stays, else the one whose request was last (SNAP-6)."""
    mine: Operation[Any, Any] | None = None
    mine_asked = 0.0
    for asked, reply in arrivals:
        before = mine
        if newer(mine, mine_asked, reply, asked):
            mine, mine_asked = reply, asked
        if before is not None and before.done:
            assert mine is before
    done = [reply for _, reply in arrivals if reply.done]
    assert mine is (done[0] if done else max(arrivals, key=lambda pair: pair[0])[1])


@pytest.mark.parametrize("asked", [0.0, 5.0, 10.0])
def test_done_never_turns_back(asked: float) -> None:
    """Neither a late reply nor a newer one replaces a done snapshot, not even by another done one (SNAP-6)."""
    for theirs in (RUNNING, DONE, FAILED):
        assert not newer(DONE, 5.0, theirs, asked)


def test_a_done_reply_counts_however_old_its_request() -> None:
    """A reply that says done replaces a snapshot that is not, even if its request was the older one (SNAP-6)."""
    assert newer(RUNNING, 5.0, DONE, 1.0)
    assert not newer(RUNNING, 5.0, RUNNING, 1.0)
    assert newer(None, 5.0, RUNNING, 1.0)


# -- what it is ---------------------------------------------------------------------------------------------------


def test_the_machine_is_a_function() -> None:
    """The same arguments give the same step, and a state that was used once can be used again (law 2)."""
    state = started(timeout=9.0)
    decisions: list[Callable[[], tuple[PollState, Step]]] = [
        lambda: begin(PLAIN, 9.0, None, 0.0, 0.0, 0.5),
        lambda: on_snapshot(state, RUNNING, 1.0, 0.5),
        lambda: on_error(state, UNAVAILABLE, 1.0, 0.5),
        lambda: on_wake(state, 1.0),
    ]
    first = [decide() for decide in decisions]
    assert [decide() for decide in reversed(decisions)] == first[::-1]


def test_states_and_steps_are_frozen() -> None:
    """States, steps and failures are values that nobody can change (law 2)."""
    values: list[Any] = [started(), Sleep(1.0), Poll(1.0), Finish(DONE), GiveUp(GiveUpReason.TIMEOUT), UNAVAILABLE]
    for value in values:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, dataclasses.fields(value)[0].name, None)
