# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The scripted servers of the testing kit, driven by bare gRPC stubs: sync and aio, on both sides."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias, TypeVar

import grpc
import grpc.aio
import pytest
from google.cloud.redis_v1 import types as redis
from google.protobuf import any_pb2, descriptor_pool, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from example.library.v1 import library_pb2
from longrunning._any import UnknownPayload
from longrunning._pb import operations_pb2
from longrunning.method import LroMethod
from longrunning.status import Code, Status
from longrunning.testing import (
    AsyncScriptedServer,
    Gate,
    RecordedCall,
    ScriptedOperations,
    ScriptedServer,
    Step,
    WaitSupport,
    async_operations_pair,
    cancelled,
    delayed,
    failed,
    late,
    malformed,
    no_result,
    operations_pair,
    pending,
    raw,
    rpc_error,
    succeeded,
    unavailable,
)

T = TypeVar("T")
AioStub: TypeAlias = "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]"
Stub: TypeAlias = "grpc.UnaryUnaryMultiCallable[bytes, bytes]"
Headers = tuple[tuple[str, str | bytes], ...]

NAME = "operations/1"
U = "type.googleapis.com/"
Instance: Any = redis.Instance  # proto-plus: its fields have no types
CreateInstanceRequest: Any = redis.CreateInstanceRequest
SHELF = library_pb2.Shelf(name="shelves/1", theme="poetry")
METADATA = library_pb2.ImportBooksMetadata(total=4, done=1, percent=25)
INFO = error_details_pb2.ErrorInfo(reason="FULL", domain="library.example.com")
CREATE_SHELF = LroMethod(
    path="/example.library.v1.Library/CreateShelf",
    request_type=library_pb2.CreateShelfRequest,
    response_type=library_pb2.Shelf,
    metadata_type=library_pb2.OperationMetadata,
)
CREATE_INSTANCE = LroMethod(
    path="/google.cloud.redis.v1.CloudRedis/CreateInstance",
    request_type=redis.CreateInstanceRequest,
    response_type=redis.Instance,
    metadata_type=redis.OperationMetadata,
)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine, and fails rather than hangs."""

    async def bounded() -> T:
        async with asyncio.timeout(20):
            return await coroutine

    return asyncio.run(bounded())


class Call:
    """An RPC under way."""

    def __init__(self, future: Any, *, sync: bool) -> None:
        self._future = future
        self._sync = sync

    def cancel(self) -> None:
        self._future.cancel()

    async def reply(self) -> bytes:
        data: bytes = await (asyncio.to_thread(self._future.result, 10) if self._sync else self._future)
        return data

    async def operation(self) -> operations_pb2.Operation:
        return operations_pb2.Operation.FromString(await self.reply())

    async def error(self) -> grpc.RpcError:
        with pytest.raises(grpc.RpcError) as raised:
            await self.reply()
        return raised.value


class Wire:
    """A scripted server and a bare channel to it."""

    def __init__(
        self, scripted: ScriptedOperations, server: ScriptedServer | AsyncScriptedServer, channel: Any
    ) -> None:
        self.scripted = scripted
        self.server = server
        self.channel = channel

    def call(
        self,
        rpc: str,
        request: bytes,
        *,
        metadata: Headers = (),
        timeout: float | None = 10,
        wait_for_ready: bool = False,
    ) -> Call:
        path = rpc if rpc.startswith("/") else f"/google.longrunning.Operations/{rpc}"
        sync = isinstance(self.server, ScriptedServer)
        stub = self.channel.unary_unary(path)
        send = stub.future if sync else stub
        return Call(send(request, timeout=timeout, metadata=metadata, wait_for_ready=wait_for_ready), sync=sync)

    def get(self, name: str = NAME, **options: Any) -> Call:
        return self.call("GetOperation", operations_pb2.GetOperationRequest(name=name).SerializeToString(), **options)

    def wait(self, server_timeout: float | None, name: str = NAME, **options: Any) -> Call:
        request = operations_pb2.WaitOperationRequest(name=name)
        if server_timeout is not None:
            nanos = round(server_timeout * 1e9)
            request.timeout.CopyFrom(duration_pb2.Duration(seconds=nanos // 10**9, nanos=nanos % 10**9))
        return self.call("WaitOperation", request.SerializeToString(), **options)

    def cancel(self, name: str = NAME) -> Call:
        return self.call("CancelOperation", operations_pb2.CancelOperationRequest(name=name).SerializeToString())

    def delete(self, name: str = NAME) -> Call:
        return self.call("DeleteOperation", operations_pb2.DeleteOperationRequest(name=name).SerializeToString())

    def start(self, method: LroMethod[Any, Any, Any] = CREATE_SHELF, request: bytes = b"") -> Call:
        return self.call(method.path, request)

    async def list(self, name: str = "", *, extra: bytes = b"", **fields: Any) -> operations_pb2.ListOperationsResponse:
        request = operations_pb2.ListOperationsRequest(name=name, **fields).SerializeToString() + extra
        return operations_pb2.ListOperationsResponse.FromString(await self.call("ListOperations", request).reply())

    async def until(self, condition: Callable[[tuple[RecordedCall, ...]], bool]) -> tuple[RecordedCall, ...]:
        return await self.scripted.wait_until_aio(condition)

    async def stop(self) -> None:
        if isinstance(self.server, ScriptedServer):
            await asyncio.to_thread(self.server.stop)
        else:
            await self.server.stop()

    async def restart(self) -> None:
        if isinstance(self.server, ScriptedServer):
            self.server.start()
        else:
            await self.server.start()


Connect = Callable[[ScriptedOperations], AbstractAsyncContextManager[Wire]]


@pytest.fixture(params=["sync", "aio"])
def connect(request: pytest.FixtureRequest) -> Connect:
    """Opens a server and a channel, both sync or both aio."""

    @asynccontextmanager
    async def open_sync(scripted: ScriptedOperations) -> AsyncGenerator[Wire, None]:
        with scripted.serve() as server, server.channel() as channel:
            yield Wire(scripted, server, channel)

    @asynccontextmanager
    async def open_aio(scripted: ScriptedOperations) -> AsyncGenerator[Wire, None]:
        async with scripted.serve_aio() as server, server.channel() as channel:
            yield Wire(scripted, server, channel)

    return open_sync if request.param == "sync" else open_aio


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Generator[None, None, None]:
    """Whatever a test does, neither we nor gRPC have anything to complain about."""
    yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def scripted(*script: Step, **options: Any) -> ScriptedOperations:
    return ScriptedOperations({NAME: script} if script else None, **options)


def code(error: Any) -> str:
    name: str = error.code().name
    return name


def names(operations: Iterable[operations_pb2.Operation]) -> list[str]:
    return [operation.name for operation in operations]


# -- steps ------------------------------------------------------------------------------------------------------


def test_a_script_is_played_poll_by_poll(connect: Connect) -> None:
    """Pending, pending, UNAVAILABLE, done: each poll consumes one step, and the last one repeats (SNAP-1, WAIT-6)."""

    async def main() -> None:
        async with connect(scripted(pending(METADATA, times=2), unavailable(), succeeded(SHELF))) as wire:
            seen: list[Any] = []
            for _ in range(5):
                try:
                    operation = await wire.get().operation()
                    seen.append((operation.name, operation.done))
                except grpc.RpcError as error:
                    seen.append((code(error), error.details()))
            assert seen == [
                (NAME, False),
                (NAME, False),
                ("UNAVAILABLE", "the scripted server is unavailable"),
                (NAME, True),
                (NAME, True),
            ]
            assert wire.scripted.rpcs() == ["GetOperation"] * 5
            outcomes = [call.outcome for call in wire.scripted.calls]
            assert outcomes == [Code.OK, Code.OK, Code.UNAVAILABLE, Code.OK, Code.OK]

    run(main())


def packed(message: Any) -> any_pb2.Any:
    return any_pb2.Any(type_url=U + message.DESCRIPTOR.full_name, value=message.SerializeToString())


Proto = operations_pb2.Operation


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (succeeded(SHELF), Proto(name=NAME, done=True, response=packed(SHELF))),
        (
            succeeded(redis.Instance(name="i"), metadata=METADATA),
            Proto(
                name=NAME,
                done=True,
                response=packed(Instance.pb()(name="i")),
                metadata=packed(METADATA),
            ),
        ),
        (
            failed(Code.ABORTED, "no", details=[INFO]),
            Proto(name=NAME, done=True, error=status_pb2.Status(code=10, message="no", details=[packed(INFO)])),
        ),
        (failed(0), Proto(name=NAME, done=True, error=status_pb2.Status())),
        (cancelled("stop"), Proto(name=NAME, done=True, error=status_pb2.Status(code=1, message="stop"))),
        (no_result(), Proto(name=NAME, done=True)),
        (malformed(SHELF), Proto(name=NAME, response=packed(SHELF))),
        (malformed(error=Status(5, "gone")), Proto(name=NAME, error=status_pb2.Status(code=5, message="gone"))),
        (
            succeeded(UnknownPayload(f"{U}example.library.v1.Shelf", b"\xff")),
            Proto(name=NAME, done=True, response=any_pb2.Any(type_url=f"{U}example.library.v1.Shelf", value=b"\xff")),
        ),
        (
            succeeded(UnknownPayload("evil.example.com/x")),
            Proto(name=NAME, done=True, response=any_pb2.Any(type_url="evil.example.com/x")),
        ),
        (raw(Proto(name="other", done=True)), Proto(name="other", done=True)),
    ],
    ids=[
        "response",
        "proto-plus",
        "error",
        "error-0",
        "cancelled",
        "neither",
        "early",
        "early-error",
        "corrupt",
        "evil",
        "raw",
    ],
)
def test_what_a_step_says_goes_over_the_wire(connect: Connect, step: Step, expected: operations_pb2.Operation) -> None:
    """Every kind of snapshot arrives as it was written, however wrong it is (SNAP-1..4, TYPE-2, TYPE-6)."""

    async def main() -> None:
        async with connect(scripted(step)) as wire:
            assert await wire.get().operation() == expected

    run(main())


def test_bytes_that_are_no_operation_go_over_the_wire(connect: Connect) -> None:
    """A reply may be any bytes at all (TYPE-2)."""

    async def main() -> None:
        async with connect(scripted(raw(b"\xff\xff"))) as wire:
            assert await wire.get().reply() == b"\xff\xff"

    run(main())


def test_rich_errors_carry_the_whole_status(connect: Connect) -> None:
    """An RPC error carries code, message and, in grpc-status-details-bin, the details (ERR-3)."""

    async def main() -> None:
        steps = rpc_error(8, "fülled", details=[INFO]), rpc_error(Status(Code.INTERNAL, "plain"), trailers=[("a", "b")])
        async with connect(scripted(*steps)) as wire:
            error: Any = await wire.get().error()
            assert (code(error), error.details()) == ("RESOURCE_EXHAUSTED", "fülled")
            trailers = dict(tuple(error.trailing_metadata()))
            assert status_pb2.Status.FromString(trailers["grpc-status-details-bin"]) == status_pb2.Status(
                code=8, message="fülled", details=[packed(INFO)]
            )
            error = await wire.get().error()
            assert (code(error), error.details()) == ("INTERNAL", "plain")
            assert dict(tuple(error.trailing_metadata())) == {"a": "b"}

    run(main())


def test_a_rich_status_can_be_wrong(connect: Connect) -> None:
    """A grpc-status-details-bin that a script gives replaces the right one (ERR-3)."""

    async def main() -> None:
        step = rpc_error(8, details=[INFO], trailers=[("grpc-status-details-bin", b"\xff")])
        async with connect(scripted(step)) as wire:
            error: Any = await wire.get().error()
            assert list(error.trailing_metadata()) == [("grpc-status-details-bin", b"\xff")]

    run(main())


def test_unknown_names_are_not_found(connect: Connect) -> None:
    """Get, Cancel, Delete and Wait of a name nobody knows are NOT_FOUND (WAIT-7)."""

    async def main() -> None:
        async with connect(scripted(wait_support=WaitSupport.SERVED)) as wire:
            for call in (wire.get("x"), wire.cancel("x"), wire.delete("x"), wire.wait(1, "x")):
                error: Any = await call.error()
                assert (code(error), error.details()) == ("NOT_FOUND", "operation 'x' not found")

    run(main())


# -- time -------------------------------------------------------------------------------------------------------


def test_a_late_reply_is_overtaken(connect: Connect) -> None:
    """A late reply tells what was true when its RPC came in, though a newer poll was answered before (SNAP-6)."""

    async def main() -> None:
        gate = Gate()
        async with connect(scripted(late(pending(), gate), succeeded(SHELF))) as wire:
            first = wire.get()
            await wire.until(lambda calls: len(calls) == 1)
            assert (await wire.get().operation()).done
            assert not gate.is_open
            gate.open()
            assert not (await first.operation()).done
            early, newer = wire.scripted.calls
            assert early.started < newer.started
            assert (newer.finished or 0) < (early.finished or 0)

    run(main())


def test_a_delayed_reply_tells_the_state_of_its_time(connect: Connect) -> None:
    """A delayed reply tells what is true when it is sent, also what a newer poll brought about (SNAP-6)."""

    async def main() -> None:
        gate = Gate()
        async with connect(scripted(delayed(pending(), gate), succeeded(SHELF))) as wire:
            first = wire.get()
            await wire.until(lambda calls: len(calls) == 1)
            assert (await wire.get().operation()).done
            gate.open()
            assert (await first.operation()).done
            assert (await wire.get().operation()).done

    run(main())


def test_a_delayed_reply_of_what_was_deleted_is_not_found(connect: Connect) -> None:
    """A slow server looks when it answers: what was deleted meanwhile is NOT_FOUND (CTRL-3)."""

    async def main() -> None:
        gate = Gate()
        async with connect(scripted(delayed(pending(), gate))) as wire:
            first = wire.get()
            await wire.until(lambda calls: len(calls) == 1)
            await wire.delete().reply()
            gate.open()
            assert code(await first.error()) == "NOT_FOUND"

    run(main())


def test_delays_are_real_time(connect: Connect) -> None:
    """A delay in seconds holds a reply, or an error, back that long, and deadlines strike meanwhile (WAIT-3)."""

    async def main() -> None:
        async with connect(
            scripted(delayed(pending(), 0.05), delayed(unavailable(), 0.05), delayed(pending(), 60))
        ) as wire:
            assert not (await wire.get().operation()).done
            assert code(await wire.get().error()) == "UNAVAILABLE"
            assert code(await wire.get(timeout=0.05).error()) == "DEADLINE_EXCEEDED"
            calls = await wire.until(lambda calls: calls[-1].outcome is not None)
            assert [call.outcome for call in calls] == [Code.OK, Code.UNAVAILABLE, Code.CANCELLED]
            assert all(call.finished is not None and call.finished - call.started >= 0.045 for call in calls)

    run(main())


def test_a_cancelled_rpc_is_recorded(connect: Connect) -> None:
    """An RPC that the client gives up while its reply is held back is recorded as CANCELLED (WAIT-9)."""

    async def main() -> None:
        async with connect(scripted(delayed(pending(), Gate()))) as wire:
            call = wire.get()
            (record,) = await wire.until(lambda calls: len(calls) == 1)
            assert (record.outcome, record.finished) == (None, None)
            call.cancel()
            (record,) = await wire.until(lambda calls: calls[0].outcome is not None)
            assert record.outcome is Code.CANCELLED
            assert record.finished is not None

    run(main())


# -- starting ---------------------------------------------------------------------------------------------------


def test_a_method_starts_operations(connect: Connect) -> None:
    """The first step is the reply to the start, the polls play the rest, and every start is a new operation (ERR-1)."""

    async def main() -> None:
        operations = scripted()
        operations.starts(CREATE_SHELF, pending(), pending(), succeeded(SHELF))
        async with connect(operations) as wire:
            for name in ("operations/1", "operations/2"):
                assert await wire.start().operation() == Proto(name=name)
                assert [(await wire.get(name).operation()).done for _ in range(2)] == [False, True]
            assert operations.names == ("operations/1", "operations/2")
            assert operations.rpcs("operations/2") == ["CreateShelf", "GetOperation", "GetOperation"]

    run(main())


def test_a_start_may_fail(connect: Connect) -> None:
    """Steps that fail the RPC start nothing; the next start goes on from there (ERR-1)."""

    async def main() -> None:
        operations = scripted()
        operations.starts(
            CREATE_SHELF, rpc_error(Code.PERMISSION_DENIED, "no", details=[INFO]), unavailable(), no_result()
        )
        async with connect(operations) as wire:
            error: Any = await wire.start().error()
            assert (code(error), error.details()) == ("PERMISSION_DENIED", "no")
            assert error.trailing_metadata()
            assert code(await wire.start().error()) == "UNAVAILABLE"
            assert await wire.start().operation() == Proto(name="operations/1", done=True)
            assert [call.name for call in operations.calls] == ["", "", "operations/1"]

    run(main())


def test_starts_take_turns(connect: Connect) -> None:
    """Several scripts of one method are for one start each, the last one for all further; names can be given (ERR-1)."""

    async def main() -> None:
        operations = scripted()
        operations.starts(CREATE_SHELF, pending(), name="batches/7")
        operations.starts(CREATE_SHELF, unavailable())
        operations.starts(CREATE_SHELF, no_result(), name="")
        operations.starts(CREATE_SHELF, pending(), parent="projects/p/locations/l")
        async with connect(operations) as wire:
            assert (await wire.start().operation()).name == "batches/7"
            assert code(await wire.start().error()) == "UNAVAILABLE"
            assert await wire.start().operation() == Proto(done=True)
            assert (await wire.start().operation()).name == "projects/p/locations/l/operations/1"
            assert (await wire.start().operation()).name == "projects/p/locations/l/operations/2"
            assert len(operations.names) == 3

    run(main())


def test_a_script_can_depend_on_the_request(connect: Connect) -> None:
    """by_request makes the script from the request, which is of the declared class, proto-plus too (TYPE-9)."""

    def create(request: redis.CreateInstanceRequest) -> list[Step]:
        return [succeeded(redis.Instance(name=f"{request.parent}/instances/{request.instance_id}"))]

    async def main() -> None:
        operations = scripted()
        operations.starts(CREATE_INSTANCE, by_request=create)
        async with connect(operations) as wire:
            request = redis.CreateInstanceRequest(parent="p", instance_id="i")
            data = CreateInstanceRequest.serialize(request)
            operation = await wire.start(CREATE_INSTANCE, data).operation()
            assert Instance.deserialize(operation.response.value).name == "p/instances/i"
            assert operations.calls[0].request == request

    run(main())


def test_methods_can_be_added_while_serving(connect: Connect) -> None:
    """A method nobody scripted is UNIMPLEMENTED, until it is scripted (ERR-1)."""

    async def main() -> None:
        async with connect(scripted()) as wire:
            assert code(await wire.start().error()) == "UNIMPLEMENTED"
            wire.scripted.starts(CREATE_SHELF, pending())
            assert (await wire.start().operation()).name == NAME

    run(main())


# -- the other RPCs ---------------------------------------------------------------------------------------------


def test_cancel_is_a_request(connect: Connect) -> None:
    """After a cancel the operation goes on as scripted: cancelled, otherwise, or as if nothing had happened (CTRL-2)."""

    async def main() -> None:
        operations = scripted()
        operations.add("a", pending(METADATA, times=None))
        operations.add("b", pending(times=None), on_cancel=[pending(), succeeded(SHELF)])
        operations.add("c", pending(times=2), succeeded(SHELF), on_cancel=())
        operations.add("d", succeeded(SHELF))
        async with connect(operations) as wire:
            for name in "abcd":
                await wire.get(name).reply()
                assert await wire.cancel(name).reply() == b""
            assert await wire.get("a").operation() == Proto(
                name="a", done=True, error=status_pb2.Status(code=1, message="cancelled"), metadata=packed(METADATA)
            )
            assert [(await wire.get("b").operation()).done for _ in range(2)] == [False, True]
            assert [(await wire.get("c").operation()).done for _ in range(2)] == [False, True]
            assert (await wire.get("d").operation()).HasField("response")

    run(main())


def test_an_rpc_can_be_made_to_fail(connect: Connect) -> None:
    """Each RPC can be made to fail so many times, or for ever, as where a service does not implement it (CTRL-2)."""

    async def main() -> None:
        operations = scripted(pending())
        operations.fails("CancelOperation", rpc_error(Code.UNIMPLEMENTED, "not here", times=None))
        operations.fails("DeleteOperation", unavailable(times=2), delayed(rpc_error(Code.ABORTED), 0.01))
        async with connect(operations) as wire:
            for _ in range(3):
                assert code(await wire.cancel().error()) == "UNIMPLEMENTED"
            seen = [code(await wire.delete().error()) for _ in range(3)]
            assert seen == ["UNAVAILABLE", "UNAVAILABLE", "ABORTED"]
            assert await wire.delete().reply() == b""

    run(main())


def test_what_was_deleted_is_not_found(connect: Connect) -> None:
    """After a delete every RPC says NOT_FOUND and no list shows it; an expired one just as much (CTRL-3)."""

    async def main() -> None:
        operations = scripted(pending())
        operations.add("operations/2", pending())
        async with connect(operations) as wire:
            assert await wire.delete().reply() == b""
            operations.remove("operations/2")
            for call in (wire.get(), wire.cancel(), wire.delete(), wire.get("operations/2")):
                assert code(await call.error()) == "NOT_FOUND"
            assert not (await wire.list()).operations

    run(main())


def test_lists_show_the_operations_under_a_name(connect: Connect) -> None:
    """A list holds what is under the name, as it was last shown, and moves no script (CTRL-4)."""

    async def main() -> None:
        operations = scripted(pending(METADATA), succeeded(SHELF))
        operations.add("operations/2", unavailable(), succeeded(SHELF))
        operations.add("operations/3", unavailable())
        operations.add("projects/p/operations/1", no_result())
        async with connect(operations) as wire:
            assert await wire.get().operation() == Proto(name=NAME, metadata=packed(METADATA))
            page = await wire.list("operations")
            assert list(page.operations) == [
                Proto(name=NAME, metadata=packed(METADATA)),
                Proto(name="operations/2", done=True, response=packed(SHELF)),
                Proto(name="operations/3"),
            ]
            assert names((await wire.list("projects/p")).operations) == ["projects/p/operations/1"]
            assert names((await wire.list("projects/p/operations")).operations) == ["projects/p/operations/1"]
            assert not (await wire.list("project")).operations
            assert (await wire.get().operation()).done

    run(main())


def test_lists_have_pages(connect: Connect) -> None:
    """Pages follow page_size and page_token, a larger page than the server's is cut, and nonsense is refused (CTRL-4)."""

    async def main() -> None:
        operations = scripted(page_size=3)
        for number in range(1, 6):
            operations.add(str(number), pending())
        async with connect(operations) as wire:
            for size, expected in ((2, ["12", "34", "5"]), (0, ["123", "45"]), (100, ["123", "45"]), (1, [*"12345"])):
                pages: list[str] = []
                token = ""
                while token or not pages:
                    page = await wire.list(page_size=size, page_token=token)
                    pages.append("".join(names(page.operations)))
                    token = page.next_page_token
                assert pages == expected
            wrongs: list[dict[str, Any]] = [{"page_size": -1}, {"page_token": "nonsense"}, {"page_token": "-1"}]
            for wrong in wrongs:
                with pytest.raises(grpc.RpcError) as raised:
                    await wire.list(**wrong)
                assert code(raised.value) == "INVALID_ARGUMENT"

    run(main())


