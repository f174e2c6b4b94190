# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Checks a built wheel: law 1 (no module that registers a google descriptor), what it needs, what it must hold."""

from __future__ import annotations

import argparse
import email
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

CORE = {"protobuf", "googleapis-common-protos"}
PB2 = "longrunning/_pb/operations_pb2.py"  # re-exports, registers nothing
NEEDED = {"longrunning/__init__.py", "longrunning/py.typed", PB2}


def faults(wheel: Path) -> Iterator[str]:
    """Yields what is wrong with the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    info = next(name.split("/")[0] for name in contents if name.endswith(".dist-info/METADATA"))
    for name, data in sorted(contents.items()):
        if not name.startswith(("longrunning/", info + "/")):
            yield f"{name}: outside of the package"
        if name.endswith("_pb2.py") and name != PB2:
            yield f"{name}: a compiled proto"
        if name.endswith(".py") and re.search(rb"\bDefault\(\)\s*\.Add", data):
            yield f"{name}: adds to the default descriptor pool"
        if "__pycache__" in name:
            yield f"{name}: compiled"
    for name in sorted((NEEDED | {f"{info}/licenses/LICENSE"}) - set(contents)):
        yield f"{name}: missing"
    metadata = email.message_from_bytes(contents[f"{info}/METADATA"])
    needs = {re.split(r"[^\w-]", line)[0] for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line}
    if needs != CORE:
        yield f"needs {', '.join(sorted(needs)) or 'nothing'}, and not just {', '.join(sorted(CORE))}"
    if metadata.get("License-Expression") != "Apache-2.0":
        yield "the licence expression is missing"


def main() -> int:
    """Checks the wheel named on the command line."""
    parser = argparse.ArgumentParser(description="check a built wheel")
    parser.add_argument("wheel", type=Path)
    wheel = parser.parse_args().wheel
    found = list(faults(wheel))
    for fault in found:
        print(f"{wheel.name}: {fault}", file=sys.stderr)
    if not found:
        print(f"check-wheel: {wheel.name}: {wheel.stat().st_size:,} bytes, nothing amiss")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
