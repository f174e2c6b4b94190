# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The plugin as a process: what it reads, what it answers, how it ends."""

from __future__ import annotations

import io
import os
import pty
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.internal import api_implementation
from hypothesis import given, settings
from hypothesis import strategies as st

from longrunning import __version__
from longrunning.codegen import InputError, generate, plugin
from tests.codegen.compiling import PLUGIN, ROOT, service, starts
from tools.environments import environment

START_LIMIT: Final = 0.15  # seconds
REQUEST: Final = service(starts()).request()


def call(data: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Runs the plugin."""
    return subprocess.run([*PLUGIN, *arguments], input=data, capture_output=True, check=False, timeout=60)


def test_answers_a_request() -> None:
    """A request on standard input becomes a response on standard output (GEN-4)."""
    done = call(REQUEST.SerializeToString())
    assert (done.returncode, done.stderr) == (0, b"")
    answer = CodeGeneratorResponse.FromString(done.stdout)
    assert [file.name for file in answer.file] == ["acme/v1/a_lro.py"]
    assert answer == generate(REQUEST)


def test_features() -> None:
    """It declares proto3 optional and the editions from proto2 to 2024, also when something is wrong (GEN-4)."""
    for request in (REQUEST, service(starts(response="No")).request(), CodeGeneratorRequest(parameter="x")):
        answer = generate(request)
        assert answer.supported_features == 3
        assert (answer.minimum_edition, answer.maximum_edition) == (998, 1001)


@pytest.mark.parametrize("data", [b"\xff\xff\xff", b"x", b"<proto/>"])
def test_no_request(data: bytes) -> None:
    """What is no request ends with code 1 and a line on standard error, never with a traceback (GEN-4)."""
    done = call(data)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"protoc-gen-longrunning: standard input is no CodeGeneratorRequest")
    assert done.stderr.count(b"\n") == 1


def test_an_empty_request() -> None:
    """Nothing on standard input is not taken for an empty request (GEN-4)."""
    done = call(b"")
    assert done.returncode == 1
    assert b"protoc-gen-longrunning: standard input is empty: protoc or buf is to write a request" in done.stderr


def test_a_request_that_no_compiler_writes() -> None:
    """A request that contradicts itself ends with code 1 as well (GEN-4)."""
    request = CodeGeneratorRequest(file_to_generate=["a.proto"])
    done = call(request.SerializeToString())
    assert (done.returncode, done.stdout) == (1, b"")
    assert (
        done.stderr == b"protoc-gen-longrunning: code is requested for 'a.proto', which is not among the descriptors\n"
    )
    with pytest.raises(InputError):
        generate(request)


def test_on_a_terminal() -> None:
    """Whoever runs it by hand is told what it is for (GEN-4)."""
    master, slave = pty.openpty()
    try:
        done = subprocess.run(PLUGIN, stdin=slave, capture_output=True, check=False, timeout=60)
    finally:
        os.close(master)
        os.close(slave)
    assert done.returncode == 2
    assert b"protoc or buf is to run this" in done.stderr


def test_arguments() -> None:
    """It shows its version, its import roots and how it is used, and refuses everything else (GEN-4)."""
    assert call(b"", "--version").stdout.decode() == f"protoc-gen-longrunning {__version__}\n"
    assert "--longrunning_out" in call(b"", "--help").stdout.decode()
    folders = [Path(part.removeprefix("-I")) for part in call(b"", "--include").stdout.decode().split()]
    assert (folders[0] / "google" / "longrunning" / "operations.proto").is_file()
    assert (folders[1] / "google" / "api" / "annotations.proto").is_file()
    done = call(b"", "library.proto")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"unknown arguments library.proto" in done.stderr


def test_faults_of_its_own(monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """Even a fault of the generator itself is an error of the response, in one line (GEN-4)."""

    class Input:
        buffer = io.BytesIO(REQUEST.SerializeToString())

        @staticmethod
        def isatty() -> bool:
            return False

    def fail(*_: Any) -> str:
        raise RecursionError("too deep")

    monkeypatch.setattr(sys, "stdin", Input)
    monkeypatch.setattr(sys, "argv", ["protoc-gen-longrunning"])
    monkeypatch.setattr(plugin, "render", fail)
    with pytest.raises(SystemExit) as ended:
        plugin.main()
    assert ended.value.code == 0
    answer = CodeGeneratorResponse.FromString(capsysbinary.readouterr().out)
    assert answer.error == "internal error of protoc-gen-longrunning: RecursionError: too deep"
    assert list(answer.file) == []


def test_nobody_reads_the_answer() -> None:
    """A compiler that goes away is no reason for a traceback (GEN-4)."""
    process = subprocess.Popen(PLUGIN, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stdin.write(service(*(starts(f"Make{number}") for number in range(300))).request().SerializeToString())
    process.stdin.close()
    assert process.wait(60) == 1
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()


def test_starts_quickly() -> None:
    """It answers a small request within 150 ms, the start of the interpreter included (GEN-4)."""
    data = REQUEST.SerializeToString()
    took: list[float] = []
    while len(took) < 12 and (not took or min(took) > START_LIMIT):
        # Time of the processor: it waits for nothing, but other programs run on this machine.
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert call(data).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    assert min(took) < START_LIMIT


def test_loads_nothing_that_it_does_not_need() -> None:
    """It loads neither grpc nor the rest of the package, nor any message but those of compilers (GEN-4)."""
    program = """
import sys
from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest
from longrunning.codegen.plugin import generate
assert generate(CodeGeneratorRequest.FromString(sys.stdin.buffer.read())).error == ""
names = ("grpc", "asyncio", "typer", "difflib", "google.longrunning", "google.api")
print([name for name in names if name in sys.modules])
print(sorted(name for name in sys.modules if name.startswith("longrunning.") and not name.startswith("longrunning.codegen")))
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, input=REQUEST.SerializeToString(), capture_output=True, check=True)
    assert done.stdout.decode().splitlines() == ["[]", "[]"]


