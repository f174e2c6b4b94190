# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Runs the benchmarks and prints what they found: ``python -m benchmarks [--markdown] [--strict] [bench ...]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from benchmarks.decode import decoding, reading_json
from benchmarks.generator import generating
from benchmarks.imports import importing
from benchmarks.report import Bench, environment, markdown, plain

BENCHES: dict[str, Callable[[], list[Bench]]] = {
    "decode": decoding,
    "json": reading_json,
    "import": importing,
    "generate": generating,
}


def main() -> int:
    """Runs them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("bench", nargs="*", help=f"which ones: {', '.join(BENCHES)}; all of them if none is named")
    parser.add_argument("--markdown", action="store_true", help="print the table of the README")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a target is missed")
    arguments = parser.parse_args()
    if unknown := set(arguments.bench) - set(BENCHES):
        parser.error(f"no such bench: {', '.join(sorted(unknown))}")
    chosen = arguments.bench or list(BENCHES)
    benches = [bench for name in chosen for bench in BENCHES[name]()]
    if arguments.markdown:
        lines = markdown(benches)
    else:
        print(environment())
        print("The number after each time is the multiple of the first line's.")
        lines = plain(benches)
    for line in lines:
        print(line)
    missed = [f"{bench.title}: {item.ours} / {item.peer}" for bench in benches for item in bench.missed]
    if missed:
        print(f"\ntargets missed: {len(missed)}\n  " + "\n  ".join(missed), file=sys.stderr)
    elif not arguments.markdown:
        print("\nall targets hold")
    return 1 if missed and arguments.strict else 0


if __name__ == "__main__":
    sys.exit(main())
