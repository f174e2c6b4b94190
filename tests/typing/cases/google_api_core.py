# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The operation futures of google-api-core: their results have no type. Ours, beside them, have."""

from __future__ import annotations

from typing import assert_type

from google.api_core import operation

from example.library.v1.library_pb2 import OperationMetadata, Shelf
from longrunning import OperationHandle


def theirs(future: operation.Operation) -> None:
    future.metadata  # E: - | UnknownMemberType
    shelf = future.result()  # E: no-untyped-call | UnknownMemberType, UnknownVariableType
    shelf.no_such_field  # E: - | UnknownMemberType


def ours(handle: OperationHandle[Shelf, OperationMetadata]) -> None:
    shelf = handle.result()
    metadata = handle.wait().metadata
    assert_type(shelf, Shelf)
    assert_type(metadata, OperationMetadata | None)
    shelf.no_such_field  # E: attr-defined | AttributeAccessIssue
