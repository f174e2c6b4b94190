# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""decode: whatever form operations are in."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from google.protobuf import empty_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from example.library.v1 import library_pb2
from longrunning import Operation, TypeRegistry
from longrunning._any import pack
from longrunning._pb import operations_pb2
from longrunning.cli._decode import read
from longrunning.cli._exits import Exit
from longrunning.client import Page
from tests.cli.driving import NAME, RESPONSE, SECRET, TYPES, Ended, call, importing, run

REGISTRY = TypeRegistry.from_modules(library_pb2)
DONE = operations_pb2.Operation(name=NAME, done=True, metadata=pack(importing(40)), response=pack(RESPONSE))
RUNNING = operations_pb2.Operation(name="b/2")
PAGE = operations_pb2.ListOperationsResponse(operations=[DONE, RUNNING], next_page_token="next")
UNREACHABLE = b"\x1a\x03far"  # field 3, which older googleapis-common-protos do not have
AS_JSON = Operation.from_proto(DONE, registry=REGISTRY).to_json()
OPAQUE = Operation.from_proto(DONE, registry=TypeRegistry()).to_json()


Decode = Callable[..., Ended]


@pytest.fixture
def decode(tmp_path: Path) -> Decode:
    """Decodes bytes by way of a file."""

    def decode(data: bytes, *options: str) -> Ended:
        file = tmp_path / "operation"
        file.write_bytes(data)
        return call("decode", str(file), *options)

    return decode


@pytest.mark.parametrize(
    "data",
    [
        DONE.SerializeToString(),
        AS_JSON.encode(),
        b"\xef\xbb\xbf" + AS_JSON.encode(),
        f"\n\n {AS_JSON}\n".encode(),
        OPAQUE.encode(),
    ],
    ids=["binary", "json", "json with a mark", "json with space", "json by somebody who did not know the types"],
)
def test_an_operation_in_any_form(decode: Decode, data: bytes) -> None:
    """An operation is shown the same whether it comes as bytes or as JSON, its payloads as JSON or as bytes (JSON-1)."""
    ended = decode(data, *TYPES)
    assert ended.out.splitlines()[:3] == [
        NAME,
        "  state: SUCCEEDED",
        "  metadata: example.library.v1.ImportBooksMetadata",
    ]
    assert "    imported: 40" in ended.out
    assert (ended.code, ended.err) == (Exit.OK, "")


@pytest.mark.parametrize("form", ["binary", "json"])
def test_a_list_in_any_form(decode: Decode, form: str) -> None:
    """A list response is shown with its operations in full, its token and what was unreachable (CTRL-4)."""
    operations = [json.loads(Operation.from_proto(item, registry=REGISTRY).to_json()) for item in PAGE.operations]
    document = {"operations": operations, "nextPageToken": "next", "unreachable": ["far"]}
    data = PAGE.SerializeToString() + UNREACHABLE if form == "binary" else json.dumps(document).encode()
    ended = decode(data, *TYPES)
    assert ended.out.splitlines()[-4:] == ["  state: RUNNING", "", "next page token: next", "unreachable: far"]
    assert ended.out.startswith(f"{NAME}\n")
    again = decode(data, "--json", *TYPES)
    assert json.loads(again.out) == document


def test_documents_line_by_line(decode: Decode) -> None:
    """JSON documents line by line, as --json writes them, are read one by one (cli)."""
    lines = [AS_JSON, "", json.dumps({"operations": [{"name": "c"}]}), json.dumps({"name": "d"})]
    ended = decode("\n".join(lines).encode(), *TYPES)
    assert [line for line in ended.out.splitlines() if line and line[0] != " "] == [NAME, "c", "d"]


def test_documents_one_after_the_other(decode: Decode) -> None:
    """Documents over several lines, and without anything between them, are read one by one (cli)."""
    indented = json.dumps({"name": "c", "done": True}, indent=2)
    ended = decode(f'{indented}{{"name": "d"}}\n{indented}'.encode(), *TYPES)
    assert [line for line in ended.out.splitlines() if line and line[0] != " "] == ["c", "d", "c"]


def test_what_curl_prints(decode: Decode) -> None:
    """The head that curl -i prints before a document is skipped, as are those of answers before it (cli)."""
    head = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/2 200 \r\ncontent-type: application/json\r\nvary: Origin\r\n\r\n"
    assert decode(head + AS_JSON.encode(), *TYPES) == decode(AS_JSON.encode(), *TYPES)
    several = b'{"name": "a"}\n' + head + b'{"name": "b"}' + head + b'[{"name": "c"}]\n'
    ended = decode(head + several)
    assert [line for line in ended.out.splitlines() if line and line[0] != " "] == ["a", "b", "c"]


@pytest.mark.parametrize("key", ["nextPageToken", "next_page_token"])
def test_pages_with_either_name(decode: Decode, key: str) -> None:
    """A page is read with the names of JSON and with those of the proto file, which json_format writes on demand (cli, JSON-1)."""
    ended = decode(json.dumps({"operations": [{"name": "a"}], key: "more"}).encode(), "--json")
    assert json.loads(ended.out)["nextPageToken"] == "more"


