# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""gRPC's own services beside ours: health over the life of a server, reflection of what it serves, and extras that lack."""

from __future__ import annotations

import asyncio
import concurrent.futures
import importlib
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import descriptor_pb2
from grpc_reflection.v1alpha import reflection_pb2

from longrunning.errors import MissingExtraError
from longrunning.server import AllowAll, MemoryStore, OperationsServer
from tests.pair.callers import Caller, fronted
from tests.pair.colours import CREATE_SHELF, IMPORT_BOOKS
from tests.pair.serving import (
    ABSENT,
    DELETE_SHELF,
    NAMES,
    PATIENCE,
    Edge,
    Place,
    Running,
    handled,
    importing,
    imports,
    library,
    once,
    over,
)

both_edges = over(stores=("memory",))
health_pb2: Any = importlib.import_module("grpc_health.v1.health_pb2")  # it ships no types
CHECK, WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
OURS = "google.longrunning.Operations"


async def health_of(channel: grpc.aio.Channel, service: str = "") -> Any:
    """What a health check says of a service."""
    said = await Caller(channel).ask(CHECK, health_pb2.HealthCheckRequest(service=service))
    if said.code is not grpc.StatusCode.OK:
        return said.code
    return health_pb2.HealthCheckResponse.FromString(said.data).status


def watch(channel: grpc.aio.Channel, service: str = "") -> Any:
    """A stream of what is to be said of a service; closed by `cancel`."""
    untyped: Any = channel
    request = health_pb2.HealthCheckRequest(service=service).SerializeToString()
    return untyped.unary_stream(WATCH)(request, timeout=PATIENCE * 2)


async def told(stream: Any) -> int:
    """The next thing it says."""
    async with asyncio.timeout(PATIENCE):
        return int(health_pb2.HealthCheckResponse.FromString(await stream.read()).status)


@asynccontextmanager
async def asleep(place: Place) -> AsyncGenerator[tuple[Running, grpc.aio.Channel], None]:
    """A server that is not entered yet, and a channel to a gRPC server that tells of its health."""
    async with (
        place.serving(importing(imports), enter=False) as running,
        fronted(running, health=True) as channel,
    ):
        yield running, channel


# -- health -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["", OURS])
@both_edges
async def test_health_follows_the_life_of_the_server(place: Place, service: str) -> None:
    """NOT_SERVING before the server is entered and after it has ended, SERVING in between; and so again (RUN-4)."""
    async with asleep(place) as (running, channel):
        assert await health_of(channel, service) == NOT_SERVING
        for _ in range(2):
            async with running.server:
                assert await health_of(channel, service) == SERVING
            assert await health_of(channel, service) == NOT_SERVING


@both_edges
async def test_who_watches_is_told_at_once(place: Place) -> None:
    """A stream of health says how things stand, and then every change, to each who watches (RUN-4)."""
    async with asleep(place) as (running, channel):
        streams = [watch(channel, service) for service in ("", OURS, "")]
        assert [await told(stream) for stream in streams] == [NOT_SERVING] * 3
        async with running.server:
            assert [await told(stream) for stream in streams] == [SERVING] * 3
        assert [await told(stream) for stream in streams] == [NOT_SERVING] * 3
        for stream in streams:
            stream.cancel()


@both_edges
async def test_many_who_watch_are_in_nobodys_way(place: Place) -> None:
    """Fifty streams of health take no thread each: checks and operations are answered beside them (RUN-5)."""
    async with asleep(place) as (running, channel):
        async with running.server:
            streams = [watch(channel) for _ in range(50)]
            assert [await told(stream) for stream in streams] == [SERVING] * 50
            assert await health_of(channel) == SERVING
            assert (await Caller(channel).about("GetOperation", ABSENT)).code is grpc.StatusCode.NOT_FOUND
        assert [await told(stream) for stream in streams] == [NOT_SERVING] * 50
        for stream in streams:
            stream.cancel()


@both_edges
async def test_who_watches_keeps_nobody_from_ending(place: Place) -> None:
    """A gRPC server ends although its health is still watched, and no thread is left waiting (RUN-4)."""
    async with asleep(place) as (running, channel):
        streams = [watch(channel) for _ in range(3)]
        async with running.server:
            assert [await told(stream) for stream in streams] in ([SERVING] * 3, [NOT_SERVING] * 3)
    for stream in streams:
        stream.cancel()


