# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Taking over the operations of google-cloud clients: theirs is the connection, ours the waiting."""

from __future__ import annotations

import asyncio
import functools
import gc
import json
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import grpc
import pytest
from google.api_core import extended_operation, operation, operation_async, operations_v1
from google.auth import credentials as auth
from google.cloud import redis_v1
from google.cloud.redis_v1.services.cloud_redis import transports
from google.longrunning import operations_proto_pb2
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2

from longrunning import (
    Code,
    LroMethod,
    OperationCancelledError,
    OperationError,
    OperationsClient,
    OperationState,
    PayloadError,
    PollingError,
    PollPolicy,
    RpcError,
    TypeRegistry,
    UnknownPayload,
    WaitTimeoutError,
)
from longrunning.errors import OperationNotFoundError
from longrunning.names import ROUTING_HEADER
from longrunning.testing import (
    Gate,
    ScriptedOperations,
    Step,
    WaitSupport,
    delayed,
    failed,
    pending,
    rpc_error,
    succeeded,
    unavailable,
)
from tests.pair.colours import (
    CANCEL,
    DELETE,
    GET,
    IMPORT_BOOKS,
    Both,
    both_colours,
    run,
    settle,
)

WAIT = "WaitOperation"
PARENT = "projects/p/locations/l"
# They are not typed.
redis: Any = redis_v1
their_sync: Any = vars(operation)["from_gapic"]
their_async: Any = vars(operation_async)["from_gapic"]
their_transports: Any = transports
Message: Any = operations_proto_pb2.Operation

CREATE_INSTANCE: LroMethod[Any, Any, Any] = LroMethod(
    path="/google.cloud.redis.v1.CloudRedis/CreateInstance",
    request_type=redis.CreateInstanceRequest,
    response_type=redis.Instance,
    metadata_type=redis.OperationMetadata,
)
INSTANCE = redis.Instance(name=f"{PARENT}/instances/one", port=6379)
QUICK = PollPolicy(initial=0.05, maximum=0.05, jitter=0, final_poll_timeout=0.5)


def progress(target: str = "one", *, times: int | None = 1) -> Step:
    return pending(redis.OperationMetadata(target=target), times=times)


def created() -> Step:
    return succeeded(INSTANCE, metadata=redis.OperationMetadata(target="done"))


class Cloud:
    """A google-cloud-redis client of either colour, its server, and a client of ours that is connected to another server."""

    def __init__(
        self, both: Both, theirs: ScriptedOperations, ours: ScriptedOperations, channel: Any, own: Any
    ) -> None:
        self.both = both
        self.theirs = theirs
        self.ours = ours
        self.channel = channel
        self.own_channel = own
        if both.sync:
            self.redis = redis.CloudRedisClient(transport=their_transports.CloudRedisGrpcTransport(channel=channel))
        else:
            self.redis = redis.CloudRedisAsyncClient(
                transport=their_transports.CloudRedisGrpcAsyncIOTransport(channel=channel)
            )
        self.clock: Any = both.clock()
        self.client = self.new_client()

    def new_client(self, **options: Any) -> Any:
        """A client of ours, on a channel of its own."""
        return self.both.client(self.own_channel, **{"clock": self.clock, "policy": PollPolicy(jitter=0), **options})

    async def create(self, **options: Any) -> Any:
        """What their create_instance() returns."""
        request = redis.CreateInstanceRequest(parent=PARENT, instance_id="one", instance=redis.Instance())
        future = await self.both(self.redis.create_instance(request, **options))
        self.theirs.clear()
        return future

    def future(self, name: str = "operations/1", **options: Any) -> Any:
        """A future of theirs for an operation that nobody started, on a plain operations client of theirs."""
        client: Any = operations_v1.OperationsClient if self.both.sync else operations_v1.OperationsAsyncClient
        make = their_sync if self.both.sync else their_async
        return make(
            Message(name=name),
            client(self.channel),
            redis.Instance.pb(),
            metadata_type=redis.OperationMetadata.pb(),
            **options,
        )


@asynccontextmanager
async def cloud(
    both: Both, *script: Step, scripts: dict[str, list[Step]] | None = None, **options: Any
) -> AsyncGenerator[Cloud, None]:
    """A `Cloud` whose create_instance() plays that script; nothing may reach the server our own client is connected to."""
    theirs, ours = ScriptedOperations(scripts, **options), ScriptedOperations()
    theirs.starts(CREATE_INSTANCE, *(script or [progress(), progress(), created()]), parent=PARENT)
    async with (
        both.serve(theirs) as server,
        both.serve(ours) as other,
        both.channel(server.address) as channel,
        both.channel(other.address) as own,
    ):
        yield Cloud(both, theirs, ours, channel, own)
        assert ours.rpcs() == []


