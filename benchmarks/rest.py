# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Polling over HTTP/JSON, beside google-api-core's REST client and bare httpx: ``python -m benchmarks.rest [--strict]``.

A server in a process of its own answers every request with the same operation, not done, with metadata. Measured is the CPU
time of the client, since the rest of a poll is the network's; everything in one run, in turns.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any

import httpx
from google.api_core import operations_v1
from google.auth.credentials import AnonymousCredentials
from google.cloud.redis_v1 import CreateInstanceRequest, Instance
from google.cloud.redis_v1.types import OperationMetadata

from benchmarks.report import Bench, Comparison, environment, plain
from longrunning import AsyncOperationsClient, LroMethod, OperationsClient

NAME = "projects/p/locations/l/operations/operation-1"
DOCUMENT = json.dumps(
    {
        "name": NAME,
        "metadata": {
            "@type": "type.googleapis.com/google.cloud.redis.v1.OperationMetadata",
            "createTime": "2026-10-01T12:00:00.123456Z",
            "target": "projects/p/locations/l/instances/cache",
            "verb": "create",
            "statusDetail": "Creating the VM",
            "apiVersion": "v1",
        },
        "done": False,
    }
).encode()
ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=UTF-8\r\nvary: Origin\r\nserver: bench\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(DOCUMENT), DOCUMENT)
)
CREATE_INSTANCE = LroMethod(
    path="/google.cloud.redis.v1.CloudRedis/CreateInstance",
    request_type=CreateInstanceRequest,
    response_type=Instance,
    metadata_type=OperationMetadata,
)
ROUNDS = 12
POLLS = 150  # of each contestant in a round


class Server(asyncio.Protocol):
    """The least that is an HTTP server: whatever comes in, the same goes out."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"\r\n\r\n"):
            self._transport.write(ANSWER)


async def serve() -> None:
    """Serves until standard input is closed."""
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


@contextmanager
def serving() -> Generator[str]:
    """A server: its URL."""
    command = [sys.executable, "-m", "benchmarks.rest", "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()


def cpu_of(poll: Callable[[], object]) -> float:
    """CPU seconds of one poll."""
    start = time.process_time()
    for _ in range(POLLS):
        poll()
    return (time.process_time() - start) / POLLS


async def async_cpu_of(poll: Callable[[], Awaitable[object]]) -> float:
    """CPU seconds of one poll."""
    start = time.process_time()
    for _ in range(POLLS):
        await poll()
    return (time.process_time() - start) / POLLS


def google_poll(url: str) -> Callable[[], object]:
    """A poll of the client of google-api-core."""
    api: Any = operations_v1
    credentials: Any = AnonymousCredentials
    transport = api.OperationsRestTransport(host=url, credentials=credentials())
    client = api.AbstractOperationsClient(transport=transport)
    return lambda: client.get_operation(NAME, retry=None).done


async def measure(url: str) -> dict[str, float]:
    """CPU seconds of a poll, of each contestant: the least of all rounds."""
    best: dict[str, float] = {}

    def note(name: str, seconds: float) -> None:
        best[name] = min(best.get(name, seconds), seconds)

    target = f"{url}/v1/{NAME}"
    google = google_poll(url)
    async with httpx.AsyncClient() as async_bare, AsyncOperationsClient.from_url(url) as async_client:
        with httpx.Client() as bare, OperationsClient.from_url(url) as client:
            handle, async_handle = client.attach(NAME, CREATE_INSTANCE), async_client.attach(NAME, CREATE_INSTANCE)
            for _ in range(ROUNDS):
                note("google-api-core, sync", cpu_of(google))
                note("longrunning, sync", cpu_of(lambda: handle.refresh().done))
                note("bare httpx, sync", cpu_of(lambda: json.loads(bare.get(target).content)["done"]))
                note("longrunning, async", await async_cpu_of(async_handle.refresh))
                note("bare httpx, async", await async_cpu_of(lambda: async_bare.get(target)))
    return best


def polling() -> Bench:
    """The bench."""
    with serving() as url:
        times = asyncio.run(measure(url))
    return Bench(
        "CPU of one poll over HTTP/JSON",
        times,
        (
            Comparison("longrunning, sync", "google-api-core, sync", within=0.8),
            Comparison("longrunning, sync", "bare httpx, sync"),
            Comparison("longrunning, async", "bare httpx, async"),
        ),
    )


def main() -> int:
    """Runs it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rest", description=__doc__)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--strict", action="store_true", help="exit with 1 when the target is missed")
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve())
        return 0
    bench = polling()
    print(environment())
    print("\n".join(plain([bench])))
    return 1 if bench.missed and arguments.strict else 0


if __name__ == "__main__":
    sys.exit(main())
