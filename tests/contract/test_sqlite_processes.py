# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Several processes on one file, each with its own `SqliteStore`: races, news of each other, and taking turns."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from longrunning.errors import StoreUnavailableError
from longrunning.server.storage import Outcome, SqliteStore
from tests.contract.sqlite_seams import TERMS, Tap, integrity, new, opened, play, run_all, start, together
from tests.contract.sqlite_seams import tap as tap  # noqa: PLC0414 - a fixture

DONE = Outcome(code=None, payload=b"")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a database may be made."""
    return tmp_path / "operations.db"


async def fill(path: Path, count: int) -> None:
    async with opened(path) as store:
        await asyncio.gather(*(store.create(new(f"operations/{n}")) for n in range(count)))


def test_each_operation_goes_to_one_of_several_processes(path: Path) -> None:
    """Processes that claim the same operations at once get each of them once, and end each of them once (RUN-1)."""
    asyncio.run(fill(path, 300))
    body = """
terms = ClaimTerms(worker=arguments[0], methods=TERMS.methods, ttl=60)
async def attempt(name):
    lease = await store.claim(name, terms)
    if lease is not None:
        await store.finish(name, lease.fence, Outcome(code=None, payload=b""))
        print(name, lease.fence)
await asyncio.gather(*(attempt(f"operations/{n}") for n in range(300)))
"""
    lines = [line for printed in run_all(3, body, path) for line in printed.splitlines()]
    assert sorted(lines) == sorted(f"operations/{n} 1" for n in range(300))
    assert integrity(path) == "ok"


def test_work_is_handed_out_to_one_of_several_processes(path: Path) -> None:
    """Processes that ask what is due get different operations, and together all (RUN-1)."""
    asyncio.run(fill(path, 300))
    body = """
while names := await store.due(TERMS.methods, limit=7, hold=600):
    print("\\n".join(name for name, _ in names))
"""
    lines = [line for printed in run_all(3, body, path) for line in printed.splitlines()]
    assert Counter(lines) == Counter(f"operations/{n}" for n in range(300))


def test_a_request_makes_one_operation_among_processes(path: Path) -> None:
    """The same request id in several processes at once gives the same operation everywhere (SRV-7)."""
    body = """
for number in range(100):
    created = await store.create(new(f"operations/{arguments[0]}-{number}", request_id=f"id {number}"))
    print(number, created.record.name)
"""
    printed = run_all(3, body, path)
    assert printed[0] == printed[1] == printed[2]


def test_what_other_processes_do_is_heard(path: Path) -> None:
    """An end, a delete and a cancel in another process are told here, soon, whatever its clock says (SRV-6)."""
    body = """
async with opened(path, clock=lambda: 1000.0) as late:
    await late.finish("operations/0", 1, Outcome(code=None, payload=b""))
    await late.delete("operations/1", None)
    await late.request_cancel("operations/2", None)