# -- typed --------------------------------------------------------------------------------------------------------


@both_colours
async def test_with_a_method_it_is_typed(both: Both) -> None:
    """An operation of a google-cloud client becomes a handle with the types of the given method (CTRL-5)."""
    async with cloud(both) as here:
        theirs = await here.create()
        handle = here.client.adopt(theirs, CREATE_INSTANCE)
        assert handle.name == theirs.operation.name == f"{PARENT}/operations/1"
        assert handle.operation.metadata == redis.OperationMetadata(target="one")
        assert here.theirs.rpcs() == []
        done = await both(handle.wait())
        assert (done.result(), type(done.result())) == (INSTANCE, redis.Instance)
        assert done.metadata == redis.OperationMetadata(target="done")
        assert here.theirs.rpcs() == [GET, GET]


@both_colours
async def test_without_a_method_it_has_the_types_of_their_future(both: Both) -> None:
    """Without a method the types are those their future was made with: an Instance comes out, as it does there (CTRL-5)."""
    async with cloud(both) as here:
        handle = here.client.adopt(await here.create())
        result = await both(handle.result())
        assert type(result) is redis.Instance
        assert result == INSTANCE
        assert handle.operation.metadata == redis.OperationMetadata(target="done")


@both_colours
async def test_without_a_method_a_registry_helps(both: Both) -> None:
    """Without a method, a registry that knows the types of the service reads its payloads (CTRL-5, TYPE-3)."""
    async with cloud(both) as here:
        client = here.new_client(registry=TypeRegistry(redis.Instance, redis.OperationMetadata))
        assert await both(client.adopt(await here.create()).result()) == INSTANCE


@both_colours
async def test_without_metadata_types_it_still_reads(both: Both) -> None:
    """Their future without a metadata type, whose .metadata fails there, is adopted without a fault (CTRL-5, PROG-3)."""
    async with cloud(both, scripts={"operations/1": [created()]}) as here:
        client: Any = operations_v1.OperationsClient if both.sync else operations_v1.OperationsAsyncClient
        make = their_sync if both.sync else their_async
        started = Message(name="operations/1")
        started.metadata.Pack(redis.OperationMetadata.pb(redis.OperationMetadata(target="one")))
        theirs = make(started, client(here.channel), redis.Instance.pb())
        with pytest.raises(TypeError):
            _ = theirs.metadata
        done = await both(here.client.adopt(theirs).wait())
        assert done.done
        assert done.metadata is not None


@both_colours
async def test_a_method_of_another_type_is_told_apart(both: Both) -> None:
    """Adopted with the wrong method the response is a PayloadError, the same each time, and not None (CTRL-5, TYPE-1)."""
    async with cloud(both) as here:
        handle = here.client.adopt(await here.create(), IMPORT_BOOKS)
        done = await both(handle.wait())
        for _ in range(2):
            with pytest.raises(PayloadError):
                done.result()


@both_colours
async def test_deletions_are_empty(both: Both) -> None:
    """An operation whose response is Empty is adopted like any other, with a method or without (CTRL-5, TYPE-5)."""
    from google.protobuf import empty_pb2

    method: LroMethod[Any, Any, Any] = LroMethod(
        path="/google.cloud.redis.v1.CloudRedis/DeleteInstance",
        request_type=redis.DeleteInstanceRequest,
        response_type=empty_pb2.Empty,
        metadata_type=redis.OperationMetadata,
    )
    async with cloud(both) as here:
        here.theirs.starts(method, progress(), succeeded(empty_pb2.Empty()), parent=PARENT)
        for given in (method, None):
            theirs = await both(here.redis.delete_instance(name=INSTANCE.name))
            assert await both(here.client.adopt(theirs, given).result()) == empty_pb2.Empty()


# -- their connection, their headers ------------------------------------------------------------------------------


@both_colours
async def test_headers_of_the_given_handle_go_along(both: Both) -> None:
    """Metadata given to adopt() reaches every poll, the cancel and the delete, with one routing header each (CTRL-5, WAIT-10)."""
    async with cloud(both) as here:
        mine = [("x-mine", "1"), (ROUTING_HEADER, "name=another")]
        handle = here.client.adopt(await here.create(), CREATE_INSTANCE, metadata=mine)
        await both(handle.cancel())
        await both(handle.wait())
        await both(handle.delete())
        assert here.theirs.rpcs() == [CANCEL, GET, DELETE]
        for call in here.theirs.calls:
            assert call.header("x-mine") == ("1",)
            assert call.header(ROUTING_HEADER) == (f"name={PARENT}/operations/1",)
            assert call.header("x-goog-api-client")
        assert mine == [("x-mine", "1"), (ROUTING_HEADER, "name=another")]


