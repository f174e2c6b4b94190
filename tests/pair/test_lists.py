# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Waiting for many operations through ListOperations."""

from __future__ import annotations

from typing import Any

import pytest

from longrunning import Code, Operation, PollPolicy
from longrunning.errors import OperationNotFoundError
from longrunning.testing import ScriptedOperations, Step, pending, raw, rpc_error, unavailable
from tests.pair.colours import GET, IMPORT_BOOKS, RESPONSE, Both, both_colours, imported

LIST = "ListOperations"
POLICY = PollPolicy(initial=1, maximum=1, jitter=0)
NAMES = [f"shelves/1/operations/{index}" for index in range(6)]


def attach(client: Any, names: list[str]) -> list[Any]:
    """Handles for operations of those names."""
    return [client.attach(name, IMPORT_BOOKS) for name in names]


def results(found: list[Any]) -> list[Any]:
    """What the operations came to."""
    return [operation.result() if isinstance(operation, Operation) else type(operation) for operation in found]


@both_colours
async def test_lists_answer_for_all(both: Both) -> None:
    """With list_parent a sweep of pages answers every wait that is due: nothing is asked for singly (WAIT-11)."""
    scripted = ScriptedOperations({name: [imported()] for name in NAMES}, page_size=4)
    async with both.pair(scripted, policy=POLICY) as pair:
        found = await both(pair.client.wait_all(attach(pair.client, NAMES), list_parent="shelves/1"))
        assert results(found) == [RESPONSE] * 6
        assert scripted.rpcs() == [LIST, LIST]


@both_colours
async def test_sweeps_are_spaced_like_polls(both: Both) -> None:
    """While nothing is done, sweeps come as often as polls of one operation would (WAIT-1, WAIT-11)."""
    scripted = ScriptedOperations({name: [pending()] for name in NAMES})
    async with both.pair(scripted, policy=POLICY) as pair:
        found = await both(pair.client.wait_all(attach(pair.client, NAMES), timeout=3, list_parent="shelves/1"))
        assert all(isinstance(error, TimeoutError) for error in found)
        assert pair.clock.sleeps == [1, 1, 1]
        assert scripted.rpcs() == [LIST] * 4


@both_colours
async def test_what_no_list_shows_is_asked_for(both: Both) -> None:
    """An operation under another parent, or one that is gone, is asked for by its name (WAIT-7, WAIT-11)."""
    scripted = ScriptedOperations({NAMES[0]: [imported()], "elsewhere/operations/1": [imported()]})
    async with both.pair(scripted, policy=POLICY) as pair:
        handles = attach(pair.client, [NAMES[0], "elsewhere/operations/1", "shelves/1/operations/gone"])
        found = await both(pair.client.wait_all(handles, list_parent="shelves/1"))
        assert results(found) == [RESPONSE, RESPONSE, OperationNotFoundError]
        assert scripted.rpcs() == [LIST, GET, GET]


@pytest.mark.parametrize("code", [Code.UNIMPLEMENTED, Code.PERMISSION_DENIED, Code.NOT_FOUND])
@both_colours
async def test_a_server_that_does_not_list(both: Both, code: Code) -> None:
    """Where lists are refused, each operation is asked for, and no wait ends by it (WAIT-6, WAIT-11)."""
    scripted = ScriptedOperations({name: [pending(), imported()] for name in NAMES})
    scripted.fails(LIST, rpc_error(code, "no", times=None))
    async with both.pair(scripted, policy=POLICY) as pair:
        found = await both(pair.client.wait_all(attach(pair.client, NAMES), list_parent="shelves/1"))
        assert results(found) == [RESPONSE] * 6
        assert scripted.rpcs().count(LIST) == 1


@both_colours
async def test_hiccups_of_lists_pass(both: Both) -> None:
    """UNAVAILABLE from a list is retried like that of a poll (WAIT-6, WAIT-11)."""
    scripted = ScriptedOperations({name: [imported()] for name in NAMES})
    scripted.fails(LIST, unavailable(times=3))
    async with both.pair(scripted, policy=POLICY) as pair:
        found = await both(pair.client.wait_all(attach(pair.client, NAMES), list_parent="shelves/1"))
        assert results(found) == [RESPONSE] * 6
        assert scripted.rpcs() == [LIST] * 4


@both_colours
async def test_a_page_that_cannot_be_read_spoils_no_wait(both: Both) -> None:
    """Bytes that are no operation, under the same parent, do not end the waits for the others (WAIT-11, law 4)."""
    scripts: dict[str, list[Step]] = {name: [imported()] for name in NAMES}
    scripted = ScriptedOperations(scripts | {"shelves/1/operations/broken": [raw(b"\xff\xff")]})
    async with both.pair(scripted, policy=POLICY) as pair:
        found = await both(pair.client.wait_all(attach(pair.client, NAMES), list_parent="shelves/1"))
        assert results(found) == [RESPONSE] * 6
