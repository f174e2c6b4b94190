# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m longrunning.codegen``: the plugin, for compilers that are given a command and not a name."""

from __future__ import annotations

from .plugin import main

if __name__ == "__main__":
    main()
