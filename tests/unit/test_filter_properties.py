# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Filters nobody thought of: they are read or refused, and mean what a naive reading of their tree means."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import re
import sqlite3
from dataclasses import dataclass
from typing import Any, TypeAlias

from google.protobuf import json_format, timestamp_pb2
from google.rpc import error_details_pb2
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from example.library.v1 import library_pb2
from longrunning.server.filtering import (
    Condition,
    ConditionField,
    ConditionOperator,
    FilterError,
    FilterLimits,
    parse,
)
from longrunning.status import Code
from tests.unit.builders import InstancePb, MetadataPb, any_of, raw, status
from tests.unit.filter_builders import ALL, ANY, Record, demand_sound

# -- records: what is stored, and the same as plain JSON, for the reference ------------------------------------

WORDS = st.sampled_from(["", "a", "ab", "b", "a*b", "A b", "create", "é\"'\\"])
INTS = st.integers(-2, 3)
SECONDS = st.integers(0, 3)


def _stamp(seconds: int) -> timestamp_pb2.Timestamp:
    return timestamp_pb2.Timestamp(seconds=seconds)


STAMPS = SECONDS.map(_stamp)
METADATA: SearchStrategy[Any] = st.one_of(
    st.builds(library_pb2.ImportBooksMetadata, total=INTS, done=INTS, percent=INTS),
    st.builds(library_pb2.OperationMetadata, target=WORDS, verb=WORDS, create_time=STAMPS),
    st.builds(MetadataPb, verb=WORDS, cancel_requested=st.booleans()),
)
SHELVES = st.builds(library_pb2.Shelf, name=WORDS, book_count=INTS)
VIOLATIONS = st.builds(error_details_pb2.BadRequest.FieldViolation, field=WORDS, description=WORDS)
RESPONSES: SearchStrategy[Any] = st.one_of(
    st.builds(library_pb2.ImportBooksResponse, imported=INTS),
    st.builds(library_pb2.ImportBooksResponse, imported=INTS, shelf=SHELVES),
    st.builds(
        InstancePb,
        name=WORDS,
        port=INTS,
        tier=st.sampled_from([0, 1, 3]),
        auth_enabled=st.booleans(),
        labels=st.dictionaries(st.sampled_from(["a", "b", "é\"'\\"]), WORDS, max_size=2),
        secondary_ip_range=WORDS,
    ),
    st.builds(error_details_pb2.BadRequest, field_violations=st.lists(VIOLATIONS, max_size=2)),
)


def _document(message: Any) -> Any:
    return json_format.MessageToDict(
        message, always_print_fields_with_no_presence=True, preserving_proto_field_name=True
    )


@dataclass(frozen=True)
class Stored:
    """A record, and what the reference sees of it."""

    record: Record
    seen: dict[str, Any]


@st.composite
def stored(draw: DrawFn) -> Stored:
    name, done = draw(WORDS), draw(st.booleans())
    times: dict[str, Any] = {key: draw(SECONDS) for key in ("create_time", "update_time")}
    times |= {key: draw(st.none() | SECONDS) for key in ("start_time", "end_time")}
    seen: dict[str, Any] = {"name": name, "done": done, **{k: v for k, v in times.items() if v is not None}}
    metadata = draw(st.none() | METADATA)
    result: bytes | None = None
    code: int | None = None
    if metadata is not None:
        seen["metadata"] = _document(metadata) | {"@type": metadata.DESCRIPTOR.full_name}
    match draw(st.sampled_from(["nothing", "response", "error", "unknown", "corrupt"])):
        case "response":
            response = draw(RESPONSES)
            seen["response"] = _document(response) | {"@type": response.DESCRIPTOR.full_name}
            result = any_of(response).SerializeToString()
        case "error":
            code, text = draw(st.sampled_from([0, 1, 5])), draw(WORDS)
            seen["error"] = {"code": code, "message": text}
            result = status(code, text).SerializeToString()
        case "unknown":
            seen["response"] = {"@type": "no.Such"}
            result = raw("type.googleapis.com/no.Such", b"\x0a\x01a").SerializeToString()
        case "corrupt":
            result = b"\xff"
        case _:
            pass
    packed = None if metadata is None else any_of(metadata).SerializeToString()
    micros: dict[str, Any] = {key: None if value is None else value * 10**6 for key, value in times.items()}
    return Stored(Record(name=name, done=done, code=code, metadata=packed, result=result, **micros), seen)


