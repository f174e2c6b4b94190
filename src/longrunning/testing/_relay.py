# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""What runs in the thread of a `FaultyProxy`: connections, the bytes on their way, and the faults.

Laws of this file:

1. All of it runs in one event loop; only `Relay.stop`, and reading numbers, is for other threads.
2. Bytes keep their order, whatever becomes of delays while they are on their way.
3. A connection ends at both ends in the same way: closed where it was closed, reset otherwise.
4. The port stays ours while nobody listens on it: a stranger, or a client that by chance is given the same port, must not
   be found there.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, TypeAlias, final

__all__ = ["ProxyStatistics", "Relay"]

Address: TypeAlias = tuple[socket.AddressFamily, Any]
_Chunk: TypeAlias = tuple[float, bytes]  # when it came, and what; empty bytes are the end
_Allow: TypeAlias = Callable[[bytes], bytes]  # how much of it may pass

_CHUNK: Final = 1 << 16  # bytes read at once
_QUEUED: Final = 64  # chunks on their way in one direction, after which nothing is read
_BACKLOG: Final = 1024
# Linger for no time: close() then sends a reset instead of an end.
_LINGER: Final = "hh" if os.name == "nt" else "ii"
_RESET: Final = struct.pack(_LINGER, 1, 0)
_NO_RESET: Final = struct.pack(_LINGER, 0, 0)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyStatistics:
    """What went through a proxy, and what did not.

    Attributes:
        accepted: Connections that clients made. Those that were refused nobody sees.
        failed: Of these, how many found no server behind the proxy.
        reset: Of these, how many the proxy reset; those that one of the ends reset are among them.
        to_target: Bytes passed on to the server.
        to_client: Bytes passed on to clients.
    """

    accepted: int = 0
    failed: int = 0
    reset: int = 0
    to_target: int = 0
    to_client: int = 0


