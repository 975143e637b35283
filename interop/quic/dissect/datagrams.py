"""The UDP datagrams of a capture of `baremetal link`, with the point at which each was seen."""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from transports.datagram import Address
from wire.pcapng import CapturedPacket, PacketReader


class Point(enum.IntEnum):
    """Where: the interfaces of the file, in their order."""

    CLIENT_SENT = 0
    SERVER_GOT = 1
    SERVER_SENT = 2
    CLIENT_GOT = 3


@dataclass(frozen=True, slots=True)
class SeenDatagram:
    """time_ns: since 1970. ecn: the two bits. payload: of UDP."""

    time_ns: int
    point: Point
    source: Address
    destination: Address
    ecn: int
    payload: bytes

    @property
    def is_ipv6(self) -> bool:
        """Whether it went over IPv6."""
        return ":" in self.source[0]


def read_capture(path: Path) -> list[SeenDatagram]:
    """All UDP datagrams, in the order of the file. WireError for a file that is none."""
    reader = PacketReader()
    found = [datagram for packet in reader.feed(path.read_bytes()) if (datagram := _datagram(packet)) is not None]
    reader.close()
    return found


def sent(datagrams: list[SeenDatagram]) -> Iterator[SeenDatagram]:
    """Those as the ends sent them, before anything happened to them on the way."""
    return (each for each in datagrams if each.point in (Point.CLIENT_SENT, Point.SERVER_SENT))


def _datagram(packet: CapturedPacket) -> SeenDatagram | None:
    data: bytes = packet.data
    start = 14 if packet.link_type == 1 else 0
    version = data[start] >> 4 if len(data) > start else 0
    if version == 4:
        udp, protocol, ecn = start + (data[start] & 15) * 4, data[start + 9], data[start + 1] & 3
        hosts = data[start + 12 : start + 16], data[start + 16 : start + 20]
    elif version == 6:
        udp, protocol, ecn = start + 40, data[start + 6], data[start + 1] >> 4 & 3
        hosts = data[start + 8 : start + 24], data[start + 24 : start + 40]
    else:
        return None
    if protocol != UDP or len(data) < udp + 8:
        return None
    source, destination = (
        (str(ipaddress.ip_address(host)), int.from_bytes(data[at : at + 2], "big"))
        for host, at in zip(hosts, (udp, udp + 2), strict=True)
    )
    return SeenDatagram(
        packet.timestamp_ns,
        Point(packet.interface),
        source,
        destination,
        ecn,
        data[udp + 8 :],
    )


UDP = 17