# -- filters: trees, the text they are written as, and a reference that reads the tree ---------------------------


@dataclass(frozen=True)
class Leaf:
    path: tuple[str, ...]
    comparator: str
    literal: str
    kind: str


@dataclass(frozen=True)
class Branch:
    operator: str  # AND, OR, NOT
    operands: tuple[Any, ...]


Tree: TypeAlias = Leaf | Branch

ORDERED = ["=", "!=", "<", "<=", ">", ">=", ":"]
EQUAL = ["=", "!=", ":"]
PATHS: dict[str, list[str]] = {
    "string": [
        "name", "error.message", "metadata.target", "metadata.verb", "metadata.status_detail", "response.name",
        "response.shelf.name", "response.secondary_ip_range", "response.labels.a", 'response.labels.é"\'\\',
    ],
    "integer": [
        "metadata.total", "metadata.done", "metadata.percent", "response.imported", "response.port",
        "response.shelf.book_count",
    ],
    "code": ["error.code"],
    "boolean": ["done", "metadata.cancel_requested", "response.auth_enabled"],
    "enum": ["response.tier"],
    "time": ["create_time", "update_time", "start_time", "end_time", "metadata.create_time", "metadata.end_time"],
    "type": ["metadata.@type", "response.@type"],
    "elements": ["response.field_violations.field", "response.field_violations.description"],
    "map": ["response.labels"],
    "message": ["metadata", "response", "error", "response.shelf", "response.maintenance_policy"],
}  # fmt: skip
LITERALS: dict[str, SearchStrategy[str]] = {
    "string": WORDS.map(lambda word: word.replace("*", "\\*")) | st.sampled_from(["a*", "*b", "*", "a*b", "*a*"]),
    "integer": INTS.map(str) | st.sampled_from(["0.5", "-1.0", "2e0"]),
    "code": st.sampled_from(["0", "1", "5", "7", "-1", "CANCELLED", "NOT_FOUND"]),
    "boolean": st.sampled_from(["true", "false"]),
    "enum": st.sampled_from(["BASIC", "STANDARD_HA", "TIER_UNSPECIFIED", "1"]),
    "time": SECONDS.map(lambda second: f"1970-01-01T00:00:0{second}Z")
    | st.sampled_from(["1970-01-01T00:00:01.5Z", "1970-01-01T01:00:02.0000001+01:00", "1970-01-01T00:00:02.000001Z"]),
    "type": st.sampled_from(
        ["no.Such", "*Metadata", "example.library.v1.OperationMetadata", "google.cloud.redis.v1.Instance"]
    ),
    "elements": st.sampled_from(["a", "b", "a*"]),
    "map": st.sampled_from(["a", "b", "*b*"]),
    "message": st.nothing(),
}
COMPARATORS = {"boolean": EQUAL, "enum": EQUAL, "type": EQUAL, "elements": [":"], "map": [":"], "message": [":"]}


@st.composite
def leaves(draw: DrawFn) -> Leaf:
    kind = draw(st.sampled_from(sorted(PATHS)))
    path = tuple(draw(st.sampled_from(PATHS[kind])).split("."))
    if kind == "message" or draw(st.integers(0, 5)) == 0:
        return Leaf(path, ":", "*", "presence of " + kind)
    comparator = draw(st.sampled_from(COMPARATORS.get(kind, ORDERED)))
    return Leaf(path, comparator, draw(LITERALS[kind]), kind)


