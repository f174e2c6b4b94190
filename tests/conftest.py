# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Holds every test to its docstring: see tools/promises.py."""

pytest_plugins = ["tools.promises"]
