"""Mixed operations between two devices, each checked byte for byte and completion for completion.

Each side's memory has areas of one purpose: SOURCE never changes and is what is sent and read; INBOX is written by the
peer's RDMA WRITEs, in order; READS, RECEIVES and RESULTS are slots that one operation owns until it completes; CELLS
belong to the peer's atomics.
"""

from __future__ import annotations

import random
import sys
from collections import deque
from dataclasses import dataclass
from itertools import pairwise

from stacks.rdma import RecvWr, SendFlags, SendWr, Wc, WcFlags, WcOpcode, WcStatus, WrOpcode
from tests.stacks.rdma.rig import End, Rig

AREA = 1 << 18
SLOTS, SLOT_BYTES = 32, AREA // 32
SOURCE, INBOX, READS, RECEIVES, CELLS = (AREA * number for number in range(5))
RESULTS = CELLS + 4096
MEMORY_BYTES = CELLS + 8192
CELL_COUNT = 8
RECEIVE_IDS = 1 << 32
MASK = (1 << 64) - 1

SENDS = (WrOpcode.SEND, WrOpcode.SEND_WITH_IMM, WrOpcode.SEND_WITH_INV)
WRITES = (WrOpcode.RDMA_WRITE, WrOpcode.RDMA_WRITE_WITH_IMM)
ATOMICS = (WrOpcode.ATOMIC_CMP_AND_SWP, WrOpcode.ATOMIC_FETCH_AND_ADD)
TRAFFIC = (*SENDS, *WRITES, WrOpcode.RDMA_READ, *ATOMICS)
"""What `Traffic` mixes; local operations have tests of their own."""


@dataclass
class Sent:
    """A send that has not completed, and what must then stand at `at`."""

    wr_id: int
    length: int
    is_signaled: bool
    at: int = 0
    content: bytes = b""


@dataclass
class Message:
    """What the peer's receive queue has to report."""

    content: bytes
    imm_data: bytes
    key: int
    is_write: bool


