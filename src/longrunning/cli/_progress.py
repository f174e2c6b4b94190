# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""How far an operation is, as far as its metadata says so in one of the ways that services have of saying it.

No AIP names the fields. What is looked for: a field like ``percent``, ``progress_percent`` or ``percent_complete``; a
fraction; a pair like ``total`` and ``done``, ``estimated_work`` and ``completed_work``; in the metadata itself or one
level below. And a text like ``status_detail``.
"""

# JSON is of any type all the way down, and isinstance() on it tells pyright only half of what it wants to know.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar, final

from .._any import UnknownPayload, underlying
from ..operation import Operation

__all__ = ["Progress", "progress_of"]

T = TypeVar("T")
Tree = dict[str, Any]
Words = tuple[str, ...]

_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_INTEGER: Final = re.compile(r"-?[0-9]{1,20}")  # of 64 bits: JSON writes them as text
_PERCENT: Final = frozenset({"percent", "percentage", "pct"})
_RATIO: Final = frozenset({"fraction", "ratio"})
_OF_WHAT: Final = frozenset({"progress", "complete", "completed", "completion", "done", "finished", "overall", "work"})
_DONE: Final = frozenset({"done", "completed", "complete", "processed", "finished", "current"})
_TOTAL: Final = frozenset({"total", "estimated", "expected"})
_NOISE: Final = frozenset({"count", "number", "num", "of"})
_DETAILS: Final[tuple[Words, ...]] = (
    ("status", "detail"), ("status", "details"), ("status", "message"), ("progress", "message"), ("state", "message"),
    ("message",), ("detail",), ("details",), ("current", "step"), ("step",), ("current", "stage"), ("stage",),
    ("phase",), ("status",), ("state",),
)  # fmt: skip
_CANCEL: Final[frozenset[Words]] = frozenset(
    {("cancel", "requested"), ("requested", "cancellation"), ("cancellation", "requested")}
)
_ITEMS: Final = 1000  # of a list whose progress is averaged


@final
@dataclass(frozen=True, slots=True)
class Progress:
    """How far an operation is.

    Attributes:
        fraction: From 0 to 1; ``None`` where the metadata does not say.
        detail: What it is doing, in the service's words; may be empty.
        cancel_requested: Whether somebody asked the service to cancel it.
    """

    fraction: float | None = None
    detail: str = ""
    cancel_requested: bool = False


def progress_of(operation: Operation[Any, Any]) -> Progress:
    """Reads the progress from the metadata of a snapshot; never fails."""
    tree = _tree(operation)
    levels: list[Tree] = [tree, *(value for value in tree.values() if isinstance(value, dict))]
    fraction = _first(map(_fraction, levels))
    if fraction is None:
        fraction = _first(map(_average, tree.values()))
    counted = _first(map(_pair, levels))
    detail = _first(map(_detail, levels)) or ""
    if not detail and counted is not None:
        detail = f"{counted[0]:g} of {counted[1]:g}"
    return Progress(fraction, detail, _is_cancel_requested(tree))


def _first(found: Iterable[T | None]) -> T | None:
    return next((item for item in found if item is not None), None)


def _tree(operation: Operation[Any, Any]) -> Tree:
    """The metadata as JSON, with the zeros that JSON leaves out where the type is known."""
    from google.protobuf import json_format

    tree: Any = {}
    try:
        payload = operation.metadata_payload
        if payload is None:
            return {}
        if not isinstance(payload, UnknownPayload):
            tree = json_format.MessageToDict(underlying(payload), always_print_fields_with_no_presence=True)
        else:
            tree = json.loads(payload.document or "{}")
    except Exception:  # noqa: BLE001 (a payload inside it is of unknown type, or has no JSON: then without the zeros)
        tree = json.loads(operation.to_json()).get("metadata")
    return tree if isinstance(tree, dict) else {}


def _words(key: str) -> Words:
    return tuple(word.lower() for word in _WORD.findall(key))


def _numbers(level: Tree) -> Iterator[tuple[Words, int | float]]:
    for key, value in level.items():
        number = int(value) if isinstance(value, str) and _INTEGER.fullmatch(value) else value
        if not isinstance(number, bool) and isinstance(number, (int, float)) and math.isfinite(number):
            yield _words(key), number


def _fraction(level: Tree) -> float | None:
    pair = _pair(level)
    told = _first(_told(words, number) for words, number in _numbers(level))
    # A zero is what a field says that the service does not use; then what it counts says more.
    return told if told or pair is None else pair[0] / pair[1]


def _told(words: Words, number: float) -> float | None:
    kinds, of_what = set(words), set(words) - _PERCENT - _RATIO
    if not of_what <= _OF_WHAT:
        return None
    if kinds & _PERCENT:
        return _clamp(number / 100)
    if kinds & _RATIO:
        return _clamp(number)
    if words == ("progress",):  # from 0 to 1 for some services, from 0 to 100 for others
        return _clamp(number if type(number) is float and number <= 1 else number / 100)
    return None


def _pair(level: Tree) -> tuple[float, float] | None:
    numbers = list(_numbers(level))
    for words, total in numbers:
        if total <= 0 or not set(words) & _TOTAL:
            continue
        subject = set(words) - _TOTAL - _NOISE
        for other, done in numbers:
            if set(other) & _DONE and set(other) - _DONE - _NOISE == subject and done >= 0:
                return min(done, total), total
    return None


def _average(value: object) -> float | None:
    if not isinstance(value, list) or not 0 < len(value) <= _ITEMS:
        return None
    fractions = [_fraction(item) if isinstance(item, dict) else None for item in value]
    known: list[float] = [fraction for fraction in fractions if fraction is not None]
    return sum(known) / len(known) if len(known) == len(value) else None


def _detail(level: Tree) -> str | None:
    by_words = {_words(key): value for key, value in level.items()}
    for words in _DETAILS:
        value = by_words.get(words)
        if isinstance(value, str) and value.strip() and not value.endswith("_UNSPECIFIED"):
            return value.strip()
    return None


def _is_cancel_requested(level: Tree) -> bool:
    return any(value is True and _words(key) in _CANCEL for key, value in level.items())


def _clamp(fraction: float) -> float:
    return min(1.0, max(0.0, fraction))
