# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong between a REST client and its server: errors, proxies, cuts, slow, hostile and absent servers."""

from __future__ import annotations

import asyncio
import gzip
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2

from longrunning import (
    Code,
    PollingError,
    PollPolicy,
    RetryPolicy,
    RpcError,
    StartError,
    Status,
    WaitTimeoutError,
)
from longrunning.errors import OperationNotFoundError, PayloadDecodeError
from longrunning.rest import AsyncRestTransport, RestTransport
from longrunning.testing import FaultyProxy, ScriptedOperations, pending, rpc_error, unavailable
from tests.pair.colours import NAME, REQUEST, RESPONSE, Both, both_colours, came_in, imported, polls, progress
from tests.pair.rest_serving import IMPORT, Canned, Seen, answering, http_client, rest_client, rest_pair, serving

DONE = {"name": NAME, "done": True}
QUICK = PollPolicy(
    initial=0.02, maximum=0.05, final_poll_timeout=1, use_wait_operation=False,
    retry=RetryPolicy(initial=0.02, maximum=0.05, rpc_timeout=5),
)  # fmt: skip
ERRORS = [code for code in Code if code is not Code.OK]
LASTING = [code for code in ERRORS if code not in RetryPolicy().codes]


def info(seconds: float) -> error_details_pb2.RetryInfo:
    """A request to be left alone."""
    whole, rest = divmod(round(seconds * 1e9), 10**9)
    return error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=whole, nanos=rest))


async def shut(both: Both, closable: Any) -> None:
    """Closes an HTTP client of either colour."""
    await both(closable.close() if both.sync else closable.aclose())


# -- errors of the server -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ERRORS, ids=lambda code: code.name)
@both_colours
async def test_errors_like_grpc(both: Both, code: Code) -> None:
    """The same error over REST and over gRPC is the same exception, code, message and details alike (ERR-1, ERR-3, REST-2)."""
    details = [error_details_pb2.ErrorInfo(reason="R", domain="d"), info(0.25)]

    def scripts() -> Any:
        return {NAME: [rpc_error(code, "why", details=details, times=None)]}

    found: list[RpcError] = []
    async with rest_pair(both, scripts()) as rest, both.pair(scripts()) as grpc:
        for client in (rest.client, grpc.client):
            with pytest.raises(PollingError) as caught:
                await both(client.get(NAME))
            found.append(caught.value)
    over_rest, over_grpc = found
    assert type(over_rest) is type(over_grpc)
    assert over_rest.details == over_grpc.details == Status(code, "why", tuple(details))
    assert str(over_rest) == str(over_grpc)
    assert (over_rest.method, over_rest.name) == (over_grpc.method, over_grpc.name)


@pytest.mark.parametrize("code", LASTING, ids=lambda code: code.name)
@both_colours
async def test_lasting_errors_end_a_wait(both: Both, code: Code) -> None:
    """What does not pass ends a wait at once, as over gRPC (WAIT-6, WAIT-7)."""
    async with rest_pair(both, {NAME: [rpc_error(code, times=None)]}) as pair:
        with pytest.raises(OperationNotFoundError if code is Code.NOT_FOUND else PollingError) as caught:
            await both(pair.client.attach(NAME).wait())
        assert caught.value.code is code
        assert len(pair.edge.seen) == 1


@both_colours
async def test_passing_errors_are_bridged(both: Both) -> None:
    """What passes is retried, with the pauses of a retry (WAIT-6)."""
    script = [progress(1), unavailable(times=3), rpc_error(Code.DEADLINE_EXCEEDED), imported()]
    async with rest_pair(both, {NAME: script}, policy=polls(jitter=0)) as pair:
        assert await both(pair.client.attach(NAME, IMPORT).result()) == RESPONSE
        assert pair.clock.sleeps == [1, 0.5, 1, 2, 4]


