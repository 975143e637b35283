"""The serving end of the verbs workloads: memory for anyone to write and read, receives for what is sent.

A client says in the private data of its REQ what it is going to do, and what it wants done to its own memory (the
other direction of a bidirectional run). It learns from the REP's where the peer's memory is, and where it may READ how
many operations the peer has completed.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate

from stacks.rdma import (
    Access,
    AddressHandle,
    AddressVector,
    Cq,
    Device,
    Mr,
    Qp,
    QpCapacity,
    QpState,
    QpType,
    RecvWr,
    SendWr,
    Sge,
    Wc,
    WcOpcode,
    WcStatus,
    WrOpcode,
)
from stacks.rdma.cm import CmEvent, CmEventType, Connection
from stacks.rdma.cm.queue_pair import RDMA_UDP_QKEY, datagram_attributes
from stacks.rdma.cm.resolution import ResolutionEvent
from stacks.rdma.srq import Srq, Xrcd
from stacks.runtime import LocalError
from wire.ibcm import RdmaPortSpace, service_id

PERF_PORT = 18515
"""Where a peer listens: the port that perftest uses."""


class Transport(enum.StrEnum):
    """The transport service of a workload's queue pairs."""

    RC = "rc"
    UC = "uc"
    XRC = "xrc"
    UD = "ud"


@dataclass(frozen=True, slots=True)
class PerfRequest:
    """What a client is going to do.

    receive_bytes: the largest message it sends. receives: how many may be under way, 0 for none.
    is_echoed: every message comes back.
    back_depth: operations that the peer keeps under way in the other direction, 0 for none. back_opcode: which, by its
    verbs number. back_bytes: payload of each. back_address, back_rkey: the client's memory that they go to.
    is_mirrored: the other direction is one WRITE of what the client wrote, each time that its last byte has changed.
    transport: of the queue pair.
    """

    receive_bytes: int = 0
    receives: int = 0
    is_echoed: bool = False
    back_depth: int = 0
    back_opcode: int = 0
    back_bytes: int = 0
    back_address: int = 0
    back_rkey: int = 0
    is_mirrored: bool = False
    transport: Transport = Transport.RC

    def encode(self) -> bytes:
        """As private data of REQ."""
        flags = self.is_echoed | self.is_mirrored << 1 | _TRANSPORTS.index(self.transport) << 2
        values = (self.receive_bytes, self.receives, flags, self.back_depth, self.back_opcode, self.back_bytes)
        return _join((*values, self.back_address, self.back_rkey), _REQUEST)

    @classmethod
    def decode(cls, data: bytes) -> PerfRequest:
        """From private data, where padding may follow."""
        receive_bytes, receives, flags, back_depth, back_opcode, back_bytes, address, rkey = _split(data, _REQUEST)
        transport = _TRANSPORTS[min(flags >> 2, len(_TRANSPORTS) - 1)]
        return cls(
            receive_bytes,
            receives,
            is_echoed=bool(flags & 1),
            back_depth=back_depth,
            back_opcode=back_opcode,
            back_bytes=back_bytes,
            back_address=address,
            back_rkey=rkey,
            is_mirrored=bool(flags & 2),
            transport=transport,
        )

    @property
    def is_possible(self) -> bool:
        """Whether the other direction is one that a peer can do, and what is to come back has room."""
        is_complete = self.back_depth == 1 or not self.is_mirrored
        has_room = self.receive_bytes > 0 or not self.is_echoed
        return is_complete and has_room and (not self.back_depth or self.back_opcode in _BACK)


@dataclass(frozen=True, slots=True)
class PerfMemory:
    """Where the peer's memory is, and the eight bytes, little endian, that count its own operations.

    srqn: the shared receive queue that XRC requests name.
    """

    address: int = 0
    length: int = 0
    rkey: int = 0
    count_address: int = 0
    count_rkey: int = 0
    srqn: int = 0

    def encode(self) -> bytes:
        """As private data of REP."""
        return _join((self.address, self.length, self.rkey, self.count_address, self.count_rkey, self.srqn), _MEMORY)

    @classmethod
    def decode(cls, data: bytes) -> PerfMemory:
        """From private data, where padding may follow."""
        return cls(*_split(data, _MEMORY))


