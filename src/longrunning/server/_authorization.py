# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""Who may do what: `Authorizer`, what it is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any, Final, Protocol, final, runtime_checkable

__all__ = ["Access", "AllowAll", "Authorizer", "Call", "Rpc"]


class Rpc(Enum):
    """What a caller asks for."""

    START = "start"
    GET = "get"
    LIST = "list"
    CANCEL = "cancel"
    DELETE = "delete"
    WAIT = "wait"


@final
class Call:
    """One call, whatever the transport.

    Attributes:
        rpc: What is asked for.
        name: The operation, as the caller wrote it; for `Rpc.LIST` and `Rpc.START` the parent.
        method: For `Rpc.START` the path of the RPC, such as ``/example.library.v1.Library/CreateShelf``; otherwise empty.
        request: For `Rpc.START` the request message; otherwise ``None``.
        transport: What the transport knows of the call, such as a ``grpc.aio.ServicerContext``; ``None`` for calls from
            within the process.
    """

    def __init__(
        self,
        rpc: Rpc,
        name: str,
        *,
        method: str = "",
        request: Any = None,
        headers: Callable[[], Sequence[tuple[str, str | bytes]]] = tuple,
        header: Callable[[str], str | None] | None = None,
        peer: Callable[[], str] = str,
        identities: Callable[[], Mapping[str, Sequence[bytes]]] = dict,
        transport: Any = None,
        transport_of: Callable[[], Any] | None = None,
    ) -> None:
        """Takes what was asked, and how to find out the rest: most authorizers need little of it.

        Args:
            rpc: See the attributes.
            name: See the attributes.
            method: See the attributes.
            request: See the attributes.
            headers: Reads the headers.
            header: Finds what `header()` is to return, for transports that need not read all headers for it.
            peer: Says where the call came from.
            identities: Says what TLS proved of the caller.
            transport: See the attributes.
            transport_of: Makes that when it is asked for, instead.
        """
        self.rpc = rpc
        self.name = name
        self.method = method
        self.request = request
        if transport_of is None:
            self.transport = transport
        else:
            self._transport_of = transport_of
        self._read_headers = headers
        self._headers: tuple[tuple[str, str | bytes], ...] | None = None
        self._header = header
        self._peer = peer
        self._identities = identities

    @property
    def headers(self) -> tuple[tuple[str, str | bytes], ...]:
        """The headers: lower-case keys; values are bytes under keys that end in ``-bin``."""
        if self._headers is None:  # by hand: the lock of a cached_property (Python 3.11) costs more than the headers
            self._headers = tuple(self._read_headers())
        return self._headers

    def header(self, key: str) -> str | None:
        """The first value of a text header, or ``None``."""
        if self._header is not None:
            return self._header(key)
        for name, value in self.headers:
            if name == key:
                return value if isinstance(value, str) else value.decode("latin-1")
        return None

    @cached_property
    def transport(self) -> Any:
        """What the transport knows of the call."""
        return self._transport_of()

    @cached_property
    def peer(self) -> str:
        """Where the call came from, such as ``ipv4:127.0.0.1:40000``; empty where that is not known."""
        return self._peer()

    @cached_property
    def identities(self) -> Mapping[str, Sequence[bytes]]:
        """What TLS proved of the caller, such as ``x509_common_name``; empty without client certificates."""
        return self._identities()

    def __repr__(self) -> str:
        return f"<Call {self.rpc.value} {self.name!r}>"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What an authorizer grants.

    Attributes:
        principal: Who it is. Request ids (AIP-155) and page tokens are theirs alone.
        scope: What operations they start belong to, and the only ones they see, such as a tenant; ``None`` for seeing all
            of them (those started then belong to the empty scope).
    """

    principal: str
    scope: str | None

    def __post_init__(self) -> None:
        """Refuses what no store could compare."""
        if not _is_text(self.principal) or not (self.scope is None or _is_text(self.scope)):
            raise TypeError(f"principal is a str and scope a str or None; got {self.principal!r} and {self.scope!r}")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


@runtime_checkable
class Authorizer(Protocol):
    """Decides about every call of all five methods, and about every start."""

    def authorize(self, call: Call, /) -> Access | Awaitable[Access]:
        """Says who calls and what they may see.

        Called on the event loop: one that has to wait for something is ``async``. It does not need to know whether an
        operation exists: one outside of the scope looks absent by itself.

        Raises:
            OperationError: The call is refused with that status. PERMISSION_DENIED for an operation is answered as
                NOT_FOUND, in the same words as for one that does not exist, and for a list with an empty page.
        """
        ...


_EVERYTHING: Final = Access(principal="", scope=None)


@final
class AllowAll:
    """Everybody may do everything, and all callers are one. It has to be written out to be had."""

    def authorize(self, call: Call, /) -> Access:  # noqa: ARG002
        """Grants it."""
        return _EVERYTHING

    def __repr__(self) -> str:
        return "AllowAll()"