@pytest.mark.parametrize("status", [502, 503, 504])
@pytest.mark.parametrize(
    "body",
    [b"", b"<html><title>Bad Gateway</title>", b"upstream connect error", b'{"message": "no healthy upstream"}'],
    ids=["empty", "html", "text", "json"],
)
@both_colours
async def test_proxies_in_trouble_are_bridged(both: Both, status: int, body: bytes) -> None:
    """502, 503 and 504 of a proxy, whatever is in them, are retried within the timeout (WAIT-6)."""
    with answering(
        Canned(status, body, (("content-type", "text/html"),)), Canned(status, body), Canned(200, DONE)
    ) as edge:
        client = rest_client(both, edge.url, policy=polls(jitter=0))
        assert (await both(client.attach(NAME).wait())).done
        await both(client.close())
        assert len(edge.seen) == 3


@both_colours
async def test_a_start_is_not_retried(both: Both) -> None:
    """A start that fails is sent once, also when its failure passes: nobody knows whether it did start (ERR-1)."""
    with answering(Canned(503)) as edge:
        client = rest_client(both, edge.url)
        with pytest.raises(StartError) as caught:
            await both(client.start(IMPORT, REQUEST))
        await both(client.close())
        assert caught.value.code is Code.UNAVAILABLE
        assert len(edge.seen) == 1


@pytest.mark.parametrize(
    ("header", "in_details", "pause"), [("7", 0, 7), ("", 3.5, 3.5), ("2", 9, 9), ("0", 0, 0.5), ("soon", 0, 0.5)]
)
@both_colours
async def test_retry_after(both: Both, header: str, in_details: float, pause: float) -> None:
    """Retry-After and RetryInfo are lower bounds of the next pause (WAIT-8)."""
    details = [info(in_details)] if in_details else []
    step = rpc_error(Code.UNAVAILABLE, details=details, trailers=[("retry-after", header)])
    async with rest_pair(both, {NAME: [step, imported()]}, policy=polls(jitter=0)) as pair:
        await both(pair.client.attach(NAME, IMPORT).wait())
        assert pair.clock.sleeps == [pause]


@both_colours
async def test_retry_after_of_a_quota(both: Both) -> None:
    """A 429 that says when to come back is worth coming back; without that it lasts (WAIT-8, WAIT-6)."""
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    now = format_datetime(datetime.now(UTC), usegmt=True)
    with answering(Canned(429, b"", (("retry-after", until), ("date", now))), Canned(200, DONE), Canned(429)) as edge:
        clock = both.clock()
        client = rest_client(both, edge.url, clock=clock, policy=polls(jitter=0))
        assert (await both(client.attach(NAME).wait())).done
        assert 98 <= clock.sleeps[0] <= 101
        with pytest.raises(PollingError) as caught:
            await both(client.attach(NAME).wait())
        await both(client.close())
        assert caught.value.code is Code.RESOURCE_EXHAUSTED


@both_colours
async def test_the_deadline_wins(both: Both) -> None:
    """A Retry-After beyond the deadline moves the next poll to the deadline, and no further (WAIT-3, WAIT-8)."""
    with answering(Canned(503, b"", (("retry-after", "99999999999"),)), Canned(200, DONE)) as edge:
        clock = both.clock()
        client = rest_client(both, edge.url, clock=clock)
        assert (await both(client.attach(NAME).wait(timeout=60))).done
        await both(client.close())
        assert clock.sleeps == [60]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@both_colours
async def test_redirects_are_not_followed(both: Both, status: int) -> None:
    """A redirect is an error that names its target; neither it nor any header goes there, whatever the HTTP client does (REST-1)."""
    with answering(Canned(200, DONE)) as target:
        with answering(Canned(status, b"", (("location", f"{target.url}/v1/x"),))) as edge:
            own = http_client(both, follow_redirects=True)
            client = rest_client(both, edge.url, http_client=own, metadata=[("x-secret", "s")])
            calls: list[Callable[[], Any]] = [
                lambda: client.get(NAME),
                lambda: client.cancel(NAME),
                lambda: client.start(IMPORT, REQUEST),
            ]
            for call in calls:
                with pytest.raises(RpcError, match="redirect to") as caught:
                    await both(call())
                assert caught.value.code is Code.FAILED_PRECONDITION
                assert target.url in str(caught.value)
            await shut(both, own)
        assert target.seen == []


