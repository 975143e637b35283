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
        "_all_bytes", "_all_ns", "_all_packets", "_free_ns", "_limit_bytes", "_limit_packets", "_rate_bps", "_rest",
        "_room", "_timeline", "_waiting", "_waiting_bytes", "delay_ns", "queue",
    )  # fmt: skip

    def __init__(
        self, timeline: Timeline, rate_bps: int, *, delay_ns: int = 0, limit_packets: int = 0, limit_bytes: int = 0
    ) -> None:
        check_at_least("rate", rate_bps, 1)
        for name, value in (("delay", delay_ns), ("limit_packets", limit_packets), ("limit_bytes", limit_bytes)):
            check_at_least(name, value, 0)
        self.delay_ns = delay_ns
        self._timeline = timeline
        self._rate_bps = rate_bps
        self._limit_packets = limit_packets or UNLIMITED
        self._limit_bytes = limit_bytes or UNLIMITED
        # Everything that was taken, sent or not.
        self._all_packets = 0
        self._all_bytes = 0
        self._all_ns = 0
        self._free_ns = 0
        self._rest = 0
        # Start and size of each packet that has not begun to leave, and of some that have and are not taken off yet:
        # that happens when somebody looks, or when there seems to be no room, many at a time.
        self._waiting: deque[tuple[int, int]] = deque()
        self._waiting_bytes = 0
        self._room = min(self._limit_packets, SETTLE_PACKETS)
        self.queue = FifoQueue(self)
        self.queue.attach(self)

    def put(self, packet: LinkPacket) -> None:
        """A packet arrives."""
        timeline = self._timeline
        now = timeline.now
        size_bytes = packet.size_bytes
        waiting_bytes = self._waiting_bytes + size_bytes
        if self._room <= 0 or waiting_bytes > self._limit_bytes:
            self.settle()
            waiting_bytes = self._waiting_bytes + size_bytes
            if len(self._waiting) >= self._limit_packets or waiting_bytes > self._limit_bytes:
                self.queue.drop(packet)
                return
        packet.enqueued_ns = now
        # As ConstantRate.finish_ns, which is a call that this saves.
        rate_bps, start_ns = self._rate_bps, self._free_ns
        owed = size_bytes * BIT_NS_PER_BYTE_S
        if start_ns > now:
            owed -= self._rest
            self._waiting.append((start_ns, size_bytes))
            self._waiting_bytes = waiting_bytes
            self._room -= 1
        elif start_ns == now:
            owed -= self._rest
        else:
            start_ns = now
        duration_ns = -(-owed // rate_bps)
        self._rest = duration_ns * rate_bps - owed
        self._free_ns = finish_ns = start_ns + duration_ns
        self._all_packets += 1
        self._all_bytes += size_bytes
        self._all_ns += duration_ns
        packet.hop = hop = packet.hop + 1
        timeline.at(finish_ns + self.delay_ns, packet.route[hop], packet)

    def settle(self) -> None:
        """Take off what has begun to leave by now."""
        now, waiting = self._timeline.now, self._waiting
        while waiting and waiting[0][0] <= now:
            self._waiting_bytes -= waiting.popleft()[1]
        self._room = min(self._limit_packets - len(waiting), SETTLE_PACKETS)

    @property
    def rate(self) -> ConstantRate:
        """A rate like the link's."""
        return ConstantRate(self._rate_bps)

    @property
    def backlog_packets(self) -> int:
        """Waiting now."""
        self.settle()
        return len(self._waiting)

    @property
    def backlog_bytes(self) -> int:
        """The same in bytes."""
        self.settle()
        return self._waiting_bytes

    @property
    def sent_packets(self) -> int:
        """What left, or is leaving."""
        return self._all_packets - self.backlog_packets

    @property
    def sent_bytes(self) -> int:
        """The same in bytes."""
        return self._all_bytes - self.backlog_bytes

    @property
    def busy_ns(self) -> int:
        """Time spent sending, up to the end of what is leaving."""
        self.settle()
        # Those that wait will leave one after the other.
        return self._all_ns - (self._free_ns - self._waiting[0][0] if self._waiting else 0)


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


SETTLE_PACKETS = 256
