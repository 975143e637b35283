"""Kernel connections: listening, connecting, everything that refuses either, and one poller for all of them."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import select
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.transports.stream_cores import TalkingCore, TalkingEndpoint
from transports.clock import RealClock
from transports.errors import TransportError
from transports.stream_network import KernelStreams, tcp_listener, unix_listener
from transports.stream_pump import StreamPump
from transports.stream_socket import SocketStream

SECOND = 1_000_000_000


class Ends:
    """A pump that listens on a loopback port and echoes, and one that connects."""

    def __init__(self, listening: socket.socket, *, local: str = "") -> None:
        self.address = listening.getsockname()
        self.server, self.client = KernelStreams(), KernelStreams(local=local)
        self.server.listen(listening)
        self.serving = TalkingEndpoint(echoes=True)
        self.calling = TalkingEndpoint()
        self.server_pump = StreamPump(self.serving, self.server, RealClock())
        self.client_pump = StreamPump(self.calling, self.client, RealClock())

    def run(self, condition: Callable[[], bool]) -> None:
        """Turn both until the condition holds."""
        for _ in range(1000):
            if condition():
                return
            if not (self.server_pump.pump() | self.client_pump.pump()):
                readable, _, _ = select.select([self.server.fileno(), self.client.fileno()], [], [], 5)
                assert readable, "nothing happens"
        raise AssertionError("not reached")

    def close(self) -> None:
        for pump, network in ((self.server_pump, self.server), (self.client_pump, self.client)):
            pump.close()
            network.close()


@contextlib.contextmanager
def ends(listening: socket.socket, *, local: str = "") -> Iterator[Ends]:
    made = Ends(listening, local=local)
    try:
        yield made
    finally:
        made.close()


def say(made: Ends, address: tuple[str, int], word: bytes = b"hello") -> TalkingCore:
    core = made.calling.connect(address)
    core.say(word)
    return core


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1"])
def test_tcp_both_ways(host: str) -> None:
    with ends(tcp_listener(host, 0)) as made:
        core = say(made, (host, made.address[1]))
        made.run(lambda: core.heard == b"hello")
        assert made.serving.remotes[0][0] == ("::1" if host == "::1" else "127.0.0.1")
        core.is_over = True
        made.calling.active.append(core)
        made.run(lambda: made.serving.cores[0].ends == [""])
        assert made.server_pump.connection_count == 0


def test_a_unix_path_both_ways(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with ends(unix_listener(path)) as made:
        core = say(made, (path, 0))
        made.run(lambda: core.heard == b"hello")
        assert made.serving.remotes == [("", 0)]


def test_many_connections_over_one_poller() -> None:
    with ends(tcp_listener("127.0.0.1", 0)) as made:
        cores = [say(made, ("127.0.0.1", made.address[1]), bytes([number]) * 1000) for number in range(100)]
        made.run(lambda: all(len(core.heard) == 1000 for core in cores))
        assert all(core.heard == bytes([number]) * 1000 for number, core in enumerate(cores))


def test_more_than_the_kernel_holds_goes_through(tmp_path: Path) -> None:
    with ends(unix_listener(str(tmp_path / "socket"))) as made:
        core = say(made, (str(tmp_path / "socket"), 0), bytes(range(256)) * 20_000)
        made.run(lambda: len(core.heard) == 256 * 20_000)
        assert core.heard == bytes(range(256)) * 20_000
        assert 0 in core.taken


def test_connections_come_from_where_they_are_told_to() -> None:
    with ends(tcp_listener("127.0.0.1", 0), local="127.0.0.77") as made:
        core = say(made, ("127.0.0.1", made.address[1]))
        made.run(lambda: core.heard == b"hello")
        assert made.serving.remotes[0][0] == "127.0.0.77"


def refused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def test_a_refused_connection_is_told_as_one_that_ended() -> None:
    with ends(tcp_listener("127.0.0.1", 0)) as made:
        core = say(made, ("127.0.0.1", refused_port()))
        made.run(lambda: bool(core.ends))
        assert core.ends == [os.strerror(errno.ECONNREFUSED)]
        assert made.client_pump.connection_count == 0


@pytest.mark.parametrize("address", [("255.255.255.255", 4420), ("ff02::1", 4420)])
def test_an_address_that_cannot_be_reached_is_told_as_one_that_ended(address: tuple[str, int]) -> None:
    with ends(tcp_listener("127.0.0.1", 0)) as made:
        core = say(made, address)
        made.run(lambda: bool(core.ends))
        assert core.ends[0]


def test_a_path_where_nobody_listens_is_told_as_one_that_ended(tmp_path: Path) -> None:
    with ends(tcp_listener("127.0.0.1", 0)) as made:
        gone = say(made, (str(tmp_path / "nothing"), 0))
        long = say(made, ("/tmp/" + "x" * 200, 0))
        made.run(lambda: bool(gone.ends and long.ends))
        assert gone.ends == [os.strerror(errno.ENOENT)]
        assert "too long" in long.ends[0]


def test_a_local_address_that_is_not_ours_ends_that_connection() -> None:
    with ends(tcp_listener("127.0.0.1", 0), local="192.0.2.1") as made:
        core = say(made, ("127.0.0.1", made.address[1]))
        made.client_pump.pump()
        assert core.ends == ["cannot connect from 192.0.2.1: cannot assign requested address"]
        with pytest.raises(TransportError, match="cannot connect from"):
            made.client.connect(("127.0.0.1", made.address[1]))


def test_a_port_that_is_taken_is_told_as_such() -> None:
    with tcp_listener("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(TransportError, match=f"cannot listen on 127.0.0.1 port {port}: it is taken"):
            tcp_listener("127.0.0.1", port)


def test_an_address_that_is_not_ours_cannot_be_listened_on() -> None:
    with pytest.raises(TransportError, match="cannot listen on 192.0.2.1 port 0: cannot assign"):
        tcp_listener("192.0.2.1", 0)


def test_a_path_that_nobody_holds_any_more_is_replaced_and_one_that_is_held_is_not(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    unix_listener(path).close()
    assert Path(path).is_socket()
    with unix_listener(path):
        with pytest.raises(TransportError, match="it is taken"):
            unix_listener(path)
        assert Path(path).is_socket()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("precious")
    with pytest.raises(TransportError, match="cannot listen at"):
        unix_listener(str(path))
    assert path.read_text() == "precious"


def test_who_knocks_when_nobody_listens_any_more_is_refused() -> None:
    with ends(tcp_listener("127.0.0.1", 0)) as made:
        inside = say(made, ("127.0.0.1", made.address[1]))
        made.run(lambda: inside.heard == b"hello")
        made.server.stop_listening()
        made.server.stop_listening()
        late = say(made, ("127.0.0.1", made.address[1]))
        made.run(lambda: bool(late.ends))
        assert late.ends == [os.strerror(errno.ECONNREFUSED)]
        inside.say(b" again")
        made.calling.active.append(inside)
        made.run(lambda: inside.heard == b"hello again")


@contextlib.contextmanager
def few_files(spare: int) -> Iterator[None]:
    """Let this process open no more than `spare` files beyond those it has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208 (numbers, not paths)
    # The limit is of numbers: what lies free below the highest has to be used up.
    fillers = []
    while (filler := os.open(os.devnull, os.O_RDONLY)) < highest:
        fillers.append(filler)
    os.close(filler)
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1 + spare, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for filler in fillers:
            os.close(filler)


