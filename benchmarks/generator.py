# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Generating: whole plugin processes, on one request, beside mypy-protobuf; and the start of both.

The request is that of a directory of a hundred files, what a compiler hands to every plugin alike. A file is as those of
Google's APIs are on average: a service with five long-running methods and five others, comments and bindings, and some
twenty messages.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from benchmarks.report import Bench, Comparison
from longrunning.codegen.plugin import include_folders

OURS = "protoc-gen-longrunning"
PEER = "protoc-gen-mypy"
BARE = "the bare interpreter"
LIMIT = "the 150 ms of the promise"
START_LIMIT = 0.15  # seconds

FILES = 100
ROUNDS = 9

RPC = """
  // {verb}s a thing.
  //
  // The operation's metadata tells how far it is: `percent`, from 0 to 100, and the [Thing][acme.v1.Thing] it works on.
  rpc {verb}Thing({verb}ThingRequest) returns (google.longrunning.Operation) {{
    option (google.api.http) = {{
      post: "/v1/{{parent=projects/*/locations/*}}/things:{verb}"
      body: "*"
    }};
    option (google.longrunning.operation_info) = {{
      response_type: "{response}"
      metadata_type: "OperationMetadata"
    }};
  }}
"""
ORDINARY = """
  // {verb}s things.
  rpc {verb}Thing({verb}ThingRequest) returns ({verb}ThingResponse) {{
    option (google.api.http) = {{get: "/v1/{{parent=projects/*/locations/*}}/things:{verb}"}};
  }}
"""
MESSAGE = """
// What `{name}` is about, in a sentence that is about as long as such sentences are.
message {name} {{
  // Its name: `projects/{{project}}/locations/{{location}}/things/{{thing}}`.
  string name = 1;

  // What somebody wrote about it.
  map<string, string> labels = 2;

  // When it was made.
  google.protobuf.Timestamp create_time = 3;

  // How many there are, of each kind.
  repeated int64 counts = 4;

  // What state it is in.
  State state = 5;

  // Whether it is only to be looked at.
  optional bool validate_only = 6;
}}
"""
ENUM = """
// The states of a thing.
enum State {
  STATE_UNSPECIFIED = 0;
  CREATING = 1;
  READY = 2;
  DELETING = 3;
}
"""
LONG_RUNNING = {"Create": "Thing", "Update": "Thing", "Delete": "google.protobuf.Empty", "Import": "ImportThingResponse", "Export": "ExportThingResponse"}  # fmt: skip
OTHERS = ("Get", "List", "Query", "Check", "Rename")
MESSAGES = (
    "Thing", "OperationMetadata", *(f"{verb}ThingRequest" for verb in (*LONG_RUNNING, *OTHERS)),
    *(f"{verb}ThingResponse" for verb in ("Import", "Export", *OTHERS)), "Part", "Policy", "Schedule",
)  # fmt: skip


def source(number: int) -> str:
    """The text of one file."""
    imports = ("google/api/annotations.proto", "google/longrunning/operations.proto", "google/protobuf/timestamp.proto")
    rpcs = [RPC.format(verb=verb, response=response) for verb, response in LONG_RUNNING.items()]
    rpcs += [ORDINARY.format(verb=verb) for verb in OTHERS]
    return "".join(
        (
            f'syntax = "proto3";\n\npackage acme.v{number};\n\n',
            *(f'import "{path}";\n' for path in imports),
            f"\n// Serves things.\nservice Things {{{''.join(rpcs)}}}\n",
            *(MESSAGE.format(name=name) for name in MESSAGES),
            ENUM,
        )
    )


def request(files: int) -> bytes:
    """The request that a compiler makes of so many files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        names = [f"acme/v{number}/things.proto" for number in range(1, files + 1)]
        for number, path in enumerate(names, 1):
            (folder / path).parent.mkdir(parents=True)
            (folder / path).write_text(source(number), encoding="utf-8")
        out = folder / "all.binpb"
        command = [
            str(Path(sys.executable).parent / "protoc"),
            *(f"-I{root}" for root in (folder, *include_folders())),
            "--include_imports",
            "--include_source_info",
            f"--descriptor_set_out={out}",
            *names,
        ]
        subprocess.run(command, check=True)
        descriptors = FileDescriptorSet.FromString(out.read_bytes())
    # In the order of compilers; what is not to be generated comes without comments.
    wanted = set(names)
    for file in descriptors.file:
        if file.name not in wanted:
            file.ClearField("source_code_info")
    return CodeGeneratorRequest(file_to_generate=names, proto_file=descriptors.file).SerializeToString()


def processes(commands: Mapping[str, list[str]], data: bytes) -> dict[str, float]:
    """Times whole processes that read a request; the fastest of a few rounds, in turns."""
    taken: dict[str, list[float]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory() as cache:
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = cache
        for turn in range(ROUNDS + 1):
            for name, command in commands.items():
                start = time.perf_counter()
                subprocess.run(command, input=data, capture_output=True, check=True, env=environment)
                if turn:  # the first turn writes the byte code
                    taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in taken.items()}


def generating() -> list[Bench]:
    """Two benches: a hundred files, and one small one."""
    python = [sys.executable, "-P"]
    commands = {
        PEER: [*python, str(Path(sys.executable).parent / "protoc-gen-mypy")],
        OURS: [*python, "-m", "longrunning.codegen"],
    }
    small = processes({BARE: [*python, "-c", "pass"], **commands}, request(1))
    return [
        Bench(
            f"generating for a directory of {FILES} files, whole process",
            processes(commands, request(FILES)),
            (Comparison(OURS, PEER, within=1.0),),
        ),
        Bench(
            "the start of the plugin: one small file, whole process",
            {**small, LIMIT: START_LIMIT},
            (Comparison(OURS, LIMIT, within=1.0), Comparison(OURS, PEER)),
        ),
    ]
