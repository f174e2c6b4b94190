# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""All of the client over HTTP/JSON: start, wait, watch, list, cancel, delete, in both colours, and what goes over the wire."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import pickle
import threading
from typing import Any

import pytest
from google.protobuf import struct_pb2

from example.library.v1 import library_pb2
from longrunning import Code, HttpBinding, OperationState, PollPolicy, RpcError, StartError, UnknownPayload
from longrunning.errors import OperationNotFoundError, ResumeTokenError
from longrunning.rest import OperationsBindings
from longrunning.testing import (
    Gate,
    ScriptedOperations,
    WaitSupport,
    cancelled,
    delayed,
    failed,
    no_result,
    pending,
    rpc_error,
    succeeded,
)
from tests.pair.colours import (
    GET,
    IMPORT_BOOKS,
    NAME,
    REQUEST,
    RESPONSE,
    Both,
    both_colours,
    came_in,
    imported,
    metadata,
    polls,
    progress,
)
from tests.pair.rest_serving import (
    CREATE,
    DELETE,
    IMPORT,
    Canned,
    Seen,
    answering,
    http_client,
    rest_client,
    rest_pair,
    serving,
)

WAIT = "WaitOperation"
WAITS = PollPolicy(jitter=0)
DONE = {"name": NAME, "done": True}
ODD = "projects/p q/locations/ü/operations/a?b=c&d#e%2F:f"


def requests(pair: Any) -> list[tuple[str, str]]:
    """Verb and target of every request."""
    return [(seen.verb, seen.target) for seen in pair.edge.seen]


# -- the verbs ----------------------------------------------------------------------------------------------------


@both_colours
async def test_start_to_end(both: Both) -> None:
    """An operation is started by its HTTP binding, waited for with the usual pauses, and its result has its type (REST-1, WAIT-1)."""
    scripted = ScriptedOperations()
    scripted.starts(IMPORT, progress(1), progress(2), progress(3), imported())
    async with rest_pair(both, scripted, policy=polls(jitter=0)) as pair:
        handle = await both(pair.client.start(IMPORT, REQUEST))
        assert handle.operation.metadata == metadata(1)
        assert await both(handle.result()) == RESPONSE
        assert handle.operation.metadata == metadata(4)
        assert pair.clock.sleeps == [1, 1.5, 2.25]
        assert requests(pair) == [("POST", "/v1/shelves/1/books:import"), *[("GET", f"/v1/{handle.name}")] * 3]
        assert pair.edge.seen[0].json == {"uri": "file:books", "count": 4}
        assert scripted.calls[0].request == REQUEST


@both_colours
async def test_bindings_of_each_kind(both: Both) -> None:
    """The body is all of a request, a field of it, or nothing; what is left goes into the query (REST-1)."""
    create = library_pb2.CreateShelfRequest(shelf_id="new & old+ü", shelf=library_pb2.Shelf(theme="music"))
    delete = library_pb2.DeleteShelfRequest(name="shelves/a b")
    scripted = ScriptedOperations()
    scripted.starts(CREATE, succeeded(library_pb2.Shelf(name="shelves/new")))
    scripted.starts(DELETE, no_result())
    async with rest_pair(both, scripted) as pair:
        shelf = await both((await both(pair.client.start(CREATE, create))).result())
        await both(pair.client.start(DELETE, delete))
        assert shelf == library_pb2.Shelf(name="shelves/new")
        assert requests(pair) == [
            ("POST", "/v1/shelves?shelfId=new%20%26%20old%2B%C3%BC"),
            ("DELETE", "/v1/shelves/a%20b"),
        ]
        assert pair.edge.seen[0].json == {"theme": "music"}
        assert pair.edge.seen[1].body == b""
        assert [call.request for call in scripted.calls] == [create, delete]


@both_colours
async def test_start_without_binding(both: Both) -> None:
    """A method without an HTTP binding cannot be started over REST: UNIMPLEMENTED, and nothing is sent (REST-1, ERR-1)."""
    async with rest_pair(both) as pair:
        with pytest.raises(StartError, match="declares no HTTP binding") as caught:
            await both(pair.client.start(IMPORT_BOOKS, REQUEST))
        assert caught.value.code is Code.UNIMPLEMENTED
        assert requests(pair) == []


