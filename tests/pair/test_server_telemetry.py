# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Spans and metrics of a server as OpenTelemetry's own SDK sees them, and none where nobody asked."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from example.library.v1 import library_pb2
from longrunning import Code, OperationError, Status
from longrunning.errors import MissingExtraError
from longrunning.server import AllowAll, LocalExecutor, MemoryStore, OperationsServer, answer_now
from tests.pair.callers import START, Caller, fronted
from tests.pair.colours import IMPORT_BOOKS
from tests.pair.serving import (
    IMPORT,
    IMPORTED,
    PARENT,
    Edge,
    Gate,
    Place,
    Running,
    bounds,
    eventually,
    everywhere,
    importing,
    imports,
    once,
    over,
)

on_aio = over(edges=(Edge.AIO,))  # what the edge has no part in
both_edges = over(stores=("memory",))
METHOD = IMPORT_BOOKS.path.lstrip("/")


class Recorded:
    """What a server told: `providers` are arguments of its constructor."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.meter_provider = MeterProvider(metric_readers=[self._reader])

    @property
    def providers(self) -> dict[str, Any]:
        """Both."""
        return {"tracer_provider": self.tracer_provider, "meter_provider": self.meter_provider}

    def spans(self, verb: str) -> list[ReadableSpan]:
        """The spans that begin with a word, in the order they ended."""
        return [span for span in self._exporter.get_finished_spans() if span.name.startswith(verb)]

    async def ended(self, verb: str, count: int = 1) -> list[ReadableSpan]:
        """The same, when there are so many: a handler's span ends just after its caller knows the outcome."""
        await eventually(lambda: len(self.spans(verb)) >= count, what=f"{count} span(s) {verb!r}")
        found = self.spans(verb)
        assert len(found) == count
        return found

    def points(self, metric: str) -> dict[frozenset[tuple[str, Any]], NumberDataPoint | HistogramDataPoint]:
        """The data points of a metric, by their attributes."""
        data = self._reader.get_metrics_data()
        if data is None:
            return {}
        return {
            frozenset((point.attributes or {}).items()): point
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for found in scope.metrics
            if found.name == metric
            for point in found.data.data_points
            if isinstance(point, NumberDataPoint | HistogramDataPoint)
        }

    def count(self, metric: str, **attributes: Any) -> float:
        """The value of a counter, or how many values a histogram has, for these attributes."""
        wanted = frozenset({name.replace("__", "."): value for name, value in attributes.items()}.items())
        point = self.points(metric).get(wanted)
        if point is None:
            return 0
        return point.value if isinstance(point, NumberDataPoint) else point.count


def attributes(span: ReadableSpan) -> Mapping[str, Any]:
    """What a span says."""
    return dict(span.attributes or {})


def place_of(context: trace.SpanContext | None) -> tuple[int, int]:
    """Trace and span: what is left of a context that was stored."""
    assert context is not None
    return context.trace_id, context.span_id


def linked(span: ReadableSpan) -> list[tuple[int, int]]:
    """What a span links to."""
    return [place_of(link.context) for link in span.links]


async def handler(request: library_pb2.ImportBooksRequest, context: Any) -> library_pb2.ImportBooksResponse:
    """Succeeds, fails as told, fails without being told, or waits to be cancelled."""
    match request.uri:
        case "fail":
            raise OperationError(Status(Code.NOT_FOUND, "no such book"))
        case "break":
            raise RuntimeError("password of the database")
        case "wait":
            while True:
                context.raise_if_cancelled()
                await asyncio.sleep(0.002)
        case _:
            return IMPORTED


def asking_for(uri: str) -> library_pb2.ImportBooksRequest:
    """A request of this handler."""
    return library_pb2.ImportBooksRequest(parent=PARENT, uri=uri)


# -- spans ------------------------------------------------------------------------------------------------------


