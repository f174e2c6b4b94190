# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The clients of this package, for reference: nothing is done by hand."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from examples.memorystore.api import CHANNEL_OPTIONS, CREATE_INSTANCE, STARTING, TYPES
from google.cloud.redis_v1.types import cloud_redis

from longrunning import (
    AsyncOperationsClient,
    Operation,
    OperationCancelledError,
    OperationError,
    OperationsClient,
    PollPolicy,
)
from longrunning.errors import OperationNotFoundError

from .cells import LIST_FILTER, LIST_PAGE_SIZE, PAST_SECONDS, SLOW_GB, Seen, Stage

__all__ = ["AsyncCells", "AsyncRestCells", "Cells", "RestCells"]

# A stage lasts four times as long. WaitOperation is left to the client, as it is by default.
POLICY = PollPolicy(initial=0.1, multiplier=1.0, maximum=0.1, timeout=PAST_SECONDS)

Creation = Operation[cloud_redis.Instance, cloud_redis.OperationMetadata]


class Cells:
    """OperationsClient over gRPC."""

    @contextmanager
    def connected(self, stage: Stage) -> Generator[OperationsClient, None, None]:
        """A client on a connection of its own."""
        with grpc.insecure_channel(stage.address, CHANNEL_OPTIONS) as channel:
            yield OperationsClient(channel, registry=TYPES, policy=POLICY)

    def create(self, stage: Stage) -> Seen:
        """Starts."""
        with self.connected(stage) as client:
            return seen_start(client.start(CREATE_INSTANCE, stage.request()).operation)

    def progress(self, stage: Stage) -> Seen:
        """Watches."""
        with self.connected(stage) as client:
            watched = client.start(CREATE_INSTANCE, stage.request()).watch()
            return Seen(stages=tuple(detail(snapshot) for snapshot in watched))

    def result(self, stage: Stage) -> Seen:
        """Waits."""
        with self.connected(stage) as client:
            return seen_instance(client.start(CREATE_INSTANCE, stage.request()).result())

    def failure(self, stage: Stage) -> Seen:
        """Waits for the worst."""
        with self.connected(stage) as client, pytest.raises(OperationError) as caught:
            client.start(CREATE_INSTANCE, stage.request("quota")).result()
        return seen_error(caught.value)

    def cancel(self, stage: Stage) -> Seen:
        """Cancels on the way."""
        with self.connected(stage) as client:
            operation = client.start(CREATE_INSTANCE, stage.request(memory_size_gb=SLOW_GB))
            asked = False
            for snapshot in operation.watch():
                if not asked and detail(snapshot) == STARTING:
                    operation.cancel()
                    asked = True
            with pytest.raises(OperationCancelledError) as caught:
                operation.result()
            return seen_cancelled(operation.operation, caught.value)

    def list(self, stage: Stage) -> Seen:
        """Lists page by page."""
        with self.connected(stage) as client:
            listed = client.list(stage.listed_in, filter=LIST_FILTER, page_size=LIST_PAGE_SIZE)
            return Seen(pages=tuple(tuple(operation.name for operation in page) for page in listed.pages()))

    def delete(self, stage: Stage) -> Seen:
        """Deletes, and looks."""
        with self.connected(stage) as client:
            operation = client.start(CREATE_INSTANCE, stage.request())
            operation.delete()
            with pytest.raises(OperationNotFoundError) as caught:
                operation.refresh()
            return Seen(code=int(caught.value.code))

    def resume(self, stage: Stage) -> Seen:
        """Goes on elsewhere, with a token."""
        with self.connected(stage) as client:
            token = client.start(CREATE_INSTANCE, stage.request()).resume_token
        with self.connected(stage) as client:
            return seen_instance(client.resume(token, CREATE_INSTANCE).result())

    def not_found(self, stage: Stage) -> Seen:
        """Asks for what is not there."""
        with self.connected(stage) as client, pytest.raises(OperationNotFoundError) as caught:
            client.attach(stage.absent, CREATE_INSTANCE).wait()
        return Seen(code=int(caught.value.code), message=caught.value.details.message)


