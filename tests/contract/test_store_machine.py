# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Stores beside a model: whatever is done to them, in any order, with crashes in between, they answer what it answers."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from longrunning.errors import LeaseLostError, OperationConflictError
from longrunning.server.storage import Created, ListQuery, Outcome
from tests.contract.model import ConflictError, LostError, Model
from tests.contract.stores import METHOD, OTHER, OUTCOMES, TICK, Kind, Stage, new, replay_key, staged, terms

T = TypeVar("T")
PICKS = st.integers(0, 5)  # of what is there, counted from the newest
ANY_METHOD = frozenset({METHOD, OTHER})
METHODS = st.sampled_from([ANY_METHOD, ANY_METHOD, frozenset({METHOD}), frozenset({OTHER})])
PAYLOADS = st.sampled_from([None, b"", b"\0", b"payload"])
SECONDS = st.sampled_from([0.0, TICK, 5.0, 30.0])
TTLS = st.sampled_from([0.0, 5.0, 30.0, 30.0])
OFF = st.sampled_from([0] * 6 + [-1, 1])  # by how much a fence is wrong
SCOPES = st.sampled_from([None, None, "", "tenant"])


class Beside(RuleBasedStateMachine):
    """A store and the model of it.

    Attributes:
        kind: What is tried; subclasses say it.
    """

    kind: ClassVar[Kind]

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        folder = self._stack.enter_context(tempfile.TemporaryDirectory())
        self.stage: Stage = self.run(self._stack.enter_async_context(staged(self.kind, Path(folder))))
        self.model = Model(self.stage.clock)
        self.names: list[str] = []  # of all that were ever made
        self.leases: list[tuple[str, int]] = []  # that somebody remembers, held or lost
        self.newest = -1

    def run(self, what: Coroutine[Any, Any, T]) -> T:
        """Runs something on the loop of this machine."""
        return self._runner.run(what)

    def teardown(self) -> None:
        """Closes the store, and those that crashed."""
        self.run(self._stack.aclose())
        self._runner.close()

    def name(self, pick: int) -> str:
        """One of the names."""
        return self.names[-1 - pick % len(self.names)]

    def lease(self, pick: int, off: int) -> tuple[str, int]:
        """One of the leases; where `off` is not 0, with another fence."""
        name, fence = self.leases[-1 - pick % len(self.leases)]
        return name, fence + off

    @rule(
        method=st.sampled_from([METHOD, METHOD, OTHER]),
        principal=st.sampled_from(["ann", "bob"]),
        scope=st.sampled_from(["", "tenant"]),
        parent=st.sampled_from(["", "shelves/1"]),
        request_id=st.sampled_from(["", "", "1", "2"]),
        resource=st.sampled_from(["", "", "", "shelves/1"]),
        metadata=PAYLOADS,
        max_attempts=st.sampled_from([1, 1, 2, 5]),
        methods=st.none() | METHODS,
        ttl=TTLS,
    )
    def create(self, methods: frozenset[str] | None, ttl: float, **fields: Any) -> None:
        """Starts an operation, with a claim or without."""
        operation = new(f"operations/{len(self.names)}", request=b"r%d" % len(self.names), request_hash=b"h", **fields)
        claim = None if methods is None else terms(methods=methods, ttl=ttl)
        known = self.run(self.stage.store.replayed(*replay_key(operation)))
        assert known == self.model.replayed(operation)
        answer: Created | None = None
        try:
            answer = self.run(self.stage.store.create(operation, claim))
        except OperationConflictError:
            with pytest.raises(ConflictError):
                self.model.create(operation, claim, 0)
            return
        assert answer == self.model.create(operation, claim, answer.record.sequence)
        if not answer.existed:
            assert answer.record.sequence > self.newest
            self.newest = answer.record.sequence
            self.names.append(operation.name)
            self.leases += [] if answer.lease is None else [(operation.name, answer.lease.fence)]

    @precondition(lambda self: self.names)
    @rule(pick=PICKS, methods=METHODS, ttl=TTLS)
    def claim(self, pick: int, methods: frozenset[str], ttl: float) -> None:
        """A worker tries to take an operation."""
        claim = terms("worker", methods=methods, ttl=ttl)
        lease = self.run(self.stage.store.claim(self.name(pick), claim))
        assert lease == self.model.claim(self.name(pick), claim)
        if lease is not None:
            self.leases.append((lease.name, lease.fence))

    @precondition(lambda self: self.leases)
    @rule(picks=st.lists(PICKS, min_size=1, max_size=3), ttl=TTLS)
    def renew(self, picks: list[int], ttl: float) -> None:
        """A worker renews leases, of which it may have lost some."""
        fences = dict(self.lease(pick, 0) for pick in picks)
        assert dict(self.run(self.stage.store.renew(fences, ttl))) == self.model.renew(fences, ttl)

    @precondition(lambda self: self.leases)
    @rule(pick=PICKS, off=OFF, metadata=PAYLOADS, checkpoint=PAYLOADS)
    def update(self, pick: int, off: int, metadata: bytes | None, checkpoint: bytes | None) -> None:
        """A worker writes."""
        name, fence = self.lease(pick, off)
        write = self.stage.store.update(name, fence, metadata=metadata, checkpoint=checkpoint)
        try:
            answer = self.run(write)
        except LeaseLostError:
            with pytest.raises(LostError):
                self.model.update(name, fence, metadata, checkpoint)
        else:
            assert answer is self.model.update(name, fence, metadata, checkpoint)

    @precondition(lambda self: self.leases)
    @rule(pick=PICKS, off=OFF, outcome=st.sampled_from(list(OUTCOMES.values())), metadata=PAYLOADS)
    def finish(self, pick: int, off: int, outcome: Outcome, metadata: bytes | None) -> None:
        """A handler ends."""
        name, fence = self.lease(pick, off)
        try:
            self.run(self.stage.store.finish(name, fence, outcome, metadata=metadata))
        except LeaseLostError:
            with pytest.raises(LostError):
                self.model.finish(name, fence, outcome, metadata)
        else:
            self.model.finish(name, fence, outcome, metadata)

    @precondition(lambda self: self.leases)
    @rule(picks=st.lists(PICKS, min_size=1, max_size=3), off=OFF)
    def release(self, picks: list[int], off: int) -> None:
        """A worker gives leases back."""
        fences = dict(self.lease(pick, off) for pick in picks)
        self.run(self.stage.store.release(fences))
        self.model.release(fences)

    @precondition(lambda self: self.names)
    @rule(pick=PICKS, scope=SCOPES)
    def request_cancel(self, pick: int, scope: str | None) -> None:
        """A caller cancels."""
        name = self.name(pick)
        assert self.run(self.stage.store.request_cancel(name, scope)) == self.model.request_cancel(name, scope)

    @precondition(lambda self: self.names)
    @rule(pick=PICKS, scope=SCOPES)
    def delete(self, pick: int, scope: str | None) -> None:
        """A caller deletes."""
        name = self.name(pick)
        assert self.run(self.stage.store.delete(name, scope)) is self.model.delete(name, scope)

    @precondition(lambda self: self.names)
    @rule(methods=METHODS, limit=st.sampled_from([0, 1, 2, 100]), hold=SECONDS)
    def due(self, methods: frozenset[str], limit: int, hold: float) -> None:
        """A worker looks for work."""
        found = self.run(self.stage.store.due(methods, limit=limit, hold=hold))
        assert found == self.model.due(methods, limit, hold)

    @precondition(lambda self: self.names)
    @rule(limit=st.sampled_from([0, 1, 100]))
    def abandon(self, limit: int) -> None:
        """The reconciler looks for what nobody goes on with."""
        ended = self.run(self.stage.store.abandon(limit=limit))
        hopeless = self.model.hopeless()
        assert len(ended) == len(set(ended)) == min(limit, len(hopeless))
        assert set(ended) <= set(hopeless)
        self.model.abandon(ended)

    @precondition(lambda self: self.names)
    @rule(older_than=SECONDS)
    def purge(self, older_than: float) -> None:
        """What ended long ago goes."""
        assert self.run(self.stage.store.purge(older_than=older_than, limit=1_000)) == self.model.purge(older_than)

    @precondition(lambda self: self.names)
    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        """Leases expire, and what ended becomes old."""
        self.stage.clock.advance(seconds)

    @precondition(lambda self: self.names)
    @rule(how=st.sampled_from(["crash", "close"] + [""] * 3))
    def restart(self, how: str) -> None:
        """Now and then every process dies, and nobody knows a lease any more; or a store is only closed and opened again."""
        if how == "crash":
            self.leases.clear()
            self.run(self.stage.crash())
        elif how == "close":
            self.run(self.stage.reopen())

    @precondition(lambda self: self.names)
    @rule(
        scope=SCOPES, parent=st.sampled_from([None, "", "shelves/1", "shelves/2"]), limit=st.sampled_from([1, 2, 100])
    )
    def list_pages(self, scope: str | None, parent: str | None, limit: int) -> None:
        """Somebody lists, in pages of any size."""
        seen = [kept for kept in reversed(self.model.kept) if self.model.seen(kept.new.name, scope)]
        expected = [kept.new.name for kept in seen if parent in {None, kept.new.parent}]
        assert self.run(self.stage.names(scope=scope, parent=parent, limit=limit)) == expected

    @invariant()
    def they_show_the_same(self) -> None:
        """All that can be read of all operations is the same, also of those that are gone."""
        self.run(self._they_show_the_same())

    async def _they_show_the_same(self) -> None:
        seen = {name: self.model.seen(name, None) for name in self.names}
        for name, kept in seen.items():
            assert await self.stage.store.get(name, None) == (None if kept is None else kept.record)
        page = await self.stage.store.list(ListQuery(parent=None, scope=None, limit=1_000))
        assert page.records == tuple(kept.record for kept in reversed(seen.values()) if kept is not None)
        assert page.next_after is None
        settled = {name for name, kept in seen.items() if kept is None or kept.standing.phase.done}
        assert await self.stage.store.settled(self.names) == settled


def explore(kind: Kind, *, examples: int, steps: int = 40, derandomize: bool = True) -> None:
    """Runs the machine on a kind of store.

    Args:
        kind: The kind.
        examples: How many sequences.
        steps: How long they are.
        derandomize: Whether they are the same in every run.
    """
    machine = settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=derandomize,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    tried = kind

    class Tried(Beside):
        kind = tried

    run_state_machine_as_test(Tried, settings=machine)


def test_a_store_behaves_like_its_model(kind: Kind) -> None:
    """Any sequence of calls, crashes and pauses leaves the store and a plain model of it the same, after each step (RUN-1, RUN-2, SRV-4, SRV-5, SRV-9)."""
    explore(kind, examples=50 if kind.shared else 300)
