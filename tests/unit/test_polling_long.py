# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The poll machine where the server waits itself (WaitOperation), and where it says when to come back (RetryInfo)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longrunning._polling import (
    Finish,
    GiveUp,
    GiveUpReason,
    LongPoll,
    Poll,
    PollFailure,
    PollState,
    Sleep,
    Step,
    begin,
    is_transient,
    on_error,
    on_snapshot,
    on_wake,
)
from longrunning.operation import Operation
from longrunning.policy import PollPolicy, RetryPolicy
from longrunning.status import Code, Status
from tests.unit.builders import InstancePb, any_of, operation, status

Reply: TypeAlias = Operation[Any, Any] | PollFailure
Server: TypeAlias = Callable[[Poll | LongPoll, float], tuple[float, Reply]]

RUNNING = operation(done=False)
DONE = operation()
FAILED = operation(error=status())
MALFORMED = operation(done=False, response=any_of(InstancePb(name="i")))
PLAIN = PollPolicy(jitter=0)
HAIR = 0.001  # a timer may fire that early
EPS = 1e-6
ALMOST_1 = math.nextafter(1, 0)

PASSING = {Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.CANCELLED}
RETRIABLE = {Code.RESOURCE_EXHAUSTED, Code.ABORTED, Code.INTERNAL, Code.UNKNOWN}
LASTING = [code for code in (*Code, 17, 99) if code not in PASSING and code != Code.OK]


def failure(code: Code | int, **options: Any) -> PollFailure:
    return PollFailure(status=Status(code, "it failed"), **options)


@dataclass
class Run:
    """A wait, executed on a clock that only moves as the steps say."""

    steps: list[tuple[float, Step]] = field(default_factory=list[tuple[float, Step]])
    end: Finish | GiveUp | None = None
    now: float = 0.0

    @property
    def rpcs(self) -> list[Poll | LongPoll]:
        return [step for _, step in self.steps if isinstance(step, (Poll, LongPoll))]

    @property
    def kinds(self) -> list[type]:
        return [type(step) for step in self.rpcs]

    @property
    def asked(self) -> list[float]:
        """When each of the RPCs was sent."""
        return [at for at, step in self.steps if not isinstance(step, Sleep)]

    @property
    def sleeps(self) -> list[float]:
        return [step.seconds for _, step in self.steps if isinstance(step, Sleep)]


def simulate(
    server: Server,
    timeout: float | None = None,
    policy: PollPolicy = PLAIN,
    *,
    snapshot: Operation[Any, Any] | None = None,
    long_poll: bool = True,
    random: Callable[[], float] = lambda: 0.0,
    start: float = 0.0,
    limit: int = 1_000,
) -> Run:
    """Runs a wait: the server says of each RPC how long it takes and what it brings; never longer than the RPC may."""
    run = Run(now=start)
    state, step = begin(policy, timeout, snapshot, 0.0, start, random(), long_poll=long_poll)
    for _ in range(limit):
        if isinstance(step, (Finish, GiveUp)):
            run.end = step
            return run
        run.steps.append((run.now, step))
        if isinstance(step, Sleep):
            run.now += step.seconds
            state, step = on_wake(state, run.now)
            continue
        took, brought = server(step, run.now)
        if took > step.rpc_timeout:
            took, brought = step.rpc_timeout, failure(Code.DEADLINE_EXCEEDED)
        run.now += took
        decide: Any = on_error if isinstance(brought, PollFailure) else on_snapshot
        state, step = decide(state, brought, run.now, random())
    return run


def script(*replies: Reply, took: float = 0.0) -> Server:
    """Each RPC brings the next of these; the last one again and again."""
    rest = list(replies)
    return lambda _step, _now: (took, rest.pop(0) if len(rest) > 1 else rest[0])


def holds(done_at: float = math.inf) -> Server:
    """A server that holds a WaitOperation as long as it may, or until the operation is done."""

    def server(step: Poll | LongPoll, now: float) -> tuple[float, Reply]:
        if now >= done_at:
            return 0.0, DONE
        if isinstance(step, Poll):
            return 0.0, RUNNING
        left = done_at - now
        return (left, DONE) if left <= step.server_timeout else (step.server_timeout, RUNNING)

    return server


