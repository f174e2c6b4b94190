# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Interrupts itself while it waits, as Ctrl-C does, and prints as JSON what came of it. Run by test_interrupt.py."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import time

from longrunning import AsyncOperationsClient, OperationsClient
from longrunning.testing import Gate, ScriptedOperations, ScriptedServer, delayed, pending
from tests.pair.colours import NAME, polls

POLICY = polls(initial=60, maximum=60)  # on the real clock: a wait that is not interrupted lasts far too long


def interrupt(scripted: ScriptedOperations, *, asleep: bool) -> None:
    """Sends SIGINT when the wait is in its poll, or asleep after it."""
    scripted.wait_until(lambda calls: bool(calls) and (calls[0].finished is not None or not asleep))
    time.sleep(0.1)  # the reply is still on its way to the client
    os.kill(os.getpid(), signal.SIGINT)


def sync_wait(server: ScriptedServer, *, cancel_on_exit: bool) -> None:
    with server.channel() as channel:
        OperationsClient(channel, policy=POLICY).attach(NAME).wait(cancel_on_exit=cancel_on_exit)


async def async_wait(scripted: ScriptedOperations, *, cancel_on_exit: bool) -> None:
    async with scripted.serve_aio() as server, server.channel() as channel:
        await AsyncOperationsClient(channel, policy=POLICY).attach(NAME).wait(cancel_on_exit=cancel_on_exit)


def interrupted(colour: str, moment: str, *, cancel_on_exit: bool) -> dict[str, object]:
    scripted = ScriptedOperations({NAME: [delayed(pending(), Gate()) if moment == "in flight" else pending()]})
    thread = threading.Thread(target=interrupt, args=(scripted,), kwargs={"asleep": moment == "asleep"})
    thread.start()
    raised, begun, ended = "nothing", time.monotonic(), 0.0
    try:
        if colour == "sync":
            with scripted.serve() as server:
                try:
                    sync_wait(server, cancel_on_exit=cancel_on_exit)
                finally:
                    ended = time.monotonic()
        else:
            asyncio.run(async_wait(scripted, cancel_on_exit=cancel_on_exit))
    except BaseException as error:  # noqa: BLE001 (what it is, is what this program prints)
        raised = type(error).__name__
    thread.join()
    return {
        "moment": moment,
        "cancel_on_exit": cancel_on_exit,
        "raised": raised,
        "rpcs": scripted.rpcs(),
        "seconds": (ended or time.monotonic()) - begun,
    }


if __name__ == "__main__":
    found = [
        interrupted(sys.argv[1], moment, cancel_on_exit=cancel_on_exit)
        for moment in ("in flight", "asleep")
        for cancel_on_exit in (False, True)
    ]
    sys.stdout.write(json.dumps(found))