@both_edges
async def test_shutting_down_is_told_before_handlers_end(place: Place) -> None:
    """As soon as a server begins to end it is NOT_SERVING and answers UNAVAILABLE, while handlers get their time (RUN-4)."""
    begun, end = asyncio.Event(), asyncio.Event()

    async def handler(request: Any, context: Any) -> Any:
        begun.set()
        await end.wait()
        return await imports(request, context)

    async with (
        place.serving(importing(handler), enter=False) as running,
        fronted(running, health=True) as channel,
    ):
        stream = watch(channel)
        assert await told(stream) == NOT_SERVING
        async with running.server:
            assert await told(stream) == SERVING
            await Caller(channel).start()
            await begun.wait()
            leaving = asyncio.create_task(running.server.__aexit__(None, None, None))
            assert await told(stream) == NOT_SERVING
            assert (await Caller(channel).about("GetOperation", ABSENT)).code is grpc.StatusCode.UNAVAILABLE
            assert not leaving.done()
            end.set()
            await leaving
        stream.cancel()


@both_edges
async def test_a_service_nobody_has_has_no_health(place: Place) -> None:
    """The health of an unknown service is NOT_FOUND, and to who watches it SERVICE_UNKNOWN, as gRPC's protocol says (SRV-1)."""
    async with asleep(place) as (running, channel), running.server:
        assert await health_of(channel, "nope") is grpc.StatusCode.NOT_FOUND
        stream = watch(channel, "nope")
        assert await told(stream) == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        stream.cancel()


@both_edges
async def test_without_being_asked_neither_is_served(place: Place) -> None:
    """Health and reflection are there on request: without it they are UNIMPLEMENTED (SRV-1)."""
    async with place.serving() as running:
        assert await health_of(running.channel) is grpc.StatusCode.UNIMPLEMENTED
        assert await reflected(running.channel, []) is grpc.StatusCode.UNIMPLEMENTED


@over(edges=(Edge.AIO,))
async def test_two_loops_work_or_are_refused(place: Place) -> None:
    """`with server:`, on a thread, under a `grpc.aio.Server` is refused in words, or works to the end, health too (SRV-1)."""
    server = OperationsServer(store=place.store(), authorizer=AllowAll(), names=NAMES)
    library(server)
    async with fronted(Running(Edge.AIO, server, place.store(), ""), health=True) as channel:
        caller = Caller(channel)
        refused = ""
        try:
            await asyncio.to_thread(server.__enter__)
        except RuntimeError as error:
            refused = str(error)
        if refused:
            assert "async with" in refused
            return
        try:
            for _ in range(3):
                assert (await caller.done(await caller.start())).done
            assert await health_of(channel) == SERVING
        finally:
            await asyncio.to_thread(server.__exit__, None, None, None)
        assert await health_of(channel) == NOT_SERVING


# -- reflection -------------------------------------------------------------------------------------------------


async def reflected(channel: grpc.aio.Channel, asked: Sequence[reflection_pb2.ServerReflectionRequest]) -> Any:
    """The answers to questions, in one stream; or the code it failed with."""
    untyped: Any = channel
    stream = untyped.stream_stream(REFLECTION)(timeout=PATIENCE)
    answers: list[reflection_pb2.ServerReflectionResponse] = []
    try:
        for request in asked:
            await stream.write(request.SerializeToString())
            answers.append(reflection_pb2.ServerReflectionResponse.FromString(await stream.read()))
        await stream.done_writing()
        assert await stream.read() is grpc.aio.EOF
    except grpc.aio.AioRpcError as error:
        return error.code()
    return answers


def files_of(answer: reflection_pb2.ServerReflectionResponse) -> dict[str, descriptor_pb2.FileDescriptorProto]:
    """The files of an answer, by name."""
    assert answer.HasField("file_descriptor_response"), answer
    found = [
        descriptor_pb2.FileDescriptorProto.FromString(data)
        for data in answer.file_descriptor_response.file_descriptor_proto
    ]
    return {file.name: file for file in found}


@both_edges
async def test_reflection_lists_what_is_served(place: Place) -> None:
    """Reflection lists Operations, the services of the handlers, and itself, each once (SRV-1)."""
    async with place.serving() as running, fronted(running, reflection=True) as channel:
        [answer] = await reflected(channel, [reflection_pb2.ServerReflectionRequest(list_services="")])
        services = [service.name for service in answer.list_services_response.service]
        assert sorted(services) == sorted(
            {
                OURS,
                "example.library.v1.Library",
                "grpc.reflection.v1alpha.ServerReflection",
            }
        )


