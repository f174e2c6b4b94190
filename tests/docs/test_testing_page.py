# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""docs/testing.md as a user has it: its Python in a test module of a project of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.test_documentation import BLOCK, ROOT

PAGE = ROOT / "docs" / "testing.md"
PLUGIN = "longrunning.testing.pytest_plugin"
# By its module and not by its entry point: that one is there only where the package was installed since it has it.
# tests/package tries it.
COMMAND = [sys.executable, "-m", "pytest", "-W", "error", "-p", PLUGIN, "-p", "no:cacheprovider"]
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty project."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def run(project: Path, *arguments: str) -> str:
    """Runs pytest there, with no other plugins than ours; what it printed."""
    variables = ENVIRONMENT | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    answer = subprocess.run(
        [*COMMAND, *arguments], cwd=project, env=variables, capture_output=True, text=True, check=False, timeout=60
    )
    return answer.stdout + answer.stderr


def blocks() -> list[str]:
    """The Python of the page."""
    return [block[1] for block in BLOCK.finditer(PAGE.read_text(encoding="utf-8"))]


def test_the_page_is_a_test_module(project: Path) -> None:
    """The fixtures of docs/testing.md work in a user's project: the page is one, and its tests pass (documentation)."""
    # Without the block that overrides fixtures: in one module it would be about all of them.
    module = "\n\n".join(block for block in blocks() if "@pytest.fixture" not in block)
    (project / "test_cache.py").write_text(module, encoding="utf-8")
    printed = run(project)
    assert f"{module.count('def test_')} passed" in printed, printed


def test_fixtures_can_be_overridden(project: Path) -> None:
    """A conftest.py with the overriding fixtures of docs/testing.md changes what the pairs are made of (documentation)."""
    overriding = next(block for block in blocks() if "@pytest.fixture" in block)
    (project / "conftest.py").write_text(
        "from longrunning.testing import FakeClock, ScriptedOperations, WaitSupport\n" + overriding, encoding="utf-8"
    )
    (project / "test_overridden.py").write_text(
        "def test_pair(operations_pair):\n"
        "    assert operations_pair.operations.wait_support.name == 'SERVED'\n"
        "    operations_pair.clock.advance(5)\n"
        "    assert operations_pair.clock.now() == 5\n",
        encoding="utf-8",
    )
    printed = run(project)
    assert "1 passed" in printed, printed


def test_the_plugin_is_cheap(project: Path) -> None:
    """A run of pytest that uses no fixture of the plugin imports neither grpc nor protobuf for it (PKG-1)."""
    (project / "test_cheap.py").write_text(
        "import sys\n"
        "def test_cheap(request):\n"
        f"    assert {PLUGIN!r} in sys.modules\n"
        "    assert not {'grpc', 'google.protobuf', 'longrunning.client'} & set(sys.modules)\n"
        "def test_clock_without_grpc(fake_clock, async_fake_clock, scripted_operations):\n"
        "    fake_clock.sleep(3)\n"
        "    assert fake_clock.now() == 3\n"
        "    assert 'grpc' not in sys.modules\n",
        encoding="utf-8",
    )
    printed = run(project)
    assert "2 passed" in printed, printed


@pytest.mark.parametrize("fixture", ["operations_pair", "async_operations_pair"])
def test_without_grpc_a_pair_says_what_to_install(project: Path, fixture: str) -> None:
    """Where grpc is missing, the fixture of a pair fails with the name of the extra (PKG-1)."""
    (project / "test_pair.py").write_text(
        f"import sys\nsys.modules['grpc'] = None\ndef test_pair({fixture}):\n    pass\n", encoding="utf-8"
    )
    printed = run(project)
    assert "1 error" in printed, printed
    assert "longrunning[grpc]" in printed


def test_the_fixtures_explain_themselves(project: Path) -> None:
    """`pytest --fixtures` shows each fixture with what it is (documentation)."""
    printed = run(project, "--fixtures")
    for name in ("scripted_operations", "operations_pair", "async_operations_pair", "fake_clock", "async_fake_clock"):
        assert f"\n{name} -- " in printed, printed
