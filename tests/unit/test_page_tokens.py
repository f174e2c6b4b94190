# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Page tokens: what is signed reads back, and nothing else reads at all."""

from __future__ import annotations

import base64
import string
from collections.abc import Sequence

import pytest
from google.rpc import error_details_pb2
from hypothesis import assume, given
from hypothesis import strategies as st

from longrunning import Code
from longrunning.server import AllowAll, MemoryStore, OperationsServer
from longrunning.server._pagetokens import PageTokens
from longrunning.server._refusal import Refusal

KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
BOUND = ("shelves/1", "done = true", "alice", "=tenant")
ALPHABET = f"{string.ascii_letters}{string.digits}-_"
OTHER_CHARACTERS = f"{string.printable}\x00\x7féß\uff1d\U0001d400\u200b"

places = st.integers(0, 2**64 - 1)
bounds = st.lists(st.text(max_size=12), max_size=5).map(tuple)
TOKENS = PageTokens([KEY])


def refused(token: str, bound_to: Sequence[str] = BOUND, tokens: PageTokens = TOKENS) -> bool:
    """Whether a token is refused, as all of them are: INVALID_ARGUMENT, about the page token, and with advice."""
    try:
        tokens.read(token, *bound_to)
    except Refusal as refusal:
        status = refusal.status
    else:
        return False
    assert status.code is Code.INVALID_ARGUMENT
    [bad_request] = status.details
    assert isinstance(bad_request, error_details_pb2.BadRequest)
    assert [violation.field for violation in bad_request.field_violations] == ["page_token"]
    assert "take it from the page before" in status.message
    return True


@given(place=places, bound_to=bounds)
def test_a_token_reads_back_as_its_place(place: int, bound_to: tuple[str, ...]) -> None:
    """Whatever place and list, its token reads back as that place, in url-safe characters without padding (PAGE-1)."""
    token = TOKENS.write(place, *bound_to)
    assert TOKENS.read(token, *bound_to) == place
    assert set(token) <= set(ALPHABET)


@given(place=places, bound_to=bounds, other=bounds)
def test_a_token_is_worth_nothing_for_another_list(
    place: int, bound_to: tuple[str, ...], other: tuple[str, ...]
) -> None:
    """A token is bound to parent, filter and caller, each by itself: any other combination refuses it (PAGE-1, AUTH-3)."""
    assume(bound_to != other)
    assert refused(TOKENS.write(place, *bound_to), other)


@given(parts=bounds, at=st.integers(0, 20))
def test_what_a_token_is_bound_to_is_parted_unambiguously(parts: tuple[str, ...], at: int) -> None:
    """The same characters, cut elsewhere, are something else: no parent continues into a filter (PAGE-1)."""
    text = "".join(parts)
    again = (text[:at], text[at:])
    assume(again != parts)
    assert refused(TOKENS.write(1, *parts), again)


@pytest.mark.parametrize("place", [0, 1, 0x3FFFFFFF, 2**63 - 1, 2**64 - 1])
def test_no_character_can_be_changed(place: int) -> None:
    """A token with any one character replaced by any other is refused (PAGE-1)."""
    token = TOKENS.write(place, *BOUND)
    for at, was in enumerate(token):
        for character in OTHER_CHARACTERS + ALPHABET:
            if character != was:
                assert refused(f"{token[:at]}{character}{token[at + 1 :]}"), (at, was, character)


@given(place=places)
def test_a_token_in_another_alphabet_is_refused(place: int) -> None:
    """Base64 has two alphabets, tokens have one: not even a change that leaves the bytes as they are passes (PAGE-1)."""
    token = TOKENS.write(place, *BOUND)
    other = token.replace("-", "+").replace("_", "/")
    assume(other != token)
    assert refused(other)


def test_no_bit_can_be_flipped() -> None:
    """Every bit of the bytes in a token counts: the version, the place, the signature (PAGE-1)."""
    data = base64.urlsafe_b64decode(TOKENS.write(5, *BOUND))
    for bit in range(len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        assert refused(base64.urlsafe_b64encode(changed).decode())


def test_a_token_is_neither_cut_nor_extended() -> None:
    """A beginning of a token is none, nor is one with anything before or after it (PAGE-1)."""
    token = TOKENS.write(5, *BOUND)
    for length in range(len(token)):
        assert refused(token[:length])
        assert refused(token[length + 1 :])
    for more in ("=", "==", "A", "AAAA", "\n", " ", "\x00", "\r\n", token):
        assert refused(token + more)
        assert refused(more + token)


@given(token=st.text(max_size=60) | st.text(ALPHABET, min_size=44, max_size=44) | st.binary(max_size=48).map(repr))
def test_no_token_can_be_made_up(token: str) -> None:
    """Any text, also of the right length and alphabet, and also lone surrogates, is refused and nothing worse (PAGE-1)."""
    assert refused(token)


@given(signature=st.binary(min_size=24, max_size=24), place=places)
def test_no_signature_can_be_guessed(signature: bytes, place: int) -> None:
    """A well-formed token with a made-up signature is refused (PAGE-1)."""
    head = b"\x01" + place.to_bytes(8, "big")
    assert refused(base64.urlsafe_b64encode(head + signature).decode())


@given(place=st.integers(1, 2**40), more=st.integers(1, 1000))
def test_a_token_does_not_tell_its_place(place: int, more: int) -> None:
    """A token is opaque: how many operations there are, of all callers, cannot be read off it or off two (PAGE-1)."""
    first, second = (base64.urlsafe_b64decode(TOKENS.write(at, *BOUND)) for at in (place, place + more))
    assert place.to_bytes(8, "big") not in first
    assert (place + more).to_bytes(8, "big") not in second
    assert int.from_bytes(second[1:9], "big") - int.from_bytes(first[1:9], "big") != more


@given(place=places)
def test_keys_can_be_rotated(place: int) -> None:
    """With a new key first, tokens of the old one are still read; without the old one they are not (SRV-11)."""
    old, both, new = PageTokens([KEY]), PageTokens([OTHER_KEY, KEY]), PageTokens([OTHER_KEY])
    of_old, of_both = old.write(place, *BOUND), both.write(place, *BOUND)
    assert both.read(of_old, *BOUND) == both.read(of_both, *BOUND) == new.read(of_both, *BOUND) == place
    assert of_both == new.write(place, *BOUND)
    assert refused(of_old, tokens=new)
    assert refused(of_both, tokens=old)


def test_a_key_beside_the_first_is_read_before_it_signs() -> None:
    """Replicas are updated one after the other: one that has the new key second already reads its tokens (SRV-11)."""
    prepared, rotated = PageTokens([KEY, OTHER_KEY]), PageTokens([OTHER_KEY, KEY])
    assert prepared.read(rotated.write(9, *BOUND), *BOUND) == 9
    assert rotated.read(prepared.write(9, *BOUND), *BOUND) == 9


@pytest.mark.parametrize("keys", [[], [b""], [b"short"], [KEY, b"fifteen bytes.."]], ids=repr)
def test_a_weak_key_is_refused(keys: list[bytes]) -> None:
    """No key, or one of less than 16 bytes, is refused when the server is made, not when the first page is (SRV-11)."""
    with pytest.raises(ValueError, match="16 random bytes"):
        OperationsServer(store=MemoryStore(), authorizer=AllowAll(), page_token_keys=keys)
