# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""proto-plus classes as message types. Their classes are inferred; of their attributes only pyright knows."""

from __future__ import annotations

from typing import assert_type

from google.cloud import redis_v1
from google.cloud.redis_v1.types import DeleteInstanceRequest, Instance
from google.protobuf import any_pb2
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from longrunning import (
    AsyncOperationsClient,
    LroMethod,
    Operation,
    OperationHandle,
    OperationsClient,
    Status,
    TypeRegistry,
    UnknownPayload,
)

CREATE_INSTANCE = LroMethod(
    path="/google.cloud.redis.v1.CloudRedis/CreateInstance",
    request_type=redis_v1.CreateInstanceRequest,
    response_type=redis_v1.Instance,
    metadata_type=redis_v1.OperationMetadata,
)
DELETE_INSTANCE = LroMethod(
    path="/google.cloud.redis.v1.CloudRedis/DeleteInstance",
    request_type=DeleteInstanceRequest,
    response_type=Empty,
    metadata_type=redis_v1.OperationMetadata,
)
assert_type(CREATE_INSTANCE, LroMethod[redis_v1.CreateInstanceRequest, redis_v1.Instance, redis_v1.OperationMetadata])
assert_type(DELETE_INSTANCE, LroMethod[redis_v1.DeleteInstanceRequest, Empty, redis_v1.OperationMetadata])
assert_type(
    LroMethod(
        path="/a.B/C",
        request_type=redis_v1.GetInstanceRequest,
        response_type=any_pb2.Any,
        metadata_type=redis_v1.OperationMetadata,
    ),
    LroMethod[redis_v1.GetInstanceRequest, Message | UnknownPayload, redis_v1.OperationMetadata],
)
assert_type(
    LroMethod(
        path="/a.B/C",
        request_type=redis_v1.GetInstanceRequest,
        response_type=redis_v1.Instance,
        metadata_type=any_pb2.Any,
    ),
    LroMethod[redis_v1.GetInstanceRequest, redis_v1.Instance, Message | UnknownPayload],
)
assert_type(
    CREATE_INSTANCE.or_types(response=Empty, metadata=redis_v1.OperationMetadata),
    LroMethod[redis_v1.CreateInstanceRequest, Instance | Empty, redis_v1.OperationMetadata],
)


def sync(client: OperationsClient) -> None:
    handle = client.start(CREATE_INSTANCE, redis_v1.CreateInstanceRequest(instance_id="memory"))
    assert_type(handle, OperationHandle[Instance, redis_v1.OperationMetadata])
    assert_type(handle.result(), Instance)
    assert_type(handle.wait().metadata, redis_v1.OperationMetadata | None)
    assert_type(client.start(DELETE_INSTANCE, DeleteInstanceRequest()).result(), Empty)


async def awaited(client: AsyncOperationsClient) -> None:
    handle = await client.start(CREATE_INSTANCE, redis_v1.CreateInstanceRequest(instance_id="memory"))
    instance = await handle
    assert_type(instance, Instance)
    async for snapshot in handle.watch():
        assert_type(snapshot, Operation[Instance, redis_v1.OperationMetadata])


def read(data: bytes, payload: any_pb2.Any, status: Status) -> None:
    assert_type(Operation.from_bytes(data, CREATE_INSTANCE).result(), Instance)
    assert_type(TypeRegistry(Instance).unpack(payload, Instance), Instance)
    assert_type(status.find(Instance), Instance | None)
