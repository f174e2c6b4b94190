# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What docs/rest.md shows of the client runs against a server, and what it says in tables holds."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import pytest
from google.cloud.redis_v1 import Instance

from longrunning import Code
from longrunning._http import code_of_http
from longrunning.rest._requests import list_request, operation_request, wait_request
from tests.docs.test_documentation import BLOCK, ROOT
from tests.pair.rest_serving import Canned, HttpEdge, Seen, answering

PAGE = (ROOT / "docs" / "rest.md").read_text(encoding="utf-8")
NAME = "projects/p/locations/l/operations/1"
TYPE = "type.googleapis.com/google.cloud.redis.v1."


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What the Python of the page defines."""
    found: dict[str, Any] = {"__name__": "__documentation__"}
    for block in BLOCK.finditer(PAGE):
        exec(compile("\n" * PAGE.count("\n", 0, block.start(1)) + block[1], "docs/rest.md", "exec"), found)
    return found


def creating(seen: Seen) -> Canned:
    """Creates an instance at once."""
    document: dict[str, Any] = {"name": NAME, "metadata": {"@type": f"{TYPE}OperationMetadata", "verb": "create"}}
    if seen.verb == "GET" or seen.path.endswith(":wait"):
        document |= {"done": True, "response": {"@type": f"{TYPE}Instance", "host": "10.0.0.3"}}
    return Canned(200, document)


def check(edge: HttpEdge, instance: Any) -> None:
    """An instance was created by the request the page shows."""
    assert instance == Instance(host="10.0.0.3")
    start = edge.seen[0]
    assert start.target.startswith("/v1/projects/p/locations/l/instances?")
    assert start.query["instanceId"] == ["cache"]
    assert start.json == {"memorySizeGb": 1}


def test_first_example(names: dict[str, Any]) -> None:
    """The first example creates an instance (documentation)."""
    with answering(creating) as edge:
        check(edge, names["main"](edge.url))


def test_authorized(names: dict[str, Any]) -> None:
    """The credentials and the parameters of the example reach every request (documentation)."""

    class Credentials:
        def before_request(self, transport: object, method: str, url: str, headers: Any) -> None:
            headers["authorization"] = f"Bearer for {method}"

    with answering(creating) as edge:
        check(edge, names["authorized"](edge.url, names["GoogleAuth"](Credentials(), None)))
    assert [seen.headers["authorization"] for seen in edge.seen][:1] == ["Bearer for POST"]
    assert all(seen.query["$alt"] == ["json;enum-encoding=int"] for seen in edge.seen)
    assert all("authorization" in seen.headers for seen in edge.seen)


def test_async(names: dict[str, Any]) -> None:
    """The async example creates an instance, and sends its token with every request (documentation)."""
    with answering(creating) as edge:
        assert asyncio.run(names["create_async"](edge.url, "secret")) == Instance(host="10.0.0.3")
    assert len(edge.seen) > 1
    assert all(seen.headers["authorization"] == "Bearer secret" for seen in edge.seen)


def test_links_lead_somewhere() -> None:
    """Each link of the pages about REST to a file, or to a heading, leads to one (documentation)."""
    for page in ("rest.md", "rest-server.md"):
        for target in re.findall(r"\]\(([^)\s]+)\)", (ROOT / "docs" / page).read_text(encoding="utf-8")):
            name, _, heading = target.partition("#")
            if name.startswith("https://"):
                continue
            path = (ROOT / "docs" / (name or page)).resolve()
            assert path.exists(), target
            if heading:
                headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
                assert heading in {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}, target


def test_bindings(names: dict[str, Any]) -> None:
    """The bindings of the example are where it says (documentation)."""
    with answering(Canned(200, {"name": NAME})) as edge, names["beta"](edge.url) as client:
        client.get(NAME)
        assert edge.seen[0].path == f"/api/v1beta1/{NAME}"
    assert operation_request(names["OWN"].get, "jobs/1").path == "/v1beta1/jobs/1/state"


def test_table_of_methods(names: dict[str, Any]) -> None:
    """Each method has the verb and the path of the table (documentation)."""
    from longrunning.client import ListQuery
    from longrunning.rest import OperationsBindings

    bindings = OperationsBindings.under()
    made = {
        "GetOperation": operation_request(bindings.get, "{name}"),
        "ListOperations": list_request(bindings.list, ListQuery(name="{parent}")),
        "CancelOperation": operation_request(bindings.cancel, "{name}"),
        "DeleteOperation": operation_request(bindings.delete, "{name}"),
        "WaitOperation": wait_request(bindings.wait, "{name}", 30),
    }
    rows = re.findall(r"^\| (\w+Operations?) \| `(\w+) ([^`]+)`(?: with `([^`]+)`)?", PAGE, re.MULTILINE)
    assert [row[0] for row in rows] == list(made)
    for method, verb, path, body in rows:
        request = made[method]
        assert (request.verb, httpx.URL(f"http://h{path}").raw_path) == (verb, request.path.encode())
        assert (request.body or b"").decode().replace(":", ": ") == body.replace(": ", ":").replace(":", ": ")


def test_table_of_codes() -> None:
    """Each HTTP status has the code of the table (documentation, REST-2)."""
    rows = re.findall(r"^\| ([\d, xother]+) \| `([A-Z_]+)` \|", PAGE, re.MULTILINE)
    told = {status: Code[code] for cell, code in rows for status in re.findall(r"other \dxx|\dxx|\d{3}", cell)}
    for status in range(300, 600):
        family = "3xx" if status < 400 else f"other {status // 100}xx"
        assert code_of_http(status) is told.get(str(status), told[family]), status
