"""Packet-timed round trips: a round ends when a packet that was sent after its beginning is acknowledged."""

from __future__ import annotations


class RoundCounter:
    """Counts rounds in units of delivered bytes (draft-ietf-ccwg-bbr 5.5.1).

    count: rounds so far. is_start: whether the acknowledgement last told of began one.
    """

    __slots__ = ("count", "is_start", "next_delivered_bytes")

    def __init__(self) -> None:
        self.count = 0
        self.is_start = False
        self.next_delivered_bytes = 0

    def start(self, delivered_bytes: int) -> None:
        """Let a round begin here: what is in flight now ends it."""
        self.next_delivered_bytes = delivered_bytes

    def update(self, prior_delivered_bytes: int, delivered_bytes: int) -> bool:
        """Of an acknowledgement: delivered when its newest packet was sent, and now. True when it begins a round.

        One without a sample (`Ack.prior_delivered_bytes` -1) never does.
        """
        self.is_start = prior_delivered_bytes >= self.next_delivered_bytes
        if self.is_start:
            self.next_delivered_bytes = delivered_bytes
            self.count += 1
        return self.is_start
