# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m longrunning.cli``."""

from __future__ import annotations

from . import main

main()
