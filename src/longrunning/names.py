# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Names of operations as clients see them: opaque, checked only for what the wire cannot carry (SNAP-7).

Source: AIP-4222 (routing headers), operations.proto (``Operation.name``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

__all__ = ["ROUTING_HEADER", "Metadata", "check_metadata", "check_name", "with_routing"]

Metadata = Iterable[tuple[str, str | bytes]]
"""gRPC metadata (or HTTP headers) as callers give them: pairs of a lower-case key and a value."""

_KEY: Final = re.compile(r"[0-9a-z_.-]+", re.ASCII)
ROUTING_HEADER: Final = "x-goog-request-params"


def check_name(name: object) -> str:
    """Returns the name of an operation that can be asked for: any text that is not empty and that UTF-8 can carry.

    Raises:
        TypeError: It is not a string.
        ValueError: It is empty, or holds half of a surrogate pair.
    """
    if not isinstance(name, str):
        raise TypeError(f"the name of an operation is a str, got {type(name).__name__}")
    if not name:
        raise ValueError("an operation without a name cannot be asked for (only validate-only calls answer with one)")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"the name {name!r} holds a lone surrogate, which no server can have sent") from None
    return name


def check_metadata(metadata: Metadata) -> tuple[tuple[str, str | bytes], ...]:
    """The headers as a tuple of their own.

    Raises:
        TypeError: They are not pairs of a key and a value.
        ValueError: A header cannot be sent: gRPC takes lower-case keys, printable ASCII values, and bytes under ``…-bin``.
    """
    checked: list[tuple[str, str | bytes]] = []
    for pair in metadata:
        try:
            key, value = pair
            ok = _KEY.fullmatch(key) is not None
            ok = ok and (isinstance(value, bytes) if key.endswith("-bin") else _is_printable(value))
        except (TypeError, ValueError, AttributeError):
            raise TypeError(f"metadata is a sequence of (key, value) pairs; got {pair!r}") from None
        if not ok:
            raise ValueError(
                f"the header {key!r} cannot be sent: keys are lower-case, values printable ASCII, or bytes under '…-bin'"
            )
        checked.append((key, value))
    return tuple(checked)


def _is_printable(value: str | bytes) -> bool:
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return text.isascii() and text.isprintable()


def with_routing(name: str, metadata: Metadata) -> tuple[tuple[str, str | bytes], ...]:
    """The caller's metadata plus the routing header for `name`; the caller's own sequence is left alone.

    Exactly one routing header goes out: one the caller sent along for another RPC is replaced. None goes out for an
    empty name (WAIT-10).
    """
    others = tuple((key, value) for key, value in metadata if key.lower() != ROUTING_HEADER)
    return (*others, (ROUTING_HEADER, f"name={quote(name, safe='/')}")) if name else others
