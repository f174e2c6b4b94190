# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What the types of an `LroMethod` come to, and where one may stand for another."""

from __future__ import annotations

from typing import Any, assert_type

from google.protobuf import any_pb2, struct_pb2, wrappers_pb2
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from example.library.v1 import library_pb2
from example.library.v1.library_pb2 import (
    CreateShelfRequest,
    DeleteShelfRequest,
    ImportBooksMetadata,
    ImportBooksRequest,
    ImportBooksResponse,
    OperationMetadata,
    Shelf,
)
from longrunning import HttpBinding, LroMethod, UnknownPayload
from tests.typing.cases.library import CREATE_SHELF, DELETE_SHELF, IMPORT_BOOKS, RUN_SCRIPT

# -- from the classes

assert_type(IMPORT_BOOKS, LroMethod[ImportBooksRequest, ImportBooksResponse, ImportBooksMetadata])
assert_type(CREATE_SHELF, LroMethod[CreateShelfRequest, Shelf, OperationMetadata])
assert_type(DELETE_SHELF, LroMethod[DeleteShelfRequest, Empty, OperationMetadata])
assert_type(
    LroMethod(
        path="/a.B/C",
        request_type=struct_pb2.Struct,
        response_type=wrappers_pb2.Int64Value,
        metadata_type=wrappers_pb2.BoolValue,
    ),
    LroMethod[struct_pb2.Struct, wrappers_pb2.Int64Value, wrappers_pb2.BoolValue],
)

# -- a declared google.protobuf.Any: the type is not known beforehand

assert_type(RUN_SCRIPT, LroMethod[ImportBooksRequest, Message | UnknownPayload, Message | UnknownPayload])
assert_type(
    LroMethod(
        path="/a.B/C",
        request_type=any_pb2.Any,
        response_type=any_pb2.Any,
        metadata_type=OperationMetadata,
    ),
    LroMethod[any_pb2.Any, Message | UnknownPayload, OperationMetadata],
)
assert_type(
    LroMethod(
        path="/a.B/C",
        request_type=CreateShelfRequest,
        response_type=Shelf,
        metadata_type=any_pb2.Any,
    ),
    LroMethod[CreateShelfRequest, Shelf, Message | UnknownPayload],
)

# -- several types

either = CREATE_SHELF.or_types(response=ImportBooksResponse, metadata=ImportBooksMetadata)
assert_type(either, LroMethod[CreateShelfRequest, Shelf | ImportBooksResponse, OperationMetadata | ImportBooksMetadata])
assert_type(
    either.or_types(response=Empty, metadata=OperationMetadata),
    LroMethod[CreateShelfRequest, Shelf | ImportBooksResponse | Empty, OperationMetadata | ImportBooksMetadata],
)
assert_type(
    CREATE_SHELF.or_types(response=Empty, metadata=any_pb2.Any),
    LroMethod[CreateShelfRequest, Shelf | Empty, OperationMetadata | Message | UnknownPayload],
)
assert_type(
    CREATE_SHELF.or_types(response=any_pb2.Any, metadata=OperationMetadata),
    LroMethod[CreateShelfRequest, Shelf | Message | UnknownPayload, OperationMetadata],
)
assert_type(
    RUN_SCRIPT.or_types(response=any_pb2.Any, metadata=any_pb2.Any),
    LroMethod[ImportBooksRequest, Message | UnknownPayload, Message | UnknownPayload],
)

# -- from a descriptor nothing is known

found = LroMethod.from_descriptor(library_pb2.DESCRIPTOR.services_by_name["Library"].methods_by_name["CreateShelf"])
assert_type(found, LroMethod[Any, Any, Any])

# -- what it tells

assert_type(CREATE_SHELF.path, str)
assert_type(CREATE_SHELF.request_type, type[Any])
assert_type(CREATE_SHELF.response_types, tuple[type[Shelf], ...])
assert_type(CREATE_SHELF.metadata_types, tuple[type[OperationMetadata], ...])
assert_type(CREATE_SHELF.http, HttpBinding | None)
assert_type(HttpBinding(verb="POST", path="/v1/shelves").body, str)

# -- covariant in what it answers, contravariant in what it is asked

answers_a_message: LroMethod[CreateShelfRequest, Message, Message] = CREATE_SHELF
answers_one_of_two: LroMethod[CreateShelfRequest, Shelf | Empty, OperationMetadata] = CREATE_SHELF
takes_any_message: LroMethod[Message, Shelf, OperationMetadata] = LroMethod(
    path="/a.B/C", request_type=Message, response_type=Shelf, metadata_type=OperationMetadata
)
takes_a_shelf: LroMethod[CreateShelfRequest, Shelf, OperationMetadata] = takes_any_message
whatever: list[LroMethod[Any, Message, OperationMetadata]] = [CREATE_SHELF, DELETE_SHELF]
by_path: dict[str, LroMethod[Any, Any, Any]] = {method.path: method for method in whatever}
hashable: set[LroMethod[Any, Message, Message]] = {CREATE_SHELF, DELETE_SHELF, IMPORT_BOOKS}
