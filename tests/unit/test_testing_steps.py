# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The scripts of the testing kit, without a server."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from google.cloud.redis_v1 import types as redis
from google.protobuf import any_pb2, duration_pb2, empty_pb2
from google.rpc import error_details_pb2

from example.library.v1 import library_pb2
from longrunning import testing
from longrunning._any import UnknownPayload
from longrunning._pb import operations_pb2
from longrunning.errors import MissingExtraError
from longrunning.method import LroMethod
from longrunning.operation import Operation
from longrunning.registry import TypeRegistry
from longrunning.status import Code, Status
from longrunning.testing import (
    Gate,
    ScriptedOperations,
    Step,
    WaitSupport,
    cancelled,
    delayed,
    failed,
    late,
    malformed,
    no_result,
    pending,
    raw,
    rpc_error,
    succeeded,
    unavailable,
)
from longrunning.testing._operations import Answer, Exchange, Hold

NAME = "operations/1"
SERVICE = "/google.longrunning.Operations/"
REGISTRY = TypeRegistry(library_pb2.Shelf, library_pb2.OperationMetadata)
SHELF = library_pb2.Shelf(name="shelves/1", theme="poetry")
METADATA = library_pb2.OperationMetadata(target="shelves/1", verb="create")
INFO = error_details_pb2.ErrorInfo(reason="FULL", domain="library.example.com")
CREATE_SHELF = LroMethod(
    path="/example.library.v1.Library/CreateShelf",
    request_type=library_pb2.CreateShelfRequest,
    response_type=library_pb2.Shelf,
    metadata_type=library_pb2.OperationMetadata,
)


def begin(scripted: ScriptedOperations, rpc: str, request: Any, *, deadline: float | None = None) -> Exchange:
    path = rpc if rpc.startswith("/") else SERVICE + rpc
    data = request if isinstance(request, bytes) else request.SerializeToString()
    return scripted.begin(path, data, metadata=(), deadline=deadline, wake=lambda: None)


def ask(scripted: ScriptedOperations, rpc: str, request: Any, *, deadline: float | None = None) -> Answer | Hold:
    return scripted.advance(begin(scripted, rpc, request, deadline=deadline))


def get(scripted: ScriptedOperations, name: str = NAME) -> Operation[Any, Any]:
    answer = ask(scripted, "GetOperation", operations_pb2.GetOperationRequest(name=name))
    assert isinstance(answer, Answer)
    assert answer.code is Code.OK, answer
    return Operation.from_bytes(answer.data, registry=REGISTRY)


def shown(step: Step) -> Operation[Any, Any]:
    return get(ScriptedOperations({NAME: [step]}))


def test_a_pending_step() -> None:
    """pending() is an operation that is not done, with metadata or without (SNAP-1)."""
    assert shown(pending()).to_proto() == operations_pb2.Operation(name=NAME)
    assert shown(pending(METADATA)).metadata == METADATA


@pytest.mark.parametrize("payload", [SHELF, redis.Instance(name="i"), UnknownPayload("evil.example.com/x", b"\xff")])
def test_any_payload_can_be_a_response(payload: Any) -> None:
    """succeeded() takes protobuf and proto-plus messages, and payloads that are neither (TYPE-9)."""
    registry = TypeRegistry(library_pb2.Shelf, redis.Instance)
    operation = Operation.from_proto(shown(succeeded(payload, metadata=payload)).to_proto(), registry=registry)
    assert operation.done
    assert operation.response_payload == payload
    assert operation.metadata_payload == payload


def test_a_ready_made_any_is_not_packed_again() -> None:
    """An Any given as payload or as detail goes out as it is (TYPE-5)."""
    payload = any_pb2.Any(type_url="no slash", value=b"\x01")
    operation = shown(succeeded(payload)).to_proto()
    [detail] = shown(failed(Code.ABORTED, details=[payload])).to_proto().error.details
    for sent in (operation.response, detail):  # by field: the pure Python runtime compares an Any by unpacking it
        assert (sent.type_url, sent.value) == (payload.type_url, payload.value)


