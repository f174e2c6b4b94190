# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What users of google-api-core and json_format trip over, each reproduced there and shown absent here."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from google.api_core import exceptions, operation_async, protobuf_helpers
from google.api_core import operation as api_core
from google.longrunning import operations_proto_pb2
from google.protobuf import any_pb2, duration_pb2, empty_pb2, json_format, text_format
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2

from longrunning._any import UnknownPayload
from longrunning.errors import (
    DocumentError,
    InvalidTypeUrlError,
    NoResultError,
    OperationCancelledError,
    OperationError,
    PayloadDecodeError,
    TypeMismatchError,
)
from longrunning.status import Code, Status
from tests.unit.builders import (
    CREATE,
    NAME,
    InstancePb,
    MetadataPb,
    ProtoOperation,
    U,
    any_of,
    method,
    nested_any,
    operation,
    proto,
    raw,
    read,
    snapshot,
    status,
    with_response,
    written,
)

INSTANCE = any_of(InstancePb(name="i"))
HELP = any_of(error_details_pb2.Help())
DETAILS = (
    any_of(error_details_pb2.ErrorInfo(reason="QUOTA")),
    any_of(error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=3))),
)


def future(message: Any, *later: Any, metadata_type: Any = None, response_type: Any = InstancePb) -> Any:
    """The operation of google-api-core for a reply, and for those that polls will bring."""
    replies = iter(later)
    make: Any = api_core.Operation

    def refresh(**_: Any) -> Any:
        return next(replies)

    return make(message, refresh, None, response_type, metadata_type=metadata_type)


def async_outcome(message: Any) -> BaseException:
    """The exception its asynchronous operation ends with."""

    async def run() -> BaseException:
        make: Any = operation_async.AsyncOperation
        outcome: BaseException = await make(message, None, None, InstancePb).exception()
        return outcome

    return asyncio.run(run())


# -- types ------------------------------------------------------------------------------------------------------


def test_mismatch_there() -> None:
    """google-api-core: the first result() of a wrong type raises, the second returns None (TYPE-1)."""
    found = future(proto(done=False), proto(response=HELP))
    with pytest.raises(TypeError):
        found.result()
    assert found.result() is None


def test_mismatch_here() -> None:
    """Here every result() of a wrong type raises the same (TYPE-1)."""
    found = operation(CREATE, response=HELP)
    texts: set[str] = set()
    for _ in range(3):
        with pytest.raises(TypeMismatchError) as caught:
            found.result()
        texts.add(str(caught.value))
    assert len(texts) == 1


def test_mismatch_says_there() -> None:
    """google-api-core: the error of a wrong type names neither the operation nor the field (TYPE-1)."""
    with pytest.raises(TypeError) as caught:
        future(proto(done=False), proto(response=HELP)).result()
    assert NAME not in str(caught.value)
    assert "response" not in str(caught.value)


def test_mismatch_says_here() -> None:
    """Here the error of a wrong type names operation, field and both types (TYPE-1)."""
    with pytest.raises(TypeMismatchError) as caught:
        operation(CREATE, response=HELP).result()
    assert all(
        part in str(caught.value) for part in (NAME, "response", "google.rpc.Help", "google.cloud.redis.v1.Instance")
    )


def test_mismatch_when_done_there() -> None:
    """google-api-core: an operation that is done with a wrong type cannot even be looked at (TYPE-1)."""
    with pytest.raises(TypeError):
        future(proto(response=HELP))


def test_mismatch_when_done_here() -> None:
    """Here it is a snapshot like any other, readable but for its result (TYPE-1)."""
    found = operation(CREATE, response=HELP, metadata=any_of(MetadataPb(verb="create")))
    assert (found.name, found.done, found.metadata.verb) == (NAME, True, "create")
    assert found.response_payload == error_details_pb2.Help()


def test_corrupt_there() -> None:
    """google-api-core: corrupt bytes are protobuf's own error, and then None (TYPE-2)."""
    found = future(proto(done=False), proto(response=raw(INSTANCE.type_url, b"\xff")))
    with pytest.raises(DecodeError):
        found.result()
    assert found.result() is None


