"""The measuring end of the verbs workloads, on the plain synchronous API: post, pump, poll."""

from __future__ import annotations

import contextlib
import enum
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from apps.errors import CommandError
from apps.perf.rdma_peer import SERVICE_ID, PerfMemory, PerfRequest
from apps.perf.report import Measurement
from stacks.nvme.bindings.rdma.sync import open_beside, open_device, open_udp
from stacks.rdma import Access, Device, QpCapacity, RecvWr, SendWr, Sge, WcStatus, WrOpcode
from stacks.rdma.cm import CmEvent, CmEventType, ConnectionParameters
from transports.clock import RealClock
from transports.pump import Pump
from wire.ibcm import RejectReason


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
    sges: in how many pieces it is. path_mtu: bytes.
    """

    block_bytes: int
    queue_depth: int
    offset_bytes: int = 0
    sges: int = 1
    path_mtu: int = 4096


class RdmaEndpoint:
    """Operations on the memory of an `RdmaPeer`, over one queue pair; made by `connect`.

    memory: the peer's.
    """

    def __init__(self, device: Device, pump: Pump, shape: Shape, *, op: RdmaOp) -> None:
        self._pump = pump
        self._shape = shape
        self._op = op
        depth, size = shape.queue_depth, shape.block_bytes
        self._stride = -(-(shape.offset_bytes + size) // 4096) * 4096
        pd = device.alloc_pd()
        self._buffer = memoryview(bytearray(self._stride * depth * 2))
        region = pd.reg_mr(self._buffer, access=Access.LOCAL_WRITE)
        self._cq = device.create_cq(4 * depth)
        self._recv_cq = device.create_cq(4 * depth)
        capacity = QpCapacity(max_send_wr=depth, max_recv_wr=depth)
        self.qp = pd.create_qp(send_cq=self._cq, recv_cq=self._recv_cq, capacity=capacity)
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
        if self._op is not RdmaOp.SEND:
            wr.opcode = WrOpcode.RDMA_READ if is_read else WrOpcode.RDMA_WRITE
            wr.remote_address = self.memory.address + block * self._shape.block_bytes
            wr.rkey = self.memory.rkey
        self.qp.post_send(wr)

    def poll(self) -> Sequence[tuple[int, str]]:
        """What completed; the thread sleeps while nothing can be done."""
        did = self._pump.pump()
        completions = self._cq.poll(256)
        if not completions and not did:
            self._pump.wait(WAIT_NS)
        return [(wc.wr_id, "" if wc.status is WcStatus.SUCCESS else wc.status.name) for wc in completions]

    def ping(self, measurement: Measurement, duration_ns: int) -> None:
        """Send one message to and fro for `duration_ns`, never sleeping; records half of each round trip."""
        qp, pump, cq, recv_cq = self.qp, self._pump.pump, self._cq, self._recv_cq
        send, receive = self._sends[0], self._receives[0]
        now, latency = time.perf_counter_ns, measurement.latency
        qp.post_recv(receive)
        cpu = time.process_time_ns()
        start = moment = now()
        end = start + duration_ns
        while moment < end:
            qp.post_send(send)
            while not (completions := recv_cq.poll(1)):
                pump()
                if not completions and cq.is_broken:
                    raise CommandError("the completion queue overflowed")
            if completions[0].status is not WcStatus.SUCCESS:
                raise CommandError(f"the ping failed: {completions[0].status.name}")
            cq.poll(16)
            qp.post_recv(receive)
            before, moment = moment, now()
            latency.record((moment - before) // 2)
        measurement.operations, measurement.duration_ns = latency.count, moment - start
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
def connect(remote: str, shape: Shape, *, op: RdmaOp, local: str = "", offload: bool = True) -> Iterator[RdmaEndpoint]:
    """A connection to the peer at `remote`, an IP address in numeric text form.

    local: address of our device, empty for one that suits. CommandError when nobody listens there or the peer refuses;
    LocalError when `local` cannot be had.
    """
    transport = open_udp(local, offload=offload) if local else open_beside(remote, offload=offload)
    device = open_device(transport)
    try:
        pump = Pump(device, transport, RealClock())
        endpoint = RdmaEndpoint(device, pump, shape, op=op)
        is_ping = op is RdmaOp.PING
        receives = {RdmaOp.SEND: 4 * shape.queue_depth, RdmaOp.PING: 2}.get(op, 0)
        connection = device.cm.connect(
            remote,
            SERVICE_ID,
            qp=endpoint.qp,
            parameters=ConnectionParameters(qpn=endpoint.qp.number, path_mtu=shape.path_mtu),
            private_data=PerfRequest(shape.block_bytes if receives else 0, receives, is_ping).encode(),
        )
        event = next_event(device, pump)
        if event.kind is not CmEventType.ESTABLISHED:
            raise CommandError(refusal(event, remote), f"start one: baremetal perf serve --listen {remote}")
        endpoint.memory = PerfMemory.decode(event.private_data)
        yield endpoint
        device.cm.disconnect(connection)
        next_event(device, pump)
    finally:
        transport.close()


def next_event(device: Device, pump: Pump) -> CmEvent:
    """Wait for the connection manager to say something; it always does, if only that nobody answered."""
    while (event := device.cm.poll_event()) is None:
        if not pump.pump():
            pump.wait(WAIT_NS)
    return event


def refusal(event: CmEvent, remote: str) -> str:
    """Why there is no connection."""
    if event.kind is CmEventType.UNREACHABLE:
        return f"no device answers at {remote}"
    if event.kind is CmEventType.REJECTED and event.status == RejectReason.INVALID_SERVICE_ID:
        return f"the device at {remote} serves no perf workloads"
    return f"the device at {remote} refused: {event.kind.name.lower()}, reason {event.status}"


WAIT_NS = 1_000_000_000
