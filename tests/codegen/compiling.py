# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The compilers, with our plugin and without, and the type checkers on what comes out."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from longrunning.codegen import Model, generate
from longrunning.codegen.plugin import include_folders

ROOT: Final = Path(__file__).resolve().parents[2]
PROTOS: Final = Path(__file__).parent / "protos"
BIN: Final = Path(sys.executable).parent
PROTOC: Final = (str(BIN / "protoc"),)
GRPC_TOOLS: Final = (sys.executable, "-m", "grpc_tools.protoc")
PLUGIN: Final = (sys.executable, "-m", "longrunning.codegen")
PATIENCE: Final = 100  # seconds
HEADER: Final = """\
syntax = "proto3";
package acme.v1;
import "google/api/annotations.proto";
import "google/longrunning/operations.proto";
"""


@dataclass(frozen=True)
class Compiled:
    """How a compiler ended."""

    code: int
    out: str
    err: str

    def demand(self) -> None:
        """It went well."""
        assert self.code == 0, self.out + self.err


def run(command: Iterable[str | Path], folder: Path = ROOT, **variables: str) -> Compiled:
    """Runs a program."""
    done = subprocess.run(
        list(command), cwd=folder, env=os.environ | variables, capture_output=True, check=False, timeout=PATIENCE
    )
    return Compiled(done.returncode, done.stdout.decode(), done.stderr.decode())


