# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The command line, ``longrunning``: get, list, wait for, watch, cancel, delete and decode operations.

Laws of this package:

1. Results go to standard output, everything else to standard error: what went wrong in one line, never a traceback.
2. The exit code tells the outcome (`_exits.Exit`). Ctrl-C and a closed pipe end the process by their signals, as they
   end other programs.
3. No environment variable changes what it does, and what a server sends is never sent on to a terminal as control
   characters.
4. What costs time is imported where it is needed: ``--help`` loads neither grpc nor protobuf nor rich.

Needs the extra ``cli``.
"""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Runs the program, and ends the process."""
    try:
        from ._process import run
    except KeyboardInterrupt:  # so soon that nobody is there yet to say so
        raise SystemExit(130) from None
    run()
