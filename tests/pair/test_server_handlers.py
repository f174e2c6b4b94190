# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The server: every way in which a handler can end, and what callers and the log are told of it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import logging
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

import grpc
import pytest
from google.cloud.redis_v1 import types as redis
from google.protobuf import any_pb2, empty_pb2, struct_pb2
from google.rpc import code_pb2, error_details_pb2

from example.library.v1 import library_pb2
from longrunning import Code, LroMethod, OperationError, Status, UnknownPayload
from longrunning.errors import LeaseLostError, OperationCancelledError, StoreUnavailableError
from longrunning.server import Limits, NamePattern
from tests.pair.colours import CREATE_SHELF, IMPORT_BOOKS, REQUEST
from tests.pair.serving import (
    CREATE,
    DELETE,
    DELETE_SHELF,
    IMPORT,
    IMPORTED,
    PARENT,
    Place,
    both_handlers,
    bounds,
    everywhere,
    handled,
    importing,
    once,
)
from tests.unit import builders

SECRET: Final = "/srv/secrets/keys.db: no such column: select * from accounts"  # what no caller may read
LOGGER: Final = "longrunning.server"
Body = Callable[[Any, Any], Any]


class Strange(BaseException):
    """What is no `Exception`, such as a failure of a test in some frameworks."""


def coloured(colour: str, body: Body) -> Callable[..., Any]:
    """A handler of either kind with the same body."""
    if colour == "sync":
        return body

    async def handler(request: Any, context: Any) -> Any:
        return body(request, context)

    return handler


def raising(error: BaseException) -> Body:
    """The body of a handler that raises this."""

    def body(request: Any, context: Any) -> Any:
        raise error

    return body


