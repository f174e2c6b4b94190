# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Waiting for many operations at once, beside google-api-core: ``python -m benchmarks.waiting [--count N] [--pending N]``.

A server in a process of its own has operations that all end at the same moment; each client, again in a process of its own,
waits for all of them and says when it noticed the last one, how many threads it had and how much memory each wait took. The
server counts the RPCs. A last line has one operation only: from its end on the server to the return of ``result()``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

import grpc
import grpc.aio
from google.longrunning import operations_proto_pb2 as operations_pb2
from google.protobuf import duration_pb2, empty_pb2

from benchmarks.report import environment
from longrunning import AsyncOperationsClient, LroMethod, OperationsClient, PollPolicy

SERVICE = "/google.longrunning.Operations/"
PAGE = 250  # what a server puts on a page at most; ours asks for more
METHOD = LroMethod(
    path="/bench.Bench/Start",
    request_type=empty_pb2.Empty,
    response_type=empty_pb2.Empty,
    metadata_type=empty_pb2.Empty,
)


# -- the server ---------------------------------------------------------------------------------------------------


class Server(grpc.GenericRpcHandler):
    """Operations ``operations/0`` and so on, which are done once `end` has come."""

    def __init__(self, count: int, seconds: float, *, waits: bool) -> None:
        self._count = count
        self._seconds = seconds
        self._waits = waits
        self._end = float("inf")
        self._calls: Counter[str] = Counter()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        name = handler_call_details.method.rpartition("/")[2]
        return cast("Any", grpc).unary_unary_rpc_method_handler(getattr(self, name))

    def _operation(self, name: str) -> operations_pb2.Operation:
        operation = operations_pb2.Operation(name=name, done=time.time() >= self._end)
        if operation.done:
            operation.response.Pack(empty_pb2.Empty())
        return operation

    async def Begin(self, request: bytes, context: Any) -> bytes:
        """The clock starts; answers with the time at which all are done."""
        self._end = time.time() + self._seconds
        self._calls.clear()
        return json.dumps(self._end).encode()

    async def Stats(self, request: bytes, context: Any) -> bytes:
        """How often each RPC was called."""
        return json.dumps(self._calls).encode()

    async def GetOperation(self, request: bytes, context: Any) -> bytes:
        self._calls["Get"] += 1
        name = operations_pb2.GetOperationRequest.FromString(request).name
        return self._operation(name).SerializeToString()

    async def WaitOperation(self, request: bytes, context: Any) -> bytes:
        self._calls["Wait"] += 1
        if not self._waits:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "no WaitOperation here")
        asked = operations_pb2.WaitOperationRequest.FromString(request)
        await asyncio.sleep(max(0.0, min(asked.timeout.ToSeconds(), self._end - time.time())))
        return self._operation(asked.name).SerializeToString()

    async def ListOperations(self, request: bytes, context: Any) -> bytes:
        self._calls["List"] += 1
        asked = operations_pb2.ListOperationsRequest.FromString(request)
        first = int(asked.page_token or 0)
        last = min(self._count, first + min(asked.page_size or PAGE, PAGE))
        response = operations_pb2.ListOperationsResponse(
            operations=[self._operation(f"operations/{index}") for index in range(first, last)],
            next_page_token=str(last) if last < self._count else "",
        )
        return response.SerializeToString()


