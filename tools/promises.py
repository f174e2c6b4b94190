# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Holds the tests to ``docs/promises.md``: a behaviour that has landed is named, and passed, by a test.

As a pytest plugin (tests/conftest.py loads it) it fails a run in which

* a test has no docstring, or one of several lines;
* a test in ``unit``, ``pair`` or ``contract`` names neither a behaviour nor a law, or any test names one that is unknown;
* with ``--promises-require``, a landed behaviour was proved neither by this run nor by one stored before.

``--promises=LABEL`` stores what the run proved as ``build/promises/LABEL.json``; runs of several labels
add up. As a program it prints the table of all stored runs, and fails when a landed behaviour is unproved.

A docstring names behaviours as in ``(SNAP-1, WAIT-2)`` or ``(TYPE-1..4)``, laws as in ``(law 1)``.
"""

from __future__ import annotations

import inspect
import json
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROMISES = ROOT / "docs" / "promises.md"
STORE = ROOT / "build" / "promises"
MUST_NAME = {"unit", "pair", "contract"}  # folders of tests/ whose tests are about behaviours, and nothing else
LAWS = range(1, 10)


@dataclass(frozen=True)
class Promises:
    """The numbers of ``docs/promises.md``, in its order: ``SNAP-1`` -> has it landed?"""

    landed: dict[str, bool]

    @classmethod
    def parse(cls, text: str) -> Promises:
        """Reads items of the form ``**SNAP-1** (landed) …``; whatever is not landed is planned."""
        items = re.findall(r"^\s*(?:[-*] )?\*\*([A-Z]+-\d+)\*\* \((landed|planned)\)", text, re.MULTILINE)
        numbers = [number for number, _ in items]
        if repeated := [number for number, count in Counter(numbers).items() if count > 1]:
            message = f"{', '.join(repeated)}: more than once"
            raise ValueError(message)
        return cls({number: state == "landed" for number, state in items})

    def named_by(self, docstring: str) -> tuple[set[str], set[str]]:
        """Returns the behaviours and laws a docstring names, and apart from them those that do not exist."""
        families = {number.split("-")[0] for number in self.landed}
        named = {f"law {number}" for number in re.findall(r"\blaws? (\d+)", docstring)}
        for family, first, last in re.findall(r"\b([A-Z]+)-(\d+)(?:\.\.(\d+))?\b", docstring):
            if family in families:  # UTF-8 and AIP-151 are not ours
                named |= {f"{family}-{number}" for number in range(int(first), int(last or first) + 1)}
        known = set(self.landed) | {f"law {number}" for number in LAWS}
        return named & known, named - known

    def unproved(self, proved: Counter[str]) -> list[str]:
        """Returns the landed numbers without a passing test."""
        return [number for number, landed in self.landed.items() if landed and not proved[number]]

    def table(self, proved: Counter[str], width: int) -> Iterator[str]:
        """Yields one line, or more, for each family: ``SNAP  1:12  2:4  3:-`` and so on."""
        families: dict[str, list[str]] = {}
        for number, landed in self.landed.items():
            family, item = number.split("-")
            if landed:
                families.setdefault(family, []).append(f"{item}:{proved[number] or '-'}")
        for family, cells in families.items():
            line = f"{family:<5}"
            for cell in cells:
                if len(line) + len(cell) + 2 > width:
                    yield line
                    line = " " * 5
                line += f"  {cell:<5}"
            yield line.rstrip()


def stored() -> Counter[str]:
    """Adds up what the stored runs proved; tests that no longer exist do not count."""
    proved: Counter[str] = Counter()
    for path in sorted(STORE.glob("*.json")):
        for nodeid, numbers in json.loads(path.read_text(encoding="utf-8")).items():
            if (ROOT / nodeid.split("::")[0]).exists():
                proved.update(numbers)
    return proved


@dataclass(eq=False)  # pytest keeps plugins in sets
class Plugin:
    """Watches one run of pytest."""

    promises: Promises
    label: str | None
    require: bool
    names: dict[str, set[str]] = field(default_factory=dict[str, set[str]])  # nodeid -> what its docstring names
    passed: dict[str, bool] = field(default_factory=dict[str, bool])  # nodeid -> outcome of an executed test
    faults: list[str] = field(default_factory=list[str])

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Reads the docstrings of the tests that are going to run."""
        for item in items:
            function = getattr(item, "obj", None)
            docstring = inspect.cleandoc(getattr(function, "__doc__", None) or "")
            self.names[item.nodeid], unknown = self.promises.named_by(docstring)
            place = item.nodeid.split("[")[0]
            folder = Path(place.split("::")[0]).parts[1:2]
            if not docstring:
                self.faults.append(f"{place}: no docstring")
            elif "\n" in docstring:
                self.faults.append(f"{place}: the docstring has more than one line")
            elif unknown:
                self.faults.append(f"{place}: {', '.join(sorted(unknown))} is not in docs/promises.md")
            elif MUST_NAME.intersection(folder) and not self.names[item.nodeid]:
                self.faults.append(f"{place}: the docstring names no behaviour and no law")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test counts when it was called and passed, and its teardown did not fail."""
        if report.when == "call":
            self.passed[report.nodeid] = report.passed
        elif report.failed:
            self.passed[report.nodeid] = False

    def proved(self) -> dict[str, list[str]]:
        """Returns nodeid -> numbers of the tests that passed."""
        return {nodeid: sorted(self.names.get(nodeid, ())) for nodeid, passed in self.passed.items() if passed}

    def total(self) -> Counter[str]:
        """Returns how many passing tests prove each number; a stored run includes this one already."""
        if self.label:
            return stored()
        return Counter(number for numbers in self.proved().values() for number in numbers)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Stores the run, and turns faults into an error that pytest counts in its closing line."""
        if session.config.option.collectonly:
            return
        if self.label:
            STORE.mkdir(parents=True, exist_ok=True)
            text = json.dumps(self.proved(), indent=1, sort_keys=True)
            (STORE / f"{self.label}.json").write_text(text, encoding="utf-8")
        faults = sorted(set(self.faults))
        if self.require and (missing := self.promises.unproved(self.total())):
            faults.append(f"landed, but proved by no test: {', '.join(missing)}")
        if faults:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            report = pytest.CollectReport("docs/promises.md", "failed", "\n".join(faults), [])
            reporter = session.config.pluginmanager.get_plugin("terminalreporter")
            if reporter is not None:
                reporter.stats.setdefault("error", []).append(report)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Prints the table, before pytest's closing line."""
        if self.label:
            write_table(self.promises, self.total(), terminalreporter)