def failures(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What the server logged as errors."""
    return [record for record in caplog.records if record.name == LOGGER and record.levelno >= logging.ERROR]


def check_untold(operation: Any, caplog: pytest.LogCaptureFixture, *told: str) -> logging.LogRecord:
    """An operation that failed by the fault of its handler: callers learn nothing, the log has it all, once."""
    assert operation.error.code in {code_pb2.UNKNOWN, code_pb2.INTERNAL}, operation
    text = f"{operation.error}"
    for secret in ("srv", "select", "Traceback", "Error", "/", ".py", "Exception"):
        assert secret not in text.replace(operation.name, "")
    assert not operation.error.details
    (record,) = failures(caplog)
    assert vars(record)["operation"] == operation.name
    assert vars(record)["method"] == IMPORT_BOOKS.path
    shown = caplog.text
    assert "Traceback" in shown
    for part in told:
        assert part in shown
    return record


# --- returning


@both_handlers
@everywhere
async def test_what_a_handler_returns_is_the_response(place: Place, colour: str) -> None:
    """The response is what the handler made of the request, in every kind of server (SRV-2)."""

    def body(request: library_pb2.ImportBooksRequest, context: Any) -> library_pb2.ImportBooksResponse:
        assert request == IMPORT
        return library_pb2.ImportBooksResponse(shelf=library_pb2.Shelf(name=request.parent), imported=request.count)

    async with place.serving(importing(coloured(colour, body))) as running:
        done = await running.outcome()
        response = library_pb2.ImportBooksResponse()
        assert done.response.Unpack(response)
        assert response == library_pb2.ImportBooksResponse(shelf=library_pb2.Shelf(name=PARENT), imported=4)


@both_handlers
@once
async def test_nothing_is_returned_where_the_response_is_empty(place: Place, colour: str) -> None:
    """A handler of a method that responds with Empty may return None (SRV-2, SNAP-2)."""
    async with place.serving(handled(DELETE_SHELF, coloured(colour, lambda request, context: None))) as running:
        done = await running.outcome(DELETE_SHELF, DELETE)
        assert done.response.type_url == "type.googleapis.com/google.protobuf.Empty"
        assert await (await running.client.start(DELETE_SHELF, DELETE)) == empty_pb2.Empty()


@both_handlers
@pytest.mark.parametrize(
    "response",
    [None, "imported", {"imported": 4}, 4, library_pb2.Shelf(), empty_pb2.Empty(), library_pb2.ImportBooksResponse],
    ids=["nothing", "text", "dict", "number", "another message", "Empty", "the class"],
)
@once
async def test_a_response_of_another_type(
    place: Place, caplog: pytest.LogCaptureFixture, colour: str, response: Any
) -> None:
    """A handler that returns what its method does not declare fails the operation; the log names both types (SRV-2)."""
    async with place.serving(importing(coloured(colour, lambda request, context: response))) as running:
        check_untold(await running.outcome(), caplog, "example.library.v1.ImportBooksResponse", "TypeError")


@once
async def test_responses_of_declared_kinds(place: Place) -> None:
    """Union types, a declared Any, an Any packed by the handler, Struct, and proto-plus classes can be returned (SRV-2)."""
    union = IMPORT_BOOKS.or_types(response=library_pb2.Shelf, metadata=library_pb2.OperationMetadata)
    untyped = LroMethod(
        path="/example.library.v1.Library/Any",
        request_type=library_pb2.DeleteShelfRequest,
        response_type=any_pb2.Any,
        metadata_type=struct_pb2.Struct,
    )
    packed = any_pb2.Any()
    packed.Pack(IMPORTED)

    async def either(request: Any, context: Any) -> Any:
        await context.update(library_pb2.OperationMetadata(verb="import"))
        return library_pb2.Shelf(theme="music")

    async def anything(request: Any, context: Any) -> Any:
        await context.update(struct_pb2.Struct(fields={"done": struct_pb2.Value(number_value=1)}))
        return packed

    async with place.serving(
        lambda server: (handled(union, either)(server), handled(untyped, anything)(server))
    ) as running:
        done = await (await running.client.start(union, IMPORT)).wait(timeout=10)
        assert done.result() == library_pb2.Shelf(theme="music")
        assert done.metadata == library_pb2.OperationMetadata(verb="import")
        reply = await running.outcome(untyped, DELETE)
        assert reply.response == packed
        assert reply.metadata.type_url.endswith("/google.protobuf.Struct")


@once
async def test_proto_plus_types(place: Place) -> None:
    """Requests, metadata and responses of proto-plus classes reach the handler, and callers, as such (SRV-2, TYPE-9)."""
    pattern = NamePattern("projects/{project}/locations/{location}/operations/{operation}")
    request = redis.CreateInstanceRequest(parent="projects/p/locations/l", instance_id="i")

    async def create(request: Any, context: Any) -> Any:
        assert isinstance(request, redis.CreateInstanceRequest)
        await context.update(builders.Metadata(verb="create"))
        assert isinstance(context.metadata, builders.Metadata)
        return builders.Instance(name=f"{request.parent}/instances/{request.instance_id}")

    async with place.serving(handled(builders.CREATE, create), names=pattern) as running:
        handle = await running.client.start(builders.CREATE, request)
        assert handle.name.startswith("projects/p/locations/l/operations/")
        assert (await handle).name == "projects/p/locations/l/instances/i"
        assert handle.operation is not None
        metadata: Any = handle.operation.metadata
        assert metadata.verb == "create"


@once
async def test_fields_the_server_does_not_know_reach_the_handler(place: Place) -> None:
    """A request with unknown fields is stored and handed to the handler whole (SRV-2, SNAP-5)."""
    data = IMPORT.SerializeToString() + bytes([0xBA, 0x3E, 2]) + b"hi"  # field 999
    seen: list[bytes] = []

    def body(request: Any, context: Any) -> Any:
        seen.append(request.SerializeToString())
        return IMPORTED

    async with place.serving(importing(body)) as running:
        await running.outcome(request=data)
        assert seen == [data]


# --- kinds of handlers


class Callables:
    """What can be called, in every way."""

    async def method(self, request: Any, context: Any) -> Any:
        assert asyncio.get_running_loop() is not None
        return IMPORTED

    def in_thread(self, request: Any, context: Any) -> Any:
        assert threading.current_thread() is not threading.main_thread()
        return IMPORTED

    @staticmethod
    async def with_more(more: int, request: Any, context: Any) -> Any:
        assert more == 1
        return await Callables().method(request, context)

    def in_thread_with_more(self, request: Any, context: Any, *, more: int) -> Any:
        assert more == 1
        return self.in_thread(request, context)


class AsyncCallable:
    """An object whose call is a coroutine."""

    async def __call__(self, request: Any, context: Any) -> Any:
        return await Callables().method(request, context)


class SyncCallable:
    """An object whose call is an ordinary one."""

    def __call__(self, request: Any, context: Any) -> Any:
        return Callables().in_thread(request, context)


HANDLERS: Final[dict[str, Callable[..., Any]]] = {
    "async method": Callables().method,
    "method": Callables().in_thread,
    "async object": AsyncCallable(),
    "object": SyncCallable(),
    "async partial": functools.partial(Callables.with_more, 1),
    "partial": functools.partial(Callables().in_thread_with_more, more=1),
    "partial of partial": functools.partial(functools.partial(Callables.with_more, 1)),
    "partial of async object": functools.partial(AsyncCallable()),
    "function": lambda *given: Callables().in_thread(*given),
}


@pytest.mark.parametrize("handler", HANDLERS.values(), ids=HANDLERS)
@once
async def test_what_can_be_a_handler(place: Place, handler: Callable[..., Any]) -> None:
    """Functions, methods, partials and objects are handlers; coroutines run on the loop, the rest in threads (RUN-5)."""
    async with place.serving(importing(handler)) as running:
        assert (await running.outcome()).HasField("response")


@once
async def test_a_function_that_returns_a_coroutine(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """An ordinary function that returns a coroutine fails the operation, and the log says what is wrong (SRV-2)."""

    def handler(request: Any, context: Any) -> Any:
        return Callables().method(request, context)

    async with place.serving(importing(handler)) as running:
        check_untold(await running.outcome(), caplog, "ordinary function", "coroutine")


@once
async def test_generators_are_no_handlers(place: Place) -> None:
    """A generator is refused where it is registered, rather than at every call (SRV-2)."""

    async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
        yield IMPORTED

    def parts(request: Any, context: Any) -> Iterator[Any]:
        yield IMPORTED

    async with place.serving(lambda server: None) as running:
        for handler in (stream, parts, functools.partial(stream)):
            with pytest.raises(TypeError, match="generator"):
                importing(handler)(running.server)


# --- failing


@both_handlers
@everywhere
async def test_an_operation_error_is_told_as_it_is(place: Place, colour: str) -> None:
    """OperationError ends the operation with its status: code, message and details, byte for byte (SRV-2)."""
    unknown = UnknownPayload("type.googleapis.com/example.future.v1.Reason", b"\x0a\x01x")
    details = (error_details_pb2.ErrorInfo(reason="NO_SHELF", domain="example.com"), unknown)
    status = Status(Code.FAILED_PRECONDITION, "the shelf is full: Bücher", details)

    async with place.serving(importing(coloured(colour, raising(OperationError(status))))) as running:
        done = await running.outcome()
        assert done.error == status.to_proto()
        with pytest.raises(OperationError) as caught:
            await (await running.client.start(IMPORT_BOOKS, IMPORT)).result(timeout=10)
        assert caught.value.status == status
        assert caught.value.details[1] == unknown


@once
async def test_an_operation_error_is_no_fault_of_the_server(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """A handler that fails its operation on purpose is not logged as an error (SRV-2)."""
    error = OperationError(Status(Code.NOT_FOUND, "no such book"))
    async with place.serving(importing(raising(error))) as running:
        assert (await running.outcome()).error.code == code_pb2.NOT_FOUND
        assert not failures(caplog)


@pytest.mark.parametrize("code", [0, 77, -1, 2**31 - 1, *range(1, 17)])
@once
async def test_every_code_is_an_error(place: Place, code: int) -> None:
    """Any number can be the code of an error and is kept; OK, which reads as a success, becomes UNKNOWN (SRV-2)."""
    error = OperationError(Status(code, "as it says"))
    async with place.serving(importing(raising(error))) as running:
        done = await running.outcome()
        assert (done.error.code, done.error.message) == (code or code_pb2.UNKNOWN, "as it says")
        snapshot = await running.client.get(done.name, IMPORT_BOOKS)
        with pytest.raises(OperationError):
            snapshot.result()


@once
async def test_details_survive_a_code_that_does_not(place: Place) -> None:
    """An OperationError with code OK keeps its message and its details (SRV-2)."""
    detail = error_details_pb2.ErrorInfo(reason="ODD")
    async with place.serving(importing(raising(OperationError(Status(Code.OK, "odd", (detail,)))))) as running:
        done = await running.outcome()
        assert done.error == Status(Code.UNKNOWN, "odd", (detail,)).to_proto()


@both_handlers
@pytest.mark.parametrize(
    "status",
    [
        Status(Code.ABORTED, "x", (UnknownPayload("type.googleapis.com/a.B", document='{"@type": "a.B"}'),)),
        Status(Code.ABORTED, "half a surrogate pair: \ud83d"),
    ],
    ids=["a detail without bytes", "no text"],
)
@once
async def test_a_status_that_cannot_be_stored(
    place: Place, caplog: pytest.LogCaptureFixture, colour: str, status: Status
) -> None:
    """A status that has no binary form ends the operation nevertheless, and is logged (SRV-2)."""
    async with place.serving(importing(coloured(colour, raising(OperationError(status))))) as running:
        check_untold(await running.outcome(), caplog)


EXCEPTIONS: Final[dict[str, Callable[[], BaseException]]] = {
    "RuntimeError": lambda: RuntimeError(SECRET),
    "KeyError": lambda: KeyError(SECRET),
    "sqlite3.OperationalError": lambda: sqlite3.OperationalError(SECRET),
    "FileNotFoundError": lambda: FileNotFoundError(2, "no such file", "/srv/secrets"),
    "TimeoutError": lambda: TimeoutError(SECRET),
    "StopIteration": lambda: StopIteration(SECRET),
    "StopAsyncIteration": lambda: StopAsyncIteration(SECRET),
    "RecursionError": lambda: RecursionError(SECRET),
    "MemoryError": lambda: MemoryError(SECRET),
    "AssertionError": lambda: AssertionError(SECRET),
    "ExceptionGroup": lambda: ExceptionGroup(SECRET, [ValueError(SECRET)]),
    "futures.CancelledError": concurrent.futures.CancelledError,
    "grpc.RpcError": lambda: grpc.RpcError(SECRET),
    "LeaseLostError": lambda: LeaseLostError("operations/another"),
    "StoreUnavailableError": lambda: StoreUnavailableError(SECRET),
    "CancelledError": lambda: asyncio.CancelledError(SECRET),
    "GeneratorExit": lambda: GeneratorExit(SECRET),
    "SystemExit": lambda: SystemExit(SECRET),
    "BaseException": lambda: Strange(SECRET),
    "BaseExceptionGroup": lambda: BaseExceptionGroup(SECRET, [Strange(SECRET)]),
}


@both_handlers
@pytest.mark.parametrize("make", EXCEPTIONS.values(), ids=EXCEPTIONS)
@once
async def test_what_else_a_handler_raises_is_not_told(
    place: Place, caplog: pytest.LogCaptureFixture, colour: str, make: Callable[[], BaseException]
) -> None:
    """Whatever a handler raises ends the operation with UNKNOWN or INTERNAL, says nothing, and is logged in full (SRV-2)."""
    error = make()
    async with place.serving(importing(coloured(colour, raising(error)))) as running:
        async with asyncio.timeout(5):
            done = await running.outcome()
        check_untold(done, caplog, type(error).__name__)
        async with asyncio.timeout(5):
            again = await running.start()
        assert again != done.name, "the server goes on"


@once
async def test_an_interrupt_in_a_thread_is_a_failure(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """KeyboardInterrupt raised by a function in a thread fails its operation, and nothing else ends (SRV-2, RUN-5)."""
    async with place.serving(importing(raising(KeyboardInterrupt(SECRET)))) as running:
        check_untold(await running.outcome(), caplog, "KeyboardInterrupt")


@once
async def test_a_failure_of_a_callee_is_not_told(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """The cause and the context of an exception are in the log, and nowhere else (SRV-2)."""

    async def handler(request: Any, context: Any) -> Any:
        try:
            raise sqlite3.OperationalError(SECRET)
        except sqlite3.Error as error:
            raise ValueError("cannot read accounts") from error

    async with place.serving(importing(handler)) as running:
        check_untold(await running.outcome(), caplog, SECRET, "cannot read accounts")


@both_handlers
@once
async def test_a_handler_may_cancel_its_operation(place: Place, colour: str) -> None:
    """A handler that raises OperationCancelledError unasked ends its operation CANCELLED, code 1 (SRV-2, SRV-4)."""
    error = OperationCancelledError(Status(Code.CANCELLED, "the source was withdrawn"))
    async with place.serving(importing(coloured(colour, raising(error)))) as running:
        done = await running.outcome()
        assert (done.error.code, done.error.message) == (code_pb2.CANCELLED, "the source was withdrawn")


@both_handlers
@once
async def test_a_handler_that_takes_other_arguments(
    place: Place, caplog: pytest.LogCaptureFixture, colour: str
) -> None:
    """A function that cannot be called as a handler fails the operation, not the server (SRV-2)."""

    def one(request: Any) -> Any:
        return IMPORTED

    async def one_async(request: Any) -> Any:
        return IMPORTED

    async with place.serving(importing(one if colour == "sync" else one_async)) as running:
        check_untold(await running.outcome(), caplog, "TypeError")


# --- sizes


@both_handlers
@everywhere
async def test_a_response_that_is_too_large(place: Place, colour: str) -> None:
    """A response larger than the limit ends the operation with RESOURCE_EXHAUSTED; one as large as it is fine (SRV-2)."""
    limit = 2_000
    empty = any_pb2.Any()
    empty.Pack(library_pb2.Shelf())
    sizes = iter((limit, limit + 1))

    def body(request: Any, context: Any) -> Any:
        size, packed = next(sizes), any_pb2.Any()
        shelf = library_pb2.Shelf(theme="x" * (size - 100))
        packed.Pack(shelf)
        shelf.theme += "x" * (size - packed.ByteSize())
        packed.Pack(shelf)
        assert packed.ByteSize() == size
        return shelf

    limits = bounds(max_response_bytes=limit)
    async with place.serving(handled(CREATE_SHELF, coloured(colour, body)), limits=limits) as running:
        assert (await running.outcome(CREATE_SHELF, CREATE)).HasField("response")
        done = await running.outcome(CREATE_SHELF, CREATE)
        assert done.error.code == code_pb2.RESOURCE_EXHAUSTED
        assert str(limit) in done.error.message


@once
async def test_what_is_stored_can_be_fetched(place: Place) -> None:
    """With limits and channels as they are by default, the largest response beside the largest metadata arrives (SRV-2)."""
    limits = Limits()

    async def handler(request: Any, context: Any) -> Any:
        await context.update(library_pb2.OperationMetadata(target="x" * (limits.max_metadata_bytes - 100)))
        return library_pb2.Shelf(theme="x" * (limits.max_response_bytes - 100))

    async with place.serving(handled(CREATE_SHELF, handler), limits=limits) as running:
        handle = await running.client.start(CREATE_SHELF, CREATE)
        assert len((await handle.result(timeout=10)).theme) == limits.max_response_bytes - 100


@both_handlers
@once
async def test_an_error_that_is_too_large(place: Place, colour: str) -> None:
    """An error larger than a response may be does not keep the operation from being read (SRV-2)."""
    detail = error_details_pb2.DebugInfo(detail="x" * (5 << 20))
    error = OperationError(Status(Code.DATA_LOSS, "y" * (5 << 20), (detail,)))
    async with place.serving(importing(coloured(colour, raising(error)))) as running:
        done = await running.outcome()
        assert done.error.code in {code_pb2.DATA_LOSS, code_pb2.RESOURCE_EXHAUSTED}
        assert done.ByteSize() < 4 << 20


@everywhere
async def test_a_request_that_is_too_large(place: Place) -> None:
    """A request larger than the limit is RESOURCE_EXHAUSTED at once, and nothing is stored (SRV-2)."""
    limits = bounds(max_request_bytes=1_000)
    async with place.serving(limits=limits) as running:
        large = library_pb2.ImportBooksRequest(parent=PARENT, uri="x" * 1_000)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await running.raw.start(IMPORT_BOOKS, large)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert not (await running.raw.list(PARENT)).operations
        assert (await running.outcome(request=REQUEST)).done
