# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The interface of google-api-core's operation futures, on top of our handles: for its own tests, and for nothing else.

A future there is made of two callables, one that refreshes an operation and one that cancels it. Here a transport is made of
them, a client of ours of the transport, and the future asks its handle for everything: `refresh`, `wait`, `result`, `cancel`.
What a future of theirs promises about exceptions is translated, since nobody would take our tree for theirs.

`MODULES` says which modules of theirs are played. `made` counts handles, so that a test that passed without one is noticed.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any, Final, NoReturn, cast

from google.api_core import exceptions
from google.api_core.future import _helpers  # pyright: ignore[reportPrivateUsage] (calls callbacks, and logs what they raise)
from google.longrunning import operations_pb2
from google.protobuf import any_pb2, empty_pb2

from longrunning import (
    DEFAULT,
    AsyncOperationsClient,
    Code,
    LroMethod,
    Operation,
    OperationError,
    OperationsClient,
    PollPolicy,
    RetryPolicy,
    Status,
)
from longrunning._polling import PollFailure
from longrunning.client import RpcFailure

__all__ = ["MODULES", "made"]

# Their async futures retry polls that fail with HTTP 429 and 500, too: with ours, that is said once.
_RETRY: Final = RetryPolicy(codes={Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED, Code.INTERNAL}, initial=0.05, maximum=0.1)
POLICY: Final = PollPolicy(initial=0.1, maximum=0.2, use_wait_operation=False, retry=_RETRY)
_BY_HTTP: Final = {429: Code.RESOURCE_EXHAUSTED, 500: Code.INTERNAL}
_NAME: Final = "futures/1"

made = SimpleNamespace(handles=0)
_invoke: Any = vars(_helpers)["safe_invoke_callback"]


class OperationNotCompleteError(Exception):
    """Says in a poll that the operation is not done."""


# -- a transport made of callables ------------------------------------------------------------------------------


def _method(result_type: Any, metadata_type: Any) -> LroMethod[Any, Any, Any]:
    return LroMethod(
        path="/google.api_core/Start",
        request_type=empty_pb2.Empty,
        response_type=result_type,
        metadata_type=metadata_type or any_pb2.Any,
    )


@contextmanager
def _failures() -> Generator[None, None, None]:
    """Exceptions of theirs, as a transport of ours tells them."""
    try:
        yield
    except exceptions.GoogleAPICallError as error:
        given: Any = error
        number = given.grpc_status_code.value[0] if given.grpc_status_code else _BY_HTTP.get(given.code, Code.UNKNOWN)
        passing = given.code in (502, 503, 504)  # as over HTTP (WAIT-6)
        failure = PollFailure(status=Status(number, str(given.message)), transient=passing, cause=error)
        raise RpcFailure(failure, "GetOperation") from error


class CallableTransport:
    """A `longrunning.client.Transport` over two callables."""

    def __init__(self, method: LroMethod[Any, Any, Any], refresh: Callable[[], Any], cancel: Callable[[], Any]) -> None:
        self._method = method
        self._refresh = refresh
        self._cancel = cancel

    def get_operation(self, *_: object) -> Operation[Any, Any]:
        """Refreshes."""
        with _failures():
            return Operation.from_proto(self._refresh(), self._method)

    def cancel_operation(self, *_: object) -> None:
        """Cancels."""
        with _failures():
            self._cancel()

    def start(self, *_: object) -> NoReturn:
        """Not to be had."""
        raise NotImplementedError

    list_operations = delete_operation = wait_operation = start

    def close(self) -> None:
        """Closes nothing."""