class Side:
    """One end, with what it posted and what the other may expect of it."""

    def __init__(self, end: End, rng: random.Random) -> None:
        self.end = end
        self.rng = rng
        self.peer: Side = self
        self.source = random.Random(int(rng.random() * (1 << 32))).randbytes(AREA)
        self.inbox = bytearray(AREA)
        self.cells = [0] * CELL_COUNT
        self.sent: deque[Sent] = deque()
        self.receives: deque[tuple[int, int]] = deque()
        self.messages: deque[Message] = deque()
        self.completed = 0
        self._count = self._receive_count = 0
        end.memory[SOURCE : SOURCE + AREA] = self.source

    def draw(self, limit: int) -> int:
        """A number from 0 to `limit` - 1."""
        return int(self.rng.random() * limit)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing that this side sent or receives is open."""
        return not self.sent and not self.messages

    def post_receive(self) -> None:
        """Post a receive, in one to three pieces, if a slot is free."""
        if len(self.receives) >= SLOTS:
            return
        self._receive_count += 1
        wr_id = RECEIVE_IDS + self._receive_count
        at = RECEIVES + self._receive_count % SLOTS * SLOT_BYTES
        cuts = sorted([0, SLOT_BYTES, *(self.draw(SLOT_BYTES + 1) for _ in range(self.draw(3)))])
        sges = [self.end.sge(at + start, stop - start) for start, stop in pairwise(cuts)]
        self.submit_receive(RecvWr(wr_id, sges), at)

    def submit_receive(self, wr: RecvWr, at: int) -> None:
        """Hand a receive to the queue that this side takes them from."""
        self.end.qp.post_recv(wr)
        self.receives.append((wr.wr_id, at))

    def received(self, at: int, length: int) -> bytearray:
        """What stands where a receive put it."""
        return self.end.memory[at : at + length]

    def take_receive(self, wr_id: int) -> tuple[int, int]:
        """The receive that must complete now, with where its message stands."""
        assert wr_id == self.receives[0][0]
        return self.receives.popleft()

    def post(self, opcode: WrOpcode, length: int) -> None:
        """Post a send of `length` bytes, if fewer than the slots are open."""
        if len(self.sent) >= SLOTS:
            return
        self._count += 1
        flags = 0 if self.draw(4) == 0 else SendFlags.SIGNALED
        flags |= SendFlags.FENCE if self.draw(6) == 0 else 0
        sent = Sent(self._count, length, bool(flags & SendFlags.SIGNALED))
        wr = SendWr(self._count, opcode, (), flags)
        wr.rkey = self.peer.end.mr.rkey
        if opcode in ATOMICS:
            self._fill_atomic(wr, sent)
        elif opcode is WrOpcode.RDMA_READ:
            self._fill_read(wr, sent)
        else:
            self._fill_data(wr, length)
        self.sent.append(sent)
        self.submit(wr)

    def submit(self, wr: SendWr) -> None:
        """Hand a send to the queue pair."""
        self.end.qp.post_send(wr)

    def target(self, length: int) -> tuple[int, int]:
        """Where in the peer's INBOX a WRITE goes, and under which key."""
        return self.draw(AREA - length), self.peer.end.mr.rkey

    def key_to_invalidate(self) -> int:
        """A key of the peer's that a SEND with Invalidate takes back."""
        return self.peer.end.lend_key()

    def _fill_data(self, wr: SendWr, length: int) -> None:
        starts, sizes = [], []
        for number in range(1 + self.draw(3)):
            left = length - sum(sizes)
            sizes.append(left if number == 2 or self.draw(2) else self.draw(left + 1))
            starts.append(SOURCE + self.draw(AREA - sizes[-1]))
        starts.append(SOURCE + self.draw(AREA - length))
        sizes.append(length - sum(sizes))
        pieces = [(start, size) for start, size in zip(starts, sizes, strict=True) if size]
        wr.sges = [self.end.sge(start, size) for start, size in pieces]
        content = b"".join(self.source[start : start + size] for start, size in pieces)
        if wr.opcode in WRITES:
            at, wr.rkey = self.target(length)
            wr.remote_address = self.peer.end.mr.address + INBOX + at
            self.peer.inbox[at : at + length] = content
        message = Message(content, b"", 0, wr.opcode in WRITES)
        if wr.opcode in (WrOpcode.SEND_WITH_IMM, WrOpcode.RDMA_WRITE_WITH_IMM):
            wr.imm_data = message.imm_data = self._count.to_bytes(4, "big")
        elif wr.opcode is WrOpcode.SEND_WITH_INV:
            wr.invalidate_rkey = message.key = self.key_to_invalidate()
        if wr.opcode is not WrOpcode.RDMA_WRITE:
            self.peer.messages.append(message)

    def _fill_read(self, wr: SendWr, sent: Sent) -> None:
        start = self.draw(AREA - sent.length)
        wr.remote_address = self.peer.end.mr.address + SOURCE + start
        sent.at = READS + self._count % SLOTS * SLOT_BYTES
        sent.content = self.peer.source[start : start + sent.length]
        middle = self.draw(sent.length + 1)
        wr.sges = [self.end.sge(sent.at, middle), self.end.sge(sent.at + middle, sent.length - middle)]

    def _fill_atomic(self, wr: SendWr, sent: Sent) -> None:
        cell = self.draw(CELL_COUNT)
        value = self.peer.cells[cell]
        sent.length = 8
        sent.at = RESULTS + self._count % SLOTS * 8
        sent.content = value.to_bytes(8, sys.byteorder)
        wr.sges = [self.end.sge(sent.at, 8)]
        wr.remote_address = self.peer.end.mr.address + CELLS + 8 * cell
        operand = int(self.rng.random() * (1 << 53)) << 11 | self.draw(1 << 11)
        if wr.opcode is WrOpcode.ATOMIC_FETCH_AND_ADD:
            wr.compare_add = operand
            self.peer.cells[cell] = value + operand & MASK
        else:
            wr.compare_add, wr.swap = (value if self.draw(2) else value ^ 1), operand
            if wr.compare_add == value:
                self.peer.cells[cell] = operand

    def check_completions(self) -> None:
        """Take what completed; it must be the oldest that was expected, of each queue."""
        for wc in self.end.poll():
            assert wc.status is WcStatus.SUCCESS, wc
            self.check_success(wc)

    def check_success(self, wc: Wc) -> None:
        """One completion without error."""
        self.completed += 1
        if wc.opcode in (WcOpcode.RECV, WcOpcode.RECV_RDMA_WITH_IMM):
            self._check_receive(wc)
            return
        while not self.sent[0].is_signaled:
            self._check_result(self.sent.popleft())
        sent = self.sent.popleft()
        assert (wc.wr_id, wc.byte_len) == (sent.wr_id, sent.length)
        self._check_result(sent)

    def _check_receive(self, wc: Wc) -> None:
        _, at = self.take_receive(wc.wr_id)
        message = self.messages.popleft()
        length = len(message.content)
        assert wc.byte_len == length
        assert (wc.opcode is WcOpcode.RECV_RDMA_WITH_IMM) == message.is_write
        assert (wc.imm_data, wc.invalidated_rkey) == (message.imm_data, message.key)
        assert bool(wc.flags & WcFlags.WITH_INV) == bool(message.key)
        assert message.key not in self.end.device.memory.regions
        if not message.is_write:
            assert self.received(at, length) == message.content

    def _check_result(self, sent: Sent) -> None:
        assert self.end.memory[sent.at : sent.at + len(sent.content)] == sent.content

    def check_memory(self) -> None:
        """Once both sides are quiet: all areas are what the operations made of them."""
        memory = self.end.memory
        assert memory[SOURCE : SOURCE + AREA] == self.source
        assert memory[INBOX : INBOX + AREA] == self.inbox
        cells = memory[CELLS : CELLS + 8 * CELL_COUNT]
        assert [int.from_bytes(cells[at : at + 8], sys.byteorder) for at in range(0, len(cells), 8)] == self.cells


