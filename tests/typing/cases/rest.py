# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Clients over HTTP/JSON are the clients that they are over gRPC."""

from __future__ import annotations

from typing import assert_type

import httpx

from example.library.v1.library_pb2 import CreateShelfRequest, OperationMetadata, Shelf
from longrunning import AsyncOperationsClient, HttpBinding, OperationsClient
from longrunning.client import AsyncTransport, Transport
from longrunning.rest import AsyncRestTransport, OperationsBindings, RestTransport
from tests.typing.cases.library import CREATE_SHELF


def sync(http_client: httpx.Client, request: CreateShelfRequest) -> None:
    client = OperationsClient.from_url("https://h", http_client=http_client, bindings=OperationsBindings.under("/v2"))
    assert_type(client, OperationsClient)
    handle = client.start(CREATE_SHELF, request)
    assert_type(handle.result(), Shelf)
    assert_type(client.get("n", CREATE_SHELF).metadata, OperationMetadata | None)
    transport: Transport = RestTransport("https://h", http_client=http_client)
    assert_type(OperationsClient(transport).get("n", CREATE_SHELF).result(), Shelf)


async def aio(http_client: httpx.AsyncClient, request: CreateShelfRequest) -> None:
    async with AsyncOperationsClient.from_url("https://h", http_client=http_client) as client:
        assert_type(client, AsyncOperationsClient)
        assert_type(await (await client.start(CREATE_SHELF, request)), Shelf)
    transport: AsyncTransport = AsyncRestTransport("https://h")
    assert_type(AsyncOperationsClient(transport), AsyncOperationsClient)


def bindings() -> None:
    found = OperationsBindings.under()
    assert_type(found.get, tuple[HttpBinding, ...])
