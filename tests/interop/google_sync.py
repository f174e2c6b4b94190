# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The sync clients of google-cloud-redis and google-api-core. None of it is typed, so here it is ``Any``."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any, Final, Protocol

import grpc
from examples.memorystore.api import CHANNEL_OPTIONS, STARTING
from google.api_core import exceptions, operation, operations_v1
from google.cloud import redis_v1
from google.cloud.redis_v1.services.cloud_redis import transports
from google.cloud.redis_v1.types import cloud_redis
from google.longrunning import operations_pb2
from google.rpc import error_details_pb2, status_pb2

from .cells import LIST_FILTER, LIST_PAGE_SIZE, PAST_SECONDS, SLOW_GB, NotOfferedError, Seen, Stage, create_call

__all__ = [
    "LOOK_SECONDS",
    "Connection",
    "Operations",
    "OperationsCells",
    "Redis",
    "RedisCells",
    "by_hand",
    "list_request",
    "seen_instance",
    "seen_start",
]

LOOK_SECONDS: Final = 0.1  # between two looks at the progress; a stage lasts four times as long

_from_gapic: Any = vars(operation)["from_gapic"]
_operations_client: Any = operations_v1.OperationsClient


class Connection(Protocol):
    """What the cells need of a client; operations are futures of ``google.api_core``."""

    def start(self, request: cloud_redis.CreateInstanceRequest) -> Any:
        """Starts an operation."""
        ...

    def attach(self, name: str) -> Any:
        """Takes hold of one."""
        ...

    def get(self, name: str) -> Any:
        """GetOperation."""
        ...

    def cancel(self, name: str) -> Any:
        """CancelOperation."""
        ...

    def delete(self, name: str) -> Any:
        """DeleteOperation."""
        ...

    def pages(self, location: str) -> Iterable[Iterable[Any]]:
        """The pages of a list."""
        ...


class Redis:
    """CloudRedisClient, over any of its transports."""

    def __init__(self, transport: Any) -> None:
        self.client: Any = redis_v1.CloudRedisClient(transport=transport)

    def start(self, request: cloud_redis.CreateInstanceRequest) -> Any:
        """Starts an operation."""
        return self.client.create_instance(request)

    def attach(self, name: str) -> Any:
        """Takes hold of one."""
        return future(self.get(name), self.client.transport.operations_client)

    def get(self, name: str) -> Any:
        """GetOperation."""
        return self.client.get_operation(operations_pb2.GetOperationRequest(name=name))

    def cancel(self, name: str) -> Any:
        """CancelOperation."""
        return self.client.cancel_operation(operations_pb2.CancelOperationRequest(name=name))

    def delete(self, name: str) -> Any:
        """DeleteOperation."""
        return self.client.delete_operation(operations_pb2.DeleteOperationRequest(name=name))

    def pages(self, location: str) -> Iterable[Iterable[Any]]:
        """The pages of a list."""
        request = list_request(location)
        while True:
            page = self.client.list_operations(request)
            yield page.operations
            request.page_token = page.next_page_token
            if not request.page_token:
                return


class Operations:
    """A client of operations_v1. It knows operations only: that an instance is created has to be asked for without it."""

    def __init__(self, client: Any, channel: grpc.Channel) -> None:
        self.client = client
        self._create = create_call(channel)

    def start(self, request: cloud_redis.CreateInstanceRequest) -> Any:
        """Starts an operation."""
        return future(self._create(request), self.client)

    def attach(self, name: str) -> Any:
        """Takes hold of one."""
        return future(self.get(name), self.client)

    def get(self, name: str) -> Any:
        """GetOperation."""
        return self.client.get_operation(name)

    def cancel(self, name: str) -> Any:
        """CancelOperation."""
        return self.client.cancel_operation(name)

    def delete(self, name: str) -> Any:
        """DeleteOperation."""
        return self.client.delete_operation(name)

    def pages(self, location: str) -> Iterable[Iterable[Any]]:
        """The pages of a list."""
        pages: Iterable[Iterable[Any]] = self.client.list_operations(location, LIST_FILTER).pages
        return pages


