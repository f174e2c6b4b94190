# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Spans and metrics of the server (extra ``otel``), and nothing at all where nobody asked for them.

Nothing is global: a server traces if it was given a tracer provider, and counts if it was given a meter provider. The span of
a run links to that of its start, also in another process or after a restart: the trace context is stored with the operation.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final, Protocol, final

from ..errors import MissingExtraError
from ..status import to_code
from .storage import Lease, Outcome

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

__all__ = ["NO_TELEMETRY", "RunReport", "Telemetry", "telemetry"]

_DONE: Final = "gcp.longrunning.done"
_STATUS_CODE: Final = "gcp.longrunning.status_code"
_DESTINATION: Final = "gcp.resource.destination.id"
_METHOD: Final = "rpc.method"
_ATTEMPT: Final = "longrunning.attempt"


class RunReport(Protocol):
    """The record of one attempt."""

    def end(self, outcome: Outcome | None) -> None:
        """Says what came of it; ``None`` for an attempt without an outcome."""
        ...


class Telemetry(Protocol):
    """Where a server's spans and numbers go."""

    def starting(self, path: str) -> AbstractContextManager[str]:
        """Stands around storing an operation; gives its trace context, to be stored with it."""
        ...

    def started(self, path: str, name: str) -> None:
        """An operation was stored."""
        ...

    def running(self, lease: Lease) -> AbstractContextManager[RunReport]:
        """Stands around one attempt."""
        ...

    def waiting(self, change: int) -> None:
        """So many more wait."""
        ...


@final
class _NoReport:
    def end(self, outcome: Outcome | None) -> None:
        pass


_REPORT: Final[AbstractContextManager[RunReport]] = nullcontext(_NoReport())
_EMPTY: Final[AbstractContextManager[str]] = nullcontext("")


@final
class _NoTelemetry:
    def starting(self, path: str) -> AbstractContextManager[str]:  # noqa: ARG002
        return _EMPTY

    def started(self, path: str, name: str) -> None:
        pass

    def running(self, lease: Lease) -> AbstractContextManager[RunReport]:  # noqa: ARG002
        return _REPORT

    def waiting(self, change: int) -> None:
        pass


NO_TELEMETRY: Final[Telemetry] = _NoTelemetry()


def telemetry(traces: TracerProvider | None, metrics: MeterProvider | None) -> Telemetry:
    """The telemetry of a server that was given these providers.

    Raises:
        MissingExtraError: There is a provider, but no OpenTelemetry API.
    """
    if traces is None and metrics is None:
        return NO_TELEMETRY
    try:
        return _OpenTelemetry(traces, metrics)
    except ImportError as error:
        raise MissingExtraError("otel", "telemetry of the server") from error


@final
class _OpenTelemetry:
    def __init__(self, traces: TracerProvider | None, metrics: MeterProvider | None) -> None:
        from opentelemetry import metrics as metrics_api
        from opentelemetry import trace

        from .. import __version__

        self._trace = trace
        provider = trace.NoOpTracerProvider() if traces is None else traces
        self._tracer = provider.get_tracer("longrunning.server", __version__)
        meters = metrics_api.NoOpMeterProvider() if metrics is None else metrics
        meter = meters.get_meter("longrunning.server", __version__)
        self._starts = meter.create_counter("longrunning.server.starts", "{operation}", "Operations stored")
        self._attempts = meter.create_counter("longrunning.server.attempts", "{attempt}", "Handlers begun")
        self._queued = meter.create_histogram(
            "longrunning.server.queue.duration", "s", "Time from the start to the first attempt"
        )
        self._runs = meter.create_histogram("longrunning.server.run.duration", "s", "Time of one attempt")
        self._waits = meter.create_up_down_counter("longrunning.server.waits", "{call}", "WaitOperation under way")

    @contextmanager
    def starting(self, path: str) -> Generator[str, None, None]:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        kind = self._trace.SpanKind.SERVER
        with self._tracer.start_as_current_span(f"start {_short(path)}", kind=kind, attributes={_METHOD: _rpc(path)}):
            carrier: dict[str, str] = {}
            TraceContextTextMapPropagator().inject(carrier)
            yield carrier.get("traceparent", "")

    def started(self, path: str, name: str) -> None:
        self._starts.add(1, {_METHOD: _rpc(path)})
        self._trace.get_current_span().set_attribute(_DESTINATION, name)

    @contextmanager
    def running(self, lease: Lease) -> Generator[RunReport, None, None]:
        import time

        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        attributes = {_METHOD: _rpc(lease.method)}
        self._attempts.add(1, attributes)
        if lease.attempt == 1:
            self._queued.record((lease.claim_time - lease.create_time) / 1e6, attributes)
        context = TraceContextTextMapPropagator().extract({"traceparent": lease.trace})
        parent = self._trace.get_current_span(context).get_span_context()
        links = [self._trace.Link(parent)] if parent.is_valid else []
        began = time.perf_counter()
        with self._tracer.start_as_current_span(
            f"run {_short(lease.method)}",
            kind=self._trace.SpanKind.CONSUMER,
            links=links,
            attributes={**attributes, _DESTINATION: lease.name, _ATTEMPT: lease.attempt},
        ) as span:
            report = _Report(span)
            try:
                yield report
            finally:
                self._runs.record(time.perf_counter() - began, {**attributes, _STATUS_CODE: report.code})

    def waiting(self, change: int) -> None:
        self._waits.add(change)


@final
class _Report:
    def __init__(self, span: Span) -> None:
        self._span = span
        self.code = "NONE"  # no outcome: the lease was lost or given back

    def end(self, outcome: Outcome | None) -> None:
        from opentelemetry.trace import StatusCode

        self._span.set_attribute(_DONE, outcome is not None)
        if outcome is None:
            return
        code = to_code(outcome.code or 0)
        self.code = getattr(code, "name", str(code))
        self._span.set_attribute(_STATUS_CODE, self.code)
        if outcome.code is not None:
            self._span.set_status(StatusCode.ERROR, self.code)


def _rpc(path: str) -> str:
    return path.lstrip("/")


def _short(path: str) -> Any:
    return path.rpartition("/")[2]
