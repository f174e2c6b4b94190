# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Many operations at once: `wait_all` and `as_completed`, sync and async, seen from both ends of the wire."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2

from longrunning import (
    Code,
    LongRunningError,
    Operation,
    OperationsClient,
    OperationState,
    PollingError,
    PollPolicy,
    RetryPolicy,
    WaitTimeoutError,
)
from longrunning.client import AsyncOperationHandle, OperationHandle
from longrunning.errors import MalformedOperationError, OperationNotFoundError, PayloadDecodeError
from longrunning.names import ROUTING_HEADER
from longrunning.testing import (
    AsyncFakeClock,
    Gate,
    RecordedCall,
    ScriptedOperations,
    Step,
    WaitSupport,
    cancelled,
    delayed,
    failed,
    malformed,
    no_result,
    pending,
    raw,
    rpc_error,
    succeeded,
    unavailable,
)
from tests.pair.colours import (
    CANCEL,
    GET,
    IMPORT_BOOKS,
    REQUEST,
    RESPONSE,
    Both,
    answered,
    both_colours,
    imported,
    polls,
    progress,
    run,
    settle,
)
from tests.pair.conftest import threads

WAIT = "WaitOperation"
PLAIN = PollPolicy(jitter=0)
QUICK = PollPolicy(
    initial=0.05, maximum=0.05, jitter=0, final_poll_timeout=0.5, retry=RetryPolicy(initial=0.05, maximum=0.1)
)
QUICK_POLLS = polls(initial=0.05, maximum=0.05, jitter=0, final_poll_timeout=0.5)


def names(count: int) -> list[str]:
    return [f"operations/{number}" for number in range(count)]


def attach(client: Any, some: Iterable[str]) -> list[Any]:
    return [client.attach(name, IMPORT_BOOKS) for name in some]


def under_way(calls: Sequence[RecordedCall], rpc: str | None = None) -> int:
    """How many RPCs the server works on."""
    return sum(call.finished is None and rpc in (None, call.rpc) for call in calls)


def most_at_once(calls: Iterable[RecordedCall], rpc: str) -> int:
    """The most RPCs of a kind the server ever worked on at the same time."""
    turns = [(call.started, 1) for call in calls if call.rpc == rpc]
    turns += [(call.finished, -1) for call in calls if call.rpc == rpc and call.finished is not None]
    most = now = 0
    for _, change in sorted(turns):
        now += change
        most = max(most, now)
    return most


def all_over(calls: Sequence[RecordedCall]) -> bool:
    """A condition for `ScriptedOperations.wait_until`: nothing is under way any more."""
    return under_way(calls) == 0


def held(count: int, rpc: str | None = None) -> Callable[[Sequence[RecordedCall]], bool]:
    """A condition for `ScriptedOperations.wait_until`: so many RPCs are under way, or more."""
    return lambda calls: under_way(calls, rpc) >= count


def client_tasks() -> set[asyncio.Task[Any]]:
    """The tasks of our clients; the servers have theirs on the same loop."""
    return {task for task in asyncio.all_tasks() if "longrunning/client/" in repr(task)}


class Crowd:
    """A client of either colour on its own channel to an async server, which holds any number of RPCs back."""

    def __init__(self, both: Both, operations: ScriptedOperations, channel: Any, policy: PollPolicy) -> None:
        self.both = both
        self.operations = operations
        self.channel = channel
        self.client = both.client(channel, clock=None, policy=policy)

    def wait_all(self, handles: Iterable[Any], **options: Any) -> asyncio.Future[Any]:
        """`wait_all`, beside the test."""
        return self.both.spawn(lambda: self.client.wait_all(handles, **options))


@asynccontextmanager
async def crowd(both: Both, operations: ScriptedOperations, policy: PollPolicy = PLAIN) -> AsyncGenerator[Crowd, None]:
    """A `Crowd`, on the system's clock."""
    async with operations.serve_aio() as server, both.channel(server.address) as channel:
        yield Crowd(both, operations, channel, policy)


# -- results ------------------------------------------------------------------------------------------------------

INFO = error_details_pb2.ErrorInfo(reason="R", domain="example.com")
ENDS: list[list[Step]] = [
    [imported()],
    [pending(times=3), imported()],
    [progress(1), unavailable(), progress(2), imported()],
    [pending(), failed(Code.ABORTED, "no", details=[INFO])],
    [pending(), cancelled("enough")],
    [pending(), no_result()],
    [pending(), rpc_error(Code.NOT_FOUND)],
    [rpc_error(Code.PERMISSION_DENIED, "no", details=[INFO])],
    [pending(), malformed(RESPONSE)],
    [pending(), raw(b"\xff\xff")],
    [pending()],
]


def check(index: int, name: str, result: Any) -> None:
    """What becomes of the wait for `ENDS[index % len(ENDS)]`."""
    kind = index % len(ENDS)
    assert result.name == name
    assert isinstance(result, Operation) == (kind <= 5)
    match kind:
        case 0 | 1 | 2:
            assert result.result() == RESPONSE
        case 3:
            assert result.error is not None
            assert (result.error.code, result.error.error_info) == (Code.ABORTED, INFO)
        case 4:
            assert result.state is OperationState.CANCELLED
        case 5:
            assert not result.has_result
        case 6:
            assert type(result) is OperationNotFoundError
        case 7:
            assert type(result) is PollingError
            assert result.details.error_info == INFO
        case 8:
            assert type(result) is MalformedOperationError
        case 9:
            assert type(result) is PayloadDecodeError
            assert result.operation is not None
        case _:
            assert type(result) is WaitTimeoutError
            assert result.timeout == 30
            assert result.resume_token


