# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Tables of hostile values, sent to all methods: refused as what they are, in words that help, and never INTERNAL."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TypeVar

import grpc
import pytest
from google.protobuf import duration_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from example.library.v1 import library_pb2
from longrunning import Code, StartError
from longrunning._pb import operations_pb2
from tests.pair.callers import FIVE, ON_ONE, START, Caller, Said, asking
from tests.pair.colours import CREATE_SHELF, IMPORT_BOOKS
from tests.pair.serving import (
    DELETE_SHELF,
    IMPORT,
    NAMES,
    PARENT,
    Gate,
    Place,
    bounds,
    everywhere,
    importing,
    imports,
    over,
)

T = TypeVar("T")

both_edges = over(stores=("memory",))
INVALID, NOT_FOUND, OK = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.OK
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
MEGABYTE = 1_000_000
ID = "op-" + "0" * 32

MALFORMED_NAMES = (
    "",
    "/",
    "operations",
    "operations/op-1",
    PARENT,
    f"{PARENT}/operations",
    f"{PARENT}/operations/",
    f"/{PARENT}/operations/{ID}",
    f"{PARENT}/operations/{ID}/",
    f"{PARENT}//operations/{ID}",
    f"{PARENT}/operations//{ID}",
    f"{PARENT}/operations/{ID}/operations/{ID}",
    f"{PARENT}/operation/{ID}",
    f"{PARENT}/Operations/{ID}",
    f"{PARENT}/operations/-",
    f"shelves/-/operations/{ID}",
    f"{PARENT}/operations/.",
    f"{PARENT}/operations/..",
    f"shelves/../operations/{ID}",
    f"../{PARENT}/operations/{ID}",
    f"{PARENT}/operations/{ID}\0",
    f"{PARENT}\0/operations/{ID}",
    f"\0{PARENT}/operations/{ID}",
    f"{PARENT}/operations/{ID}\n",
    f"{PARENT}/operations/\n",
    f"{PARENT}/operations/a b",
    f" {PARENT}/operations/{ID}",
    f"{PARENT}/operations/{ID}\t",
    f"{PARENT}/operations/{ID}\x7f",
    f"{PARENT}/operations/{ID}\x1b[31m",
    f"{PARENT}/operations/\u202eone",  # what follows is shown from right to left
    f"{PARENT}/operations/\u200b",  # of no width
    f"{PARENT}/operations/\ufeff{ID}",
    f"{PARENT}/operations/\u2028",
    f"{PARENT}/operations/\u00a0",
    f"{PARENT}/operations/\ue000",
    f"{PARENT}/operations/\ufffe",
    f"{PARENT}/operations/\U0010ffff",
    f"shelves\uff0f1\uff0foperations\uff0f{ID}",  # slashes of full width
    f"shelves\\1\\operations\\{ID}",
    f"shelves%2F1%2Foperations%2F{ID}",
    "{operation}",
    f"{PARENT}/operations/{{operation}}",
    "shelves/{shelf}/operations/{operation}",
    "a" * MEGABYTE,
    "/" * MEGABYTE,
    f"{PARENT}/operations/" + "a" * MEGABYTE,
    "shelves/" + "a" * MEGABYTE + f"/operations/{ID}",
    f"{PARENT}/operations/" + "é" * (MEGABYTE // 2),
    f"{PARENT}/operations/" + "\U0001f4da" * (MEGABYTE // 4),
    "%s%n{0}${HOME}`id`",
    "https://example.com/" + PARENT,
)
UNKNOWN_NAMES = (
    f"{PARENT}/operations/{ID}",
    f"{PARENT}/operations/1",
    f"{PARENT}/operations/x'--",
    f"{PARENT}/operations/x';DROP\u00b7TABLE\u00b7operations;--",
    f"{PARENT}/operations/1'OR'1'='1",
    f'{PARENT}/operations/"',
    f"{PARENT}/operations/%",
    f"{PARENT}/operations/_",
    f"{PARENT}/operations/*",
    f"{PARENT}/operations/?",
    f"{PARENT}/operations/%2E%2E",
    f"{PARENT}/operations/%2F",
    f"{PARENT}/operations/%00",
    f"{PARENT}/operations/...",
    f"{PARENT}/operations/--",
    f"{PARENT}/operations/operations",
    f"shelves/shelves/operations/{ID}",
    f"{PARENT}/operations/\u212b",  # Å, in one of its three spellings
    f"{PARENT}/operations/e\u0301",
    f"{PARENT}/operations/\U0001f4da",
    f"{PARENT}/operations/$(id)`id`",
    f"{PARENT}/operations/" + "a" * 1000,
    f"{PARENT}/operations/\\x00",
    f"{PARENT}/operations/null",
    f"{PARENT}/operations/{ID.upper()}",
)
PARENTS_OF_NOTHING = (
    "",
    "-",
    "shelves",
    "shelves/",
    "/shelves/1",
    "shelves/-",
    "shelves/.",
    "shelves/..",
    "shelves/..\0",
    "shelves/a\nb",
    "shelves/ ",
    "shelves/\u202e",
    "shelves/{shelf}",
    "projects/1",
    "shelves\\1",
    "shelves%2F1",
    "shelves/" + "a" * MEGABYTE,
    "/" * MEGABYTE,
    "\0",
)
PECULIAR_PARENTS = (
    "shelves/operations",
    "shelves/%",
    "shelves/'--",
    "shelves/é\u0301",
    "shelves/\U0001f4da",
    "shelves/--",
    "shelves/...",
    "shelves/1/books/2",  # its operations belong to the shelf
    "shelves/" + "a" * 900,
    "shelves/a%2Fb",
    "shelves/?x=y#z",
)
UNDECODABLE = (
    b"\xff",
    b"\x00",
    b"\x0a",  # a string without a length
    b"\x0a\x05abc",  # shorter than it says
    b"\x0a\xff\xff\xff\xff\x0f",  # as long as can be said
    b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x0b" * 200,  # groups in groups
    b"\x0c",
    b"\x0f\x01",
    b'{"name": "operations/1"}',
    b"\x0a\x02\xff\xfe",  # strings that are not UTF-8
    b"\x0a\x02\xc0\x80",  # … an overlong NUL
    b"\x0a\x03\xed\xa0\x80",  # … half of a surrogate pair
    b"\x0a\x04\xf4\x90\x80\x80",  # … beyond the last character
    b"\x0a\x01\x80",
    b"\x80" * 11,
    b"\x1f\x8b\x08\x00",  # the beginning of what gzip writes
)


def said_to_help(said: Said, context: object = None) -> None:
    """Whoever reads it knows what was wrong; it is short, and cannot fool a terminal."""
    assert said.message, context
    assert len(said.message) < 1000, context
    assert said.message.isprintable(), context
    for leaked in ("Traceback", ".py", "sqlite", "SQL", "Error:", "0x", "line "):
        assert leaked not in said.message, (context, said.message)
    assert sum(len(key) + len(value) for key, value in said.trailers) < 4000


def tried(strategy: st.SearchStrategy[T], count: int) -> list[T]:
    """What hypothesis comes up with, always the same: to be sent to one server rather than to one for each."""
    examples: list[T] = []

    @settings(max_examples=count, derandomize=True, database=None)
    @given(strategy)
    def collect(example: T) -> None:
        examples.append(example)

    collect()
    return examples


@pytest.fixture(autouse=True)
def nothing_is_logged_as_an_error(caplog: pytest.LogCaptureFixture) -> Iterable[None]:
    """What a caller can do wrong is no error of the server: nobody is to be woken up for it."""
    with caplog.at_level(logging.DEBUG):
        yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


# -- names ------------------------------------------------------------------------------------------------------


@both_edges
async def test_malformed_names_are_invalid(place: Place) -> None:
    """What cannot be a name is INVALID_ARGUMENT about `name`, for four methods, with what one looks like (SRV-1)."""
    async with place.serving() as running:
        caller = Caller(running.channel)
        for name in MALFORMED_NAMES:
            for rpc in ON_ONE:
                said = await caller.about(rpc, name)
                assert said.code is INVALID, (rpc, name[:60], said)
                assert said.field == "name"
                assert NAMES.template in said.message
                said_to_help(said, name[:60])


@everywhere
async def test_names_nobody_has_are_not_found(place: Place) -> None:
    """What could be a name, with SQL, wildcards or escapes in it, is NOT_FOUND, and touches no other operation (SRV-1)."""
    gate = Gate()
    async with place.serving(importing(gate.aio)) as running:
        caller = Caller(running.channel)
        name = await caller.start()
        await gate.entered()
        for unknown in UNKNOWN_NAMES:
            for rpc in ON_ONE:
                said = await caller.about(rpc, unknown)
                assert said.code is NOT_FOUND, (rpc, unknown, said)
                assert said.trailers == ()
                assert ascii(unknown)[:200] in said.message
                said_to_help(said, unknown)
        assert not gate.contexts[0].cancel_requested
        gate.open()
        assert (await caller.done(name)).HasField("response")


@everywhere
async def test_no_other_spelling_names_an_operation(place: Place) -> None:
    """An operation has one name: no case, slash, dot, escape or white space leads to it another way (SRV-1, SRV-3)."""
    async with place.serving() as running:
        caller = Caller(running.channel)
        name = await caller.start()
        await caller.done(name)
        parent, _, last = name.rpartition("/")
        spellings = {
            name.upper(),
            f"{parent}/{last.upper()}",
            f"{parent}//{last}",
            f"{parent}/./{last}",
            f"{parent}/x/../{last}",
            f"/{name}",
            f"{name}/",
            f"{name} ",
            f"{name}\0",
            f"{name}\n",
            f"{name}%00",
            name.replace("/", "%2F"),
            name.replace("o", "%6f"),
            f"{name}?",
            f"{name}#",
            f"//host/{name}",
            name.replace("shelves/1", "shelves/01"),
            name.replace("shelves/1", "shelves/\uff11"),
            name.replace("shelves/1", "shelves/-"),
            name[:-1],
            f"{name}0",
            f"{parent}/{last[:-1]}_",
            f"{parent}/{last[:-1]}%",
        }
        for spelling in spellings - {name}:
            for rpc in ON_ONE:
                assert (await caller.about(rpc, spelling)).code in {INVALID, NOT_FOUND}, (rpc, spelling)
        assert (await caller.about("GetOperation", name)).code is OK


@both_edges
async def test_any_text_is_answered(place: Place) -> None:
    """Whatever text is a name, parent, filter or token: INVALID_ARGUMENT or NOT_FOUND, or a list (SRV-1, PAGE-1, FILT-2)."""
    names = st.text(max_size=30) | st.builds(
        "shelves/{}/operations/{}".format, st.text(max_size=8), st.text(max_size=8)
    )
    async with place.serving() as running:
        caller = Caller(running.channel)
        for text in tried(names, 60):
            for rpc in ON_ONE:
                said = await caller.about(rpc, text)
                assert said.code in {INVALID, NOT_FOUND}, (rpc, text, said)
                said_to_help(said, text)
            each: list[dict[str, str]] = [{}, {"filter": text}, {"page_token": text or "x"}]
            for fields in each:
                said = await caller.list(PARENT if fields else text, **fields)
                assert said.code in {INVALID, OK}, (fields, text, said)
            said = await caller.ask(START, library_pb2.ImportBooksRequest(parent=text))
            assert said.code in {INVALID, OK}, (text, said)


# -- starting ---------------------------------------------------------------------------------------------------


@both_edges
async def test_nothing_is_started_under_a_malformed_parent(place: Place) -> None:
    """A request without a parent for its operation is INVALID_ARGUMENT, names the field, and stores nothing (SRV-2)."""
    async with place.serving() as running:
        caller = Caller(running.channel)
        for parent in PARENTS_OF_NOTHING:
            for path, request, field in (
                (START, library_pb2.ImportBooksRequest(parent=parent), "parent"),
                (DELETE_SHELF.path, library_pb2.DeleteShelfRequest(name=parent), "name"),
                (
                    CREATE_SHELF.path,
                    library_pb2.CreateShelfRequest(shelf=library_pb2.Shelf(name=parent)),
                    "shelf.name",
                ),
            ):
                said = await caller.ask(path, request)
                assert said.code is INVALID, (path, parent[:60], said)
                assert said.field == field
                assert "shelves/{shelf}" in said.message
                said_to_help(said, parent[:60])
        assert await caller.listed("shelves/-") == []


@both_edges
async def test_a_parent_said_by_hand_is_held_to_the_same(place: Place) -> None:
    """`start(parent=…)` of a servicer refuses the same parents, and lone surrogates, with INVALID_ARGUMENT (SRV-2, SRV-3)."""
    async with place.serving() as running:
        for parent in (*PARENTS_OF_NOTHING, "shelves/\ud800", "shelves/1/"):
            if not parent:
                continue  # that of the request counts
            with pytest.raises(StartError, match="parent: ") as refused:
                await running.server.start(IMPORT_BOOKS, IMPORT, parent=parent)
            assert refused.value.code is Code.INVALID_ARGUMENT
        assert await Caller(running.channel).listed("shelves/-") == []


@everywhere
async def test_what_can_be_started_can_be_reached(place: Place) -> None:
    """The name a start returns, whatever the parent, is one that all five methods accept (SRV-1, SRV-3)."""
    longest = next(length for length in range(1100, 0, -1) if NAMES.parent_of("shelves/" + "a" * length) is not None)
    async with place.serving() as running:
        caller = Caller(running.channel)
        for parent in (*PECULIAR_PARENTS, "shelves/" + "a" * longest, "shelves/-", "shelves/" + "a" * (longest + 1)):
            said = await caller.ask(START, library_pb2.ImportBooksRequest(parent=parent))
            if said.code is not OK:
                assert said.code is INVALID
                continue
            name = said.operation.name
            await caller.done(name)
            listed_under = "/".join(parent.split("/")[:2])
            assert name in await caller.listed(listed_under)
            for rpc in ON_ONE:
                assert (await caller.about(rpc, name)).code is OK, (rpc, parent)


# -- bytes ------------------------------------------------------------------------------------------------------


@both_edges
async def test_undecodable_requests_are_invalid(place: Place) -> None:
    """Bytes that are no request, and strings that are not UTF-8, are INVALID_ARGUMENT for all six (SRV-1, SRV-2)."""
    async with place.serving() as running:
        caller = Caller(running.channel)
        for data in UNDECODABLE:
            for rpc in (*FIVE, START, CREATE_SHELF.path):
                said = await caller.ask(rpc, data)
                assert said.code is INVALID, (rpc, data, said)
                said_to_help(said, data)
        assert await caller.listed("shelves/-") == []


@both_edges
async def test_fields_nobody_knows_change_nothing(place: Place) -> None:
    """A request with fields from the future, or fields twice, is read as protobuf reads it, and nothing fails (SRV-1)."""
    async with place.serving() as running:
        caller = Caller(running.channel)
        name = await caller.start()
        await caller.done(name)
        unknown = b"\xf8\x07\x01\xfa\x07\x03abc\xa1\x1f" + bytes(8)
        for rpc in ("GetOperation", "WaitOperation", "CancelOperation"):
            data = asking(rpc, name).SerializeToString()
            assert (await caller.ask(rpc, data + unknown)).code is OK
            twice = asking(rpc, "nonsense").SerializeToString() + data  # the last one counts
            assert (await caller.ask(rpc, twice)).code is OK
        said = await caller.ask(START, library_pb2.ImportBooksRequest(parent=PARENT).SerializeToString() + unknown)
        assert (await caller.done(said.operation.name)).HasField("response")
        assert (
            len(
                (
                    await caller.ask("ListOperations", asking("ListOperations", PARENT).SerializeToString() + unknown)
                ).names
            )
            == 2
        )


@both_edges
async def test_an_empty_request_is_about_an_empty_name(place: Place) -> None:
    """No bytes at all are a request without a name: INVALID_ARGUMENT, for all six (SRV-1)."""
    async with place.serving() as running:
        caller = Caller(running.channel)
        for rpc in (*FIVE, START, CREATE_SHELF.path, DELETE_SHELF.path):
            said = await caller.ask(rpc, b"")
            assert said.field in {"name", "parent", "shelf.name"}
            assert (await caller.ask(rpc, b"")) == said


@both_edges
async def test_what_is_too_large_for_grpc_is_refused_by_it(place: Place) -> None:
    """A request of more than 4 MiB is RESOURCE_EXHAUSTED, and the next one is answered as ever (SRV-1)."""
    async with place.serving() as running:
        caller = Caller(running.channel)
        for rpc in ("ListOperations", START):
            request = library_pb2.ImportBooksRequest(parent="shelves/" + "a" * (5 << 20))
            assert (await caller.ask(rpc, request)).code is EXHAUSTED
            assert (await caller.about("GetOperation", f"{PARENT}/operations/{ID}")).code is NOT_FOUND


@both_edges
async def test_paths_nobody_serves_are_unimplemented(place: Place) -> None:
    """Anything but the methods there are is UNIMPLEMENTED, however close it looks (SRV-1)."""
    service = "/google.longrunning.Operations"
    paths = (
        f"{service}/getOperation",
        f"{service}/GetOperation/",
        f"{service}/../Operations/GetOperation",
        f"{service}//GetOperation",
        f"{service}/",
        f"{service}/GetOperation%00",
        "/google.longrunning.operations/GetOperation",
        "/example.library.v1.Library/GetShelf",
        "/example.library.v1.Library/__class__",
        "//",
        "/",
    )
    async with place.serving() as running:
        caller = Caller(running.channel)
        for path in paths:
            assert (await caller.ask(path, b"")).code is grpc.StatusCode.UNIMPLEMENTED, path


# -- timeouts ---------------------------------------------------------------------------------------------------

BAD_TIMEOUTS = (
    (-1, 0),
    (0, -1),
    (-(2**63), 0),
    (-1, -999_999_999),
    (1, -1),
    (-1, 1),
    (0, 1_000_000_000),
    (0, 2**31 - 1),
    (0, -(2**31)),
    (2**63 - 1, 2**31 - 1),
    (2**63 - 1, -1),
)
LONG_TIMEOUTS = ((2**62, 0), (2**63 - 1, 999_999_999), (315_576_000_000, 0), (315_576_000_001, 0), (10**15, 1))


@both_edges
async def test_timeouts_that_are_none_are_invalid(place: Place) -> None:
    """Negative timeouts, and what is no duration, are INVALID_ARGUMENT, for what exists and what does not (SRV-6)."""
    gate = Gate()
    async with place.serving(importing(gate.aio)) as running:
        caller = Caller(running.channel)
        name = await caller.start()
        for seconds, nanos in BAD_TIMEOUTS:
            for about in (name, f"{PARENT}/operations/{ID}"):
                timeout = duration_pb2.Duration(seconds=seconds, nanos=nanos)
                request = operations_pb2.WaitOperationRequest(name=about, timeout=timeout)
                said = await caller.ask("WaitOperation", request)
                assert said.code is INVALID, (seconds, nanos, said)
                assert said.field == "timeout"
                said_to_help(said, (seconds, nanos))
        gate.open()


@everywhere
async def test_timeouts_beyond_all_bounds_are_clamped(place: Place) -> None:
    """A timeout of thousands of years waits as long as any wait does, here a moment, and is answered with OK (SRV-6)."""
    gate = Gate()
    async with place.serving(importing(gate.aio), limits=bounds(max_wait=0.02)) as running:
        caller = Caller(running.channel)
        name = await caller.start()
        for seconds, nanos in LONG_TIMEOUTS:
            timeout = duration_pb2.Duration(seconds=seconds, nanos=nanos)
            request = operations_pb2.WaitOperationRequest(name=name, timeout=timeout)
            assert not (await caller.ask("WaitOperation", request)).operation.done
            absent = operations_pb2.WaitOperationRequest(name=f"{PARENT}/operations/{ID}", timeout=timeout)
            assert (await caller.ask("WaitOperation", absent)).code is NOT_FOUND
        gate.open()


# -- headers ----------------------------------------------------------------------------------------------------


@both_edges
async def test_headers_do_no_harm(place: Place) -> None:
    """Routing headers that contradict the request, and others that make no sense, change no answer (SRV-1)."""
    headers: tuple[tuple[tuple[str, str | bytes], ...], ...] = (
        (("x-goog-request-params", "name=something/else"),),
        (("x-goog-request-params", "%00%ff&&==;;name"),),
        (("traceparent", "00-zz-yy-01"), ("tracestate", "=,=,="), ("baggage", "a=b;c")),
        (("grpc-status-details-bin", b"\xff\xff\xff"),),
        (("key-bin", bytes(range(256))),),
        tuple((f"key-{number}", "x" * 20) for number in range(100)),
    )
    async with place.serving(importing(imports)) as running:
        caller = Caller(running.channel)
        name = await caller.start()
        done = await caller.done(name)
        for sent in headers:
            said = await caller.ask("GetOperation", asking("GetOperation", name), headers=sent)
            assert said.operation == done
            assert (await caller.ask(START, library_pb2.ImportBooksRequest(parent=PARENT), headers=sent)).code is OK


def _field(tag: int, data: bytes) -> bytes:
    return bytes([tag, len(data)]) + data


@both_edges
async def test_any_bytes_are_answered(place: Place) -> None:
    """Whatever bytes are sent, to whatever method, the answer is one of those that blame the caller (SRV-1, SRV-2)."""
    field = st.builds(_field, st.sampled_from([0x0A, 0x12, 0x1A, 0x20, 0x22, 0x28]), st.binary(max_size=20))
    async with place.serving() as running:
        caller = Caller(running.channel)
        for data in tried(st.lists(st.binary(max_size=6) | field, max_size=4).map(b"".join), 60):
            for rpc in (*FIVE, START, CREATE_SHELF.path, DELETE_SHELF.path):
                said = await caller.ask(rpc, data)
                assert said.code in {INVALID, NOT_FOUND, OK}, (rpc, data, said)
