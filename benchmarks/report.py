# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What a bench found, what it was to find, and both as a table."""

from __future__ import annotations

import datetime as dt
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from google.protobuf.internal import api_implementation

PACKAGES = ("longrunning", "protobuf", "googleapis-common-protos", "grpcio", "google-api-core", "proto-plus")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two contestants of a bench, and the ratio that is promised; without a promise it is shown all the same.

    Attributes:
        ours: The contestant that is to be good.
        peer: Whom it is compared with.
        faster: `ours` is to be at least so many times faster than `peer`.
        within: `ours` is to take at most so many times as long as `peer`.
    """

    ours: str
    peer: str
    faster: float | None = None
    within: float | None = None

    def ratio(self, times: dict[str, float]) -> float:
        """How many times as long as `peer` it takes; where it is to be faster, how many times faster it is."""
        ratio = times[self.ours] / times[self.peer]
        return ratio if self.faster is None else 1 / ratio

    def holds(self, times: dict[str, float]) -> bool | None:
        """Whether the promise is kept; ``None`` without one."""
        if self.faster is not None:
            return self.ratio(times) >= self.faster
        if self.within is not None:
            return self.ratio(times) <= self.within
        return None

    @property
    def target(self) -> str:
        """The promise in words."""
        if self.faster is not None:
            return f"at least {self.faster:g} x faster" if self.faster != 1 else "not slower"
        return f"at most {self.within:g} x" if self.within is not None else "none"

    def result(self, times: dict[str, float]) -> str:
        """The ratio in words."""
        return f"{self.ratio(times):.2f} x" + (" faster" if self.faster is not None else "")


@dataclass(frozen=True, slots=True)
class Bench:
    """What one bench measured.

    Attributes:
        title: What is measured.
        times: Seconds of each contestant; the first is the one the others are shown as multiples of.
        comparisons: What is read from them.
    """

    title: str
    times: dict[str, float]
    comparisons: tuple[Comparison, ...]

    @property
    def missed(self) -> list[Comparison]:
        """The promises that are not kept."""
        return [comparison for comparison in self.comparisons if comparison.holds(self.times) is False]


def show(seconds: float) -> str:
    """A time with three significant digits."""
    value, unit = (seconds * 1e6, "µs") if seconds < 1e-3 else (seconds * 1e3, "ms")
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"


def verdict(holds: bool | None) -> str:  # noqa: FBT001 (it is all it is about)
    """One word for a promise."""
    return {True: "holds", False: "MISSED", None: ""}[holds]


def environment() -> str:
    """Date, machine and versions, in one line."""
    versions = ", ".join(f"{package} {_version(package)}" for package in PACKAGES)
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return (
        f"{dt.datetime.now(dt.UTC):%Y-%m-%d}; {_processor()}, {os.cpu_count()} cores, {platform.system()}; "
        f"{python}; {versions} ({api_implementation.Type()})"
    )


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "of the working tree"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def plain(benches: list[Bench]) -> Iterator[str]:
    """The lines of the whole report, for a terminal."""
    for bench in benches:
        base = next(iter(bench.times.values()))
        width = max(map(len, bench.times))
        yield ""
        yield bench.title
        for name, seconds in bench.times.items():
            yield f"  {name:<{width}}  {show(seconds):>8}  {seconds / base:5.2f}"
        for comparison in bench.comparisons:
            holds = comparison.holds(bench.times)
            target = f"   target: {comparison.target}   {verdict(holds)}" if holds is not None else ""
            yield f"  -> {comparison.ours} / {comparison.peer}: {comparison.result(bench.times)}{target}"


def markdown(benches: list[Bench]) -> Iterator[str]:
    """The lines of the table for the README."""
    yield "| what | | beside | | ratio | target | |"
    yield "|---|---:|---|---:|---:|---|---|"
    for bench in benches:
        for item in bench.comparisons:
            ours, peer = (show(bench.times[name]) for name in (item.ours, item.peer))
            cells = (f"{bench.title}: {item.ours}", ours, item.peer, peer, item.result(bench.times), item.target)
            yield f"| {' | '.join(cells)} | {verdict(item.holds(bench.times))} |"
    yield ""
    yield f"{environment()}."