# -- answers that make no sense -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>log in here</html>", b"[]", b'{"name": 7}', b'{"done": "yes"}', b'{"a":' * 5000, b"\xff\xfe", b'{"name": "\\ud800"}'],
)  # fmt: skip
@both_colours
async def test_no_operation(both: Both, body: bytes) -> None:
    """A success that is no operation ends wait and get with a PayloadDecodeError that names the operation (ERR-1, JSON-3)."""
    with answering(Canned(200, body, (("content-type", "text/html"),))) as edge:
        client = rest_client(both, edge.url)
        calls: list[Callable[[], Any]] = [lambda: client.get(NAME), lambda: client.attach(NAME).wait()]
        for call in calls:
            with pytest.raises(PayloadDecodeError, match="text/html") as caught:
                await both(call())
            assert caught.value.name == NAME
        await both(client.close())


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
@both_colours
async def test_answers_that_are_too_large(both: Both, encoding: str) -> None:
    """An answer beyond the limit is RESOURCE_EXHAUSTED, as over gRPC; the connection is not used again (REST-2)."""
    body = b'{"name": "' + b"x" * 100_000 + b'"}'
    data = gzip.compress(body) if encoding == "gzip" else body
    headers = (("content-encoding", encoding),)
    with answering(Canned(200, data, headers), Canned(200, DONE)) as edge:
        kind = RestTransport if both.sync else AsyncRestTransport
        transport: Any = kind(edge.url, max_reply_bytes=50_000)
        client = both.client(transport)
        with pytest.raises(RpcError, match="larger than 50000 bytes") as caught:
            await both(client.get(NAME))
        assert caught.value.code is Code.RESOURCE_EXHAUSTED
        assert (await both(client.get(NAME))).done
        await both(client.close())


@both_colours
async def test_compressed_answers(both: Both) -> None:
    """Answers may be compressed with gzip, which is what is asked for (REST-1)."""
    with answering(Canned(200, gzip.compress(b'{"name": "n", "done": true}'), (("content-encoding", "gzip"),))) as edge:
        client = rest_client(both, edge.url)
        assert (await both(client.get(NAME))).done
        await both(client.close())
        assert edge.seen[0].headers["accept-encoding"] == "gzip"


@both_colours
async def test_errors_that_cannot_be_read(both: Both) -> None:
    """An error whose body is too large, or no gzip, is still the error it is (REST-2)."""
    headers = (("content-encoding", "gzip"),)
    with answering(
        Canned(503, b"x", headers), Canned(403, b"x" * (2 << 20)), Canned(404, b"x", (("content-encoding", "br"),))
    ) as edge:
        client = rest_client(both, edge.url)
        for code in (Code.UNAVAILABLE, Code.PERMISSION_DENIED, Code.NOT_FOUND):
            with pytest.raises(RpcError) as caught:
                await both(client.get(NAME))
            assert caught.value.code is code
        await both(client.close())


# -- connections --------------------------------------------------------------------------------------------------


