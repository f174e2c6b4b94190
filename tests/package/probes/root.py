# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Imports the package where nothing but its dependencies is installed; tells what came along, and what each name says."""

import importlib.metadata
import json
import sys

before = set(sys.modules)
import longrunning

imported = sorted(set(sys.modules) - before)
names: dict[str, str] = {}
for name in longrunning.__all__:
    try:
        getattr(longrunning, name)
        names[name] = ""
    except ImportError as error:
        names[name] = str(error)
distributions = {distribution.metadata["Name"].lower() for distribution in importlib.metadata.distributions()}
print(json.dumps({"imported": imported, "names": names, "distributions": sorted(distributions)}))
