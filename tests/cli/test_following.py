# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""wait and watch, away from a terminal: lines of progress, results, exit codes."""

from __future__ import annotations

import json
import re

import pytest

from longrunning import Code
from longrunning.cli._exits import Exit
from longrunning.testing import (
    ScriptedOperations,
    Step,
    WaitSupport,
    cancelled,
    malformed,
    pending,
    rpc_error,
    unavailable,
)
from tests.cli.driving import NAME, QUICKLY, RESPONSE, SECRET, TYPES, call, full, imported, running

At = tuple[str, ...]


def test_wait_shows_progress_beside_the_result(operations: ScriptedOperations, at: At) -> None:
    """Progress goes to standard error, a line for each change, and the result to standard output (PROG-2)."""
    operations.add(NAME, running(10, times=3), running(20), imported())
    ended = call("wait", NAME, *at, *TYPES, *QUICKLY)
    assert [re.sub(r"^ +\d+:\d\d  ", "", line) for line in ended.err.splitlines()] == [
        f"RUNNING    {NAME}   25 %  10 of 40",
        f"RUNNING    {NAME}   50 %  20 of 40",
        f"SUCCEEDED  {NAME}  example.library.v1.ImportBooksResponse",
    ]
    assert ended.out.startswith(f"{NAME}\n  state: SUCCEEDED\n")
    assert ended.code == Exit.OK


def test_wait_can_be_quiet(operations: ScriptedOperations, at: At) -> None:
    """With --quiet there is the result and nothing else (cli)."""
    operations.add(NAME, running(), imported())
    ended = call("wait", NAME, "--quiet", "--json", *at, *TYPES, *QUICKLY)
    assert json.loads(ended.out)["response"]["imported"] == RESPONSE.imported
    assert not ended.err


@pytest.mark.parametrize(
    ("last", "code"),
    [
        (imported(), Exit.OK),
        (full(), Exit.FAILED),
        (cancelled("stop"), Exit.CANCELLED),
        (malformed(RESPONSE), Exit.FAILED),
    ],
    ids=["succeeded", "failed", "cancelled", "malformed"],
)
@pytest.mark.parametrize("command", ["wait", "watch"])
def test_the_code_is_the_outcome(operations: ScriptedOperations, at: At, command: str, last: Step, code: Exit) -> None:
    """Success, failure, cancellation and a malformed operation have their codes (SNAP-1, SNAP-3)."""
    operations.add(NAME, pending(), last)
    ended = call(command, NAME, *at, *QUICKLY)
    assert ended.code == code
    assert NAME in ended.out


@pytest.mark.parametrize("command", ["wait", "watch"])
def test_a_timeout_leaves_the_operation_alone(operations: ScriptedOperations, at: At, command: str) -> None:
    """A wait that times out shows the last snapshot, says that it goes on, and ends with code 3 (WAIT-3, WAIT-4, PROG-3)."""
    operations.add(NAME, running(times=None))
    ended = call(command, NAME, "--timeout", "50ms", *at, *TYPES, *QUICKLY)
    assert ended.code == Exit.TIMEOUT
    assert ended.err.splitlines()[-1] == f"longrunning: {NAME}: not done within 0.05 s; it goes on"
    assert "    percent: 25" in ended.out.splitlines()
    assert set(operations.rpcs()) == {"GetOperation"}


def test_a_timeout_of_zero_is_one_request(operations: ScriptedOperations, at: At) -> None:
    """With --timeout 0 one request is sent (WAIT-3)."""
    operations.add(NAME, pending(times=None))
    assert call("wait", NAME, "--timeout", "0", *at).code == Exit.TIMEOUT
    assert operations.rpcs() == ["GetOperation"]


def test_no_timeout(operations: ScriptedOperations, at: At) -> None:
    """With --timeout none a wait lasts for as long as it takes (WAIT-3)."""
    operations.add(NAME, pending(times=5), imported())
    assert call("wait", NAME, "--timeout", "none", *at, *QUICKLY).code == Exit.OK


def test_what_passes_is_waited_out(operations: ScriptedOperations, at: At) -> None:
    """A server that is unavailable for a while is not noticed (WAIT-6)."""
    operations.add(NAME, pending(), unavailable(), imported())
    ended = call("wait", NAME, "-q", *at, *TYPES, *QUICKLY)
    assert (ended.code, ended.err) == (Exit.OK, "")


