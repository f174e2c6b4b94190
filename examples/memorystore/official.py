# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The clients of google-cloud-redis, as they come: they cannot tell this server from the real one.

To type checkers what comes out of their operations is ``Any``, so here the clients are, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterable
from typing import Any, Final

import grpc
import grpc.aio
from google.api_core import exceptions
from google.api_core.future.polling import DEFAULT_POLLING
from google.auth.credentials import AnonymousCredentials
from google.cloud import redis_v1
from google.cloud.redis_v1.services.cloud_redis import transports
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2

from longrunning import OperationsClient

from .api import CHANNEL_OPTIONS, CREATE_INSTANCE, LOCATION, TYPES, instance_name, new_instance
from .screen import Screen, metadata_of

__all__ = ["drive"]

TIMEOUT: Final = 15.0
# By default seconds pass between two polls; the instances of this server are ready by then.
POLLING: Final[Any] = DEFAULT_POLLING.with_delay(initial=0.2, multiplier=1.2, maximum=0.4)

Fact = tuple[object, str]


async def drive(address: str, url: str, screen: Screen) -> None:
    """All three of them, at once: most of the time they wait. They are shown one after the other."""
    by_asyncio = asyncio.create_task(over_grpc_async(address))
    by_http = asyncio.create_task(asyncio.to_thread(lambda: list(over_http(url))))
    try:
        screen.step("google.cloud.redis_v1.CloudRedisClient drives the same server")
        with grpc.insecure_channel(address, CHANNEL_OPTIONS) as channel:  # closing it ends the thread's RPCs, too
            await asyncio.to_thread(show, over_grpc(channel), screen)
        screen.step("google.cloud.redis_v1.CloudRedisAsyncClient, too")
        show(await by_asyncio, screen)
        screen.step('And CloudRedisClient over HTTP, with transport="rest"')
        show(await by_http, screen)
    finally:
        for task in (by_asyncio, by_http):
            task.cancel()
        await asyncio.gather(by_asyncio, by_http, return_exceptions=True)


def show(facts: Iterable[Fact], screen: Screen) -> None:
    """Shows facts as they are found."""
    for held, fact in facts:
        screen.check(held, fact)


def over_grpc(channel: grpc.Channel) -> Generator[Fact, None, None]:
    """CloudRedisClient, which blocks."""
    client: Any = redis_v1.CloudRedisClient(transport=transports.CloudRedisGrpcTransport(channel=channel))
    ours = OperationsClient(channel, registry=TYPES)
    name = yield from create_and_cancel(
        client, ours, "theirs", lambda unwanted: (unwanted.cancel(), "operation.cancel() was accepted")
    )
    late = client.get_instance(name=instance_name("cache-late"))
    yield late.state == redis_v1.Instance.State.READY, "cache-late is there, though its operation was deleted"
    targets = {metadata_of(listed).target for listed in ours.list(LOCATION)}
    yield name in targets and late.name not in targets, "and that operation did not come back: no list has it"
    yield from delete(client, name)


def over_http(url: str) -> Generator[Fact, None, None]:
    """The same class with its other transport. GetInstance it cannot ask for: our server has that over gRPC only."""
    host = url.removeprefix("http://")
    credentials: Any = AnonymousCredentials  # its constructor is not typed
    transport = transports.CloudRedisRestTransport(host=host, url_scheme="http", credentials=credentials())

    def cancel(unwanted: Any) -> Fact:
        # In google-api-core 2.44 operation.cancel() is a KeyError over HTTP: it looks for a body that it does not bind.
        request = operations_pb2.CancelOperationRequest(name=unwanted.operation.name)
        return client.cancel_operation(request) is None, "cancel_operation() was accepted"

    client: Any = redis_v1.CloudRedisClient(transport=transport)
    with client, OperationsClient.from_url(url) as ours:
        name = yield from create_and_cancel(client, ours, "theirs-over-http", cancel)
        yield from delete(client, name)


def create_and_cancel(
    client: Any, ours: OperationsClient, instance_id: str, cancel: Callable[[Any], Fact]
) -> Generator[Fact, None, str]:
    """Creates an instance, whose name is returned, and cancels the creation of another."""
    operation = client.create_instance(new_instance(instance_id))
    unwanted = client.create_instance(new_instance(f"{instance_id}-unwanted"))
    yield operation.metadata.verb == "create", "create_instance() returned an operation with its metadata"
    yield cancel(unwanted)
    instance = operation.result(timeout=TIMEOUT, polling=POLLING)
    yield instance.host, f"operation.result() is an Instance, at {instance.host}:{instance.port}"
    same = ours.get(operation.operation.name, CREATE_INSTANCE).result()
    yield same == instance, "our client, sync, reads the same from the same operation"
    error = unwanted.exception(timeout=TIMEOUT)
    yield isinstance(error, exceptions.Cancelled), f"the cancelled one raises {type(error).__name__}"
    yield unwanted.cancelled() and unwanted.metadata.cancel_requested, "and its metadata has cancel_requested"
    return str(instance.name)


def delete(client: Any, name: str) -> Generator[Fact, None, None]:
    """Deletes an instance, and then the operation that did it."""
    deletion = client.delete_instance(name=name)
    done = deletion.result(timeout=TIMEOUT, polling=POLLING)
    yield done == empty_pb2.Empty(), "delete_instance() ends with Empty"
    forget = operations_pb2.DeleteOperationRequest(name=deletion.operation.name)
    client.delete_operation(forget)
    try:
        client.get_operation(operations_pb2.GetOperationRequest(name=forget.name))
    except exceptions.NotFound:
        found = False
    else:
        found = True
    yield not found, "delete_operation() makes it NOT_FOUND"


async def over_grpc_async(address: str) -> list[Fact]:
    """CloudRedisAsyncClient: the same."""
    async with grpc.aio.insecure_channel(address, CHANNEL_OPTIONS) as channel:
        client: Any = redis_v1.CloudRedisAsyncClient(
            transport=transports.CloudRedisGrpcAsyncIOTransport(channel=channel)
        )
        operation = await client.create_instance(new_instance("theirs-async"))
        unwanted = await client.create_instance(new_instance("theirs-async-unwanted"))
        accepted = await unwanted.cancel()
        instance = await operation.result(timeout=TIMEOUT)
        error = await unwanted.exception(timeout=TIMEOUT)
        deletion = await client.delete_instance(name=instance.name)
        done = await deletion.result(timeout=TIMEOUT)
        return [
            (operation.metadata.verb == "create", "create_instance() returned an operation with its metadata"),
            (accepted, "operation.cancel() was accepted"),
            (instance.host, f"operation.result() is an Instance, at {instance.host}:{instance.port}"),
            (isinstance(error, exceptions.GoogleAPICallError), f"the cancelled one raises {type(error).__name__}"),
            (await unwanted.cancelled(), "and says that it was cancelled"),
            (done == empty_pb2.Empty(), "delete_instance() ends with Empty"),
        ]
