# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Makes a `Model` of descriptors.

Descriptors come from compilers, and compilers check what they write. Here they are checked again, as far as text of
theirs ends up in code: a name is a name, a path is a path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from google.protobuf import descriptor_pb2

from ._reachable import reachable
from ._sources import OPTIONS, Sources
from ._symbols import Symbols, Unresolved
from ._wire import HTTP, OPERATION_INFO, read_http, read_operation_info
from .errors import InputError
from .findings import Finding, Rule
from .model import File, HttpRule, Kind, Message, Method, Model, OperationInfo, Position, Service, TypeName

if TYPE_CHECKING:
    from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest
    from google.protobuf.descriptor_pb2 import (
        DescriptorProto,
        FileDescriptorProto,
        MethodDescriptorProto,
        ServiceDescriptorProto,
    )

__all__ = ["read_descriptor_set", "read_parameter", "read_request"]

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FULL_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_PATH: Final = re.compile(r"[^\x00-\x1f\x7f\\]+")
_OPERATION: Final = "google.longrunning.Operation"
_OPERATIONS: Final = "google.longrunning.Operations"


def read_descriptor_set(data: bytes) -> Model:
    """See `Model.from_descriptor_set`."""
    files = descriptor_pb2.FileDescriptorSet()
    try:
        files.ParseFromString(data)
    except Exception as error:  # DecodeError, and more from the pure Python runtime
        raise InputError(f"{len(data)} bytes are not a google.protobuf.FileDescriptorSet: {error}") from error
    if not files.file:
        raise InputError("the descriptor set holds no files")
    return _model(files.file, None)


def read_request(request: CodeGeneratorRequest | bytes) -> Model:
    """See `Model.from_request`."""
    from google.protobuf.compiler import plugin_pb2

    if isinstance(request, bytes):
        data, request = request, plugin_pb2.CodeGeneratorRequest()
        try:
            request.ParseFromString(data)
        except Exception as error:
            raise InputError(
                f"{len(data)} bytes are not a google.protobuf.compiler.CodeGeneratorRequest: {error}"
            ) from error
    return _model(request.proto_file, request.file_to_generate)


def read_parameter(request: CodeGeneratorRequest) -> str:
    """The options that a compiler hands to a plugin.

    Raises:
        InputError: They are no text.
    """
    try:
        return _text(request.parameter)
    except ValueError:  # InputError is one as well, but speaks of descriptors
        raise InputError("the options of the plugin are not UTF-8") from None


def _model(protos: Iterable[FileDescriptorProto], requested: Iterable[str] | None) -> Model:
    try:
        return _Reader(list(protos), None if requested is None else {_text(name) for name in requested}).model()
    except UnicodeDecodeError as error:  # what protobuf raises for a string that is none depends on its version
        raise InputError(f"the descriptors hold text that is not UTF-8: {error}") from error


