# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What a REST client is made of: URLs, HTTP clients, certificates, authentication, hooks; and things that are none of these."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
import subprocess
import sys
import traceback
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from longrunning import AsyncOperationsClient, Code, OperationsClient, PollingError, RpcError
from longrunning.errors import MissingExtraError
from longrunning.rest import AsyncRestTransport, OperationsBindings, RestTransport
from tests.pair.colours import NAME, REQUEST, RESPONSE, Both, both_colours, imported, polls, progress, run
from tests.pair.rest_serving import IMPORT, Canned, HttpEdge, Seen, answering, http_client, rest_client, rest_pair

DONE = {"name": NAME, "done": True}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a self-signed certificate for 127.0.0.1, and its key."""
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
    file = tmp_path_factory.mktemp("tls") / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return file


async def shut(both: Both, closable: Any) -> None:
    """Closes an HTTP client of either colour."""
    await both(closable.close() if both.sync else closable.aclose())


# -- TLS ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def secured(certificate: Path) -> Generator[HttpEdge, None, None]:
    """A server behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    edge = HttpEdge(lambda seen: Canned(200, DONE), tls=context)
    edge.start()
    yield edge
    edge.stop()


@both_colours
async def test_tls_is_verified(both: Both, secured: HttpEdge) -> None:
    """A certificate nobody vouches for ends a wait at once: it will not pass, and nothing was sent (WAIT-6, REST-1)."""
    client = rest_client(both, secured.url)
    with pytest.raises(PollingError, match="CERTIFICATE_VERIFY_FAILED"):
        await both(client.attach(NAME).wait())
    await both(client.close())
    assert secured.seen == []


@both_colours
async def test_tls_with_a_certificate_to_trust(both: Both, secured: HttpEdge, certificate: Path) -> None:
    """An HTTP client that trusts the certificate works (REST-1)."""
    own = http_client(both, verify=ssl.create_default_context(cafile=certificate))
    client = rest_client(both, secured.url, http_client=own)
    assert (await both(client.get(NAME))).done
    await shut(both, own)


@both_colours
async def test_tls_with_a_plain_server(both: Both) -> None:
    """A server that does not speak TLS ends a wait at once (WAIT-6)."""
    with answering(Canned(200, DONE)) as edge:
        client = rest_client(both, edge.url.replace("http:", "https:"))
        with pytest.raises(PollingError, match="WRONG_VERSION_NUMBER"):
            await both(client.attach(NAME).wait())
        await both(client.close())


# -- authentication and hooks ---------------------------------------------------------------------------------------


class Bearer(httpx.Auth):
    """Sends a token, and a new one when the server does not like it."""

    def __init__(self) -> None:
        self.tokens = 0

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["authorization"] = f"Bearer {self.tokens}"
        response = yield request
        if response.status_code == 401:
            self.tokens += 1
            request.headers["authorization"] = f"Bearer {self.tokens}"
            yield request


@both_colours
async def test_authentication(both: Both) -> None:
    """Authentication is that of the HTTP client, and reaches every request: tokens can be renewed under a wait (REST-1)."""

    def answer(seen: Seen) -> Canned:
        if seen.headers.get("authorization") != "Bearer 1":
            return Canned(401, {"error": {"code": 401, "message": "no", "status": "UNAUTHENTICATED"}})
        return Canned(200, DONE | {"done": len(edge.seen) > 3})

    with answering(answer) as edge:
        own = http_client(both, auth=Bearer())
        client = rest_client(both, edge.url, http_client=own)
        assert (await both(client.attach(NAME).wait())).done
        await both(client.cancel(NAME))
        await shut(both, own)
        assert [seen.headers["authorization"][-1] for seen in edge.seen] == ["0", "1", "1", "1", "1"]


@both_colours
async def test_unauthenticated(both: Both) -> None:
    """Without credentials the error is that of the server (ERR-1, REST-2)."""
    with answering(Canned(401, b"", (("www-authenticate", "Bearer"),))) as edge:
        client = rest_client(both, edge.url)
        with pytest.raises(PollingError) as caught:
            await both(client.attach(NAME).wait())
        await both(client.close())
        assert caught.value.code is Code.UNAUTHENTICATED


