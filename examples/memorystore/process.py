# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The server of the demo as a process: started, killed, and started again on the same port and files."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import Final, Self

__all__ = ["ServerGoneError", "ServerProcess"]

START_SECONDS: Final = 20.0
STOP_SECONDS: Final = 3.0


class ServerGoneError(Exception):
    """The server ended before the demo."""


class ServerProcess:
    """A server process, and the one that comes after it. An async context manager: it runs inside.

    It ends with its standard input, which is a pipe from here: also when this process dies. Ctrl-C is not for it.
    """

    def __init__(self, folder: Path) -> None:
        """Starts nothing yet.

        Args:
            folder: Where the server keeps its files.
        """
        self._folder = folder
        self._port = 0
        self._process: Process | None = None
        self._gone: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._looking: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """Where it listens; it keeps its port."""
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """The number of the process."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Starts it.

        Raises:
            ServerGoneError: It did not start.
        """
        command = (
            sys.executable, "-m", "examples.memorystore.server", f"--folder={self._folder}", f"--port={self._port}"
        )  # fmt: skip
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, start_new_session=True)
        self._process = process
        assert process.stdout is not None
        address = await _first_line(process, process.stdout)
        self._port = int(address.rpartition(":")[2])
        looking = asyncio.create_task(self._look_after(process))
        self._looking.add(looking)
        looking.add_done_callback(self._looking.discard)

    async def kill(self) -> None:
        """Ends it as a crash does: no handler, no ``finally``, no flush."""
        process, self._process = self._process, None
        assert process is not None
        process.kill()
        await process.wait()

    async def while_running(self, work: Coroutine[None, None, None]) -> None:
        """Does the work, unless the server ends before without having been killed from here.

        Raises:
            ServerGoneError: It did.
        """
        story = asyncio.create_task(work)
        try:
            await asyncio.wait((story, self._gone), return_when=asyncio.FIRST_COMPLETED)
            if story.done() and story.exception() is not None:
                await asyncio.wait((self._gone,), timeout=0.5)  # who failed may have seen the end of the server first
            if self._gone.done():
                raise ServerGoneError(f"the server ended before the demo did (exit code {self._gone.result()})")
            await story
        finally:
            story.cancel()
            await asyncio.wait((story,))

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._end()

    async def _look_after(self, process: Process) -> None:
        code = await process.wait()
        if process is self._process and not self._gone.done():
            self._gone.set_result(code)

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _first_line(process: Process, output: asyncio.StreamReader) -> str:
    """What the server prints when it is ready."""
    try:
        async with asyncio.timeout(START_SECONDS):
            line = (await output.readline()).decode().strip()
    except TimeoutError:
        raise ServerGoneError(f"the server did not start within {START_SECONDS:g} s") from None
    if not line:
        raise ServerGoneError(f"the server did not start (exit code {await process.wait()})")
    return line
