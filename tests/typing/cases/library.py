# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The methods of example.library.v1, as a module of constants declares them: without one annotation."""

from __future__ import annotations

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.empty_pb2 import Empty

from example.library.v1.library_pb2 import (
    CreateShelfRequest,
    DeleteShelfRequest,
    ImportBooksMetadata,
    ImportBooksRequest,
    ImportBooksResponse,
    OperationMetadata,
    Shelf,
)
from longrunning import HttpBinding, LroMethod

IMPORT_BOOKS = LroMethod(
    path="/example.library.v1.Library/ImportBooks",
    request_type=ImportBooksRequest,
    response_type=ImportBooksResponse,
    metadata_type=ImportBooksMetadata,
    http=HttpBinding(verb="POST", path="/v1/{parent=shelves/*}/books:import", body="*"),
)
CREATE_SHELF = LroMethod(
    path="/example.library.v1.Library/CreateShelf",
    request_type=CreateShelfRequest,
    response_type=Shelf,
    metadata_type=OperationMetadata,
)
DELETE_SHELF = LroMethod(
    path="/example.library.v1.Library/DeleteShelf",
    request_type=DeleteShelfRequest,
    response_type=Empty,
    metadata_type=OperationMetadata,
)
# One that does not say what it answers.
RUN_SCRIPT = LroMethod(
    path="/example.library.v1.Library/RunScript",
    request_type=ImportBooksRequest,
    response_type=AnyMessage,
    metadata_type=AnyMessage,
)
