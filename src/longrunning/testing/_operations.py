# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""`ScriptedOperations`: decides what each RPC is answered, and remembers it. Servers at its edges deliver the replies.

Laws of this file:

1. It knows no transport: an RPC comes in as path, bytes and headers, and leaves as bytes or a status.
2. An `Exchange` is one RPC under way. Its edge asks what to do (`ScriptedOperations.advance`), waits as it is told, and
   asks again when the time is over or it is woken.
3. Everything that changes does so under one lock; who must know is told when it is released: listeners of the records of
   every RPC, an exchange only of what changes the operation it is about, for there may be thousands.
"""

from __future__ import annotations

import asyncio
import enum
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar, final

from .._pb import operations_pb2
from ..method import LroMethod
from ..names import check_name
from ..policy import Seconds, seconds
from ..status import Code
from ._script import Cursor, Plan, Script, check_steps, gates, remaining
from ._steps import DETAILS_KEY, Failure, Step

if TYPE_CHECKING:
    import grpc
    import grpc.aio

    from ._server import ScriptedServer
    from ._server_aio import AsyncScriptedServer

__all__ = ["Answer", "Exchange", "Hold", "RecordedCall", "ScriptedOperations", "WaitSupport"]

Req = TypeVar("Req")

SERVICE: Final = "google.longrunning.Operations"
_REQUESTS: Final[dict[str, Any]] = {
    "GetOperation": operations_pb2.GetOperationRequest,
    "ListOperations": operations_pb2.ListOperationsRequest,
    "CancelOperation": operations_pb2.CancelOperationRequest,
    "DeleteOperation": operations_pb2.DeleteOperationRequest,
    "WaitOperation": operations_pb2.WaitOperationRequest,
}
OPERATION_RPCS: Final = tuple(_REQUESTS)
# How long before the deadline of a WaitOperation RPC its reply is on the way: it must never be DEADLINE_EXCEEDED.
_REPLY_MARGIN: Final = 0.1


class WaitSupport(enum.Enum):
    """What a server does with WaitOperation."""

    UNIMPLEMENTED = "UNIMPLEMENTED"
    """Nothing, like most services."""
    SERVED = "SERVED"
    """It plays the script until the operation is done or the timeout over, each step once however often it repeats."""
    RETURNS_AT_ONCE = "RETURNS_AT_ONCE"
    """It answers like GetOperation: legal, for the wait is best effort (operations.proto)."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedCall:
    """An RPC that came in.

    Attributes:
        method: Its full path, such as ``/google.longrunning.Operations/GetOperation``.
        name: Name of the operation (of ListOperations: the parent). Of a start, the one it was given; empty if it failed.
        request: The request, as message of the class the method declares.
        metadata: All headers, in order.
        deadline: Seconds it had when it came in; ``None`` if there was no deadline.
        started: When it came in, monotonic seconds.
        finished: When it was answered or given up by the client; ``None`` as long as it is neither.
        outcome: The code it was answered with; CANCELLED if the client gave it up (also by its deadline) or the server was
            stopped; ``None`` as long as it is under way.
    """

    method: str
    name: str
    request: Any
    metadata: tuple[tuple[str, str | bytes], ...]
    deadline: float | None
    started: float
    finished: float | None
    outcome: Code | None

    @property
    def rpc(self) -> str:
        """The last part of the path, such as ``GetOperation``."""
        return self.method.rpartition("/")[2]

    def header(self, key: str) -> tuple[str | bytes, ...]:
        """The values of one header, in order; of one that was not sent, none."""
        return tuple(value for found, value in self.metadata if found == key.lower())


# -- what a core and its edges say to each other ----------------------------------------------------------------


@final
@dataclass(frozen=True, slots=True)
class Answer:
    """How an RPC ends."""

    data: bytes = b""
    code: Code = Code.OK
    message: str = ""
    trailers: tuple[tuple[str, str | bytes], ...] = ()


@final
@dataclass(frozen=True, slots=True)
class Hold:
    """Not yet: ask again after that many seconds (``None``: whenever), or when woken."""

    seconds: float | None


_Decision = Callable[[float], Answer | Hold]


