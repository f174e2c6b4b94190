# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""`FaultyProxy`: a TCP proxy on the loopback that cuts, refuses, delays and drops what goes through it.

It carries bytes and knows nothing of gRPC. What is in its thread is in `_relay`.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import socket
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Final, Self, final

from ..policy import Seconds, optional_seconds, seconds
from ._relay import ProxyStatistics, Relay

__all__ = ["FaultyProxy"]

_PATIENCE: Final = 5.0  # seconds for what takes milliseconds


@final
class FaultyProxy:
    """Stands between a client and a server, and does what networks do. A context manager, with one thread.

    The faults are real: a connection that is reset gets a TCP reset, one that is refused finds nobody listening. They can
    be called from any thread, and from a running event loop too: each is in effect when it returns, within milliseconds.

    Example:
        with scripted.serve() as server, FaultyProxy(server.address) as proxy:
            with grpc.insecure_channel(proxy.address) as channel:
                handle = OperationsClient(channel).attach(name, CREATE_INSTANCE)
                proxy.cut(seconds=5)
                instance = handle.result()
    """

    def __init__(self, target: str, *, address: str = "127.0.0.1:0") -> None:
        """Makes a proxy; it listens once it is started.

        Args:
            target: Where the server is, such as ``127.0.0.1:40001``. It is looked for at each connection anew, so it may
                come later, go and come back.
            address: Where the proxy listens; port 0 is any free one.

        Raises:
            ValueError: Something is no ``host:port``.
        """
        self._target = _endpoint(target)
        self._address = _endpoint(address)
        self._relay: Relay | None = None
        self._thread: threading.Thread | None = None

    # -- life -----------------------------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        """Where it listens, such as ``127.0.0.1:40002``; known after the first start, and kept."""
        host, port = self._address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def start(self) -> None:
        """Listens; after `stop`, on the same port again, with no fault and new statistics.

        Raises:
            RuntimeError: It is running.
            OSError: The port is taken, or the host of the target has no address.
        """
        if self._thread is not None:
            raise RuntimeError("the proxy is running")
        ready: concurrent.futures.Future[int] = concurrent.futures.Future()
        relay = Relay(_resolve(self._target), _resolve(self._address), ready)
        thread = threading.Thread(target=_work, args=(relay,), name="longrunning-proxy", daemon=True)
        thread.start()
        self._address = self._address[0], ready.result(_PATIENCE)
        self._relay, self._thread = relay, thread

    def stop(self) -> None:
        """Resets what is connected and stops listening; harmless when it is stopped.

        Raises:
            TimeoutError: Its thread goes on and on.
        """
        thread, self._thread = self._thread, None
        if thread is None or self._relay is None:
            return
        self._relay.stop()
        thread.join(_PATIENCE)
        if thread.is_alive():
            raise TimeoutError(f"the proxy at {self.address} did not stop within {_PATIENCE} s")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        if self._thread is None:
            return f"<FaultyProxy {self.address}, stopped>"
        return f"<FaultyProxy {self.address}, {self.connections} connections>"

    # -- faults ---------------------------------------------------------------------------------------------------

    def cut(self, seconds: Seconds | None = None) -> None:
        """Resets all connections and refuses new ones, as when a server crashes.

        Args:
            seconds: How long it refuses; ``None`` until `heal`. With 0 it only resets.
        """
        self._do(Relay.cut, optional_seconds(seconds, "a cut"))

    def refuse(self, seconds: Seconds | None = None) -> None:
        """Refuses new connections; those that are there go on.

        Args:
            seconds: How long; ``None`` until `heal`.
        """
        self._do(Relay.refuse, optional_seconds(seconds, "how long to refuse"))

    def stall(self, seconds: Seconds | None = None) -> None:
        """Holds everything back and closes nothing: silence, as when packets are lost. Afterwards it all comes through.

        Args:
            seconds: How long; ``None`` until `heal`.
        """
        self._do(Relay.stall, optional_seconds(seconds, "a stall"))

    def forget(self) -> None:
        """Lets the connections of now fall silent, while new ones work: a machine lost power, or a NAT its table.

        Nobody is told, so a gRPC channel goes on with what is dead, unless it looks: with the options
        ``grpc.keepalive_time_ms`` and ``grpc.http2.ping_timeout_ms`` it finds out after about the sum of the two.
        """
        self._do(Relay.forget)

    def delay(self, seconds: Seconds) -> None:
        """Lets bytes through that much later, in both directions; 0 for at once."""
        self._do(Relay.set_delay, _seconds(seconds, "a delay"))

    def drop_after(self, n_bytes: int) -> None:
        """Lets that many more bytes through to the clients; the next one is lost, and all connections are reset. Once.

        With 0 the server may have done its work, but its next reply is never seen.
        """
        if n_bytes < 0:
            raise ValueError(f"a number of bytes is 0 or more; got {n_bytes!r}")
        self._do(Relay.drop_after, n_bytes)

    def heal(self) -> None:
        """Ends all faults. What was held back comes through now."""
        self._do(Relay.heal)

    # -- what goes on ---------------------------------------------------------------------------------------------

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return 0 if self._relay is None else self._relay.connections

    @property
    def statistics(self) -> ProxyStatistics:
        """What there was since the last start."""
        return ProxyStatistics() if self._relay is None else self._relay.statistics

    def _do(self, fault: Callable[..., Coroutine[Any, Any, None]], *arguments: float | None) -> None:
        """Runs something in the proxy's thread, to its end."""
        if self._relay is None or self._thread is None:
            raise RuntimeError("the proxy is not running")
        asyncio.run_coroutine_threadsafe(fault(self._relay, *arguments), self._relay.loop).result(_PATIENCE)


_seconds = seconds  # where an argument has this name


def _work(relay: Relay) -> None:
    # A selector's loop whatever the policy says: it works in any thread, and on every system.
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(relay.run())


def _endpoint(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or int(port) > 0xFFFF:
        raise ValueError(f"expected host:port, got {text!r}")
    return host, int(port)


def _resolve(endpoint: tuple[str, int]) -> tuple[socket.AddressFamily, Any]:
    # Here, once: the event loop would have further threads for it.
    family, _, _, _, found = socket.getaddrinfo(*endpoint, type=socket.SOCK_STREAM)[0]
    return family, found
