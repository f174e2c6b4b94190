# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The error tree: what is drawn, what an error knows and says, and that it survives pickle."""

from __future__ import annotations

import copy
import pickle
import re
from typing import Any

import pytest
from google.rpc import error_details_pb2

import longrunning.errors as tree
from longrunning._any import UnknownPayload
from longrunning.errors import (
    DescriptorError,
    DocumentError,
    InvalidTypeUrlError,
    LeaseLostError,
    LongRunningError,
    MalformedOperationError,
    MissingExtraError,
    NestingError,
    NoResultError,
    OperationCancelledError,
    OperationConflictError,
    OperationError,
    OperationNotDoneError,
    OperationNotFoundError,
    PayloadDecodeError,
    PayloadError,
    PollingError,
    RegistryConflictError,
    ResumeTokenError,
    RpcError,
    StartError,
    StoreUnavailableError,
    TypeMismatchError,
    UnknownTypeError,
    WaitTimeoutError,
)
from longrunning.status import Code, Status
from tests.unit.builders import CREATE, NAME, U, any_of, operation, read, status, subclasses

INFO = error_details_pb2.ErrorInfo(reason="QUOTA", domain="redis.example.com")
STATUS = Status(Code.UNAVAILABLE, "try later", (INFO, UnknownPayload("a/b/c", b"\xff")))
RUNNING = operation(CREATE, done=False, metadata=any_of(CREATE.metadata_types[0](verb="create")))
FAILED = operation(CREATE, error=status(8, "no room", any_of(INFO)))
FROM_JSON = read({"name": NAME, "metadata": {"@type": U + "no.Such", "x": 1}}, CREATE)
GET = "/google.longrunning.Operations/GetOperation"

# At least one of each class, with everything it can hold.
ERRORS: dict[str, LongRunningError] = {
    "LongRunningError": LongRunningError("m", name="n"),
    "LongRunningError, bare": LongRunningError(),
    "LongRunningError, snapshot": LongRunningError("m", operation=RUNNING),
    "LongRunningError, both": LongRunningError("m", name="n", operation=FROM_JSON),
    "RpcError": RpcError(Code.UNAVAILABLE, STATUS, method=GET, name=NAME),
    "RpcError, unknown code": RpcError(99, Status(99, "new")),
    "StartError": StartError(Code.UNAVAILABLE, STATUS, method=CREATE.path),
    "PollingError": PollingError(Code.UNAVAILABLE, STATUS, method=GET, operation=RUNNING),
    "OperationNotFoundError": OperationNotFoundError(Code.NOT_FOUND, Status(5, "gone"), method=GET, name=NAME, operation=RUNNING),
    "OperationError": OperationError(STATUS, FAILED),
    "OperationError, raised by a handler": OperationError(STATUS),
    "OperationCancelledError": OperationCancelledError(Status(1, "stop"), FAILED),
    "OperationNotDoneError": OperationNotDoneError(RUNNING),
    "NoResultError": NoResultError(operation(CREATE)),
    "WaitTimeoutError": WaitTimeoutError("late", name=NAME),
    "WaitTimeoutError, full": WaitTimeoutError(
        "late", operation=RUNNING, timeout=2.5, resume_token="t", last_error=PollingError(Code.UNAVAILABLE, STATUS, operation=RUNNING)
    ),
    **{
        cls.__name__: cls("why", operation=RUNNING, field="response", expected=("a.B", "a.C"), actual=U + "a.D")
        for cls in (PayloadError, TypeMismatchError, UnknownTypeError, PayloadDecodeError, InvalidTypeUrlError, NestingError, MalformedOperationError)
    },
    "PayloadError, bare": PayloadError(),
    "PayloadError, snapshot from JSON": PayloadError("why", operation=FROM_JSON, field="metadata"),
    "DocumentError": DocumentError("why", path="error.details[0]", name=NAME),
    "DescriptorError": DescriptorError("why"),
    "ResumeTokenError": ResumeTokenError("why"),
    "RegistryConflictError": RegistryConflictError("a.B"),
    "MissingExtraError": MissingExtraError("grpc", "OperationsClient"),
    "LeaseLostError": LeaseLostError(NAME),
    "LeaseLostError, bare": LeaseLostError(),
    "OperationConflictError": OperationConflictError("shelves/1"),
    "StoreUnavailableError": StoreUnavailableError("the disk is full"),
}  # fmt: skip