def _branches(inner: SearchStrategy[Tree]) -> SearchStrategy[Tree]:
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Branch, st.just("AND"), several),
        st.builds(Branch, st.just("OR"), several),
        st.builds(Branch, st.just("NOT"), st.tuples(inner)),
    )


TREES: SearchStrategy[Tree] = st.recursive(leaves(), _branches, max_leaves=8)

_PLAIN = re.compile(r"(?!(?:AND|OR|NOT)$)[\w.:/@*+%~-]+")


@st.composite
def written(draw: DrawFn, tree: Tree) -> str:
    """One of the many ways to write a tree."""
    space = st.sampled_from(["", " ", "  ", "\n"])
    gap = st.sampled_from([" ", "  ", "\t\n"])

    def text(node: Tree, within: str) -> str:
        if isinstance(node, Leaf):
            made = restriction(node)
        elif node.operator == "NOT":
            operand = text(node.operands[0], "NOT")
            made = draw(st.sampled_from(["NOT" + draw(gap), "-"])) + operand
        else:
            word = node.operator if node.operator == "OR" or draw(st.booleans()) else ""
            joint = f"{draw(gap)}{word}{draw(gap)}" if word else draw(gap)
            made = joint.join(text(operand, node.operator) for operand in node.operands)
        inside = node.operator if isinstance(node, Branch) else "leaf"
        # OR binds tighter than AND, and NOT takes a single comparison or parentheses
        loose = {"OR": {"AND"}, "NOT": {"AND", "OR", "NOT"}}.get(within, set[str]())
        if inside in loose or draw(st.integers(0, 3)) == 0:
            made = f"({draw(space)}{made}{draw(space)})"
        return made

    def restriction(leaf: Leaf) -> str:
        path = ".".join(segment(name) for name in leaf.path)
        return f"{path}{draw(space)}{leaf.comparator}{draw(space)}{literal(leaf)}"

    def segment(name: str) -> str:
        camel = re.sub(r"_([a-z])", lambda found: found[1].upper(), name)
        name = draw(st.sampled_from([name, camel]))
        quoted = json.dumps(name, ensure_ascii=False)
        return name if re.fullmatch(r"@?\w+", name) and draw(st.booleans()) else quoted

    def literal(leaf: Leaf) -> str:
        if leaf.kind.startswith("presence"):
            return "*"
        made = leaf.literal
        if _PLAIN.fullmatch(made) and (made != "*" or leaf.comparator != ":") and draw(st.booleans()):
            return made
        quote = draw(st.sampled_from(["'", '"']))
        # a backslash in a literal of ours escapes a star; others are themselves
        escaped = re.sub(r"\\(?!\*)", r"\\\\", made).replace(quote, "\\" + quote)
        return quote + escaped + quote

    return draw(space) + text(tree, "top") + draw(space)


ABSENT = object()


def meaning(tree: Tree, seen: dict[str, Any]) -> bool:
    if isinstance(tree, Branch):
        answers = [meaning(operand, seen) for operand in tree.operands]
        return not answers[0] if tree.operator == "NOT" else (all if tree.operator == "AND" else any)(answers)
    if tree.comparator == "!=":
        return not _compares(tree, "=", seen)
    return _compares(tree, tree.comparator, seen)


def _look_up(seen: dict[str, Any], path: tuple[str, ...]) -> Any:
    found: Any = seen
    for name in path:
        if name not in found:
            return ABSENT
        found = found[name]
    return found


