# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The server, beside a bare ``grpc.aio`` handler and beside bare sqlite3: ``python -m benchmarks.serving [part ...]``.

The server runs in a process of its own, on SqliteStore with ``synchronous=FULL`` and with an authorizer that reads a header;
the load comes from this process. Everything that is compared is measured in one run, in turns.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.longrunning import operations_proto_pb2 as operations_pb2
from google.protobuf import duration_pb2, wrappers_pb2

from benchmarks.report import environment
from benchmarks.serving_process import BARE, NO_OP, PURGE, TENANT
from longrunning.server import SqliteStore
from longrunning.server.storage import ClaimTerms, ListQuery, NewOperation, Outcome

SERVICE = "/google.longrunning.Operations/"
HEADERS = (("x-tenant", TENANT),)
SMALLEST = """
import asyncio, sys, time
start = time.perf_counter()
import grpc.aio
from google.protobuf import empty_pb2
from longrunning import LroMethod
from longrunning.server import SERVER_OPTIONS, AllowAll, OperationsServer, SqliteStore
method = LroMethod(path="/a.B/C", request_type=empty_pb2.Empty, response_type=empty_pb2.Empty, metadata_type=empty_pb2.Empty)
async def main():
    server = OperationsServer(store=SqliteStore(sys.argv[1]), authorizer=AllowAll())
    @server.method(method)
    async def handle(request, context):
        return request
    grpc_server = grpc.aio.server(options=SERVER_OPTIONS)
    server.add_to(grpc_server)
    grpc_server.add_insecure_port("127.0.0.1:0")
    async with server:
        await grpc_server.start()
        status = open("/proc/self/status").read()
        print(time.perf_counter() - start, int(status.partition("VmRSS:")[2].split()[0]) / 1024)
        await grpc_server.stop(0)
asyncio.run(main())
"""


class Failures:
    """The targets that were missed."""

    def __init__(self) -> None:
        self.missed: list[str] = []

    def check(self, what: str, *, holds: bool) -> str:
        """One word, and a note of it if it is the wrong one."""
        if not holds:
            self.missed.append(what)
        return "holds" if holds else "MISSED"


# -- the other process --------------------------------------------------------------------------------------------


@contextmanager
def serving(path: Path, *options: str) -> Generator[tuple[str, int], None, None]:
    """A server on that file: its address and its process id."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.serving_process", str(path), *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"127.0.0.1:{int(process.stdout.readline())}", process.pid
        finally:
            process.stdin.close()


def memory(pid: int) -> float:
    """Resident memory of a process, KiB."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return float(next(line for line in lines if line.startswith("VmRSS")).split()[1])


def cpu(pid: int) -> float:
    """CPU seconds a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


class Caller:
    """Raw RPCs: what is measured is the server."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._bare: Any = channel.unary_unary(BARE)
        self._start: Any = channel.unary_unary(NO_OP.path)
        self._get: Any = channel.unary_unary(SERVICE + "GetOperation")
        self._wait: Any = channel.unary_unary(SERVICE + "WaitOperation")
        self._purge: Any = channel.unary_unary(PURGE)

    async def bare(self) -> None:
        await self._bare(b"", metadata=HEADERS)

    async def start(self, end: float = 0.0) -> str:
        reply = await self._start(wrappers_pb2.DoubleValue(value=end).SerializeToString(), metadata=HEADERS)
        return str(operations_pb2.Operation.FromString(reply).name)

    async def wait(self, name: str) -> Any:
        request = operations_pb2.WaitOperationRequest(name=name, timeout=duration_pb2.Duration(seconds=600))
        reply = operations_pb2.Operation.FromString(await self._wait(request.SerializeToString(), metadata=HEADERS))
        assert reply.done
        return reply

    async def start_and_wait(self) -> None:
        await self.wait(await self.start())

    async def get(self, name: str) -> None:
        await self._get(operations_pb2.GetOperationRequest(name=name).SerializeToString(), metadata=HEADERS)

    async def purge(self, count: int) -> None:
        await self._purge(str(count).encode())


async def load(count: int, callers: int, call: Callable[[], Awaitable[object]]) -> tuple[float, list[float]]:
    """Calls per second, and the sorted seconds of each."""
    taken: list[float] = []
    turns = iter(range(count))

    async def caller() -> None:
        for _ in turns:
            begun = time.perf_counter()
            await call()
            taken.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return count / (time.perf_counter() - begun), sorted(taken)


def percentile(taken: Sequence[float], share: float) -> float:
    """Milliseconds."""
    return taken[min(len(taken) - 1, int(len(taken) * share))] * 1e3


# -- filling a store ----------------------------------------------------------------------------------------------


