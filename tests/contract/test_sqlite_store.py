# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""`SqliteStore` from opening to closing: which files it takes, which it refuses, and what it leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from pathlib import Path
from typing import Any, Final

import pytest

from longrunning.errors import LongRunningError, StoreUnavailableError
from longrunning.server.storage import SqliteStore
from longrunning.server.storage._sqlite_schema import MIGRATIONS, connect, prepare
from tests.contract.sqlite_seams import Tap, integrity, locked, new, opened, play, run_all, snapshot, start
from tests.contract.sqlite_seams import tap as tap  # noqa: PLC0414 - a fixture

SCHEMA: Final = "longrunning.server.storage._sqlite_schema.MIGRATIONS"
LATER: Final = (*MIGRATIONS, ("alter table operations add column colour text",))
"""What a later release might make of the schema."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a database may be made."""
    return tmp_path / "operations.db"


def refused(path: Path, **arguments: Any) -> StoreUnavailableError:
    """The error of opening; it names neither paths nor statements."""
    with pytest.raises(StoreUnavailableError) as caught:
        asyncio.run(SqliteStore(path, **arguments).open())
    assert str(path) not in str(caught.value)
    assert "pragma" not in str(caught.value).lower()
    return caught.value


@pytest.mark.parametrize("name", ["", ":memory:"])
def test_a_database_in_memory_is_refused(name: str) -> None:
    """What would be lost with the process is not taken for durable, and the message says what to use (RUN-2)."""
    with pytest.raises(ValueError, match="MemoryStore"):
        SqliteStore(name)


@pytest.mark.parametrize(
    "arguments", [{"synchronous": "OFF"}, {"synchronous": "full"}, {"busy_timeout": -1}, {"busy_timeout": float("nan")}]
)
def test_arguments_are_checked(path: Path, arguments: Any) -> None:
    """A misspelt or senseless argument is a ValueError that names it, before any file is made (RUN-2)."""
    with pytest.raises(ValueError, match=next(iter(arguments))):
        SqliteStore(path, **arguments)
    assert not path.exists()


@pytest.mark.parametrize(("synchronous", "number"), [("FULL", 2), ("NORMAL", 1)])
def test_what_is_committed_waits_for_the_disk(path: Path, tap: Tap, synchronous: Any, number: int) -> None:
    """The database has a write-ahead log, and each commit waits for the disk unless told otherwise (RUN-2)."""

    async def scenario() -> None:
        arguments = {} if synchronous == "FULL" else {"synchronous": synchronous}
        async with opened(path, **arguments):
            (writer,) = tap.writers
            assert writer.execute("pragma synchronous").fetchone() == (number,)
            assert writer.execute("pragma journal_mode").fetchone() == ("wal",)

    play(scenario)


def test_a_file_says_whose_it_is(path: Path) -> None:
    """The file has our application id and the version of the schema, and nothing lies beside it after closing (RUN-2)."""

    async def scenario() -> None:
        async with opened(path) as store:
            await store.create(new("operations/1"))
            assert (path.parent / "operations.db-wal").exists()

    play(scenario)
    assert list(snapshot(path.parent)) == ["operations.db"]
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("pragma application_id").fetchone() == (0x6C726F70,)
        assert connection.execute("pragma user_version").fetchone() == (len(MIGRATIONS),)
    assert integrity(path) == "ok"


def test_a_store_is_opened_once(path: Path) -> None:
    """Opening twice, and opening what was closed, is a RuntimeError that says so; the store in use is not disturbed (RUN-2)."""

    async def scenario() -> None:
        store = SqliteStore(path)
        await store.open()
        with pytest.raises(RuntimeError, match="open already"):
            await store.open()
        await store.create(new("operations/1"))
        await store.close()
        await store.close()
        with pytest.raises(RuntimeError, match="closed"):
            await store.open()

    play(scenario)


def test_what_is_not_open_is_unavailable(path: Path) -> None:
    """Before it is opened, and after it was closed, every method says so; nothing hangs (RUN-2)."""

    async def scenario() -> None:
        store = SqliteStore(path)
        for problem in ("not open", "closed"):
            for call in (
                store.create(new("operations/1")),
                store.get("a", None),
                store.settled(["a"]),
                anext(store.watch()),
            ):
                with pytest.raises(StoreUnavailableError, match=problem):
                    await call
            if problem == "not open":
                await store.open()
                await store.close()

    play(scenario)


def test_a_store_that_was_never_opened_can_be_closed(path: Path) -> None:
    """Closing it does nothing (RUN-2)."""
    asyncio.run(SqliteStore(path).close())
    assert not path.exists()


