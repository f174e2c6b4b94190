# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Names of the .proto as names of Python, each of them free where it is used."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from typing import Final, final

__all__ = ["Names", "constant_name", "is_plain", "method_name"]

# CreateDBInstance: before a capital that follows a small letter, and before the last of several capitals.
_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def method_name(rpc: str) -> str:
    """``CreateInstance`` → ``create_instance``; ``Import`` → ``import_``."""
    # Leading underscores would make it private, or have Python mangle it.
    name = _WORD.sub("_", rpc).lower().lstrip("_")
    if not name.isidentifier():
        name = f"rpc_{name}"
    return f"{name}_" if keyword.iskeyword(name) else name


def constant_name(rpc: str) -> str:
    """``CreateInstance`` → ``CREATE_INSTANCE``."""
    return method_name(rpc).rstrip("_").upper() or "RPC"


def is_plain(name: str) -> bool:
    """Whether Python takes it after a dot, and takes it for what it is."""
    return name.isidentifier() and not keyword.iskeyword(name) and _is_normal(name)


def _is_normal(name: str) -> bool:
    """Whether Python reads it as it is written: of some letters it makes others, such as "fi" of the ligature."""
    if name.isascii():
        return True
    import unicodedata

    return unicodedata.is_normalized("NFKC", name)


@final
class Names:
    """The names of one scope."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    @property
    def taken(self) -> frozenset[str]:
        """Those that are not free."""
        return frozenset(self._taken)

    def take(self, *wishes: str) -> str:
        """The first wish that is free; otherwise the last, with underscores after it."""
        for wish in wishes:
            if wish not in self._taken:
                break
        else:
            wish = wishes[-1]
            while wish in self._taken:
                wish += "_"
        self._taken.add(wish)
        return wish