def test_list_filters_are_recorded(connect: Connect) -> None:
    """A filter is recorded, and obeyed where the script says how (CTRL-4)."""

    async def main() -> None:
        operations = scripted(pending())
        operations.add("operations/2", no_result())
        async with connect(operations) as wire:
            assert names((await wire.list(filter="done")).operations) == [NAME, "operations/2"]
            operations.list_filter = lambda text, operation: operation.done or text != "done"
            assert names((await wire.list(filter="done")).operations) == ["operations/2"]
            assert names((await wire.list()).operations) == [NAME, "operations/2"]
            assert [call.request.filter for call in operations.calls] == ["done", "done", ""]

    run(main())


def test_partial_success_is_by_field_number(connect: Connect) -> None:
    """Field 5 of the request brings field 3 of the last page, whatever fields the installed protos know (CTRL-4)."""

    async def main() -> None:
        operations = scripted(pending(), unreachable=["projects/p/locations/a", "projects/p/locations/b"])
        operations.add("operations/2", pending())
        async with connect(operations) as wire:
            unreachable = b"\x1a\x16projects/p/locations/a\x1a\x16projects/p/locations/b"
            with_it = (await wire.list(extra=b"\x28\x01")).SerializeToString()
            assert with_it.endswith(unreachable)
            assert unreachable not in (await wire.list(extra=b"\x28\x01", page_size=1)).SerializeToString()
            assert unreachable not in (await wire.list()).SerializeToString()
            assert unreachable not in (await wire.list(extra=b"\x28\x00")).SerializeToString()

    run(main())