@both_edges
async def test_reflection_finds_methods_and_payloads(place: Place) -> None:
    """A tool finds the files of both services, and of every type that requests and payloads have (SRV-1)."""
    methods = (IMPORT_BOOKS, CREATE_SHELF, DELETE_SHELF)
    types = {kind.full_name for method in methods for kinds in method.kinds for kind in kinds}
    types |= {method.request_kind.full_name for method in methods}
    symbols = [OURS, "example.library.v1.Library", "google.longrunning.Operation", "google.rpc.Status", *types]
    async with place.serving() as running, fronted(running, reflection=True) as channel:
        answers = await reflected(
            channel,
            [reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol) for symbol in symbols],
        )
        for symbol, answer in zip(symbols, answers, strict=True):
            defined: set[str] = set()
            for file in files_of(answer).values():
                defined |= {f"{file.package}.{message.name}" for message in file.message_type}
                defined |= {f"{file.package}.{service.name}" for service in file.service}
            assert symbol in defined


@both_edges
async def test_reflection_survives_nonsense(place: Place) -> None:
    """A symbol, a file or an extension that is not there is an error in the stream, which goes on (SRV-1)."""
    extension = reflection_pb2.ExtensionRequest(containing_type="nope", extension_number=-1)
    asked = [
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="nope\0' OR 1"),
        reflection_pb2.ServerReflectionRequest(file_by_filename="../../etc/passwd"),
        reflection_pb2.ServerReflectionRequest(file_containing_extension=extension),
        reflection_pb2.ServerReflectionRequest(list_services="*"),
    ]
    async with place.serving() as running, fronted(running, reflection=True) as channel:
        answers = await reflected(channel, asked)
        assert [answer.WhichOneof("message_response") for answer in answers] == [
            *["error_response"] * 4,
            "list_services_response",
        ]
        assert {answer.error_response.error_code for answer in answers[:-1]} == {grpc.StatusCode.NOT_FOUND.value[0]}


# -- extras that are not installed ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "module", "words"),
    [
        ("reflection", "grpc_reflection.v1alpha.reflection", "gRPC reflection"),
        ("health", "grpc_health.v1.health", "gRPC health checks"),
    ],
)
@pytest.mark.parametrize("edge", [Edge.AIO, Edge.SYNC], ids=lambda edge: edge.value)
def test_what_is_not_installed_names_the_extra(
    edge: Edge, option: str, module: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reflection or health without its package is a MissingExtraError that says what to install (PKG-1)."""
    monkeypatch.setitem(sys.modules, module, None)

    async def play() -> None:
        server = OperationsServer(store=MemoryStore(), authorizer=AllowAll())
        handled(IMPORT_BOOKS, imports, parent="")(server)
        grpc_server: Any = (
            grpc.aio.server() if edge is Edge.AIO else grpc.server(concurrent.futures.ThreadPoolExecutor(1))
        )
        with pytest.raises(MissingExtraError, match=rf"{words}.*longrunning\[server\]"):
            server.add_to(grpc_server, **{option: True})
        server.add_to(grpc_server)  # nothing else is missing
        if edge is Edge.AIO:
            await grpc_server.stop(None)

    asyncio.run(play())


@once
async def test_only_grpc_servers_are_added_to(place: Place) -> None:
    """What is no gRPC server is refused with its name, rather than served nowhere (SRV-1)."""
    async with place.serving(library) as running:
        for wrong in (None, object(), grpc.aio.Server, "127.0.0.1:1"):
            with pytest.raises(TypeError, match=r"grpc\.aio\.Server or a grpc\.Server"):
                running.server.add_to(wrong)


@pytest.mark.parametrize(
    ("missing", "action"),
    [
        ("grpc", "from longrunning.server import SERVER_OPTIONS"),
        ("grpc", "OperationsServer(store=MemoryStore(), authorizer=AllowAll()).add_to(None)"),
        ("lark", "asyncio.run(filtered())"),
    ],
    ids=["grpc-options", "grpc-add_to", "lark-filter"],
)
def test_a_package_that_lacks_names_the_extra(missing: str, action: str) -> None:
    """Without gRPC, or without the parser of filters, what needs it says which extra to install, and no more needs it (PKG-1)."""
    program = f"""
import asyncio, sys
sys.modules[{missing!r}] = None
from longrunning.server import AllowAll, Call, MemoryStore, OperationsServer, Rpc
async def filtered():
    async with OperationsServer(store=MemoryStore(), authorizer=AllowAll()) as server:
        for text in ("", "done = true"):
            await server.service.list(Call(Rpc.LIST, ""), filter=text, page_size=0, page_token="")
            print("listed with", repr(text))
try:
    exec({action!r})
except ImportError as error:
    print(type(error).__name__, "longrunning[server]" in str(error))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    *before, last = done.stdout.splitlines()
    assert last == "MissingExtraError True"
    assert before in ([], ["listed with ''"])
