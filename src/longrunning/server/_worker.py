# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""`Worker`: claims operations, runs their handlers, keeps their leases alive, and publishes what came of them.

Laws of this file:

1. Nothing is published but by `OperationStore.finish`, with the fencing number of the lease.
2. A lease that is lost ends the attempt. What the handler returns after that is thrown away.
3. What a handler raises reaches callers only if it is an `OperationError`. Everything else is logged in full and told as
   "the handler failed".
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Final, final

from google.protobuf import empty_pb2

from ..errors import LeaseLostError, OperationError, StoreUnavailableError
from ..registry import TypeRegistry
from ..status import Code, Status
from ._contexts import AsyncOperationContext, OperationContext, check_type
from ._handlers import Registered
from ._holding import Holding, Interrupt
from ._limits import Limits
from ._refusal import tamed
from ._telemetry import Telemetry
from .storage import CANCELLED, ClaimTerms, Lease, OperationStore, Outcome

__all__ = ["RunResult", "Worker"]

_log: Final = logging.getLogger("longrunning.server")

_RENEWALS: Final = 3  # in the time of a lease: two may fail before it is lost
_RENEWED_AT_ONCE: Final = 250  # leases in one step: others want to write, too
_RETRY: Final = (0.05, 2.0)  # seconds between attempts to publish an outcome: the first, and the longest
_STOP_SECONDS: Final = 2.0  # what an interrupted handler gets to clean up at shutdown


class RunResult(Enum):
    """What came of running an operation by name."""

    SETTLED = "settled"  # it is done, by this run or by another, or absent
    ELSEWHERE = "elsewhere"  # somebody else holds the lease, or no worker here knows the method
    GIVEN_UP = "given up"  # this run lost the lease or gave it back


