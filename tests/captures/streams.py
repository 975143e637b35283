"""The TCP connections of a capture, put together from their segments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tests.captures.frames import frames
from wire.ethernet import EthernetHeader, Ethertype
from wire.ip import IpProtocol, Ipv4Header, Ipv6Header
from wire.seqnum import seq_diff
from wire.tcp import TcpFlag, TcpHeader, tcp_checksum

Place = tuple[bytes, int]


class Segment:
    """One TCP segment: who sent it to whom, its header, options and payload, and whether its checksum is right."""

    def __init__(self, number: int, source: bytes, destination: bytes, segment: bytes) -> None:
        self.number = number
        self.header = header = TcpHeader.decode(segment)
        self.source: Place = (source, header.source_port)
        self.destination: Place = (destination, header.destination_port)
        self.options = segment[TcpHeader.SIZE : header.data_offset * 4]
        self.payload = segment[header.data_offset * 4 :]
        self.is_checksum_right = tcp_checksum(source, destination, segment) == 0


class Direction:
    """What one end sent, in order. ends: how many bytes were there after which frame, for each frame that added any."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.ends: list[tuple[int, int]] = []
        self.next: int | None = None
        self.has_fin = self.has_rst = False
        self._early: dict[int, bytes] = {}

    def take(self, segment: Segment) -> None:
        """Add a segment; bytes that were there before are left out, those that come early wait."""
        header = segment.header
        if header.flags & TcpFlag.RST:
            self.has_rst = True
            return
        if header.flags & TcpFlag.SYN:
            self.next = header.sequence + 1 & 0xFFFFFFFF
            return
        assert self.next is not None, "a connection without its beginning"
        if segment.payload:
            self._early[header.sequence] = segment.payload
            self._join()
            self.ends.append((segment.number, len(self.data)))
        self.has_fin = self.has_fin or bool(header.flags & TcpFlag.FIN)

    def _join(self) -> None:
        assert self.next is not None
        for sequence in sorted(self._early, key=lambda each: seq_diff(each, self.next or 0)):
            skip = seq_diff(self.next, sequence)
            if skip < 0:
                return
            piece = self._early.pop(sequence)[skip:]
            self.data += piece
            self.next = self.next + len(piece) & 0xFFFFFFFF

    @property
    def has_gap(self) -> bool:
        """Whether something is missing before bytes that came."""
        return bool(self._early)


class Stream:
    """A connection: what its client (who sent the SYN) and its server said."""

    def __init__(self, client: Place, server: Place) -> None:
        self.client = client
        self.server = server
        self.there = Direction()
        self.back = Direction()


def segments(packets: Iterable[bytes]) -> Iterator[Segment]:
    """The TCP segments in Ethernet frames, numbered from 1 as Wireshark counts frames."""
    for number, frame in enumerate(packets, start=1):
        ethertype, packet = EthernetHeader.decode(frame).ethertype, frame[EthernetHeader.SIZE :]
        if ethertype == Ethertype.IPV4:
            ip = Ipv4Header.decode(packet)
            if ip.protocol == IpProtocol.TCP:
                yield Segment(number, ip.source, ip.destination, packet[ip.ihl * 4 : ip.total_length])
        elif ethertype == Ethertype.IPV6:
            ipv6 = Ipv6Header.decode(packet)
            if ipv6.next_header == IpProtocol.TCP:
                end = Ipv6Header.SIZE + ipv6.payload_length
                yield Segment(number, ipv6.source, ipv6.destination, packet[Ipv6Header.SIZE : end])


def streams_of(packets: Iterable[bytes], port: int) -> list[Stream]:
    """The connections to a port, in the order in which they began."""
    found: list[Stream] = []
    by_ends: dict[tuple[Place, Place], Direction] = {}
    for segment in segments(packets):
        ends = segment.source, segment.destination
        is_start = segment.header.flags & (TcpFlag.SYN | TcpFlag.ACK) == TcpFlag.SYN
        if is_start and segment.destination[1] == port:
            found.append(stream := Stream(*ends))
            by_ends[ends], by_ends[ends[::-1]] = stream.there, stream.back
        if ends in by_ends:
            by_ends[ends].take(segment)
    return found


def streams(capture: str, port: int) -> list[Stream]:
    """The connections to a port in one of the captures from real machines."""
    return streams_of(frames(capture), port)
