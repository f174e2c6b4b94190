# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The authorizer, and a server behind TLS."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import grpc
import grpc.aio
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from longrunning import Code, LroMethod, OperationError, Status
from longrunning.server import (
    SERVER_OPTIONS,
    Access,
    AsyncOperationContext,
    Call,
    Limits,
    OperationsServer,
    SqliteStore,
)

from .certificate import Certificate

__all__ = ["PRINT", "TokenAuthorizer", "serving"]

PRINT: Final = LroMethod(
    path="/example.Printing/Print", request_type=StringValue, response_type=StringValue, metadata_type=Int32Value
)

_SCHEME: Final = "Bearer "
_NO_TOKEN: Final = Status(Code.UNAUTHENTICATED, "a valid token is needed: 'authorization: Bearer …'")


class TokenAuthorizer:
    """Knows callers by a bearer token, and the tenant that each belongs to."""

    def __init__(self, tokens: Mapping[str, Access]) -> None:
        """Keeps no token, only their hashes.

        Args:
            tokens: What each token grants. A scope of ``None`` sees the operations of all tenants.
        """
        self._granted = [(_hash(token), access) for token, access in tokens.items()]

    def authorize(self, call: Call, /) -> Access:
        """Asked about every call of all methods. What lies outside of the scope is as if it did not exist.

        Raises:
            OperationError: UNAUTHENTICATED.
        """
        header = call.header("authorization") or ""
        given = _hash(header.removeprefix(_SCHEME)) if header.startswith(_SCHEME) else b""
        for known, access in self._granted:
            if hmac.compare_digest(given, known):
                return access
        raise OperationError(_NO_TOKEN)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


@asynccontextmanager
async def serving(folder: Path, certificate: Certificate, tokens: Mapping[str, Access]) -> AsyncGenerator[int, None]:
    """A server, and its port."""
    server = OperationsServer(
        store=SqliteStore(folder / "operations.db"),
        authorizer=TokenAuthorizer(tokens),
        limits=Limits(shutdown_grace=0.5),
    )

    @server.method(PRINT)
    async def print_document(request: StringValue, context: AsyncOperationContext[Int32Value]) -> StringValue:
        for page in range(5):
            await context.update(Int32Value(value=page))
            await context.sleep(0.2)
        return StringValue(value=f"printed for {context.principal}: {request.value}")

    grpc_server = grpc.aio.server(options=SERVER_OPTIONS)
    server.add_to(grpc_server)
    credentials = grpc.ssl_server_credentials([(certificate.key, certificate.chain)])
    port = grpc_server.add_secure_port("127.0.0.1:0", credentials)
    try:
        async with server:
            await grpc_server.start()
            yield port
    finally:
        await grpc_server.stop(grace=1.0)
