# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Stores: creating, reading, scopes, deleting, restarts, secrets."""

from __future__ import annotations

import asyncio
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from longrunning._lifecycle import Phase
from longrunning.server.storage import Created, OperationRecord, OperationStore
from tests.contract.stores import (
    METHOD,
    NAME,
    OTHER,
    SUCCESS,
    TTL,
    Clock,
    Kind,
    Play,
    Stage,
    new,
    terms,
)

EVERY_BYTE = bytes(range(256))
ODD_NAMES = (
    "operations/a",
    "operations/A",
    "operations/a ",
    "operations/%",
    "operations/_",
    "operations/'; DROP TABLE operations; --",
    'operations/"',
    "operations/\\",
    "operations/\t\r\n",
    "operations/" + unicodedata.normalize("NFC", "\u00e9"),
    "operations/" + unicodedata.normalize("NFD", "\u00e9"),
    "operations/\u202e\ufeff\u200b",
    "operations/\U0001f4da",
    "operations/\uffff",
    "operations/" + "x" * 2_000,
    "",
)


def test_a_store_is_an_operation_store(play: Play) -> None:
    """What the server is given does all that the Protocol names (law 7)."""

    async def scenario(stage: Stage) -> None:
        assert isinstance(stage.store, OperationStore)

    play(scenario)


def test_a_new_operation_is_returned_as_stored(play: Play) -> None:
    """What was stored comes back, with the times of the store's clock and nothing that has not happened (law 7)."""

    async def scenario(stage: Stage) -> None:
        operation = new(parent="shelves/1", scope="tenant 1", metadata=b"metadata", request_hash=b"hash")
        created = await stage.store.create(operation)
        record = OperationRecord(
            sequence=created.record.sequence,
            name=NAME,
            parent="shelves/1",
            method=METHOD,
            scope="tenant 1",
            done=False,
            code=None,
            metadata=b"metadata",
            result=None,
            create_time=stage.now,
            start_time=None,
            update_time=stage.now,
            end_time=None,
        )
        assert created == Created(record=record, request_hash=b"hash", lease=None, existed=False)
        stage.clock.advance(1)
        assert await stage.record() == record

    play(scenario)


def test_an_operation_can_be_claimed_as_it_is_made(play: Play) -> None:
    """Storing and claiming are one step: the lease has all that a worker needs (RUN-1)."""

    async def scenario(stage: Stage) -> None:
        operation = new(principal="ann", request=b"request", metadata=b"metadata", trace="00-1-2-01")
        created = await stage.store.create(operation, terms())
        lease = created.lease
        assert lease is not None
        assert (lease.name, lease.method, lease.principal) == (NAME, METHOD, "ann")
        assert (lease.request, lease.metadata, lease.trace) == (b"request", b"metadata", "00-1-2-01")
        assert (lease.checkpoint, lease.attempt, lease.create_time, lease.claim_time) == (None, 1, stage.now, stage.now)
        assert created.record.start_time == stage.now
        assert created.record == await stage.record()
        assert await stage.store.claim(NAME, terms("worker 2")) is None
        assert await stage.store.update(NAME, lease.fence) is False

    play(scenario)


def test_an_operation_of_a_method_the_worker_does_not_know_is_stored_unclaimed(play: Play) -> None:
    """A claim along with storing gives a worker no method it does not name (RUN-1)."""

    async def scenario(stage: Stage) -> None:
        created = await stage.store.create(new(), terms(methods=frozenset({OTHER})))
        assert created.lease is None
        assert created.record.start_time is None
        assert (await stage.claim()).attempt == 1

    play(scenario)


@pytest.mark.parametrize("deleted", [False, True], ids=["", "deleted"])
def test_a_name_is_taken_once(play: Play, deleted: bool) -> None:
    """A second operation of one name, which nobody guesses, is a mistake of the caller, and leaves the first alone (SRV-3)."""

    async def scenario(stage: Stage) -> None:
        before = await stage.create(metadata=b"first")
        if deleted:
            await stage.store.delete(NAME, None)
        with pytest.raises(ValueError, match=NAME):
            await stage.store.create(new(metadata=b"second", parent="shelves/2", request_id="1"), terms())
        assert await stage.store.get(NAME, None) == (None if deleted else before)
        assert await stage.names(parent="shelves/2") == []
        assert await stage.store.replayed("", "", METHOD, "1") is None
        assert (await stage.claim()).metadata == b"first"

    play(scenario)


def test_sequence_numbers_grow_and_are_never_used_twice(play: Play) -> None:
    """A number is not given away again after the newest operation was purged, nor after a restart (PAGE-1)."""

    async def scenario(stage: Stage) -> None:
        numbers = [(await stage.create(f"operations/{number}")).sequence for number in range(3)]
        numbers.append((await stage.ended("operations/newest")).sequence)
        stage.clock.advance(1)
        assert await stage.store.purge(older_than=0, limit=10) == 1
        await stage.reopen()
        numbers.append((await stage.create("operations/after")).sequence)
        assert numbers == sorted(set(numbers))

    play(scenario)


