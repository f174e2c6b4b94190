# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Waits on a network that fails: through a proxy that cuts real connections, the user sees only results.

Every kind of wait goes through every fault, with polls and with long polls. Real time: a network has no fake clock; but
policies and channels are quick, so that a cut of a third of a second is to them what one of a minute is to others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
import pytest

from longrunning import Code, LongRunningError, PollingError, PollPolicy, RetryPolicy, WaitTimeoutError
from longrunning.testing import FaultyProxy, Gate, ScriptedOperations, WaitSupport, delayed, pending, unavailable
from tests.pair.colours import GET, IMPORT_BOOKS, RESPONSE, Both, both_colours, imported, metadata, progress

NAMES = tuple(f"operations/{number}" for number in range(5))
CUT = 0.3  # seconds; several polls fail meanwhile
SOON = 5.0  # seconds after a fault until everybody has a result, on a busy machine; a twentieth of it on an idle one
# After a cut of 5 s, by default. Polls fail 0, 0.5, 1.5, 3.5, 7.5 and 15.5 s after the first one that did, which is up to 1 s
# after the cut; the one at 7.5 s is in vain where the channel, by its own backoff, has not tried again since it healed.
LATE = 13.0

RETRY = RetryPolicy(initial=0.05, maximum=0.1, rpc_timeout=0.3)
QUICK = PollPolicy(initial=0.05, maximum=0.05, retry=RETRY)
LONG = PollPolicy(initial=0.05, maximum=0.05, retry=RETRY, use_wait_operation=True)  # also where progress is wanted
OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),  # no connection in common with another test
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 5_000),  # which is how long a connection may take
    ("grpc.max_reconnect_backoff_ms", 100),
)

Wait = Callable[[Both, Any], Awaitable[list[Any]]]


# -- every kind of wait -------------------------------------------------------------------------------------------


def attached(client: Any, names: Sequence[str] = NAMES) -> list[Any]:
    return [client.attach(name, IMPORT_BOOKS) for name in names]


async def single(both: Both, client: Any) -> list[Any]:
    """One handle."""
    (handle,) = attached(client, NAMES[:1])
    return [await both.spawn(lambda: handle.result(timeout=None))]


async def watching(both: Both, client: Any) -> list[Any]:
    """An iterator over snapshots."""
    (handle,) = attached(client, NAMES[:1])
    seen: list[Any] = await in_thread(both, lambda: handle.watch(timeout=None))
    return [seen[-1].result()]


async def wait_all(both: Both, client: Any) -> list[Any]:
    """Many handles at once."""
    handles = attached(client)
    found: list[Any] = await both.spawn(lambda: client.wait_all(handles, timeout=None))
    for error in found:
        if isinstance(error, LongRunningError):
            raise error
    return [operation.result() for operation in found]


async def as_completed(both: Both, client: Any) -> list[Any]:
    """Many handles at once, one by one."""
    handles = attached(client)
    done: list[Any] = await in_thread(both, lambda: client.as_completed(handles, timeout=None))
    assert set(done) == set(handles)
    return [handle.operation.result() for handle in done]


async def in_thread(both: Both, iterate: Callable[[], Any]) -> list[Any]:
    """Everything that comes out of an iterator, which blocks a thread of its own where it blocks."""
    found: list[Any] = await both.spawn(lambda: list(iterate()) if both.sync else both.collect(iterate()))
    return found


WAITS: dict[str, Wait] = {
    "single": single,
    "watch": watching,
    "wait_all": wait_all,
    "as_completed": as_completed,
}
every_wait = pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
polls_and_long_polls = pytest.mark.parametrize(
    "support", [WaitSupport.UNIMPLEMENTED, WaitSupport.SERVED], ids=["polls", "long polls"]
)


# -- the setting --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Network:
    """A client, a server, and what is between them."""

    both: Both
    scripted: ScriptedOperations
    server: Any
    proxy: FaultyProxy
    channel: Any
    client: Any

    def begin(self, wait: Wait) -> asyncio.Future[list[Any]]:
        """Starts to wait."""
        return asyncio.ensure_future(wait(self.both, self.client))

    async def polled(self, names: int = 1) -> None:
        """Returns when polls about so many operations came in."""
        rpc = GET if self.scripted.wait_support is WaitSupport.UNIMPLEMENTED else "WaitOperation"
        await self.scripted.wait_until_aio(
            lambda calls: len({call.name for call in calls if call.rpc == rpc}) >= names,
        )

    def finish(self) -> None:
        """Lets all operations be done from now on."""
        for name in NAMES:
            self.scripted.add(name, imported())


