# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Serving over HTTP, beside a bare Starlette route that returns the same bytes: ``python -m benchmarks.rest_server [--profile]``.

One process serves both on two ports, with uvicorn, on SqliteStore (``synchronous=FULL``) and an authorizer that reads a header.
The load comes from this process, in turns: a few kept connections, each with one request under way.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import itertools
import pstats
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import uvicorn
from google.protobuf import any_pb2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.report import environment
from example.library.v1 import library_pb2
from longrunning import LroMethod, Operation, TypeRegistry
from longrunning.rest import asgi_app
from longrunning.server import Access, Call, OperationsServer, SqliteStore
from longrunning.server.storage import ClaimTerms, NewOperation, Outcome

METHOD: Final = LroMethod.from_descriptor(
    library_pb2.DESCRIPTOR.services_by_name["Library"].methods_by_name["ImportBooks"]
)
TENANT: Final = "tenant"
OPERATIONS: Final = 10_000
CONNECTIONS: Final = 16
ROUNDS: Final = 9
PER_ROUND: Final = 3_000
TARGET: Final = 0.7


class Tenants:
    """Reads a header, as authorization does."""

    def authorize(self, call: Call) -> Access:
        """Takes it for what it says."""
        tenant = call.header("x-tenant") or ""
        return Access(principal=tenant, scope=tenant)


# -- the server ---------------------------------------------------------------------------------------------------


async def fill(store: SqliteStore) -> list[str]:
    """Stores done operations; their names."""
    terms = ClaimTerms(worker="bench", methods=frozenset({METHOD.path}), ttl=60.0)
    names = [f"operations/op-{number:032x}" for number in range(OPERATIONS)]

    async def one(name: str, number: int) -> None:
        metadata, response = any_pb2.Any(), any_pb2.Any()
        metadata.Pack(library_pb2.ImportBooksMetadata(total=number, done=number, percent=100))
        shelf = library_pb2.Shelf(name=f"shelves/{number}", theme="music", book_count=number)
        response.Pack(library_pb2.ImportBooksResponse(shelf=shelf, imported=number))
        new = NewOperation(name=name, parent="", method=METHOD.path, principal=TENANT, scope=TENANT)
        created = await store.create(new, terms)
        assert created.lease is not None
        outcome = Outcome(code=None, payload=response.SerializeToString())
        await store.finish(name, created.lease.fence, outcome, metadata=metadata.SerializeToString())

    for begin in range(0, OPERATIONS, 1000):
        await asyncio.gather(*(one(name, begin + at) for at, name in enumerate(names[begin : begin + 1000])))
    return names


async def serve(path: str, *, profile: bool) -> None:
    """Prints two ports, ours and the bare one, and serves until standard input ends."""
    filler = SqliteStore(path, synchronous="NORMAL")
    await filler.open()
    names = await fill(filler)
    record = await filler.get(names[-1], TENANT)
    assert record is not None
    constant = Operation.from_proto(record.to_proto(), METHOD, registry=TypeRegistry()).to_json().encode()
    await filler.close()

    async def bare(_: Request) -> Response:
        return Response(constant, media_type="application/json")

    server = OperationsServer(store=SqliteStore(path), authorizer=Tenants())

    @server.method(METHOD)
    async def handle(_request: Any, _context: Any) -> Any:
        raise AssertionError

    apps = (asgi_app(server), Starlette(routes=[Route("/v1/operations/{name}", bare)]))
    async with server:
        # By address, not by socket: asyncio switches Nagle's algorithm off only where it made the socket itself.
        options: dict[str, Any] = {"log_level": "warning", "access_log": False, "lifespan": "off"}
        servers = [uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, **options)) for app in apps]
        tasks = [asyncio.create_task(one.serve()) for one in servers]
        while not all(one.started for one in servers):  # noqa: ASYNC110 (uvicorn sets a flag)
            await asyncio.sleep(0.01)
        print(*(one.servers[0].sockets[0].getsockname()[1] for one in servers), flush=True)
        loop = asyncio.get_running_loop()
        profiler = cProfile.Profile()
        if profile:
            profiler.enable()
        await loop.run_in_executor(None, sys.stdin.read)
        if profile:
            profiler.disable()
            pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(45)
        for one in servers:
            one.should_exit = True
        await asyncio.gather(*tasks)


