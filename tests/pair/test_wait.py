# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Waiting, through real clients and real servers: how often, how long, and what ends it."""

from __future__ import annotations

import asyncio
import json
import math
import pickle
import time
from contextlib import nullcontext
from datetime import timedelta
from itertools import accumulate
from typing import Any

import grpc
import pytest

from longrunning import DEFAULT, Code, OperationState, PollingError, RetryPolicy, WaitTimeoutError
from longrunning.errors import LongRunningError, MalformedOperationError, OperationNotFoundError
from longrunning.testing import (
    Gate,
    ScriptedOperations,
    Step,
    cancelled,
    delayed,
    failed,
    malformed,
    no_result,
    pending,
    rpc_error,
    succeeded,
    unavailable,
)
from tests.pair.colours import (
    GET,
    IMPORT_BOOKS,
    NAME,
    REQUEST,
    RESPONSE,
    Both,
    about,
    answered,
    both_colours,
    came_in,
    imported,
    metadata,
    polls,
    progress,
)

FINAL = {
    "succeeded": imported(),
    "failed": failed(Code.INTERNAL, "boom"),
    "cancelled": cancelled(),
    "no result": no_result(),
}


def begun(clock: Any) -> list[float]:
    """When the polls of a wait began that started at 0, but for the last one."""
    return [0, *accumulate(clock.sleeps[:-1])]


class Diary:
    """A clock that notes, at each sleep, how long it is and how many RPCs there were before."""

    def __init__(self, clock: Any, scripted: ScriptedOperations) -> None:
        self._clock = clock
        self._scripted = scripted
        self.notes: list[tuple[float, int]] = []
        self.now, self.random = clock.now, clock.random

    def sleep(self, seconds: float) -> Any:
        self.notes.append((seconds, len(self._scripted.calls)))
        return self._clock.sleep(seconds)


# -- the sequence -------------------------------------------------------------------------------------------------


@both_colours
async def test_the_sequence_of_a_wait(both: Both) -> None:
    """An attached handle polls, then sleeps, then polls: this many RPCs, these sleeps, in this order (WAIT-1)."""
    scripted = ScriptedOperations({NAME: [pending(times=4), imported()]})
    diary = Diary(both.clock(), scripted)
    async with both.pair(scripted, clock=diary) as pair:
        assert (await both(pair.client.attach(NAME, IMPORT_BOOKS).wait())).done
    assert diary.notes == [(1, 1), (1.5, 2), (2.25, 3), (3.375, 4)]
    assert scripted.rpcs() == [GET] * 5


@both_colours
async def test_what_start_brings_counts_as_the_first_poll(both: Both) -> None:
    """After a start the first thing is a sleep: the reply was the first poll (WAIT-1, WAIT-10)."""
    scripted = ScriptedOperations()
    scripted.starts(IMPORT_BOOKS, pending(times=3), imported())
    async with both.pair(scripted) as pair:
        handle = await both(pair.client.start(IMPORT_BOOKS, REQUEST))
        assert await both(handle.result()) == RESPONSE
        assert pair.clock.sleeps == [1, 1.5, 2.25]
    assert scripted.rpcs() == ["ImportBooks", GET, GET, GET]


class Hasty(Diary):
    """A clock whose sleeps end a hair early, as timers may."""

    def sleep(self, seconds: float) -> Any:
        return super().sleep(max(0.0, seconds - 0.0005))


@both_colours
async def test_a_timer_that_fires_early_costs_nothing(both: Both) -> None:
    """A sleep that ends half a millisecond early is followed by a poll: the old snapshot does not count again (WAIT-1)."""
    scripted = ScriptedOperations({NAME: [pending(times=4), imported()]})
    shown: list[Any] = []
    async with both.pair(scripted, clock=Hasty(both.clock(), scripted)) as pair:
        await both(pair.client.attach(NAME, IMPORT_BOOKS).wait(on_progress=shown.append))
        assert len(shown) == 5
        scripted.add(NAME, pending())
        scripted.clear()
        with pytest.raises(WaitTimeoutError):
            await both(pair.client.attach(NAME, IMPORT_BOOKS).wait(timeout=3))
        assert scripted.rpcs() == [GET] * 4


