# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: S608 - only constants of ours are put into SQL; values are bound
"""What `SqliteStore` writes: `longrunning._lifecycle` as guarded statements.

Laws of this file:

1. Each event is one statement whose ``where`` holds all of its guards: what it does not match, it does not change. Statements
   of one job see no other writer in between, as the transaction has locked the database from its beginning.
2. Where an operation stands follows from three columns: it is done; or a lease is kept (``lease_expires``), expired or not,
   and then ``cancel_requested`` says whether it is being cancelled; or none is, and it is queued.
3. Every value is a bound parameter.
4. Whatever watchers are to hear of puts the number of its transaction into ``changed``.
"""

from __future__ import annotations

import functools
import secrets
from collections.abc import Collection, Mapping
from typing import Any, Final

from ...errors import LeaseLostError, OperationConflictError
from ._records import (
    CANCELLED,
    ClaimTerms,
    Created,
    Lease,
    NewOperation,
    OperationRecord,
    Outcome,
    exhausted,
)
from ._sqlite_rows import LEASE, RECORD, lease_of, micros, record_of
from ._sqlite_writer import Transaction

__all__ = [
    "DUE_WINDOW",
    "REPLAYED",
    "abandon",
    "claim",
    "create",
    "delete",
    "due",
    "finish",
    "purge",
    "release",
    "renew",
    "replayed_of",
    "request_cancel",
    "secret",
    "update",
]

DUE_WINDOW: Final = 1000
"""Of how many operations of a method, those that have been waiting for longest, `due` picks the oldest."""

_SECRET: Final = 32  # bytes

_CREATE: Final = """
insert into operations (name, parent, method, scope, create_time, start_time, update_time, fence, lease_expires, attempts,
  max_attempts, worker, principal, request_id, request_hash, resource, trace, metadata, request)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict do nothing
"""
REPLAYED: Final = f"""
select request_hash, {RECORD} from operations
where principal = ? and scope = ? and method = ? and request_id = ? and request_id <> ''
"""
_TAKEN: Final = "select 1 from operations where name = ?"

_CLAIM: Final = f"""
update operations
set fence = fence + 1, attempts = attempts + 1, lease_expires = ?, worker = ?, start_time = ifnull(start_time, ?)
where name = ? and done = 0 and cancel_requested = 0 and (lease_expires is null or lease_expires <= ?)
  and attempts - releases < max_attempts and method in (%s)
returning {LEASE}
"""

# The holder of the last lease: `Guard.FENCE`, in a phase that has a lease.
_HELD: Final = "name = ? and fence = ? and done = 0 and lease_expires is not null"

_RENEW: Final = f"update operations set lease_expires = ? where {_HELD} returning cancel_requested"
_UPDATE: Final = f"""
update operations
set metadata = ifnull(?, metadata), checkpoint = ifnull(?, checkpoint), update_time = ifnull(?, update_time)
where {_HELD}
returning cancel_requested
"""
# What every end has in common: what only workers need is forgotten.
_END: Final = "lease_expires = null, worker = '', checkpoint = null, request = x'', trace = '', changed = ?"
_FINISH: Final = f"""
update operations
set metadata = ifnull(?, metadata), done = 1, code = ?, result = ?, update_time = ?, end_time = ?, {_END}
where {_HELD}
"""
_RELEASE: Final = f"""
update operations set lease_expires = null, worker = '', dispatch_after = 0, releases = releases + 1 where {_HELD} and cancel_requested = 0
"""
_RELEASE_CANCELLED: Final = f"""
update operations
set releases = releases + 1, done = 1, code = ?, result = ?, update_time = ?, end_time = ?, {_END}
where {_HELD} and cancel_requested = 1
"""
# Deleted operations, and those of other scopes, are absent here.
_SEEN: Final = "name = ? and deleted = 0 and scope = ifnull(?, scope)"
_STANDING: Final = f"""
select sequence, done = 0 and cancel_requested = 0, lease_expires is null, {RECORD} from operations where {_SEEN}
"""
_CANCEL_QUEUED: Final = f"""
update operations set cancel_requested = 1, done = 1, code = ?, result = ?, update_time = ?, end_time = ?, {_END}
where sequence = ? and done = 0 and lease_expires is null
returning {RECORD}
"""
_CANCEL_RUNNING: Final = """
update operations set cancel_requested = 1, changed = ? where sequence = ? and done = 0 and lease_expires is not null
"""
_VISIBLE: Final = f"select sequence from operations where {_SEEN}"
_DELETE: Final = "update operations set deleted = 1, changed = ? where sequence = ?"
_READY: Final = """
select sequence, name, method from operations indexed by ready
where done = 0 and method = ? and max(dispatch_after, ifnull(lease_expires, 0)) <= ?
  and cancel_requested = 0 and attempts - releases < max_attempts
order by max(dispatch_after, ifnull(lease_expires, 0)) limit ?
"""
_HOLD: Final = "update operations set dispatch_after = ? where sequence = ?"
_GIVEN_UP: Final = """
select sequence, name, cancel_requested, attempts - releases from operations indexed by leased
where lease_expires is not null and lease_expires <= ? and (cancel_requested = 1 or attempts - releases >= max_attempts)
order by lease_expires limit ?
"""
_GIVE_UP: Final = f"""
update operations set done = 1, code = ?, result = ?, update_time = ?, end_time = ?, {_END} where sequence = ?
"""
_PURGE: Final = """
delete from operations where sequence in (
  select sequence from operations indexed by ended where end_time is not null and end_time < ? order by end_time limit ?
)
"""


