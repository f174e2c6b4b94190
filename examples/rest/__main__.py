# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Serves with uvicorn, and calls with curl: ``python -m examples.rest``."""

from __future__ import annotations

import asyncio
import json
import shlex
import tempfile
from asyncio.subprocess import PIPE
from typing import Any

import uvicorn

from .service import application

JSON = ("-H", "Content-Type: application/json", "-d")


class Curl:
    """Runs curl, and shows what it is told and what it says."""

    def __init__(self, port: int) -> None:
        """Takes where the service listens."""
        self._base = f"http://127.0.0.1:{port}"

    async def __call__(self, path: str, *options: str) -> Any:
        """One request; the document of the reply."""
        command = ["curl", "-s", *options, self._base + path]
        print(f"$ {shlex.join(command)}")
        process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
        output, _ = await process.communicate()
        print(output.decode())
        return json.loads(output)


async def calls(curl: Curl) -> None:
    """What a client without any library does."""
    started = await curl("/v1/shelves/1/books:import", *JSON, '{"uri": "file:books", "count": 4}')
    name = started["name"]
    await curl(f"/v1/{name}")
    await curl(f"/v1/{name}:wait", *JSON, '{"timeout": "10s"}')
    await curl("/v1/shelves/1/operations?pageSize=10&filter=done%20%3D%20true&fields=operations.name,operations.done")

    slow = await curl("/v1/shelves/1/books:import", *JSON, '{"uri": "file:many", "count": 1000}')
    await curl(f"/v1/{slow['name']}:cancel", "-X", "POST")
    await curl(f"/v1/{slow['name']}:wait", "-X", "POST")

    await curl(f"/v1/{name}", "-X", "DELETE")
    await curl(f"/v1/{name}")  # 404: it is gone
    await curl("/v1/shelves/1/books:import", *JSON, '{"uri": "file:none"}')  # 400: the service wants a count


async def main(folder: str) -> None:
    """Serves, and calls."""
    app = application(f"{folder}/operations.db")
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 (uvicorn sets a flag)
        await asyncio.sleep(0.01)
    try:
        await calls(Curl(server.servers[0].sockets[0].getsockname()[1]))
    finally:
        server.should_exit = True
        await serving


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        asyncio.run(main(temporary))
