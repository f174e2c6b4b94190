# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The typed client. Nothing here unpacks an ``Any``, or says what is in it.

Types are inferred from the method that was started; those in a list are found in a registry.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from functools import partial
from typing import Any, Final

import grpc.aio
from google.cloud.redis_v1.types import cloud_redis
from google.protobuf import empty_pb2

from longrunning import (
    AsyncOperationHandle,
    AsyncOperationsClient,
    Code,
    Operation,
    OperationCancelledError,
    OperationError,
    OperationState,
    PollPolicy,
    RetryPolicy,
    StartError,
)
from longrunning.errors import OperationNotFoundError

from .api import (
    CHANNEL_OPTIONS,
    CREATE_INSTANCE,
    DELETE_INSTANCE,
    LOCATION,
    STARTING,
    TYPES,
    instance_name,
    new_instance,
)
from .process import output_of
from .screen import Board, NotSoError, Screen, metadata_of

__all__ = ["tour"]

# The instances of this server are ready in seconds, not in minutes as real ones: it is polled more often than by default.
POLICY: Final = PollPolicy(
    initial=0.1, multiplier=1.2, maximum=0.4, timeout=20, retry=RetryPolicy(initial=0.1, maximum=0.4)
)

CREATED: Final = {"cache-small": 1, "cache-medium": 3, "cache-large": 5}  # GB
LISTED: Final = {
    ("create", "SUCCEEDED", "Instance"): 3,
    ("create", "CANCELLED", "CANCELLED"): 1,
    ("create", "FAILED", "RESOURCE_EXHAUSTED"): 1,
    ("delete", "SUCCEEDED", "Empty"): 1,
    ("create", "RUNNING", ""): 1,
}
FILTER: Final = "metadata.verb = create AND response.memory_size_gb >= 5"
METADATA_FIELDS: Final = {
    "@type", "createTime", "endTime", "target", "verb", "statusDetail", "cancelRequested", "apiVersion",
}  # fmt: skip

Creation = AsyncOperationHandle[cloud_redis.Instance, cloud_redis.OperationMetadata]


async def tour(address: str, screen: Screen) -> None:
    """Goes through everything a client can do with operations."""
    async with grpc.aio.insecure_channel(address, CHANNEL_OPTIONS) as channel:
        client = AsyncOperationsClient(channel, registry=TYPES, policy=POLICY)
        await create_three(client, screen)
        await cancel_one(client, screen)
        await let_one_fail(client, screen)
        await delete_an_instance(client, screen)
        late = await client.start(CREATE_INSTANCE, new_instance("cache-late"))
        operations = await list_all(client, screen)
        show_json(operations, screen)
        await delete_an_operation(late, screen)
    await resume_elsewhere(address, screen)


async def create_three(client: AsyncOperationsClient, screen: Screen) -> None:
    """Starts three at once, and shows how each gets on."""
    screen.step("Three creations at once, with progress from their typed metadata")
    with screen.board(*CREATED) as board:
        instances = await asyncio.gather(*(create(client, board, name, gb) for name, gb in CREATED.items()))
    screen.table(
        "INSTANCE", "ENDPOINT", "TIER", "MEMORY",
        rows=[(last(i.name), f"{i.host}:{i.port}", i.tier.name, f"{i.memory_size_gb} GB") for i in instances],
    )  # fmt: skip
    screen.check(
        all(type(i) is cloud_redis.Instance for i in instances), "each result is an Instance, and type checkers know"
    )
    screen.check([i.memory_size_gb for i in instances] == list(CREATED.values()), "and the one that was asked for")
    try:
        another = await client.start(CREATE_INSTANCE, new_instance("cache-small"))
    except StartError as error:
        screen.check(
            error.code is Code.ALREADY_EXISTS, "another cache-small does not start: StartError, ALREADY_EXISTS (6)"
        )
    else:
        raise NotSoError(f"{another.name} was started")


async def create(client: AsyncOperationsClient, board: Board, instance_id: str, gb: int) -> cloud_redis.Instance:
    """Creates an instance: this is all there is to it."""
    operation = await client.start(CREATE_INSTANCE, new_instance(instance_id, memory_size_gb=gb))
    return await operation.result(on_progress=partial(board.show, instance_id))


async def cancel_one(client: AsyncOperationsClient, screen: Screen) -> None:
    """Cancels a creation half-way, and goes on watching: a cancel is a request."""
    screen.step("One is cancelled while it runs")
    operation = await client.start(CREATE_INSTANCE, new_instance("cache-unwanted"))
    asked = False
    with screen.board("cache-unwanted") as board:
        async for snapshot in operation.watch():
            board.show("cache-unwanted", snapshot)
            if not asked and metadata_of(snapshot).status_detail == STARTING:
                await operation.cancel()
                asked = True
    error = await failure(operation)
    screen.check(isinstance(error, OperationCancelledError), "its result raises OperationCancelledError")
    screen.check(error.code is Code.CANCELLED, f"the code is {error.status}")
    final = await operation.wait()  # it is done: no RPC
    screen.check(metadata_of(final).cancel_requested, "metadata.cancel_requested is True")


