# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""`NamePattern`: templates, names, parents, and what is listed."""

from __future__ import annotations

import re
from typing import Final

import pytest
from google.rpc import error_details_pb2
from hypothesis import assume, given
from hypothesis import strategies as st

from longrunning.server import NamePattern
from longrunning.server._names import absent
from longrunning.server._refusal import Refusal
from longrunning.status import Code

FLAT: Final = NamePattern("operations/{operation}")
SHELVES: Final = NamePattern("shelves/{shelf}/operations/{operation}")
DEEP: Final = NamePattern("projects/{project}/locations/{location}/operations/{operation}")
FIXED: Final = NamePattern("v1/all/imports/{import}")
PATTERNS: Final = (FLAT, SHELVES, DEEP, FIXED)
ID: Final = "op-0123"

segments: Final = st.text(st.characters(codec="utf-8", exclude_characters="/{}"), min_size=1, max_size=20)
texts: Final = st.text(max_size=60)
patterns: Final = st.sampled_from(PATTERNS)


def code_of(refusal: Refusal) -> Code | int:
    """The code of a refusal, which names the field it is about."""
    bad = refusal.status.find(error_details_pb2.BadRequest)
    assert bad is not None
    assert bad.field_violations[0].field in {"name", "parent"}
    return refusal.status.code


# --- templates


@pytest.mark.parametrize(
    "template",
    [
        "",
        "/",
        "operations",
        "operations/",
        "{operation}",
        "/operations/{operation}",
        "operations/{operation}/",
        "operations/operation",
        "{parent}/{operation}",
        "shelves/{shelf}/{operation}",
        "shelves/{shelf}/operations/{shelf}",
        "shelves//operations/{operation}",
        "shelves/{}/operations/{operation}",
        "shelves/{Shelf}/operations/{operation}",
        "shelves/{1}/operations/{operation}",
        "shelves/{shelf=*}/operations/{operation}",
        "shelves/x{shelf}/operations/{operation}",
        "shelves/{shelf/operations/{operation}",
        "shelves/./operations/{operation}",
        "../operations/{operation}",
        "my shelves/{shelf}/operations/{operation}",
        "shelves\n/{shelf}/operations/{operation}",
    ],
)
def test_templates_that_are_none(template: str) -> None:
    """A template is parted text and variables, ends in a collection and an id, and uses no variable twice (SRV-3)."""
    with pytest.raises(ValueError, match=re.escape(repr(template))):
        NamePattern(template)


@given(texts)
def test_whatever_is_no_template_is_a_value_error(template: str) -> None:
    """Any text either is a pattern, whose names it then matches, or a ValueError (SRV-3)."""
    try:
        pattern = NamePattern(template)
    except ValueError:
        return
    assert pattern.template == template
    assert template.startswith(pattern.parent_template)


def test_what_a_pattern_says_of_itself() -> None:
    """A pattern knows its template, that of its parents, and whether it has any (SRV-3)."""
    assert (FLAT.has_parent, FLAT.parent_template) == (False, "")
    assert (DEEP.has_parent, DEEP.parent_template) == (True, "projects/{project}/locations/{location}")
    assert (FIXED.has_parent, FIXED.parent_template) == (True, "v1/all")
    assert repr(SHELVES) == "NamePattern('shelves/{shelf}/operations/{operation}')"


def test_text_of_a_template_is_taken_literally() -> None:
    """What means something to regular expressions does not in a template (SRV-3)."""
    pattern = NamePattern("a.b/{shelf}/op+/{operation}")
    assert pattern.match("a.b/1/op+/2") == {"shelf": "1", "operation": "2"}
    assert pattern.match("axb/1/opp/2") is None


# --- names


@pytest.mark.parametrize(("pattern", "parent"), [(FLAT, ""), (SHELVES, "shelves/1"), (DEEP, "projects/p/locations/l")])
def test_new_names(pattern: NamePattern, parent: str) -> None:
    """A new name lies under its parent, fits the pattern, and has an id of 128 random bits that begins with a letter (SRV-3)."""
    names = {pattern.new_name(parent) for _ in range(100)}
    assert len(names) == 100
    for name in names:
        variables = pattern.match(name)
        assert variables is not None
        assert name.startswith(parent)
        assert re.fullmatch(r"[a-z][a-z0-9-]{0,62}", variables["operation"])
        assert len(bytes.fromhex(variables["operation"].removeprefix("op-"))) >= 16


