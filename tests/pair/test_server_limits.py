# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Every bound of a server: what exceeds one is refused in the right place, and what does not can be had by any client."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import math
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2

from example.library.v1 import library_pb2
from longrunning import Code, OperationError, Status
from longrunning.server import Limits, LocalExecutor, NamePattern
from tests.pair.callers import START, Caller
from tests.pair.colours import CREATE_SHELF
from tests.pair.serving import (
    ABSENT,
    CREATE,
    IMPORT,
    PARENT,
    Edge,
    Gate,
    Place,
    both_handlers,
    bounds,
    eventually,
    everywhere,
    handled,
    importing,
    imports,
    once,
    over,
)

both_edges = over(stores=("memory",))
on_aio = over(edges=(Edge.AIO,))  # what the edge has no part in
EXHAUSTED, OK, INVALID = grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT
MEBIBYTE = 1 << 20


def packed(kind: type[Any], field: str, size: int) -> Any:
    """A message that has exactly so many bytes once it is packed as Any."""
    length = size
    while True:
        message = kind(**{field: "x" * length})
        envelope = any_pb2.Any()
        envelope.Pack(message)
        if envelope.ByteSize() == size:
            return message
        length += size - envelope.ByteSize()


# -- requests ---------------------------------------------------------------------------------------------------


@everywhere
async def test_a_request_may_be_so_large(place: Place) -> None:
    """A request of `max_request_bytes` is stored; one of one byte more is RESOURCE_EXHAUSTED, and is not (RUN-5)."""
    async with place.serving(importing(imports), limits=bounds(max_request_bytes=1000)) as running:
        caller = Caller(running.channel)
        fits, exceeds = (
            library_pb2.ImportBooksRequest(parent=PARENT, uri="x" * (size - 2 - len(PARENT) - 3))
            for size in (1000, 1001)
        )
        assert (fits.ByteSize(), exceeds.ByteSize()) == (1000, 1001)
        said = await caller.ask(START, exceeds)
        assert said.code is EXHAUSTED
        assert "1001" in said.message
        assert "1000" in said.message
        name = await caller.start(fits)
        assert (await caller.done(name)).HasField("response")
        assert await caller.listed("shelves/-") == [name]


@everywhere
async def test_first_metadata_is_limited(place: Place) -> None:
    """Metadata an operation begins with is held to `max_metadata_bytes`: the start is RESOURCE_EXHAUSTED (RUN-5)."""

    def first(request: library_pb2.CreateShelfRequest) -> Any:
        return packed(library_pb2.OperationMetadata, "target", request.shelf.book_count)

    async def create(request: Any, context: Any) -> Any:
        return request.shelf

    def asked(size: int) -> library_pb2.CreateShelfRequest:
        return library_pb2.CreateShelfRequest(shelf=library_pb2.Shelf(name=PARENT, book_count=size))

    register = handled(CREATE_SHELF, create, metadata=first)
    async with place.serving(register, limits=bounds(max_metadata_bytes=500)) as running:
        caller = Caller(running.channel)
        said = await caller.ask(CREATE_SHELF.path, asked(501))
        assert said.code is EXHAUSTED
        assert "501" in said.message
        assert await caller.listed("shelves/-") == []
        operation = (await caller.ask(CREATE_SHELF.path, asked(500))).operation
        assert operation.metadata.ByteSize() == 500


@on_aio
async def test_a_full_queue_refuses_starts(place: Place) -> None:
    """Beyond what runs and what may wait a start is RESOURCE_EXHAUSTED and stores nothing; later there is room (RUN-5)."""
    gate = Gate()
    executor = LocalExecutor(concurrency=2, queue=3)
    async with place.serving(importing(gate.aio), executor=executor) as running:
        caller = Caller(running.channel)
        said = await asyncio.gather(*(caller.ask(START, IMPORT) for _ in range(12)))
        assert sorted(answer.code.name for answer in said) == ["OK"] * 5 + ["RESOURCE_EXHAUSTED"] * 7
        names = {answer.operation.name for answer in said if answer.code is OK}
        assert set(await caller.listed(PARENT)) == names
        gate.open()
        for name in names:
            await caller.done(name)
        assert (await caller.done(await caller.start())).HasField("response")


