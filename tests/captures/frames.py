"""The RoCE packets of the captures from real machines, framed as they were."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from wire.ethernet import EthernetHeader, Ethertype
from wire.ip import IpProtocol, Ipv4Header
from wire.pcapng import decode_packets
from wire.udp import ROCE_V2_PORT, UdpHeader

CAPTURES = ("linux-mtu1500", "linux-mtu9000")


@cache
def frames(capture: str) -> tuple[bytes, ...]:
    """Every Ethernet frame of a capture, in order."""
    path = Path(__file__).parent / f"{capture}.pcapng"
    return tuple(packet.data for packet in decode_packets(path.read_bytes()))


def roce_packets(capture: str) -> Iterator[tuple[int, bytes]]:
    """Number of the frame, from 1 as Wireshark counts, and the IP packet, without what Ethernet padded."""
    for number, frame in enumerate(frames(capture), start=1):
        if EthernetHeader.decode(frame).ethertype != Ethertype.IPV4:
            continue
        ip = Ipv4Header.decode(frame, EthernetHeader.SIZE)
        packet = frame[EthernetHeader.SIZE :][: ip.total_length]
        is_udp = ip.protocol == IpProtocol.UDP and not ip.fragment_offset
        if is_udp and UdpHeader.decode(packet, Ipv4Header.SIZE).destination_port == ROCE_V2_PORT:
            yield number, packet
