# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The examples, as their users run them: in processes of their own, with warnings as errors."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("smallest", "library", "checkpoints", "tenants")
ENVIRONMENT = os.environ | {"PYTHONWARNINGS": "error"}
SECONDS = 60.0
NAME = r"operations/op-[0-9a-f]{32}"


def run(name: str) -> str:
    """Runs an example to its end; what it printed."""
    command = (sys.executable, "-m", f"examples.{name}")
    ended = subprocess.run(
        command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


@pytest.fixture(scope="module")
def runs() -> dict[str, Future[str]]:
    """All of them, two at once."""
    with ThreadPoolExecutor(2) as pool:
        return {name: pool.submit(run, name) for name in NAMES}


def test_every_example_is_run() -> None:
    """There is no example that these tests do not run, and the page about them names each (examples)."""
    found = {path.parent.name for path in (ROOT / "examples").glob("*/__main__.py")}
    assert found == {*NAMES, "memorystore", "rest"}  # those have tests of their own
    page = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    assert all(f"examples.{name}" in page for name in found - {"memorystore"})


def test_the_smallest_service(runs: dict[str, Future[str]]) -> None:
    """One function is a service whose operation can be watched and awaited, in a file of one screen (SRV-1, SRV-3)."""
    first, *progress, last = runs["smallest"].result().splitlines()
    assert re.fullmatch(NAME, first)
    assert last == "HELLO"
    seen = [int(found[1]) for line in progress if (found := re.fullmatch(r"RUNNING (\d+) %", line))]
    assert len(seen) > 1
    assert seen == sorted(set(seen))
    assert progress[-1] == "SUCCEEDED 80 %"
    source = (ROOT / "examples" / "smallest" / "__main__.py").read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 50


def test_the_library(runs: dict[str, Future[str]]) -> None:
    """Handlers in threads, beside an ordinary method, on ``grpc.server``: progress, refusals, failures (SRV-2, SRV-8, SRV-10)."""
    text = runs["library"].result()
    counts = [int(count) for count in re.findall(r"^RUNNING: (\d+) of 30 books$", text, re.MULTILINE)]
    assert len(counts) > 1
    assert counts == sorted(set(counts))
    for line in (
        "created shelves/poetry: Poetry",
        "SUCCEEDED: 30 of 30 books",
        "imported 30; GetShelf, an ordinary method, counts 30",
        "not started: NOT_FOUND (5): there is no shelves/prose",
        "failed: DATA_LOSS (15): book 2 of more.csv has no pages",
        "deleted: StatusCode.NOT_FOUND",
        "operations: SUCCEEDED, FAILED, SUCCEEDED, SUCCEEDED",
    ):
        assert f"{line}\n" in text
    assert "deleting it meanwhile: ABORTED (10): " in text
    assert "not started: INVALID_ARGUMENT (3): from 1 to 1000 books are imported at once, not -1 [BadRequest(" in text


def test_checkpoints(runs: dict[str, Future[str]]) -> None:
    """A handler killed twice goes on at its checkpoint: only the block under way is done again (RUN-1, RUN-2)."""
    text = runs["checkpoints"].result()
    assert text.count("   the server died (exit code -9), and is started again\n") == 2
    assert text.endswith(
        "the sum is 499999500000, as it should be: True\n"
        "attempt 1 did the blocks 0 1 2 3 4\n"
        "attempt 2 did the blocks 4 5 6 7 8\n"
        "attempt 3 did the blocks 8 9 10 11\n"
    )
    done = [int(count) for count in re.findall(r"(\d+) of 12 blocks", text)]
    assert done == sorted(done)


def test_tenants(runs: dict[str, Future[str]]) -> None:
    """Another tenant's operation looks like one that never was, by all methods, and its page tokens are refused (AUTH-3)."""
    text = runs["tenants"].result()
    asked, never = text.split("and for one that never was:\n")
    said = re.findall(rf"^  (\w+) +(NOT_FOUND \(5\): operation '){NAME}(' was not found)$", asked, re.MULTILINE)
    assert [method for method, *_ in said] == ["get", "wait", "cancel", "delete"]
    assert re.match(rf"  get +NOT_FOUND \(5\): operation '{NAME}' was not found\n", never)
    assert re.search(r"^  list +INVALID_ARGUMENT \(3\): page_token: ", never, re.MULTILINE)
    assert never.count("UNAUTHENTICATED (16): a valid token is needed") == 2
    sees = "  Red          Red's\n  Blue         Blue's\n  the auditor  Red's and Blue's\n"
    assert f"Each sees:\n{sees}" in never
    assert never.endswith("Red was not disturbed:\n  printed for rosa: a secret\n")
    assert "it worked" not in text
