# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The tests of operation futures in google-api-core's source distribution: which there are, which cannot pass here, and why.

They are downloaded, never vendored. All that is not named in `GAPS` has to pass, and what is named there has to fail as it says.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

__all__ = ["COUNT", "FILES", "GAPS", "WITHOUT_HANDLE", "Gap", "NotFetchedError", "Outcome", "fetch", "run", "summary"]

ROOT: Final = Path(__file__).resolve().parents[2]
BUILD: Final = ROOT / "build" / "api-core"
PACKAGE: Final = "google-api-core"
COUNT: Final = 52

OPERATION: Final = "tests/unit/test_operation.py"
OPERATION_ASYNC: Final = "tests/asyncio/test_operation_async.py"
POLLING: Final = "tests/unit/future/test_polling.py"
FUTURE_ASYNC: Final = "tests/asyncio/future/test_async_future.py"
FILES: Final = (OPERATION, OPERATION_ASYNC, POLLING, FUTURE_ASYNC)


@dataclass(frozen=True)
class Gap:
    """Tests that cannot pass, for one reason.

    Attributes:
        tests: Their node ids.
        shows: What the failure of each says, as long as the reason holds; a regular expression.
        reason: Why they do not apply.
    """

    tests: tuple[str, ...]
    shows: str
    reason: str


GAPS: Final = (
    Gap(
        tests=tuple(
            f"{OPERATION}::test_{name}"
            for name in (
                "_refresh_http",
                "_refresh_http_w_retry",
                "_cancel_http",
                "_refresh_grpc",
                "_refresh_grpc_w_retry",
                "_cancel_grpc",
            )
        ),
        shows=r"^AttributeError: .* has no attribute '_(refresh|cancel)_(http|grpc)'$",
        reason="calls a private function that sends one RPC for a future: there is no operation and no handle in it, "
        "and here a transport does that",
    ),
    Gap(
        tests=(f"{OPERATION}::test_done_w_retry", f"{OPERATION_ASYNC}::test_done_w_retry"),
        shows=r"^AssertionError: (expected call not found|Expected 'mock' to be called once\. Called 0 times)",
        reason="demands that `done(retry=…)` hands the retry to the RPC: here how to retry belongs to the policy of a wait (WAIT-6)",
    ),
    Gap(
        tests=(f"{OPERATION}::test_unexpected_result", f"{OPERATION_ASYNC}::test_unexpected_result"),
        shows=r"^AssertionError: assert 'Unexpected state' in 'NoResultError\(",
        reason="wants an operation that is done without a result to be an unexpected state: the protocol allows it, and here it "
        "is a NoResultError that says so (SNAP-2)",
    ),
    Gap(
        tests=(f"{POLLING}::test_polling_future_without_retry",),
        shows=r"^AttributeError: .* has no attribute '_done_or_raise'",
        reason="goes on to call the private method by which futures poll: here that is no method of anything, but the poll machine",
    ),
)

WITHOUT_HANDLE: Final = frozenset({f"{OPERATION}::test_deserialize", f"{OPERATION_ASYNC}::test_deserialize"})
"""What passes without making a handle: the bytes of an operation are read, by `Operation.from_bytes`."""


@dataclass(frozen=True)
class Outcome:
    """What came of one of their tests.

    Attributes:
        error: How it failed; empty if it passed.
        handles: How many handles of ours it made.
    """

    error: str
    handles: int

    @property
    def passed(self) -> bool:
        """Whether it did."""
        return not self.error


class NotFetchedError(Exception):
    """The source distribution could not be downloaded."""


def fetch() -> Path:
    """The tests of the installed version of google-api-core, downloaded unless they are there.

    Raises:
        NotFetchedError: There is no way to them now.
    """
    version = metadata.version(PACKAGE)
    tests = BUILD / version
    if tests.is_dir():
        return tests
    BUILD.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as scratch:
        command = ("pip", "download", "--quiet", "--no-deps", f"--no-binary={PACKAGE}", f"--dest={scratch}")
        pip = subprocess.run(
            (sys.executable, "-m", *command, f"{PACKAGE}=={version}"), capture_output=True, text=True, check=False
        )
        archives = list(Path(scratch).glob("*.tar.gz"))
        if pip.returncode or len(archives) != 1:
            reason = (pip.stderr.strip().splitlines() or ["pip left no archive"])[-1]
            raise NotFetchedError(f"the source distribution of {PACKAGE} {version} was not to be had: {reason}")
        with tarfile.open(archives[0]) as archive:
            # Only the tests and their configuration: the library itself is the installed one.
            wanted = [
                member
                for member in archive.getmembers()
                if member.name.split("/")[1:2] in (["tests"], ["pyproject.toml"])
            ]
            archive.extractall(scratch, wanted, filter="data")
        archives[0].with_name(archives[0].name.removesuffix(".tar.gz")).rename(tests)
    return tests


def run(directory: Path, *, facade: bool) -> subprocess.Popen[str]:
    """Begins to run them, in a process whose `outcomes` are to be read."""
    program = (sys.executable, str(Path(__file__).with_name("api_core_run.py")))
    return subprocess.Popen(
        (*program, *(["--facade"] if facade else []), str(directory), *FILES),
        cwd=directory,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "", "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def outcomes(process: subprocess.Popen[str]) -> dict[str, Outcome]:
    """What came of each test.

    Raises:
        ValueError: The run said nothing of that kind; the text is what it did say.
    """
    text, _ = process.communicate()
    try:
        found = json.loads(text.rstrip().rpartition("\n")[2])
    except ValueError:
        raise ValueError(f"the run of their tests failed:\n{text}") from None
    return {test: Outcome(entry["error"], entry["handles"]) for test, entry in found.items()}


def summary(found: Mapping[str, Outcome]) -> str:
    """How many pass, and why others do not, for the documentation."""
    passed = sum(outcome.passed for outcome in found.values())
    lines = [
        f"Of the {len(found)} tests in google-api-core {metadata.version(PACKAGE)}, {passed} pass.",
        "",
        "| test | why it does not apply |",
        "|---|---|",
    ]
    for gap in GAPS:
        names = ", ".join(f"`{_short(test)}`" for test in gap.tests)
        lines.append(f"| {names} | {gap.reason} |")
    return "\n".join(lines)


def _short(test: str) -> str:
    file, _, name = test.partition("::")
    return f"{Path(file).stem}::{name}"
