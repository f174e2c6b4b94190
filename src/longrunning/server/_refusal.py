# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What a transport answers instead of a reply: a status, made where the reason is known, whatever the transport."""

from __future__ import annotations

from typing import final

from google.rpc import error_details_pb2

from ..status import Code, Status

__all__ = ["Refusal", "bad_field", "refuse"]


@final
class Refusal(Exception):  # noqa: N818 (never leaves the package: transports turn it into their own way to fail)
    """An RPC is answered with a status."""

    def __init__(self, status: Status) -> None:
        super().__init__(str(status))
        self.status = status


def refuse(code: Code, message: str) -> Refusal:
    """A refusal without details."""
    return Refusal(Status(code, message))


def bad_field(field: str, message: str) -> Refusal:
    """INVALID_ARGUMENT that names the field of the request (AIP-193, ``google.rpc.BadRequest``)."""
    violation = error_details_pb2.BadRequest.FieldViolation(field=field, description=message)
    details = (error_details_pb2.BadRequest(field_violations=[violation]),)
    return Refusal(Status(Code.INVALID_ARGUMENT, f"{field}: {message}", details))