def refuses(refusal: PollFailure, otherwise: Server) -> Server:
    """A server whose WaitOperation fails, always the same way."""
    return lambda step, now: (0.0, refusal) if isinstance(step, LongPoll) else otherwise(step, now)


def asking(timeout: float | None = None, policy: PollPolicy = PLAIN) -> PollState:
    """A wait with a WaitOperation under way, since 0."""
    state, step = begin(policy, timeout, None, 0.0, 0.0, 0.0, long_poll=True)
    assert isinstance(step, LongPoll)
    return state


# -- what is asked ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timeout", "expected"), [(None, 30), (900, 30), (31, 30), (30, 30), (29.5, 29.5), (12, 12), (0.5, 0.5)]
)
def test_the_server_waits_for_30_seconds_or_what_is_left(timeout: float | None, expected: float) -> None:
    """A WaitOperation asks the server to hold it for 30 s, or for the time left if that is less (WAIT-5)."""
    _, step = begin(PLAIN, timeout, None, 0.0, 1e6, 0.0, long_poll=True)
    assert isinstance(step, LongPoll)
    assert step.server_timeout == pytest.approx(expected)


@given(timeout=st.floats(0.01, 1e4), start=st.floats(0, 1e6), random=st.floats(0, ALMOST_1))
def test_every_long_poll_keeps_within_the_time_left(timeout: float, start: float, random: float) -> None:
    """No WaitOperation asks for more than 30 s or the time left, and none outlasts the deadline (WAIT-5, WAIT-3)."""
    run = simulate(holds(), timeout, start=start, random=lambda: random)
    deadline = start + timeout
    assert run.kinds == [LongPoll] * (len(run.rpcs) - 1) + [Poll]
    for at, step in zip(run.asked, run.rpcs, strict=True):
        if isinstance(step, LongPoll):
            assert step.server_timeout == pytest.approx(min(30, deadline - at), abs=1e-3)
            assert step.server_timeout <= step.rpc_timeout
            assert at + step.rpc_timeout <= deadline + EPS


def test_the_reply_has_time_to_travel() -> None:
    """While there is time, a WaitOperation may take longer than the server is asked to hold it (WAIT-5)."""
    _, step = begin(PLAIN, 900, None, 0.0, 0.0, 0.0, long_poll=True)
    assert isinstance(step, LongPoll)
    assert 1 <= step.rpc_timeout - step.server_timeout <= 10


def test_the_first_rpc_is_a_long_poll_though_there_is_a_fresh_snapshot() -> None:
    """Where the server waits, a snapshot just taken delays nothing: the wait asks at once (WAIT-5)."""
    _, step = begin(PLAIN, None, RUNNING, 0.0, 0.0, 0.0, long_poll=True)
    assert isinstance(step, LongPoll)
    assert step.max_age == 0


@pytest.mark.parametrize("timeout", [None, 0.0, 5.0])
def test_done_already_asks_nothing(timeout: float | None) -> None:
    """What is done already is the end of a wait that would long-poll, too (WAIT-2, WAIT-5)."""
    for done in (DONE, FAILED):
        run = simulate(script(RUNNING), timeout, snapshot=done)
        assert run.rpcs == []
        assert isinstance(run.end, Finish)
        assert run.end.operation is done


def test_one_long_poll_is_enough() -> None:
    """An operation that ends while the server holds the WaitOperation costs that one RPC, and no sleep (WAIT-5)."""
    run = simulate(holds(done_at=21), 900)
    assert run.kinds == [LongPoll]
    assert run.end == Finish(DONE)
    assert run.now == 21


@given(done_at=st.floats(0, 200), random=st.floats(0, ALMOST_1))
def test_the_end_is_noticed_when_it_comes(done_at: float, random: float) -> None:
    """A server that holds WaitOperation has its operation noticed at the very time it is done, with few RPCs (WAIT-5)."""
    run = simulate(holds(done_at), 900, random=lambda: random)
    assert run.end == Finish(DONE)
    assert run.now == pytest.approx(done_at)
    assert len(run.rpcs) == math.floor(done_at / 30 + 1e-9) + 1 or done_at % 30 < 1e-6
    assert run.sleeps == []