def test_wait_operation_is_unimplemented_by_default(connect: Connect) -> None:
    """Like most services, a scripted one has no WaitOperation unless told so (WAIT-5)."""

    async def main() -> None:
        async with connect(scripted(pending())) as wire:
            assert code(await wire.wait(1).error()) == "UNIMPLEMENTED"

    run(main())


def test_wait_operation_plays_the_script(connect: Connect) -> None:
    """A served WaitOperation plays on until the operation is done, at once or when a step's time has come (WAIT-5)."""

    async def main() -> None:
        operations = scripted(pending(times=1000), succeeded(SHELF), wait_support=WaitSupport.SERVED)
        operations.add("slow", pending(), delayed(pending(METADATA), 0.02), delayed(succeeded(SHELF), 0.02))
        operations.add("bad", pending(), unavailable(), succeeded(SHELF))
        async with connect(operations) as wire:
            assert (await wire.wait(None).operation()).done
            before = time.monotonic()
            assert (await wire.wait(5, "slow").operation()).done
            assert time.monotonic() - before >= 0.035
            assert code(await wire.wait(5, "bad").error()) == "UNAVAILABLE"
            assert (await wire.wait(5, "bad").operation()).done

    run(main())


def test_wait_operation_ends_with_its_timeout(connect: Connect) -> None:
    """When its timeout or deadline is over, a WaitOperation is OK with the latest state; a negative one is refused (WAIT-5)."""

    async def main() -> None:
        script = pending(), pending(METADATA), delayed(succeeded(SHELF), 60)
        latest = Proto(name=NAME, metadata=packed(METADATA))
        async with connect(scripted(*script, wait_support=WaitSupport.SERVED)) as wire:
            assert await wire.wait(0).operation() == Proto(name=NAME)
            assert await wire.wait(0.05).operation() == latest
            assert await wire.wait(None, timeout=0.2).operation() == latest
            assert await wire.wait(2**61, timeout=0.2).operation() == latest
            assert code(await wire.wait(-1).error()) == "INVALID_ARGUMENT"

    run(main())


