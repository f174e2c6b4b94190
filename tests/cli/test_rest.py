# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The command line and servers at URLs: the same commands over HTTP/JSON."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Generator

import pytest

from longrunning import Code
from longrunning.cli._exits import Exit
from longrunning.cli._options import Link
from longrunning.testing import ScriptedOperations, cancelled, pending, rpc_error, unavailable
from tests.cli.driving import NAME, QUICKLY, TYPES, U, call, full, imported, run, running
from tests.pair.rest_serving import Canned, HttpEdge, answering, serving


@pytest.fixture
def edge(operations: ScriptedOperations) -> Generator[HttpEdge, None, None]:
    """A server that plays `operations` over HTTP."""
    with serving(operations) as (_, served):
        yield served


def test_get(operations: ScriptedOperations, edge: HttpEdge) -> None:
    """An operation is shown as over gRPC, with headers of the caller sent along (cli, REST-1)."""
    operations.add(NAME, imported())
    ended = call("get", NAME, "-e", edge.url, "-H", "x-tenant=t", *TYPES)
    assert ended.out.splitlines()[:4] == [
        NAME,
        "  state: SUCCEEDED",
        "  metadata: example.library.v1.ImportBooksMetadata",
        "    total: 40",
    ]
    assert (ended.code, ended.err) == (Exit.OK, "")
    assert edge.seen[0].headers["x-tenant"] == "t"
    assert edge.seen[0].headers["user-agent"].startswith("longrunning-cli/")


def test_get_json(operations: ScriptedOperations, edge: HttpEdge) -> None:
    """With --json the document is that of the server, types nobody here knows included (cli, JSON-2)."""
    document = {"name": NAME, "metadata": {"@type": f"{U}acme.v1.Secret", "deep": [{"x": "1"}]}}
    with answering(Canned(200, document)) as server:
        assert json.loads(call("get", NAME, "--json", "-e", server.url).out) == document


def test_list(operations: ScriptedOperations, edge: HttpEdge) -> None:
    """A list has its options as parameters, and says when there is more (cli, CTRL-4)."""
    operations.page_size = 1
    operations.add("p/operations/1", imported())
    operations.add("p/operations/2", pending())
    ended = call("list", "p", "--filter", "done", "-e", f"{edge.url}/", *TYPES)
    assert "--page-token" in ended.complaint
    assert edge.seen[0].query == {"filter": ["done"]}
    assert len(call("list", "p", "--all", "--json", "-e", edge.url).out.splitlines()) == 2


def test_wait(operations: ScriptedOperations, edge: HttpEdge) -> None:
    """A wait goes on through a server that is away, and ends with the operation's own code (cli, WAIT-12)."""
    operations.add(NAME, running(), unavailable(), full())
    ended = call("wait", NAME, "-e", edge.url, *QUICKLY, *TYPES)
    assert "no room" in ended.out
    assert ended.code == Exit.FAILED


def test_watch(operations: ScriptedOperations, edge: HttpEdge) -> None:
    """Each change is a document (cli, PROG-2)."""
    operations.add(NAME, running(10), running(20), imported())
    lines = call("watch", NAME, "--json", "-e", edge.url, *QUICKLY, *TYPES).out.splitlines()
    assert [json.loads(line)["metadata"]["done"] for line in lines] == [10, 20, 40]


def test_cancel_and_delete(operations: ScriptedOperations, edge: HttpEdge) -> None:
    """Cancel and delete send what REST has for them (cli, REST-1)."""
    operations.add(NAME, cancelled())
    assert call("cancel", NAME, "-e", edge.url).code == Exit.OK
    assert call("delete", NAME, "-e", edge.url).code == Exit.OK
    assert call("get", NAME, "-e", edge.url).code == Exit.NOT_FOUND
    assert [(seen.verb, seen.path) for seen in edge.seen] == [
        ("POST", f"/v1/{NAME}:cancel"),
        ("DELETE", f"/v1/{NAME}"),
        ("GET", f"/v1/{NAME}"),
    ]


