# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What an `Operation` cannot be made of, and what cannot be done to it."""

from __future__ import annotations

from google.longrunning import operations_pb2
from google.protobuf.message import Message

from example.library.v1.library_pb2 import ImportBooksResponse, OperationMetadata, Shelf
from longrunning import Operation, OperationState, TypeRegistry
from tests.typing.cases.library import CREATE_SHELF, RUN_SCRIPT


def made(proto: operations_pb2.Operation, data: bytes, text: str) -> None:
    Operation.from_proto(proto)  # E: call-overload | CallIssue
    Operation.from_proto(data, CREATE_SHELF)  # E: call-overload | ArgumentType
    Operation.from_proto(proto, Shelf)  # E: call-overload | ArgumentType
    Operation.from_bytes(data)  # E: call-overload | CallIssue
    Operation.from_bytes(text, CREATE_SHELF)  # E: call-overload | ArgumentType
    Operation.from_bytes(data, None)  # E: call-overload | ArgumentType
    Operation.from_bytes(data, TypeRegistry())  # E: call-overload | ArgumentType
    Operation.from_json(text)  # E: call-overload | CallIssue
    Operation.from_json(text, registry=None)  # E: call-overload | ArgumentType
    Operation.from_json([text], CREATE_SHELF)  # E: call-overload | ArgumentType
    Operation(name="operations/1")  # E: call-arg | CallIssue


def read(operation: Operation[Shelf, OperationMetadata], of_two: Operation[Shelf | ImportBooksResponse, None]) -> None:
    books: ImportBooksResponse = operation.result()  # E: assignment | AssignmentType
    operation.result.name  # E: attr-defined | AttributeAccessIssue
    operation.result().imported  # E: attr-defined | AttributeAccessIssue
    operation.metadata.verb  # E: union-attr | OptionalMemberAccess
    metadata: OperationMetadata = operation.metadata  # E: assignment | AssignmentType
    operation.response  # E: attr-defined | AttributeAccessIssue
    operation.error.message  # E: union-attr | OptionalMemberAccess
    shelf: Shelf = of_two.result()  # E: assignment | AssignmentType
    operation.done()  # E: operator | CallIssue
    operation.to_json(2)  # E: call-arg | CallIssue
    print(books, metadata, shelf)
    if operation.state is OperationState.DONE:  # E: attr-defined | AttributeAccessIssue
        print("done")
    if operation.state == "RUNNING":  # E: comparison-overlap | UnnecessaryComparison
        print("running")


def changed(operation: Operation[Shelf, OperationMetadata]) -> None:
    operation.name = "operations/2"  # E: misc | AttributeAccessIssue
    operation.done = True  # E: misc | AttributeAccessIssue
    operation.state = OperationState.SUCCEEDED  # E: misc | AttributeAccessIssue
    operation.metadata = OperationMetadata()  # E: misc | AttributeAccessIssue
    operation.error = None  # E: misc | AttributeAccessIssue
    operation.result = Shelf()  # E: method-assign | AttributeAccessIssue
    operation.note = "mine"  # E: attr-defined | AttributeAccessIssue
    del operation.name  # E: - | AttributeAccessIssue


def stands_for(create: Operation[Shelf, OperationMetadata], message: Operation[Message, Message], data: bytes) -> None:
    books: Operation[ImportBooksResponse, OperationMetadata] = create  # E: assignment | AssignmentType
    shelf: Operation[Shelf, OperationMetadata] = message  # E: assignment | AssignmentType
    swapped: Operation[OperationMetadata, Shelf] = create  # E: assignment | AssignmentType
    not_known: Operation[Shelf, Message] = Operation.from_bytes(data, RUN_SCRIPT)  # E: arg-type | AssignmentType
    print(books, shelf, swapped, not_known)


def undecided(state: OperationState) -> str:  # E: return | ReturnType
    match state:  # E: - | MatchNotExhaustive
        case OperationState.SUCCEEDED:
            return "succeeded"
        case OperationState.FAILED:
            return "failed"


class Mine(Operation[Shelf, OperationMetadata]):  # E: misc | GeneralTypeIssues
    """It is final."""