@both_colours
async def test_headers_of_the_client_stay_at_home(both: Both) -> None:
    """The client's own headers, which may be credentials, are not sent to the server of an adopted operation (CTRL-5)."""
    async with cloud(both) as here:
        client = both.client(here.channel, metadata=[("x-secret", "1")])
        await both(client.adopt(await here.create(), CREATE_INSTANCE).wait())
        assert here.theirs.calls
        assert all(call.header("x-secret") == () for call in here.theirs.calls)


@both_colours
async def test_headers_of_their_future_go_along(both: Both) -> None:
    """The metadata their future was made with reaches every poll; their list does not grow, as it does there (CTRL-5, WAIT-10)."""
    async with cloud(both, scripts={"operations/1": [pending(times=4), created()]}) as here:
        headers = [("x-theirs", "1")]
        theirs = here.future(grpc_metadata=headers)
        handle = here.client.adopt(theirs, CREATE_INSTANCE)
        await both(handle.wait())
        assert len(here.theirs.calls) == 5
        for call in here.theirs.calls:
            assert call.header("x-theirs") == ("1",)
            assert call.header(ROUTING_HEADER) == ("name=operations/1",)
        assert headers == [("x-theirs", "1")]


@both_colours
async def test_a_list_that_has_grown_already_is_sent_once(both: Both) -> None:
    """A future that was polled there, which appends a routing header each time, is polled here with exactly one (CTRL-5, WAIT-10)."""
    async with cloud(both, scripts={"operations/1": [pending(times=5), created()]}) as here:
        theirs = here.future(grpc_metadata=[("x-theirs", "1")])
        for _ in range(2):
            await both(theirs.done())
        here.theirs.clear()
        await both(here.client.adopt(theirs, CREATE_INSTANCE).wait())
        for call in here.theirs.calls:
            assert call.header(ROUTING_HEADER) == ("name=operations/1",)


@both_colours
async def test_one_poll_has_our_time(both: Both) -> None:
    """Polls over their client have the deadline of our policy, 30 s, and not their ten minutes (CTRL-5, WAIT-3)."""
    async with cloud(both, scripts={"operations/1": [created()]}) as here:
        await both(here.client.adopt(here.future(), CREATE_INSTANCE).wait())
        [call] = here.theirs.calls
        assert call.deadline == pytest.approx(30, abs=0.5)


@both_colours
async def test_their_future_is_left_as_it_is(both: Both) -> None:
    """Adopting changes nothing about their future: it can still be used afterwards (CTRL-5)."""
    async with cloud(both) as here:
        theirs = await here.create()
        before = Message()
        before.CopyFrom(theirs.operation)
        await both(here.client.adopt(theirs, CREATE_INSTANCE).wait())
        assert theirs.operation == before
        assert await both(theirs.result(timeout=10)) == INSTANCE


@both_colours
async def test_one_future_adopted_by_several(both: Both) -> None:
    """A future can be adopted by several clients, each of which waits for itself (CTRL-5)."""
    async with cloud(both) as here:
        theirs = await here.create()
        handles = [client.adopt(theirs, CREATE_INSTANCE) for client in (here.client, here.new_client())]
        for handle in handles:
            assert await both(handle.result()) == INSTANCE


# -- waiting ------------------------------------------------------------------------------------------------------


@both_colours
async def test_done_already_costs_nothing(both: Both) -> None:
    """An operation that came back done needs no RPC for wait, result, refresh and cancel (CTRL-5, WAIT-2)."""
    async with cloud(both, created()) as here:
        handle = here.client.adopt(await here.create(), CREATE_INSTANCE)
        done = await both(handle.wait())
        assert done is handle.operation
        assert await both(handle.result()) == INSTANCE
        assert await both(handle.refresh()) is done
        await both(handle.cancel())
        assert await both.collect(handle.watch()) == [done]
        assert [result is done for result in await both(here.client.wait_all([handle]))] == [True]
        assert here.theirs.rpcs() == []


@both_colours
async def test_retries_are_not_stacked(both: Both) -> None:
    """Each failed poll is one RPC, retried by our policy alone: their client's own retries are off (CTRL-5, WAIT-6)."""
    async with cloud(both, scripts={"operations/1": [unavailable(times=3), pending(), created()]}) as here:
        await both(here.client.adopt(here.future(), CREATE_INSTANCE).wait())
        assert here.theirs.rpcs() == [GET] * 5
        sleeps = here.clock.sleeps
        assert sleeps[sleeps.index(0.5) :][:3] == [0.5, 1, 2]