@final
class Worker:
    """Runs handlers in this process. Everything happens on the event loop, but for handlers that are ordinary functions."""

    def __init__(
        self,
        store: OperationStore,
        methods: Mapping[str, Registered],
        *,
        limits: Limits,
        registry: TypeRegistry,
        telemetry: Telemetry,
        wake: Callable[[Iterable[str]], None],
    ) -> None:
        self._store = store
        self._methods = methods
        self._limits = limits
        self._registry = registry
        self._telemetry = telemetry
        self._wake = wake
        self._held: dict[str, Holding] = {}
        self._claims: set[asyncio.Task[Lease | None]] = set()
        self._stopping = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._id = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(8)}"

    @property
    def terms(self) -> ClaimTerms:
        """How it claims."""
        return ClaimTerms(worker=self._id, methods=frozenset(self._methods), ttl=self._limits.seconds("lease_ttl"))

    async def run(self, name: str) -> RunResult:
        """Claims an operation, if it is to be had, and works on it to the end of the attempt."""
        if self._stopping:
            return RunResult.GIVEN_UP
        claiming = asyncio.create_task(self._claim(name), name=f"longrunning-claim {name}")
        self._claims.add(claiming)
        claiming.add_done_callback(self._claims.discard)
        # Shielded: what the store has given must not get lost because this run is cancelled.
        lease = await asyncio.shield(claiming)
        if lease is None:
            if self._stopping:
                return RunResult.GIVEN_UP
            settled = name in await self._store.settled([name])
            return RunResult.SETTLED if settled else RunResult.ELSEWHERE
        return await self.work(lease)

    async def _claim(self, name: str) -> Lease | None:
        lease = await self._store.claim(name, self.terms)
        if lease is not None and self._stopping:
            await self._give_back([lease])
            return None
        return lease

    async def work(self, lease: Lease) -> RunResult:
        """Works on an operation whose lease is already held."""
        if self._stopping:
            await self._give_back([lease])
            return RunResult.GIVEN_UP
        registered = self._methods[lease.method]
        holding = Holding(lease)
        if (before := self._held.get(lease.name)) is not None:
            before.lose()  # the store gave the lease away without this process noticing that it had expired
        self._held[lease.name] = holding
        self._idle.clear()
        try:
            with self._telemetry.running(lease) as report:
                outcome = await self._attempt(registered, holding)
                if outcome is not None and not await self._publish(holding, outcome):
                    outcome = None
                report.end(outcome)
            return RunResult.GIVEN_UP if outcome is None else RunResult.SETTLED
        finally:
            if self._held.get(lease.name) is holding:
                del self._held[lease.name]
            if not self._held:
                self._idle.set()

    def notice_cancel(self, name: str) -> None:
        """Somebody asked to cancel an operation; if it is worked on here, its handler learns of it."""
        holding = self._held.get(name)
        if holding is not None:
            holding.request_cancel(self._limits.seconds("cancel_grace"))

    async def keep_leases(self) -> None:
        """Renews all leases, many in one step, again and again, until cancelled."""
        ttl = self._limits.seconds("lease_ttl")
        while True:
            await asyncio.sleep(ttl / _RENEWALS)
            held = [holding for holding in self._held.values() if not holding.lost]
            for start in range(0, len(held), _RENEWED_AT_ONCE):
                await self._renew(held[start : start + _RENEWED_AT_ONCE], ttl)

    async def _renew(self, held: Sequence[Holding], ttl: float) -> None:
        try:
            alive = await self._store.renew({holding.lease.name: holding.lease.fence for holding in held}, ttl)
        except StoreUnavailableError as error:
            _log.warning("cannot renew %d lease(s): %s", len(held), error)
            return
        except Exception:  # noqa: BLE001 (logged in full; the next renewal may be in time)
            _log.exception("renewing %d lease(s) failed", len(held))
            return
        for holding in held:
            name = holding.lease.name
            if self._held.get(name) is not holding:
                continue  # it ended while the store was asked
            if name not in alive:
                _log.warning("the lease on %s is lost", name, extra={"operation": name, "method": holding.lease.method})
                holding.lose()
            elif alive[name]:
                holding.request_cancel(self._limits.seconds("cancel_grace"))

    async def stop(self, grace: float) -> None:
        """Gives handlers time to end, interrupts those that do not, and gives their leases back (RUN-4)."""
        self._stopping = True
        if self._claims:
            await asyncio.wait(self._claims, timeout=_STOP_SECONDS)
        if await self._ended_within(grace):
            return
        for holding in self._held.values():
            holding.stop(Interrupt.SHUTDOWN)
        left = [holding for holding in self._held.values() if not holding.lost and holding.task is None]
        for holding in left:
            holding.lose()  # a thread cannot be interrupted: from here on nothing it says counts
        await self._give_back(holding.lease for holding in left)
        if any(holding.task is not None for holding in self._held.values()):
            await self._ended_within(_STOP_SECONDS)
            left = [holding for holding in self._held.values() if not holding.lost]
            for holding in left:
                holding.lose()
            await self._give_back(holding.lease for holding in left)

    async def _ended_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def _let_go(self, holding: Holding) -> None:
        if not holding.lost:
            holding.lost = True
            await self._give_back([holding.lease])

    async def _give_back(self, leases: Iterable[Lease]) -> None:
        fences = {lease.name: lease.fence for lease in leases}
        if not fences:
            return
        try:
            await self._store.release(fences)
        except StoreUnavailableError as error:
            _log.warning("cannot give %d lease(s) back, they will expire: %s", len(fences), error)

    # -- one attempt ---------------------------------------------------------------------------------------------

    async def _attempt(self, registered: Registered, holding: Holding) -> Outcome | None:
        """Runs the handler; the outcome, or ``None`` where there is none to publish."""
        lease = holding.lease
        about = {"operation": lease.name, "method": lease.method, "attempt": lease.attempt}
        try:
            request = registered.method.request_kind.from_bytes(lease.request)
            response = await self._call(registered, holding, request)
            return self._success(registered, response)
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise  # it is this run that is being cancelled, not its handler
            if holding.interrupt is None:
                return CANCELLED if holding.cancel_requested else _internal(lease, "its task was cancelled", about)
            return await self._interrupted(holding)
        except LeaseLostError:
            if not holding.lost:
                return _internal(lease, "it raised LeaseLostError although it holds the lease", about)
            return None
        except OperationError as error:
            return self._failure(error, about)
        except Exception as error:  # noqa: BLE001 (logged in full; callers are told that it failed, and no more)
            if error is holding.unwritten:
                # Nothing is wrong with the operation. Its lease expires, and another attempt goes on at the checkpoint.
                holding.lost = True
            elif holding.interrupt is Interrupt.SHUTDOWN:  # it could not clean up: no outcome of the operation
                await self._let_go(holding)
            if holding.lost:
                _log.warning("an attempt of %s ended without an outcome", lease.name, exc_info=True, extra=about)
                return None
            _log.exception("the handler of %s (%s) failed", lease.name, lease.method, extra=about)
            return Outcome.failure(Status(Code.UNKNOWN, "the handler of the operation failed"))
        finally:
            holding.ended()

    async def _interrupted(self, holding: Holding) -> Outcome | None:
        match holding.interrupt:
            case Interrupt.CANCEL:
                return CANCELLED
            case Interrupt.SHUTDOWN:
                await self._let_go(holding)
                return None
            case _:
                return None

    async def _call(self, registered: Registered, holding: Holding, request: Any) -> object:
        shared = (holding, registered.method, self._store, self._limits, self._registry)
        if registered.runs_on_loop:
            context: AsyncOperationContext[Any] = AsyncOperationContext(*shared)
            task: asyncio.Future[object] = asyncio.ensure_future(_guarded(registered.handler, request, context))
            holding.task = task
            return await task
        loop = asyncio.get_running_loop()
        in_thread: OperationContext[Any] = OperationContext(*shared, loop=loop)
        return await _in_thread(loop, holding.lease.name, registered.handler, request, in_thread)

    def _success(self, registered: Registered, response: Any) -> Outcome:
        method = registered.method
        if response is None and any(kind.full_name == "google.protobuf.Empty" for kind in method.kinds[0]):
            response = empty_pb2.Empty()
        if inspect.iscoroutine(response):
            response.close()
            raise TypeError(f"the handler of {method.path} is an ordinary function, but returned a coroutine")
        payload = check_type(method, "response", response).SerializeToString()
        limit = self._limits.max_response_bytes
        if len(payload) > limit:
            text = f"the response has {len(payload)} bytes, more than the {limit} that are stored"
            return Outcome.failure(Status(Code.RESOURCE_EXHAUSTED, text))
        return Outcome(code=None, payload=payload)

    def _failure(self, error: OperationError, about: dict[str, Any]) -> Outcome:
        status = error.status
        if status.code == Code.OK:  # an error that says OK would read as a success to most clients
            status = Status(Code.UNKNOWN, status.message, status.details)
        try:
            outcome = Outcome.failure(status)
        except Exception:  # noqa: BLE001 (whatever a detail cannot be packed for)
            _log.exception("the status that a handler raised cannot be stored", extra=about)
            return Outcome.failure(Status(Code.UNKNOWN, "the handler of the operation failed"))
        size, limit = len(outcome.payload), self._limits.max_response_bytes
        if size <= limit:
            return outcome
        _log.error("the status that a handler raised is too large: %d bytes, code %s", size, status.code, extra=about)
        text = f"the operation failed with code {int(status.code)}; its error has {size} bytes, more than {limit}"
        return Outcome.failure(Status(Code.RESOURCE_EXHAUSTED, text))

    async def _publish(self, holding: Holding, outcome: Outcome) -> bool:
        """Writes the outcome, for as long as it takes; whether it counts."""
        lease = holding.lease
        about = {"operation": lease.name, "method": lease.method, "attempt": lease.attempt}
        delay, longest = _RETRY
        uncertain = False
        while not holding.lost:
            try:
                await self._store.finish(lease.name, lease.fence, outcome, metadata=holding.last_metadata)
            except LeaseLostError:
                if not uncertain:
                    break
                _log.warning(
                    "the outcome of %s may have been stored before the store went away", lease.name, extra=about
                )
                self._wake((lease.name,))
                return True
            except StoreUnavailableError as error:
                _log.warning("cannot store the outcome of %s yet: %s", lease.name, error, extra=about)
                uncertain = True
                await asyncio.sleep(delay)
                delay = min(delay * 2, longest)
                continue
            self._wake((lease.name,))
            _log.debug("%s ended", lease.name, extra=about)
            return True
        _log.warning("the outcome of %s is dropped: its lease is lost", lease.name, extra=about)
        return False


