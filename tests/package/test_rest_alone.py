# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The wheel with its extra `rest` and nothing else: HTTP/JSON needs no gRPC."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.package.probing import probe
from tests.package.test_wheel import built
from tools.environments import BUILD, ROOT, environment


@pytest.fixture(scope="module")
def seen(wheel: Path) -> Any:
    """What a program saw that serves operations and waits for one, where only the extra `rest` was installed."""
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8") + built(wheel)
    wanted = [f"{wheel}[rest]", "uvicorn"]
    return probe(environment(BUILD / "package" / "rest", Path(sys.executable), wanted, pins), "rest.py")


def test_both_ends_of_http_need_no_grpc(seen: Any) -> None:
    """With the extra `rest` alone operations are served, started, awaited, listed and filtered over HTTP (PKG-1, REST-1)."""
    assert (seen["domain"], seen["listed"], seen["imported"]) == ("made", True, [])


def test_what_needs_grpc_says_so(seen: Any) -> None:
    """What gRPC alone can do names the extra that brings it (PKG-1)."""
    assert "pip install 'longrunning[server]'" in seen["grpc"]
