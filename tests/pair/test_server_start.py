# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The server: what a service, or a store, says against starting an operation, and what callers are told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

import grpc
import pytest
from google.rpc import error_details_pb2

from example.library.v1 import library_pb2
from longrunning import Code, OperationError, Status
from longrunning.errors import StartError
from longrunning.server import answer_now
from tests.pair.colours import CREATE_SHELF, IMPORT_BOOKS
from tests.pair.serving import (
    IMPORT,
    IMPORTED,
    Edge,
    Gate,
    Place,
    Running,
    everywhere,
    importing,
    imports,
    over,
    refusal,
)

SECRET: Final = "/srv/secrets/keys.db: no such column: select * from accounts"
STATUS: Final = Status(
    Code.FAILED_PRECONDITION, "the shelf is closed: Bücher", (error_details_pb2.ErrorInfo(reason="CLOSED"),)
)
each_callback: Final = pytest.mark.parametrize("callback", ["parent", "resource", "metadata", "validate"])


async def stored(running: Running) -> list[str]:
    """The names of all operations."""
    return [operation.name for operation in (await running.raw.list("shelves/-")).operations]


async def check_untold(running: Running, caplog: pytest.LogCaptureFixture, call: Any) -> None:
    """A start that failed by a fault of the service: INTERNAL, nothing told, all of it in the log, nothing stored."""
    error = await refusal(call)
    assert error.code() is grpc.StatusCode.INTERNAL
    for secret in ("srv", "select", "Traceback", "Error", ".py"):
        assert secret not in (error.details() or "")
    records = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [(record.name, vars(record)["method"]) for record in records] == [("longrunning.server", IMPORT_BOOKS.path)]
    assert "Traceback" in caplog.text
    assert SECRET in caplog.text
    assert not await stored(running)


def raising(error: BaseException) -> Callable[..., Any]:
    """What raises this, whatever it is called with."""

    def function(*arguments: Any) -> Any:
        raise error

    return function


# --- validate


@pytest.mark.parametrize("colour", ["async", "sync"])
@everywhere
async def test_validate_refuses(place: Place, colour: str) -> None:
    """The OperationError of validate is the error of the RPC, with its details; nothing is stored or run (SRV-10, SRV-2)."""
    gate = Gate()
    asked: list[Any] = []

    def in_line(request: Any, context: Any) -> None:
        asked.append(request)
        raise OperationError(STATUS)

    async def later(request: Any, context: Any) -> None:
        await asyncio.sleep(0)
        in_line(request, context)

    validate = later if colour == "async" else in_line
    async with place.serving(importing(gate.aio, validate=validate)) as running:
        with pytest.raises(StartError) as caught:
            _ = await running.client.start(IMPORT_BOOKS, IMPORT)
        assert caught.value.code is Code.FAILED_PRECONDITION
        assert caught.value.details.message == STATUS.message
        assert caught.value.details.error_info == STATUS.details[0]
        assert asked == [IMPORT]
        assert not await stored(running)
        assert not gate.contexts


@everywhere
async def test_validate_lets_pass(place: Place) -> None:
    """Where validate returns nothing the operation starts; it was given the context of the RPC (SRV-10)."""
    seen: list[Any] = []

    def validate(request: Any, context: Any) -> None:
        seen.append((request, dict(context.invocation_metadata())["x-caller"]))

    async with place.serving(importing(imports, validate=validate)) as running:
        handle = await running.client.start(IMPORT_BOOKS, IMPORT, metadata=[("x-caller", "ann")])
        assert (await handle).imported == 4
        assert seen == [(IMPORT, "ann")]


