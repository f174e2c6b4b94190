# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Waiting where the server waits itself: WaitOperation end to end, shared, cancelled, refused; and RetryInfo."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2

from longrunning import (
    Code,
    OperationsClient,
    OperationState,
    PollingError,
    PollPolicy,
    RetryPolicy,
    RpcError,
    WaitTimeoutError,
)
from longrunning.errors import MalformedOperationError, OperationNotFoundError, PayloadDecodeError
from longrunning.names import ROUTING_HEADER
from longrunning.testing import (
    Gate,
    RecordedCall,
    ScriptedOperations,
    Step,
    WaitSupport,
    delayed,
    failed,
    malformed,
    operations_pair,
    pending,
    raw,
    rpc_error,
    unavailable,
)
from tests.pair.colours import (
    CANCEL,
    GET,
    IMPORT_BOOKS,
    NAME,
    REQUEST,
    RESPONSE,
    Both,
    about,
    async_pair,
    both_colours,
    imported,
    polls,
    progress,
    run,
    settle,
)

WAIT = "WaitOperation"
OTHER = "operations/2"
PLAIN = PollPolicy(jitter=0)
QUICK = PollPolicy(
    initial=0.02, maximum=0.05, jitter=0, final_poll_timeout=1, retry=RetryPolicy(initial=0.02, maximum=0.05)
)


def waits(script: dict[str, list[Step]], support: WaitSupport = WaitSupport.SERVED) -> ScriptedOperations:
    """A server that has WaitOperation."""
    return ScriptedOperations(script, wait_support=support)


def held() -> list[Step]:
    """A script that never goes on by itself."""
    return [delayed(imported(), Gate())]


def called(count: int, rpc: str = WAIT) -> Callable[[tuple[RecordedCall, ...]], bool]:
    """A condition for `ScriptedOperations.wait_until`: so many RPCs of a kind came in."""
    return lambda calls: sum(call.rpc == rpc for call in calls) >= count


def over(rpc: str = WAIT, count: int = 1) -> Callable[[tuple[RecordedCall, ...]], bool]:
    """A condition for `ScriptedOperations.wait_until`: so many RPCs of a kind are over, by answer or by cancellation."""
    return lambda calls: sum(call.rpc == rpc and call.finished is not None for call in calls) >= count


# -- the server has it --------------------------------------------------------------------------------------------


@both_colours
async def test_one_wait_is_one_rpc(both: Both) -> None:
    """A server that holds WaitOperation answers it when the operation is done: one RPC, no sleep (WAIT-5)."""
    gate = Gate()
    async with both.pair(waits({NAME: [delayed(imported(), gate)]}), policy=PLAIN) as pair:
        waiting = both.spawn(pair.client.attach(NAME, IMPORT_BOOKS).wait)
        await pair.operations.wait_until_aio(called(1))
        await settle()
        assert not waiting.done()
        gate.open()
        assert (await waiting).result() == RESPONSE
        assert pair.operations.rpcs() == [WAIT]
        assert pair.clock.sleeps == []


@both_colours
async def test_the_default_policy_uses_it(both: Both) -> None:
    """Nothing has to be said to have the server wait; a start and its wait are two RPCs (WAIT-5)."""
    scripted = waits({})
    scripted.starts(IMPORT_BOOKS, progress(1), progress(2), delayed(imported(), 0.05))
    async with both.pair(scripted, policy=PollPolicy()) as pair:
        handle = await both(pair.client.start(IMPORT_BOOKS, REQUEST))
        assert await both(handle.result()) == RESPONSE
        assert scripted.rpcs() == ["ImportBooks", WAIT]


@pytest.mark.parametrize(("timeout", "held_for", "deadline"), [(None, 30, 35), (900, 30, 35), (10, 10, 10)])
@both_colours
async def test_what_the_server_is_asked_for(
    both: Both, timeout: float | None, held_for: float, deadline: float
) -> None:
    """The server is asked to hold it for 30 s or the time left; the RPC has a little longer, never beyond the wait (WAIT-5)."""
    async with both.pair(waits({NAME: [imported()]}), policy=PLAIN) as pair:
        await both(pair.client.attach(NAME, IMPORT_BOOKS).wait(timeout=timeout))
        [call] = pair.operations.calls
        assert call.request.timeout.ToMilliseconds() == held_for * 1000
        assert call.request.name == NAME
        assert call.deadline == about(deadline)