@pytest.mark.parametrize("implementation", ["upb", "python"])
def test_both_runtimes(implementation: str) -> None:
    """The answer is the same in pure Python (GEN-3)."""
    variables = os.environ | {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": implementation}
    done = subprocess.run(PLUGIN, input=REQUEST.SerializeToString(), capture_output=True, check=True, env=variables)
    assert done.stderr == b""
    assert CodeGeneratorResponse.FromString(done.stdout) == generate(REQUEST)


@pytest.mark.parametrize("versions", [("protobuf==5.29.6", "googleapis-common-protos==1.70.0")], ids="/".join)
def test_oldest_protobuf(versions: tuple[str, ...]) -> None:
    """The answer is the same with the oldest protobuf that is supported (GEN-4)."""
    python = environment(ROOT / "build" / "codegen" / "oldest", Path(sys.executable), list(versions))
    variables = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    command = [str(python), "-m", "longrunning.codegen"]
    done = subprocess.run(command, input=REQUEST.SerializeToString(), capture_output=True, check=True, env=variables)
    assert CodeGeneratorResponse.FromString(done.stdout) == generate(REQUEST)


@pytest.mark.skipif(api_implementation.Type() == "python", reason="pure Python refuses the whole request")
def test_options_that_are_no_text() -> None:
    """Options that are not UTF-8 end with code 1 and a line on standard error (GEN-4)."""
    done = call(REQUEST.SerializeToString() + b"\x12\x02\xffx")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"protoc-gen-longrunning: the options of the plugin are not UTF-8\n"


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_spoiled_requests(data: st.DataObject) -> None:
    """Whatever the request, the answer is code that compiles, an error, or InputError (GEN-4)."""
    good = REQUEST.SerializeToString()
    at, length = data.draw(st.integers(0, len(good) - 1)), data.draw(st.integers(0, 6))
    spoiled = good[:at] + data.draw(st.binary(max_size=4)) + good[at + length :]
    try:
        request = CodeGeneratorRequest.FromString(spoiled)
    except Exception:  # noqa: BLE001 (each protobuf runtime has its own)
        return
    try:
        answer = generate(request)
    except InputError:
        return
    assert bool(answer.error) != bool(answer.file) or not answer.file
    for file in answer.file:
        compile(file.content, file.name, "exec")
