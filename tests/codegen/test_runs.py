# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What is generated for our example, running: its clients, its servicers, and Google's own classes."""

from __future__ import annotations

import asyncio
import concurrent.futures
import importlib.util
import sys
from collections.abc import Awaitable, Callable, Iterator
from types import ModuleType
from typing import Any, Final

import grpc
import grpc.aio
import pytest
from google.cloud.redis_v1 import CreateInstanceRequest, Instance
from google.cloud.redis_v1.types import OperationMetadata
from google.protobuf import empty_pb2

from example.library.v1 import library_pb2, library_pb2_grpc
from longrunning import (
    AsyncOperationsClient,
    LroMethod,
    OperationError,
    OperationsClient,
    StartError,
    Status,
    TypeRegistry,
)
from longrunning.codegen import Message, Options
from longrunning.codegen._classes import find_class
from longrunning.server import SERVER_OPTIONS, AllowAll, MemoryStore, NamePattern, OperationsServer
from longrunning.status import Code
from longrunning.testing import ScriptedOperations, pending, succeeded
from tests.codegen.compiling import ROOT, Sources, service, starts

LIBRARY: Final = "example/library/v1/library.proto"
SHELF: Final = library_pb2.Shelf(name="shelves/1", theme="music")
CREATE: Final = library_pb2.CreateShelfRequest(shelf=SHELF)
IMPORT: Final = library_pb2.ImportBooksRequest(parent="shelves/1", count=2)


def load(text: str, name: str) -> ModuleType:
    """A module from its text."""
    spec = importlib.util.spec_from_loader(name, loader=None)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    exec(compile(text, f"{name}.py", "exec"), vars(module))
    return module


@pytest.fixture(scope="module")
def library() -> Any:
    """The module that is generated for our example."""
    sources = Sources({LIBRARY: (ROOT / "protos" / LIBRARY).read_text(encoding="utf-8")})
    (file,) = sources.generated().file
    return load(file.content, "library_lro")


# -- clients ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def scripted(library: Any) -> ScriptedOperations:
    """A server that creates shelves."""
    scripted = ScriptedOperations()
    metadata = library_pb2.OperationMetadata(verb="create")
    scripted.starts(library.CREATE_SHELF, pending(metadata), succeeded(SHELF, metadata=metadata))
    return scripted


def test_sync_client(library: Any, scripted: ScriptedOperations) -> None:
    """The sync client starts an operation with a timeout and headers of its own, and resumes it by name (GEN-3)."""
    with scripted.serve() as server, grpc.insecure_channel(server.address) as channel:
        client = library.LibraryLro(OperationsClient(channel, registry=library.TYPES))
        operation = client.create_shelf(CREATE, timeout=5, metadata=(("x-caller", "test"),))
        assert operation.result() == SHELF
        again = client.resume_create_shelf(operation.name)
        assert (again.result(), again.operation.metadata.verb) == (SHELF, "create")
        assert client.operations.get(operation.name).result() == SHELF  # typed by the registry
        with pytest.raises(ValueError, match="name"):
            client.resume_create_shelf("")
        with pytest.raises(TypeError, match="takes a example"):
            client.create_shelf(SHELF)
    headers = dict(scripted.calls[0].metadata)
    assert headers["x-caller"] == "test"


def test_async_client(library: Any, scripted: ScriptedOperations) -> None:
    """The async client does the same (GEN-3)."""

    async def scenario(address: str) -> None:
        async with grpc.aio.insecure_channel(address) as channel:
            client = library.AsyncLibraryLro(AsyncOperationsClient(channel, registry=library.TYPES))
            operation = await client.create_shelf(CREATE, timeout=5)
            assert await operation == SHELF
            assert await client.resume_create_shelf(operation.name) == SHELF

    with scripted.serve() as server:
        asyncio.run(scenario(server.address))