class AsyncCallableTransport:
    """A `longrunning.client.AsyncTransport` over two coroutine functions."""

    def __init__(
        self,
        method: LroMethod[Any, Any, Any],
        refresh: Callable[[], Coroutine[Any, Any, Any]],
        cancel: Callable[[], Coroutine[Any, Any, Any]],
    ) -> None:
        self._method = method
        self._refresh = refresh
        self._cancel = cancel

    async def get_operation(self, *_: object) -> Operation[Any, Any]:
        """Refreshes."""
        with _failures():
            return Operation.from_proto(await self._refresh(), self._method)

    async def cancel_operation(self, *_: object) -> None:
        """Cancels."""
        with _failures():
            await self._cancel()

    async def start(self, *_: object) -> NoReturn:
        """Not to be had."""
        raise NotImplementedError

    list_operations = delete_operation = wait_operation = start

    async def close(self) -> None:
        """Closes nothing."""


def _pending(name: str) -> operations_pb2.Operation:
    return operations_pb2.Operation(name=name)


def _done(name: str) -> operations_pb2.Operation:
    message = operations_pb2.Operation(name=name, done=True)
    message.response.Pack(empty_pb2.Empty())
    return message


def _theirs(error: OperationError) -> Exception:
    """The exception a future of theirs promises for an operation that failed."""
    make: Any = vars(exceptions)["from_grpc_status"]
    translated: Exception = make(error.code, error.status.message)
    return translated


# -- sync -------------------------------------------------------------------------------------------------------


class _Future:
    """What a user waits for."""

    def __init__(
        self, message: Any, method: LroMethod[Any, Any, Any], refresh: Callable[[], Any], cancel: Callable[[], Any]
    ) -> None:
        client = OperationsClient(cast("Any", CallableTransport(method, refresh, cancel)), policy=POLICY)
        self._handle = client.adopt(message, method)
        made.handles += 1
        self._callbacks: list[Callable[[Any], Any]] = []
        self._polling_thread: threading.Thread | None = None

    def done(self, retry: Any = None) -> bool:
        """Asks, and tells whether it is done."""
        return self._handle.refresh().done

    def running(self) -> bool:
        """Asks, and tells whether it is not."""
        return not self.done()

    def result(self, timeout: Any = DEFAULT, retry: Any = None, polling: Any = None) -> Any:
        """Waits."""
        try:
            return self._handle.result(timeout=timeout)
        except OperationError as error:
            raise _theirs(error) from error

    def exception(self, timeout: Any = DEFAULT) -> BaseException | None:
        """Waits, and returns what it failed with."""
        try:
            self.result(timeout=timeout)
        except TimeoutError:
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is, it is the answer)
            return error
        return None

    def add_done_callback(self, callback: Callable[[Any], Any]) -> None:
        """Calls back in a thread, or at once when it is done."""
        if self._known_done():
            _invoke(callback, self)
            return
        self._callbacks.append(callback)
        if self._polling_thread is None:
            self._polling_thread = threading.Thread(target=self._call_back, daemon=True)
            self._polling_thread.start()

    def _known_done(self) -> bool:
        known = self._handle.operation
        return known is not None and known.done

    def _call_back(self) -> None:
        self._handle.wait(timeout=None)
        for callback in self._callbacks:
            _invoke(callback, self)


class PollingFuture(_Future):
    """Polled by calling `done`, which subclasses define."""

    def __init__(self, polling: Any = None, **_: Any) -> None:
        self._result: Any = None
        self._exception: BaseException | None = None
        self._result_set = False
        super().__init__(_pending(_NAME), _method(empty_pb2.Empty, empty_pb2.Empty), self._poll, self.cancel)

    def cancel(self) -> bool:
        """For subclasses to say."""
        raise NotImplementedError

    def result(self, timeout: Any = DEFAULT, retry: Any = None, polling: Any = None) -> Any:
        """Waits."""
        self._handle.wait(timeout=timeout)
        if self._exception is not None:
            raise self._exception
        return self._result

    def set_result(self, result: Any) -> None:
        """Makes it done at the next poll."""
        self._result, self._result_set = result, True

    def set_exception(self, exception: BaseException) -> None:
        """Makes it failed at the next poll."""
        self._exception, self._result_set = exception, True

    def _known_done(self) -> bool:
        return self._result_set

    def _poll(self) -> operations_pb2.Operation:
        try:
            return _done(_NAME) if self._result_set or self.done() else _pending(_NAME)
        except OperationNotCompleteError:
            return _pending(_NAME)


