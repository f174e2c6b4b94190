# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Operations as the server writes them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, json_format, message_factory, struct_pb2
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given

from example.library.v1 import library_pb2
from longrunning import LroMethod, Operation, TypeRegistry
from longrunning.rest._asgi_queries import PLAIN, Options
from longrunning.rest._asgi_replies import Replies
from longrunning.server.storage import OperationRecord
from tests.unit.builders import DYNAMIC, GENERATED, U, any_of, message_class, raw
from tests.unit.strategies import PAYLOADS

ANIMAL: Any = message_class(GENERATED, "longrunning_unit_zoo.Animal")
METHOD: LroMethod[Any, Any, Any] = LroMethod(
    path="/a.B/C", request_type=ANIMAL, response_type=ANIMAL, metadata_type=library_pb2.ImportBooksMetadata
)
NUMBERS = Options(enum_numbers=True)
NAME = "shelves/1/operations/op-1"


def record(**fields: Any) -> OperationRecord:
    """A record of a running operation, unless told otherwise."""
    given_ = dict[str, Any](
        sequence=1, name=NAME, parent="shelves/1", method=METHOD.path, scope="", done=False, code=None, metadata=None,
        result=None, create_time=1, start_time=None, update_time=1, end_time=None,
    )  # fmt: skip
    return OperationRecord(**(given_ | fields))


def replies(registry: TypeRegistry | None = None) -> Replies:
    """What writes operations of `METHOD`."""
    return Replies(registry or TypeRegistry(), {METHOD.path: METHOD}.get)


def written(of: OperationRecord, options: Options = PLAIN, registry: TypeRegistry | None = None) -> Any:
    """The JSON of a record."""
    return json.loads(text(replies(registry), of, options))


def text(writer: Replies, of: OperationRecord, options: Options = PLAIN) -> bytes:
    """What is sent of an operation."""
    return asyncio.run(writer.operation(of, options)).body


def responding(message: Any) -> OperationRecord:
    """A done operation with a response."""
    payload = message if isinstance(message, any_pb2.Any) else any_of(message)
    return record(done=True, result=payload.SerializeToString())


def test_states() -> None:
    """An operation is written as the REST reference has it: what is not set is not there (JSON-1, REST-1)."""
    assert written(record()) == {"name": NAME}
    metadata = any_of(library_pb2.ImportBooksMetadata(total=4, percent=50)).SerializeToString()
    assert written(record(metadata=metadata)) == {
        "name": NAME,
        "metadata": {"@type": U + "example.library.v1.ImportBooksMetadata", "total": 4, "percent": 50},
    }
    error = status_pb2.Status(code=1, message="cancelled").SerializeToString()
    assert written(record(done=True, code=1, result=error)) == {
        "name": NAME,
        "done": True,
        "error": {"code": 1, "message": "cancelled"},
    }
    assert written(responding(ANIMAL(weight=2**60, kind=2))) == {
        "name": NAME,
        "done": True,
        "response": {"@type": U + "longrunning_unit_zoo.Animal", "weight": str(2**60), "kind": "DOG"},
    }


@given(PAYLOADS)
def test_like_a_snapshot(payload: Any) -> None:
    """What is sent is what a snapshot of the operation writes, whatever it holds (REST-1, JSON-2)."""
    done = responding(payload)
    snapshot = Operation.from_proto(done.to_proto(), METHOD, registry=TypeRegistry())
    assert text(replies(), done) == snapshot.to_json().encode()


def test_unknown_types() -> None:
    """A payload nobody here knows is sent as its bytes; the registry of the server may know it (JSON-2)."""
    cat = any_of(message_class(DYNAMIC, "dynamic_zoo.Animal")(name="cat"))
    opaque = written(responding(cat))["response"]
    assert opaque == {"@type": U + "dynamic_zoo.Animal", "@bytes": "CgNjYXQ="}
    assert written(responding(cat), registry=DYNAMIC)["response"] == {"@type": U + "dynamic_zoo.Animal", "name": "cat"}
    of_another_server = replace(responding(library_pb2.Shelf(name="s")), method="/x.Y/Z")
    assert "@bytes" in written(of_another_server)["response"]


@pytest.mark.parametrize("levels", [1, 20, 24, 25, 26, 40, 60])
def test_chains_of_types(levels: int) -> None:
    """A payload of types within types is written whole, unless that makes more levels than are read back (TYPE-7, JSON-2)."""
    file = descriptor_pb2.FileDescriptorProto(name="chain.proto", package="chain", syntax="proto3")
    for level in range(levels):
        field: Any = file.message_type.add(name=f"M{level}").field.add(name="m", number=1)
        field.label, field.type = field.LABEL_REPEATED, field.TYPE_INT32
        if level + 1 < levels:
            field.type, field.type_name = field.TYPE_MESSAGE, f".chain.M{level + 1}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    outermost: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName("chain.M0"))
    message = innermost = outermost()
    expected: Any = [1]
    for _ in range(levels - 1):
        innermost, expected = innermost.m.add(), [{"m": expected}]
    innermost.m.append(1)
    response = written(responding(message), registry=TypeRegistry.from_pool(pool))["response"]
    assert response == {"@type": U + "chain.M0", **({"m": expected} if levels < 48 else {"@bytes": response["@bytes"]})}


