# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Policies: values of the wrong kind, and what is made of codes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from longrunning.policy import DEFAULT, PollPolicy, RetryPolicy
from longrunning.status import Code

POLL = ("initial", "maximum", "timeout", "final_poll_timeout")
RETRY = ("initial", "maximum", "rpc_timeout")
DURATIONS = [*((PollPolicy, name) for name in POLL), *((RetryPolicy, name) for name in RETRY)]
EACH_DURATION = pytest.mark.parametrize(
    ("policy", "name"), DURATIONS, ids=lambda value: getattr(value, "__name__", value)
)


@EACH_DURATION
def test_duration(policy: Any, name: str) -> None:
    """A duration is seconds as an int, a float or a timedelta, and kept as a float (WAIT-3)."""
    for value in (2, 2.0, timedelta(seconds=2)):
        found = getattr(policy(**{"initial": 1, "maximum": 60, name: value}), name)
        assert (found, type(found)) == (2.0, float)


@EACH_DURATION
@pytest.mark.parametrize(
    "value", ["5", True, b"5", [5], 5j, DEFAULT, 10**400, -(10**400)], ids=lambda value: repr(value)[:9]
)
def test_no_duration(policy: Any, name: str, value: Any) -> None:
    """What is no time, or more than a float can hold, is refused by every field, by its name (WAIT-3)."""
    with pytest.raises((TypeError, ValueError), match=name):
        policy(**{name: value})


@pytest.mark.parametrize(
    ("policy", "fields"),
    [
        (PollPolicy, {"max_attempts": 2.5}),
        (PollPolicy, {"max_attempts": True}),
        (PollPolicy, {"max_attempts": "3"}),
        (PollPolicy, {"retry": "never"}),
        (PollPolicy, {"jitter": "0.1"}),
        (PollPolicy, {"jitter": 10**400}),
        (PollPolicy, {"multiplier": "2"}),
        (PollPolicy, {"multiplier": 10**400}),
        (RetryPolicy, {"multiplier": 10**400}),
        (RetryPolicy, {"codes": ["UNAVAILABLE"]}),
        (RetryPolicy, {"codes": [None]}),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_wrong_kind(policy: Any, fields: dict[str, Any]) -> None:
    """A value of the wrong kind is refused where the policy is made, not where it is used (WAIT-1, WAIT-3)."""
    with pytest.raises((TypeError, ValueError)):
        policy(**fields)


def test_retry_without_pause() -> None:
    """A retry that never pauses is refused (WAIT-6)."""
    with pytest.raises(ValueError, match="initial"):
        RetryPolicy(initial=0, maximum=0)


def test_codes() -> None:
    """Codes are canonical, or numbers where google.rpc.Code has no name (WAIT-6, SNAP-4)."""
    assert RetryPolicy(codes=[14, 99, Code.ABORTED]).codes == {Code.UNAVAILABLE, 99, Code.ABORTED}
    assert RetryPolicy(codes=()).codes == frozenset()
