# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Types that the server itself tells of: gRPC server reflection, ``v1`` or ``v1alpha``.

The protocol is two messages, written down here, because the package that has them (grpcio-reflection) knows ``v1alpha``
only, demands the very newest grpcio, and adds files to the default descriptor pool.

Laws of this file:

1. A type is asked for when it is looked up, once; the files it needs are fetched with it.
2. What the server tells goes into descriptor pools of our own.
3. That it tells nothing, or nonsense, makes types unknown, never an error: `ReflectedPool.fault` says why.

Source: grpc/reflection/v1/reflection.proto.
"""

from __future__ import annotations

import functools
import time
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, cast, final

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from .._descriptors import load_files
from ..errors import DescriptorError
from ..registry import TypeRegistry

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor

__all__ = ["ReflectedPool"]

_METHOD: Final = "/grpc.reflection.{}.ServerReflection/ServerReflectionInfo"
_VERSIONS: Final = ("v1", "v1alpha")
_MOST_FILES: Final = 2000  # one server's word for how many there are is not enough
_Field: Final = descriptor_pb2.FieldDescriptorProto

Headers = tuple[tuple[str, str | bytes], ...]


@final
class ReflectedPool:
    """The one question a registry asks a descriptor pool, answered by a server.

    Attributes:
        fault: Why the server does not tell; empty as long as it does.
    """

    def __init__(self, channel: grpc.Channel, headers: Headers, timeout: float, known: TypeRegistry) -> None:
        """Makes one.

        Args:
            channel: The way to the server.
            headers: Sent along.
            timeout: Longest time to learn of a type, seconds.
            known: Types that the server is not asked for.
        """
        self.fault = ""
        self._channel = channel
        self._known = known
        self._headers = headers
        self._timeout = timeout
        self._until = 0.0
        self._versions = list(_VERSIONS)
        self._silent = False  # it has no reflection, or does not answer: once is enough
        self._files: dict[str, descriptor_pb2.FileDescriptorProto] = {}
        self._found: dict[str, Descriptor | None] = {}

    def FindMessageTypeByName(self, full_name: str) -> Descriptor:  # noqa: N802 (the pool's own method name)
        """The descriptor of a message.

        Raises:
            KeyError: The server does not tell.
        """
        found = self._found.get(full_name)
        if found is None and full_name not in self._found and full_name not in self._known and not self._silent:
            found = self._found[full_name] = self._find(full_name)
        if found is None:
            raise KeyError(full_name)
        return found

    def _find(self, full_name: str) -> Descriptor | None:
        self._until = time.monotonic() + self._timeout
        try:
            names = self._fetch(file_containing_symbol=full_name)
            if not names:
                return None
            files = descriptor_pb2.FileDescriptorSet(file=self._closure(names))
            pool, _ = load_files(files.SerializeToString())
            return pool.FindMessageTypeByName(full_name)
        except grpc.RpcError as error:
            failure: Any = error
            self._silent = True
            self.fault = f"{failure.code().name}: {failure.details() or 'no details'}"
        except DescriptorError as error:
            self.fault = f"{full_name}: {error}"
        except KeyError:
            self.fault = f"{full_name} is not in the file that is said to have it"
        return None

    def _closure(self, names: list[str]) -> list[descriptor_pb2.FileDescriptorProto]:
        """Files and all they need, fetched as far as the server did not send it along."""
        closure: dict[str, descriptor_pb2.FileDescriptorProto] = {}
        pending = list(names)
        while pending:
            current = pending.pop()
            if current in closure:
                continue
            if current not in self._files:
                self._fetch(file_by_filename=current)
            file = self._files.get(current)
            if file is not None:
                closure[current] = file
                pending.extend(file.dependency)
            elif not current.startswith("google/protobuf/"):  # those are here anyway
                raise DescriptorError(f"the server does not tell what is in {current}")
            if len(self._files) > _MOST_FILES:
                raise DescriptorError(f"more than {_MOST_FILES} files")
        return list(closure.values())

    def _fetch(self, **question: str) -> list[str]:
        """Asks for a file, and keeps those that come; their names, none if there is no such file."""
        request, response = _messages()
        answer: Any = self._ask(request(**question).SerializeToString())
        names: list[str] = []
        try:
            for data in response.FromString(answer).file_descriptor_response.file_descriptor_proto:
                file = descriptor_pb2.FileDescriptorProto.FromString(data)
                names.append(file.name)
                self._files.setdefault(file.name, file)
        except Exception as error:  # the pure Python runtime raises more than DecodeError
            raise DescriptorError(f"an answer that does not decode: {error}") from error
        return names

    def _ask(self, request: bytes) -> bytes:
        """One question, one answer, in the newest version of the protocol that the server speaks.

        Raises:
            grpc.RpcError: It does not answer, or speaks none.
        """
        while True:
            # Bytes in, bytes out: no serializers.
            method = cast("Any", self._channel).stream_stream(_METHOD.format(self._versions[0]))
            left = max(0.001, self._until - time.monotonic())
            call: Any = method(iter([request]), timeout=left, metadata=self._headers)
            try:
                # The end of the stream is read as well: to cut off each one would look like an attack.
                replies: list[bytes] = list(islice(call, 2))
                return replies[0] if replies else b""
            except grpc.RpcError:
                if call.code() is not grpc.StatusCode.UNIMPLEMENTED or len(self._versions) == 1:
                    raise
                del self._versions[0]
            finally:
                call.cancel()


@functools.cache
def _messages() -> tuple[type[Any], type[Any]]:
    """``ServerReflectionRequest`` and ``ServerReflectionResponse``: the fields that are used here."""
    file = descriptor_pb2.FileDescriptorProto(name="reflection.proto", package="reflection", syntax="proto3")
    text, data, message = _Field.TYPE_STRING, _Field.TYPE_BYTES, _Field.TYPE_MESSAGE
    for name, fields in {
        "Request": [("file_by_filename", 3, text), ("file_containing_symbol", 4, text)],
        "Files": [("file_descriptor_proto", 1, data)],
        "Response": [("file_descriptor_response", 4, message)],
    }.items():
        declared = file.message_type.add(name=name)
        for field, number, kind in fields:
            label = _Field.LABEL_REPEATED if kind == data else _Field.LABEL_OPTIONAL
            type_name = ".reflection.Files" if kind == message else None
            declared.field.add(name=field, number=number, type=kind, label=label, type_name=type_name)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    request, response = (pool.FindMessageTypeByName(f"reflection.{name}") for name in ("Request", "Response"))
    return message_factory.GetMessageClass(request), message_factory.GetMessageClass(response)
