# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Serves with uvicorn, and calls with curl: ``python -m examples.rest``. Where there is no curl, httpx sends the same requests."""

from __future__ import annotations

import asyncio
import json
import shlex
import shutil
import tempfile
from asyncio.subprocess import PIPE
from typing import Any

import httpx
import uvicorn

from .service import application

JSON = ("-H", "Content-Type: application/json", "-d")  # older ones do not know --json


class Curl:
    """Runs curl, and shows what it is told and what it says."""

    def __init__(self, port: int) -> None:
        """Takes where the service listens."""
        self._base = f"http://127.0.0.1:{port}"
        self._program = shutil.which("curl")
        if self._program is None:
            print("curl is not installed: httpx sends what it would send")

    async def __call__(self, path: str, body: str | None = None, *, verb: str = "") -> Any:
        """One request; the document of the reply.

        Args:
            path: The path, and the query.
            body: JSON; ``None`` for nothing.
            verb: The HTTP method, unless it is GET, or POST with a body.
        """
        options = [*(("-X", verb) if verb else ()), *((*JSON, body) if body is not None else ())]
        command = ["curl", "-s", *options, self._base + path]
        print(f"$ {shlex.join(command)}")
        if self._program is None:
            output = await self._sent(path, body, verb or ("GET" if body is None else "POST"))
        else:
            process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
            output = (await process.communicate())[0].decode()
        print(output)
        return json.loads(output)

    async def _sent(self, path: str, body: str | None, verb: str) -> str:
        headers = {} if body is None else {"Content-Type": "application/json"}
        async with httpx.AsyncClient(timeout=60) as http_client:
            return (await http_client.request(verb, self._base + path, content=body, headers=headers)).text


async def calls(curl: Curl) -> None:
    """What can be done without any library."""
    started = await curl("/v1/shelves/1/books:import", '{"uri": "file:books", "count": 4}')
    name = started["name"]
    await curl(f"/v1/{name}")
    await curl(f"/v1/{name}:wait", '{"timeout": "10s"}')
    await curl("/v1/shelves/1/operations?pageSize=10&filter=done%20%3D%20true&fields=operations.name,operations.done")

    slow = await curl("/v1/shelves/1/books:import", '{"uri": "file:many", "count": 1000}')
    await curl(f"/v1/{slow['name']}:cancel", verb="POST")
    await curl(f"/v1/{slow['name']}:wait", verb="POST")

    await curl(f"/v1/{name}", verb="DELETE")
    await curl(f"/v1/{name}")  # 404: it is gone
    await curl("/v1/shelves/1/books:import", '{"uri": "file:none"}')  # 400: the service wants a count


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
