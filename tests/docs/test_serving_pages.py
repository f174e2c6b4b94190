# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The pages about serving: their Python is run, and that of docs/serving.md does what the page says."""

from __future__ import annotations

import asyncio
import re
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.cloud.redis_v1 import (
    CreateInstanceRequest,
    DeleteInstanceRequest,
    ExportInstanceRequest,
    UpgradeInstanceRequest,
)
from google.protobuf.empty_pb2 import Empty

from example.library.v1 import library_pb2, library_pb2_grpc
from longrunning import (
    AsyncOperationsClient,
    Code,
    OperationCancelledError,
    OperationError,
    OperationsClient,
    StartError,
)
from longrunning.server import (
    Access,
    AsyncOperationContext,
    Call,
    OperationContext,
    Rpc,
)
from tests.docs.pages import (
    DOCS,
    INSTANCE,
    PAGES,
    PARENT,
    POLICY,
    START_SECONDS,
    Page,
    blocks,
    free_address,
    program,
    run,
    serving,
    text_of,
    wait_until_it_listens,
)


@pytest.mark.parametrize("page", PAGES)
def test_the_python_runs(page: str, folder: Path) -> None:
    """Every block of Python on the pages about serving runs, one after the other (documentation)."""
    assert blocks(page)
    run(page)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Each link to a file, or to a heading, leads to one (documentation)."""
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        name, _, heading = target.partition("#")
        if name.startswith("https://"):
            continue
        path = (DOCS / name).resolve() if name else DOCS / page
        assert path.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}, target


def test_the_first_blocks_are_a_service(folder: Path) -> None:
    """The first two blocks are a program: it serves, keeps operations in the file, and ends in order when told (SRV-1, RUN-4)."""
    address = free_address()
    first, second, *_ = blocks("serving.md", address)
    names = run("serving.md", address)
    for _ in range(2):  # started again, it goes on with the file
        with program(folder, first, second, "asyncio.run(main())") as process:
            wait_until_it_listens(address, process)
            instance = asyncio.run(names["try_it"]())
            assert (instance.name, instance.port) == (INSTANCE, 6379)
            process.send_signal(signal.SIGTERM)
            assert (process.communicate(timeout=START_SECONDS)[1], process.returncode) == ("", 0)
    with closing(sqlite3.connect(folder / "operations.db")) as connection:
        assert connection.execute("select count(*) from operations where done").fetchone() == (2,)


def test_it_runs_in_threads(folder: Path) -> None:
    """The blocks for grpc.server serve the same methods, to a client without async (SRV-1, RUN-5)."""
    address = free_address()
    source = [block for block in blocks("serving.md", address) if "class Library" not in block]
    with program(folder, *source, "serve_threads()") as process:
        wait_until_it_listens(address, process)
        names = run("serving.md", address)
        with grpc.insecure_channel(address) as channel:
            client = OperationsClient(channel, policy=POLICY)
            created = client.start(
                names["CREATE_INSTANCE"], CreateInstanceRequest(parent=PARENT, instance_id="cache")
            ).result()
            deleted = client.start(names["DELETE_INSTANCE"], DeleteInstanceRequest(name=INSTANCE)).result()
        process.kill()
        process.communicate()
    assert (created.name, deleted) == (INSTANCE, Empty())


def test_the_handlers_of_the_page(folder: Path) -> None:
    """Refusals, failures, a cancel with its last words, and a method beside ordinary ones are as the page says (SRV-2, SRV-4)."""
    names = run("serving.md")

    async def use() -> None:
        async with serving(names["server"], names["add"]) as channel:
            client = AsyncOperationsClient(channel, policy=POLICY)
            with pytest.raises(StartError) as refused:
                _ = await client.start(names["EXPORT_INSTANCE"], ExportInstanceRequest(name=INSTANCE))
            assert refused.value.code is Code.INVALID_ARGUMENT
            await exported(client, names)
            await upgraded(client, names)
            shelf = library_pb2.CreateShelfRequest(shelf_id="poetry", shelf=library_pb2.Shelf(theme="Poetry"))
            assert (await (await client.start(names["CREATE_SHELF"], shelf))).name == "shelves/poetry"
            get: Any = library_pb2_grpc.LibraryStub(channel).GetShelf
            assert (await get(library_pb2.GetShelfRequest(name="shelves/a"))).name == "shelves/a"
            local = await names["server"].start(names["CREATE_SHELF"], shelf)
            assert local.name.startswith("projects/library/locations/here/operations/op-")

    asyncio.run(use())


async def exported(client: AsyncOperationsClient, names: Page) -> None:
    """An export fails, with a reason."""
    request = ExportInstanceRequest(name=INSTANCE)
    request.output_config.gcs_destination.uri = "gs://bucket/object"
    operation = await client.start(names["EXPORT_INSTANCE"], request)
    with pytest.raises(OperationError) as failed:
        await operation
    assert failed.value.code is Code.RESOURCE_EXHAUSTED
    assert failed.value.status.error_info is not None
    assert failed.value.status.error_info.reason == "BUCKET_FULL"


async def upgraded(client: AsyncOperationsClient, names: Page) -> None:
    """An upgrade is cancelled on its way; meanwhile no other starts."""
    request = UpgradeInstanceRequest(name=INSTANCE, redis_version="REDIS_7_2")
    operation = await client.start(names["UPGRADE_INSTANCE"], request)
    with pytest.raises(StartError) as refused:
        _ = await client.start(names["UPGRADE_INSTANCE"], request)
    assert refused.value.code is Code.ABORTED
    await operation.cancel()
    with pytest.raises(OperationCancelledError):
        await operation
    assert operation.operation is not None
    assert operation.operation.metadata is not None
    assert re.fullmatch(r"stopped after \d shards", operation.operation.metadata.status_detail)
    assert operation.operation.metadata.cancel_requested
    again = await client.start(names["UPGRADE_INSTANCE"], request)
    assert (await again).redis_version == "REDIS_7_2"


def test_the_filters_of_the_page(folder: Path) -> None:
    """Each filter in the table is understood, and those about an instance that was created find it (FILT-2)."""
    names = run("serving.md")
    page = text_of("serving.md")
    table = page[page.index("| filter | |") : page.index("`OR` binds tighter")]
    filters = [found for row in table.splitlines()[2:] for found in re.findall(r"`([^`]+)`", row.split(" | ")[0])]
    assert len(filters) >= 9
    filters = [each if re.search(r"[=><:]", each) else f'{each} > "2000-01-01T00:00:00Z"' for each in filters]

    async def found() -> dict[str, int]:
        async with serving(names["server"]) as channel:
            client = AsyncOperationsClient(channel, policy=POLICY)
            await (await client.start(names["CREATE_INSTANCE"], CreateInstanceRequest(parent=PARENT, instance_id="a")))
            return {
                text: len([None async for _ in client.list(parent, filter=text)])
                for text in filters
                for parent in ("projects/p/locations/-",)
            }

    counts = asyncio.run(found())
    assert counts["response.@type = google.cloud.redis.v1.Instance"] == 1
    assert counts['end_time > "2000-01-01T00:00:00Z"'] == 1
    assert counts['metadata.target = "*/instances/cache" OR metadata.status_detail = "*VM*"'] == 1
    assert counts["done = false"] == counts["error:*"] == 0


def test_the_authorizer_of_the_page(folder: Path) -> None:
    """It tells tenants by their tokens, and refuses everybody else (AUTH-3)."""
    tokens = run("serving.md")["Tokens"](red="r", blue="b")

    def call(*headers: tuple[str, str]) -> Call:
        return Call(Rpc.GET, "operations/1", headers=lambda: headers)

    assert tokens.authorize(call(("authorization", "Bearer b"))) == Access(principal="blue", scope="blue")
    for wrong in (call(), call(("authorization", "Bearer ")), call(("authorization", "Bearer c"))):
        with pytest.raises(OperationError) as refused:
            tokens.authorize(wrong)
        assert refused.value.code is Code.UNAUTHENTICATED


def test_the_test_of_the_page(folder: Path) -> None:
    """The test that the page shows passes (documentation)."""
    run("serving.md")["test_an_instance_is_created"]()


@pytest.mark.parametrize("context", [AsyncOperationContext, OperationContext])
def test_all_of_a_context_is_on_the_page(context: type[object]) -> None:
    """The table of what a context has names all of it, and nothing else (documentation)."""
    page = text_of("serving.md")
    table = page[page.index("What the context has") : page.index("Reading costs nothing")]
    named = {name for row in table.splitlines()[4:] for name in re.findall(r"`(\w+)", row.split(" | ")[0])}
    assert named == {name for name in dir(context) if not name.startswith("_")}