@once
async def test_what_did_not_start_takes_no_place(place: Place) -> None:
    """A start that is refused, for whatever reason, gives its place in the queue back (RUN-5)."""
    gate = Gate()

    def validate(request: library_pb2.ImportBooksRequest, context: Any) -> None:
        if request.fail_at:
            raise OperationError(Status(Code.FAILED_PRECONDITION, "not today"))

    def uri(request: library_pb2.ImportBooksRequest) -> str:
        return request.uri

    executor = LocalExecutor(concurrency=2, queue=0)
    register = importing(gate.aio, validate=validate, resource=uri)
    async with place.serving(register, executor=executor) as running:
        caller = Caller(running.channel)
        name = await caller.start()
        for _ in range(5):
            assert (await caller.ask(START, IMPORT)).code is grpc.StatusCode.ABORTED
            request = library_pb2.ImportBooksRequest(parent=PARENT, fail_at=1)
            assert (await caller.ask(START, request)).code is grpc.StatusCode.FAILED_PRECONDITION
        assert (await caller.ask(START, library_pb2.ImportBooksRequest(parent=PARENT, uri="another"))).code is OK
        gate.open()
        await caller.done(name)


# -- what handlers write ----------------------------------------------------------------------------------------


@both_handlers
@everywhere
async def test_metadata_and_checkpoints_are_limited(place: Place, colour: str) -> None:
    """`update` of more is RESOURCE_EXHAUSTED in the handler, which may go on; what was written before stays (RUN-5)."""
    met: list[OperationError] = []

    def updates() -> list[dict[str, Any]]:
        return [
            {"metadata": packed(library_pb2.OperationMetadata, "target", 301)},
            {"checkpoint": b"x" * 201},
            {"metadata": packed(library_pb2.OperationMetadata, "target", 300), "checkpoint": b"y" * 201},
        ]

    good: dict[str, Any] = {"metadata": packed(library_pb2.OperationMetadata, "target", 300), "checkpoint": b"x" * 200}

    async def create(request: Any, context: Any) -> Any:
        await context.update(**good)
        for update in updates():
            try:
                await context.update(**update)
            except OperationError as error:
                met.append(error)
        return request.shelf

    def create_in_thread(request: Any, context: Any) -> Any:
        context.update(**good)
        for update in updates():
            try:
                context.update(**update)
            except OperationError as error:
                met.append(error)
        return request.shelf

    limits = bounds(max_metadata_bytes=300, max_checkpoint_bytes=200)
    register = handled(CREATE_SHELF, create if colour == "async" else create_in_thread)
    async with place.serving(register, limits=limits) as running:
        operation = await running.outcome(CREATE_SHELF, CREATE)
        assert operation.HasField("response")
        assert operation.metadata.ByteSize() == 300
        assert [error.status.code for error in met] == [Code.RESOURCE_EXHAUSTED] * 3
        texts = [error.status.message for error in met]
        assert "metadata has 301 bytes" in texts[0]
        assert all("checkpoint has 201 bytes" in text for text in texts[1:])


@both_handlers
@both_edges
async def test_a_handler_that_writes_too_much_fails(place: Place, colour: str) -> None:
    """A handler that lets RESOURCE_EXHAUSTED of an update pass fails its operation with it (RUN-5, SRV-2)."""

    async def handler(request: Any, context: Any) -> Any:
        await context.update(checkpoint=b"x" * 11)

    def in_thread(request: Any, context: Any) -> Any:
        context.update(checkpoint=b"x" * 11)

    register = importing(handler if colour == "async" else in_thread)
    async with place.serving(register, limits=bounds(max_checkpoint_bytes=10)) as running:
        error = (await running.outcome()).error
        assert error.code == Code.RESOURCE_EXHAUSTED
        assert "11 bytes" in error.message


@both_handlers
@everywhere
async def test_responses_are_limited(place: Place, colour: str) -> None:
    """A response of `max_response_bytes` is stored; with one byte more the operation fails: RESOURCE_EXHAUSTED (RUN-5)."""

    async def create(request: library_pb2.CreateShelfRequest, context: Any) -> Any:
        return packed(library_pb2.Shelf, "theme", request.shelf.book_count)

    def create_in_thread(request: library_pb2.CreateShelfRequest, context: Any) -> Any:
        return packed(library_pb2.Shelf, "theme", request.shelf.book_count)

    def asked(size: int) -> library_pb2.CreateShelfRequest:
        return library_pb2.CreateShelfRequest(shelf=library_pb2.Shelf(name=PARENT, book_count=size))

    register = handled(CREATE_SHELF, create if colour == "async" else create_in_thread)
    async with place.serving(register, limits=bounds(max_response_bytes=1000)) as running:
        fits, exceeds = [await running.outcome(CREATE_SHELF, asked(size)) for size in (1000, 1001)]
        assert fits.response.ByteSize() == 1000
        assert exceeds.error.code == Code.RESOURCE_EXHAUSTED
        assert "1001 bytes" in exceeds.error.message


