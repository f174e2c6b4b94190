# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""One table of names and errors, asked over gRPC and over HTTP: the answers are the same, word for word."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Sequence
from typing import Any, Final
from urllib.parse import quote

import grpc
import pytest
from google.protobuf import json_format
from google.rpc import error_details_pb2

from example.library.v1 import library_pb2
from longrunning import Code, HttpBinding, LroMethod, Operation, OperationError, Status, TypeRegistry, UnknownPayload
from longrunning.errors import StoreUnavailableError
from longrunning.rest import OperationsBindings
from longrunning.server import Access, Call, LocalExecutor, MemoryStore
from tests.pair.asgi_serving import ABSENT, IMPORT, Reply, Site, called, site
from tests.pair.callers import FIVE, ON_ONE, Caller, Said, Tenants
from tests.pair.meddling import Meddled, failing
from tests.pair.serving import PARENT, Gate, handled, imports
from tests.pair.test_server_hostile import MALFORMED_NAMES, PARENTS_OF_NOTHING, UNKNOWN_NAMES
from tests.unit.builders import add_message, file_set, proto_file

# By these bindings every name has a path: what is wrong with it is for the service to say.
ALL_NAMES: Final = {"bindings": OperationsBindings.under("/v1"), "openapi_path": None}
HOW: Final = {
    "GetOperation": ("GET", ""),
    "DeleteOperation": ("DELETE", ""),
    "CancelOperation": ("POST", ":cancel"),
    "WaitOperation": ("POST", ":wait"),
    "ListOperations": ("GET", "/operations"),
}
NO_PATH_HAS: Final = 2000  # characters: longer names are refused as paths that are too long


def run(playing: Coroutine[Any, Any, None]) -> None:
    """Plays a scenario; one that hangs fails."""
    asyncio.run(asyncio.wait_for(playing, 60))


class Both:
    """Asks both ways, and compares."""

    def __init__(self, here: Site) -> None:
        assert here.grpc is not None
        self._app = here.app
        self._caller = Caller(here.grpc.channel)

    async def about(self, rpc: str, name: str, *, query: str = "", **fields: Any) -> Code:
        """One of the five methods; the code that both answered with."""
        verb, suffix = HOW[rpc]
        path = f"/v1/{quote(name, safe='/')}{suffix}{query}".encode()
        body = b'{"timeout":"0s"}' if rpc == "WaitOperation" else b""
        return same(await self._caller.about(rpc, name, **fields), await called(self._app, verb, path, body))

    async def start(self, request: library_pb2.ImportBooksRequest) -> Code:
        """A start; the code that both answered with."""
        document = json_format.MessageToDict(request)
        parent = document.pop("parent", "")
        path = f"/v1/{quote(parent, safe='/')}/books:import".encode()
        said = await self._caller.ask(IMPORT.path, request)
        return same(said, await called(self._app, "POST", path, json.dumps(document).encode()))


def same(said: Said, reply: Reply) -> Code:
    """The code of two answers that say the same."""
    code = Code(said.code.value[0])
    if code is Code.OK:
        assert reply.status == 200, reply
        return code
    _, name = reply.problem
    error = reply.body["error"]
    assert (name, error["message"]) == (code.name, said.message), (said, error)
    assert len(error.get("details", [])) == len(said.details)
    for ours, theirs in zip(error.get("details", []), said.details, strict=True):
        assert ours["@type"] == theirs.type_url
        if "@bytes" not in ours:
            assert ours == json_format.MessageToDict(theirs)
    return code


def test_names() -> None:
    """Of every name, malformed or unknown, both transports say the same (REST-1, SRV-1)."""

    async def scenario() -> None:
        async with site(with_grpc=True, app=ALL_NAMES) as here:
            both = Both(here)
            # `/v1/{parent}/operations` is a list, and so is `/v1/operations`; an empty name has no path; and names of a megabyte
            # have no path either. Those are asked below.
            names = [name for name in MALFORMED_NAMES if name and len(name) < NO_PATH_HAS and not _has_dots(name)]
            asked = 0
            for name in (*names, *UNKNOWN_NAMES):
                for rpc in ON_ONE:
                    if rpc == "GetOperation" and name.endswith("operations"):
                        continue
                    expected = Code.NOT_FOUND if name in UNKNOWN_NAMES else Code.INVALID_ARGUMENT
                    assert await both.about(rpc, name) is expected, (rpc, name)
                    asked += 1
            assert asked > 200

    run(scenario())


def _has_dots(name: str) -> bool:
    return not {".", ".."}.isdisjoint(name.split("/"))