@both_colours
async def test_every_end_in_the_order_of_the_handles(both: Both) -> None:
    """Hundreds of operations end in eleven ways, each in its own place of the list, and none stops another (WAIT-11)."""
    some = names(330)
    scripts = {name: ENDS[index % len(ENDS)] for index, name in enumerate(some)}
    async with both.pair(scripts, policy=PLAIN) as pair:
        results = await both(pair.client.wait_all(attach(pair.client, some), timeout=30))
        assert len(results) == 330
        for index, (name, result) in enumerate(zip(some, results, strict=True)):
            check(index, name, result)


@both_colours
async def test_as_completed_tells_of_failures_last(both: Both) -> None:
    """as_completed yields all that are done, failed or not, and then raises what ended another wait (WAIT-11)."""
    some = names(110)
    scripts = {name: ENDS[index % len(ENDS)] for index, name in enumerate(some)}
    async with both.pair(scripts, policy=PLAIN) as pair:
        handles = attach(pair.client, some)
        seen: list[Any] = []

        async def see() -> None:
            async for handle in both.each(pair.client.as_completed(handles, timeout=30)):
                assert handle.operation is not None
                assert handle.operation.done
                seen.append(handle)

        with pytest.raises(LongRunningError):
            await see()
        assert len(seen) == len(set(seen)) == 60
        assert set(seen) == {handle for index, handle in enumerate(handles) if index % len(ENDS) <= 5}


@both_colours
async def test_results_are_the_handles_own(both: Both) -> None:
    """What wait_all returns is the snapshot of the handle; afterwards waiting on it costs nothing (WAIT-2, WAIT-11)."""
    some = names(20)
    async with both.pair({name: [pending(), imported()] for name in some}) as pair:
        handles = attach(pair.client, some)
        results = await both(pair.client.wait_all(handles))
        assert all(result is handle.operation for result, handle in zip(results, handles, strict=True))
        pair.operations.clear()
        again = await both(pair.client.wait_all(handles))
        assert all(one is other for one, other in zip(results, again, strict=True))
        assert [handle async for handle in both.each(pair.client.as_completed(handles))] == handles
        assert pair.operations.rpcs() == []


@both_colours
async def test_nothing_to_wait_for(both: Both) -> None:
    """Of no handles there are no results, and no RPC (WAIT-11)."""
    async with both.pair({}, policy=PLAIN) as pair:
        assert await both(pair.client.wait_all([])) == []
        assert await both(pair.client.wait_all(iter(()), timeout=0)) == []
        assert await both.collect(pair.client.as_completed([])) == []
        assert pair.operations.rpcs() == []


@both_colours
async def test_any_iterable_will_do(both: Both) -> None:
    """Handles may come out of a generator (WAIT-11)."""
    some = names(5)
    async with both.pair({name: [imported()] for name in some}) as pair:
        results = await both(pair.client.wait_all(pair.client.attach(name) for name in some))
        assert [result.name for result in results] == some


@both_colours
async def test_some_done_already(both: Both) -> None:
    """Those that are done already cost no RPC, the others what they would have cost alone (WAIT-2, WAIT-11)."""
    some = names(60)
    async with both.pair({name: [pending(), imported()] for name in some}) as pair:
        handles = attach(pair.client, some)
        for handle in handles[::2]:
            for _ in range(2):
                await both(handle.refresh())
        pair.operations.clear()
        results = await both(pair.client.wait_all(handles))
        assert all(result.done for result in results)
        assert {call.name for call in pair.operations.calls} == set(some[1::2])
        assert len(pair.operations.calls) == 60


@both_colours
async def test_started_ones(both: Both) -> None:
    """The fresh reply to a start counts as its poll, also among many (WAIT-10, WAIT-11)."""
    scripted = ScriptedOperations()
    scripted.starts(IMPORT_BOOKS, pending(), imported())
    async with both.pair(scripted) as pair:
        handles = [await both(pair.client.start(IMPORT_BOOKS, REQUEST)) for _ in range(20)]
        results = await both(pair.client.wait_all(handles))
        assert [result.result() for result in results] == [RESPONSE] * 20
        assert scripted.rpcs().count(GET) == 20
        assert pair.clock.now() >= 0.9


@both_colours
async def test_a_handle_twice_is_one_operation(both: Both) -> None:
    """A handle that is given several times has a result in each place, and its polls are shared (WAIT-10, WAIT-11)."""
    async with both.pair({"operations/0": [pending(), imported()], "operations/1": [imported()]}) as pair:
        one, other = attach(pair.client, names(2))
        results = await both(pair.client.wait_all([one, other, one, one]))
        assert results == [one.operation, other.operation, one.operation, one.operation]
        assert pair.operations.rpcs("operations/0") == [GET, GET]
        fresh = pair.client.attach("operations/1", IMPORT_BOOKS)
        assert set(await both.collect(pair.client.as_completed([fresh] * 3))) == {fresh}
        assert pair.operations.rpcs("operations/1") == [GET, GET]


@both_colours
async def test_a_handle_of_another_client(both: Both) -> None:
    """A handle of another client is a ValueError before anything is sent, even if both share a channel (WAIT-11)."""
    async with both.pair({name: [imported()] for name in names(2)}) as pair:
        mine = pair.client.attach("operations/0", IMPORT_BOOKS)
        theirs = both.client(pair.channel).attach("operations/1", IMPORT_BOOKS)
        with pytest.raises(ValueError, match="another client"):
            await both(pair.client.wait_all([mine, theirs]))
        with pytest.raises(ValueError, match="another client"):
            await both.collect(pair.client.as_completed([mine, theirs]))
        assert pair.operations.rpcs() == []