def test_refusals(operations: ScriptedOperations, edge: HttpEdge) -> None:
    """An error of the server is one line, with its code and message (cli, REST-2)."""
    operations.add(NAME, rpc_error(Code.PERMISSION_DENIED, "not yours", times=None))
    ended = call("get", NAME, "-e", edge.url)
    assert ended.complaint == f"{NAME}: GetOperation failed: PERMISSION_DENIED (7): not yours"
    assert ended.code == Exit.FAILED


def test_nobody_there() -> None:
    """A server that does not answer is code 6 (cli)."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        ended = call("get", NAME, "-e", url)
    assert ended.complaint.startswith(f"{url} does not answer")
    assert ended.code == Exit.UNREACHABLE


def test_no_trust(edge: HttpEdge) -> None:
    """A server that does not speak TLS cannot be trusted: code 6, at once (cli)."""
    url = edge.url.replace("http:", "https:")
    ended = call("wait", NAME, "-e", url)
    assert ended.complaint.startswith(f"{url} cannot be trusted")
    assert ended.code == Exit.UNREACHABLE


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["-e", "https://h", "--insecure"], "contradict"),
        (["-e", "http://h", "--ca", "x"], "contradict"),
        (["-e", "https://h", "--reflect"], "has no reflection"),
        (["-e", "https://h?x=1"], "--endpoint is HOST:PORT, or a URL"),
        (["-e", "https://h:0"], "--endpoint is HOST:PORT, or a URL"),
        (["-e", "https://h:70000/v1"], "--endpoint is HOST:PORT, or a URL"),
        (["-e", "ftp://h"], "--endpoint is HOST:PORT, or a URL"),
        (["-e", "http://[1::2::3]"], "--endpoint: not a URL"),
        (["-e", "https://\u2603.com"], "--endpoint: not a URL"),
        (["-e", "https://a..b"], "--endpoint: not a URL"),
        (["-e", "https://h", "--ca", __file__], "no certificates"),
    ],
)
def test_what_cannot_be_used(arguments: list[str], complaint: str) -> None:
    """Options that contradict the URL are one line and code 2 (cli)."""
    ended = call("get", NAME, *arguments)
    assert complaint in ended.complaint
    assert ended.code == Exit.USAGE


@pytest.mark.parametrize("url", ["https://me:hunter2@h", "https://me:hunter2/x@h", "https://h/?key=hunter2"])
def test_secrets_are_not_repeated(url: str) -> None:
    """A URL with a password or a key is refused without repeating it (cli)."""
    ended = call("get", NAME, "-e", url)
    assert ended.code == Exit.USAGE
    assert "hunter2" not in ended.err


@pytest.mark.parametrize(
    ("endpoint", "is_url"),
    [
        ("https://h", True),
        ("HTTP://h:80/api", True),
        ("https://[::1]:8443", True),
        ("h:80", False),
        ("dns:///h", False),
    ],
)
def test_urls(endpoint: str, *, is_url: bool) -> None:
    """A scheme of HTTP makes the difference (cli)."""
    assert Link(endpoint=endpoint).is_url is is_url


def test_without_httpx() -> None:
    """Without httpx a URL is one line that says what to install (cli, PKG-1)."""
    program = "import sys; sys.modules['httpx'] = None; from longrunning.cli import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", program, "get", NAME, "-e", "https://localhost"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "longrunning[cli,rest]" in ended.stderr
    assert ended.returncode == Exit.USAGE


def test_the_environment_decides_nothing(operations: ScriptedOperations, edge: HttpEdge) -> None:
    """Proxies of the environment are not used (law 8)."""
    operations.add(NAME, imported())
    environment = {"HTTP_PROXY": "http://127.0.0.1:1", "http_proxy": "http://127.0.0.1:1", "SSL_CERT_FILE": "/nowhere"}
    assert run("get", NAME, "-e", edge.url, *TYPES, env={**os.environ, **environment}).code == Exit.OK
