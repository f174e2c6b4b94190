# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The program in a real pseudo-terminal."""

from __future__ import annotations

import json
import re
import signal
import time

import pytest

from longrunning.cli._exits import Exit
from longrunning.cli._live import shorten
from longrunning.testing import Gate, ScriptedOperations, delayed, pending
from tests.cli.driving import NAME, PATIENCE, QUICKLY, TYPES, full, imported, running, terminal

At = tuple[str, ...]
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"  # the cursor


def test_a_bar_where_the_metadata_says_how_far(operations: ScriptedOperations, at: At) -> None:
    """A wait shows a bar and a percentage while it lasts, then the result alone, and the cursor is back (PROG-2)."""
    gate = Gate()
    operations.add(NAME, running(10), delayed(imported(), gate))
    with terminal("wait", NAME, *at, *TYPES, *QUICKLY, columns=80) as screen:
        screen.see("25 %  0:0")
        assert "⠋ …/locations/l/operations/import-1  ━" in screen.text
        assert re.search(r"━{6,}", screen.text)
        assert "  10 of " in screen.text
        assert HIDE in screen.raw
        gate.open()
        assert screen.end() == Exit.OK
    assert "state: SUCCEEDED" in screen.text
    assert screen.raw.rindex(SHOW) > screen.raw.rindex(HIDE)
    assert "━" not in screen.raw[screen.raw.rindex(SHOW) :]


def test_time_and_detail_where_it_does_not(operations: ScriptedOperations, at: At) -> None:
    """Without a fraction there is no bar, but the time that has passed and what the service says (PROG-2)."""
    from google.protobuf import struct_pb2

    metadata = struct_pb2.Struct()
    metadata.update({"statusDetail": "Creating the VM", "cancelRequested": True})
    operations.add(NAME, pending(metadata, times=None))
    with terminal("wait", NAME, "--timeout", "1500ms", *at, *QUICKLY) as screen:
        screen.see("0:01  Creating the VM  cancel requested")
        assert "━" not in screen.text
        assert screen.end() == Exit.TIMEOUT
    assert f"longrunning: {NAME}: not done within 1.5 s; it goes on" in screen.text.replace("\n", "")


def test_a_row_for_each_operation(operations: ScriptedOperations, at: At) -> None:
    """Several operations have a row each, and what has ended shows how (PROG-2)."""
    gate = Gate()
    operations.add("a", running(10), delayed(imported(), gate))
    operations.add("b", full())
    with terminal("wait", "a", "b", "missing", *at, *TYPES, *QUICKLY) as screen:
        screen.see("? missing")
        assert "✗ b" in screen.text
        gate.open()
        assert screen.end() == Exit.FAILED
    assert "NOT_FOUND" in screen.text


@pytest.mark.parametrize("keys", [b"\x03", b"\x03\x03\x03"], ids=["once", "impatiently"])
def test_ctrl_c(operations: ScriptedOperations, at: At, keys: bytes) -> None:
    """Ctrl-C leaves a clean screen, the cursor, one line, and the operation alone (WAIT-9)."""
    operations.add(NAME, running(times=None))
    with terminal("wait", NAME, *at, *TYPES, *QUICKLY) as screen:
        screen.see("25 %")
        screen.press(keys)
        assert screen.end() == -signal.SIGINT
    rest = screen.raw[screen.raw.rindex(SHOW) :]
    assert rest.endswith("longrunning: interrupted; what was waited for goes on\r\n")
    assert "Traceback" not in screen.text
    assert set(operations.rpcs()) == {"GetOperation"}


@pytest.mark.parametrize("number", [signal.SIGTERM])
def test_termination_gives_the_cursor_back(operations: ScriptedOperations, at: At, number: signal.Signals) -> None:
    """A process that is told to end leaves the terminal as it was (cli)."""
    operations.add(NAME, running(times=None))
    with terminal("wait", NAME, *at, *TYPES, *QUICKLY) as screen:
        screen.see("25 %")
        screen.process.send_signal(number)
        assert screen.end() == -number
    assert screen.raw.rindex(SHOW) > screen.raw.rindex(HIDE)