@asynccontextmanager
async def network(
    both: Both, support: WaitSupport = WaitSupport.UNIMPLEMENTED, *, options: Any = OPTIONS, policy: Any = QUICK
) -> AsyncGenerator[Network, None]:
    """Operations that are pending until they are finished, behind a proxy."""
    scripted = ScriptedOperations({name: [pending()] for name in NAMES}, wait_support=support)
    if policy is QUICK and support is WaitSupport.SERVED:
        policy = LONG
    async with both.serve(scripted) as server:
        with FaultyProxy(server.address) as proxy:
            make: Any = grpc.insecure_channel if both.sync else grpc.aio.insecure_channel
            channel = make(proxy.address, options=options)
            client = both.client(channel, clock=None, policy=policy)
            try:
                yield Network(both, scripted, server, proxy, channel, client)
            finally:
                await both(channel.close())


async def results(waiting: Awaitable[list[Any]], within: float = SOON) -> None:
    """Demands that a wait ends soon, with results."""
    begun = time.monotonic()
    found = await waiting
    took = time.monotonic() - begun
    assert found
    assert all(result == RESPONSE for result in found)
    assert took < within


# -- cuts ---------------------------------------------------------------------------------------------------------


@every_wait
@polls_and_long_polls
@both_colours
async def test_a_cut_is_not_noticed(both: Both, wait: Wait, support: WaitSupport) -> None:
    """Connections that are reset and refused during a wait, while the operation ends, cost nothing but time (WAIT-12)."""
    async with network(both, support) as net:
        waiting = net.begin(wait)
        await net.polled()
        net.proxy.cut()
        net.finish()
        await asyncio.sleep(CUT)
        assert not waiting.done()
        net.proxy.heal()
        await results(waiting)
        assert net.proxy.statistics.reset >= 1


@every_wait
@both_colours
async def test_a_cut_in_the_middle_of_a_poll_is_not_noticed(both: Both, wait: Wait) -> None:
    """A cut that hits polls whose answers are being waited for costs nothing but time (WAIT-12, WAIT-6)."""
    async with network(both, policy=PollPolicy(initial=0.05, maximum=0.05, retry=RetryPolicy(initial=0.05))) as net:
        for name in NAMES:
            net.scripted.add(name, delayed(pending(), Gate()), imported())
        waiting = net.begin(wait)
        await net.polled(1 if wait in {single, watching} else len(NAMES))
        net.proxy.cut(seconds=CUT)
        await results(waiting, within=CUT + SOON)


@every_wait
@both_colours
async def test_cut_after_cut_is_not_noticed(both: Both, wait: Wait) -> None:
    """Ten cuts in a row during one wait, at different times of a poll, cost nothing but time (WAIT-12)."""
    async with network(both) as net:
        waiting = net.begin(wait)
        await net.polled()
        for number in range(10):
            before = net.proxy.statistics.accepted
            net.proxy.cut(seconds=0.02 * number)
            while net.proxy.statistics.accepted == before:  # noqa: ASYNC110 (until somebody is back; nobody tells)
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.007 * number)
        assert not waiting.done()
        net.finish()
        await results(waiting)
        assert net.proxy.statistics.reset >= 10


@both_colours
async def test_a_cut_of_five_seconds_is_not_noticed(both: Both) -> None:
    """With the default policy and a channel without options, a cut of 5 s is not noticed by any wait (WAIT-12)."""
    async with network(both, options=(), policy=None) as net:
        waits = [net.begin(wait) for wait in WAITS.values()]
        await net.polled()
        net.proxy.cut()
        net.finish()
        await asyncio.sleep(5)
        assert not any(waiting.done() for waiting in waits)
        net.proxy.heal()
        await asyncio.gather(*(results(waiting, within=LATE) for waiting in waits))


@every_wait
@both_colours
async def test_a_wait_that_begins_in_a_cut_is_served(both: Both, wait: Wait) -> None:
    """Where nobody listens when a wait begins, it gets its result once somebody does (WAIT-12)."""
    async with network(both) as net:
        net.proxy.refuse()
        waiting = net.begin(wait)
        net.finish()
        await asyncio.sleep(CUT)
        assert not waiting.done()
        assert net.scripted.rpcs() == []
        net.proxy.heal()
        await results(waiting)


@both_colours
async def test_progress_goes_on_after_a_cut(both: Both) -> None:
    """What on_progress and watch show before and after a cut is what the server says, once each (WAIT-12, PROG-1, PROG-2)."""
    async with network(both) as net:
        for name in NAMES:
            net.scripted.add(name, progress(1), unavailable(), progress(2), progress(3), imported())
        shown: list[Any] = []

        def show(snapshot: Any) -> None:
            shown.append(snapshot.metadata)
            net.proxy.cut(seconds=0.1)

        one, two = attached(net.client, NAMES[:2])
        assert await both.spawn(lambda: one.result(on_progress=show)) == RESPONSE
        assert shown == [metadata(done) for done in (1, 2, 3, 4)]
        seen = await in_thread(both, two.watch)
        assert [snapshot.metadata for snapshot in seen] == shown


