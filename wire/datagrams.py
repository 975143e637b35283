"""UDP datagrams in captured frames, for tools and tests that read captures: IPv4 and IPv6, with or without VLAN tag.

Left out: fragments, IPv6 extension headers, and checksums, which captures with offloads do not have; frames without a
UDP datagram give None. `segments` has the same for TCP.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from wire.errors import WireError
from wire.ethernet import EthernetHeader, Ethertype, VlanTag
from wire.ip import IpProtocol, Ipv4Header, Ipv6Header
from wire.udp import UdpHeader


@dataclass(frozen=True, slots=True)
class Datagram:
    """One UDP datagram.

    source, destination: addresses as text; ports; packet: all of the IP packet; payload: what UDP carries. Both are
    views of the frame.
    """

    source: str
    source_port: int
    destination: str
    destination_port: int
    packet: memoryview
    payload: memoryview


@dataclass(frozen=True, slots=True)
class IpPacket:
    """One whole IP packet: addresses as text, `IpProtocol` number, its bytes, and where in them the payload begins."""

    source: str
    destination: str
    protocol: int
    packet: memoryview
    offset: int


def datagram_of(frame: bytes | bytearray | memoryview, link_type: int = 1) -> Datagram | None:
    """The UDP datagram in a frame, or None when it carries something else or is cut short.

    link_type: as capture files number it; one of `LINK_TYPES`, others give None.
    """
    ip = ip_packet_of(frame, link_type)
    if ip is None or ip.protocol != IpProtocol.UDP or len(ip.packet) < ip.offset + UdpHeader.SIZE:
        return None
    header, packet, offset = UdpHeader.decode(ip.packet, ip.offset), ip.packet, ip.offset
    if not UdpHeader.SIZE <= header.length <= len(packet) - offset:
        return None
    return Datagram(
        ip.source,
        header.source_port,
        ip.destination,
        header.destination_port,
        packet=packet,
        payload=packet[offset + UdpHeader.SIZE : offset + header.length],
    )


def ip_packet_of(frame: bytes | bytearray | memoryview, link_type: int = 1) -> IpPacket | None:
    """The IP packet in a frame, without what a link padded; None when it carries something else or a fragment.

    link_type: see `datagram_of`.
    """
    view = memoryview(frame)
    try:
        ethertype, offset = _ethertype(view) if link_type == ETHERNET else _plain_ethertype(view, link_type)
        if ethertype == Ethertype.IPV4:
            return _ipv4(view[offset:])
        if ethertype == Ethertype.IPV6:
            return _ipv6(view[offset:])
    except WireError:
        pass  # a frame cut short carries no packet
    return None


def _ethertype(view: memoryview) -> tuple[int, int]:
    ethertype, offset = EthernetHeader.decode(view).ethertype, EthernetHeader.SIZE
    if ethertype == Ethertype.VLAN:
        return VlanTag.decode(view, offset).ethertype, offset + VlanTag.SIZE
    return ethertype, offset


def _plain_ethertype(view: memoryview, link_type: int) -> tuple[int, int]:
    """What follows, and where, for link types whose headers have a fixed length."""
    offset = LINK_TYPES.get(link_type)
    if offset is None or len(view) <= offset:
        return 0, 0
    return {4: int(Ethertype.IPV4), 6: int(Ethertype.IPV6)}.get(view[offset] >> 4, 0), offset


def _ipv4(view: memoryview) -> IpPacket | None:
    header = Ipv4Header.decode(view)
    if header.more_fragments or header.fragment_offset:
        return None
    return _ip(view[: header.total_length], header.ihl * 4, header.source, header.destination, header.protocol)


def _ipv6(view: memoryview) -> IpPacket:
    header = Ipv6Header.decode(view)
    packet = view[: Ipv6Header.SIZE + header.payload_length]
    return _ip(packet, Ipv6Header.SIZE, header.source, header.destination, header.next_header)


def _ip(packet: memoryview, offset: int, source: bytes, destination: bytes, protocol: int) -> IpPacket:
    addresses = [str(ipaddress.ip_address(address)) for address in (source, destination)]
    return IpPacket(addresses[0], addresses[1], protocol, packet, offset)


ETHERNET = 1
LINK_TYPES = {0: 4, ETHERNET: 14, 12: 0, 101: 0, 108: 4, 113: 16, 228: 0, 229: 0, 276: 20}
"""Bytes before the IP header (tcpdump.org/linktypes): BSD loopback, Ethernet, raw IP, Linux cooked in both versions."""