def _compares(leaf: Leaf, comparator: str, seen: dict[str, Any]) -> bool:
    if leaf.kind.endswith("elements"):
        elements = _look_up(seen, leaf.path[:-1])
        values = [element[leaf.path[-1]] for element in elements] if elements is not ABSENT else []
        return any(value != "" if leaf.kind.startswith("presence") else _like(value, leaf.literal) for value in values)
    value = _look_up(seen, leaf.path)
    if value is ABSENT:
        return False
    if leaf.kind.startswith("presence"):
        times = leaf.kind.endswith("time") or leaf.kind.endswith("message")
        entry = leaf.path[:2] == ("response", "labels") and len(leaf.path) == 3
        return times or entry or value not in ("", 0, False, {}, "TIER_UNSPECIFIED")
    if leaf.kind == "map":
        return any(_like(key, leaf.literal) for key in value)
    if leaf.kind in {"string", "type"} and comparator in {"=", ":"}:
        return _like(value, leaf.literal)
    left, right = _typed(leaf, value)
    answers: dict[str, bool] = {
        "=": left == right,
        ":": left == right,
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
    }
    return answers[comparator]


def _typed(leaf: Leaf, value: Any) -> tuple[Any, Any]:
    match leaf.kind:
        case "string":
            return value, leaf.literal.replace("\\*", "*")
        case "integer":
            return value, float(leaf.literal)
        case "code":
            named = leaf.literal in Code.__members__
            return value, Code[leaf.literal].value if named else int(leaf.literal)
        case "boolean":
            return value, leaf.literal == "true"
        case "enum":
            return value, {"1": "BASIC"}.get(leaf.literal, leaf.literal)
        case _:
            return _nanoseconds(value), _nanoseconds(leaf.literal)


def _nanoseconds(time: Any) -> int:
    if isinstance(time, int):
        return time * 10**9
    whole, fraction, zone = re.fullmatch(r"([^.]*?:\d\d:\d\d)(?:\.(\d+))?(Z|\+.*)", time).groups()  # type: ignore[union-attr] # pyright: ignore[reportOptionalMemberAccess]
    return int(dt.datetime.fromisoformat(whole + zone).timestamp()) * 10**9 + int((fraction or "0").ljust(9, "0"))


def _like(value: str, literal: str) -> bool:
    """Text with wildcards, by way of a regular expression."""
    pieces = re.split(r"(\\\*|\*)", literal)
    pattern = "".join(".*" if piece == "*" else re.escape("*" if piece == "\\*" else piece) for piece in pieces)
    return re.fullmatch(pattern, value, re.DOTALL) is not None


# -- properties -------------------------------------------------------------------------------------------------


@settings(max_examples=400)
@given(st.data(), TREES, st.lists(stored(), min_size=1, max_size=6))
def test_meaning(data: st.DataObject, tree: Tree, records: list[Stored]) -> None:
    """However a tree is written, it means what it says, and what is pushed down follows from it (FILT-2)."""
    text = data.draw(written(tree))
    made = parse(text, ALL)
    for one in records:
        answer = made.matches(one.record)
        assert answer == meaning(tree, one.seen), text
        demand_sound(made, one.record, answer=answer)


@settings(max_examples=300)
@given(st.data(), st.lists(leaves(), min_size=1, max_size=4).map(tuple), st.lists(stored(), min_size=4, max_size=8))
def test_own_fields_are_pushed_down_whole(data: st.DataObject, parts: tuple[Leaf, ...], records: list[Stored]) -> None:
    """Of a conjunction over done, name and times nothing is left, where no wildcard and no absence is in it (FILT-2)."""
    own = [
        part
        for part in parts
        if (part.path in {("done",), ("name",), ("create_time",), ("update_time",)} or part.comparator != "!=")
        and part.path[0] not in {"metadata", "response", "start_time"}
        and part.path != ("error", "message")
        and ("*" not in part.literal or part.literal == "*")
    ]
    tree = Branch("AND", (Leaf(("done",), "=", "true", "boolean"), *own))
    made = parse(data.draw(written(tree)), ALL)
    # but for times between two microseconds, at which nothing is
    assert not made.residual or any(part.kind == "time" and ".0000001" in part.literal for part in own)
    for one in records:
        demand_sound(made, one.record, answer=meaning(tree, one.seen))


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4)
MICROS = st.integers(-(2**63), 2**63 - 1)
OF_FIELD: dict[ConditionField, SearchStrategy[Any]] = {
    ConditionField.DONE: st.booleans(),
    ConditionField.NAME: NAMES | st.sampled_from(["\ud7ff", "\ue000", "\uffff", "\U00010000"]),
    ConditionField.CODE: INTS,
    ConditionField.CREATE_TIME: MICROS,
    ConditionField.UPDATE_TIME: INTS,
    ConditionField.END_TIME: INTS,
}


