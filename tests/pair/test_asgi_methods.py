# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The five methods, and starting, over HTTP: in this process and on a socket, alone, mounted, and beside gRPC."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, unquote

import httpx
import pytest
from google.protobuf import any_pb2, empty_pb2, struct_pb2, wrappers_pb2
from google.rpc import error_details_pb2
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from example.library.v1 import library_pb2
from longrunning import Code, HttpBinding, LroMethod, Operation, OperationError, Status, TypeRegistry
from longrunning.rest import HttpLimits, OperationsBindings, asgi_app
from longrunning.server import AllowAll, MemoryStore, NamePattern, OperationsServer, SqliteStore, answer_now
from tests.pair.asgi_serving import ABSENT, CREATE, DELETE, IMPORT, Site, bound, called, listening, site
from tests.pair.serving import PARENT, Gate, eventually, handled

TYPE = "type.googleapis.com/example.library.v1."


def run(playing: Coroutine[Any, Any, None]) -> None:
    """Plays a scenario; one that hangs fails."""
    asyncio.run(asyncio.wait_for(playing, 60))


both_ways = pytest.mark.parametrize("sockets", [False, True], ids=["in-process", "uvicorn"])


# -- the five methods ---------------------------------------------------------------------------------------------


@both_ways
def test_the_life_of_an_operation(sockets: bool, tmp_path: Any) -> None:
    """An operation is started, read, waited for, listed, cancelled and deleted at the documented paths (REST-1)."""

    async def scenario() -> None:
        async with site(sockets=sockets, store=SqliteStore(tmp_path / "x.db")) as here:
            started = (await here.ask("POST", f"/v1/{PARENT}/books:import", {"uri": "file:x", "count": 3})).ok
            name = started["name"]
            assert name.startswith(f"{PARENT}/operations/op-")
            assert set(started) <= {"name", "metadata"}
            done = (await here.ask("POST", f"/v1/{name}:wait", {"timeout": "30s"})).ok
            assert done == {
                "name": name,
                "metadata": {"@type": f"{TYPE}ImportBooksMetadata", "total": 3, "done": 3, "percent": 100},
                "done": True,
                "response": {"@type": f"{TYPE}ImportBooksResponse", "imported": 3},
            }
            assert (await here.get(f"/v1/{name}")).ok == done
            assert (await here.get(f"/v1/{PARENT}/operations")).ok == {"operations": [done]}
            for body in (None, b"", {}, {"name": name}):
                assert (await here.ask("POST", f"/v1/{name}:cancel", body)).ok == {}
            assert (await here.ask("DELETE", f"/v1/{name}")).ok == {}
            assert (await here.get(f"/v1/{name}")).problem == (404, "NOT_FOUND")
            assert (await here.get(f"/v1/{PARENT}/operations")).ok == {}

    run(scenario())


def test_starting_by_all_kinds_of_bindings() -> None:
    """A method starts at its own HTTP binding: with all of the request as the body, a part of it, or none (REST-1)."""

    async def scenario() -> None:
        async with site() as here:
            shelf = (await here.ask("POST", "/v1/shelves?shelfId=7", {"theme": "music"})).ok
            response = (await here.done(shelf["name"]))["response"]
            assert response == {"@type": f"{TYPE}Shelf", "name": "shelves/7", "theme": "music"}
            gone = (await here.ask("DELETE", "/v1/shelves/3")).ok
            done = await here.done(gone["name"])
            assert done["response"] == {"@type": "type.googleapis.com/google.protobuf.Empty"}
            assert done["metadata"]["target"] == "shelves/3"
            assert done["name"].startswith("shelves/3/operations/")

    run(scenario())