def test_the_delay_of_a_step_counts_over_several_waits(connect: Connect) -> None:
    """Waits that end before a step's time bring it nearer all the same (WAIT-5)."""

    async def main() -> None:
        script = pending(), delayed(succeeded(SHELF), 0.1)
        async with connect(scripted(*script, wait_support=WaitSupport.SERVED)) as wire:
            seen = [(await wire.wait(0.04).operation()).done for _ in range(4)]
            assert (seen[0], seen[-1]) == (False, True)

    run(main())


def test_a_waiting_rpc_notices_changes(connect: Connect) -> None:
    """A WaitOperation under way sees polls, open gates, cancels, new scripts and deletes (WAIT-5)."""

    async def main() -> None:
        gate = Gate()
        operations = scripted(pending(), delayed(succeeded(SHELF), gate), wait_support=WaitSupport.SERVED)
        for name in ("cancelled", "rescripted", "deleted"):
            operations.add(name, pending())
        operations.add("polled", pending(), delayed(succeeded(SHELF), Gate()), late(succeeded(SHELF), Gate()))
        async with connect(operations) as wire:
            calls = [wire.wait(None, name) for name in ("polled", NAME, "cancelled", "rescripted", "deleted")]
            await wire.until(lambda calls: len(calls) == 5)
            poll = wire.get("polled")
            assert (await calls.pop(0).operation()).done
            poll.cancel()
            gate.open()
            await wire.cancel("cancelled").reply()
            operations.add("rescripted", no_result())
            await wire.delete("deleted").reply()
            assert [(await call.operation()).done for call in calls[:3]] == [True] * 3
            assert code(await calls[3].error()) == "NOT_FOUND"

    run(main())


