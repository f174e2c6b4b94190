# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The long-running methods of the library: what ``google.longrunning.operation_info`` says in its proto."""

from __future__ import annotations

from typing import Final

from google.protobuf import empty_pb2

from example.library.v1 import library_pb2
from longrunning import LroMethod

__all__ = ["CREATE_SHELF", "DELETE_SHELF", "IMPORT_BOOKS"]

IMPORT_BOOKS: Final = LroMethod(
    path="/example.library.v1.Library/ImportBooks",
    request_type=library_pb2.ImportBooksRequest,
    response_type=library_pb2.ImportBooksResponse,
    metadata_type=library_pb2.ImportBooksMetadata,
)
CREATE_SHELF: Final = LroMethod(
    path="/example.library.v1.Library/CreateShelf",
    request_type=library_pb2.CreateShelfRequest,
    response_type=library_pb2.Shelf,
    metadata_type=library_pb2.OperationMetadata,
)
DELETE_SHELF: Final = LroMethod(
    path="/example.library.v1.Library/DeleteShelf",
    request_type=library_pb2.DeleteShelfRequest,
    response_type=empty_pb2.Empty,
    metadata_type=library_pb2.OperationMetadata,
)
