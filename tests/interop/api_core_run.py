# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Runs tests of google-api-core in a process of its own, against it or against the facade, and prints what came of each.

    python tests/interop/api_core_run.py [--facade] DIRECTORY FILE...

It is not imported: the package of their tests is called ``tests``, as ours is, so nothing of ours may be on the path.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest


class Recorder:
    """Runs their async tests, for which they use a plugin, and records outcomes.

    Attributes:
        outcomes: By node id: the exception's type and text, empty if it passed; and how many handles the facade made.
    """

    def __init__(self, made: Any) -> None:
        self._made = made
        self.outcomes: dict[str, dict[str, Any]] = {}

    def pytest_configure(self, config: pytest.Config) -> None:
        """Knows their marker."""
        config.addinivalue_line("markers", "asyncio: run in an event loop")

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Runs a coroutine function."""
        if not inspect.iscoroutinefunction(pyfuncitem.obj):
            return None
        asyncio.run(pyfuncitem.obj())
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Takes down what came of a test."""
        report = yield
        made, self._made.handles = self._made.handles, 0
        outcome = self.outcomes.setdefault(item.nodeid, {"error": "", "handles": 0})
        outcome["handles"] += made
        if call.excinfo is not None:
            outcome["error"] = f"{call.excinfo.typename}: {call.excinfo.value}"
        return report


def install(modules: dict[str, Any]) -> None:
    """Puts the facade in the place of modules."""
    for name, namespace in modules.items():
        package, _, leaf = name.rpartition(".")
        setattr(importlib.import_module(package), leaf, namespace)
        sys.modules[name] = namespace


def main(arguments: list[str]) -> None:
    """Runs, and prints JSON as the last line."""
    facade = importlib.import_module("api_core_facade")  # beside this file
    if arguments[0] == "--facade":
        arguments = arguments[1:]
        install(facade.MODULES)
    directory, *files = arguments
    recorder = Recorder(facade.made)
    options = ["-p", "no:cacheprovider", "-c", str(Path(directory) / "pyproject.toml"), "--rootdir", directory, "-q"]
    pytest.main([*options, *(str(Path(directory) / file) for file in files)], plugins=[recorder])
    print()  # noqa: T201
    print(json.dumps(recorder.outcomes))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