def test_a_malformed_reply_ends_a_long_poll() -> None:
    """A WaitOperation that brings a malformed operation ends the wait as malformed (SNAP-3, WAIT-5)."""
    run = simulate(script(MALFORMED))
    assert run.kinds == [LongPoll]
    assert run.end == GiveUp(GiveUpReason.MALFORMED)


def test_long_polls_count_as_attempts() -> None:
    """A WaitOperation is one of max_attempts, like any poll (WAIT-1, WAIT-5)."""
    run = simulate(holds(), None, PollPolicy(jitter=0, max_attempts=3))
    assert run.kinds == [LongPoll] * 3
    assert run.end == GiveUp(GiveUpReason.ATTEMPTS)


# -- the server has none ------------------------------------------------------------------------------------------

UNIMPLEMENTED = failure(Code.UNIMPLEMENTED)


def test_polling_takes_over_at_once() -> None:
    """After UNIMPLEMENTED a wait goes on with GetOperation, without a pause, and never asks again (WAIT-5)."""
    run = simulate(refuses(UNIMPLEMENTED, script(RUNNING, RUNNING, RUNNING, DONE)), 900)
    assert run.kinds == [LongPoll, Poll, Poll, Poll, Poll]
    assert run.sleeps == [1, 1.5, 2.25]
    assert run.end == Finish(DONE)


def test_a_refusal_is_no_attempt() -> None:
    """With max_attempts=1 a server without WaitOperation still gets its one GetOperation (WAIT-5)."""
    run = simulate(refuses(UNIMPLEMENTED, script(DONE)), 900, PollPolicy(max_attempts=1))
    assert run.kinds == [LongPoll, Poll]
    assert run.end == Finish(DONE)


@pytest.mark.parametrize("how", ["by the policy", "by the transport"])
def test_a_refusal_is_never_retried(how: str) -> None:
    """UNIMPLEMENTED lets polling take over even where a policy or a transport would retry it (WAIT-5)."""
    refusal = failure(Code.UNIMPLEMENTED, transient=how == "by the transport")
    policy = PollPolicy(jitter=0, retry=RetryPolicy(codes=[*PASSING, Code.UNIMPLEMENTED]))
    run = simulate(refuses(refusal, script(RUNNING, DONE)), 900, policy)
    assert run.kinds == [LongPoll, Poll, Poll]
    assert run.end == Finish(DONE)


# -- WaitOperation fails ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", LASTING, ids=str)
def test_a_lasting_failure_is_confirmed_by_a_get(code: Code | int) -> None:
    """What WaitOperation fails with for good, such as NOT_FOUND, counts only if GetOperation agrees (WAIT-5)."""
    run = simulate(refuses(failure(code), script(RUNNING, RUNNING, DONE)), 900)
    assert run.kinds == [LongPoll, Poll, Poll, Poll]
    assert run.asked[:2] == [0, 0]
    assert run.end == Finish(DONE)


@pytest.mark.parametrize("code", [Code.NOT_FOUND, Code.PERMISSION_DENIED, Code.UNIMPLEMENTED, Code.INTERNAL], ids=str)
def test_get_has_the_last_word(code: Code) -> None:
    """When GetOperation fails as well, its failure is the one that ends the wait (WAIT-5, WAIT-7)."""
    gone = failure(Code.NOT_FOUND)
    assert simulate(refuses(failure(code), script(gone))).end == GiveUp(GiveUpReason.NOT_FOUND, gone)
    denied = failure(Code.PERMISSION_DENIED)
    run = simulate(refuses(failure(code), script(denied)))
    assert run.kinds == [LongPoll, Poll]
    assert run.end == GiveUp(GiveUpReason.FAILED, denied)


@pytest.mark.parametrize("how", ["by the policy", "by the transport"])
def test_not_found_is_confirmed_whoever_would_retry_it(how: str) -> None:
    """A NOT_FOUND from WaitOperation is confirmed by a Get even where policy or transport call it passing (WAIT-5)."""
    gone = failure(Code.NOT_FOUND, transient=how == "by the transport")
    policy = PollPolicy(jitter=0, retry=RetryPolicy(codes=[*PASSING, Code.NOT_FOUND]))
    run = simulate(refuses(gone, script(RUNNING, DONE)), 900, policy)
    assert run.end == Finish(DONE)
    assert run.kinds[-1] is Poll