@both_colours
async def test_a_cancel_is_sent_once(both: Both) -> None:
    """A cancel that fails is told at once, and not retried behind our back for minutes (CTRL-5, CTRL-2)."""
    async with cloud(both, scripts={"operations/1": [pending()]}) as here:
        here.theirs.fails(CANCEL, unavailable(times=None))
        here.theirs.fails(DELETE, unavailable(times=None))
        handle = here.client.adopt(here.future(), CREATE_INSTANCE)
        for verb in (handle.cancel, handle.delete):
            with pytest.raises(RpcError) as caught:
                await both(verb())
            assert caught.value.code is Code.UNAVAILABLE
        assert here.theirs.rpcs() == [CANCEL, DELETE]


@both_colours
async def test_cancel_and_delete(both: Both) -> None:
    """Cancel and delete go over their connection and mean what they always mean (CTRL-5, CTRL-2, CTRL-3)."""
    async with cloud(both, progress(times=None)) as here:
        handle = here.client.adopt(await here.create(), CREATE_INSTANCE)
        await both(handle.cancel())
        done = await both(handle.wait())
        assert done.state is OperationState.CANCELLED
        with pytest.raises(OperationCancelledError):
            done.result()
        await both(handle.delete())
        again = here.client.adopt(here.future(handle.name), CREATE_INSTANCE)
        with pytest.raises(OperationNotFoundError):
            await both(again.wait())
        assert here.theirs.rpcs() == [CANCEL, GET, DELETE, GET]


@pytest.mark.parametrize("code", [Code.UNIMPLEMENTED, Code.PERMISSION_DENIED], ids=str)
@both_colours
async def test_a_cancel_that_is_not_to_be_had(both: Both, code: Code) -> None:
    """That a server cannot cancel can be told apart over their client, too (CTRL-5, CTRL-2)."""
    async with cloud(both, progress(times=None)) as here:
        here.theirs.fails(CANCEL, rpc_error(code, "no"))
        handle = here.client.adopt(await here.create(), CREATE_INSTANCE)
        with pytest.raises(RpcError) as caught:
            await both(handle.cancel())
        assert (caught.value.code, caught.value.name) == (code, handle.name)


INFO = error_details_pb2.ErrorInfo(reason="QUOTA", domain="redis.googleapis.com", metadata={"limit": "1"})


@both_colours
async def test_details_of_a_failed_poll_are_decoded(both: Both) -> None:
    """What a server says in grpc-status-details-bin arrives decoded, though their client is in between (CTRL-5, ERR-2, ERR-3)."""
    unknown = any_pb2.Any(type_url="type.googleapis.com/no.Such", value=b"\x08\x01")
    broken = rpc_error(Code.PERMISSION_DENIED, "not yours", details=[INFO, unknown])
    async with cloud(both, scripts={"operations/1": [broken]}) as here:
        with pytest.raises(PollingError) as caught:
            await both(here.client.adopt(here.future(), CREATE_INSTANCE).wait())
        error = caught.value
        assert (error.code, error.name, error.details.message) == (Code.PERMISSION_DENIED, "operations/1", "not yours")
        assert error.details.error_info == INFO
        assert error.details.details[1] == UnknownPayload(unknown.type_url, unknown.value)
        assert error.__cause__ is not None


@both_colours
async def test_details_of_a_failed_operation_are_decoded(both: Both) -> None:
    """The error of an adopted operation has code and decoded details, which their future never has (CTRL-5, ERR-2)."""
    async with cloud(both, progress(), failed(Code.RESOURCE_EXHAUSTED, "full", details=[INFO])) as here:
        with pytest.raises(OperationError) as caught:
            await both(here.client.adopt(await here.create(), CREATE_INSTANCE).result())
        assert caught.value.status.code is Code.RESOURCE_EXHAUSTED
        assert caught.value.status.error_info == INFO


@both_colours
async def test_retry_info_counts(both: Both) -> None:
    """RetryInfo of a poll over their client is the least of the next delay (CTRL-5, WAIT-8)."""
    info = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=9))
    script = [rpc_error(Code.RESOURCE_EXHAUSTED, "later", details=[info]), created()]
    async with cloud(both, scripts={"operations/1": script}) as here:
        await both(here.client.adopt(here.future(), CREATE_INSTANCE).wait())
        assert here.clock.sleeps[-1] == 9


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.OK], ids=str)
@both_colours
async def test_every_code_comes_through(both: Both, code: Code) -> None:
    """Whatever a poll over their client fails with is classified as over ours: it passes, or it is the error (CTRL-5, WAIT-6)."""
    async with cloud(both, scripts={"operations/1": [rpc_error(code, "oh"), created()]}) as here:
        handle = here.client.adopt(here.future(), CREATE_INSTANCE)
        if code in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.CANCELLED):
            assert await both(handle.result()) == INSTANCE
            return
        with pytest.raises(PollingError) as caught:
            await both(handle.wait())
        assert caught.value.code is code
        assert isinstance(caught.value, OperationNotFoundError) == (code is Code.NOT_FOUND)
        assert caught.value.details.message == "oh"


