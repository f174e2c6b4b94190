# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Attaching, resuming, adopting, cancelling, deleting, listing, and the raw WaitOperation."""

from __future__ import annotations

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from google.longrunning import operations_proto_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, duration_pb2, empty_pb2, message_factory, struct_pb2

from example.library.v1 import library_pb2
from longrunning import (
    Code,
    LroMethod,
    Operation,
    OperationCancelledError,
    OperationState,
    RetryPolicy,
    RpcError,
    TypeRegistry,
    UnknownPayload,
    WaitTimeoutError,
)
from longrunning.client import ListQuery, _grpc_errors
from longrunning.errors import OperationNotFoundError, ResumeTokenError
from longrunning.testing import (
    Gate,
    ScriptedOperations,
    WaitSupport,
    cancelled,
    delayed,
    failed,
    no_result,
    pending,
    raw,
    rpc_error,
    succeeded,
)
from tests.pair.colours import (
    CANCEL,
    CREATE_SHELF,
    DELETE,
    GET,
    IMPORT_BOOKS,
    LIBRARY,
    NAME,
    REQUEST,
    RESPONSE,
    Both,
    about,
    both_colours,
    imported,
    metadata,
    polls,
    progress,
)

LIST, WAIT = "ListOperations", "WaitOperation"
SHELF = library_pb2.Shelf(name="shelves/1", theme="poetry")
# Fields of AIP-217 on the wire, which the installed protos may not know.
PARTIAL = b"\x28\x01"  # return_partial_success, 5: true
UNREACHABLE = b"\x1a\x01a\x1a\x02\xc3\xa4"  # unreachable, 3: "a", "ä"


# -- attach, resume, adopt ----------------------------------------------------------------------------------------


@both_colours
async def test_attaching_sends_nothing(both: Both) -> None:
    """attach() sends no RPC, not even for a name nobody knows; there is no snapshot yet (CTRL-1, law 3)."""
    async with both.pair({}) as pair:
        handle = pair.client.attach("operations/none", IMPORT_BOOKS)
        assert handle.operation is None
        assert handle.name == "operations/none"
        assert handle.resume_token
        assert "not yet seen" in repr(handle)
        assert pair.operations.rpcs() == []


@both_colours
async def test_an_attached_handle_is_typed(both: Both) -> None:
    """With a method response and metadata have its types; without one they are the registry's (CTRL-1, TYPE-3)."""
    async with both.pair({NAME: [imported()]}, registry=LIBRARY) as pair:
        for handle in (pair.client.attach(NAME, IMPORT_BOOKS), pair.client.attach(NAME)):
            assert await both(handle.result()) == RESPONSE
            assert handle.operation.metadata == metadata(4)
    async with both.pair({NAME: [imported()]}) as pair:
        response = await both(pair.client.attach(NAME).result())
        assert isinstance(response, UnknownPayload)
        assert response.type_url.endswith("example.library.v1.ImportBooksResponse")


@both_colours
async def test_a_resume_token_takes_hold_again(both: Both) -> None:
    """A token that went through JSON takes hold of the operation in another client, typed, with no RPC (CTRL-1)."""
    scripted = ScriptedOperations()
    scripted.starts(IMPORT_BOOKS, progress(1), progress(2), imported())
    async with both.pair(scripted, registry=LIBRARY) as pair:
        handle = await both(pair.client.start(IMPORT_BOOKS, REQUEST))
        token = json.loads(json.dumps([handle.resume_token]))[0]
        scripted.clear()
        other = both.client(pair.channel, registry=LIBRARY)
        resumed, untyped = other.resume(token, IMPORT_BOOKS), other.resume(token)
        assert resumed.name == untyped.name == handle.name
        assert resumed.resume_token == untyped.resume_token == token
        assert scripted.rpcs() == []
        assert await both(resumed.result()) == await both(untyped.result()) == RESPONSE


