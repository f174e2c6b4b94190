# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The same server over HTTP: an RPC, and the line for curl that says the same. What is shown is what the shell is given.

To type one: ``python -m examples.memorystore.server --lifetime=600`` prints the addresses of such a server.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

import httpx

from .api import LOCATION, instance_name
from .client import last
from .process import output_of
from .screen import NotSoError, Screen

__all__ = ["by_hand"]

INSTANCE: Final = "cache-curl"
UNWANTED: Final = "cache-curl-unwanted"
FILTER: Final = "response.memory_size_gb >= 5"
SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request of HTTP, and what it is in gRPC.

    Attributes:
        rpc: The RPC.
        verb: The HTTP method.
        path: The path, below that of the location.
        query: The query.
        body: A document; ``None`` for none.
    """

    rpc: str
    verb: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    body: object = None

    def command(self) -> list[str]:
        """The lines to type, where $URL is the location."""
        if self.verb == "GET":  # curl writes the query
            return [
                f'curl {"-G " if self.query else ""}"$URL/{self.path}"',
                *(f"  --data-urlencode '{key}={value}'" for key, value in self.query.items()),
            ]
        url = f'"$URL/{self.path}{"?" if self.query else ""}{urlencode(self.query)}"'
        if self.body is None:
            return [f"curl -X {self.verb} {url}"]
        return [f"curl {url}", f"  -H 'Content-Type: application/json' -d '{json.dumps(self.body)}'"]


class Curl:
    """Makes requests with curl. Where it is not installed, httpx makes the same ones."""

    def __init__(self, url: str, screen: Screen) -> None:
        """Shows where the requests go."""
        self._url = f"{url}/v1/{LOCATION}"
        self._screen = screen
        self._installed = shutil.which("curl") is not None
        if not self._installed:
            screen.say("   [yellow]curl is not installed: httpx makes the requests that it would make[/]")
        screen.command(f"URL={self._url}")

    async def __call__(self, call: Call) -> Any:
        """Shows a request, and makes it; returns the document of the reply.

        Raises:
            NotSoError: The server, or curl, says no.
        """
        document = await self.document(call)
        if "error" in document and "name" not in document:  # an operation that failed has both
            raise NotSoError(f"{call.rpc}: {document['error']['status']}: {document['error']['message']}")
        return document

    async def document(self, call: Call) -> Any:
        """The same, also when the server says no.

        Raises:
            NotSoError: No document comes.
        """
        self._screen.say(f"   [dim]{call.rpc}[/]")
        self._screen.command(*call.command())
        text = await (self._typed(call) if self._installed else self._sent(call))
        try:
            return json.loads(text)
        except ValueError:
            raise NotSoError(f"{call.rpc}: no JSON came: {text[:200]!r}") from None

    async def _typed(self, call: Call) -> str:
        # curl succeeds whatever the HTTP status.
        return await output_of("/bin/sh", "-c", " \\\n".join(call.command()), environment={"URL": self._url})

    async def _sent(self, call: Call) -> str:
        try:
            async with httpx.AsyncClient(timeout=SECONDS, trust_env=False) as http_client:
                reply = await http_client.request(
                    call.verb, f"{self._url}/{call.path}", params=call.query, json=call.body
                )
        except httpx.HTTPError as error:
            raise NotSoError(f"{call.rpc}: {error!r}") from error
        return reply.text


def creation(instance_id: str) -> Call:
    """CreateInstance: the path takes the parent, the body is the instance, and the query what is left."""
    return Call(
        rpc="CreateInstance(parent, instance_id, instance)",
        verb="POST",
        path="instances",
        query={"instanceId": instance_id},
        body={"memorySizeGb": 1},
    )


async def by_hand(url: str, screen: Screen) -> None:
    """Creates two instances, looks at the operations, cancels one."""
    screen.step("The same server over HTTP: RPCs, and what is typed for them")
    curl = Curl(url, screen)
    started = await curl(creation(INSTANCE))
    operation = f"operations/{last(started['name'])}"
    screen.check("done" not in started, "an operation that is not done: what is false is not there")
    screen.check(
        started["metadata"]["target"] == instance_name(INSTANCE), f"and its metadata says for what: {INSTANCE}"
    )
    await look_around(curl, screen)
    running = await curl(Call(rpc="GetOperation(name)", verb="GET", path=operation))
    screen.json(json.dumps(running, indent=2))
    screen.check(running["name"] == started["name"], "the same operation, as far as it is by now")
    done = await curl(Call(rpc="WaitOperation(name)", verb="POST", path=f"{operation}:wait"))
    ready = done.get("response", {})
    screen.check(ready, "the one reply came when it was done")
    screen.check(ready["name"] == instance_name(INSTANCE), f"with the instance, at {ready['host']}:{ready['port']}")
    await cancel_one(curl, screen)


async def look_around(curl: Curl, screen: Screen) -> None:
    """Lists operations, and asks for what cannot be had."""
    page = await curl(Call(rpc="ListOperations(name, filter)", verb="GET", path="operations", query={"filter": FILTER}))
    targets = [last(operation["metadata"]["target"]) for operation in page["operations"]]
    screen.check(targets == ["cache-large"], "the server filters: cache-large, and no other")
    refused = await curl.document(creation("cache-large"))
    screen.json(json.dumps(refused, indent=2))
    error = refused["error"]
    screen.check(
        (error["code"], error["status"]) == (409, "ALREADY_EXISTS"), "what is ALREADY_EXISTS (6) over gRPC is HTTP 409"
    )


async def cancel_one(curl: Curl, screen: Screen) -> None:
    """Cancels a creation, and waits for the end of it."""
    operation = f"operations/{last((await curl(creation(UNWANTED)))['name'])}"
    asked = await curl(Call(rpc="CancelOperation(name)", verb="POST", path=f"{operation}:cancel"))
    screen.check(asked == {}, "the reply is empty: a cancel is a request")
    done = await curl(Call(rpc="WaitOperation(name)", verb="POST", path=f"{operation}:wait"))
    screen.check(done.get("error", {}).get("code") == 1, "the operation ends in code 1, CANCELLED")
    screen.check(done["metadata"].get("cancelRequested"), "metadata.cancelRequested is true")
