"""The measuring end of the verbs workloads, on the plain synchronous API: post, pump, poll."""

from __future__ import annotations

import contextlib
import enum
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from apps.addresses import address_beside
from apps.errors import CommandError
from apps.perf.rdma_peer import PERF_PORT, PerfMemory, PerfRequest
from apps.perf.report import Measurement
from stacks.rdma import Access, QpCapacity, RecvWr, SendWr, Sge, Wc, WcStatus, WrOpcode
from stacks.rdma.cm import ConnectionParameters
from stacks.rdma.sync import ConnectionFailed, Endpoint, device_on, open_beside, open_udp


class RdmaOp(enum.StrEnum):
    """What a verbs workload does; the names of `Mode`, and two with both ends taking part."""

    READ = "read"
    WRITE = "write"
    RANDREAD = "randread"
    RANDWRITE = "randwrite"
    RW = "rw"
    RANDRW = "randrw"
    SEND = "send"
    PING = "ping"


@dataclass(frozen=True, slots=True)
class Shape:
    """What an operation looks like.

    block_bytes: payload. queue_depth: how many at a time. offset_bytes: where in a page the local memory starts.
    sges: in how many pieces it is. path_mtu: bytes, 0 for the largest.
    """

    block_bytes: int
    queue_depth: int
    offset_bytes: int = 0
    sges: int = 1
    path_mtu: int = 0