def test_a_name_without_a_parent() -> None:
    """Operations without a parent have the paths of operations.proto (REST-1)."""

    async def scenario() -> None:
        async with site(handled(DELETE, _nothing), names=NamePattern("operations/{operation}")) as here:
            name = (await here.ask("DELETE", "/v1/shelves/1")).ok["name"]
            assert name.startswith("operations/op-")
            assert (await here.get("/v1/operations")).ok["operations"][0]["name"] == name
            assert (await here.get(f"/v1/{name}")).ok["name"] == name
            assert (await here.ask("DELETE", f"/v1/{name}")).ok == {}

    run(scenario())


def test_another_collection() -> None:
    """Where operations are called something else, so they are in the paths (REST-1)."""

    async def scenario() -> None:
        async with site(handled(DELETE, _nothing), names=NamePattern("shelves/{shelf}/jobs/{job}")) as here:
            name = (await here.ask("DELETE", "/v1/shelves/1")).ok["name"]
            assert name.startswith("shelves/1/jobs/")
            assert (await here.get(f"/v1/{name}")).ok["name"] == name
            assert len((await here.get("/v1/shelves/-/jobs")).ok["operations"]) == 1
            assert (await here.get(f"/v1/shelves/1/operations/{name.rpartition('/')[2]}")).problem == (404, "NOT_FOUND")

    run(scenario())


async def _nothing(request: Any, context: Any) -> None:
    return None


def test_errors_of_operations() -> None:
    """A failed operation shows its error, details and all, and reading it is no failure (REST-1, ERR-2)."""

    async def fails(request: Any, context: Any) -> Any:
        info = error_details_pb2.ErrorInfo(reason="NO_PAGES", domain="library.example.com")
        raise OperationError(Status(Code.DATA_LOSS, "book 1 has no pages", (info,)))

    async def scenario() -> None:
        async with site(handled(IMPORT, fails)) as here:
            done = await here.outcome()
            assert done["error"] == {
                "code": 15,
                "message": "book 1 has no pages",
                "details": [
                    {
                        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                        "reason": "NO_PAGES",
                        "domain": "library.example.com",
                    }
                ],
            }
            assert Operation.from_json(done, IMPORT).error is not None

    run(scenario())


def test_refusing_to_start() -> None:
    """What prevents a start is the answer, with its status, its details and Retry-After (SRV-2, REST-2, WAIT-8)."""
    info = error_details_pb2.RetryInfo()
    info.retry_delay.FromSeconds(7)

    def validate(request: Any, transport: Any) -> None:
        assert isinstance(transport, Request)
        raise OperationError(Status(Code.RESOURCE_EXHAUSTED, f"no more of {request.uri}", (info,)))

    async def scenario() -> None:
        async with site(handled(IMPORT, _nothing, validate=validate)) as here:
            reply = await here.ask("POST", f"/v1/{PARENT}/books:import", {"uri": "x"})
            assert reply.problem == (429, "RESOURCE_EXHAUSTED")
            assert reply.headers["retry-after"] == "7"
            assert reply.body["error"]["message"] == "no more of x"
            assert reply.body["error"]["details"] == [
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}
            ]

    run(scenario())


def test_answering_at_once() -> None:
    """A request that only asks to be validated is answered with a done operation that has no name (SNAP-4, SRV-10, REST-1)."""

    def validate(request: Any, transport: Any) -> Any:
        return answer_now(library_pb2.ImportBooksResponse(imported=1))

    async def scenario() -> None:
        async with site(handled(IMPORT, _nothing, validate=validate)) as here:
            reply = await here.ask("POST", f"/v1/{PARENT}/books:import", {})
            assert reply.ok == {"done": True, "response": {"@type": f"{TYPE}ImportBooksResponse", "imported": 1}}

    run(scenario())


# -- lists --------------------------------------------------------------------------------------------------------


