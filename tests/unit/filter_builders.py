# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Records to filter, and schemas to do it with: real types, as a server would have them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from google.protobuf import any_pb2, timestamp_pb2
from google.rpc import error_details_pb2

from example.library.v1 import library_pb2
from longrunning._any import message_type
from longrunning.registry import TypeRegistry
from longrunning.server.filtering import Filter, FilterLimits, Schema, parse
from tests.unit.builders import Instance, Metadata, any_of, status

LIBRARY = (library_pb2.ImportBooksMetadata, library_pb2.OperationMetadata)
REGISTRY = TypeRegistry(library_pb2.Shelf, *LIBRARY, allowed_prefixes=["types.example.com/"])


def schema(
    responses: tuple[Any, ...] = (), metadata: tuple[Any, ...] = (), registry: TypeRegistry = REGISTRY
) -> Schema:
    """A schema of these types; without types any may come."""
    return Schema(
        responses=[message_type(cls) for cls in responses],
        metadata=[message_type(cls) for cls in metadata],
        registry=registry,
    )


RESPONSES = (library_pb2.ImportBooksResponse, Instance, error_details_pb2.BadRequest)
ALL = schema(RESPONSES, (Metadata, *LIBRARY))
"""What a server with several methods has."""

ANY = schema()
"""What a server has whose methods declare nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A stored operation: running, unless told otherwise."""

    name: str = "operations/1"
    done: bool = False
    code: int | None = None
    metadata: bytes | None = None
    result: bytes | None = None
    create_time: int = 1_000_000
    start_time: int | None = None
    update_time: int = 1_000_000
    end_time: int | None = None


def packed(message: Any) -> bytes:
    """A payload as records have it."""
    return (message if isinstance(message, any_pb2.Any) else any_of(message)).SerializeToString()


def running(metadata: Any = None) -> Record:
    """A record of a running operation."""
    return Record(metadata=None if metadata is None else packed(metadata))


def succeeded(response: Any = None) -> Record:
    """A record of an operation with a response."""
    return Record(done=True, end_time=2_000_000, result=None if response is None else packed(response))


def failed(code: int = 5, message: str = "gone", *details: Any) -> Record:
    """A record of an operation with an error."""
    error = status(code, message, *(any_of(detail) for detail in details))
    return Record(done=True, end_time=2_000_000, code=code, result=error.SerializeToString())


def micros(text: str) -> int:
    """Microseconds of a time."""
    return (dt.datetime.fromisoformat(text) - dt.datetime.fromtimestamp(0, dt.UTC)) // dt.timedelta(microseconds=1)


def timestamp(text: str, nanos: int = 0) -> timestamp_pb2.Timestamp:
    """A time as payloads have it."""
    return timestamp_pb2.Timestamp(seconds=micros(text) // 10**6, nanos=nanos)


def matches(text: str, record: Record, types: Schema = ALL, **limits: int) -> bool:
    """Whether a record fulfils a filter; its conditions are checked on the way."""
    made = parse(text, types, limits=FilterLimits(**limits))
    answer = made.matches(record)
    demand_sound(made, record, answer=answer)
    return answer


def demand_sound(made: Filter, record: Record, *, answer: bool) -> None:
    """What is pushed down follows from the filter, and is as much as it where nothing is left."""
    conditions = all(condition.holds(record) for condition in made.pushdown)
    assert conditions or not answer
    assert made.residual or conditions == answer
