# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Channels of all kinds: secured, intercepted, of the wrong colour, and things that are none."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from google.api_core import operations_v1

from longrunning import AsyncOperationsClient, Code, LongRunningError, OperationsClient, PollingError, RpcError
from longrunning.testing import Gate, ScriptedOperations, delayed, pending, rpc_error, unavailable
from tests.pair.colours import GET, IMPORT_BOOKS, NAME, REQUEST, RESPONSE, Both, both_colours, came_in, imported

METADATA = (("x-added", "1"),)

# Old releases of grpcio complain, where nobody can catch it, about intercepted calls that failed or whose channel was closed.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("nothing_uncollected"),
]


@pytest.fixture(scope="module")
def certificate() -> tuple[bytes, bytes]:
    """A self-signed certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM), private


class AioAdding(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[misc, unused-ignore]
    """Adds a header to every RPC, and counts them."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        method: Any = client_call_details.method  # bytes, whatever its type says
        self.seen.append(method.decode())
        assert isinstance(request, bytes)
        for key, value in METADATA:
            client_call_details.metadata.add(key, value)
        return await continuation(client_call_details, request)


class SyncAdding(grpc.UnaryUnaryClientInterceptor):
    """Adds a header to every RPC, and counts them."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        self.seen.append(client_call_details.method)
        assert isinstance(request, bytes)
        details = client_call_details._replace(metadata=[*client_call_details.metadata, *METADATA])
        return continuation(details, request)


class AioRaising(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[misc, unused-ignore]
    """Fails every RPC before it is sent."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        raise self.error