def test_wait_operation_may_return_at_once(connect: Connect) -> None:
    """A server that returns from WaitOperation at once plays one step for each (WAIT-5)."""

    async def main() -> None:
        operations = scripted(pending(times=2), succeeded(SHELF), wait_support=WaitSupport.RETURNS_AT_ONCE)
        async with connect(operations) as wire:
            assert [(await wire.wait(30).operation()).done for _ in range(3)] == [False, False, True]

    run(main())


# -- records ----------------------------------------------------------------------------------------------------


def test_every_rpc_is_recorded(connect: Connect) -> None:
    """Each RPC is recorded with path, name, request, all headers and the time it had (WAIT-10)."""

    async def main() -> None:
        async with connect(scripted(pending(), unreachable=["x"])) as wire:
            headers = (
                ("x-goog-request-params", "name=operations/1"),
                ("twice", "a"),
                ("twice", "b"),
                ("data-bin", b"\xff"),
            )
            await wire.get(metadata=headers, timeout=30).reply()
            await wire.get(timeout=None).reply()
            await wire.list("operations")
            first, second, third = wire.scripted.calls
            assert first.method == "/google.longrunning.Operations/GetOperation"
            assert (first.rpc, first.name) == ("GetOperation", NAME)
            assert first.request == operations_pb2.GetOperationRequest(name=NAME)
            assert tuple(item for item in first.metadata if item[0] != "user-agent") == headers
            assert first.header("Twice") == ("a", "b")
            assert first.header("data-bin") == (b"\xff",)
            assert first.header("absent") == ()
            assert first.deadline == pytest.approx(30, abs=1)
            assert second.deadline is None
            assert (third.rpc, third.name) == ("ListOperations", "operations")
            assert wire.scripted.rpcs(NAME) == ["GetOperation", "GetOperation"]
            wire.scripted.clear()
            assert wire.scripted.calls == ()
            await wire.get().reply()
            assert wire.scripted.rpcs() == ["GetOperation"]

    run(main())


