"""NewReno's window, in bytes (RFC 5681, RFC 6582, RFC 9002 7).

    slow start              see windowed; L = 2, after a timeout 1 (RFC 3465)
    congestion avoidance    cwnd += packet, a window of bytes acknowledged (RFC 3465 2.1)
    a congestion event      ssthresh = cwnd / 2, at least two packets

`reno` is the RFCs' algorithm; HyStart++ and ECT(0) are options, which the catalogue offers as `reno-hystart` and
`reno-ecn`.
"""

from __future__ import annotations

from stacks.congestion.controller import Ack, Flow
from stacks.congestion.hystart import ABC_PACKETS
from stacks.congestion.windowed import WindowedController


class Reno(WindowedController):
    """The window of one flow. hystart: leave the first slow start as RFC 9406 says. ecn: 2 to send ECT(0), else 0."""

    def __init__(self, flow: Flow, *, hystart: bool = False, ecn: int = 0) -> None:
        if hystart:
            super().__init__(flow, abc_packets=ABC_PACKETS, abc_timeout_packets=ABC_PACKETS, hystart=True, ecn=ecn)
        else:
            super().__init__(flow, abc_packets=2, abc_timeout_packets=1, ecn=ecn)
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