async def serve(count: int, seconds: float, *, waits: bool) -> None:
    """Serves until standard input is closed."""
    options = [("grpc.server.max_pending_requests", 100_000), ("grpc.server.max_pending_requests_hard_limit", 200_000)]
    server = grpc.aio.server(options=options)
    server.add_generic_rpc_handlers((Server(count, seconds, waits=waits),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop(0)


# -- the clients --------------------------------------------------------------------------------------------------


class Meter:
    """What a client measures of itself."""

    def __init__(self) -> None:
        self._base = rss()
        self._peak = 0
        self._threads = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.wait(0.25):
            self._peak = max(self._peak, rss())
            self._threads = max(self._threads, threading.active_count() - 2)  # without the main one and this one

    def end(self, last: float, count: int) -> dict[str, float]:
        """The figures; `last` is when the last operation was noticed, after its end."""
        self._stop.set()
        self._thread.join()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "last": last,
            "threads": self._threads,
            "kib": max(0, self._peak - self._base) / 1024 / count,
            "cpu": usage.ru_utime + usage.ru_stime,
        }


def rss() -> int:
    """Resident bytes of this process."""
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 (no path to speak of)
        return int(statm.read().split()[1]) * resource.getpagesize()


def begin(channel: grpc.Channel) -> float:
    """Lets the clock of the server start; returns when all will be done."""
    call: Any = cast("Any", channel).unary_unary("/bench.Bench/Begin")
    return float(json.loads(call(b"")))


def started(count: int) -> list[operations_pb2.Operation]:
    """What the calls that started them would have returned."""
    return [operations_pb2.Operation(name=f"operations/{index}") for index in range(count)]


def ours_sync(address: str, count: int, **options: Any) -> dict[str, float]:
    """wait_all, sync."""
    with grpc.insecure_channel(address) as channel:
        meter = Meter()
        end = begin(channel)
        client = OperationsClient(channel)
        handles = [client.adopt(operation, METHOD) for operation in started(count)]
        done = client.wait_all(handles, **options)
        return checked(
            meter, end, count, [operation.done for operation in done if not isinstance(operation, Exception)]
        )


def ours_async(address: str, count: int, **options: Any) -> dict[str, float]:
    """wait_all, async."""

    async def body() -> dict[str, float]:
        with grpc.insecure_channel(address) as channel:
            end = begin(channel)
        async with grpc.aio.insecure_channel(address) as aio:
            meter = Meter()
            client = AsyncOperationsClient(aio)
            handles = [client.adopt(operation, METHOD) for operation in started(count)]
            done = await client.wait_all(handles, **options)
            return checked(
                meter, end, count, [operation.done for operation in done if not isinstance(operation, Exception)]
            )

    return asyncio.run(body())


def api_core_sync(address: str, count: int) -> dict[str, float]:
    """One thread per operation is how google-api-core waits for many: result() in a pool as large as needed."""
    from google.api_core import operation, operations_v1

    with grpc.insecure_channel(address) as channel:
        meter = Meter()
        end = begin(channel)
        client = cast("Any", operations_v1).OperationsClient(channel)
        futures = [cast("Any", operation).from_gapic(proto, client, empty_pb2.Empty) for proto in started(count)]
        with ThreadPoolExecutor(count) as pool:
            results = list(pool.map(result_of, futures))
        return checked(meter, end, count, [result is not None for result in results])


def result_of(future: Any) -> Any:
    """Blocks, as its callers do."""
    return future.result(timeout=300)


def api_core_async(address: str, count: int) -> dict[str, float]:
    """asyncio.gather over its futures."""
    from google.api_core import operation_async, operations_v1

    async def body() -> dict[str, float]:
        with grpc.insecure_channel(address) as channel:
            end = begin(channel)
        async with grpc.aio.insecure_channel(address) as aio:
            meter = Meter()
            client = cast("Any", operations_v1).OperationsAsyncClient(aio)
            futures = [
                cast("Any", operation_async).from_gapic(
                    operations_pb2.Operation(name=f"operations/{index}"), client, empty_pb2.Empty
                )
                for index in range(count)
            ]
            results = await asyncio.gather(*(future.result() for future in futures))
            return checked(meter, end, count, [result is not None for result in results])

    return asyncio.run(body())


def checked(meter: Meter, end: float, count: int, done: list[bool]) -> dict[str, float]:
    """The figures of a client that really saw all of them done."""
    last = time.time() - end
    if len(done) != count or not all(done):
        raise SystemExit("not every operation was seen done")
    return meter.end(last, count)


def pending(address: str, count: int) -> dict[str, float]:
    """Many operations that do not end: a minute of waiting, and then a timeout for each."""
    with grpc.insecure_channel(address) as channel:
        meter = Meter()
        end = begin(channel)
        client = OperationsClient(channel, policy=PollPolicy(timeout=60))
        results = client.wait_all([client.adopt(operation, METHOD) for operation in started(count)])
        if not all(isinstance(result, TimeoutError) for result in results):
            raise SystemExit("not every wait timed out")
        return meter.end(time.time() - end, count)


def one(address: str, count: int) -> dict[str, float]:
    """Median seconds between the end of an operation and the return of result(), and the same of a bare RPC."""
    with grpc.insecure_channel(address) as channel:
        call: Any = cast("Any", channel).unary_unary(SERVICE + "WaitOperation")
        client = OperationsClient(channel)
        ours: list[float] = []
        bare: list[float] = []
        for _ in range(count):
            end = begin(channel)
            client.attach("operations/0", METHOD).result()
            ours.append(time.time() - end)
            end = begin(channel)
            request = operations_pb2.WaitOperationRequest(
                name="operations/0", timeout=duration_pb2.Duration(seconds=30)
            )
            call(request.SerializeToString())
            bare.append(time.time() - end)
    return {"ours": statistics.median(ours), "bare": statistics.median(bare)}


# -- the run ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Contest:
    """One line of the table."""

    title: str
    client: Callable[..., dict[str, float]]
    waits: bool
    options: tuple[tuple[str, Any], ...] = ()


CONTESTS = {
    "wait-async": Contest("longrunning async, WaitOperation", ours_async, waits=True),
    "wait-sync": Contest("longrunning sync, WaitOperation", ours_sync, waits=True),
    "poll-async": Contest("longrunning async, polling", ours_async, waits=False),
    "poll-sync": Contest("longrunning sync, polling", ours_sync, waits=False),
    "list-async": Contest("longrunning async, through lists", ours_async, waits=False, options=(("list_parent", ""),)),
    "list-sync": Contest("longrunning sync, through lists", ours_sync, waits=False, options=(("list_parent", ""),)),
    "api-core-async": Contest("google-api-core async", api_core_async, waits=False),
    "api-core-sync": Contest("google-api-core sync", api_core_sync, waits=False),
    "pending": Contest("longrunning sync, nothing ends for a minute", pending, waits=False),
    "one": Contest("one operation", one, waits=True),
}


def run(name: str, count: int, seconds: float) -> dict[str, Any]:
    """One line: a server, a client, and what both say."""
    contest = CONTESTS[name]
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.waiting"]
    serving = [*command, "--serve", str(count), str(seconds), str(int(contest.waits))]
    with subprocess.Popen(serving, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        address = f"127.0.0.1:{int(server.stdout.readline())}"
        try:
            output = subprocess.run(
                [*command, "--client", name, address, str(count)], check=True, stdout=subprocess.PIPE, text=True
            ).stdout
            with grpc.insecure_channel(address) as channel:
                stats: Any = cast("Any", channel).unary_unary("/bench.Bench/Stats")
                calls: dict[str, int] = json.loads(stats(b""))
        finally:
            server.stdin.close()
    return {**json.loads(output), "rpcs": sum(calls.values()), "calls": calls}


def main() -> int:
    """Runs them all, or the part of a child process."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.waiting", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="operations that end together")
    parser.add_argument("--seconds", type=float, default=10.0, help="after how long they end")
    parser.add_argument("--pending", type=int, default=20_000, help="operations that do not end; 0 to leave that out")
    parser.add_argument("--only", nargs="*", default=[name for name in CONTESTS if name not in ("pending", "one")])
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--client", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        count, seconds, waits = arguments.serve
        asyncio.run(serve(int(count), float(seconds), waits=bool(int(waits))))
        return 0
    if arguments.client:
        name, address, count = arguments.client
        contest = CONTESTS[name]
        print(json.dumps(contest.client(address, int(count), **dict(contest.options))))
        return 0
    print(environment())
    print(f"{arguments.count:,} operations that all end after {arguments.seconds:g} s")
    print(f"  {'':<34} {'last noticed':>12} {'RPCs':>7} {'threads':>8} {'KiB each':>9} {'CPU':>7}")
    for name in arguments.only:
        found = run(name, arguments.count, arguments.seconds)
        print(
            f"  {CONTESTS[name].title:<34} {found['last']:>+10.2f} s {found['rpcs']:>7,} {found['threads']:>8.0f}"
            f" {found['kib']:>9.1f} {found['cpu']:>5.1f} s",
            flush=True,
        )
    if arguments.pending:
        found = run("pending", arguments.pending, 1e6)
        print(
            f"{arguments.pending:,} that do not end, for a minute: {found['rpcs']:,} RPCs, {found['cpu']:.1f} s of CPU, "
            f"{found['kib']:.1f} KiB each, {found['threads']:.0f} further thread(s)"
        )
    found = run("one", 30, 0.1)
    print(
        f"one operation with WaitOperation: result() returns {found['ours'] * 1e3:.2f} ms after its end; "
        f"a bare RPC, {found['bare'] * 1e3:.2f} ms"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
