# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What `protoc-gen-longrunning` makes of our example: its clients against its servicers, on both kinds of gRPC server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, Final

import grpc
import grpc.aio
import pytest
from google.protobuf import empty_pb2

from example.library.v1 import library_pb2, library_pb2_grpc
from example.library.v1.library_lro import (
    CREATE_SHELF,
    TYPES,
    AsyncLibraryLro,
    LibraryLro,
    LibraryLroServicer,
    SyncLibraryLroServicer,
)
from longrunning import (
    AsyncOperationsClient,
    Code,
    OperationCancelledError,
    OperationError,
    OperationsClient,
    OperationState,
    PollPolicy,
    StartError,
    Status,
)
from longrunning.server import AsyncOperationContext, OperationContext, OperationsServer
from tests.pair.serving import CREATE, DELETE, IMPORT, PARENT, Edge, Place, Running, once, over

QUICK: Final = PollPolicy(initial=0.01)
GET: Final = library_pb2.GetShelfRequest(name="shelves/7")
WITHOUT_THEME: Final = library_pb2.CreateShelfRequest(shelf=library_pb2.Shelf(name=PARENT))
ENDLESS: Final = library_pb2.ImportBooksRequest(parent=PARENT, count=-1)
HEADERS: Final = (("x-caller", "ann"),)

Construct = Callable[[OperationsServer], object]
on_both: Final = over(stores=("memory",))


def progress(request: library_pb2.ImportBooksRequest) -> library_pb2.ImportBooksMetadata:
    """Where an import ends."""
    return library_pb2.ImportBooksMetadata(total=request.count, done=request.count)


def made(request: library_pb2.CreateShelfRequest) -> library_pb2.Shelf:
    """The shelf that is created."""
    if not request.shelf.theme:
        raise OperationError(Status(Code.INVALID_ARGUMENT, "a shelf has a theme"))
    return request.shelf


class AsyncLibrary(LibraryLroServicer, library_pb2_grpc.LibraryServicer):
    """What an author writes for ``grpc.aio``: long-running methods as coroutines, and an ordinary one."""

    async def import_books(
        self, request: library_pb2.ImportBooksRequest, context: AsyncOperationContext[library_pb2.ImportBooksMetadata]
    ) -> library_pb2.ImportBooksResponse:
        """Is done at once, or never."""
        await context.update(progress(request))
        while request.count < 0:
            await context.sleep(10)
        return library_pb2.ImportBooksResponse(imported=request.count)

    async def create_shelf(
        self, request: library_pb2.CreateShelfRequest, context: AsyncOperationContext[library_pb2.OperationMetadata]
    ) -> library_pb2.Shelf:
        """Fails without a theme."""
        await context.update(library_pb2.OperationMetadata(verb="create"))
        return made(request)

    async def delete_shelf(
        self, request: library_pb2.DeleteShelfRequest, context: AsyncOperationContext[library_pb2.OperationMetadata]
    ) -> empty_pb2.Empty:
        """Has nothing to return."""
        return empty_pb2.Empty()

    async def GetShelf(  # noqa: N802
        self, request: library_pb2.GetShelfRequest, context: object
    ) -> library_pb2.Shelf:
        """An ordinary method."""
        return library_pb2.Shelf(name=request.name)


class SyncLibrary(SyncLibraryLroServicer, library_pb2_grpc.LibraryServicer):
    """The same for ``grpc.server``: functions, which run in threads."""

    def import_books(
        self, request: library_pb2.ImportBooksRequest, context: OperationContext[library_pb2.ImportBooksMetadata]
    ) -> library_pb2.ImportBooksResponse:
        """Is done at once, or never."""
        context.update(progress(request))
        while request.count < 0:
            context.sleep(10)
        return library_pb2.ImportBooksResponse(imported=request.count)

    def create_shelf(
        self, request: library_pb2.CreateShelfRequest, context: OperationContext[library_pb2.OperationMetadata]
    ) -> library_pb2.Shelf:
        """Fails without a theme."""
        context.update(library_pb2.OperationMetadata(verb="create"))
        return made(request)

    def delete_shelf(
        self, request: library_pb2.DeleteShelfRequest, context: OperationContext[library_pb2.OperationMetadata]
    ) -> empty_pb2.Empty:
        """Has nothing to return."""
        return empty_pb2.Empty()

    def GetShelf(  # noqa: N802
        self, request: library_pb2.GetShelfRequest, context: object
    ) -> library_pb2.Shelf:
        """An ordinary method."""
        return library_pb2.Shelf(name=request.name)


