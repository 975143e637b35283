"""DCTCP: the window shrinks by the share of packets that were marked (RFC 8257; Alizadeh et al., SIGCOMM 2010).

    each round                alpha = (1 - g) alpha + g F, F the share of acknowledged bytes that was marked
    a mark, once a round      cwnd = ssthresh = (1 - alpha/2) cwnd; no growth until that round is over
    otherwise                 slow start and congestion avoidance as Reno's (RFC 5681)
    loss                      as Reno: half, and one packet after a timeout (RFC 8257 3.5)

Linux and the RFC differ in when alpha is applied: the RFC lists the reduction behind the update of alpha at the end of
a window, Linux reduces at the first mark, with the alpha of the windows before. Here it is as in Linux: the queue that
made the mark is still growing. Everything is an integer, alpha in units of 1/DCTCP_ALPHA_ONE.
"""

from __future__ import annotations

from dataclasses import dataclass

from stacks.congestion.controller import Ack, Controller, Flow, Loss
from stacks.congestion.rounds import RoundCounter
from stacks.runtime import LocalError


@dataclass(frozen=True, slots=True, kw_only=True)
class DctcpParameters:
    """The constants of DCTCP (RFC 8257 3.3 and 4.2).

    g_1024: the gain g in units of 1/1024; 1/16. initial_alpha_1024: alpha before the first estimate; 1.
    slow_start: whether a flow begins in slow start; without, it is in congestion avoidance from its initial window on,
    as the DCTCP in hardware of the HPCC authors' simulator, which begins with a bandwidth-delay product.
    maximum_bytes: the window never exceeds it, 0 for no limit.

    LocalError for a value that makes no sense.
    """

    g_1024: int = 64
    initial_alpha_1024: int = 1024
    slow_start: bool = True
    maximum_bytes: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.g_1024 <= 1024 or not 0 <= self.initial_alpha_1024 <= 1024:
            raise LocalError("DCTCP's g is above 0 and at most 1024/1024, its initial alpha from 0 to 1024/1024")
        if self.maximum_bytes < 0:
            raise LocalError(f"DCTCP's maximum_bytes must not be negative: {self.maximum_bytes}")


class Dctcp(Controller):
    """The sender of one flow; its packets carry ECT(0).

    flow: LocalError without `delivery`. alpha: in units of 1/DCTCP_ALPHA_ONE. ssthresh_bytes: slow start ends there.
    """

    window_bytes: int

    def __init__(self, flow: Flow, parameters: DctcpParameters | None = None) -> None:
        if flow.delivery is None:
            raise LocalError("DCTCP needs a stack that counts what is delivered (Flow.delivery)")
        self.parameters = parameters = parameters or DctcpParameters()
        self.ecn = 2
        self.delivery = flow.delivery
        self.packet_bytes = flow.packet_bytes
        self.maximum_bytes = parameters.maximum_bytes or UNLIMITED
        self.window_bytes = min(flow.delivery.initial_window_bytes or 10 * flow.packet_bytes, self.maximum_bytes)
        self.ssthresh_bytes = UNLIMITED if parameters.slow_start else self.window_bytes
        self.state = "slow start" if parameters.slow_start else "congestion avoidance"
        self.alpha = parameters.initial_alpha_1024 * DCTCP_ALPHA_ONE // 1024
        self._observed = RoundCounter()
        self._observed_bytes = self._marked_bytes = 0
        self._reduced_until = -1
        self._grown_bytes = 0
        self._is_recovering = False
        self._before_loss = (0, 0)

    def handle_ack(self, ack: Ack, now: int) -> None:  # noqa: ARG002
        """Count marks, end a window of observation, then shrink or grow."""
        acked_bytes, marks = ack.acked_bytes, ack.ce_packets
        self._observed_bytes += acked_bytes
        if marks:
            packets = ack.acked_packets
            self._marked_bytes += acked_bytes if marks >= packets else acked_bytes * marks // packets
        delivered_bytes = self.delivery.delivered_bytes
        if ack.prior_delivered_ns >= 0 and self._observed.update(ack.prior_delivered_bytes, delivered_bytes):
            self._estimate()
        if self._is_recovering:
            return
        if 0 <= ack.prior_delivered_bytes < self._reduced_until:
            return
        if marks:
            self._reduce()
            self._reduced_until = delivered_bytes
            # What is acknowledged up to there was sent before the reduction.
            self.state = "reduced"
        elif self.delivery.is_cwnd_limited:
            self._grow(acked_bytes)

    def handle_loss(self, loss: Loss, now: int) -> None:  # noqa: ARG002
        """Halve, as Reno."""
        if loss.is_mark:
            return
        self._before_loss = (self.window_bytes, self.ssthresh_bytes)
        self.ssthresh_bytes = max(self.window_bytes // 2, 2 * self.packet_bytes)
        self.window_bytes = self.packet_bytes if loss.is_timeout else self.ssthresh_bytes
        self._is_recovering = not loss.is_timeout
        self._grown_bytes = 0
        self.state = "slow start" if loss.is_timeout else "recovery"

    def handle_recovered(self, now: int) -> None:  # noqa: ARG002
        """Go on from ssthresh."""
        self._is_recovering = False
        self.state = "slow start" if self.window_bytes < self.ssthresh_bytes else "congestion avoidance"

    def handle_spurious_loss(self, now: int) -> None:  # noqa: ARG002
        """Nothing was lost: back to the window before."""
        window_bytes, ssthresh_bytes = self._before_loss
        self.window_bytes = max(self.window_bytes, window_bytes)
        self.ssthresh_bytes = max(self.ssthresh_bytes, ssthresh_bytes)
        self._is_recovering = False
        self.state = "slow start" if self.window_bytes < self.ssthresh_bytes else "congestion avoidance"

    def variables(self) -> dict[str, int]:
        """DCTCP.Alpha in millionths, and ssthresh."""
        return {"alpha_ppm": self.alpha * 1_000_000 // DCTCP_ALPHA_ONE, "ssthresh": self.ssthresh_bytes}

    def _estimate(self) -> None:
        """RFC 8257 3.3, steps 5 to 8."""
        if self._observed_bytes:
            share = self._marked_bytes * DCTCP_ALPHA_ONE // self._observed_bytes
            # Towards F from either side, so that alpha comes to rest where F stays.
            self.alpha += (share - self.alpha) * self.parameters.g_1024 // 1024
        self._observed_bytes = self._marked_bytes = 0

    def _reduce(self) -> None:
        cut_bytes = self.window_bytes * self.alpha // (2 * DCTCP_ALPHA_ONE)
        self.window_bytes = self.ssthresh_bytes = max(self.window_bytes - cut_bytes, 2 * self.packet_bytes)
        self._grown_bytes = 0

    def _grow(self, acked_bytes: int) -> None:
        if self.window_bytes < self.ssthresh_bytes:
            self.window_bytes = min(self.window_bytes + acked_bytes, self.maximum_bytes)
            return
        self.state = "congestion avoidance"
        self._grown_bytes += acked_bytes
        if self._grown_bytes >= self.window_bytes:
            self._grown_bytes -= self.window_bytes
            self.window_bytes = min(self.window_bytes + self.packet_bytes, self.maximum_bytes)


DCTCP_ALPHA_ONE = 1 << 30
UNLIMITED = 1 << 62
