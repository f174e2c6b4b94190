# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Runs tests/unit and tests/pair on every supported CPython found here, and with other dependencies.

Rows: one for each version of CPython, with the pinned dependencies; ``lowest`` and ``newest``, with the oldest and
newest dependencies that pyproject.toml allows, on the Python that runs this. A Python that is not installed is
named at the end, and is no failure. Each row has an environment in build/matrix, kept until what it is made of changes.

``--short`` runs ``lowest`` only, without the tests that kill processes. ``--find 3.12 3.11`` prints the path of the first of these that works, and does nothing else.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tools.environments import BUILD, ROOT, environment, find

PYTHONS = ("3.11", "3.12", "3.13")
CONSTRAINTS = ROOT / "constraints.txt"

# The floors of pyproject.toml. What else is pinned and depends on them is left to pip.
LOWEST = {
    "googleapis-common-protos": "1.70.0",
    "google-api-core": "2.24.0",
    "grpcio": "1.66.0" if sys.version_info < (3, 13) else "1.66.2",  # which is the first with wheels for 3.13
    "httpx": "0.27.0",
    "protobuf": "5.29.6",
    "starlette": "0.41.0",
}
DEPEND_ON_THEM = {
    "google-auth",
    "google-cloud-redis",
    "grpcio-health-checking",
    "grpcio-reflection",
    "grpcio-status",
    "proto-plus",
}


VERSIONS = f"""
import importlib.metadata, platform
print(platform.python_version(), *(f"{{name}} {{importlib.metadata.version(name)}}" for name in {sorted(LOWEST)}), sep=", ")
"""
# In the short form: tests that start and kill processes. They are about files and signals, and `make test` has them, too.
NOT_IN_SHORT = ("test_chaos.py", "test_soak.py", "test_zombies.py")
# What old releases say about themselves, and about each other, is no news here.
NO_NEWS = {"lowest": ["-W", "ignore:grpcio < 1.83.0 does not support:FutureWarning"]}


def pins(row: str) -> str:
    """Returns the constraints of a row."""
    if row == "newest":
        return ""
    text = CONSTRAINTS.read_text(encoding="utf-8")
    if row == "lowest":
        left_out = set(LOWEST) | DEPEND_ON_THEM
        lines = [line for line in text.splitlines() if re.split("==", line)[0] not in left_out]
        text = "\n".join(lines + [f"{name}=={version}" for name, version in LOWEST.items()]) + "\n"
    return text


def run(row: str, python: Path, *, short: bool) -> bool:
    """Runs the tests of one row."""
    program = environment(BUILD / "matrix" / row, python, ["--group", "test", "-e", ".[all]"], pins(row))
    print(f"\nmatrix: {row}: CPython", end=" ", flush=True)
    subprocess.run([program, "-c", VERSIONS], check=True)
    folders = [folder for folder in ("tests/unit", "tests/pair") if (ROOT / folder).is_dir()]
    options = ["-q", "--no-header", "-p", "no:cacheprovider", *NO_NEWS.get(row, [])]
    options += [f"--ignore=tests/pair/{name}" for name in NOT_IN_SHORT] if short else []
    return subprocess.run([program, "-m", "pytest", *options, *folders], cwd=ROOT, check=False).returncode == 0


def rows(*, short: bool) -> Iterator[tuple[str, Path | None]]:
    """Yields the rows and their interpreters."""
    if not short:
        for version in PYTHONS:
            yield version, find(version)
        yield "newest", Path(sys.executable)
    yield "lowest", Path(sys.executable)


def main() -> int:
    """Runs the rows asked for."""
    parser = argparse.ArgumentParser(description="run the unit and pair tests in several environments")
    parser.add_argument("--short", action="store_true", help="the row `lowest` only")
    parser.add_argument("--find", nargs="+", metavar="VERSION", help="print the path of the first of these that works")
    arguments = parser.parse_args()
    if arguments.find:
        found = next(filter(None, map(find, arguments.find)), None)
        print(found or f"none of {', '.join(arguments.find)} is installed", file=sys.stdout if found else sys.stderr)
        return 0 if found else 1
    outcomes = {
        row: run(row, python, short=arguments.short) if python else None for row, python in rows(short=arguments.short)
    }
    words = {True: "passed", False: "FAILED", None: "not installed here"}
    print("\nmatrix: " + ", ".join(f"{row} {words[outcome]}" for row, outcome in outcomes.items()))
    return 1 if False in outcomes.values() else 0


if __name__ == "__main__":
    sys.exit(main())
