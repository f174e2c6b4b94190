# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""``buf curl``, which knows messages by their descriptors alone: from a file, or from what the server says of itself.

Every call is a process and a connection of its own, and all that is known of a reply is the JSON it prints.
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from examples.memorystore.api import CREATE_INSTANCE
from google.cloud.redis_v1.types import cloud_redis

from .cells import PAST_SECONDS, Stage
from .documents import WAIT, Document, DocumentCells, RefusedError, as_document
from .nodejs import ENVIRONMENT, installed

__all__ = ["BufCells", "ReflectionCells"]

BUF: Final = str(Path(sys.executable).with_name("buf"))
IMAGE: Final = "redis.binpb"
_OPERATIONS: Final = "/google.longrunning.Operations/"
_FIRST_STATUS: Final = 8  # lower exit codes are buf's own; a status is shifted by three bits

_building: Final = threading.Lock()


class BufCells(DocumentCells):
    """``buf curl --schema``: descriptors made from the .proto files that the Node client brings."""

    def start(self, stage: Stage, request: cloud_redis.CreateInstanceRequest) -> Document:
        """CreateInstance."""
        return self._call(stage, CREATE_INSTANCE.path, as_document(request))

    def get(self, stage: Stage, name: str) -> Document:
        """GetOperation."""
        return self._call(stage, f"{_OPERATIONS}GetOperation", {"name": name})

    def wait(self, stage: Stage, name: str) -> Document:
        """WaitOperation."""
        return self._call(stage, f"{_OPERATIONS}WaitOperation", {"name": name, "timeout": WAIT})

    def page(self, stage: Stage, request: Document) -> Document:
        """ListOperations."""
        return self._call(stage, f"{_OPERATIONS}ListOperations", {"name": stage.listed_in} | request)

    def cancel_operation(self, stage: Stage, name: str) -> Document:
        """CancelOperation."""
        return self._call(stage, f"{_OPERATIONS}CancelOperation", {"name": name})

    def delete_operation(self, stage: Stage, name: str) -> Document:
        """DeleteOperation."""
        return self._call(stage, f"{_OPERATIONS}DeleteOperation", {"name": name})

    def _call(self, stage: Stage, path: str, request: Document) -> Document:
        url = f"http://{stage.address}{path}"
        return curl("--http2-prior-knowledge", *self._schema(), f"--data={json.dumps(request)}", url)

    def _schema(self) -> tuple[str, ...]:
        with _building:
            return (f"--schema={image()}",)


class ReflectionCells(BufCells):
    """``buf curl --reflect``: the server is asked for the descriptors."""

    def _schema(self) -> tuple[str, ...]:
        return ("--reflect",)


def curl(*arguments: str) -> Document:
    """One call.

    Raises:
        RefusedError: It ended with an error.
        AssertionError: ``buf`` did not come as far as to call.
    """
    command = (BUF, "curl", "--protocol=grpc", *arguments)
    done = run(command)
    if done.returncode >= _FIRST_STATUS:
        raise RefusedError(done.returncode >> 3, json.loads(done.stderr)["message"])
    assert done.returncode == 0, done.stderr.decode()
    document: Document = json.loads(done.stdout)
    return document


def run(command: Sequence[str], folder: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    """Runs ``buf``."""
    return subprocess.run(
        command,
        cwd=folder,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=PAST_SECONDS,
    )


@functools.cache
def image() -> Path:
    """The descriptors of Memorystore for Redis and of all it needs, from the .proto files in the packages of the Node client."""
    folder = installed()
    modules = folder / "node_modules" / "@google-cloud" / "redis", folder / "node_modules" / "google-gax"
    with tempfile.TemporaryDirectory(dir=folder) as name:
        workspace = Path(name)
        for number, module in enumerate(modules):
            (workspace / f"module{number}").symlink_to(module / "build" / "protos")
        config = {"version": "v2", "modules": [{"path": f"module{number}"} for number in range(len(modules))]}
        (workspace / "buf.yaml").write_text(json.dumps(config), encoding="utf-8")
        wanted = (
            "module0/google/cloud/redis/v1",
            "module1/google/longrunning",
            "module1/google/rpc/error_details.proto",
        )
        paths = [f"--path={path}" for path in wanted]
        command = (BUF, "build", *paths, f"--output={IMAGE}")
        done = run(command, folder=workspace)
        assert done.returncode == 0, done.stderr.decode()
        return (workspace / IMAGE).rename(folder / IMAGE)