# -- the load -----------------------------------------------------------------------------------------------------


class Connection(asyncio.Protocol):
    """Sends requests one after the other, and counts the bytes of the replies: their size is known from the first."""

    def __init__(self, requests: Iterator[bytes], ended: asyncio.Future[None]) -> None:
        """Takes what to send, and whom to tell when nothing is left."""
        self._requests = requests
        self._ended = ended
        self._reply = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Sends the first."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        """Sends the next, once the reply is complete."""
        self._reply += data
        head, _, body = self._reply.partition(b"\r\n\r\n")
        if f"content-length: {len(body)}\r\n".encode() in head + b"\r\n":
            assert head.startswith(b"HTTP/1.1 200 "), head
            self._reply = b""
            self._next()

    def _next(self) -> None:
        assert self._transport is not None
        request = next(self._requests, None)
        if request is not None:
            self._transport.write(request)
        else:
            self._transport.close()
            if not self._ended.done():
                self._ended.set_result(None)


async def rate(port: int, path: Callable[[], str], count: int) -> float:
    """Requests per second."""

    def request() -> bytes:
        return f"GET {path()} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-tenant: {TENANT}\r\naccept: application/json\r\n\r\n".encode()

    requests = iter([request() for _ in range(count)])
    loop = asyncio.get_running_loop()
    begun = time.perf_counter()
    ends = [loop.create_future() for _ in range(CONNECTIONS)]
    for end in ends:
        await loop.create_connection(lambda end=end: Connection(requests, end), "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.gather(*ends)
    return count / (time.perf_counter() - begun)


def cpu(pid: int) -> float:
    """CPU seconds a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@contextmanager
def serving(*options: str) -> Generator[tuple[int, int, int], None, None]:
    """The other process: its ports and its id."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.rest_server", "--serve", f"{folder}/operations.db"]
        with subprocess.Popen(
            [*command, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                ours, bare = map(int, process.stdout.readline().split())
                yield ours, bare, process.pid
            finally:
                process.stdin.close()


async def measure(*options: str) -> bool:
    """Prints the ratio; whether it is good enough."""
    ratios: list[float] = []
    used: list[float] = []
    polled = f"operations/op-{0:032x}"
    again: list[float] = []
    with serving(*options) as (ours, bare, pid):

        def any_one() -> str:
            return f"/v1/operations/op-{random.randrange(OPERATIONS):032x}"

        for turn in itertools.count(-1):
            if turn == ROUNDS:
                break
            before = cpu(pid)
            plain = await rate(bare, any_one, PER_ROUND)
            between = cpu(pid)
            get = await rate(ours, any_one, PER_ROUND)
            after = cpu(pid)
            same = await rate(ours, lambda: f"/v1/{polled}", PER_ROUND)
            if turn < 0:  # to warm up
                continue
            ratios.append(get / plain)
            again.append(same / plain)
            used.append((between - before) / (after - between))
            print(
                f"  bare route {plain:,.0f}/s, {(between - before) / PER_ROUND * 1e6:.0f} µs CPU each; "
                f"get of any {get:,.0f}/s, {(after - between) / PER_ROUND * 1e6:.0f} µs; get of one {same:,.0f}/s"
            )
    ratio = statistics.median(ratios)
    verdict = "holds" if ratio >= TARGET else "MISSED"
    print(f"GET of an operation: {ratio:.2f} x the rate of a bare Starlette route   target: {TARGET}   {verdict}")
    print(
        f"  by CPU {statistics.median(used):.2f} x; the same operation again and again {statistics.median(again):.2f} x"
    )
    return ratio >= TARGET


def main() -> int:
    """Runs it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rest_server", description=__doc__)
    parser.add_argument("--serve", metavar="FILE", help="be the server, on this file")
    parser.add_argument("--profile", action="store_true", help="print where the server's time went")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when the target is missed")
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve(arguments.serve, profile=arguments.profile))
        return 0
    print(environment())
    held = asyncio.run(measure(*(["--profile"] if arguments.profile else [])))
    return 1 if arguments.strict and not held else 0


if __name__ == "__main__":
    sys.exit(main())
