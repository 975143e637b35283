"""A server on real sockets: TCP and Unix, many clients, and places that cannot be had."""

from __future__ import annotations

import contextlib
import random
import select
import socket
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from stacks.nvme.nbd import Export, NbdServer, NbdUri
from stacks.nvme.nbd.sync import NbdPort
from stacks.runtime import LocalError
from tests.stacks.nvme.nbd.client import Client
from tests.stacks.nvme.nbd.disk import Disk
from transports.errors import TransportError
from transports.pump import Enlisting
from wire.nbd import CommandKind, Option

MIB = 1 << 20


class DiskPump:
    """A disk as the pump beside that of the server."""

    has_more = False

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def pump(self) -> bool:
        return self._disk.pump(0)

    def wait(
        self, timeout_ns: int | None = None, *, beside: Iterable[Enlisting] = (), wake_fd: int | None = None
    ) -> None:
        raise AssertionError("the server's loop waits for all")

    def enlist(self, poller: select.poll, timeout_ns: int | None) -> int | None:
        return timeout_ns


class SocketClient(Client):
    """A client that blocks."""

    def __init__(self, uri: NbdUri) -> None:
        super().__init__()
        self.socket = socket.socket(socket.AF_UNIX if uri.socket else socket.AF_INET)
        self.socket.settimeout(50)
        self.socket.connect(uri.socket or (uri.host, uri.port))
        self.say_flags()
        self.say_option(Option.STRUCTURED_REPLY)
        self.say_go("")
        self.until(lambda: self.is_transmitting)

    def until(self, condition: object) -> None:
        while not condition() and not self.has_ended:  # type: ignore[operator]
            if self.outgoing:
                self.socket.sendall(self.outgoing)
                self.outgoing.clear()
            heard = self.socket.recv(1 << 20)
            self.has_ended = not heard
            self.hear(heard)

    def finish(self, *cookies: int) -> None:
        self.until(lambda: all(cookie in self.replies for cookie in cookies))

    def close(self) -> None:
        self.say_request(CommandKind.DISC)
        self.until(lambda: False)
        self.socket.close()


@contextlib.contextmanager
def serving(*uris: NbdUri) -> Iterator[tuple[Disk, Sequence[NbdUri]]]:
    """A server in a thread of its own."""
    disk = Disk(4096, 4096)
    server = NbdServer(disk, Export(block_bytes=4096, size_bytes=16 * MIB))
    near, far = socket.socketpair()
    must_end = threading.Event()
    with contextlib.closing(NbdPort(server, uris)) as port, near, far:
        pump = DiskPump(disk)

        def run() -> None:
            port.serve(pump, until=must_end.is_set, wake_fd=far.fileno())
            port.drain(pump)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield disk, port.uris
        finally:
            must_end.set()
            near.send(b"x")
            thread.join()


@pytest.fixture
def unix(tmp_path: Path) -> NbdUri:
    return NbdUri("", 0, str(tmp_path / "disk.sock"))


def test_clients_over_tcp_and_unix_share_a_disk(unix: NbdUri) -> None:
    with serving(NbdUri(port=0), unix) as (disk, uris):
        assert uris[0].port > 0
        clients = [SocketClient(uri) for uri in uris for _ in range(4)]
        rng = random.Random(1)
        for size in (4096, 100, 300_000, 2 * MIB):
            written = [(client, at * 2 * MIB, rng.randbytes(size)) for at, client in enumerate(clients)]
            for client, offset, data in written:
                client.finish(client.say_write(offset, data))
            for client, (_, offset, data) in zip(reversed(clients), written, strict=True):
                cookie = client.say_request(CommandKind.READ, offset, size)
                client.finish(cookie)
                assert client.replies[cookie].data == data
        for client in clients:
            client.close()
    assert not Path(unix.socket).exists()
    assert disk.memory[:4096] != bytes(4096)


def test_many_requests_are_under_way_on_one_connection(unix: NbdUri) -> None:
    with serving(unix) as (disk, uris):
        disk.memory[:] = random.Random(2).randbytes(MIB) * 16
        client = SocketClient(uris[0])
        asked = {client.say_request(CommandKind.READ, at * 4096, 4096): at for at in range(3000)}
        client.finish(*asked)
        for cookie, at in asked.items():
            assert client.replies[cookie].data == disk.memory[at * 4096 : at * 4096 + 4096]
        client.close()


def test_who_is_connected_when_the_server_ends_hears_the_end(unix: NbdUri) -> None:
    with serving(unix) as (_, uris):
        client = SocketClient(uris[0])
        client.finish(client.say_request(CommandKind.READ, 0, 4096))
    client.until(lambda: False)
    assert client.has_ended
    client.socket.close()


def port(*uris: NbdUri) -> NbdPort:
    return NbdPort(NbdServer(Disk(), Export(block_bytes=512, size_bytes=MIB)), uris)


def test_a_socket_that_nobody_holds_any_more_is_replaced_and_one_that_is_held_is_not(unix: NbdUri) -> None:
    with socket.socket(socket.AF_UNIX) as abandoned:
        abandoned.bind(unix.socket)
    with contextlib.closing(port(unix)):
        with pytest.raises(TransportError, match=f"cannot listen at {unix.socket}: it is taken"):
            port(unix)
        assert Path(unix.socket).is_socket()
    assert not Path(unix.socket).exists()


def test_a_file_that_is_no_socket_is_left_alone(unix: NbdUri) -> None:
    path = Path(unix.socket)
    path.write_text("precious")
    with pytest.raises(LocalError, match="is there already and no socket, and is left alone"):
        port(unix)
    assert path.read_text() == "precious"
    path.unlink()
    path.symlink_to(path.parent / "nowhere")
    with pytest.raises(LocalError, match="no socket"):
        port(unix)
    assert path.is_symlink()


def test_a_taken_port_is_named_and_what_was_had_before_is_let_go(unix: NbdUri) -> None:
    with contextlib.closing(port(NbdUri(port=0))) as first:
        taken = first.uris[0]
        with pytest.raises(TransportError, match=f"cannot listen on 127.0.0.1 port {taken.port}: it is taken"):
            port(unix, taken)
    assert not Path(unix.socket).exists()


def test_a_socket_that_somebody_put_in_place_of_ours_stays(unix: NbdUri) -> None:
    path = Path(unix.socket)
    with contextlib.closing(port(unix)):
        path.unlink()
        other = socket.socket(socket.AF_UNIX)
        other.bind(unix.socket)
    assert path.is_socket()
    other.close()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TransportError, match="no such file or directory"):
        port(NbdUri("", 0, str(tmp_path / "missing" / "x.sock")))
