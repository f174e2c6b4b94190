# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Measures contestants in turns (A B C A B C ...), so that a machine that slows down slows all of them down."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Callable, Mapping

ROUNDS = 25  # the fastest of so many is stable to one or two percent, also on a shared machine
SLICE = 0.02  # seconds per contestant and round: long beside the clock's resolution, short beside a time slice


def calls(contestants: Mapping[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Times calls within this process.

    Returns:
        Seconds of one call: the fastest round of each, because whatever disturbs a loop only ever makes it slower.
    """
    repeats: dict[str, int] = {}
    for name, contestant in contestants.items():
        contestant()  # caches, lazy imports
        count, taken = timeit.Timer(contestant).autorange()
        repeats[name] = max(1, round(count * SLICE / taken))
    best = dict.fromkeys(contestants, float("inf"))
    for _ in range(rounds):
        for name, contestant in contestants.items():
            # timeit switches the garbage collector off; a program does not, so neither do we
            timer = timeit.Timer(contestant, setup="import gc; gc.enable()")
            best[name] = min(best[name], timer.timeit(repeats[name]) / repeats[name])
    return best


def processes(programs: Mapping[str, str], rounds: int = 20) -> dict[str, float]:
    """Times whole Python processes, from the start to the end of each.

    Returns:
        Seconds: the median of each.
    """
    taken: dict[str, list[float]] = {name: [] for name in programs}
    with tempfile.TemporaryDirectory() as cache:
        # Everybody's byte code is there, as it is for what is installed, whatever the settings of this shell.
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = cache
        for turn in range(rounds + 1):
            for name, program in programs.items():
                # -P: what is imported is what is installed, not what happens to lie in the current folder
                command = [sys.executable, "-P", "-W", "ignore", "-c", program]
                start = time.perf_counter()
                subprocess.run(command, check=True, env=environment)
                if turn:  # the first turn writes the byte code
                    taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in taken.items()}
