# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The library: long-running methods as handlers, and an ordinary one on a servicer as gRPC generates it.

Its shelves are in memory, to keep the example short; a real one has a database, and handlers that may run twice
(see ``examples/memorystore``).
"""

from __future__ import annotations

import threading
from typing import Any, Final

import grpc
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2
from google.rpc import error_details_pb2

from example.library.v1 import library_pb2, library_pb2_grpc
from longrunning import Code, OperationError, Status
from longrunning.server import OperationContext, OperationsServer

from .api import CREATE_SHELF, DELETE_SHELF, IMPORT_BOOKS

__all__ = ["LibraryServicer", "Shelves", "register"]

_BOOK_SECONDS: Final = 0.02


class Shelves:
    """The shelves there are. Handlers run in threads of their own, several at once."""

    def __init__(self) -> None:
        """There are none."""
        self._lock = threading.Lock()
        self._shelves: dict[str, library_pb2.Shelf] = {}

    def get(self, name: str) -> library_pb2.Shelf:
        """A copy of a shelf.

        Raises:
            OperationError: NOT_FOUND.
        """
        with self._lock:
            if name not in self._shelves:
                raise OperationError(Status(Code.NOT_FOUND, f"there is no {name}"))
            shelf = library_pb2.Shelf()
            shelf.CopyFrom(self._shelves[name])
            return shelf

    def put(self, shelf: library_pb2.Shelf) -> None:
        """Adds a shelf, or replaces it."""
        with self._lock:
            self._shelves[shelf.name] = shelf

    def remove(self, name: str) -> None:
        """Removes a shelf, if it is there."""
        with self._lock:
            self._shelves.pop(name, None)


def register(server: OperationsServer, shelves: Shelves) -> None:
    """Registers the handlers. `serve=False`: the servicer below serves the RPCs."""

    def may_import(request: library_pb2.ImportBooksRequest, _: object) -> None:
        shelves.get(request.parent)
        if not 0 < request.count <= 1000:
            text = f"from 1 to 1000 books are imported at once, not {request.count}"
            violation = error_details_pb2.BadRequest.FieldViolation(field="count", description=text)
            details = (error_details_pb2.BadRequest(field_violations=[violation]),)
            raise OperationError(Status(Code.INVALID_ARGUMENT, text, details))

    # Nobody deletes a shelf while books are put on it: they are the same `resource`.
    @server.method(IMPORT_BOOKS, serve=False, validate=may_import, resource=lambda request: request.parent)
    def import_books(
        request: library_pb2.ImportBooksRequest, context: OperationContext[library_pb2.ImportBooksMetadata]
    ) -> library_pb2.ImportBooksResponse:
        shelf = shelves.get(request.parent)
        for done in range(request.count):
            percent = 100 * done // request.count
            context.update(library_pb2.ImportBooksMetadata(total=request.count, done=done, percent=percent))
            if done + 1 == request.fail_at:
                raise OperationError(Status(Code.DATA_LOSS, f"book {done + 1} of {request.uri} has no pages"))
            context.sleep(_BOOK_SECONDS)
            shelf.book_count += 1
        shelves.put(shelf)
        context.end_with(library_pb2.ImportBooksMetadata(total=request.count, done=request.count, percent=100))
        return library_pb2.ImportBooksResponse(shelf=shelf, imported=request.count)

    @server.method(CREATE_SHELF, serve=False, resource=lambda request: f"shelves/{request.shelf_id}")
    def create_shelf(
        request: library_pb2.CreateShelfRequest, context: OperationContext[library_pb2.OperationMetadata]
    ) -> library_pb2.Shelf:
        # Where the caller names no shelf, the operation does: a second attempt has to choose the same.
        shelf_id = request.shelf_id or context.name.rpartition("/op-")[2]
        shelf = library_pb2.Shelf(name=f"shelves/{shelf_id}", theme=request.shelf.theme)
        context.update(library_pb2.OperationMetadata(verb="create", target=shelf.name))
        shelves.put(shelf)
        return shelf

    @server.method(DELETE_SHELF, serve=False, resource=lambda request: request.name)
    def delete_shelf(
        request: library_pb2.DeleteShelfRequest, context: OperationContext[library_pb2.OperationMetadata]
    ) -> empty_pb2.Empty:
        context.update(library_pb2.OperationMetadata(verb="delete", target=request.name))
        shelves.remove(request.name)
        return empty_pb2.Empty()


class LibraryServicer(library_pb2_grpc.LibraryServicer):
    """The servicer that gRPC generates a base for: what is long-running, it starts."""

    def __init__(self, server: OperationsServer, shelves: Shelves) -> None:
        """Takes what does the work."""
        self._server = server
        self._shelves = shelves

    def ImportBooks(self, request: Any, context: grpc.ServicerContext) -> operations_pb2.Operation:  # noqa: N802
        """Imports books."""
        return self._server.start_blocking(IMPORT_BOOKS, request, context)

    def CreateShelf(self, request: Any, context: grpc.ServicerContext) -> operations_pb2.Operation:  # noqa: N802
        """Creates a shelf."""
        return self._server.start_blocking(CREATE_SHELF, request, context)

    def DeleteShelf(self, request: Any, context: grpc.ServicerContext) -> operations_pb2.Operation:  # noqa: N802
        """Deletes a shelf."""
        return self._server.start_blocking(DELETE_SHELF, request, context)

    def GetShelf(self, request: Any, context: grpc.ServicerContext) -> library_pb2.Shelf:  # noqa: N802
        """Gets a shelf: an ordinary method."""
        try:
            return self._shelves.get(request.name)
        except OperationError as error:
            context.abort(grpc.StatusCode.NOT_FOUND, error.status.message)