@both_colours
async def test_start_without_parent(both: Both) -> None:
    """A request without what its path needs is INVALID_ARGUMENT, as servers over gRPC say, and nothing is sent (REST-1, ERR-1)."""
    async with rest_pair(both) as pair:
        with pytest.raises(StartError, match="parent is empty") as caught:
            await both(pair.client.start(IMPORT, library_pb2.ImportBooksRequest(uri="file:books")))
        assert (caught.value.code, caught.value.method) == (Code.INVALID_ARGUMENT, IMPORT.path)
        assert requests(pair) == []


@both_colours
async def test_start_that_fails(both: Both) -> None:
    """A start that is refused is a StartError with the code of the server (ERR-1, REST-2)."""
    scripted = ScriptedOperations()
    scripted.starts(IMPORT, rpc_error(Code.ALREADY_EXISTS, "it is there"))
    async with rest_pair(both, scripted) as pair:
        with pytest.raises(StartError, match="it is there") as caught:
            await both(pair.client.start(IMPORT, REQUEST))
        assert caught.value.code is Code.ALREADY_EXISTS


@both_colours
async def test_resume(both: Both) -> None:
    """A resume token of one transport is good for another, typed, its method checked (CTRL-1)."""
    async with rest_pair(both, {NAME: [imported()]}) as pair:
        token = json.loads(json.dumps(pair.client.attach(NAME, IMPORT).resume_token))
        handle = pair.client.resume(token, IMPORT_BOOKS)
        assert await both(handle.result()) == RESPONSE
        with pytest.raises(ResumeTokenError):
            pair.client.resume(token, CREATE)


@both_colours
async def test_outcomes(both: Both) -> None:
    """Failed, cancelled and without result read as over gRPC (SNAP-1, SNAP-2)."""
    scripts = {"a/1": [failed(Code.INTERNAL, "boom")], "a/2": [cancelled("no")], "a/3": [no_result()]}
    async with rest_pair(both, scripts) as pair:
        found = [await both(pair.client.attach(name, IMPORT).wait()) for name in scripts]
        assert [item.state for item in found] == [
            OperationState.FAILED,
            OperationState.CANCELLED,
            OperationState.SUCCEEDED,
        ]
        assert not found[2].has_result
        assert pickle.loads(pickle.dumps(found[0])) == found[0]


@both_colours
async def test_watch(both: Both) -> None:
    """Watching yields each change once, and the final snapshot last (PROG-2)."""
    async with rest_pair(both, {NAME: [progress(1, times=3), progress(2), imported()]}) as pair:
        seen = await both.collect(pair.client.attach(NAME, IMPORT).watch())
        assert [item.metadata.done for item in seen] == [1, 2, 4]


@both_colours
async def test_cancel_and_delete(both: Both) -> None:
    """Cancel is a POST of {} and a request only; delete is a DELETE, after which the name is unknown (CTRL-2, CTRL-3, REST-1)."""
    async with rest_pair(both, {NAME: [pending(times=2), imported()]}) as pair:
        handle = pair.client.attach(NAME, IMPORT)
        await both(handle.cancel())
        assert (await both(handle.wait())).state is OperationState.CANCELLED
        await both(handle.delete())
        with pytest.raises(OperationNotFoundError):
            await both(pair.client.get(NAME))
        sent = pair.edge.seen
        assert [(seen.verb, seen.target) for seen in sent[:1] + sent[-2:]] == [
            ("POST", f"/v1/{NAME}:cancel"),
            ("DELETE", f"/v1/{NAME}"),
            ("GET", f"/v1/{NAME}"),
        ]
        assert (sent[0].body, sent[0].headers["content-type"]) == (b"{}", "application/json")
        assert "content-type" not in sent[-1].headers


@both_colours
async def test_cancel_without_content(both: Both) -> None:
    """An answer to cancel and delete may be empty (REST-1)."""
    with answering(Canned(204), Canned(200, b"")) as edge:
        client = rest_client(both, edge.url)
        await both(client.cancel(NAME))
        await both(client.delete(NAME))
        await both(client.close())
        assert len(edge.seen) == 2


@both_colours
async def test_unimplemented(both: Both) -> None:
    """A server that cannot cancel says UNIMPLEMENTED (CTRL-2)."""
    scripted = ScriptedOperations({NAME: [pending()]})
    scripted.fails("CancelOperation", rpc_error(Code.UNIMPLEMENTED, "no"))
    async with rest_pair(both, scripted) as pair:
        with pytest.raises(RpcError) as caught:
            await both(pair.client.cancel(NAME))
        assert caught.value.code is Code.UNIMPLEMENTED


