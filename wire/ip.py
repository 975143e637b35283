"""IPv4 and IPv6: headers, protocol numbers, and the sums that go with them."""

from __future__ import annotations

from enum import IntEnum

from wire.checksum import internet_checksum
from wire.ip_codec import Ipv4Header, Ipv6Header


class IpProtocol(IntEnum):
    """The protocol field of IPv4, the next header of IPv6."""

    ICMP = 1
    TCP = 6
    UDP = 17
    IB_BASE_TRANSPORT = 0x1B
    ICMPV6 = 58


def ipv4_checksum(header: bytes | bytearray | memoryview) -> int:
    """The checksum of an IPv4 header whose checksum field is zero (RFC 791 3.1); 0 when it holds the right one.

    header: all of it, options included.
    """
    return internet_checksum(header)


def pseudo_header_sum(source: bytes, destination: bytes, *, protocol: int, length: int) -> int:
    """What a transport checksum covers of the network header, as `initial` for `internet_checksum`.

    source, destination: both of 4 or both of 16 bytes. length: of the transport header and payload in bytes.
    Sources: RFC 768, RFC 8200 8.1.
    """
    return int.from_bytes(source + destination, "big") + protocol + length


__all__ = ["IpProtocol", "Ipv4Header", "Ipv6Header", "ipv4_checksum", "pseudo_header_sum"]
