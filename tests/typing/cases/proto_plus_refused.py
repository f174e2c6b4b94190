# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong with proto-plus classes, as far as it shows.

mypy takes a proto-plus message for anything at all, because proto-plus is not typed: where it has nothing to say, "-".
"""

from __future__ import annotations

from google.cloud import redis_v1
from google.cloud.redis_v1 import Instance

from example.library.v1.library_pb2 import CreateShelfRequest, Shelf
from longrunning import LroMethod, OperationsClient
from tests.typing.cases.library import CREATE_SHELF
from tests.typing.cases.proto_plus import CREATE_INSTANCE


def start(client: OperationsClient) -> None:
    client.start(CREATE_INSTANCE, CreateShelfRequest())  # E: misc | ArgumentType
    client.start(CREATE_SHELF, redis_v1.CreateInstanceRequest())  # E: - | ArgumentType
    shelf: Shelf = client.start(CREATE_INSTANCE, redis_v1.CreateInstanceRequest()).result()  # E: - | AssignmentType
    print(shelf)
    instance: Instance = client.start(CREATE_SHELF, CreateShelfRequest()).result()  # E: assignment | AssignmentType
    print(instance)


LroMethod(path="/a.B/C", request_type=Instance, response_type=Instance)  # E: call-overload | CallIssue
