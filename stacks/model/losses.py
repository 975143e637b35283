"""Which packets are in flight, which were acknowledged, and which are lost (RFC 9002 section 6).

A packet is lost when one sent so much later was acknowledged as `ReorderingThresholds` says. Lost packets are kept in
mind for a while: one that is acknowledged after all was no loss, and raises the thresholds if it was out of order.
"""

from __future__ import annotations

from collections.abc import Sequence

from stacks.congestion.delivery import Delivery
from stacks.congestion.reordering import ReorderingThresholds
from stacks.congestion.rtt import RttEstimator
from stacks.model.packets import DataPacket


class LossDetector:
    """The packets of one flow.

    outstanding: in flight, by number, in the order of sending. floor: the least number that still matters.
    largest_acked: the highest number acknowledged, -1 before. loss_due_ns: when a packet will be lost by time alone.
    thresholds: how far out of order packets may be.
    """

    def __init__(self, delivery: Delivery, rtt: RttEstimator) -> None:
        self.outstanding: dict[int, DataPacket] = {}
        self.largest_acked = -1
        self.thresholds = ReorderingThresholds(rtt)
        self._delivery = delivery
        self._rtt = rtt
        self._remembered: dict[int, DataPacket] = {}
        self._known: dict[int, int] = {}
        self.loss_due_ns: int | None = None

    @property
    def floor(self) -> int:
        """No number below is in flight or remembered."""
        least = next(iter(self.outstanding), None)
        if self._remembered:
            lost = next(iter(self._remembered))
            return lost if least is None else min(lost, least)
        return self.largest_acked + 1 if least is None else least

    def acknowledged(self, ranges: Sequence[tuple[int, int]], now: int) -> tuple[list[DataPacket], list[DataPacket]]:
        """Take off what `ranges` newly acknowledge: packets in flight, and packets that had been found lost."""
        arrived: list[DataPacket] = []
        late: list[DataPacket] = []
        known, delivery = self._known, self._delivery
        floor = -1
        for first, last in ranges:
            seen = known.get(first, first - 1)
            if seen == last:
                continue
            if seen < first:
                if floor < 0:
                    floor = self.floor
                seen = max(seen, floor - 1)
            for number in range(seen + 1, last + 1):
                packet = self.outstanding.pop(number, None)
                if packet is not None:
                    delivery.acked(packet, now)
                    arrived.append(packet)
                elif self._remembered and (packet := self._remembered.pop(number, None)) is not None:
                    delivery.acked_late(packet, now)
                    late.append(packet)
        for packet in late:
            self.thresholds.arrived_late(packet, self.largest_acked, now)
        if arrived or late:
            if len(ranges) == 1:
                known.clear()
                known[ranges[0][0]] = ranges[0][1]
            else:
                self._known = dict(ranges)
            self.largest_acked = max(self.largest_acked, ranges[0][1])
        return arrived, late

    def find_lost(self, now: int) -> list[DataPacket]:
        """Take off what is lost by now."""
        lost: list[DataPacket] = []
        self.loss_due_ns = None
        largest = self.largest_acked
        if next(iter(self.outstanding), largest) >= largest:
            return []
        delay_ns, threshold = self.thresholds.delay_ns(), self.thresholds.packets
        for number, packet in self.outstanding.items():
            if number > largest:
                break
            if number > largest - threshold and packet.sent_ns + delay_ns > now:
                self.loss_due_ns = packet.sent_ns + delay_ns
                break
            lost.append(packet)
        for packet in lost:
            del self.outstanding[packet.number]
        self._remember(lost, now)
        return lost

    def find_all_lost(self, now: int) -> list[DataPacket]:
        """Take off everything: the retransmission timer ran out."""
        lost = list(self.outstanding.values())
        self.outstanding.clear()
        self.loss_due_ns = None
        self._remember(lost, now)
        return lost

    def forget(self, now: int) -> None:
        """Forget packets that were lost long ago."""
        remembered = self._remembered
        if not remembered:
            return
        horizon_ns = now - 3 * self._rtt.retransmission_ns()
        while remembered and next(iter(remembered.values())).lost_ns < horizon_ns:
            del remembered[next(iter(remembered))]

    def _remember(self, lost: list[DataPacket], now: int) -> None:
        for packet in lost:
            self._delivery.lost(packet)
            packet.lost_ns = now
            self._remembered[packet.number] = packet
