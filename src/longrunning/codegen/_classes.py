# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Where the class of a message is in Python."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, final

from .model import Message
from .options import Location, Messages, Options

__all__ = ["PythonClass", "find_class", "module_of", "output_path"]

# Folders whose modules protobuf, googleapis-common-protos and grpc-google-iam-v1 bring: their messages are pb2 everywhere.
_INSTALLED: Final = (
    "google/api", "google/cloud/location", "google/iam/v1", "google/logging/type", "google/longrunning", "google/protobuf",
    "google/rpc", "google/type",
)  # fmt: skip
_VERSION: Final = re.compile(r"v\d+(?:p\d+)?(?:(?:alpha|beta|eap|test)\d*)?")


@final
@dataclass(frozen=True, slots=True)
class PythonClass:
    """The class of a message.

    Attributes:
        module: The module to import.
        names: The attributes that lead to the class from there.
    """

    module: str
    names: tuple[str, ...]


def find_class(message: Message, options: Options) -> PythonClass:
    """Where the class of a message is."""
    location = _location(message.path, options)
    if location is None:
        kind = Messages.PB2 if _is_installed(message.path) else options.messages
        module = module_of(message.path) if kind is Messages.PB2 else _gapic_module(message.package)
    elif location.messages is Messages.PROTO_PLUS or location.prefix == message.path:
        module = location.module
    else:
        rest = message.path[len(location.prefix) :].lstrip("/")
        module = f"{location.module}.{module_of(rest)}"
    return PythonClass(module, message.names)


def _location(path: str, options: Options) -> Location | None:
    """The longest prefix wins; the empty one is not meant to move what is installed."""
    found = [item for item in options.locations if item.holds(path) and (item.prefix or not _is_installed(path))]
    return max(found, key=lambda item: len(item.prefix), default=None)


def _is_installed(path: str) -> bool:
    return any(path.startswith(f"{folder}/") for folder in _INSTALLED)


def module_of(path: str, suffix: str = "_pb2") -> str:
    """The module that protoc writes for a file: ``a/b-c/k8s.min.proto`` → ``a.b_c.k8s.min_pb2``."""
    return path.removesuffix(".protodevel").removesuffix(".proto").replace("-", "_").replace("/", ".") + suffix


def output_path(path: str) -> str:
    """The file that is written for one: beside the one that protoc writes."""
    return module_of(path, "_lro").replace(".", "/") + ".py"


def _gapic_module(package: str) -> str:
    """Where Google's generator puts the messages of a package: ``google.cloud.redis.v1`` → ``google.cloud.redis_v1.types``."""
    head, _, version = package.rpartition(".")
    if head and _VERSION.fullmatch(version):
        package = f"{head}_{version}"
    return f"{package}.types" if package else "types"
