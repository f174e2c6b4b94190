# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Request ids (AIP-155): a request that is sent again starts nothing again, whatever happened in between."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from example.library.v1 import library_pb2
from longrunning import LroMethod, OperationError, StartError, Status
from longrunning.server import Access, AllowAll, Call, LocalExecutor, OperationsServer
from longrunning.status import Code
from tests.pair.callers import Caller, Said, Tenants, fronted
from tests.pair.serving import (
    IMPORTED,
    NAMES,
    PARENT,
    Edge,
    Gate,
    Place,
    Running,
    bounds,
    everywhere,
    handled,
    imports,
    once,
    over,
)

on_aio = over(edges=(Edge.AIO,))  # what the edge has no part in
both_edges = over(stores=("memory",))
INVALID, OK = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.OK
UUID = "7e3d1f5e-94f0-4e0f-8b4d-0a3c1a4d7a11"


def _request_type() -> Any:
    """A message with a ``request_id``, as AIP-155 has it, and a map, whose order means nothing."""
    file = descriptor_pb2.FileDescriptorProto(name="requests.proto", package="example.requests", syntax="proto3")
    message = file.message_type.add(name="ImportRequest")
    entry = message.nested_type.add(name="LabelsEntry")
    entry.options.map_entry = True
    string, integer = descriptor_pb2.FieldDescriptorProto.TYPE_STRING, descriptor_pb2.FieldDescriptorProto.TYPE_INT32
    optional = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
    for number, name in enumerate(("key", "value"), 1):
        entry.field.add(name=name, number=number, type=string, label=optional)
    for number, name in enumerate(("parent", "request_id"), 1):
        message.field.add(name=name, number=number, type=string, label=optional)
    message.field.add(name="count", number=3, type=integer, label=optional)
    message.field.add(
        name="labels",
        number=4,
        type=descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE,
        label=descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED,
        type_name=".example.requests.ImportRequest.LabelsEntry",
    )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("example.requests.ImportRequest"))


Request: Any = _request_type()
IMPORT: LroMethod[Any, Any, Any] = LroMethod(
    path="/example.requests.Requests/Import",
    request_type=Request,
    response_type=library_pb2.ImportBooksResponse,
    metadata_type=library_pb2.ImportBooksMetadata,
)
EXPORT: LroMethod[Any, Any, Any] = LroMethod(
    path="/example.requests.Requests/Export",
    request_type=Request,
    response_type=library_pb2.ImportBooksResponse,
    metadata_type=library_pb2.ImportBooksMetadata,
)


def request(
    request_id: str = UUID, *, parent: str = PARENT, count: int = 4, labels: Mapping[str, str] | None = None
) -> Any:
    """One request."""
    return Request(parent=parent, request_id=request_id, count=count, labels=labels or {})


async def sent(caller: Caller, message: Any = None, path: str = IMPORT.path) -> Said:
    """What a request is answered."""
    return await caller.ask(path, request() if message is None else message)


async def name_of(caller: Caller, message: Any = None, path: str = IMPORT.path) -> str:
    """The operation a request started, or had started before."""
    return (await sent(caller, message, path)).operation.name


def _uri(message: Any) -> str:
    return "one for all"


# -- the same again ---------------------------------------------------------------------------------------------


@everywhere
async def test_a_request_sent_again_gives_the_same_operation(place: Place) -> None:
    """Running, done or deleted: the same id gives the operation it started, as it stands, and runs nothing (SRV-7, SRV-5)."""
    gate = Gate()
    async with place.serving(handled(IMPORT, gate.aio)) as running:
        caller = Caller(running.channel)
        name = await name_of(caller)
        await gate.entered()
        again = (await sent(caller)).operation
        assert (again.name, again.done) == (name, False)
        gate.open()
        done = await caller.done(name)
        assert (await sent(caller)).operation == done
        assert done.response.value == IMPORTED.SerializeToString()
        await caller.about("DeleteOperation", name)
        assert await name_of(caller) == name
        assert (await caller.about("GetOperation", name)).code is grpc.StatusCode.NOT_FOUND
        assert await caller.listed("shelves/-") == []
        assert len(gate.contexts) == 1