def test_pages_and_filters() -> None:
    """A list has pages, a filter and names of both spellings; what is wrong is refused by field (REST-1, PAGE-1, FILT-2)."""

    async def scenario() -> None:
        async with site() as here:
            names = [(await here.outcome({"count": number}))["name"] for number in range(5)][::-1]
            found: list[str] = []
            query = "pageSize=2"
            while True:
                page = (await here.get(f"/v1/{PARENT}/operations?{query}")).ok
                found += [operation["name"] for operation in page["operations"]]
                if "nextPageToken" not in page:
                    break
                query = f"page_size=2&pageToken={quote(page['nextPageToken'])}"
            assert found == names
            asked = quote("response.imported >= 3 AND done = true")
            filtered = (await here.get(f"/v1/{PARENT}/operations?filter={asked}&returnPartialSuccess=true")).ok
            assert [operation["response"]["imported"] for operation in filtered["operations"]] == [4, 3]
            for query, field in (("pageSize=-1", "page_size"), ("filter=%28", "filter"), ("pageToken=x", "page_token")):
                reply = await here.get(f"/v1/{PARENT}/operations?{query}")
                assert reply.problem == (400, "INVALID_ARGUMENT")
                assert reply.body["error"]["details"][0]["fieldViolations"][0]["field"] == field

    run(scenario())


def test_what_the_reply_looks_like() -> None:
    """A caller says how the reply is written: enums, fields, indentation; also of a page, a wait and a start (REST-2)."""
    method = LroMethod(
        path="/a.B/C",
        request_type=library_pb2.ImportBooksRequest,
        response_type=any_pb2.Any,
        metadata_type=any_pb2.Any,
        http=HttpBinding(verb="POST", path="/v1/{parent=shelves/*}/x", body="*"),
    )

    async def handler(request: Any, context: Any) -> Any:
        violation = struct_pb2.Value(string_value="x")
        await context.update(violation)
        return _field_type()

    async def scenario() -> None:
        registry = TypeRegistry.from_modules(_type_pb2())
        async with site(handled(method, handler), registry=registry) as here:
            start = await here.ask("POST", f"/v1/{PARENT}/x?fields=name", {})
            name = start.ok["name"]
            assert set(start.ok) == {"name"}
            done = await here.done(name)
            assert done["response"]["kind"] == "TYPE_INT64"
            for path, verb in (
                (f"/v1/{name}", "GET"),
                (f"/v1/{name}:wait", "POST"),
                (f"/v1/{PARENT}/operations", "GET"),
            ):
                reply = (await here.ask(verb, f"{path}?$alt=json;enum-encoding=int", None if verb == "GET" else {})).ok
                assert reply.get("operations", [reply])[0]["response"]["kind"] == 3
            page = (await here.get(f"/v1/{PARENT}/operations?fields=operations.response.kind&alt=json")).ok
            assert page == {
                "operations": [
                    {"response": {"@type": "type.googleapis.com/google.protobuf.Field", "kind": "TYPE_INT64"}}
                ]
            }
            pretty = await here.client.get(f"/v1/{name}?prettyPrint=true")
            assert pretty.text.startswith('{\n  "name"')
            assert pretty.json() == done

    run(scenario())


def _type_pb2() -> Any:
    from google.protobuf import type_pb2

    return type_pb2


def _field_type() -> Any:
    return _type_pb2().Field(kind=3, name="x")


# -- waiting and cancelling ---------------------------------------------------------------------------------------


@both_ways
def test_waiting(sockets: bool) -> None:
    """A wait ends when the operation is done, or its time is over, with the state of then (SRV-6, REST-1)."""

    async def scenario() -> None:
        gate = Gate()
        async with site(handled(IMPORT, gate.aio), sockets=sockets) as here:
            name = await here.start()
            for body in ({"timeout": "0s"}, {"timeout": "0.05s"}):
                assert "done" not in (await here.ask("POST", f"/v1/{name}:wait", body)).ok
            waiting = [
                asyncio.create_task(here.ask("POST", f"/v1/{name}:wait", body))
                for body in (None, {}, {"timeout": "3600s"})
            ]
            await asyncio.sleep(0.1)
            assert not any(wait.done() for wait in waiting)
            gate.open()
            assert all([(await wait).ok["done"] for wait in waiting])
            assert (await here.ask("POST", f"/v1/{name}:wait", {"timeout": "-1s"})).problem == (400, "INVALID_ARGUMENT")

    run(scenario())


