# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Serves the library on a ``grpc.server``, and uses it: no ``async`` anywhere."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc

from example.library.v1 import library_pb2, library_pb2_grpc
from longrunning import OperationError, OperationsClient, PollPolicy, StartError
from longrunning.server import SERVER_OPTIONS, AllowAll, OperationsServer, SqliteStore

from .api import CREATE_SHELF, DELETE_SHELF, IMPORT_BOOKS
from .service import LibraryServicer, Shelves, register


@contextmanager
def serving(folder: Path) -> Generator[str, None, None]:
    """A library, and its address."""
    shelves = Shelves()
    server = OperationsServer(store=SqliteStore(folder / "operations.db"), authorizer=AllowAll())
    register(server, shelves)
    grpc_server = grpc.server(ThreadPoolExecutor(16), options=SERVER_OPTIONS)
    server.add_to(grpc_server)
    library_pb2_grpc.add_LibraryServicer_to_server(LibraryServicer(server, shelves), grpc_server)
    port = grpc_server.add_insecure_port("127.0.0.1:0")
    with server:
        grpc_server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            grpc_server.stop(grace=1.0).wait()


def use(channel: grpc.Channel) -> None:
    """Creates a shelf, fills it, looks at it, and deletes it."""
    client = OperationsClient(channel, policy=PollPolicy(initial=0.1, multiplier=1.0))
    ordinary = library_pb2_grpc.LibraryStub(channel)
    shelf = client.start(
        CREATE_SHELF, library_pb2.CreateShelfRequest(shelf_id="poetry", shelf=library_pb2.Shelf(theme="Poetry"))
    ).result()
    print(f"created {shelf.name}: {shelf.theme}")

    importing = client.start(IMPORT_BOOKS, library_pb2.ImportBooksRequest(parent=shelf.name, uri="poems.csv", count=30))
    try:
        client.start(DELETE_SHELF, library_pb2.DeleteShelfRequest(name=shelf.name))
    except StartError as error:
        print(f"deleting it meanwhile: {error.details}")
    for snapshot in importing.watch():
        if snapshot.metadata is not None:
            print(f"{snapshot.state.value}: {snapshot.metadata.done} of {snapshot.metadata.total} books")
    print(f"imported {importing.result().imported}; GetShelf, an ordinary method, counts "
          f"{ordinary.GetShelf(library_pb2.GetShelfRequest(name=shelf.name)).book_count}")  # fmt: skip

    for wrong in (
        library_pb2.ImportBooksRequest(parent=shelf.name, uri="poems.csv", count=-1),
        library_pb2.ImportBooksRequest(parent="shelves/prose", uri="novels.csv", count=3),
    ):
        try:
            client.start(IMPORT_BOOKS, wrong)
        except StartError as error:
            print(f"not started: {error.details}")
    failing = client.start(
        IMPORT_BOOKS, library_pb2.ImportBooksRequest(parent=shelf.name, uri="more.csv", count=5, fail_at=2)
    )
    try:
        failing.result()
    except OperationError as error:
        print(f"failed: {error.status}")

    client.start(DELETE_SHELF, library_pb2.DeleteShelfRequest(name=shelf.name)).result()
    try:
        ordinary.GetShelf(library_pb2.GetShelfRequest(name=shelf.name))
    except grpc.RpcError as error:
        print(f"deleted: {error.code()}")
    print("operations:", ", ".join(operation.state.value for operation in client.list("operations")))


if __name__ == "__main__":
    with (
        tempfile.TemporaryDirectory(prefix="library-") as temporary,
        serving(Path(temporary)) as address,
        grpc.insecure_channel(address) as opened,
    ):
        use(opened)