# -- enums as numbers ---------------------------------------------------------------------------------------------


def numbered(message: Any) -> Any:
    """A message as json_format writes it with numbers."""
    return json_format.MessageToDict(message, use_integers_for_enums=True)


def test_enums_as_numbers() -> None:
    """With enum-encoding=int every enum is a number, at any depth, in maps, lists and payloads within payloads (REST-2)."""
    cat = ANIMAL(name="cat", kind=1)
    animal = ANIMAL(
        kind=2,
        child=ANIMAL(kind=1, child=ANIMAL(kind=0)),
        tag=any_of(cat),
        tags=[any_of(cat), any_of(ANIMAL(child=cat))],
    )
    animal.by_name["x"].CopyFrom(any_of(cat))
    named = written(responding(animal))["response"]
    assert named["child"]["child"]["kind"] == "UNKNOWN"
    response = written(responding(animal), NUMBERS)["response"]
    assert response == {"@type": named["@type"], **numbered(animal)}
    assert response["byName"]["x"]["kind"] == response["tags"][0]["kind"] == response["tag"]["kind"] == 1
    assert written(responding(any_of(any_of(cat))), NUMBERS)["response"]["value"]["kind"] == 1
    animal.tags.append(raw(U + "no.Such", b"\x08\x01"))
    assert written(responding(animal), NUMBERS)["response"]["tags"][2] == {"@type": U + "no.Such", "@bytes": "CAE="}


def test_what_is_no_enum() -> None:
    """Text that looks like the name of an enum value stays text (REST-2)."""
    struct = struct_pb2.Struct()
    struct.update({"kind": "CAT", "null": None})
    assert written(responding(struct), NUMBERS) == written(responding(struct))
    assert written(responding(ANIMAL(name="CAT")), NUMBERS)["response"]["name"] == "CAT"
    details = [any_of(error_details_pb2.ErrorInfo(reason="CAT")), raw(U + "no.Such", b"\x08\x01"), raw("", b"")]
    failed = record(done=True, code=9, result=status_pb2.Status(code=9, details=details).SerializeToString())
    assert written(failed, NUMBERS) == written(failed)


@given(PAYLOADS)
def test_numbers_change_nothing_else(payload: Any) -> None:
    """Whatever a payload is, with numbers for enums it reads back to the same operation (REST-2, JSON-1)."""
    done = responding(payload)
    document = text(replies(), done, NUMBERS)
    assert Operation.from_json(document, METHOD, registry=TypeRegistry()) == Operation.from_proto(
        done.to_proto(), METHOD, registry=TypeRegistry()
    )


# -- remembered texts ---------------------------------------------------------------------------------------------


def test_what_is_remembered_is_current() -> None:
    """A text that was written before is sent again only while the operation is the same in all that it says (REST-1)."""
    writer = replies()

    def sent(of: OperationRecord) -> Any:
        fresh = written(of)
        for _ in range(2):
            assert json.loads(text(writer, of)) == fresh
        return fresh

    running = record()
    seen = [sent(running)]
    for percent in (10, 20):
        metadata = any_of(library_pb2.ImportBooksMetadata(percent=percent)).SerializeToString()
        seen.append(sent(replace(running, metadata=metadata)))
    result = status_pb2.Status(code=3, message="m").SerializeToString()
    seen.append(sent(replace(running, done=True, code=3, result=result)))
    seen.append(sent(replace(running, done=True, result=any_of(ANIMAL(name="x")).SerializeToString())))
    seen.append(sent(replace(running, done=True, result=any_of(ANIMAL(name="y")).SerializeToString())))
    seen.append(sent(replace(running, done=True, result=b"")))
    seen.append(sent(replace(running, done=True, code=0, result=b"")))
    assert len({json.dumps(document) for document in seen}) == len(seen)
    assert sent(running) == seen[0]


def test_what_is_remembered_is_bounded() -> None:
    """However many operations are read, and however large they are, the memory for their texts has an end (REST-2)."""
    writer = replies()
    inside: Any = writer
    for number in range(300):
        shelf = any_of(library_pb2.ImportBooksMetadata(total=number)).SerializeToString()
        large = any_of(ANIMAL(name="x" * 90_000)).SerializeToString()
        text(writer, record(name=f"{NAME}{number}", metadata=shelf, done=True, result=large))
    entries = inside._remembered._entries
    held = sum(len(answer.body) + len(content[-1] or b"") for content, answer, _ in entries.values())
    assert 0 < held <= inside._remembered._size <= 16 << 20
    text(writer, record(name="huge", done=True, result=any_of(ANIMAL(name="x" * (1 << 20))).SerializeToString()))
    assert "huge" not in entries
    assert f"{NAME}299" in entries
    assert f"{NAME}0" not in entries


# -- pages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 60])
def test_pages(count: int) -> None:
    """A page holds its operations in order, and a token where there are more (REST-1)."""
    records = [record(name=f"{NAME}{number}") for number in range(count)]
    page = json.loads(asyncio.run(replies().page(records, "next" if count else "", PLAIN)).body)
    expected = [{"name": f"{NAME}{number}"} for number in range(count)]
    assert page == ({"operations": expected, "nextPageToken": "next"} if count else {})
