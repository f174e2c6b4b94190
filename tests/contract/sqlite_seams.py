# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What tests of `SqliteStore` reach into it with: its connections, locks from outside, and other processes."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from longrunning.server.storage import ClaimTerms, NewOperation, SqliteStore
from longrunning.server.storage._sqlite_schema import connect

METHOD: Final = "/example.library.v1.Library/ImportBooks"
TERMS: Final = ClaimTerms(worker="worker", methods=frozenset({METHOD}), ttl=30)


def new(name: str, **fields: Any) -> NewOperation:
    """An operation to store, with little in it."""
    given: dict[str, Any] = {"parent": "", "method": METHOD} | fields
    return NewOperation(name=name, **given)


class Tap:
    """The connections of all stores that a test opens, and what was executed on them.

    Attributes:
        writers: Those that write, in the order of opening.
        readers: Those that read.
        statements: What was executed, values filled in.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.writers: list[sqlite3.Connection] = []
        self.readers: list[sqlite3.Connection] = []
        self.statements: list[str] = []
        monkeypatch.setattr("longrunning.server.storage._sqlite.connect", self._tapped)

    def _tapped(self, path: Path, **arguments: Any) -> sqlite3.Connection:
        connection = connect(path, **arguments)
        connection.set_trace_callback(self.statements.append)
        (self.readers if arguments.get("query_only") else self.writers).append(connection)
        return connection

    @property
    def commits(self) -> int:
        """How many transactions were committed."""
        return self.statements.count("commit")


@pytest.fixture
def tap(monkeypatch: pytest.MonkeyPatch) -> Tap:
    """Taps every store that the test opens."""
    return Tap(monkeypatch)


@asynccontextmanager
async def opened(path: Path, **arguments: Any) -> AsyncGenerator[SqliteStore, None]:
    """A store that is open, and closed again."""
    store = SqliteStore(path, **arguments)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@contextmanager
def locked(path: Path, how: str = "immediate") -> Generator[None, None, None]:
    """Locks a database as another process would that forgot its transaction."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"begin {how}")
        try:
            yield
        finally:
            connection.execute("rollback")


async def together(path: Path, *calls: Coroutine[Any, Any, Any]) -> list[Any]:
    """Starts calls while the database is locked, so that they are written together; returns their values and errors."""
    with locked(path):
        tasks = [asyncio.create_task(call) for call in calls]
        await asyncio.sleep(0.05)  # all have asked, and the writer tries to begin
    return await asyncio.gather(*tasks, return_exceptions=True)


def snapshot(folder: Path) -> Mapping[str, bytes]:
    """All files of a folder, byte for byte."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def integrity(path: Path) -> str:
    """What SQLite says of a database: ``ok``, or what is wrong."""
    with closing(sqlite3.connect(path)) as connection:
        (verdict,) = connection.execute("pragma integrity_check").fetchone()
        return str(verdict)


def program(body: str) -> list[str]:
    """The command that runs an async program in another process.

    It is the body of an async function with an open store, `store`, of the path given as first argument; the others are in
    `arguments`, and `new` and `TERMS` are those of this module.
    """
    lines = "\n".join(f"        {line}" for line in body.strip().splitlines())
    text = f"""
import asyncio, os, resource, signal, sys, warnings
from pathlib import Path
from longrunning.errors import *
from longrunning.server.storage import *
from tests.contract.sqlite_seams import TERMS, new, opened
path, arguments = Path(sys.argv[1]), sys.argv[2:]
async def main():
    async with opened(path) as store:
{lines}
asyncio.run(main())
"""
    return [sys.executable, "-c", text]


def start(body: str, path: Path, *arguments: str) -> subprocess.Popen[str]:
    """Starts a `program`; what it prints can be read from the pipe."""
    root = Path(__file__).resolve().parents[2]
    return subprocess.Popen([*program(body), str(path), *arguments], stdout=subprocess.PIPE, text=True, cwd=root)


def run_all(count: int, body: str, path: Path) -> list[str]:
    """Runs a `program` several times at once; the number of each is its first argument. Returns what each printed."""
    children = [start(body, path, str(number)) for number in range(count)]
    printed: list[str] = []
    for child in children:
        text, _ = child.communicate(timeout=60)
        assert child.returncode == 0
        printed.append(text)
    return printed


def play(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a scenario on an event loop of its own."""
    asyncio.run(scenario())
