# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Starts the server, takes the clients through it, and ends with 0 only if all held that they say."""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from io import TextIOWrapper
from typing import cast

from google.api_core.exceptions import GoogleAPIError

from longrunning import LongRunningError

from .client import tour
from .official import drive_async, drive_sync
from .screen import NotSoError, Screen

START_SECONDS = 20.0
STOP_SECONDS = 3.0


class ServerGoneError(Exception):
    """The server ended before the demo."""


async def demo(screen: Screen) -> None:
    """All of it."""
    screen.say("[bold]Memorystore for Redis: long-running operations, typed end to end[/]")
    async with server() as (process, address):
        screen.say(f"[dim]a server process of its own: pid {process.pid}, at {address}[/]")
        started = time.monotonic()
        await while_running(process, clients(address, screen))
        seconds = time.monotonic() - started
    screen.say(f"\n[bold green]All {screen.facts} facts held[/], in {seconds:.1f} seconds.")


async def clients(address: str, screen: Screen) -> None:
    """Ours, then those of google-cloud-redis."""
    await tour(address, screen)
    await drive_sync(address, screen)
    await drive_async(address, screen)


@asynccontextmanager
async def server() -> AsyncGenerator[tuple[Process, str], None]:
    """The server process, and its address.

    It ends with its standard input, which is a pipe from here: also when this process dies. Ctrl-C is not for it.

    Raises:
        ServerGoneError: It did not start.
    """
    command = (sys.executable, "-m", "examples.memorystore.server")
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, start_new_session=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process, await address_of(process, process.stdout)
    finally:
        process.stdin.close()
        await end(process)


async def address_of(process: Process, output: asyncio.StreamReader) -> str:
    """What the server prints when it is ready."""
    try:
        async with asyncio.timeout(START_SECONDS):
            address = (await output.readline()).decode().strip()
    except TimeoutError:
        raise ServerGoneError(f"the server did not start within {START_SECONDS:g} s") from None
    if not address:
        raise ServerGoneError(f"the server did not start (exit code {await process.wait()})")
    return address


async def end(process: Process) -> None:
    """Sees a process to its end."""
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def while_running(process: Process, work: Coroutine[None, None, None]) -> None:
    """Does the work, unless the process ends before.

    Raises:
        ServerGoneError: It did.
    """
    story, gone = asyncio.create_task(work), asyncio.create_task(process.wait())
    try:
        await asyncio.wait((story, gone), return_when=asyncio.FIRST_COMPLETED)
        if story.done() and story.exception() is not None:
            await asyncio.wait((gone,), timeout=0.5)  # who failed may have seen the end of the server first
        if gone.done():
            raise ServerGoneError(f"the server ended before the demo did (exit code {gone.result()})")
        await story
    finally:
        story.cancel()
        gone.cancel()
        await asyncio.wait((story, gone))


def main() -> int:
    """Runs the demo, and says in one line what went wrong."""
    cast("TextIOWrapper", sys.stdout).reconfigure(errors="replace")  # where there is no ✓, a question mark will do
    try:
        asyncio.run(demo(Screen()))
    except (NotSoError, ServerGoneError, LongRunningError, GoogleAPIError, TimeoutError) as error:
        print(f"memorystore: {type(error).__name__}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
