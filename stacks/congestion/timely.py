"""TIMELY: the rate follows the gradient of the round-trip time (Mittal et al., SIGCOMM 2015, section 4).

    each completion    rtt_diff = (1 - ewma) rtt_diff + ewma (rtt - previous rtt);  gradient = rtt_diff / minRTT
      rtt < Tlow       rate += delta
      rtt > Thigh      rate *= 1 - beta (1 - Thigh/rtt)
      gradient <= 0    rate += delta; N delta after N in a row (HAI)
      gradient > 0     rate *= 1 - beta gradient

The paper's completions are of segments of 16 to 64 KB; `segment_bytes` acknowledged bytes make one here, and 0 makes
one a round trip, as the HPCC authors' simulator does. The paper leaves ewma, beta and delta open: the values are those
of Zhu et al. (CoNEXT 2016, footnote 4) and of that simulator. Only a gradient decides between Tlow and Thigh, so that
flows may share unfairly and no queue length is a fixed point (CoNEXT 2016, section 4.2): that is TIMELY.

Everything is an integer: nanoseconds, bits per second, differences in units of 1/1024 ns.
"""

from __future__ import annotations

from dataclasses import dataclass

from stacks.congestion.controller import Ack, Controller, Flow, Loss
from stacks.congestion.rounds import RoundCounter
from stacks.runtime import LocalError


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelyParameters:
    """The constants of TIMELY.

    ewma_1024: weight of the newest difference; 0.875. beta_1024: 0.8. low_ns, high_ns: Tlow and Thigh. min_rtt_ns: of
    the path, by which the gradient is normalised. additive_bps: delta. hai_events: N. segment_bytes: acknowledged data
    that completes a segment, 0 for one a round trip. minimum_bps: the rate never falls below. hai_below_low: count
    completions below Tlow towards N as well, as the HPCC authors' simulator does and algorithm 1 does not.

    LocalError for a value that makes no sense.
    """

    ewma_1024: int = 896
    beta_1024: int = 819
    low_ns: int = 50_000
    high_ns: int = 500_000
    min_rtt_ns: int = 20_000
    additive_bps: int = 10_000_000
    hai_events: int = 5
    segment_bytes: int = 16_000
    minimum_bps: int = 10_000_000
    hai_below_low: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.ewma_1024 <= 1024 or not 0 < self.beta_1024 <= 1024:
            raise LocalError("TIMELY's ewma and beta are above 0 and at most 1024/1024")
        if not 0 < self.low_ns <= self.high_ns:
            raise LocalError(f"TIMELY's low_ns is above 0 and at most high_ns, not {self.low_ns} and {self.high_ns}")
        for name in ("min_rtt_ns", "additive_bps", "hai_events", "minimum_bps"):
            if getattr(self, name) < 1:
                raise LocalError(f"TIMELY's {name} must be above 0, not {getattr(self, name)}")
        if self.segment_bytes < 0:
            raise LocalError(f"TIMELY's segment_bytes must not be negative: {self.segment_bytes}")


class Timely(Controller):
    """The rate of one flow, which starts at its line rate.

    flow: LocalError without `delivery` where a completion is a round trip. rtt_diff: in units of 1/1024 ns.
    """

    def __init__(self, flow: Flow, parameters: TimelyParameters | None = None) -> None:
        self.parameters = parameters = parameters or TimelyParameters()
        if flow.delivery is None and not parameters.segment_bytes:
            raise LocalError("TIMELY by round trips needs a stack that counts what is delivered (Flow.delivery)")
        self.line_rate_bps = flow.line_rate_bps
        self.minimum_bps = min(parameters.minimum_bps, flow.line_rate_bps)
        self.rate_bps: int = flow.line_rate_bps
        self.send_quantum_bytes = flow.packet_bytes
        self.rtt_diff = 0
        self._delivery = flow.delivery
        self._rounds = RoundCounter()
        self._acked_bytes = 0
        self._previous_ns = 0
        self._increases = 0

    def handle_ack(self, ack: Ack, now: int) -> None:  # noqa: ARG002
        """A completion, if a segment's worth has arrived."""
        segment_bytes = self.parameters.segment_bytes
        if segment_bytes:
            self._acked_bytes += ack.acked_bytes
            if self._acked_bytes < segment_bytes or ack.rtt_ns is None:
                return
            self._acked_bytes %= segment_bytes
        else:
            assert self._delivery is not None
            if ack.rtt_ns is None or ack.prior_delivered_ns < 0:
                return
            if not self._rounds.update(ack.prior_delivered_bytes, self._delivery.delivered_bytes):
                return
        if self._previous_ns:
            self._complete(ack.rtt_ns)
        self._previous_ns = ack.rtt_ns

    def handle_loss(self, loss: Loss, now: int) -> None:  # noqa: ARG002
        """The paper assumes a lossless fabric. Where one loses all the same, halve: the queue was above Thigh."""
        if not loss.is_mark:
            self._increases = 0
            self.rate_bps = max(self.minimum_bps, self.rate_bps // 2)

    def variables(self) -> dict[str, int]:
        """rtt_diff in nanoseconds."""
        return {"rtt_diff_ns": self.rtt_diff // 1024}

    def _complete(self, rtt_ns: int) -> None:
        """Algorithm 1."""
        parameters = self.parameters
        self.rtt_diff += (1024 * (rtt_ns - self._previous_ns) - self.rtt_diff) * parameters.ewma_1024 // 1024
        if rtt_ns < parameters.low_ns and not parameters.hai_below_low:
            self.state = "below Tlow"
            self._increases = 0
            self._increase(1)
        elif rtt_ns > parameters.high_ns:
            self.state = "above Thigh"
            over = parameters.beta_1024 * (rtt_ns - parameters.high_ns)
            self._decrease(over, 1024 * rtt_ns)
        elif self.rtt_diff <= 0 or rtt_ns < parameters.low_ns:
            self._increases += 1
            is_hyper = self._increases >= parameters.hai_events
            self.state = "hyper increase" if is_hyper else "increase"
            self._increase(parameters.hai_events if is_hyper else 1)
        else:
            self.state = "decrease"
            self._decrease(parameters.beta_1024 * self.rtt_diff, parameters.min_rtt_ns << 20)

    def _increase(self, times: int) -> None:
        self.rate_bps = min(self.line_rate_bps, self.rate_bps + times * self.parameters.additive_bps)

    def _decrease(self, part: int, whole: int) -> None:
        self._increases = 0
        self.rate_bps = max(self.minimum_bps, self.rate_bps - self.rate_bps * min(part, whole) // whole)
