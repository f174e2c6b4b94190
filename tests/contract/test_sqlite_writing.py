# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""`SqliteStore` under load and under faults: what is written together, what fails alone, and what fails together."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from longrunning.errors import LeaseLostError, OperationConflictError, StoreUnavailableError
from longrunning.server.storage import Created, Outcome, SqliteStore
from tests.contract.sqlite_seams import TERMS, Tap, integrity, locked, new, opened, play, start, together
from tests.contract.sqlite_seams import tap as tap  # noqa: PLC0414 - a fixture

SURROGATE: Final = "operations/\ud800"  # no text of a database: refused when it is bound
DONE: Final = Outcome(code=None, payload=b"")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a database may be made."""
    return tmp_path / "operations.db"


def unavailable(error: object, path: Path, problem: str) -> None:
    """An error says what the matter is, and neither path nor statement; SQLite's own is the cause."""
    assert isinstance(error, StoreUnavailableError)
    assert problem in str(error)
    assert str(path) not in str(error)
    assert "insert" not in str(error)
    assert isinstance(error.__cause__, sqlite3.Error)


# -- written together ------------------------------------------------------------------------------------------------


def test_many_callers_share_a_commit(path: Path, tap: Tap) -> None:
    """What is asked for while the disk is busy is committed together, and each caller gets its own answer (RUN-2)."""

    async def scenario() -> None:
        async with opened(path) as store:
            before = tap.commits
            created = await together(path, *(store.create(new(f"operations/{n}"), TERMS) for n in range(200)))
            assert [each.record.name for each in created] == [f"operations/{n}" for n in range(200)]
            assert tap.commits - before < 40  # one, unless the machine is so slow that each takes milliseconds

    play(scenario)


def test_one_caller_waits_for_nobody(path: Path, tap: Tap) -> None:
    """A write that comes alone is committed at once: nothing waits for company (RUN-2)."""

    async def scenario() -> None:
        async with opened(path) as store:
            before = tap.commits
            for number in range(10):
                await store.create(new(f"operations/{number}"))
            assert tap.commits - before == 10

    play(scenario)


def test_what_loses_loses_alone(path: Path) -> None:
    """Conflicts, lost leases and values no database takes are the errors of those who asked; the rest is committed (RUN-1, SRV-8)."""

    async def scenario() -> None:
        async with opened(path) as store:
            await store.create(new("operations/held", resource="shelf"), TERMS)
            outcomes = await together(
                path,
                store.create(new("operations/1"), TERMS),
                store.create(new("operations/2", resource="shelf")),
                store.finish("operations/held", 7, DONE),
                store.create(new(SURROGATE)),
                store.create(new("operations/held")),
                store.create(new("operations/3", max_attempts=1 << 70)),
                store.update("operations/held", 2, metadata=b"late"),
                store.create(new("operations/4")),
                store.finish("operations/held", 1, DONE),
            )
            kinds: list[object] = [type(outcome) for outcome in outcomes]
            lost, taken, odd = LeaseLostError, ValueError, UnicodeEncodeError
            assert kinds == [
                *(Created, OperationConflictError, lost, odd, taken),
                *(OverflowError, lost, Created, type(None)),
            ]
            gone = {"operations/2", "operations/3"}
            assert await store.settled(["operations/1", "operations/4", *gone]) == gone
            held = await store.get("operations/held", None)
            assert held is not None
            assert held.done
            assert held.metadata is None

    play(scenario)


def test_a_call_of_many_statements_counts_as_one(path: Path) -> None:
    """Where renewing or releasing many fails halfway, none was renewed or released, and nobody is told of it (RUN-1, RUN-4)."""
    now = [1000.0]

    async def scenario() -> None:
        async with opened(path, clock=lambda: now[0]) as store:
            for name in ("operations/1", "operations/2"):
                await store.create(new(name), TERMS)
            await store.request_cancel("operations/1", None)
            changes = store.watch()
            heard = asyncio.create_task(anext(changes))
            await asyncio.sleep(0)
            outcomes = await together(
                path,
                store.release({"operations/1": 1, SURROGATE: 1}),
                store.renew({"operations/1": 1, "operations/2": 1, SURROGATE: 1}, 1_000_000),
                store.create(new("operations/3")),
                store.finish("operations/2", 1, DONE),
            )
            kinds: list[object] = [type(outcome) for outcome in outcomes]
            assert kinds == [UnicodeEncodeError, UnicodeEncodeError, Created, type(None)]
            assert await heard == {"operations/2"}
            await changes.aclose()
            now[0] += TERMS.ttl
            assert await store.abandon(limit=10) == ("operations/1",)

    play(scenario)


def test_a_caller_that_went_away_disturbs_nobody(path: Path) -> None:
    """Who is cancelled while waiting gets no answer; the write may be done all the same, and the others get theirs (RUN-2)."""

    async def scenario() -> None:
        async with opened(path) as store:
            with locked(path):
                tasks = [asyncio.create_task(store.create(new(f"operations/{n}"))) for n in range(20)]
                await asyncio.sleep(0.05)
                for task in tasks[::2]:
                    task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            kinds: list[object] = [type(outcome) for outcome in outcomes]
            assert kinds == [asyncio.CancelledError, Created] * 10
            assert await store.settled([f"operations/{n}" for n in range(20)]) == frozenset()

    play(scenario)