@both_colours
async def test_hooks(both: Both) -> None:
    """Hooks see requests and answers; one that reads the body, or raises for the status, changes nothing (REST-1)."""
    statuses: list[int] = []

    def note(response: httpx.Response) -> None:
        statuses.append(response.status_code)
        response.read()

    async def async_note(response: httpx.Response) -> None:
        statuses.append(response.status_code)
        await response.aread()

    def strict(response: httpx.Response) -> None:
        response.raise_for_status()

    async def async_strict(response: httpx.Response) -> None:
        response.raise_for_status()

    hooks = [note, strict] if both.sync else [async_note, async_strict]
    with answering(Canned(503), Canned(200, DONE), Canned(404)) as edge:
        own = http_client(both, event_hooks={"response": hooks})
        client = rest_client(both, edge.url, http_client=own)
        assert (await both(client.attach(NAME).wait())).done
        with pytest.raises(RpcError) as caught:
            await both(client.get(NAME))
        await shut(both, own)
        assert statuses == [503, 200, 404]
        assert caught.value.code is Code.NOT_FOUND


@both_colours
async def test_hooks_that_read_errors(both: Both) -> None:
    """An error that a hook has read before it raised for its status keeps its code, words and details (ERR-3, WAIT-8)."""
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}
    error = {"code": 429, "message": "why", "status": "RESOURCE_EXHAUSTED", "details": [info]}

    def strict(response: httpx.Response) -> None:
        response.read()
        response.raise_for_status()

    async def async_strict(response: httpx.Response) -> None:
        await response.aread()
        response.raise_for_status()

    with answering(Canned(429, {"error": error})) as edge:
        own = http_client(both, event_hooks={"response": [strict if both.sync else async_strict]})
        client = rest_client(both, edge.url, http_client=own)
        with pytest.raises(RpcError, match="why") as caught:
            await both(client.get(NAME))
        await shut(both, own)
        assert caught.value.code is Code.RESOURCE_EXHAUSTED
        assert caught.value.details.retry_info is not None


@both_colours
async def test_hooks_that_fail(both: Both) -> None:
    """What a hook raises is its caller's, and comes out as it is (WAIT-6)."""

    def fail(request: httpx.Request) -> None:
        raise LookupError("no token today")

    async def async_fail(request: httpx.Request) -> None:
        raise LookupError("no token today")

    with answering(Canned(200, DONE)) as edge:
        own = http_client(both, event_hooks={"request": [fail if both.sync else async_fail]})
        client = rest_client(both, edge.url, http_client=own)
        with pytest.raises(LookupError, match="no token today"):
            await both(client.attach(NAME).wait())
        await shut(both, own)


