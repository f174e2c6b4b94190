# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Exit codes, and the one line on standard error for whatever goes wrong."""

from __future__ import annotations

import enum
import re
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from ..errors import LongRunningError, WaitTimeoutError

__all__ = [
    "CliError",
    "ClosedPipeError",
    "Exit",
    "Verdict",
    "about",
    "complain",
    "explain",
    "one_line",
    "printable",
    "say",
]


class Exit(enum.IntEnum):
    """What the exit code of the program says."""

    OK = 0
    FAILED = 1
    """The operation failed, or the server refused the request."""
    USAGE = 2
    """The command line, or what it names, cannot be used."""
    TIMEOUT = 3
    """The wait ended, the operation goes on."""
    NOT_FOUND = 4
    """The server does not know the operation."""
    CANCELLED = 5
    """The operation was cancelled."""
    UNREACHABLE = 6
    """The server does not answer."""


class CliError(Exception):
    """Ends a command, or its work on one operation, with a line and a code."""

    def __init__(self, code: Exit, message: str) -> None:
        super().__init__(one_line(message))
        self.code = code


class ClosedPipeError(Exception):
    """Nobody reads standard output any more."""


# C0 and C1 controls, line and paragraph separators, and what turns the direction of text around: to a terminal they are
# commands, to a reader a lie. Lone surrogates cannot be written at all.
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SHOWN: Final = 1000  # characters of an error: a status may carry pages of details


def printable(text: str) -> str:
    """The text with its control characters written as escapes."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def one_line(text: str) -> str:
    """The text as one line that is fit to print."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= _SHOWN else line[:_SHOWN] + "…"


# Reasons for which gRPC finds no connection; it calls all of them UNAVAILABLE, but these do not pass.
_DISTRUST: Final = (
    "CERTIFICATE_VERIFY_FAILED",
    "Hostname Verification Check failed",
    "is not in peer certificate",  # the same, in older releases
    "WRONG_VERSION_NUMBER",  # the server does not speak TLS
)


def is_distrust(reason: str) -> bool:
    """Whether there is no connection because the server cannot be trusted."""
    return any(text in reason for text in _DISTRUST)


def say(line: str) -> None:
    """Writes a line to standard error; that it cannot be written is nobody's business."""
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def complain(message: str) -> None:
    """Writes a line to standard error that says who speaks."""
    say(f"longrunning: {one_line(message)}")


@final
class Verdict:
    """How a command about several operations went: the code of the first one that did not end well.

    Attributes:
        code: That code.
    """

    def __init__(self) -> None:
        self.code = Exit.OK
        self._said: set[str] = set()

    def add(self, code: Exit) -> None:
        """Takes in how it went with one operation."""
        self.code = self.code or code

    def fail(self, error: CliError) -> None:
        """Takes in that it went wrong, and says so; the same only once."""
        self.add(error.code)
        message = str(error)
        if message not in self._said:
            self._said.add(message)
            complain(message)


@contextmanager
def about(name: str, endpoint: str) -> Generator[None]:
    """Turns what the client raises into a line and a code.

    Args:
        name: The operation, or the parent of a list, that the server is asked about.
        endpoint: The server.

    Raises:
        CliError: The client raised something.
    """
    from ..errors import LongRunningError

    try:
        yield
    except LongRunningError as error:
        raise explain(error, endpoint, name) from error


def explain(error: LongRunningError, endpoint: str, name: str) -> CliError:
    """What an error of the client means to whoever called the program."""
    from ..errors import PayloadError, RpcError, WaitTimeoutError
    from ..status import Code

    what = f"{name}: " if name else ""
    match error:
        case WaitTimeoutError():
            return _timed_out(error, endpoint, what)
        case RpcError() if is_distrust(error.details.message):
            return CliError(Exit.UNREACHABLE, f"{endpoint} cannot be trusted: {error.details.message}")
        case RpcError(code=Code.UNAVAILABLE | Code.DEADLINE_EXCEEDED):
            return CliError(Exit.UNREACHABLE, f"{endpoint} does not answer: {error.details}")
        case RpcError(code=Code.NOT_FOUND):
            return CliError(Exit.NOT_FOUND, f"{what}{error.details}")
        case RpcError():
            rpc = (error.method or "the request").rpartition("/")[2]
            return CliError(Exit.FAILED, f"{what}{rpc} failed: {error.details}")
        case PayloadError():
            return CliError(Exit.FAILED, f"{what}{error.problem}")
        case _:
            return CliError(Exit.FAILED, f"{what}{error}")


def _timed_out(error: WaitTimeoutError, endpoint: str, what: str) -> CliError:
    after = f"within {error.timeout:g} s" if error.timeout is not None else "in time"
    last = f"; the last request failed: {error.last_error.details}" if error.last_error is not None else ""
    if error.operation is None:  # nothing was ever heard of it: that it goes on would be a guess
        return CliError(Exit.UNREACHABLE, f"{endpoint} does not answer {after}{last}")
    return CliError(Exit.TIMEOUT, f"{what}not done {after}; it goes on{last}")
