# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The REST transport, on httpx: the same RPCs, the same errors and the same types over HTTP/JSON."""

from __future__ import annotations

# async-only: begin
import asyncio

# async-only: end
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import httpx

from .. import __version__
from .._polling import PollFailure
from ..client import CallOptions, ListQuery, RpcFailure
from ..status import Code, Status
from ._bindings import DEFAULT_BINDINGS, OperationsBindings
from ._deadlines import Remaining
from ._httpx_errors import (
    base_url,
    closed,
    failure_of_httpx,
    headers_of,
    is_of_http2,
    no_cookies,
    read_by_hooks,
)
from ._replies import ACCEPT_ENCODING, Body, BodyError, Reply, failure_of, read_operation_reply, read_page_reply
from ._requests import HttpRequest, UnsendableError, list_request, operation_request, start_request, wait_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._types import OperationTypes
    from ..method import LroMethod
    from ..operation import Operation
    from ..page import Page

__all__ = ["AsyncRestTransport"]

_SERVICE: Final = "/google.longrunning.Operations/"
_MAX_REPLY: Final = 64 << 20  # bytes; a page may have a thousand operations with their metadata
# WaitOperations under way at once, each of which holds a connection: half of what httpx makes by default.
_MAX_WAITS: Final = 50
# Those of httpx, but for the last: servers (uvicorn, Node) close what was idle for 5 s, as httpx does, and a request that meets
# a connection just then is lost.
_LIMITS: Final = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=4.0)