@pytest.mark.parametrize("limit", [0, -1])
@both_colours
async def test_a_limit_of_nothing_is_refused(both: Both, limit: int) -> None:
    """max_concurrency is 1 or more: with less nothing would ever be asked (WAIT-11)."""
    async with both.pair({"operations/0": [imported()]}) as pair:
        handles = attach(pair.client, names(1))
        with pytest.raises(ValueError, match="at least one"):
            await both(pair.client.wait_all(handles, max_concurrency=limit))
        with pytest.raises(ValueError, match="at least one"):
            await both.collect(pair.client.as_completed(handles, max_concurrency=limit))
        assert pair.operations.rpcs() == []


@both_colours
async def test_errors_are_fresh_and_cheap_to_tell_apart(both: Both) -> None:
    """Each failed wait has an exception of its own, with its name and its last snapshot (WAIT-11, ERR-2)."""
    some = names(40)
    async with both.pair({name: [progress(1), rpc_error(Code.PERMISSION_DENIED)] for name in some}) as pair:
        handles = attach(pair.client, some)
        errors = await both(pair.client.wait_all(handles))
        assert len({id(error) for error in errors}) == 40
        for handle, error in zip(handles, errors, strict=True):
            assert type(error) is PollingError
            assert (error.name, error.operation) == (handle.name, handle.operation)
            assert isinstance(error.__cause__, grpc.RpcError)


@both_colours
async def test_an_operation_without_a_name(both: Both) -> None:
    """A start whose reply is not done and has no name is a MalformedOperationError in its place (SNAP-3, WAIT-11)."""
    scripted = ScriptedOperations({"operations/0": [imported()]})
    scripted.starts(IMPORT_BOOKS, pending(), name="")
    async with both.pair(scripted) as pair:
        unnamed = await both(pair.client.start(IMPORT_BOOKS, REQUEST))
        results = await both(pair.client.wait_all([unnamed, *attach(pair.client, names(1))]))
        assert isinstance(results[0], MalformedOperationError)
        assert results[1].done


@both_colours
async def test_a_validated_one_without_a_name(both: Both) -> None:
    """A done operation without a name takes its place among the others, without an RPC (SNAP-4, WAIT-11)."""
    scripted = ScriptedOperations({"operations/0": [imported()]})
    scripted.starts(IMPORT_BOOKS, imported(), name="")
    async with both.pair(scripted) as pair:
        validated = await both(pair.client.start(IMPORT_BOOKS, REQUEST))
        results = await both(pair.client.wait_all([validated, *attach(pair.client, names(1))]))
        assert [result.result() for result in results] == [RESPONSE] * 2
        assert scripted.rpcs() == ["ImportBooks", GET]


# -- as they come -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("support", [WaitSupport.UNIMPLEMENTED, WaitSupport.SERVED], ids=lambda one: one.name)
@both_colours
async def test_handles_come_as_they_are_done(both: Both, support: WaitSupport) -> None:
    """as_completed yields a handle as soon as its operation is done, whatever the place in the list (WAIT-11)."""
    order = [5, 0, 3, 4, 1, 2]
    scripted = ScriptedOperations({name: [pending(times=None)] for name in names(6)}, wait_support=support)
    async with crowd(both, scripted, QUICK) as here:
        handles = attach(here.client, names(6))
        coming = here.client.as_completed(handles)
        for index in order:
            scripted.add(f"operations/{index}", imported())
            if both.sync:
                came = await asyncio.to_thread(next, coming)
            else:
                async with asyncio.timeout(5):
                    came = await anext(coming)
            assert came is handles[index]
        assert await asyncio.to_thread(next, coming, None) is None if both.sync else await both.next(coming) is None


@both_colours
async def test_what_was_done_while_the_loop_took_its_time(both: Both) -> None:
    """A loop body that outlasts the timeout loses nothing that is done: each wait has its last poll (WAIT-3, WAIT-11)."""
    some = names(6)
    scripts = {name: [pending(times=None)] for name in some} | {some[0]: [pending(), imported()]}
    async with both.pair(scripts, policy=polls(initial=1, maximum=1, jitter=0)) as pair:
        seen: list[str] = []
        async for handle in both.each(pair.client.as_completed(attach(pair.client, some), timeout=60)):
            if not seen:
                await pair.operations.wait_until_aio(answered(12))
                await both(pair.clock.sleep(1_000))
                for name in some:
                    pair.operations.add(name, imported())
            seen.append(handle.name)
        assert sorted(seen) == some


# -- bounds -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 5, None])
@both_colours
async def test_polls_keep_within_their_bound(both: Both, limit: int | None) -> None:
    """The server never works on more polls than max_concurrency, 64 by default, and always on that many (WAIT-11)."""
    gate, some, expected = Gate(), names(100), limit or 64
    scripted = ScriptedOperations({name: [delayed(pending(), gate), imported()] for name in some})
    async with crowd(both, scripted, QUICK_POLLS) as here:
        waiting = here.wait_all(attach(here.client, some), max_concurrency=limit)
        await scripted.wait_until_aio(held(expected))
        await settle()
        assert under_way(scripted.calls) == expected
        gate.open()
        assert all(result.done for result in await waiting)
        assert most_at_once(scripted.calls, GET) <= expected


