"""One captured RoCEv2 packet, as the rules look at it."""

from __future__ import annotations

from dataclasses import dataclass

from wire.datagrams import Datagram, datagram_of
from wire.errors import WireError
from wire.roce import Aeth, Opcode, Reth, RocePacket, icrc, parse_packet
from wire.roce.opcodes import OpcodeInfo, Operation
from wire.udp import ROCE_V2_PORT

Flow = tuple[str, str, int]
"""Source, destination, and destination QP."""


@dataclass(frozen=True, slots=True)
class Observed:
    """A RoCEv2 packet at its place in the capture.

    number: from 1, as Wireshark counts. ecn: the two bits of the IP header. packet: taken apart, or None, and then
    `problem` says why. is_icrc_right: all 32 bits, the capture has the Identification.
    """

    number: int
    time_ns: int
    source: str
    destination: str
    ecn: int
    packet: RocePacket | None
    is_icrc_right: bool
    problem: str = ""

    @property
    def flow(self) -> Flow:
        """Source, destination and destination QP; QP 0 for a packet that could not be read."""
        return self.source, self.destination, self.packet.bth.dest_qp if self.packet else 0

    @property
    def psn(self) -> int:
        """24 bits."""
        return self.known.bth.psn

    @property
    def opcode(self) -> Opcode:
        """Of the BTH."""
        return Opcode(self.known.bth.opcode)

    @property
    def info(self) -> OpcodeInfo:
        """What the opcode says."""
        return self.known.info

    @property
    def operation(self) -> Operation:
        """What it is part of."""
        return self.known.info.operation

    @property
    def syndrome(self) -> int | None:
        """Of the AETH, where there is one."""
        aeth = self.known.find(Aeth)
        return None if aeth is None else aeth.syndrome

    @property
    def reth_length(self) -> int:
        """The length in the RETH; 0 where there is none."""
        reth = self.known.find(Reth)
        return 0 if reth is None else reth.length

    @property
    def known(self) -> RocePacket:
        """The packet, which could be read."""
        assert self.packet is not None
        return self.packet


def observe(number: int, time_ns: int, frame: bytes, link_type: int = 1) -> Observed | None:
    """The RoCEv2 packet in a frame, or None when it carries something else.

    number: of the frame, from 1. time_ns: since 1970. link_type: as in `wire.datagrams.datagram_of`.
    """
    datagram = datagram_of(frame, link_type)
    if datagram is None or datagram.destination_port != ROCE_V2_PORT:
        return None
    packet, problem, is_right = None, "", False
    try:
        packet = parse_packet(datagram.payload)
        is_right = icrc(datagram.packet) == packet.icrc
    except WireError as error:
        problem = str(error)
    return Observed(number, time_ns, datagram.source, datagram.destination, _ecn(datagram), packet, is_right, problem)


def _ecn(datagram: Datagram) -> int:
    first = datagram.packet
    return first[1] & 3 if first[0] >> 4 == 4 else first[1] >> 4 & 3
