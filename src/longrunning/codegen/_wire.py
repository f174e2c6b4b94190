# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The two annotations, read off the bytes of ``google.protobuf.MethodOptions`` by the numbers of their fields.

Not by extensions: whether a parsed message knows those depends on which module was imported when. The numbers are those
of operations.proto and http.proto, which can never change.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .model import HttpRule

__all__ = ["HTTP", "OPERATION_INFO", "read_http", "read_operation_info"]

OPERATION_INFO: Final = 1049  # google.longrunning.operation_info
HTTP: Final = 72295728  # google.api.http

_VARINT, _I64, _LEN, _SGROUP, _EGROUP, _I32 = range(6)  # wire types
_VERBS: Final = {2: "GET", 3: "PUT", 4: "POST", 5: "DELETE", 6: "PATCH"}  # of google.api.HttpRule.pattern
_CUSTOM, _BODY, _ADDITIONAL, _RESPONSE_BODY = 8, 7, 11, 12


def read_operation_info(options: bytes) -> tuple[str, str] | None:
    """Response and metadata type as ``operation_info`` names them; ``None`` where there is no such annotation.

    Raises:
        ValueError: Its bytes are no OperationInfo.
    """
    data = _message(options, OPERATION_INFO)
    if data is None:
        return None
    found = {number: _text(value) for number, value in _strings(data) if number in {1, 2}}
    return found.get(1, ""), found.get(2, "")


def read_http(options: bytes) -> HttpRule | None:
    """The HTTP rule; ``None`` where there is no such annotation.

    Raises:
        ValueError: Its bytes are no HttpRule, or it binds no path.
    """
    data = _message(options, HTTP)
    return None if data is None else _rule(data, nested=False)


def _rule(data: bytes, *, nested: bool) -> HttpRule:
    verb, path, body, response_body = "", "", "", ""
    additional: list[HttpRule] = []
    for number, value in _strings(data):
        if number in _VERBS:
            verb, path = _VERBS[number], _text(value)
        elif number == _CUSTOM:
            custom = {key: _text(text) for key, text in _strings(value) if key in {1, 2}}
            verb, path = custom.get(1, ""), custom.get(2, "")
        elif number == _BODY:
            body = _text(value)
        elif number == _RESPONSE_BODY:
            response_body = _text(value)
        elif number == _ADDITIONAL and not nested:  # http.proto: "the nesting may only be one level deep"
            additional.append(_rule(value, nested=True))
    if not path.startswith("/"):
        raise ValueError(f"the path of google.api.http starts with '/', and {path!r} does not")
    return HttpRule(verb=verb, path=path, body=body, response_body=response_body, additional=tuple(additional))


def _message(data: bytes, wanted: int) -> bytes | None:
    """The bytes of a field that is a message: parts of it may stand in several places, and then follow one another."""
    parts = [value for number, value in _strings(data) if number == wanted]
    return b"".join(parts) if parts else None


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ValueError(f"{data!r} is not UTF-8") from None


def _strings(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and value of each field that has a length: strings, bytes and messages. Others are passed over.

    Raises:
        ValueError: The bytes are no message.
    """
    at, groups = 0, 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _VARINT:
            _, at = _varint(data, at)
        elif wire_type == _I64:
            at += 8
        elif wire_type == _I32:
            at += 4
        elif wire_type == _LEN:
            length, at = _varint(data, at)
            start, at = at, at + length
            if groups == 0 and at <= len(data):
                yield number, data[start:at]
        elif wire_type == _SGROUP:
            groups += 1
        elif wire_type == _EGROUP and groups:
            groups -= 1
        else:
            raise ValueError("the bytes are no message")
    if at != len(data) or groups:
        raise ValueError("the bytes end in the middle of a message")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while at < len(data) and shift < 70:  # ten bytes are the longest there are
        byte = data[at]
        value, at, shift = value | (byte & 0x7F) << shift, at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ValueError("the bytes end in the middle of a number")
