# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""The faulty proxy of the testing kit, between bare sockets: each fault as a client sees it."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path

import pytest

from longrunning.testing import FaultyProxy, ProxyStatistics

PATIENCE = 5.0  # seconds for anything that takes milliseconds
SOON = 0.05  # seconds in which something would have come


class Echo:
    """A server that sends back what it gets; each connection has a thread."""

    def __init__(self, port: int = 0) -> None:
        self.socket = socket.create_server(("127.0.0.1", port))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.ends: list[str] = []  # how connections ended, "closed" or "reset"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def stop(self) -> None:
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._serve, args=(connection,), daemon=True))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65536):
                    connection.sendall(data)
            except OSError:
                self.ends.append("reset")
            else:
                self.ends.append("closed")


class Client:
    """A socket that fails rather than hangs."""

    def __init__(self, proxy: FaultyProxy) -> None:
        host, port = proxy.address.split(":")
        self.socket = socket.create_connection((host, int(port)), PATIENCE)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size and (more := self.socket.recv(size - len(data))):
            data += more
        return data

    def echo(self, data: bytes) -> bytes:
        self.send(data)
        return self.receive(len(data))

    def silent(self) -> bool:
        """Whether nothing comes for a while."""
        self.socket.settimeout(SOON)
        try:
            self.socket.recv(1)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(PATIENCE)
        return False

    def is_reset(self) -> bool:
        """Whether the connection ends with a reset, next."""
        try:
            self.socket.recv(1)
        except ConnectionResetError:
            return True
        return False


@pytest.fixture
def echo() -> Generator[Echo, None, None]:
    server = Echo()
    yield server
    server.stop()


@pytest.fixture
def proxy(echo: Echo) -> Generator[FaultyProxy, None, None]:
    with FaultyProxy(echo.address) as proxy:
        yield proxy


@pytest.fixture
def connect(proxy: FaultyProxy) -> Generator[Callable[[], Client], None, None]:
    """Makes connections through the proxy, over which bytes have gone already."""
    clients: list[Client] = []

    def make() -> Client:
        clients.append(Client(proxy))
        assert clients[-1].echo(b"hello") == b"hello"
        return clients[-1]

    yield make
    for client in clients:
        client.socket.close()