@pytest.mark.parametrize("field", ["request", "metadata", "checkpoint", "result", "request_hash"])
@pytest.mark.parametrize(
    "payload", [b"", b"\0", b"\0\0a\0", EVERY_BYTE, b"\xff" * 1_000_000, EVERY_BYTE * 4_096], ids=len
)
def test_payloads_are_kept_byte_for_byte(play: Play, field: str, payload: bytes) -> None:
    """Empty, with NUL, with every byte, and a megabyte of it: what goes in comes out (law 7)."""

    async def scenario(stage: Stage) -> None:
        at_start: dict[str, Any] = {field: payload} if field in {"request", "metadata", "request_hash"} else {}
        await stage.create(request_id="1", **at_start)
        first = await stage.claim()
        if field == "checkpoint":
            await stage.store.update(NAME, first.fence, checkpoint=payload)
        await stage.store.release({NAME: first.fence})
        await stage.reopen()
        lease = await stage.claim()
        await stage.store.finish(NAME, lease.fence, type(SUCCESS)(code=None, payload=payload))
        replayed = await stage.store.create(new("operations/2", request_id="1"))
        kept = {
            "request": lease.request,
            "metadata": lease.metadata,
            "checkpoint": lease.checkpoint,
            "result": (await stage.record()).result,
            "request_hash": replayed.request_hash,
        }
        assert kept[field] == payload
        assert type(kept[field]) is bytes

    play(scenario)


def test_no_metadata_is_not_empty_metadata(play: Play) -> None:
    """None and no bytes are kept apart, for metadata, for checkpoints, and for results (law 7)."""

    async def scenario(stage: Stage) -> None:
        assert (await stage.create("operations/none")).metadata is None
        assert (await stage.create("operations/empty", metadata=b"")).metadata == b""
        for name, metadata in (("operations/none", None), ("operations/empty", b"")):
            assert (await stage.record(name)).metadata == metadata
            lease = await stage.claim(name)
            assert (lease.metadata, lease.checkpoint) == (metadata, None)
            await stage.store.update(name, lease.fence, checkpoint=b"")
            assert (await stage.record(name)).metadata == metadata
            await stage.store.release({name: lease.fence})
            lease = await stage.claim(name)
            assert lease.checkpoint == b""
            assert (await stage.record(name)).result is None
            await stage.store.finish(name, lease.fence, type(SUCCESS)(code=None, payload=b""))
            assert (await stage.record(name)).result == b""

    play(scenario)


def test_names_are_compared_exactly(play: Play) -> None:
    """Names that look alike, are full of wildcards or quotes, or are very long are different operations (SRV-1)."""

    async def scenario(stage: Stage) -> None:
        for name in ODD_NAMES:
            await stage.create(name, parent=name, scope=name, metadata=name.encode())
        for name in ODD_NAMES:
            assert (await stage.record(name)).metadata == name.encode()
            assert await stage.names(parent=name) == [name]
            assert await stage.names(scope=name) == [name]
            assert (await stage.claim(name)).name == name
        assert await stage.names() == list(reversed(ODD_NAMES))
        for name in ODD_NAMES[::2]:
            assert await stage.store.delete(name, name)
        assert await stage.names() == list(reversed(ODD_NAMES[1::2]))

    play(scenario)


def test_what_nobody_made_is_absent(play: Play) -> None:
    """A name that is unknown is not found by anything, and nothing comes of asking (SRV-1)."""

    async def scenario(stage: Stage) -> None:
        assert await stage.store.get(NAME, None) is None
        assert await stage.store.claim(NAME, terms()) is None
        assert await stage.store.request_cancel(NAME, None) is None
        assert await stage.store.delete(NAME, None) is False
        assert dict(await stage.store.renew({NAME: 1}, TTL)) == {}
        await stage.store.release({NAME: 1})
        assert await stage.names() == []

    play(scenario)


# --- scopes, deleting


@pytest.mark.parametrize("scope", ["tenant", "tenant 10", "TENANT 1", "tenant 1 ", "", "%", "tenant__"])
def test_another_scope_sees_nothing(play: Play, scope: str) -> None:
    """What a scope may not see is absent for it, in every method that asks for one, and stays as it is (AUTH-3)."""

    async def scenario(stage: Stage) -> None:
        record = await stage.create(scope="tenant 1")
        assert await stage.store.get(NAME, scope) is None
        assert await stage.store.request_cancel(NAME, scope) is None
        assert await stage.store.delete(NAME, scope) is False
        assert await stage.names(scope=scope) == []
        for seeing in ("tenant 1", None):
            assert await stage.store.get(NAME, seeing) == record
            assert await stage.names(scope=seeing) == [NAME]

    play(scenario)


@pytest.mark.parametrize("scope", ["tenant 1", None])
def test_the_own_scope_may_cancel_and_delete(play: Play, scope: str | None) -> None:
    """The scope of the operation, and no scope at all, are those that may change it (AUTH-3)."""

    async def scenario(stage: Stage) -> None:
        await stage.create(scope="tenant 1")
        assert await stage.store.request_cancel(NAME, scope) == await stage.record()
        assert await stage.store.delete(NAME, scope) is True
        assert await stage.store.get(NAME, None) is None

    play(scenario)


