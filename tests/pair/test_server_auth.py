# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Two tenants on one server, one of them curious: what a caller may not see is absent, to the last byte."""

from __future__ import annotations

import asyncio
import contextvars
import datetime as dt
import ipaddress
import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from google.protobuf import duration_pb2

from example.library.v1 import library_pb2
from longrunning import Code, OperationError, Status
from longrunning._pb import operations_pb2
from longrunning.server import Access, Call, LocalExecutor, Rpc
from tests.pair.callers import FIVE, ON_ONE, REASON, START, Caller, Said, Tenants, asking, fronted
from tests.pair.serving import (
    IMPORT,
    IMPORTED,
    PARENT,
    Edge,
    Gate,
    Place,
    Running,
    eventually,
    everywhere,
    importing,
    imports,
    once,
    over,
)

both_edges = over(stores=("memory",))
both_answers = pytest.mark.parametrize("awaited", [False, True], ids=["returned", "awaited"])
CURIOUS = ("bob", "mallory")  # another tenant, and somebody who is denied everything
NOT_FOUND, INVALID = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT
SECRET = "password of the database"
caller_of: contextvars.ContextVar[str] = contextvars.ContextVar("caller_of", default="nobody")


class Callers:
    """One of each, on one channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.alice, self.adam, self.bob, self.root, self.mallory = (
            Caller.named(channel, token) for token in ("alice", "adam", "bob", "root", "mallory")
        )
        self.nobody = Caller(channel)

    def named(self, name: str) -> Caller:
        """The caller of this name."""
        return cast("Caller", getattr(self, name))


class Answering:
    """An authorizer made of a function."""

    def __init__(self, answer: Callable[[Call], Any]) -> None:
        self.answer: Callable[[Call], Any] = answer

    def authorize(self, call: Call, /) -> Access | Awaitable[Access]:
        """Answers."""
        return cast("Access", self.answer(call))


async def said_about(caller: Caller, name: str) -> dict[str, Said]:
    """What a caller is answered by the methods about one operation."""
    return {rpc: await caller.about(rpc, name) for rpc in ON_ONE}


async def said_of_all(caller: Caller, name: str, parent: str = PARENT) -> dict[str, Said]:
    """What a caller is answered about an operation by each of the five methods, and to a start."""
    said = await said_about(caller, name)
    return said | {"ListOperations": await caller.list(parent), "start": await caller.ask(START, IMPORT)}


async def said_where_it_never_was(place: Place, name: str) -> dict[str, Said]:
    """What the methods about one operation say of a name on a server that has no operation at all."""
    async with Place(place.edge, "memory", place.folder).serving(importing(imports), authorizer=Tenants()) as empty:
        return await said_about(Caller.named(empty.channel, "alice"), name)


# -- what is not there for them ---------------------------------------------------------------------------------


@both_answers
@everywhere
async def test_what_may_not_be_seen_is_absent_to_the_last_byte(place: Place, awaited: bool) -> None:
    """Operations of others, running or done, answer all methods as a server does that never had them (AUTH-3)."""
    gate = Gate()
    said: list[dict[str, Said]] = []
    async with place.serving(importing(gate.aio), authorizer=Tenants(awaited=awaited)) as running:
        callers = Callers(running.channel)
        name = await callers.alice.start()
        await gate.entered()
        for done in (False, True):
            if done:
                gate.open()
                await callers.alice.done(name)
            said += [await said_about(callers.named(curious), name) for curious in CURIOUS]
        operation = (await callers.alice.about("GetOperation", name)).operation
        assert operation.response.value == IMPORTED.SerializeToString()  # neither cancelled nor deleted
        assert not gate.contexts[0].cancel_requested
    never = await said_where_it_never_was(place, name)
    assert {answer.code for answer in never.values()} == {NOT_FOUND}
    assert all(name in answer.message for answer in never.values())
    assert said == [never] * 4


@everywhere
async def test_a_wait_for_what_may_not_be_seen_does_not_wait(place: Place) -> None:
    """A long wait for another's running operation ends at once: its duration tells nothing either (AUTH-3, SRV-6)."""
    gate = Gate()
    async with place.serving(importing(gate.aio), authorizer=Tenants()) as running:
        callers = Callers(running.channel)
        name = await callers.alice.start()
        request = operations_pb2.WaitOperationRequest(name=name, timeout=duration_pb2.Duration(seconds=3600))
        waiting = asyncio.create_task(callers.adam.ask("WaitOperation", request))
        await eventually(lambda: running.waiters == 1)
        for curious in CURIOUS:
            async with asyncio.timeout(5):
                assert (await callers.named(curious).ask("WaitOperation", request)).code is NOT_FOUND
            for rpc in ON_ONE:
                await callers.named(curious).about(rpc, name)
        assert running.waiters == 1
        assert not waiting.done()  # who may see it goes on waiting, whatever others tried
        gate.open()
        assert (await waiting).operation.done