@both_colours
async def test_its_headers_are_those_of_a_poll(both: Both) -> None:
    """WaitOperation carries the metadata of client and handle, and exactly one routing header (WAIT-5, WAIT-10)."""
    name, mine = "projects/p l/operations/1", [("x-mine", "1")]
    async with both.pair(waits({name: [imported()]}), policy=PLAIN, metadata=[("x-all", "2")]) as pair:
        await both(pair.client.attach(name, IMPORT_BOOKS, metadata=mine).wait())
        [call] = pair.operations.calls
        assert (call.rpc, call.header("x-mine"), call.header("x-all")) == (WAIT, ("1",), ("2",))
        assert call.header(ROUTING_HEADER) == ("name=projects/p%20l/operations/1",)
        assert mine == [("x-mine", "1")]


@both_colours
async def test_all_ends_come_through_it(both: Both) -> None:
    """Failed, malformed and unreadable operations end a long poll as they end a poll (WAIT-5, SNAP-3, ERR-1)."""
    scripted = waits(
        {
            "operations/failed": [failed(Code.ABORTED, "no")],
            "operations/malformed": [malformed(RESPONSE)],
            "operations/garbage": [raw(b"\xff\xff")],
        },
        WaitSupport.RETURNS_AT_ONCE,
    )
    async with both.pair(scripted, policy=PLAIN) as pair:
        done = await both(pair.client.attach("operations/failed", IMPORT_BOOKS).wait())
        assert done.error.code is Code.ABORTED
        with pytest.raises(MalformedOperationError):
            await both(pair.client.attach("operations/malformed", IMPORT_BOOKS).wait())
        with pytest.raises(PayloadDecodeError) as caught:
            await both(pair.client.attach("operations/garbage", IMPORT_BOOKS).wait())
        assert caught.value.name == "operations/garbage"


@both_colours
async def test_done_already_asks_nobody(both: Both) -> None:
    """On a done operation nothing is asked, WaitOperation as little as GetOperation (WAIT-2, WAIT-5)."""
    async with both.pair(waits({NAME: [imported()]}), policy=PLAIN) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        done = await both(handle.refresh())
        assert await both(handle.wait()) is done
        assert pair.operations.rpcs() == [GET]


@pytest.mark.parametrize("use", [None, True, False])
@both_colours
async def test_who_wants_progress_is_shown_it(both: Both, use: bool | None) -> None:
    """A server that holds WaitOperation shows nothing meanwhile: waits for progress poll, unless the policy insists (PROG-1, WAIT-5)."""
    scripted = waits({NAME: [progress(1), progress(2), imported()]})
    policy = PollPolicy(jitter=0, use_wait_operation=use)
    async with both.pair(scripted, policy=policy) as pair:
        shown: list[Any] = []
        final = await both(pair.client.attach(NAME, IMPORT_BOOKS).wait(on_progress=shown.append))
        assert [snapshot.metadata.done for snapshot in shown] == ([4] if use else [1, 2, 4])
        assert shown[-1] is final
        assert scripted.rpcs() == ([WAIT] if use else [GET] * 3)
        scripted.add(NAME, progress(1), progress(2), imported())
        watched = await both.collect(pair.client.attach(NAME, IMPORT_BOOKS).watch())
        assert [snapshot.metadata.done for snapshot in watched] == ([4] if use else [1, 2, 4])


@both_colours
async def test_progress_is_told_with_every_long_poll(both: Both) -> None:
    """With use_wait_operation=True on_progress is called with what each WaitOperation brought, last with the final one (PROG-1, WAIT-5)."""
    scripted = waits({NAME: [progress(1), progress(2), imported()]}, WaitSupport.RETURNS_AT_ONCE)
    async with both.pair(scripted, policy=PollPolicy(jitter=0, use_wait_operation=True)) as pair:
        shown: list[Any] = []
        final = await both(pair.client.attach(NAME, IMPORT_BOOKS).wait(on_progress=shown.append))
        assert [snapshot.metadata.done for snapshot in shown] == [1, 2, 4]
        assert shown[-1] is final
        assert scripted.rpcs() == [WAIT] * 3


# -- the server has it not ----------------------------------------------------------------------------------------


@both_colours
async def test_that_it_is_missing_is_learned_once(both: Both) -> None:
    """After one UNIMPLEMENTED no wait of the client asks for WaitOperation again, whatever the handle (WAIT-5)."""
    script = [pending(times=2), imported()]
    async with both.pair({NAME: script, OTHER: script}, policy=PLAIN) as pair:
        await both(pair.client.attach(NAME, IMPORT_BOOKS).wait())
        assert pair.operations.rpcs() == [WAIT, GET, GET, GET]
        assert pair.clock.sleeps == [1, 1.5]
        pair.operations.clear()
        await both(pair.client.attach(OTHER, IMPORT_BOOKS).wait(policy=PollPolicy(initial=2, jitter=0)))
        pair.operations.add("operations/3", *script)
        await both.collect(pair.client.attach("operations/3", IMPORT_BOOKS).watch())
        pair.operations.add("operations/4", *script)
        await both(pair.client.wait_all([pair.client.attach("operations/4", IMPORT_BOOKS)]))
        assert WAIT not in pair.operations.rpcs()
        other = both.client(pair.channel, policy=PLAIN)
        pair.operations.add(NAME, imported())
        pair.operations.clear()
        await both(other.attach(NAME, IMPORT_BOOKS).wait())
        assert pair.operations.rpcs() == [WAIT, GET]


