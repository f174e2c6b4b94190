# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What mypy --strict and pyright strict infer, and what they refuse.

``test_NAME`` is about ``cases/NAME.py`` and ``cases/NAME_refused.py``, as far as these exist.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.typing.checking import CASES, Finding, case_faults, faults, run_mypy, run_pyright


@pytest.fixture(scope="module")
def runs() -> Iterator[dict[str, Future[list[Finding]]]]:
    """Both checkers on all cases, side by side: they take seconds to start, and share what the cases import."""
    with ThreadPoolExecutor() as pool:
        yield {"mypy": pool.submit(run_mypy), "pyright": pool.submit(run_pyright)}


@pytest.fixture(params=["mypy", "pyright"])
def disagreement(request: pytest.FixtureRequest, runs: dict[str, Future[list[Finding]]]) -> str:
    """Where a checker and the cases of a test disagree."""
    subject = request.function.__name__.removeprefix("test_")
    paths = [path for path in (CASES / f"{subject}.py", CASES / f"{subject}_refused.py") if path.exists()]
    assert paths
    findings = runs[request.param].result()
    return "\n".join(fault for path in paths for fault in case_faults(path, findings, request.param))


def test_root(disagreement: str) -> None:
    """Each name of the lazy root has the type it has at home, and a misspelt one is an error (TYPE-10)."""
    assert disagreement == ""


def test_library(disagreement: str) -> None:
    """A module of LroMethod constants needs no annotations (TYPE-10)."""
    assert disagreement == ""


def test_methods(disagreement: str) -> None:
    """The types of a method are those of its classes, united by or_types; Any is not known (TYPE-4, TYPE-5, TYPE-10)."""
    assert disagreement == ""


def test_proto_plus(disagreement: str) -> None:
    """proto-plus classes are inferred like those of protobuf (TYPE-9, TYPE-10)."""
    assert disagreement == ""


def test_untyped(disagreement: str) -> None:
    """Classes of modules without types make everything Any, and stand in the way of nothing (TYPE-10)."""
    assert disagreement == ""


def test_snapshots(disagreement: str) -> None:
    """A snapshot has the types of its method, or Any from a registry; it is covariant and read-only (TYPE-10)."""
    assert disagreement == ""


def test_async_client(disagreement: str) -> None:
    """Types reach from start to await, snapshots and both kinds of callbacks; wrong use is refused (TYPE-10)."""
    assert disagreement == ""


def test_sync_client(disagreement: str) -> None:
    """Types reach from start to result, snapshots and callbacks; wrong use, such as await, is refused (TYPE-10)."""
    assert disagreement == ""


def test_many(disagreement: str) -> None:
    """Waiting for many at once keeps their types, those of several kinds in one list too (TYPE-10)."""
    assert disagreement == ""


def test_server(disagreement: str) -> None:
    """Handlers, async or not, are checked against their method, and so are contexts and starts (TYPE-10)."""
    assert disagreement == ""


def test_generated(disagreement: str) -> None:
    """Generated clients and servicers are typed without an annotation of yours, and refuse wrong use (GEN-3, TYPE-10)."""
    assert disagreement == ""


def test_registries(disagreement: str) -> None:
    """What unpack returns is the expected type, or without one a message or an unknown payload (TYPE-3, TYPE-10)."""
    assert disagreement == ""


def test_statuses(disagreement: str) -> None:
    """The details of a status and each of its accessors have types, and it is read-only (TYPE-10)."""
    assert disagreement == ""


def test_errors(disagreement: str) -> None:
    """What each error carries has a type, and so has what it is made of (TYPE-10)."""
    assert disagreement == ""


def test_policies(disagreement: str) -> None:
    """A time is a number of seconds or a timedelta; None and DEFAULT only where they mean something (TYPE-10)."""
    assert disagreement == ""


def test_rest(disagreement: str) -> None:
    """Clients over HTTP infer what they infer over gRPC, and refuse an HTTP client of the other colour (TYPE-10)."""
    assert disagreement == ""


def test_google_api_core(disagreement: str) -> None:
    """The result of a google-api-core operation is Any, where ours has a type (TYPE-10)."""
    assert disagreement == ""


def test_every_case_has_a_test() -> None:
    """No case is left out (TYPE-10)."""
    subjects = {path.stem.removesuffix("_refused") for path in CASES.glob("*.py")}
    assert [subject for subject in sorted(subjects) if f"test_{subject}" not in globals()] == []


@pytest.mark.parametrize(
    ("line", "reported", "complaints"),
    [
        ("x = 1", [], []),
        ("x = 1", ["misc"], ["case.py:1: wrong [misc]"]),
        ("x = 1  # E: misc | CallIssue", ["misc"], []),
        ("x = 1  # E: misc | CallIssue", ["misc", "arg-type"], []),
        ("x = 1  # E: misc | CallIssue", [], ["case.py:1: mypy does not report misc"]),
        ("x = 1  # E: misc | CallIssue", ["arg-type"], ["case.py:1: mypy does not report misc"]),
        ("x = 1  # E: misc, arg-type | -", ["misc"], ["case.py:1: mypy does not report arg-type"]),
        ("x = 1  # E: - | CallIssue", [], []),
        ("x = 1  # E: - | CallIssue", ["misc"], ["case.py:1: wrong [misc]"]),
    ],
)
def test_marks(line: str, reported: list[str], complaints: list[str]) -> None:
    """These tests notice an error that is missing, and one that is too much (TYPE-10)."""
    path = CASES / "case.py"
    findings = [Finding(path, 1, rule, "wrong") for rule in reported]
    assert faults(path, f"{line}\n", findings, "mypy") == complaints


def test_a_mark_has_two_halves() -> None:
    """A mark that cannot be read fails, and is not passed over (TYPE-10)."""
    with pytest.raises(AssertionError, match="line 2"):
        faults(CASES / "case.py", "x = 1\ny = 2  # E: misc\n", [], "pyright")
