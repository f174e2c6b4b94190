# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The sync client, from the request to the callbacks: nothing here is annotated that the checkers can find out."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any, TypeVar, assert_type

import grpc
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
    LroMethod,
    Operation,
    OperationHandle,
    OperationsClient,
    PollPolicy,
    TypeRegistry,
    UnknownPayload,
)
from longrunning.client import Page, Pager
from tests.typing.cases.library import CREATE_SHELF, DELETE_SHELF, IMPORT_BOOKS, RUN_SCRIPT

Req = TypeVar("Req")
R = TypeVar("R")
M = TypeVar("M")


def made(channel: grpc.Channel) -> None:
    client = OperationsClient(channel, registry=TypeRegistry(Shelf), policy=PollPolicy(initial=2))
    assert_type(client, OperationsClient)
    with OperationsClient(channel, metadata=[("x-trace", "1"), ("x-trace-bin", b"\1")]) as entered:
        assert_type(entered, OperationsClient)
    assert_type(client.close(), None)


# -- from start to the result


def started(client: OperationsClient) -> None:
    handle = client.start(IMPORT_BOOKS, ImportBooksRequest(parent="shelves/1"))
    assert_type(handle, OperationHandle[ImportBooksResponse, ImportBooksMetadata])
    assert_type(handle.name, str)
    assert_type(handle.resume_token, str)
    assert_type(handle.operation, Operation[ImportBooksResponse, ImportBooksMetadata] | None)
    if handle.operation is not None and handle.operation.metadata is not None:
        assert_type(handle.operation.metadata.percent, int)

    assert_type(handle.result(), ImportBooksResponse)
    assert_type(handle.result().shelf, Shelf)
    assert_type(handle.wait(), Operation[ImportBooksResponse, ImportBooksMetadata])
    assert_type(handle.wait().metadata, ImportBooksMetadata | None)
    assert_type(handle.wait().result(), ImportBooksResponse)
    assert_type(handle.refresh(), Operation[ImportBooksResponse, ImportBooksMetadata])
    assert_type(handle.cancel(), None)
    assert_type(handle.delete(), None)

    assert_type(handle.watch(), Generator[Operation[ImportBooksResponse, ImportBooksMetadata], None, None])
    for snapshot in handle.watch(timeout=60):
        assert_type(snapshot, Operation[ImportBooksResponse, ImportBooksMetadata])
        if snapshot.metadata is not None:
            assert_type(snapshot.metadata.percent, int)
    assert_type(
        [snapshot.metadata for snapshot in handle.watch()],
        list[ImportBooksMetadata | None],
    )


def started_all(client: OperationsClient) -> None:
    assert_type(client.start(DELETE_SHELF, DeleteShelfRequest(name="shelves/1")).result(), Empty)
    script = client.start(RUN_SCRIPT, ImportBooksRequest(), rpc_timeout=5, metadata=[("x-trace", "1")])
    assert_type(script, OperationHandle[Message | UnknownPayload, Message | UnknownPayload])
    assert_type(script.result(), Message | UnknownPayload)
    of_two = CREATE_SHELF.or_types(response=ImportBooksResponse, metadata=ImportBooksMetadata)
    either = client.start(of_two, CreateShelfRequest(), rpc_timeout=timedelta(seconds=5))
    assert_type(either, OperationHandle[Shelf | ImportBooksResponse, OperationMetadata | ImportBooksMetadata])
    assert_type(either.result(), Shelf | ImportBooksResponse)


def together(
    create: OperationHandle[Shelf, OperationMetadata], delete: OperationHandle[Empty, OperationMetadata]
) -> None:
    with ThreadPoolExecutor() as pool:
        assert_type(pool.submit(create.result), Future[Shelf])
        assert_type(pool.submit(delete.result, timeout=5).result(), Empty)


# -- callbacks


def show(operation: Operation[Message, Message]) -> None:
    print(operation.name)


def store(operation: Operation[ImportBooksResponse, ImportBooksMetadata]) -> int:
    return operation.metadata.percent if operation.metadata is not None else 0


class Bar:
    def update(self, operation: Operation[Any, ImportBooksMetadata]) -> bool:
        return operation.done

    def __call__(self, operation: Operation[Any, ImportBooksMetadata]) -> None:
        print(operation.metadata)


def called_back(handle: OperationHandle[ImportBooksResponse, ImportBooksMetadata]) -> None:
    def inner(operation: Operation[ImportBooksResponse, ImportBooksMetadata]) -> None:
        store(operation)

    handle.wait(on_progress=show)
    handle.wait(on_progress=store)
    handle.wait(on_progress=inner)
    handle.wait(on_progress=Bar().update)
    handle.wait(on_progress=Bar())
    handle.wait(on_progress=None)
    handle.wait(on_progress=print)
    handle.wait(on_progress=lambda o: assert_type(o, Operation[ImportBooksResponse, ImportBooksMetadata]))
    assert_type(
        handle.result(on_progress=lambda o: assert_type(o.metadata, ImportBooksMetadata | None), cancel_on_exit=True),
        ImportBooksResponse,
    )
    assert_type(handle.result(on_progress=store, policy=PollPolicy(initial=2)), ImportBooksResponse)


