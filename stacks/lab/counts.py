"""What a flow came to, in numbers of packets."""

from __future__ import annotations

from dataclasses import astuple, dataclass


@dataclass(frozen=True, slots=True)
class FlowCounts:
    """Of a flow; -1 for what nobody knows."""

    sent_packets: int = 0
    lost_packets: int = 0
    retransmitted_packets: int = 0
    timeouts: int = 0
    spurious_losses: int = 0
    ce_packets: int = 0

    def since(self, before: FlowCounts) -> FlowCounts:
        """What of it came after `before`."""
        then = astuple(before)
        return FlowCounts(*(-1 if now < 0 else now - old for now, old in zip(astuple(self), then, strict=True)))