class Failing(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A way to the server that fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.count = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.count += 1
        raise self.error

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self.handle_request(request)


@pytest.mark.parametrize(
    ("error", "code", "lasts"),
    [
        (httpx.ConnectTimeout("slow"), Code.DEADLINE_EXCEEDED, False),
        (httpx.ReadTimeout(""), Code.DEADLINE_EXCEEDED, False),
        (httpx.PoolTimeout("busy"), Code.DEADLINE_EXCEEDED, False),
        (TimeoutError("of a hook"), Code.DEADLINE_EXCEEDED, False),
        (httpx.ConnectError("[Errno -2] Name or service not known"), Code.UNAVAILABLE, False),
        (httpx.ReadError("reset"), Code.UNAVAILABLE, False),
        (httpx.WriteError("reset"), Code.UNAVAILABLE, False),
        (httpx.CloseError("reset"), Code.UNAVAILABLE, False),
        (httpx.RemoteProtocolError("Server disconnected"), Code.UNAVAILABLE, False),
        (httpx.RemoteProtocolError("illegal status line: b'SSH'"), Code.UNAVAILABLE, True),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"), Code.UNAVAILABLE, True),
        (httpx.ProxyError("502 Bad Gateway"), Code.UNAVAILABLE, False),
        (httpx.ProxyError("407 Proxy Authentication Required"), Code.UNAVAILABLE, True),
        (httpx.LocalProtocolError("Illegal header value"), Code.INTERNAL, True),
        # Over HTTP/2, of a connection that the server is closing.
        (httpx.LocalProtocolError("Max outbound streams is 0, 1 open"), Code.UNAVAILABLE, False),
        (httpx.UnsupportedProtocol("ftp"), Code.INTERNAL, True),
    ],
    ids=lambda value: str(value) if isinstance(value, Exception) else "",
)
@both_colours
async def test_exceptions_of_httpx(both: Both, error: Exception, code: Code, lasts: bool) -> None:
    """Each exception of httpx has a code; what passes is retried, what lasts is not, and it is the cause (WAIT-6)."""
    failing = Failing(error)
    own = http_client(both, transport=failing)
    client = rest_client(both, "http://localhost", http_client=own)
    with pytest.raises(RpcError) as caught:
        await both(client.get(NAME))
    assert caught.value.code is code
    assert caught.value.__cause__ is error
    failing.count = 0
    with pytest.raises(PollingError if lasts else TimeoutError):
        await both(client.attach(NAME).wait(timeout=5))
    assert (failing.count == 1) is lasts
    await shut(both, own)


@pytest.mark.parametrize(("module", "passes"), [("httpcore._sync.http2", True), ("hooks", False)])
@both_colours
async def test_streams_that_are_gone(both: Both, module: str, *, passes: bool) -> None:
    """Where httpcore stumbles over a stream of a connection that has ended, a wait goes on; a KeyError of a hook does not (WAIT-12)."""
    names: dict[str, Any] = {"__name__": module}
    exec("def stumble(): raise KeyError(7)", names)
    count = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal count
        count += 1
        if count == 1:
            names["stumble"]()
        return httpx.Response(200, json=DONE)

    own = http_client(both, transport=httpx.MockTransport(answer))
    wait = rest_client(both, "http://localhost", http_client=own).attach(NAME).wait
    if passes:
        assert (await both(wait())).done
    else:
        with pytest.raises(KeyError):
            await both(wait())
    await shut(both, own)


@both_colours
async def test_mock_transports(both: Both) -> None:
    """The HTTP client may be one of a test, whose answers are there at once (REST-1)."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=DONE | {"name": request.url.path})

    own = http_client(both, transport=httpx.MockTransport(answer))
    client = rest_client(both, "http://localhost/api", http_client=own)
    assert (await both(client.get(NAME))).name == f"/api/v1/{NAME}"
    await shut(both, own)


@both_colours
async def test_large_names(both: Both) -> None:
    """A name that is longer than any URL is INVALID_ARGUMENT (REST-1)."""
    client = rest_client(both, "http://localhost:1")
    with pytest.raises(RpcError, match="too long") as caught:
        await both(client.get("x" * 100_000))
    await both(client.close())
    assert caught.value.code is Code.INVALID_ARGUMENT


# -- making one ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "", "localhost:8080", "ftp://h", "unix:/x", "https://", "/v1", "https://h?x=1", "https://h#x", "https://[::1", "grpc://h",
        "https://h?", "https://h/#", "https://h:0", "https://h:65536", "https://h:x", "https://h\n", "https://a..b", "https://.", f"https://{'a' * 64}.example",
        "https://xn--zzzzz99999.com", "https://\u2603.com", "https://[1::2::3]",
    ],
)  # fmt: skip
def test_urls_that_are_none(url: str) -> None:
    """What is no https:// or http:// URL of a server, and of nothing else, is a ValueError (REST-1)."""
    for kind in (RestTransport, AsyncRestTransport):
        with pytest.raises(ValueError, match="URL"):
            kind(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://user:hunter2@localhost", "https://user:hunter2/x@localhost", "https://user:hunter2@", "ftp://user:hunter2@h",
        "user:hunter2@localhost:80", "https://localhost/?key=hunter2", "localhost?key=hunter2", "https://h:x#hunter2",
    ],
)  # fmt: skip
def test_secrets_in_urls(url: str) -> None:
    """A URL with a password or a key is refused, and neither is repeated, whatever else is wrong (REST-1)."""
    for kind in (OperationsClient, AsyncOperationsClient):
        with pytest.raises(ValueError, match="URL") as caught:
            kind.from_url(url)
        assert "hunter2" not in "".join(traceback.format_exception_only(caught.value))
        assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "url", ["https://h", "http://[::1]:8080", "HTTPS://H:65535/", "http://exämple.com", "http://h/a%20b/@c"]
)
def test_urls(url: str) -> None:
    """A URL of a server may have any port, an IPv6 address, a name that is not ASCII, a path (REST-1)."""
    RestTransport(url).close()


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [(RestTransport, httpx.AsyncClient), (AsyncRestTransport, httpx.Client), (RestTransport, dict)],
)
def test_http_clients_of_the_wrong_colour(kind: Any, wrong: Any) -> None:
    """An HTTP client of the other colour, or none at all, is a TypeError that says what is needed (REST-1)."""
    with pytest.raises(TypeError, match=r"http_client is an httpx\.\w*Client, got a"):
        kind("https://localhost", http_client=wrong())