@pytest.mark.parametrize("use", [None, True])
@both_colours
async def test_their_clients_have_no_wait_operation(both: Both, use: bool | None) -> None:
    """Over their client operations are polled, though the server has WaitOperation; our own handles learn nothing from it (CTRL-5, WAIT-5)."""
    policy = PollPolicy(jitter=0, use_wait_operation=use)
    async with cloud(both, scripts={"operations/1": [created()]}, wait_support=WaitSupport.SERVED) as here:
        client = both.client(here.channel, policy=policy)
        await both(client.adopt(here.future(), CREATE_INSTANCE).wait())
        assert here.theirs.rpcs() == [GET]
        here.theirs.clear()
        await both(client.attach("operations/1", CREATE_INSTANCE).wait())
        assert here.theirs.rpcs() == [WAIT]


@both_colours
async def test_a_timeout_is_ours(both: Both) -> None:
    """An adopted operation that is not done in time is a WaitTimeoutError with a last poll at the deadline (CTRL-5, WAIT-3, WAIT-4)."""
    async with cloud(both, progress(times=None)) as here:
        handle = here.client.adopt(await here.create(), CREATE_INSTANCE)
        with pytest.raises(WaitTimeoutError) as caught:
            await both(handle.wait(timeout=4))
        assert here.clock.now() == 4
        assert caught.value.operation is handle.operation
        assert caught.value.resume_token == handle.resume_token


@both_colours
async def test_several_waiters_share_polls(both: Both) -> None:
    """Waiters on an adopted handle share polls like any others (CTRL-5, WAIT-10)."""
    gate = Gate()
    async with cloud(both, scripts={"operations/1": [delayed(created(), gate)]}) as here:
        handle = here.client.adopt(here.future(), CREATE_INSTANCE)
        waiting = [both.spawn(handle.wait) for _ in range(5)]
        await here.theirs.wait_until_aio(lambda calls: len(calls) >= 1)
        await settle()
        gate.open()
        assert {id(done) for done in await asyncio.gather(*waiting)} == {id(handle.operation)}
        assert here.theirs.rpcs() == [GET]


@both_colours
async def test_a_channel_closed_under_their_client(both: Both) -> None:
    """Their channel closed under a wait ends it with a PollingError, not as if the task were cancelled (CTRL-5, WAIT-4, WAIT-6)."""
    async with cloud(both, scripts={"operations/1": [delayed(created(), Gate())]}) as here:
        waiting = both.spawn(here.client.adopt(here.future(), CREATE_INSTANCE).wait)
        await here.theirs.wait_until_aio(lambda calls: len(calls) >= 1)
        await both(here.channel.close())
        done, _ = await asyncio.wait([waiting], timeout=5)
        assert done
        assert not waiting.cancelled()
        with pytest.raises(PollingError):
            await waiting


@both_colours
async def test_a_channel_closed_before(both: Both) -> None:
    """Over a channel of theirs that is closed already a wait is a PollingError at once (CTRL-5, WAIT-6)."""
    async with cloud(both) as here:
        handle = here.client.adopt(here.future(), CREATE_INSTANCE)
        await both(here.channel.close())
        with pytest.raises(PollingError):
            await both(handle.wait())


# grpcio 1.66 cancels an intercepted call once more when it is collected, and complains that the channel is closed.
@pytest.mark.filterwarnings("ignore:.*InterceptedCall.__del__:pytest.PytestUnraisableExceptionWarning")
def test_a_cancelled_wait_ends_its_poll_over_their_client() -> None:
    """Cancelling a task that waits for an adopted operation ends the poll at the server, and nothing else (CTRL-5, WAIT-9)."""

    async def body() -> None:
        async with cloud(Both("async"), scripts={"operations/1": [delayed(created(), Gate())]}) as here:
            waiting = asyncio.ensure_future(here.client.adopt(here.future(), CREATE_INSTANCE).wait())
            await here.theirs.wait_until_aio(lambda calls: len(calls) >= 1)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            [call] = await here.theirs.wait_until_aio(lambda calls: calls[0].finished is not None)
            assert (call.rpc, call.outcome) == (GET, Code.CANCELLED)

    run(body())
    gc.collect()  # so that it complains here


