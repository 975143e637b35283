"""The network card of a fabric's host: flows take turns, and a flow makes its next packet only when its turn comes.

A card that queued packets of all flows in one line would hide congestion inside the host: a flow that is sent faster
than its share would grow a queue there that nobody marks. Cards of data centres schedule queue pairs instead (RoCE), so
that rates and windows of flows are looked at packet by packet. A card that is paused by its leaf makes nothing.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from transports.link import ConstantRate, LinkPacket, Port
from transports.link.pausable_queue import PausableQueue
from transports.link.queue import Queue
from transports.timeline import Timeline


class NicFlow(Protocol):
    """A flow of the card. waiting: its packets that have not left."""

    waiting: deque[LinkPacket]

    def pump(self) -> None:
        """Make the next packets, if there are any now."""


class Turns(Queue):
    """Round-robin over flows, packet by packet. entering: the flow whose packet is put next.

    emptied: the flow whose last packet was taken, until the card has asked it for more.
    """

    def __init__(self) -> None:
        super().__init__()
        self.entering: NicFlow | None = None
        self.emptied: NicFlow | None = None
        self._ready: deque[NicFlow] = deque()

    def enqueue(self, packet: LinkPacket, now: int) -> bool:
        """Behind the packets of its flow."""
        flow = self.entering
        assert flow is not None
        packet.enqueued_ns = now
        self.backlog_packets += 1
        self.backlog_bytes += packet.size_bytes
        flow.waiting.append(packet)
        if len(flow.waiting) == 1:
            self._ready.append(flow)
        return True

    def dequeue(self, now: int) -> LinkPacket | None:  # noqa: ARG002
        """Of the flow whose turn it is."""
        if not self._ready:
            return None
        flow = self._ready.popleft()
        packet = flow.waiting.popleft()
        self.backlog_packets -= 1
        self.backlog_bytes -= packet.size_bytes
        if flow.waiting:
            self._ready.append(flow)
        else:
            self.emptied = flow
        return packet


class HostNic(Port):
    """rate_bps: of the link. delay_ns: of its wire. is_pausable: whether its leaf may pause it."""

    __slots__ = ("_turns",)

    def __init__(self, timeline: Timeline, rate_bps: int, delay_ns: int, *, is_pausable: bool) -> None:
        self._turns = Turns()
        queue: Queue = PausableQueue([self._turns]) if is_pausable else self._turns
        super().__init__(timeline, queue, ConstantRate(rate_bps), delay_ns=delay_ns)

    def enter(self, flow: NicFlow, packet: LinkPacket) -> None:
        """A flow has made a packet."""
        self._turns.entering = flow
        self.put(packet)

    def _send(self) -> None:
        super()._send()
        flow = self._turns.emptied
        if flow is not None:
            # What it makes now takes its turn behind the others.
            self._turns.emptied = None
            flow.pump()
