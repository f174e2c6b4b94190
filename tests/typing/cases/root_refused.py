# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""A name that the package root does not have is an error, although it loads its names lazily."""

from __future__ import annotations

import longrunning
from longrunning import (
    errors,
)

longrunning.Nope  # E: attr-defined | AttributeAccessIssue
longrunning.operations_client()  # E: attr-defined | AttributeAccessIssue
longrunning.Operation.from_protos()  # E: attr-defined | AttributeAccessIssue
errors.Nope  # E: attr-defined | AttributeAccessIssue
