# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Waiting for many operations at once, async: executes what `_fanin` decides. `_fanin_sync` is its counterpart."""

# The driver is part of the handles it drives.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Any, final

from .._fanin import FanIn, Limits, Outcome, Send
from .._polling import Finish, LongPoll
from ..errors import LongRunningError, PayloadDecodeError
from ..operation import Operation
from ._io_async import AsyncSystemClock
from ._transport import RpcFailure, wait_error

if TYPE_CHECKING:
    from ..policy import PollPolicy
    from ._handle_async import AsyncOperationHandle
    from ._session_async import AsyncSession

__all__ = ["AsyncFanInDriver"]


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
    ) -> None:
        for handle in handles:
            if handle._session.owner is not session.owner:
                raise ValueError(f"{handle!r} is of another client")
        self._session = session
        self._handles = handles
        self._policy = policy
        self._timeout = timeout
        now = session.clock.now()
        known = [(handle._snapshot, now - handle._taken) for handle in handles]
        self._fan_in = FanIn(
            policy, timeout, known, now, session.clock.random, limits=limits, long_poll=session.wait_support(policy)
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._arrived = asyncio.Event()
        self._failed: BaseException | None = None

    async def outcomes(self) -> AsyncGenerator[tuple[int, Operation[Any, Any] | LongRunningError], None]:
        """The waits as they end: each one's index, and its final snapshot or error."""
        fan_in, clock = self._fan_in, self._session.clock
        try:
            while True:
                self._arrived.clear()
                for send in fan_in.sends(clock.now()):
                    task = asyncio.create_task(self._send(send))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
                for outcome in fan_in.outcomes():
                    yield outcome.index, self._result(outcome)
                if self._failed is not None:
                    raise self._failed
                if not fan_in.pending:
                    return
                await self._pause(fan_in.next_due() - clock.now())
        finally:
            for task in list(self._tasks):
                task.cancel()

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
            resume_token=handle.resume_token,
        )

    async def _pause(self, seconds: float) -> None:
        """Until a reply comes in, or something is due."""
        if self._arrived.is_set() or seconds <= 0:
            await asyncio.sleep(0)
            return
        clock = self._session.clock
        if seconds == float("inf") or (self._tasks and not isinstance(clock, AsyncSystemClock)):
            await self._arrived.wait()  # on a clock that is not the real one, replies come before time goes on
            return
        if not self._tasks:
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
        options = handle._options(step.rpc_timeout)
        asked = session.clock.now()
        try:
            if isinstance(step, LongPoll):
                snapshot = await session.wait(
                    handle._name, step.server_timeout, handle._types, options, handle._snapshot
                )
            else:
                snapshot = await session.get(handle._name, handle._types, options, handle._snapshot)
        except RpcFailure as error:
            self._fan_in.on_error(send.index, error.failure, session.clock.now())
        except PayloadDecodeError as error:
            self._fan_in.fail(send.index, error)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 (a fault of the caller's: raised where it can be seen)
            self._failed = error
        else:
            known = handle.offer(snapshot, asked)
            self._fan_in.on_snapshot(send.index, known, session.clock.now())
        self._arrived.set()