@everywhere
async def test_requests_sent_at_once_start_one_operation(place: Place) -> None:
    """Twenty of the same request at the same time are one operation, and one run of its handler (SRV-7)."""
    gate = Gate()
    async with place.serving(handled(IMPORT, gate.aio)) as running:
        caller = Caller(running.channel)
        names = await asyncio.gather(*(name_of(caller) for _ in range(20)))
        assert len(set(names)) == 1
        await gate.entered()
        gate.open()
        await caller.done(names[0])
        assert len(gate.contexts) == 1
        assert await caller.listed(PARENT) == names[:1]


@everywhere
async def test_the_same_request_is_the_same_after_a_restart(place: Place) -> None:
    """A server that was ended and started again, and one beside it, know the request, and the operation goes on (SRV-7)."""
    gate = Gate()
    async with place.serving(handled(IMPORT, gate.aio), limits=bounds(shutdown_grace=0.0)) as running:
        name = await name_of(Caller(running.channel))
        await gate.entered()
    async with place.serving(handled(IMPORT, gate.aio), limits=bounds(reconcile_interval=0.05)) as running:
        caller = Caller(running.channel)
        assert await name_of(caller) == name
        beside = OperationsServer(store=place.store(), authorizer=AllowAll(), names=NAMES)
        handled(IMPORT, gate.aio)(beside)
        async with beside, fronted(Running(place.edge, beside, running.store, running.address)) as channel:
            assert await name_of(Caller(channel)) == name
        gate.open()
        assert (await caller.done(name)).HasField("response")
        assert await caller.listed(PARENT) == [name]


@both_edges
async def test_what_serializes_differently_may_be_the_same(place: Place) -> None:
    """The order of fields and of a map's entries on the wire makes no other request (SRV-7)."""
    async with place.serving(handled(IMPORT, imports)) as running:
        caller = Caller(running.channel)
        labels = {f"key {number}": "x" for number in range(8)}
        backwards = dict(reversed(labels.items()))
        name = await name_of(caller, request(labels=labels))
        assert await name_of(caller, request(labels=backwards)) == name
        pieces = [request(labels=labels), Request(count=4), Request(parent=PARENT), Request(request_id=UUID)]
        one_by_one = b"".join(piece.SerializeToString() for piece in reversed(pieces[1:]))
        one_by_one += b"".join(Request(labels={key: "x"}).SerializeToString() for key in backwards)
        assert (await caller.ask(IMPORT.path, one_by_one)).operation.name == name


@everywhere
async def test_without_an_id_every_request_is_new(place: Place) -> None:
    """An empty id is none: the same request, sent twice, is two operations (SRV-7)."""
    async with place.serving(handled(IMPORT, imports)) as running:
        caller = Caller(running.channel)
        names = {await name_of(caller, request("")) for _ in range(3)}
        assert len(names) == 3
        assert set(await caller.listed(PARENT)) == names


# -- not the same -----------------------------------------------------------------------------------------------


@everywhere
async def test_another_request_under_the_same_id_is_refused(place: Place) -> None:
    """A different request under the id is INVALID_ARGUMENT about `request_id`, and tells nothing of the first (SRV-7)."""
    async with place.serving(handled(IMPORT, imports)) as running:
        caller = Caller(running.channel)
        name = await name_of(caller)
        for other in (request(count=5), request(parent="shelves/2"), request(labels={"key": "label"})):
            said = await sent(caller, other)
            assert said.field == "request_id"
            assert name not in said.message
            assert UUID not in said.message
        await caller.done(name)
        await caller.about("DeleteOperation", name)
        assert (await sent(caller, request(count=5))).field == "request_id"
        assert await name_of(caller) == name


@everywhere
async def test_ids_are_of_one_method(place: Place) -> None:
    """The same id for another method is another operation (SRV-7)."""

    def register(server: OperationsServer) -> None:
        handled(IMPORT, imports)(server)
        handled(EXPORT, imports)(server)

    async with place.serving(register) as running:
        caller = Caller(running.channel)
        names = {await name_of(caller), await name_of(caller, path=EXPORT.path)}
        assert len(names) == 2
        assert {await name_of(caller), await name_of(caller, path=EXPORT.path)} == names


