# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures for pytest. Where this package and pytest are installed they are there: nothing has to be imported.

===========================  ========================================================================================
`scripted_operations`        a `ScriptedOperations` without scripts: what the servers below play, and what they recorded
`operations_pair`            a client and a server that plays `scripted_operations`, on `fake_clock`
`async_operations_pair`      the same for async tests: ``async with async_operations_pair() as pair:``
`fake_clock`                 a `FakeClock` on which sleeps take no time
`async_fake_clock`           an `AsyncFakeClock` on which sleeps take no time
===========================  ========================================================================================

Each can be overridden in a ``conftest.py`` or a test module, and the pairs follow: a `fake_clock` that is advanced by hand,
a `scripted_operations` that serves WaitOperation. No plugin for async tests is needed: an async context manager
works under ``asyncio.run`` as well as under any of them.

pytest imports this module in every run, so it imports nothing but pytest until a fixture is used. ``-p no:longrunning``
leaves it out.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from ..names import Metadata
    from ..policy import PollPolicy
    from ..registry import TypeRegistry
    from . import AsyncFakeClock, AsyncOperationsPair, FakeClock, OperationsPair, ScriptedOperations

__all__ = [
    "AsyncPairFactory",
    "async_fake_clock",
    "async_operations_pair",
    "fake_clock",
    "operations_pair",
    "scripted_operations",
]


class AsyncPairFactory(Protocol):
    """The type of the fixture `async_operations_pair`."""

    def __call__(
        self, *, registry: TypeRegistry | None = None, policy: PollPolicy | None = None, metadata: Metadata = ()
    ) -> AbstractAsyncContextManager[AsyncOperationsPair]:
        """A client and a server; arguments as of `longrunning.testing.async_operations_pair`."""
        ...


@pytest.fixture
def scripted_operations() -> ScriptedOperations:
    """An Operations service of google.longrunning, to be given scripts; without a server."""
    from . import ScriptedOperations

    return ScriptedOperations()


@pytest.fixture
def fake_clock() -> FakeClock:
    """A clock for the sync client, on which sleeps take no time."""
    from . import FakeClock

    return FakeClock()


@pytest.fixture
def async_fake_clock() -> AsyncFakeClock:
    """A clock for the async client, on which sleeps take no time."""
    from . import AsyncFakeClock

    return AsyncFakeClock()


@pytest.fixture
def operations_pair(
    scripted_operations: ScriptedOperations, fake_clock: FakeClock
) -> Generator[OperationsPair, None, None]:
    """An operations client and a gRPC server that plays `scripted_operations`, on `fake_clock`."""
    from . import operations_pair

    with operations_pair(scripted_operations, clock=fake_clock) as pair:
        yield pair


@pytest.fixture
def async_operations_pair(
    scripted_operations: ScriptedOperations, async_fake_clock: AsyncFakeClock
) -> AsyncPairFactory:
    """Makes an async operations client and a gRPC server that plays `scripted_operations`, on `async_fake_clock`."""
    from . import async_operations_pair

    def make(
        *, registry: TypeRegistry | None = None, policy: PollPolicy | None = None, metadata: Metadata = ()
    ) -> AbstractAsyncContextManager[AsyncOperationsPair]:
        return async_operations_pair(
            scripted_operations, registry=registry, policy=policy, metadata=metadata, clock=async_fake_clock
        )

    return make
