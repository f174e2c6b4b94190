# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Pages of lists, from each form and back to JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.longrunning import operations_proto_pb2 as operations_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, struct_pb2

from example.library.v1 import library_pb2
from longrunning import Operation, TypeRegistry
from longrunning.errors import DocumentError, PayloadDecodeError
from longrunning.page import Page

LIBRARY = TypeRegistry.from_modules(library_pb2)
UNREACHABLE = b"\x1a\x08shelf/no"  # field 3, which old versions of the message do not know


def response() -> Any:
    """A done operation of a known type, one that is not done, a token."""
    made = operations_pb2.ListOperationsResponse(next_page_token="more")
    done = made.operations.add(name="operations/1", done=True)
    done.response.Pack(library_pb2.ImportBooksResponse(imported=4))
    made.operations.add(name="operations/2").metadata.Pack(struct_pb2.Struct())
    return made


def check(page: Page[Operation[Any, Any]]) -> None:
    """It is the page of `response`."""
    first, second = page
    assert (first.name, first.done, second.name, second.done) == ("operations/1", True, "operations/2", False)
    assert first.result() == library_pb2.ImportBooksResponse(imported=4)
    assert (len(page), page.next_page_token) == (2, "more")


def test_messages() -> None:
    """A list response is typed by the registry, and is a copy: what happens to the message later does not matter (CTRL-4)."""
    made = response()
    page = Page.from_proto(made, registry=LIBRARY)
    made.operations[0].name = "changed"
    check(page)


def test_dynamic_messages() -> None:
    """A message of another class of the same name does as well (CTRL-4)."""
    pool = descriptor_pool.DescriptorPool()

    def add(file: Any) -> None:
        for dependency in file.dependencies:
            add(dependency)
        proto = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(proto)
        pool.Add(proto)  # type: ignore[no-untyped-call,unused-ignore]

    add(operations_pb2.DESCRIPTOR)
    found = pool.FindMessageTypeByName("google.longrunning.ListOperationsResponse")
    other = message_factory.GetMessageClass(found).FromString(response().SerializeToString())
    check(Page.from_proto(other, registry=LIBRARY))


def test_other_messages() -> None:
    """Another message, and what is none, is a TypeError that says so (CTRL-4)."""
    with pytest.raises(TypeError, match=r"ListOperationsResponse message, got google\.longrunning\.Operation"):
        Page.from_proto(operations_pb2.Operation(), registry=LIBRARY)
    nothing: Any = {}
    with pytest.raises(TypeError, match="got dict"):
        Page.from_proto(nothing, registry=LIBRARY)


def test_bytes() -> None:
    """The binary form reads the same, also what the installed message does not know: what was unreachable (CTRL-4)."""
    page = Page.from_bytes(response().SerializeToString() + UNREACHABLE, registry=LIBRARY)
    check(page)
    assert page.unreachable == ("shelf/no",)
    with pytest.raises(PayloadDecodeError, match=r"3 bytes are not a google\.longrunning\.ListOperationsResponse"):
        Page.from_bytes(b"\xff\xff\xff", registry=LIBRARY)


def test_json_round_trip() -> None:
    """The JSON of a list is written as it was read, unknown types and fields of operations included (JSON-1, JSON-2)."""
    document = {
        "operations": [json.loads(operation.to_json()) for operation in Page.from_proto(response(), registry=LIBRARY)]
        + [{"name": "operations/3", "metadata": {"@type": "type.googleapis.com/acme.New", "a": [1]}, "new": 1}],
        "nextPageToken": "more",
        "unreachable": ["shelf/no"],
    }
    page = Page.from_json(json.dumps(document), registry=LIBRARY)
    assert page.items[0].result() == library_pb2.ImportBooksResponse(imported=4)
    assert json.loads(page.to_json()) == document
    assert Page.from_json(document, registry=LIBRARY) == page
    assert "\n" in page.to_json(indent=1)
    assert Page.from_json("{}", registry=LIBRARY).to_json() == '{"operations":[]}'


def test_objects_are_copied() -> None:
    """A page made of a parsed object does not change with it (JSON-1)."""
    document = {"operations": [{"name": "operations/1"}]}
    page = Page.from_json(document, registry=LIBRARY)
    document["operations"][0]["name"] = "changed"
    assert page.items[0].name == "operations/1"


def test_json_format_s_names() -> None:
    """The name that json_format keeps on demand is read as well (JSON-1)."""
    assert Page.from_json('{"next_page_token": "more"}', registry=LIBRARY).next_page_token == "more"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("[]", ""),
        ('{"operations": {}}', "operations"),
        ('{"operations": [{}, 1]}', "operations[1]"),
        ('{"operations": [{}, {"name": 1}]}', "operations[1].name"),
        ('{"operations": [{"error": {}, "response": {"@type": "a/b"}}]}', "operations[0]"),
        ('{"nextPageToken": 1}', "nextPageToken"),
        ('{"unreachable": "all"}', "unreachable"),
        ('{"unreachable": ["a", 1]}', "unreachable[1]"),
        ('{"operations": [], "operations": []}', ""),
    ],
)
def test_what_is_no_page(text: str, path: str) -> None:
    """What is no list of operations is a DocumentError that says where (JSON-3)."""
    with pytest.raises(DocumentError) as caught:
        Page.from_json(text, registry=LIBRARY)
    assert caught.value.path == path
