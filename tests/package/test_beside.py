# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The wheel beside google-api-core, with three releases of googleapis-common-protos."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.package.probing import probe


@pytest.mark.parametrize("order", ["ours first", "theirs first"])
@pytest.mark.parametrize("implementation", ["upb", "python"])
def test_classes_are_identical_objects(row: tuple[str, Path], implementation: str, order: str) -> None:
    """Whatever is imported first, and however protobuf is built, there is one class for each message (PKG-2, TYPE-9, law 1)."""
    answer = probe(row[1], "beside.py", order, PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=implementation)
    assert answer["implementation"] == implementation
    assert [what for what, same in answer["identical"].items() if not same] == []
