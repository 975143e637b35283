"""Strict priority: several queues, of which the first that has a packet sends."""

from __future__ import annotations

from collections.abc import Sequence

from transports.errors import TransportError
from transports.link.packet import LinkPacket
from transports.link.queue import Outlet, Queue


class StrictPriority(Queue):
    """queues: by their precedence, the first of them before all others; any disciplines, each with room of its own.

    A packet's `priority` is the index of its queue; what is beyond the last goes to the last. TransportError for none.
    """

    def __init__(self, queues: Sequence[Queue]) -> None:
        super().__init__()
        if not queues:
            raise TransportError("priority needs at least one queue")
        self.queues = tuple(queues)
        self._last = len(self.queues) - 1
        for queue in self.queues:
            queue.on_drop = self.drop

    def attach(self, outlet: Outlet) -> None:
        """The port of all of them."""
        super().attach(outlet)
        for queue in self.queues:
            queue.attach(outlet)

    def enqueue(self, packet: LinkPacket, now: int) -> bool:
        """Give a packet to its queue."""
        priority = packet.priority
        queue = self.queues[priority if 0 <= priority <= self._last else self._last]
        before = (queue.backlog_packets, queue.backlog_bytes, queue.marked_packets)
        is_taken = queue.enqueue(packet, now)
        self._follow(queue, before)
        return is_taken

    def dequeue(self, now: int) -> LinkPacket | None:
        """The next packet of the first queue that has one."""
        for queue in self.queues:
            if queue.backlog_packets:
                before = (queue.backlog_packets, queue.backlog_bytes, queue.marked_packets)
                packet = queue.dequeue(now)
                self._follow(queue, before)
                if packet is not None:
                    return packet
        return None

    def has_clock(self) -> bool:
        """Whether one of them has."""
        return any(queue.has_clock() for queue in self.queues)

    def poll_deadline(self) -> int | None:
        """The earliest of all."""
        return min((due for queue in self.queues if (due := queue.poll_deadline()) is not None), default=None)

    def handle_timeout(self, now: int) -> None:
        """Do what is due in each."""
        for queue in self.queues:
            due_ns = queue.poll_deadline()
            if due_ns is not None and due_ns <= now:
                before = (queue.backlog_packets, queue.backlog_bytes, queue.marked_packets)
                queue.handle_timeout(now)
                self._follow(queue, before)

    def _follow(self, queue: Queue, before: tuple[int, int, int]) -> None:
        self.backlog_packets += queue.backlog_packets - before[0]
        self.backlog_bytes += queue.backlog_bytes - before[1]
        self.marked_packets += queue.marked_packets - before[2]