@both_colours
async def test_long_polls_are_bounded_apart(both: Both) -> None:
    """max_concurrency is about polls: the server holds a WaitOperation for each of 300 operations all the same (WAIT-11)."""
    gate, some = Gate(), names(300)
    scripted = ScriptedOperations(
        {name: [pending(), delayed(imported(), gate)] for name in some}, wait_support=WaitSupport.SERVED
    )
    async with crowd(both, scripted, PollPolicy(initial=0.3, jitter=0)) as here:
        waiting = here.wait_all(attach(here.client, some), max_concurrency=8)
        await scripted.wait_until_aio(held(300, WAIT))
        assert most_at_once(scripted.calls, GET) <= 8
        gate.open()
        assert all(result.done for result in await waiting)
        rpcs = scripted.rpcs()
        assert len(rpcs) <= 600
        assert rpcs.count(WAIT) == 300


@both_colours
async def test_a_crowd_is_polled(both: Both) -> None:
    """With more waits than long polls are allowed everybody is polled, and nobody starves (WAIT-11)."""
    some = names(1_030)
    scripted = ScriptedOperations(
        {name: [pending(times=None)] for name in some[:-5]} | {name: [imported()] for name in some[-5:]},
        wait_support=WaitSupport.SERVED,
    )
    async with crowd(both, scripted, QUICK) as here:
        await both(here.client.attach(some[-1], IMPORT_BOOKS).wait()) if not both.sync else await asyncio.to_thread(
            here.client.attach(some[-1], IMPORT_BOOKS).wait
        )
        scripted.clear()
        waiting = here.wait_all(attach(here.client, some))
        await scripted.wait_until_aio(
            lambda calls: len(calls) >= 1_030 and {call.name for call in calls} == set(some), timeout=15
        )
        assert WAIT not in scripted.rpcs()[:1_030]
        for name in some[:-5]:
            scripted.add(name, imported())
        assert all(isinstance(result, Operation) for result in await waiting)


@pytest.mark.parametrize("kind", ["long polls", "polls"])
def test_a_thousand_waits_need_no_thread_each(kind: str) -> None:
    """The sync client waits for 300 operations with as many threads as for 3 (WAIT-11)."""

    def count(operations: int) -> int:
        async def body() -> int:
            gate = Gate()
            scripted = ScriptedOperations(
                {name: [delayed(imported(), gate)] for name in names(operations)},
                wait_support=WaitSupport.SERVED if kind == "long polls" else WaitSupport.UNIMPLEMENTED,
            )
            policy = PollPolicy(use_wait_operation=kind == "long polls")
            async with crowd(Both("sync"), scripted, policy) as here:
                before = threads()
                waiting = here.wait_all(attach(here.client, names(operations)), max_concurrency=1_000)
                await scripted.wait_until_aio(held(operations))
                more = len(threads() - before)
                gate.open()
                await waiting
                return more

        return run(body())

    few, many = count(3), count(300)
    assert many == few
    assert few <= 2  # the one the test waits in, and grpc's


def test_async_waits_need_no_thread_at_all() -> None:
    """The async client waits for 300 operations without a thread, and with a task for each RPC under way only (WAIT-11)."""

    async def body() -> None:
        gate = Gate()
        scripted = ScriptedOperations({name: [delayed(imported(), gate)] for name in names(300)})
        async with crowd(Both("async"), scripted, QUICK_POLLS) as here:
            before = threads()
            waiting = here.wait_all(attach(here.client, names(300)), max_concurrency=10)
            await scripted.wait_until_aio(held(10))
            assert threads() == before
            assert len(client_tasks()) == 10 + 1
            gate.open()
            assert len(await waiting) == 300

    run(body())


# -- WaitOperation ------------------------------------------------------------------------------------------------


@both_colours
async def test_that_it_is_missing_is_learned_by_all(both: Both) -> None:
    """Hundreds of waits ask a server without WaitOperation a few times, and later waits of the client not at all (WAIT-5, WAIT-11)."""
    some = names(300)
    scripted = ScriptedOperations({name: [pending(times=2), imported()] for name in some})
    async with both.pair(scripted, policy=PLAIN) as pair:
        assert all(result.done for result in await both(pair.client.wait_all(attach(pair.client, some))))
        assert 1 <= scripted.rpcs().count(WAIT) <= 3
        assert scripted.rpcs().count(GET) == 900
        scripted.clear()
        for name in some:
            scripted.add(name, pending(), imported())
        await both(pair.client.wait_all(attach(pair.client, some)))
        await both.collect(pair.client.as_completed(attach(pair.client, some)))
        await both(pair.client.attach(some[0], IMPORT_BOOKS).wait())
        assert WAIT not in scripted.rpcs()


@both_colours
async def test_what_a_single_wait_learned_many_need_not_ask(both: Both) -> None:
    """Where a wait has found WaitOperation served, all of the next wait_all use it at once: one RPC each (WAIT-5, WAIT-11)."""
    some = names(100)
    scripted = ScriptedOperations({name: [imported()] for name in some}, wait_support=WaitSupport.SERVED)
    async with both.pair(scripted, policy=PLAIN) as pair:
        await both(pair.client.attach(some[0], IMPORT_BOOKS).wait())
        scripted.clear()
        await both(pair.client.wait_all(attach(pair.client, some)))
        assert scripted.rpcs() == [WAIT] * 100


@pytest.mark.parametrize("code", [Code.NOT_FOUND, Code.PERMISSION_DENIED], ids=str)
@both_colours
async def test_what_long_polls_fail_with_is_confirmed(both: Both, code: Code) -> None:
    """Each of many whose WaitOperation fails for good goes on with GetOperation alone (WAIT-5, WAIT-11)."""
    some = names(20)
    scripted = ScriptedOperations(
        {name: [pending(times=3), imported()] for name in some}, wait_support=WaitSupport.SERVED
    )
    scripted.fails(WAIT, rpc_error(code, times=None))
    async with both.pair(scripted, policy=PollPolicy(jitter=0, use_wait_operation=True)) as pair:
        results = await both(pair.client.wait_all(attach(pair.client, some)))
        assert all(isinstance(result, Operation) for result in results)
        for name in some:
            assert scripted.rpcs(name) == [WAIT, GET, GET, GET, GET]


