# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What generated clients and servicers refuse."""

from __future__ import annotations

import grpc
from google.protobuf.empty_pb2 import Empty

from example.library.v1.library_lro import (
    AsyncLibraryLro,
    LibraryLro,
    LibraryLroServicer,
    SyncLibraryLroServicer,
)
from example.library.v1.library_pb2 import (
    CreateShelfRequest,
    DeleteShelfRequest,
    ImportBooksMetadata,
    ImportBooksRequest,
    ImportBooksResponse,
    OperationMetadata,
    Shelf,
)
from longrunning import AsyncOperationsClient, OperationsClient
from longrunning.server import AsyncOperationContext, OperationContext, OperationsServer


def made(channel: grpc.Channel, client: OperationsClient, async_client: AsyncOperationsClient) -> None:
    LibraryLro(channel)  # E: arg-type | ArgumentType
    LibraryLro(async_client)  # E: arg-type | ArgumentType
    AsyncLibraryLro(client)  # E: arg-type | ArgumentType
    LibraryLro()  # E: call-arg | CallIssue


def used(library: LibraryLro) -> None:
    library.create_shelf(ImportBooksRequest())  # E: arg-type | ArgumentType
    library.create_shelf(CreateShelfRequest(), 5)  # E: call-arg | CallIssue
    library.create_shelf(CreateShelfRequest(), timeout="5")  # E: arg-type | ArgumentType
    library.create_shelf(CreateShelfRequest(), policy=None)  # E: call-arg | CallIssue
    library.resume_create_shelf(5)  # E: arg-type | ArgumentType
    library.resume_create_shelf("operations/1").result().imported  # E: attr-defined | AttributeAccessIssue
    library.get_shelf  # E: attr-defined | AttributeAccessIssue
    library.operations = library.operations  # E: misc | AttributeAccessIssue


async def used_async(library: AsyncLibraryLro) -> None:
    library.create_shelf(CreateShelfRequest()).name  # E: attr-defined | AttributeAccessIssue
    await library.create_shelf(DeleteShelfRequest())  # E: arg-type | ArgumentType
    (await library.resume_create_shelf("operations/1")).imported  # E: attr-defined | AttributeAccessIssue


class OtherResponse(SyncLibraryLroServicer):
    def create_shelf(  # E: override | IncompatibleMethodOverride
        self, request: CreateShelfRequest, context: OperationContext[OperationMetadata]
    ) -> ImportBooksResponse:
        return ImportBooksResponse()

    def delete_shelf(self, request: DeleteShelfRequest, context: OperationContext[OperationMetadata]) -> Empty:
        context.update(ImportBooksMetadata())  # E: arg-type | ArgumentType
        return Shelf()  # E: return-value | ReturnType


class OtherRequest(LibraryLroServicer):
    async def import_books(  # E: - | IncompatibleMethodOverride
        self,
        request: CreateShelfRequest,  # E: override | -
        context: AsyncOperationContext[ImportBooksMetadata],
    ) -> ImportBooksResponse:
        return ImportBooksResponse()


class OtherMetadata(LibraryLroServicer):
    async def import_books(  # E: - | IncompatibleMethodOverride
        self,
        request: ImportBooksRequest,
        context: AsyncOperationContext[OperationMetadata],  # E: override | -
    ) -> ImportBooksResponse:
        return ImportBooksResponse()


class OtherColour(LibraryLroServicer):
    def import_books(  # E: override | IncompatibleMethodOverride
        self, request: ImportBooksRequest, context: AsyncOperationContext[ImportBooksMetadata]
    ) -> ImportBooksResponse:
        return ImportBooksResponse()


def served(operations_server: OperationsServer) -> None:
    OtherResponse(operations_server)  # E: abstract | AbstractUsage
    LibraryLroServicer(operations_server)  # E: abstract | AbstractUsage
