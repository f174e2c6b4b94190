# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Forks with clients in use, tries every verb in the child, and prints as JSON what it met. Run by test_processes.py."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from longrunning import AsyncOperationsClient, OperationsClient, RetryPolicy
from longrunning.testing import Gate, ScriptedOperations, Step, delayed, no_result, pending
from tests.pair.colours import NAME, polls

DONE, SLOW = "operations/done", "operations/slow"
POLICY = polls(
    initial=0.05, final_poll_timeout=0.1, retry=RetryPolicy(rpc_timeout=0.3)
)  # so that nothing here lasts long by itself
PATIENCE = 5  # seconds until a child counts as hanging


def in_child(call: Callable[[], object]) -> dict[str, Any]:
    """Calls something in a forked child; what it raised or returned, and how long it took."""
    reader, writer = os.pipe()
    begun = time.monotonic()
    pid = os.fork()
    if not pid:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(PATIENCE)
        try:
            result = f"returned {call()!r}"
        except BaseException as error:  # noqa: BLE001 (what it is, is what this program prints)
            result = f"{type(error).__name__}: {error}"
        os.write(writer, result.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        result = pipe.read()
    _, status = os.waitpid(pid, 0)
    return {"result": result if not status else f"died: {status}, {result}", "seconds": time.monotonic() - begun}


def verbs(client: Any, handle: Any, listed: Callable[[], object]) -> dict[str, Callable[[], object]]:
    """What a child may try."""
    return {
        "wait": lambda: handle.wait(timeout=None),
        "refresh": handle.refresh,
        "cancel": handle.cancel,
        "delete": handle.delete,
        "get": lambda: client.get(NAME),
        "list": listed,
        "wait_operation": lambda: client.wait_operation(NAME, 1),
    }


def script() -> dict[str, list[Step]]:
    return {NAME: [pending()], DONE: [no_result()], SLOW: [delayed(pending(), Gate())]}


def sync_cases() -> dict[str, Any]:
    scripted = ScriptedOperations(script())
    found: dict[str, Any] = {}
    with scripted.serve() as server, server.channel() as channel:
        client = OperationsClient(channel, policy=POLICY)
        handle, done, slow = client.attach(NAME), client.attach(DONE), client.attach(SLOW)
        handle.refresh()
        done.refresh()
        for verb, call in verbs(client, handle, lambda: list(client.list(""))).items():
            found[verb] = in_child(call)
        found["done"] = in_child(lambda: done.wait().done)

        def lead() -> None:
            with suppress(TimeoutError):
                slow.wait(timeout=0.5)

        thread = threading.Thread(target=lead)
        thread.start()
        scripted.wait_until(lambda calls: any(call.name == SLOW for call in calls))
        found["wait in flight"] = in_child(lambda: slow.wait(timeout=None))
        found["parent"] = {"result": f"returned {not handle.refresh().done}", "seconds": 0}
        thread.join()
    return found


def ran(call: Callable[[], Any]) -> Callable[[], object]:
    """Runs a coroutine in a loop of its own."""

    async def body() -> object:
        return await call()

    return lambda: asyncio.run(body())


def async_cases() -> dict[str, Any]:
    scripted = ScriptedOperations(script())
    found: dict[str, Any] = {}

    async def parent() -> None:
        async with scripted.serve_aio() as server, server.channel() as channel:
            client = AsyncOperationsClient(channel, policy=POLICY)
            handle, done = client.attach(NAME), client.attach(DONE)
            await handle.refresh()
            await done.refresh()

            async def listed() -> object:
                return [item async for item in client.list("")]

            for verb, call in verbs(client, handle, listed).items():
                found[verb] = in_child(ran(call))

            async def is_done() -> bool:
                return (await done.wait()).done

            found["done"] = in_child(ran(is_done))
            slow = client.attach(SLOW)
            waiting = asyncio.ensure_future(slow.wait(timeout=None))
            await scripted.wait_until_aio(lambda calls: any(call.name == SLOW for call in calls))
            found["wait in flight"] = in_child(ran(lambda: slow.wait(timeout=None)))
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            found["parent"] = {"result": f"returned {not (await handle.refresh()).done}", "seconds": 0}

    main: Coroutine[Any, Any, None] = parent()
    asyncio.run(main)
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(sync_cases() if sys.argv[1] == "sync" else async_cases()))
