# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Bad input over HTTP: whatever is sent, in whatever pieces, the answer is a 4xx with its reason, and memory stays as it was."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import re
import tracemalloc
from collections.abc import Coroutine
from typing import Any, Final

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from longrunning import Code, OperationError, Status
from longrunning.rest import asgi_app
from longrunning.server import Access, Call, MemoryStore, Rpc
from tests.pair.asgi_serving import ABSENT, IMPORT, Reply, bound, called, listening, site, spoken
from tests.pair.serving import PARENT, Gate, eventually, handled

START: Final = f"/v1/{PARENT}/books:import".encode()
JSON: Final = b"content-type: application/json\r\n"
NAME: Final = ABSENT.encode()
INVALID: Final = (400, "INVALID_ARGUMENT")


def run(playing: Coroutine[Any, Any, None], seconds: float = 60) -> None:
    """Plays a scenario; one that hangs fails."""
    asyncio.run(asyncio.wait_for(playing, seconds))


def request(verb: bytes, target: bytes, headers: bytes = b"", body: bytes = b"", *, close: bool = True) -> bytes:
    """A request, byte for byte."""
    length = b"content-length: %d\r\n" % len(body) if body else b""
    end = b"connection: close\r\n" if close else b""
    return b"%s %s HTTP/1.1\r\nhost: x\r\n%s%s%s\r\n%s" % (verb, target, headers, length, end, body)


def read(data: bytes) -> Reply:
    """The first answer on a connection."""
    head, _, body = data.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = httpx.Headers([(name, value) for name, _, value in (line.partition(": ") for line in lines)])
    size = int(headers.get("content-length", "0"))
    kind = headers.get("content-type")
    return Reply(
        int(status.split()[1]), json.loads(body[:size]) if kind == "application/json" and size else None, headers
    )


# -- one request --------------------------------------------------------------------------------------------------

