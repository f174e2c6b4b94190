# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What the sync client refuses."""

from __future__ import annotations

import grpc
import grpc.aio
from google.protobuf.message import Message

from example.library.v1.library_pb2 import (
    CreateShelfRequest,
    ImportBooksMetadata,
    ImportBooksRequest,
    ImportBooksResponse,
    OperationMetadata,
    Shelf,
)
from longrunning import DEFAULT, Operation, OperationHandle, OperationsClient, PollPolicy
from tests.typing.cases.library import CREATE_SHELF, DELETE_SHELF, IMPORT_BOOKS


async def made(channel: grpc.Channel, asynchronous: grpc.aio.Channel) -> None:
    OperationsClient()  # E: call-arg | CallIssue
    OperationsClient(asynchronous)  # E: arg-type | ArgumentType
    OperationsClient("localhost:50051")  # E: arg-type | ArgumentType
    OperationsClient(channel, PollPolicy())  # E: call-arg | CallIssue
    OperationsClient(channel, policy=5)  # E: arg-type | ArgumentType
    OperationsClient(channel, registry=[Shelf])  # E: arg-type | ArgumentType
    OperationsClient(channel, metadata={"x-trace": "1"})  # E: dict-item | ArgumentType
    async with OperationsClient(channel):  # E: attr-defined | GeneralTypeIssues
        pass


def started(client: OperationsClient) -> None:
    client.start(CREATE_SHELF, ImportBooksRequest())  # E: misc | ArgumentType
    client.start(CREATE_SHELF, CreateShelfRequest)  # E: misc | ArgumentType
    client.start(CREATE_SHELF, {"shelf_id": "1"})  # E: misc | ArgumentType
    client.start(CREATE_SHELF)  # E: call-arg | CallIssue
    client.start(CreateShelfRequest(), CREATE_SHELF)  # E: arg-type | ArgumentType
    client.start("/a.B/CreateShelf", CreateShelfRequest())  # E: arg-type | ArgumentType
    client.start(CREATE_SHELF, CreateShelfRequest(), timeout=5)  # E: call-arg | CallIssue
    client.start(CREATE_SHELF, CreateShelfRequest(), rpc_timeout=DEFAULT)  # E: arg-type | ArgumentType
    client.start(CREATE_SHELF, CreateShelfRequest(), rpc_timeout="5s")  # E: arg-type | ArgumentType
    client.start(CREATE_SHELF, CreateShelfRequest(), metadata={"x-trace": "1"})  # E: dict-item | ArgumentType
    client.start(CREATE_SHELF, CreateShelfRequest()).imported  # E: attr-defined | AttributeAccessIssue


async def used(handle: OperationHandle[Shelf, OperationMetadata]) -> None:
    books: ImportBooksResponse = handle.result()  # E: assignment | AssignmentType
    shelf: Shelf = handle  # E: assignment | AssignmentType
    await handle  # E: misc | GeneralTypeIssues
    await handle.result()  # E: misc | GeneralTypeIssues
    await handle.wait()  # E: misc | GeneralTypeIssues
    handle.result().imported  # E: attr-defined | AttributeAccessIssue
    handle.result.name  # E: attr-defined | AttributeAccessIssue
    handle.wait().metadata.verb  # E: union-attr | OptionalMemberAccess
    handle.operation.done  # E: union-attr | OptionalMemberAccess
    handle.metadata  # E: attr-defined | AttributeAccessIssue
    handle.done()  # E: attr-defined | AttributeAccessIssue
    async for _ in handle.watch():  # E: attr-defined | GeneralTypeIssues
        pass
    for snapshot in handle.watch():
        snapshot.metadata.verb  # E: union-attr | OptionalMemberAccess
        snapshot.result().imported  # E: attr-defined | AttributeAccessIssue
    print(books, shelf)


def timed(client: OperationsClient, handle: OperationHandle[Shelf, OperationMetadata]) -> None:
    handle.wait(timeout="5s")  # E: arg-type | ArgumentType
    handle.result(timeout=(1, 2))  # E: arg-type | ArgumentType
    handle.watch(timeout=b"5")  # E: arg-type | ArgumentType
    handle.wait(5)  # E: call-arg | CallIssue
    handle.wait(rpc_timeout=5)  # E: call-arg | CallIssue
    handle.wait(policy=5)  # E: arg-type | ArgumentType
    handle.wait(policy=PollPolicy)  # E: arg-type | ArgumentType
    handle.wait(cancel_on_exit="yes")  # E: arg-type | ArgumentType
    handle.watch(on_progress=print)  # E: call-arg | CallIssue
    client.wait_operation("operations/1", DEFAULT)  # E: call-overload | ArgumentType
    client.wait_operation("operations/1")  # E: call-overload | CallIssue


