# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The clients of google-cloud-redis, as they come: they cannot tell this server from the real one.

To type checkers what comes out of their operations is ``Any``, so here the clients are, too.
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio
from google.api_core import exceptions
from google.cloud import redis_v1
from google.cloud.redis_v1.services.cloud_redis import transports
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2

from longrunning import OperationsClient

from .api import CHANNEL_OPTIONS, CREATE_INSTANCE, LOCATION, TYPES, instance_name, new_instance
from .screen import Screen, metadata_of

__all__ = ["drive_async", "drive_sync"]

TIMEOUT = 15.0


async def drive_sync(address: str, screen: Screen) -> None:
    """CloudRedisClient, in a thread: it blocks."""
    screen.step("google.cloud.redis_v1.CloudRedisClient drives the same server")
    with grpc.insecure_channel(address, CHANNEL_OPTIONS) as channel:  # closing it ends the thread's RPCs, too
        await asyncio.to_thread(drive, channel, screen)


def drive(channel: grpc.Channel, screen: Screen) -> None:
    """Creates two instances, cancels one of the operations, deletes the other instance."""
    client: Any = redis_v1.CloudRedisClient(transport=transports.CloudRedisGrpcTransport(channel=channel))
    operation = client.create_instance(new_instance("theirs"))
    unwanted = client.create_instance(new_instance("theirs-unwanted"))
    screen.check(operation.metadata.verb == "create", "create_instance() returned an operation with its metadata")
    screen.check(unwanted.cancel(), "operation.cancel() was accepted")
    instance = operation.result(timeout=TIMEOUT)
    screen.check(instance.host, f"operation.result() is an Instance, at {instance.host}:{instance.port}")
    ours = OperationsClient(channel, registry=TYPES)
    same = ours.get(operation.operation.name, CREATE_INSTANCE).result()
    screen.check(same == instance, "our client, sync, reads the same from the same operation")
    error = unwanted.exception(timeout=TIMEOUT)
    screen.check(isinstance(error, exceptions.Cancelled), f"the cancelled one raises {type(error).__name__}")
    screen.check(unwanted.cancelled() and unwanted.metadata.cancel_requested, "and its metadata has cancel_requested")
    late = client.get_instance(name=instance_name("cache-late"))
    screen.check(late.state == redis_v1.Instance.State.READY, "cache-late is there, though its operation was deleted")
    targets = {metadata_of(listed).target for listed in ours.list(LOCATION)}
    screen.check(
        instance.name in targets and late.name not in targets, "and that operation did not come back: no list has it"
    )
    deletion = client.delete_instance(name=instance.name)
    screen.check(deletion.result(timeout=TIMEOUT) == empty_pb2.Empty(), "delete_instance() ends with Empty")
    forget = operations_pb2.DeleteOperationRequest(name=deletion.operation.name)
    client.delete_operation(forget)
    try:
        client.get_operation(operations_pb2.GetOperationRequest(name=forget.name))
    except exceptions.NotFound:
        found = False
    else:
        found = True
    screen.check(not found, "delete_operation() makes it NOT_FOUND")


async def drive_async(address: str, screen: Screen) -> None:
    """CloudRedisAsyncClient: the same."""
    screen.step("google.cloud.redis_v1.CloudRedisAsyncClient, too")
    async with grpc.aio.insecure_channel(address, CHANNEL_OPTIONS) as channel:
        client: Any = redis_v1.CloudRedisAsyncClient(
            transport=transports.CloudRedisGrpcAsyncIOTransport(channel=channel)
        )
        operation = await client.create_instance(new_instance("theirs"))
        unwanted = await client.create_instance(new_instance("theirs-unwanted"))
        screen.check(operation.metadata.verb == "create", "create_instance() returned an operation with its metadata")
        screen.check(await unwanted.cancel(), "operation.cancel() was accepted")
        instance = await operation.result(timeout=TIMEOUT)
        screen.check(instance.host, f"operation.result() is an Instance, at {instance.host}:{instance.port}")
        error = await unwanted.exception(timeout=TIMEOUT)
        screen.check(
            isinstance(error, exceptions.GoogleAPICallError), f"the cancelled one raises {type(error).__name__}"
        )
        screen.check(await unwanted.cancelled(), "and says that it was cancelled")
        deletion = await client.delete_instance(name=instance.name)
        screen.check(await deletion.result(timeout=TIMEOUT) == empty_pb2.Empty(), "delete_instance() ends with Empty")
