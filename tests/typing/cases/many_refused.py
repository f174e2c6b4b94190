# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What cannot be waited for at once."""

from __future__ import annotations

from example.library.v1.library_pb2 import ImportBooksResponse, OperationMetadata, Shelf
from longrunning import (
    AsyncOperationHandle,
    AsyncOperationsClient,
    Operation,
    OperationHandle,
    OperationsClient,
)


async def asynchronous(client: AsyncOperationsClient, create: AsyncOperationHandle[Shelf, OperationMetadata]) -> None:
    await client.wait_all(create)  # E: arg-type | ArgumentType
    await client.wait_all(["operations/1"])  # E: arg-type | ArgumentType
    await client.wait_all([create], timeout="5s")  # E: arg-type | ArgumentType
    await client.wait_all([create], max_concurrency=2.5)  # E: arg-type | ArgumentType
    client.wait_all([create])  # E: unused-coroutine | UnusedCoroutine
    (await client.wait_all([create]))[0].result()  # E: union-attr | AttributeAccessIssue
    for _ in client.as_completed([create]):  # E: attr-defined | GeneralTypeIssues
        pass
    async for handle in client.as_completed([create]):
        books: ImportBooksResponse = await handle  # E: assignment | AssignmentType
        print(books)


def synchronous(
    client: OperationsClient,
    create: OperationHandle[Shelf, OperationMetadata],
    another: AsyncOperationHandle[Shelf, OperationMetadata],
) -> None:
    client.wait_all([another])  # E: arg-type | ArgumentType
    client.wait_all(create)  # E: arg-type | ArgumentType
    client.wait_all([create], 5)  # E: call-arg | CallIssue
    shelves: list[Operation[Shelf, OperationMetadata]] = client.wait_all([create])  # E: assignment | AssignmentType
    for handle in client.as_completed([create]):
        handle.result().imported  # E: attr-defined | AttributeAccessIssue
    print(shelves)
