# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What type checkers infer from generated code, and what they refuse."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from tests.codegen.compiling import BIN, ROOT, Sources, mypy, plugin_arguments, protoc, pyright, script
from tests.codegen.test_runs import REDIS

USE: Final = """
from __future__ import annotations

from typing import assert_type

from example.library.v1 import library_pb2
from example.library.v1.library_lro import CREATE_SHELF, AsyncLibraryLro, LibraryLro
from longrunning import AsyncOperationHandle, LroMethod, OperationHandle


def use(client: LibraryLro) -> None:
    operation = client.create_shelf(library_pb2.CreateShelfRequest(), timeout=1.5, metadata=[("k", "v")])
    assert_type(operation, OperationHandle[library_pb2.Shelf, library_pb2.OperationMetadata])
    assert_type(operation.result(), library_pb2.Shelf)
    assert_type(operation.wait().metadata, library_pb2.OperationMetadata | None)
    assert_type(client.resume_create_shelf("operations/1").result(), library_pb2.Shelf)
    client.create_shelf(library_pb2.Shelf())  # E
    client.create_shelf(library_pb2.CreateShelfRequest(), 5)  # E
    client.resume_create_shelf(5)  # E
    client.get_shelf  # E
    client.operations = client.operations  # E


async def use_async(client: AsyncLibraryLro) -> None:
    operation = await client.import_books(library_pb2.ImportBooksRequest())
    assert_type(
        operation, AsyncOperationHandle[library_pb2.ImportBooksResponse, library_pb2.ImportBooksMetadata]
    )
    assert_type(await operation, library_pb2.ImportBooksResponse)
    assert_type((await client.resume_delete_shelf("operations/1")).ByteSize(), int)


assert_type(
    CREATE_SHELF, LroMethod[library_pb2.CreateShelfRequest, library_pb2.Shelf, library_pb2.OperationMetadata]
)
"""
SERVE: Final = """
from __future__ import annotations

import grpc.aio
from google.protobuf import empty_pb2

from example.library.v1 import library_pb2
from example.library.v1.library_lro import LibraryLroServicer, SyncLibraryLroServicer
from example.library.v1.library_pb2_grpc import LibraryServicer, add_LibraryServicer_to_server
from longrunning.server import AsyncOperationContext, OperationContext, OperationsServer


class Library(LibraryLroServicer, LibraryServicer):
    async def import_books(
        self,
        request: library_pb2.ImportBooksRequest,
        context: AsyncOperationContext[library_pb2.ImportBooksMetadata],
    ) -> library_pb2.ImportBooksResponse:
        await context.update(library_pb2.ImportBooksMetadata(total=request.count))
        await context.update(library_pb2.OperationMetadata())  # E
        return library_pb2.ImportBooksResponse()

    async def create_shelf(
        self,
        request: library_pb2.CreateShelfRequest,
        context: AsyncOperationContext[library_pb2.OperationMetadata],
    ) -> library_pb2.Shelf:
        return request.shelf

    async def delete_shelf(
        self,
        request: library_pb2.DeleteShelfRequest,
        context: AsyncOperationContext[library_pb2.OperationMetadata],
    ) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    async def GetShelf(self, request: library_pb2.GetShelfRequest, context: object) -> library_pb2.Shelf:
        return library_pb2.Shelf()


class Wrong(SyncLibraryLroServicer):
    def create_shelf(  # E
        self,
        request: library_pb2.CreateShelfRequest,
        context: OperationContext[library_pb2.OperationMetadata],
    ) -> library_pb2.ImportBooksResponse:
        return library_pb2.ImportBooksResponse()


def serve(operations_server: OperationsServer, server: grpc.aio.Server) -> None:
    add_LibraryServicer_to_server(Library(operations_server), server)
    Wrong(operations_server)  # E
"""
PLUS: Final = """
from __future__ import annotations

from typing import assert_type

from google.cloud.redis_v1.types import CreateInstanceRequest, Instance, OperationMetadata
from cloud_redis_lro import CloudRedisLro
from longrunning import OperationHandle


def use(client: CloudRedisLro) -> None:
    operation = client.create_instance(CreateInstanceRequest())
    assert_type(operation, OperationHandle[Instance, OperationMetadata])
    assert_type(operation.result(), Instance)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our example and one of Google's, generated, and the programs that use them."""
    out = tmp_path_factory.mktemp("typed")
    tools = tmp_path_factory.mktemp("tools")
    arguments = plugin_arguments(tools, out)
    for name, target in (("protoc-gen-mypy", "mypy"), ("protoc-gen-mypy_grpc", "mypy_grpc")):
        program = script(tools, name, [str(BIN / name)])
        arguments += [f"--plugin={name}={program}", f"--{target}_out=quiet:{out}"]
    protoc(arguments, roots=[ROOT / "protos"], files=["example/library/v1/library.proto"]).demand()
    redis = Sources({"google/cloud/redis/v1/cloud_redis.proto": REDIS}).generated("messages=proto-plus").file[0]
    (out / "cloud_redis_lro.py").write_text(redis.content, encoding="utf-8")
    (out / "plus.py").write_text(PLUS, encoding="utf-8")
    (out / "use.py").write_text(USE, encoding="utf-8")
    (out / "serve.py").write_text(SERVE, encoding="utf-8")
    return out


def marked(text: str) -> list[int]:
    """The lines that have to be refused."""
    return [number for number, line in enumerate(text.splitlines(), 1) if line.endswith("# E")]


def lines(findings: list[str], name: str) -> list[int]:
    """The lines of a file that something is said about, each once; nothing is said about files that are no programs."""
    found = [re.search(r"(?:^|/)(\w+\.py):(\d+)", finding) for finding in findings]
    assert all(match is not None and match[1] in PROGRAMS for match in found), findings
    return sorted({int(match[2]) for match in found if match is not None and match[1] == name})


PROGRAMS: Final = {"use.py": USE, "serve.py": SERVE, "plus.py": PLUS}


@pytest.fixture(scope="module")
def found_by_mypy(folder: Path) -> list[str]:
    """What mypy reports on all programs."""
    return mypy(folder, [folder / name for name in PROGRAMS], ROOT / "build" / "codegen" / "mypy-typed")


@pytest.fixture(scope="module")
def found_by_pyright(folder: Path) -> list[str]:
    """What pyright reports on all programs."""
    return pyright(folder, [folder / name for name in PROGRAMS])


@pytest.mark.parametrize("name", PROGRAMS)
def test_with_mypy(found_by_mypy: list[str], name: str) -> None:
    """Types are inferred without an annotation of yours, and wrong use is refused, by mypy (GEN-3, TYPE-10)."""
    assert lines(found_by_mypy, name) == marked(PROGRAMS[name])


@pytest.mark.parametrize("name", PROGRAMS)
def test_with_pyright(found_by_pyright: list[str], name: str) -> None:
    """Types are inferred without an annotation of yours, and wrong use is refused, by pyright (GEN-3, TYPE-10)."""
    assert lines(found_by_pyright, name) == marked(PROGRAMS[name])