NESTED: Final = b'{"uri":' + b"[" * 5000 + b"]" * 5000 + b"}"
BAD: Final[dict[str, tuple[bytes, tuple[int, str]]]] = {
    "dot segments": (request(b"GET", b"/v1/shelves/../../etc/passwd"), INVALID),
    "escaped dot segments": (request(b"GET", b"/v1/shelves/%2e%2e/%2E%2E/operations/x"), INVALID),
    "a dot segment at the end": (request(b"GET", b"/v1/shelves/1/operations/.."), INVALID),
    "escaped slashes": (request(b"GET", b"/v1/shelves%2F1%2Foperations%2Fx"), (404, "NOT_FOUND")),
    "escaped slashes in a name": (request(b"GET", b"/v1/shelves/1%2F2/operations/x"), (404, "NOT_FOUND")),
    "doubled slashes": (request(b"GET", b"//v1//" + NAME), (404, "NOT_FOUND")),
    "a null byte": (request(b"GET", b"/v1/shelves/1/operations/%00"), INVALID),
    "a line break": (request(b"GET", b"/v1/shelves/1/operations/x%0d%0aset-cookie:%20a=b"), INVALID),
    "a broken escape": (request(b"GET", b"/v1/shelves/1/operations/%"), INVALID),
    "half a character": (request(b"GET", b"/v1/shelves/1/operations/%c3"), INVALID),
    "a surrogate": (request(b"GET", b"/v1/shelves/1/operations/%ed%a0%80"), INVALID),
    "an overlong encoding": (request(b"GET", b"/v1/shelves/1/operations/%c0%ae%c0%ae"), INVALID),
    "right to left": (request(b"GET", b"/v1/shelves/1/operations/%e2%80%ae"), INVALID),
    "a path too long": (request(b"GET", b"/v1/" + b"a/" * 8000), (414, "INVALID_ARGUMENT")),
    "an absolute target": (request(b"GET", b"http://evil.example.com/v1/" + NAME), (404, "NOT_FOUND")),
    "an unknown parameter": (request(b"GET", b"/v1/" + NAME + b"?nosuch=1"), INVALID),
    "a parameter of a body": (request(b"POST", START + b"?uri=x", JSON, b"{}"), INVALID),
    "many parameters": (request(b"GET", b"/v1/" + NAME + b"?" + b"a=1&" * 5000), INVALID),
    "a parameter that is no text": (request(b"GET", b"/v1/shelves/1/operations?filter=%ff"), INVALID),
    "a page size that is none": (request(b"GET", b"/v1/shelves/1/operations?pageSize=1e9"), INVALID),
    "another format": (request(b"GET", b"/v1/" + NAME + b"?alt=proto"), INVALID),
    "a body of GET": (request(b"GET", b"/v1/" + NAME, JSON, b"{}"), INVALID),
    "a body of DELETE": (request(b"DELETE", b"/v1/" + NAME, b"transfer-encoding: chunked\r\n", b""), INVALID),
    "no content type": (request(b"POST", START, b"", b"{}"), (415, "INVALID_ARGUMENT")),
    "parts of no type": (request(b"POST", START, b"transfer-encoding: chunked\r\n") + b"2\r\n{}\r\n0\r\n\r\n", (415, "INVALID_ARGUMENT")),
    "a form": (request(b"POST", START, b"content-type: application/x-www-form-urlencoded\r\n", b"uri=x"), (415, "INVALID_ARGUMENT")),
    "another content type": (request(b"POST", START, b"content-type: text/plain\r\n", b"{}"), (415, "INVALID_ARGUMENT")),
    "JSON as text": (request(b"POST", START, b"content-type: text/json\r\n", b"{}"), (415, "INVALID_ARGUMENT")),
    "UTF-16": (request(b"POST", START, b"content-type: application/json; charset=utf-16\r\n", "{}".encode("utf-16")), (415, "INVALID_ARGUMENT")),
    "two content types": (request(b"POST", START, JSON + b"content-type: text/plain\r\n", b"{}"), INVALID),
    "a compressed body": (request(b"POST", START, JSON + b"content-encoding: gzip\r\n", b"{}"), (415, "INVALID_ARGUMENT")),
    "a content type without end": (request(b"POST", START, b"content-type: application/json;" + b"a=b;" * 3000 + b"\r\n", b"{"), INVALID),
    "no JSON": (request(b"POST", START, JSON, b"{"), INVALID),
    "a list": (request(b"POST", START, JSON, b"[]"), INVALID),
    "null": (request(b"POST", START, JSON, b"null"), INVALID),
    "a byte order mark": (request(b"POST", START, JSON, b"\xef\xbb\xbf{}"), INVALID),
    "duplicate keys": (request(b"POST", START, JSON, b'{"uri":"a","uri":"b"}'), INVALID),
    "NaN": (request(b"POST", START, JSON, b'{"count":NaN}'), INVALID),
    "an endless number": (request(b"POST", START, JSON, b'{"count":' + b"9" * 10_000 + b"}"), INVALID),
    "a number out of range": (request(b"POST", START, JSON, b'{"count":2147483648}'), INVALID),
    "half a character in JSON": (request(b"POST", START, JSON, b'{"uri":"\\ud800"}'), INVALID),
    "bytes in JSON": (request(b"POST", START, JSON, b'{"uri":"\xff"}'), INVALID),
    "depth": (request(b"POST", START, JSON, NESTED), INVALID),
    "more depth": (request(b"POST", START, JSON, b'{"a":' * 200_000), INVALID),
    "a payload as a body": (request(b"POST", b"/v1/shelves", JSON, b'{"@type":"x","@bytes":"/w=="}'), INVALID),
    "a field by both of its names": (request(b"POST", b"/v1/shelves", JSON, b'{"bookCount":1,"book_count":2}'), INVALID),
    "a number that is none": (request(b"POST", START, JSON, b'{"count":"1_0"}'), INVALID),
    "an unknown field": (request(b"POST", START, JSON, b'{"nosuch":1}'), INVALID),
    "a field of another type": (request(b"POST", START, JSON, b'{"uri":{"a":1}}'), INVALID),
    "another parent": (request(b"POST", START, JSON, b'{"parent":"shelves/2"}'), INVALID),
    "a cancel with a body": (request(b"POST", b"/v1/" + NAME + b":cancel", JSON, b'{"force":true}'), INVALID),
    "a cancel of another": (request(b"POST", b"/v1/" + NAME + b":cancel", JSON, b'{"name":"x"}'), INVALID),
    "a wait without a unit": (request(b"POST", b"/v1/" + NAME + b":wait", JSON, b'{"timeout":"5"}'), INVALID),
    "a wait in numbers": (request(b"POST", b"/v1/" + NAME + b":wait", JSON, b'{"timeout":5}'), INVALID),
    "a wait for ever": (request(b"POST", b"/v1/" + NAME + b":wait", JSON, b'{"timeout":"999999999999s"}'), INVALID),
    "a wait of no time": (request(b"POST", b"/v1/" + NAME + b":wait", JSON, b'{"timeout":"NaNs"}'), INVALID),
    "a body too large": (request(b"POST", START, JSON + b"content-length: 99999999999\r\n"), (413, "RESOURCE_EXHAUSTED")),
    "a length without end": (request(b"POST", START, JSON + b"content-length: 9999999999999999999\r\n"), (413, "RESOURCE_EXHAUSTED")),
    "a cancel too large": (request(b"POST", b"/v1/" + NAME + b":cancel", JSON, b" " * 20_000 + b"{}"), (413, "RESOURCE_EXHAUSTED")),
    "another method": (request(b"BREW", b"/v1/" + NAME), (405, "UNIMPLEMENTED")),
    "a target of OPTIONS": (request(b"OPTIONS", b"*"), (404, "NOT_FOUND")),
    "another place": (request(b"GET", b"/"), (404, "NOT_FOUND")),
}  # fmt: skip


