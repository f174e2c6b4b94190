# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""`Status`: its code, its details, the accessors of the standard ones."""

from __future__ import annotations

from typing import assert_type

from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from example.library.v1.library_pb2 import Shelf
from longrunning import Code, Status, TypeRegistry, UnknownPayload


def made(proto: status_pb2.Status) -> None:
    assert_type(Status(Code.NOT_FOUND), Status)
    assert_type(Status(5, "no such shelf", (error_details_pb2.RetryInfo(),)), Status)
    assert_type(Status(code=17, message="code from the future", details=(UnknownPayload("a/b"), Shelf())), Status)
    assert_type(Status.from_proto(proto), Status)
    assert_type(Status.from_proto(proto, registry=TypeRegistry(Shelf)), Status)
    assert_type(Status.from_proto(proto).to_proto(), status_pb2.Status)


def read(status: Status) -> None:
    assert_type(status.code, Code | int)
    assert_type(status.message, str)
    assert_type(status.details, tuple[Message | UnknownPayload, ...])
    assert_type(status.find(Shelf), Shelf | None)
    assert_type(status.error_info, error_details_pb2.ErrorInfo | None)
    assert_type(status.retry_info, error_details_pb2.RetryInfo | None)
    assert_type(status.debug_info, error_details_pb2.DebugInfo | None)
    assert_type(status.quota_failure, error_details_pb2.QuotaFailure | None)
    assert_type(status.precondition_failure, error_details_pb2.PreconditionFailure | None)
    assert_type(status.bad_request, error_details_pb2.BadRequest | None)
    assert_type(status.request_info, error_details_pb2.RequestInfo | None)
    assert_type(status.resource_info, error_details_pb2.ResourceInfo | None)
    assert_type(status.help, error_details_pb2.Help | None)
    assert_type(status.localized_message, error_details_pb2.LocalizedMessage | None)
    if status.error_info is not None:
        assert_type(status.error_info.reason, str)
        assert_type(status.error_info.metadata["shelf"], str)
    if isinstance(status.code, Code):
        assert_type(status.code, Code)
    if status.bad_request is not None:
        for violation in status.bad_request.field_violations:
            assert_type(violation.field, str)
    hashable: set[Status] = {status}
    print(hashable)
