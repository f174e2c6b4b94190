# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What an authorizer is asked, and what becomes of its answer: no transport, operations in memory."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, cast

import pytest
from google.rpc import error_details_pb2

from example.library.v1 import library_pb2
from longrunning import Code, LroMethod, OperationError, StartError, Status
from longrunning.server import (
    Access,
    AllowAll,
    AsyncOperationContext,
    Authorizer,
    Call,
    MemoryStore,
    NamePattern,
    OperationsServer,
    Rpc,
    SqliteStore,
)
from longrunning.server._refusal import Refusal

IMPORT_BOOKS = LroMethod(
    path="/example.library.v1.Library/ImportBooks",
    request_type=library_pb2.ImportBooksRequest,
    response_type=library_pb2.ImportBooksResponse,
    metadata_type=library_pb2.ImportBooksMetadata,
)
PARENT = "shelves/1"
ABSENT = f"{PARENT}/operations/op-00000000000000000000000000000000"
ALICE = Access(principal="alice", scope="tenant")
ON_ONE = [Rpc.GET, Rpc.WAIT, Rpc.CANCEL, Rpc.DELETE]  # those that are about one operation
DETAILS = (error_details_pb2.ErrorInfo(reason="NO_TOKEN", domain="example.com"),)

Answer = Callable[[Call], Any]
by_value = pytest.mark.parametrize("rpc", list(Rpc), ids=lambda rpc: rpc.value)


class Asked:
    """An authorizer that keeps what it was asked, and answers as told; `answers` may be changed at any time."""

    def __init__(self, answers: Answer = lambda _: ALICE) -> None:
        self.answers: Answer = answers
        self.calls: list[Call] = []

    def authorize(self, call: Call, /) -> Access | Awaitable[Access]:
        """Answers."""
        self.calls.append(call)
        return cast("Access", self.answers(call))


class Desk:
    """A server that runs, with one operation that goes on for ever; each of the six calls in one line."""

    def __init__(self, server: OperationsServer, authorizer: Asked, name: str) -> None:
        self.server = server
        self.authorizer = authorizer
        self.name = name

    async def ask(self, rpc: Rpc, name: str | None = None) -> Any:
        """Calls what a transport would call."""
        service = self.server.service
        call = Call(rpc, self.name if name is None else name)
        match rpc:
            case Rpc.GET:
                return await service.get(call)
            case Rpc.WAIT:
                return await service.wait(call, 0.001, None, threads=None)
            case Rpc.CANCEL:
                return await service.cancel(call)
            case Rpc.DELETE:
                return await service.delete(call)
            case Rpc.LIST:
                call.name = PARENT if name is None else name
                return await service.list(call, filter="", page_size=0, page_token="")
            case Rpc.START:
                return await self.server.start(IMPORT_BOOKS, request(), parent=PARENT)

    async def refusal(self, rpc: Rpc, name: str | None = None) -> Status:
        """The status a call is refused with."""
        if rpc is Rpc.START:  # the server turns refusals into errors for servicers written by hand
            with pytest.raises(StartError) as raised:
                await self.ask(rpc)
            return raised.value.details
        with pytest.raises(Refusal) as refused:
            await self.ask(rpc, name)
        return refused.value.status


def request() -> library_pb2.ImportBooksRequest:
    """One that every start sends."""
    return library_pb2.ImportBooksRequest(parent=PARENT, uri="file:books", count=1)


def at_desk(body: Callable[[Desk], Coroutine[Any, Any, None]]) -> None:
    """Runs a test beside a server that runs; its first operation is started by Alice."""

    async def played() -> None:
        authorizer = Asked()
        server = OperationsServer(
            store=MemoryStore(), authorizer=authorizer, names=NamePattern("shelves/{shelf}/operations/{operation}")
        )

        @server.method(IMPORT_BOOKS)
        async def import_books(
            request: library_pb2.ImportBooksRequest,
            context: AsyncOperationContext[library_pb2.ImportBooksMetadata],
        ) -> library_pb2.ImportBooksResponse:
            context.raise_if_cancelled()
            return library_pb2.ImportBooksResponse(imported=request.count)

        async with server:
            started = await server.start(IMPORT_BOOKS, request(), parent=PARENT)
            authorizer.calls.clear()
            await body(Desk(server, authorizer, started.name))

    asyncio.run(played())


def denies(call: Call) -> Access:
    """Refuses with PERMISSION_DENIED, and says more than the caller should know."""
    raise OperationError(Status(Code.PERMISSION_DENIED, f"{call.name} is of tenant 7", DETAILS))


# -- what is asked ----------------------------------------------------------------------------------------------


