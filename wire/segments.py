"""TCP segments in captured frames, and the bytes of one direction put together, for who reads captures.

Left out: everything that `datagrams` leaves out, TCP options, urgent data, and bytes that a capture has not seen: a
`Stream` stops before them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wire.datagrams import ip_packet_of
from wire.ip import IpProtocol
from wire.seqnum import seq_add, seq_diff
from wire.tcp import TcpFlag, TcpHeader


@dataclass(frozen=True, slots=True)
class Segment:
    """One TCP segment: addresses as text, ports, its header, and the payload, a view of the frame."""

    source: str
    destination: str
    header: TcpHeader
    payload: memoryview

    @property
    def begins(self) -> bool:
        """Whether it has SYN."""
        return bool(self.header.flags & TcpFlag.SYN)

    @property
    def acknowledges(self) -> bool:
        """Whether it has ACK."""
        return bool(self.header.flags & TcpFlag.ACK)

    @property
    def sender(self) -> tuple[str, int]:
        """Address and port."""
        return self.source, self.header.source_port

    @property
    def receiver(self) -> tuple[str, int]:
        """Address and port."""
        return self.destination, self.header.destination_port


def segment_of(frame: bytes | bytearray | memoryview, link_type: int = 1) -> Segment | None:
    """The TCP segment in a frame, or None when it carries something else or is cut short; see `datagram_of`."""
    ip = ip_packet_of(frame, link_type)
    if ip is None or ip.protocol != IpProtocol.TCP or len(ip.packet) < ip.offset + TcpHeader.SIZE:
        return None
    header = TcpHeader.decode(ip.packet, ip.offset)
    length = header.data_offset * 4
    if not TcpHeader.SIZE <= length <= len(ip.packet) - ip.offset:
        return None
    return Segment(ip.source, ip.destination, header, ip.packet[ip.offset + length :])


class Stream:
    """One direction of a connection, from the segments that carry it, in any order and as often as they come."""

    def __init__(self, first_seq: int) -> None:
        self._next = first_seq
        self._early: dict[int, bytes] = {}

    def take(self, seq: int, payload: bytes) -> Iterator[bytes]:
        """The bytes that a segment lets one read on with, in order; none when there is a gap before it."""
        if payload:
            self._early[seq] = max(payload, self._early.get(seq, b""), key=len)
        while (found := self._following()) is not None:
            self._next = seq_add(self._next, len(found))
            yield found

    def _following(self) -> bytes | None:
        for seq, payload in list(self._early.items()):
            known = seq_diff(self._next, seq)
            if known < 0:
                continue
            del self._early[seq]
            if known < len(payload):
                return payload[known:]
        return None
