# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The error tree: what each error carries, and what else it is."""

from __future__ import annotations

from typing import Any, assert_type

from google.protobuf.message import Message

from longrunning import (
    Code,
    LongRunningError,
    Operation,
    OperationCancelledError,
    OperationError,
    PayloadError,
    PollingError,
    RpcError,
    StartError,
    Status,
    UnknownPayload,
    WaitTimeoutError,
    errors,
)


def carried(run: Any) -> None:
    try:
        run()
    except errors.OperationNotFoundError as error:
        polling: PollingError = error
        print(polling)
    except StartError as error:
        assert_type(error.method, str | None)
    except RpcError as error:
        assert_type(error.code, Code | int)
        assert_type(error.details, Status)
        assert_type(error.details.message, str)
        assert_type(error.method, str | None)
    except OperationCancelledError as error:
        failed: OperationError = error
        print(failed)
    except OperationError as error:
        assert_type(error.status, Status)
        assert_type(error.code, Code | int)
        assert_type(error.details, tuple[Message | UnknownPayload, ...])
    except WaitTimeoutError as error:
        timeout: TimeoutError = error
        assert_type(error.timeout, float | None)
        assert_type(error.last_error, RpcError | None)
        assert_type(error.resume_token, str | None)
        print(timeout)
    except errors.TypeMismatchError as error:
        wrong: PayloadError = error
        value: ValueError = error
        assert_type(error.field, str | None)
        assert_type(error.expected, tuple[str, ...])
        assert_type(error.actual, str | None)
        print(wrong, value)
    except errors.RegistryConflictError as error:
        assert_type(error.full_name, str)
    except errors.DocumentError as error:
        assert_type(error.path, str)
    except errors.MissingExtraError as error:
        missing: ImportError = error
        assert_type(error.extra, str)
        print(missing)
    except LongRunningError as error:
        assert_type(error.name, str | None)
        assert_type(error.operation, Operation[Any, Any] | None)


def raised(operation: Operation[Any, Any]) -> None:
    status = Status(Code.RESOURCE_EXHAUSTED, "the shelf is full")
    tree: list[LongRunningError] = [
        OperationError(status),
        OperationCancelledError(status, operation),
        RpcError(Code.UNAVAILABLE, status, name="operations/1"),
        StartError(14, status, method="/a.B/C"),
        errors.NoResultError(operation),
        errors.OperationNotDoneError(operation),
        WaitTimeoutError("too long", operation=operation, timeout=5.0),
        errors.PayloadDecodeError("garbage", field="response", expected=("google.rpc.Status",)),
        errors.ResumeTokenError("garbage"),
    ]
    raise tree[0]