# -- times


def timed(client: OperationsClient, handle: OperationHandle[Shelf, OperationMetadata]) -> None:
    handle.wait(timeout=DEFAULT)
    handle.wait(timeout=None)
    handle.wait(timeout=0)
    handle.result(timeout=2.5)
    handle.result(timeout=timedelta(minutes=5))
    handle.watch(timeout=DEFAULT)
    handle.watch(timeout=None, policy=PollPolicy())
    client.start(CREATE_SHELF, CreateShelfRequest(), rpc_timeout=None)
    client.wait_operation("operations/1", 5)
    client.wait_operation("operations/1", timedelta(minutes=1), CREATE_SHELF)
    client.wait_operation("operations/1", timeout=None)


# -- by name, by token, by message


def found(
    client: OperationsClient,
    perhaps: LroMethod[CreateShelfRequest, Shelf, OperationMetadata] | None,
    proto: Message,
    snapshot: Operation[Shelf, OperationMetadata],
    untyped: Operation[Any, Any],
) -> None:
    assert_type(client.attach("operations/1", CREATE_SHELF), OperationHandle[Shelf, OperationMetadata])
    assert_type(client.attach("operations/1", method=DELETE_SHELF), OperationHandle[Empty, OperationMetadata])
    assert_type(client.attach("operations/1"), OperationHandle[Any, Any])
    assert_type(client.attach("operations/1", None, metadata=[("x-trace", "1")]), OperationHandle[Any, Any])
    assert_type(client.attach("operations/1", CREATE_SHELF).result(), Shelf)
    assert_type(client.attach("operations/1").result(), Any)
    narrowed: OperationHandle[Shelf, OperationMetadata] = client.attach("operations/1", perhaps)

    assert_type(client.resume(narrowed.resume_token, CREATE_SHELF), OperationHandle[Shelf, OperationMetadata])
    assert_type(client.resume(narrowed.resume_token), OperationHandle[Any, Any])

    assert_type(client.adopt(proto, CREATE_SHELF), OperationHandle[Shelf, OperationMetadata])
    assert_type(client.adopt(proto), OperationHandle[Any, Any])
    assert_type(client.adopt(snapshot), OperationHandle[Shelf, OperationMetadata])
    assert_type(client.adopt(untyped), OperationHandle[Any, Any])
    assert_type(client.adopt(untyped, IMPORT_BOOKS), OperationHandle[ImportBooksResponse, ImportBooksMetadata])

    assert_type(client.get("operations/1", CREATE_SHELF), Operation[Shelf, OperationMetadata])
    assert_type(client.get("operations/1"), Operation[Any, Any])
    assert_type(client.wait_operation("operations/1", 5, CREATE_SHELF), Operation[Shelf, OperationMetadata])
    assert_type(client.wait_operation("operations/1", 5), Operation[Any, Any])
    assert_type(client.cancel("operations/1"), None)
    assert_type(client.delete("operations/1", metadata=[("x-trace", "1")]), None)


def listed(client: OperationsClient) -> None:
    pager = client.list("projects/p", filter="done=true", page_size=10, page_token="", return_partial_success=True)
    assert_type(pager, Pager[Operation[Any, Any]])
    for operation in pager:
        assert_type(operation, Operation[Any, Any])
    for page in pager.pages():
        assert_type(page, Page[Operation[Any, Any]])
        assert_type(page.items, tuple[Operation[Any, Any], ...])
        assert_type(page.next_page_token, str)
        assert_type(page.unreachable, tuple[str, ...])


# -- in code that is generic itself; covariant


def run(client: OperationsClient, method: LroMethod[Req, R, M], request: Req) -> tuple[R, M | None]:
    handle = client.start(method, request)
    assert_type(handle, OperationHandle[R, M])
    return handle.result(), handle.wait().metadata


def last(handles: Sequence[OperationHandle[R, Message]]) -> R:
    return handles[-1].result()


def stands_for(
    client: OperationsClient,
    create: OperationHandle[Shelf, OperationMetadata],
    delete: OperationHandle[Empty, OperationMetadata],
) -> None:
    assert_type(run(client, CREATE_SHELF, CreateShelfRequest()), tuple[Shelf, OperationMetadata | None])
    assert_type(last([create, create]), Shelf)
    message: OperationHandle[Message, Message] = create
    either: OperationHandle[Shelf | Empty, OperationMetadata] = create
    handles: list[OperationHandle[Message, OperationMetadata]] = [create, delete]
    assert_type([handle.result() for handle in handles], list[Message])
    by_name: dict[str, OperationHandle[Any, Any]] = {handle.name: handle for handle in (create, delete)}
    print(message, either, by_name)