class SyncRaising(grpc.UnaryUnaryClientInterceptor):
    """Fails every RPC before it is sent."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        raise self.error


class AioRetrying(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[misc, unused-ignore]
    """Retries once by itself."""

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        call = await continuation(client_call_details, request)
        return call if await call.code() is grpc.StatusCode.OK else await continuation(client_call_details, request)


class SyncRetrying(grpc.UnaryUnaryClientInterceptor):
    """Retries once by itself."""

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        call = continuation(client_call_details, request)
        return call if call.code() is grpc.StatusCode.OK else continuation(client_call_details, request)


@asynccontextmanager
async def intercepted(both: Both, scripted: ScriptedOperations, interceptor: Any) -> AsyncGenerator[Any, None]:
    """A client on a channel with an interceptor, and that channel."""
    async with both.serve(scripted) as server:
        if both.sync:
            with server.channel() as plain:
                channel = grpc.intercept_channel(plain, interceptor)
                yield both.client(channel), channel
        else:
            async with server.channel(interceptors=[interceptor]) as channel:
                yield both.client(channel), channel


# -- secured ------------------------------------------------------------------------------------------------------


@both_colours
async def test_a_secured_channel_works(both: Both, certificate: tuple[bytes, bytes]) -> None:
    """Over TLS an operation is started, polled through an outage, listed, cancelled and deleted (WAIT-6, ERR-1)."""
    public, private = certificate
    scripted = ScriptedOperations()
    scripted.starts(IMPORT_BOOKS, pending(), unavailable(), imported())
    async with both.serve(scripted, credentials=grpc.ssl_server_credentials([(private, public)])) as server:
        channel = server.channel(credentials=grpc.ssl_channel_credentials(public))
        client = both.client(channel)
        handle = await both(client.start(IMPORT_BOOKS, REQUEST))
        assert await both(handle.result()) == RESPONSE
        assert len(await both.collect(client.list(""))) == 1
        await both(client.cancel(handle.name))
        await both(handle.delete())
        await both(channel.close())
    assert scripted.rpcs() == ["ImportBooks", GET, GET, "ListOperations", "CancelOperation", "DeleteOperation"]


@both_colours
async def test_call_credentials_reach_every_poll(both: Both, certificate: tuple[bytes, bytes]) -> None:
    """Credentials of a channel that are headers of each call go out with every poll (WAIT-10)."""
    public, private = certificate
    scripted = ScriptedOperations({NAME: [pending(times=2), imported()]})
    async with both.serve(scripted, credentials=grpc.ssl_server_credentials([(private, public)])) as server:
        credentials = grpc.composite_channel_credentials(
            grpc.ssl_channel_credentials(public), grpc.access_token_call_credentials("secret")
        )
        channel = server.channel(credentials=credentials)
        handle = both.client(channel).attach(NAME, IMPORT_BOOKS)
        assert await both(handle.result()) == RESPONSE
        assert "secret" not in handle.resume_token
        await both(channel.close())
    assert [call.header("authorization") for call in scripted.calls] == [("Bearer secret",)] * 3


@both_colours
async def test_a_server_nobody_trusts_is_given_up(both: Both, certificate: tuple[bytes, bytes]) -> None:
    """A certificate that is not trusted does not become so by waiting: a PollingError at once, with the reason (WAIT-6)."""
    public, private = certificate
    scripted = ScriptedOperations({NAME: [imported()]})
    async with both.serve(scripted, credentials=grpc.ssl_server_credentials([(private, public)])) as server:
        channel = server.channel(credentials=grpc.ssl_channel_credentials())
        with pytest.raises(PollingError, match="CERTIFICATE_VERIFY_FAILED") as raised:
            await both(both.client(channel).attach(NAME, IMPORT_BOOKS).wait(timeout=None))
        assert raised.value.code is Code.UNAVAILABLE
        await both(channel.close())
    assert scripted.rpcs() == []


@both_colours
async def test_plain_text_to_a_secured_client_is_given_up(both: Both, certificate: tuple[bytes, bytes]) -> None:
    """A server that does not speak TLS will not learn it: a PollingError at once (WAIT-6)."""
    async with both.serve(ScriptedOperations({NAME: [imported()]})) as server:
        channel = server.channel(credentials=grpc.ssl_channel_credentials(certificate[0]))
        with pytest.raises(PollingError):
            await both(both.client(channel).attach(NAME, IMPORT_BOOKS).wait(timeout=None))
        await both(channel.close())


# -- intercepted --------------------------------------------------------------------------------------------------


@both_colours
async def test_interceptors_see_every_rpc(both: Both) -> None:
    """On an intercepted channel every poll passes the interceptor, and its headers arrive beside ours (WAIT-10)."""
    scripted = ScriptedOperations()
    scripted.starts(IMPORT_BOOKS, pending(), unavailable(), imported())
    interceptor: Any = SyncAdding() if both.sync else AioAdding()
    async with intercepted(both, scripted, interceptor) as (client, _):
        handle = await both(client.start(IMPORT_BOOKS, REQUEST))
        assert await both(handle.result()) == RESPONSE
    assert [method.rpartition("/")[2] for method in interceptor.seen] == ["ImportBooks", GET, GET] == scripted.rpcs()
    for call in scripted.calls:
        assert call.header("x-added") == ("1",)
        assert len(call.header("x-goog-request-params")) == (call.rpc == GET)


@both_colours
async def test_errors_pass_an_intercepted_channel(both: Both) -> None:
    """Codes, details and NOT_FOUND come through an intercepted channel as through a plain one (ERR-3, WAIT-7)."""
    scripted = ScriptedOperations({NAME: [rpc_error(Code.ABORTED, "no", details=[REQUEST])]})
    interceptor: Any = SyncAdding() if both.sync else AioAdding()
    async with intercepted(both, scripted, interceptor) as (client, channel):
        with pytest.raises(PollingError) as raised:
            await both(client.attach(NAME).wait())
        assert raised.value.code is Code.ABORTED
        assert len(raised.value.details.details) == 1
        await both(channel.close())
        with pytest.raises(PollingError, match="closed"):
            await both(client.attach(NAME).wait(timeout=None))


@both_colours
async def test_a_channel_closed_under_an_intercepted_call(both: Both) -> None:
    """A channel closed under a poll that passed an interceptor is a PollingError with a cause (WAIT-6)."""
    scripted = ScriptedOperations({NAME: [delayed(pending(), Gate())]})
    interceptor: Any = SyncAdding() if both.sync else AioAdding()
    async with intercepted(both, scripted, interceptor) as (client, channel):
        waiting = both.spawn(lambda: client.attach(NAME).wait(timeout=None))
        await scripted.wait_until_aio(came_in(1))
        await both(channel.close())
        with pytest.raises(PollingError, match="closed") as raised:
            await waiting
        assert raised.value.__cause__ is not None


@both_colours
async def test_interceptors_that_retry_do_not_disturb_the_wait(both: Both) -> None:
    """With an interceptor that retries by itself, as many RPCs go out as fail, plus one (WAIT-6)."""
    scripted = ScriptedOperations({NAME: [unavailable(times=3), imported()]})
    interceptor: Any = SyncRetrying() if both.sync else AioRetrying()
    async with intercepted(both, scripted, interceptor) as (client, _):
        assert await both(client.attach(NAME, IMPORT_BOOKS).result()) == RESPONSE
    assert scripted.rpcs() == [GET] * 4


class Refused(grpc.RpcError):
    """An error of an interceptor: grpc demands no more of it than its class."""


@both_colours
async def test_an_rpc_error_without_a_code_is_still_one(both: Both) -> None:
    """A bare grpc.RpcError, as an interceptor may raise it, is an RpcError of ours with that cause (ERR-1, WAIT-6)."""
    error = Refused("not today")
    scripted = ScriptedOperations({NAME: [imported()]})
    interceptor: Any = SyncRaising(error) if both.sync else AioRaising(error)
    async with intercepted(both, scripted, interceptor) as (client, _):
        for verb in (client.attach(NAME).wait, lambda: client.cancel(NAME)):
            with pytest.raises(RpcError) as raised:
                await both(verb())
            assert raised.value.__cause__ is error


@both_colours
async def test_other_errors_of_an_interceptor_are_its_own(both: Both) -> None:
    """What an interceptor raises that is no error of an RPC comes out as it is: it is no fault of the channel (ERR-1)."""
    error = LookupError("no credentials")
    scripted = ScriptedOperations({NAME: [imported()]})
    interceptor: Any = SyncRaising(error) if both.sync else AioRaising(error)
    async with intercepted(both, scripted, interceptor) as (client, _):
        with pytest.raises(LookupError) as raised:
            await both(client.attach(NAME).wait())
        assert raised.value is error


@both_colours
async def test_a_value_error_of_an_interceptor_is_no_closed_channel(both: Both) -> None:
    """A ValueError that an interceptor raises is not taken for a closed channel (ERR-1, WAIT-6)."""
    error = ValueError("no credentials")
    scripted = ScriptedOperations({NAME: [imported()]})
    interceptor: Any = SyncRaising(error) if both.sync else AioRaising(error)
    async with intercepted(both, scripted, interceptor) as (client, _):
        with pytest.raises(Exception, match="no credentials") as raised:
            await both(client.attach(NAME).wait())
        assert "channel is closed" not in str(raised.value)


@pytest.mark.parametrize("metadata", [[("X-Upper", "1")], [("x-\n", "1")], [("x-a", "new\nline")]], ids=repr)
@both_colours
async def test_headers_that_cannot_be_sent_are_no_closed_channel(both: Both, metadata: Any) -> None:
    """Headers grpc refuses to send are an error that says so, not one that says the channel is closed (ERR-1, WAIT-10)."""
    async with both.pair({NAME: [imported()]}) as pair:
        for verb in (
            pair.client.attach(NAME, metadata=metadata).wait,
            lambda: pair.client.get(NAME, metadata=metadata),
        ):
            with pytest.raises((LongRunningError, ValueError, TypeError)) as raised:
                await both(verb())
            assert "closed" not in str(raised.value)
        assert (await both(pair.client.get(NAME))).done


# -- what is no channel -------------------------------------------------------------------------------------------


@both_colours
async def test_a_channel_of_the_other_colour_is_refused(both: Both) -> None:
    """A grpc.aio.Channel for the sync client, or the reverse, is a TypeError that names the right client (ERR-1)."""
    async with grpc.aio.insecure_channel("127.0.0.1:1") as aio:
        with grpc.insecure_channel("127.0.0.1:1") as sync:
            wrapped = grpc.intercept_channel(sync, SyncAdding())
            for channel in (aio,) if both.sync else (sync, wrapped):
                with pytest.raises(TypeError, match="AsyncOperationsClient" if both.sync else " OperationsClient"):
                    (OperationsClient if both.sync else AsyncOperationsClient)(channel)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("other", [None, "127.0.0.1:1", object(), 7, grpc, grpc.Channel], ids=repr)
@both_colours
async def test_what_is_no_channel_is_refused(both: Both, other: Any) -> None:
    """What is neither a channel nor a transport is a TypeError when the client is made (ERR-1)."""
    with pytest.raises(TypeError, match=r"grpc\.(aio\.)?Channel"):
        both.client(other)


@both_colours
async def test_another_librarys_client_is_no_transport(both: Both) -> None:
    """A client of google-api-core, which has a get_operation of its own, is a TypeError, not a late surprise (ERR-1)."""
    with grpc.insecure_channel("127.0.0.1:1") as channel:
        made: Any = operations_v1.OperationsClient
        theirs = made(channel)
        with pytest.raises(TypeError):
            both.client(theirs)


@both_colours
async def test_a_transport_of_the_other_colour_is_refused(both: Both) -> None:
    """A transport of the other colour is a TypeError when the client is made, like a channel of it (ERR-1)."""
    async with Both("async" if both.sync else "sync").pair({}) as pair:
        theirs = pair.client._session.transport
        with pytest.raises(TypeError):
            both.client(theirs)


@both_colours
async def test_closing_a_client_leaves_the_channel_open(both: Both) -> None:
    """A client used as a context manager, and closed twice, leaves the channel it was given open (law 8, ERR-1)."""
    async with both.pair({NAME: [imported()]}) as pair:
        client = both.client(pair.channel)
        if both.sync:
            with client as entered:
                assert entered is client
        else:
            async with client as entered:
                assert entered is client
        await both(client.close())
        await both(client.close())
        assert (await both(pair.client.get(NAME))).done
        assert (await both(client.get(NAME))).done


@both_colours
async def test_a_server_that_answers_slowly_is_waited_for(both: Both) -> None:
    """A reply that takes its time within the time of a poll costs one RPC (WAIT-1)."""
    async with both.pair({NAME: [delayed(imported(), 0.1)]}) as pair:
        assert await both(pair.client.attach(NAME, IMPORT_BOOKS).result()) == RESPONSE
        assert pair.operations.rpcs() == [GET]


@both_colours
async def test_a_message_too_large_for_the_channel_ends_the_wait(both: Both) -> None:
    """A reply larger than the channel takes is RESOURCE_EXHAUSTED, a fault that lasts: PollingError (WAIT-6)."""
    scripted = ScriptedOperations({NAME: [imported()]})
    async with both.serve(scripted) as server:
        channel = server.channel(options=[("grpc.max_receive_message_length", 10)])
        with pytest.raises(PollingError) as raised:
            await both(both.client(channel).attach(NAME).wait())
        assert raised.value.code is Code.RESOURCE_EXHAUSTED
        await both(channel.close())