@both_colours
async def test_list(both: Both) -> None:
    """Lists come page by page, with filter and partial success as parameters, mixed and unknown types together (CTRL-4, REST-1)."""
    parent = "projects/p/locations/l"
    odd = struct_pb2.Struct()
    odd.update({"a": 1})
    scripted = ScriptedOperations(
        {
            f"{parent}/operations/1": [imported()],
            f"{parent}/operations/2": [pending(odd)],
            f"{parent}/operations/3": [failed(Code.ABORTED, "x")],
        },
        page_size=2,
        unreachable=["projects/p/locations/m"],
    )
    async with rest_pair(both, scripted) as pair:
        pager = pair.client.list(parent, filter='done AND name = "a&b"', return_partial_success=True)
        pages = await both.collect(pager.pages())
        assert [len(page) for page in pages] == [2, 1]
        assert pages[-1].unreachable == ("projects/p/locations/m",)
        items = [item for page in pages for item in page]
        assert [type(item.metadata).__name__ for item in items] == ["ImportBooksMetadata", "Struct", "NoneType"]
        first, second = (seen.query for seen in pair.edge.seen)
        assert first == {"filter": ['done AND name = "a&b"'], "returnPartialSuccess": ["true"]}
        assert second == first | {"pageToken": [pages[0].next_page_token]}
        assert await both.collect(pair.client.list(parent, page_size=1))
        assert pair.edge.seen[-1].query["pageSize"] == ["1"]


@both_colours
async def test_unknown_types(both: Both) -> None:
    """An unknown @type and unknown fields fail neither an operation nor the page it is on (JSON-2, CTRL-4)."""
    payload = {"@type": "type.googleapis.com/example.Unknown", "deep": {"x": ["ü"]}}
    operation = {"name": NAME, "metadata": payload, "fieldOfTheFuture": {"a": 1}}
    with answering(Canned(200, operation), Canned(200, {"operations": [operation, DONE], "more": 1})) as edge:
        client = rest_client(both, edge.url)
        found = await both(client.get(NAME))
        assert isinstance(found.metadata, UnknownPayload)
        assert json.loads(found.to_json()) == operation
        assert len(await both.collect(client.list(""))) == 2
        await both(client.close())


@both_colours
async def test_enums_and_long_numbers(both: Both) -> None:
    """Enums by number ($alt=json;enum-encoding=int) and 64-bit numbers as text are read like names and numbers (JSON-1, REST-2)."""
    from google.cloud.redis_v1 import CreateInstanceRequest, Instance
    from google.cloud.redis_v1.types import OperationMetadata

    from longrunning import LroMethod

    method = LroMethod(
        path="/google.cloud.redis.v1.CloudRedis/CreateInstance",
        request_type=CreateInstanceRequest,
        response_type=Instance,
        metadata_type=OperationMetadata,
    )
    kind = "type.googleapis.com/google.cloud.redis.v1.Instance"

    def operation(state: object, size: object) -> Canned:
        return Canned(200, DONE | {"response": {"@type": kind, "state": state, "memorySizeGb": size}})

    with answering(operation(2, "7"), operation("READY", 7), operation("OF_THE_FUTURE", 7)) as edge:
        client = rest_client(both, edge.url)
        for state in (Instance.State.READY, Instance.State.READY, Instance.State.STATE_UNSPECIFIED):
            instance = (await both(client.get(NAME, method))).result()
            assert (instance.state, instance.memory_size_gb) == (state, 7)
        await both(client.close())


# -- what goes over the wire ----------------------------------------------------------------------------------------


@both_colours
async def test_odd_names(both: Both) -> None:
    """A name with characters that mean something in a URL reaches the server as it is (SNAP-7, REST-1)."""
    async with rest_pair(both, {ODD: [pending(), imported()]}) as pair:
        handle = pair.client.attach(ODD, IMPORT)
        assert await both(handle.result()) == RESPONSE
        await both(handle.delete())
        assert {call.name for call in pair.scripted.calls} == {ODD}
        assert pair.edge.seen[0].target == ("/v1/projects/p%20q/locations/%C3%BC/operations/a%3Fb%3Dc%26d%23e%252F%3Af")