class OperationFuture(_Future):
    """``google.api_core.operation.Operation``."""

    def __init__(
        self, operation: Any, refresh: Any, cancel: Any, result_type: Any, metadata_type: Any = None, **_: Any
    ) -> None:
        self._refresh = refresh
        self._cancel = cancel
        self._result_type = result_type
        self._metadata_type = metadata_type
        method = _method(result_type, metadata_type)
        super().__init__(operation, method, refresh, cancel)

    @property
    def operation(self) -> Any:
        """The message."""
        known = self._handle.operation
        return None if known is None else known.to_proto()

    @property
    def metadata(self) -> Any:
        """What it says of itself."""
        known = self._handle.operation
        return None if known is None else known.metadata

    def cancel(self) -> bool:
        """Asks the server to cancel, unless it is done."""
        if self.done():
            return False
        self._handle.cancel()
        return True

    def cancelled(self) -> bool:
        """Asks, and tells whether it was cancelled."""
        error = self._handle.refresh().error
        return error is not None and error.code is Code.CANCELLED

    @classmethod
    def deserialize(cls, payload: bytes) -> Any:
        """Reads a message."""
        return Operation.from_bytes(payload, _method(any_pb2.Any, None)).to_proto()


def _from_gapic(message: Any, client: Any, result_type: Any, grpc_metadata: Any = None, **options: Any) -> Any:
    refresh = partial(client.get_operation, message.name, metadata=grpc_metadata)
    cancel = partial(client.cancel_operation, message.name, metadata=grpc_metadata)
    return OperationFuture(message, refresh, cancel, result_type, **options)


def _from_grpc(message: Any, stub: Any, result_type: Any, grpc_metadata: Any = None, **options: Any) -> Any:
    def get(request: Any, **keywords: Any) -> Any:
        return stub.GetOperation(request, **keywords)

    def cancel(request: Any, **keywords: Any) -> Any:
        return stub.CancelOperation(request, **keywords)

    return OperationFuture(
        message,
        partial(get, operations_pb2.GetOperationRequest(name=message.name), metadata=grpc_metadata),
        partial(cancel, operations_pb2.CancelOperationRequest(name=message.name), metadata=grpc_metadata),
        result_type,
        **options,
    )


def _from_http_json(document: Any, api_request: Any, result_type: Any, **options: Any) -> Any:
    def refresh() -> Any:
        return Operation.from_json(api_request(method="GET", path=f"operations/{message.name}"), method).to_proto()

    def cancel() -> None:
        api_request(method="POST", path=f"operations/{message.name}:cancel")

    method = _method(result_type, options.get("metadata_type"))
    message = Operation.from_json(document, method).to_proto()
    return OperationFuture(message, refresh, cancel, result_type, **options)


# -- async ------------------------------------------------------------------------------------------------------


class _AsyncFuture:
    """What a user awaits."""

    def __init__(
        self,
        message: Any,
        method: LroMethod[Any, Any, Any],
        refresh: Callable[[], Coroutine[Any, Any, Any]],
        cancel: Callable[[], Coroutine[Any, Any, Any]],
    ) -> None:
        client = AsyncOperationsClient(cast("Any", AsyncCallableTransport(method, refresh, cancel)), policy=POLICY)
        self._handle = client.adopt(message, method)
        made.handles += 1
        self._background: asyncio.Task[Any] | None = None

    async def done(self, retry: Any = None) -> bool:
        """Asks, and tells whether it is done."""
        return (await self._handle.refresh()).done

    async def running(self) -> bool:
        """Asks, and tells whether it is not."""
        return not await self.done()

    async def result(self, timeout: Any = None) -> Any:
        """Waits."""
        try:
            return await self._handle.result(timeout=timeout)
        except OperationError as error:
            raise _theirs(error) from error

    async def exception(self, timeout: Any = None) -> BaseException | None:
        """Waits, and returns what it failed with."""
        try:
            await self.result(timeout=timeout)
        except TimeoutError:
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is, it is the answer)
            return error
        return None

    def add_done_callback(self, callback: Callable[[Any], Any]) -> None:
        """Calls back on the loop."""
        if self._background is None:
            self._background = asyncio.ensure_future(self._handle.wait(timeout=None))
        self._background.add_done_callback(lambda _: callback(self))


