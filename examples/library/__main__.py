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
from example.library.v1.library_lro import TYPES, LibraryLro
from longrunning import OperationError, OperationsClient, PollPolicy, StartError
from longrunning.server import SERVER_OPTIONS, AllowAll, OperationsServer, SqliteStore

from .service import Library, Shelves


@contextmanager
def serving(folder: Path) -> Generator[str, None, None]:
    """A library, and its address."""
    server = OperationsServer(store=SqliteStore(folder / "operations.db"), authorizer=AllowAll())
    grpc_server = grpc.server(ThreadPoolExecutor(16), options=SERVER_OPTIONS)
    library_pb2_grpc.add_LibraryServicer_to_server(Library(server, Shelves()), grpc_server)
    server.add_to(grpc_server)
    port = grpc_server.add_insecure_port("127.0.0.1:0")
    with server:
        grpc_server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            grpc_server.stop(grace=1.0).wait()


def use(channel: grpc.Channel) -> None:
    """Creates a shelf, fills it, looks at it, and deletes it."""
    client = OperationsClient(channel, registry=TYPES, policy=PollPolicy(initial=0.1, multiplier=1.0))
    library, ordinary = LibraryLro(client), library_pb2_grpc.LibraryStub(channel)
    shelf = library.create_shelf(
        library_pb2.CreateShelfRequest(shelf_id="poetry", shelf=library_pb2.Shelf(theme="Poetry"))
    ).result()
    print(f"created {shelf.name}: {shelf.theme}")

    importing = library.import_books(library_pb2.ImportBooksRequest(parent=shelf.name, uri="poems.csv", count=30))
    try:
        library.delete_shelf(library_pb2.DeleteShelfRequest(name=shelf.name))
    except StartError as error:
        print(f"deleting it meanwhile: {error.details}")
    for snapshot in importing.watch():
        if snapshot.metadata is not None:
            print(f"{snapshot.state.value}: {snapshot.metadata.done} of {snapshot.metadata.total} books")
    # Or somewhere else, at another time: the name is all it takes.
    imported = library.resume_import_books(importing.name).result()
    print(f"imported {imported.imported}; GetShelf, an ordinary method, counts "
          f"{ordinary.GetShelf(library_pb2.GetShelfRequest(name=shelf.name)).book_count}")  # fmt: skip

    for wrong in (
        library_pb2.ImportBooksRequest(parent=shelf.name, uri="poems.csv", count=-1),
        library_pb2.ImportBooksRequest(parent="shelves/prose", uri="novels.csv", count=3),
    ):
        try:
            library.import_books(wrong)
        except StartError as error:
            print(f"not started: {error.details}")
    failing = library.import_books(
        library_pb2.ImportBooksRequest(parent=shelf.name, uri="more.csv", count=5, fail_at=2)
    )
    try:
        failing.result()
    except OperationError as error:
        print(f"failed: {error.status}")

    library.delete_shelf(library_pb2.DeleteShelfRequest(name=shelf.name)).result()
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