@both_colours
async def test_its_resume_token_resumes(both: Both) -> None:
    """The resume token of an adopted handle takes hold of the operation over a client of ours (CTRL-5, CTRL-1)."""
    async with cloud(both) as here:
        handle = here.client.adopt(await here.create(), CREATE_INSTANCE)
        client = both.client(here.channel)
        again = client.resume(json.loads(json.dumps(handle.resume_token)), CREATE_INSTANCE)
        assert again.name == handle.name
        assert await both(again.result()) == INSTANCE


# -- many ---------------------------------------------------------------------------------------------------------


@both_colours
async def test_many_adopted_ones_and_others(both: Both) -> None:
    """wait_all takes adopted handles of several of their clients and our own together, and keeps the order (CTRL-5, WAIT-11)."""
    scripts: dict[str, list[Step]] = {f"operations/{i}": [pending(times=i % 4 + 1), created()] for i in range(40)}
    scripts["operations/7"] = [rpc_error(Code.NOT_FOUND)]
    async with cloud(both, scripts=scripts) as here:
        client = both.client(here.channel, policy=PollPolicy(jitter=0))
        handles = [
            client.adopt(here.future(name), CREATE_INSTANCE) if index % 2 else client.attach(name, CREATE_INSTANCE)
            for index, name in enumerate(scripts)
        ]
        results = await both(client.wait_all(handles))
        for index, result in enumerate(results):
            assert result.name == f"operations/{index}"
            assert isinstance(result, OperationNotFoundError) if index == 7 else result.result() == INSTANCE


@both_colours
async def test_many_adopted_ones_are_bounded(both: Both) -> None:
    """Polls over their clients keep within max_concurrency, and no thread outlasts the wait (CTRL-5, WAIT-11)."""
    gate = Gate()
    scripts: dict[str, list[Step]] = {f"operations/{i}": [delayed(created(), gate)] for i in range(30)}
    async with cloud(both, scripts=scripts) as here:
        client = here.new_client(clock=None, policy=QUICK)
        handles = [client.adopt(here.future(name), CREATE_INSTANCE) for name in scripts]
        waiting = both.spawn(lambda: client.wait_all(handles, max_concurrency=3))
        await here.theirs.wait_until_aio(lambda calls: len(calls) >= 3)
        await settle()
        assert len(here.theirs.calls) == 3
        gate.open()
        assert [result.result() for result in await waiting] == [INSTANCE] * 30


@both_colours
async def test_leaving_many_adopted_ones_leaves_nothing_running(both: Both) -> None:
    """Closing as_completed over adopted handles ends what is under way; a sync google-cloud call ends by itself (CTRL-5, WAIT-9)."""
    gate = Gate()
    scripts: dict[str, list[Step]] = {f"operations/{i}": [delayed(created(), gate)] for i in range(5)}
    first = Gate()
    scripts["operations/0"] = [delayed(created(), first)]
    async with cloud(both, scripts=scripts) as here:
        client = here.new_client(clock=None, policy=QUICK)
        coming = client.as_completed([client.adopt(here.future(name), CREATE_INSTANCE) for name in scripts])
        try:
            coming_first = both.spawn(lambda: both.next(coming)) if not both.sync else both.spawn(lambda: next(coming))
            await here.theirs.wait_until_aio(lambda calls: len(calls) >= 5)
            first.open()
            assert (await coming_first).name == "operations/0"
            await both.close(coming)
            if both.sync:  # a call of theirs blocks a thread, and nothing can take it back
                gate.open()
            await here.theirs.wait_until_aio(lambda calls: all(call.finished is not None for call in calls), timeout=2)
        finally:
            gate.open()
            first.open()


@both_colours
async def test_an_adopted_handle_is_of_its_client(both: Both) -> None:
    """An adopted handle belongs to the client that adopted it: to another it is a ValueError (CTRL-5, WAIT-11)."""
    async with cloud(both) as here:
        handle = here.client.adopt(here.future(), CREATE_INSTANCE)
        with pytest.raises(ValueError, match="another client"):
            await both(here.new_client().wait_all([handle]))


def nothing(**_: Any) -> dict[str, Any]:
    return {}


# -- what cannot be adopted ---------------------------------------------------------------------------------------