class AsyncPollingFuture(_AsyncFuture):
    """Polled by awaiting `done`, which subclasses define."""

    def __init__(self, retry: Any = None) -> None:
        self._result: Any = None
        self._exception: BaseException | None = None
        self._result_set = False
        super().__init__(_pending(_NAME), _method(empty_pb2.Empty, empty_pb2.Empty), self._poll, self.cancel)

    async def cancel(self) -> bool:
        """For subclasses to say."""
        raise NotImplementedError

    async def result(self, timeout: Any = None) -> Any:
        """Waits."""
        await self._handle.wait(timeout=timeout)
        if self._exception is not None:
            raise self._exception
        return self._result

    def set_result(self, result: Any) -> None:
        """Makes it done at the next poll."""
        self._result, self._result_set = result, True

    def set_exception(self, exception: BaseException) -> None:
        """Makes it failed at the next poll."""
        self._exception, self._result_set = exception, True

    async def _poll(self) -> operations_pb2.Operation:
        try:
            return _done(_NAME) if self._result_set or await self.done() else _pending(_NAME)
        except OperationNotCompleteError:
            return _pending(_NAME)


class AsyncOperationFuture(_AsyncFuture):
    """``google.api_core.operation_async.AsyncOperation``."""

    def __init__(
        self, operation: Any, refresh: Any, cancel: Any, result_type: Any, metadata_type: Any = None, **_: Any
    ) -> None:
        self._refresh = refresh
        self._cancel = cancel
        self._result_type = result_type
        self._metadata_type = metadata_type
        method = _method(result_type, metadata_type)
        super().__init__(operation, method, refresh, cancel)

    @property
    def operation(self) -> Any:
        """The message."""
        known = self._handle.operation
        return None if known is None else known.to_proto()

    @property
    def metadata(self) -> Any:
        """What it says of itself."""
        known = self._handle.operation
        return None if known is None else known.metadata

    async def cancel(self) -> bool:
        """Asks the server to cancel, unless it is done."""
        if await self.done():
            return False
        await self._handle.cancel()
        return True

    async def cancelled(self) -> bool:
        """Asks, and tells whether it was cancelled."""
        error = (await self._handle.refresh()).error
        return error is not None and error.code is Code.CANCELLED

    @classmethod
    def deserialize(cls, payload: bytes) -> Any:
        """Reads a message."""
        return OperationFuture.deserialize(payload)


def _from_gapic_async(message: Any, client: Any, result_type: Any, grpc_metadata: Any = None, **options: Any) -> Any:
    refresh = partial(client.get_operation, message.name, metadata=grpc_metadata)
    cancel = partial(client.cancel_operation, message.name, metadata=grpc_metadata)
    return AsyncOperationFuture(message, refresh, cancel, result_type, **options)


MODULES: Final = {
    "google.api_core.operation": SimpleNamespace(
        Operation=OperationFuture, from_gapic=_from_gapic, from_grpc=_from_grpc, from_http_json=_from_http_json
    ),
    "google.api_core.operation_async": SimpleNamespace(
        AsyncOperation=AsyncOperationFuture, from_gapic=_from_gapic_async
    ),
    "google.api_core.future.polling": SimpleNamespace(
        PollingFuture=PollingFuture, _OperationNotComplete=OperationNotCompleteError
    ),
    "google.api_core.future.async_future": SimpleNamespace(AsyncFuture=AsyncPollingFuture),
}
