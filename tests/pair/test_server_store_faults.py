# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The server on a store that fails: nothing is acknowledged that is not stored, and when the store is back, all goes on."""

from __future__ import annotations

import asyncio
import itertools
import resource
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import pytest

from example.library.v1 import library_pb2
from longrunning.errors import StoreUnavailableError
from longrunning.server import LocalExecutor, OperationStore, SqliteStore
from tests.contract.sqlite_seams import Tap, integrity, locked
from tests.pair.colours import IMPORT_BOOKS, run
from tests.pair.serving import (
    PARENT,
    Edge,
    Gate,
    Place,
    Running,
    bounds,
    eventually,
    everywhere,
    handled,
    importing,
    over,
    refusal,
    serving,
)
from tools.chaos.passing import PassingStore
from tools.chaos.wire import METHODS, WorkRequest, WorkResponse

LARGE: Final = library_pb2.ImportBooksRequest(parent=PARENT, uri="x" * 100_000)  # needs room in the file
WORK: Final = METHODS[False]

Fault = Callable[[Path, Tap], AbstractContextManager[None]]


# -- faults of the database ------------------------------------------------------------------------------------------


@contextmanager
def lock(path: Path, tap: Tap) -> Generator[None, None, None]:
    """Another process holds a transaction open."""
    with locked(path, "exclusive"):
        yield


@contextmanager
def full(path: Path, tap: Tap) -> Generator[None, None, None]:
    """There is no room for the file to grow."""
    (pages,) = tap.writers[0].execute("pragma page_count").fetchone()
    (roomy,) = tap.writers[0].execute("pragma max_page_count").fetchone()
    tap.writers[0].execute(f"pragma max_page_count = {pages}")
    try:
        yield
    finally:
        tap.writers[0].execute(f"pragma max_page_count = {roomy}")


@contextmanager
def broken(path: Path, tap: Tap) -> Generator[None, None, None]:
    """The system refuses to write beyond the present end of the log."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (Path(f"{path}-wal").stat().st_size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def read_only(path: Path, tap: Tap) -> Generator[None, None, None]:
    """Nothing can be written any more."""
    tap.writers[0].execute("pragma query_only = on")
    try:
        yield
    finally:
        tap.writers[0].execute("pragma query_only = off")


async def stored(running: Running) -> list[str]:
    """The names of all operations."""
    return [operation.name for operation in (await running.raw.list(PARENT)).operations]


async def unavailable(call: Any) -> None:
    """The call is UNAVAILABLE, so that clients try again, and says nothing of files."""
    refused = await refusal(call)
    assert refused.code() is grpc.StatusCode.UNAVAILABLE
    assert "db" not in (refused.details() or "")
    assert "sql" not in (refused.details() or "").lower()


@pytest.mark.parametrize("fault", [lock, broken, read_only])
@over(stores=("sqlite",))
async def test_a_database_that_cannot_be_written(
    place: Place, fault: Fault, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Writes are UNAVAILABLE and did not happen, reads go on, and outcomes are published when it can be again (RUN-1, RUN-2)."""
    tap, gate, path = Tap(monkeypatch), Gate(), place.folder / "operations.db"
    store = SqliteStore(path, busy_timeout=0.1)
    async with place.serving(importing(gate.aio), store=store) as running:
        name = await running.start()
        await gate.entered()
        waiting = asyncio.create_task(running.done(name))
        with fault(path, tap):
            await unavailable(running.raw.start(IMPORT_BOOKS, LARGE))
            await unavailable(running.raw.cancel(name))
            await unavailable(running.raw.delete(name))
            gate.open()
            await eventually(lambda: "cannot store the outcome" in caplog.text)
            assert not (await running.raw.get(name)).done
            assert not (await running.raw.wait(name, 0)).done
            assert await stored(running) == [name]
        assert (await waiting).HasField("response")
        assert not gate.contexts[0].cancel_requested
        assert len(gate.contexts) == 1
        assert (await running.outcome(request=LARGE)).HasField("response")
        assert len(await stored(running)) == 2
    assert integrity(path) == "ok"


