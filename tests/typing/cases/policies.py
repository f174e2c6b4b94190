# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""`PollPolicy`, `RetryPolicy`, and what may be given as a time."""

from __future__ import annotations

from datetime import timedelta
from typing import assert_type

from longrunning import DEFAULT, Code, PollPolicy, RetryPolicy
from longrunning.policy import Timeout

policy = PollPolicy(initial=1, multiplier=2, maximum=timedelta(seconds=10), jitter=0, timeout=None, max_attempts=5)
assert_type(policy.initial, float)
assert_type(policy.multiplier, float)
assert_type(policy.maximum, float)
assert_type(policy.jitter, float)
assert_type(policy.timeout, float | None)
assert_type(policy.max_attempts, int | None)
assert_type(policy.final_poll_timeout, float)
assert_type(policy.retry, RetryPolicy)

retry = RetryPolicy(codes=[Code.UNAVAILABLE, 17], initial=timedelta(milliseconds=100), rpc_timeout=5)
assert_type(retry.codes, frozenset[Code | int])
assert_type(retry.initial, float)
assert_type(retry.maximum, float)
assert_type(retry.rpc_timeout, float)
assert_type(PollPolicy(timeout=60, final_poll_timeout=2.5, retry=retry), PollPolicy)

timeouts: list[Timeout] = [DEFAULT, None, 0, 5, 0.5, timedelta(hours=1)]
