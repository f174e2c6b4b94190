# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What interrupts a wait from outside, and what becomes of the operation then: nothing, unless it was asked for."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from longrunning import AsyncOperationsClient, Code, PollingError, WaitTimeoutError
from longrunning.testing import (
    AsyncFakeClock,
    Gate,
    ScriptedOperations,
    Step,
    delayed,
    pending,
    rpc_error,
    unavailable,
)
from tests.pair.colours import (
    CANCEL,
    GET,
    IMPORT_BOOKS,
    NAME,
    RESPONSE,
    Both,
    about,
    answered,
    async_pair,
    both_colours,
    came_in,
    imported,
    polls,
    progress,
    run,
)

ROOT = Path(__file__).parents[2]
MOMENTS = ("in flight", "asleep")

# Old releases of grpcio complain, where nobody can catch it, about intercepted calls that failed or whose channel was closed.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("nothing_uncollected"),
]


def paused(moment: str) -> list[Step]:
    """A script that keeps a wait in a poll, or in the sleep after it; the operation is done by the next poll."""
    return [delayed(pending(), Gate()), imported()] if moment == "in flight" else [pending(), imported()]


async def reached(pair: Any, moment: str) -> None:
    """Comes back when the wait is there."""
    if moment == "in flight":
        await pair.operations.wait_until_aio(came_in(1))
    else:
        await pair.clock.wait_for_sleepers(1)


# -- tasks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["wait", "result", "watch", "await"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_cancelled_task_leaves_the_operation_alone(moment: str, verb: str) -> None:
    """Cancelling a task stops its wait with CancelledError and sends nothing; the handle can wait again (WAIT-9)."""

    async def body() -> None:
        async with async_pair({NAME: paused(moment)}, clock=AsyncFakeClock(auto=False)) as pair:
            handle = pair.client.attach(NAME, IMPORT_BOOKS)

            async def watch() -> None:
                async for _ in handle.watch():
                    pass

            async def wait() -> None:
                await handle

            verbs: dict[str, Callable[[], Any]] = {
                "wait": handle.wait,
                "result": handle.result,
                "watch": watch,
                "await": wait,
            }
            task = asyncio.ensure_future(verbs[verb]())
            await reached(pair, moment)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert task.cancelled()
            assert pair.operations.rpcs() == [GET]
            pair.clock.release()
            assert await handle.result() == RESPONSE
            assert CANCEL not in pair.operations.rpcs()

    run(body())


