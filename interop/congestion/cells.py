"""Bottlenecks: a rate, a round trip without queues, and a buffer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Cell:
    """One bottleneck with a drop-tail queue; half the round trip each way, the way back without a queue that matters.

    rate_mbit: 10^6 bits a second. rtt_ms: round trip. buffer_bdp: what the queue holds, in bandwidth-delay products.
    """

    rate_mbit: int
    rtt_ms: int
    buffer_bdp: Fraction

    @property
    def name(self) -> str:
        """As `20mbit-40ms-1bdp`; a part of a BDP has its decimal point."""
        return f"{self.rate_mbit}mbit-{self.rtt_ms}ms-{float(self.buffer_bdp):g}bdp"

    @property
    def rate_bps(self) -> int:
        """Bits a second."""
        return self.rate_mbit * 1_000_000

    @property
    def delay_ns(self) -> int:
        """One way."""
        return self.rtt_ms * 500_000

    @property
    def bdp_bytes(self) -> int:
        """What is under way when the pipe is full and no queue stands."""
        return self.rate_mbit * self.rtt_ms * 125

    @property
    def limit_packets(self) -> int:
        """What the queue holds, in packets of 1,500 bytes, at least 2."""
        return max(2, int(self.buffer_bdp * self.bdp_bytes / PACKET_BYTES))


def parse_cell(name: str) -> Cell:
    """The cell of that name; ValueError when it is no name of one."""
    match = re.fullmatch(r"(\d+)mbit-(\d+)ms-(\d+(?:\.\d+)?)bdp", name)
    if match is None:
        raise ValueError(f"{name!r} is no cell: write it like 20mbit-40ms-1bdp")
    return Cell(int(match[1]), int(match[2]), Fraction(match[3]))


def quicbench_cells() -> list[Cell]:
    """QUICbench's grid: 16 cells."""
    return [
        Cell(rate_mbit, rtt_ms, buffer_bdp)
        for rtt_ms in (10, 50)
        for rate_mbit in (20, 100)
        for buffer_bdp in (Fraction(1, 2), Fraction(1), Fraction(3), Fraction(5))
    ]


PACKET_BYTES = 1500
