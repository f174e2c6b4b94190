# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Plays the cells, several at a time: most of the time they wait."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
from examples.memorystore.api import CHANNEL_OPTIONS
from google.longrunning import operations_pb2

from .cells import PAST_SECONDS, Cell, Seen, Stage, create_call, create_request
from .rows import Row

__all__ = ["BlankCellError", "Player", "playing"]

ROOT: Final = Path(__file__).resolve().parents[2]
_AT_ONCE: Final = 6
_LIFETIME: Final = 600.0  # seconds; the server also ends with its input
_LISTED: Final = 6  # more than a page of any size has
_PARENT: Final = "projects/interop/locations"


class BlankCellError(Exception):
    """A client's class has no method for a cell."""


@dataclass(frozen=True)
class Listing:
    """Operations to list: where they are, and the names of those that are done."""

    location: str
    names: frozenset[str]


@dataclass(frozen=True)
class Server:
    """The server of the demo, in a process of its own."""

    address: str
    http_address: str
    mixed: Listing
    successes: Listing

    def stage(self, row: Row, cell: Cell) -> Stage:
        """Where a cell plays."""
        location = f"{_PARENT}/{row.key}-{cell.method}"
        listing = self.successes if row.lists_successes else self.mixed
        return Stage(
            address=self.address,
            http_address=self.http_address,
            location=location,
            listed_in=listing.location,
            listed=listing.names,
        )


class Player:
    """Plays cells in threads. Those of async clients have one event loop, in a thread of its own."""

    def __init__(self, server: Server, pool: ThreadPoolExecutor, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._pool = pool
        self._loop = loop
        self._played: dict[tuple[str, Cell], Future[tuple[Seen, Stage]]] = {}

    def start(self, pairs: Iterable[tuple[Row, Cell]]) -> None:
        """Begins to play what is not played yet."""
        for row, cell in pairs:
            if (row.key, cell) not in self._played:
                self._played[row.key, cell] = self._pool.submit(self._play, row, cell)

    def outcome(self, row: Row, cell: Cell) -> tuple[Seen, Stage]:
        """What the client saw, and where; or raises what it raised.

        Raises:
            BlankCellError: It has no such cell.
            NotOfferedError: The client cannot do it.
        """
        self.start([(row, cell)])
        return self._played[row.key, cell].result()

    def _play(self, row: Row, cell: Cell) -> tuple[Seen, Stage]:
        method: Any = getattr(row.cells, cell.method, None)
        if method is None:
            raise BlankCellError(f"{row.client}: {type(row.cells).__name__} has no method {cell.method!r}")
        stage = self._server.stage(row, cell)
        seen = method(stage)
        if inspect.iscoroutine(seen):
            seen = asyncio.run_coroutine_threadsafe(seen, self._loop).result()
        return seen, stage


@contextmanager
def playing() -> Generator[Player, None, None]:
    """A server process, and what it takes to play cells on it."""
    with ExitStack() as stack:
        address, http_address = stack.enter_context(_process())
        server = Server(address, http_address, *_to_list(address))
        loop = stack.enter_context(_event_loop())
        pool = stack.enter_context(ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="interop"))
        stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        yield Player(server, pool, loop)


@contextmanager
def _process() -> Generator[tuple[str, str], None, None]:
    command = (sys.executable, "-m", "tests.interop.serving", f"--lifetime={_LIFETIME}")
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            addresses = process.stdout.readline().split()
            assert addresses, "the server of the demo did not start"
            address, http_address = addresses
            yield address, http_address
        finally:
            process.stdin.close()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def _event_loop() -> Generator[asyncio.AbstractEventLoop, None, None]:
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        thread = threading.Thread(target=loop.run_forever, name="interop-loop")
        thread.start()
        try:
            yield loop
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()


def _to_list(address: str) -> tuple[Listing, Listing]:
    """Makes operations to list, by plain gRPC: some that fail and some that succeed, in the second place the latter only.

    In both there is one more, which takes minutes.
    """
    mixed, successes = f"{_PARENT}/mixed", f"{_PARENT}/successes"
    with grpc.insecure_channel(address, CHANNEL_OPTIONS) as channel:
        create = create_call(channel)
        get: Any = channel.unary_unary(
            "/google.longrunning.Operations/GetOperation",
            request_serializer=operations_pb2.GetOperationRequest.SerializeToString,
            response_deserializer=operations_pb2.Operation.FromString,
        )

        def created(location: str, *instances: str) -> Listing:
            create(create_request(location, "slow", memory_size_gb=1000))
            return Listing(location, frozenset(create(create_request(location, each)).name for each in instances))

        half, all_of = range(_LISTED // 2), range(_LISTED)
        found = (
            created(mixed, *(f"quota-{number}" for number in half), *(f"cache-{number}" for number in half)),
            created(successes, *(f"cache-{number}" for number in all_of)),
        )
        names = found[0].names | found[1].names
        until = time.monotonic() + PAST_SECONDS
        while not all(get(operations_pb2.GetOperationRequest(name=name)).done for name in names):
            assert time.monotonic() < until, "operations that should be short are not"
            time.sleep(0.1)
        return found
