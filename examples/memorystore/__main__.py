# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Starts the server, takes the clients through it, and ends with 0 only if all held that they say."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from io import TextIOWrapper
from pathlib import Path
from typing import cast

from google.api_core.exceptions import GoogleAPIError

from longrunning import LongRunningError

from .client import tour
from .crash import survive
from .curl import by_hand
from .official import drive
from .process import ProgramError, ServerGoneError, ServerProcess
from .rest import tour_over_http
from .screen import NotSoError, Screen


async def demo(screen: Screen, folder: Path) -> None:
    """All of it."""
    screen.say("[bold]Memorystore for Redis: long-running operations, typed end to end[/]")
    async with ServerProcess(folder) as server:
        screen.say(f"[dim]a server process: pid {server.pid}, at {server.address} and {server.url}[/]")
        started = time.monotonic()
        await server.while_running(clients(server, screen))
        seconds = time.monotonic() - started
    screen.say(f"\n[bold green]All {screen.facts} facts held[/], in {seconds:.1f} seconds.")


async def clients(server: ServerProcess, screen: Screen) -> None:
    """Ours, over gRPC and HTTP, then those of google-cloud-redis; and ours again, through a crash of the server."""
    await tour(server.address, screen)
    await by_hand(server.url, screen)
    await tour_over_http(server.address, server.url, screen)
    await drive(server.address, server.url, screen)
    await survive(server, screen)


def main() -> int:
    """Runs the demo, and says in one line what went wrong."""
    cast("TextIOWrapper", sys.stdout).reconfigure(errors="replace")  # where there is no ✓, a question mark will do
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = (
        "127.0.0.1"  # a proxy of curl or requests would not know our loopback
    )
    try:
        with tempfile.TemporaryDirectory(prefix="memorystore-") as folder:
            asyncio.run(demo(Screen(), Path(folder)))
    except (NotSoError, ProgramError, ServerGoneError, LongRunningError, GoogleAPIError, OSError) as error:
        print(f"memorystore: {type(error).__name__}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
