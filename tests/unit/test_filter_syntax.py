# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The language of filters: what is read, what is refused and with which words, and what hostile text comes to."""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
import time
from collections.abc import Generator

import pytest

from longrunning.errors import MissingExtraError
from longrunning.server.filtering import FilterError, FilterLimits, parse
from tests.unit.filter_builders import ALL, ANY, Record, matches

RUNNING, DONE = Record(), Record(done=True, end_time=5)

WIDE = FilterLimits(length=10_000_000, depth=50, terms=1_000_000)


@pytest.mark.parametrize(
    ("text", "running", "done"),
    [
        ("", True, True),
        (" \t\r\n\f ", True, True),
        ("done=true", False, True),
        ("  done  =  true  ", False, True),
        ("done\n=\ntrue", False, True),
        ('done = "true"', False, True),
        ("done = 'false'", True, False),
        ('"done" = true', False, True),
        ("done != true", True, False),
        ("done:true", False, True),
        ("NOT done = true", True, False),
        ("-done = true", True, False),
        ("- done = true", True, False),
        ("NOT(done=true)", True, False),
        ("NOT (NOT done = true)", False, True),
        ("-(-done=true)", False, True),
        ("((((done = true))))", False, True),
        ("done = true AND name = operations/1", False, True),
        ("done = true name = operations/1", False, True),
        ('done="true"name="operations/1"', False, True),
        ("done = true OR name = x", False, True),
        ("done = true OR done = false", True, True),
        ("done=true -name=x", False, True),
        ("name=operations/1 done=true OR done=false", True, True),
        # OR binds tighter than AND: (false) AND (true OR true)
        ("name = x AND done = true OR done = false", False, False),
        ("done = true OR done = false AND name = x", False, False),
        ("(name = x AND done = true) OR done = false", True, False),
        # and tighter than side by side
        ("name = x done = true OR done = false", False, False),
        ("name:operations/1 AND -done:true OR -name:x AND NOT name:y", True, True),
        ("name=operations-1 OR name=operations/1", True, True),
    ],
)
def test_reads(text: str, running: bool, done: bool) -> None:
    """Logic, precedence and white space are those of AIP-160 (FILT-2)."""
    assert (matches(text, RUNNING), matches(text, DONE)) == (running, done)


@pytest.mark.parametrize(
    ("literal", "name"),
    [
        ("a", "a"),
        ('"a b"', "a b"),
        ("'a b'", "a b"),
        ('"it\'s"', "it's"),
        ("'say \"x\"'", 'say "x"'),
        (r'"\"\'\\"', "\"'\\"),
        (r'"\n\r\t"', "\n\r\t"),
        (r'"\*"', "*"),
        ('"a\nb"', "a\nb"),
        ('""', ""),
        ("''", ""),
        ("-5", "-5"),
        ("a.b:c/d@e+f%g~h", "a.b:c/d@e+f%g~h"),
        ("true", "true"),
        ("AND.x", "AND.x"),
        ("ANDREW", "ANDREW"),
        ('"AND"', "AND"),
        ("été", "été"),
        ('"\U0001f600\u202e"', "\U0001f600\u202e"),
    ],
)
def test_literal(literal: str, name: str) -> None:
    """Text stands in either quotes, with escapes, or without where its characters allow (FILT-2)."""
    record = Record(name=name)
    assert matches(f"name = {literal}", record)
    assert matches(f"name={literal}", record)
    assert not matches(f"name = {literal}", Record(name=name + "x"))