def serving(place: Place, before: Construct | None = None, **options: Any) -> AbstractAsyncContextManager[Running]:
    """Serves the library with the servicer for this kind of gRPC server, after something was done with the other server."""

    def also(grpc_server: Any, server: OperationsServer) -> None:
        if before is not None:
            before(server)
        servicer: Any = AsyncLibrary(server) if place.edge is Edge.AIO else SyncLibrary(server)
        library_pb2_grpc.add_LibraryServicer_to_server(servicer, grpc_server)

    return place.serving(lambda _: None, also=also, **options)


def client_of(running: Running) -> AsyncLibraryLro:
    """The async client."""
    return AsyncLibraryLro(AsyncOperationsClient(running.channel, registry=TYPES, policy=QUICK))


@contextmanager
def sync_client_of(running: Running) -> Generator[tuple[LibraryLro, library_pb2_grpc.LibraryStub]]:
    """The sync client, and the stub of grpc beside it; for use in a thread."""
    with (
        grpc.insecure_channel(running.address) as channel,
        OperationsClient(channel, registry=TYPES, policy=QUICK) as client,
    ):
        yield LibraryLro(client), library_pb2_grpc.LibraryStub(channel)


@on_both
async def test_async_client(place: Place) -> None:
    """Every method of the async client is a handler of the servicer; GetShelf stays an ordinary method (GEN-3)."""
    async with serving(place) as running:
        library = client_of(running)
        importing = await library.import_books(IMPORT)
        assert (await importing).imported == 4
        assert (await importing.wait()).metadata == library_pb2.ImportBooksMetadata(total=4, done=4)
        assert await (await library.create_shelf(CREATE)) == CREATE.shelf
        assert await (await library.delete_shelf(DELETE)) == empty_pb2.Empty()
        stub: Any = library_pb2_grpc.LibraryStub(running.channel)
        assert (await stub.GetShelf(GET)).name == GET.name


@on_both
async def test_sync_client(place: Place) -> None:
    """Every method of the sync client is a handler of the servicer; GetShelf stays an ordinary method (GEN-3)."""

    def use(running: Running) -> None:
        with sync_client_of(running) as (library, stub):
            importing = library.import_books(IMPORT)
            assert importing.result().imported == 4
            assert importing.wait().metadata == library_pb2.ImportBooksMetadata(total=4, done=4)
            assert library.create_shelf(CREATE).result() == CREATE.shelf
            assert library.delete_shelf(DELETE).result() == empty_pb2.Empty()
            assert stub.GetShelf(GET).name == GET.name

    async with serving(place) as running:
        await asyncio.to_thread(use, running)


@on_both
async def test_resume(place: Place) -> None:
    """A name is enough to go on with an operation elsewhere, while it runs and when it is done (GEN-3)."""

    def elsewhere(running: Running, name: str) -> None:
        with sync_client_of(running) as (library, _):
            again = library.resume_import_books(name)
            assert again.name == name
            with pytest.raises(OperationCancelledError):
                again.result()
            with pytest.raises(ValueError, match="name"):
                library.resume_import_books("")

    async with serving(place) as running:
        started = await client_of(running).import_books(ENDLESS)
        waiting = asyncio.create_task(asyncio.to_thread(elsewhere, running, started.name))
        resumed = client_of(running).resume_import_books(started.name)
        await resumed.cancel()
        assert (await resumed.wait()).state is OperationState.CANCELLED
        await waiting
        done = await (await client_of(running).create_shelf(CREATE)).wait()
        again = await client_of(running).resume_create_shelf(done.name).wait()
        assert (again.result(), again.metadata) == (CREATE.shelf, library_pb2.OperationMetadata(verb="create"))


