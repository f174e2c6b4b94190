# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Where operations are kept: `OperationStore`, what every store owes, and the two that come with this package."""

from ._memory import MemoryStore
from ._protocol import OperationStore
from ._records import (
    CANCELLED,
    ClaimTerms,
    Created,
    Lease,
    ListPage,
    ListQuery,
    NewOperation,
    OperationRecord,
    Outcome,
)
from ._sqlite import SqliteStore

__all__ = [
    "CANCELLED",
    "ClaimTerms",
    "Created",
    "Lease",
    "ListPage",
    "ListQuery",
    "MemoryStore",
    "NewOperation",
    "OperationRecord",
    "OperationStore",
    "Outcome",
    "SqliteStore",
]
