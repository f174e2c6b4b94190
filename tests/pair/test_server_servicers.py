# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The server: servicers written by hand, which call `start` and `start_blocking` themselves."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import grpc
import pytest
from google.rpc import error_details_pb2

from example.library.v1 import library_pb2
from longrunning import Code, OperationError, Status
from longrunning._pb import operations_pb2
from longrunning.errors import StoreUnavailableError
from longrunning.server import Access, Call, LocalExecutor, OperationsServer
from tests.pair.colours import IMPORT_BOOKS
from tests.pair.meddling import Meddled, failing
from tests.pair.serving import (
    EDGES,
    IMPORT,
    PARENT,
    Edge,
    Gate,
    Place,
    Running,
    importing,
    imports,
    over,
    refusal,
)

SECRET: Final = "/srv/secrets/keys.db: no such column: select * from accounts"
by_hand: Final = over(edges=EDGES, stores=("memory",))


def by_a_servicer(
    place: Place, handler: Callable[..., Any] = imports, *, started: Any = None, options: Any = None, **arguments: Any
) -> AbstractAsyncContextManager[Running]:
    """A server with a servicer of ImportBooks that starts the operation itself.

    Args:
        place: Where.
        handler: Of the method.
        started: Further arguments of `start`.
        options: Further arguments of the registration.
        arguments: As of `serving`.
    """
    more: dict[str, Any] = started or {}

    def also(grpc_server: Any, server: OperationsServer) -> None:
        async def import_books(request: Any, context: Any) -> Any:
            return await server.start(IMPORT_BOOKS, request, context, **more)

        def import_books_in_thread(request: Any, context: Any) -> Any:
            return server.start_blocking(IMPORT_BOOKS, request, context, **more)

        kind: Any = grpc.unary_unary_rpc_method_handler
        method = kind(
            import_books if place.edge is Edge.AIO else import_books_in_thread,
            request_deserializer=library_pb2.ImportBooksRequest.FromString,
            response_serializer=operations_pb2.Operation.SerializeToString,
        )
        handlers = grpc.method_handlers_generic_handler("example.library.v1.Library", {"ImportBooks": method})
        grpc_server.add_generic_rpc_handlers((handlers,))

    return place.serving(importing(handler, serve=False, **(options or {})), also=also, **arguments)


@by_hand
async def test_a_servicer_starts_operations(place: Place) -> None:
    """What a servicer gets from start() is the reply of its RPC; the operation runs and is served as any other (SRV-1)."""
    async with by_a_servicer(place) as running:
        started = await running.raw.start(IMPORT_BOOKS, IMPORT)
        assert started.name.startswith(f"{PARENT}/operations/")
        assert (await running.raw.wait(started.name, 30)).HasField("response")
        assert [operation.name for operation in (await running.raw.list(PARENT)).operations] == [started.name]


@by_hand
async def test_a_servicer_names_parent_and_request_id(place: Place) -> None:
    """start() takes a parent and a request id of the servicer's own: the same id gives the same operation (SRV-3, SRV-7)."""
    more = {"parent": "shelves/9", "request_id": "8d2f"}
    async with by_a_servicer(place, started=more) as running:
        started = await running.raw.start(IMPORT_BOOKS, IMPORT)
        assert started.name.startswith("shelves/9/operations/")
        assert (await running.raw.start(IMPORT_BOOKS, IMPORT)).name == started.name
        error = await refusal(running.raw.start(IMPORT_BOOKS, library_pb2.ImportBooksRequest(uri="another")))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


@by_hand
async def test_a_refusal_aborts_the_call_of_a_servicer(place: Place) -> None:
    """What prevents the start aborts the context with its code, message and details (SRV-2, SRV-10)."""
    status = Status(Code.FAILED_PRECONDITION, "closed: Bücher", (error_details_pb2.ErrorInfo(reason="CLOSED"),))

    def validate(request: Any, context: Any) -> None:
        assert context is not None
        raise OperationError(status)

    async with by_a_servicer(place, options={"validate": validate}) as running:
        error = await refusal(running.raw.start(IMPORT_BOOKS, IMPORT))
        assert (error.code(), error.details()) == (grpc.StatusCode.FAILED_PRECONDITION, status.message)
        (packed,) = [value for key, value in error.trailing_metadata() or () if key == "grpc-status-details-bin"]
        assert packed == status.to_proto().SerializeToString()
        error = await refusal(running.raw.start(IMPORT_BOOKS, library_pb2.ImportBooksRequest()))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert not (await running.raw.list("shelves/-")).operations