def test_a_wait_has_an_end() -> None:
    """A wait takes no longer than the limit for HTTP, whatever it asks for: proxies do not wait for ever (SRV-6, REST-1)."""

    async def scenario() -> None:
        gate = Gate()
        async with site(handled(IMPORT, gate.aio), app={"limits": HttpLimits(max_wait=0.1)}) as here:
            name = await here.start()
            for body in (None, {"timeout": "315576000000s"}):
                assert "done" not in (await here.ask("POST", f"/v1/{name}:wait", body)).ok
            gate.open()

    run(scenario())


def test_cancelling() -> None:
    """A cancel is a request; what comes of it is read like everything else (SRV-4, REST-1)."""

    async def waits(request: Any, context: Any) -> Any:
        await context.sleep(30)

    async def scenario() -> None:
        async with site(handled(IMPORT, waits)) as here:
            name = await here.start()
            assert (await here.ask("POST", f"/v1/{name}:cancel")).ok == {}
            assert (await here.done(name))["error"]["code"] == 1

    run(scenario())


# -- bindings, and where the application is -----------------------------------------------------------------------


def test_another_prefix() -> None:
    """The five are where they are configured to be, and nowhere else (REST-1)."""

    async def scenario() -> None:
        async with site(app={"prefix": "/api/v1beta1"}) as here:
            name = await here.start()
            assert (await here.get(f"/api/v1beta1/{name}")).ok["name"] == name
            assert (await here.get(f"/v1/{name}")).problem == (404, "NOT_FOUND")
        async with site(app={"prefix": ""}) as here:
            name = await here.start()
            assert (await here.get(f"/{name}")).ok["name"] == name

    run(scenario())


def test_bindings_of_ones_own() -> None:
    """The five may have any bindings, also those of our client's default, and a server may go without some (REST-1)."""
    get = HttpBinding(verb="GET", path="/ops/{name=**}")
    bindings = OperationsBindings(
        get=(get,),
        list=(HttpBinding(verb="GET", path="/ops/{name=**}/all"), HttpBinding(verb="GET", path="/ops")),
        cancel=(HttpBinding(verb="PUT", path="/ops/{name=**}/stop", body="*"),),
        delete=(HttpBinding(verb="DELETE", path="/ops/{name=**}"),),
    )

    async def scenario() -> None:
        async with site(app={"bindings": bindings}) as here:
            name = await here.start()
            assert (await here.get(f"/ops/{name}")).ok["name"] == name
            assert (await here.get(f"/ops/{PARENT}/all")).ok["operations"][0]["name"] == name
            assert (await here.get("/ops")).problem == (400, "INVALID_ARGUMENT")
            assert (await here.ask("PUT", f"/ops/{name}/stop")).ok == {}
            assert (await here.ask("POST", f"/ops/{name}:wait")).problem == (405, "UNIMPLEMENTED")
            assert (await here.ask("DELETE", f"/ops/{name}")).ok == {}
        async with site(app={"bindings": OperationsBindings.under("/v1")}) as here:
            name = await here.start()
            assert (await here.done(name))["done"]
            assert (await here.get(f"/v1/{PARENT}/operations")).ok["operations"][0]["name"] == name

    run(scenario())


