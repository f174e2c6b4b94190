# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Types that the server tells of, asked of the server that gRPC itself brings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_reflection.v1alpha import reflection, reflection_pb2

from longrunning.cli._exits import Exit
from longrunning.testing import ScriptedOperations, pending
from tests.cli.driving import NAME, SECRET, TYPES, call, full, running

Answer = Callable[[Any, Any], Any]
PATHS = {version: f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo" for version in ("v1", "v1alpha")}


def serialize(response: Any) -> bytes:
    """The bytes of a response; bytes that are none go out as they are."""
    return response if isinstance(response, bytes) else bytes(response.SerializeToString())


class Reflecting(grpc.GenericRpcHandler):
    """gRPC's own implementation, under the name of any version; `answer` may change what it says."""

    def __init__(self, version: str, answer: Answer | None = None) -> None:
        self.asked: list[str] = []
        self.headers: list[dict[str, Any]] = []
        self._path = PATHS[version]
        self._servicer: Any = reflection.ReflectionServicer(["example.library.v1.Library"])
        self._answer = answer

    def service(self, handler_call_details: Any) -> Any:
        if handler_call_details.method != self._path:
            return None
        make: Any = grpc.stream_stream_rpc_method_handler
        return make(self._talk, reflection_pb2.ServerReflectionRequest.FromString, serialize)

    def _talk(self, requests: Iterator[Any], context: Any) -> Iterator[Any]:
        self.headers.append(dict(context.invocation_metadata()))
        for request in requests:
            self.asked.append(request.file_containing_symbol or request.file_by_filename)
            for response in self._servicer.ServerReflectionInfo(iter([request]), context):
                yield response if self._answer is None else self._answer(request, response)


def ask(operations: ScriptedOperations, reflecting: Reflecting | None, *options: str) -> Any:
    """Gets an operation from a server that tells of its types."""

    def register(server: Any) -> None:
        if reflecting is not None:
            server.add_generic_rpc_handlers((reflecting,))

    with operations.serve(register=register) as server:
        return call("get", NAME, "--endpoint", server.address, "--insecure", "--reflect", *options)


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_both_versions_of_the_protocol(operations: ScriptedOperations, version: str) -> None:
    """A type that nobody passed is asked of the server, in the version of reflection that it speaks (TYPE-9)."""
    operations.add(NAME, running())
    reflecting = Reflecting(version)
    ended = ask(operations, reflecting, "-H", "authorization=Bearer x")
    assert "    percent: 25" in ended.out
    assert (ended.code, ended.err) == (Exit.OK, "")
    assert reflecting.asked == ["example.library.v1.ImportBooksMetadata"]
    assert reflecting.headers[0]["authorization"] == "Bearer x"


def test_nothing_is_asked_that_is_known(operations: ScriptedOperations) -> None:
    """A server is not asked for the types that were passed, nor for those of google.rpc (TYPE-8)."""
    operations.add(NAME, full())
    reflecting = Reflecting("v1")
    assert "    percent: 25" in ask(operations, reflecting, *TYPES).out
    assert reflecting.asked == []


def test_files_that_come_one_by_one(operations: ScriptedOperations) -> None:
    """A server that answers with one file at a time is asked for those it needs (cli)."""

    def one(_: Any, response: Any) -> Any:
        del response.file_descriptor_response.file_descriptor_proto[1:]
        return response

    operations.add(NAME, running())
    reflecting = Reflecting("v1", one)
    assert "    percent: 25" in ask(operations, reflecting).out
    assert reflecting.asked[0] == "example.library.v1.ImportBooksMetadata"
    assert set(reflecting.asked[1:]) >= {"google/longrunning/operations.proto", "google/protobuf/timestamp.proto"}
    assert len(reflecting.asked) == len(set(reflecting.asked))


def test_a_type_the_server_does_not_know_either(operations: ScriptedOperations) -> None:
    """A type that reflection does not know stays unknown, and a line says so (TYPE-3)."""
    operations.add(NAME, pending(SECRET))
    ended = ask(operations, Reflecting("v1"))
    assert ended.complaint == "unknown types: acme.v1.Secret; the server's reflection: it does not know them either"
    assert ended.code == Exit.OK


def test_a_server_without_reflection(operations: ScriptedOperations) -> None:
    """A server without reflection is no obstacle: types stay unknown, and a line says why (TYPE-3)."""
    operations.add(NAME, running())
    ended = ask(operations, None)
    assert "bytes of unknown type" in ended.out
    assert ended.complaint.endswith("; the server's reflection: UNIMPLEMENTED: Method not found!")
    assert ended.code == Exit.OK


def garbage(_: Any, __: Any) -> Any:
    """Bytes that are no message."""
    return b"\xff"


def incomplete(_: Any, response: Any) -> Any:
    """All the files but one."""
    files = response.file_descriptor_response.file_descriptor_proto
    kept = [
        data for data in files if descriptor_pb2.FileDescriptorProto.FromString(data).name != "google/api/http.proto"
    ]
    response.file_descriptor_response.file_descriptor_proto[:] = kept
    return response


def other(_: Any, __: Any) -> Any:
    """A file that has nothing to do with the question."""
    file = descriptor_pb2.FileDescriptorProto()
    descriptor_pool.Default().FindFileByName("google/protobuf/empty.proto").CopyToProto(file)
    return reflection_pb2.ServerReflectionResponse(
        file_descriptor_response=reflection_pb2.FileDescriptorResponse(file_descriptor_proto=[file.SerializeToString()])
    )


def endless(request: Any, _: Any) -> Any:
    """A file that needs a file that needs a file, for ever."""
    asked = request.file_by_filename or "0"
    file = descriptor_pb2.FileDescriptorProto(name=asked, dependency=[str(int(asked) + 1)])
    return reflection_pb2.ServerReflectionResponse(
        file_descriptor_response=reflection_pb2.FileDescriptorResponse(file_descriptor_proto=[file.SerializeToString()])
    )


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (garbage, "an answer that does not decode"),
        (other, "is not in the file that is said to have it"),
        (endless, "more than 2000 files"),
        (incomplete, "the server does not tell what is in google/api/http.proto"),
    ],
    ids=["no message", "another file", "endless files", "a missing file"],
)
def test_a_server_that_talks_nonsense(operations: ScriptedOperations, answer: Answer, complaint: str) -> None:
    """Nonsense told by reflection makes a type unknown, and nothing worse (TYPE-3)."""
    operations.add(NAME, running())
    ended = ask(operations, Reflecting("v1", answer))
    assert ended.code == Exit.OK
    assert complaint in ended.complaint
    assert "bytes of unknown type" in ended.out