@everywhere
async def test_a_run_is_linked_to_its_start(place: Place) -> None:
    """Starting is a SERVER span, running another of its own trace that links to it; both name the operation (SRV-2, RUN-1)."""
    recorded = Recorded()
    async with place.serving(importing(handler), **recorded.providers) as running:
        caller = Caller(running.channel)
        name = await caller.start()
        await caller.done(name)
        [run] = await recorded.ended("run")
        [start] = recorded.spans("start")
        assert (start.name, start.kind, start.parent) == ("start ImportBooks", SpanKind.SERVER, None)
        assert attributes(start) == {"rpc.method": METHOD, "gcp.resource.destination.id": name}
        assert start.status.status_code is StatusCode.UNSET
        assert (run.name, run.kind, run.parent) == ("run ImportBooks", SpanKind.CONSUMER, None)
        assert linked(run) == [place_of(start.context)]
        assert place_of(run.context)[0] != place_of(start.context)[0]
        assert attributes(run) == {
            "rpc.method": METHOD,
            "gcp.resource.destination.id": name,
            "longrunning.attempt": 1,
            "gcp.longrunning.done": True,
            "gcp.longrunning.status_code": "OK",
        }
        assert run.status.status_code is StatusCode.UNSET
        scope = run.instrumentation_scope
        assert scope is not None
        assert scope.name == "longrunning.server"


@on_aio
async def test_each_queued_run_links_to_its_own_start(place: Place) -> None:
    """Runs that had to wait for others link to their own starts, and have no parent either (RUN-5)."""
    recorded = Recorded()
    executor = LocalExecutor(concurrency=1)
    async with place.serving(importing(handler), executor=executor, **recorded.providers) as running:
        caller = Caller(running.channel)
        names = [await caller.start() for _ in range(4)]
        for name in names:
            await caller.done(name)
        runs = {attributes(run)["gcp.resource.destination.id"]: run for run in await recorded.ended("run", 4)}
        for start in recorded.spans("start"):
            run = runs.pop(attributes(start)["gcp.resource.destination.id"])
            assert (linked(run), run.parent) == ([place_of(start.context)], None)
        assert runs == {}


@everywhere
async def test_a_run_after_a_restart_is_linked_to_the_start_before_it(place: Place) -> None:
    """The trace context is stored: the second attempt, on another server, links to the start on the first (RUN-2)."""
    first, second, gate = Recorded(), Recorded(), Gate()
    async with place.serving(importing(gate.aio), limits=bounds(shutdown_grace=0.0), **first.providers) as running:
        name = await Caller(running.channel).start()
        await gate.entered()
    async with place.serving(importing(handler), limits=bounds(reconcile_interval=0.02), **second.providers) as running:
        assert (await Caller(running.channel).done(name)).HasField("response")
        [after] = await second.ended("run")
    [start], [before] = first.spans("start"), first.spans("run")
    assert linked(before) == linked(after) == [place_of(start.context)]
    assert second.spans("start") == []
    assert [attributes(run)["longrunning.attempt"] for run in (before, after)] == [1, 2]
    assert attributes(before)["gcp.longrunning.done"] is False  # its lease was given back
    assert "gcp.longrunning.status_code" not in attributes(before)
    assert attributes(after)["gcp.longrunning.status_code"] == "OK"


@pytest.mark.parametrize(("uri", "code"), [("fail", "NOT_FOUND"), ("break", "UNKNOWN"), ("wait", "CANCELLED")], ids=str)
@on_aio
async def test_a_run_that_fails_is_an_error(place: Place, uri: str, code: str) -> None:
    """The span of a run that failed, or was cancelled, has its code and the status ERROR, and tells no secret (SRV-2)."""
    recorded = Recorded()
    async with place.serving(importing(handler), **recorded.providers) as running:
        caller = Caller(running.channel)
        name = await caller.start(asking_for(uri))
        if uri == "wait":
            await caller.about("CancelOperation", name)
        await caller.done(name)
        [run] = await recorded.ended("run")
        assert attributes(run)["gcp.longrunning.status_code"] == code
        assert attributes(run)["gcp.longrunning.done"] is True
        assert (run.status.status_code, run.status.description) == (StatusCode.ERROR, code)
        assert run.events == ()
        assert "password" not in run.to_json()


