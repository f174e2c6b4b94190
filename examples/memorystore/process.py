# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The server of the demo as a process: started, killed, and started again on the same ports and files; and other programs."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

__all__ = ["ProgramError", "ServerGoneError", "ServerProcess", "output_of"]

START_SECONDS: Final = 20.0
STOP_SECONDS: Final = 3.0


class ServerGoneError(Exception):
    """The server ended before the demo."""


class ProgramError(Exception):
    """A program failed: how it was started, and the last thing it said."""


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
        self._port = self._http_port = 0
        self._process: Process | None = None
        self._gone: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._looking: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """Where it listens for gRPC; it keeps its ports."""
        return f"127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        """Where it listens for HTTP."""
        return f"http://127.0.0.1:{self._http_port}"

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
            sys.executable, "-m", "examples.memorystore.server", f"--folder={self._folder}",
            f"--port={self._port}", f"--http-port={self._http_port}",
        )  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True
        )
        self._process = process
        address, url = (await _first_line(process)).split()
        self._port, self._http_port = (int(text.rpartition(":")[2]) for text in (address, url))
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
            await asyncio.gather(story, return_exceptions=True)  # it may fail after the server, and for that reason

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
        assert process.stderr is not None
        async for line in process.stderr:
            sys.stderr.write(line.decode())
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
        await asyncio.gather(*self._looking)  # they pass on what it complained about


async def _first_line(process: Process) -> str:
    """What the server prints when it is ready."""
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(START_SECONDS):
            line = (await process.stdout.readline()).decode().strip()
    except TimeoutError:
        raise ServerGoneError(f"the server did not start within {START_SECONDS:g} s") from None
    if not line:
        complaints = (await process.stderr.read()).decode().splitlines() or [f"exit code {await process.wait()}"]
        raise ServerGoneError(f"the server did not start: {complaints[-1]}")
    return line


async def output_of(
    program: str, *arguments: str, given: str = "", environment: Mapping[str, str] | None = None
) -> str:
    """Runs a program; if nobody waits for it any more it is killed.

    Args:
        program: The program.
        arguments: Its arguments.
        given: Its standard input.
        environment: Variables, besides those of this process.

    Returns:
        Its standard output.

    Raises:
        ProgramError: It failed.
    """
    variables = {**os.environ, **(environment or {})}
    process = await asyncio.create_subprocess_exec(
        program, *arguments, env=variables, stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    try:
        printed, complaints = await process.communicate(given.encode())
    finally:
        if process.returncode is None:
            # process.kill() would look whether it has just ended, and so take its exit code from asyncio, who complains.
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            await process.communicate()
    if process.returncode != 0:
        last = (complaints.decode().strip().splitlines() or [f"exit code {process.returncode}"])[-1]
        raise ProgramError(f"{Path(program).name} {' '.join(arguments)}: {last}")
    return printed.decode()