@pytest.mark.parametrize("token", ["", "x", "lro1_", "lro2_abc", None, 7, b"lro1_abc"], ids=repr)
@both_colours
async def test_garbage_is_no_resume_token(both: Both, token: Any) -> None:
    """Garbage, and a token of another version, are ResumeTokenErrors, and nothing is sent (CTRL-1)."""
    async with both.pair({}) as pair:
        for method in (None, IMPORT_BOOKS):
            with pytest.raises(ResumeTokenError):
                pair.client.resume(token, method)
        assert pair.operations.rpcs() == []


@both_colours
async def test_a_token_of_another_method_is_refused(both: Both) -> None:
    """A token of another method's path is a ResumeTokenError that names both and the operation (CTRL-1)."""
    async with both.pair({}) as pair:
        token = pair.client.attach(NAME, IMPORT_BOOKS).resume_token
        with pytest.raises(ResumeTokenError, match=r"ImportBooks.*CreateShelf") as raised:
            pair.client.resume(token, CREATE_SHELF)
        assert raised.value.name == NAME
        untyped = pair.client.attach(NAME).resume_token
        assert pair.client.resume(untyped, CREATE_SHELF).name == NAME


@both_colours
async def test_types_a_process_does_not_know_read_as_unknown(both: Both) -> None:
    """Resumed without a method, payloads of types nobody registered are UnknownPayload (CTRL-1)."""
    async with both.pair({NAME: [imported()]}) as pair:
        handle = pair.client.resume(pair.client.attach(NAME, IMPORT_BOOKS).resume_token)
        snapshot = await both(handle.wait())
        assert isinstance(snapshot.result(), UnknownPayload)
        assert isinstance(snapshot.metadata, UnknownPayload)


@both_colours
async def test_adopting_a_message_sends_nothing(both: Both) -> None:
    """A message that a plain stub returned becomes a typed handle, with the snapshot in it and no RPC (CTRL-1, law 3)."""
    async with both.pair({NAME: [imported()]}) as pair:
        message = operations_proto_pb2.Operation(name=NAME)
        message.metadata.Pack(metadata(1))
        handle = pair.client.adopt(message, IMPORT_BOOKS)
        message.name = "changed"
        assert handle.name == handle.operation.name == NAME
        assert handle.operation.metadata == metadata(1)
        assert pair.operations.rpcs() == []
        assert await both(handle.result()) == RESPONSE
        again = pair.client.adopt(handle.operation)
        assert await both(again.wait()) is again.operation
        assert await both(again.result()) == RESPONSE
        assert pair.operations.rpcs() == [GET]


@both_colours
async def test_what_cannot_be_adopted_is_refused(both: Both) -> None:
    """Another message is a TypeError; an operation neither done nor named is a ValueError (CTRL-1)."""
    async with both.pair({}) as pair:
        for other in (SHELF, None, "operations/1", object()):
            with pytest.raises(TypeError):
                pair.client.adopt(other, IMPORT_BOOKS)
        with pytest.raises(ValueError, match="without a name"):
            pair.client.adopt(operations_proto_pb2.Operation(), IMPORT_BOOKS)
        done = pair.client.adopt(operations_proto_pb2.Operation(done=True), IMPORT_BOOKS)
        assert (await both(done.wait())).state is OperationState.SUCCEEDED


@pytest.mark.parametrize(
    "request_", [SHELF, None, "shelf", object(), library_pb2.Shelf], ids=["other", "None", "str", "object", "class"]
)
@both_colours
async def test_a_request_of_another_type_is_refused(both: Both, request_: Any) -> None:
    """A request of another type than the method's is a TypeError, and nothing is sent (TYPE-10, CTRL-1)."""
    async with both.pair({}) as pair:
        with pytest.raises(TypeError):
            await both(pair.client.start(IMPORT_BOOKS, request_))
        assert pair.operations.rpcs() == []


# -- cancel -------------------------------------------------------------------------------------------------------


