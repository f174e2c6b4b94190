# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What a file sees: itself, and all that it imports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["reachable"]


def reachable(path: str, imports: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """A file and all that it imports, directly or not."""
    seen = {path}
    pending = [path]
    while pending:
        for needed in imports.get(pending.pop(), ()):
            if needed not in seen:
                seen.add(needed)
                pending.append(needed)
    return frozenset(seen)