def test_constants(library: Any) -> None:
    """The constants are what the runtime reads from the descriptors, bindings included (GEN-1)."""
    descriptor = library_pb2.DESCRIPTOR.services_by_name["Library"]
    for name, rpc in (
        ("IMPORT_BOOKS", "ImportBooks"),
        ("CREATE_SHELF", "CreateShelf"),
        ("DELETE_SHELF", "DeleteShelf"),
    ):
        assert getattr(library, name) == LroMethod.from_descriptor(descriptor.methods_by_name[rpc])
    assert "example.library.v1.Shelf" in library.TYPES
    assert "example.library.v1.OperationMetadata" in library.TYPES


# -- servicers ----------------------------------------------------------------------------------------------------------


def operations_server() -> OperationsServer:
    """A server of operations, in memory."""
    return OperationsServer(store=MemoryStore(), authorizer=AllowAll(), names=NamePattern("operations/{operation}"))


def async_servicer(library: Any) -> type[Any]:
    """What an author writes: the long-running methods as functions, and an ordinary one."""

    class Library(library.LibraryLroServicer, library_pb2_grpc.LibraryServicer):  # type: ignore[misc]
        async def import_books(self, request: Any, context: Any) -> library_pb2.ImportBooksResponse:
            await context.update(library_pb2.ImportBooksMetadata(total=request.count, done=request.count))
            return library_pb2.ImportBooksResponse(imported=request.count)

        async def create_shelf(self, request: Any, context: Any) -> library_pb2.Shelf:
            if not request.shelf.theme:
                raise OperationError(Status(Code.INVALID_ARGUMENT, "a shelf has a theme"))
            return library_pb2.Shelf(name=request.shelf.name, theme=request.shelf.theme)

        async def delete_shelf(self, request: Any, context: Any) -> empty_pb2.Empty:
            return empty_pb2.Empty()

        async def GetShelf(self, request: Any, context: Any) -> library_pb2.Shelf:  # noqa: N802
            return library_pb2.Shelf(name=request.name)

    return Library


def sync_servicer(library: Any) -> type[Any]:
    """The same with handlers in threads."""

    class Library(library.SyncLibraryLroServicer, library_pb2_grpc.LibraryServicer):  # type: ignore[misc]
        def import_books(self, request: Any, context: Any) -> library_pb2.ImportBooksResponse:
            context.update(library_pb2.ImportBooksMetadata(total=request.count, done=request.count))
            return library_pb2.ImportBooksResponse(imported=request.count)

        def create_shelf(self, request: Any, context: Any) -> library_pb2.Shelf:
            if not request.shelf.theme:
                raise OperationError(Status(Code.INVALID_ARGUMENT, "a shelf has a theme"))
            return library_pb2.Shelf(name=request.shelf.name, theme=request.shelf.theme)

        def delete_shelf(self, request: Any, context: Any) -> empty_pb2.Empty:
            return empty_pb2.Empty()

        def GetShelf(self, request: Any, context: Any) -> library_pb2.Shelf:  # noqa: N802
            return library_pb2.Shelf(name=request.name)

    return Library


async def drive(library: Any, address: str, *, ordinary: bool = True) -> None:
    """Calls every method."""
    async with grpc.aio.insecure_channel(address) as channel:
        client = library.AsyncLibraryLro(AsyncOperationsClient(channel, registry=library.TYPES))
        importing = await client.import_books(IMPORT)
        assert (await importing).imported == 2
        assert importing.operation.metadata == library_pb2.ImportBooksMetadata(total=2, done=2)
        assert await (await client.create_shelf(CREATE)) == SHELF
        with pytest.raises(OperationError, match="a shelf has a theme"):
            await (await client.create_shelf(library_pb2.CreateShelfRequest()))
        assert await (await client.delete_shelf(library_pb2.DeleteShelfRequest(name="shelves/1"))) == empty_pb2.Empty()
        if ordinary:
            stub: Any = library_pb2_grpc.LibraryStub(channel)
            assert (await stub.GetShelf(library_pb2.GetShelfRequest(name="shelves/2"))).name == "shelves/2"


