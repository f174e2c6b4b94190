# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Fuzzing with atheris: ``python -m fuzz``."""
