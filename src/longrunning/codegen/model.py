# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Which RPC returns which long-running operation: a model of ``.proto`` files, for generators in any language.

`Model.from_descriptor_set` and `Model.from_request` make it. It holds plain, frozen values and nothing of Python's own:
how a message is imported, or what a method is called, is for the generator that reads it.

Laws of this file:

1. Everything is read from descriptors alone: no generated module is imported, and whether ``operations_pb2`` is installed,
   loaded, old or new makes no difference.
2. What an annotation says is never lost: a name that does not resolve keeps its text, and `Model.findings` says why.
3. Values are in the order of the files, and equal input makes an equal model.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest

    from .findings import Finding

__all__ = [
    "Comment",
    "File",
    "HttpRule",
    "Kind",
    "Message",
    "Method",
    "Model",
    "OperationInfo",
    "Position",
    "Service",
    "TypeName",
]


@final
@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a ``.proto`` file.

    Attributes:
        path: The file, as compilers name it: relative to an import root.
        line: Counted from 1; 0 where the descriptors do not say (they were written without source info).
        column: Counted from 1; 0 likewise.
    """

    path: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """``file:line:column``, as compilers write it; the file alone where nothing more is known."""
        return f"{self.path}:{self.line}:{self.column}" if self.line else self.path


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """The comments at a declaration, without their slashes, asterisks and common indentation.

    Attributes:
        text: The comment before the declaration, or, where there is none, the one after it. Internal comments, ``(-- … --)``
            as of AIP-192, are taken out.
        raw: The same, before anything was taken out, indentation included.
        detached: Comments before it that a blank line separates from it.
    """

    text: str = ""
    raw: str = ""
    detached: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """The first paragraph, as one line."""
        return " ".join(self.text.partition("\n\n")[0].split())


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message type.

    Attributes:
        full_name: Such as ``google.cloud.aiplatform.v1.BatchJob.Metadata``.
        package: Package of its file; empty where that has none.
        path: The file that defines it. Of the types that every protobuf runtime brings it is known even where the file is not
            among the descriptors.
    """

    full_name: str
    package: str
    path: str

    @property
    def names(self) -> tuple[str, ...]:
        """Its name, after those of the messages it is nested in: ``("BatchJob", "Metadata")``."""
        return tuple((self.full_name[len(self.package) + 1 :] if self.package else self.full_name).split("."))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TypeName:
    """A type that an annotation names.

    Attributes:
        written: The text of the annotation; empty where it says nothing.
        message: The message it means; ``None`` where it says nothing, or does not resolve.
    """

    written: str
    message: Message | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class OperationInfo:
    """The annotation ``google.longrunning.operation_info`` of a method (operations.proto).

    Attributes:
        response: What a successful operation holds.
        metadata: What an operation says while it runs.
        position: The annotation.
    """

    response: TypeName
    metadata: TypeName
    position: Position


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRule:
    """The annotation ``google.api.http`` of a method (http.proto).

    Attributes:
        verb: HTTP method in capitals, such as ``"POST"``; of a custom one, its kind as it is written.
        path: Path template.
        body: Field of the request that is the body; ``"*"`` for all that the path does not bind; empty for none.
        response_body: Field of the response that is the body; empty for the response itself.
        additional: Further bindings of the same method; these have none of their own.
    """

    verb: str
    path: str
    body: str = ""
    response_body: str = ""
    additional: tuple[HttpRule, ...] = ()


class Kind(enum.Enum):
    """How a method deals with operations."""

    ORDINARY = "ordinary"
    """It returns something else."""
    STARTS = "starts"
    """It is unary and returns an operation: a long-running method."""
    STREAMS = "streams"
    """It returns operations, and streams: AIP-151 does not know such methods."""
    ABOUT = "about"
    """It returns an operation that somebody else started, as GetOperation does: its request is of `google.longrunning`."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A method of a service.

    Attributes:
        name: Such as ``CreateInstance``.
        path: What is called: ``/google.cloud.redis.v1.CloudRedis/CreateInstance``.
        request: Its request; ``None`` where the file that defines it is not among the descriptors (which is a finding).
        response: What it returns, likewise; of a long-running method ``google.longrunning.Operation``.
        client_streaming: Whether requests come as a stream.
        server_streaming: Whether responses do.
        kind: How it deals with operations.
        operation: The annotation; ``None`` where it has none.
        http: The HTTP binding; ``None`` where it has none.
        deprecated: Whether it is marked so.
        comment: What is written about it.
        position: Where it is declared.
    """

    name: str
    path: str
    request: Message | None
    response: Message | None
    client_streaming: bool
    server_streaming: bool
    kind: Kind
    operation: OperationInfo | None
    http: HttpRule | None
    deprecated: bool
    comment: Comment
    position: Position


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service.

    Attributes:
        name: Such as ``CloudRedis``.
        full_name: Such as ``google.cloud.redis.v1.CloudRedis``.
        methods: All of its methods.
        deprecated: Whether it is marked so.
        comment: What is written about it.
        position: Where it is declared.
    """

    name: str
    full_name: str
    methods: tuple[Method, ...]
    deprecated: bool
    comment: Comment
    position: Position

    @property
    def long_running(self) -> tuple[Method, ...]:
        """Those of its methods that start operations."""
        return tuple(method for method in self.methods if method.kind is Kind.STARTS)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A ``.proto`` file.

    Attributes:
        path: As compilers name it: relative to an import root.
        package: Its package; empty where it has none.
        edition: ``proto2``, ``proto3``, or the edition, such as ``2023``.
        imports: The files it imports.
        services: Its services.
        requested: Whether code is to be generated for it; of a descriptor set, true for every file.
    """

    path: str
    package: str
    edition: str
    imports: tuple[str, ...]
    services: tuple[Service, ...]
    requested: bool

    @property
    def long_running(self) -> tuple[Service, ...]:
        """Those of its services that have methods which start operations."""
        return tuple(service for service in self.services if service.long_running)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """All that was read.

    Attributes:
        files: The files, imported ones before those that import them.
        findings: What is wrong with annotations, in the order of the files. A generator should refuse what it needs of that.
        mixin: HTTP bindings of ``google.longrunning.Operations``, by name of the method: those that operations.proto declares.
            Empty where that file is not among the descriptors.
    """

    files: tuple[File, ...]
    findings: tuple[Finding, ...]
    mixin: tuple[tuple[str, HttpRule], ...]

    @classmethod
    def from_descriptor_set(cls, data: bytes) -> Model:
        """Reads a serialized ``google.protobuf.FileDescriptorSet``.

        Args:
            data: What ``buf build -o x.binpb`` writes, or
                ``protoc --include_imports --include_source_info --descriptor_set_out=x.binpb``. Without source info there are
                neither comments nor lines.

        Raises:
            InputError: It is not one.
        """
        from ._reading import read_descriptor_set

        return read_descriptor_set(data)

    @classmethod
    def from_request(cls, request: CodeGeneratorRequest | bytes) -> Model:
        """Reads what a compiler hands to a plugin (plugin.proto).

        Raises:
            InputError: It is not one.
        """
        from ._reading import read_request

        return read_request(request)

    @property
    def requested(self) -> tuple[File, ...]:
        """The files that code is to be generated for."""
        return tuple(file for file in self.files if file.requested)

    def methods(self) -> Iterator[tuple[File, Service, Method]]:
        """Every method of every file."""
        return (
            (file, service, method) for file in self.files for service in file.services for method in service.methods
        )

    def long_running(self) -> Iterator[tuple[File, Service, Method]]:
        """Every method that starts operations."""
        return (found for found in self.methods() if found[2].kind is Kind.STARTS)