def script(folder: Path, name: str, command: Sequence[str]) -> Path:
    """A program that runs a command, as protoc wants its plugins."""
    path = folder / name
    path.write_text("#!/bin/sh\nexec " + " ".join(f"'{part}'" for part in command) + ' "$@"\n', encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def protoc(
    arguments: Iterable[str | Path],
    *,
    roots: Iterable[Path],
    files: Iterable[str],
    compiler: Sequence[str] = PROTOC,
    common: Iterable[Path] | None = None,
) -> Compiled:
    """Runs protoc, which can be that of grpcio-tools; google's protos are found, by default those the plugin tells of."""
    includes = [f"-I{root}" for root in (*roots, *(include_folders() if common is None else common))]
    return run([*compiler, *includes, *arguments, *files])


def plugin_arguments(folder: Path, out: Path, options: str = "") -> list[str]:
    """What makes protoc run our plugin."""
    program = script(folder, "protoc-gen-longrunning", PLUGIN)
    return [
        f"--plugin=protoc-gen-longrunning={program}",
        f"--longrunning_out={out}",
        *([f"--longrunning_opt={options}"] if options else []),
    ]


def buf(workspace: Path, out: Path, protos: Path) -> Compiled:
    """Runs buf with our plugin in a workspace of its own, on all protos of a folder; google's protos are found."""
    ours, installed = include_folders()
    common = workspace / "common"
    shutil.copytree(ours, common)
    for package in ("api", "rpc"):
        shutil.copytree(installed / "google" / package, common / "google" / package)
    return buf_generate(workspace, out, protos, [common])


def buf_generate(workspace: Path, out: Path, protos: Path, common: Sequence[Path]) -> Compiled:
    """Runs buf with our plugin in a workspace, on all protos of a folder, which import others."""
    folders = [protos, *common]
    for number, folder in enumerate(folders):
        (workspace / f"module{number}").symlink_to(folder)
    modules = [{"path": f"module{number}"} for number in range(len(folders))]
    (workspace / "buf.yaml").write_text(json.dumps({"version": "v2", "modules": modules}), encoding="utf-8")
    plugin = {"local": list(PLUGIN), "out": str(out), "strategy": "all"}
    template = {"version": "v2", "inputs": [{"directory": "module0"}], "plugins": [plugin]}
    (workspace / "buf.gen.yaml").write_text(json.dumps(template), encoding="utf-8")
    return run([BIN / "buf", "generate"], workspace)


def written(folder: Path) -> dict[str, str]:
    """Path and text of every module that our plugin wrote into a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*_lro.py"))
    }


# -- without our plugin as a process ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sources:
    """Texts of .proto files, compiled when somebody asks."""

    texts: Mapping[str, str] = field(default_factory=dict[str, str])

    def descriptors(self, *, source_info: bool = True, imports: bool = True) -> FileDescriptorSet:
        """What protoc makes of them."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for path, text in self.texts.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_text(text, encoding="utf-8")
            arguments = [f"--descriptor_set_out={folder / 'all.binpb'}"]
            arguments += ["--include_imports"] if imports else []
            arguments += ["--include_source_info"] if source_info else []
            protoc(arguments, roots=[folder], files=self.texts).demand()
            return FileDescriptorSet.FromString((folder / "all.binpb").read_bytes())

    def request(self, options: str = "", *, only: Iterable[str] | None = None) -> CodeGeneratorRequest:
        """What a compiler hands to a plugin."""
        descriptors = self.descriptors()
        return CodeGeneratorRequest(
            file_to_generate=list(self.texts) if only is None else list(only),
            parameter=options,
            proto_file=descriptors.file,
        )

    def model(self) -> Model:
        """The model of them."""
        return Model.from_request(self.request())

    def generated(self, options: str = "") -> CodeGeneratorResponse:
        """What the plugin answers."""
        return generate(self.request(options))


def service(*methods: str, more: str = "message Request {}\nmessage Thing {}\nmessage Meta {}\n") -> Sources:
    """``acme/v1/a.proto`` with a service of these methods."""
    body = "\n".join(methods)
    return Sources({"acme/v1/a.proto": f"{HEADER}service Things {{\n{body}\n}}\n{more}"})


def starts(name: str = "Make", response: str = "Thing", metadata: str = "Meta", more: str = "") -> str:
    """A long-running method."""
    info = f'response_type: "{response}" metadata_type: "{metadata}"'
    return (
        f"  rpc {name}(Request) returns (google.longrunning.Operation) {{\n"
        f"    option (google.longrunning.operation_info) = {{ {info} }};\n{more}\n  }}"
    )


# -- type checkers ----------------------------------------------------------------------------------------------------


def mypy(folder: Path, files: Iterable[Path], cache: Path) -> list[str]:
    """What mypy --strict reports on files of a folder with generated code; what it says of stubs, too."""
    config = folder / "mypy.ini"
    stubs = ROOT / "generated" / "stubs"
    config.write_text(
        "[mypy]\nstrict = True\npython_version = 3.11\nnamespace_packages = True\nexplicit_package_bases = True\n"
        f"mypy_path = {folder}:{stubs}\ncache_dir = {cache}\n",
        encoding="utf-8",
    )
    command: list[str | Path] = [sys.executable, "-m", "mypy", "--config-file", config, *files]
    answer = run(command, folder)
    assert answer.code in {0, 1}, answer.out + answer.err
    return [line for line in answer.out.splitlines() if ": error:" in line]


def pyright(folder: Path, files: Iterable[Path]) -> list[str]:
    """What pyright strict reports on files of a folder with generated code."""
    config = folder / "pyrightconfig.json"
    settings = {
        "typeCheckingMode": "strict",
        "pythonVersion": "3.11",
        "include": [path.relative_to(folder).as_posix() for path in files],
        "extraPaths": ["."],
        "stubPath": os.path.relpath(ROOT / "generated" / "stubs", folder),
    }
    config.write_text(json.dumps(settings), encoding="utf-8")
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "pyright",
        "--project",
        config,
        "--pythonpath",
        sys.executable,
        "--outputjson",
    ]
    answer = run(command, folder, PYRIGHT_PYTHON_IGNORE_WARNINGS="1")
    assert answer.code in {0, 1}, answer.out + answer.err
    entries = json.loads(answer.out)["generalDiagnostics"]
    return [
        f"{entry['file']}:{entry['range']['start']['line'] + 1}: {entry['message']}"
        for entry in entries
        if entry["severity"] != "information"
    ]
