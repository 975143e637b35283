"""The responder of UD: each packet is a message, for whoever holds the Q_Key (IBTA 9.8.3.2, 10.2.5, 11.4.1.2).

The first 40 bytes of every receive are for the network header: an IPv6 header, or 20 zero bytes and an IPv4 header.
A UDP socket does not see the header that arrived, so it is made again from what is known of it: addresses and length as
they were, hop limit 64, DSCP and Identification 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address
from typing import TYPE_CHECKING

from stacks.dma.contract import Fault
from stacks.rdma.completion import ExtendedWc, Wc
from stacks.rdma.enums import WcFlags, WcOpcode, WcStatus
from stacks.rdma.memory.gather import scatter
from stacks.rdma.opcodes import DATA_OPCODES, SEND
from stacks.rdma.receive_queue import ReceiveQueue
from wire.ip import IpProtocol, Ipv4Header, Ipv6Header, ipv4_checksum
from wire.roce.flow_icrc import BTH_BYTES, ICRC_BYTES

if TYPE_CHECKING:
    from stacks.rdma.qp import Qp


@dataclass(frozen=True)
class Route:
    """Where a datagram came from and where it was sent to, in numeric text form: the device, or a multicast group."""

    source: str
    destination: str

    @cached_property
    def _packed(self) -> tuple[bytes, bytes]:
        return ip_address(self.source).packed, ip_address(self.destination).packed

    def network_header(self, packet_bytes: int) -> bytes:
        """The 40 bytes before the payload of a receive. packet_bytes: from BTH to ICRC (IBTA A17.4.5.2)."""
        source, destination = self._packed
        udp_bytes = UDP_BYTES + packet_bytes
        if len(source) == IPV6_ADDRESS_BYTES:
            return Ipv6Header(
                payload_length=udp_bytes, next_header=IpProtocol.UDP, source=source, destination=destination
            ).encode()
        header = Ipv4Header(
            total_length=Ipv4Header.SIZE + udp_bytes,
            dont_fragment=1,
            protocol=IpProtocol.UDP,
            source=source,
            destination=destination,
        )
        header.checksum = ipv4_checksum(header.encode())
        return bytes(GRH_BYTES - Ipv4Header.SIZE) + header.encode()


class DatagramResponder:
    """The receiving half of one UD queue pair. qkey: what a datagram must bring. max_bytes: the port's MTU."""

    def __init__(self, qp: Qp, queue: ReceiveQueue, *, max_bytes: int) -> None:
        self._qp = qp
        self.queue = queue
        self.expected_psn = 0
        """Any is right: datagrams have no sequence (IBTA 9.8.3.2.1)."""
        self.qkey = 0
        self._max_bytes = max_bytes

    def handle_datagram(self, operation: int, body: memoryview, route: Route, *, is_solicited: bool) -> None:
        """One packet: `body` is everything between BTH and ICRC without padding."""
        qp = self._qp
        data = DATA_OPCODES.get(operation)
        if data is None or data.kind != SEND or not (data.starts and data.ends) or data.has_inv:
            qp.counters.rcvd_opcode_err += 1
            return
        header_bytes = DETH_BYTES + data.extension_bytes
        if len(body) < header_bytes:
            qp.counters.rcvd_dropped_messages += 1
            return
        deth = int.from_bytes(body[:DETH_BYTES], "big")
        if deth >> 32 != self.qkey:
            qp.counters.rcvd_qkey_err += 1
            return
        imm_data = bytes(body[DETH_BYTES:header_bytes])
        self._receive(body[header_bytes:], route, imm_data, source_qp=deth & 0xFFFFFF, is_solicited=is_solicited)

    def _receive(
        self, payload: memoryview, route: Route, imm_data: bytes, *, source_qp: int, is_solicited: bool
    ) -> None:
        """Put one message into the oldest receive; it is dropped, and the receive stays, where it does not fit.

        Source: IBTA 9.8.3.2.4, 9.9.3 (class D, and A for a receive that names no memory of ours).
        """
        qp, receives = self._qp, self.queue.entries
        total = GRH_BYTES + len(payload)
        receive = receives[0] if receives else None
        too_long = receive is not None and total > sum(sge.length for sge in receive.sges)
        if receive is None or too_long or len(payload) > self._max_bytes:
            qp.counters.rcvd_dropped_messages += 1
            return
        packet_bytes = BTH_BYTES + DETH_BYTES + len(imm_data) + (len(payload) + 3 & ~3) + ICRC_BYTES
        status = scatter(qp, receive.sges, 0, memoryview(route.network_header(packet_bytes)))
        if status is WcStatus.SUCCESS:
            status = scatter(qp, receive.sges, GRH_BYTES, payload)
        if isinstance(status, Fault):
            qp.counters.rcvd_dropped_messages += 1
            return
        receives.popleft()
        if status is not WcStatus.SUCCESS:
            qp.recv_cq.push(Wc(receive.wr_id, status, WcOpcode.RECV, 0, qp.number))
            qp.enter_error()
            return
        qp.counters.rdma_recvs += 1
        flags = WcFlags.GRH | WcFlags.WITH_IMM if imm_data else WcFlags.GRH
        qp.recv_cq.push(
            ExtendedWc(
                receive.wr_id, status, WcOpcode.RECV, total, qp.number, flags, imm_data,
                is_solicited=is_solicited, src_qp=source_qp,
            )
        )  # fmt: skip

    def flush(self) -> None:
        """Complete every receive of this queue pair with WR_FLUSH_ERR, in order."""
        for receive in self.queue.withdraw():
            self._qp.recv_cq.push(Wc(receive.wr_id, WcStatus.WR_FLUSH_ERR, WcOpcode.RECV, 0, self._qp.number))

    def discard(self) -> None:
        """Forget everything without completions, as a reset does."""
        self.queue.withdraw()


GRH_BYTES = 40
"""What every datagram takes of its receive before the payload."""
DETH_BYTES = 8
UDP_BYTES = 8
IPV6_ADDRESS_BYTES = 16
