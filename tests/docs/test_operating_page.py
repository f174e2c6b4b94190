# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""docs/operating.md: its tables are what the code has, and its backups are whole."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from google.cloud.redis_v1 import (
    CreateInstanceRequest,
    Instance,
    UpgradeInstanceRequest,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from longrunning import (
    AsyncOperationsClient,
    OperationError,
)
from longrunning.server import (
    AsyncOperationContext,
    Limits,
    MemoryStore,
    OperationsServer,
    SqliteStore,
)
from tests.docs.pages import (
    INSTANCE,
    PARENT,
    POLICY,
    run,
    serving,
    text_of,
)
from tests.docs.test_documentation import ROOT


def test_every_limit_is_on_the_page() -> None:
    """The table of limits has each field, in their order, with its default (documentation)."""
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \| .+ \|$", text_of("operating.md"), re.MULTILINE)
    assert rows == [(field.name, f"{getattr(Limits(), field.name):.10g}") for field in dataclasses.fields(Limits)]


@pytest.mark.parametrize("means", ["back_up", "vacuum into"])
def test_a_backup_is_whole(means: str, folder: Path) -> None:
    """A copy made while an operation runs opens as a store, and the operation goes on in it at its checkpoint (RUN-2)."""
    names, serve = run("operating.md"), run("serving.md")
    database, copy = folder / "operations.db", folder / "copy.db"
    request = UpgradeInstanceRequest(name=INSTANCE, redis_version="REDIS_7_2")

    def made(path: Path, looked: asyncio.Event) -> OperationsServer:
        server = OperationsServer(
            store=SqliteStore(path),
            authorizer=serve["AllowAll"](),
            names=serve["NAMES"],
            limits=Limits(lease_ttl=2.0, reconcile_interval=0.1),
        )

        @server.method(serve["UPGRADE_INSTANCE"])
        async def upgrade(request: UpgradeInstanceRequest, context: Any) -> Instance:
            upgraded: Instance = await serve["upgrade_instance"](request, context)
            await looked.wait()  # it is not done before it was copied, or looked at
            return upgraded

        return server

    def copied() -> None:
        if means == "back_up":
            names["back_up"](database, copy)
        else:
            with closing(sqlite3.connect(database)) as connection:
                connection.execute("vacuum into ?", (str(copy),))

    async def started() -> str:
        looked = asyncio.Event()
        async with serving(made(database, looked)) as channel:
            operation = await AsyncOperationsClient(channel, policy=POLICY).start(serve["UPGRADE_INSTANCE"], request)
            async for snapshot in operation.watch():
                if snapshot.metadata is not None:
                    break
            await asyncio.to_thread(copied)
            looked.set()
            await operation
            return operation.name

    async def finished(name: str) -> str:
        looked = asyncio.Event()
        async with serving(made(copy, looked)) as channel:
            client = AsyncOperationsClient(channel, policy=POLICY)
            operation = client.attach(name, serve["UPGRADE_INSTANCE"])
            assert not (await operation.refresh()).done  # time went back to the moment of the copy
            looked.set()
            return str((await operation).redis_version)

    assert asyncio.run(finished(asyncio.run(started()))) == "REDIS_7_2"
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
        assert connection.execute("select attempts, done from operations").fetchall() == [(2, 1)]


def test_a_backup_of_nothing_is_an_error(folder: Path) -> None:
    """Backing up a file that is not there fails, and makes none (documentation)."""
    with pytest.raises(sqlite3.OperationalError):
        run("operating.md")["back_up"](folder / "absent.db", folder / "copy.db")
    assert not (folder / "absent.db").exists()


def test_metrics_and_spans_are_those_of_the_page(folder: Path) -> None:
    """The metrics and the attributes of spans that a server makes are those on the page (documentation)."""
    names, page = run("serving.md"), text_of("operating.md")
    metrics, spans = InMemoryMetricReader(), InMemorySpanExporter()
    traces = TracerProvider()
    traces.add_span_processor(SimpleSpanProcessor(spans))
    meters = MeterProvider([metrics])
    server = OperationsServer(
        store=MemoryStore(),
        authorizer=names["AllowAll"](),
        names=names["NAMES"],
        tracer_provider=traces,
        meter_provider=meters,
    )
    server.method(names["CREATE_INSTANCE"])(names["create_instance"])

    async def use() -> None:
        async with serving(server) as channel:
            client = AsyncOperationsClient(channel, policy=POLICY)
            request = CreateInstanceRequest(parent=PARENT, instance_id="cache")
            operation = await client.start(names["CREATE_INSTANCE"], request)
            await client.wait_operation(operation.name, timeout=20)

    asyncio.run(use())
    data: Any = metrics.get_metrics_data()
    made = {
        metric.name
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert made == set(re.findall(r"^\| `(longrunning\.server\.[\w.]+)`", page, re.MULTILINE))
    start, attempt = sorted(spans.get_finished_spans(), key=lambda span: span.start_time or 0)
    assert (start.name, start.kind.name) == ("start CreateInstance", "SERVER")
    assert (attempt.name, attempt.kind.name, attempt.parent) == ("run CreateInstance", "CONSUMER", None)
    assert start.context is not None
    assert [link.context.span_id for link in attempt.links] == [start.context.span_id]
    paragraph = page[page.index("A start is a span") : page.index("## Health")]
    assert set(attempt.attributes or ()) == set(re.findall(r"`((?:\w+\.)+\w+)`", paragraph))
    meters.shutdown()


def test_log_records_have_the_fields_of_the_page(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What a handler raises by mistake is logged with operation, method, attempt and traceback, and told to nobody (SRV-2)."""
    names = run("serving.md")
    server = OperationsServer(store=MemoryStore(), authorizer=names["AllowAll"](), names=names["NAMES"])

    @server.method(names["CREATE_INSTANCE"])
    async def broken(request: CreateInstanceRequest, context: AsyncOperationContext[Any]) -> Instance:
        raise LookupError("the text of the fault")

    async def use() -> OperationError:
        async with serving(server) as channel:
            request = CreateInstanceRequest(parent=PARENT, instance_id="cache")
            operation = await AsyncOperationsClient(channel, policy=POLICY).start(names["CREATE_INSTANCE"], request)
            with pytest.raises(OperationError) as failed:
                await operation
            return failed.value

    with caplog.at_level(logging.INFO, logger="longrunning.server"):
        error = asyncio.run(use())
    assert error.status.message == "the handler of the operation failed"
    (record,) = caplog.records
    fields = vars(record)
    assert (record.name, record.levelname) == ("longrunning.server", "ERROR")
    assert (fields["operation"], fields["attempt"]) == (error.operation.name if error.operation else "", 1)
    assert fields["method"] == "/google.cloud.redis.v1.CloudRedis/CreateInstance"
    assert record.exc_info is not None
    assert re.fullmatch(r"the handler of \S+ \(\S+\) failed", record.getMessage())


def test_the_log_messages_of_the_page_exist() -> None:
    """Each message in the table of the log is one that the server writes (documentation)."""
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src/longrunning/server").rglob("*.py"))
    pattern = re.compile(r"^\| (?:ERROR|WARNING|INFO) \| (.+?) \| .+ \|$", re.MULTILINE)
    messages = [text for row in pattern.findall(text_of("operating.md")) for text in re.findall(r"`([^`]+)`", row)]
    assert len(messages) >= 9
    for message in messages:
        parts = [part.strip() for part in re.split(r"…|/…", message) if part.strip(" /")]
        assert any(all(part in line for part in parts) for line in source.splitlines()), message
