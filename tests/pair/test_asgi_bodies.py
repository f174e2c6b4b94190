# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Bodies over HTTP: too large, too slow, too many, of two lengths, and from callers that vanish."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from longrunning.rest import HttpLimits
from longrunning.server import Access, Call, Rpc
from tests.pair.asgi_serving import ABSENT, IMPORT, called, site, spoken
from tests.pair.serving import PARENT, Gate, eventually, handled
from tests.pair.test_asgi_hostile import INVALID, JSON, NAME, START, read, request, run


def test_a_byte_too_many() -> None:
    """A body is as large as it may be, or one byte larger and 413, whether its length is announced or not (REST-2)."""

    async def scenario() -> None:
        async with site(app={"limits": HttpLimits(max_body_bytes=1000, max_control_bytes=100)}) as here:
            parts = [(b"content-type", b"application/json"), (b"transfer-encoding", b"chunked")]
            for target, size, status in ((START, 1000, 200), (b"/v1/" + NAME + b":wait", 100, 404)):
                for headers in ((), parts):
                    for more, expected in ((0, status), (1, 413)):
                        body = b"{" + b" " * (size - 2 + more) + b"}"
                        reply = await called(here.app, "POST", target, body, headers, announce=not headers)
                        assert reply.status == expected

    run(scenario())


def test_two_lengths_of_a_body() -> None:
    """A body that is sent in parts is read, whatever length is announced beside it: no start goes without it (REST-2, RFC 9112)."""

    async def scenario() -> None:
        async with site() as here:
            for length in (b"0", b"1", b"9" * 30):
                headers = [
                    (b"content-type", b"application/json"),
                    (b"content-length", length),
                    (b"transfer-encoding", b"chunked"),
                ]
                reply = await called(here.app, "POST", START, b'{"count":7}', headers, announce=False)
                assert (await here.done(reply.ok["name"]))["response"]["imported"] == 7

    run(scenario())


def test_bodies_that_wait() -> None:
    """A body counts until its operation is stored: who waits for the authorizer, or the parser, is not forgotten (REST-2)."""
    looked_up = asyncio.Event()

    class Slow:
        async def authorize(self, call: Call, /) -> Access:
            if call.rpc is Rpc.START:
                await looked_up.wait()
            return Access(principal="", scope=None)

    async def scenario() -> None:
        limits = HttpLimits(max_body_bytes=100_000, max_buffered_bytes=350_000)
        async with site(authorizer=Slow(), app={"limits": limits}) as here:
            edge: Any = here.app.routes[0]
            body = b'{"uri":"' + b"x" * 90_000 + b'"}'
            starts = [asyncio.create_task(called(here.app, "POST", START, body)) for _ in range(6)]
            for _ in range(20):
                await asyncio.sleep(0)
            refused = [start.result().problem for start in starts if start.done()]
            assert refused == [(429, "RESOURCE_EXHAUSTED")] * 3
            assert edge._bodies._buffered == 3 * len(body)
            waiting = asyncio.create_task(here.ask("POST", f"/v1/{ABSENT}:wait", b" " * 10_000))
            assert (await waiting).problem == INVALID
            assert edge._bodies._buffered == 3 * len(body)
            looked_up.set()
            await eventually(lambda: all(start.done() for start in starts), what="the others")
            assert edge._bodies._buffered == 0
            assert len((await here.get(f"/v1/{PARENT}/operations")).ok["operations"]) == 3

    run(scenario())


def test_waits_keep_no_body() -> None:
    """While somebody waits nothing is kept of the body that said how long (REST-2)."""

    async def scenario() -> None:
        gate = Gate()
        async with site(handled(IMPORT, gate.aio)) as here:
            edge: Any = here.app.routes[0]
            inside: Any = here.server
            name = await here.start()
            body = b'{"timeout":"30s"' + b" " * 10_000 + b"}"
            waiting = asyncio.create_task(here.ask("POST", f"/v1/{name}:wait", body))
            await eventually(lambda: inside._running.waiting.count == 1, what="the wait to begin")
            assert edge._bodies._buffered == 0
            gate.open()
            assert (await waiting).ok["done"]

    run(scenario())


def test_a_body_in_parts_that_is_too_large() -> None:
    """A body of unknown length is given up as soon as it has more than it may have (REST-2)."""

    async def scenario() -> None:
        limits = HttpLimits(max_body_bytes=10_000, max_control_bytes=1000)
        async with site(sockets=True, app={"limits": limits}) as here:
            port = here.client.base_url.port
            assert port is not None
            part = b"3e8\r\n" + b" " * 1000 + b"\r\n"
            for target, count in ((START, 11), (b"/v1/" + NAME + b":wait", 2)):
                head = request(b"POST", target, JSON + b"transfer-encoding: chunked\r\n", close=False)
                reply = read(await spoken(port, head, *[part] * count))  # and it does not end
                assert reply.problem == (413, "RESOURCE_EXHAUSTED")
                assert reply.headers["connection"] == "close"

    run(scenario())