@pytest.mark.parametrize("phase", Phase, ids=lambda phase: phase.value)
def test_a_deleted_operation_is_absent(play: Play, phase: Phase) -> None:
    """In every phase a delete hides it for good: from get, list, cancel and a second delete, also after a restart (SRV-5)."""

    async def scenario(stage: Stage) -> None:
        await stage.bring(phase, parent="shelves/1")
        assert await stage.store.delete(NAME, None) is True
        for _ in range(2):
            assert await stage.store.get(NAME, None) is None
            assert await stage.store.request_cancel(NAME, None) is None
            assert await stage.store.delete(NAME, None) is False
            assert await stage.names() == await stage.names(parent="shelves/1") == []
            await stage.reopen()

    play(scenario)


def test_a_delete_does_not_cancel(play: Play) -> None:
    """Workers take up a deleted operation, are told of no cancel, and go on to its end (SRV-5)."""

    async def scenario(stage: Stage) -> None:
        await stage.create(request_id="1")
        await stage.store.delete(NAME, None)
        assert await stage.store.due({METHOD}, limit=10, hold=1) == ((NAME, METHOD),)
        lease = await stage.claim()
        assert dict(await stage.store.renew({NAME: lease.fence}, TTL)) == {NAME: False}
        assert await stage.store.update(NAME, lease.fence, metadata=b"half", checkpoint=b"1") is False
        await stage.store.release({NAME: lease.fence})
        lease = await stage.claim()
        assert (lease.metadata, lease.checkpoint) == (b"half", b"1")
        await stage.store.finish(NAME, lease.fence, SUCCESS)
        replayed = (await stage.store.create(new("operations/2", request_id="1"))).record
        assert (replayed.name, replayed.done, replayed.result) == (NAME, True, SUCCESS.payload)
        assert await stage.store.get(NAME, None) is None

    play(scenario)


def test_a_delete_of_a_cancelled_one_does_not_undo_the_cancel(play: Play) -> None:
    """Whoever works on it is still told of the cancel that came before the delete (SRV-4, SRV-5)."""

    async def scenario(stage: Stage) -> None:
        lease = await stage.claimed()
        await stage.store.request_cancel(NAME, None)
        await stage.store.delete(NAME, None)
        assert await stage.store.update(NAME, lease.fence) is True

    play(scenario)


# --- opening, secrets


def test_a_store_keeps_what_it_acknowledged(play: Play) -> None:
    """What a method returned from is there after a restart, and after a crash: leases, times, cancels and all (RUN-2)."""

    async def scenario(stage: Stage) -> None:
        await stage.create("operations/queued", metadata=b"m")
        await stage.ended("operations/done")
        await stage.create("operations/cancelled")
        await stage.store.request_cancel("operations/cancelled", None)
        lease = await stage.claimed("operations/running")
        await stage.store.update("operations/running", lease.fence, metadata=b"half", checkpoint=b"1")
        cancelling = await stage.claimed("operations/cancelling")
        await stage.store.request_cancel("operations/cancelling", None)
        names = await stage.names()
        before = [await stage.record(name) for name in names]
        for again in (stage.reopen, stage.crash):
            await again()
            assert [await stage.record(name) for name in names] == before
            assert await stage.store.claim("operations/running", terms("worker 2")) is None
            fences = {"operations/running": lease.fence, "operations/cancelling": cancelling.fence}
            assert dict(await stage.store.renew(fences, TTL)) == {
                "operations/running": False,
                "operations/cancelling": True,
            }
        stage.clock.advance(TTL)
        assert (await stage.claim("operations/running")).checkpoint == b"1"

    play(scenario)


def test_a_secret_is_the_same_for_everybody(play: Play) -> None:
    """32 bytes, one for each purpose, the same in every store on the same operations and after a restart (SRV-11)."""

    async def scenario(stage: Stage) -> None:
        other = await stage.another()
        first = await asyncio.gather(*(store.secret("page tokens") for store in (stage.store, other) * 5))
        assert len(set(first)) == 1
        assert len(first[0]) == 32
        assert await other.secret("something else") != first[0]
        await stage.reopen()
        assert await stage.store.secret("page tokens") == first[0]

    play(scenario)


def test_closing_twice_does_nothing(kind: Kind, tmp_path: Path) -> None:
    """What is closed, or was never opened, can be closed: nobody has to keep track of it (RUN-4)."""

    async def scenario() -> None:
        store = kind.make(tmp_path, Clock())
        await store.open()
        await store.close()
        await store.close()
        await kind.make(tmp_path, Clock()).close()

    asyncio.run(scenario())


def test_two_stores_have_different_secrets(kind: Kind, play: Play, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A secret is random: no other store has it (SRV-11)."""

    async def scenario(stage: Stage) -> None:
        other = kind.make(tmp_path_factory.mktemp("other"), stage.clock)
        await other.open()
        secrets = {await stage.store.secret("page tokens"), await other.secret("page tokens")}
        await other.close()
        assert len(secrets) == 2

    play(scenario)