# -- callbacks


def of_import(operation: Operation[ImportBooksResponse, ImportBooksMetadata]) -> None:
    print(operation)


def of_metadata(metadata: OperationMetadata) -> None:
    print(metadata)


def of_nothing() -> None:
    print()


def called_back(handle: OperationHandle[Shelf, OperationMetadata]) -> None:
    handle.wait(on_progress=of_import)  # E: arg-type | ArgumentType
    handle.wait(on_progress=of_metadata)  # E: arg-type | ArgumentType
    handle.wait(on_progress=of_nothing)  # E: arg-type | ArgumentType
    handle.result(on_progress=of_import)  # E: arg-type | ArgumentType
    handle.wait(on_progress="print")  # E: arg-type | ArgumentType
    handle.wait(on_progress=lambda operation: operation.metadata.verb)  # E: union-attr | OptionalMemberAccess
    handle.wait(on_progress=lambda operation: print(operation.percent))  # E: attr-defined | AttributeAccessIssue
    handle.wait(on_progress=lambda operation, done: (operation, done))  # E: misc | ArgumentType


# -- by name, by token, by message


def found(client: OperationsClient, proto: Message, handle: OperationHandle[Shelf, object]) -> None:
    client.attach(CREATE_SHELF, "operations/1")  # E: call-overload | ArgumentType
    client.attach(5)  # E: call-overload | ArgumentType
    client.attach("operations/1", Shelf)  # E: call-overload | ArgumentType
    client.attach(proto, CREATE_SHELF)  # E: call-overload | ArgumentType
    client.resume(b"token", CREATE_SHELF)  # E: call-overload | ArgumentType
    client.resume(CREATE_SHELF)  # E: call-overload | ArgumentType
    client.adopt("operations/1", CREATE_SHELF)  # E: call-overload | ArgumentType
    client.adopt(handle)  # E: call-overload | ArgumentType
    client.adopt(handle.operation)  # E: arg-type | ArgumentType
    client.get(handle)  # E: call-overload | ArgumentType
    client.get("operations/1", "CreateShelf")  # E: call-overload | ArgumentType
    client.cancel(handle)  # E: arg-type | ArgumentType
    client.delete(proto)  # E: arg-type | ArgumentType
    books: OperationHandle[ImportBooksResponse, ImportBooksMetadata]
    books = client.attach("operations/1", CREATE_SHELF)  # E: arg-type | AssignmentType
    books = client.resume("token", DELETE_SHELF)  # E: arg-type | AssignmentType
    books = client.adopt(proto, CREATE_SHELF)  # E: arg-type | AssignmentType
    books = client.adopt(client.get("operations/1", CREATE_SHELF))  # E: arg-type | AssignmentType
    snapshot: Operation[Shelf, Message] = client.get("operations/1", IMPORT_BOOKS)  # E: arg-type | AssignmentType
    print(books, snapshot)


async def listed(client: OperationsClient) -> None:
    async for _ in client.list("projects/p"):  # E: attr-defined | GeneralTypeIssues
        pass
    for _ in client.list("projects/p").pages:  # E: attr-defined | GeneralTypeIssues
        pass
    client.list("projects/p", "done=true")  # E: call-arg | CallIssue
    client.list()  # E: call-arg | CallIssue
    client.list("projects/p", page_size="10")  # E: arg-type | ArgumentType


# -- what a handle holds cannot be replaced, and one is not another


def changed(handle: OperationHandle[Shelf, OperationMetadata], other: OperationHandle[object, object]) -> None:
    handle.name = "operations/2"  # E: misc | AttributeAccessIssue
    handle.operation = None  # E: misc | AttributeAccessIssue
    handle.resume_token = "token"  # E: misc | AttributeAccessIssue
    shelf: OperationHandle[Shelf, OperationMetadata] = other  # E: assignment | AssignmentType
    books: OperationHandle[ImportBooksResponse, OperationMetadata] = handle  # E: assignment | AssignmentType
    print(shelf, books)