def attributes(error: BaseException) -> dict[str, Any]:
    """All that can be read from an error, whoever defines it."""
    names = {name for name in dir(error) if not name.startswith("_")} - {"with_traceback", "add_note"}
    return {name: getattr(error, name) for name in names if hasattr(error, name)}


def test_every_class_is_here() -> None:
    """The tables below have every class of the tree (ERR-1, ERR-2)."""
    core = {cls.__name__ for cls in subclasses(LongRunningError) if cls.__module__ == tree.__name__}
    assert {name.split(",")[0] for name in ERRORS} == core
    assert set(tree.__all__) == core


def test_tree_as_drawn() -> None:
    """The tree is as its module draws it (ERR-1)."""
    drawn: dict[str, str] = {}
    branch: list[str] = []
    for line in (tree.__doc__ or "").splitlines():
        found = re.match(r"    ([│ ├└─]*)(\w+Error)\b", line)
        if found:
            depth = len(found[1]) // 4
            branch[depth:] = [found[2]]
            drawn[found[2]] = branch[depth - 1] if depth else ""
    classes = [cls for cls in subclasses(LongRunningError) if cls.__module__ == tree.__name__]
    assert drawn == {cls.__name__: "" if cls is LongRunningError else cls.__bases__[0].__name__ for cls in classes}


@pytest.mark.parametrize(
    ("cls", "base"),
    [
        (StartError, RpcError),
        (PollingError, RpcError),
        (OperationNotFoundError, PollingError),
        (OperationCancelledError, OperationError),
        (WaitTimeoutError, TimeoutError),
        (PayloadError, ValueError),
        (DocumentError, ValueError),
        (DescriptorError, ValueError),
        (ResumeTokenError, ValueError),
        (RegistryConflictError, ValueError),
        (MissingExtraError, ImportError),
        *(
            (cls, PayloadError)
            for cls in (TypeMismatchError, UnknownTypeError, PayloadDecodeError, InvalidTypeUrlError, NestingError)
        ),
    ],
    ids=lambda cls: cls.__name__,
)
def test_bases(cls: type[Exception], base: type[Exception]) -> None:
    """Each error is one of ours, and what Python programs expect of its kind (ERR-1, WAIT-4)."""
    assert issubclass(cls, base)
    assert issubclass(cls, LongRunningError)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (StartError, PollingError),
        (RpcError, OperationError),
        (OperationError, RpcError),
        (WaitTimeoutError, RpcError),
        (WaitTimeoutError, OperationError),
        (PayloadError, OperationError),
    ],
)
def test_apart(one: type[Exception], other: type[Exception]) -> None:
    """Starting, running, polling, waiting and reading fail apart from each other (ERR-1, WAIT-4)."""
    assert not issubclass(one, other)


@pytest.mark.parametrize("way", [*range(2, pickle.HIGHEST_PROTOCOL + 1), "copy", "deepcopy"])
@pytest.mark.parametrize("case", ERRORS)
def test_pickle(case: str, way: int | str) -> None:
    """Every error survives pickle and copy with its class, its text and all its attributes (ERR-2)."""
    error = ERRORS[case]
    ways: dict[str, Any] = {"copy": copy.copy, "deepcopy": copy.deepcopy}
    again = ways[way](error) if isinstance(way, str) else pickle.loads(pickle.dumps(error, way))
    assert type(again) is type(error)
    assert (str(again), again.args) == (str(error), error.args)
    mine, theirs = attributes(error), attributes(again)
    last, again_last = mine.pop("last_error", None), theirs.pop("last_error", None)
    assert theirs == mine
    assert (type(again_last), str(again_last)) == (type(last), str(last))


def test_pickled_notes() -> None:
    """Notes that were added to an error stay with it (ERR-2)."""
    error = NoResultError(RUNNING)
    error.add_note("while creating shelf 3")
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["while creating shelf 3"]