def test_methods_come_at_any_time() -> None:
    """A method that is registered while the server runs is served; one whose binding cannot be served stops nobody (REST-1)."""
    same_path = LroMethod(
        path="/x.Y/Z",
        request_type=library_pb2.DeleteShelfRequest,
        response_type=wrappers_pb2.StringValue,
        metadata_type=wrappers_pb2.StringValue,
        http=DELETE.http,
    )

    async def scenario() -> None:
        async with site(lambda server: None) as here:
            assert (await here.ask("DELETE", "/v1/shelves/1")).problem == (404, "NOT_FOUND")
            handled(DELETE, _nothing)(here.server)
            handled(same_path, _nothing)(here.server)
            handled(CREATE, _nothing, parent=PARENT, serve=False)(here.server)
            assert "name" in (await here.ask("DELETE", "/v1/shelves/1")).ok
            assert (await here.ask("POST", "/v1/shelves", {})).problem == (404, "NOT_FOUND")

    run(scenario())


def test_types_come_at_any_time() -> None:
    """A payload that nobody here knew is written by its type as soon as its method is registered (REST-1, JSON-2)."""

    async def scenario() -> None:
        store = MemoryStore()
        async with site(store=store) as here:
            done = await here.outcome()
        name = done["name"]
        async with site(lambda server: None, store=store) as here:
            opaque = (await here.get(f"/v1/{name}")).ok["response"]
            assert set(opaque) == {"@type", "@bytes"}
            handled(IMPORT, _nothing)(here.server)
            assert (await here.get(f"/v1/{name}")).ok == done
            assert (await here.ask("POST", f"/v1/{name}:wait")).ok == done
            assert (await here.get(f"/v1/{PARENT}/operations")).ok == {"operations": [done]}

    run(scenario())


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"prefix": "v1"}, ValueError),
        ({"prefix": "/v1/"}, ValueError),
        ({"prefix": "/{a}"}, ValueError),
        ({"openapi_path": "openapi.json"}, ValueError),
    ],
)
def test_what_cannot_be_served(options: dict[str, Any], error: type[Exception]) -> None:
    """What is configured wrongly is refused when the application is made (REST-1)."""
    with pytest.raises(error):
        asgi_app(bound(), **options)


def test_bindings_in_conflict() -> None:
    """Two methods with one binding, and a binding that does not fit its request, are refused by name (REST-1)."""
    for http, said in ((DELETE.http, "/x.Y/Z and"), (HttpBinding(verb="GET", path="/v1/{nosuch}"), "nosuch")):
        server = bound()
        method = LroMethod(
            path="/x.Y/Z",
            request_type=library_pb2.DeleteShelfRequest,
            response_type=wrappers_pb2.StringValue,
            metadata_type=wrappers_pb2.StringValue,
            http=http,
        )
        handled(method, _nothing)(server)
        with pytest.raises(ValueError, match=said):
            asgi_app(server)
    not_a_server: Any = object()
    with pytest.raises(TypeError, match="OperationsServer"):
        asgi_app(not_a_server)


@pytest.mark.parametrize(
    "middleware", [[], [Middleware(BaseHTTPMiddleware, dispatch=lambda request, following: following(request))]]
)
@both_ways
def test_mounted(sockets: bool, middleware: list[Middleware]) -> None:
    """Mounted into another application, at a path or at the top, behind middleware or not, everything is the same (REST-1)."""

    async def hello(_: Request) -> PlainTextResponse:
        return PlainTextResponse("hello")

    def around(path: str) -> Any:
        def made(app: Any) -> Starlette:
            return Starlette(routes=[Route("/hello", hello), Mount(path, app)], middleware=middleware)

        return made

    async def scenario() -> None:
        for path, root in (("/api/ops", "/api/ops"), ("", ""), ("/t/{tenant}", "/t/ü%20x")):
            async with site(sockets=sockets, around=around(path), root=root) as here:
                name = await here.start()
                assert (await here.done(name))["done"]
                assert (await here.get(f"/v1/{name.replace('/', '%2F')}")).problem[0] in {400, 404}
                assert (await here.get(f"/v1/{ABSENT}")).problem == (404, "NOT_FOUND")
                servers = (await here.get("/openapi.json")).ok.get("servers", [{"url": ""}])
                assert servers == [{"url": quote(unquote(root))}]
                outside = await here.client.get(str(here.client.base_url.copy_with(path="/hello")))
                assert outside.text == "hello"

    run(scenario())


