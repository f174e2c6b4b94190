# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Holds every test to its docstring: see tools/promises.py.

Hypothesis tries the same examples in every run: a test passes or fails, and does not depend on the clock.
"""

import signal

from hypothesis import HealthCheck, settings

settings.register_profile(
    "always the same",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("always the same")

pytest_plugins = ["tools.promises"]

# A shell that starts a program in the background lets it ignore Ctrl-C, and so all that it starts: the tests are about Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
