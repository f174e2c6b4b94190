# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The messages of ``google/longrunning/operations.proto``: the classes of googleapis-common-protos themselves.

One class per message: a second copy of the file in the descriptor pool, differing in one byte, breaks
the user's process. The source is ``operations_proto_pb2``, which holds messages only, and not
``operations_pb2``, which imports grpc as well. No stub of ours shadows them: to a type checker, too, there is one class
per message, the one that googleapis-common-protos declares.
"""

from google.longrunning.operations_proto_pb2 import (
    DESCRIPTOR,
    CancelOperationRequest,
    DeleteOperationRequest,
    GetOperationRequest,
    ListOperationsRequest,
    ListOperationsResponse,
    Operation,
    OperationInfo,
    WaitOperationRequest,
    operation_info,
)

__all__ = [
    "DESCRIPTOR",
    "CancelOperationRequest",
    "DeleteOperationRequest",
    "GetOperationRequest",
    "ListOperationsRequest",
    "ListOperationsResponse",
    "Operation",
    "OperationInfo",
    "WaitOperationRequest",
    "operation_info",
]
