# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What a filter looks at, and the part of it that a store may decide."""

from __future__ import annotations

import enum
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol, final

__all__ = [
    "ANYTHING",
    "UNKNOWN",
    "Condition",
    "ConditionField",
    "ConditionOperator",
    "Filterable",
    "Pushdown",
    "comparison",
]


class Filterable(Protocol):
    """A stored operation. Times are microseconds since 1970."""

    @property
    def name(self) -> str:
        """Its full name."""
        ...

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        ...

    @property
    def code(self) -> int | None:
        """The code of its error; ``None`` where it has none."""
        ...

    @property
    def metadata(self) -> bytes | None:
        """A serialized ``google.protobuf.Any``."""
        ...

    @property
    def result(self) -> bytes | None:
        """Serialized: the response's ``google.protobuf.Any`` where `code` is ``None``, else a ``google.rpc.Status``."""
        ...

    @property
    def create_time(self) -> int:
        """When it was created."""
        ...

    @property
    def start_time(self) -> int | None:
        """When it was first worked on; ``None`` before."""
        ...

    @property
    def update_time(self) -> int:
        """When anything a caller sees last changed."""
        ...

    @property
    def end_time(self) -> int | None:
        """When it ended; ``None`` before."""
        ...


@final
class ConditionField(enum.Enum):
    """The fields of conditions; values are the names of a `Filterable`'s attributes."""

    DONE = "done"
    NAME = "name"
    CODE = "code"
    CREATE_TIME = "create_time"
    UPDATE_TIME = "update_time"
    END_TIME = "end_time"


@final
class ConditionOperator(enum.Enum):
    """The operators of conditions, as SQL writes them."""

    EQ = "="
    NE = "<>"
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="


_COMPARE: Final[dict[ConditionOperator, Callable[[Any, Any], bool]]] = {
    ConditionOperator.EQ: operator.eq,
    ConditionOperator.NE: operator.ne,
    ConditionOperator.LT: operator.lt,
    ConditionOperator.LE: operator.le,
    ConditionOperator.GT: operator.gt,
    ConditionOperator.GE: operator.ge,
}


@final
@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison that a store may make itself: ``field operator value``, with the value as a bound parameter.

    An absent field (`code` or `end_time` of ``None``) fulfils no condition, ``<>`` included: that is what comparing with NULL
    in SQL's WHERE comes to. Where the filter means something else by it (``error.code != 5`` is true without an error), the
    comparison is not among the conditions. Names are compared by code point, which is the order of their UTF-8 bytes: SQLite's
    BINARY, and the collation "C" of PostgreSQL.

    Attributes:
        field: What is compared.
        operator: How.
        value: With what: a bool for DONE, which is only compared by EQ; text without NUL for NAME; a 32-bit integer for CODE;
            64-bit microseconds since 1970 for the times.
    """

    field: ConditionField
    operator: ConditionOperator
    value: bool | int | str

    def holds(self, record: Filterable) -> bool:
        """Whether a record fulfils it."""
        return self.test()(record)

    def test(self) -> Callable[[Filterable], bool]:
        """The same, to be asked of many records."""
        return comparison(self.field.value, self.operator, self.value)


def comparison(attribute: str, operator_: ConditionOperator, value: object) -> Callable[[Filterable], bool]:
    """Whether an attribute of a record is there and compares so."""
    read, compare = operator.attrgetter(attribute), _COMPARE[operator_]

    def holds(record: Filterable) -> bool:
        held = read(record)
        return held is not None and compare(held, value)

    return holds


class Pushdown(NamedTuple):
    """Conditions that follow from a part of a filter.

    Attributes:
        conditions: All of them hold wherever that part does.
        exact: Whether that part holds wherever all of them do.
    """

    conditions: tuple[Condition, ...]
    exact: bool


ANYTHING: Final = Pushdown((), exact=True)
"""Follows from what is always true, and is as good as it."""

UNKNOWN: Final = Pushdown((), exact=False)
"""Nothing follows."""
