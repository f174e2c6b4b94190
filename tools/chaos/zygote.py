# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""A process that has everything imported and forks one server after the other: ``python -m tools.chaos.zygote FOLDER``.

Importing takes half a second, and forking a few milliseconds. It happens before gRPC is made use of, so children inherit
nothing of it but code. The process ends with its standard input, and so with its parent, and takes the living child along.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import select
import signal
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Self

from .life import LONGEST, live, warm
from .points import Plan, Point

__all__ = ["Death", "Zygote"]

ROOT: Final = Path(__file__).resolve().parents[2]
ERRORS: Final = "server.log"


@dataclass(frozen=True, slots=True)
class Death:
    """How a life ended.

    Attributes:
        point: Where it said it was.
        status: The exit code, or minus the number of the signal.
    """

    point: Point | None
    status: int


class Zygote:
    """The process, as its parent sees it. An async context manager.

    Attributes:
        pid: The server it forked last.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self._errors: IO[bytes] | None = None
        self.pid = 0

    async def __aenter__(self) -> Self:
        self._errors = (self._folder / ERRORS).open("wb")
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tools.chaos.zygote", str(self._folder)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=self._errors,
            cwd=ROOT,
            # a child forked by a thread of gRPC's would have to be kept from deadlocks; ours is forked by nobody's
            env={**os.environ, "GRPC_ENABLE_FORK_SUPPORT": "0"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._errors is not None
        self._process.stdin.close()
        await self._process.wait()
        self._errors.close()

    async def bear(self, plan: Plan, port: int) -> int:
        """Starts a server on a port (0 for any), and returns the port when it serves.

        Raises:
            RuntimeError: It ended before it served.
        """
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"plan": plan.to_json(), "port": port}).encode() + b"\n")
        word, *rest = await self._line()
        if word != "ready":
            raise RuntimeError(f"life {plan.number} ended before it served: {word} {rest}; see {self._folder / ERRORS}")
        self.pid, bound = map(int, rest)
        return bound

    async def death(self) -> Death:
        """Waits for the end of the server."""
        point = None
        async with asyncio.timeout(2 * LONGEST):
            while True:
                word, value = await self._line()
                if word == "ended":
                    return Death(point, int(value))
                point = Point[value]

    def terminate(self) -> None:
        """Asks the server to end."""
        os.kill(self.pid, signal.SIGTERM)

    async def _line(self) -> list[str]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process that forks servers ended; see {self._folder / ERRORS}")
        return line.decode().split()


def main() -> None:
    """Forks a server for each line of standard input, one at a time, and says how it ended."""
    folder = Path(sys.argv[1])
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s")
    warm()
    with open(0, "rb", buffering=0, closefd=False) as commands:
        while line := commands.readline():
            command = json.loads(line)
            alive, mine = os.pipe()  # ends when the child does
            pid = os.fork()
            if not pid:
                os.close(alive)
                _child(Plan.from_json(command["plan"]), folder, command["port"])
            os.close(mine)
            readable, _, _ = select.select([alive, commands.fileno()], [], [])
            if alive not in readable:  # nobody asks for a second child: it is the end of the input
                os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            os.close(alive)
            print("ended", os.waitstatus_to_exitcode(status), flush=True)


def _child(plan: Plan, folder: Path, port: int) -> None:
    status = 1
    try:
        live(plan, folder, port)
        status = 0
    except BaseException:  # noqa: BLE001 - whatever it is, this process ends with it
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
