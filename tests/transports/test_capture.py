"""Captures: parsed back, they hold what passed, framed as on a wire, and never more than allowed."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

import pytest

from transports.capture import CaptureFile, CapturingTransport
from transports.clock import RealClock, VirtualClock
from transports.datagram import Transmit
from transports.errors import TransportError
from transports.memory import MemoryNetwork, MemoryTransport
from transports.udp import UdpTransport
from wire.ethernet import EthernetHeader, Ethertype
from wire.ip import Ipv4Header, Ipv6Header, ipv4_checksum
from wire.pcapng import CapturedPacket, decode_packets
from wire.udp import UdpHeader, is_udp_checksum_right


class CaptureRig:
    """A captured transport and its bare peer in one process."""

    def __init__(self, path: Path, *, hosts: tuple[str, str] = ("10.0.0.1", "10.0.0.2"), limit_bytes: int = 0) -> None:
        self.path = path
        self.clock = VirtualClock(1_000)
        network = MemoryNetwork(0, clock=self.clock)
        self.bare: MemoryTransport = network.open((hosts[1], 4791))
        self.reasons: list[str] = []
        self.transport = CapturingTransport(
            network.open((hosts[0], 4791)), path, self.clock, limit_bytes=limit_bytes, on_stop=self.reasons.append
        )

    def packets(self) -> list[CapturedPacket]:
        self.transport.close()
        return list(decode_packets(self.path.read_bytes()))


class Ipv4Frame:
    def __init__(self, data: bytes) -> None:
        self.ethernet = EthernetHeader.decode(data)
        self.ip = Ipv4Header.decode(data, 14)
        self.udp = UdpHeader.decode(data, 34)
        self.payload = data[42:]
        self.is_ip_checksum_right = ipv4_checksum(data[14:34]) == 0


def test_both_directions_are_captured_in_order_with_their_times(tmp_path: Path) -> None:
    rig = CaptureRig(tmp_path / "a.pcapng")
    rig.transport.send(Transmit([b"request"], 0, None, rig.bare.address))
    rig.clock.advance(500)
    rig.bare.send(Transmit([b"answer"], 0, None, rig.transport.address))
    assert rig.transport.receive() is not None
    packets = rig.packets()
    frames = [Ipv4Frame(packet.data) for packet in packets]
    assert [packet.timestamp_ns for packet in packets] == [1_000, 1_500]
    assert [frame.payload for frame in frames] == [b"request", b"answer"]
    assert [frame.ip.source for frame in frames] == [bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])]


def test_each_segment_is_a_frame_as_linux_sends_it(tmp_path: Path) -> None:
    rig = CaptureRig(tmp_path / "a.pcapng")
    payload = bytes(range(250))
    rig.transport.send(Transmit([payload[:70], payload[70:]], 100, None, rig.bare.address, 2))
    frames = [Ipv4Frame(packet.data) for packet in rig.packets()]
    assert [frame.payload for frame in frames] == [payload[:100], payload[100:200], payload[200:]]
    assert [frame.ip.identification for frame in frames] == [0, 1, 2]
    for frame in frames:
        assert frame.ethernet.ethertype == Ethertype.IPV4
        assert frame.ethernet.source == bytes([2, 0, 10, 0, 0, 1])
        assert (frame.ip.dont_fragment, frame.ip.ttl, frame.ip.ecn, frame.ip.protocol) == (1, 64, 2, 17)
        assert frame.ip.total_length == 28 + len(frame.payload)
        assert frame.is_ip_checksum_right
        assert (frame.udp.source_port, frame.udp.destination_port) == (4791, 4791)
        assert (frame.udp.length, frame.udp.checksum) == (8 + len(frame.payload), 0)


def test_a_received_burst_is_captured_segment_by_segment(tmp_path: Path) -> None:
    rig = CaptureRig(tmp_path / "a.pcapng")
    rig.bare.send(Transmit([bytes(250)], 100, None, rig.transport.address))
    burst = rig.transport.receive()
    assert burst is not None
    assert len(burst.view) == 250
    frames = [Ipv4Frame(packet.data) for packet in rig.packets()]
    assert [(len(frame.payload), frame.ip.identification) for frame in frames] == [(100, 0), (100, 1), (50, 2)]


def test_ipv6_has_a_real_udp_checksum(tmp_path: Path) -> None:
    rig = CaptureRig(tmp_path / "a.pcapng", hosts=("2001:db8::1", "2001:db8::2"))
    rig.transport.send(Transmit([b"odd number of bytes"], 0, None, rig.bare.address, 3))
    [packet] = rig.packets()
    ip = Ipv6Header.decode(packet.data, 14)
    assert EthernetHeader.decode(packet.data).ethertype == Ethertype.IPV6
    assert (ip.ecn, ip.next_header, ip.payload_length) == (3, 17, 8 + 19)
    assert UdpHeader.decode(packet.data, 54).checksum != 0
    assert is_udp_checksum_right(ip.source, ip.destination, packet.data[54:])


def test_identifications_start_again_where_every_segment_is_a_send(tmp_path: Path) -> None:
    inner = UdpTransport("127.0.0.87", 0, offload=False)
    transport = CapturingTransport(inner, tmp_path / "a.pcapng", RealClock())
    transport.send(Transmit([bytes(300)], 100, None, ("127.0.0.88", 9)))
    transport.close()
    packets = list(decode_packets((tmp_path / "a.pcapng").read_bytes()))
    assert [Ipv4Frame(packet.data).ip.identification for packet in packets] == [0, 0, 0]


@pytest.mark.parametrize(
    ("length", "last"),
    [(15 * 4112 + 32, 15), (15 * 4112 + 3827, 15), (15 * 4112 + 3828, 0), (16 * 4112, 0)],
)
def test_short_last_segment_counts_on_as_long_as_one_send_carries_it(tmp_path: Path, length: int, last: int) -> None:
    rig = CaptureRig(tmp_path / "a.pcapng")
    rig.transport.send(Transmit([bytes(length)], 4112, None, rig.bare.address))
    identifications = [Ipv4Frame(packet.data).ip.identification for packet in rig.packets()]
    assert identifications == [*range(15), last]


def test_real_time_captures_carry_the_time_of_day(tmp_path: Path) -> None:
    transport = CapturingTransport(UdpTransport("127.0.0.87", 0), tmp_path / "a.pcapng", RealClock())
    transport.send(Transmit([b"x"], 0, None, ("127.0.0.88", 9)))
    transport.close()
    [packet] = decode_packets((tmp_path / "a.pcapng").read_bytes())
    assert packet.timestamp_ns > 1_700_000_000 * 10**9


def test_the_file_never_exceeds_its_limit_and_traffic_goes_on(tmp_path: Path) -> None:
    rig = CaptureRig(tmp_path / "a.pcapng", limit_bytes=10_000)
    for _ in range(50):
        assert rig.transport.send(Transmit([bytes(900)], 0, None, rig.bare.address))
    packets = rig.packets()
    assert 9_000 < rig.path.stat().st_size <= 10_000
    assert len(packets) == rig.transport.file.frames == 10
    assert len(rig.reasons) == 1
    assert "limit of 10000 bytes" in rig.reasons[0]
    assert rig.bare.receive() is not None


def test_a_file_that_cannot_grow_ends_the_capture_with_a_whole_frame_and_not_the_traffic(tmp_path: Path) -> None:
    rig = CaptureRig(tmp_path / "a.pcapng")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, hard))
    try:
        for _ in range(12):
            assert rig.transport.send(Transmit([bytes(900)], 0, None, rig.bare.address))
            rig.transport.receive()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous)
    assert len(rig.packets()) == rig.transport.file.frames == 5
    assert len(rig.reasons) == 1
    assert os.strerror(27).lower() in rig.reasons[0]
    assert rig.transport.file.stopped == rig.reasons[0]


def test_an_idle_receive_puts_what_is_pending_into_the_file(tmp_path: Path) -> None:
    rig = CaptureRig(tmp_path / "a.pcapng")
    rig.transport.send(Transmit([b"x"], 0, None, rig.bare.address))
    assert list(decode_packets(rig.path.read_bytes())) == []
    assert rig.transport.receive() is None
    assert len(list(decode_packets(rig.path.read_bytes()))) == 1


def test_a_refused_transmit_is_captured_once_it_left(tmp_path: Path) -> None:
    rig = CaptureRig(tmp_path / "a.pcapng")
    inner = rig.transport.inner
    assert isinstance(inner, MemoryTransport)
    transmit = Transmit([b"x"], 0, None, rig.bare.address)
    inner.is_full = True
    assert not rig.transport.send(transmit)
    inner.is_full = False
    assert rig.transport.send(transmit)
    assert len(rig.packets()) == 1


def test_a_file_that_cannot_be_created_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(TransportError, match="cannot write the capture"):
        CaptureFile(tmp_path / "missing" / "a.pcapng")


def test_closing_twice_is_closing_once(tmp_path: Path) -> None:
    rig = CaptureRig(tmp_path / "a.pcapng")
    rig.transport.close()
    rig.transport.close()
    assert list(decode_packets(rig.path.read_bytes())) == []


def test_a_capture_to_a_full_device_stops_and_says_why() -> None:
    reasons: list[str] = []
    capture = CaptureFile("/dev/full", on_stop=reasons.append)
    capture.close()
    assert reasons == ["capture /dev/full: stopped, no space left on device"]
