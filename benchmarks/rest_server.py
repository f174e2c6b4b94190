# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Serving over HTTP, beside a bare Starlette route that returns the same bytes: ``python -m benchmarks.rest_server [--profile]``.

One process serves both on two ports, with uvicorn, on SqliteStore (``synchronous=FULL``) and an authorizer that reads a header.
The load comes from this process, in turns: a few kept connections, each with one request under way. The bare route answers to
the byte what ours does, headers and all, whatever it is asked for.

The server keeps what it wrote of operations (16 MiB of it), and asks the store about every request all the same. So each
operation is read once before the rounds begin; what that took is printed apart.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvicorn
from google.protobuf import any_pb2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.report import environment, verdict
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
PER_ROUND: Final = 2_500
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

    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}  # as ours has them

    async def bare(_: Request) -> Response:
        return Response(constant, media_type="application/json", headers=headers)

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


def request(number: int) -> bytes:
    """Asks for an operation."""
    path = f"/v1/operations/op-{number:032x}"
    return f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-tenant: {TENANT}\r\naccept: application/json\r\n\r\n".encode()


async def rate(port: int, numbers: Iterable[int]) -> float:
    """Requests per second."""
    asked = [request(number) for number in numbers]
    requests = iter(asked)
    loop = asyncio.get_running_loop()
    begun = time.perf_counter()
    ends = [loop.create_future() for _ in range(CONNECTIONS)]
    for end in ends:
        await loop.create_connection(lambda end=end: Connection(requests, end), "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.gather(*ends)
    return len(asked) / (time.perf_counter() - begun)


async def answer(port: int, number: int) -> list[bytes]:
    """The lines of one answer, sorted, but for the date."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(number).replace(b"accept:", b"connection: close\r\naccept:"))
    lines = (await reader.read()).split(b"\r\n")
    writer.close()
    return sorted(line for line in lines if not line.startswith(b"date: "))


def cpu(pid: int) -> float:
    """CPU seconds a process has used."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text(encoding="utf-8").split()[0]) for thread in threads) / 1e9


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


@dataclass
class Turn:
    """What one turn of a contestant took.

    Attributes:
        rate: Requests per second.
        cpu: CPU seconds of the server for each of them.
    """

    rate: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.rate:,.0f}/s with {self.cpu * 1e6:.0f} µs CPU"


async def turn(port: int, pid: int, numbers: Sequence[int]) -> Turn:
    """One turn."""
    begun = cpu(pid)
    per_second = await rate(port, numbers)
    return Turn(per_second, (cpu(pid) - begun) / len(numbers))


def ratios(ours: Sequence[Turn], bare: Sequence[Turn]) -> tuple[float, float]:
    """Of the rates, and of the CPU time the other way round: the median of all rounds."""
    pairs = list(zip(ours, bare, strict=True))
    return statistics.median(a.rate / b.rate for a, b in pairs), statistics.median(b.cpu / a.cpu for a, b in pairs)


async def measure(*options: str) -> bool:
    """Prints the ratios; whether the one that matters is good enough."""
    with serving(*options) as (ours, bare, pid):
        assert await answer(ours, OPERATIONS - 1) == await answer(bare, OPERATIONS - 1)
        await turn(bare, pid, range(PER_ROUND))  # to warm up
        unread = random.sample(range(OPERATIONS), OPERATIONS)
        first: list[tuple[Turn, Turn]] = []
        for begin in range(0, OPERATIONS, PER_ROUND):
            numbers = unread[begin : begin + PER_ROUND]
            first.append((await turn(ours, pid, numbers), await turn(bare, pid, numbers)))
        rounds: list[tuple[Turn, Turn, Turn]] = []
        for _ in range(ROUNDS):
            numbers = random.choices(range(OPERATIONS), k=PER_ROUND)
            plain, get = await turn(bare, pid, numbers), await turn(ours, pid, numbers)
            rounds.append((get, plain, await turn(ours, pid, [numbers[0]] * PER_ROUND)))
            print(f"  bare route {plain}; GET of any operation {get}; of the same {rounds[-1][2]}")
    gets, plains, same = zip(*rounds, strict=True)
    ratio, by_cpu = ratios(gets, plains)
    print(
        f"GET of an operation: {ratio:.2f} x the rate of a bare Starlette route ({by_cpu:.2f} x by CPU)   "
        f"target: {TARGET}   {verdict(ratio >= TARGET)}"
    )
    for what, pair in (
        ("of the same one, again and again", ratios(same, plains)),
        ("of each for the first time", ratios(*zip(*first, strict=True))),
    ):
        print(f"  {what}: {pair[0]:.2f} x ({pair[1]:.2f} x by CPU)")
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
    print("\nall targets hold" if held else "\ntargets missed: GET of an operation")
    return 1 if arguments.strict and not held else 0


if __name__ == "__main__":
    sys.exit(main())
