# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The service: ``uvicorn examples.rest.service:app``, and then http://127.0.0.1:8000/openapi.json."""

from __future__ import annotations

from starlette.applications import Starlette

from example.library.v1 import library_pb2
from longrunning import Code, LroMethod, OperationError, Status
from longrunning.rest import asgi_app
from longrunning.server import AllowAll, AsyncOperationContext, NamePattern, OperationsServer, SqliteStore

__all__ = ["app", "application"]

# Its HTTP binding, `google.api.http`, is in the proto: POST /v1/{parent=shelves/*}/books:import, with body "*".
IMPORT_BOOKS = LroMethod.from_descriptor(
    library_pb2.DESCRIPTOR.services_by_name["Library"].methods_by_name["ImportBooks"]
)
NAMES = NamePattern("shelves/{shelf}/operations/{operation}")


def application(path: str) -> Starlette:
    """An ASGI application whose operations are in an SQLite file."""
    server = OperationsServer(store=SqliteStore(path), authorizer=AllowAll(), names=NAMES)

    def validate(request: library_pb2.ImportBooksRequest, _: object) -> None:
        if request.count < 1:
            raise OperationError(Status(Code.INVALID_ARGUMENT, "count: there is nothing to import"))

    @server.method(IMPORT_BOOKS, validate=validate)
    async def import_books(
        request: library_pb2.ImportBooksRequest, context: AsyncOperationContext[library_pb2.ImportBooksMetadata]
    ) -> library_pb2.ImportBooksResponse:
        for done in range(request.count):
            percent = 100 * done // request.count
            await context.update(library_pb2.ImportBooksMetadata(total=request.count, done=done, percent=percent))
            await context.sleep(0.25)
        context.end_with(library_pb2.ImportBooksMetadata(total=request.count, done=request.count, percent=100))
        return library_pb2.ImportBooksResponse(imported=request.count)

    return asgi_app(server, title="Library", manage_server=True)


app = application("operations.db")