class RdmaPeer:
    """A driver's service that serves every client that connects to `device`.

    memory_bytes: the memory that clients read and write; all of them the same.
    """

    def __init__(self, device: Device, memory_bytes: int) -> None:
        self._device = device
        self._pd = device.alloc_pd()
        self._memory = self._pd.reg_mr(bytearray(memory_bytes), access=Access.LOCAL_WRITE | Access.REMOTE_ANY)
        self._count = bytearray(8)
        self._count_region = self._pd.reg_mr(self._count, access=Access.LOCAL_WRITE | Access.REMOTE_READ)
        self._operations = 0
        self._cq = device.create_cq(CQ_DEPTH)
        self._xrcd = device.open_xrcd()
        self._sessions: dict[Connection, _Session] = {}
        self._by_number: dict[int, _Session] = {}
        self._mirrors: list[_Session] = []
        self._datagram_sessions: deque[_Session] = deque()
        device.cm.listen(service_id(PERF_PORT))
        device.cm.sidr.listen(DATAGRAM_SERVICE, on_event=self._resolve)

    def pump(self, now: int) -> bool:  # noqa: ARG002 (a service is told the time)
        """Answer who connects, serve who is connected."""
        did = False
        while (event := self._device.cm.poll_event()) is not None:
            self._handle(event)
            did = True
        completions = self._cq.poll(256)
        sent = 0
        for wc in completions:
            session = self._by_number.get(wc.qp_num)
            if session is not None and wc.status is WcStatus.SUCCESS:
                sent += self._do(session, partial(session.completed, wc))
        if sent:
            self._operations += sent
            self._count[:] = self._operations.to_bytes(8, "little")
        for session in self._mirrors:
            did |= bool(self._do(session, session.mirror))
        return did or bool(completions)

    def _do(self, session: _Session, step: Callable[[], int | None]) -> int:
        """A step of a session; a client that asked for what cannot be posted loses its connection, and no more."""
        try:
            return step() or 0
        except LocalError:
            if session.connection is not None:
                self._device.cm.disconnect(session.connection)
            return 0

    def _handle(self, event: CmEvent) -> None:
        if event.kind is CmEventType.CONNECT_REQUEST:
            self._accept(event)
        elif event.kind is CmEventType.ESTABLISHED:
            session = self._sessions.get(event.connection)
            if session is not None:
                self._do(session, session.start)
        elif event.kind is CmEventType.TIMEWAIT_EXIT or event.kind is CmEventType.REJECTED:
            session = self._sessions.pop(event.connection, None)
            if session is not None:
                del self._by_number[session.qp.number]
                if session in self._mirrors:
                    self._mirrors.remove(session)
                session.close()

    def _is_refused(self, request: PerfRequest) -> bool:
        is_too_much = request.receive_bytes * request.receives > MAX_RECEIVE_BYTES
        is_too_far = request.back_bytes * request.back_depth > self._memory.length
        return is_too_much or is_too_far or not request.is_possible

    def _resolve(self, event: ResolutionEvent) -> None:
        """A client asks for a datagram queue pair. It says no farewell: the oldest makes room in the end."""
        request = PerfRequest.decode(event.private_data)
        if request.transport is not Transport.UD or self._is_refused(request):
            self._device.cm.sidr.reject(event.resolution)
            return
        while len(self._datagram_sessions) >= MAX_DATAGRAM_SESSIONS:
            oldest = self._datagram_sessions.popleft()
            del self._by_number[oldest.qp.number]
            oldest.close()
        session = _Session(None, self._cq, self._memory, request, self._xrcd)
        session.answer_to(event.resolution.remote_address)
        self._datagram_sessions.append(session)
        self._by_number[session.qp.number] = session
        session.post_all()
        self._device.cm.sidr.accept(event.resolution, qpn=session.qp.number, qkey=RDMA_UDP_QKEY)

    def _accept(self, event: CmEvent) -> None:
        request = PerfRequest.decode(event.private_data)
        if request.transport is Transport.UD or self._is_refused(request):
            self._device.cm.reject(event.connection)
            return
        session = _Session(event.connection, self._cq, self._memory, request, self._xrcd)
        memory, count = session.memory, self._count_region
        greeting = PerfMemory(memory.address, memory.length, memory.rkey, count.address, count.rkey, session.srqn)
        try:
            self._device.cm.accept(event.connection, qp=session.qp, private_data=greeting.encode())
        except LocalError:
            # The client withdrew in the meantime, or offered what does not go together.
            session.close()
            return
        self._sessions[event.connection] = session
        self._by_number[session.qp.number] = session
        if request.is_mirrored:
            self._mirrors.append(session)
        session.post_all()