@pytest.mark.parametrize("use", [True, False, None])
@both_colours
async def test_the_policy_says_whether_to_ask(both: Both, use: bool | None) -> None:
    """use_wait_operation: False never asks, None asks once per client, True asks anew at each wait (WAIT-5)."""
    policy = PollPolicy(jitter=0, use_wait_operation=use)
    async with both.pair({NAME: [imported()], OTHER: [imported()]}, policy=policy) as pair:
        for name in (NAME, OTHER):
            await both(pair.client.attach(name, IMPORT_BOOKS).wait())
        assert (
            pair.operations.rpcs()
            == {
                True: [WAIT, GET, WAIT, GET],
                False: [GET, GET],
                None: [WAIT, GET, GET],
            }[use]
        )


@pytest.mark.parametrize("use", [True, False])
@both_colours
async def test_the_policy_of_one_wait_counts(both: Both, use: bool) -> None:
    """The policy of a single wait overrides the client's, also in whether to ask (WAIT-5)."""
    async with both.pair(waits({NAME: [imported()]}), policy=PollPolicy(use_wait_operation=not use)) as pair:
        await both(pair.client.attach(NAME, IMPORT_BOOKS).wait(policy=PollPolicy(use_wait_operation=use)))
        assert pair.operations.rpcs() == [WAIT if use else GET]


@both_colours
async def test_a_server_that_learns_it_is_found_by_those_who_ask(both: Both) -> None:
    """After a wait that insisted (True) found WaitOperation served, the client's other waits use it as well (WAIT-5)."""
    async with both.pair({NAME: [imported()], OTHER: [imported()]}, policy=PLAIN) as pair:
        await both(pair.client.attach(NAME, IMPORT_BOOKS).wait())
        pair.operations.wait_support = WaitSupport.SERVED
        pair.operations.clear()
        insist = PollPolicy(use_wait_operation=True)
        await both(pair.client.attach(OTHER, IMPORT_BOOKS).wait(policy=insist))
        await both(pair.client.attach(OTHER, IMPORT_BOOKS).wait())
        assert pair.operations.rpcs() == [WAIT, WAIT]


@both_colours
async def test_the_raw_rpc_says_so(both: Both) -> None:
    """client.wait_operation() shows UNIMPLEMENTED to its caller, and waits go on asking for themselves (WAIT-5)."""
    async with both.pair({NAME: [imported()]}, policy=PLAIN) as pair:
        with pytest.raises(RpcError) as caught:
            await both(pair.client.wait_operation(NAME, 1))
        assert caught.value.code is Code.UNIMPLEMENTED
        assert (await both(pair.client.attach(NAME, IMPORT_BOOKS).wait())).done


# -- WaitOperation fails ------------------------------------------------------------------------------------------

LASTING = [Code.NOT_FOUND, Code.PERMISSION_DENIED, Code.INVALID_ARGUMENT, Code.INTERNAL, Code.UNKNOWN, Code.ABORTED]


@pytest.mark.parametrize("code", LASTING, ids=str)
@both_colours
async def test_what_fails_is_confirmed_by_a_get(both: Both, code: Code) -> None:
    """NOT_FOUND and the like from WaitOperation alone end no wait: GetOperation goes on, and is asked at once (WAIT-5)."""
    scripted = waits({NAME: [pending(times=2), imported()], OTHER: [imported()]})
    scripted.fails(WAIT, rpc_error(code, "not with me"))
    async with both.pair(scripted, policy=PLAIN) as pair:
        assert await both(pair.client.attach(NAME, IMPORT_BOOKS).result()) == RESPONSE
        assert scripted.rpcs() == [WAIT, GET, GET, GET]
        assert pair.clock.sleeps == [1, 1.5]
        scripted.clear()
        await both(pair.client.attach(OTHER, IMPORT_BOOKS).wait())
        assert scripted.rpcs() == [WAIT]  # it was about that operation, not about the server


@both_colours
async def test_not_found_by_both_is_not_found(both: Both) -> None:
    """An operation that GetOperation does not find either is an OperationNotFoundError, after two RPCs (WAIT-5, WAIT-7)."""
    async with both.pair(waits({}), policy=PLAIN) as pair:
        with pytest.raises(OperationNotFoundError) as caught:
            await both(pair.client.attach(NAME, IMPORT_BOOKS).wait())
        assert pair.operations.rpcs() == [WAIT, GET]
        assert caught.value.name == NAME


