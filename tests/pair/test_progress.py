# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Progress: callbacks, watching, and metadata that stays readable."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from longrunning import Code, OperationError, PollingError, UnknownPayload, WaitTimeoutError
from longrunning.errors import LongRunningError, MalformedOperationError
from longrunning.testing import (
    Gate,
    ScriptedOperations,
    Step,
    cancelled,
    delayed,
    failed,
    malformed,
    no_result,
    pending,
    rpc_error,
    unavailable,
)
from tests.pair.colours import (
    GET,
    IMPORT_BOOKS,
    NAME,
    REQUEST,
    RESPONSE,
    Both,
    async_pair,
    both_colours,
    came_in,
    imported,
    metadata,
    polls,
    progress,
    run,
)

ENDS: dict[str, Step] = {
    "succeeded": imported(),
    "failed": failed(Code.INTERNAL, "boom", metadata=metadata(4)),
    "cancelled": cancelled(metadata=metadata(4)),
    "no result": no_result(metadata=metadata(4)),
}


# -- callbacks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["wait", "result"])
@both_colours
async def test_the_callback_sees_every_poll(both: Both, verb: str) -> None:
    """on_progress gets the snapshot of every poll, equal ones too, the final one last, with typed metadata (PROG-1)."""
    async with both.pair({NAME: [progress(1, times=2), progress(2), imported()]}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        shown: list[Any] = []
        await both(getattr(handle, verb)(on_progress=shown.append))
        assert [snapshot.metadata for snapshot in shown] == [metadata(1), metadata(1), metadata(2), metadata(4)]
        assert [snapshot.done for snapshot in shown] == [False] * 3 + [True]
        assert shown[-1] is handle.operation


@both_colours
async def test_the_callback_sees_what_start_brought(both: Both) -> None:
    """The reply to a start counts as the first poll, and is the first snapshot shown (PROG-1, WAIT-10)."""
    scripted = ScriptedOperations()
    scripted.starts(IMPORT_BOOKS, progress(1), progress(2), imported())
    async with both.pair(scripted) as pair:
        handle = await both(pair.client.start(IMPORT_BOOKS, REQUEST))
        shown: list[Any] = []
        await both(handle.wait(on_progress=shown.append))
        assert [snapshot.metadata.done for snapshot in shown] == [1, 2, 4]


@both_colours
async def test_the_callback_is_called_without_metadata(both: Both) -> None:
    """on_progress is called for polls without metadata as well, and reads None (PROG-1)."""
    async with both.pair({NAME: [pending(times=2), imported()]}) as pair:
        shown: list[Any] = []
        await both(pair.client.attach(NAME, IMPORT_BOOKS).wait(on_progress=shown.append))
        assert [snapshot.metadata for snapshot in shown] == [None, None, metadata(4)]


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@both_colours
async def test_the_callback_is_called_once_if_done_already(both: Both, end: Step) -> None:
    """On a done operation on_progress is called exactly once, with the final snapshot, at no RPC (PROG-1, WAIT-2)."""
    async with both.pair({NAME: [end]}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        await both(handle.wait())
        shown: list[Any] = []
        await both(handle.wait(on_progress=shown.append))
        assert shown == [handle.operation]
        assert shown[0] is handle.operation
        assert pair.operations.rpcs() == [GET]


@both_colours
async def test_a_failed_poll_shows_nothing(both: Both) -> None:
    """A poll that failed has no snapshot, so on_progress is not called for it (PROG-1, WAIT-6)."""
    async with both.pair({NAME: [unavailable(times=2), progress(1), unavailable(), imported()]}) as pair:
        shown: list[Any] = []
        await both(pair.client.attach(NAME, IMPORT_BOOKS).wait(on_progress=shown.append))
        assert [snapshot.metadata.done for snapshot in shown] == [1, 4]


@pytest.mark.parametrize("error", [LookupError("x"), TimeoutError("x"), LongRunningError("x")], ids=repr)
@pytest.mark.parametrize("call", [1, 2, 3])
@both_colours
async def test_what_a_callback_raises_ends_the_wait(both: Both, call: int, error: Exception) -> None:
    """Whatever on_progress raises ends the wait as that very exception, with no poll after it (PROG-1)."""
    async with both.pair({NAME: [progress(1), progress(2), imported()]}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        shown: list[Any] = []

        def callback(snapshot: Any) -> None:
            shown.append(snapshot)
            if len(shown) == call:
                raise error

        with pytest.raises(type(error)) as raised:
            await both(handle.wait(on_progress=callback))
        assert raised.value is error
        assert raised.value.__cause__ is None
        assert pair.operations.rpcs() == [GET] * call
        assert await both(handle.result()) == RESPONSE


@both_colours
async def test_callbacks_of_one_wait_are_never_concurrent(both: Both) -> None:
    """Nothing is polled and nobody is called back while a callback of the same wait is running (PROG-1)."""
    async with both.pair({NAME: [progress(1), progress(2), progress(3), imported()]}) as pair:
        inside = 0
        polls: list[int] = []

        async def slow(_: Any) -> None:
            nonlocal inside
            inside += 1
            assert inside == 1
            before = len(pair.operations.calls)
            await asyncio.sleep(0.01)
            polls.append(len(pair.operations.calls) - before)
            inside -= 1

        def quick(_: Any) -> None:
            polls.append(0)

        await both(pair.client.attach(NAME, IMPORT_BOOKS).wait(on_progress=quick if both.sync else slow))
        assert polls == [0] * 4


def test_async_callbacks_are_awaited() -> None:
    """The async client awaits what a callback returns: a coroutine function, a partial, a future (PROG-1)."""

    async def body() -> None:
        async with async_pair({NAME: [progress(1), imported()]}) as pair:
            shown: list[Any] = []

            async def callback(snapshot: Any) -> None:
                await asyncio.sleep(0)
                shown.append(snapshot.done)

            class Callable:
                async def __call__(self, snapshot: Any) -> None:
                    await callback(snapshot)

            handle = pair.client.attach(NAME, IMPORT_BOOKS)
            await handle.wait(on_progress=callback)
            await handle.wait(on_progress=lambda snapshot: asyncio.ensure_future(callback(snapshot)))
            await handle.wait(on_progress=Callable())
            assert shown == [False, True, True, True]

    run(body())


def test_what_an_async_callback_raises_ends_the_wait() -> None:
    """An exception after an await inside of a callback ends the wait as it is (PROG-1)."""

    async def body() -> None:
        async with async_pair({NAME: [progress(1)]}) as pair:
            error = LookupError()

            async def callback(_: Any) -> None:
                await asyncio.sleep(0)
                raise error

            with pytest.raises(LookupError) as raised:
                await pair.client.attach(NAME, IMPORT_BOOKS).wait(on_progress=callback)
            assert raised.value is error
            assert pair.operations.rpcs() == [GET]

    run(body())


@both_colours
async def test_a_callback_may_use_the_handle(both: Both) -> None:
    """A callback may refresh, cancel or read the handle whose wait called it (PROG-1)."""
    async with both.pair({NAME: [progress(1), progress(2), progress(3)]}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)

        def sync_callback(snapshot: Any) -> None:
            if not snapshot.done:
                handle.refresh()
                handle.cancel()

        async def async_callback(snapshot: Any) -> None:
            if not snapshot.done:
                await handle.refresh()
                await handle.cancel()

        final = await both(handle.wait(on_progress=sync_callback if both.sync else async_callback))
        assert final.error.code is Code.CANCELLED


# -- watching -----------------------------------------------------------------------------------------------------


@both_colours
async def test_watch_yields_what_changed(both: Both) -> None:
    """watch() yields the first snapshot, then each that differs from the one before, then the final one (PROG-2)."""
    script = [progress(1, times=3), progress(2, times=2), progress(1), imported()]
    async with both.pair({NAME: script}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        shown = await both.collect(handle.watch())
        assert [snapshot.metadata.done for snapshot in shown] == [1, 2, 1, 4]
        assert shown[-1] is handle.operation
        assert pair.operations.rpcs() == [GET] * 7
        assert pair.clock.sleeps == [1, 1.5, 2.25, 3.375, 5.0625, 7.59375]


@pytest.mark.parametrize(
    "payload",
    [
        UnknownPayload("type.googleapis.com/no.Such", b"\x08\x01"),
        UnknownPayload("type.googleapis.com/example.library.v1.ImportBooksMetadata", b"\xff\xff"),
        UnknownPayload("evil.example.com/x", b"\xff"),
    ],
    ids=["unknown", "corrupt", "untrusted"],
)
@both_colours
async def test_watch_compares_what_nobody_can_read(both: Both, payload: UnknownPayload) -> None:
    """Snapshots whose metadata does not decode, or is of no known type, are compared all the same (PROG-2, TYPE-3)."""
    async with both.pair({NAME: [pending(payload, times=3), progress(1), imported()]}) as pair:
        shown = await both.collect(pair.client.attach(NAME, IMPORT_BOOKS).watch())
        assert [snapshot.metadata_payload for snapshot in shown] == [payload, metadata(1), metadata(4)]


@both_colours
async def test_watch_notices_that_it_is_done_without_any_other_change(both: Both) -> None:
    """The final snapshot is yielded though nothing but `done` has changed (PROG-2)."""
    async with both.pair({NAME: [pending(times=2), no_result()]}) as pair:
        shown = await both.collect(pair.client.attach(NAME, IMPORT_BOOKS).watch())
        assert [snapshot.done for snapshot in shown] == [False, True]


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@both_colours
async def test_watch_yields_a_done_operation_once(both: Both, end: Step) -> None:
    """On a done operation watch() yields the snapshot once, however it ended, and sends nothing (PROG-2, WAIT-2)."""
    async with both.pair({NAME: [end]}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        assert await both.collect(handle.watch()) == [handle.operation]
        assert await both.collect(handle.watch()) == [handle.operation]
        assert pair.operations.rpcs() == [GET]


@both_colours
async def test_watch_begins_with_what_start_brought(both: Both) -> None:
    """After a start, watch() yields its reply first, and then sleeps before it polls (PROG-2, WAIT-10)."""
    scripted = ScriptedOperations()
    scripted.starts(IMPORT_BOOKS, progress(1), progress(2), imported())
    async with both.pair(scripted) as pair:
        handle = await both(pair.client.start(IMPORT_BOOKS, REQUEST))
        iterator = handle.watch()
        assert await both.next(iterator) is handle.operation
        assert scripted.rpcs() == ["ImportBooks"]
        assert [item.metadata.done async for item in both.each(iterator)] == [2, 4]
        assert pair.clock.sleeps == [1, 1.5]


@both_colours
async def test_watch_does_not_notice_failing_polls(both: Both) -> None:
    """Polls that fail for now neither end a watch nor yield anything (PROG-2, WAIT-6)."""
    async with both.pair({NAME: [unavailable(), progress(1), unavailable(times=2), progress(1), imported()]}) as pair:
        shown = await both.collect(pair.client.attach(NAME, IMPORT_BOOKS).watch())
        assert [snapshot.metadata.done for snapshot in shown] == [1, 4]
        assert pair.clock.sleeps == [0.5, 1, 0.5, 1, 1.5]


@pytest.mark.parametrize(
    ("end", "error"),
    [
        (progress(1, times=None), WaitTimeoutError),
        (rpc_error(Code.PERMISSION_DENIED), PollingError),
        (malformed(RESPONSE), MalformedOperationError),
    ],
    ids=["timeout", "failure", "malformed"],
)
@both_colours
async def test_watch_ends_with_the_errors_of_a_wait(both: Both, end: Step, error: type[Exception]) -> None:
    """watch() raises what wait() would, after it has yielded all there was to see, and is over then (PROG-2)."""
    async with both.pair({NAME: [progress(1), end]}) as pair:
        iterator = pair.client.attach(NAME, IMPORT_BOOKS).watch(timeout=9)
        shown = [await both.next(iterator)]
        if error is MalformedOperationError:
            shown.append(await both.next(iterator))
        with pytest.raises(error):
            await both.next(iterator)
        assert await both.next(iterator) is None
        assert not any(snapshot.done for snapshot in shown)


@both_colours
async def test_watch_with_a_timeout_of_zero_shows_one_poll(both: Both) -> None:
    """watch(timeout=0) yields what one poll brings, and then times out (PROG-2, WAIT-3)."""
    async with both.pair({NAME: [progress(1)]}) as pair:
        iterator = pair.client.attach(NAME, IMPORT_BOOKS).watch(timeout=0)
        assert (await both.next(iterator)).metadata == metadata(1)
        with pytest.raises(WaitTimeoutError):
            await both.next(iterator)
        assert pair.operations.rpcs() == [GET]
        assert pair.clock.sleeps == []


@both_colours
async def test_watches_have_policies_of_their_own(both: Both) -> None:
    """watch() backs off as the policy it was given says (PROG-2, WAIT-1)."""
    policy = polls(initial=2, multiplier=2, maximum=5)
    async with both.pair({NAME: [progress(1, times=4), imported()]}) as pair:
        await both.collect(pair.client.attach(NAME, IMPORT_BOOKS).watch(policy=policy))
        assert pair.clock.sleeps == [2, 4, 5, 5]


@both_colours
async def test_a_watch_and_a_wait_share_polls(both: Both) -> None:
    """A watch on a handle somebody else waits for joins the poll under way (PROG-2, WAIT-10)."""
    gate = Gate()
    async with both.pair({NAME: [delayed(imported(), gate)]}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        waiting = both.spawn(handle.wait)
        await pair.operations.wait_until_aio(came_in(1))
        watching = both.spawn(lambda: list(handle.watch()) if both.sync else both.collect(handle.watch()))
        await asyncio.sleep(0.02)
        gate.open()
        assert await watching == [await waiting]
        assert pair.operations.rpcs() == [GET]


# -- metadata -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@both_colours
async def test_metadata_stays_readable_after_the_end(both: Both, end: Step) -> None:
    """However an operation ended, the last metadata can be read, typed, from handle and error (PROG-3)."""
    async with both.pair({NAME: [progress(1), end]}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        assert (await both(handle.wait())).metadata == metadata(4)
        assert handle.operation.metadata == metadata(4)
        if handle.operation.error is not None:
            with pytest.raises(OperationError) as raised:
                await both(handle.result())
            assert raised.value.operation is not None
            assert raised.value.operation.metadata == metadata(4)


@both_colours
async def test_metadata_stays_readable_after_a_timeout_or_failure(both: Both) -> None:
    """After a timeout, and after a poll that failed for good, handle and error still have the metadata (PROG-3)."""
    async with both.pair({NAME: [progress(3, times=4), rpc_error(Code.PERMISSION_DENIED)]}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        with pytest.raises(WaitTimeoutError) as late:
            await both(handle.wait(timeout=3))
        with pytest.raises(PollingError) as broken:
            await both(handle.wait(timeout=3))
        errors: list[Any] = [late.value, broken.value]
        for error in errors:
            assert error.operation.metadata == handle.operation.metadata == metadata(3)