def test_corrupt_here() -> None:
    """Here corrupt bytes are a PayloadDecodeError, each time (TYPE-2)."""
    found = operation(CREATE, response=raw(INSTANCE.type_url, b"\xff"))
    for _ in range(2):
        with pytest.raises(PayloadDecodeError, match=NAME):
            found.result()


def test_metadata_type_there() -> None:
    """google-api-core: without a metadata type, which is the default, metadata calls None (TYPE-1)."""
    with pytest.raises(TypeError, match="NoneType"):
        _ = future(proto(response=INSTANCE, metadata=any_of(MetadataPb()))).metadata


def test_metadata_type_here() -> None:
    """Here metadata without a declared type is looked up in the registry, and kept where unknown (TYPE-3, TYPE-5)."""
    assert operation(metadata=any_of(error_details_pb2.Help())).metadata == error_details_pb2.Help()
    assert operation(metadata=raw(U + "no.Such", b"\xff")).metadata == UnknownPayload(U + "no.Such", b"\xff")
    assert (
        operation(method(metadata=any_pb2.Any), metadata=any_of(error_details_pb2.Help())).metadata
        == error_details_pb2.Help()
    )


def test_from_grpc_there() -> None:
    """google-api-core: whatever from_grpc returns fails at its first poll, before any RPC (SNAP-1)."""

    class Stub:
        """Answers."""

        @staticmethod
        def GetOperation(_: Any) -> Any:  # noqa: N802 (the RPC's own name)
            """Answers."""
            return proto(response=INSTANCE)

    make: Any = vars(api_core)["from_grpc"]
    found = make(proto(done=False), Stub(), InstancePb)
    for call in (found.done, found.result):
        with pytest.raises(TypeError, match="unexpected keyword argument 'metadata'"):
            call()


def test_from_grpc_here() -> None:
    """Here a reply of a stub is all it takes (SNAP-1)."""
    reply = proto(response=INSTANCE)
    assert snapshot(reply, method()).result() == InstancePb(name="i")


def test_type_url_there() -> None:
    """google-api-core and protobuf: any host may say of its bytes that they are a type of Google's (TYPE-6)."""
    evil = raw("evil.example.com/google.cloud.redis.v1.Instance", INSTANCE.value)
    assert future(proto(response=evil)).result() == InstancePb(name="i")
    unpack: Any = vars(protobuf_helpers)["from_any_pb"]
    assert unpack(InstancePb, evil) == InstancePb(name="i")


def test_type_url_here() -> None:
    """Here a host that is not trusted is an InvalidTypeUrlError (TYPE-6)."""
    with pytest.raises(InvalidTypeUrlError, match=r"evil\.example\.com"):
        operation(method(), response=raw("evil.example.com/google.cloud.redis.v1.Instance", INSTANCE.value)).result()


def test_changed_there() -> None:
    """google-api-core: what an operation hands out changes it (SNAP-5)."""
    found = future(proto(response=INSTANCE))
    found.operation.name = "other"
    found.result().name = "other"
    assert (found.operation.name, found.result().name) == ("other", "other")


def test_changed_here() -> None:
    """Here it does not (SNAP-5)."""
    found = operation(method(), response=INSTANCE)
    found.to_proto().name = "other"
    found.result().name = "other"
    assert (found.name, found.result().name) == (NAME, "i")


# -- errors -----------------------------------------------------------------------------------------------------


def test_details_there() -> None:
    """google-api-core: details of a status are never decoded (ERR-2)."""
    failed = proto(error=status(8, "no room", *DETAILS))
    errors: list[Any] = [future(failed).exception(), async_outcome(failed)]
    for error in errors:
        assert (list(error.details), error.reason) == ([], None)
        assert "QUOTA" not in str(error)


def test_details_here() -> None:
    """Here they are messages, with an accessor each, and in the text (ERR-2)."""
    with pytest.raises(OperationError, match="QUOTA") as caught:
        operation(CREATE, error=status(8, "no room", *DETAILS)).result()
    found = caught.value.status
    assert found.error_info is not None
    assert found.retry_info is not None
    assert (found.error_info.reason, found.retry_info.retry_delay.seconds) == ("QUOTA", 3)