@pytest.mark.parametrize("code", sorted(PASSING), ids=str)
def test_a_passing_failure_is_retried_as_it_was(code: Code) -> None:
    """WaitOperation that fails in passing is sent again after the retry delays, not given up for polling (WAIT-5, WAIT-6)."""
    run = simulate(script(failure(code), failure(code), DONE), 900)
    assert run.kinds == [LongPoll] * 3
    assert run.sleeps == [0.5, 1]


@pytest.mark.parametrize("code", [Code.CANCELLED, Code.NOT_FOUND, Code.UNIMPLEMENTED, Code.UNAVAILABLE], ids=str)
def test_a_closed_channel_ends_a_long_poll(code: Code) -> None:
    """A channel closed under a WaitOperation ends the wait, without another RPC (WAIT-5, WAIT-6)."""
    closed = failure(code, closed=True, transient=True)
    run = simulate(script(closed, DONE))
    assert run.kinds == [LongPoll]
    assert isinstance(run.end, GiveUp)
    assert run.end.failure is closed


def test_a_poll_after_a_refusal_fails_like_any_other() -> None:
    """After WaitOperation was refused, polls that fail in passing are retried as polls (WAIT-5, WAIT-6)."""
    down = failure(Code.UNAVAILABLE)
    run = simulate(refuses(UNIMPLEMENTED, script(down, down, RUNNING, DONE)), 900)
    assert run.kinds == [LongPoll, Poll, Poll, Poll, Poll]
    assert run.sleeps == [0.5, 1, 1]


# -- the server returns at once -----------------------------------------------------------------------------------


def test_a_server_that_returns_at_once_is_spaced_like_a_poll() -> None:
    """A WaitOperation that comes back at once, not done, is followed by the same delays as a poll (WAIT-5)."""
    replies = [RUNNING] * 12
    waits = simulate(script(*replies, DONE))
    polls = simulate(script(*replies, DONE), long_poll=False)
    assert waits.sleeps == polls.sleeps
    assert waits.asked == polls.asked


@given(took=st.floats(0, 40), jitter=st.floats(0, 1), random=st.floats(0, ALMOST_1))
def test_the_time_the_server_held_it_is_part_of_the_pause(took: float, jitter: float, random: float) -> None:
    """The pause after a WaitOperation is what is left of the interval since it was sent, at most (WAIT-5)."""
    policy = PollPolicy(initial=10, maximum=20, jitter=jitter)
    state = asking(None, policy)
    delay = 10 * (1 - jitter * random)
    _, step = on_snapshot(state, RUNNING, took, random)
    if took < delay:
        assert isinstance(step, Sleep)
        assert step.seconds == pytest.approx(delay - took)
    else:
        assert isinstance(step, LongPoll)


@given(
    holds_for=st.lists(st.floats(0, 35), min_size=3, max_size=30),
    random=st.floats(0, ALMOST_1),
    jitter=st.floats(0, 0.9),
)
def test_no_server_is_asked_more_often_than_it_would_be_polled_at_first(
    holds_for: list[float], random: float, jitter: float
) -> None:
    """However a server mixes holding and returning at once, requests are at least the initial interval apart (WAIT-5)."""
    rest = list(holds_for)
    run = simulate(
        lambda _step, _now: (rest.pop(0), RUNNING) if rest else (0.0, DONE),
        None,
        PollPolicy(jitter=jitter),
        random=lambda: random,
    )
    apart = [later - earlier for earlier, later in zip(run.asked, run.asked[1:], strict=False)]
    assert min(apart) >= 1.0 * (1 - jitter * random) - EPS


def test_a_server_that_stops_holding_is_not_left_alone_for_long() -> None:
    """After a WaitOperation that was held, one that returns at once is followed by the short delays first (WAIT-5)."""
    state = asking()
    for number in range(12):  # up to the longest delay
        state, _ = on_snapshot(state, RUNNING, 100.0 * number, 0.0)
        state, _ = on_wake(state, 100.0 * number + 99)
    sent = state.asked
    state, step = on_snapshot(state, RUNNING, sent + 30, 0.0)
    assert isinstance(step, LongPoll)
    _, step = on_snapshot(state, RUNNING, sent + 30, 0.0)
    assert step == Sleep(1.0)


