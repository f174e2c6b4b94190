# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""get, list, cancel and delete: what they send, what they print, how they end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from google.protobuf import any_pb2, empty_pb2, struct_pb2

from example.library.v1 import library_pb2
from longrunning import Code, UnknownPayload
from longrunning.cli._exits import Exit
from longrunning.testing import (
    ScriptedOperations,
    cancelled,
    failed,
    malformed,
    no_result,
    pending,
    raw,
    rpc_error,
    succeeded,
)
from tests.cli.driving import INFO, NAME, ROOT, SECRET, TYPES, U, call, full, imported, running

At = tuple[str, ...]
DESCRIPTORS = str(ROOT / "generated" / "descriptors" / "longrunning.binpb")


# -- get ----------------------------------------------------------------------------------------------------------


def test_get_shows_an_operation_and_its_payloads(operations: ScriptedOperations, at: At) -> None:
    """An operation is shown with the fields of its metadata and its response (cli)."""
    operations.add(NAME, imported())
    ended = call("get", NAME, *at, *TYPES)
    assert ended.out.splitlines() == [
        NAME,
        "  state: SUCCEEDED",
        "  metadata: example.library.v1.ImportBooksMetadata",
        "    total: 40",
        "    done: 40",
        "    percent: 100",
        "  response: example.library.v1.ImportBooksResponse",
        "    shelf:",
        "      name: shelves/1",
        "    imported: 40",
    ]
    assert (ended.code, ended.err) == (Exit.OK, "")


def test_get_shows_an_error_with_its_details(operations: ScriptedOperations, at: At) -> None:
    """The error of an operation is shown with code, message and decoded details; asking went well (ERR-2)."""
    operations.add(NAME, full())
    ended = call("get", NAME, *at)
    assert ended.out.splitlines()[3:] == [
        "  error: RESOURCE_EXHAUSTED (8): no room",
        "    google.rpc.ErrorInfo",
        "      reason: FULL",
        "      domain: library.example.com",
    ]
    assert ended.code == Exit.OK


def test_get_json_is_the_document_of_the_rest_reference(operations: ScriptedOperations, at: At) -> None:
    """With --json there is one line for each operation, the JSON of the REST reference (JSON-1)."""
    operations.add(NAME, imported())
    operations.add("b", cancelled("stop"))
    lines = call("get", NAME, "b", "--json", *at, *TYPES).out.splitlines()
    assert [json.loads(line)["name"] for line in lines] == [NAME, "b"]
    assert json.loads(lines[0])["response"] == {
        "@type": f"{U}example.library.v1.ImportBooksResponse", "shelf": {"name": "shelves/1"}, "imported": 40,
    }  # fmt: skip


def test_a_type_nobody_knows_is_named_with_its_size_and_a_hint(operations: ScriptedOperations, at: At) -> None:
    """A payload of unknown type is its type and its size, and a line says which options bring types (TYPE-3)."""
    operations.add(NAME, pending(SECRET))
    ended = call("get", NAME, *at)
    assert "  metadata: acme.v1.Secret, 5 bytes of unknown type" in ended.out.splitlines()
    assert ended.complaint == "unknown types: acme.v1.Secret; --descriptor-set, --import or --reflect brings types"
    assert ended.code == Exit.OK


def test_unknown_types_in_json_keep_their_bytes(operations: ScriptedOperations, at: At) -> None:
    """With --json the bytes of a payload of unknown type are there, and so is the hint (JSON-2)."""
    operations.add(NAME, pending(SECRET))
    ended = call("get", NAME, "--json", *at)
    assert json.loads(ended.out)["metadata"] == {"@type": SECRET.type_url, "@bytes": "CgNhYmM="}
    assert "acme.v1.Secret" in ended.complaint


@pytest.mark.parametrize(
    "options", [TYPES, ("--descriptor-set", DESCRIPTORS), (*TYPES, "--descriptor-set", DESCRIPTORS)]
)
def test_types_come_from_modules_and_descriptor_sets(
    operations: ScriptedOperations, at: At, options: tuple[str, ...]
) -> None:
    """Types come from modules, from descriptor sets, or from both (TYPE-9)."""
    operations.add(NAME, running())
    ended = call("get", NAME, *at, *options)
    assert "    percent: 25" in ended.out.splitlines()
    assert not ended.err