def _internal(lease: Lease, what: str, about: dict[str, Any]) -> Outcome:
    _log.error("the handler of %s (%s) failed: %s", lease.name, lease.method, what, extra=about, exc_info=True)
    return Outcome.failure(Status(Code.UNKNOWN, "the handler of the operation failed"))


async def _guarded(handler: Callable[[Any, Any], Any], request: Any, context: Any) -> object:
    """What the handler returns; what it raises is an exception that a task can end with, and a loop survives."""
    try:
        return await handler(request, context)
    except (asyncio.CancelledError, KeyboardInterrupt):
        raise
    except BaseException as raised:
        if (error := tamed(raised)) is raised:
            raise
        raise error from raised


async def _in_thread(
    loop: asyncio.AbstractEventLoop, name: str, handler: Callable[[Any, Any], Any], request: Any, context: Any
) -> Any:
    # A thread of its own, a daemon: one that never ends must not keep the process from ending, as those of a pool do.
    future: asyncio.Future[Any] = loop.create_future()
    about = contextvars.copy_context()  # the span of the run, for what the handler calls

    def settle(result: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def work() -> None:
        result, error = None, None
        try:
            result = about.run(handler, request, context)
        except BaseException as raised:  # noqa: BLE001 (it is raised again on the loop)
            error = tamed(raised)
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:
            _log.warning("the handler of %s ended after its server", name)

    threading.Thread(target=work, name=f"longrunning-run-{name.rpartition('/')[2]}", daemon=True).start()
    return await future
