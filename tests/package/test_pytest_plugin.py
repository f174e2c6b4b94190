# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The pytest plugin of the wheel, where a user installed it beside pytest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.package.test_wheel import built
from tools.environments import BUILD, ROOT, environment

MODULE = """
from google.protobuf.struct_pb2 import Struct
from longrunning.testing import pending, succeeded

def test_wait(scripted_operations, operations_pair):
    scripted_operations.add("operations/1", pending(times=3), succeeded(Struct()))
    assert operations_pair.client.attach("operations/1").wait().done
    assert sum(operations_pair.clock.sleeps) > 4

def test_wait_async(scripted_operations, async_operations_pair, async_fake_clock):
    import asyncio

    async def run():
        scripted_operations.add("operations/1", pending(times=3), succeeded(Struct()))
        async with async_operations_pair() as pair:
            assert pair.clock is async_fake_clock
            assert (await pair.client.attach("operations/1").wait()).done

    asyncio.run(run())
"""


@pytest.fixture(scope="module")
def program(wheel: Path) -> Path:
    """The interpreter of an environment with the wheel, its extra `grpc`, and pytest."""
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8") + built(wheel)
    return environment(BUILD / "package" / "pytest", Path(sys.executable), [f"{wheel}[grpc]", "pytest"], pins)


def run(program: Path, project: Path, *arguments: str) -> str:
    """Runs pytest there; what it printed."""
    command: list[str | Path] = [program, "-P", "-m", "pytest", "-W", "error", *arguments]
    variables = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PYTEST"))}
    answer = subprocess.run(
        command, cwd=project, env=variables, capture_output=True, text=True, check=False, timeout=100
    )
    return answer.stdout + answer.stderr


def test_installed_fixtures_are_there(program: Path, tmp_path: Path) -> None:
    """With the wheel and pytest installed the fixtures are there, and nothing has to be imported or named (PKG-1)."""
    (tmp_path / "test_waits.py").write_text(MODULE, encoding="utf-8")
    printed = run(program, tmp_path)
    assert "2 passed" in printed, printed
    assert "longrunning-" in printed  # in pytest's list of plugins


def test_the_plugin_can_be_left_out(program: Path, tmp_path: Path) -> None:
    """``-p no:longrunning`` takes the fixtures away (PKG-1)."""
    (tmp_path / "test_waits.py").write_text(MODULE, encoding="utf-8")
    printed = run(program, tmp_path, "-p", "no:longrunning")
    assert "2 errors" in printed, printed
    assert "fixture 'scripted_operations' not found" in printed
