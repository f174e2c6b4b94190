# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The async client, from the request to the callbacks: nothing here is annotated that the checkers can find out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from typing import Any, TypeVar, assert_type

import grpc.aio
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from example.library.v1.library_pb2 import (
    CreateShelfRequest,
    DeleteShelfRequest,
    ImportBooksMetadata,
    ImportBooksRequest,
    ImportBooksResponse,
    OperationMetadata,
    Shelf,
)
from longrunning import (
    DEFAULT,
    AsyncOperationHandle,
    AsyncOperationsClient,
    LroMethod,
    Operation,
    PollPolicy,
    TypeRegistry,
    UnknownPayload,
)
from longrunning.client import AsyncPager, Page
from tests.typing.cases.library import CREATE_SHELF, DELETE_SHELF, IMPORT_BOOKS, RUN_SCRIPT

Req = TypeVar("Req")
R = TypeVar("R")
M = TypeVar("M")


async def made(channel: grpc.aio.Channel) -> None:
    client = AsyncOperationsClient(channel, registry=TypeRegistry(Shelf), policy=PollPolicy(initial=2))
    assert_type(client, AsyncOperationsClient)
    async with AsyncOperationsClient(channel, metadata=[("x-trace", "1"), ("x-trace-bin", b"\1")]) as entered:
        assert_type(entered, AsyncOperationsClient)
    assert_type(await client.close(), None)


# -- from start to the result


async def started(client: AsyncOperationsClient) -> None:
    handle = await client.start(IMPORT_BOOKS, ImportBooksRequest(parent="shelves/1"))
    assert_type(handle, AsyncOperationHandle[ImportBooksResponse, ImportBooksMetadata])
    assert_type(handle.name, str)
    assert_type(handle.resume_token, str)
    assert_type(handle.operation, Operation[ImportBooksResponse, ImportBooksMetadata] | None)
    if handle.operation is not None and handle.operation.metadata is not None:
        assert_type(handle.operation.metadata.percent, int)

    assert_type(await handle, ImportBooksResponse)
    assert_type((await handle).shelf, Shelf)
    assert_type(await handle.result(), ImportBooksResponse)
    assert_type(await handle.wait(), Operation[ImportBooksResponse, ImportBooksMetadata])
    assert_type((await handle.wait()).metadata, ImportBooksMetadata | None)
    assert_type((await handle.wait()).result(), ImportBooksResponse)
    assert_type(await handle.refresh(), Operation[ImportBooksResponse, ImportBooksMetadata])
    assert_type(await handle.cancel(), None)
    assert_type(await handle.delete(), None)

    assert_type(handle.watch(), AsyncGenerator[Operation[ImportBooksResponse, ImportBooksMetadata], None])
    async for snapshot in handle.watch(timeout=60):
        assert_type(snapshot, Operation[ImportBooksResponse, ImportBooksMetadata])
        if snapshot.metadata is not None:
            assert_type(snapshot.metadata.percent, int)
    assert_type(
        [snapshot.metadata async for snapshot in handle.watch()],
        list[ImportBooksMetadata | None],
    )


async def started_all(client: AsyncOperationsClient) -> None:
    assert_type(await (await client.start(DELETE_SHELF, DeleteShelfRequest(name="shelves/1"))), Empty)
    script = await client.start(RUN_SCRIPT, ImportBooksRequest(), rpc_timeout=5, metadata=[("x-trace", "1")])
    assert_type(script, AsyncOperationHandle[Message | UnknownPayload, Message | UnknownPayload])
    assert_type(await script, Message | UnknownPayload)
    of_two = CREATE_SHELF.or_types(response=ImportBooksResponse, metadata=ImportBooksMetadata)
    either = await client.start(of_two, CreateShelfRequest(), rpc_timeout=timedelta(seconds=5))
    assert_type(either, AsyncOperationHandle[Shelf | ImportBooksResponse, OperationMetadata | ImportBooksMetadata])
    assert_type(await either, Shelf | ImportBooksResponse)


async def together(
    create: AsyncOperationHandle[Shelf, OperationMetadata], delete: AsyncOperationHandle[Empty, OperationMetadata]
) -> None:
    assert_type(await asyncio.gather(create, delete), tuple[Shelf, Empty])
    async with asyncio.TaskGroup() as group:
        task = group.create_task(create.result())
    assert_type(task.result(), Shelf)
    assert_type(await asyncio.wait_for(create, 5), Shelf)


# -- callbacks


def show(operation: Operation[Message, Message]) -> None:
    print(operation.name)


async def store(operation: Operation[ImportBooksResponse, ImportBooksMetadata]) -> int:
    await asyncio.sleep(0)
    return operation.metadata.percent if operation.metadata is not None else 0


class Bar:
    def update(self, operation: Operation[Any, ImportBooksMetadata]) -> bool:
        return operation.done

    async def __call__(self, operation: Operation[Any, ImportBooksMetadata]) -> None:
        await asyncio.sleep(0)


async def called_back(handle: AsyncOperationHandle[ImportBooksResponse, ImportBooksMetadata]) -> None:
    async def inner(operation: Operation[ImportBooksResponse, ImportBooksMetadata]) -> None:
        await store(operation)

    await handle.wait(on_progress=show)
    await handle.wait(on_progress=store)
    await handle.wait(on_progress=inner)
    await handle.wait(on_progress=Bar().update)
    await handle.wait(on_progress=Bar())
    await handle.wait(on_progress=None)
    await handle.wait(on_progress=print)
    await handle.wait(on_progress=lambda o: assert_type(o, Operation[ImportBooksResponse, ImportBooksMetadata]))
    assert_type(
        await handle.result(
            on_progress=lambda o: assert_type(o.metadata, ImportBooksMetadata | None), cancel_on_exit=True
        ),
        ImportBooksResponse,
    )
    assert_type(await handle.result(on_progress=store, policy=PollPolicy(initial=2)), ImportBooksResponse)


