"""HPCC: the window follows the load that every switch on the path reports (Li et al., SIGCOMM 2019, algorithm 1).

    each hop       u = txRate / B + min(qlen, previous qlen) / (B T)
    each ACK       U = (1 - tau/T) U + tau/T max u
                   U >= eta, or maxStage increases in a row:   W = Wc eta / U + W_AI, stage = 0
                   else                                        W = Wc + W_AI, stage += 1
    once a round   Wc = W
    rate           W / T

T is the round-trip time of the path without queues, which the sender has to know, B the rate of a hop's link. The first
ACK of a flow only fills in what later ones are compared with, and so does one whose packet took another path. A flow
starts at line rate with a window of one bandwidth-delay product.

The paper's maxStage is 5; its simulations had 0, as its authors say on the project's page and in their simulator.

Everything is an integer: loads in units of 1/LOAD_ONE, windows in bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stacks.congestion.controller import Ack, Controller, Flow, Loss
from stacks.congestion.rounds import RoundCounter
from stacks.congestion.telemetry import HopTelemetry
from stacks.runtime import LocalError


@dataclass(frozen=True, slots=True, kw_only=True)
class HpccParameters:
    """The constants of HPCC.

    eta_1000: the utilisation aimed at; 950. max_stage: additive increases in a row before the window is computed anew.
    flows: N, as many as are expected at a bottleneck; W_AI = W_init (1 - eta) / N. additive_bytes: W_AI, if it is
    given. minimum_bps: the window is at least this rate's, 0 for a hundredth of the line rate, as in the authors' runs.

    LocalError for a value that makes no sense.
    """

    eta_1000: int = 950
    max_stage: int = 5
    flows: int = 100
    additive_bytes: int = 0
    minimum_bps: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.eta_1000 <= 1000:
            raise LocalError(f"HPCC's eta is above 0 and at most 1000/1000, not {self.eta_1000}")
        if self.flows < 1:
            raise LocalError(f"HPCC's flows must be above 0, not {self.flows}")
        for name in ("max_stage", "additive_bytes", "minimum_bps"):
            if getattr(self, name) < 0:
                raise LocalError(f"HPCC's {name} must not be negative: {getattr(self, name)}")


class Hpcc(Controller):
    """The window of one flow.

    flow: LocalError without `delivery` or `base_rtt_ns`. load: U, in units of 1/LOAD_ONE. reference_bytes: Wc. stage:
    additive increases in a row. initial_bytes: W_init, which is also the largest window.
    """

    window_bytes: int
    rate_bps: int

    def __init__(self, flow: Flow, parameters: HpccParameters | None = None) -> None:
        if flow.delivery is None or flow.base_rtt_ns <= 0:
            raise LocalError("HPCC needs Flow.delivery and the round-trip time without queues (Flow.base_rtt_ns)")
        self.parameters = parameters = parameters or HpccParameters()
        self.wants_telemetry = True
        self.delivery = flow.delivery
        self.base_rtt_ns = base_rtt_ns = flow.base_rtt_ns
        self.packet_bytes = self.send_quantum_bytes = flow.packet_bytes
        self.initial_bytes = max(flow.packet_bytes, flow.line_rate_bps * base_rtt_ns // BIT_NS_PER_BYTE_S)
        minimum_bps = parameters.minimum_bps or flow.line_rate_bps // 100
        self.minimum_bytes = max(1, min(self.initial_bytes, minimum_bps * base_rtt_ns // BIT_NS_PER_BYTE_S))
        share = self.initial_bytes * (1000 - parameters.eta_1000) // (1000 * parameters.flows)
        self.additive_bytes = parameters.additive_bytes or max(1, share)
        self.reference_bytes = self.initial_bytes
        self.stage = 0
        self.load = 0
        self._rounds = RoundCounter()
        self._hops: Sequence[HopTelemetry] = ()
        self._apply(self.initial_bytes)

    def handle_ack(self, ack: Ack, now: int) -> None:  # noqa: ARG002
        """Measure, and set window and rate."""
        hops = ack.telemetry
        is_round = ack.prior_delivered_ns >= 0 and self._rounds.update(
            ack.prior_delivered_bytes, self.delivery.delivered_bytes
        )
        if hops is None:
            return
        former = self._hops
        self._hops = hops
        if len(former) == len(hops) and self._measure(former, hops):
            self._react(is_round=is_round)

    def handle_loss(self, loss: Loss, now: int) -> None:  # noqa: ARG002
        """The paper assumes a lossless fabric. Where one loses all the same, halve: the telemetry was late."""
        if not loss.is_mark:
            self.reference_bytes = max(self.minimum_bytes, self.reference_bytes // 2)
            self.stage = 0
            self._apply(self.reference_bytes)

    def variables(self) -> dict[str, int]:
        """U in thousandths, Wc and incStage."""
        return {"U_thousandths": self.load * 1000 // LOAD_ONE, "Wc": self.reference_bytes, "incStage": self.stage}

    def _measure(self, former: Sequence[HopTelemetry], hops: Sequence[HopTelemetry]) -> bool:
        """MeasureInflight: the load of the worst hop into the average; False on another path, or without news."""
        base_rtt_ns = self.base_rtt_ns
        worst = worst_tau_ns = 0
        for old, new in zip(former, hops, strict=True):
            if new.hop_id != old.hop_id:
                return False
            tau_ns = new.time_ns - old.time_ns
            if tau_ns <= 0:
                continue
            queue_bytes = min(new.queue_bytes, old.queue_bytes)
            busy = (new.sent_bytes - old.sent_bytes) * base_rtt_ns + queue_bytes * tau_ns
            load = busy * LOAD_BIT_NS // (new.rate_bps * tau_ns * base_rtt_ns)
            if load > worst or not worst_tau_ns:
                worst, worst_tau_ns = load, tau_ns
        if not worst_tau_ns:
            return False
        tau_ns = min(worst_tau_ns, base_rtt_ns)
        self.load = (self.load * (base_rtt_ns - tau_ns) + worst * tau_ns) // base_rtt_ns
        return True

    def _react(self, *, is_round: bool) -> None:
        """ComputeWind."""
        parameters = self.parameters
        if self.load * 1000 >= parameters.eta_1000 * LOAD_ONE or self.stage >= parameters.max_stage:
            stage = 0
            scaled = self.reference_bytes * parameters.eta_1000 * LOAD_ONE // max(1, self.load * 1000)
            window_bytes = scaled + self.additive_bytes
            self.state = "multiplicative"
        else:
            stage = self.stage + 1
            window_bytes = self.reference_bytes + self.additive_bytes
            self.state = "additive"
        window_bytes = max(self.minimum_bytes, min(window_bytes, self.initial_bytes))
        if is_round:
            self.reference_bytes, self.stage = window_bytes, stage
        self._apply(window_bytes)

    def _apply(self, window_bytes: int) -> None:
        self.rate_bps = max(1, window_bytes * BIT_NS_PER_BYTE_S // self.base_rtt_ns)
        # Less than a packet would never leave: there the rate alone decides.
        self.window_bytes = max(window_bytes, self.packet_bytes)


LOAD_ONE = 1 << 20
BIT_NS_PER_BYTE_S = 8_000_000_000
LOAD_BIT_NS = BIT_NS_PER_BYTE_S * LOAD_ONE
