"""Persistent congestion as QUIC sees it: of all packets of a path, whatever their space (RFC 9002 7.6).

Two lost packets that ask for acknowledgements establish it when they left far enough apart, and nothing sent between
them was acknowledged. What leaves between, and neither arrives nor asks, does not matter. That nothing is missing
between two lost packets is seen from bytes: what the path had sent before the second is what it had with the first.
"""

from __future__ import annotations

from collections.abc import Iterable

from stacks.congestion.persistent import NEVER
from stacks.quic.recovery.sent_packet import SentPacket


class PersistentCongestion:
    """One path. sampled_ns: when the round-trip time was first known; packets that left before say nothing (7.6.2)."""

    __slots__ = ("_since_ns", "_total_bytes", "sampled_ns")

    def __init__(self) -> None:
        self.sampled_ns = NEVER
        # The run of lost packets: when its first that asks left (-1: none did), and what had been sent with its last.
        self._since_ns = -1
        self._total_bytes = -1

    def lost(self, packets: Iterable[SentPacket], duration_ns: int) -> bool:
        """Whether these, in flight and in the order of sending, complete more than `duration_ns`: told once a run."""
        is_persistent = False
        for packet in packets:
            sent_ns = packet.sent_ns
            if sent_ns <= self.sampled_ns:
                continue
            total_bytes = packet.delivered_bytes + packet.lost_bytes + packet.tx_in_flight_bytes
            if total_bytes - packet.size_bytes != self._total_bytes:
                self._since_ns = -1
            self._total_bytes = total_bytes
            if not packet.is_ack_eliciting or packet.is_mtu_probe:
                continue
            if self._since_ns < 0:
                self._since_ns = sent_ns
            elif sent_ns - self._since_ns > duration_ns:
                is_persistent = True
                self._since_ns = sent_ns
        return is_persistent

    def arrived_late(self) -> None:
        """One of them was not lost: what comes next begins a run."""
        self._total_bytes = -1
