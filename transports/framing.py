"""Ethernet, IP and UDP headers around payloads that a socket showed without them."""

from __future__ import annotations

import ipaddress

from transports.datagram import Address, Buffer
from wire.ethernet import EthernetHeader, Ethertype
from wire.ip import IpProtocol, Ipv4Header, Ipv6Header, ipv4_checksum
from wire.udp import UdpHeader, udp_checksum


class UdpFramer:
    """Frames the datagrams of one flow as Linux sends them from a socket with path MTU discovery: DF, TTL 64.

    source, destination: numeric addresses of one family. The MAC addresses are made up from them (02:00, then the
    last four bytes), locally administered and stable. ValueError when an address is not numeric.
    """

    def __init__(self, source: Address, destination: Address) -> None:
        self._source = ipaddress.ip_address(source[0].partition("%")[0]).packed
        self._destination = ipaddress.ip_address(destination[0].partition("%")[0]).packed
        self._source_port, self._destination_port = source[1], destination[1]
        self._is_ipv6 = len(self._source) == IPV6_BYTES
        ethertype = Ethertype.IPV6 if self._is_ipv6 else Ethertype.IPV4
        self._ethernet = EthernetHeader(
            destination=MAC_PREFIX + self._destination[-4:], source=MAC_PREFIX + self._source[-4:], ethertype=ethertype
        ).encode()

    def headers(self, payload: Buffer, *, ecn: int, identification: int) -> bytes:
        """Everything in front of `payload` (at most 65,507 bytes). IPv6 has no `identification` without fragments.

        The UDP checksum is 0 with IPv4, as RoCEv2 has it, and real with IPv6, where 0 is not allowed.
        """
        udp = UdpHeader(
            source_port=self._source_port,
            destination_port=self._destination_port,
            length=UdpHeader.SIZE + len(payload),
        )
        if self._is_ipv6:
            udp.checksum = udp_checksum(self._source, self._destination, b"".join((udp.encode(), payload)))
            network = self._ipv6(udp.length, ecn)
        else:
            network = self._ipv4(udp.length, ecn, identification)
        return b"".join((self._ethernet, network, udp.encode()))

    def _ipv4(self, udp_length: int, ecn: int, identification: int) -> bytes:
        header = Ipv4Header(
            ecn=ecn,
            total_length=Ipv4Header.SIZE + udp_length,
            identification=identification,
            dont_fragment=1,
            protocol=IpProtocol.UDP,
            source=self._source,
            destination=self._destination,
        )
        header.checksum = ipv4_checksum(header.encode())
        return header.encode()

    def _ipv6(self, udp_length: int, ecn: int) -> bytes:
        return Ipv6Header(
            ecn=ecn,
            payload_length=udp_length,
            next_header=IpProtocol.UDP,
            source=self._source,
            destination=self._destination,
        ).encode()


MAC_PREFIX = b"\x02\x00"
IPV6_BYTES = 16
