"""The network card of a fabric's host: flows take turns, and a flow makes its next packet only when its turn comes.

A card that queued packets of all flows in one line would hide congestion inside the host: a flow that is sent faster
than its share would grow a queue there that nobody marks. Cards of data centres schedule queue pairs instead (RoCE), so
that rates and windows of flows are looked at packet by packet.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from transports.link import ConstantRate, LinkPacket
from transports.timeline import Timeline


class NicFlow(Protocol):
    """A flow of the card. waiting: its packets that have not left."""

    waiting: deque[LinkPacket]

    def pump(self) -> None:
        """Make the next packets, if there are any now."""


class HostNic:
    """Round-robin over flows, packet by packet. rate_bps: of the link. delay_ns: of its wire."""

    __slots__ = ("_free_ns", "_is_armed", "_rate", "_ready", "_timeline", "delay_ns", "sent_bytes")

    def __init__(self, timeline: Timeline, rate_bps: int, delay_ns: int) -> None:
        self.delay_ns = delay_ns
        self.sent_bytes = 0
        self._timeline = timeline
        self._rate = ConstantRate(rate_bps)
        self._ready: deque[NicFlow] = deque()
        self._free_ns = 0
        self._is_armed = False

    def put(self, flow: NicFlow, packet: LinkPacket) -> None:
        """A flow has made a packet."""
        waiting = flow.waiting
        waiting.append(packet)
        if len(waiting) > 1:
            return
        self._ready.append(flow)
        if self._is_armed:
            return
        if self._timeline.now >= self._free_ns:
            self._send()
        else:
            self._is_armed = True
            self._timeline.at(self._free_ns, self._come_free)

    def _come_free(self, _: object) -> None:
        self._is_armed = False
        if self._ready:
            self._send()

    def _send(self) -> None:
        timeline, ready = self._timeline, self._ready
        now = timeline.now
        flow = ready.popleft()
        waiting = flow.waiting
        packet = waiting.popleft()
        if waiting:
            ready.append(flow)
        self.sent_bytes += packet.size_bytes
        self._free_ns = free_ns = self._rate.finish_ns(packet.size_bytes, now)
        timeline.at(free_ns + self.delay_ns, FORWARD, packet)
        if not waiting:
            # While it makes its next, the card counts as busy: what it puts takes its turn behind the others.
            flow.pump()
        if ready and not self._is_armed:
            self._is_armed = True
            timeline.at(free_ns, self._come_free)


FORWARD = LinkPacket.forward
