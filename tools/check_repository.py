# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Checks the files of the repository: licence lines, and nothing that belongs to one machine or one registry.

Every source file of ours opens with the two SPDX lines (vendored and generated files name their origin
instead). No file names a package registry's host, holds an absolute path of a machine, or refers to the
number of an issue; there are no lock files, whose URLs do the first.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SPDX = "SPDX-FileCopyrightText: The longrunning authors\n{0}SPDX-License-Identifier: Apache-2.0\n"
COMMENTS = {".py": "# ", ".pyi": "# ", ".toml": "# ", ".yaml": "# ", ".sh": "# ", ".proto": "// ", ".mjs": "// "}
BY_NAME = {"Makefile": "# ", "constraints.txt": "# ", ".gitignore": "# ", "run": "# "}
NOT_OURS = ("protos/google/", "generated/", "src/longrunning/codegen/include/")
LOCK_FILES = re.compile(
    r"(^|/)(package-lock\.json|yarn\.lock|uv\.lock|poetry\.lock|pdm\.lock|pylock.*\.toml|buf\.lock)$"
)
FORBIDDEN = {
    "the host of a package registry": re.compile(r"\b(pypi|pythonhosted|npmjs|yarnpkg)\.(org|com|io)\b"),
    "a path of one machine": re.compile(r"(?<![\w.~$}*<-])/(?:work|root|home|opt|mnt|Users)/\w"),
    "the number of an issue": re.compile(r"\bissues? #?\d", re.IGNORECASE),
}


def faults(name: str, data: bytes) -> Iterator[str]:
    """Yields what is wrong with one file."""
    if LOCK_FILES.search(name):
        yield f"{name}: a lock file"
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return  # binary: descriptors, corpora
    comment = BY_NAME.get(Path(name).name) or COMMENTS.get(Path(name).suffix)
    if comment and text and not name.startswith(NOT_OURS) and SPDX.format(comment) not in text[:300]:
        yield f"{name}: the SPDX lines are missing"
    if name.startswith("protos/google/"):
        return  # unmodified, whatever its comments say
    for what, pattern in FORBIDDEN.items():
        for match in pattern.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield f"{name}:{line}: {what}: {match[0]!r}"


def main() -> int:
    """Checks every file that is committed, or is going to be."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout.decode()
    names = sorted(name for name in set(listed.split("\0")) if name and (ROOT / name).is_file())
    found = [fault for name in names for fault in faults(name, (ROOT / name).read_bytes())]
    for fault in found:
        print(fault, file=sys.stderr)
    print(f"check-repository: {len(names)} files, {len(found)} faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
