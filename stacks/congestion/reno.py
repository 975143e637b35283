"""NewReno's window, in bytes (RFC 5681 section 3.1, RFC 9002 section 7).

    below ssthresh       cwnd += bytes acknowledged, while the window is what limits
    above                cwnd += packet a window of bytes acknowledged
    a recovery begins    ssthresh = cwnd = cwnd / 2, at least two packets
    timeout              ssthresh = cwnd / 2; cwnd = one packet
"""

from __future__ import annotations

from stacks.congestion.controller import Ack, Controller, Flow, Loss


class Reno(Controller):
    """ssthresh_bytes: below it the window doubles each round."""

    window_bytes: int

    def __init__(self, flow: Flow) -> None:
        self.packet_bytes = flow.packet_bytes
        self.delivery = flow.delivery
        initial = flow.delivery.initial_window_bytes if flow.delivery else 0
        self.window_bytes = initial or 10 * flow.packet_bytes
        self.ssthresh_bytes = 1 << 62
        self.state = "slow start"
        self._acked_bytes = 0
        self._is_recovering = False

    def handle_ack(self, ack: Ack, now: int) -> None:  # noqa: ARG002
        """Grow, outside of recovery and while the window is what limits."""
        if self._is_recovering or not (self.delivery is None or self.delivery.is_cwnd_limited):
            return
        if self.window_bytes < self.ssthresh_bytes:
            self.window_bytes += ack.acked_bytes
            return
        self.state = "congestion avoidance"
        self._acked_bytes += ack.acked_bytes
        if self._acked_bytes >= self.window_bytes:
            self._acked_bytes -= self.window_bytes
            self.window_bytes += self.packet_bytes

    def handle_loss(self, loss: Loss, now: int) -> None:  # noqa: ARG002
        """Halve."""
        self.ssthresh_bytes = max(self.window_bytes // 2, 2 * self.packet_bytes)
        self.window_bytes = self.packet_bytes if loss.is_timeout else self.ssthresh_bytes
        self._is_recovering = not loss.is_timeout
        self._acked_bytes = 0
        self.state = "slow start" if loss.is_timeout else "recovery"

    def handle_recovered(self, now: int) -> None:  # noqa: ARG002
        """Go on from ssthresh."""
        self._is_recovering = False
        self.state = "congestion avoidance"
