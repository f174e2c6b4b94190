# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""google-api-core's own tests of operation futures, on futures that are made of our handles."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.interop import api_core_suite, page
from tests.interop.api_core_suite import (
    COUNT,
    GAPS,
    WITHOUT_HANDLE,
    Gap,
    NotFetchedError,
    Outcome,
    fetch,
    outcomes,
    run,
    summary,
)

pytestmark = pytest.mark.timeout(300)  # a download, and tests of theirs that sleep

Runs = tuple[Mapping[str, Outcome], Mapping[str, Outcome]]


@pytest.fixture(scope="module")
def runs() -> Runs:
    """What came of their tests on their futures, and on ours: both runs at once, for they sleep."""
    try:
        directory = fetch()
    except NotFetchedError as error:
        pytest.skip(str(error))
    both = [run(directory, facade=facade) for facade in (False, True)]
    theirs, ours = [outcomes(process) for process in both]
    return theirs, ours


@pytest.fixture(scope="module")
def ours(runs: Runs) -> Mapping[str, Outcome]:
    """What came of their tests on our futures."""
    return runs[1]


def test_what_cannot_be_fetched_is_said_plainly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a way to the source distribution there is one line that says so (interop)."""
    monkeypatch.setattr(api_core_suite, "BUILD", tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(
        NotFetchedError, match=r"^the source distribution of google-api-core [\d.]+ was not to be had: .+"
    ):
        fetch()
    assert list(tmp_path.iterdir()) == []


def test_on_their_own_futures_all_pass(runs: Runs) -> None:
    """The 52 tests pass on google-api-core's own futures: how they are run here is fair (interop)."""
    theirs, _ = runs
    assert {test: outcome.error for test, outcome in theirs.items() if not outcome.passed} == {}
    assert (len(theirs), sum(outcome.handles for outcome in theirs.values())) == (COUNT, 0)


def test_on_ours_all_pass_that_apply(ours: Mapping[str, Outcome]) -> None:
    """Of the 52 tests all pass on our handles but those that are known not to apply (WAIT-1, WAIT-2, WAIT-3, WAIT-10)."""
    known = {test for gap in GAPS for test in gap.tests}
    assert len(ours) == COUNT
    assert known <= ours.keys()
    assert {test: outcome.error for test, outcome in ours.items() if not outcome.passed and test not in known} == {}


@pytest.mark.parametrize("gap", GAPS, ids=lambda gap: gap.tests[0].partition("::")[2])
def test_a_gap_is_the_one_it_was(gap: Gap, ours: Mapping[str, Outcome]) -> None:
    """A test that does not apply still fails, and for the reason that is given (interop)."""
    for test in gap.tests:
        assert re.search(gap.shows, ours[test].error, re.DOTALL), f"{test}: {ours[test].error or 'it passes'}"


def test_what_passes_used_a_handle(ours: Mapping[str, Outcome]) -> None:
    """None of their tests passes by the facade alone: each made a handle of ours, or read a snapshot (interop)."""
    assert {test for test, outcome in ours.items() if outcome.passed and not outcome.handles} == WITHOUT_HANDLE


def test_the_page_shows_this_run(ours: Mapping[str, Outcome], request: pytest.FixtureRequest) -> None:
    """The documentation tells how many pass, and why the others do not (interop)."""
    found = summary(ours)
    if request.config.getoption("--interop-write"):
        page.write("api-core", found)
    assert page.same(page.read("api-core"), found), "docs/interop.md is out of date: run `make interop`"