class AsyncRestTransport:
    """The `AsyncTransport` over HTTP/JSON, as ``google.api.http`` and AIP-193 have it (extra ``rest``).

    Authentication, proxies, certificates, HTTP/2 and hooks are httpx's: give it a client that has them. Without one it makes
    its own, which verifies TLS, keeps no cookies, and reads no environment variables. Redirects are never followed: they are
    errors.

    At most `max_waits` WaitOperations are under way at once, since each keeps a connection busy; beyond that GetOperation takes
    their place, which is a WaitOperation that returns early.

    Example:
        async with httpx.AsyncClient(auth=auth) as http_client:
            transport = AsyncRestTransport("https://redis.googleapis.com", http_client=http_client)
            client = AsyncOperationsClient(transport)
    """

    def __init__(
        self,
        url: str,
        *,
        http_client: httpx.AsyncClient | None = None,
        bindings: OperationsBindings = DEFAULT_BINDINGS,
        max_reply_bytes: int = _MAX_REPLY,
        max_waits: int = _MAX_WAITS,
    ) -> None:
        """Makes a transport. Nothing is sent.

        Args:
            url: Where the server is, such as ``https://redis.googleapis.com``; a path in it goes before those of bindings.
            http_client: What sends requests. It stays its maker's: closing the transport does not close it. Its own timeouts
                do not apply: each RPC has one.
            bindings: Where the methods of the Operations service are; for ``/v1`` unless given.
            max_reply_bytes: Largest answer that is read, decompressed; larger ones are RESOURCE_EXHAUSTED.
            max_waits: WaitOperations under way at once; fewer than `http_client` makes connections, or nothing else gets through
                until one of them ends.

        Raises:
            ValueError: The URL is none of a server, or `max_waits` is negative.
            TypeError: `http_client` is not of this colour.
        """
        self._url = base_url(url)
        wanted = httpx.AsyncClient
        if http_client is not None and not isinstance(http_client, wanted):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"http_client is an httpx.{wanted.__name__}, got a {type(http_client).__name__}")
        self._own = http_client is None
        self._client = http_client or httpx.AsyncClient(
            headers={"user-agent": f"longrunning/{__version__}"},
            cookies=no_cookies(),
            limits=_LIMITS,
            trust_env=False,  # nothing here depends on the environment
        )
        self._bindings = bindings
        self._limit = max_reply_bytes
        self._waits = threading.BoundedSemaphore(max_waits)  # never waited for, in either colour

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._url}>"

    async def start(
        self, method: LroMethod[Any, Any, Any], request: Any, types: OperationTypes, options: CallOptions
    ) -> Operation[Any, Any]:
        """Calls the method that starts an operation, by its HTTP binding."""
        if method.http is None:
            problem = f"{method.path} declares no HTTP binding: LroMethod(…, http=HttpBinding(…))"
            raise RpcFailure(PollFailure(status=Status(Code.UNIMPLEMENTED, problem)), method.path)
        reply = await self._call(method.path, lambda: start_request(method, request, types), types, options)
        return read_operation_reply(reply, types)

    async def get_operation(self, name: str, types: OperationTypes, options: CallOptions) -> Operation[Any, Any]:
        """GetOperation."""
        reply = await self._call("GetOperation", lambda: operation_request(self._bindings.get, name), types, options)
        return read_operation_reply(reply, types)

    async def list_operations(
        self, query: ListQuery, types: OperationTypes, options: CallOptions
    ) -> Page[Operation[Any, Any]]:
        """ListOperations, one page."""
        reply = await self._call("ListOperations", lambda: list_request(self._bindings.list, query), types, options)
        return read_page_reply(reply, types)

    async def cancel_operation(self, name: str, types: OperationTypes, options: CallOptions) -> None:
        """CancelOperation."""
        await self._call("CancelOperation", lambda: operation_request(self._bindings.cancel, name), types, options)

    async def delete_operation(self, name: str, types: OperationTypes, options: CallOptions) -> None:
        """DeleteOperation."""
        await self._call("DeleteOperation", lambda: operation_request(self._bindings.delete, name), types, options)

    async def wait_operation(
        self, name: str, timeout: float | None, types: OperationTypes, options: CallOptions
    ) -> Operation[Any, Any]:
        """WaitOperation; `timeout` is the server's, seconds. With `max_waits` of them under way, GetOperation instead."""
        bindings = self._bindings.wait
        if not bindings:
            status = Status(Code.UNIMPLEMENTED, "there is no HTTP binding for WaitOperation")
            raise RpcFailure(PollFailure(status=status), _SERVICE + "WaitOperation")
        if not self._waits.acquire(blocking=False):
            return await self.get_operation(name, types, options)
        try:
            reply = await self._call(
                "WaitOperation", lambda: wait_request(bindings, name, timeout), types, options, optional=True
            )
        finally:
            self._waits.release()
        return read_operation_reply(reply, types)

    async def close(self) -> None:
        """Closes the HTTP client, unless it was given."""
        if self._own:
            await self._client.aclose()

    # -- inside ---------------------------------------------------------------------------------------------------

    async def _call(
        self,
        rpc: str,
        make: Callable[[], HttpRequest],
        types: OperationTypes,
        options: CallOptions,
        *,
        optional: bool = False,
    ) -> Reply:
        """One RPC: the answer, if it is a success.

        Raises:
            RpcFailure: It is none, or there is none.
        """
        path = rpc if rpc.startswith("/") else _SERVICE + rpc
        if self._is_closed():
            raise RpcFailure(closed(), path)
        where = ""
        try:
            request = make()
            where = f"{request.verb} {self._url}{request.path}"
            reply = await self._send(request, options)
        except (UnsendableError, httpx.InvalidURL) as error:  # the latter: longer than any server takes
            raise RpcFailure(
                PollFailure(status=Status(Code.INVALID_ARGUMENT, str(error)), cause=error), path
            ) from error
        except BodyError as error:
            raise RpcFailure(PollFailure(status=Status(error.code, str(error)), cause=error), path) from error
        except httpx.HTTPStatusError as error:  # of a hook that calls raise_for_status()
            reply = Reply(error.response.status_code, error.response.headers, read_by_hooks(error.response))
        except (httpx.HTTPError, TimeoutError) as error:
            failure = closed(error) if self._is_closed() else failure_of_httpx(error, options.timeout, where)
            raise RpcFailure(failure, path) from error
        except KeyError as error:
            if not is_of_http2(error):
                raise
            raise RpcFailure(failure_of_httpx(error, options.timeout, where), path) from error
        except RuntimeError as error:  # what httpx says of a client that was closed meanwhile; or one of a hook
            if not self._is_closed():
                raise
            raise RpcFailure(closed(error), path) from error
        if not 200 <= reply.status < 300:
            raise RpcFailure(failure_of(reply, types, time.time(), where=where, optional=optional), path)
        return reply

    def _is_closed(self) -> bool:
        return self._client.is_closed

    async def _send(self, request: HttpRequest, options: CallOptions) -> Reply:
        """One HTTP request.

        Raises:
            BodyError: The answer cannot be read.
        """
        # async-only: begin
        timeouts = Remaining(None)  # there is one for the whole, below
        # async-only: end
        # sync-only: | timeouts = Remaining(options.timeout)
        try:
            sent = self._client.build_request(
                request.verb,
                self._url + request.path,
                content=request.body,
                headers=headers_of(options.metadata, ACCEPT_ENCODING, has_body=request.body is not None),
                extensions={"timeout": timeouts},
            )
        except UnicodeEncodeError as error:  # of a cookie that some server set: all other headers were checked
            raise httpx.LocalProtocolError(f"there is a header that cannot be sent: {error}") from error
        if request.query:  # after the parameters that the caller's client adds to every request
            query = b"&".join(filter(None, (sent.url.query, request.query_string)))
            sent.url = sent.url.copy_with(query=query)
        # async-only: begin
        async with asyncio.timeout(options.timeout):
            return await self._exchange(sent, timeouts)
        # async-only: end
        # sync-only: | return self._exchange(sent, timeouts)

    async def _exchange(self, request: httpx.Request, timeouts: Remaining) -> Reply:
        response = await self._client.send(request, stream=True, follow_redirects=False)
        try:
            return Reply(response.status_code, response.headers, await self._read(response, timeouts))
        except BodyError:
            if response.is_success:
                raise
            return Reply(response.status_code, response.headers, b"")  # an error is not worth another one
        finally:
            await response.aclose()

    async def _read(self, response: httpx.Response, timeouts: Remaining) -> bytes:
        if response.is_stream_consumed:  # by a hook, which had httpx decompress it
            body = Body(response.status_code, {}, self._limit)
            body.add(response.content)
            return body.whole()
        body = Body(response.status_code, response.headers, self._limit)
        async for chunk in response.aiter_raw():
            body.add(chunk)
            timeouts.check()
        return body.whole()
