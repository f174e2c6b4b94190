# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The client waits, and whenever the server has died it is started again, as a service manager would."""

from __future__ import annotations

import asyncio
import itertools
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio
from google.protobuf.wrappers_pb2 import Int64Value

from longrunning import AsyncOperationsClient, PollPolicy, RetryPolicy

from .server import ADD_UP, BLOCKS

UP_TO = 1_000_000
POLICY = PollPolicy(initial=0.05, multiplier=1.0, timeout=60, retry=RetryPolicy(initial=0.05, maximum=0.2))
RECONNECTING = (  # the server is back soon
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 10_000),  # which is how long a connection may take
    ("grpc.max_reconnect_backoff_ms", 200),
)


@asynccontextmanager
async def kept_running(folder: Path) -> AsyncGenerator[int, None]:
    """A server that is started again whenever it dies, and its port."""
    process, port = await start(folder, 0)

    async def keep() -> None:
        nonlocal process
        while True:
            code = await process.wait()
            print(f"   the server died (exit code {code}), and is started again")
            process, _ = await start(folder, port)

    keeping = asyncio.create_task(keep())
    try:
        yield port
    finally:
        keeping.cancel()
        await asyncio.wait((keeping,))
        process.kill()
        await process.wait()


async def start(folder: Path, port: int) -> tuple[Process, int]:
    """Starts a server process; returns it with its port."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "examples.checkpoints.server", str(folder), str(port), stdout=PIPE
    )
    assert process.stdout is not None
    return process, int(await process.stdout.readline())


async def main(folder: Path) -> None:
    """Starts one operation, and waits for it."""
    async with (
        kept_running(folder) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}", RECONNECTING) as channel,
    ):
        operation = await AsyncOperationsClient(channel, policy=POLICY).start(ADD_UP, Int64Value(value=UP_TO))
        async for snapshot in operation.watch():
            if snapshot.metadata is not None:
                print(f"   {snapshot.metadata.value:2} of {BLOCKS} blocks")
        total = (await operation).value
    print(f"the sum is {total}, as it should be: {total == UP_TO * (UP_TO - 1) // 2}")
    lines = [line.split(": block ") for line in (folder / "log").read_text().splitlines()]
    for attempt, group in itertools.groupby(lines, key=lambda line: line[0]):
        print(f"{attempt} did the blocks", *(block for _, block in group))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="checkpoints-") as temporary:
        asyncio.run(main(Path(temporary)))
