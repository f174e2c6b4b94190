# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Writes what Memorystore for Redis answers when CreateInstance is done: the operation, as bytes.

    python -m benchmarks.data.memorystore

``full.binpb`` and ``basic.binpb`` have the same metadata, with every field that the reference of
``projects.locations.operations`` lists. The response of the first is an Instance with every field that a highly
available instance with replicas, TLS, persistence and a maintenance window has; that of the second is an instance of
the basic tier, with the fields its server fills in.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.cloud.redis_v1.types import cloud_redis
from google.longrunning import operations_proto_pb2
from google.protobuf import any_pb2

FOLDER = Path(__file__).parent

PROJECT = "projects/example-project-471812"
LOCATION = f"{PROJECT}/locations/us-central1"
INSTANCE = f"{LOCATION}/instances/session-cache"
CREATED = {"seconds": 1746691200, "nanos": 123456789}
READY = {"seconds": 1746691537, "nanos": 654321000}

METADATA: dict[str, Any] = {
    "create_time": CREATED,
    "end_time": READY,
    "target": INSTANCE,
    "verb": "create",
    "status_detail": "The instance is ready.",
    "cancel_requested": True,  # too late; a false one would not be on the wire
    "api_version": "v1",
}
FULL: dict[str, Any] = {
    "name": INSTANCE,
    "display_name": "Session cache of the shop",
    "labels": {"env": "production", "team": "checkout"},
    "location_id": "us-central1-a",
    "alternative_location_id": "us-central1-f",
    "redis_version": "REDIS_7_2",
    "reserved_ip_range": "10.142.0.0/28",
    "host": "10.142.0.4",
    "port": 6378,
    "current_location_id": "us-central1-a",
    "create_time": CREATED,
    "state": cloud_redis.Instance.State.READY,
    "redis_configs": {"maxmemory-policy": "allkeys-lru", "notify-keyspace-events": "KEA"},
    "tier": cloud_redis.Instance.Tier.STANDARD_HA,
    "memory_size_gb": 5,
    "authorized_network": f"{PROJECT}/global/networks/default",
    "persistence_iam_identity": "serviceAccount:471812000000-compute@example.com",
    "connect_mode": cloud_redis.Instance.ConnectMode.PRIVATE_SERVICE_ACCESS,
    "auth_enabled": True,
    "server_ca_certs": [
        {
            "serial_number": "0",
            # As long as a real one, which would expire.
            "cert": "-----BEGIN CERTIFICATE-----\n" + 16 * (64 * "A" + "\n") + "-----END CERTIFICATE-----\n",
            "create_time": CREATED,
            "expire_time": {"seconds": CREATED["seconds"] + 10 * 365 * 86400},
            "sha1_fingerprint": 40 * "0",
        }
    ],
    "transit_encryption_mode": cloud_redis.Instance.TransitEncryptionMode.SERVER_AUTHENTICATION,
    "maintenance_policy": {
        "create_time": CREATED,
        "update_time": CREATED,
        "weekly_maintenance_window": [{"day": 7, "start_time": {"hours": 3}, "duration": {"seconds": 3600}}],
    },
    "replica_count": 2,
    "nodes": [{"id": f"node-{number}", "zone": f"us-central1-{zone}"} for number, zone in enumerate("afc")],
    "read_endpoint": "10.142.0.5",
    "read_endpoint_port": 6379,
    "read_replicas_mode": cloud_redis.Instance.ReadReplicasMode.READ_REPLICAS_ENABLED,
    "persistence_config": {
        "persistence_mode": cloud_redis.PersistenceConfig.PersistenceMode.RDB,
        "rdb_snapshot_period": cloud_redis.PersistenceConfig.SnapshotPeriod.TWELVE_HOURS,
        "rdb_next_snapshot_time": READY,
        "rdb_snapshot_start_time": READY,
    },
    "maintenance_version": "20250307_00_00",
    "available_maintenance_versions": ["20250415_00_00"],
}
BASIC: dict[str, Any] = {
    "name": INSTANCE,
    "location_id": "us-central1-a",
    "redis_version": "REDIS_7_2",
    "reserved_ip_range": "10.142.0.0/29",
    "host": "10.142.0.4",
    "port": 6379,
    "current_location_id": "us-central1-a",
    "create_time": CREATED,
    "state": cloud_redis.Instance.State.READY,
    "tier": cloud_redis.Instance.Tier.BASIC,
    "memory_size_gb": 1,
    "authorized_network": f"{PROJECT}/global/networks/default",
    "persistence_iam_identity": "serviceAccount:471812000000-compute@example.com",
    "connect_mode": cloud_redis.Instance.ConnectMode.DIRECT_PEERING,
    "transit_encryption_mode": cloud_redis.Instance.TransitEncryptionMode.DISABLED,
    "nodes": [{"id": "node-0", "zone": "us-central1-a"}],
    "read_replicas_mode": cloud_redis.Instance.ReadReplicasMode.READ_REPLICAS_DISABLED,
    "persistence_config": {"persistence_mode": cloud_redis.PersistenceConfig.PersistenceMode.DISABLED},
}


def pack(kind: Any, fields: dict[str, Any]) -> any_pb2.Any:
    """Packs a proto-plus message, maps in a fixed order."""
    pb = kind.pb(kind(fields))
    value = pb.SerializeToString(deterministic=True)
    return any_pb2.Any(type_url=f"type.googleapis.com/{pb.DESCRIPTOR.full_name}", value=value)


def operation(instance: dict[str, Any]) -> operations_proto_pb2.Operation:
    """Returns the message."""
    return operations_proto_pb2.Operation(
        name=f"{LOCATION}/operations/operation-1746691200123-634f8a1c5d0e2-7b1f3a52-9c4d6e80",
        metadata=pack(cloud_redis.OperationMetadata, METADATA),
        done=True,
        response=pack(cloud_redis.Instance, instance),
    )


if __name__ == "__main__":
    for name, instance in {"full": FULL, "basic": BASIC}.items():
        data = operation(instance).SerializeToString(deterministic=True)
        (FOLDER / f"{name}.binpb").write_bytes(data)
        print(f"{name}.binpb: {len(data)} bytes")
