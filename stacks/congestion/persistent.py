"""Persistent congestion: nothing got through for so long that the path has to be learnt again (RFC 9002 7.6)."""

from __future__ import annotations

from collections.abc import Iterable

from stacks.congestion.delivery import SentPacket
from stacks.congestion.rtt import RttEstimator


class PersistentCongestion:
    """Looks at packets that are found lost, all of which ask for an acknowledgement, in the order of their numbers.

    sampled_ns: when the round-trip time was first known; packets that left before say nothing (7.6.2).
    """

    __slots__ = ("_next_number", "_since_ns", "sampled_ns")

    def __init__(self) -> None:
        self.sampled_ns = NEVER
        # The run of lost packets, no other between them: when its first left, and which number continues it.
        self._since_ns = 0
        self._next_number = -1

    def lost(self, packets: Iterable[SentPacket], duration_ns: int) -> bool:
        """Whether these, with what was lost just before them, left over more than `duration_ns`: told once a run."""
        is_persistent = False
        for packet in packets:
            number, sent_ns = packet.number, packet.sent_ns
            if sent_ns <= self.sampled_ns:
                continue
            if number != self._next_number:
                self._since_ns = sent_ns
            self._next_number = number + 1
            if sent_ns - self._since_ns > duration_ns:
                is_persistent = True
                self._since_ns = sent_ns
        return is_persistent

    def arrived_late(self) -> None:
        """One of them was not lost: what comes next begins a run."""
        self._next_number = -1


def persistent_duration_ns(rtt: RttEstimator) -> int:
    """How long (7.6.1): three probe timeouts, not doubled."""
    return PERSISTENT_TIMEOUTS * (rtt.retransmission_ns() + rtt.max_ack_delay_ns)


PERSISTENT_TIMEOUTS = 3
NEVER = 1 << 62
