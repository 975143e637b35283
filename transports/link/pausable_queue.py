"""The queues of a port that can be paused, one for each priority (IEEE 802.1Qbb, priority-based flow control)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from transports.errors import TransportError
from transports.link.droptail import DropTail
from transports.link.packet import LinkPacket
from transports.link.queue import Outlet, Queue


class PausableQueue(Queue):
    """A discipline of disciplines: one queue for each priority from 0 on, served in turn, packet by packet.

    queues: by priority; a paused one is passed over. Packets of a priority beyond them are control packets (PFC, CNPs
    and, where wanted, ACKs): they go first and cannot be paused. Disciplines with a clock have no place here, and raise
    TransportError, as no queue at all does.

    on_leave: called with each packet that leaves by `dequeue`, or that a queue drops. pauses: how often it was paused.
    """

    def __init__(self, queues: Sequence[Queue]) -> None:
        super().__init__()
        if not queues:
            raise TransportError("a port that can be paused needs a queue for priority 0")
        self.queues = tuple(queues)
        self.control = DropTail()
        self.pauses = 0
        self.on_leave: Callable[[LinkPacket], object] | None = None
        self._all = (*self.queues, self.control)
        self._is_paused = [False] * len(queues)
        self._last = len(queues) - 1
        for queue in self.queues:
            if queue.has_clock():
                raise TransportError(f"{type(queue).__name__} has a clock, and cannot be a queue of a switch")
            queue.on_drop = self._dropped

    def attach(self, outlet: Outlet) -> None:
        """The port that all of them are in."""
        super().attach(outlet)
        for queue in self.queues:
            queue.attach(outlet)

    def enqueue(self, packet: LinkPacket, now: int) -> bool:
        """Into the queue of its priority."""
        priority = packet.priority
        queue = self.queues[priority] if priority < len(self.queues) else self.control
        is_taken = queue.enqueue(packet, now)
        self._count()
        return is_taken

    def dequeue(self, now: int) -> LinkPacket | None:
        """A control packet, or one of the next priority that has some and is not paused."""
        packet = self.control.dequeue(now) if self.control.backlog_packets else self._next(now)
        self._count()
        if packet is not None and self.on_leave is not None:
            self.on_leave(packet)
        return packet

    def is_paused(self, priority: int) -> bool:
        """Whether packets of this priority have to wait."""
        return priority < len(self.queues) and self._is_paused[priority]

    def pause(self, priority: int) -> None:
        """Send nothing more of it until `resume`. What is being sent goes on."""
        if not self._is_paused[priority]:
            self._is_paused[priority] = True
            self.pauses += 1

    def resume(self, priority: int) -> None:
        """Send it again. Whoever sends must be told (`Port.wake`)."""
        self._is_paused[priority] = False

    def _next(self, now: int) -> LinkPacket | None:
        queues, count = self.queues, len(self.queues)
        for step in range(1, count + 1):
            index = (self._last + step) % count
            if self._is_paused[index] or not queues[index].backlog_packets:
                continue
            packet = queues[index].dequeue(now)
            if packet is not None:
                self._last = index
                return packet
        return None

    def _dropped(self, packet: LinkPacket) -> None:
        if self.on_leave is not None:
            self.on_leave(packet)
        self.drop(packet)

    def _count(self) -> None:
        packets = size_bytes = marked = 0
        for queue in self._all:
            packets += queue.backlog_packets
            size_bytes += queue.backlog_bytes
            marked += queue.marked_packets
        self.backlog_packets = packets
        self.backlog_bytes = size_bytes
        self.marked_packets = marked