@final
class Exchange:
    """One RPC under way."""

    def __init__(
        self,
        method: str,
        metadata: tuple[tuple[str, str | bytes], ...],
        deadline: float | None,
        wake: Callable[[], None],
    ) -> None:
        self.wake = wake
        self.method = method
        self.metadata = metadata
        self.deadline = deadline
        self.started: float = time.monotonic()
        self.name = ""
        self.request: Any = None
        self.finished: float | None = None
        self.outcome: Code | None = None
        self.decide: _Decision | None = None

    def recorded(self) -> RecordedCall:
        """The record, as it stands."""
        return RecordedCall(
            method=self.method,
            name=self.name,
            request=self.request,
            metadata=self.metadata,
            deadline=self.deadline,
            started=self.started,
            finished=self.finished,
            outcome=self.outcome,
        )


# -- the core ---------------------------------------------------------------------------------------------------


@final
class ScriptedOperations:
    """An Operations service that plays scripts, and records every RPC.

    Each GetOperation consumes one step of its operation's script; the last step repeats for ever. `starts` lets RPCs
    start operations. `serve` and `serve_aio` put it on a real gRPC server. Safe to use from several threads.

    The other RPCs: ListOperations shows each operation as it was last shown and moves nothing. CancelOperation is a request:
    see `add`. After DeleteOperation the name is unknown. WaitOperation is as `wait_support` says. An unknown name is NOT_FOUND.

    Attributes:
        wait_support: What becomes of WaitOperation.
        page_size: The most operations on a page of ListOperations, and as many as there are if the client does not say.
        list_filter: Decides, from the filter of a ListOperations request and an operation, whether to list it. Without one,
            filters are only recorded.
        unreachable: What ListOperations names as unreachable, on the last page, to clients that set
            ``return_partial_success`` (operations.proto).
    """

    wait_support: WaitSupport
    page_size: int
    list_filter: Callable[[str, operations_pb2.Operation], bool] | None
    unreachable: tuple[str, ...]

    def __init__(
        self,
        scripts: Mapping[str, Iterable[Step]] | None = None,
        *,
        wait_support: WaitSupport = WaitSupport.UNIMPLEMENTED,
        page_size: int = 100,
        list_filter: Callable[[str, operations_pb2.Operation], bool] | None = None,
        unreachable: Iterable[str] = (),
    ) -> None:
        """Makes a service.

        Args:
            scripts: Scripts by operation name, as for `add`.
            wait_support: See the attributes.
            page_size: See the attributes.
            list_filter: See the attributes.
            unreachable: See the attributes.
        """
        self.wait_support = wait_support
        self.page_size = page_size
        self.list_filter = list_filter
        self.unreachable = tuple(unreachable)
        self._lock = threading.RLock()
        self._scripts: dict[str, Script] = {}
        self._plans: dict[str, list[Plan]] = {}
        self._faults: dict[str, list[Cursor]] = {}
        self._exchanges: list[Exchange] = []  # all since the last clear()
        self._under_way: dict[str, set[Exchange]] = {}  # by operation name
        self._changed: set[str] = set()  # names of operations whose exchanges are to be woken
        self._listeners: set[Callable[[], None]] = set()
        self._count = 0
        for name, script in (scripts or {}).items():
            self.add(name, *script)

    # -- scripts ------------------------------------------------------------------------------------------------

    def add(self, name: str, *script: Step, on_cancel: Iterable[Step] | None = None) -> None:
        """Makes an operation known, or gives it a new script.

        Args:
            name: Its name.
            script: Its steps. RPCs consume them, the last one repeats for ever.
            on_cancel: The steps it continues with when it is cancelled. By default it becomes cancelled at the next poll,
                with the metadata it had. Empty: cancelling changes nothing. To let the RPC itself fail, see `fails`.

        Raises:
            ValueError: There is no step, or no name.
            TypeError: Something is no step.
        """
        cursor, on_cancel = Cursor(check_steps(script)), _optional_steps(on_cancel)
        with self._lock:
            self._watch(cursor.steps, on_cancel)
            self._scripts[check_name(name)] = Script(name, cursor, on_cancel)
            self._changed.add(name)
        self._wake()

    def remove(self, name: str) -> None:
        """Forgets an operation, as a server does when it expires.

        Raises:
            KeyError: It is not known.
        """
        with self._lock:
            del self._scripts[name]
            self._changed.add(name)
        self._wake()

    def starts(
        self,
        method: LroMethod[Req, Any, Any],
        *script: Step,
        by_request: Callable[[Req], Iterable[Step]] | None = None,
        name: str | None = None,
        parent: str = "",
        on_cancel: Iterable[Step] | None = None,
    ) -> None:
        """Lets a method start operations: each call a new one, with the first step as its reply.

        Steps that fail the RPC start nothing; the next call plays on from there. Several `starts` of one method are
        for one operation each, in order; the last of them for all that follow.

        Args:
            method: The method.
            script: The steps of the operation, the first of which is the reply to the call.
            by_request: Makes the steps from the request instead.
            name: The operation's name; empty for none, as in replies to validate-only calls. By default names are
                generated: ``operations/1`` and so on.
            parent: What generated names begin with, such as ``projects/p/locations/l``.
            on_cancel: As for `add`.

        Raises:
            ValueError: There is no step.
            TypeError: Something is no step.
        """
        if bool(script) is (by_request is not None):
            raise ValueError("the script of a method is either given as steps or made by_request")
        plan = Plan(method, check_steps(script), by_request, name, parent, _optional_steps(on_cancel))
        with self._lock:
            self._watch(plan.steps, plan.on_cancel)
            self._plans.setdefault(method.path, []).append(plan)

    def fails(self, rpc: str, *errors: Step) -> None:
        """Lets the next calls of an RPC fail, whatever they are about, before scripts have a say.

        Args:
            rpc: Such as ``"CancelOperation"``.
            errors: What they fail with: `rpc_error`, `unavailable`. Each fails as many calls as its ``times`` says, also the
                last one; ``times=None`` is for ever.

        Raises:
            ValueError: A step is not the failure of an RPC.
        """
        steps = check_steps(errors)
        if not all(isinstance(step.reply, Failure) for step in steps):
            raise ValueError("an RPC fails with rpc_error(…) or unavailable(…)")
        with self._lock:
            self._watch(steps)
            self._faults.setdefault(rpc, []).extend(Cursor((step,)) for step in steps)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the operations known now, oldest first."""
        with self._lock:
            return tuple(self._scripts)

    # -- records ------------------------------------------------------------------------------------------------

    @property
    def calls(self) -> tuple[RecordedCall, ...]:
        """Every RPC since the last `clear`, in the order they came in."""
        with self._lock:
            return tuple(exchange.recorded() for exchange in self._exchanges)

    def rpcs(self, name: str | None = None) -> list[str]:
        """What was called, in order, such as ``["ImportBooks", "GetOperation", "GetOperation"]``.

        Args:
            name: Only what concerned the operation of that name.
        """
        return [call.rpc for call in self.calls if name is None or call.name == name]

    def clear(self) -> None:
        """Forgets the records, not the scripts."""
        with self._lock:
            self._exchanges.clear()

    def wait_until(
        self, condition: Callable[[tuple[RecordedCall, ...]], bool], *, timeout: Seconds = 5.0
    ) -> tuple[RecordedCall, ...]:
        """Blocks until something is true of `calls`, such as that there are three of them; returns those.

        Args:
            condition: Called with `calls`, again and again as they change.
            timeout: How long to wait, in real time.

        Raises:
            TimeoutError: It did not become true.
        """
        changed = threading.Event()
        end = time.monotonic() + seconds(timeout, "timeout")
        with self._listening(changed.set):
            while True:
                changed.clear()
                calls = self.calls
                if condition(calls):
                    return calls
                if not changed.wait(max(0.0, end - time.monotonic())):
                    raise _not_yet(calls, timeout)

    async def wait_until_aio(
        self,
        condition: Callable[[tuple[RecordedCall, ...]], bool],
        *,
        timeout: Seconds = 5.0,
    ) -> tuple[RecordedCall, ...]:
        """Like `wait_until`, without blocking the event loop."""
        changed = asyncio.Event()
        loop = asyncio.get_running_loop()
        with self._listening(lambda: loop.call_soon_threadsafe(changed.set)):
            try:
                async with asyncio.timeout(seconds(timeout, "timeout")):
                    while not condition(self.calls):
                        await changed.wait()
                        changed.clear()
            except TimeoutError:
                raise _not_yet(self.calls, timeout) from None
            return self.calls

    @contextmanager
    def _listening(self, listener: Callable[[], object]) -> Generator[None, None, None]:
        def notify() -> None:
            listener()

        with self._lock:
            self._listeners.add(notify)
        try:
            yield
        finally:
            with self._lock:
                self._listeners.discard(notify)

    # -- servers ------------------------------------------------------------------------------------------------

    def serve(
        self,
        *,
        address: str = "127.0.0.1:0",
        credentials: grpc.ServerCredentials | None = None,
        register: Callable[[grpc.Server], object] | None = None,
        options: Sequence[tuple[str, Any]] = (),
        workers: int = 32,
    ) -> ScriptedServer:
        """A gRPC server with threads, to be used as a context manager.

        Args:
            address: Where it listens; port 0 is any free one.
            credentials: Such as ``grpc.ssl_server_credentials(…)``; without, it is plain text.
            register: Adds further services, as in ``lambda server: add_LibraryServicer_to_server(library, server)``.
            options: gRPC server options.
            workers: How many RPCs it works on at once, those it holds back included.

        Raises:
            MissingExtraError: grpc is not installed.
        """
        from ._server import ScriptedServer

        return ScriptedServer(
            self, address=address, credentials=credentials, register=register, options=options, workers=workers
        )

    def serve_aio(
        self,
        *,
        address: str = "127.0.0.1:0",
        credentials: grpc.ServerCredentials | None = None,
        register: Callable[[grpc.aio.Server], object] | None = None,
        options: Sequence[tuple[str, Any]] = (),
    ) -> AsyncScriptedServer:
        """A gRPC server on the running event loop, to be used as an async context manager.

        Args:
            address: Where it listens; port 0 is any free one.
            credentials: Such as ``grpc.ssl_server_credentials(…)``; without, it is plain text.
            register: Adds further services.
            options: gRPC server options.

        Raises:
            MissingExtraError: grpc is not installed.
        """
        from ._server_aio import AsyncScriptedServer

        return AsyncScriptedServer(self, address=address, credentials=credentials, register=register, options=options)

    # -- for the edges ------------------------------------------------------------------------------------------

    def serves(self, path: str) -> bool:
        """Whether a method was given to `starts`. The five of the Operations service are there anyway."""
        with self._lock:
            return path in self._plans

    def begin(
        self,
        path: str,
        data: bytes,
        *,
        metadata: Iterable[tuple[str, str | bytes]],
        deadline: float | None,
        wake: Callable[[], None],
    ) -> Exchange:
        """An RPC came in.

        Args:
            path: Its full path.
            data: The request.
            metadata: Its headers.
            deadline: Seconds it has.
            wake: Called, from any thread, when it is worth asking the exchange again.
        """
        exchange = Exchange(path, tuple(metadata), deadline, wake)
        rpc = path.rpartition("/")[2]
        with self._lock:
            self._exchanges.append(exchange)
            plans = self._plans.get(path)
            try:
                decode = plans[0].method.request_kind.from_bytes if plans else _REQUESTS[rpc].FromString
                exchange.request = decode(data)
                exchange.name = "" if plans else exchange.request.name
                exchange.decide = self._fault(rpc, exchange) or self._dispatch(rpc, plans, exchange)
            except Exception as error:  # noqa: BLE001 (of `by_request` or `list_filter`, or the request does not decode)
                message = f"the scripted server could not answer: {type(error).__name__}: {error}"
                exchange.decide = _always(Answer(code=Code.INTERNAL, message=message))
            self._under_way.setdefault(exchange.name, set()).add(exchange)
        self._wake()
        self._tell()
        return exchange

    def advance(self, exchange: Exchange) -> Answer | Hold:
        """What to do with an RPC now. Once it is an `Answer`, the exchange is over."""
        with self._lock:
            if exchange.decide is None:
                return Answer(code=Code.CANCELLED)  # abandoned meanwhile: nobody will see it
            action = exchange.decide(time.monotonic())
        self._wake()
        if isinstance(action, Answer):
            self._finish(exchange, action.code)
        return action

    def abandon(self, exchange: Exchange) -> None:
        """Nobody waits for the answer to an RPC any more. Harmless when it was given."""
        if self._finish(exchange, Code.CANCELLED):
            exchange.wake()

    def _finish(self, exchange: Exchange, code: Code) -> bool:
        with self._lock:
            if exchange.decide is None:
                return False
            exchange.decide = None
            exchange.finished = time.monotonic()
            exchange.outcome = code
            others = self._under_way[exchange.name]
            others.discard(exchange)
            if not others:
                del self._under_way[exchange.name]
        self._tell()
        return True

    # -- decisions ----------------------------------------------------------------------------------------------

    def _dispatch(self, rpc: str, plans: list[Plan] | None, exchange: Exchange) -> _Decision:
        if plans:
            return self._start(plans, exchange)
        match rpc:
            case "GetOperation":
                return self._get(exchange)
            case "ListOperations":
                return _always(self._list(exchange.request))
            case "CancelOperation":
                return _always(self._cancel(exchange.name))
            case "DeleteOperation":
                return _always(self._delete(exchange.name))
            case _:
                return self._wait(exchange)

    def _fault(self, rpc: str, exchange: Exchange) -> _Decision | None:
        faults = self._faults.get(rpc)
        if not faults:
            return None
        step = faults[0].take()
        if faults[0].used_up:
            del faults[0]
        return self._after(step, exchange.started, lambda: _reply(step, ""))

    def _start(self, plans: list[Plan], exchange: Exchange) -> _Decision:
        plan = plans[0]
        cursor = plan.play(exchange.request)
        self._watch(cursor.steps)
        if isinstance(cursor.head.reply, Failure):
            step = cursor.take()
            answer = _reply(step, "")
        else:
            exchange.name = self._new_name(plan.parent) if plan.name is None else plan.name
            script = Script(exchange.name, cursor, plan.on_cancel)
            step, _ = script.take()
            answer = _reply(step, script.name)
            if script.name:
                self._scripts[script.name] = script
                self._changed.add(script.name)
        if plan.spent(step) and len(plans) > 1:
            del plans[0]
        return self._after(step, exchange.started, lambda: answer)

    def _new_name(self, parent: str) -> str:
        while True:
            self._count += 1
            name = f"{parent}/operations/{self._count}" if parent else f"operations/{self._count}"
            if name not in self._scripts:
                return name

    def _get(self, exchange: Exchange) -> _Decision:
        name = exchange.name
        script = self._scripts.get(name)
        if script is None:
            return _always(_not_found(name))
        step, turn = self._take(script)
        if step.pause is not None and step.pause.late:
            answer = _reply(step, name)
            return self._after(step, exchange.started, lambda: answer)

        def answer_then() -> Answer:
            if isinstance(step.reply, Failure):
                return _reply(step, name)
            if name not in self._scripts:
                return _not_found(name)
            newer = script.newer(turn)
            return _reply(step, name) if newer is None else Answer(newer)

        return self._after(step, exchange.started, answer_then)

    def _wait(self, exchange: Exchange) -> _Decision:
        if self.wait_support is WaitSupport.UNIMPLEMENTED:
            return _always(Answer(code=Code.UNIMPLEMENTED, message="WaitOperation is not implemented"))
        timeout = _wait_timeout(exchange)
        if timeout is not None and timeout < 0:
            return _always(Answer(code=Code.INVALID_ARGUMENT, message="timeout is negative"))
        if self.wait_support is WaitSupport.RETURNS_AT_ONCE:
            return self._get(exchange)
        name, end = exchange.name, None if timeout is None else exchange.started + timeout

        def decide(now: float) -> Answer | Hold:
            left = None if end is None else max(0.0, end - now)
            while True:
                script = self._scripts.get(name)
                if script is None:
                    return _not_found(name)
                until = None if script.settled else script.cursor.remaining(now)
                if script.done or (until != 0 and left == 0):
                    return Answer(script.state())
                if until != 0:
                    return Hold(_shorter(left, until))
                step, _ = self._take(script, every_time=True)
                if isinstance(step.reply, Failure) or left == 0:
                    return _reply(step, name)

        return decide

    def _list(self, request: Any) -> Answer:
        try:
            start = int(request.page_token or 0)
        except ValueError:
            start = -1
        if start < 0 or request.page_size < 0:
            return Answer(code=Code.INVALID_ARGUMENT, message="page_token or page_size is invalid")
        prefix = f"{request.name}/" if request.name else ""
        found = [script.state() for name, script in self._scripts.items() if name.startswith(prefix)]
        keep = self.list_filter
        if keep is not None:
            operation = operations_pb2.Operation.FromString
            found = [data for data in found if keep(request.filter, operation(data))]
        end = start + min(request.page_size or self.page_size, self.page_size)
        more = end < len(found)
        # Written field by field: an operation may be bytes that are none, and the installed protos may not know
        # `unreachable` (3), which came with googleapis-common-protos 1.75.5.
        page = b"".join(_field(1, data) for data in found[start:end])
        if more:
            page += _field(2, str(end).encode())
        elif _return_partial_success(request):
            page += b"".join(_field(3, name.encode()) for name in self.unreachable)
        return Answer(page)

    def _cancel(self, name: str) -> Answer:
        script = self._scripts.get(name)
        if script is None:
            return _not_found(name)
        self._watch(script.cancel())
        self._changed.add(name)
        return Answer()

    def _delete(self, name: str) -> Answer:
        self._changed.add(name)
        return Answer() if self._scripts.pop(name, None) else _not_found(name)

    # -- inside -------------------------------------------------------------------------------------------------

    def _after(self, step: Step, since: float, answer: Callable[[], Answer]) -> _Decision:
        """Decides for an answer when the pause of a step is over."""

        def decide(now: float) -> Answer | Hold:
            left = remaining(step.pause, since, now)
            return answer() if left == 0 else Hold(left)

        return decide

    def _watch(self, *steps: tuple[Step, ...] | None) -> None:
        for some in steps:
            for gate in gates(some or ()):
                gate.subscribe(self._wake_all)

    def _take(self, script: Script, *, every_time: bool = False) -> tuple[Step, int]:
        if not script.settled:
            self._changed.add(script.name)
        return script.take(every_time=every_time)

    def _tell(self) -> None:
        """Tells the listeners that the records changed."""
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    def _wake(self) -> None:
        """Wakes the exchanges about operations that changed."""
        with self._lock:
            woken = [exchange for name in self._changed for exchange in self._under_way.get(name, ())]
            self._changed.clear()
        for exchange in woken:
            exchange.wake()

    def _wake_all(self) -> None:
        """Wakes every exchange: a gate was opened, and any of them may wait for it."""
        with self._lock:
            self._changed.update(self._under_way)
        self._wake()


def _always(answer: Answer) -> _Decision:
    return lambda _: answer


def _optional_steps(steps: Iterable[Step] | None) -> tuple[Step, ...] | None:
    return None if steps is None else check_steps(steps)


def _reply(step: Step, name: str) -> Answer:
    reply = step.reply
    if not isinstance(reply, Failure):
        return Answer(reply.named(name))
    status, trailers = reply.status, reply.trailers
    if status.details and all(key != DETAILS_KEY for key, _ in trailers):
        trailers = (*trailers, (DETAILS_KEY, status.to_proto().SerializeToString()))
    return Answer(code=Code(status.code), message=status.message, trailers=trailers)


def _not_found(name: str) -> Answer:
    return Answer(code=Code.NOT_FOUND, message=f"operation {name!r} not found")


def _wait_timeout(exchange: Exchange) -> float | None:
    """The shorter of the request's timeout and the deadline of the RPC, seconds; ``None`` for neither."""
    request: operations_pb2.WaitOperationRequest = exchange.request
    timeout = request.timeout.seconds + request.timeout.nanos / 1e9 if request.HasField("timeout") else None
    if exchange.deadline is None:
        return timeout
    return _shorter(timeout, max(0.0, exchange.deadline - min(_REPLY_MARGIN, exchange.deadline / 2)))


def _shorter(a: float | None, b: float | None) -> float | None:
    return b if a is None else a if b is None else min(a, b)


def _field(number: int, data: bytes) -> bytes:
    """A length-delimited field on the wire."""
    length, size = bytearray(), len(data)
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    length.append(size)
    return bytes([number << 3 | 2]) + bytes(length) + data


def _return_partial_success(request: operations_pb2.ListOperationsRequest) -> bool:
    if "return_partial_success" in request.DESCRIPTOR.fields_by_name:
        return request.return_partial_success
    # googleapis-common-protos before 1.75.5: field 5 is there, unknown.
    from google.protobuf.unknown_fields import UnknownFieldSet

    unknown = UnknownFieldSet(request)
    return any(unknown[i].field_number == 5 and bool(unknown[i].data) for i in range(len(unknown)))


def _not_yet(calls: tuple[RecordedCall, ...], timeout: Seconds) -> TimeoutError:
    seen = ", ".join(f"{call.rpc}: {'under way' if call.outcome is None else call.outcome.name}" for call in calls)
    return TimeoutError(f"not so after {timeout} s; the RPCs were [{seen}]")
