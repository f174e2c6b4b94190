# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What the options say: values, checked where they are made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from ._exits import CliError, Exit

__all__ = ["Link", "Pace", "Sources", "endpoint", "header", "operation_names", "seconds", "sendable"]

_SCHEME: Final = re.compile(r"(unix|unix-abstract|vsock|dns|ipv4|ipv6|xds):.+", re.DOTALL)
# Without user and password, query and fragment: a server is a place.
_URL: Final = re.compile(
    r"(https?)://(?:[^\s:/?#\[\]@]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?(?:/[^\s?#]*)?", re.IGNORECASE
)
_HOST_PORT: Final = re.compile(r"(?:[^\s:/\[\]@]+|\[[0-9A-Fa-f:.%\w]+\]):([0-9]{1,5})")
_DURATION: Final = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ms|s|m|h|)")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}
_HEADER_KEY: Final = re.compile(r"[a-z0-9_.-]+")
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e]*")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """How to reach the server.

    Attributes:
        endpoint: Its address, as gRPC takes it; or the URL of a server that speaks HTTP/JSON.
        insecure: Plain text, no TLS.
        ca: Certificates to trust, instead of those that came with gRPC.
        headers: Sent with every request.
        rpc_timeout: Longest time of one request, seconds.
    """

    endpoint: str
    insecure: bool = False
    ca: Path | None = None
    headers: tuple[tuple[str, str | bytes], ...] = ()
    rpc_timeout: float = 10.0

    def __post_init__(self) -> None:
        """Refuses what contradicts itself."""
        scheme = self.endpoint.partition("://")[0].lower() if self.is_url else ""
        if self.insecure and self.ca is not None:
            raise CliError(Exit.USAGE, "--insecure and --ca contradict each other")
        if self.insecure and scheme == "https":
            raise CliError(Exit.USAGE, "--insecure and an https:// endpoint contradict each other")
        if self.ca is not None and scheme == "http":
            raise CliError(Exit.USAGE, "--ca and an http:// endpoint contradict each other")

    @property
    def is_url(self) -> bool:
        """Whether the server is spoken to over HTTP/JSON."""
        return _URL.fullmatch(self.endpoint) is not None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the types of payloads come from."""

    modules: tuple[str, ...] = ()
    descriptor_sets: tuple[Path, ...] = ()
    reflect: bool = False


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How to wait.

    Attributes:
        timeout: Overall time, seconds; ``None`` for ever.
        interval: Seconds between requests; ``None`` for the default, 1 s that grows to 5 s.
        progress: Whether anybody looks at progress. Otherwise a server that can is asked to wait itself.
    """

    timeout: float | None
    interval: float | None = None
    progress: bool = True


def endpoint(text: str) -> str:
    """Checks ``host:port``, an address in one of gRPC's own schemes, or the URL of a server that speaks HTTP/JSON.

    Raises:
        CliError: It is none of these.
    """
    if _SCHEME.fullmatch(text):
        return text
    if (url := _URL.fullmatch(text)) is not None and 0 < int(url[2] or 1) < 65536:
        return text
    found = _HOST_PORT.fullmatch(text)
    if found is None or not 0 < int(found[1]) < 65536:
        # A password or a key in it is not repeated.
        shown = "" if "@" in text or "?" in text else f"; got {text!r}"
        raise CliError(Exit.USAGE, f"--endpoint is HOST:PORT, or a URL such as https://HOST{shown}")
    return text


def operation_names(names: list[str]) -> list[str]:
    """Names that can be asked for, each once.

    Raises:
        CliError: One cannot.
    """
    from ..names import check_name

    try:
        return list(dict.fromkeys(map(check_name, names)))
    except ValueError as error:
        raise CliError(Exit.USAGE, str(error)) from error


def sendable(text: str, option: str) -> str:
    """Text that can be sent.

    Raises:
        CliError: It was no text where it came from: its bytes are not those of the system's encoding.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise CliError(Exit.USAGE, f"{option} is not text: {text!r}") from None
    return text


def header(text: str) -> tuple[str, str | bytes]:
    """Reads ``key=value``; the value of a key that ends in ``-bin`` is base64, as gRPC has it.

    Raises:
        CliError: It is not one, or gRPC cannot send it.
    """
    key, separator, value = text.partition("=")
    key = key.strip().lower()
    # The value may be a secret: it is not repeated in what goes wrong.
    if not separator or not _HEADER_KEY.fullmatch(key):
        raise CliError(Exit.USAGE, "--header is KEY=VALUE; a key has letters, digits, '-', '_' and '.'")
    if key.startswith("grpc-"):
        raise CliError(Exit.USAGE, f"--header {key}: gRPC keeps keys that start with 'grpc-' to itself")
    if key.endswith("-bin"):
        import base64

        try:
            return key, base64.b64decode(value, validate=True)
        except ValueError:
            raise CliError(Exit.USAGE, f"--header {key}: the value of a '-bin' header is base64") from None
    if not _HEADER_VALUE.fullmatch(value):
        raise CliError(Exit.USAGE, f"--header {key}: the value is printable ASCII")
    return key, value


def seconds(text: str, option: str, *, least: float = 0.0) -> float:
    """Reads a duration: ``30``, ``1.5s``, ``500ms``, ``5m``, ``2h``.

    Raises:
        CliError: It is not one, or too short.
    """
    found = _DURATION.fullmatch(text.strip().lower())
    value = float(found[1]) * _UNITS[found[2]] if found else -1.0
    if not least <= value < 1e9:
        at_least = f", {least:g} s or more" if least else ""
        raise CliError(Exit.USAGE, f"{option} is a time such as 30, 1.5s, 5m or 2h{at_least}; got {text!r}")
    return value
