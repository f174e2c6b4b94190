# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Lists over the wire: pages, their tokens, parents and filters; kind ones and hostile ones."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from typing import Any

import grpc

from example.library.v1 import library_pb2
from longrunning import Code, OperationError, Status
from longrunning.server import AllowAll, NamePattern, OperationsServer
from tests.pair.callers import Caller, Said, fronted
from tests.pair.colours import CREATE_SHELF
from tests.pair.serving import (
    ABSENT,
    CREATE,
    NAMES,
    PARENT,
    Edge,
    Place,
    Running,
    bounds,
    everywhere,
    handled,
    importing,
    imports,
    over,
)

both_edges = over(stores=("memory",))
on_aio = over(edges=(Edge.AIO,))  # what the edge has no part in
OTHERS = "shelves/2"
KEYS = [bytes(range(32)), bytes(range(32, 64)), bytes(range(64, 96))]


def books(parent: str = PARENT, **fields: Any) -> library_pb2.ImportBooksRequest:
    """A request to import."""
    return library_pb2.ImportBooksRequest(parent=parent, uri="file:books", **fields)


async def started(running: Running, count: int, parent: str = PARENT) -> list[str]:
    """So many operations, all done, newest first."""
    names = [await running.start(request=books(parent, count=number)) for number in range(count)]
    for name in names:
        await running.done(name)
    return names[::-1]


def changed(token: str, at: int) -> str:
    """A token with one character replaced by another of the alphabet."""
    return f"{token[:at]}{'A' if token[at] != 'A' else 'B'}{token[at + 1 :]}"


def registered(server: Any) -> None:
    """Handlers that succeed, and that fail where they are told to, each with metadata."""

    async def import_books(request: library_pb2.ImportBooksRequest, context: Any) -> library_pb2.ImportBooksResponse:
        await context.update(library_pb2.ImportBooksMetadata(total=request.count))
        if request.fail_at:
            raise OperationError(Status(Code.NOT_FOUND, "no such book"))
        shelf = library_pb2.Shelf(name=request.parent, theme=request.uri)
        return library_pb2.ImportBooksResponse(imported=request.count, shelf=shelf)

    def create_shelf(request: library_pb2.CreateShelfRequest, context: Any) -> library_pb2.Shelf:
        return request.shelf

    importing(import_books)(server)
    handled(CREATE_SHELF, create_shelf)(server)


# -- pages ------------------------------------------------------------------------------------------------------