def until(condition: Callable[[], bool]) -> None:
    """Returns when it is so."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def refused(proxy: FaultyProxy) -> bool:
    """Whether nobody listens."""
    try:
        Client(proxy).socket.close()
    except ConnectionRefusedError:
        return True
    return False


# -- without faults -----------------------------------------------------------------------------------------------


def test_bytes_pass_as_they_are(connect: Callable[[], Client], proxy: FaultyProxy, echo: Echo) -> None:
    """What goes through arrives unchanged, is counted, and an end of one side is one at the other (WAIT-12)."""
    client, data = connect(), os.urandom(3_000_000)
    sending = threading.Thread(target=client.send, args=(data,))
    sending.start()
    assert client.receive(len(data)) == data
    sending.join()
    client.socket.shutdown(socket.SHUT_WR)
    assert client.receive(1) == b""
    until(lambda: proxy.connections == 0)
    assert echo.ends == ["closed"]
    carried = len(data) + len(b"hello")
    assert proxy.statistics == ProxyStatistics(accepted=1, to_target=carried, to_client=carried)


def test_a_reset_of_one_end_is_one_of_the_other(connect: Callable[[], Client], proxy: FaultyProxy, echo: Echo) -> None:
    """Where a client resets its connection, the server sees a reset and no orderly end (WAIT-12)."""
    client = connect()
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.socket.close()
    until(lambda: bool(echo.ends))
    assert echo.ends == ["reset"]
    until(lambda: proxy.statistics.reset == 1)  # which is counted after it was sent


def test_a_server_that_is_away_is_looked_for_again(proxy: FaultyProxy, echo: Echo) -> None:
    """Without a server connections are reset and counted as failed; when it is back they work (WAIT-12)."""
    echo.stop()
    with pytest.raises(ConnectionResetError), Client(proxy).socket as early:
        early.recv(1)
    assert proxy.statistics == ProxyStatistics(accepted=1, failed=1, reset=1)
    back = Echo(int(echo.address.rpartition(":")[2]))
    client = Client(proxy)
    assert client.echo(b"again") == b"again"
    client.socket.close()
    back.stop()


# -- faults -------------------------------------------------------------------------------------------------------


def test_a_cut_resets_and_refuses(connect: Callable[[], Client], proxy: FaultyProxy, echo: Echo) -> None:
    """A cut resets every connection at both ends and refuses new ones, until it heals (WAIT-12)."""
    clients = [connect() for _ in range(50)]
    assert proxy.connections == 50
    proxy.cut()
    assert proxy.connections == 0
    assert all(client.is_reset() for client in clients)
    until(lambda: len(echo.ends) == 50)
    assert set(echo.ends) == {"reset"}
    assert proxy.statistics.reset == 50
    assert refused(proxy)
    proxy.heal()
    connect()
    assert proxy.statistics.accepted == 51


def test_a_cut_of_some_time_heals_itself(connect: Callable[[], Client], proxy: FaultyProxy) -> None:
    """A cut of so many seconds ends by itself, not before; one of none only resets (WAIT-12)."""
    client = connect()
    begun = time.monotonic()
    proxy.cut(seconds=0.2)
    assert client.is_reset()
    until(lambda: not refused(proxy))
    assert time.monotonic() - begun >= 0.2
    client = connect()
    proxy.cut(seconds=0)
    assert client.is_reset()
    until(lambda: not refused(proxy))


def test_the_last_word_counts(proxy: FaultyProxy) -> None:
    """A fault without an end is not ended by the time of one before it (WAIT-12)."""
    proxy.cut(seconds=SOON)
    proxy.refuse()
    time.sleep(2 * SOON)
    assert refused(proxy)


def test_refusing_leaves_connections_alone(connect: Callable[[], Client], proxy: FaultyProxy) -> None:
    """refuse() turns new connections away, and those that are there go on (WAIT-12)."""
    client = connect()
    proxy.refuse()
    assert refused(proxy)
    assert client.echo(b"still here") == b"still here"
    proxy.refuse(seconds=0)
    until(lambda: not refused(proxy))


def test_a_refused_port_stays_the_proxys(proxy: FaultyProxy) -> None:
    """While it refuses, nobody else can take its port (WAIT-12)."""
    proxy.refuse()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", int(proxy.address.split(":")[1])))


def test_a_stall_holds_everything_back(connect: Callable[[], Client], proxy: FaultyProxy) -> None:
    """While stalled nothing comes through and nothing is closed, also of new connections; then all of it does (WAIT-12)."""
    client = connect()
    proxy.stall()
    client.send(b"one,")
    new = Client(proxy)
    new.send(b"new")
    assert client.silent()
    assert new.silent()
    client.send(b"two")
    proxy.heal()
    assert client.receive(7) == b"one,two"
    assert new.receive(3) == b"new"
    new.socket.close()
    proxy.stall(seconds=0.1)
    begun = time.monotonic()
    assert client.echo(b"three") == b"three"
    assert time.monotonic() - begun > 0.05


def test_forgotten_connections_are_silent(connect: Callable[[], Client], proxy: FaultyProxy) -> None:
    """After forget() the connections of then are silent and new ones work; healed, nothing was lost (WAIT-12)."""
    old = connect()
    proxy.forget()
    old.send(b"anybody?")
    assert old.silent()
    new = connect()
    assert new.echo(b"yes") == b"yes"
    proxy.heal()
    assert old.receive(8) == b"anybody?"


def test_a_delay_is_one_in_both_directions(connect: Callable[[], Client], proxy: FaultyProxy) -> None:
    """With a delay an answer takes twice as long, and bytes keep their order when it gets shorter (WAIT-12)."""
    client = connect()
    proxy.delay(0.1)
    begun = time.monotonic()
    assert client.echo(b"late") == b"late"
    assert time.monotonic() - begun >= 0.2
    proxy.delay(60)
    client.send(b"one,")
    assert client.silent()
    proxy.delay(0)
    client.send(b"two")
    assert client.receive(7) == b"one,two"


def test_bytes_are_dropped_after_a_number(connect: Callable[[], Client], proxy: FaultyProxy) -> None:
    """drop_after(n) lets exactly n more bytes through to clients, resets all connections, and is over then (WAIT-12)."""
    client, other = connect(), connect()
    proxy.drop_after(6)
    assert client.echo(b"four") == b"four"
    client.send(b"more")
    assert client.receive(2) == b"mo"
    assert client.is_reset()
    assert other.is_reset()
    assert connect().echo(b"as ever") == b"as ever"


def test_a_reply_is_lost(connect: Callable[[], Client], proxy: FaultyProxy) -> None:
    """With drop_after(0) the server gets what was sent, and its answer is never seen (WAIT-12)."""
    client = connect()
    before = proxy.statistics
    proxy.drop_after(0)
    client.send(b"do it")
    assert client.is_reset()
    assert proxy.statistics.to_target == before.to_target + 5
    assert proxy.statistics.to_client == before.to_client


def test_healing_ends_every_fault(connect: Callable[[], Client], proxy: FaultyProxy) -> None:
    """heal() ends refusing, stalling, delaying and dropping, and is harmless without a fault (WAIT-12)."""
    proxy.heal()
    proxy.delay(60)
    proxy.drop_after(1)
    proxy.stall()
    proxy.refuse()
    proxy.heal()
    connect()


def test_faults_are_for_event_loops_too(connect: Callable[[], Client], proxy: FaultyProxy) -> None:
    """A fault called on a running event loop has happened when it returns, in no time worth mentioning (WAIT-12)."""
    client = connect()

    async def cut() -> float:
        begun = time.monotonic()
        proxy.cut()
        return time.monotonic() - begun

    assert asyncio.run(cut()) < 2
    assert client.is_reset()


# -- life ---------------------------------------------------------------------------------------------------------


def test_stopping_leaves_nothing(echo: Echo) -> None:
    """A proxy that is stopped amid connections leaves no thread, no socket and no connection behind (WAIT-12)."""

    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    with FaultyProxy(echo.address) as proxy:
        pass  # whatever is opened once and for all
    threads, before = threading.active_count(), descriptors()
    clients: list[Client] = []
    with FaultyProxy(echo.address) as proxy:
        clients = [Client(proxy) for _ in range(20)]
        assert all(client.echo(b"hi") == b"hi" for client in clients)
        proxy.stall()
        for client in clients:
            client.send(b"on its way")
        begun = time.monotonic()
    assert time.monotonic() - begun < 4
    assert proxy.connections == 0
    assert all(client.is_reset() for client in clients)
    for client in clients:
        client.socket.close()
    until(lambda: threading.active_count() <= threads)
    until(lambda: descriptors() <= before)
    assert refused(proxy)


def test_it_can_be_started_again(echo: Echo) -> None:
    """A proxy that was stopped keeps its port, and starts without fault and with new statistics (WAIT-12)."""
    proxy = FaultyProxy(echo.address)
    assert proxy.address == "127.0.0.1:0"
    proxy.stop()
    proxy.start()
    address = proxy.address
    proxy.refuse()
    proxy.stop()
    proxy.stop()
    assert repr(proxy) == f"<FaultyProxy {address}, stopped>"
    with proxy:
        assert proxy.address == address
        client = Client(proxy)
        assert client.echo(b"hi") == b"hi"
        assert repr(proxy) == f"<FaultyProxy {address}, 1 connections>"
        client.socket.close()
        assert proxy.statistics.accepted == 1
        with pytest.raises(RuntimeError, match="is running"):
            proxy.start()


def test_faults_need_a_running_proxy(echo: Echo) -> None:
    """Before the start and after the stop a fault is a RuntimeError, and there is nothing to be counted (WAIT-12)."""
    proxy = FaultyProxy(echo.address)
    faults = [proxy.cut, proxy.refuse, proxy.stall, proxy.forget, proxy.heal]
    for _ in range(2):
        for fault in faults:
            with pytest.raises(RuntimeError, match="not running"):
                fault()
        assert proxy.connections == 0
        assert proxy.statistics == ProxyStatistics()
        with proxy:
            pass


def test_a_port_that_is_taken_is_told(echo: Echo) -> None:
    """Where somebody listens already, starting is an OSError and leaves no thread (WAIT-12)."""
    proxy = FaultyProxy("127.0.0.1:1", address=echo.address)
    with pytest.raises(OSError, match="in use"):
        proxy.start()
    proxy.stop()


@pytest.mark.parametrize(
    "address", ["", "127.0.0.1", "127.0.0.1:", ":80", "127.0.0.1:http", "127.0.0.1:65536", "unix:x"]
)
def test_an_address_is_a_host_and_a_port(address: str) -> None:
    """What is no host:port is refused when the proxy is made (WAIT-12)."""
    with pytest.raises(ValueError, match="host:port"):
        FaultyProxy(address)
    with pytest.raises(ValueError, match="host:port"):
        FaultyProxy("127.0.0.1:1", address=address)


def test_amounts_are_checked(proxy: FaultyProxy) -> None:
    """Negative times and numbers of bytes are a ValueError (WAIT-12)."""
    with pytest.raises(ValueError, match="delay"):
        proxy.delay(-1)
    with pytest.raises(ValueError, match="cut"):
        proxy.cut(seconds=-1)
    with pytest.raises(ValueError, match="bytes"):
        proxy.drop_after(-1)