class AsyncCells:
    """AsyncOperationsClient over gRPC."""

    @asynccontextmanager
    async def connected(self, stage: Stage) -> AsyncGenerator[AsyncOperationsClient, None]:
        """A client on a connection of its own."""
        async with grpc.aio.insecure_channel(stage.address, CHANNEL_OPTIONS) as channel:
            yield AsyncOperationsClient(channel, registry=TYPES, policy=POLICY)

    async def create(self, stage: Stage) -> Seen:
        """Starts."""
        async with self.connected(stage) as client:
            return seen_start((await client.start(CREATE_INSTANCE, stage.request())).operation)

    async def progress(self, stage: Stage) -> Seen:
        """Watches."""
        async with self.connected(stage) as client:
            watched = (await client.start(CREATE_INSTANCE, stage.request())).watch()
            return Seen(stages=tuple([detail(snapshot) async for snapshot in watched]))

    async def result(self, stage: Stage) -> Seen:
        """Waits."""
        async with self.connected(stage) as client:
            return seen_instance(await (await client.start(CREATE_INSTANCE, stage.request())))

    async def failure(self, stage: Stage) -> Seen:
        """Waits for the worst."""
        async with self.connected(stage) as client:
            with pytest.raises(OperationError) as caught:
                await (await client.start(CREATE_INSTANCE, stage.request("quota")))
        return seen_error(caught.value)

    async def cancel(self, stage: Stage) -> Seen:
        """Cancels on the way."""
        async with self.connected(stage) as client:
            operation = await client.start(CREATE_INSTANCE, stage.request(memory_size_gb=SLOW_GB))
            asked = False
            async for snapshot in operation.watch():
                if not asked and detail(snapshot) == STARTING:
                    await operation.cancel()
                    asked = True
            with pytest.raises(OperationCancelledError) as caught:
                await operation
            return seen_cancelled(operation.operation, caught.value)

    async def list(self, stage: Stage) -> Seen:
        """Lists page by page."""
        async with self.connected(stage) as client:
            listed = client.list(stage.listed_in, filter=LIST_FILTER, page_size=LIST_PAGE_SIZE)
            pages = [tuple(operation.name for operation in page) async for page in listed.pages()]
            return Seen(pages=tuple(pages))

    async def delete(self, stage: Stage) -> Seen:
        """Deletes, and looks."""
        async with self.connected(stage) as client:
            operation = await client.start(CREATE_INSTANCE, stage.request())
            await operation.delete()
            with pytest.raises(OperationNotFoundError) as caught:
                await operation.refresh()
            return Seen(code=int(caught.value.code))

    async def resume(self, stage: Stage) -> Seen:
        """Goes on elsewhere, with a token."""
        async with self.connected(stage) as client:
            token = (await client.start(CREATE_INSTANCE, stage.request())).resume_token
        async with self.connected(stage) as client:
            return seen_instance(await client.resume(token, CREATE_INSTANCE))

    async def not_found(self, stage: Stage) -> Seen:
        """Asks for what is not there."""
        async with self.connected(stage) as client:
            with pytest.raises(OperationNotFoundError) as caught:
                await client.attach(stage.absent, CREATE_INSTANCE).wait()
        return Seen(code=int(caught.value.code), message=caught.value.details.message)


class RestCells(Cells):
    """OperationsClient over HTTP."""

    @contextmanager
    def connected(self, stage: Stage) -> Generator[OperationsClient, None, None]:
        """A client on a connection of its own."""
        with OperationsClient.from_url(f"http://{stage.http_address}", registry=TYPES, policy=POLICY) as client:
            yield client


class AsyncRestCells(AsyncCells):
    """AsyncOperationsClient over HTTP."""

    @asynccontextmanager
    async def connected(self, stage: Stage) -> AsyncGenerator[AsyncOperationsClient, None]:
        """A client on a connection of its own."""
        url = f"http://{stage.http_address}"
        async with AsyncOperationsClient.from_url(url, registry=TYPES, policy=POLICY) as client:
            yield client


def detail(snapshot: Creation) -> str:
    """How far it is."""
    return "" if snapshot.metadata is None else snapshot.metadata.status_detail


def seen_start(operation: Creation | None) -> Seen:
    """What a snapshot shows of an operation that was just started."""
    assert operation is not None
    assert operation.metadata is not None
    return Seen(
        name=operation.name, done=operation.done, verb=operation.metadata.verb, target=operation.metadata.target
    )


def seen_instance(instance: cloud_redis.Instance) -> Seen:
    """What came of an operation."""
    return Seen(instance=instance.name, host=instance.host, memory_size_gb=instance.memory_size_gb)


def seen_error(error: OperationError) -> Seen:
    """Why an operation failed."""
    info, details = error.status.error_info, error.status.details
    names: list[Any] = [getattr(detail, "DESCRIPTOR", None) for detail in details]
    return Seen(
        code=int(error.code),
        message=error.status.message,
        details=tuple(name.full_name for name in names),
        reason=info.reason if info is not None else "",
    )


def seen_cancelled(operation: Creation | None, error: OperationCancelledError) -> Seen:
    """How an operation was cancelled."""
    assert operation is not None
    assert operation.metadata is not None
    return Seen(
        done=operation.done,
        code=int(error.code),
        message=error.status.message,
        cancel_requested=operation.metadata.cancel_requested,
    )
