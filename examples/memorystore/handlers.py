# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""CreateInstance and DeleteInstance: a function each, and that is what makes them long-running operations.

Both may run more than once: a process that is killed has not said what it did, so another one has to go on. This is what
they do about it:

* What they change, they change through `Instances`, where doing it again changes nothing.
* A creation leaves a checkpoint before each of its stages, and the next attempt begins with the one that was under way. A
  deletion is short, and begins again.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from google.cloud.redis_v1.types import cloud_redis
from google.protobuf import empty_pb2, timestamp_pb2
from google.rpc import error_details_pb2

from longrunning import Code, OperationCancelledError, OperationError, Status
from longrunning.server import AsyncOperationContext, OperationContext, OperationsServer

from .api import CREATE_INSTANCE, DELETE_INSTANCE, STARTING
from .instances import Instances, Owner

__all__ = ["register"]

Metadata = cloud_redis.OperationMetadata
State: Final[Any] = cloud_redis.Instance.State  # mypy takes the members of a proto-plus enum for ints


def register(server: OperationsServer, instances: Instances) -> None:
    """Registers the handlers."""

    async def may_create(request: cloud_redis.CreateInstanceRequest, _: object) -> None:
        if not request.instance_id:
            raise OperationError(Status(Code.INVALID_ARGUMENT, "instance_id is needed"))
        instance = await asyncio.to_thread(instances.get, created_name(request))
        # One that is being created or deleted is left to `resource`: if an operation is at work on it, this one is ABORTED.
        if instance is not None and instance.state == State.READY:
            raise OperationError(Status(Code.ALREADY_EXISTS, f"instance {instance.name!r} already exists"))

    @server.method(
        CREATE_INSTANCE,
        resource=created_name,
        validate=may_create,
        metadata=lambda request: first_metadata("create", created_name(request)),
    )
    async def create_instance(
        request: cloud_redis.CreateInstanceRequest, context: AsyncOperationContext[Metadata]
    ) -> cloud_redis.Instance:
        owner = Owner.of(context)
        instance = request.instance
        instance.name, instance.state, instance.create_time = created_name(request), State.CREATING, now()
        instance = await asyncio.to_thread(instances.take, owner, instance)
        try:
            await go_through_stages(context, instance)
        except OperationError as error:  # somebody cancelled it, or it asks for too much
            await context.update(metadata_of(context, "Releasing what was reserved"))
            await asyncio.sleep(0.4)
            await asyncio.to_thread(instances.remove, owner, instance.name)
            context.end_with(last_metadata(context, error.status.message))
            raise
        instance = await asyncio.to_thread(instances.finish, owner, instance.name)
        context.end_with(last_metadata(context, "Done"))
        return instance

    async def may_delete(request: cloud_redis.DeleteInstanceRequest, _: object) -> None:
        if await asyncio.to_thread(instances.get, request.name) is None:
            raise OperationError(Status(Code.NOT_FOUND, f"instance {request.name!r} not found"))

    # An ordinary function runs in a thread of its own, and may block.
    @server.method(
        DELETE_INSTANCE,
        resource=lambda request: request.name,
        validate=may_delete,
        metadata=lambda request: first_metadata("delete", request.name),
    )
    def delete_instance(
        request: cloud_redis.DeleteInstanceRequest, context: OperationContext[Metadata]
    ) -> empty_pb2.Empty:
        owner = Owner.of(context)
        instance = instances.get(request.name)
        if instance is not None:  # otherwise an earlier attempt got as far as this
            instance.state = State.DELETING
            instances.take(owner, instance)
            context.update(metadata_of(context, "Stopping Redis"))
            time.sleep(0.6)
            instances.remove(owner, request.name)
        context.end_with(last_metadata(context, "Done"))
        return empty_pb2.Empty()


async def go_through_stages(context: AsyncOperationContext[Metadata], instance: cloud_redis.Instance) -> None:
    """Does what takes long, from the stage on that the checkpoint says.

    Raises:
        OperationError: The quota is exceeded, or somebody cancelled the operation.
    """
    reached = int(context.checkpoint or b"0")
    for number, (status_detail, seconds) in enumerate(stages(instance)):
        if number < reached:
            continue  # an earlier attempt did it
        await context.update(metadata_of(context, status_detail), checkpoint=b"%d" % number)
        try:
            await context.sleep(seconds)
        except OperationCancelledError:
            raise OperationCancelledError(Status(Code.CANCELLED, "Cancelled by the user")) from None
        if number == 0 and "quota" in instance.name:
            raise OperationError(quota_exceeded(instance))


def stages(instance: cloud_redis.Instance) -> list[tuple[str, float]]:
    """What a creation consists of, and for how many seconds: the bigger, the longer."""
    seconds = 0.32 + 0.08 * instance.memory_size_gb
    found = [("Looking at the quotas", 0.4), ("Reserving an IP range", seconds), (STARTING, seconds)]
    if instance.tier == cloud_redis.Instance.Tier.STANDARD_HA:
        found.append(("Waiting for the replica to catch up", seconds))
    return [*found, ("Checking that it answers", seconds)]


def created_name(request: cloud_redis.CreateInstanceRequest) -> str:
    """The name of the instance to be."""
    return f"{request.parent}/instances/{request.instance_id}"


def first_metadata(verb: str, target: str) -> Metadata:
    """What an operation begins with."""
    return Metadata(create_time=now(), verb=verb, target=target, api_version="v1")


def metadata_of(context: AsyncOperationContext[Metadata] | OperationContext[Metadata], status_detail: str) -> Metadata:
    """What is said of an operation that is under way."""
    metadata = context.metadata or Metadata()
    metadata.cancel_requested = context.cancel_requested
    metadata.status_detail = status_detail if context.attempt == 1 else f"{status_detail} (attempt {context.attempt})"
    return metadata


def last_metadata(
    context: AsyncOperationContext[Metadata] | OperationContext[Metadata], status_detail: str
) -> Metadata:
    """What is said of one that has ended."""
    metadata = metadata_of(context, status_detail)
    metadata.status_detail, metadata.end_time = status_detail, now()
    return metadata


def quota_exceeded(instance: cloud_redis.Instance) -> Status:
    """An error as AIP-193 wants it: for programs ErrorInfo and QuotaFailure, for people a message and a link."""
    project = instance.name.partition("/locations/")[0]
    violation = error_details_pb2.QuotaFailure.Violation(subject=project, description="16 GB of Redis in a region")
    link = error_details_pb2.Help.Link(description="Ask for more quota", url="https://cloud.google.com/docs/quotas")
    return Status(
        Code.RESOURCE_EXHAUSTED,
        "The quota of 16 GB is exceeded",
        (
            error_details_pb2.ErrorInfo(
                reason="MEMORY_QUOTA_EXCEEDED",
                domain="redis.googleapis.com",
                metadata={"requested_gb": str(instance.memory_size_gb), "limit_gb": "16"},
            ),
            error_details_pb2.QuotaFailure(violations=[violation]),
            error_details_pb2.Help(links=[link]),
        ),
    )


def now() -> timestamp_pb2.Timestamp:
    """The time, as a message."""
    timestamp = timestamp_pb2.Timestamp()
    timestamp.GetCurrentTime()
    return timestamp
