# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What an error does not carry, and cannot be made of."""

from __future__ import annotations

from longrunning import Code, OperationError, PollingError, RpcError, Status, WaitTimeoutError, errors


def carried(rpc: RpcError, failed: OperationError, late: WaitTimeoutError, payload: errors.PayloadError) -> None:
    rpc.status  # E: attr-defined | AttributeAccessIssue
    rpc.details[0]  # E: index | IndexIssue
    rpc.code.name  # E: attr-defined | AttributeAccessIssue
    failed.details.message  # E: attr-defined | AttributeAccessIssue
    failed.operation.name  # E: union-attr | OptionalMemberAccess
    late.last_error.code  # E: union-attr | OptionalMemberAccess
    token: str = late.resume_token  # E: assignment | AssignmentType
    payload.expected.append("google.rpc.Status")  # E: attr-defined | AttributeAccessIssue
    failed.code = Code.OK  # E: misc | AttributeAccessIssue
    polling: PollingError = rpc  # E: assignment | AssignmentType
    print(token, polling)


def raised(status: Status) -> None:
    print(RpcError(Code.UNAVAILABLE))  # E: call-arg | CallIssue
    print(RpcError("UNAVAILABLE", status))  # E: arg-type | ArgumentType
    print(OperationError("it failed"))  # E: arg-type | ArgumentType
    print(OperationError(Code.ABORTED))  # E: arg-type | ArgumentType
    print(errors.NoResultError("operations/1"))  # E: arg-type | ArgumentType
    print(WaitTimeoutError("late", timeout="5 s"))  # E: arg-type | ArgumentType
    print(errors.TooLateError())  # E: attr-defined | AttributeAccessIssue