class OwnError(OperationError):
    """What a user may derive."""

    def __init__(self, status_: Status, extra: int) -> None:
        self.extra = extra
        super().__init__(status_)


def test_pickled_subclass() -> None:
    """A class somebody derived is pickled too, whatever its constructor takes (ERR-2)."""
    again = pickle.loads(pickle.dumps(OwnError(STATUS, 7)))
    assert (type(again), again.extra, again.status) == (OwnError, 7, STATUS)


@pytest.mark.parametrize("case", ERRORS)
def test_common_attributes(case: str) -> None:
    """Every error has a name and a last snapshot, or None (ERR-2, law 6)."""
    error = ERRORS[case]
    assert error.operation in (None, RUNNING, FAILED, FROM_JSON, operation(CREATE))
    if error.operation is not None:
        assert error.name in (error.operation.name, "n")


@pytest.mark.parametrize(
    "case",
    [case for case, error in ERRORS.items() if isinstance(error, (RpcError, OperationError)) and "," not in case],
)
def test_text(case: str) -> None:
    """The text has code, message, decoded details, name and last snapshot, on one line (ERR-2)."""
    error: Any = ERRORS[case]
    found: Status = error.details if isinstance(error, RpcError) else error.status
    assert error.code == found.code
    assert isinstance(found.code, Code)
    parts = [found.code.name, str(found.code.value), found.message]
    if found.details:
        parts += ["ErrorInfo", "QUOTA", "redis.example.com", "'a/b/c'"]
    if error.name:
        parts.append(NAME)
    if error.operation is not None:
        parts.append(repr(error.operation))
    if isinstance(error, RpcError):
        parts.append(error.method or "")
    assert [part for part in parts if part not in str(error)] == []
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    "case", [case for case, error in ERRORS.items() if isinstance(error, PayloadError) and "," not in case]
)
def test_payload_text(case: str) -> None:
    """An error about a payload names operation and field, and says why (TYPE-1, ERR-2)."""
    assert str(ERRORS[case]) == f"response of operation '{NAME}': why"


@pytest.mark.parametrize(
    ("case", "parts"),
    [
        ("OperationNotDoneError", (NAME, "not done")),
        ("NoResultError", (NAME, "no result")),
        ("DocumentError", ("error.details[0]", "why")),
        ("RegistryConflictError", ("a.B",)),
        ("MissingExtraError", ("OperationsClient", "pip install", "longrunning[grpc]")),
        ("OperationCancelledError", (NAME, "cancelled", "CANCELLED")),
        ("StartError", (CREATE.path, "UNAVAILABLE")),
        ("RpcError, unknown code", ("99", "new")),
    ],
)
def test_other_text(case: str, parts: tuple[str, ...]) -> None:
    """What an error says is enough to know what to do (ERR-2)."""
    assert [part for part in parts if part not in str(ERRORS[case])] == []


def test_timeout_is_no_cancellation() -> None:
    """A timed-out wait is a TimeoutError, with all one needs to go on, and no cancellation (WAIT-4)."""
    error = ERRORS["WaitTimeoutError, full"]
    assert isinstance(error, WaitTimeoutError)
    assert isinstance(error, TimeoutError)
    assert not isinstance(error, OperationError)
    assert (error.name, error.operation, error.timeout, error.resume_token) == (NAME, RUNNING, 2.5, "t")
    assert isinstance(error.last_error, PollingError)


def test_payload_in_text() -> None:
    """No error's text shows what a payload holds (SNAP-5, ERR-2)."""
    found = operation(CREATE, response=any_of(error_details_pb2.ErrorInfo(reason="secret")))
    with pytest.raises(TypeMismatchError) as caught:
        found.result()
    assert "secret" not in str(caught.value)
    assert "secret" not in str(OperationNotDoneError(found))


def test_root_catches_all() -> None:
    """The root catches everything, and ordinary handlers of Python keep working (ERR-1)."""
    with pytest.raises(LongRunningError):
        operation(CREATE).result()
    with pytest.raises(ValueError, match="JSON"):
        read("[]")
    with pytest.raises(ValueError, match="Instance"):
        operation(CREATE, response=any_of(error_details_pb2.Help())).result()