@both_colours
async def test_a_server_that_is_not_there(both: Both) -> None:
    """Nobody listening is UNAVAILABLE, and retried until the time is over; the error carries the last failure (WAIT-4, WAIT-6)."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    client = rest_client(both, url)
    with pytest.raises(WaitTimeoutError) as caught:
        await both(client.attach(NAME).wait(timeout=10))
    assert caught.value.last_error is not None
    assert caught.value.last_error.code is Code.UNAVAILABLE
    assert isinstance(caught.value.last_error.__cause__, httpx.ConnectError)
    await both(client.close())


@both_colours
async def test_a_restart_is_not_visible(both: Both) -> None:
    """A server that goes away under a wait and comes back is not visible to the user (WAIT-12)."""
    with serving({NAME: [pending(times=None)]}) as (scripted, edge):
        client = rest_client(both, edge.url, policy=QUICK, clock=None)
        wait = both.spawn(lambda: client.attach(NAME, IMPORT).wait(timeout=20))
        await scripted.wait_until_aio(lambda calls: len(calls) >= 2)
        await asyncio.to_thread(edge.stop)
        await asyncio.sleep(0.2)
        scripted.add(NAME, imported())
        edge.start()
        assert (await wait).result() == RESPONSE
        await both(client.close())


@both_colours
async def test_cuts_are_not_visible(both: Both) -> None:
    """Connections that are reset, refused and stalled under a wait are not visible to the user (WAIT-12, WAIT-6)."""
    with serving({NAME: [pending(times=None)]}) as (scripted, edge), FaultyProxy(edge.address) as proxy:
        policy = PollPolicy(
            initial=0.02, maximum=0.05, final_poll_timeout=1, use_wait_operation=False,
            retry=RetryPolicy(initial=0.02, maximum=0.05, rpc_timeout=0.5),
        )  # fmt: skip
        client = rest_client(both, f"http://{proxy.address}", policy=policy, clock=None)
        wait = both.spawn(lambda: client.attach(NAME, IMPORT).wait(timeout=20))
        faults: list[Callable[[], object]] = [
            lambda: proxy.cut(seconds=0.2),
            lambda: proxy.stall(seconds=0.7),
            lambda: proxy.drop_after(100),
        ]
        for fault in faults:
            seen = len(scripted.calls)
            await scripted.wait_until_aio(came_in(seen + 2))
            fault()
            await asyncio.sleep(0.3)
        scripted.add(NAME, imported())
        assert (await wait).result() == RESPONSE
        await both(client.close())


class _Rude(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@contextmanager
def rude(behaviour: Callable[[socket.socket], object]) -> Generator[str, None, None]:
    """A server that reads a request, then does that to the connection."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            connection: socket.socket = self.request
            connection.settimeout(5)
            try:
                connection.recv(65536)
                behaviour(connection)
            except OSError:
                pass

    with _Rude(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        OK,
        OK + b"content-length: 100\r\n\r\n{",
        OK + b"transfer-encoding: chunked\r\n\r\n5\r\n{",
        OK + b"content-length: x\r\n\r\n",
    ],
    ids=["nothing", "half a head", "half a body", "half a chunk", "a broken head"],
)
@both_colours
async def test_half_an_answer(both: Both, sent: bytes) -> None:
    """An answer that ends in the middle is UNAVAILABLE, with the exception of httpx as its cause (WAIT-6)."""
    with rude(lambda connection: connection.sendall(sent)) as url:
        client = rest_client(both, url)
        with pytest.raises(RpcError) as caught:
            await both(client.get(NAME))
        await both(client.close())
        assert caught.value.code is Code.UNAVAILABLE
        assert isinstance(caught.value.__cause__, httpx.RemoteProtocolError)


