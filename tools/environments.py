# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Interpreters of this machine, and virtual environments that are kept under build/ until their ingredients change."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"


def find(version: str) -> Path | None:
    """Returns a CPython of this version that really starts: pyenv's shims exist for versions that do not."""
    roots = [os.environ.get("PYENV_ROOT", ""), str(Path.home() / ".pyenv")]
    candidates = [shutil.which(f"python{version}"), f"/usr/bin/python{version}", f"/usr/local/bin/python{version}"]
    for root in filter(None, roots):
        candidates += sorted(map(str, Path(root).glob(f"versions/{version}.*/bin/python{version}")), reverse=True)
    program = "import platform, ensurepip, venv; print(platform.python_implementation(), platform.python_version())"
    for candidate in candidates:
        if candidate and Path(candidate).exists():
            answer = subprocess.run([candidate, "-c", program], capture_output=True, text=True, check=False)
            if answer.returncode == 0 and answer.stdout.startswith(f"CPython {version}."):
                return Path(candidate)
    return None


def pip_version() -> str:
    """Returns the version of pip that the Makefile pins."""
    match = re.search(r"^PIP_VERSION := (\S+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert match
    return match[1]


def environment(folder: Path, python: Path, packages: list[str], constraints: str = "") -> Path:
    """Returns the interpreter of an environment with these packages; it is made if it is missing or out of date."""
    program, stamp = folder / "bin" / "python", folder / "stamp"
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8") if "-e" in packages else ""
    key = hashlib.sha256("\n".join([str(python), pip_version(), project, constraints, *packages]).encode()).hexdigest()
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != key:
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([python, "-m", "venv", folder], check=True)
        (folder / "constraints.txt").write_text(constraints, encoding="utf-8")
        install(program, f"pip=={pip_version()}")
        install(program, "-c", str(folder / "constraints.txt"), *packages)
        stamp.write_text(key, encoding="utf-8")
    return program


def install(program: Path, *arguments: str) -> None:
    """Runs ``pip install`` in the environment of this interpreter, at the root of the repository."""
    command = [str(program), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, cwd=ROOT, check=True)
