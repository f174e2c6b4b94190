# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Traps of waiting that users of google-api-core fall into: each of them there, and how it goes here."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core import exceptions, operation, operation_async, operations_v1, retry
from google.api_core.future import async_future, polling
from google.api_core.retry import retry_unary_async
from google.longrunning import operations_proto_pb2

from example.library.v1 import library_pb2
from longrunning import AsyncOperationsClient, OperationsClient, WaitTimeoutError
from longrunning.testing import AsyncFakeClock, FakeClock, Gate, ScriptedOperations, late, pending, unavailable
from tests.pair.colours import GET, IMPORT_BOOKS, NAME, RESPONSE, Both, came_in, imported, polls, run

QUICK: Any = retry.Retry(predicate=polling.POLLING_PREDICATE, initial=0.01, maximum=0.01, timeout=10)
ROUTING = "x-goog-request-params"
# They are not typed.
their_sync: Any = vars(operation)["from_gapic"]
their_async: Any = vars(operation_async)["from_gapic"]
their_future: Any = operation_async.AsyncOperation
their_client: Any = operations_v1.OperationsClient
their_async_client: Any = operations_v1.OperationsAsyncClient


def theirs_sync(channel: Any, name: str = NAME, **options: Any) -> Any:
    """Their future of an operation that is not done, on real gRPC."""
    return their_sync(
        operations_proto_pb2.Operation(name=name),
        their_client(channel),
        library_pb2.ImportBooksResponse,
        metadata_type=library_pb2.ImportBooksMetadata,
        **{"polling": QUICK, **options},
    )


def theirs_async(channel: Any) -> Any:
    """The same, async."""
    return their_async(
        operations_proto_pb2.Operation(name=NAME),
        their_async_client(channel),
        library_pb2.ImportBooksResponse,
        metadata_type=library_pb2.ImportBooksMetadata,
    )


def test_one_unavailable_ends_their_async_wait_not_ours() -> None:
    """There one UNAVAILABLE ends an async wait; here it costs one more poll and nothing else (WAIT-6)."""

    async def body() -> None:
        scripted = ScriptedOperations({NAME: [unavailable(), imported()]})
        async with scripted.serve_aio() as server, server.channel() as channel:
            with pytest.raises(exceptions.ServiceUnavailable):
                await theirs_async(channel).result(timeout=60)
            assert scripted.rpcs() == [GET]
            scripted.add(NAME, unavailable(), imported())
            scripted.clear()
            client = AsyncOperationsClient(channel, clock=AsyncFakeClock(), policy=polls())
            assert await client.attach(NAME, IMPORT_BOOKS).result(timeout=60) == RESPONSE
            assert scripted.rpcs() == [GET, GET]

    run(body())


def test_asking_whether_it_is_done_sends_an_rpc_there_not_here() -> None:
    """There done(), running() and cancelled() each send an RPC; here properties never do (law 3)."""
    scripted = ScriptedOperations({NAME: [pending()]})
    with scripted.serve() as server, server.channel() as channel:
        theirs = theirs_sync(channel)
        assert (theirs.done(), theirs.running(), theirs.cancelled()) == (False, True, False)
        assert scripted.rpcs() == [GET] * 3
        handle = OperationsClient(channel, clock=FakeClock(), policy=polls()).attach(NAME, IMPORT_BOOKS)
        snapshot = handle.refresh()
        scripted.clear()
        assert not snapshot.done
        assert handle.operation is snapshot
        assert (snapshot.state, snapshot.has_result, snapshot.error) == (snapshot.state, False, None)
        assert scripted.rpcs() == []


def test_a_late_reply_turns_done_back_there_not_here() -> None:
    """There a late reply turns a done operation back into a running one; here done stays done (SNAP-6)."""
    gate = Gate()
    scripted = ScriptedOperations({NAME: [late(pending(), gate), imported()]})
    with scripted.serve() as server, server.channel() as channel:
        theirs = theirs_sync(channel)
        slow = threading.Thread(target=theirs.done)
        slow.start()
        scripted.wait_until(came_in(1))
        assert theirs.done()
        gate.open()
        slow.join(10)
        assert not theirs.operation.done

        gate = Gate()
        scripted.add(NAME, late(pending(), gate), imported())
        scripted.clear()
        handle = OperationsClient(channel, clock=FakeClock(), policy=polls()).attach(NAME, IMPORT_BOOKS)
        slow = threading.Thread(target=handle.refresh)
        slow.start()
        scripted.wait_until(came_in(1))
        done = handle.refresh()
        gate.open()
        slow.join(10)
        assert done.done
        assert handle.operation is done


