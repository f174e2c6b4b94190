# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""``google.protobuf.Any``: type URLs, packing, unpacking, and payloads of unknown type.

Laws of this file:

1. A type is named by the part of the URL after the last ``/``; the part before it must be one we were told to
   trust. Nothing is ever fetched (TYPE-6).
2. What cannot be understood is kept: an `UnknownPayload` packs to the very bytes it came from (TYPE-3).
3. A *message type* is a protobuf class (upb, pure Python or dynamic) or a proto-plus class. proto-plus is
   recognised by its shape and never imported (TYPE-9).
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, Protocol, TypeVar, cast, final

from google.protobuf import any_pb2
from google.protobuf.message import Message

from .errors import InvalidTypeUrlError, PayloadDecodeError, UnknownTypeError

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor

__all__ = [
    "DEFAULT_PREFIX",
    "MAX_NESTING",
    "AnyClass",
    "MessageType",
    "PayloadDecoder",
    "UnknownPayload",
    "UntypedClass",
    "decode",
    "message_type",
    "pack",
    "split_type_url",
    "type_name",
]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

DEFAULT_PREFIX: Final = "type.googleapis.com/"
"""The prefix every protobuf runtime writes (any.proto)."""

MAX_NESTING: Final = 100
"""Levels of nesting read or rendered before a payload is left opaque; protobuf's own default recursion limit."""

_FULL_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")


class PayloadDecoder(Protocol[T_co]):
    """Turns the value bytes of an ``Any`` into a message: all that typed access needs to know of a type."""

    @property
    def full_name(self) -> str:
        """Full name of the message type, such as ``google.rpc.Status``."""
        ...

    def from_bytes(self, data: bytes, /) -> T_co:
        """Returns a new message; raises whatever the runtime raises on bytes that are not one."""
        ...


class AnyClass(Protocol):
    """For overloads: the class ``google.protobuf.Any`` itself, which declares a type not known beforehand (TYPE-5).

    ``type[any_pb2.Any]`` would not do: mypy takes every proto-plus class for one of those, because the base of such
    classes is not typed. A member from an untyped base, however, is no class method to mypy.
    """

    @classmethod
    def FromString(cls, data: bytes, /) -> any_pb2.Any:  # noqa: N802 (protobuf's name)
        """A class method of every message class."""
        ...


class UntypedClass(Protocol):
    """For overloads, before those with `AnyClass`: a class of a module without types, which fits everything.

    pyright takes the first overload that fits it, and must not find the one with `AnyClass`. Nothing else fits here.
    """

    @classmethod
    def no_class_has_this(cls) -> NoReturn:
        """What only a class without types might have."""
        ...


@final
@dataclass(frozen=True, slots=True)
class UnknownPayload:
    """A payload whose type is not known here, kept whole.

    Attributes:
        type_url: The type URL as it came; it may be malformed.
        value: The value bytes as they came. Empty for a payload that was read from JSON.
        document: For a payload of unknown type read from JSON, that JSON as text; otherwise ``None``.
    """

    type_url: str
    value: bytes = b""
    document: str | None = None

    def to_any(self) -> any_pb2.Any:
        """Packs it again, byte for byte.

        Raises:
            UnknownTypeError: It was read from JSON: without its type there are no bytes.
        """
        if self.document is not None:
            raise UnknownTypeError(
                f"a payload of unknown type {self.type_url!r} read from JSON has no binary form; "
                "register its type to convert it",
                actual=self.type_url,
            )
        return any_pb2.Any(type_url=self.type_url, value=self.value)

    def __repr__(self) -> str:
        """Names the type and the size; never dumps the payload."""
        size = f"{len(self.value)} bytes" if self.document is None else f"{len(self.document)} characters of JSON"
        return f"<UnknownPayload {self.type_url!r}, {size}>"


@final
class MessageType(Generic[T]):
    """One message type, protobuf or proto-plus, seen through one small interface.

    Attributes:
        cls: The class as it was given; what `from_bytes` returns is an instance of it.
        pb_class: The protobuf class underneath; `cls` itself unless that is a proto-plus class.
        descriptor: Its descriptor.
        full_name: Its full name.
        from_bytes: Decodes value bytes into an instance of `cls`.
        wrap: Turns an instance of `pb_class` into one of `cls`, without a copy where `cls` allows.
    """

    __slots__ = ("cls", "descriptor", "from_bytes", "full_name", "pb_class", "wrap")

    cls: type[T]
    pb_class: type[Message]
    descriptor: Descriptor
    full_name: str
    from_bytes: Callable[[bytes], T]
    wrap: Callable[[Message], T]

    def __init__(self, cls: type[T]) -> None:
        self.cls = cls
        given: Any = cls  # whichever of the two kinds it is, a type checker cannot know
        if is_protobuf_class(cls):
            self.pb_class, self.wrap, self.from_bytes = given, cast("Any", _identity), given.FromString
        else:
            self.pb_class, self.wrap, self.from_bytes = _proto_plus_pb(cls), given.wrap, given.deserialize
        self.descriptor = cast("Descriptor", self.pb_class.DESCRIPTOR)
        self.full_name = self.descriptor.full_name

    def __repr__(self) -> str:
        return f"<MessageType {self.full_name}>"


