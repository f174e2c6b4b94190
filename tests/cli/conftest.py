# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""A server for the command line to talk to."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from longrunning.testing import ScriptedOperations


@pytest.fixture
def operations() -> ScriptedOperations:
    """What the server plays."""
    return ScriptedOperations()


@pytest.fixture
def at(operations: ScriptedOperations) -> Generator[tuple[str, ...], None, None]:
    """The options that lead to a server which plays `operations`."""
    with operations.serve() as server:
        yield ("--endpoint", server.address, "--insecure")
