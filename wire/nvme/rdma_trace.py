"""Follow NVMe over RDMA through captured packets: queues, the commands on them, their data and completions.

`RdmaTrace.feed` takes RoCE packets in order of capture. The connection manager's REQ and REP say which queue pairs are
NVMe queues; SENDs then carry capsules and completions, WRITEs and READ responses the data of the command whose SGL
names their memory. Packets are taken in PSN order, so retransmissions count once. For tools and tests: nothing here
judges, answers or expires, and everything seen is kept.

Left out: queues whose REQ is not in the capture, and SRQ or XRC queue pairs, which NVMe/RDMA does not use.
"""

from __future__ import annotations

from dataclasses import dataclass

from wire.errors import WireError
from wire.ibcm import CmRep, CmReq, IpCmHeader, RdmaPortSpace, parse_mad
from wire.mad import GSI_QPN
from wire.nvme.commands_codec import CompletionEntry, SubmissionEntry
from wire.nvme.kinds import SglKind
from wire.nvme.rdma_codec import RdmaConnectAccept, RdmaConnectRequest
from wire.nvme.sgl_codec import KeyedSgl
from wire.nvme.traced_command import TracedCommand
from wire.roce import Ieth, Operation, Position, Reth, RocePacket, Transport, parse_packet
from wire.seqnum import psn_add, psn_diff


@dataclass(slots=True, eq=False)
class TracedQueue:
    """One NVMe queue and the two queue pairs that it is made of.

    request, accept: private data of its REQ and REP; mtu_bytes: the path MTU.
    """

    host: str
    controller: str
    host_qpn: int
    controller_qpn: int
    mtu_bytes: int
    request: RdmaConnectRequest
    accept: RdmaConnectAccept

    @property
    def qid(self) -> int:
        """Number of the queue."""
        return self.request.qid


class RdmaTrace:
    """Queues and commands found so far, in order of appearance; ports: TCP port space ports that mean NVMe."""

    def __init__(self, ports: frozenset[int] = frozenset({4420})) -> None:
        self.queues: list[TracedQueue] = []
        self.commands: list[TracedCommand] = []
        self._ports = ports
        self._requests: dict[tuple[str, int], CmReq] = {}
        self._streams: dict[tuple[str, int], _Stream] = {}

    def feed(self, frame: int, source: str, destination: str, udp_payload: bytes | bytearray | memoryview) -> None:
        """One packet of UDP port 4791; what does not parse or belongs to no NVMe queue is passed over."""
        try:
            packet = parse_packet(udp_payload)
            if packet.bth.dest_qp == GSI_QPN:
                self._feed_cm(source, destination, packet)
        except WireError:
            return
        stream = self._streams.get((destination, packet.bth.dest_qp))
        if stream and packet.info.transport is Transport.RC:
            self.commands += stream.take(frame, packet)

    def _feed_cm(self, source: str, destination: str, packet: RocePacket) -> None:
        _, message = parse_mad(packet.payload)
        if isinstance(message, CmReq):
            space, port = message.service_id >> 16, message.service_id & 0xFFFF
            if space == RdmaPortSpace.TCP and port in self._ports:
                self._requests[source, message.local_comm_id] = message
        elif isinstance(message, CmRep):
            request = self._requests.pop((destination, message.remote_comm_id), None)
            if request:
                self._open(host=destination, controller=source, request=request, reply=message)

    def _open(self, *, host: str, controller: str, request: CmReq, reply: CmRep) -> None:
        queue = TracedQueue(
            host,
            controller,
            request.local_qpn,
            reply.local_qpn,
            mtu_bytes=128 << request.path_mtu,
            request=RdmaConnectRequest.decode(request.private_data, IpCmHeader.SIZE),
            accept=RdmaConnectAccept.decode(reply.private_data),
        )
        self.queues.append(queue)
        work = _Work(queue)
        # A starting PSN is the one that the receiver of the message is to send first (IBTA 12.6.5).
        self._streams[controller, reply.local_qpn] = _Stream(work, reply.starting_psn, from_host=True)
        self._streams[host, request.local_qpn] = _Stream(work, request.starting_psn, from_host=False)


