# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""A script under way: which step is next, and what the operation looks like meanwhile.

Laws of this file:

1. Only RPCs move a script on. Time alone never does: it only says when a step can be reached.
2. The last step never ends.
3. It knows nothing of threads; whoever owns a script holds a lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, final

from google.protobuf import any_pb2

from .._pb import operations_pb2
from ..method import LroMethod
from ._steps import Failure, Gate, Pause, Snapshot, Step, cancelled

__all__ = ["Plan", "Script", "check_steps", "gates", "remaining"]


def check_steps(steps: Iterable[object]) -> tuple[Step, ...]:
    """The steps as a tuple.

    Raises:
        TypeError: One of them is no step.
    """
    checked: list[Step] = []
    for step in steps:
        if not isinstance(step, Step):
            raise TypeError(f"a script is made of steps such as pending() and succeeded(…); got {step!r}")
        checked.append(step)
    return tuple(checked)


def gates(steps: Iterable[Step]) -> Iterable[Gate]:
    """The gates the steps wait for."""
    for step in steps:
        if step.pause is not None and isinstance(step.pause.until, Gate):
            yield step.pause.until


def remaining(pause: Pause | None, since: float, now: float) -> float | None:
    """Seconds a pause still lasts, 0 when it is over; ``None`` for as long as a gate is closed."""
    if pause is None:
        return 0.0
    if isinstance(pause.until, Gate):
        return 0.0 if pause.until.is_open else None
    return max(0.0, since + pause.until - now)


@final
class Cursor:
    """A place in a sequence of steps."""

    def __init__(self, steps: tuple[Step, ...]) -> None:
        if not steps:
            raise ValueError("a script has one step or more")
        self.steps = steps
        self._index = 0
        self._used = 0
        self._reached: float | None = None  # when the step was first asked whether its time has come

    @property
    def head(self) -> Step:
        """The next step to be played."""
        return self.steps[self._index]

    @property
    def rests(self) -> bool:
        """Whether the next step goes on for ever."""
        return self.head.times is None or self._index == len(self.steps) - 1

    @property
    def used_up(self) -> bool:
        """Whether every step was played as often as it says."""
        return self.rests and self.head.times is not None and self._used >= self.head.times

    @property
    def ahead(self) -> tuple[Step, ...]:
        """The steps from the next one on."""
        return self.steps[self._index :]

    def take(self, *, every_time: bool = False) -> Step:
        """Plays the next step: once, or as often as it says."""
        step = self.head
        self._used += 1
        if not self.rests and (every_time or self._used >= (step.times or 0)):
            self._index += 1
            self._used = 0
            self._reached = None
        return step

    def remaining(self, now: float) -> float | None:
        """Seconds until the next step can be reached, counted from the first time somebody asked; see `remaining`."""
        if self._reached is None:
            self._reached = now
        return remaining(self.head.pause, self._reached, now)


@final
class Script:
    """The script of one operation.

    Attributes:
        name: Name of the operation.
        cursor: Where the script is.
    """

    def __init__(self, name: str, cursor: Cursor, on_cancel: tuple[Step, ...] | None) -> None:
        self.name = name
        self.cursor = cursor
        self._on_cancel = on_cancel
        self._turns = 0
        self._last: Step | None = None
        self._shown: Snapshot | None = None

    def take(self, *, every_time: bool = False) -> tuple[Step, int]:
        """Plays the next step; returns it and its turn, a number that grows."""
        step = self._last = self.cursor.take(every_time=every_time)
        self._turns += 1
        if isinstance(step.reply, Snapshot):
            self._shown = step.reply
        return step, self._turns

    @property
    def settled(self) -> bool:
        """Whether polls alone change nothing any more: the last step was shown."""
        head = self.cursor.head
        return self.cursor.rests and head is self._last and isinstance(head.reply, Snapshot)

    @property
    def done(self) -> bool:
        """Whether it was shown as done."""
        return self._shown is not None and self._shown.done

    def state(self) -> bytes:
        """What the operation looks like: as last shown; before that, as it will be shown first."""
        if self._shown is not None:
            return self._shown.named(self.name)
        for step in self.cursor.ahead:
            if isinstance(step.reply, Snapshot):
                return step.reply.named(self.name)
        return operations_pb2.Operation(name=self.name).SerializeToString()

    def newer(self, turn: int) -> bytes | None:
        """What it was shown as after a turn, if it was."""
        return self.state() if self._turns > turn else None

    def cancel(self) -> tuple[Step, ...]:
        """Continues with the steps for that; of an operation that is done, nothing (operations.proto). Returns them."""
        if self._on_cancel == () or self.done:
            return ()
        steps = self._on_cancel if self._on_cancel is not None else (cancelled("cancelled", metadata=self._metadata()),)
        self.cursor = Cursor(steps)
        return steps

    def _metadata(self) -> any_pb2.Any | None:
        try:
            operation = operations_pb2.Operation.FromString(self.state())
        except Exception:  # noqa: BLE001 (a script may show bytes that are no operation)
            return None
        return operation.metadata if operation.HasField("metadata") else None


@final
@dataclass(slots=True)
class Plan:
    """What becomes of calls of a method that starts operations.

    Attributes:
        method: The method.
        steps: The script.
        by_request: What makes one from a request instead.
        name: Name of the operation; ``None`` for a generated one.
        parent: Where generated names go.
        on_cancel: As in `Script`.
        cursor: Where the script is while starting fails.
    """

    method: LroMethod[Any, Any, Any]
    steps: tuple[Step, ...]
    by_request: Callable[[Any], Iterable[Step]] | None
    name: str | None
    parent: str
    on_cancel: tuple[Step, ...] | None
    cursor: Cursor | None = None

    def play(self, request: Any) -> Cursor:
        """The script for a call: begun anew, unless the calls before this one failed."""
        if self.cursor is None:
            self.cursor = Cursor(self.steps if self.by_request is None else check_steps(self.by_request(request)))
        return self.cursor

    def spent(self, step: Step) -> bool:
        """Whether the plan has done its part, after a step was taken: an operation was started, or it only fails."""
        cursor = self.cursor
        if isinstance(step.reply, Failure) and cursor is not None and not cursor.used_up:
            return False
        self.cursor = None
        return True
