# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""No test leaves a thread behind."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Generator

import pytest

PATIENCE = 5.0  # seconds for threads on their way out


def threads() -> set[threading.Thread]:
    """The threads that somebody has to stop."""
    # grpc.aio has a poller for the whole process, which goes when the last of its objects is collected; and a thread of
    # grpc's C core that ever called Python, for call credentials, stays known here as a dummy.
    return {
        thread
        for thread in threading.enumerate()
        if "_poll_wrapper" not in thread.name and type(thread).__name__ != "_DummyThread"
    }


@pytest.fixture(scope="module")
def nothing_uncollected() -> Generator[None, None, None]:
    """Collects garbage after a module, so that what its objects say at their end is not said in another one."""
    yield
    gc.collect()


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Generator[None, None, None]:
    """Fails a test after which a thread of its own goes on and on."""
    before = threads()
    yield
    end = time.monotonic() + PATIENCE
    while (left := threads() - before) and time.monotonic() < end:
        time.sleep(0.005)
    assert not left