@pytest.mark.parametrize("part", ["message", "details"])
@everywhere
async def test_a_huge_error_is_limited(place: Place, part: str) -> None:
    """An error larger than a response may be is replaced by one that tells so, and the first code (RUN-5, SRV-2)."""

    async def handler(request: Any, context: Any) -> Any:
        text = "x" * (5 * MEBIBYTE)
        if part == "message":
            raise OperationError(Status(Code.ABORTED, text))
        raise OperationError(Status(Code.ABORTED, "no", (error_details_pb2.DebugInfo(detail=text),)))

    async with place.serving(importing(handler)) as running:
        operation = await running.outcome()
        assert operation.error.code in {Code.RESOURCE_EXHAUSTED, Code.ABORTED}
        assert operation.error.ByteSize() < 10_000
        assert operation.error.code == Code.ABORTED or f"code {Code.ABORTED.value}" in operation.error.message
        assert (await Caller(running.channel).about("GetOperation", operation.name)).code is OK


# -- what clients can receive -----------------------------------------------------------------------------------


@everywhere
async def test_the_largest_response_is_received(place: Place) -> None:
    """With default limits, the largest response and metadata together reach a client with default options (RUN-5)."""
    limits = Limits()

    async def create(request: Any, context: Any) -> Any:
        await context.update(packed(library_pb2.OperationMetadata, "target", limits.max_metadata_bytes))
        return packed(library_pb2.Shelf, "theme", limits.max_response_bytes)

    async with place.serving(handled(CREATE_SHELF, create), limits=limits) as running:
        caller = Caller(running.channel)
        operation = await running.outcome(CREATE_SHELF, CREATE)
        assert operation.response.ByteSize() == limits.max_response_bytes
        assert operation.metadata.ByteSize() == limits.max_metadata_bytes
        for rpc in ("GetOperation", "WaitOperation"):
            assert (await caller.about(rpc, operation.name)).operation == operation
        assert (await caller.list(PARENT)).names == [operation.name]


@everywhere
async def test_a_page_of_large_operations_is_received(place: Place) -> None:
    """However large operations are, each page of them fits in a message, and all pages hold all of them (PAGE-1)."""

    async def create(request: Any, context: Any) -> Any:
        return packed(library_pb2.Shelf, "theme", MEBIBYTE)

    async with place.serving(handled(CREATE_SHELF, create)) as running:
        caller = Caller(running.channel)
        names = [(await running.outcome(CREATE_SHELF, CREATE)).name for _ in range(6)]
        for fields in ({}, {"filter": "done = true"}, {"filter": "response.theme:*"}):
            pages = await caller.pages(PARENT, **fields)
            assert [name for page in pages for name in page.names] == names[::-1]
            assert 2 <= len(pages) <= 6
            assert max(len(page.data) for page in pages) < 4 * MEBIBYTE
        assert [found.name async for found in running.client.list(PARENT)] == names[::-1]


@on_aio
async def test_a_page_is_never_larger_than_it_may_be(place: Place) -> None:
    """Pages are measured in bytes, names, metadata and all; and one operation is on each, however large (PAGE-1)."""
    names = NamePattern("shelves/{shelf}/operations/{operation}")
    parent = "shelves/" + "\U0001f4da" * 200  # four bytes each
    async with place.serving(importing(imports), names=names, limits=bounds(max_page_bytes=4000)) as running:
        caller = Caller(running.channel)
        started = [await caller.start(library_pb2.ImportBooksRequest(parent=parent)) for _ in range(10)]
        for name in started:
            await caller.done(name)
        pages = await caller.pages(parent)
        assert [name for page in pages for name in page.names] == started[::-1]
        assert max(len(page.data) for page in pages) <= 4000
        assert min(len(page.names) for page in pages) >= 1
    async with place.serving(importing(imports), names=names, limits=bounds(max_page_bytes=1)) as running:
        assert [len(page.names) for page in await Caller(running.channel).pages(parent)] == [1] * 10