def test_what_does_not_pass_ends_the_wait(operations: ScriptedOperations, at: At) -> None:
    """A request that is refused ends the wait with a line and code 1; what was seen is shown (WAIT-6)."""
    operations.add(NAME, running(), rpc_error(Code.PERMISSION_DENIED, "not for you"))
    ended = call("wait", NAME, "-q", *at, *TYPES, *QUICKLY)
    assert ended.complaint == f"{NAME}: GetOperation failed: PERMISSION_DENIED (7): not for you"
    assert ended.code == Exit.FAILED
    assert "    percent: 25" in ended.out.splitlines()


def test_an_operation_nobody_knows(operations: ScriptedOperations, at: At) -> None:
    """Waiting for what is not there ends with code 4 (WAIT-7)."""
    ended = call("wait", NAME, *at)
    assert ended.complaint == f"{NAME}: NOT_FOUND (5): operation {NAME!r} not found"
    assert (ended.code, ended.out) == (Exit.NOT_FOUND, "")


def test_several_at_once(operations: ScriptedOperations, at: At) -> None:
    """Several operations are waited for at once, and shown in the order they were named in (cli)."""
    operations.add("slow", pending(times=6), imported())
    operations.add("failed", full())
    ended = call("wait", "slow", "failed", "missing", "slow", "-q", "--json", *at, *TYPES, *QUICKLY)
    assert [json.loads(line)["name"] for line in ended.out.splitlines()] == ["slow", "failed"]
    assert "missing" in ended.complaint
    assert ended.code == Exit.FAILED  # of the first one that did not end well


def test_watch_shows_every_change(operations: ScriptedOperations, at: At) -> None:
    """Watch writes the first snapshot, each change, and the end, then the operation in full (PROG-2)."""
    operations.add(NAME, running(10, times=2), running(20), imported())
    ended = call("watch", NAME, *at, *TYPES, *QUICKLY)
    log, _, rest = ended.out.partition("\n\n")
    assert [re.sub(r"^ +\d+:\d\d  ", "", line) for line in log.splitlines()] == [
        f"RUNNING    {NAME}   25 %  10 of 40",
        f"RUNNING    {NAME}   50 %  20 of 40",
        f"SUCCEEDED  {NAME}  example.library.v1.ImportBooksResponse",
    ]
    assert rest.startswith(f"{NAME}\n  state: SUCCEEDED\n")
    assert not ended.err


def test_watch_json_is_a_line_for_each_snapshot(operations: ScriptedOperations, at: At) -> None:
    """With --json each snapshot is a line, the last one done (PROG-2)."""
    operations.add(NAME, running(10), running(20), imported())
    snapshots = [json.loads(line) for line in call("watch", NAME, "--json", *at, *TYPES, *QUICKLY).out.splitlines()]
    assert [snapshot["metadata"]["percent"] for snapshot in snapshots] == [25, 50, 100]
    assert [snapshot.get("done", False) for snapshot in snapshots] == [False, False, True]


def test_metadata_of_unknown_type_is_no_progress_and_no_obstacle(operations: ScriptedOperations, at: At) -> None:
    """A wait does not mind metadata of unknown type; the hint comes at its end, once (TYPE-3)."""
    operations.add(NAME, pending(SECRET, times=3), imported())
    ended = call("wait", NAME, "-q", *at, *QUICKLY)
    assert ended.code == Exit.OK
    assert "unknown types: example.library.v1.ImportBooksMetadata" in ended.complaint


@pytest.mark.parametrize(("quiet", "rpc"), [(["--quiet"], "WaitOperation"), ([], "GetOperation")])
def test_the_server_waits_where_nobody_looks(
    operations: ScriptedOperations, at: At, quiet: list[str], rpc: str
) -> None:
    """A server that can wait itself is asked to where no progress is shown, and polled where it is (cli)."""
    operations.wait_support = WaitSupport.SERVED
    operations.add(NAME, running(), imported())
    assert call("wait", NAME, *quiet, *at, *TYPES, *QUICKLY).code == Exit.OK
    assert rpc in operations.rpcs()