def test_waiting_for_records_is_bounded(connect: Connect) -> None:
    """wait_until and its async twin end in a TimeoutError that tells what was called (law 5)."""

    async def main() -> None:
        async with connect(scripted(pending(), delayed(pending(), Gate()))) as wire:
            await wire.get().reply()
            under_way = wire.get()
            await wire.until(lambda calls: len(calls) == 2)
            text = r"not so after 0\.01 s; the RPCs were \[GetOperation: OK, GetOperation: under way\]"
            with pytest.raises(TimeoutError, match=text):
                wire.scripted.wait_until(lambda _: False, timeout=0.01)
            with pytest.raises(TimeoutError, match=text):
                await wire.scripted.wait_until_aio(lambda _: False, timeout=0.01)
            under_way.cancel()

    run(main())


def test_a_thread_can_wait_for_records() -> None:
    """wait_until wakes when the RPC it waits for comes in (law 5)."""
    operations = scripted(pending())
    with operations.serve() as server, server.channel() as channel:
        request = operations_pb2.GetOperationRequest(name=NAME).SerializeToString()
        stub: Stub = channel.unary_unary("/google.longrunning.Operations/GetOperation")
        timer = threading.Timer(0.02, stub, [request, 10])
        timer.start()
        (call,) = operations.wait_until(lambda calls: bool(calls) and calls[0].outcome is Code.OK)
        timer.join(10)
    assert call.rpc == "GetOperation"