def test_several_event_loops_share_a_store(path: Path) -> None:
    """Calls from the loops of several threads are answered where they were made, reads and watchers included (RUN-5, PKG-3)."""

    async def work(store: SqliteStore, worker: int) -> None:
        changes = store.watch()
        heard = asyncio.create_task(anext(changes))
        for number in range(50):
            name = f"operations/{worker}-{number}"
            created = await store.create(new(name), TERMS)
            record, _ = await asyncio.gather(store.get(name, None), store.settled([name]))
            assert record == created.record
            await store.finish(name, 1, DONE)
        assert await heard
        await changes.aclose()

    async def scenario() -> None:
        failures: list[BaseException] = []

        def elsewhere(store: SqliteStore, worker: int) -> None:
            try:
                asyncio.run(work(store, worker))
            except Exception as error:  # noqa: BLE001 - it is looked at below
                failures.append(error)

        async with opened(path) as store:
            threads = [threading.Thread(target=elsewhere, args=(store, worker)) for worker in range(1, 4)]
            for thread in threads:
                thread.start()
            await work(store, 0)
            for thread in threads:
                await asyncio.to_thread(thread.join)
            names = [f"operations/{worker}-{number}" for worker in range(4) for number in range(50)]
            assert await store.settled(names) == frozenset(names)
        assert not failures

    play(scenario)


def test_a_loop_that_is_gone_takes_nobody_along(path: Path) -> None:
    """Answers for a loop that was closed meanwhile go nowhere, and the store works on, in a second `asyncio.run` too (PKG-3)."""
    store = SqliteStore(path)
    asyncio.run(store.open())

    async def leave() -> None:
        asyncio.get_running_loop().call_later(0.05, asyncio.get_running_loop().stop)
        await store.create(new("operations/1"))

    with locked(path):
        loop = asyncio.new_event_loop()
        task = loop.create_task(leave())
        loop.run_forever()
        task.cancel()
        loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        loop.close()

    async def scenario() -> None:
        await store.create(new("operations/2"))
        assert not await store.settled(["operations/1", "operations/2"])
        await store.close()

    play(scenario)


# -- failing together ------------------------------------------------------------------------------------------------


def test_a_full_disk_acknowledges_nothing(path: Path, tap: Tap) -> None:
    """All that was to be committed together fails, nothing of it is there, and with room the store works again (RUN-2)."""

    async def scenario() -> None:
        async with opened(path) as store:
            await store.create(new("operations/small"), TERMS)
            (writer,) = tap.writers
            (pages,) = writer.execute("pragma page_count").fetchone()
            (roomy,) = writer.execute("pragma max_page_count").fetchone()
            writer.execute(f"pragma max_page_count = {pages + 4}")
            names = [f"operations/{n}" for n in range(10)]
            outcomes = await together(
                path,
                store.finish("operations/small", 1, DONE),
                *(store.create(new(name, request=bytes(100_000))) for name in names),
            )
            for outcome in outcomes:
                unavailable(outcome, path, "disk is full")
            assert await store.settled([*names, "operations/small"]) == set(names)
            writer.execute(f"pragma max_page_count = {roomy}")
            await store.finish("operations/small", 1, DONE)
            await store.create(new(names[0], request=bytes(100_000)))
        assert integrity(path) == "ok"

    play(scenario)


def test_a_disk_that_fails_acknowledges_nothing(path: Path) -> None:
    """A write the system refuses fails what was to be committed; when it works again, so does the store (RUN-2)."""
    body = """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
await store.create(new("operations/1"))
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (Path(f"{path}-wal").stat().st_size + 8192, hard))
try:
    await store.create(new("operations/2", request=bytes(100_000)))
except StoreUnavailableError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
print(sorted(await store.settled(["operations/1", "operations/2"])))
await store.create(new("operations/2"))
"""
    with start(body, path) as child:
        printed, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    assert printed.splitlines() == ["the store is unavailable: the disk failed to read or write", "['operations/2']"]
    assert integrity(path) == "ok"


def test_a_locked_database_is_unavailable(path: Path) -> None:
    """Writes fail after the timeout, all that wait at the same time; reads go on, and writes when it is free (RUN-2)."""

    async def scenario() -> None:
        async with opened(path, busy_timeout=0.3) as store:
            await store.create(new("operations/0"))
            with locked(path, "exclusive"):
                began = time.monotonic()
                tasks = [asyncio.create_task(store.create(new(f"operations/{n}"))) for n in range(1, 50)]
                assert await store.get("operations/0", None) is not None
                assert await store.settled(["operations/0"]) == frozenset()
                outcomes = await asyncio.gather(*tasks, return_exceptions=True)
                assert 0.3 <= time.monotonic() - began < 10  # and not 49 times as long
            for outcome in outcomes:
                unavailable(outcome, path, "locked by another process")
            assert len(await store.settled([f"operations/{n}" for n in range(1, 50)])) == 49
            await store.create(new("operations/1"))

    play(scenario)