def test_a_large_body_is_not_asked_for() -> None:
    """A caller that asks before it sends is told at once that it is too much (REST-2, RFC 9110)."""

    async def scenario() -> None:
        async with site(sockets=True) as here:
            port = here.client.base_url.port
            assert port is not None
            asking = JSON + b"expect: 100-continue\r\ncontent-length: 50000000\r\n"
            answer = await spoken(port, request(b"POST", START, asking, close=False))
            assert answer.startswith(b"HTTP/1.1 413")
            fitting = JSON + b"expect: 100-continue\r\ncontent-length: 2\r\n"
            answer = await spoken(port, request(b"POST", START, fitting), b"{}", pause=0.1)
            assert answer.startswith(b"HTTP/1.1 100")
            assert b"HTTP/1.1 200" in answer

    run(scenario())


def test_a_body_that_does_not_come() -> None:
    """A body that is not complete in time is 408, and the connection is closed (REST-2)."""

    async def scenario() -> None:
        async with site(sockets=True, app={"limits": HttpLimits(body_timeout=0.3)}) as here:
            port = here.client.base_url.port
            assert port is not None
            head = request(b"POST", START, JSON + b"content-length: 100\r\n", close=False)
            for drops in (0, 1, 90):  # the last is slower than anybody waits, and never idle
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(head)
                dropping = asyncio.create_task(_drop(writer, drops))
                # Not to the end of the connection: whoever still sends may be told of that by a reset.
                reply = read(await asyncio.wait_for(reader.readuntil(b"}}"), 10))
                assert reply.problem == (408, "DEADLINE_EXCEEDED")
                assert reply.headers["connection"] == "close"
                dropping.cancel()
                writer.close()

    run(scenario())


async def _drop(writer: asyncio.StreamWriter, count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0.01)
        writer.write(b" ")


def test_a_caller_that_goes_away_in_the_middle(caplog: pytest.LogCaptureFixture) -> None:
    """Half a request whose sender goes away starts nothing, fails nothing, and leaves nothing in memory (REST-2)."""

    async def scenario() -> None:
        async with site(sockets=True) as here:
            port = here.client.base_url.port
            assert port is not None
            body = b'{"uri":"' + b"x" * 60_000
            head = request(b"POST", START, JSON + b"content-length: 100000\r\n", close=False)
            for end in (20, 80, len(head), len(head) + 5, len(head) + len(body)):
                for _ in range(10):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.write((head + body)[:end])
                    await writer.drain()
                    writer.transport.abort()
            edge: Any = here.app.routes[0]
            await eventually(lambda: edge._bodies._buffered == 0, what="the bodies to be forgotten")
            assert (await here.get(f"/v1/{PARENT}/operations")).ok == {}

    with caplog.at_level(logging.WARNING):
        run(scenario())
    assert not caplog.records


def test_many_bodies_under_way() -> None:
    """Bodies under way are bounded all together, and those who send little are served meanwhile (REST-2)."""

    async def scenario() -> None:
        limits = HttpLimits(max_body_bytes=200_000, max_buffered_bytes=1_000_000, body_timeout=20)
        async with site(sockets=True, app={"limits": limits}) as here:
            port = here.client.base_url.port
            assert port is not None
            head = request(b"POST", START, JSON + b"content-length: 190000\r\n", close=False)
            connections: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
            for _ in range(20):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(head + b'{"uri":"' + b"x" * 180_000)
                connections.append((reader, writer))
            edge: Any = here.app.routes[0]
            await eventually(lambda: edge._bodies._buffered > 500_000, what="the bodies to arrive")
            answers = [asyncio.create_task(reader.read(10_000)) for reader, _ in connections]
            await eventually(lambda: sum(answer.done() for answer in answers) >= 14, what="those who are too many")
            for answer in answers:
                if answer.done():
                    assert read(answer.result()).problem == (429, "RESOURCE_EXHAUSTED")
                answer.cancel()
            assert edge._bodies._buffered <= 1_000_000
            assert (await here.get(f"/v1/{PARENT}/operations")).ok == {}
            for _, writer in connections:
                writer.close()
            await eventually(lambda: edge._bodies._buffered == 0, what="the bodies to be forgotten")
            assert (await here.outcome())["done"]

    run(scenario())


def test_bodies_of_some_size() -> None:
    """A body as large as it may be is read, parsed aside, and stored; what is too large as a message is refused (REST-2)."""

    async def scenario() -> None:
        async with site(sockets=True) as here:
            reply = await here.ask("POST", START.decode(), {"uri": "x" * 4_000_000})
            assert reply.status == 200
            big = b'{"uri":"' + b"\\u0001" * 600_000 + b'"}'
            assert (await here.ask("POST", START.decode(), big)).status == 200
            wide = json.dumps({f"a{number}": [] for number in range(200_000)}).encode()
            assert (await here.ask("POST", START.decode(), wide)).problem == INVALID

    run(scenario())