# -- other faults -------------------------------------------------------------------------------------------------


@every_wait
@polls_and_long_polls
@both_colours
async def test_a_restarted_server_is_not_noticed(both: Both, wait: Wait, support: WaitSupport) -> None:
    """A server that is stopped under a wait, and started on the same port, costs nothing but time (WAIT-12)."""
    async with network(both, support) as net:
        waiting = net.begin(wait)
        await net.polled()
        await both(net.server.stop())
        net.finish()
        await asyncio.sleep(CUT)
        while not net.proxy.statistics.failed:  # noqa: ASYNC110 (until somebody has found nobody; nobody tells)
            await asyncio.sleep(0.01)
        assert not waiting.done()
        await both(net.server.start())
        await results(waiting)
        assert net.proxy.statistics.failed >= 1


@every_wait
@both_colours
async def test_delays_are_not_noticed(both: Both, wait: Wait) -> None:
    """A network that is slower than polls may be, and then is not any more, costs nothing but time (WAIT-12, WAIT-3)."""
    async with network(both) as net:
        waiting = net.begin(wait)
        await net.polled()
        net.proxy.delay(QUICK.retry.rpc_timeout)  # there, and back again
        net.finish()
        await asyncio.sleep(CUT)
        assert not waiting.done()
        net.proxy.heal()
        await results(waiting)


@every_wait
@both_colours
async def test_silence_is_not_noticed(both: Both, wait: Wait) -> None:
    """A network on which nothing arrives for longer than a poll may take costs nothing but time (WAIT-12, WAIT-3)."""
    async with network(both) as net:
        waiting = net.begin(wait)
        await net.polled()
        net.proxy.stall()
        net.finish()
        await asyncio.sleep(2 * QUICK.retry.rpc_timeout)
        assert not waiting.done()
        net.proxy.heal()
        await results(waiting)


@every_wait
@both_colours
async def test_a_connection_that_died_in_silence_is_replaced(both: Both, wait: Wait) -> None:
    """On a channel that looks whether its server is there, a connection that is dead is given up for a new one (WAIT-12)."""
    looking = (("grpc.keepalive_time_ms", 300), ("grpc.http2.ping_timeout_ms", 300))
    async with network(both, options=(*OPTIONS, *looking)) as net:
        waiting = net.begin(wait)
        await net.polled()
        net.proxy.forget()
        net.finish()
        await results(waiting, within=10)
        assert net.proxy.statistics.accepted >= 2


@pytest.mark.parametrize("n_bytes", [0, 20])
@every_wait
@both_colours
async def test_an_answer_that_is_cut_in_two_is_asked_for_again(both: Both, wait: Wait, n_bytes: int) -> None:
    """A connection that is reset before an answer, or in the middle of it, costs one more poll (WAIT-12, WAIT-6)."""
    async with network(both) as net:
        waiting = net.begin(wait)
        await net.polled()
        net.finish()
        net.proxy.drop_after(n_bytes)
        await results(waiting)


# -- what a cut does not hide -------------------------------------------------------------------------------------


@contextmanager
def takes(least: float, most: float) -> Generator[None, None, None]:
    """Demands that something takes its time, and no more."""
    begun = time.monotonic()
    yield
    assert least <= time.monotonic() - begun < most


@both_colours
async def test_a_cut_does_not_stretch_a_wait(both: Both) -> None:
    """A wait that ends in a cut ends on time, with the error of the network beside the last snapshot (WAIT-3, WAIT-4)."""
    async with network(both, policy=PollPolicy(initial=0.05, maximum=0.05, final_poll_timeout=0.3)) as net:
        net.scripted.add(NAMES[0], progress(2))
        (handle,) = attached(net.client, NAMES[:1])
        await both(handle.refresh())
        net.proxy.cut()
        with takes(0.499, 0.5 + 0.3 + SOON), pytest.raises(WaitTimeoutError) as raised:
            await both.spawn(lambda: handle.wait(timeout=0.5))
        assert raised.value.operation is not None
        assert raised.value.operation.metadata == metadata(2)
        assert raised.value.last_error is not None
        assert raised.value.last_error.code is Code.UNAVAILABLE
        net.proxy.heal()
        net.finish()
        assert await both.spawn(lambda: handle.result(timeout=SOON)) == RESPONSE


@every_wait
@both_colours
async def test_a_channel_that_is_closed_in_a_cut_ends_the_wait(both: Both, wait: Wait) -> None:
    """Closing the channel while its connection is down is a PollingError at the next poll, no endless wait (WAIT-6)."""
    async with network(both) as net:
        waiting = net.begin(wait)
        await net.polled()
        net.proxy.cut()
        await asyncio.sleep(0.1)
        await both(net.channel.close())
        with takes(0, SOON), pytest.raises(PollingError, match="closed"):
            await waiting