def test_transports_of_the_wrong_colour() -> None:
    """A transport of the other colour is no transport of a client (REST-1)."""
    sync, aio = RestTransport("https://localhost"), AsyncRestTransport("https://localhost")
    with pytest.raises(TypeError, match="a transport"):
        OperationsClient(aio)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a transport"):
        AsyncOperationsClient(sync)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a transport"):
        OperationsClient(httpx.Client())  # type: ignore[arg-type]
    sync.close()
    run(aio.close())


def test_repr() -> None:
    """A transport shows where it leads (REST-1)."""
    with_path = RestTransport("https://localhost:8443/api/", bindings=OperationsBindings.under("/v2"))
    assert repr(with_path) == "<RestTransport https://localhost:8443/api>"
    with_path.close()


@both_colours
async def test_context_managers(both: Both) -> None:
    """A client is a context manager that closes what it opened (REST-1)."""
    async with rest_pair(both, {NAME: [progress(1), imported()]}) as pair:
        if both.sync:
            with OperationsClient.from_url(pair.edge.url, policy=polls(), clock=both.clock()) as client:
                assert client.attach(NAME, IMPORT).result() == RESPONSE
        else:
            async with AsyncOperationsClient.from_url(pair.edge.url, policy=polls(), clock=both.clock()) as aio:
                assert await aio.attach(NAME, IMPORT) == RESPONSE


@both_colours
async def test_the_environment_changes_nothing(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment is not used (law 8)."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with answering(Canned(200, DONE)) as edge:
        client = rest_client(both, edge.url)
        assert (await both(client.get(NAME))).done
        await both(client.close())


def test_without_httpx() -> None:
    """Without httpx, asking for a transport says which extra to install; the rest of the package does not need it (PKG-1)."""
    program = """
import sys
sys.modules["httpx"] = None
import longrunning, longrunning.rest
from longrunning.rest import OperationsBindings
from longrunning.errors import MissingExtraError
for get in (
    lambda: longrunning.OperationsClient.from_url("https://localhost"),
    lambda: longrunning.AsyncOperationsClient.from_url("https://localhost"),
    lambda: longrunning.rest.RestTransport,
    lambda: longrunning.rest.AsyncRestTransport,
):
    try:
        get()
    except MissingExtraError as error:
        assert error.extra == "rest" and "longrunning[rest]" in str(error), error
    else:
        raise AssertionError
try:
    longrunning.rest.Nonsense
except AttributeError:
    pass
assert {"RestTransport", "OperationsBindings"} <= set(dir(longrunning.rest))
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
    assert MissingExtraError("rest", "x").extra == "rest"


def test_nothing_is_loaded_early() -> None:
    """The package, its clients and its REST folder load neither httpx nor anything of it (PKG-1)."""
    program = "import sys, longrunning.client, longrunning.rest; sys.exit('httpx' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


@both_colours
async def test_starting_twice(both: Both) -> None:
    """One client starts any number of operations, over one connection (REST-1)."""
    with answering(lambda _: Canned(200, {"name": f"operations/{len(edge.seen)}"})) as edge:
        client = rest_client(both, edge.url)
        names = [(await both(client.start(IMPORT, REQUEST))).name for _ in range(5)]
        await both(client.close())
        assert names == [f"operations/{number}" for number in range(1, 6)]
        assert edge.accepted == 1
