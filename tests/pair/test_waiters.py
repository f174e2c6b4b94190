# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Several waiters on one handle, late replies, and the headers that go out with all of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from longrunning import Code, PollingError, RetryPolicy, WaitTimeoutError
from longrunning.names import ROUTING_HEADER
from longrunning.testing import (
    AsyncFakeClock,
    Gate,
    ScriptedOperations,
    WaitSupport,
    delayed,
    late,
    pending,
    rpc_error,
    unavailable,
)
from tests.pair.colours import (
    CANCEL,
    DELETE,
    GET,
    IMPORT_BOOKS,
    NAME,
    REQUEST,
    RESPONSE,
    Both,
    answered,
    async_pair,
    both_colours,
    came_in,
    imported,
    metadata,
    polls,
    progress,
    run,
    settle,
)

EVERY_SECOND = polls(initial=1, multiplier=1, maximum=1)
EVERY_THIRD = polls(initial=3, multiplier=1, maximum=3)


# -- shared polls -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("waiters", [2, 20])
@both_colours
async def test_a_poll_under_way_is_shared(both: Both, waiters: int) -> None:
    """However many wait on a handle: one poll is under way, and its reply is everybody's (WAIT-10)."""
    gate = Gate()
    async with both.pair({NAME: [delayed(imported(), gate)]}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        waits = [both.spawn(handle.wait) for _ in range(waiters)]
        await pair.operations.wait_until_aio(came_in(1))
        await settle()
        assert pair.operations.rpcs() == [GET]
        gate.open()
        snapshots = await asyncio.gather(*waits)
        assert all(snapshot is handle.operation for snapshot in snapshots)
        assert pair.operations.rpcs() == [GET]


@both_colours
async def test_a_fresh_snapshot_counts_as_a_poll(both: Both) -> None:
    """A waiter polls only when nobody else has within its own interval: the slower one costs nothing (WAIT-10)."""
    script = [progress(1, times=3), progress(2, times=3), imported()]
    async with both.pair({NAME: script}, clock=both.clock(auto=False)) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        fast, slow = list[Any](), list[Any]()
        waits = [both.spawn(lambda: handle.wait(policy=EVERY_SECOND, on_progress=fast.append))]
        await both(pair.clock.wait_for_sleepers(1))
        waits.append(both.spawn(lambda: handle.wait(policy=EVERY_THIRD, on_progress=slow.append)))
        for second in range(1, 7):
            await both(pair.clock.wait_for_sleepers(2))
            pair.clock.advance(1)
            await pair.operations.wait_until_aio(answered(second + 1))
        pair.clock.release()
        assert all(snapshot.done for snapshot in await asyncio.gather(*waits))
        assert pair.operations.rpcs() == [GET] * 7
        assert [snapshot.done for snapshot in fast] == [False] * 6 + [True]
        assert len(slow) <= 4
        assert slow[-1].done


@both_colours
async def test_a_refresh_counts_as_a_poll(both: Both) -> None:
    """What a refresh brought while a waiter slept is its poll, and the next sleep ends an interval after it (WAIT-10)."""
    async with both.pair({NAME: [progress(1), progress(2), imported()]}, clock=both.clock(auto=False)) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        shown: list[Any] = []
        waiting = both.spawn(lambda: handle.wait(policy=EVERY_THIRD, on_progress=shown.append))
        await both(pair.clock.wait_for_sleepers(1))
        pair.clock.advance(2)
        refreshed = await both(handle.refresh())
        pair.clock.advance(1)
        await both(pair.clock.wait_for_sleepers(1))
        assert pair.operations.rpcs() == [GET, GET]
        assert shown[-1] is refreshed
        assert pair.clock.sleeps == [3, 2]
        pair.clock.advance(2)
        assert (await waiting).done
        assert pair.operations.rpcs() == [GET] * 3


@both_colours
async def test_what_is_done_meanwhile_costs_no_further_rpc(both: Both) -> None:
    """A waiter that wakes up on a handle that is done returns that snapshot without a poll (WAIT-10, WAIT-2)."""
    async with both.pair({NAME: [pending(), imported()]}, clock=both.clock(auto=False)) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        waiting = both.spawn(lambda: handle.wait(policy=EVERY_SECOND))
        await both(pair.clock.wait_for_sleepers(1))
        done = await both(handle.refresh())
        pair.clock.advance(1_000)  # however old it is
        assert await waiting is done
        assert pair.operations.rpcs() == [GET, GET]


@both_colours
async def test_each_waiter_has_its_own_timeout(both: Both) -> None:
    """One waiter's timeout ends its own wait and nobody else's (WAIT-10)."""
    async with both.pair({NAME: [pending(times=4), imported()]}, clock=both.clock(auto=False)) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        patient = both.spawn(lambda: handle.wait(policy=EVERY_SECOND, timeout=None))
        await both(pair.clock.wait_for_sleepers(1))
        hasty = both.spawn(lambda: handle.wait(policy=EVERY_SECOND, timeout=0.5))
        await both(pair.clock.wait_for_sleepers(2))
        pair.clock.advance(0.5)
        with pytest.raises(WaitTimeoutError):
            await hasty
        assert not patient.done()
        pair.clock.release()
        assert (await patient).done


@both_colours
async def test_each_callback_is_called_where_its_wait_is(both: Both) -> None:
    """A callback runs in the thread, or the task, that waits, whoever led the poll (WAIT-10)."""
    gate = Gate()
    async with both.pair({NAME: [delayed(imported(), gate)]}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)

        def here() -> object:
            return threading.current_thread() if both.sync else asyncio.current_task()

        def note(mine: object) -> Callable[[Any], None]:
            return lambda _: places.append((mine, here()))

        def wait() -> Any:
            if both.sync:
                mine = here()
                handle.wait(on_progress=note(mine))
                return None

            async def waiting() -> None:
                mine = here()
                await handle.wait(on_progress=note(mine))

            return waiting()

        places: list[tuple[object, object]] = []
        waits = [both.spawn(wait) for _ in range(3)]
        await pair.operations.wait_until_aio(came_in(1))
        gate.open()
        await asyncio.gather(*waits)
        assert len({mine for mine, _ in places}) == 3
        assert all(mine is called for mine, called in places)


@both_colours
async def test_a_shared_failure_is_everybodys(both: Both) -> None:
    """A shared poll that fails for good ends each wait, each with an exception of its own (WAIT-10, ERR-2)."""
    gate = Gate()
    async with both.pair({NAME: [delayed(rpc_error(Code.PERMISSION_DENIED, "no"), gate)]}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        waits = [both.spawn(handle.wait) for _ in range(3)]
        await pair.operations.wait_until_aio(came_in(1))
        await settle()
        gate.open()
        errors = await asyncio.gather(*waits, return_exceptions=True)
        assert [type(error) for error in errors] == [PollingError] * 3
        assert len({id(error) for error in errors}) == 3
        assert {type(error.__cause__) for error in errors if isinstance(error, PollingError)} <= {
            grpc.aio.AioRpcError,
            *grpc.RpcError.__subclasses__(),
        }
        assert all(isinstance(error.__cause__, grpc.RpcError) for error in errors if isinstance(error, PollingError))


@both_colours
async def test_a_shared_failure_that_passes_is_retried_by_each(both: Both) -> None:
    """A shared poll that fails for now is retried by all waiters, again with one poll (WAIT-10, WAIT-6)."""
    gate = Gate()
    script = [delayed(unavailable(), gate), imported()]
    async with both.pair({NAME: script}, clock=both.clock(auto=False)) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        waits = [both.spawn(handle.wait) for _ in range(3)]
        await pair.operations.wait_until_aio(came_in(1))
        await settle()
        gate.open()
        await both(pair.clock.wait_for_sleepers(3))
        pair.clock.advance(0.5)
        assert all(snapshot.done for snapshot in await asyncio.gather(*waits))
        assert pair.operations.rpcs() == [GET, GET]


@both_colours
async def test_a_hasty_leader_does_not_fail_the_others(both: Both) -> None:
    """A poll cut short by its leader's own deadline is made again for the waiters that have more time (WAIT-10)."""
    policy = polls(max_attempts=1)  # for those who joined: a single failure would end them
    script = [delayed(pending(), Gate()), imported()]
    async with both.pair({NAME: script}, clock=both.clock(auto=False)) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        hasty = both.spawn(lambda: handle.wait(timeout=0.2))  # the clock stands still; the RPC has 0.2 real seconds
        await pair.operations.wait_until_aio(came_in(1))
        others = [both.spawn(lambda: handle.wait(policy=policy)) for _ in range(2)]
        await settle()
        assert pair.operations.rpcs() == [GET]
        assert all(snapshot.done for snapshot in await asyncio.gather(*others))
        assert pair.operations.rpcs() == [GET, GET]
        pair.clock.release()
        assert (await hasty).done


@both_colours
async def test_a_joined_poll_is_not_waited_for_beyond_the_own_time(both: Both) -> None:
    """A waiter that joins a poll of a patient one stops when its own time is over, with its own last poll (WAIT-10)."""
    script = [delayed(pending(), Gate())] * 2
    policy = polls(final_poll_timeout=0.1)
    async with both.pair({NAME: script}, policy=policy, clock=both.clock(auto=False)) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        patient = both.spawn(lambda: handle.wait(timeout=None))
        await pair.operations.wait_until_aio(came_in(1))
        hasty = both.spawn(lambda: handle.wait(timeout=0.1))
        await both(pair.clock.wait_for_sleepers(1))  # it gave up on the poll of the other one
        pair.clock.advance(0.1)
        with pytest.raises(WaitTimeoutError):
            await hasty
        assert len(pair.operations.calls) == 2  # the patient one's, and the last one of the hasty one
        assert not patient.done()
        await both(pair.channel.close())
        with pytest.raises(PollingError):
            await patient


def test_a_cancelled_leader_takes_nobody_along() -> None:
    """When the task that leads a shared poll is cancelled, another waiter polls in its place (WAIT-10, WAIT-9)."""

    async def body() -> None:
        async with async_pair({NAME: [delayed(pending(), Gate()), imported()]}) as pair:
            handle = pair.client.attach(NAME, IMPORT_BOOKS)
            leader = asyncio.ensure_future(handle.wait())
            await pair.operations.wait_until_aio(came_in(1))
            others = [asyncio.ensure_future(handle.wait()) for _ in range(3)]
            await settle()
            leader.cancel()
            assert all(snapshot.done for snapshot in await asyncio.gather(*others))
            with pytest.raises(asyncio.CancelledError):
                await leader
            assert pair.operations.rpcs() == [GET, GET]

    run(body())


class Stalling:
    """A sync clock that holds up whoever begins to wait, once."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.now, self.sleep = clock.now, clock.sleep

    def random(self) -> float:
        if not self.begun.is_set():
            self.begun.set()
            self.go_on.wait(10)
        return 0.0


def test_a_snapshot_taken_while_a_wait_begins_counts() -> None:
    """A snapshot that another thread takes just as a wait begins is younger than its interval: it counts (WAIT-10)."""

    async def body() -> None:
        both = Both("sync")
        clock = both.clock(auto=False)
        stalling: Any = Stalling(clock)
        async with both.pair({NAME: [progress(1), imported()]}, clock=stalling) as pair:
            handle = pair.client.attach(NAME, IMPORT_BOOKS)
            waiting = both.spawn(handle.wait)
            await asyncio.to_thread(stalling.begun.wait, 10)
            handle.refresh()
            stalling.go_on.set()
            await asyncio.to_thread(clock.wait_for_sleepers, 1)
            assert pair.operations.rpcs() == [GET]
            clock.release()
            assert (await waiting).done

    run(body())


class Interrupting:
    """A sync transport whose first poll is hit by Ctrl-C."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self.begun, self.interrupted = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def get_operation(self, *arguments: Any) -> Any:
        if self.begun.is_set():
            return self._transport.get_operation(*arguments)
        self.begun.set()
        self.interrupted.wait(10)
        raise KeyboardInterrupt


def test_an_interrupted_leader_takes_nobody_along() -> None:
    """When Ctrl-C hits the thread that leads a shared poll, another waiter polls in its place (WAIT-10, WAIT-9)."""

    async def body() -> None:
        both = Both("sync")
        async with both.pair({NAME: [imported()]}) as pair:
            transport: Any = Interrupting(pair.client._session.transport)
            handle = both.client(transport).attach(NAME, IMPORT_BOOKS)

            def lead() -> None:
                with pytest.raises(KeyboardInterrupt):
                    handle.wait()

            leader = both.spawn(lead)
            await asyncio.to_thread(transport.begun.wait, 10)
            others = [both.spawn(handle.wait) for _ in range(3)]
            await settle()
            transport.interrupted.set()
            assert all(snapshot.done for snapshot in await asyncio.gather(*others))
            await leader
            assert pair.operations.rpcs() == [GET]

    run(body())


def test_a_cancelled_follower_leaves_the_poll_alone() -> None:
    """When a task that shares a poll is cancelled, the poll goes on for the others (WAIT-10, WAIT-9)."""

    async def body() -> None:
        gate = Gate()
        async with async_pair({NAME: [delayed(imported(), gate)]}) as pair:
            handle = pair.client.attach(NAME, IMPORT_BOOKS)
            leader = asyncio.ensure_future(handle.wait())
            await pair.operations.wait_until_aio(came_in(1))
            follower = asyncio.ensure_future(handle.wait())
            await settle()
            follower.cancel()
            with pytest.raises(asyncio.CancelledError):
                await follower
            gate.open()
            assert (await leader).done
            assert pair.operations.rpcs() == [GET]

    run(body())


def test_threads_share_one_handle() -> None:
    """Fifty threads waiting on one sync handle all get the one snapshot, for at most a poll per interval (WAIT-10)."""

    async def body() -> None:
        both = Both("sync")
        async with both.pair({NAME: [pending(times=5), imported()]}, clock=both.clock(auto=False)) as pair:
            handle = pair.client.attach(NAME, IMPORT_BOOKS)
            leader = both.spawn(lambda: handle.wait(policy=EVERY_SECOND))
            pair.clock.wait_for_sleepers(1)
            waits = [leader, *(both.spawn(lambda: handle.wait(policy=EVERY_SECOND)) for _ in range(49))]
            for _ in range(5):
                pair.clock.wait_for_sleepers(50)
                pair.clock.advance(1)
            snapshots = await asyncio.gather(*waits)
            assert all(snapshot is handle.operation for snapshot in snapshots)
            assert pair.operations.rpcs() == [GET] * 6

    run(body())


# -- late replies -------------------------------------------------------------------------------------------------


@both_colours
async def test_a_late_reply_never_turns_done_back(both: Both) -> None:
    """A reply that says pending, and was overtaken by one that says done, changes nothing (SNAP-6)."""
    gate = Gate()
    async with both.pair({NAME: [late(progress(1), gate), imported()]}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        shown: list[Any] = []
        waiting = both.spawn(lambda: handle.wait(on_progress=shown.append))
        await pair.operations.wait_until_aio(came_in(1))
        done = await both(handle.refresh())
        assert done.done
        gate.open()
        assert await waiting is done
        assert handle.operation is done
        assert shown == [done]


@both_colours
async def test_late_replies_are_ordered_by_their_requests(both: Both) -> None:
    """Of two replies that are not done the one asked for later stays, whichever arrives last (SNAP-6)."""
    gate = Gate()
    async with both.pair({NAME: [late(progress(1), gate), progress(2)]}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        older = both.spawn(handle.refresh)
        await pair.operations.wait_until_aio(came_in(1))
        pair.clock.advance(1)
        newer = await both(handle.refresh())
        assert newer.metadata == metadata(2)
        gate.open()
        assert await older is newer
        assert handle.operation is newer


@both_colours
async def test_done_counts_however_late_it_comes(both: Both) -> None:
    """A late reply that says done is taken, though a newer request was told otherwise (SNAP-6)."""
    gate = Gate()
    async with both.pair({NAME: [late(imported(), gate), progress(2)]}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        older = both.spawn(handle.refresh)
        await pair.operations.wait_until_aio(came_in(1))
        pair.clock.advance(1)
        assert not (await both(handle.refresh())).done
        gate.open()
        assert (await older).done
        assert handle.operation.done


# -- headers ------------------------------------------------------------------------------------------------------


@both_colours
async def test_metadata_reaches_every_rpc(both: Both) -> None:
    """Headers of client and call go out with start, every poll, cancel and delete; the sequence is unchanged (WAIT-10)."""
    scripted = ScriptedOperations()
    scripted.starts(IMPORT_BOOKS, pending(times=2), unavailable(), imported())
    call = [("x-call", "2"), ("x-trace-bin", b"\x00\xff"), (ROUTING_HEADER, "parent=shelves/1")]
    before = list(call)
    client = [("x-client", "1")]
    async with both.pair(scripted, metadata=client) as pair:
        handle = await both(pair.client.start(IMPORT_BOOKS, REQUEST, metadata=call))
        await both(handle.cancel())
        scripted.add(NAME, pending(), unavailable(), imported())
        assert await both(handle.result()) == RESPONSE
        await both(handle.delete())
    assert call == before
    assert client == [("x-client", "1")]
    assert scripted.rpcs() == ["ImportBooks", CANCEL, GET, GET, GET, DELETE]
    for recorded in scripted.calls:
        assert recorded.header("x-client") == ("1",)
        assert recorded.header("x-call") == ("2",)
        assert recorded.header("x-trace-bin") == (b"\x00\xff",)
        routing = "parent=shelves/1" if recorded.rpc == "ImportBooks" else f"name={NAME}"
        assert recorded.header(ROUTING_HEADER) == (routing,)


@pytest.mark.parametrize("source", ["attach", "adopt", "resume"])
@both_colours
async def test_metadata_may_be_iterated_once(both: Both, source: str) -> None:
    """Headers given as a generator reach every poll, however the handle was made (WAIT-10)."""
    async with both.pair({NAME: [pending(times=2), imported()]}) as pair:
        client, given = pair.client, (pair for pair in [("x-call", "2")])
        token = client.attach(NAME, IMPORT_BOOKS).resume_token
        snapshot = await both(client.get(NAME, IMPORT_BOOKS))
        makers: dict[str, Any] = {
            "attach": lambda: client.attach(NAME, IMPORT_BOOKS, metadata=given),
            "adopt": lambda: client.adopt(snapshot, metadata=given),
            "resume": lambda: client.resume(token, IMPORT_BOOKS, metadata=given),
        }
        pair.operations.clear()
        await both(makers[source]().wait())
        assert [call.header("x-call") for call in pair.operations.calls] == [("2",)] * 2


@both_colours
async def test_the_five_rpcs_carry_one_routing_header(both: Both) -> None:
    """Get, List, Cancel, Delete and Wait each carry one routing header, and the caller's list is unchanged (WAIT-10)."""
    name = "projects/p 1/locations/ä/operations/a+b&c"
    encoded = "name=projects/p%201/locations/%C3%A4/operations/a%2Bb%26c"
    given = [("x-call", "2"), (ROUTING_HEADER, "name=another")]
    before = list(given)
    scripted = ScriptedOperations({name: [pending()]}, wait_support=WaitSupport.RETURNS_AT_ONCE)
    async with both.pair(scripted) as pair:
        client = pair.client
        await both(client.get(name, metadata=given))
        await both(client.wait_operation(name, 1, metadata=given))
        await both(client.cancel(name, metadata=given))
        await both.collect(client.list(name, metadata=given))
        await both(client.delete(name, metadata=given))
    assert given == before
    assert scripted.rpcs() == [GET, "WaitOperation", CANCEL, "ListOperations", DELETE]
    for call in scripted.calls:
        assert call.header(ROUTING_HEADER) == (encoded,)
        assert call.header("x-call") == ("2",)
        assert call.name == name


@both_colours
async def test_every_page_carries_one_routing_header(both: Both) -> None:
    """Each page of a list carries the headers once (WAIT-10, CTRL-4)."""
    scripted = ScriptedOperations({f"shelves/1/operations/{n}": [pending()] for n in range(5)}, page_size=2)
    async with both.pair(scripted, metadata=[("x-client", "1")]) as pair:
        pager = pair.client.list("shelves/1", metadata=(pair for pair in [("x-call", "2")]))
        assert len(await both.collect(pager)) == 5
        assert len(await both.collect(pager)) == 5
    assert [call.header(ROUTING_HEADER) for call in scripted.calls] == [("name=shelves/1",)] * 6
    assert [call.header("x-call") for call in scripted.calls] == [("2",)] * 6
    assert [call.header("x-client") for call in scripted.calls] == [("1",)] * 6


@both_colours
async def test_an_empty_name_sends_no_routing_header(both: Both) -> None:
    """Listing everything, under no name, sends no routing header, not even the caller's (WAIT-10)."""
    scripted = ScriptedOperations({NAME: [pending()]})
    async with both.pair(scripted) as pair:
        assert len(await both.collect(pair.client.list("", metadata=[(ROUTING_HEADER, "name=x")]))) == 1
    assert scripted.calls[0].header(ROUTING_HEADER) == ()


@pytest.mark.parametrize("name", [NAME, "batches/7", "/0e2a3e1c-1b1f", "日本/🚂", "a//b/", "x" * 2_000, "%2F", " "])
@both_colours
async def test_odd_names_work_in_every_rpc(both: Both, name: str) -> None:
    """Any name the server may have given can be polled, listed, cancelled, resumed and deleted (SNAP-7)."""
    async with both.pair({name: [pending(times=3), imported()]}) as pair:
        handle = pair.client.attach(name, IMPORT_BOOKS)
        assert (await both(handle.refresh())).name == handle.name == name
        assert pair.client.resume(handle.resume_token, IMPORT_BOOKS).name == name
        assert [item.name for item in await both.collect(pair.client.list(""))] == [name]
        await both(handle.wait())
        await both(pair.client.cancel(name))
        await both(handle.delete())
        assert {call.name for call in pair.operations.calls if call.rpc != "ListOperations"} == {name}


@pytest.mark.parametrize("name", ["", "a\ud800"], ids=ascii)
@both_colours
async def test_what_is_no_name_is_refused_before_anything_is_sent(both: Both, name: str) -> None:
    """An empty name, or one that UTF-8 cannot carry, is a ValueError and no RPC (SNAP-7, CTRL-1)."""
    async with both.pair({}) as pair:
        client = pair.client
        calls: list[Callable[[], Any]] = [
            lambda: client.attach(name),
            lambda: client.get(name),
            lambda: client.cancel(name),
            lambda: client.delete(name),
            lambda: client.wait_operation(name, 1),
        ]
        for call in calls:
            with pytest.raises(ValueError, match=r"name|surrogate"):
                await both(call())
        assert pair.operations.rpcs() == []


def test_retry_policy_of_a_wait_reaches_its_polls() -> None:
    """A wait's own rpc_timeout is that of its polls (WAIT-3)."""

    async def body() -> None:
        async with async_pair({NAME: [pending(), imported()]}, clock=AsyncFakeClock()) as pair:
            policy = polls(retry=RetryPolicy(rpc_timeout=7))
            await pair.client.attach(NAME, IMPORT_BOOKS).wait(policy=policy)
            assert [call.deadline for call in pair.operations.calls] == [pytest.approx(7, abs=0.3)] * 2

    run(body())
