# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Does again and again what seldom goes wrong: ``python -m tools.soak [--rounds N] [--races N] [--seed N]``.

First it cuts the network under waits, and restarts their servers. In each round eight waits are under way, a single one and a
`wait_all`, sync and async, over gRPC and over HTTP, with polls in one round and long polls in the next. Then, for 0.2 to 1 s, proxies
reset every connection and refuse new ones, or, in every other pair of rounds, the servers are not there; and meanwhile the operations
end. A wait that ends with anything but its results is an error, as is one that does not end, or a fault that met no connection.

Then workers, callers and the reconciler race for one operation, through several stores on the same operations. A round whose
answers no single order of events explains is an error, as is one without exactly one end (``tests/contract/racing.py``).
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import grpc
import grpc.aio
from google.protobuf.struct_pb2 import Struct

from longrunning import AsyncOperationsClient, OperationsClient, PollPolicy, RetryPolicy
from longrunning.testing import FaultyProxy, ScriptedOperations, WaitSupport, pending, succeeded
from tests.contract import racing
from tests.contract.stores import KINDS
from tests.pair import rest_serving

CUT: Final = (0.2, 1.0)  # seconds, from and to
MANY: Final = 10  # operations of a wait_all
PATIENCE: Final = 30.0  # seconds after a cut until a wait counts as one that never ends
OPTIONS: Final = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 5_000),  # which is how long a connection may take
    ("grpc.max_reconnect_backoff_ms", 200),
)
RETRY: Final = RetryPolicy(initial=0.05, maximum=0.2)
POLICIES: Final = tuple(
    PollPolicy(initial=0.05, maximum=0.1, timeout=2 * PATIENCE, retry=RETRY, use_wait_operation=long_polls)
    for long_polls in (False, None)
)