def test_a_lock_that_is_released_in_time_is_waited_for(path: Path) -> None:
    """Somebody else's transaction delays a write, and does not fail it (RUN-2)."""

    async def scenario() -> None:
        async with opened(path) as store:
            with locked(path):
                task = asyncio.create_task(store.create(new("operations/1")))
                done, _ = await asyncio.wait([task], timeout=0.2)
                assert not done
            assert not (await task).existed

    play(scenario)


def test_a_read_only_database_is_unavailable(path: Path, tap: Tap) -> None:
    """Where nothing can be written, nothing is acknowledged; reads go on (RUN-2)."""

    async def scenario() -> None:
        async with opened(path) as store:
            await store.create(new("operations/1"), TERMS)
            tap.writers[0].execute("pragma query_only = on")
            outcomes = await together(path, store.create(new("operations/2")), store.finish("operations/1", 1, DONE))
            for outcome in outcomes:
                unavailable(outcome, path, "read-only")
            assert await store.settled(["operations/1", "operations/2"]) == {"operations/2"}
            tap.writers[0].execute("pragma query_only = off")
            await store.finish("operations/1", 1, DONE)

    play(scenario)


def test_a_corrupt_page_is_unavailable(path: Path) -> None:
    """What cannot be read is an error that says what to do, and not an operation that is absent (RUN-2)."""

    async def fill() -> None:
        async with opened(path) as store:
            for number in range(100):
                await store.create(new(f"operations/{number}"))

    async def scenario() -> None:
        async with opened(path) as store:
            calls: tuple[Any, ...] = (
                *(store.get("operations/7", None), store.settled(["operations/7"])),
                store.claim("operations/7", TERMS),
            )
            for outcome in await asyncio.gather(*calls, return_exceptions=True):
                unavailable(outcome, path, "restore it from a backup")

    play(fill)
    spoil(path, "by_name")
    play(scenario)


def test_where_one_write_finds_the_file_corrupt_none_is_acknowledged(path: Path) -> None:
    """A fault of the file fails all that was to be committed together, also what would have worked alone (RUN-2)."""

    async def scenario() -> None:
        async with opened(path) as store:
            outcomes = await together(path, store.create(new("operations/1")), store.finish("operations/0", 1, DONE))
            for outcome in outcomes:
                unavailable(outcome, path, "corrupt")
            assert await store.settled(["operations/1"]) == {"operations/1"}
            await store.create(new("operations/1"))

    async def fill() -> None:
        async with opened(path) as store:
            await store.create(new("operations/0"), TERMS)

    play(fill)
    spoil(path, "settings")
    play(scenario)


def spoil(path: Path, tree: str) -> None:
    """Overwrites the first page of a table or an index, while nobody has the database open."""
    content = bytearray(path.read_bytes())
    size = int.from_bytes(content[16:18], "big")  # of a page
    with closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("select rootpage from sqlite_master where name = ?", (tree,)).fetchone()
    content[(root - 1) * size : root * size] = b"\xff" * size
    path.write_bytes(content)


def test_a_clock_that_fails_fails_the_write(path: Path) -> None:
    """An error nobody expects fails what was to be written, with its cause, and the thread that writes lives on (RUN-2)."""
    answers: list[float] = []

    async def scenario() -> None:
        async with opened(path, clock=answers.pop) as store:
            with pytest.raises(IndexError):
                await store.create(new("operations/1"))
            answers.append(1000.0)
            assert (await store.create(new("operations/1"))).record.create_time == 1_000_000_000

    play(scenario)


@pytest.mark.parametrize("rounds", [3])
def test_a_killed_process_loses_nothing_it_acknowledged(path: Path, rounds: int) -> None:
    """After kill -9 in the middle of writing, all that was acknowledged is there, and the database is sound (RUN-2)."""
    body = """
async def work(worker):
    for number in range(1_000_000):
        name = f"operations/{arguments[0]}-{worker}-{number}"
        await store.create(new(name), TERMS)
        if number % 2:
            await store.finish(name, 1, Outcome(code=None, payload=b"done"))
        print(name, flush=True)
await asyncio.gather(*(work(worker) for worker in range(4)))
"""
    acknowledged: list[str] = []
    for round_ in range(rounds):
        with start(body, path, str(round_)) as child:
            assert child.stdout is not None
            for line in child.stdout:
                acknowledged.append(line.strip())
                if len(acknowledged) % 100 == 0:
                    child.send_signal(signal.SIGKILL)
                    break
            acknowledged += [line.strip() for line in child.stdout if line.endswith("\n")]
            assert child.wait() == -signal.SIGKILL
        assert integrity(path) == "ok"

    async def scenario() -> None:
        async with opened(path) as store:
            for name in acknowledged:
                record = await store.get(name, None)
                assert record is not None
                assert record.done == bool(int(name.rpartition("-")[2]) % 2)

    play(scenario)