def test_types_that_contradict_each_other(operations: ScriptedOperations, at: At, tmp_path: Path) -> None:
    """Two definitions of one type are a line and code 2 (TYPE-8)."""
    from google.protobuf import descriptor_pb2

    files = descriptor_pb2.FileDescriptorSet.FromString(Path(DESCRIPTORS).read_bytes())
    for file in files.file:
        for message in file.message_type:
            if message.name == "Shelf":
                message.field[0].name = "other"
                message.field[0].json_name = "other"
    other = tmp_path / "other.binpb"
    other.write_bytes(files.SerializeToString())
    ended = call("get", NAME, *at, *TYPES, "--descriptor-set", str(other))
    assert ended.code == Exit.USAGE
    assert "two different definitions of message 'example.library.v1.Shelf'" in ended.complaint


def test_payloads_that_cannot_be_shown_say_why(operations: ScriptedOperations, at: At) -> None:
    """Corrupt bytes, and a type URL nobody may trust, are said to be that, and no hint is given (TYPE-2, TYPE-6)."""
    operations.add("corrupt", pending(UnknownPayload(f"{U}example.library.v1.Shelf", b"\xff")))
    operations.add("evil", pending(UnknownPayload("evil.example.com/google.protobuf.Empty", b"")))
    ended = call("get", "corrupt", "evil", *at, *TYPES)
    assert "  metadata: example.library.v1.Shelf, 1 byte that cannot be decoded" in ended.out
    assert "  metadata: google.protobuf.Empty, 0 bytes with a type URL that is not to be trusted" in ended.out
    assert not ended.err


def test_odd_operations(operations: ScriptedOperations, at: At) -> None:
    """Without a result, malformed, with an unknown code, without a name: each is shown for what it is (SNAP-2..4)."""
    operations.add("none", no_result())
    operations.add("malformed", malformed(empty_pb2.Empty()))
    operations.add("code", failed(99, "odd"))
    ended = call("get", "none", "malformed", "code", *at)
    assert ended.out.split("\n\n") == [
        "none\n  state: SUCCEEDED\n  response: none: the service provides no result",
        "malformed\n  state: RUNNING\n  malformed: response is set, but the operation is not done\n  response: google.protobuf.Empty",
        "code\n  state: FAILED\n  error: code 99: odd\n",
    ]


def test_a_struct_is_shown_as_a_tree(operations: ScriptedOperations, at: At) -> None:
    """Lists, objects, empty ones, and texts of several lines are shown in full (cli)."""
    struct = struct_pb2.Struct()
    struct.update({"list": [1, {"a": [[2], {}]}, {"b": "x\ny"}], "empty": "", "none": None})
    operations.add(NAME, pending(struct))
    lines = call("get", NAME, *at).out.splitlines()
    assert sorted(lines[3:]) == sorted(
        [
            "    value:",
            "      list:",
            "      - 1.0",
            "      - a:",
            "        - - 2.0",
            "        - {}",
            "      - b:",
            "          x",
            "          y",
            '      empty: ""',
            "      none: null",
        ]
    )


def test_payloads_in_payloads(operations: ScriptedOperations, at: At) -> None:
    """A payload inside a payload has its type named as well, known or not (TYPE-7)."""
    inner = any_pb2.Any()
    inner.Pack(SECRET.to_any())
    operations.add(NAME, pending(inner))
    ended = call("get", NAME, *at)
    assert "acme.v1.Secret, 5 bytes of unknown type" in ended.out
    assert "acme.v1.Secret" in ended.complaint


