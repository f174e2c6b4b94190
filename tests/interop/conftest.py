# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The option that writes ``docs/interop.md``."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds it."""
    parser.addoption("--interop-write", action="store_true", help="write what this run finds into docs/interop.md")