def create(t: Transaction, new: NewOperation, terms: ClaimTerms | None) -> Created:
    """See `OperationStore.create`.

    Raises:
        OperationConflictError: An operation that is not done holds the same resource.
        ValueError: The name is taken.
    """
    now = t.now
    worker, fence, expires = "", 0, None
    if terms is not None and new.method in terms.methods and new.max_attempts > 0:
        worker, fence, expires = terms.worker, 1, now + micros(terms.ttl)
    started = now if fence else None
    inserted = t.execute(
        _CREATE,
        (
            *(new.name, new.parent, new.method, new.scope, now, started, now, fence, expires, fence, new.max_attempts),
            *(
                worker,
                new.principal,
                new.request_id,
                new.request_hash,
                new.resource,
                new.trace,
                new.metadata,
                new.request,
            ),
        ),
    )
    if inserted.rowcount != 1:
        return _replayed(t, new)
    assert inserted.lastrowid is not None
    record = OperationRecord(
        sequence=inserted.lastrowid,
        name=new.name,
        parent=new.parent,
        method=new.method,
        scope=new.scope,
        done=False,
        code=None,
        metadata=new.metadata,
        result=None,
        create_time=now,
        start_time=started,
        update_time=now,
        end_time=None,
    )
    lease = _first_lease(new, now) if fence else None
    return Created(record=record, request_hash=new.request_hash, lease=lease, existed=False)


def _first_lease(new: NewOperation, now: int) -> Lease:
    return Lease(
        name=new.name,
        method=new.method,
        principal=new.principal,
        request=new.request,
        metadata=new.metadata,
        checkpoint=None,
        attempt=1,
        fence=1,
        create_time=now,
        claim_time=now,
        trace=new.trace,
    )


def _replayed(t: Transaction, new: NewOperation) -> Created:
    """The operation that the same request made before, if it is that which stood in the way."""
    for row in t.execute(REPLAYED, (new.principal, new.scope, new.method, new.request_id)).fetchall():
        return replayed_of(row)
    if t.execute(_TAKEN, (new.name,)).fetchall():
        raise ValueError(f"there is an operation {new.name!r}")
    raise OperationConflictError(new.resource)


def replayed_of(row: tuple[Any, ...]) -> Created:
    """What an earlier request made."""
    return Created(record=record_of(row[1:]), request_hash=row[0], lease=None, existed=True)


def claim(t: Transaction, name: str, terms: ClaimTerms) -> Lease | None:
    """See `OperationStore.claim`."""
    expires = t.now + micros(terms.ttl)
    parameters = (expires, terms.worker, t.now, name, t.now, *terms.methods)
    rows = t.execute(_claim_of(len(terms.methods)), parameters).fetchall()
    return lease_of(rows[0], t.now) if rows else None


@functools.lru_cache(maxsize=64)
def _claim_of(methods: int) -> str:
    return _CLAIM % ", ".join("?" * methods)


