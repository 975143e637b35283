"""Ethernet, IP, UDP and TCP headers around payloads that a socket showed without them."""

from __future__ import annotations

import ipaddress

from transports.datagram import Address, Buffer
from wire.ethernet import EthernetHeader, Ethertype
from wire.ip import IpProtocol, Ipv4Header, Ipv6Header, ipv4_checksum
from wire.tcp import TcpHeader, tcp_checksum
from wire.udp import UdpHeader, udp_checksum


class IpFramer:
    """Frames what goes from one address to another, as Linux does it with path MTU discovery: DF, TTL 64.

    source, destination: numeric addresses of one family; protocol: what is carried. The MAC addresses are made up from
    them (02:00, then the last four bytes), locally administered and stable. ValueError when an address is not numeric.
    """

    def __init__(self, source: Address, destination: Address, protocol: IpProtocol) -> None:
        self.source = _packed(source)
        self.destination = _packed(destination)
        self.is_ipv6 = len(self.source) == IPV6_BYTES
        self._protocol = protocol
        ethertype = Ethertype.IPV6 if self.is_ipv6 else Ethertype.IPV4
        self._ethernet = EthernetHeader(
            destination=MAC_PREFIX + self.destination[-4:], source=MAC_PREFIX + self.source[-4:], ethertype=ethertype
        ).encode()

    def headers(self, length: int, *, ecn: int, identification: int) -> bytes:
        """Ethernet and IP in front of `length` bytes. IPv6 has no `identification` without fragments."""
        network = self._ipv6(length, ecn) if self.is_ipv6 else self._ipv4(length, ecn, identification)
        return self._ethernet + network

    def _ipv4(self, length: int, ecn: int, identification: int) -> bytes:
        header = Ipv4Header(
            ecn=ecn,
            total_length=Ipv4Header.SIZE + length,
            identification=identification,
            dont_fragment=1,
            protocol=self._protocol,
            source=self.source,
            destination=self.destination,
        )
        header.checksum = ipv4_checksum(header.encode())
        return header.encode()

    def _ipv6(self, length: int, ecn: int) -> bytes:
        return Ipv6Header(
            ecn=ecn,
            payload_length=length,
            next_header=self._protocol,
            source=self.source,
            destination=self.destination,
        ).encode()


class UdpFramer:
    """Frames the datagrams of one flow; source, destination: as of `IpFramer`."""

    def __init__(self, source: Address, destination: Address) -> None:
        self._ip = IpFramer(source, destination, IpProtocol.UDP)
        self._source_port, self._destination_port = source[1], destination[1]

    def headers(self, payload: Buffer, *, ecn: int, identification: int) -> bytes:
        """Everything in front of `payload` (at most 65,507 bytes). IPv6 has no `identification` without fragments.

        The UDP checksum is 0 with IPv4, as RoCEv2 has it, and real with IPv6, where 0 is not allowed.
        """
        udp = UdpHeader(
            source_port=self._source_port,
            destination_port=self._destination_port,
            length=UdpHeader.SIZE + len(payload),
        )
        if self._ip.is_ipv6:
            udp.checksum = udp_checksum(self._ip.source, self._ip.destination, b"".join((udp.encode(), payload)))
        return self._ip.headers(udp.length, ecn=ecn, identification=identification) + udp.encode()


class TcpFramer:
    """Frames the segments of one direction of a connection; source, destination: as of `IpFramer`.

    mss: how much payload goes into one segment on an Ethernet.
    """

    def __init__(self, source: Address, destination: Address) -> None:
        self._ip = IpFramer(source, destination, IpProtocol.TCP)
        self._source_port, self._destination_port = source[1], destination[1]
        self._identification = 0
        network = Ipv6Header.SIZE if self._ip.is_ipv6 else Ipv4Header.SIZE
        self.mss = ETHERNET_MTU - network - TcpHeader.SIZE

    def headers(
        self, payload: Buffer, *, sequence: int, acknowledgment: int, flags: int, options: bytes = b""
    ) -> bytes:
        """Everything in front of `payload`, with the checksum; options: a multiple of 4 bytes."""
        tcp = TcpHeader(
            source_port=self._source_port,
            destination_port=self._destination_port,
            sequence=sequence,
            acknowledgment=acknowledgment,
            data_offset=(TcpHeader.SIZE + len(options)) // 4,
            flags=flags,
            window=WINDOW,
        )
        segment = b"".join((tcp.encode(), options, payload))
        tcp.checksum = tcp_checksum(self._ip.source, self._ip.destination, segment)
        self._identification = self._identification + 1 & 0xFFFF
        network = self._ip.headers(len(segment), ecn=0, identification=self._identification)
        return b"".join((network, tcp.encode(), options))


def _packed(address: Address) -> bytes:
    return ipaddress.ip_address(address[0].partition("%")[0]).packed


MAC_PREFIX = b"\x02\x00"
IPV6_BYTES = 16
ETHERNET_MTU = 1500
WINDOW = 0xFFFF
"""What a receiver has room for, before scaling: as much as can be said, since a socket does not tell."""
