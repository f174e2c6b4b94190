# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The clients of google-cloud-redis and google-api-core over HTTP. None of it is typed, so here it is ``Any``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from typing import Any, Final

import grpc
import grpc.aio
import pytest
from examples.memorystore.api import CHANNEL_OPTIONS
from google.api_core import operations_v1
from google.auth import credentials
from google.auth.aio import credentials as async_credentials
from google.cloud.redis_v1.services.cloud_redis import transports

from .cells import LIST_FILTER, LIST_PAGE_SIZE, Stage
from .google_async import AsyncConnection, AsyncOperations, AsyncOperationsCells
from .google_sync import Connection, Operations, OperationsCells, Redis, RedisCells

__all__ = ["AsyncOperationsRestCells", "OperationsRestCells", "RedisRestCells"]

# The async one is there only if aiohttp is.
_operations_v1: Final[Any] = operations_v1
_redis_transport: Final[Any] = transports.CloudRedisRestTransport
_anonymous: Final[Any] = credentials.AnonymousCredentials
_async_anonymous: Final[Any] = async_credentials.AnonymousCredentials


class RestOperations(Operations):
    """operations_v1.AbstractOperationsClient."""

    def pages(self, location: str) -> Iterable[Iterable[Any]]:
        """The pages of a list."""
        found = self.client.list_operations(location, LIST_FILTER, page_size=LIST_PAGE_SIZE)
        return (page.operations for page in found.pages)


class AsyncRestOperations(AsyncOperations):
    """operations_v1.AsyncOperationsRestClient."""

    async def pages(self, location: str) -> AsyncGenerator[Iterable[Any], None]:
        """The pages of a list."""
        found = await self.client.list_operations(location, LIST_FILTER, page_size=LIST_PAGE_SIZE)
        async for page in found.pages:
            yield page.operations


class RedisRestCells(RedisCells):
    """The cells of CloudRedisClient over HTTP."""

    @contextmanager
    def connected(self, stage: Stage) -> Generator[Connection, None, None]:
        """A client on a connection of its own."""
        transport = _redis_transport(host=stage.http_address, credentials=_anonymous(), url_scheme="http")
        of_operations = transport.operations_client.transport
        with direct(transport), direct(of_operations):
            yield Redis(transport)

    def stop(self, client: Connection, started: Any) -> None:
        """Cancels an operation: by its name, for its future cannot."""
        with pytest.raises(KeyError, match="body"):
            started.cancel()
        client.cancel(started.operation.name)

    def said(self, error: Any) -> str:
        """What the server said in an error."""
        return after_the_url(error)


class OperationsRestCells(OperationsCells):
    """The cells of operations_v1.AbstractOperationsClient."""

    @contextmanager
    def connected(self, stage: Stage) -> Generator[Connection, None, None]:
        """A client on a connection of its own."""
        # It takes url_scheme, and does nothing with it.
        transport = _operations_v1.OperationsRestTransport(
            host=f"http://{stage.http_address}", credentials=_anonymous()
        )
        with ExitStack() as stack:
            stack.enter_context(direct(transport))
            channel = stack.enter_context(grpc.insecure_channel(stage.address, CHANNEL_OPTIONS))
            yield RestOperations(_operations_v1.AbstractOperationsClient(transport=transport), channel)

    def said(self, error: Any) -> str:
        """What the server said in an error."""
        return after_the_url(error)


class AsyncOperationsRestCells(AsyncOperationsCells):
    """The cells of operations_v1.AsyncOperationsRestClient."""

    @asynccontextmanager
    async def connected(self, stage: Stage) -> AsyncGenerator[AsyncConnection, None]:
        """A client on a connection of its own."""
        transport = _operations_v1.AsyncOperationsRestTransport(
            host=f"http://{stage.http_address}", credentials=_async_anonymous()
        )
        try:
            async with grpc.aio.insecure_channel(stage.address, CHANNEL_OPTIONS) as channel:
                yield AsyncRestOperations(_operations_v1.AsyncOperationsRestClient(transport=transport), channel)
        finally:
            await transport._session.close()

    def said(self, error: Any) -> str:
        """What the server said in an error."""
        return after_the_url(error)


@contextmanager
def direct(transport: Any) -> Generator[None, None, None]:
    """Closes the connections of a sync transport at the end, for which those of operations have no method, and uses no proxy."""
    with closing(transport._session) as session:
        session.trust_env = False  # a proxy would not know our loopback
        yield


def after_the_url(error: Any) -> str:
    """An error without the method and the URL that these clients put before what the server said, and where names are, too."""
    message: str = error.message
    before, _, said = message.partition(": ")
    assert "http://" in before, error
    return said
