# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The short form of ``make soak``."""

from __future__ import annotations

import asyncio

import pytest

from longrunning import PollPolicy
from tools import soak


def test_three_rounds_show_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cut, and restarts with polls and long polls, show in no wait: sync and async, gRPC and HTTP (WAIT-12)."""
    monkeypatch.setattr(soak, "CUT", (0.1, 0.3))
    tally = asyncio.run(soak.soak(3))
    assert tally.errors == []
    assert (tally.cuts, tally.restarts, tally.waits, len(tally.noticed)) == (1, 2, 24, 24)
    assert tally.resets >= 4  # of each colour over each transport
    assert "1 cuts" in str(tally)
    assert [soak.restarts(number) for number in range(1, 5)] == [False, True, True, False]


def test_a_wait_that_fails_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The soak sees an error where a wait ends with one: here with a policy that gives up in a cut (WAIT-12)."""
    # Time enough for a first poll of each wait on a busy machine, and far less than the cut.
    impatient = PollPolicy(initial=0.05, maximum=0.1, timeout=1.0, final_poll_timeout=0.01, retry=soak.RETRY)
    monkeypatch.setattr(soak, "POLICIES", (impatient,))
    monkeypatch.setattr(soak, "CUT", (2.5, 2.5))
    tally = asyncio.run(soak.soak(1))
    assert tally.cuts == 1
    assert tally.waits < 8
    assert any("WaitTimeoutError" in error for error in tally.errors)