def test_bad_requests(caplog: pytest.LogCaptureFixture) -> None:
    """Every fault of a caller's is a 4xx with its reason in the body, and none of it gets into a header or a log (REST-2)."""

    async def scenario() -> None:
        async with site(sockets=True) as here:
            port = here.client.base_url.port
            assert port is not None
            for what, (data, expected) in BAD.items():
                reply = read(await spoken(port, data))
                assert reply.problem == expected, (what, reply)
                known = {
                    "cache-control",
                    "content-length",
                    "content-type",
                    "date",
                    "server",
                    "connection",
                    "allow",
                    "x-content-type-options",
                }
                assert set(reply.headers) <= known, what
                assert len(reply.body["error"]["message"]) < 1000, what
            assert (await here.outcome())["done"]  # it is as well as before

    with caplog.at_level(logging.WARNING):
        run(scenario())
    assert not caplog.records


def test_good_requests_that_look_odd() -> None:
    """What HTTP allows is no fault: parameters of a content type, escapes nobody needs, an empty body of any type (REST-1)."""

    async def scenario() -> None:
        async with site(sockets=True) as here:
            port = here.client.base_url.port
            assert port is not None
            name = (await here.outcome())["name"].encode()
            odd = {
                "charset": request(b"POST", START, b'Content-Type: Application/JSON ; Charset="UTF-8"\r\n', b"{}"),
                "escapes": request(b"GET", b"/%761/" + name.replace(b"shelves", b"%73helves")),
                "a wait without a body": request(b"POST", b"/v1/" + name + b":wait"),
                "no length": request(b"POST", b"/v1/" + name + b":cancel", b"content-length: 0\r\ncontent-type: text/plain\r\n"),
                "an empty body in parts": request(b"POST", b"/v1/" + name + b":cancel", b"transfer-encoding: chunked\r\n") + b"0\r\n\r\n",
                "a body in parts": request(b"POST", START, JSON + b"transfer-encoding: chunked\r\n") + b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
                "a GET of no length": request(b"GET", b"/v1/" + name, b"content-length: 0\r\n"),
                "no encoding": request(b"POST", START, JSON + b"content-encoding: identity\r\n", b"{}"),
                "white space": request(b"POST", START, JSON, b" \n{ }\t"),
                "HTTP/1.0": b"GET /v1/%s HTTP/1.0\r\n\r\n" % name,
            }  # fmt: skip
            for what, data in odd.items():
                assert read(await spoken(port, data)).status == 200, what

    run(scenario())