@everywhere
async def test_lists_are_of_ones_own(place: Place) -> None:
    """Lists, with `-` and with filters made to find them too, hold what the caller may see, and no more (AUTH-3)."""
    async with place.serving(importing(imports), authorizer=Tenants()) as running:
        callers = Callers(running.channel)
        hers = [await callers.alice.start() for _ in range(3)]
        his = [await callers.bob.start() for _ in range(2)]
        for name in hers:
            await callers.alice.done(name)
        for name in his:
            await callers.bob.done(name)
        filters = ["", "done = true", f'name = "{hers[0]}" OR name:*', 'NOT name = "x"', "response.imported > 0"]
        for parent in (PARENT, "shelves/-", f"{PARENT}/operations"):
            for text in filters:
                for size in (0, 1):
                    fields = {"filter": text, "page_size": size}
                    assert set(await callers.bob.listed(parent, **fields)) == set(his)
                    assert set(await callers.alice.listed(parent, **fields)) == set(hers)
                    assert set(await callers.adam.listed(parent, **fields)) == set(hers)
                    assert set(await callers.root.listed(parent, **fields)) == {*hers, *his}
        assert await callers.bob.listed(PARENT, filter=f'name = "{hers[0]}"') == []


@everywhere
async def test_a_list_that_is_denied_is_one_of_nothing(place: Place) -> None:
    """Denied lists, bad filters and bad tokens in them, answer as a server does that has nothing to list (AUTH-3)."""
    asked: list[dict[str, Any]] = [
        {},
        {"page_size": 1},
        {"page_size": -1},
        {"filter": "done = true"},
        {"filter": "nope ="},
        {"page_token": "nope"},
    ]
    async with Place(place.edge, "memory", place.folder).serving(authorizer=Tenants()) as empty:
        nothing = [await Caller.named(empty.channel, "alice").list(PARENT, **fields) for fields in asked]
    async with place.serving(authorizer=Tenants()) as running:
        callers = Callers(running.channel)
        for _ in range(3):
            await callers.alice.start()
        token = (await callers.alice.list(PARENT, page_size=1)).page.next_page_token
        for curious in CURIOUS:
            assert [await callers.named(curious).list(PARENT, **fields) for fields in asked] == nothing
            assert await callers.named(curious).list(PARENT, page_token=token) == nothing[-1]


@everywhere
async def test_page_tokens_are_ones_own(place: Place) -> None:
    """A token is worth nothing to others, not even of the same tenant, or with more rights: as made-up ones (AUTH-3)."""
    async with place.serving(authorizer=Tenants()) as running:
        callers = Callers(running.channel)
        for caller in (callers.alice, callers.bob):
            for _ in range(3):
                await caller.start()
        for owner in ("alice", "root"):
            token = (await callers.named(owner).list(PARENT, page_size=1)).page.next_page_token
            for other in {"alice", "adam", "bob", "root", "mallory"} - {owner}:
                said = await callers.named(other).list(PARENT, page_size=1, page_token=token)
                assert said.field == "page_token"
                assert said == await callers.named(other).list(PARENT, page_size=1, page_token="A" * len(token))
            assert len((await callers.named(owner).list(PARENT, page_size=1, page_token=token)).names) == 1


