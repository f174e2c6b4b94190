# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Waiting for many operations at once, sync: executes what `_fanin` decides. `_fanin_async` is its counterpart.

Written by hand, unlike the rest of the sync client: what is a task there is a future here, and one queue brings the replies
of all of them to the one thread that waits.
"""

# The driver is part of the handles it drives.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import queue
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast, final

from .._fanin import FanIn, Limits, Outcome, Send
from .._polling import Finish, LongPoll
from ..errors import LongRunningError, PayloadDecodeError
from ..names import check_name
from ..operation import Operation, retyped
from ._io_sync import SystemClock
from ._thread_futures import ThreadFutures
from ._transport import ListQuery, RpcFailure, wait_error

if TYPE_CHECKING:
    from ..policy import PollPolicy
    from ._grpc_futures import PollFutures
    from ._handle_sync import OperationHandle
    from ._io_sync import Transport
    from ._session_sync import Session

__all__ = ["FanInDriver"]

_PAGE: Final = 1000  # as many as a server will put on a page: the cost of waiting through lists is pages


_Arrival: TypeAlias = tuple[Send, float, Operation[Any, Any] | BaseException]


@final
class FanInDriver:
    """One `wait_all` or `as_completed`: no thread per operation."""

    def __init__(
        self,
        session: Session,
        handles: Sequence[OperationHandle[Any, Any]],
        policy: PollPolicy,
        timeout: float | None,
        limits: Limits,
        list_parent: str | None,
    ) -> None:
        for handle in handles:
            if handle._session.owner is not session.owner:
                raise ValueError(f"{handle!r} is of another client")
        self._session = session
        self._limits = limits
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
        # Over a transport that can only block, a long poll would keep a thread from asking for others.
        blocking = any(not hasattr(handle._session.transport, "futures") for handle in self._handles)
        self._fan_in = FanIn(
            policy,
            timeout,
            known,
            now,
            session.clock.random,
            limits=limits,
            long_poll=session.wait_support(policy) if list_parent is None and not blocking else False,
        )
        self._arrived: queue.SimpleQueue[_Arrival] = queue.SimpleQueue()
        self._under_way: dict[int, Callable[[], object]] = {}
        self._futures: dict[int, PollFutures] = {}  # by the transport they are of

    def outcomes(self) -> Generator[tuple[int, Operation[Any, Any] | LongRunningError], None, None]:
        """The waits as they end: each one's index, and its final snapshot or error."""
        fan_in, clock = self._fan_in, self._session.clock
        try:
            while True:
                sends = [send for send in fan_in.sends(clock.now()) if not self._is_known(send)]
                if sends and self._list_parent is not None:
                    sends = self._sweep(sends)
                for send in sends:
                    self._send(send)
                for outcome in fan_in.outcomes():
                    result = self._result(outcome)
                    for place in self._places[outcome.index]:
                        held = clock.now()
                        yield place, result
                        fan_in.excuse(clock.now() - held)
                if not fan_in.pending:
                    return
                self._pause(fan_in.next_due() - clock.now())
        finally:
            for cancel in list(self._under_way.values()):
                cancel()
            for futures in self._futures.values():
                futures.close()

    def _sweep(self, sends: list[Send]) -> list[Send]:
        """Lists instead of asking for each; returns what is left to be asked for, because no list has it."""
        fan_in, session = self._fan_in, self._session
        due, listed = {send.index for send in sends}, set[int]()
        query = ListQuery(name=self._list_parent or "", page_size=_PAGE)
        options = session.options(query.name, ())
        try:
            while True:
                asked = session.clock.now()
                page = session.transport.list_operations(query, session.any_types, options)
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

    def _pause(self, seconds: float) -> None:
        """Until a reply comes in, or something is due."""
        clock = self._session.clock
        if not self._under_way:
            clock.sleep(max(seconds, 0.0))
            return
        # On a clock that is not the real one, replies come before time goes on.
        limit = None if seconds == float("inf") or not isinstance(clock, SystemClock) else max(seconds, 0.0)
        try:
            self._take(self._arrived.get(timeout=limit))
            while True:
                self._take(self._arrived.get_nowait())
        except queue.Empty:
            pass

    def _send(self, send: Send) -> None:
        handle, step = self._handles[send.index], send.step
        session = handle._session
        session.check()
        transport = session.transport
        futures = self._futures.get(id(transport))
        if futures is None:
            futures = self._futures[id(transport)] = _futures_of(transport, self._limits)
        asked = session.clock.now()

        def landed(reply: Operation[Any, Any] | BaseException) -> None:
            self._arrived.put((send, asked, reply))

        options = handle._options(step.rpc_timeout)
        self._under_way[send.index] = _nothing  # in case it lands before it can be cancelled
        cancel = futures.send(step, check_name(handle._name), handle._types, options, landed)
        self._under_way[send.index] = cancel

    def _take(self, arrival: _Arrival) -> None:
        send, asked, reply = arrival
        handle = self._handles[send.index]
        session = handle._session
        self._under_way.pop(send.index, None)
        if isinstance(send.step, LongPoll) and isinstance(reply, (Operation, RpcFailure)):
            session.learn_wait(reply if isinstance(reply, RpcFailure) else None)
        now = session.clock.now()
        if isinstance(reply, RpcFailure):
            self._fan_in.on_error(send.index, reply.failure, now)
        elif isinstance(reply, PayloadDecodeError):
            error = PayloadDecodeError(reply.problem, name=handle._name, operation=handle._snapshot)
            error.__cause__ = reply.__cause__
            self._fan_in.fail(send.index, error)
        elif isinstance(reply, BaseException):
            raise reply  # a fault of the caller's, or of a transport of theirs
        else:
            self._fan_in.on_snapshot(send.index, handle.offer(reply, asked), now)


def _futures_of(transport: Transport, limits: Limits) -> PollFutures:
    own: Any = getattr(transport, "futures", None)
    return cast("PollFutures", own()) if own is not None else ThreadFutures(transport, limits.polls)


def _nothing() -> None:
    pass
