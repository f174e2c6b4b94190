# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What a handler is given besides the request: `AsyncOperationContext`, and `OperationContext` for handlers in threads."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar, cast, final

from google.protobuf import any_pb2

from .._any import pack
from .._types import types_for
from ..errors import LeaseLostError, OperationCancelledError, OperationError, PayloadError, StoreUnavailableError
from ..method import LroMethod
from ..registry import TypeRegistry
from ..status import Code, Status
from ._holding import Holding
from ._limits import Limits
from .storage import OperationStore

__all__ = ["AsyncOperationContext", "OperationContext", "check_type"]

M = TypeVar("M")


def check_type(method: LroMethod[Any, Any, Any], field: str, message: object) -> any_pb2.Any:
    """Packs a response or metadata of a method.

    Raises:
        TypeError: It is not of a type that the method declares.
    """
    kinds = method.kinds[0] if field == "response" else method.kinds[1]
    try:
        # An Any is what it holds, never something to pack again (TYPE-5).
        packed = (
            any_pb2.Any.FromString(message.SerializeToString()) if isinstance(message, any_pb2.Any) else pack(message)
        )
    except (TypeError, PayloadError):
        packed = None
    name = "" if packed is None else packed.type_url.rpartition("/")[2]
    if packed is None or not any(kind.full_name in {name, "google.protobuf.Any"} for kind in kinds):
        declared = " or ".join(kind.full_name for kind in kinds)
        raise TypeError(f"the {field} of {method.path} is a {declared}; got {name or type(message).__name__}")
    return packed


