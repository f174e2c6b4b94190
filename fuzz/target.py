# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The process that libFuzzer runs in: ``python -m fuzz.target [plant=NAME] [libFuzzer options and folders]``."""

from __future__ import annotations

import importlib
import sys
from typing import Any


def main(arguments: list[str]) -> None:
    """Hands itself over to libFuzzer, which ends the process."""
    atheris: Any = importlib.import_module("atheris")  # it ships no types, and is not installed everywhere
    with atheris.instrument_imports(include=["longrunning"]):
        # Everything of the package that is loaded lazily, too: what is imported later is not instrumented.
        for module in ("errors", "method", "operation", "registry", "status", "_document", "_json", "_source"):
            importlib.import_module(f"longrunning.{module}")
        importlib.import_module("longrunning.codegen")
    from fuzz.mutator import Mutator
    from fuzz.plants import PLANTS
    from fuzz.properties import check

    for argument in arguments:
        if argument.startswith("plant="):
            PLANTS[argument.removeprefix("plant=")]()

    def mutate(data: bytes, limit: int, seed: int) -> bytes:
        return Mutator(seed, havoc).mutate(bytes(data), limit)

    def cross(data: bytes, other: bytes, limit: int, seed: int) -> bytes:
        return Mutator(seed, havoc).cross(bytes(data), bytes(other), limit)

    def havoc(data: bytes, limit: int) -> bytes:
        mutated: bytes = atheris.Mutate(data, max(limit, len(data), 1))
        return mutated

    options = [argument for argument in arguments if not argument.startswith("plant=")]
    atheris.Setup([sys.argv[0], *options], check, custom_mutator=mutate, custom_crossover=cross)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
