# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Red prints something; Blue, who knows the name of Red's operation, gets nowhere with it."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio
from google.protobuf.wrappers_pb2 import StringValue

from longrunning import AsyncOperationsClient, PollPolicy, RpcError
from longrunning.server import Access

from .certificate import Certificate, make_certificate
from .server import PRINT, serving


@asynccontextmanager
async def client(port: int, certificate: Certificate, token: str) -> AsyncGenerator[AsyncOperationsClient, None]:
    """A client that trusts the certificate, and sends the token with each call, which gRPC does over TLS only."""
    credentials = grpc.composite_channel_credentials(
        grpc.ssl_channel_credentials(certificate.chain), grpc.access_token_call_credentials(token)
    )
    options = [("grpc.enable_http_proxy", 0)]
    async with grpc.aio.secure_channel(f"localhost:{port}", credentials, options) as channel:
        yield AsyncOperationsClient(channel, policy=PollPolicy(initial=0.1))


async def first_page(client: AsyncOperationsClient, page_token: str = "") -> str:
    """Reads a page of one operation; the token of the next."""
    async for page in client.list("operations", page_size=1, page_token=page_token).pages():
        return page.next_page_token
    return ""


async def refused(what: str, call: Awaitable[object]) -> None:
    """Shows how a call is refused."""
    try:
        await call
    except RpcError as error:
        print(f"  {what:12} {error.details}")
    else:
        print(f"  {what:12} it worked")


async def main(folder: Path) -> None:
    """Shows who sees what."""
    certificate = make_certificate()
    red, blue, auditor = (secrets.token_urlsafe(32) for _ in range(3))
    tokens = {
        red: Access(principal="rosa", scope="red"),
        blue: Access(principal="bert", scope="blue"),
        auditor: Access(principal="audrey", scope=None),
    }
    async with (
        serving(folder, certificate, tokens) as port,
        client(port, certificate, red) as rosa,
        client(port, certificate, blue) as bert,
        client(port, certificate, auditor) as audrey,
        client(port, certificate, "made up") as mallory,
    ):
        texts = ("a letter", "a secret")
        _, operation = [await rosa.start(PRINT, StringValue(value=text)) for text in texts]
        theirs = await bert.start(PRINT, StringValue(value="a poster"))
        name, never_was = operation.name, f"operations/op-{32 * '0'}"
        print("Blue asks for an operation of Red:")
        await refused("get", bert.get(name))
        await refused("wait", bert.wait_operation(name, 5))
        await refused("cancel", bert.cancel(name))
        await refused("delete", bert.delete(name))
        print("and for one that never was:")
        await refused("get", bert.get(never_was))
        print("Blue takes up Red's list where Red stopped reading:")
        await refused("list", first_page(bert, await first_page(rosa)))
        print("Nobody we know asks:")
        await refused("get", mallory.get(name))
        await refused("start", mallory.start(PRINT, StringValue(value="a flyer")))
        print("Each sees:")
        for who, one in (("Red", rosa), ("Blue", bert), ("the auditor", audrey)):
            names = [listed.name async for listed in one.list("operations")]
            known = [label for label, wanted in (("Red's", name), ("Blue's", theirs.name)) if wanted in names]
            print(f"  {who:12} {' and '.join(known)}")
        print("Red was not disturbed:")
        print(f"  {(await operation).value}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="tenants-") as temporary:
        asyncio.run(main(Path(temporary)))
