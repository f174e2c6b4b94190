# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""`AsyncOperationHandle`: one operation, live, and the driver that executes the steps of the poll machine.

Laws of this file:

1. It is written once. The other colour is generated from it; what colours cannot hide stands in the ``_io`` modules.
2. Verbs talk to the network, properties never do. On a done operation refresh, wait, watch and result cost no RPC.
3. When to poll is decided in `_polling`; here its steps are executed, nothing else.
4. Waiting never cancels anything on the server unless it was told to.
"""

# The classes of this file work on each other's insides; outside of it nobody does.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Generator
from typing import Any, Final, Generic, TypeVar, final

from .._polling import (
    Finish,
    GiveUp,
    LongPoll,
    Poll,
    PollFailure,
    Sleep,
    begin,
    newer,
    on_error,
    on_snapshot,
    on_wake,
)
from .._resume import ResumeToken, write_token
from .._types import OperationTypes
from ..errors import LongRunningError
from ..names import check_name
from ..operation import Operation
from ..policy import DEFAULT, PollPolicy, Timeout, optional_seconds
from ..status import Code, Status
from ._io_async import INTERRUPTS, AsyncFlight, AsyncProgressCallback, call_back, send_shielded
from ._session_async import LOGGER, AsyncSession
from ._transport import GET_OPERATION, CallOptions, RpcFailure, polling_error, wait_error

__all__ = ["AsyncOperationHandle"]

R_co = TypeVar("R_co", covariant=True)
M_co = TypeVar("M_co", covariant=True)

_EXIT_CANCEL_TIMEOUT: Final = 5.0  # seconds for the cancel that cancel_on_exit sends on the way out


@final
class AsyncOperationHandle(Generic[R_co, M_co]):
    """One operation, live: wait for it, watch it, cancel it.

    `R` is the type of its response, `M` that of its metadata. Made by a client. Any number of waits may run on one
    handle; polls under way are shared between them.
    """

    def __init__(
        self,
        session: AsyncSession,
        name: str,
        types: OperationTypes,
        path: str,
        metadata: tuple[tuple[str, str | bytes], ...],
    ) -> None:
        """Not for use: a client makes handles."""
        self._session = session
        self._name = name
        self._types = types
        self._path = path
        self._metadata = metadata
        self._lock = threading.Lock()  # held for a few assignments, never across an RPC
        self._snapshot: Operation[Any, Any] | None = None
        self._asked = 0.0  # when the request of the snapshot was sent, and
        self._taken = 0.0  # when its reply came, on the client's clock
        self.started: Any = None  # what traces the start, for the waits to link to
        self._flights: dict[type[Poll | LongPoll], AsyncFlight] = {}  # polls under way that may be shared

    # -- properties: no I/O ---------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The operation's name; empty for a validate-only call, which is done at once."""
        return self._name

    @property
    def operation(self) -> Operation[R_co, M_co] | None:
        """The last snapshot; ``None`` before the first RPC of an attached handle. No I/O."""
        return self._snapshot

    @property
    def resume_token(self) -> str:
        """Text with which this or another process can take hold of the operation again. No endpoint, no credential.

        Raises:
            ValueError: The operation has no name.
        """
        return write_token(ResumeToken(check_name(self._name), self._path))

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self._name!r} {self._snapshot.state.value if self._snapshot else 'not yet seen'}>"
        )

    # -- verbs ----------------------------------------------------------------------------------------------------

    async def refresh(self) -> Operation[R_co, M_co]:
        """Asks the server once. On a done operation: the snapshot at hand, no RPC.

        Raises:
            OperationNotFoundError: The server does not know the operation.
            PollingError: The RPC failed otherwise.
        """
        current = self._snapshot
        if current is not None and current.done:
            return current
        try:
            return await self._get(self._session.policy.retry.rpc_timeout)
        except RpcFailure as error:
            raise polling_error(error.failure, error.method, self._name, current) from error.__cause__

    async def wait(
        self,
        *,
        timeout: Timeout = DEFAULT,
        policy: PollPolicy | None = None,
        on_progress: AsyncProgressCallback[Operation[R_co, M_co]] | None = None,
        cancel_on_exit: bool = False,
    ) -> Operation[R_co, M_co]:
        """Waits until the operation is done, also when it failed. On a done operation: no RPC.

        Args:
            timeout: Overall time, seconds; ``DEFAULT`` the policy's (900 s), ``None`` for ever, 0 for one poll.
            policy: How to wait; the client's unless given.
            on_progress: Called with the snapshot of every poll, the final one last; never concurrently. What it raises
                ends the wait.
            cancel_on_exit: If the wait is interrupted (Ctrl-C, or the task is cancelled), also cancel the operation:
                one request, at most 5 s. Not on timeout.

        Returns:
            The final snapshot.

        Raises:
            WaitTimeoutError: The time ran out; the operation goes on.
            OperationNotFoundError: The server does not know the operation (any more).
            PollingError: A poll failed for good.
            MalformedOperationError: The server's answer breaks the rules of the resource.
        """
        waiter = _AsyncWaiter(self, *self._limits(timeout, policy), progress=on_progress is not None)
        try:
            while True:
                snapshot = await waiter.next()
                if on_progress is not None:
                    await call_back(on_progress, snapshot)
                if snapshot.done:
                    return snapshot
        except INTERRUPTS:
            if cancel_on_exit:
                await send_shielded(self._cancel_on_exit)
            raise
        finally:
            waiter.close()

    async def result(
        self,
        *,
        timeout: Timeout = DEFAULT,
        policy: PollPolicy | None = None,
        on_progress: AsyncProgressCallback[Operation[R_co, M_co]] | None = None,
        cancel_on_exit: bool = False,
    ) -> R_co:
        """Waits, then returns the response. Arguments as in `wait`.

        Raises:
            OperationCancelledError: The operation was cancelled.
            OperationError: It failed.
            NoResultError: It is done, but its service provides no result.
            PayloadError: The response is not what was declared.
            WaitTimeoutError: As in `wait`, like the rest.
        """
        operation = await self.wait(
            timeout=timeout, policy=policy, on_progress=on_progress, cancel_on_exit=cancel_on_exit
        )
        return operation.result()

    # async-only: begin
    def __await__(self) -> Generator[Any, None, R_co]:
        """``await handle`` is ``await handle.result()``."""
        return self.result().__await__()

    # async-only: end

    def watch(
        self, *, timeout: Timeout = DEFAULT, policy: PollPolicy | None = None
    ) -> AsyncGenerator[Operation[R_co, M_co], None]:
        """Iterates over snapshots: the first, then each that differs from the one before, then the final one.

        Leaving the loop stops the watching and nothing else. Arguments and errors as in `wait`.
        """
        return self._watch(*self._limits(timeout, policy))

    async def cancel(self) -> None:
        """Asks the server to cancel. The operation may still succeed; go on waiting to see. No-op when done.

        Raises:
            RpcError: The RPC failed; with code UNIMPLEMENTED the server cannot cancel.
        """
        current = self._snapshot
        if current is None or not current.done:
            options = self._options(self._session.policy.retry.rpc_timeout)
            await self._session.cancel(self._name, self._types, options, current)

    async def delete(self) -> None:
        """Tells the server that nobody is interested any more; it forgets the operation but does not cancel it.

        Raises:
            RpcError: The RPC failed.
            ValueError: The operation has no name.
        """
        options = self._options(self._session.policy.retry.rpc_timeout)
        await self._session.delete(self._name, self._types, options, self._snapshot)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _options(self, timeout: float) -> CallOptions:
        return self._session.options(self._name, self._metadata, timeout)

    def _limits(self, timeout: Timeout, policy: PollPolicy | None) -> tuple[PollPolicy, float | None]:
        policy = self._session.policy if policy is None else policy
        return policy, policy.timeout if timeout is DEFAULT else optional_seconds(timeout, "timeout")

    async def _watch(self, policy: PollPolicy, timeout: float | None) -> AsyncGenerator[Operation[R_co, M_co], None]:
        waiter = _AsyncWaiter(
            self, policy, timeout, progress=True
        )  # here, not in watch(): time counts from the first step on
        last: Operation[Any, Any] | None = None
        try:
            while True:
                snapshot = await waiter.next()
                if last is None or snapshot != last:
                    last = snapshot
                    yield snapshot
                if snapshot.done:
                    return
        finally:
            waiter.close()

    async def _cancel_on_exit(self) -> None:
        if self._snapshot is None or not self._snapshot.done:
            await self._session.transport.cancel_operation(self._name, self._types, self._options(_EXIT_CANCEL_TIMEOUT))

    def offer(self, snapshot: Operation[Any, Any], asked: float) -> Operation[Any, Any]:
        """Takes a reply in, unless what is known is newer (SNAP-6); returns what is known then."""
        with self._lock:
            if newer(self._snapshot, self._asked, snapshot, asked):
                self._snapshot, self._asked, self._taken = snapshot, asked, self._session.clock.now()
            assert self._snapshot is not None
            return self._snapshot

    async def _get(self, rpc_timeout: float) -> Operation[Any, Any]:
        """One GetOperation.

        Raises:
            RpcFailure: It failed.
        """
        asked = self._session.clock.now()
        snapshot = await self._session.get(self._name, self._types, self._options(rpc_timeout), self._snapshot)
        return self.offer(snapshot, asked)

    async def _wait(self, step: LongPoll, rpc_timeout: float) -> Operation[Any, Any]:
        """One WaitOperation in the place of a poll.

        Raises:
            RpcFailure: It failed.
        """
        asked, session = self._session.clock.now(), self._session
        snapshot = await session.wait(
            self._name, min(step.server_timeout, rpc_timeout), self._types, self._options(rpc_timeout), self._snapshot
        )
        return self.offer(snapshot, asked)

    async def _poll(self, step: Poll | LongPoll, seen: Operation[Any, Any] | None) -> tuple[Operation[Any, Any], float]:
        """A poll for one waiter: its own, one under way, or a snapshot fresh enough (WAIT-10).

        Args:
            step: What the waiter wants.
            seen: The last snapshot this waiter saw, which does not count again.

        Returns:
            The snapshot, and its age in seconds.

        Raises:
            RpcFailure: The poll failed.
        """
        self._session.check()  # also before a poll is shared: it may belong to another process or loop
        clock = self._session.clock
        until = clock.now() + step.rpc_timeout
        while True:
            remaining = until - clock.now()
            with self._lock:
                current, age = self._snapshot, clock.now() - self._taken
                if current is not None and current is not seen and (current.done or age < step.max_age):
                    return current, age
                shared = isinstance(step, LongPoll) or step.shared
                flight = self._flights.get(type(step)) if shared else None
                mine = AsyncFlight(remaining) if flight is None else None
                if mine is not None and shared:
                    self._flights[type(step)] = mine
            if mine is not None:
                return await self._lead(mine, step), 0.0
            assert flight is not None
            if remaining <= 0 or not await flight.wait(remaining):
                raise RpcFailure(_too_slow(step.rpc_timeout), GET_OPERATION)
            failure = flight.failure
            if flight.abandoned or (flight.rpc_timeout < remaining and _timed_out(failure)):
                continue  # whoever led it was interrupted, or was in more of a hurry: somebody else polls
            if failure is not None:
                raise RpcFailure(failure.failure, failure.method) from failure.__cause__
            assert self._snapshot is not None
            return self._snapshot, 0.0

    async def _lead(self, flight: AsyncFlight, step: Poll | LongPoll) -> Operation[Any, Any]:
        try:
            if isinstance(step, LongPoll):
                return await self._wait(step, flight.rpc_timeout)
            return await self._get(flight.rpc_timeout)
        except RpcFailure as error:
            flight.failure = error
            raise
        except BaseException:  # interrupted, or a fault of ours or of the reply: each waiter finds out for itself
            flight.abandoned = True
            raise
        finally:
            with self._lock:
                if self._flights.get(type(step)) is flight:
                    del self._flights[type(step)]
            flight.land()


