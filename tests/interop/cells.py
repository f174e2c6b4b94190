# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The columns of the table: what every client is asked to do, and what has to come of it.

A cell is a method of a client's class, named like the `Cell`. It gets a `Stage`, does with the client what the cell says, in
the client's own way, and returns what the client saw in plain values, a `Seen`; an async client returns a coroutine. What was
seen is checked here, the same for all. So a client can be anything: one that is no Python fills in a `Seen` from its output.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from examples.memorystore.api import CREATE_INSTANCE, STARTING
from google.cloud.redis_v1.types import cloud_redis
from google.longrunning import operations_pb2

__all__ = [
    "LIST_FILTER", "LIST_PAGE_SIZE", "PAST_SECONDS", "SLOW_GB", "Cell", "NotOfferedError", "Seen", "Stage", "check",
    "create_call", "create_request",
]  # fmt: skip

LIST_FILTER: Final = "done = true"
LIST_PAGE_SIZE: Final = 4

PAST_SECONDS: Final = 30.0
"""When whatever a cell waits for has long happened, seconds."""

SLOW_GB: Final = 16
"""The size of an instance whose stages last more than a second each: time to look, also for clients that need a process for it,
and to cancel, also where machines are slow."""

_STAGES: Final = ("Looking at the quotas", "Reserving an IP range", STARTING, "Checking that it answers", "Done")


class Cell(enum.Enum):
    """A column: its heading, and what a client does in it."""

    CREATE = ("create", "CreateInstance returns an operation that is not done, with typed metadata")
    PROGRESS = ("progress", "metadata of two stages or more is seen while it runs, in order, and the last one after")
    RESULT = ("result", "waiting ends with an Instance")
    FAILURE = ("failure details", "code, message, ErrorInfo, QuotaFailure and Help of an operation that fails")
    CANCEL = ("cancel", "a running operation is cancelled, and ends in code 1 with its metadata")
    LIST = ("list, filter, page", f"`{LIST_FILTER}` gives all that are done and no other, in more than one page")
    DELETE = ("delete", "a deleted operation is NOT_FOUND")
    RESUME = ("resume", "another client on another connection takes hold of an operation, and gets its Instance")
    NOT_FOUND = ("not found", "an operation that never was is NOT_FOUND, and the error says which")

    def __init__(self, heading: str, task: str) -> None:
        self.heading = heading
        self.task = task

    @property
    def method(self) -> str:
        """The method of a client's class that fills it."""
        return self.name.lower()


class NotOfferedError(Exception):
    """A client has no way to do what a cell asks for; the text says why, and goes into the documentation."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Where one cell plays.

    Attributes:
        address: Of the server, host and port, where it speaks gRPC,
        http_address: and where it speaks HTTP.
        location: The parent of this cell's instances, and of their operations; no other cell has it.
        listed_in: A location with operations to list.
        listed: Names of those there that are done.
    """

    address: str
    http_address: str
    location: str
    listed_in: str
    listed: frozenset[str]

    def request(self, instance_id: str = "cache", *, memory_size_gb: int = 1) -> cloud_redis.CreateInstanceRequest:
        """Asks for an instance; with "quota" in its id it fails."""
        return create_request(self.location, instance_id, memory_size_gb=memory_size_gb)

    @property
    def absent(self) -> str:
        """The name of an operation that never was."""
        return f"{self.location}/operations/absent"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a client made of an operation, in plain values; a cell fills in what it is about.

    Attributes:
        name: The operation's name.
        done: Whether it is done.
        verb: Its metadata's verb,
        target: target,
        cancel_requested: and whether a cancel was asked for.
        stages: Its metadata's status details, one after the other; repeated ones and empty ones do not matter.
        instance: The name of the instance that came of it,
        host: its host,
        memory_size_gb: and its size.
        code: The number of an error's code,
        message: its message,
        details: the full names of the types of its details,
        reason: and the reason its ErrorInfo gives.
        pages: The names on each page of a list.
    """

    name: str = ""
    done: bool = False
    verb: str = ""
    target: str = ""
    cancel_requested: bool = False
    stages: tuple[str, ...] = ()
    instance: str = ""
    host: str = ""
    memory_size_gb: int = 0
    code: int = 0
    message: str = ""
    details: tuple[str, ...] = ()
    reason: str = ""
    pages: tuple[tuple[str, ...], ...] = ()


def create_request(location: str, instance_id: str, *, memory_size_gb: int = 1) -> cloud_redis.CreateInstanceRequest:
    """Asks for an instance anywhere; the bigger, the longer it takes."""
    instance = cloud_redis.Instance(tier=cloud_redis.Instance.Tier.BASIC, memory_size_gb=memory_size_gb)
    return cloud_redis.CreateInstanceRequest(parent=location, instance_id=instance_id, instance=instance)


def create_call(channel: Any) -> Any:
    """CreateInstance by plain gRPC, on a channel of either kind: it returns an ``Operation``, or an awaitable one."""
    request_type: Any = cloud_redis.CreateInstanceRequest  # its serialize() is not typed
    return channel.unary_unary(
        CREATE_INSTANCE.path,
        request_serializer=request_type.serialize,
        response_deserializer=operations_pb2.Operation.FromString,
    )


def check(cell: Cell, seen: Seen, stage: Stage) -> None:
    """Demands that a client saw what it had to.

    Raises:
        AssertionError: It did not.
    """
    _CHECKS[cell](seen, stage)


def _create(seen: Seen, stage: Stage) -> None:
    assert re.fullmatch(rf"{stage.location}/operations/op-[0-9a-f]{{32}}", seen.name)
    assert (seen.done, seen.verb, seen.target) == (False, "create", f"{stage.location}/instances/cache")


def _progress(seen: Seen, _: Stage) -> None:
    stages = [_STAGES.index(stage) for stage in dict.fromkeys(seen.stages) if stage]
    assert stages == sorted(stages)
    assert len(stages) >= 3, seen.stages
    assert _STAGES[stages[-1]] == "Done"


def _result(seen: Seen, stage: Stage) -> None:
    assert (seen.instance, seen.memory_size_gb) == (f"{stage.location}/instances/cache", 1)
    assert re.fullmatch(r"10\.142\.0\.\d+", seen.host)


def _failure(seen: Seen, _: Stage) -> None:
    assert (seen.code, seen.message) == (8, "The quota of 16 GB is exceeded")
    assert seen.details == ("google.rpc.ErrorInfo", "google.rpc.QuotaFailure", "google.rpc.Help")
    assert seen.reason == "MEMORY_QUOTA_EXCEEDED"


def _cancel(seen: Seen, _: Stage) -> None:
    assert (seen.done, seen.code, seen.message) == (True, 1, "Cancelled by the user")
    assert seen.cancel_requested


def _list(seen: Seen, stage: Stage) -> None:
    names = [name for page in seen.pages for name in page]
    assert len(seen.pages) > 1, seen.pages
    assert (len(names), frozenset(names)) == (len(stage.listed), stage.listed)


def _deleted(seen: Seen, _: Stage) -> None:
    assert seen.code == 5


def _not_found(seen: Seen, stage: Stage) -> None:
    assert seen.code == 5
    assert stage.absent in seen.message


_CHECKS: Final[dict[Cell, Callable[[Seen, Stage], None]]] = {
    Cell.CREATE: _create,
    Cell.PROGRESS: _progress,
    Cell.RESULT: _result,
    Cell.FAILURE: _failure,
    Cell.CANCEL: _cancel,
    Cell.LIST: _list,
    Cell.DELETE: _deleted,
    Cell.RESUME: _result,
    Cell.NOT_FOUND: _not_found,
}
