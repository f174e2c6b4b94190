# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Reading an operation: from bytes, and from JSON, to the typed response and metadata."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from google.api_core import operation as api_core
from google.cloud.redis_v1.types import cloud_redis
from google.longrunning import operations_proto_pb2
from google.protobuf import json_format

from benchmarks import measure
from benchmarks.report import Bench, Comparison
from longrunning.method import LroMethod
from longrunning.operation import Operation

DATA = Path(__file__).parent / "data"
LIMIT = "the limit"
OURS = "longrunning"
CORE = "google-api-core"

# Neither proto-plus nor google-api-core is typed.
INSTANCE: Any = cloud_redis.Instance
METADATA: Any = cloud_redis.OperationMetadata
Future: Any = api_core.Operation

PROTOBUF: tuple[Any, Any] = (INSTANCE.pb(), METADATA.pb())
PROTO_PLUS: tuple[Any, Any] = (INSTANCE, METADATA)

Fields = tuple[bool, str, str, str, str]


def fields(done: bool, instance: Any, metadata: Any) -> Fields:  # noqa: FBT001 (the operation's own field)
    """Reads what a caller would look at first; the same for all contestants."""
    return done, instance.name, instance.host, metadata.verb, metadata.target


def method(response: Any, metadata: Any) -> LroMethod[Any, Any, Any]:
    """Declares CreateInstance with these classes."""
    return LroMethod(
        path="/google.cloud.redis.v1.CloudRedis/CreateInstance",
        request_type=cloud_redis.CreateInstanceRequest,
        response_type=response,
        metadata_type=metadata,
    )


def compare(contestants: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Times contestants that must agree on what they found."""
    found = [contestant() for contestant in contestants.values()]
    if any(each != found[0] for each in found):
        raise AssertionError(f"the contestants do not do the same work: {found}")
    return measure.calls(contestants)


def from_bytes(label: str, data: bytes, response: Any, metadata: Any) -> dict[str, float]:
    """Bytes to result(), metadata and some fields of both."""
    lro = method(response, metadata)
    # "FromString" of a protobuf class, and what proto-plus has in its place
    decode_response = getattr(response, "deserialize", None) or response.FromString
    decode_metadata = getattr(metadata, "deserialize", None) or metadata.FromString

    def limit() -> Fields:
        proto = operations_proto_pb2.Operation.FromString(data)
        return fields(proto.done, decode_response(proto.response.value), decode_metadata(proto.metadata.value))

    def ours() -> Fields:
        operation = Operation.from_bytes(data, lro)
        return fields(operation.done, operation.result(), operation.metadata)

    def core() -> Fields:
        proto = operations_proto_pb2.Operation.FromString(data)
        future = Future(proto, refresh, cancel, response, metadata_type=metadata)
        return fields(future.done(), future.result(), future.metadata)

    def refresh(**_: Any) -> Any:
        raise AssertionError("a done operation is not refreshed")

    cancel = refresh
    return compare({f"{LIMIT}{label}": limit, f"{OURS}{label}": ours, f"{CORE}{label}": core})


def decoding() -> list[Bench]:
    """One bench for each committed message."""
    benches: list[Bench] = []
    for name in ("full", "basic"):
        data = (DATA / f"{name}.binpb").read_bytes()
        plus = ", proto-plus"
        times = from_bytes("", data, *PROTOBUF) | from_bytes(plus, data, *PROTO_PLUS)
        benches.append(
            Bench(
                f"bytes to result() and metadata, {name} Instance, {len(data):,} bytes",
                times,
                (
                    Comparison(OURS, CORE, faster=2.2),
                    Comparison(OURS, LIMIT, within=2),
                    # Most of it is proto-plus reading the fields, so no more than this can be promised.
                    Comparison(OURS + plus, CORE + plus, faster=1),
                    Comparison(OURS + plus, LIMIT + plus, within=2),
                ),
            )
        )
    return benches


def reading_json() -> list[Bench]:
    """JSON to name and done, to typed payloads, and back to JSON."""
    proto = operations_proto_pb2.Operation.FromString((DATA / "full.binpb").read_bytes())
    text = json_format.MessageToJson(proto, indent=None)
    response, metadata = PROTOBUF
    lro = method(response, metadata)

    def parse() -> operations_proto_pb2.Operation:
        return json_format.Parse(text, operations_proto_pb2.Operation())

    def glance_limit() -> tuple[str, bool]:
        document = json.loads(text)
        return document["name"], document["done"]

    def glance_ours() -> tuple[str, bool]:
        operation = Operation.from_json(text, lro)
        return operation.name, operation.done

    def glance_peer() -> tuple[str, bool]:
        operation = parse()
        return operation.name, operation.done

    def typed_ours() -> Fields:
        operation = Operation.from_json(text, lro)
        return fields(operation.done, operation.result(), operation.metadata)

    def typed_peer() -> Fields:
        operation, instance, details = parse(), response(), metadata()
        operation.response.Unpack(instance)
        operation.metadata.Unpack(details)
        return fields(operation.done, instance, details)

    snapshot = Operation.from_proto(proto, lro)
    size = f"{len(text):,} characters"
    parsed, unpacked, limit = "json_format.Parse", "json_format.Parse, Unpack", "json.loads"
    written = "json_format.MessageToJson"
    return [
        Bench(
            f"JSON to name and done, {size}",
            compare({limit: glance_limit, OURS: glance_ours, parsed: glance_peer}),
            (Comparison(OURS, parsed, faster=8), Comparison(OURS, limit)),
        ),
        Bench(
            f"JSON to result() and metadata, {size}",
            compare({unpacked: typed_peer, OURS: typed_ours}),
            (Comparison(OURS, unpacked, faster=1),),
        ),
        Bench(
            f"to JSON, {size}",
            measure.calls({written: lambda: json_format.MessageToJson(proto, indent=None), OURS: snapshot.to_json}),
            (Comparison(OURS, written),),
        ),
    ]
