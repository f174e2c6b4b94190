# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The cells of programs that print JSON: for each call they are a process and a connection of its own, and a reply is a document."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import Any, Final

from google.cloud.redis_v1.types import cloud_redis
from google.protobuf import json_format

from .cells import LIST_FILTER, LIST_PAGE_SIZE, PAST_SECONDS, SLOW_GB, Seen, Stage
from .google_sync import LOOK_SECONDS

__all__ = ["WAIT", "Document", "DocumentCells", "RefusedError", "as_document"]

WAIT: Final = f"{PAST_SECONDS * 0.8:.0f}s"
"""For how long the server is asked to wait."""

_PREFIX: Final = "type.googleapis.com/"

Document = dict[str, Any]


class RefusedError(Exception):
    """A call that ended with an error, as the program tells of it."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


class DocumentCells(ABC):
    """The cells; a program is a class with the calls, all of which raise `RefusedError`."""

    def create(self, stage: Stage) -> Seen:
        """Starts."""
        operation = self.start(stage, stage.request())
        metadata = metadata_of(operation)
        return Seen(
            name=operation["name"],
            done=operation.get("done", False),
            verb=metadata["verb"],
            target=metadata["target"],
        )

    def progress(self, stage: Stage) -> Seen:
        """Looks again and again."""
        operation = self.start(stage, stage.request(memory_size_gb=SLOW_GB))
        stages = [detail(operation)]
        while not operation.get("done"):
            time.sleep(LOOK_SECONDS)
            operation = self.get(stage, operation["name"])
            stages.append(detail(operation))
        return Seen(stages=tuple(stages))

    def result(self, stage: Stage) -> Seen:
        """Lets the server wait."""
        return seen_instance(self._waited(stage, self.start(stage, stage.request())["name"]))

    def failure(self, stage: Stage) -> Seen:
        """Lets the server wait for the worst."""
        error = self._waited(stage, self.start(stage, stage.request("quota"))["name"])["error"]
        details = {any_["@type"].removeprefix(_PREFIX): any_ for any_ in error["details"]}
        return Seen(
            code=error["code"],
            message=error["message"],
            details=tuple(details),
            reason=details["google.rpc.ErrorInfo"]["reason"],
        )

    def cancel(self, stage: Stage) -> Seen:
        """Cancels on the way."""
        operation = self.start(stage, stage.request(memory_size_gb=SLOW_GB))
        name = operation["name"]
        while not detail(operation):  # which it has once it runs
            assert not operation.get("done"), operation
            time.sleep(LOOK_SECONDS)
            operation = self.get(stage, name)
        assert self.cancel_operation(stage, name) == {}
        operation = self._waited(stage, name)
        return Seen(
            done=operation["done"],
            code=operation["error"]["code"],
            message=operation["error"]["message"],
            cancel_requested=metadata_of(operation).get("cancelRequested", False),
        )

    def list(self, stage: Stage) -> Seen:
        """Lists page by page."""
        pages: list[tuple[str, ...]] = []
        request: Document = {"filter": LIST_FILTER, "pageSize": LIST_PAGE_SIZE}
        while True:
            page = self.page(stage, request)
            pages.append(tuple(operation["name"] for operation in page["operations"]))
            if not page.get("nextPageToken"):
                return Seen(pages=tuple(pages))
            request["pageToken"] = page["nextPageToken"]

    def delete(self, stage: Stage) -> Seen:
        """Deletes, and looks."""
        name: str = self.start(stage, stage.request())["name"]
        assert self.delete_operation(stage, name) == {}
        return self._missing(stage, name)

    def resume(self, stage: Stage) -> Seen:
        """Goes on elsewhere, as ever."""
        return self.result(stage)

    def not_found(self, stage: Stage) -> Seen:
        """Asks for what is not there."""
        return self._missing(stage, stage.absent)

    @abstractmethod
    def start(self, stage: Stage, request: cloud_redis.CreateInstanceRequest) -> Document:
        """CreateInstance."""

    @abstractmethod
    def get(self, stage: Stage, name: str) -> Document:
        """GetOperation."""

    @abstractmethod
    def wait(self, stage: Stage, name: str) -> Document:
        """WaitOperation, for `WAIT`."""

    @abstractmethod
    def page(self, stage: Stage, request: Document) -> Document:
        """ListOperations in `Stage.listed_in`."""

    @abstractmethod
    def cancel_operation(self, stage: Stage, name: str) -> Document:
        """CancelOperation."""

    @abstractmethod
    def delete_operation(self, stage: Stage, name: str) -> Document:
        """DeleteOperation."""

    def _waited(self, stage: Stage, name: str) -> Document:
        operation = self.wait(stage, name)
        assert operation.get("done"), operation
        return operation

    def _missing(self, stage: Stage, name: str) -> Seen:
        try:
            self.get(stage, name)
        except RefusedError as caught:
            return Seen(code=caught.code, message=caught.message)
        return Seen()


def as_document(request: cloud_redis.CreateInstanceRequest) -> Document:
    """A request as JSON."""
    kind: Any = cloud_redis.CreateInstanceRequest  # its pb() is not typed
    return json_format.MessageToDict(kind.pb(request))


def metadata_of(operation: Document) -> Document:
    """The metadata of an operation."""
    metadata: Document = operation["metadata"]
    assert metadata["@type"] == f"{_PREFIX}google.cloud.redis.v1.OperationMetadata"
    return metadata


def detail(operation: Document) -> str:
    """How far it is."""
    status_detail: str = metadata_of(operation).get("statusDetail", "")
    return status_detail


def seen_instance(operation: Document) -> Seen:
    """What came of an operation."""
    instance: Document = operation["response"]
    assert instance["@type"] == f"{_PREFIX}google.cloud.redis.v1.Instance"
    return Seen(instance=instance["name"], host=instance["host"], memory_size_gb=instance["memorySizeGb"])