def on_aio(server: OperationsServer, add: Callable[[Any], object], scenario: Callable[[str], Awaitable[None]]) -> None:
    """Serves on ``grpc.aio``."""

    async def run() -> None:
        grpc_server = grpc.aio.server(options=SERVER_OPTIONS)
        add(grpc_server)
        port = grpc_server.add_insecure_port("127.0.0.1:0")
        async with server:
            await grpc_server.start()
            try:
                await scenario(f"127.0.0.1:{port}")
            finally:
                await grpc_server.stop(None)

    asyncio.run(run())


def test_mixed_with_the_servicer_of_grpc(library: Any) -> None:
    """Functions become RPCs and operations, beside ordinary methods, on grpc.aio (GEN-3)."""
    server = operations_server()

    def add(grpc_server: Any) -> None:
        library_pb2_grpc.add_LibraryServicer_to_server(async_servicer(library)(server), grpc_server)
        server.add_to(grpc_server)

    on_aio(server, add, lambda address: drive(library, address))


def test_added_in_the_other_order(library: Any) -> None:
    """Which of the two is added to the gRPC server first makes no difference (GEN-3)."""
    server = operations_server()

    def add(grpc_server: Any) -> None:
        servicer = async_servicer(library)(server)
        server.add_to(grpc_server)
        library_pb2_grpc.add_LibraryServicer_to_server(servicer, grpc_server)

    on_aio(server, add, lambda address: drive(library, address))


def test_alone(library: Any) -> None:
    """Without the servicer of grpc the long-running methods are served all the same (GEN-3)."""
    server = operations_server()
    Mixed = async_servicer(library)  # noqa: N806

    class Alone(library.LibraryLroServicer):  # type: ignore[misc]
        import_books, create_shelf, delete_shelf = Mixed.import_books, Mixed.create_shelf, Mixed.delete_shelf

    Alone(server)
    on_aio(server, server.add_to, lambda address: drive(library, address, ordinary=False))


def test_on_a_sync_server(library: Any) -> None:
    """The sync servicer does the same on grpc.server, its handlers in threads (GEN-3)."""
    server = operations_server()
    grpc_server = grpc.server(concurrent.futures.ThreadPoolExecutor(8), options=SERVER_OPTIONS)
    library_pb2_grpc.add_LibraryServicer_to_server(sync_servicer(library)(server), grpc_server)
    server.add_to(grpc_server)
    port = grpc_server.add_insecure_port("127.0.0.1:0")
    with server:
        grpc_server.start()
        try:
            asyncio.run(drive(library, f"127.0.0.1:{port}"))
        finally:
            grpc_server.stop(None).wait()


def test_registered_before(library: Any) -> None:
    """A method that was registered with settings of its own keeps them (GEN-3)."""
    server = operations_server()

    def refuse(request: Any, context: Any) -> None:
        raise OperationError(Status(Code.FAILED_PRECONDITION, "not now"))

    class Library(async_servicer(library)):  # type: ignore[misc]
        def __init__(self, operations_server: OperationsServer) -> None:
            operations_server.method(library.CREATE_SHELF, validate=refuse)(self.create_shelf)
            inherited: Any = super()
            inherited.__init__(operations_server)

    def add(grpc_server: Any) -> None:
        library_pb2_grpc.add_LibraryServicer_to_server(Library(server), grpc_server)
        server.add_to(grpc_server)

    async def scenario(address: str) -> None:
        async with grpc.aio.insecure_channel(address) as channel:
            client = library.AsyncLibraryLro(AsyncOperationsClient(channel))
            with pytest.raises(StartError, match="not now"):
                await client.create_shelf(CREATE)
            assert (await (await client.import_books(IMPORT))).imported == 2

    on_aio(server, add, scenario)


def test_handlers_that_are_missing(library: Any) -> None:
    """A servicer without all of its handlers cannot be made: Python names those that are missing (GEN-3)."""

    class Library(library.LibraryLroServicer):  # type: ignore[misc]
        pass

    with pytest.raises(TypeError, match=r"abstract method.*create_shelf.*delete_shelf.*import_books"):
        Library(operations_server())


# -- Google's own classes -------------------------------------------------------------------------------------------------