@pytest.mark.parametrize(
    "name",
    [
        "",
        "shelves/1",
        "shelves/1/operations",
        "shelves/1/operations/",
        "/shelves/1/operations/2",
        "shelves/1/operations/2/",
        "shelves/1/operations/2/3",
        "Shelves/1/operations/2",
        "shelves//operations/2",
        "shelves/1/operations/..",
        "shelves/./operations/2",
        "shelves/-/operations/2",
        "shelves/1/operations/-",
        "shelves/1/operations/a b",
        "shelves/1/operations/a\x00",
        "shelves/1/operations/a\n",
        "shelves/1/operations/\x7f",
        "shelves/1/operations/\u2028",
        "shelves/1/operations/\u200b",
        "shelves/1/operations/\ud800",
        "shelves/1/operations/{operation}",
        "shelves/1/operations/" + "x" * 1004,
    ],
)
def test_names_that_are_none(name: str) -> None:
    """What does not fit the pattern is INVALID_ARGUMENT: shown shortened, in ASCII, beside the pattern (SRV-1, SRV-3)."""
    assert SHELVES.match(name) is None
    with pytest.raises(Refusal) as caught:
        SHELVES.check_name(name)
    assert code_of(caught.value) is Code.INVALID_ARGUMENT
    message = caught.value.status.message
    assert message.isascii() or "…" in message
    assert len(message) < 400
    assert SHELVES.template in message


def test_the_longest_name() -> None:
    """A name may have 1,024 characters and no more (SRV-3)."""
    name = "shelves/1/operations/" + "x" * 1003
    assert (len(name), SHELVES.check_name(name)) == (1024, name)


@given(patterns, st.lists(segments, min_size=3, max_size=3))
def test_names_of_all_letters(pattern: NamePattern, values: list[str]) -> None:
    """A name made of the pattern and values is matched with those values, or refused; never with others (SRV-3)."""
    found = iter(values)
    variables = {name: next(found) for name in re.findall(r"\{(\w+)\}", pattern.template)}
    name = pattern.template.format(**variables)
    matched = pattern.match(name)
    assert matched in (None, variables)
    fine = all(value.isprintable() and not set(value) & set(" \x7f") for value in variables.values())
    if fine and not set(variables.values()) & {".", "..", "-"}:
        assert matched == variables
    else:
        assert matched is None


@given(patterns, texts)
def test_whatever_is_asked_for(pattern: NamePattern, text: str) -> None:
    """Any text is a name, or a parent, or a list, or refused with INVALID_ARGUMENT; nothing else happens (SRV-1)."""
    for check in (pattern.check_name, pattern.check_parent, pattern.listed):
        try:
            check(text)
        except Refusal as refusal:
            assert code_of(refusal) is Code.INVALID_ARGUMENT  # noqa: PT017 (a refusal or none, both are fine)


# --- parents


@pytest.mark.parametrize(
    ("pattern", "text", "parent"),
    [
        (DEEP, "projects/p/locations/l", "projects/p/locations/l"),
        (DEEP, "projects/p/locations/l/instances/i/databases/d", "projects/p/locations/l"),
        (DEEP, "projects/p/locations/l/", "projects/p/locations/l"),
        (DEEP, "projects/p/locations", None),
        (DEEP, "projects/p/locations/", None),
        (DEEP, "projects/p/zones/z/instances/i", None),
        (DEEP, "//redis.example.com/projects/p/locations/l", None),
        (DEEP, "projects/-/locations/l", None),
        (DEEP, "projects/../locations/l", None),
        (DEEP, "", None),
        (SHELVES, "shelves/1/books/2", "shelves/1"),
        (SHELVES, "books/2/shelves/1", None),
        (FIXED, "v1/all/things", "v1/all"),
        (FIXED, "v1/some", None),
        (FLAT, "", ""),
        (FLAT, "projects/p", ""),
    ],
)
def test_what_a_name_lies_under(pattern: NamePattern, text: str, parent: str | None) -> None:
    """The parent of operations on a resource is the beginning of its name that fits the pattern, or none (SRV-3)."""
    assert pattern.parent_of(text) == parent


