# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The same authorizer over HTTP: what it is told of a caller, and that what it denies looks like what is not there."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from starlette.requests import Request

from longrunning.server import Access, Call, MemoryStore, Rpc, SqliteStore
from tests.pair.asgi_serving import ABSENT, IMPORT, Reply, Site, called, site
from tests.pair.callers import ACCESS, Tenants
from tests.pair.serving import PARENT


def run(playing: Coroutine[Any, Any, None]) -> None:
    """Plays a scenario; one that hangs fails."""
    asyncio.run(asyncio.wait_for(playing, 60))


class Seeing:
    """Grants everything, and keeps the calls."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def authorize(self, call: Call, /) -> Access:
        self.calls.append(call)
        _ = call.headers, call.peer  # which are read when they are asked for: while the call lasts
        return Access(principal="", scope=None)


def test_what_an_authorizer_sees() -> None:
    """An authorizer sees method, name and request, all headers in lower case, the peer, and the request of Starlette (AUTH-3)."""
    seeing = Seeing()

    async def scenario() -> None:
        async with site(sockets=True, authorizer=seeing) as here:
            headers = {
                "X-Tenant": "ü",
                "trace-bin": "AAH_/w",
                "Key-Bin": "//8",
                "bad-bin": "?",
                "content-type": "application/json",
            }
            await here.client.post(
                f"/v1/{PARENT}/books:import", content=b'{"uri":"x"}', headers={**headers, "X-Tenant": "a b"}
            )
            await here.get(f"/v1/{ABSENT}")
            await here.ask("DELETE", f"/v1/{ABSENT}")
            await here.ask("POST", f"/v1/{ABSENT}:cancel")
            await here.ask("POST", f"/v1/{ABSENT}:wait")
            await here.get(f"/v1/{PARENT}/operations")

    run(scenario())
    start, *others = seeing.calls
    assert (start.rpc, start.name, start.method, start.request.uri) == (Rpc.START, PARENT, IMPORT.path, "x")
    assert start.header("x-tenant") == "a b"
    assert dict(start.headers)["key-bin"] == b"\xff\xff"
    assert dict(start.headers)["bad-bin"] == b"?"
    assert [start.header(key) for key in ("key-bin", "bad-bin", "X-Tenant", "absent", "\u20ac")] == [
        "\xff\xff",
        "?",
        None,
        None,
        None,
    ]
    assert all(key == key.lower() for key, _ in start.headers)
    assert start.peer.startswith("ipv4:127.0.0.1:")
    transport: Any = start.transport
    assert isinstance(transport, Request)
    assert transport.headers["x-tenant"] == "a b"
    assert start.identities == {}
    assert [(call.rpc, call.name, call.method, call.request) for call in others] == [
        (rpc, PARENT if rpc is Rpc.LIST else ABSENT, "", None)
        for rpc in (Rpc.GET, Rpc.DELETE, Rpc.CANCEL, Rpc.WAIT, Rpc.LIST)
    ]


def test_servers_that_are_careless_about_headers() -> None:
    """Names of headers are in lower case, whatever the ASGI server makes of them (AUTH-3)."""
    seeing = Seeing()

    async def scenario() -> None:
        async with site(authorizer=seeing) as here:
            await called(here.app, "GET", f"/v1/{ABSENT}".encode(), headers=[(b"X-Tenant", b"\xfc")])

    run(scenario())
    [call] = seeing.calls
    assert call.header("x-tenant") == "ü"
    assert call.headers == (("x-tenant", "ü"),)


async def _of_all(here: Site, name: str, token: str) -> dict[str, Reply]:
    headers = {"token": token}
    return {
        "get": await here.get(f"/v1/{name}", headers=headers),
        "wait": await here.ask("POST", f"/v1/{name}:wait", {"timeout": "0s"}, headers=headers),
        "cancel": await here.ask("POST", f"/v1/{name}:cancel", headers=headers),
        "delete": await here.ask("DELETE", f"/v1/{name}", headers=headers),
    }


@pytest.mark.parametrize("awaited", [False, True])
@pytest.mark.parametrize("sockets", [False, True])
@pytest.mark.parametrize("sqlite", [False, True], ids=["memory", "sqlite"])
def test_what_is_denied_looks_absent(awaited: bool, sockets: bool, sqlite: bool, tmp_path: Path) -> None:
    """An operation of another tenant, and one that is denied, is answered to the byte like one that does not exist (AUTH-3)."""

    async def scenario() -> None:
        store = SqliteStore(tmp_path / "operations.db") if sqlite else MemoryStore()
        async with site(sockets=sockets, authorizer=Tenants(awaited=awaited), store=store) as here:
            path = f"/v1/{PARENT}/books:import"
            name = (await here.ask("POST", path, {}, headers={"token": "alice"})).ok["name"]
            for token in ("bob", "mallory"):
                theirs = await _of_all(here, name, token)
                absent = await _of_all(here, ABSENT, token)
                for what, reply in theirs.items():
                    assert reply.problem == (404, "NOT_FOUND")
                    said = str(reply.body).replace(name, "*")
                    assert said == str(absent[what].body).replace(ABSENT, "*")
                    assert {key: value for key, value in reply.headers.items() if key != "date"} == {
                        key: value for key, value in absent[what].headers.items() if key != "date"
                    }
            for token, count in (("alice", 1), ("adam", 1), ("bob", 0), ("mallory", 0), ("root", 1)):
                page = (await here.get(f"/v1/{PARENT}/operations", headers={"token": token})).ok
                assert len(page.get("operations", [])) == count
            assert (await here.ask("POST", path, {}, headers={"token": "mallory"})).problem == (
                403,
                "PERMISSION_DENIED",
            )

    run(scenario())


def test_who_shows_nothing() -> None:
    """A call without a token is 401 with the reason, whatever it asks for; the OpenAPI document needs none (AUTH-3, REST-2)."""

    async def scenario() -> None:
        async with site(authorizer=Tenants()) as here:
            for verb, path in (("GET", ABSENT), ("DELETE", ABSENT), ("POST", f"{ABSENT}:cancel"), ("POST", f"{ABSENT}:wait"),
                               ("GET", f"{PARENT}/operations"), ("DELETE", PARENT)):  # fmt: skip
                reply = await here.ask(verb, f"/v1/{path}")
                assert reply.problem == (401, "UNAUTHENTICATED")
                assert reply.headers["www-authenticate"] == "Bearer"
                assert reply.body["error"]["details"][0]["reason"] == "NO_TOKEN"
            assert (await here.get("/openapi.json")).status == 200

    run(scenario())


def test_page_tokens_are_of_their_callers() -> None:
    """A page token that was given to one caller is worth nothing to another (AUTH-3, PAGE-1)."""

    async def scenario() -> None:
        async with site(authorizer=Tenants()) as here:
            for _ in range(3):
                await here.ask("POST", f"/v1/{PARENT}/books:import", {}, headers={"token": "alice"})
            listing = f"/v1/{PARENT}/operations?pageSize=1"
            token = (await here.get(listing, headers={"token": "alice"})).ok["nextPageToken"]
            for caller in ACCESS:
                reply = await here.get(f"{listing}&pageToken={quote(token)}", headers={"token": caller})
                assert reply.status == (200 if caller == "alice" else 400), caller

    run(scenario())


def test_what_is_remembered_is_shown_to_nobody_else() -> None:
    """A reply that was written for one caller is not given to one who may not see the operation (AUTH-3)."""

    async def scenario() -> None:
        async with site(authorizer=Tenants(), store=MemoryStore()) as here:
            name = (await here.ask("POST", f"/v1/{PARENT}/books:import", {}, headers={"token": "alice"})).ok["name"]
            for token, status in (("alice", 200), ("bob", 404), ("adam", 200), ("mallory", 404), ("alice", 200)):
                assert (await here.get(f"/v1/{name}", headers={"token": token})).status == status

    run(scenario())