@final
class Relay:
    """The proxy, from within its thread."""

    loop: asyncio.AbstractEventLoop
    statistics: ProxyStatistics

    def __init__(self, target: Address, address: Address, ready: concurrent.futures.Future[int]) -> None:
        """Makes a relay.

        Args:
            target: Where the server is.
            address: Where to listen.
            ready: Gets the port, or the reason why there is none.
        """
        self.statistics = ProxyStatistics()
        self._target = target
        self._address = address
        self._ready = ready
        self._links: set[asyncio.Task[bool]] = set()
        self._socket: socket.socket | None = None
        self._listening = False
        self._stalled = False
        self._forgotten = 0  # connections that were accepted up to this number are silent
        self._delay = 0.0
        self._quota: int | None = None
        self._reopening: asyncio.TimerHandle | None = None

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._links)

    async def run(self) -> None:
        """Works until it is stopped."""
        self.loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        self._changed = asyncio.Event()
        try:
            try:
                self._bind()
                self._listen()
            except OSError as error:
                self._ready.set_exception(error)
                return
            assert self._socket is not None
            self._ready.set_result(self._socket.getsockname()[1])
            await self._stopped.wait()
        finally:
            self._close()
            await self._reset()

    def stop(self) -> None:
        """Ends `run`; from any thread."""
        self.loop.call_soon_threadsafe(self._stopped.set)

    # -- faults ---------------------------------------------------------------------------------------------------

    async def cut(self, seconds: float | None) -> None:
        """Resets and refuses."""
        self._refuse(seconds)
        await self._reset()

    async def refuse(self, seconds: float | None) -> None:
        """Refuses."""
        self._refuse(seconds)

    async def stall(self, seconds: float | None) -> None:
        """Holds everything back."""
        self._stalled = True
        self._reopen_in(seconds)

    async def forget(self) -> None:
        """Holds back what goes over the connections of now."""
        self._forgotten = self.statistics.accepted

    async def set_delay(self, seconds: float) -> None:
        """Holds everything back that long."""
        self._delay = seconds
        self._change()

    async def drop_after(self, n_bytes: int) -> None:
        """Resets when that many bytes went to clients, and there are more."""
        self._quota = n_bytes

    async def heal(self) -> None:
        """Ends all faults."""
        self._delay, self._quota, self._forgotten = 0.0, None, 0
        self._reopen()

    def _refuse(self, seconds: float | None) -> None:
        if self._listening:
            self._close()
            self._bind()
        self._reopen_in(seconds)

    def _reopen_in(self, seconds: float | None) -> None:
        if self._reopening is not None:
            self._reopening.cancel()  # the last word counts
        self._reopening = None if seconds is None else self.loop.call_later(seconds, self._reopen)

    def _reopen(self) -> None:
        self._reopen_in(None)
        self._stalled = False
        self._listen()
        self._change()

    def _change(self) -> None:
        """Wakes everything that is held back, to look again for how long."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    # -- the listening socket -------------------------------------------------------------------------------------

    def _bind(self) -> None:
        """Takes the port. As long as nobody listens on it, the system refuses connections."""
        family, address = self._address
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.settimeout(0)
            if os.name != "nt":  # where it means that others may have the port as well
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
        except BaseException:
            bound.close()
            raise
        self._socket, self._address = bound, (family, bound.getsockname())

    def _listen(self) -> None:
        if not self._listening and self._socket is not None:
            self._socket.listen(_BACKLOG)
            self.loop.add_reader(self._socket, self._accept)
            self._listening = True

    def _close(self) -> None:
        if self._socket is not None:
            if self._listening:
                self.loop.remove_reader(self._socket)
            self._socket.close()
        self._socket, self._listening = None, False

    def _accept(self) -> None:
        assert self._socket is not None
        try:
            client, _ = self._socket.accept()
        except OSError:  # it is gone again
            return
        self.count(accepted=1)
        link = self.loop.create_task(self._connect(client, self.statistics.accepted))
        self._links.add(link)
        link.add_done_callback(partial(self._ended, client))

    # -- connections ----------------------------------------------------------------------------------------------

    async def _connect(self, client: socket.socket, number: int) -> bool:
        """One connection, from beginning to end; whether that was a clean one."""
        family, address = self._target
        with socket.socket(family, socket.SOCK_STREAM) as target:
            for end in (client, target):
                end.settimeout(0)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                await self.loop.sock_connect(target, address)
            except OSError:
                self.count(failed=1)
                return False
            target.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            try:
                async with asyncio.TaskGroup() as group:
                    self._pass_on(group, number, client, target, self._to_target)
                    self._pass_on(group, number, target, client, self._to_client)
            except* OSError:  # one of the ends was reset: so will be the other
                pass
            else:
                target.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_RESET)
                return True
            return False

    def _ended(self, client: socket.socket, link: asyncio.Task[bool]) -> None:
        # Here and not above: what is cancelled at once never begins.
        self._links.discard(link)
        if link.cancelled() or not link.result():
            self.count(reset=1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        client.close()

    async def _reset(self) -> None:
        """Ends all connections."""
        links = list(self._links)
        for link in links:
            link.cancel()
        if links:
            await asyncio.wait(links)

    def _pass_on(
        self, group: asyncio.TaskGroup, number: int, source: socket.socket, sink: socket.socket, allow: _Allow
    ) -> None:
        """Carries the bytes of one direction."""
        queue: asyncio.Queue[_Chunk] = asyncio.Queue(_QUEUED)
        group.create_task(self._read(source, queue))
        group.create_task(self._write(number, queue, sink, allow))

    async def _read(self, source: socket.socket, queue: asyncio.Queue[_Chunk]) -> None:
        while True:
            data = await self.loop.sock_recv(source, _CHUNK)
            await queue.put((self.loop.time(), data))
            if not data:
                return

    async def _write(self, number: int, queue: asyncio.Queue[_Chunk], sink: socket.socket, allow: _Allow) -> None:
        while True:
            since, data = await queue.get()
            await self._hold(number, since)
            if not data:
                sink.shutdown(socket.SHUT_WR)
                return
            allowed = allow(data)
            await self.loop.sock_sendall(sink, allowed)
            if len(allowed) < len(data):
                for link in self._links:
                    link.cancel()
                raise ConnectionResetError  # at once; being cancelled takes turns of the loop

    async def _hold(self, number: int, since: float) -> None:
        """Returns when what came over a connection at a time may go on."""
        while (silent := self._stalled or number <= self._forgotten) or self.loop.time() < since + self._delay:
            changed = self._changed
            try:
                async with asyncio.timeout_at(None if silent else since + self._delay):
                    await changed.wait()
            except TimeoutError:
                pass

    def _to_target(self, data: bytes) -> bytes:
        self.count(to_target=len(data))
        return data

    def _to_client(self, data: bytes) -> bytes:
        if self._quota is not None:
            if len(data) <= self._quota:
                self._quota -= len(data)
            else:
                data, self._quota = data[: self._quota], None
        self.count(to_client=len(data))
        return data

    def count(self, **more: int) -> None:
        """Adds to the statistics."""
        now = self.statistics
        self.statistics = replace(now, **{name: getattr(now, name) + number for name, number in more.items()})