@everywhere
async def test_one_who_sees_all_sees_all(place: Place) -> None:
    """Scope None gets, waits for, cancels and deletes the operations of every tenant (AUTH-3)."""
    gate = Gate()
    async with place.serving(importing(gate.aio), authorizer=Tenants()) as running:
        callers = Callers(running.channel)
        hers, his = await callers.alice.start(), await callers.bob.start()
        assert set(await callers.root.listed(PARENT)) == {hers, his}
        for name in (hers, his):
            for rpc in ON_ONE:
                assert (await callers.root.about(rpc, name)).code is grpc.StatusCode.OK
        assert (await callers.alice.about("GetOperation", hers)).code is NOT_FOUND
        assert [context.cancel_requested for context in gate.contexts] == [True, True]
        gate.open()


@everywhere
async def test_what_the_all_seeing_start_no_tenant_sees(place: Place) -> None:
    """An operation started with scope None belongs to no tenant: they do not see it (AUTH-3)."""
    async with place.serving(authorizer=Tenants()) as running:
        callers = Callers(running.channel)
        name = await callers.root.start()
        for tenant in (callers.alice, callers.bob):
            assert (await tenant.about("GetOperation", name)).code is NOT_FOUND
            assert await tenant.listed("shelves/-") == []
        assert await callers.root.listed(PARENT) == [name]


def _uri(request: library_pb2.ImportBooksRequest) -> str:
    return request.uri


@both_edges
async def test_a_conflict_names_nobody(place: Place) -> None:
    """ABORTED by another tenant's operation tells the resource, which the caller named, and nothing of it (AUTH-3, SRV-8)."""
    gate = Gate()
    register = importing(gate.aio, resource=_uri)
    async with place.serving(register, authorizer=Tenants()) as running:
        callers = Callers(running.channel)
        name = await callers.alice.start()
        said = await callers.bob.ask(START, IMPORT)
        assert said.code is grpc.StatusCode.ABORTED
        assert IMPORT.uri in said.message
        for part in (name, name.rpartition("/")[2], "alice", "tenant"):
            assert part not in said.message
        assert said.trailers == ()
        gate.open()


# -- refusals that are told -------------------------------------------------------------------------------------


@both_answers
@everywhere
async def test_a_denied_start_says_so(place: Place, awaited: bool) -> None:
    """PERMISSION_DENIED of a start comes through with its details, before anything is checked or stored (AUTH-3)."""
    validated: list[Any] = []

    def validate(request: Any, context: Any) -> None:
        validated.append(request)

    register = importing(imports, validate=validate)
    async with place.serving(register, authorizer=Tenants(awaited=awaited)) as running:
        callers = Callers(running.channel)
        said = await callers.mallory.ask(START, IMPORT)
        assert (said.code, said.message) == (grpc.StatusCode.PERMISSION_DENIED, "mallory has no right to starting")
        [detail] = said.details
        assert detail.value == REASON.SerializeToString()
        assert validated == []
        assert await callers.root.listed("shelves/-") == []


@both_answers
@everywhere
async def test_without_a_token_nothing_is_answered(place: Place, awaited: bool) -> None:
    """UNAUTHENTICATED comes through on all six, the same about what exists and what does not, with details (AUTH-3)."""
    async with place.serving(authorizer=Tenants(awaited=awaited)) as running:
        callers = Callers(running.channel)
        name = await callers.alice.start()
        said = await said_of_all(callers.nobody, name)
        assert set(said.values()) == set((await said_of_all(callers.nobody, f"{PARENT}/operations/op-1")).values())
        [answer] = set(said.values())
        assert (answer.code, answer.message) == (grpc.StatusCode.UNAUTHENTICATED, "show a token")
        assert [detail.value for detail in answer.details] == [REASON.SerializeToString()]
        assert await callers.root.listed("shelves/-") == [name]


