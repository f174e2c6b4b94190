# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Spans of starts and waits (extra ``otel``), and nothing at all where nobody asked for them.

Nothing is global: a client traces if it was given a tracer provider. Attribute names are those the Go and Rust libraries
agreed on. OpenTelemetry is imported by whoever has a provider, so here it need not be.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final, Protocol, final

from ..errors import MissingExtraError, OperationError, RpcError
from ..operation import Operation, OperationState
from ..status import Code

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanContext, Tracer

__all__ = ["NO_TRACING", "TracerProvider", "Tracing", "WaitSpan", "tracing"]

_ATTEMPTS: Final = "gcp.longrunning.poll_attempt_count"
_DONE: Final = "gcp.longrunning.done"
_STATUS_CODE: Final = "gcp.longrunning.status_code"
_DESTINATION: Final = "gcp.resource.destination.id"
_METHOD: Final = "rpc.method"


class TracerProvider(Protocol):
    """Where tracers come from: ``opentelemetry.trace.TracerProvider``, as far as it matters here.

    Spelt out, so that type checkers know what a client takes where OpenTelemetry is not installed.
    """

    def get_tracer(self, instrumenting_module_name: str, instrumenting_library_version: str | None = None, /) -> Any:
        """A tracer for the spans of one library."""
        ...


class WaitSpan(Protocol):
    """The span of one wait."""

    def polling(self) -> AbstractContextManager[object]:
        """Stands around one poll: counts it, and is the parent of whatever traces the RPC."""
        ...

    def end(self, operation: Operation[Any, Any] | None, error: BaseException | None) -> None:
        """The wait is over. Only the first call counts."""
        ...


class Tracing(Protocol):
    """Where a client's spans come from."""

    def starting(self, path: str) -> AbstractContextManager[Any]:
        """Stands around the RPC that starts an operation; gives what waits link to, ``None`` for nothing."""
        ...

    def waiting(self, name: str, started: Any) -> WaitSpan:
        """Begins the span of a wait, linked to the start if that is known."""
        ...


@final
class _NoSpan:
    def polling(self) -> AbstractContextManager[object]:
        return _NOTHING

    def end(self, operation: Operation[Any, Any] | None, error: BaseException | None) -> None:
        pass


@final
class _NoTracing:
    def starting(self, path: str) -> AbstractContextManager[Any]:  # noqa: ARG002
        return _NOTHING

    def waiting(self, name: str, started: Any) -> WaitSpan:  # noqa: ARG002
        return _NO_SPAN


_NOTHING: Final = nullcontext()
_NO_SPAN: Final = _NoSpan()
NO_TRACING: Final[Tracing] = _NoTracing()


def tracing(provider: TracerProvider | None) -> Tracing:
    """The tracing of a client that was given this provider.

    Raises:
        MissingExtraError: There is a provider, but no OpenTelemetry API.
    """
    if provider is None:
        return NO_TRACING
    try:
        return _OpenTelemetry(provider)
    except ImportError as error:
        raise MissingExtraError("otel", "tracing") from error


@final
class _OpenTelemetry:
    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry import trace

        from .. import __version__

        self._trace = trace
        self._tracer: Tracer = provider.get_tracer("longrunning", __version__)

    @contextmanager
    def starting(self, path: str) -> Generator[SpanContext, None, None]:
        with self._tracer.start_as_current_span(
            f"start {path.rpartition('/')[2]}", kind=self._trace.SpanKind.CLIENT, attributes={_METHOD: path.lstrip("/")}
        ) as span:
            yield span.get_span_context()

    def waiting(self, name: str, started: SpanContext | None) -> WaitSpan:
        links = [self._trace.Link(started)] if started is not None else []
        return _OpenTelemetrySpan(self._tracer.start_span("wait", links=links, attributes={_DESTINATION: name}))


@final
class _OpenTelemetrySpan:
    def __init__(self, span: Span) -> None:
        self._span = span
        self._attempts = 0
        self._ended = False

    def polling(self) -> AbstractContextManager[object]:
        from opentelemetry import trace

        self._attempts += 1
        # A failed poll is no failure of the wait: what the wait came to is said once, at its end.
        return trace.use_span(self._span, end_on_exit=False, record_exception=False, set_status_on_exception=False)

    def end(self, operation: Operation[Any, Any] | None, error: BaseException | None) -> None:
        if self._ended:
            return
        self._ended = True
        from opentelemetry.trace import StatusCode

        span = self._span
        span.set_attribute(_ATTEMPTS, self._attempts)
        span.set_attribute(_DONE, operation is not None and operation.done)
        code = _code(operation, error)
        if code is not None:
            span.set_attribute(_STATUS_CODE, code.name if isinstance(code, Code) else str(code))
        if error is not None:
            span.record_exception(error)
            span.set_status(StatusCode.ERROR, str(error))
        elif operation is not None and operation.state in (OperationState.FAILED, OperationState.CANCELLED):
            span.set_status(StatusCode.ERROR, operation.state.value)
        span.end()


def _code(operation: Operation[Any, Any] | None, error: BaseException | None) -> Code | int | None:
    if isinstance(error, (RpcError, OperationError)):
        return error.code
    if operation is None or not operation.done:
        return None
    failure = operation.error
    return Code.OK if failure is None else failure.code
