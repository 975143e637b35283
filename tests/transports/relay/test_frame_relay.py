"""The relay between frame transports, in virtual time: frames go through untouched, but for marks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transports.relay.rig import MS, FakeFrames, Rig
from transports.relay import DirectionConfig, FrameRelay
from transports.relay.frame import classify, marked
from wire.ethernet import EthernetHeader, Ethertype
from wire.ip import IpProtocol, Ipv4Header, Ipv6Header, ipv4_checksum


def ipv4(*, ecn: int = 0, dscp: int = 0, ports: bytes = b"\x00\x01\x00\x02", ttl: int = 64) -> bytes:
    """A packet with a right checksum."""
    header = Ipv4Header(
        dscp=dscp, ecn=ecn, total_length=24, ttl=ttl, protocol=IpProtocol.UDP,
        source=b"\x0a\0\0\x01", destination=b"\x0a\0\0\x02",
    )  # fmt: skip
    header.checksum = ipv4_checksum(header.encode())
    return header.encode() + ports


def ipv6(*, ecn: int = 0, ports: bytes = b"\x00\x01\x00\x02") -> bytes:
    header = Ipv6Header(
        ecn=ecn, payload_length=4, next_header=IpProtocol.UDP, hop_limit=64, source=bytes(16), destination=bytes(16)
    )
    return header.encode() + ports


class FrameRig(Rig):
    """With two devices. connects: at once; else the test does, after it has seen to who watches."""

    link: FrameRelay

    def __init__(
        self, there: DirectionConfig, back: DirectionConfig | None = None, *, offset: int = 0, connects: bool = True
    ) -> None:
        super().__init__(there, back)
        self.near, self.far = FakeFrames(), FakeFrames()
        self.offset = offset
        if connects:
            self.connect()

    def connect(self) -> None:
        self.link = FrameRelay(
            self.relay, self.near, self.far, forward=self.forward, back=self.back, offset=self.offset
        )

    def turn(self, after_ns: int = 0) -> bool:
        return self.pump(self.link.left, self.link.right, after_ns=after_ns)


def test_frames_cross_untouched_and_in_order_both_ways() -> None:
    rig = FrameRig(DirectionConfig(delay="1ms"), DirectionConfig(delay="2ms"))
    there, back = [ipv4(ttl=ttl) for ttl in range(5)], [ipv6(), b"\x00"]
    rig.near.arrived.extend(there)
    rig.far.arrived.extend(back)
    rig.turn()
    rig.turn(after_ns=MS)
    assert (rig.far.sent, rig.near.sent) == (there, [])
    rig.turn(after_ns=MS)
    assert (rig.far.sent, rig.near.sent) == (there, back)


def test_a_device_without_room_keeps_its_frames_in_order() -> None:
    rig = FrameRig(DirectionConfig())
    frames = [ipv4(ttl=ttl) for ttl in range(3)]
    rig.near.arrived.extend(frames)
    rig.far.has_room = False
    rig.turn()
    rig.turn()
    assert (rig.far.sent, rig.relay.is_blocked) == ([], True)
    rig.far.has_room = True
    rig.turn(after_ns=2 * MS)
    assert (rig.far.sent, rig.relay.is_blocked) == (frames, False)
    assert rig.relay.punctuality.departure.max_ns == 2 * MS


def test_a_pass_ends_though_frames_never_do() -> None:
    rig = FrameRig(DirectionConfig())
    rig.near.arrived.extend(ipv4() for _ in range(1000))
    assert rig.turn()
    assert rig.near.arrived
    while rig.turn():
        pass
    assert len(rig.far.sent) == 1000


def test_the_size_that_takes_time_is_the_ip_packet() -> None:
    ethernet = EthernetHeader(destination=bytes(6), source=bytes(6), ethertype=Ethertype.IPV4).encode()
    rig = FrameRig(DirectionConfig(), offset=14)
    rig.near.arrived.append(ethernet + ipv4())
    rig.turn()
    assert rig.forward.entered_bytes == 24


@pytest.mark.parametrize("ecn", [1, 2])
@pytest.mark.parametrize("make", [ipv4, ipv6])
def test_a_mark_of_the_model_becomes_ce(make, ecn: int) -> None:  # type: ignore[no-untyped-def]
    rig = FrameRig(DirectionConfig())

    def mark(packet) -> None:  # type: ignore[no-untyped-def]
        rig.forward.queue.mark(packet)
        packet.forward()

    rig.link.left.route = (mark, *rig.link.left.route)
    rig.near.arrived.append(make(ecn=ecn))
    rig.turn()
    rig.turn()
    assert rig.far.sent == [make(ecn=3)]


@given(dscp=st.integers(0, 63), ecn=st.integers(0, 3), ttl=st.integers(0, 255), ports=st.binary(min_size=4, max_size=4))
def test_marking_keeps_the_checksum_right(dscp: int, ecn: int, ttl: int, ports: bytes) -> None:
    packet = ipv4(dscp=dscp, ecn=ecn, ttl=ttl, ports=ports)
    changed = bytes(marked(memoryview(packet), 0))
    header = Ipv4Header.decode(changed)
    assert (header.ecn, header.dscp) == (3, dscp)
    assert ipv4_checksum(changed[: Ipv4Header.SIZE]) == 0
    assert changed == ipv4(dscp=dscp, ecn=3, ttl=ttl, ports=ports)


def test_flows_differ_by_ports_and_addresses_and_agree_otherwise() -> None:
    one = classify(memoryview(ipv4(ecn=2)), 0)
    assert one == (classify(memoryview(ipv4(ttl=3)), 0)[0], 2)
    assert classify(memoryview(ipv4(ports=b"\x00\x01\x00\x03")), 0)[0] != one[0]
    six = classify(memoryview(ipv6(ecn=1)), 0)
    assert six[1] == 1
    assert classify(memoryview(ipv6(ports=b"\x00\x09\x00\x02")), 0)[0] != six[0]


@pytest.mark.parametrize("frame", [b"", b"\x45", bytes(13), b"\x60" + bytes(19), b"\x00" * 60])
@pytest.mark.parametrize("offset", [0, 14])
def test_what_is_no_ip_packet_has_no_flow(frame: bytes, offset: int) -> None:
    assert classify(memoryview(frame), offset) == (0, 0)
