# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What the async client refuses."""

from __future__ import annotations

import asyncio

import grpc
from google.protobuf.message import Message

from example.library.v1.library_pb2 import (
    CreateShelfRequest,
    ImportBooksMetadata,
    ImportBooksRequest,
    ImportBooksResponse,
    OperationMetadata,
    Shelf,
)
from longrunning import DEFAULT, AsyncOperationHandle, AsyncOperationsClient, Operation, PollPolicy
from tests.typing.cases.library import CREATE_SHELF, DELETE_SHELF, IMPORT_BOOKS


def made(channel: grpc.aio.Channel, sync: grpc.Channel) -> None:
    AsyncOperationsClient()  # E: call-arg | CallIssue
    AsyncOperationsClient(sync)  # E: arg-type | ArgumentType
    AsyncOperationsClient("localhost:50051")  # E: arg-type | ArgumentType
    AsyncOperationsClient(channel, PollPolicy())  # E: call-arg | CallIssue
    AsyncOperationsClient(channel, policy=5)  # E: arg-type | ArgumentType
    AsyncOperationsClient(channel, registry=[Shelf])  # E: arg-type | ArgumentType
    AsyncOperationsClient(channel, metadata={"x-trace": "1"})  # E: dict-item | ArgumentType
    with AsyncOperationsClient(channel):  # E: attr-defined | GeneralTypeIssues
        pass


async def started(client: AsyncOperationsClient) -> None:
    await client.start(CREATE_SHELF, ImportBooksRequest())  # E: misc | ArgumentType
    await client.start(CREATE_SHELF, CreateShelfRequest)  # E: misc | ArgumentType
    await client.start(CREATE_SHELF, {"shelf_id": "1"})  # E: misc | ArgumentType
    await client.start(CREATE_SHELF)  # E: call-arg | CallIssue
    await client.start(CreateShelfRequest(), CREATE_SHELF)  # E: arg-type | ArgumentType
    await client.start("/a.B/CreateShelf", CreateShelfRequest())  # E: arg-type | ArgumentType
    await client.start(CREATE_SHELF, CreateShelfRequest(), timeout=5)  # E: call-arg | CallIssue
    await client.start(CREATE_SHELF, CreateShelfRequest(), rpc_timeout=DEFAULT)  # E: arg-type | ArgumentType
    await client.start(CREATE_SHELF, CreateShelfRequest(), rpc_timeout="5s")  # E: arg-type | ArgumentType
    await client.start(CREATE_SHELF, CreateShelfRequest(), metadata={"x-trace": "1"})  # E: dict-item | ArgumentType
    client.start(CREATE_SHELF, CreateShelfRequest())  # E: unused-coroutine | UnusedCoroutine
    client.start(CREATE_SHELF, CreateShelfRequest()).result()  # E: attr-defined | AttributeAccessIssue


async def used(handle: AsyncOperationHandle[Shelf, OperationMetadata]) -> None:
    books: ImportBooksResponse = await handle  # E: assignment | AssignmentType
    books = await handle.result()  # E: assignment | AssignmentType
    shelf: Shelf = handle.result()  # E: assignment | AssignmentType
    shelf = handle  # E: assignment | AssignmentType
    (await handle).imported  # E: attr-defined | AttributeAccessIssue
    handle.wait()  # E: unused-coroutine | UnusedCoroutine
    handle.cancel()  # E: unused-coroutine | UnusedCoroutine
    handle.wait().done  # E: attr-defined | AttributeAccessIssue
    handle.operation.done  # E: union-attr | OptionalMemberAccess
    handle.metadata  # E: attr-defined | AttributeAccessIssue
    for _ in handle.watch():  # E: attr-defined | GeneralTypeIssues
        pass
    async for _ in await handle.watch():  # E: misc | GeneralTypeIssues
        pass
    async for other in handle.watch():
        other.metadata.verb  # E: union-attr | OptionalMemberAccess
        other.result().imported  # E: attr-defined | AttributeAccessIssue
    imported: tuple[ImportBooksResponse, Shelf] = await asyncio.gather(handle, handle)  # E: assignment | AssignmentType
    print(books, shelf, imported)


async def timed(client: AsyncOperationsClient, handle: AsyncOperationHandle[Shelf, OperationMetadata]) -> None:
    await handle.wait(timeout="5s")  # E: arg-type | ArgumentType
    await handle.result(timeout=(1, 2))  # E: arg-type | ArgumentType
    handle.watch(timeout=b"5")  # E: arg-type | ArgumentType
    await handle.wait(5)  # E: call-arg | CallIssue
    await handle.wait(rpc_timeout=5)  # E: call-arg | CallIssue
    await handle.wait(policy=5)  # E: arg-type | ArgumentType
    await handle.wait(policy=PollPolicy)  # E: arg-type | ArgumentType
    await handle.wait(cancel_on_exit="yes")  # E: arg-type | ArgumentType
    handle.watch(on_progress=print)  # E: call-arg | CallIssue
    await client.wait_operation("operations/1", DEFAULT)  # E: call-overload | ArgumentType
    await client.wait_operation("operations/1")  # E: call-overload | CallIssue


