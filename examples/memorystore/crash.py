# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The server process is killed while clients wait, and started again. They do nothing about it, and need not."""

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
TRANSPORTS: Final = ("gRPC", "HTTP")
FIRST_STAGES: Final = ("Looking at the quotas", "Reserving an IP range")  # done before the server is killed

Creation = Operation[cloud_redis.Instance, cloud_redis.OperationMetadata]


@dataclass(slots=True)
class Watcher:
    """What a waiting client sees.

    Attributes:
        transport: What it waits over.
        board: Where it is shown.
        starting: Set when the instance is being started.
        details: When which stage was first seen, seconds.
    """

    transport: str
    board: Board
    starting: asyncio.Event
    details: dict[str, float] = field(default_factory=dict[str, float])

    def show(self, snapshot: Creation) -> None:
        """Is called with every answer to a poll."""
        self.board.show(self.transport, snapshot)
        detail = metadata_of(snapshot).status_detail
        self.details.setdefault(detail, time.monotonic())
        if detail == STARTING:
            self.starting.set()

    def pause(self, killed: float) -> float:
        """Seconds from the end of the server to the first sign of a second attempt; 0 if there was none."""
        return min(self.again.values(), default=killed) - killed

    @property
    def again(self) -> dict[str, float]:
        """The stages of the second attempt."""
        return {detail: seen for detail, seen in self.details.items() if detail.endswith("(attempt 2)")}


async def survive(server: ServerProcess, screen: Screen) -> None:
    """Kills the server in the middle of a creation that clients wait for."""
    screen.step("The server is killed with -9 while two clients wait, and started again")
    async with (
        grpc.aio.insecure_channel(server.address, CHANNEL_OPTIONS) as channel,
        AsyncOperationsClient.from_url(server.url, registry=TYPES, policy=POLICY) as http,
    ):
        client = AsyncOperationsClient(channel, registry=TYPES, policy=POLICY)
        before = await listed(client)
        with screen.board(*TRANSPORTS) as board:
            starting = asyncio.Event()
            by_grpc, by_http = watchers = [Watcher(transport, board, starting) for transport in TRANSPORTS]
            operation = await client.start(CREATE_INSTANCE, new_instance(INSTANCE, memory_size_gb=3))
            same = http.attach(operation.name, CREATE_INSTANCE)
            waiting = asyncio.gather(  # all that the clients do
                operation.result(on_progress=by_grpc.show), same.result(on_progress=by_http.show)
            )
            await starting.wait()
            killed = time.monotonic()
            await kill(server, screen)
            instance, instance_by_http = await waiting
        screen.check(instance.name == instance_name(INSTANCE), f"the client that waited has {last(instance.name)}")
        screen.check(instance_by_http.host == instance.host, "and so has the one that waited over HTTP")
        pauses = {watcher.transport: watcher.pause(killed) for watcher in watchers}
        noticed = ", ".join(f"{pause:.1f} s over {transport}" for transport, pause in pauses.items())
        screen.check(
            all(0 < pause < PATIENCE for pause in pauses.values()), f"all that they noticed is a pause: {noticed}"
        )
        # A poll may miss a stage, but not that it was done twice.
        again = [detail for watcher in watchers for detail in watcher.again]
        repeated = [detail for detail in again if detail.startswith(FIRST_STAGES)]
        screen.check(not repeated, f"attempt 2 began at its checkpoint, and repeated nothing: {again[0]}")
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
    seconds = time.monotonic() - started
    screen.say(f"   [dim]a new process on the same ports and files: pid {server.pid}, ready in {seconds:.1f} s.[/]")
    screen.say("   [dim]It takes the work up when the lease of the dead one has expired[/]")


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
