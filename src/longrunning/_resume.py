# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Resume tokens: the name of an operation and the path of its method, as text for a database or a log.

A token reads ``lro1_`` and base64url of a checksum and JSON. It holds no endpoint and no credential: it is a name, not a
permission.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from typing import Final, NamedTuple, cast

from .errors import ResumeTokenError
from .names import check_name

__all__ = ["ResumeToken", "read_token", "write_token"]

_PREFIX: Final = "lro1_"
_ANY_VERSION: Final = re.compile(r"lro([0-9]+)_", re.ASCII)


class ResumeToken(NamedTuple):
    """What a token says.

    Attributes:
        name: Name of the operation.
        path: Path of the method that started it; empty where that was not known.
    """

    name: str
    path: str


def write_token(token: ResumeToken) -> str:
    """The token as text: ASCII, safe in JSON, URLs and file names."""
    body = json.dumps({"name": token.name, "method": token.path}, separators=(",", ":")).encode()
    checked = zlib.crc32(body).to_bytes(4, "big") + body
    return _PREFIX + base64.urlsafe_b64encode(checked).decode("ascii").rstrip("=")


def read_token(text: object) -> ResumeToken:
    """Reads a token.

    Raises:
        ResumeTokenError: It is none, it was cut or changed, or it is of a version from the future.
    """
    if not isinstance(text, str):
        # Not a TypeError: what came out of a database is data.
        raise ResumeTokenError(f"a resume token is a str, got {type(text).__name__}")
    if not text.startswith(_PREFIX):
        version = _ANY_VERSION.match(text)
        if version is not None:
            raise ResumeTokenError(
                f"the resume token is of version {version[1]}; this release of longrunning reads version 1: upgrade it"
            )
        raise ResumeTokenError(f"{text[:40]!r} is not a resume token")
    try:
        encoded = text[len(_PREFIX) :].encode("ascii")
        data = base64.b64decode(encoded + b"=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        checksum, body = data[:4], data[4:]
        if zlib.crc32(body).to_bytes(4, "big") != checksum:
            raise ValueError("the checksum does not match")
        fields: object = json.loads(body)
        if not isinstance(fields, dict):
            raise ValueError("it holds no object")  # noqa: TRY004 (caught below)
        name, path = (cast("dict[str, object]", fields).get(key) for key in ("name", "method"))
        if not isinstance(path, str):
            raise ValueError("a field is missing")  # noqa: TRY004 (caught below)
        name = check_name(name)
    except (TypeError, ValueError, binascii.Error, RecursionError) as error:
        raise ResumeTokenError(f"the resume token was cut or changed: {error}") from None
    return ResumeToken(name, path)
