# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Our REST clients, both colours, against a REST server that nobody here wrote: Envoy's transcoder over a scripted gRPC server."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2

from example.library.v1 import library_pb2
from longrunning import AsyncOperationsClient, Code, OperationError, OperationsClient, PollPolicy, RetryPolicy, RpcError
from longrunning.errors import OperationNotFoundError
from longrunning.rest import OperationsBindings
from longrunning.testing import ScriptedOperations, WaitSupport, failed, pending, rpc_error, succeeded, unavailable
from tests.interop import page
from tests.interop.envoy import NoEnvoyError, fetch, transcoding, version_of
from tests.pair.colours import LIBRARY, REQUEST, RESPONSE, Both, both_colours, imported, metadata, progress
from tests.pair.rest_serving import CREATE, IMPORT

pytestmark = pytest.mark.timeout(300)  # a download

POLICY = PollPolicy(initial=0.05, maximum=0.1, retry=RetryPolicy(initial=0.05, maximum=0.1))
INFO = error_details_pb2.ErrorInfo(reason="R", domain="library.example.com")
RETRY = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=2))


class Place:
    """A scripted gRPC server, and Envoy in front of it."""

    def __init__(self, scripted: ScriptedOperations, url: str) -> None:
        self.scripted = scripted
        self.url = url

    def client(self, both: Both) -> Any:
        """A client of the colour."""
        kind = OperationsClient if both.sync else AsyncOperationsClient
        return kind.from_url(self.url, registry=LIBRARY, policy=POLICY)


@pytest.fixture(scope="module")
def envoy() -> Path:
    """The program."""
    try:
        return fetch()
    except NoEnvoyError as error:
        pytest.skip(str(error))


@pytest.fixture
def place(envoy: Path, tmp_path: Path) -> Generator[Place, None, None]:
    """Both servers."""
    scripted = ScriptedOperations(page_size=2, wait_support=WaitSupport.SERVED)
    with scripted.serve() as server, transcoding(envoy, server.address, tmp_path) as url:
        yield Place(scripted, url)


@both_colours
async def test_start_to_end(both: Both, place: Place) -> None:
    """An operation is started and waited for through an outage, typed; that there is no POST :wait is learned (REST-1, WAIT-5, WAIT-6)."""
    place.scripted.starts(IMPORT, progress(1), progress(2), unavailable(), imported())
    client = place.client(both)
    handle = await both(client.start(IMPORT, REQUEST))
    assert handle.operation.metadata == metadata(1)
    assert await both(handle.result()) == RESPONSE
    assert place.scripted.calls[0].request == REQUEST
    assert place.scripted.rpcs() == ["ImportBooks", *["GetOperation"] * 3]
    await both(client.close())


@both_colours
async def test_body_and_query(both: Both, place: Place) -> None:
    """What goes into a body and what into a query arrives in the fields it came from (REST-1)."""
    request = library_pb2.CreateShelfRequest(
        shelf_id="a&b=c d+ü/%", shelf=library_pb2.Shelf(theme="jazz", book_count=3)
    )
    place.scripted.starts(CREATE, succeeded(request.shelf))
    client = place.client(both)
    handle = await both(client.start(CREATE, request))
    assert await both(handle.result()) == request.shelf
    assert place.scripted.calls[0].request == request
    await both(client.close())


@both_colours
async def test_errors(both: Both, place: Place) -> None:
    """Errors of RPCs and of operations come with code and details (ERR-1, ERR-3, REST-2)."""
    place.scripted.add("operations/aborted", rpc_error(Code.ABORTED, "why", details=[INFO, RETRY], times=None))
    place.scripted.add("operations/failed", failed(Code.RESOURCE_EXHAUSTED, "full", details=[INFO]))
    client = place.client(both)
    with pytest.raises(RpcError) as refused:
        await both(client.get("operations/aborted"))
    assert (refused.value.code, refused.value.details.details) == (Code.ABORTED, (INFO, RETRY))
    with pytest.raises(OperationError) as ended:
        await both(client.attach("operations/failed", IMPORT).result())
    assert (ended.value.code, ended.value.details) == (Code.RESOURCE_EXHAUSTED, (INFO,))
    with pytest.raises(OperationNotFoundError):
        await both(client.get("operations/none"))
    await both(client.close())


@both_colours
async def test_lists(both: Both, place: Place) -> None:
    """Lists come page by page, with their filter (CTRL-4, REST-1)."""
    for number in range(3):
        place.scripted.add(f"operations/{number}", imported())
    client = place.client(both)
    pages = await both.collect(client.list("operations", filter='name = "a & b"').pages())
    assert [len(page) for page in pages] == [2, 1]
    assert all(item.result() == RESPONSE for page in pages for item in page)
    assert {call.request.filter for call in place.scripted.calls} == {'name = "a & b"'}
    await both(client.close())


@both_colours
async def test_cancel_and_delete(both: Both, place: Place) -> None:
    """Cancel and delete arrive (CTRL-2, CTRL-3, REST-1)."""
    place.scripted.add("operations/1", pending(times=None))
    client = place.client(both)
    await both(client.cancel("operations/1"))
    await both(client.delete("operations/1"))
    assert place.scripted.rpcs() == ["CancelOperation", "DeleteOperation"]
    await both(client.close())


@pytest.mark.parametrize("name", ["operations/a b", "operations/a:b/c", "operations/ü?x=1&y#z", "operations/100%"])
@both_colours
async def test_odd_names(both: Both, name: str, place: Place) -> None:
    """Names with characters that mean something in a URL arrive as they are (SNAP-7, REST-1)."""
    place.scripted.add(name, imported())
    client = place.client(both)
    assert (await both(client.get(name, IMPORT))).done
    await both(client.close())


@both_colours
async def test_names_of_no_binding(both: Both, place: Place) -> None:
    """A path that the server has not is an error, and of WaitOperation UNIMPLEMENTED (WAIT-5, WAIT-7)."""
    client = place.client(both)
    with pytest.raises(OperationNotFoundError, match="Could not resolve"):
        await both(client.get("batches/7"))
    with pytest.raises(RpcError) as caught:
        await both(client.wait_operation("operations/1", 1))
    assert caught.value.code is Code.UNIMPLEMENTED
    await both(client.close())
    other = OperationsClient.from_url(place.url, bindings=OperationsBindings.under("/v2"))
    with pytest.raises(OperationNotFoundError, match="/v2/operations/1"):
        other.get("operations/1")
    other.close()


def test_the_page_says_which(envoy: Path, request: pytest.FixtureRequest) -> None:
    """The documentation names the server of these tests, and its version is written by the run (interop)."""
    heading = "| server | version | before |\n|---|---|---|"
    found = f"{heading}\n| Envoy, gRPC-JSON transcoder | {version_of(envoy)} | a scripted gRPC server |"
    if request.config.getoption("--interop-write"):
        page.write("servers", found)
    assert page.same(page.read("servers"), found), "docs/interop.md is out of date: run `make interop`"
