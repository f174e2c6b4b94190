# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What a transport answers instead of a reply: a status, made where the reason is known, whatever the transport."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final, final

from google.rpc import error_details_pb2

from ..errors import OperationError, StoreUnavailableError
from ..status import Code, Status

__all__ = ["Refusal", "bad_field", "refuse", "refusing", "status_of", "tamed"]

_log: Final = logging.getLogger("longrunning.server")

_UNAVAILABLE: Final = Status(Code.UNAVAILABLE, "the store of operations is not available; try again")
_INTERNAL: Final = Status(Code.INTERNAL, "the server failed to answer")


@final
class Refusal(Exception):  # noqa: N818 (never leaves the package: transports turn it into their own way to fail)
    """An RPC is answered with a status."""

    def __init__(self, status: Status) -> None:
        super().__init__(str(status))
        self.status = status


def refuse(code: Code, message: str) -> Refusal:
    """A refusal without details."""
    return Refusal(Status(code, message))


def tamed(raised: BaseException) -> Exception:
    """What a function of the service raised, as something that an event loop survives.

    SystemExit would end the loop, others a task without a word, and no future takes a StopIteration.
    """
    if isinstance(raised, Exception) and not isinstance(raised, StopIteration):
        return raised
    error = RuntimeError(f"it raised {type(raised).__name__}")
    error.__cause__ = raised
    return error


@contextmanager
def refusing() -> Generator[None, None, None]:
    """Stands around what the service gave us: the `OperationError` it raises is the answer to the RPC.

    Raises:
        Refusal: It raised one.
    """
    try:
        yield
    except OperationError as error:
        raise Refusal(error.status) from None
    except asyncio.CancelledError as error:
        if _is_cancelled():
            raise
        # Something it waited for was cancelled: that is its failure, and no reason to leave the caller without an answer.
        raise RuntimeError("it was cancelled") from error
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as raised:
        if (survivable := tamed(raised)) is raised:
            raise
        raise survivable from raised


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def status_of(error: Exception, path: str) -> Status:
    """The status that an exception is answered with: what is ours to say, or no more than that it failed."""
    if isinstance(error, Refusal):
        return error.status
    if isinstance(error, StoreUnavailableError):
        _log.warning("%s: %s", path, error, extra={"method": path})
        return _UNAVAILABLE
    _log.error("%s failed", path, exc_info=error, extra={"method": path})
    return _INTERNAL


def bad_field(field: str, message: str) -> Refusal:
    """INVALID_ARGUMENT that names the field of the request (AIP-193, ``google.rpc.BadRequest``)."""
    violation = error_details_pb2.BadRequest.FieldViolation(field=field, description=message)
    details = (error_details_pb2.BadRequest(field_violations=[violation]),)
    return Refusal(Status(Code.INVALID_ARGUMENT, f"{field}: {message}", details))