@both_edges
async def test_a_refusal_too_long_for_headers_keeps_its_code(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """What `validate` refuses at any length arrives as that code, with as much text as headers hold; so does the log (SRV-2)."""

    def validate(request: library_pb2.ImportBooksRequest, context: Any) -> None:
        violation = error_details_pb2.BadRequest.FieldViolation(field="uri", description="it is wrong")
        details = (error_details_pb2.BadRequest(field_violations=[violation] * request.count),)
        raise OperationError(Status(Code.INVALID_ARGUMENT, f"bad: {request.uri}", details))

    async with place.serving(importing(imports, validate=validate)) as running:
        caller = Caller(running.channel)
        with caplog.at_level(logging.DEBUG, logger="longrunning"):
            for length, count in ((1, 1), (9_000, 1), (100_000, 1), (1, 2_000), (20_000, 2_000), (20_000, 0)):
                for text in ("x", "é", "\n", "\x00", "\U0001f4da"):
                    uri = text * (length // len(text.encode()) or 1)
                    said = await caller.ask(START, library_pb2.ImportBooksRequest(parent=PARENT, uri=uri, count=count))
                    assert said.code is INVALID, (length, count, text)
                    assert said.message.startswith("bad: ")
                    if length == count == 1:
                        assert said.message == f"bad: {uri}"
                        assert len(said.details) == 1
        logged = [record.getMessage() for record in caplog.records]
        assert sum(len(text) for text in logged) < 20_000
        assert all(text.isprintable() for text in logged)  # no caller begins a line of the log
        assert (await caller.about("GetOperation", ABSENT)).code is grpc.StatusCode.NOT_FOUND


# -- waits ------------------------------------------------------------------------------------------------------


@both_edges
async def test_a_wait_too_many_is_answered_at_once(place: Place) -> None:
    """Beyond `max_waits` a WaitOperation is answered as it stands, with OK; when one has ended there is room (SRV-6)."""
    gate = Gate()
    async with place.serving(importing(gate.aio), limits=bounds(max_waits=2, max_thread_waits=100)) as running:
        name = await running.start()
        waits = [asyncio.ensure_future(running.raw.wait(name, 3600)) for _ in range(2)]
        await eventually(lambda: running.waiters == 2)
        for _ in range(3):
            async with asyncio.timeout(5):
                assert not (await running.raw.wait(name, 3600)).done
        waits.pop().cancel()
        await eventually(lambda: running.waiters == 1)
        waits.append(asyncio.ensure_future(running.raw.wait(name, 3600)))
        await eventually(lambda: running.waiters == 2)
        gate.open()
        assert all([(await wait).done for wait in waits])


@over(edges=(Edge.SYNC,), stores=("memory",))
async def test_waits_leave_threads_to_others(place: Place) -> None:
    """On a `grpc.server` no more waits than `max_thread_waits` take a thread: the rest is answered at once (SRV-6, RUN-5)."""
    gate = Gate()
    async with place.serving(importing(gate.aio), threads=8, limits=bounds(max_thread_waits=3)) as running:
        name = await running.start()
        waits = [asyncio.ensure_future(running.raw.wait(name, 3600)) for _ in range(3)]
        await eventually(lambda: running.waiters == 3)
        async with asyncio.timeout(5):
            assert not any([(await running.raw.wait(name, 3600)).done for _ in range(10)])
        assert (await running.raw.get(name)).name == name
        gate.open()
        assert all([(await wait).done for wait in waits])


@both_edges
async def test_a_limit_of_no_waits_answers_all_at_once(place: Place) -> None:
    """`max_waits=0` turns WaitOperation into Get, and clients wait by polling (SRV-6)."""
    gate = Gate()
    async with place.serving(importing(gate.aio), limits=bounds(max_waits=0)) as running:
        name = await running.start()
        async with asyncio.timeout(5):
            assert not (await running.raw.wait(name, 3600)).done
        gate.open()
        await eventually(lambda: gate.left == 1)
        assert (await running.client.attach(name).wait(timeout=10)).done


# -- filters ----------------------------------------------------------------------------------------------------


@both_edges
async def test_a_filter_may_be_so_long(place: Place) -> None:
    """A filter of `max_filter_length` characters is read, one of one more is INVALID_ARGUMENT (FILT-2)."""
    async with place.serving(importing(imports), limits=bounds(max_filter_length=40)) as running:
        caller = Caller(running.channel)
        fits = "done = true" + " " * 29
        assert (await caller.list(PARENT, filter=fits)).code is OK
        for text in (fits + " ", "x" * 1_000_000, "é" * 41):
            said = await caller.list(PARENT, filter=text)
            assert said.field == "filter"
            assert "40 characters" in said.message


# -- the limits themselves --------------------------------------------------------------------------------------

LONGEST = timedelta(days=36_525)
FIELDS = [field.name for field in dataclasses.fields(Limits)]
DURATIONS = [
    "max_wait",
    "lease_ttl",
    "cancel_grace",
    "shutdown_grace",
    "reconcile_interval",
    "retention",
    "purge_interval",
    "max_scan_time",
]
COUNTS = [name for name in FIELDS if name not in DURATIONS]


@pytest.mark.parametrize("name", FIELDS)
def test_limits_that_make_no_sense_are_refused(name: str) -> None:
    """A limit that is negative, no number or none at all is refused where it is made, and named (RUN-5)."""
    make: Any = Limits
    for wrong in (-1, -0.001, timedelta(seconds=-1)):
        with pytest.raises((ValueError, TypeError), match=name):
            make(**{name: wrong})
    for no_number in (None, "1", True, math.nan, [1], 1j):
        with pytest.raises((TypeError, ValueError), match=name):
            make(**{name: no_number})


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_whole_numbers(name: str) -> None:
    """Half an operation on a page, infinite bytes, or a duration for a number are refused where they are made (RUN-5)."""
    make: Any = Limits
    for wrong in (1.5, math.inf, timedelta(seconds=1)):
        with pytest.raises((TypeError, ValueError), match=name):
            make(**{name: wrong})


@pytest.mark.parametrize("name", DURATIONS)
def test_durations_are_seconds(name: str) -> None:
    """A duration is seconds, whole or not, or a timedelta; it can be read back as seconds (RUN-5)."""
    for given, seconds in ((1, 1.0), (0.5, 0.5), (timedelta(minutes=2), 120.0)):
        assert Limits(**{name: given}).seconds(name) == seconds  # type: ignore[arg-type]


def test_limits_are_consistent_and_frozen() -> None:
    """The default page cannot be larger than the maximum; and limits do not change under a server (PAGE-1)."""
    with pytest.raises(ValueError, match="default_page_size 11 exceeds max_page_size 10"):
        Limits(default_page_size=11, max_page_size=10)
    limits: Any = Limits()
    with pytest.raises(dataclasses.FrozenInstanceError):
        limits.max_scan = 1


@pytest.mark.parametrize("name", DURATIONS)
def test_for_ever_is_a_hundred_years(name: str) -> None:
    """A duration beyond a hundred years, which clocks and stores cannot count, is refused, and no wrong advice given (SRV-9)."""
    make: Any = Limits
    assert make(**{name: LONGEST}).seconds(name) == LONGEST.total_seconds()
    for wrong in (LONGEST + timedelta(seconds=1), timedelta.max, 1e18, 1e300, 10**400, math.inf):
        with pytest.raises(ValueError, match=name) as refused:
            make(**{name: wrong})
        assert "None" not in str(refused.value)  # that is no limit


@pytest.mark.parametrize("name", DURATIONS)
@on_aio
async def test_durations_may_be_as_long_as_there_are(place: Place, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """The longest of each duration is as good as for ever, and nothing fails or is logged over it (SRV-9, SRV-6)."""
    gate = Gate()
    with caplog.at_level(logging.WARNING, logger="longrunning"):
        async with place.serving(importing(gate.aio), limits=bounds(**{name: LONGEST})) as running:
            caller = Caller(running.channel)
            operation = await caller.start()
            await gate.entered()
            waiting = asyncio.create_task(caller.done(operation))
            await eventually(lambda: running.waiters == 1)
            await caller.about("CancelOperation", operation)
            gate.open()
            assert (await waiting).done
            assert (await caller.about("GetOperation", operation)).code is OK
    assert caplog.records == []