class _AsyncWaiter(Generic[R_co, M_co]):
    """One wait on one handle: executes the steps of the poll machine."""

    def __init__(
        self, handle: AsyncOperationHandle[R_co, M_co], policy: PollPolicy, timeout: float | None, *, progress: bool
    ) -> None:
        self._handle = handle
        self._span = handle._session.tracing.waiting(handle._name, handle.started)
        self._clock = handle._session.clock
        self._timeout = timeout
        self._seen = handle._snapshot
        now = self._since = self._clock.now()
        self._state, self._step = begin(
            policy,
            timeout,
            self._seen,
            now - handle._taken,
            now,
            self._clock.random(),
            # A server that waits shows nothing meanwhile: whoever wants progress has to ask, unless told otherwise.
            long_poll=policy.use_wait_operation is True
            or (not progress and handle._session.wait_support(policy) is not False),
        )
        # A snapshot that is fresh enough to count as the first poll is also the first one shown.
        self._counted = isinstance(self._step, (Sleep, GiveUp))

    async def next(self) -> Operation[R_co, M_co]:
        """The next snapshot of this wait, after as much sleeping and polling as it takes.

        Raises:
            LongRunningError: The wait is over, the operation is not done; see `AsyncOperationHandle.wait`.
        """
        if self._counted and self._seen is not None:
            self._counted = False
            return self._seen
        while True:
            step = self._step
            if isinstance(step, Finish):
                return step.operation
            if isinstance(step, GiveUp):
                known = self._handle._snapshot
                if known is not None and known.done:  # another poll of this handle saw it
                    return known
                error = self._error(step)
                self._span.end(known, error)
                raise error from error.__cause__
            if isinstance(step, Sleep):
                # Counted from when it was decided: what callbacks took since is part of the pause.
                await self._clock.sleep(max(0.0, self._since + step.seconds - self._clock.now()))
                self._state, self._step = on_wake(self._state, self._clock.now())
                continue
            try:
                with self._span.polling():
                    snapshot, age = await self._handle._poll(step, self._seen)
            except RpcFailure as error:
                LOGGER.debug("a poll of %r failed: %s", self._handle._name, error)
                now = self._since = self._clock.now()
                self._state, self._step = on_error(self._state, error.failure, now, self._clock.random())
                continue
            self._seen = snapshot
            now = self._since = self._clock.now()
            self._state, self._step = on_snapshot(self._state, snapshot, now, self._clock.random(), age=age)
            return snapshot

    def close(self) -> None:
        """Ends the wait's span, however the wait ended."""
        self._span.end(self._handle._snapshot, None)

    def _error(self, step: GiveUp) -> LongRunningError:
        handle = self._handle
        return wait_error(
            step,
            handle._name,
            handle._snapshot,
            timeout=self._timeout,
            max_attempts=self._state.policy.max_attempts,
            resume_token=handle.resume_token if handle._name else "",
        )


def _timed_out(failure: RpcFailure | None) -> bool:
    return failure is not None and failure.failure.status.code == Code.DEADLINE_EXCEEDED


def _too_slow(rpc_timeout: float) -> PollFailure:
    return PollFailure(status=Status(Code.DEADLINE_EXCEEDED, f"a shared poll took longer than {rpc_timeout:g} s"))