@both_colours
async def test_an_operation_deleted_under_a_long_poll_is_not_found(both: Both) -> None:
    """What is deleted while the server holds WaitOperation is confirmed as not found (WAIT-5, WAIT-7, CTRL-3)."""
    async with both.pair(waits({NAME: held()}), policy=PLAIN) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        waiting = both.spawn(handle.wait)
        await pair.operations.wait_until_aio(called(1))
        pair.operations.remove(NAME)
        with pytest.raises(OperationNotFoundError):
            await waiting
        assert pair.operations.rpcs() == [WAIT, GET]


@both_colours
async def test_what_passes_is_retried(both: Both) -> None:
    """WaitOperation that fails in passing is sent again, after the retry delays (WAIT-5, WAIT-6)."""
    scripted = waits({NAME: [imported()]})
    scripted.fails(WAIT, unavailable(times=3))
    async with both.pair(scripted, policy=PLAIN) as pair:
        assert (await both(pair.client.attach(NAME, IMPORT_BOOKS).wait())).done
        assert scripted.rpcs() == [WAIT] * 4
        assert pair.clock.sleeps == [0.5, 1, 2]


@both_colours
async def test_a_restart_cuts_a_long_poll_and_nothing_else(both: Both) -> None:
    """A server that restarts while it holds WaitOperation is asked again, and the wait ends well (WAIT-5, WAIT-12)."""
    gate = Gate()
    scripted = waits({NAME: [delayed(imported(), gate)]})
    async with both.pair(scripted) as pair:
        client = both.client(pair.channel, clock=None, policy=QUICK)
        waiting = both.spawn(client.attach(NAME, IMPORT_BOOKS).wait)
        await scripted.wait_until_aio(called(1))
        await both(pair.server.stop())
        await both(pair.server.start())
        await scripted.wait_until_aio(called(2))
        gate.open()
        assert (await waiting).result() == RESPONSE


@both_colours
async def test_a_channel_closed_under_a_long_poll_is_an_error(both: Both) -> None:
    """Closing the channel under a held WaitOperation ends the wait as a PollingError, not as a cancellation (WAIT-4, WAIT-6)."""
    async with both.pair(waits({NAME: held()}), policy=PLAIN) as pair:
        waiting = both.spawn(pair.client.attach(NAME, IMPORT_BOOKS).wait)
        await pair.operations.wait_until_aio(called(1))
        await both(pair.channel.close())
        with pytest.raises(PollingError):
            await waiting


# -- the server returns at once -----------------------------------------------------------------------------------


@both_colours
async def test_a_server_that_returns_at_once_is_spaced(both: Both) -> None:
    """WaitOperation that is not held is followed by the delays of a poll (WAIT-5, WAIT-1)."""
    scripted = waits({NAME: [pending(times=5), imported()]}, WaitSupport.RETURNS_AT_ONCE)
    async with both.pair(scripted, policy=PLAIN) as pair:
        await both(pair.client.attach(NAME, IMPORT_BOOKS).wait())
        assert scripted.rpcs() == [WAIT] * 6
        assert pair.clock.sleeps == [1, 1.5, 2.25, 3.375, 5.0625]


@both_colours
async def test_a_server_that_holds_shorter_is_asked_again(both: Both) -> None:
    """A reply that is not done after a good while is followed by the next WaitOperation at once (WAIT-5)."""
    scripted = waits({NAME: [delayed(pending(times=2), 0.8), imported()]}, WaitSupport.RETURNS_AT_ONCE)
    policy = PollPolicy(initial=0.7, maximum=0.7, jitter=0)
    async with both.pair(scripted) as pair:
        client = both.client(pair.channel, clock=None, policy=policy)
        await both(client.attach(NAME, IMPORT_BOOKS).wait())
        assert scripted.rpcs() == [WAIT] * 3
        apart = [b.started - (a.finished or 0) for a, b in zip(scripted.calls, scripted.calls[1:], strict=False)]
        assert max(apart) < 0.65


# -- the timeout --------------------------------------------------------------------------------------------------


@both_colours
async def test_a_timeout_under_a_long_poll(both: Both) -> None:
    """A wait that times out while the server holds WaitOperation asks once more with GetOperation, at its deadline (WAIT-3)."""
    async with both.pair(waits({NAME: [progress(1)]})) as pair:
        client = both.client(pair.channel, clock=None, policy=QUICK)
        began = time.monotonic()
        with pytest.raises(WaitTimeoutError) as caught:
            await both(client.attach(NAME, IMPORT_BOOKS).wait(timeout=0.3))
        assert 0.29 <= time.monotonic() - began < 3
        rpcs = pair.operations.rpcs()
        assert rpcs[0] == WAIT
        assert rpcs[-1] == GET
        assert rpcs.count(GET) == 1
        assert caught.value.name == NAME
        assert caught.value.resume_token
        assert caught.value.last_error is None
        assert caught.value.operation is not None
        assert caught.value.operation.state is OperationState.RUNNING


