# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The program as its users meet it: called, run as a process, run in a terminal."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from google.rpc import error_details_pb2
from typer.testing import CliRunner

from example.library.v1 import library_pb2
from longrunning import Code, UnknownPayload
from longrunning.cli._app import app
from longrunning.testing import Step, failed, pending, succeeded

ROOT: Final = Path(__file__).parents[2]
PROGRAM: Final = (sys.executable, "-m", "longrunning.cli")
TYPES: Final = ("--import", "example.library.v1.library_pb2")
QUICKLY: Final = ("--interval", "0.01")
PATIENCE: Final = 20.0  # seconds for what takes one
# Makes Ctrl-C in the terminal a signal to the program that it then becomes.
OWN_THE_TERMINAL: Final = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)
U: Final = "type.googleapis.com/"

NAME: Final = "projects/p/locations/l/operations/import-1"
SECRET: Final = UnknownPayload(f"{U}acme.v1.Secret", b"\x0a\x03abc")
RESPONSE: Final = library_pb2.ImportBooksResponse(shelf=library_pb2.Shelf(name="shelves/1"), imported=40)
INFO: Final = error_details_pb2.ErrorInfo(reason="FULL", domain="library.example.com")


def importing(done: int) -> library_pb2.ImportBooksMetadata:
    """The metadata of an import of forty books."""
    return library_pb2.ImportBooksMetadata(total=40, done=done, percent=done * 100 // 40)


def running(done: int = 10, *, times: int | None = 1) -> Step:
    """Still importing."""
    return pending(importing(done), times=times)


def imported() -> Step:
    """All forty are there."""
    return succeeded(RESPONSE, metadata=importing(40))


def full() -> Step:
    """It failed, with a detail."""
    return failed(Code.RESOURCE_EXHAUSTED, "no room", details=[INFO], metadata=importing(10))


@dataclass(frozen=True)
class Ended:
    """How the program ended. The exit code of a process that a signal ended is minus its number."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line on standard error."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("longrunning: ")
        return lines[0].removeprefix("longrunning: ")


def call(*arguments: str) -> Ended:
    """Calls the application in this process."""
    result = CliRunner().invoke(app, list(arguments), prog_name="longrunning")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ended(result.exit_code, result.stdout, result.stderr)


def run(*arguments: str, input: bytes = b"", **options: Any) -> Ended:  # noqa: A002
    """Runs the program as a process of its own."""
    done = subprocess.run(
        [*PROGRAM, *arguments], input=input, capture_output=True, check=False, timeout=PATIENCE, cwd=ROOT, **options
    )
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


class Terminal:
    """A process in a pseudo-terminal of its own, and what it has written there."""

    def __init__(self, *arguments: str, columns: int = 100, environment: Mapping[str, str] | None = None) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

        self.process = subprocess.Popen(
            [sys.executable, "-c", OWN_THE_TERMINAL, *PROGRAM, *arguments],
            stdin=slave, stdout=slave, stderr=slave, cwd=ROOT, start_new_session=True,
            env={**os.environ, **(environment or {})},
        )  # fmt: skip
        os.close(slave)
        self.raw = ""

    def see(self, what: str) -> str:
        """Waits until something was written, colours aside; returns all that was, up to then."""
        self._read(lambda: what in self.text)
        assert what in self.text, self.raw
        return self.text

    def press(self, keys: bytes) -> None:
        """Types something."""
        os.write(self._master, keys)

    def end(self) -> int:
        """Waits for the end; the exit code."""
        self._read(lambda: False)
        return self.process.wait(PATIENCE)

    @property
    def text(self) -> str:
        """What was written, without the terminal's commands."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.raw).replace("\r\n", "\n")

    def hang_up(self) -> None:
        """Takes the terminal away."""
        os.close(self._master)
        self._master = -1

    def close(self) -> None:
        """Ends it."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)
        if self._master >= 0:
            self.hang_up()

    def _read(self, enough: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not enough() and time.monotonic() < end:
            ready, _, _ = select.select([self._master], [], [], 0.1)
            if not ready:
                continue
            try:
                data = os.read(self._master, 65536)
            except OSError as error:
                if error.errno != errno.EIO:  # what Linux says when the other end was closed
                    raise
                data = b""
            if not data:
                return
            self.raw += data.decode(errors="replace")


@contextmanager
def terminal(*arguments: str, **options: Any) -> Generator[Terminal, None, None]:
    """Runs the program in a terminal."""
    opened = Terminal(*arguments, **options)
    try:
        yield opened
    finally:
        opened.close()
