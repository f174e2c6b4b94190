# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The pages about serving, their Python, and what it takes to run it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from longrunning import PollPolicy
from longrunning.server import SERVER_OPTIONS, OperationsServer
from tests.docs.test_documentation import BLOCK, ROOT

__all__ = [
    "DOCS", "INSTANCE", "PAGES", "PARENT", "POLICY", "START_SECONDS", "Page", "blocks", "free_address", "program", "run",
    "serving", "text_of", "wait_until_it_listens",
]  # fmt: skip

DOCS = ROOT / "docs"
PAGES = ("serving.md", "guarantees.md", "operating.md")
ADDRESS = "localhost:50051"  # on the pages
PARENT = "projects/p/locations/l"
INSTANCE = f"{PARENT}/instances/cache"
POLICY = PollPolicy(initial=0.05, multiplier=1.0, timeout=30.0)
START_SECONDS = 30.0

Page = dict[str, Any]


def text_of(page: str) -> str:
    """What is on a page."""
    return (DOCS / page).read_text(encoding="utf-8")


def blocks(page: str, address: str = ADDRESS) -> list[str]:
    """The Python of a page, for servers at an address; each block with as many empty lines before it as on the page."""
    text = text_of(page)
    return [
        "\n" * text.count("\n", 0, block.start(1)) + block[1].replace(ADDRESS, address)
        for block in BLOCK.finditer(text)
    ]


def run(page: str, address: str = ADDRESS) -> Page:
    """Runs the Python of a page; the names it defines."""
    names: Page = {"__name__": "__documentation__"}
    for block in blocks(page, address):
        exec(compile(block, str(DOCS / page), "exec"), names)
    return names


def free_address() -> str:
    """Where nobody listens."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@asynccontextmanager
async def serving(
    server: OperationsServer, add: Callable[..., object] | None = None
) -> AsyncGenerator[grpc.aio.Channel, None]:
    """A channel to a server."""
    grpc_server = grpc.aio.server(options=SERVER_OPTIONS)
    (add or server.add_to)(grpc_server)
    port = grpc_server.add_insecure_port("127.0.0.1:0")
    try:
        async with server, grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            await grpc_server.start()
            yield channel
    finally:
        await grpc_server.stop(grace=None)


def program(folder: Path, *source: str) -> subprocess.Popen[str]:
    """Python in a process of its own."""
    path = folder / "program.py"
    path.write_text("\n".join(source), encoding="utf-8")
    return subprocess.Popen([sys.executable, "-W", "error", str(path)], cwd=folder, stderr=subprocess.PIPE, text=True)


def wait_until_it_listens(address: str, process: subprocess.Popen[str]) -> None:
    """Returns when somebody listens."""
    host, port = address.split(":")
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            socket.create_connection((host, int(port)), timeout=1.0).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    process.kill()
    pytest.fail(f"nobody listens at {address}: {process.communicate()[1]}")