BAD = [
    ("foo = 1", 1, "there is no field 'foo'; known: create_time, done,"),
    ("dome = true", 1, "did you mean 'done'?"),
    ("method = x", 1, "there is no field 'method'"),
    ("done = true AND naem = x", 17, "did you mean 'name'?"),
    ("Done = true", 1, "did you mean 'done'?"),
    ("done.x = 1", 6, "'done' is a boolean and has no field 'x'"),
    ("name.x.y = 1", 6, "'name' is a string and has no field 'x'"),
    ("create_time.seconds = 1", 13, "'create_time' is a time and has no field"),
    ("error.code.x = 1", 12, "'code' is an integer and has no field"),
    ("error.mesage = x", 7, "'google.rpc.Status' has no field 'mesage'; did you mean 'message'?"),
    ("error = 5", 7, "'error' is a message: '=' does not apply, : does"),
    ("error:cod", 7, "did you mean"),
    ("metadata != 5", 10, "'metadata' is a message"),
    ("metadata.@type.x = 1", 16, "'@type' is a string and has no field 'x'"),
    ("metadata.@type > x", 16, "'>' does not apply, = != and : do"),
    ("metadata.verbb = x", 10, "none of the 3 types of metadata has a field 'verbb' here; did you mean 'verb'?"),
    ("response.shelf.nam = x", 16, "'example.library.v1.Shelf' has no field 'nam'; did you mean 'name'?"),
    ("done = maybe", 8, "'done' is a boolean: expected true or false, got 'maybe'"),
    ("done = TRUE", 8, "expected true or false"),
    ('done:"*"', 6, "expected true or false"),
    ("done = *", 8, "whether it is set is asked with :*"),
    ("done < true", 6, "'<' does not apply, = != and : does"),
    ("error.code = NOT_FOND", 14, "did you mean 'NOT_FOUND'?"),
    ("error.code = not_found", 14, "expected a number or the name of a code"),
    ("error.code = 5.5", 14, "expected a number or the name of a code"),
    ("error.code = 2147483648", 14, "a code is a 32-bit number"),
    ("error.code > -2147483649", 14, "a code is a 32-bit number"),
    ("create_time > yesterday", 15, "'create_time' is a time: expected an RFC 3339 time such as"),
    ("create_time > 2024-01-31", 15, "expected an RFC 3339 time"),
    ("updateTime > 20s", 14, "'updateTime' is a time"),
    ("metadata.percent = abc", 20, "'percent' is an integer: expected a number, got 'abc'"),
    ("metadata.createTime > 5", 23, "'createTime' is a time"),
    ("response.tier = BASICC", 17, "'tier' is an enum, and has no value 'BASICC'; did you mean 'BASIC'?"),
    ("response.tier > 1", 15, "'tier' is an enum: '>' does not apply"),
    ("response.labels = a", 17, "'labels' is a map: '=' does not apply, : does"),
    ("response.shelf = x", 16, "'shelf' is a message: '=' does not apply, : does"),
    ("response.shelf:nam", 16, "did you mean 'name'?"),
    ("error.details = x", 15, "'details' is a repeated field: '=' does not apply, : does"),
    ("error.details.reason = x", 22, "'details' is a repeated field"),
    # global search
    ("Victor Hugo", 1, "'Victor' is compared with nothing: global text search is not supported"),
    ("Victor (done = true)", 1, "'Victor' is compared with nothing"),
    ("42", 1, "global text search is not supported"),
    ('done = true "free text"', 13, "'free text' is compared with nothing: global text search"),
    ("-file", 2, "global text search"),
    ("a.b.c", 1, "'a.b.c' is compared with nothing"),
    ("(done)", 2, "global text search"),
    ("done = true and name = x", 13, "the operator is written AND"),
    ("not done = true", 1, "the operator is written NOT"),
    # functions and lists of values
    ("f(x)", 1, "functions are not supported: 'f' is called here"),
    ("a.regex('x')", 3, "functions are not supported: 'regex' is called here"),
    ("name = (a OR b)", 8, "several values are several comparisons, joined by OR"),
    # syntax
    ("AND", 1, "expected a field, a '-' or a '(', got the operator AND"),
    ("done = true AND AND name = x", 17, "got the operator AND"),
    ("done = true AND", 16, "expected a field, NOT, a '-' or a '(', got the end of the filter"),
    ("done = true OR", 15, "got the end of the filter"),
    ("NOT", 4, "got the end of the filter"),
    ("NOT NOT done = true", 5, "got the operator NOT"),
    ("- -done = true", 3, "expected"),
    ("done =", 7, "expected a value (in quotes, if"),
    ("done = AND", 8, "expected a value (in quotes, if it holds other characters"),
    ("done = true)", 12, "got a ')' that closes nothing"),
    (")", 1, "got a ')' that closes nothing"),
    ("()", 2, "got ')'"),
    ("(done = true", 13, "a closing parenthesis, got the end of the filter"),
    ("(done = )", 9, "expected a value"),
    ('name = "x', 8, 'got a " that is never closed'),
    ("name = 'x", 8, "got a ' that is never closed"),
    ('name = "x\\"', 8, "never closed"),
    ('"name = x', 1, "never closed"),
    ("done == true", 7, "got a second '='; equality is a single one"),
    ("done = = true", 8, "expected a value"),
    ("done =! true", 7, "expected a value"),
    ("done ! true", 6, "expected a comparison: = != < <= > >= : or a '.' and a field, got '!'"),
    ("done = true && name = x", 13, "got '&'; operators are AND and OR"),
    ("done = true || name = x", 13, "got '|'; operators are AND and OR"),
    ("done = true, name = x", 12, "expected AND, OR, another comparison or the end, got ','"),
    ("done = true;", 12, "got ';'"),
    ("metadata..verb = x", 10, "expected the name of a field, got '.'"),
    ("metadata. = x", 11, "expected the name of a field, got '='"),
    (".done = true", 1, "got '.'"),
    ("metadata[0] = x", 9, "got '['"),
    ("*x = 1", 1, "got '*'"),
    (r'name = "a\q"', 10, r"unknown escape '\\q'; there are"),
    (r'name = "\u0041"', 9, "unknown escape"),
    ('name = "x".y', 11, "got '.'"),
    # characters
    ("\xa0", 1, "expected a field"),
    (" \x0b", 2, "expected a field"),
    ("\xa0done = true", 1, r"got '\xa0'"),
    ("done\u200b= true", 5, r"got '\u200b'"),
    ("name = a\x00", 9, "a filter holds no NUL character"),
    ('name = "\ud800"', 9, "a lone surrogate is no character"),
    ("\udfff", 1, "a lone surrogate"),
    ("done = true \x1b[31m", 13, r"got '\x1b'"),
    ("﷽", 1, "expected a field"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "position", "says"), BAD)