async def let_one_fail(client: AsyncOperationsClient, screen: Screen) -> None:
    """Asks for too much, and reads why it failed."""
    screen.step("One fails, with details that are messages")
    operation = await client.start(CREATE_INSTANCE, new_instance("cache-over-quota", memory_size_gb=20))
    with screen.board("cache-over-quota") as board:
        await operation.wait(on_progress=partial(board.show, "cache-over-quota"))
    status = (await failure(operation)).status
    screen.check(status.code is Code.RESOURCE_EXHAUSTED, "its result raises OperationError, RESOURCE_EXHAUSTED (8)")
    info, quota, links = status.error_info, status.quota_failure, status.help
    if info is None or quota is None or links is None:
        raise NotSoError("the error has ErrorInfo, QuotaFailure and Help")
    screen.table("DETAIL", "", rows=[
        ("ErrorInfo", f"{info.reason} of {info.domain}"),
        *(("QuotaFailure", f"{violation.subject}: {violation.description}") for violation in quota.violations),
        *(("Help", f"{link.description}: {link.url}") for link in links.links),
    ])  # fmt: skip
    screen.check(info.metadata["limit_gb"] == "16", "a program can tell the limit, 16 GB, without reading prose")


async def failure(operation: Creation) -> OperationError:
    """The error that an operation ends with."""
    try:
        await operation
    except OperationError as error:
        return error
    raise NotSoError(f"{operation.name} succeeded")


async def delete_an_instance(client: AsyncOperationsClient, screen: Screen) -> None:
    """Deletes an instance, and lets the server do the waiting."""
    screen.step("An instance is deleted, and the server does the waiting")
    operation = await client.start(
        DELETE_INSTANCE, cloud_redis.DeleteInstanceRequest(name=instance_name("cache-small"))
    )
    done = await client.wait_operation(operation.name, timeout=10, method=DELETE_INSTANCE)
    screen.check(done.done, "one WaitOperation returned when it was done")
    screen.check(done.result() == empty_pb2.Empty(), "its result is Empty")


async def list_all(client: AsyncOperationsClient, screen: Screen) -> list[Operation[Any, Any]]:
    """Lists what there is: running and done, of both methods. The types are found in the registry."""
    screen.step("All operations in a list: other types, other states")
    pages = [page async for page in client.list(LOCATION, page_size=4).pages()]
    operations = [operation for page in pages for operation in page]
    rows = [(metadata_of(operation), operation.state, result_of(operation)) for operation in operations]
    screen.table(
        "VERB", "TARGET", "STATE", "RESULT",
        rows=[(metadata.verb, last(metadata.target), state.value, result) for metadata, state, result in rows],
    )  # fmt: skip
    screen.check(len(pages) == 2, f"{len(operations)} operations came in {len(pages)} pages")
    found = Counter((metadata.verb, state.value, result) for metadata, state, result in rows)
    screen.check(found == LISTED, "each is in the state that it should be in, and its result typed")
    filtered = [metadata_of(operation) async for operation in client.list(LOCATION, filter=FILTER)]
    screen.check([last(metadata.target) for metadata in filtered] == ["cache-large"], f"the server filters: {FILTER}")
    return operations


def result_of(operation: Operation[Any, Any]) -> str:
    """The type of a response, or the code of an error."""
    if operation.error is not None:
        return str(Code(operation.error.code).name)
    return type(operation.result()).__name__ if operation.done else ""


def show_json(operations: list[Operation[Any, Any]], screen: Screen) -> None:
    """Writes operations as the documents of the REST API, and reads them back."""
    screen.step("The same as JSON, as the REST API has it")
    created = next(o for o in operations if o.done and result_of(o) == "Instance")
    text = created.to_json(indent=2)
    screen.json(text)
    again = Operation.from_json(text, CREATE_INSTANCE)
    screen.check(again == created, "read back, it is equal")
    screen.check(again.result().host == json.loads(text)["response"]["host"], "and typed")
    # Documents, not operations: in the bytes of an Any the entries of a map, such as of ErrorInfo, have no fixed order.
    screen.check(
        all(
            json.loads(Operation.from_json(o.to_json(), registry=TYPES).to_json()) == json.loads(o.to_json())
            for o in operations
        ),
        "all the others give the same document again, failed and cancelled ones too",
    )
    cancelled = next(o for o in operations if o.state is OperationState.CANCELLED)
    fields = set(json.loads(cancelled.to_json())["metadata"])
    screen.check(fields == METADATA_FIELDS, "metadata has the seven fields that the REST reference lists")


async def delete_an_operation(operation: Creation, screen: Screen) -> None:
    """Lets the server forget an operation. That does not cancel it."""
    screen.step("An operation is deleted")
    await operation.delete()
    try:
        await operation.refresh()
    except OperationNotFoundError as error:
        screen.check(error.code is Code.NOT_FOUND, "afterwards: OperationNotFoundError, NOT_FOUND (5)")
    else:
        raise NotSoError("a deleted operation is still there")


async def resume_elsewhere(address: str, screen: Screen) -> None:
    """One process starts a creation and ends; another, which knows only its resume token, finishes the wait."""
    screen.step("A process starts one and ends; another resumes it")
    token = await program("start", address, "cache-resumed")
    screen.say(f"   [dim]{token[:60]}…[/]")
    screen.check(json.loads(json.dumps(token)) == token, "a resume token is text, safe in JSON")
    name = await program("finish", address, given=token)
    screen.check(name == instance_name("cache-resumed"), f"the second process has its Instance, {last(name)}")


async def program(*arguments: str, given: str = "") -> str:
    """Runs a part of `resume` in a process of its own; returns what it printed."""
    printed = await output_of(sys.executable, "-m", "examples.memorystore.resume", *arguments, given=given)
    return printed.strip()


def last(name: str) -> str:
    """The last part of a resource name."""
    return name.rpartition("/")[2]
