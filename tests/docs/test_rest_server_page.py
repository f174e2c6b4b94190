# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What docs/rest-server.md shows runs, and what it says in tables holds."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from example.library.v1 import library_pb2
from longrunning import AsyncOperationsClient, Code
from longrunning.rest import HttpLimits
from longrunning.rest._asgi_errors import HTTP_STATUSES
from tests.docs.pages import free_address
from tests.docs.test_documentation import BLOCK, ROOT
from tests.pair.asgi_serving import listening

PAGE = (ROOT / "docs" / "rest-server.md").read_text(encoding="utf-8")
PATHS = (r"shelves/1/operations/op-[0-9a-f]{32}", "shelves/1/operations/*")


@pytest.fixture
def names(folder: Path) -> dict[str, Any]:
    """What the Python of the page defines."""
    found: dict[str, Any] = {"__name__": "__documentation__"}
    for block in BLOCK.finditer(PAGE):
        exec(compile("\n" * PAGE.count("\n", 0, block.start(1)) + block[1], "docs/rest-server.md", "exec"), found)
    return found


def test_the_curl_lines(names: dict[str, Any]) -> None:
    """The lines of the page are answered as it says (documentation)."""
    lines = re.findall(r"^\$ curl (.*)\n(.*)$", PAGE, re.MULTILINE)
    assert len(lines) == 2

    async def scenario() -> None:
        async with listening(names["app"], lifespan="on") as port, httpx.AsyncClient(timeout=30) as client:
            name = ""
            for line, shown in lines:
                *options, url = shlex.split(line)
                url = re.sub(PATHS[0], name, url).replace("localhost:8000", f"http://127.0.0.1:{port}")
                body = options[options.index("-d") + 1] if "-d" in options else None
                headers = {"content-type": "application/json"} if body else {}
                reply = (await client.post(url, content=body, headers=headers)).json()
                name = reply["name"]
                assert json.loads(re.sub(PATHS[0], PATHS[1], shown)) == reply | {"name": PATHS[1]}

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_the_applications(names: dict[str, Any]) -> None:
    """The other applications of the page serve what it says of them (documentation)."""
    address = free_address()
    app = names["both"](names["library"](), address)

    async def scenario() -> None:
        import grpc.aio

        async with listening(app, lifespan="on") as port, httpx.AsyncClient(timeout=30) as client:
            base = f"http://127.0.0.1:{port}/library/v1/shelves/1"
            started = (await client.post(f"{base}/books:import", json={"count": 1})).json()
            async with grpc.aio.insecure_channel(address) as channel:
                done = await AsyncOperationsClient(channel).attach(started["name"], names["IMPORT_BOOKS"]).result()
            assert done == library_pb2.ImportBooksResponse(imported=1)
        for name, verb, path, status in (
            ("BETA", "GET", "/v1beta1/shelves/1/operations/x", 503),
            ("BETA", "GET", "/v1/shelves/1/operations/x", 404),
            ("BY_HAND", "PUT", "/v1/shelves/1/operations/x/cancelled", 503),
            ("BY_HAND", "POST", "/v1/shelves/1/operations/x:wait", 405),
            ("CAREFUL", "GET", "/v1/shelves/1/operations/x", 503),
        ):
            async with httpx.AsyncClient(transport=httpx.ASGITransport(names[name]), base_url="http://x") as client:
                assert (await client.request(verb, path)).status_code == status

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_mounted(names: dict[str, Any]) -> None:
    """The application that mounts ours starts the server, and its path goes before all others (documentation, REST-1)."""

    async def scenario() -> None:
        app = names["mounted"](names["library"]())
        async with listening(app, lifespan="on") as port:
            url = f"http://127.0.0.1:{port}/library"
            async with AsyncOperationsClient.from_url(url) as client:
                request = library_pb2.ImportBooksRequest(parent="shelves/1", count=1)
                assert (await (await client.start(names["IMPORT_BOOKS"], request))).imported == 1
            async with httpx.AsyncClient(timeout=30) as http_client:
                assert (await http_client.get(f"{url}/openapi.json")).json()["servers"] == [{"url": "/library"}]

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_nobody_enters_a_mounted_server(names: dict[str, Any]) -> None:
    """A mounted application does not start its server, whatever it was told, and says so (documentation)."""
    outer = Starlette(routes=[Mount("/library", names["asgi_app"](names["library"](), manage_server=True))])

    async def scenario() -> None:
        async with listening(outer, lifespan="on") as port, httpx.AsyncClient(timeout=30) as client:
            reply = await client.get(f"http://127.0.0.1:{port}/library/v1/shelves/1/operations")
            assert reply.status_code == 503
            assert reply.json()["error"]["message"].startswith("the server of operations is not running")

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_the_test_of_the_page(names: dict[str, Any], tmp_path: Path) -> None:
    """The test that the page shows of a service passes (documentation)."""
    names["test_books_are_imported"](tmp_path)


def test_the_table_of_codes() -> None:
    """Every code is in the table, with its HTTP status (documentation)."""
    rows = re.findall(r"^\| (`[A-Z_`, ]+) \| (\d+) \|$", PAGE, re.MULTILINE)
    shown = {Code[name]: int(status) for codes, status in rows for name in re.findall("[A-Z_]+", codes)}
    assert shown == {code: status for code, status in HTTP_STATUSES.items() if code is not Code.OK}


def test_the_table_of_limits() -> None:
    """Every limit is in the table, with its default (documentation)."""
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| ([0-9A-Za-z ]+) \|", PAGE, re.MULTILINE))
    units = {"": 1, "s": 1, "KiB": 1 << 10, "MiB": 1 << 20}
    shown = {name: int(text.split()[0]) * units["".join(text.split()[1:])] for name, text in rows.items()}
    assert shown == {field.name: getattr(HttpLimits(), field.name) for field in fields(HttpLimits)}
