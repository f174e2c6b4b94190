# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The server: handlers, contexts and starts, as a service writes them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, assert_type

import grpc
import grpc.aio
from google.cloud import redis_v1
from google.protobuf.empty_pb2 import Empty

from example.library.v1.library_pb2 import (
    CreateShelfRequest,
    DeleteShelfRequest,
    ImportBooksMetadata,
    ImportBooksRequest,
    ImportBooksResponse,
    OperationMetadata,
    Shelf,
)
from longrunning import DEFAULT, Code, LroMethod, OperationError, Status
from longrunning.server import (
    SERVER_OPTIONS,
    Access,
    AllowAll,
    Answer,
    AsyncOperationContext,
    Authorizer,
    Call,
    Executor,
    Limits,
    LocalExecutor,
    MemoryStore,
    NamePattern,
    OperationContext,
    OperationsServer,
    OperationStore,
    SqliteStore,
    answer_now,
)
from tests.typing.cases.library import CREATE_SHELF, DELETE_SHELF, IMPORT_BOOKS

CREATE_INSTANCE = LroMethod(
    path="/google.cloud.redis.v1.CloudRedis/CreateInstance",
    request_type=redis_v1.CreateInstanceRequest,
    response_type=redis_v1.Instance,
    metadata_type=redis_v1.OperationMetadata,
)


class Tenants:
    async def authorize(self, call: Call) -> Access:
        tenant = call.header("x-tenant")
        if tenant is None:
            raise OperationError(Status(Code.UNAUTHENTICATED, "say who you are"))
        return Access(principal=tenant, scope=tenant)


def made() -> OperationsServer:
    stores: list[OperationStore] = [MemoryStore(), SqliteStore("operations.db")]
    authorizers: list[Authorizer] = [AllowAll(), Tenants()]
    executors: list[Executor] = [LocalExecutor(concurrency=4, queue=10)]
    return OperationsServer(
        store=stores[0],
        authorizer=authorizers[1],
        executor=executors[0],
        names=NamePattern("shelves/{shelf}/operations/{operation}"),
        limits=Limits(lease_ttl=timedelta(seconds=5), retention=3_600),
        page_token_keys=[b"0123456789abcdef"],
    )


def registered(server: OperationsServer) -> None:
    @server.method(IMPORT_BOOKS)
    async def import_books(
        request: ImportBooksRequest, context: AsyncOperationContext[ImportBooksMetadata]
    ) -> ImportBooksResponse:
        await context.update(ImportBooksMetadata(total=request.count))
        await context.update(checkpoint=b"1")
        assert_type(context.metadata, ImportBooksMetadata | None)
        assert_type(context.checkpoint, bytes | None)
        assert_type(context.attempt, int)
        assert_type(context.cancel_requested, bool)
        context.raise_if_cancelled()
        return ImportBooksResponse()

    assert_type(
        import_books,
        Callable[
            [ImportBooksRequest, AsyncOperationContext[ImportBooksMetadata]], Coroutine[Any, Any, ImportBooksResponse]
        ],
    )

    @server.method(
        CREATE_SHELF,
        parent=lambda request: request.shelf.name,
        resource=lambda request: request.shelf_id,
        metadata=lambda request: OperationMetadata(target=request.shelf_id),
        validate=check_shelf,
        max_attempts=3,
    )
    def create_shelf(request: CreateShelfRequest, context: OperationContext[OperationMetadata]) -> Shelf:
        context.update(OperationMetadata(verb="create"))
        return request.shelf

    assert_type(create_shelf, Callable[[CreateShelfRequest, OperationContext[OperationMetadata]], Shelf])

    class Service:
        async def delete(self, request: DeleteShelfRequest, context: AsyncOperationContext[OperationMetadata]) -> Empty:
            return Empty()

    server.method(DELETE_SHELF, parent="shelves/1", serve=False)(Service().delete)
    server.method(DELETE_SHELF, parent=DEFAULT, validate=check_later)(functools.partial(delete_shelf, "x"))

    @server.method(CREATE_INSTANCE)
    async def create_instance(
        request: redis_v1.CreateInstanceRequest, context: AsyncOperationContext[redis_v1.OperationMetadata]
    ) -> redis_v1.Instance:
        await context.update(redis_v1.OperationMetadata())
        return redis_v1.Instance()


async def delete_shelf(
    extra: str, request: DeleteShelfRequest, context: AsyncOperationContext[OperationMetadata]
) -> Empty:
    return Empty()


def check_shelf(request: CreateShelfRequest, grpc_context: Any) -> Answer[Shelf] | None:
    if request.shelf_id:
        return None
    answer = answer_now(Shelf())
    assert_type(answer, Answer[Shelf])
    return answer


async def check_later(request: DeleteShelfRequest, grpc_context: Any) -> None:
    raise OperationError(Status(Code.INVALID_ARGUMENT, request.name))


async def served(server: OperationsServer, aio: grpc.aio.Server, threads: grpc.Server) -> None:
    server.add_to(aio, reflection=True, health=True)
    server.add_to(threads)
    grpc.aio.server(options=SERVER_OPTIONS)
    async with server as entered:
        assert_type(entered, OperationsServer)
    with server as entered:
        assert_type(entered, OperationsServer)
    operation = await server.start(CREATE_SHELF, CreateShelfRequest(), parent="shelves/1", request_id="1")
    operation.name.startswith("shelves/")
    server.start_blocking(CREATE_SHELF, CreateShelfRequest(), None)