@everywhere
async def test_pages_hold_everything_once_newest_first(place: Place) -> None:
    """Whatever the size of its pages, a list holds every operation once, the newest first, and ends (PAGE-1)."""
    async with place.serving(importing(imports)) as running:
        names = await started(running, 7)
        caller = Caller(running.channel)
        for size in (1, 2, 3, 6, 7, 8, 100):
            pages = await caller.pages(PARENT, page_size=size)
            assert [name for page in pages for name in page.names] == names
            assert [len(page.names) for page in pages[:-1]] == [size] * (len(pages) - 1)
            assert len(pages) == -(-7 // size)  # no empty page at the end


@on_aio
async def test_page_sizes_have_a_default_and_a_maximum(place: Place) -> None:
    """0 is the default, more than the maximum is the maximum, up to the largest number there is (PAGE-1)."""
    limits = bounds(default_page_size=2, max_page_size=4)
    async with place.serving(importing(imports), limits=limits) as running:
        names = await started(running, 6)
        caller = Caller(running.channel)
        for size, expected in ((0, 2), (3, 3), (4, 4), (5, 4), (1_000_000, 4), (2**31 - 1, 4)):
            said = await caller.list(PARENT, page_size=size)
            assert said.names == names[:expected]
            rest = await caller.listed(PARENT, page_size=size, page_token=said.page.next_page_token)
            assert rest == names[expected:]


@both_edges
async def test_a_negative_page_size_is_refused(place: Place) -> None:
    """A negative page size is INVALID_ARGUMENT, also with a token or for an empty list (PAGE-1)."""
    async with place.serving(importing(imports)) as running:
        caller = Caller(running.channel)
        await started(running, 2)
        token = (await caller.list(PARENT, page_size=1)).page.next_page_token
        for size in (-1, -100, -(2**31)):
            each: list[dict[str, str]] = [{}, {"page_token": token}, {"filter": "done = true"}]
            for fields in each:
                for parent in (PARENT, "shelves/empty", "shelves/-"):
                    said = await caller.list(parent, page_size=size, **fields)
                    assert said.field == "page_size"
                    assert str(size) in said.message


@on_aio
async def test_the_page_size_may_change_on_the_way(place: Place) -> None:
    """A token holds for pages of any size: each request says its own (AIP-158, PAGE-1)."""
    async with place.serving(importing(imports)) as running:
        names = await started(running, 6)
        caller = Caller(running.channel)
        first = await caller.list(PARENT, page_size=1)
        second = await caller.list(PARENT, page_size=3, page_token=first.page.next_page_token)
        third = await caller.list(PARENT, page_token=second.page.next_page_token)
        assert [first.names, second.names, third.names] == [names[:1], names[1:4], names[4:]]


@everywhere
async def test_the_order_holds_while_operations_come_and_go(place: Place) -> None:
    """Between two pages operations are started, deleted and purged: the rest is listed once, in order (PAGE-1)."""
    async with place.serving(importing(imports)) as running:
        old = await started(running, 4)
        caller = Caller(running.channel)
        middle = await started(running, 6)
        first = await caller.list(PARENT, page_size=2)
        assert first.names == middle[:2]
        await started(running, 3)  # newer than the place of the token
        for name in (middle[0], middle[1], middle[2], middle[4]):  # those the page ended with, and some after them
            await caller.about("DeleteOperation", name)
        second = await caller.list(PARENT, page_size=2, page_token=first.page.next_page_token)
        assert second.names == [middle[3], middle[5]]
        await running.on_loop(running.store.purge(older_than=-1, limit=3))  # three of the old ones
        assert await caller.listed(PARENT, page_token=second.page.next_page_token) == old[:1]
        await running.on_loop(running.store.purge(older_than=-1, limit=100))
        last = await caller.list(PARENT, page_token=second.page.next_page_token)
        assert (last.names, last.page.next_page_token) == ([], "")


@everywhere
async def test_the_same_page_can_be_fetched_again(place: Place) -> None:
    """A page that got lost is asked for again with the same token, and is the same, its token too (PAGE-1)."""
    async with place.serving(importing(imports)) as running:
        await started(running, 5)
        caller = Caller(running.channel)
        token = (await caller.list(PARENT, page_size=2)).page.next_page_token
        pages = [await caller.list(PARENT, page_size=2, page_token=token) for _ in range(3)]
        assert pages[0] == pages[1] == pages[2]
        assert pages[0].names


@on_aio
async def test_an_empty_list_is_no_error(place: Place) -> None:
    """A parent without operations, which may exist or not, has an empty page and no token (PAGE-1)."""
    async with place.serving(importing(imports)) as running:
        said = await Caller(running.channel).list("shelves/nobody-has-this")
        assert said == Said(code=grpc.StatusCode.OK)  # not one byte


@on_aio
async def test_a_client_reads_all_pages(place: Place) -> None:
    """Our client turns the pages as they are read, whatever is asked for with them (PAGE-1, CTRL-4)."""
    async with place.serving(registered) as running:
        names = await started(running, 5)
        each: list[dict[str, Any]] = [{"page_size": 2}, {"page_size": 1, "filter": "done = true"}, {}]
        for options in each:
            assert [operation.name async for operation in running.client.list(PARENT, **options)] == names


# -- tokens -----------------------------------------------------------------------------------------------------


@both_edges
async def test_every_character_of_a_token_counts(place: Place) -> None:
    """A token with any of its characters changed, cut, or continued is INVALID_ARGUMENT, all in the same words (PAGE-1)."""
    async with place.serving(importing(imports)) as running:
        await started(running, 3)
        caller = Caller(running.channel)
        token = (await caller.list(PARENT, page_size=1)).page.next_page_token
        bad = {changed(token, at) for at in range(len(token))}
        bad |= {token[:-1], token[1:], token[: len(token) // 2], f"{token}A", f"{token}=", f"{token}==", token * 2}
        bad |= {token.swapcase(), f" {token}", f"{token}\n", f"{token}\0", "A" * len(token), "x", "0", "\u202e" * 44}
        bad |= {"=" * 44, "../" * 15, "' or 1=1 --", "%2F" * 14, "é" * 44, "A" * 1_000_000}
        said = {await caller.list(PARENT, page_size=1, page_token=text) for text in bad - {token}}
        [answer] = said
        assert answer.field == "page_token"
        assert len((await caller.list(PARENT, page_size=1, page_token=token)).names) == 1


@everywhere
async def test_a_token_belongs_to_its_list(place: Place) -> None:
    """With another parent, or another filter, a token is INVALID_ARGUMENT (PAGE-1)."""
    async with place.serving(registered) as running:
        await started(running, 3)
        await started(running, 3, OTHERS)
        caller = Caller(running.channel)
        lists: list[tuple[str, dict[str, Any]]] = [
            (PARENT, {}),
            (OTHERS, {}),
            ("shelves/-", {}),
            (PARENT, {"filter": "done = true"}),
            (PARENT, {"filter": "NOT done = false"}),
            ("shelves/-", {"filter": "done = true"}),
        ]
        tokens = [(await caller.list(parent, page_size=1, **fields)).page.next_page_token for parent, fields in lists]
        assert all(tokens)
        for at, token in enumerate(tokens):
            for other, (parent, fields) in enumerate(lists):
                said = await caller.list(parent, page_size=1, page_token=token, **fields)
                if at == other:
                    assert len(said.names) == 1
                else:
                    assert said.field == "page_token", (lists[at], lists[other])


@everywhere
async def test_replicas_on_one_store_read_each_others_tokens(place: Place) -> None:
    """Without a word about keys, two servers on one store turn the pages of one list, and so after a restart (SRV-11)."""
    async with place.serving(importing(imports)) as first:
        names = await started(first, 6)
        token = (await Caller(first.channel).list(PARENT, page_size=2)).page.next_page_token
        replica = OperationsServer(store=place.store(), authorizer=AllowAll(), names=NAMES)
        async with replica, fronted(Running(place.edge, replica, first.store, first.address)) as channel:
            said = await Caller(channel).list(PARENT, page_size=2, page_token=token)
            assert said.names == names[2:4]
            back = said.page.next_page_token
        assert await Caller(first.channel).listed(PARENT, page_size=2, page_token=back) == names[4:]
    async with place.serving(importing(imports)) as restarted:
        assert await Caller(restarted.channel).listed(PARENT, page_token=token) == names[2:]


@everywhere
async def test_keys_are_rotated_one_server_after_the_other(place: Place) -> None:
    """A token outlives the change to a new key while the old one is still accepted, and then it does not (SRV-11)."""

    async def turned(keys: list[bytes], token: str, count: int = 0) -> Said:
        options = {"page_token_keys": keys}
        async with place.serving(importing(imports), store=place.store(), **options) as running:
            for _ in range(count):
                await running.done(await running.start())
            return await Caller(running.channel).list(PARENT, page_size=1, page_token=token)

    old = (await turned([KEYS[0]], "", count=4)).page.next_page_token
    said = await turned([KEYS[0], KEYS[1]], old)  # it is told of the new key before anybody signs with it
    signed_by_old = said.page.next_page_token
    said = await turned([KEYS[1], KEYS[0]], signed_by_old)
    signed_by_new = said.page.next_page_token
    assert len({old, signed_by_old, signed_by_new}) == 3
    assert len((await turned([KEYS[1]], signed_by_new)).names) == 1
    assert (await turned([KEYS[1]], signed_by_old)).field == "page_token"
    assert (await turned([KEYS[2]], signed_by_new)).field == "page_token"


# -- parents ----------------------------------------------------------------------------------------------------


@everywhere
async def test_a_dash_stands_for_any_parent(place: Place) -> None:
    """`-` in the place of an id lists all parents (AIP-159), page by page, with filters, and nothing twice (PAGE-1)."""
    names = NamePattern("projects/{project}/shelves/{shelf}/operations/{operation}")
    parents = [f"projects/{project}/shelves/{shelf}" for project in "pq" for shelf in ("1", "2", "10", "21")]
    async with place.serving(importing(imports), names=names) as running:
        of: dict[str, list[str]] = {parent: [] for parent in parents}
        for _ in range(2):
            for parent in parents:
                of[parent].insert(0, await running.start(request=books(parent)))
        for found in of.values():
            for name in found:
                await running.done(name)
        caller = Caller(running.channel)
        expected: dict[str, set[str]] = {
            "projects/-/shelves/-": set(parents),
            "projects/p/shelves/-": set(parents[:4]),
            "projects/-/shelves/1": {parents[0], parents[4]},
            "projects/-/shelves/2": {parents[1], parents[5]},
            "projects/-/shelves/3": set(),
            "projects/p/shelves/2/operations": {parents[1]},
            "projects/-/shelves/-/operations": set(parents),
        }
        for wanted, fitting in expected.items():
            each: list[dict[str, Any]] = [{}, {"page_size": 1}, {"page_size": 3, "filter": "done = true"}]
            for fields in each:
                listed = await caller.listed(wanted, **fields)
                assert sorted(listed) == sorted(name for parent in fitting for name in of[parent])


MALFORMED = (
    "",
    "/",
    "shelves",
    "shelves/",
    "/shelves/1",
    "shelves/1/",
    "shelves//operations",
    "shelves/1/books/2",
    "shelves/1/operations/op-1",
    "shelves/1/operations/",
    "shelves/./operations",
    "shelves/..",
    "shelves/../shelves/1",
    "Shelves/1",
    "shelves\\1",
    "shelves/1 ",
    "shelves/\u00a01",
    "shelves/\u202e1",
    "shelves/1\n",
    "shelves/1\0",
    "shelves/{shelf}",
    "-",
    "-/-",
    "operations",
    "shelves%2F1",
    "projects/p/shelves/1",
    "shelves/" + "a" * 1_000_000,
    "shelves/-" + "/-" * 100_000,
    "/" * 100_000,
)


@both_edges
async def test_malformed_parents_are_refused(place: Place) -> None:
    """A name no operations can be listed of is INVALID_ARGUMENT, and says what one looks like (PAGE-1, SRV-1)."""
    async with place.serving(importing(imports)) as running:
        caller = Caller(running.channel)
        for name in MALFORMED:
            said = await caller.list(name)
            assert said.field == "name", name[:40]
            assert "shelves/{shelf}" in said.message
            assert len(said.message) < 500
            assert said.message.isprintable()  # nothing of it can fool a terminal


@both_edges
async def test_a_parent_named_like_the_collection(place: Place) -> None:
    """A shelf whose id is ``operations`` has operations like any other, and they can be listed (PAGE-1)."""
    parent = "shelves/operations"
    async with place.serving(importing(imports)) as running:
        [name] = await started(running, 1, parent)
        caller = Caller(running.channel)
        assert await caller.listed(parent) == [name]
        assert await caller.listed(f"{parent}/operations") == [name]
        assert await caller.listed("shelves/-/operations") == [name]


@on_aio
async def test_operations_without_a_parent(place: Place) -> None:
    """Where operations have no parent, they are listed by their collection, or by no name at all (PAGE-1, SRV-3)."""
    async with place.serving(importing(imports), names=NamePattern("operations/{operation}")) as running:
        names = await started(running, 3)
        caller = Caller(running.channel)
        assert await caller.listed("operations", page_size=2) == names
        assert await caller.listed("", page_size=2) == names
        token = (await caller.list("", page_size=2)).page.next_page_token  # as HTTP cannot ask for it
        assert await caller.listed("operations", page_token=token) == names[2:]
        for name in ("operations/", "operations/-", "-", "operation", "/operations", PARENT, "operations/op-1"):
            assert (await caller.list(name)).field == "name"


@on_aio
async def test_what_is_an_expression_elsewhere_is_a_name_here(place: Place) -> None:
    """Parents with characters that mean something to SQL or to expressions list their own, with and without `-` (PAGE-1)."""
    names = NamePattern("projects/{project}/shelves/{shelf}/operations/{operation}")
    ids = ("%", "_", ".*", "[a]", "a|b", "a'--", 'a"', "$", "^", "é", "(?i)A", "a%2Fb", "*", "--", "a;b")
    parents = [f"projects/p/shelves/{id_}" for id_ in ids]
    async with place.serving(importing(imports), names=names) as running:
        of = {parent: await started(running, 1, parent) for parent in parents}
        caller = Caller(running.channel)
        for parent in parents:
            assert await caller.listed(parent) == of[parent]
            assert await caller.listed(parent.replace("projects/p", "projects/-")) == of[parent]


# -- filters ----------------------------------------------------------------------------------------------------


@everywhere
async def test_filters_choose(place: Place) -> None:
    """Filters over own fields and those of payloads choose the same on every store and edge (FILT-2)."""
    async with place.serving(registered) as running:
        small = await running.start(request=books(count=1))
        large = await running.start(request=books(count=50))
        failed = await running.start(request=books(count=2, fail_at=1))
        shelf = await running.start(CREATE_SHELF, CREATE)
        everything = {small, large, failed, shelf}
        for name in everything:
            await running.done(name)
        caller = Caller(running.channel)
        chosen: dict[str, set[str]] = {
            "": everything,
            "  \t ": everything,
            "done = true": everything,
            "done = false": set(),
            "NOT done = true": set(),
            f'name = "{small}"': {small},
            f'name = "{small}" OR name = "{shelf}"': {small, shelf},
            f'-name = "{small}"': everything - {small},
            'name = "shelves/*"': everything,
            "error:*": {failed},
            "NOT error:*": everything - {failed},
            "error.code = 5": {failed},
            "error.code = NOT_FOUND": {failed},
            "error.code != 5": everything - {failed},
            'error.message = "no such*"': {failed},
            "metadata.total > 1": {large, failed},
            "metadata.total >= 1 AND NOT error:*": {small, large},
            "response.imported = 50": {large},
            "response.shelf.name = 'shelves/1'": {small, large},
            'response.theme = "music"': {shelf},
            'response.@type = "example.library.v1.Shelf"': {shelf},
            'metadata.@type = "type.googleapis.com/example.library.v1.ImportBooksMetadata"': {small, large, failed},
            'create_time > "2024-01-01T00:00:00Z"': everything,
            'end_time < "2024-01-01T00:00:00Z"': set(),
            "end_time:* start_time:*": everything,
            "(done = true OR done = false) (response.imported = 1 OR error.code = 5)": {small, failed},
        }
        for text, expected in chosen.items():
            for parent in (PARENT, "shelves/-"):
                for size in (0, 1):
                    assert set(await caller.listed(parent, filter=text, page_size=size)) == expected, text


HOSTILE_FILTERS = {
    "done =": 7,
    "= true": 1,
    "nope = 1": 1,
    "done = true AND nope = 1": 17,
    "metadata.nope = 1": 10,
    "response.shelf.nope = 1": 16,
    "done = maybe": 8,
    "done > true": 6,
    "error.code = nope": 14,
    "done = true)": 12,
    "(done = true": 13,
    '"': 1,
    "name = 'x": 8,
    "done == true": 7,
    "done = true && name:*": 13,
    "create_time > yesterday": 15,
    "name = x\0y": 9,
    "x" * 2001: 2001,
    "(" * 21 + "done = true" + ")" * 21: 21,
    "done = true " * 101: 1206,
    "-" * 30: 2,
    "name(1) = 2": 1,
    "hello": 1,
    "x' OR '1'='1": 2,
    "1; DROP TABLE operations": 2,
    "name = \\": 8,
    "é = 1": 1,
    "\u202edone = true": 1,
    "name = 'a' name = 'b' AND": 26,
}


@both_edges
async def test_bad_filters_are_refused_with_the_position(place: Place) -> None:
    """A filter that cannot be is INVALID_ARGUMENT with the position of what is wrong, and words about it (FILT-2)."""
    async with place.serving(registered) as running:
        await started(running, 1)
        caller = Caller(running.channel)
        for text, position in HOSTILE_FILTERS.items():
            said = await caller.list(PARENT, filter=text)
            assert said.field == "filter", text[:60]
            [found] = re.findall(r"^filter: position (\d+): ", said.message)
            assert abs(int(found) - position) <= 1, (text[:60], said.message)
            assert len(said.message) < 600
            # a filter of a list of nothing is no better
            assert await caller.list("shelves/empty", filter=text) == said


@everywhere
async def test_values_are_only_ever_values(place: Place) -> None:
    """SQL in the literals of filters is text like any other: it finds what is so called, and does nothing (FILT-2)."""
    evil = "x'; DROP TABLE operations; --"
    async with place.serving(registered) as running:
        name = await running.start(request=library_pb2.ImportBooksRequest(parent=PARENT, uri=evil, count=1))
        other = await running.start()
        for started_ in (name, other):
            await running.done(started_)
        caller = Caller(running.channel)
        assert await caller.listed(PARENT, filter=f'response.shelf.theme = "{evil}"') == [name]
        for text in (
            evil,
            "x' OR '1'='1",
            "%",
            "_",
            "x\\\\",
            '\\"',
            "'||(select 1)||'",
            "1) or (1=1",
            "?",
            ":name",
            "?1",
        ):
            quoted = text if text.startswith("\\") or text.endswith("\\") else text.replace('"', '\\"')
            for field in ("name", "error.message", "response.shelf.theme"):
                expected = [name] if text == evil and field == "response.shelf.theme" else []
                assert await caller.listed(PARENT, filter=f'{field} = "{quoted}"') == expected
        assert set(await caller.listed(PARENT)) == {name, other}
    if place.kind == "sqlite":
        with sqlite3.connect(place.folder / "operations.db") as connection:
            assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
        connection.close()


# -- the scan cap -----------------------------------------------------------------------------------------------


@everywhere
async def test_a_capped_page_is_continued(place: Place) -> None:
    """Where a page may look at few records, pages are short or empty, and lead to the end all the same (PAGE-1, FILT-2)."""
    limits = bounds(max_scan=4, default_page_size=3)
    async with place.serving(registered, limits=limits) as running:
        names = await started(running, 14)
        await started(running, 3, OTHERS)
        caller = Caller(running.channel)
        few = [names[at] for at in range(14) if (13 - at) % 7 == 0]  # counts 0 and 7
        text = "response.imported = 0 OR response.imported = 7"
        pages = await caller.pages(PARENT, filter=text)
        assert [name for page in pages for name in page.names] == few
        assert 4 <= len(pages) <= 6
        assert any(not page.names and page.page.next_page_token for page in pages)
        assert await caller.listed("shelves/-", filter=text) != []
        assert await caller.listed("shelves/1", filter="response.imported = 99") == []
        for size in (1, 2, 5, 100):
            assert await caller.listed("shelves/-", page_size=size, filter="metadata.total >= 3") == [
                name for name in names if int(names[::-1].index(name)) >= 3
            ]
            assert await caller.listed(PARENT, page_size=size) == names
        assert [found.name async for found in running.client.list(PARENT, filter=text)] == few


@on_aio
async def test_a_cap_of_one_record_reaches_the_end(place: Place) -> None:
    """Even one record at a time, lists of one parent, of all, and of no match come to their end (PAGE-1)."""
    async with place.serving(registered, limits=bounds(max_scan=1)) as running:
        names = await started(running, 5)
        caller = Caller(running.channel)
        assert await caller.listed(PARENT) == names
        assert await caller.listed("shelves/-", filter="response.imported > 2") == names[:2]
        assert await caller.listed("shelves/-", filter="response.imported > 99") == []
        assert await caller.listed("shelves/nobody") == []
        assert await caller.listed("shelves/-", filter="done = false") == []


@on_aio
async def test_no_filter_holds_the_server(place: Place) -> None:
    """A filter that is slow to decide about large payloads gets short pages in good time, and nobody waits (FILT-2, PAGE-1)."""
    text = " OR ".join(f'response.theme="*y{number}*"' for number in range(77))
    assert len(text) <= bounds().max_filter_length

    async def create(request: library_pb2.CreateShelfRequest, context: Any) -> library_pb2.Shelf:
        return library_pb2.Shelf(theme="x" * (1 << 20))

    async with place.serving(handled(CREATE_SHELF, create)) as running:
        caller = Caller(running.channel)
        names = [await running.start(CREATE_SHELF, CREATE) for _ in range(40)]
        for name in names:
            await running.done(name)
        listing = asyncio.ensure_future(caller.list(PARENT, filter=text))
        while not listing.done():
            assert (await caller.about("GetOperation", ABSENT)).code is grpc.StatusCode.NOT_FOUND
        first = await listing
        assert first.names == []
        assert first.page.next_page_token  # it did not look at all of them, which takes seconds
        second = await caller.list(PARENT, filter=text, page_token=first.page.next_page_token)
        assert second.page.next_page_token not in {"", first.page.next_page_token}