def test_names_that_no_path_can_carry() -> None:
    """A name that no path can carry is a mistake of the caller's over HTTP, too, in words of its own (REST-2)."""

    async def scenario() -> None:
        async with site(with_grpc=True, app=ALL_NAMES) as here:
            for name in MALFORMED_NAMES:
                if len(name) < NO_PATH_HAS and not _has_dots(name):
                    continue
                for verb, suffix in HOW.values():
                    reply = await called(here.app, verb, f"/v1/{quote(name, safe='/')}{suffix}".encode())
                    assert reply.problem[0] in {400, 414}
                    assert reply.problem[1] == "INVALID_ARGUMENT"

    run(scenario())


def test_names_at_the_default_paths() -> None:
    """At the documented paths a name is what the service says of it, or leads nowhere: never to something else (REST-1)."""

    async def scenario() -> None:
        async with site(with_grpc=True) as here:
            for name in (*MALFORMED_NAMES, *UNKNOWN_NAMES):
                for rpc in ON_ONE:
                    verb, suffix = HOW[rpc]
                    reply = await called(here.app, verb, f"/v1/{quote(name, safe='/')}{suffix}".encode())
                    if verb == "GET" and name.endswith("operations"):
                        assert reply.status in {200, 400}  # a list
                        continue
                    expected = {(404, "NOT_FOUND"), (405, "UNIMPLEMENTED")}
                    if name not in UNKNOWN_NAMES:
                        expected |= {(400, "INVALID_ARGUMENT"), (414, "INVALID_ARGUMENT")}
                    if name == PARENT and verb == "DELETE":  # which is another method
                        assert reply.status == 200
                        continue
                    assert reply.problem in expected, (rpc, name)

    run(scenario())


def test_parents() -> None:
    """Of every parent, both transports say the same, whether there is anything to list or not (REST-1, PAGE-1)."""

    async def scenario() -> None:
        async with site(with_grpc=True, app=ALL_NAMES) as here:
            both = Both(here)
            await here.outcome()
            for parent in (PARENT, "shelves/-", "shelves/nothing"):
                assert await both.about("ListOperations", parent) is Code.OK
            asked = [name for name in PARENTS_OF_NOTHING if name and len(name) < NO_PATH_HAS and not _has_dots(name)]
            codes = {await both.about("ListOperations", parent) for parent in asked}
            assert codes <= {Code.OK, Code.INVALID_ARGUMENT}

    run(scenario())


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"page_size": -1}, Code.INVALID_ARGUMENT),
        ({"page_size": 10**6}, Code.OK),
        ({"page_token": "forged"}, Code.INVALID_ARGUMENT),
        ({"filter": "("}, Code.INVALID_ARGUMENT),
        ({"filter": "nosuch = 1"}, Code.INVALID_ARGUMENT),
        ({"filter": "done = \u202etrue"}, Code.INVALID_ARGUMENT),
        ({"filter": "x" * 3000}, Code.INVALID_ARGUMENT),
        ({"filter": "done = true AND response.imported > 1"}, Code.OK),
    ],
)
def test_lists(fields: dict[str, Any], code: Code) -> None:
    """Sizes, tokens and filters are judged the same (REST-1, PAGE-1, FILT-2)."""

    async def scenario() -> None:
        async with site(with_grpc=True) as here:
            await here.outcome()
            query = "&".join(f"{key}={quote(str(value))}" for key, value in fields.items())
            assert await Both(here).about("ListOperations", PARENT, query=f"?{query}", **fields) is code

    run(scenario())


@pytest.mark.parametrize("code", list(Code))
def test_refusals_of_the_service(code: Code) -> None:
    """Whatever code a service refuses a start with, and whatever details, both transports pass it on (REST-2, ERR-3)."""
    details = (
        error_details_pb2.ErrorInfo(reason="R", domain="d", metadata={"k": "ü"}),
        UnknownPayload("type.googleapis.com/no.Such", b"\x08\x01"),
    )

    def validate(request: Any, transport: Any) -> None:
        raise OperationError(Status(code, "not now", details))

    async def scenario() -> None:
        async with site(handled(IMPORT, imports, validate=validate), with_grpc=True) as here:
            request = library_pb2.ImportBooksRequest(parent=PARENT)
            if code is Code.OK:  # a refusal all the same; gRPC sends a status that contradicts itself
                reply = await here.ask("POST", f"/v1/{PARENT}/books:import", {})
                assert reply.problem == (500, "UNKNOWN")
            else:
                assert await Both(here).start(request) is code

    run(scenario())


