# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Writes the corpus: one small input for each behaviour worth starting from. ``python -m fuzz.seeds``.

Inputs that once broke something are kept as well, beside these, under the name of what they broke.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from google.longrunning import operations_proto_pb2
from google.protobuf import any_pb2, duration_pb2, empty_pb2, struct_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from example.library.v1 import library_pb2
from fuzz.descriptors import SEEDS
from fuzz.typings import GOOGLE

CORPUS = Path(__file__).with_name("corpus")
BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks" / "data"
OPERATION = operations_proto_pb2.Operation
SHELF = library_pb2.Shelf(name="shelves/1", theme="History", book_count=7)
PROGRESS = library_pb2.ImportBooksMetadata(total=10, done=4, percent=40)


def pack(message: Message) -> any_pb2.Any:
    """Packs a message, maps in a fixed order."""
    value = message.SerializeToString(deterministic=True)
    return any_pb2.Any(type_url=GOOGLE + message.DESCRIPTOR.full_name, value=value)


def operation(**fields: Any) -> bytes:
    """An operation in bytes."""
    return OPERATION(name="operations/1", **fields).SerializeToString(deterministic=True)


def document(**fields: Any) -> bytes:
    """An operation in JSON."""
    return json.dumps({"name": "operations/1", **fields}, ensure_ascii=False).encode()


def struct() -> struct_pb2.Struct:
    """A Struct with every kind of value."""
    message = struct_pb2.Struct()
    message.update({"null": None, "yes": True, "number": 1.5, "text": "☃", "list": [1, [2]], "struct": {"a": {}}})
    return message


FAILURE = status_pb2.Status(
    code=9,
    message="the shelf is full",
    details=[
        pack(error_details_pb2.ErrorInfo(reason="FULL", domain="library.example.com", metadata={"shelf": "1"})),
        pack(error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=3))),
        any_pb2.Any(type_url=GOOGLE + "example.nowhere.Detail", value=b"\x0a\x01a"),
    ],
)

BYTES: dict[str, tuple[int, bytes]] = {
    "pending": (3, operation(metadata=pack(PROGRESS))),
    "done": (2, operation(done=True, response=pack(SHELF), metadata=pack(library_pb2.OperationMetadata(verb="create")))),
    "failed": (0, operation(done=True, error=FAILURE)),
    "cancelled": (3, operation(done=True, error=status_pb2.Status(code=1), metadata=pack(PROGRESS))),
    "empty": (4, operation(done=True, response=pack(empty_pb2.Empty()))),
    "no-result": (2, operation(done=True)),
    "not-done-with-response": (2, operation(response=pack(SHELF))),
    "wrong-type": (2, operation(done=True, response=pack(PROGRESS))),
    "corrupt": (2, operation(done=True, response=any_pb2.Any(type_url=GOOGLE + "example.library.v1.Shelf", value=b"\x0a\xff"))),
    "unknown-type": (5, operation(done=True, response=any_pb2.Any(type_url=GOOGLE + "foo.Bar", value=b"\x08\x01"))),
    "any": (5, operation(done=True, response=pack(SHELF), metadata=pack(pack(PROGRESS)))),
    "struct": (6, operation(done=True, response=pack(struct()), metadata=pack(struct_pb2.Value(number_value=1)))),
    "seed-document": (1, operation(metadata=any_pb2.Any(type_url="types.example.com/standard/id", value=b"\x08\xd2\x09"))),
    "nested": (8, operation(done=True, response=pack(operations_proto_pb2.ListOperationsResponse(operations=[OPERATION(error=FAILURE)])))),
    "memorystore-full": (7, (BENCHMARKS / "full.binpb").read_bytes()),
    "memorystore-basic": (1, (BENCHMARKS / "basic.binpb").read_bytes()),
}  # fmt: skip
JSON: dict[str, tuple[int, bytes]] = {
    "pending": (3, document(metadata={"@type": GOOGLE + "example.library.v1.ImportBooksMetadata", "total": "10", "percent": 40})),
    "done": (2, document(done=True, response={"@type": GOOGLE + "example.library.v1.Shelf", "bookCount": 7, "theme": "ä"})),
    "failed": (0, document(done=True, error={"code": 9, "message": "full", "details": [
        {"@type": GOOGLE + "google.rpc.ErrorInfo", "reason": "FULL", "metadata": {"shelf": "1"}}, {"@type": "foo/bar.Baz", "a": [1]}]})),
    "opaque": (0, document(done=True, response={"@type": GOOGLE + "foo.Bar", "@bytes": "CAE="})),
    "unknown-field": (2, document(future={"a": 1}, done=True, response={"@type": GOOGLE + "example.library.v1.Shelf", "future": 1})),
    "any-in-any": (5, document(done=True, response={"@type": GOOGLE + "google.protobuf.Any", "value": {
        "@type": GOOGLE + "google.protobuf.Duration", "value": "1.5s"}})),
    "struct": (6, document(done=True, response={"@type": GOOGLE + "google.protobuf.Struct", "value": {"a": [1, None, {"b": True}]}})),
    "empty": (4, document(done=True, response={"@type": GOOGLE + "google.protobuf.Empty"})),
    "seed-document": (0, document(metadata={"id": 1234, "@type": "types.example.com/standard/id"})),
    "two-results": (0, document(done=True, error={}, response={})),
    "duplicate-key": (0, b'{"name":"a","name":"b"}'),
    "lone-surrogate": (0, b'{"name":"\\ud800"}'),
    "memorystore": (7, document(done=True, response={"@type": GOOGLE + "google.cloud.redis.v1.Instance", "name": "a", "port": 6379,
        "state": "READY", "tier": 3, "createTime": "2025-05-08T08:00:00Z", "labels": {"env": "test"}})),
}  # fmt: skip
ANY: dict[str, tuple[int, bytes]] = {
    "known": (1, pack(SHELF).SerializeToString()),
    "unknown": (0, pack(SHELF).SerializeToString()),
    "empty": (0, b""),
    "other-host": (0, any_pb2.Any(type_url="types.example.com/standard/id", value=b"\x08\x01").SerializeToString()),
    "nested": (0, pack(pack(pack(empty_pb2.Empty()))).SerializeToString()),
}


def main() -> None:
    """Writes the corpus."""
    CORPUS.mkdir(exist_ok=True)
    descriptors: dict[str, tuple[int, bytes]] = {name: (0, body) for name, body in SEEDS.items()}
    for kind, inputs in {"bytes": BYTES, "json": JSON, "any": ANY, "descriptors": descriptors}.items():
        for name, (typing, body) in inputs.items():
            (CORPUS / f"{kind}-{name}").write_bytes(f"{kind[0].upper()}{typing}".encode() + body)
    print(f"{len(list(CORPUS.iterdir()))} inputs")


if __name__ == "__main__":
    main()