class _Context(Generic[M]):
    """What both kinds of context have in common: reading costs nothing."""

    def __init__(
        self,
        holding: Holding,
        method: LroMethod[Any, Any, Any],
        store: OperationStore,
        limits: Limits,
        registry: TypeRegistry,
    ) -> None:
        self._holding: Final = holding
        self._method: Final = method
        self._store: Final = store
        self._limits: Final = limits
        self._registry: Final = registry

    @property
    def name(self) -> str:
        """Name of the operation."""
        return self._holding.lease.name

    @property
    def principal(self) -> str:
        """Who started it, by the word of the authorizer."""
        return self._holding.lease.principal

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1: handlers run at least once."""
        return self._holding.lease.attempt

    @property
    def fencing_token(self) -> int:
        """Grows with every attempt: give it to whatever you write to, so that it can refuse what comes from an earlier one."""
        return self._holding.lease.fence

    @property
    def checkpoint(self) -> bytes | None:
        """What an earlier attempt left with `update`; ``None`` where none did."""
        return self._holding.lease.checkpoint

    @property
    def cancel_requested(self) -> bool:
        """Whether somebody wants the operation cancelled."""
        return self._holding.cancel_requested

    @property
    def metadata(self) -> M | None:
        """The metadata as last written, a new message each time; ``None`` where there is none."""
        data = self._holding.metadata
        if data is None:
            return None
        packed = any_pb2.Any.FromString(data)
        return cast("M", types_for(self._method, self._registry).read(packed.type_url, packed.value))

    def end_with(self, metadata: M) -> None:
        """Gives the metadata that is published in one step with the outcome, whatever that is: nothing is written now.

        So nobody sees an operation that has not ended with the metadata of one that has, such as an end time.

        Raises:
            OperationError: RESOURCE_EXHAUSTED: it is larger than what is stored (`Limits`).
            TypeError: It is not of the declared type.
        """
        self._holding.last_metadata = self._checked(metadata)

    def raise_if_cancelled(self) -> None:
        """Ends the handler here if somebody wants the operation cancelled: it is then CANCELLED, code 1 (AIP-151).

        Raises:
            OperationCancelledError: Somebody does. Let it pass.
            LeaseLostError: The operation is not this worker's any more: another attempt has begun, or will.
        """
        if self._holding.lost:
            raise LeaseLostError(self.name)
        if self._holding.cancel_requested:
            raise OperationCancelledError(Status(Code.CANCELLED, "the operation was cancelled"))

    def _packed(self, metadata: M | None, checkpoint: bytes | None) -> bytes | None:
        if metadata is None and checkpoint is None:
            raise TypeError("update() takes metadata, a checkpoint, or both")
        if self._holding.lost:
            raise LeaseLostError(self.name)
        if checkpoint is not None:
            if not _is_bytes(checkpoint):
                raise TypeError(f"a checkpoint is bytes; got {type(checkpoint).__name__}")
            _check_size("checkpoint", len(checkpoint), self._limits.max_checkpoint_bytes)
        return None if metadata is None else self._checked(metadata)

    def _checked(self, metadata: M) -> bytes:
        data = check_type(self._method, "metadata", metadata).SerializeToString()
        _check_size("metadata", len(data), self._limits.max_metadata_bytes)
        return data

    async def _write(self, metadata: bytes | None, checkpoint: bytes | None) -> None:
        holding = self._holding
        try:
            cancel = await self._store.update(self.name, holding.lease.fence, metadata=metadata, checkpoint=checkpoint)
        except LeaseLostError:
            holding.lost = True
            raise
        except StoreUnavailableError as error:
            holding.unwritten = error
            raise
        if metadata is not None:
            holding.metadata = metadata
        if cancel:
            holding.request_cancel(self._limits.seconds("cancel_grace"))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}, attempt {self.attempt}>"


def _is_bytes(value: object) -> bool:
    return isinstance(value, bytes)


def _check_size(what: str, size: int, limit: int) -> None:
    if size > limit:
        raise OperationError(
            Status(Code.RESOURCE_EXHAUSTED, f"the {what} has {size} bytes, more than the {limit} that are stored")
        )


@final
class AsyncOperationContext(_Context[M]):
    """What an async handler knows of its operation, and how it tells of its progress."""

    async def update(self, metadata: M | None = None, checkpoint: bytes | None = None) -> None:
        """Writes metadata for whoever watches, and a checkpoint for the attempt after this one; durable when it returns.

        Args:
            metadata: A message of the declared type; ``None`` leaves what was written before.
            checkpoint: Whatever lets another attempt go on from here; ``None`` leaves what was written before.

        Raises:
            LeaseLostError: The operation is not this worker's any more. Let it pass: nothing this attempt does counts.
            OperationError: RESOURCE_EXHAUSTED: it is larger than what is stored (`Limits`).
            StoreUnavailableError: It could not be written now. One that is let pass ends the attempt, not the operation:
                another attempt begins when the lease has expired.
            TypeError: The metadata is not of the declared type, or there is nothing to write.
        """
        await self._write(self._packed(metadata, checkpoint), checkpoint)

    async def sleep(self, seconds: float) -> None:
        """Sleeps, but no longer than until somebody wants the operation cancelled.

        Raises:
            OperationCancelledError: Somebody does. Let it pass.
            LeaseLostError: The operation is not this worker's any more. Let it pass.
        """
        woken = asyncio.Event()
        with self._holding.listening(woken.set):
            self.raise_if_cancelled()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await woken.wait()
        self.raise_if_cancelled()


@final
class OperationContext(_Context[M]):
    """The same for a handler that is an ordinary function: it runs in a thread of its own, and `update` blocks."""

    def __init__(
        self,
        holding: Holding,
        method: LroMethod[Any, Any, Any],
        store: OperationStore,
        limits: Limits,
        registry: TypeRegistry,
        *,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(holding, method, store, limits, registry)
        self._loop: Final = loop

    def update(self, metadata: M | None = None, checkpoint: bytes | None = None) -> None:
        """Writes metadata for whoever watches, and a checkpoint for the attempt after this one; durable when it returns.

        Args:
            metadata: A message of the declared type; ``None`` leaves what was written before.
            checkpoint: Whatever lets another attempt go on from here; ``None`` leaves what was written before.

        Raises:
            LeaseLostError: The operation is not this worker's any more. Let it pass: nothing this attempt does counts.
            OperationError: RESOURCE_EXHAUSTED: it is larger than what is stored (`Limits`).
            StoreUnavailableError: It could not be written now. One that is let pass ends the attempt, not the operation:
                another attempt begins when the lease has expired.
            TypeError: The metadata is not of the declared type, or there is nothing to write.
        """
        writing = self._write(self._packed(metadata, checkpoint), checkpoint)
        try:
            written = asyncio.run_coroutine_threadsafe(writing, self._loop)
        except RuntimeError:  # the server is gone, and its loop with it
            writing.close()
            raise LeaseLostError(self.name) from None

        def give_up() -> None:
            if self._holding.lost:
                written.cancel()

        with self._holding.listening(give_up):
            give_up()  # what happened before, nobody tells
            try:
                written.result()
            except concurrent.futures.CancelledError:
                raise LeaseLostError(self.name) from None

    def sleep(self, seconds: float) -> None:
        """Sleeps, but no longer than until somebody wants the operation cancelled.

        Raises:
            OperationCancelledError: Somebody does. Let it pass.
            LeaseLostError: The operation is not this worker's any more. Let it pass.
        """
        woken = threading.Event()
        with self._holding.listening(woken.set):
            self.raise_if_cancelled()
            woken.wait(seconds)
        self.raise_if_cancelled()
