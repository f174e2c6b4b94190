# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Closes an event loop under a poll, waits for the same handle in another one, and prints what it met. Run by
test_processes.py.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from typing import Any

import grpc.aio

from longrunning import AsyncOperationsClient, RetryPolicy
from longrunning.testing import Gate, ScriptedOperations, delayed, pending
from tests.pair.colours import NAME, polls

POLICY = polls(initial=0.05, retry=RetryPolicy(rpc_timeout=0.3))


def main() -> None:
    scripted = ScriptedOperations({NAME: [delayed(pending(), Gate())]})
    with scripted.serve() as server:
        loop = asyncio.new_event_loop()

        async def begin() -> tuple[Any, Any]:
            handle = AsyncOperationsClient(grpc.aio.insecure_channel(server.address), policy=POLICY).attach(NAME)
            task = asyncio.ensure_future(handle.wait(timeout=None))
            await scripted.wait_until_aio(bool)
            return handle, task

        handle, task = loop.run_until_complete(begin())
        loop.close()  # and the task, and the poll in it, will never end
        signal.alarm(5)
        begun = time.monotonic()
        try:
            result = f"returned {asyncio.run(handle.wait(timeout=None))!r}"
        except BaseException as error:  # noqa: BLE001 (what it is, is what this program prints)
            result = f"{type(error).__name__}: {error}"
        sys.stdout.write(f"{time.monotonic() - begun:.3f} {result}\n")
        sys.stdout.flush()
        assert not task.done()


if __name__ == "__main__":
    main()
    os._exit(0)  # what was left behind on the closed loop is not to be tidied up: nobody could
