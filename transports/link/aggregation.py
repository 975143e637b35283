"""Packets that are collected and released in bursts, as Wi-Fi, cellular and cable links do with acknowledgements."""

from __future__ import annotations

from transports.errors import TransportError
from transports.link.checks import check_at_least
from transports.link.element import Element
from transports.link.packet import LinkPacket
from transports.timeline import Timeline


class Aggregation(Element):
    """Holds packets and lets all of them go at once, in order.

    hold_ns: the first of a burst waits so long; limit_packets: or until there are so many, 0 for no limit. is_slotted:
    bursts leave only at multiples of hold_ns, as a channel with turns has it. bursts, largest_burst: what came of it.
    TransportError without a time and a limit, and for negative ones.
    """

    __slots__ = (
        "_held", "_timeline", "_timer", "bursts", "hold_ns", "is_slotted", "largest_burst", "limit_packets",
    )  # fmt: skip
    counted = ("bursts", "largest_burst")

    def __init__(
        self, timeline: Timeline, hold_ns: int, *, limit_packets: int = 0, is_slotted: bool = False
    ) -> None:
        super().__init__()
        check_at_least("hold", hold_ns, 0)
        check_at_least("packets", limit_packets, 0)
        if not hold_ns and not limit_packets:
            raise TransportError("hold or packets is above 0, or nothing is collected")
        if is_slotted and not hold_ns:
            raise TransportError("slots need a hold above 0: the time between two of them")
        self.hold_ns = hold_ns
        self.limit_packets = limit_packets
        self.is_slotted = is_slotted
        self.bursts = 0
        self.largest_burst = 0
        self._timeline = timeline
        self._timer = timeline.timer(self.release)
        self._held: list[LinkPacket] = []

    def put(self, packet: LinkPacket) -> None:
        """Held, or the last of a burst that leaves now."""
        if self._timer.due_ns <= self._timeline.now:
            self.release()  # it was due before this one came
        self._held.append(packet)
        if len(self._held) == self.limit_packets:
            self.release()
        elif len(self._held) == 1 and self.hold_ns:
            now, hold_ns = self._timeline.now, self.hold_ns
            self._timer.arm((now // hold_ns + 1) * hold_ns if self.is_slotted else now + hold_ns)

    def release(self) -> None:
        """Let go what is held."""
        self._timer.cancel()
        burst, self._held = self._held, []
        if burst:
            self.bursts += 1
            self.largest_burst = max(self.largest_burst, len(burst))
        for packet in burst:
            packet.forward()