def test_a_file_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    """A database with other tables is not ours, with or without an application id; no byte of it changes (RUN-2)."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("create table books (title text)")
    before = snapshot(path.parent)
    assert "another program" in str(refused(path))
    assert snapshot(path.parent) == before
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("drop table books")
        connection.execute("pragma application_id = 77")
    before = snapshot(path.parent)
    assert "another program" in str(refused(path))
    assert snapshot(path.parent) == before


def test_a_schema_from_the_future_is_refused_and_left_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a later release made is not guessed at: the message has both versions, and no byte changes (RUN-2)."""
    with monkeypatch.context() as future:
        future.setattr(SCHEMA, LATER)
        asyncio.run(_create(path, "operations/1"))
    before = snapshot(path.parent)
    version = len(MIGRATIONS)
    assert f"schema version {version + 1}, and this release knows {version}" in str(refused(path))
    assert snapshot(path.parent) == before


def test_an_older_schema_is_brought_up_to_date(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later release adds what is missing, once, and finds the operations that were there (RUN-2)."""
    asyncio.run(_create(path, "operations/1"))
    monkeypatch.setattr(SCHEMA, LATER)

    async def scenario() -> None:
        for _ in range(2):
            async with opened(path) as store:
                assert await store.get("operations/1", None) is not None
                await store.request_cancel("operations/1", None)

    play(scenario)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("pragma user_version").fetchone() == (len(LATER),)
        assert connection.execute("select name, colour from operations").fetchall() == [("operations/1", None)]


def test_a_migration_that_fails_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A schema is brought up to date as a whole or not at all, and opening can be tried again (RUN-2)."""

    async def scenario() -> None:
        store = SqliteStore(path)
        with monkeypatch.context() as broken:
            broken.setattr(SCHEMA, (*MIGRATIONS, ("create table more (a)", "create nonsense")))
            with pytest.raises(StoreUnavailableError):
                await store.open()
        with contextlib.closing(sqlite3.connect(path)) as connection:
            assert connection.execute("select name from sqlite_master").fetchall() == []
        await store.open()
        await store.create(new("operations/1"))
        await store.close()

    play(scenario)


def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    """Garbage is neither read nor overwritten, and the message says what it looks like (RUN-2)."""
    path.write_bytes(b"Dear diary, " * 1000)
    before = snapshot(path.parent)
    error = refused(path)
    assert "no SQLite database" in str(error)
    assert isinstance(error.__cause__, sqlite3.Error)
    assert snapshot(path.parent) == before


def test_a_place_where_no_file_can_be_is_refused(path: Path) -> None:
    """A missing directory is named as the likely cause, and once it is there, opening works; a directory is no file (RUN-2)."""
    assert "directory" in str(refused(path.parent))

    async def scenario() -> None:
        store = SqliteStore(path.parent / "missing" / "operations.db")
        with pytest.raises(StoreUnavailableError, match="directory"):
            await store.open()
        (path.parent / "missing").mkdir()
        await store.open()
        await store.close()

    play(scenario)


def test_a_network_file_system_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where locks do not hold, nothing is opened or made, and the message names the file system (RUN-2)."""
    seen: list[Path] = []

    def on_nfs(asked: Path) -> str:
        seen.append(asked)
        return "nfs4"

    monkeypatch.setattr("longrunning.server.storage._sqlite.network_file_system", on_nfs)
    assert "nfs4" in str(refused(path))
    assert seen == [path]
    assert not path.exists()


def test_an_old_sqlite_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library without what the statements need is named at opening, and not by a syntax error later (RUN-2)."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    assert "SQLite 3.35.0 or newer" in str(refused(path))


def test_a_locked_new_file_is_waited_for_and_then_refused(path: Path) -> None:
    """Where another process never ends setting it up, opening fails after the timeout, and works when it has (RUN-2)."""
    with locked(path, "exclusive"):
        error = refused(path, busy_timeout=0.1)
    assert "locked" in str(error)
    asyncio.run(_create(path, "operations/1"))


def test_many_processes_open_a_new_file_at_once(path: Path) -> None:
    """One of them makes the schema, and all of them work with it (RUN-2)."""
    run_all(6, "await store.create(new(f'operations/{arguments[0]}'))", path)

    async def scenario() -> None:
        async with opened(path) as store:
            assert not await store.settled([f"operations/{number}" for number in range(6)])

    play(scenario)
    assert integrity(path) == "ok"


@pytest.mark.parametrize("overtaken_at", range(1, 10))
def test_a_file_that_is_set_up_while_it_is_looked_at(path: Path, overtaken_at: int) -> None:
    """A new file that another process sets up between two looks at it is not taken for a stranger's (RUN-2)."""

    class Overtaken(sqlite3.Connection):
        looks = 0

        def execute(self, statement: str, *arguments: Any) -> sqlite3.Cursor:
            self.looks += 1
            if self.looks == overtaken_at:
                with (
                    contextlib.closing(connect(path, busy_timeout=0)) as other,
                    contextlib.suppress(sqlite3.OperationalError),
                ):
                    prepare(other, synchronous="NORMAL", patience=0)
            return super().execute(statement, *arguments)

    with contextlib.closing(sqlite3.connect(path, isolation_level=None, factory=Overtaken)) as connection:
        prepare(connection, synchronous="NORMAL", patience=5)
        assert connection.looks >= overtaken_at
    assert integrity(path) == "ok"


def test_spaces_and_signs_in_a_path(tmp_path: Path) -> None:
    """A path is a path, whatever it holds: nothing in it is taken for an option (RUN-2)."""
    path = tmp_path / "a b?mode=memory#%41 ä'\".db"
    asyncio.run(_create(path, "operations/1"))
    assert path.stat().st_size > 0


def test_the_working_directory_may_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path is meant from where the store was made, also for connections opened later (RUN-2)."""
    monkeypatch.chdir(tmp_path)
    store = SqliteStore("operations.db")
    (tmp_path / "elsewhere").mkdir()

    async def scenario() -> None:
        await store.open()
        monkeypatch.chdir(tmp_path / "elsewhere")
        await store.create(new("operations/1"))
        assert not await store.settled(["operations/1"])
        await store.close()

    play(scenario)
    assert (tmp_path / "operations.db").exists()


def test_no_thread_outlives_its_store(path: Path) -> None:
    """After closing, after a failure to open, and with watchers and reads behind it, the threads are gone (RUN-2)."""
    before = set(threading.enumerate())

    async def scenario() -> None:
        async with opened(path) as store:
            watching = asyncio.create_task(anext(store.watch()))
            await asyncio.gather(*(store.settled([f"operations/{number}"]) for number in range(20)))
            assert set(threading.enumerate()) > before
        with pytest.raises(StopAsyncIteration):
            await watching
        assert not set(threading.enumerate()) - before
        with pytest.raises(StoreUnavailableError):
            await SqliteStore(path.parent).open()
        assert not set(threading.enumerate()) - before

    play(scenario)


def test_opening_can_be_cancelled(path: Path) -> None:
    """Who gives up waiting for a file leaves no thread and no lock behind (RUN-2)."""
    before = set(threading.enumerate())

    async def scenario() -> None:
        with locked(path, "exclusive"):
            store = SqliteStore(path)
            opening = asyncio.create_task(store.open())
            await asyncio.sleep(0.05)
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
        with pytest.raises(RuntimeError, match="closed"):
            await store.open()

    play(scenario)
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()
    asyncio.run(_create(path, "operations/1"))


def test_closing_writes_what_was_asked_for(path: Path) -> None:
    """Each write asked for before the close is there if it was acknowledged, and those after it are refused (RUN-2)."""

    async def scenario() -> None:
        store = SqliteStore(path)
        await store.open()
        names = [f"operations/{number}" for number in range(300)]
        tasks = [asyncio.create_task(store.create(new(name))) for name in names]
        await asyncio.sleep(0)  # all of them have asked
        closing = asyncio.gather(store.close(), store.close())
        tasks.append(asyncio.create_task(store.create(new("operations/late"))))
        assert list(await closing) == [None, None]
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(outcome, LongRunningError) for outcome in outcomes] == [False] * 300 + [True]
        async with opened(path) as again:
            assert await again.settled([*names, "operations/late"]) == {"operations/late"}

    play(scenario)


def test_a_forked_child_is_told(path: Path) -> None:
    """In the child of a fork every call says what to do instead, none hangs, and the parent goes on (PKG-3)."""
    body = """
await store.create(new("operations/1"))
warnings.simplefilter("ignore")
child = os.fork()
if not child:
    told = 0
    for call in (store.get("operations/1", None), store.create(new("operations/2")), store.close()):
        try:
            await call
        except RuntimeError as error:
            told += "after a fork, open a new one" in str(error)
    os._exit(told)
_, status = os.waitpid(child, 0)
await store.create(new("operations/3"))
print(os.waitstatus_to_exitcode(status))
"""
    with start(body, path) as parent:
        printed, _ = parent.communicate(timeout=60)
    assert printed == "3\n"
    assert integrity(path) == "ok"


async def _create(path: Path, name: str) -> None:
    async with opened(path) as store:
        await store.create(new(name))