def test_starts() -> None:
    """What the server itself refuses to start, it refuses in the same words (REST-2, SRV-7, SRV-8)."""

    async def scenario() -> None:
        gate = Gate()

        def resource(request: Any) -> str:
            return str(request.uri)

        method = handled(IMPORT, gate.aio, resource=resource)
        executor = LocalExecutor(concurrency=1, queue=1)
        async with site(method, with_grpc=True, executor=executor) as here:
            both = Both(here)

            def request(uri: str = "", parent: str = PARENT) -> Any:
                return library_pb2.ImportBooksRequest(parent=parent, uri=uri)

            await here.start({"uri": "a"})
            assert await both.start(request(uri="a")) is Code.ABORTED
            await here.start({"uri": "b"})
            assert await both.start(request(uri="c")) is Code.RESOURCE_EXHAUSTED
            for parent in ("shelves/-", "shelves/a b", "shelves/\u202e"):
                assert await both.start(request(parent=parent)) is Code.INVALID_ARGUMENT
            gate.open()

    run(scenario())


def test_faults() -> None:
    """A store that is away is UNAVAILABLE, and a fault INTERNAL, in the same words, which tell nothing (REST-2, SRV-2)."""

    async def scenario() -> None:
        store = Meddled(MemoryStore())
        async with site(with_grpc=True, store=store) as here:
            both = Both(here)
            for error, code in (
                (StoreUnavailableError("the disk /var/lib/operations is gone"), Code.UNAVAILABLE),
                (AssertionError("a fault of ours, with a secret in it"), Code.INTERNAL),
            ):
                for method in ("get", "list", "request_cancel", "delete", "create"):
                    store.before[method] = failing(error)
                said = {rpc: await both.about(rpc, PARENT if rpc == "ListOperations" else ABSENT) for rpc in FIVE}
                assert said == dict.fromkeys(FIVE, code)
                assert await both.start(library_pb2.ImportBooksRequest(parent=PARENT)) is code
            store.before.clear()

    run(scenario())


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.OK])
def test_refusals_of_the_authorizer(code: Code) -> None:
    """What an authorizer refuses is refused the same, and what it denies looks absent the same (AUTH-3, REST-2)."""

    class Refusing:
        def authorize(self, call: Call, /) -> Access:
            raise OperationError(Status(code, f"no {call.rpc.value}", (error_details_pb2.ErrorInfo(reason="R"),)))

    async def scenario() -> None:
        async with site(with_grpc=True, authorizer=Refusing()) as here:
            both = Both(here)
            names: Sequence[str] = FIVE
            said = {rpc: await both.about(rpc, PARENT if rpc == "ListOperations" else ABSENT) for rpc in names}
            expected = dict.fromkeys(FIVE, code)
            if code is Code.PERMISSION_DENIED:
                expected = dict.fromkeys(ON_ONE, Code.NOT_FOUND) | {"ListOperations": Code.OK}
            assert said == expected
            assert await both.start(library_pb2.ImportBooksRequest(parent=PARENT)) is code

    run(scenario())


def test_what_succeeds() -> None:
    """What succeeds is answered the same: the operation, be it running, done, failed or of unknown type, and pages of them (REST-1)."""
    gate = Gate()
    broken = UnknownPayload("type.googleapis.com/no.Such", b"\x08\x01")

    async def handler(request: Any, context: Any) -> Any:
        await context.update(library_pb2.ImportBooksMetadata(total=2**31 - 1, percent=50))
        if request.uri == "fails":
            raise OperationError(Status(Code.DATA_LOSS, "ü", (error_details_pb2.ErrorInfo(reason="R"), broken)))
        if request.uri == "waits":
            await gate.aio(request, context)
        return library_pb2.ImportBooksResponse(imported=request.count)

    async def scenario() -> None:
        async with site(handled(IMPORT, handler), with_grpc=True) as here:
            assert here.grpc is not None
            caller = Caller(here.grpc.channel)
            names = [(await here.outcome({"uri": uri}))["name"] for uri in ("x", "fails")]
            names.append(await here.start({"uri": "waits"}))
            while "metadata" not in (await here.get(f"/v1/{names[-1]}")).ok:  # noqa: ASYNC110 (of the server nobody hears)
                await asyncio.sleep(0.01)
            for name in names:
                for rpc in ("GetOperation", "WaitOperation"):
                    verb, suffix = HOW[rpc]
                    path = f"/v1/{name}{suffix}".encode()
                    said = await caller.about(rpc, name)
                    reply = await called(here.app, verb, path, b'{"timeout":"0s"}' if suffix else b"")
                    assert Operation.from_json(reply.ok, IMPORT).to_proto() == said.operation
            page = (await caller.list(PARENT)).page
            listed = (await here.get(f"/v1/{PARENT}/operations")).ok
            assert [Operation.from_json(item, IMPORT).to_proto() for item in listed["operations"]] == list(
                page.operations
            )
            assert listed.get("nextPageToken", "") == page.next_page_token
            gate.open()
            both = Both(here)
            assert await both.about("CancelOperation", names[0]) is Code.OK
            for name in names[:2]:  # the second to delete it finds nothing
                assert (await caller.about("DeleteOperation", name)).code is grpc.StatusCode.OK
                assert await both.about("GetOperation", name) is Code.NOT_FOUND
                assert await both.about("DeleteOperation", name) is Code.NOT_FOUND

    run(scenario())