# -- anything at all ----------------------------------------------------------------------------------------------

TARGETS: Final = st.sampled_from([START, b"/v1/" + NAME, b"/v1/" + NAME + b":wait", b"/v1/" + NAME + b":cancel",
                                  b"/v1/shelves/1/operations", b"/v1/shelves", b"/v1/shelves/9", b"/openapi.json"])  # fmt: skip
PRINTABLE: Final = st.binary(max_size=30).map(lambda data: bytes(33 + byte % 94 for byte in data))
JSON_VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["uri", "count", "timeout", "name", "@type", "theme", "x"]), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def _joined(target: bytes, more: bytes) -> bytes:
    return target + more


BODIES: Final = st.binary(max_size=40) | JSON_VALUES.map(lambda value: json.dumps(value).encode())


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(
    verb=st.sampled_from(["GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS", "PATCH"]),
    target=st.builds(_joined, TARGETS, st.just(b"") | PRINTABLE) | PRINTABLE.map(lambda data: b"/" + data),
    query=st.just(b"")
    | PRINTABLE
    | st.sampled_from([b"$alt=json;enum-encoding=int", b"fields=name", b"filter=a", b"pageSize=1"]),
    body=st.just(b"") | BODIES,
    headers=st.lists(
        st.tuples(st.sampled_from([b"content-type", b"content-encoding", b"x-bin", b"transfer-encoding"]), PRINTABLE),
        max_size=2,
    ),
)
@example("POST", START, b"", b'{"uri":{"@type":"x","@bytes":1}}', [])
@example("POST", b"/v1/" + NAME + b":wait", b"", b'{"timeout":{"@type":1}}', [])
def test_any_request(verb: str, target: bytes, query: bytes, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    """Whatever a request consists of, it is answered, with 2xx or 4xx, and the latter has the shape of an error (REST-2)."""

    async def scenario() -> None:
        server = bound()
        async with server:
            raw = target + (b"?" + query if query else b"")
            reply = await called(asgi_app(server), verb, raw, body, headers)
            assert 200 <= reply.status < 500, reply
            if reply.status >= 400 and verb != "HEAD":
                assert reply.problem[0] == reply.status

    run(scenario())


# -- in pieces, and slowly ----------------------------------------------------------------------------------------


def test_who_waits_and_goes_away() -> None:
    """A wait whose caller goes away ends: nobody waits for nobody (SRV-6, REST-2)."""

    async def scenario() -> None:
        gate = Gate()
        async with site(handled(IMPORT, gate.aio), sockets=True) as here:
            port = here.client.base_url.port
            assert port is not None
            name = (await here.start()).encode()
            inside: Any = here.server
            writers: list[asyncio.StreamWriter] = []
            for _ in range(20):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(request(b"POST", b"/v1/" + name + b":wait", close=False))
                writers.append(writer)
            await eventually(lambda: inside._running.waiting.count == 20, what="the waits to begin")
            for writer in writers:
                writer.transport.abort()
            await eventually(lambda: inside._running.waiting.count == 0, what="the waits to end")
            gate.open()

    run(scenario())


def test_who_goes_away_before_being_known() -> None:
    """A caller that goes away while the authorizer is asked has started nothing, whatever it says later (AUTH-3, REST-2)."""
    asked, looked_up = asyncio.Event(), asyncio.Event()

    class Slow:
        async def authorize(self, call: Call, /) -> Access:
            if call.rpc is Rpc.START:
                asked.set()
                await looked_up.wait()
            return Access(principal="", scope=None)

    async def scenario() -> None:
        async with site(sockets=True, authorizer=Slow()) as here:
            port = here.client.base_url.port
            assert port is not None
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request(b"POST", START, JSON, b"{}", close=False))
            await asyncio.wait_for(asked.wait(), 10)
            writer.transport.abort()
            await asyncio.sleep(0.1)  # until the server has heard of it
            looked_up.set()
            await asyncio.sleep(0.05)
            assert (await here.get("/v1/shelves/-/operations")).ok == {}

    run(scenario())


