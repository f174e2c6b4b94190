# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Several processes on one SQLite file: one that is stopped and comes back too late, one that is old, and waking each other."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import grpc.aio
import pytest

from example.library.v1 import library_pb2
from tests.pair.colours import CREATE_SHELF, IMPORT_BOOKS, run
from tests.pair.serving import Raw, eventually

ROOT: Final = Path(__file__).parents[2]
LEASE: Final = 2.0  # seconds; processes that work must not miss it because the machine has other things to do
LONG_LEASE: Final = 60.0  # where no lease is to end
PATIENCE: Final = 30.0  # seconds until something that was to happen does not
CANCELLED: Final = 1

Event = dict[str, Any]


class Replica:
    """A process that serves, and what its handlers tell.

    Attributes:
        name: What its gates and checkpoints are called after.
        events: All it told so far.
        raw: Plain stubs on a channel to it.
    """

    def __init__(self, name: str, folder: Path, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.events: list[Event] = []
        self._folder = folder
        self._process = process
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.events.append(json.loads(line))

    def told(self, event: str, **fields: Any) -> list[Event]:
        """What it told of one kind, with these fields."""
        wanted = {"event": event, **fields}
        return [found for found in self.events if wanted.items() <= found.items()]

    async def tells(self, event: str, **fields: Any) -> Event:
        """The first such event, when it is there."""
        await eventually(
            lambda: self.told(event, **fields), seconds=PATIENCE, what=f"{self.name} to tell {event} {fields}"
        )
        return self.told(event, **fields)[0]

    async def connect(self, stack: AsyncExitStack) -> None:
        """Opens a channel to it when it serves."""
        ready = await self.tells("ready")
        self.raw = Raw(await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{ready['port']}")))

    async def imports(self, gate: str, *, updates: int = 1) -> str:
        """Starts an operation that writes so often after its gate."""
        request = library_pb2.ImportBooksRequest(parent="shelves/1", uri=gate, count=updates)
        return str((await self.raw.start(IMPORT_BOOKS, request)).name)

    async def creates(self, gate: str) -> str:
        """Starts an operation that can be cancelled at its gate."""
        return str((await self.raw.start(CREATE_SHELF, library_pb2.CreateShelfRequest(shelf_id=gate))).name)

    async def response(self, name: str, kind: Any) -> Any:
        """The response of an operation that succeeds."""
        operation = await self.raw.wait(name, int(PATIENCE))
        assert operation.HasField("response"), operation
        return kind.FromString(operation.response.value)

    def open(self, gate: str) -> None:
        """Lets its handlers go on from there."""
        (self._folder / f"{gate}.{self.name}").touch()

    def send(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        os.kill(self._process.pid, number)

    async def kill(self) -> None:
        """Ends it, also where it is stopped."""
        if self._process.returncode is None:
            self.send(signal.SIGKILL)
        await self._process.wait()
        await self._reading


class Host:
    """A folder with a database, and the processes on it."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self._folder = folder
        self._stack = stack

    async def replica(
        self, name: str, *, lease_ttl: float = LEASE, concurrency: int = 10, creates: bool = True, threads: bool = False
    ) -> Replica:
        """Starts another process, and returns when it serves.

        Args:
            name: Its name.
            lease_ttl: Of its leases, seconds.
            concurrency: How many handlers it runs at once.
            creates: Whether it knows ``CreateShelf``.
            threads: Whether its handler of ``ImportBooks`` runs in a thread.
        """
        how = {"folder": str(self._folder), "replica": name, "lease_ttl": lease_ttl, "concurrency": concurrency}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.pair.programs.replica"),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps({**how, "creates": creates, "threads": threads}).encode() + b"\n")
        replica = Replica(name, self._folder, process)
        self._stack.push_async_callback(replica.kill)
        await replica.connect(self._stack)
        return replica


@asynccontextmanager
async def host(folder: Path) -> AsyncGenerator[Host, None]:
    """A host, whose processes end with it."""
    async with AsyncExitStack() as stack:
        yield Host(folder, stack)


def play(folder: Path, scenario: Callable[[Host], Awaitable[None]]) -> None:
    """Plays a scenario on a host."""

    async def body() -> None:
        async with host(folder) as found:
            await scenario(found)

    run(body(), 100)


def done_in(operation: Any) -> int:
    """The attempt that wrote the metadata of an import."""
    return int(library_pb2.ImportBooksMetadata.FromString(operation.metadata.value).done)


@pytest.mark.parametrize("threads", [False, True], ids=["async", "thread"])
def test_a_process_that_was_stopped_comes_back_too_late(tmp_path: Path, *, threads: bool) -> None:
    """After SIGSTOP another process goes on from the checkpoint; late updates and outcomes of the first are refused (RUN-1)."""

    async def scenario(host: Host) -> None:
        first = await host.replica("first", threads=threads)
        updated, returned = await first.imports("gate"), await first.imports("gate", updates=0)
        for name in (updated, returned):
            await first.tells("saved", operation=name)
        first.send(signal.SIGSTOP)
        second = await host.replica("second", threads=threads)
        for name in (updated, returned):
            begun = await second.tells("begun", operation=name)
            assert (begun["attempt"], begun["checkpoint"]) == (2, "first, attempt 1")
            await second.tells("saved", operation=name)
        first.open("gate")
        first.send(signal.SIGCONT)  # in the middle of the second attempt
        await eventually(lambda: first.told("stopped", operation=updated) or first.told("returning", operation=updated))
        assert not first.told("returning", operation=updated)
        await eventually(
            lambda: (
                first.told("stopped", operation=returned)
                or first.told("log", text=f"the outcome of {returned} is dropped: its lease is lost")
            )
        )
        for name in (updated, returned):
            operation = await second.raw.get(name)
            assert (operation.done, done_in(operation)) == (False, 2)
        second.open("gate")
        for name in (updated, returned):
            assert (await second.response(name, library_pb2.ImportBooksResponse)).imported == 2
            assert await first.raw.get(name) == await second.raw.get(name)
            assert len(second.told("begun", operation=name)) == 1
        again = await first.imports("gate")  # it is as good as before
        assert (await second.response(again, library_pb2.ImportBooksResponse)).imported == 1

    play(tmp_path, scenario)


def test_a_process_that_was_killed_leaves_its_work_to_another(tmp_path: Path) -> None:
    """After kill -9 another process goes on from the checkpoint, and whoever asks there sees it (RUN-2)."""

    async def scenario(host: Host) -> None:
        first, second = await asyncio.gather(host.replica("first"), host.replica("second"))
        name = await first.imports("gate")
        await first.tells("saved", operation=name)
        second.open("gate")
        waiting = asyncio.create_task(second.response(name, library_pb2.ImportBooksResponse))
        await first.kill()
        assert (await waiting).imported == 2
        assert second.told("begun", operation=name)[0]["checkpoint"] == "first, attempt 1"

    play(tmp_path, scenario)


def test_two_processes_share_the_work(tmp_path: Path) -> None:
    """What one process has queued another one with room takes, and every operation is run once (RUN-5)."""

    async def scenario(host: Host) -> None:
        limits: Any = {"concurrency": 2, "lease_ttl": LONG_LEASE}
        both = await asyncio.gather(host.replica("first", **limits), host.replica("second", **limits))
        first, second = both
        names = [await first.imports("gate") for _ in range(20)]
        for replica in both:
            await eventually(lambda of=replica: len(of.told("saved")) == 2, seconds=PATIENCE)  # type: ignore[misc]
        first.open("gate")
        second.open("gate")
        for name in names:
            assert (await second.response(name, library_pb2.ImportBooksResponse)).imported == 1
        begun = [event["operation"] for replica in both for event in replica.told("begun")]
        assert sorted(begun) == sorted(names)

    play(tmp_path, scenario)


def test_a_process_leaves_alone_what_it_does_not_know(tmp_path: Path) -> None:
    """In a rolling deploy an old process never claims an operation of a new method, and a new one takes it up (RUN-2)."""

    async def scenario(host: Host) -> None:
        old, new = await asyncio.gather(host.replica("old", creates=False), host.replica("new"))
        created = await new.creates("gate")
        await new.tells("saved", operation=created)
        imported = await new.imports("gate")
        await new.tells("saved", operation=imported)
        await new.kill()
        old.open("gate")
        assert (await old.response(imported, library_pb2.ImportBooksResponse)).imported == 2  # so the leases have ended
        await asyncio.sleep(LEASE)
        assert not (await old.raw.get(created)).done
        assert not old.told("begun", operation=created)
        newer = await host.replica("newer")
        newer.open("gate")
        assert (await old.raw.wait(created, int(PATIENCE))).done
        shelf = await newer.response(created, library_pb2.Shelf)
        assert (shelf.name, shelf.book_count) == ("gate", 2)
        assert not old.told("begun", operation=created)

    play(tmp_path, scenario)


def test_a_wait_notices_what_another_process_did(tmp_path: Path) -> None:
    """A WaitOperation is answered soon after the operation ended in another process, without a poll of seconds (SRV-6)."""

    async def scenario(host: Host) -> None:
        worker, front = await asyncio.gather(
            host.replica("worker", lease_ttl=LONG_LEASE), host.replica("front", lease_ttl=LONG_LEASE)
        )
        late: list[float] = []
        for gate in ("a", "b", "c", "d", "e"):
            name = await worker.creates(gate)
            await worker.tells("saved", operation=name)
            waiting = asyncio.create_task(front.response(name, library_pb2.Shelf))
            await asyncio.sleep(0.2)  # it waits
            worker.open(gate)
            await waiting
            late.append(time.time() - (await worker.tells("returning", operation=name))["time"])
        assert statistics.median(late) < 2  # a few hundredths on a machine with nothing else to do

    play(tmp_path, scenario)


def test_a_cancel_reaches_a_handler_in_another_process(tmp_path: Path) -> None:
    """A cancel sent to one process is seen by the handler in another, with the next renewal of its lease (SRV-4)."""

    async def scenario(host: Host) -> None:
        worker, front = await asyncio.gather(host.replica("worker"), host.replica("front"))
        name = await worker.creates("gate")
        await worker.tells("saved", operation=name)
        await front.raw.cancel(name)
        operation = await front.raw.wait(name, int(PATIENCE))
        assert (operation.done, operation.error.code) == (True, CANCELLED)
        await worker.tells("cancelled", operation=name)

    play(tmp_path, scenario)
