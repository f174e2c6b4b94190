# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Clients carried where their connections cannot follow: over a fork, into another event loop."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import grpc.aio
import pytest

from longrunning import AsyncOperationsClient
from longrunning.testing import AsyncFakeClock, ScriptedOperations, ScriptedServer, pending
from tests.pair.colours import IMPORT_BOOKS, NAME, REQUEST, RESPONSE, imported, run

ROOT = Path(__file__).parents[2]


# The fork handlers of gRPC's C core end some children with SIGSEGV; without them a child has nothing of gRPC's running.
ENVIRONMENT = {**os.environ, "GRPC_ENABLE_FORK_SUPPORT": "0"}


def program(name: str, *arguments: str) -> str:
    """What a program prints."""
    found = subprocess.run(
        [sys.executable, "-m", f"tests.pair.programs.{name}", *arguments],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_forked_child_gets_a_clear_error(colour: str) -> None:
    """In a forked child every RPC of the parent's client is a RuntimeError that says why, never a hang (PKG-3)."""
    found: dict[str, Any] = json.loads(program("forked", colour))
    assert found.pop("parent")["result"] == "returned True"
    assert found.pop("done")["result"] == "returned True"
    for verb, case in found.items():
        assert case["result"].startswith("RuntimeError: "), (verb, case)
        assert "fork" in case["result"], (verb, case)
        assert case["seconds"] < 5, (verb, case)
    assert set(found) >= {"wait", "refresh", "cancel", "delete", "get", "list", "wait_operation", "wait in flight"}


def test_a_poll_that_was_abandoned_with_its_loop_hangs_nobody() -> None:
    """A handle whose poll died with its event loop is a clear error in the next loop, not an endless wait (PKG-3)."""
    seconds, _, result = program("abandoned").partition(" ")
    assert result.startswith("RuntimeError: ")
    assert "loop" in result
    assert float(seconds) < 5


# -- loops --------------------------------------------------------------------------------------------------------

VERBS = ("wait", "result", "watch", "refresh", "cancel", "delete", "get", "list", "wait_operation", "start")


def verbs(client: Any, handle: Any) -> dict[str, Callable[[], Any]]:
    """Every way to send an RPC, as a coroutine."""

    async def collect(iterable: Any) -> list[Any]:
        return [item async for item in iterable]

    return {
        "wait": lambda: handle.wait(timeout=None),
        "result": lambda: handle.result(timeout=None),
        "watch": lambda: collect(handle.watch(timeout=None)),
        "refresh": handle.refresh,
        "cancel": handle.cancel,
        "delete": handle.delete,
        "get": lambda: client.get(NAME),
        "list": lambda: collect(client.list("")),
        "wait_operation": lambda: client.wait_operation(NAME, 1),
        "start": lambda: client.start(IMPORT_BOOKS, REQUEST),
    }


def served() -> ScriptedServer:
    """A server with threads: it is there whatever becomes of loops."""
    return ScriptedOperations({NAME: [pending()], "operations/done": [imported()]}).serve()


class Loops:
    """Two event loops, one after the other."""

    def __init__(self) -> None:
        self.first, self.second = asyncio.new_event_loop(), asyncio.new_event_loop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for loop in (self.first, self.second):
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    def bounded(self, loop: asyncio.AbstractEventLoop, call: Callable[[], Any]) -> Any:
        """Runs something, for a few seconds at most."""

        async def body() -> Any:
            async with asyncio.timeout(5):
                return await call()

        return loop.run_until_complete(body())


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("carried", ["client", "channel"])
def test_a_second_loop_gets_a_clear_error(verb: str, carried: str) -> None:
    """A client, or a channel, used in one event loop is a RuntimeError in the next one, for every verb (PKG-3)."""
    with served() as server, Loops() as loops:

        async def begin() -> tuple[Any, Any, Any]:
            channel = grpc.aio.insecure_channel(server.address)
            client = AsyncOperationsClient(channel, clock=AsyncFakeClock())
            handle = client.attach(NAME, IMPORT_BOOKS)
            await handle.refresh()
            return channel, client, handle

        channel, client, handle = loops.bounded(loops.first, begin)

        async def go_on() -> Any:
            nonlocal client, handle
            if carried == "channel":
                client = AsyncOperationsClient(channel, clock=AsyncFakeClock())
                handle = client.attach(NAME, IMPORT_BOOKS)
            return await verbs(client, handle)[verb]()

        with pytest.raises(RuntimeError, match="event loop") as raised:
            loops.bounded(loops.second, go_on)
        assert "asyncio.run" in str(raised.value)
        loops.bounded(loops.first, channel.close)


def test_a_channel_made_outside_its_loop_gets_a_clear_error() -> None:
    """A channel made before asyncio.run(), on another loop, is a RuntimeError that says where to make it (PKG-3)."""
    with served() as server, Loops() as loops:

        async def make() -> Any:
            return grpc.aio.insecure_channel(server.address)

        channel = loops.bounded(loops.first, make)
        client = AsyncOperationsClient(channel)  # not used in the other loop, so only the channel can tell
        with pytest.raises(RuntimeError, match="event loop"):
            loops.bounded(loops.second, lambda: client.get(NAME))
        loops.bounded(loops.first, channel.close)


def test_what_is_done_can_be_read_in_any_loop() -> None:
    """A handle that is done gives its result in a second asyncio.run(), for it sends nothing (PKG-3, law 3)."""

    async def first(server: ScriptedServer) -> Any:
        async with server_channel(server) as channel:
            handle = AsyncOperationsClient(channel).attach("operations/done", IMPORT_BOOKS)
            await handle.wait()
            return handle

    with served() as server:
        handle = run(first(server))
        assert run(handle.result()) == RESPONSE
        assert run(handle.wait()) is handle.operation


def server_channel(server: ScriptedServer) -> grpc.aio.Channel:
    """An aio channel to a server with threads."""
    return grpc.aio.insecure_channel(server.address)


def test_a_new_client_works_in_every_loop() -> None:
    """Client and channel made inside each asyncio.run() work, one after the other, on tokens of the ones before (PKG-3)."""

    async def once(server: ScriptedServer, token: str | None) -> str:
        async with server_channel(server) as channel:
            client = AsyncOperationsClient(channel)
            handle = client.attach(NAME, IMPORT_BOOKS) if token is None else client.resume(token, IMPORT_BOOKS)
            assert not (await handle.refresh()).done
            return handle.resume_token

    with served() as server:
        token = None
        for _ in range(3):
            token = run(once(server, token))


def test_a_loop_in_another_thread_gets_a_clear_error() -> None:
    """A handle in use in one thread's event loop is a RuntimeError in another thread's (PKG-3)."""

    async def body(server: ScriptedServer) -> None:
        async with server_channel(server) as channel:
            handle = AsyncOperationsClient(channel).attach(NAME, IMPORT_BOOKS)
            await handle.refresh()
            met: list[BaseException] = []

            def elsewhere() -> None:
                try:
                    run(handle.refresh(), 5)
                except RuntimeError as error:
                    met.append(error)

            thread = threading.Thread(target=elsewhere)
            thread.start()
            await asyncio.to_thread(thread.join)
            assert "event loop" in str(met[0])
            assert not (await handle.refresh()).done

    with served() as server:
        run(body(server))
