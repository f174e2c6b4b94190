# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The async clients of google-cloud-redis and google-api-core; `google_sync` has the sync ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import grpc.aio
from examples.memorystore.api import CHANNEL_OPTIONS, STARTING
from google.api_core import exceptions, operation_async, operations_v1
from google.cloud import redis_v1
from google.cloud.redis_v1.services.cloud_redis import transports
from google.cloud.redis_v1.types import cloud_redis
from google.longrunning import operations_pb2

from .cells import LIST_FILTER, PAST_SECONDS, SLOW_GB, NotOfferedError, Seen, Stage, create_call
from .google_sync import LOOK_SECONDS, by_hand, list_request, seen_instance, seen_start

__all__ = ["AsyncConnection", "AsyncOperations", "AsyncOperationsCells", "AsyncRedisCells"]

_from_gapic: Any = vars(operation_async)["from_gapic"]
_operations_client: Any = operations_v1.OperationsAsyncClient


class AsyncConnection(Protocol):
    """What the cells need of a client; operations are async futures of ``google.api_core``."""

    async def start(self, request: cloud_redis.CreateInstanceRequest) -> Any:
        """Starts an operation."""
        ...

    async def attach(self, name: str) -> Any:
        """Takes hold of one."""
        ...

    async def get(self, name: str) -> Any:
        """GetOperation."""
        ...

    async def delete(self, name: str) -> Any:
        """DeleteOperation."""
        ...

    def pages(self, location: str) -> AsyncGenerator[Iterable[Any], None]:
        """The pages of a list."""
        ...