@both_colours
async def test_the_wrong_colour_is_refused(both: Both) -> None:
    """An operation of a client of the other colour is a TypeError that says so, and sends nothing (CTRL-5)."""
    async with cloud(both) as here:
        other = Both("async" if both.sync else "sync").client(
            grpc.aio.insecure_channel("127.0.0.1:1") if both.sync else grpc.insecure_channel("127.0.0.1:1")
        )
        theirs = await here.create()
        with pytest.raises(TypeError, match=r"\bsync\b.*\basync\b|\basync\b.*\bsync\b"):
            other.adopt(theirs, CREATE_INSTANCE)
        assert here.theirs.rpcs() == []
        channel = other._session.transport._channel
        _ = await channel.close() if both.sync else channel.close()


@both_colours
async def test_a_future_made_by_hand_is_refused(both: Both) -> None:
    """A future that no client made has no connection to use: a TypeError that names the way out, attach() (CTRL-5)."""
    make: Any = operation.Operation if both.sync else operation_async.AsyncOperation
    async with cloud(both) as here:
        for refresh in (nothing, functools.partial(print, "x"), None):
            theirs = make(Message(name="operations/1"), refresh, lambda: None, redis.Instance.pb())
            with pytest.raises(TypeError, match="attach"):
                here.client.adopt(theirs, CREATE_INSTANCE)


def test_futures_of_other_makes_are_refused() -> None:
    """Futures over plain stubs or HTTP functions, and extended operations, are a TypeError, none taken for async (CTRL-5)."""
    from_http: Any = vars(operation)["from_http_json"]
    plain: Any = extended_operation.ExtendedOperation
    extended: Any = type(
        "Extended",
        (plain,),
        {"name": "operations/1", "error_code": 0, "error_message": ""},
    )
    status: Any = type("Status", (), {"name": "operations/1", "status": None, "done": False})
    with grpc.insecure_channel("127.0.0.1:1") as channel:
        client = OperationsClient(channel)
        futures = [
            from_http({"name": "operations/1"}, nothing, redis.Instance.pb()),
            plain.make(nothing, nothing, status()),
            extended.make(nothing, nothing, status()),
        ]
        for theirs in futures:
            with pytest.raises(TypeError) as caught:
                client.adopt(theirs, CREATE_INSTANCE)
            assert "async" not in str(caught.value)


@both_colours
async def test_a_subclass_of_their_future_is_adopted(both: Both) -> None:
    """A subclass of their future is a future of theirs all the same (CTRL-5)."""
    base: Any = operation.Operation if both.sync else operation_async.AsyncOperation
    derived: Any = type("Derived", (base,), {})
    async with cloud(both) as here:
        theirs = await here.create()
        theirs.__class__ = derived
        assert await both(here.client.adopt(theirs, CREATE_INSTANCE).result()) == INSTANCE


@both_colours
async def test_the_message_of_their_future_can_be_adopted(both: Both) -> None:
    """The bare message inside their future is adopted over our own connection (CTRL-5)."""
    async with cloud(both) as here:
        theirs = await here.create()
        client = both.client(here.channel)
        assert await both(client.adopt(theirs.operation, CREATE_INSTANCE).result()) == INSTANCE


@both_colours
async def test_nameless_and_not_done_is_refused(both: Both) -> None:
    """A future that is not done and has no name cannot be asked for: a ValueError, and no RPC (CTRL-5, SNAP-4)."""
    async with cloud(both) as here:
        with pytest.raises(ValueError, match="without a name"):
            here.client.adopt(here.future(""), CREATE_INSTANCE)
        assert here.theirs.rpcs() == []


# -- REST ---------------------------------------------------------------------------------------------------------


