# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The example that is called with curl, as its users run it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("with_curl", [True, False])
def test_curl(with_curl: bool) -> None:
    """With nothing but HTTP operations are started, waited for, listed, cancelled and deleted (REST-1, REST-2)."""
    if with_curl and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    path = os.environ["PATH"] if with_curl else "/nonexistent"
    ended = subprocess.run(
        (sys.executable, "-m", "examples.rest"),
        cwd=ROOT,
        env=os.environ | {"PYTHONWARNINGS": "error", "no_proxy": "127.0.0.1", "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ("curl is not installed" in ended.stdout) is not with_curl
    said: list[Any] = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    started, running, done, page, slow, asked, cancelled, deleted, gone, refused = said
    assert re.fullmatch("shelves/1/operations/op-[0-9a-f]{32}", started["name"])
    assert "done" not in running
    assert done["response"]["imported"] == 4
    assert done["metadata"]["percent"] == 100
    assert page == {"operations": [{"name": started["name"], "done": True}]}
    assert cancelled["name"] == slow["name"]
    assert cancelled["error"]["code"] == 1
    assert asked == deleted == {}
    assert gone["error"]["status"] == "NOT_FOUND"
    assert refused["error"]["status"] == "INVALID_ARGUMENT"


def test_what_uvicorn_is_told() -> None:
    """The line in the docstring of the service names an application (examples)."""
    source = (ROOT / "examples" / "rest" / "service.py").read_text(encoding="utf-8")
    assert "uvicorn examples.rest.service:app" in source
    program = "from examples.rest.service import app; print(type(app).__mro__[1].__name__)"
    ended = subprocess.run((sys.executable, "-c", program), cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == ("Starlette\n", "")
