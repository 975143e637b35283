"""Captured connections: segments that could have been on a wire, with every byte in its place."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio

from tests.captures.streams import Connection, connections_of
from tests.transports.stream_contract import StreamRig, WaitingStreamContract
from tests.transports.stream_cores import MemoryNetwork, TalkingCore, TalkingEndpoint
from transports.capture import CaptureFile
from transports.clock import RealClock
from transports.driver import StreamDriver
from transports.errors import TransportError
from transports.simulation import Simulation
from transports.simulation.streams import HostStreams, StreamWorld
from transports.stream_capture import CapturingStreams
from transports.stream_network import KernelStreams, tcp_listener, unix_listener
from transports.stream_pump import StreamPump
from wire.datagrams import ip_packet_of
from wire.pcapng import decode_packets
from wire.segments import Segment, segment_of
from wire.seqnum import seq_add, seq_diff
from wire.tcp import TcpFlag, tcp_checksum

CLIENT, SERVER = "192.0.2.2", "192.0.2.1"
SYN, ACK, FIN, RST, PSH = TcpFlag.SYN, TcpFlag.ACK, TcpFlag.FIN, TcpFlag.RST, TcpFlag.PSH


def frames_of(path: Path) -> list[bytes]:
    return [packet.data for packet in decode_packets(path.read_bytes())]


def segments_of(path: Path) -> list[Segment]:
    found = []
    for frame in frames_of(path):
        segment = segment_of(frame)
        assert segment is not None
        found.append(segment)
    return found


def check(path: Path) -> list[Segment]:
    """Every frame is a segment as TCP sends it; returns them."""
    following: dict[tuple[object, object], int] = {}
    for frame in frames_of(path):
        assert len(frame) <= 1514
        ip = ip_packet_of(frame)
        segment = segment_of(frame)
        assert ip is not None
        assert segment is not None
        size = 4 if ip.packet[0] >> 4 == 4 else 16
        at = 12 if size == 4 else 8
        source, destination = bytes(ip.packet[at : at + size]), bytes(ip.packet[at + size : at + 2 * size])
        assert tcp_checksum(source, destination, bytes(ip.packet[ip.offset :])) == 0
        ends = segment.sender, segment.receiver
        header = segment.header
        if header.flags & SYN:
            following[ends] = header.sequence
        assert header.sequence == following.get(ends, 0)
        if header.flags & ACK and ends[::-1] in following:
            # What is acknowledged was said before.
            assert seq_diff(following[ends[::-1]], header.acknowledgment) == 0
        following[ends] = seq_add(header.sequence, len(segment.payload) + bool(header.flags & (SYN | FIN)))
    return segments_of(path)


class Captured:
    """A client and a server that echoes in a world; what the client sees is recorded."""

    def __init__(self, path: Path, *, of_server: bool = False) -> None:
        self.simulation = Simulation(1)
        world = self.world = StreamWorld(self.simulation, delay_ns=1000, cuts=False)
        self.serving, self.calling = TalkingEndpoint(echoes=True), TalkingEndpoint()
        self.server = world.attach(self.serving, SERVER, ports=[4420])
        self.client = world.attach(self.calling, CLIENT)
        host = self.server if of_server else self.client
        self.capture = CapturingStreams(host.network, path, self.simulation.clock)
        endpoint = self.serving if of_server else self.calling
        host.streams = StreamPump(endpoint, self.capture, self.simulation.clock)

    def say(self, word: bytes, core: TalkingCore | None = None) -> TalkingCore:
        if core is None:
            core = self.calling.connect((SERVER, 4420))
        else:
            self.calling.active.append(core)
        core.say(word)
        self.client.wake()
        self.simulation.run()
        return core

    def close(self, core: TalkingCore) -> None:
        core.is_over = True
        self.calling.active.append(core)
        self.client.wake()
        self.simulation.run()


@pytest.mark.parametrize("of_server", [False, True])
def test_a_conversation_from_the_handshake_to_the_end(tmp_path: Path, of_server: bool) -> None:
    path = tmp_path / "capture.pcapng"
    captured = Captured(path, of_server=of_server)
    word = bytes(range(256)) * 20
    core = captured.say(word)
    captured.close(core)
    captured.capture.close()
    found = check(path)
    flags = [segment.header.flags for segment in found]
    assert flags[:3] == [SYN, SYN | ACK, ACK]
    assert [segment.sender[0] for segment in found[:3]] == [CLIENT, SERVER, CLIENT]
    assert FIN | ACK in flags[-4:]
    [connection] = connections_of(frames_of(path), 4420)
    assert (connection.client, connection.server) == ((CLIENT, 49152), (SERVER, 4420))
    assert connection.there.data == connection.back.data == word
    assert connection.there.has_fin
    assert not connection.there.has_rst


def test_segments_have_no_more_than_an_ethernet_carries_and_the_last_pushes(tmp_path: Path) -> None:
    path = tmp_path / "capture.pcapng"
    captured = Captured(path)
    captured.say(bytes(4000))
    captured.capture.close()
    said = [each for each in check(path) if each.sender[0] == CLIENT and each.payload]
    assert [len(each.payload) for each in said] == [1460, 1460, 1080]
    assert [bool(each.header.flags & PSH) for each in said] == [False, False, True]
    first = segments_of(path)[0]
    # MSS and window scale, the options of a SYN.
    assert first.header.data_offset == 7


def test_a_refused_connection_is_a_syn_and_a_reset(tmp_path: Path) -> None:
    path = tmp_path / "capture.pcapng"
    captured = Captured(path)
    core = captured.calling.connect((SERVER, 1))
    captured.client.wake()
    captured.simulation.run()
    captured.capture.close()
    assert core.ends == ["Connection refused"]
    assert [segment.header.flags for segment in check(path)] == [SYN, RST | ACK]


def test_a_connection_that_is_reset_ends_with_a_reset_of_the_other_end(tmp_path: Path) -> None:
    path = tmp_path / "capture.pcapng"
    captured = Captured(path)
    captured.say(b"hello")
    captured.world.cut(SERVER)
    captured.simulation.run()
    captured.capture.close()
    last = check(path)[-1]
    assert (last.sender[0], last.header.flags) == (SERVER, RST | ACK)


def test_the_end_of_the_other_direction_is_a_fin_of_the_other_end(tmp_path: Path) -> None:
    path = tmp_path / "capture.pcapng"
    captured = Captured(path)
    captured.say(b"hello")
    captured.serving.cores[0].is_over = True
    captured.server.wake()
    captured.simulation.run()
    captured.capture.close()
    flags = [(segment.sender[0], segment.header.flags) for segment in check(path)[-4:]]
    assert flags == [(SERVER, FIN | ACK), (CLIENT, ACK), (CLIENT, FIN | ACK), (SERVER, ACK)]


def test_several_connections_are_told_apart_and_the_same_run_gives_the_same_file(tmp_path: Path) -> None:
    def run(path: Path) -> bytes:
        captured = Captured(path)
        for number in range(3):
            captured.say(bytes([number]) * 3000)
        captured.capture.close()
        return path.read_bytes()

    first = run(tmp_path / "one")
    assert first == run(tmp_path / "two")
    found = connections_of(frames_of(tmp_path / "one"), 4420)
    assert [each.there.data for each in found] == [bytes([number]) * 3000 for number in range(3)]
    assert len({segment.header.sequence for segment in segments_of(tmp_path / "one") if segment.begins}) == 6


def test_what_a_full_connection_did_not_take_is_not_recorded(tmp_path: Path) -> None:
    path = tmp_path / "capture.pcapng"
    captured = Captured(path)
    core = captured.say(bytes(1 << 20))
    captured.capture.close()
    assert 0 in core.taken
    [connection] = connections_of(frames_of(path), 4420)
    assert len(connection.there.data) == 1 << 20
    check(path)


def test_the_file_stops_at_its_limit_and_the_traffic_does_not(tmp_path: Path) -> None:
    path = tmp_path / "capture.pcapng"
    said: list[str] = []
    captured = Captured(tmp_path / "unused")
    captured.capture = CapturingStreams(
        captured.client.network, path, captured.simulation.clock, limit_bytes=20_000, on_stop=said.append
    )
    captured.client.streams = StreamPump(captured.calling, captured.capture, captured.simulation.clock)
    core = captured.say(bytes(100_000))
    captured.capture.close()
    assert len(core.heard) == 100_000
    assert path.stat().st_size <= 20_000
    assert len(said) == 1
    assert "stopped at its limit" in said[0]
    check(path)


def test_a_disk_that_is_full_ends_the_capture_and_not_the_traffic() -> None:
    said: list[str] = []
    simulation = Simulation(1)
    file = CaptureFile("/dev/full", on_stop=said.append)
    assert len(said) == 1
    network = CapturingStreams(MemoryNetwork(), file, simulation.clock)  # type: ignore[arg-type]
    network.close()


def test_networks_that_share_a_file_leave_it_open(tmp_path: Path) -> None:
    path = tmp_path / "capture.pcapng"
    file = CaptureFile(path)
    for word in (b"one", b"two"):
        captured = Captured(tmp_path / "unused")
        captured.capture = CapturingStreams(captured.client.network, file, captured.simulation.clock)
        captured.client.streams = StreamPump(captured.calling, captured.capture, captured.simulation.clock)
        captured.say(word)
        captured.capture.close()
    assert file.is_open
    file.close()
    assert [bytes(each.there.data) for each in connections_of(frames_of(path), 4420)] == [b"one", b"two"]


def test_what_has_no_address_is_not_recorded(tmp_path: Path) -> None:
    path = tmp_path / "capture.pcapng"
    network = MemoryNetwork()
    capture = CapturingStreams(network, path, Simulation(1).clock)  # type: ignore[arg-type]
    far = network.arrive()
    stream = capture.accept()
    assert stream is not None
    stream.send([b"hello"])
    stream.close()
    capture.close()
    far.close()
    assert frames_of(path) == []


def test_a_network_that_nobody_can_wait_for_says_so(tmp_path: Path) -> None:
    capture = CapturingStreams(HostStreams(None, None), tmp_path / "x", RealClock())  # type: ignore[arg-type]
    for wait in (capture.fileno, lambda: capture.wait(0)):
        with pytest.raises(TransportError, match="HostStreams"):
            wait()


class KernelEnds:
    """Both ends of kernel connections, recorded at each."""

    def __init__(self, tmp_path: Path, listening: socket.socket) -> None:
        self.address = listening.getsockname()
        kernel = KernelStreams()
        kernel.listen(listening)
        self.paths = tmp_path / "server.pcapng", tmp_path / "client.pcapng"
        self.networks = (
            CapturingStreams(kernel, self.paths[0], RealClock()),
            CapturingStreams(KernelStreams(), self.paths[1], RealClock()),
        )
        self.serving, self.calling = TalkingEndpoint(echoes=True), TalkingEndpoint()
        self.pumps = [
            StreamPump(endpoint, network, RealClock())
            for endpoint, network in zip((self.serving, self.calling), self.networks, strict=True)
        ]

    def run(self, condition: Callable[[], bool]) -> None:
        for _ in range(10_000):
            if condition():
                return
            for pump in self.pumps:
                if not pump.pump():
                    pump.wait(1_000_000)
        raise AssertionError("not reached")

    def close(self) -> None:
        for pump, network in zip(self.pumps, self.networks, strict=True):
            pump.close()
            network.close()
            network.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_kernel_connections_are_recorded_at_both_ends_alike(tmp_path: Path, host: str) -> None:
    made = KernelEnds(tmp_path, tcp_listener(host, 0))
    port = made.address[1]
    word = os.urandom(200_000)
    core = made.calling.connect((host, port))
    core.say(word)
    made.run(lambda: len(core.heard) == len(word))
    core.is_over = True
    made.calling.active.append(core)
    made.run(lambda: bool(made.serving.cores[0].ends))
    made.close()
    found: list[Connection] = []
    for path in made.paths:
        check(path)
        found += connections_of(frames_of(path), port)
    server, client = found
    assert server.client == client.client
    assert server.there.data == client.there.data == server.back.data == client.back.data == word
    assert client.there.has_fin


def test_a_refused_kernel_connection_is_recorded_as_one(tmp_path: Path) -> None:
    made = KernelEnds(tmp_path, tcp_listener("127.0.0.1", 0))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    core = made.calling.connect(("127.0.0.1", port))
    core.say(b"hello")
    made.run(lambda: bool(core.ends))
    made.close()
    assert core.ends == [os.strerror(errno.ECONNREFUSED)]
    assert [segment.header.flags for segment in check(made.paths[1])] == [SYN, RST | ACK]


def test_unix_connections_go_through_unrecorded(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    made = KernelEnds(tmp_path, unix_listener(path))
    core = made.calling.connect((path, 0))
    core.say(b"hello")
    made.run(lambda: core.heard == b"hello")
    made.close()
    assert frames_of(made.paths[0]) == frames_of(made.paths[1]) == []


def test_a_driver_turns_a_recorded_network(tmp_path: Path) -> None:
    path = tmp_path / "capture.pcapng"

    async def main() -> None:
        listening = tcp_listener("127.0.0.1", 0)
        kernel = KernelStreams()
        kernel.listen(listening)
        network = CapturingStreams(kernel, path, RealClock())
        driver = StreamDriver(TalkingEndpoint(echoes=True), network, RealClock())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(driver.run)
            stream = await trio.open_tcp_stream(*listening.getsockname())
            await stream.send_all(b"hello")
            assert await stream.receive_some() == b"hello"
            await stream.aclose()
            nursery.cancel_scope.cancel()
        driver.close()
        network.close()

    trio.run(main)
    assert b"hello" in b"".join(bytes(segment.payload) for segment in check(path))


class TestCapturedTcp(WaitingStreamContract):
    """A recorded connection is a stream as any other."""

    @contextlib.contextmanager
    def rig(self) -> Iterator[StreamRig]:
        listening = tcp_listener("127.0.0.1", 0)
        kernel = KernelStreams()
        kernel.listen(listening)
        capture = CapturingStreams(kernel, "/dev/null", RealClock())
        near = capture.connect(listening.getsockname())
        while not capture.poll() and (far := capture.accept()) is None:
            capture.wait(None)
        assert far is not None
        rig = StreamRig(near, far)
        try:
            yield rig
        finally:
            rig.close()
            capture.close()