def _returns_nothing(call: Call) -> Any:
    return None


def _returns_true(call: Call) -> Any:
    return True


def _raises(call: Call) -> Any:
    raise RuntimeError(SECRET)


async def _raises_later(call: Call) -> Any:
    await asyncio.sleep(0)
    raise KeyError(SECRET)


async def _is_cancelled_inside(call: Call) -> Any:
    inner = asyncio.ensure_future(asyncio.sleep(60))
    inner.cancel()
    await inner


FAULTS = [_returns_nothing, _returns_true, _raises, _raises_later]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
@both_edges
async def test_an_authorizer_that_fails_grants_nothing_and_tells_nothing(
    place: Place, fault: Callable[[Call], Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever else an authorizer raises or returns is INTERNAL, without a word of it, and logged in full (AUTH-3)."""
    authorizer = Answering(lambda _: Access(principal="", scope=None))
    async with place.serving(importing(imports), authorizer=authorizer) as running:
        caller = Caller(running.channel)
        name = await caller.start()
        authorizer.answer = fault
        with caplog.at_level(logging.ERROR, logger="longrunning"):
            said = await said_of_all(caller, name)
        assert set(said.values()) == {Said(code=grpc.StatusCode.INTERNAL, message="the server failed to answer")}
        errors = [record for record in caplog.records if record.levelno == logging.ERROR and record.exc_info]
        assert len(errors) == len(said)
        if fault in {_raises, _raises_later}:
            assert all(SECRET in str(record.exc_info) for record in errors)
        authorizer.answer = lambda _: Access(principal="", scope=None)
        assert await caller.listed("shelves/-") == [name]
        assert (await caller.done(name)).HasField("response")


@both_edges
async def test_an_authorizer_that_is_cancelled_inside_is_answered(place: Place) -> None:
    """What an authorizer awaits may be cancelled: the caller is told, and does not wait for nothing (AUTH-3)."""
    authorizer = Answering(_is_cancelled_inside)
    async with place.serving(importing(imports), authorizer=authorizer) as running:
        caller = Caller(running.channel)
        for rpc in FIVE:
            said = await caller.ask(rpc, asking(rpc, PARENT if rpc == "ListOperations" else f"{PARENT}/operations/op"))
            assert said.code is grpc.StatusCode.INTERNAL
        assert (await caller.ask(START, IMPORT)).code is grpc.StatusCode.INTERNAL


@both_edges
async def test_a_refusal_that_says_ok_is_no_success(place: Place) -> None:
    """An authorizer that refuses with the code OK, by mistake, has refused all the same (AUTH-3)."""

    def refuses(call: Call) -> Access:
        raise OperationError(Status(Code.OK, "by mistake"))

    async with place.serving(importing(imports), authorizer=Answering(refuses)) as running:
        said = await said_of_all(Caller(running.channel), f"{PARENT}/operations/op-1")
        assert {answer.code for answer in said.values()} == {grpc.StatusCode.UNKNOWN}


# -- how it is asked --------------------------------------------------------------------------------------------


@both_edges
async def test_an_authorizer_sees_who_calls(place: Place) -> None:
    """Headers, binary ones too, the peer, the request of a start and the RPC's context are there to be asked (AUTH-3)."""
    seen: list[Call] = []

    def notes(call: Call) -> Access:
        assert (call.header("token"), call.header("key-bin")) == ("alice", "\x00\xff")
        assert call.peer.startswith(("ipv4:127.0.0.1:", "ipv6:"))
        assert "x509_common_name" not in call.identities
        assert call.transport.peer() == call.peer
        seen.append(call)
        return Access(principal="alice", scope="tenant 1")

    async with place.serving(importing(imports), authorizer=Answering(notes)) as running:
        caller = Caller(running.channel, ("token", "alice"), ("key-bin", b"\x00\xff"))
        name = await caller.start()
        for rpc in ("GetOperation", "WaitOperation", "ListOperations", "CancelOperation", "DeleteOperation"):
            assert (await caller.about(rpc, PARENT if rpc == "ListOperations" else name)).code is grpc.StatusCode.OK
    assert [call.rpc for call in seen] == [Rpc.START, Rpc.GET, Rpc.WAIT, Rpc.LIST, Rpc.CANCEL, Rpc.DELETE]
    assert [call.name for call in seen] == [PARENT, name, name, PARENT, name, name]
    assert (seen[0].method, seen[0].request) == (START, IMPORT)


def self_signed(name: str) -> tuple[bytes, bytes]:
    """A key and a certificate for 127.0.0.1, good for either side of a connection."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, certificate.public_bytes(serialization.Encoding.PEM)


@both_edges
async def test_who_has_a_certificate_needs_no_token(place: Place) -> None:
    """Over TLS with client certificates an authorizer sees the name that the certificate proves (AUTH-3)."""

    def answer(call: Call) -> Access:
        [name] = call.identities["x509_common_name"]
        return Access(principal=name.decode(), scope=name.decode())

    private, public = self_signed("alice")
    credentials = (
        grpc.ssl_server_credentials([(private, public)], public, require_client_auth=True),
        grpc.ssl_channel_credentials(public, private, public),
    )
    async with (
        place.serving(importing(_tells_who), authorizer=Answering(answer)) as running,
        fronted(running, credentials=credentials) as channel,
    ):
        caller = Caller(channel)
        done = await caller.done(await caller.start())
        assert done.error.message == "it was alice"
        assert await caller.listed(PARENT) == [done.name]


async def _tells_who(request: Any, context: Any) -> Any:
    raise OperationError(Status(Code.ABORTED, f"it was {context.principal}"))


@both_edges
async def test_a_slow_authorizer_keeps_nobody_else_waiting(place: Place) -> None:
    """While one caller's token is looked up somewhere, others are answered (AUTH-3, RUN-5)."""
    looked_up = asyncio.Event()

    async def answer(call: Call) -> Access:
        if call.header("token") == "alice":
            await looked_up.wait()
        return Access(principal=call.header("token") or "", scope=None)

    async with place.serving(importing(imports), authorizer=Answering(answer)) as running:
        callers = Callers(running.channel)
        starting = asyncio.create_task(callers.alice.ask(START, IMPORT))
        name = await callers.bob.start()
        assert (await callers.bob.done(name)).done
        assert not starting.done()
        looked_up.set()
        assert (await starting).code is grpc.StatusCode.OK


@once
async def test_a_slow_authorizer_counts_towards_a_wait(place: Place) -> None:
    """What an authorizer takes of an RPC's time is taken off the wait, which ends before the deadline (AUTH-3, SRV-6)."""
    gate = Gate()

    async def answer(call: Call) -> Access:
        if call.rpc is Rpc.WAIT:
            await asyncio.sleep(1.5)
        return Access(principal="", scope=None)

    async with place.serving(importing(gate.aio), authorizer=Answering(answer)) as running:
        name = await running.start()
        now = asyncio.get_running_loop().time
        began = now()
        record = await running.server.service.wait(Call(Rpc.WAIT, name), None, 2.5, threads=None)
        assert not record.done
        assert now() - began < 3.5  # and not 4
        gate.open()


@both_edges
async def test_who_goes_away_before_being_known_has_started_nothing(place: Place) -> None:
    """A caller whose deadline passes while the authorizer is asked leaves nothing behind, whatever it says later (AUTH-3)."""
    asked, gone, looked_up = 0, 0, asyncio.Event()

    async def answer(call: Call) -> Access:
        nonlocal asked, gone
        if call.rpc is Rpc.START:
            asked += 1
            try:
                await looked_up.wait()
            except asyncio.CancelledError:  # how the server hears of it
                gone += 1
                raise
        return Access(principal="", scope=None)

    async with place.serving(importing(imports), authorizer=Answering(answer)) as running:
        caller = Caller(running.channel)
        while not asked:  # on a busy machine it may not get as far
            said = await caller.ask(START, IMPORT, timeout=0.2)
            assert said.code is grpc.StatusCode.DEADLINE_EXCEEDED
        await eventually(lambda: gone == asked, what="the server to hear of it, too")
        looked_up.set()
        await asyncio.sleep(0.05)
        assert await caller.listed("shelves/-") == []


def _notes_caller(running: Running) -> Any:
    """An interceptor that puts the caller's token into a context variable, as those for logging and tracing do."""
    if running.edge is Edge.AIO:

        class Async(grpc.aio.ServerInterceptor):
            async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
                caller_of.set(dict(handler_call_details.invocation_metadata)["token"])
                return await continuation(handler_call_details)

        return Async()

    untyped: Any = grpc

    class Threaded(grpc.ServerInterceptor):
        def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
            handler = continuation(handler_call_details)
            token = dict(handler_call_details.invocation_metadata)["token"]

            def handle(request: Any, context: Any) -> Any:
                caller_of.set(token)
                return handler.unary_unary(request, context)

            return untyped.unary_unary_rpc_method_handler(handle)

    return Threaded()


@pytest.mark.parametrize("kind_of_handler", ["async", "sync"])
@both_edges
async def test_no_handler_runs_in_the_context_of_a_caller(place: Place, kind_of_handler: str) -> None:
    """Context variables of a caller reach no handler, not of that caller and not of those queued behind (AUTH-3, RUN-5)."""
    seen: list[str] = []
    of_authorizer: list[str] = []

    async def handler(request: Any, context: Any) -> Any:
        seen.append(caller_of.get())
        await asyncio.sleep(0.05)
        return IMPORTED

    def in_thread(request: Any, context: Any) -> Any:
        seen.append(caller_of.get())
        return IMPORTED

    class Noting(Tenants):
        def authorize(self, call: Call, /) -> Access | Awaitable[Access]:
            of_authorizer.append(caller_of.get())
            return super().authorize(call)

    register = importing(handler if kind_of_handler == "async" else in_thread)
    async with place.serving(register, authorizer=Noting(), executor=LocalExecutor(concurrency=1)) as running:
        async with fronted(running, interceptors=[_notes_caller(running)]) as channel:
            callers = Callers(channel)
            names = [await callers.named(name).start() for name in ("alice", "bob", "adam")]
            for name in names:
                await callers.root.done(name)
        assert of_authorizer[:3] == ["alice", "bob", "adam"]  # that is where a caller's context belongs
        assert seen == ["nobody"] * 3


@once
async def test_rights_are_asked_for_every_call(place: Place) -> None:
    """A right that is withdrawn is gone with the next call: nothing granted is remembered (AUTH-3)."""
    rights = {"alice": Access(principal="alice", scope="tenant 1")}

    def answer(call: Call) -> Access:
        if (access := rights.get(call.header("token") or "")) is None:
            raise OperationError(Status(Code.PERMISSION_DENIED, "not any more"))
        return access

    async with place.serving(importing(imports), authorizer=Answering(answer)) as running:
        alice = Caller.named(running.channel, "alice")
        name, _ = await alice.start(), await alice.start()
        token = (await alice.list(PARENT, page_size=1)).page.next_page_token
        rights["alice"] = Access(principal="alice", scope="tenant 2")
        assert (await alice.about("GetOperation", name)).code is NOT_FOUND
        assert (await alice.list(PARENT, page_token=token)).field == "page_token"
        assert (await alice.list(PARENT)).names == []
        rights.clear()
        assert (await alice.about("GetOperation", name)).code is NOT_FOUND
        assert (await alice.list(PARENT)).names == []
        assert (await alice.ask(START, IMPORT)).code is grpc.StatusCode.PERMISSION_DENIED
