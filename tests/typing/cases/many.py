# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Waiting for many operations at once, of one kind and of several."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from datetime import timedelta
from typing import assert_type

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from example.library.v1.library_pb2 import OperationMetadata, Shelf
from longrunning import (
    AsyncOperationHandle,
    AsyncOperationsClient,
    LongRunningError,
    Operation,
    OperationHandle,
    OperationsClient,
    PollPolicy,
)


async def asynchronous(
    client: AsyncOperationsClient,
    create: AsyncOperationHandle[Shelf, OperationMetadata],
    delete: AsyncOperationHandle[Empty, OperationMetadata],
) -> None:
    results = await client.wait_all([create, create], timeout=timedelta(minutes=5), max_concurrency=10)
    assert_type(results, list[Operation[Shelf, OperationMetadata] | LongRunningError])
    for result in results:
        if isinstance(result, LongRunningError):
            assert_type(result, LongRunningError)
        else:
            assert_type(result, Operation[Shelf, OperationMetadata])
    assert_type(
        client.as_completed({create}, policy=PollPolicy()),
        AsyncGenerator[AsyncOperationHandle[Shelf, OperationMetadata], None],
    )
    async for handle in client.as_completed([create], timeout=None):
        assert_type(handle, AsyncOperationHandle[Shelf, OperationMetadata])
        assert_type(await handle, Shelf)

    # Of several kinds: mypy finds the base class in common, pyright the union. This both find.
    mixed: list[Operation[Message, OperationMetadata] | LongRunningError] = await client.wait_all([create, delete])
    handles: list[AsyncOperationHandle[Shelf | Empty, OperationMetadata]] = [create, delete]
    assert_type(await client.wait_all(handles), list[Operation[Shelf | Empty, OperationMetadata] | LongRunningError])
    async for either in client.as_completed([create, delete]):
        message: Message = await either
        print(message, mixed)


def synchronous(
    client: OperationsClient,
    create: OperationHandle[Shelf, OperationMetadata],
    delete: OperationHandle[Empty, OperationMetadata],
) -> None:
    results = client.wait_all((create, create), timeout=60, max_concurrency=10)
    assert_type(results, list[Operation[Shelf, OperationMetadata] | LongRunningError])
    assert_type(
        [result.result() for result in results if isinstance(result, Operation)],
        list[Shelf],
    )
    assert_type(client.as_completed([create]), Generator[OperationHandle[Shelf, OperationMetadata], None, None])
    for handle in client.as_completed([create], timeout=None):
        assert_type(handle.result(), Shelf)

    mixed: list[Operation[Message, OperationMetadata] | LongRunningError] = client.wait_all([create, delete])
    handles: list[OperationHandle[Shelf | Empty, OperationMetadata]] = [create, delete]
    assert_type(client.wait_all(handles), list[Operation[Shelf | Empty, OperationMetadata] | LongRunningError])
    for either in client.as_completed([create, delete]):
        message: Message = either.result()
        print(message, mixed)