class RdmaWorkload:
    """Operations on the memory of an `RdmaPeer`, over one queue pair; made by `connect`.

    memory: the peer's.
    """

    def __init__(self, endpoint: Endpoint, shape: Shape, *, op: RdmaOp) -> None:
        self._endpoint = endpoint
        self._shape = shape
        # A ping posts the next receive while its message is on the way.
        depth = max(shape.queue_depth, 2) if op is RdmaOp.PING else shape.queue_depth
        size = shape.block_bytes
        self._stride = -(-(shape.offset_bytes + size) // 4096) * 4096
        self._buffer = memoryview(bytearray(self._stride * depth * 2))
        region = endpoint.pd.reg_mr(self._buffer, access=Access.LOCAL_WRITE)
        self._cq = endpoint.create_cq(4 * depth)
        self._recv_cq = endpoint.create_cq(4 * depth)
        capacity = QpCapacity(max_send_wr=max(depth, 16), max_recv_wr=depth)
        self.qp = endpoint.create_qp(send_cq=self._cq, recv_cq=self._recv_cq, capacity=capacity)
        self.memory = PerfMemory(0, 0, 0)
        pieces = [self._pieces(slot, region.address, region.lkey) for slot in range(2 * depth)]
        self._sends = [SendWr(slot, WrOpcode.SEND, pieces[slot]) for slot in range(depth)]
        self._receives = [RecvWr(slot, pieces[depth + slot]) for slot in range(depth)]

    def view(self, slot: int) -> memoryview:
        """The memory of a slot."""
        start = slot * self._stride + self._shape.offset_bytes
        return self._buffer[start : start + self._shape.block_bytes]

    def submit(self, slot: int, block: int, *, is_read: bool) -> None:
        """Post one work request."""
        wr = self._sends[slot]
        wr.opcode = WrOpcode.RDMA_READ if is_read else WrOpcode.RDMA_WRITE
        wr.remote_address = self.memory.address + block * self._shape.block_bytes
        wr.rkey = self.memory.rkey
        self.qp.post_send(wr)

    def poll(self) -> Sequence[tuple[int, str]]:
        """What completed; the thread sleeps while nothing can be done."""
        did = self._endpoint.pump()
        completions = self._cq.poll(256)
        if not completions and not did:
            self._endpoint.wait(WAIT_NS)
        return [(wc.wr_id, "" if wc.status is WcStatus.SUCCESS else wc.status.name) for wc in completions]

    def ping(self, measurement: Measurement, duration_ns: int) -> None:
        """Send one message to and fro for `duration_ns`, never sleeping; records half of each round trip."""
        qp, poll, cq, recv_cq = self.qp, self._endpoint.poll, self._cq, self._recv_cq
        send, receives = self._sends[0], self._receives[:2]
        now, latency = time.perf_counter_ns, measurement.latency
        for receive in receives:
            qp.post_recv(receive)
        cpu = time.process_time_ns()
        start = moment = before = now()
        completions: list[Wc] = []
        end = start + duration_ns
        while moment < end:
            qp.post_send(send)
            poll()
            # What is left of the round before is done while this one is on its way.
            if moment > start:
                latency.record((moment - before) // 2)
                qp.post_recv(receives[completions[0].wr_id])
            cq.poll(16)
            while not (completions := recv_cq.poll(1)):
                poll(SPINS)
                if cq.is_broken:
                    raise CommandError("the completion queue overflowed")
            if completions[0].status is not WcStatus.SUCCESS:
                raise CommandError(f"the ping failed: {completions[0].status.name}")
            before, moment = moment, now()
        latency.record((moment - before) // 2)
        measurement.operations, measurement.duration_ns = latency.count, moment - start
        measurement.cpu_ns = time.process_time_ns() - cpu

    def stream(self, measurement: Measurement, duration_ns: int) -> None:
        """Keep the queue full of SENDs for `duration_ns`, never sleeping; records the latency of one message a poll."""
        post, pump, poll, sends = self.qp.post_send, self._endpoint.pump, self._cq.poll, self._sends
        now, latency, posted = time.perf_counter_ns, measurement.latency, [0] * len(self._sends)
        cpu = time.process_time_ns()
        start = moment = now()
        end, free, sent = start + duration_ns, list(range(len(sends))), 0
        while moment < end or len(free) < len(sends):
            if moment < end:
                for slot in free:
                    post(sends[slot])
                    posted[slot] = moment
                sent += len(free)
                free.clear()
            pump()
            completions = poll(256)
            moment = now()
            if not completions:
                continue
            for wc in completions:
                if wc.status is not WcStatus.SUCCESS:
                    raise CommandError(f"the send failed: {wc.status.name}")
                free.append(wc.wr_id)
            latency.record(moment - posted[free[-1]])
        measurement.operations, measurement.duration_ns = sent, moment - start
        measurement.cpu_ns = time.process_time_ns() - cpu

    def _pieces(self, slot: int, address: int, lkey: int) -> list[Sge]:
        shape = self._shape
        start, rest = address + slot * self._stride + shape.offset_bytes, shape.block_bytes
        sges = []
        for left in range(shape.sges, 0, -1):
            length = rest // left
            sges.append(Sge(start, length, lkey))
            start, rest = start + length, rest - length
        return sges


@contextlib.contextmanager
def connect(remote: str, shape: Shape, *, op: RdmaOp, local: str = "", offload: bool = True) -> Iterator[RdmaWorkload]:
    """A connection to the peer at `remote`, an IP address in numeric text form.

    local: address of our device, empty for one that suits. CommandError when nobody listens there or the peer refuses;
    LocalError when `local` cannot be had.
    """
    local = local or address_beside(remote)
    udp = open_udp(local, offload=offload) if local else open_beside(remote, offload=offload)
    with Endpoint(device_on(udp, remote=remote), udp) as endpoint:
        workload = RdmaWorkload(endpoint, shape, op=op)
        receives = {RdmaOp.SEND: 4 * shape.queue_depth, RdmaOp.PING: 2}.get(op, 0)
        request = PerfRequest(shape.block_bytes if receives else 0, receives, is_echoed=op is RdmaOp.PING)
        qpn = workload.qp.number
        parameters = ConnectionParameters(qpn=qpn, path_mtu=shape.path_mtu) if shape.path_mtu else None
        try:
            cm_id = endpoint.connect(
                remote, PERF_PORT, qp=workload.qp, private_data=request.encode(), parameters=parameters
            )
        except ConnectionFailed as error:
            raise CommandError(str(error), f"start a peer there: baremetal perf serve --listen {remote}") from error
        workload.memory = PerfMemory.decode(cm_id.private_data)
        yield workload


BUSY_OPS = (RdmaOp.SEND, RdmaOp.PING)
"""What both ends poll for without sleeping."""
SPINS = 16
"""Looks at the socket in one poll, which saves the way there and back."""
WAIT_NS = 1_000_000_000
