# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Message classes of modules without types: everything works, and everything is Any."""

from __future__ import annotations

from typing import Any, assert_type

from google.protobuf import any_pb2
from google.protobuf.empty_pb2 import Empty

from longrunning import AsyncOperationsClient, LroMethod, Operation, OperationHandle, OperationsClient, TypeRegistry
from tests.typing.cases.library import CREATE_SHELF


def declared(untyped_pb2: Any, dynamic: type[Any]) -> None:
    method = LroMethod(
        path="/a.B/C",
        request_type=untyped_pb2.CreateShelfRequest,
        response_type=untyped_pb2.Shelf,
        metadata_type=untyped_pb2.OperationMetadata,
    )
    assert_type(method, LroMethod[Any, Any, Any])
    assert_type(
        LroMethod(path="/a.B/C", request_type=dynamic, response_type=dynamic, metadata_type=dynamic),
        LroMethod[Any, Any, Any],
    )
    # Half of it typed.
    assert_type(
        LroMethod(
            path="/a.B/C",
            request_type=untyped_pb2.DeleteShelfRequest,
            response_type=Empty,
            metadata_type=untyped_pb2.OperationMetadata,
        ),
        LroMethod[Any, Any, Any],
    )
    assert_type(
        LroMethod(
            path="/a.B/C",
            request_type=untyped_pb2.Request,
            response_type=untyped_pb2.Response,
            metadata_type=any_pb2.Any,
        ),
        LroMethod[Any, Any, Any],
    )
    method.or_types(response=untyped_pb2.Book, metadata=untyped_pb2.OperationMetadata)
    CREATE_SHELF.or_types(response=untyped_pb2.Book, metadata=Empty)


def used(client: OperationsClient, method: LroMethod[Any, Any, Any], untyped_pb2: Any, data: bytes) -> None:
    handle = client.start(method, untyped_pb2.CreateShelfRequest(shelf_id="1"))
    assert_type(handle, OperationHandle[Any, Any])
    print(handle.result().name)
    assert_type(Operation.from_bytes(data, method), Operation[Any, Any])
    assert_type(client.adopt(untyped_pb2.Stub().CreateShelf()).result(), Any)


async def used_async(client: AsyncOperationsClient, method: LroMethod[Any, Any, Any], untyped_pb2: Any) -> None:
    shelf = await (await client.start(method, untyped_pb2.CreateShelfRequest(shelf_id="1")))
    print(shelf.name)


def unpacked(registry: TypeRegistry, payload: any_pb2.Any, untyped_pb2: Any, dynamic: type[Any]) -> None:
    assert_type(registry.unpack(payload, untyped_pb2.Shelf), Any)
    assert_type(registry.unpack(payload, dynamic), Any)
    print(registry.unpack(payload, dynamic).name)
