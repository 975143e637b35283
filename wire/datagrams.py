"""UDP datagrams in captured frames, for tools and tests that read captures: IPv4 and IPv6, with or without VLAN tag.

Left out: fragments, IPv6 extension headers, and checksums, which captures with offloads do not have; frames without a
UDP datagram give None.
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


def datagram_of(frame: bytes | bytearray | memoryview, link_type: int = 1) -> Datagram | None:
    """The UDP datagram in a frame, or None when it carries something else or is cut short.

    link_type: as capture files number it; one of `LINK_TYPES`, others give None.
    """
    view = memoryview(frame)
    try:
        ethertype, offset = _ethertype(view) if link_type == ETHERNET else _plain_ethertype(view, link_type)
        if ethertype == Ethertype.IPV4:
            return _ipv4(view[offset:])
        if ethertype == Ethertype.IPV6:
            return _ipv6(view[offset:])
    except WireError:
        pass  # a frame cut short carries no datagram
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


def _ipv4(view: memoryview) -> Datagram | None:
    header = Ipv4Header.decode(view)
    if header.protocol != IpProtocol.UDP or header.more_fragments or header.fragment_offset:
        return None
    return _udp(view[: header.total_length], header.ihl * 4, header.source, header.destination)


def _ipv6(view: memoryview) -> Datagram | None:
    header = Ipv6Header.decode(view)
    if header.next_header != IpProtocol.UDP:
        return None
    return _udp(view[: Ipv6Header.SIZE + header.payload_length], Ipv6Header.SIZE, header.source, header.destination)


def _udp(packet: memoryview, offset: int, source: bytes, destination: bytes) -> Datagram | None:
    header = UdpHeader.decode(packet, offset)
    if not UdpHeader.SIZE <= header.length <= len(packet) - offset:
        return None
    return Datagram(
        str(ipaddress.ip_address(source)),
        header.source_port,
        str(ipaddress.ip_address(destination)),
        header.destination_port,
        packet=packet,
        payload=packet[offset + UdpHeader.SIZE : offset + header.length],
    )


ETHERNET = 1
LINK_TYPES = {0: 4, ETHERNET: 14, 12: 0, 101: 0, 108: 4, 113: 16, 228: 0, 229: 0, 276: 20}
"""Bytes before the IP header (tcpdump.org/linktypes): BSD loopback, Ethernet, raw IP, Linux cooked in both versions."""
