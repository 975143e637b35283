"""A device whose peer is the test: packets are written and read one by one, in virtual time."""

from __future__ import annotations

from stacks.dma.contract import Dma
from stacks.rdma import AddressVector, DeviceConfig, QpCapacity, QpState, QpType, WrOpcode
from tests.stacks.rdma.rig import FULL_ACCESS, HOSTS, QKEY, End, make_end, modify
from transports.datagram import Transmit
from transports.simulation import Network, Simulation
from wire.header import Header
from wire.roce import Aeth, Bth, Opcode, Reth, RocePacket, parse_packet
from wire.roce.flow_icrc import FlowIcrc

PEER_QPN = 0x123456
FIRST_PSN = 0xFFFFFE
"""Of both directions: two packets later it wraps."""
ROCE_PORT = 4791
MTU = 256
ACK, RNR_NAK, NAK = 0x1F, 0x20, 0x60
SEQUENCE = NAK | 0
TURN_NS = 100_000
"""Long enough for a packet and its answer, shorter than any timer that a test waits for."""


class HandRig:
    """One `End` in RTS, and what its peer sends and receives.

    psn: the next request's, counted up by `request`.
    """

    def __init__(
        self,
        *,
        shortcuts: bool = True,
        hosts: tuple[str, str] = HOSTS,
        access: int = FULL_ACCESS,
        capacity: QpCapacity | None = None,
        cq_depth: int = 4096,
        dma: Dma | None = None,
        memory_bytes: int = 1 << 16,
        config: DeviceConfig | None = None,
        qp_type: QpType = QpType.RC,
        **attributes: int,
    ) -> None:
        self.simulation = Simulation(1)
        self.network = Network(self.simulation)
        self.peer = self.network.open((hosts[0], ROCE_PORT))
        self.end: End = make_end(
            self.network, hosts[1], config=config or DeviceConfig(shortcuts=shortcuts), capacity=capacity,
            cq_depth=cq_depth, dma=dma, memory_bytes=memory_bytes, qp_type=qp_type,
        )  # fmt: skip
        self.flow = FlowIcrc((hosts[0], ROCE_PORT), (hosts[1], ROCE_PORT))
        self.psn = FIRST_PSN
        self._hosts = hosts
        self.connect(access, attributes)

    def connect(self, access: int, attributes: dict[str, int]) -> None:
        """Bring the queue pair to RTS."""
        qp = self.end.qp
        modify(qp, QpState.INIT, pkey_index=0, port=1, access=access, qkey=QKEY)
        modify(
            qp,
            QpState.RTR,
            av=AddressVector(destination=self._hosts[0]),
            path_mtu=MTU,
            dest_qpn=PEER_QPN,
            rq_psn=FIRST_PSN,
            max_dest_rd_atomic=attributes.get("max_dest_rd_atomic", 4),
            min_rnr_timer=attributes.get("min_rnr_timer", 1),
        )
        modify(
            qp,
            QpState.RTS,
            timeout=attributes.get("timeout", 10),
            retry_cnt=attributes.get("retry_cnt", 7),
            rnr_retry=attributes.get("rnr_retry", 7),
            sq_psn=FIRST_PSN,
            max_qp_rd_atomic=attributes.get("max_qp_rd_atomic", 4),
        )

    def packet(
        self, opcode: int, *headers: Header, payload: bytes = b"", psn: int = FIRST_PSN, ack: bool = True, **bth: int
    ) -> bytes:
        """A packet to the device's queue pair with a good ICRC."""
        fields = {"pkey": 0xFFFF, "dest_qp": self.end.qp.number, "pad_count": -len(payload) & 3} | bth
        head = Bth(opcode=opcode, ack_req=int(ack), psn=psn & 0xFFFFFF, **fields)
        body = b"".join(header.encode() for header in (head, *headers)) + payload + bytes(-len(payload) & 3)
        return self.seal(body)

    def seal(self, body: bytes) -> bytes:
        """`body` with its ICRC behind it."""
        return body + self.flow.icrc(body + bytes(4)).to_bytes(4, "little")

    def put(self, *packets: bytes, ecn: int = 0) -> None:
        """Send packets, each on its own, and let them be answered."""
        for packet in packets:
            transmit = Transmit([packet], len(packet), None, self.end.device.address, ecn)
            self.peer.send(transmit)
        self.simulation.run_for(TURN_NS)

    def request(self, opcode: int, *headers: Header, payload: bytes = b"", **fields: int) -> None:
        """Send the next request; `psn` sends another instead and leaves the count alone."""
        if "psn" not in fields:
            fields["psn"] = self.psn
            self.psn += 1
        self.put(self.packet(opcode, *headers, payload=payload, **fields))

    def respond(self, opcode: int, psn: int, *headers: Header, payload: bytes = b"") -> None:
        """Send a response to the device's request."""
        self.put(self.packet(opcode, *headers, payload=payload, psn=psn, ack=False))

    def acknowledge(self, psn: int, syndrome: int = ACK) -> None:
        """Send an ACK or NAK."""
        self.respond(Opcode.RC_ACKNOWLEDGE, psn, Aeth(syndrome=syndrome))

    def received(self) -> list[RocePacket]:
        """What the device sent since the last call."""
        self.simulation.run_for(TURN_NS)
        packets: list[RocePacket] = []
        while (burst := self.peer.receive()) is not None:
            size = burst.segment_bytes
            packets += [parse_packet(burst.view[at : at + size]) for at in range(0, len(burst.view), size)]
        return packets

    def wait(self, duration_ns: int) -> None:
        """Let time pass."""
        self.simulation.run_for(duration_ns)

    def answers(self) -> list[tuple[int, int]]:
        """Syndrome and PSN of every acknowledgement that the device sent since the last call."""
        return [
            (aeth.syndrome, packet.bth.psn)
            for packet in self.received()
            if packet.bth.opcode == Opcode.RC_ACKNOWLEDGE and (aeth := packet.find(Aeth)) is not None
        ]

    def completed(self) -> list[tuple[int, str]]:
        """Work request and status of everything that completed since the last call."""
        return [(wc.wr_id, wc.status.name) for wc in self.end.cq.poll(1000)]


def psns(packets: list[RocePacket]) -> list[int]:
    """PSNs as distances from the first one."""
    return [packet.bth.psn - FIRST_PSN & 0xFFFFFF for packet in packets]


def reth(rig: HandRig, offset: int, length: int) -> Reth:
    """A range of the device's memory."""
    return Reth(va=rig.end.mr.address + offset, rkey=rig.end.mr.rkey, length=length)


def posted(
    rig: HandRig, count: int, opcode: WrOpcode = WrOpcode.SEND, size: int = 4, **fields: int
) -> list[RocePacket]:
    """Post `count` requests numbered from 1, and take what leaves."""
    for number in range(1, count + 1):
        rig.end.send(number, opcode, 0, size, **fields)
    return rig.received()