@pytest.mark.parametrize("use", [True, False, None])
@both_colours
async def test_the_policy_of_the_call_counts(both: Both, use: bool | None) -> None:
    """The policy given to wait_all overrides the client's (WAIT-5, WAIT-11)."""
    scripted = ScriptedOperations({name: [imported()] for name in names(10)}, wait_support=WaitSupport.SERVED)
    async with both.pair(scripted, policy=PollPolicy(use_wait_operation=not use)) as pair:
        policy = PollPolicy(use_wait_operation=use)
        await both(pair.client.wait_all(attach(pair.client, names(10)), policy=policy))
        assert scripted.rpcs().count(WAIT) == {True: 10, False: 0, None: 1}[use]
        assert len(scripted.rpcs()) == 10


@both_colours
async def test_the_end_is_noticed_at_once(both: Both) -> None:
    """200 operations that end together while the server holds them are all noticed at once, without a poll (WAIT-5, WAIT-11)."""
    gate, some = Gate(), names(200)
    scripted = ScriptedOperations(
        {name: [pending(), delayed(imported(), gate)] for name in some}, wait_support=WaitSupport.SERVED
    )
    async with crowd(both, scripted, PollPolicy(initial=60, maximum=60, use_wait_operation=True)) as here:
        waiting = here.wait_all(attach(here.client, some))
        await scripted.wait_until_aio(held(200, WAIT))
        began = time.monotonic()
        gate.open()
        results = await waiting
        assert time.monotonic() - began < 8  # a tenth of a second, unless others want the processors, too
        assert [result.result() for result in results] == [RESPONSE] * 200
        assert scripted.rpcs() == [WAIT] * 200


# -- waiting with others ------------------------------------------------------------------------------------------


@both_colours
async def test_what_another_wait_saw_done_is_not_asked_again(both: Both) -> None:
    """An operation that was seen done through its handle, while many slept, costs no further RPC (WAIT-2, WAIT-10, WAIT-11)."""
    some = names(3)
    scripts = {name: [pending(), imported()] for name in some}
    async with both.pair(scripts, clock=both.clock(auto=False)) as pair:
        handles = attach(pair.client, some)
        waiting = both.spawn(lambda: pair.client.wait_all(handles))
        await both(pair.clock.wait_for_sleepers(1))
        done = await both(handles[1].refresh())
        pair.clock.release()
        results = await waiting
        assert results[1] is done
        assert [pair.operations.rpcs(name) for name in some] == [[GET, GET]] * 3


@both_colours
async def test_many_and_one_wait_side_by_side(both: Both) -> None:
    """wait_all and a wait on one of its handles both end, with their own callbacks and results (WAIT-10, WAIT-11)."""
    gate = Gate()
    scripted = ScriptedOperations(
        {name: [delayed(imported(), gate)] for name in names(5)}, wait_support=WaitSupport.SERVED
    )
    async with crowd(both, scripted, QUICK) as here:
        handles = attach(here.client, names(5))
        many = here.wait_all(handles)
        one = both.spawn(handles[2].wait)
        await scripted.wait_until_aio(held(5))
        gate.open()
        assert (await one) is handles[2].operation
        assert (await many)[2] is handles[2].operation


@both_colours
async def test_headers_reach_every_poll(both: Both) -> None:
    """Every poll of many carries its handle's metadata and exactly one routing header (WAIT-10, WAIT-11)."""
    some = names(30)
    async with both.pair(
        {name: [pending(), imported()] for name in some}, metadata=[("x-all", "1")], policy=PLAIN
    ) as pair:
        handles = [pair.client.attach(name, IMPORT_BOOKS, metadata=[("x-mine", name)]) for name in some]
        await both(pair.client.wait_all(handles))
        assert len(pair.operations.calls) >= 60
        for call in pair.operations.calls:
            assert call.header(ROUTING_HEADER) == (f"name={call.name}",)
            assert (call.header("x-mine"), call.header("x-all")) == ((call.name,), ("1",))


# -- faults -------------------------------------------------------------------------------------------------------


@both_colours
async def test_passing_faults_are_survived_by_all(both: Both) -> None:
    """Dozens of UNAVAILABLE in a row delay some of many waits, and end none (WAIT-6, WAIT-11)."""
    some = names(100)
    scripted = ScriptedOperations({name: [pending(times=2), imported()] for name in some})
    scripted.fails(GET, unavailable(times=150))
    async with both.pair(scripted) as pair:
        results = await both(pair.client.wait_all(attach(pair.client, some)))
        assert all(isinstance(result, Operation) for result in results)
        assert scripted.rpcs().count(GET) == 450


@both_colours
async def test_retry_info_delays_the_one_it_is_about(both: Both) -> None:
    """RetryInfo for one of many is the least delay of that one, and no other waits for it (WAIT-8, WAIT-11)."""
    info = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=40))
    busy = rpc_error(Code.RESOURCE_EXHAUSTED, "later", details=[info])
    scripts = {name: [pending(), imported()] for name in names(20)} | {"operations/7": [busy, imported()]}
    async with both.pair(scripts, policy=polls(initial=2, maximum=2, jitter=0)) as pair:
        coming = pair.client.as_completed(attach(pair.client, names(20)))
        seen = [(handle.name, pair.clock.now()) async for handle in both.each(coming)]
        assert seen[-1] == ("operations/7", 40)
        assert {at for _, at in seen[:-1]} == {2}


