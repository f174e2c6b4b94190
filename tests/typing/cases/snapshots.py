# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""`Operation`: how one is made, what it tells, and for which other it may stand."""

from __future__ import annotations

from typing import Any, TypeVar, assert_never, assert_type

from google.longrunning import operations_pb2
from google.protobuf.message import Message

from example.library.v1.library_pb2 import ImportBooksMetadata, ImportBooksResponse, OperationMetadata, Shelf
from longrunning import Operation, OperationState, Status, TypeRegistry, UnknownPayload
from tests.typing.cases.library import CREATE_SHELF, IMPORT_BOOKS, RUN_SCRIPT

R = TypeVar("R")
M = TypeVar("M")

REGISTRY = TypeRegistry(Shelf, OperationMetadata)


def made(proto: operations_pb2.Operation, message: Message, data: bytes, text: str, parsed: dict[str, Any]) -> None:
    assert_type(Operation.from_proto(proto, CREATE_SHELF), Operation[Shelf, OperationMetadata])
    assert_type(Operation.from_proto(message, CREATE_SHELF, registry=REGISTRY), Operation[Shelf, OperationMetadata])
    assert_type(Operation.from_proto(proto, registry=REGISTRY), Operation[Any, Any])
    assert_type(Operation.from_bytes(data, IMPORT_BOOKS), Operation[ImportBooksResponse, ImportBooksMetadata])
    assert_type(Operation.from_bytes(data, method=CREATE_SHELF), Operation[Shelf, OperationMetadata])
    assert_type(Operation.from_bytes(data, CREATE_SHELF, registry=REGISTRY), Operation[Shelf, OperationMetadata])
    assert_type(Operation.from_bytes(data, registry=REGISTRY), Operation[Any, Any])
    assert_type(Operation.from_json(text, CREATE_SHELF), Operation[Shelf, OperationMetadata])
    assert_type(Operation.from_json(data, CREATE_SHELF), Operation[Shelf, OperationMetadata])
    assert_type(Operation.from_json(parsed, CREATE_SHELF, registry=REGISTRY), Operation[Shelf, OperationMetadata])
    assert_type(Operation.from_json(parsed, registry=REGISTRY), Operation[Any, Any])


def read(operation: Operation[Shelf, OperationMetadata]) -> None:
    assert_type(operation.name, str)
    assert_type(operation.done, bool)
    assert_type(operation.has_result, bool)
    assert_type(operation.state, OperationState)
    assert_type(operation.error, Status | None)
    assert_type(operation.metadata, OperationMetadata | None)
    assert_type(operation.result(), Shelf)
    assert_type(operation.result().theme, str)
    assert_type(operation.metadata_payload, Message | UnknownPayload | None)
    assert_type(operation.response_payload, Message | UnknownPayload | None)
    if operation.metadata is not None:
        assert_type(operation.metadata.verb, str)
    assert_type(operation.to_bytes(), bytes)
    assert_type(operation.to_json(), str)
    assert_type(operation.to_json(indent=2), str)
    operations_pb2.ListOperationsResponse(next_page_token=operation.to_proto().name)
    assert_type({operation: 1}, dict[Operation[Shelf, OperationMetadata], int])


def read_what_is_not_known(data: bytes) -> None:
    operation = Operation.from_bytes(data, RUN_SCRIPT)
    assert_type(operation, Operation[Message | UnknownPayload, Message | UnknownPayload])
    response = operation.result()
    if isinstance(response, Shelf):
        assert_type(response, Shelf)
    elif isinstance(response, UnknownPayload):
        assert_type(response.type_url, str)
        assert_type(response.value, bytes)
    else:
        assert_type(response, Message)


def read_one_of_two(data: bytes) -> None:
    method = CREATE_SHELF.or_types(response=ImportBooksResponse, metadata=ImportBooksMetadata)
    operation = Operation.from_bytes(data, method)
    assert_type(operation.result(), Shelf | ImportBooksResponse)
    assert_type(operation.metadata, OperationMetadata | ImportBooksMetadata | None)
    match operation.result():
        case Shelf(name=name):
            print(name)
        case ImportBooksResponse() as response:
            assert_type(response.imported, int)


def say(operation: Operation[Any, Any]) -> str:
    match operation.state:
        case OperationState.RUNNING:
            return "running"
        case OperationState.SUCCEEDED:
            return "succeeded"
        case OperationState.FAILED:
            return "failed"
        case OperationState.CANCELLED:
            return "cancelled"
        case _:
            assert_never(operation.state)


def untyped(operation: Operation[Any, Any]) -> None:
    assert_type(operation.result(), Any)
    typed: Operation[Shelf, OperationMetadata] = operation
    assert_type(typed.result(), Shelf)


# -- covariant


def takes_any(operation: Operation[Message, Message | None]) -> str:
    return operation.name


def both(operation: Operation[R, M]) -> tuple[R, M | None]:
    return operation.result(), operation.metadata


def stands_for(create: Operation[Shelf, OperationMetadata], books: Operation[ImportBooksResponse, Any]) -> None:
    takes_any(create)
    takes_any(books)
    assert_type(both(create), tuple[Shelf, OperationMetadata | None])
    either: Operation[Shelf | ImportBooksResponse, Message] = create
    operations: list[Operation[Message, Message]] = [create, books, either]
    assert_type([operation.result() for operation in operations], list[Message])
