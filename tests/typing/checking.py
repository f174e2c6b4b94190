# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Runs mypy --strict and pyright strict on cases/ and compares what they report with what the cases expect.

The files of cases/ are read by the checkers and never imported. What must be inferred stands in `assert_type`; a line
that must be refused ends in a mark, which names what each of the checkers has to report there::

    operation.done = True  # E: misc | AttributeAccessIssue

Before the bar stands the error code of mypy, after it the rule of pyright without its ``report``, several separated by
commas; ``-`` where a checker reports nothing. On a line without a mark nothing may be reported.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.environments import BUILD, ROOT

CASES = Path(__file__).parent / "cases"
FOLDER = BUILD / "typing"
_MARK = re.compile(r"# E: (?P<mypy>[^|#]+) \| (?P<pyright>[^|#]+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a checker reports.

    Attributes:
        path: The file.
        line: The line, counted from 1.
        rule: The error code of mypy, the rule of pyright.
        message: What is wrong.
    """

    path: Path
    line: int
    rule: str
    message: str


def run_mypy() -> list[Finding]:
    """What mypy --strict reports on the cases: without the error codes that pyproject.toml adds for our own code."""
    configured = _configured("mypy")
    settings = {key: configured[key] for key in ("strict", "python_version", "explicit_package_bases")}
    settings |= {
        "mypy_path": configured["mypy_path"].replace("$MYPY_CONFIG_FILE_DIR", str(ROOT)),
        "cache_dir": str(FOLDER / "mypy"),  # of its own: `make types` may be running as well
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    config = FOLDER / "mypy.ini"
    lines = [f"{key} = {value}" for key, value in settings.items()]
    config.write_text("\n".join(["[mypy]", *lines, ""]), encoding="utf-8")
    options = ["--config-file", str(config), "--output", "json"]
    output = run([sys.executable, "-m", "mypy", *options, *sorted(map(str, CASES.glob("*.py")))], ROOT)
    entries: list[dict[str, Any]] = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return [
        Finding(ROOT / entry["file"], entry["line"], entry["code"] or "", entry["message"])
        for entry in entries
        if entry["severity"] == "error"
    ]


def run_pyright() -> list[Finding]:
    """What pyright reports on the cases, configured by pyproject.toml."""
    configured = _configured("pyright")
    imports = {
        "extraPaths": [seen_from_folder(ROOT / path) for path in [".", *configured["extraPaths"]]],
        "stubPath": seen_from_folder(ROOT / configured["stubPath"]),
    }
    return pyright("pyright.json", Path(sys.executable), sorted(CASES.glob("*.py")), imports)


def pyright(config: str, python: Path, paths: Iterable[Path], imports: dict[str, Any]) -> list[Finding]:
    """What pyright reports on these files.

    Args:
        config: Name of the configuration that is written for it. Files that the configuration of the repository excludes
            are excluded even when they are named on the command line.
        python: The interpreter whose packages are imported.
        paths: The files.
        imports: Settings that say where else to import from.
    """
    configured = _configured("pyright")
    strict = {key: configured[key] for key in ("typeCheckingMode", "pythonVersion")}
    FOLDER.mkdir(parents=True, exist_ok=True)
    settings = strict | imports | {"include": [seen_from_folder(path) for path in paths]}
    (FOLDER / config).write_text(json.dumps(settings, indent=1), encoding="utf-8")
    command = ["-m", "pyright", "--project", config, "--pythonpath", str(python), "--outputjson"]
    entries: list[dict[str, Any]] = json.loads(run([sys.executable, *command], FOLDER))["generalDiagnostics"]
    return [
        Finding(Path(entry["file"]), entry["range"]["start"]["line"] + 1, entry.get("rule", ""), entry["message"])
        for entry in entries
        if entry["severity"] != "information"
    ]


def expected(source: str, checker: str) -> dict[int, set[str]]:
    """The rules that the marks of a case name, by line."""
    marks: dict[int, set[str]] = {}
    for number, line in enumerate(source.splitlines(), 1):
        mark = _MARK.search(line)
        assert mark is not None or "# E:" not in line, f"line {number}: a mark reads '# E: <mypy> | <pyright>'"
        if mark is not None and mark[checker] != "-":
            prefix = "report" if checker == "pyright" else ""
            marks[number] = {prefix + rule for rule in mark[checker].split(", ")}
    return marks


def faults(path: Path, source: str, findings: Iterable[Finding], checker: str) -> list[str]:
    """Where the findings in a case are not those its marks name; a rule more on a line with a mark does no harm."""
    found: defaultdict[int, list[Finding]] = defaultdict(list)
    for finding in findings:
        if finding.path == path:
            found[finding.line].append(finding)
    marks = expected(source, checker)
    surplus = [
        f"{path.name}:{line}: {finding.message} [{finding.rule}]"
        for line in sorted(found)
        for finding in found[line]
        if line not in marks
    ]
    missing = [
        f"{path.name}:{line}: {checker} does not report {rule}"
        for line, rules in marks.items()
        for rule in sorted(rules - {finding.rule for finding in found[line]})
    ]
    return surplus + missing


def case_faults(path: Path, findings: Iterable[Finding], checker: str) -> list[str]:
    """The same, for a file."""
    return faults(path, path.read_text(encoding="utf-8"), findings, checker)


def seen_from_folder(path: Path) -> str:
    """The path as a configuration has to name it: pyright takes no absolute ones."""
    return os.path.relpath(path, FOLDER)


def run(command: list[str], folder: Path, **variables: str) -> str:
    """What a checker prints; nothing of our own environment leads it to other packages."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    answer = subprocess.run(
        command, cwd=folder, env=inherited | variables, capture_output=True, text=True, check=False, timeout=100
    )
    assert answer.returncode in {0, 1}, answer.stdout + answer.stderr  # 1: it has something to report
    return answer.stdout


def _configured(tool: str) -> dict[str, Any]:
    settings: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][tool]
    return settings