"""

    async def scenario() -> None:
        async with opened(path) as store:
            for number in range(3):
                await store.create(new(f"operations/{number}"), TERMS)
            async with contextlib.aclosing(store.watch()) as changes:
                heard: set[str] = set()
                first = asyncio.create_task(anext(changes))
                await asyncio.sleep(0)
                child = await asyncio.to_thread(start, body, path)
                heard |= await first
                while len(heard) < 3:
                    heard |= await anext(changes)
                assert heard == {f"operations/{number}" for number in range(3)}
                _, _ = await asyncio.to_thread(child.communicate)

    play(scenario)


def test_every_change_among_thousands_is_heard(path: Path) -> None:
    """Whoever watches while two stores end operations at once, and others come to nothing, misses none (SRV-6)."""

    async def scenario() -> None:
        names = [f"operations/{n}" for n in range(1500)]
        async with opened(path) as here, opened(path) as there, opened(path) as elsewhere:
            await asyncio.gather(*(here.create(new(name), TERMS) for name in names))
            heard: set[str] = set()

            async def hear(store: SqliteStore) -> set[str]:
                heard: set[str] = set()
                async with contextlib.aclosing(store.watch()) as changes:
                    async for some in changes:
                        heard |= some
                        if heard >= set(names):
                            return heard
                return heard

            async def end(store: SqliteStore, some: list[str]) -> None:
                for name in some:
                    with contextlib.suppress(UnicodeEncodeError):
                        await store.release({f"{name}": 7, "\ud800": 1})
                    await store.finish(name, 1, DONE)

            listeners = [asyncio.create_task(hear(store)) for store in (here, there, elsewhere)]
            await asyncio.sleep(0)
            await asyncio.gather(
                *(end(here, names[n::8]) for n in range(4)), *(end(there, names[n::8]) for n in range(4, 8))
            )
            for heard in await asyncio.wait_for(asyncio.gather(*listeners), 30):
                assert heard == set(names)

    play(scenario)


def test_own_changes_are_told_once(path: Path) -> None:
    """What this store wrote itself is told at once, and not again when the file is looked at (SRV-6)."""

    async def scenario() -> None:
        async with opened(path) as store, opened(path) as other:
            for number in range(20):
                await store.create(new(f"operations/{number}"), TERMS)
            async with contextlib.aclosing(store.watch()) as changes:
                for number in range(19):
                    heard = asyncio.create_task(anext(changes))
                    await asyncio.sleep(0)
                    await store.finish(f"operations/{number}", 1, DONE)
                    assert await heard == {f"operations/{number}"}
                    await asyncio.sleep(0.01 * (number % 4))  # the file is looked at here and there
                await other.delete("operations/19", None)
                assert await anext(changes) == {"operations/19"}

    play(scenario)


def test_what_came_to_nothing_hides_nothing(path: Path, tap: Tap) -> None:
    """After a call that failed halfway, and after a transaction that failed, watchers here and elsewhere miss no change (SRV-6)."""

    async def told(changes: AsyncGenerator[frozenset[str], None], name: str) -> None:
        async with asyncio.timeout(20):
            assert await anext(changes) == {name}

    async def scenario() -> None:
        async with opened(path) as here, opened(path) as there:
            for number in range(5):
                await here.create(new(f"operations/{number}"), TERMS)
            async with contextlib.aclosing(here.watch()) as near, contextlib.aclosing(there.watch()) as far:
                both = [asyncio.create_task(told(changes, "operations/0")) for changes in (near, far)]
                await asyncio.sleep(0)
                await together(
                    path, here.release({"operations/1": 7, "\ud800": 1}), here.finish("operations/0", 1, DONE)
                )
                await asyncio.gather(*both)
                await here.finish("operations/1", 1, DONE)
                await asyncio.gather(told(near, "operations/1"), told(far, "operations/1"))
                writer = tap.writers[0]
                (pages,) = writer.execute("pragma page_count").fetchone()
                writer.execute(f"pragma max_page_count = {pages}")
                with pytest.raises(StoreUnavailableError):
                    await here.finish("operations/2", 1, Outcome(code=None, payload=bytes(100_000)))
                await there.finish("operations/3", 1, DONE)
                await asyncio.gather(told(near, "operations/3"), told(far, "operations/3"))

    play(scenario)


def test_a_new_watcher_hears_of_nothing_old(path: Path) -> None:
    """Watching begins now: what ended before, in whatever process, is not told (SRV-6)."""

    async def scenario() -> None:
        async with opened(path) as store, opened(path) as other:
            for number in range(50):
                await other.create(new(f"operations/{number}"), TERMS)
                await other.finish(f"operations/{number}", 1, DONE)
            await other.create(new("operations/new"), TERMS)
            for _ in range(2):  # the second time the thread that looks is there already
                async with contextlib.aclosing(store.watch()) as changes:
                    heard = asyncio.create_task(anext(changes))
                    await asyncio.sleep(0)
                    await other.request_cancel("operations/new", None)
                    assert await heard == {"operations/new"}
                await other.finish("operations/new", 1, DONE)
                await other.purge(older_than=-10, limit=100)
                await other.create(new("operations/new"), TERMS)

    play(scenario)


def test_nobody_looks_while_nobody_watches(path: Path, tap: Tap) -> None:
    """The file is looked at every few hundredths of a second while somebody watches, and otherwise never (SRV-6)."""

    def looks() -> int:
        return sum("data_version" in statement for statement in tap.statements)

    async def scenario() -> None:
        async with opened(path) as store:
            await store.create(new("operations/1"))
            await asyncio.sleep(0.1)
            assert looks() == 0
            watchers = [asyncio.create_task(anext(store.watch())) for _ in range(10)]
            deadline = time.monotonic() + 20
            while looks() < 5:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)
            for watcher in watchers:
                watcher.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)
            before = -1
            while looks() != before:  # one look may be under way
                assert time.monotonic() < deadline
                before = looks()
                await asyncio.sleep(0.2)

    play(scenario)


def test_a_busy_process_leaves_gaps_for_others(path: Path) -> None:
    """While others write without a pause, each still gets its turn, long before the timeout (RUN-5)."""
    body = """
async def work(worker):
    for number in range(400):
        await store.create(new(f"operations/{arguments[0]}-{worker}-{number}"))
await asyncio.gather(*(work(worker) for worker in range(4)))
"""
    run_all(3, body, path)  # with a timeout of 5 s, none fails

    async def scenario() -> None:
        async with opened(path) as store:
            names = [f"operations/{p}-{w}-{n}" for p in range(3) for w in range(4) for n in range(400)]
            assert await store.settled(names) == frozenset()

    play(scenario)