class Traffic:
    """Both sides of a rig whose memory has MEMORY_BYTES."""

    def __init__(self, rig: Rig, seed: int) -> None:
        rng = random.Random(seed)
        self.rig = rig
        self.rng = rng
        self.sides = tuple(Side(end, rng) for end in rig.ends)
        self.sides[0].peer, self.sides[1].peer = self.sides[1], self.sides[0]

    def post_random(self, side: Side) -> None:
        """Any operation of any size."""
        opcode = TRAFFIC[int(self.rng.random() * len(TRAFFIC))]
        draw = self.rng.random()
        length = int(self.rng.random() * (300 if draw < 0.5 else SLOT_BYTES + 1)) if draw < 0.95 else 0
        side.post(opcode, length)

    def run(self, duration_ns: int) -> None:
        """Let time pass; whatever completes is checked."""
        self.rig.simulation.run_for(duration_ns)
        self.check()

    def check(self) -> None:
        """Check what completed."""
        for side in self.sides:
            side.check_completions()

    def finish(self, timeout_ns: int = 60_000_000_000) -> None:
        """Give every message a receive and every send its completion, then compare all memory."""
        for side in self.sides:
            side.post(WrOpcode.RDMA_WRITE, 0)
        end_ns = self.rig.simulation.now + timeout_ns
        while not all(side.is_quiet for side in self.sides):
            for side in self.sides:
                while len(side.receives) < min(len(side.messages), SLOTS):
                    side.post_receive()
                if side.sent and not any(sent.is_signaled for sent in side.sent):
                    # Unsignaled work shows only in a completion behind it.
                    side.post(WrOpcode.RDMA_WRITE, 0)
            assert self.rig.simulation.now < end_ns, "a queue pair is stuck"
            self.run(500_000)
        for side in self.sides:
            side.check_memory()
