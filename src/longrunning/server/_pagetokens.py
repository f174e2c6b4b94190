# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Page tokens: a place in a list, signed, and worth nothing for another list or another caller (AIP-158).

A token is url-safe base64 of 33 bytes: a version, the place, veiled, and 24 bytes of an HMAC-SHA256 over both and over what the
token is bound to. 33 is divisible by three, so no bit of the text is without meaning: whatever is changed, is noticed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import string
from collections.abc import Sequence
from typing import Final, final

from ._refusal import bad_field

__all__ = ["PageTokens"]

_VERSION: Final = b"\x01"
_PLACE: Final = 8  # bytes
_SIGNATURE: Final = 24  # bytes: 192 bits
_LENGTH: Final = 44  # characters
_MIN_KEY: Final = 16  # bytes
_ALPHABET: Final = frozenset(string.ascii_letters + string.digits + "-_")  # Python's decoder would take + and / as well


@final
class PageTokens:
    """Writes and reads page tokens.

    The first key signs, all of them are accepted: to rotate, put the new one first, and drop the old one when no page of
    yesterday is still being turned (SRV-11).
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Takes the keys.

        Raises:
            ValueError: There is none, or one is shorter than 16 bytes.
        """
        if not keys or any(len(key) < _MIN_KEY for key in keys):
            raise ValueError(f"page tokens need at least one key of {_MIN_KEY} random bytes or more")
        self._keys = tuple(bytes(key) for key in keys)

    def write(self, place: int, *bound_to: str) -> str:
        """The token of a place in a list.

        Args:
            place: The sequence number that the page before ended with.
            bound_to: What it holds for: parent, filter, caller.
        """
        head, key = _VERSION + place.to_bytes(_PLACE, "big"), self._keys[0]
        signature = _sign(key, head, bound_to)
        return base64.urlsafe_b64encode(_VERSION + _veil(key, signature, head[1:]) + signature).decode("ascii")

    def read(self, token: str, *bound_to: str) -> int:
        """The place a token stands for.

        Raises:
            Refusal: INVALID_ARGUMENT: it is not one of ours, or of another list.
        """
        try:
            if len(token) != _LENGTH or not _ALPHABET.issuperset(token):
                raise ValueError
            data = base64.urlsafe_b64decode(token)
        except (ValueError, binascii.Error):
            raise _bad() from None
        version, veiled, signature = data[:1], data[1 : 1 + _PLACE], data[1 + _PLACE :]
        places: list[int] = []
        for key in self._keys:
            place = _veil(key, signature, veiled)
            if hmac.compare_digest(signature, _sign(key, version + place, bound_to)):
                places.append(int.from_bytes(place, "big"))
        if not places or version != _VERSION:
            raise _bad()
        return places[0]


def _bad() -> Exception:
    return bad_field(
        "page_token", "it is not a token of this list: take it from the page before, with the same parent and filter"
    )


def _veil(key: bytes, signature: bytes, place: bytes) -> bytes:
    """Covers a place, and uncovers it again: it tells how many operations all callers together have started."""
    mask = hmac.new(key, b"place" + signature, hashlib.sha256).digest()
    return bytes(one ^ other for one, other in zip(place, mask, strict=False))


def _sign(key: bytes, head: bytes, bound_to: Sequence[str]) -> bytes:
    # Each part with its length, so that no two sequences of parts read the same.
    parts = [part.encode("utf-8", "surrogatepass") for part in bound_to]
    message = head + b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return hmac.new(key, message, hashlib.sha256).digest()[:_SIGNATURE]
