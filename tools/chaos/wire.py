# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The service that is killed: its messages, its methods, and what its handlers write into a log beside the store."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from longrunning import LroMethod

__all__ = ["METHODS", "SideLog", "Trace", "WorkMetadata", "WorkRequest", "WorkResponse", "read_traces"]

_FIELD = descriptor_pb2.FieldDescriptorProto


def _message(name: str, **fields: Any) -> descriptor_pb2.DescriptorProto:
    made = descriptor_pb2.DescriptorProto(name=name)
    for number, (field, kind) in enumerate(fields.items(), 1):
        made.field.add(name=field, number=number, type=kind, label=_FIELD.LABEL_OPTIONAL)
    return made


_FILE: Final = descriptor_pb2.FileDescriptorProto(
    name="longrunning/chaos.proto",
    package="longrunning.chaos",
    syntax="proto3",
    message_type=[
        _message("WorkRequest", request_id=_FIELD.TYPE_STRING, steps=_FIELD.TYPE_INT32, fails=_FIELD.TYPE_BOOL),
        _message("WorkResponse", request_id=_FIELD.TYPE_STRING, fence=_FIELD.TYPE_INT64, steps=_FIELD.TYPE_INT32),
        _message("WorkMetadata", request_id=_FIELD.TYPE_STRING, steps=_FIELD.TYPE_INT32, ended_by=_FIELD.TYPE_INT64),
    ],
)
_POOL: Final = descriptor_pool.DescriptorPool()  # not the one of the process: nothing of this is anybody else's
_POOL.AddSerializedFile(_FILE.SerializeToString())


def _class(name: str) -> Any:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{_FILE.package}.{name}"))


WorkRequest: Final = _class("WorkRequest")
WorkResponse: Final = _class("WorkResponse")
WorkMetadata: Final = _class("WorkMetadata")


def _method(name: str) -> LroMethod[Any, Any, Any]:
    return LroMethod(
        path=f"/{_FILE.package}.Works/{name}",
        request_type=WorkRequest,
        response_type=WorkResponse,
        metadata_type=WorkMetadata,
    )


METHODS: Final = {False: _method("Work"), True: _method("WorkInThread")}
"""By whether the handler runs in a thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One line in the log of the handlers.

    Attributes:
        what: ``begun``, ``writing``, ``written``, ``stopping``, ``failing``, ``returning``, ``late refused`` or ``late accepted``.
        life: In which life.
        operation: Name of the operation.
        request_id: The id of the request that the handler was given.
        attempt: Which attempt, from 1.
        fence: The fencing number.
        step: ``begun``: that of the checkpoint it was given, 0 for none; ``writing`` and ``written``: that of the checkpoint.
    """

    what: str
    life: int
    operation: str
    request_id: str
    attempt: int
    fence: int
    step: int = 0


class SideLog:
    """A file that handlers append to; what is in it stays in it when the process is killed."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, trace: Trace) -> None:
        """Appends a line, in one system call."""
        os.write(self._file, json.dumps(asdict(trace)).encode() + b"\n")


def read_traces(path: Path) -> Iterator[Trace]:
    """All lines, in order."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield Trace(**json.loads(line))