def write_table(promises: Promises, proved: Counter[str], reporter: pytest.TerminalReporter) -> None:
    """Prints the table under a heading of pytest's kind."""
    reporter.section("landed promises: passing tests of each")
    for line in promises.table(proved, 110):
        reporter.write_line(line)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the two options."""
    group = parser.getgroup("promises")
    group.addoption("--promises", metavar="LABEL", help="store what this run proves as build/promises/LABEL.json")
    group.addoption(
        "--promises-require", action="store_true", help="fail when a landed promise is proved by no stored run"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Starts watching."""
    promises = Promises.parse(PROMISES.read_text(encoding="utf-8"))
    plugin = Plugin(promises, config.getoption("--promises"), bool(config.getoption("--promises-require")))
    config.pluginmanager.register(plugin, "longrunning-promises")


def main(arguments: Iterable[str]) -> int:
    """Prints the table of the stored runs."""
    if list(arguments):
        sys.exit(__doc__)
    promises = Promises.parse(PROMISES.read_text(encoding="utf-8"))
    proved = stored()
    labels = sorted(path.stem for path in STORE.glob("*.json"))
    print(f"passing tests of each landed promise, from the stored runs: {', '.join(labels) or 'none'}")
    for line in promises.table(proved, shutil.get_terminal_size().columns):
        print(line)
    if missing := promises.unproved(proved):
        print(f"proved by no test: {', '.join(missing)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
