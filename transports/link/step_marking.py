"""A step: every packet is marked while more than a threshold waits (DCTCP, SIGCOMM 2010, section 3.1; RFC 8257 3.1).

The threshold is a number of packets or bytes, which an arriving packet finds in the queue, or a time, which a leaving
one has waited. Several may be set; each marks.
"""

from __future__ import annotations

from transports.errors import TransportError
from transports.link.bounded import NO_LIMITS, UNLIMITED, BoundedQueue, Limits
from transports.link.packet import LinkPacket


class StepMarking(BoundedQueue):
    """threshold: K, at least one of its three; 0 is none. is_strict: what cannot be marked is dropped.

    A packet that finds exactly K is not marked, nor is one that waited exactly so long.
    """

    def __init__(self, threshold: Limits, *, is_strict: bool = False, limits: Limits = NO_LIMITS) -> None:
        super().__init__(limits)
        if threshold == NO_LIMITS:
            raise TransportError("threshold is a number of packets or bytes, or a time, above 0")
        self.threshold_packets = threshold.packets or UNLIMITED
        self.threshold_bytes = threshold.size_bytes or UNLIMITED
        self.threshold_ns = threshold.time_ns or UNLIMITED
        self.is_strict = is_strict

    def enqueue(self, packet: LinkPacket, now: int) -> bool:
        """Take a packet, marked if it finds a long queue, or drop it for want of room."""
        if not self.has_room(packet.size_bytes):
            self.drop(packet)
            return False
        if self.backlog_packets > self.threshold_packets or self.backlog_bytes > self.threshold_bytes:
            if not self.mark(packet) and self.is_strict:
                self.drop(packet)
                return False
        self.append(packet, now)
        return True

    def dequeue(self, now: int) -> LinkPacket | None:
        """The oldest packet, marked if it waited long."""
        packet = self.pop()
        while packet is not None and now - packet.enqueued_ns > self.threshold_ns:
            if self.mark(packet) or not self.is_strict:
                break
            self.drop(packet)
            packet = self.pop()
        return packet