def test_failed_and_cancelled_steps() -> None:
    """failed() takes a whole status or its parts; cancelled() is code 1 (SNAP-1)."""
    status = Status(Code.RESOURCE_EXHAUSTED, "full", (INFO,))
    for step in (failed(status), failed(8, "full", details=[INFO])):
        assert shown(step).error == status
    assert shown(failed(4711, "x", metadata=METADATA)).error == Status(4711, "x")
    error = shown(cancelled("stop")).error
    assert error == Status(Code.CANCELLED, "stop")
    with pytest.raises(ValueError, match="has its own"):
        failed(status, "another message")


def test_no_result_and_malformed_steps() -> None:
    """no_result() is done with neither; malformed() is not done, with a result (SNAP-2, SNAP-3)."""
    assert shown(no_result()).to_proto() == operations_pb2.Operation(name=NAME, done=True)
    assert shown(malformed(SHELF)).malformed is not None
    assert shown(malformed(error=Code.ABORTED)).malformed is not None
    with pytest.raises(ValueError, match="one of them"):
        malformed()
    with pytest.raises(ValueError, match="one of them"):
        malformed(SHELF, error=5)


def test_raw_steps() -> None:
    """raw() sends an operation with its unknown fields, filling in an empty name only, and bytes as they are (SNAP-5)."""
    odd = operations_pb2.Operation.FromString(b"\xa2\x06\x03odd")
    assert shown(raw(odd)).to_bytes() == b"\x0a\x0coperations/1\xa2\x06\x03odd"
    assert shown(raw(operations_pb2.Operation(name="other"))).name == "other"
    answer = ask(
        ScriptedOperations({NAME: [raw(b"\xff")]}), "GetOperation", operations_pb2.GetOperationRequest(name=NAME)
    )
    assert answer == Answer(b"\xff")
    with pytest.raises(TypeError, match=r"got google\.protobuf\.Empty"):
        raw(empty_pb2.Empty())


@pytest.mark.parametrize(
    ("wrong", "error", "text"),
    [
        (lambda: pending(times=0), ValueError, "times=0"),
        (lambda: rpc_error(0), ValueError, "other than OK"),
        (lambda: rpc_error(99), ValueError, "canonical codes"),
        (lambda: succeeded("text"), TypeError, "not a message type"),
        (lambda: delayed(pending(), -1), ValueError, "0 or more"),
        (lambda: ScriptedOperations({NAME: []}), ValueError, "one step or more"),
        (lambda: ScriptedOperations({"": [pending()]}), ValueError, "without a name"),
        (lambda: ScriptedOperations().add(NAME, "pending"), TypeError, "made of steps"),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        (lambda: ScriptedOperations().fails("GetOperation", pending()), ValueError, "rpc_error"),
        (lambda: ScriptedOperations().starts(CREATE_SHELF), ValueError, "by_request"),
    ],
)
def test_a_wrong_script_is_refused_where_it_is_written(
    wrong: Callable[[], object], error: type[Exception], text: str
) -> None:
    """A step that no server could play is refused when it is made, not when it is played (law 2)."""
    with pytest.raises(error, match=text):
        wrong()


def test_steps_are_values() -> None:
    """Steps are equal by value, hashable and unchanged by later changes to their messages (law 3)."""
    shelf = library_pb2.Shelf(name="shelves/1")
    step = succeeded(shelf)
    shelf.name = "shelves/2"
    assert step == succeeded(library_pb2.Shelf(name="shelves/1"))
    assert len({unavailable(times=2), unavailable(times=2), unavailable()}) == 2
    assert shown(step).result() == library_pb2.Shelf(name="shelves/1")


def test_each_get_consumes_a_step() -> None:
    """Each GetOperation consumes one step, `times` of it, and the last one repeats (WAIT-1)."""
    scripted = ScriptedOperations({NAME: [pending(times=2), succeeded(SHELF)], "operations/2": [pending()]})
    assert [get(scripted).done for _ in range(4)] == [False, False, True, True]
    assert [get(scripted, "operations/2").done for _ in range(3)] == [False] * 3


def test_a_step_without_end_is_left_by_cancelling() -> None:
    """A step with times=None is played for ever; a cancelled operation goes on with the script for that (CTRL-2)."""
    scripted = ScriptedOperations()
    scripted.add(NAME, pending(METADATA, times=None), succeeded(SHELF))
    assert not any(get(scripted).done for _ in range(5))
    ask(scripted, "CancelOperation", operations_pb2.CancelOperationRequest(name=NAME))
    operation = get(scripted)
    assert (operation.error, operation.metadata) == (Status(Code.CANCELLED, "cancelled"), METADATA)


