# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of the table ``operations`` as records and leases."""

from __future__ import annotations

from typing import Any, Final

from ._records import Lease, OperationRecord

__all__ = ["LEASE", "MICROSECONDS", "RECORD", "lease_of", "micros", "record_of"]

RECORD: Final = "sequence, name, parent, method, scope, done, code, create_time, start_time, update_time, end_time, metadata, result"
"""The columns a record is made of: neither the request nor a checkpoint, which can be huge."""

LEASE: Final = "name, method, principal, create_time, fence, attempts, trace, metadata, checkpoint, request"
"""The columns a lease is made of."""

MICROSECONDS: Final = 1_000_000  # of a second
_LONGEST: Final = 1 << 60  # microseconds; 36,000 years: what is added to a time stays below what SQLite can hold


def record_of(row: tuple[Any, ...]) -> OperationRecord:
    """The record of the columns `RECORD`."""
    sequence, name, parent, method, scope, done, code, created, started, updated, ended, metadata, result = row
    return OperationRecord(
        sequence=sequence,
        name=name,
        parent=parent,
        method=method,
        scope=scope,
        done=done == 1,
        code=code,
        metadata=metadata,
        result=result,
        create_time=created,
        start_time=started,
        update_time=updated,
        end_time=ended,
    )


def lease_of(row: tuple[Any, ...], now: int) -> Lease:
    """The lease of the columns `LEASE`, given at this time."""
    name, method, principal, created, fence, attempts, trace, metadata, checkpoint, request = row
    return Lease(
        name=name,
        method=method,
        principal=principal,
        request=request,
        metadata=metadata,
        checkpoint=checkpoint,
        attempt=attempts,
        fence=fence,
        create_time=created,
        claim_time=now,
        trace=trace,
    )


def micros(seconds: float) -> int:
    """A duration in microseconds; beyond what a database can hold, and infinity, are cut.

    Raises:
        ValueError: It is not a number.
    """
    return round(max(min(seconds * MICROSECONDS, _LONGEST), -_LONGEST))  # in this order NaN stays NaN