class AsyncRedis:
    """CloudRedisAsyncClient."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        transport = transports.CloudRedisGrpcAsyncIOTransport(channel=channel)
        self.client: Any = redis_v1.CloudRedisAsyncClient(transport=transport)

    async def start(self, request: cloud_redis.CreateInstanceRequest) -> Any:
        """Starts an operation."""
        return await self.client.create_instance(request)

    async def attach(self, name: str) -> Any:
        """Takes hold of one."""
        return future(await self.get(name), self.client.transport.operations_client)

    async def get(self, name: str) -> Any:
        """GetOperation."""
        return await self.client.get_operation(operations_pb2.GetOperationRequest(name=name))

    async def delete(self, name: str) -> Any:
        """DeleteOperation."""
        return await self.client.delete_operation(operations_pb2.DeleteOperationRequest(name=name))

    async def pages(self, location: str) -> AsyncGenerator[Iterable[Any], None]:
        """The pages of a list."""
        request = list_request(location)
        while True:
            page = await self.client.list_operations(request)
            yield page.operations
            request.page_token = page.next_page_token
            if not request.page_token:
                return


class AsyncOperations:
    """An async client of operations_v1."""

    def __init__(self, client: Any, channel: grpc.aio.Channel) -> None:
        self.client = client
        self._create = create_call(channel)

    async def start(self, request: cloud_redis.CreateInstanceRequest) -> Any:
        """Starts an operation."""
        return future(await self._create(request), self.client)

    async def attach(self, name: str) -> Any:
        """Takes hold of one."""
        return future(await self.get(name), self.client)

    async def get(self, name: str) -> Any:
        """GetOperation."""
        return await self.client.get_operation(name)

    async def delete(self, name: str) -> Any:
        """DeleteOperation."""
        return await self.client.delete_operation(name)

    async def pages(self, location: str) -> AsyncGenerator[Iterable[Any], None]:
        """The pages of a list."""
        found = await self.client.list_operations(location, LIST_FILTER)
        async for page in found.pages:
            yield page


class AsyncRedisCells:
    """The cells of CloudRedisAsyncClient."""

    @asynccontextmanager
    async def connected(self, stage: Stage) -> AsyncGenerator[AsyncConnection, None]:
        """A client on a connection of its own."""
        async with grpc.aio.insecure_channel(stage.address, CHANNEL_OPTIONS) as channel:
            yield AsyncRedis(channel)

    def said(self, error: Any) -> str:
        """What the server said in an error."""
        return str(error)

    async def create(self, stage: Stage) -> Seen:
        """Starts."""
        async with self.connected(stage) as client:
            return seen_start(await client.start(stage.request()))

    async def progress(self, stage: Stage) -> Seen:
        """Looks again and again."""
        async with self.connected(stage) as client:
            started = await client.start(stage.request())
            stages = [started.metadata.status_detail]
            while not await started.done():
                stages.append(started.metadata.status_detail)
                await asyncio.sleep(LOOK_SECONDS)
            return Seen(stages=(*stages, started.metadata.status_detail))

    async def result(self, stage: Stage) -> Seen:
        """Waits."""
        async with self.connected(stage) as client:
            started = await client.start(stage.request())
            return seen_instance(await started.result(timeout=PAST_SECONDS))

    async def failure(self, stage: Stage) -> Seen:
        """Waits for the worst."""
        async with self.connected(stage) as client:
            started = await client.start(stage.request("quota"))
            error = await started.exception(timeout=PAST_SECONDS)
            assert type(error).__name__ == "GoogleAPICallError"
            return by_hand(started.operation.error)

    async def cancel(self, stage: Stage) -> Seen:
        """Cancels on the way."""
        async with self.connected(stage) as client:
            started = await client.start(stage.request(memory_size_gb=SLOW_GB))
            while not await started.done() and started.metadata.status_detail != STARTING:  # noqa: ASYNC110 (a poll)
                await asyncio.sleep(LOOK_SECONDS)
            assert await started.cancel()
            error = await started.exception(timeout=PAST_SECONDS)
            assert type(error).__name__ == "GoogleAPICallError"
            assert await started.cancelled()
            return Seen(
                done=started.operation.done,
                code=started.operation.error.code,
                message=error.message,
                cancel_requested=started.metadata.cancel_requested,
            )

    async def list(self, stage: Stage) -> Seen:
        """Lists page by page."""
        async with self.connected(stage) as client:
            pages = [tuple(listed.name for listed in page) async for page in client.pages(stage.listed_in)]
            return Seen(pages=tuple(pages))

    async def delete(self, stage: Stage) -> Seen:
        """Deletes, and looks."""
        async with self.connected(stage) as client:
            name = (await client.start(stage.request())).operation.name
            await client.delete(name)
            return await self._missing(client, name)

    async def resume(self, stage: Stage) -> Seen:
        """Goes on elsewhere."""
        async with self.connected(stage) as client:
            name = (await client.start(stage.request())).operation.name
        async with self.connected(stage) as client:
            return seen_instance(await (await client.attach(name)).result(timeout=PAST_SECONDS))

    async def not_found(self, stage: Stage) -> Seen:
        """Asks for what is not there."""
        async with self.connected(stage) as client:
            return await self._missing(client, stage.absent)

    async def _missing(self, client: AsyncConnection, name: str) -> Seen:
        try:
            await client.get(name)
        except exceptions.NotFound as caught:
            error: Any = caught
            return Seen(code=error.grpc_status_code.value[0], message=self.said(error))
        return Seen()


class AsyncOperationsCells(AsyncRedisCells):
    """The cells of operations_v1.OperationsAsyncClient."""

    @asynccontextmanager
    async def connected(self, stage: Stage) -> AsyncGenerator[AsyncConnection, None]:
        """A client on a connection of its own."""
        async with grpc.aio.insecure_channel(stage.address, CHANNEL_OPTIONS) as channel:
            yield AsyncOperations(_operations_client(channel), channel)

    async def create(self, stage: Stage) -> Seen:
        """Cannot."""
        raise NotOfferedError("it starts nothing: for its other cells, a plain gRPC call does")


def future(message: Any, client: Any) -> Any:
    """The future of an operation, made as the clients that gapic generates do."""
    return _from_gapic(message, client, cloud_redis.Instance, metadata_type=cloud_redis.OperationMetadata)