@both_colours
async def test_a_delay_no_timer_can_hold(both: Both) -> None:
    """RetryInfo of 2^62 s for one of many, without a timeout, does not keep the others from coming (WAIT-8, WAIT-11)."""
    info = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=2**62))
    busy = rpc_error(Code.UNAVAILABLE, "much later", details=[info])
    scripted = ScriptedOperations({"operations/0": [busy], "operations/1": [delayed(imported(), 0.2)]})
    async with crowd(both, scripted, QUICK_POLLS) as here:
        coming = here.client.as_completed(attach(here.client, names(2)), timeout=None)
        assert (await first_of(both, coming)).name == "operations/1"
        await both.close(coming)


@both_colours
async def test_a_channel_closed_under_many(both: Both) -> None:
    """A channel closed under many waits ends each of them with a PollingError (WAIT-6, WAIT-11)."""
    scripted = ScriptedOperations({name: [delayed(imported(), Gate())] for name in names(30)})
    async with crowd(both, scripted, QUICK_POLLS) as here:
        waiting = here.wait_all(attach(here.client, names(30)), max_concurrency=10)
        await scripted.wait_until_aio(held(10))
        await both(here.channel.close())
        assert {type(result) for result in await waiting} == {PollingError}


@both_colours
async def test_a_server_that_goes_and_comes_back(both: Both) -> None:
    """Many waits outlast a server that is stopped and started again, with polls and long polls under way (WAIT-11, WAIT-12)."""
    gate, some = Gate(), names(20)
    scripted = ScriptedOperations(
        {name: [pending(), delayed(imported(), gate)] for name in some}, wait_support=WaitSupport.SERVED
    )
    async with both.pair(scripted) as pair:
        client = both.client(pair.channel, clock=None, policy=QUICK)
        waiting = both.spawn(lambda: client.wait_all(attach(client, some)))
        await scripted.wait_until_aio(held(20))
        await both(pair.server.stop())
        await settle(0.2)
        await both(pair.server.start())
        gate.open()
        assert all(isinstance(result, Operation) for result in await waiting)


@both_colours
async def test_headers_that_cannot_be_sent_hang_nobody(both: Both) -> None:
    """A handle whose metadata gRPC cannot send is the caller's fault, told as a ValueError and not by a hang (WAIT-10, WAIT-11)."""
    async with both.pair({name: [imported()] for name in names(3)}) as pair:

        async def wait() -> None:
            handle = pair.client.attach("operations/1", IMPORT_BOOKS, metadata=[("X-UPPER", "1")])
            async with asyncio.timeout(3):
                await both(pair.client.wait_all([*attach(pair.client, names(1)), handle]))

        with pytest.raises(ValueError, match="X-UPPER"):
            await wait()


class Blocking:
    """A sync transport of somebody else's making, which can only block: it sends nothing without waiting for it."""

    def __init__(self, client: Any, broken: str = "") -> None:
        self._inner = client._session.transport
        self._broken = broken

    def get_operation(self, name: str, *arguments: Any) -> Any:
        if name == self._broken:
            raise ZeroDivisionError("a fault of the transport")
        return self._inner.get_operation(name, *arguments)

    def wait_operation(self, *arguments: Any) -> Any:
        return self._inner.wait_operation(*arguments)

    start = list_operations = cancel_operation = delete_operation = wait_operation

    def close(self) -> None:
        """Nothing to close."""


def blocking(here: Crowd, policy: PollPolicy, broken: str = "") -> OperationsClient:
    """A client over a `Blocking` transport."""
    transport: Any = Blocking(here.client, broken)
    return OperationsClient(transport, policy=policy)


def test_a_fault_of_a_transport_hangs_nobody() -> None:
    """What a transport of somebody else's making raises comes out of wait_all, as it does out of a wait (WAIT-11)."""

    async def body() -> None:
        scripted = ScriptedOperations({name: [imported()] for name in names(3)})
        async with crowd(Both("sync"), scripted, QUICK_POLLS) as here:
            client = blocking(here, QUICK_POLLS, "operations/1")
            with pytest.raises(ZeroDivisionError):
                await asyncio.to_thread(client.attach("operations/1", IMPORT_BOOKS).wait)
            waiting = Both("sync").spawn(lambda: client.wait_all(attach(client, names(3)), timeout=2))
            done, _ = await asyncio.wait([waiting], timeout=4)
            assert done, "wait_all hangs, far beyond its timeout"
            with pytest.raises(ZeroDivisionError):
                await waiting

    run(body())


def test_a_transport_without_futures_polls_in_few_threads() -> None:
    """A sync transport that can only block gets max_concurrency threads, which end with the wait (WAIT-11)."""

    async def body() -> None:
        gate = Gate()
        scripted = ScriptedOperations({name: [delayed(imported(), gate)] for name in names(50)})
        async with crowd(Both("sync"), scripted, QUICK_POLLS) as here:
            before = threads()
            client = blocking(here, QUICK_POLLS)
            waiting = Both("sync").spawn(lambda: client.wait_all(attach(client, names(50)), max_concurrency=4))
            await scripted.wait_until_aio(held(4))
            await settle()
            assert under_way(scripted.calls) == 4
            assert len(threads() - before) <= 4 + 2
            gate.open()
            assert [result.result() for result in await waiting] == [RESPONSE] * 50

    run(body())