class _Session:
    """One client: its queue pair, receives that are posted again as they complete, and work of its own if asked for.

    memory: what it reads and writes; shared with others unless it is mirrored. srqn: of its shared receive queue, or 0.
    """

    def __init__(self, connection: Connection | None, cq: Cq, memory: Mr, request: PerfRequest, xrcd: Xrcd) -> None:
        count, pd = request.receives, memory.pd
        self.connection = connection
        self._is_echoed = request.is_echoed
        capacity = QpCapacity(max_send_wr=max(16, count, request.back_depth), max_recv_wr=max(1, count))
        is_xrc = request.transport is Transport.XRC
        self._srq: Srq | None = pd.create_srq(max_wr=max(1, count), xrcd=xrcd, cq=cq) if is_xrc else None
        self.srqn = self._srq.number if self._srq is not None else 0
        self.qp: Qp = pd.create_qp(
            _QP_TYPES[request.transport],
            send_cq=cq,
            recv_cq=cq,
            capacity=capacity,
            xrcd=xrcd if is_xrc else None,
        )
        self._skipped = GRH_BYTES if request.transport is Transport.UD else 0
        self._ah: AddressHandle | None = None
        size = request.receive_bytes + self._skipped
        self._buffer = pd.reg_mr(bytearray(max(1, size * count)), access=Access.LOCAL_WRITE)
        self._receives = [RecvWr(slot, [self._buffer.sge(slot * size, size)] if size else ()) for slot in range(count)]
        size = request.back_bytes
        self._mirrored = bytearray(max(1, size)) if request.is_mirrored else bytearray()
        self._mirrored_last = 0
        access = Access.LOCAL_WRITE | Access.REMOTE_WRITE
        self.memory = pd.reg_mr(self._mirrored, access=access) if request.is_mirrored else memory
        self._is_shared = not request.is_mirrored
        self._sends = [
            SendWr(
                slot,
                WrOpcode(request.back_opcode),
                [self.memory.sge(slot * size, size)],
                remote_address=request.back_address + slot * size,
                rkey=request.back_rkey,
            )
            for slot in range(request.back_depth)
        ]

    def answer_to(self, host: str) -> None:
        """Ready a datagram queue pair, which answers the device at `host`."""
        for state in (QpState.INIT, QpState.RTR, QpState.RTS):
            self.qp.modify(datagram_attributes(state, RDMA_UDP_QKEY))
        self._ah = self._buffer.pd.create_ah(AddressVector(destination=host))

    def post_all(self) -> None:
        """Have every receive there before the client sends."""
        for receive in self._receives:
            self._post_recv(receive)

    def start(self) -> None:
        """Begin with the other direction."""
        if self._is_shared:
            for wr in self._sends:
                self.qp.post_send(wr)

    def mirror(self) -> bool:
        """Write back what the client wrote, if its last byte says that there is something new."""
        if self._mirrored[-1] == self._mirrored_last or self.qp.state is not QpState.RTS:
            return False
        self._mirrored_last = self._mirrored[-1]
        self.qp.post_send(self._sends[0])
        return True

    def completed(self, wc: Wc) -> int:
        """Go on after a completion; returns how many operations of our own it ends."""
        if wc.opcode in _RECEIVED:
            receive = self._receives[wc.wr_id]
            if self._is_echoed:
                sge = receive.sges[0]
                skipped = self._skipped
                echo = Sge(sge.address + skipped, wc.byte_len - skipped, sge.lkey)
                self.qp.post_send(
                    SendWr(
                        wc.wr_id,
                        WrOpcode.SEND,
                        [echo],
                        ah=self._ah,
                        remote_qpn=wc.src_qp,
                        remote_qkey=RDMA_UDP_QKEY,
                    )
                )
            self._post_recv(receive)
            return 0
        if not self._sends or not self._is_shared:
            return 0
        self.qp.post_send(self._sends[wc.wr_id])
        return 1

    def close(self) -> None:
        """Give everything back."""
        self.qp.destroy()
        if self._srq is not None:
            self._srq.destroy()
        self._buffer.dereg()
        if not self._is_shared:
            self.memory.dereg()

    def _post_recv(self, receive: RecvWr) -> None:
        if self._srq is not None:
            self._srq.post_recv(receive)
        else:
            self.qp.post_recv(receive)


def _join(values: Sequence[int], widths: Sequence[int]) -> bytes:
    return b"".join(value.to_bytes(width, "big") for value, width in zip(values, widths, strict=True))


def _split(data: bytes, widths: Sequence[int]) -> Iterator[int]:
    for end, width in zip(accumulate(widths), widths, strict=True):
        yield int.from_bytes(data[end - width : end], "big")


CQ_DEPTH = 1 << 20
"""Room for the completions of every client; an entry costs memory only while it is there."""
MAX_RECEIVE_BYTES = 1 << 30
MAX_DATAGRAM_SESSIONS = 4096
GRH_BYTES = 40
"""What a datagram's receive begins with (IBTA 11.4.1.2)."""
DATAGRAM_SERVICE = service_id(PERF_PORT, RdmaPortSpace.UDP)
_QP_TYPES = {Transport.RC: QpType.RC, Transport.UC: QpType.UC, Transport.XRC: QpType.XRC_RECV, Transport.UD: QpType.UD}
_RECEIVED = frozenset({WcOpcode.RECV, WcOpcode.RECV_RDMA_WITH_IMM})
_BACK = frozenset({WrOpcode.RDMA_WRITE, WrOpcode.RDMA_READ, WrOpcode.SEND})
_MEMORY = (8, 8, 4, 8, 4, 4)
_TRANSPORTS = tuple(Transport)
_REQUEST = (4, 2, 1, 2, 1, 4, 8, 4)
"""Bytes of each field, in order; big endian."""
