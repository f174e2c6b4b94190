# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Stores: requests that are sent again, and operations that exclude each other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from longrunning._lifecycle import Phase
from longrunning.errors import OperationConflictError
from longrunning.server.storage import Created
from tests.contract.stores import METHOD, NAME, OTHER, SUCCESS, TTL, Play, Stage, new, replay_key, terms

RESOURCE = "shelves/1"

# --- replayed requests


@pytest.mark.parametrize("phase", Phase, ids=lambda phase: phase.value)
@pytest.mark.parametrize("deleted", [False, True], ids=["", "deleted"])
def test_a_replayed_request_is_the_operation_it_made(play: Play, phase: Phase, deleted: bool) -> None:
    """The same principal, scope, method and request id make nothing: whatever became of the first, it is returned (SRV-5, SRV-7)."""

    async def scenario(stage: Stage) -> None:
        await stage.bring(phase, principal="ann", request_id="1", request_hash=b"first", resource=RESOURCE)
        before = await stage.record()
        if deleted:
            await stage.store.delete(NAME, None)
        await stage.reopen()
        again = new("operations/2", principal="ann", request_id="1", request_hash=b"second", resource=RESOURCE)
        expected = Created(record=before, request_hash=b"first", lease=None, existed=True)
        assert await stage.store.create(again) == expected
        assert await stage.store.create(again, terms()) == expected
        assert await stage.store.replayed(*replay_key(again)) == expected
        assert await stage.store.get("operations/2", None) is None
        assert await stage.names() == ([] if deleted else [NAME])

    play(scenario)


@pytest.mark.parametrize(
    "other",
    [
        {"principal": "bob"},
        {"principal": ""},
        {"principal": "ANN"},
        {"method": OTHER},
        {"scope": "another"},
        {"scope": ""},
        {"request_id": "2"},
        {"request_id": "A"},
        {"principal": "an", "scope": "nthe same"},
        {"principal": "", "request_id": "anna"},
    ],
    ids=str,
)
def test_a_request_id_is_of_one_caller_and_method(play: Play, other: dict[str, str]) -> None:
    """What differs in principal, scope, method or id is another request, and makes another operation (SRV-7, AUTH-3)."""

    async def scenario(stage: Stage) -> None:
        fields = {"principal": "ann", "request_id": "a", "scope": "the same", "parent": "the same"}
        await stage.create(**fields)
        assert await stage.store.replayed(*replay_key(new(**(fields | other)))) is None
        await stage.create("operations/2", **(fields | other))
        assert await stage.names() == ["operations/2", NAME]

    play(scenario)


def test_no_request_id_is_no_request_id(play: Play) -> None:
    """Requests without an id are never taken for one another (SRV-7)."""

    async def scenario(stage: Stage) -> None:
        await stage.create(principal="ann")
        assert await stage.store.replayed("ann", "", METHOD, "") is None
        await stage.create("operations/2", principal="ann")

    play(scenario)


def test_a_purged_operation_takes_its_request_id_along(play: Play) -> None:
    """A request id is good for as long as its operation is kept, and then makes a new one (SRV-7, SRV-9)."""

    async def scenario(stage: Stage) -> None:
        await stage.ended(request_id="1")
        await stage.ended("operations/deleted", request_id="2")
        await stage.store.delete("operations/deleted", None)
        stage.clock.advance(1)
        assert await stage.store.purge(older_than=0, limit=10) == 2
        assert await stage.store.replayed("", "", METHOD, "1") is None
        await stage.create("operations/2", request_id="1")
        await stage.create("operations/3", request_id="2")
        assert await stage.names() == ["operations/3", "operations/2"]

    play(scenario)


