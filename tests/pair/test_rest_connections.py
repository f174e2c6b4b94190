# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The connections of a REST client: those that the server closes, those that are too few, and those of waits that are interrupted."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from longrunning import (
    AsyncOperationsClient,
    Code,
    OperationsClient,
    PollPolicy,
    RpcError,
    StartError,
    WaitTimeoutError,
)
from longrunning.rest import AsyncRestTransport, RestTransport
from longrunning.testing import ScriptedOperations, WaitSupport, pending
from tests.pair.colours import NAME, REQUEST, RESPONSE, Both, both_colours, came_in, imported, polls, progress
from tests.pair.rest_serving import IMPORT, Canned, Seen, answering, http_client, rest_client, rest_pair, serving
from tests.pair.test_rest_faults import rude, shut

POLLING = polls(jitter=0)


def answer(connection: socket.socket, body: bytes) -> None:
    """Sends an answer that says nothing of the connection, which could be used again."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    connection.sendall(head % len(body) + body)


# -- connections that end -------------------------------------------------------------------------------------------


@both_colours
async def test_connections_that_end_between_polls(both: Both) -> None:
    """A server that closes a connection after each answer, and does not say so, is not visible to a wait (WAIT-6, WAIT-12)."""
    count = 0

    def once(connection: socket.socket) -> None:
        nonlocal count
        count += 1
        answer(connection, b'{"name": "operations/1", "done": %s}' % (b"true" if count > 30 else b"false"))

    with rude(once) as url:
        client = rest_client(both, url, policy=POLLING)
        assert (await both(client.attach(NAME).wait(timeout=10_000))).done
        await both(client.close())


@both_colours
async def test_a_start_is_sent_once(both: Both) -> None:
    """A start whose connection ends before an answer comes is not sent again, on a used connection neither (ERR-1, SRV-7)."""
    starts = 0

    def until_a_start(connection: socket.socket) -> None:
        nonlocal starts
        while True:
            answer(connection, b'{"name": "operations/1"}')
            request = connection.recv(65536)
            if request.startswith(b"POST"):
                starts += 1
                return
            assert request.startswith(b"GET")

    with rude(until_a_start) as url:
        client = rest_client(both, url)
        await both(client.get(NAME))
        with pytest.raises(StartError) as caught:
            await both(client.start(IMPORT, REQUEST))
        await both(client.close())
        assert caught.value.code is Code.UNAVAILABLE
        assert isinstance(caught.value.__cause__, httpx.TransportError)
        assert starts == 1


@both_colours
async def test_a_start_that_is_not_answered_in_time(both: Both) -> None:
    """A start without an answer is DEADLINE_EXCEEDED after its own time, and sent once: nobody knows what came of it (ERR-1)."""
    release = threading.Event()

    def hold(seen: Seen) -> Canned:
        release.wait(10)
        return Canned(200, {"name": NAME})

    with answering(hold) as edge:
        client = rest_client(both, edge.url)
        with pytest.raises(StartError) as caught:
            await both(client.start(IMPORT, REQUEST, rpc_timeout=0.2))
        release.set()
        await both(client.close())
        assert caught.value.code is Code.DEADLINE_EXCEEDED
        assert [seen.verb for seen in edge.seen] == ["POST"]


# -- what is said of it -------------------------------------------------------------------------------------------


@both_colours
async def test_errors_say_where(both: Both) -> None:
    """What came to nothing at all says what was asked of whom, and no key of the caller's; what a service says stays as it is (ERR-2)."""
    said = Canned(404, {"error": {"code": 404, "status": "NOT_FOUND", "message": "operation 'x' was not found"}})
    lost = Canned(404, {"error": {"code": 404, "status": "NOT_FOUND", "message": "Method not found."}})
    with answering(lambda seen: said if seen.path.endswith("/x") else lost) as edge:
        own: Any = http_client(both, params={"key": "SECRET"})
        client = rest_client(both, f"{edge.url}/wrong", http_client=own)
        with pytest.raises(RpcError) as caught:
            await both(client.get(NAME))
        assert f"Method not found. (GET {edge.url}/wrong/v1/{NAME})" in str(caught.value)
        assert "SECRET" not in str(caught.value)
        with pytest.raises(RpcError) as caught:
            await both(client.get("operations/x"))
        assert edge.url not in str(caught.value)
        await both(client.close())
        await both(own.close() if both.sync else own.aclose())
    client = rest_client(both, edge.url)
    with pytest.raises(StartError) as refused:
        await both(client.start(IMPORT, REQUEST))
    assert f"(POST {edge.url}/v1/" in str(refused.value)
    with pytest.raises(WaitTimeoutError, match="nothing was heard of operation") as late:
        await both(client.attach(NAME).wait(timeout=2))
    assert "goes on" not in str(late.value)
    await both(client.close())


@both_colours
async def test_a_url_in_the_place_of_a_channel(both: Both) -> None:
    """A client that gets a URL, or an address, names what takes one (ERR-2)."""
    url: Any = "https://example.com"
    with pytest.raises(TypeError, match=r"OperationsClient\.from_url\("):
        both.client(url)


# -- waits that are interrupted ---------------------------------------------------------------------------------------


@contextmanager
def holding(then: Callable[[], object]) -> Generator[tuple[str, threading.Event], None, None]:
    """A server that does something when a request is there, and answers when it is released."""
    release = threading.Event()

    def hold(seen: Seen) -> Canned:
        if not release.is_set():
            then()
            release.wait(10)
        return Canned(200, {"name": NAME, "done": release.is_set()})

    with answering(hold) as edge:
        try:
            yield edge.url, release
        finally:
            release.set()


