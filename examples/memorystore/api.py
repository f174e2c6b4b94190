# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What server and clients agree on: the long-running methods of Memorystore for Redis, and where the demo's instances live."""

from __future__ import annotations

from typing import Any, Final

from google.cloud.redis_v1.types import cloud_redis
from google.protobuf import empty_pb2

from longrunning import HttpBinding, LroMethod, TypeRegistry

__all__ = [
    "CHANNEL_OPTIONS", "CREATE_INSTANCE", "DELETE_INSTANCE", "LOCATION", "SERVICE", "STARTING", "TYPES", "instance_name",
    "new_instance",
]  # fmt: skip

SERVICE: Final = "google.cloud.redis.v1.CloudRedis"

# In cloud_redis.proto both are annotated with google.longrunning.operation_info, and with google.api.http; here is what they
# say. google-cloud-redis has messages only.
CREATE_INSTANCE: Final = LroMethod(
    path=f"/{SERVICE}/CreateInstance",
    request_type=cloud_redis.CreateInstanceRequest,
    response_type=cloud_redis.Instance,
    metadata_type=cloud_redis.OperationMetadata,
    http=HttpBinding(verb="POST", path="/v1/{parent=projects/*/locations/*}/instances", body="instance"),
)
DELETE_INSTANCE: Final = LroMethod(
    path=f"/{SERVICE}/DeleteInstance",
    request_type=cloud_redis.DeleteInstanceRequest,
    response_type=empty_pb2.Empty,
    metadata_type=cloud_redis.OperationMetadata,
    http=HttpBinding(verb="DELETE", path="/v1/{name=projects/*/locations/*/instances/*}"),
)

# The types in a list of operations, which no method declares. Empty and the error details are known anyway.
TYPES: Final = TypeRegistry(cloud_redis.Instance, cloud_redis.OperationMetadata)

LOCATION: Final = "projects/demo/locations/us-central1"
STARTING: Final = "Starting Redis"
"""The stage of a creation in which the demo cancels it."""

CHANNEL_OPTIONS: Final[list[tuple[str, Any]]] = [
    ("grpc.enable_http_proxy", 0),  # it would not know our loopback
    # A server that is started again is found soon; by default a channel waits for up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 10_000),  # which is how long a connection may take
    ("grpc.max_reconnect_backoff_ms", 500),
]


def instance_name(instance_id: str) -> str:
    """The resource name of an instance of the demo."""
    return f"{LOCATION}/instances/{instance_id}"


def new_instance(instance_id: str, *, memory_size_gb: int = 1) -> cloud_redis.CreateInstanceRequest:
    """Asks for an instance: highly available from 5 GB on."""
    tiers = cloud_redis.Instance.Tier
    tier = tiers.STANDARD_HA if memory_size_gb >= 5 else tiers.BASIC
    instance = cloud_redis.Instance(tier=tier, memory_size_gb=memory_size_gb)
    return cloud_redis.CreateInstanceRequest(parent=LOCATION, instance_id=instance_id, instance=instance)
