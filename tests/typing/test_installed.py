# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What type checkers see of the built wheel, in an environment of its own: without the stubs of this repository."""

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

from tests.typing.checking import CASES, FOLDER, case_faults, pyright, run, seen_from_folder
from tools.environments import ROOT, environment, install

# Modules whose messages are not typed where only the wheel and what it needs are installed.
UNTYPED = re.compile(r"^(?:from|import) google\.(?:api_core|cloud|longrunning|rpc)\b", re.MULTILINE)


@pytest.fixture(scope="module")
def installed() -> Path:
    """The interpreter of an environment with a wheel of this very source, and what it needs for gRPC and REST."""
    shutil.rmtree(FOLDER / "dist", ignore_errors=True)
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(FOLDER / "dist"), "."]
    answer = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    (wheel,) = (FOLDER / "dist").glob("longrunning-*.whl")
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    program = environment(FOLDER / "installed", Path(sys.executable), [f"{wheel}[grpc,rest]"], constraints)
    install(program, "--force-reinstall", "--no-deps", str(wheel))
    return program


@pytest.fixture(scope="module")
def completeness(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What ``pyright --verifytypes`` says of the installed package."""
    command = [sys.executable, "-m", "pyright", "--verifytypes", "longrunning", "--ignoreexternal", "--outputjson"]
    # It looks for packages in the first python of PATH, whatever --pythonpath says. It is started elsewhere so that it
    # does not find our configuration, and with it src/.
    path = os.pathsep.join([str(installed.parent), os.environ["PATH"]])
    return json.loads(run(command, tmp_path_factory.mktemp("verifytypes"), PATH=path))


def test_every_public_symbol_has_a_type(installed: Path, completeness: Any) -> None:
    """Every symbol of the installed package has a complete and unambiguous type (TYPE-10)."""
    report = completeness["typeCompleteness"]
    assert Path(report["packageRootDirectory"]).is_relative_to(installed.parent.parent)
    incomplete = [
        f"{symbol['name']}: {diagnostic['message']}"
        for symbol in report["symbols"]
        for diagnostic in symbol["diagnostics"]
        if diagnostic["severity"] == "error"
    ]
    assert "\n".join(incomplete) == ""
    assert report["completenessScore"] == 1
    assert report["exportedSymbolCounts"]["withKnownType"] > 200  # it looked at the package, and not past it


def test_cases_hold_for_the_installed_package(installed: Path) -> None:
    """Types are inferred, and wrong use is refused, without the stubs of this repository (TYPE-10)."""
    paths = [path for path in sorted(CASES.glob("*.py")) if not UNTYPED.search(path.read_text(encoding="utf-8"))]
    imports = {"extraPaths": [seen_from_folder(ROOT), seen_from_folder(ROOT / "generated" / "python")]}
    findings = pyright("installed.json", installed, paths, imports)
    assert {"async_client", "sync_client_refused", "methods"} <= {path.stem for path in paths}
    assert "\n".join(fault for path in paths for fault in case_faults(path, findings, "pyright")) == ""
