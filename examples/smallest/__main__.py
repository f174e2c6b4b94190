# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""A service with one long-running method, on SQLite, and a client that calls it."""

import asyncio
import tempfile

import grpc.aio
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from longrunning import AsyncOperationsClient, LroMethod, PollPolicy
from longrunning.server import SERVER_OPTIONS, AllowAll, AsyncOperationContext, OperationsServer, SqliteStore

SHOUT = LroMethod(
    path="/example.Shouting/Shout", request_type=StringValue, response_type=StringValue, metadata_type=Int32Value
)


async def main(folder: str) -> None:
    """Serves, and calls itself."""
    server = OperationsServer(store=SqliteStore(f"{folder}/operations.db"), authorizer=AllowAll())

    @server.method(SHOUT)
    async def shout(request: StringValue, context: AsyncOperationContext[Int32Value]) -> StringValue:
        for percent in range(0, 100, 20):
            await context.update(Int32Value(value=percent))
            await asyncio.sleep(0.2)
        return StringValue(value=request.value.upper())

    grpc_server = grpc.aio.server(options=SERVER_OPTIONS)
    server.add_to(grpc_server)
    port = grpc_server.add_insecure_port("127.0.0.1:0")
    async with server, grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        await grpc_server.start()
        client = AsyncOperationsClient(channel, policy=PollPolicy(initial=0.1, multiplier=1.0))
        operation = await client.start(SHOUT, StringValue(value="hello"))
        print(operation.name)
        async for snapshot in operation.watch():
            print(snapshot.state.value, f"{snapshot.metadata.value} %" if snapshot.metadata else "")
        print((await operation).value)
    await grpc_server.stop(grace=1.0)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        asyncio.run(main(temporary))