async def fill(path: Path, count: int) -> list[str]:
    """Done operations in a store; their names."""
    store = SqliteStore(path, synchronous="NORMAL")
    terms = ClaimTerms(worker="bench", methods=frozenset({NO_OP.path}), ttl=60.0)
    payload = wrappers_pb2.DoubleValue(value=1.0).SerializeToString()
    outcome = Outcome(code=None, payload=payload)
    names = [f"operations/op-{number:032x}" for number in range(count)]
    await store.open()
    try:
        for begin in range(0, count, 1000):

            async def one(name: str) -> None:
                new = NewOperation(name=name, parent="", method=NO_OP.path, principal=TENANT, scope=TENANT)
                created = await store.create(new, terms)
                assert created.lease is not None
                await store.finish(name, created.lease.fence, outcome)

            await asyncio.gather(*(one(name) for name in names[begin : begin + 1000]))
    finally:
        await store.close()
    return names


# -- parts --------------------------------------------------------------------------------------------------------


async def rates(folder: Path, failures: Failures) -> None:
    """Get, and start to done, beside the bare handler."""
    path = folder / "rates.db"
    names = await fill(path, 100_000)
    gets: list[float] = []
    many: list[float] = []
    alone: list[float] = []
    with serving(path) as (address, _):
        async with grpc.aio.insecure_channel(address) as channel:
            caller = Caller(channel)
            await load(1000, 64, caller.bare)
            for _ in range(5):
                bare, _ = await load(4000, 64, caller.bare)
                get, _ = await load(4000, 64, lambda: caller.get(random.choice(names)))
                single, taken = await load(300, 1, caller.start_and_wait)
                both, _ = await load(1500, 32, caller.start_and_wait)
                gets.append(get / bare)
                many.append(both / (bare / 2))
                alone.append(percentile(taken, 0.5))
                print(
                    f"  bare {bare:,.0f}/s; get {get:,.0f}/s; start to done {both:,.0f}/s with 32 callers, "
                    f"{single:,.0f}/s with one (p50 {alone[-1]:.2f} ms, p99 {percentile(taken, 0.99):.2f} ms)"
                )
    ratio = statistics.median(gets)
    print(f"GetOperation, 100,000 rows: {ratio:.2f} x bare   target: 0.6   {failures.check('get', holds=ratio >= 0.6)}")
    p50 = statistics.median(alone)
    print(f"start to done, one caller: p50 {p50:.2f} ms   target: 5 ms   {failures.check('p50', holds=p50 < 5)}")
    ratio = statistics.median(many)
    held = failures.check("32 callers", holds=ratio >= 0.4)
    print(f"start to done, 32 callers: {ratio:.2f} x half of bare   target: 0.4   {held}")


async def sqlite(folder: Path, failures: Failures) -> None:
    """The store alone, beside bare sqlite3: pairs of insert and update, synchronous=FULL."""
    del failures
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    connection.execute("pragma journal_mode=wal")
    connection.execute("pragma synchronous=full")
    connection.execute("create table t (id integer primary key, name text unique, done integer, result blob)")
    begun = time.perf_counter()
    for number in range(2000):
        connection.execute("insert into t (name, done) values (?, 0)", (str(number),))
        connection.execute("update t set done = 1, result = x'00' where name = ? and done = 0", (str(number),))
    bare = 2000 / (time.perf_counter() - begun)
    connection.close()
    store = SqliteStore(folder / "store.db")
    terms = ClaimTerms(worker="bench", methods=frozenset({NO_OP.path}), ttl=60.0)
    numbers = iter(range(10**9))

    async def pair() -> None:
        name = f"operations/{next(numbers)}"
        created = await store.create(NewOperation(name=name, parent="", method=NO_OP.path), terms)
        assert created.lease is not None
        await store.finish(name, created.lease.fence, Outcome(code=None, payload=b""))

    await store.open()
    try:
        alone, _ = await load(1000, 1, pair)
        many, _ = await load(20_000, 32, pair)
    finally:
        await store.close()
    print(f"bare sqlite3, one commit each: {bare:,.0f} insert + update pairs/s")
    print(f"SqliteStore, create + finish: {alone:,.0f} pairs/s with one caller, {many:,.0f} with 32 (group commit)")


async def rows(folder: Path, failures: Failures) -> None:
    """A thousand operations and a million: get, pages, and purging."""
    taken: dict[int, dict[str, float]] = {}
    for count in (1000, 1_000_000):
        path = folder / f"{count}.db"
        begun = time.perf_counter()
        names = await fill(path, count)
        print(f"  filled {count:,} in {time.perf_counter() - begun:.0f} s, {path.stat().st_size / 2**20:,.0f} MiB")
        taken[count] = await _reading(path, names)
    for what, few in taken[1000].items():
        many = taken[1_000_000][what]
        held = failures.check(f"a million rows: {what}", holds=many <= 1.5 * few)
        print(
            f"{what}: {few * 1e6:.0f} µs of 1,000, {many * 1e6:.0f} µs of 1,000,000: {many / few:.2f} x   target: 1.5   {held}"
        )
    await _purge(folder / "1000000.db", failures)


