"""The plain port, first in first out with drop-tail and a constant rate, in half the events.

There the departure of a packet is known when it arrives, so that its arrival at the far end is all that has to happen
on the timeline. What `Port` counts as it goes along is worked out here when somebody looks.
`tests/transports/link/test_fifo_port.py` holds the two against each other.
"""

from __future__ import annotations

from collections import deque

from transports.link.bounded import UNLIMITED
from transports.link.checks import check_at_least
from transports.link.packet import LinkPacket
from transports.link.queue import Queue
from transports.link.rates import BIT_NS_PER_BYTE_S, ConstantRate
from transports.timeline import Timeline


class FifoPort:
    """As `Port(timeline, DropTail(...), ConstantRate(rate_bps), delay_ns=...)`; rate, delay and limits do not change.

    rate_bps: above 0. delay_ns: propagation. limit_packets, limit_bytes: 0 for no limit. TransportError for values out
    of range. queue: with the counters of every queue. sent_packets, sent_bytes, busy_ns: as `Port` has them.

    It writes no telemetry: how much waits when a packet leaves is not known when it arrives.
    """

    __slots__ = (
        "_backlog_bytes", "_backlog_packets", "_busy_ns", "_free_ns", "_limit_bytes", "_limit_packets", "_rate_bps",
        "_rest", "_sent_bytes", "_sent_packets", "_timeline", "_waiting", "delay_ns", "queue",
    )  # fmt: skip

    def __init__(
        self, timeline: Timeline, rate_bps: int, *, delay_ns: int = 0, limit_packets: int = 0, limit_bytes: int = 0
    ) -> None:
        check_at_least("rate", rate_bps, 1)
        check_at_least("delay", delay_ns, 0)
        self.delay_ns = delay_ns
        self._timeline = timeline
        self._rate_bps = rate_bps
        self._limit_packets = limit_packets or UNLIMITED
        self._limit_bytes = limit_bytes or UNLIMITED
        self._backlog_packets = 0
        self._backlog_bytes = 0
        self._sent_packets = 0
        self._sent_bytes = 0
        self._busy_ns = 0
        self._free_ns = 0
        self._rest = 0
        # Start, end and size of each packet that has not begun to leave.
        self._waiting: deque[tuple[int, int, int]] = deque()
        self.queue = FifoQueue(self)

    def put(self, packet: LinkPacket) -> None:
        """A packet arrives."""
        now = self._timeline.now
        waiting = self._waiting
        if waiting and waiting[0][0] <= now:
            self.settle()
        size_bytes = packet.size_bytes
        if self._backlog_packets >= self._limit_packets or self._backlog_bytes + size_bytes > self._limit_bytes:
            self.queue.drop(packet)
            return
        packet.enqueued_ns = now
        # As ConstantRate.finish_ns, which is a call that this saves.
        rate_bps, start_ns = self._rate_bps, self._free_ns
        owed = size_bytes * BIT_NS_PER_BYTE_S
        if start_ns >= now:
            owed -= self._rest
        else:
            start_ns = now
        duration_ns = -(-owed // rate_bps)
        self._rest = duration_ns * rate_bps - owed
        self._free_ns = finish_ns = start_ns + duration_ns
        if start_ns > now:
            waiting.append((start_ns, finish_ns, size_bytes))
            self._backlog_packets += 1
            self._backlog_bytes += size_bytes
        else:
            self._sent_packets += 1
            self._sent_bytes += size_bytes
            self._busy_ns += duration_ns
        self._timeline.at(finish_ns + self.delay_ns, FORWARD, packet)

    def settle(self) -> None:
        """Bring the counters up to the present."""
        now = self._timeline.now
        waiting = self._waiting
        while waiting and waiting[0][0] <= now:
            start_ns, finish_ns, size_bytes = waiting.popleft()
            self._backlog_packets -= 1
            self._backlog_bytes -= size_bytes
            self._sent_packets += 1
            self._sent_bytes += size_bytes
            self._busy_ns += finish_ns - start_ns

    @property
    def rate(self) -> ConstantRate:
        """A rate like the link's."""
        return ConstantRate(self._rate_bps)

    @property
    def backlog_packets(self) -> int:
        """Waiting now."""
        self.settle()
        return self._backlog_packets

    @property
    def backlog_bytes(self) -> int:
        """The same in bytes."""
        self.settle()
        return self._backlog_bytes

    @property
    def sent_packets(self) -> int:
        """What left, or is leaving."""
        self.settle()
        return self._sent_packets

    @property
    def sent_bytes(self) -> int:
        """The same in bytes."""
        self.settle()
        return self._sent_bytes

    @property
    def busy_ns(self) -> int:
        """Time spent sending, up to the end of what is leaving."""
        self.settle()
        return self._busy_ns


class FifoQueue(Queue):
    """The queue of a FifoPort, to look at."""

    def __init__(self, port: FifoPort) -> None:
        self._port = port
        super().__init__()

    @property
    def backlog_packets(self) -> int:
        """Waiting now."""
        return self._port.backlog_packets

    @backlog_packets.setter
    def backlog_packets(self, value: int) -> None:
        """The port's affair."""

    @property
    def backlog_bytes(self) -> int:
        """The same in bytes."""
        return self._port.backlog_bytes

    @backlog_bytes.setter
    def backlog_bytes(self, value: int) -> None:
        """The port's affair."""


FORWARD = LinkPacket.forward