def test_interrupts_leave_no_connection() -> None:
    """Ctrl-C in the middle of a poll ends the wait and gives its connection back: the only one there is (WAIT-9)."""
    main = threading.main_thread().ident
    assert main is not None
    with (
        holding(lambda: signal.pthread_kill(main, signal.SIGINT)) as (url, release),
        httpx.Client(trust_env=False, limits=httpx.Limits(max_connections=1)) as own,
    ):
        client = OperationsClient.from_url(url, http_client=own, policy=POLLING)
        for _ in range(3):
            with pytest.raises(KeyboardInterrupt):
                client.attach(NAME).wait()
        release.set()
        assert client.get(NAME).done


WAITING = """
import sys
from longrunning import OperationsClient

client = OperationsClient.from_url(sys.argv[1])
client.wait_all([client.attach(f"operations/{n}") for n in range(20)])
"""


def test_ctrl_c_waits_for_no_poll() -> None:
    """A process that waits for many ends at Ctrl-C, whatever its polls, in threads of their own, are waiting for (WAIT-9, WAIT-11)."""
    arrived = threading.Semaphore(0)
    with holding(arrived.release) as (url, _):
        with subprocess.Popen((sys.executable, "-c", WAITING, url), stderr=subprocess.PIPE, text=True) as process:
            assert arrived.acquire(timeout=30)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=8)  # a server that is held answers after 10
        assert said.rstrip().endswith("KeyboardInterrupt")


def test_cancelled_tasks_leave_no_connection() -> None:
    """Waits whose tasks are cancelled, in a request or in line for a connection, give everything back (WAIT-9)."""

    async def body() -> None:
        arrived = threading.Semaphore(0)
        with holding(arrived.release) as (url, release):
            async with httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_connections=2)) as own:
                client = AsyncOperationsClient.from_url(url, http_client=own, policy=POLLING)
                for _ in range(3):
                    waits = [asyncio.ensure_future(client.attach(f"operations/{n}").wait()) for n in range(20)]
                    for _ in range(2):
                        assert await asyncio.to_thread(arrived.acquire, timeout=10)
                    for wait in waits:
                        wait.cancel()
                    ends = await asyncio.gather(*waits, return_exceptions=True)
                    assert {type(end) for end in ends} == {asyncio.CancelledError}
                release.set()
                assert (await client.get(NAME)).done

    asyncio.run(body())


# -- connections that are too few ---------------------------------------------------------------------------------------


@both_colours
async def test_few_connections(both: Both) -> None:
    """Where an HTTP client makes two connections, one is left for a cancel if only one WaitOperation may be under way (WAIT-5)."""
    names = [f"operations/{number}" for number in range(6)]
    scripted = ScriptedOperations({name: [pending(times=None)] for name in names}, wait_support=WaitSupport.SERVED)
    with serving(scripted, waits=True) as (_, edge):
        own = http_client(both, limits=httpx.Limits(max_connections=2))
        kind: Any = RestTransport if both.sync else AsyncRestTransport
        policy = PollPolicy(initial=0.05, maximum=0.1, timeout=20)
        client = both.client(kind(edge.url, http_client=own, max_waits=1), policy=policy, clock=None)
        waits = [both.spawn(client.attach(name).wait) for name in names]
        await scripted.wait_until_aio(came_in(20))
        async with asyncio.timeout(10):
            if both.sync:
                await asyncio.to_thread(client.cancel, names[0])
            else:
                await client.cancel(names[0])
        for name in names[1:]:
            scripted.add(name, imported())
        assert all(end.done for end in await asyncio.gather(*waits))
        assert scripted.rpcs().count("WaitOperation") < scripted.rpcs().count("GetOperation")
        await shut(both, own)


@both_colours
async def test_one_wait_after_the_other(both: Both) -> None:
    """A WaitOperation that has ended, well or badly, makes room for the next one (WAIT-5)."""
    with answering(Canned(200, {"name": NAME}), Canned(503), Canned(200, {"name": NAME})) as edge:
        kind: Any = RestTransport if both.sync else AsyncRestTransport
        client = both.client(kind(edge.url, max_waits=1))
        await both(client.wait_operation(NAME, 1))
        with pytest.raises(RpcError):
            await both(client.wait_operation(NAME, 1))
        await both(client.wait_operation(NAME, 1))
        await both(client.close())
        assert [seen.verb for seen in edge.seen] == ["POST"] * 3


def test_no_negative_number_of_waits() -> None:
    """Less than none is no number of waits (REST-1)."""
    for kind in (RestTransport, AsyncRestTransport):
        with pytest.raises(ValueError, match=">= 0"):
            kind("https://localhost", max_waits=-1)


@both_colours
async def test_without_waits(both: Both) -> None:
    """With no WaitOperation allowed at all, the server is polled (WAIT-5)."""
    scripted = ScriptedOperations({NAME: [progress(1), imported()]}, wait_support=WaitSupport.SERVED)
    async with rest_pair(both, scripted, waits=True) as pair:
        kind: Any = RestTransport if both.sync else AsyncRestTransport
        client = both.client(kind(pair.edge.url, max_waits=0), policy=PollPolicy(jitter=0), clock=both.clock())
        assert await both(client.attach(NAME, IMPORT).result()) == RESPONSE
        await both(client.close())
        assert set(scripted.rpcs()) == {"GetOperation"}