# -- times


async def timed(client: AsyncOperationsClient, handle: AsyncOperationHandle[Shelf, OperationMetadata]) -> None:
    await handle.wait(timeout=DEFAULT)
    await handle.wait(timeout=None)
    await handle.wait(timeout=0)
    await handle.result(timeout=2.5)
    await handle.result(timeout=timedelta(minutes=5))
    handle.watch(timeout=DEFAULT)
    handle.watch(timeout=None, policy=PollPolicy())
    await client.start(CREATE_SHELF, CreateShelfRequest(), rpc_timeout=None)
    await client.wait_operation("operations/1", 5)
    await client.wait_operation("operations/1", timedelta(minutes=1), CREATE_SHELF)
    await client.wait_operation("operations/1", timeout=None)


# -- by name, by token, by message


async def found(
    client: AsyncOperationsClient,
    perhaps: LroMethod[CreateShelfRequest, Shelf, OperationMetadata] | None,
    proto: Message,
    snapshot: Operation[Shelf, OperationMetadata],
    untyped: Operation[Any, Any],
) -> None:
    assert_type(client.attach("operations/1", CREATE_SHELF), AsyncOperationHandle[Shelf, OperationMetadata])
    assert_type(client.attach("operations/1", method=DELETE_SHELF), AsyncOperationHandle[Empty, OperationMetadata])
    assert_type(client.attach("operations/1"), AsyncOperationHandle[Any, Any])
    assert_type(client.attach("operations/1", None, metadata=[("x-trace", "1")]), AsyncOperationHandle[Any, Any])
    assert_type(await client.attach("operations/1", CREATE_SHELF), Shelf)
    assert_type(await client.attach("operations/1"), Any)
    narrowed: AsyncOperationHandle[Shelf, OperationMetadata] = client.attach("operations/1", perhaps)

    assert_type(client.resume(narrowed.resume_token, CREATE_SHELF), AsyncOperationHandle[Shelf, OperationMetadata])
    assert_type(client.resume(narrowed.resume_token), AsyncOperationHandle[Any, Any])

    assert_type(client.adopt(proto, CREATE_SHELF), AsyncOperationHandle[Shelf, OperationMetadata])
    assert_type(client.adopt(proto), AsyncOperationHandle[Any, Any])
    assert_type(client.adopt(snapshot), AsyncOperationHandle[Shelf, OperationMetadata])
    assert_type(client.adopt(untyped), AsyncOperationHandle[Any, Any])
    assert_type(client.adopt(untyped, IMPORT_BOOKS), AsyncOperationHandle[ImportBooksResponse, ImportBooksMetadata])

    assert_type(await client.get("operations/1", CREATE_SHELF), Operation[Shelf, OperationMetadata])
    assert_type(await client.get("operations/1"), Operation[Any, Any])
    assert_type(await client.wait_operation("operations/1", 5, CREATE_SHELF), Operation[Shelf, OperationMetadata])
    assert_type(await client.wait_operation("operations/1", 5), Operation[Any, Any])
    assert_type(await client.cancel("operations/1"), None)
    assert_type(await client.delete("operations/1", metadata=[("x-trace", "1")]), None)


async def listed(client: AsyncOperationsClient) -> None:
    pager = client.list("projects/p", filter="done=true", page_size=10, page_token="", return_partial_success=True)
    assert_type(pager, AsyncPager[Operation[Any, Any]])
    async for operation in pager:
        assert_type(operation, Operation[Any, Any])
    async for page in pager.pages():
        assert_type(page, Page[Operation[Any, Any]])
        assert_type(page.items, tuple[Operation[Any, Any], ...])
        assert_type(page.next_page_token, str)
        assert_type(page.unreachable, tuple[str, ...])


# -- in code that is generic itself; covariant


async def run(client: AsyncOperationsClient, method: LroMethod[Req, R, M], request: Req) -> tuple[R, M | None]:
    handle = await client.start(method, request)
    assert_type(handle, AsyncOperationHandle[R, M])
    return await handle, (await handle.wait()).metadata


async def last(handles: Sequence[AsyncOperationHandle[R, Message]]) -> R:
    return await handles[-1]


async def stands_for(
    client: AsyncOperationsClient,
    create: AsyncOperationHandle[Shelf, OperationMetadata],
    delete: AsyncOperationHandle[Empty, OperationMetadata],
) -> None:
    assert_type(await run(client, CREATE_SHELF, CreateShelfRequest()), tuple[Shelf, OperationMetadata | None])
    assert_type(await last([create, create]), Shelf)
    message: AsyncOperationHandle[Message, Message] = create
    either: AsyncOperationHandle[Shelf | Empty, OperationMetadata] = create
    handles: list[AsyncOperationHandle[Message, OperationMetadata]] = [create, delete]
    assert_type([await handle for handle in handles], list[Message])
    by_name: dict[str, AsyncOperationHandle[Any, Any]] = {handle.name: handle for handle in (create, delete)}
    print(message, either, by_name)
