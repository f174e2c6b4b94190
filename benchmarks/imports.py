# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Importing: whole processes, because what an import costs depends on all that was imported before."""

from __future__ import annotations

from benchmarks import measure
from benchmarks.report import Bench, Comparison

BARE = "the bare interpreter"
MESSAGES = "operations_proto_pb2"
PACKAGE = "import longrunning"
CORE_NAMES = "Operation, LroMethod, TypeRegistry"
GRPC = "operations_proto_pb2, grpc"
CLIENT = "longrunning.client"
API_CORE = "google.api_core.operation"

PROGRAMS = {
    BARE: "pass",
    MESSAGES: "import google.longrunning.operations_proto_pb2",
    PACKAGE: "import longrunning",
    CORE_NAMES: "from longrunning import LroMethod, Operation, TypeRegistry",
    GRPC: "import google.longrunning.operations_proto_pb2, grpc",
    # Both names are touched: the module loads them lazily.
    CLIENT: "import longrunning.client as client; client.OperationsClient, client.AsyncOperationsClient",
    API_CORE: "import google.api_core.operation",
}


def importing() -> list[Bench]:
    """One bench: all programs take turns."""
    return [
        Bench(
            "importing, whole process",
            measure.processes(PROGRAMS),
            (
                Comparison(PACKAGE, MESSAGES, within=1.3),
                Comparison(CLIENT, GRPC, within=1.2),
                Comparison(CORE_NAMES, MESSAGES),  # what `import longrunning` puts off
                Comparison(CLIENT, API_CORE),
            ),
        )
    ]