def _text(value: Any) -> str:
    """A string of a descriptor: descriptor.proto is proto2, where nothing but the compiler sees to it that it is one."""
    if isinstance(value, bytes):
        raise InputError(f"the descriptors hold text that is not UTF-8: {value!r}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InputError(f"the descriptors hold text that is not UTF-8: {value!r}") from None
    text: str = value
    return text


def _name(value: Any, what: str, pattern: re.Pattern[str] = _NAME) -> str:
    name = _text(value)
    if pattern.fullmatch(name) is None:
        raise InputError(f"the descriptors hold {what} called {name!r}, which no compiler accepts")
    return name


def _path(value: Any) -> str:
    path = _name(value, "a file", _PATH)
    if any(part in {"", ".", ".."} for part in path.split("/")):
        raise InputError(f"the descriptors hold a file called {path!r}, which no compiler accepts")
    return path


class _Reader:
    """Reads the files of one input."""

    def __init__(self, protos: list[FileDescriptorProto], requested: set[str] | None) -> None:
        self._symbols = Symbols()
        self._findings: list[Finding] = []
        self._mixin: tuple[tuple[str, HttpRule], ...] = ()
        self._protos: dict[str, FileDescriptorProto] = {}
        for proto in protos:
            path = _path(proto.name)
            if path in self._protos:
                raise InputError(f"the descriptors hold two files called {path!r}")
            self._protos[path] = proto
        self._imports = {path: tuple(map(_text, proto.dependency)) for path, proto in self._protos.items()}
        self._imported: frozenset[str] = frozenset()
        self._requested = set(self._protos) if requested is None else requested
        if unknown := self._requested - set(self._protos):
            raise InputError(f"code is requested for {min(unknown)!r}, which is not among the descriptors")

    def model(self) -> Model:
        """Reads them all."""
        declared: set[str] = set()
        for path, proto in self._protos.items():
            for full_name in self._declare(path, proto):
                if full_name in declared:
                    raise InputError(f"the descriptors define {full_name!r} twice")
                declared.add(full_name)
        files = tuple(self._file(path, proto) for path, proto in self._protos.items())
        return Model(files=files, findings=tuple(self._findings), mixin=self._mixin)

    # -- names --------------------------------------------------------------------------------------------------

    def _declare(self, path: str, proto: FileDescriptorProto) -> Iterator[str]:
        package = self._package(proto)
        prefix = f"{package}." if package else ""
        for service in proto.service:
            full_name = prefix + _name(service.name, "a service")
            self._symbols.add_other(full_name, "a service")
            yield full_name
        pending: list[tuple[str, FileDescriptorProto | DescriptorProto]] = [(prefix, proto)]
        while pending:
            scope, holder = pending.pop()
            for enum in holder.enum_type:
                full_name = scope + _name(enum.name, "an enum")
                self._symbols.add_other(full_name, "an enum")
                yield full_name
            messages = holder.nested_type if isinstance(holder, descriptor_pb2.DescriptorProto) else holder.message_type
            for message in messages:
                full_name = scope + _name(message.name, "a message")
                yield full_name
                if message.options.map_entry:
                    continue
                self._symbols.add(Message(full_name=full_name, package=package, path=path))
                pending.append((f"{full_name}.", message))

    @staticmethod
    def _package(proto: FileDescriptorProto) -> str:
        return _name(proto.package, "a package", _FULL_NAME) if proto.package else ""

    # -- files, services, methods -------------------------------------------------------------------------------

    def _file(self, path: str, proto: FileDescriptorProto) -> File:
        package, sources = self._package(proto), Sources(path, proto)
        # What names mean depends on the imports, and only services have names to be resolved.
        self._imported = reachable(path, self._imports) if proto.service else frozenset()
        services = tuple(self._service(sources, index, service, package) for index, service in enumerate(proto.service))
        return File(
            path=path,
            package=package,
            edition=_edition(proto),
            imports=self._imports[path],
            services=services,
            requested=path in self._requested,
        )

    def _service(self, sources: Sources, index: int, proto: ServiceDescriptorProto, package: str) -> Service:
        place = sources.service(index)
        full_name = f"{package}.{proto.name}" if package else proto.name
        names = [_name(method.name, "a method") for method in proto.method]
        if len(set(names)) < len(names):
            raise InputError(f"the descriptors hold two methods of one name in {full_name!r}")
        methods = tuple(
            self._method(sources, (index, number), method, full_name, package)
            for number, method in enumerate(proto.method)
        )
        if full_name == _OPERATIONS:
            self._mixin = tuple((method.name, method.http) for method in methods if method.http is not None)
        return Service(
            name=proto.name,
            full_name=full_name,
            methods=methods,
            deprecated=proto.options.deprecated,
            comment=sources.comment(place),
            position=sources.position(place),
        )

    def _method(
        self, sources: Sources, index: tuple[int, int], proto: MethodDescriptorProto, service: str, package: str
    ) -> Method:
        place = sources.method(*index)
        position = sources.position(place, place[:2])
        path = f"/{service}/{proto.name}"
        request, response = _text(proto.input_type).lstrip("."), _text(proto.output_type).lstrip(".")
        kind = _kind(request, response, streams=proto.client_streaming or proto.server_streaming)
        about = _About(self._findings, f"{service.rpartition('.')[2]}.{proto.name}", path)
        if kind is Kind.STARTS and self._symbols.find(request) is None:
            about.add(
                Rule.UNRESOLVED_TYPE,
                f"the request of {about.name}, {request}, is not among the descriptors: write them with their imports",
                position,
            )
        options = proto.options.SerializeToString() if proto.HasField("options") else b""
        info_position = sources.position((*place, OPTIONS, OPERATION_INFO), (*place, OPTIONS), place, place[:2])
        http_position = sources.position((*place, OPTIONS, HTTP), (*place, OPTIONS), place, place[:2])
        return Method(
            name=proto.name,
            path=path,
            request=self._symbols.find(request),
            response=self._symbols.find(response),
            client_streaming=proto.client_streaming,
            server_streaming=proto.server_streaming,
            kind=kind,
            operation=self._operation(options, package, info_position, about if kind is Kind.STARTS else None),
            http=_http(options, http_position, about if kind is Kind.STARTS else None),
            deprecated=proto.options.deprecated,
            comment=sources.comment(place),
            position=position,
        )

    def _operation(
        self, options: bytes, package: str, position: Position, about: _About | None
    ) -> OperationInfo | None:
        """The annotation. What is wrong with one on a method that starts nothing is nobody's business."""
        try:
            info = read_operation_info(options)
        except ValueError as error:
            if about is not None:
                about.add(
                    Rule.MALFORMED_ANNOTATION,
                    f"google.longrunning.operation_info of {about.name} cannot be read: {error}",
                    position,
                )
            return None
        if info is None:
            return None
        types: list[TypeName] = []
        for field, written in zip(("response_type", "metadata_type"), info, strict=True):
            found = self._symbols.resolve(written, package, self._imported) if written else None
            if isinstance(found, Unresolved):
                if about is not None:
                    about.add(found.rule, f"{field} {written!r} of {about.name} {found.problem}", position)
                found = None
            types.append(TypeName(written=written, message=found))
        return OperationInfo(response=types[0], metadata=types[1], position=position)


class _About:
    """Findings about one method."""

    def __init__(self, findings: list[Finding], name: str, path: str) -> None:
        self._findings, self.name, self._path = findings, name, path

    def add(self, rule: Rule, message: str, position: Position) -> None:
        """Adds one."""
        self._findings.append(Finding(rule=rule, message=message, position=position, method=self._path))


def _http(options: bytes, position: Position, about: _About | None) -> HttpRule | None:
    try:
        return read_http(options)
    except ValueError as error:
        if about is not None:
            about.add(Rule.MALFORMED_ANNOTATION, f"google.api.http of {about.name} cannot be used: {error}", position)
        return None


def _kind(request: str, response: str, *, streams: bool) -> Kind:
    if response != _OPERATION:
        return Kind.ORDINARY
    if request.startswith("google.longrunning."):
        return Kind.ABOUT
    return Kind.STREAMS if streams else Kind.STARTS


def _edition(proto: FileDescriptorProto) -> str:
    if proto.syntax != "editions":
        return _text(proto.syntax) or "proto2"
    names = descriptor_pb2.Edition.DESCRIPTOR.values_by_number
    number: int = proto.edition
    return names[number].name.removeprefix("EDITION_") if number in names else str(number)
