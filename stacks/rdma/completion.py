"""Completions, completion queues and completion channels (IBTA 10.4, 11.4.2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from stacks.rdma.enums import WcFlags, WcOpcode, WcStatus
from stacks.runtime import LocalError


class Wc:
    """A work completion. After an error only `wr_id`, `status` and `qp_num` mean anything.

    byte_len: bytes received, read or swapped. imm_data: four bytes as they came, when flags has WITH_IMM.
    invalidated_rkey: when flags has WITH_INV. is_solicited: the sender asked for an event.
    """

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
        """The next queue that announced itself, or None."""
        return self._events.popleft() if self._events else None


class Cq:
    """A completion queue of fixed depth.

    depth: entries that fit. One more is an overflow: it is lost, the queue is broken for good, `on_overflow` is
    called, and the queue pairs that complete to it go to ERR (IBTA 10.4.1, 11.6.3.1).
    """

    def __init__(self, depth: int, *, channel: CompChannel | None = None) -> None:
        if depth < 1:
            raise LocalError(f"a completion queue needs a depth of at least 1, not {depth}")
        self.depth = depth
        self.channel = channel
        self.is_broken = False
        self.on_overflow: Callable[[Cq], None] | None = None
        self._entries: list[Wc] = []
        self._is_armed = False
        self._is_solicited_only = False

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

        As with hardware, completions that are already there are not announced: poll after arming.
        Raises LocalError when the queue has no channel.
        """
        if self.channel is None:
            raise LocalError("this completion queue has no channel to announce completions on")
        self._is_armed = True
        self._is_solicited_only = solicited_only

    def push(self, wc: Wc) -> None:
        """Add a completion; only the device does."""
        entries = self._entries
        if len(entries) >= self.depth or self.is_broken:
            self._overflow()
            return
        entries.append(wc)
        if self._is_armed:
            self._announce(wc)

    def _announce(self, wc: Wc) -> None:
        if self._is_solicited_only and not wc.is_solicited and wc.status is WcStatus.SUCCESS:
            return
        self._is_armed = False
        if self.channel is not None:
            self.channel.notify(self)

    def _overflow(self) -> None:
        if not self.is_broken:
            self.is_broken = True
            if self.on_overflow is not None:
                self.on_overflow(self)