def test_middleware_of_ones_own() -> None:
    """Middleware and handlers that are added to the application itself are run (REST-1)."""

    async def add_header(request: Request, following: Any) -> Any:
        response = await following(request)
        response.headers["x-seen"] = "yes"
        return response

    async def scenario() -> None:
        server = bound()
        app = asgi_app(server)
        app.add_middleware(BaseHTTPMiddleware, dispatch=add_header)
        transport = httpx.ASGITransport(app)
        async with server, httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            answer = await client.get(f"/v1/{ABSENT}")
            assert (answer.status_code, answer.headers["x-seen"]) == (404, "yes")
        app = asgi_app(bound())
        app.add_route("/hello", lambda _: PlainTextResponse("hello"))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            assert (await client.get("/v1/x")).status_code == 404  # everything is ours: routes of others go in front
            app.router.routes.reverse()
            assert (await client.get("/hello")).text == "hello"
            assert (await client.get("/v1/x")).status_code == 404

    run(scenario())


# -- starting and ending ------------------------------------------------------------------------------------------


def test_lifespan() -> None:
    """With manage_server the application enters the server when it starts, and ends it when it stops (REST-1)."""

    async def scenario() -> None:
        server = bound()
        async with listening(asgi_app(server, manage_server=True), lifespan="on") as port:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                assert (await client.delete("/v1/shelves/1")).status_code == 200
            assert server.loop is asyncio.get_running_loop()
        with pytest.raises(RuntimeError):
            _ = server.loop
        async with (
            listening(asgi_app(server), lifespan="on") as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
        ):
            answer = await client.delete("/v1/shelves/1")
            assert (answer.status_code, answer.json()["error"]["status"]) == (503, "UNAVAILABLE")

    run(scenario())


def test_a_server_that_does_not_run(caplog: pytest.LogCaptureFixture) -> None:
    """Before the server is entered, and after it has ended, every call is UNAVAILABLE, and one warning says why (REST-2)."""

    async def scenario() -> None:
        server = bound()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(asgi_app(server)), base_url="http://x") as client:
            here = Site(server, None, client)

            async def away() -> None:
                for verb, path in (("GET", ABSENT), ("DELETE", ABSENT), ("POST", f"{ABSENT}:cancel"), ("POST", f"{ABSENT}:wait"),
                                   ("GET", f"{PARENT}/operations"), ("DELETE", PARENT)):  # fmt: skip
                    assert (await here.ask(verb, f"/v1/{path}")).problem == (503, "UNAVAILABLE")
                assert (await here.get("/openapi.json")).ok["openapi"] == "3.1.0"

            await away()
            async with server:
                assert (await here.ask("DELETE", f"/v1/{PARENT}")).status == 200
            await away()

    with caplog.at_level(logging.WARNING, "longrunning.rest"):
        run(scenario())
    (said,) = (record.getMessage() for record in caplog.records if record.name == "longrunning.rest")
    assert "`async with server` in the lifespan of the outer application" in said


def test_a_method_without_a_binding_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """A method that cannot be started over HTTP, because it has no binding, is in the log (REST-1)."""
    server = OperationsServer(store=MemoryStore(), authorizer=AllowAll(), names=NamePattern("operations/{operation}"))
    kind = empty_pb2.Empty
    method = LroMethod(path="/acme.Things/Make", request_type=kind, response_type=kind, metadata_type=kind)

    @server.method(method)
    async def make(request: empty_pb2.Empty, context: Any) -> empty_pb2.Empty:
        return request

    with caplog.at_level(logging.INFO, "longrunning.rest"):
        asgi_app(server)
    assert [record.getMessage() for record in caplog.records] == [
        "/acme.Things/Make has no HTTP binding: it cannot be started over HTTP"
    ]