@everywhere
async def test_ids_are_of_one_caller(place: Place) -> None:
    """Another caller with the same id and request, or another one, gets an operation of their own (SRV-7, AUTH-3)."""
    async with place.serving(handled(IMPORT, imports), authorizer=Tenants()) as running:
        alice, adam, bob = (Caller.named(running.channel, token) for token in ("alice", "adam", "bob"))
        names = {await name_of(alice), await name_of(adam), await name_of(bob, request(count=5))}
        assert len(names) == 3
        assert {await name_of(alice), await name_of(adam), await name_of(bob, request(count=5))} == names
        assert (await sent(Caller.named(running.channel, "mallory"))).code is grpc.StatusCode.PERMISSION_DENIED


@everywhere
async def test_no_id_leads_out_of_a_scope(place: Place) -> None:
    """One caller in two tenants gets by an id no operation of the other tenant, and hears nothing of it (SRV-7, AUTH-3)."""

    class Switching:
        def authorize(self, call: Call, /) -> Access:
            return Access(principal="alice", scope=call.header("tenant"))

    async with place.serving(handled(IMPORT, imports), authorizer=Switching()) as running:
        first, second = (Caller(running.channel, ("tenant", tenant)) for tenant in ("1", "2"))
        name = await name_of(first)
        for _ in range(2):
            said = await sent(second)
            assert said.code in {OK, INVALID}  # an operation of their own, or none
            if said.code is OK:
                assert said.operation.name != name
                assert (await second.about("GetOperation", said.operation.name)).code is OK
            else:
                assert said.field == "request_id"
                assert name not in said.message
        assert await name_of(first) == name


# -- what else a replay meets -----------------------------------------------------------------------------------


@everywhere
async def test_a_request_sent_again_is_in_nobodys_way(place: Place) -> None:
    """A replay is no second operation on the resource: it gives the first one, and is not ABORTED (SRV-7, SRV-8)."""
    gate = Gate()
    async with place.serving(handled(IMPORT, gate.aio, resource=_uri)) as running:
        caller = Caller(running.channel)
        name = await name_of(caller)
        assert await name_of(caller) == name
        assert (await sent(caller, request("another"))).code is grpc.StatusCode.ABORTED
        assert await name_of(caller) == name
        gate.open()
        await caller.done(name)
        assert await name_of(caller, request("another")) != name


@on_aio
async def test_a_request_sent_again_needs_no_place_in_the_queue(place: Place) -> None:
    """When the queue is full, with the first operation of all things, sending the request again gives it (SRV-7, RUN-5)."""
    gate = Gate()
    executor = LocalExecutor(concurrency=1, queue=0)
    async with place.serving(handled(IMPORT, gate.aio), executor=executor) as running:
        caller = Caller(running.channel)
        name = await name_of(caller)
        await gate.entered()
        assert (await sent(caller, request("another"))).code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await name_of(caller) == name
        gate.open()
        await caller.done(name)


@on_aio
async def test_what_the_first_changed_does_not_refuse_the_second(place: Place) -> None:
    """`validate` refuses what exists already; the request that made it, sent again, still gives its operation (SRV-7, SRV-10)."""
    made: set[str] = set()

    def validate(message: Any, context: Any) -> None:
        if message.parent in made:
            raise OperationError(Status(Code.ALREADY_EXISTS, "there is such a shelf"))

    async def handler(message: Any, context: Any) -> library_pb2.ImportBooksResponse:
        made.add(message.parent)
        return IMPORTED

    async with place.serving(handled(IMPORT, handler, validate=validate), authorizer=Tenants()) as running:
        caller = Caller.named(running.channel, "alice")
        name = await name_of(caller)
        await caller.done(name)
        assert (await sent(caller, request("another"))).code is grpc.StatusCode.ALREADY_EXISTS
        assert await name_of(caller) == name