@pytest.mark.parametrize("colour", ["async", "sync"])
@everywhere
async def test_validate_answers(place: Place, colour: str) -> None:
    """answer_now gives a done operation without a name, and stores nothing (SRV-10, SNAP-4)."""
    answer = answer_now(library_pb2.ImportBooksResponse(imported=7), library_pb2.ImportBooksMetadata(total=7))

    async def later(request: Any, context: Any) -> Any:
        return answer

    def in_line(request: Any, context: Any) -> Any:
        return answer

    validate = later if colour == "async" else in_line
    async with place.serving(importing(imports, validate=validate)) as running:
        handle = await running.client.start(IMPORT_BOOKS, IMPORT)
        assert handle.name == ""
        assert (await handle).imported == 7
        assert handle.operation is not None
        assert handle.operation.metadata == library_pb2.ImportBooksMetadata(total=7)
        assert not await stored(running)


@pytest.mark.parametrize("code", [0, 77, -1, 16])
@over(stores=("memory",))
async def test_validate_refuses_with_any_code(place: Place, code: int) -> None:
    """Whatever number validate refuses with, the RPC fails, and the details have the number as it was (SRV-10)."""
    validate = raising(OperationError(Status(code, "no")))
    async with place.serving(importing(imports, validate=validate)) as running:
        error = await refusal(running.raw.start(IMPORT_BOOKS, IMPORT))
        wanted = grpc.StatusCode.UNAUTHENTICATED if code == 16 else grpc.StatusCode.UNKNOWN
        assert (error.code(), error.details()) == (wanted, "no")
        assert not await stored(running)


@over(stores=("memory",))
async def test_validate_refuses_at_length(place: Place) -> None:
    """A refusal with more than a header may carry still arrives with its code (SRV-10, SRV-2)."""
    details = (error_details_pb2.DebugInfo(detail="x" * 100_000),)
    for status in (Status(Code.OUT_OF_RANGE, "no", details), Status(Code.OUT_OF_RANGE, "y" * 100_000)):
        async with place.serving(importing(imports, validate=raising(OperationError(status)))) as running:
            assert (await refusal(running.raw.start(IMPORT_BOOKS, IMPORT))).code() is grpc.StatusCode.OUT_OF_RANGE


@over(edges=(Edge.AIO,))
async def test_validate_aborts_the_call_itself(place: Place) -> None:
    """A validate that aborts the RPC by its grpc.aio context has the last word (SRV-10)."""

    async def validate(request: Any, context: Any) -> None:
        await context.abort(grpc.StatusCode.OUT_OF_RANGE, "too many books")

    async with place.serving(importing(imports, validate=validate)) as running:
        error = await refusal(running.raw.start(IMPORT_BOOKS, IMPORT))
        assert (error.code(), error.details()) == (grpc.StatusCode.OUT_OF_RANGE, "too many books")
        assert not await stored(running)


