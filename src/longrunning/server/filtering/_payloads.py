# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Comparisons below ``metadata`` and ``response``, whose types are known only when a payload is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, final

from ..._any import MessageType
from ._error import FilterError, meant, shown
from ._paths import TYPE, Enter, Path, UnknownFieldError, message_test, no_fields, set_at_all, type_test
from ._schema import Payload, Schema
from ._syntax import Comparator, Segment
from ._values import Kind, KindError, Question, Test, misused

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor

__all__ = ["PayloadTest", "entering", "payload_test"]

PayloadTest: TypeAlias = Callable[[Payload | None], bool]


def payload_test(
    head: Segment, path: Path, ask: Question, schema: Schema, declared: tuple[MessageType[Any], ...] | None
) -> PayloadTest:
    """The test of a payload.

    Args:
        head: ``metadata`` or ``response``.
        path: What follows it.
        ask: What to ask of the place it leads to.
        schema: Finds types.
        declared: The types payloads are declared to have; ``None`` where that is not known.

    Raises:
        FilterError: None of the declared types has such a field, or they agree on what it is and it cannot be compared so.
    """
    if not path:
        if ask.comparator is not Comparator.HAS:
            raise misused(head.name, Kind.MESSAGE, ask)
        if ask.presence:
            return lambda payload: payload is not None
        path, ask = (Segment(name=ask.literal.text, position=ask.literal.position),), set_at_all(ask)
    if path[0].name == TYPE:
        of_url = _type_test(path, ask, schema)
        return lambda payload: payload is not None and of_url(payload.type_url)
    tests = _Tests(path, ask, entering(schema))
    if declared is not None:
        _demand_one(head, tests, declared)
    return tests.fits


def entering(schema: Schema, *, levels: int = 1) -> Enter:
    """Makes tests of what is in an ``Any`` inside a message.

    Args:
        schema: Finds types.
        levels: How many of them, one in the other, are entered.
    """

    def enter(path: Path, ask: Question) -> Test:
        if path[0].name == TYPE:
            of_url = _type_test(path, ask, schema)
            return lambda packed: bool(packed.type_url) and of_url(packed.type_url)
        if not levels:
            return _never
        tests = _Tests(path, ask, entering(schema, levels=levels - 1))
        return lambda packed: tests.fits(Payload(packed.type_url, packed.value, schema))

    return enter


def _type_test(path: Path, ask: Question, schema: Schema) -> Test:
    if len(path) > 1:
        raise no_fields(TYPE, Kind.STRING, path[1])
    return type_test(ask, schema.type_name)


@final
class _Tests:
    """One question, put to messages of whatever type comes."""

    __slots__ = ("_ask", "_by_type", "_enter", "_path")

    def __init__(self, path: Path, ask: Question, enter: Enter) -> None:
        self._path, self._ask, self._enter = path, ask, enter
        # As many as there are types that can be found, however many names come.
        self._by_type: dict[str, Test] = {}

    def prepare(self, descriptor: Descriptor) -> FilterError | None:
        """Makes the test of messages of a type; or tells why there is none, and they do not match."""
        try:
            self._by_type[descriptor.full_name] = message_test(descriptor, self._path, self._ask, self._enter)
        except FilterError as error:
            self._by_type[descriptor.full_name] = _never
            return error
        return None

    def fits(self, payload: Payload | None) -> bool:
        """Whether a payload is there, is known, decodes, and fulfils what is asked."""
        if payload is None or payload.kind is None:
            return False
        if payload.kind.full_name not in self._by_type:
            self.prepare(payload.kind.descriptor)
        try:
            return bool(self._by_type[payload.kind.full_name](payload.message))
        except Exception:  # noqa: BLE001 (DecodeError, and more from the pure Python runtime; what does not decode is absent)
            return False


def _never(_: object) -> bool:
    return False


def _demand_one(head: Segment, tests: _Tests, declared: tuple[MessageType[Any], ...]) -> None:
    """Refuses a comparison that cannot be meant, because no declared type can answer it."""
    # A declared Any or Struct has every field there may be.
    errors = [error for kind in declared if (error := tests.prepare(kind.descriptor)) is not None]
    if len(errors) < len(declared):
        return
    wrong = [error for error in errors if isinstance(error, KindError)]
    if len({error.kind for error in wrong}) == 1:
        raise wrong[0]
    if not wrong:
        raise _unknown(head, [error for error in errors if isinstance(error, UnknownFieldError)])


def _unknown(head: Segment, errors: list[UnknownFieldError]) -> UnknownFieldError:
    """One error for several types: that of the one that knew most of the path, and the names of all those that knew as much."""
    furthest = max(errors, key=lambda error: error.position)
    alike = [error for error in errors if error.position == furthest.position and error.known]
    if len(alike) < 2:
        return furthest
    known = {name for error in alike for name in error.known}
    return UnknownFieldError(
        f"none of the {len(errors)} types of {head.name} has a field {shown(furthest.name)} here; "
        f"{meant(furthest.name, known)}",
        furthest.position,
    )