def test_what_a_server_sends_commands_no_terminal(operations: ScriptedOperations, at: At) -> None:
    """Control characters in names, messages and fields are written as escapes, in JSON too (cli)."""
    evil = "\x1b[2J\x9b31m\u202e\x07"
    operations.add(evil, failed(Code.INTERNAL, evil, metadata=library_pb2.Shelf(name=evil)))
    for options in ([], ["--json"]):
        ended = call("get", evil, *at, *TYPES, *options)
        assert not set(ended.out) & {"\x1b", "\x9b", "\u202e", "\x07"}
    assert json.loads(ended.out)["name"] == evil


def test_names_in_any_form(operations: ScriptedOperations, at: At) -> None:
    """Names with a leading slash, a space, in any script, and those that look like an option can be asked for (SNAP-7)."""
    names = ["/uuid", "操作/ä b", "-x"]
    for name in names:
        operations.add(name, pending())
    ended = call("get", *at, "--", *names)
    assert [line for line in ended.out.splitlines() if line and not line.startswith("  ")] == names
    assert [sent.name for sent in operations.calls] == names


def test_headers_are_sent(operations: ScriptedOperations, at: At) -> None:
    """Headers go out with every request, in the order given (WAIT-10)."""
    operations.add(NAME, pending())
    call("get", NAME, *at, "-H", "authorization=Bearer x", "--header", "k-bin=AAE=", "-H", "k=1", "-H", "k=2")
    (sent,) = operations.calls
    assert sent.header("authorization") == ("Bearer x",)
    assert sent.header("k-bin") == (b"\x00\x01",)
    assert sent.header("k") == ("1", "2")
    assert sent.header("x-goog-request-params") == (f"name={NAME}",)


def test_what_one_name_does_wrong_leaves_the_others_alone(operations: ScriptedOperations, at: At) -> None:
    """Each name is asked for; the code is that of the first one that did not end well (cli)."""
    operations.add("a", pending())
    operations.add("b", pending())
    operations.fails("GetOperation", rpc_error(Code.PERMISSION_DENIED, "not for you", details=[INFO]))
    ended = call("get", "denied", "missing", "a", "b", *at)
    first, second = ended.err.splitlines()
    assert first == (
        "longrunning: denied: GetOperation failed: PERMISSION_DENIED (7): not for you "
        '[ErrorInfo(reason: "FULL" domain: "library.example.com")]'
    )
    assert second == "longrunning: missing: NOT_FOUND (5): operation 'missing' not found"
    assert ended.out == "a\n  state: RUNNING\n\nb\n  state: RUNNING\n"
    assert ended.code == Exit.FAILED


def test_a_reply_that_is_no_operation(operations: ScriptedOperations, at: At) -> None:
    """Bytes that are no operation are a line and code 1 (TYPE-2)."""
    operations.add(NAME, raw(b"\xff"))
    ended = call("get", NAME, *at)
    assert ended.complaint.startswith(f"{NAME}: the server's reply is not a google.longrunning.Operation")
    assert ended.code == Exit.FAILED


# -- list ---------------------------------------------------------------------------------------------------------


def test_list_is_a_line_for_each_operation(operations: ScriptedOperations, at: At) -> None:
    """A list shows state, name, and progress or outcome, types mixed and unknown together (CTRL-4)."""
    operations.add("p/1", running())
    operations.add("p/操作", full())
    operations.add("p/333", imported())
    operations.add("p/4", pending(SECRET))
    ended = call("list", "p", *at, *TYPES)
    assert ended.out.splitlines() == [
        "RUNNING    p/1      25 %  10 of 40",
        "FAILED     p/操作  RESOURCE_EXHAUSTED: no room",
        "SUCCEEDED  p/333   example.library.v1.ImportBooksResponse",
        "RUNNING    p/4",
    ]
    assert ended.complaint.startswith("unknown types: acme.v1.Secret;")
    assert ended.code == Exit.OK