def test_what_gcloud_prints(decode: Decode) -> None:
    """The bare list that gcloud writes with --format=json is a list of operations; it may be empty (cli)."""
    ended = decode(json.dumps([json.loads(AS_JSON), {"name": "b"}], indent=2).encode(), *TYPES)
    assert [line for line in ended.out.splitlines() if line and line[0] != " "] == [NAME, "b"]
    assert decode(b"[]\n").code == Exit.OK


def test_decode_writes_json_that_it_reads() -> None:
    """What decode writes with --json decodes to the same (JSON-1)."""
    first = run("decode", "--json", *TYPES, input=DONE.SerializeToString())
    second = run("decode", "-", "--json", *TYPES, input=first.out.encode())
    assert first == second == Ended(0, AS_JSON + "\n", "")


def test_unknown_types_in_a_file(decode: Decode) -> None:
    """A payload of unknown type is named with its size, or shown as the JSON it is, with a hint (TYPE-3)."""
    proto = operations_pb2.Operation(name="n", metadata=pack(SECRET))
    document = {"name": "n", "metadata": {"@type": SECRET.type_url, "id": "abc"}}
    for data, line in (
        (proto.SerializeToString(), "  metadata: acme.v1.Secret, 5 bytes of unknown type"),
        (json.dumps(document).encode(), "    id: abc"),
    ):
        ended = decode(data)
        assert line in ended.out.splitlines()
        assert ended.complaint == "unknown types: acme.v1.Secret; --descriptor-set or --import brings types"
        assert ended.code == Exit.OK


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"\0\0\0", "neither JSON nor"),
        (b"\xff\xfe{", "neither JSON nor"),
        (b"hello", "neither JSON nor"),
        (b"pq", "neither JSON nor"),
        (b"{", "not JSON"),
        (b"[1]", "expected a JSON object"),
        (b"[]x", "not JSON"),
        (b"{}[", "document 2: not JSON"),
        (b"done: true\nname: operations/1\n", "gcloud writes JSON with --format=json"),
        (b'{"error": {"code": 404, "message": "gone", "status": "NOT_FOUND"}}', "no operation: NOT_FOUND: gone"),
        (b'{"error": {"code": 404, "message": "gone"}}', "no operation: 404: gone"),
        (b'[{"error": {"code": 404, "message": "gone", "status": "NOT_FOUND"}}]', "no operation: NOT_FOUND: gone"),
        (b'{"code": 5, "message": "gone", "details": []}', "no operation: 5: gone"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "it is empty"),
        (b'{"name": "\\ud800"}', "lone surrogate"),
        (b'{"name": 3}', "name: expected a string"),
        (b'{"name": "a", "name": "b"}', "twice"),
        (b'{"metadata": {"@type": 1}}', "@type"),
        (b'{"operations": {}}', "expected a list"),
        (b'{"operations": [1]}', "operations[0]: expected a JSON object"),
        (b'{"name": "a"}\n{"name": 3}\n', "document 2: name"),
        (b'{"a":' * 200 + b"1" + b"}" * 200, "levels deep"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_garbage(decode: Decode, data: bytes, complaint: str) -> None:
    """What is no operation is a line and code 2 (JSON-3)."""
    ended = decode(data)
    assert complaint in ended.complaint or "levels deep" in ended.complaint
    assert (ended.code, ended.out) == (Exit.USAGE, "")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A file that is not there, and a folder, are a line and code 2 (cli)."""
    assert "No such file" in call("decode", str(tmp_path / "none")).complaint
    assert "Is a directory" in call("decode", str(tmp_path)).complaint
    assert call("decode", str(tmp_path)).code == Exit.USAGE


NAMES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=0, max_size=200) | st.sampled_from(
    ["{" + "x" * 122, "y" * 123, "x" * 91, "[" * 10]
)


def operation(name: str, *, done: bool) -> operations_pb2.Operation:
    """One with metadata."""
    return operations_pb2.Operation(name=name, done=done, metadata=pack(empty_pb2.Empty()))


OPERATIONS = st.builds(operation, NAMES, done=st.booleans())


@settings(max_examples=300, deadline=None)
@given(st.lists(OPERATIONS, min_size=1, max_size=3), st.booleans())
def test_operations_and_lists_are_told_apart(operations: list[operations_pb2.Operation], alone: bool) -> None:
    """Neither form says what it is: binary operations and lists of them are told apart by what is in them (cli)."""
    if alone:
        (found,) = read(operations[0].SerializeToString(), REGISTRY)
        assert isinstance(found, Operation)
        assert found.to_proto() == operations[0]
    else:
        page = operations_pb2.ListOperationsResponse(operations=operations)
        (found,) = read(page.SerializeToString(), REGISTRY)
        assert isinstance(found, Page)
        assert [operation.to_proto() for operation in found] == operations


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes(data: bytes) -> None:
    """Whatever the bytes: operations, or a ValueError that says what is wrong (law 4)."""
    contents: list[object] = []
    with suppress(ValueError):
        contents += read(data, REGISTRY)
        assert contents
