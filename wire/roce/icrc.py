"""The invariant CRC over one complete packet (IBTA 7.8.1, Annex A17), plainly; bursts use `flow_icrc`.

CRC-32 over eight bytes of ones, which stand in for the LRH, and the packet from its network header to its padding, in
which everything that a router may change is set to ones first. On the wire it is stored little-endian.
"""

from __future__ import annotations

from wire.checksum import crc32
from wire.errors import WireError

ICRC_SIZE = 4
Buffer = bytes | bytearray | memoryview

_AFTER_LRH = crc32(b"\xff" * 8)
_BTH_SIZE = 12
_BASE_TRANSPORT = 0x1B
"""The next header of a GRH (RoCEv1): the BTH follows at once."""

_UDP = 17


def icrc(ip_packet: Buffer) -> int:
    """The ICRC that the packet ought to carry, 32 bits, to be stored little-endian.

    ip_packet: from the first byte of its IPv4 header, IPv6 header or GRH to the last byte of its ICRC, which is not
        looked at. IPv6 extension headers are not understood.

    Raises WireError when the packet is neither UDP nor RoCEv1, or too short for a BTH and an ICRC.
    """
    head, bth = _masked_network(ip_packet)
    if len(ip_packet) < bth + _BTH_SIZE + ICRC_SIZE:
        raise WireError("too short for a BTH and an ICRC", format="Icrc")
    head += ip_packet[bth : bth + _BTH_SIZE]
    head[bth + 4] = 0xFF
    return crc32(memoryview(ip_packet)[bth + _BTH_SIZE : -ICRC_SIZE], crc32(head, _AFTER_LRH))


def stored_icrc(ip_packet: Buffer) -> int:
    """The ICRC at the end of a packet."""
    return int.from_bytes(ip_packet[-ICRC_SIZE:], "little")


def _masked_network(ip_packet: Buffer) -> tuple[bytearray, int]:
    """The headers before the BTH with the variant fields set to ones, and where the BTH starts."""
    if not len(ip_packet):
        raise WireError("empty", format="Icrc")
    version = ip_packet[0] >> 4
    if version == 4:
        udp = (ip_packet[0] & 15) * 4
        head = bytearray(ip_packet[: udp + 8])
        masked, protocol = (1, 8, 10, 11), 9
    elif version == 6:
        udp = 40
        head = bytearray(ip_packet[: udp + 8])
        masked, protocol = (1, 2, 3, 7), 6
    else:
        raise WireError(f"IP version {version}", format="Icrc")
    if len(head) < udp + 8 or udp < 20:
        raise WireError("too short for its network header", format="Icrc")
    for offset in masked:
        head[offset] = 0xFF
    if version == 6:
        head[0] |= 0x0F
        if head[protocol] == _BASE_TRANSPORT:
            return head[:udp], udp
    if head[protocol] != _UDP:
        raise WireError(f"protocol {head[protocol]} carries no RoCE", format="Icrc")
    head[udp + 6 : udp + 8] = b"\xff\xff"
    return head, udp + 8
