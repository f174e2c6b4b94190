# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""One of several processes that serve the operations of one file. Run by test_zombies.py.

Its standard input holds how, as JSON; what its handlers see is printed, a JSON object a line. It ends on SIGTERM.

A handler leaves a checkpoint, waits for a file called after the gate in its request and after the replica, and goes on.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
import time
from pathlib import Path
from typing import Any

import grpc.aio

from example.library.v1 import library_pb2
from longrunning import LroMethod
from longrunning.errors import LeaseLostError, OperationCancelledError
from longrunning.server import (
    SERVER_OPTIONS,
    AllowAll,
    AsyncOperationContext,
    Limits,
    LocalExecutor,
    OperationContext,
    OperationsServer,
    SqliteStore,
)

NAP = 0.005  # seconds between looks at a gate
IMPORT_BOOKS = LroMethod(
    path="/example.library.v1.Library/ImportBooks",
    request_type=library_pb2.ImportBooksRequest,
    response_type=library_pb2.ImportBooksResponse,
    metadata_type=library_pb2.ImportBooksMetadata,
)
CREATE_SHELF = LroMethod(
    path="/example.library.v1.Library/CreateShelf",
    request_type=library_pb2.CreateShelfRequest,
    response_type=library_pb2.Shelf,
    metadata_type=library_pb2.OperationMetadata,
)


def tell(event: str, context: Any = None, **fields: Any) -> None:
    """Prints what happens, and when."""
    about = {} if context is None else {"operation": context.name, "attempt": context.attempt}
    sys.stdout.write(json.dumps({"event": event, "time": time.time(), **about, **fields}) + "\n")
    sys.stdout.flush()


class Telling(logging.Handler):
    """Prints what is logged."""

    def emit(self, record: logging.LogRecord) -> None:
        tell("log", text=record.getMessage())


class Handlers:
    """The handlers of a replica, in two colours; what they write says who wrote it, and in which attempt."""

    def __init__(self, replica: str, folder: Path) -> None:
        self._replica = replica
        self._folder = folder

    def begin(self, context: Any) -> bytes:
        """Tells of the beginning, and gives the checkpoint to leave."""
        tell("begun", context, checkpoint=(context.checkpoint or b"").decode())
        return f"{self._replica}, attempt {context.attempt}".encode()

    def is_open(self, gate: str) -> bool:
        """Whether those who wait there may go on."""
        return (self._folder / f"{gate}.{self._replica}").exists()

    def progress(self, request: library_pb2.ImportBooksRequest, context: Any) -> library_pb2.ImportBooksMetadata:
        """Metadata of an attempt."""
        return library_pb2.ImportBooksMetadata(total=request.count, done=context.attempt)

    async def import_books(
        self, request: library_pb2.ImportBooksRequest, context: AsyncOperationContext[library_pb2.ImportBooksMetadata]
    ) -> library_pb2.ImportBooksResponse:
        """Updates ``count`` times after the gate."""
        try:
            await context.update(self.progress(request, context), self.begin(context))
            tell("saved", context)
            while not self.is_open(request.uri):  # noqa: ASYNC110 (a file, which another process makes)
                await asyncio.sleep(NAP)
            for _ in range(request.count):
                await context.update(self.progress(request, context))
        except (LeaseLostError, asyncio.CancelledError) as error:
            tell("stopped", context, by=type(error).__name__)
            raise
        tell("returning", context)
        return library_pb2.ImportBooksResponse(imported=context.attempt)

    def import_books_in_thread(
        self, request: library_pb2.ImportBooksRequest, context: OperationContext[library_pb2.ImportBooksMetadata]
    ) -> library_pb2.ImportBooksResponse:
        """The same."""
        try:
            context.update(self.progress(request, context), self.begin(context))
            tell("saved", context)
            while not self.is_open(request.uri):
                time.sleep(NAP)
            for _ in range(request.count):
                context.update(self.progress(request, context))
        except LeaseLostError as error:
            tell("stopped", context, by=type(error).__name__)
            raise
        tell("returning", context)
        return library_pb2.ImportBooksResponse(imported=context.attempt)

    async def create_shelf(
        self, request: library_pb2.CreateShelfRequest, context: AsyncOperationContext[library_pb2.OperationMetadata]
    ) -> library_pb2.Shelf:
        """Waits at the gate, and can be cancelled there."""
        try:
            await context.update(checkpoint=self.begin(context))
            tell("saved", context)
            while not self.is_open(request.shelf_id):
                await context.sleep(NAP)
        except OperationCancelledError:
            tell("cancelled", context)
            raise
        tell("returning", context)
        return library_pb2.Shelf(name=request.shelf_id, book_count=context.attempt)


def server_of(how: dict[str, Any], folder: Path) -> OperationsServer:
    """The server of a replica."""
    server = OperationsServer(
        store=SqliteStore(folder / "operations.db"),
        authorizer=AllowAll(),
        executor=LocalExecutor(concurrency=how["concurrency"]),
        limits=Limits(lease_ttl=how["lease_ttl"], reconcile_interval=0.1, shutdown_grace=0),
    )
    handlers = Handlers(how["replica"], folder)
    if how["threads"]:
        server.method(IMPORT_BOOKS)(handlers.import_books_in_thread)
    else:
        server.method(IMPORT_BOOKS)(handlers.import_books)
    if how["creates"]:
        server.method(CREATE_SHELF)(handlers.create_shelf)
    return server


async def serve(how: dict[str, Any]) -> None:
    """Serves until SIGTERM."""
    server = server_of(how, Path(how["folder"]))
    grpc_server = grpc.aio.server(options=SERVER_OPTIONS)
    server.add_to(grpc_server)
    port = grpc_server.add_insecure_port("127.0.0.1:0")
    end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    async with server:
        await grpc_server.start()
        tell("ready", port=port)
        await end.wait()
        await grpc_server.stop(0)


if __name__ == "__main__":
    logging.getLogger("longrunning.server").addHandler(Telling())
    asyncio.run(serve(json.loads(sys.stdin.readline())))
