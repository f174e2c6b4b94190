# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Compiles ``protos/`` into ``generated/`` and into ``src/longrunning/_pb/operations_pb2.pyi``.

    generated/python/       our own protos: messages, gRPC stubs, type stubs, long-running methods
    generated/stubs/        type stubs of the vendored google protos, for mypy's MYPYPATH and pyright's stubPath
    generated/descriptors/  everything as one descriptor image, for `buf breaking` and the drift tests

No module compiled from a google proto is kept, only stubs: law 1, one class per message. With ``--check``
nothing is written, and a difference between a fresh output and the tree is an error. An image with
breaking changes is refused; to break on purpose, delete the old image first.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUF = ROOT / ".venv" / "bin" / "buf"
GENERATED = Path("generated")
IMAGE = GENERATED / "descriptors" / "longrunning.binpb"
OPERATIONS = GENERATED / "stubs" / "google" / "longrunning" / "operations_pb2.pyi"
OPERATIONS_PROTO = OPERATIONS.with_name("operations_proto_pb2.pyi")  # the module that really holds the classes

COMPILERS = {  # a name's ending -> what writes such files
    "_pb2.py": "grpcio-tools",
    "_pb2_grpc.py": "grpcio-tools",
    "_pb2.pyi": "mypy-protobuf",
    "_pb2_grpc.pyi": "mypy-protobuf",
}


def buf(*arguments: str | Path) -> None:
    """Runs buf at the root of the repository; its own messages say what is wrong."""
    if subprocess.run([BUF, *arguments], cwd=ROOT, check=False).returncode != 0:
        sys.exit(f"generate: buf {arguments[0]} failed")


def header(path: Path) -> str:
    """Returns the line that names source and tool."""
    source = re.sub(r"(_proto)?_pb2(_grpc)?\.pyi?$", ".proto", path.relative_to(path.parents[-3]).as_posix())
    tool = next(tool for ending, tool in COMPILERS.items() if path.name.endswith(ending))
    return f"# Generated from protos/{source} by {tool} (make generate). Do not edit.\n"


def outputs(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Yields path and content of everything that buf wrote and that is kept."""
    for path in sorted(path for path in folder.rglob("*.py*") if path.is_file()):
        name, text = path.relative_to(folder), path.read_text(encoding="utf-8")
        if name.name.endswith("_lro.py"):  # it names its source and itself
            yield name, text.encode()
            continue
        if name.name.endswith("_pb2_grpc.pyi") and "Stub" not in text:
            continue  # written for every file, also for those without a service
        if name == OPERATIONS:  # one class per message, for type checkers too: the other module only hands them on
            yield OPERATIONS_PROTO, (header(OPERATIONS_PROTO) + text).encode()
            text = f"from {'.'.join(OPERATIONS_PROTO.with_suffix('').parts[2:])} import *\n"
        yield name, (header(name) + text).encode()
    yield IMAGE, (folder / IMAGE).read_bytes()


def main() -> int:
    """Generates or, with ``--check``, compares."""
    parser = argparse.ArgumentParser(description="compile the protos")
    parser.add_argument("--check", action="store_true", help="compare, change nothing")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        buf("generate", "-o", folder)
        buf("generate", "--template", "buf.gen.stubs.yaml", "-o", folder)
        (folder / IMAGE).parent.mkdir(parents=True)
        buf("build", "--exclude-source-info", "-o", folder / IMAGE)
        fresh = dict(outputs(folder))
    if (ROOT / IMAGE).exists():
        buf("breaking", "--against", IMAGE)
    present = {path.relative_to(ROOT) for path in (ROOT / GENERATED).rglob("*.*") if path.is_file()}
    present = {path for path in present if "__pycache__" not in path.parts}
    stale = sorted(
        path for path, data in fresh.items() if not (ROOT / path).is_file() or (ROOT / path).read_bytes() != data
    )
    extra = sorted(present - set(fresh))
    if check:
        for path in stale + extra:
            print(f"generate: {path} is stale, run `make generate`", file=sys.stderr)
        return 1 if stale or extra else 0
    for path in extra:
        (ROOT / path).unlink()
    for path in stale:
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_bytes(fresh[path])
    print(f"generate: {len(fresh)} files, {len(stale)} changed, {len(extra)} removed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
