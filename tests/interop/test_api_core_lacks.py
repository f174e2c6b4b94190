# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What google-api-core has no way to do, each seen there and done here. Its faults are in the tests of its traps."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
from typing import Any

import pytest
from google.api_core import operation, operation_async, operations_v1
from google.cloud import redis_v1
from google.longrunning import operations_pb2

from example.library.v1 import library_pb2
from longrunning import AsyncOperationsClient, OperationsClient
from longrunning.testing import ScriptedOperations, WaitSupport, pending
from tests.pair.colours import GET, IMPORT_BOOKS, NAME, RESPONSE, imported, polls, run

THEIR_FUTURES: tuple[Any, ...] = (operation.Operation, operation_async.AsyncOperation)
THEIR_CLIENTS: tuple[Any, ...] = (
    operations_v1.OperationsClient,
    operations_v1.OperationsAsyncClient,
    operations_v1.AbstractOperationsClient,
    redis_v1.CloudRedisClient,
    redis_v1.CloudRedisAsyncClient,
)
THEIR_CLIENT: Any = operations_v1.OperationsClient
QUICK = polls(initial=0.01, maximum=0.01)


def theirs(channel: Any, name: str = NAME) -> Any:
    """Their future of an operation."""
    make: Any = vars(operation)["from_gapic"]
    message = operations_pb2.Operation(name=name)
    return make(
        message, THEIR_CLIENT(channel), library_pb2.ImportBooksResponse, metadata_type=library_pb2.ImportBooksMetadata
    )


def test_waiting_on_the_server() -> None:
    """There no client has WaitOperation, and futures poll; here one RPC that the server holds is the wait (WAIT-5)."""
    assert not [client for client in THEIR_CLIENTS if hasattr(client, "wait_operation")]
    scripted = ScriptedOperations({NAME: [pending(times=1), imported()]}, wait_support=WaitSupport.SERVED)
    with scripted.serve() as server, server.channel() as channel:
        assert theirs(channel).result(timeout=20) == RESPONSE
        assert set(scripted.rpcs()) == {GET}
        scripted.add(NAME, pending(times=1), imported())
        scripted.clear()
        assert OperationsClient(channel).attach(NAME, IMPORT_BOOKS).result() == RESPONSE
        assert scripted.rpcs() == ["WaitOperation"]


def test_resuming() -> None:
    """There what deserialize() makes of an operation is a message, no future; here a token makes a handle (CTRL-1)."""
    stored = operations_pb2.Operation(name=NAME).SerializeToString()
    for future in THEIR_FUTURES:
        assert type(future.deserialize(stored)) is operations_pb2.Operation
    with ScriptedOperations({NAME: [imported()]}).serve() as server, server.channel() as channel:
        token = OperationsClient(channel).attach(NAME, IMPORT_BOOKS).resume_token
        assert OperationsClient(channel).resume(token, IMPORT_BOOKS).result() == RESPONSE


def test_progress_while_waiting() -> None:
    """There nothing is heard of an operation while result() waits; here each poll is shown, with its metadata (PROG-1)."""
    for future in THEIR_FUTURES:
        assert {*inspect.signature(future.result).parameters} <= {"self", "timeout", "retry", "polling"}
    heard: list[Any] = []
    scripted = ScriptedOperations({NAME: [pending(library_pb2.ImportBooksMetadata(percent=50)), imported()]})
    with scripted.serve() as server, server.channel() as channel:
        handle = OperationsClient(channel, policy=QUICK).attach(NAME, IMPORT_BOOKS)
        handle.result(on_progress=lambda snapshot: heard.append(snapshot.metadata))
    assert [metadata.percent for metadata in heard] == [50, 100]


def test_waiting_for_many() -> None:
    """There futures are none that concurrent.futures could wait for; here wait_all takes any number (WAIT-11)."""
    names = [f"operations/{number}" for number in range(50)]
    scripted = ScriptedOperations({name: [imported()] for name in names})
    with scripted.serve() as server, server.channel() as channel:
        futures = [theirs(channel, name) for name in names]
        with pytest.raises(AttributeError):
            concurrent.futures.wait(futures)
        with pytest.raises(AttributeError):
            next(concurrent.futures.as_completed(futures))
        client = OperationsClient(channel, policy=QUICK)
        found = client.wait_all([client.attach(name, IMPORT_BOOKS) for name in names])
    assert [snapshot.name for snapshot in found] == names


def test_awaiting() -> None:
    """There an async future cannot be awaited; here a handle can (TYPE-10, WAIT-11)."""
    scripted = ScriptedOperations({NAME: [imported()]})

    async def body() -> None:
        make: Any = vars(operation_async)["from_gapic"]
        async with scripted.serve_aio() as server, server.channel() as channel:
            client: Any = operations_v1.OperationsAsyncClient
            future = make(operations_pb2.Operation(name=NAME), client(channel), library_pb2.ImportBooksResponse)
            with pytest.raises(TypeError):
                await future
            with pytest.raises(TypeError):
                await asyncio.gather(future)
            assert await AsyncOperationsClient(channel).attach(NAME, IMPORT_BOOKS) == RESPONSE

    run(body())
