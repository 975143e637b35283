"""The measuring end of the verbs workloads, on the plain synchronous API: post, pump, poll."""

from __future__ import annotations

import contextlib
import enum
import itertools
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from apps.addresses import address_beside
from apps.errors import CommandError
from apps.faults import reported
from apps.perf.rdma_peer import DATAGRAM_SERVICE, GRH_BYTES, PERF_PORT, PerfMemory, PerfRequest, Transport
from apps.perf.report import Measurement
from stacks.rdma import (
    Access,
    AddressHandle,
    AddressVector,
    DeviceConfig,
    Mr,
    Qp,
    QpCapacity,
    QpState,
    QpType,
    RecvWr,
    SendWr,
    Sge,
    WcStatus,
    WrOpcode,
)
from stacks.rdma.cm import RDMA_UDP_QKEY, CmEventType, ConnectionParameters
from stacks.rdma.cm.ids import CmId
from stacks.rdma.cm.queue_pair import datagram_attributes
from stacks.rdma.cm.resolution import ResolutionEvent
from stacks.rdma.endpoint import settled
from stacks.rdma.sync import ConnectionFailed, Endpoint, device_on, open_beside, open_udp


class RdmaOp(enum.StrEnum):
    """What a verbs workload does: the names of `Mode`, and what else verbs have."""

    READ = "read"
    WRITE = "write"
    RANDREAD = "randread"
    RANDWRITE = "randwrite"
    RW = "rw"
    RANDRW = "randrw"
    SEND = "send"
    PING = "ping"
    WRITE_IMM = "write-imm"
    FETCH_ADD = "fetch-add"
    CMP_SWP = "cmp-swp"


@dataclass(frozen=True, slots=True)
class Shape:
    """What an operation looks like.

    block_bytes: payload. queue_depth: how many at a time. offset_bytes: where in a page the local memory starts.
    sges: in how many pieces it is. path_mtu: bytes, 0 for the largest. qps: queue pairs that take turns.
    is_bidirectional: the peer does the same to our memory meanwhile. transport: of the queue pairs.
    is_latency: there is one operation at a time, and both ends poll.
    is_mirrored: the peer writes to our memory what we have written to its own, as soon as it is there.
    """

    block_bytes: int
    queue_depth: int
    offset_bytes: int = 0
    sges: int = 1
    path_mtu: int = 0
    qps: int = 1
    is_bidirectional: bool = False
    transport: Transport = Transport.RC
    is_latency: bool = False
    is_mirrored: bool = False