@pytest.mark.parametrize("verb", ["wait", "result"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_cancel_on_exit_sends_one_cancel(moment: str, verb: str) -> None:
    """With cancel_on_exit a cancelled task sends exactly one cancel, with the call's headers and 5 s (WAIT-9, WAIT-10)."""

    async def body() -> None:
        async with async_pair({NAME: [*paused(moment)[:1]]}, clock=AsyncFakeClock(auto=False)) as pair:
            handle = pair.client.attach(NAME, IMPORT_BOOKS, metadata=[("x-call", "7")])
            task = asyncio.ensure_future(getattr(handle, verb)(cancel_on_exit=True))
            await reached(pair, moment)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert pair.operations.rpcs() == [GET, CANCEL]
            call = pair.operations.calls[-1]
            assert call.deadline == about(5)
            assert call.header("x-call") == ("7",)
            assert call.header("x-goog-request-params") == (f"name={NAME}",)
            assert (await handle.refresh()).done  # the truth of the server: it was cancelled
            assert handle.operation is not None
            assert handle.operation.error is not None
            assert handle.operation.error.code is Code.CANCELLED

    run(body())


def test_the_cancel_on_exit_is_shielded() -> None:
    """A task cancelled again while it sends its cancel ends at once, and the cancel still arrives, once (WAIT-9)."""

    async def body() -> None:
        gate = Gate()
        async with async_pair({NAME: [pending()]}, clock=AsyncFakeClock(auto=False)) as pair:
            pair.operations.fails(CANCEL, delayed(unavailable(), gate))
            task = asyncio.ensure_future(pair.client.attach(NAME, IMPORT_BOOKS).wait(cancel_on_exit=True))
            await reached(pair, "asleep")
            for count in (2, 2, 2):  # the first one starts the cancel, the others hit it under way
                task.cancel()
                await pair.operations.wait_until_aio(came_in(count))
            with pytest.raises(asyncio.CancelledError):
                await task
            gc.collect()  # nobody holds the task that sends it but the loop
            await asyncio.sleep(0.05)  # a call that was given up would be known to the server by now
            gate.open()
            await pair.operations.wait_until_aio(answered(2))
            assert pair.operations.rpcs() == [GET, CANCEL]
            assert pair.operations.calls[-1].outcome is Code.UNAVAILABLE  # answered, not given up by the client

    run(body())


@pytest.mark.parametrize("code", [Code.UNIMPLEMENTED, Code.UNAVAILABLE, Code.PERMISSION_DENIED], ids=lambda c: c.name)
def test_a_failing_cancel_on_exit_is_nobodys_business(code: Code) -> None:
    """A cancel that fails on the way out is sent once and hides neither cancellation nor anything else (WAIT-9)."""

    async def body() -> None:
        async with async_pair({NAME: [pending()]}, clock=AsyncFakeClock(auto=False)) as pair:
            pair.operations.fails(CANCEL, rpc_error(code))
            task = asyncio.ensure_future(pair.client.attach(NAME, IMPORT_BOOKS).wait(cancel_on_exit=True))
            await reached(pair, "asleep")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert pair.operations.rpcs() == [GET, CANCEL]

    run(body())


def test_what_is_done_meanwhile_is_not_cancelled() -> None:
    """A task cancelled while its handle knows already that it is done sends no cancel (WAIT-9, law 3)."""

    async def body() -> None:
        async with async_pair({NAME: [pending(), imported()]}, clock=AsyncFakeClock(auto=False)) as pair:
            handle = pair.client.attach(NAME, IMPORT_BOOKS)
            task = asyncio.ensure_future(handle.wait(cancel_on_exit=True))
            await reached(pair, "asleep")
            await handle.refresh()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert pair.operations.rpcs() == [GET, GET]

    run(body())


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_timeout_of_asyncio_works_around_a_wait(moment: str) -> None:
    """asyncio.timeout() around a wait ends it with a plain TimeoutError and leaves the operation alone (WAIT-9)."""

    async def body() -> None:
        script = paused(moment)[:1] * 3
        async with async_pair({NAME: script}, clock=AsyncFakeClock(auto=False)) as pair:
            handle = pair.client.attach(NAME, IMPORT_BOOKS)
            with pytest.raises(TimeoutError) as raised:
                async with asyncio.timeout(0.1):
                    await handle.wait()
            assert not isinstance(raised.value, WaitTimeoutError)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(handle.wait(), 0.01)
            assert CANCEL not in pair.operations.rpcs()
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0

    run(body())


def test_a_wait_in_a_group_that_fails_is_cancelled() -> None:
    """A wait in a TaskGroup whose other task fails is cancelled; what comes out is that failure alone (WAIT-9)."""

    async def body() -> None:
        async with async_pair({NAME: paused("in flight")}) as pair:
            handle = pair.client.attach(NAME, IMPORT_BOOKS)

            async def fail() -> None:
                await pair.operations.wait_until_aio(came_in(1))
                raise LookupError

            async def both() -> None:
                async with asyncio.TaskGroup() as group:
                    group.create_task(handle.wait())
                    group.create_task(fail())

            with pytest.raises(ExceptionGroup) as raised:
                await both()
            assert [type(error) for error in raised.value.exceptions] == [LookupError]

    run(body())


@pytest.mark.parametrize("verb", ["wait", "refresh", "get", "start", "cancel", "delete"])
def test_a_task_that_cancels_itself_is_cancelled(verb: str) -> None:
    """A task that was cancelled just before an RPC ends with CancelledError, not with a fault of the RPC (WAIT-9)."""

    async def body() -> None:
        scripted = ScriptedOperations({NAME: [delayed(pending(), Gate())]})
        scripted.starts(IMPORT_BOOKS, delayed(pending(), Gate()))
        for rpc in (CANCEL, "DeleteOperation"):
            scripted.fails(rpc, delayed(unavailable(), Gate()))
        async with async_pair(scripted) as pair:
            handle = pair.client.attach(NAME, IMPORT_BOOKS)
            verbs: dict[str, Callable[[], Any]] = {
                "wait": handle.wait,
                "refresh": handle.refresh,
                "get": lambda: pair.client.get(NAME),
                "start": lambda: pair.client.start(IMPORT_BOOKS, IMPORT_BOOKS.request_type()),
                "cancel": handle.cancel,
                "delete": handle.delete,
            }

            async def act() -> None:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
                await verbs[verb]()

            with pytest.raises(asyncio.CancelledError):
                await asyncio.ensure_future(act())

    run(body())


def test_a_cancellation_during_cleanup_is_one() -> None:
    """A task that polls once more while it is being cancelled can be cancelled again (WAIT-9)."""

    async def body() -> None:
        async with async_pair({NAME: [delayed(pending(), Gate())]}) as pair:
            handle = pair.client.attach(NAME, IMPORT_BOOKS)

            async def act() -> None:
                try:
                    await handle.wait()
                finally:
                    await handle.refresh()

            task = asyncio.ensure_future(act())
            for count in (1, 2):
                await pair.operations.wait_until_aio(came_in(count))
                task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(body())


def test_a_poll_in_cleanup_still_works() -> None:
    """A task that is being cancelled can poll in its cleanup: an earlier cancellation is no fault of the RPC (WAIT-9)."""

    async def body() -> None:
        async with async_pair({NAME: [delayed(pending(), Gate()), imported()]}) as pair:
            handle = pair.client.attach(NAME, IMPORT_BOOKS)
            seen: list[Any] = []

            async def act() -> None:
                try:
                    await handle.wait()
                finally:
                    seen.append(await handle.refresh())

            task = asyncio.ensure_future(act())
            await pair.operations.wait_until_aio(came_in(1))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert seen[0].done

    run(body())


class Passing(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[misc, unused-ignore]
    """An interceptor that changes nothing, in a task of grpc's own."""

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(client_call_details, request)


@pytest.mark.parametrize("close", [False, True], ids=["cancelled", "closed"])
def test_an_intercepted_call_tells_cancelled_from_closed(close: bool) -> None:
    """With interceptors a cancelled task is still a cancellation, a closed channel a PollingError (WAIT-6, WAIT-9)."""

    async def body() -> None:
        scripted = ScriptedOperations({NAME: [delayed(pending(), Gate())]})
        async with scripted.serve_aio() as server, server.channel(interceptors=[Passing()]) as channel:
            client = AsyncOperationsClient(channel, clock=AsyncFakeClock(), policy=polls())
            task = asyncio.ensure_future(client.attach(NAME, IMPORT_BOOKS).wait(timeout=None))
            await scripted.wait_until_aio(came_in(1))
            if close:
                await channel.close()
            else:
                task.cancel()
            with pytest.raises(PollingError if close else asyncio.CancelledError):
                await task

    run(body())


class Impatient(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[misc, unused-ignore]
    """Cancels the first call itself, as one does that has a time limit of its own."""

    def __init__(self) -> None:
        self.calls = 0

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        call = await continuation(client_call_details, request)
        self.calls += 1
        if self.calls == 1:
            call.cancel()
        return call


def test_a_call_cancelled_by_an_interceptor_is_no_cancelled_task() -> None:
    """A call that something else than our task cancelled is a CANCELLED of the transport: it passes (WAIT-6, WAIT-9)."""

    async def body() -> None:
        scripted = ScriptedOperations({NAME: [delayed(pending(), 0.2), imported()]})
        async with scripted.serve_aio() as server, server.channel(interceptors=[Impatient()]) as channel:
            client = AsyncOperationsClient(channel, clock=AsyncFakeClock(), policy=polls())
            assert await client.attach(NAME, IMPORT_BOOKS).result() == RESPONSE

    run(body())


def test_a_handle_can_be_awaited_by_all_of_asyncio() -> None:
    """wait_for(), gather() and shield() take a handle as it is: awaiting it is awaiting its result (WAIT-9, WAIT-10)."""

    async def body() -> None:
        async with async_pair({NAME: [pending(times=2), imported()]}) as pair:
            handles = [pair.client.attach(NAME, IMPORT_BOOKS) for _ in range(3)]
            assert await asyncio.wait_for(handles[0], 5) == RESPONSE
            assert await asyncio.gather(*handles) == [RESPONSE] * 3
            assert await asyncio.shield(handles[0]) == RESPONSE
            assert await handles[0] == await handles[0] == RESPONSE

    run(body())


# -- what is no interruption --------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["timeout", "failure", "not found", "callback", "done", "attempts"])
@both_colours
async def test_only_an_interruption_cancels(both: Both, outcome: str) -> None:
    """A wait that ends by itself, well or badly, sends no cancel, whatever cancel_on_exit says (WAIT-9)."""
    scripts: dict[str, list[Step]] = {
        "failure": [pending(), rpc_error(Code.PERMISSION_DENIED)],
        "not found": [rpc_error(Code.NOT_FOUND)],
        "done": [pending(), imported()],
    }

    def callback(_: Any) -> None:
        if outcome == "callback":
            raise TimeoutError

    policy = polls(max_attempts=2 if outcome == "attempts" else None)
    async with both.pair({NAME: scripts.get(outcome, [pending()])}, policy=policy) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        with nullcontext() if outcome == "done" else pytest.raises((TimeoutError, PollingError)):
            await both(handle.wait(timeout=3, cancel_on_exit=True, on_progress=callback))
        assert CANCEL not in pair.operations.rpcs()


# -- iterators ----------------------------------------------------------------------------------------------------


@both_colours
async def test_a_closed_iterator_leaves_the_operation_alone(both: Both) -> None:
    """Leaving or closing a watch sends nothing more, and ends the iterator for good (WAIT-9)."""
    async with both.pair({NAME: [progress(1), progress(2), imported()]}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        iterator = handle.watch()
        await both.next(iterator)
        await both.close(iterator)
        assert await both.next(iterator) is None
        async for _ in both.each(handle.watch()):
            break
        assert pair.operations.rpcs() == [GET]
        assert pair.clock.sleeps == []
        assert await both(handle.result()) == RESPONSE
        assert CANCEL not in pair.operations.rpcs()


@both_colours
async def test_an_iterator_that_is_never_started_does_nothing(both: Both) -> None:
    """A watch nobody iterates over sends nothing, and its time does not run (WAIT-9, WAIT-3)."""
    async with both.pair({NAME: [pending(), imported()]}) as pair:
        iterator = pair.client.attach(NAME, IMPORT_BOOKS).watch(timeout=5)
        pair.clock.advance(100)
        assert pair.operations.rpcs() == []
        assert len(await both.collect(iterator)) == 2


# -- Ctrl-C -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cancel_on_exit", [False, True])
@both_colours
async def test_an_interrupt_in_a_callback_is_one(both: Both, cancel_on_exit: bool) -> None:
    """An interrupt that hits a callback ends the wait as it is, and cancels only if told to (WAIT-9, PROG-1)."""
    interrupt: type[BaseException] = KeyboardInterrupt if both.sync else asyncio.CancelledError

    def callback(_: Any) -> None:
        raise interrupt

    async with both.pair({NAME: [pending()]}) as pair:
        with pytest.raises(interrupt):
            await both(pair.client.attach(NAME, IMPORT_BOOKS).wait(on_progress=callback, cancel_on_exit=cancel_on_exit))
        assert pair.operations.rpcs() == ([GET, CANCEL] if cancel_on_exit else [GET])


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_ctrl_c_leaves_the_operation_alone_or_cancels_it_once(colour: str) -> None:
    """SIGINT ends a real wait, in a poll or asleep, with KeyboardInterrupt; one cancel if asked for (WAIT-9)."""
    begun = time.monotonic()
    program = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.pair.programs.interrupted", colour],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert program.returncode == 0, program.stderr
    cases: list[dict[str, Any]] = json.loads(program.stdout)
    assert [(case["moment"], case["cancel_on_exit"]) for case in cases] == [
        (moment, cancel) for moment in MOMENTS for cancel in (False, True)
    ]
    for case in cases:
        assert case["raised"] == "KeyboardInterrupt", case
        assert case["rpcs"] == ([GET, CANCEL] if case["cancel_on_exit"] else [GET]), case
        assert case["seconds"] < 5, case
    assert time.monotonic() - begun < 30