def test_without_files_left_who_knocks_is_turned_away_and_those_inside_are_served() -> None:
    with ends(tcp_listener("127.0.0.1", 0)) as made:
        inside = say(made, ("127.0.0.1", made.address[1]))
        made.run(lambda: inside.heard == b"hello")
        callers = [socket.socket() for _ in range(3)]
        with few_files(0):
            for caller in callers:
                caller.connect(made.address)
            for _ in range(3):
                made.server_pump.pump()
            inside.say(b" again")
            made.calling.active.append(inside)
            made.run(lambda: inside.heard == b"hello again")
            # Nobody is left at the door, so the poller has nothing to say.
            assert select.select([made.server.fileno()], [], [], 0) == ([], [], [])
        for caller in callers:
            caller.settimeout(5)
            assert caller.recv(1) == b""
            caller.close()
        after = say(made, ("127.0.0.1", made.address[1]))
        made.run(lambda: after.heard == b"hello")


def test_without_files_left_a_connection_that_is_wanted_ends_and_the_others_go_on() -> None:
    with ends(tcp_listener("127.0.0.1", 0)) as made:
        inside = say(made, ("127.0.0.1", made.address[1]))
        made.run(lambda: inside.heard == b"hello")
        with few_files(0):
            core = say(made, ("127.0.0.1", made.address[1]))
            made.client_pump.pump()
            assert core.ends == ["cannot open a socket: too many open files"]
            inside.say(b" again")
            made.calling.active.append(inside)
            made.run(lambda: inside.heard == b"hello again")