@once
async def test_a_start_that_is_refused_is_no_operation(place: Place) -> None:
    """ABORTED by another operation: the span of the start has no operation, and nothing is counted or run (SRV-8)."""
    recorded, gate = Recorded(), Gate()
    async with place.serving(importing(gate.aio, resource=_one), **recorded.providers) as running:
        caller = Caller(running.channel)
        name = await caller.start()
        assert (await caller.ask(START, IMPORT)).code is grpc.StatusCode.ABORTED
        gate.open()
        await caller.done(name)
        await recorded.ended("run")
        accepted, refused = recorded.spans("start")
        assert attributes(accepted)["gcp.resource.destination.id"] == name
        assert "gcp.resource.destination.id" not in attributes(refused)
        assert recorded.count("longrunning.server.starts", rpc__method=METHOD) == 1


def _one(request: Any) -> str:
    return "one for all"


def _traces(running: Running, provider: TracerProvider) -> Any:
    """An interceptor with a span around each RPC, as OpenTelemetry's own has for gRPC."""
    tracer = provider.get_tracer("rpc")
    untyped: Any = grpc
    if running.edge is Edge.AIO:

        class Async(grpc.aio.ServerInterceptor):
            async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
                handler = await continuation(handler_call_details)

                async def handle(request: Any, context: Any) -> Any:
                    with tracer.start_as_current_span("rpc"):
                        return await handler.unary_unary(request, context)

                return untyped.unary_unary_rpc_method_handler(handle)

        return Async()

    class Threaded(grpc.ServerInterceptor):
        def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
            handler = continuation(handler_call_details)

            def handle(request: Any, context: Any) -> Any:
                with tracer.start_as_current_span("rpc"):
                    return handler.unary_unary(request, context)

            return untyped.unary_unary_rpc_method_handler(handle)

    return Threaded()


@asynccontextmanager
async def _traced(place: Place, recorded: Recorded, **providers: Any) -> AsyncGenerator[Caller, None]:
    """A caller whose RPCs have such a span at the server."""
    async with (
        place.serving(importing(handler), **providers) as running,
        fronted(running, interceptors=[_traces(running, recorded.tracer_provider)]) as channel,
    ):
        yield Caller(channel)


@both_edges
async def test_a_start_belongs_to_the_trace_of_its_call(place: Place) -> None:
    """A span around the RPC, on its thread or task, is the parent of the start; of the run it is not (RUN-5)."""
    recorded = Recorded()
    async with _traced(place, recorded, **recorded.providers) as caller:
        name = await caller.start()
        await caller.done(name)
        [run] = await recorded.ended("run")
        [start] = recorded.spans("start")
        assert place_of(start.parent) == place_of(recorded.spans("rpc")[0].context)
        assert run.parent is None
        assert linked(run) == [place_of(start.context)]


@once
async def test_what_a_handler_traces_lies_within_its_run(place: Place) -> None:
    """Spans of a handler, async or in a thread, are children of the run (RUN-5)."""
    recorded = Recorded()
    tracer = recorded.tracer_provider.get_tracer("handler")

    async def on_loop(request: Any, context: Any) -> Any:
        with tracer.start_as_current_span("step"):
            return IMPORTED

    def in_thread(request: Any, context: Any) -> Any:
        with tracer.start_as_current_span("step"):
            return IMPORTED

    for given in (on_loop, in_thread):
        before = len(recorded.spans("step"))
        async with place.serving(importing(given), **recorded.providers) as running:
            await running.outcome()
        step, run = recorded.spans("step")[before], recorded.spans("run")[before]
        assert place_of(step.parent) == place_of(run.context), given


@once
async def test_what_is_not_sampled_is_not_traced(place: Place) -> None:
    """Where the start is not sampled there is no span, and the run works all the same (RUN-1)."""
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=ALWAYS_OFF)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    async with place.serving(importing(handler), tracer_provider=provider) as running:
        assert (await running.outcome()).HasField("response")
    assert exporter.get_finished_spans() == ()