@over(edges=(Edge.SYNC, Edge.THREAD), stores=("memory",))
async def test_validate_aborts_the_call_of_a_thread(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """A validate that aborts the RPC by its grpc.server context has the last word, and nothing is logged (SRV-10)."""

    def validate(request: Any, context: Any) -> None:
        context.abort(grpc.StatusCode.OUT_OF_RANGE, "too many books")

    async with place.serving(importing(imports, validate=validate)) as running:
        error = await refusal(running.raw.start(IMPORT_BOOKS, IMPORT))
        assert (error.code(), error.details()) == (grpc.StatusCode.OUT_OF_RANGE, "too many books")
        assert not await stored(running)
        assert not caplog.records


@over(stores=("memory",))
async def test_a_bare_exception_is_no_abort(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """A validate that raises a bare Exception() has failed as with any other: INTERNAL, and logged (SRV-2)."""
    async with place.serving(importing(imports, validate=raising(Exception()))) as running:
        assert (await refusal(running.raw.start(IMPORT_BOOKS, IMPORT))).code() is grpc.StatusCode.INTERNAL
        assert "Traceback" in caplog.text


@over(stores=("memory",))
async def test_answers_of_another_type(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """A validate that answers with something else fails the RPC, and the log says what it is to return (SRV-10, SRV-2)."""
    for wrong in (IMPORTED, True, answer_now(library_pb2.Shelf()), answer_now(IMPORTED, library_pb2.Shelf())):
        caplog.clear()

        def validate(request: Any, context: Any, wrong: Any = wrong) -> Any:
            return wrong

        async with place.serving(importing(imports, validate=validate)) as running:
            error = await refusal(running.raw.start(IMPORT_BOOKS, IMPORT))
            assert error.code() is grpc.StatusCode.INTERNAL
            assert "TypeError" in caplog.text


# --- what else a service says of a request


@each_callback
@everywhere
async def test_what_a_service_function_raises_is_not_told(
    place: Place, caplog: pytest.LogCaptureFixture, callback: str
) -> None:
    """A parent, resource, metadata or validate that fails is INTERNAL, told no further, and logged with the method (SRV-2)."""
    async with place.serving(importing(imports, **{callback: raising(RuntimeError(SECRET))})) as running:
        await check_untold(running, caplog, running.raw.start(IMPORT_BOOKS, IMPORT))


@each_callback
@over(stores=("memory",))
async def test_every_service_function_may_refuse(place: Place, callback: str) -> None:
    """The OperationError of parent, resource, metadata or validate is the error of the RPC (SRV-2)."""
    async with place.serving(importing(imports, **{callback: raising(OperationError(STATUS))})) as running:
        error = await refusal(running.raw.start(IMPORT_BOOKS, IMPORT))
        assert (error.code(), error.details()) == (grpc.StatusCode.FAILED_PRECONDITION, STATUS.message)
        assert not await stored(running)


@over(stores=("memory",))
async def test_strange_exceptions_of_service_functions(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """A validate that raises what is no Exception, or CancelledError, answers the RPC; the server goes on (SRV-2)."""
    for error in (SystemExit(SECRET), BaseExceptionGroup(SECRET, [GeneratorExit()]), asyncio.CancelledError(SECRET)):
        errors: list[BaseException] = [error]

        def validate(request: Any, context: Any, errors: list[BaseException] = errors) -> None:
            if errors:
                raise errors.pop()

        async with place.serving(importing(imports, validate=validate)) as running:
            refused = await refusal(running.raw.start(IMPORT_BOOKS, IMPORT, timeout=5))
            assert refused.code() in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}
            assert "srv" not in (refused.details() or "")
            assert (await running.outcome()).done


@everywhere
async def test_a_request_without_its_parent(place: Place) -> None:
    """A request whose parent does not fit the pattern is INVALID_ARGUMENT, naming the field, and nothing is stored (SRV-3)."""
    async with place.serving() as running:
        for parent in ("", "1", "books/1", "shelves/", "shelves/..", "shelves/-", "shelves/a b", "x" * 5_000):
            request = library_pb2.ImportBooksRequest(parent=parent)
            error = await refusal(running.raw.start(IMPORT_BOOKS, request))
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, parent
            assert "parent" in (error.details() or "")
            assert "shelves/{shelf}" in (error.details() or "")
        assert (await refusal(running.raw.start(CREATE_SHELF, library_pb2.CreateShelfRequest()))).code() is (
            grpc.StatusCode.INVALID_ARGUMENT
        )
        assert not await stored(running)


@everywhere
async def test_whatever_starts_can_be_found(place: Place) -> None:
    """Under a parent of any length and letters an operation is either refused or can be got by its name (SRV-3, SRV-1)."""
    async with place.serving() as running:
        for shelf in (
            "x",
            "ü",
            "本",
            "a%2Fb",
            "a.b~c",
            "-a",
            "x" * 63,
            *("x" * length for length in range(960, 1020, 5)),
        ):
            request = library_pb2.ImportBooksRequest(parent=f"shelves/{shelf}")
            refused: grpc.StatusCode | None = None
            try:
                started = await running.raw.start(IMPORT_BOOKS, request)
            except grpc.aio.AioRpcError as error:
                refused = error.code()
            else:
                assert (await running.done(started.name)).done
            assert refused in ({None, grpc.StatusCode.INVALID_ARGUMENT} if len(shelf) > 900 else {None})
