# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What is registered for a method: which functions are async, and what is read from a request."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

import pytest
from google.cloud.redis_v1 import types as redis
from google.protobuf import descriptor_pb2, descriptor_pool, empty_pb2, message_factory

from example.library.v1 import library_pb2
from longrunning import Code, LroMethod
from longrunning.server import AllowAll, Limits, LocalExecutor, MemoryStore, NamePattern, OperationsServer
from longrunning.server._handlers import check_request_id, is_async, is_generator, parent_reader, request_id_of
from longrunning.server._refusal import Refusal

PATH: Final = "/example.library.v1.Library/Method"
SHELVES: Final = NamePattern("shelves/{shelf}/operations/{operation}")
DEEP: Final = NamePattern("projects/{project}/locations/{location}/operations/{operation}")
FLAT: Final = NamePattern("operations/{operation}")
STRING: Final = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
BYTES: Final = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
REPEATED: Final = descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED
OPTIONAL: Final = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL


def method(request: type[Any], path: str = PATH) -> LroMethod[Any, Any, Any]:
    """A method that takes this request."""
    return LroMethod(
        path=path,
        request_type=request,
        response_type=library_pb2.Shelf,
        metadata_type=library_pb2.OperationMetadata,
    )


def message(*fields: tuple[str, Any, Any], full_name: str = "test.Request") -> type[Any]:
    """A class with these fields: name, type or message type, and label."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{full_name}.proto", package="test", syntax="proto3")
    made = file.message_type.add(name=full_name.split(".")[1])
    inner = file.message_type.add(name="Inner")
    inner.field.add(name="name", number=1, type=STRING, label=OPTIONAL)
    for number, (name, kind, label) in enumerate(fields, start=1):
        field = made.field.add(name=name, number=number, label=label)
        if kind == "Inner":
            field.type, field.type_name = field.TYPE_MESSAGE, ".test.Inner"
        else:
            field.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    cls: type[Any] = message_factory.GetMessageClass(pool.FindMessageTypeByName(full_name))
    return cls


# --- functions


async def on_loop(request: Any, context: Any) -> None:
    """A coroutine function."""


def in_thread(request: Any, context: Any) -> None:
    """An ordinary function."""


async def stream(request: Any, context: Any) -> AsyncIterator[None]:
    """An async generator function."""
    yield


def parts(request: Any, context: Any) -> Iterator[None]:
    """A generator function."""
    yield


class Async:
    """Coroutine functions of several kinds."""

    async def __call__(self, request: Any, context: Any) -> None: ...
    async def method(self, request: Any, context: Any) -> None: ...
    @classmethod
    async def of_class(cls, request: Any, context: Any) -> None: ...
    @staticmethod
    async def static(request: Any, context: Any) -> None: ...


class Streaming:
    """An object whose call is a generator."""

    def __call__(self, request: Any, context: Any) -> Iterator[None]:
        yield


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (on_loop, True),
        (in_thread, False),
        (Async(), True),
        (Async().method, True),
        (Async.of_class, True),
        (Async.static, True),
        (functools.partial(on_loop), True),
        (functools.partial(functools.partial(on_loop), context=None), True),
        (functools.partial(Async()), True),
        (functools.partial(in_thread), False),
        (print, False),
        (stream, False),
    ],
)
def test_what_runs_on_the_loop(handler: Callable[..., Any], expected: bool) -> None:
    """Whatever gives a coroutine when called runs on the loop, also behind a partial (RUN-5)."""
    assert is_async(handler) is expected


@pytest.mark.parametrize("handler", [stream, parts, functools.partial(stream), Streaming()])
def test_generators(handler: Callable[..., Any]) -> None:
    """Functions that yield are known, also behind a partial or an object (SRV-2)."""
    assert is_generator(handler)
    assert not is_generator(on_loop)
    assert not is_generator(Async())


# --- parents


@pytest.mark.parametrize(
    ("request_message", "expected"),
    [
        (redis.CreateInstanceRequest(parent="projects/p/locations/l"), "projects/p/locations/l"),
        (redis.DeleteInstanceRequest(name="projects/p/locations/l/instances/i"), "projects/p/locations/l"),
        (
            redis.UpdateInstanceRequest(instance=redis.Instance(name="projects/p/locations/l/instances/i")),
            "projects/p/locations/l",
        ),
        (redis.ExportInstanceRequest(name="projects/p/locations/l/instances/i"), "projects/p/locations/l"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_parents_of_real_requests(request_message: Any, expected: str) -> None:
    """The parent is read from parent, name or <resource>.name, of proto-plus requests too (SRV-3)."""
    kind: Any = request_message.__class__
    assert parent_reader(method(kind), DEEP, None)(request_message) == expected


def test_the_first_field_that_fits() -> None:
    """Of parent, name and the resources, in this order, the first that lies under a parent counts (SRV-3)."""
    kind = message(("shelf", "Inner", OPTIONAL), ("name", STRING, OPTIONAL), ("parent", STRING, OPTIONAL))
    read = parent_reader(method(kind), SHELVES, None)
    every = {"parent": "shelves/1", "name": "shelves/2/books/1", "shelf": {"name": "shelves/3"}}
    assert read(kind(**every)) == "shelves/1"
    assert read(kind(**(every | {"parent": "libraries/1"}))) == "shelves/2"
    assert read(kind(shelf={"name": "shelves/3"})) == "shelves/3"
    with pytest.raises(Refusal) as caught:
        read(kind(name="books/1"))
    assert caught.value.status.code is Code.INVALID_ARGUMENT
    for shown in ("'parent'", "'name'", "'shelf.name'", "shelves/{shelf}"):
        assert shown in caught.value.status.message


@pytest.mark.parametrize(
    "field",
    [
        ("target", STRING, OPTIONAL),
        ("name", BYTES, OPTIONAL),
        ("parent", STRING, REPEATED),
        ("shelves", "Inner", REPEATED),
    ],
    ids=lambda field: field[0],
)
def test_requests_without_a_parent(field: tuple[str, Any, Any]) -> None:
    """A method whose request cannot say a parent is refused when it is registered, with what to do about it (SRV-3)."""
    kind = message(field)
    with pytest.raises(ValueError, match=r"test\.Request has no field.*pass parent=") as caught:
        parent_reader(method(kind), SHELVES, None)
    for shown in (PATH, "shelves/{shelf}", 'NamePattern("operations/{operation}")'):
        assert shown in str(caught.value)
    assert parent_reader(method(kind), FLAT, None)(kind()) == ""
    assert parent_reader(method(kind), SHELVES, "shelves/all")(kind()) == "shelves/all"


@pytest.mark.parametrize(
    "parent", ["", "shelves", "shelves/", "shelves/1/books/2", "shelves/-", "shelves/..", "books/1", "shelves/1/"]
)
def test_fixed_parents_that_are_none(parent: str) -> None:
    """A fixed parent that does not fit the pattern is refused when it is registered (SRV-3)."""
    with pytest.raises(ValueError, match=r"no parent of operations.*shelves/\{shelf\}"):
        parent_reader(method(library_pb2.Shelf), SHELVES, parent)


def test_a_fixed_parent_where_there_are_none() -> None:
    """With a pattern without parents only the empty one can be given (SRV-3)."""
    assert parent_reader(method(library_pb2.Shelf), FLAT, "")(library_pb2.Shelf()) == ""
    with pytest.raises(ValueError, match="operations have none"):
        parent_reader(method(library_pb2.Shelf), FLAT, "shelves/1")


def test_a_function_for_the_parent() -> None:
    """What a function of the request returns is checked with every request (SRV-3)."""
    read = parent_reader(method(library_pb2.Shelf), SHELVES, lambda shelf: shelf.theme)
    assert read(library_pb2.Shelf(theme="shelves/1")) == "shelves/1"
    with pytest.raises(Refusal):
        read(library_pb2.Shelf(theme="shelves/1/books/2"))


# --- request ids


def test_request_ids_are_read_where_they_are() -> None:
    """A request id is the text field request_id; a request without one, or with another kind of field, has none (SRV-7)."""
    kind = message(("request_id", STRING, OPTIONAL))
    assert request_id_of(kind(request_id="8d2f")) == "8d2f"
    assert request_id_of(kind()) == ""
    assert request_id_of(library_pb2.Shelf()) == ""
    assert request_id_of(redis.CreateInstanceRequest()) == ""
    for field in (("request_id", BYTES, OPTIONAL), ("request_id", STRING, REPEATED)):
        assert request_id_of(message(field)()) == ""


@pytest.mark.parametrize("request_id", ["x" * 129, "a\nb", "a\x00", "\u202e", "\ud800"])
def test_request_ids_that_are_none(request_id: str) -> None:
    """An id that is too long, or that cannot be printed, is INVALID_ARGUMENT (SRV-7)."""
    with pytest.raises(Refusal) as caught:
        check_request_id(request_id)
    assert caught.value.status.code is Code.INVALID_ARGUMENT
    assert check_request_id("x" * 128) == "x" * 128


# --- registering


def server(**arguments: Any) -> OperationsServer:
    """A server that never runs."""
    given = dict[str, Any](store=MemoryStore(), authorizer=AllowAll(), names=SHELVES) | arguments
    return OperationsServer(**given)


def test_registering_returns_the_function() -> None:
    """The decorator returns the handler as it is, and the method is known by its path (SRV-1)."""
    mine, made = server(), method(library_pb2.Shelf)
    registrar: Any = mine.method(made)
    assert registrar(on_loop) is on_loop
    assert mine.methods == {PATH: made}
    with pytest.raises(TypeError):
        mine.methods["another"] = made  # type: ignore[index]
    assert mine.registered(PATH) is not None
    assert mine.registered("/another") is None


def test_one_handler_for_each_method() -> None:
    """A second handler of a path is a ValueError, whenever it comes (SRV-1)."""
    mine = server()
    first: Any = mine.method(method(library_pb2.Shelf))
    second: Any = mine.method(method(library_pb2.Shelf))
    first(on_loop)
    with pytest.raises(ValueError, match=f"{PATH} has a handler already"):
        second(on_loop)
    with pytest.raises(ValueError, match=f"{PATH} has a handler already"):
        mine.method(method(library_pb2.Shelf))


@pytest.mark.parametrize("handler", [None, "create_shelf", 1, stream, parts, Streaming()], ids=repr)
def test_what_is_no_handler(handler: Any) -> None:
    """What cannot be called, or yields, is a TypeError, and leaves the method without a handler (SRV-1, SRV-2)."""
    mine = server()
    registrar: Any = mine.method(method(library_pb2.Shelf))
    with pytest.raises(TypeError):
        registrar(handler)
    assert not mine.methods
    registrar(on_loop)


def test_methods_that_are_not_served() -> None:
    """With serve=False a method has a handler, and its RPC is left to somebody else (SRV-1)."""
    mine = server()
    registrar: Any = mine.method(method(library_pb2.Shelf), serve=False)
    registrar(in_thread)
    assert PATH in mine.methods
    assert mine.registered(PATH) is None


WRONG: Final[list[dict[str, Any]]] = [
    {"store": MemoryStore},
    {"store": None},
    {"store": "operations.db"},
    {"authorizer": AllowAll},
    {"authorizer": None},
    {"authorizer": print},
    {"executor": 4},
    {"executor": LocalExecutor},
    {"names": "operations/{operation}"},
    {"limits": 4},
    {"registry": library_pb2},
    {"page_token_keys": b"a key of sixteen"},
]


@pytest.mark.parametrize("arguments", WRONG, ids=str)
def test_wrong_arguments(arguments: dict[str, Any]) -> None:
    """What is no store, authorizer, executor, pattern, limits or key is a TypeError where the server is made (AUTH-3)."""
    with pytest.raises(TypeError):
        server(**arguments)


def test_everybody_may_everything_only_when_it_is_written_out() -> None:
    """There is no server without an authorizer (AUTH-3)."""
    make: Any = OperationsServer
    with pytest.raises(TypeError, match="authorizer"):
        make(store=MemoryStore())


@pytest.mark.parametrize("keys", [[], [b"short"], [b"x" * 15], [b"x" * 16, b""]], ids=str)
def test_short_keys(keys: list[bytes]) -> None:
    """No key, or one of less than 16 bytes, is a ValueError (SRV-11)."""
    with pytest.raises(ValueError, match="key"):
        server(page_token_keys=keys)


def test_what_a_server_says_of_itself() -> None:
    """A server shows its pattern, its limits and its methods, and that it does not run (SRV-1)."""
    limits = Limits(max_attempts=2)
    mine = server(limits=limits)
    assert (mine.names, mine.limits) == (SHELVES, limits)
    assert repr(mine) == "<OperationsServer 0 method(s), shelves/{shelf}/operations/{operation}, not running>"
    with pytest.raises(RuntimeError, match="async with"):
        _ = mine.loop


@pytest.mark.parametrize("target", [None, "localhost:1", object()], ids=repr)
def test_what_is_no_grpc_server(target: Any) -> None:
    """What is neither kind of gRPC server is a TypeError (SRV-1)."""
    with pytest.raises(TypeError, match=r"grpc\.aio\.Server or a grpc\.Server"):
        server().add_to(target)


@pytest.mark.parametrize(("concurrency", "queue"), [(0, 1), (-1, 1), (1, -1)])
def test_bounds_of_an_executor(concurrency: int, queue: int) -> None:
    """An executor runs at least one operation; its queue may be empty and not less (RUN-5)."""
    with pytest.raises(ValueError, match="an executor needs"):
        LocalExecutor(concurrency=concurrency, queue=queue)
    assert LocalExecutor(concurrency=1, queue=0).room == 1


def test_empty_is_a_request_like_any_other() -> None:
    """A method that takes Empty can be registered where operations have no parent (SRV-3)."""
    mine = server(names=FLAT)
    registrar: Any = mine.method(method(empty_pb2.Empty))
    registrar(on_loop)
    registered = mine.registered(PATH)
    assert registered is not None
    assert registered.parent(empty_pb2.Empty()) == ""