def test_async_code_there() -> None:
    """google-api-core: the asynchronous operation loses the code of the error (ERR-2)."""
    error: Any = async_outcome(proto(error=status(5, "gone")))
    assert (type(error), error.code, error.grpc_status_code) == (exceptions.GoogleAPICallError, None, None)
    assert isinstance(future(proto(error=status(5, "gone"))).exception(), exceptions.NotFound)


def test_async_code_here() -> None:
    """Here there is one core, and it has the code (ERR-1, ERR-2)."""
    with pytest.raises(OperationError) as caught:
        operation(CREATE, error=status(5, "gone")).result()
    assert caught.value.code is Code.NOT_FOUND


def test_async_cancelled_there() -> None:
    """google-api-core: nor can a cancelled operation be told from a failed one (SNAP-1)."""
    assert type(async_outcome(proto(error=status(1)))) is type(async_outcome(proto(error=status(5))))


def test_async_cancelled_here() -> None:
    """Here a cancelled operation is an OperationCancelledError (SNAP-1, ERR-1)."""
    with pytest.raises(OperationCancelledError):
        operation(CREATE, error=status(1)).result()


def test_name_there() -> None:
    """google-api-core: the text of an error does not say of which operation it is (ERR-2)."""
    assert NAME not in str(future(proto(error=status(5, "gone"))).exception())


def test_name_here() -> None:
    """Here it does (ERR-2)."""
    with pytest.raises(OperationError, match=NAME):
        operation(CREATE, error=status(5, "gone")).result()


def test_same_exception_there() -> None:
    """google-api-core: one exception is raised again and again, and its traceback grows (ERR-2)."""
    found = future(proto(error=status(5, "gone")))
    caught: list[BaseException] = []
    for _ in range(2):
        with pytest.raises(exceptions.NotFound) as error:
            found.result()
        caught.append(error.value)
    assert caught[0] is caught[1]


def test_same_exception_here() -> None:
    """Here each raise is a fresh exception (ERR-2)."""
    found = operation(CREATE, error=status(5, "gone"))
    caught: list[BaseException] = []
    for _ in range(2):
        with pytest.raises(OperationError) as error:
            found.result()
        caught.append(error.value)
    assert caught[0] is not caught[1]


def test_no_result_there() -> None:
    """google-api-core: an operation whose service provides no result is an unexpected state (SNAP-2)."""
    for response_type in (InstancePb, empty_pb2.Empty):
        with pytest.raises(exceptions.GoogleAPICallError, match="Unexpected state"):
            future(proto(), response_type=response_type).result()


def test_no_result_here() -> None:
    """Here it is what the proto says it is, and an Empty where that was declared (SNAP-2)."""
    assert operation(method(empty_pb2.Empty)).result() == empty_pb2.Empty()
    with pytest.raises(NoResultError):
        operation(method()).result()


def test_io_there() -> None:
    """google-api-core: asking whether an operation is done sends an RPC (law 3, SNAP-5)."""
    sent: list[Any] = []
    make: Any = api_core.Operation

    def refresh(**_: Any) -> Any:
        sent.append(1)
        return proto(done=False)

    found = make(proto(done=False), refresh, None, InstancePb)
    found.done()
    found.cancelled()
    assert len(sent) == 2


def test_io_here() -> None:
    """Here a snapshot has nothing to send one with: done, state and the rest are what it holds (law 3, SNAP-5)."""
    found = operation(CREATE, done=False)
    assert (found.done, found.state.name, found.error, found.metadata) == (False, "RUNNING", None, None)


def test_late_reply_there() -> None:
    """google-api-core: an older reply that arrives late turns done into not done (SNAP-6)."""
    make: Any = api_core.Operation
    polls: list[Any] = []

    def refresh(**_: Any) -> Any:
        polls.append(1)
        if len(polls) == 1:  # while this poll is under way, another one finds the operation done
            assert found.done()
            return proto(done=False)
        return proto(response=INSTANCE)

    found = make(proto(done=False), refresh, lambda: None, InstancePb)
    assert not found.done()
    assert not found.operation.done


def test_late_reply_here() -> None:
    """Here a reply makes another snapshot; the one that is done stays done (SNAP-6, SNAP-5)."""
    done, late = operation(CREATE, response=INSTANCE), operation(CREATE, done=False)
    assert (done.done, late.done) == (True, False)
    assert done != late


# -- JSON -------------------------------------------------------------------------------------------------------