def test_a_transport_without_futures_starves_nobody() -> None:
    """Long polls over a transport that can only block do not keep others from being asked (WAIT-11)."""

    async def body() -> None:
        gate = Gate()
        scripted = ScriptedOperations(
            {name: [pending(), delayed(imported(), gate)] for name in names(3)} | {"operations/9": [imported()]},
            wait_support=WaitSupport.SERVED,
        )
        async with crowd(Both("sync"), scripted, QUICK) as here:
            client = blocking(here, PollPolicy(use_wait_operation=True))
            handles = attach(client, [*names(3), "operations/9"])
            coming = client.as_completed(handles, max_concurrency=2, timeout=8)
            first = asyncio.ensure_future(asyncio.to_thread(next, coming))
            try:
                done, _ = await asyncio.wait([first], timeout=3)
            finally:
                gate.open()
            assert done, "what was done from the start was not noticed within 3 s"
            assert (await first).name == "operations/9"
            await asyncio.to_thread(list, coming)

    run(body())


# -- the timeout --------------------------------------------------------------------------------------------------


@both_colours
async def test_no_time_is_one_get_each(both: Both) -> None:
    """A timeout of 0 is one GetOperation for each handle, and no WaitOperation (WAIT-3, WAIT-11)."""
    some = names(150)
    scripts: dict[str, list[Step]] = {
        name: [[imported()], [pending()], [rpc_error(Code.NOT_FOUND)]][index % 3] for index, name in enumerate(some)
    }
    async with both.pair(ScriptedOperations(scripts, wait_support=WaitSupport.SERVED), policy=PLAIN) as pair:
        results = await both(pair.client.wait_all(attach(pair.client, some), timeout=0))
        kinds = [Operation, WaitTimeoutError, OperationNotFoundError]
        assert [type(result) for result in results] == kinds * 50
        assert pair.operations.rpcs() == [GET] * 150


@pytest.mark.parametrize("use", [None, True, False])
@both_colours
async def test_everybody_is_told_in_time(both: Both, use: bool | None) -> None:
    """With a server that answers nothing all waits end by timeout + final_poll_timeout, queued ones too (WAIT-3, WAIT-11)."""
    policy = PollPolicy(initial=0.1, jitter=0, final_poll_timeout=0.1, use_wait_operation=use)
    some = names(60)  # one after the other, two at a time, their last polls would take 3 s
    scripted = ScriptedOperations({name: [delayed(imported(), Gate())] for name in some})
    scripted.fails(WAIT, delayed(rpc_error(Code.UNAVAILABLE, times=None), Gate()))
    async with crowd(both, scripted, policy) as here:
        await here.channel.channel_ready() if not both.sync else None
        began = time.monotonic()
        results = await here.wait_all(attach(here.client, some), timeout=0.8, max_concurrency=2)
        took = time.monotonic() - began
        assert [type(result) for result in results] == [WaitTimeoutError] * 60
        assert 0.79 <= took <= 0.9 + 1.6
        await scripted.wait_until_aio(all_over)


@both_colours
async def test_default_is_the_policys_timeout(both: Both) -> None:
    """Without a timeout the policy's counts: of the call, or of the client (WAIT-3, WAIT-11)."""
    async with both.pair({"operations/0": [pending()]}, policy=polls(timeout=50)) as pair:
        [late] = await both(pair.client.wait_all(attach(pair.client, names(1))))
        assert (late.timeout, pair.clock.now()) == (50, 50)
        [late] = await both(pair.client.wait_all(attach(pair.client, names(1)), policy=polls(timeout=7)))
        assert (late.timeout, pair.clock.now()) == (7, 57)


@both_colours
async def test_on_a_fake_clock_time_goes_on_between_polls(both: Both) -> None:
    """On the fake clock of the testing kit a wait_all takes no time: sleeps are recorded and passed (WAIT-1, WAIT-11)."""
    async with both.pair({"operations/0": [pending(times=3), imported()]}, policy=polls(jitter=0)) as pair:
        async with asyncio.timeout(5):
            [result] = await both(pair.client.wait_all(attach(pair.client, names(1))))
        assert result.done
        assert pair.clock.now() == pytest.approx(1 + 1.5 + 2.25)


# -- leaving ------------------------------------------------------------------------------------------------------

LEAVING = [WaitSupport.SERVED, WaitSupport.UNIMPLEMENTED]


async def first_of(both: Both, coming: Any) -> Any:
    return await asyncio.to_thread(next, coming) if both.sync else await anext(coming)


@pytest.mark.parametrize("support", LEAVING, ids=lambda one: one.name)
@both_colours
async def test_leaving_the_loop_leaves_nothing_running(both: Both, support: WaitSupport) -> None:
    """Closing as_completed ends its RPCs at the server, leaves no task and no thread, and cancels no operation (WAIT-9, WAIT-11)."""
    some = names(40)
    scripted = ScriptedOperations(
        {"operations/0": [imported()]} | {name: [delayed(imported(), Gate())] for name in some[1:]},
        wait_support=support,
    )
    async with crowd(both, scripted, QUICK) as here:
        coming = here.client.as_completed(attach(here.client, some))
        assert (await first_of(both, coming)).name == "operations/0"
        await scripted.wait_until_aio(held(30))
        await both.close(coming)
        await scripted.wait_until_aio(all_over)
        await settle()
        assert not client_tasks()
        assert CANCEL not in scripted.rpcs()
        before = len(scripted.calls)
        await settle(0.15)
        assert len(scripted.calls) == before


