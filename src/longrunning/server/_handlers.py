# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What a service registers for a method: the handler, and how to read parent, resource and request id from a request."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeAlias, TypeVar, cast, final, overload

from .._any import underlying
from .._descriptors import is_repeated
from ..method import LroMethod
from ._contexts import AsyncOperationContext, OperationContext
from ._names import NamePattern
from ._refusal import bad_field

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message

__all__ = [
    "Answer",
    "Registered",
    "Registrar",
    "answer_now",
    "check_request_id",
    "is_async",
    "is_generator",
    "parent_reader",
    "request_id_of",
]

Req = TypeVar("Req")
R = TypeVar("R")
M = TypeVar("M")
R_co = TypeVar("R_co", covariant=True)

AsyncHandler: TypeAlias = Callable[[Req, AsyncOperationContext[M]], Coroutine[Any, Any, R]]
SyncHandler: TypeAlias = Callable[[Req, OperationContext[M]], R]
Validate: TypeAlias = "Callable[[Req, Any], Answer[R] | Awaitable[Answer[R] | None] | None]"

_MAX_REQUEST_ID: Final = 128  # characters; AIP-155 asks for a UUID, which has 36


@final
@dataclass(frozen=True, slots=True)
class Answer(Generic[R_co]):
    """A done operation, given at once: nothing is stored, and it has no name. Made by `answer_now`."""

    response: R_co
    metadata: Any = None


def answer_now(response: R, metadata: Any = None) -> Answer[R]:
    """What ``validate`` returns to answer at once, as for a request that only asks to be validated (AIP-163).

    Args:
        response: The response of the operation, which is done and has no name.
        metadata: Its metadata, if it has any.
    """
    return Answer(response, metadata)


class Registrar(Protocol[Req, R, M]):
    """Registers the handler of a method: a decorator, which returns the function as it is."""

    @overload
    def __call__(self, handler: AsyncHandler[Req, M, R], /) -> AsyncHandler[Req, M, R]: ...
    @overload
    def __call__(self, handler: SyncHandler[Req, M, R], /) -> SyncHandler[Req, M, R]: ...


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A method that is served.

    Attributes:
        method: What it returns.
        handler: Does the work.
        runs_on_loop: Whether the handler is async; otherwise it runs in a thread.
        parent: Reads the operation's parent from a request.
        resource: Reads from a request what no other operation may work on; ``None`` for no such rule.
        validate: Runs before anything is stored.
        metadata: Makes the first metadata from a request; ``None`` for none.
        served: Whether the RPC itself is served.
        max_attempts: How many workers may die over one of its operations.
    """

    method: LroMethod[Any, Any, Any]
    handler: Callable[[Any, Any], Any]
    runs_on_loop: bool
    parent: Callable[[Any], str]
    resource: Callable[[Any], str] | None
    validate: Callable[[Any, Any], Any] | None
    metadata: Callable[[Any], Any] | None
    served: bool
    max_attempts: int


def is_async(handler: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
        getattr(handler, "__call__", None)  # noqa: B004 (an object with an async __call__)
    )


def is_generator(handler: Callable[..., Any]) -> bool:
    """Whether calling it gives a generator, async or not: nothing a handler can be."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    called = getattr(handler, "__call__", None)  # noqa: B004 (an object with a __call__ that yields)
    return any(
        inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function) for function in (handler, called)
    )


def request_id_of(request: Any) -> str:
    """The ``request_id`` of a request (AIP-155); empty where it has none.

    Raises:
        Refusal: INVALID_ARGUMENT: it is too long, or not printable.
    """
    message = underlying(request)
    field = message.DESCRIPTOR.fields_by_name.get("request_id")
    if field is None or not _is_string(field):
        return ""
    return check_request_id(cast("str", getattr(message, "request_id")))  # noqa: B009 (it is not of every message)


def check_request_id(request_id: str) -> str:
    """The id, if it can be one.

    Raises:
        Refusal: INVALID_ARGUMENT: it is too long, or not printable.
    """
    if len(request_id) > _MAX_REQUEST_ID or not request_id.isprintable():
        raise bad_field(
            "request_id", f"it has to be printable, and at most {_MAX_REQUEST_ID} characters long, such as a UUID"
        )
    return request_id


def parent_reader(
    method: LroMethod[Any, Any, Any], names: NamePattern, parent: str | Callable[[Any], str] | None
) -> Callable[[Any], str]:
    """How to read the parent of operations from requests of a method.

    Args:
        method: The method.
        names: How operations are named.
        parent: A fixed parent, a function of the request, or ``None``: then the longest beginning of the request's
            ``parent``, ``name`` or ``<resource>.name`` that is a parent by the pattern.

    Raises:
        ValueError: The request has no field the parent could be read from, or the fixed parent is none.
    """
    if callable(parent):
        given = parent
        return lambda request: names.check_parent(given(request))
    if isinstance(parent, str):
        fixed = parent
        if names.parent_of(fixed) != fixed:
            wanted = repr(names.parent_template) if names.has_parent else "an empty one: operations have none"
            raise ValueError(f"{fixed!r} is no parent of operations; the pattern asks for {wanted}")
        return lambda _request: fixed
    if not names.has_parent:
        return lambda _request: ""
    paths = _name_fields(method.request_kind.descriptor)
    if not paths:
        raise ValueError(
            f"{method.path}: {method.request_kind.full_name} has no field 'parent', 'name' or '<resource>.name' to read the "
            f"parent of the operation from (it looks like {names.parent_template}): pass parent=… with a function of the "
            'request, or use a pattern without a parent, such as NamePattern("operations/{operation}")'
        )
    shown = " or ".join(repr(".".join(path)) for path in paths)

    def read(request: Any) -> str:
        message = underlying(request)
        for path in paths:
            found = names.parent_of(_read(message, path))
            if found is not None:
                return found
        raise bad_field(
            ".".join(paths[0]), f"{shown} has to lie under a parent such as {names.parent_template}, and does not"
        )

    return read


def _name_fields(descriptor: Descriptor) -> list[tuple[str, ...]]:
    """Where a request may say what it is about, by AIP-133 (parent), AIP-135 (name) and AIP-134 (<resource>.name)."""
    fields = descriptor.fields_by_name
    found: list[tuple[str, ...]] = [
        (name,) for name in ("parent", "name") if name in fields and _is_string(fields[name])
    ]
    for field in descriptor.fields:
        inner = field.message_type
        if inner is None or is_repeated(field) or "name" not in inner.fields_by_name:
            continue
        if _is_string(inner.fields_by_name["name"]):
            found.append((field.name, "name"))
    return found


def _is_string(field: Any) -> bool:
    return field.type == field.TYPE_STRING and not is_repeated(field)


def _read(message: Message, path: tuple[str, ...]) -> str:
    value: Any = message
    for part in path:
        value = getattr(value, part)
    return cast("str", value)
