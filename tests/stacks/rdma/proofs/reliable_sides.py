"""Sides of reliable queue pairs that can do more than `traffic.Side`, and that may fail and start over.

Besides SEND, WRITE, READ and atomics there are ATOMIC WRITE, FLUSH, and windows on the INBOX: bound and taken back by
their owner, written through and invalidated by the peer. A shared receive queue stands in for a side's own.
"""

from __future__ import annotations

import enum
import random
import sys
from dataclasses import dataclass
from typing import NamedTuple

from stacks.rdma import (
    Access,
    FlushPlacement,
    Mw,
    MwBind,
    MwType,
    RecvWr,
    SendFlags,
    SendWr,
    Sge,
    Srq,
    Wc,
    WcOpcode,
    WcStatus,
    WrOpcode,
)
from tests.stacks.rdma.proofs.conditions import ends_in
from tests.stacks.rdma.rig import End
from tests.stacks.rdma.traffic import (
    AREA,
    CELL_COUNT,
    CELLS,
    INBOX,
    READS,
    RECEIVE_IDS,
    RECEIVES,
    SLOT_BYTES,
    SLOTS,
    SOURCE,
    TRAFFIC,
    Sent,
    Side,
)

OPERATIONS = (*TRAFFIC, WrOpcode.ATOMIC_WRITE, WrOpcode.FLUSH)
REMOTE = Access.REMOTE_WRITE | Access.REMOTE_READ
RECEIVED = (WcOpcode.RECV, WcOpcode.RECV_RDMA_WITH_IMM)


class WindowState(enum.Enum):
    """What an owner knows of its window."""

    FREE = "free"
    BINDING = "a BIND_MW is posted"
    BOUND = "bound"
    ENDING = "an invalidation is posted, here or at the peer"


@dataclass
class Window:
    """A window on the INBOX. uses: WRITEs of the peer through it that are out."""

    mw: Mw
    state: WindowState = WindowState.FREE
    at: int = 0
    length: int = 0
    uses: int = 0


class Mistake(NamedTuple):
    """A request that must not be: what its requester gets."""

    status: WcStatus
    is_local: bool


class Blunder(enum.Enum):
    """Ways to end a connection."""

    REMOTE_KEY = Mistake(WcStatus.REM_ACCESS_ERR, is_local=False)
    REMOTE_ALIGNMENT = Mistake(WcStatus.REM_INV_REQ_ERR, is_local=False)
    LOCAL_KEY = Mistake(WcStatus.LOC_PROT_ERR, is_local=True)
    LOCAL_INVALIDATION = Mistake(WcStatus.LOC_QP_OP_ERR, is_local=True)