# -- metrics ----------------------------------------------------------------------------------------------------


@everywhere
async def test_operations_are_counted(place: Place) -> None:
    """Starts and attempts are counted by method; runs are timed by method and outcome, the queue by method (SRV-2, RUN-5)."""
    recorded = Recorded()
    async with place.serving(importing(handler), **recorded.providers) as running:
        caller = Caller(running.channel)
        for uri in ("", "", "fail", "break", "wait"):
            name = await caller.start(asking_for(uri))
            if uri == "wait":
                await caller.about("CancelOperation", name)
            await caller.done(name)
        await recorded.ended("run", 5)
        assert recorded.count("longrunning.server.starts", rpc__method=METHOD) == 5
        assert recorded.count("longrunning.server.attempts", rpc__method=METHOD) == 5
        assert recorded.count("longrunning.server.queue.duration", rpc__method=METHOD) == 5
        runs = recorded.points("longrunning.server.run.duration")
        assert {dict(key)["gcp.longrunning.status_code"]: getattr(point, "count") for key, point in runs.items()} == {  # noqa: B009
            "OK": 2,
            "NOT_FOUND": 1,
            "UNKNOWN": 1,
            "CANCELLED": 1,
        }
        assert all(dict(key)["rpc.method"] == METHOD for key in runs)
        assert all(0 <= getattr(point, "sum") < 10 for point in runs.values())  # noqa: B009 (seconds)


@everywhere
async def test_waits_are_counted_while_they_last(place: Place) -> None:
    """How many WaitOperation are under way is known at any time, and 0 in the end, however they ended (SRV-6)."""
    recorded, gate = Recorded(), Gate()

    def waits() -> float:
        return recorded.count("longrunning.server.waits")

    async with place.serving(importing(gate.aio), **recorded.providers) as running:
        name = await running.start()
        calls = [asyncio.ensure_future(running.raw.wait(name, 30)) for _ in range(3)]
        await eventually(lambda: waits() == 3)
        gone = running.raw.wait(name, 30)
        await eventually(lambda: waits() == 4)
        gone.cancel()
        await eventually(lambda: waits() == 3)
        await running.raw.wait(name, 0, 1_000_000)
        await running.raw.wait(name, 0)
        assert waits() == 3
        gate.open()
        await asyncio.gather(*calls)
        await eventually(lambda: waits() == 0)


@on_aio
async def test_a_later_attempt_is_counted_as_one(place: Place) -> None:
    """After a restart there is one more attempt, and neither another start nor time in the queue (RUN-2)."""
    recorded, gate = Recorded(), Gate()
    async with place.serving(importing(gate.aio), limits=bounds(shutdown_grace=0.0), **recorded.providers) as running:
        name = await running.start()
        await gate.entered()
    async with place.serving(
        importing(handler), limits=bounds(reconcile_interval=0.02), **recorded.providers
    ) as running:
        await running.done(name)
        await recorded.ended("run", 2)
    assert recorded.count("longrunning.server.attempts", rpc__method=METHOD) == 2
    assert recorded.count("longrunning.server.starts", rpc__method=METHOD) == 1
    assert recorded.count("longrunning.server.queue.duration", rpc__method=METHOD) == 1
    assert (
        recorded.count("longrunning.server.run.duration", rpc__method=METHOD, gcp__longrunning__status_code="NONE") == 1
    )


@on_aio
async def test_a_request_sent_again_is_not_counted_again(place: Place) -> None:
    """A replay by request id, later or at the same time, stores nothing, and counts for nothing (SRV-7)."""
    recorded = Recorded()
    async with place.serving(importing(imports), **recorded.providers) as running:
        start = running.server.start
        starts = [start(IMPORT_BOOKS, IMPORT, parent=PARENT, request_id="1") for _ in range(5)]
        names = {operation.name for operation in await asyncio.gather(*starts)}
        names.add((await start(IMPORT_BOOKS, IMPORT, parent=PARENT, request_id="1")).name)
        assert len(names) == 1
        await running.done(names.pop())
        await recorded.ended("run")
        assert recorded.count("longrunning.server.starts", rpc__method=METHOD) == 1