def test_list_shows_a_page_and_how_to_go_on(operations: ScriptedOperations, at: At) -> None:
    """One page is fetched, and a line says which options fetch the next, or all (CTRL-4)."""
    for number in range(5):
        operations.add(f"{number}", pending())
    ended = call("list", "--page-size", "2", *at)
    assert ended.out == "RUNNING    0\nRUNNING    1\n"
    assert ended.complaint == "there is more: --page-token 2, or --all"
    assert call("list", "--page-size", "2", "--page-token", "2", *at).out == "RUNNING    2\nRUNNING    3\n"
    ended = call("list", "--page-size", "2", "--all", *at)
    assert len(ended.out.splitlines()) == 5
    assert not ended.err


def test_list_sends_filter_and_partial(operations: ScriptedOperations, at: At) -> None:
    """Filter and partial success are sent; places that could not be reached are told of (CTRL-4)."""
    operations.unreachable = ("locations/far",)
    operations.list_filter = lambda text, operation: operation.done is (text == "done")
    operations.add("p/1", pending())
    operations.add("p/2", succeeded(empty_pb2.Empty()))
    ended = call("list", "p", "--filter", "done", "--partial", *at)
    assert ended.out == "SUCCEEDED  p/2  google.protobuf.Empty\n"
    assert ended.complaint == "unreachable, so its operations are not listed: locations/far"
    assert not call("list", "p", "--filter", "done", *at).err
    assert [sent.request.filter for sent in operations.calls] == ["done", "done"]


def test_list_json_is_the_response_of_each_page(operations: ScriptedOperations, at: At) -> None:
    """With --json a page is a line, a ListOperationsResponse with its token (CTRL-4)."""
    for number in range(3):
        operations.add(f"{number}", pending())
    pages = [json.loads(line) for line in call("list", "--json", "--all", "--page-size", "2", *at).out.splitlines()]
    assert pages == [
        {"operations": [{"name": "0"}, {"name": "1"}], "nextPageToken": "2"},
        {"operations": [{"name": "2"}]},
    ]


def test_an_empty_list_says_so(operations: ScriptedOperations, at: At) -> None:
    """Nothing to list is nothing on standard output, a line beside it, and well (cli)."""
    ended = call("list", "p", *at)
    assert (ended.out, ended.complaint, ended.code) == ("", "no operations under p", Exit.OK)


def test_a_list_that_is_refused(operations: ScriptedOperations, at: At) -> None:
    """A list that the server refuses is a line and code 1 (ERR-1)."""
    ended = call("list", "p", "--page-token", "x", *at)
    assert ended.complaint == "p: ListOperations failed: INVALID_ARGUMENT (3): page_token or page_size is invalid"
    assert ended.code == Exit.FAILED


# -- cancel, delete -----------------------------------------------------------------------------------------------


def test_cancel_is_a_request(operations: ScriptedOperations, at: At) -> None:
    """A cancel is asked for, and said to be no more than that (CTRL-2)."""
    operations.add(NAME, pending(times=None))
    assert call("cancel", NAME, *at).out == f"cancel requested  {NAME}\n"
    assert json.loads(call("cancel", NAME, "--json", *at).out) == {"name": NAME, "cancelRequested": True}
    assert operations.rpcs(NAME) == ["CancelOperation"] * 2


def test_a_server_that_cannot_cancel(operations: ScriptedOperations, at: At) -> None:
    """That a server cannot cancel is told apart from an operation it does not know (CTRL-2)."""
    operations.fails("CancelOperation", rpc_error(Code.UNIMPLEMENTED, "no cancel here"))
    ended = call("cancel", NAME, *at)
    assert ended.complaint == f"{NAME}: CancelOperation failed: UNIMPLEMENTED (12): no cancel here"
    assert ended.code == Exit.FAILED
    assert call("cancel", NAME, *at).code == Exit.NOT_FOUND


def test_delete_forgets(operations: ScriptedOperations, at: At) -> None:
    """A delete does not cancel; afterwards the operation is not found (CTRL-3)."""
    operations.add("a", pending())
    operations.add("b", pending())
    assert call("delete", "a", *at).out == "deleted  a\n"
    assert json.loads(call("delete", "b", "--json", *at).out) == {"name": "b", "deleted": True}
    assert call("get", "a", *at).code == Exit.NOT_FOUND
    assert "CancelOperation" not in operations.rpcs()