class RdmaWorkload:
    """Operations on the memory of an `RdmaPeer`, over one or several queue pairs; made by `connect`.

    memory: the peer's. qps: the queue pairs; slot k uses the one with number k modulo their count, or
    each time the next where they are more than slots. cq, recv_cq: where
    they complete. receives: one for each slot. back_memory: what the peer writes to in the other direction.
    """

    def __init__(self, endpoint: Endpoint, shape: Shape, *, op: RdmaOp) -> None:
        self.endpoint = endpoint
        self.device = endpoint.device
        self._shape = shape
        self.op = op
        # A ping posts the next receive while its message is on the way.
        depth = max(shape.queue_depth, 2) if op is RdmaOp.PING else shape.queue_depth
        size = shape.block_bytes
        self._skipped = GRH_BYTES if shape.transport is Transport.UD else 0
        self._stride = -(-(shape.offset_bytes + size + self._skipped) // 4096) * 4096
        self._buffer = memoryview(bytearray(self._stride * depth * 2))
        access = Access.LOCAL_WRITE | (Access.REMOTE_ANY if shape.is_bidirectional or shape.is_mirrored else 0)
        region = endpoint.pd.reg_mr(self._buffer, access=access)
        self.back_memory = bytearray(max(1, size * depth))
        self._back = endpoint.pd.reg_mr(self.back_memory, access=access)
        self.cq = endpoint.create_cq(4 * depth)
        self.recv_cq = endpoint.create_cq(4 * depth)
        # Where queue pairs outnumber operations, one that waits for a retry may be passed, and posted to, many times.
        is_passed = shape.qps > depth
        share = depth if is_passed else -(-depth // shape.qps)
        capacity = QpCapacity(max_send_wr=max(share, 16), max_recv_wr=depth)
        qp_type = QP_TYPES[shape.transport]
        self.qps = [
            endpoint.create_qp(send_cq=self.cq, recv_cq=self.recv_cq, capacity=capacity, qp_type=qp_type)
            for _ in range(shape.qps)
        ]
        self._turns = itertools.cycle(qp.post_send for qp in self.qps) if is_passed else None
        self.memory = PerfMemory()
        self.datagram_peers: list[tuple[AddressHandle, int]] = []
        self._sends = [SendWr(slot, WrOpcode.SEND, self._pieces(slot, region, size)) for slot in range(depth)]
        room = size + self._skipped
        self.receives = [RecvWr(slot, self._pieces(depth + slot, region, room)) for slot in range(depth)]

    @property
    def is_alone(self) -> bool:
        """Whether there is one operation at a time, whose latency matters."""
        return self.op is RdmaOp.PING or self._shape.is_latency

    def view(self, slot: int) -> memoryview:
        """The memory of a slot."""
        start = slot * self._stride + self._shape.offset_bytes
        return self._buffer[start : start + self._shape.block_bytes]

    def submit(self, slot: int, block: int, *, is_read: bool) -> None:
        """Post one work request."""
        wr = self._sends[slot]
        wr.opcode = WrOpcode.RDMA_READ if is_read else WrOpcode.RDMA_WRITE
        wr.remote_address = self.memory.address + block * self._shape.block_bytes
        wr.rkey, wr.remote_srqn = self.memory.rkey, self.memory.srqn
        post = next(self._turns) if self._turns is not None else self.qps[slot % len(self.qps)].post_send
        post(wr)

    def parameters(self, qp: Qp) -> ConnectionParameters | None:
        """What a queue pair is connected with; None for the defaults."""
        path_mtu = self._shape.path_mtu
        return ConnectionParameters(qpn=qp.number, qp_type=qp.qp_type, path_mtu=path_mtu) if path_mtu else None

    def request(self, number: int) -> PerfRequest:
        """What the peer is told when queue pair `number` connects."""
        shape, op = self._shape, self.op
        depth = len(range(number, shape.queue_depth, shape.qps))
        room = 4 * max(1, depth)
        back: dict[str, int] = {}
        if shape.is_bidirectional or shape.is_mirrored:
            back = {
                "back_depth": depth,
                "back_opcode": int(OPCODES[op]),
                "back_bytes": shape.block_bytes,
                "back_address": self._back.address,
                "back_rkey": self._back.rkey,
            }
        receives = {RdmaOp.SEND: room, RdmaOp.WRITE_IMM: room, RdmaOp.PING: 2}.get(op, 0)
        receive_bytes = shape.block_bytes if receives and op is not RdmaOp.WRITE_IMM else 0
        return PerfRequest(
            receive_bytes,
            receives,
            is_echoed=op is RdmaOp.PING,
            transport=shape.transport,
            is_mirrored=shape.is_mirrored,
            **back,
        )

    def poll(self) -> Sequence[tuple[int, str]]:
        """What completed; the thread sleeps while nothing can be done."""
        did = self.endpoint.pump()
        completions = self.cq.poll(256)
        if not completions and not did:
            self.endpoint.wait(WAIT_NS)
        return [(wc.wr_id, "" if wc.status is WcStatus.SUCCESS else wc.status.name) for wc in completions]

    def stream(self, measurement: Measurement, duration_ns: int) -> None:
        """Keep the queues full for `duration_ns`, each operation at a place of its own, without looking at the data.

        Records the latency of one operation a poll. With small operations it never sleeps.
        """
        endpoint, poll, sends = self.endpoint, self.cq.poll, self.prepare_sends()
        pump, is_busy = endpoint.pump, is_polled(self.op, self._shape.block_bytes)
        turns, posts = self._turns, [self.qps[slot % len(self.qps)].post_send for slot in range(len(sends))]
        now, latency, posted = time.perf_counter_ns, measurement.latency, [0] * len(sends)
        self._post_receives()
        before = self._peer_operations()
        cpu = time.process_time_ns()
        start = moment = now()
        end, free, sent = start + duration_ns, list(range(len(sends))), 0
        while moment < end or len(free) < len(sends):
            if moment < end:
                if turns is not None:
                    for slot in free:
                        posts[slot] = next(turns)
                for slot in free:
                    posts[slot](sends[slot])
                    posted[slot] = moment
                sent += len(free)
                free.clear()
            did = pump()
            completions = poll(256)
            moment = now()
            if len(self.recv_cq):
                self._take_received()
            if not completions:
                if not did and not is_busy:
                    endpoint.wait(WAIT_NS)
                continue
            for wc in completions:
                if wc.status is not _SUCCESS:
                    raise CommandError(f"{measurement.name} failed: {wc.status.name}", advice(wc.status))
                free.append(wc.wr_id)
            latency.record(moment - posted[free[-1]])
        measurement.operations, measurement.duration_ns = sent, moment - start
        measurement.cpu_ns = time.process_time_ns() - cpu
        if self._shape.is_bidirectional:
            measurement.peer_operations = self._peer_operations() - before
            measurement.operations += measurement.peer_operations

    def prepare_sends(self) -> list[SendWr]:
        """The work request of each slot, ready to be posted."""
        opcode, memory = OPCODES[self.op], self.memory
        for slot, wr in enumerate(self._sends):
            wr.opcode = opcode
            wr.remote_address, wr.rkey = memory.address + slot * self._shape.block_bytes, memory.rkey
            wr.remote_srqn = memory.srqn
            if self.datagram_peers:
                wr.ah, wr.remote_qpn = self.datagram_peers[slot % len(self.qps)]
                wr.remote_qkey = RDMA_UDP_QKEY
            if opcode is WrOpcode.RDMA_WRITE_WITH_IMM:
                wr.imm_data = slot.to_bytes(4, "big")
            if self.op in ATOMIC_OPS:
                wr.compare_add, wr.swap = 1, slot
        return self._sends

    def _post_receives(self) -> None:
        if self._shape.is_bidirectional and self.op is RdmaOp.SEND:
            for slot, receive in enumerate(self.receives):
                self.qps[slot % len(self.qps)].post_recv(receive)

    def _take_received(self) -> None:
        for wc in self.recv_cq.poll(256):
            self.qps[wc.wr_id % len(self.qps)].post_recv(self.receives[wc.wr_id])

    def _peer_operations(self) -> int:
        """How many operations the peer has completed, by an RDMA READ of where it counts them."""
        if not self._shape.is_bidirectional:
            return 0
        count = bytearray(8)
        region = self.endpoint.pd.reg_mr(count)
        wr = SendWr(0, WrOpcode.RDMA_READ, [region.sge()], remote_address=self.memory.count_address)
        wr.rkey = self.memory.count_rkey
        self.qps[0].post_send(wr)
        for wc in self.endpoint.wait_cq(self.cq, 1):
            if wc.status is not WcStatus.SUCCESS:
                raise CommandError(f"reading the peer's count failed: {wc.status.name}")
        region.dereg()
        return int.from_bytes(count, "little")

    def _pieces(self, slot: int, region: Mr, size: int) -> list[Sge]:
        shape = self._shape
        start, rest = region.address + slot * self._stride + shape.offset_bytes, size
        sges = []
        for left in range(shape.sges, 0, -1):
            length = rest // left
            sges.append(Sge(start, length, region.lkey))
            start, rest = start + length, rest - length
        return sges


@contextlib.contextmanager
def connect(
    remote: str,
    shape: Shape,
    *,
    op: RdmaOp,
    local: str = "",
    offload: bool = True,
    config: DeviceConfig | None = None,
    is_quiet: bool = False,
) -> Iterator[RdmaWorkload]:
    """A connection to the peer at `remote`, an IP address in numeric text form.

    local: address of our device, empty for one that suits. config: how it is made, None as usual; is_quiet: say nothing
    of its faults, they are told elsewhere. CommandError when nobody listens there or the peer refuses;
    LocalError when `local` cannot be had.
    """
    local = local or address_beside(remote)
    udp = open_udp(local, offload=offload) if local else open_beside(remote, offload=offload)
    device = device_on(udp, config=config, remote=remote)
    with reported(device, is_quiet=is_quiet), Endpoint(device, udp) as endpoint:
        workload = RdmaWorkload(endpoint, shape, op=op)
        if shape.transport is Transport.UD:
            resolve_all(workload, remote)
        else:
            connect_all(workload, remote)
        yield workload


def connect_all(workload: RdmaWorkload, remote: str) -> None:
    """Connect every queue pair, CONNECTING of them at a time. CommandError as of `connect`."""
    endpoint = workload.endpoint
    asked: deque[CmId] = deque()
    for number, qp in enumerate(workload.qps):
        request = workload.request(number).encode()
        parameters = workload.parameters(qp)
        asked.append(endpoint.start_connect(remote, PERF_PORT, qp=qp, private_data=request, parameters=parameters))
        if len(asked) == CONNECTING or number + 1 == len(workload.qps):
            endpoint.wait_until(lambda: all(cm_id.is_settled for cm_id in asked))
            while asked:
                try:
                    workload.memory = PerfMemory.decode(settled(asked.popleft()).private_data)
                except ConnectionFailed as error:
                    hint = f"start a peer there: baremetal perf serve --listen {remote}"
                    raise CommandError(str(error), hint) from error


def resolve_all(workload: RdmaWorkload, remote: str) -> None:
    """Find the peer of every datagram queue pair. CommandError as of `connect`."""
    endpoint = workload.endpoint
    ah = endpoint.pd.create_ah(AddressVector(destination=remote))
    found: list[ResolutionEvent] = []
    for number, qp in enumerate(workload.qps):
        for state in (QpState.RTR, QpState.RTS):
            qp.modify(datagram_attributes(state, RDMA_UDP_QKEY))
        request = workload.request(number).encode()
        endpoint.device.cm.sidr.resolve(remote, DATAGRAM_SERVICE, private_data=request).on_event = found.append
        endpoint.wait_until(lambda: bool(found))
        event = found.pop()
        if event.kind is not CmEventType.ESTABLISHED:
            hint = f"start a peer there: baremetal perf serve --listen {remote}"
            raise CommandError(f"nobody serves datagrams at {remote}", hint)
        workload.datagram_peers.append((ah, event.resolution.qpn))


def is_polled(op: RdmaOp, block_bytes: int) -> bool:
    """Whether both ends poll without sleeping: where a wake-up costs more than the operation, as perftest does."""
    return op in (RdmaOp.SEND, RdmaOp.PING) or block_bytes <= POLLED_BYTES


def advice(status: WcStatus) -> str:
    """What to do about a failure: the usual reason for these two is a peer that is gone."""
    is_gone = status in (WcStatus.RETRY_EXC_ERR, WcStatus.WR_FLUSH_ERR)
    return "the peer answers no longer; see whether its baremetal perf serve still runs" if is_gone else ""


OPCODES = {
    RdmaOp.WRITE: WrOpcode.RDMA_WRITE,
    RdmaOp.WRITE_IMM: WrOpcode.RDMA_WRITE_WITH_IMM,
    RdmaOp.READ: WrOpcode.RDMA_READ,
    RdmaOp.SEND: WrOpcode.SEND,
    RdmaOp.PING: WrOpcode.SEND,
    RdmaOp.FETCH_ADD: WrOpcode.ATOMIC_FETCH_AND_ADD,
    RdmaOp.CMP_SWP: WrOpcode.ATOMIC_CMP_AND_SWP,
}
"""What is posted by the operations that are not a mix."""
ATOMIC_OPS = (RdmaOp.FETCH_ADD, RdmaOp.CMP_SWP)
QP_TYPES = {Transport.RC: QpType.RC, Transport.UC: QpType.UC, Transport.XRC: QpType.XRC_SEND, Transport.UD: QpType.UD}
CONNECTING = 32
"""Requests that wait for an answer at a time; a listener has room for 128."""
BIDIRECTIONAL_OPS = (RdmaOp.WRITE, RdmaOp.READ, RdmaOp.SEND)
POLLED_BYTES = 16384
_SUCCESS = WcStatus.SUCCESS
SPINS = 16
"""Looks at the socket in one poll, which saves the way there and back."""
WAIT_NS = 1_000_000_000