@settings(max_examples=300)
@given(st.data(), st.sampled_from(ConditionField), st.sampled_from(ConditionOperator))
def test_conditions_in_sql(data: st.DataObject, field: ConditionField, operator: ConditionOperator) -> None:
    """A condition holds where SQL says so, of names in any script and of what is absent as well (FILT-2)."""
    absent = field in {ConditionField.CODE, ConditionField.END_TIME} and data.draw(st.booleans())
    held, value = None if absent else data.draw(OF_FIELD[field]), data.draw(OF_FIELD[field])
    fields: dict[str, Any] = {field.value: held}
    with contextlib.closing(sqlite3.connect(":memory:")) as sql:
        (answer,) = sql.execute(
            f"SELECT 1 FROM (SELECT ? AS x) WHERE x {operator.value} ?", (held, value)
        ).fetchone() or (0,)
    assert Condition(field, operator, value).holds(Record(**fields)) == bool(answer)


TOKENS = st.sampled_from(
    [
        "AND", "OR", "NOT", "-", "(", ")", "=", "!=", "<", "<=", ">", ">=", ":", ".", ",", "*", "done", "name", "error", "code",
        "metadata", "response", "@type", "percent", "verb", "labels", "shelf", "create_time", "end_time", "x", "true", "5",
        "-5", "1.5e3", "20s", "2024-01-31T12:00:00Z", '"a b"', "'", '"', "\\", '"\\*', "\x00", "\ud800", "é", "\u200b", " ", "\n",
    ]
)  # fmt: skip
SAMPLES = [Record(), Record(name="x", done=True, code=5, result=status(5).SerializeToString(), end_time=7)]
SMALL = FilterLimits(length=60, depth=3, terms=5)


def _demand_answer(text: str) -> None:
    for types, limits in ((ALL, FilterLimits()), (ANY, SMALL)):
        try:
            made = parse(text, types, limits=limits)
        except FilterError as caught:
            error = caught
        else:
            for record in SAMPLES:
                demand_sound(made, record, answer=made.matches(record))
            continue
        assert 1 <= error.position <= len(text) + 1
        assert str(error).isprintable()


@settings(max_examples=300)
@given(st.text(st.characters(codec=None), max_size=80))
def test_any_text(text: str) -> None:
    """Any text at all is read or refused with a FilterError inside it (FILT-2)."""
    _demand_answer(text)


@settings(max_examples=1000)
@given(st.lists(TOKENS, max_size=16), st.sampled_from(["", " "]))
def test_any_tokens(tokens: list[str], gap: str) -> None:
    """Words of the language in any order are read or refused with a FilterError (FILT-2)."""
    _demand_answer(gap.join(tokens))


@settings(max_examples=300)
@given(st.data(), TREES)
def test_mutations(data: st.DataObject, tree: Tree) -> None:
    """A filter with a piece cut out or put in is read or refused with a FilterError (FILT-2)."""
    text = data.draw(written(tree))
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 5)))
    _demand_answer(text[:start] + data.draw(TOKENS | st.just("")) + text[end:])


@settings(max_examples=300)
@given(TREES, st.binary(max_size=40), st.binary(max_size=40), st.none() | st.integers(0, 16), st.data())
def test_any_bytes(tree: Tree, metadata: bytes, result: bytes, code: int | None, data: st.DataObject) -> None:
    """Whatever bytes a record holds, asking about it raises nothing (FILT-2)."""
    text = data.draw(written(tree))
    for types in (ALL, ANY):
        made = parse(text, types)
        record = Record(metadata=metadata, result=result, code=code)
        demand_sound(made, record, answer=made.matches(record))
