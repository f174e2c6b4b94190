# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The server: its five methods, and starting, over both kinds of gRPC server and both stores."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import grpc
import pytest
from google.protobuf import empty_pb2
from google.rpc import error_details_pb2, status_pb2

from example.library.v1 import library_pb2
from longrunning import OperationState, PollPolicy
from longrunning._pb import operations_pb2
from longrunning.errors import OperationNotFoundError
from longrunning.server import NamePattern
from tests.pair.colours import CREATE_SHELF, IMPORT_BOOKS
from tests.pair.serving import (
    ABSENT,
    CREATE,
    DELETE,
    DELETE_SHELF,
    EDGES,
    IMPORT,
    PARENT,
    SERVICE,
    Edge,
    Gate,
    Place,
    Running,
    eventually,
    everywhere,
    importing,
    over,
    refusal,
)

QUICK: Final = PollPolicy(initial=0.01)
MALFORMED: Final = (
    "",
    "nonsense",
    "operations/1",
    f"{PARENT}/operations",
    f"{PARENT}/operations/",
    f"/{PARENT}/operations/1",
    f"{PARENT}/operations/1/2",
    f"{PARENT}/operations/a b",
    f"{PARENT}/operations/..",
    f"{PARENT}/operations/-",
    "shelves//operations/1",
    "shelves/-/operations/1",
    f"{PARENT}/operations/{{operation}}",
    f"{PARENT}/operations/1\n",
    f"{PARENT}/operations/\u202e1",
    f"{PARENT}/operations/{'1' * 2000}",
)
ONE: Final[dict[str, Callable[[Running, str], Any]]] = {
    "get": lambda running, name: running.raw.get(name),
    "cancel": lambda running, name: running.raw.cancel(name),
    "delete": lambda running, name: running.raw.delete(name),
    "wait": lambda running, name: running.raw.wait(name, 5),
}


