# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The server: names of operations, and starting them without the RPC of the method."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from example.library.v1 import library_pb2
from longrunning import Code
from longrunning.errors import StartError
from longrunning.server import (
    Access,
    AllowAll,
    Call,
    MemoryStore,
    NamePattern,
    OperationsServer,
)
from tests.pair.colours import CREATE_SHELF, IMPORT_BOOKS
from tests.pair.meddling import Meddled
from tests.pair.serving import (
    CREATE,
    IMPORT,
    PARENT,
    Edge,
    Place,
    Running,
    eventually,
    everywhere,
    handled,
    importing,
    imports,
    once,
    over,
    refusal,
)
from tests.unit import builders


def parent_of(request: Any) -> str:
    """What excludes others."""
    return str(request.parent)


def uri_of(request: Any) -> str:
    """The same, finer."""
    return str(request.uri)


async def stored(running: Running) -> list[str]:
    """The names of all operations."""
    return [operation.name for operation in (await running.raw.list("shelves/-")).operations]


# --- names


@everywhere
async def test_names_are_new_and_unguessable(place: Place) -> None:
    """Names follow the pattern, with a parent of the request's own and an id of 128 random bits (SRV-3)."""
    pattern = NamePattern("shelves/{shelf}/imports/{import}")
    async with place.serving(names=pattern) as running:
        names = [await running.start() for _ in range(50)]
        assert len(set(names)) == 50
        for name in names:
            parent, _, last = name.rpartition("/imports/op-")
            assert parent == PARENT
            assert len(bytes.fromhex(last)) * 8 >= 128
        shelf = await running.start(CREATE_SHELF, CREATE)
        assert shelf.startswith("shelves/1/imports/op-")
        bits = [int(name[-32:], 16) for name in names]
        ones = sum(number.bit_count() for number in bits) / (50 * 128)
        assert 0.42 < ones < 0.58
        assert all(any(number >> bit & 1 for number in bits) for bit in range(128))


@everywhere
async def test_parents_of_ones_own(place: Place) -> None:
    """A parent may be a text, or a function of the request; what that returns has to fit the pattern (SRV-3)."""
    register = importing(imports, parent=uri_of)
    async with place.serving(
        lambda server: (register(server), handled(CREATE_SHELF, shelf, parent="shelves/all")(server))
    ) as running:
        request = library_pb2.ImportBooksRequest(uri="shelves/9")
        assert (await running.start(request=request)).startswith("shelves/9/operations/")
        assert (await running.start(CREATE_SHELF, CREATE)).startswith("shelves/all/operations/")
        error = await refusal(running.raw.start(IMPORT_BOOKS, IMPORT))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "shelves/{shelf}" in (error.details() or "")


async def shelf(request: Any, context: Any) -> Any:
    """Creates a shelf."""
    return request.shelf


# --- from within the process


@everywhere
async def test_starting_without_an_rpc(place: Place) -> None:
    """start() from within the process stores and runs an operation; what prevents it is a StartError (SRV-2)."""
    seen: list[Call] = []

    class Watched:
        def authorize(self, call: Call, /) -> Access:
            seen.append(call)
            return AllowAll().authorize(call)

    async with place.serving(authorizer=Watched()) as running:
        server = running.server
        started = await server.start(IMPORT_BOOKS, IMPORT)
        assert (await running.done(started.name)).HasField("response")
        assert (seen[0].method, seen[0].name, seen[0].transport, seen[0].headers) == (
            IMPORT_BOOKS.path, PARENT, None, (),
        )  # fmt: skip
        elsewhere = await server.start(IMPORT_BOOKS, IMPORT, parent="shelves/2")
        assert elsewhere.name.startswith("shelves/2/operations/")
        blocking = await asyncio.to_thread(server.start_blocking, IMPORT_BOOKS, IMPORT)
        assert (await running.done(blocking.name)).HasField("response")
        for parent in ("nonsense", "shelves/-"):
            with pytest.raises(StartError) as caught:
                await server.start(IMPORT_BOOKS, IMPORT, parent=parent)
            assert caught.value.code is Code.INVALID_ARGUMENT
            assert IMPORT_BOOKS.path in str(caught.value)
            with pytest.raises(StartError):
                await asyncio.to_thread(server.start_blocking, IMPORT_BOOKS, IMPORT, parent=parent)
        with pytest.raises(ValueError, match="has no handler"):
            await server.start(builders.CREATE, IMPORT)
        with pytest.raises(ValueError, match="has no handler"):
            await asyncio.to_thread(server.start_blocking, builders.CREATE, IMPORT)


@everywhere
async def test_starting_blocks_no_loop(place: Place) -> None:
    """start_blocking() on the very loop the server runs on is a RuntimeError, not a deadlock (SRV-2)."""
    async with place.serving() as running:
        with pytest.raises(RuntimeError, match="await start"):
            running.server.start_blocking(IMPORT_BOOKS, IMPORT)


@once
async def test_starting_from_another_loop(place: Place) -> None:
    """start() works on whatever event loop it is awaited (SRV-2)."""
    async with place.serving() as running:
        started = await asyncio.to_thread(lambda: asyncio.run(running.server.start(IMPORT_BOOKS, IMPORT)))
        assert (await running.done(started.name)).HasField("response")


@over(edges=tuple(Edge), stores=("memory",))
async def test_starting_while_nothing_runs(place: Place) -> None:
    """start() and start_blocking() outside of the server's time are a RuntimeError that says to enter it (SRV-2)."""
    async with place.serving(enter=False) as running:
        for _ in range(2):
            with pytest.raises(RuntimeError, match="not running"):
                await running.server.start(IMPORT_BOOKS, IMPORT)
            with pytest.raises(RuntimeError, match="not running"):
                await asyncio.to_thread(running.server.start_blocking, IMPORT_BOOKS, IMPORT)
            await running.enter()
            await running.shut_down()


@over(edges=(Edge.THREAD,))
async def test_starting_as_the_server_ends(place: Place) -> None:
    """A start_blocking() that the end of the server overtakes returns, or raises StartError UNAVAILABLE (SRV-2, RUN-4)."""
    store = Meddled(place.store())

    async def slowly(*arguments: Any) -> None:
        await asyncio.sleep(0.2)

    async with place.serving(store=store) as running:
        store.before["create"] = slowly
        starting = asyncio.ensure_future(asyncio.to_thread(running.server.start_blocking, IMPORT_BOOKS, IMPORT))
        await eventually(lambda: "create" in store.calls)
        await running.shut_down()
        try:
            assert (await starting).name
        except StartError as error:
            assert error.code is Code.UNAVAILABLE  # noqa: PT017 (either is fine)


@once
async def test_starting_with_another_request(place: Place) -> None:
    """start() with a message of another type is a TypeError: nothing is stored that no handler could read (SRV-2)."""
    async with place.serving() as running:
        wrong: Any = CREATE
        with pytest.raises(TypeError, match="ImportBooksRequest"):
            await running.server.start(IMPORT_BOOKS, wrong)
        assert not await stored(running)


def test_a_server_in_use_has_a_name() -> None:
    """The representation of a server says what it serves and whether it runs (SRV-1)."""
    server = OperationsServer(store=MemoryStore(), authorizer=AllowAll())
    importing(imports)(server)
    assert repr(server) == "<OperationsServer 1 method(s), operations/{operation}, not running>"