def test_after_a_pause_it_is_waitoperation_again() -> None:
    """A server that returned at once is asked with WaitOperation again after the pause; snapshots taken since count (WAIT-5)."""
    state, step = on_snapshot(asking(), RUNNING, 0.0, 0.0)
    assert step == Sleep(1.0)
    _, step = on_wake(state, 1.0)
    assert isinstance(step, LongPoll)
    assert step.max_age == 1.0


# -- the deadline -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("final", [3.0, 5.0])
def test_no_time_is_one_get(final: float) -> None:
    """A timeout of 0 is one GetOperation with the time of the last poll: nothing is left to hold (WAIT-3, WAIT-5)."""
    run = simulate(script(RUNNING), 0, PollPolicy(final_poll_timeout=final))
    assert run.rpcs == [Poll(final, shared=False)]
    assert run.end == GiveUp(GiveUpReason.TIMEOUT)


def test_the_last_poll_is_a_get() -> None:
    """At the deadline a GetOperation is sent, whatever WaitOperation did before (WAIT-3, WAIT-5)."""
    run = simulate(holds(), 70)
    assert run.asked == [0, 30, 60, 70]
    assert run.rpcs[-1] == Poll(5.0, shared=False)
    assert run.end == GiveUp(GiveUpReason.TIMEOUT)


def test_a_long_poll_that_hangs_until_the_deadline_is_followed_by_the_last_poll() -> None:
    """A WaitOperation nobody answers ends at the deadline, and a last GetOperation still finds it done (WAIT-3, WAIT-5)."""
    run = simulate(lambda step, _now: (1e9 if isinstance(step, LongPoll) else 0.0, DONE), 20)
    assert run.kinds == [LongPoll, Poll]
    assert run.asked == [0, 20]
    assert run.end == Finish(DONE)


@pytest.mark.parametrize("timeout", [0.0, 10.0])
@pytest.mark.parametrize(
    "code", [Code.NOT_FOUND, Code.PERMISSION_DENIED, Code.INTERNAL, Code.UNIMPLEMENTED, Code.ABORTED], ids=str
)
def test_the_last_poll_is_the_last(code: Code, timeout: float) -> None:
    """A last GetOperation that fails for good ends the wait: nothing is left to confirm it (WAIT-3, WAIT-5)."""
    last = failure(code)

    def server(step: Poll | LongPoll, _now: float) -> tuple[float, Reply]:
        return (step.server_timeout, RUNNING) if isinstance(step, LongPoll) else (5.0, last)

    run = simulate(server, timeout)
    assert run.kinds == [LongPoll] * bool(timeout) + [Poll]
    assert isinstance(run.end, GiveUp)
    assert run.end.failure is last
    assert run.now == timeout + 5


outcomes = st.tuples(
    st.floats(0, 1), st.sampled_from(["held", "at once", "down", "hangs", "denied", "gone", "none", "asks for time"])
)


