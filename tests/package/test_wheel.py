# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The wheel by itself: what it holds, what it needs, and what importing it costs."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.package.probing import probe
from tools.check_wheel import faults
from tools.environments import BUILD, environment

# Slow to import, or not there at all: the root must not touch them.
HEAVY = {"asyncio", "grpc", "google.api_core", "google.auth", "google.protobuf.json_format", "httpx", "requests"}


@pytest.fixture(scope="module")
def alone(wheel: Path) -> Any:
    """What a program finds where `pip install longrunning` was all that happened."""
    folder = BUILD / "package" / "alone"
    return probe(environment(folder, Path(sys.executable), [str(wheel)], built(wheel)), "root.py")


def built(wheel: Path) -> str:
    """A comment, which makes the environment new whenever the wheel is."""
    with zipfile.ZipFile(wheel) as archive:
        return f"# {sorted(entry.CRC for entry in archive.infolist())}"


def test_the_wheel_has_no_compiled_google_proto(wheel: Path) -> None:
    """The wheel registers no google descriptor, needs two packages, and holds types and licence (PKG-1, law 1)."""
    assert list(faults(wheel)) == []


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("google/rpc/status_pb2.py", "", "outside of the package"),
        ("longrunning/_pb/status_pb2.py", "", "a compiled proto"),
        (
            "longrunning/status2.py",
            "descriptor_pool.Default().AddSerializedFile(b'')",
            "adds to the default descriptor pool",
        ),
    ],
)
def test_a_wheel_that_breaks_law_1_is_refused(wheel: Path, tmp_path: Path, name: str, content: str, fault: str) -> None:
    """The check of the wheel sees each way of shipping a second copy of a google message (law 1)."""
    changed = tmp_path / wheel.name
    changed.write_bytes(wheel.read_bytes())
    with zipfile.ZipFile(changed, "a") as archive:
        archive.writestr(name, content)
    assert f"{name}: {fault}" in list(faults(changed))


def test_installing_pulls_two_packages(alone: Any) -> None:
    """Installing the wheel brings protobuf and googleapis-common-protos, and nothing else (PKG-1)."""
    brought = set(alone["distributions"]) - {"pip", "setuptools"}
    assert brought == {"longrunning", "protobuf", "googleapis-common-protos"}


def test_importing_the_root_is_light(alone: Any) -> None:
    """`import longrunning` imports no transport, no event loop and no JSON formatter (PKG-1)."""
    assert sorted(HEAVY.intersection(alone["imported"])) == []


def test_the_root_has_few_names_and_says_which_extra_is_missing(alone: Any) -> None:
    """Every name of the root is there without extras, or says which extra brings it (PKG-1)."""
    assert len(alone["names"]) <= 25
    complaints = {name: text for name, text in alone["names"].items() if text}
    assert all("longrunning[grpc]" in text for text in complaints.values()), complaints
