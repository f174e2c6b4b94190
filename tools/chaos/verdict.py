# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What has to hold after any number of deaths: the clients' ledger, the handlers' log and the list of operations agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from longrunning import Code

from .clients import Entry, Ledger
from .wire import Trace, WorkMetadata, WorkResponse

__all__ = ["History", "histories", "judge"]


@dataclass(slots=True)
class History:
    """What the handlers of one operation wrote.

    Attributes:
        request_ids: The requests they were given.
        begun: How many attempts began.
        fence: The fencing number of the last of them.
        ended: How each attempt said that it would end, by fencing number.
        confirmed: The step of the last checkpoint that was written for certain.
        tried: The step of the last checkpoint that may have been written.
        faults: What is wrong by itself.
    """

    request_ids: set[str] = field(default_factory=set[str])
    begun: int = 0
    attempt: int = 0
    fence: int = 0
    ended: dict[int, str] = field(default_factory=dict[int, str])
    confirmed: int = 0
    tried: int = 0
    faults: list[str] = field(default_factory=list[str])

    def add(self, trace: Trace) -> None:
        """The next line."""
        match trace.what:
            case "begun":
                self._begin(trace)
            case "writing":
                self.tried = max(self.tried, trace.step)
            case "written":
                if trace.fence != self.fence:
                    self.faults.append(f"the lease {trace.fence} wrote although {self.fence} had been given")
                self.confirmed = trace.step
            case "stopping" | "failing" | "returning":
                self.ended[trace.fence] = trace.what
            case "late refused":
                pass
            case _:
                self.faults.append(f"{trace.what}: a late write under the lease {trace.fence}")

    def _begin(self, trace: Trace) -> None:
        self.request_ids.add(trace.request_id)
        self.begun += 1
        if trace.attempt <= self.attempt:
            self.faults.append(f"attempt {trace.attempt} began after attempt {self.attempt}")
        if trace.fence <= self.fence:
            self.faults.append(f"the lease {trace.fence} was given after {self.fence}")
        if not self.confirmed <= trace.step <= self.tried:
            self.faults.append(
                f"attempt {trace.attempt} was given the checkpoint of step {trace.step}; "
                f"{self.confirmed} was written, and {self.tried} perhaps"
            )
        self.attempt, self.fence = trace.attempt, trace.fence


def histories(traces: Iterable[Trace]) -> dict[str, History]:
    """By name of the operation."""
    found: dict[str, History] = defaultdict(History)
    for trace in traces:
        found[trace.operation].add(trace)
    return dict(found)


def judge(ledger: Ledger, traces: Iterable[Trace], listed: Sequence[Any], integrity: str) -> list[str]:
    """All that is wrong.

    Args:
        ledger: What the clients remember, after all operations have ended.
        traces: What the handlers wrote.
        listed: All operations, as they are listed.
        integrity: What SQLite says of the file.
    """
    faults = list(ledger.faults)
    if integrity != "ok":
        faults.append(f"integrity_check: {integrity}")
    by_name = histories(traces)
    faults += _doubled(by_name, listed)
    known = {operation.name: operation for operation in listed}
    for entry in ledger.entries.values():
        history = by_name.get(entry.name, History())
        faults += [f"{entry.name}: {fault}" for fault in _wrong(entry, history, known)]
    names = {entry.name for entry in ledger.entries.values()}
    faults += [
        f"{name}: nobody was told of it, although its request was repeated until it was"
        for name in known.keys() - names
    ]
    faults += [f"{name}: a handler ran for it, and it does not exist" for name in by_name.keys() - known.keys()]
    return faults


def _doubled(by_name: dict[str, History], listed: Sequence[Any]) -> list[str]:
    requests: dict[str, set[str]] = defaultdict(set)
    for name, history in by_name.items():
        for request_id in history.request_ids:
            requests[request_id].add(name)
    for operation in listed:
        requests[_metadata(operation).request_id].add(operation.name)
    faults = [
        f"request {each} made {len(names)} operations: {sorted(names)}"
        for each, names in requests.items()
        if len(names) > 1
    ]
    names = [operation.name for operation in listed]
    return faults + [f"{name} is listed twice" for name in {name for name in names if names.count(name) > 1}]


def _wrong(entry: Entry, history: History, known: dict[str, Any]) -> list[str]:
    if not entry.name:
        return [f"request {entry.request_id} was never acknowledged, although it was sent {entry.sent} times"]
    if entry.name not in known:
        return ["it was acknowledged, and is lost"]
    if entry.outcome is None:
        return ["it never ended"]
    faults = list(history.faults)
    if known[entry.name].SerializeToString(deterministic=True) != entry.outcome:
        faults.append(f"it ended as {entry.operation}, and is listed as {known[entry.name]}")
    if history.request_ids - {entry.request_id}:
        faults.append(f"its handlers were given the requests {history.request_ids}, not {entry.request_id}")
    return faults + _wrong_outcome(entry, history)


def _wrong_outcome(entry: Entry, history: History) -> list[str]:
    """The outcome has to be what the last attempt said it would be, with the metadata of then."""
    operation, metadata = entry.operation, _metadata(entry.operation)
    last = history.ended.get(history.fence, "")
    if metadata.request_id != entry.request_id:
        return [f"its metadata are those of {metadata.request_id}"]
    if operation.WhichOneof("result") == "response":
        response = WorkResponse.FromString(operation.response.value)
        expected = WorkResponse(request_id=entry.request_id, fence=history.fence, steps=entry.steps)
        as_said = last == "returning" and response == expected
    elif operation.error.code == Code.FAILED_PRECONDITION:
        as_said = last == "failing" and operation.error.message == str(history.fence)
    else:
        by_request = operation.error.code == Code.CANCELLED and entry.cancel_sent
        return [] if by_request and not metadata.ended_by else [_unlike(operation, metadata, history)]
    complete = (metadata.steps, metadata.ended_by) == (entry.steps, history.fence)
    return [] if as_said and complete else [_unlike(operation, metadata, history)]


def _unlike(operation: Any, metadata: Any, history: History) -> str:
    last = history.ended.get(history.fence, "its death")
    return f"it ended as {operation} with {metadata}; the last lease was {history.fence}, which ended by {last}"


def _metadata(operation: Any) -> Any:
    return WorkMetadata.FromString(operation.metadata.value)