@over(stores=("sqlite",))
async def test_a_disk_that_is_full(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit is UNAVAILABLE and not stored, and with room the same request is an operation (RUN-2)."""
    tap, gate, path = Tap(monkeypatch), Gate(), place.folder / "operations.db"
    async with place.serving(importing(gate.aio), store=SqliteStore(path)) as running:
        name = await running.start()
        await gate.entered()
        with full(path, tap):
            for _ in range(3):
                await unavailable(running.raw.start(IMPORT_BOOKS, LARGE))
            assert await stored(running) == [name]
        gate.open()
        assert (await running.done(name)).HasField("response")
        assert (await running.outcome(request=LARGE)).HasField("response")
        assert len(gate.contexts) == len(await stored(running)) == 2
    assert integrity(path) == "ok"


@over(stores=("sqlite",), edges=(Edge.AIO,))
async def test_a_lock_that_outlasts_the_lease(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing could be renewed for longer than a lease lasts, there is one outcome, of the last attempt (RUN-1)."""
    path, gate = place.folder / "operations.db", Gate()
    begun: list[int] = []

    async def attempt(request: Any, context: Any) -> Any:
        begun.append(context.attempt)
        await gate.aio(request, context)
        return library_pb2.ImportBooksResponse(imported=context.attempt)

    limits = bounds(lease_ttl=1.0, reconcile_interval=0.02)
    store = SqliteStore(path, busy_timeout=0.05)
    async with place.serving(importing(attempt), store=store, limits=limits) as running:
        names = [await running.start() for _ in range(5)]
        await gate.entered(5)
        with locked(path, "exclusive"):
            await asyncio.sleep(2.0)  # two leases
        gate.open()
        for name in names:
            operation = await running.done(name)
            response = library_pb2.ImportBooksResponse.FromString(operation.response.value)
            contexts = [context for context in gate.contexts if context.name == name]
            assert response.imported == contexts[-1].attempt == len(contexts)


@pytest.mark.parametrize("edge", [Edge.AIO, Edge.THREAD], ids=lambda edge: edge.value)
def test_a_server_whose_store_cannot_be_opened(edge: Edge, tmp_path: Path) -> None:
    """Entering it raises StoreUnavailableError, calls are UNAVAILABLE, and once the store can be opened it serves (RUN-2)."""

    async def body() -> None:
        folder, gate = tmp_path / "later", Gate()
        gate.open()
        async with serving(edge, SqliteStore(folder / "operations.db"), importing(gate.aio), enter=False) as running:
            for _ in range(2):
                with pytest.raises(StoreUnavailableError):
                    await running.enter()
                await unavailable(running.raw.start(IMPORT_BOOKS, LARGE))
            folder.mkdir()
            await running.enter()
            assert (await running.outcome(request=LARGE)).HasField("response")

    run(body(), 40)


# -- a connection that breaks at the wrong moment ------------------------------------------------------------------


class Forgetful(PassingStore):
    """A store that does what it is asked and then, a few times, says that it could not.

    Attributes:
        times: How often it still will.
    """

    def __init__(self, inner: OperationStore, method: str, times: int) -> None:
        super().__init__(inner)
        self.times = times
        setattr(self, method, self._forgetting(getattr(inner, method)))

    def _forgetting(self, call: Callable[..., Any]) -> Callable[..., Any]:
        async def forget(*arguments: Any, **named: Any) -> Any:
            result = await call(*arguments, **named)
            if self.times:
                self.times -= 1
                raise StoreUnavailableError("the connection broke")
            return result

        return forget


@pytest.mark.parametrize("method", ["create", "claim", "update", "finish", "due"])
@everywhere
async def test_a_write_whose_answer_is_lost(place: Place, method: str) -> None:
    """Written, but reported as failed: each request is still one operation with one outcome, of its last attempt (RUN-1, SRV-7)."""
    begun: dict[str, list[tuple[int, bytes | None]]] = {}
    gate = Gate()

    async def work(request: Any, context: Any) -> Any:
        await gate.aio(request, context)
        begun.setdefault(request.request_id, []).append((context.attempt, context.checkpoint))
        await context.update(checkpoint=str(context.attempt).encode())
        return WorkResponse(request_id=request.request_id, fence=context.fencing_token)

    store = Forgetful(place.store(), method, times=2)
    register = handled(WORK, work, parent=PARENT)
    limits = bounds(lease_ttl=0.7, reconcile_interval=0.02)
    async with place.serving(register, store=store, executor=LocalExecutor(concurrency=1), limits=limits) as running:
        names: dict[str, str] = {}
        for request_id in ("a", "b", "c", "d"):
            request = WorkRequest(request_id=request_id)
            if method == "create" and store.times:
                await unavailable(running.raw.start(WORK, request))
            names[request_id] = await running.start(WORK, request)
            assert await running.start(WORK, request) == names[request_id]
        assert sorted(await stored(running)) == sorted(names.values())
        gate.open()
        for request_id, name in names.items():
            operation = await running.done(name)
            response = WorkResponse.FromString(operation.response.value)
            assert response.request_id == request_id
            attempts = begun[request_id]
            assert response.fence == attempts[-1][0]  # each attempt has the next fencing number
            for (attempt, _), (_, checkpoint) in itertools.pairwise(attempts):
                assert checkpoint == str(attempt).encode()
        await eventually(lambda: store.times == 0)