def test_replays_at_the_same_moment_make_one_operation(play: Play) -> None:
    """Of many requests with one id that arrive together, one makes the operation, and all get it (SRV-7)."""

    async def scenario(stage: Stage) -> None:
        stores = [stage.store, await stage.another(), await stage.another()]
        operations = [new(f"operations/{number}", request_id="1") for number in range(30)]
        created = await asyncio.gather(
            *(stores[number % 3].create(operation, terms()) for number, operation in enumerate(operations))
        )
        assert len({one.record.name for one in created}) == 1
        assert [one.existed for one in created].count(False) == 1
        assert [one.lease is None for one in created].count(False) == 1
        assert len(await stage.names()) == 1

    play(scenario)


# --- resources


@pytest.mark.parametrize("phase", Phase, ids=lambda phase: phase.value)
@pytest.mark.parametrize("deleted", [False, True], ids=["", "deleted"])
def test_a_resource_is_held_until_its_operation_is_done(play: Play, phase: Phase, deleted: bool) -> None:
    """While an operation is not done nobody else gets its resource, deleted or not; refused, nothing is stored (SRV-8)."""

    async def scenario(stage: Stage) -> None:
        await stage.bring(phase, resource=RESOURCE)
        if deleted:
            await stage.store.delete(NAME, None)
        await stage.reopen()
        second = new("operations/2", method=OTHER, principal="bob", scope="other", resource=RESOURCE, request_id="1")
        if phase.done:
            assert not (await stage.store.create(second)).existed
            return
        for claim in (None, terms()):
            with pytest.raises(OperationConflictError) as caught:
                await stage.store.create(second, claim)
            assert caught.value.resource == RESOURCE
        assert await stage.store.get("operations/2", None) is None
        await stage.create("operations/3", method=OTHER, principal="bob", request_id="1")

    play(scenario)


async def by_abandoning(stage: Stage) -> None:
    stage.clock.advance(TTL)
    assert await stage.store.abandon(limit=10) == (NAME,)


async def by_cancelling_and_releasing(stage: Stage) -> None:
    await stage.store.request_cancel(NAME, None)
    await stage.store.release({NAME: 1})


async def by_releasing_and_cancelling(stage: Stage) -> None:
    await stage.store.release({NAME: 1})
    await stage.store.request_cancel(NAME, None)


async def by_finishing(stage: Stage) -> None:
    await stage.store.finish(NAME, 1, SUCCESS)


@pytest.mark.parametrize(
    "end",
    [by_abandoning, by_cancelling_and_releasing, by_releasing_and_cancelling, by_finishing],
    ids=lambda end: end.__name__,
)
def test_every_end_frees_the_resource(play: Play, end: Callable[[Stage], Awaitable[None]]) -> None:
    """However an operation ends, the next one gets its resource (SRV-8)."""

    async def scenario(stage: Stage) -> None:
        await stage.claimed(resource=RESOURCE, max_attempts=1)
        await end(stage)
        assert (await stage.record()).done
        await stage.create("operations/2", resource=RESOURCE)
        with pytest.raises(OperationConflictError):
            await stage.create("operations/3", resource=RESOURCE)

    play(scenario)


def test_other_resources_and_none_do_not_conflict(play: Play) -> None:
    """Resources are compared exactly, and operations without one exclude nobody (SRV-8)."""

    async def scenario(stage: Stage) -> None:
        for number, resource in enumerate(
            ["", "", RESOURCE, RESOURCE + "0", RESOURCE.upper(), "shelves/%", "shelves/_"]
        ):
            await stage.create(f"operations/{number}", resource=resource)

    play(scenario)


def test_a_resource_goes_to_one_of_many(play: Play) -> None:
    """Of many operations on one resource that start together, one is stored (SRV-8)."""

    async def scenario(stage: Stage) -> None:
        stores = [stage.store, await stage.another(), await stage.another()]
        found = await asyncio.gather(
            *(stores[number % 3].create(new(f"operations/{number}", resource=RESOURCE)) for number in range(30)),
            return_exceptions=True,
        )
        stored = [one.record.name for one in found if isinstance(one, Created)]
        assert len(stored) == 1
        assert sum(isinstance(one, OperationConflictError) for one in found) == 29
        assert await stage.names() == stored

    play(scenario)