UNKNOWN = {"@type": U + "google.cloud.run.v2.Service", "uid": "1"}


def test_unknown_type_there() -> None:
    """json_format and google-api-core: one unknown @type fails the whole document (JSON-2)."""
    document = {**with_response({"@type": INSTANCE.type_url, "name": "i"}), "metadata": UNKNOWN}
    make: Any = vars(api_core)["from_http_json"]
    parsers: list[Callable[[], Any]] = [
        lambda: json_format.ParseDict(document, ProtoOperation()),
        lambda: make(document, None, InstancePb),
    ]
    for parse in parsers:
        with pytest.raises(json_format.ParseError):
            parse()
    page = {"operations": [{"name": "1", "done": True}, document]}
    with pytest.raises(json_format.ParseError):
        json_format.ParseDict(page, operations_proto_pb2.ListOperationsResponse())


def test_unknown_type_here() -> None:
    """Here it is kept, and the rest is read (JSON-2)."""
    document = {**with_response({"@type": INSTANCE.type_url, "name": "i"}), "metadata": UNKNOWN}
    found = read(document, method())
    assert found.result() == InstancePb(name="i")
    assert isinstance(found.metadata_payload, UnknownPayload)
    assert written(found) == document


@pytest.mark.parametrize(
    "document",
    [
        {"name": NAME, "newField": 1},
        with_response({"@type": INSTANCE.type_url, "name": "i", "newField": {"a": 1}}),
        {"name": NAME, "done": True, "error": {"code": 5, "newField": True}},
    ],
    ids=["operation", "payload", "status"],
)
def test_new_field(document: dict[str, Any]) -> None:
    """One field of a later version fails the document in json_format, and is kept here (JSON-2)."""
    make: Any = vars(api_core)["from_http_json"]
    parsers: list[Callable[[], Any]] = [
        lambda: json_format.ParseDict(copy.deepcopy(document), ProtoOperation()),
        lambda: make(copy.deepcopy(document), None, InstancePb),
    ]
    for parse in parsers:
        with pytest.raises(json_format.ParseError):
            parse()
    found = read(document, method())
    assert written(found) == document
    assert found.to_proto().name == NAME


def test_writing_unknown_type() -> None:
    """An unknown type is a bare TypeError when json_format writes it, and opaque here (JSON-2)."""
    message = proto(metadata=raw(U + "no.Such", b"\xff"))
    with pytest.raises(TypeError):
        json_format.MessageToDict(message)
    assert written(operation(metadata=message.metadata))["metadata"] == {"@type": U + "no.Such", "@bytes": "/w=="}


def test_writing_odd_value() -> None:
    """A Duration out of range fails json_format's writing, and is opaque here (JSON-2)."""
    message = proto(metadata=any_of(duration_pb2.Duration(seconds=2**62)))
    with pytest.raises((ValueError, json_format.SerializeToJsonError), match="Duration"):
        json_format.MessageToDict(message)
    assert read(operation(metadata=message.metadata).to_json()).to_proto() == message


def test_deep_nesting_there() -> None:
    """json_format and text_format: 22 KB of 500 nested Any are a bare RecursionError (TYPE-7)."""
    message = proto(response=nested_any(500))
    assert message.ByteSize() < 25_000
    for render in (json_format.MessageToDict, json_format.MessageToJson, text_format.MessageToString):
        with pytest.raises(RecursionError):
            render(message)


def test_deep_nesting_here() -> None:
    """Here they are written as opaque bytes, and everything else works (TYPE-7)."""
    found = operation(response=nested_any(500), error=None)
    assert json.loads(found.to_json())["response"].keys() == {"@type", "@bytes"}
    assert read(found.to_json()).to_bytes() == found.to_bytes()
    assert "google.protobuf.Any" in repr(found)
    assert str(Status(Code.INTERNAL, "bad", (nested_any(500),))).startswith("INTERNAL (13): bad [")


def test_one_name_twice() -> None:
    """A name that occurs twice: the last one counts for json and ParseDict, and here there is an error (JSON-3)."""
    text = '{"name":"a","name":"b"}'
    assert json_format.ParseDict(json.loads(text), ProtoOperation()).name == "b"
    with pytest.raises(DocumentError, match="twice"):
        read(text)
