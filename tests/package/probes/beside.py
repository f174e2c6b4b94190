# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Imports this package and google-api-core in the order of the argument, and lets each read the other's operations."""

import json
import sys

if sys.argv[1] == "ours first":
    import longrunning
    from longrunning._pb import operations_pb2 as ours

    ours.Operation(name="before the others").SerializeToString()

import google.api_core.operation
import google.api_core.operations_v1
from google.longrunning import operations_pb2, operations_proto_pb2
from google.protobuf import empty_pb2, struct_pb2
from google.protobuf.internal import api_implementation
from google.rpc import error_details_pb2, status_pb2

if sys.argv[1] == "theirs first":
    operations_pb2.Operation(name="before ours").SerializeToString()
    import longrunning
    from longrunning._pb import operations_pb2 as ours

method = longrunning.LroMethod(
    path="/example.Service/Method",
    request_type=empty_pb2.Empty,
    response_type=struct_pb2.Struct,
    metadata_type=error_details_pb2.RetryInfo,
)
theirs = operations_pb2.Operation(name="operations/1", done=True)
theirs.response.Pack(struct_pb2.Struct(fields={"a": struct_pb2.Value(number_value=1)}))
theirs.metadata.Pack(error_details_pb2.RetryInfo())
snapshot = longrunning.Operation.from_proto(theirs, method)

failed = operations_pb2.Operation(name="operations/2", done=True, error=status_pb2.Status(code=5))
failed.error.details.add().Pack(error_details_pb2.ErrorInfo(reason="GONE"))
error = longrunning.Operation.from_bytes(failed.SerializeToString(), method).error
assert error is not None

future = google.api_core.operation.Operation(
    snapshot.to_proto(), lambda **_: theirs, lambda: None, struct_pb2.Struct, metadata_type=error_details_pb2.RetryInfo
)

identical = {
    name: getattr(ours, name) is getattr(operations_pb2, name) is getattr(operations_proto_pb2, name)
    for name in ours.__all__
}
identical |= {
    "to_proto()": type(snapshot.to_proto()) is operations_pb2.Operation,
    "result()": type(snapshot.result()) is struct_pb2.Struct,
    "metadata": type(snapshot.metadata) is error_details_pb2.RetryInfo,
    "a detail of an error": type(error.details[0]) is error_details_pb2.ErrorInfo,
    "their result()": future.result() == snapshot.result(),
}
print(json.dumps({"implementation": api_implementation.Type(), "identical": identical}))
