# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Spans as OpenTelemetry's own SDK sees them, and a log that is quiet unless asked."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from longrunning import Code, OperationError, PollingError, StartError, WaitTimeoutError
from longrunning.testing import ScriptedOperations, failed, pending, rpc_error, unavailable
from tests.pair.colours import IMPORT_BOOKS, NAME, REQUEST, Both, both_colours, imported, polls


class Traced:
    """A client with spans kept in memory."""

    def __init__(self, both: Both, pair: Any) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.client = type(pair.client)(pair.channel, policy=polls(), clock=pair.clock, tracer_provider=self.provider)

    @property
    def spans(self) -> list[ReadableSpan]:
        """What was exported, in the order it ended."""
        return list(self._exporter.get_finished_spans())


@both_colours
async def test_a_wait_is_a_span_linked_to_the_start(both: Both) -> None:
    """Starting is a client span and waiting another, linked to it, with polls, outcome and name (WAIT-1)."""
    scripted = ScriptedOperations()
    scripted.starts(IMPORT_BOOKS, pending(times=3), unavailable(), imported(), name=NAME)
    async with both.pair(scripted) as pair:
        traced = Traced(both, pair)
        handle = await both(traced.client.start(IMPORT_BOOKS, REQUEST))
        await both(handle.result())
        start, wait = traced.spans
        assert (start.name, start.kind) == ("start ImportBooks", SpanKind.CLIENT)
        assert wait.name == "wait"
        assert [link.context for link in wait.links] == [start.context]
        assert dict(wait.attributes or {}) == {
            "gcp.resource.destination.id": NAME,
            "gcp.longrunning.poll_attempt_count": 4,
            "gcp.longrunning.done": True,
            "gcp.longrunning.status_code": "OK",
        }
        assert wait.status.status_code is StatusCode.UNSET
        assert wait.parent is None


@both_colours
async def test_an_attached_wait_links_to_nothing(both: Both) -> None:
    """A wait on an operation somebody else started has no link, and its own span (CTRL-1)."""
    async with both.pair({NAME: [imported()]}) as pair:
        traced = Traced(both, pair)
        await both(traced.client.attach(NAME).wait())
        [wait] = traced.spans
        assert list(wait.links) == []


@both_colours
async def test_a_failed_operation_is_an_error(both: Both) -> None:
    """The span of a wait for an operation that failed has its code and the status ERROR, without an exception (ERR-1)."""
    async with both.pair({NAME: [failed(Code.ABORTED, "no")]}) as pair:
        traced = Traced(both, pair)
        with pytest.raises(OperationError):
            await both(traced.client.attach(NAME).result())
        [wait] = traced.spans
        assert (wait.attributes or {})["gcp.longrunning.status_code"] == "ABORTED"
        assert wait.status.status_code is StatusCode.ERROR
        assert list(wait.events) == []


@both_colours
async def test_what_ended_a_wait_is_recorded(both: Both) -> None:
    """A poll that failed for good, or a wait that timed out, is an exception on its span (ERR-1, WAIT-4)."""
    async with both.pair({NAME: [rpc_error(Code.PERMISSION_DENIED, "no")], "operations/2": [pending()]}) as pair:
        traced = Traced(both, pair)
        with pytest.raises(PollingError):
            await both(traced.client.attach(NAME).wait())
        with pytest.raises(WaitTimeoutError):
            await both(traced.client.attach("operations/2").wait(timeout=1))
        polling, timeout = traced.spans
        assert [event.name for event in (*polling.events, *timeout.events)] == ["exception", "exception"]
        assert (polling.attributes or {})["gcp.longrunning.status_code"] == "PERMISSION_DENIED"
        assert (timeout.attributes or {})["gcp.longrunning.done"] is False


@both_colours
async def test_a_closed_iterator_ends_its_span(both: Both) -> None:
    """Leaving a watch ends its span, which says that the operation was not done (WAIT-9)."""
    async with both.pair({NAME: [pending(), imported()]}) as pair:
        traced = Traced(both, pair)
        watching = traced.client.attach(NAME).watch()
        await both.next(watching)
        assert traced.spans == []
        await both.close(watching)
        [wait] = traced.spans
        assert (wait.attributes or {})["gcp.longrunning.done"] is False


@both_colours
async def test_a_start_that_fails_is_recorded(both: Both) -> None:
    """A start that failed is a span with the exception (ERR-1)."""
    scripted = ScriptedOperations()
    scripted.starts(IMPORT_BOOKS, rpc_error(Code.INVALID_ARGUMENT, "no"), imported())
    async with both.pair(scripted) as pair:
        traced = Traced(both, pair)
        with pytest.raises(StartError):
            await both(traced.client.start(IMPORT_BOOKS, REQUEST))
        [start] = traced.spans
        assert start.status.status_code is StatusCode.ERROR


def test_nobody_pays_for_tracing() -> None:
    """Without a tracer provider, OpenTelemetry is not even imported (PKG-1)."""
    program = "import sys, longrunning; longrunning.OperationsClient; print('opentelemetry' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "False"


@both_colours
async def test_the_log_is_quiet_and_tells_on_request(both: Both, caplog: pytest.LogCaptureFixture) -> None:
    """A hiccup is one DEBUG record, and nothing above (WAIT-6)."""
    with caplog.at_level(logging.DEBUG, "longrunning"):
        async with both.pair({NAME: [unavailable("gone for a moment"), imported()]}, policy=polls()) as pair:
            await both(pair.client.attach(NAME).wait())
    records = [record for record in caplog.records if record.name.startswith("longrunning")]
    assert [(record.levelno, "gone for a moment" in record.getMessage()) for record in records] == [
        (logging.DEBUG, True)
    ]
