# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Runs the Python of the README and of docs/, page by page, against a scripted server."""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.cloud.redis_v1 import CreateInstanceRequest, Instance
from google.cloud.redis_v1.types import OperationMetadata

from longrunning import Code, LroMethod
from longrunning.testing import ScriptedOperations, Step, pending, succeeded
from tests.pair.asgi_serving import listening

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(page for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")) if "```python" in page.read_text())
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

CREATE_INSTANCE = LroMethod(
    path="/google.cloud.redis.v1.CloudRedis/CreateInstance",
    request_type=CreateInstanceRequest,
    response_type=Instance,
    metadata_type=OperationMetadata,
)


def script(request: Any) -> list[Step]:
    """An instance called "slow" is never ready; any other one at the second poll."""
    metadata = OperationMetadata(verb="create", status_detail="Creating the VM", api_version="v1")
    if request.instance_id == "slow":
        return [pending(metadata, times=None)]
    name = f"{request.parent}/instances/{request.instance_id}"
    return [pending(metadata, times=2), succeeded(Instance(name=name, host="10.0.0.3", port=6379), metadata=metadata)]


@pytest.fixture
def target() -> Iterator[str]:
    """Address of a server that creates instances."""
    scripted = ScriptedOperations()
    scripted.starts(CREATE_INSTANCE, by_request=script, parent="projects/p/locations/l")
    with scripted.serve() as server:
        yield server.address


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_page(page: Path, target: str) -> None:
    """The Python on every page of the documentation runs as it stands there (documentation)."""
    text = page.read_text(encoding="utf-8")
    namespace: dict[str, Any] = {"__name__": "__documentation__", "target": target}
    for block in BLOCK.finditer(text):
        # Empty lines first, so that a traceback names the line of the page.
        line = text.count("\n", 0, block.start(1))
        exec(compile("\n" * line + block[1], str(page), "exec"), namespace)


def test_readme_over_http(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service of the README is started over HTTP by the line of curl that is there (documentation, REST-1)."""
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": "__documentation__", "target": target}
    for block in BLOCK.findall(text)[:3]:
        exec(compile(block, "README.md", "exec"), names)
    line = re.search(r"^\$ curl (.*-d .*)$", text, re.MULTILINE)
    assert line is not None
    *options, url = shlex.split(line[1])
    content = options[options.index("-d") + 1]

    async def scenario() -> None:
        async with listening(names["app"], lifespan="on") as port, httpx.AsyncClient(timeout=30) as client:
            base = f"http://127.0.0.1:{port}"
            headers = {"content-type": "application/json"}
            reply = await client.post(url.replace("localhost:8000", base), content=content, headers=headers)
            name = reply.json()["name"]
            assert re.fullmatch("operations/op-[0-9a-f]{32}", name)
            await client.post(f"{base}/v1/{name}:cancel")
            done = (await client.post(f"{base}/v1/{name}:wait")).json()
            assert done["error"]["code"] == Code.CANCELLED

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_first_screen() -> None:
    """The README opens with a sentence and runnable code (documentation)."""
    first_screen = (ROOT / "README.md").read_text(encoding="utf-8").split("```console")[0]
    block = BLOCK.search(first_screen)
    assert block is not None
    assert "client.start(" in block[1]
    assert first_screen.index("\n# longrunning") < block.start()
