# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Waiting for many operations at once, async: executes what `_fanin` decides. `_fanin_sync` is its counterpart."""

# The driver is part of the handles it drives.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, final

from .._fanin import FanIn, Limits, Outcome, Send
from .._polling import Finish, LongPoll
from ..errors import LongRunningError, PayloadDecodeError
from ..operation import Operation, retyped
from ._io_async import AsyncSystemClock
from ._transport import ListQuery, RpcFailure, wait_error

if TYPE_CHECKING:
    from ..policy import PollPolicy
    from ._handle_async import AsyncOperationHandle
    from ._session_async import AsyncSession

__all__ = ["AsyncFanInDriver"]

_PAGE: Final = 1000  # as many as a server will put on a page: the cost of waiting through lists is pages


@final
class AsyncFanInDriver:
    """One `wait_all` or `as_completed`: no task per operation, only per RPC under way."""

    def __init__(
        self,
        session: AsyncSession,
        handles: Sequence[AsyncOperationHandle[Any, Any]],
        policy: PollPolicy,
        timeout: float | None,
        limits: Limits,
        list_parent: str | None,
    ) -> None:
        for handle in handles:
            if handle._session.owner is not session.owner:
                raise ValueError(f"{handle!r} is of another client")
        self._session = session
        self._handles = list(dict.fromkeys(handles))  # one that is given twice is waited for once
        places: dict[Any, list[int]] = {}
        for place, handle in enumerate(handles):
            places.setdefault(handle, []).append(place)
        self._places = [places[handle] for handle in self._handles]
        self._list_parent = list_parent
        self._by_name: dict[str, list[int]] = {}
        for index, handle in enumerate(self._handles):
            self._by_name.setdefault(handle._name, []).append(index)
        self._policy = policy
        self._timeout = timeout
        now = session.clock.now()
        known = [(handle._snapshot, now - handle._taken) for handle in self._handles]
        self._fan_in = FanIn(
            policy,
            timeout,
            known,
            now,
            session.clock.random,
            limits=limits,
            long_poll=session.wait_support(policy) if list_parent is None else False,
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._under_way = 0  # not the number of tasks: one that is over is there for a moment longer
        self._arrived = asyncio.Event()
        self._failed: BaseException | None = None

    async def outcomes(self) -> AsyncGenerator[tuple[int, Operation[Any, Any] | LongRunningError], None]:
        """The waits as they end: each one's index, and its final snapshot or error."""
        fan_in, clock = self._fan_in, self._session.clock
        try:
            while True:
                self._arrived.clear()
                sends = [send for send in fan_in.sends(clock.now()) if not self._is_known(send)]
                if sends and self._list_parent is not None:
                    sends = await self._sweep(sends)
                for send in sends:
                    task = asyncio.create_task(self._send(send))
                    self._tasks.add(task)
                    self._under_way += 1
                    task.add_done_callback(self._tasks.discard)
                for outcome in fan_in.outcomes():
                    result = self._result(outcome)
                    for place in self._places[outcome.index]:
                        held = clock.now()
                        yield place, result
                        fan_in.excuse(clock.now() - held)
                if self._failed is not None:
                    raise self._failed
                if not fan_in.pending:
                    return
                await self._pause(fan_in.next_due() - clock.now())
        finally:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)  # none of them is left behind

    async def _sweep(self, sends: list[Send]) -> list[Send]:
        """Lists instead of asking for each; returns what is left to be asked for, because no list has it."""
        fan_in, session = self._fan_in, self._session
        due, listed = {send.index for send in sends}, set[int]()
        query = ListQuery(name=self._list_parent or "", page_size=_PAGE)
        options = session.options(query.name, ())
        try:
            while True:
                asked = session.clock.now()
                page = await session.transport.list_operations(query, session.any_types, options)
                for snapshot in page:
                    for index in self._by_name.get(snapshot.name, ()):
                        if index not in due and fan_in.is_asking(index):
                            continue  # its own answer is on the way
                        handle = self._handles[index]
                        known = handle.offer(retyped(snapshot, handle._types), asked)
                        fan_in.on_snapshot(index, known, session.clock.now())
                        listed.add(index)
                if not page.next_page_token or not fan_in.pending:
                    break
                query = replace(query, page_token=page.next_page_token)
        except PayloadDecodeError:  # one operation that cannot be read spoils a page, and no wait
            self._list_parent = None
        except RpcFailure as error:
            if not fan_in.is_passing(error.failure) and not error.failure.closed:
                self._list_parent = None  # a server that does not list is asked for each
                return [send for send in sends if send.index not in listed]
            for send in sends:
                if send.index not in listed:
                    fan_in.on_error(send.index, error.failure, session.clock.now())
            return []
        return [send for send in sends if send.index not in listed]

    def _is_known(self, send: Send) -> bool:
        """Whether somebody else saw it done meanwhile: then there is nothing to ask."""
        known = self._handles[send.index]._snapshot
        if known is None or not known.done:
            return False
        self._fan_in.on_snapshot(send.index, known, self._session.clock.now())
        return True

    def _result(self, outcome: Outcome) -> Operation[Any, Any] | LongRunningError:
        step, handle = outcome.step, self._handles[outcome.index]
        if isinstance(step, Finish):
            return step.operation
        if isinstance(step, LongRunningError):
            return step
        return wait_error(
            step,
            handle._name,
            handle._snapshot,
            timeout=self._timeout,
            max_attempts=self._policy.max_attempts,
            resume_token=handle.resume_token if handle._name else "",
        )

    async def _pause(self, seconds: float) -> None:
        """Until a reply comes in, or something is due."""
        if self._arrived.is_set() or seconds <= 0:
            await asyncio.sleep(0)
            return
        clock = self._session.clock
        if seconds == float("inf") or (self._under_way and not isinstance(clock, AsyncSystemClock)):
            await self._arrived.wait()  # on a clock that is not the real one, replies come before time goes on
            return
        if not self._under_way:
            await clock.sleep(seconds)
            return
        try:
            async with asyncio.timeout(seconds):
                await self._arrived.wait()
        except TimeoutError:
            pass

    async def _send(self, send: Send) -> None:
        handle, step = self._handles[send.index], send.step
        session = handle._session
        asked = session.clock.now()
        try:
            options = handle._options(step.rpc_timeout)
            if isinstance(step, LongPoll):
                snapshot = await session.wait(
                    handle._name, step.server_timeout, handle._types, options, handle._snapshot
                )
            else:
                snapshot = await session.get(handle._name, handle._types, options, handle._snapshot)
            known = handle.offer(snapshot, asked)
            self._fan_in.on_snapshot(send.index, known, session.clock.now())
        except RpcFailure as error:
            self._fan_in.on_error(send.index, error.failure, session.clock.now())
        except PayloadDecodeError as error:
            self._fan_in.fail(send.index, error)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 (a fault of the caller's: raised where it can be seen)
            self._failed = error
        self._under_way -= 1
        self._arrived.set()
