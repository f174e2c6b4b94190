# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Errors as they come out of the clients: which class, what is on them, what they say."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from longrunning import (
    Code,
    LongRunningError,
    OperationCancelledError,
    OperationError,
    PollingError,
    RpcError,
    StartError,
    Status,
    UnknownPayload,
    WaitTimeoutError,
)
from longrunning.errors import (
    MalformedOperationError,
    NoResultError,
    OperationNotDoneError,
    OperationNotFoundError,
    PayloadDecodeError,
    TypeMismatchError,
)
from longrunning.testing import (
    Gate,
    ScriptedOperations,
    Step,
    cancelled,
    delayed,
    failed,
    malformed,
    no_result,
    pending,
    raw,
    rpc_error,
    succeeded,
    unavailable,
)
from tests.pair.colours import (
    CANCEL,
    DELETE,
    GET,
    IMPORT_BOOKS,
    NAME,
    REQUEST,
    RESPONSE,
    Both,
    both_colours,
    came_in,
    imported,
    progress,
)

GET_PATH = "/google.longrunning.Operations/GetOperation"
INFO = error_details_pb2.ErrorInfo(reason="SHELF_FULL", domain="library.example.com", metadata={"shelf": "1"})
DETAILS = (
    INFO,
    error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=3)),
    error_details_pb2.BadRequest(
        field_violations=[error_details_pb2.BadRequest.FieldViolation(field="uri", description="no such file")]
    ),
    error_details_pb2.QuotaFailure(
        violations=[error_details_pb2.QuotaFailure.Violation(subject="shelves/1", description="full")]
    ),
    UnknownPayload("type.googleapis.com/no.Such", b"\x08\x01"),
)
STATUS = Status(Code.FAILED_PRECONDITION, "the shelf is full", DETAILS)

RPCS = ("start", "get", "refresh", "wait", "watch", "cancel", "delete", "list", "wait_operation")
EXPECTED: dict[str, type[RpcError]] = {
    "start": StartError,
    "get": PollingError,
    "refresh": PollingError,
    "wait": PollingError,
    "watch": PollingError,
    "cancel": RpcError,
    "delete": RpcError,
    "list": RpcError,
    "wait_operation": RpcError,
}
PATHS = {
    "start": "/example.library.v1.Library/ImportBooks",
    "cancel": "/google.longrunning.Operations/CancelOperation",
    "delete": "/google.longrunning.Operations/DeleteOperation",
    "list": "/google.longrunning.Operations/ListOperations",
    "wait_operation": "/google.longrunning.Operations/WaitOperation",
}


def failing(error: Step) -> ScriptedOperations:
    """A service all of whose RPCs fail."""
    scripted = ScriptedOperations({NAME: [error]})
    scripted.starts(IMPORT_BOOKS, error)
    for rpc in (CANCEL, DELETE, "ListOperations", "WaitOperation"):
        scripted.fails(rpc, error)
    return scripted


def verbs(both: Both, client: Any) -> dict[str, Callable[[], Any]]:
    """Every way to send an RPC."""
    handle = client.attach(NAME, IMPORT_BOOKS)
    return {
        "start": lambda: client.start(IMPORT_BOOKS, REQUEST),
        "get": lambda: client.get(NAME),
        "refresh": handle.refresh,
        "wait": handle.wait,
        "watch": lambda: both.collect(handle.watch()),
        "cancel": handle.cancel,
        "delete": handle.delete,
        "list": lambda: both.collect(client.list("")),
        "wait_operation": lambda: client.wait_operation(NAME, 1),
    }


async def error_of(both: Both, call: Callable[[], Any]) -> Any:
    """What a verb raises."""
    with pytest.raises(Exception) as raised:
        await both(call())
    return raised.value


# -- which class --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", RPCS)
@both_colours
async def test_which_rpc_failed_is_its_class(both: Both, verb: str) -> None:
    """A failed start, poll and other RPC are different classes under one root, with the cause (ERR-1)."""
    async with both.pair(failing(rpc_error(STATUS))) as pair:
        error = await error_of(both, verbs(both, pair.client)[verb])
        assert type(error) is EXPECTED[verb]
        assert isinstance(error, LongRunningError)
        assert not isinstance(error, OperationError)
        assert error.code is Code.FAILED_PRECONDITION
        assert isinstance(error.__cause__, grpc.RpcError)
        assert error.name == (None if verb == "start" else "" if verb == "list" else NAME)