def test_page_tokens() -> None:
    """A page token of one transport is one of the other, to its caller and for its list (PAGE-1, AUTH-3, REST-1)."""

    async def scenario() -> None:
        async with site(with_grpc=True, authorizer=Tenants()) as here:
            assert here.grpc is not None
            for _ in range(4):
                await here.ask("POST", f"/v1/{PARENT}/books:import", {}, headers={"token": "alice"})
            caller = Caller.named(here.grpc.channel, "alice")
            found: list[str] = []
            token = ""
            for turn in range(4):
                if turn % 2:
                    said = await caller.list(PARENT, page_size=1, page_token=token)
                    found += said.names
                    token = said.page.next_page_token
                else:
                    query = f"pageSize=1&pageToken={quote(token)}"
                    page = (await here.get(f"/v1/{PARENT}/operations?{query}", headers={"token": "alice"})).ok
                    found += [operation["name"] for operation in page["operations"]]
                    token = page.get("nextPageToken", "")
                if token:
                    for who, parent in (("adam", PARENT), ("bob", PARENT), ("alice", "shelves/-")):
                        query = f"pageSize=1&pageToken={quote(token)}"
                        reply = await here.get(f"/v1/{parent}/operations?{query}", headers={"token": who})
                        assert reply.problem == (400, "INVALID_ARGUMENT")
            assert token == ""
            assert len(set(found)) == 4

    run(scenario())


def _with_request_id() -> LroMethod[Any, Any, Any]:
    file = proto_file("asgi_ids.proto", "asgi_ids")
    add_message(file, "Request", parent="string", request_id="string", text="string")
    kind = TypeRegistry.from_file_descriptor_set(file_set(file)).find("asgi_ids.Request")
    assert kind is not None
    return LroMethod(
        path="/asgi_ids.Service/Start",
        request_type=kind.cls,
        response_type=library_pb2.ImportBooksResponse,
        metadata_type=library_pb2.ImportBooksMetadata,
        http=HttpBinding(verb="POST", path="/v1/{parent=shelves/*}:start", body="*"),
    )


async def _imports(request: Any, context: Any) -> Any:
    return library_pb2.ImportBooksResponse()


def test_a_start_whose_caller_is_gone() -> None:
    """A start that is stored while its caller goes away is not lost: sent again, by either transport, it is the same one (SRV-7, REST-2)."""
    method = _with_request_id()
    stored, answer = asyncio.Event(), asyncio.Event()

    async def late(*_: Any, **__: Any) -> None:
        stored.set()
        await answer.wait()

    async def scenario() -> None:
        store = Meddled(MemoryStore())
        store.after["create"] = late
        async with site(handled(method, _imports), sockets=True, with_grpc=True, store=store) as here:
            assert here.grpc is not None
            port = here.client.base_url.port
            assert port is not None
            body = b'{"requestId":"id"}'
            head = (
                b"POST /v1/%s:start HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            )
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head % (PARENT.encode(), len(body)) + body)
            await asyncio.wait_for(stored.wait(), 10)
            writer.transport.abort()
            await asyncio.sleep(0.1)  # until the server has heard of it
            answer.set()
            again = (await here.ask("POST", f"/v1/{PARENT}:start", {"requestId": "id"})).ok["name"]
            request = method.request_type(parent=PARENT, request_id="id")
            assert (await Caller(here.grpc.channel).ask(method.path, request)).operation.name == again
            assert (await here.done(again))["response"]
            assert len((await here.get(f"/v1/{PARENT}/operations")).ok["operations"]) == 1

    run(scenario())


def test_request_ids() -> None:
    """A request that is sent again, be it over the other transport, is answered with what it made (SRV-7, REST-1)."""
    method = _with_request_id()

    async def scenario() -> None:
        async with site(handled(method, _imports), with_grpc=True) as here:
            assert here.grpc is not None
            caller = Caller(here.grpc.channel)
            path = f"/v1/{PARENT}:start"
            first = (await here.ask("POST", path, {"requestId": "id", "text": "x"})).ok["name"]
            again = (await here.ask("POST", path, {"request_id": "id", "text": "x"})).ok["name"]
            request = method.request_type(parent=PARENT, request_id="id", text="x")
            by_grpc = (await caller.ask(method.path, request)).operation.name
            assert first == again == by_grpc
            other = method.request_type(parent=PARENT, request_id="id", text="y")
            reply = await here.ask("POST", path, {"requestId": "id", "text": "y"})
            assert same(await caller.ask(method.path, other), reply) is Code.INVALID_ARGUMENT
            assert len((await here.get(f"/v1/{PARENT}/operations")).ok["operations"]) == 1

    run(scenario())