@pytest.mark.parametrize("support", LEAVING, ids=lambda one: one.name)
@both_colours
async def test_a_break_is_enough(both: Both, support: WaitSupport) -> None:
    """A break out of the loop, without closing anything, ends what is under way (WAIT-9, WAIT-11)."""
    some = names(20)
    scripted = ScriptedOperations(
        {"operations/0": [imported()]} | {name: [delayed(imported(), Gate())] for name in some[1:]},
        wait_support=support,
    )
    async with crowd(both, scripted, QUICK) as here:
        if both.sync:

            def leave() -> Any:
                for handle in here.client.as_completed(attach(here.client, some)):
                    scripted.wait_until(held(19))
                    return handle.name
                return None

            assert await asyncio.to_thread(leave) == "operations/0"
        else:
            async for handle in here.client.as_completed(attach(here.client, some)):
                await scripted.wait_until_aio(held(19))
                assert handle.name == "operations/0"
                break
            gc.collect()
            await settle()
            assert not client_tasks()
        await scripted.wait_until_aio(all_over)


def test_closing_is_over_when_it_returns() -> None:
    """When aclose() of an async as_completed returns, none of its tasks is left behind to be found later (WAIT-9, WAIT-11)."""

    async def body() -> None:
        scripted = ScriptedOperations(
            {"operations/0": [imported()]} | {name: [delayed(imported(), Gate())] for name in names(9)[1:]}
        )
        async with crowd(Both("async"), scripted, QUICK_POLLS) as here:
            coming = here.client.as_completed(attach(here.client, names(9)))
            await anext(coming)
            await scripted.wait_until_aio(held(8))
            await coming.aclose()
            assert not client_tasks()

    run(body())


def test_a_cancelled_wait_all_leaves_nothing_running() -> None:
    """Cancelling a task in wait_all ends its RPCs at the server and nothing else; the handles can wait again (WAIT-9, WAIT-11)."""

    async def body() -> None:
        gate = Gate()
        scripted = ScriptedOperations(
            {name: [delayed(imported(), gate)] for name in names(50)}, wait_support=WaitSupport.SERVED
        )
        async with crowd(Both("async"), scripted, QUICK) as here:
            handles = attach(here.client, names(50))
            waiting = here.wait_all(handles)
            await scripted.wait_until_aio(held(50))
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            calls = await scripted.wait_until_aio(all_over)
            assert {call.outcome for call in calls} == {Code.CANCELLED}
            await settle()
            assert not client_tasks()
            assert CANCEL not in scripted.rpcs()
            gate.open()
            assert [result.result() for result in await here.wait_all(handles)] == [RESPONSE] * 50

    run(body())


def test_a_wait_all_cancelled_between_polls() -> None:
    """Cancelling a task whose wait_all sleeps ends it at once (WAIT-9, WAIT-11)."""

    async def body() -> None:
        clock = AsyncFakeClock(auto=False)
        async with Both("async").pair({name: [pending()] for name in names(5)}, clock=clock) as pair:
            waiting = asyncio.ensure_future(pair.client.wait_all(attach(pair.client, names(5))))
            await clock.wait_for_sleepers(1)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert clock.sleepers == 0
            assert len(pair.operations.calls) == 5

    run(body())


@pytest.mark.parametrize("support", LEAVING, ids=lambda one: one.name)
def test_ctrl_c_ends_a_wait_for_many(support: WaitSupport) -> None:
    """Ctrl-C ends a sync wait_all within a moment, its RPCs at the server, and no operation (WAIT-9, WAIT-11)."""
    scripted = ScriptedOperations({name: [delayed(imported(), Gate())] for name in names(20)}, wait_support=support)
    pressed: list[float] = []
    with scripted.serve() as server, server.channel() as channel:
        client = OperationsClient(channel, policy=QUICK)

        def press() -> None:
            scripted.wait_until(held(20))
            time.sleep(0.05)
            pressed.append(time.monotonic())
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        thread = threading.Thread(target=press, name="ctrl-c")
        thread.start()
        try:
            with pytest.raises(KeyboardInterrupt):
                client.wait_all(attach(client, names(20)))
            took = time.monotonic() - pressed[0]
        finally:
            thread.join()
        assert took < 5  # nothing else ends it
        scripted.wait_until(all_over)
        assert CANCEL not in scripted.rpcs()


def test_a_generator_that_was_never_started() -> None:
    """as_completed() that nobody iterates over sends nothing and leaves nothing (WAIT-9, WAIT-11)."""
    scripted = ScriptedOperations({"operations/0": [imported()]})
    with scripted.serve() as server, server.channel() as channel:
        client = OperationsClient(channel)
        coming = client.as_completed(attach(client, names(1)))
        assert scripted.calls == ()
        coming.close()
        assert scripted.calls == ()


def test_in_another_loop_it_is_an_error() -> None:
    """wait_all on a client that was used in another event loop is a RuntimeError, not a hang (PKG-3, WAIT-11)."""
    scripted = ScriptedOperations({name: [imported()] for name in names(3)})
    with scripted.serve() as server:
        kept: list[Any] = []

        async def first() -> None:
            channel = grpc.aio.insecure_channel(server.address)
            client = Both("async").client(channel, clock=None)
            kept.extend((channel, client))
            assert len(await client.wait_all(attach(client, names(3)))) == 3
            await channel.close()

        async def second() -> None:
            client = kept[1]
            with pytest.raises(RuntimeError, match="loop"):
                await client.wait_all(attach(client, names(3)))

        run(first())
        run(second())
        kept.clear()
        gc.collect()


def test_types_of_handles_are_the_clients() -> None:
    """as_completed hands out the very handles it was given (WAIT-11)."""
    scripted = ScriptedOperations({name: [succeeded(RESPONSE)] for name in names(4)})
    with scripted.serve() as server, server.channel() as channel:
        client = OperationsClient(channel)
        handles = attach(client, names(4))
        came = list(client.as_completed(handles))
        assert set(came) == set(handles)
        assert all(isinstance(handle, OperationHandle) for handle in came)
        assert not any(isinstance(handle, AsyncOperationHandle) for handle in came)
