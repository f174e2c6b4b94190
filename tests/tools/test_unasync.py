# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The sync twins are what a reader would have written."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from tools.environments import ROOT
from tools.unasync import apply_markers, main, rename, translate

TWIN = ROOT / "src" / "longrunning" / "client" / "_sync.py"


def sync(source: str) -> str:
    """Translates a piece of code, and takes the header off."""
    text = translate(textwrap.dedent(source), "_async.py", TWIN)
    header, _, body = text.partition("\n")
    assert header == "# Generated from _async.py by tools/unasync.py (make unasync). Do not edit."
    return body.strip()


@pytest.mark.parametrize(
    ("source", "twin"),
    [
        ("async def f(): ...", "def f(): ..."),
        ("async def f():\n    async with a as b:\n        await b", "def f():\n    with a as b:\n        b"),
        ("async def f():\n    async for a in b():\n        yield a", "def f():\n    for a in b():\n        yield a"),
        ("async def f():\n    return [a async for a in b]", "def f():\n    return [a for a in b]"),
        ("async def f():\n    return (await g()).name", "def f():\n    return g().name"),
        ("async def f():\n    return (await (a or b)) + 1", "def f():\n    return (a or b) + 1"),
        ("async def f():\n    return -await g()", "def f():\n    return -g()"),
    ],
)
def test_keywords_go(source: str, twin: str) -> None:
    """Async and await disappear, and nothing else moves (law 5)."""
    assert sync(source) == twin


@pytest.mark.parametrize(
    ("name", "twin"),
    [
        ("AsyncOperationsClient", "OperationsClient"),
        ("_AsyncPolls", "_Polls"),
        ("Async", "Async"),
        ("asyncio", "asyncio"),
        ("_grpc_async", "_grpc_sync"),
        ("_io_async", "_io_sync"),
        ("async_", "async_"),
        ("__aenter__", "__enter__"),
        ("__aiter__", "__iter__"),
        ("__anext__", "__next__"),
        ("aclose", "close"),
        ("StopAsyncIteration", "StopIteration"),
        ("AbstractAsyncContextManager", "AbstractContextManager"),
        ("AsyncExitStack", "ExitStack"),
    ],
)
def test_names_have_twins(name: str, twin: str) -> None:
    """A name that says async has one name that does not; all others stay (law 5)."""
    assert rename(name) == twin


def test_types_have_twins() -> None:
    """Awaitables are their results, async iterators are iterators, and imports follow (law 5)."""
    source = """
        from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
        from typing import Any

        import grpc.aio

        from ._io_async import AsyncLock, sleep

        __all__ = ["AsyncPolls"]


        class AsyncPolls:
            lock: AsyncLock = AsyncLock(sleep)
            call: Callable[[], Awaitable[int]]
            task: Coroutine[Any, Any, list[str]]
            channel: grpc.aio.Channel

            def __aiter__(self) -> AsyncIterator[int]: ...

            async def pages(self) -> AsyncGenerator[int, None]: ...
    """
    twin = """
        from collections.abc import Callable, Generator, Iterator

        import grpc

        from ._io_sync import Lock, sleep

        __all__ = ["Polls"]


        class Polls:
            lock: Lock = Lock(sleep)
            call: Callable[[], int]
            task: list[str]
            channel: grpc.Channel

            def __iter__(self) -> Iterator[int]: ...

            def pages(self) -> Generator[int, None, None]: ...
    """
    assert sync(source) == textwrap.dedent(twin).strip()


def test_prose_follows() -> None:
    """Docstrings and comments show what the reader of the twin has to write, and keep their English (law 5)."""
    source = '''
        async def f():
            """An async context manager: `async with AsyncOperationsClient(...)`, `await handle.result()`.

            Callers await the result of an asyncio task.
            """
            await g()  # await handle.wait() would do, on a grpc.aio channel
    '''
    twin = '''
        def f():
            """A context manager: `with OperationsClient(...)`, `handle.result()`.

            Callers await the result of an asyncio task.
            """
            g()  # handle.wait() would do, on a grpc channel
    '''
    assert sync(source) == textwrap.dedent(twin).strip()


def test_noqa_stays_where_it_is_needed() -> None:
    """A noqa that the twin needs as well is kept, and one that only the async source needed goes (law 5)."""
    source = """
        async def f(filter: str) -> None: ...  # noqa: A002
        async def g() -> None: ...  # noqa: RUF029
    """
    assert sync(source) == "def f(filter: str) -> None: ...  # noqa: A002\ndef g() -> None: ..."


def test_markers() -> None:
    """A block marked as async only is left out, a line marked as sync only is put in (law 5)."""
    source = """
        class AsyncHandle:
            # async-only: begin
            def __await__(self): ...

            # async-only: end
            async def close(self):
                # sync-only: | self.thread.join()
                await self.task
    """
    assert sync(source) == "class Handle:\n    def close(self):\n        self.thread.join()\n        self.task"


@pytest.mark.parametrize("source", ["# async-only: begin\n", "# async-only: end\n", "# async-only: begin\n" * 2])
def test_markers_come_in_pairs(source: str) -> None:
    """A marker without its partner is an error, not a silent half of a module (law 5)."""
    with pytest.raises(SystemExit, match="without its partner"):
        apply_markers(source)


def test_check_sees_an_edited_twin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--check` fails when the twin is missing or was edited, and passes when it is what would be written (law 5)."""
    source = tmp_path / "_async.py"
    source.write_text("async def f() -> None: ...\n")
    monkeypatch.setattr("tools.unasync.ROOT", tmp_path)
    outcomes: list[int] = []
    for arguments in (["--check"], [], ["--check"]):
        monkeypatch.setattr("sys.argv", ["unasync", *arguments, "_async.py"])
        outcomes.append(main())
    (tmp_path / "_sync.py").write_text("edited\n")
    outcomes.append(main())
    assert outcomes == [1, 0, 0, 1]
    assert "_sync.py is stale" in capsys.readouterr().err
