# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Schemathesis asks a server whatever its OpenAPI document allows, and what it does not: it knows nothing else of us."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from pathlib import Path
from typing import Any, Final

import pytest

from longrunning.rest import asgi_app
from tests.pair.asgi_serving import bound, listening
from tests.pair.serving import PARENT

pytestmark = pytest.mark.timeout(600)

# Of its checks these are left out:
LEFT_OUT: Final = (
    "positive_data_acceptance",  # no schema can say what a filter or a page token is
    "negative_data_rejection",  # proto3 takes null for what is not set, and names may hold most of Unicode
    "allow_header_conformance",  # `…/x:cancel` is the path of an operation called x:cancel as well, which may be read,
    "unsupported_method",  # for the same reason
)
OPERATIONS: Final = 8

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]


class Counting:
    """An application around another one.

    Attributes:
        statuses: How often what was answered: by verb, by what stands behind the last slash or colon, by status.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self.statuses: Counter[tuple[str, str, int]] = Counter()

    async def __call__(self, scope: Message, receive: Any, send: Send) -> None:
        """Passes it on."""

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                path: str = scope["path"]
                place = re.split("[/:]", path)[-1] if ":" in path else f"{path.count('/')} levels"
                self.statuses[scope["method"], place, message["status"]] += 1
            await send(message)

        await self._app(scope, receive, counted)

    def successes(self, verb: str, place: str) -> int:
        """How often something was answered with 200."""
        return self.statuses[verb, place, 200]


@pytest.fixture(scope="module")
def program() -> str:
    """The program."""
    beside = Path(sys.executable).with_name("schemathesis")
    found = str(beside) if beside.exists() else shutil.which("schemathesis")
    if found is None:
        pytest.skip("schemathesis is not installed")
    return found


def run(playing: Coroutine[Any, Any, None]) -> None:
    """Plays a scenario; one that hangs fails."""
    asyncio.run(asyncio.wait_for(playing, 500))


async def asked(program: str, port: int, folder: Path, *options: str) -> tuple[int, int]:
    """How many operations, and how many cases: all of them without a fault."""
    process = await asyncio.create_subprocess_exec(
        program, "run", f"http://127.0.0.1:{port}/openapi.json", "--exclude-checks", ",".join(LEFT_OUT), "--seed", "1",
        "--no-color", "--warnings", "off", "--request-timeout", "20", *options,
        cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    text = output.decode(errors="replace")
    assert process.returncode == 0, text
    operations, cases = re.search(r"Tested: (\d+)", text), re.search(r"(\d+) generated", text)
    assert operations is not None, text
    assert cases is not None, text
    return int(operations[1]), int(cases[1])


def test_everything(program: str, tmp_path: Path) -> None:
    """Whatever the document allows, or not, is never answered with a 5xx, and always as it describes (REST-2)."""

    async def scenario() -> None:
        server = bound()
        counting = Counting(asgi_app(server))
        async with server, listening(counting) as port:
            operations, cases = await asked(program, port, tmp_path, "--max-examples", "50")
        assert operations == OPERATIONS
        assert cases > 500
        # It came far: every method was started, and whatever it read was there, or not.
        starts = (("POST", "import"), ("POST", "2 levels"), ("DELETE", "3 levels"), ("GET", "4 levels"))
        assert all(counting.successes(*what) > 5 for what in starts), counting.statuses
        absent = (("GET", "5 levels"), ("DELETE", "5 levels"), ("POST", "cancel"), ("POST", "wait"))
        assert all(counting.statuses[verb, place, 404] > 5 for verb, place in absent), counting.statuses
        assert not [status for _, _, status in counting.statuses if status >= 500], counting.statuses

    run(scenario())


def test_one_operation(program: str, tmp_path: Path) -> None:
    """The same holds of an operation that exists: it is read, waited for and cancelled in all ways there are (REST-1, REST-2)."""

    async def scenario() -> None:
        import httpx

        server = bound()
        counting = Counting(asgi_app(server))
        async with server, listening(counting) as port:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                name = (await client.post(f"/v1/{PARENT}/books:import", json={"count": 2})).json()["name"]
            _, shelf, _, operation = name.split("/")
            settings = f'[parameters]\n"path.shelf" = "{shelf}"\n"path.operation" = "{operation}"\n'
            (tmp_path / "schemathesis.toml").write_text(settings, encoding="utf-8")
            chosen = ("GetOperation", "WaitOperation", "CancelOperation")
            options = [part for identifier in chosen for part in ("--include-operation-id", identifier)]
            operations, _ = await asked(program, port, tmp_path, "--max-examples", "30", *options)
        assert operations == len(chosen)
        for verb, place in (("GET", "5 levels"), ("POST", "wait"), ("POST", "cancel")):
            assert counting.successes(verb, place) > 20, counting.statuses

    run(scenario())
