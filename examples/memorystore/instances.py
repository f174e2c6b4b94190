# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What the service itself keeps: its instances, in a small database of their own.

The store of operations knows how far each operation is; what the operations do to the world is the business of the service.
Handlers run at least once, so whatever they do here they may do twice, and a worker that was taken for dead may come back and
write too late. Two columns make both harmless: which operation a row belongs to, and the fencing token of its last attempt.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from google.cloud.redis_v1.types import cloud_redis

__all__ = ["Attempt", "Instances", "Owner", "StaleAttemptError"]

State: Final[Any] = cloud_redis.Instance.State  # mypy takes the members of a proto-plus enum for ints
_Instance: Final[Any] = cloud_redis.Instance  # nor does it know what a proto-plus class has besides its fields

_TABLE: Final = """
create table if not exists instances (
  number integer primary key autoincrement,
  name text not null unique,
  operation text not null,
  fence integer not null,
  data blob not null
)
"""


class Attempt(Protocol):
    """What is needed of a handler's context, of either kind."""

    @property
    def name(self) -> str:
        """The operation."""
        ...

    @property
    def fencing_token(self) -> int:
        """Grows from attempt to attempt."""
        ...


class StaleAttemptError(Exception):
    """A later attempt, or another operation, has taken the instance over."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Which attempt at which operation writes."""

    operation: str
    fence: int

    @classmethod
    def of(cls, attempt: Attempt) -> Owner:
        """The one whose handler has this context."""
        return cls(attempt.name, attempt.fencing_token)


class Instances:
    """The instances there are. Every method may be called again with the same arguments, and changes nothing then."""

    def __init__(self, path: Path) -> None:
        """Opens the file, or makes it."""
        self._path = path
        with self._transaction() as connection:
            connection.execute(_TABLE)

    def get(self, name: str) -> cloud_redis.Instance | None:
        """An instance, whatever its state."""
        with self._transaction() as connection:
            row = connection.execute("select data from instances where name = ?", (name,)).fetchone()
        return None if row is None else _Instance.deserialize(row[0])

    def take(self, owner: Owner, instance: cloud_redis.Instance) -> cloud_redis.Instance:
        """Makes an instance the business of an operation; one that is not there is added.

        That no other operation works on it is the server's promise (`resource=`), so one that an earlier operation left
        half-made, because it was cancelled and its process died, is taken over.

        Args:
            owner: Who takes it.
            instance: As it is to be from now on; left as it is where an earlier attempt at this operation took it.

        Returns:
            As it is now.

        Raises:
            StaleAttemptError: A later attempt at the same operation has it.
        """
        with self._transaction() as connection:
            row = connection.execute(
                "select operation, fence, data from instances where name = ?", (instance.name,)
            ).fetchone()
            if row is not None and row[0] == owner.operation:
                if row[1] > owner.fence:
                    raise StaleAttemptError(instance.name)
                instance = _Instance.deserialize(row[2])
            connection.execute(
                "insert into instances (name, operation, fence, data) values (?, ?, ?, ?) on conflict (name) do update "
                "set operation = excluded.operation, fence = excluded.fence, data = excluded.data",
                (instance.name, owner.operation, owner.fence, _Instance.serialize(instance)),
            )
        return instance

    def finish(self, owner: Owner, name: str) -> cloud_redis.Instance:
        """Makes an instance ready: with an address, the same one each time.

        Raises:
            StaleAttemptError: It is not the owner's.
        """
        with self._transaction() as connection:
            number, instance = self._owned(connection, owner, name)
            instance.host, instance.port, instance.state = f"10.142.0.{3 + number}", 6379, State.READY
            connection.execute(
                "update instances set data = ? where number = ?", (_Instance.serialize(instance), number)
            )
        return instance

    def remove(self, owner: Owner, name: str) -> None:
        """Removes an instance; one that is gone already stays gone.

        Raises:
            StaleAttemptError: It is not the owner's.
        """
        with self._transaction() as connection:
            if connection.execute("select 1 from instances where name = ?", (name,)).fetchone() is not None:
                number, _ = self._owned(connection, owner, name)
                connection.execute("delete from instances where number = ?", (number,))

    def _owned(self, connection: sqlite3.Connection, owner: Owner, name: str) -> tuple[int, cloud_redis.Instance]:
        row = connection.execute(
            "select number, data from instances where name = ? and operation = ? and fence = ?",
            (name, owner.operation, owner.fence),
        ).fetchone()
        if row is None:
            raise StaleAttemptError(name)
        return row[0], _Instance.deserialize(row[1])

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection, None, None]:
        # A connection for each: handlers come from many threads, and a demo has time.
        with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            connection.execute("begin immediate")  # two attempts may be at work at once, in two processes
            try:
                yield connection
            except BaseException:
                connection.execute("rollback")
                raise
            connection.execute("commit")