def test_a_request_that_does_not_decode_is_internal() -> None:
    """A request that is no message is INTERNAL, as gRPC has it, and recorded (law 4)."""
    scripted = ScriptedOperations({NAME: [pending()]})
    answer = ask(scripted, "GetOperation", b"\xff")
    assert isinstance(answer, Answer)
    assert answer.code is Code.INTERNAL
    assert [(call.rpc, call.request, call.outcome) for call in scripted.calls] == [
        ("GetOperation", None, Code.INTERNAL)
    ]


def test_a_failing_by_request_fails_the_call() -> None:
    """An exception in by_request is the start's INTERNAL error, and names itself (ERR-1)."""
    scripted = ScriptedOperations()

    def broken(request: library_pb2.CreateShelfRequest) -> list[Step]:
        raise LookupError(request.shelf_id)

    scripted.starts(CREATE_SHELF, by_request=broken)
    answer = ask(scripted, CREATE_SHELF.path, library_pb2.CreateShelfRequest(shelf_id="s"))
    assert isinstance(answer, Answer)
    assert (answer.code, answer.message) == (Code.INTERNAL, "the scripted server could not answer: LookupError: s")


def test_a_wait_is_asked_to_be_patient() -> None:
    """A served WaitOperation is bounded by the timeout and, with room for the reply, by the deadline of the RPC (WAIT-5)."""
    scripted = ScriptedOperations({NAME: [pending()]}, wait_support=WaitSupport.SERVED)
    for timeout, deadline, bounds in [
        (30, None, (29, 30)),
        (30, 10, (9.5, 9.95)),
        (None, 10, (9.5, 9.95)),
        (2**62, None, (4e18, 5e18)),
    ]:
        request = operations_pb2.WaitOperationRequest(name=NAME)
        if timeout is not None:
            request.timeout.CopyFrom(duration_pb2.Duration(seconds=timeout))
        hold = ask(scripted, "WaitOperation", request, deadline=deadline)
        assert isinstance(hold, Hold)
        assert hold.seconds is not None
        assert bounds[0] < hold.seconds <= bounds[1]
    forever = ask(scripted, "WaitOperation", operations_pb2.WaitOperationRequest(name=NAME))
    assert forever == Hold(None)


def test_an_abandoned_exchange_is_over() -> None:
    """An RPC the client gave up is recorded as CANCELLED, once, and answered no more (WAIT-9)."""
    scripted = ScriptedOperations({NAME: [late(pending(), Gate())]})
    exchange = begin(scripted, "GetOperation", operations_pb2.GetOperationRequest(name=NAME))
    assert scripted.advance(exchange) == Hold(None)
    assert [call.outcome for call in scripted.calls] == [None]
    scripted.abandon(exchange)
    once = scripted.calls
    scripted.abandon(exchange)
    assert [call.outcome for call in once] == [Code.CANCELLED]
    assert scripted.calls == once
    assert isinstance(scripted.advance(exchange), Answer)


def test_servers_and_pairs_say_what_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without grpc, servers and pairs name the extra to install; steps and clocks work (PKG-1)."""
    for module in ("_pair", "_server", "_server_aio"):
        monkeypatch.delitem(sys.modules, f"longrunning.testing.{module}", raising=False)
    for name in ("ScriptedServer", "operations_pair"):
        monkeypatch.delitem(vars(testing), name, raising=False)
    monkeypatch.setitem(sys.modules, "grpc", None)
    scripted = ScriptedOperations({NAME: [pending()]})
    assert not get(scripted).done
    for use in (scripted.serve, scripted.serve_aio, lambda: testing.operations_pair, lambda: testing.ScriptedServer):
        with pytest.raises(MissingExtraError, match=r"longrunning\[grpc\]"):
            use()


def test_the_kit_is_as_it_is_announced() -> None:
    """Every name of __all__ is there, nothing else is, and dir() shows it (law 8)."""
    for name in testing.__all__:
        assert getattr(testing, name).__name__ == name
    assert set(testing.__all__) <= set(dir(testing))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(testing, "nothing")  # noqa: B009