def test_the_file_that_is_kept_for_turning_away_is_taken_back_when_there_are_files_again() -> None:
    with tcp_listener("127.0.0.1", 0) as listening, contextlib.ExitStack() as stack:
        address = listening.getsockname()
        callers = [stack.enter_context(socket.socket()) for _ in range(4)]
        with few_files(1):
            network = KernelStreams()
            # Its poller took the last file, so it has none to spare.
            network.listen(listening)
            callers[0].connect(address)
            assert network.poll() == []
            assert network.accept() is None
        stack.callback(network.close)
        accepted = network.accept()
        assert isinstance(accepted, SocketStream)
        accepted.close()


def test_a_peer_that_resets_is_told_once_and_the_poller_is_quiet() -> None:
    with ends(tcp_listener("127.0.0.1", 0)) as made:
        caller = socket.create_connection(made.address)
        made.run(lambda: len(made.serving.cores) == 1)
        core = made.serving.cores[0]
        core.closes_at_end = False
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        caller.close()
        made.run(lambda: bool(core.ends))
        assert core.ends == [os.strerror(errno.ECONNRESET)]
        made.server_pump.pump()
        assert select.select([made.server.fileno()], [], [], 0) == ([], [], [])


def test_a_peer_that_goes_while_nobody_reads_does_not_keep_the_poller_busy() -> None:
    with ends(tcp_listener("127.0.0.1", 0)) as made:
        caller = socket.create_connection(made.address)
        made.run(lambda: len(made.serving.cores) == 1)
        core = made.serving.cores[0]
        core.room_bytes = 0
        caller.sendall(b"word")
        made.run(lambda: not made.server_pump.pump())
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        caller.close()
        assert select.select([made.server.fileno()], [], [], 0) == ([], [], [])
        # It is told when it reads again.
        core.room_bytes = 100
        made.serving.active.append(core)
        made.run(lambda: bool(core.ends))


def test_waiting_ends_when_something_comes_and_what_was_seen_is_polled_next() -> None:
    with ends(tcp_listener("127.0.0.1", 0)) as made:
        made.server.wait(0)
        assert made.server.poll() == []
        with socket.create_connection(made.address) as caller:
            made.server.wait(5 * SECOND)
            made.server_pump.pump()
            caller.sendall(b"word")
            made.server_pump.wait(5 * SECOND)
            made.server_pump.pump()
            assert made.serving.cores[0].heard == b"word"


def test_a_pump_waits_no_longer_than_its_deadline() -> None:
    with ends(tcp_listener("127.0.0.1", 0)) as made:
        made.serving.deadline = RealClock().now() + SECOND // 1000
        made.server_pump.wait(600 * SECOND)
        made.server_pump.pump()
        assert len(made.serving.timeouts) <= 1


def test_closing_twice_is_closing_once() -> None:
    network = KernelStreams()
    network.close()
    network.close()
