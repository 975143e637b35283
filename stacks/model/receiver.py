"""The receiver of a model flow: which packets arrived, how much data is complete, and when to say so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stacks.congestion.notification_point import NotificationPoint
from stacks.model.packets import AckPacket, CnpPacket, DataPacket
from transports.link.packet import ECN_CE


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverConfig:
    """How a receiver acknowledges.

    ack_packets: every so many packets; at once what comes out of order, what comes while data before it is missing, and
    the first that is marked (RFC 9000 13.2.1, RFC 5681 4.2).
    ack_delay_ns: what arrived is acknowledged no later; the sender knows it (QUIC's max_ack_delay). ack_bytes: size of
    an acknowledgement on the wire. cnp_interval_ns: marks are told by CNPs, one in this time at most; 0 for as often as
    the sender's controller wants (`Controller.cnp_interval_ns`). cnp_bytes: of one on the wire.
    """

    ack_packets: int = 2
    ack_delay_ns: int = 25_000_000
    ack_bytes: int = 60
    cnp_interval_ns: int = 0
    cnp_bytes: int = 74


class Receiver:
    """received_packets, received_bytes: everything that arrived, whole packets. goodput_bytes: of it, data that was
    new, without the `overhead_bytes` of each packet, which are the sender's (`Sender.overhead_bytes`).

    ce_packets: arrived with CE. delivered_segments: how many segments from the first on are complete. ack_due_ns: when
    a delayed acknowledgement is due, None while none is. notification_point: decides when a CNP is due, None without.
    """

    def __init__(self, config: ReceiverConfig | None = None, *, overhead_bytes: int = 0) -> None:
        self.config = config or ReceiverConfig()
        self.overhead_bytes = overhead_bytes
        self.received_packets = 0
        self.received_bytes = 0
        self.goodput_bytes = 0
        self.ce_packets = 0
        self.delivered_segments = 0
        interval_ns = self.config.cnp_interval_ns
        self.notification_point = NotificationPoint(interval_ns) if interval_ns else None
        self._ranges: list[tuple[int, int]] = []
        self._ahead: set[int] = set()
        self._waiting = 0
        self.ack_due_ns: int | None = None
        self._newest_ns = 0
        self._telemetry: list[Any] | None = None
        self._was_marked = False

    def handle_packet(self, packet: DataPacket, now: int) -> AckPacket | None:
        """A packet arrives; returns the acknowledgement if one is due at once."""
        if packet.is_corrupt:
            return None
        size_bytes, number = packet.size_bytes, packet.number
        self.received_packets += 1
        self.received_bytes += size_bytes
        if packet.segment == self.delivered_segments and not self._ahead:
            self.goodput_bytes += size_bytes - self.overhead_bytes
            self.delivered_segments += 1
        else:
            self._take_segment(packet)
        is_urgent = False
        if (packet.ecn == ECN_CE) is not self._was_marked:
            # A change of marks is told at once (RFC 8257 3.2).
            self._was_marked = not self._was_marked
            is_urgent = True
        if self._was_marked:
            self.ce_packets += 1
            if self.notification_point is not None:
                self.notification_point.marked(now)
        ranges = self._ranges
        if ranges and number == ranges[0][1] + 1:
            ranges[0] = (ranges[0][0], number)
            self._newest_ns = now
            self._telemetry = packet.telemetry
        elif self._take_number(number):
            self._newest_ns = now
            self._telemetry = packet.telemetry
        else:
            is_urgent = True
        while ranges[-1][1] < packet.floor:
            ranges.pop()
        self._waiting += 1
        if is_urgent or self._ahead or self._waiting >= self.config.ack_packets:
            return self._ack(now)
        if self.ack_due_ns is None:
            self.ack_due_ns = now + self.config.ack_delay_ns
        return None

    def notify(self, interval_ns: int) -> None:
        """Tell marks by CNPs, unless the configuration says how often already; 0 for not at all."""
        if interval_ns and self.notification_point is None:
            self.notification_point = NotificationPoint(interval_ns)

    def poll_notification(self) -> CnpPacket | None:
        """The CNP that is due after a packet."""
        point = self.notification_point
        if point is None or not point.is_due:
            return None
        point.is_due = False
        return CnpPacket(self.config.cnp_bytes, ())

    def handle_timeout(self, now: int) -> AckPacket | None:
        """The delayed acknowledgement, if it is due."""
        if self.ack_due_ns is None or now < self.ack_due_ns:
            return None
        return self._ack(now)

    def _ack(self, now: int) -> AckPacket:
        self._waiting = 0
        self.ack_due_ns = None
        ack = AckPacket(self._ranges[:MAX_RANGES], self.ce_packets, now - self._newest_ns, self.config.ack_bytes)
        ack.echo = self._telemetry
        return ack

    def _take_segment(self, packet: DataPacket) -> None:
        segment = packet.segment
        if segment == self.delivered_segments:
            self.goodput_bytes += packet.size_bytes - self.overhead_bytes
            segment += 1
            while self._ahead and segment in self._ahead:
                self._ahead.discard(segment)
                segment += 1
            self.delivered_segments = segment
        elif segment > self.delivered_segments and segment not in self._ahead:
            self.goodput_bytes += packet.size_bytes - self.overhead_bytes
            self._ahead.add(segment)

    def _take_number(self, number: int) -> bool:
        """Whether it is the newest so far."""
        ranges = self._ranges
        if ranges and number <= ranges[0][1]:
            insert(ranges, number)
            return False
        ranges.insert(0, (number, number))
        return True


def insert(ranges: list[tuple[int, int]], number: int) -> None:
    """Add a number at or below the newest one to ranges that are ordered newest first."""
    for index, (first, last) in enumerate(ranges):
        if number > last + 1:
            ranges.insert(index, (number, number))
            return
        if first <= number <= last:
            return
        if number == last + 1:
            # It cannot touch the range above, or that one's turn had come.
            ranges[index] = (first, number)
            return
        if number == first - 1:
            below = ranges[index + 1] if index + 1 < len(ranges) else None
            if below is not None and below[1] == number - 1:
                ranges[index : index + 2] = [(below[0], last)]
            else:
                ranges[index] = (number, last)
            return
    ranges.append((number, number))


MAX_RANGES = 32