class RedisCells:
    """The cells of CloudRedisClient over gRPC; of another one is what is a class with other connections."""

    @contextmanager
    def connected(self, stage: Stage) -> Generator[Connection, None, None]:
        """A client on a connection of its own."""
        with grpc.insecure_channel(stage.address, CHANNEL_OPTIONS) as channel:
            yield Redis(transports.CloudRedisGrpcTransport(channel=channel))

    def stop(self, client: Connection, started: Any) -> None:
        """Cancels an operation."""
        assert started.cancel()

    def said(self, error: Any) -> str:
        """What the server said in an error."""
        return str(error)

    def create(self, stage: Stage) -> Seen:
        """Starts."""
        with self.connected(stage) as client:
            return seen_start(client.start(stage.request()))

    def progress(self, stage: Stage) -> Seen:
        """Looks again and again."""
        with self.connected(stage) as client:
            started = client.start(stage.request())
            stages = [started.metadata.status_detail]
            while not started.done():
                stages.append(started.metadata.status_detail)
                time.sleep(LOOK_SECONDS)
            return Seen(stages=(*stages, started.metadata.status_detail))

    def result(self, stage: Stage) -> Seen:
        """Waits."""
        with self.connected(stage) as client:
            return seen_instance(client.start(stage.request()).result(timeout=PAST_SECONDS))

    def failure(self, stage: Stage) -> Seen:
        """Waits for the worst."""
        with self.connected(stage) as client:
            started = client.start(stage.request("quota"))
            error = started.exception(timeout=PAST_SECONDS)
            assert type(error).__name__ == "ResourceExhausted"
            return by_hand(started.operation.error)

    def cancel(self, stage: Stage) -> Seen:
        """Cancels on the way."""
        with self.connected(stage) as client:
            started = client.start(stage.request(memory_size_gb=SLOW_GB))
            while not started.done() and started.metadata.status_detail != STARTING:
                time.sleep(LOOK_SECONDS)
            self.stop(client, started)
            error = started.exception(timeout=PAST_SECONDS)
            assert type(error).__name__ == "Cancelled"
            assert started.cancelled()
            return Seen(
                done=started.operation.done,
                code=error.grpc_status_code.value[0],
                message=error.message,
                cancel_requested=started.metadata.cancel_requested,
            )

    def list(self, stage: Stage) -> Seen:
        """Lists page by page."""
        with self.connected(stage) as client:
            pages = tuple(tuple(listed.name for listed in page) for page in client.pages(stage.listed_in))
            return Seen(pages=pages)

    def delete(self, stage: Stage) -> Seen:
        """Deletes, and looks."""
        with self.connected(stage) as client:
            name = client.start(stage.request()).operation.name
            client.delete(name)
            return self._missing(client, name)

    def resume(self, stage: Stage) -> Seen:
        """Goes on elsewhere."""
        with self.connected(stage) as client:
            name = client.start(stage.request()).operation.name
        with self.connected(stage) as client:
            return seen_instance(client.attach(name).result(timeout=PAST_SECONDS))

    def not_found(self, stage: Stage) -> Seen:
        """Asks for what is not there."""
        with self.connected(stage) as client:
            return self._missing(client, stage.absent)

    def _missing(self, client: Connection, name: str) -> Seen:
        try:
            client.get(name)
        except exceptions.NotFound as caught:
            error: Any = caught
            return Seen(code=error.grpc_status_code.value[0], message=self.said(error))
        return Seen()


class OperationsCells(RedisCells):
    """The cells of operations_v1.OperationsClient."""

    @contextmanager
    def connected(self, stage: Stage) -> Generator[Connection, None, None]:
        """A client on a connection of its own."""
        with grpc.insecure_channel(stage.address, CHANNEL_OPTIONS) as channel:
            yield Operations(_operations_client(channel), channel)

    def create(self, stage: Stage) -> Seen:
        """Cannot."""
        raise NotOfferedError("it starts nothing: for its other cells, a plain gRPC call does")


def future(message: Any, client: Any) -> Any:
    """The future of an operation, made as the clients that gapic generates do."""
    return _from_gapic(message, client, cloud_redis.Instance, metadata_type=cloud_redis.OperationMetadata)


def list_request(location: str) -> operations_pb2.ListOperationsRequest:
    """Asks for the first page of the list."""
    return operations_pb2.ListOperationsRequest(name=location, filter=LIST_FILTER, page_size=LIST_PAGE_SIZE)


def seen_start(started: Any) -> Seen:
    """What a future shows of an operation that was just started."""
    return Seen(
        name=started.operation.name,
        done=started.operation.done,
        verb=started.metadata.verb,
        target=started.metadata.target,
    )


def seen_instance(instance: Any) -> Seen:
    """What came of an operation."""
    assert type(instance) is cloud_redis.Instance
    return Seen(instance=instance.name, host=instance.host, memory_size_gb=instance.memory_size_gb)


def by_hand(status: status_pb2.Status) -> Seen:
    """The details of an error, unpacked one by one, as users of these clients have to."""
    reason = error_details_pb2.ErrorInfo()
    for detail in status.details:
        detail.Unpack(reason)
    return Seen(
        code=status.code,
        message=status.message,
        details=tuple(detail.TypeName() for detail in status.details),
        reason=reason.reason,
    )
