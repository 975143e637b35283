"""UDP: its header, its checksum, and the port of RoCEv2."""

from __future__ import annotations

from wire.checksum import internet_checksum
from wire.ip import IpProtocol, pseudo_header_sum
from wire.udp_codec import UdpHeader

ROCE_V2_PORT = 4791


def udp_checksum(source: bytes, destination: bytes, datagram: bytes | bytearray | memoryview) -> int:
    """The checksum to store, 1 to 0xFFFF (RFC 768: a sum of zero is sent as 0xFFFF).

    source, destination: IP addresses, 4 or 16 bytes each. datagram: header with checksum 0, and payload.
    """
    pseudo = pseudo_header_sum(source, destination, protocol=IpProtocol.UDP, length=len(datagram))
    return internet_checksum(datagram, pseudo) or 0xFFFF


def is_udp_checksum_right(source: bytes, destination: bytes, datagram: bytes | bytearray | memoryview) -> bool:
    """Whether a received datagram's checksum holds; one without checksum (0) passes."""
    if not UdpHeader.decode(datagram).checksum:
        return True
    pseudo = pseudo_header_sum(source, destination, protocol=IpProtocol.UDP, length=len(datagram))
    return internet_checksum(datagram, pseudo) == 0


__all__ = ["ROCE_V2_PORT", "UdpHeader", "is_udp_checksum_right", "udp_checksum"]
