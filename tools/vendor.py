# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Copies the google protos that ours import out of the installed ``googleapis-common-protos``.

The bytes are never changed. ``--check`` compares instead of copying, and fails on any difference.
One file is renamed: the package installs ``google/longrunning/operations.proto`` under the name
``operations_proto.proto``, which no compiler would accept as the file the descriptors name.
"""

from __future__ import annotations

import argparse
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
PACKAGE = "googleapis-common-protos"
VERSION = "1.76.0"  # the newest release when this was vendored; constraints.txt pins the same one

# vendored path -> path in the package
FILES = {
    "google/api/annotations.proto": "google/api/annotations.proto",
    "google/api/client.proto": "google/api/client.proto",
    "google/api/field_behavior.proto": "google/api/field_behavior.proto",
    "google/api/http.proto": "google/api/http.proto",
    "google/api/launch_stage.proto": "google/api/launch_stage.proto",
    "google/longrunning/operations.proto": "google/longrunning/operations_proto.proto",
    "google/rpc/code.proto": "google/rpc/code.proto",
    "google/rpc/error_details.proto": "google/rpc/error_details.proto",
    "google/rpc/status.proto": "google/rpc/status.proto",
}

README = f"""\
# Vendored protos

Copied, unmodified, by `make vendor` from the Python package `{PACKAGE}` {VERSION}, which Google LLC
publishes under the Apache License 2.0 (the text is in `LICENSE` at the root of this repository; every
file carries its own notice). The originals live in the repository `googleapis/googleapis` on GitHub.

`longrunning/operations.proto` is the package's `longrunning/operations_proto.proto`, byte for byte.

They are here so that everything compiles offline. Nothing compiled from them is imported at run time or
shipped: the classes of `google.*` are those of `{PACKAGE}` and `protobuf`, and a
second copy of a descriptor would break the user's process. `make check-generate` compares them with the
package, and a test compares their descriptors with every release of it that is supported.
"""


def expected() -> dict[Path, bytes]:
    """Returns what every vendored file has to hold, read from the installed package."""
    distribution = metadata.distribution(PACKAGE)
    if distribution.version != VERSION:
        sys.exit(f"vendor: {PACKAGE} {VERSION} is needed, {distribution.version} is installed: run `make setup`")
    files = {PROTOS / name: Path(str(distribution.locate_file(source))).read_bytes() for name, source in FILES.items()}
    files[PROTOS / "google" / "README.md"] = README.encode()
    # The one file that nobody installs under its own name ships with the generator, for compilers to find.
    operations = "google/longrunning/operations.proto"
    files[ROOT / "src" / "longrunning" / "codegen" / "include" / operations] = files[PROTOS / operations]
    return files


def main() -> int:
    """Copies or, with ``--check``, compares."""
    parser = argparse.ArgumentParser(description="vendor the google protos")
    parser.add_argument("--check", action="store_true", help="compare, change nothing")
    check = parser.parse_args().check
    files = expected()
    present = {path for path in (PROTOS / "google").rglob("*") if path.is_file()}
    stale = sorted(path for path, data in files.items() if not path.is_file() or path.read_bytes() != data)
    extra = sorted(present - set(files))
    if check:
        for path in stale + extra:
            print(f"vendor: {path.relative_to(ROOT)} is not what {PACKAGE} {VERSION} holds", file=sys.stderr)
        return 1 if stale or extra else 0
    for path in extra:
        path.unlink()
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files[path])
    print(f"vendor: {len(files)} files, {len(stale)} changed, {len(extra)} removed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
