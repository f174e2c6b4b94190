# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Writes ``expected/`` again: ``python -m tests.codegen.renew``. Look at the difference before you commit it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tests.codegen.compiling import PROTOS, plugin_arguments, protoc, written
from tests.codegen.test_goldens import EXPECTED, FILES, normal


def main() -> None:
    """Runs protoc with the plugin."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        out = folder / "out"
        out.mkdir()
        protoc(plugin_arguments(folder, out), roots=[PROTOS], files=FILES).demand()
        texts = written(out)
    shutil.rmtree(EXPECTED, ignore_errors=True)
    for path, text in texts.items():
        # Not as .py: linters and type checkers would look at them where they cannot be imported.
        target = EXPECTED / f"{path}.txt"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(normal(text), encoding="utf-8")


if __name__ == "__main__":
    main()
