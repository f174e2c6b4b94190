# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What the server refuses."""

from __future__ import annotations

from example.library.v1.library_pb2 import (
    CreateShelfRequest,
    ImportBooksMetadata,
    ImportBooksRequest,
    ImportBooksResponse,
    OperationMetadata,
    Shelf,
)
from longrunning.server import (
    Access,
    AllowAll,
    AsyncOperationContext,
    Limits,
    MemoryStore,
    OperationContext,
    OperationsServer,
)
from tests.typing.cases.library import CREATE_SHELF, IMPORT_BOOKS


class Careless:
    def authorize(self, call: str) -> bool:
        return True


def made() -> None:
    OperationsServer(store=MemoryStore())  # E: call-arg | CallIssue
    OperationsServer(authorizer=AllowAll())  # E: call-arg | CallIssue
    OperationsServer(MemoryStore(), AllowAll())  # E: call-arg | CallIssue
    OperationsServer(store="operations.db", authorizer=AllowAll())  # E: arg-type | ArgumentType
    OperationsServer(store=MemoryStore(), authorizer=Careless())  # E: arg-type | ArgumentType
    OperationsServer(store=MemoryStore(), authorizer=AllowAll(), names="operations/{id}")  # E: arg-type | ArgumentType
    Limits(30)  # E: call-arg | CallIssue
    Limits(max_page_size="many")  # E: arg-type | ArgumentType
    Access(principal=None, scope=None)  # E: arg-type | ArgumentType


async def other_request(
    request: CreateShelfRequest, context: AsyncOperationContext[ImportBooksMetadata]
) -> ImportBooksResponse:
    return ImportBooksResponse()


async def other_response(request: ImportBooksRequest, context: AsyncOperationContext[ImportBooksMetadata]) -> Shelf:
    return Shelf()


async def other_metadata(
    request: ImportBooksRequest, context: AsyncOperationContext[OperationMetadata]
) -> ImportBooksResponse:
    return ImportBooksResponse()


async def other_context(
    request: ImportBooksRequest, context: OperationContext[ImportBooksMetadata]
) -> ImportBooksResponse:
    return ImportBooksResponse()


def no_context(request: ImportBooksRequest) -> ImportBooksResponse:
    return ImportBooksResponse()


def other_validate(request: ImportBooksRequest, grpc_context: object) -> None:
    pass


def registered(server: OperationsServer) -> None:
    server.method(IMPORT_BOOKS)(other_request)  # E: arg-type | CallIssue, ArgumentType
    server.method(IMPORT_BOOKS)(other_response)  # E: arg-type | CallIssue, ArgumentType
    server.method(IMPORT_BOOKS)(other_metadata)  # E: arg-type | CallIssue, ArgumentType
    server.method(IMPORT_BOOKS)(other_context)  # E: arg-type | CallIssue, ArgumentType
    server.method(IMPORT_BOOKS)(no_context)  # E: arg-type | CallIssue, ArgumentType
    server.method("/a.B/C")  # E: arg-type | ArgumentType
    server.method(CREATE_SHELF, parent=5)  # E: arg-type | ArgumentType
    server.method(CREATE_SHELF, parent=lambda request: request.no_such)  # E: attr-defined | AttributeAccessIssue
    server.method(CREATE_SHELF, validate=other_validate)  # E: arg-type | ArgumentType


async def used(
    server: OperationsServer,
    context: AsyncOperationContext[OperationMetadata],
    in_thread: OperationContext[OperationMetadata],
) -> None:
    await context.update(ImportBooksMetadata())  # E: arg-type | ArgumentType
    await context.update(checkpoint="1")  # E: arg-type | ArgumentType
    context.update(OperationMetadata())  # E: unused-coroutine | UnusedCoroutine
    await in_thread.update(OperationMetadata())  # E: func-returns-value, misc | GeneralTypeIssues
    context.attempt = 2  # E: misc | AttributeAccessIssue
    await server.start(CREATE_SHELF, ImportBooksRequest())  # E: misc | ArgumentType
    server.start(CREATE_SHELF, CreateShelfRequest())  # E: unused-coroutine | UnusedCoroutine
