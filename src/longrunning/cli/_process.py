# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The process around a command: its environment, its signals, its end."""

from __future__ import annotations

import io
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Coroutine
from typing import Any, Final, NoReturn

from ._exits import CliError, ClosedPipeError, Exit, complain

__all__ = ["SignalError", "perform", "run"]

# What gRPC, typer, and Python's shutil and ssl would take from the environment.
_IGNORED: Final = re.compile(r"GRPC_.*|_?TYPER_.*|_.*_COMPLETE|COLUMNS|LINES|SSLKEYLOGFILE|(?i:.*_proxy)")
_EXTRA: Final = {"grpc", "rich", "typer"}  # what the extra `cli` brings

Work = Coroutine[Any, Any, Exit] | Exit


class SignalError(Exception):
    """The process is to end as it would if it had not caught a signal: whoever started it looks at that."""

    def __init__(self, number: int, message: str = "") -> None:
        super().__init__(message)
        self.number = number


def run() -> NoReturn:
    """Runs the program, and ends the process."""
    try:
        code = _run()
    except SignalError as error:
        code = _end_by(error.number, str(error))
    except KeyboardInterrupt:
        code = _end_by(signal.SIGINT, "interrupted")
    sys.exit(code)


def _run() -> int:
    _prepare()
    try:
        try:
            from ._app import app
        except ImportError as error:
            return _lacking(error)
        return int(app(prog_name="longrunning", standalone_mode=False) or Exit.OK)
    except (SignalError, KeyboardInterrupt):
        raise
    except Exception as error:  # noqa: BLE001 (no traceback, whatever it is)
        # Each version of typer has its own classes for a command line that cannot be used; all of them know these two.
        message: Callable[[], str] | None = getattr(error, "format_message", None)
        if message is None:
            complain(f"internal error: {type(error).__name__}: {error}")
            return Exit.FAILED
        command: str = getattr(getattr(error, "ctx", None), "command_path", "longrunning")
        complain(f"{message().rstrip('.')}; see {command} --help")
        return Exit.USAGE


def _lacking(error: ImportError) -> Exit:
    """Says what to install; raises what is another fault.

    Raises:
        ImportError: It is.
    """
    from ..errors import MissingExtraError

    if (error.name or "").partition(".")[0] not in _EXTRA and not isinstance(error, MissingExtraError):
        raise error
    extras = "cli,rest" if isinstance(error, MissingExtraError) and error.extra == "rest" else "cli"
    complain(f"the command line needs optional dependencies: pip install 'longrunning[{extras}]'")
    return Exit.USAGE


def _prepare() -> None:
    """Sees to it that the environment decides nothing, and that nobody but us writes to standard error."""
    for name in [name for name in os.environ if _IGNORED.fullmatch(name)]:
        del os.environ[name]
    os.environ["GRPC_VERBOSITY"] = "NONE"
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _end_by(number: int, message: str) -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who is impatient presses Ctrl-C twice
    if message:
        complain(message)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number  # where that did not end it


def perform(command: Callable[[], Work], interrupted: str = "interrupted") -> Exit:
    """Runs a command.

    Args:
        command: Reads the options and does what they ask for, or returns the coroutine that does.
        interrupted: What Ctrl-C makes it say.

    Returns:
        The exit code; what went wrong has been said.

    Raises:
        SignalError: The process is to end by a signal.
    """
    try:
        work = command()
        if isinstance(work, int):
            return work
        import asyncio

        return asyncio.run(_until_ended(work, interrupted))
    except CliError as error:
        complain(str(error))
        return error.code
    except ImportError as error:
        return _lacking(error)
    except ClosedPipeError:
        raise SignalError(signal.SIGPIPE) from None
    except KeyboardInterrupt:
        raise SignalError(signal.SIGINT, interrupted) from None


async def _until_ended(work: Coroutine[Any, Any, Exit], interrupted: str) -> Exit:
    """Lets Ctrl-C, and the termination of the process, cancel the work once: the terminal is to be left as it was found.

    Not asyncio's own Ctrl-C: of that a second one, by somebody impatient, interrupts the tidying up. Nor `add_signal_handler`,
    which ends with the event loop: a third one would interrupt what comes after.
    """
    import asyncio
    from contextlib import suppress

    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None
    ended_by: list[int] = []

    def end(number: int) -> None:
        if not ended_by:
            task.cancel()
        ended_by.append(number)

    def noticed(number: int, _: object) -> None:
        with suppress(RuntimeError):  # the loop has ended, and the process is about to
            loop.call_soon_threadsafe(end, number)

    before: dict[int, Any] = {}
    with suppress(ValueError):  # not in this thread
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, noticed)
    try:
        return await work
    except asyncio.CancelledError:
        if not ended_by:
            raise
        message = interrupted if ended_by[0] == signal.SIGINT else ""
        raise SignalError(ended_by[0], message) from None
    finally:
        if not ended_by:  # otherwise they stay, up to the end of the process
            for caught, handler in before.items():
                signal.signal(caught, handler)