def test_refuses(text: str, position: int, says: str) -> None:
    """What is not understood is refused, with the place and what was expected there (FILT-2)."""
    with pytest.raises(FilterError) as caught:
        parse(text, ALL)
    assert caught.value.position == position
    assert says in caught.value.message
    assert str(caught.value) == f"position {position}: {caught.value.message}"


def test_message_is_short_and_printable() -> None:
    """An error quotes no more than a few characters of the filter, and those escaped (FILT-2)."""
    for text in ("x" * 2_000, "done = " + "\\n" * 5, "done = '" + "\x1b" * 1_900 + "'", "done = true " + "é" * 1_900):
        with pytest.raises(FilterError) as caught:
            parse(text, ALL)
        assert len(str(caught.value)) < 400
        assert str(caught.value).isprintable()


def test_error_travels() -> None:
    """An error passes context managers and pickle whole (FILT-2)."""

    @contextlib.contextmanager
    def through() -> Generator[None]:
        yield

    with pytest.raises(FilterError) as caught, through():
        parse("done = 5", ALL)
    for text in ("done = 5", "foo = 1", "metadata.foo = 1", "("):
        with pytest.raises(FilterError) as caught:
            parse(text, ALL)
        again = pickle.loads(pickle.dumps(caught.value))
        assert (str(again), again.position) == (str(caught.value), caught.value.position)


# -- limits and hostile text ------------------------------------------------------------------------------------


def test_length() -> None:
    """A filter may have as many characters as the limit says, and not one more (FILT-2)."""
    text = 'name = "' + "x" * 91 + '"'
    assert not matches(text, RUNNING, length=100)
    with pytest.raises(FilterError, match="at most 99 characters; this one has 100") as caught:
        parse(text, ALL, limits=FilterLimits(length=99))
    assert caught.value.position == 100
    with pytest.raises(FilterError, match="at most 2000 characters"):
        parse(" " * 2_001, ALL)


def test_terms() -> None:
    """A filter may have as many comparisons as the limit says (FILT-2)."""
    assert matches(" ".join(["done=false"] * 3), RUNNING, terms=3)
    with pytest.raises(FilterError, match="at most 3 comparisons") as caught:
        parse(" ".join(["done=false"] * 4), ALL, limits=FilterLimits(terms=3))
    assert caught.value.position == 38


def test_depth() -> None:
    """Parentheses nest, and paths are long, as the limit says (FILT-2)."""
    assert matches("(((done=false)))", RUNNING, depth=3)
    with pytest.raises(FilterError, match="at most 3 levels") as caught:
        parse("((((done=false))))", ALL, limits=FilterLimits(depth=3))
    assert caught.value.position == 4
    assert not matches("metadata.a.b = 1", RUNNING, ANY, depth=3)
    with pytest.raises(FilterError, match="a path has at most 3 names") as caught:
        parse("metadata.a.b.c = 1", ANY, limits=FilterLimits(depth=3))
    assert caught.value.position == 14