# -- servers ----------------------------------------------------------------------------------------------------


def test_a_server_can_be_cut_and_restarted(connect: Connect) -> None:
    """Stopping cuts the RPCs under way; started again on its port, the server plays on (WAIT-12)."""

    async def main() -> None:
        async with connect(scripted(delayed(pending(), Gate()), succeeded(SHELF))) as wire:
            address = wire.server.address
            cut = wire.get()
            await wire.until(lambda calls: len(calls) == 1)
            before = time.monotonic()
            await wire.stop()
            assert time.monotonic() - before < 2
            assert code(await cut.error()) == "UNAVAILABLE"
            assert wire.scripted.calls[0].outcome is Code.CANCELLED
            assert repr(wire.server).endswith("stopped>")
            assert code(await wire.get(timeout=5).error()) == "UNAVAILABLE"
            await wire.stop()
            await wire.restart()
            assert wire.server.address == address
            assert repr(wire.server).endswith("running>")
            assert (await wire.get(wait_for_ready=True).operation()).done
            with pytest.raises(RuntimeError, match="is running"):
                await wire.restart()

    run(main())


def test_a_graceful_stop_lets_rpcs_end(connect: Connect) -> None:
    """Stopping with grace answers what is under way first (WAIT-12)."""

    async def main() -> None:
        async with connect(scripted(delayed(pending(), 0.05))) as wire:
            call = wire.get()
            await wire.until(lambda calls: len(calls) == 1)
            if isinstance(wire.server, ScriptedServer):
                await asyncio.to_thread(wire.server.stop, 5)
            else:
                await wire.server.stop(5)
            assert not (await call.operation()).done

    run(main())


def test_a_server_leaves_no_thread_behind() -> None:
    """After a server was stopped with RPCs under way its threads are gone (law 8)."""
    before = set(threading.enumerate())
    operations = scripted(delayed(pending(), Gate()))
    with operations.serve() as server, server.channel() as channel:
        stub: Stub = channel.unary_unary("/google.longrunning.Operations/GetOperation")
        request = operations_pb2.GetOperationRequest(name=NAME).SerializeToString()
        futures = [stub.future(request) for _ in range(5)]
        operations.wait_until(lambda calls: len(calls) == 5)
    assert all(future.exception() is not None for future in futures)
    deadline = time.monotonic() + 5
    while (left := set(threading.enumerate()) - before) and time.monotonic() < deadline:
        time.sleep(0.005)
    assert not left


