# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""`LroMethod`: which RPC starts an operation, and what that operation carries.

The static counterpart of ``google.longrunning.operation_info`` (operations.proto, AIP-151).
"""

# The classes of this file work on each other's insides; outside of it nobody does.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, TypeVar, cast, final, overload

from google.protobuf import message_factory

from ._any import AnyClass, MessageType, UnknownPayload, UntypedClass, message_type
from .errors import DescriptorError, UnknownTypeError

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, FileDescriptor, MethodDescriptor
    from google.protobuf.message import Message

__all__ = ["HttpBinding", "LroMethod"]

Req_contra = TypeVar("Req_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)
M_co = TypeVar("M_co", covariant=True)
Req = TypeVar("Req")
R = TypeVar("R")
M = TypeVar("M")
R2 = TypeVar("R2")
M2 = TypeVar("M2")

_PATH: Final = re.compile(r"/[A-Za-z_][\w.]*/[A-Za-z_]\w*", re.ASCII)
_VERBS: Final = frozenset({"GET", "PUT", "POST", "DELETE", "PATCH"})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class HttpBinding:
    """How a method is called over HTTP/JSON (``google.api.http``, http.proto).

    Attributes:
        verb: HTTP method, such as ``"POST"``.
        path: Path template, such as ``"/v1/{parent=projects/*/locations/*}/instances"``.
        body: Field of the request that is the body; ``"*"`` for all that the path does not bind; empty for none.
    """

    verb: str
    path: str
    body: str = ""

    def __post_init__(self) -> None:
        """Refuses what no server can route."""
        if self.verb not in _VERBS:
            raise ValueError(f"the verb of an HTTP binding is one of {', '.join(sorted(_VERBS))}; got {self.verb!r}")
        if not self.path.startswith("/"):
            raise ValueError(f"the path template of an HTTP binding starts with '/'; got {self.path!r}")


@final
class LroMethod(Generic[Req_contra, R_co, M_co]):
    """A method that returns a long-running operation: frozen data, usually a module constant.

    Attributes:
        path: Full path of the RPC, such as ``"/google.cloud.redis.v1.CloudRedis/CreateInstance"``.
        request_type: Message class of the request.
        response_types: Message classes the response may have; usually one, see `or_types`.
        metadata_types: Message classes the metadata may have.
        http: The HTTP binding, where there is one.
    """

    __slots__ = ("_http", "_kinds", "_path", "_request", "bound")

    bound: Any  # what the layer above derived from this method, so that it does so once; no part of its value
    _path: str
    _request: MessageType[Any]
    _kinds: tuple[tuple[MessageType[Any], ...], tuple[MessageType[Any], ...]]
    _http: HttpBinding | None

    # A declared google.protobuf.Any means "type unknown" (TYPE-5): what comes is whatever the registry finds.
    @overload
    def __init__(
        self: LroMethod[Req, Any, Any],
        *,
        path: str,
        request_type: type[Req],
        response_type: UntypedClass,
        metadata_type: Any,
        http: HttpBinding | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: LroMethod[Req, Any, Any],
        *,
        path: str,
        request_type: type[Req],
        response_type: Any,
        metadata_type: UntypedClass,
        http: HttpBinding | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: LroMethod[Req, Message | UnknownPayload, Message | UnknownPayload],
        *,
        path: str,
        request_type: type[Req],
        response_type: AnyClass,
        metadata_type: AnyClass,
        http: HttpBinding | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: LroMethod[Req, Message | UnknownPayload, M],
        *,
        path: str,
        request_type: type[Req],
        response_type: AnyClass,
        metadata_type: type[M],
        http: HttpBinding | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: LroMethod[Req, R, Message | UnknownPayload],
        *,
        path: str,
        request_type: type[Req],
        response_type: type[R],
        metadata_type: AnyClass,
        http: HttpBinding | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: LroMethod[Req, R, M],
        *,
        path: str,
        request_type: type[Req],
        response_type: type[R],
        metadata_type: type[M],
        http: HttpBinding | None = None,
    ) -> None: ...
    def __init__(
        self,
        *,
        path: str,
        request_type: type[Any],
        response_type: Any,
        metadata_type: Any,
        http: HttpBinding | None = None,
    ) -> None:
        """Declares the method.

        Args:
            path: ``/package.Service/Method``.
            request_type: Message class of the request.
            response_type: Message class of the response: ``Empty`` where there is nothing to return,
                ``google.protobuf.Any`` where the service does not say.
            metadata_type: Message class of the metadata, likewise.
            http: The HTTP binding, needed to start the method over REST.

        Raises:
            ValueError: The path is not one of an RPC.
            TypeError: A type is neither a protobuf nor a proto-plus message class.
        """
        if _PATH.fullmatch(path) is None:
            raise ValueError(f"the path of an RPC reads '/package.Service/Method'; got {path!r}")
        kinds = ((message_type(response_type),), (message_type(metadata_type),))
        self._set(path, message_type(request_type), kinds, http)

    def _set(
        self,
        path: str,
        request: MessageType[Any],
        kinds: tuple[tuple[MessageType[Any], ...], tuple[MessageType[Any], ...]],
        http: HttpBinding | None,
    ) -> None:
        for name, value in (
            ("_path", path),
            ("_request", request),
            ("_kinds", kinds),
            ("_http", http),
            ("bound", None),
        ):
            object.__setattr__(self, name, value)

    @classmethod
    def from_descriptor(cls, method: MethodDescriptor) -> LroMethod[Any, Any, Any]:
        """Reads the annotation ``google.longrunning.operation_info`` of a method.

        Names in the annotation are looked up as given and outward from the method's package; a leading dot makes a
        name absolute. Of several messages found, those count that are in the package of the file, or that it imports.
        Classes are those of the descriptor's own pool.

        Raises:
            DescriptorError: The method does not return an operation, streams, has no annotation, or a name is ambiguous.
            UnknownTypeError: A type it names is not in the pool: import the module that defines it.
        """
        return _from_descriptor(method)

    @overload
    def or_types(self, *, response: UntypedClass, metadata: Any) -> LroMethod[Req_contra, Any, Any]: ...
    @overload
    def or_types(self, *, response: Any, metadata: UntypedClass) -> LroMethod[Req_contra, Any, Any]: ...
    @overload
    def or_types(
        self, *, response: AnyClass, metadata: AnyClass
    ) -> LroMethod[Req_contra, R_co | Message | UnknownPayload, M_co | Message | UnknownPayload]: ...
    @overload
    def or_types(
        self, *, response: AnyClass, metadata: type[M2]
    ) -> LroMethod[Req_contra, R_co | Message | UnknownPayload, M_co | M2]: ...
    @overload
    def or_types(
        self, *, response: type[R2], metadata: AnyClass
    ) -> LroMethod[Req_contra, R_co | R2, M_co | Message | UnknownPayload]: ...
    @overload
    def or_types(self, *, response: type[R2], metadata: type[M2]) -> LroMethod[Req_contra, R_co | R2, M_co | M2]: ...
    def or_types(self, *, response: Any, metadata: Any) -> LroMethod[Any, Any, Any]:
        """The same method, accepting one more type each, as where a service answers in v1 and in v1beta1.

        Raises:
            TypeError: A type is not a message class.
        """
        responses, metadatas = self._kinds
        other: LroMethod[Any, Any, Any] = object.__new__(type(self))
        other._set(
            self._path,
            self._request,
            (_with(responses, message_type(response)), _with(metadatas, message_type(metadata))),
            self._http,
        )
        return other

    @property
    def path(self) -> str:
        """Full path of the RPC."""
        return self._path

    @property
    def request_type(self) -> type[Any]:
        """Message class of the request."""
        return self._request.cls

    @property
    def response_types(self) -> tuple[type[R_co], ...]:
        """Message classes the response may have."""
        return tuple(kind.cls for kind in self._kinds[0])

    @property
    def metadata_types(self) -> tuple[type[M_co], ...]:
        """Message classes the metadata may have."""
        return tuple(kind.cls for kind in self._kinds[1])

    @property
    def http(self) -> HttpBinding | None:
        """The HTTP binding, where there is one."""
        return self._http

    @property
    def kinds(self) -> tuple[tuple[MessageType[Any], ...], tuple[MessageType[Any], ...]]:
        """The accepted types of response and metadata, for the layers above."""
        return self._kinds

    @property
    def request_kind(self) -> MessageType[Any]:
        """The type of the request, for the layers above."""
        return self._request

    if not TYPE_CHECKING:  # otherwise type checkers would take every attribute for one that can be set

        def __setattr__(self, name: str, value: object) -> None:
            if name == "bound":
                object.__setattr__(self, name, value)
                return
            raise AttributeError(f"an LroMethod is frozen: cannot set {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"an LroMethod is frozen: cannot delete {name!r}")

    def _key(self) -> tuple[Any, ...]:
        return self._path, self.request_type, self.response_types, self.metadata_types, self._http

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, LroMethod) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self._path, self.request_type, self.response_types, self.metadata_types, self._http)

    def __repr__(self) -> str:
        response, metadata = (" | ".join(kind.full_name for kind in kinds) for kinds in self._kinds)
        return f"<LroMethod {self._path} -> {response}, metadata {metadata}>"


def _restore(
    path: str,
    request: type[Any],
    responses: tuple[type[Any], ...],
    metadatas: tuple[type[Any], ...],
    http: HttpBinding | None,
) -> LroMethod[Any, Any, Any]:
    method: LroMethod[Any, Any, Any] = object.__new__(cast("type[LroMethod[Any, Any, Any]]", LroMethod))
    kinds = (tuple(message_type(cls) for cls in responses), tuple(message_type(cls) for cls in metadatas))
    method._set(path, message_type(request), kinds, http)
    return method


def _with(kinds: tuple[MessageType[Any], ...], kind: MessageType[Any]) -> tuple[MessageType[Any], ...]:
    return kinds if any(known.cls is kind.cls for known in kinds) else (*kinds, kind)


# -- descriptors ------------------------------------------------------------------------------------------------


def _from_descriptor(method: MethodDescriptor) -> LroMethod[Any, Any, Any]:
    from google.protobuf import descriptor_pb2

    from ._pb import operations_pb2

    service = method.containing_service
    path = f"/{service.full_name}/{method.name}"
    if method.output_type.full_name != operations_pb2.Operation.DESCRIPTOR.full_name:
        raise DescriptorError(f"{path} returns {method.output_type.full_name}, not google.longrunning.Operation")
    if method.client_streaming or method.server_streaming:
        raise DescriptorError(f"{path} streams; a long-running method is unary (AIP-151)")
    # Options are parsed again from their bytes: a pool that was filled before operations_pb2 was imported, or that has its
    # own copy of it, does not know the extension by the class at hand.
    options = descriptor_pb2.MethodOptions.FromString(method.GetOptions().SerializeToString())
    if not options.HasExtension(operations_pb2.operation_info):
        raise DescriptorError(
            f"{path} has no google.longrunning.operation_info annotation: declare an LroMethod by hand"
        )
    info = options.Extensions[operations_pb2.operation_info]
    pool, package = service.file.pool, service.file.package

    def resolve(field: str, name: str) -> type[Any]:
        if not name:
            raise DescriptorError(f"{path}: operation_info has no {field} (AIP-151 demands one)")
        found = {d.full_name: d for d in (_find(pool, candidate) for candidate in _candidates(name, package)) if d}
        if len(found) > 1:
            found = _seen(found, service.file) or found
        if not found:
            raise UnknownTypeError(
                f"{path}: {field} {name!r} is not in the descriptor pool; import the module that defines it",
                actual=name,
            )
        if len(found) > 1:
            raise DescriptorError(
                f"{path}: {field} {name!r} is ambiguous: {', '.join(found)}; begin the name with a dot"
            )
        return message_factory.GetMessageClass(next(iter(found.values())))

    return LroMethod(
        path=path,
        request_type=message_factory.GetMessageClass(method.input_type),
        response_type=resolve("response_type", info.response_type),
        metadata_type=resolve("metadata_type", info.metadata_type),
        http=_http(path, options),
    )


def _candidates(name: str, package: str) -> list[str]:
    if name.startswith("."):
        return [name[1:]]
    scopes = package.split(".") if package else []
    return [name, *(".".join([*scopes[:depth], name]) for depth in range(len(scopes), 0, -1))]


def _find(pool: Any, full_name: str) -> Descriptor | None:
    try:
        return cast("Descriptor", pool.FindMessageTypeByName(full_name))
    except KeyError:
        return None


def _seen(found: dict[str, Descriptor], file: FileDescriptor) -> dict[str, Descriptor]:
    """Those of a file's own package, and of what it imports: what else a process has loaded makes no name ambiguous."""
    imported = {file.name}
    pending = [file]
    while pending:
        for needed in pending.pop().dependencies:
            if needed.name not in imported:
                imported.add(needed.name)
                pending.append(needed)
    return {name: d for name, d in found.items() if d.file.name in imported or d.file.package == file.package}


def _http(path: str, options: Any) -> HttpBinding | None:
    from google.api import annotations_pb2
    from google.protobuf import descriptor_pb2

    parsed = descriptor_pb2.MethodOptions.FromString(options.SerializeToString())
    extension: Any = annotations_pb2.http  # pyright: ignore[reportUnknownMemberType]
    if not parsed.HasExtension(extension):
        return None
    rule: Any = parsed.Extensions[extension]
    verb = rule.WhichOneof("pattern")
    if verb is None or verb == "custom":
        return None
    try:
        return HttpBinding(verb=verb.upper(), path=getattr(rule, verb), body=rule.body)
    except ValueError as error:
        raise DescriptorError(f"{path}: {error}") from None
