# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Resume tokens: what goes in comes out, and nothing else does."""

from __future__ import annotations

import base64
import contextlib
import json
import string
import zlib
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longrunning._resume import ResumeToken, read_token, write_token
from longrunning.errors import LongRunningError, ResumeTokenError
from longrunning.names import check_name
from tests.unit.builders import NAME, PATH

names = st.text(st.characters(codec="utf-8"), min_size=1)
paths = st.text(st.characters(codec="utf-8"))
TOKEN = write_token(ResumeToken(NAME, PATH))
SAFE = set(string.ascii_letters + string.digits + "-_")


def forged(body: bytes) -> str:
    """A token with a checksum that is right, whatever is in it."""
    data = zlib.crc32(body).to_bytes(4, "big") + body
    return "lro1_" + base64.urlsafe_b64encode(data).decode().rstrip("=")


@given(names, paths)
def test_a_token_round_trips_through_json(name: str, path: str) -> None:
    """Name and path come back from a token that went through JSON, whatever characters are in them (CTRL-1)."""
    token = ResumeToken(name, path)
    text = write_token(token)
    assert read_token(json.loads(json.dumps({"token": text}))["token"]) == token
    assert text.encode("utf-16").decode("utf-16") == text
    assert set(text) <= SAFE
    assert quote(text, safe="") == text


def test_a_token_of_this_version_reads_for_ever() -> None:
    """A token written by the first release is read, byte for byte, by this one (CTRL-1)."""
    token = "lro1_98djPXsibmFtZSI6Im9wZXJhdGlvbnMvMSIsIm1ldGhvZCI6Ii9hLkIvQyJ9"
    assert write_token(ResumeToken("operations/1", "/a.B/C")) == token
    assert read_token(token) == ResumeToken("operations/1", "/a.B/C")


def test_a_token_may_carry_no_path() -> None:
    """The token of an operation whose method is not known has an empty path (CTRL-1)."""
    assert read_token(write_token(ResumeToken(NAME, ""))) == ResumeToken(NAME, "")


def test_fields_of_a_later_minor_are_ignored() -> None:
    """A token of this version with a field more is read: later releases may add some (CTRL-1)."""
    body = json.dumps({"name": NAME, "method": PATH, "started": 12}).encode()
    assert read_token(forged(body)) == ResumeToken(NAME, PATH)


@pytest.mark.parametrize("version", ["0", "2", "10", "999999999999999999999"])
def test_a_token_of_another_version_says_so(version: str) -> None:
    """A token of an unknown version is refused with its version, and with what to do (CTRL-1)."""
    with pytest.raises(ResumeTokenError, match=rf"version {version};.*upgrade"):
        read_token(f"lro{version}_" + TOKEN.removeprefix("lro1_"))


@given(st.one_of(st.text(), st.binary(), st.none(), st.integers(), st.text().map("lro1_".__add__)))
def test_garbage_is_refused(garbage: Any) -> None:
    """Whatever is no token is a ResumeTokenError and nothing else, not even a TypeError (CTRL-1)."""
    with pytest.raises(ResumeTokenError) as raised:
        read_token(garbage)
    assert isinstance(raised.value, (LongRunningError, ValueError))


@given(st.data())
def test_a_token_that_was_cut_or_changed_is_refused(data: st.DataObject) -> None:
    """A token cut anywhere, or with any character changed, never reads as another operation (CTRL-1)."""
    at = data.draw(st.integers(0, len(TOKEN) - 1))
    other = data.draw(st.sampled_from(sorted(SAFE | set("=+/ é\n"))))
    for changed in (TOKEN[:at], TOKEN[:at] + other + TOKEN[at + 1 :], TOKEN[:at] + other + TOKEN[at:]):
        with contextlib.suppress(ResumeTokenError):
            assert read_token(changed) == ResumeToken(NAME, PATH)  # the last bits of base64 mean nothing


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{}",
        b'{"name":"n"}',
        b'{"method":"/a/b"}',
        b'{"name":"","method":""}',
        b'{"name":1,"method":""}',
        b'{"name":"n","method":null}',
        b'{"name":["n"],"method":""}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"name":' + b"9" * 5_000 + b',"method":""}',
    ],
    ids=lambda body: repr(body[:24]),
)
def test_a_forged_token_without_the_fields_is_refused(body: bytes) -> None:
    """A token whose checksum holds but whose content is nonsense is a ResumeTokenError (CTRL-1)."""
    with pytest.raises(ResumeTokenError):
        read_token(forged(body))


@given(
    st.dictionaries(
        st.sampled_from(["name", "method", "x"]), st.one_of(st.text(st.characters()), st.integers(), st.none())
    )
)
def test_what_a_token_yields_can_be_asked_for(fields: dict[str, Any]) -> None:
    """Whatever JSON a forged token holds: it is refused, or it yields a name that can go over the wire (CTRL-1)."""
    try:
        token = read_token(forged(json.dumps(fields).encode()))
    except ResumeTokenError:
        return
    assert check_name(token.name) == token.name


def test_half_a_surrogate_pair_is_no_name() -> None:
    """A forged token with a name that UTF-8 cannot carry is a ResumeTokenError (CTRL-1, SNAP-7)."""
    with pytest.raises(ResumeTokenError):
        read_token(forged(b'{"name":"\\ud800","method":""}'))


def test_a_token_is_no_secret_and_no_address() -> None:
    """A token holds the name and the path of the method, and nothing else (CTRL-1)."""
    encoded = TOKEN.removeprefix("lro1_")
    data = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    assert json.loads(data[4:]) == {"name": NAME, "method": PATH}