def test_a_call_is_read_lazily_and_once() -> None:
    """Headers, peer and TLS identity are asked of the transport when an authorizer asks for them, and once (AUTH-3)."""
    read: list[str] = []

    def told(what: str, value: Any) -> Callable[[], Any]:
        def tell() -> Any:
            read.append(what)
            return value

        return tell

    call = Call(
        Rpc.GET,
        ABSENT,
        headers=told("headers", [("authorization", "Bearer 1")]),
        peer=told("peer", "ipv4:127.0.0.1:40000"),
        identities=told("identities", {"x509_common_name": [b"alice"]}),
    )
    assert read == []
    for _ in range(2):
        assert call.headers == (("authorization", "Bearer 1"),)
        assert call.peer == "ipv4:127.0.0.1:40000"
        assert call.identities == {"x509_common_name": [b"alice"]}
    assert read == ["headers", "peer", "identities"]


def test_the_first_of_several_headers_counts() -> None:
    """`header()` is the first value of that key, text for binary ones too, and None where there is none (AUTH-3)."""
    call = Call(Rpc.GET, "", headers=lambda: [("token", "1"), ("token", "2"), ("key-bin", b"\x00\xff"), ("empty", "")])
    assert (call.header("token"), call.header("key-bin"), call.header("empty")) == ("1", "\x00\xff", "")
    assert call.header("Token") is None


def test_a_call_from_within_the_process_has_nothing_about_it() -> None:
    """Without a transport there are no headers, no peer, and no identity (AUTH-3)."""
    call = Call(Rpc.START, PARENT)
    assert (call.headers, call.header("authorization"), call.peer, call.identities) == ((), None, "", {})
    assert (call.method, call.request, call.transport) == ("", None, None)


def test_a_call_shows_no_credentials() -> None:
    """The repr of a call, which ends up in logs, holds no header (AUTH-3)."""
    call = Call(Rpc.GET, ABSENT, headers=lambda: [("authorization", "Bearer secret")])
    assert call.header("authorization") == "Bearer secret"
    assert "secret" not in repr(call)


@by_value
def test_every_method_asks_once(rpc: Rpc) -> None:
    """Each of the five methods, and starting, asks the authorizer exactly once, and says what about (AUTH-3)."""

    async def body(desk: Desk) -> None:
        await desk.ask(rpc)
        [call] = desk.authorizer.calls
        assert call.rpc is rpc
        assert call.name == (PARENT if rpc in {Rpc.LIST, Rpc.START} else desk.name)
        assert call.method == (IMPORT_BOOKS.path if rpc is Rpc.START else "")
        assert call.request == (request() if rpc is Rpc.START else None)

    at_desk(body)


# -- what it answers --------------------------------------------------------------------------------------------


@by_value
def test_an_authorizer_may_be_async(rpc: Rpc) -> None:
    """What is awaited counts as what is returned: here, another tenant, who sees nothing (AUTH-3)."""

    async def later(call: Call) -> Access:
        await asyncio.sleep(0)
        return Access(principal="bob", scope="another")

    async def body(desk: Desk) -> None:
        desk.authorizer.answers = later
        if rpc in ON_ONE:
            assert (await desk.refusal(rpc)).code is Code.NOT_FOUND
        elif rpc is Rpc.LIST:
            assert (await desk.ask(rpc)).records == ()
        else:
            await desk.ask(rpc)

    at_desk(body)