def _identity(message: Message) -> Message:
    return message


def is_protobuf_class(cls: object) -> bool:
    """Whether it is a protobuf message class, upb or pure Python, generated or dynamic."""
    # Message itself has no descriptor: None in one runtime, no attribute in the other.
    return isinstance(cls, type) and issubclass(cls, Message) and getattr(cls, "DESCRIPTOR", None) is not None


def _proto_plus_pb(cls: object) -> type[Message]:
    # proto-plus classes offer pb() (no argument: the class underneath), wrap() and deserialize() on their metaclass.
    if isinstance(cls, type):
        pb: Any = getattr(cls, "pb", None)
        if callable(pb) and callable(getattr(cls, "wrap", None)) and callable(getattr(cls, "deserialize", None)):
            try:
                pb_class = pb()
            except Exception:  # noqa: BLE001 (somebody else's class that only looks like proto-plus)
                pb_class = None
            if is_protobuf_class(pb_class):
                return cast("type[Message]", pb_class)
    raise TypeError(
        f"{cls!r} is not a message type: a protobuf class (such as those of *_pb2 modules) or a proto-plus class is needed"
    )


def message_type(cls: type[T]) -> MessageType[T]:
    """Looks at a class once, so that using it later needs no questions.

    Raises:
        TypeError: It is neither a protobuf nor a proto-plus message class.
    """
    return MessageType(cls)


def underlying(message: object) -> Message:
    """The protobuf message itself, or the one underneath a proto-plus message.

    Raises:
        TypeError: It is no message.
    """
    if isinstance(message, Message):
        return message
    cls: Any = type(message)
    _proto_plus_pb(cls)
    return cast("Message", cls.pb(message))


def pack(message: object) -> any_pb2.Any:
    """Packs a protobuf or proto-plus message, or an `UnknownPayload`, into a new ``Any``.

    Raises:
        TypeError: It is no message.
        UnknownTypeError: It is an `UnknownPayload` that came from JSON.
    """
    if isinstance(message, UnknownPayload):
        return message.to_any()
    pb = underlying(message)
    return any_pb2.Any(type_url=DEFAULT_PREFIX + pb.DESCRIPTOR.full_name, value=pb.SerializePartialToString())


def split_type_url(type_url: str, allowed_prefixes: frozenset[str] | tuple[str, ...] = (DEFAULT_PREFIX,)) -> str:
    """The full name of the type that a URL names.

    The URL must be an allowed prefix (with its closing ``/``) followed by a well-formed full name.

    Raises:
        InvalidTypeUrlError: It is anything else.
    """
    prefix, slash, name = type_url.rpartition("/")
    if not slash:
        problem = "has no '/'" if type_url else "is empty"
    elif prefix + slash not in allowed_prefixes:
        problem = f"starts with {prefix + slash!r}, which is not a prefix this registry allows"
    elif _FULL_NAME.fullmatch(name) is None:
        problem = "does not end in the full name of a message type"
    else:
        return name
    raise InvalidTypeUrlError(f"the type URL {type_url!r} {problem}", actual=type_url)


def type_name(type_url: str) -> str:
    """A short name for showing to people: what follows the last ``/`` where that reads as a type, or all of it, escaped."""
    name = type_url.rpartition("/")[2]
    return name if _FULL_NAME.fullmatch(name) else repr(type_url)


def decode(decoder: PayloadDecoder[T] | MessageType[T], type_url: str, value: bytes) -> T:
    """Decodes the value bytes of a payload.

    Raises:
        PayloadDecodeError: The bytes are not a message of that type.
    """
    try:
        return decoder.from_bytes(value)
    except (
        Exception
    ) as error:  # the pure Python runtime raises more than DecodeError (struct.error, UnicodeDecodeError)
        raise PayloadDecodeError(
            f"{len(value)} bytes do not decode as {decoder.full_name}: {error}",
            expected=(decoder.full_name,),
            actual=type_url,
        ) from error


# A class as pickle can carry it: module, qualified name, full name of its message.
TypeReference = tuple[str, str, str]


def type_reference(kind: MessageType[Any]) -> TypeReference:
    """What it takes to find a message class again by import, in this or another process."""
    # upb sets no __module__ on classes made outside a generated module: then only the name survives.
    module = cast("str | None", kind.cls.__module__) or ""
    return module, kind.cls.__qualname__, kind.full_name


def resolve_reference(reference: TypeReference) -> MessageType[Any] | None:
    """Finds a message class by import; ``None`` where there is none, or another under that name."""
    module, qualified_name, full_name = reference
    try:
        found: Any = importlib.import_module(module)
        for part in qualified_name.split("."):
            found = getattr(found, part)
        kind = message_type(found)
    except Exception:  # noqa: BLE001 (importing somebody's module can raise anything; the payload then reads as unknown)
        return None
    return kind if kind.full_name == full_name else None
