# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The server process is killed while a client waits, and started again. The client does nothing about it, and need not."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, Final

import grpc.aio
from google.cloud.redis_v1.types import cloud_redis

from longrunning import AsyncOperationsClient, Operation

from .api import CHANNEL_OPTIONS, CREATE_INSTANCE, LOCATION, SERVICE, STARTING, TYPES, instance_name, new_instance
from .client import POLICY, last
from .process import ServerProcess
from .screen import Board, Screen, metadata_of

__all__ = ["survive"]

INSTANCE: Final = "cache-survivor"
PATIENCE: Final = (
    15.0  # seconds: the lease of the dead process, the start of the new one, and a machine with other work
)
FIRST_STAGES: Final = ("Looking at the quotas", "Reserving an IP range")  # done before the server is killed

Creation = Operation[cloud_redis.Instance, cloud_redis.OperationMetadata]


@dataclass(slots=True)
class Watcher:
    """What the waiting client sees.

    Attributes:
        board: Where it is shown.
        starting: Set when the instance is being started.
        details: When which stage was first seen, seconds.
    """

    board: Board
    starting: asyncio.Event = field(default_factory=asyncio.Event)
    details: dict[str, float] = field(default_factory=dict[str, float])

    def show(self, snapshot: Creation) -> None:
        """Is called with every answer to a poll."""
        self.board.show(INSTANCE, snapshot)
        detail = metadata_of(snapshot).status_detail
        self.details.setdefault(detail, time.monotonic())
        if detail == STARTING:
            self.starting.set()


async def survive(server: ServerProcess, screen: Screen) -> None:
    """Kills the server in the middle of a creation that a client waits for."""
    screen.step("The server is killed with -9 while a client waits, and started again")
    async with grpc.aio.insecure_channel(server.address, CHANNEL_OPTIONS) as channel:
        client = AsyncOperationsClient(channel, registry=TYPES, policy=POLICY)
        before = await listed(client)
        with screen.board(INSTANCE) as board:
            watcher = Watcher(board)
            operation = await client.start(CREATE_INSTANCE, new_instance(INSTANCE, memory_size_gb=3))
            waiting = asyncio.create_task(operation.result(on_progress=watcher.show))  # all that the client does
            await watcher.starting.wait()
            killed = time.monotonic()
            await kill(server, screen)
            instance = await waiting
        screen.check(instance.name == instance_name(INSTANCE), f"the client that waited has {last(instance.name)}")
        again = {detail: seen for detail, seen in watcher.details.items() if detail.endswith("(attempt 2)")}
        pause = min(again.values(), default=killed) - killed
        screen.check(0 < pause < PATIENCE, f"all that it noticed is a pause of {pause:.1f} s")
        # A poll may miss a stage, but not that it was done twice.
        repeated = [detail for detail in again if detail.startswith(FIRST_STAGES)]
        screen.check(not repeated, f"attempt 2 went on at the checkpoint, and repeated nothing: {next(iter(again))}")
        after = await listed(client)
        screen.check(
            after == {**before, operation.name: True}, f"the {len(before)} operations of before are as they were"
        )
        known = await get_instance(channel, instance_name("cache-large"))
        screen.check(known.host, f"and so is the instance cache-large, at {known.host}:{known.port}")


async def kill(server: ServerProcess, screen: Screen) -> None:
    """Kills it, and starts it again."""
    screen.say(f"   [bold red]kill -9[/] {server.pid}")
    await server.kill()
    started = time.monotonic()
    await server.start()
    screen.say(
        f"   [dim]a new process on the same port and files: pid {server.pid}, ready in "
        f"{time.monotonic() - started:.1f} s; it takes the work up when the lease of the dead one has expired[/]"
    )


async def listed(client: AsyncOperationsClient) -> dict[str, bool]:
    """All operations there are, and whether each is done."""
    return {operation.name: operation.done async for operation in client.list(LOCATION)}


async def get_instance(channel: grpc.aio.Channel, name: str) -> cloud_redis.Instance:
    """GetInstance, which is no long-running method, by plain gRPC."""
    request: Any = cloud_redis.GetInstanceRequest
    response: Any = cloud_redis.Instance
    call: Any = channel.unary_unary(
        f"/{SERVICE}/GetInstance", request_serializer=request.serialize, response_deserializer=response.deserialize
    )
    instance: cloud_redis.Instance = await call(cloud_redis.GetInstanceRequest(name=name))
    return instance