class _Work:
    """What the two directions of a queue share: commands not yet completed, and READs by their first PSN."""

    def __init__(self, queue: TracedQueue) -> None:
        self.queue = queue
        self.outstanding: dict[int, TracedCommand] = {}
        self.reads: list[tuple[int, int, TracedCommand, int]] = []

    def owner(self, key: int, address: int) -> tuple[TracedCommand, int] | None:
        """The command whose keyed SGL has this memory, and the offset in it."""
        for command in self.outstanding.values():
            sgl = KeyedSgl.decode(command.capsule, SGL_OFFSET)
            is_keyed = sgl.kind in (SglKind.KEYED, SglKind.KEYED_INVALIDATE)
            if is_keyed and sgl.key == key and sgl.address <= address < sgl.address + sgl.length:
                return command, address - sgl.address
        return None


class _Stream:
    """The packets towards one queue pair."""

    def __init__(self, work: _Work, first_psn: int, *, from_host: bool) -> None:
        self._work = work
        self._expected = first_psn
        self._from_host = from_host
        self._message = bytearray()
        self._write: tuple[TracedCommand, int] | None = None

    def take(self, frame: int, packet: RocePacket) -> list[TracedCommand]:
        """Account for one packet; the commands that it completes the capsule of."""
        operation, psn = packet.info.operation, packet.bth.psn
        if operation is Operation.READ_RESPONSE:
            self._take_response(frame, packet)
        if not packet.info.is_request or psn != self._expected:
            return []
        self._expected = psn_add(psn, 1)
        if operation is Operation.SEND:
            return self._take_send(frame, packet)
        if operation is Operation.WRITE:
            self._take_write(frame, packet)
        elif operation is Operation.READ_REQUEST:
            self._take_read(packet)
        return []

    def _take_send(self, frame: int, packet: RocePacket) -> list[TracedCommand]:
        self._message += packet.payload
        if packet.info.position not in ENDS:
            return []
        message = bytes(self._message)
        self._message.clear()
        if self._from_host and len(message) >= SubmissionEntry.SIZE:
            command = TracedCommand(self._work.queue, frame, message)
            self._work.outstanding[command.entry.cid] = command
            return [command]
        if not self._from_host and len(message) == CompletionEntry.SIZE:
            self._complete(frame, message, packet.find(Ieth))
        return []

    def _complete(self, frame: int, message: bytes, key: Ieth | None) -> None:
        command = self._work.outstanding.pop(CompletionEntry.decode(message).cid, None)
        if command:
            command.completion, command.completion_frame = message, frame
            command.invalidated = key.rkey if key else None

    def _take_write(self, frame: int, packet: RocePacket) -> None:
        reth = packet.find(Reth)
        if reth:
            self._write = self._work.owner(reth.rkey, reth.va)
        if self._write:
            command, offset = self._write
            command.to_host = True
            command.place(frame, offset, packet.payload)
            self._write = command, offset + len(packet.payload)

    def _take_read(self, packet: RocePacket) -> None:
        reth = packet.find(Reth)
        assert reth is not None, "every READ request has a RETH"
        packets = max(1, -(-reth.length // self._work.queue.mtu_bytes))
        self._expected = psn_add(packet.bth.psn, packets)
        owner = self._work.owner(reth.rkey, reth.va)
        if owner:
            self._work.reads.append((packet.bth.psn, packets, *owner))

    def _take_response(self, frame: int, packet: RocePacket) -> None:
        for first_psn, packets, command, offset in reversed(self._work.reads):
            index = psn_diff(packet.bth.psn, first_psn)
            if 0 <= index < packets:
                command.place(frame, offset + index * self._work.queue.mtu_bytes, packet.payload)
                return


SGL_OFFSET = 24
ENDS = (Position.LAST, Position.ONLY)