def test_one_request_behind_the_other() -> None:
    """Requests sent on one connection without waiting are answered in their order, a bad one among them (REST-2)."""

    async def scenario() -> None:
        async with site(sockets=True) as here:
            port = here.client.base_url.port
            assert port is not None
            good = request(b"GET", b"/v1/shelves/1/operations", close=False)
            bad = request(b"GET", b"/v1/" + NAME + b"?x=1", close=False)
            answer = await spoken(port, good + bad + request(b"POST", START, JSON, b"{}"))
            assert re.findall(rb"HTTP/1\.1 (\d+)", answer) == [b"200", b"400", b"200"]

    run(scenario())


# -- memory -------------------------------------------------------------------------------------------------------


def test_memory_stays_flat() -> None:
    """However much bad input comes, no memory of it is kept (REST-2)."""

    async def scenario() -> None:
        server = bound(store=MemoryStore())
        app = asgi_app(server)

        async def storm(turn: int) -> None:
            for number in range(60):
                await asyncio.sleep(0)  # asyncio forgets timers that were cancelled when it has a turn
                unique = b"%d-%d" % (turn, number)
                await called(app, "GET", b"/v1/shelves/1/operations/" + unique)
                await called(app, "GET", b"/" + unique * 50)
                await called(app, "POST", b"/v1/" + NAME + b":cancel", b'{"%s":1}' % unique)
                await called(app, "POST", START, b'{"uri":["%s' % unique + b"x" * 20_000)
                await called(app, "GET", b"/v1/" + NAME + b"?%s=1&fields=%s" % (unique, unique))
                await called(app, "POST", START, b'{"details":[{"@type":"type.googleapis.com/a.%s"}]}' % unique)

        async with server:
            for turn in range(3):
                await storm(turn)
            gc.collect()
            tracemalloc.start()
            try:
                await storm(3)
                gc.collect()
                before, _ = tracemalloc.get_traced_memory()
                for turn in range(4, 10):
                    await storm(turn)
                gc.collect()
                after, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert after - before < 200_000
            assert peak - before < 5_000_000

    run(scenario())


@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_faults_are_told_once(verb: str, caplog: pytest.LogCaptureFixture) -> None:
    """A fault of the service is 500 without a word of it, and one line of the log, whatever the path holds (SRV-2, REST-2)."""

    class Faulty:
        def authorize(self, call: Call, /) -> Access:
            raise KeyError("secret")

    async def scenario() -> None:
        async with site(authorizer=Faulty()) as here:
            path = b"/v1/shelves/1/operations/x" + (b":cancel" if verb == "POST" else b"")
            reply = await called(here.app, verb, path)
            assert reply.problem == (500, "INTERNAL")
            assert "secret" not in json.dumps(reply.body)

    with caplog.at_level(logging.ERROR, "longrunning.rest"):
        run(scenario())
    [logged] = caplog.records
    assert "secret" in caplog.text
    assert "\n" not in logged.getMessage()


def test_refusals_that_would_break_a_header() -> None:
    """What a service says of a refusal, line breaks and all, stays in the body (REST-2)."""

    def validate(request_: Any, transport: Any) -> None:
        raise OperationError(Status(Code.INVALID_ARGUMENT, "no\r\nset-cookie: a=b\r\n\r\n<script>"))

    async def nothing(request_: Any, context: Any) -> Any:
        return None

    async def scenario() -> None:
        server = bound(handled(IMPORT, nothing, validate=validate))
        async with server, listening(asgi_app(server)) as port:
            answer = await spoken(port, request(b"POST", START, JSON, b"{}"))
            reply = read(answer)
            assert reply.problem == INVALID
            assert "set-cookie" not in reply.headers
            assert reply.body["error"]["message"].startswith("no\r\nset-cookie")

    run(scenario())