def test_headers_pile_up_there_not_here() -> None:
    """There each poll adds a routing header to the caller's own list, and sends them all; here one goes out (WAIT-10)."""
    scripted = ScriptedOperations({NAME: [pending(times=3), imported()]})
    with scripted.serve() as server, server.channel() as channel:
        given = [("x-call", "1")]
        theirs = theirs_sync(channel, grpc_metadata=given)
        theirs.result()
        assert [len(call.header(ROUTING)) for call in scripted.calls] == [1, 2, 3, 4]
        assert len(given) == 5

        scripted.add(NAME, pending(times=3), imported())
        scripted.clear()
        given = [("x-call", "1")]
        OperationsClient(channel, clock=FakeClock(), policy=polls()).attach(NAME, IMPORT_BOOKS, metadata=given).wait()
        assert [call.header(ROUTING) for call in scripted.calls] == [(f"name={NAME}",)] * 4
        assert given == [("x-call", "1")]


def test_a_thread_for_each_callback_there_none_here() -> None:
    """There each operation with a callback costs a thread; here a hundred callbacks cost none (PROG-1, WAIT-10)."""
    count = 20
    names = [f"operations/{number}" for number in range(count)]
    scripted = ScriptedOperations({name: [pending()] for name in names})
    with scripted.serve() as server:
        with server.channel() as channel:
            futures = [theirs_sync(channel, name) for name in names]
            called: list[Any] = []
            before = polling_threads()
            for future in futures:
                future.add_done_callback(called.append)
            threads = polling_threads() - before
            assert len(threads) == count
            for name in names:
                scripted.add(name, imported())
            for thread in threads:
                thread.join(10)
            assert len(called) == count

        async def ours() -> None:
            clock = AsyncFakeClock(auto=False)
            async with Both("async").channel(server.address) as channel:
                client = AsyncOperationsClient(channel, clock=clock, policy=polls())
                called: list[Any] = []
                await client.get(names[0])
                for name in names:
                    scripted.add(name, pending(), imported())
                threads = set(threading.enumerate())
                handles = [client.attach(name, IMPORT_BOOKS) for name in names for _ in range(5)]
                waits = [asyncio.ensure_future(handle.wait(on_progress=called.append)) for handle in handles]
                await clock.wait_for_sleepers(1)
                assert not {thread for thread in set(threading.enumerate()) - threads if "scripted" not in thread.name}
                clock.release()
                assert all(snapshot.done for snapshot in await asyncio.gather(*waits))
                assert len(called) >= 5 * count

        run(ours())


def polling_threads() -> set[threading.Thread]:
    """The threads their futures poll in."""
    return {thread for thread in threading.enumerate() if "_blocking_poll" in thread.name}


def test_the_default_timeout_differs_there_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """There the default timeout is 900 s sync and for ever async; here it is 900 s in both (WAIT-3)."""
    assert polling.DEFAULT_POLLING.timeout == 900
    now = 0.0

    async def refresh(**_: Any) -> Any:
        nonlocal now
        now += 100  # seconds a poll takes, on the clock of their retries
        return operations_proto_pb2.Operation(name=NAME, done=now >= 100_000)

    async def theirs() -> None:
        monkeypatch.setattr(retry_unary_async, "time", SimpleNamespace(monotonic=lambda: now))
        future = their_future(
            operations_proto_pb2.Operation(name=NAME),
            refresh,
            None,
            library_pb2.ImportBooksResponse,
            retry=retry.AsyncRetry(predicate=async_future.RETRY_PREDICATE, initial=1e-6, maximum=1e-6),
        )
        with pytest.raises(exceptions.GoogleAPICallError, match="neither"):  # done at last, without a result
            await future.result()
        assert now == 100_000

    run(theirs())

    async def ours(both: Both) -> float:
        async with both.pair({NAME: [pending()]}) as pair:
            with pytest.raises(WaitTimeoutError):
                await both(pair.client.attach(NAME, IMPORT_BOOKS).result())
            ended: float = pair.clock.now()
            return ended

    assert run(ours(Both("sync"))) == run(ours(Both("async"))) == 900


def test_giving_up_early_there_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """There a wait gives up long before its timeout if the next sleep would exceed it; here it never does (WAIT-3)."""

    def longest(_: float, end: float) -> float:
        return end

    monkeypatch.setattr(random, "uniform", longest)  # one of the draws they may make
    scripted = ScriptedOperations({NAME: [pending(), imported()]})
    with scripted.serve() as server, server.channel() as channel:
        patient = retry.Retry(predicate=polling.POLLING_PREDICATE, initial=20, maximum=20, timeout=19)
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            theirs_sync(channel, polling=patient).result()
        assert time.monotonic() - begun < 5
        assert scripted.rpcs() == [GET]

        scripted.add(NAME, pending(), imported())
        clock = FakeClock()
        handle = OperationsClient(channel, clock=clock).attach(NAME, IMPORT_BOOKS)
        assert handle.result(policy=polls(initial=20, maximum=20, timeout=19)) == RESPONSE
        assert clock.now() == 19