@pytest.mark.parametrize("awaited", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("rpc", ON_ONE, ids=lambda rpc: rpc.value)
def test_denied_is_absent(rpc: Rpc, awaited: bool) -> None:
    """A denied operation, one of another scope, and one that never was have the same status, down to details (AUTH-3)."""

    async def denied(call: Call) -> Access:
        return denies(call)

    async def body(desk: Desk) -> None:
        desk.authorizer.answers = denied if awaited else denies
        of_denied = await desk.refusal(rpc)
        desk.authorizer.answers = lambda _: Access(principal="bob", scope="another")
        of_other = await desk.refusal(rpc)
        desk.authorizer.answers = lambda _: Access(principal="root", scope=None)
        never = await desk.refusal(rpc, ABSENT)
        assert of_denied == of_other == Status(never.code, never.message.replace(ABSENT, desk.name), never.details)
        assert (of_denied.code, of_denied.details) == (Code.NOT_FOUND, ())
        assert (await desk.ask(Rpc.GET)).name == desk.name  # nothing happened to it

    at_desk(body)


def test_a_denied_list_is_empty() -> None:
    """A list that is denied looks like one of nothing, and its faults are told as of one of nothing (AUTH-3)."""

    async def body(desk: Desk) -> None:
        desk.authorizer.answers = denies
        page = await desk.ask(Rpc.LIST)
        assert (page.records, page.next_page_token) == ((), "")
        service = desk.server.service
        for asked in ({"filter": "nope = 1"}, {"page_token": "nope"}, {"page_size": -1}):
            statuses: list[Status] = []
            each: tuple[Answer, Answer] = (denies, lambda _: Access(principal="bob", scope="another"))
            for answers in each:
                desk.authorizer.answers = answers
                given: dict[str, Any] = {"filter": "", "page_size": 0, "page_token": ""} | asked
                with pytest.raises(Refusal) as refused:
                    await service.list(Call(Rpc.LIST, PARENT), **given)
                statuses.append(refused.value.status)
            assert statuses[0] == statuses[1]
            assert statuses[0].code is Code.INVALID_ARGUMENT

    at_desk(body)


def test_a_denied_start_says_so() -> None:
    """There is nothing to hide about what is not there yet: PERMISSION_DENIED of a start comes through (AUTH-3)."""

    async def body(desk: Desk) -> None:
        desk.authorizer.answers = denies
        status = await desk.refusal(Rpc.START)
        assert status == Status(Code.PERMISSION_DENIED, f"{PARENT} is of tenant 7", DETAILS)
        desk.authorizer.answers = lambda _: Access(principal="root", scope=None)
        assert len((await desk.ask(Rpc.LIST)).records) == 1

    at_desk(body)


@pytest.mark.parametrize(
    "code", [code for code in Code if code not in {Code.OK, Code.PERMISSION_DENIED}], ids=lambda code: code.name
)
def test_other_refusals_come_through(code: Code) -> None:
    """Every status but PERMISSION_DENIED, such as UNAUTHENTICATED, is the answer to all six, with details (AUTH-3)."""
    status = Status(code, "show a token", DETAILS)

    def refuses(call: Call) -> Access:
        raise OperationError(status)

    async def body(desk: Desk) -> None:
        desk.authorizer.answers = refuses
        for rpc in Rpc:
            assert await desk.refusal(rpc) == status

    at_desk(body)


@pytest.mark.parametrize("answer", [None, True, "alice", ("alice", None), object()], ids=repr)
def test_anything_but_an_access_grants_nothing(answer: object) -> None:
    """An authorizer that forgets to return, or says True, is a fault, told as such, and grants nothing (AUTH-3)."""

    async def body(desk: Desk) -> None:
        desk.authorizer.answers = lambda _: answer
        for rpc in Rpc:
            with pytest.raises(TypeError, match="an Access was asked for"):
                await desk.ask(rpc)

    at_desk(body)


@by_value
def test_what_an_authorizer_fails_with_grants_nothing(rpc: Rpc) -> None:
    """Whatever else it raises is not taken for an answer, and reaches the transport as it is, to be logged (AUTH-3)."""

    def fails(call: Call) -> Access:
        raise KeyError("authorization")

    async def body(desk: Desk) -> None:
        desk.authorizer.answers = fails
        with pytest.raises(KeyError, match="authorization"):
            await desk.ask(rpc)
        desk.authorizer.answers = lambda _: ALICE
        assert (await desk.ask(Rpc.GET)).name == desk.name

    at_desk(body)


# -- that there is one ------------------------------------------------------------------------------------------


def test_an_authorizer_has_to_be_named() -> None:
    """There is no server without an authorizer: that everybody may do everything has to be written out (AUTH-3)."""
    make: Any = OperationsServer
    with pytest.raises(TypeError, match="authorizer"):
        make(store=MemoryStore())
    wrongs: tuple[object, ...] = (None, AllowAll, object(), denies)
    for wrong in wrongs:
        with pytest.raises(TypeError, match=r"authorizer is an? Authorizer"):
            make(store=MemoryStore(), authorizer=wrong)
    with pytest.raises(TypeError, match=r"store is an? OperationStore"):
        make(store=SqliteStore, authorizer=AllowAll())


def test_allow_all_makes_all_callers_one() -> None:
    """`AllowAll` grants everything to everybody, who are then all the same principal (AUTH-3)."""
    allow_all = AllowAll()
    assert isinstance(allow_all, Authorizer)
    assert {allow_all.authorize(Call(rpc, "")) for rpc in Rpc} == {Access(principal="", scope=None)}
    assert repr(allow_all) == "AllowAll()"


def test_what_is_granted_cannot_be_changed() -> None:
    """An access is a frozen value, whose two parts have to be named and said (AUTH-3)."""
    access: Any = Access
    with pytest.raises(dataclasses.FrozenInstanceError):
        access(principal="alice", scope=None).scope = "all"
    for arguments in ({}, {"principal": "alice"}, {"scope": None}):
        with pytest.raises(TypeError):
            access(**arguments)
    with pytest.raises(TypeError):
        access("alice", None)


@pytest.mark.parametrize(
    "parts",
    [{"principal": None}, {"principal": b"alice"}, {"principal": 7}, {"scope": b"tenant"}, {"scope": 7}],
    ids=repr,
)
def test_an_access_holds_text(parts: dict[str, object]) -> None:
    """A principal or scope that is no text is refused where it is made: no store compares it with anything (AUTH-3)."""
    access: Any = Access
    with pytest.raises(TypeError, match=next(iter(parts))):
        access(**({"principal": "alice", "scope": None} | parts))
