# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Every scenario is played on every store."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.stores import KINDS, Kind, Play, play_on


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each implementation."""
    found: Kind = request.param
    return found


@pytest.fixture
def play(kind: Kind, tmp_path: Path) -> Play:
    """Plays a scenario on an empty store."""
    return play_on(kind, tmp_path)
