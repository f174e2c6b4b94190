# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The vendored protos against those of each supported googleapis-common-protos, field by field.

What differs is written down in drift/<version>.txt, to be read by whoever uses such a field: code has to do
without it on that release. A difference that is not there yet, or no longer, fails.
"""

from __future__ import annotations

import base64
import importlib
from collections.abc import Iterator
from pathlib import Path

from google.protobuf import descriptor_pb2
from google.protobuf.message import Message

from tests.package.probing import probe
from tools.environments import ROOT
from tools.vendor import FILES

# Their extensions: an option that is not known would be compared as bytes.
for name in ("annotations", "client", "field_behavior"):
    importlib.import_module(f"google.api.{name}_pb2")

IMAGE = ROOT / "generated" / "descriptors" / "longrunning.binpb"
EXPECTED = Path(__file__).parent / "drift"
NOT_COMPARED = {"json_name", "source_code_info"}  # what compilers add by themselves


def leaves(message: Message, path: str) -> Iterator[tuple[str, str]]:
    """Yields every value in a descriptor under its path; what has a name is found by it, not by its place."""
    for field, value in message.ListFields():
        label = f"({field.full_name})" if field.is_extension else field.name
        if label in NOT_COMPARED:
            continue
        repeated = not isinstance(value, str | bytes | int | float | Message)
        for index, item in enumerate(value if repeated else [value]):
            if isinstance(item, Message):
                place = f".{name}" if (name := getattr(item, "name", "")) else f"[{index}]" if repeated else ""
                yield from leaves(item, f"{path} {label}{place}")
            elif repeated and isinstance(item, str):
                yield f"{path} {label}.{item}", "there"  # imports: a set, whatever their order
            else:
                yield f"{path} {label}{f'[{index}]' if repeated else ''}", str(item)


def describe(serialized: bytes) -> dict[str, str]:
    """Returns path -> value for a whole file."""
    file = descriptor_pb2.FileDescriptorProto.FromString(serialized)
    return dict(leaves(file, file.name))


def only(these: dict[str, str], those: dict[str, str], whose: str) -> Iterator[str]:
    """Says what only one side has: a message or field that is new is one line, whatever it consists of."""
    paths = [path for path in these if path not in those]
    new = {path.removesuffix(" name") for path in paths if path.endswith(" name")}
    for path in paths:
        parts = path.split(" ")
        if new.isdisjoint(" ".join(parts[:length]) for length in range(1, len(parts))):
            yield f"{path} = {these[path]}: {whose} only"
    for item in new:
        parts = item.split(" ")
        if new.isdisjoint(" ".join(parts[:length]) for length in range(1, len(parts))):
            yield f"{item}: {whose} only"


def differences(ours: dict[str, str], theirs: dict[str, str]) -> list[str]:
    """Says what differs, one line each."""
    changed = [path for path in ours if theirs.get(path, ours[path]) != ours[path]]
    return sorted(
        [
            *only(ours, theirs, "ours"),
            *only(theirs, ours, "theirs"),
            *(f"{path}: ours {ours[path]}, theirs {theirs[path]}" for path in changed),
        ]
    )


def test_drift_of_the_vendored_protos(row: tuple[str, Path]) -> None:
    """The descriptors of each supported release differ from the vendored ones in what is written down, no more (PKG-2)."""
    version, program = row
    vendored = descriptor_pb2.FileDescriptorSet.FromString(IMAGE.read_bytes())
    ours = {file.name: file.SerializeToString() for file in vendored.file if file.name in FILES}
    assert set(ours) == set(FILES)
    theirs = probe(program, "descriptors.py", *sorted(ours))
    found: list[str] = []
    for name in sorted(ours):
        found += differences(describe(ours[name]), describe(base64.b64decode(theirs[name])))
    expected = (EXPECTED / f"{version}.txt").read_text(encoding="utf-8")
    assert "".join(f"{line}\n" for line in found) == expected
