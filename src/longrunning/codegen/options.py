# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The options of the plugin: ``--longrunning_opt=KEY=VALUE``, or ``opt`` in buf.gen.yaml."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Any, Final, TypeVar, final

from .errors import OptionError

__all__ = ["Api", "Generate", "Incomplete", "Location", "Messages", "Options", "Streaming", "Unannotated"]

E = TypeVar("E", bound=enum.Enum)


class Generate(enum.Enum):
    """Which classes to write; the methods' constants and the registry are always there."""

    BOTH = "both"
    CLIENTS = "clients"
    SERVICERS = "servicers"


class Api(enum.Enum):
    """Which clients to write. A servicer's handlers may be either."""

    BOTH = "both"
    SYNC = "sync"
    ASYNC = "async"


class Messages(enum.Enum):
    """What messages are in Python."""

    PB2 = "pb2"
    """Classes of the ``_pb2`` modules that protoc writes."""
    PROTO_PLUS = "proto-plus"
    """Classes of the packages that Google's own generator writes, such as ``google.cloud.redis_v1.types``."""


class Unannotated(enum.Enum):
    """What to do with a method that returns an operation but has no ``operation_info``."""

    UNTYPED = "untyped"
    """Write it: its types are whatever the server sends."""
    SKIP = "skip"
    ERROR = "error"


class Incomplete(enum.Enum):
    """What to do where ``operation_info`` lacks one of the two types."""

    ERROR = "error"
    UNTYPED = "untyped"
    """Take it for ``google.protobuf.Any``."""


class Streaming(enum.Enum):
    """What to do with a method that returns operations and streams."""

    ERROR = "error"
    SKIP = "skip"


_PREFIX: Final = re.compile(r"(?:[^/\x00-\x1f\\]+(?:/[^/\x00-\x1f\\]+)*)?")
_MODULE: Final = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where the messages of some files are in Python.

    Attributes:
        prefix: A folder of ``.proto`` files, such as ``google/cloud/redis/v1``; or one file. Empty for all files but those
            whose modules protobuf and googleapis-common-protos bring.
        module: Of ``pb2`` messages, the package that has taken the folder's place, or the module of the one file. Of
            ``proto-plus`` messages, the module that holds all of them.
        messages: Which of the two.
    """

    prefix: str
    module: str
    messages: Messages

    def __post_init__(self) -> None:
        """Refuses what is no folder, and what is no module."""
        if _PREFIX.fullmatch(self.prefix) is None or {"", ".", ".."} & set(self.prefix.split("/")[self.prefix == "" :]):
            raise OptionError(f"{self.prefix!r} is no folder of .proto files, as in 'google/cloud/redis/v1'")
        if _MODULE.fullmatch(self.module) is None:
            raise OptionError(f"{self.module!r} is no Python module, as in 'google.cloud.redis_v1.types'")

    def holds(self, path: str) -> bool:
        """Whether a file is among those it is about."""
        return self.prefix in {"", path} or path.startswith(f"{self.prefix}/")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to write, and how.

    Attributes:
        generate: Which classes: of clients, of servicers, or of both.
        api: Sync clients, async ones, or both.
        messages: What messages are in Python, unless `locations` say otherwise.
        locations: Where messages are that are not where protoc, or Google's generator, puts them. The longest prefix wins.
        unannotated: What to do without ``operation_info``.
        incomplete: What to do where it lacks a type.
        streaming: What to do with streams of operations.
    """

    generate: Generate = Generate.BOTH
    api: Api = Api.BOTH
    messages: Messages = Messages.PB2
    locations: tuple[Location, ...] = ()
    unannotated: Unannotated = Unannotated.UNTYPED
    incomplete: Incomplete = Incomplete.ERROR
    streaming: Streaming = Streaming.ERROR

    def __post_init__(self) -> None:
        """Refuses two locations for one folder."""
        prefixes = [location.prefix for location in self.locations]
        for prefix in prefixes:
            if prefixes.count(prefix) > 1:
                raise OptionError(f"two options say where the messages of {prefix!r} are")

    @classmethod
    def parse(cls, parameter: str) -> Options:
        """Reads what a compiler hands over: ``KEY=VALUE`` and more of it, after commas.

        Raises:
            OptionError: An option does not exist, is given twice, or has no such value.
        """
        values: dict[str, Any] = {}
        locations: list[Location] = []
        for item in filter(None, (part.strip() for part in parameter.split(","))):
            key, equals, value = (part.strip() for part in item.partition("="))
            if key in _LOCATIONS:
                locations.append(_location(key, value))
            elif key not in _CHOICES:
                raise OptionError(f"unknown option {key!r}; there are: {', '.join((*_CHOICES, *_LOCATIONS))}")
            elif key in values:
                raise OptionError(f"option {key!r} is given twice")
            elif not equals:
                raise OptionError(f"option {key!r} needs a value: {_choices(_CHOICES[key])}")
            else:
                values[key] = _choice(key, value, _CHOICES[key])
        return cls(locations=tuple(locations), **values)


_CHOICES: Final[dict[str, type[enum.Enum]]] = {
    "generate": Generate,
    "api": Api,
    "messages": Messages,
    "unannotated": Unannotated,
    "incomplete": Incomplete,
    "streaming": Streaming,
}
_LOCATIONS: Final = {"pb2": Messages.PB2, "proto_plus": Messages.PROTO_PLUS}


def _choices(kind: type[enum.Enum]) -> str:
    return " or ".join(str(member.value) for member in kind)


def _choice(key: str, value: str, kind: type[E]) -> E:
    try:
        return kind(value)
    except ValueError:
        raise OptionError(f"option {key!r} is {_choices(kind)}; got {value!r}") from None


def _location(key: str, value: str) -> Location:
    prefix, colon, module = value.partition(":")
    if not colon:
        raise OptionError(f"option {key!r} is FOLDER:MODULE, as in {key}=acme/v1:acme.gen.v1; got {value!r}")
    try:
        return Location(prefix=prefix.strip("/"), module=module, messages=_LOCATIONS[key])
    except OptionError as error:
        raise OptionError(f"option {key!r}: {error}") from None
