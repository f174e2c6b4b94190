# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Names of operations, and the routing header made of them."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longrunning.names import ROUTING_HEADER, check_name, with_routing

names = st.text(st.characters(codec="utf-8"), min_size=1)
headers = st.lists(st.tuples(st.sampled_from(["a", "b-bin", ROUTING_HEADER, "X-Goog-Request-Params"]), st.text()))


@pytest.mark.parametrize(
    "name",
    [
        "operations/1",
        "projects/p/locations/l/operations/1",
        "batches/7",
        "/0e2a3e1c-1b1f-4a35-8e0c-2b7ba4f0a1a5",
        "//",
        " ",
        "operations/ä/日本/🚂",
        "a\nb\x00c",
        "operations/a b?c=d&e#f%20",
        "x" * 10_000,
    ],
)
def test_names_are_opaque(name: str) -> None:
    """Any text is a name and is taken as it is, a leading slash and unicode included (SNAP-7)."""
    assert check_name(name) is name


@pytest.mark.parametrize("name", ["", "a\ud800", "\udfff/operations/1"], ids=ascii)
def test_what_the_wire_cannot_carry_is_no_name(name: str) -> None:
    """Empty names and halves of surrogate pairs are a ValueError before anything is sent (SNAP-7)."""
    with pytest.raises(ValueError, match="name"):
        check_name(name)


@pytest.mark.parametrize("name", [None, b"operations/1", 1, ["operations/1"]], ids=repr)
def test_a_name_is_text(name: Any) -> None:
    """What is no text is a TypeError (SNAP-7)."""
    with pytest.raises(TypeError, match=type(name).__name__):
        check_name(name)


@given(names, headers)
def test_there_is_exactly_one_routing_header(name: str, metadata: list[tuple[str, str]]) -> None:
    """The header is added once, replaces the caller's own, and every other header is kept in order (WAIT-10)."""
    before = list(metadata)
    sent = with_routing(name, metadata)
    assert metadata == before
    assert [value for key, value in sent if key.lower() == ROUTING_HEADER] == [sent[-1][1]]
    assert list(sent[:-1]) == [pair for pair in metadata if pair[0].lower() != ROUTING_HEADER]
    value = sent[-1][1]
    assert isinstance(value, str)
    assert value.startswith("name=")
    assert unquote(value.removeprefix("name=")) == name
    assert value.isascii()
    assert value.isprintable()
    assert not set(value.removeprefix("name=")) & set(" &=?#+,;:@\"'")


@given(headers)
def test_an_empty_name_sends_no_routing_header(metadata: list[tuple[str, str]]) -> None:
    """Without a name there is no routing header (WAIT-10)."""
    assert ROUTING_HEADER not in [key.lower() for key, _ in with_routing("", metadata)]


def test_slashes_stay_and_the_rest_is_encoded() -> None:
    """In the routing header slashes are not encoded, other reserved characters and unicode are (WAIT-10)."""
    assert with_routing("/p/ä b+c&d=e:f~g", ()) == ((ROUTING_HEADER, "name=/p/%C3%A4%20b%2Bc%26d%3De%3Af~g"),)


def test_metadata_may_be_any_iterable() -> None:
    """Metadata that can be iterated only once is sent in full (WAIT-10)."""
    given: list[tuple[str, str | bytes]] = [("a", "1"), ("b-bin", b"\xff")]
    assert with_routing("n", iter(given)) == (
        ("a", "1"),
        ("b-bin", b"\xff"),
        (ROUTING_HEADER, "name=n"),
    )