def test_waits_end_with_the_server() -> None:
    """Whoever waits when the server ends is told how things stand (SRV-6, REST-1)."""

    async def scenario() -> None:
        gate = Gate()
        server = bound(handled(IMPORT, gate.aio))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(asgi_app(server)), base_url="http://x") as client:
            here = Site(server, None, client)
            async with server:
                name = await here.start()
                waiting = asyncio.create_task(here.ask("POST", f"/v1/{name}:wait", {"timeout": "50s"}))
                await eventually(lambda: _waiters(server) > 0, what="a wait")
                gate.open()
            assert (await waiting).ok["name"] == name

    run(scenario())


def _waiters(server: OperationsServer) -> int:
    inside: Any = server
    return int(inside._running.waiting.count)


@both_ways
def test_a_server_on_a_thread_of_its_own(sockets: bool) -> None:
    """A server that runs on another event loop, as for grpc.server, is served all the same (REST-1)."""

    async def scenario() -> None:
        server = bound()
        await asyncio.to_thread(server.__enter__)
        try:
            async with _client(asgi_app(server), sockets) as client:
                here = Site(server, None, client)
                done = await here.outcome()
                assert done["done"]
                assert (await here.get(f"/v1/{ABSENT}")).problem == (404, "NOT_FOUND")
                assert (await here.get(f"/v1/{PARENT}/operations")).ok["operations"] == [done]
                assert server.loop is not asyncio.get_running_loop()
                assert (await here.ask("POST", f"/v1/{PARENT}/books:import", {"count": "x"})).problem[0] == 400
        finally:
            await asyncio.to_thread(server.__exit__, None, None, None)

    run(scenario())


@asynccontextmanager
async def _client(app: Any, sockets: bool) -> AsyncGenerator[httpx.AsyncClient, None]:
    if not sockets:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x", timeout=30) as client:
            yield client
        return
    async with listening(app) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        yield client


def test_beside_grpc() -> None:
    """One server, one store, both transports: what one starts, the other reads, waits for and ends (REST-1)."""

    async def scenario() -> None:
        gate = Gate()
        async with site(handled(IMPORT, gate.aio), with_grpc=True) as here:
            assert here.grpc is not None
            raw = here.grpc.raw
            by_http = await here.start()
            request = library_pb2.ImportBooksRequest(parent=PARENT, uri="x", count=1)
            by_grpc = (await raw.start(IMPORT, request)).name
            assert (await raw.get(by_http)).name == by_http
            assert (await here.get(f"/v1/{by_grpc}")).ok["name"] == by_grpc
            waiting = asyncio.create_task(here.ask("POST", f"/v1/{by_grpc}:wait", {"timeout": "20s"}))
            also = asyncio.ensure_future(raw.wait(by_http, 20))
            gate.open()
            assert (await waiting).ok["done"]
            assert (await also).done
            names = [operation.name for operation in (await raw.list(PARENT)).operations]
            assert names == [
                operation["name"] for operation in (await here.get(f"/v1/{PARENT}/operations")).ok["operations"]
            ]
            assert (await here.ask("DELETE", f"/v1/{by_grpc}")).ok == {}

    run(scenario())


# -- verbs and headers --------------------------------------------------------------------------------------------


