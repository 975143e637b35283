"""The seam between a port and its queue discipline, with the counters that every discipline keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from transports.link.packet import ECN_CE, ECN_NOT_ECT, LinkPacket


class Outlet(Protocol):
    """The port that a queue is in, as far as the queue asks."""

    @property
    def rate(self) -> object:
        """The link's present rate; one that has a `rate_bps` can say how long what waits takes."""


class Queue:
    """Base of every queue discipline. Times are integer nanoseconds and never go back.

    A discipline overrides `enqueue`, `dequeue` and, where its clock ticks without packets, `poll_deadline` and
    `handle_timeout`; it keeps `backlog_packets` and `backlog_bytes`, and reports drops and marks through `drop` and
    `mark`. A packet that is being sent is no longer in the queue.

    dropped_packets, dropped_bytes: refused on arrival or dropped later. marked_packets: CE was set here.
    on_drop: called with each packet dropped.
    """

    def __init__(self) -> None:
        self.backlog_packets = 0
        self.backlog_bytes = 0
        self.dropped_packets = 0
        self.dropped_bytes = 0
        self.marked_packets = 0
        self.on_drop: Callable[[LinkPacket], object] | None = None
        self._outlet: Outlet | None = None

    def attach(self, outlet: Outlet) -> None:
        """The port that it is in from now on; ports call it. Only disciplines that count in time need to know."""
        self._outlet = outlet

    @property
    def rate_bps(self) -> int:
        """The link's present rate in bits per second; 0 where it has none, or no port was attached."""
        outlet = self._outlet
        return 0 if outlet is None else getattr(outlet.rate, "rate_bps", 0)

    def enqueue(self, packet: LinkPacket, now: int) -> bool:
        """Take a packet, or drop it: then False. (A discipline that drops another packet instead says True.)"""
        raise NotImplementedError

    def dequeue(self, now: int) -> LinkPacket | None:
        """The packet to send next; None when there is none, perhaps since all that waited were dropped."""
        raise NotImplementedError

    def has_clock(self) -> bool:
        """Whether `poll_deadline` ever says a time; asked once, by the port."""
        return type(self).poll_deadline is not Queue.poll_deadline

    def poll_deadline(self) -> int | None:
        """When the discipline wants `handle_timeout`; None for never."""
        return None

    def handle_timeout(self, now: int) -> None:
        """Do what is due at `now`."""

    def drop(self, packet: LinkPacket) -> None:
        """Count a packet that goes no further; it is not in the backlog (any more)."""
        self.dropped_packets += 1
        self.dropped_bytes += packet.size_bytes
        if self.on_drop is not None:
            self.on_drop(packet)

    def mark(self, packet: LinkPacket) -> bool:
        """Set CE where the packet allows it; False where it does not, and has to be dropped instead."""
        if packet.ecn == ECN_NOT_ECT:
            return False
        if packet.ecn != ECN_CE:
            packet.ecn = ECN_CE
            self.marked_packets += 1
        return True
