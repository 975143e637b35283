"""What hosts owe: to take what was sent to them, to send the data that they were asked for, and the rest of a PDU.

A host that owes something holds staging buffers that others may be waiting for. What it does not get done for as long
as hosts wait for a command, half a minute as in Linux, it has given up on anyway; and one that does not get on at all
while others are waiting is ended much sooner.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stacks.nvme.bindings.tcp.output import Output

if TYPE_CHECKING:
    from stacks.nvme.bindings.tcp.served import ServedConnection


@dataclass(frozen=True, slots=True)
class Debt:
    """Since when a host has owed something, and when it last did anything about it."""

    since_ns: int
    moved_ns: int

    def joined(self, other: Debt) -> Debt:
        """The worse of both."""
        return Debt(min(self.since_ns, other.since_ns), min(self.moved_ns, other.moved_ns))


class SlowReader:
    """Whether a host takes what there is for it; is_watched: it did not take everything at once."""

    def __init__(self) -> None:
        self.is_watched = False
        self._owed_bytes = self._sent_bytes = 0
        self._since_ns = self._moved_ns = 0

    def begin(self, output: Output[object], now: int) -> None:
        """It left something."""
        self.is_watched = True
        self._owed_bytes, self._sent_bytes = output.added_bytes, output.sent_bytes
        self._since_ns = self._moved_ns = now

    def debt(self, output: Output[object], now: int) -> Debt | None:
        """What it owes now; None when it has caught up."""
        if not output.has_rest:
            self.is_watched = False
            return None
        if output.sent_bytes >= self._owed_bytes:
            # All of that is taken; what has come since is good for another while.
            self.begin(output, now)
        elif output.sent_bytes != self._sent_bytes:
            self._sent_bytes, self._moved_ns = output.sent_bytes, now
        return Debt(self._since_ns, self._moved_ns)


class Patience:
    """Connections whose hosts owe something.

    patience_ns: how long one may take; pressed_ns: how long it may do nothing while somebody waits for a buffer.
    next_look_ns: when `overdue` is to be asked again; None while nobody owes anything.
    """

    def __init__(self, *, patience_ns: int, pressed_ns: int) -> None:
        self._patience_ns = patience_ns
        self._pressed_ns = pressed_ns
        self._debtors: dict[ServedConnection, None] = {}
        self.next_look_ns: int | None = None

    def watch(self, connection: ServedConnection, now: int) -> None:
        """Its host owes something from now on."""
        self._debtors[connection] = None
        if self.next_look_ns is None:
            self.next_look_ns = now + self._pressed_ns // 2

    def forget(self, connection: ServedConnection) -> None:
        """It is gone."""
        self._debtors.pop(connection, None)
        if not self._debtors:
            self.next_look_ns = None

    def overdue(self, now: int, is_pressed: Callable[[ServedConnection], bool]) -> list[ServedConnection]:
        """Those that have owed for too long, if it is time to look.

        is_pressed: whether another host waits for what the host of a connection holds.
        """
        if self.next_look_ns is None or self.next_look_ns > now:
            return []
        late = []
        for connection in list(self._debtors):
            debt = connection.debt(now)
            if debt is None:
                del self._debtors[connection]
                continue
            is_idle = now - debt.moved_ns >= self._pressed_ns
            if now - debt.since_ns >= self._patience_ns or (is_idle and is_pressed(connection)):
                late.append(connection)
        self.next_look_ns = now + self._pressed_ns // 2 if self._debtors else None
        return late