@pytest.mark.parametrize("name", ["operations/../../admin", "..", "./operations"])
@both_colours
async def test_names_that_lead_elsewhere(both: Both, name: str) -> None:
    """A name with dot segments is INVALID_ARGUMENT, as over gRPC, and nothing is sent (REST-1, SRV-1)."""
    async with rest_pair(both) as pair:
        for verb in (pair.client.get, pair.client.cancel, pair.client.delete):
            with pytest.raises(RpcError, match="no path can carry") as caught:
                await both(verb(name))
            assert caught.value.code is Code.INVALID_ARGUMENT
        with pytest.raises(RpcError, match="no path can carry"):
            await both.collect(pair.client.list(name))
        assert requests(pair) == []


@both_colours
async def test_headers(both: Both) -> None:
    """The caller's headers reach every request, with one routing header; binary ones are base64 (WAIT-10, REST-1)."""
    given = [
        ("x-tenant", "t"),
        ("x-goog-request-params", "name=other"),
        ("trace-bin", b"\x00\xff"),
        ("accept", "text/html"),
    ]
    kept = list(given)
    async with rest_pair(both, {NAME: [pending(), imported()]}, metadata=[("x-client", "c")]) as pair:
        handle = pair.client.attach(NAME, IMPORT, metadata=given)
        await both(handle.cancel())
        await both(handle.wait())
        await both(handle.delete())
        assert len(pair.edge.seen) == 3
        for seen in pair.edge.seen:
            assert seen.headers["x-tenant"] == "t"
            assert seen.headers["x-client"] == "c"
            assert seen.headers["trace-bin"] == "AP8"
            assert seen.headers["x-goog-request-params"] == f"name={NAME}"
            assert seen.headers["accept"] == "application/json"
            assert seen.headers["user-agent"].startswith("longrunning/")
    assert given == kept


@both_colours
async def test_header_injection(both: Both) -> None:
    """A header that would smuggle in another one is refused before anything is sent (REST-1)."""
    async with rest_pair(both, {NAME: [imported()]}) as pair:
        for value in ("a\r\nx-admin: 1", "a\n", "\x00", "ü"):
            with pytest.raises(ValueError, match="cannot be sent"):
                await both(pair.client.get(NAME, metadata=[("x-tenant", value)]))
        assert requests(pair) == []


@pytest.mark.parametrize(("key", "value"), [("content-length", "0"), ("transfer-encoding", "chunked")])
@both_colours
async def test_where_a_request_ends(both: Both, key: str, value: str) -> None:
    """A header cannot say where a request ends: otherwise a server would start something else than was asked for (REST-1)."""
    with answering(Canned(200, DONE)) as edge:
        client = rest_client(both, edge.url)
        await both(client.start(IMPORT, REQUEST, metadata=[(key, value)]))
        await both(client.close())
        assert edge.seen[0].json == {"uri": "file:books", "count": 4}


@both_colours
async def test_a_path_in_the_url(both: Both) -> None:
    """The URL of a server may have a path, which goes before those of bindings; bindings may be others (REST-1)."""
    bindings = dataclasses.replace(
        OperationsBindings.under("/v2"), get=(HttpBinding(verb="GET", path="/v2/{name=operations/*}/state"),)
    )
    with answering(Canned(200, DONE)) as edge:
        client = rest_client(both, f"{edge.url}/api/", bindings=bindings)
        await both(client.get(NAME))
        await both(client.cancel(NAME))
        await both(client.close())
        assert [seen.path for seen in edge.seen] == [f"/api/v2/{NAME}/state", f"/api/v2/{NAME}:cancel"]


@both_colours
async def test_parameters_of_the_http_client(both: Both) -> None:
    """Parameters, headers and cookies of the caller's HTTP client go along with ours (REST-1)."""
    with answering(Canned(200, {}, (("set-cookie", "node=7"),))) as edge:
        own = http_client(both, params={"$alt": "json;enum-encoding=int", "key": "k"}, headers={"x-own": "1"})
        client = rest_client(both, edge.url, http_client=own)
        await both.collect(client.list("p", page_size=3))
        await both.collect(client.list("p"))
        await both(own.close() if both.sync else own.aclose())
        assert edge.seen[0].query == {"$alt": ["json;enum-encoding=int"], "key": ["k"], "pageSize": ["3"]}
        assert edge.seen[1].headers["cookie"] == "node=7"
        assert edge.seen[1].headers["x-own"] == "1"


