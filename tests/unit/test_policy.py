# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Policies: what they default to, what they refuse."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longrunning.policy import DEFAULT, PollPolicy, RetryPolicy, optional_seconds, seconds
from longrunning.status import Code

OUT_OF_RANGE = [-1, -0.001, math.nan, math.inf, -math.inf, timedelta(seconds=-1)]
NO_DURATION = ["5", None, True, False, [1], 1j, b"1"]


def test_the_defaults_are_the_documented_ones() -> None:
    """A wait lasts 900 s by default, its last poll 5 s, and polls are 1 s to 20 s apart (WAIT-3)."""
    policy = PollPolicy()
    assert (policy.initial, policy.multiplier, policy.maximum, policy.jitter) == (1, 1.5, 20, 0.1)
    assert (policy.timeout, policy.max_attempts, policy.final_poll_timeout) == (900, None, 5)


def test_what_passes_by_default_is_documented() -> None:
    """By default UNAVAILABLE, DEADLINE_EXCEEDED and a transport's CANCELLED are retried (WAIT-3, WAIT-6)."""
    retry = PollPolicy().retry
    assert retry.codes == {Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.CANCELLED}
    assert (retry.initial, retry.multiplier, retry.maximum, retry.rpc_timeout) == (0.5, 2, 5, 30)


@pytest.mark.parametrize("value", OUT_OF_RANGE, ids=lambda value: repr(value)[:20])
def test_durations_are_finite_and_not_negative(value: Any) -> None:
    """A duration that is negative, infinite or no number is a ValueError wherever one is given (WAIT-3)."""
    with pytest.raises(ValueError, match="finite number of seconds"):
        seconds(value, "timeout")
    for name in ("initial", "maximum", "timeout", "final_poll_timeout"):
        with pytest.raises(ValueError, match=name):
            PollPolicy(**{name: value})
    for name in ("initial", "maximum", "rpc_timeout"):
        with pytest.raises(ValueError, match=name):
            RetryPolicy(**{name: value})


@pytest.mark.parametrize("value", [10**400, -(10**400)], ids=["huge", "minus huge"])
def test_an_integer_beyond_all_floats_is_out_of_range(value: int) -> None:
    """An integer too large for a float is a ValueError like every number that is out of range (WAIT-3)."""
    with pytest.raises(ValueError, match="timeout"):
        PollPolicy(timeout=value)


def test_for_ever_is_not_infinity() -> None:
    """Infinity as a timeout is refused with a hint that for ever is None (WAIT-3)."""
    with pytest.raises(ValueError, match="for ever is None"):
        PollPolicy(timeout=math.inf)
    assert PollPolicy(timeout=None).timeout is None


@pytest.mark.parametrize("value", NO_DURATION, ids=repr)
def test_durations_are_numbers_or_timedeltas(value: Any) -> None:
    """What is neither a number nor a timedelta is a TypeError, a bool included (WAIT-3)."""
    with pytest.raises(TypeError, match="initial is in seconds"):
        PollPolicy(initial=value)
    with pytest.raises(TypeError, match="rpc_timeout is in seconds"):
        RetryPolicy(rpc_timeout=value)
    if value is not None:
        with pytest.raises(TypeError, match="timeout is in seconds"):
            optional_seconds(value, "timeout")


@given(st.timedeltas(timedelta(0), timedelta(days=36_500)))
def test_timedeltas_are_seconds(value: timedelta) -> None:
    """A timedelta means its seconds, wherever seconds are taken (WAIT-3)."""
    assert seconds(value, "timeout") == value.total_seconds()
    assert PollPolicy(timeout=value).timeout == value.total_seconds()


@pytest.mark.parametrize(
    "arguments",
    [
        {"initial": 0},
        {"initial": 30},
        {"maximum": 0.5},
        {"multiplier": 0.99},
        {"multiplier": math.nan},
        {"multiplier": math.inf},
        {"jitter": -0.1},
        {"jitter": 1.1},
        {"jitter": math.nan},
        {"max_attempts": 0},
        {"max_attempts": -1},
        {"final_poll_timeout": 0},
    ],
    ids=repr,
)
def test_a_policy_that_makes_no_sense_is_refused(arguments: dict[str, Any]) -> None:
    """A policy that could not be kept is a ValueError when it is made, naming the argument (WAIT-1, WAIT-3)."""
    with pytest.raises(ValueError, match=next(iter(arguments))):
        PollPolicy(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [{"initial": 11}, {"maximum": 0.1}, {"multiplier": 0}, {"multiplier": math.nan}, {"rpc_timeout": 0}],
    ids=repr,
)
def test_a_retry_policy_that_makes_no_sense_is_refused(arguments: dict[str, Any]) -> None:
    """A retry policy that could not be kept is a ValueError when it is made, naming the argument (WAIT-6)."""
    with pytest.raises(ValueError, match=next(iter(arguments))):
        RetryPolicy(**arguments)


def test_the_bounds_themselves_are_allowed() -> None:
    """A timeout of 0, a jitter of 0 or 1 and a single attempt make sense (WAIT-1, WAIT-3)."""
    for jitter in (0, 1):
        PollPolicy(timeout=0, jitter=jitter, max_attempts=1, multiplier=1, initial=20)


def test_policies_are_values() -> None:
    """Policies are frozen, compare and hash by value, can be copied, pickled, and replaced in part (law 8)."""
    policy = PollPolicy(initial=2, retry=RetryPolicy(codes=[14, Code.ABORTED]))
    assert policy == PollPolicy(initial=2.0, retry=RetryPolicy(codes=[Code.ABORTED, Code.UNAVAILABLE]))
    assert hash(policy) == hash(copy.deepcopy(policy))
    assert pickle.loads(pickle.dumps(policy)) == policy
    assert dataclasses.replace(policy, timeout=5) == PollPolicy(initial=2, timeout=5, retry=policy.retry)
    with pytest.raises(dataclasses.FrozenInstanceError):
        policy.initial = 3  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ValueError, match="jitter"):
        dataclasses.replace(policy, jitter=2)


def test_default_is_one_object() -> None:
    """DEFAULT stays itself through a pickle and says its name: it is no number and not None (WAIT-3)."""
    assert pickle.loads(pickle.dumps(DEFAULT)) is DEFAULT
    assert repr(DEFAULT) == "DEFAULT"
