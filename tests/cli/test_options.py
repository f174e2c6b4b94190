# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What options mean, and what they must not say."""

from __future__ import annotations

from pathlib import Path

import pytest

from longrunning.cli._exits import CliError, Exit, one_line, printable
from longrunning.cli._options import Link, endpoint, header, operation_names, seconds, sendable
from tests.cli.driving import call


@pytest.mark.parametrize(
    "address",
    [
        "localhost:1",
        "10.0.0.1:65535",
        "[::1]:443",
        "a.b-c.example:8080",
        "unix:/run/x.sock",
        "dns:///h:1",
        "https://h",
        "http://h:1/p",
    ],
)
def test_an_endpoint_is_host_and_port(address: str) -> None:
    """Host and port, an IPv6 address in brackets, gRPC's own schemes, and URLs are endpoints (cli)."""
    assert endpoint(address) == address


@pytest.mark.parametrize(
    "address",
    [
        "",
        "localhost",
        "localhost:",
        "h:0",
        "h:65536",
        "h:x",
        "::1:443",
        "user@h:1",
        "h :1",
        "ftp://h:1",
        "http://",
        "h:1/p",
    ],
)
def test_anything_else_is_not(address: str) -> None:
    """What is none of these is refused before anything is sent (cli)."""
    with pytest.raises(CliError) as caught:
        endpoint(address)
    assert caught.value.code is Exit.USAGE


def test_headers() -> None:
    """A header is a key and a printable value; that of a -bin key is base64 (cli)."""
    assert header("Authorization=Bearer a=b") == ("authorization", "Bearer a=b")
    assert header("x-empty=") == ("x-empty", "")
    assert header("x-bin=AAE=") == ("x-bin", b"\x00\x01")


@pytest.mark.parametrize("text", ["key", "=v", "a b=v", "ä=v", "grpc-timeout=1", "k=ä", "k=a\nb", "k-bin=?", ":path=x"])
def test_a_bad_header_is_refused_without_repeating_its_value(text: str) -> None:
    """A header that gRPC cannot send is refused, and the value, which may be a secret, is not repeated (cli)."""
    with pytest.raises(CliError) as caught:
        header(text)
    assert caught.value.code is Exit.USAGE
    assert text.partition("=")[2] not in str(caught.value) or not text.partition("=")[2]


@pytest.mark.parametrize(
    ("text", "value"), [("30", 30), ("1.5s", 1.5), ("500ms", 0.5), ("5m", 300), ("2H", 7200), ("0", 0), (" .5 ", 0.5)]
)
def test_times(text: str, value: float) -> None:
    """A time is a number of seconds, or one with a unit (cli)."""
    assert seconds(text, "--timeout") == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "-1", "nan", "inf", "1d", "1e3", "9" * 400, "m", "\0"])
def test_what_is_no_time(text: str) -> None:
    """A time that is negative, infinite or nonsense is refused (cli)."""
    with pytest.raises(CliError) as caught:
        seconds(text, "--timeout")
    assert caught.value.code is Exit.USAGE


def test_insecure_and_ca_contradict_each_other() -> None:
    """Plain text with certificates is refused (cli)."""
    with pytest.raises(CliError):
        Link(endpoint="h:1", insecure=True, ca=Path("x"))


def test_names_are_taken_as_they_are() -> None:
    """Names with a leading slash and in any script are asked for as they are, each once (SNAP-7)."""
    assert operation_names(["/uuid", "操作/ä", "/uuid"]) == ["/uuid", "操作/ä"]


@pytest.mark.parametrize("name", ["", "\udcff"])
def test_names_that_cannot_be_asked_for(name: str) -> None:
    """An empty name, and one that was no text on the command line, are refused (cli)."""
    with pytest.raises(CliError) as caught:
        operation_names([name])
    assert caught.value.code is Exit.USAGE


def test_text_that_was_none() -> None:
    """A filter whose bytes were no text is refused (cli)."""
    with pytest.raises(CliError):
        sendable("\udcff", "--filter")


def test_what_is_printed_commands_no_terminal() -> None:
    """Control characters, reversed text and line breaks are written as escapes (cli)."""
    assert printable("a\x1b[31m\x9b\u202e\u2028b\n") == r"a\x1b[31m\x9b\u202e\u2028b\n"
    assert one_line("a\n\tb\x00") == r"a b\x00"
    assert len(one_line("x" * 10_000)) < 2000


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["get", "n", "-e", "h"], "--endpoint is HOST:PORT"),
        (["get", "n", "-e", "h:1", "--insecure", "--ca", "x"], "contradict"),
        (["get", "n", "-e", "h:1", "-H", "x"], "--header is KEY=VALUE"),
        (["get", "n", "-e", "h:1", "--rpc-timeout", "0"], "--rpc-timeout is a time"),
        (["wait", "n", "-e", "h:1", "--timeout", "soon"], "--timeout is a time"),
        (["wait", "n", "-e", "h:1", "--interval", "0"], "--interval is a time"),
        (["get", "", "-e", "h:1"], "without a name"),
        (["get", "n", "-e", "h:1", "--import", "no.such.module"], "no.such.module"),
        (["get", "n", "-e", "h:1", "--import", "json"], "holds no message types"),
        (["get", "n", "-e", "h:1", "--descriptor-set", "/no/such/file"], "No such file"),
        (["get", "n", "-e", "h:1", "--descriptor-set", __file__], "not a google.protobuf.FileDescriptorSet"),
        (["get", "n", "-e", "h:1", "--ca", "/no/such/file"], "No such file"),
        (["get", "n", "-e", "h:1", "--ca", __file__], "no certificates"),
    ],
)
def test_a_command_line_that_cannot_be_used(arguments: list[str], complaint: str) -> None:
    """A value that cannot be used is one line and code 2, before anything is sent (cli)."""
    ended = call(*arguments)
    assert ended.code == Exit.USAGE
    assert complaint in ended.complaint
    assert not ended.out
