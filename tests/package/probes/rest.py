# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Both ends of HTTP/JSON in one process, where the wheel was installed with the extra `rest`, and gRPC was not."""

import json
import sys
import threading
import time

import uvicorn
from google.rpc.error_details_pb2 import ErrorInfo

from longrunning import HttpBinding, LroMethod, OperationsClient
from longrunning.errors import MissingExtraError
from longrunning.rest import asgi_app
from longrunning.server import AllowAll, MemoryStore, OperationsServer

MAKE = LroMethod(
    path="/acme.Things/Make",
    request_type=ErrorInfo,
    response_type=ErrorInfo,
    metadata_type=ErrorInfo,
    http=HttpBinding(verb="POST", path="/v1/things:make", body="*"),
)
operations = OperationsServer(store=MemoryStore(), authorizer=AllowAll())


@operations.method(MAKE)
async def make(request, context):
    await context.update(ErrorInfo(reason="MAKING"))
    return ErrorInfo(reason=request.reason, domain="made")


server = uvicorn.Server(uvicorn.Config(asgi_app(operations, manage_server=True), port=0, log_level="error"))
thread = threading.Thread(target=server.run)
thread.start()
while not server.started:
    time.sleep(0.01)
seen = {}
try:
    with OperationsClient.from_url(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}") as client:
        operation = client.start(MAKE, ErrorInfo(reason="PROBE"))
        seen["domain"] = operation.result(timeout=20.0).domain
        seen["listed"] = [each.name for each in client.list("", filter="done = true")] == [operation.name]
finally:
    server.should_exit = True
    thread.join()
try:
    from longrunning.server import SERVER_OPTIONS  # noqa: F401
except MissingExtraError as error:
    seen["grpc"] = str(error)
seen["imported"] = sorted({"grpc", "google.auth", "requests", "typer"}.intersection(sys.modules))
print(json.dumps(seen))