@given(patterns, st.lists(segments, max_size=4), st.booleans())
def test_operations_of_a_parent_can_be_named(pattern: NamePattern, parts: list[str], fitting: bool) -> None:
    """Every parent that passes gives names that pass, and lists that pass (SRV-3, SRV-1)."""
    parent = "/".join(parts)
    if fitting:
        assume(len(parts) >= 2)
        parent = re.sub(r"\{(\w+)\}", lambda found: parts[len(found[1]) % 2], pattern.parent_template)
    try:
        assert pattern.check_parent(parent) == parent
    except Refusal:
        return
    name = pattern.new_name(parent)
    assert pattern.check_name(name) == name
    assert pattern.parent_of(name) == parent
    assert pattern.listed(parent) == (parent, None)


def test_a_parent_too_long_for_its_operations() -> None:
    """A parent is accepted exactly as long as the names below it are (SRV-3)."""
    lengths = [length for length in range(900, 1030) if SHELVES.parent_of("shelves/" + "x" * length)]
    longest = "shelves/" + "x" * lengths[-1]
    assert len(SHELVES.new_name(longest)) == 1024
    assert lengths == list(range(900, lengths[-1] + 1))
    with pytest.raises(Refusal):
        SHELVES.check_parent(longest + "x")


def test_where_there_are_no_parents() -> None:
    """With a pattern without parents, only the empty one passes (SRV-3)."""
    assert FLAT.check_parent("") == ""
    with pytest.raises(Refusal, match="operations have none here"):
        FLAT.check_parent("shelves/1")


# --- lists


@pytest.mark.parametrize(
    ("pattern", "name", "parent"),
    [
        (FLAT, "", ""),
        (FLAT, "operations", ""),
        (SHELVES, "shelves/1", "shelves/1"),
        (SHELVES, "shelves/1/operations", "shelves/1"),
        (SHELVES, "shelves/operations", "shelves/operations"),
        (SHELVES, "shelves/operations/operations", "shelves/operations"),
        (DEEP, "projects/p/locations/l", "projects/p/locations/l"),
    ],
)
def test_what_is_listed(pattern: NamePattern, name: str, parent: str) -> None:
    """A list takes the parent, with or without the collection (SRV-1, PAGE-1)."""
    assert pattern.listed(name) == (parent, None)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        (FLAT, "shelves/1"),
        (FLAT, "operations/"),
        (SHELVES, ""),
        (SHELVES, "operations"),
        (SHELVES, "shelves"),
        (SHELVES, "shelves/1/"),
        (SHELVES, "shelves/1/books"),
        (SHELVES, "shelves/1/operations/2"),
        (SHELVES, "shelves/.."),
        (DEEP, "projects/p"),
        (DEEP, "-/-/-/-"),
    ],
)
def test_what_cannot_be_listed(pattern: NamePattern, name: str) -> None:
    """Anything else is INVALID_ARGUMENT (SRV-1, PAGE-1)."""
    with pytest.raises(Refusal) as caught:
        pattern.listed(name)
    assert code_of(caught.value) is Code.INVALID_ARGUMENT


def test_lists_over_many_parents() -> None:
    """A hyphen for a variable lists all that fit, and what fits only otherwise is not among them (AIP-159, SRV-1)."""
    parent, expression = DEEP.listed("projects/p.x/locations/-/operations")
    assert parent is None
    assert expression is not None
    assert expression.fullmatch("projects/p.x/locations/l")
    assert not expression.fullmatch("projects/pyx/locations/l")
    assert not expression.fullmatch("projects/p.x/locations/l/m")
    assert not expression.fullmatch("projects/p.x/locations/")


def test_absence_has_one_wording() -> None:
    """What is not there is NOT_FOUND by its name, in ASCII and shortened (SRV-1, AUTH-3)."""
    status = absent("shelves/1/operations/ü" + "x" * 500).status
    assert status.code is Code.NOT_FOUND
    assert "shelves/1/operations/" in status.message
    assert len(status.message) < 300
    assert not status.details
