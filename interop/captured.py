"""A capture as we read it: what tshark's reading is compared with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from wire.datagrams import datagram_of
from wire.nvme.rdma_trace import RdmaTrace
from wire.nvme.tcp_trace import TcpTrace, TracedPdu
from wire.nvme.traced_command import TracedCommand
from wire.pcapng import decode_packets
from wire.roce import RocePacket, icrc, parse_packet, stored_icrc
from wire.segments import segment_of
from wire.udp import ROCE_V2_PORT

PORTS = (4420, 4421, 8009)
"""Ports that mean NVMe, over both transports."""


@dataclass(slots=True)
class Capture:
    """What is in a capture: RoCE packets by frame number, those with a wrong ICRC, and NVMe over both transports."""

    packets: dict[int, RocePacket] = field(default_factory=dict)
    wrong_icrcs: list[int] = field(default_factory=list)
    rdma: RdmaTrace = field(default_factory=RdmaTrace)
    tcp: TcpTrace = field(default_factory=TcpTrace)

    @property
    def commands(self) -> list[TracedCommand]:
        """Of both transports."""
        return [*self.rdma.commands, *self.tcp.commands]

    @property
    def pdus(self) -> dict[int, list[TracedPdu]]:
        """NVMe/TCP PDUs by the number of the frame that completes them, in order."""
        by_frame: dict[int, list[TracedPdu]] = defaultdict(list)
        for pdu in self.tcp.pdus:
            by_frame[pdu.frame].append(pdu)
        return by_frame


def read_capture(path: Path, ports: Iterable[int] = PORTS) -> Capture:
    """Read a pcapng file; WireError when one of its RoCE packets does not parse."""
    ports = frozenset(ports)
    capture = Capture(rdma=RdmaTrace(ports), tcp=TcpTrace(ports))
    for number, packet in enumerate(decode_packets(path.read_bytes()), start=1):
        datagram = datagram_of(packet.data)
        if datagram and datagram.destination_port == ROCE_V2_PORT:
            capture.packets[number] = parse_packet(datagram.payload)
            if icrc(datagram.packet) != stored_icrc(datagram.packet):
                capture.wrong_icrcs.append(number)
            capture.rdma.feed(number, datagram.source, datagram.destination, datagram.payload)
        elif segment := segment_of(packet.data):
            capture.tcp.feed(number, segment)
    return capture
