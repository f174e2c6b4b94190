# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Runs programs in environments where the wheel is installed, and nothing of this repository can be imported."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tools.environments import BUILD

PROBES = Path(__file__).parent / "probes"


def probe(program: Path, name: str, *arguments: str, **variables: str) -> Any:
    """Runs one of probes/ with this interpreter and these variables, and returns the JSON that it prints."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    command: list[str | Path] = [program, "-P", PROBES / name, *arguments]
    answer = subprocess.run(
        command, cwd=BUILD, env=inherited | variables, capture_output=True, text=True, check=False, timeout=100
    )
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)
