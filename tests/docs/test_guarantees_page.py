# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""docs/guarantees.md: its diagram is the table of transitions, and what it does twice counts once."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing

import pytest

from longrunning import (
    _lifecycle,
)
from longrunning.server import (
    Limits,
)
from tests.docs.pages import (
    PARENT,
    run,
    text_of,
)


def test_the_diagram_is_the_table() -> None:
    """The diagram on the page is drawn from the transitions that the stores follow (RUN-1)."""
    found = re.findall(r"^```mermaid\n(.*?)^```$", text_of("guarantees.md"), re.MULTILINE | re.DOTALL)
    assert found == [_lifecycle.diagram()]


def test_the_gap_of_the_page() -> None:
    """The time that a crash costs at most is said as it is (documentation)."""
    limits = Limits()
    gap = limits.seconds("lease_ttl") + limits.seconds("reconcile_interval")
    assert f"{gap:g} seconds by default" in text_of("guarantees.md").replace("\n  ", " ").replace("\n", " ")


def test_what_the_page_does_twice_counts_once() -> None:
    """The ways to be idempotent on the page are: a name made of the operation's, a payment with a key (RUN-1)."""
    names = run("guarantees.md")

    class Attempt:
        name = f"{PARENT}/operations/op-1"

    assert names["bucket_of"](Attempt()) == "export-op-1"
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("create table payments (operation text primary key, amount integer)")
        for _ in range(2):
            names["pay"](connection, "operations/op-1", 5)
        assert connection.execute("select * from payments").fetchall() == [("operations/op-1", 5)]


def test_what_is_fenced_on_the_page_is_fenced() -> None:
    """An attempt that a later one has overtaken cannot write, and the later one can write again (RUN-1)."""
    names = run("guarantees.md")
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("create table reports (operation text primary key, fence integer, text text)")
        write = names["write_report"]
        for fence, text in ((1, "a"), (2, "b"), (2, "c")):
            write(connection, "operations/op-1", fence, text)
        with pytest.raises(names["OvertakenError"]):
            write(connection, "operations/op-1", 1, "late")
        write(connection, "operations/op-2", 1, "other")
        found = connection.execute("select text from reports order by operation").fetchall()
    assert found == [("c",), ("other",)]