@both_colours
async def test_jitter_shortens_the_sleeps(both: Both) -> None:
    """Each sleep is shortened by a chance of its own, within the jitter of the policy (WAIT-1)."""
    clock = both.clock(random=[0.9, 0.5, 0, 0.25])  # the first one is drawn at the begin, where nothing is delayed
    policy = polls(initial=10, multiplier=1, maximum=10, jitter=0.4)
    async with both.pair({NAME: [pending(times=3), imported()]}, clock=clock, policy=policy) as pair:
        await both(pair.client.attach(NAME, IMPORT_BOOKS).wait())
        assert pair.clock.sleeps == [8, 10, 9]


@both_colours
async def test_the_delay_never_exceeds_the_maximum(both: Both) -> None:
    """A long wait sleeps at most the maximum of its policy, and a wait's own policy replaces the client's (WAIT-1)."""
    async with both.pair({NAME: [pending(times=6), imported()]}) as pair:
        policy = polls(initial=1, multiplier=4, maximum=9)
        await both(pair.client.attach(NAME, IMPORT_BOOKS).wait(policy=policy))
        assert pair.clock.sleeps == [1, 4, 9, 9, 9, 9]


# -- done already -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("final", FINAL.values(), ids=FINAL)
@both_colours
async def test_a_done_handle_costs_no_rpc(both: Both, final: Step) -> None:
    """On a done operation wait, refresh and watch send nothing and give the same snapshot object (WAIT-2, law 3)."""
    async with both.pair({NAME: [final]}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        snapshot = await both(handle.wait())
        pair.operations.clear()
        for timeout in (None, 0, 7):
            assert await both(handle.wait(timeout=timeout)) is snapshot
            assert await both.collect(handle.watch(timeout=timeout)) == [snapshot]
        assert await both(handle.refresh()) is snapshot
        assert handle.operation is snapshot
        await both(handle.cancel())
        assert pair.operations.rpcs() == []
        await both(handle.delete())
        assert pair.operations.rpcs() == ["DeleteOperation"]
        assert pair.clock.sleeps == []


@both_colours
async def test_a_result_that_is_there_costs_no_rpc(both: Both) -> None:
    """What was done when it started is never polled, by result() neither (WAIT-2, law 3)."""
    scripted = ScriptedOperations()
    scripted.starts(IMPORT_BOOKS, imported())
    async with both.pair(scripted) as pair:
        handle = await both(pair.client.start(IMPORT_BOOKS, REQUEST))
        assert await both(handle.result()) == RESPONSE
        assert await both(handle.result(timeout=0)) == RESPONSE
        assert (await both(handle.wait())) is handle.operation
    assert scripted.rpcs() == ["ImportBooks"]


@both_colours
async def test_a_validate_only_reply_has_no_name_to_poll(both: Both) -> None:
    """A start that answers done and without a name can be waited for and cancelled at no cost (WAIT-2, SNAP-4)."""
    scripted = ScriptedOperations()
    scripted.starts(IMPORT_BOOKS, imported(), name="")
    async with both.pair(scripted) as pair:
        handle = await both(pair.client.start(IMPORT_BOOKS, REQUEST))
        assert handle.name == ""
        assert await both(handle.result()) == RESPONSE
        await both(handle.cancel())
        with pytest.raises(ValueError, match="without a name"):
            await both(handle.delete())
    assert scripted.rpcs() == ["ImportBooks"]


# -- the timeout --------------------------------------------------------------------------------------------------


@both_colours
async def test_the_default_timeout_is_900_seconds(both: Both) -> None:
    """Sync and async alike a wait ends after 900 s, with a last poll right then that has 5 s (WAIT-3)."""
    async with both.pair({NAME: [pending()]}) as pair:
        with pytest.raises(WaitTimeoutError) as raised:
            await both(pair.client.attach(NAME, IMPORT_BOOKS).wait())
        assert raised.value.timeout == 900
        assert pair.clock.now() == sum(pair.clock.sleeps) == 900
        *regular, last = pair.operations.calls
        assert all(
            call.deadline == about(min(30, 900 - at)) for call, at in zip(regular, begun(pair.clock), strict=True)
        )
        assert last.deadline == about(5)
        assert len(regular) == len(pair.clock.sleeps)


@pytest.mark.parametrize("done", [False, True])
@both_colours
async def test_a_timeout_of_zero_is_one_poll(both: Both, done: bool) -> None:
    """With timeout 0 there is one GetOperation, of 5 s, even right after a start, and no sleep (WAIT-3)."""
    scripted = ScriptedOperations()
    scripted.starts(IMPORT_BOOKS, pending(), imported() if done else pending())
    async with both.pair(scripted) as pair:
        handle = await both(pair.client.start(IMPORT_BOOKS, REQUEST))
        with nullcontext() if done else pytest.raises(WaitTimeoutError):
            await both(handle.wait(timeout=0))
        assert handle.operation.done is done
        assert pair.clock.sleeps == []
    assert scripted.rpcs() == ["ImportBooks", GET]
    assert scripted.calls[-1].deadline == about(5)


@both_colours
async def test_none_is_for_ever(both: Both) -> None:
    """timeout=None outlasts the policy's timeout; DEFAULT and no timeout are the policy's (WAIT-3)."""
    policy = polls(timeout=5)
    async with both.pair({NAME: [pending(times=300), imported()]}, policy=policy) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        with pytest.raises(WaitTimeoutError):
            await both(handle.wait())
        assert pair.clock.now() == 5
        with pytest.raises(WaitTimeoutError) as raised:
            await both(handle.wait(timeout=DEFAULT))
        assert raised.value.timeout == 5
        assert await both(handle.result(timeout=None)) == RESPONSE
        assert pair.clock.now() > 3_600
    async with both.pair({NAME: [pending(times=300), imported()]}, policy=polls(timeout=None)) as pair:
        await both(pair.client.attach(NAME, IMPORT_BOOKS).wait())


@pytest.mark.parametrize("timeout", [3, 3.0, timedelta(seconds=3)], ids=repr)
@both_colours
async def test_sleeps_are_clipped_to_the_timeout(both: Both, timeout: Any) -> None:
    """The last sleep ends at the deadline, and polls before it get at most the time that is left (WAIT-3)."""
    async with both.pair({NAME: [pending()]}) as pair:
        with pytest.raises(WaitTimeoutError) as raised:
            await both(pair.client.attach(NAME, IMPORT_BOOKS).wait(timeout=timeout))
        assert pair.clock.sleeps == [1, 1.5, 0.5]
        assert [call.deadline for call in pair.operations.calls] == [about(3), about(2), about(0.5), about(5)]
        assert raised.value.timeout == 3


@both_colours
async def test_what_is_done_at_the_deadline_is_done(both: Both) -> None:
    """The poll that starts at the deadline may still bring the result (WAIT-3)."""
    async with both.pair({NAME: [pending(times=3), imported()]}) as pair:
        assert await both(pair.client.attach(NAME, IMPORT_BOOKS).result(timeout=3)) == RESPONSE
        assert pair.clock.now() == 3


@both_colours
async def test_one_rpc_that_is_too_slow_passes(both: Both) -> None:
    """A single poll that exceeds its deadline costs one more poll and nothing else (WAIT-3, WAIT-6)."""
    policy = polls(retry=RetryPolicy(rpc_timeout=0.2))
    async with both.pair({NAME: [delayed(pending(), Gate()), imported()]}, policy=policy) as pair:
        assert await both(pair.client.attach(NAME, IMPORT_BOOKS).result()) == RESPONSE
        assert pair.operations.rpcs() == [GET, GET]
        assert pair.clock.sleeps == [0.5]


@both_colours
async def test_a_silent_server_does_not_stretch_the_wait(both: Both) -> None:
    """On a real clock, a server that never answers ends the wait between timeout and timeout + final (WAIT-3)."""
    policy = polls(final_poll_timeout=0.2)
    scripted = ScriptedOperations({NAME: [delayed(pending(), Gate())]})
    async with both.serve(scripted) as server, both.channel(server.address) as channel:
        handle = both.client(channel, clock=None, policy=policy).attach(NAME, IMPORT_BOOKS)
        begun = time.monotonic()
        with pytest.raises(WaitTimeoutError) as raised:
            await both(handle.wait(timeout=0.3))
        assert 0.299 <= time.monotonic() - begun < 0.3 + 0.2 + 2  # for a busy machine
        assert raised.value.last_error is not None
        assert raised.value.last_error.code is Code.DEADLINE_EXCEEDED


@pytest.mark.parametrize("verb", ["wait", "result", "watch"])
@pytest.mark.parametrize(
    ("timeout", "error"),
    [(-1, ValueError), (math.nan, ValueError), (math.inf, ValueError), ("5", TypeError), (True, TypeError)],
    ids=repr,
)
@both_colours
async def test_a_timeout_that_is_none_is_refused(both: Both, verb: str, timeout: Any, error: type[Exception]) -> None:
    """A negative, infinite or mistyped timeout is an error before anything is sent (WAIT-3)."""
    async with both.pair({NAME: [imported()]}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        with pytest.raises(error, match="timeout"):
            await both(getattr(handle, verb)(timeout=timeout))
        assert pair.operations.rpcs() == []


@both_colours
async def test_a_slow_callback_does_not_stretch_the_wait(both: Both) -> None:
    """Time spent in on_progress counts: what is slept afterwards is clipped to what is left (WAIT-3)."""
    policy = polls(initial=8, multiplier=1, maximum=8)
    async with both.pair({NAME: [pending()]}, policy=policy) as pair:
        slow = iter([9])  # seconds, in the first call only

        def callback(_: Any) -> None:
            pair.clock.advance(next(slow, 0))

        with pytest.raises(WaitTimeoutError):
            await both(pair.client.attach(NAME, IMPORT_BOOKS).wait(timeout=10, on_progress=callback))
        assert pair.clock.now() <= 10 + 5


@both_colours
async def test_a_slow_watcher_does_not_stretch_the_wait(both: Both) -> None:
    """Time spent in the body of a watch loop counts: the next sleep is clipped to what is left (WAIT-3, PROG-2)."""
    policy = polls(initial=8, multiplier=1, maximum=8)
    async with both.pair({NAME: [pending()]}, policy=policy) as pair:
        slow = iter([9])  # seconds, the first time only

        async def watch() -> None:
            async for _ in both.each(pair.client.attach(NAME, IMPORT_BOOKS).watch(timeout=10)):
                pair.clock.advance(next(slow, 0))

        with pytest.raises(WaitTimeoutError):
            await watch()
        assert pair.clock.now() <= 10 + 5


# -- the error of a timeout ---------------------------------------------------------------------------------------


@both_colours
async def test_a_timeout_carries_all_that_is_needed_to_go_on(both: Both) -> None:
    """WaitTimeoutError is a TimeoutError with name, last snapshot, last failure and a token that works (WAIT-4)."""
    scripted = ScriptedOperations({NAME: [progress(1), unavailable("down", times=None)]})
    async with both.pair(scripted) as pair:
        with pytest.raises(TimeoutError) as raised:
            await both(pair.client.attach(NAME, IMPORT_BOOKS).wait(timeout=3))
        assert type(raised.value) is WaitTimeoutError
        assert isinstance(raised.value, LongRunningError)
        assert not isinstance(raised.value, asyncio.CancelledError)
        error: Any = raised.value
        assert (error.name, error.timeout) == (NAME, 3)
        assert error.operation.metadata == metadata(1)
        assert type(error.last_error) is PollingError
        assert error.last_error.code is Code.UNAVAILABLE
        assert isinstance(error.last_error.__cause__, grpc.RpcError)
        assert isinstance(error.__cause__, grpc.RpcError)
        assert "3 s" in str(error)
        assert "down" in str(error)
        scripted.add(NAME, imported())
        token = pickle.loads(pickle.dumps(error)).resume_token
        other = both.client(pair.channel)
        assert await both(other.resume(json.loads(json.dumps(token)), IMPORT_BOOKS).result()) == RESPONSE


@both_colours
async def test_a_timeout_of_a_healthy_server_has_no_failure(both: Both) -> None:
    """Where the last poll worked, a timeout has no last error and no cause (WAIT-4)."""
    async with both.pair({NAME: [unavailable(), progress(1)]}) as pair:
        with pytest.raises(WaitTimeoutError) as raised:
            await both(pair.client.attach(NAME, IMPORT_BOOKS).wait(timeout=9))
        assert raised.value.last_error is None
        assert raised.value.__cause__ is None


@both_colours
async def test_a_timeout_before_any_answer_has_no_snapshot(both: Both) -> None:
    """A wait during which the server never answered times out without a snapshot (WAIT-4)."""
    async with both.pair({NAME: [unavailable()]}) as pair:
        with pytest.raises(WaitTimeoutError) as raised:
            await both(pair.client.attach(NAME, IMPORT_BOOKS).wait(timeout=9))
        assert raised.value.operation is None
        assert raised.value.name == NAME


@both_colours
async def test_running_out_of_polls_is_no_timeout_of_seconds(both: Both) -> None:
    """When max_attempts ends a wait, the error says how many polls there were, and its timeout is None (WAIT-4)."""
    async with both.pair({NAME: [pending()]}, policy=polls(max_attempts=3)) as pair:
        with pytest.raises(WaitTimeoutError, match="3 polls") as raised:
            await both(pair.client.attach(NAME, IMPORT_BOOKS).wait())
        assert pair.operations.rpcs() == [GET] * 3
        assert raised.value.resume_token is not None
        assert raised.value.timeout is None


@both_colours
async def test_a_handle_can_be_waited_for_again(both: Both) -> None:
    """After a timeout the same handle waits on as if nothing had been (WAIT-4)."""
    async with both.pair({NAME: [pending(times=4), imported()]}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        with pytest.raises(WaitTimeoutError):
            await both(handle.wait(timeout=3))
        assert await both(handle.result()) == RESPONSE


# -- failing polls ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [1, 2, 7])
@both_colours
async def test_unavailable_costs_one_more_poll_each(both: Both, times: int) -> None:
    """One UNAVAILABLE during a wait costs one more poll and nothing else: no retries are stacked (WAIT-6)."""
    scripted = ScriptedOperations()
    scripted.starts(IMPORT_BOOKS, pending(), unavailable(times=times), imported())
    async with both.pair(scripted) as pair:
        handle = await both(pair.client.start(IMPORT_BOOKS, REQUEST))
        assert await both(handle.result()) == RESPONSE
        assert pair.clock.sleeps == [1, 0.5, 1, 2, 4, 5, 5, 5][: times + 1]
    assert scripted.rpcs() == ["ImportBooks"] + [GET] * (times + 1)


@both_colours
async def test_retries_of_the_channel_are_not_multiplied(both: Both) -> None:
    """On a channel with retries of its own, as many RPCs go out as fail, plus one (WAIT-6)."""
    config = {
        "methodConfig": [
            {
                "name": [{"service": "google.longrunning.Operations"}],
                "retryPolicy": {
                    "maxAttempts": 3,
                    "initialBackoff": "0.01s",
                    "maxBackoff": "0.01s",
                    "backoffMultiplier": 1,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    }
    scripted = ScriptedOperations({NAME: [unavailable(times=4), imported()]})
    async with both.serve(scripted) as server:
        channel = server.channel(options=[("grpc.service_config", json.dumps(config))])
        client = both.client(channel)
        assert await both(client.attach(NAME, IMPORT_BOOKS).result()) == RESPONSE
        await both(channel.close())
    assert scripted.rpcs() == [GET] * 5


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.OK], ids=lambda code: code.name)
@both_colours
async def test_every_code_ends_a_wait_or_passes(both: Both, code: Code) -> None:
    """UNAVAILABLE, DEADLINE_EXCEEDED and CANCELLED pass; the rest ends the wait with the real error (WAIT-6, WAIT-7)."""
    async with both.pair({NAME: [progress(1), rpc_error(code, "no luck"), imported()]}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        if code in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.CANCELLED):
            assert await both(handle.result()) == RESPONSE
            assert pair.operations.rpcs() == [GET] * 3
            return
        with pytest.raises(PollingError, match="no luck") as raised:
            await both(handle.wait())
        error = raised.value
        cause: Any = error.__cause__
        assert pair.operations.rpcs() == [GET] * 2
        assert type(error) is (OperationNotFoundError if code is Code.NOT_FOUND else PollingError)
        assert error.code is code
        assert error.name == NAME
        assert error.operation is handle.operation
        assert isinstance(cause, grpc.RpcError)
        assert cause.code().value[0] == int(code)


@pytest.mark.parametrize(
    "text", ["Received RST_STREAM with error code 2", "Stream removed", "Connection reset by peer", "Socket closed"]
)
@pytest.mark.parametrize("code", [Code.INTERNAL, Code.UNKNOWN], ids=lambda code: code.name)
@both_colours
async def test_a_reset_connection_passes(both: Both, code: Code, text: str) -> None:
    """What gRPC reports for a cut connection as INTERNAL or UNKNOWN is retried (WAIT-6)."""
    async with both.pair({NAME: [rpc_error(code, text), imported()]}) as pair:
        assert await both(pair.client.attach(NAME, IMPORT_BOOKS).result()) == RESPONSE


@both_colours
async def test_a_server_cut_in_the_middle_of_a_poll_is_not_noticed(both: Both) -> None:
    """A server that dies with a poll under way, and is restarted, costs polls and nothing else (WAIT-6)."""
    scripted = ScriptedOperations({NAME: [progress(1), delayed(pending(), Gate()), imported()]})
    async with both.pair(scripted) as pair:
        waiting = both.spawn(lambda: pair.client.attach(NAME, IMPORT_BOOKS).result(timeout=None))
        await scripted.wait_until_aio(came_in(2))
        await both(pair.server.stop())
        await both(pair.server.start())
        assert await waiting == RESPONSE


@both_colours
async def test_a_server_restarted_between_two_polls_is_not_noticed(both: Both) -> None:
    """A server that is away for a while between polls is polled again when it is back (WAIT-6)."""
    scripted = ScriptedOperations({NAME: [progress(1), imported()]})
    async with both.pair(scripted, clock=both.clock(auto=False)) as pair:
        waiting = both.spawn(lambda: pair.client.attach(NAME, IMPORT_BOOKS).result(timeout=None))
        await both(pair.clock.wait_for_sleepers(1))
        await both(pair.server.stop())
        for _ in range(3):  # nobody listens: these fail
            pair.clock.advance_to_next()
            await both(pair.clock.wait_for_sleepers(1))
        assert scripted.rpcs() == [GET]
        await both(pair.server.start())
        pair.clock.release()
        assert await waiting == RESPONSE


@both_colours
async def test_what_a_server_calls_closed_is_not_our_channel(both: Both) -> None:
    """A server's own CANCELLED passes, even if it says that some channel behind it was closed (WAIT-6)."""
    script = [rpc_error(Code.CANCELLED, "Channel closed! by the backend"), imported()]
    async with both.pair({NAME: script}) as pair:
        assert await both(pair.client.attach(NAME, IMPORT_BOOKS).result()) == RESPONSE


@pytest.mark.parametrize("when", ["before", "in flight", "asleep"])
@both_colours
async def test_a_channel_closed_meanwhile_is_a_polling_error(both: Both, when: str) -> None:
    """A channel closed before, during or between polls ends the wait with PollingError and the cause (WAIT-6)."""
    script = [delayed(pending(), Gate())] if when == "in flight" else [progress(1)]
    async with both.pair({NAME: script}, clock=both.clock(auto=False)) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        if when == "before":
            await both(pair.channel.close())
        waiting = both.spawn(lambda: handle.wait(timeout=None))
        if when == "in flight":
            await pair.operations.wait_until_aio(came_in(1))
            await both(pair.channel.close())
        if when == "asleep":
            await both(pair.clock.wait_for_sleepers(1))
            await both(pair.channel.close())
            pair.clock.advance_to_next()
        with pytest.raises(PollingError, match="closed") as raised:
            await waiting
        assert type(raised.value) is PollingError
        assert raised.value.__cause__ is not None
        assert not raised.value.details.details
        assert raised.value.name == NAME


@both_colours
async def test_not_found_while_polling(both: Both) -> None:
    """An operation the server no longer knows is an OperationNotFoundError, with what was known of it (WAIT-7)."""
    async with both.pair({NAME: [progress(2)]}, clock=both.clock(auto=False)) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        waiting = both.spawn(handle.wait)
        await both(pair.clock.wait_for_sleepers(1))
        pair.operations.remove(NAME)
        pair.clock.advance_to_next()
        with pytest.raises(OperationNotFoundError, match=NAME) as raised:
            await waiting
        assert isinstance(raised.value, PollingError)
        assert raised.value.code is Code.NOT_FOUND
        assert raised.value.operation is not None
        assert raised.value.operation.metadata == metadata(2)


@both_colours
async def test_not_found_at_the_first_rpc(both: Both) -> None:
    """A name nobody knows is an OperationNotFoundError from wait, refresh, watch and get, after one RPC each (WAIT-7)."""
    async with both.pair({}) as pair:
        handle = pair.client.attach("operations/none", IMPORT_BOOKS)
        verbs = [
            handle.wait,
            handle.result,
            handle.refresh,
            lambda: both.collect(handle.watch()),
            lambda: pair.client.get("operations/none"),
        ]
        for verb in verbs:
            with pytest.raises(OperationNotFoundError):
                await both(verb())
        assert pair.operations.rpcs() == [GET] * len(verbs)
        assert pair.clock.sleeps == []


@pytest.mark.parametrize(
    "fault",
    [unavailable(), rpc_error(Code.PERMISSION_DENIED), rpc_error(Code.NOT_FOUND)],
    ids=["passing", "lasting", "gone"],
)
@both_colours
async def test_what_is_known_to_be_done_is_never_given_up(both: Both, fault: Step) -> None:
    """A wait whose last poll fails, while the handle learnt that it is done, ends with the result (WAIT-2, law 3)."""
    gate = Gate()
    async with both.pair({NAME: [delayed(fault, gate), imported()]}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        waiting = both.spawn(lambda: handle.wait(timeout=0))
        await pair.operations.wait_until_aio(came_in(1))
        assert (await both(handle.refresh())).done
        gate.open()
        assert (await waiting).done


# -- malformed ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [None, Code.INTERNAL], ids=["response", "error"])
@both_colours
async def test_a_malformed_operation_ends_the_wait(both: Both, error: Code | None) -> None:
    """A result on what is not done ends the wait as MalformedOperationError, and stays readable (SNAP-3)."""
    bad = malformed(RESPONSE if error is None else None, error=error, metadata=metadata(3))
    async with both.pair({NAME: [pending(), bad, imported()]}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        shown: list[Any] = []
        with pytest.raises(MalformedOperationError) as raised:
            await both(handle.wait(on_progress=shown.append))
        assert pair.operations.rpcs() == [GET, GET]
        found: Any = raised.value.operation
        assert found is handle.operation is shown[-1]
        assert raised.value.name == NAME
        assert found.state is OperationState.RUNNING
        assert found.metadata == metadata(3)
        assert (found.error is None) == (error is None)
        assert found.response_payload == (RESPONSE if error is None else None)
        assert (await both(handle.refresh())).done
        assert await both(handle.result()) == RESPONSE


@both_colours
async def test_a_start_that_answers_malformed_is_waited_for_in_vain(both: Both) -> None:
    """An operation that was malformed from the start can be started, and waiting for it fails at once (SNAP-3)."""
    scripted = ScriptedOperations()
    scripted.starts(IMPORT_BOOKS, malformed(RESPONSE))
    async with both.pair(scripted) as pair:
        handle = await both(pair.client.start(IMPORT_BOOKS, REQUEST))
        for _ in range(2):
            with pytest.raises(MalformedOperationError):
                await both(handle.wait())
    assert scripted.rpcs() == ["ImportBooks"]


@both_colours
async def test_a_malformed_snapshot_is_told_though_a_newer_one_came(both: Both) -> None:
    """A wait that saw a malformed snapshot says so, though a callback has refreshed the handle since (SNAP-3)."""
    async with both.pair({NAME: [malformed(RESPONSE), pending(), imported()]}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        first = iter([True])

        def refresh(_: Any) -> Any:
            return handle.refresh() if next(first, False) else None

        with pytest.raises(MalformedOperationError):
            await both(handle.wait(on_progress=refresh))


@both_colours
async def test_no_fault_of_a_reply_hangs_a_wait(both: Both) -> None:
    """Two waits that share a poll whose reply is malformed both end (SNAP-3, WAIT-10)."""
    gate = Gate()
    async with both.pair({NAME: [delayed(malformed(RESPONSE), gate)]}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        waits = [both.spawn(handle.wait) for _ in range(2)]
        await pair.operations.wait_until_aio(came_in(1))
        gate.open()
        for wait in waits:
            with pytest.raises(MalformedOperationError):
                await wait
        await pair.operations.wait_until_aio(answered(1))


@both_colours
async def test_done_without_a_result_ends_the_wait(both: Both) -> None:
    """Done with neither response nor error is done: wait() returns it (SNAP-2, WAIT-1)."""
    async with both.pair({NAME: [pending(), no_result()]}) as pair:
        snapshot = await both(pair.client.attach(NAME, IMPORT_BOOKS).wait())
        assert snapshot.state is OperationState.SUCCEEDED
        assert not snapshot.has_result


@both_colours
async def test_a_payload_of_another_type_does_not_end_the_wait(both: Both) -> None:
    """Metadata of a type nobody declared is no reason to stop waiting (TYPE-1, WAIT-1)."""
    async with both.pair({NAME: [pending(REQUEST, times=2), succeeded(RESPONSE, metadata=REQUEST)]}) as pair:
        assert await both(pair.client.attach(NAME, IMPORT_BOOKS).result()) == RESPONSE
