# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""`Limits` and refusals: values checked where they are made."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, fields
from datetime import timedelta
from typing import Any, Final

import pytest
from google.rpc import error_details_pb2

from longrunning.server import Limits
from longrunning.server._refusal import Refusal, bad_field, refuse
from longrunning.status import Code

NAMES: Final = [field.name for field in fields(Limits)]
DURATIONS: Final = [field.name for field in fields(Limits) if isinstance(field.default, float)]
COUNTS: Final = [name for name in NAMES if name not in DURATIONS]
MAY_BE_ZERO: Final = {"cancel_grace", "shutdown_grace", "max_waits", "max_thread_waits", "retention"}


def limits(**values: Any) -> Limits:
    """Limits with values no type checker would let pass."""
    return Limits(**values)


def test_the_defaults() -> None:
    """By default done operations stay for 30 days, and what is stored can be sent: 4 MiB at most (SRV-9, SRV-2)."""
    default = Limits()
    assert default.seconds("retention") == 30 * 86_400
    assert default.max_response_bytes + default.max_metadata_bytes < 4 << 20
    assert default.max_page_bytes < 4 << 20


def test_limits_do_not_change() -> None:
    """Limits are frozen values, equal by what they hold (SRV-1)."""
    assert Limits() == Limits()
    with pytest.raises(FrozenInstanceError):
        setattr(Limits(), "max_waits", 1)  # noqa: B010 (a type checker would refuse it)


@pytest.mark.parametrize("name", DURATIONS)
def test_durations(name: str) -> None:
    """A duration may be seconds or a timedelta, which are the same (SRV-6)."""
    assert limits(**{name: timedelta(seconds=1, milliseconds=500)}) == limits(**{name: 1.5})
    assert limits(**{name: 2}).seconds(name) == 2.0


@pytest.mark.parametrize("name", NAMES)
def test_numbers_that_make_no_sense(name: str) -> None:
    """Negative numbers are ValueErrors that name the limit; so is 0, where nothing would work with it (SRV-1)."""
    with pytest.raises(ValueError, match=name):
        limits(**{name: -1})
    if name in MAY_BE_ZERO:
        limits(**{name: 0})
    else:
        with pytest.raises(ValueError, match=name):
            limits(**{name: 0})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [None, "1", True, math.nan, [1]], ids=repr)
def test_what_is_no_number(name: str, value: Any) -> None:
    """What is no number is refused with the name of the limit (SRV-1)."""
    with pytest.raises((TypeError, ValueError), match=name):
        limits(**{name: value})


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [1.5, math.inf, timedelta(seconds=1)], ids=repr)
def test_counts_are_whole(name: str, value: Any) -> None:
    """A number of things is a whole one: no fraction, no infinity, no duration (SRV-1)."""
    with pytest.raises((TypeError, ValueError), match=name):
        limits(**{name: value})


@pytest.mark.parametrize("name", DURATIONS)
@pytest.mark.parametrize("value", [math.inf, 1e300], ids=repr)
def test_endless_durations(name: str, value: float) -> None:
    """A duration without end is refused where it is made: no store could add it to a time (SRV-9, RUN-1)."""
    with pytest.raises(ValueError, match=name):
        limits(**{name: value})


@pytest.mark.parametrize("name", DURATIONS)
def test_long_durations(name: str) -> None:
    """A hundred years are fine for every duration (SRV-9)."""
    assert limits(**{name: timedelta(days=36_525)}).seconds(name) == 36_525 * 86_400


def test_a_page_by_default_is_no_larger_than_any() -> None:
    """The default size of a page may not exceed the greatest (PAGE-1)."""
    with pytest.raises(ValueError, match="max_page_size"):
        Limits(default_page_size=11, max_page_size=10)


def test_refusals_say_what_is_wrong() -> None:
    """A refusal carries its status; one about a field names it in the message and in the details (SRV-2, SRV-1)."""
    plain = refuse(Code.RESOURCE_EXHAUSTED, "full")
    assert (plain.status.code, plain.status.message, plain.status.details) == (Code.RESOURCE_EXHAUSTED, "full", ())
    assert "full" in str(plain)
    field = bad_field("timeout", "it cannot be negative")
    assert isinstance(field, Refusal)
    assert field.status.code is Code.INVALID_ARGUMENT
    assert field.status.message == "timeout: it cannot be negative"
    bad = field.status.find(error_details_pb2.BadRequest)
    assert bad is not None
    assert [(found.field, found.description) for found in bad.field_violations] == [
        ("timeout", "it cannot be negative")
    ]