@everywhere
async def test_a_start_that_failed_leaves_its_id_free(place: Place) -> None:
    """An id is taken by what was stored: after a refusal the same request may be sent again, and starts (SRV-7, SRV-2)."""
    refusing = True

    def validate(message: Any, context: Any) -> None:
        if refusing:
            raise OperationError(Status(Code.FAILED_PRECONDITION, "not today"))

    async with place.serving(handled(IMPORT, imports, validate=validate)) as running:
        caller = Caller(running.channel)
        assert (await sent(caller)).code is grpc.StatusCode.FAILED_PRECONDITION
        refusing = False
        name = await name_of(caller, request(count=5))  # not even the request has to be the same
        assert await name_of(caller, request(count=5)) == name


@everywhere
async def test_an_id_is_forgotten_with_its_operation(place: Place) -> None:
    """When an operation is purged its id is free: the same request starts a new one (SRV-7, SRV-9)."""
    async with place.serving(handled(IMPORT, imports)) as running:
        caller = Caller(running.channel)
        name = await name_of(caller)
        await caller.done(name)
        assert await running.on_loop(running.store.purge(older_than=-1, limit=10)) == 1
        another = await name_of(caller)
        assert another != name
        assert await name_of(caller) == another


# -- ids that are none ------------------------------------------------------------------------------------------


@everywhere
async def test_ids_that_are_none_are_refused(place: Place) -> None:
    """An id that is too long or not printable is INVALID_ARGUMENT about `request_id`, and nothing is stored (SRV-7)."""
    bad = (
        "\0",
        "a\0",
        "a\nb",
        "\x1b[31m",
        "\x7f",
        "\u202e1",
        "\u200b",
        "\u2028",
        "\ufeff",
        "\ue000",
        "a" * 129,
        "é" * 129,
    )
    async with place.serving(handled(IMPORT, imports)) as running:
        caller = Caller(running.channel)
        for request_id in (*bad, "a" * 1_000_000, "\U0010ffff"):
            said = await sent(caller, request(request_id))
            assert said.field == "request_id", ascii(request_id)[:40]
            assert len(said.message) < 300
            assert said.message.isprintable()
        assert await caller.listed("shelves/-") == []


@everywhere
async def test_odd_ids_are_ids(place: Place) -> None:
    """What is printable is an id, compared to the letter, however it looks to SQL, to eyes or to trimmers (SRV-7)."""
    odd = (
        "a" * 128,
        "é" * 128,
        " ",
        " a",
        "a ",
        "a",
        "A",
        "'--",
        '"',
        "%",
        "_",
        "\\",
        "é",
        "e\u0301",
        "\U0001f4da",
        "0",
        "00",
        "null",
    )
    async with place.serving(handled(IMPORT, imports)) as running:
        caller = Caller(running.channel)
        names = [await name_of(caller, request(request_id)) for request_id in odd]
        assert len(set(names)) == len(odd)
        assert [await name_of(caller, request(request_id)) for request_id in odd] == names


# -- by hand ----------------------------------------------------------------------------------------------------


@on_aio
async def test_a_servicer_written_by_hand_may_say_the_id(place: Place) -> None:
    """`start(request_id=…)` counts in place of the one in the request, and is held to the same (SRV-7)."""
    async with place.serving(handled(IMPORT, imports)) as running:
        server, caller = running.server, Caller(running.channel)
        first = await server.start(IMPORT, request(""), request_id="by hand")
        again = await server.start(IMPORT, request(""), request_id="by hand")
        assert again.name == first.name
        assert (await server.start(IMPORT, request("in it"), request_id="other")).name != first.name
        assert await name_of(caller, request("in it")) != first.name
        for bad in ("\0", "a" * 129, "\ud800"):
            with pytest.raises(StartError, match="request_id") as refused:
                await server.start(IMPORT, request(""), request_id=bad)
            assert refused.value.code is Code.INVALID_ARGUMENT


@once
async def test_the_parent_is_part_of_the_request(place: Place) -> None:
    """The same message under another parent, which the servicer chose, is another request: the id is refused (SRV-7)."""
    async with place.serving(handled(IMPORT, imports)) as running:
        server = running.server
        first = await server.start(IMPORT, request(), parent="shelves/1")
        assert (await server.start(IMPORT, request(), parent="shelves/1")).name == first.name
        with pytest.raises(StartError, match="request_id"):
            await server.start(IMPORT, request(), parent="shelves/2")
