"""How many packets a queue pair keeps in flight.

A loopback receive buffer drops silently, so a sender starts with what the default buffer holds, grows as packets are
acknowledged, and halves when one is lost. Congestion control proper comes from stacks.congestion.
"""

from __future__ import annotations


class Window:
    """Packets that may be unacknowledged, between two bounds.

    initial, maximum: in packets. Doubles each round trip until the first loss, then grows by one `STEP` a round trip.
    acks_per_window: acknowledgements that a full window of one long message asks for.
    """

    __slots__ = ("_credit", "_maximum", "_minimum", "_threshold", "packets")

    acks_per_window = 4

    def __init__(self, initial: int, maximum: int) -> None:
        self.packets = min(initial, maximum)
        self._maximum = maximum
        self._minimum = min(MINIMUM_PACKETS, self.packets)
        self._threshold = maximum
        self._credit = 0

    def acknowledged(self, count: int) -> None:
        """`count` packets arrived."""
        if self.packets >= self._maximum:
            return
        if self.packets < self._threshold:
            self.packets = min(self._maximum, self.packets + count)
            return
        self._credit += count
        if self._credit >= self.packets:
            self._credit = 0
            self.packets = min(self._maximum, self.packets + STEP)

    def lost(self) -> None:
        """A packet was lost; called once a recovery, not once a packet."""
        self.packets = self._threshold = max(self._minimum, self.packets // 2)
        self._credit = 0

    def arrived(self, psn: int) -> None:
        """A packet arrived ahead of its turn; for those who count."""

    def rewound(self) -> None:
        """Everything in flight will be sent again; for those who count."""


MINIMUM_PACKETS = 4
STEP = 4