@given(
    timeout=st.floats(0, 300),
    start=st.floats(0, 1e6),
    schedule=st.lists(outcomes, min_size=1, max_size=20),
    random=st.floats(0, ALMOST_1),
    jitter=st.floats(0, 0.9),
    final=st.floats(0.01, 10),
    last=st.sampled_from([Code.UNAVAILABLE, Code.NOT_FOUND, Code.PERMISSION_DENIED, None]),
)
def test_a_wait_ends_neither_early_nor_late(
    timeout: float,
    start: float,
    schedule: list[tuple[float, str]],
    random: float,
    jitter: float,
    final: float,
    last: Code | None,
) -> None:
    """Whatever becomes of WaitOperation, a wait ends between timeout and timeout + final_poll_timeout (WAIT-3, WAIT-5)."""
    count = 0

    def server(step: Poll | LongPoll, _now: float) -> tuple[float, Reply]:
        nonlocal count
        share, outcome = schedule[count % len(schedule)]
        count += 1
        took = share * step.rpc_timeout
        if isinstance(step, Poll):
            if not step.shared:
                return took, RUNNING if last is None else failure(last)
            return took, failure(Code.UNAVAILABLE) if outcome in ("down", "hangs") else RUNNING
        match outcome:
            case "held":
                return step.server_timeout, RUNNING
            case "at once":
                return took / 100, RUNNING
            case "down":
                return took, failure(Code.UNAVAILABLE)
            case "hangs":
                return 1e9, RUNNING
            case "asks for time":
                return took, failure(Code.RESOURCE_EXHAUSTED, retry_after=share * 100 + 0.1)
            case _:
                codes = {"denied": Code.PERMISSION_DENIED, "gone": Code.NOT_FOUND, "none": Code.UNIMPLEMENTED}
                return took, failure(codes[outcome])

    policy = PollPolicy(jitter=jitter, final_poll_timeout=final)
    run = simulate(server, timeout, policy, start=start, random=lambda: random)
    deadline = start + timeout
    assert isinstance(run.end, GiveUp)
    assert deadline - HAIR <= run.now <= deadline + final + EPS
    assert run.rpcs[-1] == Poll(final, shared=False)
    assert deadline - HAIR - EPS <= run.asked[-1] <= deadline + EPS
    for at, step in run.steps[:-1]:
        assert not isinstance(step, Poll) or step.shared
        length = step.seconds if isinstance(step, Sleep) else step.rpc_timeout  # type: ignore[union-attr] # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
        assert length > 0 or isinstance(step, Sleep)
        assert at + length <= deadline + EPS
    refused = next((i for i, kind in enumerate(run.kinds) if kind is Poll), len(run.kinds))
    assert LongPoll not in run.kinds[refused:]


@given(timeout=st.floats(0, 300), when=st.floats(0, 1), random=st.floats(0, ALMOST_1), held=st.booleans())
def test_what_is_done_by_the_deadline_is_never_given_up(timeout: float, when: float, random: float, held: bool) -> None:
    """What is done before the deadline ends the wait well, whether the server holds or returns at once (WAIT-3, WAIT-5)."""
    done_at = when * max(0.0, timeout - HAIR)

    def at_once(_step: Poll | LongPoll, now: float) -> tuple[float, Reply]:
        return 0.0, DONE if now >= done_at else RUNNING

    run = simulate(holds(done_at) if held else at_once, timeout, random=lambda: random)
    assert run.end == Finish(DONE)


# -- when to come back --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("long_poll", [False, True])
@given(
    asked_for=st.floats(0, 1e4),
    code=st.sampled_from([*sorted(PASSING), *sorted(RETRIABLE)]),
    jitter=st.floats(0, 1),
    random=st.floats(0, ALMOST_1),
    failures=st.integers(0, 6),
)
def test_what_the_server_asked_for_is_the_least(
    long_poll: bool, asked_for: float, code: Code, jitter: float, random: float, failures: int
) -> None:
    """After RetryInfo nothing is sent earlier than it says, however short the delays and the jitter are (WAIT-8)."""
    policy = PollPolicy(jitter=jitter)
    state, _ = begin(policy, None, None, 0.0, 0.0, random, long_poll=long_poll)
    for _ in range(failures):
        state, _ = on_error(state, failure(Code.UNAVAILABLE), 0.0, random)
    own = on_error(state, failure(Code.UNAVAILABLE), 0.0, random)[1]
    assert isinstance(own, Sleep)
    _, step = on_error(state, failure(code, retry_after=asked_for, transient=asked_for == 0), 0.0, random)
    assert isinstance(step, Sleep)
    assert step.seconds == max(asked_for, own.seconds)


@pytest.mark.parametrize("long_poll", [False, True])
@pytest.mark.parametrize("code", sorted(RETRIABLE), ids=str)
def test_with_retry_info_some_codes_pass(code: Code, long_poll: bool) -> None:
    """RESOURCE_EXHAUSTED, ABORTED, INTERNAL and UNKNOWN are retried if the server says when to come back (WAIT-8)."""
    told = failure(code, retry_after=7.0)
    assert is_transient(PLAIN, told)
    run = simulate(script(told, DONE), 900, long_poll=long_poll)
    assert run.sleeps == [7]
    assert run.kinds == [LongPoll if long_poll else Poll] * 2
    assert run.end == Finish(DONE)