def details(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    """The rich status of an error."""
    found = [value for key, value in error.trailing_metadata() or () if key == "grpc-status-details-bin"]
    assert isinstance(found[0], bytes)
    return status_pb2.Status.FromString(found[0])


@over(edges=tuple(Edge))
async def test_the_async_client_does_everything(place: Place) -> None:
    """Our async client starts, watches, waits for, gets, lists, cancels and deletes operations (SRV-1)."""
    async with place.serving() as running:
        client = running.client
        handle = await client.start(IMPORT_BOOKS, IMPORT)
        assert handle.name.startswith(f"{PARENT}/operations/")
        assert (await handle.result(timeout=10)).imported == 4
        final = await client.get(handle.name, IMPORT_BOOKS)
        assert final.state is OperationState.SUCCEEDED
        assert final.metadata == library_pb2.ImportBooksMetadata(total=4, done=4)
        shelf = await client.start(CREATE_SHELF, CREATE)
        assert (await shelf).theme == "music"
        deleting = await client.start(DELETE_SHELF, DELETE)
        assert await deleting.result(timeout=10) == empty_pb2.Empty()
        listed = [operation.name async for operation in client.list(PARENT)]
        assert listed == [deleting.name, shelf.name, handle.name]
        await client.cancel(handle.name)
        assert (await client.get(handle.name)).state is OperationState.SUCCEEDED
        await client.delete(handle.name)
        with pytest.raises(OperationNotFoundError):
            await client.get(handle.name)


@over(edges=tuple(Edge))
async def test_the_sync_client_does_everything(place: Place) -> None:
    """Our sync client starts, watches, waits for, gets, lists, cancels and deletes operations (SRV-1)."""
    async with place.serving() as running:

        def talk() -> None:
            with running.sync_client() as client:
                handle = client.start(IMPORT_BOOKS, IMPORT)
                assert handle.result(timeout=10).imported == 4
                seen = list(client.start(CREATE_SHELF, CREATE).watch(timeout=10, policy=QUICK))
                assert seen[-1].result().theme == "music"
                assert len(list(client.list(PARENT))) == 2
                client.cancel(handle.name)
                client.delete(handle.name)
                with pytest.raises(OperationNotFoundError):
                    client.get(handle.name)

        await asyncio.to_thread(talk)


@everywhere
async def test_what_the_wire_has_of_an_operation(place: Place) -> None:
    """The reply to a start is not done; the final reply has name, metadata and response, and no error (SRV-1)."""
    gate = Gate()
    async with place.serving(importing(gate.aio)) as running:
        started = await running.raw.start(IMPORT_BOOKS, IMPORT)
        assert started == operations_pb2.Operation(name=started.name)
        gate.open()
        done = await running.done(started.name)
        assert done.WhichOneof("result") == "response"
        assert not done.HasField("metadata")
        assert done.response.type_url == "type.googleapis.com/example.library.v1.ImportBooksResponse"
        assert done == await running.raw.get(started.name)
        assert (await running.raw.list(PARENT)).operations[0] == done


@everywhere
async def test_an_unknown_name_is_not_found(place: Place) -> None:
    """Get, Cancel, Delete and Wait say NOT_FOUND of a name nobody has, and name it (SRV-1)."""
    async with place.serving() as running:
        for call in ONE.values():
            error = await refusal(call(running, ABSENT))
            assert error.code() is grpc.StatusCode.NOT_FOUND
            assert ABSENT in (error.details() or "")


@everywhere
async def test_a_malformed_name_is_an_invalid_argument(place: Place) -> None:
    """Get, Cancel, Delete and Wait say INVALID_ARGUMENT of what is no name, with the pattern and the field (SRV-1)."""
    async with place.serving() as running:
        for name in MALFORMED:
            for call in ONE.values():
                error = await refusal(call(running, name))
                assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, name
                assert "shelves/{shelf}/operations/{operation}" in (error.details() or "")
                status = details(error)
                bad = error_details_pb2.BadRequest()
                assert status.details[0].Unpack(bad)
                assert bad.field_violations[0].field == "name"
                assert status.message == error.details()


@everywhere
async def test_lists_take_a_parent(place: Place) -> None:
    """A list takes a parent, or a parent and the collection; what is neither is INVALID_ARGUMENT (SRV-1, PAGE-1)."""
    async with place.serving() as running:
        name = await running.start()
        await running.start(request=library_pb2.ImportBooksRequest(parent="shelves/2"))
        for parent in (PARENT, f"{PARENT}/operations"):
            assert [operation.name for operation in (await running.raw.list(parent)).operations] == [name]
        assert len((await running.raw.list("shelves/-")).operations) == 2
        assert not (await running.raw.list("shelves/3")).operations
        for parent in ("", "operations", "shelves", "shelves/1/2", "shelves/..", "books/1", f"{PARENT}/"):
            assert (await refusal(running.raw.list(parent))).code() is grpc.StatusCode.INVALID_ARGUMENT, parent


@everywhere
async def test_a_service_without_parents(place: Place) -> None:
    """With the pattern operations/{operation} all is listed under the empty name (SRV-1, SRV-3)."""
    async with place.serving(names=NamePattern("operations/{operation}")) as running:
        name = await running.start()
        assert name.startswith("operations/op-")
        for parent in ("", "operations"):
            assert [operation.name for operation in (await running.raw.list(parent)).operations] == [name]
        assert (await refusal(running.raw.list(PARENT))).code() is grpc.StatusCode.INVALID_ARGUMENT


@over(stores=("memory",))
async def test_bytes_that_are_no_request(place: Place) -> None:
    """What does not decode is INVALID_ARGUMENT in all six methods, and nothing is stored (SRV-1, SRV-2)."""
    async with place.serving() as running:
        for path in (*(f"{SERVICE}{rpc}Operation" for rpc in ("Get", "Cancel", "Delete", "Wait")), IMPORT_BOOKS.path):
            for data in (b"\xff", b"\x0a\xff", b"\x0a\x01\xff"):
                error = await refusal(running.raw.call(path, data, operations_pb2.Operation))
                assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, (path, data)
        error = await refusal(running.raw.call(f"{SERVICE}ListOperations", b"\x12\x01\xff", empty_pb2.Empty))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert not (await running.raw.list(PARENT)).operations


@over(stores=("memory",))
async def test_what_is_not_served_is_unimplemented(place: Place) -> None:
    """A path without a handler, and one with serve=False, are UNIMPLEMENTED (SRV-1)."""
    gate = Gate()
    async with place.serving(importing(gate.aio, serve=False)) as running:
        for method in (IMPORT_BOOKS, CREATE_SHELF):
            error = await refusal(running.raw.start(method, IMPORT))
            assert error.code() is grpc.StatusCode.UNIMPLEMENTED
        error = await refusal(running.raw.call(f"{SERVICE}PauseOperation", IMPORT, empty_pb2.Empty))
        assert error.code() is grpc.StatusCode.UNIMPLEMENTED


@over(stores=("memory",))
async def test_a_method_registered_later_is_served(place: Place) -> None:
    """A handler may be registered while the server runs: its RPC is served from then on (SRV-1)."""
    gate = Gate()
    gate.open()
    async with place.serving(lambda server: None) as running:
        assert (await refusal(running.raw.start(IMPORT_BOOKS, IMPORT))).code() is grpc.StatusCode.UNIMPLEMENTED
        importing(gate.aio)(running.server)
        assert (await running.outcome()).HasField("response")


@over(edges=tuple(Edge))
async def test_nothing_is_served_before_the_server_runs_or_after(place: Place) -> None:
    """Before the server is entered, and after it was left, every call is UNAVAILABLE (SRV-1, SRV-2)."""
    async with place.serving(enter=False) as running:

        async def all_unavailable() -> None:
            for call in (*(call(running, ABSENT) for call in ONE.values()), running.raw.list(PARENT)):
                assert (await refusal(call)).code() is grpc.StatusCode.UNAVAILABLE
            error = await refusal(running.raw.start(IMPORT_BOOKS, IMPORT))
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            assert "not running" in (error.details() or "")

        await all_unavailable()
        await running.enter()
        assert (await running.outcome()).done
        await running.shut_down()
        await all_unavailable()


@over(stores=("memory",))
async def test_a_server_added_after_it_was_entered(place: Place) -> None:
    """It makes no difference whether the server is added to the gRPC server before it is entered or after (SRV-1)."""
    async with place.serving(add_first=False) as running:
        assert (await running.outcome()).done


@everywhere
async def test_a_deleted_operation_is_hidden_and_goes_on(place: Place) -> None:
    """A delete hides a running operation from Get, List, Wait, Cancel and Delete, and its handler goes on (SRV-5)."""
    gate = Gate()
    async with place.serving(importing(gate.aio)) as running:
        name, other = await running.start(), await running.start()
        context = await gate.entered()
        waiting = asyncio.ensure_future(running.raw.wait(name, 30))
        await eventually(lambda: running.waiters == 1)
        await running.raw.delete(name)
        assert (await refusal(waiting)).code() is grpc.StatusCode.NOT_FOUND
        for call in ONE.values():
            assert (await refusal(call(running, name))).code() is grpc.StatusCode.NOT_FOUND
        assert [operation.name for operation in (await running.raw.list(PARENT)).operations] == [other]
        assert not context.cancel_requested
        await context.update(library_pb2.ImportBooksMetadata(done=1), b"1")
        gate.open()
        await running.done(other)
        await eventually(lambda: gate.left == 2, what="the deleted one to end as well")
        assert (await refusal(running.raw.get(name))).code() is grpc.StatusCode.NOT_FOUND


@over(edges=EDGES, stores=("sqlite",))
async def test_operations_outlive_their_server(place: Place) -> None:
    """What one server stored the next one on the same file serves: done, deleted and not there (SRV-1, RUN-2)."""
    async with place.serving() as running:
        kept, deleted = await running.start(), await running.start()
        done = await running.done(kept)
        await running.done(deleted)
        await running.raw.delete(deleted)
    async with place.serving() as running:
        assert await running.raw.get(kept) == done
        assert (await refusal(running.raw.get(deleted))).code() is grpc.StatusCode.NOT_FOUND
