# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The built wheel, and the environments it is installed into: kept in build/package between runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tools.environments import BUILD, ROOT, environment, install

# googleapis-common-protos -> the protobuf it is tried with: the oldest allowed of each major version, and the newest.
ROWS = {"1.70.0": "5.29.6", "1.75.0": "6.33.5", "1.76.0": "7.36.2"}


@pytest.fixture(scope="session")
def wheel() -> Path:
    """The wheel that `make build` wrote."""
    wheels = sorted((ROOT / "dist").glob("longrunning-*.whl"))
    assert len(wheels) == 1, "`make build` comes first"
    return wheels[0]


def beside(protos: str, wheel: Path) -> Path:
    """Returns the interpreter of an environment with the wheel beside google-api-core and these releases."""
    pins = [f"googleapis-common-protos=={protos}", f"protobuf=={ROWS[protos]}", "google-api-core[grpc]"]
    program = environment(BUILD / "package" / protos, Path(sys.executable), pins)
    install(program, "--force-reinstall", "--no-deps", str(wheel))
    return program


@pytest.fixture(scope="session", params=ROWS)
def row(request: pytest.FixtureRequest, wheel: Path) -> tuple[str, Path]:
    """A release of googleapis-common-protos, and the interpreter of its environment."""
    return request.param, beside(request.param, wheel)
