# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The commands that take time: wait and watch. On a terminal they show a board, elsewhere lines."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import AbstractContextManager, aclosing, nullcontext
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

from ..operation import Operation, OperationState
from ..registry import TypeRegistry
from ._asking import remedy
from ._connect import Server, connect
from ._exits import CliError, Exit, Verdict, about, printable, say
from ._options import Link, Pace, Sources
from ._output import Output, console, is_terminal
from ._show import cells, event, plain

if TYPE_CHECKING:
    from ._live import Board

__all__ = ["follow"]

_ENDS: Final = {OperationState.FAILED: Exit.FAILED, OperationState.CANCELLED: Exit.CANCELLED}


class _Outcome(NamedTuple):
    """What became of one operation: its last snapshot, if there is one, and why there is no newer one."""

    last: Operation[Any, Any] | None
    error: CliError | None


async def follow(
    names: list[str], link: Link, sources: Sources, pace: Pace, output: Output, *, each: bool, quiet: bool = False
) -> Exit:
    """Waits for operations, all at once; then shows them in the order they were named in.

    Args:
        names: The operations.
        link: How to reach the server.
        sources: Where types come from.
        pace: How to wait.
        output: Where results go.
        each: Whether each snapshot is a result (watch), or only the last one (wait).
        quiet: Whether to say nothing of progress.
    """
    display = _Display(names, link.endpoint, output, each=each, quiet=quiet)
    async with connect(link, sources, pace, on_failure=display.fail) as server:
        with display.shown():
            outcomes = await asyncio.gather(*(_follow(name, server, display) for name in names))
        verdict = Verdict()
        for last, error in outcomes:
            if last is not None and not (each and output.as_json):
                output.operation(last, server.registry)
            if error is not None:
                verdict.fail(error)
            elif last is not None:
                verdict.add(_ENDS.get(last.state, Exit.OK))
        output.hint(remedy(server))
        return verdict.code


async def _follow(name: str, server: Server, display: _Display) -> _Outcome:
    last: Operation[Any, Any] | None = None
    try:
        with about(name, server.link.endpoint):
            async with aclosing(server.client.attach(name).watch()) as snapshots:
                async for last in snapshots:
                    display.show(name, last, server.registry)
    except CliError as error:
        display.give_up(name)
        return _Outcome(last, error)
    return _Outcome(last, None)


@final
class _Display:
    """What is said of operations while they run."""

    def __init__(self, names: list[str], endpoint: str, output: Output, *, each: bool, quiet: bool) -> None:
        self._names = names
        self._output = output
        self._each = each
        self._quiet = quiet
        self._width = max(cells(printable(name)) for name in names)
        self._since = time.monotonic()
        self._board = None if quiet else self._make_board(endpoint)

    def _make_board(self, endpoint: str) -> Board | None:
        # On the terminal that results are written to as well, so that they do not write into each other's lines. A
        # watch whose results go elsewhere has none: whatever reads them may write to the same terminal.
        terminal = self._output.terminal
        if terminal is None and not self._each and is_terminal(sys.stderr):
            terminal = console(sys.stderr)
        if terminal is None:
            return None
        from ._live import Board

        return Board(terminal, self._names, endpoint)

    def shown(self) -> AbstractContextManager[object]:
        """Shows the board, where there is one."""
        return nullcontext() if self._board is None else self._board

    def show(self, name: str, operation: Operation[Any, Any], registry: TypeRegistry) -> None:
        """A snapshot that is new."""
        if self._board is not None:
            self._board.show(name, operation)
        if self._each and self._output.as_json:
            self._output.operation(operation, registry)
            return
        line = event(operation, time.monotonic() - self._since, self._width)
        if self._each:
            self._output.lines([line])
        elif self._board is None and not self._quiet:
            say(plain(line))

    def give_up(self, name: str) -> None:
        """Nobody waits for it any more."""
        if self._board is not None:
            self._board.give_up(name)

    def fail(self, reason: str) -> None:
        """A request did not reach the server; an empty reason: one did."""
        if self._board is not None:
            self._board.fail(reason)
