# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The server, which kills itself. Run as ``python -m examples.checkpoints.server FOLDER PORT``."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
import sys
from pathlib import Path
from typing import Final

import grpc.aio
from google.protobuf.wrappers_pb2 import Int32Value, Int64Value

from longrunning import LroMethod
from longrunning.server import SERVER_OPTIONS, AllowAll, AsyncOperationContext, Limits, OperationsServer, SqliteStore

__all__ = ["ADD_UP", "BLOCKS"]

ADD_UP: Final = LroMethod(  # metadata: how many blocks are done
    path="/example.Numbers/AddUp", request_type=Int64Value, response_type=Int64Value, metadata_type=Int32Value
)
BLOCKS: Final = 12
LIFETIME: Final = 60.0  # seconds: it does not outlive the demonstration for long, whatever happens there
KILLED_IN: Final = {1: 4, 2: 8}
"""In which block the process dies, by the number of the attempt."""

_STATE: Final = struct.Struct("<iq")  # blocks done, and the sum so far


def make_server(folder: Path) -> OperationsServer:
    """The server of operations."""
    # The lease is short, so that the demonstration is: it is how long the work of a dead process lies still.
    limits = Limits(lease_ttl=2.0, reconcile_interval=0.1)
    server = OperationsServer(store=SqliteStore(folder / "operations.db"), authorizer=AllowAll(), limits=limits)

    @server.method(ADD_UP)
    async def add_up(request: Int64Value, context: AsyncOperationContext[Int32Value]) -> Int64Value:
        done, total = _STATE.unpack(context.checkpoint) if context.checkpoint else (0, 0)
        for block in range(done, BLOCKS):
            with (folder / "log").open("a") as log:
                log.write(f"attempt {context.attempt}: block {block}\n")
            await context.sleep(0.05)
            if KILLED_IN.get(context.attempt) == block:
                os.kill(os.getpid(), signal.SIGKILL)
            total += sum(range(request.value * block // BLOCKS, request.value * (block + 1) // BLOCKS))
            # Sum and position in one write: there is no moment at which one is newer than the other.
            await context.update(Int32Value(value=block + 1), checkpoint=_STATE.pack(block + 1, total))
        return Int64Value(value=total)

    return server


async def main(folder: Path, port: int) -> None:
    """Serves until it is killed, or its time is over."""
    grpc_server = grpc.aio.server(options=SERVER_OPTIONS)
    server = make_server(folder)
    server.add_to(grpc_server)
    port = grpc_server.add_insecure_port(f"127.0.0.1:{port}")
    async with server:
        await grpc_server.start()
        print(port, flush=True)
        await asyncio.sleep(LIFETIME)
    await grpc_server.stop(grace=1.0)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
