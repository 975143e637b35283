"""The serving end of the verbs workloads: memory for anyone to write and read, receives for what is sent.

A client says in the private data of its REQ what it is going to do, and learns from the REP's where the memory is.
"""

from __future__ import annotations

from dataclasses import dataclass

from stacks.rdma import Access, Cq, Device, Mr, Qp, QpCapacity, RecvWr, SendWr, Sge, WcOpcode, WcStatus, WrOpcode
from stacks.rdma.cm import CmEvent, CmEventType, Connection
from stacks.runtime import LocalError
from wire.ibcm import service_id

PERF_PORT = 18515
"""Where a peer listens: the port that perftest uses."""


@dataclass(frozen=True, slots=True)
class PerfRequest:
    """What a client is going to do.

    receive_bytes: the largest message it sends, 0 for none. receives: how many may be under way.
    is_echoed: every message comes back.
    """

    receive_bytes: int = 0
    receives: int = 0
    is_echoed: bool = False

    def encode(self) -> bytes:
        """As private data of REQ: 4, 2 and 1 bytes, big endian."""
        return self.receive_bytes.to_bytes(4, "big") + self.receives.to_bytes(2, "big") + bytes([self.is_echoed])

    @classmethod
    def decode(cls, data: bytes) -> PerfRequest:
        """From at least seven bytes; further ones are padding."""
        return cls(int.from_bytes(data[:4], "big"), int.from_bytes(data[4:6], "big"), bool(data[6]))


@dataclass(frozen=True, slots=True)
class PerfMemory:
    """Where the peer's memory is."""

    address: int
    length: int
    rkey: int

    def encode(self) -> bytes:
        """As private data of REP: 8, 8 and 4 bytes, big endian."""
        return self.address.to_bytes(8, "big") + self.length.to_bytes(8, "big") + self.rkey.to_bytes(4, "big")

    @classmethod
    def decode(cls, data: bytes) -> PerfMemory:
        """From at least twenty bytes; further ones are padding."""
        return cls(*(int.from_bytes(data[start:end], "big") for start, end in ((0, 8), (8, 16), (16, 20))))


class RdmaPeer:
    """A driver's service that serves every client that connects to `device`.

    memory_bytes: the memory that clients read and write; all of them the same.
    """

    def __init__(self, device: Device, memory_bytes: int) -> None:
        self._device = device
        self._pd = device.alloc_pd()
        self._memory = self._pd.reg_mr(
            bytearray(memory_bytes), access=Access.LOCAL_WRITE | Access.REMOTE_READ | Access.REMOTE_WRITE
        )
        self._sessions: dict[Connection, _Session] = {}
        device.cm.listen(service_id(PERF_PORT))

    def pump(self, now: int) -> bool:  # noqa: ARG002 (a service is told the time)
        """Answer who connects, serve who is connected."""
        did = False
        while (event := self._device.cm.poll_event()) is not None:
            self._handle(event)
            did = True
        for session in self._sessions.values():
            did |= session.pump()
        return did

    def _handle(self, event: CmEvent) -> None:
        if event.kind is CmEventType.CONNECT_REQUEST:
            self._accept(event)
        elif event.kind is CmEventType.TIMEWAIT_EXIT or event.kind is CmEventType.REJECTED:
            session = self._sessions.pop(event.connection, None)
            if session is not None:
                session.close()

    def _accept(self, event: CmEvent) -> None:
        request = PerfRequest.decode(event.private_data)
        if request.receive_bytes * request.receives > MAX_RECEIVE_BYTES:
            self._device.cm.reject(event.connection)
            return
        session = _Session(self._device, self._memory, request)
        try:
            self._device.cm.accept(event.connection, qp=session.qp, private_data=session.greeting)
        except LocalError:
            # The client withdrew in the meantime, or offered what does not go together.
            session.close()
            return
        self._sessions[event.connection] = session


class _Session:
    """One client: its queue pair, and receives that are posted again as they complete."""

    def __init__(self, device: Device, memory: Mr, request: PerfRequest) -> None:
        count = request.receives
        self._is_echoed = request.is_echoed
        self._cq: Cq = device.create_cq(4 * max(1, count))
        self.qp: Qp = memory.pd.create_qp(
            send_cq=self._cq,
            recv_cq=self._cq,
            capacity=QpCapacity(max_send_wr=max(16, count), max_recv_wr=max(1, count)),
        )
        self.greeting = PerfMemory(memory.address, memory.length, memory.rkey).encode()
        self._buffer: Mr | None = None
        self._receives: list[RecvWr] = []
        if count:
            size = request.receive_bytes
            self._buffer = memory.pd.reg_mr(bytearray(size * count), access=Access.LOCAL_WRITE)
            address, lkey = self._buffer.address, self._buffer.lkey
            self._receives = [RecvWr(slot, [Sge(address + slot * size, size, lkey)]) for slot in range(count)]
        self._has_receives = False

    def pump(self) -> bool:
        if not self._has_receives:
            self._post_all()
        completions = self._cq.poll(256)
        for wc in completions:
            if wc.status is not WcStatus.SUCCESS:
                continue
            if wc.opcode is WcOpcode.RECV:
                receive = self._receives[wc.wr_id]
                if self._is_echoed:
                    sge = receive.sges[0]
                    self.qp.post_send(SendWr(wc.wr_id, WrOpcode.SEND, [Sge(sge.address, wc.byte_len, sge.lkey)]))
                self.qp.post_recv(receive)
        return bool(completions)

    def close(self) -> None:
        self.qp.destroy()
        if self._buffer is not None:
            self._buffer.dereg()

    def _post_all(self) -> None:
        self._has_receives = True
        for receive in self._receives:
            self.qp.post_recv(receive)


MAX_RECEIVE_BYTES = 1 << 30