@both_colours
async def test_cookies(both: Both) -> None:
    """A cookie of a server is not sent back, so that none can spoil the requests after it (REST-1)."""
    with answering(Canned(200, DONE, (("set-cookie", "a=b"), ("set-cookie", "c=\u00ff\u00fe")))) as edge:
        client = rest_client(both, edge.url)
        for _ in range(2):
            assert (await both(client.get(NAME))).done
        await both(client.close())
        assert "cookie" not in edge.seen[1].headers


@both_colours
async def test_cookies_that_cannot_be_sent(both: Both) -> None:
    """Where the caller's HTTP client keeps a cookie that no request can carry, that is an error like any other (ERR-1)."""
    with answering(Canned(200, DONE, (("set-cookie", "c=\u00ff"),))) as edge:
        own = http_client(both)
        client = rest_client(both, edge.url, http_client=own)
        assert (await both(client.get(NAME))).done
        with pytest.raises(RpcError, match="header that cannot be sent") as caught:
            await both(client.get(NAME))
        assert caught.value.code is Code.INTERNAL
        await both(own.close() if both.sync else own.aclose())


# -- WaitOperation --------------------------------------------------------------------------------------------------


@both_colours
async def test_wait_operation(both: Both) -> None:
    """Where the server has POST :wait, it waits itself, and completion is noticed at once (WAIT-5, REST-1)."""
    scripted = ScriptedOperations({NAME: [pending(), imported()]}, wait_support=WaitSupport.SERVED)
    async with rest_pair(both, scripted, waits=True, policy=WAITS) as pair:
        assert await both(pair.client.attach(NAME, IMPORT).result()) == RESPONSE
        assert pair.edge.seen[0].target == f"/v1/{NAME}:wait"
        assert pair.edge.seen[0].json == {"timeout": "30s"}
        assert GET not in scripted.rpcs()


@both_colours
async def test_no_wait_operation(both: Both) -> None:
    """That a path leads nowhere is learned once per client, and polling takes over (WAIT-5)."""
    async with rest_pair(both, {"a/1": [imported()], "a/2": [imported()]}, policy=WAITS) as pair:
        for name in ("a/1", "a/2"):
            assert (await both(pair.client.attach(name, IMPORT).wait())).done
        assert requests(pair) == [("POST", "/v1/a/1:wait"), ("GET", "/v1/a/1"), ("GET", "/v1/a/2")]


@pytest.mark.parametrize("status", [405, 501])
@both_colours
async def test_refused_wait_operation(both: Both, status: int) -> None:
    """405 and 501 mean the same (WAIT-5)."""
    with answering(Canned(status), Canned(200, DONE)) as edge:
        client = rest_client(both, edge.url, policy=WAITS)
        for _ in range(2):
            assert (await both(client.attach(NAME, IMPORT).wait())).done
        await both(client.close())
        assert [seen.verb for seen in edge.seen] == ["POST", "GET", "GET"]


@both_colours
async def test_wait_that_does_not_know_the_name(both: Both) -> None:
    """A NOT_FOUND of the service itself from WaitOperation is confirmed by GetOperation (WAIT-5, WAIT-7)."""
    async with rest_pair(both, waits=True, policy=WAITS) as pair:
        pair.scripted.wait_support = WaitSupport.SERVED
        with pytest.raises(OperationNotFoundError):
            await both(pair.client.attach(NAME, IMPORT).wait())
        assert pair.scripted.rpcs() == [WAIT, GET]


@both_colours
async def test_no_binding_for_wait(both: Both) -> None:
    """Without a binding WaitOperation is not tried (WAIT-5, REST-1)."""
    bindings = dataclasses.replace(OperationsBindings.under(), wait=())
    async with rest_pair(both, {NAME: [imported()]}, policy=WAITS, bindings=bindings) as pair:
        with pytest.raises(RpcError) as caught:
            await both(pair.client.wait_operation(NAME, 1))
        assert caught.value.code is Code.UNIMPLEMENTED
        assert (await both(pair.client.attach(NAME, IMPORT).wait())).done
        assert [verb for verb, _ in requests(pair)] == ["GET"]


@both_colours
async def test_wait_operation_as_a_verb(both: Both) -> None:
    """The raw RPC sends its timeout, and none where there is none (REST-1)."""
    with answering(Canned(200, {"name": NAME})) as edge:
        client = rest_client(both, edge.url)
        assert not (await both(client.wait_operation(NAME, 2.5))).done
        await both(client.wait_operation(NAME, None))
        await both(client.close())
        assert [seen.json for seen in edge.seen] == [{"timeout": "2.5s"}, {}]