@pytest.mark.parametrize("code", sorted(RETRIABLE), ids=str)
def test_without_retry_info_these_codes_last(code: Code) -> None:
    """The same codes end the wait where the server does not say when to come back (WAIT-6, WAIT-8)."""
    plain = failure(code)
    assert not is_transient(PLAIN, plain)
    run = simulate(script(plain, DONE), 900, long_poll=False)
    assert run.end == GiveUp(GiveUpReason.FAILED, plain)
    assert len(run.rpcs) == 1


@pytest.mark.parametrize("code", [code for code in LASTING if code not in RETRIABLE], ids=str)
def test_other_lasting_codes_stay_lasting(code: Code | int) -> None:
    """RetryInfo makes nothing passing of a NOT_FOUND, a PERMISSION_DENIED and the like (WAIT-6, WAIT-7, WAIT-8)."""
    told = failure(code, retry_after=7.0)
    run = simulate(script(told, DONE), 900, long_poll=False)
    assert isinstance(run.end, GiveUp)
    assert run.end.failure is told
    assert run.sleeps == []


def test_a_closed_channel_is_not_retried_whatever_it_asks_for() -> None:
    """RetryInfo does not bring back a channel that was closed here (WAIT-6, WAIT-8)."""
    closed = failure(Code.UNAVAILABLE, closed=True, retry_after=1.0)
    for long_poll in (False, True):
        assert simulate(script(closed, DONE), long_poll=long_poll).end == GiveUp(GiveUpReason.FAILED, closed)


@pytest.mark.parametrize("long_poll", [False, True])
@given(asked_for=st.floats(0.01, 1e12), timeout=st.floats(0.5, 100))
def test_the_deadline_wins(long_poll: bool, asked_for: float, timeout: float) -> None:
    """A server that wants to be left alone beyond the deadline gets the last poll at the deadline (WAIT-3, WAIT-8)."""
    run = simulate(
        script(failure(Code.UNAVAILABLE, retry_after=asked_for), RUNNING), timeout, long_poll=long_poll, limit=9_000
    )
    assert isinstance(run.end, GiveUp)
    assert timeout - HAIR <= run.now <= timeout + EPS
    assert run.asked[1] == pytest.approx(min(max(asked_for, 0.5), timeout))
    assert run.rpcs[-1] == Poll(5.0, shared=False)


def test_it_is_for_the_next_delay_alone() -> None:
    """RetryInfo lengthens one delay: the next failure without it has the delay it would have had (WAIT-8)."""
    down = failure(Code.UNAVAILABLE)
    replies = [down, failure(Code.UNAVAILABLE, retry_after=60.0), down, RUNNING, RUNNING, DONE]
    for long_poll in (False, True):
        assert simulate(script(*replies), long_poll=long_poll).sleeps == [0.5, 60, 2, 1, 1.5]


def test_told_waits_have_no_budget() -> None:
    """A server that goes on asking for time is asked again and again, until the timeout of the wait (WAIT-3, WAIT-8)."""
    busy = failure(Code.RESOURCE_EXHAUSTED, retry_after=7.0)
    policy = PollPolicy(jitter=0, retry=RetryPolicy(initial=0.5, multiplier=2, maximum=10))
    for long_poll in (False, True):
        run = simulate(script(busy), 70, policy, long_poll=long_poll)
        assert run.end == GiveUp(GiveUpReason.TIMEOUT, busy)
        assert run.asked == pytest.approx([0, 7, 14, 21, 28, 36, 46, 56, 66, 70])


# -- what it is ---------------------------------------------------------------------------------------------------


def test_the_machine_is_a_function() -> None:
    """The same arguments give the same step where WaitOperation is used, too (law 2, WAIT-5)."""
    state = asking(90.0)
    decisions: list[Callable[[], tuple[PollState, Step]]] = [
        lambda: begin(PLAIN, 9.0, None, 0.0, 0.0, 0.5, long_poll=True),
        lambda: on_snapshot(state, RUNNING, 1.0, 0.5),
        lambda: on_snapshot(state, RUNNING, 0.1, 0.5),
        lambda: on_error(state, UNIMPLEMENTED, 1.0, 0.5),
        lambda: on_wake(state, 1.0),
    ]
    first = [decide() for decide in decisions]
    assert [decide() for decide in reversed(decisions)] == first[::-1]
