# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The library: its long-running methods on the generated base, and an ordinary one as gRPC has it.

Its shelves are in memory, to keep the example short; a real one has a database, and handlers that may run twice
(see ``examples/memorystore``).
"""

from __future__ import annotations

import threading
from typing import Final

import grpc
from google.protobuf import empty_pb2
from google.rpc import error_details_pb2

from example.library.v1 import library_pb2, library_pb2_grpc
from example.library.v1.library_lro import CREATE_SHELF, DELETE_SHELF, IMPORT_BOOKS, SyncLibraryLroServicer
from longrunning import Code, OperationError, Status
from longrunning.server import OperationContext, OperationsServer

__all__ = ["Library", "Shelves"]

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


class Library(SyncLibraryLroServicer, library_pb2_grpc.LibraryServicer):
    """The service. What a handler returns is the response of its operation; the RPCs that start them are inherited."""

    def __init__(self, operations_server: OperationsServer, shelves: Shelves) -> None:
        """Registers the handlers: where there is more to say than the base would, before it does."""
        self._shelves = shelves
        # Nobody deletes a shelf while books are put on it: they are the same `resource`.
        operations_server.method(IMPORT_BOOKS, validate=self._may_import, resource=lambda request: request.parent)(
            self.import_books
        )
        operations_server.method(CREATE_SHELF, resource=lambda request: f"shelves/{request.shelf_id}")(
            self.create_shelf
        )
        operations_server.method(DELETE_SHELF, resource=lambda request: request.name)(self.delete_shelf)
        super().__init__(operations_server)

    def _may_import(self, request: library_pb2.ImportBooksRequest, _: object) -> None:
        self._shelves.get(request.parent)
        if not 0 < request.count <= 1000:
            text = f"from 1 to 1000 books are imported at once, not {request.count}"
            violation = error_details_pb2.BadRequest.FieldViolation(field="count", description=text)
            details = (error_details_pb2.BadRequest(field_violations=[violation]),)
            raise OperationError(Status(Code.INVALID_ARGUMENT, text, details))

    def import_books(
        self, request: library_pb2.ImportBooksRequest, context: OperationContext[library_pb2.ImportBooksMetadata]
    ) -> library_pb2.ImportBooksResponse:
        """Imports books, one by one."""
        shelf = self._shelves.get(request.parent)
        for done in range(request.count):
            percent = 100 * done // request.count
            context.update(library_pb2.ImportBooksMetadata(total=request.count, done=done, percent=percent))
            if done + 1 == request.fail_at:
                raise OperationError(Status(Code.DATA_LOSS, f"book {done + 1} of {request.uri} has no pages"))
            context.sleep(_BOOK_SECONDS)
            shelf.book_count += 1
        self._shelves.put(shelf)
        context.end_with(library_pb2.ImportBooksMetadata(total=request.count, done=request.count, percent=100))
        return library_pb2.ImportBooksResponse(shelf=shelf, imported=request.count)

    def create_shelf(
        self, request: library_pb2.CreateShelfRequest, context: OperationContext[library_pb2.OperationMetadata]
    ) -> library_pb2.Shelf:
        """Creates a shelf."""
        # Where the caller names no shelf, the operation does: a second attempt has to choose the same.
        shelf_id = request.shelf_id or context.name.rpartition("/op-")[2]
        shelf = library_pb2.Shelf(name=f"shelves/{shelf_id}", theme=request.shelf.theme)
        context.update(library_pb2.OperationMetadata(verb="create", target=shelf.name))
        self._shelves.put(shelf)
        return shelf

    def delete_shelf(
        self, request: library_pb2.DeleteShelfRequest, context: OperationContext[library_pb2.OperationMetadata]
    ) -> empty_pb2.Empty:
        """Deletes a shelf."""
        context.update(library_pb2.OperationMetadata(verb="delete", target=request.name))
        self._shelves.remove(request.name)
        return empty_pb2.Empty()

    def GetShelf(  # noqa: N802 (the name of the RPC)
        self, request: library_pb2.GetShelfRequest, context: grpc.ServicerContext
    ) -> library_pb2.Shelf:
        """Gets a shelf: an ordinary method."""
        try:
            return self._shelves.get(request.name)
        except OperationError as error:
            context.abort(grpc.StatusCode.NOT_FOUND, error.status.message)
