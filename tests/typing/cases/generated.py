# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What is generated from example.library.v1: constants, clients, and servicers to be completed."""

from __future__ import annotations

from datetime import timedelta
from typing import assert_type

import grpc
import grpc.aio
from google.protobuf.empty_pb2 import Empty

from example.library.v1 import library_pb2_grpc
from example.library.v1.library_lro import (
    CREATE_SHELF,
    DELETE_SHELF,
    IMPORT_BOOKS,
    TYPES,
    AsyncLibraryLro,
    LibraryLro,
    LibraryLroServicer,
    SyncLibraryLroServicer,
)
from example.library.v1.library_pb2 import (
    CreateShelfRequest,
    DeleteShelfRequest,
    GetShelfRequest,
    ImportBooksMetadata,
    ImportBooksRequest,
    ImportBooksResponse,
    OperationMetadata,
    Shelf,
)
from longrunning import (
    AsyncOperationHandle,
    AsyncOperationsClient,
    LroMethod,
    OperationHandle,
    OperationsClient,
    TypeRegistry,
)
from longrunning.server import AsyncOperationContext, OperationContext, OperationsServer


def constants() -> None:
    assert_type(IMPORT_BOOKS, LroMethod[ImportBooksRequest, ImportBooksResponse, ImportBooksMetadata])
    assert_type(CREATE_SHELF, LroMethod[CreateShelfRequest, Shelf, OperationMetadata])
    assert_type(DELETE_SHELF, LroMethod[DeleteShelfRequest, Empty, OperationMetadata])
    assert_type(TYPES, TypeRegistry)


def used(channel: grpc.Channel) -> None:
    library = LibraryLro(OperationsClient(channel, registry=TYPES))
    operation = library.import_books(ImportBooksRequest(), timeout=1.5, metadata=[("x-caller", "ann")])
    assert_type(operation, OperationHandle[ImportBooksResponse, ImportBooksMetadata])
    assert_type(operation.result(), ImportBooksResponse)
    assert_type(operation.wait().metadata, ImportBooksMetadata | None)
    assert_type(library.create_shelf(CreateShelfRequest(), timeout=timedelta(seconds=1)).result(), Shelf)
    assert_type(library.delete_shelf(DeleteShelfRequest()).result(), Empty)
    assert_type(library.resume_delete_shelf("operations/1"), OperationHandle[Empty, OperationMetadata])
    assert_type(library.resume_create_shelf(operation.name, metadata=(("x-caller", "ann"),)).result(), Shelf)
    assert_type(library.operations, OperationsClient)


async def used_async(channel: grpc.aio.Channel) -> None:
    library = AsyncLibraryLro(AsyncOperationsClient(channel, registry=TYPES))
    operation = await library.import_books(ImportBooksRequest(), timeout=None)
    assert_type(operation, AsyncOperationHandle[ImportBooksResponse, ImportBooksMetadata])
    assert_type(await operation, ImportBooksResponse)
    assert_type((await operation.wait()).metadata, ImportBooksMetadata | None)
    assert_type(await library.resume_create_shelf("operations/1"), Shelf)
    assert_type(library.operations, AsyncOperationsClient)


class Library(LibraryLroServicer, library_pb2_grpc.LibraryServicer):
    async def import_books(
        self, request: ImportBooksRequest, context: AsyncOperationContext[ImportBooksMetadata]
    ) -> ImportBooksResponse:
        await context.update(ImportBooksMetadata(total=request.count))
        return ImportBooksResponse()

    async def create_shelf(
        self, request: CreateShelfRequest, context: AsyncOperationContext[OperationMetadata]
    ) -> Shelf:
        return request.shelf

    async def delete_shelf(
        self, request: DeleteShelfRequest, context: AsyncOperationContext[OperationMetadata]
    ) -> Empty:
        return Empty()

    async def GetShelf(self, request: GetShelfRequest, context: object) -> Shelf:  # noqa: N802
        return Shelf(name=request.name)


class InThreads(SyncLibraryLroServicer, library_pb2_grpc.LibraryServicer):
    def __init__(self, operations_server: OperationsServer) -> None:
        operations_server.method(CREATE_SHELF, resource=lambda request: request.shelf_id)(self.create_shelf)
        super().__init__(operations_server)

    def import_books(
        self, request: ImportBooksRequest, context: OperationContext[ImportBooksMetadata]
    ) -> ImportBooksResponse:
        context.update(ImportBooksMetadata(total=request.count))
        return ImportBooksResponse()

    def create_shelf(self, request: CreateShelfRequest, context: OperationContext[OperationMetadata]) -> Shelf:
        return request.shelf

    def delete_shelf(self, request: DeleteShelfRequest, context: OperationContext[OperationMetadata]) -> Empty:
        return Empty()

    def GetShelf(self, request: GetShelfRequest, context: grpc.ServicerContext) -> Shelf:  # noqa: N802
        return Shelf(name=request.name)


def served(operations_server: OperationsServer, server: grpc.Server, aio_server: grpc.aio.Server) -> None:
    library_pb2_grpc.add_LibraryServicer_to_server(Library(operations_server), aio_server)
    library_pb2_grpc.add_LibraryServicer_to_server(InThreads(operations_server), server)
    assert_type(Library(operations_server).operations_server, OperationsServer)
