# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What is no policy and no time."""

from __future__ import annotations

from longrunning import DEFAULT, PollPolicy, RetryPolicy
from longrunning.policy import Timeout

PollPolicy(1, 2)  # E: call-arg | CallIssue
PollPolicy(initial="1s")  # E: arg-type | ArgumentType
PollPolicy(initial=None)  # E: arg-type | ArgumentType
PollPolicy(timeout=DEFAULT)  # E: arg-type | ArgumentType
PollPolicy(max_attempts=2.5)  # E: arg-type | ArgumentType
PollPolicy(retry=None, retries=3)  # E: call-arg | CallIssue
PollPolicy(retry=False)  # E: arg-type | ArgumentType
RetryPolicy(codes=14)  # E: arg-type | ArgumentType
RetryPolicy(codes=["UNAVAILABLE"])  # E: list-item | ArgumentType
RetryPolicy(rpc_timeout=None)  # E: arg-type | ArgumentType
PollPolicy().timeout = 5  # E: misc | AttributeAccessIssue
RetryPolicy().codes.add(14)  # E: attr-defined | AttributeAccessIssue

timeouts: list[Timeout] = ["5s"]  # E: list-item | AssignmentType
timeout: Timeout = (5,)  # E: assignment | AssignmentType
