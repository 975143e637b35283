"""TCP: its header and flags, the options of a SYN, and its checksum. The engine that speaks it is `stacks.toe`'s."""

from __future__ import annotations

from enum import IntFlag

from wire.checksum import internet_checksum
from wire.ip import IpProtocol, pseudo_header_sum
from wire.tcp_codec import TcpHeader, TcpMssOption, TcpWindowScaleOption


class TcpFlag(IntFlag):
    """The control bits of a header (RFC 9293 3.1, RFC 3168)."""

    FIN = 1 << 0
    SYN = 1 << 1
    RST = 1 << 2
    PSH = 1 << 3
    ACK = 1 << 4
    URG = 1 << 5
    ECE = 1 << 6
    CWR = 1 << 7


def tcp_checksum(source: bytes, destination: bytes, segment: bytes | bytearray | memoryview) -> int:
    """The checksum to store (RFC 9293 3.1); 0 over a segment that holds the right one.

    source, destination: IP addresses, 4 or 16 bytes each. segment: header with checksum 0, options and payload.
    """
    pseudo = pseudo_header_sum(source, destination, protocol=IpProtocol.TCP, length=len(segment))
    return internet_checksum(segment, pseudo)


NO_OPERATION = b"\x01"
"""The option that fills up to a multiple of 4 bytes."""

__all__ = ["NO_OPERATION", "TcpFlag", "TcpHeader", "TcpMssOption", "TcpWindowScaleOption", "tcp_checksum"]
