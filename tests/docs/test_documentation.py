# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Runs the Python of the README and of docs/, page by page, against a scripted server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.cloud.redis_v1 import CreateInstanceRequest, Instance
from google.cloud.redis_v1.types import OperationMetadata

from longrunning import LroMethod
from longrunning.testing import ScriptedOperations, Step, pending, succeeded

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


def test_first_screen() -> None:
    """The README opens with a sentence and runnable code (documentation)."""
    first_screen = (ROOT / "README.md").read_text(encoding="utf-8").split("```console")[0]
    block = BLOCK.search(first_screen)
    assert block is not None
    assert "client.start(" in block[1]
    assert first_screen.index("\n# longrunning") < block.start()