@pytest.mark.parametrize("limits", [{"length": 0}, {"depth": 0}, {"terms": 0}, {"depth": 51}])
def test_limits_are_checked(limits: dict[str, int]) -> None:
    """Limits that allow nothing, or deeper nesting than the stack bears, cannot be made (FILT-2)."""
    with pytest.raises(ValueError, match=next(iter(limits))):
        FilterLimits(**limits)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 100_000,
        ")" * 100_000,
        "(" * 100_000 + "done=true" + ")" * 100_000,
        "NOT " * 5_000,
        "NOT " * 5_000 + "done=true",
        "-" * 100_000 + "done=true",
        "NOT (" * 50_000 + "done=true" + ")" * 50_000,
        "AND " * 10_000,
        "done=true AND " * 10_000,
        "a." * 100_000 + "b = 1",
        "metadata" + ".a" * 100_000 + " = 1",
        '"' + "a" * 1_000_000,
        "'" + "\\" * 999_999,
        '"' * 99_999,
        "\\" * 100_000,
        "done=" * 10_000,
        "=" * 100_000,
        "x " * 100_000,
        "@" * 100_000,
        "name = " + "9" * 100_000 + " (",
        "error.code = " + "9" * 100_000,
        "error.code = 1e" + "9" * 100_000,
        "create_time > " + "2024-01-01T00:00:00." + "0" * 100_000 + "Z",
        "name = " + "*" * 100_000 + " AND (",
        "\ud800" * 100_000,
        "\x00" * 100_000,
        "\u202e\U000e0001" * 10_000,
        "done=true OR (" * 51,
    ],
    ids=lambda text: repr(text[:12]),
)
def test_hostile(text: str) -> None:
    """Hostile text is refused like any other, at any length, and never ends in a RecursionError (FILT-2)."""
    for limits in (FilterLimits(), WIDE):
        with pytest.raises(FilterError):
            parse(text, ANY, limits=limits)


def test_deepest() -> None:
    """The deepest filter the limits allow can be read and asked (FILT-2)."""
    text = "done=false"
    for _ in range(50):
        text = f"name=operations/1 AND NOT ({text} AND name:* OR create_time:*)"
    made = parse(text, ALL, limits=WIDE)
    assert made.matches(RUNNING) in {True, False}


def test_many() -> None:
    """Thousands of comparisons are read and asked, if the limits allow them (FILT-2)."""
    assert matches(" AND ".join(["done=false"] * 10_000), RUNNING, length=WIDE.length, terms=WIDE.terms)
    assert matches(" ".join(["done=false"] * 10_000), RUNNING, length=WIDE.length, terms=WIDE.terms)
    assert matches(" OR ".join([*["done=true"] * 10_000, "name:*"]), RUNNING, length=WIDE.length, terms=WIDE.terms)


def _seconds(text: str) -> float:
    best = 1e9
    for _ in range(3):
        start = time.process_time()
        with contextlib.suppress(FilterError):
            parse(text, ANY, limits=WIDE)
        best = min(best, time.process_time() - start)
    return best


@pytest.mark.parametrize("piece", ["done=true AND ", "name='x\\'*' OR ", "x ", 'name="a" ', "'", "NOT (done=true) "])
def test_linear(piece: str) -> None:
    """Eight times the text takes about eight times as long, not sixty-four (FILT-2)."""
    _seconds("done=true")
    once, more = (_seconds(piece * count + "done=true") for count in (400, 3_200))
    assert more < 30 * max(once, 1e-3)


def test_wildcards_are_linear() -> None:
    """A pattern of many wildcards is matched without trying out where they fall (FILT-2)."""
    made = parse('name = "' + "*a" * 900 + '*b"', ALL)
    assert not made.matches(Record(name="a" * 100_000))
    assert made.matches(Record(name="a" * 100_000 + "b"))


def test_parser_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the parser library, an error names the extra that brings it; an empty filter does without (FILT-2)."""
    monkeypatch.setitem(sys.modules, "lark", None)
    monkeypatch.delitem(sys.modules, "longrunning.server.filtering._grammar", raising=False)
    assert parse("", ALL).matches(RUNNING)
    with pytest.raises(MissingExtraError, match=r"longrunning\[server\]"):
        parse("done=true", ALL)


def test_parser_is_loaded_when_needed() -> None:
    """The parser library is imported when the first filter is read, and not for an empty one (FILT-2)."""
    code = (
        "import sys\nfrom longrunning.server import filtering\nfrom longrunning.registry import TypeRegistry\n"
        "schema = filtering.Schema(responses=[], metadata=[], registry=TypeRegistry())\n"
        "filtering.parse('  ', schema)\nassert 'lark' not in sys.modules\n"
        "filtering.parse('done=true', schema)\nassert 'lark' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
