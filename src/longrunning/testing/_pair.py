# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""A real client on a real channel to a real, scripted server, in one process, with a fake clock."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterable, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from ..client import AsyncOperationsClient, OperationsClient
from ..names import Metadata
from ..policy import PollPolicy
from ..registry import TypeRegistry
from ._clock import AsyncFakeClock, FakeClock
from ._operations import ScriptedOperations
from ._server import ScriptedServer
from ._server_aio import AsyncScriptedServer
from ._steps import Step

if TYPE_CHECKING:
    import grpc
    import grpc.aio

__all__ = ["AsyncOperationsPair", "OperationsPair", "async_operations_pair", "operations_pair"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class OperationsPair:
    """What `operations_pair` puts together.

    Attributes:
        client: The client.
        operations: What the server plays, and what it recorded.
        clock: The client's time.
        server: The server; to be stopped and started as the test likes.
        channel: The client's channel.
    """

    client: OperationsClient
    operations: ScriptedOperations
    clock: FakeClock
    server: ScriptedServer
    channel: grpc.Channel

    @property
    def address(self) -> str:
        """Where the server listens."""
        return self.server.address


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncOperationsPair:
    """What `async_operations_pair` puts together.

    Attributes:
        client: The client.
        operations: What the server plays, and what it recorded.
        clock: The client's time.
        server: The server; to be stopped and started as the test likes.
        channel: The client's channel.
    """

    client: AsyncOperationsClient
    operations: ScriptedOperations
    clock: AsyncFakeClock
    server: AsyncScriptedServer
    channel: grpc.aio.Channel

    @property
    def address(self) -> str:
        """Where the server listens."""
        return self.server.address


@contextmanager
def operations_pair(
    operations: ScriptedOperations | Mapping[str, Iterable[Step]] | None = None,
    *,
    registry: TypeRegistry | None = None,
    policy: PollPolicy | None = None,
    metadata: Metadata = (),
    clock: FakeClock | None = None,
) -> Generator[OperationsPair, None, None]:
    """A client and a server that know nobody else.

    Args:
        operations: What the server plays: made beforehand, or scripts by operation name.
        registry: The client's registry.
        policy: The client's policy.
        metadata: The client's metadata.
        clock: The client's clock; by default one on which sleeps take no time.

    Raises:
        MissingExtraError: grpc is not installed.
    """
    scripted = operations if isinstance(operations, ScriptedOperations) else ScriptedOperations(operations)
    clock = FakeClock() if clock is None else clock
    with (
        scripted.serve() as server,
        server.channel() as channel,
        OperationsClient(
            channel,
            registry=TypeRegistry() if registry is None else registry,
            policy=PollPolicy() if policy is None else policy,
            metadata=metadata,
            clock=clock,
        ) as client,
    ):
        yield OperationsPair(client=client, operations=scripted, clock=clock, server=server, channel=channel)


@asynccontextmanager
async def async_operations_pair(
    operations: ScriptedOperations | Mapping[str, Iterable[Step]] | None = None,
    *,
    registry: TypeRegistry | None = None,
    policy: PollPolicy | None = None,
    metadata: Metadata = (),
    clock: AsyncFakeClock | None = None,
) -> AsyncGenerator[AsyncOperationsPair, None]:
    """A client and a server that know nobody else, on the running event loop.

    Args:
        operations: What the server plays: made beforehand, or scripts by operation name.
        registry: The client's registry.
        policy: The client's policy.
        metadata: The client's metadata.
        clock: The client's clock; by default one on which sleeps take no time.

    Raises:
        MissingExtraError: grpc is not installed.
    """
    scripted = operations if isinstance(operations, ScriptedOperations) else ScriptedOperations(operations)
    clock = AsyncFakeClock() if clock is None else clock
    async with (
        scripted.serve_aio() as server,
        server.channel() as channel,
        AsyncOperationsClient(
            channel,
            registry=TypeRegistry() if registry is None else registry,
            policy=PollPolicy() if policy is None else policy,
            metadata=metadata,
            clock=clock,
        ) as client,
    ):
        yield AsyncOperationsPair(client=client, operations=scripted, clock=clock, server=server, channel=channel)