@pytest.mark.parametrize("support", list(WaitSupport), ids=lambda support: support.name)
@both_colours
async def test_no_time_is_one_get(both: Both, support: WaitSupport) -> None:
    """With a timeout of 0 exactly one GetOperation is sent, and no WaitOperation (WAIT-3, WAIT-5)."""
    async with both.pair(waits({NAME: [pending()]}, support), policy=PLAIN) as pair:
        with pytest.raises(WaitTimeoutError):
            await both(pair.client.attach(NAME, IMPORT_BOOKS).wait(timeout=0))
        assert pair.operations.rpcs() == [GET]


@pytest.mark.parametrize("code", [Code.NOT_FOUND, Code.PERMISSION_DENIED], ids=str)
@both_colours
async def test_no_time_is_one_get_also_when_it_fails(both: Both, code: Code) -> None:
    """With a timeout of 0 a GetOperation that fails for good is not sent again (WAIT-3, WAIT-7)."""
    async with both.pair(waits({NAME: [rpc_error(code, "no")]}), policy=PLAIN) as pair:
        with pytest.raises(PollingError):
            await both(pair.client.attach(NAME, IMPORT_BOOKS).wait(timeout=0))
        assert pair.operations.rpcs() == [GET]


# -- several waiters ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("waiters", [2, 20])
@both_colours
async def test_a_long_poll_is_shared(both: Both, waiters: int) -> None:
    """However many wait on a handle, the server holds one WaitOperation, and its reply is everybody's (WAIT-10, WAIT-5)."""
    gate = Gate()
    async with both.pair(waits({NAME: [delayed(imported(), gate)]}), policy=PLAIN) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        some = [both.spawn(handle.wait) for _ in range(waiters)]
        await pair.operations.wait_until_aio(called(1))
        await settle()
        gate.open()
        assert all(snapshot is handle.operation for snapshot in await asyncio.gather(*some))
        assert pair.operations.rpcs() == [WAIT]


@both_colours
async def test_a_shared_refusal_is_learned_by_all(both: Both) -> None:
    """Waiters that shared a WaitOperation the server has not share the GetOperation that follows as well (WAIT-10, WAIT-5)."""
    gate = Gate()
    async with both.pair({NAME: [delayed(imported(), gate)]}, policy=PLAIN) as pair:
        pair.operations.fails(WAIT, delayed(rpc_error(Code.UNIMPLEMENTED), gate))
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        some = [both.spawn(handle.wait) for _ in range(5)]
        await pair.operations.wait_until_aio(called(1))
        await settle()
        gate.open()
        assert all(snapshot.done for snapshot in await asyncio.gather(*some))
        assert pair.operations.rpcs().count(WAIT) == 1
        assert pair.operations.rpcs().count(GET) <= 5
        assert pair.operations.rpcs()[0] == WAIT


@both_colours
async def test_a_shared_failure_is_confirmed_and_everybodys(both: Both) -> None:
    """A shared WaitOperation for what is not there ends each wait, each with an exception of its own (WAIT-10, WAIT-7, ERR-2)."""
    gate = Gate()
    scripted = waits({})
    scripted.fails(WAIT, delayed(rpc_error(Code.NOT_FOUND), gate))
    async with both.pair(scripted, policy=PLAIN) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        some = [both.spawn(handle.wait) for _ in range(4)]
        await scripted.wait_until_aio(called(1))
        await settle()
        gate.open()
        errors = await asyncio.gather(*some, return_exceptions=True)
        assert [type(error) for error in errors] == [OperationNotFoundError] * 4
        assert len({id(error) for error in errors}) == 4
        assert scripted.rpcs().count(WAIT) == 1


@both_colours
async def test_each_waiter_keeps_its_own_time(both: Both) -> None:
    """A waiter that shares a long poll times out at its own deadline, and the other waits on (WAIT-10, WAIT-3)."""
    gate = Gate()
    scripted = waits({NAME: [progress(1), delayed(imported(), gate)]})
    async with both.pair(scripted) as pair:
        handle = both.client(pair.channel, clock=None, policy=QUICK).attach(NAME, IMPORT_BOOKS)
        patient = both.spawn(lambda: handle.wait(timeout=None))
        await scripted.wait_until_aio(called(1))
        began = time.monotonic()
        scripted.add(NAME, progress(1, times=None))  # what the last poll of the hasty one sees
        hasty = both.spawn(lambda: handle.wait(timeout=0.2))
        with pytest.raises(WaitTimeoutError):
            await hasty
        assert 0.19 <= time.monotonic() - began < 3
        assert not patient.done()
        assert scripted.rpcs().count(GET) == 1
        scripted.add(NAME, imported())
        assert (await patient).done
        assert scripted.rpcs() == [WAIT, GET]