async def _reading(path: Path, names: Sequence[str]) -> dict[str, float]:
    """Median seconds of reading one operation, and of pages at several depths."""
    store = SqliteStore(path)
    await store.open()
    try:
        newest = (await store.list(ListQuery(parent="", scope=TENANT, limit=1))).records[0].sequence
        found = {"get": await _median(lambda: store.get(random.choice(names), TENANT), 2000)}
        for depth in (0.0, 0.5, 0.85):
            query = ListQuery(parent="", scope=TENANT, after=int(newest * (1 - depth)) + 1, limit=100)
            assert len((await store.list(query)).records) == 100
            found[f"page at {depth:.0%}"] = await _median(functools.partial(store.list, query), 100)
        return found
    finally:
        await store.close()


async def _median(call: Callable[[], Awaitable[object]], count: int) -> float:
    """Median seconds of one call."""
    _, taken = await load(count, 1, call)
    return taken[len(taken) // 2]


async def _purge(path: Path, failures: Failures) -> None:
    with serving(path) as (address, _):
        async with grpc.aio.insecure_channel(address) as channel:
            caller = Caller(channel)
            name = await caller.start()
            purging = asyncio.create_task(caller.purge(100_000))
            taken: list[float] = []
            begun = time.perf_counter()
            while not purging.done():
                one = time.perf_counter()
                await caller.get(name)
                taken.append(time.perf_counter() - one)
            await purging
    worst = max(taken) * 1e3
    held = failures.check("purge", holds=worst <= 50)
    print(
        f"purge of 100,000: {time.perf_counter() - begun:.1f} s, Get at worst {worst:.0f} ms   target: 50 ms   {held}"
    )


async def storm(folder: Path, failures: Failures, *, count: int = 10_000, spread: float = 60.0) -> None:
    """Many WaitOperation on one channel."""
    with serving(folder / "storm.db") as (address, pid):
        async with grpc.aio.insecure_channel(address) as channel:
            caller = Caller(channel)
            first = time.time() + count / 500 + 15
            names: list[str] = []
            for number in range(0, count, 50):
                ends = (first + spread * (number + offset) / count for offset in range(50))
                names += await asyncio.gather(*(caller.start(end) for end in ends))
            before = memory(pid)
            late: list[float] = []

            async def wait(name: str) -> None:
                ended = wrappers_pb2.DoubleValue()
                (await caller.wait(name)).response.Unpack(ended)
                late.append(time.time() - ended.value)

            waits = [asyncio.create_task(wait(name)) for name in names]
            await asyncio.sleep(5)
            each = (memory(pid) - before) / count
            used = cpu(pid)
            begun = time.monotonic()
            await asyncio.sleep(max(1.0, first - time.time() - 1))
            idle = (cpu(pid) - used) / (time.monotonic() - begun)
            await asyncio.gather(*waits)
    late.sort()
    p99 = percentile(late, 0.99)
    print(
        f"{count:,} WaitOperation on one channel: {len(late):,} answered, {each:.1f} KiB each   "
        f"target: 30   {failures.check('memory of a wait', holds=each <= 30 and len(late) == count)}"
    )
    print(
        f"  noticed after {percentile(late, 0.5):.1f} ms (p50), {p99:.1f} ms (p99)   target: 50 ms   "
        f"{failures.check('noticing', holds=p99 <= 50)}"
    )
    print(f"  while nothing ends: {idle:.1%} of a core, for {count:,} running operations and their waits")


def _started(path: Path) -> str:
    command = [sys.executable, "-W", "ignore", "-c", SMALLEST, str(path)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


async def smallest(folder: Path, failures: Failures) -> None:
    """The smallest service: until it listens."""
    del failures
    found = [(await asyncio.to_thread(_started, folder / f"smallest-{turn}.db")).split() for turn in range(5)]
    seconds = statistics.median(float(one) for one, _ in found)
    mib = statistics.median(float(other) for _, other in found)
    print(f"the smallest service listens after {seconds * 1e3:.0f} ms, imports included, and has {mib:.0f} MiB")


PARTS: dict[str, Callable[[Path, Failures], Coroutine[Any, Any, None]]] = {
    "rates": rates,
    "sqlite": sqlite,
    "rows": rows,
    "storm": storm,
    "smallest": smallest,
}


def main() -> int:
    """Runs them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("part", nargs="*", help=f"which ones: {', '.join(PARTS)}; all of them if none is named")
    arguments = parser.parse_args()
    if unknown := set(arguments.part) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    print(environment())
    failures = Failures()
    for name in arguments.part or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            print(f"\n{name}")
            asyncio.run(PARTS[name](Path(folder), failures))
    print(f"\ntargets missed: {', '.join(failures.missed)}" if failures.missed else "\nall targets hold")
    return 0


if __name__ == "__main__":
    sys.exit(main())