def test_waits_leave_connections_for_others() -> None:
    """Of 60 waits 50 hold a connection at once, the others poll, and all are answered (WAIT-5, WAIT-11)."""
    everybody, opened, polled, waiting = threading.Event(), threading.Semaphore(0), threading.Semaphore(0), 0

    def answer(seen: Seen) -> Canned:
        nonlocal waiting
        if seen.target.endswith(":wait"):
            waiting += 1
            opened.release()
            everybody.wait(10)
            return Canned(200, DONE)
        polled.release()
        return Canned(200, DONE | {"done": everybody.is_set()})

    async def body() -> None:
        both = Both("async")
        with answering(answer) as edge:
            client = rest_client(both, edge.url, policy=PollPolicy(initial=0.05, maximum=0.05), clock=None)
            handles = [client.attach(f"operations/{number}") for number in range(60)]
            task = asyncio.ensure_future(client.wait_all(handles))
            for _ in range(50):
                assert await asyncio.to_thread(opened.acquire, timeout=10)
            for _ in range(20):
                assert await asyncio.to_thread(polled.acquire, timeout=10)
            assert waiting == 50
            everybody.set()
            assert all(item.done for item in await task)
            await client.close()

    asyncio.run(body())


# -- many at once ---------------------------------------------------------------------------------------------------


@both_colours
async def test_many(both: Both) -> None:
    """Two hundred waits at once end with their results, in order (WAIT-11)."""
    names = [f"operations/{number}" for number in range(200)]
    async with rest_pair(both, {name: [pending(), imported()] for name in names}) as pair:
        found = await both(pair.client.wait_all([pair.client.attach(name, IMPORT) for name in names]))
        assert [item.name for item in found] == names
        assert all(item.result() == RESPONSE for item in found)


@both_colours
async def test_many_through_lists(both: Both) -> None:
    """Waiting through lists costs a request a page (WAIT-11, CTRL-4)."""
    names = [f"p/operations/{number}" for number in range(20)]
    async with rest_pair(both, {name: [imported()] for name in names}) as pair:
        handles = [pair.client.attach(name, IMPORT) for name in names]
        found = await both(pair.client.wait_all(handles, list_parent="p"))
        assert all(item.done for item in found)
        assert len(pair.edge.seen) == 1


@both_colours
async def test_one_failure_among_many(both: Both) -> None:
    """A name that cannot be asked for is one error among the results (WAIT-11, REST-1)."""
    async with rest_pair(both, {NAME: [imported()]}) as pair:
        handles = [pair.client.attach(name) for name in (NAME, "a/../b", "none")]
        good, odd, unknown = await both(pair.client.wait_all(handles))
        assert good.done
        assert (odd.code, unknown.code) == (Code.INVALID_ARGUMENT, Code.NOT_FOUND)


def test_a_wait_is_interrupted() -> None:
    """A wait whose task is cancelled leaves the connections usable, and the operation alone (WAIT-9)."""

    async def body() -> None:
        gate = Gate()
        async with rest_pair(Both("async"), {NAME: [delayed(imported(), gate)]}) as pair:
            task = asyncio.ensure_future(pair.client.attach(NAME, IMPORT).wait())
            await pair.scripted.wait_until_aio(came_in(1))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            gate.open()
            assert (await pair.client.get(NAME, IMPORT)).done
            assert "CancelOperation" not in pair.scripted.rpcs()

    asyncio.run(body())


@both_colours
async def test_cancel_on_exit(both: Both) -> None:
    """A wait that is interrupted cancels the operation where it was told to (WAIT-9)."""

    def interrupt(snapshot: object) -> None:
        raise KeyboardInterrupt

    async with rest_pair(both, {NAME: [pending(times=None)]}) as pair:
        with pytest.raises(KeyboardInterrupt):
            await both(pair.client.attach(NAME, IMPORT).wait(on_progress=interrupt, cancel_on_exit=True))
        assert pair.scripted.rpcs() == [GET, "CancelOperation"]


def test_two_servers_at_once() -> None:
    """Two clients know nothing of each other (law 8)."""
    both = Both("sync")
    with (
        serving({NAME: [imported()]}) as (_, first),
        serving({NAME: [pending()]}) as (_, second),
        rest_client(both, first.url) as one,
        rest_client(both, second.url) as two,
    ):
        assert one.get(NAME).done
        assert not two.get(NAME).done
