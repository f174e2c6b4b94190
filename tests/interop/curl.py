# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""``curl``, the program: HTTP by hand."""

from __future__ import annotations

import json
import shutil
import subprocess
from itertools import chain
from typing import Final

from google.cloud.redis_v1.types import cloud_redis
from google.rpc import code_pb2

from .cells import PAST_SECONDS, Stage
from .documents import WAIT, Document, DocumentCells, RefusedError, as_document
from .nodejs import ENVIRONMENT

__all__ = ["ENVIRONMENT", "CurlCells", "NoCurlError", "curl_version"]

_HTTP_OK: Final = 200


class NoCurlError(Exception):
    """There is no ``curl`` on this machine."""


class CurlCells(DocumentCells):
    """``curl``."""

    def start(self, stage: Stage, request: cloud_redis.CreateInstanceRequest) -> Document:
        """POST of the instance; its name is in the query."""
        instance = as_document(request)["instance"]
        return _call(stage, f"{request.parent}/instances?instanceId={request.instance_id}", *_json(instance))

    def get(self, stage: Stage, name: str) -> Document:
        """GET."""
        return _call(stage, name)

    def wait(self, stage: Stage, name: str) -> Document:
        """POST of ``:wait``."""
        return _call(stage, f"{name}:wait", *_json({"timeout": WAIT}))

    def page(self, stage: Stage, request: Document) -> Document:
        """GET of the collection."""
        query = [("--data-urlencode", f"{name}={value}") for name, value in request.items()]
        return _call(stage, f"{stage.listed_in}/operations", "--get", *chain.from_iterable(query))

    def cancel_operation(self, stage: Stage, name: str) -> Document:
        """POST of ``:cancel``."""
        return _call(stage, f"{name}:cancel", "--request", "POST")

    def delete_operation(self, stage: Stage, name: str) -> Document:
        """DELETE."""
        return _call(stage, name, "--request", "DELETE")


def curl_version() -> str:
    """Which one that is."""
    done = subprocess.run([_program(), "--version"], env=ENVIRONMENT, capture_output=True, check=True, text=True)
    return done.stdout.split()[1]


def _program() -> str:
    """Where it is.

    Raises:
        NoCurlError: Nowhere.
    """
    found = shutil.which("curl", path=ENVIRONMENT.get("PATH"))
    if found is None:
        raise NoCurlError("curl is not installed: sudo apt-get install curl")
    return found


def _json(document: Document) -> tuple[str, ...]:
    return "--header", "Content-Type: application/json", "--data", json.dumps(document)


def _call(stage: Stage, path: str, *arguments: str) -> Document:
    """One call.

    Raises:
        RefusedError: It was answered with an error.
        AssertionError: It was not answered.
    """
    url = f"http://{stage.http_address}/v1/{path}"
    # The first option keeps what its user has configured out of it.
    command = [
        _program(), "--disable", "--silent", "--show-error", "--noproxy", "*", "--write-out", "\n%{http_code}", *arguments, url,
    ]  # fmt: skip
    done = subprocess.run(
        command,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=PAST_SECONDS,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    body, _, status = done.stdout.rpartition("\n")
    document: Document = json.loads(body)
    if int(status) != _HTTP_OK:
        error = document["error"]
        assert error["code"] == int(status), error
        raise RefusedError(code_pb2.Code.Value(error["status"]), error["message"])
    return document
