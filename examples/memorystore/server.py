# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""A server of Memorystore for Redis: as much of it as the demo needs, in a process of its own.

    python -m examples.memorystore.server

It prints its address, and ends with its standard input, or when its lifetime is over.

The five methods of ``google.longrunning.Operations`` are those of the testing kit, `ScriptedOperations`. Its scripts move on
with the polls of a client; here they are replaced by the next one as time passes, as in a real service.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import re
import secrets
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, NoReturn

import grpc
import grpc.aio
from google.cloud.redis_v1.types import cloud_redis
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2, timestamp_pb2
from google.rpc import error_details_pb2

from longrunning import Code, OperationCancelledError, OperationError, Status
from longrunning.testing import ScriptedOperations, Step, WaitSupport, failed, pending, succeeded

from .api import SERVICE, STARTING, TYPES

LIFETIME: Final = 60.0
"""Seconds after which the server ends by itself, whatever happens to whoever started it."""

PAGE_SIZE: Final = 5
"""The most operations on a page of a list: few, so that lists have several even for clients that cannot ask for less."""

_FILTER: Final = re.compile(r"\s*done\s*=\s*(true|false)\s*")

State: Any = cloud_redis.Instance.State  # mypy takes the members of a proto-plus enum for ints
Context = grpc.aio.ServicerContext[Any, Any]


class Job:
    """An operation under way: publishes how far it is, and notices when somebody cancels it."""

    def __init__(self, operations: ScriptedOperations, *, verb: str, target: str) -> None:
        """Makes the operation known."""
        parent = target.partition("/instances/")[0]
        self._name = f"{parent}/operations/operation-{secrets.token_hex(8)}"
        self._metadata = cloud_redis.OperationMetadata(create_time=now(), verb=verb, target=target, api_version="v1")
        self._operations = operations
        self._operations.add(self._name, pending(self._metadata), on_cancel=())

    @property
    def operation(self) -> operations_pb2.Operation:
        """What the client that started it gets."""
        return operations_pb2.Operation(name=self._name, metadata=TYPES.pack(self._metadata))

    async def run(self, work: Callable[[Job], Awaitable[object]]) -> None:
        """Does the work, and publishes its response, or what it raised."""
        try:
            outcome, status_detail = partial(succeeded, await work(self)), "Done"
        except OperationError as error:
            outcome, status_detail = partial(failed, error.status), error.status.message
        self._metadata.end_time = now()
        self._publish(outcome, status_detail)

    async def stage(self, status_detail: str, seconds: float) -> None:
        """Publishes a stage of the work, and lasts as long as it does.

        Raises:
            OperationCancelledError: The operation was cancelled meanwhile. The stages that undo it last to their ends.
        """
        self._publish(pending, status_detail)
        if self._metadata.cancel_requested:
            await asyncio.sleep(seconds)
        elif await self._cancelled_within(seconds):
            self._metadata.cancel_requested = True
            raise OperationCancelledError(Status(Code.CANCELLED, "Cancelled by the user"))

    def _publish(self, step: Callable[..., Step], status_detail: str) -> None:
        self._metadata.status_detail = status_detail
        if self._name in self._operations.names:  # it may have been deleted, which does not stop the work
            # The script is one step for ever. That nothing is said to come `on_cancel` leaves cancelling to the work.
            self._operations.add(self._name, step(metadata=self._metadata), on_cancel=())

    async def _cancelled_within(self, seconds: float) -> bool:
        cancel = ("CancelOperation", self._name)
        try:
            await self._operations.wait_until_aio(
                lambda calls: any((call.rpc, call.name) == cancel for call in calls), timeout=seconds
            )
        except TimeoutError:
            return False
        return True