@pytest.mark.parametrize("verb", RPCS)
@both_colours
async def test_the_error_names_its_rpc_in_full(both: Both, verb: str) -> None:
    """`method` is the full path of the RPC that failed, whichever verb sent it (ERR-2)."""
    async with both.pair(failing(rpc_error(Code.ABORTED))) as pair:
        error = await error_of(both, verbs(both, pair.client)[verb])
        assert error.method == PATHS.get(verb, GET_PATH)
        assert error.method in str(error)


@pytest.mark.parametrize("verb", RPCS)
@both_colours
async def test_a_closed_channel_fails_every_rpc_alike(both: Both, verb: str) -> None:
    """On a closed channel every verb raises its class of RpcError, never grpc's own, never a cancellation (ERR-1)."""
    async with both.pair({NAME: [imported()]}) as pair:
        await both(pair.channel.close())
        error = await error_of(both, verbs(both, pair.client)[verb])
        assert type(error) is EXPECTED[verb]
        assert "closed" in str(error)
        assert error.__cause__ is not None


@both_colours
async def test_a_failed_operation_is_no_failed_rpc(both: Both) -> None:
    """wait() returns a failed operation; result() raises OperationError, which is no RpcError (ERR-1)."""
    async with both.pair({NAME: [progress(1), failed(STATUS)]}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        snapshot = await both(handle.wait())
        assert snapshot.error == STATUS
        error = await error_of(both, handle.result)
        assert type(error) is OperationError
        assert not isinstance(error, RpcError)
        assert error.status == STATUS
        assert error.operation is snapshot
        assert error.name == NAME
        assert error.status.error_info == INFO


@both_colours
async def test_a_cancelled_operation_is_an_operation_error(both: Both) -> None:
    """A cancelled operation is OperationCancelledError, an OperationError with code 1 (ERR-1)."""
    async with both.pair({NAME: [cancelled("enough")]}) as pair:
        error = await error_of(both, pair.client.attach(NAME, IMPORT_BOOKS).result)
        assert type(error) is OperationCancelledError
        assert isinstance(error, OperationError)
        assert error.code is Code.CANCELLED


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (no_result(), NoResultError),
        (succeeded(REQUEST), TypeMismatchError),
        (
            succeeded(UnknownPayload("type.googleapis.com/example.library.v1.ImportBooksResponse", b"\xff")),
            PayloadDecodeError,
        ),
        (malformed(RESPONSE), MalformedOperationError),
        (raw(b"\xff\xff no operation"), PayloadDecodeError),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
@both_colours
async def test_what_is_wrong_with_a_result_is_its_class(
    both: Both, end: Step, expected: type[LongRunningError]
) -> None:
    """A missing, mistyped, corrupt or malformed result has a class of its own, with name, the same each time (ERR-1)."""
    async with both.pair({NAME: [progress(1), end]}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        first, second = await error_of(both, handle.result), await error_of(both, handle.result)
        assert type(first) is type(second) is expected
        assert first is not second
        assert str(first) == str(second)
        assert first.name == NAME
        assert first.operation is handle.operation
        assert first.operation is not None


@both_colours
async def test_bytes_that_are_no_operation_end_everything_but_the_client(both: Both) -> None:
    """A reply that does not decode is a PayloadDecodeError from every verb, and the next reply is read again (ERR-1)."""
    garbage = raw(b"\xff\xff no operation")
    scripted = ScriptedOperations({NAME: [garbage, garbage, garbage, imported()]})
    scripted.starts(IMPORT_BOOKS, garbage)
    async with both.pair(scripted) as pair:
        client = pair.client
        handle = client.attach(NAME, IMPORT_BOOKS)
        for verb in (
            lambda: client.start(IMPORT_BOOKS, REQUEST),
            handle.refresh,
            handle.wait,
            lambda: client.get(NAME),
        ):
            assert type(await error_of(both, verb)) is PayloadDecodeError
        assert await both(handle.result()) == RESPONSE


# -- what they carry ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", RPCS)
@both_colours
async def test_an_error_says_what_it_knows(both: Both, verb: str) -> None:
    """Code, message and decoded details are on the error and in its text, with the name where there is one (ERR-2)."""
    async with both.pair(failing(rpc_error(STATUS))) as pair:
        error = await error_of(both, verbs(both, pair.client)[verb])
        assert error.details == STATUS
        text = str(error)
        for part in ("FAILED_PRECONDITION", "the shelf is full", "SHELF_FULL", "no such file", "no.Such"):
            assert part in text
        assert (NAME in text) is (verb not in ("start", "list"))


@both_colours
async def test_the_error_of_an_operation_says_what_it_knows(both: Both) -> None:
    """An OperationError says code, message, details, name and last snapshot, never payloads of the operation (ERR-2)."""
    async with both.pair({NAME: [failed(STATUS, metadata=REQUEST)]}) as pair:
        text = str(await error_of(both, pair.client.attach(NAME, IMPORT_BOOKS).result))
        for part in ("FAILED_PRECONDITION", "the shelf is full", "SHELF_FULL", NAME, "FAILED"):
            assert part in text
        assert REQUEST.uri not in text


@both_colours
async def test_a_polling_error_carries_the_last_snapshot(both: Both) -> None:
    """An error of a poll, a cancel or a delete carries, and shows, what was last known (ERR-2)."""
    async with both.pair({NAME: [progress(1), rpc_error(STATUS, times=None)]}) as pair:
        for rpc in (CANCEL, DELETE):
            pair.operations.fails(rpc, rpc_error(STATUS))
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        snapshot = await both(handle.refresh())
        for verb in (handle.refresh, handle.wait, handle.cancel, handle.delete):
            error = await error_of(both, verb)
            assert error.operation is snapshot
            assert repr(snapshot) in str(error)


@pytest.mark.parametrize("verb", [*RPCS, "timeout", "failed", "cancelled", "not found", "not done", "no result"])
@both_colours
async def test_every_error_can_be_pickled(both: Both, verb: str) -> None:
    """An error comes out of a pickle, and of a copy, with class, text and all it carries (ERR-2)."""
    scripted = failing(rpc_error(STATUS))
    scripted.add("o/timeout", progress(1), unavailable(times=None))
    scripted.add("o/failed", failed(STATUS, metadata=REQUEST))
    scripted.add("o/cancelled", cancelled())
    scripted.add("o/not done", progress(1))
    scripted.add("o/no result", no_result())
    async with both.pair(scripted) as pair:
        handle = pair.client.attach(f"o/{verb}", IMPORT_BOOKS)
        calls = verbs(both, pair.client)
        calls["timeout"] = lambda: handle.wait(timeout=3)
        for end in ("failed", "cancelled", "not found", "no result"):
            calls[end] = handle.result
        if verb == "not done":
            snapshot = await both(handle.refresh())
            with pytest.raises(OperationNotDoneError) as raised:
                snapshot.result()
            error: Any = raised.value
        else:
            error = await error_of(both, calls[verb])
        assert isinstance(error, LongRunningError)
        for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
            assert type(twin) is type(error)
            assert str(twin) == str(error)
            assert repr(twin) == repr(error)
            for name in ("name", "operation", "code", "details", "status", "method", "timeout", "resume_token"):
                assert getattr(twin, name, None) == getattr(error, name, None)
            assert str(getattr(twin, "last_error", None)) == str(getattr(error, "last_error", None))
        if verb == "timeout":
            assert type(pickle.loads(pickle.dumps(error)).last_error) is PollingError
        if verb == "not found":
            assert type(error) is OperationNotFoundError


@both_colours
async def test_each_raise_is_a_fresh_exception(both: Both) -> None:
    """The same failure read twice is raised as two exceptions: no traceback grows, no cause is shared (ERR-2)."""
    async with both.pair({NAME: [failed(STATUS)]}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        first, second = await error_of(both, handle.result), await error_of(both, handle.result)
        assert first is not second
        assert first.status == second.status
        assert pair.operations.rpcs() == [GET]


@both_colours
async def test_a_timeout_does_not_change_the_failure_it_carries(both: Both) -> None:
    """Two timeouts of one handle carry failures of their own (ERR-2, WAIT-4)."""
    async with both.pair({NAME: [unavailable()]}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        first = await error_of(both, lambda: handle.wait(timeout=1))
        second = await error_of(both, lambda: handle.wait(timeout=1))
        assert type(first) is type(second) is WaitTimeoutError
        assert first.last_error is not second.last_error


# -- rich status --------------------------------------------------------------------------------------------------


def rich(code: int, message: str, *details: Any) -> bytes:
    """A serialized google.rpc.Status."""
    packed: list[any_pb2.Any] = []
    for detail in details:
        packed.append(any_pb2.Any())
        packed[-1].Pack(detail)
    return status_pb2.Status(code=code, message=message, details=packed).SerializeToString()


def trailing(*values: bytes) -> Step:
    """A failing RPC with these trailers."""
    return rpc_error(Code.ABORTED, "plain", trailers=[("grpc-status-details-bin", value) for value in values])


@pytest.mark.parametrize("verb", RPCS)
@both_colours
async def test_the_rich_status_is_decoded(both: Both, verb: str) -> None:
    """The details of grpc-status-details-bin are decoded for every RPC, sync and async alike (ERR-3)."""
    async with both.pair(failing(trailing(rich(10, "rich", INFO)))) as pair:
        error = await error_of(both, verbs(both, pair.client)[verb])
        assert error.code is Code.ABORTED
        assert error.details.message == "rich"
        assert error.details.error_info == INFO


@pytest.mark.parametrize(
    "value",
    [
        b"\xff\xff\xff",
        b"",
        b"\x08\x0a\x1a\x7f",
        rich(9, "of another error", INFO),
        rich(0, "fine", INFO),
        b"\x00" * 5_000,
    ],
    ids=["garbage", "empty", "cut", "other code", "OK", "zeros"],
)
@pytest.mark.parametrize("verb", ["start", "wait", "cancel"])
@both_colours
async def test_a_rich_status_that_does_not_fit_is_left_out(both: Both, verb: str, value: bytes) -> None:
    """Trailers that do not decode, or tell of another code, leave code and message of the RPC as they are (ERR-3)."""
    async with both.pair(failing(trailing(value))) as pair:
        error = await error_of(both, verbs(both, pair.client)[verb])
        assert type(error) is EXPECTED[verb]
        assert error.details == Status(Code.ABORTED, "plain")


@both_colours
async def test_details_of_unknown_type_and_corrupt_ones_keep_their_bytes(both: Both) -> None:
    """A detail that is unknown, or does not decode, is an UnknownPayload with its bytes beside the others (ERR-3, TYPE-3)."""
    status = status_pb2.Status(code=10, message="rich")
    status.details.add(type_url="type.googleapis.com/no.Such", value=b"\x01\x02")
    status.details.add(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\xff")
    status.details.add().Pack(INFO)
    async with both.pair({NAME: [trailing(status.SerializeToString())]}) as pair:
        error = await error_of(both, pair.client.attach(NAME).refresh)
        assert error.details.details == (
            UnknownPayload("type.googleapis.com/no.Such", b"\x01\x02"),
            UnknownPayload("type.googleapis.com/google.rpc.ErrorInfo", b"\xff"),
            INFO,
        )
        assert error.details.to_proto().SerializeToString() == status.SerializeToString()


@both_colours
async def test_the_rich_status_of_a_passing_fault_is_in_the_timeout(both: Both) -> None:
    """The last error of a timeout has its decoded details too (ERR-3, WAIT-4)."""
    async with both.pair({NAME: [rpc_error(Code.UNAVAILABLE, "down", details=[INFO])]}) as pair:
        error = await error_of(both, lambda: pair.client.attach(NAME, IMPORT_BOOKS).wait(timeout=3))
        assert error.last_error.details.error_info == INFO
        assert "SHELF_FULL" in str(error)


@both_colours
async def test_a_shared_failure_has_its_details_for_all(both: Both) -> None:
    """Waiters that share a failed poll all get the decoded details (ERR-3, WAIT-10)."""
    gate = Gate()
    async with both.pair({NAME: [delayed(rpc_error(STATUS), gate)]}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        waits = [both.spawn(handle.wait) for _ in range(2)]
        await pair.operations.wait_until_aio(came_in(1))
        gate.open()
        for wait in waits:
            with pytest.raises(PollingError) as raised:
                await wait
            assert raised.value.details == STATUS


@both_colours
async def test_a_pending_start_is_not_done(both: Both) -> None:
    """Reading the result of what has only just started is OperationNotDoneError, and costs nothing (ERR-1, law 3)."""
    scripted = ScriptedOperations()
    scripted.starts(IMPORT_BOOKS, pending())
    async with both.pair(scripted) as pair:
        handle = await both(pair.client.start(IMPORT_BOOKS, REQUEST))
        with pytest.raises(OperationNotDoneError, match=NAME):
            handle.operation.result()
    assert scripted.rpcs() == ["ImportBooks"]
