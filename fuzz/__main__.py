# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Feeds hostile input to from_bytes(), from_json() and unpack(), and checks what fuzz/properties.py says of them.

    python -m fuzz                       a minute
    python -m fuzz --plant deep          plants a bug: it must be found, so this exits with 1
    python -m fuzz --check               a few seconds without a plant, then every plant; exits with 0 if only plants are found
    python -m fuzz --replay PATH ...     inputs from files or folders, without a fuzzer

It exits with 0 if nothing was found, with 1 if something was, and with 2 if it could not run.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from fuzz.plants import PLANTS
from fuzz.properties import check

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / "fuzz" / "corpus"
FOUND = ROOT / "build" / "fuzz"
MAX_WORKERS = 4
MAX_LENGTH = 40_000  # an Any in an Any, 600 times


@dataclass(frozen=True, slots=True)
class Run:
    """What a run of the fuzzer came to.

    Attributes:
        executions: Inputs tried; where it ended early, as many as it had last said.
        seconds: How long it took.
        finding: The input that broke a property, if any.
        output: All that it printed.
    """

    executions: int
    seconds: float
    finding: Path | None
    output: str

    @property
    def story(self) -> str:
        """What the output says about the finding: the end of the traceback, or what libFuzzer says."""
        _, _, python = self.output.partition("=== Uncaught Python exception: ===")
        lines = [line for line in re.split(r"^==\d+==", python, flags=re.MULTILINE)[0].splitlines() if line.strip()]
        return "\n".join(lines[-8:]) if lines else self.output[-2000:]


def start(folder: Path, seconds: float, plant: str | None, seed: int) -> subprocess.Popen[bytes]:
    """Starts one worker: libFuzzer ends the process that it runs in, so it has one of its own."""
    fresh = folder / "corpus"  # what it learns goes here, not into the committed corpus
    fresh.mkdir(parents=True)
    options = [
        f"-max_total_time={max(1, round(seconds))}",
        f"-max_len={MAX_LENGTH}",
        "-len_control=0",  # the mutator knows what is small
        "-timeout=20",  # seconds for one input: none may hang
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
        f"-artifact_prefix={FOUND}/",
        f"-seed={seed}",
    ]
    command = [
        sys.executable,
        "-m",
        "fuzz.target",
        *([f"plant={plant}"] if plant else []),
        *options,
        str(fresh),
        str(CORPUS),
    ]
    with (folder / "output").open("wb") as output:
        return subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)


def fuzz(seconds: float, plant: str | None = None, seed: int | None = None) -> Run:
    """Runs one worker per processor, until the time is over or one of them finds something."""
    FOUND.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    first = random.randrange(1, 2**31) if seed is None else seed
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name, str(worker)) for worker in range(min(os.cpu_count() or 1, MAX_WORKERS))]
        workers = [start(folder, seconds, plant, first + number) for number, folder in enumerate(folders)]
        while any(worker.poll() is None for worker in workers) and not any(worker.returncode for worker in workers):
            time.sleep(0.1)
        for worker in workers:
            worker.terminate()
            worker.wait()
        outputs = [(folder / "output").read_text(encoding="utf-8", errors="replace") for folder in folders]
    for output in outputs:
        if written := re.findall(r"Test unit written to (\S+)", output):
            return Run(sum(map(executions, outputs)), time.monotonic() - begin, Path(written[-1]), output)
    if any(worker.returncode for worker in workers):
        print(outputs[0][-3000:], file=sys.stderr)
        sys.exit("fuzz: the fuzzer itself failed")
    return Run(sum(map(executions, outputs)), time.monotonic() - begin, None, outputs[0])


def executions(output: str) -> int:
    """How many inputs a worker tried, as far as its output says."""
    counts = re.findall(r"number_of_executed_units: (\d+)", output) or re.findall(r"^#(\d+)\t", output, re.MULTILINE)
    return int(counts[-1]) if counts else 0


def search(seconds: float, plant: str | None, seed: int | None = None) -> Run:
    """Runs the fuzzer and says what came of it."""
    run = fuzz(seconds, plant, seed)
    what = f"with the plant {plant!r}" if plant else "without a plant"
    found = "nothing found"
    if run.finding is not None:
        found = "found something" if plant is None or holds(run.finding) is not None else "found it"
    print(f"fuzz: {run.executions:,} executions in {run.seconds:.0f} s, {what}: {found}", flush=True)
    return run


def holds(path: Path) -> Exception | None:
    """Checks the input of a file, without plants; returns what is wrong."""
    try:
        check(path.read_bytes())
    except Exception as error:  # noqa: BLE001 (whatever it is, it is what was looked for)
        return error
    return None


def tell(run: Run) -> None:
    """Shows a finding and how to see it again."""
    if run.finding is not None:
        print(run.story)
        print(f"fuzz: again with `python -m fuzz --replay {run.finding.relative_to(ROOT)}`")


def replay(paths: list[Path]) -> int:
    """Checks inputs from files; returns how many break a property."""
    files = sorted(file for path in paths for file in (path.iterdir() if path.is_dir() else [path]))
    broken = {file: error for file in files if (error := holds(file)) is not None}
    for file, error in broken.items():
        print(f"{file}: {type(error).__name__}: {error}")
    print(f"fuzz: {len(files)} inputs replayed, {len(broken)} failed", flush=True)
    return len(broken)


def check_all(seconds: float) -> int:
    """The corpus, a few seconds of search, and every plant."""
    if replay([CORPUS]):
        return 1
    runs: dict[str | None, Run] = {None: search(seconds, None)}
    for plant in PLANTS:
        runs[plant] = search(10 * seconds, plant, seed=1)
    real = [run for plant, run in runs.items() if run.finding and (plant is None or holds(run.finding) is not None)]
    for run in real:
        tell(run)
    missed = [plant for plant in PLANTS if runs[plant].finding is None]
    if missed:
        print(f"fuzz: plants not found: {', '.join(missed)}")
    elif not real:
        print("fuzz: all plants found, and nothing else")
    return 1 if real or missed else 0


def main() -> int:
    """Runs what was asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m fuzz", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--seconds", type=float, default=None, help="how long (60; with --check 5, and ten times that for a plant)"
    )
    parser.add_argument("--plant", choices=PLANTS, nargs="?", const=next(iter(PLANTS)), help="plant a bug")
    parser.add_argument("--check", action="store_true", help="show that it finds nothing but plants")
    parser.add_argument(
        "--replay", type=Path, nargs="+", metavar="PATH", help="check the inputs of these files or folders"
    )
    arguments = parser.parse_args()
    if arguments.replay:
        return 1 if replay(arguments.replay) else 0
    if importlib.util.find_spec("atheris") is None:
        version = ".".join(map(str, sys.version_info[:2]))
        print(
            f"fuzz: atheris is not installed for this Python {version}. `make fuzz` installs it where there is a wheel "
            "(CPython 3.11 to 3.13 on Linux); without it only --replay works",
            file=sys.stderr,
        )
        return 2
    if arguments.check:
        return check_all(arguments.seconds or 5)
    run = search(arguments.seconds or 60, arguments.plant)
    tell(run)
    return 0 if run.finding is None else 1


if __name__ == "__main__":
    sys.exit(main())
