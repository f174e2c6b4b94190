# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Our client against our server, over HTTP and over gRPC at once: the same answers to the same questions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2

from example.library.v1 import library_pb2
from example.library.v1.library_lro import AsyncLibraryLro, LibraryLro
from longrunning import AsyncOperationsClient, Code, OperationsClient, PollPolicy, RpcError, Status
from longrunning.errors import OperationNotFoundError, ResumeTokenError
from tests.pair.asgi_serving import ABSENT, CREATE, DELETE, IMPORT, site
from tests.pair.colours import LIBRARY, Both, both_colours
from tests.pair.serving import PARENT, imports

REQUEST = library_pb2.ImportBooksRequest(parent=PARENT, uri="file:books", count=4)
POLICY = PollPolicy(initial=0.05, maximum=0.2)


class Ends:
    """The same server from two sides: a client over HTTP, and one over gRPC."""

    def __init__(self, both: Both, rest: Any, over_grpc: Any) -> None:
        self._both = both
        self.rest = rest
        self.grpc = over_grpc

    async def ask(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """The result of a call: in a thread where it blocks, for the server runs on this loop."""
        if self._both.sync:
            return await asyncio.to_thread(call, *arguments, **options)
        return await call(*arguments, **options)

    async def collect(self, iterable: Any) -> list[Any]:
        """All items of a list."""
        if self._both.sync:
            return await asyncio.to_thread(list, iterable)
        return [item async for item in iterable]


@asynccontextmanager
async def ends(both: Both, **arguments: Any) -> AsyncGenerator[Ends, None]:
    """A server over both, and clients of a colour."""
    async with site(with_grpc=True, sockets=True, **arguments) as here:
        url = str(here.client.base_url).rstrip("/")
        assert here.grpc is not None
        if both.sync:
            with (
                grpc.insecure_channel(here.grpc.address) as channel,
                OperationsClient.from_url(url, registry=LIBRARY, policy=POLICY) as rest,
            ):
                yield Ends(both, rest, OperationsClient(channel, registry=LIBRARY, policy=POLICY))
        else:
            async with AsyncOperationsClient.from_url(url, registry=LIBRARY, policy=POLICY) as aio:
                yield Ends(both, aio, AsyncOperationsClient(here.grpc.channel, registry=LIBRARY, policy=POLICY))


@both_colours
async def test_start_to_end(both: Both) -> None:
    """Each of three methods is started over HTTP, waited for by the server, and read over either transport (REST-1, WAIT-5)."""
    create = library_pb2.CreateShelfRequest(shelf_id="a & b+ü", shelf=library_pb2.Shelf(theme="jazz"))
    async with ends(both) as here:
        for method, request, response in (
            (IMPORT, REQUEST, library_pb2.ImportBooksResponse(imported=4)),
            (CREATE, create, library_pb2.Shelf(name="shelves/a & b+ü", theme="jazz")),
            (DELETE, library_pb2.DeleteShelfRequest(name=PARENT), None),
        ):
            handle = await here.ask(here.rest.start, method, request)
            result = await here.ask(handle.result)
            assert response is None or result == response
            assert await here.ask(here.grpc.get, handle.name, method) == handle.operation


@both_colours
async def test_lists_agree(both: Both) -> None:
    """A list, its pages, filters and tokens are the same over both; a token of one is good for the other (CTRL-4, PAGE-1)."""
    async with ends(both) as here:
        for _ in range(5):
            await here.ask((await here.ask(here.rest.start, IMPORT, REQUEST)).wait)
        over_http, over_grpc = [
            [item.name for item in await here.collect(client.list(PARENT, filter="done = true"))]
            for client in (here.rest, here.grpc)
        ]
        assert over_http == over_grpc
        assert len(over_http) == 5
        pages = await here.collect(here.rest.list(PARENT, page_size=2).pages())
        rest = await here.collect(here.grpc.list(PARENT, page_size=2, page_token=pages[0].next_page_token))
        assert [item.name for item in rest] == over_grpc[2:]


@both_colours
async def test_resume_over_the_other(both: Both) -> None:
    """A resume token made over HTTP takes hold of the operation over gRPC, in its type, and the other way round (CTRL-1)."""
    async with ends(both) as here:
        for first, second in ((here.rest, here.grpc), (here.grpc, here.rest)):
            started = await here.ask(first.start, IMPORT, REQUEST)
            token = json.loads(json.dumps(started.resume_token))
            assert await here.ask(second.resume(token, IMPORT).result) == library_pb2.ImportBooksResponse(imported=4)
            untyped = second.resume(token)
            assert await here.ask(untyped.wait) == await here.ask(started.wait)
            assert untyped.resume_token == started.resume_token
            with pytest.raises(ResumeTokenError):
                second.resume(token, CREATE)


@both_colours
async def test_generated_clients(both: Both) -> None:
    """A generated client works over HTTP as it is: paths, queries and bodies come from its proto file (REST-1, GEN-3)."""
    async with ends(both) as here:
        library: Any = (LibraryLro if both.sync else AsyncLibraryLro)(here.rest)
        calls: list[tuple[Any, Any, Any]] = [
            (library.import_books, REQUEST, library_pb2.ImportBooksResponse(imported=4)),
            (
                library.create_shelf,
                library_pb2.CreateShelfRequest(shelf_id="x/y?", shelf=library_pb2.Shelf(theme="jazz")),
                library_pb2.Shelf(name="shelves/x/y?", theme="jazz"),
            ),
            (library.delete_shelf, library_pb2.DeleteShelfRequest(name=PARENT), empty_pb2.Empty()),
        ]
        for call, request, response in calls:
            handle = await here.ask(call, request)
            assert await here.ask(handle.result) == response


@both_colours
async def test_watching_and_many_kinds(both: Both) -> None:
    """Over HTTP a watch ends with the final snapshot, and operations of several types are gathered as they end (PROG-2, WAIT-11)."""
    create = library_pb2.CreateShelfRequest(shelf_id="s", shelf=library_pb2.Shelf(theme="jazz"))
    async with ends(both) as here:
        handles = [await here.ask(here.rest.start, *start) for start in ((IMPORT, REQUEST), (CREATE, create))]
        seen = await here.collect(here.rest.attach(handles[0].name, IMPORT).watch())
        assert seen[-1].result() == library_pb2.ImportBooksResponse(imported=4)
        assert set(await here.collect(here.rest.as_completed(handles))) == set(handles)
        with pytest.raises(ValueError, match="another client"):
            await here.ask(here.grpc.wait_all, handles)


@both_colours
async def test_cancel_and_delete(both: Both) -> None:
    """A cancel over HTTP reaches the handler, and what is deleted there is gone over gRPC, too (CTRL-2, CTRL-3, SRV-4)."""

    async def forever(request: Any, context: Any) -> Any:
        await context.sleep(60)
        return library_pb2.ImportBooksResponse()

    async with ends(both, register=importing_with(forever)) as here:
        handle = await here.ask(here.rest.start, IMPORT, REQUEST)
        await here.ask(handle.cancel)
        assert (await here.ask(handle.wait)).error.code is Code.CANCELLED
        await here.ask(handle.delete)
        with pytest.raises(OperationNotFoundError):
            await here.ask(here.grpc.get, handle.name)


def importing_with(handler: Callable[..., Awaitable[Any]]) -> Callable[[Any], object]:
    """Registers a handler for the method with its HTTP binding."""

    def register(server: Any) -> object:
        return server.method(IMPORT)(handler)

    return register


Question = Callable[[Any], Any]
QUESTIONS: dict[str, Question] = {
    "get: absent": lambda client: client.get(ABSENT),
    "get: of another shelf": lambda client: client.get(ABSENT.replace(PARENT, "shelves/2")),
    "get: of another collection": lambda client: client.get("books/1/operations/op-1"),
    "get: dots": lambda client: client.get("shelves/../operations/x"),
    "get: odd characters": lambda client: client.get("shelves/1/operations/a b?c#d%2F"),
    "get: unicode": lambda client: client.get("shelves/ü/operations/日本"),
    "get: an encoded slash": lambda client: client.get("shelves/1%2F2/operations/x"),
    "cancel: absent": lambda client: client.cancel(ABSENT),
    "delete: absent": lambda client: client.delete(ABSENT),
    "wait: absent": lambda client: client.wait_operation(ABSENT, 1),
    "start: no parent": lambda client: client.start(IMPORT, library_pb2.ImportBooksRequest(uri="x")),
    "start: another parent": lambda client: client.start(
        IMPORT, library_pb2.ImportBooksRequest(parent="books/1", uri="x")
    ),
}
# Where HTTP cannot ask the question, it is refused as the server would refuse it, in other words.
OTHER_WORDS = {"get: dots", "start: no parent", "start: another parent"}


async def answer(here: Ends, client: Any, question: Question) -> Any:
    """What came: an error's class and code and status, or the result."""
    try:
        return await here.ask(question, client)
    except RpcError as error:
        return type(error), error.details


@pytest.mark.parametrize("question", QUESTIONS)
@both_colours
async def test_errors_agree(both: Both, question: str) -> None:
    """The same question is answered with the same exception, code and words, over HTTP and over gRPC (ERR-1, REST-2, AUTH-3)."""
    async with ends(both) as here:
        over_http, over_grpc = [await answer(here, client, QUESTIONS[question]) for client in (here.rest, here.grpc)]
        assert isinstance(over_http[1], Status)
        if question in OTHER_WORDS:
            over_http, over_grpc = [(kind, status.code) for kind, status in (over_http, over_grpc)]
        assert over_http == over_grpc


@pytest.mark.parametrize("name", ["shelves/1/operations/", f"{ABSENT}/more", "operations", "x"])
@both_colours
async def test_paths_that_lead_nowhere(both: Both, name: str) -> None:
    """A name that no path of the server fits is not found over HTTP; over gRPC it is called malformed (REST-1, SRV-1)."""
    async with ends(both) as here:
        kind, status = await answer(here, here.rest, lambda client: client.get(name))
        assert status.code in {Code.NOT_FOUND, Code.INVALID_ARGUMENT}
        assert issubclass(kind, RpcError)
        _, over_grpc = await answer(here, here.grpc, lambda client: client.get(name))
        assert over_grpc.code is Code.INVALID_ARGUMENT


LISTS: dict[str, dict[str, Any]] = {
    "a bad filter": {"filter": "done = = true"},
    "an unknown field": {"filter": "colour = 1"},
    "a negative page": {"page_size": -1},
    "a forged token": {"page_token": "AAAA"},
}


@pytest.mark.parametrize("fields", LISTS)
@both_colours
async def test_errors_of_lists_agree(both: Both, fields: str) -> None:
    """A list that cannot be made is refused in the same words (PAGE-1, FILT-2, REST-2)."""
    async with ends(both) as here:
        found: list[Any] = []
        for client in (here.rest, here.grpc):
            with pytest.raises(RpcError) as caught:
                await here.collect(client.list(PARENT, **LISTS[fields]))
            found.append((type(caught.value), caught.value.details))
        assert found[0] == found[1]
        assert found[0][1].code is Code.INVALID_ARGUMENT


@both_colours
async def test_many(both: Both) -> None:
    """A hundred operations are waited for over HTTP, by long polls and polls at once (WAIT-11)."""
    async with ends(both, register=importing_with(imports)) as here:
        handles = [await here.ask(here.rest.start, IMPORT, REQUEST) for _ in range(100)]
        found = await here.ask(here.rest.wait_all, [here.rest.attach(handle.name, IMPORT) for handle in handles])
        assert all(item.result().imported == 4 for item in found)
