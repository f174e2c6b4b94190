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
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from examples.memorystore.api import CREATE_INSTANCE
from google.cloud.redis_v1.types import cloud_redis
from google.protobuf import json_format

from .cells import LIST_FILTER, LIST_PAGE_SIZE, PAST_SECONDS, SLOW_GB, Seen, Stage
from .google_sync import LOOK_SECONDS
from .nodejs import ENVIRONMENT, installed

__all__ = ["BufCells", "ReflectionCells"]

BUF: Final = str(Path(sys.executable).with_name("buf"))
IMAGE: Final = "redis.binpb"
_OPERATIONS: Final = "/google.longrunning.Operations/"
_PREFIX: Final = "type.googleapis.com/"
_WAIT: Final = f"{PAST_SECONDS * 0.8:.0f}s"
_FIRST_STATUS: Final = 8  # lower exit codes are buf's own; a status is shifted by three bits

_building: Final = threading.Lock()

Document = dict[str, Any]


class RefusedError(Exception):
    """A call that ended with an error, as ``buf`` tells of it."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


class BufCells:
    """``buf curl --schema``: descriptors made from the .proto files that the Node client brings."""

    def create(self, stage: Stage) -> Seen:
        """Starts."""
        operation = self._start(stage)
        metadata = metadata_of(operation)
        return Seen(
            name=operation["name"],
            done=operation.get("done", False),
            verb=metadata["verb"],
            target=metadata["target"],
        )

    def progress(self, stage: Stage) -> Seen:
        """Looks again and again."""
        operation = self._start(stage, memory_size_gb=SLOW_GB)
        stages = [detail(operation)]
        while not operation.get("done"):
            time.sleep(LOOK_SECONDS)
            operation = self._get(stage, operation["name"])
            stages.append(detail(operation))
        return Seen(stages=tuple(stages))

    def result(self, stage: Stage) -> Seen:
        """Lets the server wait."""
        return seen_instance(self._wait(stage, self._start(stage)["name"]))

    def failure(self, stage: Stage) -> Seen:
        """Lets the server wait for the worst."""
        error = self._wait(stage, self._start(stage, "quota")["name"])["error"]
        details = {any_["@type"].removeprefix(_PREFIX): any_ for any_ in error["details"]}
        return Seen(
            code=error["code"],
            message=error["message"],
            details=tuple(details),
            reason=details["google.rpc.ErrorInfo"]["reason"],
        )

    def cancel(self, stage: Stage) -> Seen:
        """Cancels on the way."""
        operation = self._start(stage, memory_size_gb=SLOW_GB)
        name = operation["name"]
        while not detail(operation):  # which it has once it runs
            assert not operation.get("done"), operation
            time.sleep(LOOK_SECONDS)
            operation = self._get(stage, name)
        assert self._call(stage, f"{_OPERATIONS}CancelOperation", {"name": name}) == {}
        operation = self._wait(stage, name)
        return Seen(
            done=operation["done"],
            code=operation["error"]["code"],
            message=operation["error"]["message"],
            cancel_requested=metadata_of(operation).get("cancelRequested", False),
        )

    def list(self, stage: Stage) -> Seen:
        """Lists page by page."""
        pages: list[tuple[str, ...]] = []
        request: Document = {"name": stage.listed_in, "filter": LIST_FILTER, "pageSize": LIST_PAGE_SIZE}
        while True:
            page = self._call(stage, f"{_OPERATIONS}ListOperations", request)
            pages.append(tuple(operation["name"] for operation in page["operations"]))
            if not page.get("nextPageToken"):
                return Seen(pages=tuple(pages))
            request["pageToken"] = page["nextPageToken"]

    def delete(self, stage: Stage) -> Seen:
        """Deletes, and looks."""
        name: str = self._start(stage)["name"]
        assert self._call(stage, f"{_OPERATIONS}DeleteOperation", {"name": name}) == {}
        return self._missing(stage, name)

    def resume(self, stage: Stage) -> Seen:
        """Goes on elsewhere, as ever."""
        return self.result(stage)

    def not_found(self, stage: Stage) -> Seen:
        """Asks for what is not there."""
        return self._missing(stage, stage.absent)

    def _start(self, stage: Stage, instance_id: str = "cache", *, memory_size_gb: int = 1) -> Document:
        kind: Any = cloud_redis.CreateInstanceRequest  # its pb() is not typed
        asked = json_format.MessageToDict(kind.pb(stage.request(instance_id, memory_size_gb=memory_size_gb)))
        return self._call(stage, CREATE_INSTANCE.path, asked)

    def _get(self, stage: Stage, name: str) -> Document:
        return self._call(stage, f"{_OPERATIONS}GetOperation", {"name": name})

    def _wait(self, stage: Stage, name: str) -> Document:
        operation = self._call(stage, f"{_OPERATIONS}WaitOperation", {"name": name, "timeout": _WAIT})
        assert operation.get("done"), operation
        return operation

    def _missing(self, stage: Stage, name: str) -> Seen:
        try:
            self._get(stage, name)
        except RefusedError as caught:
            return Seen(code=caught.code, message=caught.message)
        return Seen()

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


def metadata_of(operation: Document) -> Document:
    """The metadata of an operation."""
    metadata: Document = operation["metadata"]
    assert metadata["@type"] == f"{_PREFIX}google.cloud.redis.v1.OperationMetadata"
    return metadata


def detail(operation: Document) -> str:
    """How far it is."""
    status_detail: str = metadata_of(operation).get("statusDetail", "")
    return status_detail


def seen_instance(operation: Document) -> Seen:
    """What came of an operation."""
    instance: Document = operation["response"]
    assert instance["@type"] == f"{_PREFIX}google.cloud.redis.v1.Instance"
    return Seen(instance=instance["name"], host=instance["host"], memory_size_gb=instance["memorySizeGb"])