@both_colours
async def test_a_hasty_leader_leaves_the_others_waiting(both: Both) -> None:
    """When the waiter that sent the long poll runs out of time, a patient one has the server wait again (WAIT-10)."""
    gate = Gate()
    scripted = waits({NAME: [progress(1), delayed(imported(), gate)]})
    async with both.pair(scripted) as pair:
        handle = both.client(pair.channel, clock=None, policy=QUICK).attach(NAME, IMPORT_BOOKS)
        hasty = both.spawn(lambda: handle.wait(timeout=0.3))
        await scripted.wait_until_aio(called(1))
        patient = both.spawn(lambda: handle.wait(timeout=None))
        await scripted.wait_until_aio(called(2))
        await settle()
        assert not patient.done()
        gate.open()
        assert (await patient).done
        await asyncio.gather(hasty, return_exceptions=True)


@both_colours
async def test_a_refresh_does_not_wait_for_a_long_poll(both: Both) -> None:
    """refresh() asks the server at once, while another waiter's WaitOperation is held (WAIT-10)."""
    gate = Gate()
    scripted = waits({NAME: [delayed(imported(), gate)]})
    async with both.pair(scripted, policy=PLAIN) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        waiting = both.spawn(handle.wait)
        await scripted.wait_until_aio(called(1))
        refreshing = both.spawn(handle.refresh)
        await scripted.wait_until_aio(called(1, GET))
        gate.open()
        await asyncio.gather(refreshing, waiting)
        assert scripted.rpcs() == [WAIT, GET]


@both_colours
async def test_those_who_poll_and_those_who_long_poll_get_along(both: Both) -> None:
    """A waiter that must not use WaitOperation polls beside one that does; each has its own RPCs (WAIT-10, WAIT-5)."""
    gate = Gate()
    scripted = waits({NAME: [delayed(imported(), gate)]})
    async with both.pair(scripted, policy=PLAIN) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        holding = both.spawn(handle.wait)
        await scripted.wait_until_aio(called(1))
        polling = both.spawn(lambda: handle.wait(policy=polls()))
        await scripted.wait_until_aio(called(1, GET))
        gate.open()
        assert [snapshot.done for snapshot in await asyncio.gather(holding, polling)] == [True, True]


def test_another_waiter_takes_a_cancelled_long_poll_over() -> None:
    """When the task that sent WaitOperation is cancelled, the RPC ends at the server and another waiter sends one (WAIT-9, WAIT-10)."""

    async def body() -> None:
        gate = Gate()
        async with async_pair(waits({NAME: [delayed(imported(), gate)]}), policy=PLAIN) as pair:
            handle = pair.client.attach(NAME, IMPORT_BOOKS)
            first = asyncio.ensure_future(handle.wait())
            await pair.operations.wait_until_aio(called(1))
            second = asyncio.ensure_future(handle.wait())
            await settle()
            first.cancel()
            await pair.operations.wait_until_aio(called(2))
            calls = await pair.operations.wait_until_aio(over())
            assert [call.outcome for call in calls] == [Code.CANCELLED, None]
            gate.open()
            assert (await second).done
            with pytest.raises(asyncio.CancelledError):
                await first

    run(body())


def test_a_waiter_that_only_shares_may_be_cancelled() -> None:
    """Cancelling a waiter that shares a long poll leaves that RPC and the other waiter alone (WAIT-9, WAIT-10)."""

    async def body() -> None:
        gate = Gate()
        async with async_pair(waits({NAME: [delayed(imported(), gate)]}), policy=PLAIN) as pair:
            handle = pair.client.attach(NAME, IMPORT_BOOKS)
            first = asyncio.ensure_future(handle.wait())
            await pair.operations.wait_until_aio(called(1))
            second = asyncio.ensure_future(handle.wait())
            await settle()
            second.cancel()
            await settle()
            gate.open()
            assert (await first).done
            assert second.cancelled()
            assert pair.operations.rpcs() == [WAIT]

    run(body())