REDIS: Final = """
syntax = "proto3";
package google.cloud.redis.v1;
import "google/longrunning/operations.proto";
service CloudRedis {
  rpc CreateInstance(CreateInstanceRequest) returns (google.longrunning.Operation) {
    option (google.longrunning.operation_info) = { response_type: "Instance" metadata_type: "OperationMetadata" };
  }
  rpc DeleteInstance(CreateInstanceRequest) returns (google.longrunning.Operation) {
    option (google.longrunning.operation_info) = { response_type: "google.protobuf.Empty" metadata_type: "OperationMetadata" };
  }
}
message CreateInstanceRequest {} message Instance {} message OperationMetadata {}
"""


@pytest.fixture
def redis() -> Iterator[Any]:
    """What is generated for the installed google-cloud-redis."""
    (file,) = Sources({"google/cloud/redis/v1/cloud_redis.proto": REDIS}).generated("messages=proto-plus").file
    yield load(file.content, "cloud_redis_lro")
    sys.modules.pop("cloud_redis_lro", None)


def test_proto_plus(redis: Any) -> None:
    """With proto-plus the classes are those of Google's package, where nothing else can be loaded beside it (GEN-3)."""
    assert redis.CREATE_INSTANCE.request_type is CreateInstanceRequest
    assert redis.CREATE_INSTANCE.response_types == (Instance,)
    assert redis.DELETE_INSTANCE.response_types == (empty_pb2.Empty,)
    assert isinstance(redis.TYPES, TypeRegistry)
    scripted = ScriptedOperations()
    done = succeeded(Instance(host="10.0.0.3"), metadata=OperationMetadata(verb="create"))
    scripted.starts(redis.CREATE_INSTANCE, done)
    with scripted.serve() as server, grpc.insecure_channel(server.address) as channel:
        operation = redis.CloudRedisLro(OperationsClient(channel)).create_instance(
            CreateInstanceRequest(instance_id="i")
        )
        instance = operation.result()
    assert isinstance(instance, Instance)
    assert instance.host == "10.0.0.3"


@pytest.mark.parametrize(
    ("package", "path", "module"),
    [
        ("google.cloud.redis.v1", "google/cloud/redis/v1/cloud_redis.proto", "google.cloud.redis_v1.types"),
        ("google.cloud.run.v2", "google/cloud/run/v2/k8s.min.proto", "google.cloud.run_v2.types"),
        ("google.cloud.notebooks.v1beta1", "a.proto", "google.cloud.notebooks_v1beta1.types"),
        ("google.cloud.x.v1p1alpha2", "a.proto", "google.cloud.x_v1p1alpha2.types"),
        ("google.cloud.common", "google/cloud/common/operation_metadata.proto", "google.cloud.common.types"),
        ("google.protobuf", "google/protobuf/struct.proto", "google.protobuf.struct_pb2"),
        ("google.rpc", "google/rpc/status.proto", "google.rpc.status_pb2"),
        ("google.iam.v1", "google/iam/v1/policy.proto", "google.iam.v1.policy_pb2"),
        ("", "a.proto", "types"),
    ],
)
def test_where_google_puts_messages(package: str, path: str, module: str) -> None:
    """A package becomes the module that Google's generator makes of it; what comes with protobuf does not (GEN-3)."""
    message = Message(full_name=f"{package}.M" if package else "M", package=package, path=path)
    assert find_class(message, Options.parse("messages=proto-plus")).module == module


def test_mixed_kinds_of_classes() -> None:
    """Own messages as pb2, with types of an installed package of Google's (GEN-3)."""
    texts = service(starts(response="google.cloud.redis.v1.Instance", metadata="google.protobuf.Struct")).texts
    sources = Sources({**texts, "google/cloud/redis/v1/cloud_redis.proto": REDIS})
    options = "proto_plus=google/cloud/redis/v1:google.cloud.redis_v1.types"
    text = next(file.content for file in sources.generated(options).file if file.name == "acme/v1/a_lro.py")
    assert "from google.cloud.redis_v1 import types" in text
    assert "response_type=types.Instance," in text
    assert "request_type=a_pb2.Request," in text
