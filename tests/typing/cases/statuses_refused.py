# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What a `Status` cannot be made of, and what cannot be done to it."""

from __future__ import annotations

from google.rpc import error_details_pb2

from example.library.v1.library_pb2 import Shelf
from longrunning import Code, Status


def made() -> None:
    Status()  # E: call-arg | CallIssue
    Status("NOT_FOUND")  # E: arg-type | ArgumentType
    Status(Code.NOT_FOUND, details=[Shelf()])  # E: arg-type | ArgumentType
    Status(Code.NOT_FOUND, details=("not found",))  # E: arg-type | ArgumentType
    Status(Code.NOT_FOUND, reason="SHELF_GONE")  # E: call-arg | CallIssue
    Status.from_proto(b"bytes")  # E: arg-type | ArgumentType
    print(Code.GONE)  # E: attr-defined | AttributeAccessIssue


def read(status: Status) -> None:
    status.code.name  # E: union-attr | AttributeAccessIssue
    status.error_info.reason  # E: union-attr | OptionalMemberAccess
    info: error_details_pb2.ErrorInfo = status.retry_info  # E: assignment | AssignmentType
    shelf: Shelf = status.find(Shelf)  # E: assignment | AssignmentType
    status.find("example.library.v1.Shelf")  # E: arg-type | ArgumentType
    status.retry  # E: attr-defined | AttributeAccessIssue
    print(info, shelf)


def changed(status: Status) -> None:
    status.message = "another"  # E: misc | AttributeAccessIssue
    status.code = Code.OK  # E: misc | AttributeAccessIssue
    status.details.append(Shelf())  # E: attr-defined | AttributeAccessIssue
    status.error_info = error_details_pb2.ErrorInfo()  # E: misc | AttributeAccessIssue
