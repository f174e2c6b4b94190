# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The typed client over HTTP: made from a URL instead of a channel, and nothing else of it is different."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final

import grpc.aio
from google.cloud.redis_v1.types import cloud_redis

from longrunning import AsyncOperationsClient, Code, Operation, StartError
from longrunning.errors import OperationNotFoundError

from .api import CHANNEL_OPTIONS, CREATE_INSTANCE, LOCATION, TYPES, instance_name, new_instance
from .client import POLICY, create, failure
from .screen import Board, NotSoError, Screen, metadata_of

__all__ = ["tour_over_http"]

CREATED: Final = "cache-http"
RESUMED: Final = "cache-both"
FAILED: Final = "cache-http-quota"


async def tour_over_http(address: str, url: str, screen: Screen) -> None:
    """Does over HTTP what was done over gRPC, and goes to and fro between the two."""
    screen.step("The typed client over HTTP: from_url instead of a channel")
    async with (
        grpc.aio.insecure_channel(address, CHANNEL_OPTIONS) as channel,
        AsyncOperationsClient.from_url(url, registry=TYPES, policy=POLICY) as http,
    ):
        client = AsyncOperationsClient(channel, registry=TYPES, policy=POLICY)
        with screen.board(CREATED, RESUMED, FAILED) as board:
            instance, resumed, failed = await asyncio.gather(
                create(http, board, CREATED, 1), start_and_resume(client, http, board), fail(http, board)
            )
        screen.check(type(instance) is cloud_redis.Instance, "the result is an Instance, and type checkers know")
        screen.check(
            resumed.name == instance_name(RESUMED), f"{RESUMED} was started over gRPC, and waited for over HTTP"
        )
        await compare_errors(client, http, failed, screen)
        await compare_lists(client, http, screen)
        await delete_an_operation(client, http, failed, screen)


async def start_and_resume(
    client: AsyncOperationsClient, http: AsyncOperationsClient, board: Board
) -> cloud_redis.Instance:
    """Starts a creation over gRPC, and goes on over HTTP with its resume token."""
    token = (await client.start(CREATE_INSTANCE, new_instance(RESUMED))).resume_token
    return await http.resume(token, CREATE_INSTANCE).result(on_progress=partial(board.show, RESUMED))


async def fail(http: AsyncOperationsClient, board: Board) -> str:
    """Asks for too much; returns the name of the operation."""
    operation = await http.start(CREATE_INSTANCE, new_instance(FAILED, memory_size_gb=20))
    await operation.wait(on_progress=partial(board.show, FAILED))
    return operation.name


async def compare_errors(client: AsyncOperationsClient, http: AsyncOperationsClient, name: str, screen: Screen) -> None:
    """Reads why an operation failed, over either; and what the answer is to a start that is refused."""
    status = (await failure(http.attach(name, CREATE_INSTANCE))).status
    screen.check(status.code is Code.RESOURCE_EXHAUSTED, "the failed one raises OperationError, RESOURCE_EXHAUSTED (8)")
    info = status.error_info
    screen.check(
        info and info.metadata["limit_gb"] == "16", "its details are messages: the limit of ErrorInfo is 16 GB"
    )
    screen.check(status == (await failure(client.attach(name, CREATE_INSTANCE))).status, "over gRPC they are the same")
    try:
        another = await http.start(CREATE_INSTANCE, new_instance(CREATED))
    except StartError as error:
        screen.check(error.code is Code.ALREADY_EXISTS, "HTTP 409 of a start is StartError, ALREADY_EXISTS (6)")
    else:
        raise NotSoError(f"{another.name} was started")


async def compare_lists(client: AsyncOperationsClient, http: AsyncOperationsClient, screen: Screen) -> None:
    """Lists all operations over either."""
    over_http, over_grpc = await asyncio.gather(listed(http), listed(client))
    screen.check(
        over_http == over_grpc, f"a list has the same {len(over_http)} operations over both, all of them equal"
    )
    kinds = {type(metadata_of(operation)) for operation in over_http}
    screen.check(kinds == {cloud_redis.OperationMetadata}, "the metadata of each is an OperationMetadata")


async def listed(client: AsyncOperationsClient) -> list[Operation[Any, Any]]:
    """All operations there are."""
    return [operation async for operation in client.list(LOCATION)]


async def delete_an_operation(
    client: AsyncOperationsClient, http: AsyncOperationsClient, name: str, screen: Screen
) -> None:
    """Deletes an operation over HTTP."""
    await http.delete(name)
    try:
        await client.get(name)
    except OperationNotFoundError as error:
        screen.check(error.code is Code.NOT_FOUND, "deleted over HTTP, an operation is NOT_FOUND over gRPC")
    else:
        raise NotSoError("an operation that was deleted over HTTP is still there")
