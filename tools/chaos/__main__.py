# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Kills a server of operations again and again: ``python -m tools.chaos [--kills N] [--seed N] [--limit SECONDS]``.

A process serves operations from an SQLite file, and kills itself with SIGKILL at a point that differs from life to life. Clients
start operations, repeat what was not answered, wait, and cancel, and remember what they were told. In the end nothing that
was acknowledged may be lost, every request has made one operation, every operation has one outcome, which is that of
its last attempt, and the file is sound. Otherwise the exit code is 1, and the folder with the database and logs stays.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from .run import run

SHOWN = 20  # faults


async def bounded(kills: int, seed: int, limit: float, folder: Path) -> int:
    """Runs, and prints what came of it; the exit code."""
    try:
        async with asyncio.timeout(limit):
            report = await run(kills, seed=seed, folder=folder, tell=lambda line: print(line, flush=True))
    except TimeoutError:
        print(f"chaos: FAILED: not through after {limit:g} s; see {folder}", file=sys.stderr)
        return 1
    except RuntimeError as error:
        print(f"chaos: FAILED: {error}", file=sys.stderr)
        return 1
    print(report)
    for fault in report.faults[:SHOWN]:
        print(f"  {fault}", file=sys.stderr)
    if report.faults:
        print(f"chaos: FAILED: {len(report.faults)} faults; see {folder}; again: --kills {kills} --seed {seed}")
        return 1
    shutil.rmtree(folder)
    print(f"chaos: nothing lost, nothing doubled, one outcome each, integrity ok (seed {seed})")
    return 0


def main() -> int:
    """Runs it."""
    parser = argparse.ArgumentParser(prog="python -m tools.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="how often the server is killed (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of what is left to chance (default: %(default)s)")
    parser.add_argument(
        "--limit", type=float, default=0, help="seconds for all of it (default: 2 for each kill, and 60)"
    )
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="longrunning-chaos-"))
    print(f"chaos: {arguments.kills} kills, seed {arguments.seed}", flush=True)
    limit = arguments.limit or 60 + 2 * arguments.kills
    return asyncio.run(bounded(arguments.kills, arguments.seed, limit, folder))


if __name__ == "__main__":
    sys.exit(main())