@both_ways
def test_head_and_options(sockets: bool) -> None:
    """HEAD is GET without the body, OPTIONS tells what there is, and another verb is refused with that list (REST-1, REST-2)."""

    async def scenario() -> None:
        async with site(sockets=sockets) as here:
            name = (await here.outcome())["name"]
            got, head = await here.client.get(f"/v1/{name}"), await here.client.head(f"/v1/{name}")
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["content-length"] == got.headers["content-length"] == str(len(got.content))
            assert (await called(here.app, "HEAD", f"/v1/{name}".encode())).body is None
            absent = await here.client.head(f"/v1/{ABSENT}")
            assert (absent.status_code, absent.content) == (404, b"")
            options = await here.ask("OPTIONS", f"/v1/{name}")
            assert (options.status, options.headers["allow"], options.body) == (204, "DELETE, GET, HEAD, OPTIONS", None)
            assert (await here.ask("OPTIONS", "/v1/shelves")).headers["allow"] == "OPTIONS, POST"
            assert (await here.ask("OPTIONS", "/nothing")).problem == (404, "NOT_FOUND")
            for verb in ("PUT", "PATCH", "POST", "TRACE", "X"):
                refused = await here.ask(verb, f"/v1/{name}")
                assert refused.problem == (405, "UNIMPLEMENTED")
                assert refused.headers["allow"] == "DELETE, GET, HEAD, OPTIONS"
            assert (await here.ask("POST", "/openapi.json")).headers["allow"] == "GET, HEAD, OPTIONS"
            assert (await here.ask("OPTIONS", "/openapi.json")).status == 204
            assert (await here.client.head("/openapi.json")).content == b""

    run(scenario())


def test_headers_of_replies() -> None:
    """No reply is to be cached, or taken for anything but JSON (REST-1)."""

    async def scenario() -> None:
        async with site() as here:
            for path in (f"/v1/{ABSENT}", "/openapi.json", f"/v1/{PARENT}/operations", "/x"):
                headers = (await here.get(path)).headers
                assert headers["cache-control"] == "no-store"
                assert headers["content-type"] == "application/json"
                assert headers["x-content-type-options"] == "nosniff"

    run(scenario())


# -- what it takes ------------------------------------------------------------------------------------------------


def test_it_needs_no_grpc() -> None:
    """Serving over HTTP alone loads neither gRPC nor httpx (PKG-1, REST-1)."""
    program = (
        "import sys; sys.modules['grpc'] = sys.modules['httpx'] = None\n"
        "from longrunning.rest import asgi_app\n"
        "from longrunning.server import AllowAll, MemoryStore, OperationsServer\n"
        "print(type(asgi_app(OperationsServer(store=MemoryStore(), authorizer=AllowAll()))).__mro__[1].__name__)"
    )
    result = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "Starlette\n"), result.stderr


def test_without_starlette() -> None:
    """Without Starlette the application is a MissingExtraError, and the client is there (PKG-1, REST-1)."""
    program = (
        "import sys; sys.modules['starlette'] = None\n"
        "import longrunning.rest\n"
        "from longrunning.errors import MissingExtraError\n"
        "try:\n"
        "    longrunning.rest.asgi_app\n"
        "except MissingExtraError as error:\n"
        "    print(error.extra, '|', error)\n"
        "longrunning.rest.RestTransport, longrunning.rest.HttpLimits\n"
    )
    result = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert (
        result.stdout
        == "rest | serving operations over HTTP needs an optional dependency: pip install 'longrunning[rest]'\n"
    )


def test_nothing_is_left_behind() -> None:
    """When everything has ended no thread of ours is left that would keep a process alive (REST-1)."""

    async def scenario() -> None:
        async with site(sockets=True) as here:
            big = {"uri": "x" * 200_000}
            assert (await here.ask("POST", f"/v1/{PARENT}/books:import", big)).status == 200

    before = set(threading.enumerate())
    run(scenario())
    assert not [thread for thread in set(threading.enumerate()) - before if not thread.daemon]


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_body_bytes": 0},
        {"max_wait": 0},
        {"body_timeout": -1},
        {"max_buffered_bytes": 1},
        {"max_path_bytes": 1.5},
        {"max_wait": "1"},
    ],
)
def test_limits(wrong: dict[str, Any]) -> None:
    """Limits that make no sense are refused (REST-2)."""
    with pytest.raises((ValueError, TypeError)):
        HttpLimits(**wrong)
