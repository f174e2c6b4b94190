# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Where a server is killed, and in which order."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any, Final

__all__ = ["LEAVE_WORK", "NEED_OPERATIONS", "Plan", "Point", "plans"]


class Point(Enum):
    """A moment in the life of a server at which it may be killed."""

    START_UNWRITTEN = "start: before the write"
    START_WRITTEN = "start: after the write, before the reply"
    START_REPLIED = "start: after the reply"
    MID_WRITE = "somewhere in a write"
    HANDLER_BEGUN = "handler: before its first write"
    HANDLER_SAVED = "handler: after a checkpoint"
    FINISH_UNWRITTEN = "finish: before the write"
    FINISH_WRITTEN = "finish: after the write"
    TAKEN_OVER = "claimed again: before the handler"
    RENEWED = "beside the renewal of a lease"
    CANCEL_WRITTEN = "cancel: after the write, before the reply"
    LATE_WRITTEN = "after late writes under a lost lease"


LEAVE_WORK: Final = frozenset(
    {
        Point.HANDLER_BEGUN,
        Point.HANDLER_SAVED,
        Point.FINISH_UNWRITTEN,
        Point.RENEWED,
        Point.LATE_WRITTEN,
    }
)
"""After a death at one of these there is an operation to be claimed again, unless it is being cancelled."""

SEVERAL: Final = frozenset(
    {
        Point.START_UNWRITTEN,
        Point.START_WRITTEN,
        Point.START_REPLIED,
        Point.MID_WRITE,
        Point.HANDLER_BEGUN,
        Point.HANDLER_SAVED,
        Point.FINISH_UNWRITTEN,
        Point.FINISH_WRITTEN,
    }
)
"""Every life comes by these at least `NEED_OPERATIONS` times."""

NEED_OPERATIONS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a life is to end.

    Attributes:
        number: Which life it is, from 1.
        point: Where; ``None`` for one that ends when it is asked to.
        passes: How often it gets by before.
        cancels: Whether clients may cancel operations.
        seed: Of what else is left to chance.
    """

    number: int
    point: Point | None
    passes: int = 0
    cancels: bool = True
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return {**asdict(self), "point": self.point and self.point.name}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Plan:
        """The same plan in another process."""
        point = fields.pop("point")
        return cls(point=point and Point[point], **fields)


def plans(kills: int, chance: random.Random) -> list[Plan]:
    """So many lives: every point comes up once in as many lives as there are points, in an order left to chance."""
    points: list[Point] = []
    while len(points) < kills:
        points += _in_order_of_chance(chance)
    return [
        Plan(
            number=number,
            point=point,
            passes=chance.randrange(NEED_OPERATIONS) if point in SEVERAL else 0,
            # what is being cancelled is not claimed again
            cancels=point is not Point.LATE_WRITTEN and points[number : number + 1] != [Point.TAKEN_OVER],
            seed=chance.getrandbits(32),
        )
        for number, point in enumerate(points[:kills], 1)
    ]


def _in_order_of_chance(chance: random.Random) -> list[Point]:
    points: list[Point] = [point for point in Point if point is not Point.TAKEN_OVER]
    chance.shuffle(points)
    before = chance.choice([place for place, point in enumerate(points) if point in LEAVE_WORK])
    points.insert(before + 1, Point.TAKEN_OVER)
    return points
