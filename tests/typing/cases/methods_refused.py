# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What an `LroMethod` cannot be made of, and cannot stand for."""

from __future__ import annotations

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from example.library.v1.library_pb2 import CreateShelfRequest, ImportBooksRequest, OperationMetadata, Shelf
from longrunning import HttpBinding, LroMethod
from tests.typing.cases.library import CREATE_SHELF, IMPORT_BOOKS, RUN_SCRIPT

P = "/example.library.v1.Library/CreateShelf"

LroMethod(path=P, request_type=CreateShelfRequest, response_type=Shelf)  # E: call-overload | CallIssue
LroMethod(P, CreateShelfRequest, Shelf, OperationMetadata)  # E: call-overload | CallIssue
LroMethod(path=P, request_type=Shelf, response_type=Shelf(), metadata_type=Shelf)  # E: call-overload | CallIssue
LroMethod(path=P, request_type="Request", response_type=Shelf, metadata_type=Shelf)  # E: call-overload | CallIssue
LroMethod(path=P, request_type=Shelf, response_type=(Shelf, Empty), metadata_type=Shelf)  # E: call-overload | CallIssue
LroMethod(path=P, request_type=Shelf, response_type=Shelf, metadata_type=None)  # E: call-overload | CallIssue
LroMethod(path=P, request_type=Shelf, response_type=Shelf, metadata_type=Shelf, http=P)  # E: call-overload | CallIssue
HttpBinding("POST", "/v1/shelves")  # E: call-arg | CallIssue
CREATE_SHELF.or_types(response=Shelf)  # E: call-overload | CallIssue
CREATE_SHELF.or_types(response=Shelf(), metadata=OperationMetadata)  # E: call-overload | ArgumentType
CREATE_SHELF.or_types((Shelf,), (OperationMetadata,))  # E: call-overload | CallIssue
LroMethod.from_descriptor("example.library.v1.Library.CreateShelf")  # E: arg-type | ArgumentType

# -- it is frozen

CREATE_SHELF.path = P  # E: misc | AttributeAccessIssue
CREATE_SHELF.response_types = (Shelf,)  # E: misc | AttributeAccessIssue
CREATE_SHELF.retries = 3  # E: attr-defined | AttributeAccessIssue
HttpBinding(verb="POST", path="/v1/shelves").body = "*"  # E: misc | AttributeAccessIssue


class Mine(LroMethod[CreateShelfRequest, Shelf, OperationMetadata]):  # E: misc | GeneralTypeIssues
    """It is final."""


# -- one is not another

answers_empty: LroMethod[CreateShelfRequest, Empty, OperationMetadata] = CREATE_SHELF  # E: assignment | AssignmentType
takes_books: LroMethod[ImportBooksRequest, Shelf, OperationMetadata] = CREATE_SHELF  # E: assignment | AssignmentType
reports_shelves: LroMethod[CreateShelfRequest, Shelf, Shelf] = CREATE_SHELF  # E: assignment | AssignmentType
takes_any_message: LroMethod[Message, Shelf, OperationMetadata] = CREATE_SHELF  # E: assignment | AssignmentType
answers_a_shelf: LroMethod[ImportBooksRequest, Shelf, Message] = RUN_SCRIPT  # E: assignment | AssignmentType
of_two = CREATE_SHELF.or_types(response=Empty, metadata=Empty)
of_one: LroMethod[CreateShelfRequest, Shelf, Message] = of_two  # E: assignment | AssignmentType
methods: list[LroMethod[Empty, Shelf, Message]] = [CREATE_SHELF, IMPORT_BOOKS]  # E: list-item | AssignmentType
