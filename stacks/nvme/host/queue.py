"""One queue of an initiator: CIDs, room in the submission queue, and who waits for what.

A queue of n entries holds n - 1 commands (the ring would look empty with n), so that many CIDs exist; what is submitted
beyond waits here in order. A completion frees its CID. With SQ flow control SQHD says that entries were consumed; since
a CID comes back only with a completion, and that carries an SQHD behind the command, CIDs alone keep the ring from
overflowing.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable

from stacks.nvme.host.command import HostCommand
from stacks.runtime import IGNORE, LocalError, StateTable, Verdict
from wire.nvme.status import StatusCode


class HostQueueState(enum.Enum):
    """Where a queue is."""

    IDLE = "idle"
    """Not opened yet."""
    OPENING = "opening"
    """The binding makes the connection."""
    OPEN = "open"
    """Commands go out."""
    CLOSED = "closed"
    """The connection is gone, or never came; every command ends with a path error."""


class HostQueueEvent(enum.Enum):
    """What moves a queue."""

    OPEN = "open"
    OPENED = "opened"
    LOST = "lost"


_S, _E = HostQueueState, HostQueueEvent

HOST_QUEUE_TABLE = StateTable[HostQueueState, HostQueueEvent](
    "host queue",
    HostQueueState,
    events=HostQueueEvent,
    entries={
        (_S.IDLE, _E.OPEN): _S.OPENING,
        (_S.IDLE, _E.LOST): _S.CLOSED,
        (_S.OPENING, _E.OPENED): _S.OPEN,
        (_S.OPENING, _E.LOST): _S.CLOSED,
        (_S.OPEN, _E.LOST): _S.CLOSED,
        (_S.CLOSED, _E.OPENED): IGNORE,
        (_S.CLOSED, _E.LOST): IGNORE,
    },
    commands=(_E.OPEN,),
)


class HostQueue:
    """A queue.

    qid: 0 for the admin queue; entries: size of its submission queue.
    outgoing: commands with a CID that the binding has to send, in order; it drains the list.
    recover: is shown each command that failed, before its owner is; True takes it away, to be sent again.
    """

    def __init__(self, qid: int, entries: int) -> None:
        self.qid = qid
        self.entries = entries
        self.state = HostQueueState.IDLE
        self.outgoing: list[HostCommand] = []
        self.failure = ""
        self.on_abandon: Callable[[HostCommand], None] | None = None
        self.recover: Callable[[HostCommand], bool] | None = None
        self.unknown_cids = 0
        self.stale_cids = 0
        self.keys_not_invalidated = 0
        self._free_cids = list(range(entries - 2, -1, -1))
        self._by_slot: list[HostCommand | None] = [None] * entries
        self._waiting: deque[HostCommand] = deque()

    @property
    def in_flight(self) -> int:
        """Commands that have a CID."""
        return self.entries - 1 - len(self._free_cids)

    @property
    def is_open(self) -> bool:
        """Whether commands go out."""
        return self.state is HostQueueState.OPEN

    def apply(self, event: HostQueueEvent) -> bool:
        """Move the state; whether it moved."""
        outcome = HOST_QUEUE_TABLE.apply(self.state, event)
        if isinstance(outcome, Verdict):
            return False
        self.state = outcome
        return True

    def submit(self, command: HostCommand, now: int) -> None:
        """Send a command, at once or when there is room; on a closed queue it fails at once."""
        command.queue = self
        command.submitted_ns = now
        if self.state is _CLOSED:
            self._end(command, StatusCode.HOST_PATH_ERROR.value)
        elif self._free_cids and not self._waiting:
            command.cid = cid = self._free_cids.pop()
            self._by_slot[cid & CID_SLOT_MASK] = command
            self.outgoing.append(command)
        else:
            self._waiting.append(command)

    def submit_pair(self, first: HostCommand, now: int) -> None:
        """Send a fused pair: `first` and its partner, next to each other; LocalError when it can never fit.

        It goes when both have a CID, and nothing that comes later goes before it.
        """
        second = first.partner
        assert second is not None
        if self.entries <= PAIR:
            raise LocalError(f"queue {self.qid} has room for {self.entries - 1} command, not for a fused pair")
        for command in (first, second):
            command.queue = self
            command.submitted_ns = now
        if self.state is _CLOSED:
            for command in (first, second):
                self._end(command, StatusCode.HOST_PATH_ERROR.value)
        else:
            self._waiting.append(first)
            self._send_waiting()

    def command_of(self, cid: int) -> HostCommand | None:
        """The command in flight with that CID; None, and counted, when there is none or it is an earlier one's."""
        slot = cid & CID_SLOT_MASK
        command = self._by_slot[slot] if slot < self.entries else None
        if command is not None and command.cid == cid:
            return command
        if command is None:
            self.unknown_cids += 1
        else:
            self.stale_cids += 1
        return None

    def complete(self, command: HostCommand, code: int, *, dw0: int = 0, dw1: int = 0) -> None:
        """A completion entry came, and the data is in place; code: its status code."""
        cid = command.cid + CID_GENERATION & CID_MASK
        slot = cid & CID_SLOT_MASK
        self._by_slot[slot] = None
        waiting = self._waiting
        if waiting and waiting[0].partner is None and not self._free_cids:
            follower = waiting.popleft()
            follower.cid = cid
            follower.submitted_ns = JUST_NOW
            self._by_slot[slot] = follower
            self.outgoing.append(follower)
        else:
            self._free_cids.append(cid)
            if waiting:
                self._send_waiting()
        command.status = code
        command.dw0 = dw0
        command.dw1 = dw1
        if code and self.recover is not None and self.recover(command):
            return
        if command.done is not None:
            command.done(command)

    def lost(self, reason: str) -> list[HostCommand]:
        """The connection is gone. Returns the commands that were in flight; the caller ends each with `abandon`."""
        if not self.apply(HostQueueEvent.LOST):
            return []
        self.failure = reason
        commands = [command for command in self._by_slot if command is not None]
        for command in self._waiting:
            commands += [command] if command.partner is None else [command, command.partner]
        self._by_slot = [None] * self.entries
        self._waiting.clear()
        self.outgoing.clear()
        return commands

    def abandon(self, command: HostCommand) -> None:
        """End a command without an answer from the controller; `on_abandon` lets the binding take its memory back."""
        if self.on_abandon is not None:
            self.on_abandon(command)
        self._end(command, StatusCode.HOST_PATH_ERROR.value)

    def commands_in_flight(self) -> list[HostCommand]:
        """The commands that have a CID. Looks at every CID."""
        return [command for command in self._by_slot if command is not None]

    def _send_waiting(self) -> None:
        free, waiting = self._free_cids, self._waiting
        while waiting and free:
            command: HostCommand | None = waiting[0]
            assert command is not None
            if command.partner is not None and len(free) < PAIR:
                # Both halves go at once, or the ones behind them would come between.
                return
            waiting.popleft()
            while command is not None:
                command.cid = cid = free.pop()
                command.submitted_ns = JUST_NOW
                self._by_slot[cid & CID_SLOT_MASK] = command
                self.outgoing.append(command)
                command = command.partner

    def _end(self, command: HostCommand, code: int) -> None:
        command.status = code
        if self.recover is not None and self.recover(command):
            return
        if command.done is not None:
            command.done(command)


_CLOSED = HostQueueState.CLOSED

PAIR = 2

CID_SLOT_MASK = 0xFFF
"""The part of a CID that says which of a queue's places a command has. The four bits above count how often the place
was used, as in Linux, so that an answer that comes twice does not end a later command."""
CID_GENERATION, CID_MASK = CID_SLOT_MASK + 1, 0xFFFF
JUST_NOW = -1
"""`submitted_ns` of a command that had to wait for its CID: whoever next looks at the clock writes the time."""
ENTRIES_MAX = CID_SLOT_MASK + 1
"""Of a submission queue, for as many places there are."""