def test_a_terminal_that_goes_away(operations: ScriptedOperations, at: At) -> None:
    """A process whose terminal was closed ends (cli)."""
    operations.add(NAME, running(times=None))
    with terminal("watch", NAME, *at, *TYPES, *QUICKLY) as screen:
        screen.see("25 %")
        process = screen.process
        screen.hang_up()
        assert process.wait(PATIENCE) != 0


def test_watch_writes_a_log_above_its_rows(operations: ScriptedOperations, at: At) -> None:
    """Watch writes each change as a line that stays, then the operation in full (PROG-2)."""
    operations.add(NAME, running(10, times=30), running(20, times=30), imported())
    with terminal("watch", NAME, *at, *TYPES, *QUICKLY) as screen:
        assert screen.end() == Exit.OK
    for line in (f"RUNNING    {NAME}   25 %  10 of 40\n", f"RUNNING    {NAME}   50 %  20 of 40\n"):
        assert screen.text.count(line) == 1
    assert "imported: 40" in screen.text


def test_a_server_that_does_not_answer_is_told_of(operations: ScriptedOperations) -> None:
    """While nobody answers, a line says so; when somebody does, it goes (WAIT-6)."""
    operations.add(NAME, running(times=None))
    server = operations.serve()
    server.start()
    server.stop()  # its port is known now
    with terminal("wait", NAME, "-e", server.address, "--insecure", "--timeout", "10", *TYPES, *QUICKLY) as screen:
        screen.see(f"{server.address} does not answer, trying again: ")
        with server:
            screen.see("25 %")
            seen = len(screen.raw)
            time.sleep(0.5)
            screen.press(b"\x03")
            assert screen.end() == -signal.SIGINT
    assert "does not answer" not in screen.raw[seen + 500 :]


def test_colours_and_indented_json(operations: ScriptedOperations, at: At) -> None:
    """A terminal gets colours, and JSON that is indented; variables have no say in it (cli)."""
    operations.add(NAME, imported())
    odd = {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "10", "TTY_COMPATIBLE": "0"}
    for environment in ({}, odd):
        with terminal("get", NAME, *at, *TYPES, environment=environment) as screen:
            assert screen.end() == Exit.OK
        assert "\x1b[1;32mSUCCEEDED\x1b[0m" in screen.raw
        assert f"{NAME}\n  state: SUCCEEDED\n" in screen.text
    with terminal("get", NAME, "--json", *at, *TYPES) as screen:
        assert screen.end() == Exit.OK
    assert screen.text.startswith('{\n  "name": ')
    assert json.loads(screen.text)["name"] == NAME


@pytest.mark.parametrize("columns", [10, 20, 40])
def test_narrow_terminals(operations: ScriptedOperations, at: At, columns: int) -> None:
    """A row never takes more than a line, however narrow the terminal (cli)."""
    operations.add(NAME, running(times=None))
    with terminal("wait", NAME, *at, *TYPES, *QUICKLY, columns=columns) as screen:
        screen.see("…")
        time.sleep(0.3)
        screen.press(b"\x03")
        assert screen.end() == -signal.SIGINT
    rows = re.findall(r"[⠁-⣿] [^\r\n\x1b⠁-⣿]*", re.sub(r"\x1b\[[0-9;]*m", "", screen.raw))
    assert rows
    assert max(map(len, rows)) <= columns


def test_names_are_shortened_from_the_left() -> None:
    """A name that is too long keeps its end, in whole segments where they fit (cli)."""
    assert shorten("a/b/c", 5) == "a/b/c"
    assert shorten("aaa/bbb/ccc", 9) == "…/bbb/ccc"
    assert shorten("aaa/bbb/ccc", 8) == "…/ccc"
    assert shorten("aaa/bbbbbbbb", 5) == "…bbbb"
    assert shorten("操作/操作操作", 6) == "…操作"
    assert shorten("aaa", 1) == "…a"