@by_hand
async def test_the_authorizer_sees_the_call_of_a_servicer(place: Place) -> None:
    """The authorizer is asked with the headers of the RPC, and what it refuses aborts the call (SRV-2)."""

    class Strict:
        def authorize(self, call: Call, /) -> Access:
            if call.header("x-caller") != "ann":
                raise OperationError(Status(Code.UNAUTHENTICATED, "who are you?"))
            return Access(principal="ann", scope=None)

    async with by_a_servicer(place, authorizer=Strict()) as running:
        assert (await refusal(running.raw.start(IMPORT_BOOKS, IMPORT))).code() is grpc.StatusCode.UNAUTHENTICATED


@by_hand
async def test_a_fault_is_not_told_by_a_servicer(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """A fault on the way to the store is INTERNAL at a servicer written by hand as well: not told, but logged (SRV-2)."""

    def validate(request: Any, context: Any) -> None:
        raise RuntimeError(SECRET)

    async with by_a_servicer(place, options={"validate": validate}) as running:
        error = await refusal(running.raw.start(IMPORT_BOOKS, IMPORT))
        assert error.code() is grpc.StatusCode.INTERNAL
        assert "srv" not in (error.details() or "")
        assert SECRET in caplog.text


@by_hand
async def test_a_store_that_is_away_at_a_servicer(place: Place) -> None:
    """Where the store is not available the call of a servicer is UNAVAILABLE, so that clients try again (SRV-2)."""
    store = Meddled(place.store())
    store.before["create"] = failing(StoreUnavailableError(SECRET))
    async with by_a_servicer(place, store=store) as running:
        error = await refusal(running.raw.start(IMPORT_BOOKS, IMPORT))
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert "srv" not in (error.details() or "")


@by_hand
async def test_a_full_queue_at_a_servicer(place: Place) -> None:
    """A full queue aborts the call of a servicer with RESOURCE_EXHAUSTED (RUN-5)."""
    gate = Gate()
    executor = LocalExecutor(concurrency=1, queue=0)
    async with by_a_servicer(place, gate.aio, executor=executor) as running:
        await running.raw.start(IMPORT_BOOKS, IMPORT)
        assert (await refusal(running.raw.start(IMPORT_BOOKS, IMPORT))).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        gate.open()


@by_hand
async def test_a_servicer_before_the_server_runs(place: Place) -> None:
    """A servicer that is called before the server of operations runs answers UNAVAILABLE (SRV-1, SRV-2)."""
    async with by_a_servicer(place, enter=False) as running:
        assert (await refusal(running.raw.start(IMPORT_BOOKS, IMPORT))).code() is grpc.StatusCode.UNAVAILABLE
        await running.enter()
        assert (await running.raw.start(IMPORT_BOOKS, IMPORT)).name
        await running.shut_down()
        assert (await refusal(running.raw.start(IMPORT_BOOKS, IMPORT))).code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("answered", ["by an exception", "by the context"])
@by_hand
async def test_validate_has_the_last_word_at_a_servicer(
    place: Place, caplog: pytest.LogCaptureFixture, answered: str
) -> None:
    """A validate that aborts the context of a servicer has the last word, and nothing is logged of it (SRV-10)."""

    async def on_loop(request: Any, context: Any) -> None:
        if answered == "by the context":
            await context.abort(grpc.StatusCode.OUT_OF_RANGE, "too many books")
        raise OperationError(Status(Code.OUT_OF_RANGE, "too many books"))

    def in_thread(request: Any, context: Any) -> None:
        if answered == "by the context":
            context.abort(grpc.StatusCode.OUT_OF_RANGE, "too many books")
        raise OperationError(Status(Code.OUT_OF_RANGE, "too many books"))

    validate = on_loop if place.edge is Edge.AIO else in_thread
    async with by_a_servicer(place, options={"validate": validate}) as running:
        error = await refusal(running.raw.start(IMPORT_BOOKS, IMPORT))
        assert (error.code(), error.details()) == (grpc.StatusCode.OUT_OF_RANGE, "too many books")
        assert not (await running.raw.list("shelves/-")).operations
        assert not caplog.records
