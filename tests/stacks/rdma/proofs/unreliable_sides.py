"""Sides of unreliable queue pairs: whatever is received is a message that was sent, whole; nothing needs to be.

A network that duplicates and reorders has UC and UD receive a message twice or out of turn, which both allow: a First
or Only begins a message whatever its PSN (IBTA 9.8.2.2.1), and datagrams have no sequence (9.8.3.2.1).
"""

from __future__ import annotations

import random
from collections import deque

from stacks.rdma import AddressVector, RecvWr, SendFlags, SendWr, Wc, WcOpcode, WcStatus, WrOpcode
from tests.stacks.rdma.rig import QKEY, End
from tests.stacks.rdma.traffic import SLOT_BYTES, SLOTS

GRH_BYTES = 40
SOURCE, RECEIVES, INBOX = 0, 1 << 18, 1 << 19
SOURCE_BYTES = 1 << 18
MEMORY_BYTES = INBOX + SLOTS * SLOT_BYTES
CONNECTED_OPCODES = (
    WrOpcode.SEND, WrOpcode.SEND_WITH_IMM, WrOpcode.RDMA_WRITE, WrOpcode.RDMA_WRITE_WITH_IMM,
)  # fmt: skip
DATAGRAM_OPCODES = (WrOpcode.SEND, WrOpcode.SEND_WITH_IMM)


class UnreliableSide:
    """One end of an unreliable connection, or with `is_datagram` of an exchange of datagrams."""

    def __init__(self, end: End, rng: random.Random, *, is_datagram: bool) -> None:
        self.end = end
        self.peer = self
        self.is_datagram = is_datagram
        self.received = 0
        self._rng = rng
        self._source = random.Random(int(rng.random() * (1 << 32))).randbytes(SOURCE_BYTES)
        self._count = self._receive_count = 0
        self._open: deque[tuple[int, bool]] = deque()
        self._receives: deque[tuple[int, int]] = deque()
        self.sent: set[tuple[bytes, bytes]] = set()
        """Immediate and content of everything that was sent in a SEND."""
        self.written: dict[bytes, bytes] = {}
        """Immediate and content of WRITEs."""
        end.memory[:SOURCE_BYTES] = self._source

    @property
    def is_quiet(self) -> bool:
        """Whether every send completed."""
        return not any(is_signaled for _, is_signaled in self._open)

    def draw(self, limit: int) -> int:
        """A number from 0 to `limit` - 1."""
        return int(self._rng.random() * limit)

    def post(self, length: int) -> None:
        """Send something."""
        if len(self._open) >= SLOTS:
            return
        opcodes = DATAGRAM_OPCODES if self.is_datagram else CONNECTED_OPCODES
        opcode = opcodes[self.draw(len(opcodes))]
        length = min(length, 4096) if self.is_datagram else length
        self._count += 1
        start = self.draw(SOURCE_BYTES - length)
        content = self._source[start : start + length]
        flags = SendFlags.SIGNALED if self.draw(4) or len(self._open) == SLOTS - 1 else 0
        wr = SendWr(self._count, opcode, [self.end.sge(start, length)], flags)
        if opcode in (WrOpcode.SEND_WITH_IMM, WrOpcode.RDMA_WRITE_WITH_IMM):
            wr.imm_data = self._count.to_bytes(4, "big")
        if self.is_datagram:
            self._address(wr)
        if opcode in DATAGRAM_OPCODES:
            self.sent.add((wr.imm_data, content))
        else:
            wr.remote_address = self.peer.end.mr.address + INBOX + self._count % SLOTS * SLOT_BYTES
            wr.rkey = self.peer.end.mr.rkey
            self.written[wr.imm_data] = content
        self._open.append((self._count, bool(flags)))
        self.end.qp.post_send(wr)

    def post_receive(self) -> None:
        """Post a receive if a slot is free."""
        if len(self._receives) < SLOTS - 1:
            self._receive_count += 1
            at = RECEIVES + self._receive_count % SLOTS * SLOT_BYTES
            self.end.qp.post_recv(RecvWr(self._receive_count, [self.end.sge(at, SLOT_BYTES)]))
            self._receives.append((self._receive_count, at))

    def check_completions(self) -> None:
        """Take what completed: sends in order, receives in order with something that was sent."""
        for wc in self.end.poll():
            assert wc.status is WcStatus.SUCCESS, wc
            if wc.opcode in (WcOpcode.RECV, WcOpcode.RECV_RDMA_WITH_IMM):
                self._check_receive(wc)
                continue
            while not self._open[0][1]:
                self._open.popleft()
            assert wc.wr_id == self._open.popleft()[0]

    def check_memory(self) -> None:
        """What is sent never changes."""
        assert self.end.memory[:SOURCE_BYTES] == self._source

    def _check_receive(self, wc: Wc) -> None:
        wr_id, at = self._receives.popleft()
        assert wc.wr_id == wr_id
        self.received += 1
        if wc.opcode is WcOpcode.RECV_RDMA_WITH_IMM:
            assert wc.byte_len == len(self.peer.written[wc.imm_data])
            return
        content = bytes(self.end.memory[at : at + wc.byte_len])
        if self.is_datagram:
            content = content[GRH_BYTES:]
            assert wc.src_qp == self.peer.end.qp.number
        assert (wc.imm_data, content) in self.peer.sent

    def _address(self, wr: SendWr) -> None:
        peer = self.peer.end
        wr.ah = self.end.pd.create_ah(AddressVector(destination=peer.device.address[0]))
        wr.remote_qpn, wr.remote_qkey = peer.qp.number, QKEY