def test_a_taken_port_is_told(connect: Connect) -> None:
    """A server that cannot listen says so instead of sharing a port (WAIT-12)."""

    async def main() -> None:
        async with connect(scripted()) as wire:
            with pytest.raises(RuntimeError):
                scripted().serve(address=wire.server.address).start()
            with pytest.raises(RuntimeError):
                await scripted().serve_aio(address=wire.server.address).start()

    run(main())


def test_other_services_can_be_added() -> None:
    """A server takes further services beside the scripts (law 6)."""

    def echo(data: bytes, _: object) -> bytes:
        return data

    def register(server: grpc.Server | grpc.aio.Server) -> None:
        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(echo)
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("example.Echo", {"Echo": handler})])

    with scripted().serve(register=register) as server, server.channel() as channel:
        stub: Stub = channel.unary_unary("/example.Echo/Echo")
        assert stub(b"hello", timeout=10) == b"hello"

    async def main() -> None:
        async with scripted().serve_aio(register=register) as server, server.channel() as channel:
            stub: AioStub = channel.unary_unary("/example.Echo/Echo")
            assert await stub(b"hello", timeout=10) == b"hello"

    run(main())


def test_servers_can_be_secured() -> None:
    """With credentials the servers and their channels speak TLS (law 6)."""
    key, certificate = certify()
    credentials = grpc.ssl_server_credentials([(key, certificate)])
    trust = grpc.ssl_channel_credentials(certificate)
    request = operations_pb2.GetOperationRequest(name=NAME).SerializeToString()
    path = "/google.longrunning.Operations/GetOperation"
    with scripted(pending()).serve(credentials=credentials) as server, server.channel(credentials=trust) as channel:
        stub: Stub = channel.unary_unary(path)
        assert stub(request, timeout=10)

    async def main() -> None:
        async with (
            scripted(pending()).serve_aio(credentials=credentials) as server,
            server.channel(credentials=trust) as channel,
        ):
            stub: AioStub = channel.unary_unary(path)
            assert await stub(request, timeout=10)

    run(main())


def certify() -> tuple[bytes, bytes]:
    """A key and a certificate for 127.0.0.1, made for this test."""
    import datetime as dt
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return (
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        certificate.public_bytes(serialization.Encoding.PEM),
    )


def test_the_kit_registers_nothing() -> None:
    """Importing the whole kit adds no file of google.longrunning to the pool: the class is the installed one (law 1)."""
    from google.longrunning import operations_proto_pb2

    assert id(operations_pb2.Operation) == id(operations_proto_pb2.Operation)
    found = descriptor_pool.Default().FindMessageTypeByName("google.longrunning.Operation")
    assert found.file.name == "google/longrunning/operations.proto"
    assert found is operations_pb2.Operation.DESCRIPTOR


# -- pairs ------------------------------------------------------------------------------------------------------


def test_a_pair_is_a_real_client_of_a_real_server() -> None:
    """operations_pair() gives a client with a fake clock, and the server whose RPCs it sends (WAIT-1)."""
    operations = scripted()
    operations.starts(CREATE_SHELF, pending(), unavailable(), succeeded(SHELF))
    with operations_pair(operations) as pair:
        handle = pair.client.start(CREATE_SHELF, library_pb2.CreateShelfRequest(shelf_id="1"))
        assert handle.result(timeout=60) == SHELF
        assert len(pair.clock.sleeps) == 1
        assert pair.operations.rpcs() == ["CreateShelf", "WaitOperation", "GetOperation", "GetOperation"]
        assert pair.address == pair.server.address
    with operations_pair({NAME: [succeeded(SHELF)]}) as pair:
        assert pair.client.get(NAME, CREATE_SHELF).result() == SHELF


def test_an_async_pair_is_a_real_client_of_a_real_server() -> None:
    """async_operations_pair() gives a client with a fake clock, and the server whose RPCs it sends (WAIT-1)."""

    async def main() -> None:
        operations = scripted()
        operations.starts(CREATE_SHELF, pending(), unavailable(), succeeded(SHELF))
        async with async_operations_pair(operations) as pair:
            handle = await pair.client.start(CREATE_SHELF, library_pb2.CreateShelfRequest(shelf_id="1"))
            assert await handle.result(timeout=60) == SHELF
            assert len(pair.clock.sleeps) == 1
            assert pair.operations.rpcs() == ["CreateShelf", "WaitOperation", "GetOperation", "GetOperation"]
            assert pair.address == pair.server.address
        async with async_operations_pair({NAME: [succeeded(SHELF)]}) as pair:
            assert (await pair.client.get(NAME, CREATE_SHELF)).result() == SHELF

    run(main())
