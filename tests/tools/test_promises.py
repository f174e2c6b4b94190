# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The accountant is held to account."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.promises import PROMISES, Promises

pytest_plugins = ["pytester"]

Run = Callable[..., pytest.RunResult]
SMALL = "## A\n- **AAA-1** (landed) one\n- **AAA-2** (landed) two\n- **AAA-3** (planned) three\n"


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the plugin, with a small docs/promises.md, over a test module of tests/unit."""
    monkeypatch.setattr("tools.promises.STORE", pytester.path / "build")
    monkeypatch.setattr("tools.promises.ROOT", pytester.path)
    monkeypatch.setattr("tools.promises.PROMISES", pytester.path / "promises.md")
    (pytester.path / "promises.md").write_text(SMALL)
    (pytester.path / "tests" / "unit").mkdir(parents=True)

    def run(*tests: str, arguments: tuple[str, ...] = ()) -> pytest.RunResult:
        module = Path(pytester.path, "tests", "unit", "test_it.py")
        module.write_text("\n".join(f"def test_{number}():\n    {test}\n" for number, test in enumerate(tests)))
        return pytester.runpytest_inprocess("-p", "tools.promises", *arguments)

    return run


def test_numbers_of_a_docstring() -> None:
    """Lists and ranges of numbers are read, laws too, and what only looks like a number is not."""
    promises = Promises.parse(SMALL)
    assert promises.named_by("It works (AAA-1).") == ({"AAA-1"}, set())
    assert promises.named_by("AAA-1, AAA-3; law 3") == ({"AAA-1", "AAA-3", "law 3"}, set())
    assert promises.named_by("(AAA-1..3)") == ({"AAA-1", "AAA-2", "AAA-3"}, set())
    assert promises.named_by("UTF-8, AIP-151, AAA-4, law 10") == (set(), {"AAA-4", "law 10"})


def test_a_number_is_unique() -> None:
    """The same number twice in docs/promises.md is an error."""
    with pytest.raises(ValueError, match="AAA-1: more than once"):
        Promises.parse(SMALL + "- **AAA-1** (planned) again\n")


def test_the_real_promises_are_read() -> None:
    """Every bold number of docs/promises.md is an item that says whether it has landed."""
    text = PROMISES.read_text(encoding="utf-8")
    assert len(Promises.parse(text).landed) == text.count("\n- **") > 70


def test_the_table_counts() -> None:
    """The table holds landed numbers only, with the count of their tests, or a dash."""
    assert list(Promises.parse(SMALL).table(Counter({"AAA-1": 3}), 80)) == ["AAA    1:3    2:-"]


@pytest.mark.parametrize(
    ("test", "fault"),
    [
        ("pass", "test_0: no docstring"),
        ("'''Two\n\n    lines AAA-1.'''", "test_0: the docstring has more than one line"),
        ("'''Nothing.'''", "test_0: the docstring names no behaviour and no law"),
        ("'''AAA-9.'''", "test_0: AAA-9 is not in docs/promises.md"),
    ],
)
def test_a_bad_docstring_fails_the_run(run: Run, test: str, fault: str) -> None:
    """A docstring that is missing, long, or names nothing that exists, is an error of the run."""
    result = run(test)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"*{fault}", "*1 passed, 1 error*"])


def test_a_landed_promise_without_a_test_fails_the_run(run: Run) -> None:
    """With --promises-require, a landed number that no passing test names is an error; a planned one is not."""
    result = run("'''AAA-1.'''", "'''AAA-2.'''; assert 0", arguments=("--promises=a", "--promises-require"))
    result.stdout.fnmatch_lines(["landed, but proved by no test: AAA-2", "*1 failed, 1 passed, 1 error*"])


def test_a_skipped_test_proves_nothing(run: Run) -> None:
    """A test that was skipped does not count."""
    result = run("'''AAA-1..2.'''; import pytest; pytest.skip()", arguments=("--promises=a", "--promises-require"))
    result.stdout.fnmatch_lines(["landed, but proved by no test: AAA-1, AAA-2"])


def test_runs_add_up(run: Run) -> None:
    """What an earlier run of another label proved counts in a later one."""
    assert run("'''AAA-1.'''", arguments=("--promises=a",)).ret == 0
    result = run("'''AAA-2.'''", arguments=("--promises=b", "--promises-require"))
    assert result.ret == 0
    result.stdout.fnmatch_lines(["AAA    1:1    2:1", "*1 passed*"])