class ReliableSide(Side):
    """One end of a reliable connection, with two windows, one of each type."""

    peer: ReliableSide

    def __init__(self, end: End, rng: random.Random, *, has_windows: bool = True) -> None:
        super().__init__(end, rng)
        self.windows = [Window(end.pd.alloc_mw(mw_type)) for mw_type in MwType if has_windows]
        self._uses: dict[int, Window] = {}
        self._local: dict[int, tuple[Window, WindowState]] = {}
        self.invalidated: dict[int, Window] = {}

    # Operations

    def post(self, opcode: WrOpcode, length: int) -> None:
        """As of every side, with two operations more."""
        if opcode not in (WrOpcode.ATOMIC_WRITE, WrOpcode.FLUSH):
            super().post(opcode, length)
        elif len(self.sent) < SLOTS:
            wr = self._new(opcode, 8 if opcode is WrOpcode.ATOMIC_WRITE else 0)
            wr.rkey = self.peer.end.mr.rkey
            if opcode is WrOpcode.ATOMIC_WRITE:
                self._fill_atomic_write(wr)
            else:
                wr.remote_address = self.peer.end.mr.address + INBOX
                wr.flush_length, wr.flush_placement = length, 1 + self.draw(3)
            self.submit(wr)

    def flush_inbox(self) -> None:
        """Have everything that was written made durable."""
        wr = self._new(WrOpcode.FLUSH, 0)
        wr.rkey, wr.remote_address = self.peer.end.mr.rkey, self.peer.end.mr.address + INBOX
        wr.flush_length, wr.flush_placement = AREA, FlushPlacement.PERSISTENT
        wr.flags = SendFlags.SIGNALED
        self.sent[-1].is_signaled = True
        self.submit(wr)

    def bind(self, number: int) -> None:
        """Bind a free window to a part of the INBOX."""
        window = self.windows[number]
        if window.state is WindowState.FREE and len(self.sent) < SLOTS:
            window.length = 1 + self.draw(AREA // 2)
            window.at = self.draw(AREA - window.length)
            wr = self._new(WrOpcode.BIND_MW, 0)
            wr.mw = window.mw
            wr.bind = MwBind(self.end.mr, self.end.mr.address + INBOX + window.at, window.length, REMOTE)
            wr.rkey = window.mw.rkey + 1
            self._change(wr, window, WindowState.BINDING, WindowState.BOUND)

    def unbind(self, number: int) -> None:
        """Take back what a window grants, once the peer does not use it."""
        window = self.windows[number]
        if window.state is WindowState.BOUND and not window.uses and len(self.sent) < SLOTS:
            if window.mw.mw_type is MwType.TYPE_2:
                wr = self._new(WrOpcode.LOCAL_INV, 0)
                wr.invalidate_rkey = window.mw.rkey
            else:
                wr = self._new(WrOpcode.BIND_MW, 0)
                wr.mw, wr.bind = window.mw, MwBind(self.end.mr, 0, 0, 0)
            self._change(wr, window, WindowState.ENDING, WindowState.FREE)

    def target(self, length: int) -> tuple[int, int]:
        """Through a window of the peer where one is large enough, now and then."""
        for window in self.peer.windows:
            if window.state is WindowState.BOUND and window.length >= length and self.draw(2):
                window.uses += 1
                self._uses[self._count] = window
                return window.at + self.draw(window.length - length + 1), window.mw.rkey
        return super().target(length)

    def key_to_invalidate(self) -> int:
        """Now and then that of a window."""
        for window in self.peer.windows:
            if window.mw.mw_type is MwType.TYPE_2 and window.state is WindowState.BOUND and self.draw(2):
                window.state = WindowState.ENDING
                self.peer.invalidated[window.mw.rkey] = window
                return window.mw.rkey
        return super().key_to_invalidate()

    def _new(self, opcode: WrOpcode, length: int) -> SendWr:
        self._count += 1
        flags = 0 if self.draw(4) == 0 else SendFlags.SIGNALED
        self.sent.append(Sent(self._count, length, bool(flags)))
        return SendWr(self._count, opcode, (), flags)

    def _change(self, wr: SendWr, window: Window, now: WindowState, then: WindowState) -> None:
        window.state = now
        self._local[wr.wr_id] = (window, then)
        # Nobody may use what is not known to be bound, so it is told.
        wr.flags |= SendFlags.SIGNALED
        self.sent[-1].is_signaled = True
        self.submit(wr)

    def _fill_atomic_write(self, wr: SendWr) -> None:
        cell, at = self.draw(CELL_COUNT), self.draw(AREA - 8)
        wr.remote_address = self.peer.end.mr.address + CELLS + 8 * cell
        wr.sges = [self.end.sge(SOURCE + at, 8)]
        self.peer.cells[cell] = int.from_bytes(self.source[at : at + 8], sys.byteorder)

    # Completions

    def _check_result(self, sent: Sent) -> None:
        super()._check_result(sent)
        self._forget(sent)
        if sent.wr_id in self._local:
            window, state = self._local.pop(sent.wr_id)
            window.state = state

    def _forget(self, sent: Sent) -> None:
        window = self._uses.pop(sent.wr_id, None)
        if window is not None:
            window.uses -= 1

    def take_receive(self, wr_id: int) -> tuple[int, int]:
        """As of every side; a window that the message invalidated is free."""
        self._end_invalidated()
        return super().take_receive(wr_id)

    @property
    def open_receives(self) -> int:
        """How many are posted."""
        return len(self.receives)

    @property
    def wanted_receives(self) -> int:
        """How many the messages on their way take."""
        return len(self.messages)

    def _end_invalidated(self) -> None:
        window = self.invalidated.pop(self.messages[0].key, None)
        if window is not None:
            assert window.mw.window is None
            window.state = WindowState.FREE

    # Ending and starting over

    def blunder(self, blunder: Blunder) -> int:
        """Post a request that ends the connection; returns its wr_id."""
        mr = self.peer.end.mr
        wr = self._new(WrOpcode.RDMA_WRITE, 8)
        wr.sges, wr.flags = [self.end.sge(SOURCE, 8)], SendFlags.SIGNALED
        wr.remote_address, wr.rkey = mr.address + INBOX, mr.rkey
        if blunder is Blunder.REMOTE_KEY:
            wr.rkey ^= 0xFF00
        elif blunder is Blunder.REMOTE_ALIGNMENT:
            wr.opcode, wr.compare_add = WrOpcode.ATOMIC_FETCH_AND_ADD, 1
            wr.sges, wr.remote_address = [self.end.sge(READS, 8)], mr.address + CELLS + 4
        elif blunder is Blunder.LOCAL_KEY:
            wr.sges = [Sge(self.end.mr.address, 8, self.end.mr.lkey ^ 0xFF00)]
        else:
            wr.opcode, wr.sges, wr.invalidate_rkey = WrOpcode.LOCAL_INV, (), self.end.mr.rkey ^ 0xFF00
        self.sent[-1].is_signaled = True
        self.submit(wr)
        return wr.wr_id

    def check_end(self, *, blunder_id: int | None, allowed: frozenset[WcStatus]) -> WcStatus | None:
        """Everything completed, in order: what succeeded, perhaps one error, and the rest flushed.

        Returns that error. blunder_id: the request that must be the one, but for an error of the connection.
        """
        completions = self.end.poll()
        sends = [wc for wc in completions if wc.opcode not in RECEIVED]
        receives = [wc for wc in completions if wc.opcode in RECEIVED]
        error = self._check_sends(sends, blunder_id, allowed)
        good, flushed = ends_in(receives, WcStatus.WR_FLUSH_ERR)
        for wc in good:
            self.check_success(wc)
        assert [wc.wr_id for wc in flushed] == [wr_id for wr_id, _ in self.receives]
        self.receives.clear()
        return error

    def _check_sends(self, sends: list[Wc], blunder_id: int | None, allowed: frozenset[WcStatus]) -> WcStatus | None:
        good, rest = ends_in(sends, WcStatus.WR_FLUSH_ERR)
        failed = [wc for wc in good if wc.status is not WcStatus.SUCCESS]
        assert len(failed) <= 1, failed
        for wc in good[: len(good) - len(failed)]:
            self.check_success(wc)
        for wc in failed:
            assert wc.status in allowed, wc
            assert wc is good[-1]
            if wc.status is not WcStatus.RETRY_EXC_ERR and blunder_id is not None:
                assert wc.wr_id == blunder_id
        first = failed[0].wr_id if failed else rest[0].wr_id if rest else self._count + 1
        while self.sent and self.sent[0].wr_id < first:
            assert not self.sent[0].is_signaled
            self._check_result(self.sent.popleft())
        assert [wc.wr_id for wc in failed + rest] == [sent.wr_id for sent in self.sent]
        return failed[0].status if failed else None

    def start_over(self) -> None:
        """Forget what was out, and take the memory and the windows as they are."""
        for sent in self.sent:
            self._forget(sent)
        self.sent.clear()
        self.messages.clear()
        self._local.clear()
        self.invalidated.clear()
        self.inbox[:] = self.end.memory[INBOX : INBOX + AREA]
        for cell in range(CELL_COUNT):
            at = CELLS + 8 * cell
            self.cells[cell] = int.from_bytes(self.end.memory[at : at + 8], sys.byteorder)
        for window in self.windows:
            window.state = WindowState.FREE if window.mw.window is None else WindowState.BOUND
            if window.mw.window is not None:
                window.at = window.mw.window.address - self.end.mr.address - INBOX
                window.length = window.mw.window.length


class SharedReceives:
    """A shared receive queue, and where the message of each receive goes in the memory of `end`."""

    def __init__(self, srq: Srq, end: End) -> None:
        self.srq = srq
        self.end = end
        self.users: list[SharedSide] = []
        self.open: dict[int, int] = {}
        self._count = 0

    def post(self) -> None:
        """Post a receive if a slot is free."""
        if len(self.open) < SLOTS:
            self._count += 1
            wr_id = RECEIVE_IDS + self._count
            at = next(at for at in SLOT_STARTS if at not in self.open.values())
            self.srq.post_recv(RecvWr(wr_id, [self.end.sge(at, SLOT_BYTES)]))
            self.open[wr_id] = at


class SharedSide(ReliableSide):
    """A side that takes its receives from a shared queue: in order, but others take some in between."""

    def __init__(self, end: End, rng: random.Random, shared: SharedReceives, *, has_windows: bool = True) -> None:
        super().__init__(end, rng, has_windows=has_windows)
        self.shared = shared
        self._last_taken = 0

    @property
    def open_receives(self) -> int:
        """How many are posted."""
        return len(self.shared.open)

    @property
    def wanted_receives(self) -> int:
        """How many all users of the queue want."""
        return sum(len(user.messages) for user in self.shared.users)

    def post_receive(self) -> None:
        """Post one, which any of the queue's users may take."""
        self.shared.post()

    def received(self, at: int, length: int) -> bytearray:
        """In the memory of the queue."""
        return self.shared.end.memory[at : at + length]

    def take_receive(self, wr_id: int) -> tuple[int, int]:
        """One that was posted later than the last one."""
        assert wr_id > self._last_taken
        self._last_taken = wr_id
        self._end_invalidated()
        return wr_id, self.shared.open.pop(wr_id)


class XrcSender(ReliableSide):
    """The sending end of an extended connection: each request names one of the queues of the other end."""

    def __init__(self, end: End, rng: random.Random, receivers: list[SharedSide]) -> None:
        super().__init__(end, rng, has_windows=False)
        self.receivers = receivers

    def post(self, opcode: WrOpcode, length: int) -> None:
        """To either queue, and either memory."""
        self.peer = self.receivers[self.draw(len(self.receivers))]
        super().post(opcode, length)

    def submit(self, wr: SendWr) -> None:
        """With the number of the queue."""
        assert isinstance(self.peer, SharedSide)
        wr.remote_srqn = self.peer.shared.srq.number
        super().submit(wr)


SLOT_STARTS = range(RECEIVES, RECEIVES + SLOTS * SLOT_BYTES, SLOT_BYTES)