# -- interrupted --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cancel_on_exit", [False, True])
def test_a_cancelled_task_ends_its_long_poll_at_the_server(cancel_on_exit: bool) -> None:
    """Cancelling a task ends its WaitOperation at the server, and cancels the operation only if asked to (WAIT-9, WAIT-5)."""

    async def body() -> None:
        async with async_pair(waits({NAME: held()}), policy=PLAIN) as pair:
            handle = pair.client.attach(NAME, IMPORT_BOOKS)
            task = asyncio.ensure_future(handle.wait(cancel_on_exit=cancel_on_exit))
            await pair.operations.wait_until_aio(called(1))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            calls = await pair.operations.wait_until_aio(over())
            assert calls[0].outcome is Code.CANCELLED
            await settle()
            assert pair.operations.rpcs() == [WAIT] + [CANCEL] * cancel_on_exit

    run(body())


def test_a_timeout_around_a_long_poll_ends_it_at_the_server() -> None:
    """asyncio.timeout() around a wait ends its WaitOperation at the server; the handle can wait again (WAIT-9)."""

    async def body() -> None:
        async with async_pair(waits({NAME: held()}), policy=PLAIN) as pair:
            handle = pair.client.attach(NAME, IMPORT_BOOKS)
            with pytest.raises(TimeoutError) as caught:
                async with asyncio.timeout(0.1):
                    await handle.wait()
            assert not isinstance(caught.value, WaitTimeoutError)
            await pair.operations.wait_until_aio(over())
            pair.operations.add(NAME, imported())
            assert (await handle.wait()).done
            assert pair.operations.rpcs() == [WAIT, WAIT]

    run(body())


@contextmanager
def interrupted_after(scripted: ScriptedOperations, rpc: str = WAIT) -> Generator[None, None, None]:
    """Presses Ctrl-C once such an RPC came in."""

    def press() -> None:
        scripted.wait_until(called(1, rpc))
        time.sleep(0.05)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    thread = threading.Thread(target=press, name="ctrl-c")
    thread.start()
    try:
        yield
    finally:
        thread.join()


@pytest.mark.parametrize("cancel_on_exit", [False, True])
def test_ctrl_c_ends_a_long_poll_at_the_server(cancel_on_exit: bool) -> None:
    """Ctrl-C ends a sync wait within a moment, and its WaitOperation at the server (WAIT-9, WAIT-5)."""
    with operations_pair(waits({NAME: held()}), policy=PLAIN) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt), interrupted_after(pair.operations):
            handle.wait(cancel_on_exit=cancel_on_exit)
        assert time.monotonic() - began < 8  # nothing else ends it
        calls = pair.operations.wait_until(over())
        assert calls[0].outcome is Code.CANCELLED
        assert pair.operations.rpcs() == [WAIT] + [CANCEL] * cancel_on_exit


@both_colours
async def test_a_closed_watch_leaves_no_long_poll(both: Both) -> None:
    """Leaving a watch between two snapshots leaves no WaitOperation under way (WAIT-9, PROG-2)."""
    scripted = waits({NAME: [progress(1), progress(2), imported()]}, WaitSupport.RETURNS_AT_ONCE)
    async with both.pair(scripted, policy=PollPolicy(use_wait_operation=True)) as pair:
        watching = pair.client.attach(NAME, IMPORT_BOOKS).watch()
        assert (await both.next(watching)).metadata.done == 1
        await both.close(watching)
        assert scripted.rpcs() == [WAIT]
        assert scripted.calls[0].finished is not None


# -- when to come back --------------------------------------------------------------------------------------------


def come_back(seconds: int, nanos: int = 0) -> error_details_pb2.RetryInfo:
    return error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=seconds, nanos=nanos))


BOTH_WAYS = [
    pytest.param(polls(jitter=0.5), GET, id="polls"),
    pytest.param(PollPolicy(jitter=0.5), WAIT, id="long polls"),
]


@pytest.mark.parametrize(("policy", "rpc"), BOTH_WAYS)
@pytest.mark.parametrize(
    "code", [Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED, Code.ABORTED, Code.INTERNAL, Code.UNKNOWN], ids=str
)
@both_colours
async def test_retry_info_is_a_lower_bound(both: Both, code: Code, policy: PollPolicy, rpc: str) -> None:
    """RetryInfo in grpc-status-details-bin is the least of the next delay, whatever the jitter (WAIT-8, ERR-3)."""
    scripted = waits({NAME: [imported()]})
    scripted.fails(rpc, rpc_error(code, "later", details=[come_back(7, 250_000_000)]), unavailable())
    async with both.pair(scripted, policy=policy, clock=both.clock(random=0.9)) as pair:
        assert (await both(pair.client.attach(NAME, IMPORT_BOOKS).wait())).done
        assert scripted.rpcs() == [rpc] * 3
        assert pair.clock.sleeps == [7.25, pytest.approx(1 * (1 - 0.5 * 0.9))]