@once
async def test_an_answer_at_once_is_no_operation(place: Place) -> None:
    """What `validate` answers at once is not stored, hence neither traced nor counted as started (SRV-10)."""
    recorded = Recorded()

    def validate(request: Any, context: Any) -> Any:
        return answer_now(IMPORTED)

    async with place.serving(importing(imports, validate=validate), **recorded.providers) as running:
        assert (await running.raw.start(IMPORT_BOOKS, IMPORT)).done
    assert recorded.points("longrunning.server.starts") == {}
    assert recorded.spans("") == []


# -- who asked for it -------------------------------------------------------------------------------------------


@once
async def test_each_provider_is_used_alone(place: Place) -> None:
    """With a tracer provider alone there are spans, with a meter provider alone there are metrics (RUN-1)."""
    for name, other in (("tracer_provider", "meter_provider"), ("meter_provider", "tracer_provider")):
        recorded = Recorded()
        async with place.serving(importing(handler), **{name: recorded.providers[name]}) as running:
            assert (await running.outcome()).HasField("response")
        assert bool(recorded.spans("")) == (name == "tracer_provider"), other
        assert bool(recorded.points("longrunning.server.starts")) == (name == "meter_provider")


@once
async def test_providers_of_others_are_left_alone(place: Place) -> None:
    """A server without providers tells nothing, although there is a current span, and one around the call (RUN-1)."""
    recorded = Recorded()
    async with _traced(place, recorded) as caller:
        with recorded.tracer_provider.get_tracer("test").start_as_current_span("mine"):
            await caller.done(await caller.start())
    assert {span.name for span in recorded.spans("")} == {"rpc", "mine"}
    assert isinstance(trace.get_current_span(), trace.NonRecordingSpan)


def test_opentelemetry_is_not_even_loaded() -> None:
    """A server without providers runs an operation in a process in which OpenTelemetry is never imported (PKG-1)."""
    program = f"""
import asyncio, sys
sys.modules["opentelemetry"] = None
from example.library.v1 import library_pb2
from longrunning import LroMethod
from longrunning.server import AllowAll, MemoryStore, OperationsServer
method = LroMethod(
    path={START!r},
    request_type=library_pb2.ImportBooksRequest,
    response_type=library_pb2.ImportBooksResponse,
    metadata_type=library_pb2.ImportBooksMetadata,
)
server = OperationsServer(store=MemoryStore(), authorizer=AllowAll())
ran = asyncio.Event()
@server.method(method, parent="")
async def handler(request, context):
    ran.set()
    return library_pb2.ImportBooksResponse()
async def main():
    async with server:
        await server.start(method, library_pb2.ImportBooksRequest())
        await ran.wait()
asyncio.run(main())
assert not [name for name in sys.modules if name.startswith("opentelemetry.")]
for provider in ("tracer_provider", "meter_provider"):
    try:
        OperationsServer(store=MemoryStore(), authorizer=AllowAll(), **{{provider: object()}})
    except ImportError as error:
        print(type(error).__name__, "longrunning[otel]" in str(error))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert done.stdout == "MissingExtraError True\n" * 2


@pytest.mark.parametrize("provider", ["tracer_provider", "meter_provider"])
def test_providers_without_opentelemetry_name_the_extra(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider, but no OpenTelemetry API: the server is not made, and the error names the extra (PKG-1)."""
    for module in [name for name in sys.modules if name == "opentelemetry" or name.startswith("opentelemetry.")]:
        monkeypatch.setitem(sys.modules, module, None)
    make: Any = OperationsServer
    with pytest.raises(MissingExtraError, match=r"longrunning\[otel\]"):
        make(store=MemoryStore(), authorizer=AllowAll(), **{provider: object()})
