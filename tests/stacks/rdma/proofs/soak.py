"""Very many small messages in both directions, every byte and every completion of them checked as it comes.

What is sent are pieces of a pool of random bytes that both sides know, so no message equals another one nearby. A SEND
is compared when its receive completes. A WRITE goes to a slot of its own, is compared when it completes, and its slot
is overwritten then: a duplicate that is executed late shows, at the latest at the end.
"""

from __future__ import annotations

import random
from collections import deque
from typing import NamedTuple

from stacks.rdma import DeviceConfig, QpState, RecvWr, SendWr, Sge, WcOpcode, WcStatus, WrOpcode
from tests.stacks.rdma.rig import End, Rig
from transports.simulation import Impairments

POOL_BYTES = 1 << 20
SLOT_BYTES = 512
SLOTS = 128
"""More than are ever open."""
POOL, INBOX, RECEIVES = 0, POOL_BYTES, POOL_BYTES + SLOTS * SLOT_BYTES
MEMORY_BYTES = RECEIVES + SLOTS * SLOT_BYTES
OPEN = 24
"""Sends outstanding: more would only be sent again and again by go-back-N."""
EMPTY = b"\xa5" * SLOT_BYTES
LOSSY = Impairments(loss=0.01, corruption=0.01, reordering=0.01, duplication=0.01, jitter_ns=2_000)
OPCODES = (WrOpcode.SEND, WrOpcode.RDMA_WRITE, WrOpcode.SEND_WITH_IMM, WrOpcode.RDMA_WRITE_WITH_IMM)
IMMEDIATE = frozenset({WrOpcode.SEND_WITH_IMM, WrOpcode.RDMA_WRITE_WITH_IMM})
WRITES = frozenset({WrOpcode.RDMA_WRITE, WrOpcode.RDMA_WRITE_WITH_IMM})


class Sent(NamedTuple):
    """A message: its number, which is its wr_id and immediate, and where in the pool it comes from."""

    number: int
    opcode: WrOpcode
    start: int
    length: int


class SoakSide:
    """One side: what it sends, and what it has to receive."""

    def __init__(self, end: End, rng: random.Random, pool: bytes) -> None:
        self.end = end
        self.peer = self
        self.sent = self.received = 0
        """Messages posted, and receives completed."""
        self.expected: deque[Sent] = deque()
        """What the peer sent that takes a receive."""
        self._draw = rng.random
        self._pool = pool
        self._open: deque[Sent] = deque()
        self._receive_count = 0
        end.memory[POOL : POOL + POOL_BYTES] = pool
        end.memory[INBOX:RECEIVES] = EMPTY * SLOTS
        for _ in range(SLOTS):
            self._post_receive()

    @property
    def is_quiet(self) -> bool:
        """Whether everything that was posted has completed, at both ends."""
        return not self._open and not self.peer.expected

    def post(self, limit: int) -> None:
        """Fill the send queue, up to `limit` messages in all."""
        draw, address, lkey = self._draw, self.end.mr.address, self.end.mr.lkey
        peer = self.peer
        while len(self._open) < OPEN and self.sent < limit:
            number = self.sent
            opcode = OPCODES[int(draw() * 4)]
            length = 64 + int(draw() * (SLOT_BYTES - 63))
            start = int(draw() * (POOL_BYTES - SLOT_BYTES))
            wr = SendWr(number, opcode, [Sge(address + POOL + start, length, lkey)])
            if opcode in WRITES:
                wr.remote_address = peer.end.mr.address + INBOX + number % SLOTS * SLOT_BYTES
                wr.rkey = peer.end.mr.rkey
            if opcode in IMMEDIATE:
                wr.imm_data = number.to_bytes(4, "big")
            sent = Sent(number, opcode, start, length)
            if opcode is not WrOpcode.RDMA_WRITE:
                peer.expected.append(sent)
            self._open.append(sent)
            self.end.qp.post_send(wr)
            self.sent += 1

    def check(self) -> None:
        """Take what completed."""
        for wc in self.end.cq.poll(1000):
            assert wc.status is WcStatus.SUCCESS, wc
            if wc.opcode < WcOpcode.RECV:
                self._check_send(wc.wr_id)
            else:
                self._check_receive(wc.wr_id, wc.opcode, wc.byte_len, wc.imm_data)

    def check_memory(self) -> None:
        """At the end: nothing was written but what was sent, and nothing late."""
        assert self.end.qp.state is QpState.RTS
        assert self.end.memory[POOL : POOL + POOL_BYTES] == self._pool
        assert self.end.memory[INBOX:RECEIVES] == EMPTY * SLOTS

    def _check_send(self, wr_id: int) -> None:
        sent = self._open.popleft()
        assert wr_id == sent.number
        if sent.opcode in WRITES:
            at = INBOX + sent.number % SLOTS * SLOT_BYTES
            memory = self.peer.end.memory
            assert memory[at : at + sent.length] == self._pool[sent.start : sent.start + sent.length]
            assert memory[at + sent.length : at + SLOT_BYTES] == EMPTY[sent.length :]
            memory[at : at + SLOT_BYTES] = EMPTY

    def _check_receive(self, wr_id: int, opcode: WcOpcode, length: int, imm_data: bytes) -> None:
        sent = self.expected.popleft()
        assert (wr_id, length) == (self.received, sent.length)
        assert (opcode is WcOpcode.RECV) == (sent.opcode not in WRITES)
        assert imm_data == (sent.number.to_bytes(4, "big") if sent.opcode in IMMEDIATE else b"")
        if opcode is WcOpcode.RECV:
            at = RECEIVES + wr_id % SLOTS * SLOT_BYTES
            assert self.end.memory[at : at + length] == self._pool[sent.start : sent.start + length]
        self.received += 1
        self._post_receive()

    def _post_receive(self) -> None:
        number = self._receive_count
        self._receive_count += 1
        at = RECEIVES + number % SLOTS * SLOT_BYTES
        self.end.qp.post_recv(RecvWr(number, [self.end.sge(at, SLOT_BYTES)]))


def soak(messages: int, *, seed: int, shortcuts: bool, path_mtu: int = 1024, recovery: str = "go-back-n") -> Rig:
    """Send `messages`, half of them each way, over a bad network; returns the rig when all have arrived.

    The network tells the Identification, so all 32 bits of every ICRC count.
    """
    rig = Rig(
        seed=seed,
        config=DeviceConfig(shortcuts=shortcuts, recovery=recovery),
        impairments=LOSSY,
        tells_identification=True,
        memory_bytes=MEMORY_BYTES,
        path_mtu=path_mtu,
        timeout=5,
    )
    rng = random.Random(seed)
    pool = random.Random(seed + 1).randbytes(POOL_BYTES)
    sides = tuple(SoakSide(end, rng, pool) for end in rig.ends)
    sides[0].peer, sides[1].peer = sides[1], sides[0]
    rest_ns = rig.simulation.now
    done = -1
    while not all(side.is_quiet and side.sent == messages // 2 for side in sides):
        for side in sides:
            side.post(messages // 2)
        rig.simulation.run_for(STEP_NS)
        for side in sides:
            side.check()
        now_done = sum(side.sent + side.received for side in sides)
        if now_done != done:
            done, rest_ns = now_done, rig.simulation.now
        assert rig.simulation.now - rest_ns < PATIENCE_NS, "a queue pair is stuck"
    rig.simulation.run_for(PATIENCE_NS)
    for side in sides:
        side.check()
        side.check_memory()
    return rig


STEP_NS = 30_000
PATIENCE_NS = 10_000_000_000
