# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Holds every test to its docstring: see tools/promises.py."""

import signal

pytest_plugins = ["tools.promises"]

# A shell that starts a program in the background lets it ignore Ctrl-C, and so all that it starts: the tests are about Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
