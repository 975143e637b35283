"""NewReno's window, in bytes (RFC 5681, RFC 6582, RFC 9002 7).

    slow start              see windowed; L = 2, after a timeout 1 (RFC 3465)
    congestion avoidance    cwnd += packet, a window of bytes acknowledged (RFC 3465 2.1)
    a congestion event      ssthresh = cwnd / 2, at least two packets

`reno` is the RFCs' algorithm; HyStart++, ECT(0) and pacing are options, which the catalogue offers as `reno-hystart`,
`reno-ecn` and `reno-paced`.
"""

from __future__ import annotations

from stacks.congestion.controller import Ack, Flow
from stacks.congestion.hystart import ABC_PACKETS
from stacks.congestion.windowed import WindowedController


class Reno(WindowedController):
    """The window of one flow. hystart: leave the first slow start as RFC 9406 says. ecn, is_paced: see windowed."""

    def __init__(self, flow: Flow, *, hystart: bool = False, ecn: int = 0, is_paced: bool = False) -> None:
        usual, after_timeout = (ABC_PACKETS, ABC_PACKETS) if hystart else (2, 1)
        super().__init__(
            flow,
            abc_packets=usual,
            abc_timeout_packets=after_timeout,
            hystart=hystart,
            ecn=ecn,
            is_paced=is_paced,
        )
        self._counted_bytes = 0

    def reduced_bytes(self, window_bytes: int) -> int:
        """Half."""
        self._counted_bytes = 0
        return window_bytes // 2

    def grow(self, ack: Ack, now: int) -> None:  # noqa: ARG002
        """A packet for each window of bytes acknowledged."""
        self._counted_bytes += ack.acked_bytes
        if self._counted_bytes >= self.window_bytes:
            self._counted_bytes -= self.window_bytes
            self.window_bytes += self.packet_bytes
