# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The program as a process: how it starts, how it ends, whatever happens to it."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from longrunning import __version__
from longrunning.cli._exits import Exit
from longrunning.testing import Gate, ScriptedOperations, delayed, pending
from tests.cli.driving import NAME, PATIENCE, PROGRAM, QUICKLY, ROOT, TYPES, Ended, full, imported, run, running

At = tuple[str, ...]
HELP_LIMIT = 0.25  # seconds


# -- help ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--help"], ["get", "--help"], ["wait", "-h"], ["--version"]])
def test_help_is_quick(arguments: list[str]) -> None:
    """Help takes less than 250 ms, the start of the interpreter included (cli)."""
    took: list[float] = []
    worked: list[float] = []
    while len(took) < 8 and (not took or min(took) > HELP_LIMIT):  # other programs run on this machine
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        assert run(*arguments).code == 0
        took.append(time.perf_counter() - start)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        worked.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    # Where other programs leave it no processor for so long, what counts is the work; and that it does not wait for anything.
    assert min(took) < HELP_LIMIT or (min(worked) < HELP_LIMIT and min(took) < 8 * HELP_LIMIT)


def test_help_loads_nothing_that_is_slow() -> None:
    """Help loads neither grpc nor protobuf nor asyncio nor rich (cli)."""
    script = (
        "import sys, atexit\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        "sys.argv = ['longrunning', 'wait', '--help']\n"
        "from longrunning.cli import main; main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {name.split(".")[0] for name in done.stderr.split()} | set(done.stderr.split())
    assert not loaded & {"grpc", "google.protobuf", "asyncio", "rich", "ssl", "longrunning.errors"}
    assert "--timeout" in done.stdout


def test_help_tells_the_exit_codes() -> None:
    """The help lists the commands, and every exit code with what it says (cli)."""
    out = run("--help").out
    assert all(f"\n  {command} " in out for command in ("get", "list", "wait", "watch", "cancel", "delete", "decode"))
    assert all(f"\n    {code.value}  " in out for code in Exit)


def test_version() -> None:
    """--version is the name and the version (cli)."""
    assert run("--version") == Ended(0, f"longrunning {__version__}\n", "")


def test_the_console_script() -> None:
    """The script that pip installs is the same program (cli)."""
    script = Path(sys.executable).with_name("longrunning")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"longrunning {__version__}\n"


def test_without_a_command() -> None:
    """Without a command there is the help, and code 2 (cli)."""
    ended = run()
    assert ended.out == run("--help").out
    assert ended.code == Exit.USAGE


@pytest.mark.parametrize(
    "arguments", [["get"], ["get", "n"], ["frobnicate"], ["get", "n", "--frobnicate"], ["list", "--page-size", "-1"]]
)
def test_a_wrong_command_line_is_one_line(arguments: list[str]) -> None:
    """A command line that cannot be read is one line, which says where the help is, and code 2 (cli)."""
    ended = run(*arguments)
    assert ended.complaint.endswith("--help")
    assert (ended.code, ended.out) == (Exit.USAGE, "")


@pytest.mark.parametrize("missing", ["typer", "grpc", "rich"])
def test_without_the_extra(missing: str) -> None:
    """Where the extra is not installed, a line says so (PKG-1)."""
    script = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "sys.argv = ['longrunning', 'get', 'n', '-e', 'h:1']\n"
        "from longrunning.cli import _output, main\n"
        "_output.is_terminal = lambda stream: True\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stderr == "longrunning: the command line needs optional dependencies: pip install 'longrunning[cli]'\n"
    assert done.returncode == Exit.USAGE


# -- codes --------------------------------------------------------------------------------------------------------


def test_the_codes_of_a_process(operations: ScriptedOperations, at: At) -> None:
    """What ends well, fails, times out or is not there ends the process with its code (cli)."""
    operations.add("good", imported())
    operations.add("bad", full())
    operations.add("slow", pending(times=None))
    assert run("wait", "good", "-q", *at, *TYPES).code == Exit.OK
    assert run("wait", "bad", "-q", *at, *TYPES) == Ended(1, run("get", "bad", *at, *TYPES).out, "")
    assert run("wait", "slow", "--timeout", "0", "-q", *at).code == Exit.TIMEOUT
    assert run("get", "missing", *at).code == Exit.NOT_FOUND
    assert "operation 'missing' not found" in run("get", "missing", *at).complaint


def test_the_environment_decides_nothing(operations: ScriptedOperations, at: At, tmp_path: Path) -> None:
    """Variables of gRPC, of proxies, of typer and of terminals change nothing (law 8)."""
    operations.add(NAME, imported())
    odd = {
        "GRPC_VERBOSITY": "DEBUG", "GRPC_TRACE": "all", "http_proxy": "http://127.0.0.1:1", "HTTPS_PROXY": "http://127.0.0.1:1",
        "grpc_proxy": "http://127.0.0.1:1", "FORCE_COLOR": "1", "COLUMNS": "20", "TTY_COMPATIBLE": "1", "TYPER_USE_RICH": "1",
        "_LONGRUNNING_COMPLETE": "complete_bash", "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "LONGRUNNING_ENDPOINT": "x",
        "TERMINAL_WIDTH": "20", "TYPER_STANDARD_TRACEBACK": "1", "SSL_CERT_FILE": str(tmp_path), "NO_COLOR": "1",
    }  # fmt: skip
    for arguments in (["get", NAME, *at, *TYPES], ["--help"], ["get"]):
        assert run(*arguments, env={**os.environ, **odd}) == run(*arguments)
    operations.add("操作", pending())
    assert "操作" in run("get", "操作", *at, env={**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}).out


# -- nobody there -------------------------------------------------------------------------------------------------


@pytest.fixture
def silent() -> Generator[str, None, None]:
    """The address of somebody who takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def nobody() -> Generator[str, None, None]:
    """An address where nobody is, and nobody comes: its port is taken, but not listened on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize("command", ["get", "list", "cancel", "delete"])
def test_nobody_there(nobody: str, command: str) -> None:
    """One request to an address where nobody is ends soon, with a line and code 6 (cli)."""
    start = time.monotonic()
    ended = run(command, NAME, "--endpoint", nobody, "--insecure")
    assert time.monotonic() - start < 5
    assert ended.complaint.startswith(f"{nobody} does not answer: UNAVAILABLE (14): ")
    assert (ended.code, ended.out) == (Exit.UNREACHABLE, "")


def test_a_server_that_says_nothing(silent: str) -> None:
    """One request to a server that says nothing ends after --rpc-timeout, with a line and code 6 (cli)."""
    start = time.monotonic()
    ended = run("get", NAME, "other", "--endpoint", silent, "--insecure", "--rpc-timeout", "300ms")
    assert time.monotonic() - start < 5
    assert f"{silent} does not answer: " in ended.complaint
    assert ended.code == Exit.UNREACHABLE


def test_a_wait_for_a_server_that_is_not_there(nobody: str) -> None:
    """A wait tries until its timeout, and ends with code 6 if nobody ever answered (WAIT-3, WAIT-6)."""
    start = time.monotonic()
    ended = run("wait", NAME, "--endpoint", nobody, "--insecure", "--timeout", "1")
    assert 1 <= time.monotonic() - start < 10
    assert f"{nobody} does not answer within 1 s" in ended.complaint
    assert ended.code == Exit.UNREACHABLE


def test_a_wait_outlasts_a_restart(operations: ScriptedOperations) -> None:
    """A server that comes only after the wait began, or comes back, is found (WAIT-12)."""
    operations.add(NAME, running(), imported())
    server = operations.serve()
    server.start()
    server.stop()  # its port is known now
    program = subprocess.Popen(
        [*PROGRAM, "wait", NAME, "-q", "-e", server.address, "--insecure", *QUICKLY], stdout=subprocess.PIPE, cwd=ROOT
    )
    with program:
        time.sleep(1.0)
        with server:
            out, _ = program.communicate(timeout=PATIENCE)
    assert program.returncode == Exit.OK
    assert b"state: SUCCEEDED" in out


# -- TLS ----------------------------------------------------------------------------------------------------------


def certificate(host: str) -> tuple[bytes, bytes]:
    """A key and a certificate that signs itself, in PEM form."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - dt.timedelta(1), now + dt.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return secret, made.public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    ("host", "trusted", "code"),
    [("127.0.0.1", True, Exit.OK), ("127.0.0.1", False, Exit.UNREACHABLE), ("127.0.0.2", True, Exit.UNREACHABLE)],
    ids=["good", "signed by nobody", "of another host"],
)
@pytest.mark.parametrize("command", ["get", "wait"])
def test_certificates(
    operations: ScriptedOperations, tmp_path: Path, command: str, host: str, trusted: bool, code: Exit
) -> None:
    """A certificate that --ca trusts is good; any other ends even a wait at once, with a line and code 6 (cli)."""
    operations.add(NAME, imported())
    key, cert = certificate(host)
    (tmp_path / "ca.pem").write_bytes("# Prüfstelle\n".encode() + cert)
    trust = ["--ca", str(tmp_path / "ca.pem")] if trusted else []
    with operations.serve(credentials=grpc.ssl_server_credentials([(key, cert)])) as server:
        start = time.monotonic()
        ended = run(command, NAME, "--endpoint", server.address, *trust, *TYPES)
    assert time.monotonic() - start < 10
    assert ended.code == code
    if code:
        assert ended.complaint.startswith(f"{server.address} cannot be trusted: ")


def test_tls_where_there_is_none(operations: ScriptedOperations) -> None:
    """A server that speaks plain text is not waited for over TLS: a line and code 6, at once (cli)."""
    with operations.serve() as server:
        ended = run("wait", NAME, "--endpoint", server.address)
    assert ended.complaint.startswith(f"{server.address} cannot be trusted: ")
    assert ended.code == Exit.UNREACHABLE


# -- signals and pipes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_a_wait_and_leave_the_operation_alone(
    operations: ScriptedOperations, at: At, number: signal.Signals
) -> None:
    """Ctrl-C and termination end the process by their signals; nothing is cancelled on the server (WAIT-9)."""
    operations.add(NAME, pending(times=None))
    program = subprocess.Popen(
        [*PROGRAM, "wait", NAME, *at, *QUICKLY], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    )
    with program:
        operations.wait_until(lambda calls: len(calls) > 2, timeout=PATIENCE)
        program.send_signal(number)
        out, err = program.communicate(timeout=PATIENCE)
    assert program.returncode == -number
    assert not out
    said = [line for line in err.decode().splitlines() if line.startswith("longrunning:")]
    assert said == (["longrunning: interrupted; what was waited for goes on"] if number == signal.SIGINT else [])
    assert b"Traceback" not in err
    assert set(operations.rpcs()) == {"GetOperation"}


def test_ctrl_c_ends_a_request(operations: ScriptedOperations, at: At) -> None:
    """Ctrl-C ends a request that is not answered (WAIT-9)."""
    operations.add(NAME, delayed(pending(), Gate()))
    program = subprocess.Popen([*PROGRAM, "get", NAME, *at], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    with program:
        operations.wait_until(lambda calls: len(calls) == 1, timeout=PATIENCE)
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=PATIENCE)
    assert (program.returncode, out, err) == (-signal.SIGINT, b"", b"longrunning: interrupted\n")


def test_ctrl_c_while_a_file_is_read(tmp_path: Path) -> None:
    """Ctrl-C ends a decode that waits for its input (cli)."""
    (tmp_path / "announcing.py").write_text(
        "import sys\nfrom example.library.v1.library_pb2 import Shelf\nprint('loaded', file=sys.stderr, flush=True)\n"
    )
    program = subprocess.Popen(
        [*PROGRAM, "decode", "--import", "announcing"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
    )
    with program:
        assert program.stderr is not None
        assert program.stderr.readline() == b"loaded\n"
        time.sleep(0.3)
        program.send_signal(signal.SIGINT)
        assert program.wait(PATIENCE) == -signal.SIGINT
        assert program.stderr.read() == b"longrunning: interrupted\n"


def test_a_closed_pipe_ends_it_as_it_ends_other_programs(operations: ScriptedOperations, at: At) -> None:
    """When nobody reads any more, the process ends by SIGPIPE and says nothing (cli)."""
    operations.page_size = 1
    for number in range(300):
        operations.add(f"operations/{number}", pending())
    program = subprocess.Popen(
        [*PROGRAM, "list", "--all", *at], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    )
    with program:
        assert program.stdout is not None
        assert program.stderr is not None
        assert program.stdout.readline() == b"RUNNING    operations/0\n"
        program.stdout.close()
        assert program.wait(PATIENCE) == -signal.SIGPIPE
        assert program.stderr.read() == b""
    assert len(operations.rpcs()) < 300  # it did not go on asking


def test_watch_ends_with_its_reader(operations: ScriptedOperations, at: At) -> None:
    """A watch whose reader has gone ends at the next change (cli)."""
    operations.add(NAME, *(running(done) for done in range(40)), running(times=None))
    program = subprocess.Popen(
        [*PROGRAM, "watch", NAME, "--json", *at, *TYPES, *QUICKLY], stdout=subprocess.PIPE, cwd=ROOT
    )
    with program:
        assert program.stdout is not None
        assert json.loads(program.stdout.readline())["name"] == NAME
        program.stdout.close()
        assert program.wait(PATIENCE) == -signal.SIGPIPE


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk(operations: ScriptedOperations, at: At) -> None:
    """Output that cannot be written is a line and code 1 (cli)."""
    operations.add(NAME, imported())
    with Path("/dev/full").open("wb") as full_disk:
        done = subprocess.run(
            [*PROGRAM, "get", NAME, *at, *TYPES], stdout=full_disk, stderr=subprocess.PIPE, check=False, cwd=ROOT
        )
    assert done.stderr == b"longrunning: cannot write to standard output: No space left on device\n"
    assert done.returncode == Exit.FAILED


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_closed_streams(operations: ScriptedOperations, at: At, closed: int) -> None:
    """A program started without one of its streams does its work (cli)."""
    operations.add(NAME, imported())
    command = " ".join([*PROGRAM, "get", NAME, *at, *TYPES, f"{closed}>&-"])
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == Exit.OK
    assert done.stderr == ""
    assert (done.stdout == "") is (closed == 1)