@both_colours
async def test_cancelling_is_a_request(both: Both) -> None:
    """After a cancel the handle tells the truth of the server: here, that it was cancelled, with code 1 (CTRL-2)."""
    async with both.pair({NAME: [progress(1)]}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        before = await both(handle.refresh())
        await both(handle.cancel())
        assert handle.operation is before
        assert not handle.operation.done
        with pytest.raises(OperationCancelledError) as raised:
            await both(handle.result())
        assert raised.value.code is Code.CANCELLED
        assert handle.operation.state is OperationState.CANCELLED
        assert pair.operations.rpcs() == [GET, CANCEL, GET]


@both_colours
async def test_a_cancelled_operation_may_succeed(both: Both) -> None:
    """A server that finishes in spite of a cancel is believed: the result is the result (CTRL-2)."""
    scripted = ScriptedOperations()
    scripted.add(NAME, progress(1), on_cancel=[progress(2, times=2), imported()])
    async with both.pair(scripted) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        await both(handle.refresh())
        await both(handle.cancel())
        assert await both(handle.result()) == RESPONSE
        assert handle.operation.state is OperationState.SUCCEEDED


@pytest.mark.parametrize("code", [Code.UNIMPLEMENTED, Code.NOT_FOUND, Code.UNAVAILABLE], ids=lambda code: code.name)
@both_colours
async def test_a_cancel_that_fails_says_how(both: Both, code: Code) -> None:
    """That a server cannot cancel is an RpcError with that code, sent once, and no PollingError (CTRL-2, ERR-1)."""
    async with both.pair({NAME: [progress(1)]}) as pair:
        pair.operations.fails(CANCEL, rpc_error(code, "no", times=2))
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        snapshot = await both(handle.refresh())
        for cancel in (handle.cancel, lambda: pair.client.cancel(NAME)):
            with pytest.raises(RpcError) as raised:
                await both(cancel())
            assert type(raised.value) is RpcError
            assert raised.value.code is code
            assert raised.value.name == NAME
        assert pair.operations.rpcs() == [GET, CANCEL, CANCEL]
        assert handle.operation is snapshot


@pytest.mark.parametrize("end", [imported(), cancelled(), failed(Code.INTERNAL), no_result()])
@both_colours
async def test_cancelling_what_is_done_sends_nothing(both: Both, end: Any) -> None:
    """On a done operation cancel() is a no-op, however it ended (CTRL-2, law 3)."""
    async with both.pair({NAME: [end]}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        snapshot = await both(handle.wait())
        await both(handle.cancel())
        assert handle.operation is snapshot
        assert pair.operations.rpcs() == [GET]


@both_colours
async def test_an_unseen_operation_can_be_cancelled(both: Both) -> None:
    """An attached handle cancels without asking first (CTRL-2)."""
    async with both.pair({NAME: [pending()]}) as pair:
        await both(pair.client.attach(NAME).cancel())
        assert pair.operations.rpcs() == [CANCEL]


# -- delete -------------------------------------------------------------------------------------------------------


@both_colours
async def test_deleting_does_not_cancel(both: Both) -> None:
    """delete() is one DeleteOperation; afterwards the server says NOT_FOUND to everything (CTRL-3, WAIT-7)."""
    async with both.pair({NAME: [progress(1)]}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        await both(handle.refresh())
        await both(handle.delete())
        assert pair.operations.rpcs() == [GET, DELETE]
        for verb in (handle.refresh, handle.wait):
            with pytest.raises(OperationNotFoundError):
                await both(verb())
        for verb in (handle.cancel, handle.delete):
            with pytest.raises(RpcError) as raised:
                await both(verb())
            assert raised.value.code is Code.NOT_FOUND
        assert handle.operation.metadata == metadata(1)


@both_colours
async def test_deleting_what_is_done_costs_one_rpc(both: Both) -> None:
    """A done operation is deleted with one RPC, and its result stays with the handle at none (CTRL-3, law 3)."""
    async with both.pair({NAME: [imported()]}) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        await both(handle.wait())
        await both(handle.delete())
        assert await both(handle.result()) == RESPONSE
        assert pair.operations.rpcs() == [GET, DELETE]
        with pytest.raises(OperationNotFoundError):
            await both(pair.client.get(NAME))


# -- list ---------------------------------------------------------------------------------------------------------


def many(count: int, **options: Any) -> ScriptedOperations:
    """Operations under shelves/1."""
    return ScriptedOperations({f"shelves/1/operations/{n}": [progress(n)] for n in range(count)}, **options)


@both_colours
async def test_a_list_is_read_page_by_page(both: Both) -> None:
    """Nothing is sent before the first item is asked for, and no page before its first item is (CTRL-4)."""
    async with both.pair(many(5)) as pair:
        pager = pair.client.list("shelves/1", page_size=2)
        assert pair.operations.rpcs() == []
        sent: list[int] = []
        async for item in both.each(pager):
            assert isinstance(item, Operation)
            sent.append(len(pair.operations.calls))
        assert sent == [1, 1, 2, 2, 3]
        requests = [call.request for call in pair.operations.calls]
        assert [request.page_token for request in requests] == ["", "2", "4"]
        assert {(request.name, request.page_size, request.filter) for request in requests} == {("shelves/1", 2, "")}


@both_colours
async def test_leaving_a_list_early_asks_for_no_more(both: Both) -> None:
    """A list that is left after an item sends no further page; read again, it begins anew (CTRL-4)."""
    async with both.pair(many(5)) as pair:
        pager = pair.client.list("shelves/1", page_size=2)
        async for _ in both.each(pager):
            break
        assert pair.operations.rpcs() == [LIST]
        assert len(await both.collect(pager)) == 5
        assert pair.operations.rpcs() == [LIST] * 4


@both_colours
async def test_filter_size_and_token_reach_the_server(both: Both) -> None:
    """filter, page_size, page_token and return_partial_success go out as they are given, on every page (CTRL-4)."""

    def keep(text: str, operation: operations_proto_pb2.Operation) -> bool:
        return text in operation.name

    scripted = many(6, list_filter=keep)
    async with both.pair(scripted) as pair:
        pager = pair.client.list(
            "shelves/1", filter="operations", page_size=2, page_token="2", return_partial_success=True
        )
        names = [item.name async for item in both.each(pager)]
        assert names == [f"shelves/1/operations/{n}" for n in range(2, 6)]
        expected = [
            operations_proto_pb2.ListOperationsRequest(
                name="shelves/1", filter="operations", page_size=2, page_token=token
            ).SerializeToString()
            + PARTIAL
            for token in ("2", "4")
        ]
        assert [call.request.SerializeToString() for call in scripted.calls] == expected


@both_colours
async def test_mixed_and_unknown_types_are_listed_together(both: Both) -> None:
    """Items are typed by the registry one by one; unknown, corrupt and malformed ones are among them (CTRL-4, TYPE-3)."""
    corrupt = UnknownPayload("type.googleapis.com/example.library.v1.Shelf", b"\xff\xff")
    unknown = UnknownPayload("type.googleapis.com/no.Such", b"\x08\x01")
    scripts = {
        "s/operations/1": [imported()],
        "s/operations/2": [succeeded(SHELF)],
        "s/operations/3": [succeeded(unknown, metadata=unknown)],
        "s/operations/4": [succeeded(corrupt)],
        "s/operations/5": [failed(Code.ABORTED, "no", details=[unknown])],
        "s/operations/6": [succeeded(empty_pb2.Empty())],
        "s/operations/7": [raw(operations_proto_pb2.Operation())],
        "s/operations/8": [succeeded(UnknownPayload("evil.example.com/x/y", b"z"))],
    }
    async with both.pair(scripts, registry=LIBRARY) as pair:
        items = await both.collect(pair.client.list("s", page_size=3))
        assert [item.name for item in items] == list(scripts)
        payloads = [item.response_payload for item in items]
        assert payloads[:4] == [RESPONSE, SHELF, unknown, corrupt]
        assert payloads[5] == empty_pb2.Empty()
        assert items[0].result() == RESPONSE
        assert items[2].metadata == unknown
        assert items[4].error.details == (unknown,)
        assert not items[6].done
        assert isinstance(payloads[7], UnknownPayload)
        assert [call.rpc for call in pair.operations.calls] == [LIST] * 3


@both_colours
async def test_what_cannot_be_reached_is_told(both: Both) -> None:
    """pages() tells what was unreachable, where partial success was asked for (CTRL-4)."""
    async with both.pair(many(3, unreachable=["locations/a", "locations/ä"])) as pair:
        partial = pair.client.list("shelves/1", page_size=2, return_partial_success=True)
        pages = await both.collect(partial.pages())
        assert [(len(page), page.next_page_token) for page in pages] == [(2, "2"), (1, "")]
        assert [page.unreachable for page in pages] == [(), ("locations/a", "locations/ä")]
        assert [item.name for item in pages[1]] == ["shelves/1/operations/2"]
        whole = await both.collect(pair.client.list("shelves/1").pages())
        assert [page.unreachable for page in whole] == [()]


@both_colours
async def test_a_list_that_fails_is_an_rpc_error(both: Both) -> None:
    """A page that fails is an RpcError, once what came before it was yielded, and is not retried (CTRL-4, ERR-1)."""
    async with both.pair(many(4)) as pair:
        seen: list[Any] = []

        async def read() -> None:
            async for item in both.each(pair.client.list("shelves/1", page_size=2)):
                seen.append(item)
                if len(seen) == 1:
                    pair.operations.fails(LIST, rpc_error(Code.UNAVAILABLE, "gone"))

        with pytest.raises(RpcError, match="gone") as raised:
            await read()
        assert type(raised.value) is RpcError
        assert raised.value.method == "/google.longrunning.Operations/ListOperations"
        assert len(seen) == 2
        assert pair.operations.rpcs() == [LIST, LIST]


@both_colours
async def test_an_empty_list_has_one_empty_page(both: Both) -> None:
    """A list without items costs one RPC and yields nothing (CTRL-4)."""
    async with both.pair({}) as pair:
        assert await both.collect(pair.client.list("shelves/1")) == []
        assert [len(page) for page in await both.collect(pair.client.list("").pages())] == [0]


def old_protos() -> SimpleNamespace:
    """The messages of a googleapis-common-protos before 1.75.5: without the fields of AIP-217."""
    file = descriptor_pb2.FileDescriptorProto()
    operations_proto_pb2.DESCRIPTOR.CopyToProto(file)
    for message in file.message_type:
        kept = [field for field in message.field if field.name not in ("return_partial_success", "unreachable")]
        del message.field[:]
        message.field.extend(kept)
    pool, seen = descriptor_pool.DescriptorPool(), set[str]()

    def add(descriptor: Any) -> None:
        for needed in descriptor.dependencies:
            if needed.name not in seen:
                seen.add(needed.name)
                add(needed)
                pool.AddSerializedFile(needed.serialized_pb)

    add(operations_proto_pb2.DESCRIPTOR)
    pool.AddSerializedFile(file.SerializeToString())
    names = ("ListOperationsRequest", "ListOperationsResponse", "Operation")
    return SimpleNamespace(
        **{
            name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"google.longrunning.{name}"))
            for name in names
        }
    )


def test_older_protos_send_and_read_the_newer_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the installed protos lack return_partial_success and unreachable, the bytes carry them all the same (CTRL-4)."""
    query = ListQuery(name="n", filter="f", page_size=7, page_token="t", return_partial_success=True)
    plain = ListQuery(name="n")
    types = LIBRARY_TYPES
    page = operations_proto_pb2.ListOperationsResponse(next_page_token="8")
    page.operations.add(name=NAME, done=True).response.Pack(SHELF)
    data = page.SerializeToString() + UNREACHABLE
    new = [_grpc_errors.encode_list(query), _grpc_errors.encode_list(plain)]
    decoded = _grpc_errors.decode_page(data, types)
    old = old_protos()
    assert "unreachable" not in old.ListOperationsResponse.DESCRIPTOR.fields_by_name
    monkeypatch.setattr(_grpc_errors, "operations_pb2", old)
    assert [_grpc_errors.encode_list(query), _grpc_errors.encode_list(plain)] == new
    again = _grpc_errors.decode_page(data, types)
    assert again.unreachable == decoded.unreachable == ("a", "ä")
    assert again.next_page_token == "8"
    assert [item.name for item in again] == [NAME]
    assert new[0].endswith(PARTIAL)
    assert new[1] == operations_proto_pb2.ListOperationsRequest(name="n").SerializeToString()


LIBRARY_TYPES: Any = Operation.from_proto(operations_proto_pb2.Operation(), registry=LIBRARY)._types  # pyright: ignore[reportPrivateUsage]


# -- single RPCs --------------------------------------------------------------------------------------------------


@both_colours
async def test_get_is_one_rpc(both: Both) -> None:
    """get() is one GetOperation, typed by the method or the registry, and is never retried (CTRL-1, ERR-1)."""
    async with both.pair({NAME: [progress(1), imported(), rpc_error(Code.UNAVAILABLE)]}, registry=LIBRARY) as pair:
        assert (await both(pair.client.get(NAME, IMPORT_BOOKS))).metadata == metadata(1)
        assert (await both(pair.client.get(NAME))).result() == RESPONSE
        with pytest.raises(RpcError) as raised:
            await both(pair.client.get(NAME))
        assert raised.value.code is Code.UNAVAILABLE
        assert pair.operations.rpcs() == [GET] * 3
        assert pair.clock.sleeps == []


@both_colours
async def test_refresh_is_one_rpc(both: Both) -> None:
    """refresh() is one GetOperation with the time of one RPC, and is never retried (CTRL-2, ERR-1)."""
    policy = polls(retry=RetryPolicy(rpc_timeout=7))
    async with both.pair({NAME: [progress(1), rpc_error(Code.UNAVAILABLE), imported()]}, policy=policy) as pair:
        handle = pair.client.attach(NAME, IMPORT_BOOKS)
        assert await both(handle.refresh()) is handle.operation
        with pytest.raises(RpcError) as raised:
            await both(handle.refresh())
        assert raised.value.operation is handle.operation
        assert (await both(handle.refresh())).done
        assert [call.deadline for call in pair.operations.calls] == [about(7)] * 3


@both_colours
async def test_wait_operation_is_the_raw_rpc(both: Both) -> None:
    """wait_operation() sends one WaitOperation with that timeout, and returns what comes, done or not (CTRL-2, TYPE-10)."""
    scripted = ScriptedOperations({NAME: [progress(1), imported()]}, wait_support=WaitSupport.RETURNS_AT_ONCE)
    async with both.pair(scripted) as pair:
        snapshot = await both(pair.client.wait_operation(NAME, 1.5, IMPORT_BOOKS))
        assert snapshot.metadata == metadata(1)
        assert not snapshot.done
        assert (await both(pair.client.wait_operation(NAME, None, IMPORT_BOOKS))).result() == RESPONSE
        first, second = (call.request for call in scripted.calls)
        assert first.timeout == duration_pb2.Duration(seconds=1, nanos=500_000_000)
        assert not second.HasField("timeout")
        deadline = scripted.calls[0].deadline
        assert deadline is not None
        assert deadline > 1.5
        assert scripted.rpcs() == [WAIT, WAIT]


@both_colours
async def test_a_server_without_wait_operation_says_so(both: Both) -> None:
    """That a server has no WaitOperation is an RpcError with code UNIMPLEMENTED (CTRL-2, ERR-1)."""
    async with both.pair({NAME: [pending()]}) as pair:
        with pytest.raises(RpcError) as raised:
            await both(pair.client.wait_operation(NAME, 1))
        assert type(raised.value) is RpcError
        assert raised.value.code is Code.UNIMPLEMENTED


@both_colours
async def test_the_servers_own_limit_is_not_cut_short(both: Both) -> None:
    """wait_operation(None) leaves the time to the server: the client's time for one poll does not end it (CTRL-2)."""
    policy = polls(retry=RetryPolicy(rpc_timeout=0.1))
    scripted = ScriptedOperations({NAME: [pending(), delayed(imported(), 0.3)]}, wait_support=WaitSupport.SERVED)
    async with both.pair(scripted, policy=policy) as pair:
        assert (await both(pair.client.wait_operation(NAME, None, IMPORT_BOOKS))).done


@pytest.mark.parametrize("timeout", [1e10, 1e15, 2.0**62, 1e300])
@both_colours
async def test_an_absurd_wait_is_sent_or_refused(both: Both, timeout: float) -> None:
    """A wait_operation of 2^62 s is sent as some long time, or is a ValueError that names the argument (WAIT-3)."""
    scripted = ScriptedOperations({NAME: [imported()]}, wait_support=WaitSupport.RETURNS_AT_ONCE)
    async with both.pair(scripted) as pair:
        try:
            snapshot = await both(pair.client.wait_operation(NAME, timeout, IMPORT_BOOKS))
        except ValueError as error:
            assert "timeout" in str(error)  # noqa: PT017 (either is right)
        else:
            assert snapshot.done


@pytest.mark.parametrize("timeout", [1e9, 1e10, timedelta.max], ids=repr)
@both_colours
async def test_a_very_long_time_is_not_a_very_short_one(both: Both, timeout: Any) -> None:
    """An rpc_timeout of centuries lets an RPC take its time; it does not fail it at once (WAIT-3)."""
    scripted = ScriptedOperations()
    scripted.starts(IMPORT_BOOKS, pending(), imported())
    policy = polls(final_poll_timeout=timeout, retry=RetryPolicy(rpc_timeout=timeout))
    async with both.pair(scripted, policy=policy) as pair:
        handle = await both(pair.client.start(IMPORT_BOOKS, REQUEST, rpc_timeout=timeout))
        assert await both(handle.result(timeout=timeout)) == RESPONSE
        assert scripted.rpcs() == ["ImportBooks", GET]


@pytest.mark.parametrize("timeout", [-1, "1", float("nan"), True], ids=repr)
@both_colours
async def test_a_wait_that_makes_no_sense_is_refused(both: Both, timeout: Any) -> None:
    """A timeout that is negative, or no number, is refused before anything is sent (WAIT-3)."""
    async with both.pair({NAME: [imported()]}) as pair:
        with pytest.raises((ValueError, TypeError), match="timeout"):
            await both(pair.client.wait_operation(NAME, timeout))
        with pytest.raises((ValueError, TypeError), match="rpc_timeout"):
            await both(pair.client.start(IMPORT_BOOKS, REQUEST, rpc_timeout=timeout))
        assert pair.operations.rpcs() == []


@both_colours
async def test_a_start_has_the_time_it_is_given(both: Both) -> None:
    """A start has no deadline unless it is given one, and one that takes too long is a StartError (ERR-1)."""
    scripted = ScriptedOperations()
    scripted.starts(IMPORT_BOOKS, delayed(pending(), Gate()))
    async with both.pair(scripted) as pair:
        with pytest.raises(RpcError) as raised:
            await both(pair.client.start(IMPORT_BOOKS, REQUEST, rpc_timeout=0.1))
        assert raised.value.code is Code.DEADLINE_EXCEEDED
        assert scripted.calls[0].deadline == about(0.1)


@both_colours
async def test_or_types_reach_the_handle(both: Both) -> None:
    """A method that accepts further types gives whichever of them the server sent (TYPE-4, CTRL-1)."""
    method: LroMethod[Any, Any, Any] = IMPORT_BOOKS.or_types(response=struct_pb2.Struct, metadata=library_pb2.Shelf)
    struct = struct_pb2.Struct()
    struct["imported"] = 4
    async with both.pair({NAME: [succeeded(struct, metadata=SHELF)]}) as pair:
        handle = pair.client.attach(NAME, method)
        assert await both(handle.result()) == struct
        assert handle.operation.metadata == SHELF


@both_colours
async def test_two_clients_know_nothing_of_each_other(both: Both) -> None:
    """Handles of two clients on one channel share neither snapshots nor policies (law 8)."""
    async with both.pair({NAME: [pending(times=2), imported()]}) as pair:
        other = both.client(pair.channel, policy=polls(timeout=0), registry=TypeRegistry())
        mine, theirs = pair.client.attach(NAME, IMPORT_BOOKS), other.attach(NAME, IMPORT_BOOKS)
        with pytest.raises(WaitTimeoutError):
            await both(theirs.wait())
        assert mine.operation is None
        assert await both(mine.result()) == RESPONSE
        assert not theirs.operation.done
