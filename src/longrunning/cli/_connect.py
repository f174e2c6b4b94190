# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The way to the server: channels, made of options alone, and a client on top. That of a URL is in `_connect_rest`."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final, cast, final

import grpc
import grpc.aio

from .. import __version__
from ..client import AsyncOperationsClient
from ..policy import PollPolicy, RetryPolicy
from ..registry import TypeRegistry
from ._exits import CliError, Exit, is_distrust
from ._options import Link, Pace, Sources
from ._reflection import ReflectedPool
from ._types import read_file, registry_of

__all__ = ["Server", "connect"]

_OPTIONS: Final[tuple[tuple[str, Any], ...]] = (
    ("grpc.primary_user_agent", f"longrunning-cli/{__version__}"),
    ("grpc.enable_http_proxy", 0),  # it would be taken from the environment
    ("grpc.max_receive_message_length", 256 << 20),  # a page of operations may be larger than gRPC's 4 MiB
    # A server that is back is found soon; by default gRPC looks for it every two minutes.
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.min_reconnect_backoff_ms", 5_000),  # which is also how long a connection may take
    ("grpc.max_reconnect_backoff_ms", 10_000),
)
_SLOWEST: Final = 5.0  # seconds from one poll to the next: somebody sits there and waits


@final
@dataclass(frozen=True, slots=True)
class Server:
    """A server and what is known about its types.

    Attributes:
        link: How it is reached.
        client: The client.
        registry: The types of its payloads.
        reflected: What it tells of them; ``None`` if it is not asked.
    """

    link: Link
    client: AsyncOperationsClient
    registry: TypeRegistry
    reflected: ReflectedPool | None


@asynccontextmanager
async def connect(
    link: Link, sources: Sources, pace: Pace | None = None, *, on_failure: Callable[[str], None] | None = None
) -> AsyncGenerator[Server]:
    """Opens a connection. That nobody is there shows at the first request.

    Args:
        link: How to reach it.
        sources: Where types come from.
        pace: How to wait.
        on_failure: Called with the reason whenever a request did not reach the server, and with an empty text when one did.

    Raises:
        CliError: A file that the options name cannot be used.
    """
    certificates = _certificates(link)
    registry = registry_of(sources)
    if link.is_url:
        from ._connect_rest import http_client

        if sources.reflect:
            raise CliError(Exit.USAGE, "--reflect asks over gRPC: a server at a URL has no reflection")
        async with http_client(certificates, on_failure) as opened:
            policy = _policy(link, pace)
            try:
                client = AsyncOperationsClient.from_url(
                    link.endpoint, http_client=opened, registry=registry, policy=policy, metadata=link.headers
                )
            except ValueError as error:
                raise CliError(Exit.USAGE, f"--endpoint: {error}") from error
            yield Server(link, client, registry, None)
        return
    async with _channel(link, certificates, registry, sources, _Watch(on_failure)) as (channel, reflected):
        if reflected is not None:
            registry |= TypeRegistry.from_pool(cast("Any", reflected))
        client = AsyncOperationsClient(channel, registry=registry, policy=_policy(link, pace), metadata=link.headers)
        yield Server(link, client, registry, reflected)


@asynccontextmanager
async def _channel(
    link: Link, certificates: bytes | None, registry: TypeRegistry, sources: Sources, watch: _Watch
) -> AsyncGenerator[tuple[grpc.aio.Channel, ReflectedPool | None]]:
    credentials = None if link.insecure else grpc.ssl_channel_credentials(certificates)
    with _reflecting(link, credentials, registry, wanted=sources.reflect) as reflected:
        if credentials is None:
            opened = grpc.aio.insecure_channel(link.endpoint, options=_OPTIONS, interceptors=[watch])
        else:
            opened = grpc.aio.secure_channel(link.endpoint, credentials, options=_OPTIONS, interceptors=[watch])
        async with opened as channel:
            yield channel, reflected


@contextmanager
def _reflecting(
    link: Link, credentials: grpc.ChannelCredentials | None, known: TypeRegistry, *, wanted: bool
) -> Generator[ReflectedPool | None]:
    if not wanted:
        yield None
        return
    # Types are looked up in the middle of printing, where nothing can be awaited: hence a blocking channel.
    if credentials is None:
        opened = grpc.insecure_channel(link.endpoint, _OPTIONS)
    else:
        opened = grpc.secure_channel(link.endpoint, credentials, _OPTIONS)
    with opened as channel:
        yield ReflectedPool(channel, link.headers, link.rpc_timeout, known)


def _policy(link: Link, pace: Pace | None) -> PollPolicy:
    retry = RetryPolicy(rpc_timeout=link.rpc_timeout)
    if pace is None:
        return PollPolicy(retry=retry)
    first, last = (1.0, _SLOWEST) if pace.interval is None else (pace.interval, pace.interval)
    return PollPolicy(
        initial=first, maximum=last, timeout=pace.timeout, retry=retry,
        use_wait_operation=not pace.progress,  # a server that waits itself tells of nothing but the end
    )  # fmt: skip


def _certificates(link: Link) -> bytes | None:
    """Whom to trust, in PEM form; ``None`` for the usual ones."""
    if link.ca is None:
        return None
    certificates = read_file(link.ca, "--ca")
    try:  # gRPC would find out at the first request, and not say; what is not ASCII is comment
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=certificates.decode("ascii", "ignore"))
    except (ssl.SSLError, ValueError) as error:
        raise CliError(Exit.USAGE, f"--ca {link.ca}: no certificates in PEM form") from error
    return certificates


class _Watch(grpc.aio.UnaryUnaryClientInterceptor):
    """Sees every request fail or succeed: a wait bridges failures, and tells nobody."""

    def __init__(self, on_failure: Callable[[str], None] | None) -> None:
        self._on_failure = on_failure

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """Sends a request."""
        call = await continuation(client_call_details, request)
        failed = await call.code() is grpc.StatusCode.UNAVAILABLE
        reason: str = (await call.details() or "") if failed else ""
        if is_distrust(reason):  # a code that nobody retries
            headers = grpc.aio.Metadata()
            raise grpc.aio.AioRpcError(grpc.StatusCode.FAILED_PRECONDITION, headers, headers, reason)
        if self._on_failure is not None:
            self._on_failure(reason)
        return call