# -- callbacks


def of_import(operation: Operation[ImportBooksResponse, ImportBooksMetadata]) -> None:
    print(operation)


async def of_import_async(operation: Operation[ImportBooksResponse, ImportBooksMetadata]) -> None:
    await asyncio.sleep(0)


def of_metadata(metadata: OperationMetadata) -> None:
    print(metadata)


def of_nothing() -> None:
    print()


async def called_back(handle: AsyncOperationHandle[Shelf, OperationMetadata]) -> None:
    await handle.wait(on_progress=of_import)  # E: arg-type | ArgumentType
    await handle.wait(on_progress=of_import_async)  # E: arg-type | ArgumentType
    await handle.wait(on_progress=of_metadata)  # E: arg-type | ArgumentType
    await handle.wait(on_progress=of_nothing)  # E: arg-type | ArgumentType
    await handle.result(on_progress=of_import)  # E: arg-type | ArgumentType
    await handle.wait(on_progress="print")  # E: arg-type | ArgumentType
    await handle.wait(on_progress=lambda operation: operation.metadata.verb)  # E: union-attr | OptionalMemberAccess
    await handle.wait(on_progress=lambda operation: print(operation.percent))  # E: attr-defined | AttributeAccessIssue
    await handle.wait(on_progress=lambda operation, done: (operation, done))  # E: misc | ArgumentType


# -- by name, by token, by message


async def found(client: AsyncOperationsClient, proto: Message, handle: AsyncOperationHandle[Shelf, object]) -> None:
    client.attach(CREATE_SHELF, "operations/1")  # E: call-overload | ArgumentType
    client.attach(5)  # E: call-overload | ArgumentType
    client.attach("operations/1", Shelf)  # E: call-overload | ArgumentType
    client.attach(proto, CREATE_SHELF)  # E: call-overload | ArgumentType
    client.resume(b"token", CREATE_SHELF)  # E: call-overload | ArgumentType
    client.resume(CREATE_SHELF)  # E: call-overload | ArgumentType
    client.adopt("operations/1", CREATE_SHELF)  # E: call-overload | ArgumentType
    client.adopt(handle)  # E: call-overload | ArgumentType
    client.adopt(handle.operation)  # E: arg-type | ArgumentType
    await client.get(handle)  # E: call-overload | ArgumentType
    await client.get("operations/1", "CreateShelf")  # E: call-overload | ArgumentType
    await client.cancel(handle)  # E: arg-type | ArgumentType
    client.delete("operations/1")  # E: unused-coroutine | UnusedCoroutine
    books: AsyncOperationHandle[ImportBooksResponse, ImportBooksMetadata]
    books = client.attach("operations/1", CREATE_SHELF)  # E: arg-type | AssignmentType
    books = client.resume("token", DELETE_SHELF)  # E: arg-type | AssignmentType
    books = client.adopt(proto, CREATE_SHELF)  # E: arg-type | AssignmentType
    books = client.adopt(await client.get("operations/1", CREATE_SHELF))  # E: arg-type | AssignmentType
    snapshot: Operation[Shelf, Message] = await client.get("operations/1", IMPORT_BOOKS)  # E: arg-type | AssignmentType
    print(books, snapshot)


async def listed(client: AsyncOperationsClient) -> None:
    for _ in client.list("projects/p"):  # E: attr-defined | GeneralTypeIssues
        pass
    async for _ in await client.list("projects/p"):  # E: misc | GeneralTypeIssues
        pass
    async for _ in client.list("projects/p").pages:  # E: attr-defined | GeneralTypeIssues
        pass
    client.list("projects/p", "done=true")  # E: call-arg | CallIssue
    client.list()  # E: call-arg | CallIssue
    client.list("projects/p", page_size="10")  # E: arg-type | ArgumentType


# -- what a handle holds cannot be replaced, and one is not another


async def changed(
    handle: AsyncOperationHandle[Shelf, OperationMetadata], other: AsyncOperationHandle[object, object]
) -> None:
    handle.name = "operations/2"  # E: misc | AttributeAccessIssue
    handle.operation = None  # E: misc | AttributeAccessIssue
    handle.resume_token = "token"  # E: misc | AttributeAccessIssue
    shelf: AsyncOperationHandle[Shelf, OperationMetadata] = other  # E: assignment | AssignmentType
    books: AsyncOperationHandle[ImportBooksResponse, OperationMetadata] = handle  # E: assignment | AssignmentType
    print(shelf, books)
