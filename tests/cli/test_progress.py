# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""How far an operation is, in the ways services have of saying it."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import struct_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from example.library.v1 import library_pb2
from longrunning import Operation, TypeRegistry
from longrunning._any import pack
from longrunning._pb import operations_pb2
from longrunning.cli._progress import Progress, progress_of
from tests.cli.driving import SECRET, importing

REGISTRY = TypeRegistry.from_modules(library_pb2)


def of(metadata: dict[str, Any]) -> Progress:
    """The progress of an operation whose metadata is of a type that nobody knows."""
    document = {"name": "n", "metadata": {"@type": "type.googleapis.com/acme.v1.Metadata", **metadata}}
    return progress_of(Operation.from_json(document, registry=REGISTRY))


@pytest.mark.parametrize(
    ("metadata", "fraction"),
    [
        ({"percent": 25}, 0.25),
        ({"progressPercent": 25}, 0.25),
        ({"percent_complete": 25.5}, 0.255),
        ({"progressPercentage": "25"}, 0.25),
        ({"completionFraction": 0.25}, 0.25),
        ({"progress": 0.25}, 0.25),
        ({"progress": 1.0}, 1.0),
        ({"progress": 25}, 0.25),
        ({"progress": "25"}, 0.25),
        ({"total": 8, "done": 2}, 0.25),
        ({"total": "8", "done": "0"}, 0.0),
        ({"totalBooks": 8, "completedBooks": 2, "totalShelves": 3}, 0.25),
        ({"total_step_count": 8, "done_step_count": 2}, 0.25),
        ({"progress": {"estimatedWork": "8", "completedWork": "2"}}, 0.25),
        ({"progress": {"progressPercent": 25, "startTime": "2025-01-01T00:00:00Z"}}, 0.25),
        ({"progress": [{"progressPercent": 0}, {"progressPercent": 50}]}, 0.25),
        ({"percent": 0, "total": 8, "done": 2}, 0.25),
        ({"percent": 140}, 1.0),
        ({"percent": -1}, 0.0),
        ({"total": 8, "done": 9}, 1.0),
    ],
)
def test_a_fraction(metadata: dict[str, Any], fraction: float) -> None:
    """Fields for percents, fractions and pairs of numbers tell how far an operation is (cli)."""
    assert of(metadata).fraction == pytest.approx(fraction)


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"percentile": 99},
        {"discountPercent": 5},
        {"total": 8},
        {"total": 0, "done": 0},
        {"total": 8, "done": True},
        {"totalBooks": 8, "doneShelves": 2},
        {"percent": "a lot"},
        {"percent": "nan"},
        {"progress": []},
        {"progress": [{"progressPercent": 0}, {}]},
    ],
)
def test_no_fraction(metadata: dict[str, Any]) -> None:
    """Fields that tell something else are no progress (cli)."""
    assert of(metadata).fraction is None


def packed(metadata: object) -> Progress:
    """The progress of an operation that came in binary form."""
    proto = operations_pb2.Operation(name="n", metadata=pack(metadata))
    return progress_of(Operation.from_proto(proto, registry=REGISTRY))


def test_zero_of_a_known_type() -> None:
    """A percent of 0, which the wire leaves out, is a progress of 0 where the type is known (cli)."""
    assert packed(library_pb2.ImportBooksMetadata(total=40)) == Progress(0.0, "0 of 40")


@pytest.mark.parametrize(
    ("metadata", "detail"),
    [
        ({"statusDetail": "Creating", "state": "RUNNING"}, "Creating"),
        ({"status_message": " Creating "}, "Creating"),
        ({"state": "CREATING"}, "CREATING"),
        ({"state": "STATE_UNSPECIFIED"}, ""),
        ({"progress": {"message": "Creating"}}, "Creating"),
        ({"message": 3}, ""),
        ({"total": 8, "done": 2}, "2 of 8"),
        ({"total": 8, "done": 2, "stage": "copy"}, "copy"),
    ],
)
def test_a_detail(metadata: dict[str, Any], detail: str) -> None:
    """What a service says it is doing is shown, the most telling field first (cli)."""
    assert of(metadata).detail == detail


def test_a_cancel_request() -> None:
    """That somebody asked for a cancel is shown (CTRL-2)."""
    assert of({"cancelRequested": True}).cancel_requested
    assert of({"requested_cancellation": True}).cancel_requested
    assert not of({"cancelRequested": False}).cancel_requested


def test_the_metadata_of_real_messages() -> None:
    """Progress is read from messages, from structs, and around payloads of unknown type (cli)."""
    struct = struct_pb2.Struct()
    struct.update({"percent": 25})
    assert packed(importing(10)) == Progress(0.25, "10 of 40")
    assert packed(struct).fraction == 0.25
    assert packed(SECRET) == Progress()


KEYS = ["percent", "total", "done", "progress", "state", "message", "cancelRequested", "", "aB"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text("aT0_ ä"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), JSON))
def test_whatever_the_metadata(metadata: dict[str, Any]) -> None:
    """Reading the progress never fails, and a fraction is from 0 to 1 (law 4)."""
    progress = of(metadata)
    assert progress.fraction is None or 0 <= progress.fraction <= 1