class CloudRedis:
    """``google.cloud.redis.v1.CloudRedis``: creates, shows and deletes instances. They exist in its memory only."""

    def __init__(self, operations: ScriptedOperations) -> None:
        """Makes one without instances.

        Args:
            operations: Where its operations are published.
        """
        self._operations = operations
        self._instances: dict[str, cloud_redis.Instance] = {}
        self._hosts = (f"10.142.0.{number}" for number in itertools.count(4, 8))
        self._tasks: set[asyncio.Task[None]] = set()

    def register(self, server: grpc.aio.Server) -> None:
        """Adds it to a server."""
        handlers = {
            "CreateInstance": unary(self.create_instance, cloud_redis.CreateInstanceRequest, operations_pb2.Operation),
            "DeleteInstance": unary(self.delete_instance, cloud_redis.DeleteInstanceRequest, operations_pb2.Operation),
            "GetInstance": unary(self.get_instance, cloud_redis.GetInstanceRequest, cloud_redis.Instance),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))

    # -- RPCs ---------------------------------------------------------------------------------------------------

    async def create_instance(
        self, request: cloud_redis.CreateInstanceRequest, context: Context
    ) -> operations_pb2.Operation:
        """Starts to create an instance. It will fail if its id says that it exceeds a quota."""
        instance = request.instance
        instance.name = f"{request.parent}/instances/{request.instance_id}"
        if instance.name in self._instances:
            await refuse(context, grpc.StatusCode.ALREADY_EXISTS, f"instance {instance.name!r} already exists")
        instance.state, instance.create_time = State.CREATING, now()
        self._instances[instance.name] = instance
        return self._start("create", instance.name, partial(self._create, instance))

    async def delete_instance(
        self, request: cloud_redis.DeleteInstanceRequest, context: Context
    ) -> operations_pb2.Operation:
        """Starts to delete an instance."""
        instance = await self.get_instance(request, context)
        instance.state = State.DELETING
        return self._start("delete", instance.name, partial(self._delete, instance))

    async def get_instance(
        self, request: cloud_redis.GetInstanceRequest | cloud_redis.DeleteInstanceRequest, context: Context
    ) -> cloud_redis.Instance:
        """Returns an instance."""
        instance = self._instances.get(request.name)
        if instance is None:
            await refuse(context, grpc.StatusCode.NOT_FOUND, f"instance {request.name!r} not found")
        return instance

    # -- work ---------------------------------------------------------------------------------------------------

    def _start(self, verb: str, target: str, work: Callable[[Job], Awaitable[object]]) -> operations_pb2.Operation:
        job = Job(self._operations, verb=verb, target=target)
        task = asyncio.create_task(job.run(work))
        self._tasks.add(task)  # the event loop itself does not hold on to it
        task.add_done_callback(self._tasks.discard)
        return job.operation

    async def _create(self, instance: cloud_redis.Instance, job: Job) -> cloud_redis.Instance:
        seconds = 0.25 + 0.15 * instance.memory_size_gb
        try:
            await job.stage("Looking at the quotas", 0.4)
            if "quota" in instance.name:
                raise OperationError(quota_exceeded(instance))
            await job.stage("Reserving an IP range", seconds)
            await job.stage(STARTING, seconds)
            if instance.tier == cloud_redis.Instance.Tier.STANDARD_HA:
                await job.stage("Waiting for the replica to catch up", seconds)
            await job.stage("Checking that it answers", seconds)
        except OperationError:
            await job.stage("Releasing what was reserved", 0.4)
            del self._instances[instance.name]
            raise
        instance.host, instance.port, instance.state = next(self._hosts), 6379, State.READY
        return instance

    async def _delete(self, instance: cloud_redis.Instance, job: Job) -> empty_pb2.Empty:
        await job.stage("Stopping Redis", 0.6)
        del self._instances[instance.name]
        return empty_pb2.Empty()


def unary(
    method: Callable[[Any, Context], Awaitable[Any]], request: Any, response: Any
) -> grpc.RpcMethodHandler[Any, Any]:
    """Says how the messages of a method are read and written: google-cloud-redis has stubs for clients only."""
    serialize = getattr(response, "serialize", None) or response.SerializeToString  # of proto-plus, or of protobuf
    return grpc.unary_unary_rpc_method_handler(method, request.deserialize, serialize)


async def refuse(context: Context, code: grpc.StatusCode, message: str) -> NoReturn:
    """Ends an RPC with an error."""
    await context.abort(code, message)
    raise AssertionError  # abort() raises; its types do not say so


def quota_exceeded(instance: cloud_redis.Instance) -> Status:
    """An error as AIP-193 wants it: for programs ErrorInfo and QuotaFailure, for people a message and a link."""
    project = instance.name.partition("/locations/")[0]
    return Status(
        Code.RESOURCE_EXHAUSTED,
        "The quota of 16 GB is exceeded",
        (
            error_details_pb2.ErrorInfo(
                reason="MEMORY_QUOTA_EXCEEDED",
                domain="redis.googleapis.com",
                metadata={"requested_gb": str(instance.memory_size_gb), "limit_gb": "16"},
            ),
            error_details_pb2.QuotaFailure(
                violations=[
                    error_details_pb2.QuotaFailure.Violation(subject=project, description="16 GB of Redis in a region")
                ]
            ),
            error_details_pb2.Help(
                links=[
                    error_details_pb2.Help.Link(
                        description="Ask for more quota", url="https://cloud.google.com/docs/quotas"
                    )
                ]
            ),
        ),
    )


def now() -> timestamp_pb2.Timestamp:
    """The time, as a message."""
    timestamp = timestamp_pb2.Timestamp()
    timestamp.GetCurrentTime()
    return timestamp


def matches(list_filter: str, *, done: bool) -> bool:
    """Whether a list with a filter has an operation that is done, or is not.

    Raises:
        ValueError: It is none of the filters of this server: ``done = true`` and ``done = false``, of AIP-160.
    """
    if not list_filter.strip():
        return True
    if (wanted := _FILTER.fullmatch(list_filter)) is None:
        raise ValueError(f"the filters of this server are 'done = true' and 'done = false', not {list_filter!r}")
    return done == (wanted[1] == "true")


async def serve(lifetime: float) -> None:
    """Serves until standard input ends, or the lifetime does."""
    operations = ScriptedOperations(
        wait_support=WaitSupport.SERVED,
        page_size=PAGE_SIZE,
        list_filter=lambda list_filter, operation: matches(list_filter, done=operation.done),
    )
    async with operations.serve_aio(register=CloudRedis(operations).register) as server:
        print(server.address, flush=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(lifetime):
                await end_of_input()
        await server.stop(grace=1.0)  # leaving the block cuts connections, which gRPC tells the clients' stderr


async def end_of_input() -> None:
    """Waits for whoever holds the other end of standard input to close it, or to die."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m examples.memorystore.server", description=__doc__)
    parser.add_argument("--lifetime", type=float, default=LIFETIME, help="seconds (default: %(default)s)")
    asyncio.run(serve(parser.parse_args().lifetime))