def renew(t: Transaction, fences: Mapping[str, int], ttl: float) -> dict[str, bool]:
    """See `OperationStore.renew`."""
    expires, held = t.now + micros(ttl), dict[str, bool]()
    for name, fence in fences.items():
        for (cancel,) in t.execute(_RENEW, (expires, name, fence)).fetchall():
            held[name] = cancel == 1
    return held


def update(t: Transaction, name: str, fence: int, metadata: bytes | None, checkpoint: bytes | None) -> bool:
    """See `OperationStore.update`.

    Raises:
        LeaseLostError: The lease is not held any more; nothing was written.
    """
    seen = None if metadata is None else t.now  # callers do not see checkpoints
    rows = t.execute(_UPDATE, (metadata, checkpoint, seen, name, fence)).fetchall()
    if not rows:
        raise LeaseLostError(name)
    return bool(rows[0][0])


def finish(t: Transaction, name: str, fence: int, outcome: Outcome, metadata: bytes | None) -> None:
    """See `OperationStore.finish`.

    Raises:
        LeaseLostError: The lease is not held any more; nothing was written.
    """
    written = t.execute(_FINISH, (metadata, *_ended(t, outcome), name, fence))
    if written.rowcount != 1:
        raise LeaseLostError(name)
    t.changed.append(name)


def release(t: Transaction, fences: Mapping[str, int]) -> None:
    """See `OperationStore.release`."""
    for name, fence in fences.items():
        if t.execute(_RELEASE, (name, fence)).rowcount == 1:
            continue
        if t.execute(_RELEASE_CANCELLED, (*_ended(t, CANCELLED), name, fence)).rowcount == 1:
            t.changed.append(name)


def request_cancel(t: Transaction, name: str, scope: str | None) -> OperationRecord | None:
    """See `OperationStore.request_cancel`."""
    for sequence, cancellable, queued, *row in t.execute(_STANDING, (name, scope)).fetchall():
        if not cancellable:
            return record_of(tuple(row))
        t.changed.append(name)
        if queued:
            return record_of(t.execute(_CANCEL_QUEUED, (*_ended(t, CANCELLED), sequence)).fetchall()[0])
        t.execute(_CANCEL_RUNNING, (t.number(), sequence))
        return record_of(tuple(row))
    return None


def delete(t: Transaction, name: str, scope: str | None) -> bool:
    """See `OperationStore.delete`."""
    for (sequence,) in t.execute(_VISIBLE, (name, scope)).fetchall():
        t.execute(_DELETE, (t.number(), sequence))
        t.changed.append(name)
        return True
    return False


def due(t: Transaction, methods: Collection[str], limit: int, hold: float) -> tuple[tuple[str, str], ...]:
    """See `OperationStore.due`."""
    window = max(limit, DUE_WINDOW)
    ready: list[tuple[int, str, str]] = []
    for method in frozenset(methods):
        ready += t.execute(_READY, (method, t.now, window)).fetchall()
    ready.sort()
    until = t.now + micros(hold)
    for sequence, _, _ in ready[:limit]:
        t.execute(_HOLD, (until, sequence))
    return tuple((name, method) for _, name, method in ready[:limit])


def abandon(t: Transaction, limit: int) -> tuple[str, ...]:
    """See `OperationStore.abandon`."""
    names: list[str] = []
    for sequence, name, cancel, attempts in t.execute(_GIVEN_UP, (t.now, limit)).fetchall():
        t.execute(_GIVE_UP, (*_ended(t, CANCELLED if cancel else exhausted(attempts)), sequence))
        names.append(name)
    t.changed += names
    return tuple(names)


def purge(t: Transaction, older_than: float, limit: int) -> int:
    """See `OperationStore.purge`."""
    return t.execute(_PURGE, (t.now - micros(older_than), limit)).rowcount


def secret(t: Transaction, purpose: str) -> bytes:
    """See `OperationStore.secret`."""
    key = f"secret {purpose}"
    t.execute(
        "insert into settings (key, value) values (?, ?) on conflict do nothing", (key, secrets.token_bytes(_SECRET))
    )
    rows: list[tuple[Any]] = t.execute("select value from settings where key = ?", (key,)).fetchall()
    return bytes(rows[0][0])


def _ended(t: Transaction, outcome: Outcome) -> tuple[int | None, bytes, int, int, int]:
    """What the columns of an end are set to."""
    return outcome.code, outcome.payload, t.now, t.now, t.number()