@on_both
async def test_failures(place: Place) -> None:
    """What a handler raises fails its operation; what prevents a start is an error of the RPC, with its code (GEN-3)."""

    def use(running: Running) -> None:
        with sync_client_of(running) as (library, _):
            with pytest.raises(OperationError, match="a shelf has a theme"):
                library.create_shelf(WITHOUT_THEME).result()
            with pytest.raises(StartError) as caught:
                library.import_books(library_pb2.ImportBooksRequest(parent="nowhere"))
            assert caught.value.code is Code.INVALID_ARGUMENT

    async with serving(place) as running:
        library = client_of(running)
        with pytest.raises(OperationError, match="a shelf has a theme"):
            await (await library.create_shelf(WITHOUT_THEME))
        with pytest.raises(StartError) as caught:
            await (await library.import_books(library_pb2.ImportBooksRequest(parent="nowhere")))
        assert caught.value.code is Code.INVALID_ARGUMENT
        await asyncio.to_thread(use, running)


@on_both
async def test_registered_before(place: Place) -> None:
    """A method that was registered before the servicer was made keeps its handler and settings; others are added (GEN-3)."""
    seen: list[object] = []

    def validate(request: library_pb2.CreateShelfRequest, context: Any) -> None:
        seen.append(dict(context.invocation_metadata()).get("x-caller"))
        if not request.shelf.theme:
            raise OperationError(Status(Code.FAILED_PRECONDITION, "not without a theme"))

    async def create_shelf(
        request: library_pb2.CreateShelfRequest, context: AsyncOperationContext[library_pb2.OperationMetadata]
    ) -> library_pb2.Shelf:
        return library_pb2.Shelf(name="shelves/other")

    async with serving(place, lambda server: server.method(CREATE_SHELF, validate=validate)(create_shelf)) as running:
        library = client_of(running)
        with pytest.raises(StartError, match="not without a theme"):
            await (await library.create_shelf(WITHOUT_THEME, metadata=HEADERS))
        assert (await (await library.create_shelf(CREATE, timeout=9))).name == "shelves/other"
        assert (await (await library.import_books(IMPORT))).imported == 4
        assert seen == ["ann", None]


@on_both
async def test_what_only_the_servicer_serves(place: Place) -> None:
    """A method that the server is not to serve is served by the servicer, whose RPC starts its operations (GEN-3)."""

    async def create_shelf(
        request: library_pb2.CreateShelfRequest, context: AsyncOperationContext[library_pb2.OperationMetadata]
    ) -> library_pb2.Shelf:
        return library_pb2.Shelf(name="shelves/other")

    async with serving(place, lambda server: server.method(CREATE_SHELF, serve=False)(create_shelf)) as running:
        library = client_of(running)
        assert (await (await library.create_shelf(CREATE))).name == "shelves/other"
        with pytest.raises(StartError) as caught:
            await (await library.create_shelf(library_pb2.CreateShelfRequest(shelf=library_pb2.Shelf(name="nowhere"))))
        assert caught.value.code is Code.INVALID_ARGUMENT


@on_both
async def test_added_in_the_other_order(place: Place) -> None:
    """Which of the two is added to the gRPC server first makes no difference (GEN-3)."""
    async with serving(place, add_first=False) as running:
        assert (await (await client_of(running).import_books(IMPORT))).imported == 4


@on_both
async def test_types_of_a_list(place: Place) -> None:
    """With TYPES as its registry a client knows the types of listed operations of every method (GEN-3)."""
    async with serving(place) as running:
        library = client_of(running)
        for started in (await library.import_books(IMPORT), await library.create_shelf(CREATE)):
            await started.wait()
        found: set[object] = {type(listed.result()) async for listed in library.operations.list(PARENT)}
        assert found == {library_pb2.ImportBooksResponse, library_pb2.Shelf}


@once
async def test_without_the_servicer_of_grpc(place: Place) -> None:
    """Made and not added, a servicer still has its long-running methods served; ordinary ones are not there (GEN-3)."""
    async with place.serving(AsyncLibrary) as running:
        assert (await (await client_of(running).import_books(IMPORT))).imported == 4
        stub: Any = library_pb2_grpc.LibraryStub(running.channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetShelf(GET)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