@pytest.mark.parametrize("code", [Code.RESOURCE_EXHAUSTED, Code.ABORTED, Code.INTERNAL, Code.UNKNOWN], ids=str)
@both_colours
async def test_without_retry_info_these_codes_last(both: Both, code: Code) -> None:
    """RESOURCE_EXHAUSTED and the like without RetryInfo end the wait, their details on the error (WAIT-6, WAIT-8, ERR-2)."""
    info = error_details_pb2.ErrorInfo(reason="QUOTA", domain="example.com")
    async with both.pair({NAME: [rpc_error(code, "no", details=[info])]}) as pair:
        with pytest.raises(PollingError) as caught:
            await both(pair.client.attach(NAME, IMPORT_BOOKS).wait())
        assert caught.value.code is code
        assert caught.value.details.error_info == info
        assert pair.operations.rpcs() == [GET]


@pytest.mark.parametrize(("policy", "rpc"), BOTH_WAYS)
@pytest.mark.parametrize("asked_for", [3600, 2**62])
@both_colours
async def test_the_deadline_wins(both: Both, policy: PollPolicy, rpc: str, asked_for: int) -> None:
    """RetryInfo beyond the deadline, however absurd, moves the next poll to the deadline and no further (WAIT-3, WAIT-8)."""
    scripted = waits({NAME: [imported()]})
    scripted.fails(rpc, rpc_error(Code.UNAVAILABLE, details=[come_back(asked_for)]))
    async with both.pair(scripted, policy=policy) as pair:
        assert (await both(pair.client.attach(NAME, IMPORT_BOOKS).wait(timeout=60))).done
        assert pair.clock.sleeps == [60]
        assert scripted.rpcs() == [rpc, GET]


@pytest.mark.parametrize("asked_for", [-5, 0])
@both_colours
async def test_a_retry_info_of_nothing_shortens_nothing(both: Both, asked_for: int) -> None:
    """A RetryInfo of 0 or less leaves the delay as it is (WAIT-8)."""
    script = [rpc_error(Code.UNAVAILABLE, details=[come_back(asked_for)]), imported()]
    async with both.pair({NAME: script}, policy=polls(jitter=0)) as pair:
        await both(pair.client.attach(NAME, IMPORT_BOOKS).wait())
        assert pair.clock.sleeps == [0.5]


def test_a_delay_no_timer_can_hold_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    """RetryInfo of 2^62 s, without a timeout, is slept through: time.sleep() itself refuses such a number (WAIT-8, WAIT-3)."""
    elapsed = 0.0

    def sleep(seconds: float) -> None:
        nonlocal elapsed
        if seconds > threading.TIMEOUT_MAX:
            raise OverflowError("timestamp out of range for platform time_t")
        elapsed += max(seconds, 1e15)  # or it would take a while

    monkeypatch.setattr("longrunning.client._io_sync.time", SimpleNamespace(sleep=sleep, monotonic=lambda: elapsed))
    script = [rpc_error(Code.UNAVAILABLE, details=[come_back(2**62)]), imported()]
    with operations_pair({NAME: script}) as pair:
        client = OperationsClient(pair.channel, policy=polls())
        assert client.attach(NAME, IMPORT_BOOKS).wait(timeout=None).done


@both_colours
async def test_details_that_are_garbage_are_no_obstacle(both: Both) -> None:
    """A grpc-status-details-bin that does not decode, or is of another error, delays nothing and hides nothing (WAIT-8, ERR-3)."""
    other = any_pb2.Any()
    other.Pack(come_back(99))
    script = [
        rpc_error(Code.UNAVAILABLE, "one", trailers=[("grpc-status-details-bin", b"\xff\xff")]),
        rpc_error(Code.UNAVAILABLE, "two", trailers=[("grpc-status-details-bin", _status(Code.ABORTED, other))]),
        imported(),
    ]
    async with both.pair({NAME: script}, policy=polls(jitter=0)) as pair:
        assert (await both(pair.client.attach(NAME, IMPORT_BOOKS).wait())).done
        assert pair.clock.sleeps == [0.5, 1]


def _status(code: Code, *details: any_pb2.Any) -> bytes:
    from google.rpc import status_pb2

    return status_pb2.Status(code=int(code), message="of another error", details=details).SerializeToString()


# -- unnamed ------------------------------------------------------------------------------------------------------


@both_colours
async def test_an_operation_without_a_name_is_malformed(both: Both) -> None:
    """A start whose reply is not done and has no name ends its wait as malformed, without an RPC (SNAP-3, SNAP-4)."""
    scripted = waits({})
    scripted.starts(IMPORT_BOOKS, pending(), name="")
    async with both.pair(scripted, policy=PLAIN) as pair:
        handle = await both(pair.client.start(IMPORT_BOOKS, REQUEST))
        with pytest.raises(MalformedOperationError):
            await both(handle.wait())
        assert scripted.rpcs() == ["ImportBooks"]