class Server(Protocol):
    """A server that keeps its port."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


@dataclass
class Tally:
    """What was seen.

    Attributes:
        cuts: Cuts of the network.
        restarts: Restarts of the servers.
        waits: Waits that ended with results.
        rpcs: Polls that reached the server.
        resets: Connections that were reset.
        noticed: Seconds from the end of each cut to the end of each wait.
        errors: What else waits ended with.
    """

    cuts: int = 0
    restarts: int = 0
    waits: int = 0
    rpcs: int = 0
    resets: int = 0
    noticed: list[float] = field(default_factory=list[float])
    errors: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        text = f"{self.cuts} cuts, {self.resets} resets, {self.restarts} restarts, {self.waits:,} waits, {self.rpcs:,} polls"
        text += f", {len(self.errors)} errors"
        if self.noticed:
            median, longest = statistics.median(self.noticed), max(self.noticed)
            text += f"; results came {median:.2f} s after the fault (median), {longest:.2f} s (longest)"
        return text


@dataclass(frozen=True)
class Way:
    """A transport: its server, the proxy on the way there, and clients of both colours."""

    name: str
    server: Server
    proxy: FaultyProxy
    sync: OperationsClient
    aio: AsyncOperationsClient


@dataclass(frozen=True)
class Round:
    """One fault and the waits under it."""

    scripted: ScriptedOperations
    ways: tuple[Way, ...]
    policy: PollPolicy
    number: int

    def names(self, kind: str, count: int) -> list[str]:
        """Names of operations of a wait, made known as pending."""
        names = [f"rounds/{self.number}/operations/{kind}-{number}" for number in range(count)]
        for name in names:
            self.scripted.add(name, pending())
        return names

    def waits(self, way: Way) -> dict[str, Awaitable[list[Any]]]:
        """The waits over one transport."""

        def sync_single() -> list[Any]:
            return [way.sync.attach(name).wait(policy=self.policy) for name in self.names(f"{way.name}-sync", 1)]

        def sync_many() -> list[Any]:
            handles = [way.sync.attach(name) for name in self.names(f"{way.name}-sync-many", MANY)]
            return list(way.sync.wait_all(handles, policy=self.policy))

        async def async_single() -> list[Any]:
            return [await way.aio.attach(name).wait(policy=self.policy) for name in self.names(f"{way.name}-async", 1)]

        async def async_many() -> list[Any]:
            handles = [way.aio.attach(name) for name in self.names(f"{way.name}-async-many", MANY)]
            return list(await way.aio.wait_all(handles, policy=self.policy))

        return {
            f"{way.name} sync": asyncio.to_thread(sync_single),
            f"{way.name} sync wait_all": asyncio.to_thread(sync_many),
            f"{way.name} async": async_single(),
            f"{way.name} async wait_all": async_many(),
        }

    async def run(self, tally: Tally, chance: random.Random) -> None:
        """Cuts the network under the waits, or restarts the servers, ends the operations, and counts."""
        ends: dict[str, float] = {}

        async def timed(kind: str, wait: Awaitable[list[Any]]) -> list[Any]:
            found = await wait
            ends[kind] = time.monotonic()
            return found

        waits = {kind: wait for way in self.ways for kind, wait in self.waits(way).items()}
        tasks = {kind: asyncio.ensure_future(timed(kind, wait)) for kind, wait in waits.items()}
        expected = len(self.ways) * (2 + 2 * MANY)
        await self.scripted.wait_until_aio(
            lambda calls: len({call.name for call in calls}) >= expected, timeout=PATIENCE
        )
        await asyncio.sleep(chance.uniform(0, 0.1))  # somewhere between two polls
        seconds = chance.uniform(*CUT)
        tally.errors += [
            f"round {self.number}: no connection over {w.name}" for w in self.ways if not w.proxy.connections
        ]
        if restarts(self.number):
            for way in self.ways:
                await asyncio.to_thread(way.server.stop)
            tally.restarts += 1
        else:
            for way in self.ways:
                way.proxy.cut(seconds=seconds)
            tally.cuts += 1
        healed = time.monotonic() + seconds
        await asyncio.sleep(seconds / 2)
        for name in self.scripted.names:
            self.scripted.add(name, succeeded(Struct()))
        if restarts(self.number):
            await asyncio.sleep(seconds / 2)
            healed = time.monotonic()
            for way in self.ways:
                await asyncio.to_thread(way.server.start)
        await asyncio.wait(tasks.values(), timeout=PATIENCE)
        for kind, task in tasks.items():
            self._count(tally, kind, task)
        tally.noticed += [max(0.0, end - healed) for end in ends.values()]
        tally.rpcs += len(self.scripted.calls)
        self.scripted.clear()
        for name in self.scripted.names:
            self.scripted.remove(name)

    def _count(self, tally: Tally, kind: str, task: asyncio.Future[list[Any]]) -> None:
        where = f"round {self.number}, {kind}"
        if not task.done():
            tally.errors.append(f"{where}: no end")
            return
        error = task.exception()
        found: list[Any] = [error] if error is not None else task.result()
        bad = [result for result in found if isinstance(result, BaseException) or not result.done]
        tally.errors += [f"{where}: {type(result).__name__}: {result}" for result in bad]
        tally.waits += not bad


def restarts(number: int) -> bool:
    """Whether the servers are restarted in this round: with long polls and with polls, as are cuts."""
    return number // 2 % 2 == 1


async def soak(rounds: int, *, seed: int = 0, tell: Callable[[str], object] | None = None) -> Tally:
    """Runs so many rounds.

    Args:
        rounds: How many.
        seed: Of the lengths of the faults, and when they come.
        tell: Gets a line every ten rounds.
    """
    tally, chance = Tally(), random.Random(seed)
    scripted = ScriptedOperations(wait_support=WaitSupport.SERVED)
    async with AsyncExitStack() as stack:
        ways = (await over_grpc(stack, scripted), await over_http(stack, scripted))
        for number in range(1, rounds + 1):
            policy = POLICIES[number % len(POLICIES)]
            await Round(scripted, ways, policy, number).run(tally, chance)
            tally.resets = sum(way.proxy.statistics.reset for way in ways)
            if tell is not None and number % 10 == 0:
                tell(f"  {tally}")
    return tally


async def over_grpc(stack: AsyncExitStack, scripted: ScriptedOperations) -> Way:
    """A gRPC server that plays the scripts, and the way there."""
    server = stack.enter_context(scripted.serve(workers=64))  # each long poll takes one
    proxy = stack.enter_context(FaultyProxy(server.address))
    channel = stack.enter_context(grpc.insecure_channel(proxy.address, OPTIONS))
    aio_channel = await stack.enter_async_context(grpc.aio.insecure_channel(proxy.address, OPTIONS))
    return Way("gRPC", server, proxy, OperationsClient(channel), AsyncOperationsClient(aio_channel))


async def over_http(stack: AsyncExitStack, scripted: ScriptedOperations) -> Way:
    """An HTTP server that plays them, and the way there."""
    _, edge = stack.enter_context(rest_serving.serving(scripted, waits=True))
    proxy = stack.enter_context(FaultyProxy(edge.address))
    url = f"http://{proxy.address}"
    sync = stack.enter_context(OperationsClient.from_url(url))
    return Way("HTTP", edge, proxy, sync, await stack.enter_async_context(AsyncOperationsClient.from_url(url)))


def cut(rounds: int, seed: int) -> int:
    """Cuts the network so often; how many errors there were."""
    print(f"soak: {rounds} rounds, cuts and restarts of {CUT[0]} to {CUT[1]} s", flush=True)
    tally = asyncio.run(soak(rounds, seed=seed, tell=_tell))
    for error in tally.errors:
        print(f"  {error}", file=sys.stderr)
    print(f"soak: {'no visible error' if not tally.errors else 'FAILED'}: {tally}")
    return len(tally.errors)


def race(rounds: int, seed: int) -> int:
    """Plays so many rounds of races on each kind of store; how many errors there were."""
    errors: list[str] = []
    for kind in KINDS:
        print(f"soak: {rounds:,} rounds of races in the {kind.name} store", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            tally = asyncio.run(racing.rounds(rounds, kind=kind, folder=Path(folder), seed=seed, tell=_tell))
        for error in tally.errors:
            print(f"  {error}", file=sys.stderr)
        print(f"soak: {'one end each' if not tally.errors else 'FAILED'}: {tally}")
        errors += tally.errors
    return len(errors)


def _tell(line: str) -> None:
    print(line, flush=True)


def main() -> int:
    """Soaks, and says what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tools.soak", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="how many cuts (default: %(default)s)")
    parser.add_argument("--races", type=int, default=10_000, help="how many races in each store (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of when, how long and who (default: %(default)s)")
    arguments = parser.parse_args()
    errors = cut(arguments.rounds, arguments.seed) if arguments.rounds else 0
    errors += race(arguments.races, arguments.seed) if arguments.races else 0
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