class Rest(BaseHTTPRequestHandler):
    """The five lines of a REST server that api_core's own client is content with."""

    replies: ClassVar[list[tuple[int, dict[str, Any]]]] = []
    headers_of: ClassVar[dict[int, dict[str, str]]] = {}
    seen: ClassVar[list[tuple[str, str, dict[str, str]]]] = []

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.seen.append((self.command, self.path, {key.lower(): value for key, value in self.headers.items()}))
        code, document = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        body = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        for name, value in self.headers_of.get(code, {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = answer  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Quiet."""


NAME = f"{PARENT}/operations/1"
RUNNING = {"name": NAME, "metadata": {"@type": "type.googleapis.com/google.cloud.redis.v1.OperationMetadata"}}
DONE = {
    "name": NAME,
    "done": True,
    "response": {"@type": "type.googleapis.com/google.cloud.redis.v1.Instance", "name": INSTANCE.name, "port": 6379},
}


def fault(code: int, status: str, *details: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return code, {"error": {"code": code, "message": "oh", "status": status, "details": list(details)}}


@contextmanager
def rest(
    *replies: tuple[int, dict[str, Any]], headers_of: dict[int, dict[str, str]] | None = None, clock: Any = None
) -> Generator[tuple[Any, Any], None, None]:
    """A future of api_core's REST client whose polls are answered so, and a client of ours."""
    Rest.replies, Rest.seen, Rest.headers_of = list(replies), [], headers_of or {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Rest)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    anonymous: Any = auth.AnonymousCredentials()  # type: ignore[no-untyped-call]
    transport: Any = operations_v1.OperationsRestTransport(
        host=f"http://127.0.0.1:{server.server_port}", credentials=anonymous
    )
    their_client: Any = operations_v1.AbstractOperationsClient(transport=transport)
    theirs = their_sync(Message(name=NAME), their_client, redis.Instance.pb())
    try:
        with grpc.insecure_channel("127.0.0.1:1") as channel:
            both = Both("sync")
            yield both.client(channel, policy=PollPolicy(jitter=0), clock=clock or both.clock()), theirs
    finally:
        transport._session.close()
        server.shutdown()
        server.server_close()
        serving.join()


def test_a_future_over_rest() -> None:
    """A future of api_core's REST client is adopted like one over gRPC: polled, cancelled, deleted, typed (CTRL-5)."""
    with rest((200, RUNNING), (200, {}), (200, RUNNING), (200, DONE), (200, {})) as (client, theirs):
        handle = client.adopt(theirs, CREATE_INSTANCE, metadata=[("x-mine", "1")])
        handle.refresh()
        handle.cancel()
        assert handle.result() == INSTANCE
        handle.delete()
        assert [(verb, path.partition("?")[0]) for verb, path, _ in Rest.seen] == [
            ("GET", f"/v1/{NAME}"),
            ("POST", f"/v1/{NAME}:cancel"),
            ("GET", f"/v1/{NAME}"),
            ("GET", f"/v1/{NAME}"),
            ("DELETE", f"/v1/{NAME}"),
        ]
        assert {headers.get("x-mine") for _, _, headers in Rest.seen} == {"1"}
        assert {headers.get(ROUTING_HEADER) for _, _, headers in Rest.seen} == {f"name={NAME}"}


def test_faults_over_rest() -> None:
    """Over REST, too, 503 passes, and 404 and 403 are what they are, with decoded details (CTRL-5, WAIT-6, WAIT-7, ERR-3)."""
    with rest(fault(503, "UNAVAILABLE"), fault(503, "UNAVAILABLE"), (200, DONE)) as (client, theirs):
        assert client.adopt(theirs, CREATE_INSTANCE).result() == INSTANCE
        assert len(Rest.seen) == 3
    with rest(fault(404, "NOT_FOUND")) as (client, theirs):
        with pytest.raises(OperationNotFoundError):
            client.adopt(theirs, CREATE_INSTANCE).wait()
        assert len(Rest.seen) == 1
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "QUOTA", "domain": "example.com"}
    with rest(fault(403, "PERMISSION_DENIED", info)) as (client, theirs):
        with pytest.raises(PollingError) as caught:
            client.adopt(theirs, CREATE_INSTANCE).wait()
        assert caught.value.code is Code.PERMISSION_DENIED
        assert caught.value.details.error_info is not None
        assert caught.value.details.error_info.reason == "QUOTA"


def test_a_server_over_rest_that_wants_to_be_left_alone() -> None:
    """RetryInfo and Retry-After of a REST server are lower bounds for adopted operations, too (CTRL-5, WAIT-8)."""
    retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "40s"}
    headers_of = {429: {"Retry-After": "70"}}
    clock = Both("sync").clock()
    with rest(fault(503, "UNAVAILABLE", retry), (429, {}), (200, DONE), headers_of=headers_of, clock=clock) as (
        client,
        theirs,
    ):
        assert client.adopt(theirs, CREATE_INSTANCE).result() == INSTANCE
    assert clock.sleeps[-2:] == [40, 70]


@pytest.mark.parametrize("code", [502, 503, 504])
def test_gateways_over_rest(code: int) -> None:
    """HTTP 502, 503 and 504 of a gateway, without a status of the service, pass (CTRL-5, WAIT-6)."""
    with rest((code, {}), (200, DONE)) as (client, theirs):
        assert client.adopt(theirs, CREATE_INSTANCE).result() == INSTANCE


def test_a_connection_refused_over_rest() -> None:
    """A REST server that is not there for a while is retried until the timeout (CTRL-5, WAIT-6)."""
    with rest((200, DONE)) as (client, theirs):
        theirs._refresh.func.__self__._transport._host = "http://127.0.0.1:1"
        with pytest.raises(WaitTimeoutError) as caught:
            client.adopt(theirs, CREATE_INSTANCE).wait(timeout=20)
        assert caught.value.last_error is not None
