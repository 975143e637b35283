r"""Completions, completion queues and completion channels (IBTA 10.4, 11.4.2).

device -> Cq.push -> entries -> Cq.poll -> program
                 \-> CompChannel, once for every Cq.arm, perhaps later as moderation says
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable
from typing import Protocol

from stacks.rdma.enums import WcFlags, WcOpcode, WcStatus
from stacks.runtime import LocalError


class Wc:
    """A work completion. After an error only `wr_id`, `status` and `qp_num` mean anything.

    byte_len: bytes received, read or swapped. imm_data: four bytes as they came, when flags has WITH_IMM.
    invalidated_rkey: when flags has WITH_INV. is_solicited: the sender asked for an event.

    The rest is 0 here, so that the data path does not write it, and an `ExtendedWc`'s to say. src_qp, pkey_index: of
    the sender of a datagram. slid, sl, dlid_path_bits: InfiniBand's, 0 on Ethernet. vendor_err: nothing of ours.
    timestamp_ns: when it completed, by the clock that the device is given.
    """

    src_qp: int = 0
    pkey_index: int = 0
    slid: int = 0
    sl: int = 0
    dlid_path_bits: int = 0
    vendor_err: int = 0
    timestamp_ns: int = 0

    __slots__ = (
        "byte_len",
        "flags",
        "imm_data",
        "invalidated_rkey",
        "is_solicited",
        "opcode",
        "qp_num",
        "status",
        "wr_id",
    )

    def __init__(
        self,
        wr_id: int,
        status: WcStatus,
        opcode: WcOpcode,
        byte_len: int,
        qp_num: int,
        flags: int = 0,
        imm_data: bytes = b"",
        invalidated_rkey: int = 0,
        is_solicited: bool = False,
    ) -> None:
        self.wr_id = wr_id
        self.status = status
        self.opcode = opcode
        self.byte_len = byte_len
        self.qp_num = qp_num
        self.flags = flags
        self.imm_data = imm_data
        self.invalidated_rkey = invalidated_rkey
        self.is_solicited = is_solicited

    def __repr__(self) -> str:
        extra = f", imm_data={self.imm_data.hex()}" if self.flags & WcFlags.WITH_IMM else ""
        what = f"{self.status.name}, {self.opcode.name}, byte_len={self.byte_len}, qp_num={self.qp_num}"
        return f"Wc({self.wr_id}, {what}{extra})"


class ExtendedWc(Wc):
    """A completion that says more: of a datagram, or from a queue that was asked for time stamps."""

    __slots__ = ("pkey_index", "sl", "src_qp", "timestamp_ns")

    def __init__(
        self,
        wr_id: int,
        status: WcStatus,
        opcode: WcOpcode,
        byte_len: int,
        qp_num: int,
        flags: int = 0,
        imm_data: bytes = b"",
        invalidated_rkey: int = 0,
        is_solicited: bool = False,
        *,
        src_qp: int = 0,
        pkey_index: int = 0,
        sl: int = 0,
        timestamp_ns: int = 0,
    ) -> None:
        super().__init__(wr_id, status, opcode, byte_len, qp_num, flags, imm_data, invalidated_rkey, is_solicited)
        self.src_qp = src_qp
        self.pkey_index = pkey_index
        self.sl = sl
        self.timestamp_ns = timestamp_ns


class CompChannel:
    """Where completion queues announce that they have something; one callable may listen.

    on_event: called with the queue; it must not poll it from within, only note it (an event loop's flag).
    """

    def __init__(self, on_event: Callable[[Cq], None] | None = None) -> None:
        self.on_event = on_event
        self._events: deque[Cq] = deque()

    def notify(self, cq: Cq) -> None:
        """Queue an event."""
        self._events.append(cq)
        if self.on_event is not None:
            self.on_event(cq)

    def poll_event(self) -> Cq | None:
        """The next queue that announced itself, or None; `Cq.ack_events` gives it back."""
        if not self._events:
            return None
        cq = self._events.popleft()
        cq.unacknowledged += 1
        return cq

    def forget(self, cq: Cq) -> None:
        """Drop the events of a queue that is destroyed."""
        self._events = deque(event for event in self._events if event is not cq)


class CqOwner(Protocol):
    """What a completion queue asks of its device."""

    def cq_overflowed(self, cq: Cq) -> None:
        """It was full and is broken now."""

    def delay_cq(self, cq: Cq, delay_ns: int) -> None:
        """Call `cq.handle_timeout` in that time."""

    def remove_cq(self, cq: Cq) -> None:
        """Forget it; LocalError (EBUSY) while something completes to it."""

    def check_cq_depth(self, depth: int) -> None:
        """LocalError when the device has no queues of that depth."""


class Cq:
    """A completion queue.

    depth: entries that fit. One more is an overflow: it is lost, the queue is broken for good, CQ_ERR is raised, and
    the queue pairs that complete to it go to ERR (IBTA 10.4.1, 11.6.3.1). owner: its device, which made it.
    unacknowledged: events that were taken from the channel and not given back with `ack_events`.
    """

    def __init__(self, depth: int, *, channel: CompChannel | None = None, owner: CqOwner | None = None) -> None:
        self.channel = channel
        self.is_broken = False
        self.unacknowledged = 0
        self._owner = owner
        self._check_depth(depth)
        self.depth = depth
        self._entries: list[Wc] = []
        self._is_armed = False
        self._is_solicited_only = False
        self._moderation_count = self._moderation_ns = 0
        self._held_back = 0
        """Completions that would have been announced without moderation."""

    def __len__(self) -> int:
        return len(self._entries)

    def poll(self, max_entries: int = 16) -> list[Wc]:
        """Take up to `max_entries` completions, oldest first."""
        entries = self._entries
        if len(entries) <= max_entries:
            self._entries = []
            return entries
        self._entries = entries[max_entries:]
        return entries[:max_entries]

    def arm(self, *, solicited_only: bool = False) -> None:
        """Announce the next completion (or the next solicited one, or error) on the channel, once.

        As with hardware, completions that are already there are not announced: poll after arming. Asking for solicited
        ones takes nothing back from a queue that is armed for any (IBTA 11.4.2.2).
        Raises LocalError when the queue has no channel.
        """
        if self.channel is None:
            raise LocalError("this completion queue has no channel to announce completions on")
        self._is_solicited_only = solicited_only and (self._is_solicited_only or not self._is_armed)
        self._is_armed = True

    def ack_events(self, count: int = 1) -> None:
        """Give back events that were taken from the channel; LocalError for more than there were."""
        if not 0 <= count <= self.unacknowledged:
            raise LocalError(f"{self.unacknowledged} events were taken from the channel, not {count}")
        self.unacknowledged -= count

    def moderate(self, *, count: int, period_us: int) -> None:
        """Announce only every `count` completions, or `period_us` after the first that waits; zeros switch it off.

        Either may be 0 for "not by this". Raises LocalError beyond 16 bits each (libibverbs ibv_modify_cq).
        """
        if not (0 <= count <= _MAX_MODERATION and 0 <= period_us <= _MAX_MODERATION):
            raise LocalError(f"moderation takes 0 to {_MAX_MODERATION} completions and microseconds")
        self._moderation_count, self._moderation_ns = count, period_us * 1000
        self._held_back = 0

    def resize(self, depth: int) -> None:
        """Change the depth and keep what is queued; LocalError when that does not fit (IBTA 11.2.6.3)."""
        if self.is_broken:
            raise LocalError("this completion queue overflowed: destroy it and make a new one", errno=errno.EIO)
        self._check_depth(depth)
        if depth < len(self._entries):
            raise LocalError(f"{len(self._entries)} completions are queued: they do not fit into {depth}")
        self.depth = depth

    def discard(self, qp_num: int) -> None:
        """Drop the completions of a queue pair that were not polled, as drivers do when it is reset or destroyed.

        Source: IBTA 10.2.4.4 leaves it to the implementation; libibverbs' mlx4 and mlx5 do, rxe does not.
        """
        self._entries = [wc for wc in self._entries if wc.qp_num != qp_num]

    def destroy(self) -> None:
        """Remove the queue; LocalError (EBUSY) while something completes to it or events are not acknowledged."""
        if self.unacknowledged:
            raise LocalError(f"{self.unacknowledged} events of this queue are not acknowledged", errno=errno.EBUSY)
        if self._owner is not None:
            self._owner.remove_cq(self)
        if self.channel is not None:
            self.channel.forget(self)

    # What the device calls

    def push(self, wc: Wc) -> None:
        """Add a completion; only the device does."""
        entries = self._entries
        if len(entries) >= self.depth or self.is_broken:
            self._overflow()
            return
        entries.append(wc)
        if self._is_armed:
            self._announce(wc)

    def handle_timeout(self, now: int) -> None:  # noqa: ARG002  # as every timer's owner
        """The moderation period is over: announce what waits, if the program still wants to know."""
        if self._held_back and self._is_armed:
            self._notify()

    def _announce(self, wc: Wc) -> None:
        if self._is_solicited_only and not wc.is_solicited and wc.status is WcStatus.SUCCESS:
            return
        if self._is_held_back():
            return
        self._notify()

    def _is_held_back(self) -> bool:
        """Whether moderation has this announcement wait."""
        if not self._moderation_count and not self._moderation_ns:
            return False
        self._held_back += 1
        if self._moderation_count and self._held_back >= self._moderation_count:
            return False
        if self._held_back == 1 and self._moderation_ns and self._owner is not None:
            self._owner.delay_cq(self, self._moderation_ns)
        return True

    def _notify(self) -> None:
        self._is_armed = False
        self._held_back = 0
        if self.channel is not None:
            self.channel.notify(self)

    def _overflow(self) -> None:
        if not self.is_broken:
            self.is_broken = True
            if self._owner is not None:
                self._owner.cq_overflowed(self)

    def _check_depth(self, depth: int) -> None:
        if depth < 1:
            raise LocalError(f"a completion queue needs a depth of at least 1, not {depth}")
        if self._owner is not None:
            self._owner.check_cq_depth(depth)


_MAX_MODERATION = 0xFFFF