@both_colours
async def test_no_http(both: Both) -> None:
    """A server that does not speak HTTP/1.1 ends a wait at once: that does not pass (WAIT-6)."""
    with rude(lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")) as url:
        client = rest_client(both, url)
        with pytest.raises(PollingError, match="illegal status line"):
            await both(client.attach(NAME).wait(timeout=10))
        await both(client.close())


def trickle(connection: socket.socket, head: bytes, body: bytes) -> None:
    """Sends byte by byte until nobody listens any more, or for five seconds."""
    connection.sendall(head)
    until = time.monotonic() + 5.0
    while time.monotonic() < until:
        connection.sendall(body)
        time.sleep(0.05)


@pytest.mark.parametrize(
    "head",
    [None, OK + b"content-length: 1000\r\n\r\n{"],
    ids=["silent", "trickling body"],
)
@both_colours
async def test_slow_servers(both: Both, head: bytes | None) -> None:
    """An RPC ends with DEADLINE_EXCEEDED when its time is over, however the server spends it (WAIT-3)."""

    def behaviour(connection: socket.socket) -> None:
        if head is None:
            connection.recv(1)  # for five seconds, or until the client hangs up
        else:
            trickle(connection, head, b" ")

    with rude(behaviour) as url:
        policy = polls(retry=RetryPolicy(rpc_timeout=0.3))
        client = rest_client(both, url, policy=policy, clock=None)
        begun = time.monotonic()
        with pytest.raises(RpcError) as caught:
            await both(client.get(NAME))
        taken = time.monotonic() - begun
        await both(client.close())
        assert caught.value.code is Code.DEADLINE_EXCEEDED
        assert 0.25 <= taken < 4


def test_slow_heads() -> None:
    """Also a head that trickles in does not keep an async client longer than its time (WAIT-3)."""
    both = Both("async")

    async def body(url: str) -> None:
        client = rest_client(both, url, policy=polls(retry=RetryPolicy(rpc_timeout=0.3)), clock=None)
        async with asyncio.timeout(4):
            with pytest.raises(RpcError, match="DEADLINE_EXCEEDED"):
                await client.get(NAME)
        await client.close()

    with rude(lambda connection: trickle(connection, OK + b"x-a: ", b"a")) as url:
        asyncio.run(body(url))


@both_colours
async def test_the_timeouts_of_the_http_client_do_not_count(both: Both) -> None:
    """A long poll outlasts the five seconds that an HTTP client has by default (WAIT-5)."""

    def slowly(seen: Seen) -> Canned:
        time.sleep(0.3)
        return Canned(200, DONE)

    with answering(slowly) as edge:
        own = http_client(both, timeout=0.05)
        client = rest_client(both, edge.url, http_client=own, clock=None)
        assert (await both(client.get(NAME))).done
        await shut(both, own)


# -- closing ------------------------------------------------------------------------------------------------------


@both_colours
async def test_a_closed_client(both: Both) -> None:
    """A client that was closed says so, in a wait as well, and is not retried (WAIT-6)."""
    with answering(Canned(200, {"name": NAME})) as edge:
        client = rest_client(both, edge.url)
        await both(client.close())
        with pytest.raises(PollingError, match="HTTP client is closed") as caught:
            await both(client.attach(NAME).wait())
        assert caught.value.code is Code.CANCELLED
        assert edge.seen == []


@both_colours
async def test_a_given_http_client_stays_open(both: Both) -> None:
    """Closing a client leaves the HTTP client that it was given open; one that its maker closes ends waits (WAIT-6, REST-1)."""
    with answering(Canned(200, DONE)) as edge:
        own = http_client(both)
        client = rest_client(both, edge.url, http_client=own)
        await both(client.close())
        assert not own.is_closed
        assert (await both(client.get(NAME))).done
        await shut(both, own)
        with pytest.raises(PollingError, match="HTTP client is closed"):
            await both(client.attach(NAME).wait())


def test_closed_in_the_middle() -> None:
    """An HTTP client that is closed under a poll ends the wait: no retry helps (WAIT-6)."""

    async def body() -> None:
        release = threading.Event()
        arrived = threading.Event()

        def hold(seen: Seen) -> Canned:
            arrived.set()
            release.wait(5)
            return Canned(200, {"name": NAME})

        with answering(hold) as edge:
            own = httpx.AsyncClient(trust_env=False)
            client = rest_client(Both("async"), edge.url, http_client=own)
            wait = asyncio.ensure_future(client.attach(NAME).wait())
            assert await asyncio.to_thread(arrived.wait, 5)
            await own.aclose()
            with pytest.raises(PollingError) as caught:
                await wait
            release.set()
            assert caught.value.code is Code.CANCELLED
            assert "closed" in str(caught.value)

    asyncio.run(body())


def test_another_event_loop() -> None:
    """A client that is used in a second event loop says what is wrong (PKG-3)."""
    with answering(Canned(200, DONE, (("connection", "close"),))) as edge:
        client = rest_client(Both("async"), edge.url)

        async def get() -> Any:
            return await client.get(NAME)

        assert asyncio.run(get()).done
        with pytest.raises(RuntimeError, match="another event loop"):
            asyncio.run(get())


def test_scripted_edge() -> None:
    """The server of these tests answers a path it does not have as a web framework would (WAIT-5)."""
    with serving(ScriptedOperations()) as (_, edge):
        answer = httpx.get(f"{edge.url}/elsewhere", trust_env=False)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html")
